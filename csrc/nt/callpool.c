/* `call` entries of the pools, NT-84: TYPE BYTES [TAG]; out: the address, or 0. */
#include "exports.h"

static bool MiIsPoolType(uint32_t type) { return type <= NonPagedPoolCacheAlignedMustS && type != 3; }

static ntstatus_t MiCallAllocatePool(struct os *os, struct eprocess *process, const struct event *event,
                                     uint64_t out[2]) {
    (void)process;
    if (!MiIsPoolType(MI_ARGUMENT(event, 0))) { return STATUS_INVALID_PARAMETER; }
    uint32_t tag = event->args.count > 2 ? MI_ARGUMENT(event, 2) : 0;
    out[0] = ExAllocatePool(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), tag);
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallAllocatePoolQuota(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    if (!MiIsPoolType(MI_ARGUMENT(event, 0))) { return STATUS_INVALID_PARAMETER; }
    uint32_t tag = event->args.count > 2 ? MI_ARGUMENT(event, 2) : 0;
    ntstatus_t status;
    out[0] = ExAllocatePoolWithQuotaTag(os, process, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), tag, &status);
    return status;
}

static ntstatus_t MiCallFreePool(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    (void)process;
    (void)out;
    ExFreePool(os, MI_ARGUMENT(event, 0));
    return STATUS_SUCCESS;
}

const struct mi_export MiPoolExports[] = {
    {"ExAllocatePool", 2, MI_NO_HANDLE, MiCallAllocatePool},
    {"ExAllocatePoolWithTag", 3, MI_NO_HANDLE, MiCallAllocatePool},
    {"ExAllocatePoolWithQuota", 2, MI_NO_HANDLE, MiCallAllocatePoolQuota},
    {"ExAllocatePoolWithQuotaTag", 3, MI_NO_HANDLE, MiCallAllocatePoolQuota},
    {"ExFreePool", 1, MI_NO_HANDLE, MiCallFreePool},
    {0},
};
