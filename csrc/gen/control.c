/* The program's control registers, and its ways from one paging mode to another. */
#include "program.h"

uint64_t read_register(const struct program *p, enum mmu_control which) {
    return mmu_c_ops.read_control(p->registers, which);
}

bool paging_is_on(const struct program *p) { return read_register(p, MMU_CR0) & CR0_PG; }

bool move_to(struct program *p, enum mmu_control which, uint64_t value) {
    struct event *e = &p->event;
    e->kind = EV_MOV;
    e->mov.which = (uint8_t)which;
    e->mov.value = value;
    gen_event(p->gen, e);
    return mmu_c_ops.write_control(p->registers, which, value) == MMU_VECTOR_NONE;
}

static uint64_t base_cr4(const struct program *p) {
    return (has(p, CPU_PSE) ? CR4_PSE : 0) | (p->mode == GEN_32 ? 0 : CR4_PAE);
}

/* What the mode needs, and paging on: also where a random write has left it half-way. */
static void settle_mode(struct program *p) {
    uint64_t cr4 = read_register(p, MMU_CR4), efer = read_register(p, MMU_EFER) & ~EFER_LMA;
    bool was_long = efer & EFER_LME, is_long = p->mode == GEN_LONG;
    if ((cr4 & CR4_PCIDE) && paging_is_on(p)) { move_to(p, MMU_CR4, cr4 &= ~CR4_PCIDE); }
    if (paging_is_on(p)) { move_to(p, MMU_CR0, CR0_PE); }
    if (was_long != is_long) { move_to(p, MMU_EFER, efer ^ EFER_LME); }
    if ((cr4 ^ base_cr4(p)) & (CR4_PAE | CR4_PCIDE)) { move_to(p, MMU_CR4, base_cr4(p) | (cr4 & CR4_PGE)); }
    if (!p->begun[p->mode]) { make_roots(p); }
    move_to(p, MMU_CR3, first_root(p));
    move_to(p, MMU_CR0, CR0_PE | CR0_PG | (one_in(p, 3) ? 0 : CR0_WP));
}

void enter_mode(struct program *p, enum gen_mode mode) {
    p->mode = mode;
    settle_mode(p);
    if (has(p, CPU_PGE) && one_in(p, 2)) { move_to(p, MMU_CR4, read_register(p, MMU_CR4) | CR4_PGE); }
    if (mode != GEN_32 && has(p, CPU_NX) && one_in(p, 2)) {
        move_to(p, MMU_EFER, (read_register(p, MMU_EFER) & ~EFER_LMA) | EFER_NXE);
    }
}

static void some_cr3(struct program *p) {
    uint64_t cr3 = some_root(p) | (one_in(p, 4) ? 0x18 : 0);
    if (read_register(p, MMU_CR4) & CR4_PCIDE) {
        cr3 = (cr3 & ~CR3_PCID) | below(p, 4) | (one_in(p, 2) ? CR3_KEEP : 0);
    }
    if (one_in(p, 40)) { cr3 |= (uint64_t)1 << (32 + below(p, 32)); }
    move_to(p, MMU_CR3, cr3);
}

static void some_cr4(struct program *p) {
    static const uint64_t bits[] = {CR4_PSE, CR4_PGE, CR4_SMEP, CR4_SMAP, CR4_PCIDE, CR4_PCIDE};
    uint64_t cr4 = read_register(p, MMU_CR4) ^ bits[below(p, 6)];
    if (one_in(p, 3)) { cr4 &= ~(CR4_SMEP | CR4_SMAP); } /* with them most accesses only fault */
    if (one_in(p, 30)) { cr4 ^= CR4_PAE; }
    bool pcide = (cr4 & CR4_PCIDE) && !(read_register(p, MMU_CR4) & CR4_PCIDE);
    if (pcide && !one_in(p, 8)) { move_to(p, MMU_CR3, first_root(p)); } /* its PCID is to be 0 */
    move_to(p, MMU_CR4, cr4);
    /* 32-bit tables read as PAE would only fault */
    if ((read_register(p, MMU_CR4) ^ base_cr4(p)) & CR4_PAE) {
        move_to(p, MMU_CR4, read_register(p, MMU_CR4) ^ CR4_PAE);
    }
}

static void some_efer(struct program *p) {
    uint64_t efer = read_register(p, MMU_EFER) & ~EFER_LMA;
    move_to(p, MMU_EFER, efer ^ (one_in(p, 6) ? EFER_LME : EFER_NXE));
}

static void some_pat(struct program *p) {
    static const uint8_t types[] = {MEMORY_UC, MEMORY_WC, MEMORY_WT, MEMORY_WP, MEMORY_WB, MEMORY_UC_MINUS};
    uint64_t pat = 0;
    for (unsigned i = 0; i < 8; i++) { pat = pat << 8 | types[below(p, 6)]; }
    move_to(p, MMU_PAT, one_in(p, 6) ? pat ^ (uint64_t)1 << below(p, 64) : pat);
}

void some_control(struct program *p) {
    if (!paging_is_on(p)) {
        if (one_in(p, 2)) { settle_mode(p); }
        return;
    }
    switch (below(p, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5: some_cr3(p); break;
    case 6:
    case 7:
    case 8: some_cr4(p); break;
    case 9: move_to(p, MMU_CR0, read_register(p, MMU_CR0) ^ CR0_WP); break;
    case 10:
    case 11: move_to(p, MMU_EFLAGS_AC, below(p, 2)); break;
    case 12: some_pat(p); break;
    case 13:
    case 14: some_efer(p); break;
    default:
        if (one_in(p, 4)) { move_to(p, MMU_CR0, read_register(p, MMU_CR0) ^ CR0_PG); }
        if (one_in(p, 8)) { move_to(p, MMU_CR0, CR0_PG); } /* without PE */
    }
}
