/* What a trace calls about working sets: NT-36, NT-80, NT-82 with raw arguments. Locks take the privilege as one more
 * argument. */
#include "exports.h"

static ntstatus_t MiCallLock(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t base = MI_ARGUMENT(event, 1), size = MI_ARGUMENT(event, 2);
    ntstatus_t status = NtLockVirtualMemory(os, process, &base, &size, MI_ARGUMENT(event, 3), MI_ARGUMENT(event, 4));
    out[0] = base;
    out[1] = size;
    return status;
}

static ntstatus_t MiCallUnlock(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t base = MI_ARGUMENT(event, 1), size = MI_ARGUMENT(event, 2);
    ntstatus_t status = NtUnlockVirtualMemory(os, process, &base, &size, MI_ARGUMENT(event, 3), MI_ARGUMENT(event, 4));
    out[0] = base;
    out[1] = size;
    return status;
}

static ntstatus_t MiCallAdjustWorkingSet(struct os *os, struct eprocess *process, const struct event *event,
                                         uint64_t out[2]) {
    (void)process;
    (void)out;
    struct mmsupport *vm = MiLookupVm(os, MI_ARGUMENT(event, 2));
    if (vm == NULL) { return STATUS_INVALID_PARAMETER_3; }
    return MmAdjustWorkingSetSize(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), vm);
}

/* The buffer is the caller's, so that the service itself attaches to what the handle names. */
static ntstatus_t MiCallQuery(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    struct mmquery query = {.Address = MI_ARGUMENT(event, 1),
                            .Class = MI_ARGUMENT(event, 2),
                            .Buffer = MI_ARGUMENT(event, 3),
                            .Length = MI_ARGUMENT(event, 4),
                            .ActualPointer = MI_ARGUMENT(event, 5)};
    uint32_t actual = 0;
    ntstatus_t status = NtQueryVirtualMemory(os, process, &query, &actual);
    out[0] = actual;
    return status;
}

/* PROCESS, by its id: a handle would attach */
static ntstatus_t MiCallOutswap(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    (void)out;
    process = PsLookupProcess(os, MI_ARGUMENT(event, 0));
    return process ? KeOutswapProcess(os, process) : MiNoSuchProcess(os, MI_ARGUMENT(event, 0));
}

/* PROCESS PAGED NONPAGED PAGEFILE: limits in bytes, bytes, pages */
static ntstatus_t MiCallCreateQuotaBlock(struct os *os, struct eprocess *process, const struct event *event,
                                         uint64_t out[2]) {
    (void)out;
    const uint64_t limit[QUOTA_TYPES] = {[QUOTA_PAGED_POOL] = MI_ARGUMENT(event, 1),
                                         [QUOTA_NONPAGED_POOL] = MI_ARGUMENT(event, 2),
                                         [QUOTA_PAGE_FILE] = MI_ARGUMENT(event, 3)};
    return PsCreateQuotaBlock(os, process, limit);
}

/* PROCESS PAGED BYTES; raises */
static ntstatus_t MiCallChargePoolQuota(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]) {
    (void)out;
    enum quota_type type = MI_ARGUMENT(event, 1) ? QUOTA_PAGED_POOL : QUOTA_NONPAGED_POOL;
    return PsChargePoolQuota(os, process, type, MI_ARGUMENT(event, 2));
}

static ntstatus_t MiCallReturnPoolQuota(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]) {
    (void)out;
    enum quota_type type = MI_ARGUMENT(event, 1) ? QUOTA_PAGED_POOL : QUOTA_NONPAGED_POOL;
    PsReturnPoolQuota(os, process, type, MI_ARGUMENT(event, 2));
    return STATUS_SUCCESS;
}

const struct mi_export MiWorkingSetExports[] = {
    {"KeOutswapProcess", 1, MI_NO_HANDLE, MiCallOutswap},
    {"PsCreateQuotaBlock", 4, 0, MiCallCreateQuotaBlock},
    {"PsChargePoolQuota", 3, 0, MiCallChargePoolQuota},
    {"PsReturnPoolQuota", 3, 0, MiCallReturnPoolQuota},
    {"NtLockVirtualMemory", 5, 0, MiCallLock},
    {"NtUnlockVirtualMemory", 5, 0, MiCallUnlock},
    {"MmAdjustWorkingSetSize", 3, MI_NO_HANDLE, MiCallAdjustWorkingSet},
    {"NtQueryVirtualMemory", 6, 0 | MI_NO_ATTACH, MiCallQuery},
    {0},
};
