/* Reading a machine's simulated memory from outside: raw physical reads, no TLB, no A or D bit, no side effect. */
#ifndef NTMMU_CHECK_PEEK_H
#define NTMMU_CHECK_PEEK_H

#include "ntmmu/machine.h"
#include "ntmmu/pfn.h"

/* Where the working-set list and its parts stand in every process, NT-30, NT-31, NT-37; elsewhere with PAE, NT-12. */
struct working_set_layout {
    va_t list;
    va_t used;   /* a 16-bit counter for each page table */
    va_t bitmap; /* page tables charged to commit */
    va_t entries;
    unsigned tables; /* of user space, 3 GB */
};
struct working_set_layout working_set_layout(const struct machine *m);

/* va through the tables of DIRECTORY (a CR3 value); bytes must not cross a page. False: not mapped. */
bool peek(struct machine *m, uint64_t directory, va_t va, void *out, unsigned bytes);
/* 4 bytes, 0 if not mapped. */
uint32_t peek32(struct machine *m, uint64_t directory, va_t va);
/* The PDE and PTE words of va; the PTE is 0 where there is no page table (or a large page). */
pte_t peek_pde(struct machine *m, uint64_t directory, va_t va);
pte_t peek_pte(struct machine *m, uint64_t directory, va_t va);
/* With PAE: of OriginalPte the lower half; all of it is peek_original_pte. */
struct mmpfn peek_pfn(struct machine *m, pfn_t frame);
pte_t peek_original_pte(struct machine *m, pfn_t frame);
uint64_t peek_cr3(struct machine *m);
/* What its TLBs hold, by array, set and way; the caller frees `at`. */
struct tlb_contents {
    struct mmu_tlb_entry *at;
    size_t count;
};
struct tlb_contents peek_tlbs(struct machine *m);
/* The machine runs the NT kernel: nt_view.h may be used. */
bool is_nt(const struct machine *m);
bool is_pae(const struct machine *m);  /* … with PAE's tables */
bool is_bare(const struct machine *m); /* it runs none */

#endif
