/* The usual translation in one piece: 32-bit paging, a PDE that is marked accessed and leads to a table in RAM, a first
 * level of 4-way LRU arrays and nothing behind it. What is anything else is left, with nothing done, to translate.c,
 * which answers all of this alike, only more slowly. */
#include "mmu_priv.h"
#include <string.h>

#define USUAL_WAYS 4

static bool has_usual_array(const struct mmu *mmu, enum tlb_side side) {
    const struct tlb *tlb = mmu->of[side][0][TLB_4K];
    return tlb->geometry.ways == USUAL_WAYS && tlb->geometry.classes == 1u << TLB_4K && tlb->replacement == TLB_LRU;
}

void find_whether_usual(struct mmu *mmu) {
    mmu->usual = mmu->plain && mmu->ram.bytes && mmu->config.preset.walkers == 1 && mmu->mode.on &&
                 mmu->mode.kind == PAGING_32_BIT && !mmu->mode.tagged && has_usual_array(mmu, TLB_INSTRUCTION) &&
                 has_usual_array(mmu, TLB_DATA);
}

/* ---- the arrays ---- */

static inline unsigned set_of(const struct tlb *tlb, va_t va) {
    return ((unsigned)(va >> PAGE_SHIFT) & (tlb->geometry.sets - 1)) * USUAL_WAYS;
}

static inline int find_small(const struct tlb *tlb, unsigned first, uint64_t tag) {
    const uint64_t *at = &tlb->tag[first];
#pragma GCC unroll 4
    for (unsigned way = 0; way < USUAL_WAYS; way++) {
        if (at[way] == tag) { return (int)(first + way); }
    }
    return TLB_NONE;
}

/* 32-bit paging has no class beyond large pages: the other array is empty. */
static inline bool holds_large(const struct mmu *mmu, enum tlb_side side, va_t va) {
    const struct tlb *tlb = mmu->of[side][0][TLB_LARGE];
    return tlb->valid && tlb_find(tlb, tag_of(mmu, TLB_LARGE, va), false) != TLB_NONE;
}

/* Of a set that does not hold the page: tlb_fill's choice. */
static inline unsigned way_to_fill(const struct tlb *tlb, unsigned first) {
    const uint64_t *at = &tlb->tag[first], *touched = &tlb->touched[first];
#pragma GCC unroll 4
    for (unsigned way = 0; way < USUAL_WAYS; way++) {
        if (!at[way]) { return first + way; }
    }
    unsigned first_half = touched[1] < touched[0] ? 1 : 0, second_half = touched[3] < touched[2] ? 3 : 2;
    return first + (touched[second_half] < touched[first_half] ? second_half : first_half);
}

static inline void fill_small(struct mmu *mmu, enum tlb_side side, struct tlb *tlb, unsigned first, uint64_t tag,
                              const struct tlb_entry *entry) {
    unsigned index = way_to_fill(tlb, first);
    uint64_t old = tlb->tag[index];
    if (old) {
        shortcuts_forget_key(mmu, side, old >> TLB_PAGE_SHIFT); /* PCID 0 */
    } else {
        tlb->valid++;
    }
    tlb->tag[index] = tag;
    tlb->entry[index] = *entry;
    tlb->touched[index] = ++tlb->touches;
}

__attribute__((noinline)) static void drop_small(struct mmu *mmu, enum tlb_side side, va_t va, uint64_t tag) {
    if (mmu->of[side][0][TLB_LARGE]->valid) {
        drop_side(mmu, side, va);
        return;
    }
    struct tlb *tlb = mmu->of[side][0][TLB_4K];
    if (tlb->valid == 0) { return; } /* nor has a page of this side a shortcut */
    int index = find_small(tlb, set_of(tlb, va), tag);
    if (index != TLB_NONE) { tlb_drop_at(tlb, (unsigned)index); }
    shortcuts_forget_key(mmu, side, va >> PAGE_SHIFT);
}

/* ---- results ---- */

static inline void answer(struct mmu *mmu, struct mmu_result *result, enum mmu_hit hit, uint64_t cycle,
                          unsigned table_accesses, unsigned page_shift) {
    result->hit = (uint8_t)hit;
    result->page_shift = (uint8_t)page_shift;
    result->psc_level = 0;
    result->table_count = (uint8_t)table_accesses;
    result->table_total = (uint16_t)table_accesses;
    result->restarts = 0;
    result->done = cycle;
    result->cycles = (uint32_t)(cycle - mmu->shortcuts.cycle);
    mmu->shortcuts.cycle = cycle;
}

static inline void answer_page(struct mmu *mmu, struct mmu_result *result, const struct tlb_entry *entry, va_t va) {
    result->pa = entry->frame | (va & PAGE_MASK);
    result->cr2 = 0;
    result->error_code = 0;
    result->vector = MMU_VECTOR_NONE;
    result->memory_type = memory_type_of(&mmu->controls, entry->memory);
}

static inline void answer_fault(struct mmu *mmu, struct mmu_result *result, va_t va, uint32_t error_code) {
    result->pa = 0;
    result->cr2 = va;
    result->error_code = error_code;
    result->vector = MMU_VECTOR_PF;
    result->memory_type = MEMORY_WB;
    mmu->statistics.faults++;
    mmu->statistics.fault_drops++;
}

/* ---- hits ---- */

