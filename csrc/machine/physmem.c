/* Physical memory: one anonymous mapping, of which the host backs only the pages that are used. */
#include "ntmmu/physmem.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PHYSMEM_UNIT ((pa_t)4 << 20)
#define PHYSMEM_MAX  ((pa_t)4 << 30)
#define PHYSMEM_HUGE ((pa_t)32 << 20) /* smaller ones: to clear huge pages would take longer than all the rest of boot */

uint8_t *physmem_map(pa_t size) {
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED) { return NULL; }
    /* a wish: touches all over gigabytes miss the host's TLB less often, and its own page faults cost more than the
     * simulated ones */
    if (size >= PHYSMEM_HUGE) { madvise(bytes, size, MADV_HUGEPAGE); }
    return bytes;
}

void physmem_unmap(uint8_t *bytes, pa_t size) { munmap(bytes, size); }

int physmem_init_over(struct physmem *mem, uint8_t *bytes, pa_t size, uint8_t *device) {
    memset(mem, 0, sizeof *mem);
    if (size == 0 || size % PHYSMEM_UNIT != 0 || size > PHYSMEM_MAX) { return -1; }
    mem->watch = calloc(size >> PAGE_SHIFT, 1);
    if (!mem->watch) { return -1; }
    mem->bytes = bytes;
    mem->size = size;
    mem->device = device;
    mem->borrowed = true;
    return 0;
}

int physmem_init(struct physmem *mem, pa_t size) {
    uint8_t *bytes = physmem_map(size);
    if (!bytes || physmem_init_over(mem, bytes, size, NULL)) {
        if (bytes) { physmem_unmap(bytes, size); }
        memset(mem, 0, sizeof *mem);
        return -1;
    }
    mem->borrowed = false;
    memset(mem->watch, PHYSMEM_FRESH, size >> PAGE_SHIFT);
    return 0;
}

void physmem_fini(struct physmem *mem) {
    free(mem->watch);
    if (!mem->borrowed) {
        if (mem->bytes) { physmem_unmap(mem->bytes, mem->size); }
        free(mem->device);
    }
    memset(mem, 0, sizeof *mem);
}

static bool is_device(pa_t pa, unsigned bytes) {
    return pa >= PHYSMEM_DEVICE_BASE && pa - PHYSMEM_DEVICE_BASE <= PHYSMEM_DEVICE_SIZE - bytes;
}

void physmem_read_outside(const struct physmem *mem, pa_t pa, void *out, unsigned bytes) {
    memset(out, is_device(pa, bytes) ? 0 : 0xFF, bytes);
    if (is_device(pa, bytes) && mem->device) { memcpy(out, mem->device + (pa - PHYSMEM_DEVICE_BASE), bytes); }
}

void physmem_write_outside(struct physmem *mem, pa_t pa, const void *data, unsigned bytes) {
    if (!is_device(pa, bytes)) { return; }
    if (!mem->device) { mem->device = calloc(1, PHYSMEM_DEVICE_SIZE); }
    if (mem->device) { memcpy(mem->device + (pa - PHYSMEM_DEVICE_BASE), data, bytes); }
}

void physmem_tell(struct physmem *mem, pa_t pa, const void *data, unsigned bytes) {
    uint8_t *watch = &mem->watch[pa >> PAGE_SHIFT];
    *watch &= (uint8_t)~PHYSMEM_FRESH;
    if (*watch && mem->on_store) { mem->on_store(mem->watcher, pa, bytes, data); }
}

static uint64_t hash_frame(uint64_t hash, pfn_t frame, const uint8_t *bytes) {
    if (bytes[0] == 0 && memcmp(bytes, bytes + 1, PAGE_SIZE - 1) == 0) { return hash; }
    hash = mix64(hash ^ frame);
    for (size_t i = 0; i < PAGE_SIZE; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        hash = mix64(hash ^ word);
    }
    return hash;
}

uint64_t physmem_hash(const struct physmem *mem) {
    uint64_t hash = 0;
    for (pfn_t frame = 0; frame < mem->size >> PAGE_SHIFT; frame++) {
        if (!physmem_is_fresh(mem, frame)) { hash = hash_frame(hash, frame, mem->bytes + (frame << PAGE_SHIFT)); }
    }
    for (pa_t at = 0; mem->device && at < PHYSMEM_DEVICE_SIZE; at += PAGE_SIZE) {
        hash = hash_frame(hash, (PHYSMEM_DEVICE_BASE + at) >> PAGE_SHIFT, mem->device + at);
    }
    return hash;
}
