/* One request after the other: look-up in both levels, walk, fill, and the cycle in which each of these ends. */
#include "lookup.h"

/* ---- results ---- */

static void begin_result(struct mmu_result *result) {
    result->pa = 0;
    result->cr2 = 0;
    result->error_code = 0;
    result->vector = MMU_VECTOR_NONE;
    result->page_shift = 0;
    result->memory_type = MEMORY_WB;
    result->psc_level = 0;
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
    result->cr2 = va & MUT(89, ~(va_t)0, ~(va_t)PAGE_MASK);
    result->error_code = error_code;
    mmu->statistics.faults++;
    mmu->statistics.fault_drops++;
}

static pa_t physical_address(pa_t frame, unsigned page_shift, va_t va) {
    return frame | (va & PHYSICAL_MASK(page_shift));
}

/* ---- fills ---- */

static enum tlb_class class_of_shift(unsigned page_shift) {
    return page_shift == PAGE_SHIFT ? TLB_4K : page_shift == 30 ? TLB_1G : TLB_LARGE;
}

/* Of the page: entries of other sizes, in one level of the side. */
__attribute__((noinline)) static void drop_other_sizes(struct mmu *mmu, enum tlb_side side, unsigned level,
                                                       unsigned tlb_class, va_t va) {
    for (unsigned other = 0; other < TLB_PAGE_SIZES; other++) {
        struct tlb *tlb = mmu->of[side][level - 1][other];
        if (!tlb || other == tlb_class) { continue; }
        uint64_t tag = tag_of(mmu, other, va);
        if (tlb_drop(tlb, tag, mmu->mode.tagged) && level == 1) { shortcuts_forget_tag(mmu, side, tag); }
    }
}

/* absent: no array of the side's first level holds the page. */
__attribute__((always_inline)) static inline void fill_first(struct mmu *mmu, enum tlb_side side, va_t va,
                                                             unsigned leaf_class, const struct tlb_entry *leaf,
                                                             bool absent) {
    unsigned tlb_class = leaf_class;
    struct tlb *tlb = mmu->of[side][0][tlb_class];
    while (!tlb) {
        if (tlb_class == 0) { return; }
        tlb = mmu->of[side][0][--tlb_class];
    }
    struct tlb_entry entry = *leaf;
    if (!mmu->plain && tlb_class != leaf_class) { /* the part of the page that holds the address */
        entry.fragment = mmu->fragments = true;
        entry.frame |= va & PHYSICAL_MASK(mmu->mode.shift[leaf_class]) & ~PHYSICAL_MASK(mmu->mode.shift[tlb_class]);
    }
    uint64_t tag = tag_of(mmu, tlb_class, va);
    uint64_t replaced = tlb_fill(tlb, tag, &entry, mmu->mode.tagged, absent);
    if (replaced) { shortcuts_forget_tag(mmu, side, replaced); }
    if (absent) { return; }
    shortcuts_forget_tag(mmu, side, tag);
    drop_other_sizes(mmu, side, 1, tlb_class, va);
}

/* PDE entries of the second level keep no G: they are dropped like what is not global. */
static void fill_second(struct mmu *mmu, enum tlb_side side, va_t va, const struct walk_result *walk, bool absent) {
    struct tlb *pdes = mmu->of[side][1][TLB_PDE];
    if (pdes && walk->first_level >= LEVEL_PDE && walk->level == LEVEL_PTE) {
        const struct walk_table *table = &walk->below[LEVEL_PDE];
        struct tlb_entry entry = {.frame = table->pa, .rights = table->rights};
        tlb_fill(pdes, tag_of(mmu, TLB_PDE, va), &entry, mmu->mode.tagged, false);
    }
    unsigned tlb_class = MUT(67, walk->level - 1u, mmu->of[side][1][TLB_4K] ? TLB_4K : walk->level - 1u);
    struct tlb *tlb = mmu->of[side][1][tlb_class];
    struct tlb_entry leaf = walk->leaf;
    leaf.frame |= MUT(67, 0, va & PHYSICAL_MASK(walk->page_shift) & ~(va_t)PAGE_MASK);
    if (tlb) { tlb_fill(tlb, tag_of(mmu, tlb_class, va), &leaf, mmu->mode.tagged, absent); }
    if (!absent) { drop_other_sizes(mmu, side, 2, tlb_class, va); }
}

