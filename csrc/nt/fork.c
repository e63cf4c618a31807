/* Fork: NT-73. The parent's private pages get prototype PTEs of their own (clones) and become copy-on-write in both;
 * views are inherited. First the parent's tables are changed, in its context; then the child's are written, in the
 * child's. A fork may wait for a page table or for a page of clones, and others run meanwhile, other forks too: what it
 * has done so far to a page is then complete. */
#include "mi.h"

#include <string.h>

#define TAG_CLONE       0x6C43 /* "Cl" */
#define FRAMES_TO_SPARE 8u

struct child_pte {
    va_t va;
    pte_t pte;
};

struct fork {
    struct os *os;
    struct eprocess *parent, *child;
    struct child_pte *ptes; /* ascending */
    size_t count, capacity;
    uint32_t page_tables;           /* of the child: charged, until its VADs cover them */
    uint32_t charge;                /* pages of commit the child inherits */
    uint32_t pages;                 /* counting: of the VAD that have to become clones */
    struct mmclone *unused, **last; /* blocks made for it that have no page yet, in the order of the VADs */
    struct mmclone *block;          /* converting, Live counts it meanwhile: the next page becomes a clone in it, */
    uint32_t next, stored;          /* with this index; prototype PTEs from this one on are still here: */
    mmpte_t prototypes[MM_PTE_PER_PAGE];
    bool begun, unflushed; /* a page was changed; the TLB may still have it as it was */
};

/* ---- clone blocks ---- */

static bool MiInClone(const struct mmclone *clone, va_t prototype) {
    return prototype >= clone->BasePte && prototype - clone->BasePte < (va_t)clone->Count * PTE_SIZE;
}

struct mmclone *MiLocateClone(struct os *os, struct eprocess *process, va_t prototype) {
    (void)os;
    for (struct mmclone_descriptor *d = process->Clones; d; d = d->Next) {
        if (MiInClone(d->Clone, prototype)) { return d->Clone; }
    }
    return NULL;
}

static void MiAddDescriptor(struct os *os, struct eprocess *process, struct mmclone *clone) {
    for (struct mmclone_descriptor *d = process->Clones; d; d = d->Next) {
        if (d->Clone == clone) { return; }
    }
    struct mmclone_descriptor *d = MiAllocateHost(os, sizeof *d);
    *d = (struct mmclone_descriptor){.Next = process->Clones, .Clone = clone};
    process->Clones = d;
    clone->Processes++;
}

static void MiRemoveDescriptor(struct eprocess *process, struct mmclone *clone) {
    for (struct mmclone_descriptor **at = &process->Clones; *at; at = &(*at)->Next) {
        struct mmclone_descriptor *d = *at;
        if (d->Clone != clone) { continue; }
        *at = d->Next;
        MiFreeHost(d);
        clone->Processes--;
        return;
    }
}

static struct mmclone *MiCreateCloneBlock(struct os *os, uint32_t count) {
    va_t base = MiAllocateSectionPool(os, true, count * PTE_SIZE, TAG_CLONE);
    if (!base) { return NULL; }
    struct mmclone *clone = MiAllocateHost(os, sizeof *clone);
    clone->BasePte = base;
    clone->Count = count;
    clone->CloneRefCount = MiAllocateHost(os, count * sizeof *clone->CloneRefCount);
    clone->Next = os->CloneBlocks;
    os->CloneBlocks = clone;
    MiFillPrototypes(os, base, count, 0); /* its pages are resident from now on */
    return clone;
}

static void MiFreeCloneBlock(struct os *os, struct mmclone *clone) {
    struct mmclone **at = &os->CloneBlocks;
    while (*at != clone) { at = &(*at)->Next; }
    *at = clone->Next;
    for (struct eprocess *p = os->Processes; p; p = p->Next) { MiRemoveDescriptor(p, clone); }
    ExFreePool(os, clone->BasePte);
    MiFreeHost(clone->CloneRefCount);
    MiFreeHost(clone);
}

/* Nobody has the page any more. Taken over by its last owner, its prototype PTE is 0 already. */
static void MiReleaseClonePrototype(struct os *os, va_t prototype) {
    pte_t pte = MiReadPte(os, prototype);
    enum pte_form form = pte_form(pte);
    if (form == PTE_FORM_ZERO) { return; }
    MiWritePte(os, prototype, 0);
    MiReleasePageFileSpace(os, pte);
    if (form != PTE_FORM_VALID && form != PTE_FORM_TRANSITION) { return; }
    pfn_t frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiPrototypeLeftMemory(os, prototype);
    MiSetPfnDeleted(os, frame);
    if (form == PTE_FORM_TRANSITION && pfn.ReferenceCount == 0) {
        MiUnlinkPageFromList(os, frame);
        MiReleasePageFileSpace(os, pfn.OriginalPte);
        MiInsertPageInList(os, FreePageList, frame);
    }
}

