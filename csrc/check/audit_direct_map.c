/* Check 4, audit: the direct map (NT-13). Whether large pages or page tables, 80000000 + p leads to p, for the kernel
 * alone and writable. Accessed, dirty and global bits are not its business. */
#include "audit_priv.h"

#include <inttypes.h>

#define LEFT_OPEN ((pte_t)(PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL))

static bool is_identity(struct audit *a, const char *what, va_t va, pte_t entry, pte_t large) {
    pte_t expected = (va - MM_KSEG0_BASE) | PTE_VALID | PTE_WRITE | large;
    if ((entry & ~LEFT_OPEN) == expected) { return true; }
    return audit_fail(a, "I10", "direct map: %s of %08" PRIx64 " expected %08" PRIx64 ", found %08" PRIx64, what, va,
                      expected, entry);
}

static bool table_is_identity(struct audit *a, va_t va, pfn_t table) {
    for (uint32_t i = 0; i < MM_PTE_PER_PAGE; i++) {
        if (!is_identity(a, "PTE", va + ((va_t)i << PAGE_SHIFT), audit_entry(a, table, i), 0)) { return false; }
    }
    return true;
}

/* Where it ends is the configuration's; holes it has none. */
bool audit_direct_map(struct audit *a) {
    bool ended = false;
    for (va_t va = MM_KSEG0_BASE; va <= MM_KSEG0_END; va += MM_PAGE_TABLE_SPAN) {
        pte_t pde = peek_pde(a->machine, a->system_directory, va);
        bool table = (pde & PTE_VALID) && !(pde & PTE_LARGE);
        ended = ended || (pde == 0 && va > MM_KSEG0_BASE);
        if (pde == 0 && ended) { continue; }
        if (ended) { return audit_fail(a, "I10", "direct map: a hole below %08" PRIx64, va); }
        if (table ? !table_is_identity(a, va, pte_frame(pde)) : !is_identity(a, "PDE", va, pde, PTE_LARGE)) {
            return false;
        }
    }
    return true;
}
