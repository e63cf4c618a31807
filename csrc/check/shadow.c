/* Check 2, shadow memory: applies the trace's memory events to the idealised memory when their service has succeeded,
 * and compares each access that completed. It knows nothing of frames except to tell apart what a kernel address
 * aliases: a store through one makes the bytes it hits unknown, unless it goes through an MDL's mapping of a known
 * range. */
#include "shadow.h"

#include "ntmmu/address_space.h"
#include "ntmmu/machine.h"
#include "ntmmu/mmu.h"
#include "ntmmu/nt_exports.h"
#include "ntmmu/status.h"
#include "ntmmu/trace.h"
#include "shadow_memory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#define USER_END   MM_SYSTEM_RANGE_START
#define SYSTEM_PID 0u

/* An event whose records have not all come: its thread waits. */
struct open_event {
    uint64_t index;
    UT_hash_handle hh;
    struct event event;
    struct section *section; /* that it maps: it may be closed meanwhile */
};

struct mdl {
    uint32_t id, pid;
    uint32_t address;        /* of the list itself */
    va_t base, size, kernel; /* kernel: where mapped, 0 = not */
    va_t user;               /* the same in process user_pid */
    uint32_t user_pid;
    struct mdl *next;
};

/* Words of a frame that a kernel address stored into. */
struct taint {
    pfn_t frame;
    uint64_t words[IDEAL_WORDS / 64];
    UT_hash_handle hh;
};

struct shadow {
    struct ideal *ideal;
    struct open_event *open;
    struct mdl *mdls;
    struct taint *taints;
    pa_t ram; /* from 0 on; behind it no page can be */
    /* the service whose end is looked at */
    bool waited;
    struct section *section;
    /* Stores to physical memory, counted; the last at each word of a page. */
    uint64_t strays, stray[IDEAL_WORDS];
};

struct shadow *shadow_create(pa_t ram) {
    struct shadow *s = check_alloc(sizeof *s);
    s->ram = ram;
    s->ideal = ideal_create();
    ideal_process_create(s->ideal, SYSTEM_PID); /* whose regions are the views in system space */
    return s;
}

