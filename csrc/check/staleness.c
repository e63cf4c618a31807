/* Check 3, staleness. A translation is compared with a walk of memory once; while no table entry changes, the same hit
 * needs no second walk. A walk of the MMU is such a hit, too, where it may begin from a PDE that it has cached. Table
 * frames that any walk here went through are watched: a store that changes more than A or a growing D there makes all
 * remembered walks invalid, and is kept as the entry's last change, for the report. */
#include "staleness.h"

#include "lockstep.h"
#include "ntmmu/address_space.h"
#include "peek.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_BIT  0x02 /* this watcher's bit in physmem.watch */
#define CACHE_SIZE 4096u
#define ENTRIES    1024u

#define TABLE_ADDRESS 0x000FFFFFFFFFF000ull

enum { RIGHT_WRITE = 1, RIGHT_USER = 2, RIGHT_DIRTY = 4 };

/* A page that was walked: what memory granted. */
struct walked {
    uint64_t cr3;
    vpn_t vpn;
    pfn_t frame;
    uint32_t generation; /* valid while equal to the checker's */
    uint8_t rights;
};

struct change {
    uint64_t event; /* meaningless while old = new: never changed since watched */
    uint32_t old, new;
};

/* A frame that a walk went through. It may become something else than a table: after many stores without a walk through
 * it, it is no longer watched until the next walk. */
#define STORES_WITHOUT_WALK 4096u
struct table {
    unsigned stores;
    struct change change[ENTRIES];
};

struct staleness {
    struct machine *machine;
    struct physmem *mem;
    const struct mmu_ops *ops;
    struct mmu *mmu;
    struct event_log *log;
    struct table **tables; /* by frame, NULL: never walked through */
    pfn_t frames;
    uint32_t generation;
    bool caches_pdes; /* the CPU has paging-structure caches, or PDEs in its second level */
    struct walked cache[CACHE_SIZE];
    void *next_watcher;
    void (*next_on_store)(void *watcher, pa_t pa, unsigned bytes, const void *data);
    bool failed;
    struct log_record record; /* of the first stale hit */
    struct table_path path;
    uint64_t cr3;
    uint8_t used, granted;
};

/* ---- watching ---- */

/* Nothing a TLB entry made before would get wrong: A changed, or D was set. */
static bool is_harmless(uint32_t old, uint32_t new) {
    uint32_t difference = old ^ new;
    return (difference & ~(uint32_t)(PTE_ACCESSED | PTE_DIRTY)) == 0 && !(difference & old & PTE_DIRTY);
}

static void entry_stored(struct staleness *s, pa_t pa, uint32_t new) {
    uint32_t old = physmem_read32(s->mem, pa);
    if (old == new || is_harmless(old, new)) { return; }
    struct table *table = s->tables[pa >> PAGE_SHIFT];
    if (!table) { return; } /* of the frame behind: no walk went through it */
    table->change[(pa & PAGE_MASK) >> 2] = (struct change){.event = s->log->event, .old = old, .new = new};
    if (++table->stores > STORES_WITHOUT_WALK) { s->mem->watch[pa >> PAGE_SHIFT] &= (uint8_t)~WATCH_BIT; }
    if (++s->generation == 0) {
        memset(s->cache, 0, sizeof s->cache);
        s->generation = 1;
    }
}

static void on_store(void *ctx, pa_t pa, unsigned bytes, const void *data) {
    struct staleness *s = ctx;
    if (s->mem->watch[pa >> PAGE_SHIFT] & WATCH_BIT) {
        pa_t end = pa + bytes;
        for (pa_t at = pa & ~(pa_t)3; at < end; at += 4) {
            uint32_t word = physmem_read32(s->mem, at);
            pa_t first = at < pa ? pa : at, last = at + 4 < end ? at + 4 : end;
            memcpy((uint8_t *)&word + (first - at), (const uint8_t *)data + (first - pa), last - first);
            entry_stored(s, at, word);
        }
    }
    if (s->next_on_store && (s->mem->watch[pa >> PAGE_SHIFT] & ~WATCH_BIT)) {
        s->next_on_store(s->next_watcher, pa, bytes, data);
    }
}

static void watch_table(struct staleness *s, pa_t entry) {
    pfn_t frame = entry >> PAGE_SHIFT;
    if (frame >= s->frames) { return; }
    if (!s->tables[frame]) { s->tables[frame] = check_alloc(sizeof **s->tables); }
    s->tables[frame]->stores = 0;
    s->mem->watch[frame] |= WATCH_BIT;
}

/* ---- comparing ---- */

static uint8_t granted_rights(const struct table_path *path) {
    return (uint8_t)((path->writable ? RIGHT_WRITE : 0) | (path->user ? RIGHT_USER : 0) |
                     (path->dirty ? RIGHT_DIRTY : 0));
}

static struct table_path walk(struct staleness *s, uint64_t cr3, va_t va) {
    struct table_path path = table_walk(s->mem, cr3, s->ops->read_control(s->mmu, MMU_CR4), va);
    watch_table(s, path.pde_pa);
    if (path.pte_pa) { watch_table(s, path.pte_pa); }
    return path;
}

