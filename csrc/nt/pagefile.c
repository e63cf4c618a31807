/* Paging files: their creation and growth (NT-39), the PAGING_FILE structure and the bitmap of its slots (NT-40), both
 * in nonpaged pool. Slot 0 is never used, so that a page-file PTE can never look like demand-zero. */
#include "exports.h"

#include <stdio.h>

#define TAG_PAGING_FILE   0x66506D4Du /* "MmPf" */
#define PAGING_FILE_BYTES 0x40u
#define MM_MINIMUM_LENGTH 0x100000u
#define MM_EXTENSION      0x100u /* pages a file grows by at least */
#define MM_WRITE_CLUSTER  0x10u
#define BITMAP_PIECE      1024u /* dwords read at a time */
#define BITS_PER_DWORD    32u
#define FILE_OBJECT_BASE  0x40u /* handles, not objects: paging files have no FILE_OBJECT of their own here */

static va_t MiFieldAddress(struct os *os, uint32_t number, unsigned offset) {
    return os->MmPagingFile[number].Address + offset;
}

uint32_t MiPagingFileField(struct os *os, uint32_t number, unsigned offset) {
    return MiRead32(os, MiFieldAddress(os, number, offset));
}

static void MiSetField(struct os *os, uint32_t number, unsigned offset, uint32_t value) {
    MiWrite32(os, MiFieldAddress(os, number, offset), value);
}

/* ---- the bitmap: 0 free, 1 holds a page ---- */

struct run_search {
    uint32_t Wanted, At, Length, BestAt, BestLength;
};

/* One more slot, free or not; true when a run of the wanted length is found. */
static bool MiExtendSearch(struct run_search *search, uint32_t slot, bool set) {
    if (set) {
        search->Length = 0;
        return false;
    }
    if (search->Length++ == 0) { search->At = slot; }
    if (search->Length > search->BestLength) {
        search->BestAt = search->At;
        search->BestLength = search->Length;
    }
    return search->BestLength == search->Wanted;
}

/* The first run of the wanted length in [from, end), or of the greatest length below it. */
static bool MiSearchBitmap(struct os *os, va_t bitmap, uint32_t from, uint32_t end, struct run_search *search) {
    uint32_t words[BITMAP_PIECE];
    search->Length = 0;
    for (uint32_t slot = from; slot < end;) {
        uint32_t word = slot / BITS_PER_DWORD, last = (end - 1) / BITS_PER_DWORD;
        uint32_t count = slot == from ? 4 : BITMAP_PIECE; /* mostly the first free slots are where they were left */
        if (count > last - word + 1) { count = last - word + 1; }
        os->M->ops->read(os->M, bitmap + 4 * (va_t)word, words, 4 * count);
        uint32_t piece_end = (word + count) * BITS_PER_DWORD;
        for (; slot < piece_end && slot < end; slot++) {
            uint32_t bits = words[slot / BITS_PER_DWORD - word];
            if (MiExtendSearch(search, slot, bits >> (slot % BITS_PER_DWORD) & 1)) { return true; }
        }
    }
    return false;
}

static void MiSetSlots(struct os *os, va_t bitmap, uint32_t first, uint32_t count, bool set) {
    for (uint32_t slot = first; slot < first + count; slot++) {
        va_t word = bitmap + 4 * (va_t)(slot / BITS_PER_DWORD);
        uint32_t bit = 1u << (slot % BITS_PER_DWORD), old = MiRead32(os, word);
        MiWrite32(os, word, set ? old | bit : old & ~bit);
    }
}

/* ---- slots, NT-40 ---- */

/* The size or the maximum. No page-file PTE could name a slot beyond the limit: the structure was written over. */
static uint32_t MiPagingFileLength(struct os *os, uint32_t number, unsigned offset) {
    uint32_t pages = MiPagingFileField(os, number, offset);
    if (pages > NT_PAGING_FILE_PAGES_MAX) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, number, offset, pages);
    }
    return pages;
}

