/* Address spaces and the processes and threads that have them: NT-70, NT-71, NT-73 (set-up), NT-74. */
#include "mi.h"
#include "ntmmu/eprocess.h"
#include <stdio.h>
#include <stdlib.h>

#define PROCESS_COMMIT         3u /* directory, hyperspace table, working-set list */
#define ETHREAD_SIZE           0x1B0u
#define TAG_PROCESS            0x636F7250u /* "Proc" */
#define TAG_THREAD             0x64726854u /* "Thrd" */
#define PS_MINIMUM_WORKING_SET 0x32u
#define PS_MAXIMUM_WORKING_SET 0x159u
#define HYPERSPACE_RING_FULL   0x000FF000u
#define WS_LIST_PTE_INDEX      0x102u
#define SELF_MAP_OFFSET        0xC00u
#define HYPERSPACE_PDE_OFFSET  0xC04u
#define WS_PAGE_PTE            0xC0301408u

/* Kernel parts of a directory that are copied at creation, byte offsets, NT-71. */
static const struct {
    unsigned first, end;
} mi_shared_pdes[] = {
    {0x800, 0xA00}, /* the direct map */
    {MM_NONPAGED_SYSTEM_START >> 20, 0x1000},
    {0xC0C, (MM_SYSTEM_CACHE_END >> 20 & 0xFFC) + 4},
};

static void MiFillDirectory(struct os *os, pfn_t directory, pfn_t hyperspace) {
    unsigned irql;
    uint32_t pdes[MM_PTE_PER_PAGE];
    va_t map = MiMapPageInHyperSpace(os, directory, &irql);
    MiWrite32(os, map + HYPERSPACE_PDE_OFFSET, (uint32_t)(hyperspace << PTE_FRAME_SHIFT) | PTE_TEMPLATE_PRIVATE_KERNEL);
    MiWrite32(os, map + SELF_MAP_OFFSET, (uint32_t)(directory << PTE_FRAME_SHIFT) | PTE_TEMPLATE_PRIVATE_KERNEL);
    for (size_t i = 0; i < sizeof mi_shared_pdes / sizeof mi_shared_pdes[0]; i++) {
        unsigned first = mi_shared_pdes[i].first, length = mi_shared_pdes[i].end - first;
        os->M->ops->read(os->M, PDE_BASE + first, pdes, length);
        os->M->ops->write(os->M, map + first, pdes, length);
    }
    MiUnmapPageInHyperSpace(os, irql);
}

static void MiFillHyperspaceTable(struct os *os, pfn_t hyperspace, pfn_t working_set) {
    unsigned irql;
    va_t map = MiMapPageInHyperSpace(os, hyperspace, &irql);
    MiWrite32(os, map, HYPERSPACE_RING_FULL);
    MiWrite32(os, map + WS_LIST_PTE_INDEX * sizeof(uint32_t),
              (uint32_t)(working_set << PTE_FRAME_SHIFT) | PTE_TEMPLATE_PRIVATE_KERNEL);
    MiUnmapPageInHyperSpace(os, irql);
}

ntstatus_t MmCreateProcessAddressSpace(struct os *os, struct eprocess *process, uint32_t result[3]) {
    if (!MiChargeCommitment(os, PROCESS_COMMIT, NULL)) { return STATUS_COMMITMENT_LIMIT; }
    if (!MiFramesAvailable(os, 3)) {
        MiReturnCommitment(os, PROCESS_COMMIT, NULL);
        return STATUS_NO_MEMORY;
    }
    uint32_t frame[3];
    for (unsigned i = 0; i < 3; i++) {
        frame[i] = (uint32_t)MiRemoveZeroPage(os, process->NextPageColor++);
        result[i] = frame[i] << PAGE_SHIFT;
    }
    process->WorkingSetPage = frame[2];
    MiFillDirectory(os, frame[0], frame[1]);
    MiFillHyperspaceTable(os, frame[1], frame[2]);
    return STATUS_SUCCESS;
}

/* PD, hyperspace table and WS page: kernel PDEs and ring mappings do not count as shares. */
static void MiInitializeProcessPfns(struct os *os, const struct eprocess *process) {
    uint32_t directory = process->DirectoryTableBase[0] >> PAGE_SHIFT;
    uint32_t hyperspace = process->DirectoryTableBase[1] >> PAGE_SHIFT;
    uint32_t zero_pte = (uint32_t)pte_demand_zero(MM_READWRITE);
    uint16_t flags = ActiveAndValid << PFN_LOCATION_SHIFT | PFN_MODIFIED;
    const struct mmpfn pd = {process->Address, PDE_BASE + SELF_MAP_OFFSET, 2, flags, 1, zero_pte, directory};
    const struct mmpfn hy = {1, PDE_BASE + HYPERSPACE_PDE_OFFSET, 2, flags, 1, zero_pte, directory};
    const struct mmpfn ws = {2, WS_PAGE_PTE, 1, flags, 1, zero_pte, hyperspace};
    MiWritePfn(os, directory, &pd);
    MiWritePfn(os, hyperspace, &hy);
    MiWritePfn(os, process->WorkingSetPage, &ws);
}

