/* The mapped page writer: NT-42. It is a thread of its own, so that a file system that needs memory in order to write
 * cannot stop the writes to the paging files. */
#include "mi.h"

#include <stdlib.h>

#define TAG_WRITE_MDL             0x774D6D4Du /* "MmMw" */
#define MAPPED_PAGES_MILLISECONDS 300000u
#define MDL_BYTES                 (MDL_ARRAY + 4 * MM_MODIFIED_WRITE_CLUSTER)

/* What the writer threads set up when they start; the Mdl is there for the moment when the pool is empty. */
void MiInitializePageWriters(struct os *os) {
    os->MmMappedFileMdl = ExAllocatePool(os, false, MDL_BYTES, TAG_WRITE_MDL);
}

static va_t MiAllocateMdl(struct os *os) {
    va_t mdl = ExAllocatePool(os, false, MDL_BYTES, TAG_WRITE_MDL);
    if (mdl || os->MmMappedFileMdlBusy) { return mdl; }
    os->MmMappedFileMdlBusy = true;
    return os->MmMappedFileMdl;
}

static void MiFreeMdl(struct os *os, va_t mdl) {
    if (mdl == os->MmMappedFileMdl) {
        os->MmMappedFileMdlBusy = false;
    } else {
        ExFreePool(os, mdl);
    }
}

/* ---- gathering ---- */

/* Whether the page of this prototype PTE is modified, too, and not yet being written. */
static bool MiIsModifiedNeighbour(struct os *os, va_t prototype, pfn_t *frame) {
    pte_t pte = MiReadPte(os, prototype);
    if (pte_form(pte) != PTE_FORM_TRANSITION) { return false; }
    *frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, *frame);
    return pfn_location(&pfn) == ModifiedPageList && MiIsFilePage(&pfn);
}

bool MiGatherMappedPages(struct os *os, pfn_t frame) {
    va_t prototype = MiReadPfn(os, frame).PteAddress, first = prototype;
    const struct subsection *s = MiSubsectionOfPrototype(os, prototype);
    if (!s) { MiAssert(os, "a modified page of a file belongs to no section"); }
    va_t mdl = MiAllocateMdl(os);
    if (!mdl) { return false; }
    va_t low = page_of(prototype) > s->BasePte ? page_of(prototype) : s->BasePte;
    va_t high = page_of(prototype) + PAGE_SIZE, end = s->BasePte + (va_t)s->PtesInSubsection * PTE_SIZE;
    if (end < high) { high = end; }
    pfn_t neighbour;
    while (first > low && prototype - first < PTE_SIZE * (MM_MODIFIED_WRITE_CLUSTER - 1) &&
           MiIsModifiedNeighbour(os, first - PTE_SIZE, &neighbour)) {
        first -= PTE_SIZE;
    }
    struct mmwrite *write = MiAllocateHost(os, sizeof *write), **last = &os->MmMappedPageWriterList;
    write->Mdl = mdl;
    write->ControlArea = s->ControlArea;
    write->Io = (struct os_io){.file = s->ControlArea->File, .offset = MiSubsectionFileOffset(s, first), .write = true};
    for (va_t at = first; at < high && write->Io.pages < MM_MODIFIED_WRITE_CLUSTER; at += PTE_SIZE) {
        if (!MiIsModifiedNeighbour(os, at, &neighbour)) { break; }
        MiBeginPageWrite(os, neighbour, MiReadPfn(os, neighbour).OriginalPte);
        write->Io.frame[write->Io.pages++] = neighbour;
    }
    if (write->Io.pages == 0) { MiAssert(os, "a modified page of a file is not where its prototype PTE says"); }
    s->ControlArea->ModWriteCount++;
    MiWriteControlArea(os, s->ControlArea);
    while (*last) { last = &(*last)->Next; }
    *last = write;
    if (!os->MmMappedPageWriterEvent && log_wants(os->M->log, LOG_SIGNAL)) {
        log_send(os->M->log, LOG_SIGNAL, LOG_MAPPED_WRITER, 0, 0, 0, 0);
    }
    os->MmMappedPageWriterEvent = true;
    return true;
}

/* ---- the thread ---- */

void MiMappedPageWriter(struct os *os) {
    os->MmMappedPageWriterEvent = false;
    while (os->MmMappedPageWriterList) {
        struct mmwrite *write = os->MmMappedPageWriterList;
        os->MmMappedPageWriterList = write->Next;
        write->Next = NULL;
        os->MmInfoCounters.MappedWriteIoCount++;
        os->MmInfoCounters.MappedPagesWriteCount += write->Io.pages;
        MiIssueWrite(os, write);
    }
}

void MiMappedWriteComplete(struct os *os, struct mmwrite *write) {
    MiFreeMdl(os, write->Mdl);
    write->ControlArea->ModWriteCount -= MI_MUTANT(181, 1, 0);
    MiDereferenceControlArea(os, write->ControlArea); /* it may have waited for this to be deleted */
}

/* What has been dirty too long is written even while memory is plenty. */
void MiMappedPagesAge(struct os *os, uint64_t milliseconds) {
    os->MappedPagesMilliseconds += milliseconds;
    if (os->MappedPagesMilliseconds < MAPPED_PAGES_MILLISECONDS) { return; }
    os->MappedPagesMilliseconds %= MAPPED_PAGES_MILLISECONDS;
    if (os->MmModifiedMappedPages == 0) { return; }
    os->MmMappedPagesTooOld = true;
    MiSignalModifiedWriter(os);
}
