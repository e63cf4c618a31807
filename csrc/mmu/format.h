/* The page-table formats of 32-bit, PAE and 4-level paging (Intel SDM volume 3, 4.3 to 4.5), and what the control
 * registers and the CPU's features make of them. */
#ifndef MMU_FORMAT_H
#define MMU_FORMAT_H

#include "rights.h"

enum { LEVEL_PTE = 1, LEVEL_PDE, LEVEL_PDPTE, LEVEL_PML4E, LEVELS };

#define TABLE_ADDRESS       0x000FFFFFFFFFF000ull /* of a 32-bit entry the upper half is 0 */
#define PDPTES              4                     /* registers, with PAE */
#define PHYSICAL_MASK(bits) (((uint64_t)1 << (bits)) - 1)

enum paging_kind { PAGING_32_BIT, PAGING_PAE, PAGING_4_LEVEL, PAGING_KINDS };

struct paging_format {
    uint8_t root_level; /* of the first entry that a walk reads */
    uint8_t entry_bytes, index_bits;
    uint8_t page_shift[LEVELS]; /* of a leaf of that level; 0: there is none */
    uint64_t root_mask;         /* of CR3, or of a PDPTE */
    bool has_pdptes;            /* the root is not in CR3 but in registers */
    uint64_t page_number_mask;  /* of a virtual address: what an entry's tag can be made of */
};

/* Here, for the compiler to see. */
static const struct paging_format paging_formats[PAGING_KINDS] = {
    [PAGING_32_BIT] = {.root_level = LEVEL_PDE,
                       .entry_bytes = 4,
                       .index_bits = 10,
                       .page_shift = {[LEVEL_PTE] = 12, [LEVEL_PDE] = 22},
                       .root_mask = 0xFFFFF000u,
                       .page_number_mask = 0xFFFFFFFFu},
    [PAGING_PAE] = {.root_level = LEVEL_PDE,
                    .entry_bytes = 8,
                    .index_bits = 9,
                    .page_shift = {[LEVEL_PTE] = 12, [LEVEL_PDE] = 21},
                    .root_mask = TABLE_ADDRESS,
                    .has_pdptes = true,
                    .page_number_mask = 0xFFFFFFFFu},
    [PAGING_4_LEVEL] = {.root_level = LEVEL_PML4E,
                        .entry_bytes = 8,
                        .index_bits = 9,
                        .page_shift = {[LEVEL_PTE] = 12, [LEVEL_PDE] = 21, [LEVEL_PDPTE] = 30},
                        .root_mask = TABLE_ADDRESS,
                        .page_number_mask = 0xFFFFFFFFFFFFu},
};

/* What an entry of a level must not have, and whether PS makes it a leaf. */
struct entry_rule {
    uint64_t reserved, leaf_reserved; /* leaf_reserved: of a leaf above level 1, beside reserved */
    bool can_be_leaf;
};

/* Derived from control registers and features whenever one changes. */
struct paging_mode {
    enum paging_kind kind;
    const struct paging_format *format;
    bool on;     /* CR0.PG */
    bool tagged; /* CR4.PCIDE */
    bool pge;    /* CR4.PGE */
    uint64_t pcid;
    struct entry_rule rule[LEVELS];
    uint8_t shift[TLB_CLASSES]; /* of the page number of a class */
    uint64_t pat_mask;          /* 0 without the feature, else 4: bit 2 of the index into the PAT */
};

void paging_mode_derive(struct paging_mode *mode, const struct paging_controls *controls,
                        const struct mmu_preset *preset);

/* SDM volume 1, 3.3.7.1: bits 63:48 are as bit 47. */
static inline va_t canonical(va_t va) { return (va_t)((int64_t)(va << 16) >> 16); }
static inline bool is_canonical(va_t va) { return canonical(va) == va; }

static inline uint8_t memory_type_of(const struct paging_controls *controls, uint8_t memory) {
    return controls->pat >> 8 * memory & 7;
}

/* SDM 4.4.1: what loads the PDPTEs refuses a present one with a reserved bit set. */
bool pdpte_reserved(uint64_t pdpte, unsigned physical_bits);

/* Where the entry for an address stands in a table of a level. */
static inline pa_t entry_address(const struct paging_format *format, pa_t table, unsigned level, va_t va) {
    uint64_t index = va >> (PAGE_SHIFT + (level - 1) * format->index_bits);
    return table + (index & (((uint64_t)1 << format->index_bits) - 1)) * format->entry_bytes;
}

/* What an entry is to the walk that read it. */
struct entry_meaning {
    bool present, leaf, reserved; /* reserved: a reserved bit is set */
};

static inline struct entry_meaning entry_meaning(const struct entry_rule *rule, unsigned level, uint64_t entry) {
    bool large = (entry & ENTRY_PS) && rule->can_be_leaf;
    return (struct entry_meaning){.present = entry & ENTRY_P,
                                  .leaf = large || level == LEVEL_PTE,
                                  .reserved = entry & (large ? rule->reserved | rule->leaf_reserved : rule->reserved)};
}

/* Physical address of the page of a leaf; PSE-36 keeps bits 39:32 of a 4 MB page in bits 20:13. */
static inline pa_t leaf_frame(const struct paging_format *format, uint64_t leaf, unsigned level) {
    pa_t frame = leaf & TABLE_ADDRESS & ~PHYSICAL_MASK(format->page_shift[level]);
    if (format->entry_bytes == 8) { return frame & MUT(82, ~(pa_t)0, ~((pa_t)0xF << 32)); }
    return level == LEVEL_PDE ? frame | (leaf >> 13 & MUT(13, 0xFF, 0)) << 32 : frame;
}

/* PAT << 2 | PCD << 1 | PWT */
static inline uint8_t leaf_memory(uint64_t leaf, unsigned level, uint64_t pat_mask) {
    uint64_t pat = level == LEVEL_PTE ? leaf >> 5 : leaf >> MUT(38, 10, 5); /* bit 7, bit 12 */
    return (uint8_t)((leaf >> 3 & 3) | (pat & pat_mask));
}

#endif
