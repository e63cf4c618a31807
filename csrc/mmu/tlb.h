/* One set-associative array: a TLB of any page sizes, or a paging-structure cache (Intel SDM volume 3, 4.10). An entry
 * keeps raw rights, never a decision: CR0.WP, CR4.SMEP, CR4.SMAP and EFLAGS.AC act on the next access, with no flush.
 */
#ifndef MMU_TLB_H
#define MMU_TLB_H

#include "rights.h"

struct tlb_entry {
    pa_t frame; /* physical address of the page, or of the table that a PDE or a paging-structure cache gives */
    struct page_rights rights;
    bool dirty, global, fragment;
    uint8_t memory; /* PAT << 2 | PCD << 1 | PWT */
};

struct tlb {
    struct tlb_geometry geometry;
    enum tlb_replacement replacement;
    uint16_t lfsr; /* random replacement */
    /* Arrays of sets * ways, a set's ways side by side. */
    uint64_t *tag;  /* tlb_tag; 0 is an invalid entry */
    unsigned valid; /* how many entries are */
    struct tlb_entry *entry;
    uint64_t *touched; /* LRU: when, by touches */
    uint64_t touches;
    uint64_t *tree; /* PLRU: one for each set; bit n = node n of a heap-ordered tree, root 1 */
};

#define TLB_NONE (-1)

/* number: enum mmu_array, which the random sequence depends on. 0, or -1: out of memory. */
int tlb_init(struct tlb *tlb, const struct mmu_preset *preset, unsigned number);
void tlb_fini(struct tlb *tlb);

/* A tag: bit 0 valid, 2:1 enum tlb_class, 38:3 page number, 51:40 PCID. */
#define TLB_CLASS_SHIFT 1
#define TLB_PAGE_SHIFT  3
#define TLB_PCID_SHIFT  40
#define TLB_PCID_MASK   ((uint64_t)0xFFF << TLB_PCID_SHIFT)

static inline uint64_t tlb_tag(vpn_t page, unsigned tlb_class, uint64_t pcid) {
    return pcid << TLB_PCID_SHIFT | page << TLB_PAGE_SHIFT | (uint64_t)tlb_class << TLB_CLASS_SHIFT | 1;
}
static inline unsigned tag_class(uint64_t tag) { return tag >> TLB_CLASS_SHIFT & 3; }
static inline vpn_t tag_page(uint64_t tag) { return (tag & ~TLB_PCID_MASK) >> TLB_PAGE_SHIFT; }
static inline unsigned tag_pcid(uint64_t tag) { return tag >> TLB_PCID_SHIFT & 0xFFF; }

/* Index of the first way of the set that a tag's page falls into. */
static inline unsigned tlb_set(const struct tlb *tlb, uint64_t tag) {
    return ((unsigned)(tag >> TLB_PAGE_SHIFT) & (tlb->geometry.sets - 1)) * tlb->geometry.ways;
}

static inline bool tlb_tags_equal(uint64_t held, uint64_t tag) {
    return held == tag || MUT(1, false, (held | 1) == tag) ||
           MUT(71, false, ((held ^ tag) & ~((uint64_t)7 << TLB_PAGE_SHIFT)) == 0);
}

/* Of this PCID, or global. */
static inline bool tlb_matches(const struct tlb *tlb, unsigned i, uint64_t tag) {
    if (((tlb->tag[i] ^ tag) & ~TLB_PCID_MASK) != 0) { return false; }
    return tlb->tag[i] == tag || tlb->entry[MUT(70, i, i - i % tlb->geometry.ways)].global ||
           MUT(34, false, tag_class(tag) == TLB_LARGE);
}

/* Index of the lowest way from index `from` on, up to the end of its set, that matches, or TLB_NONE. */
int tlb_find_global(const struct tlb *tlb, unsigned from, uint64_t tag);

/* Index of the lowest way that matches, or TLB_NONE. Changes nothing. tagged: CR4.PCIDE; without it all entries have
 * PCID 0, so that an equal tag is the only one that can match. */
static inline int tlb_find(const struct tlb *tlb, uint64_t tag, bool tagged) {
    if (tlb->valid == 0 && MUT(1, true, tlb->geometry.ways == 0)) { return TLB_NONE; }
    unsigned first = tlb_set(tlb, tag);
    if (tagged) { return tlb_find_global(tlb, first, tag); }
    const uint64_t *at = &tlb->tag[first];
    if (tlb->geometry.ways == 4) { /* the loop, unrolled for what most CPUs have */
        if (tlb_tags_equal(at[0], tag)) { return (int)first; }
        if (tlb_tags_equal(at[1], tag)) { return (int)first + 1; }
        if (tlb_tags_equal(at[2], tag)) { return (int)first + 2; }
        return tlb_tags_equal(at[3], tag) ? (int)first + 3 : TLB_NONE;
    }
    for (unsigned i = 0; i < tlb->geometry.ways; i++) {
        if (tlb_tags_equal(at[i], tag)) { return (int)(first + i); }
    }
    return TLB_NONE;
}

void tlb_touch_tree(struct tlb *tlb, unsigned index);

/* An access was served by the entry: it is the set's most recently used now. */
static inline void tlb_touch(struct tlb *tlb, unsigned index) {
    if (tlb->replacement == TLB_PLRU) {
        tlb_touch_tree(tlb, index);
    } else {
        tlb->touched[index] = ++tlb->touches;
    }
}

/* Takes the way that matches already (absent: none does), else the lowest invalid way, else the replacement's victim;
 * further ways that match are dropped. Returns the tag that stood there. */
uint64_t tlb_fill(struct tlb *tlb, uint64_t tag, const struct tlb_entry *entry, bool tagged, bool absent);

static inline void tlb_drop_at(struct tlb *tlb, unsigned index) {
    tlb->tag[index] = 0;
    tlb->valid--;
}

/* Drops every way that matches. True: there was one. */
static inline bool tlb_drop(struct tlb *tlb, uint64_t tag, bool tagged) {
    int index = tlb_find(tlb, tag, tagged);
    if (index == TLB_NONE || MUT(50, false, tlb->entry[index].global)) { return false; }
    tlb_drop_at(tlb, (unsigned)index);
    while (tagged && (index = tlb_find(tlb, tag, true)) != TLB_NONE) { tlb_drop_at(tlb, (unsigned)index); }
    return true;
}

void tlb_drop_all(struct tlb *tlb);

/* Every entry of which drops(), asked with its index and pcid, is true. */
__attribute__((always_inline)) static inline void
tlb_drop_if(struct tlb *tlb, bool (*drops)(const struct tlb *tlb, unsigned index, uint64_t pcid), uint64_t pcid) {
    if (tlb->valid == 0) { return; }
    unsigned entries = tlb->geometry.sets * tlb->geometry.ways;
    for (unsigned i = 0; i < entries; i++) {
        if (tlb->tag[i] && drops(tlb, i, pcid)) { tlb_drop_at(tlb, i); }
    }
}

#endif
