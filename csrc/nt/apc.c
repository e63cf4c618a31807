/* Special kernel APCs of page writes, NT-43, and the order in which system threads run, NT-02. A write that has ended
 * is known to the memory manager only when the thread that issued it can take the APC: at IRQL 0. */
#include "mi.h"

#define DISPATCH_LEVEL 2u

/* IopCompletePageWrite: the APC is queued, behind those that wait already. */
static void IopCompletePageWrite(struct os *os, void *context, ntstatus_t status) {
    struct mmwrite *write = context, **last = &os->CompletedWrites;
    write->Status = status;
    while (*last) { last = &(*last)->Next; }
    *last = write;
}

void MiIssueWrite(struct os *os, struct mmwrite *write) {
    MiBuildPagingMdl(os, write->Mdl, &write->Io);
    MiStartTransfer(os, &write->Io, IopCompletePageWrite, write);
}

/* A system thread borrows the processor of a thread, whose level and region it keeps. */
bool MiCanTakeApc(const struct os *os) {
    const struct kprcb *prcb = KeGetCurrentPrcb((struct os *)os);
    const struct ethread *thread = prcb->SystemThread ? os->Interrupted.CurrentThread : prcb->CurrentThread;
    return os->M->ops->irql(os->M) == 0 && !(thread && thread->ApcDisable != 0);
}

void KiDeliverApc(struct os *os) {
    os->M->ops->disk_poll(os->M, true);
    while (os->CompletedWrites && MiCanTakeApc(os)) {
        struct mmwrite *write = os->CompletedWrites;
        os->CompletedWrites = write->Next;
        MiWriteComplete(os, write);
    }
}

static void MiFreeWriteList(struct mmwrite *list) {
    while (list) {
        struct mmwrite *next = list->Next;
        MiFreeHost(list);
        list = next;
    }
}

void MiFreeWrites(struct os *os) {
    MiFreeWriteList(os->CompletedWrites);
    MiFreeWriteList(os->MmMappedPageWriterList);
    os->CompletedWrites = os->MmMappedPageWriterList = NULL;
}

/* ---- scheduling ---- */

/* A fault that waits for a frame needs the dirty ones written, whatever their number. */
static bool MiWriterIsWanted(const struct os *os) {
    return os->MmModifiedPageWriterEvent || (os->WaitingForPage && os->MmPageLocationList[ModifiedPageList].Count != 0);
}

/* Writes as long as what it issues ends: a disk that takes its time ends the turn. */
static void MiRunPageWriters(struct os *os) {
    uint32_t dirty;
    do {
        dirty = os->MmPageLocationList[ModifiedPageList].Count;
        if (MiWriterIsWanted(os)) { MiModifiedPageWriter(os, true); }
        if (os->MmMappedPageWriterEvent) { MiMappedPageWriter(os); }
        KiDeliverApc(os);
    } while (MiWriterIsWanted(os) && os->MmPageLocationList[ModifiedPageList].Count < dirty);
}

void MiApcTick(struct os *os) {
    if (os->M->ops->irql(os->M) < DISPATCH_LEVEL) { KiDeliverApc(os); }
}

void MiPageWritersTick(struct os *os) {
    if (os->M->ops->irql(os->M) < DISPATCH_LEVEL) { MiRunPageWriters(os); }
}
