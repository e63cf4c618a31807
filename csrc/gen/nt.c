/* Everything at once (S-130): two processes and the children they fork, with random operations on private memory,
 * views, locked pages and frames. A model of what each page is tells which accesses must end in an exception; what
 * loads must return is the business of the shadow memory. */
#include "gen.h"

#include <string.h>

#define ROUND           64 /* operations between two comments */
#define SLOTS           24 /* places for a region */
#define REGION_PAGES    16 /* at most */
#define SECTIONS        4  /* two of the paging file, two of files */
#define SECTION_PAGES   8
#define PROCESSES       5 /* alive at a time */
#define FIRST_PROCESSES 2 /* they stay */
#define LOCKS           4 /* of a process */
#define PAGE            0x1000u

enum page { RESERVED, NO_ACCESS, READ_ONLY, READ_WRITE, GUARD };

struct region {
    unsigned pages; /* 0: the slot is free */
    uint8_t page[REGION_PAGES];
    unsigned section; /* of a view */
    bool copies;      /* a view that is written to by copying */
};

struct range {
    unsigned slot, first, count;
};

struct process {
    uint32_t pid;
    struct region region[SLOTS];
    struct lock {
        uint32_t id;
        bool mapped;
    } lock[LOCKS]; /* MDLs, by number */
    unsigned locks;
};

/* RtlRandom of NT-93. */
struct nt_random {
    uint32_t seed, table[128];
};

struct nt {
    struct gen *gen;
    bool harsh;
    struct nt_random random;
    struct process process[PROCESSES]; /* by number */
    unsigned processes;
    struct process *current;
    uint32_t next_pid, next_mdl;
};

/* ---- choosing ---- */

static uint32_t uniform(uint32_t x) { return (uint32_t)((0x7FFFFFEDull * x + 0x7FFFFFC3u) % 0x7FFFFFFFu); }

static void random_init(struct nt_random *r, uint32_t seed) {
    uint32_t x = 1;
    r->seed = seed;
    for (unsigned i = 0; i < 128; i++) { r->table[i] = x = uniform(x); }
}

static uint32_t below(struct nt *g, uint32_t n) {
    struct nt_random *r = &g->random;
    uint32_t y = uniform(r->seed);
    r->seed = uniform(y);
    uint32_t *entry = &r->table[r->seed & 127], result = *entry;
    *entry = y;
    return (result >> 3) % n; /* the lowest bits repeat soon */
}

static bool one_in(struct nt *g, uint32_t n) { return below(g, n) == 0; }

/* Slots lie over several page tables, some of them next to each other. */
static uint32_t address(unsigned slot, unsigned page) {
    return 0x410000 + slot / 4 * 0x400000 + slot % 4 * 0x10000 + page * PAGE;
}

static uint32_t thread_of(uint32_t pid) { return pid * 100 + 1; }

static struct process *find(struct nt *g, uint32_t pid) {
    for (unsigned i = 0; i < g->processes; i++) {
        if (g->process[i].pid == pid) { return &g->process[i]; }
    }
    return NULL;
}

static uint32_t some_process(struct nt *g) { return g->process[below(g, g->processes)].pid; }

/* A slot of the current process that is free, or not; SLOTS if there is none. */
static unsigned some_slot(struct nt *g, bool used) {
    unsigned start = below(g, SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        unsigned slot = (start + i) % SLOTS;
        if ((g->current->region[slot].pages > 0) == used) { return slot; }
    }
    return SLOTS;
}

/* Which pages a range may hold: a bit for each enum page. */
#define EVERY_PAGE 0x1Fu
#define LOADS      (1u << READ_ONLY | 1u << READ_WRITE)
#define STORES     (1u << READ_WRITE)

/* A run of pages of a used slot; count 0 if the first one chosen is not among the allowed ones. */
static struct range some_range(struct nt *g, unsigned allowed) {
    struct range range = {some_slot(g, true), 0, 0};
    if (range.slot == SLOTS) { return range; }
    const struct region *region = &g->current->region[range.slot];
    range.first = below(g, region->pages);
    unsigned wanted = 1 + below(g, 6);
    while (range.count < wanted && range.first + range.count < region->pages &&
           (allowed >> region->page[range.first + range.count] & 1)) {
        range.count++;
    }
    return range;
}

static void set(struct nt *g, const struct range *range, enum page page) {
    memset(&g->current->region[range->slot].page[range->first], page, range->count);
}

static uint32_t base(const struct range *range) { return address(range->slot, range->first); }
static uint32_t size(const struct range *range) { return range->count * PAGE; }

static enum page some_protection(struct nt *g, const char **word, bool view) {
    switch (below(g, view || !g->harsh ? 5 : 7)) {
    case 0: return *word = "r", READ_ONLY;
    case 1: return *word = "xr", READ_ONLY;
    case 5: return *word = "na", NO_ACCESS;
    case 6: return *word = "rw+g", GUARD;
    default: return *word = "rw", READ_WRITE;
    }
}

/* ---- memory ---- */

