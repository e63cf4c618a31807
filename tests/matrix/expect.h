/* The third opinion: what the Intel SDM (volume 3, chapter 4) says about one access of a processor whose TLBs are
 * empty. Shares no code with the MMUs that it judges. */
#ifndef MATRIX_EXPECT_H
#define MATRIX_EXPECT_H

#include "ntmmu/mmu.h"

enum { LEVEL_PTE = 1, LEVEL_PDE, LEVEL_PDPTE, LEVEL_PML4E, LEVELS };

struct expect_input {
    unsigned levels; /* of tables, the root's number, and the mode: 2 = 32-bit, 3 = PAE, 4 = 4-level */
    unsigned physical_bits, features;
    uint64_t cr0, cr3, cr4, efer, pat;
    bool ac;
    uint64_t entry[LEVELS]; /* by level, [0] unused; below a leaf: not looked at */
    va_t va;
    uint8_t type, mode; /* enum mmu_type, enum mmu_mode */
};

struct expect_outcome {
    int vector; /* MMU_VECTOR_NONE or MMU_VECTOR_PF; MMU_VECTOR_GP: already when the PDPTEs are loaded */
    uint32_t error_code;
    pa_t pa;
    uint8_t page_shift, memory_type;
    uint64_t after[LEVELS];
};

struct expect_outcome matrix_expect(const struct expect_input *in);

#endif
