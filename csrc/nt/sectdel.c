/* How long control areas live (NT-67): the list of unused segments, the queue of the dereference thread, deletion, and
 * what a file system asks before it truncates, deletes or purges a file. */
#include "mi.h"

enum { FLUSH_FOR_DELETE, FLUSH_FOR_WRITE };

/* ---- the two queues ---- */

static struct control_area_list *MiQueueOf(struct os *os, enum area_queue queue) {
    return queue == AREA_UNUSED ? &os->MmUnusedSegmentList : &os->MmDereferenceSegmentList;
}

static void MiUnlinkControlArea(struct os *os, struct control_area *area) {
    if (area->Queue == AREA_IN_USE) { return; }
    struct control_area_list *list = MiQueueOf(os, area->Queue);
    struct control_area *before = area->Blink, *behind = area->Flink;
    *(before ? &before->Flink : &list->First) = behind;
    *(behind ? &behind->Blink : &list->Last) = before;
    list->Count--;
    area->Flink = area->Blink = NULL;
    area->Queue = AREA_IN_USE;
    if (before) { MiWriteControlArea(os, before); }
    if (behind) { MiWriteControlArea(os, behind); }
    MiWriteControlArea(os, area);
}

static void MiQueueControlArea(struct os *os, struct control_area *area, enum area_queue queue) {
    MiUnlinkControlArea(os, area);
    struct control_area_list *list = MiQueueOf(os, queue);
    area->Queue = queue;
    area->Blink = list->Last;
    *(list->Last ? &list->Last->Flink : &list->First) = area;
    list->Last = area;
    list->Count++;
    if (area->Blink) { MiWriteControlArea(os, area->Blink); }
    MiWriteControlArea(os, area);
}

static bool MiIsReferenced(const struct control_area *area) {
    return area->SectionRef || area->MappedViews || area->ModWriteCount || area->FlushCount;
}

/* ---- deletion ---- */

/* Rows P34, P24, P25. The page's frame in use by a transfer or a lock goes when that ends. */
static void MiDestroyPrototype(struct os *os, va_t prototype) {
    pte_t pte = MiReadPte(os, prototype);
    enum pte_form form = pte_form(pte);
    if (form == PTE_FORM_VALID) { MiAssert(os, "a section is destroyed while a page of it is mapped"); }
    if (form == PTE_FORM_PAGE_FILE) {
        MiReleasePageFileSpace(os, pte);
        MiWritePte(os, prototype, 0);
    }
    if (form != PTE_FORM_TRANSITION) { return; }
    pfn_t frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiWritePte(os, prototype, 0);
    MiPrototypeLeftMemory(os, prototype);
    MiSetPfnDeleted(os, frame);
    if (pfn.ReferenceCount == 0) {
        MiUnlinkPageFromList(os, frame);
        MiReleasePageFileSpace(os, pfn.OriginalPte);
        MiInsertPageInList(os, FreePageList, frame);
    }
}

static void MiDestroySubsection(struct os *os, struct subsection *s) {
    mmpte_t entries[MM_PTE_PER_PAGE];
    for (uint32_t i = 0; s->BasePte && i < s->PtesInSubsection;) {
        va_t at = s->BasePte + i * PTE_SIZE;
        uint32_t room = (uint32_t)(PAGE_SIZE - (at & PAGE_MASK)) / PTE_SIZE, left = s->PtesInSubsection - i;
        uint32_t n = left < room ? left : room;
        os->M->ops->read(os->M, at, entries, n * PTE_SIZE);
        for (uint32_t k = 0; k < n; k++) {
            enum pte_form form = pte_form(entries[k]); /* a hint: the page may have had to be waited for */
            if (form != PTE_FORM_DEMAND_ZERO && form != PTE_FORM_PROTOTYPE && form != PTE_FORM_ZERO) {
                MiDestroyPrototype(os, at + k * PTE_SIZE);
            }
        }
        i += n;
    }
    if (s->BasePte) { ExFreePool(os, s->BasePte); }
    MiFreeSubsection(os, s);
    MiFreeHost(s);
}

