/* Guard pages that are more than one entry: shared ones, and those of user stacks. NT-51. */
#include "mi.h"

enum { PAGE_READWRITE = 0x04, PAGE_GUARD = 0x100 };

static ntstatus_t MiCommitStackPage(struct os *os, struct eprocess *process, va_t va, uint32_t protect) {
    for (;;) {
        uint32_t base = (uint32_t)va, size = PAGE_SIZE;
        if (!MiLockAddressCreation(os, process)) { return STATUS_PROCESS_IS_TERMINATING; }
        ntstatus_t status = NtAllocateVirtualMemory(os, process, &base, 0, &size, MEM_COMMIT, protect);
        MiUnlockAddressCreation(os, process);
        if (status != MI_WAIT_FOR_PAGE) { return status; }
        MiWaitForFreePage(os);
    }
}

/* The page gets a protection of its own. That may wait, while the range must stay what it is. */
ntstatus_t MiClearSharedGuard(struct os *os, struct mmfault *fault) {
    struct eprocess *process = fault->Process;
    va_t va = page_of(fault->Va);
    unsigned protection = fault->Protection & ~(unsigned)MM_GUARD_PAGE;
    if (!MiLockAddressCreation(os, process)) { return STATUS_ACCESS_VIOLATION; }
    ntstatus_t status = MI_REFAULT; /* what it met has gone while the mutex was waited for */
    if (MiReadPte(os, MiGetPdeAddress(va)) & PTE_VALID && MiReadPte(os, fault->PointerPte) == fault->PteContents) {
        while ((status = MiSetProtectionOnRange(os, process, va, va, protection)) == MI_WAIT_FOR_PAGE) {
            MiWaitForFreePage(os); /* here: the page may be mapped already, without its guard */
        }
        if (status == STATUS_SUCCESS) { status = STATUS_GUARD_PAGE_VIOLATION; }
    }
    MiUnlockAddressCreation(os, process);
    return status;
}

ntstatus_t MiCheckForUserStackOverflow(struct os *os, struct mmfault *fault) {
    struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    bool own = thread && thread->Process == fault->Process; /* an attached thread left its stack behind */
    if (!own || thread->StackBase == 0 || fault->Va >= thread->StackBase || fault->Va < thread->DeallocationStack) {
        return STATUS_GUARD_PAGE_VIOLATION;
    }
    va_t guard = page_of(fault->Va), lowest = page_of(thread->DeallocationStack), next = guard - PAGE_SIZE;
    if (guard <= lowest + PAGE_SIZE) { return STATUS_STACK_OVERFLOW; } /* the lowest page is never committed */
    if (next <= lowest + PAGE_SIZE) {
        ntstatus_t status = MiCommitStackPage(os, fault->Process, next, PAGE_READWRITE);
        if (NT_SUCCESS(status)) { thread->StackLimit = next; }
        return STATUS_STACK_OVERFLOW;
    }
    ntstatus_t status = MiCommitStackPage(os, fault->Process, next, PAGE_READWRITE | PAGE_GUARD);
    if (!NT_SUCCESS(status)) { return STATUS_STACK_OVERFLOW; }
    thread->StackLimit = guard;
    fault->Kind = FAULT_GUARD;
    return STATUS_PAGE_FAULT_GUARD_PAGE;
}
