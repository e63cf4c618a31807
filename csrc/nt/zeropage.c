/* The zero-page thread: NT-26. It runs in whatever address space is loaded: it needs nothing of its own process. */
#include "mi.h"

static void MiZeroOnePage(struct os *os) {
    pfn_t frame = MiRemovePageFromList(os, FreePageList);
    struct mmpfn pfn = {.Flags = TransitionPage << PFN_LOCATION_SHIFT, .ReferenceCount = 1};
    MiWritePfn(os, frame, &pfn);
    os->M->ops->fill(os->M, MiMapPageToZeroInHyperSpace(os, frame), 0, MI_MUTANT(165, PAGE_SIZE, 0));
    pfn.ReferenceCount = 0;
    MiInsertPfnInList(os, ZeroedPageList, frame, pfn);
    os->MmInfoCounters.ZeroThreadPages++;
}

void MmZeroPageThread(struct os *os) {
    if (!os->MmZeroingPageEvent) { return; }
    os->MmZeroingPageEvent = false;
    while (os->MmPageLocationList[FreePageList].Count != 0) { MiZeroOnePage(os); }
    os->MmZeroingPageThreadActive = false;
}
