/* Linux memory calls as NT memory events: mmap, munmap, brk, mprotect, mremap, madvise, mlock, msync, and the memory
 * that a program starts with. The rules stand in traces/FORMAT.md. */
#include "lackey.h"

#include <stdlib.h>
#include <string.h>

#define ADVICE_DONTNEED 4u
#define ADVICE_FREE     8u
#define SYNC_ASYNC      1u
#define SOURCE_END      ((uint64_t)1 << 48) /* of a Linux process; x86-64 has no more canonical addresses */

uint8_t source_prot(unsigned prot, bool copy_on_write) {
    static const uint8_t masks[8] = {MM_NOACCESS, MM_READONLY,     MM_READWRITE,         MM_READWRITE,
                                     MM_EXECUTE,  MM_EXECUTE_READ, MM_EXECUTE_READWRITE, MM_EXECUTE_READWRITE};
    uint8_t mask = masks[prot & 7];
    if (copy_on_write && mask == MM_READWRITE) { return MM_WRITECOPY; }
    return copy_on_write && mask == MM_EXECUTE_READWRITE ? MM_EXECUTE_WRITECOPY : mask;
}

struct area *map_area(struct process *p, uint64_t start, va_t base, uint64_t size, enum area_kind kind, uint8_t state) {
    uint32_t area = space_add_area(&p->space, base, size, kind, state);
    if (area == UINT32_MAX || !space_add_region(&p->space, start, start + size, base, area)) {
        import_fail(p->importer, "out of memory");
        return NULL;
    }
    return &p->space.area[area];
}

bool emit_alloc(struct process *p, va_t base, va_t size, unsigned type, uint8_t prot, const char *tag) {
    struct event e = {.kind = EV_ALLOC, .alloc = {base, size, (uint8_t)type, prot}};
    import_event_text(&e, tag);
    return import_emit(p->importer, e);
}

static bool emit_free(struct process *p, va_t base, va_t size, bool release) {
    struct event e = {.kind = EV_FREE, .free = {base, size, release}};
    return import_emit(p->importer, e);
}

static bool emit_range(struct process *p, enum event_kind kind, va_t base, va_t size, uint8_t prot) {
    struct event e = {.kind = kind, .range = {base, size, prot, 0}};
    return import_emit(p->importer, e);
}

/* The part of a region that a source range covers. */
struct part {
    struct area *area;
    va_t to, size;
    va_t first, last; /* pages of the area: [first, last) */
    uint64_t start;
};

/* Next part of [*from, end); steps *from behind it. */
static bool next_part(struct process *p, uint64_t *from, uint64_t end, struct part *part) {
    uint32_t i = space_find_from(&p->space, *from);
    if (*from >= end || i == p->space.regions || p->space.region[i].start >= end) { return false; }
    const struct region *r = &p->space.region[i];
    part->start = *from > r->start ? *from : r->start;
    uint64_t stop = end < r->end ? end : r->end;
    part->area = &p->space.area[r->area];
    part->size = stop - part->start;
    part->to = r->to + (part->start - r->start);
    part->first = (part->to - part->area->base) >> PAGE_SHIFT;
    part->last = part->first + (part->size >> PAGE_SHIFT);
    *from = stop;
    return true;
}

/* End of the run of pages from FIRST that are alike: committed or not, backed by a file or not. */
static va_t run_end(const struct part *part, va_t first) {
    const uint8_t *page = part->area->page;
    va_t end = first + 1;
    while (end < part->last && (page[end] == PAGE_RESERVED) == (page[first] == PAGE_RESERVED) &&
           (page[end] & PAGE_ANONYMOUS) == (page[first] & PAGE_ANONYMOUS)) {
        end++;
    }
    return end;
}

static va_t page_base(const struct part *part, va_t page) { return part->area->base + (page << PAGE_SHIFT); }

/* What a private area loses: its committed pages are decommitted. */
static bool decommit(struct process *p, const struct part *part, uint8_t state) {
    for (va_t i = part->first, end; i < part->last; i = end) {
        end = run_end(part, i);
        if (part->area->page[i] != PAGE_RESERVED && !emit_free(p, page_base(part, i), (end - i) << PAGE_SHIFT, false)) {
            return false;
        }
    }
    memset(part->area->page + part->first, state, part->last - part->first);
    return true;
}

