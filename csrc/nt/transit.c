/* Transition faults: a page that was taken from the working set comes back without I/O. NT-54. */
#include "mi.h"

/* Page tables and pages of the system are stored through other mappings, too, which their own D knows nothing of; the
 * templates 067 and 163 have it set (NT-46 K5). */
static bool MiBornDirty(const struct mmfault *fault, const struct mmpfn *pfn) {
    return (pfn->Flags & PFN_MODIFIED) || fault->Write || fault->Va >= MM_SYSTEM_RANGE_START;
}

static void MiMakeFrameValid(struct os *os, struct mmfault *fault, pfn_t frame, struct mmpfn *pfn, pte_t old) {
    pfn->u2 = 1;
    pfn->Flags = (uint16_t)((pfn->Flags & ~PFN_LOCATION) | ActiveAndValid << PFN_LOCATION_SHIFT);
    MiWritePfn(os, frame, pfn);
    pte_t pte = MiMakeValidPte(os, fault->Va, frame, fault->Protection);
    if ((pte & PTE_WRITE) && MI_MUTANT(128, MiBornDirty(fault, pfn), fault->Write)) { pte |= PTE_DIRTY; }
    MiChangePte(os, fault->PointerPte, old, pte);
    MiAddValidPageToWorkingSet(os, fault->Vm, page_of(fault->Va), frame, false, 0);
}

void MiMakeTransitionPageValid(struct os *os, struct mmfault *fault, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiMakeFrameValid(os, fault, frame, &pfn, MiReadPte(os, fault->PointerPte));
}

ntstatus_t MiResolveTransitionFault(struct os *os, struct mmfault *fault, pte_t pte) {
    pfn_t frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (MI_MUTANT(161, (pfn.Flags & PFN_READ_IN_PROGRESS), false)) {
        return MiWaitForReadInProgress(os, frame, &fault->IoStatus);
    }
    if (pfn.Flags & PFN_IN_PAGE_ERROR) {
        fault->IoStatus = pfn.u1;
        return STATUS_IN_PAGE_ERROR;
    }
    pfn = MiReferenceTransitionPfn(os, frame, pfn);
    MiMakeFrameValid(os, fault, frame, &pfn, pte);
    os->MmInfoCounters.TransitionCount++;
    fault->Kind = FAULT_TRANSITION;
    return STATUS_PAGE_FAULT_TRANSITION;
}
