/* Idealised memory behind the shadow check. A process has regions (sorted, disjoint) and a two-level table of pages.
 * Tables and pages are counted references, so that a fork copies 1024 pointers at most and nothing else. */
#include "shadow_memory.h"

#include "ntmmu/filedata.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#define LEAF_SHIFT 10
#define LEAF_SIZE  (1u << LEAF_SHIFT)
#define ROOT_SIZE  1024u /* process 0 has the views in system space */

#define ADDRESS_END ((va_t)ROOT_SIZE << (PAGE_SHIFT + LEAF_SHIFT))

/* Pages of one file (or of one section without a file): what everybody who maps it sees. */
struct store_page {
    uint64_t index;
    struct ideal_page *page;
    UT_hash_handle hh;
};

struct store {
    uint64_t key; /* file identity; image and data use of a file are two caches, as in NT */
    struct store_page *pages;
    UT_hash_handle hh;
};

struct piece {
    uint64_t offset, size, file_offset;
    bool anonymous;
    uint8_t protection;
};

struct section {
    uint32_t sid, references;
    uint8_t type;
    uint64_t size, file;
    struct piece *pieces;
    size_t piece_count;
    struct store *store;
    UT_hash_handle hh;
};

struct known_file {
    struct known_file *next;
    uint32_t sid;
    uint64_t file, size; /* size: 0 = not recorded */
};

struct region {
    va_t start, end;         /* end exclusive */
    va_t view;               /* base of the view it is part of */
    uint64_t offset;         /* of start in the section */
    struct section *section; /* NULL: private memory */
    uint8_t protection;
    bool share, copies; /* copies: mapped write-copy, which no later protection undoes (NT-79) */
};

struct leaf {
    uint32_t references;
    struct ideal_page *page[LEAF_SIZE];
};

struct process {
    uint32_t pid;
    struct region *regions;
    size_t count, capacity;
    struct leaf *root[ROOT_SIZE];
    UT_hash_handle hh;
};

struct ideal {
    struct process *processes, *last;
    struct section *sections;
    struct known_file *files;
    struct store *stores;
    struct ideal_page *zero;
};

/* ---- pages and tables ---- */

#define UNKNOWN_SIZE (IDEAL_WORDS / 8)

/* Nothing of it is known. */
static struct ideal_page *page_unknown(void) {
    struct ideal_page *p = check_alloc(sizeof *p);
    p->references = 1;
    return p;
}

/* Zeros. */
static struct ideal_page *page_new(void) {
    struct ideal_page *p = page_unknown();
    p->bytes = check_alloc(PAGE_SIZE);
    return p;
}

static void page_forget(struct ideal_page *p) {
    free(p->bytes);
    free(p->unknown);
    p->bytes = NULL;
    p->unknown = NULL;
}

static void page_drop(struct ideal_page *p) {
    if (p && --p->references == 0) {
        page_forget(p);
        free(p);
    }
}

static struct ideal_page *page_copy(const struct ideal_page *from) {
    struct ideal_page *p = page_unknown();
    p->seen = from->seen;
    p->lost = from->lost;
    if (from->bytes) {
        p->bytes = check_alloc(PAGE_SIZE);
        memcpy(p->bytes, from->bytes, PAGE_SIZE);
    }
    if (from->unknown) {
        p->unknown = check_alloc(UNKNOWN_SIZE);
        memcpy(p->unknown, from->unknown, UNKNOWN_SIZE);
    }
    return p;
}

void ideal_set_unknown(struct ideal_page *page, unsigned word) {
    if (!page->bytes) { return; }
    if (!page->unknown) { page->unknown = check_alloc(UNKNOWN_SIZE); }
    page->unknown[word >> 6] |= (uint64_t)1 << (word & 63);
}

bool ideal_give_bytes(struct ideal_page *page) {
    if (!page->bytes && !page->lost) {
        page->bytes = check_alloc(PAGE_SIZE);
        page->unknown = check_alloc(UNKNOWN_SIZE);
        memset(page->unknown, 0xFF, UNKNOWN_SIZE);
    }
    return page->bytes != NULL;
}

void ideal_set_known(struct ideal_page *page, unsigned word) {
    if (page->unknown) { page->unknown[word >> 6] &= ~((uint64_t)1 << (word & 63)); }
}

