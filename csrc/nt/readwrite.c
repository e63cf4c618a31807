/* NtReadVirtualMemory and NtWriteVirtualMemory: NT-81. What is copied goes through a nonpaged buffer, because source
 * and target are never mapped at once: the caller attaches to the other process for each chunk and comes back. */
#include "exports.h"

#define MAX_CHUNK    0x10000u
#define STACK_CHUNK  0x200u
#define TAG_TRANSFER 0x72665458u /* "XTfr" */

struct transfer {
    struct eprocess *Remote;
    va_t RemoteVa, LocalVa;
    va_t Bounce;                /* nonpaged pool; 0: there was none, and Small serves */
    uint8_t Small[STACK_CHUNK]; /* on the kernel stack */
    struct os_outcome Outcome;  /* of the access that failed */
};

/* Moves length bytes between va and the buffer; how many went. */
static uint32_t MiMoveThroughBounce(struct os *os, struct transfer *t, va_t va, uint32_t length, bool from_va) {
    uint8_t bytes[PAGE_SIZE];
    uint32_t done = 0;
    while (done < length) {
        uint32_t room = (uint32_t)(PAGE_SIZE - ((va + done) & PAGE_MASK));
        uint32_t here = length - done < room ? length - done : room, moved;
        uint8_t *data = t->Bounce ? bytes : t->Small + done;
        if (from_va) {
            moved = (uint32_t)os->M->ops->try_read(os->M, va + done, data, here, &t->Outcome);
            if (t->Bounce) { os->M->ops->write(os->M, t->Bounce + done, data, moved); }
        } else {
            if (t->Bounce) { os->M->ops->read(os->M, t->Bounce + done, data, here); }
            moved = (uint32_t)os->M->ops->try_write(os->M, va + done, data, here, &t->Outcome);
        }
        done += moved;
        if (moved < here) { break; }
    }
    return done;
}

static uint32_t MiMoveRemote(struct os *os, struct transfer *t, uint32_t at, uint32_t length, bool from_va) {
    bool attached = KeAttachProcess(os, t->Remote);
    uint32_t done = MiMoveThroughBounce(os, t, t->RemoteVa + at, length, from_va);
    if (attached) { KeDetachProcess(os); }
    return done;
}

static uint32_t MiCopyChunk(struct os *os, struct transfer *t, uint32_t at, uint32_t length, bool write) {
    uint32_t got =
        write ? MiMoveThroughBounce(os, t, t->LocalVa + at, length, true) : MiMoveRemote(os, t, at, length, true);
    return write ? MiMoveRemote(os, t, at, got, false) : MiMoveThroughBounce(os, t, t->LocalVa + at, got, false);
}

static bool MiIsUserRange(va_t va, uint32_t bytes) { return va + bytes <= (va_t)MM_HIGHEST_USER_ADDRESS + 1; }

/* The first byte fails: what its fault ended in. A later one: a warning that says it was a part. */
static ntstatus_t MiCopyVirtualMemory(struct os *os, struct transfer *t, uint32_t bytes, bool write, uint32_t *moved) {
    *moved = 0;
    if (!MiIsUserRange(t->RemoteVa, bytes) || !MiIsUserRange(t->LocalVa, bytes)) { return STATUS_ACCESS_VIOLATION; }
    if (bytes == 0) { return STATUS_SUCCESS; }
    t->Remote->StackCount++; /* it keeps its directory while the local half waits */
    uint32_t chunk = bytes < MAX_CHUNK ? bytes : MAX_CHUNK;
    t->Bounce = ExAllocatePool(os, false, chunk, TAG_TRANSFER);
    if (t->Bounce == 0 && chunk > STACK_CHUNK) { chunk = STACK_CHUNK; }
    while (*moved < bytes) {
        uint32_t here = bytes - *moved < chunk ? bytes - *moved : chunk;
        uint32_t done = MiCopyChunk(os, t, *moved, here, write);
        *moved += done;
        if (done < here) { break; }
    }
    if (t->Bounce) { ExFreePool(os, t->Bounce); }
    MiLeaveProcess(os, t->Remote);
    if (*moved == bytes) { return STATUS_SUCCESS; }
    return *moved ? STATUS_PARTIAL_COPY : t->Outcome.status;
}

ntstatus_t NtReadVirtualMemory(struct os *os, struct eprocess *process, va_t start, va_t buffer, uint32_t bytes,
                               uint32_t *moved) {
    struct transfer transfer = {.Remote = process, .RemoteVa = start, .LocalVa = buffer};
    return MiCopyVirtualMemory(os, &transfer, bytes, false, moved);
}

ntstatus_t NtWriteVirtualMemory(struct os *os, struct eprocess *process, va_t start, va_t buffer, uint32_t bytes,
                                uint32_t *moved) {
    struct transfer transfer = {.Remote = process, .RemoteVa = start, .LocalVa = buffer};
    return MiCopyVirtualMemory(os, &transfer, bytes, true, moved);
}

/* ---- call: handle, start there, buffer here, bytes; out: bytes moved ---- */

static ntstatus_t MiCallRead(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t moved;
    ntstatus_t status =
        NtReadVirtualMemory(os, process, MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2), MI_ARGUMENT(event, 3), &moved);
    out[0] = moved;
    return status;
}

static ntstatus_t MiCallWrite(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t moved;
    ntstatus_t status =
        NtWriteVirtualMemory(os, process, MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2), MI_ARGUMENT(event, 3), &moved);
    out[0] = moved;
    return status;
}

const struct mi_export MiReadWriteExports[] = {
    {"NtReadVirtualMemory", 4, 0 | MI_NO_ATTACH, MiCallRead},
    {"NtWriteVirtualMemory", 4, 0 | MI_NO_ATTACH, MiCallWrite},
    {0},
};
