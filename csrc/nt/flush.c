/* Batches of PTE changes and the TLB flush they need: NT-18. */
#include "mi.h"

#define MM_FLUSH_COUNTER_STEP 0x1000u

/* With reference counting (traces: counting rule 6) a batch never becomes a flush of everything: it is emptied first.
 */
void MiAddToPteList(struct os *os, struct mmptelist *list, va_t pte, va_t va, pte_t value) {
    if (list->Count == MM_MAXIMUM_FLUSH_COUNT && os->Config.reference_counting) {
        MiFlushPteList(os, list, false, value);
    }
    if (list->Count < MM_MAXIMUM_FLUSH_COUNT) {
        list->PteAddress[list->Count] = pte;
        list->FlushVa[list->Count] = va;
        list->Count++;
    } else {
        list->Count = MM_MAXIMUM_FLUSH_COUNT + 1;
        MiWritePte(os, pte, value);
    }
}

void MiFlushPteList(struct os *os, struct mmptelist *list, bool bump_counter, pte_t value) {
    bool single = list->Count <= MM_MAXIMUM_FLUSH_COUNT;
    uint32_t listed = single ? list->Count : MM_MAXIMUM_FLUSH_COUNT;
    va_t highest = 0;
    for (uint32_t i = 0; i < listed; i++) {
        MiWritePte(os, list->PteAddress[i], value);
        if (MI_MUTANT(104, single, false)) { MiFlushSingleTb(os, list->FlushVa[i]); }
        if (list->FlushVa[i] > highest) { highest = list->FlushVa[i]; }
    }
    if (!single) {
        MI_MUTANT(105, KeFlushCurrentTb(os, highest), (void)0);
        if (bump_counter) { os->MmFlushCounter += MM_FLUSH_COUNTER_STEP; }
    }
    list->Count = 0;
}

/* For an address that is given out again (NT-16, NT-17): it is above every process's private range. */
void MiFlushEntireTb(struct os *os) {
    KeFlushCurrentTb(os, MM_NONPAGED_SYSTEM_START);
    os->MmFlushCounter += MM_FLUSH_COUNTER_STEP;
}
