/* The PFN database and the page lists: NT-21..25, NT-27, NT-28. Entries and links are in simulated memory; the list
 * heads are the kernel's own variables. */
#include "mi.h"
#include "ntmmu/os_access.h"

#define MM_MINIMUM_AVAILABLE          5u
#define MM_HIGH_AVAILABLE             0x64u
#define MM_MINIMUM_FREE_PAGES_TO_ZERO 8u
#define MM_MODIFIED_PAGE_MAXIMUM      0x64u
#define PAGE_TIMEOUT_MILLISECONDS     30000u
#define PAGE_TIMEOUTS                 20u

enum { PFN_OFFSET_U1 = 0x00, PFN_OFFSET_U2 = 0x08, PFN_OFFSET_ORIGINAL = 0x10 };

/* What of an entry the share count is about. */
struct mmpfncounts {
    uint32_t u2;
    uint16_t Flags, ReferenceCount;
};

OS_TYPED_ACCESS(pfn, struct mmpfn);
OS_TYPED_ACCESS(pfn_counts, struct mmpfncounts);

/* The log and the table of moves learn of the frame's new state. */
OS_ALWAYS_INLINE void MiNotePfn(struct os *os, pfn_t frame, uint32_t u2, uint16_t flags, uint16_t references) {
    if (frame > os->MmHighestPhysicalPage) { /* from a page table that somebody has written over */
        KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 2, frame, os->MmHighestPhysicalPage, references);
    }
    struct mmpfnlog *last = &os->LoggedPfn[frame];
    uint32_t share = (flags & PFN_LOCATION) >> PFN_LOCATION_SHIFT < MM_LISTS ? 0 : u2;
    if (share == last->Share && flags == last->Flags && references == last->ReferenceCount) { return; }
    unsigned before = MiPfnState(last->Flags), after = MiPfnState(flags);
    if (before != after && !(os->PfnMoves[before][after / 32] >> after % 32 & 1)) {
        MiIllegalPfnMove(os, frame, last->Flags, flags);
    }
    if (log_wants(os->M->log, LOG_PFN)) { log_send(os->M->log, LOG_PFN, frame, last->Flags, flags, share, references); }
    *last = (struct mmpfnlog){share, flags, references};
}

/* The two of mi.h, inline for the ways of a page fault. */
OS_ALWAYS_INLINE struct mmpfn MiLoadPfn(struct os *os, pfn_t frame) { return os_read_pfn(os->M, pfn_address(frame)); }

OS_ALWAYS_INLINE void MiStorePfn(struct os *os, pfn_t frame, struct mmpfn pfn) {
    os_write_pfn(os->M, pfn_address(frame), pfn);
    MiNotePfn(os, frame, pfn.u2, pfn.Flags, pfn.ReferenceCount);
}

struct mmpfn MiReadPfn(struct os *os, pfn_t frame) {
    return MiLoadPfn(os, frame);
}
void MiWritePfn(struct os *os, pfn_t frame, const struct mmpfn *pfn) { MiStorePfn(os, frame, *pfn); }

bool MiFramesAvailable(const struct os *os, uint32_t count) { return os->MmAvailablePages >= count; }

bool MiFramesAvailableOrWanted(struct os *os, uint32_t count) {
    if (MiFramesAvailable(os, count)) { return true; }
    if (count > os->FramesWanted) { os->FramesWanted = count; }
    os->FramesMissing = count - os->MmAvailablePages;
    return false;
}

static void MiSetLink(struct os *os, uint32_t frame, unsigned offset, uint32_t value) {
    MiWrite32(os, pfn_address(frame) + offset, value);
}

static void MiLogList(struct os *os, enum mm_list list, pfn_t frame, bool inserted) {
    if (log_wants(os->M->log, LOG_LIST)) {
        log_send(os->M->log, LOG_LIST, list, frame, inserted, os->MmPageLocationList[list].Count, 0);
    }
}

static void MiSignal(struct os *os, enum log_signal signal) {
    if (log_wants(os->M->log, LOG_SIGNAL)) { log_send(os->M->log, LOG_SIGNAL, signal, 0, 0, 0, 0); }
}

