/* CPU presets: the geometry of one CPU's MMU, read from rtl/presets/NAME.preset. The RTL's parameters and the C MMU's
 * geometry both come from this one file. Lines are `key value`, `#` starts a comment:
 *   source TEXT…               where the figures come from
 *   replacement lru|plru       true LRU or tree pseudo-LRU (ways a power of two)
 *   itlb_4k  SETS WAYS         entries for 4 KB pages, instruction side
 *   itlb_4m  SETS WAYS         entries for 4 MB pages, instruction side
 *   dtlb_4k  SETS WAYS
 *   dtlb_4m  SETS WAYS
 *   physical_bits N            MAXPHYADDR, 32..40
 * Sets are powers of two, 1..1024; ways 1..64. */
#ifndef NTMMU_PRESET_H
#define NTMMU_PRESET_H

#include "ntmmu/types.h"

enum tlb_side { TLB_INSTRUCTION, TLB_DATA, TLB_SIDES };
enum tlb_pages { TLB_4K, TLB_LARGE, TLB_PAGE_SIZES };
enum tlb_replacement { TLB_LRU, TLB_PLRU };

struct tlb_geometry {
    unsigned sets, ways;
};

struct mmu_preset {
    char name[64];
    char source[256];
    struct tlb_geometry tlb[TLB_SIDES][TLB_PAGE_SIZES];
    enum tlb_replacement replacement;
    unsigned physical_bits;
};

/* Reads preset NAME from DIR/NAME.preset, or from NAME itself if it holds a '/'. Returns 0, or -1 with one line in
 * err: file, line, what was found, what was expected. */
int preset_load(struct mmu_preset *out, const char *dir, const char *name, char *err, size_t err_size);

#endif
