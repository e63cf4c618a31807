/* Processes that are out of memory: NT-70 (states), NT-76. An outswapped process has lost its working set, and the
 * frames of its working-set list, hyperspace table and directory are in transition: they may be written out and reused.
 * With PAE the last of the four directories has the directory's part, the other three are among the tables that it
 * describes, and what CR3 points to stays, with its four entries cleared. */
#include "mi.h"
#include "ntmmu/eprocess.h"

#include <stdlib.h>

#define LAST_DIRECTORY (MM_DIRECTORIES - 1)
#define SWAP_OBJECT    0xD0000000u /* + process: what threads wait for */

/* Entries of the last directory: number 0.. are the directories, behind them the tables of hyperspace. */
static va_t MiOwnPdeAddress(unsigned number) { return MiGetPdeAddress(PTE_BASE) + number * PTE_SIZE; }
static pa_t MiOwnPde(pfn_t directory, unsigned number) {
    return ((pa_t)directory << PAGE_SHIFT) + (MiOwnPdeAddress(number) & PAGE_MASK);
}
/* Entries of a table of hyperspace that belong to the working-set list, up to the table's end. */
static unsigned MiFirstListPte(unsigned table) { return table ? 0 : MiGetPteIndex(MM_WORKING_SET_LIST); }
static va_t MiHyperPteAddress(unsigned table, unsigned index) {
    return MiGetPteAddress(MM_HYPER_BASE) + (table * MM_PTE_PER_PAGE + index) * PTE_SIZE;
}
static pa_t MiEntryOf(pfn_t table, unsigned index) { return ((pa_t)table << PAGE_SHIFT) + index * PTE_SIZE; }

static uint64_t MiSwapObject(const struct eprocess *process) { return SWAP_OBJECT + process->Pid; }

/* An entry of tables that are not mapped; va: what it would map while they are. */
static pte_t MiExchangePte(struct os *os, pa_t pa, va_t pte_va, pte_t value) {
    pte_t old = MiReadPhysicalPte(os, pa);
    MiWritePhysicalPte(os, pa, value);
    if (log_wants(os->M->log, LOG_PTE)) {
        log_send(os->M->log, LOG_PTE, pte_va, old, value, MiGetVirtualAddressMappedByPte(pte_va), 0);
    }
    return old;
}

static pfn_t MiFrameOfProcessObject(struct os *os, const struct eprocess *process) {
    return MmGetPhysicalAddress(os, process->Address + EPROCESS_PAGE_DIRECTORY_PTE) >> PAGE_SHIFT;
}

/* ---- out ---- */

/* A valid entry becomes transition; its frame loses the share of it. */
static void MiSwapEntryOut(struct os *os, pa_t pa, va_t pte_va) {
    pte_t pte = MiReadPhysicalPte(os, pa);
    if (!(pte & PTE_VALID)) { return; }
    MiExchangePte(os, pa, pte_va, pte_transition(pte, MM_READWRITE));
    MiDecrementShareCount(os, pte_frame(pte));
}

/* The directory describes itself, so that its entry needs another place: the process object. */
static void MiSwapDirectoryOut(struct os *os, struct eprocess *process, pfn_t directory) {
    struct mmpfn pfn = MiReadPfn(os, directory);
    mmpte_t entry = (mmpte_t)pte_transition(directory << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL, MM_READWRITE);
    pfn.PteAddress = process->Address + EPROCESS_PAGE_DIRECTORY_PTE;
    pfn.ContainingFrame = (uint32_t)MiFrameOfProcessObject(os, process);
    MiWritePfn(os, directory, &pfn);
    MiIncrementShareCount(os, pfn.ContainingFrame);
    os->M->ops->write(os->M, process->Address + EPROCESS_PAGE_DIRECTORY_PTE, &entry, sizeof entry);
    MiSwapEntryOut(os, MiOwnPde(directory, LAST_DIRECTORY), MiOwnPdeAddress(LAST_DIRECTORY));
}