/* A part of a source range goes away. NT releases only whole areas: of a part, private pages are decommitted, and pages
 * of a view become inaccessible. */
static bool unmap_part(struct process *p, const struct part *part) {
    struct area *a = part->area;
    bool private = a->kind == AREA_PRIVATE;
    va_t others = 0;
    for (va_t i = 0; i < a->size >> PAGE_SHIFT; i++) {
        others += a->page[i] != PAGE_GONE && (i < part->first || i >= part->last);
    }
    if (others == 0) {
        a->live = false;
        return private ? emit_free(p, a->base, a->size, true) : emit_range(p, EV_UNMAP, a->base, 0, 0);
    }
    if (private) { return decommit(p, part, PAGE_GONE); }
    memset(a->page + part->first, PAGE_GONE, part->last - part->first);
    return emit_range(p, EV_PROTECT, part->to, part->size, MM_NOACCESS);
}

bool unmap_source(struct process *p, uint64_t start, uint64_t end) {
    struct part part;
    for (uint64_t from = start; next_part(p, &from, end, &part);) {
        if (!unmap_part(p, &part)) { return false; }
        uint32_t region = space_find_from(&p->space, part.start);
        if (!space_cut(&p->space, region, part.start, part.start + part.size)) {
            return import_fail(p->importer, "out of memory");
        }
    }
    return true;
}

static bool map_private(struct process *p, uint64_t start, uint64_t size, unsigned prot, const char *tag) {
    va_t base = space_place(&p->space, size, FOLD_LOW);
    if (!base) {
        return import_fail(p->importer, "an allocation of %llx bytes does not fit into 2 GB", (unsigned long long)size);
    }
    uint8_t mask = source_prot(prot, false);
    bool reserve = mask == MM_NOACCESS;
    return emit_alloc(p, base, size, EVENT_RESERVE | (reserve ? 0 : EVENT_COMMIT), reserve ? MM_READWRITE : mask,
                      tag) &&
           map_area(p, start, base, size, AREA_PRIVATE, reserve ? PAGE_RESERVED : mask);
}

static bool map_shared_memory(struct process *p, uint64_t start, uint64_t size, unsigned prot) {
    va_t base = space_place(&p->space, size, FOLD_LOW);
    if (!base) {
        return import_fail(p->importer, "shared memory of %llx bytes does not fit into 2 GB", (unsigned long long)size);
    }
    struct importer *imp = p->importer;
    struct section *made = import_section(imp, EVENT_SEC_PAGE);
    if (!made) { return false; }
    uint32_t sid = made->sid;
    struct event section = {.kind = EV_SECTION, .section = {sid, EVENT_SEC_PAGE, size}};
    struct event map = {
        .kind = EV_MAP,
        .map = {.sid = sid, .base = base, .size = size, .prot = source_prot(prot, false), .share = true}};
    import_event_text(&section, "shared memory");
    return import_emit(imp, section) && import_emit(imp, map) &&
           map_area(p, start, base, size, AREA_SHARED_VIEW, map.map.prot);
}

/* Fixed anonymous memory over a part of one private area: it stays, its pages are committed anew. */
static bool recommit(struct process *p, uint64_t start, uint64_t size, unsigned prot, bool *done) {
    struct part part;
    uint64_t from = start;
    *done = next_part(p, &from, start + size, &part) && part.start == start && part.size == size &&
            part.area->kind == AREA_PRIVATE;
    if (!*done) { return true; }
    uint8_t mask = source_prot(prot, false);
    if (!decommit(p, &part, PAGE_RESERVED)) { return false; }
    if (mask == MM_NOACCESS) { return true; }
    memset(part.area->page + part.first, mask, part.last - part.first);
    return emit_alloc(p, part.to, size, EVENT_COMMIT, mask, "");
}

