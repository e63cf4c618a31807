/* Questions about an address that never fault: NT-19. */
#include "mi.h"

#define LARGE_PAGE_MASK 0x3FFFFFu

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