uint32_t MiAllocatePageFileRun(struct os *os, uint32_t number, uint32_t count, uint32_t *first) {
    uint32_t free_pages = MiPagingFileField(os, number, PAGING_FILE_FREE);
    if (free_pages == 0) { return 0; }
    va_t bitmap = MiPagingFileField(os, number, PAGING_FILE_BITMAP);
    uint32_t end = MiPagingFileLength(os, number, PAGING_FILE_SIZE_NOW);
    uint32_t hint = MiPagingFileField(os, number, PAGING_FILE_HINT);
    struct run_search behind = {.Wanted = count}, all = {.Wanted = count}, *found = &behind;
    if (!MiSearchBitmap(os, bitmap, hint, end, &behind)) { /* wraps; of equal lengths the one behind the hint */
        MiSearchBitmap(os, bitmap, 0, end, &all);
        if (all.BestLength > behind.BestLength) { found = &all; }
    }
    if (found->BestLength == 0) { MiAssert(os, "a paging file's free count and its bitmap differ"); }
    uint32_t length = found->BestLength, used = MiPagingFileField(os, number, PAGING_FILE_USED) + length;
    *first = found->BestAt;
    MiSetSlots(os, bitmap, *first, length, true);
    MiSetField(os, number, PAGING_FILE_FREE, free_pages - length);
    MiSetField(os, number, PAGING_FILE_USED, used);
    if (used > MiPagingFileField(os, number, PAGING_FILE_MAX_USED)) {
        MiSetField(os, number, PAGING_FILE_MAX_USED, used);
    }
    MiSetField(os, number, PAGING_FILE_HINT, *first + MI_MUTANT(150, length, 0));
    os->MmPageFileFull = false;
    return length;
}

static void MiFreeSlots(struct os *os, uint32_t number, uint32_t first, uint32_t count) {
    MiSetSlots(os, MiPagingFileField(os, number, PAGING_FILE_BITMAP), first, count, false);
    uint32_t free_pages = MiPagingFileField(os, number, PAGING_FILE_FREE);
    MiSetField(os, number, PAGING_FILE_FREE, free_pages + MI_MUTANT(149, count, 0));
    MiSetField(os, number, PAGING_FILE_USED, MiPagingFileField(os, number, PAGING_FILE_USED) - count);
}

void MiReturnPageFileRun(struct os *os, uint32_t number, uint32_t first, uint32_t count) {
    if (MI_MUTANT(148, count == 0, true)) { return; }
    MiFreeSlots(os, number, first, count);
    MiSetField(os, number, PAGING_FILE_HINT, first);
}

bool MiPageFileSlotInUse(struct os *os, pte_t pte) {
    uint32_t number = pte_page_file_number(pte), slot = pte_page_file_offset(pte);
    if (number >= os->MmNumberOfPagingFiles || slot >= MiPagingFileField(os, number, PAGING_FILE_SIZE_NOW)) {
        return false;
    }
    va_t bitmap = MiPagingFileField(os, number, PAGING_FILE_BITMAP);
    return MiRead32(os, bitmap + 4 * (va_t)(slot / BITS_PER_DWORD)) >> (slot % BITS_PER_DWORD) & 1;
}

void MiReleasePageFileSpace(struct os *os, pte_t pte) {
    uint32_t number = pte_page_file_number(pte), slot = pte_page_file_offset(pte);
    if (pte_form(pte) != PTE_FORM_PAGE_FILE || slot == 0) { return; }
    if (!MiPageFileSlotInUse(os, pte)) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, pte, number, slot); }
    if (MiPagingFileField(os, number, PAGING_FILE_FREE) == 0) { os->MmPageFileFull = false; }
    MiFreeSlots(os, number, slot, 1);
}

void MiForgetPageFileSlot(struct os *os, struct mmpfn *pfn) {
    MiReleasePageFileSpace(os, pfn->OriginalPte);
    pfn->OriginalPte = (mmpte_t)pte_demand_zero(pte_protection(pfn->OriginalPte));
}