static void leaf_drop(struct leaf *leaf) {
    if (!leaf || --leaf->references) { return; }
    for (unsigned i = 0; i < LEAF_SIZE; i++) { page_drop(leaf->page[i]); }
    free(leaf);
}

/* The table for va, this process's alone from now on. */
static struct leaf *leaf_own(struct process *p, va_t va) {
    struct leaf **slot = &p->root[va >> (PAGE_SHIFT + LEAF_SHIFT)];
    if (!*slot) {
        *slot = check_alloc(sizeof **slot);
        (*slot)->references = 1;
    } else if ((*slot)->references > 1) {
        struct leaf *copy = check_alloc(sizeof *copy);
        *copy = **slot;
        copy->references = 1;
        for (unsigned i = 0; i < LEAF_SIZE; i++) {
            if (copy->page[i]) { copy->page[i]->references++; }
        }
        (*slot)->references--;
        *slot = copy;
    }
    return *slot;
}

static unsigned leaf_index(va_t va) { return va >> PAGE_SHIFT & (LEAF_SIZE - 1); }

static void drop_pages(struct process *p, va_t start, va_t end) {
    if (end > ADDRESS_END) { end = ADDRESS_END; }
    for (va_t va = start; va < end;) {
        va_t next = (va | ((PAGE_SIZE << LEAF_SHIFT) - 1)) + 1;
        if (p->root[va >> (PAGE_SHIFT + LEAF_SHIFT)]) {
            struct leaf *leaf = leaf_own(p, va);
            for (va_t at = va; at < end && at < next; at += PAGE_SIZE) {
                page_drop(leaf->page[leaf_index(at)]);
                leaf->page[leaf_index(at)] = NULL;
            }
        }
        va = next;
    }
}

/* ---- sections ---- */

static struct store *store_new(struct ideal *ideal, uint64_t key, bool shared) {
    struct store *s = NULL;
    if (shared) { HASH_FIND(hh, ideal->stores, &key, sizeof key, s); }
    if (!s) {
        s = check_alloc(sizeof *s);
        s->key = key;
        if (shared) { HASH_ADD(hh, ideal->stores, key, sizeof s->key, s); }
    }
    return s;
}

static void store_free(struct store *s) {
    struct store_page *p, *next;
    HASH_ITER(hh, s->pages, p, next) {
        HASH_DEL(s->pages, p);
        page_drop(p->page);
        free(p);
    }
    free(s);
}

void ideal_drop_section(struct section *s) {
    if (!s || --s->references) { return; }
    if (s->type == EVENT_SEC_PAGE) { store_free(s->store); }
    free(s->pieces);
    free(s);
}

struct section *ideal_hold_section(struct section *s) {
    if (s) { s->references++; }
    return s;
}

struct section *ideal_find_section(struct ideal *ideal, uint32_t sid) {
    struct section *s;
    HASH_FIND(hh, ideal->sections, &sid, sizeof sid, s);
    return s;
}

void ideal_section(struct ideal *ideal, uint32_t sid, unsigned type, uint64_t size, const char *path) {
    ideal_section_close(ideal, sid);
    struct section *s = check_alloc(sizeof *s);
    s->sid = sid;
    s->references = 1;
    s->type = (uint8_t)type;
    s->size = size;
    s->file = file_identity(path);
    uint64_t key = type == EVENT_SEC_IMAGE ? mix64(s->file) : s->file;
    s->store = store_new(ideal, key, type != EVENT_SEC_PAGE);
    HASH_ADD(hh, ideal->sections, sid, sizeof s->sid, s);
}

void ideal_subsection(struct ideal *ideal, uint32_t sid, uint64_t offset, uint64_t size, uint64_t file_offset,
                      bool anonymous, unsigned protection) {
    struct section *s = ideal_find_section(ideal, sid);
    if (!s) { return; }
    s->pieces = check_grow(s->pieces, (s->piece_count + 1) * sizeof *s->pieces);
    s->pieces[s->piece_count++] = (struct piece){.offset = offset,
                                                 .size = size,
                                                 .file_offset = file_offset,
                                                 .anonymous = anonymous,
                                                 .protection = (uint8_t)protection};
}

