/* The C MMU: control registers, TLB lookup, walk, fill, invalidation, and the cycle each of these takes in hardware.
 * It stands for the RTL in every field of struct mmu_result and in every statistic. */
#include "ntmmu/mmu_shortcut.h"
#include "tlb.h"
#include "walk.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mmu {
    struct mmu_config config;
    bool has_pae; /* CR4.PAE may be set */
    struct paging_controls controls;
    uint64_t pdpte[PDPTES]; /* loaded by MOV CR3 and some writes of CR0 and CR4, SDM 4.4.1 */
    struct tlb tlb[TLB_SIDES][TLB_PAGE_SIZES];
    struct mmu_statistics statistics;
    struct mmu_shortcuts shortcuts; /* and .cycle, in which the last operation completed */
    uint16_t allowed[1 << 4];       /* what allowed_of found since the control registers changed; 0: not asked yet */
    struct mmu_ram ram;             /* see mmu_c_use_ram */
};

static const unsigned page_shift_of[TLB_PAGE_SIZES] = {[TLB_4K] = PAGE_SHIFT, [TLB_LARGE] = LARGE_PAGE_SHIFT};

static enum tlb_side side_of(enum mmu_type type) { return type == MMU_FETCH ? TLB_INSTRUCTION : TLB_DATA; }

/* ---- shortcuts: what the arrays would answer ---- */

static void forget_all(struct mmu *mmu) { mmu->shortcuts.epoch += MMU_SHORTCUT_EPOCH(1); }

static void forget_page(struct mmu *mmu, enum tlb_side side, uint64_t page) {
    struct mmu_shortcut *s = &mmu->shortcuts.at[side][page % MMU_SHORTCUTS];
    if ((s->key & (MMU_SHORTCUT_EPOCH(1) - 1)) == page) { s->key = 0; }
}

#define ALLOWED_KNOWN 0x8000u /* above the bits of mmu_shortcut_right */

/* Which accesses an entry serves without a walk or a fault, under the control registers as they are. */
static uint16_t allowed_of(struct mmu *mmu, const struct tlb_entry *entry) {
    struct page_rights rights = entry->rights;
    uint16_t *known =
        &mmu->allowed[rights.writable | rights.user << 1 | rights.execute_disable << 2 | entry->dirty << 3];
    if (*known) { return *known; }
    unsigned allowed = ALLOWED_KNOWN;
    for (enum mmu_mode mode = MMU_SUPERVISOR; mode <= MMU_IMPLICIT; mode++) {
        for (enum mmu_type type = MMU_READ; type <= MMU_MODIFY; type++) {
            bool hits = (!is_write(type) || entry->dirty) && access_allowed(&mmu->controls, rights, type, mode);
            allowed |= (unsigned)hits << mmu_shortcut_right(type, mode);
        }
    }
    return *known = (uint16_t)allowed;
}

/* Of an entry that just served a hit. True LRU only: the tree is changed in another way. */
static void remember(struct mmu *mmu, enum tlb_side side, enum tlb_pages pages, unsigned index, va_t va) {
    struct tlb *tlb = &mmu->tlb[side][pages];
    if (tlb->replacement != TLB_LRU) { return; }
    const struct tlb_entry *entry = &tlb->entry[index];
    uint64_t page = va >> PAGE_SHIFT;
    mmu->shortcuts.at[side][page % MMU_SHORTCUTS] = (struct mmu_shortcut){
        .key = mmu->shortcuts.epoch | page,
        .frame = (entry->frame | (va & (((va_t)1 << tlb->page_shift) - 1))) & ~(pa_t)PAGE_MASK,
        .hits = &mmu->statistics.tlb[side][pages].hits,
        .touched = &tlb->touched[index],
        .touches = &tlb->touches,
        .allowed = allowed_of(mmu, entry),
        .page_shift = (uint8_t)tlb->page_shift,
    };
}

struct mmu_shortcuts *mmu_c_shortcuts(struct mmu *mmu) {
    return &mmu->shortcuts;
}

void mmu_c_use_ram(struct mmu *mmu, struct mmu_ram ram) { mmu->ram = ram; }

/* ---- invalidation, SDM 4.10.4 ---- */