/* ---- paging-structure caches, SDM 4.10.3 ---- */

static void count_start(struct mmu *mmu, const struct walk_origin *origin) {
    if (!origin->tlb) { return; }
    unsigned number = array_number(mmu, origin->tlb);
    if (number >= ARRAY_PSC_PDE) {
        mmu->statistics.hits[number]++;
    } else {
        mmu->statistics.pde_hits[number >= ARRAY_DSTLB]++;
    }
}

static void fill_psc(struct mmu *mmu, va_t va, const struct walk_result *walk) {
    for (unsigned level = walk->first_level; level > walk->level; level--) {
        struct tlb *tlb = &mmu->array[ARRAY_PSC_PDE + level - LEVEL_PDE];
        if (tlb->geometry.ways == 0) { continue; }
        struct tlb_entry entry = {.frame = walk->below[level].pa, .rights = walk->below[level].rights};
        tlb_fill(tlb, psc_tag(mmu, level, va), &entry, false, false);
    }
}

/* ---- walks ---- */

/* began: the cycle in which the first read was issued, or, without any, in which the walk found why not. */
static void count_walk(struct mmu *mmu, enum tlb_side side, const struct walk_result *walk, uint64_t began,
                       const struct mmu_result *result) {
    struct mmu_statistics *statistics = &mmu->statistics;
    if (walk->page_shift) {
        statistics->misses[side][class_of_shift(walk->page_shift)]++;
    } else {
        statistics->miss_fault[side]++;
    }
    statistics->walks++;
    statistics->dirty_walks += result->hit == MMU_HIT_DIRTY;
    statistics->walk_restarts += result->restarts;
    statistics->walk_cycles += walk->cycle + 1 - began;
    statistics->table_reads += walk->reads;
    statistics->table_writes += walk->writes;
}

/* absent: the look-up went through all of the side's arrays. */
static void drop_after_walk(struct mmu *mmu, enum tlb_side side, va_t va, bool absent) {
    if (MUT(4, false, true)) { return; }
    if (!mmu->plain) {
        drop_after_fault(mmu, va);
        return;
    }
    drop_side(mmu, side == TLB_DATA ? TLB_INSTRUCTION : TLB_DATA, va);
    if (!absent) { drop_side(mmu, side, va); }
}

/* What the walk that came to this makes of the request. */
static void finish_walk(struct mmu *mmu, const struct walk_params *params, const struct walk_result *walk,
                        const struct walk_origin *origin, enum mmu_hit hit, struct mmu_result *result, va_t requested) {
    enum tlb_side side = side_of(params->type);
    va_t va = params->va;
    bool absent = hit == MMU_HIT_WALK;
    result->page_shift = walk->page_shift;
    complete(mmu, result, hit, walk->cycle);
    count_walk(mmu, side, walk, params->cycle, result);
    if (walk->faulted) {
        raise_page_fault(mmu, result, requested, walk->error_code);
        drop_after_walk(mmu, side, va, absent);
        if (MUT(28, false, walk->page_shift && !(walk->error_code & PF_RESERVED))) {
            fill_first(mmu, side, va, walk->level - 1u, &walk->leaf, absent);
        }
        return;
    }
    result->pa = physical_address(walk->leaf.frame, MUT(73, walk->page_shift, PAGE_SHIFT), va);
    result->memory_type = memory_type_of(&mmu->controls, walk->leaf.memory);
    if (!mmu->plain) {
        if (origin->tlb && !walk->restarted) { tlb_touch(origin->tlb, origin->index); }
        fill_psc(mmu, va, walk);
        if (mmu->probes[side]) { fill_second(mmu, side, va, walk, absent); }
    }
    fill_first(mmu, side, va, walk->level - 1u, &walk->leaf, absent);
}

