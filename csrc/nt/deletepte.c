/* Destroying user PTEs, whatever form they have (NT-27 rows P23..P25, NT-66, NT-74, NT-78). */
#include "mi.h"

/* A trimmed private page: its frame is on a list, or still referenced by I/O or an MDL. */
void MiDeleteTransitionPage(struct os *os, va_t pte_va, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn.PteAddress != pte_va) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, pte_va, frame, pfn.PteAddress);
    }
    MI_MUTANT(137, MiDecrementShareCount(os, pfn.ContainingFrame), (void)0);
    if (pfn.ReferenceCount != 0) {
        MiSetPfnDeleted(os, frame);
        return;
    }
    MiUnlinkPageFromList(os, frame);
    MiReleasePageFileSpace(os, pfn.OriginalPte);
    MiInsertPageInList(os, FreePageList, frame);
}

static void MiDeleteValidPage(struct os *os, struct eprocess *process, va_t va, va_t pte_va, pte_t pte) {
    pfn_t frame = pte_frame(pte);
    MI_MUTANT(120, MiCaptureDirty(os, frame, pte), (void)0);
    MiRemoveWsle(os, &process->Vm, MiLocateWsle(os, &process->Vm, va, frame));
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiDecrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(va))));
    if (!(pfn.Flags & PFN_PROTOTYPE)) {
        if (pfn.PteAddress != pte_va) {
            KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, pte_va, frame, pfn.PteAddress);
        }
        MiSetPfnDeleted(os, frame);
        MiDecrementShareCount(os, frame);
        return;
    }
    MiDecrementShareCount(os, frame);
    if (MiLocateClone(os, process, pfn.PteAddress) != NULL) {
        MiDecrementCloneBlockReference(os, process, pfn.PteAddress);
    }
}

static void MiDeletePointerToPrototype(struct os *os, struct eprocess *process, pte_t pte) {
    if (pte_is_vad_lookup(pte)) { return; }
    va_t prototype = pte_pointer_target(pte);
    if (MiLocateClone(os, process, prototype) != NULL) { MiDecrementCloneBlockReference(os, process, prototype); }
}

/* Without a list the caller flushes everything once, at its end: too late for others that run meanwhile. */
static void MiFlushBeforeWait(struct os *os, struct mmptelist *list, pte_t new_value) {
    if (list != NULL) {
        MiFlushPteList(os, list, false, new_value);
    } else {
        KeFlushCurrentTb(os, 0);
    }
}

/* The last reference of a clone looks at its prototype PTE, and may wait for the page of the pool in which that is.
 * What waits for a flush must not wait with it. True: it has waited; the PTE may be another now. */
static bool MiWaitForLastPrototype(struct os *os, struct eprocess *process, pte_t pte, pte_t new_value,
                                   struct mmptelist *list) {
    if (pte_form(pte) != PTE_FORM_PROTOTYPE || pte_is_vad_lookup(pte)) { return false; }
    va_t prototype = pte_pointer_target(pte);
    if (!MiIsLastCloneReference(os, process, prototype) || MmIsAddressValid(os, prototype)) { return false; }
    MiFlushBeforeWait(os, list, new_value);
    MiWaitForSystemAddress(os, prototype);
    return true;
}

bool MiDeletePte(struct os *os, struct eprocess *process, va_t pte_va, pte_t new_value, struct mmptelist *list) {
    pte_t pte;
    do { pte = MiReadPte(os, pte_va); } while (MiWaitForLastPrototype(os, process, pte, new_value, list));
    va_t va = MiGetVirtualAddressMappedByPte(pte_va);
    if (pte == new_value) { return false; }
    enum pte_form form = pte_form(pte);
    switch (form) {
    case PTE_FORM_ZERO: MiIncrementUsedPteCount(os, va); break;
    case PTE_FORM_VALID: MiDeleteValidPage(os, process, va, pte_va, pte); break;
    case PTE_FORM_PROTOTYPE: MiDeletePointerToPrototype(os, process, pte); break;
    case PTE_FORM_TRANSITION: MiDeleteTransitionPage(os, pte_va, pte_frame(pte)); break;
    case PTE_FORM_PAGE_FILE: MI_MUTANT(147, MiReleasePageFileSpace(os, pte), (void)0); break;
    case PTE_FORM_DEMAND_ZERO: break;
    }
    if (form == PTE_FORM_VALID && list != NULL) {
        MiAddToPteList(os, list, pte_va, va, new_value);
    } else {
        MiWritePte(os, pte_va, new_value);
    }
    if (MI_MUTANT(141, new_value == 0, false)) { MiDecrementUsedPteCount(os, va); }
    return form == PTE_FORM_VALID;
}

