/* Working-set lists: their entries and how they grow. NT-29..34, NT-38. A list is in its process's hyperspace (the
 * system's at C0C00000), so the process must be attached. What leaves a working set is in wstrim.c, the hash in
 * wshash.c. */
#include "mi.h"
#include "ntmmu/os_access.h"

#define WS_GROW_THRESHOLD           0x5Au
#define MORE_THAN_ENOUGH_FREE_PAGES 0x3E8u
#define WORKING_SET_SIZE_INCREMENT  6u
#define WS_HASH_THRESHOLD           0x180u
/* Entries in the list's first page: 25C. */
#define WSLE_FIRST_PAGE            ((0x1000u - MM_WSLE_OFFSET) / sizeof(uint32_t))
#define SYSTEM_MINIMUM_WORKING_SET 0x188u
#define SYSTEM_MAXIMUM_WORKING_SET 0x400u
#define NO_WSLE                    wsle_next_free(WSLE_END)

_Static_assert(sizeof(struct mmwsl) == 0x30, "WS_LIST header is 30 bytes");

OS_TYPED_ACCESS(list, struct mmwsl);

/* A driver may have written into it: nothing is looked for beyond what the list has. */
static void MiCheckWorkingSetList(struct os *os, const struct mmsupport *vm, const struct mmwsl *list) {
    uint32_t last = list->LastInitializedWsle;
    bool chained = list->FirstFreeWsle <= last || list->FirstFreeWsle == NO_WSLE;
    if (last != vm->LastInitializedWsle || list->LastWsleIndex > last || list->FirstDynamic - 1 > list->LastWsleIndex ||
        !chained) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41785, list->LastWsleIndex, last, vm->WorkingSetList);
    }
    if (list->HashTableSize != vm->HashTableSize || list->HashTable != MiHashAddress(vm)) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41884, list->HashTable, list->HashTableSize, vm->WorkingSetList);
    }
}

struct mmwsl MiReadWorkingSetList(struct os *os, const struct mmsupport *vm) {
    struct mmwsl list = os_read_list(os->M, vm->WorkingSetList);
    MiCheckWorkingSetList(os, vm, &list);
    return list;
}

void MiWriteWorkingSetList(struct os *os, struct mmsupport *vm, const struct mmwsl *list) {
    vm->LastInitializedWsle = list->LastInitializedWsle;
    vm->HashTableSize = list->HashTableSize;
    os_write_list(os->M, vm->WorkingSetList, *list);
}

static va_t MiWsleAddress(const struct mmsupport *vm, uint32_t index) {
    return vm->WorkingSetList + MM_WSLE_OFFSET + (va_t)index * sizeof(uint32_t);
}

uint32_t MiReadWsle(struct os *os, const struct mmsupport *vm, uint32_t index) {
    return MiRead32(os, MiWsleAddress(vm, index));
}

void MiWriteWsle(struct os *os, const struct mmsupport *vm, uint32_t index, uint32_t old, uint32_t value) {
    MiWrite32(os, MiWsleAddress(vm, index), value);
    if (log_wants(os->M->log, LOG_WS)) { log_send(os->M->log, LOG_WS, index, old, value, vm->WorkingSetSize, 0); }
}

static void MiSetPfnWsIndex(struct os *os, pfn_t frame, uint32_t index) { MiWrite32(os, pfn_address(frame), index); }

/* ---- set-up, NT-38 ---- */

/* A chain of free entries [first, last]: each names the next, the last ends the list. */
static void MiChainFreeEntries(struct os *os, const struct mmsupport *vm, uint32_t first, uint32_t last) {
    uint32_t chain[PAGE_SIZE / sizeof(uint32_t)];
    for (uint32_t i = first; i <= last; i++) { chain[i - first] = i == last ? WSLE_END : wsle_free(i + 1); }
    os->M->ops->write(os->M, MiWsleAddress(vm, first), chain, (last - first + 1) * sizeof(uint32_t));
}

