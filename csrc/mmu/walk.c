/* The page walk, in three phases: read the entries, check them, commit accessed and dirty bits. A walk that faults
 * writes nothing, and the commit is a compare-and-exchange: if an entry changed since it was read, the walk starts
 * again, or it could mark an entry that another CPU has just freed. */
#include "walk.h"

enum { ENTRY_BYTES = 4, LEVEL_PTE = 1, LEVEL_PDE = 2 };

/* Bits of a PDE and a PTE, SDM tables 4-4, 4-5, 4-6. */
enum {
    ENTRY_P = 1 << 0,
    ENTRY_RW = 1 << 1,
    ENTRY_US = 1 << 2,
    ENTRY_A = 1 << 5,
    ENTRY_D = 1 << 6,
    ENTRY_PS = 1 << 7,
    ENTRY_G = 1 << 8,
    LARGE_RESERVED = 1 << 21,
};
#define TABLE_ADDRESS 0xFFFFF000u
#define LARGE_ADDRESS 0xFFC00000u
/* PSE-36: bits 20:13 of a large PDE are bits 39:32 of the page's address. */
#define LARGE_HIGH_SHIFT 13
#define LARGE_HIGH_BITS  8

struct walk {
    const struct walk_params *params;
    struct walk_result *result;
    struct mmu_result *log;
    pa_t pde_pa, pte_pa;
    uint32_t pde, pte; /* as read */
};

static void log_table_access(struct mmu_result *log, struct mmu_table_access access) {
    log->table_total++;
    if (log->table_count < MMU_TABLE_MAX) { log->table[log->table_count++] = access; }
}

/* Issued in cycle c, answered in c + latency, looked at in the cycle after. */
static void pass_memory_time(struct walk *walk, pa_t pa, bool exchange) {
    const struct mmu_memory *memory = walk->params->memory;
    walk->result->cycle += (uint64_t)memory->latency(memory->ctx, pa, exchange, walk->result->cycle) + 1;
}

static uint32_t read_entry(struct walk *walk, pa_t pa, uint8_t level) {
    const struct mmu_memory *memory = walk->params->memory;
    pass_memory_time(walk, pa, false);
    uint32_t value = (uint32_t)memory->read(memory->ctx, pa, ENTRY_BYTES);
    walk->result->reads++;
    log_table_access(walk->log,
                     (struct mmu_table_access){.pa = pa, .value = value, .op = MMU_TABLE_READ, .level = level});
    return value;
}

/* True if the entry has all of the bits now, false if it is no longer what was read. */
static bool set_bits(struct walk *walk, pa_t pa, uint32_t *entry, uint32_t bits, uint8_t level) {
    if ((*entry & bits) == bits) { return true; }
    const struct mmu_memory *memory = walk->params->memory;
    uint32_t desired = *entry | bits;
    pass_memory_time(walk, pa, true);
    uint32_t held = (uint32_t)memory->compare_exchange(memory->ctx, pa, ENTRY_BYTES, *entry, desired);
    log_table_access(walk->log,
                     (struct mmu_table_access){
                         .pa = pa, .value = held, .desired = desired, .op = MMU_TABLE_EXCHANGE, .level = level});
    if (held != *entry) { return false; }
    walk->result->writes++;
    *entry = desired;
    return true;
}

static void set_fault(struct walk *walk, uint32_t cause) {
    const struct walk_params *params = walk->params;
    walk->result->faulted = true;
    walk->result->error_code = fault_error_code(params->controls, cause, params->type, params->mode);
}

/* ---- phase 1: read ---- */

static bool is_large(const struct walk *walk) {
    return (walk->pde & ENTRY_PS) && (walk->params->controls->cr4 & CR4_PSE);
}

/* Bit 21 always; of bits 20:13 those that would be address bits beyond MAXPHYADDR. */
static bool large_reserved(uint32_t pde, unsigned physical_bits) {
    uint32_t high = pde >> LARGE_HIGH_SHIFT & ((1u << LARGE_HIGH_BITS) - 1);
    return (pde & LARGE_RESERVED) || high >> (physical_bits - 32) != 0;
}

static pa_t large_frame(uint32_t pde) {
    pa_t high = pde >> LARGE_HIGH_SHIFT & ((1u << LARGE_HIGH_BITS) - 1);
    return high << 32 | (pde & LARGE_ADDRESS);
}

/* False if the walk faulted: an entry that is not present, or a reserved bit in one that is. */
static bool read_entries(struct walk *walk) {
    const struct walk_params *params = walk->params;
    struct walk_result *result = walk->result;
    result->page_shift = 0;
    walk->pde_pa = (params->controls->cr3 & TABLE_ADDRESS) | (params->va >> 22 & 0x3FF) << 2;
    walk->pde = read_entry(walk, walk->pde_pa, LEVEL_PDE);
    if (!(walk->pde & ENTRY_P)) {
        set_fault(walk, 0);
        return false;
    }
    if (is_large(walk)) {
        result->page_shift = LARGE_PAGE_SHIFT;
        if (large_reserved(walk->pde, params->physical_bits)) {
            set_fault(walk, PF_PRESENT | PF_RESERVED);
            return false;
        }
        return true;
    }
    walk->pte_pa = (walk->pde & TABLE_ADDRESS) | (params->va >> 12 & 0x3FF) << 2;
    walk->pte = read_entry(walk, walk->pte_pa, LEVEL_PTE);
    if (!(walk->pte & ENTRY_P)) {
        set_fault(walk, 0);
        return false;
    }
    result->page_shift = PAGE_SHIFT;
    return true;
}

/* ---- phase 2: check ---- */

static bool check_rights(struct walk *walk) {
    const struct walk_params *params = walk->params;
    uint32_t both = is_large(walk) ? walk->pde : walk->pde & walk->pte;
    walk->result->rights = (struct page_rights){.writable = both & ENTRY_RW, .user = both & ENTRY_US};
    if (access_allowed(params->controls, walk->result->rights, params->type, params->mode)) { return true; }
    set_fault(walk, PF_PRESENT);
    return false;
}

/* ---- phase 3: commit ---- */

/* A in the PDE first, then A and D in the leaf, in one exchange. False: start again. */
static bool commit(struct walk *walk) {
    uint32_t leaf_bits = is_write(walk->params->type) ? ENTRY_A | ENTRY_D : ENTRY_A;
    if (is_large(walk)) { return set_bits(walk, walk->pde_pa, &walk->pde, leaf_bits, LEVEL_PDE); }
    return set_bits(walk, walk->pde_pa, &walk->pde, ENTRY_A, LEVEL_PDE) &&
           set_bits(walk, walk->pte_pa, &walk->pte, leaf_bits, LEVEL_PTE);
}

static void set_translation(struct walk *walk) {
    struct walk_result *result = walk->result;
    uint32_t leaf = is_large(walk) ? walk->pde : walk->pte;
    result->frame = is_large(walk) ? large_frame(leaf) : leaf & TABLE_ADDRESS;
    result->dirty = leaf & ENTRY_D;
    result->global = (leaf & ENTRY_G) && (walk->params->controls->cr4 & CR4_PGE);
}

void page_walk(const struct walk_params *params, struct walk_result *result, struct mmu_result *log) {
    *result = (struct walk_result){.cycle = params->cycle};
    struct walk walk = {.params = params, .result = result, .log = log};
    while (read_entries(&walk) && check_rights(&walk)) {
        if (commit(&walk)) {
            set_translation(&walk);
            return;
        }
        log->restarts++;
    }
}
