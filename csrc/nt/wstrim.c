/* Pages leave working sets: NT-33, replacement (NT-34 step 4) and trimming (NT-35). Also the used-PTE counters of page
 * tables and their deletion (NT-37). */
#include "mi.h"
#include "ntmmu/os_access.h"

#define ANY_AGE (WSLE_AGE_MAX + 1)

/* A working-set entry under examination. */
struct mmcandidate {
    va_t Va, PointerPte;
    uint32_t Entry;
    pte_t Pte;
    pfn_t Frame;
    struct mmpfn Pfn;
};

static bool MiIsPageTableWindow(va_t va) { return va >= PTE_BASE && va < MM_HYPER_BASE; }

/* NT-33: what may not go. A page-table page (or a pool page that holds prototype PTEs) is pinned by entries that are
 * valid or in transition: they are its share count beyond 1. */
static bool MiExamineEntry(struct os *os, struct mmsupport *vm, uint32_t index, struct mmcandidate *out) {
    out->Entry = MiReadWsle(os, vm, index);
    if (!(out->Entry & WSLE_VALID) || (out->Entry & WSLE_LOCKED)) { return false; }
    out->Va = page_of(out->Entry);
    out->PointerPte = MiGetPteAddress(out->Va);
    out->Pte = MiReadPte(os, out->PointerPte);
    if (!(out->Pte & PTE_VALID)) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, out->Va, index, vm->WorkingSetList);
    }
    out->Frame = pte_frame(out->Pte);
    if (out->Frame == os->MmSharedUserFrame) { return false; }
    out->Pfn = MiReadPfn(os, out->Frame);
    return (out->Pfn.Flags & PFN_PROTOTYPE) || out->Pfn.u2 == 1;
}

static pte_t MiEvictedPte(const struct os *os, const struct mmcandidate *page) {
    if (!(page->Pfn.Flags & PFN_PROTOTYPE)) { return pte_transition(page->Pte, pte_protection(page->Pfn.OriginalPte)); }
    if (MI_MUTANT(163, wsle_is_same(os->Config.profile, page->Entry), true)) {
        return pte_pointer(page->Pfn.PteAddress);
    }
    return pte_vad_lookup(wsle_protection(os->Config.profile, page->Entry));
}

static void MiEvict(struct os *os, struct mmsupport *vm, uint32_t index, const struct mmcandidate *page) {
    MI_MUTANT(117, MiCaptureDirty(os, page->Frame, page->Pte), (void)0);
    MiWritePte(os, page->PointerPte, MiEvictedPte(os, page));
    if (MI_MUTANT(196, true, page->Va < MM_SYSTEM_VIEW_START || MiIsPageTableWindow(page->Va))) {
        MI_MUTANT(101, MiFlushSingleTb(os, page->Va), (void)0);
    }
    if (MiIsPageTableWindow(page->Va) && !os->Config.reference_counting) {
        MI_MUTANT(113, KeFlushCurrentTb(os, page->Va), (void)0);
    }
    MiRemoveWsle(os, vm, index);
    if (page->Pfn.Flags & PFN_PROTOTYPE) {
        MiDecrementShareCount(os, pte_frame(MiReadPte(os, MiGetPteAddress(page->PointerPte))));
    }
    MiDecrementShareCount(os, page->Frame);
}

bool MiEliminateWorkingSetEntry(struct os *os, struct mmsupport *vm, uint32_t index) {
    struct mmcandidate page;
    if (index < MiRead32(os, vm->WorkingSetList + WSL_FIRST_DYNAMIC) || !MiExamineEntry(os, vm, index, &page)) {
        return false;
    }
    MiEvict(os, vm, index, &page);
    return true;
}

static void MiClearAccessed(struct os *os, const struct mmcandidate *page) {
    MiWritePte(os, page->PointerPte, page->Pte & ~(pte_t)PTE_ACCESSED);
    MI_MUTANT(102, MiFlushSingleTb(os, page->Va), (void)0);
}

static uint32_t MiNextSlot(const struct mmwsl *list, uint32_t index) {
    return index >= list->LastWsleIndex ? list->FirstDynamic : index + 1;
}

/* Does a lap that looks for this age take the entry? In NT4 all ages are 0. A page used since the last pass is young.
 */
static bool MiIsOfAge(const struct os *os, const struct mmcandidate *page, unsigned age) {
    unsigned has = page->Pte & PTE_ACCESSED ? 0 : wsle_age(os->Config.profile, page->Entry);
    return has == age;
}

/* No entry names a page that is just coming in, and its page table has it. One that does all the same would take from
 * it what it has come for, each time anew. */
static void MiCheckReplaced(struct os *os, const struct mmsupport *vm, uint32_t index, va_t va, va_t coming) {
    if (va != page_of(coming) && va != page_of(MiGetPteAddress(coming))) { return; }
    KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, va, index, vm->WorkingSetList);
}

/* One lap over the dynamic entries from NextSlot. Entries with A set lose it and are passed, unless force. Stops after
 * `count` removals; NextSlot is then behind the last entry examined. coming: for the sake of this page, 0: of none. */
