/* The page walk, in three phases: read the entries, check them, commit accessed and dirty bits. A walk that faults
 * writes nothing, and the commit is a compare-and-exchange: if an entry changed since it was read, the walk starts
 * again, or it could mark an entry that another CPU has just freed. One loop over the levels serves every format. */
#include "walk.h"
#include <string.h>

/* Loops over levels are unrolled, so that a walk whose format the compiler knows is straight code over registers. */
struct walk {
    const struct walk_params *params;
    const struct walk_context *context; /* params->context */
    const struct paging_format *format; /* context->mode->format */
    bool in_ram;                        /* context->ram may be read, in its fixed time */
    bool keep_tables;
    struct walk_start start;
    struct walk_result *result;
    struct mmu_result *log;
    unsigned first_level, leaf_level;
    uint64_t leaf;         /* as it is in memory */
    uint64_t both, either; /* AND and OR of the entries down to the leaf: R/W and U/S, NX */
    struct page_rights rights;
    struct {
        pa_t pa;
        uint64_t value; /* as read */
    } entry[LEVELS];
};

static void log_table_access(struct mmu_result *log, struct mmu_table_access access) {
    log->table_total++;
    if (log->table_count < MMU_TABLE_MAX) { log->table[log->table_count++] = access; }
}

/* Issued in cycle c, answered in c + latency, looked at in the cycle after. */
static void pass_memory_time(struct walk *walk, pa_t pa, bool exchange) {
    const struct mmu_memory *memory = walk->context->memory;
    uint32_t latency =
        walk->in_ram ? walk->context->ram->latency : memory->latency(memory->ctx, pa, exchange, walk->result->cycle);
    walk->result->cycle += (uint64_t)latency + 1;
}

static inline uint64_t load_entry(const struct mmu_memory *memory, const struct mmu_ram *ram, bool in_ram, pa_t pa,
                                  unsigned bytes) {
    if (!in_ram || pa + bytes > ram->size) { return memory->read(memory->ctx, pa, bytes); }
    uint64_t value = 0;
    memcpy(&value, ram->bytes + pa, bytes);
    return value;
}

uint64_t read_table(const struct mmu_memory *memory, const struct mmu_ram *ram, pa_t pa, unsigned bytes,
                    uint64_t *cycle) {
    bool in_ram = ram->bytes != NULL;
    uint32_t latency = in_ram ? ram->latency : memory->latency(memory->ctx, pa, false, *cycle);
    *cycle += (uint64_t)latency + 1;
    return load_entry(memory, ram, in_ram, pa, bytes);
}

static inline uint64_t read_entry(struct walk *walk, pa_t pa, unsigned level) {
    const struct walk_context *context = walk->context;
    pass_memory_time(walk, pa, false);
    uint64_t value = load_entry(context->memory, context->ram, walk->in_ram, pa, walk->format->entry_bytes);
    walk->result->reads++;
    log_table_access(
        walk->log, (struct mmu_table_access){.pa = pa, .value = value, .op = MMU_TABLE_READ, .level = (uint8_t)level});
    return value;
}

/* True if the entry has all of the bits now, false if it is no longer what was read. */
static inline bool set_bits(struct walk *walk, unsigned level, uint64_t bits) {
    uint64_t value = walk->entry[level].value, desired = value | bits;
    if (value == desired && MUT(18, true, level == walk->leaf_level) && MUT(85, true, level != walk->leaf_level)) {
        return true;
    }
    const struct mmu_memory *memory = walk->context->memory;
    pa_t pa = walk->entry[level].pa;
    pass_memory_time(walk, pa, true);
    uint64_t held = memory->compare_exchange(memory->ctx, pa, walk->format->entry_bytes, value, desired);
    walk->result->cycle += walk->context->late;
    log_table_access(
        walk->log, (struct mmu_table_access){
                       .pa = pa, .value = held, .desired = desired, .op = MMU_TABLE_EXCHANGE, .level = (uint8_t)level});
    if (MUT(83, false, held != value && level == walk->leaf_level)) {
        pass_memory_time(walk, pa, true);
        memory->compare_exchange(memory->ctx, pa, walk->format->entry_bytes, held, desired);
        held = value;
    }
    if (held != value) { return false; }
    walk->result->writes++;
    walk->entry[level].value = desired;
    return true;
}

static bool fail(struct walk *walk, uint32_t cause) {
    const struct walk_params *params = walk->params;
    walk->result->faulted = true;
    walk->result->error_code = fault_error_code(walk->context->controls, cause, params->type, params->access_mode) &
                               MUT(88, ~0u, ~(uint32_t)PF_WRITE);
    return false;
}

/* ---- phase 1: read ---- */

/* The table that the walk begins with; see root_table. */
static inline bool locate_table(struct walk *walk, pa_t *table, unsigned *level) {
    walk->both = ENTRY_RW | ENTRY_US;
    walk->either = 0;
    if (walk->start.level) {
        struct page_rights rights = walk->start.table.rights;
        *table = walk->start.table.pa;
        *level = walk->start.level;
        walk->both = (rights.writable ? ENTRY_RW : 0) | (rights.user ? ENTRY_US : 0);
        walk->either = rights.execute_disable ? ENTRY_NX : 0;
        return true;
    }
    *level = walk->format->root_level;
    return root_table(walk->context, walk->format, walk->params->va, table);
}

static inline struct page_rights rights_so_far(const struct walk *walk) {
    return (struct page_rights){
        .writable = walk->both >> 1 & 1, .user = walk->both >> 2 & 1, .execute_disable = walk->either >> 63};
}

/* False if the walk faulted: an entry that is not present, or a reserved bit in one that is, which is seen before the
 * next level is read. */
