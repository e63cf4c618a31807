/* Copy-on-write: NT-50. */
#include "mi.h"

struct cow_page {
    va_t Va, PteVa, Prototype;
    pfn_t Frame, PageTable;
    unsigned Protection; /* what the private page gets: write-copy turned into read-write */
    struct eprocess *Process;
};

/* The entry says whether the page has a protection of its own; otherwise the prototype's holds, kept in the PFN. */
static unsigned MiCopiedProtection(struct os *os, const struct cow_page *page, pte_t original_pte) {
    uint32_t index = MiLocateWsle(os, &page->Process->Vm, page->Va, page->Frame);
    uint32_t wsle = MiReadWsle(os, &page->Process->Vm, index);
    unsigned protection = wsle_is_same(os->Config.profile, wsle) ? pte_protection(original_pte)
                                                                 : wsle_protection(os->Config.profile, wsle);
    bool write_copy = (protection & 7) == MM_WRITECOPY || (protection & 7) == MM_EXECUTE_WRITECOPY;
    return write_copy ? protection - MI_MUTANT(160, 1, 0) : protection;
}

static void MiStorePrivatePte(struct os *os, const struct cow_page *page, pfn_t frame) {
    MiWritePte(os, page->PteVa, pte_valid_user(frame, page->Protection) | PTE_DIRTY);
    MI_MUTANT(106, MiFlushSingleTb(os, page->Va), (void)0);
    MiMakeWslePrivate(os, &page->Process->Vm, page->Va, page->Frame, frame);
}

/* The last process that has the page of a fork keeps it. */
static void MiTakeOverClonePage(struct os *os, const struct cow_page *page) {
    struct mmpfn pfn = MiReadPfn(os, page->Frame);
    if (pfn.Flags & PFN_WRITE_IN_PROGRESS) { /* the slot goes when the write has ended: it finds M set */
        pfn.OriginalPte = (mmpte_t)pte_with_protection(pfn.OriginalPte, page->Protection);
    } else {
        MiReleasePageFileSpace(os, pfn.OriginalPte);
        pfn.OriginalPte = (mmpte_t)pte_demand_zero(page->Protection);
    }
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_PROTOTYPE) | PFN_MODIFIED);
    pfn.PteAddress = (uint32_t)page->PteVa;
    pfn.ContainingFrame = (uint32_t)page->PageTable;
    MiStorePrivatePte(os, page, page->Frame);
    pfn.u1 = MiReadPfn(os, page->Frame).u1; /* its working-set index */
    MiWritePfn(os, page->Frame, &pfn);
    MiWritePte(os, page->Prototype, 0);
    MiPrototypeLeftMemory(os, page->Prototype);
    MiDecrementCloneBlockReference(os, page->Process, page->Prototype);
    os->MmInfoCounters.CloneReuse++;
}

static void MiCopyPage(struct os *os, const struct cow_page *page, bool clone) {
    pfn_t copy = MiRemoveAnyPage(os, MiPageColor(os, page->Va));
    MI_MUTANT(159, MiCopyPhysicalPage(os, copy, page->Frame), (void)0);
    MiInitializePfn(os, copy, page->PteVa, pte_demand_zero(page->Protection), PFN_MODIFIED, page->PageTable);
    MiDecrementShareCount(os, page->PageTable); /* the PTE was valid before: one and the same entry */
    MiStorePrivatePte(os, page, copy);
    MiDecrementShareCount(os, page->Frame);
    if (clone) { MiDecrementCloneBlockReference(os, page->Process, page->Prototype); }
    os->MmInfoCounters.CopyOnWriteCount++;
}

ntstatus_t MiCopyOnWrite(struct os *os, va_t va, va_t pte_va, enum fault_kind *kind) {
    struct cow_page page = {.Va = page_of(va), .PteVa = pte_va, .Process = PsGetCurrentProcess(os)};
    page.Frame = pte_frame(MiReadPte(os, pte_va));
    page.PageTable = pte_frame(MiReadPte(os, MiGetPdeAddress(va)));
    struct mmpfn pfn = MiReadPfn(os, page.Frame);
    if (!(pfn.Flags & PFN_PROTOTYPE)) { MiAssert(os, "a copy-on-write page that nobody shares"); }
    page.Prototype = pfn.PteAddress;
    page.Protection = MiCopiedProtection(os, &page, pfn.OriginalPte);
    struct mmclone *clone = MiLocateClone(os, page.Process, page.Prototype);
    if (clone && pfn.u2 == 1 &&
        MI_MUTANT(158, clone->CloneRefCount[(page.Prototype - clone->BasePte) / PTE_SIZE] == 1, true)) {
        MiTakeOverClonePage(os, &page);
        *kind = FAULT_COW_REUSE;
        return STATUS_PAGE_FAULT_COPY_ON_WRITE;
    }
    if (!MiFramesAvailable(os, 1)) { return MI_WAIT_FOR_PAGE; }
    MiCopyPage(os, &page, clone != NULL);
    *kind = clone ? FAULT_COW_FORK : FAULT_COW_FILE;
    return STATUS_PAGE_FAULT_COPY_ON_WRITE;
}
