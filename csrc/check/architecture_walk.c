/* Every outcome that the SDM allows for an access (volume 3, 4.3 to 4.7, 4.10), written down from the SDM and sharing
 * nothing with the C MMU. At each level the entry is the one in memory, or one that may still be cached. */
#include "architecture.h"

#define ADDRESS_52 0x000FFFFFFFFFF000ull

enum paging paging_of(const struct controls *controls) {
    if (!(controls->cr0 & CR0_PG)) { return PAGING_OFF; }
    if (!(controls->cr4 & CR4_PAE)) { return PAGING_TWO_LEVEL; }
    return controls->efer & EFER_LME ? PAGING_FOUR_LEVEL : PAGING_PAE;
}

va_t paging_address(enum paging paging, va_t va) { return paging == PAGING_FOUR_LEVEL ? va : (uint32_t)va; }

bool paging_canonical(enum paging paging, va_t va) {
    return paging != PAGING_FOUR_LEVEL || (va_t)((int64_t)(va << 16) >> 16) == va;
}

uint32_t paging_pcid(const struct controls *controls) {
    return controls->cr4 & CR4_PCIDE ? (uint32_t)(controls->cr3 & CR3_PCID) : 0;
}

unsigned paging_large_shift(enum paging paging) { return paging == PAGING_TWO_LEVEL ? 22 : 21; }

/* ---- reserved bits, tables 4-4 to 4-19 ---- */

static uint64_t bits(unsigned high, unsigned low) {
    return high < low ? 0 : (((uint64_t)2 << high) - 1) & ~(((uint64_t)1 << low) - 1);
}

static uint64_t beyond_address(const struct architecture *a, unsigned top) {
    return bits(top, a->config.preset.physical_bits);
}

bool pdpte_is_reserved(const struct architecture *a, pte_t pdpte) {
    return (pdpte & ENTRY_P) && (pdpte & (bits(2, 1) | bits(8, 5) | beyond_address(a, 63)));
}

static bool is_large(const struct architecture *a, enum paging paging, unsigned level, pte_t entry) {
    if (level == 1 || !(entry & ENTRY_PS)) { return false; }
    return paging != PAGING_TWO_LEVEL || (a->controls.cr4 & CR4_PSE);
}

/* The bit that would be PAT. In 32-bit paging nothing is reserved without CR4.PSE (4.3). */
static bool is_pat_reserved(const struct architecture *a, enum paging paging, unsigned level, bool large, pte_t entry) {
    bool none = paging == PAGING_TWO_LEVEL && !(a->controls.cr4 & CR4_PSE);
    if (none || (a->config.preset.features & CPU_PAT)) { return false; }
    return (level == 1 && (entry & bits(7, 7))) || (large && (entry & bits(12, 12)));
}

static uint64_t reserved_two_level(const struct architecture *a, bool large) {
    if (!large) { return 0; }
    unsigned physical = a->config.preset.physical_bits < 40 ? a->config.preset.physical_bits : 40;
    return a->config.preset.features & CPU_PSE36 ? bits(21, physical - 19) : bits(21, 13);
}

/* Without what EFER.NXE decides. */
static bool is_reserved(const struct architecture *a, enum paging paging, unsigned level, pte_t entry) {
    bool large = is_large(a, paging, level, entry);
    if (is_pat_reserved(a, paging, level, large, entry)) { return true; }
    if (paging == PAGING_TWO_LEVEL) { return entry & reserved_two_level(a, large); }
    if (entry & beyond_address(a, paging == PAGING_PAE ? 62 : 51)) { return true; }
    if (!large) { return false; }
    if (level == 2) { return entry & bits(20, 13); }
    return level == 4 || !(a->config.preset.features & CPU_1G) || (entry & bits(29, 13));
}

/* ---- rights and error codes, 4.6 and 4.7 ---- */

bool paging_allows(const struct controls *c, bool nxe, const struct candidate *page, const struct mmu_request *r) {
    bool fetch = r->type == MMU_FETCH;
    if (fetch && nxe && page->execute_disable) { return false; }
    if (r->mode == MMU_USER) { return page->user && (page->writable || !mmu_writes(r->type)); }
    if (page->user && fetch && (c->cr4 & CR4_SMEP)) { return false; }
    if (page->user && !fetch && (c->cr4 & CR4_SMAP) && !(c->ac && r->mode == MMU_SUPERVISOR)) { return false; }
    return page->writable || !mmu_writes(r->type) || !(c->cr0 & CR0_WP);
}

