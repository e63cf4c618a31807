/* Sections, their control areas, subsections and arrays of prototype PTEs: NT-61..65, NT-67. */
#include "mi.h"

#include "ntmmu/filedata.h"

#include <stdlib.h>
#include <string.h>

#define TAG_SUBSECTION          0x6253 /* "Sb" */
#define TAG_PROTOTYPES          0x7453 /* "St" */
#define SUBSECTION_SIZE         0x20u
#define MM_MAXIMUM_SECTION_SIZE 0x100000000u

enum {
    SEC_BASED = 0x200000,
    SEC_NO_CHANGE = 0x400000,
    SEC_FILE = 0x800000,
    SEC_IMAGE = 0x1000000,
    SEC_RESERVE = 0x4000000,
    SEC_COMMIT = 0x8000000,
    SEC_NOCACHE = 0x10000000
};

static uint64_t MiPages(uint64_t bytes) { return (bytes + PAGE_MASK) >> PAGE_SHIFT; }

/* ---- look-ups ---- */

struct control_area *MiLookupSection(struct os *os, uint32_t sid) {
    for (struct section_object *s = os->Sections; s; s = s->Next) {
        if (s->SectionId == sid) { return s->ControlArea; }
    }
    return NULL;
}

struct subsection *MiLocateSubsection(const struct control_area *area, uint64_t offset) {
    for (struct subsection *s = area->Subsections; s; s = s->Next) {
        if (offset >= s->ViewOffset && offset - s->ViewOffset < (uint64_t)s->PtesInSubsection << PAGE_SHIFT) {
            return s;
        }
    }
    return NULL;
}

static bool MiHoldsPrototype(const struct subsection *s, va_t prototype) {
    return s->BasePte && prototype >= s->BasePte && prototype - s->BasePte < (va_t)s->PtesInSubsection * 4;
}

struct subsection *MiSubsectionOfPrototype(const struct os *os, va_t prototype) {
    for (const struct control_area *area = os->ControlAreas; area; area = area->Next) {
        for (struct subsection *s = area->Subsections; s; s = s->Next) {
            if (MiHoldsPrototype(s, prototype)) { return s; }
        }
    }
    return NULL;
}

uint64_t MiSubsectionFileOffset(const struct subsection *subsection, va_t prototype) {
    return subsection->FileOffset + ((prototype - subsection->BasePte) / 4 << PAGE_SHIFT);
}

/* ---- prototypes ---- */

void MiFillPrototypes(struct os *os, va_t prototype, uint32_t count, pte_t value) {
    uint32_t entries[MM_PTE_PER_PAGE];
    for (unsigned i = 0; i < MM_PTE_PER_PAGE; i++) { entries[i] = (uint32_t)value; }
    while (count) {
        uint32_t room = (uint32_t)(PAGE_SIZE - (prototype & PAGE_MASK)) / 4;
        uint32_t n = count < room ? count : room;
        os->M->ops->write(os->M, prototype, entries, n * 4);
        prototype += n * 4;
        count -= n;
    }
}

/* What an untouched prototype PTE of the subsection contains. */
static pte_t MiPrototypeTemplate(const struct os *os, const struct subsection *s) {
    if (s->ControlArea->File) { return pte_subsection(s->Address, os->MmNonPagedPoolStart, s->Protection); }
    return s->ControlArea->Reserve ? 0 : pte_demand_zero(s->Protection);
}

/* The fields that NT-64 gives a subsection in memory. */
static void MiWriteSubsection(struct os *os, const struct subsection *s) {
    uint32_t words[SUBSECTION_SIZE / 4] = {0};
    words[1] = (uint32_t)s->Protection << 4;
    words[2] = (uint32_t)(s->FileOffset >> PAGE_SHIFT);
    words[3] = (uint32_t)MiPages(s->Length);
    words[4] = (uint32_t)s->BasePte;
    words[6] = s->PtesInSubsection;
    os->M->ops->write(os->M, s->Address, words, sizeof words);
}

static void MiLinkSubsection(struct control_area *area, struct subsection *s) {
    struct subsection **at = &area->Subsections;
    while (*at && (*at)->ViewOffset < s->ViewOffset) { at = &(*at)->Next; }
    s->Next = *at;
    *at = s;
}

