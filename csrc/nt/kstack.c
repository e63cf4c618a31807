/* Kernel stacks, NT-92: frames of their own behind system PTEs, an entry that stays 0 below. A trace's threads have one
 * only if it asks for it. */
#include "mi.h"

#define KERNEL_STACK_PAGES       3u
#define KERNEL_LARGE_STACK_PAGES 16u /* 64 KB, of which 12 are committed at first */
#define DOUBLE_FAULT             8u
#define STACK_OBJECT             0xE0000004u /* what those who want a busy stack wait for */

bool MiWaitForThread(struct os *os, const struct ethread *thread) {
    if (!thread->StackBusy && !thread->Waiting) { return false; }
    KeWaitForSingleObject(os, thread->StackBusy ? STACK_OBJECT : thread->Address);
    return true;
}

static void MiEndStackWork(struct os *os, struct ethread *thread) {
    thread->StackBusy = false;
    os->M->ops->signal(os->M, STACK_OBJECT);
}

static ntstatus_t MiChargeStack(struct os *os, struct ethread *thread, uint32_t pages) {
    thread->StackBusy = true;
    ntstatus_t status = MiChargeFrames(os, pages);
    MiEndStackWork(os, thread);
    return status;
}

static va_t MiStackPte(const struct ethread *thread,
                       uint32_t page) { /* counted from the base downward, 1 is the first */
    return MiGetPteAddress(thread->KernelStackBase) - PTE_SIZE * page;
}

static void MiCommitStackPage(struct os *os, struct ethread *thread) {
    va_t pte = MiStackPte(thread, ++thread->KernelStackPages);
    pfn_t frame = MiRemoveAnyPage(os, MiPageColor(os, MiGetVirtualAddressMappedByPte(pte)));
    MiMapKernelPage(os, pte, frame, 0);
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.u1 = thread->Address; /* KTHREAD */
    MiWritePfn(os, frame, &pfn);
}

