/* What a run came to: the counts whose rules traces/FORMAT.md gives, the JSON result, the summary for a person.
 *
 * The JSON object of `--json`. Keys are stable: new ones may be added, none changes its meaning. All values are whole
 * numbers unless said otherwise, and leave boot out, save frames, memory_hash and kernel, which are as they stand at
 * the end.
 *   format              1
 *   trace, mmu, cpu     strings: the trace's name; "c", "rtl" or the object of --mmu; the CPU preset
 *   result              string: "completed", "failed", "bugcheck" or "interrupted"
 *   events              trace events replayed
 *   accesses            user-mode accesses; a run event counts COUNT. = fetches + loads + stores
 *   fetches, loads, stores
 *   kernel_touches      kernel-mode accesses of the trace, one for each page
 *   touches             pages touched by both; an access that crosses a page boundary is two touches
 *   run_hits            accesses of run events behind the first, all of them TLB hits
 *   itlb_hit, itlb_miss, dtlb_hit, dtlb_miss      one lookup for each touch of the trace, first attempts only; run_hits
 *                       are in the hits
 *   istlb_hit, istlb_miss, dstlb_hit, dstlb_miss  of the first level's misses: those that the second level served, and
 *                       those that walked; without a second level all of them
 *   page_faults         #PF that the trace's accesses raised
 *   exceptions          of them, those delivered to the program
 *   demand_zero         first touches of private pages
 *   file_first_hard     first touches of file pages that no process had touched before
 *   file_first_soft     a process's first touches of file pages that some process had touched
 *   section_first       first touches of pages of sections that the paging file backs
 *   cow_file, cow_fork  pages copied on write: of a view; shared since a fork
 *   cow_reuse           written after a fork by the last process that had it: no copy
 *   fork_child_first_touch    a forked child's first touches of inherited pages, counted nowhere else
 *   cr3_switch, cr3_other, invlpg, flush_all      issued by the kernel: CR3 loads of `x` events, all other CR3 loads,
 *                       INVLPG instructions, flushes of everything by CR4.PGE
 *   cycles              of MMU and table accesses
 *   faults              object: faults of trace accesses by what servicing them came to: other, demand_zero,
 *                       transition, file, section, clone, cow_file, cow_fork, cow_reuse, guard, page_file
 *   file_reads          pages read from files
 *   disk                object: transfers between memory and files, in transfers and in pages: file_read_transfers,
 *                       file_reads, file_write_transfers, file_writes, and the same of paging files, pagefile_…;
 *                       steps_busy, the steps during which a transfer was under way (with --disk fixed or seek)
 *   injected            object: faults simulated, by the names of the step `inject`; exceptions and failures: accesses
 *                       that ended in an exception and services that failed after a rule of --inject first came true
 *   kernel_accesses, kernel_misses    the kernel's own translations, and those of them that walked
 *   mmu_statistics      object, everything that went through the MMU, the kernel's accesses included, run_hits not:
 *     tlb               object, one for each array, named by its line in the preset: itlb_4k, dtlb_2m, stlb_4k_2m,
 *                       psc_pde …; hits: look-ups it served (psc_…: walks that began from it); misses, in the first
 *                       level: walks for pages of the sizes it takes, dirty_walks included
 *     misses            object itlb_4k, itlb_2m, itlb_1g, dtlb_…: walks by the page size they found (2m: 4 MB without
 *                       PAE), dirty_walks included
 *     istlb_pde_hits, dstlb_pde_hits        walks that began from a PDE entry of the second level (istlb: or of both)
 *     itlb_miss_fault, dtlb_miss_fault      misses whose walk faulted before it knew a page size
 *     walks, dirty_walks, walk_restarts, walk_cycles    walks include the dirty_walks, made to set a dirty bit
 *     table_reads, table_writes             of walks; writes: accessed and dirty bits set
 *     pdpte_loads       times that the four PDPTEs of PAE were read
 *     faults            translations that ended in #PF
 *     invlpg, invpcid, cr3_writes, flush_all, fault_drops        what removed TLB entries
 *   frames              object: frames on each list: zeroed, free, standby, modified, modified_no_write, bad
 *   memory_hash         string: a hash of the contents of all frames at the end, in hexadecimal digits
 *   pfn_transitions     object: changes of frames' states by NT-27's row (P01…; K01… for what has none), those that
 *                       happened
 *   kernel              object: every counter the kernel keeps, by its name */
#ifndef NTMMU_REPORT_H
#define NTMMU_REPORT_H

#include "ntmmu/machine.h"
#include "ntmmu/nt_view.h"

#include <stdio.h>

/* ---- counting, rules of traces/FORMAT.md ---- */

struct first_touches {
    uint64_t demand_zero, file_first_hard, file_first_soft, section_first;
    uint64_t cow_file, cow_fork, cow_reuse, fork_child_first_touch;
};

struct counting;

/* Subscribes to the machine's log; NULL if there is no room. */
struct counting *counting_create(struct machine *m);
void counting_destroy(struct counting *counting);
/* Before the machine replays an event: services count when they return, which may be later. */
void counting_event(struct counting *counting, const struct event *event);
const struct first_touches *counting_totals(const struct counting *counting);

/* ---- the result of a run ---- */

struct run_report {
    const char *trace, *mmu, *cpu;
    const char *result;        /* "completed", "failed", "bugcheck", "interrupted" */
    const char *compared_with; /* MMU of the second machine, NULL: there was none */
    bool architecture;         /* it was judged by the architecture */
    const char *checks;        /* names of the checks that watched, "" if none */
    struct machine *machine;
    const struct first_touches *touches;
    const struct nt_memory_view *memory; /* at the end */
    const uint64_t *pfn_transitions;     /* by row of ntmmu/pfn_transitions.h; NULL: not counted */
    double seconds;                      /* of the replay, for the summary only */
};

struct json_t; /* jansson's */

/* Writes ROOT to PATH ("-" = standard output). The file appears under its name only when it is complete. 0,
 * or -1 with one line in err and nothing left behind. */
int report_write_json(struct json_t *root, const char *path, char *err, size_t err_size);
/* A string of text that may be no UTF-8: its bytes that are not ASCII become U+FFFD then. NULL: out of memory. */
struct json_t *report_text(const char *text);
void report_set(struct json_t *object, const char *key, uint64_t value);
void report_set_text(struct json_t *object, const char *key, const char *value);
/* The object described at the top of this file to PATH, as report_write_json does it. */
int report_json(const struct run_report *report, const char *path, char *err, size_t err_size);
/* A few lines for a person. 0, or -1 if out does not take them. */
int report_summary(const struct run_report *report, FILE *out);

#endif
