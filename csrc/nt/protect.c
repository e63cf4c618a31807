/* NtProtectVirtualMemory (NT-79) and the protection of single pages in any PTE form.
 *
 * In a view, a page that may be copied on write is charged one page of commit, and stays charged once it has been
 * copied; the charge moves when a protection change makes pages write-copy or stops them from being so. An image
 * section counts as PAGE_EXECUTE_WRITECOPY. */
#include "mi.h"

struct page_state {
    va_t Va, PteVa;
    pte_t Pte;
    enum pte_form Form;
    bool Committed;
    bool Private; /* its contents belong to this process alone, or will; clones included */
    bool Clone;
    va_t CloneAddress;
    unsigned Protection;
};

static bool MiIsWriteCopy(unsigned protection) {
    unsigned base = protection & 7;
    return protection != MM_NOACCESS && (base == MM_WRITECOPY || base == MM_EXECUTE_WRITECOPY);
}

static bool MiIsWritable(unsigned protection) {
    unsigned base = protection & 7;
    return protection != MM_NOACCESS && (base == MM_READWRITE || base == MM_EXECUTE_READWRITE);
}

static unsigned MiMakeWriteCopy(unsigned protection) { return MiIsWritable(protection) ? protection + 1 : protection; }

static unsigned MiWithoutWriteCopy(unsigned protection) {
    return MiIsWriteCopy(protection) ? protection - 1 : protection;
}

/* ---- what a page is ---- */

static void MiClassifyZero(struct os *os, const struct mmvad *vad, struct page_state *page) {
    if (vad == NULL) {
        page->Private = true;
        page->Committed = false;
        return;
    }
    if (vad->ControlArea == NULL) {
        page->Private = true;
        page->Committed = vad->MemCommit;
        page->Protection = vad->Protection;
        return;
    }
    va_t prototype = MiGetProtoPteAddress(os, vad, page->Va, &page->Protection);
    page->Committed = true;
    page->Private = prototype == 0;
    if (prototype != 0) {
        page->Protection = MiViewPageProtection(os, vad, page->Va);
        page->Committed = !vad->ControlArea->Reserve || MiReadPte(os, prototype) != 0;
    }
}

static void MiClassifyClone(struct page_state *page, va_t prototype, unsigned protection) {
    page->Private = page->Clone = true;
    page->CloneAddress = prototype;
    page->Protection = MiWithoutWriteCopy(protection);
}

static void MiClassifyPrototype(struct os *os, struct eprocess *process, struct page_state *page) {
    if (pte_is_vad_lookup(page->Pte)) {
        page->Protection = pte_protection(page->Pte);
        return;
    }
    va_t prototype = pte_pointer_target(page->Pte);
    unsigned protection = MiPrototypeProtection(os, MiReadPte(os, prototype));
    page->Protection = protection;
    if (MiLocateClone(os, process, prototype) != NULL) { MiClassifyClone(page, prototype, protection); }
}

