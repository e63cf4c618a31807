/* Events of a trace become calls of services. What concerns memory of a process acts on the process that runs. */
#include "mi.h"
#include <stdio.h>
#include <string.h>

#define TAG_TRACE 0x63617254u /* "Trac" */

typedef struct os_service_result result_t;

static result_t MiResult(ntstatus_t status, uint64_t out0, uint64_t out1) {
    return (result_t){.status = status, .out = {out0, out1}};
}

/* NULL: MiNoSuchProcess has the status. */
static struct eprocess *MiLookupRunningProcess(const struct os *os, uint32_t pid) {
    struct eprocess *process = PsLookupProcess(os, pid);
    return process && !process->Exiting && !process->BeingCloned ? process : NULL;
}

ntstatus_t MiNoSuchProcess(const struct os *os, uint32_t pid) {
    const struct eprocess *process = PsLookupProcess(os, pid);
    if (process && process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    for (process = os->ExitedProcesses; process; process = process->Next) {
        if (process->Pid == pid) { return STATUS_PROCESS_IS_TERMINATING; }
    }
    return STATUS_INVALID_HANDLE;
}

static result_t MiNotInThisVersion(struct os *os, const char *service) {
    char message[128];
    snprintf(message, sizeof message, "%s is not in this version", service);
    MiAssert(os, message);
}

/* ---- processes and threads ---- */

static result_t MiProcessCreate(struct os *os, const struct event *event) {
    struct eprocess *process;
    if (!MiLookupRunningProcess(os, event->proc.ppid)) { return MiResult(MiNoSuchProcess(os, event->proc.ppid), 0, 0); }
    return MiResult(PspCreateProcess(os, event->proc.pid, event->proc.ppid, event->text, event->proc.min_ws,
                                     event->proc.max_ws, NULL, &process),
                    0, 0);
}

static result_t MiProcessExit(struct os *os, const struct event *event) {
    struct eprocess *process = event->proc.pid ? MiLookupRunningProcess(os, event->proc.pid) : NULL;
    if (!process) { return MiResult(MiNoSuchProcess(os, event->proc.pid), 0, 0); }
    return MiResult(PspExitProcess(os, process), 0, 0);
}

static result_t MiThreadCreate(struct os *os, const struct event *event) {
    struct eprocess *process = MiLookupRunningProcess(os, event->thread.pid);
    if (!process) { return MiResult(MiNoSuchProcess(os, event->thread.pid), 0, 0); }
    return MiResult(PspCreateThread(os, event->thread.tid, process), 0, 0);
}

static result_t MiThreadExit(struct os *os, const struct event *event) {
    struct ethread *thread;
    while ((thread = PsLookupThread(os, event->thread.tid)) && MiWaitForThread(os, thread)) {}
    if (!thread) { return MiResult(STATUS_INVALID_HANDLE, 0, 0); }
    PspExitThread(os, thread);
    return MiResult(STATUS_SUCCESS, 0, 0);
}

static result_t MiFork(struct os *os, const struct event *event) {
    struct eprocess *parent = MiLookupRunningProcess(os, event->fork.parent), *child;
    if (!parent || parent == &os->SystemProcess) { return MiResult(MiNoSuchProcess(os, event->fork.parent), 0, 0); }
    ntstatus_t status = PspCreateProcess(os, event->fork.pid, parent->Pid, parent->ImageName,
                                         parent->Vm.MinimumWorkingSet, parent->Vm.MaximumWorkingSet, NULL, &child);
    if (!NT_SUCCESS(status)) { return MiResult(status, 0, 0); }
    status = MiCloneProcessAddressSpace(os, parent, child);
    if (NT_SUCCESS(status)) { status = PspCreateThread(os, event->fork.tid, child); }
    if (!NT_SUCCESS(status)) { PspAbandonFork(os, child, status); }
    return MiResult(status, 0, 0);
}

static result_t MiExec(struct os *os, const struct event *event) {
    struct eprocess *process = event->proc.pid ? MiLookupRunningProcess(os, event->proc.pid) : NULL;
    if (!process) { return MiResult(MiNoSuchProcess(os, event->proc.pid), 0, 0); }
    return MiResult(PspExecProcess(os, process, event->text), 0, 0);
}

static result_t MiSwitch(struct os *os, const struct event *event) {
    struct ethread *thread;
    while ((thread = PsLookupThread(os, event->sw.tid)) != NULL && thread->Process->State != PROCESS_IN_MEMORY) {
        struct eprocess *process = thread->Process;
        KiEnterSystemThread(os); /* nobody who runs waits: the thread is not ready before */
        process->StackCount++;
        KiWaitUntilInMemory(os, process);
        MiLeaveProcess(os, process);
        KiLeaveSystemThread(os);
    }
    if (!thread && event->sw.tid != 0) { return MiResult(STATUS_INVALID_HANDLE, 0, 0); }
    SwapContext(os, thread);
    return MiResult(STATUS_SUCCESS, 0, 0);
}

static result_t MiDeclareStack(struct os *os, const struct event *event) {
    struct ethread *thread = PsLookupThread(os, event->stack.tid);
    if (!thread) { return MiResult(STATUS_INVALID_HANDLE, 0, 0); }
    thread->StackBase = event->stack.base;
    thread->DeallocationStack = event->stack.dealloc;
    thread->StackLimit = event->stack.limit;
    return MiResult(STATUS_SUCCESS, 0, 0);
}

/* ---- virtual memory ---- */

static result_t MiAllocate(struct os *os, const struct event *event) {
    uint32_t base = (uint32_t)event->alloc.base, size = (uint32_t)event->alloc.size;
    uint32_t type = (event->alloc.type & EVENT_RESERVE ? MEM_RESERVE : 0) |
                    (event->alloc.type & EVENT_COMMIT ? MEM_COMMIT : 0) |
                    (event->alloc.type & EVENT_RESET ? MEM_RESET : 0);
    ntstatus_t status = NtAllocateVirtualMemory(os, PsGetCurrentProcess(os), &base, 0, &size, type,
                                                MiProtectionToWin32(event->alloc.prot));
    return MiResult(status, base, size);
}

static result_t MiFree(struct os *os, const struct event *event) {
    uint32_t base = (uint32_t)event->free.base, size = (uint32_t)event->free.size;
    ntstatus_t status = NtFreeVirtualMemory(os, PsGetCurrentProcess(os), &base, &size,
                                            event->free.release ? MEM_RELEASE : MEM_DECOMMIT);
    return MiResult(status, base, size);
}

static result_t MiProtect(struct os *os, const struct event *event) {
    uint32_t base = (uint32_t)event->range.base, size = (uint32_t)event->range.size, old;
    ntstatus_t status =
        NtProtectVirtualMemory(os, PsGetCurrentProcess(os), &base, &size, MiProtectionToWin32(event->range.prot), &old);
    return MiResult(status, base, size);
}

static result_t MiFlush(struct os *os, const struct event *event) {
    uint32_t base = (uint32_t)event->range.base, size = (uint32_t)event->range.size;
    ntstatus_t io_status, status = NtFlushVirtualMemory(os, PsGetCurrentProcess(os), &base, &size, &io_status);
    return MiResult(status, base, size);
}

static result_t MiMove(struct os *os, const struct event *event) {
    return MiResult(MiMovePages(os, event->move.from, event->move.to, event->move.size), event->move.to,
                    event->move.size);
}

/* ---- scenario steps, NT-102 ---- */

static result_t MiTrim(struct os *os, const struct event *event) {
    struct eprocess *process = MiLookupRunningProcess(os, event->trim.pid);
    if (!process) { return MiResult(MiNoSuchProcess(os, event->trim.pid), 0, 0); }
    uint32_t count = event->trim.all ? UINT32_MAX : event->trim.count;
    struct mmsupport *vm = process == &os->SystemProcess ? &os->MmSystemCacheWs : &process->Vm;
    uint32_t removed = MiTrimWorkingSet(os, count, vm, event->trim.force);
    return MiResult(STATUS_SUCCESS, removed, 0);
}

static result_t MiRunThread(struct os *os, const struct event *event) {
    ntstatus_t status = STATUS_SUCCESS;
    KiEnterSystemThread(os);
    if (strcmp(event->text, "zero") == 0) {
        MmZeroPageThread(os);
    } else if (strcmp(event->text, "mpw") == 0 || strcmp(event->text, "mpw auto") == 0) {
        status = MiModifiedPageWriter(os, strcmp(event->text, "mpw auto") == 0);
    } else if (strcmp(event->text, "mapw") == 0) {
        MiMappedPageWriter(os);
    } else if (strcmp(event->text, "apc") == 0) {
        KiDeliverApc(os);
    } else if (strcmp(event->text, "deref") == 0) {
        MiDereferenceSegmentThread(os);
    } else if (strcmp(event->text, "deref take") == 0) {
        MiTakeCommitRequest(os);
    } else if (strcmp(event->text, "swap") == 0) {
        KiSwapProcesses(os);
    } else if (strcmp(event->text, "balance") == 0) {
        MmWorkingSetManager(os);
    } else {
        return MiNotInThisVersion(os, "a system thread of that name");
    }
    KiLeaveSystemThread(os);
    return MiResult(status, 0, 0);
}

/* Takes from Free, then Zeroed, then Standby, oldest first, as something in the kernel that needs frames would. */
static result_t MiDrain(struct os *os, const struct event *event) {
    while (os->MmAvailablePages > event->amount.count) {
        enum mm_list list = os->MmPageLocationList[FreePageList].Count     ? FreePageList
                            : os->MmPageLocationList[ZeroedPageList].Count ? ZeroedPageList
                                                                           : StandbyPageList;
        if ((os->DrainedCount & (os->DrainedCount - 1)) == 0) { /* a power of two: full */
            size_t room = os->DrainedCount ? 2ull * os->DrainedCount : 1;
            uint32_t *frames = MiAllocateHost(os, room * sizeof *frames);
            if (os->DrainedCount) { memcpy(frames, os->DrainedFrames, os->DrainedCount * sizeof *frames); }
            MiFreeHost(os->DrainedFrames);
            os->DrainedFrames = frames;
        }
        pfn_t frame = MiRemovePageFromList(os, list);
        const struct mmpfn taken = {.u2 = 1, .Flags = ActiveAndValid << PFN_LOCATION_SHIFT, .ReferenceCount = 1};
        MiWritePfn(os, frame, &taken);
        os->DrainedFrames[os->DrainedCount++] = (uint32_t)frame;
    }
    return MiResult(STATUS_SUCCESS, os->MmAvailablePages, 0);
}

/* The ones drained first go back first. */
static result_t MiUndrain(struct os *os, const struct event *event) {
    uint32_t count = event->amount.count < os->DrainedCount ? (uint32_t)event->amount.count : os->DrainedCount;
    if (count < event->amount.count) { return MiResult(STATUS_INVALID_PARAMETER, 0, 0); }
    uint32_t *back = MiAllocateHost(os, (count + 1) * sizeof *back);
    if (count) { memcpy(back, os->DrainedFrames, count * sizeof *back); }
    uint32_t kept = os->DrainedCount - count, room = 1;
    while (room < kept) { room *= 2; }
    uint32_t *frames = MiAllocateHost(os, room * sizeof *frames);
    if (kept) { memcpy(frames, os->DrainedFrames + count, kept * sizeof *frames); }
    MiFreeHost(os->DrainedFrames);
    os->DrainedFrames = frames;
    os->DrainedCount = kept;
    for (uint32_t i = 0; i < count; i++) {
        MiInsertPfnInList(os, FreePageList, back[i], (struct mmpfn){.Flags = TransitionPage << PFN_LOCATION_SHIFT});
    }
    MiFreeHost(back);
    return MiResult(STATUS_SUCCESS, os->MmAvailablePages, 0);
}

static result_t MiHyperMap(struct os *os, const struct event *event) {
    va_t va = 0;
    unsigned irql, irql_while_mapped = 0;
    for (unsigned i = 0; i < event->args.count; i++) {
        va = MiMapPageInHyperSpace(os, event->args.arg[i], &irql);
        irql_while_mapped = os->M->ops->irql(os->M);
        MiUnmapPageInHyperSpace(os, irql);
    }
    return MiResult((ntstatus_t)va, va, irql_while_mapped);
}

static result_t MiPool(struct os *os, const struct event *event) {
    va_t va = ExAllocatePool(os, event->pool.type, event->pool.size, event->pool.tag ? event->pool.tag : TAG_TRACE);
    return MiResult((ntstatus_t)va, va, event->pool.size);
}

static result_t MiTimePasses(struct os *os, const struct event *event) {
    os->SystemTime += event->amount.count;
    MiCommitTimePasses(os);
    MiMappedPagesAge(os, event->amount.count);
    MiPageWaitersTimePasses(os, event->amount.count);
    return MiResult(STATUS_SUCCESS, os->WaitingForPage ? os->WaitTimeouts : 0, 0);
}

/* The session manager makes one paging file after another; a name of its own each. */
static result_t MiPagingFile(struct os *os, const struct event *event) {
    uint32_t number = os->MmNumberOfPagingFiles;
    return MiResult(NtCreatePagingFile(os, number, event->pagefile.min, event->pagefile.max), number, 0);
}

static result_t MiPoolFree(struct os *os, const struct event *event) {
    ExFreePool(os, event->address.va);
    return MiResult(STATUS_SUCCESS, 0, 0);
}

/* A step of the scenario, not of the thread that runs: what it waits for does not keep that in the kernel. */
static result_t MiPoolStep(struct os *os, const struct event *event) {
    KiEnterSystemThread(os);
    result_t result = event->kind == EV_POOL ? MiPool(os, event) : MiPoolFree(os, event);
    KiLeaveSystemThread(os);
    return result;
}

/* ---- ---- */

static result_t MiDispatchService(struct os *os, const struct event *event) {
    switch (event->kind) {
    case EV_PROC_CREATE: return MiProcessCreate(os, event);
    case EV_PROC_EXIT: return MiProcessExit(os, event);
    case EV_THREAD_CREATE: return MiThreadCreate(os, event);
    case EV_THREAD_EXIT: return MiThreadExit(os, event);
    case EV_FORK: return MiFork(os, event);
    case EV_EXEC: return MiExec(os, event);
    case EV_SWITCH: return MiSwitch(os, event);
    case EV_ALLOC: return MiAllocate(os, event);
    case EV_FREE: return MiFree(os, event);
    case EV_SECTION:
    case EV_SUBSECTION:
    case EV_SECTION_CLOSE: return MiServiceSection(os, event);
    case EV_MAP:
    case EV_UNMAP: return MiServiceMap(os, event);
    case EV_PROTECT: return MiProtect(os, event);
    case EV_LOCK:
    case EV_UNLOCK: return MiServiceLock(os, event);
    case EV_FLUSH: return MiFlush(os, event);
    case EV_MOVE: return MiMove(os, event);
    case EV_MDL_LOCK:
    case EV_MDL_MAP:
    case EV_MDL_UNMAP:
    case EV_MDL_UNLOCK: return MiServiceMdl(os, event);
    case EV_RUN_THREAD: return MiRunThread(os, event);
    case EV_TRIM: return MiTrim(os, event);
    case EV_DRAIN: return MiDrain(os, event);
    case EV_UNDRAIN: return MiUndrain(os, event);
    case EV_HYPERMAP: return MiHyperMap(os, event);
    case EV_POOL:
    case EV_POOL_FREE: return MiPoolStep(os, event);
    case EV_STACK: return MiDeclareStack(os, event);
    case EV_TIME: return MiTimePasses(os, event);
    case EV_ATTACH: {
        struct eprocess *process = MiLookupRunningProcess(os, event->proc.pid);
        if (!process) { return MiResult(MiNoSuchProcess(os, event->proc.pid), 0, 0); }
        KeAttachProcess(os, process);
        return MiResult(STATUS_SUCCESS, 0, 0);
    }
    case EV_DETACH: KeDetachProcess(os); return MiResult(STATUS_SUCCESS, 0, 0);
    case EV_COMMIT_REPLY:
        return MiResult(MiReplyToCommitRequest(os, (uint32_t)event->reply.id, event->reply.status), 0, 0);
    case EV_CALL: return MiServiceCall(os, event);
    case EV_DRIVER_LOAD:
    case EV_DRIVER_UNLOAD: return MiServiceDriver(os, event);
    case EV_DRIVER: os->DriverAccess = event->driver.id != 0; return MiResult(STATUS_SUCCESS, 0, 0);
    case EV_PAGEFILE: return MiPagingFile(os, event);
    case EV_PREFETCH: return MiServicePrefetch(os, event);
    default: return MiNotInThisVersion(os, event_kind_name(event->kind));
    }
}

/* Whose address-creation mutex the service needs, NT-03; NULL: none (a `call` takes it by itself). */
static struct eprocess *MiGuardedProcess(struct os *os, const struct event *event) {
    switch (event->kind) {
    case EV_ALLOC:
    case EV_FREE:
    case EV_MAP:
    case EV_UNMAP:
    case EV_PROTECT:
    case EV_LOCK:
    case EV_UNLOCK:
    case EV_MOVE: return PsGetCurrentProcess(os);
    case EV_FORK: return PsLookupProcess(os, event->fork.parent);
    case EV_EXEC: return event->proc.pid ? PsLookupProcess(os, event->proc.pid) : NULL;
    default: return NULL;
    }
}

static result_t MiDispatchGuarded(struct os *os, const struct event *event) {
    struct eprocess *process = MiGuardedProcess(os, event);
    if (!process) { return MiDispatchService(os, event); }
    if (!MiLockAddressCreation(os, process)) { return MiResult(STATUS_PROCESS_IS_TERMINATING, 0, 0); }
    result_t result = MiDispatchService(os, event);
    MiUnlockAddressCreation(os, process);
    return result;
}

result_t MiService(struct os *os, const struct event *event) {
    result_t result = MiDispatchGuarded(os, event);
    while (result.status == MI_WAIT_FOR_PAGE) { /* nothing was done */
        const uint32_t frames = os->FramesToRetry;
        os->FramesToRetry = 0;
        MiWaitForFrames(os, frames);
        result = MiDispatchGuarded(os, event);
    }
    if (os->Raised) {
        result.raised = true;
        memcpy(result.exception_p, os->RaisedP, sizeof result.exception_p);
        os->Raised = false;
    }
    return result;
}
