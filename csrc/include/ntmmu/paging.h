/* What paging shows a kernel: the control registers it obeys (SDM volume 3, 2.5) and the error code of #PF (4.7). */
#ifndef NTMMU_PAGING_H
#define NTMMU_PAGING_H

#include "ntmmu/types.h"

enum mmu_control { MMU_CR0, MMU_CR3, MMU_CR4, MMU_EFER, MMU_EFLAGS_AC /* value 0 or 1 */ };

/* Control-register bits that paging looks at. */
#define CR0_WP   ((uint64_t)1 << 16)
#define CR0_PG   ((uint64_t)1 << 31)
#define CR0_PE   ((uint64_t)1 << 0)
#define CR4_PSE  ((uint64_t)1 << 4)
#define CR4_PAE  ((uint64_t)1 << 5)
#define CR4_PGE  ((uint64_t)1 << 7)
#define CR4_SMEP ((uint64_t)1 << 20)
#define CR4_SMAP ((uint64_t)1 << 21)

/* #PF error code, SDM 4.7 */
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

#endif
