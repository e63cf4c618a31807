/* Dumps of the whole machine: !vm, !memusage, !sysptes, !poolused. */
#include "dump_priv.h"

#include <string.h>

#define SYSTEM_PTE_FIRST  0xF8000000u /* NT-06 */
#define SYSTEM_PTE_END    0xFA000000u
#define PAGED_POOL_FIRST  0xE1000000u
#define PAGED_POOL_END    0xE2000000u
#define NONPAGED_FIRST    0xFA000000u
#define NONPAGED_END      0xFFBE0000u
#define POOL_UNIT         8u /* a block's header: allocated << 31 | size in units, then its tag (NT-84) */
#define POOL_BLOCK_IN_USE 0x80000000u
#define TAGS_MAX          256u

static uint64_t system_directory(struct dump *d) {
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    return (uint64_t)memory.system_directory << PAGE_SHIFT;
}

/* ---- !vm, !memusage ---- */

struct census {
    uint32_t at[8], modified_active, shared, tables, frames;
};

static struct census count_frames(struct dump *d, const struct nt_memory_view *memory) {
    struct census c = {.frames = memory->highest_page + 1};
    for (pfn_t frame = 0; frame <= memory->highest_page; frame++) {
        struct mmpfn pfn = dump_read_pfn(d, frame);
        c.at[pfn_location(&pfn)]++;
        bool active = pfn_location(&pfn) == ActiveAndValid;
        c.modified_active += active && (pfn.Flags & PFN_MODIFIED);
        c.shared += active && (pfn.Flags & PFN_PROTOTYPE);
        c.tables += active && pfn.PteAddress >= PDE_BASE && pfn.PteAddress < PDE_BASE + PAGE_SIZE;
    }
    return c;
}

static void line(struct dump *d, const char *label, const char *key, uint64_t pages) {
    fprintf(d->out, "    %-24s %8" PRIu64 " (%8" PRIu64 " Kb)\n", label, pages, pages * 4);
    dump_set(d->json, key, pages);
}

int dump_vm(struct dump *d, const char *argument) {
    (void)argument;
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    struct census c = count_frames(d, &memory);
    fprintf(d->out, "*** Virtual Memory Usage ***\n");
    line(d, "Physical Memory:", "physical", c.frames);
    line(d, "Available Pages:", "available", c.at[ZeroedPageList] + c.at[FreePageList] + c.at[StandbyPageList]);
    line(d, "Modified Pages:", "modified", c.at[ModifiedPageList]);
    line(d, "Modified No Write:", "modified_no_write", c.at[ModifiedNoWritePageList]);
    line(d, "Committed Pages:", "committed", memory.total_committed);
    line(d, "Commit limit:", "commit_limit", memory.commit_limit);
    line(d, "Peak commitment:", "peak_commitment", memory.peak_commitment);
    return 0;
}

int dump_memusage(struct dump *d, const char *argument) {
    static const char *const key[8] = {"zeroed", "free",   "standby",   "modified", "modified_no_write",
                                       "bad",    "active", "transition"};
    (void)argument;
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    struct census c = count_frames(d, &memory);
    uint64_t total = 0;
    for (unsigned i = 0; i < 8; i++) {
        line(d, dump_location_name(i), key[i], c.at[i]);
        total += c.at[i];
    }
    line(d, "TOTAL", "total", total);
    line(d, "Active, modified", "active_modified", c.modified_active);
    line(d, "Active, shared", "active_shared", c.shared);
    line(d, "Active, page tables", "active_page_tables", c.tables);
    return 0;
}

/* ---- !sysptes ---- */

int dump_sysptes(struct dump *d, const char *argument) {
    (void)argument;
    uint64_t directory = system_directory(d), valid = 0, absent = 0, free_entries = 0;
    for (va_t va = SYSTEM_PTE_FIRST; va < SYSTEM_PTE_END; va += PAGE_SIZE) {
        uint32_t table, pte = dump_pte_of(d, directory, va);
        if (!dump_read32(d, directory, MiGetPteAddress(va), &table)) {
            absent++;
        } else if (pte & PTE_VALID) {
            valid++;
        } else {
            free_entries++;
        }
    }
    fprintf(d->out, "System PTEs %08x - %08x\n", SYSTEM_PTE_FIRST, SYSTEM_PTE_END - 1);
    line(d, "In use (valid):", "valid", valid);
    line(d, "Free:", "free", free_entries);
    line(d, "Without page table:", "absent", absent);
    return 0;
}

