/* Physical memory of one machine: a flat range from 0, allocated lazily by the host, little endian. */
#ifndef NTMMU_PHYSMEM_H
#define NTMMU_PHYSMEM_H

#include "ntmmu/types.h"
#include <string.h>

/* watch: one byte a frame. PHYSMEM_FRESH: nothing has been stored there yet, it is all 0, and who fills, hashes or
 * searches memory need not make the host back it. Any other bit: watcher wants to hear of stores into that frame before
 * they happen. */
#define PHYSMEM_FRESH 0x80
struct physmem {
    uint8_t *bytes;
    pa_t size;
    uint8_t *watch;
    void *watcher;
    void (*on_store)(void *watcher, pa_t pa, unsigned bytes, const void *data);
    uint8_t *device; /* PHYSMEM_DEVICE_SIZE bytes, NULL until stored to */
    bool borrowed;   /* bytes and device are somebody else's */
};

/* A device with memory of its own, say a frame buffer; there only if RAM does not reach so far. */
#define PHYSMEM_DEVICE_BASE ((pa_t)0xF0000000)
#define PHYSMEM_DEVICE_SIZE ((pa_t)1 << 20)

int physmem_init(struct physmem *mem, pa_t size); /* size: multiple of 4 MB, at most 4 GB; 0 or -1 */
/* The same over bytes that another owns and that outlive it: RAM of a size that physmem_init takes, and the device. */
int physmem_init_over(struct physmem *mem, uint8_t *bytes, pa_t size, uint8_t *device);
void physmem_fini(struct physmem *mem);

/* Zeroes of which the host backs only the pages that are used; NULL if it has none. */
uint8_t *physmem_map(pa_t size);
void physmem_unmap(uint8_t *bytes, pa_t size);

/* Beyond RAM: the device; outside of it a read gives all ones and a store is lost, as on a PC. */
void physmem_read_outside(const struct physmem *mem, pa_t pa, void *out, unsigned bytes);
void physmem_write_outside(struct physmem *mem, pa_t pa, const void *data, unsigned bytes);
void physmem_tell(struct physmem *mem, pa_t pa, const void *data, unsigned bytes); /* of a store, before it happens */

/* Somebody else is about to store there, past physmem_write. The range must not cross a frame. */
static inline void physmem_announce(struct physmem *mem, pa_t pa, const void *data, unsigned bytes) {
    if (pa <= mem->size - bytes && mem->watch[pa >> PAGE_SHIFT]) { physmem_tell(mem, pa, data, bytes); }
}

static inline bool physmem_is_fresh(const struct physmem *mem, pfn_t frame) {
    return mem->watch[frame] & PHYSMEM_FRESH;
}

/* The range must not cross a frame. */
static inline void physmem_read(const struct physmem *mem, pa_t pa, void *out, unsigned bytes) {
    if (pa <= mem->size - bytes) {
        memcpy(out, mem->bytes + pa, bytes);
    } else {
        physmem_read_outside(mem, pa, out, bytes);
    }
}

static inline void physmem_write(struct physmem *mem, pa_t pa, const void *data, unsigned bytes) {
    if (pa > mem->size - bytes) {
        physmem_write_outside(mem, pa, data, bytes);
        return;
    }
    if (mem->watch[pa >> PAGE_SHIFT]) { physmem_tell(mem, pa, data, bytes); }
    memcpy(mem->bytes + pa, data, bytes);
}

static inline void physmem_fill(struct physmem *mem, pa_t pa, uint8_t byte, unsigned bytes) {
    bool inside = pa <= mem->size - bytes;
    if (inside && byte == 0 && physmem_is_fresh(mem, pa >> PAGE_SHIFT)) { return; }
    if (!inside || mem->watch[pa >> PAGE_SHIFT]) {
        uint8_t data[PAGE_SIZE];
        memset(data, byte, bytes);
        physmem_write(mem, pa, data, bytes);
        return;
    }
    memset(mem->bytes + pa, byte, bytes);
}

static inline uint32_t physmem_read32(const struct physmem *mem, pa_t pa) {
    uint32_t v;
    physmem_read(mem, pa, &v, sizeof v);
    return v;
}

static inline uint64_t physmem_read64(const struct physmem *mem, pa_t pa) {
    uint64_t v;
    physmem_read(mem, pa, &v, sizeof v);
    return v;
}

static inline void physmem_write32(struct physmem *mem, pa_t pa, uint32_t value) {
    physmem_write(mem, pa, &value, sizeof value);
}

/* Of all that is in memory; frames of zeroes do not count, so that it depends neither on the size nor on whether there
 * is a device. */
uint64_t physmem_hash(const struct physmem *mem);

/* Where a pure walk of the tables in memory (no TLB, no A or D written) leads. For dumps, direct kernel accesses and
 * checks. cr4: CR4_PSE and CR4_PAE matter. Entry addresses are 0 where the walk did not get that far. */
struct table_path {
    pa_t pde_pa, pte_pa;
    pte_t pde, pte;
    bool present; /* a leaf was reached and is present */
    bool writable, user, dirty, global;
    uint8_t page_shift; /* 12, 21 or 22 */
    pa_t pa;
};
struct table_path table_walk(const struct physmem *mem, uint64_t cr3, uint64_t cr4, va_t va);

#endif