/* What of it differs between callers; the rest follows. anonymous: private pages, no prototypes (captured bss). */
static bool MiAddSubsection(struct os *os, struct control_area *area, struct subsection piece, bool anonymous) {
    piece.ControlArea = area;
    piece.PtesInSubsection = (uint32_t)MiPages(piece.Length);
    piece.Address = ExAllocatePool(os, false, SUBSECTION_SIZE, TAG_SUBSECTION);
    if (!piece.Address) { return false; }
    if (!anonymous) { piece.BasePte = ExAllocatePool(os, true, piece.PtesInSubsection * 4, TAG_PROTOTYPES); }
    if (!anonymous && !piece.BasePte) {
        ExFreePool(os, piece.Address);
        return false;
    }
    struct subsection *s = MiAllocateHost(os, sizeof *s);
    *s = piece;
    MiWriteSubsection(os, s);
    if (s->BasePte) { MiFillPrototypes(os, s->BasePte, s->PtesInSubsection, MiPrototypeTemplate(os, s)); }
    MiLinkSubsection(area, s);
    return true;
}

static uint64_t MiSubsectionsEnd(const struct control_area *area) {
    uint64_t end = 0;
    for (const struct subsection *s = area->Subsections; s; s = s->Next) {
        end = s->ViewOffset + ((uint64_t)s->PtesInSubsection << PAGE_SHIFT);
    }
    return end;
}

bool MiExtendSection(struct os *os, struct control_area *area, uint64_t end) {
    uint64_t have = MiSubsectionsEnd(area);
    if (end < area->Size) { end = area->Size; }
    if (have >= end) { return true; }
    unsigned protection = area->OpenedForWrite ? MM_READWRITE : MM_READONLY;
    if (area->Image) { protection = MM_EXECUTE_WRITECOPY; }
    return MiAddSubsection(
        os, area,
        (struct subsection){
            .ViewOffset = have, .FileOffset = have, .Length = end - have, .Protection = (uint8_t)protection},
        false);
}

ntstatus_t MiCommitReservedView(struct os *os, struct mmvad *vad, va_t start, va_t end) {
    uint32_t fresh = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (va_t va = page_of(start); va <= end; va += PAGE_SIZE) {
            unsigned unused;
            va_t prototype = MiGetProtoPteAddress(os, vad, va, &unused);
            if (!prototype || MiReadPte(os, prototype) != 0) { continue; }
            fresh += pass == 0;
            if (pass == 1) { MiWritePte(os, prototype, pte_demand_zero(vad->ControlArea->Subsections->Protection)); }
        }
        if (pass == 0 && !MiChargeCommitment(os, fresh, NULL)) { return STATUS_COMMITMENT_LIMIT; }
    }
    vad->ControlArea->CommitCharge += fresh;
    return STATUS_SUCCESS;
}

/* ---- creation ---- */

static struct control_area *MiFindControlArea(const struct os *os, uint64_t file, bool image) {
    for (struct control_area *area = os->ControlAreas; area; area = area->Next) {
        if (area->File == file && area->Image == image) { return area; }
    }
    return NULL;
}

static struct control_area *MiCreateControlArea(struct os *os, uint32_t sid, uint64_t size, unsigned protection) {
    struct control_area *area = MiAllocateHost(os, sizeof *area), **last = &os->ControlAreas;
    area->SectionId = sid;
    area->Size = size;
    area->FileLength = UINT64_MAX;
    area->Protection = (uint8_t)protection;
    while (*last) { last = &(*last)->Next; }
    *last = area;
    return area;
}

static void MiOpenSection(struct os *os, uint32_t sid, struct control_area *area) {
    struct section_object *s = MiAllocateHost(os, sizeof *s);
    *s = (struct section_object){.Next = os->Sections, .SectionId = sid, .ControlArea = area};
    os->Sections = s;
    area->SectionRef++;
}

