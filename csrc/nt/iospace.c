/* I/O space and noncached memory behind system PTEs: NT-91. Device memory has no PFN entries, and nothing here touches
 * any; noncached memory is ordinary frames of the kernel's own (P35). */
#include "mi.h"

static uint32_t MiSpanned(pa_t from, uint32_t bytes) {
    return (uint32_t)(((from & PAGE_MASK) + bytes + PAGE_MASK) >> PAGE_SHIFT);
}

va_t MmMapIoSpace(struct os *os, pa_t pa, uint32_t bytes, bool cached) {
    uint32_t pages = MiSpanned(pa, bytes);
    va_t pte = pages ? MiReserveSystemPtes(os, pages, 0, 0, 0, false) : 0;
    if (pte == 0) { return 0; }
    for (uint32_t i = 0; i < pages; i++) {
        MiWritePte(os, pte + PTE_SIZE * i, MiKernelPte(os, (pa >> PAGE_SHIFT) + i) | (cached ? 0 : PTE_CACHE_DISABLE));
    }
    return MiGetVirtualAddressMappedByPte(pte) + (pa & PAGE_MASK);
}

void MmUnmapIoSpace(struct os *os, va_t va, uint32_t bytes) {
    MiReleaseSystemPtes(os, MiGetPteAddress(va), MiSpanned(va, bytes), 0);
}

va_t MmAllocateNonCachedMemory(struct os *os, uint32_t bytes) {
    uint32_t pages = MiSpanned(0, bytes);
    if (pages == 0 || !NT_SUCCESS(MiChargeFrames(os, pages))) { return 0; }
    va_t pte = MiReserveSystemPtes(os, pages, 0, 0, 0, false);
    if (pte == 0) {
        MiReturnCommitment(os, pages, NULL);
        return 0;
    }
    for (uint32_t i = 0; i < pages; i++) {
        va_t va = MiGetVirtualAddressMappedByPte(pte + PTE_SIZE * i);
        MiMapKernelPage(os, pte + PTE_SIZE * i, MiRemoveAnyPage(os, MiPageColor(os, va)), PTE_CACHE_DISABLE);
    }
    return MiGetVirtualAddressMappedByPte(pte);
}

void MmFreeNonCachedMemory(struct os *os, va_t va, uint32_t bytes) {
    uint32_t pages = MiSpanned(0, bytes);
    for (uint32_t i = 0; i < pages; i++) { MiUnmapKernelPage(os, MiGetPteAddress(va) + PTE_SIZE * i); }
    MiReleaseSystemPtes(os, MiGetPteAddress(va), pages, 0);
    MiReturnCommitment(os, pages, NULL);
}
