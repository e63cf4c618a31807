/* NtAllocateVirtualMemory (NT-77): reserve, commit, reset. */
#include "mi.h"

#define ALLOCATION_GRANULARITY 0x10000u
#define MM_MAXIMUM_ZERO_BITS   21u

static ntstatus_t MiCheckArguments(const struct eprocess *process, uint32_t base, uint32_t zero_bits, uint32_t size,
                                   uint32_t type, int protection) {
    if (zero_bits > MM_MAXIMUM_ZERO_BITS) { return STATUS_INVALID_PARAMETER_3; }
    bool reset = (type & MEM_RESET) != 0;
    if ((type & ~(uint32_t)(MEM_COMMIT | MEM_RESERVE | MEM_TOP_DOWN | MEM_RESET)) != 0 ||
        (type & (MEM_COMMIT | MEM_RESERVE | MEM_RESET)) == 0 || (reset && type != MEM_RESET)) {
        return STATUS_INVALID_PARAMETER_5;
    }
    if (protection < 0 || (protection & 7) == MM_WRITECOPY || (protection & 7) == MM_EXECUTE_WRITECOPY) {
        return STATUS_INVALID_PAGE_PROTECTION;
    }
    if (base > MM_HIGHEST_VAD_ADDRESS || (base != 0 && base < MM_LOWEST_USER_ADDRESS)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (size == 0 || size - 1 > MM_HIGHEST_VAD_ADDRESS - base) { return STATUS_INVALID_PARAMETER_4; }
    return process->Exiting ? STATUS_PROCESS_IS_TERMINATING : STATUS_SUCCESS;
}

/* ---- reserve ---- */

static ntstatus_t MiChooseRange(const struct eprocess *process, uint32_t base, uint32_t zero_bits, uint32_t size,
                                uint32_t type, va_t *start, va_t *end) {
    if (base != 0) {
        *start = base & ~(va_t)(ALLOCATION_GRANULARITY - 1);
        *end = ((va_t)base + size - 1) | PAGE_MASK;
        return MiCheckForConflictingVad(process, *start, *end) == NULL ? STATUS_SUCCESS : STATUS_CONFLICTING_ADDRESSES;
    }
    va_t highest = 0xFFFFFFFFu >> zero_bits;
    if (highest > MM_HIGHEST_VAD_ADDRESS) { highest = MM_HIGHEST_VAD_ADDRESS; }
    if (!MiFindEmptyAddressRange(process, size, (type & MEM_TOP_DOWN) != 0, highest, start)) {
        return STATUS_NO_MEMORY;
    }
    *end = (*start + size - 1) | PAGE_MASK;
    return STATUS_SUCCESS;
}

static ntstatus_t MiReserve(struct os *os, struct eprocess *process, va_t start, va_t end, bool commit,
                            unsigned protection) {
    uint32_t charge = commit ? MiRangePages(start, end) : 0;
    ntstatus_t charged = MiChargeProcessCommitment(os, charge, process);
    if (!NT_SUCCESS(charged)) { return charged; }
    struct mmvad *vad = MiAllocateHost(os, sizeof(*vad));
    vad->StartingAddress = start;
    vad->EndingAddress = end;
    vad->CommitCharge = charge;
    vad->Protection = (uint8_t)protection;
    vad->PrivateMemory = true;
    vad->MemCommit = commit;
    ntstatus_t status = MiInsertVad(os, process, vad);
    if (status != STATUS_SUCCESS) {
        MiReturnCommitment(os, charge, process);
        MiFreeHost(vad);
    }
    return status;
}

/* ---- commit of private memory ---- */

/* Pages of [start, end] that are not committed yet. */
static uint32_t MiCountUncommitted(struct os *os, const struct mmvad *vad, va_t start, va_t end) {
    uint32_t count = 0;
    for (va_t va = start; va <= end;) {
        va_t last = MiLastOfTable(va, end);
        if (MiReadPte(os, MiGetPdeAddress(va)) == 0) {
            count += vad->MemCommit ? 0 : MiRangePages(va, last);
        } else {
            for (va_t page = va; page <= last; page += PAGE_SIZE) {
                pte_t pte = MiReadPte(os, MiGetPteAddress(page));
                count += pte == 0 ? !vad->MemCommit : pte == PTE_DECOMMITTED;
            }
        }
        va = last + 1;
    }
    return count;
}

/* Gives the uncommitted pages of one page table, which is valid, their demand-zero PTEs; then the committed ones the
 * new protection. Returns how many became committed. */
static uint32_t MiCommitRangeOfTable(struct os *os, struct mmvad *vad, va_t start, va_t end, unsigned protection,
                                     bool *others) {
    uint32_t count = 0;
    for (va_t va = start; va <= end; va += PAGE_SIZE) {
        va_t pte_va = MiGetPteAddress(va);
        pte_t pte = MiReadPte(os, pte_va);
        if (pte == PTE_DECOMMITTED || (pte == 0 && !vad->MemCommit)) {
            if (pte == 0) { MiIncrementUsedPteCount(os, va); }
            MiWritePte(os, pte_va, pte_demand_zero(protection));
            count++;
        } else {
            *others = true;
        }
    }
    return count;
}

/* Pages that were committed before take the new protection if theirs differs. */
static ntstatus_t MiReprotectCommitted(struct os *os, struct eprocess *process, va_t start, va_t end,
                                       unsigned protection) {
    ntstatus_t status = STATUS_SUCCESS;
    for (va_t va = start; va <= end && status == STATUS_SUCCESS; va += PAGE_SIZE) {
        bool committed;
        if (MiQueryPageProtection(os, process, va, &committed) != protection) {
            status = MiSetProtectionOnRange(os, process, va, va, protection);
        }
    }
    return status;
}

static ntstatus_t MiCommitPrivate(struct os *os, struct eprocess *process, struct mmvad *vad, va_t start, va_t end,
                                  unsigned protection) {
    if (MiIsSecured(process, start, end, protection)) { return STATUS_INVALID_PAGE_PROTECTION; } /* as NtProtect */
    uint32_t charge = MiCountUncommitted(os, vad, start, end), used = 0;
    ntstatus_t charged = MiChargeProcessCommitment(os, charge, process);
    if (!NT_SUCCESS(charged)) { return charged; }
    ntstatus_t status = STATUS_SUCCESS;
    bool others = false;
    for (va_t va = start; va <= end;) {
        va_t last = MiLastOfTable(va, end);
        if (vad->MemCommit && MiReadPte(os, MiGetPdeAddress(va)) == 0) {
            others = true; /* committed, untouched */
        } else {
            status = MiMakePageTableValid(os, va);
            if (status != STATUS_SUCCESS) { break; }
            used += MiCommitRangeOfTable(os, vad, va, last, protection, &others);
        }
        va = last + 1;
    }
    vad->CommitCharge += used;
    MiReturnCommitment(os, charge - used, process); /* waiting for a frame: the repeated call charges the rest */
    if (status == STATUS_SUCCESS && others) { status = MiReprotectCommitted(os, process, start, end, protection); }
    return status;
}

static ntstatus_t MiCommit(struct os *os, struct eprocess *process, va_t start, va_t end, unsigned protection) {
    struct mmvad *vad = MiLocateAddress(process, start);
    if (vad == NULL || end > vad->EndingAddress || vad->PhysicalMapping) { return STATUS_CONFLICTING_ADDRESSES; }
    if (vad->ControlArea == NULL) { return MiCommitPrivate(os, process, vad, start, end, protection); }
    if (vad->ImageMap || !vad->ControlArea->Reserve) { return STATUS_ALREADY_COMMITTED; }
    return MiCommitReservedView(os, vad, start, end);
}

/* ---- reset: contents of private pages need not be kept ---- */

static void MiResetPage(struct os *os, va_t va) {
    va_t pte_va = MiGetPteAddress(va);
    pte_t pte = MiReadPte(os, pte_va);
    enum pte_form form = pte_form(pte);
    if (form == PTE_FORM_PAGE_FILE) { /* what nobody needs is not read back */
        MiReleasePageFileSpace(os, pte);
        MiWritePte(os, pte_va, pte_demand_zero(pte_protection(pte)));
    }
    if (form != PTE_FORM_VALID && form != PTE_FORM_TRANSITION) { return; }
    pfn_t frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn.Flags & (PFN_PROTOTYPE | PFN_READ_IN_PROGRESS)) { return; } /* being read, it needs its slot */
    bool on_modified = form == PTE_FORM_TRANSITION && pfn.ReferenceCount == 0 && (pfn.Flags & PFN_MODIFIED);
    if (on_modified) {
        MiUnlinkPageFromList(os, frame);
        pfn = MiReadPfn(os, frame);
    } else if (form == PTE_FORM_VALID && (pte & PTE_DIRTY)) {
        MiWritePte(os, pte_va, pte & ~(pte_t)PTE_DIRTY);
        MI_MUTANT(186, MiFlushSingleTb(os, va), (void)0);
    }
    if (!(pfn.Flags & PFN_WRITE_IN_PROGRESS)) {
        MiReleasePageFileSpace(os, pfn.OriginalPte);
        pfn.OriginalPte = (mmpte_t)pte_demand_zero(pte_protection(pfn.OriginalPte));
    }
    pfn.Flags &= (uint16_t)~PFN_MODIFIED;
    if (on_modified) {
        MiInsertPfnInList(os, StandbyPageList, frame, pfn); /* K07: in one step */
    } else {
        MiWritePfn(os, frame, &pfn);
    }
}