static void MiClassifyValid(struct os *os, struct eprocess *process, struct page_state *page) {
    pfn_t frame = pte_frame(page->Pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    page->Protection = pte_protection(pfn.OriginalPte);
    if (!(pfn.Flags & PFN_PROTOTYPE)) {
        page->Private = true;
        return;
    }
    if (MiLocateClone(os, process, pfn.PteAddress) != NULL) {
        MiClassifyClone(page, pfn.PteAddress, page->Protection);
        return;
    }
    uint32_t index = MiLocateWsle(os, &process->Vm, page->Va, frame);
    uint32_t wsle = MiReadWsle(os, &process->Vm, index);
    if (!wsle_is_same(os->Config.profile, wsle)) { page->Protection = wsle_protection(os->Config.profile, wsle); }
}

/* May wait for the page table or the prototype PTE. */
static struct page_state MiClassifyPage(struct os *os, struct eprocess *process, va_t va) {
    struct page_state page = {.Va = va, .PteVa = MiGetPteAddress(va), .Committed = true};
    const struct mmvad *vad = MiLocateAddress(process, va);
    if (vad && vad->PhysicalMapping) { /* what the frame's PFN entry says is about the mapping of whoever locked it */
        page.Private = true;
        page.Protection = vad->Protection;
        return page;
    }
    page.Pte = MiReadPte(os, MiGetPdeAddress(va)) == 0 ? 0 : MiReadPte(os, page.PteVa);
    page.Form = pte_form(page.Pte);
    switch (page.Form) {
    case PTE_FORM_ZERO: MiClassifyZero(os, MiLocateAddress(process, va), &page); break;
    case PTE_FORM_VALID: MiClassifyValid(os, process, &page); break;
    case PTE_FORM_PROTOTYPE: MiClassifyPrototype(os, process, &page); break;
    default:
        page.Private = true;
        page.Committed = page.Pte != PTE_DECOMMITTED;
        page.Protection = pte_protection(page.Pte);
        break;
    }
    return page;
}

unsigned MiQueryPageProtection(struct os *os, struct eprocess *process, va_t va, bool *committed) {
    struct page_state page = MiClassifyPage(os, process, va);
    *committed = page.Committed;
    return page.Protection;
}

/* What the page's protection becomes when the caller asks for `protection`. */
static unsigned MiTargetProtection(const struct mmvad *vad, const struct page_state *page, unsigned protection) {
    if (page->Private) { return MiWithoutWriteCopy(protection); }
    return vad->ImageMap || vad->CopyOnWrite ? MiMakeWriteCopy(protection) : protection;
}

/* ---- changing one page ---- */

static void MiSetOriginalProtection(struct os *os, pfn_t frame, unsigned protection) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.OriginalPte = (mmpte_t)pte_with_protection(pfn.OriginalPte, protection);
    MiWritePfn(os, frame, &pfn);
}

/* A transition PTE's W bit follows its protection. */
static pte_t MiTransitionWithProtection(pte_t pte, unsigned protection) {
    pte = pte_with_protection(pte, protection) & ~(pte_t)PTE_WRITE;
    return MiIsWritable(protection) ? pte | PTE_WRITE : pte;
}

/* Guard and no-access pages cannot be valid: out of the working set. */
static void MiRemoveProtectedPage(struct os *os, struct eprocess *process, const struct page_state *page,
                                  unsigned protection) {
    pfn_t frame = pte_frame(page->Pte);
    MiUnlockWsle(os, &process->Vm, page->Va, frame, WSLE_LOCKED); /* nothing that cannot be used stays locked */
    uint32_t index = MiLocateWsle(os, &process->Vm, page->Va, frame);
    if (!MiEliminateWorkingSetEntry(os, &process->Vm, index)) {
        MiAssert(os, "a page to be protected cannot leave its working set");
    }
    pte_t pte = MiReadPte(os, page->PteVa);
    if (pte_form(pte) == PTE_FORM_TRANSITION) {
        MiWritePte(os, page->PteVa, MiTransitionWithProtection(pte, protection));
    }
}

static void MiProtectValidPage(struct os *os, struct eprocess *process, const struct page_state *page,
                               unsigned protection) {
    pfn_t frame = pte_frame(page->Pte);
    MI_MUTANT(119, MiCaptureDirty(os, frame, page->Pte), (void)0);
    if (page->Private) {
        MiSetOriginalProtection(os, frame, protection);
    } else {
        MiSetWsleProtection(os, &process->Vm, page->Va, frame, protection);
    }
    if ((protection & MM_GUARD_PAGE) != 0 || (protection & 7) == MM_ZERO_ACCESS) {
        MiRemoveProtectedPage(os, process, page, protection);
        return;
    }
    pte_t pte = pte_valid_user(frame, protection);
    if (pte & PTE_WRITE) { pte |= page->Pte & PTE_DIRTY; }
    if (pte != page->Pte) {
        MiWritePte(os, page->PteVa, pte);
        MI_MUTANT(103, MiFlushSingleTb(os, page->Va), (void)0);
    }
}

