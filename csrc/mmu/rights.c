/* Access rights (SDM volume 3, 4.6.1) and the page-fault error code (4.7). */
#include "rights.h"

static bool user_allowed(struct page_rights page, enum mmu_type type) {
    return page.user && (page.writable || !is_write(type));
}

/* EFLAGS.AC lifts SMAP for explicit accesses only; an implicit one (a descriptor table, say) is never excused. */
static bool smap_forbids(const struct paging_controls *controls, enum mmu_mode mode) {
    bool excused = mode == MMU_SUPERVISOR && controls->ac;
    return (controls->cr4 & CR4_SMAP) && !excused;
}

static bool supervisor_allowed(const struct paging_controls *controls, struct page_rights page, enum mmu_type type,
                               enum mmu_mode mode) {
    if (type == MMU_FETCH) { return !(page.user && (controls->cr4 & CR4_SMEP)); }
    if (page.user && smap_forbids(controls, mode)) { return false; }
    return !is_write(type) || page.writable || !(controls->cr0 & CR0_WP);
}

bool access_allowed(const struct paging_controls *controls, struct page_rights page, enum mmu_type type,
                    enum mmu_mode mode) {
    return mode == MMU_USER ? user_allowed(page, type) : supervisor_allowed(controls, page, type, mode);
}

uint32_t fault_error_code(const struct paging_controls *controls, uint32_t cause, enum mmu_type type,
                          enum mmu_mode mode) {
    uint32_t code = cause;
    if (is_write(type)) { code |= PF_WRITE; }
    if (mode == MMU_USER) { code |= PF_USER; }
    /* Without SMEP (and without NXE, which 32-bit paging does not have) a fetch looks like a read. */
    if (type == MMU_FETCH && (controls->cr4 & CR4_SMEP)) { code |= PF_FETCH; }
    return code;
}