static bool do_mmap(struct process *p, const struct lackey_call *c, uint64_t offset_unit) {
    uint64_t size = round_page(c->arg[1]);
    unsigned flags = (unsigned)c->arg[3], prot = (unsigned)c->arg[2];
    p->importer->report.src_mmap++;
    if (p->group_left) { /* a piece of an image that mmap_image saw ahead */
        p->group_left--;
        return true;
    }
    bool anonymous = flags & MAP_FLAG_ANONYMOUS, shared = flags & MAP_FLAG_SHARED, done = false;
    if (flags & (MAP_FLAG_FIXED | MAP_FLAG_FIXED_NOREPLACE)) {
        if (anonymous && !shared && !recommit(p, c->result, size, prot, &done)) { return false; }
        if (done) { return true; }
    }
    if (!unmap_source(p, c->result, c->result + size)) { return false; }
    if (anonymous) {
        return shared ? map_shared_memory(p, c->result, size, prot)
                      : map_private(p, c->result, size, prot, flags & MAP_FLAG_STACK ? "stack" : "");
    }
    const char *path = file_path(p, c->arg[4]);
    if (!shared && !(flags & MAP_FLAG_FIXED) && (flags & MAP_FLAG_DENYWRITE || prot & 4)) {
        return mmap_image(p, c, path, offset_unit);
    }
    return map_file(p, path, c->result, c->arg[1], c->arg[5] * offset_unit, prot, shared, true);
}

static bool protect_part(struct process *p, const struct part *part, unsigned prot) {
    struct area *a = part->area;
    for (va_t i = part->first, end; i < part->last; i = end) {
        end = run_end(part, i);
        bool view = a->kind == AREA_VIEW || (a->kind == AREA_IMAGE && !(a->page[i] & PAGE_ANONYMOUS));
        bool reserved = a->kind == AREA_PRIVATE && a->page[i] == PAGE_RESERVED;
        uint8_t mask = source_prot(prot, view);
        va_t size = (end - i) << PAGE_SHIFT;
        if (reserved && mask == MM_NOACCESS) { continue; }
        bool good = reserved ? emit_alloc(p, page_base(part, i), size, EVENT_COMMIT, mask, "")
                             : emit_range(p, EV_PROTECT, page_base(part, i), size, mask);
        if (!good) { return false; }
        memset(a->page + i, mask | (a->kind == AREA_IMAGE ? a->page[i] & PAGE_ANONYMOUS : 0), end - i);
    }
    return true;
}

static bool do_mprotect(struct process *p, const struct lackey_call *c) {
    struct part part;
    p->importer->report.src_mprotect++;
    for (uint64_t from = c->arg[0], end = from + round_page(c->arg[1]); next_part(p, &from, end, &part);) {
        if (!protect_part(p, &part, (unsigned)c->arg[2])) { return false; }
    }
    return true;
}

static bool do_brk(struct process *p, const struct lackey_call *c) {
    p->importer->report.src_brk++;
    uint64_t end = round_page(c->result);
    struct part part;
    if (!p->heap || c->result < p->heap) { return true; }
    end = end > p->heap_least ? end : p->heap_least;
    uint64_t from = end < p->heap_end ? end : p->heap_end, stop = end < p->heap_end ? p->heap_end : end;
    if (from == stop || !next_part(p, &from, stop, &part)) { return true; }
    bool grow = end > p->heap_end;
    p->heap_end = end;
    if (!grow) { return decommit(p, &part, PAGE_RESERVED); }
    memset(part.area->page + part.first, MM_READWRITE, part.last - part.first);
    return emit_alloc(p, part.to, part.size, EVENT_COMMIT, MM_READWRITE, "heap");
}