static void allocate(struct nt *g) {
    unsigned slot = some_slot(g, false);
    if (slot == SLOTS) { return; }
    const char *word;
    enum page page = some_protection(g, &word, false);
    unsigned count = 1 + below(g, REGION_PAGES);
    bool commit = !one_in(g, 4);
    gen_line(g->gen, "alloc %x %x %s %s", address(slot, 0), count * PAGE, commit ? "rc" : "r", word);
    struct region *region = &g->current->region[slot];
    *region = (struct region){.pages = count};
    memset(region->page, commit ? page : RESERVED, count);
}

static void commit(struct nt *g) {
    struct range range = some_range(g, 1u << RESERVED);
    if (range.count == 0) { return; }
    const char *word;
    set(g, &range, some_protection(g, &word, false));
    gen_line(g->gen, "alloc %x %x c %s", base(&range), size(&range), word);
}

static void decommit(struct nt *g) {
    struct range range = some_range(g, EVERY_PAGE);
    if (range.count == 0 || g->current->region[range.slot].section != 0) { return; }
    gen_line(g->gen, "free %x %x d", base(&range), size(&range));
    set(g, &range, RESERVED);
}

static void release(struct nt *g) {
    unsigned slot = some_slot(g, true);
    if (slot == SLOTS) { return; }
    struct region *region = &g->current->region[slot];
    if (region->section != 0) {
        gen_line(g->gen, "unmap %x", address(slot, 0));
    } else {
        gen_line(g->gen, "free %x 0 r", address(slot, 0));
    }
    region->pages = 0;
}

static void map(struct nt *g) {
    unsigned slot = some_slot(g, false);
    if (slot == SLOTS) { return; }
    struct region *region = &g->current->region[slot];
    *region = (struct region){.section = 1 + below(g, SECTIONS)};
    region->copies = one_in(g, 3);
    region->pages = 1 + below(g, SECTION_PAGES);
    memset(region->page, READ_WRITE, region->pages);
    gen_line(g->gen, "map %u %x %x 0 %s", region->section, address(slot, 0), region->pages * PAGE,
             region->copies ? "wc" : "rw share");
}

static void protect(struct nt *g) {
    struct range range = some_range(g, EVERY_PAGE & ~(1u << RESERVED));
    if (range.count == 0) { return; }
    const struct region *region = &g->current->region[range.slot];
    const char *word;
    enum page page = some_protection(g, &word, region->section != 0);
    if (region->copies && page == READ_WRITE) { word = "wc"; }
    gen_line(g->gen, "prot %x %x %s", base(&range), size(&range), word);
    set(g, &range, page);
}

static const char *wrong(enum page page, bool store) {
    switch (page) {
    case GUARD: return "80000001";
    case READ_ONLY: return store ? "c0000005" : NULL;
    case READ_WRITE: return NULL;
    default: return "c0000005";
    }
}

static void access(struct nt *g) {
    static const char *const words[] = {"r", "kr", "w", "kw", "m"};
    unsigned slot = some_slot(g, true);
    if (slot == SLOTS) { return; }
    struct region *region = &g->current->region[slot];
    unsigned n = below(g, region->pages), kind = below(g, 5);
    bool store = kind >= 2;
    const char *exception = wrong(region->page[n], store);
    if (exception && !g->harsh) { return; }
    /* a kernel's store to a page that is read only does not fault on NT4 */
    const char *word = exception ? store ? "w" : "r" : words[kind];
    unsigned bytes = 1u << below(g, 4); /* chosen before the offset: a seed stays what it was */
    gen_line(g->gen, "%s %x %u", word, address(slot, n) + below(g, PAGE / 8) * 8, bytes);
    if (exception) { gen_note(g->gen, "expect exc=%s", exception); }
    if (region->page[n] == GUARD) { region->page[n] = READ_WRITE; }
}

static void sweep(struct nt *g) {
    bool store = one_in(g, 2);
    struct range range = some_range(g, store ? STORES : LOADS);
    if (range.count == 0) { return; }
    gen_line(g->gen, "%s %x %x", store ? "w" : "r", base(&range), size(&range));
}

static void flush(struct nt *g) {
    unsigned slot = some_slot(g, true);
    if (slot == SLOTS || g->current->region[slot].section <= SECTIONS / 2) { return; }
    gen_line(g->gen, "flush %x %x", address(slot, 0), g->current->region[slot].pages * PAGE);
}

/* ---- processes ---- */

static void trim(struct nt *g) {
    uint32_t pid = some_process(g);
    if (!g->harsh && pid > FIRST_PROCESSES) { return; } /* its fork may still wait */
    if (one_in(g, 3)) {
        gen_line(g->gen, "trim %u all%s", pid, one_in(g, 2) ? " force" : "");
    } else {
        unsigned force = one_in(g, 2);
        gen_line(g->gen, "trim %u %u%s", pid, 1 + below(g, 20), force ? " force" : "");
    }
}

static void run_thread(struct nt *g) {
    static const char *const names[] = {"zero", "mpw", "mpw", "mapw", "apc", "deref"};
    gen_line(g->gen, "run %s", names[below(g, 6)]);
}

