/* What an MMU may still remember: the values that table entries had, the directories that CR3 pointed to, and the
 * invalidations that came since. An MMU learns of tables only by reading them, so only entries that it has read (or
 * that the oracle itself looked at) are followed. */
#include "architecture.h"

#include <stdlib.h>
#include <string.h>

#define WATCH_BIT 0x04 /* this watcher's bit in physmem.watch */

/* ---- table entries ---- */

static struct table *table_of(const struct past *p, pa_t entry) {
    pfn_t frame = entry >> PAGE_SHIFT;
    return frame < p->frames ? p->tables[frame] : NULL;
}

static unsigned word_of(pa_t entry) { return (unsigned)(entry & PAGE_MASK) >> 2; }

static pte_t load(const struct past *p, pa_t entry) {
    pte_t value = 0;
    physmem_read(p->mem, entry, &value, p->bytes);
    return value;
}

void past_seen(struct past *p, pa_t entry) {
    pfn_t frame = entry >> PAGE_SHIFT;
    if (frame >= p->frames) { return; }
    struct table *t = p->tables[frame];
    if (!t) {
        t = p->tables[frame] = check_alloc(sizeof *t);
        t->frame = frame;
        t->next = p->all;
        p->all = t;
    }
    unsigned word = word_of(entry);
    uint64_t bit = (uint64_t)1 << word % 64;
    if (t->seen[word / 64] & bit) { return; }
    t->seen[word / 64] |= bit;
    t->seen_count++;
    t->idle = 0;
    if (!t->watched) {
        memset(t->stored, 0, sizeof t->stored);
        t->watched = true;
        p->mem->watch[frame] |= WATCH_BIT;
    }
}

pte_t past_read(struct past *p, pa_t entry) {
    past_seen(p, entry);
    return load(p, entry);
}

const struct version *past_versions(const struct past *p, pa_t entry) {
    const struct table *t = table_of(p, entry);
    return t ? t->old[word_of(entry)] : NULL;
}

struct stored past_stored(const struct past *p, pa_t entry) {
    const struct table *t = table_of(p, entry);
    return t ? t->stored[word_of(entry)] : (struct stored){0};
}

/* Each value once, with the first and last moments at which it stood there; without those that no cache can have any
 * more. */
static void keep_version(struct past *p, struct table *t, unsigned word, pte_t value, uint64_t now) {
    struct version *same = NULL;
    for (struct version **at = &t->old[word]; *at;) {
        struct version *v = *at;
        if (v->value == value) { same = v; }
        if (v->until < p->everything.time && v != same) {
            *at = v->next;
            free(v);
        } else {
            at = &v->next;
        }
    }
    if (!same) {
        same = check_alloc(sizeof *same);
        same->value = value;
        same->since = t->stored[word].time;
        same->next = t->old[word];
        t->old[word] = same;
    }
    same->until = p->clock;
    same->written = t->stored[word].event;
    same->replaced = now;
}

/* What was cached remains as good: bits A and D appeared. */
static bool only_marks(pte_t old, pte_t new) {
    return (old & ~new) == 0 && ((old ^ new) & ~(pte_t)(ENTRY_A | ENTRY_D)) == 0;
}

static void unwatch(struct past *p, struct table *t) {
    t->watched = false;
    p->mem->watch[t->frame] &= (uint8_t)~WATCH_BIT;
}

static void entry_stored(struct past *p, struct table *t, pa_t entry, pte_t new) {
    pte_t old = load(p, entry);
    if (old == new) { return; }
    unsigned word = word_of(entry);
    uint64_t bit = (uint64_t)1 << word % 64, now = past_stamp(p);
    if (!only_marks(old, new)) {
        if (t->seen[word / 64] & bit) {
            p->generation++;
            if ((old & ENTRY_P) && (old & ENTRY_A)) { keep_version(p, t, word, old, now); }
            t->seen[word / 64] &= ~bit;
            t->seen_count--;
        } else if (t->seen_count == 0 && ++t->idle > IDLE_STORES) {
            unwatch(p, t);
        }
        t->stored[word] = (struct stored){.time = p->clock, .event = now};
    }
}