static uint32_t MiWorkingSetLap(struct os *os, struct mmsupport *vm, uint32_t count, bool force, unsigned age,
                                va_t coming) {
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    uint32_t removed = 0, index = list.NextSlot;
    if (list.LastWsleIndex < list.FirstDynamic) { return 0; }
    if (index > list.LastWsleIndex || index < list.FirstDynamic) { index = list.FirstDynamic; }
    uint32_t left = list.LastWsleIndex - list.FirstDynamic + 1;
    for (; left != 0 && removed < count; left--) {
        struct mmcandidate page;
        if (MiExamineEntry(os, vm, index, &page) && (age == ANY_AGE || MiIsOfAge(os, &page, age))) {
            if ((page.Pte & PTE_ACCESSED) && !force) {
                MiClearAccessed(os, &page);
            } else {
                if (coming) { MiCheckReplaced(os, vm, index, page.Va, coming); }
                MiEvict(os, vm, index, &page);
                removed++;
            }
        }
        index = MiNextSlot(&list, index);
    }
    MiWrite32(os, vm->WorkingSetList + WSL_NEXT_SLOT, MI_MUTANT(179, index, list.NextSlot));
    return removed;
}

bool MiReplaceWorkingSetEntry(struct os *os, struct mmsupport *vm, va_t coming) {
    return MiWorkingSetLap(os, vm, 1, false, ANY_AGE, coming) == 1 ||
           MiWorkingSetLap(os, vm, 1, true, ANY_AGE, coming) == 1;
}

/* NT5 takes the oldest first: a lap for each age. */
static uint32_t MiTrimByAge(struct os *os, uint32_t count, struct mmsupport *vm, bool force) {
    if (!wsle_is_nt5(os->Config.profile)) { return MiWorkingSetLap(os, vm, count, force, ANY_AGE, 0); }
    uint32_t removed = 0;
    for (unsigned age = WSLE_AGE_MAX + 1; age-- > 0 && removed < count;) {
        removed += MiWorkingSetLap(os, vm, count - removed, force, age, 0);
    }
    return removed;
}

/* NT-35: a list is only addressable in its own process. */
uint32_t MiTrimWorkingSet(struct os *os, uint32_t count, struct mmsupport *vm, bool force) {
    if (vm->Process && vm->Process->State != PROCESS_IN_MEMORY) { return 0; } /* it has been emptied */
    struct eprocess *back = MiEnterAddressSpace(os, vm->Process);
    uint32_t removed = MiTrimByAge(os, count, vm, force);
    vm->UpdateTime = os->SystemTime;
    MiWriteVm(os, vm);
    MiLeaveAddressSpace(os, back);
    return removed;
}

void MiAgeWorkingSet(struct os *os, struct mmsupport *vm) {
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    for (uint32_t index = list.FirstDynamic; index <= list.LastWsleIndex; index++) {
        struct mmcandidate page;
        if (!MiExamineEntry(os, vm, index, &page)) { continue; }
        unsigned age = wsle_age(os->Config.profile, page.Entry);
        bool used = page.Pte & PTE_ACCESSED;
        unsigned older = used ? 0 : age < WSLE_AGE_MAX ? age + MI_MUTANT(183, 1, 0) : WSLE_AGE_MAX;
        if (used) { MiClearAccessed(os, &page); }
        if (older != age) { MiWriteWsle(os, vm, index, page.Entry, wsle_with_age(page.Entry, older)); }
    }
}

/* ---- used-PTE counters, NT-37 ---- */

static va_t MiUsedPteCounter(va_t va) {
    return MM_WORKING_SET_LIST + WSL_USED_PTES + MiGetPdeIndex(va) * sizeof(uint16_t);
}

OS_TYPED_ACCESS(counter, uint16_t);

void MiIncrementUsedPteCount(struct os *os, va_t va) {
    struct os_counter_in_memory *at = os_place_to_change(os->M, MiUsedPteCounter(va), sizeof *at);
    if (OS_LIKELY(at)) {
        at->value++;
    } else {
        uint16_t count = os_read_counter(os->M, MiUsedPteCounter(va));
        os_write_counter(os->M, MiUsedPteCounter(va), (uint16_t)(count + 1));
    }
}

uint32_t MiDecrementUsedPteCount(struct os *os, va_t va) {
    uint16_t count = MiRead16(os, MiUsedPteCounter(va));
    if (count == 0) {
        pfn_t table = pte_frame(MiReadPte(os, MiGetPdeAddress(va)));
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41790, table, 1, 0);
    }
    MiWrite16(os, MiUsedPteCounter(va), (uint16_t)(count - 1));
    return count - 1u;
}

/* NT-07: the window page of the table goes, and all 4 MB it translated. */
static void MiFlushPageTable(struct os *os, va_t window) {
    MiFlushSingleTb(os, window);
    if (!os->Config.reference_counting) { MI_MUTANT(112, KeFlushCurrentTb(os, window), (void)0); }
}

void MiDeletePageTableIfUnused(struct os *os, va_t va) {
    va_t pde_va = MiGetPdeAddress(va), window = page_of(MiGetPteAddress(va));
    pte_t pde = 0;
    while (!(pde & PTE_VALID)) {
        pde = MiReadPte(os, pde_va);
        if (pde == 0 || MiRead16(os, MiUsedPteCounter(va)) != 0) { return; }
        /* One that was trimmed meanwhile comes back to be deleted: its frame may be on a list or in a paging file. */
        if (!(pde & PTE_VALID)) { MiWaitForPageTable(os, va); }
    }
    struct mmsupport *vm = &PsGetCurrentProcess(os)->Vm;
    pfn_t frame = pte_frame(pde);
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn.u2 != 1) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41790, frame, 1, pfn.u2); }
    MiWritePte(os, pde_va, 0);
    MiFlushPageTable(os, window);
    MiRemoveWsle(os, vm, MiLocateWsle(os, vm, window, frame));
    MiSetPfnDeleted(os, frame);
    MiDecrementShareCount(os, frame);
    MiDecrementShareCount(os, pfn.ContainingFrame);
}
