/* Page-table entries with physical address extension, 8 bytes each: NT-12 (profile NT5PAE). Flags and protection masks
 * are those of pte.h; frames and software fields are wider, and neither page-file offsets nor addresses are packed. */
#ifndef NTMMU_PTE_PAE_H
#define NTMMU_PTE_PAE_H

#include "ntmmu/pte.h"

#define PAE_FRAME_MASK        0x0000000FFFFFF000ull /* bits 12..35: 64 GB of physical memory */
#define PAE_HIGH_SHIFT        32
#define PAE_POINTER_SHIFT     11 /* protection in the pointer form */
#define PAE_POINTER_READ_ONLY 0x100u
#define PAE_LIST_END          0xFFFFFFFFull
#define PAE_LARGE_PAGE        0x200000u

/* Page-directory pointers: four, found by CR3, which is 32-byte aligned. */
#define PAE_PDPTE_LEGAL (PTE_VALID | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE | PAE_FRAME_MASK)
static inline bool pae_pdpte_is_legal(pte_t pdpte) { return (pdpte & ~(pte_t)PAE_PDPTE_LEGAL) == 0; }
static inline unsigned pae_pdpt_index(va_t va) { return (unsigned)(va >> 30 & 3); }
static inline unsigned pae_pd_index(va_t va) { return (unsigned)(va >> 21 & 0x1FF); }
static inline unsigned pae_pt_index(va_t va) { return (unsigned)(va >> 12 & 0x1FF); }

/* The self-map: entries 0..3 of the fourth directory hold the four directories. */
#define PAE_PTE_BASE         0xC0000000u
#define PAE_PTE_TOP          0xC07FFFFFu
#define PAE_PDE_BASE         0xC0600000u
#define PAE_HYPER_BASE       0xC0800000u
#define PAE_HYPER_RING_END   0xC087FFFFu /* 127 mappings */
#define PAE_WORKING_SET_LIST 0xC0882000u
static inline va_t pae_pte_address(va_t va) { return PAE_PTE_BASE + (va >> 12 & 0xFFFFF) * 8; }
static inline va_t pae_pde_address(va_t va) { return PAE_PDE_BASE + (va >> 21 & 0x7FF) * 8; }
static inline va_t pae_address_mapped_by_pte(va_t pte) { return (pte - PAE_PTE_BASE) / 8 << 12 & 0xFFFFFFFFu; }

static inline pfn_t pae_frame(pte_t pte) { return (pte & PAE_FRAME_MASK) >> PTE_FRAME_SHIFT; }
static inline pte_t pae_valid_user(pfn_t frame, unsigned protection) { return pte_valid_user(frame, protection); }
static inline pte_t pae_valid_prototype(pfn_t frame, unsigned protection) {
    return pte_valid_prototype(frame, protection);
}
static inline pte_t pae_transition(pte_t valid, unsigned protection) {
    const pte_t kept = PAE_FRAME_MASK | PTE_WRITE | PTE_OWNER | PTE_WRITE_THROUGH | PTE_CACHE_DISABLE;
    return (valid & kept) | PTE_TRANSITION | (pte_t)protection << PTE_PROTECTION_SHIFT;
}

static inline pte_t pae_demand_zero(unsigned protection) { return pte_demand_zero(protection); }
static inline pte_t pae_page_file(unsigned file, uint32_t slot, unsigned protection) {
    return (pte_t)slot << PAE_HIGH_SHIFT | (pte_t)protection << PTE_PROTECTION_SHIFT | (pte_t)file << 1;
}
static inline unsigned pae_page_file_number(pte_t pte) { return pte_page_file_number(pte); }
static inline uint32_t pae_page_file_offset(pte_t pte) { return (uint32_t)(pte >> PAE_HIGH_SHIFT); }

/* Pointer to a prototype PTE, with the whole address and a protection of its own. */
static inline pte_t pae_pointer(va_t proto, unsigned protection, bool read_only) {
    return (pte_t)(uint32_t)proto << PAE_HIGH_SHIFT | (pte_t)protection << PAE_POINTER_SHIFT | PTE_PROTOTYPE |
           (read_only ? PAE_POINTER_READ_ONLY : 0u);
}
static inline va_t pae_pointer_target(pte_t pte) { return pte >> PAE_HIGH_SHIFT; }
static inline unsigned pae_pointer_protection(pte_t pte) { return (unsigned)(pte >> PAE_POINTER_SHIFT & 0x1F); }
static inline bool pae_pointer_is_read_only(pte_t pte) { return pte & PAE_POINTER_READ_ONLY; }

static inline pte_t pae_vad_lookup(unsigned protection) {
    return 0xFFFFFFFFull << PAE_HIGH_SHIFT | PTE_PROTOTYPE | (pte_t)protection << PTE_PROTECTION_SHIFT;
}
static inline bool pae_is_vad_lookup(pte_t pte) { return pte_with_protection(pte, 0) == pae_vad_lookup(0); }

static inline pte_t pae_subsection(va_t subsection, unsigned protection) {
    return (pte_t)(uint32_t)subsection << PAE_HIGH_SHIFT | PTE_PROTOTYPE | (pte_t)protection << PTE_PROTECTION_SHIFT;
}
static inline va_t pae_subsection_target(pte_t pte) { return pte >> PAE_HIGH_SHIFT; }

/* Free system PTEs: index of the next one. */
static inline pte_t pae_list(uint32_t next, bool one_entry) {
    return (pte_t)next << PAE_HIGH_SHIFT | (one_entry ? MM_PTE_ONE_ENTRY : 0u);
}
static inline uint32_t pae_list_next(pte_t pte) { return (uint32_t)(pte >> PAE_HIGH_SHIFT); }

static inline enum pte_form pae_form(pte_t pte) {
    if (pte == 0) { return PTE_FORM_ZERO; }
    if (pte & PTE_VALID) { return PTE_FORM_VALID; }
    if (pte & PTE_PROTOTYPE) { return PTE_FORM_PROTOTYPE; }
    if (pte & PTE_TRANSITION) { return PTE_FORM_TRANSITION; }
    return pte_with_protection(pte, 0) == 0 ? PTE_FORM_DEMAND_ZERO : PTE_FORM_PAGE_FILE;
}

/* The 4-byte stores that replace an entry, in order. A valid entry of which both halves change is made invalid first,
 * so that a walker never sees half of each. */
struct pae_store {
    bool high;
    uint32_t value;
};
static inline unsigned pae_stores(pte_t old, pte_t value, struct pae_store store[3]) {
    uint32_t low = (uint32_t)value, high = (uint32_t)(value >> PAE_HIGH_SHIFT);
    bool high_changes = high != (uint32_t)(old >> PAE_HIGH_SHIFT);
    unsigned count = 0;
    if (high_changes && (old & PTE_VALID) && low != (uint32_t)old) { store[count++] = (struct pae_store){false, 0}; }
    if (high_changes) { store[count++] = (struct pae_store){true, high}; }
    if (low != (uint32_t)old) { store[count++] = (struct pae_store){false, low}; }
    return count;
}

#endif
