/* The CPU's accesses: what the trace's program touches, translated by the MMU, with the faults given to the kernel. */
#include "machine_priv.h"

#include <stdlib.h>

struct touch {
    va_t va;
    uint32_t stored; /* data a store moves */
    unsigned number;
    uint8_t type, mode; /* enum mmu_type, enum mmu_mode */
    uint8_t size;       /* of the request */
    uint8_t bytes;      /* of data, 1..4 */
    uint8_t access;     /* enum event_access */
};

uint8_t cpu_mmu_type(uint8_t access) {
    static const uint8_t type[] = {
        [EVENT_FETCH] = MMU_FETCH, [EVENT_LOAD] = MMU_READ, [EVENT_STORE] = MMU_WRITE, [EVENT_MODIFY] = MMU_MODIFY};
    return type[access];
}

/* ---- faults ---- */

void cpu_log_tables(struct machine *m, va_t va) {
    if (!log_wants(&m->log, LOG_TABLE)) { return; }
    const struct mmu_result *t = &m->translation;
    for (unsigned i = 0; i < t->table_count; i++) {
        const struct mmu_table_access *a = &t->table[i];
        log_send(&m->log, LOG_TABLE, a->pa, a->value, a->desired, (uint64_t)a->op | (uint64_t)a->level << 8, va);
    }
}

void cpu_translate(struct machine *m, const struct mmu_request *request) {
    if (m->config.mmu->translate(m->mmu, request, &m->translation, 1) == 0) {
        machine_panic(m, "the hardware hangs: no answer to the access to %08llx", (unsigned long long)request->va);
    }
    cpu_log_tables(m, request->va);
}

uint64_t cpu_access_word(const struct machine *m, uint8_t type, uint8_t mode, uint8_t bytes) {
    return type | (uint64_t)mode << 4 | (uint64_t)bytes << 8 | (uint64_t)m->translation.hit << 16 |
           (uint64_t)m->translation.page_shift << 24;
}

/* What the kernel made of a #PF of a trace access. ACCESS_DONE: try again. */
static enum access_end settle_fault(struct machine *m, struct upcall *call, struct progress *progress) {
    struct machine_result *result = &m->result;
    const struct os_outcome *outcome = &call->outcome;
    if (call->waits) {
        progress->call = call;
        return ACCESS_BLOCKED;
    }
    progress->call = NULL;
    if (outcome->kind == OS_REFAULT) { return ACCESS_DONE; }
    if (outcome->kind == OS_RETRY) {
        if (result->status_count < MACHINE_STATUS_MAX) { result->status[result->status_count++] = outcome->status; }
        return ACCESS_DONE;
    }
    m->counts.exceptions++;
    m->counts.injected_exceptions += m->rule_fired;
    result->exception = true;
    result->exception_code = outcome->status;
    memcpy(result->exception_p, outcome->p, sizeof outcome->p);
    log_send(&m->log, LOG_EXCEPTION, outcome->status, outcome->p[0], outcome->p[1], outcome->p[2], 0);
    return ACCESS_EXCEPTION;
}

static enum access_end trace_fault(struct machine *m, struct progress *progress) {
    const struct mmu_result *t = &m->translation;
    if (log_wants(&m->log, LOG_FAULT)) { log_send(&m->log, LOG_FAULT, t->cr2, t->error_code, t->cycles, t->hit, 0); }
    m->counts.page_faults++;
    m->result.callbacks++;
    return settle_fault(m, upcall_fault(m, t->cr2, t->error_code), progress);
}

/* ---- one touch ---- */

void cpu_count_lookup(struct machine *m, uint8_t type, uint8_t mode, bool first) {
    struct machine_counts *counts = &m->counts;
    uint8_t hit = m->translation.hit;
    bool fetch = type == MMU_FETCH;
    counts->touches++;
    counts->kernel_touches += mode != MMU_USER;
    if (first) { m->result.first_hit = hit; }
    if (hit == MMU_HIT_WALK || hit == MMU_HIT_L2) {
        *(fetch ? &counts->itlb_miss : &counts->dtlb_miss) += 1;
        if (hit == MMU_HIT_L2) {
            *(fetch ? &counts->istlb_hit : &counts->dstlb_hit) += 1;
        } else {
            *(fetch ? &counts->istlb_miss : &counts->dstlb_miss) += 1;
        }
    } else if (hit != MMU_HIT_OFF) {
        *(fetch ? &counts->itlb_hit : &counts->dtlb_hit) += 1;
    }
}

static inline uint32_t move_bytes(struct machine *m, const struct touch *touch, unsigned bytes) {
    pa_t pa = m->translation.pa;
    uint32_t data = 0;
    if (touch->access == EVENT_STORE) {
        data = bytes == 4 ? touch->stored : touch->stored & ((1u << 8 * bytes) - 1);
    } else {
        physmem_read(&m->mem, pa, &data, bytes);
    }
    if (touch->access >= EVENT_STORE) { physmem_write(&m->mem, pa, &touch->stored, bytes); }
    return data;
}