/* What an access must have been granted. A write through a TLB entry also relies on its D. */
static uint8_t used_rights(const struct staleness *s, const struct log_record *r) {
    unsigned type = r->e & 0xF, mode = r->e >> 4 & 0xF;
    uint8_t used = mode == MMU_USER ? RIGHT_USER : 0;
    if (mmu_writes((enum mmu_type)type)) {
        used |= RIGHT_DIRTY;
        if (mode == MMU_USER || (s->ops->read_control(s->mmu, MMU_CR0) & CR0_WP)) { used |= RIGHT_WRITE; }
    }
    return used;
}

/* System PTEs and nonpaged pool expansion, NT-16, NT-17. */
static bool is_released_lazily(va_t va, const struct table_path *path) {
    return va >= MM_NONPAGED_SYSTEM_START && va < MM_CRASH_DUMP_START && !path->present;
}

/* Where a global entry may come from too: the kernel half of each directory is a copy, and what the system's holds now
 * may not be copied yet (NT-20), but a global entry outlives the switch from a process that has it. */
static struct table_path walk_system(struct staleness *s, va_t va) {
    uint64_t directory = machine_os_ops(s->machine)->directory(machine_os(s->machine), 0);
    struct table_path path = {0};
    if (directory) { path = walk(s, directory, va); }
    path.present = path.present && path.global;
    return path;
}

static void stale_hit(struct staleness *s, const struct log_record *r, uint64_t cr3, uint8_t used) {
    struct table_path path = walk(s, cr3, r->a);
    uint8_t granted = granted_rights(&path);
    bool same = path.present && path.pa == r->b;
    if ((same && (used & ~granted) == 0) || is_released_lazily(r->a, &path)) { return; }
    struct table_path system = walk_system(s, r->a);
    if (system.present && system.pa == r->b && (used & ~granted_rights(&system)) == 0) { return; }
    s->failed = true;
    s->record = *r;
    s->path = path;
    s->cr3 = cr3;
    s->used = used;
    s->granted = granted;
}

/* Remembers a page as memory has it now. */
static void remember(struct staleness *s, struct walked *slot, uint64_t cr3, va_t va) {
    struct table_path path = walk(s, cr3, va);
    *slot = (struct walked){.cr3 = cr3,
                            .vpn = va >> PAGE_SHIFT,
                            .frame = path.pa >> PAGE_SHIFT,
                            .generation = path.present ? s->generation : 0,
                            .rights = granted_rights(&path)};
}

static void receive(void *ctx, const struct log_record *r) {
    struct staleness *s = ctx;
    unsigned hit = r->e >> 16 & 0xFF;
    if (hit == MMU_HIT_OFF || s->failed) { return; }
    uint64_t cr3 = s->ops->read_control(s->mmu, MMU_CR3);
    vpn_t vpn = r->a >> PAGE_SHIFT;
    struct walked *slot = &s->cache[(vpn ^ vpn >> 10 ^ cr3 >> PAGE_SHIFT) % CACHE_SIZE];
    bool walked = hit == MMU_HIT_WALK || hit == MMU_HIT_DIRTY;
    if (walked && !s->caches_pdes) { /* just now: watch the tables, so that a later change is seen */
        remember(s, slot, cr3, r->a);
        return;
    }
    uint8_t used = used_rights(s, r);
    if (slot->generation == s->generation && slot->vpn == vpn && slot->cr3 == cr3 &&
        slot->frame == r->b >> PAGE_SHIFT && (used & ~slot->rights) == 0) {
        return;
    }
    stale_hit(s, r, cr3, used);
    if (!s->failed) { remember(s, slot, cr3, r->a); }
}

/* ---- life ---- */

static bool caches_pdes(const struct mmu_preset *preset) {
    bool found = false;
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        const struct tlb_geometry *array = &preset->array[i];
        found = found || (array->ways && (i >= ARRAY_PSC_PDE || (array->classes >> TLB_PDE & 1)));
    }
    return found;
}

struct staleness *staleness_create(struct machine *m) {
    struct staleness *s = check_alloc(sizeof *s);
    s->machine = m;
    s->mem = machine_memory(m);
    s->ops = machine_mmu_ops(m);
    s->mmu = machine_mmu(m);
    s->log = machine_log(m);
    s->frames = s->mem->size >> PAGE_SHIFT;
    s->tables = check_alloc(s->frames * sizeof *s->tables);
    s->generation = 1;
    s->caches_pdes = caches_pdes(machine_preset(m));
    s->next_watcher = s->mem->watcher;
    s->next_on_store = s->mem->on_store;
    if (log_subscribe(s->log, LOG_BIT(LOG_ACCESS), receive, s)) {
        free(s->tables);
        free(s);
        return NULL;
    }
    s->mem->watcher = s;
    s->mem->on_store = on_store;
    return s;
}

void staleness_destroy(struct staleness *s) {
    if (!s) { return; }
    if (s->mem->watcher == s) {
        s->mem->watcher = s->next_watcher;
        s->mem->on_store = s->next_on_store;
    }
    for (pfn_t f = 0; f < s->frames; f++) {
        if (!s->tables[f]) { continue; }
        s->mem->watch[f] &= (uint8_t)~WATCH_BIT;
        free(s->tables[f]);
    }
    free(s->tables);
    free(s);
}

