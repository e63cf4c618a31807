/* Faults on pages behind prototype PTEs: NT-56..58. */
#include "mi.h"

struct proto_fault {
    va_t Prototype;
    pte_t Contents;                /* of the prototype PTE */
    unsigned Protection;           /* effective */
    bool OwnProtection;            /* the process's PTE overrides the prototype's protection */
    struct subsection *Subsection; /* NULL: a clone */
};

/* ---- counts ---- */

void MiPrototypeLeftMemory(struct os *os, va_t prototype) {
    struct subsection *s = MiSubsectionOfPrototype(os, prototype);
    MiRead32(os, prototype); /* its page and the page table of that are now valid in this process */
    pfn_t pool_page = pte_frame(MiReadPte(os, MiGetPteAddress(prototype)));
    MI_MUTANT(138, MiDecrementShareCount(os, pool_page), (void)0);
    if (s) { MiChangePfnReference(os, s->ControlArea, -1); }
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
    if (MI_MUTANT(144, !counted, false)) { MiIncrementShareCount(os, frame); }
    MiIncrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(fault->Va)))); /* before something is evicted */
    pte_t pte = fault->Process ? pte_valid_user(frame, p->Protection)
                               : MiMakeValidPte(os, fault->Va, frame, p->Protection) & ~(pte_t)PTE_DIRTY;
    struct mmpfn pfn = MiReadPfn(os, frame);
    if ((pte & PTE_WRITE) && MI_MUTANT(127, fault->Write, false) && !(pfn.Flags & PFN_MODIFIED)) {
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
    if (MiAreaOf(p)) { MiChangePfnReference(os, MiAreaOf(p), MI_MUTANT(143, 1, 0)); }
    MiWritePte(os, p->Prototype, MiValidPrototype(os, frame, pte_protection(p->Contents)));
}

/* ---- the forms of a prototype PTE, NT-56 ---- */

static ntstatus_t MiResolveProtoDemandZero(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    if (MiSimulateNoFrame(os, fault) || !MiFramesAvailable(os, 1)) { return MI_WAIT_FOR_PAGE; }
    pfn_t frame = MiRemoveZeroPage(os, MiPageColor(os, fault->Va));
    MiInitializePrototypePage(os, p, frame, PFN_MODIFIED);
    MiCompleteProtoPteFault(os, fault, p, frame, true);
    os->MmInfoCounters.DemandZeroCount++;
    return STATUS_PAGE_FAULT_DEMAND_ZERO;
}

static ntstatus_t MiResolveProtoTransition(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    pfn_t frame = pte_frame(p->Contents);
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn.Flags & PFN_READ_IN_PROGRESS) { return MiWaitForReadInProgress(os, frame, &fault->IoStatus); }
    if (pfn.Flags & PFN_IN_PAGE_ERROR) {
        fault->IoStatus = pfn.u1;
        return STATUS_IN_PAGE_ERROR;
    }
    MiReferenceTransitionPage(os, frame);
    if (MI_MUTANT(155, true, !p->Subsection)) {
        MiWritePte(os, p->Prototype, MiValidPrototype(os, frame, pte_protection(pfn.OriginalPte)));
    }
    MiCompleteProtoPteFault(os, fault, p, frame, false);
    os->MmInfoCounters.TransitionCount++;
    return STATUS_PAGE_FAULT_TRANSITION;
}

/* ---- NT-58 ---- */

/* Bytes of the subsection's file part from there on; pages beyond read as zero. */
static uint64_t MiValidFileBytes(const struct subsection *s, uint64_t file_offset) {
    const struct control_area *area = s->ControlArea;
    uint64_t end = area->Image ? s->FileOffset + s->Length : area->FileLength;
    return file_offset < end ? end - file_offset : 0;
}

/* A page that a read may bring in with another: untouched, and the file has something of it. */
static bool MiReadableWith(struct os *os, const struct subsection *s, va_t at) {
    return pte_form(MiReadPte(os, at)) == PTE_FORM_PROTOTYPE && MiValidFileBytes(s, MiSubsectionFileOffset(s, at)) != 0;
}

/* Subsection form stands for a page of a file; where none belongs to the section, or to no section, it was written
 * there by somebody else. */
static void MiCheckFilePrototype(struct os *os, const struct subsection *s, va_t prototype) {
    if (s && s->ControlArea->File) { return; }
    KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, prototype, MiReadPte(os, prototype), 0);
}

/* The page itself, then those behind it, then (NT5) those before it, as far as one read goes. */
static void MiSelectCluster(struct os *os, const struct subsection *s, va_t prototype, struct mmread *read) {
    const struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    bool single = thread && thread->DisablePageFaultClustering;
    bool backward = os->Config.profile != OS_NT4 && !(thread && thread->ForwardClusterOnly);
    va_t first = prototype, last = prototype, start = page_of(prototype), end = start + PAGE_SIZE - PTE_SIZE;
    va_t array_end = s->BasePte + (va_t)(s->PtesInSubsection - 1) * PTE_SIZE;
    if (start < s->BasePte) { start = s->BasePte; }
    if (end > array_end) { end = array_end; }
    unsigned extra = single ? 0 : MM_READ_CLUSTER_SIZE, count = 1;
    for (; extra && last < end && MiFramesForCluster(os, count + 1) && MiReadableWith(os, s, last + PTE_SIZE);
         extra--, count++) {
        last += PTE_SIZE;
    }
    for (; extra && backward && first > start && MiFramesForCluster(os, count + 1) &&
           MiReadableWith(os, s, first - PTE_SIZE);
         extra--, count++) {
        first -= PTE_SIZE;
    }
    read->Faulting = (unsigned)(prototype - first) / PTE_SIZE;
    read->Count = count;
    for (unsigned i = 0; i < count; i++) { read->PteAddress[i] = first + i * PTE_SIZE; }
}

