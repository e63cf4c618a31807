/* Mapping the pages of memory descriptor lists: NT-88. In the kernel they get system PTEs, which go back without a
 * flush (NT-16); in a process a VAD of their own, whose pages are in no working set. */
#include "mdl.h"

#include <stdlib.h>

#define MI_CRASH_DUMP_PAGES 16u
#define MI_TOO_MANY_PAGES   0x7777u
#define MI_CACHE_CONFLICT   0x1000u

static va_t MiMdlOffset(struct os *os, const struct mmmdl *mdl) { return MiRead32(os, mdl->Address + MDL_BYTE_OFFSET); }

static int MiCompareNumbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Frame and index of each page, in order. */
static uint64_t *MiSortFrames(struct os *os, const struct mmmdl *mdl) {
    uint64_t *sorted = MiAllocateHost(os, mdl->Pages * sizeof *sorted);
    for (uint32_t i = 0; i < mdl->Pages; i++) { sorted[i] = (uint64_t)mdl->Frames[i] << 32 | i; }
    qsort(sorted, mdl->Pages, sizeof *sorted, MiCompareNumbers);
    return sorted;
}

/* The first index that the frame has; count: it has none. */
static uint32_t MiFindFrame(const uint64_t *sorted, uint32_t count, uint32_t frame) {
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (sorted[middle] >> 32 < frame) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && sorted[low] >> 32 == frame ? (uint32_t)sorted[low] : count;
}

/* A page must not be known under two cache attributes at once. From now on this list has its own: what follows may
 * wait.
 */
static void MiSetCacheAttribute(struct os *os, struct mmmdl *mdl, bool no_cache) {
    uint64_t *sorted = NULL;
    for (const struct mmmdl *other = os->Mdls; other; other = other->Next) {
        if ((!other->UserProcess && !other->SystemMapped) || other->NoCache == no_cache) { continue; }
        if (!sorted) { sorted = MiSortFrames(os, mdl); }
        uint32_t first = mdl->Pages;
        for (uint32_t i = 0; i < other->Pages; i++) {
            uint32_t index = MiFindFrame(sorted, mdl->Pages, other->Frames[i]);
            if (index < first) { first = index; }
        }
        if (first < mdl->Pages) {
            KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, MI_CACHE_CONFLICT, mdl->Frames[first], other->NoCache,
                         no_cache);
        }
    }
    MiFreeHost(sorted);
    mdl->NoCache = no_cache;
}

static va_t MiSetSystemMapping(struct os *os, struct mmmdl *mdl, va_t page) {
    va_t va = page + MiMdlOffset(os, mdl);
    unsigned partial = MiMdlFlags(os, mdl) & MDL_PARTIAL ? MDL_PARTIAL_HAS_BEEN_MAPPED : 0;
    MiWrite32(os, mdl->Address + MDL_MAPPED_VA, (uint32_t)va);
    MiSetMdlFlags(os, mdl, 0, MDL_MAPPED_TO_SYSTEM_VA | partial);
    return va;
}

va_t MmMapLockedPages(struct os *os, struct mmmdl *mdl, bool no_cache) {
    bool can_fail = MiMdlFlags(os, mdl) & MDL_MAPPING_CAN_FAIL;
    va_t pte = MiReserveSystemPtes(os, mdl->Pages, 0, 0, 0, !can_fail);
    if (pte == 0) { return 0; }
    MiSetCacheAttribute(os, mdl, no_cache);
    mdl->SystemMapped = true;
    for (uint32_t i = 0; i < mdl->Pages; i++) {
        MiWritePte(os, pte + PTE_SIZE * i,
                   MiKernelPte(os, MiMdlFrame(os, mdl, i)) | (no_cache ? PTE_CACHE_DISABLE : 0));
    }
    return MiSetSystemMapping(os, mdl, MiGetVirtualAddressMappedByPte(pte));
}

/* ---- in user space ---- */

static ntstatus_t MiMapInProcess(struct os *os, struct eprocess *process, struct mmmdl *mdl, bool no_cache, va_t *va) {
    va_t start, size = (va_t)mdl->Pages << PAGE_SHIFT;
    if (mdl->UserProcess || !MiFindEmptyAddressRange(process, size, false, MM_HIGHEST_VAD_ADDRESS, &start)) {
        return MiRaise(os, STATUS_INSUFFICIENT_RESOURCES, 0, 0, 0);
    }
    struct mmvad *vad = MiAllocateHost(os, sizeof *vad);
    *vad = (struct mmvad){.StartingAddress = start,
                          .EndingAddress = start + size - 1,
                          .PhysicalMapping = true,
                          .PrivateMemory = true,
                          .Protection = MM_READWRITE};
    if (MiInsertVad(os, process, vad) != STATUS_SUCCESS) {
        MiFreeHost(vad);
        return MiRaise(os, STATUS_INSUFFICIENT_RESOURCES, 0, 0, 0);
    }
    MiSetCacheAttribute(os, mdl, no_cache);
    mdl->UserProcess = process;
    mdl->UserVa = start;
    for (uint32_t i = 0; i < mdl->Pages; i++) {
        va_t page = start + ((va_t)i << PAGE_SHIFT);
        pte_t pte = pte_valid_user(MiMdlFrame(os, mdl, i), no_cache ? MM_READWRITE | MM_NOCACHE : MM_READWRITE);
        MiWaitForPageTable(os, page); /* those before it stay: they have valid entries */
        MiIncrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(page))));
        MiIncrementUsedPteCount(os, page);
        MiWritePte(os, MiGetPteAddress(page), pte | PTE_DIRTY);
    }
    *va = start + MiMdlOffset(os, mdl);
    return STATUS_SUCCESS;
}