static void on_store(void *ctx, pa_t pa, unsigned bytes, const void *data) {
    struct past *p = ctx;
    struct table *t = table_of(p, pa);
    if (t && (p->mem->watch[t->frame] & WATCH_BIT)) {
        pa_t end = pa + bytes;
        for (pa_t at = pa & ~(pa_t)(p->bytes - 1); at < end; at += p->bytes) {
            pte_t value = load(p, at);
            pa_t first = at < pa ? pa : at, last = at + p->bytes < end ? at + p->bytes : end;
            memcpy((uint8_t *)&value + (first - at), (const uint8_t *)data + (first - pa), last - first);
            entry_stored(p, t, at, value);
        }
    }
    if (p->next_on_store && (p->mem->watch[pa >> PAGE_SHIFT] & ~WATCH_BIT)) {
        p->next_on_store(p->next_watcher, pa, bytes, data);
    }
}

static void forget_table(struct past *p, struct table *t) {
    for (unsigned word = 0; word < TABLE_WORDS; word++) {
        while (t->old[word]) {
            struct version *v = t->old[word];
            t->old[word] = v->next;
            free(v);
        }
    }
    memset(t->seen, 0, sizeof t->seen);
    t->seen_count = 0;
    unwatch(p, t);
}

void past_forget(struct past *p, unsigned bytes) {
    p->bytes = bytes;
    for (struct table *t = p->all; t; t = t->next) { forget_table(p, t); }
}

/* ---- roots ---- */

static bool same_root(const struct root *a, const struct root *b) {
    return a->base == b->base && a->pcid == b->pcid && memcmp(a->pdpte, b->pdpte, sizeof a->pdpte) == 0;
}

static void forget_dead_roots(struct past *p) {
    size_t kept = 0;
    for (size_t i = 0; i < p->root_count; i++) {
        if (p->roots[i].until >= p->everything.time) { p->roots[kept++] = p->roots[i]; }
    }
    p->root_count = kept;
}

void past_set_root(struct past *p, pa_t base, uint32_t pcid, const uint64_t pdpte[4]) {
    struct root root = {.base = base, .pcid = pcid, .until = FOREVER};
    memcpy(root.pdpte, pdpte, sizeof root.pdpte);
    if (p->root_count > 0) { p->roots[p->current].until = p->clock; }
    for (p->current = 0; p->current < p->root_count; p->current++) {
        if (same_root(&p->roots[p->current], &root)) { break; }
    }
    if (p->current == p->root_count) {
        forget_dead_roots(p);
        if (p->root_count == p->root_capacity) {
            p->root_capacity = p->root_capacity ? p->root_capacity * 2 : 16;
            p->roots = check_grow(p->roots, p->root_capacity * sizeof *p->roots);
        }
        p->current = p->root_count++;
    }
    p->roots[p->current] = root;
}

/* ---- invalidations ---- */

static struct moment tick(struct past *p, enum drop_kind kind) {
    return (struct moment){.time = ++p->clock, .event = past_stamp(p), .kind = kind};
}

/* shift 0: the 4 KB that a #PF or INVPCID named, with the upper entries used for them. */
static uint64_t drop_key(va_t va, unsigned shift, uint32_t pcid) {
    return (va >> (shift ? shift : PAGE_SHIFT)) << 20 | (uint64_t)pcid << 6 | shift | (uint64_t)1 << 63;
}

static struct drop_record *find_drop(const struct past *p, uint64_t key) {
    size_t at = mix64(key) & (p->drop_capacity - 1);
    while (p->drops[at].key && p->drops[at].key != key) { at = (at + 1) & (p->drop_capacity - 1); }
    return &p->drops[at];
}

/* A later and wider invalidation has made it void. */
static bool is_void(const struct past *p, const struct drop_record *record) {
    uint32_t pcid = (uint32_t)(record->key >> 6) & (2 * PCIDS - 1);
    uint64_t time = record->moment.time;
    return time <= p->everything.time ||
           (pcid != PCID_GLOBAL && (time <= p->all_but_global.time || time <= p->tlb[pcid].time));
}

/* Without those; if many are left, with twice the room. */
static void grow_drops(struct past *p) {
    struct drop_record *old = p->drops;
    size_t count = p->drop_capacity;
    size_t left = 0;
    for (size_t i = 0; i < count; i++) { left += old[i].key && !is_void(p, &old[i]); }
    p->drop_capacity = count == 0 ? 256 : left * 4 > count ? count * 2 : count;
    p->drops = check_alloc(p->drop_capacity * sizeof *p->drops);
    p->drop_count = left;
    for (size_t i = 0; i < count; i++) {
        if (old[i].key && !is_void(p, &old[i])) { *find_drop(p, old[i].key) = old[i]; }
    }
    free(old);
}