void shadow_destroy(struct shadow *s) {
    if (!s) { return; }
    ideal_destroy(s->ideal);
    struct open_event *open, *next_open;
    HASH_ITER(hh, s->open, open, next_open) {
        HASH_DEL(s->open, open);
        ideal_drop_section(open->section);
        free(open);
    }
    for (struct mdl *m = s->mdls, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    struct taint *t, *next_taint;
    HASH_ITER(hh, s->taints, t, next_taint) {
        HASH_DEL(s->taints, t);
        free(t);
    }
    free(s);
}

/* ---- stores behind the user addresses ---- */

struct stored {
    pa_t start, end;
};

/* Words of the frame that have a byte of it, all or a part of the frame. */
static unsigned first_word(const struct stored *range, pfn_t frame) {
    return range->start >> PAGE_SHIFT < frame ? 0 : (range->start & PAGE_MASK) >> 2;
}
static unsigned last_word(const struct stored *range, pfn_t frame) {
    return (range->end - 1) >> PAGE_SHIFT > frame ? PAGE_MASK >> 2 : ((range->end - 1) & PAGE_MASK) >> 2;
}

static void forget_words(void *ctx, struct ideal_page *page) {
    const struct stored *range = ctx;
    unsigned last = last_word(range, page->frame);
    for (unsigned w = first_word(range, page->frame); w <= last; w++) { ideal_set_unknown(page, w); }
}

static void taint_frame(struct shadow *s, const struct stored *range, pfn_t frame) {
    struct taint *t;
    HASH_FIND(hh, s->taints, &frame, sizeof frame, t);
    if (!t) {
        t = check_alloc(sizeof *t);
        t->frame = frame;
        HASH_ADD(hh, s->taints, frame, sizeof t->frame, t);
    }
    unsigned first = first_word(range, frame), last = last_word(range, frame);
    if (first == 0 && last == PAGE_MASK >> 2) {
        memset(t->words, 0xFF, sizeof t->words);
        return;
    }
    for (unsigned w = first; w <= last; w++) { t->words[w >> 6] |= (uint64_t)1 << (w & 63); }
}

/* Those that have a byte of [start, end). */
static void taint_words(struct shadow *s, pa_t start, pa_t end) {
    struct stored range = {start, end};
    if (start >= end) { return; }
    pfn_t first = start >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;
    for (pfn_t frame = first; frame <= last; frame++) { taint_frame(s, &range, frame); }
    ideal_pages_in_frames(s->ideal, first ? first : 1, last, forget_words, &range); /* 0: never accessed */
}

static bool is_tainted(const struct shadow *s, pa_t pa) {
    if (!s->taints) { return false; }
    pfn_t frame = pa >> PAGE_SHIFT;
    unsigned word = (pa & PAGE_MASK) >> 2;
    struct taint *t;
    HASH_FIND(hh, s->taints, &frame, sizeof frame, t);
    return t && (t->words[word >> 6] >> (word & 63) & 1);
}

static void untaint(struct shadow *s, pa_t pa) {
    if (!s->taints) { return; }
    pfn_t frame = pa >> PAGE_SHIFT;
    unsigned word = (pa & PAGE_MASK) >> 2;
    struct taint *t;
    HASH_FIND(hh, s->taints, &frame, sizeof frame, t);
    if (t) { t->words[word >> 6] &= ~((uint64_t)1 << (word & 63)); }
}

/* A store by physical address, or through the direct map: into whose page is not known, if the kernel has brought it
 * into another frame than was last seen. */
static void note_stray(struct shadow *s, pa_t pa, unsigned bytes) {
    s->strays++;
    s->stray[(pa & PAGE_MASK) >> 2] = s->stray[((pa + bytes - 1) & PAGE_MASK) >> 2] = s->strays;
}

/* The page is now in this frame. If it is another one, such a store may have hit it on its way. */
static void see_page(struct shadow *s, struct ideal_page *page, pfn_t frame) {
    bool hit = page->frame != frame && page->seen != s->strays && !page->common;
    for (unsigned w = 0; hit && w < IDEAL_WORDS; w++) {
        if (s->stray[w] > page->seen) { ideal_set_unknown(page, w); }
    }
    page->frame = frame;
    page->seen = s->strays;
}

/* ---- accesses ---- */

struct access {
    va_t va;
    pa_t pa;
    uint32_t data; /* what the machine saw */
    unsigned bytes, type;
    uint32_t pid;
};

/* What the store of touch at va writes: as the machine's contract (machine.h) says. */
static uint32_t stored_value(const struct event *event, va_t va) {
    if (event->kind == EV_RUN) { return machine_store_value(event->index, 0); }
    va_t base = event->access.va;
    unsigned touch = (uint32_t)(page_of(va) - page_of(base)) >> PAGE_SHIFT;
    if (!event->access.has_value) { return machine_store_value(event->index, touch); }
    uint64_t done = (va - base) & 0xFFFFFFFFu;
    return done < 8 ? (uint32_t)(event->access.value >> 8 * done) : 0;
}

static bool compare_load(struct shadow *s, const struct access *a, const struct ideal_page *page,
                         const struct log_record *record, const struct event *event, struct report *report) {
    unsigned offset = a->va & PAGE_MASK;
    for (unsigned i = 0; i < a->bytes; i++) {
        if (ideal_is_unknown(page, (offset + i) >> 2)) { continue; }
        uint8_t seen = (uint8_t)(a->data >> 8 * i), ideal = page->bytes[offset + i];
        if (seen == ideal || is_tainted(s, a->pa + i)) { continue; }
        report_event(report, "shadow: ", event);
        report_record(report, "  ", record);
        report_add(report,
                   "  wrong byte at %08" PRIx64 " of process %" PRIu32 ": memory gave %02x, the program stored ",
                   a->va + i, a->pid, seen);
        report_add(report, "or the file has %02x (%u bytes from %08" PRIx64 ":", ideal, a->bytes, a->va);
        for (unsigned k = 0; k < a->bytes; k++) { report_add(report, " %02x", page->bytes[offset + k]); }
        report_add(report, ")\n");
        return false;
    }
    return true;
}

static void store_bytes(struct shadow *s, const struct access *a, struct ideal_page *page, uint32_t value) {
    unsigned offset = a->va & PAGE_MASK;
    if (!ideal_give_bytes(page)) { return; }
    for (unsigned i = 0; i < a->bytes; i++) { page->bytes[offset + i] = (uint8_t)(value >> 8 * i); }
    /* A word becomes known again only when all of it was stored. */
    if (a->bytes == 4 && (offset & 3) == 0) {
        ideal_set_known(page, offset >> 2);
        untaint(s, a->pa);
    }
}

/* Where an MDL is mapped in process `of`, or in the kernel; 0: nowhere. */
static va_t mdl_mapping(const struct mdl *m, uint32_t of, bool user) {
    return !user ? m->kernel : m->user_pid == of ? m->user : 0;
}

/* The range that an address of process `of` is an MDL's mapping of. */
static bool mdl_alias(const struct shadow *s, uint32_t of, va_t alias, uint32_t *pid, va_t *va) {
    for (const struct mdl *m = s->mdls; m; m = m->next) {
        va_t mapped = mdl_mapping(m, of, alias < USER_END);
        if (mapped && alias >= mapped && alias < mapped + m->size) {
            *pid = m->pid;
            *va = m->base + (alias - mapped);
            return true;
        }
    }
    return false;
}

/* A view in system space: it sees what all see who have the section mapped. */
static bool view_access(struct shadow *s, const struct access *a, const struct log_record *record,
                        const struct event *event, struct report *report) {
    bool store = mmu_writes(a->type);
    struct ideal_page *page =
        store ? ideal_store_page(s->ideal, SYSTEM_PID, a->va) : ideal_load_page(s->ideal, SYSTEM_PID, a->va);
    if (!page) { return true; }
    see_page(s, page, a->pa >> PAGE_SHIFT);
    if (a->type != MMU_WRITE && !compare_load(s, a, page, record, event, report)) { return false; }
    if (store) { store_bytes(s, a, page, stored_value(event, a->va)); }
    return true;
}

/* A kernel address, or an MDL's mapping in a process: nothing is known of it, unless it is an MDL's mapping and the
 * page is still the one that was locked. */
static bool kernel_access(struct shadow *s, struct access *a, const struct log_record *record,
                          const struct event *event, struct report *report) {
    bool store = mmu_writes(a->type);
    va_t start, end;
    if (ideal_region(s->ideal, SYSTEM_PID, a->va, &start, &end)) { return view_access(s, a, record, event, report); }
    uint32_t pid;
    va_t va;
    if (mdl_alias(s, a->pid, a->va, &pid, &va)) {
        struct ideal_page *page = va < USER_END ? ideal_load_page(s->ideal, pid, va) : NULL;
        if (page && !page->common && page->frame == a->pa >> PAGE_SHIFT) {
            struct access alias = *a;
            alias.va = va;
            alias.pid = pid;
            if (a->type != MMU_WRITE && !compare_load(s, &alias, page, record, event, report)) { return false; }
            if (store && page->references == 1) {
                store_bytes(s, &alias, page, stored_value(event, a->va));
                return true;
            }
        }
        if (store && va < USER_END) { /* the kernel may have brought it into another frame than was last seen */
            ideal_forget_behind(s->ideal, pid, va);
            ideal_forget_behind(s->ideal, pid, va + a->bytes - 1);
        }
    }
    if (store && a->va - USER_END == a->pa) { note_stray(s, a->pa, a->bytes); }
    if (store) { taint_words(s, a->pa, a->pa + a->bytes); }
    return true;
}

static bool no_region(const struct access *a, const struct log_record *record, const struct event *event,
                      struct report *report) {
    if (page_of(a->va) == MM_SHARED_USER_PAGE || a->pid == 0) { return true; }
    report_event(report, "shadow: ", event);
    report_record(report, "  ", record);
    report_add(report, "  the access completed, but process %" PRIu32 " has no allocation or view at %08" PRIx64 "\n",
               a->pid, a->va);
    return false;
}

static bool access_event(struct shadow *s, const struct event *event, const struct log_record *record,
                         struct report *report) {
    struct access a = {.va = record->a,
                       .pa = record->b,
                       .data = (uint32_t)record->c,
                       .bytes = record->e >> 8 & 0xFF,
                       .type = record->e & 0xF,
                       .pid = record->pid};
    va_t aliased;
    uint32_t owner;
    if (a.va >= USER_END || mdl_alias(s, a.pid, a.va, &owner, &aliased)) {
        return kernel_access(s, &a, record, event, report);
    }
    bool store = mmu_writes(a.type);
    struct ideal_page *page = store ? ideal_store_page(s->ideal, a.pid, a.va) : ideal_load_page(s->ideal, a.pid, a.va);
    if (!page) { return no_region(&a, record, event, report); }
    see_page(s, page, a.pa >> PAGE_SHIFT);
    if (a.type != MMU_WRITE && !compare_load(s, &a, page, record, event, report)) { return false; }
    if (store) { store_bytes(s, &a, page, stored_value(event, a.va)); }
    return true;
}

/* ---- memory events ---- */

static void alloc_event(struct shadow *s, uint32_t pid, va_t base, va_t size, unsigned type, uint64_t out0,
                        uint64_t out1) {
    va_t start, end, first = base;
    if (base == 0) { first = out0; }
    if (type & EVENT_RESET) {
        ideal_forget(s->ideal, pid, first, size);
    } else if ((type & EVENT_RESERVE) || !ideal_region(s->ideal, pid, first, &start, &end)) {
        va_t granule = first & ~(va_t)0xFFFF; /* a reservation begins at a multiple of 64 KB, NT-77 */
        ideal_reserve(s->ideal, pid, granule, first + (size ? size : out1) - granule);
    }
}

static void free_event(struct shadow *s, uint32_t pid, va_t base, va_t size, bool release) {
    va_t start, end;
    if (release) {
        ideal_release(s->ideal, pid, base, size);
    } else if (size) {
        ideal_discard(s->ideal, pid, base, size);
    } else if (ideal_region(s->ideal, pid, base, &start, &end)) {
        ideal_discard(s->ideal, pid, start, end - start);
    }
}

static struct mdl *mdl_find(struct shadow *s, uint32_t id) {
    for (struct mdl *m = s->mdls; m; m = m->next) {
        if (m->id == id || (m->address != 0 && m->address == id)) { return m; }
    }
    return NULL;
}

static void mdl_free(struct shadow *s, struct mdl *m) {
    struct mdl **at = &s->mdls;
    while (*at != m) { at = &(*at)->next; }
    *at = m->next;
    free(m);
}

static void mdl_create(struct shadow *s, uint32_t address, uint32_t pid, va_t base, va_t size) {
    struct mdl *m = mdl_find(s, address);
    if (!m) {
        m = check_alloc(sizeof *m);
        m->next = s->mdls;
        s->mdls = m;
    }
    struct mdl *next = m->next;
    *m = (struct mdl){.id = address, .address = address, .pid = pid, .base = base, .size = size, .next = next};
}

/* Lists that are made and used by name of the functions, NT-86 to NT-88. */
static void mdl_call(struct shadow *s, const struct event *event, uint32_t pid, uint32_t out) {
    const uint64_t *arg = event->args.arg;
    const char *name = event->text;
    if (strcmp(name, "MmCreateMdl") == 0 && out) { mdl_create(s, out, pid, (uint32_t)arg[1], (uint32_t)arg[2]); }
    if (strcmp(name, "IoAllocateMdl") == 0 && out) { mdl_create(s, out, pid, (uint32_t)arg[0], (uint32_t)arg[1]); }
    bool unmap = strcmp(name, "MmUnmapLockedPages") == 0;
    struct mdl *m = mdl_find(s, (uint32_t)arg[unmap]);
    if (!m) { return; }
    if (strcmp(name, "MmProbeAndLockPages") == 0) { m->pid = pid; }
    if (strcmp(name, "IoBuildPartialMdl") == 0) {
        uint32_t rest = (uint32_t)(m->base + m->size - arg[2]);
        mdl_create(s, (uint32_t)arg[1], m->pid, (uint32_t)arg[2], arg[3] ? (uint32_t)arg[3] : rest);
    } else if (strncmp(name, "MmMapLockedPages", 16) == 0 && arg[1]) {
        m->user = out;
        m->user_pid = pid;
    } else if (strncmp(name, "MmMapLockedPages", 16) == 0 || strncmp(name, "MmGetSystemAddressForMdl", 24) == 0) {
        m->kernel = out;
    } else if (unmap) {
        *(arg[0] < USER_END ? &m->user : &m->kernel) = 0;
    } else if (strcmp(name, "MmUnlockPages") == 0) {
        m->kernel = m->user = 0;
    } else if (strcmp(name, "IoFreeMdl") == 0) {
        mdl_free(s, m);
    }
}

static void mdl_event(struct shadow *s, const struct event *event, uint32_t pid, uint64_t out) {
    struct mdl *m = mdl_find(s, event->mdl.id);
    if (event->kind == EV_MDL_LOCK && !m) {
        m = check_alloc(sizeof *m);
        *m = (struct mdl){.id = event->mdl.id,
                          .address = (uint32_t)out,
                          .pid = pid,
                          .base = event->mdl.base,
                          .size = event->mdl.size,
                          .next = s->mdls};
        s->mdls = m;
        /* What a device may write is the process's own already (NT-87). A page of a section was copied before the lock
         * waited for the next one, and the section may have changed since. */
        for (va_t va = page_of(m->base); event->mdl.write && va < m->base + m->size; va += PAGE_SIZE) {
            const struct ideal_page *old = ideal_load_page(s->ideal, pid, va);
            bool common = old && old->common;
            const struct ideal_page *own = ideal_store_page(s->ideal, pid, va);
            if (s->waited && common && own != old) { ideal_forget(s->ideal, pid, va, PAGE_SIZE); }
        }
    } else if (m && event->kind == EV_MDL_MAP) {
        m->kernel = out ? out : event->mdl.base;
    } else if (m && event->kind == EV_MDL_UNMAP) {
        m->kernel = 0;
    } else if (m && event->kind == EV_MDL_UNLOCK) {
        mdl_free(s, m);
    }
}

static struct section *section_to_map(const struct shadow *s, uint32_t sid) {
    return s->section ? s->section : ideal_find_section(s->ideal, sid);
}

/* Without a section a fork, with that of an image a view of it, at base. A parent or section named by a handle is not
 * followed. */
static void process_call(struct shadow *s, const uint64_t *arg, uint32_t pid, va_t base) {
    uint32_t parent = (uint32_t)arg[3] == CURRENT_PROCESS_HANDLE ? pid : (uint32_t)arg[3];
    if (arg[5] == 0) {
        ideal_fork(s->ideal, (uint32_t)arg[0], parent);
        return;
    }
    ideal_process_create(s->ideal, (uint32_t)arg[0]);
    if (base) {
        ideal_map(s->ideal, (uint32_t)arg[0], section_to_map(s, (uint32_t)arg[5]), base, 0, 0, EVENT_MAP_IMAGE, false);
    }
}

/* ---- calls that write ---- */

#define NONE       0xFFu
#define DIRECT_END (MM_KSEG0_END + 1)
#define MDL_HEADER 0x1Cu
#define IRP_MDL    4u

/* Which arguments say what memory a call writes: of a process by its handle, or of the current one; bytes without an
 * argument that says how many. */
static const struct {
    const char *name;
    uint8_t process, address, length, offset, bytes;
} writers[] = {
    {"RtlCopyMemory", NONE, 0, 2, 0, 0},          {"RtlMoveMemory", NONE, 0, 2, 0, 0},
    {"RtlFillMemory", NONE, 0, 1, 0, 0},          {"RtlZeroMemory", NONE, 0, 1, 0, 0},
    {"NtWriteVirtualMemory", 0, 1, 3, 0, 0},      {"NtReadVirtualMemory", NONE, 2, 3, 0, 0},
    {"NtQueryVirtualMemory", NONE, 3, 4, 0, 0},   {"NtQueryVirtualMemory", NONE, 5, NONE, 0, 4},
    {"IoAllocateMdl", NONE, 4, NONE, IRP_MDL, 4},
};

/* Where the next region or MDL's mapping begins, of process pid or of the kernel; va: there is one. */
static va_t blank_end(const struct shadow *s, uint32_t pid, va_t va) {
    bool user = va < USER_END;
    va_t end = ideal_gap_end(s->ideal, user ? pid : SYSTEM_PID, va);
    for (const struct mdl *m = s->mdls; m; m = m->next) {
        va_t mapped = mdl_mapping(m, pid, user);
        if (mapped && mapped + m->size > va && mapped < end) { end = page_of(mapped) > va ? page_of(mapped) : va; }
    }
    return end;
}

/* [va, va + size) of process pid, whatever it is, was stored into. Nothing gets past the end of the user addresses, but
 * a move may begin at a last byte that is low. */
static void forget_written(struct shadow *s, uint32_t pid, va_t va, va_t size, bool exact) {
    const va_t top = (va_t)1 << 32;
    va_t end = va + size, limit = va < USER_END ? USER_END : top;
    if (end > top) { forget_written(s, pid, 0, end - top, exact); }
    if (end > limit) { end = limit; }
    pa_t from = 0, to = 0; /* of the direct map, still to be tainted */
    for (va_t next; va < end; va = next) {
        next = blank_end(s, pid, va);
        bool blank = next > va;
        if (!blank) { next = page_of(va) + PAGE_SIZE; }
        if (va < DIRECT_END && next > DIRECT_END) { next = DIRECT_END; }
        if (next > end) { next = end; }
        uint32_t owner;
        va_t aliased, start, last;
        bool alias = mdl_alias(s, pid, va, &owner, &aliased) && aliased < USER_END;
        for (va_t word = va & ~(va_t)3; alias && word < next; word += 4) {
            ideal_forget_behind(s->ideal, owner, aliased + word - va);
        }
        if (alias || (blank && va < USER_END)) { continue; }
        if (va < USER_END || ideal_region(s->ideal, SYSTEM_PID, va, &start, &last)) {
            ideal_forget_words(s->ideal, va < USER_END ? pid : SYSTEM_PID, va, next - va, exact);
        } else if (va < DIRECT_END && va - USER_END < s->ram) {
            if (to != va - USER_END) {
                taint_words(s, from, to);
                from = va - USER_END;
            }
            to = next - USER_END < s->ram ? next - USER_END : s->ram;
        }
    }
    taint_words(s, from, to);
}

/* Lists that stand in a process's memory: any call, and any event of one, may write there. */
static void forget_lists(struct shadow *s, uint32_t pid) {
    for (const struct mdl *m = s->mdls; m; m = m->next) {
        va_t pages = ((m->base & PAGE_MASK) + m->size + PAGE_MASK) >> PAGE_SHIFT;
        if (m->address && m->address < USER_END) { forget_written(s, pid, m->address, MDL_HEADER + 4 * pages, false); }
    }
}

/* The end of a call, good or bad, or of a part of it: it waits. */
static void call_writes(struct shadow *s, const struct event *event, uint32_t pid, bool exact) {
    const uint64_t *arg = event->args.arg;
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        if (strcmp(event->text, writers[i].name) != 0) { continue; }
        uint32_t process = writers[i].process == NONE ? CURRENT_PROCESS_HANDLE : (uint32_t)arg[writers[i].process];
        uint32_t length = writers[i].length == NONE ? writers[i].bytes : (uint32_t)arg[writers[i].length];
        forget_written(s, process == CURRENT_PROCESS_HANDLE ? pid : process,
                       (uint32_t)(arg[writers[i].address] + writers[i].offset), length, exact);
    }
    forget_lists(s, pid);
}