static ntstatus_t MiCreatePageFileSection(struct os *os, uint32_t sid, uint64_t size, unsigned section_protection,
                                          unsigned protection, bool reserve) {
    if (size == 0 || size > MM_MAXIMUM_SECTION_SIZE) { return STATUS_INVALID_PARAMETER_4; }
    uint32_t pages = (uint32_t)MiPages(size), charge = reserve ? 0 : pages;
    if (!MiChargeCommitment(os, charge, NULL)) { return STATUS_COMMITMENT_LIMIT; }
    struct control_area *area = MiCreateControlArea(os, sid, size, section_protection);
    area->Reserve = reserve;
    area->CommitCharge = charge;
    struct subsection piece = {.Length = size, .Protection = (uint8_t)protection};
    bool ok = MiAddSubsection(os, area, piece, false);
    if (ok) {
        MiOpenSection(os, sid, area);
    } else {
        MiDereferenceControlArea(os, area);
    }
    return ok ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

ntstatus_t NtCreateSection(struct os *os, uint32_t sid, uint64_t maximum_size, uint32_t protect, uint32_t attributes) {
    int mask = MiMakeProtectionMask(protect);
    if (mask < 0 || mask == MM_NOACCESS || (mask & MM_GUARD_PAGE)) { return STATUS_INVALID_PAGE_PROTECTION; }
    uint32_t kinds = attributes & (SEC_COMMIT | SEC_RESERVE | SEC_IMAGE);
    uint32_t known = SEC_COMMIT | SEC_RESERVE | SEC_NO_CHANGE | SEC_NOCACHE | SEC_BASED | SEC_IMAGE;
    if ((attributes & ~known) || (kinds != SEC_COMMIT && kinds != SEC_RESERVE && kinds != SEC_IMAGE) ||
        ((kinds & SEC_IMAGE) && attributes != SEC_IMAGE)) {
        return STATUS_INVALID_PARAMETER_6;
    }
    if (kinds == SEC_IMAGE) { return STATUS_INVALID_FILE_FOR_SECTION; } /* an image needs a file: `sec+ … image` */
    if (attributes & (SEC_BASED | SEC_NO_CHANGE)) {
        MiAssert(os, "SEC_BASED and SEC_NO_CHANGE are not in this version");
    }
    if (MiLookupSection(os, sid)) { return STATUS_INVALID_PARAMETER_1; }
    unsigned protection = (unsigned)mask;
    if ((protection & 7) == MM_WRITECOPY || (protection & 7) == MM_EXECUTE_WRITECOPY) { protection--; }
    if (attributes & SEC_NOCACHE) { protection |= MM_NOCACHE; }
    return MiCreatePageFileSection(os, sid, maximum_size, (unsigned)mask, protection, kinds == SEC_RESERVE);
}

/* A file: the second section of the same use takes the control area that exists. */
static ntstatus_t MiCreateFileSection(struct os *os, const struct event *event) {
    bool image = event->section.type == EVENT_SEC_IMAGE;
    uint64_t file = file_identity(event->text);
    struct control_area *area = MiFindControlArea(os, file, image);
    if (!area) {
        area = MiCreateControlArea(os, event->section.sid, event->section.size,
                                   image ? MM_EXECUTE_WRITECOPY : MM_EXECUTE_READ);
        area->File = file;
        area->Image = image;
        if (!image && event->section.size) { area->FileLength = event->section.size; }
        memcpy(area->Path, event->text, sizeof area->Path);
    } else if (event->section.size > area->Size) {
        return STATUS_SECTION_TOO_BIG;
    }
    MiOpenSection(os, event->section.sid, area);
    return STATUS_SUCCESS;
}

static ntstatus_t MiSectionEvent(struct os *os, const struct event *event) {
    if (MiLookupSection(os, event->section.sid)) { return STATUS_INVALID_PARAMETER_1; }
    if (event->section.type == EVENT_SEC_PAGE) {
        /* The trace does not say what the section allows: whatever its views ask for. */
        return MiCreatePageFileSection(os, event->section.sid, event->section.size, MM_EXECUTE_READWRITE, MM_READWRITE,
                                       false);
    }
    if (event->section.type == EVENT_SEC_IMAGE && event->section.size == 0) { return STATUS_INVALID_IMAGE_FORMAT; }
    return MiCreateFileSection(os, event);
}

static ntstatus_t MiSubsectionEvent(struct os *os, const struct event *event) {
    struct control_area *area = MiLookupSection(os, event->sub.sid);
    if (!area) { return STATUS_INVALID_HANDLE; }
    uint64_t offset = event->sub.offset, end = offset + event->sub.size;
    if (!area->Image || (offset & PAGE_MASK) || event->sub.size == 0 || end < offset ||
        MiPages(end) > MiPages(area->Size) || (!event->sub.anonymous && (event->sub.file_offset & PAGE_MASK))) {
        return STATUS_INVALID_IMAGE_FORMAT;
    }
    struct subsection *known = MiLocateSubsection(area, offset);
    if (known) { /* a section of an image that is known already names its pieces once more */
        bool same = known->ViewOffset == offset && known->Length == event->sub.size &&
                    known->FileOffset == (event->sub.anonymous ? 0 : event->sub.file_offset) &&
                    (known->BasePte == 0) == event->sub.anonymous && known->Protection == event->sub.prot;
        return same ? STATUS_SUCCESS : STATUS_INCOMPATIBLE_FILE_MAP;
    }
    for (uint64_t at = offset; at < end; at += PAGE_SIZE) {
        if (MiLocateSubsection(area, at)) { return STATUS_INCOMPATIBLE_FILE_MAP; }
    }
    struct subsection piece = {.ViewOffset = offset,
                               .FileOffset = event->sub.anonymous ? 0 : event->sub.file_offset,
                               .Length = event->sub.size,
                               .Protection = event->sub.prot};
    return MiAddSubsection(os, area, piece, event->sub.anonymous) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

/* ---- lifetime, NT-67 ---- */

static void MiDestroyPrototype(struct os *os, va_t prototype, pte_t pte) {
    enum pte_form form = pte_form(pte);
    if (form == PTE_FORM_VALID) { MiAssert(os, "a section is destroyed while a page of it is mapped"); }
    if (form == PTE_FORM_PAGE_FILE) { MiReleasePageFileSpace(os, pte); }
    if (form != PTE_FORM_TRANSITION) { return; }
    pfn_t frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, frame);
    MiWritePte(os, prototype, 0);
    MiPrototypeBecameResident(os, prototype, -1);
    MiSetPfnDeleted(os, frame);
    if (pfn.ReferenceCount == 0) {
        MiUnlinkPageFromList(os, frame);
        MiReleasePageFileSpace(os, pfn.OriginalPte);
        MiInsertPageInList(os, FreePageList, frame);
    }
}

static void MiDestroySubsection(struct os *os, struct subsection *s) {
    uint32_t entries[MM_PTE_PER_PAGE];
    for (uint32_t i = 0; s->BasePte && i < s->PtesInSubsection;) {
        va_t at = s->BasePte + i * 4;
        uint32_t room = (uint32_t)(PAGE_SIZE - (at & PAGE_MASK)) / 4, left = s->PtesInSubsection - i;
        uint32_t n = left < room ? left : room;
        os->M->ops->read(os->M, at, entries, n * 4);
        for (uint32_t k = 0; k < n; k++) { MiDestroyPrototype(os, at + k * 4, entries[k]); }
        i += n;
    }
    if (s->BasePte) { ExFreePool(os, s->BasePte); }
    ExFreePool(os, s->Address);
    free(s);
}

static void MiDestroyControlArea(struct os *os, struct control_area *area) {
    struct control_area **at = &os->ControlAreas;
    while (*at != area) { at = &(*at)->Next; }
    for (struct subsection *s = area->Subsections, *next; s; s = next) {
        next = s->Next;
        MiDestroySubsection(os, s);
        area->Subsections = next; /* prototypes are looked up by their subsection until it is gone */
    }
    *at = area->Next;
    MiReturnCommitment(os, area->CommitCharge, NULL);
    free(area);
}

void MiDereferenceControlArea(struct os *os, struct control_area *area) {
    /* What a file backs stays as a cache: its pages are on Standby or Modified, the next section finds them. */
    if (area->SectionRef == 0 && area->MappedViews == 0 && !area->File) { MiDestroyControlArea(os, area); }
}

static ntstatus_t MiCloseSection(struct os *os, uint32_t sid) {
    for (struct section_object **at = &os->Sections; *at; at = &(*at)->Next) {
        struct section_object *s = *at;
        if (s->SectionId != sid) { continue; }
        *at = s->Next;
        s->ControlArea->SectionRef--;
        MiDereferenceControlArea(os, s->ControlArea);
        free(s);
        return STATUS_SUCCESS;
    }
    return STATUS_INVALID_HANDLE;
}

struct os_service_result MiServiceSection(struct os *os, const struct event *event) {
    struct os_service_result result = {.status = STATUS_INVALID_PARAMETER};
    switch (event->kind) {
    case EV_SECTION: result.status = MiSectionEvent(os, event); break;
    case EV_SUBSECTION: result.status = MiSubsectionEvent(os, event); break;
    case EV_SECTION_CLOSE: result.status = MiCloseSection(os, event->section.sid); break;
    default: break;
    }
    return result;
}

void MiFreeSectionStructures(struct os *os) {
    while (os->Sections) {
        struct section_object *s = os->Sections;
        os->Sections = s->Next;
        free(s);
    }
    while (os->ControlAreas) {
        struct control_area *area = os->ControlAreas;
        os->ControlAreas = area->Next;
        while (area->Subsections) {
            struct subsection *s = area->Subsections;
            area->Subsections = s->Next;
            free(s);
        }
        free(area);
    }
    while (os->CloneBlocks) {
        struct mmclone *clone = os->CloneBlocks;
        os->CloneBlocks = clone->Next;
        free(clone->CloneRefCount);
        free(clone);
    }
}
