/* Address spaces and the processes and threads that have them: NT-70, NT-71, NT-73 (set-up), NT-74. */
#include "mi.h"
#include "ntmmu/eprocess.h"
#include <stdio.h>

/* Directory, hyperspace table and working-set list. With PAE: four directories, their page of pointers, two tables. */
#define PROCESS_TABLES         (MM_DIRECTORIES + MM_HYPER_TABLES)
#define PROCESS_COMMIT         (PROCESS_TABLES + 1u + (MI_PAE ? 1u : 0u))
#define ETHREAD_SIZE           0x1B0u
#define TAG_PROCESS            0x636F7250u /* "Proc" */
#define TAG_THREAD             0x64726854u /* "Thrd" */
#define PS_MINIMUM_WORKING_SET 0x32u
#define PS_MAXIMUM_WORKING_SET 0x159u

/* Kernel parts of the address space whose directory entries are copied at creation, NT-71. */
static const struct {
    uint32_t first, last;
} mi_shared_ranges[] = {
    {MM_KSEG0_BASE, MM_KSEG0_END},
    {MM_NONPAGED_SYSTEM_START, 0xFFFFFFFFu},
    {MM_SYSTEM_WS_LIST, MM_SYSTEM_CACHE_END},
};

static void MiCopySharedPdes(struct os *os, va_t map, uint32_t first, uint32_t last) {
    mmpte_t pdes[MM_PTE_PER_PAGE];
    uint32_t length = (last - first + 1) * PTE_SIZE;
    os->M->ops->read(os->M, PDE_BASE + first * PTE_SIZE, pdes, length);
    os->M->ops->write(os->M, map + first % MM_PTE_PER_PAGE * PTE_SIZE, pdes, length);
}

/* One of the directories. The one that describes the window has the self-map and hyperspace. */
static void MiFillDirectory(struct os *os, const struct eprocess *process, unsigned number) {
    unsigned irql;
    const uint32_t self = MiGetPdeIndex(PTE_BASE), begin = number * MM_PTE_PER_PAGE, end = begin + MM_PTE_PER_PAGE - 1;
    va_t map = MiMapPageInHyperSpace(os, process->DirectoryFrame[number], &irql);
    for (unsigned i = 0; i < PROCESS_TABLES && self >= begin && self <= end; i++) {
        pfn_t frame = i < MM_DIRECTORIES ? process->DirectoryFrame[i] : process->HyperspaceFrame[i - MM_DIRECTORIES];
        mmpte_t pde = (mmpte_t)(frame << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL);
        os->M->ops->write(os->M, map + (self - begin + i) * PTE_SIZE, &pde, sizeof pde);
    }
    for (size_t i = 0; i < sizeof mi_shared_ranges / sizeof mi_shared_ranges[0]; i++) {
        uint32_t first = MiGetPdeIndex(mi_shared_ranges[i].first), last = MiGetPdeIndex(mi_shared_ranges[i].last);
        if (first >= begin && last <= end) { MiCopySharedPdes(os, map, first, last); }
    }
    MiUnmapPageInHyperSpace(os, irql);
}

static void MiFillHyperspaceTable(struct os *os, pfn_t hyperspace, pfn_t working_set) {
    unsigned irql;
    const mmpte_t ring = MM_HYPER_SLOTS << PTE_FRAME_SHIFT;
    const mmpte_t list = (mmpte_t)(working_set << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL);
    va_t map = MiMapPageInHyperSpace(os, hyperspace, &irql);
    os->M->ops->write(os->M, map, &ring, sizeof ring);
    os->M->ops->write(os->M, map + MiGetPteIndex(MM_WORKING_SET_LIST) * PTE_SIZE, &list, sizeof list);
    MiUnmapPageInHyperSpace(os, irql);
}

