/* Faults on pages behind prototype PTEs: NT-56..58. Reads complete at once, so no fault meets a page that is being
 * read. */
#include "mi.h"

#define MM_READ_CLUSTER_SIZE 7u    /* extra pages a read may bring in */
#define MM_HIGH_AVAILABLE    0x64u /* extra pages only while more frames than these are available */

struct proto_fault {
    va_t Prototype;
    pte_t Contents;                /* of the prototype PTE */
    unsigned Protection;           /* effective */
    bool OwnProtection;            /* the process's PTE overrides the prototype's protection */
    struct subsection *Subsection; /* NULL: a clone */
};

/* ---- counts ---- */

static void MiAccountResident(struct os *os, struct control_area *area, va_t prototype, int change) {
    MiRead32(os, prototype); /* its page and the page table of that are now valid in this process */
    pfn_t pool_page = pte_frame(MiReadPte(os, MiGetPteAddress(prototype)));
    if (change > 0) {
        MiIncrementShareCount(os, pool_page);
    } else {
        MiDecrementShareCount(os, pool_page);
    }
    if (area) { MiChangePfnReference(os, area, change); }
}

void MiPrototypeBecameResident(struct os *os, va_t prototype, int change) {
    struct subsection *s = MiSubsectionOfPrototype(os, prototype);
    MiAccountResident(os, s ? s->ControlArea : NULL, prototype, change);
}

static struct control_area *MiAreaOf(const struct proto_fault *p) {
    return p->Subsection ? p->Subsection->ControlArea : NULL;
}

static pte_t MiValidPrototype(const struct os *os, pfn_t frame, unsigned protection) {
    return (pte_valid_prototype(frame, protection) & ~(pte_t)PTE_GLOBAL) | os->GlobalBit;
}

/* ---- NT-57 ---- */

/* The prototype PTE is valid with frame. counted: this mapping is in the share count already. */
static void MiCompleteProtoPteFault(struct os *os, struct mmfault *fault, const struct proto_fault *p, pfn_t frame,
                                    bool counted) {
    if (!counted) { MiIncrementShareCount(os, frame); }
    MiIncrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(fault->Va)))); /* before something is evicted */
    pte_t pte = fault->Process ? pte_valid_user(frame, p->Protection)
                               : MiMakeValidPte(os, fault->Va, frame, p->Protection) & ~(pte_t)PTE_DIRTY;
    struct mmpfn pfn = MiReadPfn(os, frame);
    if ((pte & PTE_WRITE) && fault->Write && !(pfn.Flags & PFN_MODIFIED)) {
        pfn.Flags |= PFN_MODIFIED;
        MiWritePfn(os, frame, &pfn);
    }
    if ((pte & PTE_WRITE) && (pfn.Flags & PFN_MODIFIED)) { pte |= PTE_DIRTY; }
    MiAddValidPageToWorkingSet(os, fault->Vm, fault->Va, frame, true, p->OwnProtection ? p->Protection : 0);
    MiWritePte(os, fault->PointerPte, pte);
}

/* A frame becomes the page of a prototype PTE that had none: share 1 (the mapping that follows), reference 1. */
static void MiInitializePrototypePage(struct os *os, const struct proto_fault *p, pfn_t frame, uint16_t flags) {
    pfn_t pool_page = pte_frame(MiReadPte(os, MiGetPteAddress(p->Prototype)));
    MiInitializePfn(os, frame, p->Prototype, p->Contents, flags | PFN_PROTOTYPE, pool_page);
    if (MiAreaOf(p)) { MiChangePfnReference(os, MiAreaOf(p), 1); }
    MiWritePte(os, p->Prototype, MiValidPrototype(os, frame, pte_protection(p->Contents)));
}

/* ---- the forms of a prototype PTE, NT-56 ---- */

static ntstatus_t MiResolveProtoDemandZero(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    if (!MiFramesAvailable(os, 1)) { return MI_WAIT_FOR_PAGE; }
    pfn_t frame = MiRemoveZeroPage(os, MiPageColor(os, fault->Va));
    MiInitializePrototypePage(os, p, frame, PFN_MODIFIED);
    MiCompleteProtoPteFault(os, fault, p, frame, true);
    os->MmInfoCounters.DemandZeroCount++;
    return STATUS_PAGE_FAULT_DEMAND_ZERO;
}

