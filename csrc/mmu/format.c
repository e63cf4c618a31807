/* Formats and their reserved bits, SDM volume 3, 4.3 to 4.5. */
#include "format.h"

bool pdpte_reserved(uint64_t pdpte, unsigned physical_bits) {
    return (pdpte & ENTRY_P) && (pdpte & (~PHYSICAL_MASK(physical_bits) | 0x1E6));
}

/* Bits 21:13: bit 21 always, of 20:13 those that would be address bits beyond MAXPHYADDR. */
static uint64_t pse36_reserved(const struct mmu_preset *preset) {
    unsigned high_bits = preset->features & CPU_PSE36 ? preset->physical_bits - 32 : 0;
    return MUT(11, 0x3FE000, 0x200000) & ~(uint64_t)(PHYSICAL_MASK(high_bits < 8 ? high_bits : 8) << 13);
}

/* Without the feature the PAT bits are reserved: bit 7 of a PTE, bit 12 of a larger leaf. */
static void reserve_pat(struct entry_rule *rule, const struct mmu_preset *preset) {
    if (preset->features & CPU_PAT) { return; }
    rule[LEVEL_PTE].reserved |= 0x80;
    rule[LEVEL_PDE].leaf_reserved |= 0x1000;
    rule[LEVEL_PDPTE].leaf_reserved |= 0x1000;
}

static void derive_32_bit(struct entry_rule *rule, const struct paging_controls *controls,
                          const struct mmu_preset *preset) {
    if (!(controls->cr4 & MUT(12, CR4_PSE, ~0u))) { return; } /* nothing is reserved then */
    rule[LEVEL_PDE] = (struct entry_rule){.leaf_reserved = pse36_reserved(preset), .can_be_leaf = true};
    reserve_pat(rule, preset);
}

static void derive_8_byte(struct entry_rule *rule, enum paging_kind kind, const struct paging_controls *controls,
                          const struct mmu_preset *preset) {
    uint64_t last = kind == PAGING_PAE ? ~ENTRY_NX : PHYSICAL_MASK(52); /* in 4-level paging 62:52 are ignored */
    uint64_t reserved = last & ~MUT(11, PHYSICAL_MASK(preset->physical_bits), PHYSICAL_MASK(52));
    if (!(controls->efer & EFER_NXE)) { reserved |= MUT(35, ENTRY_NX, 0); }
    for (unsigned level = LEVEL_PTE; level < LEVELS; level++) { rule[level].reserved = reserved; }
    rule[LEVEL_PDE].can_be_leaf = true;
    rule[LEVEL_PDE].leaf_reserved = MUT(36, 0x1FE000, 0); /* bits 20:13 */
    if (preset->features & CPU_1G) {
        rule[LEVEL_PDPTE].can_be_leaf = true;
        rule[LEVEL_PDPTE].leaf_reserved = MUT(36, 0x3FFFE000, 0); /* bits 29:13 */
    } else {
        rule[LEVEL_PDPTE].reserved |= MUT(37, ENTRY_PS, 0);
    }
    rule[LEVEL_PML4E].reserved |= MUT(37, ENTRY_PS, 0);
    reserve_pat(rule, preset);
}

void paging_mode_derive(struct paging_mode *mode, const struct paging_controls *controls,
                        const struct mmu_preset *preset) {
    *mode = (struct paging_mode){.on = controls->cr0 & CR0_PG};
    bool pae = controls->cr4 & CR4_PAE;
    mode->kind = !pae || !mode->on ? PAGING_32_BIT : controls->efer & EFER_LME ? PAGING_4_LEVEL : PAGING_PAE;
    mode->format = &paging_formats[mode->kind];
    mode->tagged = controls->cr4 & CR4_PCIDE;
    mode->pge = controls->cr4 & CR4_PGE;
    mode->pcid = mode->tagged ? controls->cr3 & CR3_PCID : 0;
    mode->pat_mask = preset->features & CPU_PAT ? 4 : 0;
    if (mode->kind == PAGING_32_BIT) {
        derive_32_bit(mode->rule, controls, preset);
    } else {
        derive_8_byte(mode->rule, mode->kind, controls, preset);
    }
    mode->shift[TLB_4K] = PAGE_SHIFT;
    mode->shift[TLB_LARGE] = mode->shift[TLB_PDE] = mode->format->page_shift[LEVEL_PDE];
    mode->shift[TLB_1G] = 30;
}