#if MI_PAE
/* What CR3 points to: a page of its own, which nothing maps. */
static void MiFillDirectoryPointers(struct os *os, const struct eprocess *process, pfn_t pointers) {
    unsigned irql;
    va_t map = MiMapPageInHyperSpace(os, pointers, &irql);
    for (unsigned i = 0; i < MM_DIRECTORIES; i++) {
        const mmpte_t entry = (mmpte_t)process->DirectoryFrame[i] << PTE_FRAME_SHIFT | PTE_VALID;
        os->M->ops->write(os->M, map + i * sizeof entry, &entry, sizeof entry);
    }
    MiUnmapPageInHyperSpace(os, irql);
    const struct mmpfn pfn = {.u1 = process->Address,
                              .PteAddress = PFN_DELETED_PTE,
                              .u2 = 1,
                              .Flags = ActiveAndValid << PFN_LOCATION_SHIFT | PFN_MODIFIED,
                              .ReferenceCount = 1,
                              .OriginalPte = (mmpte_t)pte_demand_zero(MM_READWRITE),
                              .ContainingFrame = process->DirectoryFrame[MM_DIRECTORIES - 1]};
    MiWritePfn(os, pointers, &pfn);
}
#endif

ntstatus_t MmCreateProcessAddressSpace(struct os *os, struct eprocess *process) {
    if (!MiChargeCommitment(os, PROCESS_COMMIT, NULL)) { return STATUS_COMMITMENT_LIMIT; }
    bool another = PsLookupProcess(os, process->Pid) != NULL; /* made while commit was waited for */
    if (another || !MiFramesAvailable(os, PROCESS_COMMIT)) {
        MiReturnCommitment(os, PROCESS_COMMIT, NULL);
        return another ? STATUS_CONFLICTING_ADDRESSES : STATUS_NO_MEMORY;
    }
    for (unsigned i = 0; i < PROCESS_TABLES; i++) {
        uint32_t frame = (uint32_t)MiRemoveZeroPage(os, process->NextPageColor++);
        *(i < MM_DIRECTORIES ? &process->DirectoryFrame[i] : &process->HyperspaceFrame[i - MM_DIRECTORIES]) = frame;
    }
    process->WorkingSetPage = (uint32_t)MiRemoveZeroPage(os, process->NextPageColor++);
    process->DirectoryTableBase[0] = process->DirectoryFrame[0] << PAGE_SHIFT;
    process->DirectoryTableBase[1] = process->HyperspaceFrame[0] << PAGE_SHIFT;
    for (unsigned i = 0; i < MM_DIRECTORIES; i++) { MiFillDirectory(os, process, i); }
    MiFillHyperspaceTable(os, process->HyperspaceFrame[0], process->WorkingSetPage);
#if MI_PAE
    pfn_t pointers = MiRemoveZeroPage(os, process->NextPageColor++);
    MiFillDirectoryPointers(os, process, pointers);
    process->DirectoryTableBase[0] = (uint32_t)(pointers << PAGE_SHIFT);
#endif
    return STATUS_SUCCESS;
}

void MiInitializeProcessPfns(struct os *os, const struct eprocess *process, mmpte_t original, uint16_t flags) {
    const va_t self_map = MiGetPdeAddress(PTE_BASE);
    const uint32_t window = process->DirectoryFrame[MM_DIRECTORIES - 1]; /* the directory that has all of them */
    for (unsigned i = 0; i < PROCESS_TABLES; i++) {
        pfn_t frame = i < MM_DIRECTORIES ? process->DirectoryFrame[i] : process->HyperspaceFrame[i - MM_DIRECTORIES];
        const uint32_t inside = i == MM_DIRECTORIES - 1 ? MM_HYPER_TABLES : i == MM_DIRECTORIES ? 1 : 0;
        const struct mmpfn pfn = {.u1 = i ? i : process->Address,
                                  .PteAddress = (uint32_t)self_map + i * PTE_SIZE,
                                  .u2 = 1 + inside,
                                  .Flags = flags,
                                  .ReferenceCount = 1,
                                  .OriginalPte = original,
                                  .ContainingFrame = window};
        MiWritePfn(os, frame, &pfn);
    }
    const uint32_t table = process->HyperspaceFrame[0];
    const uint32_t list_pte = (uint32_t)MiGetPteAddress(MM_WORKING_SET_LIST);
    const struct mmpfn list = {.u1 = PROCESS_TABLES,
                               .PteAddress = list_pte,
                               .u2 = 1,
                               .Flags = flags,
                               .ReferenceCount = 1,
                               .OriginalPte = original,
                               .ContainingFrame = table};
    MiWritePfn(os, process->WorkingSetPage, &list);
}

