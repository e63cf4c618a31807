/* The VM structure as it lies in memory, the list of working sets that may grow and shrink, and who makes them: the
 * balance set manager. NT-29, NT-35, NT-36. */
#include "mi.h"
#include "ntmmu/eprocess.h"
#include "ntmmu/os_access.h"

#define MM_HIGH_AVAILABLE      0x64u
#define MM_MINIMUM_WORKING_SET 0x14u
#define FLUID_PAGES            8u /* entries that must remain for replacement */
#define BALANCE_INTERVAL       1000u
#define VM_ADJUSTMENT_ALLOWED  1u
#define VM_SECOND_FLAG         2u
#define LINK_NEXT              0u
#define LINK_PREVIOUS          4u

/* NT-29, up to the links. */
struct mmsupport_image {
    uint32_t UpdateTime[2], Pages, PageFaultCount, PeakWorkingSetSize, WorkingSetSize, MinimumWorkingSet,
        MaximumWorkingSet, WorkingSetList;
};
_Static_assert(sizeof(struct mmsupport_image) == VM_WORKING_SET_LINKS, "NT-29: the links follow at 24");

OS_TYPED_ACCESS(vm, struct mmsupport_image);

void MiWriteVm(struct os *os, const struct mmsupport *vm) {
    const struct mmsupport_image image = {.UpdateTime = {(uint32_t)vm->UpdateTime, (uint32_t)(vm->UpdateTime >> 32)},
                                          .PageFaultCount = vm->PageFaultCount,
                                          .PeakWorkingSetSize = vm->PeakWorkingSetSize,
                                          .WorkingSetSize = vm->WorkingSetSize,
                                          .MinimumWorkingSet = vm->MinimumWorkingSet,
                                          .MaximumWorkingSet = vm->MaximumWorkingSet,
                                          .WorkingSetList = (uint32_t)vm->WorkingSetList};
    os_write_vm(os->M, vm->Address, image);
}

/* ---- MmWorkingSetExpansionHead: a LIST_ENTRY, its links in memory ---- */

void MiInitializeExpansionList(struct os *os) {
    MiWrite32(os, MM_WORKING_SET_EXPANSION + LINK_NEXT, MM_WORKING_SET_EXPANSION);
    MiWrite32(os, MM_WORKING_SET_EXPANSION + LINK_PREVIOUS, MM_WORKING_SET_EXPANSION);
}

static void MiInsertTailLink(struct os *os, va_t link) {
    va_t last = MiRead32(os, MM_WORKING_SET_EXPANSION + LINK_PREVIOUS);
    MiWrite32(os, link + LINK_NEXT, MM_WORKING_SET_EXPANSION);
    MiWrite32(os, link + LINK_PREVIOUS, (uint32_t)last);
    MiWrite32(os, last + LINK_NEXT, (uint32_t)link);
    MiWrite32(os, MM_WORKING_SET_EXPANSION + LINK_PREVIOUS, (uint32_t)link);
}

static void MiRemoveLink(struct os *os, va_t link) {
    va_t next = MiRead32(os, link + LINK_NEXT), previous = MiRead32(os, link + LINK_PREVIOUS);
    MiWrite32(os, previous + LINK_NEXT, (uint32_t)next);
    MiWrite32(os, next + LINK_PREVIOUS, (uint32_t)previous);
}

void MiInsertInExpansionList(struct os *os, struct mmsupport *vm) {
    MiWrite32(os, vm->Address + VM_FLAGS, VM_ADJUSTMENT_ALLOWED | VM_SECOND_FLAG << 8);
    MiInsertTailLink(os, vm->Address + VM_WORKING_SET_LINKS);
}

void MiRemoveFromExpansionList(struct os *os, struct mmsupport *vm) {
    MiRemoveLink(os, vm->Address + VM_WORKING_SET_LINKS);
}

struct mmsupport *MiLookupVm(struct os *os, va_t address) {
    if (address == 0) { return &PsGetCurrentProcess(os)->Vm; }
    if (address == os->MmSystemCacheWs.Address) { return &os->MmSystemCacheWs; }
    struct eprocess *process = os->Processes;
    while (process && process->Vm.Address != address) { process = process->Next; }
    return process ? &process->Vm : NULL;
}

/* ---- the balance set manager, NT-35 ---- */

static uint32_t MiPagesNeeded(const struct os *os) {
    return os->MmAvailablePages < MM_HIGH_AVAILABLE ? MM_HIGH_AVAILABLE - os->MmAvailablePages : 0;
}

static bool MiCanBeTrimmed(const struct mmsupport *vm) { return vm->WorkingSetSize > vm->MinimumWorkingSet; }

/* What is trimmed goes to the Standby or Modified list; only the first kind counts as available at once, but the writer
 * makes the other available soon, so both count here. */
static uint32_t MiTrimOne(struct os *os, struct mmsupport *vm, uint32_t need, bool force) {
    if (!vm || !MiCanBeTrimmed(vm)) { return 0; }
    uint32_t excess = vm->WorkingSetSize - vm->MinimumWorkingSet;
    uint32_t removed = MiTrimWorkingSet(os, need < excess ? need : excess, vm, force);
    if (removed != 0) {
        MiRemoveFromExpansionList(os, vm);
        MiInsertInExpansionList(os, vm);
    }
    os->MmInfoCounters.BalanceTrimmed += removed;
    return removed;
}