/* ---- creation and growth, NT-39 ---- */

/* The disk may have no room for it. */
static bool MiGrow(struct os *os, uint32_t number, uint32_t pages) {
    uint32_t size = MiPagingFileField(os, number, PAGING_FILE_SIZE_NOW) + pages;
    if (!os->M->ops->disk_create(os->M, number, (uint64_t)size << PAGE_SHIFT)) { return false; }
    MiSetField(os, number, PAGING_FILE_SIZE_NOW, size);
    MiSetField(os, number, PAGING_FILE_FREE, MiPagingFileField(os, number, PAGING_FILE_FREE) + pages);
    os->MmTotalCommitLimit += MI_MUTANT(152, pages, 0);
    os->MmPageFileFull = false;
    return true;
}

uint32_t MiExtendPagingFiles(struct os *os, uint32_t pages) {
    uint32_t obtained = 0, wanted = pages > MM_EXTENSION ? pages : MM_EXTENSION;
    for (uint32_t i = 0; i < os->MmNumberOfPagingFiles && obtained < pages; i++) {
        uint32_t maximum = MiPagingFileLength(os, i, PAGING_FILE_MAXIMUM);
        uint32_t size = MiPagingFileLength(os, i, PAGING_FILE_SIZE_NOW), room = maximum > size ? maximum - size : 0;
        uint32_t more = room < wanted ? room : wanted;
        if (more != 0 && MiGrow(os, i, more)) { obtained += more; }
    }
    return obtained;
}

/* The bits of a file of `maximum` pages; only those below its current size are ever looked at. */
static va_t MiCreateBitmap(struct os *os, uint32_t maximum) {
    uint32_t bytes = (maximum + BITS_PER_DWORD - 1) / BITS_PER_DWORD * 4;
    va_t bitmap = ExAllocatePool(os, false, bytes, TAG_PAGING_FILE);
    for (uint32_t done = 0; bitmap && done < bytes; done += PAGE_SIZE) {
        os->M->ops->fill(os->M, bitmap + done, 0, bytes - done < PAGE_SIZE ? bytes - done : PAGE_SIZE);
    }
    return bitmap;
}

/* The same file once more: it may have become allowed to grow; it never shrinks. */
static ntstatus_t MiRaiseMaximum(struct os *os, uint32_t number, uint32_t maximum) {
    uint32_t old = MiPagingFileField(os, number, PAGING_FILE_MAXIMUM);
    if (maximum <= old) { return STATUS_SUCCESS; }
    va_t bitmap = MiCreateBitmap(os, maximum), from = MiPagingFileField(os, number, PAGING_FILE_BITMAP);
    if (!bitmap) { return STATUS_INSUFFICIENT_RESOURCES; }
    for (uint32_t word = 0; word < (old + BITS_PER_DWORD - 1) / BITS_PER_DWORD; word++) {
        MiWrite32(os, bitmap + 4 * (va_t)word, MiRead32(os, from + 4 * (va_t)word));
    }
    ExFreePool(os, from);
    MiSetField(os, number, PAGING_FILE_BITMAP, (uint32_t)bitmap);
    MiSetField(os, number, PAGING_FILE_MAXIMUM, maximum);
    return STATUS_SUCCESS;
}

static void MiWriteName(struct os *os, uint32_t number, va_t buffer) {
    char text[PAGING_FILE_BYTES] = {0};
    uint32_t length = (uint32_t)snprintf(text, sizeof text, "\\??\\C:\\pagefile%u.sys", number);
    os->M->ops->write(os->M, buffer, text, length);
    MiSetField(os, number, PAGING_FILE_NAME, length << 16 | length);
    MiSetField(os, number, PAGING_FILE_NAME + 4, (uint32_t)buffer);
}

