/* NtLockVirtualMemory and NtUnlockVirtualMemory: NT-80. */
#include "mi.h"

#define LOCK_IN_WORKING_SET 1u
#define LOCK_IN_MEMORY      2u
#define FLUID_PAGES         8u

/* Locked pages that are mapped once more are in no working set there, and so not to be locked in it. */
static bool MiIsPhysicalMapping(const struct eprocess *process, va_t va) {
    const struct mmvad *vad = MiLocateAddress(process, va);
    return vad && vad->PhysicalMapping;
}

/* The frame behind a valid page of the working set; false: not valid. */
static bool MiValidFrame(struct os *os, struct mmsupport *vm, va_t va, pfn_t *frame) {
    if (MiIsPhysicalMapping(vm->Process, va)) { return false; }
    if (!(MiReadPte(os, MiGetPdeAddress(va)) & PTE_VALID)) { return false; }
    pte_t pte = MiReadPte(os, MiGetPteAddress(va));
    *frame = pte_frame(pte);
    return pte & PTE_VALID;
}

static bool MiIsLocked(struct os *os, struct mmsupport *vm, va_t va, uint32_t bits) {
    pfn_t frame;
    return MiValidFrame(os, vm, va, &frame) && (MiReadWsle(os, vm, MiLocateWsle(os, vm, va, frame)) & bits);
}

static ntstatus_t MiCheckArguments(uint32_t base, uint32_t size, uint32_t kind, bool privilege) {
    if (kind != LOCK_IN_WORKING_SET && kind != LOCK_IN_MEMORY) { return STATUS_INVALID_PARAMETER; }
    if (kind == LOCK_IN_MEMORY && !privilege) { return STATUS_PRIVILEGE_NOT_HELD; }
    uint64_t end = (uint64_t)base + size;
    return size == 0 || base < MM_LOWEST_USER_ADDRESS || end - 1 > MM_HIGHEST_USER_ADDRESS ? STATUS_ACCESS_VIOLATION
                                                                                           : STATUS_SUCCESS;
}

static uint32_t MiLockBit(uint32_t kind) {
    return kind == LOCK_IN_WORKING_SET ? WSLE_LOCKED_IN_WS : WSLE_LOCKED_IN_MEMORY;
}

/* Pages that will need a place in the fixed part; enough must be left for those that come and go. */
static bool MiLockFits(struct os *os, struct mmsupport *vm, va_t start, va_t end) {
    uint32_t more = 0;
    for (va_t va = start; va <= end && more <= vm->MaximumWorkingSet; va += PAGE_SIZE) {
        more += !MiIsLocked(os, vm, va, WSLE_LOCKED);
    }
    return MiRead32(os, vm->WorkingSetList + WSL_FIRST_DYNAMIC) + more + FLUID_PAGES <= vm->MaximumWorkingSet;
}

/* Brings the page in and locks it before it can leave again. */
static ntstatus_t MiLockPageInWorkingSet(struct os *os, struct mmsupport *vm, va_t va, uint32_t bit, bool *fresh) {
    pfn_t frame;
    if (MiIsPhysicalMapping(vm->Process, va)) { return STATUS_ACCESS_VIOLATION; }
    while (!MiValidFrame(os, vm, va, &frame)) {
        ntstatus_t status = MmAccessFault(os, false, va, true);
        if (status == MI_WAIT_FOR_PAGE) { /* as MmProbeAndLockPages does */
            MiWaitForFreePage(os);
        } else if (!NT_SUCCESS(status)) {
            return status;
        }
    }
    if (!MiLockFits(os, vm, va, va)) { return STATUS_WORKING_SET_QUOTA; } /* the limits may have changed meanwhile */
    *fresh = MiLockWsle(os, vm, va, frame, bit);
    return STATUS_SUCCESS;
}

static void MiUnlockPage(struct os *os, struct mmsupport *vm, va_t va, uint32_t bit) {
    pfn_t frame;
    if (MiValidFrame(os, vm, va, &frame)) { MiUnlockWsle(os, vm, va, frame, bit); }
}

/* In the process's context. A lock that cannot be had for all pages is had for none. */
ntstatus_t NtLockVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size, uint32_t kind,
                               bool privilege) {
    ntstatus_t status = MiCheckArguments(*base, *size, kind, privilege);
    if (status != STATUS_SUCCESS) { return status; }
    va_t start = page_of(*base), end = ((va_t)*base + *size - 1) | PAGE_MASK;
    if (!MiLockFits(os, &process->Vm, start, end)) { return STATUS_WORKING_SET_QUOTA; }
    uint32_t pages = MiRangePages(start, end), done = 0;
    bool *fresh = MiAllocateHost(os, pages * sizeof *fresh), again = false;
    for (; done < pages && status == STATUS_SUCCESS; done += status == STATUS_SUCCESS) {
        va_t va = start + ((va_t)done << PAGE_SHIFT);
        status = MiLockPageInWorkingSet(os, &process->Vm, va, MiLockBit(kind), &fresh[done]);
        again = again || (status == STATUS_SUCCESS && !fresh[done]);
    }
    if (status != STATUS_SUCCESS) {
        while (done-- > 0) {
            va_t va = start + ((va_t)done << PAGE_SHIFT);
            if (fresh[done]) { MiUnlockPage(os, &process->Vm, va, MiLockBit(kind)); }
        }
    } else {
        *base = (uint32_t)start;
        *size = (uint32_t)(end + 1 - start);
        status = again ? STATUS_WAS_LOCKED : STATUS_SUCCESS;
    }
    MiFreeHost(fresh);
    return status;
}

ntstatus_t NtUnlockVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size, uint32_t kind,
                                 bool privilege) {
    ntstatus_t status = MiCheckArguments(*base, *size, kind, privilege);
    if (status != STATUS_SUCCESS) { return status; }
    va_t start = page_of(*base), end = ((va_t)*base + *size - 1) | PAGE_MASK;
    for (va_t va = start; va <= end; va += PAGE_SIZE) {
        if (!MiIsLocked(os, &process->Vm, va, MiLockBit(kind))) { return STATUS_NOT_LOCKED; }
    }
    for (va_t va = start; va <= end; va += PAGE_SIZE) { MiUnlockPage(os, &process->Vm, va, MiLockBit(kind)); }
    *base = (uint32_t)start;
    *size = (uint32_t)(end + 1 - start);
    return STATUS_SUCCESS;
}

struct os_service_result MiServiceLock(struct os *os, const struct event *event) {
    uint32_t base = (uint32_t)event->range.base, size = (uint32_t)event->range.size;
    struct eprocess *process = PsGetCurrentProcess(os);
    uint32_t kind = event->range.kind ? event->range.kind : LOCK_IN_WORKING_SET; /* left out */
    ntstatus_t status = event->kind == EV_LOCK ? NtLockVirtualMemory(os, process, &base, &size, kind, false)
                                               : NtUnlockVirtualMemory(os, process, &base, &size, kind, false);
    return (struct os_service_result){.status = status, .out = {base, size}};
}