/* A large entry covers many pages, of which any may have a shortcut. */
static inline void drop(struct mmu *mmu, enum tlb_side side, enum tlb_pages pages, va_t va) {
    bool dropped = tlb_drop(&mmu->tlb[side][pages], va);
    if (dropped && pages == TLB_LARGE) { forget_all(mmu); }
}

static void flush(struct mmu *mmu, bool keep_global) {
    forget_all(mmu);
    for (unsigned i = 0; i < TLB_SIDES * TLB_PAGE_SIZES; i++) {
        tlb_flush(&mmu->tlb[i / TLB_PAGE_SIZES][i % TLB_PAGE_SIZES], keep_global);
    }
}

static void drop_side(struct mmu *mmu, enum tlb_side side, va_t va) {
    drop(mmu, side, TLB_4K, va);
    drop(mmu, side, TLB_LARGE, va);
    forget_page(mmu, side, va >> PAGE_SHIFT);
}

/* Every entry that covers va, on both sides, of both sizes, global or not. */
static void drop_page(struct mmu *mmu, va_t va) {
    for (enum tlb_side side = 0; side < TLB_SIDES; side++) { drop_side(mmu, side, va); }
}

/* ---- translation ---- */

static void begin_result(struct mmu_result *result) {
    result->pa = 0;
    result->cr2 = 0;
    result->error_code = 0;
    result->vector = MMU_VECTOR_NONE;
    result->page_shift = 0;
    result->table_count = 0;
    result->table_total = 0;
    result->restarts = 0;
}

static void complete(struct mmu *mmu, struct mmu_result *result, enum mmu_hit hit, uint64_t cycle) {
    result->hit = (uint8_t)hit;
    result->done = cycle;
    result->cycles = (uint32_t)(cycle - mmu->shortcuts.cycle);
    mmu->shortcuts.cycle = cycle;
}

/* A page fault drops what the TLBs hold for its address (SDM 4.10.4.1), so that it cannot come twice from stale rights.
 * That is the caller's part: it may know where there is nothing. */
static void raise_page_fault(struct mmu *mmu, struct mmu_result *result, va_t va, uint32_t error_code) {
    result->vector = MMU_VECTOR_PF;
    result->cr2 = va;
    result->error_code = error_code;
    mmu->statistics.faults++;
    mmu->statistics.fault_drops++;
}

static pa_t physical_address(pa_t frame, unsigned page_shift, va_t va) {
    return frame | (va & (((va_t)1 << page_shift) - 1));
}

/* absent: neither array of the side holds the page. */
static void fill_tlb(struct mmu *mmu, enum tlb_side side, va_t va, const struct walk_result *walk, bool absent) {
    enum tlb_pages pages = walk->page_shift == PAGE_SHIFT ? TLB_4K : TLB_LARGE;
    enum tlb_pages other = pages == TLB_4K ? TLB_LARGE : TLB_4K;
    struct tlb_entry entry = {
        .frame = walk->frame, .rights = walk->rights, .dirty = walk->dirty, .global = walk->global};
    uint64_t replaced = tlb_fill(&mmu->tlb[side][pages], va, &entry, absent);
    forget_page(mmu, side, replaced >> 1);
    if (pages == TLB_LARGE) { forget_all(mmu); }
    if (absent) { return; }
    forget_page(mmu, side, va >> PAGE_SHIFT);
    drop(mmu, side, other, va);
}

static void count_walk(struct mmu *mmu, enum tlb_side side, const struct walk_result *walk,
                       const struct mmu_result *result) {
    struct mmu_statistics *statistics = &mmu->statistics;
    if (walk->page_shift) {
        statistics->tlb[side][walk->page_shift == PAGE_SHIFT ? TLB_4K : TLB_LARGE].misses++;
    } else {
        statistics->miss_fault[side]++;
    }
    statistics->walks++;
    statistics->dirty_walks += result->hit == MMU_HIT_DIRTY;
    statistics->walk_restarts += result->restarts;
    statistics->walk_cycles += result->cycles;
    statistics->table_reads += walk->reads;
    statistics->table_writes += walk->writes;
}

static bool pae_paging(const struct paging_controls *controls) {
    return (controls->cr0 & CR0_PG) && (controls->cr4 & CR4_PAE);
}

