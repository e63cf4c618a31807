/* A CPU with four like TLB arrays, for tests that need no preset file. */
#ifndef TESTS_SMALL_PRESET_H
#define TESTS_SMALL_PRESET_H

#include <cstdio>

extern "C" {
#include "ntmmu/preset.h"
}

inline mmu_preset small_preset(unsigned sets, unsigned ways, unsigned physical_bits = 32) {
    mmu_preset p = {};
    snprintf(p.name, sizeof p.name, "test");
    for (auto &side : p.tlb) {
        for (auto &geometry : side) { geometry = {sets, ways}; }
    }
    p.replacement = TLB_LRU;
    p.physical_bits = physical_bits;
    return p;
}

#endif
