/* Read-only views of the kernel's own (host-side) structures, for audit, expectations and dumps. What lies in simulated
 * memory (tables, PFN database, working-set lists, prototype PTEs) is read there, not here. */
#ifndef NTMMU_NT_VIEW_H
#define NTMMU_NT_VIEW_H

#include "ntmmu/os.h"
#include "ntmmu/pfn.h"

struct nt_list_view {
    uint32_t count, first, last;
};

struct nt_process_view {
    uint32_t pid, ppid;
    uint32_t eprocess;          /* simulated address */
    uint32_t directory_base[2]; /* CR3 value, hyperspace frame << 12 */
    uint32_t working_set_page;  /* frame */
    uint32_t page_fault_count, peak_ws, ws_size, min_ws, max_ws;
    uint32_t commit_charge, locked_pages;
    bool changing; /* somebody has the address-creation mutex */
    const uint32_t *pde_fault_count; /* 768 entries, NT-37 */
    bool exiting;
    const char *image;
    uint32_t vm;                   /* simulated address of the VM structure, NT-29 */
    uint64_t ws_time;              /* UpdateTime */
    uint32_t state, ready_threads; /* 0 in memory, 1 out, 2 on its way in; threads that wait for it */
    uint32_t stack_count;          /* threads attached to it */
};

struct nt_thread_view {
    uint32_t tid, address; /* simulated ETHREAD */
    bool running;          /* on this processor */
};

struct nt_vad_view {
    va_t start, end; /* byte addresses, end inclusive */
    bool is_private, mem_commit, image;
    bool physical; /* an MDL's pages: valid PTEs of frames that belong to somebody else, in no working set */
    unsigned protection;
    uint32_t commit_charge;
    uint32_t flags;       /* NT-69, the layout of NT5 */
    uint32_t sid;         /* section of a view, 0 if private */
    va_t control_area;    /* of a view, simulated address */
    va_t first_prototype; /* of a view */
    uint32_t prototype_count;
};

/* An array of prototype PTEs in paged pool: a segment's or a fork's clones. */
struct nt_prototype_view {
    va_t base;
    uint32_t count;
    bool clone;
    uint32_t references; /* sections + views, or clone descriptors */
    va_t control_area;   /* of a segment, simulated address */
};

/* Sections and control areas; what NT-62..64 says of them is in memory at their addresses. */
struct nt_control_area_view {
    uint32_t sid;          /* section that made it */
    va_t address, segment; /* segment: 0 = none yet */
    unsigned queue;        /* 0 in use, 1 on the list of unused segments, 2 on the dereference thread's */
    uint32_t system_views, held; /* held: referenced by calls that wait */
    uint32_t committed;          /* pages charged */
    bool opened;                 /* without a file, false: it is being made or removed */
    const char *path; /* "": page-file backed */
};
struct nt_section_view {
    uint32_t sid;
    va_t address, area;
};

struct nt_memory_view {
    uint32_t highest_page, available_pages, color_mask;
    struct nt_list_view list[MM_LISTS];
    uint32_t total_committed, commit_limit, peak_commitment;
    uint32_t system_directory;       /* frame, 30h */
    uint32_t first_kernel_top_frame; /* boot's own frames at the top of RAM begin here */
    bool zeroing_active;
    bool half_in; /* the swapper waits in the middle of a process: what its tables say is not so yet */
    enum os_profile profile;
};

/* Free system PTEs, NT-16, NT-17: list heads in the form in which free entries hold references, i.e. bits 12..31 are an
 * index from base, FFFFF000 ends. The entries themselves are in simulated memory. */
#define MM_SYSTEM_PTE_SPACES 2
#define MM_SYS_PTE_CLASSES   5
struct nt_system_ptes_view {
    va_t base;
    va_t start[MM_SYSTEM_PTE_SPACES], end[MM_SYSTEM_PTE_SPACES]; /* addresses of entries */
    uint32_t first_free[MM_SYSTEM_PTE_SPACES], total_free[MM_SYSTEM_PTE_SPACES], reserved[MM_SYSTEM_PTE_SPACES];
    uint32_t flush_counter;
    struct {
        uint32_t size, minimum, count, first, last;
    } block[MM_SYS_PTE_CLASSES];
};
/* A paging file, NT-40: its PAGING_FILE and the bitmap behind it are in simulated memory. */
struct nt_paging_file_view {
    unsigned number;
    va_t address; /* of the structure, fields as NT-40 gives them */
};
#define NT_PAGING_FILE_WORDS     16
#define NT_PAGING_FILE_PAGES_MAX 0x100000u /* what 20 bits of a page-file PTE can name */

/* A block of a pool begins with 8 bytes, NT-84: its size in units of 8 bytes | POOL_ALLOCATED, its tag. */
#define POOL_UNIT      8u
#define POOL_ALLOCATED 0x80000000u

/* What of the pools carries a tag; page-aligned runs, which have no header, included. */
struct nt_pool_tag_view {
    uint32_t tag; /* first character in the low byte */
    bool paged;
    uint64_t allocations, frees, bytes; /* bytes: in use now, headers included */
};

