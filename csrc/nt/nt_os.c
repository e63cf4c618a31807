/* What the kernel offers the machine: os.h, upward half. Trap entry is NT-45, counters are NT-97. */
#include "mi.h"
#include "ntmmu/paging.h"
#include <stdlib.h>
#include <string.h>

#define CLOCK_MILLISECONDS 10u /* a step of a trace without steps of time: a tick of the clock */

static struct os *nt_boot(struct os_machine *m, const struct os_config *config) {
    struct os *os = calloc(1, sizeof *os);
    if (!os) { return NULL; }
    os->View = &mi_view_ops;
    os->M = m;
    os->Config = *config;
#ifdef MUTATE
    const char *mutant = getenv("NTMMU_MUTANT");
    os->Mutant = mutant ? (uint32_t)strtoul(mutant, NULL, 10) : 0;
#endif
    MiInitializeMachine(os);
    return os;
}

static void nt_empty_process(struct eprocess *process) {
    for (struct mmvad *vad = MiFirstVad(process); vad; vad = MiFirstVad(process)) {
        MiRemoveNode(&process->VadRoot, vad);
        MiFreeHost(vad);
    }
    MiFreeSecuredRanges(process);
    while (process->Clones) {
        struct mmclone_descriptor *after = process->Clones->Next;
        MiFreeHost(process->Clones);
        process->Clones = after;
    }
    PspDereferenceQuotaBlock(process->QuotaBlock);
}

static void nt_free_processes(struct eprocess *process) {
    while (process) {
        struct eprocess *next = process->Next;
        nt_empty_process(process);
        MiFreeHost(process);
        process = next;
    }
}

static void nt_destroy(struct os *os, bool cut_short) {
    nt_empty_process(&os->SystemProcess); /* traces that name no process allocate in it */
    PspDereferenceQuotaBlock(os->DefaultQuotaBlock);
    nt_free_processes(os->Processes);
    nt_free_processes(os->ExitedProcesses);
    while (os->Threads) {
        struct ethread *next = os->Threads->Next;
        MiFreeHost(os->Threads);
        os->Threads = next;
    }
    MiCloseHandles(os, NULL);
    MiFreeDrivers(os);
    MiFreeMdls(os);
    MiFreeContiguousStructures(os);
    MiFreeTransfers(os, MiFreeHost);
    MiFreeSystemViews(os);
    MiFreeWrites(os);
    MiFreeDereferenceQueue(os);
    MiFreeSectionStructures(os);
    MiFreePoolStructures(os);
    MiFreeHost(os->DrainedFrames);
    MiFreeHost(os->MmFreePagesByColor[ZeroedPageList]);
    MiFreeHost(os->MmFreePagesByColor[FreePageList]);
    MiFreeHost(os->LoggedPfn);
    if (cut_short) { MiFreeAllHost(os); }
    free(os);
}

/* A fault that nobody can repair, in terms of what the program is told (NT-05). */
static struct os_outcome nt_exception(struct os *os, const struct mmfault *fault, ntstatus_t status) {
    if (status == STATUS_IN_PAGE_ERROR && fault->Va >= MM_SYSTEM_RANGE_START) { MiKernelInPageError(os, fault); }
    uint64_t io_status = status == STATUS_IN_PAGE_ERROR ? fault->IoStatus : 0;
    return (struct os_outcome){.kind = OS_EXCEPTION, .status = status, .p = {fault->Write, fault->Va, io_status}};
}

static struct os_outcome nt_page_fault(struct os *os, va_t cr2, uint32_t error_code) {
    struct mmfault fault;
    memset(&fault, 0, offsetof(struct mmfault, Read));
    fault.Va = cr2;
    fault.Write = error_code & PF_WRITE;
    fault.User = error_code & PF_USER;
    fault.Trap = true;
    if (!fault.User && !os->M->ops->interrupts_enabled(os->M)) {
        KeBugCheckEx(os, BUGCHECK_IRQL_NOT_LESS_OR_EQUAL, cr2, os->M->ops->irql(os->M), fault.Write, 0);
    }
    ntstatus_t status = MiAccessFault(os, &fault);
    if (status == MI_WAIT_FOR_PAGE) {
        MiWaitForFreePage(os);
        return (struct os_outcome){.kind = OS_REFAULT};
    }
    if (status == MI_REFAULT) { return (struct os_outcome){.kind = OS_REFAULT}; }
    if (!NT_SUCCESS(status)) { return nt_exception(os, &fault, status); }
    if (log_wants(os->M->log, LOG_RESOLVED)) {
        uint8_t cause = os->M->log->cause;
        os->M->log->cause = os->M->log->fault_cause;
        log_send(os->M->log, LOG_RESOLVED, cr2, status, fault.Kind, fault.File, fault.FileOffset);
        os->M->log->cause = cause;
    }
    return (struct os_outcome){.kind = OS_RETRY, .status = status};
}