/* NT cannot grow or move an allocation: another one is made, the pages move over, the old one goes. */
static bool do_mremap(struct process *p, const struct lackey_call *c) {
    uint64_t old = c->arg[0], old_size = round_page(c->arg[1]), new_size = round_page(c->arg[2]);
    struct part part;
    uint64_t from = old;
    p->importer->report.src_mremap++;
    if (c->result == old && new_size <= old_size) { return unmap_source(p, old + new_size, old + old_size); }
    if (!next_part(p, &from, old + old_size, &part)) { return true; }
    if (part.area->kind != AREA_PRIVATE) {
        return import_fail(p->importer, "mremap of a file's view at %llx has no NT form", (unsigned long long)old);
    }
    va_t base = space_place(&p->space, new_size, FOLD_LOW), to = part.to;
    uint8_t state = part.area->page[part.first];
    uint64_t moved = old_size < new_size ? old_size : new_size;
    if (!base) { return import_fail(p->importer, "an allocation moved by mremap does not fit into 2 GB"); }
    struct event move = {.kind = EV_MOVE, .move = {to, base, moved}};
    if (!emit_alloc(p, base, new_size, EVENT_RESERVE | EVENT_COMMIT, state == PAGE_RESERVED ? MM_READWRITE : state,
                    "") ||
        !import_emit(p->importer, move) || !unmap_source(p, old, old + old_size) ||
        !unmap_source(p, c->result, c->result + new_size)) {
        return false;
    }
    return map_area(p, c->result, base, new_size, AREA_PRIVATE, state == PAGE_RESERVED ? MM_READWRITE : state);
}

/* Committed pages of private memory: MADV_DONTNEED makes them zero again, MADV_FREE lets them be dropped. */
static bool advise_part(struct process *p, const struct part *part, bool drop) {
    for (va_t i = part->first, end; i < part->last; i = end) {
        uint8_t state = part->area->page[i];
        for (end = i + 1; end < part->last && part->area->page[end] == state;) { end++; }
        va_t base = page_base(part, i), size = (end - i) << PAGE_SHIFT;
        if (state == PAGE_RESERVED || state == PAGE_GONE) { continue; }
        bool good = drop ? emit_free(p, base, size, false) && emit_alloc(p, base, size, EVENT_COMMIT, state, "")
                         : emit_alloc(p, base, size, EVENT_RESET, state, "");
        if (!good) { return false; }
    }
    return true;
}

static bool do_madvise(struct process *p, const struct lackey_call *c) {
    struct part part;
    if (c->arg[2] != ADVICE_DONTNEED && c->arg[2] != ADVICE_FREE) { return true; }
    p->importer->report.src_madvise++;
    for (uint64_t from = c->arg[0], end = from + round_page(c->arg[1]); next_part(p, &from, end, &part);) {
        if (part.area->kind == AREA_PRIVATE && !advise_part(p, &part, c->arg[2] == ADVICE_DONTNEED)) { return false; }
    }
    return true;
}

static bool do_range(struct process *p, const struct lackey_call *c, enum event_kind kind) {
    struct part part;
    uint64_t from = c->arg[0] & ~(uint64_t)PAGE_MASK;
    for (uint64_t end = round_page(c->arg[0] + c->arg[1]); next_part(p, &from, end, &part);) {
        if (kind == EV_FLUSH && part.area->kind != AREA_SHARED_VIEW) { continue; }
        if (!emit_range(p, kind, part.to, part.size, 0)) { return false; }
    }
    return true;
}

/* Linux lets no such call succeed: the log is damaged. */
static bool is_sound(struct process *p, const struct lackey_call *c, uint64_t address, uint64_t size) {
    if ((address & PAGE_MASK) == 0 && address < SOURCE_END && size <= SOURCE_END - address) { return true; }
    return import_fail(p->importer, "%s:%llu: found %s of %llx bytes at %llx, expected whole pages below %llx", p->path,
                       (unsigned long long)p->line, c->name, (unsigned long long)size, (unsigned long long)address,
                       (unsigned long long)SOURCE_END);
}

