/* Physical memory: one anonymous mapping, of which the host backs only the pages that are used. */
#include "ntmmu/physmem.h"

#include <stdlib.h>
#include <sys/mman.h>

#define PHYSMEM_UNIT ((pa_t)4 << 20)
#define PHYSMEM_MAX  ((pa_t)4 << 30)

int physmem_init(struct physmem *mem, pa_t size) {
    memset(mem, 0, sizeof *mem);
    if (size == 0 || size % PHYSMEM_UNIT != 0 || size > PHYSMEM_MAX) { return -1; }
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED) { return -1; }
    madvise(bytes, size, MADV_HUGEPAGE); /* a wish: touches all over gigabytes miss the host's TLB less often */
    madvise(bytes, size, MADV_HUGEPAGE); /* the host's own page faults cost more than the simulated ones */
    mem->watch = calloc(size >> PAGE_SHIFT, 1);
    if (!mem->watch) {
        munmap(bytes, size);
        return -1;
    }
    mem->bytes = bytes;
    mem->size = size;
    return 0;
}

void physmem_fini(struct physmem *mem) {
    if (mem->bytes) { munmap(mem->bytes, mem->size); }
    free(mem->watch);
    free(mem->device);
    memset(mem, 0, sizeof *mem);
}

static bool is_device(pa_t pa, unsigned bytes) {
    return pa >= PHYSMEM_DEVICE_BASE && pa + bytes <= PHYSMEM_DEVICE_BASE + PHYSMEM_DEVICE_SIZE;
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

void physmem_write_watched(struct physmem *mem, pa_t pa, const void *data, unsigned bytes) {
    if (mem->on_store) { mem->on_store(mem->watcher, pa, bytes, data); }
    memcpy(mem->bytes + pa, data, bytes);
}
