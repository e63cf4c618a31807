/* Physically contiguous memory, NT-91: a piece of the nonpaged pool that lies in the direct map, or frames of the lists
 * that follow each other, behind system PTEs. */
#include "mi.h"

#define TAG_CONTIGUOUS 0x746E6F43u /* "Cont" */

struct mmcontiguous { /* memory that is not the pool's */
    struct mmcontiguous *Next;
    va_t Base;
    uint32_t Pages;
};

static va_t MiContiguousPool(struct os *os, uint32_t pages, pfn_t highest) {
    va_t va = MiAllocateInitialPool(os, pages << PAGE_SHIFT, TAG_CONTIGUOUS);
    if (va == 0) { return 0; }
    pfn_t first = MmGetPhysicalAddress(os, va) >> PAGE_SHIFT;
    if (first + pages - 1 <= highest) { return va; }
    ExFreePool(os, va);
    return 0;
}

/* The lowest run of frames that are free, or could be taken; 0: none. */
static pfn_t MiFindContiguousFrames(struct os *os, uint32_t pages, pfn_t highest) {
    if (highest >= os->FirstKernelTopFrame) { highest = os->FirstKernelTopFrame - 1; }
    uint32_t run = 0;
    for (pfn_t frame = os->MmFirstFreeFrame; frame <= highest; frame++) {
        struct mmpfn pfn = MiReadPfn(os, frame);
        run = pfn_location(&pfn) == FreePageList || pfn_location(&pfn) == ZeroedPageList ? run + 1 : 0;
        if (run == pages) { return frame + 1 - pages; }
    }
    return 0;
}

static va_t MiContiguousFrames(struct os *os, uint32_t pages, pfn_t highest) {
    if (!MiFramesAvailable(os, pages)) { return 0; }
    pfn_t first = MiFindContiguousFrames(os, pages, highest);
    if (first == 0 || !MiChargeCommitment(os, pages, NULL)) { return 0; }
    first = MiFindContiguousFrames(os, pages, highest); /* others may have taken some while commit was waited for */
    va_t pte = first ? MiReserveSystemPtes(os, pages, 0, 0, 0, false) : 0;
    if (pte == 0) {
        MiReturnCommitment(os, pages, NULL);
        return 0;
    }
    for (uint32_t i = 0; i < pages; i++) {
        MiUnlinkPageFromList(os, first + i);
        MiMapKernelPage(os, pte + PTE_SIZE * i, first + i, 0);
    }
    struct mmcontiguous *memory = MiAllocateHost(os, sizeof *memory);
    *memory = (struct mmcontiguous){os->ContiguousMemory, MiGetVirtualAddressMappedByPte(pte), pages};
    os->ContiguousMemory = memory;
    return memory->Base;
}

va_t MmAllocateContiguousMemory(struct os *os, uint32_t bytes, pa_t highest) {
    if (bytes == 0 || bytes > UINT32_MAX - PAGE_MASK) { return 0; }
    uint32_t pages = (uint32_t)((bytes + PAGE_MASK) >> PAGE_SHIFT);
    va_t va = MiContiguousPool(os, pages, highest >> PAGE_SHIFT);
    return va ? va : MiContiguousFrames(os, pages, highest >> PAGE_SHIFT);
}

void MmFreeContiguousMemory(struct os *os, va_t va) {
    struct mmcontiguous **link = &os->ContiguousMemory;
    while (*link && (*link)->Base != va) { link = &(*link)->Next; }
    struct mmcontiguous *memory = *link;
    if (memory == NULL) {
        ExFreePool(os, va);
        return;
    }
    for (uint32_t i = 0; i < memory->Pages; i++) { MiUnmapKernelPage(os, MiGetPteAddress(va) + PTE_SIZE * i); }
    MiReleaseSystemPtes(os, MiGetPteAddress(va), memory->Pages, 0);
    MiReturnCommitment(os, memory->Pages, NULL);
    *link = memory->Next;
    MiFreeHost(memory);
}

void MiFreeContiguousStructures(struct os *os) {
    while (os->ContiguousMemory) {
        struct mmcontiguous *memory = os->ContiguousMemory;
        os->ContiguousMemory = memory->Next;
        MiFreeHost(memory);
    }
}