void MiDescribeFileRead(struct os *os, struct subsection *s, struct mmread *read) {
    MiCheckFilePrototype(os, s, read->PteAddress[0]);
    read->File = s->ControlArea->File;
    read->Offset = MiSubsectionFileOffset(s, read->PteAddress[0]) + MI_MUTANT(166, 0, PAGE_SIZE);
    read->ValidBytes = MiValidFileBytes(s, read->Offset);
    uint64_t all = (uint64_t)read->Count << PAGE_SHIFT;
    if (read->ValidBytes > all) { read->ValidBytes = all; }
    read->FileObject = (uint32_t)s->ControlArea->FileObject->Address;
    read->Prototype = true;
    read->Area = s->ControlArea;
    read->Block = MiGetInPageSupportBlock(os);
}

static ntstatus_t MiResolveMappedFileFault(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    if (MiSimulateNoFrame(os, fault)) { return MI_WAIT_FOR_PAGE; }
    struct mmread *read = &fault->Read;
    *read = (struct mmread){0};
    MiCheckFilePrototype(os, p->Subsection, p->Prototype);
    MiSelectCluster(os, p->Subsection, p->Prototype, read);
    read->Colour = MiPageColor(os, fault->Va) - read->Faulting;
    MiDescribeFileRead(os, p->Subsection, read);
    return MiBuildInPageRead(os, read) ? MI_ISSUE_READ : MI_WAIT_FOR_PAGE;
}

/* NT-55 on a prototype PTE: what follows it in its array may come along. */
static ntstatus_t MiResolveProtoPageFile(struct os *os, struct mmfault *fault, const struct proto_fault *p) {
    bool may_be_clone = !p->Subsection && fault->Process; /* the system inherits nothing */
    const struct mmclone *clone = may_be_clone ? MiLocateClone(os, fault->Process, p->Prototype) : NULL;
    va_t limit = p->Subsection ? p->Subsection->BasePte + (va_t)p->Subsection->PtesInSubsection * PTE_SIZE
                 : clone       ? clone->BasePte + (va_t)clone->Count * PTE_SIZE
                               : p->Prototype + PTE_SIZE;
    return MiResolvePageFileFault(os, fault, p->Prototype, limit, MiAreaOf(p));
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
    p->Protection = fault->Lent        ? (unsigned)MM_READONLY
                    : p->OwnProtection ? pte_protection(pte)
                                       : MiPrototypeProtection(os, p->Contents);
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
    fault->PteContents = MiReadPte(os, fault->PointerPte);
    switch (pte_form(p.Contents)) {
    case PTE_FORM_VALID:
        MiCompleteProtoPteFault(os, fault, &p, pte_frame(p.Contents), false);
        os->MmInfoCounters.TransitionCount++;
        return STATUS_PAGE_FAULT_TRANSITION;
    case PTE_FORM_TRANSITION: return MiResolveProtoTransition(os, fault, &p);
    case PTE_FORM_DEMAND_ZERO: return MiResolveProtoDemandZero(os, fault, &p);
    case PTE_FORM_PROTOTYPE: return MiResolveMappedFileFault(os, fault, &p);
    default: return MiResolveProtoPageFile(os, fault, &p);
    }
}

/* The view, the process's own PTE and the prototype PTE may each have gone another way during the read. Page tables are
 * not pinned by pointers to prototypes, so the one in question is asked for by its PDE first: nothing is waited for. */
static bool MiStillWanted(struct os *os, const struct mmfault *fault, pfn_t frame, pte_t transition,
                          struct proto_fault *p) {
    va_t prototype = fault->Read.PteAddress[fault->Read.Faulting];
    return (MiReadPte(os, MiGetPdeAddress(fault->Va)) & PTE_VALID) &&
           MiReadPte(os, fault->PointerPte) == fault->PteContents &&
           MiPageIsAsReadLeftIt(os, prototype, frame, transition) && MiFindPrototype(os, fault, p) &&
           p->Prototype == prototype && MiAllowed(fault, p->Protection);
}

ntstatus_t MiCompleteProtoRead(struct os *os, struct mmfault *fault, pfn_t frame, pte_t transition) {
    struct proto_fault p;
    if (!MiStillWanted(os, fault, frame, transition, &p)) {
        MiDecrementReferenceCount(os, frame);
        return MI_REFAULT;
    }
    MiWritePte(os, p.Prototype, MiValidPrototype(os, frame, pte_protection(transition)));
    MiCompleteProtoPteFault(os, fault, &p, frame, false);
    return STATUS_PAGE_FAULT_PAGING_FILE;
}