void ideal_section_close(struct ideal *ideal, uint32_t sid) {
    struct section *s = ideal_find_section(ideal, sid);
    if (!s) { return; }
    HASH_DEL(ideal->sections, s);
    ideal_drop_section(s);
}

void ideal_open_file(struct ideal *ideal, uint32_t sid, unsigned type, uint64_t size, const char *path) {
    if (type == EVENT_SEC_PAGE || ideal_find_section(ideal, sid)) { return; }
    uint64_t identity = file_identity(path);
    struct known_file *file = ideal->files;
    while (file && file->file != identity) { file = file->next; }
    if (!file) {
        file = check_alloc(sizeof *file);
        *file = (struct known_file){.next = ideal->files, .sid = sid, .file = identity};
        ideal->files = file;
    }
    if (file->size == 0 && type == EVENT_SEC_DATA) { file->size = size; }
}

void ideal_section_of_file(struct ideal *ideal, uint32_t sid, uint32_t file, bool image, uint64_t size) {
    const struct section *like = file ? ideal_find_section(ideal, file) : NULL;
    const struct known_file *known = file ? ideal->files : NULL;
    while (known && known->sid != file) { known = known->next; }
    const char *path = "";
    if (!like && !known) {
        ideal_section(ideal, sid, EVENT_SEC_PAGE, size, path);
        return;
    }
    uint64_t identity = like ? like->file : known->file, bytes = like ? like->size : known->size;
    ideal_section(ideal, sid, image ? EVENT_SEC_IMAGE : EVENT_SEC_DATA, bytes, path);
    struct section *s = ideal_find_section(ideal, sid);
    s->file = identity;
    s->store = store_new(ideal, image ? mix64(identity) : identity, true);
}

static const struct piece *piece_at(const struct section *s, uint64_t offset) {
    for (size_t i = 0; i < s->piece_count; i++) {
        uint64_t end = (s->pieces[i].offset + s->pieces[i].size + PAGE_MASK) & ~PAGE_MASK;
        if (offset >= s->pieces[i].offset && offset < end) { return &s->pieces[i]; }
    }
    return NULL;
}

/* Where the bytes of the section's page at OFFSET stand in its file and how many of them the file has. */
static uint64_t file_part(const struct section *s, uint64_t offset, uint64_t *valid) {
    const struct piece *piece = s->type == EVENT_SEC_IMAGE ? piece_at(s, offset) : NULL;
    if (piece) {
        uint64_t into = offset - piece->offset;
        *valid = piece->size - into < PAGE_SIZE ? piece->size - into : PAGE_SIZE;
        return piece->file_offset + into;
    }
    /* an image's size is that of its pages, not of the file */
    uint64_t size = s->type == EVENT_SEC_IMAGE ? (s->size + PAGE_MASK) & ~(uint64_t)PAGE_MASK : s->size;
    *valid = size == 0 || size - offset > PAGE_SIZE ? PAGE_SIZE : size - offset;
    if (size != 0 && offset >= size) { *valid = 0; }
    return offset;
}

/* known: with its contents, if nobody had it before. */
static struct ideal_page *section_page(struct section *s, uint64_t offset, bool known) {
    uint64_t index = offset >> PAGE_SHIFT;
    struct store_page *sp;
    HASH_FIND(hh, s->store->pages, &index, sizeof index, sp);
    if (sp) { return sp->page; }
    sp = check_alloc(sizeof *sp);
    sp->index = index;
    sp->page = known ? page_new() : page_unknown();
    sp->page->common = true;
    if (known && s->type != EVENT_SEC_PAGE) {
        uint64_t valid, at = file_part(s, page_of(offset), &valid);
        for (uint64_t i = 0; i < valid; i += 4) {
            uint32_t word = file_word(s->file, at + i);
            memcpy(sp->page->bytes + i, &word, valid - i < 4 ? valid - i : 4);
        }
    }
    HASH_ADD(hh, s->store->pages, index, sizeof sp->index, sp);
    return sp->page;
}

/* ---- regions ---- */