/* There is a kernel for 4-byte PTEs and one for PAE's; what they keep differs, so that a kernel begins with this. */
struct nt_view_ops {
    void (*system_ptes)(const struct os *os, struct nt_system_ptes_view *out);
    void (*pool_tags)(const struct os *os, bool (*visit)(void *ctx, const struct nt_pool_tag_view *), void *ctx);
    void (*memory)(const struct os *os, struct nt_memory_view *out);
    void (*system_ws)(const struct os *os, struct nt_process_view *out);
    void (*address_spaces)(const struct os *os, bool (*visit)(void *ctx, const struct nt_process_view *), void *ctx);
    void (*processes)(const struct os *os, bool (*visit)(void *ctx, const struct nt_process_view *), void *ctx);
    void (*vads)(const struct os *os, uint32_t pid, bool (*visit)(void *ctx, const struct nt_vad_view *), void *ctx);
    void (*prototypes)(const struct os *os, bool (*visit)(void *ctx, const struct nt_prototype_view *), void *ctx);
    void (*control_areas)(const struct os *os, bool (*visit)(void *ctx, const struct nt_control_area_view *),
                          void *ctx);
    void (*sections)(const struct os *os, bool (*visit)(void *ctx, const struct nt_section_view *), void *ctx);
    void (*paging_files)(const struct os *os, bool (*visit)(void *ctx, const struct nt_paging_file_view *), void *ctx);
    void (*threads)(const struct os *os, uint32_t pid, bool (*visit)(void *ctx, const struct nt_thread_view *),
                    void *ctx);
    va_t (*stack_limit)(const struct os *os, uint32_t tid);
    uint32_t (*mdl_locks)(const struct os *os, pfn_t frame);
    uint32_t (*driver_locks)(const struct os *os, va_t pte);
};
static inline const struct nt_view_ops *nt_view_ops_of(const struct os *os) {
    return *(const struct nt_view_ops *const *)(const void *)os;
}

static inline void nt_view_system_ptes(const struct os *os, struct nt_system_ptes_view *out) {
    nt_view_ops_of(os)->system_ptes(os, out);
}
static inline void nt_view_pool_tags(const struct os *os, bool (*visit)(void *ctx, const struct nt_pool_tag_view *),
                                     void *ctx) {
    nt_view_ops_of(os)->pool_tags(os, visit, ctx);
}
static inline void nt_view_memory(const struct os *os, struct nt_memory_view *out) {
    nt_view_ops_of(os)->memory(os, out);
}
/* The system working set: of the view, pid 0 and what concerns working sets. */
static inline void nt_view_system_ws(const struct os *os, struct nt_process_view *out) {
    nt_view_ops_of(os)->system_ws(os, out);
}
/* Each visits all in a fixed order and stops early if visit returns false. */
/* System first, pid 0, where a trace is that names no process; then the processes. */
static inline void nt_view_address_spaces(const struct os *os,
                                          bool (*visit)(void *ctx, const struct nt_process_view *), void *ctx) {
    nt_view_ops_of(os)->address_spaces(os, visit, ctx);
}
static inline void nt_view_processes(const struct os *os, bool (*visit)(void *ctx, const struct nt_process_view *),
                                     void *ctx) {
    nt_view_ops_of(os)->processes(os, visit, ctx);
}
static inline void nt_view_vads(const struct os *os, uint32_t pid, bool (*visit)(void *ctx, const struct nt_vad_view *),
                                void *ctx) {
    nt_view_ops_of(os)->vads(os, pid, visit, ctx);
}
static inline void nt_view_prototypes(const struct os *os, bool (*visit)(void *ctx, const struct nt_prototype_view *),
                                      void *ctx) {
    nt_view_ops_of(os)->prototypes(os, visit, ctx);
}
static inline void nt_view_control_areas(const struct os *os,
                                         bool (*visit)(void *ctx, const struct nt_control_area_view *), void *ctx) {
    nt_view_ops_of(os)->control_areas(os, visit, ctx);
}
static inline void nt_view_sections(const struct os *os, bool (*visit)(void *ctx, const struct nt_section_view *),
                                    void *ctx) {
    nt_view_ops_of(os)->sections(os, visit, ctx);
}
static inline void nt_view_paging_files(const struct os *os,
                                        bool (*visit)(void *ctx, const struct nt_paging_file_view *), void *ctx) {
    nt_view_ops_of(os)->paging_files(os, visit, ctx);
}
static inline void nt_view_threads(const struct os *os, uint32_t pid,
                                   bool (*visit)(void *ctx, const struct nt_thread_view *), void *ctx) {
    nt_view_ops_of(os)->threads(os, pid, visit, ctx);
}
/* The lowest committed address of a thread's stack, NT-51; 0: no such thread, or no stack was declared. */
static inline va_t nt_view_stack_limit(const struct os *os, uint32_t tid) {
    return nt_view_ops_of(os)->stack_limit(os, tid);
}
/* Extra references of a frame by MDLs now locked, and by a driver's locked section. pte: PFN.PteAddress. */
static inline uint32_t nt_view_mdl_locks(const struct os *os, pfn_t frame) {
    return nt_view_ops_of(os)->mdl_locks(os, frame);
}
static inline uint32_t nt_view_driver_locks(const struct os *os, va_t pte) {
    return nt_view_ops_of(os)->driver_locks(os, pte);
}

#endif