void MiSignalModifiedWriter(struct os *os) {
    if (!os->MmModifiedPageWriterEvent) {
        os->MmModifiedPageWriterEvent = true;
        MiSignal(os, LOG_MODIFIED_WRITER);
    }
}

static bool MiListIsAvailable(enum mm_list list) { return list <= StandbyPageList; }

/* ---- colours, NT-23: a second list through OriginalPte, only where there is more than one colour ---- */

static struct mmpfnlist *MiColorList(struct os *os, enum mm_list list, pfn_t frame) {
    return &os->MmFreePagesByColor[list][frame & os->MmSecondaryColorMask];
}

static bool MiColored(const struct os *os, enum mm_list list) {
    return os->MmSecondaryColorMask != 0 && list <= FreePageList;
}

static void MiInsertInColorList(struct os *os, enum mm_list list, pfn_t frame) {
    struct mmpfnlist *head = MiColorList(os, list, frame);
    if (head->Count++ == 0) {
        head->FirstFrame = (uint32_t)frame;
    } else {
        MiSetLink(os, head->LastFrame, PFN_OFFSET_ORIGINAL, (uint32_t)frame);
    }
    head->LastFrame = (uint32_t)frame;
}

static void MiRemoveFromColorList(struct os *os, enum mm_list list, pfn_t frame, uint32_t next) {
    struct mmpfnlist *head = MiColorList(os, list, frame);
    uint32_t previous = MM_EMPTY_LIST, left = head->Count;
    for (uint32_t at = head->FirstFrame; at != frame;) {
        if (at == MM_EMPTY_LIST || left-- == 0) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x8F, frame, list, 0); }
        previous = at;
        at = MiRead32(os, pfn_address(at) + PFN_OFFSET_ORIGINAL);
    }
    if (previous == MM_EMPTY_LIST) {
        head->FirstFrame = next;
    } else {
        MiSetLink(os, previous, PFN_OFFSET_ORIGINAL, next);
    }
    if (head->LastFrame == frame) { head->LastFrame = previous; }
    head->Count--;
}

/* ---- unlinking ---- */

static void MiAfterRemoval(struct os *os) {
    if (os->MmAvailablePages >= MM_MINIMUM_AVAILABLE) { return; }
    if (os->MmPageLocationList[ModifiedPageList].Count != 0) { MiSignalModifiedWriter(os); }
    os->MmAvailablePagesEvent = false;
}

static inline void MiUnlink(struct os *os, pfn_t frame, struct mmpfn pfn) {
    MiEnterPfnLock(os);
    enum mm_list list = (enum mm_list)pfn_location(&pfn);
    if (list >= MM_LISTS || list == BadPageList) {
        KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x99, frame, pfn_location(&pfn), 0);
    }
    struct mmpfnlist *head = &os->MmPageLocationList[list];
    if (head->Count == 0) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 1, list, 0, 0); }
    if (pfn.u2 == MM_EMPTY_LIST) {
        head->FirstFrame = pfn.u1;
    } else {
        MiSetLink(os, pfn.u2, PFN_OFFSET_U1, pfn.u1);
    }
    if (pfn.u1 == MM_EMPTY_LIST) {
        head->LastFrame = MI_MUTANT(134, pfn.u2, (uint32_t)frame);
    } else {
        MI_MUTANT(194, MiSetLink(os, pfn.u1, PFN_OFFSET_U2, pfn.u2), (void)0);
    }
    head->Count--;
    if (list == ModifiedPageList && MiIsFilePage(&pfn)) { os->MmModifiedMappedPages -= MI_MUTANT(133, 1, 0); }
    if (MiColored(os, list)) { MiRemoveFromColorList(os, list, frame, (uint32_t)pfn.OriginalPte); }
    if (MiListIsAvailable(list)) { os->MmAvailablePages--; }
    MiLogList(os, list, frame, false);
    MiAfterRemoval(os);
    MiLeavePfnLock(os);
}

void MiUnlinkPageFromList(struct os *os, pfn_t frame) { MiUnlink(os, frame, MiLoadPfn(os, frame)); }