static uint32_t MiUsedPteCount(struct os *os, va_t va) {
    return MiRead16(os, MM_WORKING_SET_LIST + WSL_USED_PTES + sizeof(uint16_t) * MiGetPdeIndex(va));
}

/* The part of [va, end] in one page table, which exists. */
static bool MiDeleteRangeOfTable(struct os *os, struct eprocess *process, va_t va, va_t end, pte_t new_value,
                                 struct mmptelist *list) {
    bool valid = false;
    /* No entry but those counted is non-zero: a scan that has met them all may stop. */
    uint32_t left = new_value == 0 ? MiUsedPteCount(os, va) : MM_PTE_PER_PAGE;
    for (; va <= end && left != 0; va += PAGE_SIZE) {
        va_t pte_va = MiGetPteAddress(va);
        if (new_value != 0 || MiReadPte(os, pte_va) != 0) {
            valid |= MiDeletePte(os, process, pte_va, new_value, list);
            left--;
        }
    }
    return valid;
}

bool MiDeleteVirtualAddresses(struct os *os, struct eprocess *process, va_t start, va_t end, pte_t new_value,
                              bool flush_each) {
    struct mmptelist list = {0};
    struct mmptelist *batch = flush_each ? &list : NULL;
    bool valid = false;
    for (va_t va = start; va <= end; va = (va & ~(MM_PAGE_TABLE_SPAN - 1)) + MM_PAGE_TABLE_SPAN) {
        pte_t pde = MiReadPte(os, MiGetPdeAddress(va));
        if (pde == 0) { continue; }
        if (!(pde & PTE_VALID)) {
            if (batch || valid) { MiFlushBeforeWait(os, batch, new_value); }
            MiWaitForPageTable(os, va);
        }
        valid |= MiDeleteRangeOfTable(os, process, va, MiLastOfTable(va, end), new_value, batch);
        if (MiUsedPteCount(os, va) == 0) {
            if (batch != NULL) {
                MiFlushPteList(os, batch, false, new_value); /* the PTEs must be stored before their table goes */
            }
            MiDeletePageTableIfUnused(os, va);
        }
    }
    if (batch != NULL) { MiFlushPteList(os, batch, false, new_value); }
    return valid;
}

/* At deletion one CR3 load serves a whole VAD (NT-74); counting by the reference rules names each page instead. */
static void MiCleanRange(struct os *os, struct eprocess *process, va_t start, va_t end) {
    bool flush_each = os->Config.reference_counting;
    if (MiDeleteVirtualAddresses(os, process, start, end, 0, flush_each) && !flush_each) {
        MI_MUTANT(197, KeFlushCurrentTb(os, end), (void)0);
    }
}

void MmCleanProcessAddressSpace(struct os *os, struct eprocess *process) {
    if (process->NumberOfLockedPages != 0) {
        KeBugCheckEx(os, BUGCHECK_PROCESS_HAS_LOCKED_PAGES, 0, process->Address, process->NumberOfLockedPages, 0);
    }
    MiFreeSecuredRanges(process);
    process->GoingEnd = MM_HIGHEST_USER_ADDRESS; /* from 0: nobody gets back what has gone while this waits */
    while (process->VadRoot != NULL) {
        struct mmvad *vad = MiFirstVad(process);
        if (vad->PhysicalMapping) {
            MiRemovePhysicalMapping(os, process, vad);
        } else if (vad->ControlArea != NULL) {
            MiDeleteViewPages(os, process, vad);
        } else {
            MiCleanRange(os, process, vad->StartingAddress, vad->EndingAddress);
        }
        MiRemoveVad(os, process, vad);
        MiReturnCommitment(os, vad->CommitCharge, process);
        if (vad->ControlArea != NULL) { MiReleaseView(os, vad); } /* its section may go, and wait */
        MiFreeHost(vad);
    }
    MiCleanRange(os, process, MM_SHARED_USER_PAGE, MM_SHARED_USER_PAGE + PAGE_MASK); /* it has no VAD */
    MiReleaseCloneDescriptors(os, process);
    process->GoingEnd = 0;
}
