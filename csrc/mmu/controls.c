/* Control registers, INVLPG, INVPCID: what is refused, what is dropped, when the PDPTEs are loaded (rtl/README.md,
 * "Control registers"; Intel SDM volume 3, 2.5, 4.1, 4.4.1, 4.10.4). One cycle each, beside the loads. */
#include "mmu_priv.h"
#include <string.h>

static const struct {
    uint64_t bit;
    enum cpu_feature feature;
} cr4_features[] = {
    {CR4_PSE, CPU_PSE},    {CR4_PAE, CPU_PAE},   {CR4_PGE, CPU_PGE},
    {CR4_PCIDE, CPU_PCID}, {CR4_SMEP, CPU_SMEP}, {CR4_SMAP, CPU_SMAP},
};

static bool has(const struct mmu *mmu, enum cpu_feature feature) { return mmu->config.preset.features & feature; }

static bool four_level(const struct paging_controls *controls) {
    return (controls->cr0 & CR0_PG) && (controls->efer & EFER_LME);
}

static bool pae_paging(const struct paging_controls *controls) {
    return (controls->cr0 & CR0_PG) && (controls->cr4 & CR4_PAE) && !(controls->efer & EFER_LME);
}

/* ---- the registers change, or (#GP) nothing does ---- */

/* False: one has a reserved bit set. All four are read, whatever they hold. */
static bool load_pdptes(struct mmu *mmu, uint64_t cr3) {
    uint64_t pdpte[PDPTES];
    bool good = true;
    mmu->statistics.pdpte_loads++;
    for (unsigned i = 0; i < PDPTES; i++) {
        pa_t at = (cr3 & MUT(81, 0xFFFFFFE0u, 0xFFFFF000u)) + 8 * i;
        pdpte[i] = read_table(mmu->context.memory, mmu->context.ram, at, 8, &mmu->shortcuts.cycle);
        good = good && !pdpte_reserved(pdpte[i], mmu->config.preset.physical_bits);
    }
    if (good && MUT(39, true, false)) { memcpy(mmu->pdpte, pdpte, sizeof pdpte); }
    return good;
}

static int take_controls(struct mmu *mmu, const struct paging_controls *next, bool load) {
    if (load && pae_paging(next) && !load_pdptes(mmu, next->cr3)) { return MMU_VECTOR_GP; }
    mmu->controls = *next;
    paging_mode_derive(&mmu->mode, next, &mmu->config.preset);
    find_whether_usual(mmu);
    return MMU_VECTOR_NONE;
}

static void flush_all(struct mmu *mmu) {
    drop_everything(mmu);
    mmu->statistics.flush_all++;
}

static int write_cr0(struct mmu *mmu, uint64_t value) {
    struct paging_controls next = mmu->controls;
    bool pg = value & CR0_PG, changed = (next.cr0 ^ value) & CR0_PG;
    next.cr0 = value;
    if (pg && !(value & CR0_PE)) { return MMU_VECTOR_GP; }
    if (pg && (next.efer & EFER_LME) && !(next.cr4 & CR4_PAE)) { return MMU_VECTOR_GP; }
    if (!pg && (next.cr4 & CR4_PCIDE)) { return MMU_VECTOR_GP; }
    if (take_controls(mmu, &next, changed)) { return MMU_VECTOR_GP; }
    if (changed) { flush_all(mmu); }
    return MMU_VECTOR_NONE;
}

static int write_cr3(struct mmu *mmu, uint64_t value) {
    struct paging_controls next = mmu->controls;
    bool tagged = next.cr4 & CR4_PCIDE;
    uint64_t reserved = ~CR3_KEEP & ~PHYSICAL_MASK(mmu->config.preset.physical_bits);
    if (!tagged) { reserved |= CR3_KEEP; }
    if (four_level(&next) && (value & reserved)) { return MMU_VECTOR_GP; }
    next.cr3 = value & ~CR3_KEEP;
    if (take_controls(mmu, &next, MUT(42, true, false))) { return MMU_VECTOR_GP; }
    mmu->statistics.cr3_writes++;
    if (MUT(30, false, !tagged)) {
        drop_everything(mmu);
    } else if (!tagged) {
        drop_not_global(mmu);
    } else if (MUT(43, !(value & CR3_KEEP), true)) {
        drop_context(mmu, (unsigned)mmu->mode.pcid);
    }
    return MMU_VECTOR_NONE;
}

static bool cr4_refused(const struct mmu *mmu, uint64_t value, uint64_t changed) {
    for (size_t i = 0; i < sizeof cr4_features / sizeof *cr4_features; i++) {
        if ((value & cr4_features[i].bit) && !has(mmu, cr4_features[i].feature)) { return true; }
    }
    bool four = four_level(&mmu->controls);
    if (four && !(value & CR4_PAE)) { return true; }
    return (changed & value & CR4_PCIDE) && (!four || (mmu->controls.cr3 & CR3_PCID));
}

