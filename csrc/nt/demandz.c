/* Demand-zero pages: NT-53. */
#include "mi.h"

static bool MiIsPageTableAddress(va_t va) { return va >= PTE_BASE && va < MM_HYPER_BASE; }

pte_t MiMakeValidPte(struct os *os, va_t va, pfn_t frame, unsigned protection) {
    if (va < MM_SYSTEM_RANGE_START || MiIsPageTableAddress(va)) { return pte_valid_user(frame, protection); }
    bool process_private = va >= MM_HYPER_BASE && va <= MM_PROCESS_SPACE_END;
    return frame << PTE_FRAME_SHIFT | PTE_VALID | PTE_ACCESSED | pte_protection_bits(protection) |
           (process_private ? 0 : os->GlobalBit);
}

ntstatus_t MiMakeDemandZeroPage(struct os *os, struct mmsupport *vm, va_t va, va_t pte_va, unsigned protection) {
    if (!MiFramesAvailable(os, 1)) { return MI_WAIT_FOR_PAGE; }
    bool table = MiIsPageTableAddress(va);
    uint32_t colour = table && vm->Process ? vm->Process->NextPageColor++ : MiPageColor(os, va);
    pfn_t frame = MiRemoveZeroPage(os, colour);
    pfn_t containing = pte_frame(MiReadPte(os, MiGetPteAddress(pte_va)));
    MiInitializePfn(os, frame, pte_va, pte_demand_zero(protection), PFN_MODIFIED, containing);
    pte_t pte = MiMakeValidPte(os, va, frame, protection);
    MiWritePte(os, pte_va, pte & PTE_WRITE ? pte | PTE_DIRTY : pte);
    MiAddValidPageToWorkingSet(os, vm, va, frame, false, 0);
    os->MmInfoCounters.DemandZeroCount++;
    return STATUS_PAGE_FAULT_DEMAND_ZERO;
}

ntstatus_t MiResolveDemandZeroFault(struct os *os, struct mmfault *fault) {
    if (MiSimulateNoFrame(os, fault)) { return MI_WAIT_FOR_PAGE; }
    ntstatus_t status = MiMakeDemandZeroPage(os, fault->Vm, page_of(fault->Va), fault->PointerPte, fault->Protection);
    if (NT_SUCCESS(status)) { fault->Kind = FAULT_DEMAND_ZERO; }
    return status;
}
