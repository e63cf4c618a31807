/* Raw reads of a machine's memory. */
#include "peek.h"

#include "ntmmu/address_space.h"
#include "ntmmu/pte_pae.h"
#include "ntmmu/wsle.h"
#include "report.h"

/* Large pages count, whatever CR4.PSE says. */
static uint64_t paging_mode(struct machine *m) {
    return CR4_PSE | (machine_mmu_ops(m)->read_control(machine_mmu(m), MMU_CR4) & CR4_PAE);
}

bool peek(struct machine *m, uint64_t directory, va_t va, void *out, unsigned bytes) {
    struct table_path path = table_walk(machine_memory(m), directory, paging_mode(m), va);
    if (!path.present) { return false; }
    physmem_read(machine_memory(m), path.pa, out, bytes);
    return true;
}

uint32_t peek32(struct machine *m, uint64_t directory, va_t va) {
    uint32_t value = 0;
    peek(m, directory, va, &value, sizeof value);
    return value;
}

static pte_t read_entry(struct machine *m, pa_t pa) {
    pte_t entry = 0;
    physmem_read(machine_memory(m), pa, &entry, is_pae(m) ? 8 : 4);
    return entry;
}

pte_t peek_pde(struct machine *m, uint64_t directory, va_t va) {
    va = (uint32_t)va; /* links in memory lead anywhere */
    if (!is_pae(m)) { return read_entry(m, (directory & ~PAGE_MASK) | (va >> 20 & 0xFFC)); }
    pte_t pointer = read_entry(m, directory + 8 * pae_pdpt_index(va));
    return pointer & PTE_VALID ? read_entry(m, (pae_frame(pointer) << PAGE_SHIFT) + 8 * pae_pd_index(va)) : 0;
}

pte_t peek_pte(struct machine *m, uint64_t directory, va_t va) {
    va = (uint32_t)va;
    pte_t pde = peek_pde(m, directory, va);
    if (!(pde & PTE_VALID) || (pde & PTE_LARGE)) { return 0; }
    if (is_pae(m)) { return read_entry(m, (pae_frame(pde) << PAGE_SHIFT) + 8 * pae_pt_index(va)); }
    return read_entry(m, ((pa_t)pte_frame(pde) << PAGE_SHIFT) | (va >> 10 & 0xFFC));
}

/* An entry may cross a frame: the database is one physical range. */
#define PAE_PFN_SIZE 0x20u /* OriginalPte has 8 bytes, NT-12 */

static pa_t pfn_entry(struct machine *m, pfn_t frame) {
    return (pa_t)(MM_PFN_DATABASE - MM_KSEG0_BASE) + frame * (is_pae(m) ? PAE_PFN_SIZE : PFN_SIZE);
}

struct mmpfn peek_pfn(struct machine *m, pfn_t frame) {
    struct mmpfn pfn;
    physmem_read(machine_memory(m), pfn_entry(m, frame), &pfn, sizeof pfn);
    if (is_pae(m)) {
        physmem_read(machine_memory(m), pfn_entry(m, frame) + 0x18, &pfn.ContainingFrame, sizeof pfn.ContainingFrame);
    }
    return pfn;
}

pte_t peek_original_pte(struct machine *m, pfn_t frame) { return read_entry(m, pfn_entry(m, frame) + 0x10); }

uint64_t peek_cr3(struct machine *m) { return machine_mmu_ops(m)->read_control(machine_mmu(m), MMU_CR3); }

struct tlb_contents peek_tlbs(struct machine *m) {
    const struct mmu_preset *preset = machine_preset(m);
    size_t capacity = 1;
    for (unsigned i = 0; i < MMU_ARRAYS; i++) { capacity += (size_t)preset->array[i].sets * preset->array[i].ways; }
    struct tlb_contents tlbs = {.at = check_alloc(capacity * sizeof *tlbs.at)};
    tlbs.count = machine_mmu_ops(m)->tlb_entries(machine_mmu(m), tlbs.at, capacity);
    if (tlbs.count > capacity) { tlbs.count = capacity; } /* an MMU of somebody's own, that is larger than it says */
    return tlbs;
}

bool is_pae(const struct machine *m) { return machine_os_ops(m) == &nt_pae_os_ops; }

bool is_bare(const struct machine *m) { return machine_os_ops(m) == &bare_os_ops; }

bool is_nt(const struct machine *m) { return machine_os_ops(m) == &nt_os_ops || is_pae(m); }

struct working_set_layout working_set_layout(const struct machine *m) {
    const va_t list = is_pae(m) ? PAE_WORKING_SET_LIST : MM_WORKING_SET_LIST;
    const unsigned tables = is_pae(m) ? 2 * MM_USER_PDES : MM_USER_PDES;
    const va_t used = list + WSL_USED_PTES, bitmap = used + 2 * (va_t)tables;
    return (struct working_set_layout){list, used, bitmap, bitmap + tables / 8, tables};
}