static ntstatus_t MiResolveProtoTransition(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    pfn_t frame = pte_frame(p->Contents);
    struct mmpfn pfn = MiReferenceTransitionPage(os, frame);
    if (pfn.Flags & (PFN_READ_IN_PROGRESS | PFN_IN_PAGE_ERROR)) {
        MiAssert(os, "a page behind a prototype PTE is still being read");
    }
    MiWritePte(os, p->Prototype, MiValidPrototype(os, frame, pte_protection(pfn.OriginalPte)));
    MiCompleteProtoPteFault(os, fault, p, frame, false);
    os->MmInfoCounters.TransitionCount++;
    return STATUS_PAGE_FAULT_TRANSITION;
}

/* ---- NT-58 ---- */

struct read_item {
    va_t Prototype;
    pte_t Original;
    pfn_t Frame;
    uint64_t FileOffset;
    uint32_t ValidBytes;
};

/* Bytes of the page that the file has; the rest reads as zero. */
static uint32_t MiValidFileBytes(const struct subsection *s, uint64_t file_offset) {
    const struct control_area *area = s->ControlArea;
    uint64_t end = area->Image ? s->FileOffset + s->Length : area->FileLength;
    if (file_offset >= end) { return 0; }
    return end - file_offset < PAGE_SIZE ? (uint32_t)(end - file_offset) : (uint32_t)PAGE_SIZE;
}

/* The faulting page and those behind it that one read may bring in with it. */
static unsigned MiSelectCluster(struct os *os, const struct proto_fault *p, struct read_item *items) {
    const struct subsection *s = p->Subsection;
    va_t end = s->BasePte + (va_t)s->PtesInSubsection * 4, page_end = page_of(p->Prototype) + PAGE_SIZE;
    if (page_end < end) { end = page_end; }
    unsigned count = 0;
    for (va_t at = p->Prototype; at < end && count <= MM_READ_CLUSTER_SIZE; at += 4, count++) {
        pte_t pte = MiReadPte(os, at);
        uint64_t offset = MiSubsectionFileOffset(s, at);
        uint32_t valid = MiValidFileBytes(s, offset);
        bool extra = count != 0;
        if (extra && (pte_form(pte) != PTE_FORM_PROTOTYPE || valid == 0 ||
                      !MiFramesAvailable(os, count + 1 + MM_HIGH_AVAILABLE))) {
            break;
        }
        items[count] = (struct read_item){.Prototype = at, .Original = pte, .FileOffset = offset, .ValidBytes = valid};
    }
    return count;
}

/* Row P05: no mapping yet, one reference by the read, the prototype PTE in transition. */
static void MiInitializeReadInProgressPfn(struct os *os, const struct proto_fault *p, struct read_item *item,
                                          uint32_t colour) {
    item->Frame = MiRemoveAnyPage(os, colour);
    pte_t pte = pte_with_protection(item->Frame << PTE_FRAME_SHIFT | PTE_TRANSITION, pte_protection(item->Original));
    struct mmpfn pfn = {.PteAddress = (uint32_t)item->Prototype,
                        .Flags = TransitionPage << PFN_LOCATION_SHIFT | PFN_READ_IN_PROGRESS | PFN_PROTOTYPE,
                        .ReferenceCount = 1,
                        .OriginalPte = (uint32_t)item->Original,
                        .ContainingFrame = (uint32_t)pte_frame(MiReadPte(os, MiGetPteAddress(item->Prototype)))};
    MiWritePfn(os, item->Frame, &pfn);
    MiWritePte(os, item->Prototype, pte);
    MiAccountResident(os, MiAreaOf(p), item->Prototype, 1);
}

/* Row P09: the page is as unread as before. */
static void MiAbandonRead(struct os *os, const struct proto_fault *p, const struct read_item *item) {
    MiWritePte(os, item->Prototype, item->Original);
    MiAccountResident(os, MiAreaOf(p), item->Prototype, -1);
    MiSetPfnDeleted(os, item->Frame);
    MiDecrementReferenceCount(os, item->Frame);
}

static void MiReadCompleted(struct os *os, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.Flags &= (uint16_t)~PFN_READ_IN_PROGRESS;
    MiWritePfn(os, frame, &pfn);
}