static void translate_by_walk(struct mmu *mmu, const struct walk_params *params, enum mmu_hit hit,
                              struct mmu_result *result) {
    enum tlb_side side = side_of(params->type);
    bool absent = hit == MMU_HIT_WALK; /* the look-up went through both of the side's arrays */
    struct walk_result walk;
    page_walk(params, &walk, result);
    result->page_shift = walk.page_shift;
    complete(mmu, result, hit, walk.cycle);
    count_walk(mmu, side, &walk, result);
    if (walk.faulted) {
        raise_page_fault(mmu, result, params->va, walk.error_code);
        drop_side(mmu, side == TLB_DATA ? TLB_INSTRUCTION : TLB_DATA, params->va);
        if (!absent) { drop_side(mmu, side, params->va); }
        return;
    }
    result->pa = physical_address(walk.frame, walk.page_shift, params->va);
    fill_tlb(mmu, side, params->va, &walk, absent);
}

/* The request is looked up in the cycle after the last completion; a walk's first read is issued in that same cycle. */
static void translate_one(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result) {
    va_t va = (uint32_t)request->va;
    enum mmu_type type = request->type;
    enum mmu_mode mode = request->mode;
    begin_result(result);
    if (!(mmu->controls.cr0 & CR0_PG)) {
        result->pa = va;
        complete(mmu, result, MMU_HIT_OFF, mmu->shortcuts.cycle + 1);
        return;
    }
    enum tlb_side side = side_of(type);
    enum mmu_hit miss = MMU_HIT_WALK;
    for (enum tlb_pages pages = TLB_4K; pages < TLB_PAGE_SIZES; pages++) {
        struct tlb *tlb = &mmu->tlb[side][pages];
        int index = tlb_find(tlb, va);
        if (index == TLB_NONE) { continue; }
        const struct tlb_entry *entry = &tlb->entry[index];
        bool allowed = access_allowed(&mmu->controls, entry->rights, type, mode);
        if (allowed && is_write(type) && !entry->dirty) {
            miss = MMU_HIT_DIRTY;
            break;
        }
        mmu->statistics.tlb[side][pages].hits++;
        result->page_shift = (uint8_t)tlb->page_shift;
        complete(mmu, result, MMU_HIT_L1, mmu->shortcuts.cycle + 1);
        if (!allowed) {
            raise_page_fault(mmu, result, va, fault_error_code(&mmu->controls, PF_PRESENT, type, mode));
            drop_page(mmu, va);
            return;
        }
        result->pa = physical_address(entry->frame, tlb->page_shift, va);
        tlb_touch(tlb, (unsigned)index);
        remember(mmu, side, pages, (unsigned)index, va);
        return;
    }
    struct walk_params params = {
        .memory = &mmu->config.memory,
        .ram = &mmu->ram,
        .controls = &mmu->controls,
        .pdpte = pae_paging(&mmu->controls) ? mmu->pdpte : NULL,
        .physical_bits = mmu->config.preset.physical_bits,
        .va = va,
        .type = type,
        .mode = mode,
        .cycle = mmu->shortcuts.cycle + 1,
    };
    translate_by_walk(mmu, &params, miss, result);
}

static bool translate_shortly(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result) {
    const struct mmu_shortcut *s = mmu_shortcut_take(&mmu->shortcuts, request->va, request->type, request->mode);
    if (!s) { return false; }
    begin_result(result);
    result->pa = s->frame | (request->va & PAGE_MASK);
    result->page_shift = s->page_shift;
    result->hit = MMU_HIT_L1;
    result->done = mmu->shortcuts.cycle;
    result->cycles = 1;
    return true;
}

static size_t c_translate(struct mmu *mmu, const struct mmu_request *requests, struct mmu_result *results,
                          size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (translate_shortly(mmu, &requests[i], &results[i])) { continue; }
        translate_one(mmu, &requests[i], &results[i]);
        if (results[i].vector != MMU_VECTOR_NONE) { return i + 1; }
    }
    return count;
}

/* ---- control registers ---- */

static void flush_all(struct mmu *mmu) {
    flush(mmu, false);
    mmu->statistics.flush_all++;
}

