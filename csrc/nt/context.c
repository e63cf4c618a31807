/* Which process and thread a processor runs: context switches and attaching. NT-75, NT-76. */
#include "mi.h"
#include "ntmmu/paging.h"

#define DISPATCH_LEVEL 2u

/* Always loads CR3, even with an equal value: that is how non-global translations die. */
void KiSwapProcess(struct os *os, struct eprocess *process) {
    if (os->HyperspaceMappings != 0) { MiAssert(os, "the address space changes while a hyperspace mapping is held"); }
    KeGetCurrentPrcb(os)->CurrentProcess = process;
    os->M->ops->write_control(os->M, MMU_CR3, process->DirectoryTableBase[0]);
}

void SwapContext(struct os *os, struct ethread *next) {
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    struct ethread *old = prcb->CurrentThread;
    if (old) {
        old->ApcStateProcess = prcb->CurrentProcess;
        old->SavedProcess = prcb->SavedProcess;
    } else {
        KeDetachProcess(os); /* nobody comes back to it */
    }
    /* an attached thread goes on in the address space it had attached to (ApcState.Process) */
    struct eprocess *process = !next ? &os->SystemProcess : next->SavedProcess ? next->ApcStateProcess : next->Process;
    prcb->CurrentThread = next;
    prcb->SavedProcess = next ? next->SavedProcess : NULL;
    if (process != prcb->CurrentProcess) { KiSwapProcess(os, process); }
    if (log_wants(os->M->log, LOG_SWITCH)) {
        uint32_t tid = next ? next->Tid : 0, pid = next ? next->Process->Pid : 0;
        log_send(os->M->log, LOG_SWITCH, os->M->ops->current_cpu(os->M), tid, pid, 0, 0);
    }
}

/* ---- system threads ---- */

/* They run between the steps of whoever runs, and keep its address space until they attach. */
void KiEnterSystemThread(struct os *os) {
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    if (prcb->SystemThread) { MiAssert(os, "a system thread runs inside another"); }
    os->Interrupted = *prcb;
    *prcb = (struct kprcb){.CurrentProcess = prcb->CurrentProcess, .SystemThread = true};
}

void KiLeaveSystemThread(struct os *os) {
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    struct eprocess *loaded = prcb->CurrentProcess;
    *prcb = os->Interrupted;
    if (prcb->CurrentProcess != loaded) { KiSwapProcess(os, prcb->CurrentProcess); }
}

void KeWaitForSingleObject(struct os *os, uint64_t object) {
    struct kprcb own = *KeGetCurrentPrcb(os);
    if (os->HyperspaceMappings != 0) { MiAssert(os, "a thread waits while it holds a hyperspace mapping"); }
    struct ethread *thread = own.SystemThread ? NULL : own.CurrentThread;
    if (own.SystemThread) { KiLeaveSystemThread(os); }
    struct mi_locks held = MiReleaseLocksToWait(os);
    if (thread) { thread->Waiting = true; }
    os->M->ops->wait(os->M, object);
    if (thread) {
        thread->Waiting = false;
        os->M->ops->signal(os->M, thread->Address); /* MiWaitForThread */
    }
    MiTakeLocksAfterWait(os, &held);
    if (!own.SystemThread) { return; }
    KiEnterSystemThread(os);
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    if (!own.SavedProcess) { return; }
    prcb->SavedProcess = prcb->CurrentProcess; /* where it returns to is whoever runs now */
    if (prcb->CurrentProcess != own.CurrentProcess) { KiSwapProcess(os, own.CurrentProcess); }
}

/* ---- attaching ---- */

static void MiSwapAtDispatch(struct os *os, struct eprocess *process) {
    unsigned irql = os->M->ops->irql(os->M);
    if (irql < DISPATCH_LEVEL) { os->M->ops->set_irql(os->M, DISPATCH_LEVEL); }
    KiSwapProcess(os, process);
    if (irql < DISPATCH_LEVEL) { os->M->ops->set_irql(os->M, irql); }
}

bool KeAttachProcess(struct os *os, struct eprocess *process) {
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    if (process == prcb->CurrentProcess) { return false; }
    if (prcb->SavedProcess || prcb->DpcRoutineActive) {
        KeBugCheckEx(os, BUGCHECK_INVALID_PROCESS_ATTACH_ATTEMPT, process->Address, prcb->CurrentProcess->Address,
                     prcb->SavedProcess != NULL, prcb->DpcRoutineActive);
    }
    process->StackCount++;
    KiWaitUntilInMemory(os, process);
    prcb = KeGetCurrentPrcb(os);
    prcb->SavedProcess = prcb->CurrentProcess;
    MiSwapAtDispatch(os, process);
    return true;
}

void MiLeaveProcess(struct os *os, struct eprocess *process) {
    if (--process->StackCount == 0 && process->VmDeleted) { PspProcessDelete(os, process); }
}

void KeDetachProcess(struct os *os) {
    struct kprcb *prcb = KeGetCurrentPrcb(os);
    struct eprocess *own = prcb->SavedProcess;
    if (!own) { return; }
    struct eprocess *process = prcb->CurrentProcess;
    prcb->SavedProcess = NULL;
    MiSwapAtDispatch(os, own);
    MiLeaveProcess(os, process);
}

struct eprocess *MiEnterAddressSpace(struct os *os, struct eprocess *process) {
    struct eprocess *current = PsGetCurrentProcess(os);
    if (process == NULL || process == current) { return NULL; }
    MiSwapAtDispatch(os, process);
    return current;
}

void MiLeaveAddressSpace(struct os *os, struct eprocess *back) {
    if (back != NULL) { MiSwapAtDispatch(os, back); }
}