static ntstatus_t MiResolveMappedFileFault(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    struct read_item items[MM_READ_CLUSTER_SIZE + 1];
    if (!MiFramesAvailable(os, 1)) { return MI_WAIT_FOR_PAGE; }
    unsigned count = MiSelectCluster(os, p, items);
    ntstatus_t io[MM_READ_CLUSTER_SIZE + 1];
    for (unsigned i = 0; i < count; i++) {
        MiInitializeReadInProgressPfn(os, p, &items[i], MiPageColor(os, fault->Va + (i << PAGE_SHIFT)));
    }
    for (unsigned i = 0; i < count; i++) {
        io[i] =
            os->M->ops->disk_read(os->M, MiAreaOf(p)->File, items[i].FileOffset, items[i].Frame, items[i].ValidBytes);
    }
    os->MmInfoCounters.PageReadIoCount++;
    os->MmInfoCounters.PageReadCount += count;
    for (unsigned i = 0; i < count; i++) {
        if (!NT_SUCCESS(io[i])) {
            MiAbandonRead(os, p, &items[i]);
            continue;
        }
        MiReadCompleted(os, items[i].Frame);
        if (i) { MiDecrementReferenceCount(os, items[i].Frame); } /* row P07: to Standby */
    }
    if (!NT_SUCCESS(io[0])) {
        fault->IoStatus = io[0];
        return STATUS_IN_PAGE_ERROR;
    }
    MiWritePte(os, p->Prototype, MiValidPrototype(os, items[0].Frame, pte_protection(items[0].Original)));
    MiCompleteProtoPteFault(os, fault, p, items[0].Frame, false);
    return STATUS_PAGE_FAULT_PAGING_FILE;
}

/* ---- NT-56 ---- */

/* Which prototype PTE, with which protection; false: none. */
static bool MiFindPrototype(struct os *os, const struct mmfault *fault, struct proto_fault *p) {
    pte_t pte = MiReadPte(os, fault->PointerPte);
    *p = (struct proto_fault){0};
    if (pte_is_vad_lookup(pte)) {
        const struct mmvad *vad = MiLocateAddress(fault->Process, fault->Va);
        unsigned private_protection;
        if (!vad || !vad->ControlArea) { return false; }
        p->Prototype = MiGetProtoPteAddress(os, vad, fault->Va, &private_protection);
        p->OwnProtection = true;
    } else {
        p->Prototype = pte_pointer_target(pte);
    }
    if (!p->Prototype) { return false; }
    p->Contents = MiReadPte(os, p->Prototype); /* its own page may fault now, nested: NT-56 (0) */
    p->Protection = p->OwnProtection ? pte_protection(pte) : MiPrototypeProtection(os, p->Contents);
    p->Subsection = MiSubsectionOfPrototype(os, p->Prototype);
    return true;
}

static bool MiAllowed(const struct mmfault *fault, unsigned protection) {
    if ((protection & 7) == 0) { return false; } /* no access, and no protection at all */
    return !fault->Write || (protection & 7) >= MM_READWRITE;
}

/* What the fault counts as, told to the log. */
static void MiClassifyProtoFault(struct mmfault *fault, const struct proto_fault *p) {
    if (!p->Subsection) {
        fault->Kind = FAULT_CLONE;
    } else if (MiAreaOf(p)->File) {
        fault->Kind = FAULT_FILE;
        fault->File = MiAreaOf(p)->File;
        fault->FileOffset = MiSubsectionFileOffset(p->Subsection, p->Prototype);
    } else {
        fault->Kind = FAULT_SECTION;
    }
}

ntstatus_t MiResolveProtoPteFault(struct os *os, struct mmfault *fault) {
    struct proto_fault p;
    if (!MiFindPrototype(os, fault, &p) || p.Contents == 0 || !MiAllowed(fault, p.Protection)) {
        return STATUS_ACCESS_VIOLATION;
    }
    MiClassifyProtoFault(fault, &p);
    switch (pte_form(p.Contents)) {
    case PTE_FORM_VALID:
        MiCompleteProtoPteFault(os, fault, &p, pte_frame(p.Contents), false);
        os->MmInfoCounters.TransitionCount++;
        return STATUS_PAGE_FAULT_TRANSITION;
    case PTE_FORM_TRANSITION: return MiResolveProtoTransition(os, fault, &p);
    case PTE_FORM_DEMAND_ZERO: return MiResolveProtoDemandZero(os, fault, &p);
    case PTE_FORM_PROTOTYPE: return MiResolveMappedFileFault(os, fault, &p);
    default: MiAssert(os, "a page behind a prototype PTE is in a paging file: not in this version");
    }
}
