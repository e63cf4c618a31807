/* The page walk, in three phases: read the entries, check them, commit accessed and dirty bits. A walk that faults
 * writes nothing, and the commit is a compare-and-exchange: if an entry changed since it was read, the walk starts
 * again, or it could mark an entry that another CPU has just freed. */
#include "walk.h"
#include <string.h>

enum { LEVEL_PTE = 1, LEVEL_PDE = 2 };

/* Bits of a PDE and a PTE, SDM tables 4-4..4-6 and 4-9..4-11. */
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
#define ENTRY_NX           ((uint64_t)1 << 63)
#define TABLE_ADDRESS      0x000FFFFFFFFFF000ull /* of a two-level entry the upper half is 0 */
#define LARGE_ADDRESS      0xFFC00000ull
#define LARGE_ADDRESS_PAE  0x000FFFFFFFE00000ull
#define LARGE_RESERVED_PAE 0x001FE000ull /* bits 20:13 */
/* PSE-36: bits 20:13 of a large PDE are bits 39:32 of the page's address. */
#define LARGE_HIGH_SHIFT 13
#define LARGE_HIGH_BITS  8

struct walk {
    const struct walk_params *params;
    const uint64_t *pdpte; /* params->pdpte */
    bool in_ram;           /* params->ram may be read */
    struct walk_result *result;
    struct mmu_result *log;
    pa_t pde_pa, pte_pa;
    uint64_t pde, pte; /* as read */
};

static bool is_pae(const struct walk *walk) { return walk->pdpte != NULL; }

static unsigned entry_bytes(const struct walk *walk) { return is_pae(walk) ? 8 : 4; }

static void log_table_access(struct mmu_result *log, struct mmu_table_access access) {
    log->table_total++;
    if (log->table_count < MMU_TABLE_MAX) { log->table[log->table_count++] = access; }
}

/* Issued in cycle c, answered in c + latency, looked at in the cycle after. */
static void pass_memory_time(struct walk *walk, pa_t pa, bool exchange) {
    const struct walk_params *params = walk->params;
    const struct mmu_memory *memory = params->memory;
    uint32_t latency =
        walk->in_ram ? params->ram->latency : memory->latency(memory->ctx, pa, exchange, walk->result->cycle);
    walk->result->cycle += (uint64_t)latency + 1;
}

static uint64_t load_entry(const struct walk *walk, pa_t pa) {
    const struct mmu_memory *memory = walk->params->memory;
    const struct mmu_ram *ram = walk->params->ram;
    if (!walk->in_ram || pa + entry_bytes(walk) > ram->size) {
        return memory->read(memory->ctx, pa, entry_bytes(walk));
    }
    uint64_t value = 0;
    memcpy(&value, ram->bytes + pa, entry_bytes(walk));
    return value;
}

static inline uint64_t read_entry(struct walk *walk, pa_t pa, uint8_t level) {
    pass_memory_time(walk, pa, false);
    uint64_t value = load_entry(walk, pa);
    walk->result->reads++;
    log_table_access(walk->log,
                     (struct mmu_table_access){.pa = pa, .value = value, .op = MMU_TABLE_READ, .level = level});
    return value;
}

/* True if the entry has all of the bits now, false if it is no longer what was read. */
static inline bool set_bits(struct walk *walk, pa_t pa, uint64_t *entry, uint64_t bits, uint8_t level) {
    if ((*entry & bits) == bits) { return true; }
    const struct mmu_memory *memory = walk->params->memory;
    uint64_t desired = *entry | bits;
    pass_memory_time(walk, pa, true);
    uint64_t held = memory->compare_exchange(memory->ctx, pa, entry_bytes(walk), *entry, desired);
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
    return (walk->pde & ENTRY_PS) && (is_pae(walk) || (walk->params->controls->cr4 & CR4_PSE));
}

/* Two-level: bit 21 always; of bits 20:13 those that would be address bits beyond MAXPHYADDR. */
static bool large_reserved(uint64_t pde, unsigned physical_bits) {
    uint64_t high = pde >> LARGE_HIGH_SHIFT & ((1u << LARGE_HIGH_BITS) - 1);
    return (pde & LARGE_RESERVED) || high >> (physical_bits - 32) != 0;
}

/* Bits MAXPHYADDR..62, which PAE reserves in every entry. */
static uint64_t beyond_address(unsigned physical_bits) { return ~ENTRY_NX & ~(((uint64_t)1 << physical_bits) - 1); }

/* PAE, any level: NX too while EFER.NXE is 0. */
static bool pae_reserved(const struct walk *walk, uint64_t entry) {
    bool nxe = walk->params->controls->efer & EFER_NXE;
    return (entry & beyond_address(walk->params->physical_bits)) || ((entry & ENTRY_NX) && !nxe);
}

bool pdpte_reserved(uint64_t pdpte, unsigned physical_bits) {
    return (pdpte & ENTRY_P) && (pdpte & (ENTRY_NX | beyond_address(physical_bits) | 0x1E6));
}

static bool pde_reserved(const struct walk *walk) {
    if (!is_pae(walk)) { return is_large(walk) && large_reserved(walk->pde, walk->params->physical_bits); }
    return pae_reserved(walk, walk->pde) || (is_large(walk) && (walk->pde & LARGE_RESERVED_PAE));
}

