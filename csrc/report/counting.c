/* First touches, by the counting rules of traces/FORMAT.md: which page of which process was touched before, told from
 * the serviced faults (a first touch always faults) and the events that fork, unmap, free and move. */
#include "ntmmu/report.h"
#include "ntmmu/status.h"

#include <stdlib.h>
#include <uthash.h>

/* ---- a set of user pages: 2 GB, two levels ---- */

#define BLOCK_PAGES 1024u
#define BLOCK_WORDS (BLOCK_PAGES / 64)
#define BLOCKS      512u
#define USER_END    ((va_t)0x80000000)

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

struct region { /* a reservation or a view, for the events that name only its base */
    struct region *next;
    va_t base, size;
};

struct process {
    uint32_t pid;
    struct page_set touched, inherited; /* inherited: by a fork, from a parent that had touched it */
    struct region *regions;
    UT_hash_handle hh;
};

struct file_page {
    struct {
        uint64_t file, page;
    } key;
    UT_hash_handle hh;
};

struct counting {
    struct machine *machine;
    struct first_touches totals;
    struct process *processes;
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
    for (struct region *r = p->regions; r;) {
        struct region *next = r->next;
        free(r);
        r = next;
    }
    p->regions = NULL;
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

static void receive(void *ctx, const struct log_record *r) {
    struct counting *c = ctx;
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

/* ---- events ---- */

static void add_region(struct process *p, va_t base, va_t size) {
    struct region *r = malloc(sizeof *r);
    if (!r) { abort(); }
    *r = (struct region){.next = p->regions, .base = page_of(base), .size = size};
    p->regions = r;
}

/* Takes the region that begins at BASE off the list; its size, 0 if there is none. */
static va_t take_region(struct process *p, va_t base) {
    for (struct region **at = &p->regions; *at; at = &(*at)->next) {
        struct region *r = *at;
        if (r->base != page_of(base)) { continue; }
        va_t size = r->size;
        *at = r->next;
        free(r);
        return size;
    }
    return 0;
}

static void untouch(struct process *p, va_t base, va_t size) {
    va_t end = base + size < USER_END ? base + size : USER_END;
    for (va_t va = page_of(base); va < end; va += PAGE_SIZE) {
        set_remove(&p->touched, va >> PAGE_SHIFT);
        set_remove(&p->inherited, va >> PAGE_SHIFT);
    }
}

static void count_free(struct process *p, const struct event *event) {
    va_t size = event->free.size;
    if (event->free.release) {
        va_t region = take_region(p, event->free.base);
        if (size == 0) { size = region; }
    } else if (size == 0) {
        size = take_region(p, event->free.base);
        if (size) { add_region(p, event->free.base, size); }
    }
    untouch(p, event->free.base, size);
}

static void move_pages(struct process *p, va_t from, va_t to, va_t size) {
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
    for (const struct region *r = parent->regions; r; r = r->next) { add_region(child, r->base, r->size); }
}

/* Events about the address space of the current process. */
static void count_range(struct process *p, const struct event *event, const struct machine_result *result) {
    switch (event->kind) {
    case EV_ALLOC:
        if (event->alloc.type & EVENT_RESERVE) { add_region(p, result->service_out[0], result->service_out[1]); }
        break;
    case EV_MAP: add_region(p, result->service_out[0], result->service_out[1]); break;
    case EV_UNMAP: untouch(p, event->range.base, take_region(p, event->range.base)); break;
    case EV_FREE: count_free(p, event); break;
    case EV_MOVE: move_pages(p, event->move.from, event->move.to, event->move.size); break;
    default: break;
    }
}

void counting_event(struct counting *c, const struct event *event, const struct machine_result *result) {
    if (event->kind == EV_ACCESS || event->kind == EV_RUN) { return; }
    if (!NT_SUCCESS(result->service_status) || result->skipped) { return; }
    struct process *p;
    switch (event->kind) {
    case EV_FORK: count_fork(c, event->fork.pid, event->fork.parent); return;
    case EV_EXEC:
        p = find(c, event->proc.pid);
        if (p) { forget(p); }
        return;
    case EV_PROC_CREATE: /* the one before may have ended by an exception, which is no event */
    case EV_PROC_EXIT:
        p = find(c, event->proc.pid);
        if (p) { drop(c, p); }
        return;
    default: break;
    }
    const struct os_ops *os = machine_os_ops(c->machine);
    count_range(find_or_add(c, os->current_pid(machine_os(c->machine))), event, result);
}

struct counting *counting_create(struct machine *m) {
    struct counting *c = calloc(1, sizeof *c);
    if (!c) { return NULL; }
    c->machine = m;
    if (log_subscribe(machine_log(m), LOG_BIT(LOG_RESOLVED), receive, c)) {
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
    free(c);
}

const struct first_touches *counting_totals(const struct counting *c) { return &c->totals; }