static inline void translate_by_walk(struct mmu *mmu, struct walk_params *params, const struct second_lookup *second,
                                     enum mmu_hit hit, struct mmu_result *result, va_t requested) {
    va_t va = params->va;
    struct walk_origin origin = {0};
    struct walk_start start;
    struct walk_result walk;
    if (!mmu->plain) {
        start = find_start(mmu, va, second, &origin);
        params->start = &start;
        result->psc_level = start.level ? (uint8_t)(start.level + 1) : 0;
        count_start(mmu, &origin);
    }
    page_walk(params, &walk, result);
    finish_walk(mmu, params, &walk, &origin, hit, result, requested);
}

void translate_restarted(struct mmu *mmu, const struct mmu_request *request, struct walk_result *walk,
                         unsigned table_accesses, struct mmu_result *result) {
    struct walk_params params = {
        .context = &mmu->context,
        .va = translated_bits(mmu, request->va),
        .type = request->type,
        .access_mode = request->mode,
        .cycle = mmu->shortcuts.cycle + 1,
    };
    struct walk_origin root = {0};
    begin_result(result);
    result->table_count = (uint8_t)table_accesses;
    result->table_total = (uint16_t)table_accesses;
    result->restarts = 1;
    page_walk_again(&params, walk, result);
    finish_walk(mmu, &params, walk, &root, MMU_HIT_WALK, result, params.va);
}

/* ---- a request ---- */

enum served { SERVED, SERVED_NOT, SERVED_DIRTY };

/* By an entry that matches, as its raw bits and the control registers allow: a translation or a page fault, unless D is
 * to be set first (SERVED_DIRTY). */
__attribute__((always_inline)) static inline enum served serve(struct mmu *mmu, struct tlb *tlb, unsigned index,
                                                               const struct mmu_request *request, va_t va,
                                                               enum mmu_hit hit, uint64_t cycle,
                                                               struct mmu_result *result) {
    const struct tlb_entry *entry = &tlb->entry[index];
    enum mmu_type type = request->type;
    enum mmu_mode mode = request->mode;
    bool allowed = access_allowed(&mmu->controls, entry->rights, type, mode);
    if (allowed && mmu_writes(type) && MUT(9, !entry->dirty, false)) { return SERVED_DIRTY; }
    unsigned page_shift = mmu->mode.shift[tag_class(tlb->tag[index])];
    mmu->statistics.hits[array_number(mmu, tlb)]++;
    result->page_shift = (uint8_t)page_shift;
    complete(mmu, result, hit, cycle);
    if (!allowed) {
        va_t requested = mmu->mode.kind == PAGING_4_LEVEL ? request->va : va;
        raise_page_fault(mmu, result, requested, fault_error_code(&mmu->controls, PF_PRESENT, type, mode));
        if (MUT(4, true, false)) { drop_after_fault(mmu, va); }
        return SERVED;
    }
    result->pa = physical_address(entry->frame, page_shift, va);
    result->memory_type = memory_type_of(&mmu->controls, entry->memory);
    if (MUT(3, true, false)) { tlb_touch(tlb, index); }
    return SERVED;
}

static inline enum served serve_first(struct mmu *mmu, const struct mmu_request *request, va_t va,
                                      struct mmu_result *result) {
    enum tlb_side side = side_of(request->type);
#pragma GCC unroll 3
    for (unsigned tlb_class = 0; tlb_class < TLB_PAGE_SIZES; tlb_class++) {
        struct tlb *tlb = mmu->of[side][0][tlb_class];
        if (!tlb || tlb->valid == 0) { continue; }
        int index = tlb_find(tlb, tag_of(mmu, tlb_class, va), mmu->mode.tagged);
        if (index == TLB_NONE) { continue; }
        enum served served =
            serve(mmu, tlb, (unsigned)index, request, va, MMU_HIT_L1, mmu->shortcuts.cycle + 1, result);
        if (served == SERVED && result->vector == MMU_VECTOR_NONE) {
            shortcuts_remember(mmu, side, tlb, (unsigned)index, mmu->mode.kind == PAGING_4_LEVEL ? request->va : va);
        }
        return served;
    }
    return SERVED_NOT;
}

