/* What differs between a kernel for 4-byte page-table entries and one for PAE's 8 bytes (NT-12). csrc/nt is compiled
 * once for each, as Windows ships ntoskrnl and ntkrnlpa; with MI_PAE=1 the names of pte.h mean the formats of
 * pte_pae.h. Ends pte.h; nothing else includes it. */
#ifndef NTMMU_PTE_PROFILE_H
#define NTMMU_PTE_PROFILE_H

#ifndef MI_PAE
#define MI_PAE 0
#endif

#if MI_PAE

#include "ntmmu/pte_pae.h"

typedef uint64_t mmpte_t; /* an entry as it lies in memory */
#define MM_PDE_SHIFT 21   /* what a page table spans */

#undef PDE_BASE
#define PDE_BASE                                   PAE_PDE_BASE
#define MiGetPteAddress(va)                        pae_pte_address(va)
#define MiGetPdeAddress(va)                        pae_pde_address(va)
#define MiGetVirtualAddressMappedByPte(pte)        pae_address_mapped_by_pte(pte)
#define pte_form(pte)                              pae_form(pte)
#define pte_frame(pte)                             pae_frame(pte)
#define pte_transition(valid, protection)          pae_transition(valid, protection)
#define pte_page_file                              pae_page_file
#define pte_page_file_offset(pte)                  pae_page_file_offset(pte)
#define pte_pointer(prototype)                     pae_pointer(prototype, 0, false)
#define pte_pointer_target(pte)                    pae_pointer_target(pte)
#define pte_vad_lookup(protection)                 pae_vad_lookup(protection)
#define pte_is_vad_lookup(pte)                     pae_is_vad_lookup(pte)
#define pte_subsection(address, start, protection) ((void)(start), pae_subsection(address, protection))
#define pte_subsection_target(pte, start)          ((void)(start), pae_subsection_target(pte))

#else

typedef uint32_t mmpte_t;
#define MM_PDE_SHIFT 22

#endif

#define PTE_SIZE           ((uint32_t)sizeof(mmpte_t))
#define MM_PTE_PER_PAGE    (1u << (MM_PDE_SHIFT - PAGE_SHIFT))
#define MM_PAGE_TABLE_SPAN ((va_t)1 << MM_PDE_SHIFT)
#define MM_DIRECTORIES     ((1u << (32 - MM_PDE_SHIFT)) / MM_PTE_PER_PAGE) /* of an address space */

/* What a free system PTE holds, NT-16: a number in bits 12 to 31, and MM_PTE_ONE_ENTRY. With PAE the number is the
 * upper half. */
static inline uint32_t pte_free_entry(pte_t pte) {
#if MI_PAE
    return pae_list_next(pte) << PTE_FRAME_SHIFT | (uint32_t)(pte & MM_PTE_ONE_ENTRY);
#else
    return (uint32_t)pte;
#endif
}

/* Position of va's page table among all, and of va's entry in it. */
static inline uint32_t MiGetPdeIndex(va_t va) { return (uint32_t)(va >> MM_PDE_SHIFT); }
static inline uint32_t MiGetPteIndex(va_t va) { return (uint32_t)(va >> PAGE_SHIFT) & (MM_PTE_PER_PAGE - 1); }

#endif