/* Maps an inherited page, readable for this once: its own protection may be a guard, or no access. */
static ntstatus_t MiMapClonePage(struct os *os, struct eprocess *process, const struct page_state *page) {
    struct mmfault fault = {.Va = page->Va,
                            .User = true,
                            .Lent = true,
                            .Process = process,
                            .Vm = &process->Vm,
                            .PointerPte = page->PteVa,
                            .Protection = MM_READONLY,
                            .PrototypeAddress = page->CloneAddress};
    ntstatus_t status = MiResolveProtoPteFault(os, &fault);
    return status == MI_ISSUE_READ ? MiReadPageOfFault(os, &fault) : status;
}

/* A page inherited by fork cannot carry a protection of its own: its prototype is shared and no VAD leads to it. It is
 * brought in and copied (or taken over) first. */
static ntstatus_t MiMakeClonePagePrivate(struct os *os, struct eprocess *process, const struct page_state *page) {
    enum fault_kind kind;
    ntstatus_t status = page->Form == PTE_FORM_VALID ? MiCopyOnWrite(os, page->Va, page->PteVa, &kind)
                                                     : MiMapClonePage(os, process, page);
    return NT_SUCCESS(status) || status == MI_REFAULT ? STATUS_SUCCESS : status;
}

/* NULL: a damaged entry stands where nothing is that has a protection. */
static const struct mmvad *MiLocateProtected(const struct eprocess *process, va_t va) {
    const struct mmvad *vad = MiLocateAddress(process, va);
    return vad && !vad->PhysicalMapping ? vad : NULL;
}

/* What is known of the page has not changed while something was waited for. */
static bool MiIsStillSo(struct os *os, const struct page_state *page) {
    return (MiReadPte(os, MiGetPdeAddress(page->Va)) & PTE_VALID) && MiReadPte(os, page->PteVa) == page->Pte;
}

static ntstatus_t MiSetProtectionOnPage(struct os *os, struct eprocess *process, va_t va, unsigned protection,
                                        int *commit_change) {
    struct page_state page = {.Clone = true};
    while (MiLocateProtected(process, va)) {
        ntstatus_t status = MiMakePageTableValid(os, va);
        if (status != STATUS_SUCCESS) { return status; }
        page = MiClassifyPage(os, process, va);
        if (!MiIsStillSo(os, &page)) { continue; }
        if (!page.Clone) { break; }
        status = MiMakeClonePagePrivate(os, process, &page);
        if (status != STATUS_SUCCESS) { return status; }
    }
    const struct mmvad *vad = MiLocateProtected(process, va);
    if (!vad) { return STATUS_ACCESS_VIOLATION; }
    unsigned target = MiTargetProtection(vad, &page, protection);
    if (!page.Private) { *commit_change += MiIsWriteCopy(target) - MiIsWriteCopy(page.Protection); }
    switch (page.Form) {
    case PTE_FORM_VALID: MiProtectValidPage(os, process, &page, target); return STATUS_SUCCESS;
    case PTE_FORM_ZERO:
        MiIncrementUsedPteCount(os, va);
        MiWritePte(os, page.PteVa, page.Private ? pte_demand_zero(target) : pte_vad_lookup(target));
        return STATUS_SUCCESS;
    case PTE_FORM_PROTOTYPE: MiWritePte(os, page.PteVa, pte_vad_lookup(target)); return STATUS_SUCCESS;
    case PTE_FORM_TRANSITION:
        MiSetOriginalProtection(os, pte_frame(page.Pte), target);
        MiWritePte(os, page.PteVa, MiTransitionWithProtection(page.Pte, target));
        return STATUS_SUCCESS;
    default: MiWritePte(os, page.PteVa, pte_with_protection(page.Pte, target)); return STATUS_SUCCESS;
    }
}

/* ---- ranges ---- */

static uint32_t MiCountNewWriteCopy(struct os *os, struct eprocess *process, va_t start, va_t end,
                                    unsigned protection) {
    const struct mmvad *vad = MiLocateAddress(process, start);
    uint32_t count = 0;
    for (va_t va = start; va <= end && vad && vad->ControlArea; va += PAGE_SIZE) {
        struct page_state page = MiClassifyPage(os, process, va);
        vad = MiLocateAddress(process, va);
        count += vad && !page.Private && !MiIsWriteCopy(page.Protection) &&
                 MiIsWriteCopy(MiTargetProtection(vad, &page, protection));
    }
    return count;
}

