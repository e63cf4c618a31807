/* NtFreeVirtualMemory (NT-78): decommit and release of private memory. */
#include "mi.h"

/* Gives a page the decommitted marker. Returns 1 if it was committed. */
static uint32_t MiDecommitPage(struct os *os, struct eprocess *process, struct mmvad *vad, va_t va,
                               struct mmptelist *list) {
    va_t pte_va = MiGetPteAddress(va);
    pte_t pte = MiReadPte(os, pte_va);
    if (pte == PTE_DECOMMITTED || (pte == 0 && !vad->MemCommit)) { return 0; }
    MiDeletePte(os, process, pte_va, PTE_DECOMMITTED, list);
    return 1;
}

/* Decommits [start, end]. Where the VAD itself says "committed", an untouched page needs an explicit marker and so a
 * page table. Commit is returned for what was done, so that the call can be repeated after a wait for a frame. */
static ntstatus_t MiDecommitPages(struct os *os, struct eprocess *process, struct mmvad *vad, va_t start, va_t end) {
    struct mmptelist list = {0};
    uint32_t returned = 0;
    ntstatus_t status = STATUS_SUCCESS;
    for (va_t va = start; va <= end;) {
        va_t last = MiLastOfTable(va, end);
        if (!vad->MemCommit && MiReadPte(os, MiGetPdeAddress(va)) == 0) {
            va = last + 1;
            continue;
        }
        if (!(MiReadPte(os, MiGetPdeAddress(va)) & PTE_VALID)) { MiFlushPteList(os, &list, false, PTE_DECOMMITTED); }
        status = MiMakePageTableValid(os, va);
        if (status != STATUS_SUCCESS) { break; }
        for (; va <= last; va += PAGE_SIZE) { returned += MiDecommitPage(os, process, vad, va, &list); }
        va = last + 1;
    }
    MiFlushPteList(os, &list, false, PTE_DECOMMITTED);
    vad->CommitCharge -= returned;
    MI_MUTANT(167, MiReturnCommitment(os, returned, process), (void)0);
    return status;
}

/* Committed private pages in [start, end] of a VAD. */
static uint32_t MiCountCommittedPages(struct os *os, const struct mmvad *vad, va_t start, va_t end) {
    uint32_t committed = 0;
    for (va_t va = start; va <= end;) {
        va_t last = MiLastOfTable(va, end);
        if (MiReadPte(os, MiGetPdeAddress(va)) == 0) {
            committed += vad->MemCommit ? MiRangePages(va, last) : 0;
        } else {
            for (va_t page = va; page <= last; page += PAGE_SIZE) {
                pte_t pte = MiReadPte(os, MiGetPteAddress(page));
                committed += pte == 0 ? vad->MemCommit : pte != PTE_DECOMMITTED;
            }
        }
        va = last + 1;
    }
    return committed;
}

static void MiReleaseWhole(struct os *os, struct eprocess *process, struct mmvad *vad) {
    MiDeleteVirtualAddresses(os, process, vad->StartingAddress, vad->EndingAddress, 0, true);
    MiRemoveVad(os, process, vad);
    MiReturnCommitment(os, vad->CommitCharge, process);
    MiFreeHost(vad);
}

/* Cuts [start, end] out of the VAD, which may leave two. */
static void MiReleasePart(struct os *os, struct eprocess *process, struct mmvad *vad, va_t start, va_t end) {
    uint32_t returned = MiCountCommittedPages(os, vad, start, end);
    MiDeleteVirtualAddresses(os, process, start, end, 0, true);
    vad->CommitCharge -= returned;
    if (end == vad->EndingAddress) {
        vad->EndingAddress = start - 1;
    } else if (start == vad->StartingAddress) {
        vad->StartingAddress = end + 1;
    } else {
        struct mmvad *upper = MiAllocateHost(os, sizeof(*upper));
        *upper = *vad;
        upper->StartingAddress = end + 1;
        upper->CommitCharge = MiCountCommittedPages(os, vad, end + 1, vad->EndingAddress);
        vad->EndingAddress = start - 1;
        vad->CommitCharge -= upper->CommitCharge;
        if (MiInsertVad(os, process, upper) != STATUS_SUCCESS) { /* its page tables are charged already */
            MiAssert(os, "no commit for the upper half of a split region");
        }
    }
    MiReturnPageTableCommitment(os, process, start, end);
    MiReturnCommitment(os, returned, process);
}

ntstatus_t NtFreeVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size, uint32_t type) {
    if (type != MEM_DECOMMIT && type != MEM_RELEASE) { return STATUS_INVALID_PARAMETER_4; }
    if (process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    va_t start = page_of(*base), end = ((va_t)*base + *size - 1) | PAGE_MASK;
    struct mmvad *vad = MiLocateAddress(process, start);
    if (vad == NULL) { return STATUS_MEMORY_NOT_ALLOCATED; }
    if (vad->ControlArea != NULL) { return STATUS_UNABLE_TO_DELETE_SECTION; }
    if (vad->PhysicalMapping) { return STATUS_UNABLE_TO_FREE_VM; }
    if (*size == 0) {
        if (start != vad->StartingAddress) { return STATUS_FREE_VM_NOT_AT_BASE; }
        end = vad->EndingAddress;
    } else if (end > vad->EndingAddress) {
        return STATUS_UNABLE_TO_FREE_VM;
    }
    if (MiIsSecured(process, start, end, MM_ZERO_ACCESS)) { return STATUS_UNABLE_TO_FREE_VM; }
    ntstatus_t status = STATUS_SUCCESS;
    if (type == MEM_DECOMMIT) {
        status = MiDecommitPages(os, process, vad, start, end);
    } else {
        process->GoingStart = start;
        process->GoingEnd = end;
        if (start == vad->StartingAddress && end == vad->EndingAddress) {
            MiReleaseWhole(os, process, vad);
        } else {
            MiReleasePart(os, process, vad, start, end);
        }
        process->GoingStart = process->GoingEnd = 0;
    }
    if (status == STATUS_SUCCESS) {
        *base = (uint32_t)start;
        *size = (uint32_t)(end - start + 1);
    }
    return status;
}