/* NT-28: a standby frame is taken for something else; its page is from now on only where OriginalPte says. The entry is
 * stored through its frame, because its process need not be the current one. */
static void MiRestoreTransitionPte(struct os *os, struct mmpfn pfn) {
    pa_t entry = ((pa_t)pfn.ContainingFrame << PAGE_SHIFT) | (pfn.PteAddress & PAGE_MASK);
    bool prototype = pfn.Flags & PFN_PROTOTYPE;
    pte_t old = MiReadPhysicalPte(os, entry);
    MiWritePhysicalPte(os, entry, MI_MUTANT(153, pfn.OriginalPte, old));
    if (log_wants(os->M->log, LOG_PTE)) {
        va_t va = prototype ? 0 : MiGetVirtualAddressMappedByPte(pfn.PteAddress);
        log_send(os->M->log, LOG_PTE, pfn.PteAddress, old, pfn.OriginalPte, va, 0);
    }
    if (prototype) {
        MiPrototypeLeftMemory(os, pfn.PteAddress);
    } else {
        MiDecrementShareCount(os, pfn.ContainingFrame);
    }
}

static pfn_t MiTakeFrame(struct os *os, pfn_t frame) {
    struct mmpfn pfn = MiLoadPfn(os, frame);
    if (frame > os->MmHighestPhysicalPage || (pfn_location(&pfn) < StandbyPageList && pfn.ReferenceCount != 0)) {
        KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 2, frame, os->MmHighestPhysicalPage, pfn.ReferenceCount);
    }
    MiUnlink(os, frame, pfn);
    if (pfn_location(&pfn) == StandbyPageList) {
        MiRestoreTransitionPte(os, pfn);
        os->MmInfoCounters.StandbyRepurposed++;
    }
    return frame;
}

pfn_t MiRemovePageFromList(struct os *os, enum mm_list list) {
    struct mmpfnlist *head = &os->MmPageLocationList[list];
    if (head->Count == 0) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 1, list, 0, 0); }
    return MiTakeFrame(os, head->FirstFrame);
}

/* The first frame of the colour, or MM_EMPTY_LIST. */
static uint32_t MiFirstOfColor(const struct os *os, enum mm_list list, uint32_t colour) {
    if (MI_MUTANT(135, os->MmSecondaryColorMask == 0, true)) { return os->MmPageLocationList[list].FirstFrame; }
    return os->MmFreePagesByColor[list][colour & os->MmSecondaryColorMask].FirstFrame;
}

pfn_t MiRemoveAnyPage(struct os *os, uint32_t colour) {
    uint32_t frame = MiFirstOfColor(os, MI_MUTANT(131, FreePageList, ZeroedPageList), colour);
    if (frame == MM_EMPTY_LIST) { frame = MiFirstOfColor(os, ZeroedPageList, colour); }
    if (frame == MM_EMPTY_LIST) { frame = os->MmPageLocationList[FreePageList].FirstFrame; }
    if (frame == MM_EMPTY_LIST) { frame = os->MmPageLocationList[ZeroedPageList].FirstFrame; }
    if (frame == MM_EMPTY_LIST) {
        frame = MI_MUTANT(130, os->MmPageLocationList[StandbyPageList].FirstFrame,
                          os->MmPageLocationList[StandbyPageList].LastFrame);
    }
    if (frame == MM_EMPTY_LIST) { MiAssert(os, "a frame is taken although MmAvailablePages is 0"); }
    return MiTakeFrame(os, frame);
}

pfn_t MiRemoveZeroPage(struct os *os, uint32_t colour) {
    uint32_t frame = MiFirstOfColor(os, ZeroedPageList, colour);
    if (frame == MM_EMPTY_LIST) { frame = os->MmPageLocationList[ZeroedPageList].FirstFrame; }
    if (frame != MM_EMPTY_LIST) { return MiTakeFrame(os, frame); }
    pfn_t any = MiRemoveAnyPage(os, colour);
    MI_MUTANT(164, MiZeroPhysicalPage(os, any), (void)0);
    return any;
}