ntstatus_t MmCreateKernelStack(struct os *os, struct ethread *thread, bool large) {
    uint32_t reserved = (large ? KERNEL_LARGE_STACK_PAGES : KERNEL_STACK_PAGES) + 1; /* and the guard */
    if (thread->KernelStackBase || thread->StackBusy) { return STATUS_INVALID_PARAMETER; }
    ntstatus_t status = MiChargeStack(os, thread, KERNEL_STACK_PAGES);
    if (!NT_SUCCESS(status)) { return status; }
    va_t pte = MiReserveSystemPtes(os, reserved, 0, 0, 0, false);
    if (pte == 0) {
        MiReturnCommitment(os, KERNEL_STACK_PAGES, NULL);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    thread->KernelStackBase = MiGetVirtualAddressMappedByPte(pte + PTE_SIZE * reserved);
    thread->KernelStackReserved = reserved;
    for (uint32_t i = 0; i < KERNEL_STACK_PAGES; i++) { MiCommitStackPage(os, thread); }
    return STATUS_SUCCESS;
}

/* Out-swapped pages are in transition or in a paging file. */
static void MiDeleteStackPage(struct os *os, va_t pte_va) {
    pte_t pte = MiReadPte(os, pte_va);
    switch (pte_form(pte)) {
    case PTE_FORM_VALID: MiUnmapKernelPage(os, pte_va); break;
    case PTE_FORM_TRANSITION: MiDeleteTransitionPage(os, pte_va, pte_frame(pte)); break;
    default: MiReleasePageFileSpace(os, pte); break;
    }
}

void MmDeleteKernelStack(struct os *os, struct ethread *thread) {
    if (thread->KernelStackBase == 0) { return; }
    for (uint32_t page = 1; page <= thread->KernelStackPages; page++) {
        MiDeleteStackPage(os, MiStackPte(thread, page));
    }
    MiReleaseSystemPtes(os, MiStackPte(thread, thread->KernelStackReserved), thread->KernelStackReserved, 0);
    MiReturnCommitment(os, thread->KernelStackPages, NULL);
    thread->KernelStackBase = 0;
    thread->KernelStackPages = thread->KernelStackReserved = 0;
}

va_t MiKernelStackLimit(const struct ethread *thread) {
    return thread->KernelStackBase - ((va_t)thread->KernelStackPages << PAGE_SHIFT);
}

ntstatus_t MmGrowKernelStack(struct os *os, struct ethread *thread, va_t stack_pointer) {
    if (thread->KernelStackBase == 0 || thread->StackBusy || stack_pointer > thread->KernelStackBase) {
        return STATUS_INVALID_PARAMETER;
    }
    va_t lowest = thread->KernelStackBase - ((va_t)(thread->KernelStackReserved - 1) << PAGE_SHIFT);
    if (page_of(stack_pointer) < lowest) { return STATUS_STACK_OVERFLOW; }
    uint32_t wanted = (uint32_t)((thread->KernelStackBase - page_of(stack_pointer)) >> PAGE_SHIFT);
    if (wanted <= thread->KernelStackPages) { return STATUS_SUCCESS; }
    uint32_t more = wanted - thread->KernelStackPages;
    if (!NT_SUCCESS(MiChargeStack(os, thread, more))) { return STATUS_NO_MEMORY; }
    while (thread->KernelStackPages < wanted) { MiCommitStackPage(os, thread); }
    return STATUS_SUCCESS;
}

/* The processor cannot push the frame of a fault whose stack is what is missing: double fault. */
void MiCheckKernelStackGuard(struct os *os, va_t va) {
    for (const struct ethread *thread = os->Threads; thread; thread = thread->Next) {
        va_t reserved = thread->KernelStackBase - ((va_t)thread->KernelStackReserved << PAGE_SHIFT);
        if (thread->KernelStackBase && va >= reserved && va < MiKernelStackLimit(thread)) {
            KeBugCheckEx(os, BUGCHECK_UNEXPECTED_KERNEL_MODE_TRAP, DOUBLE_FAULT, 0, 0, 0);
        }
    }
}

/* ---- the stack of a thread that waits ---- */

void MmOutPageKernelStack(struct os *os, struct ethread *thread) {
    for (uint32_t page = 1; page <= thread->KernelStackPages; page++) {
        va_t pte_va = MiStackPte(thread, page);
        pte_t pte = MiReadPte(os, pte_va);
        if (!(pte & PTE_VALID)) { continue; }
        pfn_t frame = pte_frame(pte);
        MiCaptureDirty(os, frame, pte);
        MiWritePte(os, pte_va, pte_transition(pte, MM_READWRITE));
        MI_MUTANT(188, MiFlushSingleTb(os, MiGetVirtualAddressMappedByPte(pte_va)), (void)0);
        MiDecrementShareCount(os, frame);
    }
}

/* Its thread cannot run without it: a read that fails stops the machine (NT-45). */
static void MiReadStackPage(struct os *os, struct ethread *thread, va_t pte_va, pte_t pte) {
    pfn_t table = pte_frame(MiReadPte(os, MiGetPdeAddress(MiGetVirtualAddressMappedByPte(pte_va))));
    pfn_t frame = MiPrepareSwappedPage(os, pte, pte_va, table);
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.u1 = thread->Address;
    MiWritePfn(os, frame, &pfn);
    MiWritePte(os, pte_va, MiKernelPte(os, frame)); /* of a thread that does not run: nobody looks yet */
    ntstatus_t status = MiReadSwappedPage(os, pte, frame);
    if (!NT_SUCCESS(status)) {
        KeBugCheckEx(os, BUGCHECK_KERNEL_STACK_INPAGE_ERROR, status, status, pte_page_file_number(pte),
                     pte_page_file_offset(pte));
    }
}

/* Pages are waited for one after the other. */
void MmInPageKernelStack(struct os *os, struct ethread *thread) {
    thread->StackBusy = true;
    for (uint32_t page = 1; page <= thread->KernelStackPages; page++) {
        va_t pte_va = MiStackPte(thread, page);
        pte_t pte = MiReadPte(os, pte_va);
        if (pte_form(pte) == PTE_FORM_PAGE_FILE) { MiReadStackPage(os, thread, pte_va, pte); }
        if (pte_form(pte) != PTE_FORM_TRANSITION) { continue; }
        struct mmpfn pfn = MiReferenceTransitionPage(os, pte_frame(pte));
        pfn.u1 = thread->Address;
        pfn.u2 = 1;
        pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_LOCATION) | ActiveAndValid << PFN_LOCATION_SHIFT);
        MiWritePfn(os, pte_frame(pte), &pfn);
        MiWritePte(os, pte_va, MiKernelPte(os, pte_frame(pte)));
    }
    MiEndStackWork(os, thread);
}