/* At the base that the image has elsewhere, or relocated. */
static ntstatus_t MiMapProcessImage(struct os *os, struct eprocess *process, const struct section_object *section) {
    const struct control_area *area = section->ControlArea;
    if (!area->Image) { return STATUS_SUCCESS; }
    unsigned protection = section->Protection ? section->Protection : area->Protection;
    uint32_t base = (uint32_t)area->ImageBase, size = 0;
    uint64_t offset = 0;
    ntstatus_t status = STATUS_CONFLICTING_ADDRESSES;
    for (unsigned attempt = 0; attempt < 2 && status == STATUS_CONFLICTING_ADDRESSES; attempt++) {
        if (attempt) { base = 0; }
        status = NtMapViewOfSection(os, section, process, &base, 0, 0, &offset, &size, VIEW_SHARE, 0,
                                    MiProtectionToWin32(protection));
    }
    if (NT_SUCCESS(status)) { MiWrite32(os, process->Address + EPROCESS_SECTION_BASE_ADDRESS, base); }
    return status;
}

/* The set-up part of MmInitializeProcessAddressSpace. section: NULL, or what the process runs. */
static ntstatus_t MmInitializeProcessAddressSpace(struct os *os, struct eprocess *process,
                                                  const struct section_object *section) {
    if (!MiLockAddressCreation(os, process)) { return STATUS_PROCESS_IS_TERMINATING; }
    KeAttachProcess(os, process);
    MiInitializeProcessPfns(os, process, (mmpte_t)pte_demand_zero(MM_READWRITE),
                            ActiveAndValid << PFN_LOCATION_SHIFT | PFN_MODIFIED);
    MiInitializeWorkingSetList(os, process);
    MiInsertInExpansionList(os, &process->Vm);
    ntstatus_t status = section ? MiMapProcessImage(os, process, section) : STATUS_SUCCESS;
    KeDetachProcess(os);
    MiUnlockAddressCreation(os, process);
    return status;
}

static uint32_t MiLimit(uint32_t asked, uint32_t configured, uint32_t standard) {
    return asked ? asked : configured ? configured : standard;
}

ntstatus_t PspCreateProcess(struct os *os, uint32_t pid, uint32_t ppid, const char *image, uint32_t min_ws,
                            uint32_t max_ws, const struct section_object *section, struct eprocess **out) {
    if (PsLookupProcess(os, pid)) { return STATUS_CONFLICTING_ADDRESSES; }
    struct eprocess *process = MiAllocateHost(os, sizeof *process);
    process->Pid = pid;
    process->ParentPid = ppid;
    snprintf(process->ImageName, sizeof process->ImageName, "%s", image);
    process->Vm.MinimumWorkingSet = MiLimit(min_ws, os->Config.min_ws, PS_MINIMUM_WORKING_SET);
    process->Vm.MaximumWorkingSet = MiLimit(max_ws, os->Config.max_ws, PS_MAXIMUM_WORKING_SET);
    if (process->Vm.MaximumWorkingSet < process->Vm.MinimumWorkingSet) {
        process->Vm.MaximumWorkingSet = process->Vm.MinimumWorkingSet;
    }
    process->Address = (uint32_t)ExAllocatePool(os, false, EPROCESS_SIZE, TAG_PROCESS);
    process->Vm.Address = process->Address + EPROCESS_VM;
    PspInheritQuota(os, process, PsLookupProcess(os, ppid));
    ntstatus_t status = STATUS_INSUFFICIENT_RESOURCES;
    if (process->Address) {
        PspClearProcessObject(os, process);
        status = MmCreateProcessAddressSpace(os, process);
    }
    if (!NT_SUCCESS(status)) {
        if (process->Address) { ExFreePool(os, process->Address); }
        PspDereferenceQuotaBlock(process->QuotaBlock);
        MiFreeHost(process);
        return status;
    }
    PspInitializeProcessObject(os, process, PsLookupProcess(os, ppid));
    struct eprocess **link = &os->Processes;
    while (*link) { link = &(*link)->Next; }
    *link = process;
    *out = process;
    status = MmInitializeProcessAddressSpace(os, process, section);
    if (!NT_SUCCESS(status)) { PspExitProcess(os, process); }
    return status;
}

