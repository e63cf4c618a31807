/* `call NAME ARG…`: a service with raw arguments, in the order of NT-105. Tests of argument checks need calls that no
 * captured program makes. */
#include "exports.h"

static ntstatus_t MiCallAllocate(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t base = MI_ARGUMENT(event, 1), size = MI_ARGUMENT(event, 3);
    ntstatus_t status = NtAllocateVirtualMemory(os, process, &base, MI_ARGUMENT(event, 2), &size, MI_ARGUMENT(event, 4),
                                                MI_ARGUMENT(event, 5));
    out[0] = base;
    out[1] = size;
    return status;
}

static ntstatus_t MiCallFree(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t base = MI_ARGUMENT(event, 1), size = MI_ARGUMENT(event, 2);
    ntstatus_t status = NtFreeVirtualMemory(os, process, &base, &size, MI_ARGUMENT(event, 3));
    out[0] = base;
    out[1] = size;
    return status;
}

/* out: the old protection, and the rounded base */
static ntstatus_t MiCallProtect(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t base = MI_ARGUMENT(event, 1), size = MI_ARGUMENT(event, 2), old = 0;
    ntstatus_t status = NtProtectVirtualMemory(os, process, &base, &size, MI_ARGUMENT(event, 3), &old);
    out[0] = old;
    out[1] = base;
    return status;
}

static ntstatus_t MiCallPhysicalAddress(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]) {
    (void)process;
    out[0] = MmGetPhysicalAddress(os, event->args.arg[0]);
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallIsAddressValid(struct os *os, struct eprocess *process, const struct event *event,
                                       uint64_t out[2]) {
    (void)process;
    out[0] = MmIsAddressValid(os, event->args.arg[0]);
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallIsNonPagedValid(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]) {
    (void)process;
    out[0] = MmIsNonPagedSystemAddressValid(os, event->args.arg[0]);
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallTranslatePhysical(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    out[0] = MmDbgTranslatePhysicalAddress(os, event->args.arg[0]);
    return STATUS_SUCCESS;
}

const struct mi_export MiVirtualMemoryExports[] = {
    {"NtAllocateVirtualMemory", 6, 0, MiCallAllocate},
    {"NtFreeVirtualMemory", 4, 0, MiCallFree},
    {"NtProtectVirtualMemory", 4, 0, MiCallProtect},
    {"MmGetPhysicalAddress", 1, MI_NO_HANDLE, MiCallPhysicalAddress},
    {"MmIsAddressValid", 1, MI_NO_HANDLE, MiCallIsAddressValid},
    {"MmIsNonPagedSystemAddressValid", 1, MI_NO_HANDLE, MiCallIsNonPagedValid},
    {"MmDbgTranslatePhysicalAddress", 1 | MI_WIDE(0), MI_NO_HANDLE, MiCallTranslatePhysical},
    {0},
};

struct os_service_result MiServiceCall(struct os *os, const struct event *event) {
    const struct mi_export *service = MiFindExport(event->text);
    if (service == NULL) { MiAssert(os, "call: the kernel has no such function"); }
    if (event->args.count != MI_ARGUMENTS(service)) { MiAssert(os, "call: wrong number of arguments"); }
    struct eprocess *process = PsGetCurrentProcess(os);
    if (service->Handle != MI_NO_HANDLE) {
        uint32_t value = MI_ARGUMENT(event, service->Handle & ~(MI_NO_ATTACH | MI_POINTER));
        ntstatus_t status = service->Handle & MI_POINTER ? MiProcessByPointer(os, value, &process)
                                                         : MiReferenceProcess(os, value, service->Name, &process);
        if (!NT_SUCCESS(status)) { return (struct os_service_result){.status = status}; }
    }
    struct os_service_result result = {0};
    bool guarded = (service->Handle & MI_NO_ATTACH) == 0; /* it works on the address space as a whole */
    if (guarded && !MiLockAddressCreation(os, process)) {
        return (struct os_service_result){.status = STATUS_PROCESS_IS_TERMINATING};
    }
    bool attached = guarded && KeAttachProcess(os, process);
    result.status = service->Routine(os, process, event, result.out);
    if (attached) { KeDetachProcess(os); }
    if (guarded) { MiUnlockAddressCreation(os, process); }
    return result;
}
