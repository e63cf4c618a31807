/* The memory of a vector: a few table entries, everything else 0. Remembers what the MMU did to them, and every value
 * an entry has ever held since the last reset (a stale translation must come from one of those). */
#ifndef CHECK_VECTORS_MEMORY_H
#define CHECK_VECTORS_MEMORY_H

#include "ntmmu/mmu.h"

enum {
    ENTRY_PRESENT = 1 << 0,
    ENTRY_ACCESSED = 1 << 5,
    ENTRY_DIRTY = 1 << 6,
    ENTRY_LARGE = 1 << 7,
    ENTRY_GLOBAL = 1 << 8
};

struct vectors_entry {
    pa_t pa;
    uint64_t before, value; /* before: at the last vectors_memory_mark */
};

/* What software once stored. */
struct vectors_stored {
    pa_t pa;
    uint64_t value;
};

#define VECTORS_ENTRY_MAX   256
#define VECTORS_HISTORY_MAX 1024

struct vectors_memory {
    struct vectors_entry entries[VECTORS_ENTRY_MAX];
    unsigned count;
    struct vectors_stored history[VECTORS_HISTORY_MAX];
    unsigned history_count;
    bool strayed; /* the MMU wrote where no entry is */
};

void vectors_memory_reset(struct vectors_memory *memory);
/* Software stores an entry. 0, or -1 if there are too many. */
int vectors_memory_store(struct vectors_memory *memory, pa_t pa, uint64_t value);
/* NULL where no entry is. */
struct vectors_entry *vectors_memory_find(struct vectors_memory *memory, pa_t pa);
/* From here on, `before` is what the entries hold now. */
void vectors_memory_mark(struct vectors_memory *memory);
/* The callbacks an MMU gets. One cycle of latency: cycles are not what vectors are about. */
struct mmu_memory vectors_memory_interface(struct vectors_memory *memory);

#endif
