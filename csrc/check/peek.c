/* Raw reads of a machine's memory. */
#include "peek.h"

#include "ntmmu/pte.h"

#define DIRECT_MAP    0x80000000u
#define MAPPED_BY_ALL ((uint64_t)CR4_PSE) /* large pages count */

bool peek(struct machine *m, uint64_t directory, va_t va, void *out, unsigned bytes) {
    struct table_path path = table_walk(machine_memory(m), directory, MAPPED_BY_ALL, va);
    if (!path.present) { return false; }
    physmem_read(machine_memory(m), path.pa, out, bytes);
    return true;
}

uint32_t peek32(struct machine *m, uint64_t directory, va_t va) {
    uint32_t value = 0;
    peek(m, directory, va, &value, sizeof value);
    return value;
}

uint32_t peek_pde(struct machine *m, uint64_t directory, va_t va) {
    return physmem_read32(machine_memory(m), (directory & ~PAGE_MASK) | (va >> 20 & 0xFFC));
}

uint32_t peek_pte(struct machine *m, uint64_t directory, va_t va) {
    uint32_t pde = peek_pde(m, directory, va);
    if (!(pde & PTE_VALID) || (pde & PTE_LARGE)) { return 0; }
    return physmem_read32(machine_memory(m), ((pa_t)pte_frame(pde) << PAGE_SHIFT) | (va >> 10 & 0xFFC));
}

struct mmpfn peek_pfn(struct machine *m, pfn_t frame) {
    struct mmpfn pfn; /* may cross a frame: the database is one physical range */
    physmem_read(machine_memory(m), pfn_address(frame) - DIRECT_MAP, &pfn, sizeof pfn);
    return pfn;
}

uint64_t peek_cr3(struct machine *m) { return machine_mmu_ops(m)->read_control(machine_mmu(m), MMU_CR3); }

bool is_nt(const struct machine *m) { return machine_os_ops(m) == &nt_os_ops; }
