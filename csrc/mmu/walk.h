/* The page walks of 32-bit two-level paging and of PAE (Intel SDM volume 3, 4.3, 4.4, 4.7, 4.8) with their cycles. */
#ifndef MMU_WALK_H
#define MMU_WALK_H

#include "ntmmu/mmu_shortcut.h"
#include "rights.h"

#define LARGE_PAGE_SHIFT     22 /* 4 MB, two-level */
#define LARGE_PAGE_SHIFT_PAE 21 /* 2 MB */
#define PDPTES               4

struct walk_params {
    const struct mmu_memory *memory;
    const struct mmu_ram *ram; /* see mmu_c_use_ram */
    const struct paging_controls *controls;
    const uint64_t *pdpte;  /* PAE: the four registers; NULL: two-level paging */
    unsigned physical_bits; /* MAXPHYADDR */
    va_t va;
    enum mmu_type type;
    enum mmu_mode mode;
    uint64_t cycle; /* in which the first table read is issued */
};

struct walk_result {
    bool faulted;
    uint32_t error_code; /* if it faulted */
    uint8_t page_shift;  /* 12, 21, 22; 0 if no leaf was found */
    /* the translation, if it did not fault; frame is the page's physical address */
    pa_t frame;
    struct page_rights rights;
    bool dirty, global; /* of the leaf as it is now in memory; global only with CR4.PGE */
    uint64_t cycle;     /* in which the walk's outcome is known */
    uint64_t reads, writes;
};

/* SDM 4.4.1: MOV CR3 refuses a present PDPTE with a reserved bit set. */
bool pdpte_reserved(uint64_t pdpte, unsigned physical_bits);

/* Walks until it faults or has committed. Table accesses and restarts are entered in log, whose table_count,
 * table_total and restarts must be 0 at the call. */
void page_walk(const struct walk_params *params, struct walk_result *result, struct mmu_result *log);

#endif
