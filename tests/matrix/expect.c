/* One loop over the levels, from the text of the SDM: see expect.h. */
#include "expect.h"

#define BIT(n)          ((uint64_t)1 << (n))
#define BITS(high, low) ((BIT((high) - (low)) * 2 - 1) << (low))
enum { P = 1, RW = 2, US = 4, PWT = 8, PCD = 16, A = 32, D = 64, PS = 128 };
#define XD BIT(63)

/* Bits of the linear address below an entry of this level. */
static unsigned shift_of(const struct expect_input *in, unsigned level) {
    return 12 + (level - 1) * (in->levels == 2 ? 10 : 9);
}

/* Figures 4-4, 4-7, 4-11: PS of a PDE counts in 32-bit paging with CR4.PSE, of a PDPTE in 4-level paging. */
static bool is_leaf(const struct expect_input *in, unsigned level, uint64_t entry) {
    if (level == LEVEL_PTE) { return true; }
    if (!(entry & PS)) { return false; }
    if (level == LEVEL_PDE) { return in->levels > 2 || (in->cr4 & CR4_PSE); }
    return level == LEVEL_PDPTE && in->levels == 4 && (in->features & CPU_1G);
}

/* 4.3, 4.4.1, 4.4.2, 4.5.4: the reserved bits of a present entry. */
static uint64_t reserved_bits(const struct expect_input *in, unsigned level, bool leaf) {
    const unsigned m = in->physical_bits;
    const bool large = leaf && level > LEVEL_PTE;
    const uint64_t no_pat = !leaf || (in->features & CPU_PAT) ? 0 : large ? BIT(12) : BIT(7);
    if (in->levels == 2) {
        if (!(in->cr4 & CR4_PSE)) { return 0; }
        return no_pat | (!large ? 0 : (in->features & CPU_PSE36) ? BITS(21, (m < 40 ? m : 40) - 19) : BITS(21, 13));
    }
    if (in->levels == 3 && level == LEVEL_PDPTE) { return BITS(2, 1) | BITS(8, 5) | BITS(63, m); }
    uint64_t bits = no_pat | (in->levels == 3 ? BITS(62, m) : m < 52 ? BITS(51, m) : 0);
    if (!(in->efer & EFER_NXE)) { bits |= XD; }
    if (large) { bits |= BITS(shift_of(in, level) - 1, 13); }
    if (level == LEVEL_PML4E || (level == LEVEL_PDPTE && !(in->features & CPU_1G))) { bits |= PS; }
    return bits;
}

/* 4.6.1: rw, us: of every entry; xd: of any. */
static bool allowed(const struct expect_input *in, bool rw, bool us, bool xd) {
    const bool write = in->type == MMU_WRITE || in->type == MMU_MODIFY;
    if (in->type == MMU_FETCH && xd) { return false; }
    if (in->mode == MMU_USER) { return us && (!write || rw); }
    if (us && in->type == MMU_FETCH) { return !(in->cr4 & CR4_SMEP); }
    if (us && (in->cr4 & CR4_SMAP) && !(in->ac && in->mode == MMU_SUPERVISOR)) { return false; }
    return !write || rw || !(in->cr0 & CR0_WP);
}

/* 4.7, figure 4-12, but for the bits P and RSVD. */
static struct expect_outcome page_fault(const struct expect_input *in, uint32_t bits) {
    const bool execute_disable = (in->cr4 & CR4_PAE) && (in->efer & EFER_NXE);
    struct expect_outcome out = {.vector = MMU_VECTOR_PF, .error_code = bits};
    /* A walk that faults may set A above the fault, or not (4.8): ours do not. */
    for (unsigned i = 1; i <= in->levels; i++) { out.after[i] = in->entry[i]; }
    if (in->type == MMU_WRITE || in->type == MMU_MODIFY) { out.error_code |= PF_WRITE; }
    if (in->mode == MMU_USER) { out.error_code |= PF_USER; }
    if (in->type == MMU_FETCH && (execute_disable || (in->cr4 & CR4_SMEP))) { out.error_code |= PF_FETCH; }
    return out;
}

struct expect_outcome matrix_expect(const struct expect_input *in) {
    struct expect_outcome out = {0};
    bool rw = true, us = true, xd = false, leaf = false;
    unsigned level = in->levels;
    for (unsigned i = 1; i <= in->levels; i++) { out.after[i] = in->entry[i]; }
    for (;; level--) {
        const uint64_t entry = in->entry[level];
        if (!(entry & P)) { return page_fault(in, 0); }
        const bool register_entry = in->levels == 3 && level == LEVEL_PDPTE; /* PAE: no rights, no A; loaded before */
        leaf = is_leaf(in, level, entry);
        if (entry & reserved_bits(in, level, leaf)) {
            if (!register_entry) { return page_fault(in, PF_PRESENT | PF_RESERVED); }
            out.vector = MMU_VECTOR_GP;
            return out;
        }
        if (register_entry) { continue; }
        rw = rw && (entry & RW);
        us = us && (entry & US);
        xd = xd || (entry & XD);
        out.after[level] |= A;
        if (leaf) { break; }
    }
    if (!allowed(in, rw, us, xd)) { return page_fault(in, PF_PRESENT); }
    const uint64_t entry = in->entry[level];
    if (in->type == MMU_WRITE || in->type == MMU_MODIFY) { out.after[level] |= D; }
    out.page_shift = (uint8_t)shift_of(in, level);
    out.pa = (entry & BITS(51, out.page_shift)) | (in->va & BITS(out.page_shift - 1, 0));
    if (in->levels == 2 && level == LEVEL_PDE && (in->features & CPU_PSE36)) { out.pa |= (entry & BITS(20, 13)) << 19; }
    /* 4.9.2 */
    const unsigned pat = (entry & (level == LEVEL_PTE ? PS : BIT(12))) ? 4 : 0;
    const unsigned index = pat | ((entry & PCD) ? 2 : 0) | ((entry & PWT) ? 1 : 0);
    out.memory_type = in->pat >> 8 * index & 7;
    return out;
}
