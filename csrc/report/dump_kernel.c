/* Dumps of what the kernel hands out of its address space: !sysptes and !poolused. */
#include "dump_priv.h"

#include <stdlib.h>

/* ---- !sysptes: the lists that are threaded through the free entries, NT-16, NT-17 ---- */

struct pte_lists {
    struct dump *d;
    struct nt_system_ptes_view view;
    uint64_t directory;
};

static uint32_t free_entry(struct pte_lists *s, va_t pte) {
    pte_t entry;
    dump_read_entry(s->d, s->directory, pte, &entry);
    return pte_free_entry(entry);
}

static va_t referenced(const struct pte_lists *s, uint32_t reference) {
    return s->view.base + (va_t)(reference >> PTE_FRAME_SHIFT) * PTE_SIZE;
}

static json_t *block_list(struct pte_lists *s, unsigned class, uint32_t *count) {
    json_t *blocks = json_array();
    uint32_t at = s->view.block[class].first;
    for (*count = 0; at != MM_PTE_LIST_END && *count < s->view.block[class].count; ++*count) {
        va_t pte = referenced(s, at);
        json_array_append_new(blocks, json_integer((json_int_t)pte));
        at = free_entry(s, pte) & MM_PTE_LIST_END;
    }
    return blocks;
}

static void print_blocks(struct pte_lists *s) {
    json_t *classes = json_array();
    for (unsigned class = 0; class < MM_SYS_PTE_CLASSES; class ++) {
        uint32_t count, size = s->view.block[class].size;
        json_t *blocks = block_list(s, class, &count);
        fprintf(s->d->out, "    SysPtes list of size %u has %u free (low-water mark %u)\n", size, count,
                s->view.block[class].minimum);
        json_array_append_new(classes,
                              json_pack("{s:i, s:i, s:o}", "size", (int)size, "count", (int)count, "blocks", blocks));
    }
    json_object_set_new(s->d->json, "classes", classes);
}

static uint32_t valid_entries(struct pte_lists *s, unsigned space) {
    uint32_t valid = 0;
    for (va_t pte = s->view.start[space]; pte < s->view.end[space]; pte += PTE_SIZE) {
        pte_t entry;
        dump_read_entry(s->d, s->directory, pte, &entry);
        valid += entry & PTE_VALID;
    }
    return valid;
}

static json_t *print_space(struct pte_lists *s, unsigned space) {
    uint32_t limit = (uint32_t)((s->view.end[space] - s->view.start[space]) / PTE_SIZE);
    uint32_t total = 0, largest = 0, at = s->view.first_free[space];
    json_t *runs = json_array();
    fprintf(s->d->out, "%s PTEs\n    starting PTE: %08" PRIx64 "  ending PTE: %08" PRIx64 "\n",
            space ? "Nonpaged pool expansion" : "System", s->view.start[space], s->view.end[space] - PTE_SIZE);
    while (at != MM_PTE_LIST_END && json_array_size(runs) < limit) {
        va_t pte = referenced(s, at);
        uint32_t first = free_entry(s, pte);
        uint32_t count = first & MM_PTE_ONE_ENTRY ? 1 : free_entry(s, pte + PTE_SIZE) >> PTE_FRAME_SHIFT;
        fprintf(s->d->out, "      free pte: %08" PRIx64 "  address: %08" PRIx64 "  number free: %u\n", pte,
                MiGetVirtualAddressMappedByPte(pte), count);
        json_array_append_new(runs, json_pack("{s:I, s:I}", "pte", (json_int_t)pte, "count", (json_int_t)count));
        total += count;
        largest = count > largest ? count : largest;
        at = first & MM_PTE_LIST_END;
    }
    uint32_t valid = valid_entries(s, space);
    fprintf(s->d->out, "    free blocks: %zu  total free: %u  largest free block: %u  in use: %u  valid: %u\n",
            json_array_size(runs), total, largest, s->view.reserved[space], valid);
    return json_pack("{s:I, s:i, s:i, s:i, s:i, s:i, s:o}", "start", (json_int_t)s->view.start[space], "entries",
                     (int)limit, "total_free", (int)total, "largest", (int)largest, "in_use",
                     (int)s->view.reserved[space], "valid", (int)valid, "runs", runs);
}

int dump_sysptes(struct dump *d, const char *argument) {
    (void)argument;
    struct pte_lists s = {.d = d, .directory = dump_system_directory(d)};
    nt_view_system_ptes(d->os, &s.view);
    json_t *spaces = json_array();
    fprintf(d->out, "    Flush counter: %x\n", s.view.flush_counter);
    report_set(d->json, "flush_counter", s.view.flush_counter);
    print_blocks(&s);
    for (unsigned space = 0; space < MM_SYSTEM_PTE_SPACES; space++) {
        json_array_append_new(spaces, print_space(&s, space));
    }
    json_object_set_new(d->json, "spaces", spaces);
    return 0;
}

/* ---- !poolused: blocks by their headers in memory, whole pages and what is paged out by the kernel's tags ---- */

struct pool_tag {
    uint32_t tag, blocks[2];
    uint64_t bytes[2];           /* by headers */
    uint64_t allocs[2], used[2]; /* as the kernel counts them */
};
struct pool_usage {
    struct pool_tag *tag;
    unsigned count, room;
};