/* ---- !poolused ---- */

struct pool_tag {
    uint32_t tag, blocks[2];
    uint64_t bytes[2];
};
struct pool_usage {
    struct pool_tag tag[TAGS_MAX];
    unsigned count;
    uint64_t pages[2]; /* divided into blocks */
};

static void add_block(struct pool_usage *usage, bool paged, uint32_t tag, uint64_t bytes) {
    unsigned i = 0;
    while (i < usage->count && usage->tag[i].tag != tag) { i++; }
    if (i == TAGS_MAX) { i = TAGS_MAX - 1; }
    if (i == usage->count) { usage->tag[usage->count++] = (struct pool_tag){.tag = tag}; }
    usage->tag[i].blocks[paged]++;
    usage->tag[i].bytes[paged] += bytes;
}

/* A page is one of blocks if its headers lead exactly to its end; other pages belong to allocations of whole pages. */
static void scan_page(struct dump *d, uint64_t directory, va_t page, bool paged, struct pool_usage *usage) {
    for (unsigned pass = 0; pass < 2; pass++) {
        uint32_t at = 0;
        while (at < PAGE_SIZE) {
            uint32_t header, tag;
            if (!dump_read32(d, directory, page + at, &header)) { return; }
            uint64_t bytes = (uint64_t)(header & ~POOL_BLOCK_IN_USE) * POOL_UNIT;
            if (bytes == 0 || at + bytes > PAGE_SIZE) { return; }
            dump_read32(d, directory, page + at + 4, &tag);
            if (pass == 1 && (header & POOL_BLOCK_IN_USE)) { add_block(usage, paged, tag, bytes); }
            at += (uint32_t)bytes;
        }
    }
    usage->pages[paged]++;
}

static void scan(struct dump *d, va_t first, va_t end, bool paged, struct pool_usage *usage) {
    uint64_t directory = system_directory(d);
    for (va_t page = first; page < end; page += PAGE_SIZE) { scan_page(d, directory, page, paged, usage); }
}

static void tag_text(uint32_t tag, char out[5]) {
    for (unsigned i = 0; i < 4; i++) {
        char c = (char)(tag >> 8 * i & 0xFF);
        out[i] = c >= ' ' && c < 0x7F ? c : '.';
    }
    out[4] = '\0';
}

int dump_poolused(struct dump *d, const char *argument) {
    (void)argument;
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    struct pool_usage usage = {.count = 0};
    /* the initial nonpaged pool lies behind the PFN database in the direct map */
    va_t database = (pfn_address((pfn_t)memory.highest_page + 1) + PAGE_MASK) & ~(va_t)PAGE_MASK;
    va_t initial = database > 0x80260000u ? database : 0x80260000u;
    scan(d, initial, initial + ((va_t)0x1A0 << PAGE_SHIFT), false, &usage);
    scan(d, NONPAGED_FIRST, NONPAGED_END, false, &usage);
    scan(d, PAGED_POOL_FIRST, PAGED_POOL_END, true, &usage);
    fprintf(d->out, "             NonPaged                Paged\nTag     Allocs      Used     Allocs      Used\n");
    json_t *tags = json_array();
    for (unsigned i = 0; i < usage.count; i++) {
        const struct pool_tag *t = &usage.tag[i];
        char text[5];
        tag_text(t->tag, text);
        fprintf(d->out, "%-4s %9u %9" PRIu64 "  %9u %9" PRIu64 "\n", text, t->blocks[0], t->bytes[0], t->blocks[1],
                t->bytes[1]);
        json_array_append_new(tags, json_pack("{s:s, s:I, s:I, s:I, s:I}", "tag", text, "nonpaged_blocks",
                                              (json_int_t)t->blocks[0], "nonpaged_bytes", (json_int_t)t->bytes[0],
                                              "paged_blocks", (json_int_t)t->blocks[1], "paged_bytes",
                                              (json_int_t)t->bytes[1]));
    }
    json_object_set_new(d->json, "tags", tags);
    return 0;
}
