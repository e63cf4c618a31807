/* Views: NT-66, with the rules of traces/FORMAT.md for what a captured program maps. */
#include "mi.h"

#define X64K                 ((va_t)0x10000)
#define MM_MAXIMUM_ZERO_BITS 21u

enum { MI_READ = 1, MI_WRITE = 2, MI_EXECUTE = 4 };

struct view_request {
    const struct section_object *Section;
    struct control_area *Area;
    struct eprocess *Process;
    va_t Base, Size;
    uint64_t Offset;
    uint32_t ZeroBits, CommitSize, Inherit, Type;
    unsigned Protection;
};

/* ---- protections ---- */

/* What a section of this protection may be used for, and what a view of it needs. Write-copy writes to nobody's file.
 */
static unsigned MiCapabilities(unsigned protection) {
    switch (protection & 7) {
    case MM_READONLY:
    case MM_WRITECOPY: return MI_READ;
    case MM_EXECUTE: return MI_EXECUTE;
    case MM_EXECUTE_READ:
    case MM_EXECUTE_WRITECOPY: return MI_READ | MI_EXECUTE;
    case MM_READWRITE: return MI_READ | MI_WRITE;
    case MM_EXECUTE_READWRITE: return MI_READ | MI_WRITE | MI_EXECUTE;
    default: return 0;
    }
}

bool MiIsProtectionCompatible(unsigned section, unsigned view) {
    if (view == MM_NOACCESS) { return true; }
    return (MiCapabilities(view) & ~MiCapabilities(section)) == 0;
}

static bool MiIsWriteCopy(unsigned protection) {
    return (protection & 7) == MM_WRITECOPY || (protection & 7) == MM_EXECUTE_WRITECOPY;
}

/* ---- what stands behind a page of a view ---- */

static const struct subsection *MiViewSubsection(const struct mmvad *vad, va_t va, uint64_t *offset) {
    *offset = vad->SectionOffset + (page_of(va) - vad->StartingAddress);
    return MiLocateSubsection(vad->ControlArea, *offset);
}

/* bss: private from the start, so there is nothing to copy. */
static unsigned MiPrivatePieceProtection(const struct subsection *s) {
    return MiIsWriteCopy(s->Protection) ? s->Protection - 1u : s->Protection;
}

va_t MiGetProtoPteAddress(struct os *os, const struct mmvad *vad, va_t va, unsigned *private_protection) {
    (void)os;
    uint64_t offset;
    const struct subsection *s = MiViewSubsection(vad, va, &offset);
    *private_protection = MM_ZERO_ACCESS;
    if (!s) { return 0; }
    if (!s->BasePte) {
        *private_protection = MiPrivatePieceProtection(s);
        return 0;
    }
    return s->BasePte + ((offset - s->ViewOffset) >> PAGE_SHIFT) * PTE_SIZE;
}

unsigned MiViewPageProtection(struct os *os, const struct mmvad *vad, va_t va) {
    (void)os;
    uint64_t offset;
    const struct subsection *s = vad->ImageMap ? MiViewSubsection(vad, va, &offset) : NULL;
    if (!vad->ImageMap) { return vad->Protection; }
    if (!s) { return MM_ZERO_ACCESS; }
    return s->BasePte ? s->Protection : MiPrivatePieceProtection(s);
}

/* Pages of the view that may become private: they are charged when the view is made. */
static uint32_t MiViewCommitCharge(const struct mmvad *vad) {
    uint64_t start = vad->SectionOffset, end = start + (vad->EndingAddress + 1 - vad->StartingAddress);
    uint32_t pages = 0;
    for (const struct subsection *s = vad->ControlArea->Subsections; s; s = s->Next) {
        uint64_t first = s->ViewOffset > start ? s->ViewOffset : start;
        uint64_t last = s->ViewOffset + ((uint64_t)s->PtesInSubsection << PAGE_SHIFT);
        if (last > end) { last = end; }
        bool copied = vad->ImageMap ? MiIsWriteCopy(s->Protection) || !s->BasePte : vad->CopyOnWrite;
        if (copied && last > first) { pages += (uint32_t)((last - first) >> PAGE_SHIFT); }
    }
    return pages;
}

/* ---- map ---- */