void MiDestroyControlArea(struct os *os, struct control_area *area) {
    struct file_object *file = area->FileObject;
    MiUnlinkControlArea(os, area);
    area->Flags |= AREA_BEING_DELETED;
    MiWriteControlArea(os, area);
    if (file) { /* nobody finds it any more */
        *(area->Image ? &file->ImageSectionObject : &file->DataSectionObject) = NULL;
        MiWriteFileObject(os, file);
    }
    for (struct subsection *s = area->Subsections, *next; s; s = next) {
        next = s->Next;
        MiDestroySubsection(os, s);
        area->Subsections = next; /* prototypes are looked up by their subsection until it is gone */
    }
    /* a page of it may have gone to the mapped page writer while others were waited for */
    while (area->ModWriteCount) { KeWaitForSingleObject(os, MiControlAreaEvent(area)); }
    struct control_area **at = &os->ControlAreas;
    while (*at != area) { at = &(*at)->Next; }
    *at = area->Next;
    MiReturnCommitment(os, area->CommitCharge, NULL);
    if (area->Segment) { ExFreePool(os, area->Segment); }
    ExFreePool(os, area->Address);
    MiFreeHost(area);
}

/* ---- references ---- */

void MiReferenceControlArea(struct os *os, struct control_area *area) {
    area->SectionRef++;
    MiUnlinkControlArea(os, area);
    MiWriteControlArea(os, area);
}

void MiHoldControlArea(struct os *os, struct control_area *area) {
    area->Held++;
    MiReferenceControlArea(os, area);
}

void MiReleaseControlArea(struct os *os, struct control_area *area) {
    area->Held--;
    area->SectionRef--;
    MiDereferenceControlArea(os, area);
}

/* Without sections and views, what the page file backs is gone; what a file backs stays as a cache: its pages are on
 * Standby or Modified, the next section finds them. */
void MiDereferenceControlArea(struct os *os, struct control_area *area) {
    MiWriteControlArea(os, area);
    os->M->ops->signal(os->M, MiControlAreaEvent(area)); /* a flush may wait for the mapped page writer */
    if (MiIsReferenced(area) || (area->Flags & AREA_BEING_DELETED)) { return; }
    if (!area->File) {
        MiDestroyControlArea(os, area);
    } else if (area->PfnRef == 0 || (area->Flags & AREA_DELETE_ON_CLOSE)) {
        MiQueueControlArea(os, area, AREA_DEREFERENCED);
    } else {
        MiQueueControlArea(os, area, AREA_UNUSED);
    }
}

void MiChangePfnReference(struct os *os, struct control_area *area, int change) {
    area->PfnRef += (uint32_t)change;
    if (area->PfnRef == 0 && area->Queue == AREA_UNUSED) { /* it caches nothing any more */
        MiQueueControlArea(os, area, AREA_DEREFERENCED);
    } else {
        MiWriteControlArea(os, area);
    }
}

/* A page of the area is in memory only, or on its way to the file. Then so is the page of its prototype; others are not
 * waited for, since the area may go meanwhile. Its PTE says so: the directory may not have the pool yet (NT-20). */
static bool MiHasModifiedPages(struct os *os, const struct control_area *area) {
    for (const struct subsection *s = area->Subsections; s; s = s->Next) {
        for (uint32_t i = 0; s->BasePte && i < s->PtesInSubsection; i++) {
            va_t prototype = s->BasePte + i * PTE_SIZE;
            if (!(MiReadPte(os, MiGetPteAddress(prototype)) & PTE_VALID)) { continue; }
            pte_t pte = MiReadPte(os, prototype);
            if (pte_form(pte) != PTE_FORM_TRANSITION) { continue; }
            struct mmpfn pfn = MiReadPfn(os, pte_frame(pte));
            if (pfn.Flags & (PFN_MODIFIED | PFN_WRITE_IN_PROGRESS)) { return true; }
        }
    }
    return false;
}

bool MiPurgeUnusedSegment(struct os *os) {
    struct control_area *area = os->MmDereferenceSegmentList.First;
    if (!area) { area = os->MmUnusedSegmentList.First; }
    while (area && MiHasModifiedPages(os, area)) { area = area->Flink; }
    if (area) { MiDestroyControlArea(os, area); }
    return area != NULL;
}