bool MiIsLastCloneReference(struct os *os, struct eprocess *process, va_t prototype) {
    const struct mmclone *clone = MiLocateClone(os, process, prototype);
    return clone && clone->CloneRefCount[(prototype - clone->BasePte) / PTE_SIZE] == 1;
}

void MiDecrementCloneBlockReference(struct os *os, struct eprocess *process, va_t prototype) {
    struct mmclone *clone = MiLocateClone(os, process, prototype);
    uint16_t *count = clone ? &clone->CloneRefCount[(prototype - clone->BasePte) / PTE_SIZE] : NULL;
    if (!count || *count == 0) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 1, prototype, process->Address, 0); }
    if (--*count != 0) { return; }
    MiReleaseClonePrototype(os, prototype);
    if (--clone->Live == 0) {
        MiRemoveDescriptor(process, clone);
        MiFreeCloneBlock(os, clone);
    }
}

void MiReleaseCloneDescriptors(struct os *os, struct eprocess *process) {
    while (process->Clones) {
        struct mmclone *clone = process->Clones->Clone;
        MiRemoveDescriptor(process, clone);
        if (clone->Processes == 0) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 1, clone->BasePte, clone->Live, 0); }
    }
}

/* ---- walking the parent ---- */

static bool MiInherited(const struct mmvad *vad) {
    return !vad->PhysicalMapping && !(vad->ControlArea && vad->ViewUnmap);
}

/* ---- counting what the fork takes, so that it fails before anything is changed ---- */

static bool MiIsPrivatePage(struct os *os, pte_t pte) {
    switch (pte_form(pte)) {
    case PTE_FORM_VALID:
        return !(MiRead16(os, pfn_address(pte_frame(pte)) + offsetof(struct mmpfn, Flags)) & PFN_PROTOTYPE);
    case PTE_FORM_TRANSITION:
    case PTE_FORM_PAGE_FILE: return true;
    default: return false;
    }
}

/* The PTEs of [va, last], which are in one page table, and how many of them are of private pages. */
static uint32_t MiReadForkedPtes(struct os *os, va_t va, va_t last, mmpte_t *entries) {
    uint32_t n = MiRangePages(va, last), count = 0;
    os->M->ops->read(os->M, MiGetPteAddress(va), entries, n * sizeof entries[0]);
    for (uint32_t i = 0; i < n; i++) { count += MiIsPrivatePage(os, entries[i]); }
    return count;
}

static void MiCountPages(struct fork *f, va_t start, va_t end) {
    mmpte_t entries[MM_PTE_PER_PAGE];
    for (va_t va = start, last; va <= end; va = last + 1) {
        last = MiLastOfTable(va, end);
        if (MiReadPte(f->os, MiGetPdeAddress(va)) == 0) { continue; }
        MiWaitForPageTable(f->os, va);
        f->pages += MiReadForkedPtes(f->os, va, last, entries);
    }
}

static uint32_t MiTablesNotIn(va_t start, va_t end, va_t *covered) {
    va_t first = start / MM_PAGE_TABLE_SPAN, last = end / MM_PAGE_TABLE_SPAN;
    if (first < *covered) { first = *covered; }
    *covered = last + 1 > *covered ? last + 1 : *covered;
    return last >= first ? (uint32_t)(last - first + 1) : 0;
}

static void MiCountChild(struct fork *f) {
    va_t covered = 0;
    f->charge = f->page_tables = 0;
    for (struct mmvad *vad = MiFirstVad(f->parent); vad; vad = MiNextVad(vad)) {
        if (!MiInherited(vad)) { continue; }
        f->charge += MI_MUTANT_OF(f->os, 168, vad->CommitCharge, 0);
        f->page_tables += MiTablesNotIn(vad->StartingAddress, vad->EndingAddress, &covered);
    }
}

/* Charges the child for what it inherits and for its page tables, all at once: half-way it is too late to fail. The
 * charge may wait (NT-95), but the caller keeps the parent's address space as it is. */