static ntstatus_t MiAddPagingFile(struct os *os, uint64_t name, uint32_t minimum, uint32_t maximum) {
    uint32_t number = os->MmNumberOfPagingFiles;
    struct mmpagingfile *file = &os->MmPagingFile[number];
    va_t block[5] = {MiCreateBitmap(os, maximum)};
    const uint32_t bytes[5] = {0, PAGING_FILE_BYTES, PAGING_FILE_BYTES, MDL_ARRAY + 4 * MM_WRITE_CLUSTER,
                               MDL_ARRAY + 4 * MM_WRITE_CLUSTER};
    bool complete = block[0] != 0;
    for (unsigned i = 1; i < 5 && complete; i++) {
        block[i] = ExAllocatePool(os, false, bytes[i], TAG_PAGING_FILE);
        complete = block[i] != 0;
    }
    if (!complete) {
        for (unsigned i = 0; i < 5 && block[i]; i++) { ExFreePool(os, block[i]); }
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *file = (struct mmpagingfile){.Address = block[1], .Mdl = {block[3], block[4]}, .NameId = name};
    os->M->ops->fill(os->M, block[1], 0, PAGING_FILE_BYTES);
    MiSetField(os, number, PAGING_FILE_MAXIMUM, maximum);
    MiSetField(os, number, PAGING_FILE_FOR_FLUSHING, MM_WRITE_CLUSTER);
    MiSetField(os, number, PAGING_FILE_ENTRY, PAGING_FILE_ENTRY_FREE);
    MiSetField(os, number, PAGING_FILE_ENTRY + 4, PAGING_FILE_ENTRY_FREE);
    MiSetField(os, number, PAGING_FILE_BITMAP, (uint32_t)block[0]);
    MiSetField(os, number, PAGING_FILE_OBJECT, FILE_OBJECT_BASE + 4 * number);
    MiSetField(os, number, PAGING_FILE_NUMBER, number);
    MiWriteName(os, number, block[2]);
    MiSetSlots(os, block[0], 0, 1, true);
    if (!MiGrow(os, number, minimum)) {
        for (unsigned i = 0; i < 5; i++) { ExFreePool(os, block[i]); }
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    os->MmNumberOfPagingFiles++;
    os->MmNumberOfActiveMdlEntries += 2;
    MiSetField(os, number, PAGING_FILE_FREE, minimum - 1);
    return STATUS_SUCCESS;
}

ntstatus_t NtCreatePagingFile(struct os *os, uint64_t name, uint64_t minimum, uint64_t maximum) {
    if (minimum > UINT32_MAX || minimum < MM_MINIMUM_LENGTH) { return STATUS_INVALID_PARAMETER_2; }
    if (maximum > UINT32_MAX || maximum < minimum) { return STATUS_INVALID_PARAMETER_3; }
    uint32_t pages = (uint32_t)(maximum >> PAGE_SHIFT);
    for (uint32_t i = 0; i < os->MmNumberOfPagingFiles; i++) {
        if (os->MmPagingFile[i].NameId == name) { return MiRaiseMaximum(os, i, pages); }
    }
    if (os->MmNumberOfPagingFiles == OS_PAGING_FILES_MAX) { return STATUS_TOO_MANY_PAGING_FILES; }
    return MiAddPagingFile(os, name, (uint32_t)(minimum >> PAGE_SHIFT), pages);
}

/* call: the name is a number here. Whoever calls from a process of its own has not got the privilege; the session
 * manager, who has, is the step `pagefile`. */
static ntstatus_t MiCallCreatePagingFile(struct os *os, struct eprocess *process, const struct event *event,
                                         uint64_t out[2]) {
    (void)out;
    if (process != &os->SystemProcess) { return STATUS_PRIVILEGE_NOT_HELD; }
    return NtCreatePagingFile(os, event->args.arg[0], event->args.arg[1], event->args.arg[2]);
}

const struct mi_export MiPagingFileExports[] = {
    {"NtCreatePagingFile", 4 | MI_WIDE(1) | MI_WIDE(2), MI_NO_HANDLE, MiCallCreatePagingFile},
    {0},
};