/* The queue of MiDereferenceSegmentThread. An area that has been taken up again is not on it any more. */
void MiDeleteDereferencedSegments(struct os *os) {
    for (struct control_area *area; (area = os->MmDereferenceSegmentList.First);) {
        if ((area->Flags & AREA_DELETE_ON_CLOSE) && MiHasModifiedPages(os, area)) {
            MiUnlinkControlArea(os, area);
            MiFlushControlArea(os, area);
            if (MiIsReferenced(area)) { continue; } /* taken up again while the write was waited for */
            if (MiHasModifiedPages(os, area)) {     /* they cannot be written: they are kept */
                MiQueueControlArea(os, area, AREA_UNUSED);
                continue;
            }
        }
        MiDestroyControlArea(os, area);
    }
}

/* ---- what file systems ask ---- */

/* True: the file has no such control area any more. */
static bool MiPurgeControlArea(struct os *os, struct control_area *area) {
    if (!area) { return true; }
    if (MiIsReferenced(area)) { return false; }
    MiDestroyControlArea(os, area);
    return true;
}

bool MmFlushImageSection(struct os *os, struct file_object *file, uint32_t type) {
    if (type == FLUSH_FOR_DELETE && file->DataSectionObject && MiIsReferenced(file->DataSectionObject)) {
        return false;
    }
    if (!MiPurgeControlArea(os, file->ImageSectionObject)) { return false; }
    return type != FLUSH_FOR_DELETE || MiPurgeControlArea(os, file->DataSectionObject);
}

/* The end, in bytes of the file, of the views that user processes have of it. */
static uint64_t MiEndOfUserViews(struct os *os, const struct control_area *area) {
    uint64_t end = 0;
    for (const struct eprocess *process = os->Processes; process; process = process->Next) {
        for (struct mmvad *vad = MiFirstVad(process); vad; vad = MiNextVad(vad)) {
            if (vad->ControlArea != area) { continue; }
            uint64_t view_end = vad->SectionOffset + (vad->EndingAddress + 1 - vad->StartingAddress);
            if (view_end > end) { end = view_end; }
        }
    }
    return end;
}

bool MmCanFileBeTruncated(struct os *os, struct file_object *file, uint64_t size) {
    if (!MmFlushImageSection(os, file, FLUSH_FOR_WRITE)) { return false; }
    const struct control_area *data = file->DataSectionObject;
    if (!data || data->UserRef == 0) { return true; }
    return MiEndOfUserViews(os, data) <= ((size + PAGE_MASK) & ~(uint64_t)PAGE_MASK);
}

static bool MiForceClosed(struct os *os, struct control_area *area, bool delay) {
    if (!area) { return true; }
    if (!MiIsReferenced(area) && MiHasModifiedPages(os, area)) {
        MiUnlinkControlArea(os, area); /* nobody purges it while it is flushed */
        MiFlushControlArea(os, area);
    }
    if (!MiIsReferenced(area) && !MiHasModifiedPages(os, area)) {
        MiDestroyControlArea(os, area);
        return true;
    }
    if (delay) { area->Flags |= AREA_DELETE_ON_CLOSE; }
    MiDereferenceControlArea(os, area);
    return false;
}

bool MmForceSectionClosed(struct os *os, struct file_object *file, bool delay) {
    bool data = MiForceClosed(os, file->DataSectionObject, delay);
    return MiForceClosed(os, file->ImageSectionObject, delay) && data;
}

bool MmDisableModifiedWriteOfSection(struct os *os, struct file_object *file) {
    struct control_area *area = file->DataSectionObject;
    if (!area) { return false; }
    area->Flags |= AREA_NO_MODIFIED_WRITING;
    MiWriteControlArea(os, area);
    return true;
}

bool MiIsModifiedNoWrite(struct os *os, const struct mmpfn *pfn) {
    if (!(pfn->Flags & PFN_PROTOTYPE) || pte_form(pfn->OriginalPte) != PTE_FORM_PROTOTYPE) { return false; }
    const struct subsection *s = MiSubsectionOfPrototype(os, pfn->PteAddress);
    return s && (s->ControlArea->Flags & AREA_NO_MODIFIED_WRITING);
}
