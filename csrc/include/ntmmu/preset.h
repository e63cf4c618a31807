/* CPU presets: one CPU's MMU, read from rtl/presets/NAME.preset. The RTL's parameters and the C MMU both come from this
 * one file. Lines are `key value…`, `#` starts a comment:
 *   source TEXT…                  where the figures come from
 *   replacement lru|plru|random [SEED]   of every array; SEED 1..65535, default 1
 *   physical_bits N               MAXPHYADDR, 32..52
 *   features NAME…                of enum cpu_feature, in lower case without CPU_; what is not named is
 *                                 #GP, #UD, ignored or reserved
 *   itlb|dtlb|tlb SIZES SETS WAYS       first level: instruction side, data side, or both sides in one (then neither
 *                                       itlb nor dtlb); at most three lines of each
 *   istlb|dstlb|stlb SIZES SETS WAYS    second level, likewise; at most two lines of each; none: no second level
 *   stlb_cycles N                 cycles of a second-level hit beyond the first level's one, 0..100; only with a
 *                                 source. 0 or absent: what the look-up itself takes (rtl/README.md)
 *   psc pde|pdpte|pml4e SETS WAYS paging-structure cache of that level
 *   walkers N                     1..4 (default 1): how many requests of one translate() have their table entries read at
 *                                 a time (rtl/README.md, "Several walkers"); in a replay those of a `batch` event and of a
 *                                 bare program's access over a page's end, all else is one request at a time
 *   memory fixed N                cycles of a table access, 1..1000 (default: fixed 4); or the lines
 *   memory l1|l2|l3 SETS WAYS CYCLES    caches that table accesses go through (64-byte lines, LRU), and
 *   memory dram CYCLES            what an access costs that misses all of them
 * SIZES is a comma-separated list of 4k, 2m, 1g and, second level only, pde. 2m is 4 MB where paging is without PAE. A
 * size stands in at most one line of a side and level. Sets are powers of two, 1..1024; ways 1..64. */
#ifndef NTMMU_PRESET_H
#define NTMMU_PRESET_H

#include "ntmmu/types.h"

#include <stdio.h>

enum tlb_side { TLB_INSTRUCTION, TLB_DATA, TLB_SIDES };

/* What an entry translates: a page, or (TLB_PDE) the address bits above a page table. */
enum tlb_class { TLB_4K, TLB_LARGE, TLB_1G, TLB_PAGE_SIZES, TLB_PDE = TLB_PAGE_SIZES, TLB_CLASSES };

enum tlb_replacement { TLB_LRU, TLB_PLRU, TLB_RANDOM };

/* Every array of the MMU by its number; rtl/ has the same numbers. A unified level uses the instruction side's. */
enum mmu_array {
    ARRAY_ITLB,         /* three: 0..2 */
    ARRAY_DTLB = 3,     /* three: 3..5 */
    ARRAY_ISTLB = 6,    /* two */
    ARRAY_DSTLB = 8,    /* two */
    ARRAY_PSC_PDE = 10, /* paging-structure caches, one for each level */
    ARRAY_PSC_PDPTE,
    ARRAY_PSC_PML4E,
    MMU_ARRAYS
};

struct tlb_geometry {
    unsigned classes;    /* bit enum tlb_class; 0 for a paging-structure cache */
    unsigned sets, ways; /* 0 ways: there is no such array */
};

/* rtl/mmu_types.svh numbers the bits alike. */
enum cpu_feature {
    CPU_PSE = 1 << 0,     /* 4 MB pages, CR4.PSE */
    CPU_PSE36 = 1 << 1,   /* address bits 39:32 of a 4 MB page; else bits 21:13 are reserved */
    CPU_PGE = 1 << 2,     /* global pages, CR4.PGE */
    CPU_PAE = 1 << 3,     /* CR4.PAE */
    CPU_NX = 1 << 4,      /* EFER.NXE */
    CPU_LONG = 1 << 5,    /* EFER.LME: 4-level paging */
    CPU_1G = 1 << 6,      /* 1 GB pages */
    CPU_PCID = 1 << 7,    /* CR4.PCIDE */
    CPU_INVPCID = 1 << 8, /* the instruction INVPCID */
    CPU_SMEP = 1 << 9,    /* CR4.SMEP */
    CPU_SMAP = 1 << 10,   /* CR4.SMAP */
    CPU_PAT = 1 << 11,    /* the PAT register */
    CPU_FEATURES = 12
};

/* Of bit n. */
struct cpu_feature_name {
    const char *preset, *sdm;
};
extern const struct cpu_feature_name cpu_feature_names[CPU_FEATURES];

#define WALKERS_MAX   4 /* at most */
#define MEMORY_CACHES  3

struct memory_cache {
    unsigned sets, ways, cycles; /* 0 ways: there is no such cache */
};

/* Cycles of a table access. Without caches every access takes dram cycles. */
struct memory_geometry {
    struct memory_cache cache[MEMORY_CACHES];
    unsigned dram;
};

struct mmu_preset {
    char name[64];
    char source[256];
    struct tlb_geometry array[MMU_ARRAYS];
    bool unified[2]; /* [0]: first level, [1]: second */
    unsigned stlb_cycles;
    unsigned walkers;
    enum tlb_replacement replacement;
    uint16_t seed; /* of random replacement, not 0 */
    unsigned physical_bits;
    unsigned features; /* enum cpu_feature */
    struct memory_geometry memory;
};

/* The arrays of a side and level (1 or 2): *first is the first one's number; returns how many numbers there are. */
unsigned preset_arrays(const struct mmu_preset *preset, enum tlb_side side, unsigned level, unsigned *first);

/* What reports call an array: its line's key and sizes, as in itlb_4k or stlb_4k_2m; a paging-structure cache psc_pde,
 * psc_pdpte, psc_pml4e. Of an array that the preset has not: its number. */
#define PRESET_NAME_MAX 32
void preset_array_name(const struct mmu_preset *preset, enum mmu_array array, char out[PRESET_NAME_MAX]);

/* Reads preset NAME from DIR/NAME.preset, or from NAME itself if it holds a '/'. Returns 0, or -1 with one line in
 * err: file, line, what was found, what was expected. */
int preset_load(struct mmu_preset *out, const char *dir, const char *name, char *err, size_t err_size);
/* Writes the file that preset_load reads as this preset. */
void preset_write(const struct mmu_preset *preset, FILE *out);

#endif
