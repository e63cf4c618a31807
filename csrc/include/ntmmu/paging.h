/* What paging shows a kernel: the control registers it obeys (SDM volume 3, 2.5), the entries of its tables (4.3 to
 * 4.5) and the error code of #PF (4.7). */
#ifndef NTMMU_PAGING_H
#define NTMMU_PAGING_H

#include "ntmmu/types.h"

enum mmu_control { MMU_CR0, MMU_CR3, MMU_CR4, MMU_EFER, MMU_EFLAGS_AC /* value 0 or 1 */, MMU_PAT };

/* Control-register bits that paging looks at. */
#define CR0_WP    ((uint64_t)1 << 16)
#define CR0_PG    ((uint64_t)1 << 31)
#define CR0_PE    ((uint64_t)1 << 0)
#define CR4_PSE   ((uint64_t)1 << 4)
#define CR4_PAE   ((uint64_t)1 << 5)
#define CR4_PGE   ((uint64_t)1 << 7)
#define CR4_PCIDE ((uint64_t)1 << 17)
#define CR4_SMEP  ((uint64_t)1 << 20)
#define CR4_SMAP  ((uint64_t)1 << 21)
#define CR3_KEEP  ((uint64_t)1 << 63) /* of the value moved to CR3 with CR4.PCIDE set: drop nothing */
#define CR3_PCID  ((uint64_t)0xFFF)
#define EFER_LME  ((uint64_t)1 << 8)
#define EFER_LMA  ((uint64_t)1 << 10) /* read only: LME and CR0.PG */
#define EFER_NXE  ((uint64_t)1 << 11)
#define PAT_RESET ((uint64_t)0x0007040600070406)

/* Bits of a table entry of any level and paging mode, SDM tables 4-4 to 4-20 */
enum {
    ENTRY_P = 1 << 0,
    ENTRY_RW = 1 << 1,
    ENTRY_US = 1 << 2,
    ENTRY_A = 1 << 5,
    ENTRY_D = 1 << 6,
    ENTRY_PS = 1 << 7,
    ENTRY_G = 1 << 8
};
#define ENTRY_NX ((uint64_t)1 << 63)

/* Memory types as the PAT register has them, SDM 11.12.2 */
enum memory_type { MEMORY_UC = 0, MEMORY_WC = 1, MEMORY_WT = 4, MEMORY_WP = 5, MEMORY_WB = 6, MEMORY_UC_MINUS = 7 };

/* INVPCID's types, SDM volume 2 */
enum invpcid_type { INVPCID_ADDRESS, INVPCID_CONTEXT, INVPCID_ALL, INVPCID_ALL_BUT_GLOBAL };

/* #PF error code, SDM 4.7 */
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

#endif
