/* What the files of the architecture's oracle share: what is known of the past (architecture_past.c), which outcomes
 * that allows (architecture_walk.c), and the MMU that judges another (architecture.c). */
#ifndef NTMMU_CHECK_ARCHITECTURE_H
#define NTMMU_CHECK_ARCHITECTURE_H

#include "ntmmu/architecture.h"
#include "ntmmu/machine.h"
#include "report.h"

#define PCIDS       4096u
#define PCID_GLOBAL PCIDS /* stands for the entries that every PCID may use */
#define TABLE_WORDS 1024u
#define LEVELS      4u
#define FOREVER     UINT64_MAX

/* ---- the past ---- */

/* Why translations that were cached may not be used any more. */
enum drop_kind {
    DROP_NOTHING,
    DROP_MODE, /* CR0.PG, CR4.PAE, PSE or PGE changed, CR4.PCIDE cleared */
    DROP_SMEP,
    DROP_CR3,
    DROP_INVLPG,
    DROP_INVPCID,         /* of a PCID, or of all */
    DROP_INVPCID_ADDRESS, /* of one page */
    DROP_FAULT            /* #PF, for its address */
};

struct moment {
    uint64_t time;  /* of the oracle's clock, which counts invalidations */
    uint64_t event; /* as stamp() gives it */
    enum drop_kind kind;
};

/* A value that an entry has had, present and accessed: only such a one may be cached (SDM 4.10.2.2, 4.10.3.1). */
struct version {
    struct version *next;
    pte_t value;
    uint64_t since, until;      /* by the clock: when it was stored, when another took its place */
    uint64_t written, replaced; /* by events */
};

struct stored {
    uint64_t time, event; /* 0: long ago */
};

/* A frame that the MMU has read table entries in. By words of four bytes; an entry of eight is the even one. It may
 * become something else than a table: when nothing that stands there has been read, stores are soon not watched any
 * more. */
#define IDLE_STORES 4096u
struct table {
    struct table *next;
    pfn_t frame;
    unsigned seen_count, idle; /* entries, and stores since there were any */
    bool watched;
    uint64_t seen[TABLE_WORDS / 64];   /* the value that stands there now has been read */
    struct stored stored[TABLE_WORDS]; /* that value */
    struct version *old[TABLE_WORDS];
};

/* A page directory (PAE: the four registers; 4-level: PML4) that CR3 has pointed to. */
struct root {
    pa_t base;
    uint32_t pcid;
    uint64_t pdpte[4];
    uint64_t until; /* FOREVER: the current one */
};

struct drop_record {
    uint64_t key; /* 0: free */
    struct moment moment;
};

struct past {
    struct physmem *mem;
    const struct event_log *log;
    bool running;   /* the trace has begun */
    unsigned bytes; /* of an entry: 4 or 8 */
    uint64_t clock;
    uint64_t generation;   /* changes when a table entry does that was read */
    struct table **tables; /* by frame */
    struct table *all;
    pfn_t frames;
    struct root *roots;
    size_t root_count, root_capacity, current; /* the last is an index */
    struct moment everything;                  /* global entries, too */
    struct moment all_but_global;              /* of all PCIDs */
    struct moment *tlb, *psc;                  /* of each PCID: TLB entries without G, paging-structure caches */
    struct drop_record *drops;                 /* of single pages: a hash table */
    size_t drop_count, drop_capacity;
    void *next_watcher;
    void (*next_on_store)(void *watcher, pa_t pa, unsigned bytes, const void *data);
};

void past_create(struct past *past, struct physmem *mem, const struct event_log *log);
void past_destroy(struct past *past);

/* Number of the event in which something happens, plus 1; 0: while booting. */
static inline uint64_t past_stamp(const struct past *past) { return past->running ? past->log->event + 1 : 0; }

/* The entry as memory has it now, which an MMU may keep from now on. */
pte_t past_read(struct past *past, pa_t entry);
void past_seen(struct past *past, pa_t entry);
/* The values an entry had before; NULL: none of interest. */
const struct version *past_versions(const struct past *past, pa_t entry);
struct stored past_stored(const struct past *past, pa_t entry);

/* CR3 points elsewhere, or its PDPTEs were loaded. */
void past_set_root(struct past *past, pa_t base, uint32_t pcid, const uint64_t pdpte[4]);
/* The width of entries changed: nothing that was read means anything. */
void past_forget(struct past *past, unsigned bytes);

