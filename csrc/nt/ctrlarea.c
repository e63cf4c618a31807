/* What of a section lies in simulated memory: SECTION_OBJECT, SEGMENT, CONTROL_AREA, SUBSECTION and the file object's
 * section pointers, in the layouts of NT-62..64. The C structures are the index; whatever changes in them is written
 * through by the functions here, so that a dump can read all of it from memory. */
#include "mi.h"

#define TAG_CONTROL_AREA 0x61436D4Du /* "MmCa" */
#define TAG_SEGMENT      0x74536D4Du /* "MmSt" */
#define TAG_SUBSECTION   0x6253u     /* "Sb" */
#define TAG_SECTION      0x74636553u /* "Sect" */
#define TAG_FILE         0x656C6946u /* "File" */

#define CONTROL_AREA_SIZE   0x38u
#define SUBSECTION_SIZE     0x20u
#define SEGMENT_SIZE        (MI_PAE ? 0x40u : 0x38u)
#define SECTION_OBJECT_SIZE 0x28u
#define FILE_OBJECT_SIZE    0x70u
#define SECTION_POINTERS    0x0Cu
#define FILE_OBJECT_TYPE    5u

enum { FILE_SECTION_POINTER = 0x14, SECTION_SEGMENT = 0x14, SUBSECTION_NEXT = 0x1C };
enum { SECTION_FLAG_FILE = 0x8000000, SECTION_FLAG_PAGE_FILE = 0x10000 };

/* Pool for sections. What unused segments occupy is a cache: it goes before a request fails. */
va_t MiAllocateSectionPool(struct os *os, bool paged, uint32_t bytes, uint32_t tag) {
    va_t va = ExAllocatePool(os, paged, bytes, tag);
    while (!va && MiPurgeUnusedSegment(os)) { va = ExAllocatePool(os, paged, bytes, tag); }
    return va;
}

/* ---- CONTROL_AREA ---- */

uint32_t MiControlAreaFlags(const struct control_area *area) {
    uint32_t flags = area->Flags;
    if (area->Image) { flags |= AREA_IMAGE; }
    if (area->File) { flags |= AREA_FILE; }
    if (area->BasedAddress) { flags |= AREA_BASED; }
    if (!area->File) { flags |= area->Reserve ? AREA_RESERVE : AREA_COMMIT; }
    if (area->UserRef) { flags |= AREA_USER_REFERENCE; }
    return flags;
}

void MiWriteControlArea(struct os *os, const struct control_area *area) {
    uint32_t words[CONTROL_AREA_SIZE / 4] = {0};
    uint32_t subsections = 0, paged = 0;
    for (const struct subsection *s = area->Subsections; s; s = s->Next) {
        subsections++;
        paged += s->BasePte ? s->PtesInSubsection * PTE_SIZE : 0;
    }
    words[0] = (uint32_t)area->Segment;
    words[1] = area->Flink ? (uint32_t)area->Flink->Address : 0;
    words[2] = area->Blink ? (uint32_t)area->Blink->Address : 0;
    words[3] = area->SectionRef;
    words[4] = area->PfnRef;
    words[5] = area->MappedViews;
    words[6] = subsections | (uint32_t)area->FlushCount << 16;
    words[7] = area->UserRef;
    words[8] = MiControlAreaFlags(area);
    words[9] = area->FileObject ? (uint32_t)area->FileObject->Address : 0;
    words[11] = area->ModWriteCount | (uint32_t)area->SystemViews << 16;
    words[12] = paged ? paged + SEGMENT_SIZE : 0;
    words[13] = CONTROL_AREA_SIZE + (subsections ? subsections : 1) * SUBSECTION_SIZE;
    os->M->ops->write(os->M, area->Address, words, sizeof words);
}

/* The first subsection's place is behind it. */
bool MiAllocateControlArea(struct os *os, struct control_area *area) {
    area->Address = MiAllocateSectionPool(os, false, CONTROL_AREA_SIZE + SUBSECTION_SIZE, TAG_CONTROL_AREA);
    if (area->Address) { os->M->ops->fill(os->M, area->Address, 0, CONTROL_AREA_SIZE + SUBSECTION_SIZE); }
    return area->Address != 0;
}

/* ---- SUBSECTION ---- */

bool MiAllocateSubsection(struct os *os, struct control_area *area, struct subsection *s) {
    s->Address = area->LastSubsection ? MiAllocateSectionPool(os, false, SUBSECTION_SIZE, TAG_SUBSECTION)
                                      : area->Address + CONTROL_AREA_SIZE;
    return s->Address != 0;
}

void MiFreeSubsection(struct os *os, struct subsection *s) {
    if (s->Address != s->ControlArea->Address + CONTROL_AREA_SIZE) { ExFreePool(os, s->Address); }
}

/* Data files count in pages, images in sectors of 512 bytes. The last unit may be partial. */
void MiWriteSubsection(struct os *os, const struct subsection *s) {
    const struct control_area *area = s->ControlArea;
    uint32_t words[SUBSECTION_SIZE / 4] = {0};
    uint64_t unit = area->Image ? 0x200 : PAGE_SIZE, start = s->FileOffset / unit;
    unsigned access = s->Protection & 7;
    words[0] = (uint32_t)area->Address;
    words[1] = (access == MM_WRITECOPY || access == MM_EXECUTE_WRITECOPY)   ? 4u
               : (access == MM_READWRITE || access == MM_EXECUTE_READWRITE) ? 2u
                                                                            : 1u;
    words[1] |= (uint32_t)s->Protection << 4 | (uint32_t)(start >> 32 & 0x3FF) << 10;
    words[1] |= (uint32_t)(s->Length % unit) << 20;
    words[2] = (uint32_t)start;
    words[3] = (uint32_t)(s->Length / unit);
    words[4] = (uint32_t)s->BasePte;
    words[6] = s->PtesInSubsection;
    os->M->ops->write(os->M, s->Address, words, sizeof words);
}

