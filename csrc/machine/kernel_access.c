/* The downward half of os.h: the kernel's own memory accesses, through the MMU as supervisor data accesses (or straight
 * through the tables with --kernel direct), control registers, disk transfers and the ways to stop the machine. */
#include "coroutine.h"
#include "machine_priv.h"
#include "ntmmu/os_access.h"
#include "ntmmu/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- stopping ---- */

__attribute__((noreturn)) static void stop(struct machine *m) {
    m->frozen = true;
    if (m->call) { coroutine_leave(m->call->stack); } /* for good: upcall.c jumps from the machine's own stack */
    longjmp(m->stop, 1);
}

void machine_panic(struct machine *m, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(m->result.message, sizeof m->result.message, format, args);
    va_end(args);
    m->result.stop = MACHINE_PANIC;
    stop(m);
}

__attribute__((noreturn)) static void down_panic(struct os_machine *downward, const char *message) {
    machine_panic(machine_of(downward), "%s", message);
}

_Noreturn void machine_bugcheck(struct machine *m, uint32_t code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4) {
    m->result.stop = MACHINE_BUGCHECK;
    m->result.bugcheck_code = code;
    m->result.bugcheck_p[0] = p1;
    m->result.bugcheck_p[1] = p2;
    m->result.bugcheck_p[2] = p3;
    m->result.bugcheck_p[3] = p4;
    log_send(&m->log, LOG_BUGCHECK, code, p1, p2, p3, p4);
    stop(m);
}

__attribute__((noreturn)) static void down_bugcheck(struct os_machine *downward, uint32_t code, uint64_t p1, uint64_t p2, uint64_t p3,
                                    uint64_t p4) {
    machine_bugcheck(machine_of(downward), code, p1, p2, p3, p4);
}

/* ---- translating ---- */

static bool paging(const struct machine *m) { return m->cr0 & CR0_PG; }

#define NO_ADDRESS UINT64_MAX

/* Within a call of the kernel: on the same stack, and what waits is that call. */
static struct os_outcome page_fault(struct machine *m, va_t va, uint32_t error_code) {
    if (!m->call) {
        struct upcall *call = upcall_fault(m, va, error_code);
        if (call->waits) { machine_panic(m, "the kernel waits where nothing can wait"); }
        return call->outcome;
    }
    uint8_t cause = m->log.cause, fault_cause = m->log.fault_cause;
    m->log.fault_cause = cause;
    m->log.cause = LOG_KERNEL;
    struct os_outcome outcome = m->config.os->page_fault(m->os, va, error_code);
    m->log.cause = cause;
    m->log.fault_cause = fault_cause;
    return outcome;
}

/* A fault of a kernel access, handled by the kernel within itself. True: the access may be tried again; false: it ended
 * in *guard, which somebody catches. */
static bool kernel_fault(struct machine *m, va_t va, uint32_t error_code, unsigned attempt, struct os_outcome *guard) {
    if (attempt == RETRY_LIMIT) {
        machine_panic(m, "the kernel's access to %08" PRIx64 " faulted more than %d times", va, RETRY_LIMIT);
    }
    if (m->kernel_depth == KERNEL_DEPTH_LIMIT) {
        machine_panic(m, "page faults of the kernel's own accesses nest deeper than %d, at %08" PRIx64,
                      KERNEL_DEPTH_LIMIT, va);
    }
    if (!m->os) { machine_panic(m, "page fault at %08" PRIx64 " while booting", va); }
    m->kernel_depth++;
    struct os_outcome outcome = page_fault(m, va, error_code);
    m->kernel_depth--;
    if (outcome.kind == OS_EXCEPTION && guard) {
        *guard = outcome;
        return false;
    }
    if (outcome.kind == OS_EXCEPTION) {
        down_bugcheck(&m->downward, BUGCHECK_KMODE_EXCEPTION_NOT_HANDLED, outcome.status, va, outcome.p[0],
                      outcome.p[1]);
    }
    return true;
}

static pa_t translate_direct(struct machine *m, va_t va, bool write, struct os_outcome *guard) {
    const struct mmu_ops *mmu = m->config.mmu;
    for (unsigned attempt = 0;; attempt++) {
        struct table_path path =
            table_walk(&m->mem, mmu->read_control(m->mmu, MMU_CR3), mmu->read_control(m->mmu, MMU_CR4), va);
        if (path.present && (!write || path.writable || !(m->cr0 & CR0_WP))) { return path.pa; }
        uint32_t error_code = (path.present ? PF_PRESENT : 0u) | (write ? PF_WRITE : 0u);
        if (!kernel_fault(m, va, error_code, attempt, guard)) { return NO_ADDRESS; }
    }
}

