/* System PTEs: entries of the system page tables that are handed out in runs. NT-16 (small blocks), NT-17 (general
 * lists). The lists are threaded through the free entries themselves, none of which has bit 0 set. A released address
 * is flushed when it is given out again, not before: until then the TLB may still know it. */
#include "mi.h"

#define MI_SYSTEM_PTE_BASE     MiGetPteAddress(MM_SYSTEM_RANGE_START) /* MmSystemPteBase: index 0, NT-101 */
#define MI_REFERENCE_MASK      0xFFFFF000u
#define MI_MINIMUM_FREE        500u /* MinSysPteFree: the pool of blocks leaves as many */
#define MI_BLOCKS_FED          10u
#define MI_BLOCK_LIMIT         4u /* times the low-water mark; what exceeds it goes to the general list */
#define MI_MAXIMUM_SMALL_BLOCK 16u

static const uint8_t MmSysPteIndex[MM_SYS_PTE_CLASSES] = {1, 2, 4, 8, 16};
static const uint8_t MmSysPteTables[MI_MAXIMUM_SMALL_BLOCK + 1] = {0, 0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4};
static const uint8_t MmSysPteMinimumFree[MM_SYS_PTE_CLASSES] = {100, 50, 30, 20, 20};

static uint32_t MiReferenceOf(va_t pte) { return (uint32_t)(pte - MI_SYSTEM_PTE_BASE) / PTE_SIZE << PTE_FRAME_SHIFT; }
static va_t MiReferencedPte(uint32_t reference) {
    return MI_SYSTEM_PTE_BASE + (va_t)(reference >> PTE_FRAME_SHIFT) * PTE_SIZE;
}
static va_t MiNextPte(va_t pte, uint32_t count) { return pte + (va_t)count * PTE_SIZE; }

static uint32_t MiReadFreeEntry(struct os *os, va_t pte) { return pte_free_entry(MiReadPte(os, pte)); }

/* With PAE the list's end is FFFFFFFF, NT-12. */
static void MiWriteFreeEntry(struct os *os, va_t pte, uint32_t value) {
#if MI_PAE
    bool last = (value & MI_REFERENCE_MASK) == MM_PTE_LIST_END;
    mmpte_t entry = pae_list(last ? PAE_LIST_END : value >> PTE_FRAME_SHIFT, value & MM_PTE_ONE_ENTRY);
    os->M->ops->write(os->M, pte, &entry, sizeof entry);
#else
    MiWrite32(os, pte, value);
#endif
}

/* ---- the general lists, NT-17 ---- */

struct system_pte_run {
    va_t pte;
    uint32_t next, count;
};

/* The lists are in the entries themselves: one that was written over may lead anywhere. */
static void MiCheckSystemPtes(struct os *os, unsigned space, va_t pte, uint32_t count) {
    const struct mmsysptes *ptes = &os->SystemPtes;
    if (pte < ptes->MmSystemPtesStart[space] || MiNextPte(pte, count) > ptes->MmSystemPtesEnd[space]) {
        MiAssert(os, "the list of free system PTEs leads out of their space");
    }
}

static struct system_pte_run MiReadRun(struct os *os, unsigned space, uint32_t reference) {
    struct system_pte_run run = {.pte = MiReferencedPte(reference), .count = 1};
    uint32_t first = MiReadFreeEntry(os, run.pte);
    run.next = first & MI_REFERENCE_MASK;
    /* the end is the highest; a list that was written over may lead back */
    if (run.next <= reference) { MiAssert(os, "the free system PTEs are not in order of address"); }
    if (!(first & MM_PTE_ONE_ENTRY)) { run.count = MiReadFreeEntry(os, MiNextPte(run.pte, 1)) >> PTE_FRAME_SHIFT; }
    MiCheckSystemPtes(os, space, run.pte, run.count);
    return run;
}

static void MiWriteRun(struct os *os, const struct system_pte_run *run) {
    MiWriteFreeEntry(os, run->pte, run->next | (run->count == 1 ? MM_PTE_ONE_ENTRY : 0));
    if (run->count > 1) { MiWriteFreeEntry(os, MiNextPte(run->pte, 1), run->count << PTE_FRAME_SHIFT); }
}

