/* A CPU with like TLB arrays, one of each page size on each side, and every feature, for tests that need no preset
 * file. */
#ifndef TESTS_SMALL_PRESET_H
#define TESTS_SMALL_PRESET_H

#include <cstdio>

extern "C" {
#include "ntmmu/preset.h"
}

inline mmu_preset small_preset(unsigned sets, unsigned ways, unsigned physical_bits = 32) {
    mmu_preset p = {};
    snprintf(p.name, sizeof p.name, "test");
    for (unsigned array : {+ARRAY_ITLB, +ARRAY_DTLB}) {
        for (unsigned size = 0; size < TLB_PAGE_SIZES; size++) { p.array[array + size] = {1u << size, sets, ways}; }
    }
    p.replacement = TLB_LRU;
    p.seed = 1;
    p.walkers = 1;
    p.features = (1u << CPU_FEATURES) - 1;
    p.physical_bits = physical_bits;
    return p;
}

#endif