static void MiSwapHyperspaceOut(struct os *os, const struct eprocess *process, pfn_t directory) {
    for (unsigned table = 0; table < MM_HYPER_TABLES; table++) {
        for (unsigned i = MiFirstListPte(table); i < MM_PTE_PER_PAGE; i++) {
            MiSwapEntryOut(os, MiEntryOf(process->HyperspaceFrame[table], i), MiHyperPteAddress(table, i));
        }
        MiSwapEntryOut(os, MiOwnPde(directory, MM_DIRECTORIES + table), MiOwnPdeAddress(MM_DIRECTORIES + table));
    }
}

#if MI_PAE
/* While the process is in memory, the last directory does not count the others; their entries in transition, it must.
 */
static void MiSwapOtherDirectoriesOut(struct os *os, pfn_t last) {
    for (unsigned i = 0; i < LAST_DIRECTORY; i++) {
        MiIncrementShareCount(os, last);
        MiSwapEntryOut(os, MiOwnPde(last, i), MiOwnPdeAddress(i));
    }
}

static void MiSetDirectoryPointers(struct os *os, const struct eprocess *process, bool valid) {
    pfn_t pointers = process->DirectoryTableBase[0] >> PAGE_SHIFT;
    for (unsigned i = 0; i < MM_DIRECTORIES; i++) {
        pte_t entry = (pte_t)process->DirectoryFrame[i] << PTE_FRAME_SHIFT | PTE_VALID;
        MiWritePhysicalPte(os, MiEntryOf(pointers, i), valid ? entry : 0);
    }
    struct mmpfn pfn = MiReadPfn(os, pointers);
    pfn.ContainingFrame = valid ? process->DirectoryFrame[LAST_DIRECTORY] : 0;
    MiWritePfn(os, pointers, &pfn);
}
#endif

/* A thread goes on in the middle of the kernel, whose stack has to stay, or comes back from where it is attached. */
static bool MiIsNeeded(struct os *os, const struct eprocess *process) {
    const struct ethread *thread = os->Threads;
    while (thread && !(thread->Process == process && thread->Waiting) && thread->SavedProcess != process) {
        thread = thread->Next;
    }
    return thread || KeGetCurrentPrcb(os)->SavedProcess == process;
}

ntstatus_t KeOutswapProcess(struct os *os, struct eprocess *process) {
    if (process == &os->SystemProcess || process == PsGetCurrentProcess(os) || process->State != PROCESS_IN_MEMORY ||
        process->StackCount != 0 || process->NumberOfLockedPages != 0 || MiIsNeeded(os, process)) {
        return STATUS_INVALID_PARAMETER;
    }
    pfn_t directory = process->DirectoryFrame[LAST_DIRECTORY];
    MiTrimWorkingSet(os, UINT32_MAX, &process->Vm, true);
    MiRemoveFromExpansionList(os, &process->Vm);
    MiSwapHyperspaceOut(os, process, directory);
#if MI_PAE
    MiSwapOtherDirectoriesOut(os, directory);
    MiSetDirectoryPointers(os, process, false);
#endif
    MiSwapDirectoryOut(os, process, directory);
    process->State = PROCESS_OUT_OF_MEMORY;
    return STATUS_SUCCESS;
}

/* ---- in ---- */

pfn_t MiPrepareSwappedPage(struct os *os, pte_t pte, va_t pte_va, pfn_t containing) {
    while (!MiFramesAvailable(os, 1)) { MiWaitForFreePage(os); }
    pfn_t frame = MiRemoveAnyPage(os, 0);
    MiInitializePfn(os, frame, pte_va, pte, 0, containing);
    return frame;
}

ntstatus_t MiReadSwappedPage(struct os *os, pte_t pte, pfn_t frame) {
    struct os_io io = {.file = os_paging_file(pte_page_file_number(pte)),
                       .offset = (uint64_t)pte_page_file_offset(pte) << PAGE_SHIFT,
                       .pages = 1,
                       .valid_bytes = PAGE_SIZE,
                       .frame = {frame}};
    ntstatus_t status = MiReadAndWait(os, &io);
    os->MmInfoCounters.PageReadCount++;
    os->MmInfoCounters.PageReadIoCount++;
    return status;
}