/* Appends it to the list that begins behind the CONTROL_AREA. */
void MiLinkSubsectionInMemory(struct os *os, struct control_area *area, const struct subsection *s) {
    if (area->LastSubsection) { MiWrite32(os, area->LastSubsection + SUBSECTION_NEXT, (uint32_t)s->Address); }
    area->LastSubsection = s->Address;
}

/* ---- SEGMENT ---- */

/* It comes with the first prototype PTEs. */
bool MiAllocateSegment(struct os *os, struct control_area *area) {
    if (!area->Segment) { area->Segment = MiAllocateSectionPool(os, true, SEGMENT_SIZE, TAG_SEGMENT); }
    return area->Segment != 0;
}

void MiWriteSegment(struct os *os, const struct control_area *area) {
    uint32_t words[SEGMENT_SIZE / 4] = {0};
    const struct subsection *first = area->Subsections;
    if (!area->Segment) { return; }
    MiWaitForSystemAddress(os, area->Segment); /* before what is written is looked at */
    while (first && !first->BasePte) { first = first->Next; }
    for (const struct subsection *s = area->Subsections; s; s = s->Next) { words[2] += s->PtesInSubsection; }
    words[0] = (uint32_t)area->Address;
    words[1] = (uint32_t)(area->Image ? area->ImageBase : area->BasedAddress);
    words[3] = area->Subsections ? area->Subsections->PtesInSubsection : 0;
    words[4] = (uint32_t)area->Size;
    words[5] = (uint32_t)(area->Size >> 32);
    words[9] = area->CommitCharge;
    pte_t template = first ? MiPrototypeTemplate(os, first) : 0;
    const unsigned behind = 10 + PTE_SIZE / 4; /* the template is as wide as a PTE */
    words[10] = (uint32_t) template;
    words[behind - 1] |= (uint32_t)(template >> 32);
    words[behind] = (uint32_t)(area->Image ? area->ImageBase : area->BasedAddress);
    words[behind + 2] = first ? (uint32_t)first->BasePte : 0;
    os->M->ops->write(os->M, area->Segment, words, sizeof words);
}

/* ---- SECTION_OBJECT ---- */

/* The address node in front is MiInsertBasedSection's. */
bool MiAllocateSectionObject(struct os *os, struct section_object *section) {
    section->Address = MiAllocateSectionPool(os, false, SECTION_OBJECT_SIZE, TAG_SECTION);
    if (section->Address) { os->M->ops->fill(os->M, section->Address, 0, SECTION_OBJECT_SIZE); }
    return section->Address != 0;
}

void MiWriteSectionObject(struct os *os, const struct section_object *section) {
    const struct control_area *area = section->ControlArea;
    uint64_t size = section->Size ? section->Size : area->Size;
    unsigned protection = section->Protection ? section->Protection : area->Protection;
    uint32_t words[(SECTION_OBJECT_SIZE - SECTION_SEGMENT) / 4];
    words[0] = (uint32_t)area->Segment;
    words[1] = (uint32_t)size;
    words[2] = (uint32_t)(size >> 32);
    words[3] = MiControlAreaFlags(area) & ~(uint32_t)AREA_USER_REFERENCE;
    words[3] |= (section->NoChange ? (uint32_t)AREA_NO_CHANGE : 0) |
                (uint32_t)(area->File ? SECTION_FLAG_FILE : SECTION_FLAG_PAGE_FILE);
    words[4] = MiProtectionToWin32(protection);
    os->M->ops->write(os->M, section->Address + SECTION_SEGMENT, words, sizeof words);
}

/* ---- FILE_OBJECT, as far as memory management follows it ---- */

bool MiAllocateFileObject(struct os *os, struct file_object *file) {
    if (file->Address) { return true; }
    va_t address = MiAllocateSectionPool(os, false, FILE_OBJECT_SIZE + SECTION_POINTERS, TAG_FILE);
    if (!address || file->Address) { /* another has made it while a segment was purged */
        if (address) { ExFreePool(os, address); }
        return file->Address != 0;
    }
    file->Address = address;
    os->M->ops->fill(os->M, file->Address, 0, FILE_OBJECT_SIZE + SECTION_POINTERS);
    MiWrite32(os, file->Address, FILE_OBJECT_TYPE | FILE_OBJECT_SIZE << 16);
    MiWrite32(os, file->Address + FILE_SECTION_POINTER, (uint32_t)file->Address + FILE_OBJECT_SIZE);
    return true;
}

void MiWriteFileObject(struct os *os, struct file_object *file) {
    if (!file->Address) { return; }
    if (!file->DataSectionObject && !file->ImageSectionObject) {
        ExFreePool(os, file->Address);
        file->Address = 0;
        return;
    }
    uint32_t pointers[SECTION_POINTERS / 4] = {
        file->DataSectionObject ? (uint32_t)file->DataSectionObject->Address : 0, 0,
        file->ImageSectionObject ? (uint32_t)file->ImageSectionObject->Address : 0};
    os->M->ops->write(os->M, file->Address + FILE_OBJECT_SIZE, pointers, sizeof pointers);
}
