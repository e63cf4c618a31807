/* The C MMU of a CPU that has PAE: CR4.PAE can be set, page tables then have entries of 8 bytes, NX among them, and MOV
 * CR3 loads four PDPTE registers (Intel SDM volume 3, 4.4). The presets of this version describe no such CPU and the
 * RTL refuses CR4.PAE, so it stands apart from mmu_c_ops; in all else the two are one. */
#ifndef NTMMU_MMU_PAE_H
#define NTMMU_MMU_PAE_H

#include "ntmmu/mmu.h"

#define EFER_NXE ((uint64_t)1 << 11)

extern const struct mmu_ops mmu_c_pae_ops;

#endif