bool MiSimulateNoFrame(struct os *os, const struct mmfault *fault) {
    if (!fault->Trap || !os->M->ops->inject(os->M, OS_INJECT_NO_FRAME)) { return false; }
    os->NoFrameSimulated = true;
    return true;
}

void MiWaitForFreePage(struct os *os) {
    bool simulated = os->NoFrameSimulated;
    os->NoFrameSimulated = false;
    if (simulated && os->MmAvailablePagesEvent) { return; }
    os->WaitingForPage = true;
    KeWaitForSingleObject(os, WRFREEPAGE_OBJECT);
}

void MiWaitForFrames(struct os *os, uint32_t count) {
    do {
        MiFramesAvailableOrWanted(os, count);
        MiWaitForFreePage(os);
    } while (!MiFramesAvailable(os, count));
}

/* NT-24: who waits for a frame gives up after 20 time-outs of 30 s, and the machine with him. */
void MiPageWaitersTimePasses(struct os *os, uint64_t milliseconds) {
    if (!os->WaitingForPage) { return; }
    os->WaitMilliseconds += milliseconds;
    while (os->WaitMilliseconds >= PAGE_TIMEOUT_MILLISECONDS) {
        os->WaitMilliseconds -= PAGE_TIMEOUT_MILLISECONDS;
        if (++os->WaitTimeouts == PAGE_TIMEOUTS) {
            KeBugCheckEx(os, BUGCHECK_NO_PAGES_AVAILABLE, os->MmPageLocationList[ModifiedPageList].Count, 0, 0, 0);
        }
    }
}

/* ---- inserting, NT-25 ---- */

static void MiPagesBecameAvailable(struct os *os) {
    os->MmAvailablePages++;
    bool crossed = os->MmAvailablePages == MM_MINIMUM_AVAILABLE && !os->MmAvailablePagesEvent;
    /* Whoever needs several frames at once may wait although there are some. */
    if (crossed || (os->WaitingForPage && os->MmAvailablePagesEvent)) {
        os->MmAvailablePagesEvent = true;
        os->WaitingForPage = false;
        os->WaitTimeouts = 0;
        os->WaitMilliseconds = 0;
        if (crossed) { MiSignal(os, LOG_AVAILABLE_PAGES); }
        os->M->ops->signal(os->M, WRFREEPAGE_OBJECT);
    }
    if (os->FramesWanted != 0 && os->MmAvailablePages >= os->FramesWanted) {
        os->FramesWanted = 0;
        os->WaitingForPage = false;
        os->WaitTimeouts = 0;
        os->WaitMilliseconds = 0;
        os->M->ops->signal(os->M, WRFREEPAGE_OBJECT);
    }
    if (os->MmAvailablePages == MM_HIGH_AVAILABLE) { MiSignal(os, LOG_AVAILABLE_PAGES_HIGH); }
}

static void MiWakeZeroThread(struct os *os) {
    if (os->MmPageLocationList[FreePageList].Count >= MM_MINIMUM_FREE_PAGES_TO_ZERO && !os->MmZeroingPageThreadActive) {
        os->MmZeroingPageThreadActive = true;
        os->MmZeroingPageEvent = true;
        MiSignal(os, LOG_ZEROING_PAGE);
    }
}

/* Row P32: what is given free is looked at. */
static bool MiFrameIsBad(struct os *os, struct mmpfn *pfn) {
    if (os->M->ops->inject(os->M, OS_INJECT_PARITY)) { pfn->Flags |= PFN_PARITY_ERROR; }
    return pfn->Flags & PFN_PARITY_ERROR;
}