static ntstatus_t MiChargeChild(struct fork *f) {
    MiCountChild(f);
    return MiChargeProcessCommitment(f->os, f->charge + f->page_tables, f->child);
}

static void MiFreeUnusedBlocks(struct fork *f) {
    while (f->unused) {
        struct mmclone *block = f->unused;
        f->unused = block->NextOfFork;
        MiFreeCloneBlock(f->os, block);
    }
}

static bool MiAddBlock(struct fork *f, uint32_t pages) {
    struct mmclone *block = MiCreateCloneBlock(f->os, pages);
    if (!block) { return false; }
    *(f->unused ? f->last : &f->unused) = block;
    f->last = &block->NextOfFork;
    return true;
}

/* A block for each VAD with private pages. */
static ntstatus_t MiCreateBlocks(struct fork *f) {
    for (struct mmvad *vad = MiFirstVad(f->parent); vad; vad = MiNextVad(vad)) {
        f->pages = 0;
        if (MiInherited(vad)) { MiCountPages(f, vad->StartingAddress, vad->EndingAddress); }
        uint32_t frames = f->pages / MM_PTE_PER_PAGE + 2 + f->page_tables + FRAMES_TO_SPARE;
        bool ok = MiFramesAvailableOrWanted(f->os, frames);
        if (!ok || (f->pages && !MiAddBlock(f, f->pages))) {
            const uint32_t missing = f->os->FramesMissing;
            MiFreeUnusedBlocks(f);
            f->os->FramesMissing = missing; /* others may have waited for more meanwhile */
            return ok ? STATUS_INSUFFICIENT_RESOURCES : MI_WAIT_FOR_PAGE;
        }
    }
    return STATUS_SUCCESS;
}

/* ---- converting the parent ---- */

static void MiGiveChild(struct fork *f, va_t va, pte_t pte) {
    if (f->count == f->capacity) {
        f->capacity = f->capacity ? 2 * f->capacity : 1024;
        struct child_pte *ptes = MiAllocateHost(f->os, f->capacity * sizeof *ptes);
        if (f->count) { memcpy(ptes, f->ptes, f->count * sizeof *ptes); }
        MiFreeHost(f->ptes);
        f->ptes = ptes;
    }
    f->ptes[f->count++] = (struct child_pte){va, pte};
}

static void MiFlushForkedPage(struct fork *f, va_t va) {
    if (f->os->Config.reference_counting) { MiFlushSingleTb(f->os, va); }
}

static unsigned MiCloneProtection(unsigned protection) {
    bool writable = (protection & 7) == MM_READWRITE || (protection & 7) == MM_EXECUTE_READWRITE;
    return writable ? protection + 1 : protection;
}

static va_t MiNextPrototype(const struct fork *f) { return f->block->BasePte + (va_t)f->next * PTE_SIZE; }

/* The frame belongs to the clone's prototype PTE from now on. Returns the protection it has there. */
static unsigned MiGiveFrameToClone(struct fork *f, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(f->os, frame);
    unsigned protection = MiCloneProtection(pte_protection(pfn.OriginalPte));
    pfn.Flags |= PFN_PROTOTYPE;
    pfn.PteAddress = MI_MUTANT_OF(f->os, 156, (uint32_t)MiNextPrototype(f), pfn.PteAddress);
    pfn.ContainingFrame = (uint32_t)pte_frame(MiReadPte(f->os, MiGetPteAddress(pfn.PteAddress)));
    pfn.OriginalPte = (mmpte_t)pte_with_protection(pfn.OriginalPte, protection);
    MiWritePfn(f->os, frame, &pfn);
    return protection;
}

static void MiStorePrototype(struct fork *f, pte_t prototype) {
    f->prototypes[f->next - f->stored] = (mmpte_t)prototype;
    f->block->CloneRefCount[f->next] = 2;
    f->block->Live++;
    f->next++;
}

static void MiCloneValidPage(struct fork *f, va_t va, pte_t pte) {
    pfn_t frame = pte_frame(pte);
    MI_MUTANT_OF(f->os, 118, MiCaptureDirty(f->os, frame, pte), (void)0);
    unsigned protection = MiGiveFrameToClone(f, frame);
    pte_t changed = pte;
    if (MI_MUTANT_OF(f->os, 157, (pte & PTE_WRITE), false)) {
        changed = (pte_valid_user(frame, protection) & ~(pte_t)PTE_ACCESSED) | (pte & PTE_ACCESSED);
    }
    if (changed != pte) {
        MiWritePte(f->os, MiGetPteAddress(va), changed);
        f->unflushed = true;
    }
    MiFlushForkedPage(f, va);
    MiSetWsleProtection(f->os, &f->parent->Vm, va, frame, 0);
    MiGiveChild(f, va, pte_pointer(MiNextPrototype(f)));
    pte_t prototype = pte_valid_prototype(frame, protection) & ~(pte_t)PTE_GLOBAL;
    MiStorePrototype(f, prototype | f->os->GlobalBit);
}

