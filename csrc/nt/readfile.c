/* An ordinary read of a file: NT-43. A page read's end sets an event, whatever the thread's level; this one's queues a
 * special kernel APC to the thread that asked, which unlocks the buffer and lets it go on. A thread that cannot take
 * the APC waits for good, since only it could lower its level or leave its region. */
#include "exports.h"
#include "mdl.h"

#define READ_OBJECT  0xE0000001u /* what all of them wait for; each asks whether it was its own */
#define NEVER_OBJECT 0xE0000002u /* the APC that is not delivered */

/* It outlives the wait: the transfer may end inside it. */
struct mmfileread {
    bool Done;
    ntstatus_t Status;
};

static void MiFileReadEnded(struct os *os, void *context, ntstatus_t status) {
    *(struct mmfileread *)context = (struct mmfileread){true, status};
    os->M->ops->signal(os->M, READ_OBJECT);
}

static ntstatus_t MiReadAndWaitForApc(struct os *os, const struct os_io *io) {
    struct mmfileread *read = MiAllocateHost(os, sizeof *read);
    MiStartTransfer(os, io, MiFileReadEnded, read);
    os->M->ops->disk_poll(os->M, false);
    while (!read->Done) { KeWaitForSingleObject(os, READ_OBJECT); }
    ntstatus_t status = read->Status;
    MiFreeHost(read);
    if (MiCanTakeApc(os)) { return status; }
    if (log_wants(os->M->log, LOG_SIGNAL)) { log_send(os->M->log, LOG_SIGNAL, LOG_DEADLOCK, 0, 0, 0, 0); }
    for (;;) { KeWaitForSingleObject(os, NEVER_OBJECT); }
}

/* Without a cache between: offset and buffer are page borders, and one transfer has to do. */
static ntstatus_t ZwReadFile(struct os *os, const struct file_object *file, uint64_t offset, uint32_t length,
                             va_t buffer, uint32_t *information) {
    uint32_t pages = (uint32_t)(((uint64_t)length + PAGE_MASK) >> PAGE_SHIFT);
    if (pages == 0 || pages > OS_IO_PAGES_MAX || ((offset | buffer) & PAGE_MASK)) { return STATUS_INVALID_PARAMETER; }
    if (offset >= file->ValidLength) { return STATUS_END_OF_FILE; }
    uint64_t left = file->ValidLength - offset;
    struct os_io io = {
        .file = file->File, .offset = offset, .pages = pages, .valid_bytes = left < length ? left : length};
    struct mmmdl *mdl = MmCreateMdl(os, 0, buffer, length);
    if (!mdl) { return STATUS_INSUFFICIENT_RESOURCES; }
    mdl->InUse = true;
    ntstatus_t status = MmProbeAndLockPages(os, mdl, buffer < MM_SYSTEM_RANGE_START, true);
    if (NT_SUCCESS(status)) {
        for (uint32_t i = 0; i < pages; i++) { io.frame[i] = MiMdlFrame(os, mdl, i); }
        status = MiReadAndWaitForApc(os, &io);
        MmUnlockPages(os, mdl);
        if (NT_SUCCESS(status)) { *information = (uint32_t)io.valid_bytes; }
    }
    IoFreeMdl(os, mdl);
    return status;
}

/* FILE OFFSET LENGTH BUFFER; out: how many bytes the file had */
static ntstatus_t MiCallReadFile(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    (void)process;
    const struct file_object *file = MiLookupFile(os, MI_ARGUMENT(event, 0));
    uint32_t information = 0;
    if (!file) { return STATUS_INVALID_HANDLE; }
    ntstatus_t status =
        ZwReadFile(os, file, event->args.arg[1], MI_ARGUMENT(event, 2), MI_ARGUMENT(event, 3), &information);
    out[0] = information;
    return status;
}

/* ---- regions without APCs ---- */

static ntstatus_t MiCallEnterRegion(struct os *os, struct eprocess *process, const struct event *event,
                                    uint64_t out[2]) {
    (void)process;
    (void)event;
    (void)out;
    struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    if (!thread) { return STATUS_INVALID_PARAMETER; }
    thread->ApcDisable++;
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallLeaveRegion(struct os *os, struct eprocess *process, const struct event *event,
                                    uint64_t out[2]) {
    (void)process;
    (void)event;
    (void)out;
    struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    if (!thread || thread->ApcDisable == 0) { return STATUS_INVALID_PARAMETER; }
    thread->ApcDisable--;
    return STATUS_SUCCESS;
}

const struct mi_export MiReadFileExports[] = {
    {"ZwReadFile", 4 | MI_WIDE(1), MI_NO_HANDLE, MiCallReadFile},
    {"KeEnterCriticalRegion", 0, MI_NO_HANDLE, MiCallEnterRegion},
    {"KeLeaveCriticalRegion", 0, MI_NO_HANDLE, MiCallLeaveRegion},
    {0},
};