/* NO_ADDRESS only with a guard. */
static pa_t translate_guarded(struct machine *m, va_t va, bool write, size_t size, struct os_outcome *guard) {
    if (!paging(m)) { return va; }
    if (m->kernel_direct) { return translate_direct(m, va, write, guard); }
    struct mmu_request request = {.va = va,
                                  .type = write ? MMU_WRITE : MMU_READ,
                                  .mode = MMU_SUPERVISOR,
                                  .size = (uint8_t)(size < 64 ? size : 64)};
    for (unsigned attempt = 0;; attempt++) {
        struct mmu_result *t = &m->translation;
        cpu_translate(m, &request);
        m->counts.kernel_accesses++;
        m->counts.kernel_misses += t->hit == MMU_HIT_WALK;
        if (t->vector == MMU_VECTOR_NONE) {
            if (log_wants(&m->log, LOG_KERNEL_ACCESS)) {
                log_send(&m->log, LOG_KERNEL_ACCESS, va, t->pa, 0, t->cycles,
                         cpu_access_word(m, request.type, request.mode, 0));
            }
            return t->pa;
        }
        if (t->vector != MMU_VECTOR_PF) {
            machine_panic(m, "the MMU raised vector %u for a kernel access to %08" PRIx64, t->vector, va);
        }
        uint32_t error_code = t->error_code;
        log_send(&m->log, LOG_FAULT, t->cr2, error_code, t->cycles, t->hit, 0);
        if (!kernel_fault(m, t->cr2, error_code, attempt, guard)) { return NO_ADDRESS; }
    }
}

static pa_t translate(struct machine *m, va_t va, bool write, size_t size) {
    return translate_guarded(m, va, write, size, NULL);
}

static size_t within_page(va_t va, size_t length) {
    size_t room = PAGE_SIZE - (va & PAGE_MASK);
    return length < room ? length : room;
}

/* ---- kernel virtual memory ---- */

static void read_pages(struct machine *m, va_t va, void *out, size_t length) {
    for (uint8_t *to = out; length > 0;) {
        size_t here = within_page(va, length);
        physmem_read(&m->mem, translate(m, va, false, here), to, (unsigned)here);
        to += here;
        va += here;
        length -= here;
    }
}

static void write_pages(struct machine *m, va_t va, const void *data, size_t length) {
    for (const uint8_t *from = data; length > 0;) {
        size_t here = within_page(va, length);
        physmem_write(&m->mem, translate(m, va, true, here), from, (unsigned)here);
        from += here;
        va += here;
        length -= here;
    }
}

/* Makes an access that hits, whoever may listen to stores; false: nothing is done. */
static bool translate_shortly(struct machine *m, va_t va, unsigned type, size_t length, pa_t *pa) {
    const struct mmu_shortcut *s = os_shortcut(&m->downward, va, type, length);
    if (!s) { return false; }
    mmu_shortcut_use(m->downward.shortcuts, s);
    m->counts.kernel_accesses++;
    *pa = s->frame | (va & PAGE_MASK);
    return true;
}

static void down_read(struct os_machine *downward, va_t va, void *out, size_t length) {
    struct machine *m = machine_of(downward);
    pa_t pa;
    if (translate_shortly(m, va, MMU_READ, length, &pa)) {
        physmem_read(&m->mem, pa, out, (unsigned)length);
    } else {
        read_pages(m, va, out, length);
    }
}

static void down_write(struct os_machine *downward, va_t va, const void *data, size_t length) {
    struct machine *m = machine_of(downward);
    pa_t pa;
    if (translate_shortly(m, va, MMU_WRITE, length, &pa)) {
        physmem_write(&m->mem, pa, data, (unsigned)length);
    } else {
        write_pages(m, va, data, length);
    }
}

static void down_fill(struct os_machine *downward, va_t va, uint8_t byte, size_t length) {
    struct machine *m = machine_of(downward);
    while (length > 0) {
        size_t here = within_page(va, length);
        physmem_fill(&m->mem, translate(m, va, true, here), byte, (unsigned)here);
        va += here;
        length -= here;
    }
}

static void down_copy(struct os_machine *downward, va_t to, va_t from, size_t length) {
    uint8_t bytes[PAGE_SIZE];
    while (length > 0) {
        size_t here = within_page(from, within_page(to, length));
        down_read(downward, from, bytes, here);
        down_write(downward, to, bytes, here);
        to += here;
        from += here;
        length -= here;
    }
}

