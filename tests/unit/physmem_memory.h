/* A struct physmem as the memory of an MMU; every table access takes one cycle. */
#ifndef TESTS_PHYSMEM_MEMORY_H
#define TESTS_PHYSMEM_MEMORY_H

extern "C" {
#include "ntmmu/mmu.h"
#include "ntmmu/physmem.h"
}

inline uint64_t physmem_table_read(void *ctx, pa_t pa, unsigned bytes) {
    uint64_t value = 0;
    physmem_read(static_cast<physmem *>(ctx), pa, &value, bytes);
    return value;
}

inline uint64_t physmem_table_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    uint64_t old = physmem_table_read(ctx, pa, bytes);
    if (old == expected) { physmem_write(static_cast<physmem *>(ctx), pa, &desired, bytes); }
    return old;
}

inline uint32_t physmem_table_latency(void *, pa_t, bool, uint64_t) { return 1; }

inline mmu_memory physmem_memory(physmem *mem) {
    return {mem, physmem_table_read, physmem_table_exchange, physmem_table_latency};
}

#endif