void MiInsertPfnInList(struct os *os, enum mm_list list, pfn_t frame, struct mmpfn pfn) {
    if (list == FreePageList && MiFrameIsBad(os, &pfn)) { list = BadPageList; }
    bool modified = pfn.Flags & PFN_MODIFIED;
    if (pfn.ReferenceCount != 0) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x99, frame, pfn_location(&pfn), 0); }
    if ((list == StandbyPageList && modified) ||
        ((list == ModifiedPageList || list == ModifiedNoWritePageList) && !modified)) {
        MiAssert(os, "a frame's modified bit contradicts the list it goes to");
    }
    MiEnterPfnLock(os);
    struct mmpfnlist *head = &os->MmPageLocationList[list];
    if (list <= FreePageList) { pfn = (struct mmpfn){.OriginalPte = MiColored(os, list) ? MM_EMPTY_LIST : 0}; }
    if (list == BadPageList) { pfn = (struct mmpfn){.Flags = PFN_PARITY_ERROR}; }
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_LOCATION) | list << PFN_LOCATION_SHIFT);
    pfn.u1 = MM_EMPTY_LIST;
    pfn.u2 = head->LastFrame;
    MiWritePfn(os, frame, &pfn);
    if (head->Count++ == 0) {
        head->FirstFrame = (uint32_t)frame;
    } else {
        MiSetLink(os, head->LastFrame, PFN_OFFSET_U1, (uint32_t)frame);
    }
    head->LastFrame = (uint32_t)frame;
    if (MiColored(os, list)) { MiInsertInColorList(os, list, frame); }
    MiLogList(os, list, frame, true);
    if (MI_MUTANT(132, MiListIsAvailable(list), list <= FreePageList)) { MiPagesBecameAvailable(os); }
    if (list == FreePageList) { MiWakeZeroThread(os); }
    if (list == ModifiedPageList && MiIsFilePage(&pfn)) { os->MmModifiedMappedPages++; }
    if (list == ModifiedPageList &&
        head->Count >= MI_MUTANT(136, MM_MODIFIED_PAGE_MAXIMUM, MM_MODIFIED_PAGE_MAXIMUM + 1)) {
        MiSignalModifiedWriter(os);
    }
    MiLeavePfnLock(os);
}

void MiInsertPageInList(struct os *os, enum mm_list list, pfn_t frame) {
    MiInsertPfnInList(os, list, frame, MiReadPfn(os, frame));
}

/* ---- counts, NT-28 ---- */

void MiInitializePfn(struct os *os, pfn_t frame, va_t pte_va, pte_t original_pte, uint16_t flags, pfn_t containing) {
    struct mmpfn pfn = {.PteAddress = (uint32_t)pte_va,
                        .u2 = 1,
                        .Flags = (uint16_t)(ActiveAndValid << PFN_LOCATION_SHIFT | flags),
                        .ReferenceCount = 1,
                        .OriginalPte = (mmpte_t)original_pte,
                        .ContainingFrame = (uint32_t)containing};
    MiStorePfn(os, frame, pfn);
    MiIncrementShareCount(os, containing);
}

static void MiSetLocation(struct mmpfn *pfn, unsigned location) {
    pfn->Flags = (uint16_t)((pfn->Flags & ~PFN_LOCATION) | location << PFN_LOCATION_SHIFT);
}

OS_ALWAYS_INLINE struct mmpfncounts MiWithOneShareMore(struct os *os, struct mmpfncounts pfn) {
    if ((pfn.Flags & PFN_LOCATION) >> PFN_LOCATION_SHIFT < MM_LISTS) {
        MiAssert(os, "share count raised of a frame that is on a list");
    }
    pfn.u2++;
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_LOCATION) | ActiveAndValid << PFN_LOCATION_SHIFT);
    return pfn;
}

void MiIncrementShareCount(struct os *os, pfn_t frame) {
    va_t va = pfn_address(frame) + PFN_OFFSET_U2;
    struct mmpfncounts pfn;
    struct os_pfn_counts_in_memory *at = os_place_to_change(os->M, va, sizeof *at);
    if (OS_LIKELY(at)) {
        pfn = at->value = MiWithOneShareMore(os, at->value);
    } else {
        pfn = MiWithOneShareMore(os, os_read_pfn_counts(os->M, va));
        os_write_pfn_counts(os->M, va, pfn);
    }
    MiNotePfn(os, frame, pfn.u2, pfn.Flags, pfn.ReferenceCount);
}