static void MiInitializeList(struct os *os, struct mmsupport *vm, const va_t *fixed, uint32_t count) {
    struct mmwsl list = {.Quota = vm->MinimumWorkingSet,
                         .FirstFreeWsle = count,
                         .FirstDynamic = count,
                         .LastWsleIndex = count - 1,
                         .NextSlot = count,
                         .Wsle = (uint32_t)MiWsleAddress(vm, 0),
                         .LastInitializedWsle = WSLE_FIRST_PAGE - 1};
    MiWriteWorkingSetList(os, vm, &list);
    MiChainFreeEntries(os, vm, count, WSLE_FIRST_PAGE - 1);
    for (uint32_t i = 0; i < count; i++) {
        vm->WorkingSetSize = i + 1;
        MiWriteWsle(os, vm, i, 0, wsle_manager(os->Config.profile, fixed[i]));
    }
    vm->PeakWorkingSetSize = vm->WorkingSetSize;
    MiWriteVm(os, vm);
}

void MiInitializeWorkingSetList(struct os *os, struct eprocess *process) {
    va_t fixed[MM_DIRECTORIES + MM_HYPER_TABLES + 1];
    for (unsigned i = 0; i < MM_DIRECTORIES + MM_HYPER_TABLES; i++) { fixed[i] = PDE_BASE + i * PAGE_SIZE; }
    fixed[MM_DIRECTORIES + MM_HYPER_TABLES] = MM_WORKING_SET_LIST;
    process->Vm.WorkingSetList = MM_WORKING_SET_LIST;
    process->Vm.Process = process;
    MiInitializeList(os, &process->Vm, fixed, sizeof fixed / sizeof fixed[0]);
}

void MiInitializeSystemWorkingSet(struct os *os) {
    const va_t fixed[] = {MM_SYSTEM_WS_LIST};
    os->MmSystemCacheWs = (struct mmsupport){.Address = MM_SYSTEM_CACHE_WS,
                                             .MinimumWorkingSet = SYSTEM_MINIMUM_WORKING_SET,
                                             .MaximumWorkingSet = SYSTEM_MAXIMUM_WORKING_SET,
                                             .WorkingSetList = MM_SYSTEM_WS_LIST};
    MiInitializeList(os, &os->MmSystemCacheWs, fixed, 1);
    MiInitializeExpansionList(os);
    MiInsertInExpansionList(os, &os->MmSystemCacheWs);
}

/* ---- growing the list itself ---- */

/* Pops the first free entry, which must exist, and counts it as used. */
static uint32_t MiTakeFreeEntry(struct os *os, struct mmsupport *vm, struct mmwsl *list, uint32_t *old) {
    uint32_t index = list->FirstFreeWsle;
    *old = MiReadWsle(os, vm, index);
    if (*old & WSLE_VALID) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41785, index, *old, vm->WorkingSetList); }
    list->FirstFreeWsle = wsle_next_free(*old);
    if (index > list->LastWsleIndex) { list->LastWsleIndex = index; }
    vm->WorkingSetSize++;
    if (MI_MUTANT(192, vm->WorkingSetSize > vm->PeakWorkingSetSize, false)) {
        vm->PeakWorkingSetSize = vm->WorkingSetSize;
    }
    return index;
}

/* Takes entry `index` out of the middle of the free chain. */
static void MiUnchainFreeEntry(struct os *os, const struct mmsupport *vm, struct mmwsl *list, uint32_t index) {
    uint32_t link = MiReadWsle(os, vm, index);
    if (list->FirstFreeWsle == index) {
        list->FirstFreeWsle = wsle_next_free(link);
        return;
    }
    uint32_t at = list->FirstFreeWsle, left = WSLES_MAX;
    for (uint32_t entry = MiReadWsle(os, vm, at); wsle_next_free(entry) != index; entry = MiReadWsle(os, vm, at)) {
        if (entry == WSLE_END || (entry & WSLE_VALID) || left-- == 0) {
            KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41785, index, entry, vm->WorkingSetList);
        }
        at = wsle_next_free(entry);
    }
    MiWriteWsle(os, vm, at, wsle_free(index), link);
}