ntstatus_t MiMapLockedPagesUser(struct os *os, struct mmmdl *mdl, bool no_cache, va_t *va) {
    struct eprocess *process = PsGetCurrentProcess(os);
    if (!MiLockAddressCreation(os, process)) { return STATUS_PROCESS_IS_TERMINATING; }
    ntstatus_t status = MiMapInProcess(os, process, mdl, no_cache, va);
    MiUnlockAddressCreation(os, process);
    return status;
}

/* In the context of its process. The frames belong to whoever locked them. */
void MiRemovePhysicalMapping(struct os *os, struct eprocess *process, struct mmvad *vad) {
    struct mmptelist list = {0};
    for (va_t va = vad->StartingAddress; va <= vad->EndingAddress; va += PAGE_SIZE) {
        MiAddToPteList(os, &list, MiGetPteAddress(va), va, 0);
    }
    MiFlushPteList(os, &list, false, 0);
    for (va_t va = vad->StartingAddress; va <= vad->EndingAddress; va += PAGE_SIZE) {
        MiDecrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(va))));
        if (MiDecrementUsedPteCount(os, va) == 0) { MiDeletePageTableIfUnused(os, va); }
    }
    for (struct mmmdl *mdl = os->Mdls; mdl; mdl = mdl->Next) {
        if (mdl->UserProcess == process && mdl->UserVa == vad->StartingAddress) { mdl->UserProcess = NULL; }
    }
}

/* Its end may have taken the mapping along while the process was swapped in. */
static void MiUnmapInProcess(struct os *os, struct eprocess *process, struct mmmdl *mdl) {
    bool attached = KeAttachProcess(os, process);
    if (mdl->UserProcess == process) {
        struct mmvad *vad = MiLocateAddress(process, mdl->UserVa);
        MiRemovePhysicalMapping(os, process, vad);
        MiRemoveVad(os, process, vad);
        MiFreeHost(vad);
    }
    if (attached) { KeDetachProcess(os); }
}

/* From a process that is ending, too, and has no mutex any more: the frames are nobody's to map when this returns. Its
 * end takes VADs one by one, and waits over none like this. */
static void MiUnmapUser(struct os *os, struct mmmdl *mdl) {
    struct eprocess *process = mdl->UserProcess;
    if (!process) { MiAssert(os, "a user mapping of a memory descriptor list is removed that it does not have"); }
    bool locked = MiLockAddressCreation(os, process);
    if (mdl->UserProcess == process) { MiUnmapInProcess(os, process, mdl); }
    if (locked) { MiUnlockAddressCreation(os, process); }
}

/* ---- unmapping ---- */

/* The crash-dump area is nobody's to reserve: its addresses may be used again at once. */
static void MiUnmapCrashDumpArea(struct os *os, va_t va, uint32_t pages) {
    struct mmptelist list = {0};
    for (uint32_t i = 0; i < pages; i++, va += PAGE_SIZE) { MiAddToPteList(os, &list, MiGetPteAddress(va), va, 0); }
    MiFlushPteList(os, &list, true, 0);
}

void MmUnmapLockedPages(struct os *os, va_t va, struct mmmdl *mdl) {
    if (va < MM_SYSTEM_RANGE_START) {
        MiUnmapUser(os, mdl);
        return;
    }
    if (page_of(va) == MM_CRASH_DUMP_START) {
        MiUnmapCrashDumpArea(os, page_of(va), mdl->Pages);
    } else {
        MiReleaseSystemPtes(os, MiGetPteAddress(va), mdl->Pages, 0);
    }
    mdl->SystemMapped = false;
    MiSetMdlFlags(os, mdl, MDL_MAPPED_TO_SYSTEM_VA | MDL_PARTIAL_HAS_BEEN_MAPPED, 0);
}

/* ---- what has an address already ---- */

