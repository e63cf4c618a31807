/* Boundary 1: one MMU, whoever implements it. The C MMU (csrc/mmu), and the Verilog MMU behind Verilator (tb), each
 * offer one struct mmu_ops. Architecture: Intel SDM volume 3, chapter 4.
 *
 * Time. An MMU counts cycles. A request accepted at the end of cycle c is looked up in cycle c+1; a hit completes
 * there, so back-to-back hits complete one a cycle. Between calls no cycle passes: the next request is accepted in the
 * very cycle in which the last one completed. Control writes, INVLPG and INVPCID take one cycle each; a control write
 * that loads the four PDPTEs (PAE) takes 1 + the four reads' (latency + 1).
 *
 * A memory read or compare-and-exchange issued in cycle c is answered in cycle c + latency(pa, c), latency >= 1. */
#ifndef NTMMU_MMU_H
#define NTMMU_MMU_H

#include "ntmmu/paging.h"
#include "ntmmu/preset.h"
#include "ntmmu/types.h"

#define MMU_ABI_VERSION 2

enum mmu_type { MMU_READ, MMU_WRITE, MMU_FETCH, MMU_MODIFY }; /* MODIFY: locked read-modify-write, a write throughout */
static inline bool mmu_writes(enum mmu_type type) { return type == MMU_WRITE || type == MMU_MODIFY; }
enum mmu_mode {
    MMU_SUPERVISOR,
    MMU_USER,
    MMU_IMPLICIT
}; /* IMPLICIT: supervisor access that EFLAGS.AC does not excuse */

struct mmu_request {
    va_t va;
    uint8_t type; /* enum mmu_type */
    uint8_t mode; /* enum mmu_mode */
    uint8_t size; /* bytes, 1..64; must not cross a 4 KB page: the caller splits */
};

enum mmu_hit {
    MMU_HIT_OFF,  /* CR0.PG = 0: no translation */
    MMU_HIT_L1,   /* served by the first level, without a walk (a permission fault may be served so, too) */
    MMU_HIT_L2,   /* served by the second level, likewise */
    MMU_HIT_WALK, /* walked because no TLB entry covered the address */
    MMU_HIT_DIRTY /* walked again to set D: first write through a clean TLB entry */
};

enum mmu_table_op { MMU_TABLE_READ, MMU_TABLE_EXCHANGE };

/* One table access of a walk, in order. level: 1 = PTE, 2 = PDE, … For EXCHANGE, value is what memory held (equal to
 * the expected value if it succeeded) and desired what was to be stored. */
struct mmu_table_access {
    pa_t pa;
    pte_t value, desired;
    uint8_t op, level;
};

#define MMU_TABLE_MAX 12
enum { MMU_VECTOR_NONE = 0, MMU_VECTOR_UD = 6, MMU_VECTOR_GP = 13, MMU_VECTOR_PF = 14 };

struct mmu_result {
    pa_t pa;              /* valid when vector is 0 */
    va_t cr2;             /* valid when vector is MMU_VECTOR_PF */
    uint64_t done;        /* MMU cycle in which the access completed */
    uint32_t cycles;      /* cycles since the previous access or control operation completed: 1 for a hit */
    uint32_t error_code;  /* PF_* */
    uint8_t vector;       /* #GP: the address is not canonical; nothing was looked up */
    uint8_t hit;          /* enum mmu_hit */
    uint8_t page_shift;   /* 12, 21, 22 or 30; 0 if no leaf was found or paging is off */
    uint8_t memory_type;  /* enum memory_type, by PAT, PCD and PWT of the leaf; valid when vector is 0 */
    uint8_t psc_level;    /* of the paging-structure-cache entry a walk began from: 2 PDE, 3 PDPTE, 4 PML4E; 0 none */
    uint8_t table_count;  /* entries filled in table[] */
    uint16_t table_total; /* table accesses made, may exceed MMU_TABLE_MAX when walks start again */
    uint16_t restarts;    /* walks started again after a compare-and-exchange mismatch */
    struct mmu_table_access table[MMU_TABLE_MAX];
};

/* The memory an MMU is given. Widths in bytes: 4 (32-bit paging) or 8. */
struct mmu_memory {
    void *ctx;
    uint64_t (*read)(void *ctx, pa_t pa, unsigned bytes);
    uint64_t (*compare_exchange)(void *ctx, pa_t pa, unsigned bytes, uint64_t expected,
                                 uint64_t desired); /* old value */
    uint32_t (*latency)(void *ctx, pa_t pa, bool exchange,
                        uint64_t cycle); /* cycles, >= 1; asked once for each access */
};

struct mmu_config {
    struct mmu_preset preset;
    struct mmu_memory memory;
    bool assertions; /* RTL only: use the build with assertions on */
};