__attribute__((noinline)) static bool hit_small(struct mmu *mmu, struct tlb *tlb, unsigned index,
                                                const struct mmu_request *request, struct mmu_result *result, va_t va) {
    const struct tlb_entry *entry = &tlb->entry[index];
    if (mmu_writes(request->type) && !entry->dirty) { return false; }
    if (!access_allowed(&mmu->controls, entry->rights, request->type, request->mode)) { return false; }
    mmu->statistics.hits[array_number(mmu, tlb)]++;
    answer_page(mmu, result, entry, va);
    answer(mmu, result, MMU_HIT_L1, mmu->shortcuts.cycle + 1, 0, PAGE_SHIFT);
    tlb->touched[index] = ++tlb->touches;
    shortcuts_remember(mmu, side_of(request->type), tlb, index, va);
    return true;
}

/* ---- walks ---- */

static inline bool read_entry(const struct mmu_ram *ram, pa_t pa, uint32_t *entry) {
    if (pa + sizeof *entry > ram->size) { return false; }
    memcpy(entry, ram->bytes + pa, sizeof *entry);
    return true;
}

static inline void log_access(struct mmu_table_access *at, enum mmu_table_op op, unsigned level, pa_t pa,
                              uint32_t value, uint32_t desired) {
    *at = (struct mmu_table_access){
        .pa = pa, .value = value, .desired = desired, .op = (uint8_t)op, .level = (uint8_t)level};
}

static inline void count_walk(struct mmu *mmu, uint64_t *misses, uint64_t cycles, unsigned writes) {
    ++*misses;
    mmu->statistics.walks++;
    mmu->statistics.walk_cycles += cycles;
    mmu->statistics.table_reads += 2;
    mmu->statistics.table_writes += writes;
}

/* An exchange found another value than was read. */
__attribute__((noinline, cold)) static void walk_again(struct mmu *mmu, const struct mmu_request *request,
                                                       struct mmu_result *result) {
    uint64_t access_cycles = (uint64_t)mmu->ram.latency + 1;
    struct walk_result walk = {.cycle = mmu->shortcuts.cycle + 1 + 3 * access_cycles, .reads = 2, .restarted = true};
    translate_restarted(mmu, request, &walk, 3, result);
}

bool translate_usual(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result) {
    const struct mmu_ram *ram = &mmu->ram;
    enum tlb_side side = side_of(request->type);
    va_t va = (uint32_t)request->va;
    uint64_t tag = tlb_tag(va >> PAGE_SHIFT, TLB_4K, 0);
    struct tlb *tlb = mmu->of[side][0][TLB_4K];
    unsigned first = set_of(tlb, va);
    int index = find_small(tlb, first, tag);
    if (index != TLB_NONE) { return hit_small(mmu, tlb, (unsigned)index, request, result, va); }
    if (holds_large(mmu, side, va)) { return false; }

    uint32_t pde, pte;
    pa_t pde_pa = (mmu->controls.cr3 & 0xFFFFF000u) + (va >> 22) * sizeof pde;
    if (!read_entry(ram, pde_pa, &pde)) { return false; }
    if ((pde & (ENTRY_P | ENTRY_A | ENTRY_PS)) != (ENTRY_P | ENTRY_A)) { return false; }
    pa_t pte_pa = (pde & 0xFFFFF000u) + (va >> PAGE_SHIFT & 0x3FF) * sizeof pte;
    if (!read_entry(ram, pte_pa, &pte)) { return false; }
    bool present = pte & ENTRY_P;
    if (present && (pte & mmu->mode.rule[LEVEL_PTE].reserved)) { return false; }

    log_access(&result->table[0], MMU_TABLE_READ, LEVEL_PDE, pde_pa, pde, 0);
    log_access(&result->table[1], MMU_TABLE_READ, LEVEL_PTE, pte_pa, pte, 0);
    uint64_t began = mmu->shortcuts.cycle + 1, access_cycles = (uint64_t)ram->latency + 1;
    uint64_t cycle = began + 2 * access_cycles;
    uint64_t *misses = present ? &mmu->statistics.misses[side][TLB_4K] : &mmu->statistics.miss_fault[side];
    struct tlb_entry leaf = {.rights = {.writable = pde & pte & ENTRY_RW, .user = pde & pte & ENTRY_US}};
    if (!present || !access_allowed(&mmu->controls, leaf.rights, request->type, request->mode)) {
        count_walk(mmu, misses, cycle + 1 - began, 0);
        uint32_t cause = present ? PF_PRESENT : 0;
        answer_fault(mmu, result, va, fault_error_code(&mmu->controls, cause, request->type, request->mode));
        answer(mmu, result, MMU_HIT_WALK, cycle, 2, present ? PAGE_SHIFT : 0);
        drop_small(mmu, side ^ 1u, va, tag); /* its own side holds nothing */
        return true;
    }
    uint32_t marked = pte | (mmu_writes(request->type) ? ENTRY_A | ENTRY_D : ENTRY_A);
    bool exchange = marked != pte;
    if (exchange) {
        const struct mmu_memory *memory = &mmu->config.memory;
        uint64_t held = memory->compare_exchange(memory->ctx, pte_pa, sizeof pte, pte, marked);
        cycle += access_cycles;
        log_access(&result->table[2], MMU_TABLE_EXCHANGE, LEVEL_PTE, pte_pa, (uint32_t)held, marked);
        if (held != pte) {
            walk_again(mmu, request, result);
            return true;
        }
    }
    leaf.frame = marked & 0xFFFFF000u;
    leaf.dirty = marked & ENTRY_D;
    leaf.global = (marked & ENTRY_G) && mmu->mode.pge;
    leaf.memory = leaf_memory(marked, LEVEL_PTE, mmu->mode.pat_mask);
    count_walk(mmu, misses, cycle + 1 - began, exchange);
    answer_page(mmu, result, &leaf, va);
    answer(mmu, result, MMU_HIT_WALK, cycle, 2 + exchange, PAGE_SHIFT);
    fill_small(mmu, side, tlb, first, tag, &leaf);
    return true;
}
