/* First touches, by the counting rules of traces/FORMAT.md: which page of which process was touched before, told from
 * the serviced faults (a first touch always faults) and the services that fork, unmap, free and move. A service counts
 * when it returns: its thread may have waited, and others have touched pages meanwhile. */
#include "ntmmu/address_space.h"
#include "ntmmu/nt_exports.h"
#include "ntmmu/report.h"
#include "ntmmu/status.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* ---- a set of user pages: 2 GB, two levels ---- */

#define BLOCK_PAGES 1024u
#define BLOCK_WORDS (BLOCK_PAGES / 64)
#define BLOCKS      512u
#define USER_END    ((va_t)MM_SYSTEM_RANGE_START)

struct page_set {
    uint64_t *block[BLOCKS];
};

static bool set_has(const struct page_set *set, vpn_t vpn) {
    const uint64_t *block = set->block[vpn / BLOCK_PAGES];
    return block && (block[vpn % BLOCK_PAGES / 64] >> vpn % 64 & 1);
}

static void set_add(struct page_set *set, vpn_t vpn) {
    uint64_t **block = &set->block[vpn / BLOCK_PAGES];
    if (!*block) { *block = calloc(BLOCK_WORDS, sizeof **block); }
    if (*block) { (*block)[vpn % BLOCK_PAGES / 64] |= (uint64_t)1 << vpn % 64; }
}

static void set_remove(struct page_set *set, vpn_t vpn) {
    uint64_t *block = set->block[vpn / BLOCK_PAGES];
    if (block) { block[vpn % BLOCK_PAGES / 64] &= ~((uint64_t)1 << vpn % 64); }
}

static void set_clear(struct page_set *set) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        free(set->block[i]);
        set->block[i] = NULL;
    }
}

static void set_unite(struct page_set *to, const struct page_set *from) {
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!from->block[i]) { continue; }
        if (!to->block[i]) { to->block[i] = calloc(BLOCK_WORDS, sizeof *to->block[i]); }
        for (unsigned w = 0; to->block[i] && w < BLOCK_WORDS; w++) { to->block[i][w] |= from->block[i][w]; }
    }
}

/* ---- processes and file pages ---- */

struct view { /* an unmap names an address in it */
    struct view *next;
    va_t base, size;
};

struct process {
    uint32_t pid;
    struct page_set touched, inherited; /* inherited: by a fork, from a parent that had touched it */
    struct view *views;
    UT_hash_handle hh;
};

struct file_page {
    struct {
        uint64_t file, page;
    } key;
    UT_hash_handle hh;
};

enum effect_kind {
    EFFECT_NONE,
    EFFECT_MAP,
    EFFECT_UNMAP,
    EFFECT_FREE,
    EFFECT_MOVE,
    EFFECT_FORK,
    EFFECT_EXEC,
    EFFECT_NEW,
    EFFECT_NEW_IMAGE
};

/* What a service is going to do if it succeeds. */
struct effect {
    uint64_t event;
    enum effect_kind kind;
    bool of_current;     /* of the process that runs when it returns; else: */
    uint32_t pid;        /* FORK: the parent's */
    uint32_t child;      /* FORK */
    va_t from, to, size; /* UNMAP: from */
    bool ended;
    UT_hash_handle hh;
};

struct counting {
    struct machine *machine;
    struct first_touches totals;
    struct process *processes;
    struct effect now;      /* of the event that is replayed */
    struct effect *waiting; /* those of events that have not ended yet */
    struct file_page *file_pages;
};

static struct process *find(const struct counting *c, uint32_t pid) {
    struct process *p;
    HASH_FIND(hh, c->processes, &pid, sizeof pid, p);
    return p;
}

static struct process *find_or_add(struct counting *c, uint32_t pid) {
    struct process *p = find(c, pid);
    if (p) { return p; }
    p = calloc(1, sizeof *p);
    if (!p) { abort(); }
    p->pid = pid;
    HASH_ADD(hh, c->processes, pid, sizeof p->pid, p);
    return p;
}

static void forget(struct process *p) {
    set_clear(&p->touched);
    set_clear(&p->inherited);
    for (struct view *v = p->views; v;) {
        struct view *next = v->next;
        free(v);
        v = next;
    }
    p->views = NULL;
}

static void drop(struct counting *c, struct process *p) {
    HASH_DELETE(hh, c->processes, p);
    forget(p);
    free(p);
}

/* True if no process had touched this page of the file before. */
static bool first_of_file(struct counting *c, uint64_t file, uint64_t offset) {
    struct file_page key = {.key = {.file = file, .page = offset >> PAGE_SHIFT}}, *page;
    HASH_FIND(hh, c->file_pages, &key.key, sizeof key.key, page);
    if (page) { return false; }
    page = calloc(1, sizeof *page);
    if (!page) { abort(); }
    page->key = key.key;
    HASH_ADD(hh, c->file_pages, key, sizeof page->key, page);
    return true;
}

/* ---- serviced faults ---- */