struct mmu_statistics {
    /* Every request with paging on looks its side's first level up once. A hit counts for the array that served it,
     * first or second level. A miss of both levels counts for the page size the walk found, or in miss_fault if the
     * walk faulted before a leaf gave the size; a walk to set D counts as such a miss. */
    uint64_t hits[MMU_ARRAYS]; /* of a paging-structure cache: walks that began from an entry of it */
    uint64_t pde_hits[2]; /* walks that began from a PDE entry of the second level: [0] of istlb or stlb, [1] dstlb */
    uint64_t misses[TLB_SIDES][TLB_PAGE_SIZES];
    uint64_t miss_fault[TLB_SIDES];
    uint64_t walks, walk_restarts, dirty_walks, walk_cycles; /* walks includes dirty_walks */
    uint64_t table_reads, table_writes;                      /* of walks; writes: successful compare-and-exchange */
    uint64_t pdpte_loads;                                    /* times that the four registers were read */
    uint64_t faults;                                         /* #PF */
    uint64_t invlpg, invpcid, cr3_writes, fault_drops;
    uint64_t flush_all; /* CR0.PG, CR4.PGE/PSE/PAE changed, PCIDE 1 to 0, SMEP 0 to 1 */
    uint64_t cycles;
};

/* One valid entry, for dumps and checks. Of a paging-structure cache or of class TLB_PDE: va is the lowest address
 * below it, pa the address of the table it points to. */
struct mmu_tlb_entry {
    va_t va;
    pa_t pa;
    uint8_t array, tlb_class; /* enum mmu_array, enum tlb_class */
    uint16_t set, way;
    uint16_t pcid;
    uint8_t memory; /* PAT << 2 | PCD << 1 | PWT of the leaf */
    bool writable, user, execute_disable, dirty, global;
    bool fragment; /* of a larger page: an entry of a smaller size stands for part of it */
};

struct mmu; /* opaque to everybody but its implementation */

struct mmu_ops {
    uint32_t abi_version; /* MMU_ABI_VERSION */
    const char *name;     /* "c", "rtl", or what somebody's own calls itself */
    /* NULL with one line in err on failure. Starts with CR0 = CR3 = CR4 = 0, TLBs empty, cycle 0. */
    struct mmu *(*create)(const struct mmu_config *config, char *err, size_t err_size);
    void (*destroy)(struct mmu *mmu);
    /* Translates requests in order, stops after the first fault. Returns how many results are filled in, the faulting
     * one included. A result's table[] beyond table_count is not written. With several walkers the walks of one call
     * overlap: its results are those of as many calls, its cycles fewer; a result's `done` is entered when its access
     * completes, before an exchange for the next one is made.
     * 0 for a count above 0: the hardware hung, or gave an illegal answer (ntmmu/architecture.h). The RTL was given
     * 100000 cycles beside its memory's latencies, one line went to stderr, and this MMU is dead: it answers nothing
     * any more, write_control returns MMU_VECTOR_GP. */
    size_t (*translate)(struct mmu *mmu, const struct mmu_request *requests, struct mmu_result *results, size_t count);
    /* Returns MMU_VECTOR_NONE, or MMU_VECTOR_GP with nothing changed. One cycle. */
    int (*write_control)(struct mmu *mmu, enum mmu_control which, uint64_t value);
    uint64_t (*read_control)(const struct mmu *mmu, enum mmu_control which);
    void (*invlpg)(struct mmu *mmu, va_t va);
    /* Returns MMU_VECTOR_NONE; MMU_VECTOR_GP (SDM volume 2) or MMU_VECTOR_UD with nothing done. One cycle. */
    int (*invpcid)(struct mmu *mmu, uint64_t type, uint64_t pcid, va_t va);
    uint64_t (*cycles)(const struct mmu *mmu);
    void (*statistics)(const struct mmu *mmu, struct mmu_statistics *out);
    /* Fills at most max valid entries, by array, set, way; returns how many there are. */
    size_t (*tlb_entries)(struct mmu *mmu, struct mmu_tlb_entry *out, size_t max);
    /* Dumps cycles [from, to) to an FST file; path NULL closes it. Returns 0, or -1 where it cannot (the C MMU, and the
     * RTL unless built with assertions). */
    int (*wave)(struct mmu *mmu, const char *path, uint64_t from, uint64_t to);
};

/* The C MMU (csrc/mmu). */
extern const struct mmu_ops mmu_c_ops;

/* An MMU in a shared object, such as the Verilated one of a preset: it exports
 * `const struct mmu_ops *ntmmu_mmu_ops(void)`. */
#define MMU_OPS_SYMBOL "ntmmu_mmu_ops"
typedef const struct mmu_ops *(*mmu_ops_fn)(void);
/* That of a file, which stays loaded. NULL with one line in err. */
const struct mmu_ops *mmu_load_object(const char *name, char *err, size_t err_size);

#endif
