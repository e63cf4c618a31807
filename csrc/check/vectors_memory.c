/* The memory of a vector: see vectors_memory.h. */
#include "vectors_memory.h"

void vectors_memory_reset(struct vectors_memory *memory) {
    memory->count = 0;
    memory->history_count = 0;
    memory->strayed = false;
}

struct vectors_entry *vectors_memory_find(struct vectors_memory *memory, pa_t pa) {
    for (unsigned i = 0; i < memory->count; i++) {
        if (memory->entries[i].pa == pa) { return &memory->entries[i]; }
    }
    return NULL;
}

int vectors_memory_store(struct vectors_memory *memory, pa_t pa, uint64_t value) {
    struct vectors_entry *entry = vectors_memory_find(memory, pa);
    if (memory->history_count == VECTORS_HISTORY_MAX || (!entry && memory->count == VECTORS_ENTRY_MAX)) { return -1; }
    memory->history[memory->history_count++] = (struct vectors_stored){.pa = pa, .value = value};
    if (!entry) { entry = &memory->entries[memory->count++]; }
    *entry = (struct vectors_entry){.pa = pa, .before = value, .value = value};
    return 0;
}

void vectors_memory_mark(struct vectors_memory *memory) {
    memory->strayed = false;
    for (unsigned i = 0; i < memory->count; i++) { memory->entries[i].before = memory->entries[i].value; }
}

static uint64_t read_entry(void *ctx, pa_t pa, unsigned bytes) {
    (void)bytes;
    const struct vectors_entry *entry = vectors_memory_find(ctx, pa);
    return entry ? entry->value : 0;
}

static uint64_t compare_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    (void)bytes;
    struct vectors_memory *memory = ctx;
    struct vectors_entry *entry = vectors_memory_find(memory, pa);
    uint64_t held = entry ? entry->value : 0;
    if (held != expected) { return held; }
    if (entry) {
        entry->value = desired;
    } else {
        memory->strayed = true;
    }
    return held;
}

static uint32_t latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    (void)ctx, (void)pa, (void)exchange, (void)cycle;
    return 1;
}

struct mmu_memory vectors_memory_interface(struct vectors_memory *memory) {
    return (struct mmu_memory){
        .ctx = memory, .read = read_entry, .compare_exchange = compare_exchange, .latency = latency};
}
