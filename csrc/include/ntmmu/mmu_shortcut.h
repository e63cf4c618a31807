/* A way round the C MMU's search, for callers that only want the physical address of an access that hits. No hardware:
 * an entry says what a translate of that page would find in the TLB now, so that taking it leaves the MMU (cycle,
 * statistics, replacement) exactly as that translate would. The C MMU forgets an entry whenever it would no longer be
 * true. The Verilog MMU has none. */
#ifndef NTMMU_MMU_SHORTCUT_H
#define NTMMU_MMU_SHORTCUT_H

#include "ntmmu/mmu.h"

#define MMU_SHORTCUTS         256u
#define MMU_SHORTCUT_EPOCH(n) ((uint64_t)(n) << 52) /* above a 64-bit address's page number */

struct mmu_shortcut {
    uint64_t key; /* epoch | page number; an older epoch is void */
    pa_t frame;
    uint64_t *hits;              /* statistics of the array that serves it */
    uint64_t *touched, *touches; /* LRU: when the entry was used last, and the array's clock (random: unused) */
    uint16_t allowed;            /* bit mmu_type + 4 * mmu_mode: hits without a fault or a walk to set D */
    uint8_t page_shift, memory_type;
};

struct mmu_shortcuts {
    uint64_t epoch; /* MMU_SHORTCUT_EPOCH of 1..4095, and again */
    uint64_t cycle; /* the MMU's */
    struct mmu_shortcut at[TLB_SIDES][MMU_SHORTCUTS];
};

static inline unsigned mmu_shortcut_right(unsigned type, unsigned mode) { return type + 4 * mode; }

/* The entry that says that the access hits, or NULL. Nothing is done. */
static inline const struct mmu_shortcut *mmu_shortcut_find(const struct mmu_shortcuts *shortcuts, va_t va,
                                                           unsigned type, unsigned mode) {
    uint64_t page = va >> PAGE_SHIFT;
    const struct mmu_shortcut *s = &shortcuts->at[type == MMU_FETCH ? TLB_INSTRUCTION : TLB_DATA][page % MMU_SHORTCUTS];
    return s->key == (shortcuts->epoch | page) && (s->allowed >> mmu_shortcut_right(type, mode) & 1) ? s : NULL;
}

/* Makes the access for which it was found. */
static inline void mmu_shortcut_use(struct mmu_shortcuts *shortcuts, const struct mmu_shortcut *s) {
    shortcuts->cycle++;
    ++*s->hits;
    *s->touched = ++*s->touches;
}

/* Makes the access and returns its entry, or returns NULL with nothing done. */
static inline const struct mmu_shortcut *mmu_shortcut_take(struct mmu_shortcuts *shortcuts, va_t va, unsigned type,
                                                           unsigned mode) {
    const struct mmu_shortcut *s = mmu_shortcut_find(shortcuts, va, type, mode);
    if (s) { mmu_shortcut_use(shortcuts, s); }
    return s;
}

/* Of an MMU that mmu_c_ops created; lives as long as it does. */
struct mmu_shortcuts *mmu_c_shortcuts(struct mmu *mmu);

/* RAM in which an MMU's walks may read tables themselves: the same values as by the calls of its struct mmu_memory,
 * which must be over this RAM and answer every access in the same time; without the calls. */
struct mmu_ram {
    const uint8_t *bytes; /* NULL: none such */
    pa_t size;
    uint32_t latency;
};
void mmu_c_use_ram(struct mmu *mmu, struct mmu_ram ram);

#endif