/* ---- reports ---- */

static void report_change(struct staleness *s, pa_t entry, va_t entry_va, struct report *report) {
    pfn_t frame = entry >> PAGE_SHIFT;
    if (entry == 0 || frame >= s->frames || !s->tables[frame]) { return; }
    const struct change *c = &s->tables[frame]->change[(entry & PAGE_MASK) >> 2];
    if (c->old == c->new) { return; }
    report_add(report,
               "  its flush is missing: event %" PRIu64 " stored %08x over %08x in the entry at %08" PRIx64
               " (physical %08" PRIx64 ")\n",
               c->event, c->new, c->old, entry_va, entry);
}

static void report_path(struct staleness *s, va_t va, const struct table_path *path, struct report *report) {
    report_table_path(report, "  ", s->machine, va);
    report_change(s, path->pde_pa, MiGetPdeAddress(va), report);
    report_change(s, path->pte_pa, MiGetPteAddress(va), report);
}

static void report_reason(struct report *report, const struct table_path *path, pa_t pa, uint8_t missing) {
    if (!path->present) {
        report_add(report, "  memory maps nothing there any more\n");
    } else if (path->pa != pa) {
        report_add(report, "  the TLB gave %08" PRIx64 ", memory gives %08" PRIx64 "\n", pa, path->pa);
    } else {
        report_add(report, "  memory no longer grants%s%s%s\n", missing & RIGHT_WRITE ? " writing" : "",
                   missing & RIGHT_USER ? " user access" : "",
                   missing == RIGHT_DIRTY ? " a write without setting D (D was cleared)" : "");
    }
}

bool staleness_event(struct staleness *s, const struct event *event, struct report *report) {
    if (!s->failed) { return true; }
    report_event(report, "staleness: ", event);
    report_record(report, "  ", &s->record);
    report_reason(report, &s->path, s->record.b, s->used & ~s->granted);
    report_path(s, s->record.a, &s->path, report);
    return false;
}

/* ---- the TLBs' whole contents ---- */

static bool is_of_pde(const struct mmu_tlb_entry *e) { return e->array >= ARRAY_PSC_PDE || e->tlb_class == TLB_PDE; }

/* The table that memory's PDE gives, and the rights down to it. */
static bool pde_allowed(const struct mmu_tlb_entry *e, pte_t pde) {
    bool rights = (!e->writable || (pde & PTE_WRITE)) && (!e->user || (pde & PTE_OWNER));
    return (pde & PTE_VALID) && !(pde & PTE_LARGE) && (pde & TABLE_ADDRESS) == e->pa && rights;
}

static bool entry_allowed(const struct mmu_tlb_entry *e, const struct table_path *path, pa_t page) {
    if (is_of_pde(e)) { return pde_allowed(e, path->pde); }
    bool rights = (!e->writable || path->writable) && (!e->user || path->user) && (!e->dirty || path->dirty);
    return path->present && (path->pa & ~page) == (e->pa & ~page) && rights;
}

/* Lowest bits of an address in the entry's page. */
static pa_t page_bits(struct staleness *s, const struct mmu_tlb_entry *e) {
    if (e->tlb_class == TLB_4K) { return PAGE_MASK; }
    return s->ops->read_control(s->mmu, MMU_CR4) & CR4_PAE ? 0x1FFFFF : 0x3FFFFF;
}

static bool check_entry(struct staleness *s, const struct mmu_tlb_entry *e, struct report *report) {
    uint64_t cr3 = s->ops->read_control(s->mmu, MMU_CR3);
    pa_t page = page_bits(s, e);
    struct table_path path = walk(s, cr3, e->va);
    if (entry_allowed(e, &path, page) || is_released_lazily(e->va, &path)) { return true; }
    if (e->global || is_of_pde(e)) {
        struct table_path system = walk_system(s, e->va);
        if (entry_allowed(e, &system, page)) { return true; }
    }
    char array[PRESET_NAME_MAX];
    preset_array_name(machine_preset(s->machine), e->array, array);
    report_add(report,
               "audit I11: TLB entry %s set %u way %u: %08" PRIx64 " -> %08" PRIx64 "%s%s%s%s is not what memory "
               "allows (after event %" PRIu64 ")\n",
               array, e->set, e->way, e->va, e->pa, e->writable ? ", writable" : "", e->user ? ", user" : "",
               e->dirty ? ", dirty" : "", e->global ? ", global" : "", s->log->event);
    report_path(s, e->va, &path, report);
    return false;
}

bool staleness_entries(struct staleness *s, struct report *report) {
    if (!(s->ops->read_control(s->mmu, MMU_CR0) & CR0_PG)) { return true; }
    struct tlb_contents tlbs = peek_tlbs(s->machine);
    bool good = true;
    for (size_t i = 0; i < tlbs.count && good; i++) { good = check_entry(s, &tlbs.at[i], report); }
    free(tlbs.at);
    return good;
}
