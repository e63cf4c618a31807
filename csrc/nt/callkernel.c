/* `call` entries of what drivers call (NT-98): system PTEs, MDLs, pools, I/O space, kernel stacks. Addresses and
 * handles are handed back as out values; the status says whether the service was performed. */
#include "exports.h"

/* COUNT SPACE ALIGNMENT OFFSET STOP; out: the entry's address, or 0 */
static ntstatus_t MiCallReserveSystemPtes(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    if (MI_ARGUMENT(event, 0) == 0 || MI_ARGUMENT(event, 1) >= MM_SYSTEM_PTE_SPACES) {
        return STATUS_INVALID_PARAMETER;
    }
    out[0] = MiReserveSystemPtes(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2),
                                 MI_ARGUMENT(event, 3), MI_ARGUMENT(event, 4));
    return STATUS_SUCCESS;
}

/* PTE COUNT SPACE */
static ntstatus_t MiCallReleaseSystemPtes(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    (void)out;
    const struct mmsysptes *ptes = &os->SystemPtes;
    uint32_t pte = MI_ARGUMENT(event, 0), count = MI_ARGUMENT(event, 1), space = MI_ARGUMENT(event, 2);
    if (space >= MM_SYSTEM_PTE_SPACES || pte < ptes->MmSystemPtesStart[space] ||
        pte + (va_t)PTE_SIZE * count > ptes->MmSystemPtesEnd[space]) {
        return STATUS_INVALID_PARAMETER;
    }
    MiReleaseSystemPtes(os, pte, count, space);
    return STATUS_SUCCESS;
}

/* ---- I/O space, contiguous and noncached memory: NT-91 ---- */

/* PA LENGTH CACHED; out: the address, or 0 */
static ntstatus_t MiCallMapIoSpace(struct os *os, struct eprocess *process, const struct event *event,
                                   uint64_t out[2]) {
    (void)process;
    out[0] = MmMapIoSpace(os, event->args.arg[0], MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2));
    return STATUS_SUCCESS;
}

static bool MiIsSystemPteRange(const struct os *os, va_t va, uint32_t bytes) {
    va_t first = MiGetPteAddress(va), last = MiGetPteAddress((uint64_t)va + bytes - 1);
    return bytes != 0 && va >= MM_NONPAGED_SYSTEM_START && first >= os->SystemPtes.MmSystemPtesStart[0] &&
           last < os->SystemPtes.MmSystemPtesEnd[0] && last >= first;
}

/* VA LENGTH */
static ntstatus_t MiCallUnmapIoSpace(struct os *os, struct eprocess *process, const struct event *event,
                                     uint64_t out[2]) {
    (void)process;
    (void)out;
    if (!MiIsSystemPteRange(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1))) { return STATUS_INVALID_PARAMETER; }
    MmUnmapIoSpace(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1));
    return STATUS_SUCCESS;
}

/* BYTES HIGHEST; out: the address, or 0, and the first frame */
static ntstatus_t MiCallAllocateContiguous(struct os *os, struct eprocess *process, const struct event *event,
                                           uint64_t out[2]) {
    (void)process;
    out[0] = MmAllocateContiguousMemory(os, MI_ARGUMENT(event, 0), event->args.arg[1]);
    out[1] = out[0] ? MmGetPhysicalAddress(os, out[0]) >> PAGE_SHIFT : 0;
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallFreeContiguous(struct os *os, struct eprocess *process, const struct event *event,
                                       uint64_t out[2]) {
    (void)process;
    (void)out;
    MmFreeContiguousMemory(os, MI_ARGUMENT(event, 0));
    return STATUS_SUCCESS;
}

/* BYTES; out: the address, or 0 */
static ntstatus_t MiCallAllocateNonCached(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    out[0] = MmAllocateNonCachedMemory(os, MI_ARGUMENT(event, 0));
    return STATUS_SUCCESS;
}

/* VA BYTES */
static ntstatus_t MiCallFreeNonCached(struct os *os, struct eprocess *process, const struct event *event,
                                      uint64_t out[2]) {
    (void)process;
    (void)out;
    if (!MiIsSystemPteRange(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1))) { return STATUS_INVALID_PARAMETER; }
    MmFreeNonCachedMemory(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1));
    return STATUS_SUCCESS;
}

