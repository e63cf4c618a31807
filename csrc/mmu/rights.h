/* Who may access a page, and what the error code of a page fault says. Intel SDM volume 3, sections 4.6 and 4.7. */
#ifndef MMU_RIGHTS_H
#define MMU_RIGHTS_H

#include "mutant.h"
#include "ntmmu/mmu.h"

/* The control registers as software wrote them, EFLAGS.AC beside them. */
struct paging_controls {
    uint64_t cr0, cr3, cr4, efer, pat;
    bool ac;
};

/* The AND of R/W and of U/S, and the OR of NX, over all levels of a translation. */
struct page_rights {
    bool writable, user, execute_disable;
};

static inline bool user_allowed(struct page_rights page, enum mmu_type type) {
    return page.user && (page.writable || !mmu_writes(type));
}

/* EFLAGS.AC lifts SMAP for explicit accesses only; an implicit one (a descriptor table, say) is never excused. */
static inline bool smap_forbids(const struct paging_controls *controls, enum mmu_mode mode) {
    bool excused = MUT(23, mode == MMU_SUPERVISOR, true) && controls->ac;
    return (controls->cr4 & CR4_SMAP) && !excused && MUT(21, true, false);
}

static inline bool supervisor_allowed(const struct paging_controls *controls, struct page_rights page,
                                      enum mmu_type type, enum mmu_mode mode) {
    if (type == MMU_FETCH) { return !(page.user && (controls->cr4 & MUT(22, CR4_SMEP, 0))); }
    if (page.user && smap_forbids(controls, mode)) { return false; }
    return !mmu_writes(type) || page.writable || !(controls->cr0 & CR0_WP);
}

/* SDM 4.6.1, with the registers as they are at the access. In the header because every TLB hit asks. */
static inline bool access_allowed(const struct paging_controls *controls, struct page_rights page, enum mmu_type type,
                                  enum mmu_mode mode) {
    if (type == MMU_FETCH && page.execute_disable && (controls->efer & MUT(33, EFER_NXE, 0))) { return false; }
    return mode == MMU_USER ? user_allowed(page, type) : supervisor_allowed(controls, page, type, mode);
}

/* SDM 4.7. cause: PF_PRESENT, PF_PRESENT | PF_RESERVED, or 0 for a not-present entry. */
static inline uint32_t fault_error_code(const struct paging_controls *controls, uint32_t cause, enum mmu_type type,
                                        enum mmu_mode mode) {
    uint32_t code = cause;
    if (mmu_writes(type)) { code |= PF_WRITE; }
    if (mode == MMU_USER) { code |= PF_USER; }
    /* Without SMEP and without NXE (which 32-bit paging does not have) a fetch looks like a read. */
    bool nxe = (controls->cr4 & CR4_PAE) && (controls->efer & EFER_NXE);
    if (type == MMU_FETCH && ((controls->cr4 & CR4_SMEP) || nxe)) { code |= PF_FETCH; }
    return code;
}

#endif