static void count_first(struct counting *c, const struct process *p, const struct log_record *r) {
    if (set_has(&p->inherited, r->a >> PAGE_SHIFT) || r->c == FAULT_CLONE) {
        c->totals.fork_child_first_touch++;
    } else if (r->c == FAULT_DEMAND_ZERO) {
        c->totals.demand_zero++;
    } else if (r->c == FAULT_SECTION) {
        c->totals.section_first++;
    } else if (r->d != 0) {
        *(first_of_file(c, r->d, r->e) ? &c->totals.file_first_hard : &c->totals.file_first_soft) += 1;
    }
}

static void count_fault(struct counting *c, const struct log_record *r) {
    if (r->a >= USER_END || r->c == FAULT_OTHER || r->c == FAULT_GUARD) { return; }
    struct process *p = find_or_add(c, r->pid);
    if (!set_has(&p->touched, r->a >> PAGE_SHIFT)) {
        count_first(c, p, r);
        set_add(&p->touched, r->a >> PAGE_SHIFT);
    }
    c->totals.cow_file += r->c == FAULT_COW_FILE;
    c->totals.cow_fork += r->c == FAULT_COW_FORK;
    c->totals.cow_reuse += r->c == FAULT_COW_REUSE;
}

/* ---- what services do ---- */

static void add_view(struct process *p, va_t base, va_t size) {
    struct view *v = malloc(sizeof *v);
    if (!v) { abort(); }
    *v = (struct view){.next = p->views, .base = page_of(base), .size = size};
    p->views = v;
}

static void untouch(struct process *p, va_t base, va_t size) {
    va_t end = base + size < USER_END ? base + size : USER_END;
    for (va_t va = page_of(base); va < end; va += PAGE_SIZE) {
        set_remove(&p->touched, va >> PAGE_SHIFT);
        set_remove(&p->inherited, va >> PAGE_SHIFT);
    }
}

static void unmap(struct process *p, va_t va) {
    for (struct view **at = &p->views; *at; at = &(*at)->next) {
        struct view *v = *at;
        if (va < v->base || va - v->base >= v->size) { continue; }
        untouch(p, v->base, v->size);
        *at = v->next;
        free(v);
        return;
    }
}

static void move_pages(struct process *p, va_t from, va_t to, va_t size) {
    size += from & PAGE_MASK;
    from = page_of(from);
    to = page_of(to);
    for (va_t at = 0; at < size && from + at < USER_END && to + at < USER_END; at += PAGE_SIZE) {
        vpn_t old = (from + at) >> PAGE_SHIFT, new = (to + at) >> PAGE_SHIFT;
        struct page_set *sets[] = {&p->touched, &p->inherited};
        for (unsigned i = 0; i < 2; i++) {
            bool had = set_has(sets[i], old);
            set_remove(sets[i], old);
            if (had) { set_add(sets[i], new); }
        }
    }
}

static void count_fork(struct counting *c, uint32_t child_pid, uint32_t parent_pid) {
    struct process *parent = find_or_add(c, parent_pid), *child = find_or_add(c, child_pid);
    forget(child);
    set_unite(&child->inherited, &parent->touched);
    set_unite(&child->inherited, &parent->inherited);
    for (const struct view *v = parent->views; v; v = v->next) { add_view(child, v->base, v->size); }
}

static bool add_vad(void *ctx, const struct nt_vad_view *vad) {
    if (!vad->is_private) { add_view(ctx, vad->start, vad->end + 1 - vad->start); }
    return true;
}

struct object_search {
    uint32_t object, pid;
};

static bool is_object(void *ctx, const struct nt_process_view *process) {
    struct object_search *search = ctx;
    if (process->eprocess == search->object) { search->pid = process->pid; }
    return process->eprocess != search->object;
}

/* A call names a process by its number or its object's address. (By a handle, too: those are not followed.) */
static uint32_t pid_of(const struct counting *c, uint32_t named) {
    struct object_search search = {.object = named, .pid = named};
    if (named >= MM_SYSTEM_RANGE_START) { nt_view_processes(machine_os(c->machine), is_object, &search); }
    return search.pid;
}

/* r: the service's success, with what it handed back. */
static void apply(struct counting *c, const struct effect *effect, const struct log_record *r) {
    uint32_t pid = effect->of_current ? r->pid : pid_of(c, effect->pid);
    struct process *p = find_or_add(c, pid);
    switch (effect->kind) {
    case EFFECT_MAP: add_view(p, r->b, r->c); break;
    case EFFECT_UNMAP: unmap(p, effect->from); break;
    case EFFECT_FREE: untouch(p, r->b, r->c); break;
    case EFFECT_MOVE: move_pages(p, effect->from, effect->to, effect->size); break;
    case EFFECT_FORK: count_fork(c, effect->child, pid); break;
    case EFFECT_EXEC: forget(p); break;
    case EFFECT_NEW: /* the one before may have ended by an exception, which is no event */ drop(c, p); break;
    case EFFECT_NEW_IMAGE:
        forget(p);
        nt_view_vads(machine_os(c->machine), pid, add_vad, p);
        break;
    default: break;
    }
}

