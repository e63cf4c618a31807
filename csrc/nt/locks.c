/* Locks: NT-03. There is one processor, and a thread stops only where it waits; so most locks cannot be found taken,
 * and what they are for here is the rules: the order address creation, working set, PFN; no fault and no wait while a
 * spin lock is held. Only the address-creation mutex is kept over a wait, and others queue for it. */
#include "exports.h"
#include "ntmmu/eprocess.h"

#define DISPATCH_LEVEL 2u

_Noreturn void MiLockViolation(struct os *os, const char *rule) { MiAssert(os, rule); }

/* ---- PFN lock: a spin lock ---- */

unsigned MiLockPfn(struct os *os) {
    unsigned irql = os->M->ops->irql(os->M);
    if (irql > DISPATCH_LEVEL) { MiLockViolation(os, "the PFN lock is taken above DISPATCH level"); }
    MiEnterPfnLock(os);
    os->M->ops->set_irql(os->M, DISPATCH_LEVEL);
    return irql;
}

void MiUnlockPfn(struct os *os, unsigned irql) {
    MiLeavePfnLock(os);
    os->M->ops->set_irql(os->M, irql);
}

/* ---- working-set mutexes: fast mutexes; a wait for a page releases them ---- */

void MiLockWorkingSet(struct os *os, struct mmsupport *vm) {
    struct mi_locks *locks = &os->Locks;
    if (locks->Pfn) { MiLockViolation(os, "a working-set mutex is taken while the PFN lock is held"); }
    if (os->HyperspaceMappings != 0) {
        MiLockViolation(os, "a working-set mutex is taken while a hyperspace mapping is held");
    }
    if (locks->WorkingSets == MI_LOCKED_WORKING_SETS) { MiLockViolation(os, "too many working-set mutexes are held"); }
    locks->WorkingSet[locks->WorkingSets++] = vm;
}

void MiUnlockWorkingSet(struct os *os, struct mmsupport *vm) {
    struct mi_locks *locks = &os->Locks;
    if (locks->WorkingSets == 0 || locks->WorkingSet[locks->WorkingSets - 1] != vm) {
        MiLockViolation(os, "a working-set mutex is released that was not taken last");
    }
    locks->WorkingSets--;
}

/* ---- around a wait ---- */

struct mi_locks MiReleaseLocksToWait(struct os *os) {
    struct mi_locks held = os->Locks;
    if (held.Pfn) { MiLockViolation(os, "a thread waits while the PFN lock is held"); }
    os->Locks.WorkingSets = 0;
    return held;
}

void MiTakeLocksAfterWait(struct os *os, const struct mi_locks *held) {
    if (os->Locks.WorkingSets != 0) { MiLockViolation(os, "another thread waits with a working-set mutex"); }
    os->Locks.WorkingSets = held->WorkingSets;
    for (unsigned i = 0; i < held->WorkingSets; i++) { os->Locks.WorkingSet[i] = held->WorkingSet[i]; }
}

/* ---- address-creation mutex: guards the VAD tree, over waits too ---- */

bool MiLockAddressCreation(struct os *os, struct eprocess *process) {
    struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    if (os->Locks.WorkingSets != 0) {
        MiLockViolation(os, "the address-creation mutex is taken while a working-set mutex is held");
    }
    if (os->Locks.Pfn) { MiLockViolation(os, "the address-creation mutex is taken while the PFN lock is held"); }
    while (process->AddressCreationDepth != 0 && process->AddressCreationOwner != thread) {
        process->AddressCreationWaiters++;
        KeWaitForSingleObject(os, process->Address + EPROCESS_ADDRESS_CREATION_LOCK);
        process->AddressCreationWaiters--;
    }
    if (process->Exiting) { return false; }
    process->AddressCreationOwner = thread;
    process->AddressCreationDepth++;
    return true;
}

static void MiFreeAddressCreation(struct os *os, struct eprocess *process) {
    process->AddressCreationDepth = 0;
    if (process->AddressCreationWaiters != 0) {
        os->M->ops->signal(os->M, process->Address + EPROCESS_ADDRESS_CREATION_LOCK);
    }
}

/* The owner ends. */
void MiAbandonAddressCreation(struct os *os, struct eprocess *process, const struct ethread *owner) {
    if (process->AddressCreationDepth != 0 && process->AddressCreationOwner == owner) {
        MiFreeAddressCreation(os, process);
    }
}

