/* Every form of a page-table entry, hardware and software, encode and decode: NT-09, NT-10, NT-11 (vectors: NT-101).
 * The one place that knows these layouts; kernel, audit, expectations and dumps use it. 32-bit (non-PAE) formats. */
#ifndef NTMMU_PTE_H
#define NTMMU_PTE_H

#include "ntmmu/protection.h"
#include "ntmmu/types.h"

/* Valid PTE and PDE, NT-09 */
enum {
    PTE_VALID = 0x001,
    PTE_WRITE = 0x002,
    PTE_OWNER = 0x004,
    PTE_WRITE_THROUGH = 0x008,
    PTE_CACHE_DISABLE = 0x010,
    PTE_ACCESSED = 0x020,
    PTE_DIRTY = 0x040,
    PTE_LARGE = 0x080,
    PTE_GLOBAL = 0x100,
    PTE_COPY_ON_WRITE = 0x200,
    PTE_PROTOTYPE = 0x400,
    PTE_TRANSITION = 0x800
};
#define PTE_FRAME_SHIFT      12
#define PTE_PROTECTION_SHIFT 5
#define PTE_PROTECTION_MASK  (0x1Fu << PTE_PROTECTION_SHIFT)

/* Templates of NT-09 (CR4.PGE = 1; the kernel drops PTE_GLOBAL without it) */
enum {
    PTE_TEMPLATE_USER_PDE = 0x067,
    PTE_TEMPLATE_KERNEL = 0x163,
    PTE_TEMPLATE_KERNEL_RO = 0x121,
    PTE_TEMPLATE_PRIVATE_KERNEL = 0x063,
    PTE_TEMPLATE_DIRECT_MAP = 0x1E3
};

enum pte_form { /* in decision order, NT-10 */
                PTE_FORM_ZERO,
                PTE_FORM_VALID,
                PTE_FORM_PROTOTYPE /* pointer or VAD lookup; subsection when inside a prototype PTE */,
                PTE_FORM_TRANSITION,
                PTE_FORM_DEMAND_ZERO /* incl. decommitted and no-access */,
                PTE_FORM_PAGE_FILE
};

#define PTE_VAD_LOOKUP   0xFFFFF400u /* | protection << 5 */
#define PTE_DECOMMITTED  0x00000200u
#define PTE_NO_ACCESS    0x00000300u
#define MM_PROTOPTE_BASE 0xE1000000u
#define MM_PTE_LIST_END  0xFFFFF000u
#define MM_PTE_ONE_ENTRY 0x00000002u /* in a free run's first system PTE: it is the only one, NT-17 */

static inline enum pte_form pte_form(pte_t pte) {
    if (pte == 0) { return PTE_FORM_ZERO; }
    if (pte & PTE_VALID) { return PTE_FORM_VALID; }
    if (pte & PTE_PROTOTYPE) { return PTE_FORM_PROTOTYPE; }
    if (pte & PTE_TRANSITION) { return PTE_FORM_TRANSITION; }
    if ((pte & 0xFFFFF01Eu) == 0) { return PTE_FORM_DEMAND_ZERO; }
    return PTE_FORM_PAGE_FILE;
}

static inline pfn_t pte_frame(pte_t pte) { return (pte & 0xFFFFFFFFu) >> PTE_FRAME_SHIFT; }
static inline unsigned pte_protection(pte_t pte) { return (pte & PTE_PROTECTION_MASK) >> PTE_PROTECTION_SHIFT; }
static inline pte_t pte_with_protection(pte_t pte, unsigned protection) {
    return (pte & ~(pte_t)PTE_PROTECTION_MASK) | (pte_t)protection << PTE_PROTECTION_SHIFT;
}
static inline pte_t pte_demand_zero(unsigned protection) { return (pte_t)protection << PTE_PROTECTION_SHIFT; }
static inline pte_t pte_vad_lookup(unsigned protection) {
    return PTE_VAD_LOOKUP | (pte_t)protection << PTE_PROTECTION_SHIFT;
}
static inline bool pte_is_vad_lookup(pte_t pte) { return (pte & ~(pte_t)PTE_PROTECTION_MASK) == PTE_VAD_LOOKUP; }