/* ---- ---- */

/* A service with raw arguments, in the order of NT-105; a process handle is -1 or a process id. */
static void call_event(struct shadow *s, const struct event *event, uint32_t pid, uint64_t out0, uint64_t out1) {
    const uint64_t *arg = event->args.arg;
    const char *name = event->text;
    uint32_t process = (uint32_t)arg[0] == CURRENT_PROCESS_HANDLE ? pid : (uint32_t)arg[0];
    if (strcmp(name, "NtAllocateVirtualMemory") == 0) {
        unsigned type = (arg[4] & 0x2000 ? EVENT_RESERVE : 0) | (arg[4] & 0x1000 ? EVENT_COMMIT : 0) |
                        (arg[4] & 0x80000 ? EVENT_RESET : 0);
        alloc_event(s, process, arg[1], arg[3], type, out0, out1);
    } else if (strcmp(name, "NtFreeVirtualMemory") == 0) {
        free_event(s, process, arg[1], arg[2], arg[3] & 0x8000);
    } else if (strcmp(name, "NtProtectVirtualMemory") == 0) {
        int mask = MiMakeProtectionMask((uint32_t)arg[3]);
        if (mask >= 0) { ideal_protect(s->ideal, process, arg[1], arg[2], (unsigned)mask); }
    } else if (strcmp(name, "NtCreateSection") == 0 || strcmp(name, "MmCreateSection") == 0) {
        ideal_section_of_file(s->ideal, (uint32_t)arg[0], (uint32_t)arg[4], arg[3] & 0x1000000, arg[1]);
    } else if (strcmp(name, "MmMapViewInSystemSpace") == 0) {
        ideal_map(s->ideal, SYSTEM_PID, section_to_map(s, (uint32_t)arg[0]), out0, out1, 0, MM_READWRITE, true);
    } else if (strcmp(name, "MmUnmapViewInSystemSpace") == 0) {
        ideal_unmap(s->ideal, SYSTEM_PID, arg[0]);
    } else if (strcmp(name, "NtMapViewOfSection") == 0 || strcmp(name, "MmMapViewOfSection") == 0) {
        process = (uint32_t)arg[1] == CURRENT_PROCESS_HANDLE ? pid : (uint32_t)arg[1];
        int mask = MiMakeProtectionMask((uint32_t)arg[9]);
        ideal_map(s->ideal, process, section_to_map(s, (uint32_t)arg[0]), out0, out1, arg[5],
                  mask < 0 ? 0 : (unsigned)mask, true);
    } else if (strcmp(name, "NtCreateProcess") == 0) {
        process_call(s, arg, pid, out1);
    } else if (strcmp(name, "NtUnmapViewOfSection") == 0 || strcmp(name, "MmUnmapViewOfSection") == 0) {
        ideal_unmap(s->ideal, process, arg[1]);
    } else if (strcmp(name, "ZwReadFile") == 0) { /* what the file has is not looked up */
        ideal_forget(s->ideal, pid, arg[3], (out0 + PAGE_MASK) & ~(uint64_t)PAGE_MASK);
    } else {
        mdl_call(s, event, pid, (uint32_t)out0);
    }
}