/* Index of the first region that ends above va. */
static size_t region_after(const struct process *p, va_t va) {
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (p->regions[middle].end <= va) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct region *region_at(struct process *p, va_t va) {
    size_t i = region_after(p, va);
    return i < p->count && p->regions[i].start <= va ? &p->regions[i] : NULL;
}

static void region_insert_at(struct process *p, size_t i, const struct region *r) {
    if (p->count == p->capacity) {
        p->capacity = p->capacity ? p->capacity * 2 : 32;
        p->regions = check_grow(p->regions, p->capacity * sizeof *p->regions);
    }
    memmove(&p->regions[i + 1], &p->regions[i], (p->count - i) * sizeof *p->regions);
    p->regions[i] = *r;
    p->count++;
    if (r->section) { r->section->references++; }
}

static void region_remove_at(struct process *p, size_t i) {
    ideal_drop_section(p->regions[i].section);
    p->count--;
    memmove(&p->regions[i], &p->regions[i + 1], (p->count - i) * sizeof *p->regions);
}

/* Makes va a border between regions. */
static void region_split(struct process *p, va_t va) {
    size_t i = region_after(p, va);
    if (i == p->count || p->regions[i].start >= va) { return; }
    struct region upper = p->regions[i];
    upper.offset += va - upper.start;
    upper.start = va;
    p->regions[i].end = va;
    region_insert_at(p, i + 1, &upper);
}

static void region_cut(struct process *p, va_t start, va_t end) {
    region_split(p, start);
    region_split(p, end);
    for (size_t i = region_after(p, start); i < p->count && p->regions[i].start < end;) { region_remove_at(p, i); }
}

static void region_add(struct process *p, const struct region *r) {
    region_cut(p, r->start, r->end);
    region_insert_at(p, region_after(p, r->start), r);
}

/* ---- processes ---- */

static struct process *process_find(struct ideal *ideal, uint32_t pid) {
    if (ideal->last && ideal->last->pid == pid) { return ideal->last; }
    struct process *p;
    HASH_FIND(hh, ideal->processes, &pid, sizeof pid, p);
    if (p) { ideal->last = p; }
    return p;
}

void ideal_process_create(struct ideal *ideal, uint32_t pid) {
    ideal_process_exit(ideal, pid);
    struct process *p = check_alloc(sizeof *p);
    p->pid = pid;
    HASH_ADD(hh, ideal->processes, pid, sizeof p->pid, p);
}

static void process_clear(struct process *p) {
    for (unsigned i = 0; i < ROOT_SIZE; i++) {
        leaf_drop(p->root[i]);
        p->root[i] = NULL;
    }
    while (p->count) { region_remove_at(p, p->count - 1); }
}

void ideal_process_exit(struct ideal *ideal, uint32_t pid) {
    struct process *p = process_find(ideal, pid);
    if (!p) { return; }
    ideal->last = NULL;
    HASH_DEL(ideal->processes, p);
    process_clear(p);
    free(p->regions);
    free(p);
}

void ideal_fork(struct ideal *ideal, uint32_t child, uint32_t parent) {
    ideal_process_create(ideal, child);
    struct process *from = process_find(ideal, parent), *to = process_find(ideal, child);
    if (!from || !to) { return; }
    for (size_t i = 0; i < from->count; i++) { region_insert_at(to, i, &from->regions[i]); }
    for (unsigned i = 0; i < ROOT_SIZE; i++) {
        to->root[i] = from->root[i];
        if (to->root[i]) { to->root[i]->references++; }
    }
}

void ideal_exec(struct ideal *ideal, uint32_t pid) {
    struct process *p = process_find(ideal, pid);
    if (p) { process_clear(p); }
}

struct ideal *ideal_create(void) {
    struct ideal *ideal = check_alloc(sizeof *ideal);
    ideal->zero = page_new();
    ideal->zero->common = true;
    return ideal;
}

void ideal_destroy(struct ideal *ideal) {
    if (!ideal) { return; }
    struct process *p, *next_process;
    HASH_ITER(hh, ideal->processes, p, next_process) { ideal_process_exit(ideal, p->pid); }
    struct section *s, *next_section;
    HASH_ITER(hh, ideal->sections, s, next_section) { ideal_section_close(ideal, s->sid); }
    for (struct known_file *file = ideal->files, *next; file; file = next) {
        next = file->next;
        free(file);
    }
    struct store *st, *next_store;
    HASH_ITER(hh, ideal->stores, st, next_store) {
        HASH_DEL(ideal->stores, st);
        store_free(st);
    }
    page_drop(ideal->zero);
    free(ideal);
}

/* ---- what the services do ---- */

static va_t page_up(va_t va) { return (va + PAGE_MASK) & ~PAGE_MASK; }

void ideal_reserve(struct ideal *ideal, uint32_t pid, va_t base, va_t size) {
    struct process *p = process_find(ideal, pid);
    if (!p || size == 0) { return; }
    struct region r = {.start = page_of(base), .end = page_up(base + size), .view = page_of(base)};
    region_add(p, &r);
    drop_pages(p, r.start, r.end);
}

void ideal_discard(struct ideal *ideal, uint32_t pid, va_t base, va_t size) {
    struct process *p = process_find(ideal, pid);
    if (p) { drop_pages(p, page_of(base), page_up(base + size)); }
}

void ideal_release(struct ideal *ideal, uint32_t pid, va_t base, va_t size) {
    struct process *p = process_find(ideal, pid);
    struct region *r = p ? region_at(p, base) : NULL;
    if (!r) { return; }
    va_t start = size ? page_of(base) : r->start, end = size ? page_up(base + size) : r->end;
    region_cut(p, start, end);
    drop_pages(p, start, end);
}

static bool is_write_copy(unsigned protection) {
    unsigned base = protection & 7;
    return protection != EVENT_MAP_IMAGE && (base == MM_WRITECOPY || base == MM_EXECUTE_WRITECOPY);
}

void ideal_map(struct ideal *ideal, uint32_t pid, struct section *s, va_t base, va_t size, uint64_t offset,
               unsigned protection, bool share) {
    struct process *p = process_find(ideal, pid);
    if (!p || !s) { return; }
    if (size == 0) { size = s->size - offset; }
    struct region r = {.start = page_of(base),
                       .end = page_up(base + size),
                       .view = page_of(base),
                       .offset = offset,
                       .section = s,
                       .protection = (uint8_t)protection,
                       .share = share,
                       .copies = is_write_copy(protection)};
    region_add(p, &r);
    drop_pages(p, r.start, r.end);
}

void ideal_unmap(struct ideal *ideal, uint32_t pid, va_t base) {
    struct process *p = process_find(ideal, pid);
    struct region *r = p ? region_at(p, base) : NULL;
    if (!r) { return; }
    va_t view = r->view;
    for (size_t i = 0; i < p->count;) {
        if (p->regions[i].section && p->regions[i].view == view) {
            drop_pages(p, p->regions[i].start, p->regions[i].end);
            region_remove_at(p, i);
        } else {
            i++;
        }
    }
}

void ideal_protect(struct ideal *ideal, uint32_t pid, va_t base, va_t size, unsigned protection) {
    struct process *p = process_find(ideal, pid);
    va_t start = page_of(base), end = page_up(base + size);
    struct region *r = p ? region_at(p, start) : NULL;
    if (!r || !r->section) { return; } /* private memory: contents do not depend on it */
    region_split(p, start);
    region_split(p, end);
    for (size_t i = region_after(p, start); i < p->count && p->regions[i].start < end; i++) {
        p->regions[i].protection = (uint8_t)protection;
    }
}

bool ideal_region(struct ideal *ideal, uint32_t pid, va_t va, va_t *start, va_t *end) {
    struct process *p = process_find(ideal, pid);
    struct region *r = p ? region_at(p, va) : NULL;
    if (!r) { return false; }
    *start = r->start;
    *end = r->end;
    return true;
}

va_t ideal_gap_end(struct ideal *ideal, uint32_t pid, va_t va) {
    struct process *p = process_find(ideal, pid);
    size_t i = p ? region_after(p, va) : 0;
    if (!p || i == p->count) { return ADDRESS_END; }
    return p->regions[i].start > va ? p->regions[i].start : va;
}

/* ---- loads and stores ---- */

/* Whether a store into this part of a view is everybody's (else the process gets its own copy): traces/FORMAT.md. */
static bool store_is_shared(const struct region *r, uint64_t offset) {
    if (r->section->type == EVENT_SEC_IMAGE) {
        const struct piece *piece = piece_at(r->section, offset);
        unsigned base = piece ? piece->protection & 7u : 0;
        return (base == MM_READWRITE || base == MM_EXECUTE_READWRITE) && !is_write_copy(r->protection);
    }
    return !r->copies && !is_write_copy(r->protection) && (r->share || r->section->type == EVENT_SEC_PAGE);
}

static uint64_t offset_at(const struct region *r, va_t va) { return r->offset + (page_of(va) - r->start); }

/* Else the page begins as zeros. */
static bool sees_section(const struct region *r, va_t va) {
    if (!r->section || r->section->type != EVENT_SEC_IMAGE) { return r->section != NULL; }
    const struct piece *piece = piece_at(r->section, offset_at(r, va));
    bool gap = !piece && r->section->piece_count > 0; /* private once somebody gives it a protection */
    return !gap && !(piece && piece->anonymous);
}

/* Whether a store there is everybody's who has the page mapped. */
static bool stores_for_all(const struct region *r, va_t va) {
    return r && r->section && store_is_shared(r, offset_at(r, va));
}

static bool is_of_section(const struct ideal *ideal, const struct ideal_page *page) {
    return page->common && page != ideal->zero;
}

struct ideal_page *ideal_load_page(struct ideal *ideal, uint32_t pid, va_t va) {
    struct process *p = process_find(ideal, pid);
    if (!p || va >= ADDRESS_END) { return NULL; }
    struct leaf *leaf = p->root[va >> (PAGE_SHIFT + LEAF_SHIFT)];
    if (leaf && leaf->page[leaf_index(va)]) { return leaf->page[leaf_index(va)]; }
    struct region *r = region_at(p, va);
    if (!r) { return NULL; }
    struct ideal_page *page = sees_section(r, va) ? section_page(r->section, offset_at(r, va), true) : ideal->zero;
    page->references++;
    return leaf_own(p, va)->page[leaf_index(va)] = page;
}

struct ideal_page *ideal_store_page(struct ideal *ideal, uint32_t pid, va_t va) {
    struct ideal_page *page = ideal_load_page(ideal, pid, va);
    if (!page) { return NULL; }
    struct process *p = process_find(ideal, pid);
    if (is_of_section(ideal, page) && stores_for_all(region_at(p, va), va)) { return page; }
    struct leaf *leaf = leaf_own(p, va);
    if (page->common || page->references > 1) {
        struct ideal_page *copy = page_copy(page);
        page_drop(page);
        leaf->page[leaf_index(va)] = page = copy;
    }
    return page;
}

/* What a store into all of it would do, but no page gets bytes only to lose them: a call may say that it writes
 * gigabytes. */
static void forget_page(struct ideal *ideal, uint32_t pid, va_t va) {
    struct process *p = process_find(ideal, pid);
    struct region *r = p ? region_at(p, va) : NULL;
    if (!p || va >= ADDRESS_END || (!r && !p->root[va >> (PAGE_SHIFT + LEAF_SHIFT)])) { return; }
    struct ideal_page **slot = &leaf_own(p, va)->page[leaf_index(va)], *old = *slot, *page = old;
    if (!r && !old) { return; }
    bool of_section = old ? is_of_section(ideal, old) : sees_section(r, va);
    if (of_section && stores_for_all(r, va)) {
        if (!old) {
            page = section_page(r->section, offset_at(r, va), false);
            page->references++;
        }
    } else if (!old || old->common || old->references > 1) {
        page = page_unknown();
        if (old) {
            page->seen = old->seen;
            page->lost = old->lost;
        }
    }
    if (page != old) {
        page_drop(old);
        *slot = page;
    }
    page_forget(page);
}

void ideal_forget(struct ideal *ideal, uint32_t pid, va_t base, va_t size) {
    for (va_t va = page_of(base); va < page_up(base + size); va += PAGE_SIZE) { forget_page(ideal, pid, va); }
}

void ideal_forget_words(struct ideal *ideal, uint32_t pid, va_t base, va_t size, bool exact) {
    for (va_t va = page_of(base); va < base + size; va += PAGE_SIZE) {
        if (va >= base && va + PAGE_SIZE <= base + size) {
            forget_page(ideal, pid, va);
            continue;
        }
        const struct ideal_page *old = ideal_load_page(ideal, pid, va);
        bool section = old && is_of_section(ideal, old);
        struct ideal_page *page = ideal_store_page(ideal, pid, va);
        if (!page) { continue; }
        if (section && page != old && !exact) { page_forget(page); }
        for (unsigned w = 0; w < IDEAL_WORDS; w++) {
            va_t word = va + w * 4;
            if (word + 4 > base && word < base + size) { ideal_set_unknown(page, w); }
        }
    }
}

void ideal_forget_behind(struct ideal *ideal, uint32_t pid, va_t va) {
    struct ideal_page *page = ideal_load_page(ideal, pid, va);
    if (page == ideal->zero) { page = ideal_store_page(ideal, pid, va); }
    if (page) { ideal_set_unknown(page, (va & PAGE_MASK) >> 2); }
}

/* Whether the page may go to the new place and be followed there. It may not if it is a section's and stores go
 * elsewhere there than at the old place; nor, if nobody has looked at it, so that the machine may have no entry to
 * move, where one of the places is a view's. */
static bool may_follow(const struct ideal *ideal, const struct ideal_page *page, const struct region *source, va_t from,
                       const struct region *target, va_t to) {
    if (!source || !target) { return true; }
    if (!page || !page->bytes) { return !sees_section(source, from) && !sees_section(target, to); }
    return !is_of_section(ideal, page) || stores_for_all(source, from) == stores_for_all(target, to);
}

static void lose(struct ideal_page *page) {
    page_forget(page);
    page->lost = true;
}

/* The machine's entry goes as it is. A page that cannot be followed is lost, to all who see it where a store may be one
 * for all: that is too rare for more. */
static void move_page(struct ideal *ideal, struct process *p, va_t from, va_t to, va_t view) {
    struct region *source = region_at(p, from), *target = region_at(p, to);
    struct ideal_page **slot = &leaf_own(p, from)->page[leaf_index(from)], *page = *slot;
    *slot = NULL;
    if (!may_follow(ideal, page, source, from, target, to)) {
        bool unseen = !page || !page->bytes;
        if (stores_for_all(source, from)) {
            lose(page ? page : section_page(source->section, offset_at(source, from), false));
        }
        if (unseen && stores_for_all(target, to)) { lose(section_page(target->section, offset_at(target, to), false)); }
        page_drop(page);
        page = page_unknown();
        page->lost = true;
    }
    if (source && !target) {
        struct region r = *source;
        r.offset = offset_at(source, from);
        r.start = to;
        r.end = to + PAGE_SIZE;
        r.view = view;
        region_add(p, &r);
    }
    slot = &leaf_own(p, to)->page[leaf_index(to)];
    page_drop(*slot);
    *slot = page;
}

/* Regions over [from, from + size) come to stand over [to, …) as well; what was private at the old place becomes zero.
 */
void ideal_move(struct ideal *ideal, uint32_t pid, va_t from, va_t to, va_t size) {
    struct process *p = process_find(ideal, pid);
    if (!p) { return; }
    size = ((from & PAGE_MASK) + size + PAGE_MASK) & ~PAGE_MASK;
    from = page_of(from);
    to = page_of(to);
    for (va_t done = 0; done < size; done += PAGE_SIZE) { move_page(ideal, p, from + done, to + done, to); }
}

static void leaf_pages_in_frames(struct leaf *leaf, pfn_t first, pfn_t last, void (*visit)(void *, struct ideal_page *),
                                 void *ctx) {
    for (unsigned i = 0; leaf && i < LEAF_SIZE; i++) {
        struct ideal_page *page = leaf->page[i];
        if (page && page->frame >= first && page->frame <= last) { visit(ctx, page); }
    }
}

void ideal_pages_in_frames(struct ideal *ideal, pfn_t first, pfn_t last, void (*visit)(void *ctx, struct ideal_page *),
                           void *ctx) {
    struct process *p, *next;
    HASH_ITER(hh, ideal->processes, p, next) {
        for (unsigned i = 0; i < ROOT_SIZE; i++) { leaf_pages_in_frames(p->root[i], first, last, visit, ctx); }
    }
}