static inline bool read_entries(struct walk *walk) {
    const struct walk_params *params = walk->params;
    const struct paging_format *format = walk->format;
    struct walk_result *result = walk->result;
    pa_t table;
    unsigned level;
    result->page_shift = 0;
    if (!locate_table(walk, &table, &level)) { return fail(walk, MUT(25, 0, PF_PRESENT)); }
    walk->first_level = level;
    const struct entry_rule *rules = walk->context->mode->rule;
#pragma GCC unroll 4
    for (; level >= LEVEL_PTE; level--) {
        pa_t pa = entry_address(format, table, level, params->va);
        uint64_t entry = read_entry(walk, pa, level);
        walk->entry[level].pa = pa;
        walk->entry[level].value = entry;
        struct entry_meaning is = entry_meaning(&rules[level], level, entry);
        if (!is.present) { return fail(walk, MUT(25, 0, PF_PRESENT)); }
        if (is.leaf) { result->page_shift = format->page_shift[level]; }
        if (is.reserved && MUT(78, true, is.leaf) && MUT(32, true, params->type != MMU_FETCH)) {
            return fail(walk, PF_PRESENT | PF_RESERVED);
        }
        table = entry & TABLE_ADDRESS;
        walk->both &= entry;
        if (MUT(20, false, level == LEVEL_PTE)) { walk->both = entry & (ENTRY_RW | ENTRY_US); }
        walk->either |= entry;
        if (is.leaf) {
            walk->leaf_level = level;
            walk->leaf = entry;
            walk->rights = rights_so_far(walk);
            return true;
        }
        if (walk->keep_tables) {
            result->below[level] = (struct walk_table){.pa = table, .rights = rights_so_far(walk)};
        }
    }
    return false; /* not reached: the lowest entry is a leaf */
}

/* ---- phase 2: check ---- */

static inline bool check_rights(struct walk *walk) {
    const struct walk_params *params = walk->params;
    return access_allowed(walk->context->controls, walk->rights, params->type, params->access_mode) ||
           fail(walk, PF_PRESENT);
}

/* ---- phase 3: commit ---- */

/* A of the upper entries from the top, then A and D of the leaf in one exchange. False: start again. */
static inline bool commit(struct walk *walk) {
    uint64_t leaf_bits = mmu_writes(walk->params->type) ? ENTRY_A | ENTRY_D : ENTRY_A;
    unsigned level = walk->first_level;
#pragma GCC unroll 4
    for (; level >= LEVEL_PTE; level--) {
        bool leaf = level == walk->leaf_level;
        if (MUT(86, false, !leaf)) { continue; }
        bool marked = set_bits(walk, level, leaf ? leaf_bits : MUT(19, ENTRY_A, leaf_bits));
        if (!marked && MUT(15, true, leaf) && MUT(16, true, !leaf)) { return false; }
        if (leaf) { break; }
    }
    walk->leaf |= leaf_bits;
    return true;
}

#ifdef MUTATE
static pa_t offset_of_4k(const struct walk *walk) {
    return walk->params->va & PHYSICAL_MASK(walk->format->page_shift[walk->leaf_level]) & ~(va_t)PAGE_MASK;
}
#endif

static inline void set_translation(struct walk *walk) {
    const struct paging_mode *mode = walk->context->mode;
    unsigned level = walk->leaf_level;
    uint64_t leaf = walk->leaf, global = MUT(31, leaf, leaf | walk->entry[LEVEL_PDE].value);
    if (MUT(27, false, !(walk->context->controls->cr0 & CR0_WP) && walk->params->access_mode != MMU_USER)) {
        walk->rights.writable = true;
    }
    walk->result->level = (uint8_t)level;
    walk->result->first_level = (uint8_t)walk->first_level;
    walk->result->leaf =
        (struct tlb_entry){.frame = leaf_frame(walk->format, leaf, level) | MUT(72, 0, offset_of_4k(walk)),
                           .rights = walk->rights,
                           .dirty = MUT(10, (leaf & ENTRY_D) != 0, mmu_writes(walk->params->type)),
                           .global = (global & ENTRY_G) && MUT(26, mode->pge, true),
                           .memory = leaf_memory(leaf, level, mode->pat_mask)};
}

static inline void walk_tables(const struct walk_params *params, const struct paging_format *format, bool in_ram,
                               const struct walk_start *start, struct walk_result *result, struct mmu_result *log) {
    struct walk walk;
    walk.params = params;
    walk.context = params->context;
    walk.format = format;
    walk.in_ram = in_ram;
    walk.keep_tables = start != NULL;
    walk.start.level = 0;
    if (start) { walk.start = *start; }
    walk.entry[LEVEL_PTE].pa = walk.entry[LEVEL_PTE].value = 0; /* as if the compiler saw that they are not used */
    walk.result = result;
    walk.log = log;
    while (read_entries(&walk) && MUT(17, check_rights(&walk), commit(&walk) && check_rights(&walk))) {
        if (commit(&walk)) {
            set_translation(&walk);
            return;
        }
        log->restarts++;
        result->restarted = true;
        walk.start.level = 0;
    }
    if (MUT(28, false, result->page_shift && !(result->error_code & PF_RESERVED))) { set_translation(&walk); }
}

void page_walk_again(const struct walk_params *params, struct walk_result *result, struct mmu_result *log) {
    const struct walk_context *context = params->context;
    walk_tables(params, context->mode->format, context->ram->bytes != NULL, params->start, result, log);
}

void page_walk(const struct walk_params *params, struct walk_result *result, struct mmu_result *log) {
    result->faulted = result->restarted = false;
    result->cycle = params->cycle;
    result->reads = result->writes = 0;
    page_walk_again(params, result, log);
}