bool MiEndAddressCreation(struct os *os, struct eprocess *process) {
    const struct ethread *own = KeGetCurrentPrcb(os)->CurrentThread;
    for (;;) {
        const struct ethread *owner = process->AddressCreationOwner;
        if (process->Exiting) { return false; }
        if (process->AddressCreationDepth == 0) { return true; }
        if (owner == own) { break; }
        if (owner && owner->Process == process) {
            if (!MiWaitForThread(os, owner)) { break; }
            continue;
        }
        process->AddressCreationWaiters++;
        KeWaitForSingleObject(os, process->Address + EPROCESS_ADDRESS_CREATION_LOCK);
        process->AddressCreationWaiters--;
    }
    MiFreeAddressCreation(os, process); /* who waits for it finds process->Exiting */
    return true;
}

void MiUnlockAddressCreation(struct os *os, struct eprocess *process) {
    if (process->AddressCreationDepth == 0 || process->AddressCreationOwner != KeGetCurrentPrcb(os)->CurrentThread) {
        MiLockViolation(os, "the address-creation mutex is released by a thread that does not have it");
    }
    if (--process->AddressCreationDepth == 0) { MiFreeAddressCreation(os, process); }
}

/* ---- call: what a test of the rules needs. The level before comes out, and goes in again. ---- */

#define ROUTINE(name)                                                                                                  \
    static ntstatus_t name(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2])

ROUTINE(MiCallLockPfn) {
    (void)process;
    (void)event;
    out[0] = MiLockPfn(os);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallUnlockPfn) {
    (void)process;
    (void)out;
    MiUnlockPfn(os, MI_ARGUMENT(event, 0));
    return STATUS_SUCCESS;
}

ROUTINE(MiCallLockWorkingSet) {
    (void)event;
    (void)out;
    MiLockWorkingSet(os, &process->Vm);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallUnlockWorkingSet) {
    (void)event;
    (void)out;
    MiUnlockWorkingSet(os, &process->Vm);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallLockAddressCreation) {
    (void)event;
    (void)out;
    return MiLockAddressCreation(os, process) ? STATUS_SUCCESS : STATUS_PROCESS_IS_TERMINATING;
}

ROUTINE(MiCallUnlockAddressCreation) {
    (void)event;
    (void)out;
    MiUnlockAddressCreation(os, process);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallMapInHyperSpace) {
    (void)process;
    unsigned irql;
    out[0] = MiMapPageInHyperSpace(os, MI_ARGUMENT(event, 0), &irql);
    out[1] = irql;
    return STATUS_SUCCESS;
}

ROUTINE(MiCallUnmapInHyperSpace) {
    (void)process;
    (void)out;
    MiUnmapPageInHyperSpace(os, MI_ARGUMENT(event, 0));
    return STATUS_SUCCESS;
}

ROUTINE(MiCallSetDpcRoutineActive) {
    (void)process;
    (void)out;
    KeGetCurrentPrcb(os)->DpcRoutineActive = MI_ARGUMENT(event, 0) != 0;
    return STATUS_SUCCESS;
}

const struct mi_export MiLockExports[] = {
    {"MiSetDpcRoutineActive", 1, MI_NO_HANDLE, MiCallSetDpcRoutineActive},
    {"MiLockPfn", 0, MI_NO_HANDLE, MiCallLockPfn},
    {"MiUnlockPfn", 1, MI_NO_HANDLE, MiCallUnlockPfn},
    {"MiLockWorkingSet", 0, MI_NO_HANDLE, MiCallLockWorkingSet},
    {"MiUnlockWorkingSet", 0, MI_NO_HANDLE, MiCallUnlockWorkingSet},
    {"MiLockAddressCreation", 1, 0 | MI_NO_ATTACH, MiCallLockAddressCreation},
    {"MiUnlockAddressCreation", 1, 0 | MI_NO_ATTACH, MiCallUnlockAddressCreation},
    {"MiMapPageInHyperSpace", 1, MI_NO_HANDLE, MiCallMapInHyperSpace},
    {"MiUnmapPageInHyperSpace", 1, MI_NO_HANDLE, MiCallUnmapInHyperSpace},
    {0},
};
