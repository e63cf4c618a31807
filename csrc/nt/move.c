/* Moving pages inside a process (traces/FORMAT.md, rule 12): each PTE goes in whatever form it has, and what refers to
 * it follows. No commit, no fault; INVLPG for the old address. */
#include "mi.h"

#define PAGE_TABLE_SHIFT 22
#define FRAMES_TO_SPARE  8u

struct moved_page {
    va_t from, to;
    pfn_t from_table, to_table;
};

/* The working-set entry of a valid page gets the new address. Returns its locks, which are the caller's to set again.
 */
static uint32_t MiMoveWsle(struct os *os, struct eprocess *process, const struct moved_page *page, pfn_t frame) {
    uint32_t index = MiLocateWsle(os, &process->Vm, page->from, frame);
    uint32_t wsle = MiReadWsle(os, &process->Vm, index), faults = process->Vm.PageFaultCount;
    bool shared = wsle_is_shared(os->Config.profile, wsle);
    unsigned own = wsle_is_same(os->Config.profile, wsle) ? 0 : wsle_protection(os->Config.profile, wsle);
    MiRemoveWsle(os, &process->Vm, index);
    MiAddValidPageToWorkingSet(os, &process->Vm, page->to, frame, shared, own);
    process->Vm.PageFaultCount = faults;
    MiWriteVm(os, &process->Vm);
    return wsle & WSLE_LOCKED;
}

/* A private page's frame names its PTE and that PTE's table. */
static void MiMovePfn(struct os *os, const struct moved_page *page, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn.Flags & PFN_PROTOTYPE) { return; }
    pfn.PteAddress = (uint32_t)MiGetPteAddress(page->to);
    pfn.ContainingFrame = (uint32_t)MI_MUTANT(193, page->to_table, page->from_table);
    MiWritePfn(os, frame, &pfn);
}

static void MiMovePage(struct os *os, struct eprocess *process, const struct moved_page *page) {
    va_t from_pte = MiGetPteAddress(page->from), to_pte = MiGetPteAddress(page->to);
    pte_t pte = MiReadPte(os, from_pte);
    bool valid = pte_form(pte) == PTE_FORM_VALID;
    if (valid || pte_form(pte) == PTE_FORM_TRANSITION) {
        MiIncrementShareCount(os, page->to_table);
        if (MI_MUTANT(123, valid, false)) { MiCaptureDirty(os, pte_frame(pte), pte); }
        MiMovePfn(os, page, pte_frame(pte));
    }
    uint32_t locks = valid ? MiMoveWsle(os, process, page, pte_frame(pte)) : 0;
    if (MiReadPte(os, to_pte) == 0) { MiIncrementUsedPteCount(os, page->to); }
    MiWritePte(os, to_pte, pte);
    if (locks) { MiLockWsle(os, &process->Vm, page->to, pte_frame(pte), locks); }
    MiWritePte(os, from_pte, 0);
    MiDecrementUsedPteCount(os, page->from);
    if (MI_MUTANT(108, valid, false)) { MiFlushSingleTb(os, page->from); }
    if (valid || pte_form(pte) == PTE_FORM_TRANSITION) { MiDecrementShareCount(os, page->from_table); }
}

/* Nothing may be at the new place but pages that were never touched. */
static bool MiTargetIsFree(struct os *os, struct eprocess *process, va_t to) {
    if (!MiLocateAddress(process, to)) { return false; }
    if (MiReadPte(os, MiGetPdeAddress(to)) == 0) { return true; }
    MiWaitForPageTable(os, to);
    enum pte_form form = pte_form(MiReadPte(os, MiGetPteAddress(to)));
    return form == PTE_FORM_ZERO || form == PTE_FORM_DEMAND_ZERO;
}

static pfn_t MiTableOf(struct os *os, va_t va) { return pte_frame(MiReadPte(os, MiGetPdeAddress(va))); }

/* The first must not make room for the second. False: there is nothing to move. */
static bool MiBringBothTables(struct os *os, struct moved_page *page) {
    MiWaitForPageTable(os, page->from);
    if (MiReadPte(os, MiGetPteAddress(page->from)) == 0) { return false; }
    page->from_table = MiTableOf(os, page->from);
    MiIncrementShareCount(os, page->from_table);
    MiWaitForPageTable(os, page->to);
    MiDecrementShareCount(os, page->from_table);
    page->to_table = MiTableOf(os, page->to);
    return MiReadPte(os, MiGetPteAddress(page->from)) != 0;
}

ntstatus_t MiMovePages(struct os *os, va_t from, va_t to, va_t size) {
    struct eprocess *process = PsGetCurrentProcess(os);
    if (size > (va_t)MM_HIGHEST_VAD_ADDRESS + 1) { return STATUS_INVALID_PARAMETER; } /* no sum of it wraps */
    va_t end = (from + size + PAGE_MASK) & ~PAGE_MASK;
    from = page_of(from);
    to = page_of(to);
    va_t length = end - from;
    if (end > (va_t)MM_HIGHEST_VAD_ADDRESS + 1 || to + length > (va_t)MM_HIGHEST_VAD_ADDRESS + 1 ||
        (to < end && from < to + length)) {
        return STATUS_INVALID_PARAMETER;
    }
    /* Once begun it must not have to wait for a frame. */
    if (!MiFramesAvailableOrWanted(os, 2 * (uint32_t)(length >> PAGE_TABLE_SHIFT) + FRAMES_TO_SPARE)) {
        return MI_WAIT_FOR_PAGE;
    }
    for (va_t at = 0; at < length; at += PAGE_SIZE) {
        if (!MiTargetIsFree(os, process, to + at)) { return STATUS_CONFLICTING_ADDRESSES; }
    }
    for (va_t at = 0; at < length; at += PAGE_SIZE) {
        struct moved_page page = {.from = from + at, .to = to + at};
        if (MiReadPte(os, MiGetPdeAddress(page.from)) == 0) { continue; }
        if (!MiBringBothTables(os, &page)) { continue; }
        if (!MiTargetIsFree(os, process, page.to)) { return STATUS_CONFLICTING_ADDRESSES; } /* touched meanwhile */
        MiMovePage(os, process, &page);
    }
    for (va_t at = 0; at < length; at += PAGE_SIZE) {
        if (MiReadPte(os, MiGetPdeAddress(from + at)) != 0) { MiDeletePageTableIfUnused(os, from + at); }
    }
    return STATUS_SUCCESS;
}
