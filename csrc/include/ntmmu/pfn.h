/* The PFN database entry (NT-21): 24 bytes in simulated memory at MmPfnDatabase + 18h * frame; 32 with PAE (NT-12). */
#ifndef NTMMU_PFN_H
#define NTMMU_PFN_H

#include <assert.h>

#include "ntmmu/pte.h"

#define MM_PFN_DATABASE 0x80200000u /* physical 200000 through the direct map */
#define PFN_SIZE        (MI_PAE ? 0x20u : 0x18u)
#define MM_EMPTY_LIST   0xFFFFFFFFu
#define PFN_DELETED_PTE 0xFFFFFFFFu

struct mmpfn {
    uint32_t u1;         /* next frame | WSLE index | EPROCESS | … */
    uint32_t PteAddress; /* va of the PTE or prototype PTE */
    uint32_t u2;         /* previous frame | ShareCount */
    uint16_t Flags;
    uint16_t ReferenceCount;
    mmpte_t OriginalPte;
    uint32_t ContainingFrame;
#if MI_PAE
    uint32_t Unused; /* named, so that it is 0 in memory and not what lay on the host's stack */
#endif
};
static_assert(sizeof(struct mmpfn) == PFN_SIZE, "a PFN entry has no holes");

enum {
    PFN_MODIFIED = 0x001,
    PFN_READ_IN_PROGRESS = 0x002,
    PFN_WRITE_IN_PROGRESS = 0x004,
    PFN_PROTOTYPE = 0x008,
    PFN_PARITY_ERROR = 0x080,
    PFN_LOCATION = 0x700,
    PFN_LOCATION_SHIFT = 8,
    PFN_IN_PAGE_ERROR = 0x800
};

enum mm_list { /* also the location field */
               ZeroedPageList,
               FreePageList,
               StandbyPageList,
               ModifiedPageList,
               ModifiedNoWritePageList,
               BadPageList,
               ActiveAndValid,
               TransitionPage,
               MM_LISTS = 6
};

static inline unsigned pfn_location(const struct mmpfn *pfn) {
    return (pfn->Flags & PFN_LOCATION) >> PFN_LOCATION_SHIFT;
}
static inline va_t pfn_address(pfn_t frame) { return MM_PFN_DATABASE + PFN_SIZE * frame; }

#endif
