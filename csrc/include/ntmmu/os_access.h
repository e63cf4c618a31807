/* The kernel's loads and stores: os_machine_ops.read and .write, without the call where the C MMU says at once that the
 * access hits (mmu_shortcut.h) and nobody listens. In a header, because they are a third of what a page fault costs: a
 * length that the compiler knows is a copy of a few instructions. */
#ifndef NTMMU_OS_ACCESS_H
#define NTMMU_OS_ACCESS_H

#include "ntmmu/mmu_shortcut.h"
#include "ntmmu/os.h"
#include "ntmmu/physmem.h"

#define OS_ALWAYS_INLINE __attribute__((always_inline)) static inline

/* Makes the access and gives the physical address; false: nothing is done, only the MMU itself can tell. */
OS_ALWAYS_INLINE bool os_shortcut(struct os_machine *m, va_t va, unsigned type, size_t length, pa_t *pa) {
    if (!m->shortcuts || log_wants(m->log, LOG_KERNEL_ACCESS) || (va & PAGE_MASK) + length > PAGE_SIZE) {
        return false;
    }
    const struct mmu_shortcut *s = mmu_shortcut_take(m->shortcuts, va, type, MMU_SUPERVISOR);
    if (!s) { return false; }
    *pa = s->frame | (va & PAGE_MASK);
    ++*m->accesses;
    return true;
}

OS_ALWAYS_INLINE void os_read(struct os_machine *m, va_t va, void *out, size_t length) {
    pa_t pa;
    if (os_shortcut(m, va, MMU_READ, length, &pa)) {
        physmem_read(m->mem, pa, out, (unsigned)length);
    } else {
        m->ops->read(m, va, out, length);
    }
}

OS_ALWAYS_INLINE void os_write(struct os_machine *m, va_t va, const void *data, size_t length) {
    pa_t pa;
    if (os_shortcut(m, va, MMU_WRITE, length, &pa)) {
        physmem_write(m->mem, pa, data, (unsigned)length);
    } else {
        m->ops->write(m, va, data, length);
    }
}

#endif