static void receive(void *ctx, const struct log_record *r) {
    struct counting *c = ctx;
    if (r->kind == LOG_RESOLVED) {
        count_fault(c, r);
        return;
    }
    struct effect *effect = &c->now;
    if (r->event != effect->event) { HASH_FIND(hh, c->waiting, &r->event, sizeof r->event, effect); }
    if (!effect || effect->kind == EFFECT_NONE) { return; }
    if (r->kind == LOG_STATUS && NT_SUCCESS(r->a)) { apply(c, effect, r); }
    if (effect == &c->now) {
        effect->ended = true; /* a bracket may run it again */
    } else {
        HASH_DELETE(hh, c->waiting, effect);
        free(effect);
    }
}

/* ---- which services ---- */

/* Arguments of NT-105: that of the process, and of the address. */
static const struct {
    const char *name;
    enum effect_kind kind;
    uint8_t process, address;
} calls[] = {
    {"NtFreeVirtualMemory", EFFECT_FREE, 0, 1},   {"NtMapViewOfSection", EFFECT_MAP, 1, 2},
    {"MmMapViewOfSection", EFFECT_MAP, 1, 2},     {"NtUnmapViewOfSection", EFFECT_UNMAP, 0, 1},
    {"MmUnmapViewOfSection", EFFECT_UNMAP, 0, 1}, {"NtCreateProcess", EFFECT_FORK, 3, 0},
};

static struct effect effect_of_call(const struct event *event) {
    struct effect effect = {.event = event->index};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strcmp(event->text, calls[i].name) != 0) { continue; }
        effect.kind = calls[i].kind;
        effect.pid = (uint32_t)event->args.arg[calls[i].process];
        effect.of_current = effect.pid == CURRENT_PROCESS_HANDLE;
        effect.from = page_of((uint32_t)event->args.arg[calls[i].address]);
    }
    if (effect.kind != EFFECT_FORK) { return effect; }
    effect.child = (uint32_t)event->args.arg[0];
    if (event->args.arg[5] != 0) { /* of a section, not of what the parent has */
        effect.kind = EFFECT_NEW_IMAGE;
        effect.pid = effect.child;
        effect.of_current = false;
    }
    return effect;
}

static struct effect effect_of(const struct event *event) {
    struct effect effect = {.event = event->index, .of_current = true};
    switch (event->kind) {
    case EV_MAP: effect.kind = EFFECT_MAP; break;
    case EV_UNMAP:
        effect.kind = EFFECT_UNMAP;
        effect.from = event->range.base;
        break;
    case EV_FREE: effect.kind = EFFECT_FREE; break;
    case EV_MOVE:
        effect.kind = EFFECT_MOVE;
        effect.from = event->move.from;
        effect.to = event->move.to;
        effect.size = event->move.size;
        break;
    case EV_FORK:
        effect.kind = EFFECT_FORK;
        effect.of_current = false;
        effect.pid = event->fork.parent;
        effect.child = event->fork.pid;
        break;
    case EV_EXEC:
    case EV_PROC_CREATE:
    case EV_PROC_EXIT:
        effect.kind = event->kind == EV_EXEC ? EFFECT_EXEC : EFFECT_NEW;
        effect.of_current = false;
        effect.pid = event->proc.pid;
        break;
    case EV_CALL: return effect_of_call(event);
    default: break;
    }
    return effect;
}

void counting_event(struct counting *c, const struct event *event) {
    if (c->now.kind != EFFECT_NONE && !c->now.ended) {
        struct effect *waiting = malloc(sizeof *waiting);
        if (!waiting) { abort(); }
        *waiting = c->now;
        HASH_ADD(hh, c->waiting, event, sizeof waiting->event, waiting);
    }
    c->now = effect_of(event);
}

struct counting *counting_create(struct machine *m) {
    struct counting *c = calloc(1, sizeof *c);
    if (!c) { return NULL; }
    c->machine = m;
    if (log_subscribe(machine_log(m), LOG_BIT(LOG_RESOLVED) | LOG_BIT(LOG_STATUS) | LOG_BIT(LOG_EXCEPTION), receive,
                      c)) {
        free(c);
        return NULL;
    }
    return c;
}

void counting_destroy(struct counting *c) {
    if (!c) { return; }
    struct process *p, *next;
    HASH_ITER(hh, c->processes, p, next) { drop(c, p); }
    struct file_page *page, *after;
    HASH_ITER(hh, c->file_pages, page, after) {
        HASH_DELETE(hh, c->file_pages, page);
        free(page);
    }
    struct effect *effect, *other;
    HASH_ITER(hh, c->waiting, effect, other) {
        HASH_DELETE(hh, c->waiting, effect);
        free(effect);
    }
    free(c);
}

const struct first_touches *counting_totals(const struct counting *c) { return &c->totals; }
