/* Transition faults: a page that was taken from the working set comes back without I/O. NT-54. */
#include "mi.h"

ntstatus_t MiResolveTransitionFault(struct os *os, struct mmfault *fault) {
    pfn_t frame = pte_frame(MiReadPte(os, fault->PointerPte));
    struct mmpfn pfn = MiReferenceTransitionPage(os, frame);
    pfn.u2 = 1;
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_LOCATION) | ActiveAndValid << PFN_LOCATION_SHIFT);
    MiWritePfn(os, frame, &pfn);
    pte_t pte = MiMakeValidPte(os, fault->Va, frame, fault->Protection);
    bool dirty = (pte & PTE_WRITE) && ((pfn.Flags & PFN_MODIFIED) || fault->Write);
    MiWritePte(os, fault->PointerPte, dirty ? pte | PTE_DIRTY : pte);
    MiAddValidPageToWorkingSet(os, fault->Vm, page_of(fault->Va), frame, false, 0);
    os->MmInfoCounters.TransitionCount++;
    fault->Kind = FAULT_TRANSITION;
    return STATUS_PAGE_FAULT_TRANSITION;
}