static void MiCloneTransitionPage(struct fork *f, va_t va, pte_t pte) {
    pfn_t frame = pte_frame(pte);
    unsigned protection = MiCloneProtection(pte_protection(pte));
    MiGiveFrameToClone(f, frame);
    MiDecrementShareCount(f->os, pte_frame(MiReadPte(f->os, MiGetPdeAddress(va))));
    MiWritePte(f->os, MiGetPteAddress(va), pte_pointer(MiNextPrototype(f)));
    MiGiveChild(f, va, pte_pointer(MiNextPrototype(f)));
    MiStorePrototype(f, pte_transition(pte_valid_prototype(frame, protection), protection));
}

static void MiClonePageFilePage(struct fork *f, va_t va, pte_t pte) {
    MiWritePte(f->os, MiGetPteAddress(va), pte_pointer(MiNextPrototype(f)));
    MiGiveChild(f, va, pte_pointer(MiNextPrototype(f)));
    MiStorePrototype(f, pte_with_protection(pte, MiCloneProtection(pte_protection(pte))));
}

/* One more process has a page of an earlier fork. */
static void MiShareClone(struct fork *f, struct mmclone *clone, va_t prototype) {
    uint16_t *count = &clone->CloneRefCount[(prototype - clone->BasePte) / PTE_SIZE];
    if (*count == 0 || *count == UINT16_MAX) {
        KeBugCheckEx(f->os, BUGCHECK_MEMORY_MANAGEMENT, 1, prototype, f->parent->Address, *count);
    }
    *count += MI_MUTANT_OF(f->os, 142, 1, 0);
    MiAddDescriptor(f->os, f->child, clone);
}

static void MiShareValidPage(struct fork *f, va_t va, pte_t pte) {
    struct mmpfn pfn = MiReadPfn(f->os, pte_frame(pte));
    struct mmclone *clone = MiLocateClone(f->os, f->parent, pfn.PteAddress);
    pte_t given = pte_pointer(pfn.PteAddress);
    if (clone) {
        MiShareClone(f, clone, pfn.PteAddress);
        MiFlushForkedPage(f, va);
    } else {
        uint32_t index = MiLocateWsle(f->os, &f->parent->Vm, va, pte_frame(pte));
        uint32_t wsle = MiReadWsle(f->os, &f->parent->Vm, index);
        enum os_profile profile = f->os->Config.profile;
        if (!wsle_is_same(profile, wsle)) { given = pte_vad_lookup(wsle_protection(profile, wsle)); }
    }
    MiGiveChild(f, va, given);
}

static void MiConvertPage(struct fork *f, va_t va, pte_t pte) {
    if (MiIsPrivatePage(f->os, pte)) {
        switch (pte_form(pte)) {
        case PTE_FORM_VALID: MiCloneValidPage(f, va, pte); return;
        case PTE_FORM_TRANSITION: MiCloneTransitionPage(f, va, pte); return;
        default: MiClonePageFilePage(f, va, pte); return;
        }
    }
    if (pte_form(pte) == PTE_FORM_VALID) {
        MiShareValidPage(f, va, pte);
        return;
    }
    bool pointer = pte_form(pte) == PTE_FORM_PROTOTYPE && !pte_is_vad_lookup(pte);
    struct mmclone *clone = pointer ? MiLocateClone(f->os, f->parent, pte_pointer_target(pte)) : NULL;
    if (clone) { MiShareClone(f, clone, pte_pointer_target(pte)); }
    MiGiveChild(f, va, pte);
}

static void MiLogPtes(struct os *os, va_t pte_va, const mmpte_t *entries, uint32_t count, bool prototypes) {
    if (!log_wants(os->M->log, LOG_PTE)) { return; }
    for (uint32_t i = 0; i < count; i++) {
        va_t at = pte_va + (va_t)i * PTE_SIZE;
        va_t mapped = prototypes ? 0 : MiGetVirtualAddressMappedByPte(at);
        if (entries[i]) { log_send(os->M->log, LOG_PTE, at, 0, entries[i], mapped, 0); }
    }
}