/* Large pages are 2 MB with PAE, 4 MB without; the arrays are empty when that changes. */
static int write_cr4(struct mmu *mmu, uint64_t value) {
    struct paging_controls next = mmu->controls;
    uint64_t changed = next.cr4 ^ value;
    next.cr4 = value;
    if (cr4_refused(mmu, value, changed)) { return MMU_VECTOR_GP; }
    if (take_controls(mmu, &next, changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP))) { return MMU_VECTOR_GP; }
    bool smep_set = changed & value & MUT(7, CR4_SMEP, 0), pcide_cleared = changed & ~value & CR4_PCIDE;
    if ((changed & (MUT(6, CR4_PGE, 0) | CR4_PSE | CR4_PAE)) || smep_set || pcide_cleared) { flush_all(mmu); }
    return MMU_VECTOR_NONE;
}

static int write_efer(struct mmu *mmu, uint64_t value) {
    struct paging_controls next = mmu->controls;
    uint64_t changed = next.efer ^ value;
    next.efer = value;
    if ((value & EFER_LME) && !has(mmu, CPU_LONG)) { return MMU_VECTOR_GP; }
    if ((value & EFER_NXE) && !has(mmu, CPU_NX)) { return MMU_VECTOR_GP; }
    if ((changed & EFER_LME) && (next.cr0 & CR0_PG)) { return MMU_VECTOR_GP; }
    return take_controls(mmu, &next, false);
}

static int write_pat(struct mmu *mmu, uint64_t value) {
    if (!has(mmu, CPU_PAT)) { return MMU_VECTOR_GP; }
    for (unsigned i = 0; i < 8; i++) {
        unsigned type = value >> 8 * i & 0xFF;
        if (type == 2 || type == 3 || type > 7) { return MMU_VECTOR_GP; }
    }
    mmu->controls.pat = value;
    return MMU_VECTOR_NONE;
}

int mmu_c_write_control(struct mmu *mmu, enum mmu_control which, uint64_t value) {
    mmu->shortcuts.cycle++;
    shortcuts_forget_all(mmu); /* rights depend on most of them */
    memset(mmu->allowed, 0, sizeof mmu->allowed);
    switch (which) {
    case MMU_CR0: return write_cr0(mmu, value);
    case MMU_CR3: return write_cr3(mmu, value);
    case MMU_CR4: return write_cr4(mmu, value);
    case MMU_EFER: return write_efer(mmu, value);
    case MMU_EFLAGS_AC: mmu->controls.ac = value != 0; return MMU_VECTOR_NONE;
    case MMU_PAT: return write_pat(mmu, value);
    }
    return MMU_VECTOR_GP;
}

uint64_t mmu_c_read_control(const struct mmu *mmu, enum mmu_control which) {
    const struct paging_controls *controls = &mmu->controls;
    switch (which) {
    case MMU_CR0: return controls->cr0;
    case MMU_CR3: return controls->cr3;
    case MMU_CR4: return controls->cr4;
    case MMU_EFER: return (controls->efer & ~EFER_LMA) | (four_level(controls) ? EFER_LMA : 0);
    case MMU_EFLAGS_AC: return controls->ac;
    case MMU_PAT: return controls->pat;
    }
    return 0;
}

/* ---- the instructions ---- */

/* An address that is not canonical is none to drop (SDM volume 2). */
void mmu_c_invlpg(struct mmu *mmu, va_t va) {
    mmu->shortcuts.cycle += MUT(69, 1, 2);
    mmu->statistics.invlpg++;
    if (mmu->mode.kind == PAGING_4_LEVEL && MUT(90, !is_canonical(va), false)) { return; }
    drop_address(mmu, translated_bits(mmu, va) & MUT(68, ~(va_t)0, ~((va_t)1 << 47)));
}

int mmu_c_invpcid(struct mmu *mmu, uint64_t type, uint64_t pcid, va_t va) {
    mmu->shortcuts.cycle++;
    if (!has(mmu, CPU_INVPCID)) { return MMU_VECTOR_UD; }
    if (type > INVPCID_ALL_BUT_GLOBAL || pcid > CR3_PCID) { return MMU_VECTOR_GP; }
    if (type <= INVPCID_CONTEXT && pcid != 0 && !mmu->mode.tagged) { return MMU_VECTOR_GP; }
    if (type == INVPCID_ADDRESS && mmu->mode.kind == PAGING_4_LEVEL && !is_canonical(va)) { return MMU_VECTOR_GP; }
    mmu->statistics.invpcid++;
    switch (type) {
    case INVPCID_ADDRESS:
        drop_address_of(mmu, (unsigned)MUT(40, pcid, mmu->mode.pcid), translated_bits(mmu, va));
        break;
    case INVPCID_CONTEXT: drop_context(mmu, (unsigned)MUT(40, pcid, mmu->mode.pcid)); break;
    case INVPCID_ALL: drop_everything(mmu); break;
    default: drop_not_global(mmu); break;
    }
    return MMU_VECTOR_NONE;
}