ntstatus_t PspCreateThread(struct os *os, uint32_t tid, struct eprocess *process) {
    if (PsLookupThread(os, tid)) { return STATUS_CONFLICTING_ADDRESSES; }
    va_t address = ExAllocatePool(os, false, ETHREAD_SIZE, TAG_THREAD);
    if (address == 0) { return STATUS_INSUFFICIENT_RESOURCES; }
    struct ethread *thread = MiAllocateHost(os, sizeof *thread);
    *thread = (struct ethread){.Tid = tid, .Address = (uint32_t)address, .Process = process};
    struct ethread **link = &os->Threads;
    while (*link) { link = &(*link)->Next; }
    *link = thread;
    return STATUS_SUCCESS;
}

void PspExitThread(struct os *os, struct ethread *thread) {
    for (struct eprocess *process = os->Processes; process; process = process->Next) {
        MiAbandonAddressCreation(os, process, thread);
    }
    struct ethread **link = &os->Threads;
    while (*link != thread) { link = &(*link)->Next; }
    *link = thread->Next;
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    if (prcb->CurrentThread == thread) {
        KeDetachProcess(os);
        prcb->CurrentThread = NULL;
    } else if (thread->SavedProcess) {
        MiLeaveProcess(os, thread->ApcStateProcess);
    }
    MmDeleteKernelStack(os, thread);
    ExFreePool(os, thread->Address);
    MiFreeHost(thread);
}

/* A fork that fails ends the child. What that gives back wakes others that wait for frames: nobody tries again before
 * there are as many more as were missing, or two of them would go on for ever. */
void PspAbandonFork(struct os *os, struct eprocess *child, ntstatus_t status) {
    const uint32_t missing = os->FramesMissing;
    PspExitProcess(os, child);
    if (status == MI_WAIT_FOR_PAGE) { os->FramesToRetry = os->MmAvailablePages + missing; }
}

struct eprocess *PsLookupProcess(const struct os *os, uint32_t pid) {
    if (pid == 0) { return (struct eprocess *)&os->SystemProcess; }
    struct eprocess *process = os->Processes;
    while (process && process->Pid != pid) { process = process->Next; }
    return process;
}

struct ethread *PsLookupThread(const struct os *os, uint32_t tid) {
    struct ethread *thread = os->Threads;
    while (thread && thread->Tid != tid) { thread = thread->Next; }
    return thread;
}

/* ---- deletion, NT-74 ---- */

/* Tables that nothing uses and no VAD covers: an access to the shared page or to a view can leave one. What is still in
 * use here was lost by somebody. */
static void MiDeleteLeftPageTables(struct os *os) {
    mmpte_t pdes[MM_USER_PDES];
    const uint32_t tables = MiGetPdeIndex(MM_SYSTEM_RANGE_START);
    os->M->ops->read(os->M, PDE_BASE, pdes, tables * sizeof pdes[0]);
    for (uint32_t i = 0; i < tables; i++) {
        if (pdes[i] == 0) { continue; }
        MiDeletePageTableIfUnused(os, (va_t)i << MM_PDE_SHIFT);
        if (MiReadPte(os, PDE_BASE + i * PTE_SIZE) != 0) {
            uint16_t used = MiRead16(os, MM_WORKING_SET_LIST + WSL_USED_PTES + i * sizeof(uint16_t));
            KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41790, pte_frame(pdes[i]), 0, used);
        }
    }
}