/* An event whose service succeeded in process pid; out0, out1: what it handed back. */
static void service_event(struct shadow *s, const struct event *event, uint32_t pid, uint64_t out0, uint64_t out1) {
    struct ideal *ideal = s->ideal;
    switch (event->kind) {
    case EV_PROC_CREATE: ideal_process_create(ideal, event->proc.pid); break;
    case EV_PROC_EXIT: ideal_process_exit(ideal, event->proc.pid); break;
    case EV_FORK: ideal_fork(ideal, event->fork.pid, event->fork.parent); break;
    case EV_EXEC: ideal_exec(ideal, event->proc.pid); break;
    case EV_ALLOC: alloc_event(s, pid, event->alloc.base, event->alloc.size, event->alloc.type, out0, out1); break;
    case EV_FREE: free_event(s, pid, event->free.base, event->free.size, event->free.release); break;
    case EV_SECTION:
        ideal_section(ideal, event->section.sid, event->section.type, event->section.size, event->text);
        break;
    case EV_SUBSECTION:
        ideal_subsection(ideal, event->sub.sid, event->sub.offset, event->sub.size, event->sub.file_offset,
                         event->sub.anonymous, event->sub.prot);
        break;
    case EV_SECTION_CLOSE: ideal_section_close(ideal, event->section.sid); break;
    case EV_MAP:
        ideal_map(ideal, pid, section_to_map(s, event->map.sid), event->map.base ? event->map.base : out0,
                  event->map.size ? event->map.size : out1, event->map.offset, event->map.prot, event->map.share);
        break;
    case EV_UNMAP: ideal_unmap(ideal, pid, event->range.base); break;
    case EV_PROTECT: ideal_protect(ideal, pid, event->range.base, event->range.size, event->range.prot); break;
    case EV_MOVE: ideal_move(ideal, pid, event->move.from, event->move.to, event->move.size); break;
    case EV_MDL_LOCK:
    case EV_MDL_MAP:
    case EV_MDL_UNMAP:
    case EV_MDL_UNLOCK: mdl_event(s, event, pid, out0); break;
    case EV_CALL: call_event(s, event, pid, out0, out1); break;
    default: break;
    }
}