/* One that is in transition, or that never stopped being active because something in it pins it. */
static pfn_t MiReviveSwappedPage(struct os *os, pte_t pte) {
    pfn_t frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn_location(&pfn) == ActiveAndValid) {
        MiIncrementShareCount(os, frame);
        return frame;
    }
    pfn = MiReferenceTransitionPage(os, frame);
    pfn.u2 = 1;
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_LOCATION) | ActiveAndValid << PFN_LOCATION_SHIFT);
    MiWritePfn(os, frame, &pfn);
    return frame;
}

static pfn_t MiSwapPageIn(struct os *os, pte_t pte, va_t pte_va, pfn_t containing) {
    if (pte_form(pte) == PTE_FORM_TRANSITION) { return MiReviveSwappedPage(os, pte); }
    pfn_t frame = MiPrepareSwappedPage(os, pte, pte_va, containing);
    ntstatus_t status = MiReadSwappedPage(os, pte, frame);
    if (!NT_SUCCESS(status)) { KeBugCheckEx(os, BUGCHECK_KERNEL_DATA_INPAGE_ERROR, pte_va, status, pte, 0); }
    return frame;
}

static pfn_t MiSwapEntryIn(struct os *os, pa_t pa, va_t pte_va, pfn_t containing) {
    pfn_t frame = MiSwapPageIn(os, MiReadPhysicalPte(os, pa), pte_va, containing);
    MiExchangePte(os, pa, pte_va, frame << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL);
    return frame;
}

static void MiSetPfnIndex(struct os *os, pfn_t frame, uint32_t index) { MiWrite32(os, pfn_address(frame), index); }

static pfn_t MiSwapDirectoryIn(struct os *os, struct eprocess *process) {
    pfn_t object = MiFrameOfProcessObject(os, process);
    pte_t entry = MiReadPte(os, process->Address + EPROCESS_PAGE_DIRECTORY_PTE);
    pfn_t directory = MiSwapPageIn(os, entry, process->Address + EPROCESS_PAGE_DIRECTORY_PTE, object);
    MiDecrementShareCount(os, object); /* what it has counted, or MiInitializePfn has just */
    struct mmpfn pfn = MiReadPfn(os, directory);
    pfn.u1 = LAST_DIRECTORY ? LAST_DIRECTORY : process->Address;
    pfn.PteAddress = (uint32_t)MiOwnPdeAddress(LAST_DIRECTORY);
    pfn.ContainingFrame = (uint32_t)directory;
    MiWritePfn(os, directory, &pfn);
    MiExchangePte(os, MiOwnPde(directory, LAST_DIRECTORY), MiOwnPdeAddress(LAST_DIRECTORY),
                  directory << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL);
    return directory;
}

static void MiSwapHyperspaceIn(struct os *os, struct eprocess *process, pfn_t directory, unsigned table) {
    const unsigned number = MM_DIRECTORIES + table;
    pfn_t hyperspace = MiSwapEntryIn(os, MiOwnPde(directory, number), MiOwnPdeAddress(number), directory);
    MiSetPfnIndex(os, hyperspace, number);
    process->HyperspaceFrame[table] = (uint32_t)hyperspace;
    for (unsigned i = MiFirstListPte(table); i < MM_PTE_PER_PAGE; i++) {
        pa_t pa = MiEntryOf(hyperspace, i);
        if (MiReadPhysicalPte(os, pa) == 0) { continue; }
        pfn_t frame = MiSwapEntryIn(os, pa, MiHyperPteAddress(table, i), hyperspace);
        if (table == 0 && i == MiFirstListPte(table)) { process->WorkingSetPage = (uint32_t)frame; }
    }
}

static pa_t MiHyperspacePhysical(struct os *os, const struct eprocess *process, va_t va) {
    pfn_t table = process->HyperspaceFrame[(va - MM_HYPER_BASE) >> MM_PDE_SHIFT];
    pte_t pte = MiReadPhysicalPte(os, MiEntryOf(table, MiGetPteIndex(va)));
    return (pte_frame(pte) << PAGE_SHIFT) + (va & PAGE_MASK);
}

/* On a page list a frame's index is a link. The list's own pages have fixed entries, the first one behind the tables'.
 */
