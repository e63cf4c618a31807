/* Bare programs: a trace that is all there is on the machine. It writes table entries and control registers itself, and
 * a fault is an answer like any other: nobody services it. */
#include "machine_priv.h"

#define BARE_RAM    ((uint64_t)16 << 20)
#define RAM_UNIT    ((uint64_t)4 << 20) /* what physmem.h deals in */
#define RAM_LIMIT   ((uint64_t)4 << 30)
#define TOUCH_BYTES 4 /* of an access of a batch */

/* ---- the operating system that is not there ---- */

static uint64_t ram_size(const struct os_config *config, char *err, size_t err_size) {
    uint64_t bytes = config->ram_free ? config->ram_free : BARE_RAM;
    bytes = (bytes + RAM_UNIT - 1) / RAM_UNIT * RAM_UNIT;
    if (bytes <= RAM_LIMIT) { return bytes; }
    snprintf(err, err_size, "a bare machine has at most 4G of RAM");
    return 0;
}

/* Nothing of it is ever read. */
static struct os *boot(struct os_machine *m, const struct os_config *config) {
    (void)config;
    return (struct os *)m;
}

static void destroy(struct os *os, bool cut_short) { (void)os, (void)cut_short; }

static struct os_outcome page_fault(struct os *os, va_t cr2, uint32_t error_code) {
    (void)os;
    return (struct os_outcome){.kind = OS_EXCEPTION, .status = MMU_VECTOR_PF, .p = {error_code, cr2}};
}

static struct os_service_result service(struct os *os, const struct event *event) {
    (void)os;
    (void)event;
    return (struct os_service_result){0};
}

static void tick(struct os *os) { (void)os; }

static void io_complete(struct os *os, uint64_t id, ntstatus_t status) {
    (void)os;
    (void)id;
    (void)status;
}

static uint32_t current(const struct os *os) {
    (void)os;
    return 0;
}

static uint64_t directory(const struct os *os, uint32_t pid) {
    (void)os;
    (void)pid;
    return 0;
}

static void counters(const struct os *os, void (*visit)(void *, const char *, uint64_t), void *ctx) {
    (void)os;
    (void)visit;
    (void)ctx;
}

const struct os_ops bare_os_ops = {.ram_size = ram_size,
                                   .boot = boot,
                                   .destroy = destroy,
                                   .page_fault = page_fault,
                                   .service = service,
                                   .tick = tick,
                                   .io_complete = io_complete,
                                   .current_pid = current,
                                   .current_tid = current,
                                   .directory = directory,
                                   .counters = counters};

/* ---- accesses ---- */

struct bare_touch {
    uint64_t stored;
    uint8_t bytes;  /* of data, 1..8 */
    uint8_t access; /* enum event_access */
};

/* Up to EVENT_BATCH_MAX touches, offered to the MMU at once. */
struct bare_batch {
    bool whole; /* one access: it moves nothing if a part of it faults */
    unsigned count;
    struct mmu_request request[EVENT_BATCH_MAX];
    struct bare_touch touch[EVENT_BATCH_MAX];
};

static void raise(struct machine *m, unsigned vector, uint64_t error_code, va_t va) {
    m->counts.exceptions++;
    m->result.exception = true;
    m->result.exception_code = vector;
    m->result.exception_p[0] = error_code;
    m->result.exception_p[1] = va;
    m->result.exception_p[2] = 0;
    log_send(&m->log, LOG_EXCEPTION, vector, error_code, va, 0, 0);
}

static void fault(struct machine *m, const struct mmu_request *request) {
    const struct mmu_result *t = &m->translation;
    if (t->vector != MMU_VECTOR_PF) {
        raise(m, t->vector, 0, request->va);
        return;
    }
    log_send(&m->log, LOG_FAULT, t->cr2, t->error_code, t->cycles, t->hit, 0);
    m->counts.page_faults++;
    m->result.callbacks++;
    raise(m, MMU_VECTOR_PF, t->error_code, t->cr2);
}

static void move_data(struct machine *m, const struct mmu_request *request, const struct bare_touch *touch) {
    pa_t pa = m->translation.pa;
    uint64_t data = 0;
    if (touch->access == EVENT_STORE) {
        memcpy(&data, &touch->stored, touch->bytes);
    } else {
        physmem_read(&m->mem, pa, &data, touch->bytes);
    }
    if (touch->access >= EVENT_STORE) { physmem_write(&m->mem, pa, &touch->stored, touch->bytes); }
    m->result.data = data;
    log_send(&m->log, LOG_ACCESS, request->va, pa, data, m->translation.cycles,
             cpu_access_word(m, request->type, request->mode, touch->bytes));
}

static void log_translated(struct machine *m, va_t va) {
    const struct mmu_result *t = &m->translation;
    uint64_t type = t->vector == MMU_VECTOR_NONE ? t->memory_type : 0;
    log_send(&m->log, LOG_TRANSLATED, va, t->done,
             t->vector | type << 8 | (uint64_t)t->psc_level << 16 | (uint64_t)t->page_shift << 24,
             t->table_total | (uint64_t)t->restarts << 16, t->vector == MMU_VECTOR_NONE ? t->pa : 0);
}