static void MiDropReference(struct os *os, pfn_t frame, struct mmpfn pfn) {
    bool deleted = pfn.PteAddress == PFN_DELETED_PTE;
    if (pfn.ReferenceCount == 0) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 7, frame, pfn.u2, 0); }
    pfn.ReferenceCount--;
    if (pfn.ReferenceCount != 0) {
        MiWritePfn(os, frame, &pfn);
        return;
    }
    if (pfn.u2 != 0) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x99, frame, pfn.u2, 0); }
    if (deleted) {
        MiReleasePageFileSpace(os, pfn.OriginalPte);
        MiInsertPfnInList(os, FreePageList, frame, pfn);
    } else if (pfn.Flags & PFN_IN_PAGE_ERROR) {
        MiRestoreTransitionPte(os, pfn);
        MiInsertPfnInList(os, FreePageList, frame, pfn);
    } else {
        enum mm_list dirty =
            MI_MUTANT(129, MiIsModifiedNoWrite(os, &pfn), false) ? ModifiedNoWritePageList : ModifiedPageList; /* P29 */
        MiInsertPfnInList(os, pfn.Flags & PFN_MODIFIED ? dirty : StandbyPageList, frame, pfn);
    }
}

void MiDecrementShareCount(struct os *os, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn_location(&pfn) != ActiveAndValid || pfn.u2 == 0) {
        KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x99, pfn.u2, frame, pfn_location(&pfn));
    }
    pfn.u2--;
    if (pfn.u2 != 0) {
        MiWritePfn(os, frame, &pfn);
        return;
    }
    MiSetLocation(&pfn, TransitionPage);
    if (MI_MUTANT(154, (pfn.Flags & PFN_PROTOTYPE), false) && pfn.PteAddress != PFN_DELETED_PTE) {
        pte_t prototype = MiReadPte(os, pfn.PteAddress);
        MiWritePte(os, pfn.PteAddress, pte_transition(prototype, pte_protection(pfn.OriginalPte)));
    }
    MiDropReference(os, frame, pfn);
}

void MiDecrementReferenceCount(struct os *os, pfn_t frame) { MiDropReference(os, frame, MiReadPfn(os, frame)); }

void MiIncrementReferenceCount(struct os *os, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    unsigned location = pfn_location(&pfn);
    if (location < MM_LISTS) { /* a driver locks memory that nobody has allocated */
        KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x99, frame, location, 0);
    }
    pfn.ReferenceCount++;
    MiWritePfn(os, frame, &pfn);
}

struct mmpfn MiReferenceTransitionPfn(struct os *os, pfn_t frame, struct mmpfn pfn) {
    unsigned location = pfn_location(&pfn);
    if (location >= StandbyPageList && location <= ModifiedNoWritePageList) {
        MiUnlink(os, frame, pfn);
        pfn.u1 = 0;
        pfn.u2 = 0;
        pfn.ReferenceCount = 1;
    } else if (location == TransitionPage) {
        pfn.ReferenceCount++;
    } else {
        KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 0x99, frame, location, 0);
    }
    MiSetLocation(&pfn, TransitionPage);
    MiStorePfn(os, frame, pfn);
    return pfn;
}

struct mmpfn MiReferenceTransitionPage(struct os *os, pfn_t frame) {
    return MiReferenceTransitionPfn(os, frame, MiLoadPfn(os, frame));
}

void MiSetPfnDeleted(struct os *os, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.PteAddress = PFN_DELETED_PTE;
    MiWritePfn(os, frame, &pfn);
}

void MiCaptureDirty(struct os *os, pfn_t frame, pte_t valid_pte) {
    if (!(valid_pte & PTE_DIRTY)) { return; }
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pte_form(pfn.OriginalPte) == PTE_FORM_PAGE_FILE && !(pfn.Flags & PFN_WRITE_IN_PROGRESS)) {
        MI_MUTANT(126, MiForgetPageFileSlot(os, &pfn), (void)0);
    } else if (pfn.Flags & PFN_MODIFIED) {
        return;
    }
    pfn.Flags |= PFN_MODIFIED;
    MiWritePfn(os, frame, &pfn);
}