/* ---- events whose thread waits ---- */

static bool is_access(const struct event *event) { return event->kind == EV_ACCESS || event->kind == EV_RUN; }

/* Whether anything comes of it when its thread goes on. */
static bool ends_late(const struct event *event) {
    switch (event->kind) {
    case EV_SWITCH:
    case EV_TRY:
    case EV_EXCEPT:
    case EV_FINALLY:
    case EV_END_TRY: return false;
    default: return true;
    }
}

/* Which section a service maps, if one. */
static bool maps_section(const struct event *event, uint32_t *sid) {
    static const char *const first[] = {"NtMapViewOfSection", "MmMapViewOfSection", "MmMapViewInSystemSpace"};
    bool maps = event->kind == EV_MAP, call = event->kind == EV_CALL;
    *sid = maps ? event->map.sid : (uint32_t)event->args.arg[0];
    for (size_t i = 0; call && i < sizeof first / sizeof *first; i++) { maps |= strcmp(event->text, first[i]) == 0; }
    if (!call || strcmp(event->text, "NtCreateProcess") != 0) { return maps; }
    *sid = (uint32_t)event->args.arg[5];
    return true;
}

static bool is_mdl_event(const struct event *event) {
    return event->kind == EV_MDL_LOCK || event->kind == EV_MDL_MAP || event->kind == EV_MDL_UNMAP ||
           event->kind == EV_MDL_UNLOCK;
}