/* Invalidations that are owed. */
void past_drop_everything(struct past *past, enum drop_kind kind);
void past_drop_all_but_global(struct past *past, enum drop_kind kind);
void past_drop_pcid(struct past *past, uint32_t pcid, enum drop_kind kind);
/* The page, whatever its size, also if it is global, and all paging-structure caches of the PCID. */
void past_drop_invlpg(struct past *past, va_t va, uint32_t pcid);
/* The page, whatever its size, if it is not global, and what of the paging-structure caches was used for it. */
void past_drop_invpcid(struct past *past, va_t va, uint32_t pcid);
/* #PF: the 4 KB around the address alone. */
void past_drop_fault(struct past *past, va_t va, uint32_t pcid);

/* The last invalidation that a translation of va had to obey: its own 4 KB, or (page_shift above 12) its page's. */
struct moment past_dropped(const struct past *past, va_t va, unsigned page_shift, uint32_t pcid);
/* And an upper entry that was cached by itself. */
struct moment past_dropped_upper(const struct past *past, va_t va, uint32_t pcid);

/* ---- outcomes ---- */

struct controls {
    uint64_t cr0, cr3, cr4, efer;
    bool ac;
};

enum paging { PAGING_OFF, PAGING_TWO_LEVEL, PAGING_PAE, PAGING_FOUR_LEVEL };

struct step {
    pa_t entry;
    pte_t value;
    const struct version *version; /* NULL: the value that memory holds */
    bool leaf;
};

/* One outcome, and the entries that lead there, topmost first. */
struct candidate {
    struct step step[LEVELS];
    unsigned steps;
    uint8_t vector;
    uint32_t error_code;
    pa_t pa;
    uint8_t page_shift;
    bool writable, user, execute_disable, dirty;
    bool reached;  /* the last step is a leaf that maps something, whether or not the access may */
    pte_t missing; /* A, D: not set, though a success would have to set them */
};

struct architecture {
    const struct mmu_ops *inner_ops;
    struct mmu *inner;
    struct mmu_config config;
    struct controls controls;
    uint64_t pdpte[4];
    bool other_nxe; /* EFER.NXE was changed since everything was dropped */
    struct past past;
    const struct mmu_request *request; /* the oldest under way, its address as the mode has it; NULL: none */
    struct mmu_request seen;           /* that */
    const struct mmu_request *requests;
    struct mmu_result *results;
    size_t number, count; /* of the oldest; of those that the MMU has been given at once */
    bool marked_leaf;     /* it set A or D of an entry that can only be its leaf */
    struct report report;
    bool failed, reported;
    struct slot *slots;
    struct machine_board board; /* that a machine has it by */
};

enum paging paging_of(const struct controls *controls);
/* Of a 32-bit address its low half. */
va_t paging_address(enum paging paging, va_t va);
bool paging_canonical(enum paging paging, va_t va);
uint32_t paging_pcid(const struct controls *controls);
unsigned paging_large_shift(enum paging paging);
bool pdpte_is_reserved(const struct architecture *a, pte_t pdpte);
/* SDM 4.6.1: may such an access be made to such a page? */
bool paging_allows(const struct controls *controls, bool nxe, const struct candidate *page,
                   const struct mmu_request *request);

/* Every outcome that the access under way may have: by memory as it is (past false: at most one), or with everything
 * that may still be cached. Stops and returns true when visit does. */
typedef bool (*candidate_fn)(void *ctx, const struct candidate *candidate);
bool walk_candidates(struct architecture *a, bool past, candidate_fn visit, void *ctx);

/* Whether the SDM (volume 3, 2.5, 4.1, 4.10.1, 11.12.4) makes the write #GP on the configured CPU. */
bool control_faults(const struct architecture *a, enum mmu_control which, uint64_t value);

/* After an event of the machine: false if the MMU did something illegal. */
bool architecture_event(struct architecture *a, const struct event *event, struct report *report);
/* The oracle of a machine's MMU; NULL: it has none. */
struct architecture *architecture_of(const struct mmu_ops *ops, struct mmu *mmu);
/* The name of the MMU that is judged. */
const char *architecture_name(const struct architecture *a);

#endif
