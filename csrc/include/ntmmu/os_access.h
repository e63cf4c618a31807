/* The kernel's loads and stores: os_machine_ops.read and .write, without the call where the C MMU says at once that the
 * access hits (mmu_shortcut.h) and nobody listens. In a header, because they are a third of what a page fault costs. */
#ifndef NTMMU_OS_ACCESS_H
#define NTMMU_OS_ACCESS_H

#include "ntmmu/mmu_shortcut.h"
#include "ntmmu/os.h"
#include "ntmmu/physmem.h"

#define OS_ALWAYS_INLINE __attribute__((always_inline, unused)) static inline
#define OS_LIKELY(what)  __builtin_expect(!!(what), 1)

OS_ALWAYS_INLINE const struct mmu_shortcut *os_shortcut(const struct os_machine *m, va_t va, unsigned type,
                                                        size_t length) {
    bool here = m->shortcuts && !log_wants(m->log, LOG_KERNEL_ACCESS) && (va & PAGE_MASK) + length <= PAGE_SIZE;
    return OS_LIKELY(here) ? mmu_shortcut_find(m->shortcuts, va, type, MMU_SUPERVISOR) : NULL;
}

/* Makes the access and gives where the host has its bytes, for a load or for a store that comes now. NULL: nothing is
 * done, only os_machine_ops can. */
OS_ALWAYS_INLINE void *os_place(struct os_machine *m, va_t va, unsigned type, size_t length) {
    const struct mmu_shortcut *s = os_shortcut(m, va, type, length);
    if (!OS_LIKELY(s)) { return NULL; }
    struct physmem *mem = m->mem;
    pa_t pa = s->frame | (va & PAGE_MASK); /* all bytes are in its page, and RAM ends with a page */
    if (!OS_LIKELY(pa < mem->size) || (type != MMU_READ && mem->watch[pa >> PAGE_SHIFT])) { return NULL; }
    mmu_shortcut_use(m->shortcuts, s);
    ++*m->accesses;
    return mem->bytes + pa;
}

/* The same for a load and then a store of the same bytes: two accesses. */
OS_ALWAYS_INLINE void *os_place_to_change(struct os_machine *m, va_t va, size_t length) {
    void *at = os_place(m, va, MMU_WRITE, length);
    if (OS_LIKELY(at)) {
        mmu_shortcut_use(m->shortcuts, mmu_shortcut_find(m->shortcuts, va, MMU_WRITE, MMU_SUPERVISOR));
        ++*m->accesses;
    }
    return at;
}

/* os_read_NAME(m, va) and os_write_NAME(m, va, value) of a type. A structure goes from field to field: copied through
 * memory after one of its fields has been changed, it would wait for that store. */
#define OS_TYPED_ACCESS(name, type_name)                                                                               \
    struct __attribute__((may_alias, packed)) os_##name##_in_memory {                                                  \
        type_name value;                                                                                               \
    };                                                                                                                 \
    OS_ALWAYS_INLINE type_name os_read_##name(struct os_machine *m, va_t va) {                                         \
        const struct os_##name##_in_memory *at = os_place(m, va, MMU_READ, sizeof *at);                                \
        if (OS_LIKELY(at)) { return at->value; }                                                                       \
        type_name value;                                                                                               \
        m->ops->read(m, va, &value, sizeof value);                                                                     \
        return value;                                                                                                  \
    }                                                                                                                  \
    OS_ALWAYS_INLINE void os_write_##name(struct os_machine *m, va_t va, type_name value) {                            \
        struct os_##name##_in_memory *at = os_place(m, va, MMU_WRITE, sizeof *at);                                     \
        if (OS_LIKELY(at)) {                                                                                           \
            at->value = value;                                                                                         \
        } else {                                                                                                       \
            type_name copy = value;                                                                                    \
            m->ops->write(m, va, &copy, sizeof copy);                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    _Static_assert(1, "takes the semicolon")

#endif