static pa_t large_frame(const struct walk *walk) {
    if (is_pae(walk)) { return walk->pde & LARGE_ADDRESS_PAE; }
    pa_t high = walk->pde >> LARGE_HIGH_SHIFT & ((1u << LARGE_HIGH_BITS) - 1);
    return high << 32 | (walk->pde & LARGE_ADDRESS);
}

/* False: the PDPTE is not present. */
static bool locate_pde(struct walk *walk) {
    const struct walk_params *params = walk->params;
    if (!is_pae(walk)) {
        walk->pde_pa = (params->controls->cr3 & 0xFFFFF000u) | (params->va >> 22 & 0x3FF) << 2;
        return true;
    }
    uint64_t pdpte = walk->pdpte[params->va >> 30 & (PDPTES - 1)];
    walk->pde_pa = (pdpte & TABLE_ADDRESS) | (params->va >> 21 & 0x1FF) << 3;
    return pdpte & ENTRY_P;
}

static pa_t locate_pte(const struct walk *walk) {
    va_t va = walk->params->va;
    return (walk->pde & TABLE_ADDRESS) | (is_pae(walk) ? (va >> 12 & 0x1FF) << 3 : (va >> 12 & 0x3FF) << 2);
}

static bool fail(struct walk *walk, uint32_t cause) {
    set_fault(walk, cause);
    return false;
}

/* False if the walk faulted: an entry that is not present, or a reserved bit in one that is. The four PDPTEs are
 * registers: one that is not present faults in the cycle of the look-up. */
static bool read_entries(struct walk *walk) {
    struct walk_result *result = walk->result;
    result->page_shift = 0;
    if (!locate_pde(walk)) { return fail(walk, 0); }
    walk->pde = read_entry(walk, walk->pde_pa, LEVEL_PDE);
    if (!(walk->pde & ENTRY_P)) { return fail(walk, 0); }
    if (is_large(walk)) { result->page_shift = is_pae(walk) ? LARGE_PAGE_SHIFT_PAE : LARGE_PAGE_SHIFT; }
    if (pde_reserved(walk)) { return fail(walk, PF_PRESENT | PF_RESERVED); }
    if (is_large(walk)) { return true; }
    walk->pte_pa = locate_pte(walk);
    walk->pte = read_entry(walk, walk->pte_pa, LEVEL_PTE);
    if (!(walk->pte & ENTRY_P)) { return fail(walk, 0); }
    result->page_shift = PAGE_SHIFT;
    if (is_pae(walk) && pae_reserved(walk, walk->pte)) { return fail(walk, PF_PRESENT | PF_RESERVED); }
    return true;
}

/* ---- phase 2: check ---- */

static bool check_rights(struct walk *walk) {
    const struct walk_params *params = walk->params;
    uint64_t both = is_large(walk) ? walk->pde : walk->pde & walk->pte;
    uint64_t either = is_large(walk) ? walk->pde : walk->pde | walk->pte;
    walk->result->rights = (struct page_rights){
        .writable = both & ENTRY_RW, .user = both & ENTRY_US, .execute_disable = is_pae(walk) && (either & ENTRY_NX)};
    if (access_allowed(params->controls, walk->result->rights, params->type, params->mode)) { return true; }
    set_fault(walk, PF_PRESENT);
    return false;
}

/* ---- phase 3: commit ---- */

/* A in the PDE first, then A and D in the leaf, in one exchange. False: start again. */
static bool commit(struct walk *walk) {
    uint64_t leaf_bits = is_write(walk->params->type) ? ENTRY_A | ENTRY_D : ENTRY_A;
    if (is_large(walk)) { return set_bits(walk, walk->pde_pa, &walk->pde, leaf_bits, LEVEL_PDE); }
    return set_bits(walk, walk->pde_pa, &walk->pde, ENTRY_A, LEVEL_PDE) &&
           set_bits(walk, walk->pte_pa, &walk->pte, leaf_bits, LEVEL_PTE);
}

static void set_translation(struct walk *walk) {
    struct walk_result *result = walk->result;
    uint64_t leaf = is_large(walk) ? walk->pde : walk->pte;
    result->frame = is_large(walk) ? large_frame(walk) : leaf & TABLE_ADDRESS;
    result->dirty = leaf & ENTRY_D;
    result->global = (leaf & ENTRY_G) && (walk->params->controls->cr4 & CR4_PGE);
}

static inline void walk_tables(struct walk walk) {
    while (read_entries(&walk) && check_rights(&walk)) {
        if (commit(&walk)) {
            set_translation(&walk);
            return;
        }
        walk.log->restarts++;
    }
}

/* By far the most walks: all of walk_tables in one piece, with what it would ask again and again known. */
__attribute__((flatten)) static void walk_two_levels_in_ram(const struct walk_params *params,
                                                            struct walk_result *result, struct mmu_result *log) {
    walk_tables((struct walk){.params = params, .in_ram = true, .result = result, .log = log});
}

void page_walk(const struct walk_params *params, struct walk_result *result, struct mmu_result *log) {
    bool in_ram = params->ram->bytes != NULL;
    *result = (struct walk_result){.cycle = params->cycle};
    if (in_ram && !params->pdpte) {
        walk_two_levels_in_ram(params, result, log);
    } else {
        walk_tables(
            (struct walk){.params = params, .pdpte = params->pdpte, .in_ram = in_ram, .result = result, .log = log});
    }
}