static void MiFreeOwnFrame(struct os *os, pfn_t frame) {
    MiSetPfnDeleted(os, frame);
    MiDecrementShareCount(os, frame);
}

/* Working-set pages, hyperspace table and directory; another address space is loaded. */
void MmDeleteProcessAddressSpace(struct os *os, struct eprocess *process) {
    mmpte_t ptes[MM_PTE_PER_PAGE];
    if (PsGetCurrentProcess(os) == process) { MiAssert(os, "the current directory is deleted"); }
    for (unsigned table = 0; table < MM_HYPER_TABLES; table++) {
        pfn_t hyperspace = process->HyperspaceFrame[table];
        MiReadPhysicalPage(os, hyperspace, ptes);
        for (unsigned i = table ? 0 : MiGetPteIndex(MM_WORKING_SET_LIST); i < MM_PTE_PER_PAGE; i++) {
            if (!(ptes[i] & PTE_VALID)) { continue; }
            MiFreeOwnFrame(os, pte_frame(ptes[i]));
            MiDecrementShareCount(os, hyperspace);
        }
        MiFreeOwnFrame(os, hyperspace);
        MiDecrementShareCount(os, process->DirectoryFrame[MM_DIRECTORIES - 1]);
    }
    for (unsigned i = 0; i < MM_DIRECTORIES; i++) { MiFreeOwnFrame(os, process->DirectoryFrame[i]); }
#if MI_PAE
    MiFreeOwnFrame(os, process->DirectoryTableBase[0] >> PAGE_SHIFT);
#endif
    MiReturnCommitment(os, PROCESS_COMMIT, NULL);
}

/* Whoever runs this goes last: others are waited for in its name. */
static void MiExitThreads(struct os *os, const struct eprocess *process) {
    struct ethread *own = KeGetCurrentPrcb(os)->CurrentThread, *thread = os->Threads;
    while (thread) {
        if (thread->Process != process || (thread == own && !own->StackBusy)) {
            thread = thread->Next;
            continue;
        }
        if (!MiWaitForThread(os, thread)) { PspExitThread(os, thread); }
        thread = os->Threads; /* this one has gone, or others meanwhile */
    }
    if (own && own->Process == process) { PspExitThread(os, own); }
}

static void MiUnlinkProcess(struct os *os, struct eprocess *process) {
    struct eprocess **link = &os->Processes;
    while (*link != process) { link = &(*link)->Next; }
    *link = process->Next;
    process->Next = os->ExitedProcesses;
    os->ExitedProcesses = process;
}

void PspProcessDelete(struct os *os, struct eprocess *process) {
    MmDeleteProcessAddressSpace(os, process);
    ExFreePool(os, process->Address);
    MiUnlinkProcess(os, process);
}

/* Cleans up in the process's own context, then leaves it for the system's. Its directory goes at once, unless threads
 * of others are attached: then with the last of them. */
ntstatus_t PspExitProcess(struct os *os, struct eprocess *process) {
    if (!MiEndAddressCreation(os, process)) { return STATUS_PROCESS_IS_TERMINATING; }
    if (process->NumberOfLockedPages != 0) {
        KeBugCheckEx(os, BUGCHECK_PROCESS_HAS_LOCKED_PAGES, 0, process->Address, process->NumberOfLockedPages, 0);
    }
    process->Exiting = true;
    process->StackCount++; /* who ends it keeps it */
    MiCloseHandles(os, process);
    bool attached = KeAttachProcess(os, process);
    MiRemoveFromExpansionList(os, &process->Vm);
    MmCleanProcessAddressSpace(os, process);
    process->VmDeleted = true; /* nothing comes back while the tables that are left are waited for */
    MiDeleteLeftPageTables(os);
    MiExitThreads(os, process);
    if (attached) {
        KeDetachProcess(os);
    } else if (!KeGetCurrentPrcb(os)->SavedProcess) {
        KiSwapProcess(os, &os->SystemProcess);
    }
    MiLeaveProcess(os, process);
    return STATUS_SUCCESS;
}