/* NT-02, NT-106: each is a thread of its own. One that waits (for a page of prototype PTEs, or for a write) does not
 * stop the others, of which it may need one in order to go on. */
static void (*const nt_system_threads[])(struct os *os) = {
    MiApcTick, /* also while the writers wait */
    MiPageWritersTick, MiDereferenceSegmentThread, MmZeroPageThread, MiBalanceSetManagerTick,
};

static void nt_tick(struct os *os) {
    const uint64_t tick = ++os->Ticks;
    KiEnterSystemThread(os);
    for (unsigned i = 0; i < sizeof nt_system_threads / sizeof nt_system_threads[0]; i++) {
        if (os->SystemThreadsInTick & 1u << i) { continue; } /* it waits in an earlier tick */
        os->SystemThreadsInTick |= 1u << i;
        nt_system_threads[i](os);
        os->SystemThreadsInTick &= ~(1u << i);
        if (os->Ticks != tick) { break; } /* it has waited, and the others had their turn meanwhile */
    }
    if (os->Ticks == tick) { MiPageWaitersTimePasses(os, CLOCK_MILLISECONDS); }
    KiLeaveSystemThread(os);
}

static uint32_t nt_current_pid(const struct os *os) { return KeGetCurrentPrcb((struct os *)os)->CurrentProcess->Pid; }

static uint32_t nt_current_tid(const struct os *os) {
    const struct ethread *thread = KeGetCurrentPrcb((struct os *)os)->CurrentThread;
    return thread ? thread->Tid : 0;
}

static uint64_t nt_directory(const struct os *os, uint32_t pid) {
    const struct eprocess *process = PsLookupProcess(os, pid);
    return process ? process->DirectoryTableBase[0] : 0;
}

static void nt_counters(const struct os *os, void (*visit)(void *ctx, const char *name, uint64_t value), void *ctx) {
    const struct mmcounters *c = &os->MmInfoCounters;
    const struct {
        const char *name;
        uint64_t value;
    } counters[] = {
        {"PageFaultCount", c->PageFaultCount},
        {"TransitionCount", c->TransitionCount},
        {"DemandZeroCount", c->DemandZeroCount},
        {"CopyOnWriteCount", c->CopyOnWriteCount},
        {"PageReadCount", c->PageReadCount},
        {"PageReadIoCount", c->PageReadIoCount},
        {"DirtyWriteIoCount", c->DirtyWriteIoCount},
        {"DirtyPagesWriteCount", c->DirtyPagesWriteCount},
        {"MappedWriteIoCount", c->MappedWriteIoCount},
        {"MappedPagesWriteCount", c->MappedPagesWriteCount},
        {"ZeroThreadPages", c->ZeroThreadPages},
        {"StandbyRepurposed", c->StandbyRepurposed},
        {"WorkingSetGrowth", c->WorkingSetGrowth},
        {"CloneReuse", c->CloneReuse},
        {"KernelPdeCopied", c->KernelPdeCopied},
        {"MmNumberOfPagingFiles", os->MmNumberOfPagingFiles},
        {"MmNumberOfActiveMdlEntries", os->MmNumberOfActiveMdlEntries},
        {"BalanceTrimmed", c->BalanceTrimmed},
        {"MmAvailablePages", os->MmAvailablePages},
        {"MmTotalCommittedPages", os->MmTotalCommittedPages},
        {"MmTotalCommitLimit", os->MmTotalCommitLimit},
        {"MmPeakCommitment", os->MmPeakCommitment},
        {"MmExtendedCommit", os->MmExtendedCommit},
        {"MiOverCommitCallCount", os->MiOverCommitCallCount},
        {"MmFlushCounter", os->MmFlushCounter},
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        visit(ctx, counters[i].name, counters[i].value);
    }
}

#if MI_PAE
#define nt_os_ops nt_pae_os_ops
#endif
const struct os_ops nt_os_ops = {
    .ram_size = MiBootRamSize,
    .boot = nt_boot,
    .destroy = nt_destroy,
    .page_fault = nt_page_fault,
    .service = MiService,
    .tick = nt_tick,
    .io_complete = MiTransferEnded,
    .current_pid = nt_current_pid,
    .current_tid = nt_current_tid,
    .directory = nt_directory,
    .counters = nt_counters,
};
