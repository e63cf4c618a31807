/* The time of table accesses (ntmmu/memory_model.h). */
#include "ntmmu/memory_model.h"

#include <stdlib.h>
#include <string.h>

#define LINE_SHIFT    6
#define USUAL_LATENCY 4

int memory_model_init(struct memory_model *model, const struct memory_geometry *geometry, unsigned fixed) {
    *model = (struct memory_model){.geometry = *geometry};
    if (fixed) { model->geometry = (struct memory_geometry){.dram = fixed}; }
    if (model->geometry.dram == 0) { model->geometry.dram = USUAL_LATENCY; }
    for (unsigned i = 0; i < MEMORY_CACHES; i++) {
        const struct memory_cache *cache = &model->geometry.cache[i];
        if (cache->ways == 0) { continue; }
        model->cached = true;
        model->cache[i].line = calloc((size_t)cache->sets * cache->ways, sizeof *model->cache[i].line);
        if (!model->cache[i].line) { return -1; }
    }
    return 0;
}

void memory_model_fini(struct memory_model *model) {
    for (unsigned i = 0; i < MEMORY_CACHES; i++) { free(model->cache[i].line); }
}

/* Makes the line its set's most recently used one. True: it was there. */
static bool touch(const struct memory_cache *cache, uint64_t *lines, uint64_t number) {
    uint64_t *set = &lines[(number & (cache->sets - 1)) * cache->ways];
    unsigned at = 0;
    while (at < cache->ways && set[at] != number + 1) { at++; }
    bool hit = at < cache->ways;
    memmove(set + 1, set, (hit ? at : cache->ways - 1) * sizeof *set);
    set[0] = number + 1;
    return hit;
}

uint32_t memory_model_latency(struct memory_model *model, pa_t pa) {
    for (unsigned i = 0; model->cached && i < MEMORY_CACHES; i++) {
        const struct memory_cache *cache = &model->geometry.cache[i];
        if (cache->ways && touch(cache, model->cache[i].line, pa >> LINE_SHIFT)) { return cache->cycles; }
    }
    return model->geometry.dram;
}