/* The set-up part of MmInitializeProcessAddressSpace, also for the system process, which has no frames of the lists. */
static void MmInitializeProcessAddressSpace(struct os *os, struct eprocess *process) {
    KeAttachProcess(os, process);
    MiInitializeProcessPfns(os, process);
    MiInitializeWorkingSetList(os, process);
    MiInsertInExpansionList(os, &process->Vm);
    KeDetachProcess(os);
}

static uint32_t MiLimit(uint32_t asked, uint32_t configured, uint32_t standard) {
    return asked ? asked : configured ? configured : standard;
}

ntstatus_t PspCreateProcess(struct os *os, uint32_t pid, uint32_t ppid, const char *image, uint32_t min_ws,
                            uint32_t max_ws, struct eprocess **out) {
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
    uint32_t result[3];
    ntstatus_t status = STATUS_INSUFFICIENT_RESOURCES;
    if (process->Address) {
        PspClearProcessObject(os, process);
        status = MmCreateProcessAddressSpace(os, process, result);
    }
    if (!NT_SUCCESS(status)) {
        if (process->Address) { ExFreePool(os, process->Address); }
        PspDereferenceQuotaBlock(process->QuotaBlock);
        free(process);
        return status;
    }
    process->DirectoryTableBase[0] = result[0];
    process->DirectoryTableBase[1] = result[1];
    PspInitializeProcessObject(os, process, PsLookupProcess(os, ppid));
    MmInitializeProcessAddressSpace(os, process);
    struct eprocess **link = &os->Processes;
    while (*link) { link = &(*link)->Next; }
    *link = process;
    *out = process;
    return STATUS_SUCCESS;
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
    for (unsigned cpu = 0; cpu < OS_CPU_MAX; cpu++) {
        if (os->Prcb[cpu].CurrentThread == thread) { os->Prcb[cpu].CurrentThread = NULL; }
    }
    MmDeleteKernelStack(os, thread);
    ExFreePool(os, thread->Address);
    free(thread);
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
    uint32_t pdes[MM_USER_PDES];
    os->M->ops->read(os->M, PDE_BASE, pdes, (MM_SYSTEM_RANGE_START >> 22) * sizeof pdes[0]);
    for (va_t i = 0; i < MM_SYSTEM_RANGE_START >> 22; i++) {
        if (pdes[i] == 0) { continue; }
        MiDeletePageTableIfUnused(os, i << 22);
        if (MiReadPte(os, PDE_BASE + i * sizeof(uint32_t)) != 0) {
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
    uint32_t ptes[MM_PTE_PER_PAGE];
    pfn_t directory = process->DirectoryTableBase[0] >> PAGE_SHIFT;
    pfn_t hyperspace = process->DirectoryTableBase[1] >> PAGE_SHIFT;
    if (PsGetCurrentProcess(os) == process) { MiAssert(os, "the current directory is deleted"); }
    MiReadPhysicalPage(os, hyperspace, ptes);
    for (unsigned i = WS_LIST_PTE_INDEX; i < MM_PTE_PER_PAGE; i++) {
        if (!(ptes[i] & PTE_VALID)) { continue; }
        MiFreeOwnFrame(os, pte_frame(ptes[i]));
        MiDecrementShareCount(os, hyperspace);
    }
    MiFreeOwnFrame(os, hyperspace);
    MiDecrementShareCount(os, directory);
    MiFreeOwnFrame(os, directory);
    MiReturnCommitment(os, PROCESS_COMMIT, NULL);
}

static void MiExitThreads(struct os *os, const struct eprocess *process) {
    for (struct ethread *thread = os->Threads, *next; thread; thread = next) {
        next = thread->Next;
        if (thread->Process == process) { PspExitThread(os, thread); }
    }
}

static void MiUnlinkProcess(struct os *os, struct eprocess *process) {
    struct eprocess **link = &os->Processes;
    while (*link != process) { link = &(*link)->Next; }
    *link = process->Next;
    process->Next = os->ExitedProcesses;
    os->ExitedProcesses = process;
}

/* Cleans up in the process's own context, then leaves it for the system's before its directory goes. */
void PspExitProcess(struct os *os, struct eprocess *process) {
    bool current = process == PsGetCurrentProcess(os);
    if (process->NumberOfLockedPages != 0) {
        KeBugCheckEx(os, BUGCHECK_PROCESS_HAS_LOCKED_PAGES, 0, process->Address, process->NumberOfLockedPages, 0);
    }
    process->Exiting = true;
    MiCloseHandles(os, process);
    MiAbandonAddressCreation(os, process, NULL);
    KeAttachProcess(os, process);
    MiRemoveFromExpansionList(os, &process->Vm);
    MmCleanProcessAddressSpace(os, process);
    MiDeleteLeftPageTables(os);
    MiExitThreads(os, process);
    if (current) {
        KiSwapProcess(os, &os->SystemProcess);
    } else {
        KeDetachProcess(os);
    }
    MmDeleteProcessAddressSpace(os, process);
    ExFreePool(os, process->Address);
    MiUnlinkProcess(os, process);
}