static bool MiIsResident(pte_t pte) { return pte_form(pte) == PTE_FORM_VALID || pte_form(pte) == PTE_FORM_TRANSITION; }

/* Stores the prototype PTEs of the pages converted since the last time, all in one page of the pool, and raises that
 * page's share count by those that have a frame. */
static void MiStorePrototypes(struct fork *f) {
    struct os *os = f->os;
    uint32_t n = f->next - f->stored;
    if (n == 0) { return; }
    va_t at = f->block->BasePte + (va_t)f->stored * PTE_SIZE;
    os->M->ops->write(os->M, at, f->prototypes, n * PTE_SIZE);
    MiLogPtes(os, at, f->prototypes, n, true);
    pfn_t frame = pte_frame(MiReadPte(os, MiGetPteAddress(at)));
    struct mmpfn pfn = MiReadPfn(os, frame);
    for (uint32_t i = 0; i < n; i++) { pfn.u2 += MiIsResident(f->prototypes[i]); }
    MiWritePfn(os, frame, &pfn);
    f->stored = f->next;
}

/* Before the parent can run again. */
static void MiFlushForkedPages(struct fork *f) {
    if (f->unflushed && !f->os->Config.reference_counting) { KeFlushCurrentTb(f->os, 0); }
    f->unflushed = false;
}

static void MiLeaveBlock(struct fork *f) {
    if (f->block && --f->block->Live == 0) { MiFreeCloneBlock(f->os, f->block); }
    f->block = NULL;
}

/* How many prototype PTEs are left in the page of the pool in which the next one is; 0 if there is none, or it is not
 * valid: it holds nothing yet that would keep it in memory. */
static uint32_t MiPrototypesAtHand(const struct fork *f) {
    if (!f->block || f->next == f->block->Count || !MmIsAddressValid(f->os, MiNextPrototype(f))) { return 0; }
    uint32_t left = f->block->Count - f->next;
    uint32_t in_page = (uint32_t)(PAGE_SIZE - (MiNextPrototype(f) & PAGE_MASK)) / PTE_SIZE;
    return left < in_page ? left : in_page;
}

/* May wait. pages: so many more have to become clones, if no block is left; pages became private since the count. */
static ntstatus_t MiGetPrototypes(struct fork *f, uint32_t pages) {
    if (!f->block || f->next == f->block->Count) {
        if (!f->unused) {
            MiFlushForkedPages(f);
            if (!MiAddBlock(f, pages)) { return STATUS_INSUFFICIENT_RESOURCES; }
        }
        MiLeaveBlock(f);
        f->block = f->unused;
        f->unused = f->block->NextOfFork;
        f->block->Live++; /* whoever has its pages may let go of them while the fork waits */
        f->next = f->stored = 0;
        MiAddDescriptor(f->os, f->parent, f->block);
        MiAddDescriptor(f->os, f->child, f->block);
    }
    if (!MmIsAddressValid(f->os, MiNextPrototype(f))) { MiFlushForkedPages(f); }
    MiWaitForSystemAddress(f->os, MiNextPrototype(f));
    return STATUS_SUCCESS;
}

/* [va, last] is in one page table. Whatever may wait comes first, and is looked at again when somebody has waited. */
static ntstatus_t MiConvertTable(struct fork *f, va_t va, va_t last) {
    mmpte_t entries[MM_PTE_PER_PAGE];
    while (va <= last && MiReadPte(f->os, MiGetPdeAddress(va)) != 0) {
        if (!(MiReadPte(f->os, MiGetPdeAddress(va)) & PTE_VALID)) {
            MiFlushForkedPages(f);
            MiWaitForPageTable(f->os, va);
        }
        uint32_t pages = MiReadForkedPtes(f->os, va, last, entries), room = pages ? MiPrototypesAtHand(f) : 0;
        if (pages && !room) {
            ntstatus_t status = MiGetPrototypes(f, pages);
            if (!NT_SUCCESS(status)) { return status; }
            continue;
        }
        f->begun = true;
        for (const mmpte_t *entry = entries; va <= last; va += PAGE_SIZE, entry++) {
            if (*entry == 0) { continue; }
            if (MiIsPrivatePage(f->os, *entry) && room-- == 0) { break; }
            MiConvertPage(f, va, *entry);
        }
        MiStorePrototypes(f);
    }
    return STATUS_SUCCESS;
}