/* All are translated before any data moves. False: one of them faulted, the rest was dropped. */
static bool make(struct machine *m, const struct bare_batch *batch) {
    struct mmu_result result[EVENT_BATCH_MAX];
    size_t done = m->config.mmu->translate(m->mmu, batch->request, result, batch->count);
    bool moves = !batch->whole || done == 0 || result[done - 1].vector == MMU_VECTOR_NONE;
    for (size_t i = 0; i < done; i++) {
        const struct mmu_request *request = &batch->request[i];
        m->translation = result[i];
        cpu_log_tables(m, request->va);
        log_translated(m, request->va);
        cpu_count_lookup(m, request->type, request->mode, i == 0);
        if (m->translation.vector != MMU_VECTOR_NONE) {
            fault(m, request);
            return false;
        }
        if (moves) { move_data(m, request, &batch->touch[i]); }
    }
    if (done < batch->count) {
        machine_panic(m, "the hardware hangs: no answer to the access to %08llx",
                      (unsigned long long)batch->request[done].va);
    }
    return true;
}

static void add_touch(struct bare_batch *batch, va_t va, uint8_t access, uint8_t mode, uint32_t bytes,
                      uint64_t stored) {
    static const uint8_t modes[] = {
        [EVENT_USER] = MMU_USER, [EVENT_KERNEL] = MMU_SUPERVISOR, [EVENT_IMPLICIT] = MMU_IMPLICIT};
    unsigned n = batch->count++;
    batch->request[n] = (struct mmu_request){
        .va = va, .type = cpu_mmu_type(access), .mode = modes[mode], .size = (uint8_t)(bytes < 64 ? bytes : 64)};
    batch->touch[n] =
        (struct bare_touch){.stored = stored, .bytes = (uint8_t)(bytes < 8 ? bytes : 8), .access = access};
}

static uint32_t room(va_t va) { return (uint32_t)(PAGE_SIZE - (va & PAGE_MASK)); }

static uint64_t default_value(const struct machine *m, unsigned touch) { return mix64(m->log.event * 2 + touch + 1); }

/* An access over a page's end: both pages are translated before its data moves (of a very long one, eight at a time).
 */
static void exact_access(struct machine *m, const struct event *event) {
    uint32_t size = event->access.size ? event->access.size : 1;
    cpu_count_access(m, event->access.access, event->access.mode, 1);
    unsigned n = 0;
    for (uint32_t done = 0; done < size;) {
        struct bare_batch batch = {.whole = true};
        while (done < size && batch.count < EVENT_BATCH_MAX) {
            va_t va = event->access.va + done;
            uint32_t here = size - done < room(va) ? size - done : room(va);
            uint64_t value = done < 8 ? event->access.value >> 8 * done : 0;
            if (!event->access.has_value) { value = default_value(m, n); }
            add_touch(&batch, va, event->access.access, event->access.mode, here, value);
            done += here;
            n++;
        }
        if (!make(m, &batch)) { return; }
    }
}

static void batched_accesses(struct machine *m, const struct event *event) {
    struct bare_batch batch = {.count = 0};
    for (unsigned i = 0; i < event->batch.count; i++) {
        const struct event_touch *at = &event->batch.at[i];
        uint32_t bytes = room(at->va) < TOUCH_BYTES ? room(at->va) : TOUCH_BYTES;
        cpu_count_access(m, at->access, at->mode, 1);
        add_touch(&batch, at->va, at->access, at->mode, bytes, default_value(m, i));
    }
    make(m, &batch);
}

/* ---- the other events ---- */

static void answer(struct machine *m, int vector, uint64_t value) {
    if (vector != MMU_VECTOR_NONE) {
        raise(m, (unsigned)vector, 0, 0);
    } else {
        log_send(&m->log, LOG_STATUS, 0, value, 0, 0, 0);
    }
}

static void move_to_control(struct machine *m, const struct event *event) {
    enum mmu_control which = event->mov.which;
    int vector = m->config.mmu->write_control(m->mmu, which, event->mov.value);
    m->counts.cr3_other += which == MMU_CR3 && vector == MMU_VECTOR_NONE;
    answer(m, vector, m->config.mmu->read_control(m->mmu, which));
}

void bare_replay(struct machine *m, const struct event *event) {
    const struct mmu_ops *ops = m->config.mmu;
    switch (event->kind) {
    case EV_ACCESS: exact_access(m, event); return;
    case EV_BATCH: batched_accesses(m, event); return;
    case EV_MOV: move_to_control(m, event); return;
    case EV_INVLPG:
        m->counts.invlpg++;
        ops->invlpg(m->mmu, event->address.va);
        return;
    case EV_INVPCID:
        answer(m, ops->invpcid(m->mmu, event->invpcid.type, event->invpcid.pcid, event->invpcid.va), 0);
        return;
    case EV_POKE: physmem_write(&m->mem, event->poke.pa & ~(pa_t)3, &event->poke.value, 4); return;
    case EV_POKE_QUAD: physmem_write(&m->mem, event->poke.pa & ~(pa_t)7, &event->poke.value, 8); return;
    case EV_MEDDLE:
        if (m->config.board && m->config.board->has_memory) {
            machine_panic(m, "found meddle, expected a machine with memory of its own");
        }
        m->meddle = event->meddle.bits;
        return;
    default: machine_panic(m, "found an event of an operating system, expected one of a bare program");
    }
}

void bare_meddle(struct machine *m, pa_t pa) {
    uint32_t word;
    physmem_read(&m->mem, pa, &word, sizeof word);
    word ^= m->meddle;
    m->meddle = 0;
    physmem_write(&m->mem, pa, &word, sizeof word);
}