static void switch_to(struct nt *g, uint32_t pid) {
    g->current = find(g, pid);
    gen_line(g->gen, "x 0 %u", thread_of(pid));
}

static void fork(struct nt *g) {
    if (g->processes >= PROCESSES) { return; }
    uint32_t child = g->next_pid++;
    gen_line(g->gen, "fork %u %u %u", child, g->current->pid, thread_of(child));
    struct process *p = &g->process[g->processes++];
    *p = *g->current;
    p->pid = child;
    p->locks = 0;
}

static void unlock(struct nt *g) {
    struct process *p = g->current;
    if (p->locks == 0) { return; }
    unsigned n = below(g, p->locks);
    uint32_t id = p->lock[n].id;
    if (p->lock[n].mapped && one_in(g, 2)) { gen_line(g->gen, "mdlunmap %u", id); }
    gen_line(g->gen, "mdl- %u", id);
    memmove(&p->lock[n], &p->lock[n + 1], (--p->locks - n) * sizeof *p->lock);
}

static void lock(struct nt *g) {
    struct process *p = g->current;
    /* a fork that failed leaves its child's events to others: they must not lock pages of a child that ends */
    if (p->locks >= LOCKS || (!g->harsh && p->pid > FIRST_PROCESSES)) { return; }
    bool store = one_in(g, 2);
    struct range range = some_range(g, store ? STORES : LOADS);
    if (range.count == 0) { return; }
    uint32_t id = g->next_mdl++;
    gen_line(g->gen, "mdl+ %u %x %x %s", id, base(&range), size(&range), store ? "w" : "r");
    bool mapped = one_in(g, 2);
    p->lock[p->locks++] = (struct lock){id, mapped};
    if (mapped) { gen_line(g->gen, "mdlmap %u 0", id); }
}

static void end_process(struct nt *g) {
    uint32_t pid = some_process(g);
    if (pid <= FIRST_PROCESSES) { return; }
    /* a thread that waits has its later events still before it: it ends the process itself */
    if (!g->harsh || find(g, pid)->locks > 0) { switch_to(g, pid); }
    if (g->current->pid == pid) {
        while (g->current->locks > 0) { unlock(g); }
    }
    if (g->harsh && g->current->pid == pid && one_in(g, 2)) { switch_to(g, 1); }
    gen_line(g->gen, "proc- %u", pid);
    uint32_t current = g->current->pid;
    struct process *p = find(g, pid);
    memmove(p, p + 1, (size_t)(&g->process[--g->processes] - p) * sizeof *p);
    if (current == pid) {
        switch_to(g, 1);
    } else {
        g->current = find(g, current);
    }
}

/* ---- the program ---- */

static void begin(struct nt *g) {
    gen_line(g->gen, "pagefile 4000000 8000000");
    for (uint32_t pid = 1; pid <= FIRST_PROCESSES; pid++) {
        gen_line(g->gen, "proc+ %u 0 \"P%u\"", pid, pid);
        gen_line(g->gen, "thr+ %u %u", thread_of(pid), pid);
        g->process[g->processes++].pid = pid;
    }
    switch_to(g, 1);
    for (unsigned sid = 1; sid <= SECTIONS; sid++) {
        if (sid <= SECTIONS / 2) {
            gen_line(g->gen, "sec+ %u page %x \"%u\"", sid, SECTION_PAGES * PAGE, sid);
        } else {
            gen_line(g->gen, "sec+ %u data %x \"/file%u\"", sid, SECTION_PAGES * PAGE, sid);
        }
    }
}

static void operation(struct nt *g) {
    static const struct {
        uint32_t below; /* of a hundred */
        void (*make)(struct nt *g);
    } operations[] = {{40, access},      {48, sweep},   {55, allocate}, {58, commit},     {61, decommit}, {64, release},
                      {68, map},         {73, protect}, {79, trim},     {84, run_thread}, {88, NULL},     {90, fork},
                      {91, end_process}, {94, lock},    {97, unlock},   {98, flush}};
    uint32_t choice = below(g, 100);
    for (unsigned i = 0; i < sizeof operations / sizeof *operations; i++) {
        if (choice >= operations[i].below) { continue; }
        if (operations[i].make) {
            operations[i].make(g);
        } else {
            switch_to(g, some_process(g));
        }
        return;
    }
    if (!g->harsh) {
        sweep(g);
    } else if (choice < 99) {
        gen_line(g->gen, "drain %u", 300 + below(g, 200));
    } else {
        gen_line(g->gen, "undrain %u", 1 + below(g, 200));
        gen_note(g->gen, "expect status=*");
    }
}

void gen_nt(struct gen *gen) {
    struct nt g = {.gen = gen, .harsh = !gen->config->mild, .next_pid = FIRST_PROCESSES + 1, .next_mdl = 1};
    random_init(&g.random, (uint32_t)gen->config->seed);
    begin(&g);
    for (uint64_t n = 0; !gen_done(gen); n++) {
        if (n % ROUND == 0) { gen_note(gen, "# round %llu", (unsigned long long)(n / ROUND)); }
        operation(&g);
    }
}