/* Hardware bits that a protection gives a valid PTE: W, COW, cache disable (NT-11). */
static inline pte_t pte_protection_bits(unsigned protection) {
    pte_t bits = (protection & MM_NOCACHE) ? PTE_CACHE_DISABLE : 0;
    switch (protection & 7) {
    case MM_READWRITE:
    case MM_EXECUTE_READWRITE: return bits | PTE_WRITE;
    case MM_WRITECOPY:
    case MM_EXECUTE_WRITECOPY: return bits | PTE_COPY_ON_WRITE;
    default: return bits;
    }
}

/* A freshly built valid user PTE: P, U, A and what the protection gives; D is the caller's. */
static inline pte_t pte_valid_user(pfn_t frame, unsigned protection) {
    return frame << PTE_FRAME_SHIFT | PTE_VALID | PTE_OWNER | PTE_ACCESSED | pte_protection_bits(protection);
}
/* A valid prototype PTE: 121 / 123 / 321. */
static inline pte_t pte_valid_prototype(pfn_t frame, unsigned protection) {
    return frame << PTE_FRAME_SHIFT | PTE_VALID | PTE_ACCESSED | PTE_GLOBAL | pte_protection_bits(protection);
}
/* Transition form of a valid PTE: keeps W, U, PWT, PCD. */
static inline pte_t pte_transition(pte_t valid, unsigned protection) {
    return (valid & 0xFFFFF01Eu) | PTE_TRANSITION | (pte_t)protection << PTE_PROTECTION_SHIFT;
}
static inline pte_t pte_page_file(unsigned file, uint32_t slot, unsigned protection) {
    return (pte_t)slot << 12 | (pte_t)protection << PTE_PROTECTION_SHIFT | (pte_t)file << 1;
}
static inline unsigned pte_page_file_number(pte_t pte) { return pte >> 1 & 0xF; }
static inline uint32_t pte_page_file_offset(pte_t pte) { return (uint32_t)pte >> 12; }

/* Pointer to a prototype PTE at address proto (paged pool, multiple of 4). */
static inline pte_t pte_pointer(va_t proto) {
    uint32_t d = (uint32_t)proto - MM_PROTOPTE_BASE;
    return (d & 0x1FCu) >> 1 | (d >> 9) << 11 | PTE_PROTOTYPE;
}
static inline va_t pte_pointer_target(pte_t pte) {
    return (uint32_t)(MM_PROTOPTE_BASE + ((uint32_t)pte >> 11 << 9) + (((uint32_t)pte & 0xFEu) << 1));
}
/* Subsection form, only inside prototype PTEs: subsection at an 8-byte aligned address, base = nonpaged pool start
 * (bit 31 = 1) plus offset. Bits [26:7] at 11..30, [6:3] at 1..4. */
static inline pte_t pte_subsection(va_t subsection, va_t pool_start, unsigned protection) {
    uint32_t d = (uint32_t)(subsection - pool_start);
    return 0x80000000u | (pte_t)(d >> 7 & 0xFFFFFu) << 11 | PTE_PROTOTYPE | (pte_t)protection << PTE_PROTECTION_SHIFT |
           (d >> 3 & 0xFu) << 1;
}
static inline va_t pte_subsection_target(pte_t pte, va_t pool_start) {
    return pool_start + (((uint32_t)pte >> 11 & 0xFFFFFu) << 7) + (((uint32_t)pte >> 1 & 0xFu) << 3);
}

/* The self-map, NT-08 */
#define PTE_BASE 0xC0000000u
#define PDE_BASE 0xC0300000u
static inline va_t MiGetPteAddress(va_t va) { return PTE_BASE + ((va >> 10) & 0x003FFFFCu); }
static inline va_t MiGetPdeAddress(va_t va) { return PDE_BASE + ((va >> 20) & 0xFFCu); }
static inline va_t MiGetVirtualAddressMappedByPte(va_t pte) { return pte << 10 & 0xFFFFFFFFu; }

/* Win32 protection to mask, NT-11; -1 if invalid. And back. */
int MiMakeProtectionMask(uint32_t win32);
uint32_t MiProtectionToWin32(unsigned mask);

#include "ntmmu/pte_profile.h"

#endif