/* Errors that the arguments alone decide, in NT's order. */
static ntstatus_t MiCheckViewArguments(const struct view_request *r) {
    va_t unit = r->Type & MEM_DOS_LIM ? PAGE_SIZE : X64K;
    if (r->ZeroBits > MM_MAXIMUM_ZERO_BITS) { return STATUS_INVALID_PARAMETER_4; }
    if (r->Inherit != VIEW_SHARE && r->Inherit != VIEW_UNMAP) { return STATUS_INVALID_PARAMETER_8; }
    if (r->Type & ~(uint32_t)(MEM_TOP_DOWN | MEM_DOS_LIM | MEM_LARGE_PAGES | MEM_RESERVE)) {
        return STATUS_INVALID_PARAMETER_9;
    }
    if (r->Process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    if (r->Base > MM_HIGHEST_VAD_ADDRESS || r->Base + r->Size > (va_t)MM_HIGHEST_VAD_ADDRESS + 1) {
        return STATUS_INVALID_PARAMETER_3;
    }
    if (r->Offset % unit || (r->Base && r->Base % unit != r->Offset % unit)) { return STATUS_MAPPED_ALIGNMENT; }
    return STATUS_SUCCESS;
}

/* Behind the last page of the section: it may be shorter than the segment it shares with others. */
static uint64_t MiSectionEnd(const struct view_request *r) {
    uint64_t size = r->Section->Size ? r->Section->Size : r->Area->Size;
    return (size + PAGE_MASK) & ~PAGE_MASK;
}

static unsigned MiSectionProtection(const struct view_request *r) {
    return r->Section->Protection ? r->Section->Protection : r->Area->Protection;
}

/* Size 0: to the end of the section. False: the view would begin behind its end. */
static bool MiViewSize(struct view_request *r) {
    uint64_t end = MiSectionEnd(r);
    if (r->Size == 0 && r->Offset >= end) { return false; }
    uint64_t size = r->Size ? r->Size : end - r->Offset;
    r->Size = (size + PAGE_MASK) & ~PAGE_MASK;
    return r->Size <= MM_HIGHEST_VAD_ADDRESS;
}

static ntstatus_t MiPlaceView(struct os *os, struct view_request *r) {
    if (r->Section->Based) { /* NT-68: at its own address or nowhere */
        va_t base = MiBasedAddress(os, r->Section) + r->Offset;
        if ((base & PAGE_MASK) || (r->Base && r->Base != base)) { return STATUS_CONFLICTING_ADDRESSES; }
        r->Base = base;
    }
    if (r->Base) {
        va_t end = r->Base + r->Size - 1;
        return r->Base < MM_LOWEST_USER_ADDRESS || end > MM_HIGHEST_VAD_ADDRESS ||
                       MiCheckForConflictingVad(r->Process, r->Base, end)
                   ? STATUS_CONFLICTING_ADDRESSES
                   : STATUS_SUCCESS;
    }
    va_t highest = r->ZeroBits ? 0xFFFFFFFFu >> r->ZeroBits : MM_HIGHEST_VAD_ADDRESS;
    if (highest > MM_HIGHEST_VAD_ADDRESS) { highest = MM_HIGHEST_VAD_ADDRESS; }
    bool found = MiFindEmptyAddressRange(r->Process, r->Size, r->Type & MEM_TOP_DOWN, highest, &r->Base);
    return found ? STATUS_SUCCESS : STATUS_NO_MEMORY;
}

/* A data file whose length was not recorded is as long as its maps say, within what any section can have. */
static ntstatus_t MiCheckViewExtent(const struct view_request *r) {
    struct control_area *area = r->Area;
    bool open_ended = area->File && !area->Image && area->FileLength == UINT64_MAX;
    uint64_t end = open_ended ? MM_MAXIMUM_FILE_SECTION : MiSectionEnd(r);
    if (r->Offset > end || r->Size > end - r->Offset) { return STATUS_INVALID_VIEW_SIZE; }
    unsigned allowed = MiSectionProtection(r);
    if (!MiIsProtectionCompatible(allowed, r->Protection)) { return STATUS_SECTION_PROTECTION; }
    if (r->Section->NoChange && r->Protection != allowed) { return STATUS_SECTION_PROTECTION; }
    return STATUS_SUCCESS;
}

static struct mmvad *MiMakeViewVad(struct os *os, const struct view_request *r) {
    struct mmvad *vad = MiAllocateHost(os, sizeof *vad);
    vad->StartingAddress = r->Base;
    vad->EndingAddress = r->Base + r->Size - 1;
    vad->Protection = r->Area->Image ? MM_EXECUTE_WRITECOPY : (uint8_t)r->Protection;
    vad->ImageMap = r->Area->Image;
    vad->ViewUnmap = r->Inherit == VIEW_UNMAP;
    vad->ControlArea = r->Area;
    vad->SectionOffset = r->Offset;
    vad->CopyOnWrite = MiIsWriteCopy(r->Protection);
    vad->SectionProtection = r->Section->Protection;
    vad->NoChange = r->Section->NoChange;
    vad->CommitCharge = MiViewCommitCharge(vad);
    return vad;
}

static ntstatus_t MiInsertView(struct os *os, const struct view_request *r, struct mmvad *vad) {
    ntstatus_t charged = MiChargeProcessCommitment(os, vad->CommitCharge, r->Process);
    if (!NT_SUCCESS(charged)) { return charged; }
    ntstatus_t status = STATUS_SUCCESS;
    if (r->CommitSize && r->Area->Reserve) {
        va_t size = r->CommitSize < r->Size ? r->CommitSize : r->Size;
        status = MiCommitReservedView(os, vad, r->Base, r->Base + size - 1);
    }
    if (NT_SUCCESS(status)) { status = MiInsertVad(os, r->Process, vad); }
    if (!NT_SUCCESS(status)) { MiReturnCommitment(os, vad->CommitCharge, r->Process); }
    return status;
}

/* What of it may have to be waited for: pages of prototypes, and commit. */
static ntstatus_t MiCreateView(struct os *os, struct view_request *r) {
    uint64_t end = r->Offset + r->Size;
    bool in_pieces = r->Area->Image && r->Area->Subsections;
    if (!in_pieces && !MiExtendSection(os, r->Area, end)) { return STATUS_INSUFFICIENT_RESOURCES; }
    if (r->Area->Size < end && !r->Area->Image) { r->Area->Size = end; }
    struct mmvad *vad = MiMakeViewVad(os, r);
    ntstatus_t status = MiInsertView(os, r, vad);
    if (!NT_SUCCESS(status)) { MiFreeHost(vad); }
    return status;
}

static ntstatus_t MiMapView(struct os *os, struct view_request *r) {
    ntstatus_t status = MiCheckViewArguments(r);
    if (!NT_SUCCESS(status)) { return status; }
    if (!MiViewSize(r)) { return STATUS_INVALID_VIEW_SIZE; }
    const struct section_object section = *r->Section; /* it may be closed during any of the waits that follow */
    r->Section = &section;
    MiHoldControlArea(os, r->Area);
    status = MiPlaceView(os, r);
    if (NT_SUCCESS(status)) { status = MiCheckViewExtent(r); }
    if (NT_SUCCESS(status)) { status = MiCreateView(os, r); }
    if (!NT_SUCCESS(status)) {
        MiReleaseControlArea(os, r->Area);
        return status;
    }
    r->Area->Held--, r->Area->SectionRef--; /* it is the view's now */
    r->Area->MappedViews++;
    r->Area->UserRef++;
    r->Area->Flags |= AREA_HAD_USER_REFERENCE;
    MiWriteControlArea(os, r->Area);
    if (!r->Area->Image) { return STATUS_SUCCESS; }
    if (!r->Area->ImageBase) {
        r->Area->ImageBase = r->Base - r->Offset;
        MiWriteSegment(os, r->Area);
    }
    return r->Area->ImageBase == r->Base - r->Offset ? STATUS_SUCCESS : STATUS_IMAGE_NOT_AT_BASE;
}

ntstatus_t NtMapViewOfSection(struct os *os, const struct section_object *section, struct eprocess *process,
                              uint32_t *base, uint32_t zero_bits, uint32_t commit, uint64_t *offset, uint32_t *size,
                              uint32_t inherit, uint32_t type, uint32_t protect) {
    int mask = MiMakeProtectionMask(protect);
    struct view_request r = {.Section = section,
                             .Area = section->ControlArea,
                             .Process = process,
                             .Base = *base,
                             .Size = *size,
                             .Offset = *offset,
                             .ZeroBits = zero_bits,
                             .CommitSize = commit,
                             .Inherit = inherit,
                             .Type = type,
                             .Protection = (unsigned)mask};
    if (mask < 0) { return STATUS_INVALID_PAGE_PROTECTION; }
    ntstatus_t status = MiMapView(os, &r);
    if (NT_SUCCESS(status)) {
        *base = (uint32_t)r.Base;
        *size = (uint32_t)r.Size;
    }
    return status;
}

/* ---- unmap ---- */

/* No page of the view is left; the caller has the VAD. */
void MiReleaseView(struct os *os, struct mmvad *vad) {
    struct control_area *area = vad->ControlArea;
    area->MappedViews--;
    area->UserRef--;
    MiDereferenceControlArea(os, area);
}

void MiDeleteViewPages(struct os *os, struct eprocess *process, struct mmvad *vad) {
    /* Deletion: one CR3 load serves the whole view (NT-74), unless the reference's counting names each page. */
    bool each = os->Config.reference_counting;
    bool valid = MiDeleteVirtualAddresses(os, process, vad->StartingAddress, vad->EndingAddress, 0, each);
    if (valid && !each) { KeFlushCurrentTb(os, vad->EndingAddress); }
}

ntstatus_t NtUnmapViewOfSection(struct os *os, struct eprocess *process, uint32_t base) {
    if (process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    struct mmvad *vad = MiLocateAddress(process, base);
    if (!vad || !vad->ControlArea) { return STATUS_NOT_MAPPED_VIEW; }
    if (MiIsSecured(process, vad->StartingAddress, vad->EndingAddress, MM_ZERO_ACCESS)) {
        return STATUS_UNABLE_TO_FREE_VM;
    }
    process->GoingStart = vad->StartingAddress;
    process->GoingEnd = vad->EndingAddress;
    MiDeleteVirtualAddresses(os, process, vad->StartingAddress, vad->EndingAddress, 0, true);
    MiRemoveVad(os, process, vad);
    process->GoingStart = process->GoingEnd = 0;
    MiReturnCommitment(os, vad->CommitCharge, process);
    MiReleaseView(os, vad);
    MiFreeHost(vad);
    return STATUS_SUCCESS;
}

/* ---- the trace's events ---- */

/* Rules 2 and 8 of traces/FORMAT.md: a program's odd offsets waive NT's 64 KB rule; what is not shared is copied. */
static void MiInterpretMap(const struct event *event, struct view_request *r) {
    struct control_area *area = r->Area;
    if (!event->map.strict && event->map.offset % X64K) { r->Type = MEM_DOS_LIM; }
    if (area->Image || !area->File) { return; }
    unsigned access = r->Protection & 7;
    bool writable = access == MM_READWRITE || access == MM_EXECUTE_READWRITE;
    if (writable && !event->map.share) { r->Protection++; }
    if (writable && event->map.share) {
        area->OpenedForWrite = true;
        area->Protection = MM_EXECUTE_READWRITE;
    }
}

static struct os_service_result MiMapEvent(struct os *os, const struct event *event) {
    struct os_service_result result = {.status = STATUS_INVALID_HANDLE};
    const struct section_object *section = MiLookupSection(os, event->map.sid);
    if (!section) { return result; }
    struct view_request r = {.Section = section,
                             .Area = section->ControlArea,
                             .Process = PsGetCurrentProcess(os),
                             .Base = event->map.base,
                             .Size = event->map.size,
                             .Offset = event->map.offset,
                             .Inherit = VIEW_SHARE,
                             .Protection = event->map.prot};
    bool as_image = event->map.prot == EVENT_MAP_IMAGE;
    if (as_image && !r.Area->Image) {
        result.status = STATUS_SECTION_PROTECTION;
        return result;
    }
    if (as_image) { r.Protection = MM_EXECUTE_WRITECOPY; }
    MiInterpretMap(event, &r);
    result.status = MiMapView(os, &r);
    if (NT_SUCCESS(result.status)) {
        result.out[0] = r.Base;
        result.out[1] = r.Size;
    }
    return result;
}

struct os_service_result MiServiceMap(struct os *os, const struct event *event) {
    if (event->kind == EV_MAP) { return MiMapEvent(os, event); }
    return (struct os_service_result){
        .status = NtUnmapViewOfSection(os, PsGetCurrentProcess(os), (uint32_t)event->range.base)};
}
