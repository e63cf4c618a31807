/* The kernel's constants of memory: NT's address space (NT-02, NT-06; what PAE moves, NT-12), and frames that boot
 * gives away (NT-08). Of a range, START is its first byte and END its last. Compiled for the width of page-table
 * entries, MI_PAE. */
#ifndef NTMMU_ADDRESS_SPACE_H
#define NTMMU_ADDRESS_SPACE_H

#include "ntmmu/pte.h"

#define MM_LOWEST_USER_ADDRESS  0x00010000u
#define MM_HIGHEST_USER_ADDRESS 0x7FFEFFFFu
#define MM_HIGHEST_VAD_ADDRESS  0x7FFDFFFFu
#define MM_SHARED_USER_PAGE     0x7FFE0000u
#define MM_SYSTEM_RANGE_START   0x80000000u
#define MM_KSEG0_BASE           0x80000000u
#define MM_KSEG0_END            0x9FFFFFFFu
#define MM_SYSTEM_VIEW_START    0xA0000000u /* views of sections, NT-66 */
#define MM_SYSTEM_VIEW_END      0xA2FFFFFFu
#if MI_PAE /* NT-12 */
#define MM_HYPER_BASE                 PAE_HYPER_BASE
#define MM_FIRST_RESERVED_MAPPING_PTE 0xC0604000u
#define MM_LAST_RESERVED_MAPPING_PTE  0xC06043F8u
#define MM_ZEROING_PAGE               0xC0881000u
#define MM_WORKING_SET_LIST           PAE_WORKING_SET_LIST
#define MM_PROCESS_SPACE_END          0xC0BFFFFFu
#define MM_USER_PDES                  1536u
#define MM_SYSTEM_PDPT_FRAME          0x30u /* what CR3 points to; the four directories follow */
#define MM_SYSTEM_DIRECTORY_FRAME     0x31u
#else
#define MM_HYPER_BASE                 0xC0400000u
#define MM_FIRST_RESERVED_MAPPING_PTE 0xC0301000u
#define MM_LAST_RESERVED_MAPPING_PTE  0xC03013FCu
#define MM_ZEROING_PAGE               0xC0501000u
#define MM_WORKING_SET_LIST           0xC0502000u
#define MM_PROCESS_SPACE_END          0xC07FFFFFu
#define MM_USER_PDES                  768u
#define MM_SYSTEM_DIRECTORY_FRAME     0x30u
#endif
#define MM_HYPER_SLOTS ((MM_LAST_RESERVED_MAPPING_PTE - MM_FIRST_RESERVED_MAPPING_PTE) / PTE_SIZE)
/* Page tables of hyperspace, behind the directories in the window. */
#define MM_HYPER_TABLES            ((MM_PROCESS_SPACE_END + 1u - MM_HYPER_BASE) >> MM_PDE_SHIFT)
#define MM_WSLE_PER_PAGE           1024u
#define MM_SYSTEM_WS_LIST          0xC0C00000u
#define MM_SYSTEM_CACHE_START      0xC1000000u
#define MM_SYSTEM_CACHE_END        0xC17FFFFFu
#define MM_PAGED_POOL_START        MM_PROTOPTE_BASE
#define MM_PAGED_POOL_END          0xE1FFFFFFu
#define MM_NONPAGED_SYSTEM_START   0xF8000000u
#define MM_SYSTEM_PTE_END          0xF9FFFFFFu
#define MM_NONPAGED_POOL_EXPANSION 0xFA000000u
#define MM_CRASH_DUMP_START        0xFFBE0000u
#define MM_DEBUG_PAGE              0xFFBFF000u /* behind what a crash dump uses */
#define MM_SHARED_KERNEL_PAGE      0xFFDF0000u
#define MM_USER_PROBE_ADDRESS      0x7FFF0000u
#define MM_SECTION_OBJECT_TYPE     0x801F0000u /* the object type, in the kernel image's data */
#define MM_NONPAGED_POOL_FRAME     0x260u      /* in CFG-A; in general os->MmNonPagedPoolStart */
#define MM_SYSTEM_PAGE_PTES        (MM_KSEG0_BASE + (MM_SYSTEM_DIRECTORY_FRAME << PAGE_SHIFT)) /* NT-08 */
#define MM_FIRST_FREE_FRAME        0x400u
#define MM_DIRECT_MAP_FRAMES       0x20000u /* MmKseg2Frame; CFG-B: 400 */

/* Variables of the kernel that have an address: the last page of its image, frame 1FF. */
#define MM_KERNEL_DATA           0x801FF000u
#define MM_SYSTEM_CACHE_WS       (MM_KERNEL_DATA + 0x00) /* MmSystemCacheWs, NT-29 */
#define MM_WORKING_SET_EXPANSION (MM_KERNEL_DATA + 0x40) /* MmWorkingSetExpansionHead */

#endif
