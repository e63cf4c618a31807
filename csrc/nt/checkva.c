/* What a user address without a page-table entry of its own stands for: NT-48, and the access check NT-49. */
#include "mi.h"

/* It is being taken away, by a call that may wait. */
static bool MiIsGoing(const struct eprocess *process, va_t va) {
    return va >= process->GoingStart && va <= process->GoingEnd;
}

bool MiCheckVirtualAddress(struct os *os, struct eprocess *process, va_t va, unsigned *protection, va_t *prototype) {
    *protection = 0;
    *prototype = 0;
    const struct mmvad *vad = MiLocateAddress(process, va);
    if (MiIsGoing(process, va)) { return false; }
    if (!vad || vad->PhysicalMapping) { return false; }
    if (vad->PrivateMemory) {
        *protection = vad->Protection;
        return vad->MemCommit;
    }
    *prototype = MiGetProtoPteAddress(os, vad, va, protection);
    if (*prototype != 0) {
        *protection = MiViewPageProtection(os, vad, va);
        return true;
    }
    return *protection != 0; /* a private piece of an image (bss), or nothing */
}

unsigned MiPrototypeProtection(struct os *os, pte_t prototype_pte) {
    if (pte_form(prototype_pte) != PTE_FORM_VALID) { return pte_protection(prototype_pte); }
    return pte_protection(MiReadPfn(os, pte_frame(prototype_pte)).OriginalPte);
}

static bool MiProtectionAllowsWrite(unsigned protection) { return (protection & MM_READWRITE) != 0; }

/* The guard stands in the PTE's protection; that of an inherited page in a prototype which other processes still need:
 * guard.c clears it, once no lock is held. */
static ntstatus_t MiClearGuard(struct os *os, struct mmfault *fault, pte_t pte) {
    if (pte_form(pte) == PTE_FORM_PROTOTYPE && !pte_is_vad_lookup(pte)) {
        fault->PteContents = pte;
        return MI_SHARED_GUARD;
    }
    if (pte_form(pte) == PTE_FORM_TRANSITION) { /* the next trim takes the protection from the frame */
        struct mmpfn pfn = MiReadPfn(os, pte_frame(pte));
        pfn.OriginalPte &= ~((mmpte_t)MM_GUARD_PAGE << PTE_PROTECTION_SHIFT);
        MiWritePfn(os, pte_frame(pte), &pfn);
    }
    MiWritePte(os, fault->PointerPte, pte & ~((pte_t)MI_MUTANT(180, MM_GUARD_PAGE, 0) << PTE_PROTECTION_SHIFT));
    return STATUS_GUARD_PAGE_VIOLATION;
}

ntstatus_t MiAccessCheck(struct os *os, struct mmfault *fault, pte_t pte) {
    bool kernel_page = pte_form(pte) == PTE_FORM_TRANSITION && !(pte & PTE_OWNER);
    if (fault->User && kernel_page) { return STATUS_ACCESS_VIOLATION; }
    if ((fault->Protection & 7) == 0) { return STATUS_ACCESS_VIOLATION; } /* no-access and decommitted, too */
    if (fault->Write && !MiProtectionAllowsWrite(fault->Protection)) { return STATUS_ACCESS_VIOLATION; }
    if (fault->Protection & MM_GUARD_PAGE) { return MiClearGuard(os, fault, pte); }
    return STATUS_SUCCESS;
}