static void keep_open(struct shadow *s, const struct event *event) {
    struct open_event *o = check_alloc(sizeof *o);
    event_copy(&o->event, event);
    o->index = event->index;
    uint32_t sid;
    if (maps_section(event, &sid)) { o->section = ideal_hold_section(ideal_find_section(s->ideal, sid)); }
    HASH_ADD(hh, s->open, index, sizeof o->index, o);
}

static const struct event *find_event(struct shadow *s, uint64_t index, const struct event *current) {
    s->section = NULL;
    if (index == current->index) { return current; }
    struct open_event *o;
    HASH_FIND(hh, s->open, &index, sizeof index, o);
    if (!o) { return NULL; }
    s->section = o->section;
    return &o->event;
}

static void close_event(struct shadow *s, uint64_t index) {
    struct open_event *o;
    HASH_FIND(hh, s->open, &index, sizeof index, o);
    if (!o) { return; }
    HASH_DEL(s->open, o);
    ideal_drop_section(o->section);
    free(o);
}

/* The last touch of an access has been seen. */
static bool last_touch(const struct event *event, const struct log_record *record) {
    if (event->kind == EV_RUN) { return true; }
    uint64_t size = event->access.size ? event->access.size : 1;
    return page_of(record->a) == page_of((event->access.va + size - 1) & 0xFFFFFFFFu);
}