/* An entry has been written to another place: its frame, or the hash, learns of it. */
static void MiEntryMoved(struct os *os, const struct mmsupport *vm, struct mmwsl *list, uint32_t entry,
                         uint32_t index) {
    va_t va = page_of(entry);
    if (wsle_is_direct(os->Config.profile, entry)) {
        pte_t pte = MiReadPte(os, MiGetPteAddress(va));
        if (pte & PTE_VALID) { /* else it is just coming, or going */
            MI_MUTANT(175, MiSetPfnWsIndex(os, pte_frame(pte), index), (void)0);
        }
    } else if (list->HashTable) {
        MiHashRemove(os, vm, list, va);
        MiHashInsert(os, vm, list, va, index);
    }
}

/* The entry at FirstDynamic, if used, goes to a free slot: its place is wanted for one that never leaves. */
static void MiMakeFixedSlot(struct os *os, struct mmsupport *vm, struct mmwsl *list) {
    uint32_t slot = list->FirstDynamic;
    uint32_t entry = MiReadWsle(os, vm, slot);
    if (!(entry & WSLE_VALID)) {
        MiUnchainFreeEntry(os, vm, list, slot);
        vm->WorkingSetSize++;
        if (vm->WorkingSetSize > vm->PeakWorkingSetSize) { vm->PeakWorkingSetSize = vm->WorkingSetSize; }
        if (slot > list->LastWsleIndex) { list->LastWsleIndex = slot; }
        return;
    }
    uint32_t old, index = MiTakeFreeEntry(os, vm, list, &old);
    MiWriteWsle(os, vm, index, old, entry);
    MiEntryMoved(os, vm, list, entry, index);
}

void MiAddWorkingSetPage(struct os *os, struct mmsupport *vm, struct mmwsl *list, va_t va) {
    pfn_t frame = MiRemoveZeroPage(os, vm->Process ? vm->Process->NextPageColor++ : 0);
    va_t pte_va = MiGetPteAddress(va);
    MiInitializePfn(os, frame, pte_va, pte_demand_zero(MM_READWRITE), PFN_MODIFIED,
                    pte_frame(MiReadPte(os, MiGetPdeAddress(va))));
    MiWritePte(os, pte_va, MiMakeValidPte(os, va, frame, MM_READWRITE) | PTE_DIRTY);
    uint32_t first = list->LastInitializedWsle + 1;
    if (va == MiWsleAddress(vm, first)) { /* the table grows, because no entry is free: these are wanted at once */
        uint32_t last = list->LastInitializedWsle + MM_WSLE_PER_PAGE;
        MiChainFreeEntries(os, vm, first, last);
        list->FirstFreeWsle = first;
        list->LastInitializedWsle = last;
    }
    MiMakeFixedSlot(os, vm, list);
    MiSetPfnWsIndex(os, frame, list->FirstDynamic);
    MiWriteWsle(os, vm, list->FirstDynamic, 0, wsle_manager(os->Config.profile, va));
    list->FirstDynamic++;
    if (list->NextSlot < list->FirstDynamic) { list->NextSlot = list->FirstDynamic; }
}

static void MiGrowWsleTable(struct os *os, struct mmsupport *vm, struct mmwsl *list) {
    MiAddWorkingSetPage(os, vm, list, MiWsleAddress(vm, list->LastInitializedWsle + 1));
}

/* Growing takes frames, and has an end; then there is nothing to do but to replace an entry. */
static bool MiEnsureFreeEntry(struct os *os, struct mmsupport *vm, struct mmwsl *list) {
    if (list->FirstFreeWsle != NO_WSLE) { return true; }
    if (!MiFramesAvailable(os, 1) || list->LastInitializedWsle + MM_WSLE_PER_PAGE >= WSLES_MAX) { return false; }
    MiGrowWsleTable(os, vm, list);
    return true;
}

/* ---- NT-34 ---- */