va_t MmGetSystemAddressForMdl(struct os *os, struct mmmdl *mdl, bool safe) {
    if (MiMdlFlags(os, mdl) & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) {
        return MiRead32(os, mdl->Address + MDL_MAPPED_VA);
    }
    unsigned can_fail = MiMdlFlags(os, mdl) & MDL_MAPPING_CAN_FAIL;
    if (safe) { MiSetMdlFlags(os, mdl, 0, MDL_MAPPING_CAN_FAIL); }
    va_t va = MmMapLockedPages(os, mdl, false);
    MiSetMdlFlags(os, mdl, MDL_MAPPING_CAN_FAIL, can_fail);
    return va;
}

void MmBuildMdlForNonPagedPool(struct os *os, struct mmmdl *mdl) {
    va_t start = MiRead32(os, mdl->Address + MDL_START_VA);
    for (uint32_t i = 0; i < mdl->Pages; i++) {
        MiSetMdlFrame(os, mdl, i, MmGetPhysicalAddress(os, start + ((va_t)i << PAGE_SHIFT)) >> PAGE_SHIFT);
    }
    MiWrite32(os, mdl->Address + MDL_PROCESS, 0);
    MiWrite32(os, mdl->Address + MDL_MAPPED_VA, (uint32_t)(start + MiMdlOffset(os, mdl)));
    MiSetMdlFlags(os, mdl, 0, MDL_SOURCE_IS_NONPAGED_POOL);
}

/* target describes [va, va + length) of what source describes; length 0: the rest. */
ntstatus_t IoBuildPartialMdl(struct os *os, struct mmmdl *source, struct mmmdl *target, va_t va, uint32_t length) {
    va_t start = MiRead32(os, source->Address + MDL_START_VA), base = start + MiMdlOffset(os, source);
    va_t end = base + MiRead32(os, source->Address + MDL_BYTE_COUNT);
    if (va < base || va >= end || length > end - va) { return STATUS_INVALID_PARAMETER; }
    uint32_t bytes = length ? length : (uint32_t)(end - va), size = MmSizeOfMdl(va, bytes);
    uint32_t pages = (size - MDL_ARRAY) / 4;
    if (target == source || size > MiRead16(os, target->Address + MDL_SIZE) || pages > target->Capacity) {
        return STATUS_INVALID_PARAMETER;
    }
    uint16_t flags = MiMdlFlags(os, source);
    va_t mapped = MiRead32(os, source->Address + MDL_MAPPED_VA);
    target->Pages = pages;
    for (uint32_t i = 0; i < pages; i++) {
        MiSetMdlFrame(os, target, i, MiMdlFrame(os, source, (uint32_t)((page_of(va) - start) >> PAGE_SHIFT) + i));
    }
    MiWrite32(os, target->Address + MDL_PROCESS, MiRead32(os, source->Address + MDL_PROCESS));
    MiWrite32(os, target->Address + MDL_START_VA, (uint32_t)page_of(va));
    MiWrite32(os, target->Address + MDL_BYTE_COUNT, bytes);
    MiWrite32(os, target->Address + MDL_BYTE_OFFSET, (uint32_t)(va & PAGE_MASK));
    MiWrite32(os, target->Address + MDL_MAPPED_VA, mapped ? (uint32_t)(mapped + (va - base)) : 0);
    unsigned parent = flags & MDL_MAPPED_TO_SYSTEM_VA ? MDL_PARENT_MAPPED_SYSTEM_VA : 0;
    MiSetMdlFlags(os, target, ~(unsigned)(MDL_ALLOCATED_FIXED_SIZE | MDL_ALLOCATED_MUST_SUCCEED),
                  MDL_PARTIAL | parent | (flags & (MDL_SOURCE_IS_NONPAGED_POOL | MDL_IO_PAGE_READ)));
    return STATUS_SUCCESS;
}

/* While the machine goes down there may be nobody left who gives out addresses. */
void MmMapMemoryDumpMdl(struct os *os, struct mmmdl *mdl) {
    if (mdl->Pages > MI_CRASH_DUMP_PAGES) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, MI_TOO_MANY_PAGES, mdl->Address, mdl->Pages, 0);
    }
    pfn_t frames[MI_CRASH_DUMP_PAGES]; /* first: the list may have to be waited for, and others map here */
    for (uint32_t i = 0; i < mdl->Pages; i++) { frames[i] = MiMdlFrame(os, mdl, i); }
    mdl->NoCache = false;
    mdl->SystemMapped = true;
    for (uint32_t i = 0; i < mdl->Pages; i++) {
        va_t va = MM_CRASH_DUMP_START + ((va_t)i << PAGE_SHIFT), pte = MiGetPteAddress(va);
        bool was_valid = MiReadPte(os, pte) & PTE_VALID;
        MiWritePte(os, pte, MiKernelPte(os, frames[i]));
        if (MI_MUTANT(190, was_valid, false)) { MiFlushSingleTb(os, va); }
    }
    MiSetSystemMapping(os, mdl, MM_CRASH_DUMP_START);
}
