/* ProbeForRead and ProbeForWrite: whether a user's buffer may be used, said by an exception. NT-90. */
#include "exports.h"

static ntstatus_t MiCheckProbe(struct os *os, va_t va, uint32_t length, uint32_t alignment) {
    if (alignment == 0 || alignment > 16 || (alignment & (alignment - 1))) { MiAssert(os, "probe: no such alignment"); }
    if (va & (alignment - 1)) { return ExRaiseStatus(os, STATUS_DATATYPE_MISALIGNMENT); }
    if (va + length > MM_USER_PROBE_ADDRESS) { return ExRaiseStatus(os, STATUS_ACCESS_VIOLATION); }
    return STATUS_SUCCESS;
}

/* Judges the range, touches nothing. */
ntstatus_t ProbeForRead(struct os *os, va_t va, uint32_t length, uint32_t alignment) {
    return length == 0 ? STATUS_SUCCESS : MiCheckProbe(os, va, length, alignment);
}

/* A byte of each page is read and written back: it may fault like any access. */
ntstatus_t ProbeForWrite(struct os *os, va_t va, uint32_t length, uint32_t alignment) {
    ntstatus_t status = ProbeForRead(os, va, length, alignment);
    for (va_t end = va + length; status == STATUS_SUCCESS && va < end; va = page_of(va) + PAGE_SIZE) {
        status = MiCopyBytes(os, va, va, 1);
    }
    return status;
}

/* ---- call: address, length, alignment ---- */

static ntstatus_t MiCallProbeForRead(struct os *os, struct eprocess *process, const struct event *event,
                                     uint64_t out[2]) {
    (void)process;
    (void)out;
    return ProbeForRead(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2));
}

static ntstatus_t MiCallProbeForWrite(struct os *os, struct eprocess *process, const struct event *event,
                                      uint64_t out[2]) {
    (void)process;
    (void)out;
    return ProbeForWrite(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2));
}

const struct mi_export MiProbeExports[] = {
    {"ProbeForRead", 3, MI_NO_HANDLE, MiCallProbeForRead},
    {"ProbeForWrite", 3, MI_NO_HANDLE, MiCallProbeForWrite},
    {0},
};
