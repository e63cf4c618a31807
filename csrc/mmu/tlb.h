/* One set-associative TLB array of one page size. Intel SDM volume 3, 4.10. An entry keeps raw rights, never a
 * decision: CR0.WP, CR4.SMEP, CR4.SMAP and EFLAGS.AC act on the next access, with no flush. */
#ifndef MMU_TLB_H
#define MMU_TLB_H

#include "rights.h"

struct tlb_entry {
    pa_t frame; /* physical address of the page */
    struct page_rights rights;
    bool dirty, global;
};

struct tlb {
    struct tlb_geometry geometry;
    unsigned page_shift;
    enum tlb_replacement replacement;
    /* Arrays of sets * ways, a set's ways side by side. */
    uint64_t *tag;  /* page number << 1 | 1; 0 is an invalid entry */
    unsigned valid; /* how many entries are */
    struct tlb_entry *entry;
    uint64_t *touched; /* LRU: when, by touches */
    uint64_t touches;
    uint64_t *tree; /* PLRU: one for each set; bit n = node n of a heap-ordered tree, root 1 */
};

#define TLB_NONE (-1)

int tlb_init(struct tlb *tlb, struct tlb_geometry geometry, unsigned page_shift, enum tlb_replacement replacement);
void tlb_fini(struct tlb *tlb);

static inline uint64_t tlb_tag(const struct tlb *tlb, va_t va) { return (va >> tlb->page_shift) << 1 | 1; }

/* Index of the first way of the set that va falls into. */
static inline unsigned tlb_set(const struct tlb *tlb, va_t va) {
    return ((unsigned)(va >> tlb->page_shift) & (tlb->geometry.sets - 1)) * tlb->geometry.ways;
}

/* Index of the entry that covers va, or TLB_NONE. Changes nothing. */
static inline int tlb_find(const struct tlb *tlb, va_t va) {
    if (tlb->valid == 0) { return TLB_NONE; }
    uint64_t tag = tlb_tag(tlb, va);
    unsigned first = tlb_set(tlb, va);
    const uint64_t *at = &tlb->tag[first];
    if (tlb->geometry.ways == 4) { /* the loop, unrolled for what most CPUs have */
        if (at[0] == tag) { return (int)first; }
        if (at[1] == tag) { return (int)first + 1; }
        if (at[2] == tag) { return (int)first + 2; }
        return at[3] == tag ? (int)first + 3 : TLB_NONE;
    }
    for (unsigned i = 0; i < tlb->geometry.ways; i++) {
        if (at[i] == tag) { return (int)(first + i); }
    }
    return TLB_NONE;
}

void tlb_touch_tree(struct tlb *tlb, unsigned index);

/* An access was served by the entry: it is the set's most recently used now. */
static inline void tlb_touch(struct tlb *tlb, unsigned index) {
    if (tlb->replacement == TLB_LRU) {
        tlb->touched[index] = ++tlb->touches;
    } else {
        tlb_touch_tree(tlb, index);
    }
}

/* Takes the way that holds the page already (absent: none does), else the lowest invalid way, else the replacement's
 * victim. Returns the tag that stood there. */
uint64_t tlb_fill(struct tlb *tlb, va_t va, const struct tlb_entry *entry, bool absent);

/* True: there was one. */
static inline bool tlb_drop(struct tlb *tlb, va_t va) {
    int index = tlb_find(tlb, va);
    if (index == TLB_NONE) { return false; }
    tlb->tag[index] = 0;
    tlb->valid--;
    return true;
}

void tlb_flush(struct tlb *tlb, bool keep_global);

#endif