static ntstatus_t MiReset(struct os *os, struct eprocess *process, va_t start, va_t end) {
    struct mmvad *vad = MiLocateAddress(process, start);
    if (vad == NULL || end > vad->EndingAddress || vad->PhysicalMapping) { return STATUS_CONFLICTING_ADDRESSES; }
    for (va_t va = start; va <= end && vad->ControlArea == NULL;) {
        va_t last = MiLastOfTable(va, end);
        if (MiReadPte(os, MiGetPdeAddress(va)) != 0) {
            for (; va <= last; va += PAGE_SIZE) { MiResetPage(os, va); }
        }
        va = last + 1;
    }
    return STATUS_SUCCESS;
}

ntstatus_t NtAllocateVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t zero_bits,
                                   uint32_t *size, uint32_t type, uint32_t protect) {
    int protection = MiMakeProtectionMask(protect);
    ntstatus_t status = MiCheckArguments(process, *base, zero_bits, *size, type, protection);
    if (status != STATUS_SUCCESS) { return status; }
    va_t start = page_of(*base), end = ((va_t)*base + *size - 1) | PAGE_MASK;
    if (type == MEM_RESET) {
        status = MiReset(os, process, start, end);
    } else if (*base == 0 || (type & MEM_RESERVE)) {
        status = MiChooseRange(process, *base, zero_bits, *size, type, &start, &end);
        if (status == STATUS_SUCCESS) {
            status = MiReserve(os, process, start, end, (type & MEM_COMMIT) != 0, (unsigned)protection);
        }
    } else {
        status = MiCommit(os, process, start, end, (unsigned)protection);
    }
    if (status == STATUS_SUCCESS) {
        *base = (uint32_t)start;
        *size = (uint32_t)(end + 1 - start);
    }
    return status;
}