bool memory_call(struct process *p, const struct lackey_call *c) {
    if (!c->success) { return true; }
    bool maps = strstr(c->name, "mmap") != NULL, moves = strcmp(c->name, "mremap") == 0;
    bool locks = strstr(c->name, "lock") != NULL; /* from any byte on */
    if ((maps || moves || locks || strcmp(c->name, "munmap") == 0 || strcmp(c->name, "mprotect") == 0 ||
         strcmp(c->name, "madvise") == 0 || strcmp(c->name, "msync") == 0) &&
        c->args >= 2 &&
        !is_sound(p, c, (maps ? c->result : c->arg[0]) & ~(locks ? (uint64_t)PAGE_MASK : 0), c->arg[1])) {
        return false;
    }
    if (moves && c->args >= 3 && !is_sound(p, c, c->result, c->arg[2])) { return false; }
    if (strcmp(c->name, "mmap2") == 0 && c->args >= 6) { return do_mmap(p, c, PAGE_SIZE); }
    if ((strcmp(c->name, "mmap") == 0 || strcmp(c->name, "old_mmap") == 0) && c->args >= 6) { return do_mmap(p, c, 1); }
    if (strcmp(c->name, "brk") == 0) { return do_brk(p, c); }
    if (strcmp(c->name, "munmap") == 0 && c->args >= 2) {
        p->importer->report.src_munmap++;
        return unmap_source(p, c->arg[0], c->arg[0] + round_page(c->arg[1]));
    }
    if (strcmp(c->name, "mprotect") == 0 && c->args >= 3) { return do_mprotect(p, c); }
    if (strcmp(c->name, "mremap") == 0 && c->args >= 4) { return do_mremap(p, c); }
    if (strcmp(c->name, "madvise") == 0 && c->args >= 3) { return do_madvise(p, c); }
    if (strcmp(c->name, "mlock") == 0 && c->args >= 2) { return do_range(p, c, EV_LOCK); }
    if (strcmp(c->name, "munlock") == 0 && c->args >= 2) { return do_range(p, c, EV_UNLOCK); }
    if (strcmp(c->name, "msync") == 0 && c->args >= 3 && !(c->arg[2] & SYNC_ASYNC)) { return do_range(p, c, EV_FLUSH); }
    return true;
}

/* The heap's first page and the room that brk may take; the reservation reaches over both. */
static bool start_heap(struct process *p, const struct lackey_segment *s) {
    uint64_t committed = s[0].end - s[0].start, size = s[1].end - s[0].start;
    va_t base = space_place(&p->space, size, FOLD_LOW);
    p->heap = s[0].start;
    p->heap_end = p->heap_least = s[0].end;
    if (!base) { return import_fail(p->importer, "the heap does not fit into 2 GB"); }
    if (!emit_alloc(p, base, size, EVENT_RESERVE, MM_READWRITE, "heap") ||
        !emit_alloc(p, base, committed, EVENT_COMMIT, MM_READWRITE, "heap")) {
        return false;
    }
    struct area *area = map_area(p, s[0].start, base, size, AREA_PRIVATE, PAGE_RESERVED);
    if (area) { memset(area->page, MM_READWRITE, committed >> PAGE_SHIFT); }
    return area;
}

/* The stack with the room it may grow into; the kernel has written arguments and environment onto its first pages. */
static bool start_stack(struct process *p, const struct lackey_segment *s) {
    return map_private(p, s[0].start, s[1].end - s[0].start, 3, "stack") &&
           kernel_touch(p, s[1].start, s[1].end - s[1].start, true);
}

bool start_layout(struct process *p, const struct lackey_layout *l) {
    bool *taken = calloc(l->count + 1, sizeof *taken);
    if (!taken) { return import_fail(p->importer, "out of memory"); }
    bool good = layout_files(p, l, taken);
    const struct lackey_segment *s = l->segment;
    for (unsigned i = 0; good && i + 1 < l->count; i++) {
        if (s[i].kind == LACKEY_ANON && s[i + 1].kind == LACKEY_RESERVE_UP && s[i].end == s[i + 1].start && !taken[i]) {
            good = start_heap(p, &s[i]);
            taken[i] = true;
        }
    }
    for (unsigned i = 0; good && i < l->count; i++) {
        bool grows_down = i > 0 && s[i - 1].kind == LACKEY_RESERVE_DOWN && s[i - 1].end == s[i].start;
        if (s[i].kind != LACKEY_ANON || taken[i]) { continue; }
        good = grows_down ? start_stack(p, &s[i - 1])
                          : map_private(p, s[i].start, s[i].end - s[i].start,
                                        (s[i].read ? 1u : 0) | (s[i].write ? 2u : 0) | (s[i].execute ? 4u : 0), "");
    }
    free(taken);
    return good;
}

bool map_stray_page(struct process *p, uint64_t address) {
    return map_private(p, address & ~(uint64_t)PAGE_MASK, PAGE_SIZE, 7, "");
}