/* With PAE in effect under these controls, takes the four PDPTEs of the CR3 among them. False: one has a reserved bit
 * set, and nothing is changed. */
static bool load_pdptes(struct mmu *mmu, const struct paging_controls *controls) {
    if (!pae_paging(controls)) { return true; }
    const struct mmu_memory *memory = &mmu->config.memory;
    uint64_t pdpte[PDPTES];
    for (unsigned i = 0; i < PDPTES; i++) {
        pdpte[i] = memory->read(memory->ctx, (controls->cr3 & 0xFFFFFFE0u) + 8 * i, 8);
        if (pdpte_reserved(pdpte[i], mmu->config.preset.physical_bits)) { return false; }
    }
    memcpy(mmu->pdpte, pdpte, sizeof pdpte);
    return true;
}

/* The registers change, or (#GP) nothing does. */
static bool take_controls(struct mmu *mmu, struct paging_controls next, bool load) {
    if (load && !load_pdptes(mmu, &next)) { return false; }
    mmu->controls = next;
    return true;
}

static int write_cr0(struct mmu *mmu, uint64_t value) {
    if ((value & CR0_PG) && !(value & CR0_PE)) { return MMU_VECTOR_GP; }
    uint64_t changed = mmu->controls.cr0 ^ value;
    struct paging_controls next = mmu->controls;
    next.cr0 = value;
    if (!take_controls(mmu, next, changed & CR0_PG)) { return MMU_VECTOR_GP; }
    if (changed & CR0_PG) { flush_all(mmu); }
    return MMU_VECTOR_NONE;
}

static int write_cr3(struct mmu *mmu, uint64_t value) {
    struct paging_controls next = mmu->controls;
    next.cr3 = value;
    if (!take_controls(mmu, next, true)) { return MMU_VECTOR_GP; }
    flush(mmu, true);
    mmu->statistics.cr3_writes++;
    return MMU_VECTOR_NONE;
}

/* Setting an unsupported bit of CR4 is #GP. Large pages are 2 MB with PAE, 4 MB without; the arrays are empty when that
 * changes. */
static int write_cr4(struct mmu *mmu, uint64_t value) {
    if ((value & CR4_PAE) && !mmu->has_pae) { return MMU_VECTOR_GP; }
    uint64_t changed = mmu->controls.cr4 ^ value;
    struct paging_controls next = mmu->controls;
    next.cr4 = value;
    if (!take_controls(mmu, next, changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))) { return MMU_VECTOR_GP; }
    bool smep_set = changed & value & CR4_SMEP;
    if ((changed & (CR4_PGE | CR4_PSE | CR4_PAE)) || smep_set) { flush_all(mmu); }
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        mmu->tlb[side][TLB_LARGE].page_shift = value & CR4_PAE ? LARGE_PAGE_SHIFT_PAE : LARGE_PAGE_SHIFT;
    }
    return MMU_VECTOR_NONE;
}

static int c_write_control(struct mmu *mmu, enum mmu_control which, uint64_t value) {
    mmu->shortcuts.cycle++;
    forget_all(mmu); /* rights depend on most of them */
    memset(mmu->allowed, 0, sizeof mmu->allowed);
    switch (which) {
    case MMU_CR0: return write_cr0(mmu, value);
    case MMU_CR3: return write_cr3(mmu, value);
    case MMU_CR4: return write_cr4(mmu, value);
    case MMU_EFER: mmu->controls.efer = value; return MMU_VECTOR_NONE;
    case MMU_EFLAGS_AC: mmu->controls.ac = value != 0; return MMU_VECTOR_NONE;
    }
    return MMU_VECTOR_GP;
}

static uint64_t c_read_control(const struct mmu *mmu, enum mmu_control which) {
    switch (which) {
    case MMU_CR0: return mmu->controls.cr0;
    case MMU_CR3: return mmu->controls.cr3;
    case MMU_CR4: return mmu->controls.cr4;
    case MMU_EFER: return mmu->controls.efer;
    case MMU_EFLAGS_AC: return mmu->controls.ac;
    }
    return 0;
}