ntstatus_t MiSetProtectionOnRange(struct os *os, struct eprocess *process, va_t start, va_t end, unsigned protection) {
    uint32_t charge = MiCountNewWriteCopy(os, process, start, end, protection);
    ntstatus_t charged = MiChargeProcessCommitment(os, charge, process);
    if (!NT_SUCCESS(charged)) { return charged; }
    int change = 0; /* pages that became write-copy, less those that ceased to be */
    ntstatus_t status = STATUS_SUCCESS;
    for (va_t va = start; va <= end && status == STATUS_SUCCESS; va += PAGE_SIZE) {
        status = MiSetProtectionOnPage(os, process, va, protection, &change);
    }
    struct mmvad *vad = MiLocateAddress(process, start);
    if (vad) { vad->CommitCharge += (uint32_t)change; }
    MiReturnCommitment(os, charge - (uint32_t)change, process);
    return status;
}

static bool MiAllCommitted(struct os *os, struct eprocess *process, struct mmvad *vad, va_t start, va_t end) {
    bool untouched = vad->ControlArea == NULL ? vad->MemCommit : !vad->ControlArea->Reserve;
    for (va_t va = start; va <= end;) {
        if (untouched && MiReadPte(os, MiGetPdeAddress(va)) == 0) {
            va = (va | (MM_PAGE_TABLE_SPAN - 1)) + 1;
            continue;
        }
        if (!MiClassifyPage(os, process, va).Committed) { return false; }
        va += PAGE_SIZE;
    }
    return true;
}

/* May a page of this view have that protection? */
static bool MiViewAllows(const struct mmvad *vad, unsigned protection) {
    unsigned section = vad->SectionProtection ? vad->SectionProtection : vad->ControlArea->Protection;
    if (vad->ImageMap) { section = MM_EXECUTE_WRITECOPY; }
    if (vad->NoChange) { return false; }
    if ((protection & 7) == MM_ZERO_ACCESS) { return true; }
    return MiIsProtectionCompatible(section,
                                    vad->ImageMap || vad->CopyOnWrite ? MiMakeWriteCopy(protection) : protection);
}

ntstatus_t NtProtectVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size,
                                  uint32_t protect, uint32_t *old) {
    int mask = MiMakeProtectionMask(protect);
    if (mask < 0) { return STATUS_INVALID_PAGE_PROTECTION; }
    if (process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    unsigned protection = (unsigned)mask;
    va_t start = page_of(*base), end = ((va_t)*base + *size - 1) | PAGE_MASK;
    struct mmvad *vad = MiLocateAddress(process, start);
    if (*size == 0 || vad == NULL || end > vad->EndingAddress || vad->PhysicalMapping) {
        return STATUS_CONFLICTING_ADDRESSES;
    }
    if (vad->ControlArea == NULL && MiIsWriteCopy(protection)) { return STATUS_INVALID_PAGE_PROTECTION; }
    if (!MiAllCommitted(os, process, vad, start, end)) { return STATUS_NOT_COMMITTED; }
    if (MiIsSecured(process, start, end, protection)) { return STATUS_INVALID_PAGE_PROTECTION; }
    if (vad->ControlArea != NULL && !MiViewAllows(vad, protection)) { return STATUS_SECTION_PROTECTION; }
    bool committed;
    unsigned first = MiQueryPageProtection(os, process, start, &committed);
    ntstatus_t status;
    while ((status = MiSetProtectionOnRange(os, process, start, end, protection)) == MI_WAIT_FOR_PAGE) {
        MiWaitForFreePage(os); /* here: anew, the first page would have the new protection already */
    }
    if (status == STATUS_SUCCESS) {
        *base = (uint32_t)start;
        *size = (uint32_t)(end + 1 - start);
        *old = MiProtectionToWin32(first);
    }
    return status;
}
