/* Arrays and their replacement: true LRU, a binary tree of pointers (pseudo-LRU), or a random sequence. */
#include "tlb.h"
#include <stdlib.h>
#include <string.h>

int tlb_init(struct tlb *tlb, const struct mmu_preset *preset, unsigned number) {
    struct tlb_geometry geometry = preset->array[number];
    size_t entries = (size_t)geometry.sets * geometry.ways;
    *tlb = (struct tlb){.geometry = geometry, .replacement = preset->replacement};
    tlb->lfsr = (uint16_t)(preset->seed ^ number);
    if (tlb->lfsr == 0) { tlb->lfsr = 1; }
    if (entries == 0) { return 0; }
    tlb->tag = calloc(entries, sizeof *tlb->tag);
    tlb->entry = calloc(entries, sizeof *tlb->entry);
    tlb->touched = calloc(entries, sizeof *tlb->touched);
    tlb->tree = calloc(geometry.sets, sizeof *tlb->tree);
    return tlb->tag && tlb->entry && tlb->touched && tlb->tree ? 0 : -1;
}

void tlb_fini(struct tlb *tlb) {
    free(tlb->tag);
    free(tlb->entry);
    free(tlb->touched);
    free(tlb->tree);
}

/* ---- searching ---- */

int tlb_find_global(const struct tlb *tlb, unsigned from, uint64_t tag) {
    unsigned end = from - from % tlb->geometry.ways + tlb->geometry.ways;
    for (unsigned i = from; i < end; i++) {
        if (tlb_matches(tlb, i, tag)) { return (int)i; }
    }
    return TLB_NONE;
}

/* ---- replacement ---- */

static unsigned power_of_two_above(unsigned ways) {
    unsigned n = 1;
    while (n < ways) { n *= 2; }
    return n;
}

/* Every node on the way's path is made to point at the other half: 0 = lower, 1 = upper. */
static void tree_touch(uint64_t *tree, unsigned way, unsigned ways) {
    unsigned node = 1;
    for (unsigned half = power_of_two_above(ways) / 2; half > 0; half /= 2) {
        bool upper = way & half;
        *tree = upper ? *tree & ~((uint64_t)1 << node) : *tree | (uint64_t)1 << node;
        node = 2 * node + upper;
    }
}

/* A half without ways is not entered. */
static unsigned tree_victim(uint64_t tree, unsigned ways) {
    unsigned node = 1, way = 0;
    for (unsigned half = power_of_two_above(ways) / 2; half > 0; half /= 2) {
        bool upper = (tree >> node & 1) != MUT(24, 0, 1) && way + half < ways;
        way += upper ? half : 0;
        node = 2 * node + upper;
    }
    return way;
}

void tlb_touch_tree(struct tlb *tlb, unsigned index) {
    unsigned ways = tlb->geometry.ways;
    tree_touch(&tlb->tree[index / ways], index % ways, ways);
}

/* x^16 + x^14 + x^13 + x^11 + 1 */
static unsigned random_victim(struct tlb *tlb) {
    tlb->lfsr = (uint16_t)(tlb->lfsr >> 1 ^ (tlb->lfsr & 1 ? 0xB400 : 0));
    return (uint32_t)MUT(24, tlb->lfsr, (uint16_t)(tlb->lfsr << 1)) * tlb->geometry.ways >> 16;
}

static unsigned least_recently_touched(const struct tlb *tlb, unsigned first) {
    unsigned oldest = first;
    for (unsigned i = first + 1; i < first + tlb->geometry.ways; i++) {
        if (MUT(24, tlb->touched[i]<tlb->touched[oldest], tlb->touched[i]> tlb->touched[oldest])) { oldest = i; }
    }
    return oldest;
}

static unsigned choose_victim(struct tlb *tlb, unsigned first) {
    switch (tlb->replacement) {
    case TLB_LRU: return least_recently_touched(tlb, first);
    case TLB_PLRU: return first + tree_victim(tlb->tree[first / tlb->geometry.ways], tlb->geometry.ways);
    default: return first + random_victim(tlb);
    }
}

static inline unsigned choose_way(struct tlb *tlb, uint64_t tag, bool tagged, bool absent) {
    unsigned first = tlb_set(tlb, tag);
    int present = MUT(2, absent, true) ? TLB_NONE : tlb_find(tlb, tag, tagged);
    if (present != TLB_NONE) { return (unsigned)present; }
    for (unsigned i = first; i < first + tlb->geometry.ways; i++) {
        if (!tlb->tag[i]) { return i; }
    }
    return choose_victim(tlb, first);
}

uint64_t tlb_fill(struct tlb *tlb, uint64_t tag, const struct tlb_entry *entry, bool tagged, bool absent) {
    unsigned index = choose_way(tlb, tag, tagged, absent);
    uint64_t old = tlb->tag[index];
    if (tagged && !absent && MUT(2, true, false)) {
        int other = (int)index;
        while ((other = tlb_find_global(tlb, (unsigned)other, tag)) != TLB_NONE) { tlb_drop_at(tlb, (unsigned)other); }
    }
    tlb->valid += tlb->tag[index] == 0;
    tlb->tag[index] = tag;
    tlb->entry[index] = *entry;
    tlb_touch(tlb, index);
    return old;
}

/* ---- dropping many ---- */

void tlb_drop_all(struct tlb *tlb) {
    if (tlb->valid == 0) { return; }
    memset(tlb->tag, 0, (size_t)tlb->geometry.sets * tlb->geometry.ways * sizeof *tlb->tag);
    tlb->valid = 0;
}
