/* Paging I/O, NT-43: the transfers that are under way, and what happens when one ends. A read's end sets an event, so
 * it may be noticed at any IRQL; a write's end queues a special kernel APC (apc.c). */
#include "mi.h"

struct mmtransfer {
    struct mmtransfer *Next;
    uint64_t Id;
    mmtransfer_done Done;
    void *Context;
};

uint64_t MiStartTransfer(struct os *os, const struct os_io *io, mmtransfer_done done, void *context) {
    struct mmtransfer *transfer = MiAllocateHost(os, sizeof *transfer);
    uint64_t id = os->M->ops->disk_start(os->M, io);
    *transfer = (struct mmtransfer){.Next = os->Transfers, .Id = id, .Done = done, .Context = context};
    os->Transfers = transfer;
    return id;
}

void MiTransferEnded(struct os *os, uint64_t id, ntstatus_t status) {
    struct mmtransfer **at = &os->Transfers;
    while (*at && (*at)->Id != id) { at = &(*at)->Next; }
    struct mmtransfer *transfer = *at;
    if (!transfer) { MiAssert(os, "a transfer ended that the kernel has not started"); }
    *at = transfer->Next;
    transfer->Done(os, transfer->Context, status);
    MiFreeHost(transfer);
}

void MiFreeTransfers(struct os *os, void (*release)(void *context)) {
    while (os->Transfers) {
        struct mmtransfer *transfer = os->Transfers;
        os->Transfers = transfer->Next;
        release(transfer->Context);
        MiFreeHost(transfer);
    }
}

/* ---- a read whose caller waits at once and keeps nothing else ---- */

#define READ_OBJECT 0xE0000000u /* what all of them wait for; each asks whether it was its own */

struct mmreadwait {
    bool Done;
    ntstatus_t Status;
};

static void MiReadEnded(struct os *os, void *context, ntstatus_t status) {
    *(struct mmreadwait *)context = (struct mmreadwait){true, status};
    os->M->ops->signal(os->M, READ_OBJECT);
}

ntstatus_t MiReadAndWait(struct os *os, const struct os_io *io) {
    struct mmreadwait *wait = MiAllocateHost(os, sizeof *wait);
    MiStartTransfer(os, io, MiReadEnded, wait);
    os->M->ops->disk_poll(os->M, false);
    while (!wait->Done) { KeWaitForSingleObject(os, READ_OBJECT); }
    ntstatus_t status = wait->Status;
    MiFreeHost(wait);
    return status;
}

void MiBuildPagingMdl(struct os *os, va_t mdl, const struct os_io *io) {
    MiWrite32(os, mdl + MDL_NEXT, 0);
    MiWrite16(os, mdl + MDL_SIZE, (uint16_t)(MDL_ARRAY + 4 * io->pages));
    MiWrite16(os, mdl + MDL_FLAGS, io->write ? MDL_PAGES_LOCKED : MDL_PAGES_LOCKED | MDL_IO_PAGE_READ);
    MiWrite32(os, mdl + MDL_PROCESS, 0);
    MiWrite32(os, mdl + MDL_MAPPED_VA, 0);
    MiWrite32(os, mdl + MDL_START_VA, 0);
    MiWrite32(os, mdl + MDL_BYTE_COUNT, io->pages << PAGE_SHIFT);
    MiWrite32(os, mdl + MDL_BYTE_OFFSET, 0);
    for (uint32_t i = 0; i < io->pages; i++) { MiWrite32(os, mdl + MDL_ARRAY + 4 * i, (uint32_t)io->frame[i]); }
}
