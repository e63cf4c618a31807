/* Random programs as traces. Constrained-random: a generator knows what it has built, so that most of what it does
 * makes sense, and some of it does not. The same configuration gives the same trace everywhere; memory does not grow
 * with its length.
 *
 * GEN_MMU: a bare program (traces/FORMAT.md) that knows the architecture. It has a few tables for each level and paging
 * mode and works in phases, each with its own pool of addresses: near each other, all in one TLB set, spread over the
 * address space, inside large pages, in the window through which tables show themselves. Table entries come into being
 * when an address is first used. It changes rights, and frames between table and data, mostly without a flush; several
 * addresses share a frame; INVLPG, INVPCID and control writes come right before and after accesses that walk; batches
 * keep several accesses under way; now and then it goes through another paging mode.
 *
 * GEN_NT: two processes and the children they fork, with random services: allocations, protections, views, locked
 * pages, trimming, system threads. A model of what each page is tells which accesses must end in an exception (expect
 * lines). */
#ifndef NTMMU_GEN_H
#define NTMMU_GEN_H

#include "ntmmu/mmu.h"
#include "ntmmu/trace.h"

enum gen_kind { GEN_MMU, GEN_NT };
enum gen_mode { GEN_32, GEN_PAE, GEN_LONG, GEN_MODES };
extern const char *const gen_kind_names[], *const gen_mode_names[]; /* by these numbers; NULL at the end */

struct gen_config {
    enum gen_kind kind;
    enum gen_mode mode;       /* GEN_NT: not GEN_LONG */
    uint64_t seed;            /* GEN_NT: of 32 bits */
    uint64_t events;          /* GEN_NT: at least so many, to the end of an operation */
    struct mmu_preset preset; /* GEN_MMU: whose features and TLBs it is for */
    bool mild;                /* GEN_NT: nothing whose outcome little memory or a failing disk would change */
    const char *const *lines; /* put in front, behind !vmt; NULL: those that the kind needs */
    unsigned line_count;
    void (*progress)(double fraction, uint64_t events); /* now and then; NULL: none */
    const volatile int *stop;                           /* not 0: stop early; NULL: never */
};

/* False: the preset has not what the mode needs, or the kind has no such mode, seed or mildness; one line in err. */
bool gen_possible(const struct gen_config *config, char *err, size_t err_size);
/* Writes directives and events; `!end` is the caller's (trace_finish). 0, or -1: the writer failed, or it was stopped.
 */
int gen_write(const struct gen_config *config, struct trace_writer *writer);

#endif