/* before: the run in front of the place, count 0 if it is the head. */
static void MiLinkAfter(struct os *os, unsigned space, struct system_pte_run *before, uint32_t reference) {
    if (before->count == 0) {
        os->SystemPtes.MmFirstFreeSystemPte[space] = reference;
        return;
    }
    before->next = reference;
    MiWriteRun(os, before);
}

/* Where in the run a block of count entries may begin; -1: nowhere. Without an alignment: at its end. */
static int64_t MiPlaceInRun(const struct system_pte_run *run, uint32_t count, uint32_t alignment, uint32_t offset) {
    if (run->count < count) { return -1; }
    if (alignment <= PAGE_SIZE && alignment != 0) { return 0; }
    if (alignment == 0) { return run->count - count; }
    va_t va = MiGetVirtualAddressMappedByPte(run->pte);
    uint32_t skip = (uint32_t)((offset - va) & (alignment - 1)) >> PAGE_SHIFT;
    return skip <= run->count - count ? (int64_t)skip : -1;
}

static void MiSplitRun(struct os *os, unsigned space, struct system_pte_run *before, const struct system_pte_run *run,
                       uint32_t at, uint32_t count) {
    struct system_pte_run rest = {MiNextPte(run->pte, at + count), run->next, run->count - at - count};
    struct system_pte_run front = {run->pte, run->next, at};
    MiWriteFreeEntry(os, run->pte, 0);
    if (run->count > 1) { MiWriteFreeEntry(os, MiNextPte(run->pte, 1), 0); }
    if (rest.count) {
        MiWriteRun(os, &rest);
        front.next = MiReferenceOf(rest.pte);
    }
    if (front.count) {
        MiWriteRun(os, &front);
    } else {
        MiLinkAfter(os, space, before, front.next);
    }
}

/* First fit by address. The entries taken are 0. Returns the first one's address, or 0. No flush. */
static va_t MiTakeRun(struct os *os, unsigned space, uint32_t count, uint32_t alignment, uint32_t offset) {
    struct mmsysptes *ptes = &os->SystemPtes;
    struct system_pte_run before = {0};
    for (uint32_t at = ptes->MmFirstFreeSystemPte[space]; at != MM_PTE_LIST_END;) {
        struct system_pte_run run = MiReadRun(os, space, at);
        int64_t place = MiPlaceInRun(&run, count, alignment, offset);
        if (place >= 0) {
            MiSplitRun(os, space, &before, &run, (uint32_t)place, count);
            ptes->MmTotalFreeSystemPtes[space] -= count;
            return MiNextPte(run.pte, (uint32_t)place);
        }
        before = run;
        at = run.next;
    }
    return 0;
}

/* Zeroed entries go back in order of address and grow together with their neighbours. */
static void MiInsertRun(struct os *os, unsigned space, va_t pte, uint32_t count) {
    struct mmsysptes *ptes = &os->SystemPtes;
    struct system_pte_run before = {0}, run = {pte, ptes->MmFirstFreeSystemPte[space], count};
    while (run.next != MM_PTE_LIST_END && MiReferencedPte(run.next) < pte) {
        before = MiReadRun(os, space, run.next);
        run.next = before.next;
    }
    ptes->MmTotalFreeSystemPtes[space] += count;
    if (run.next != MM_PTE_LIST_END && MiReferencedPte(run.next) == MiNextPte(pte, count)) {
        struct system_pte_run after = MiReadRun(os, space, run.next);
        MiWriteFreeEntry(os, after.pte, 0);
        if (after.count > 1) { MiWriteFreeEntry(os, MiNextPte(after.pte, 1), 0); }
        run.next = after.next;
        run.count += after.count;
    }
    if (before.count && MiNextPte(before.pte, before.count) == pte) {
        before.next = run.next;
        before.count += run.count;
        MiWriteRun(os, &before);
        return;
    }
    MiWriteRun(os, &run);
    MiLinkAfter(os, space, &before, MiReferenceOf(pte));
}

/* ---- the pool of small blocks, NT-16 ---- */