static void MiRestoreListIndices(struct os *os, const struct eprocess *process) {
    const va_t list = MM_WORKING_SET_LIST;
    uint32_t fixed = MiReadPhysical32(os, MiHyperspacePhysical(os, process, list + WSL_FIRST_DYNAMIC));
    if (fixed > WSLES_MAX) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41785, fixed, WSLES_MAX, list); }
    for (uint32_t i = MM_DIRECTORIES + MM_HYPER_TABLES; i < fixed; i++) {
        va_t at = list + MM_WSLE_OFFSET + (va_t)i * sizeof(uint32_t);
        va_t va = page_of(MiReadPhysical32(os, MiHyperspacePhysical(os, process, at)));
        if (va < list || va > MM_PROCESS_SPACE_END) { continue; } /* locked by the program */
        MiSetPfnIndex(os, MiHyperspacePhysical(os, process, va) >> PAGE_SHIFT, i);
    }
}

#if MI_PAE
static void MiSwapOtherDirectoriesIn(struct os *os, struct eprocess *process, pfn_t last) {
    for (unsigned i = 0; i < LAST_DIRECTORY; i++) {
        process->DirectoryFrame[i] = (uint32_t)MiSwapEntryIn(os, MiOwnPde(last, i), MiOwnPdeAddress(i), last);
        MiSetPfnIndex(os, process->DirectoryFrame[i], i ? i : process->Address);
        MiDecrementShareCount(os, last); /* as MiSwapOtherDirectoriesOut says */
    }
}
#endif

static void MmInSwapProcess(struct os *os, struct eprocess *process) {
    os->ProcessesHalfIn++;
    pfn_t directory = MiSwapDirectoryIn(os, process);
    process->DirectoryFrame[LAST_DIRECTORY] = (uint32_t)directory;
#if MI_PAE
    MiSwapOtherDirectoriesIn(os, process, directory);
    MiSetDirectoryPointers(os, process, true);
#else
    process->DirectoryTableBase[0] = (uint32_t)(directory << PAGE_SHIFT);
#endif
    for (unsigned table = 0; table < MM_HYPER_TABLES; table++) { MiSwapHyperspaceIn(os, process, directory, table); }
    MiRestoreListIndices(os, process);
    process->DirectoryTableBase[1] = process->HyperspaceFrame[0] << PAGE_SHIFT;
    MiWrite32(os, process->Address + EPROCESS_DIRECTORY_TABLE_BASE, process->DirectoryTableBase[0]);
    MiWrite32(os, process->Address + EPROCESS_DIRECTORY_TABLE_BASE + 4, process->DirectoryTableBase[1]);
    MiWrite32(os, process->Address + EPROCESS_WORKING_SET_PAGE, process->WorkingSetPage);
    MiInsertInExpansionList(os, &process->Vm);
    process->State = PROCESS_IN_MEMORY;
    os->ProcessesHalfIn--;
    os->M->ops->signal(os->M, MiSwapObject(process));
}

/* RUN swap. */
void KiSwapProcesses(struct os *os) {
    os->KiSwapEvent = false;
    while (os->KiProcessInSwapListHead) {
        struct eprocess *process = os->KiProcessInSwapListHead;
        os->KiProcessInSwapListHead = process->NextInSwap;
        process->NextInSwap = NULL;
        MmInSwapProcess(os, process);
    }
}

static void MiAskForProcess(struct os *os, struct eprocess *process) {
    struct eprocess **last = &os->KiProcessInSwapListHead;
    while (*last) { last = &(*last)->NextInSwap; }
    *last = process;
    process->State = PROCESS_IN_TRANSITION;
    os->KiSwapEvent = true;
    if (log_wants(os->M->log, LOG_SIGNAL)) { log_send(os->M->log, LOG_SIGNAL, LOG_SWAP_EVENT, 0, 0, 0, 0); }
}

/* NT-76: the first one to need the process asks for it; all are queued on its ready list until it is there. */
void KiWaitUntilInMemory(struct os *os, struct eprocess *process) {
    process->ReadyThreads++;
    while (process->State != PROCESS_IN_MEMORY) { /* it may have come and gone again before this thread ran */
        if (process->State == PROCESS_OUT_OF_MEMORY) { MiAskForProcess(os, process); }
        if (!os->Config.manual_threads) { KiSwapProcesses(os); }
        if (process->State != PROCESS_IN_MEMORY) { KeWaitForSingleObject(os, MiSwapObject(process)); }
    }
    process->ReadyThreads--;
}
