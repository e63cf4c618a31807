/* TLB arrays and their replacement: true LRU, or a binary tree of pointers (pseudo-LRU). */
#include "tlb.h"
#include <stdlib.h>
#include <string.h>

int tlb_init(struct tlb *tlb, struct tlb_geometry geometry, unsigned page_shift, enum tlb_replacement replacement) {
    size_t entries = (size_t)geometry.sets * geometry.ways;
    *tlb = (struct tlb){.geometry = geometry, .page_shift = page_shift, .replacement = replacement};
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

/* Every node on the way's path is made to point at the other half: 0 = lower, 1 = upper. */
static void tree_touch(uint64_t *tree, unsigned way, unsigned ways) {
    unsigned node = 1;
    for (unsigned half = ways / 2; half > 0; half /= 2) {
        bool upper = way & half;
        *tree = upper ? *tree & ~((uint64_t)1 << node) : *tree | (uint64_t)1 << node;
        node = 2 * node + upper;
    }
}

static unsigned tree_victim(uint64_t tree, unsigned ways) {
    unsigned node = 1;
    while (node < ways) { node = 2 * node + (tree >> node & 1); }
    return node - ways;
}

void tlb_touch_tree(struct tlb *tlb, unsigned index) {
    unsigned ways = tlb->geometry.ways;
    tree_touch(&tlb->tree[index / ways], index % ways, ways);
}

static unsigned least_recently_touched(const struct tlb *tlb, unsigned first) {
    unsigned oldest = first;
    for (unsigned i = first + 1; i < first + tlb->geometry.ways; i++) {
        if (tlb->touched[i] < tlb->touched[oldest]) { oldest = i; }
    }
    return oldest;
}

static inline unsigned choose_way(const struct tlb *tlb, va_t va, bool absent) {
    unsigned ways = tlb->geometry.ways, first = tlb_set(tlb, va);
    int present = absent ? TLB_NONE : tlb_find(tlb, va);
    if (present != TLB_NONE) { return (unsigned)present; }
    for (unsigned i = first; i < first + ways; i++) {
        if (!tlb->tag[i]) { return i; }
    }
    return tlb->replacement == TLB_LRU ? least_recently_touched(tlb, first)
                                       : first + tree_victim(tlb->tree[first / ways], ways);
}

uint64_t tlb_fill(struct tlb *tlb, va_t va, const struct tlb_entry *entry, bool absent) {
    unsigned index = choose_way(tlb, va, absent);
    uint64_t old = tlb->tag[index];
    tlb->valid += old == 0;
    tlb->tag[index] = tlb_tag(tlb, va);
    tlb->entry[index] = *entry;
    tlb_touch(tlb, index);
    return old;
}

void tlb_flush(struct tlb *tlb, bool keep_global) {
    if (tlb->valid == 0) { return; }
    unsigned entries = tlb->geometry.sets * tlb->geometry.ways;
    tlb->valid = 0;
    for (unsigned i = 0; i < entries; i++) {
        if (!keep_global || !tlb->entry[i].global) { tlb->tag[i] = 0; }
        tlb->valid += tlb->tag[i] != 0;
    }
}
