/* What the files of the audit share: what a scan of simulated memory found out about each frame. They are compiled once
 * for each width of page-table entries, like the kernel whose memory they read (pte_profile.h). */
#ifndef NTMMU_CHECK_AUDIT_PRIV_H
#define NTMMU_CHECK_AUDIT_PRIV_H

#include "audit.h"
#include "ntmmu/address_space.h"
#include "ntmmu/nt_view.h"
#include "peek.h"

enum frame_owner {
    OWNER_NONE,
    OWNER_PRIVATE, /* a valid PTE that is no prototype's */
    OWNER_PRIVATE_TRANSITION,
    OWNER_PROTOTYPE, /* a valid prototype PTE */
    OWNER_PROTOTYPE_TRANSITION,
    OWNER_OUTSWAPPED /* a table of a process that is out of memory: active as long as something in it is resident */
};

struct frame_info {
    uint8_t owner;       /* enum frame_owner */
    uint32_t pid;        /* of a private owner; 0: kernel */
    uint32_t pte;        /* va of the owning PTE or prototype PTE */
    uint32_t containing; /* frame of the table (or pool page) it stands in */
    uint32_t entries;    /* as a table or prototype page: valid and transition entries in it */
    uint32_t maps;       /* valid user PTEs that map it through a prototype */
    bool listed;         /* met on a page list */
};

#define SLOT_FILE_SHIFT 32
/* A page-file slot and who names it. */
struct slot {
    uint64_t slot; /* the number of the file << SLOT_FILE_SHIFT | page, which PAE gives 32 bits */
    uint32_t where;
};

struct audit {
    const struct audit_ops *ops; /* first: audit_create of the other width has the same here */
    struct machine *machine;
    struct physmem *mem;
    const struct os *os;
    /* since boot */
    pfn_t first_frame; /* lowest frame that boot left free */
    uint32_t boot_commit;
    uint32_t boot_pool_pages;
    uint8_t *seen; /* audit_ws.c: a bit for each page of an address space, all 0 between two working sets */
    /* of one run */
    struct nt_memory_view memory;
    struct frame_info *frame; /* up to and with highest_page */
    pfn_t frames;
    uint64_t system_directory; /* CR3 */
    struct slot *slots;
    size_t slot_count, slot_capacity;
    uint32_t paging_file_pages[OS_PAGING_FILES_MAX]; /* current size, 0: there is none */
    uint32_t commit;                                 /* recounted */
    uint32_t section_pages; /* of it, pages of sections: what the prototype PTEs say */
    bool changing; /* a call that waits has some process's address-creation mutex */
    struct report *report;
    bool failed;
};

/* Reports a violation once; returns false. */
bool audit_fail(struct audit *a, const char *invariant, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Frames the audit speaks of: not boot's, not beyond what the kernel sees. */
static inline bool is_audited(const struct audit *a, pfn_t frame) {
    return frame >= a->first_frame && frame < a->memory.first_kernel_top_frame && frame < a->frames;
}

/* peek_pfn gives the entry of 4-byte kernels; this one, that of the kernel the audit is compiled for. */
static inline struct mmpfn audit_pfn(const struct audit *a, pfn_t frame) {
    struct mmpfn pfn;
    physmem_read(a->mem, (pa_t)(MM_PFN_DATABASE - MM_KSEG0_BASE) + PFN_SIZE * frame, &pfn, sizeof pfn);
    return pfn;
}
/* An entry of a table (or page of prototype PTEs); index may count on into the frames behind. */
static inline pte_t audit_entry(const struct audit *a, pfn_t table, uint32_t index) {
    mmpte_t entry;
    physmem_read(a->mem, ((pa_t)table << PAGE_SHIFT) + (pa_t)index * PTE_SIZE, &entry, sizeof entry);
    return entry;
}
static inline bool audit_is_memory(const struct audit *a, pfn_t frame) { return frame < a->mem->size >> PAGE_SHIFT; }
/* A table in the host's memory. NULL: nothing has ever been in it, or there is no such frame. */
static inline const uint8_t *audit_table(const struct audit *a, pfn_t table) {
    bool empty = !audit_is_memory(a, table) || physmem_is_fresh(a->mem, table);
    return empty ? NULL : a->mem->bytes + ((pa_t)table << PAGE_SHIFT);
}
/* The first entry that is not 0 of a table, from *index up to `end`, and where it is; false: there is none. An audit
 * looks at every entry, and most are 0. */
static inline bool audit_next_entry(const struct audit *a, pfn_t table, uint32_t end, uint32_t *index, pte_t *entry) {
    const uint8_t *page = audit_table(a, table);
    *entry = (mmpte_t)~0ull; /* what memory that is not there reads as */
    if (!audit_is_memory(a, table)) { return *index < end; }
    for (uint32_t i = *index; page && i < end; i++) {
        mmpte_t value;
        memcpy(&value, page + (size_t)i * PTE_SIZE, sizeof value);
        if (value == 0) { continue; }
        *index = i;
        *entry = value;
        return true;
    }
    return false;
}
/* The system's directories lie one behind the other. */
static inline pfn_t audit_system_directory(const struct audit *a, va_t va) {
    return a->memory.system_directory + MiGetPdeIndex(va) / MM_PTE_PER_PAGE;
}

/* audit_scan.c: fills frame[] */
bool audit_scan_processes(struct audit *a);
bool audit_scan_kernel(struct audit *a);
bool audit_scan_prototypes(struct audit *a);
bool audit_slots(struct audit *a);
bool audit_own(struct audit *a, pfn_t frame, enum frame_owner owner, uint32_t pid, uint32_t pte, pfn_t containing);
void audit_slot(struct audit *a, pte_t pte, uint32_t where);
uint32_t audit_pool_pages(struct audit *a);

/* The kernel's page table for va; false: there is none. */
bool audit_kernel_table(const struct audit *a, va_t va, pfn_t *table);
/* The first page from *va up to `end` whose entry in the kernel's tables is not 0; false: there is none. */
bool audit_next_kernel_entry(const struct audit *a, va_t end, va_t *va, pfn_t *table, pte_t *pte);

/* audit_sysptes.c: free lists; pages behind system PTEs, nonpaged pool expansion among them, and their commit. */
bool audit_system_ptes(struct audit *a);
bool audit_direct_map(struct audit *a); /* audit_direct_map.c */
/* audit_read.c: a frame with R set, I5 */
bool audit_read_in_progress(struct audit *a, pfn_t frame, const struct mmpfn *pfn);

/* audit_ws.c: one process's working set, I3, I8. valid: its valid PTEs that must have an entry. */
bool audit_working_set(struct audit *a, const struct nt_process_view *process, uint32_t valid);
/* The system's, in which each resident page of paged pool must be. */
bool audit_system_working_set(struct audit *a);
/* MmWorkingSetExpansionHead: every working set once, links symmetric. */
bool audit_expansion_list(struct audit *a);

/* audit_section.c: counts of control areas */
bool audit_sections(struct audit *a);
uint32_t audit_resident_prototypes(struct audit *a, va_t control_area); /* audit_scan.c: valid or in transition */

#endif