/* The list in its order; a set moves to its tail while the walk goes on. */
static struct mmsupport *MiNthOfExpansionList(struct os *os, uint32_t skip) {
    va_t link = MiRead32(os, MM_WORKING_SET_EXPANSION + LINK_NEXT);
    for (; skip != 0 && link != MM_WORKING_SET_EXPANSION; skip--) { link = MiRead32(os, link + LINK_NEXT); }
    return link == MM_WORKING_SET_EXPANSION ? NULL : MiLookupVm(os, link - VM_WORKING_SET_LINKS);
}

static uint32_t MiExpansionListLength(struct os *os) {
    uint32_t length = 0, sets = 1; /* the system's; what else is linked there is nonsense */
    for (const struct eprocess *process = os->Processes; process; process = process->Next) { sets++; }
    while (length < sets && MiNthOfExpansionList(os, length)) { length++; }
    return length;
}

static uint32_t MiTrimWalk(struct os *os, uint32_t need, bool force) {
    uint32_t stay = 0; /* those that were passed are in front of the next one */
    for (uint32_t left = MiExpansionListLength(os); left != 0 && need != 0; left--) {
        uint32_t removed = MiTrimOne(os, MiNthOfExpansionList(os, stay), need, force);
        need -= removed;
        if (removed == 0) { stay++; }
    }
    return need;
}

static void MiAgeEverything(struct os *os) {
    uint32_t length = MiExpansionListLength(os);
    struct mmsupport *vm;
    for (uint32_t i = 0; i < length && (vm = MiNthOfExpansionList(os, i)); i++) {
        struct eprocess *back = MiEnterAddressSpace(os, vm->Process);
        MiAgeWorkingSet(os, vm);
        MiLeaveAddressSpace(os, back);
    }
}

/* Without it a wait for a page would walk the list in vain at each step. */
static bool MiAnythingToTrim(const struct os *os) {
    const struct eprocess *process = os->Processes;
    while (process && !MiCanBeTrimmed(&process->Vm)) { process = process->Next; }
    return process || MiCanBeTrimmed(&os->MmSystemCacheWs);
}

void MmWorkingSetManager(struct os *os) {
    uint32_t need = MiPagesNeeded(os);
    if (need == 0) {
        if (wsle_is_nt5(os->Config.profile)) { MiAgeEverything(os); }
        return;
    }
    if (!MiAnythingToTrim(os)) { return; }
    need = MiTrimWalk(os, need, false);
    if (need != 0) { MiTrimWalk(os, need, true); }
}

/* Automatic threads: every so many events, and at once for a thread that waits for a page. Counts taken by reference
 * rules know no trimming (traces/FORMAT.md). */
void MiBalanceSetManagerTick(struct os *os) {
    if (++os->BalanceSteps < BALANCE_INTERVAL && !os->WaitingForPage) { return; }
    os->BalanceSteps = 0;
    if (!os->Config.reference_counting) { MmWorkingSetManager(os); }
}

/* ---- MmAdjustWorkingSetSize, NT-36 ---- */

static ntstatus_t MiSetWorkingSetLimits(struct os *os, struct mmsupport *vm, uint32_t minimum, uint32_t maximum) {
    struct mmwsl list = MiReadWorkingSetList(os, vm);
    if (maximum < list.FirstDynamic + FLUID_PAGES || minimum > maximum) { return STATUS_BAD_WORKING_SET_LIMIT; }
    if (minimum > vm->MinimumWorkingSet && minimum - vm->MinimumWorkingSet > os->MmAvailablePages) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    vm->MinimumWorkingSet = minimum;
    vm->MaximumWorkingSet = maximum;
    MiWriteVm(os, vm);
    if (list.Quota < minimum) {
        list.Quota = minimum;
        MiWriteWorkingSetList(os, vm, &list);
    }
    if (vm->WorkingSetSize > maximum) { MiTrimWorkingSet(os, vm->WorkingSetSize - maximum, vm, true); }
    return STATUS_SUCCESS;
}

ntstatus_t MmAdjustWorkingSetSize(struct os *os, uint32_t minimum, uint32_t maximum, struct mmsupport *vm) {
    if (minimum == UINT32_MAX && maximum == UINT32_MAX) {
        MiTrimWorkingSet(os, UINT32_MAX, vm, true);
        return STATUS_SUCCESS;
    }
    uint32_t min_pages = minimum ? minimum >> PAGE_SHIFT : vm->MinimumWorkingSet;
    uint32_t max_pages = maximum ? maximum >> PAGE_SHIFT : vm->MaximumWorkingSet;
    if (min_pages < MM_MINIMUM_WORKING_SET) { min_pages = MM_MINIMUM_WORKING_SET; }
    if (vm->Process) { /* its list is read, so that it has to be in memory and to stay there */
        vm->Process->StackCount++;
        KiWaitUntilInMemory(os, vm->Process);
        MiLeaveProcess(os, vm->Process);
        if (vm->Process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    }
    struct eprocess *back = MiEnterAddressSpace(os, vm->Process);
    ntstatus_t status = MiSetWorkingSetLimits(os, vm, min_pages, max_pages);
    MiLeaveAddressSpace(os, back);
    return status;
}