static struct pool_tag *find_tag(struct pool_usage *usage, uint32_t tag) {
    unsigned i = 0;
    while (i < usage->count && usage->tag[i].tag != tag) { i++; }
    if (i == usage->room) {
        usage->room = 2 * usage->room + 64;
        usage->tag = realloc(usage->tag, usage->room * sizeof *usage->tag);
        if (!usage->tag) { abort(); }
    }
    if (i == usage->count) { usage->tag[usage->count++] = (struct pool_tag){.tag = tag}; }
    return &usage->tag[i];
}

static bool add_tag(void *ctx, const struct nt_pool_tag_view *view) {
    struct pool_tag *tag = find_tag(ctx, view->tag);
    tag->allocs[view->paged] = view->allocations - view->frees;
    tag->used[view->paged] = view->bytes;
    return true;
}

static void add_block(struct pool_usage *usage, bool paged, uint32_t tag, uint64_t bytes) {
    struct pool_tag *t = find_tag(usage, tag);
    t->blocks[paged]++;
    t->bytes[paged] += bytes;
}

/* A page is one of blocks if its headers lead exactly to its end; other pages belong to allocations of whole pages. */
static void scan_page(struct dump *d, uint64_t directory, va_t page, bool paged, struct pool_usage *usage) {
    for (unsigned pass = 0; pass < 2; pass++) {
        uint32_t at = 0;
        while (at < PAGE_SIZE) {
            uint32_t header, tag;
            if (!dump_read32(d, directory, page + at, &header)) { return; }
            uint64_t bytes = (uint64_t)(header & ~POOL_ALLOCATED) * POOL_UNIT;
            if (bytes == 0 || at + bytes > PAGE_SIZE) { return; }
            dump_read32(d, directory, page + at + 4, &tag);
            if (pass == 1 && (header & POOL_ALLOCATED)) { add_block(usage, paged, tag, bytes); }
            at += (uint32_t)bytes;
        }
    }
}

static void scan(struct dump *d, va_t first, va_t end, bool paged, struct pool_usage *usage) {
    uint64_t directory = dump_system_directory(d);
    for (va_t page = first; page < end; page += PAGE_SIZE) { scan_page(d, directory, page, paged, usage); }
}

static void tag_text(uint32_t tag, char out[5]) {
    for (unsigned i = 0; i < 4; i++) {
        char c = (char)(tag >> 8 * i & 0xFF);
        out[i] = c >= ' ' && c < 0x7F ? c : '.';
    }
    out[4] = '\0';
}

/* What the headers do not show are allocations of whole pages, which have none, and blocks in pages that are out. */
static void print_tag(struct dump *d, json_t *object, const struct pool_tag *t, bool paged) {
    static const char *const keys[2][5] = {
        {"nonpaged_allocs", "nonpaged_used", "nonpaged_blocks", "nonpaged_bytes", "nonpaged_in_pages"},
        {"paged_allocs", "paged_used", "paged_blocks", "paged_bytes", "paged_in_pages"}};
    const uint64_t values[5] = {t->allocs[paged], t->used[paged], t->blocks[paged], t->bytes[paged],
                                t->used[paged] - t->bytes[paged]};
    for (unsigned i = 0; i < 5; i++) { report_set(object, keys[paged][i], values[i]); }
    fprintf(d->out, " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " ", values[0], values[1], values[4]);
}

/* Behind the PFN database in the direct map, which has room for 64 MB's entries at least. */
#define DATABASE_LEAST_END (MM_PFN_DATABASE + 0x4000u * PFN_SIZE)
va_t dump_nonpaged_pool(struct dump *d) {
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    va_t database = (pfn_address((pfn_t)memory.highest_page + 1) + PAGE_MASK) & ~(va_t)PAGE_MASK;
    return database > DATABASE_LEAST_END ? database : DATABASE_LEAST_END;
}

/* It has what 64 MB's database leaves of physical 200000..3FFFFF, and all up to the next 4 MB. */
static va_t initial_pool_end(va_t first) {
    return (first + (MM_KSEG0_BASE + 0x400000u - DATABASE_LEAST_END) + 0x3FFFFFu) & ~(va_t)0x3FFFFF;
}

int dump_poolused(struct dump *d, const char *argument) {
    (void)argument;
    struct pool_usage usage = {.count = 0};
    va_t initial = dump_nonpaged_pool(d);
    scan(d, initial, initial_pool_end(initial), false, &usage);
    scan(d, MM_NONPAGED_POOL_EXPANSION, MM_CRASH_DUMP_START, false, &usage);
    scan(d, MM_PAGED_POOL_START, MM_PAGED_POOL_END + 1, true, &usage);
    nt_view_pool_tags(d->os, add_tag, &usage);
    fprintf(d->out,
            "                    NonPaged                              Paged\nTag     Allocs      Used  in pages     "
            "Allocs      Used  in pages\n");
    json_t *tags = json_array();
    for (unsigned i = 0; i < usage.count; i++) {
        const struct pool_tag *t = &usage.tag[i];
        char text[5];
        tag_text(t->tag, text);
        json_t *object = json_object();
        report_set_text(object, "tag", text);
        fprintf(d->out, "%-4s", text);
        for (unsigned paged = 0; paged < 2; paged++) { print_tag(d, object, t, paged); }
        fputc('\n', d->out);
        json_array_append_new(tags, object);
    }
    json_object_set_new(d->json, "tags", tags);
    free(usage.tag);
    return 0;
}