static void c_invlpg(struct mmu *mmu, va_t va) {
    mmu->shortcuts.cycle++;
    mmu->statistics.invlpg++;
    drop_page(mmu, (uint32_t)va);
}

/* ---- life and observation ---- */

static void c_destroy(struct mmu *mmu) {
    if (!mmu) { return; }
    for (unsigned i = 0; i < TLB_SIDES * TLB_PAGE_SIZES; i++) {
        tlb_fini(&mmu->tlb[i / TLB_PAGE_SIZES][i % TLB_PAGE_SIZES]);
    }
    free(mmu);
}

static struct mmu *c_create(const struct mmu_config *config, char *err, size_t err_size) {
    struct mmu *mmu = calloc(1, sizeof *mmu);
    if (!mmu) {
        snprintf(err, err_size, "C MMU: out of memory");
        return NULL;
    }
    mmu->config = *config;
    mmu->shortcuts.epoch = MMU_SHORTCUT_EPOCH(1);
    int status = 0;
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        for (unsigned pages = 0; pages < TLB_PAGE_SIZES; pages++) {
            status |= tlb_init(&mmu->tlb[side][pages], config->preset.tlb[side][pages], page_shift_of[pages],
                               config->preset.replacement);
        }
    }
    if (status < 0) {
        snprintf(err, err_size, "C MMU: out of memory");
        c_destroy(mmu);
        return NULL;
    }
    return mmu;
}

static struct mmu *c_create_pae(const struct mmu_config *config, char *err, size_t err_size) {
    struct mmu *mmu = c_create(config, err, err_size);
    if (mmu) { mmu->has_pae = true; }
    return mmu;
}

static uint64_t c_cycles(const struct mmu *mmu) { return mmu->shortcuts.cycle; }

static void c_statistics(const struct mmu *mmu, struct mmu_statistics *out) {
    *out = mmu->statistics;
    out->cycles = mmu->shortcuts.cycle;
}

/* Appends the valid entries of one array from position n on; returns the new n, which may go beyond max. */
static size_t list_array(const struct mmu *mmu, unsigned side, unsigned pages, struct mmu_tlb_entry *out, size_t n,
                         size_t max) {
    const struct tlb *tlb = &mmu->tlb[side][pages];
    unsigned ways = tlb->geometry.ways;
    for (unsigned i = 0; i < tlb->geometry.sets * ways; i++) {
        if (!tlb->tag[i]) { continue; }
        const struct tlb_entry *entry = &tlb->entry[i];
        if (n < max) {
            out[n] = (struct mmu_tlb_entry){
                .va = (tlb->tag[i] >> 1) << tlb->page_shift,
                .pa = entry->frame,
                .side = (uint8_t)side,
                .pages = (uint8_t)pages,
                .set = (uint16_t)(i / ways),
                .way = (uint16_t)(i % ways),
                .writable = entry->rights.writable,
                .user = entry->rights.user,
                .dirty = entry->dirty,
                .global = entry->global,
            };
        }
        n++;
    }
    return n;
}

static size_t c_tlb_entries(struct mmu *mmu, struct mmu_tlb_entry *out, size_t max) {
    size_t n = 0;
    for (unsigned i = 0; i < TLB_SIDES * TLB_PAGE_SIZES; i++) {
        n = list_array(mmu, i / TLB_PAGE_SIZES, i % TLB_PAGE_SIZES, out, n, max);
    }
    return n;
}

static int c_wave(struct mmu *mmu, const char *path, uint64_t from, uint64_t to) {
    (void)mmu, (void)path, (void)from, (void)to;
    return -1;
}

#define C_MMU_OPS(creator)                                                                                             \
    {                                                                                                                  \
        .abi_version = MMU_ABI_VERSION, .name = "c", .create = creator, .destroy = c_destroy,                          \
        .translate = c_translate, .write_control = c_write_control, .read_control = c_read_control,                    \
        .invlpg = c_invlpg, .cycles = c_cycles, .statistics = c_statistics, .tlb_entries = c_tlb_entries,              \
        .wave = c_wave,                                                                                                \
    }

const struct mmu_ops mmu_c_ops = C_MMU_OPS(c_create);
const struct mmu_ops mmu_c_pae_ops = C_MMU_OPS(c_create_pae);