static bool has_blocked(const struct records *records, uint64_t index) {
    for (size_t i = 0; i < records->count; i++) {
        if (records->at[i].kind == LOG_BLOCK && records->at[i].event == index) { return true; }
    }
    return false;
}

/* The event as the kernel takes it, which leaves out what is above 32 bits. */
static const struct event *narrow(const struct event *event, struct event *copy) {
    uint32_t wide = nt_wide_arguments(event);
    uint64_t limit;
    const uint64_t *number = event_wide_number(event, wide, &limit);
    if (!number) { return event; }
    event_copy(copy, event);
    while ((number = event_wide_number(copy, wide, &limit))) { *(uint64_t *)number &= limit - 1; }
    return copy;
}

bool shadow_event(struct shadow *s, const struct event *given, const struct records *records, bool blocked,
                  struct report *report) {
    struct event copy;
    const struct event *event = narrow(given, &copy);
    bool done = false; /* this event's own end was seen */
    for (size_t i = 0; i < records->count; i++) {
        const struct log_record *r = &records->at[i];
        if (r->kind != LOG_ACCESS && r->kind != LOG_STATUS && r->kind != LOG_EXCEPTION && r->kind != LOG_BLOCK) {
            continue;
        }
        const struct event *of = find_event(s, r->event, event);
        if (!of || (r->kind == LOG_ACCESS && (r->cause != LOG_TRACE || !is_access(of)))) { continue; }
        if (r->kind == LOG_ACCESS && !access_event(s, of, r, report)) { return false; }
        if (r->kind == LOG_STATUS) { s->waited = of != event || has_blocked(records, of->index); }
        if (of->kind == EV_SECTION && r->kind == LOG_STATUS) {
            ideal_open_file(s->ideal, of->section.sid, of->section.type, of->section.size, of->text);
        }
        if (is_mdl_event(of)) { forget_lists(s, r->pid); }
        bool success = r->kind == LOG_STATUS && NT_SUCCESS(r->a);
        if (success) { service_event(s, of, r->pid, r->b, r->c); }
        if (of->kind == EV_CALL) { call_writes(s, of, r->pid, success && !s->waited); }
        if (r->kind == LOG_BLOCK) { continue; }
        if (r->kind == LOG_ACCESS && !last_touch(of, r)) { continue; }
        if (of == event) {
            done = true;
        } else {
            close_event(s, r->event);
        }
    }
    bool quad = event->kind == EV_POKE_QUAD;
    if (event->kind == EV_POKE || quad) {
        unsigned bytes = quad ? 8 : 4;
        pa_t pa = event->poke.pa & ~(pa_t)(bytes - 1);
        taint_words(s, pa, pa + bytes);
        note_stray(s, pa, bytes);
    }
    if (blocked && !done && ends_late(event)) { keep_open(s, event); }
    return true;
}
