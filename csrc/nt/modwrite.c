/* The modified page writer: NT-41. Dirty pages of processes, pools and shared memory go to a paging file in clusters of
 * adjacent slots; dirty pages of files are handed to the mapped page writer. */
#include "mi.h"

#define MM_MODIFIED_PAGE_MINIMUM 0x28u
#define MM_HIGH_AVAILABLE        0x64u

bool MiIsFilePage(const struct mmpfn *pfn) { return pte_form(pfn->OriginalPte) == PTE_FORM_PROTOTYPE; }

struct mmpfn MiBeginPageWrite(struct os *os, pfn_t frame, pte_t original_pte) {
    struct mmpfn pfn = MiReferenceTransitionPage(os, frame);
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_MODIFIED) | PFN_WRITE_IN_PROGRESS);
    pfn.OriginalPte = (mmpte_t)original_pte;
    MiWritePfn(os, frame, &pfn);
    return pfn;
}

/* ---- to a paging file ---- */

enum gathered { GATHERED_RUN, GATHERED_NOTHING_YET /* every MDL entry is in flight */, GATHERED_FULL };

static unsigned MiFreeEntry(struct os *os, uint32_t number) {
    for (unsigned entry = 0; entry < 2; entry++) {
        if (MiPagingFileField(os, number, PAGING_FILE_ENTRY + 4 * entry) == PAGING_FILE_ENTRY_FREE) { return entry; }
    }
    return 2;
}

/* The lowest file that has room, and an MDL entry for the write. */
static enum gathered MiChoosePagingFile(struct os *os, uint32_t *number) {
    bool room = false;
    for (uint32_t i = 0; i < os->MmNumberOfPagingFiles; i++) {
        if (MiPagingFileField(os, i, PAGING_FILE_FREE) == 0) { continue; }
        room = true;
        *number = i;
        if (MiFreeEntry(os, i) < 2) { return GATHERED_RUN; }
    }
    return room ? GATHERED_NOTHING_YET : GATHERED_FULL;
}

/* The first page-file frame of the Modified list, MM_EMPTY_LIST if there is none. */
static uint32_t MiFirstModifiedPage(struct os *os, bool of_file) {
    const struct mmpfnlist *list = &os->MmPageLocationList[ModifiedPageList];
    uint32_t frame = list->FirstFrame;
    for (uint32_t left = list->Count; left != 0; left--) {
        struct mmpfn pfn = MiReadPfn(os, frame);
        if (MiIsFilePage(&pfn) == of_file) { return frame; }
        frame = pfn.u1;
    }
    return MM_EMPTY_LIST;
}

static void MiWriteOneToSlot(struct os *os, struct mmwrite *write, pfn_t frame, uint32_t slot) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiReleasePageFileSpace(os, pfn.OriginalPte);
    MiBeginPageWrite(os, frame, pte_page_file(write->File, slot, pte_protection(pfn.OriginalPte)));
    write->Io.frame[write->Io.pages++] = frame;
}

static enum gathered MiGatherPagefilePages(struct os *os) {
    uint32_t number, slot, room = 0;
    enum gathered choice = MiChoosePagingFile(os, &number);
    if (choice == GATHERED_NOTHING_YET) { return choice; }
    if (choice == GATHERED_RUN && !os->M->ops->inject(os->M, OS_INJECT_PAGEFILE_FULL)) {
        room = MiAllocatePageFileRun(os, number, MM_MODIFIED_WRITE_CLUSTER, &slot);
    }
    if (room == 0) { return GATHERED_FULL; }
    struct mmwrite *write = MiAllocateHost(os, sizeof *write);
    write->File = number;
    write->Entry = MiFreeEntry(os, number);
    write->Mdl = os->MmPagingFile[number].Mdl[write->Entry];
    write->Io = (struct os_io){.file = os_paging_file(number), .offset = (uint64_t)slot << PAGE_SHIFT, .write = true};
    for (uint32_t frame; write->Io.pages < room;) {
        frame = MiFirstModifiedPage(os, false);
        if (frame == MM_EMPTY_LIST) { break; }
        MiWriteOneToSlot(os, write, frame, slot + MI_MUTANT(146, write->Io.pages, 0));
    }
    MiReturnPageFileRun(os, number, slot + write->Io.pages, room - write->Io.pages);
    MiWrite32(os, os->MmPagingFile[number].Address + PAGING_FILE_ENTRY + 4 * write->Entry, (uint32_t)write->Mdl);
    os->MmNumberOfActiveMdlEntries--;
    os->MmInfoCounters.DirtyWriteIoCount++;
    os->MmInfoCounters.DirtyPagesWriteCount += write->Io.pages;
    MiIssueWrite(os, write);
    return GATHERED_RUN;
}

