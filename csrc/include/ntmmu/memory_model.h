/* How long a table access takes: a fixed time, or that of caches of 64-byte lines with LRU in front of dram. One for a
 * machine, asked by its MMU once for each access, in order. */
#ifndef NTMMU_MEMORY_MODEL_H
#define NTMMU_MEMORY_MODEL_H

#include "ntmmu/preset.h"

struct memory_model {
    struct memory_geometry geometry;
    struct memory_cache_state {
        uint64_t *line; /* number + 1, 0: empty; a set's ways side by side, most recently used first */
    } cache[MEMORY_CACHES];
    bool cached; /* false: every access takes geometry.dram cycles */
};

/* Empty caches. fixed: cycles of every access, whatever the geometry says; 0: as it says. 0, or -1: out of memory;
 * then, too, memory_model_fini may be called. */
int memory_model_init(struct memory_model *model, const struct memory_geometry *geometry, unsigned fixed);
void memory_model_fini(struct memory_model *model);

/* Cycles, >= 1, of an access now. The first cache that holds the line says how long; the line is then the most recently
 * used one of that cache and of those before it. A compare-and-exchange takes as long as a read. */
uint32_t memory_model_latency(struct memory_model *model, pa_t pa);

#endif
