/* A pure page walk (SDM volume 3, 4.3 and 4.4) over what memory holds now: no TLB, no accessed or dirty bit written,
 * the PDPTEs from memory, not from the registers that MOV CR3 loaded. */
#include "ntmmu/mmu.h"
#include "ntmmu/physmem.h"

#define PAE_ADDRESS 0x000FFFFFFFFFF000ull

static void take_leaf(struct table_path *path, pte_t leaf, pte_t rights, uint8_t page_shift, pa_t base, va_t va) {
    path->present = true;
    path->writable = rights & ENTRY_RW;
    path->user = rights & ENTRY_US;
    path->dirty = leaf & ENTRY_D;
    path->global = leaf & ENTRY_G;
    path->page_shift = page_shift;
    path->pa = base | (va & (((va_t)1 << page_shift) - 1));
}

static struct table_path walk_two_level(const struct physmem *mem, uint64_t cr3, uint64_t cr4, va_t va) {
    struct table_path path = {.pde_pa = (cr3 & 0xFFFFF000u) | (va >> 22 << 2)};
    path.pde = physmem_read32(mem, path.pde_pa);
    if (!(path.pde & ENTRY_P)) { return path; }
    if ((path.pde & ENTRY_PS) && (cr4 & CR4_PSE)) {
        /* PSE-36: bits 20..13 are address bits 39..32 */
        take_leaf(&path, path.pde, path.pde, 22, (path.pde & 0xFFC00000u) | (path.pde >> 13 & 0xFF) << 32, va);
        return path;
    }
    path.pte_pa = (path.pde & 0xFFFFF000u) | (va >> 12 & 0x3FF) << 2;
    path.pte = physmem_read32(mem, path.pte_pa);
    if (path.pte & ENTRY_P) { take_leaf(&path, path.pte, path.pde & path.pte, 12, path.pte & 0xFFFFF000u, va); }
    return path;
}

static struct table_path walk_pae(const struct physmem *mem, uint64_t cr3, va_t va) {
    struct table_path path = {0};
    pte_t pdpte = physmem_read64(mem, (cr3 & 0xFFFFFFE0u) + (va >> 30) * 8);
    if (!(pdpte & ENTRY_P)) { return path; }
    path.pde_pa = (pdpte & PAE_ADDRESS) | (va >> 21 & 0x1FF) << 3;
    path.pde = physmem_read64(mem, path.pde_pa);
    if (!(path.pde & ENTRY_P)) { return path; }
    if (path.pde & ENTRY_PS) {
        take_leaf(&path, path.pde, path.pde, 21, path.pde & PAE_ADDRESS & ~(pte_t)0x1FFFFF, va);
        return path;
    }
    path.pte_pa = (path.pde & PAE_ADDRESS) | (va >> 12 & 0x1FF) << 3;
    path.pte = physmem_read64(mem, path.pte_pa);
    if (path.pte & ENTRY_P) { take_leaf(&path, path.pte, path.pde & path.pte, 12, path.pte & PAE_ADDRESS, va); }
    return path;
}

struct table_path table_walk(const struct physmem *mem, uint64_t cr3, uint64_t cr4, va_t va) {
    va &= 0xFFFFFFFFu;
    return cr4 & CR4_PAE ? walk_pae(mem, cr3, va) : walk_two_level(mem, cr3, cr4, va);
}