static enum served serve_second(struct mmu *mmu, const struct mmu_request *request, va_t va,
                                struct second_lookup *second, struct mmu_result *result) {
    enum tlb_side side = side_of(request->type);
    look_up_second(mmu, side, va, second);
    if (!second->tlb) { return SERVED_NOT; }
    uint64_t cycle = mmu->shortcuts.cycle + 1 + second->cycles;
    enum served served = serve(mmu, second->tlb, second->index, request, va, MMU_HIT_L2, cycle, result);
    if (served == SERVED && result->vector == MMU_VECTOR_NONE) {
        const struct tlb_entry *entry = &second->tlb->entry[second->index];
        fill_first(mmu, side, va, tag_class(second->tlb->tag[second->index]), entry, true);
    }
    return served;
}

/* The request is looked up in the cycle after the last completion; a walk's first read is issued in the cycle in which
 * the last look-up found nothing. */
static void translate_one(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result) {
    begin_result(result);
    va_t va = translated_bits(mmu, request->va);
    if (!mmu->mode.on) {
        result->pa = va;
        complete(mmu, result, MMU_HIT_OFF, mmu->shortcuts.cycle + 1);
        return;
    }
    if (mmu->mode.kind == PAGING_4_LEVEL && MUT(44, !is_canonical(request->va), false)) {
        result->vector = MMU_VECTOR_GP;
        complete(mmu, result, MMU_HIT_OFF, mmu->shortcuts.cycle + 1);
        return;
    }
    enum served served = serve_first(mmu, request, va, result);
    struct second_lookup second;
    if (served == SERVED) { return; }
    second.cycles = 0;
    if (!mmu->plain) {
        second = (struct second_lookup){0};
        if (served == SERVED_NOT && mmu->probes[side_of(request->type)]) {
            served = serve_second(mmu, request, va, &second, result);
            if (served == SERVED) { return; }
        }
    }
    struct walk_params params = {
        .context = &mmu->context,
        .va = va,
        .type = request->type,
        .access_mode = request->mode,
        .cycle = mmu->shortcuts.cycle + 1 + second.cycles,
    };
    translate_by_walk(mmu, &params, &second, served == SERVED_DIRTY ? MMU_HIT_DIRTY : MMU_HIT_WALK, result,
                      mmu->mode.kind == PAGING_4_LEVEL ? request->va : va);
}

__attribute__((always_inline)) static inline bool translate_shortly(struct mmu *mmu, const struct mmu_request *request,
                                                                    struct mmu_result *result) {
    const struct mmu_shortcut *s = mmu_shortcut_take(&mmu->shortcuts, request->va, request->type, request->mode);
    if (!s) { return false; }
    begin_result(result);
    result->pa = s->frame | (request->va & PAGE_MASK);
    result->page_shift = s->page_shift;
    result->memory_type = s->memory_type;
    result->hit = MMU_HIT_L1;
    result->done = mmu->shortcuts.cycle;
    result->cycles = 1;
    return true;
}

/* True: the next one may follow. */
__attribute__((always_inline)) static inline bool translate_next(struct mmu *mmu, const struct mmu_request *request,
                                                                 struct mmu_result *result) {
    if (translate_shortly(mmu, request, result)) { return true; }
    if (!mmu->usual || !translate_usual(mmu, request, result)) { translate_one(mmu, request, result); }
    return result->vector == MMU_VECTOR_NONE;
}

/* The same results; the cycles are those of several walkers. */
__attribute__((noinline)) static size_t translate_batch(struct mmu *mmu, const struct mmu_request *requests,
                                                        struct mmu_result *results, size_t count) {
    size_t done = 0;
    ahead_begin(mmu, requests, results, count);
    while (done < count && (done == 0 || results[done - 1].vector == MMU_VECTOR_NONE)) {
        ahead_request(mmu, done);
        translate_one(mmu, &requests[done], &results[done]);
        ahead_answered(mmu, &results[done++]);
    }
    ahead_end(mmu);
    return done;
}

size_t mmu_c_translate(struct mmu *mmu, const struct mmu_request *requests, struct mmu_result *results, size_t count) {
    if (count == 1) { /* as most callers do */
        translate_next(mmu, requests, results);
        return 1;
    }
    if (mmu->config.preset.walkers > 1) { return translate_batch(mmu, requests, results, count); }
    for (size_t i = 0; i < count; i++) {
        if (!translate_next(mmu, &requests[i], &results[i]) && MUT(84, true, i + 1 == count)) { return i + 1; }
    }
    return count;
}
