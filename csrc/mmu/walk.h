/* The page walk of every mode (Intel SDM volume 3, 4.3 to 4.8) with its cycles. */
#ifndef MMU_WALK_H
#define MMU_WALK_H

#include "format.h"
#include "ntmmu/mmu_shortcut.h"
#include "tlb.h"

/* A table and the rights of the way down to it. */
struct walk_table {
    pa_t pa;
    struct page_rights rights;
};

/* Where a walk begins that does not begin at the root. */
struct walk_start {
    struct walk_table table;
    unsigned level; /* of the table's entries; 0: begin at the root */
};

/* What all walks of an MMU go by. */
struct walk_context {
    const struct mmu_memory *memory;
    const struct mmu_ram *ram; /* see mmu_c_use_ram */
    const struct paging_controls *controls;
    const struct paging_mode *mode;
    const uint64_t *pdpte; /* PAE: the four registers */
    uint64_t late;         /* cycles by which the answer to the last exchange came later than its latency says */
};

/* The table that a walk from the root begins with. False: the PDPTE register (SDM 4.4.1) is not present. */
static inline bool root_table(const struct walk_context *context, const struct paging_format *format, va_t va,
                              pa_t *table) {
    if (!format->has_pdptes) {
        *table = context->controls->cr3 & format->root_mask;
        return true;
    }
    uint64_t pdpte = context->pdpte[va >> 30 & (PDPTES - 1)];
    *table = pdpte & format->root_mask;
    return pdpte & ENTRY_P;
}

struct walk_params {
    const struct walk_context *context;
    const struct walk_start *start; /* NULL: the root, and the result's below[] is not wanted */
    va_t va;                        /* without the bits that the mode does not translate */
    enum mmu_type type;
    enum mmu_mode access_mode;
    uint64_t cycle; /* in which the first table read is issued */
};

struct walk_result {
    bool faulted, restarted;
    uint32_t error_code;             /* if it faulted */
    uint8_t page_shift;              /* 12, 21, 22, 30; 0 if no leaf was found */
    uint8_t level;                   /* of the leaf */
    uint8_t first_level;             /* of the first entry that was read (after the last restart) */
    struct tlb_entry leaf;           /* if it did not fault; D as it is now in memory, G only with CR4.PGE */
    struct walk_table below[LEVELS]; /* of each upper entry read, by its level: what it points to */
    uint64_t cycle;                  /* in which the walk's outcome is known */
    uint64_t reads, writes;
};

/* Walks until it faults or has committed. Table accesses and restarts are entered in log, whose table_count,
 * table_total and restarts must be 0 at the call. */
void page_walk(const struct walk_params *params, struct walk_result *result, struct mmu_result *log);
/* The same after an exchange that failed: result and log are as they were then. */
void page_walk_again(const struct walk_params *params, struct walk_result *result, struct mmu_result *log);

/* Reads a table entry outside a walk: the same memory, the same time. */
uint64_t read_table(const struct mmu_memory *memory, const struct mmu_ram *ram, pa_t pa, unsigned bytes,
                    uint64_t *cycle);

#endif