static void MiAppendBlock(struct os *os, unsigned class, va_t pte) {
    struct mmsysptes *ptes = &os->SystemPtes;
    uint32_t reference = MiReferenceOf(pte);
    MiWriteFreeEntry(os, pte, MM_PTE_LIST_END);
    if (class > 0) { MiWriteFreeEntry(os, MiNextPte(pte, 1), os->MmFlushCounter); }
    if (ptes->MmSysPteListBySizeCount[class]++ == 0) {
        ptes->MmFreeSysPteListBySize[class] = reference;
    } else {
        MiWriteFreeEntry(os, MiReferencedPte(ptes->MmLastSysPteListBySize[class]), reference);
    }
    ptes->MmLastSysPteListBySize[class] = reference;
}

static void MiFeedSysPtePool(struct os *os, unsigned class) {
    for (unsigned i = 0; i < MI_BLOCKS_FED && os->SystemPtes.MmTotalFreeSystemPtes[0] > MI_MINIMUM_FREE; i++) {
        va_t pte = MiTakeRun(os, 0, MmSysPteIndex[class], 0, 0);
        if (pte == 0) { return; }
        MiAppendBlock(os, class, pte);
    }
}

/* 0: the class has no block and gets none. */
static va_t MiTakeSystemPteBlock(struct os *os, unsigned class) {
    struct mmsysptes *ptes = &os->SystemPtes;
    if (ptes->MmSysPteListBySizeCount[class] == 0) { MiFeedSysPtePool(os, class); }
    if (ptes->MmSysPteListBySizeCount[class] == 0) { return 0; }
    va_t pte = MiReferencedPte(ptes->MmFreeSysPteListBySize[class]);
    MiCheckSystemPtes(os, 0, pte, MmSysPteIndex[class]);
    ptes->MmFreeSysPteListBySize[class] = MiReadFreeEntry(os, pte) & MI_REFERENCE_MASK;
    ptes->MmSysPteListBySizeCount[class]--;
    MiWriteFreeEntry(os, pte, 0);
    if (class == 0) {
        MI_MUTANT(115, MiFlushSingleTb(os, MiGetVirtualAddressMappedByPte(pte)), (void)0);
    } else {
        bool stale = MiReadFreeEntry(os, MiNextPte(pte, 1)) == os->MmFlushCounter; /* no full flush since its release */
        MiWriteFreeEntry(os, MiNextPte(pte, 1), 0);
        if (MI_MUTANT(114, stale, false)) { MiFlushEntireTb(os); }
    }
    if (ptes->MmSysPteListBySizeCount[class] < MmSysPteMinimumFree[class]) { MiFeedSysPtePool(os, class); }
    return pte;
}

/* ---- offered ---- */

static bool MiIsSmallBlock(unsigned space, uint32_t count) { return space == 0 && count <= MI_MAXIMUM_SMALL_BLOCK; }
static uint32_t MiRoundedCount(unsigned space, uint32_t count) {
    return MiIsSmallBlock(space, count) ? MmSysPteIndex[MmSysPteTables[count]] : count;
}

static va_t MiReserveSystemPtes2(struct os *os, uint32_t count, unsigned space, uint32_t alignment, uint32_t offset,
                                 bool bugcheck_on_failure) {
    struct mmsysptes *ptes = &os->SystemPtes;
    va_t pte = MiTakeRun(os, space, count, alignment, offset);
    if (pte != 0) {
        MI_MUTANT(116, MiFlushEntireTb(os), (void)0);
        return pte;
    }
    if (bugcheck_on_failure) {
        uint32_t total = (uint32_t)(ptes->MmSystemPtesEnd[space] - ptes->MmSystemPtesStart[space]) / PTE_SIZE;
        KeBugCheckEx(os, BUGCHECK_NO_MORE_SYSTEM_PTES, space, count, ptes->MmTotalFreeSystemPtes[space], total);
    }
    return 0;
}

va_t MiReserveSystemPtes(struct os *os, uint32_t count, unsigned space, uint32_t alignment, uint32_t offset,
                         bool bugcheck_on_failure) {
    uint32_t rounded = MiRoundedCount(space, count);
    va_t pte = 0;
    if (alignment == 0 && MiIsSmallBlock(space, count)) { pte = MiTakeSystemPteBlock(os, MmSysPteTables[count]); }
    if (pte == 0) { pte = MiReserveSystemPtes2(os, rounded, space, alignment, offset, bugcheck_on_failure); }
    if (pte != 0) { os->SystemPtes.Reserved[space] += rounded; }
    return pte;
}