static void move_data(struct machine *m, const struct touch *touch) {
    const struct mmu_result *t = &m->translation;
    /* most are 4: a copy whose length the compiler knows */
    uint32_t data = touch->bytes == 4 ? move_bytes(m, touch, 4) : move_bytes(m, touch, touch->bytes);
    m->result.data = data;
    if (log_wants(&m->log, LOG_ACCESS)) {
        log_send(&m->log, LOG_ACCESS, touch->va, t->pa, data, t->cycles,
                 cpu_access_word(m, touch->type, touch->mode, touch->bytes));
    }
}

static enum access_end do_touch(struct machine *m, const struct touch *touch, bool started, struct progress *progress) {
    struct mmu_request request = {.va = touch->va, .type = touch->type, .mode = touch->mode, .size = touch->size};
    for (unsigned attempt = 0;; attempt++) {
        cpu_translate(m, &request);
        if (attempt == 0 && !started) { cpu_count_lookup(m, touch->type, touch->mode, touch->number == 0); }
        if (m->translation.vector == MMU_VECTOR_NONE) { break; }
        if (m->translation.vector != MMU_VECTOR_PF) {
            machine_panic(m, "the MMU raised vector %u for an access to %08llx", m->translation.vector,
                          (unsigned long long)touch->va);
        }
        if (attempt == RETRY_LIMIT) { return ACCESS_LIVELOCK; }
        enum access_end end = trace_fault(m, progress);
        if (end != ACCESS_DONE) { return end; }
    }
    move_data(m, touch);
    return ACCESS_DONE;
}

/* ---- exact level ---- */

static uint32_t exact_value(const struct event *event, uint32_t done, unsigned number) {
    if (!event->access.has_value) { return machine_store_value(event->index, number); }
    return done < 8 ? (uint32_t)(event->access.value >> 8 * done) : 0;
}

static enum access_end exact_access(struct machine *m, const struct event *event, struct progress *progress) {
    uint32_t size = event->access.size ? event->access.size : 1;
    struct touch touch = {.access = event->access.access,
                          .type = cpu_mmu_type(event->access.access),
                          .mode = event->access.mode == EVENT_USER ? MMU_USER : MMU_SUPERVISOR};
    unsigned n = 0;
    for (uint32_t done = 0; done < size; n++) {
        touch.va = (event->access.va + done) & 0xFFFFFFFFu;
        uint32_t room = (uint32_t)(PAGE_SIZE - (touch.va & PAGE_MASK));
        uint32_t here = size - done < room ? size - done : room;
        if (n >= progress->touch) {
            touch.number = n;
            touch.size = (uint8_t)(here < 64 ? here : 64);
            touch.bytes = (uint8_t)(here < 4 ? here : 4);
            if (touch.access >= EVENT_STORE) { touch.stored = exact_value(event, done, n); }
            enum access_end end = do_touch(m, &touch, progress->started && n == progress->touch, progress);
            if (end != ACCESS_DONE) {
                progress->touch = n;
                return end;
            }
        }
        done += here;
    }
    return ACCESS_DONE;
}

/* ---- run level ---- */

static struct machine_process *current_process(struct machine *m) {
    if (m->process && m->process->pid == m->log.pid) { return m->process; }
    HASH_FIND(hh, m->processes, &m->log.pid, sizeof m->log.pid, m->process);
    if (!m->process) {
        m->process = calloc(1, sizeof *m->process);
        if (!m->process) { machine_panic(m, "out of memory"); }
        m->process->pid = m->log.pid;
        HASH_ADD(hh, m->processes, pid, sizeof m->process->pid, m->process);
    }
    return m->process;
}

static struct stored_offsets *offset_table(struct machine *m, vpn_t vpn, bool create) {
    struct stored_offsets **table = &current_process(m)->offsets[vpn / OFFSET_TABLE % OFFSET_DIRECTORY];
    if (!*table && create) {
        *table = calloc(OFFSET_TABLE, sizeof **table);
        if (!*table) { machine_panic(m, "out of memory"); }
    }
    return *table;
}

/* Half of the loads look at the last stored word, a quarter at the one before it, a quarter anywhere: a page that came
 * back with only its newest store right must not pass. */
static uint32_t load_offset(struct machine *m, uint64_t index, vpn_t vpn) {
    const struct stored_offsets *table = offset_table(m, vpn, false);
    struct stored_offsets stored = table ? table[vpn % OFFSET_TABLE] : (struct stored_offsets){0};
    switch (machine_run_choice(index)) {
    case RUN_ANYWHERE: return machine_run_offset(index);
    case RUN_BEFORE: return stored.before ? stored.before & ~1u : machine_run_offset(index);
    default: return stored.last ? stored.last & ~1u : machine_run_offset(index);
    }
}

