/* Sections, their subsections and arrays of prototype PTEs: creation and extension, NT-61, NT-65. What of them lies in
 * simulated memory is ctrlarea.c's; their end is sectdel.c's. */
#include "mi.h"

#include "ntmmu/filedata.h"

#include <string.h>

#define TAG_PROTOTYPES          0x7453 /* "St" */
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

struct section_object *MiLookupSection(const struct os *os, uint32_t sid) {
    for (struct section_object *s = os->Sections; s; s = s->Next) {
        if (s->SectionId == sid) { return s; }
    }
    return NULL;
}

struct file_object *MiLookupFile(const struct os *os, uint32_t sid) {
    const struct section_object *section = MiLookupSection(os, sid);
    if (section) { return section->ControlArea->FileObject; }
    for (struct file_object *file = os->Files; file; file = file->Next) {
        if (file->Id == sid) { return file; }
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

uint64_t MiNextSubsection(const struct control_area *area, uint64_t offset) {
    const struct subsection *s = area->Subsections;
    while (s && s->ViewOffset <= offset) { s = s->Next; }
    return s ? s->ViewOffset : UINT64_MAX;
}

static bool MiHoldsPrototype(const struct subsection *s, va_t prototype) {
    return s->BasePte && prototype >= s->BasePte && prototype - s->BasePte < (va_t)s->PtesInSubsection * PTE_SIZE;
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
    return subsection->FileOffset + ((prototype - subsection->BasePte) / PTE_SIZE << PAGE_SHIFT);
}

/* ---- prototypes ---- */

void MiFillPrototypes(struct os *os, va_t prototype, uint32_t count, pte_t value) {
    mmpte_t entries[MM_PTE_PER_PAGE];
    for (unsigned i = 0; i < MM_PTE_PER_PAGE; i++) { entries[i] = (mmpte_t)value; }
    while (count) {
        uint32_t room = (uint32_t)(PAGE_SIZE - (prototype & PAGE_MASK)) / PTE_SIZE;
        uint32_t n = count < room ? count : room;
        os->M->ops->write(os->M, prototype, entries, n * PTE_SIZE);
        prototype += n * PTE_SIZE;
        count -= n;
    }
}

/* What an untouched prototype PTE of the subsection contains. */
pte_t MiPrototypeTemplate(const struct os *os, const struct subsection *s) {
    if (s->ControlArea->File) { return pte_subsection(s->Address, os->MmNonPagedPoolStart, s->Protection); }
    return s->ControlArea->Reserve ? 0 : pte_demand_zero(s->Protection);
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
    if (!anonymous) {
        piece.BasePte = MiAllocateSectionPool(os, true, piece.PtesInSubsection * PTE_SIZE, TAG_PROTOTYPES);
        if (!piece.BasePte) { return false; }
    }
    if ((!anonymous && !MiAllocateSegment(os, area)) || !MiAllocateSubsection(os, area, &piece)) {
        if (piece.BasePte) { ExFreePool(os, piece.BasePte); }
        return false;
    }
    struct subsection *s = MiAllocateHost(os, sizeof *s);
    *s = piece;
    MiWriteSubsection(os, s);
    if (s->BasePte) { MiFillPrototypes(os, s->BasePte, s->PtesInSubsection, MiPrototypeTemplate(os, s)); }
    MiLinkSubsection(area, s);
    MiLinkSubsectionInMemory(os, area, s);
    MiWriteControlArea(os, area);
    MiWriteSegment(os, area);
    return true;
}

static uint64_t MiSubsectionsEnd(const struct control_area *area) {
    uint64_t end = 0;
    for (const struct subsection *s = area->Subsections; s; s = s->Next) {
        end = s->ViewOffset + ((uint64_t)s->PtesInSubsection << PAGE_SHIFT);
    }
    return end;
}

/* Pages for prototypes may have to be waited for: the caller holds the area, and one thread extends it at a time. */
static void MiBeginExtension(struct os *os, struct control_area *area) {
    while (area->BeingExtended) { KeWaitForSingleObject(os, MiControlAreaEvent(area)); }
    area->BeingExtended = true;
}

static void MiEndExtension(struct os *os, struct control_area *area) {
    area->BeingExtended = false;
    os->M->ops->signal(os->M, MiControlAreaEvent(area));
}

static bool MiExtendByOne(struct os *os, struct control_area *area, uint64_t end) {
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

bool MiExtendSection(struct os *os, struct control_area *area, uint64_t end) {
    if (!area->BeingExtended && MiSubsectionsEnd(area) >= (end < area->Size ? area->Size : end)) { return true; }
    MiBeginExtension(os, area);
    bool extended = MiExtendByOne(os, area, end);
    MiEndExtension(os, area);
    return extended;
}

ntstatus_t MiCommitReservedView(struct os *os, struct mmvad *vad, va_t start, va_t end) {
    uint32_t fresh[2] = {0}; /* to be charged; still fresh after the charge, during which others may commit some */
    for (int pass = 0; pass < 2; pass++) {
        for (va_t va = page_of(start); va <= end; va += PAGE_SIZE) {
            unsigned unused;
            va_t prototype = MiGetProtoPteAddress(os, vad, va, &unused);
            if (!prototype || MiReadPte(os, prototype) != 0) { continue; }
            fresh[pass]++;
            if (pass == 1) { MiWritePte(os, prototype, pte_demand_zero(vad->ControlArea->Subsections->Protection)); }
        }
        if (pass != 0) { break; }
        if (!MiChargeCommitment(os, fresh[0], NULL)) { return STATUS_COMMITMENT_LIMIT; }
        vad->ControlArea->CommitCharge += fresh[0]; /* its pages may have to be waited for */
    }
    vad->ControlArea->CommitCharge -= fresh[0] - fresh[1];
    MiReturnCommitment(os, fresh[0] - fresh[1], NULL);
    MiWriteSegment(os, vad->ControlArea);
    return STATUS_SUCCESS;
}

/* ---- creation ---- */

static void MiForgetControlArea(struct os *os, struct control_area *area) {
    struct control_area **at = &os->ControlAreas;
    while (*at != area) { at = &(*at)->Next; }
    *at = area->Next;
    MiFreeHost(area);
}

/* charge: what its pages have been charged; as long as it is on the list, it has that. */
static struct control_area *MiCreateControlArea(struct os *os, uint32_t sid, uint64_t size, unsigned protection,
                                                uint32_t charge) {
    struct control_area *area = MiAllocateHost(os, sizeof *area), **last = &os->ControlAreas;
    area->SectionId = sid;
    area->Size = size;
    area->FileLength = UINT64_MAX;
    area->Protection = (uint8_t)protection;
    area->CommitCharge = charge;
    while (*last) { last = &(*last)->Next; }
    *last = area;
    if (MiAllocateControlArea(os, area)) { return area; }
    MiForgetControlArea(os, area);
    return NULL;
}

/* The object; a based one gets its address now (NT-68). On failure the control area loses the reference again. It is
 * known last: what is written to paged pool may be waited for, and whoever knows the section may close it. */
static ntstatus_t MiOpenSection(struct os *os, const struct section_object *what) {
    struct section_object *s = MiAllocateHost(os, sizeof *s);
    *s = *what;
    MiReferenceControlArea(os, s->ControlArea);
    ntstatus_t status = MiAllocateSectionObject(os, s) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    if (NT_SUCCESS(status) && s->Based && !MiInsertBasedSection(os, s)) { status = STATUS_NO_MEMORY; }
    if (NT_SUCCESS(status)) {
        MiWriteControlArea(os, s->ControlArea);
        MiWriteSegment(os, s->ControlArea);
        MiWriteSectionObject(os, s);
        if (MiLookupSection(os, s->SectionId)) { /* made meanwhile */
            if (s->Based) { MiRemoveBasedSection(os, s); }
            status = STATUS_INVALID_PARAMETER_1;
        }
    }
    if (!NT_SUCCESS(status)) {
        if (s->Address) { ExFreePool(os, s->Address); }
        s->ControlArea->SectionRef--;
        MiDereferenceControlArea(os, s->ControlArea);
        MiFreeHost(s);
        return status;
    }
    s->Next = os->Sections;
    os->Sections = s;
    return STATUS_SUCCESS;
}

static ntstatus_t MiCreatePageFileSection(struct os *os, struct section_object *what, unsigned protection,
                                          bool reserve) {
    if (what->Size == 0 || what->Size > MM_MAXIMUM_SECTION_SIZE) { return STATUS_INVALID_PARAMETER_4; }
    uint32_t pages = (uint32_t)MiPages(what->Size), charge = reserve ? 0 : pages;
    if (!MiChargeCommitment(os, charge, NULL)) { return STATUS_COMMITMENT_LIMIT; }
    struct control_area *area = MiCreateControlArea(os, what->SectionId, what->Size, what->Protection, charge);
    if (!area) {
        MiReturnCommitment(os, charge, NULL);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    area->Reserve = reserve;
    struct subsection piece = {.Length = what->Size, .Protection = (uint8_t)protection};
    if (!MiAddSubsection(os, area, piece, false)) {
        MiDestroyControlArea(os, area);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    what->ControlArea = area;
    return MiOpenSection(os, what);
}

/* ---- files ---- */

static struct file_object *MiOpenFile(struct os *os, uint32_t sid, const char *path) {
    uint64_t identity = file_identity(path);
    for (struct file_object *file = os->Files; file; file = file->Next) {
        if (file->File == identity) { return file; }
    }
    struct file_object *file = MiAllocateHost(os, sizeof *file);
    file->Next = os->Files;
    file->Id = sid;
    file->File = identity;
    file->Length = file->ValidLength = UINT64_MAX;
    memcpy(file->Path, path, sizeof file->Path);
    os->Files = file;
    return file;
}

static bool MiIsDirectory(const struct file_object *file) {
    size_t length = strlen(file->Path);
    return length && file->Path[length - 1] == '/';
}

/* The second section of the same use takes the control area that exists. */
static struct control_area *MiControlAreaOfFile(struct os *os, struct file_object *file, uint32_t sid, uint64_t size,
                                                bool image) {
    struct control_area **slot = image ? &file->ImageSectionObject : &file->DataSectionObject;
    if (*slot) { return *slot; }
    struct control_area *area = MiCreateControlArea(os, sid, size, image ? MM_EXECUTE_WRITECOPY : MM_EXECUTE_READ, 0);
    if (!area) { return NULL; }
    if (!MiAllocateFileObject(os, file) || *slot) { /* another has made one while a segment was purged for this */
        ExFreePool(os, area->Address);
        MiForgetControlArea(os, area);
        MiWriteFileObject(os, file);
        return *slot;
    }
    area->File = file->File;
    area->Image = image;
    area->FileObject = file;
    if (!image) { area->FileLength = file->ValidLength; }
    *slot = area;
    MiWriteFileObject(os, file);
    MiWriteControlArea(os, area);
    return area;
}

/* May the two uses of one file live together? Not while one of them writes (NT-65): an image of a file that is mapped
 * for writing, and a writable section of a file that runs. */
static ntstatus_t MiCheckOtherUse(const struct file_object *file, bool image, bool writable) {
    const struct control_area *data = file->DataSectionObject, *running = file->ImageSectionObject;
    if (image && data && data->OpenedForWrite && data->UserRef) { return STATUS_USER_MAPPED_FILE; }
    if (!image && writable && running && (running->SectionRef || running->MappedViews)) {
        return STATUS_INCOMPATIBLE_FILE_MAP;
    }
    return STATUS_SUCCESS;
}

/* No section comes of it: the area may be nobody's, and goes where those are kept. */
static ntstatus_t MiLeaveControlArea(struct os *os, struct control_area *area, ntstatus_t status) {
    MiDereferenceControlArea(os, area);
    return status;
}

static bool MiIsWritable(unsigned protection) {
    return (protection & 7) == MM_READWRITE || (protection & 7) == MM_EXECUTE_READWRITE;
}

/* An image that the trace has described with `sec+ … image` and `sub` lines is known by them. */
static ntstatus_t MiCreateImageSection(struct os *os, struct section_object *what, struct file_object *file) {
    if (!file->HasImage) { return STATUS_INVALID_IMAGE_FORMAT; }
    ntstatus_t status = MiCheckOtherUse(file, true, false);
    if (!NT_SUCCESS(status)) { return status; }
    what->ControlArea = MiControlAreaOfFile(os, file, what->SectionId, what->Size, true);
    if (!what->ControlArea) { return STATUS_INSUFFICIENT_RESOURCES; }
    status = MiCheckOtherUse(file, true, false); /* again: that may have waited */
    if (NT_SUCCESS(status) && what->Size > what->ControlArea->Size) { status = STATUS_SECTION_TOO_BIG; }
    if (!NT_SUCCESS(status)) { return MiLeaveControlArea(os, what->ControlArea, status); }
    what->Size = what->ControlArea->Size;
    what->Protection = MM_EXECUTE_WRITECOPY;
    return MiOpenSection(os, what);
}

static ntstatus_t MiCreateDataSection(struct os *os, struct section_object *what, struct file_object *file,
                                      bool no_cache) {
    bool writable = MiIsWritable(what->Protection);
    uint64_t size = what->Size ? what->Size : file->Length;
    if (size == 0 || size == UINT64_MAX) { return STATUS_MAPPED_FILE_SIZE_ZERO; }
    if (size > MM_MAXIMUM_FILE_SECTION || (size > file->Length && !writable)) { return STATUS_SECTION_TOO_BIG; }
    ntstatus_t status = MiCheckOtherUse(file, false, writable);
    if (!NT_SUCCESS(status)) { return status; }
    struct control_area *area = MiControlAreaOfFile(os, file, what->SectionId, size, false);
    if (!area) { return STATUS_INSUFFICIENT_RESOURCES; }
    status = MiCheckOtherUse(file, false, writable);
    if (!NT_SUCCESS(status)) { return MiLeaveControlArea(os, area, status); }
    if (writable) { area->OpenedForWrite = true; }
    if (no_cache) { area->Flags |= AREA_NO_CACHE; }
    if (size > file->Length) { file->Length = size; } /* zeros follow what the file has */
    if (size > area->Size) { area->Size = size; }
    what->Size = size;
    what->ControlArea = area;
    MiHoldControlArea(os, area); /* pool for prototypes may come from unused segments: not from this one */
    bool extended = MiExtendSection(os, area, size);
    status = extended ? MiOpenSection(os, what) : STATUS_INSUFFICIENT_RESOURCES;
    MiReleaseControlArea(os, area);
    return status;
}

/* ---- NT-65 ---- */

ntstatus_t MmCreateSection(struct os *os, uint32_t sid, uint64_t maximum_size, uint32_t protect, uint32_t attributes,
                           struct file_object *file) {
    int mask = MiMakeProtectionMask(protect);
    if (mask < 0 || mask == MM_NOACCESS || (mask & MM_GUARD_PAGE)) { return STATUS_INVALID_PAGE_PROTECTION; }
    uint32_t kinds = attributes & (SEC_COMMIT | SEC_RESERVE | SEC_IMAGE);
    uint32_t known = SEC_COMMIT | SEC_RESERVE | SEC_NO_CHANGE | SEC_NOCACHE | SEC_BASED | SEC_IMAGE;
    if (file) { known |= SEC_FILE; }
    if ((attributes & ~known) || (kinds != SEC_COMMIT && kinds != SEC_RESERVE && kinds != SEC_IMAGE) ||
        ((kinds & SEC_IMAGE) && (attributes & (SEC_NOCACHE | SEC_BASED)))) {
        return STATUS_INVALID_PARAMETER_6;
    }
    if (MiLookupSection(os, sid)) { return STATUS_INVALID_PARAMETER_1; }
    struct section_object what = {.SectionId = sid,
                                  .Size = maximum_size,
                                  .Protection = (uint8_t)mask,
                                  .NoChange = attributes & SEC_NO_CHANGE,
                                  .Based = attributes & SEC_BASED};
    if (file && MiIsDirectory(file)) { return STATUS_INVALID_FILE_FOR_SECTION; }
    if (kinds == SEC_IMAGE) { return file ? MiCreateImageSection(os, &what, file) : STATUS_INVALID_FILE_FOR_SECTION; }
    if (file) { return MiCreateDataSection(os, &what, file, attributes & SEC_NOCACHE); }
    unsigned protection = (unsigned)mask;
    if ((protection & 7) == MM_WRITECOPY || (protection & 7) == MM_EXECUTE_WRITECOPY) { protection--; }
    if (attributes & SEC_NOCACHE) { protection |= MM_NOCACHE; }
    return MiCreatePageFileSection(os, &what, protection, kinds == SEC_RESERVE);
}

/* What a capture knows of a file's section: rules 1 and 6 of traces/FORMAT.md say the rest. */
static ntstatus_t MiCreateCapturedSection(struct os *os, const struct event *event) {
    bool image = event->section.type == EVENT_SEC_IMAGE;
    struct file_object *file = MiOpenFile(os, event->section.sid, event->text);
    if (MiIsDirectory(file)) { return STATUS_INVALID_FILE_FOR_SECTION; }
    if (event->section.size > MM_MAXIMUM_FILE_SECTION) { return STATUS_SECTION_TOO_BIG; }
    struct section_object what = {.SectionId = event->section.sid, .Size = event->section.size};
    if (image) {
        file->HasImage = true;
        return MiCreateImageSection(os, &what, file);
    }
    if (event->section.size && file->Length == UINT64_MAX && !file->DataSectionObject) {
        file->Length = file->ValidLength = event->section.size;
    }
    uint64_t size = event->section.size ? event->section.size : file->Length == UINT64_MAX ? 0 : file->Length;
    what.ControlArea = MiControlAreaOfFile(os, file, event->section.sid, size, false);
    if (!what.ControlArea) { return STATUS_INSUFFICIENT_RESOURCES; }
    bool too_big = event->section.size > what.ControlArea->Size || event->section.size > file->Length;
    return too_big ? MiLeaveControlArea(os, what.ControlArea, STATUS_SECTION_TOO_BIG) : MiOpenSection(os, &what);
}

static ntstatus_t MiSectionEvent(struct os *os, const struct event *event) {
    if (MiLookupSection(os, event->section.sid)) { return STATUS_INVALID_PARAMETER_1; }
    if (event->section.type == EVENT_SEC_PAGE) {
        /* The trace does not say what the section allows: whatever its views ask for. */
        struct section_object what = {
            .SectionId = event->section.sid, .Size = event->section.size, .Protection = MM_EXECUTE_READWRITE};
        return MiCreatePageFileSection(os, &what, MM_READWRITE, false);
    }
    if (event->section.type == EVENT_SEC_IMAGE && event->section.size == 0) { return STATUS_INVALID_IMAGE_FORMAT; }
    return MiCreateCapturedSection(os, event);
}

static ntstatus_t MiAddPiece(struct os *os, struct control_area *area, const struct event *event) {
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
    if (MiNextSubsection(area, offset) < end) { return STATUS_INCOMPATIBLE_FILE_MAP; }
    struct subsection piece = {.ViewOffset = offset,
                               .FileOffset = event->sub.anonymous ? 0 : event->sub.file_offset,
                               .Length = event->sub.size,
                               .Protection = event->sub.prot};
    return MiAddSubsection(os, area, piece, event->sub.anonymous) ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static ntstatus_t MiSubsectionEvent(struct os *os, const struct event *event) {
    const struct section_object *section = MiLookupSection(os, event->sub.sid);
    if (!section) { return STATUS_INVALID_HANDLE; }
    struct control_area *area = section->ControlArea;
    MiHoldControlArea(os, area);
    MiBeginExtension(os, area);
    ntstatus_t status = MiAddPiece(os, area, event);
    MiEndExtension(os, area);
    MiReleaseControlArea(os, area);
    return status;
}

/* ---- close ---- */

static ntstatus_t MiCloseSection(struct os *os, uint32_t sid) {
    for (struct section_object **at = &os->Sections; *at; at = &(*at)->Next) {
        struct section_object *s = *at;
        if (s->SectionId != sid) { continue; }
        *at = s->Next;
        if (s->Based) { MiRemoveBasedSection(os, s); }
        ExFreePool(os, s->Address);
        s->ControlArea->SectionRef--;
        MiDereferenceControlArea(os, s->ControlArea);
        MiFreeHost(s);
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
        MiFreeHost(s);
    }
    while (os->ControlAreas) {
        struct control_area *area = os->ControlAreas;
        os->ControlAreas = area->Next;
        while (area->Subsections) {
            struct subsection *s = area->Subsections;
            area->Subsections = s->Next;
            MiFreeHost(s);
        }
        MiFreeHost(area);
    }
    while (os->Files) {
        struct file_object *file = os->Files;
        os->Files = file->Next;
        MiFreeHost(file);
    }
    while (os->CloneBlocks) {
        struct mmclone *clone = os->CloneBlocks;
        os->CloneBlocks = clone->Next;
        MiFreeHost(clone->CloneRefCount);
        MiFreeHost(clone);
    }
}