static ntstatus_t MiConvertParent(struct fork *f) {
    ntstatus_t status = STATUS_SUCCESS;
    for (struct mmvad *vad = MiFirstVad(f->parent); vad && NT_SUCCESS(status); vad = MiNextVad(vad)) {
        va_t va = vad->StartingAddress, end = vad->EndingAddress;
        if (!MiInherited(vad)) { continue; }
        for (; va <= end && NT_SUCCESS(status); va = MiLastOfTable(va, end) + 1) {
            status = MiConvertTable(f, va, MiLastOfTable(va, end));
        }
    }
    MiLeaveBlock(f);
    MiFreeUnusedBlocks(f);
    if (!f->os->Config.reference_counting) { MI_MUTANT_OF(f->os, 107, KeFlushCurrentTb(f->os, 0), (void)0); }
    return status;
}

/* ---- building the child ---- */

static void MiCopyVads(struct fork *f) {
    for (struct mmvad *vad = MiFirstVad(f->parent); vad; vad = MiNextVad(vad)) {
        if (!MiInherited(vad)) { continue; }
        struct mmvad *copy = MiAllocateHost(f->os, sizeof *copy);
        *copy = *vad;
        copy->Parent = copy->Left = copy->Right = NULL;
        f->page_tables -= MiInsertChargedVad(f->os, f->child, copy);
        if (vad->ControlArea) {
            vad->ControlArea->MappedViews += MI_MUTANT_OF(f->os, 199, 1, 0);
            vad->ControlArea->UserRef++;
            MiWriteControlArea(f->os, vad->ControlArea);
        }
    }
    if (f->page_tables != 0) { MiAssert(f->os, "a fork charged more page tables than its VADs cover"); }
}

/* The PTEs of one page table: [first, last) of the list. */
static void MiWriteChildTable(struct fork *f, size_t first, size_t last) {
    mmpte_t entries[MM_PTE_PER_PAGE] = {0};
    va_t base = f->ptes[first].va;
    MiWaitForPageTable(f->os, base);
    for (size_t i = first; i < last; i++) {
        entries[(f->ptes[i].va - base) >> PAGE_SHIFT] = (mmpte_t)f->ptes[i].pte;
        MiIncrementUsedPteCount(f->os, f->ptes[i].va);
    }
    uint32_t span = (uint32_t)((f->ptes[last - 1].va - base) >> PAGE_SHIFT) + 1;
    f->os->M->ops->write(f->os->M, MiGetPteAddress(base), entries, span * sizeof entries[0]);
    MiLogPtes(f->os, MiGetPteAddress(base), entries, span, false);
}

static void MiWriteChildPtes(struct fork *f) {
    for (size_t first = 0; first < f->count;) {
        size_t last = first;
        while (last < f->count && f->ptes[last].va / MM_PAGE_TABLE_SPAN == f->ptes[first].va / MM_PAGE_TABLE_SPAN) {
            last++;
        }
        MiWriteChildTable(f, first, last);
        first = last;
    }
}

static ntstatus_t MiForkInParent(struct fork *f) {
    ntstatus_t status = MiChargeChild(f);
    if (!NT_SUCCESS(status)) { return status; }
    status = MiCreateBlocks(f);
    if (NT_SUCCESS(status)) { status = MiConvertParent(f); }
    if (!NT_SUCCESS(status) && !f->begun) { MiReturnCommitment(f->os, f->charge + f->page_tables, f->child); }
    return status;
}

ntstatus_t MiCloneProcessAddressSpace(struct os *os, struct eprocess *parent, struct eprocess *child) {
    struct fork f = {.os = os, .parent = parent, .child = child};
    child->BeingCloned = true;
    if (!MiLockAddressCreation(os, child)) { MiAssert(os, "a process ends before it is made"); }
    bool attached = KeAttachProcess(os, parent);
    ntstatus_t status = MiForkInParent(&f);
    if (attached) { KeDetachProcess(os); }
    if (NT_SUCCESS(status) || f.begun) { /* a fork that fails half-way: the child has its part, and ends */
        KeAttachProcess(os, child);
        MiCopyVads(&f);
        MiWriteChildPtes(&f);
        KeDetachProcess(os);
    }
    MiUnlockAddressCreation(os, child);
    child->BeingCloned = false;
    MiFreeHost(f.ptes);
    return status;
}