static bool MiWorkingSetMayGrow(struct os *os, struct mmsupport *vm, struct mmwsl *list) {
    uint32_t n = vm->WorkingSetSize;
    if (n < list->Quota || os->Config.reference_counting) { return true; }
    if (n < vm->MaximumWorkingSet) {
        if (os->MmAvailablePages <= WS_GROW_THRESHOLD) { return false; }
        list->Quota += WORKING_SET_SIZE_INCREMENT;
        if (list->Quota > vm->MaximumWorkingSet) { list->Quota = vm->MaximumWorkingSet; }
    } else {
        if (os->MmAvailablePages <= MORE_THAN_ENOUGH_FREE_PAGES) { return false; }
        list->Quota += WORKING_SET_SIZE_INCREMENT;
    }
    os->MmInfoCounters.WorkingSetGrowth++;
    return true;
}

/* An index for the page at va, counted as used; the header is read, changed and handed to the caller. */
static uint32_t MiLocateAndReserveWsle(struct os *os, struct mmsupport *vm, struct mmwsl *list, va_t va, bool direct,
                                       uint32_t *old) {
    vm->PageFaultCount++;
    os->MmInfoCounters.PageFaultCount++;
    *list = MiReadWorkingSetList(os, vm);
    /* Without frames the hash does not grow, and all its slots come to be used: then one of its entries makes room. */
    while (!direct && list->HashTable && list->NonDirectCount >= list->HashTableSize) {
        if (!MiReplaceWorkingSetEntry(os, vm, va)) { MiAssert(os, "a hash is full of pages that stay"); }
        *list = MiReadWorkingSetList(os, vm);
    }
    if (!MiWorkingSetMayGrow(os, vm, list)) {
        MiReplaceWorkingSetEntry(os, vm, va);
        *list = MiReadWorkingSetList(os, vm);
    }
    if (!MiEnsureFreeEntry(os, vm, list)) {
        if (!MiReplaceWorkingSetEntry(os, vm, va)) { MiAssert(os, "a working-set list is full and cannot grow"); }
        *list = MiReadWorkingSetList(os, vm);
    }
    return MiTakeFreeEntry(os, vm, list, old);
}

/* True if the list changed its form, so that an entry may have moved. */
static bool MiMaintainHash(struct os *os, struct mmsupport *vm, struct mmwsl *list) {
    bool wanted = list->HashTable ? MiHashMustGrow(vm, list) : list->LastWsleIndex > WS_HASH_THRESHOLD;
    if (!wanted || !MiFramesAvailable(os, 2) || !MiEnsureFreeEntry(os, vm, list)) { return false; }
    MiHashGrow(os, vm, list);
    return true;
}

static bool MiSearchLinearly(struct os *os, const struct mmsupport *vm, const struct mmwsl *list, va_t va,
                             uint32_t *index) {
    uint32_t entries[MM_WSLE_PER_PAGE];
    for (uint32_t first = 0; first <= list->LastWsleIndex; first += MM_WSLE_PER_PAGE) {
        uint32_t count = list->LastWsleIndex + 1 - first;
        if (count > MM_WSLE_PER_PAGE) { count = MM_WSLE_PER_PAGE; }
        os->M->ops->read(os->M, MiWsleAddress(vm, first), entries, count * sizeof entries[0]);
        for (uint32_t i = 0; i < count; i++) {
            if ((entries[i] & WSLE_VALID) && page_of(entries[i]) == va) {
                *index = first + i;
                return true;
            }
        }
    }
    return false;
}

uint32_t MiAddValidPageToWorkingSet(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, bool shared,
                                    unsigned protection) {
    struct mmwsl list;
    bool direct = !shared || MiReadPfn(os, frame).u2 == 1;
    uint32_t old, index = MiLocateAndReserveWsle(os, vm, &list, va, direct, &old);
    enum os_profile profile = os->Config.profile;
    uint32_t entry = shared ? wsle_shared(profile, va, protection, direct) : wsle_private(profile, va);
    if (direct) {
        MiSetPfnWsIndex(os, frame, index);
    } else {
        list.NonDirectCount++;
        if (list.HashTable) { MiHashInsert(os, vm, &list, page_of(va), index); }
    }
    MiWriteWsle(os, vm, index, old, entry);
    bool moved = MiMaintainHash(os, vm, &list);
    MiWriteWorkingSetList(os, vm, &list);
    MiWriteVm(os, vm);
    if (moved && MiSearchLinearly(os, vm, &list, page_of(va), &index) && direct) { MiSetPfnWsIndex(os, frame, index); }
    return index;
}