static void remember_store(struct machine *m, vpn_t vpn, uint32_t offset) {
    struct stored_offsets *stored = &offset_table(m, vpn, true)[vpn % OFFSET_TABLE];
    if (stored->last == (offset | 1)) { return; }
    *stored = (struct stored_offsets){.last = (uint16_t)(offset | 1), .before = stored->last};
}

static enum access_end run_access(struct machine *m, const struct event *event, struct progress *progress) {
    vpn_t vpn = event->run.vpn & 0xFFFFF;
    uint8_t access = event->run.access;
    uint32_t offset = access == EVENT_LOAD ? load_offset(m, event->index, vpn) : machine_run_offset(event->index);
    struct touch touch = {.va = vpn << PAGE_SHIFT | offset,
                          .type = cpu_mmu_type(access),
                          .access = access,
                          .size = 4,
                          .bytes = 4,
                          .mode = event->run.mode == EVENT_USER ? MMU_USER : MMU_SUPERVISOR,
                          .stored = machine_store_value(event->index, 0)};
    enum access_end end = do_touch(m, &touch, progress->started, progress);
    if (end != ACCESS_DONE) { return end; }
    if (access >= EVENT_STORE) { remember_store(m, vpn, offset); }
    uint64_t more = event->run.count ? event->run.count - 1 : 0;
    m->counts.run_hits += more;
    m->counts.touches += more;
    *(access == EVENT_FETCH ? &m->counts.itlb_hit : &m->counts.dtlb_hit) += more;
    if (event->run.mode != EVENT_USER) { m->counts.kernel_touches += more; }
    return ACCESS_DONE;
}

/* ---- an access event ---- */

void cpu_count_access(struct machine *m, uint8_t access, uint8_t mode, uint64_t count) {
    if (mode != EVENT_USER) { return; }
    m->counts.accesses += count;
    switch (access) {
    case EVENT_FETCH: m->counts.fetches += count; break;
    case EVENT_LOAD: m->counts.loads += count; break;
    default: m->counts.stores += count; break;
    }
}

enum access_end cpu_access(struct machine *m, const struct event *event, struct progress *progress) {
    enum access_end end = ACCESS_DONE;
    if (progress->call) {
        upcall_resume(progress->call);
        end = settle_fault(m, progress->call, progress);
    } else if (!progress->started) {
        bool run = event->kind == EV_RUN;
        cpu_count_access(m, run ? event->run.access : event->access.access, run ? event->run.mode : event->access.mode,
                         run && event->run.count ? event->run.count : 1);
    }
    if (end == ACCESS_DONE) {
        end = event->kind == EV_RUN ? run_access(m, event, progress) : exact_access(m, event, progress);
    }
    if (end == ACCESS_BLOCKED) { progress->started = true; }
    if (end == ACCESS_LIVELOCK) { m->result.livelock = true; }
    return end;
}

/* ---- the processes' run-level offsets ---- */

static struct machine_process *find_process(struct machine *m, uint32_t pid) {
    struct machine_process *p;
    HASH_FIND(hh, m->processes, &pid, sizeof pid, p);
    return p;
}

static void forget_offsets(struct machine_process *p) {
    for (unsigned i = 0; i < OFFSET_DIRECTORY; i++) {
        free(p->offsets[i]);
        p->offsets[i] = NULL;
    }
}

static void drop_process(struct machine *m, struct machine_process *p) {
    if (m->process == p) { m->process = NULL; }
    HASH_DELETE(hh, m->processes, p);
    forget_offsets(p);
    free(p);
}

static void inherit_offsets(struct machine *m, uint32_t child, uint32_t parent) {
    struct machine_process *from = find_process(m, parent), *to = find_process(m, child);
    if (to) { drop_process(m, to); }
    if (!from) { return; }
    to = calloc(1, sizeof *to);
    if (!to) { machine_panic(m, "out of memory"); }
    to->pid = child;
    HASH_ADD(hh, m->processes, pid, sizeof to->pid, to);
    for (unsigned i = 0; i < OFFSET_DIRECTORY; i++) {
        if (!from->offsets[i]) { continue; }
        to->offsets[i] = malloc(OFFSET_TABLE * sizeof *to->offsets[i]);
        if (!to->offsets[i]) { machine_panic(m, "out of memory"); }
        memcpy(to->offsets[i], from->offsets[i], OFFSET_TABLE * sizeof *to->offsets[i]);
    }
}

void process_follow(struct machine *m, const struct event *event) {
    if (event->kind == EV_FORK) {
        inherit_offsets(m, event->fork.pid, event->fork.parent);
        return;
    }
    struct machine_process *p = find_process(m, event->proc.pid);
    if (!p) { return; }
    if (event->kind == EV_EXEC) {
        forget_offsets(p);
    } else {
        drop_process(m, p);
    }
}

void process_free_all(struct machine *m) {
    struct machine_process *p, *next;
    HASH_ITER(hh, m->processes, p, next) { drop_process(m, p); }
}
