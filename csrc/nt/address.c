/* Questions about an address that never fault: NT-19. */
#include "mi.h"

#define LARGE_PAGE_MASK (MM_PAGE_TABLE_SPAN - 1)

/* The valid entry that translates va, PDE (large) or PTE; 0 if there is none. */
static pte_t MiValidEntry(struct os *os, va_t va) {
    pte_t pde = MiReadPte(os, MiGetPdeAddress(va));
    if (!(pde & PTE_VALID)) { return 0; }
    if (pde & PTE_LARGE) { return pde; }
    pte_t pte = MiReadPte(os, MiGetPteAddress(va));
    return pte & PTE_VALID ? pte : 0;
}

pa_t MmGetPhysicalAddress(struct os *os, va_t va) {
    pte_t entry = MiValidEntry(os, va);
    if (entry == 0) { return 0; }
    bool large = MiReadPte(os, MiGetPdeAddress(va)) & PTE_LARGE;
    if (large) { return (entry & ~(pte_t)LARGE_PAGE_MASK) | (va & LARGE_PAGE_MASK); }
    return pte_frame(entry) << PAGE_SHIFT | (va & PAGE_MASK);
}

bool MmIsAddressValid(struct os *os, va_t va) { return MiValidEntry(os, va) != 0; }

/* What the system working set may lose is no place for data that must be there at any time. */
bool MmIsNonPagedSystemAddressValid(struct os *os, va_t va) {
    bool paged_pool = va >= MM_PAGED_POOL_START && va <= MM_PAGED_POOL_END;
    bool cache = va >= MM_SYSTEM_WS_LIST && va <= MM_SYSTEM_CACHE_END; /* and the system working set's own pages */
    bool pageable = MiIsSystemViewAddress(va) || MiIsPageableDriverAddress(os, va);
    return !paged_pool && !cache && !pageable && MmIsAddressValid(os, va);
}

va_t MmDbgTranslatePhysicalAddress(struct os *os, pa_t pa) {
    va_t pte_va = MiGetPteAddress(MM_DEBUG_PAGE);
    pte_t old = MiReadPte(os, pte_va);
    pte_t pte = (pa & ~(pa_t)PAGE_MASK) | (PTE_TEMPLATE_KERNEL & ~(pte_t)PTE_GLOBAL) | os->GlobalBit;
    if (!(old & PTE_VALID)) { MiIncrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(MM_DEBUG_PAGE)))); }
    MiWritePte(os, pte_va, pte);
    if (MI_MUTANT(189, (old & PTE_VALID), false)) { MiFlushSingleTb(os, MM_DEBUG_PAGE); }
    return MM_DEBUG_PAGE + (pa & PAGE_MASK);
}
