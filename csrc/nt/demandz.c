/* Demand-zero pages: NT-53. */
#include "mi.h"

static bool MiIsPageTableAddress(va_t va) { return va >= PTE_BASE && va < MM_HYPER_BASE; }

pte_t MiMakeValidPte(struct os *os, va_t va, pfn_t frame, unsigned protection) {
    if (va < MM_SYSTEM_RANGE_START || MiIsPageTableAddress(va)) { return pte_valid_user(frame, protection); }
    bool process_private = va >= MM_HYPER_BASE && va <= MM_PROCESS_SPACE_END;
    return frame << PTE_FRAME_SHIFT | PTE_VALID | PTE_ACCESSED | pte_protection_bits(protection) |
           (process_private ? 0 : os->GlobalBit);
}

ntstatus_t MiResolveDemandZeroFault(struct os *os, struct mmfault *fault, pte_t old) {
    if (MiSimulateNoFrame(os, fault) || !MiFramesAvailable(os, 1)) { return MI_WAIT_FOR_PAGE; }
    va_t va = page_of(fault->Va), pte_va = fault->PointerPte;
    bool own_colour = MiIsPageTableAddress(va) && fault->Vm->Process;
    pfn_t frame = MiRemoveZeroPage(os, own_colour ? fault->Vm->Process->NextPageColor++ : MiPageColor(os, va));
    pfn_t containing = fault->PageTable ? fault->PageTable : pte_frame(MiReadPte(os, MiGetPteAddress(pte_va)));
    MiInitializePfn(os, frame, pte_va, pte_demand_zero(fault->Protection), PFN_MODIFIED, containing);
    pte_t pte = MiMakeValidPte(os, va, frame, fault->Protection);
    MiChangePte(os, pte_va, old, pte & PTE_WRITE ? pte | PTE_DIRTY : pte);
    MiAddValidPageToWorkingSet(os, fault->Vm, va, frame, false, 0);
    os->MmInfoCounters.DemandZeroCount++;
    fault->Kind = FAULT_DEMAND_ZERO;
    return STATUS_PAGE_FAULT_DEMAND_ZERO;
}
