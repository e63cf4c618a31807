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
    uint64_t *tag; /* page number << 1 | 1; 0 is an invalid entry */
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
    uint64_t tag = tlb_tag(tlb, va);
    unsigned first = tlb_set(tlb, va);
    for (unsigned i = first; i < first + tlb->geometry.ways; i++) {
        if (tlb->tag[i] == tag) { return (int)i; }
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

/* Takes the way that holds the page already, else the lowest invalid way, else the replacement's victim. Returns the
 * tag that stood there. */
uint64_t tlb_fill(struct tlb *tlb, va_t va, struct tlb_entry entry);

bool tlb_drop(struct tlb *tlb, va_t va); /* true: there was one */
void tlb_flush(struct tlb *tlb, bool keep_global);

#endif