/* ---- finding an entry ---- */

/* A direct entry's index is in its frame; another's is found by its address. */
static bool MiFindWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, uint32_t *index) {
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    *index = MiRead32(os, pfn_address(frame));
    if (*index <= list.LastWsleIndex) {
        uint32_t entry = MiReadWsle(os, vm, *index);
        if ((entry & WSLE_VALID) && page_of(entry) == va) { return true; }
    }
    if (!(MiReadPfn(os, frame).Flags & PFN_PROTOTYPE)) { return false; } /* a direct entry is never searched for */
    if (!list.HashTable) { return MiSearchLinearly(os, vm, &list, va, index); }
    return MiHashLookup(os, vm, &list, va, index) && *index <= list.LastWsleIndex;
}

uint32_t MiLocateWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame) {
    uint32_t index;
    if (!MiFindWsle(os, vm, page_of(va), frame, &index)) {
        bool shared = MiReadPfn(os, frame).Flags & PFN_PROTOTYPE;
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, shared ? 0x41884 : 0x41284, page_of(va), shared ? va : index,
                     vm->WorkingSetList);
    }
    return index;
}

/* ---- changing and removing ---- */

static uint32_t MiLastUsedBelow(struct os *os, const struct mmsupport *vm, uint32_t index) {
    uint32_t entry;
    do {
        entry = MiReadWsle(os, vm, --index); /* entry 0 is always in use */
    } while (!(entry & WSLE_VALID) && index != 0);
    return index;
}

static void MiForgetNonDirect(struct os *os, struct mmsupport *vm, struct mmwsl *list, va_t va) {
    list->NonDirectCount--;
    if (MI_MUTANT(172, list->HashTable != 0, false)) { MiHashRemove(os, vm, list, va); }
}

void MiReleaseWsle(struct os *os, struct mmsupport *vm, uint32_t index) {
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    if (vm->WorkingSetSize == 0) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41785, index, 0, vm->WorkingSetList);
    }
    vm->WorkingSetSize -= MI_MUTANT(177, 1, 0);
    MiWriteWsle(os, vm, index, MiReadWsle(os, vm, index), wsle_free(list.FirstFreeWsle));
    list.FirstFreeWsle = index;
    if (MI_MUTANT(176, index == list.LastWsleIndex, false)) { list.LastWsleIndex = MiLastUsedBelow(os, vm, index); }
    MiWriteWorkingSetList(os, vm, &list);
    MiWriteVm(os, vm);
}

static void MiExchangeWsles(struct os *os, struct mmsupport *vm, struct mmwsl *list, uint32_t a, uint32_t b) {
    uint32_t at_a = MiReadWsle(os, vm, a), at_b = MiReadWsle(os, vm, b);
    if (a == b) { return; }
    MiWriteWsle(os, vm, a, at_a, at_b);
    MiWriteWsle(os, vm, b, at_b, at_a);
    MiEntryMoved(os, vm, list, at_b, a);
    MiEntryMoved(os, vm, list, at_a, b);
}

/* The last place of the fixed part becomes dynamic, with this entry in it. */
static uint32_t MiMoveOutOfFixedPart(struct os *os, struct mmsupport *vm, struct mmwsl *list, uint32_t index) {
    uint32_t last = --list->FirstDynamic;
    MiExchangeWsles(os, vm, list, index, last);
    return last;
}

