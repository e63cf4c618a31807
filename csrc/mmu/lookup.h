/* What a look-up finds, without touching anything: the second level's arrays, and where a walk begins. */
#ifndef MMU_LOOKUP_H
#define MMU_LOOKUP_H

#include "mmu_priv.h"

/* ---- the second level: one class a cycle, all arrays in step ---- */

struct second_lookup {
    unsigned cycles; /* that it took */
    struct tlb *tlb; /* that holds the page; NULL: none does */
    unsigned index;
    struct tlb *pde_tlb; /* that holds a PDE for the address; NULL: none was found */
    unsigned pde_index;
};

static inline void probe(struct mmu *mmu, enum tlb_side side, unsigned k, va_t va, struct second_lookup *found) {
    unsigned first, numbers = preset_arrays(&mmu->config.preset, side, 2, &first);
    for (unsigned i = 0; i < numbers; i++) {
        unsigned tlb_class = mmu->probe_class[side][i][k];
        if (tlb_class == TLB_CLASSES) { continue; }
        struct tlb *tlb = &mmu->array[first + i];
        int index = tlb_find(tlb, tag_of(mmu, tlb_class, va), mmu->mode.tagged);
        if (index == TLB_NONE) { continue; }
        if (tlb_class == TLB_PDE) {
            found->pde_tlb = tlb;
            found->pde_index = (unsigned)index;
        } else if (!found->tlb) {
            found->tlb = tlb;
            found->index = (unsigned)index;
        }
    }
}

static inline void look_up_second(struct mmu *mmu, enum tlb_side side, va_t va, struct second_lookup *found) {
    unsigned k = 0, at_least = mmu->config.preset.stlb_cycles;
    while (k < mmu->probes[side] && !found->tlb) { probe(mmu, side, k++, va, found); }
    found->cycles = k > at_least ? k : at_least;
}

/* Where a walk began that did not begin at the root. */
struct walk_origin {
    struct tlb *tlb; /* NULL: at the root */
    unsigned index;
};

/* Below the deepest entry that matches; a PDE entry of the second level is as deep as the PDE cache's. */
static inline struct walk_start find_start(struct mmu *mmu, va_t va, const struct second_lookup *second,
                                           struct walk_origin *origin) {
    for (unsigned level = LEVEL_PDE; level <= mmu->mode.format->root_level; level++) {
        struct tlb *tlb = &mmu->array[ARRAY_PSC_PDE + level - LEVEL_PDE];
        int index = tlb_find(tlb, psc_tag(mmu, level, va), false);
        if (index != TLB_NONE) {
            *origin = (struct walk_origin){.tlb = tlb, .index = (unsigned)index};
        } else if (level == LEVEL_PDE && second->pde_tlb) {
            *origin = (struct walk_origin){.tlb = second->pde_tlb, .index = second->pde_index};
        } else {
            continue;
        }
        const struct tlb_entry *entry = &origin->tlb->entry[origin->index];
        struct page_rights rights = MUT(41, entry->rights, ((struct page_rights){.writable = true, .user = true}));
        return (struct walk_start){.table = {.pa = entry->frame, .rights = rights}, .level = level - 1};
    }
    return (struct walk_start){0};
}

#endif
