/* A pure 32-bit page walk (SDM volume 3, 4.3) over what memory holds now: no TLB, no accessed or dirty bit written. */
#include "ntmmu/mmu.h"
#include "ntmmu/physmem.h"

enum { ENTRY_P = 1, ENTRY_RW = 2, ENTRY_US = 4, ENTRY_D = 0x40, ENTRY_PS = 0x80, ENTRY_G = 0x100 };

static void take_leaf(struct table_path *path, uint32_t leaf, uint32_t rights, uint8_t page_shift, pa_t pa) {
    path->present = true;
    path->writable = rights & ENTRY_RW;
    path->user = rights & ENTRY_US;
    path->dirty = leaf & ENTRY_D;
    path->global = leaf & ENTRY_G;
    path->page_shift = page_shift;
    path->pa = pa;
}

struct table_path table_walk(const struct physmem *mem, uint64_t cr3, uint64_t cr4, va_t va) {
    struct table_path path = {0};
    va &= 0xFFFFFFFFu;
    path.pde_pa = (cr3 & 0xFFFFF000u) | (va >> 22 << 2);
    path.pde = physmem_read32(mem, path.pde_pa);
    if (!(path.pde & ENTRY_P)) { return path; }
    if ((path.pde & ENTRY_PS) && (cr4 & CR4_PSE)) {
        /* PSE-36: bits 20..13 are address bits 39..32 */
        pa_t base = (path.pde & 0xFFC00000u) | (pa_t)(path.pde >> 13 & 0xFF) << 32;
        take_leaf(&path, path.pde, path.pde, 22, base | (va & 0x3FFFFFu));
        return path;
    }
    path.pte_pa = (path.pde & 0xFFFFF000u) | (va >> 12 & 0x3FF) << 2;
    path.pte = physmem_read32(mem, path.pte_pa);
    if (!(path.pte & ENTRY_P)) { return path; }
    take_leaf(&path, path.pte, path.pde & path.pte, 12, (path.pte & 0xFFFFF000u) | (va & PAGE_MASK));
    return path;
}
