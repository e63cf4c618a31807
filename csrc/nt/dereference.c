/* The thread MiDereferenceSegmentThread, NT-106: work that others may not do themselves, because it takes memory or
 * I/O. Served in order of arrival. */
#include "mi.h"

enum mmdereference_kind { DEREFERENCE_EXTEND_PAGING_FILES };

struct mmdereference {
    struct mmdereference *Next;
    enum mmdereference_kind Kind;
    uint32_t Pages;
};

static void MiQueueDereference(struct os *os, struct mmdereference work) {
    struct mmdereference *entry = MiAllocateHost(os, sizeof *entry), **last = &os->MmDereferenceQueue;
    *entry = work;
    while (*last) { last = &(*last)->Next; }
    *last = entry;
}

/* The writer asks once, however often it finds the files full meanwhile; and only if one may grow. */
void MiRequestPageFileExtension(struct os *os, uint32_t pages) {
    for (const struct mmdereference *entry = os->MmDereferenceQueue; entry; entry = entry->Next) {
        if (entry->Kind == DEREFERENCE_EXTEND_PAGING_FILES) { return; }
    }
    for (uint32_t i = 0; i < os->MmNumberOfPagingFiles; i++) {
        if (MiPagingFileField(os, i, PAGING_FILE_SIZE_NOW) < MiPagingFileField(os, i, PAGING_FILE_MAXIMUM)) {
            MiQueueDereference(os, (struct mmdereference){.Kind = DEREFERENCE_EXTEND_PAGING_FILES, .Pages = pages});
            return;
        }
    }
}

static void MiServeDereference(struct os *os, const struct mmdereference *entry) {
    switch (entry->Kind) {
    case DEREFERENCE_EXTEND_PAGING_FILES:
        if (MiExtendPagingFiles(os, entry->Pages) != 0 && os->MmPageLocationList[ModifiedPageList].Count != 0) {
            MiSignalModifiedWriter(os); /* it had stopped */
        }
        break;
    }
}

/* Its queues: commit requests (NT-95), control areas that nobody uses any more (NT-67), and the writer's requests. */
void MiDereferenceSegmentThread(struct os *os) {
    MiServeCommitRequests(os);
    MiDeleteDereferencedSegments(os);
    while (os->MmDereferenceQueue) {
        struct mmdereference *entry = os->MmDereferenceQueue;
        os->MmDereferenceQueue = entry->Next;
        MiServeDereference(os, entry);
        MiFreeHost(entry);
    }
}

void MiFreeDereferenceQueue(struct os *os) {
    while (os->MmDereferenceQueue) {
        struct mmdereference *entry = os->MmDereferenceQueue;
        os->MmDereferenceQueue = entry->Next;
        MiFreeHost(entry);
    }
}
