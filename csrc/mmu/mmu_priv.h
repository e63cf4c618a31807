/* The C MMU's state, and what its files call in each other. */
#ifndef MMU_PRIV_H
#define MMU_PRIV_H

#include "ahead.h"
#include "tlb.h"

struct mmu {
    struct mmu_config config;
    struct paging_controls controls;
    struct paging_mode mode; /* derived from them */
    uint64_t pdpte[PDPTES];  /* loaded by MOV CR3 and some writes of CR0 and CR4, SDM 4.4.1 */
    struct tlb array[MMU_ARRAYS];
    /* The array that takes a class, by side and level - 1; NULL: none does. */
    struct tlb *of[TLB_SIDES][2][TLB_CLASSES];
    /* The second level's arrays by side and probe: their k-th classes, TLB_CLASSES: the array has no more. */
    uint8_t probe_class[TLB_SIDES][2][TLB_CLASSES];
    unsigned probes[TLB_SIDES]; /* how many a look-up makes; 0: the side has no second level */
    bool plain;                 /* neither second level nor paging-structure caches, two sides in the first level */
    bool usual;                 /* and all of what usual.c says about modes and arrays */
    bool fragments;             /* an array may hold some */
    struct mmu_statistics statistics;
    struct mmu_shortcuts shortcuts; /* and .cycle, in which the last operation completed */
    uint16_t allowed[1 << 4];       /* what allowed_of found since the control registers changed; 0: not asked yet */
    struct mmu_ram ram;             /* see mmu_c_use_ram */
    struct walk_context context;    /* pointers into this structure */
    struct ahead ahead;
};

static inline enum tlb_side side_of(enum mmu_type type) { return type == MMU_FETCH ? TLB_INSTRUCTION : TLB_DATA; }

static inline unsigned array_number(const struct mmu *mmu, const struct tlb *tlb) {
    return (unsigned)(tlb - mmu->array);
}

/* An address without the bits that the mode does not translate. */
static inline va_t translated_bits(const struct mmu *mmu, va_t va) { return va & mmu->mode.format->page_number_mask; }

/* The tag that an entry of this PCID for the address has. */
static inline uint64_t tag_of(const struct mmu *mmu, unsigned tlb_class, va_t va) {
    unsigned shift = tlb_class == TLB_4K ? PAGE_SHIFT : mmu->mode.shift[tlb_class];
    return tlb_tag(va >> shift, tlb_class, mmu->mode.pcid);
}

/* The same of a paging-structure cache, of entries of a level. */
static inline uint64_t psc_tag(const struct mmu *mmu, unsigned level, va_t va) {
    unsigned shift = PAGE_SHIFT + (level - 1) * mmu->mode.format->index_bits;
    return tlb_tag(va >> shift, 0, mmu->mode.pcid);
}

/* ---- shortcut.c: what the first level would answer ---- */

void shortcuts_forget_all(struct mmu *mmu);
static inline void shortcuts_forget_key(struct mmu *mmu, enum tlb_side side, uint64_t page) {
    struct mmu_shortcut *s = &mmu->shortcuts.at[side][page % MMU_SHORTCUTS];
    if ((s->key & (MMU_SHORTCUT_EPOCH(1) - 1)) == page) { s->key = 0; }
}

/* Of a page: va as translated_bits gives it. A key holds the whole page number, of the sign-extended address. */
static inline void shortcuts_forget_page(struct mmu *mmu, enum tlb_side side, va_t va) {
    uint64_t page = (mmu->mode.kind == PAGING_4_LEVEL ? canonical(va) : va) >> PAGE_SHIFT;
    shortcuts_forget_key(mmu, side, page);
    if (mmu->config.preset.unified[0]) { shortcuts_forget_key(mmu, side ^ 1u, page); }
}

/* An entry with this tag is no longer what it was. A large one covers many pages, of which any may have a shortcut. */
static inline void shortcuts_forget_tag(struct mmu *mmu, enum tlb_side side, uint64_t tag) {
    if (tag == 0) { return; }
    if (tag_class(tag) == TLB_4K) {
        shortcuts_forget_page(mmu, side, tag_page(tag) << PAGE_SHIFT);
    } else {
        shortcuts_forget_all(mmu);
    }
}
/* Of an entry that just served a hit. va: as requested. */
void shortcuts_remember(struct mmu *mmu, enum tlb_side side, struct tlb *tlb, unsigned index, va_t va);

/* ---- invalidate.c ---- */

/* Addresses are translated_bits. */
void drop_address(struct mmu *mmu, va_t va);                  /* INVLPG */
void drop_after_fault(struct mmu *mmu, va_t va);              /* #PF */
void drop_side(struct mmu *mmu, enum tlb_side side, va_t va); /* first level alone; for plain MMUs, half a #PF */
void drop_everything(struct mmu *mmu);
void drop_not_global(struct mmu *mmu);                         /* MOV CR3 without PCIDE, INVPCID type 3 */
void drop_context(struct mmu *mmu, unsigned pcid);             /* MOV CR3 with PCIDE, INVPCID type 1 */
void drop_address_of(struct mmu *mmu, unsigned pcid, va_t va); /* INVPCID type 0 */

/* ---- controls.c ---- */

int mmu_c_write_control(struct mmu *mmu, enum mmu_control which, uint64_t value);
uint64_t mmu_c_read_control(const struct mmu *mmu, enum mmu_control which);
void mmu_c_invlpg(struct mmu *mmu, va_t va);
int mmu_c_invpcid(struct mmu *mmu, uint64_t type, uint64_t pcid, va_t va);

/* ---- translate.c ---- */

size_t mmu_c_translate(struct mmu *mmu, const struct mmu_request *requests, struct mmu_result *results, size_t count);
/* Ends a request that missed and whose first walk is to start again: it has come as far as *walk, and its table
 * accesses are in the result's table. */
void translate_restarted(struct mmu *mmu, const struct mmu_request *request, struct walk_result *walk,
                         unsigned table_accesses, struct mmu_result *result);

/* ---- usual.c ---- */

void find_whether_usual(struct mmu *mmu); /* after each change of the mode or of the RAM */
/* For an MMU that is usual. False: nothing is done. */
bool translate_usual(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result);

#endif