static void MiPageFileIsFull(struct os *os, uint32_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiUnlinkPageFromList(os, frame);
    MiInsertPfnInList(os, ModifiedPageList, frame, pfn);
    MiRequestPageFileExtension(os, MM_MODIFIED_WRITE_CLUSTER);
    if (os->MmPageFileFull) { return; }
    os->MmPageFileFull = true;
    if (log_wants(os->M->log, LOG_SIGNAL)) { log_send(os->M->log, LOG_SIGNAL, LOG_PAGEFILE_FULL, 0, 0, 0, 0); }
}

/* ---- the worker ---- */

static bool MiEnoughWritten(const struct os *os) {
    return os->MmPageLocationList[ModifiedPageList].Count < MM_MODIFIED_PAGE_MINIMUM &&
           os->MmAvailablePages > MM_HIGH_AVAILABLE;
}

/* Whoever comes first on the list, of those that can be written at all. */
static uint32_t MiNextToWrite(struct os *os, bool paging_files_blocked) {
    if (!paging_files_blocked) { return os->MmPageLocationList[ModifiedPageList].FirstFrame; }
    return os->MmModifiedMappedPages != 0 ? MiFirstModifiedPage(os, true) : MM_EMPTY_LIST;
}

ntstatus_t MiModifiedPageWriter(struct os *os, bool thresholds) {
    ntstatus_t status = STATUS_SUCCESS;
    bool blocked = os->MmNumberOfPagingFiles == 0, wait = false;
    os->MmModifiedPageWriterEvent = false;
    if (blocked && os->MmPageLocationList[ModifiedPageList].Count > os->MmModifiedMappedPages &&
        !os->NoPagingFileReported) {
        os->NoPagingFileReported = true;
        status = STATUS_NO_PAGEFILE;
    }
    for (;;) {
        bool enough = thresholds && MiEnoughWritten(os);
        if (enough && !os->MmMappedPagesTooOld) { break; }
        uint32_t frame = MiNextToWrite(os, blocked || enough);
        if (frame == MM_EMPTY_LIST) { break; }
        struct mmpfn pfn = MiReadPfn(os, frame);
        if (MiIsFilePage(&pfn)) {
            if (!MiGatherMappedPages(os, frame)) { break; }
            continue;
        }
        enum gathered gathered = MiGatherPagefilePages(os);
        if (gathered == GATHERED_FULL) {
            MiPageFileIsFull(os, frame);
            break;
        }
        if (gathered == GATHERED_NOTHING_YET) { blocked = wait = true; }
    }
    if (os->MmModifiedMappedPages == 0) { os->MmMappedPagesTooOld = false; }
    os->MmModifiedPageWriterEvent |= wait; /* it goes on when a write has ended */
    return status;
}

void MiWriteComplete(struct os *os, struct mmwrite *write) {
    for (uint32_t i = 0; i < write->Io.pages; i++) {
        pfn_t frame = MiRead32(os, write->Mdl + MDL_ARRAY + 4 * i);
        struct mmpfn pfn = MiReadPfn(os, frame);
        pfn.Flags &= (uint16_t)~PFN_WRITE_IN_PROGRESS;
        if (MI_MUTANT(124, !NT_SUCCESS(write->Status), false)) { pfn.Flags |= PFN_MODIFIED; }
        if ((pfn.Flags & PFN_MODIFIED) && MI_MUTANT(125, !write->ControlArea, false)) { /* P20, P21, P22 */
            MiForgetPageFileSlot(os, &pfn);
        }
        MiWritePfn(os, frame, &pfn);
        MiDecrementReferenceCount(os, frame);
    }
    if (write->ControlArea) {
        MiMappedWriteComplete(os, write);
    } else {
        MiWrite32(os, os->MmPagingFile[write->File].Address + PAGING_FILE_ENTRY + 4 * write->Entry,
                  PAGING_FILE_ENTRY_FREE);
        os->MmNumberOfActiveMdlEntries++;
    }
    MiFreeHost(write);
}