static uint32_t error_code(const struct controls *c, const struct mmu_request *r, uint32_t cause) {
    bool tells_fetches = (c->cr4 & CR4_SMEP) || ((c->cr4 & CR4_PAE) && (c->efer & EFER_NXE));
    return cause | (mmu_writes(r->type) ? PF_WRITE : 0u) | (r->mode == MMU_USER ? PF_USER : 0u) |
           (r->type == MMU_FETCH && tells_fetches ? PF_FETCH : 0u);
}

/* ---- walking ---- */

struct walk {
    struct architecture *a;
    enum paging paging;
    bool past;
    bool nx_acts; /* bit 63 forbids fetches */
    va_t va;
    uint32_t pcid;
    candidate_fn visit;
    void *ctx;
    uint64_t upper_dropped, floor; /* versions replaced before floor are cached nowhere */
    const struct root *root;
    bool foreign; /* the root was another PCID's: only global TLB entries come from there */
    bool ended;   /* the root is not the current one: the topmost entry can only be a cached one */
    struct candidate c;
};

static struct moment dropped(const struct walk *w, unsigned shift, bool global) {
    return past_dropped(&w->a->past, w->va, shift, global ? PCID_GLOBAL : w->pcid);
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* The last entry has just been read: everything above it too, or cached in a paging-structure cache. */
static bool may_be_walked(const struct walk *w, uint64_t oldest) {
    if (w->c.step[w->c.steps - 1].version || w->foreign || (w->ended && w->c.steps == 1)) { return false; }
    return oldest >= w->upper_dropped;
}

static uint64_t since(const struct walk *w, const struct step *step) {
    return step->version ? step->version->since : past_stored(&w->a->past, step->entry).time;
}

/* A TLB entry was filled by a walk after the moment `tlb`, and after its leaf was stored. How old could the upper
 * entries be that the walk took from paging-structure caches? */
static uint64_t upper_limit(const struct walk *w, const struct step *leaf, struct moment tlb, unsigned shift,
                            bool global) {
    const struct past *past = &w->a->past;
    if (global && (w->a->controls.cr4 & CR4_PCIDE)) {
        return past->everything.time; /* it may have been another PCID's walk, from that PCID's caches */
    }
    if (tlb.time >= w->upper_dropped || since(w, leaf) >= w->upper_dropped) { return w->upper_dropped; }
    if (tlb.kind != DROP_INVPCID_ADDRESS || shift == PAGE_SHIFT) { return tlb.time; } /* dropped the caches, too */
    return larger(past->everything.time, larger(past->all_but_global.time, past->tlb[w->pcid].time));
}

/* All of it comes out of a TLB. */
static bool may_be_cached(const struct walk *w, uint64_t oldest, uint64_t leaf_until, unsigned shift) {
    const struct step *leaf = &w->c.step[w->c.steps - 1];
    bool global = (leaf->value & ENTRY_G) && (w->a->controls.cr4 & CR4_PGE);
    if (w->foreign && !global) { return false; }
    struct moment tlb = dropped(w, shift, global);
    return leaf_until >= tlb.time && oldest >= upper_limit(w, leaf, tlb, shift, global);
}

static bool fault(struct walk *w, uint32_t cause) {
    struct candidate c = w->c;
    c.vector = MMU_VECTOR_PF;
    c.error_code = error_code(&w->a->controls, w->a->request, cause);
    c.missing = 0;
    return w->visit(w->ctx, &c);
}

static pa_t leaf_address(const struct walk *w, pte_t leaf, unsigned shift) {
    pa_t offset = w->va & (((va_t)1 << shift) - 1);
    if (w->paging != PAGING_TWO_LEVEL) { return (leaf & ADDRESS_52 & ~(((pa_t)1 << shift) - 1)) | offset; }
    if (shift == PAGE_SHIFT) { return (leaf & 0xFFFFF000u) | offset; }
    pa_t high = w->a->config.preset.features & CPU_PSE36 ? leaf >> 13 & 0xFF : 0;
    return high << 32 | (leaf & 0xFFC00000u) | offset;
}

static bool leaf(struct walk *w, uint64_t oldest, uint64_t until, unsigned shift) {
    struct step *step = &w->c.step[w->c.steps - 1];
    if (w->past && !may_be_walked(w, oldest) && !may_be_cached(w, oldest, until, shift)) { return false; }
    step->leaf = true;
    w->c.reached = true;
    w->c.page_shift = (uint8_t)shift;
    w->c.dirty = step->value & ENTRY_D;
    bool stop;
    if (paging_allows(&w->a->controls, w->nx_acts, &w->c, w->a->request)) {
        pte_t needed = ENTRY_A | (mmu_writes(w->a->request->type) ? ENTRY_D : 0u);
        struct candidate c = w->c;
        c.vector = MMU_VECTOR_NONE;
        c.missing |= needed & ~step->value;
        c.pa = leaf_address(w, step->value, shift);
        stop = w->visit(w->ctx, &c);
    } else {
        stop = fault(w, PF_PRESENT);
    }
    step->leaf = false;
    w->c.reached = false;
    return stop;
}

static bool is_nx_reserved(const struct walk *w, pte_t entry) {
    return w->paging != PAGING_TWO_LEVEL && (entry & ENTRY_NX) && !(w->a->controls.efer & EFER_NXE);
}

static bool walk_level(struct walk *w, unsigned level, pa_t table, uint64_t oldest);

/* One value of one entry. until: how long it has been there, of what may be cached of it. */
static bool walk_value(struct walk *w, unsigned level, uint64_t oldest, uint64_t until) {
    struct step *step = &w->c.step[w->c.steps - 1];
    unsigned shift = PAGE_SHIFT + (level - 1) * (w->paging == PAGING_TWO_LEVEL ? 10 : 9);
    bool present = step->value & ENTRY_P;
    bool reserved = present && is_reserved(w->a, w->paging, level, step->value);
    bool nx_reserved = present && is_nx_reserved(w, step->value);
    if (!present || reserved || nx_reserved) { /* as it is, never cached */
        bool walked = !w->past || may_be_walked(w, oldest);
        if (walked && fault(w, present ? PF_PRESENT | PF_RESERVED : 0)) { return true; }
        /* a write to EFER drops nothing: bit 63 may not have been reserved when this was cached */
        if (!present || reserved || !w->past || !w->a->other_nxe) { return false; }
    }
    struct candidate before = w->c;
    w->c.writable = w->c.writable && (step->value & ENTRY_RW);
    w->c.user = w->c.user && (step->value & ENTRY_US);
    w->c.execute_disable = w->c.execute_disable || (w->paging != PAGING_TWO_LEVEL && (step->value & ENTRY_NX));
    bool stop;
    if (level == 1 || is_large(w->a, w->paging, level, step->value)) {
        stop = leaf(w, oldest, until, shift);
    } else {
        if (!(step->value & ENTRY_A)) { w->c.missing |= ENTRY_A; }
        pte_t address = w->paging == PAGING_TWO_LEVEL ? 0xFFFFF000u : ADDRESS_52;
        stop = walk_level(w, level - 1, step->value & address, smaller(oldest, until));
    }
    w->c = before;
    return stop;
}

static bool walk_level(struct walk *w, unsigned level, pa_t table, uint64_t oldest) {
    unsigned width = w->paging == PAGING_TWO_LEVEL ? 10 : 9;
    uint64_t index = w->va >> (PAGE_SHIFT + (level - 1) * width) & (((va_t)1 << width) - 1);
    struct past *past = &w->a->past;
    struct step *step = &w->c.step[w->c.steps++];
    uint64_t end = w->ended && w->c.steps == 1 ? w->root->until : FOREVER;
    *step = (struct step){.entry = table + index * past->bytes};
    step->value = past_read(past, step->entry);
    bool stop = walk_value(w, level, oldest, end);
    if (w->past) {
        for (const struct version *v = past_versions(past, step->entry); v && !stop; v = v->next) {
            if (v->until < w->floor) { continue; }
            step->value = v->value;
            step->version = v;
            stop = walk_value(w, level, oldest, smaller(v->until, end));
        }
    }
    w->c.steps--;
    return stop;
}

static bool walk_root(struct walk *w, const struct root *root) {
    w->root = root;
    w->ended = root->until != FOREVER;
    w->foreign = root->pcid != w->pcid;
    w->c = (struct candidate){.writable = true, .user = true};
    switch (w->paging) {
    case PAGING_TWO_LEVEL: return walk_level(w, 2, root->base, root->until);
    case PAGING_FOUR_LEVEL: return walk_level(w, 4, root->base, root->until);
    default: break;
    }
    pte_t pdpte = root->pdpte[w->va >> 30 & 3];
    if (!(pdpte & ENTRY_P)) { return !w->ended && fault(w, 0); } /* registers are not cached */
    return walk_level(w, 2, pdpte & ADDRESS_52, root->until);
}

static bool walk_roots(struct walk *w) {
    struct past *past = &w->a->past;
    if (walk_root(w, &past->roots[past->current])) { return true; }
    for (size_t i = 0; w->past && i < past->root_count; i++) {
        if (i != past->current && past->roots[i].until >= w->floor && walk_root(w, &past->roots[i])) { return true; }
    }
    return false;
}

bool walk_candidates(struct architecture *a, bool past, candidate_fn visit, void *ctx) {
    struct walk w = {.a = a,
                     .paging = paging_of(&a->controls),
                     .past = past,
                     .nx_acts = a->controls.efer & EFER_NXE,
                     .va = a->request->va,
                     .pcid = paging_pcid(&a->controls),
                     .visit = visit,
                     .ctx = ctx};
    if (past) {
        w.upper_dropped = past_dropped_upper(&a->past, w.va, w.pcid).time;
        w.floor =
            smaller(w.upper_dropped, smaller(dropped(&w, PAGE_SHIFT, false).time, dropped(&w, PAGE_SHIFT, true).time));
        if (a->controls.cr4 & CR4_PCIDE) { w.floor = smaller(w.floor, a->past.everything.time); }
    }
    if (walk_roots(&w)) { return true; }
    if (!past || !a->other_nxe) { return false; }
    w.nx_acts = !w.nx_acts; /* nothing is said about what a cached bit 63 does when NXE has changed */
    return walk_roots(&w);
}

/* ---- control registers ---- */

static bool lacks(const struct architecture *a, uint64_t value, uint64_t bit, enum cpu_feature feature) {
    return (value & bit) && !(a->config.preset.features & feature);
}

static bool cr0_faults(const struct controls *c, uint64_t value) {
    bool sets = (value & CR0_PG) && !(c->cr0 & CR0_PG), clears = !(value & CR0_PG) && (c->cr0 & CR0_PG);
    if ((value & CR0_PG) && !(value & CR0_PE)) { return true; }
    return (sets && (c->efer & EFER_LME) && !(c->cr4 & CR4_PAE)) || (clears && (c->cr4 & CR4_PCIDE));
}

static bool cr3_faults(const struct architecture *a, uint64_t value) {
    if (paging_of(&a->controls) != PAGING_FOUR_LEVEL) { return false; }
    if (value & beyond_address(a, 62)) { return true; }
    return (value & CR3_KEEP) && !(a->controls.cr4 & CR4_PCIDE);
}

static bool cr4_faults(const struct architecture *a, uint64_t value) {
    const struct controls *c = &a->controls;
    if (lacks(a, value, CR4_PSE, CPU_PSE) || lacks(a, value, CR4_PAE, CPU_PAE) || lacks(a, value, CR4_PGE, CPU_PGE) ||
        lacks(a, value, CR4_PCIDE, CPU_PCID) || lacks(a, value, CR4_SMEP, CPU_SMEP) ||
        lacks(a, value, CR4_SMAP, CPU_SMAP)) {
        return true;
    }
    bool four_level = paging_of(c) == PAGING_FOUR_LEVEL;
    if (four_level && !(value & CR4_PAE)) { return true; }
    bool sets = (value & CR4_PCIDE) && !(c->cr4 & CR4_PCIDE);
    return sets && (!four_level || (c->cr3 & CR3_PCID));
}

static bool efer_faults(const struct architecture *a, uint64_t value) {
    if (lacks(a, value, EFER_LME, CPU_LONG) || lacks(a, value, EFER_NXE, CPU_NX)) { return true; }
    return ((value ^ a->controls.efer) & EFER_LME) && (a->controls.cr0 & CR0_PG);
}

static bool pat_faults(const struct architecture *a, uint64_t value) {
    if (!(a->config.preset.features & CPU_PAT)) { return true; }
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = value >> 8 * i & 0xFF;
        if (type == 2 || type == 3 || type > 7) { return true; }
    }
    return false;
}

bool control_faults(const struct architecture *a, enum mmu_control which, uint64_t value) {
    switch (which) {
    case MMU_CR0: return cr0_faults(&a->controls, value);
    case MMU_CR3: return cr3_faults(a, value);
    case MMU_CR4: return cr4_faults(a, value);
    case MMU_EFER: return efer_faults(a, value);
    case MMU_PAT: return pat_faults(a, value);
    default: return false;
    }
}