static size_t down_try_read(struct os_machine *downward, va_t va, void *out, size_t length, struct os_outcome *guard) {
    struct machine *m = machine_of(downward);
    size_t done = 0;
    while (done < length) {
        size_t here = within_page(va + done, length - done);
        pa_t pa = translate_guarded(m, va + done, false, here, guard);
        if (pa == NO_ADDRESS) { break; }
        physmem_read(&m->mem, pa, (uint8_t *)out + done, (unsigned)here);
        done += here;
    }
    return done;
}

static size_t down_try_write(struct os_machine *downward, va_t va, const void *data, size_t length,
                             struct os_outcome *guard) {
    struct machine *m = machine_of(downward);
    size_t done = 0;
    while (done < length) {
        size_t here = within_page(va + done, length - done);
        pa_t pa = translate_guarded(m, va + done, true, here, guard);
        if (pa == NO_ADDRESS) { break; }
        physmem_write(&m->mem, pa, (const uint8_t *)data + done, (unsigned)here);
        done += here;
    }
    return done;
}

/* ---- control registers and TLB ---- */

static void log_control(struct machine *m, enum mmu_control which, uint64_t old, uint64_t value) {
    if (which == MMU_CR3) {
        bool is_switch = m->event && m->event->kind == EV_SWITCH;
        *(is_switch ? &m->counts.cr3_switch : &m->counts.cr3_other) += 1;
        log_send(&m->log, LOG_TLB, is_switch ? LOG_CR3_SWITCH : LOG_CR3_OTHER, value, 0, 0, 0);
    } else if (which == MMU_CR4 && (old & CR4_PGE) && !(value & CR4_PGE)) {
        /* a kernel flushes everything by turning PGE off and on again: one flush for those who count */
        m->counts.flush_all++;
        log_send(&m->log, LOG_TLB, LOG_FLUSH_ALL, 0, 0, 0, 0);
    }
}

static void down_write_control(struct os_machine *downward, enum mmu_control which, uint64_t value) {
    struct machine *m = machine_of(downward);
    uint64_t old = m->config.mmu->read_control(m->mmu, which);
    if (m->config.mmu->write_control(m->mmu, which, value) != MMU_VECTOR_NONE) {
        machine_panic(m, "#GP: control register %u does not take %08" PRIx64, which, value);
    }
    if (which == MMU_CR0) { m->cr0 = value; }
    log_control(m, which, old, value);
}

static uint64_t down_read_control(struct os_machine *downward, enum mmu_control which) {
    struct machine *m = machine_of(downward);
    return m->config.mmu->read_control(m->mmu, which);
}

static void down_invlpg(struct os_machine *downward, va_t va) {
    struct machine *m = machine_of(downward);
    m->config.mmu->invlpg(m->mmu, va);
    m->counts.invlpg++;
    log_send(&m->log, LOG_TLB, LOG_INVLPG, va, 0, 0, 0);
}

/* ---- CPU state ---- */

static unsigned down_current_cpu(struct os_machine *downward) {
    (void)downward;
    return 0;
}

static unsigned down_irql(struct os_machine *downward) { return machine_of(downward)->irql; }
static void down_set_irql(struct os_machine *downward, unsigned irql) { machine_of(downward)->irql = irql; }
static bool down_interrupts_enabled(struct os_machine *downward) { return machine_of(downward)->interrupts; }

/* ---- disk ---- */

static uint64_t down_disk_start(struct os_machine *downward, const struct os_io *io) {
    return disk_start(machine_of(downward), io);
}

static void down_disk_poll(struct os_machine *downward, bool writes) { disk_poll(machine_of(downward), writes); }

static bool down_disk_create(struct os_machine *downward, unsigned number, uint64_t bytes) {
    return disk_create(machine_of(downward), number, bytes);
}

/* ---- waiting, injected faults ---- */

static void down_wait(struct os_machine *downward, uint64_t object) { upcall_wait(machine_of(downward), object); }
static void down_signal(struct os_machine *downward, uint64_t object) { upcall_signal(machine_of(downward), object); }

static bool down_inject(struct os_machine *downward, enum os_injection what) {
    return inject_now(machine_of(downward), what);
}

const struct os_machine_ops machine_downward_ops = {
    .read = down_read,
    .write = down_write,
    .fill = down_fill,
    .copy = down_copy,
    .try_read = down_try_read,
    .try_write = down_try_write,
    .write_control = down_write_control,
    .read_control = down_read_control,
    .invlpg = down_invlpg,
    .current_cpu = down_current_cpu,
    .irql = down_irql,
    .set_irql = down_set_irql,
    .interrupts_enabled = down_interrupts_enabled,
    .disk_start = down_disk_start,
    .disk_poll = down_disk_poll,
    .disk_create = down_disk_create,
    .wait = down_wait,
    .inject = down_inject,
    .signal = down_signal,
    .bugcheck = down_bugcheck,
    .panic = down_panic,
};