/* ---- kernel stacks, NT-92: TID is decimal in a trace's events, hexadecimal here ---- */

static ntstatus_t MiStackResult(const struct ethread *thread, ntstatus_t status, uint64_t out[2]) {
    out[0] = thread->KernelStackBase;
    out[1] = MiKernelStackLimit(thread);
    return status;
}

static ntstatus_t MiOnThread(struct os *os, const struct event *event,
                             void (*routine)(struct os *os, struct ethread *thread)) {
    struct ethread *thread = PsLookupThread(os, MI_ARGUMENT(event, 0));
    if (thread == NULL) { return STATUS_INVALID_HANDLE; }
    if (thread->StackBusy) { return STATUS_INVALID_PARAMETER; }
    routine(os, thread);
    return STATUS_SUCCESS;
}

/* TID LARGE; out: base and limit */
static ntstatus_t MiCallCreateKernelStack(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    struct ethread *thread = PsLookupThread(os, MI_ARGUMENT(event, 0));
    if (thread == NULL) { return STATUS_INVALID_HANDLE; }
    return MiStackResult(thread, MmCreateKernelStack(os, thread, MI_ARGUMENT(event, 1)), out);
}

static ntstatus_t MiCallDeleteKernelStack(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    (void)out;
    return MiOnThread(os, event, MmDeleteKernelStack);
}

/* ESP of the current thread; out: base and limit */
static ntstatus_t MiCallGrowKernelStack(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]) {
    (void)process;
    struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    if (thread == NULL) { return STATUS_INVALID_PARAMETER; }
    return MiStackResult(thread, MmGrowKernelStack(os, thread, MI_ARGUMENT(event, 0)), out);
}

static ntstatus_t MiCallOutPageKernelStack(struct os *os, struct eprocess *process, const struct event *event,
                                           uint64_t out[2]) {
    (void)process;
    (void)out;
    return MiOnThread(os, event, MmOutPageKernelStack);
}

static ntstatus_t MiCallInPageKernelStack(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    (void)out;
    return MiOnThread(os, event, MmInPageKernelStack);
}

const struct mi_export MiSystemPteExports[] = {
    {"MmMapIoSpace", 3 | MI_WIDE(0), MI_NO_HANDLE, MiCallMapIoSpace},
    {"MmUnmapIoSpace", 2, MI_NO_HANDLE, MiCallUnmapIoSpace},
    {"MmMapVideoDisplay", 3 | MI_WIDE(0), MI_NO_HANDLE, MiCallMapIoSpace},
    {"MmUnmapVideoDisplay", 2, MI_NO_HANDLE, MiCallUnmapIoSpace},
    {"MmAllocateContiguousMemory", 2 | MI_WIDE(1), MI_NO_HANDLE, MiCallAllocateContiguous},
    {"MmFreeContiguousMemory", 1, MI_NO_HANDLE, MiCallFreeContiguous},
    {"MmAllocateNonCachedMemory", 1, MI_NO_HANDLE, MiCallAllocateNonCached},
    {"MmFreeNonCachedMemory", 2, MI_NO_HANDLE, MiCallFreeNonCached},
    {"MmCreateKernelStack", 2, MI_NO_HANDLE, MiCallCreateKernelStack},
    {"MmDeleteKernelStack", 1, MI_NO_HANDLE, MiCallDeleteKernelStack},
    {"MmGrowKernelStack", 1, MI_NO_HANDLE, MiCallGrowKernelStack},
    {"MmOutPageKernelStack", 1, MI_NO_HANDLE, MiCallOutPageKernelStack},
    {"MmInPageKernelStack", 1, MI_NO_HANDLE, MiCallInPageKernelStack},
    {"MiReserveSystemPtes", 5, MI_NO_HANDLE, MiCallReserveSystemPtes},
    {"MiReleaseSystemPtes", 3, MI_NO_HANDLE, MiCallReleaseSystemPtes},
    {0},
};