/* The first dynamic place becomes fixed, with this entry in it. */
static uint32_t MiMoveIntoFixedPart(struct os *os, struct mmsupport *vm, struct mmwsl *list, uint32_t index) {
    uint32_t slot = list->FirstDynamic++;
    if (list->NextSlot < list->FirstDynamic) { list->NextSlot = list->FirstDynamic; }
    if (MiReadWsle(os, vm, slot) & WSLE_VALID) {
        MiExchangeWsles(os, vm, list, index, slot);
        return slot;
    }
    uint32_t entry = MiReadWsle(os, vm, index);
    MiUnchainFreeEntry(os, vm, list, slot);
    MiWriteWsle(os, vm, slot, MiReadWsle(os, vm, slot), entry);
    MiEntryMoved(os, vm, list, entry, slot);
    MiWriteWsle(os, vm, index, entry, wsle_free(list->FirstFreeWsle));
    list->FirstFreeWsle = index;
    if (index == list->LastWsleIndex) { list->LastWsleIndex = MiLastUsedBelow(os, vm, index); }
    return slot;
}

/* NT-80: an entry that must not leave stands below FirstDynamic, where nothing looks for one to replace. */
bool MiLockWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, uint32_t bits) {
    uint32_t index = MiLocateWsle(os, vm, va, frame), entry = MiReadWsle(os, vm, index);
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    if ((entry & bits) == bits) { return false; }
    if (index >= list.FirstDynamic) { index = MiMoveIntoFixedPart(os, vm, &list, index); }
    MiWriteWsle(os, vm, index, entry, entry | bits);
    MiWriteWorkingSetList(os, vm, &list);
    return true;
}

bool MiUnlockWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, uint32_t bits) {
    uint32_t index = MiLocateWsle(os, vm, va, frame), entry = MiReadWsle(os, vm, index);
    if (!(entry & bits)) { return false; }
    MiWriteWsle(os, vm, index, entry, entry & ~bits);
    if (!(entry & ~bits & WSLE_LOCKED)) {
        struct mmwsl list = MiReadWorkingSetList(os, vm);
        MI_MUTANT(178, MiMoveOutOfFixedPart(os, vm, &list, index), 0);
        MiWriteWorkingSetList(os, vm, &list);
    }
    return true;
}

/* A locked page that is deleted, copied away or moved takes its lock with it. */
void MiRemoveWsle(struct os *os, struct mmsupport *vm, uint32_t index) {
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    uint32_t entry = MiReadWsle(os, vm, index);
    bool fixed = index < list.FirstDynamic;
    if (!(entry & WSLE_VALID) || (fixed && page_of(entry) >= MM_SYSTEM_RANGE_START)) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41785, index, entry, vm->WorkingSetList);
    }
    if (fixed) { index = MiMoveOutOfFixedPart(os, vm, &list, index); }
    if (!wsle_is_direct(os->Config.profile, entry)) { MiForgetNonDirect(os, vm, &list, page_of(entry)); }
    MiWriteWorkingSetList(os, vm, &list);
    MiReleaseWsle(os, vm, index);
}

void MiMakeWslePrivate(struct os *os, struct mmsupport *vm, va_t va, pfn_t old_frame, pfn_t new_frame) {
    uint32_t index = MiLocateWsle(os, vm, va, old_frame);
    uint32_t entry = MiReadWsle(os, vm, index);
    enum os_profile profile = os->Config.profile;
    if (!wsle_is_direct(profile, entry)) {
        struct mmwsl list = MiReadWorkingSetList(os, vm);
        MiForgetNonDirect(os, vm, &list, page_of(va));
        list.NonDirectCount += MI_MUTANT(173, 0, 1);
        MiWriteWorkingSetList(os, vm, &list);
    } else if (old_frame != new_frame) {
        struct mmpfn pfn = MiReadPfn(os, old_frame);
        if (pfn_location(&pfn) == ActiveAndValid && pfn.u1 == index) { MiSetPfnWsIndex(os, old_frame, 0); }
    }
    MiWriteWsle(os, vm, index, entry, wsle_private(profile, va) | (entry & WSLE_LOCKED));
    MI_MUTANT(171, MiSetPfnWsIndex(os, new_frame, index), (void)0);
}

void MiSetWsleProtection(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, unsigned protection) {
    uint32_t index = MiLocateWsle(os, vm, va, frame);
    uint32_t entry = MiReadWsle(os, vm, index);
    MiWriteWsle(os, vm, index, entry, wsle_with_protection(os->Config.profile, entry, protection));
}
