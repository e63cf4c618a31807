/* What each event drops: the table in rtl/README.md, "Invalidation" (Intel SDM volume 3, 4.10.4). */
#include "mmu_priv.h"

static bool is_tlb(unsigned number) { return number < ARRAY_PSC_PDE; }

/* ---- one address ---- */

__attribute__((always_inline)) static inline void drop_level(struct mmu *mmu, enum tlb_side side, unsigned level,
                                                             unsigned classes, va_t va) {
#pragma GCC unroll 4
    for (unsigned tlb_class = 0; tlb_class < classes; tlb_class++) {
        struct tlb *tlb = mmu->of[side][level - 1][tlb_class];
        if (!tlb || tlb->valid == 0 || MUT(5, false, tlb_class == TLB_LARGE && (va & 0x1FF000))) { continue; }
        bool dropped = tlb_drop(tlb, tag_of(mmu, tlb_class, va), mmu->mode.tagged);
        if (dropped && tlb_class != TLB_4K) { shortcuts_forget_all(mmu); }
    }
}

static inline void drop_first(struct mmu *mmu, enum tlb_side side, va_t va) {
    drop_level(mmu, side, 1, TLB_PAGE_SIZES, va);
    shortcuts_forget_page(mmu, side, va);
}

void drop_side(struct mmu *mmu, enum tlb_side side, va_t va) { drop_first(mmu, side, va); }

static bool is_fragment(const struct tlb *tlb, unsigned index, uint64_t pcid) {
    (void)pcid;
    return tlb->entry[index].fragment;
}

static void drop_fragments(struct mmu *mmu) {
    if (!mmu->fragments || MUT(48, false, true)) { return; }
    for (unsigned i = 0; is_tlb(i); i++) { tlb_drop_if(&mmu->array[i], is_fragment, 0); }
    mmu->fragments = false;
    shortcuts_forget_all(mmu);
}

static bool is_pde(const struct tlb *tlb, unsigned index, uint64_t pcid) {
    (void)pcid;
    return tag_class(tlb->tag[index]) == TLB_PDE;
}

static void drop_pdes(struct mmu *mmu) {
    for (unsigned i = 0; is_tlb(i); i++) {
        if (mmu->array[i].geometry.classes >> TLB_PDE & 1) { tlb_drop_if(&mmu->array[i], is_pde, 0); }
    }
}

static bool has_pcid(const struct tlb *tlb, unsigned index, uint64_t pcid) { return tag_pcid(tlb->tag[index]) == pcid; }

static void drop_psc_of(struct mmu *mmu, uint64_t pcid) {
    for (unsigned i = ARRAY_PSC_PDE; i < MMU_ARRAYS; i++) { tlb_drop_if(&mmu->array[i], has_pcid, pcid); }
}

static void drop_psc_covering(struct mmu *mmu, va_t va) {
    for (unsigned level = LEVEL_PDE; level <= mmu->mode.format->root_level; level++) {
        tlb_drop(&mmu->array[ARRAY_PSC_PDE + level - LEVEL_PDE], psc_tag(mmu, level, va), false);
    }
}

void drop_address(struct mmu *mmu, va_t va) {
    if (MUT(29, true, false)) { drop_first(mmu, TLB_INSTRUCTION, va); }
    drop_first(mmu, TLB_DATA, va);
    if (mmu->plain) { return; }
    for (enum tlb_side side = 0; side < MUT(46, TLB_SIDES, 0); side++) { drop_level(mmu, side, 2, TLB_PAGE_SIZES, va); }
    drop_fragments(mmu);
    drop_pdes(mmu);
    if (MUT(97, false, true)) {
        drop_psc_covering(mmu, va);
    } else if (MUT(47, true, false)) {
        drop_psc_of(mmu, mmu->mode.pcid);
    }
}

void drop_after_fault(struct mmu *mmu, va_t va) {
    for (enum tlb_side side = 0; side < TLB_SIDES; side++) { drop_first(mmu, side, va); }
    if (mmu->plain) { return; }
    for (enum tlb_side side = 0; side < TLB_SIDES; side++) { drop_level(mmu, side, 2, TLB_CLASSES, va); }
    drop_fragments(mmu);
    drop_psc_covering(mmu, va);
}

/* ---- whole contexts ---- */

static bool is_not_global(const struct tlb *tlb, unsigned index, uint64_t pcid) {
    (void)pcid;
    return !tlb->entry[index].global;
}

void drop_everything(struct mmu *mmu) {
    shortcuts_forget_all(mmu);
    mmu->fragments = false;
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        if (MUT(8, false, i >= ARRAY_DTLB && i < ARRAY_ISTLB)) { continue; }
        if (MUT(61, false, mmu->array[i].geometry.classes >> TLB_LARGE & 1)) {
            tlb_drop_if(&mmu->array[i], is_not_global, 0);
        } else {
            tlb_drop_all(&mmu->array[i]);
        }
    }
}

void drop_not_global(struct mmu *mmu) {
    shortcuts_forget_all(mmu);
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        if (is_tlb(i)) {
            tlb_drop_if(&mmu->array[i], is_not_global, 0);
        } else {
            tlb_drop_all(&mmu->array[i]);
        }
    }
}

static bool is_private(const struct tlb *tlb, unsigned index, uint64_t pcid) {
    return !tlb->entry[index].global && has_pcid(tlb, index, pcid);
}

void drop_context(struct mmu *mmu, unsigned pcid) {
    shortcuts_forget_all(mmu);
    for (unsigned i = 0; i < MMU_ARRAYS; i++) { tlb_drop_if(&mmu->array[i], is_private, pcid); }
}

/* Without G, whatever PCID is current. */
void drop_address_of(struct mmu *mmu, unsigned pcid, va_t va) {
    shortcuts_forget_all(mmu);
    for (unsigned number = 0; is_tlb(number); number++) {
        struct tlb *tlb = &mmu->array[number];
        for (unsigned tlb_class = 0; tlb_class < TLB_PAGE_SIZES; tlb_class++) {
            if (!(tlb->geometry.classes >> tlb_class & 1)) { continue; }
            uint64_t tag = tlb_tag(va >> mmu->mode.shift[tlb_class], tlb_class, pcid);
            unsigned first = tlb_set(tlb, tag);
            for (unsigned i = first; i < first + tlb->geometry.ways; i++) {
                if (tlb->tag[i] == tag && !tlb->entry[i].global) { tlb_drop_at(tlb, i); }
            }
        }
    }
    drop_fragments(mmu);
    drop_pdes(mmu);
    drop_psc_of(mmu, MUT(62, pcid, mmu->mode.pcid));
}