void MiReleaseSystemPtes(struct os *os, va_t pte, uint32_t count, unsigned space) {
    struct mmsysptes *ptes = &os->SystemPtes;
    uint32_t rounded = MiRoundedCount(space, count);
    for (uint32_t i = 0; i < rounded; i++) {
        if (MiReadPte(os, MiNextPte(pte, i)) != 0) { MiWritePte(os, MiNextPte(pte, i), 0); }
    }
    ptes->Reserved[space] -= rounded;
    unsigned class = MiIsSmallBlock(space, count) ? MmSysPteTables[count] : MM_SYS_PTE_CLASSES;
    if (class < MM_SYS_PTE_CLASSES &&
        ptes->MmSysPteListBySizeCount[class] < MI_BLOCK_LIMIT * MmSysPteMinimumFree[class]) {
        MiAppendBlock(os, class, pte);
    } else {
        MiInsertRun(os, space, pte, rounded);
    }
}

pte_t MiKernelPte(const struct os *os, pfn_t frame) {
    return frame << PTE_FRAME_SHIFT | (PTE_TEMPLATE_KERNEL & ~(pte_t)PTE_GLOBAL) | os->GlobalBit;
}

void MiInitializeSystemPtes(struct os *os, va_t pte, uint32_t count, unsigned space) {
    struct mmsysptes *ptes = &os->SystemPtes;
    const struct system_pte_run run = {pte, MM_PTE_LIST_END, count};
    ptes->MmSystemPtesStart[space] = pte;
    ptes->MmSystemPtesEnd[space] = MiNextPte(pte, count);
    ptes->MmFirstFreeSystemPte[space] = MiReferenceOf(pte);
    ptes->MmTotalFreeSystemPtes[space] = count;
    MiWriteRun(os, &run);
    for (unsigned class = 0; space == 0 && class < MM_SYS_PTE_CLASSES; class ++) {
        ptes->MmFreeSysPteListBySize[class] = ptes->MmLastSysPteListBySize[class] = MM_PTE_LIST_END;
        while (ptes->MmSysPteListBySizeCount[class] < MmSysPteMinimumFree[class]) { MiFeedSysPtePool(os, class); }
    }
}

void MiMapKernelPage(struct os *os, va_t pte, pfn_t frame, pte_t attributes) {
    pfn_t table = pte_frame(MiReadPte(os, MiGetPdeAddress(MiGetVirtualAddressMappedByPte(pte))));
    MiInitializePfn(os, frame, pte, pte_demand_zero(MM_READWRITE), PFN_MODIFIED, table);
    MiWritePte(os, pte, MiKernelPte(os, frame) | attributes);
}

void MiUnmapKernelPage(struct os *os, va_t pte) {
    pfn_t frame = pte_frame(MiReadPte(os, pte));
    pfn_t table = pte_frame(MiReadPte(os, MiGetPdeAddress(MiGetVirtualAddressMappedByPte(pte))));
    MiWritePte(os, pte, 0);
    MiSetPfnDeleted(os, frame);
    MiDecrementShareCount(os, frame);
    MiDecrementShareCount(os, table);
}

/* ---- views ---- */

void mi_view_system_ptes(const struct os *os, struct nt_system_ptes_view *out) {
    const struct mmsysptes *ptes = &os->SystemPtes;
    *out = (struct nt_system_ptes_view){.base = MI_SYSTEM_PTE_BASE, .flush_counter = os->MmFlushCounter};
    for (unsigned space = 0; space < MM_SYSTEM_PTE_SPACES; space++) {
        out->start[space] = ptes->MmSystemPtesStart[space];
        out->end[space] = ptes->MmSystemPtesEnd[space];
        out->first_free[space] = ptes->MmFirstFreeSystemPte[space];
        out->total_free[space] = ptes->MmTotalFreeSystemPtes[space];
        out->reserved[space] = ptes->Reserved[space];
    }
    for (unsigned class = 0; class < MM_SYS_PTE_CLASSES; class ++) {
        out->block[class].size = MmSysPteIndex[class];
        out->block[class].minimum = MmSysPteMinimumFree[class];
        out->block[class].count = ptes->MmSysPteListBySizeCount[class];
        out->block[class].first = ptes->MmFreeSysPteListBySize[class];
        out->block[class].last = ptes->MmLastSysPteListBySize[class];
    }
}