static void drop_at(struct past *p, uint64_t key, struct moment moment) {
    if (p->drop_count * 2 >= p->drop_capacity) { grow_drops(p); }
    struct drop_record *record = find_drop(p, key);
    p->drop_count += record->key == 0;
    *record = (struct drop_record){.key = key, .moment = moment};
}

void past_drop_everything(struct past *p, enum drop_kind kind) { p->everything = tick(p, kind); }
void past_drop_all_but_global(struct past *p, enum drop_kind kind) { p->all_but_global = tick(p, kind); }

void past_drop_pcid(struct past *p, uint32_t pcid, enum drop_kind kind) { p->tlb[pcid] = p->psc[pcid] = tick(p, kind); }

static void drop_size(struct past *p, va_t va, unsigned shift, uint32_t pcid, bool global, struct moment moment) {
    drop_at(p, drop_key(va, shift, pcid), moment);
    if (global) { drop_at(p, drop_key(va, shift, PCID_GLOBAL), moment); }
}

static void drop_page(struct past *p, va_t va, uint32_t pcid, bool global, struct moment moment) {
    drop_size(p, va, PAGE_SHIFT, pcid, global, moment);
    drop_size(p, va, p->bytes == 4 ? 22 : 21, pcid, global, moment);
    if (p->bytes == 8) { drop_size(p, va, 30, pcid, global, moment); }
}

void past_drop_invlpg(struct past *p, va_t va, uint32_t pcid) {
    p->psc[pcid] = tick(p, DROP_INVLPG);
    drop_page(p, va, pcid, true, p->psc[pcid]);
}

void past_drop_invpcid(struct past *p, va_t va, uint32_t pcid) {
    struct moment moment = tick(p, DROP_INVPCID_ADDRESS);
    drop_page(p, va, pcid, false, moment);
    drop_at(p, drop_key(va, 0, pcid), moment); /* the upper entries used for it */
}

void past_drop_fault(struct past *p, va_t va, uint32_t pcid) {
    struct moment moment = tick(p, DROP_FAULT);
    drop_at(p, drop_key(va, 0, pcid), moment);
    drop_at(p, drop_key(va, 0, PCID_GLOBAL), moment);
}

static void latest(struct moment *moment, const struct moment *other) {
    if (other->time > moment->time) { *moment = *other; }
}

struct moment past_dropped(const struct past *p, va_t va, unsigned page_shift, uint32_t pcid) {
    struct moment moment = p->everything;
    if (pcid != PCID_GLOBAL) {
        latest(&moment, &p->all_but_global);
        latest(&moment, &p->tlb[pcid]);
    }
    latest(&moment, &find_drop(p, drop_key(va, page_shift, pcid))->moment);
    latest(&moment, &find_drop(p, drop_key(va, 0, pcid))->moment);
    return moment;
}

struct moment past_dropped_upper(const struct past *p, va_t va, uint32_t pcid) {
    struct moment moment = p->everything;
    latest(&moment, &p->all_but_global); /* it leaves global TLB entries alone, not these caches */
    latest(&moment, &p->psc[pcid]);
    latest(&moment, &find_drop(p, drop_key(va, 0, pcid))->moment);
    return moment;
}

/* ---- life ---- */

void past_create(struct past *p, struct physmem *mem, const struct event_log *log) {
    *p = (struct past){.mem = mem, .log = log, .bytes = 4, .frames = mem->size >> PAGE_SHIFT};
    p->tables = check_alloc(p->frames * sizeof *p->tables);
    p->tlb = check_alloc(PCIDS * sizeof *p->tlb);
    p->psc = check_alloc(PCIDS * sizeof *p->psc);
    grow_drops(p);
    past_set_root(p, 0, 0, (uint64_t[4]){0});
    p->next_watcher = mem->watcher;
    p->next_on_store = mem->on_store;
    mem->watcher = p;
    mem->on_store = on_store;
}

void past_destroy(struct past *p) {
    if (p->mem->watcher == p) {
        p->mem->watcher = p->next_watcher;
        p->mem->on_store = p->next_on_store;
    }
    while (p->all) {
        struct table *t = p->all;
        p->all = t->next;
        forget_table(p, t);
        free(t);
    }
    free(p->tables);
    free(p->tlb);
    free(p->psc);
    free(p->drops);
    free(p->roots);
}
