/* The page-fault error code (SDM volume 3, 4.7). */
#include "rights.h"

uint32_t fault_error_code(const struct paging_controls *controls, uint32_t cause, enum mmu_type type,
                          enum mmu_mode mode) {
    uint32_t code = cause;
    if (is_write(type)) { code |= PF_WRITE; }
    if (mode == MMU_USER) { code |= PF_USER; }
    /* Without SMEP and without NXE (which 32-bit paging does not have) a fetch looks like a read. */
    bool nxe = (controls->cr4 & CR4_PAE) && (controls->efer & EFER_NXE);
    if (type == MMU_FETCH && ((controls->cr4 & CR4_SMEP) || nxe)) { code |= PF_FETCH; }
    return code;
}
