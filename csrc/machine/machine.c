/* The simulated PC: creation, and the replay of one event after another. */
#include "machine_priv.h"
#include "ntmmu/status.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the MMU's view of memory ---- */

static uint64_t table_read(void *ctx, pa_t pa, unsigned bytes) {
    const struct machine *m = ctx;
    uint64_t value = 0;
    physmem_read(&m->mem, pa, &value, bytes);
    return value;
}

static uint64_t table_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    struct machine *m = ctx;
    if (m->meddle) { bare_meddle(m, pa); }
    uint64_t old = table_read(ctx, pa, bytes);
    if (old == expected) { physmem_write(&m->mem, pa, &desired, bytes); }
    return old;
}

static uint32_t table_latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    struct machine *m = ctx;
    (void)exchange;
    (void)cycle;
    return memory_model_latency(&m->memory_model, pa);
}

/* ---- creation ---- */

static void count_resolved(void *ctx, const struct log_record *record) {
    struct machine *m = ctx;
    if (record->cause == LOG_TRACE && record->c < FAULT_KINDS) { m->counts.resolved[record->c]++; }
}

static bool knows_mmu(const struct machine *m, char *err, size_t err_size) {
    if (m->config.mmu->abi_version != MMU_ABI_VERSION) {
        snprintf(err, err_size, "MMU \"%s\": ABI version %u, expected %u", m->config.mmu->name,
                 m->config.mmu->abi_version, MMU_ABI_VERSION);
        return false;
    }
    return true;
}

static int make_memory(struct machine *m, pa_t ram, char *err, size_t err_size) {
    if (memory_model_init(&m->memory_model, &m->config.preset.memory, m->config.memory_latency)) {
        snprintf(err, err_size, "out of memory");
        return -1;
    }
    if (physmem_init(&m->mem, ram)) {
        snprintf(err, err_size, "cannot have %llu bytes of RAM", (unsigned long long)ram);
        return -1;
    }
    return 0;
}

static int make_mmu(struct machine *m, pa_t ram, char *err, size_t err_size) {
    const struct machine_board *board = m->config.board;
    struct machine_power power = {
        .config = &m->config,
        .mmu = {.preset = m->config.preset, .assertions = m->config.mmu_assertions},
        .mem = &m->mem,
        .size = ram,
        .log = &m->log,
    };
    if (!board || !board->has_memory) {
        if (make_memory(m, ram, err, err_size)) { return -1; }
        power.mmu.memory = (struct mmu_memory){
            .ctx = m, .read = table_read, .compare_exchange = table_exchange, .latency = table_latency};
    }
    m->mmu =
        board ? board->power_on(board->ctx, &power, err, err_size) : m->config.mmu->create(&power.mmu, err, err_size);
    if (!m->mmu) { return -1; }
    if (board) { m->config.mmu = board->mmu; }
    if (m->config.mmu == &mmu_c_ops && !m->bare) { /* `meddle` comes between */
        if (!m->memory_model.cached) {
            mmu_c_use_ram(m->mmu, (struct mmu_ram){m->mem.bytes, m->mem.size, m->memory_model.geometry.dram});
        }
        if (!m->kernel_direct) { m->downward.shortcuts = mmu_c_shortcuts(m->mmu); }
    }
    return 0;
}

static int boot(struct machine *m, char *err, size_t err_size) {
    if (setjmp(m->stop)) {
        if (m->result.stop == MACHINE_BUGCHECK) {
            const char *name = bugcheck_name(m->result.bugcheck_code);
            snprintf(err, err_size, "boot stopped with %02X %s", m->result.bugcheck_code, name ? name : "");
        } else {
            snprintf(err, err_size, "boot: %s", m->result.message);
        }
        return -1;
    }
    m->log.cause = LOG_KERNEL;
    m->os = m->config.os->boot(&m->downward, &m->config.os_config);
    if (!m->os) {
        snprintf(err, err_size, "the kernel does not boot in this configuration");
        return -1;
    }
    return 0;
}

static int power_on(struct machine *m, char *err, size_t err_size) {
    uint64_t ram = m->config.os->ram_size(&m->config.os_config, err, err_size);
    if (ram == 0 || !knows_mmu(m, err, err_size)) { return -1; }
    return make_mmu(m, ram, err, err_size) || boot(m, err, err_size) ? -1 : 0;
}

struct machine *machine_create(const struct machine_config *config, char *err, size_t err_size) {
    struct machine *m = calloc(1, sizeof *m);
    if (!m) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    m->config = *config;
    m->config.os_config.no_global_pages = !(config->preset.features & CPU_PGE);
    m->downward.ops = &machine_downward_ops;
    m->downward.log = &m->log;
    m->downward.mem = &m->mem;
    m->downward.accesses = &m->counts.kernel_accesses;
    m->interrupts = true;
    m->bare = config->os == &bare_os_ops;
    m->kernel_direct = config->kernel_direct || config->os_config.reference_counting;
    if (power_on(m, err, err_size)) {
        machine_destroy(m);
        return NULL;
    }
    memset(&m->counts, 0, sizeof m->counts);
    m->config.mmu->statistics(m->mmu, &m->boot_statistics);
    m->log.cause = m->log.fault_cause = LOG_TRACE;
    m->log.pid = m->config.os->current_pid(m->os);
    m->booted = true;
    log_subscribe(&m->log, LOG_BIT(LOG_RESOLVED), count_resolved, m);
    return m;
}

void machine_destroy(struct machine *m) {
    if (!m) { return; }
    if (m->os) { m->config.os->destroy(m->os, m->frozen || upcall_any_waits(m)); }
    if (m->mmu) { m->config.mmu->destroy(m->mmu); }
    process_free_all(m);
    threads_free_all(m);
    upcall_free_all(m);
    disk_free(&m->disk);
    physmem_fini(&m->mem);
    memory_model_fini(&m->memory_model);
    free(m);
}

/* ---- one event ---- */

static void follow(struct machine *m, const struct event *event) {
    switch (event->kind) {
    case EV_THREAD_CREATE:
    case EV_THREAD_EXIT: threads_follow(m, event); break;
    case EV_FORK:
        threads_follow(m, event);
        process_follow(m, event);
        break;
    case EV_PROC_EXIT:
        threads_follow(m, event);
        process_follow(m, event);
        break;
    case EV_EXEC: process_follow(m, event); break;
    default: break;
    }
}

static void report_service(struct machine *m, const struct event *event, ntstatus_t status, const uint64_t out[2]) {
    m->result.service_status = status;
    m->result.service_out[0] = out[0];
    m->result.service_out[1] = out[1];
    if (NT_SUCCESS(status)) {
        follow(m, event);
    } else {
        if (threads_makes(event)) { threads_creation_failed(m, event); }
        m->counts.injected_failures += m->rule_fired;
    }
    log_send(&m->log, LOG_STATUS, status, out[0], out[1], 0, 0);
}

static bool call_service(struct machine *m, const struct event *event, struct progress *progress) {
    struct upcall *call = progress->call;
    if (call) {
        upcall_resume(call);
    } else {
        call = upcall_service(m, event);
    }
    m->log.pid = m->config.os->current_pid(m->os);
    if (call->waits && (event->kind == EV_RUN_THREAD ||
                        (threads_is_machine_step(event) && threads_current_is_stuck(m)))) { /* no thread's own doing */
        upcall_adopt(call);
        report_service(m, event, STATUS_SUCCESS, (const uint64_t[2]){0, 0});
        return false;
    }
    progress->call = call->waits ? call : NULL;
    if (call->waits) { return true; }
    const struct os_service_result *service = &call->result;
    if (service->raised) {
        m->counts.exceptions++;
        m->result.exception = true;
        m->result.exception_code = service->status;
        m->counts.injected_exceptions += m->rule_fired;
        memcpy(m->result.exception_p, service->exception_p, sizeof service->exception_p);
        log_send(&m->log, LOG_EXCEPTION, service->status, service->exception_p[0], service->exception_p[1],
                 service->exception_p[2], 0);
        return false;
    }
    report_service(m, event, service->status, service->out);
    return false;
}

static void io_done(struct machine *m, const struct event *event) {
    bool pending = disk_finish(m, event->reply.id, event->reply.status);
    report_service(m, event, pending ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER, (const uint64_t[2]){0, 0});
}

static bool replay_once(struct machine *m, const struct event *event, struct progress *progress) {
    switch (event->kind) {
    case EV_ACCESS:
        if (event->access.mode == EVENT_IMPLICIT) {
            machine_panic(m, "found an implicit access, expected !boot bare before it");
        }
        return cpu_access(m, event, progress) == ACCESS_BLOCKED;
    case EV_RUN: return cpu_access(m, event, progress) == ACCESS_BLOCKED;
    case EV_IRQL: m->irql = event->irql.level; return false;
    case EV_INTERRUPTS: m->interrupts = event->irql.level != 0; return false;
    case EV_POKE: physmem_write32(&m->mem, event->poke.pa & ~(pa_t)3, (uint32_t)event->poke.value); return false;
    case EV_POKE_QUAD: physmem_write(&m->mem, event->poke.pa & ~(pa_t)7, &event->poke.value, 8); return false;
    case EV_BATCH:
    case EV_MOV:
    case EV_INVLPG:
    case EV_INVPCID:
    case EV_MEDDLE: machine_panic(m, "found an event of a bare program, expected !boot bare before it");
    case EV_IO_MODE: disk_set_manual(m, event->io.manual); return false;
    case EV_IO_DONE: io_done(m, event); return false;
    case EV_DRIVER: m->driver = event->driver.id != 0; return call_service(m, event, progress);
    case EV_INJECT: m->injected[event->inject.what] += event->inject.count ? event->inject.count : 1; return false;
    default: return call_service(m, event, progress);
    }
}

static bool in_kernel_mode(const struct event *event) {
    switch (event->kind) {
    case EV_ACCESS: return event->access.mode == EVENT_KERNEL;
    case EV_RUN: return event->run.mode == EVENT_KERNEL;
    default: return true;
    }
}

/* NT-05. True: the event is to run again. */
static bool settle_exception(struct machine *m, const struct event *event, struct progress *progress) {
    struct machine_result *r = &m->result;
    switch (brackets_search(m, progress->reruns)) {
    case BRACKET_HANDLED: r->handled = true; return false;
    case BRACKET_EXHAUSTED: r->reruns_failed = true; return false;
    case BRACKET_RERUN: progress->reruns++; return true;
    default: break;
    }
    progress->dying = m->config.ends_unhandled && !in_kernel_mode(event) ? threads_current(m)->pid : 0;
    if (m->driver && in_kernel_mode(event)) { /* nobody knows the eip of a driver that is only a trace */
        machine_bugcheck(m, BUGCHECK_KMODE_EXCEPTION_NOT_HANDLED, r->exception_code, 0, r->exception_p[0],
                         r->exception_p[1]);
    }
    return false;
}

/* NT-05: nobody handled what the process did. True: its end waits. */
static bool end_process(struct machine *m, struct progress *progress) {
    struct event event = {.kind = EV_PROC_EXIT, .index = m->log.event};
    event.proc.pid = progress->dying;
    if (progress->call) {
        upcall_resume(progress->call);
    } else if (threads_wait_in(m, progress->dying, threads_current(m))) {
        return true;
    } else {
        progress->call = upcall_service(m, &event);
    }
    m->log.pid = m->config.os->current_pid(m->os);
    if (progress->call->waits) { return true; }
    progress->call = NULL;
    follow(m, &event); /* even if somebody else ends it: none of its threads does anything more */
    return false;
}

/* An exception that nobody handles ends the process, once what stands in `finally` has run. */
static bool end_if_dying(struct machine *m, struct progress *progress) {
    if (progress->dying == 0 || brackets_delay_end(m, progress->dying)) { return false; }
    return end_process(m, progress);
}

bool machine_replay(struct machine *m, const struct event *event, struct progress *progress) {
    if (progress->dying) { return end_process(m, progress); }
    bool begun = progress->started || progress->call;
    if ((m->open_brackets || event->kind == EV_TRY || event->kind == EV_EXCEPT || event->kind == EV_FINALLY ||
         event->kind == EV_END_TRY) &&
        !begun && brackets_take(m, event)) {
        m->result.skipped = true;
        if (threads_makes(event)) { threads_creation_failed(m, event); }
        progress->dying = brackets_take_end(m);
        return end_if_dying(m, progress);
    }
    while (!replay_once(m, event, progress)) {
        if (!m->result.exception || !(m->open_brackets || m->driver || m->config.ends_unhandled)) {
            if (progress->reruns && !m->result.exception) { m->result.exception = m->result.handled = true; }
            return false;
        }
        if (!settle_exception(m, event, progress)) { return end_if_dying(m, progress); }
        m->result.exception = false;
        progress->started = event->kind == EV_ACCESS || event->kind == EV_RUN;
    }
    return true;
}

void machine_advance(struct machine *m) {
    if (m->disk.first) { disk_step(m); }
    if (!m->config.os_config.manual_threads && !m->bare) { upcall_tick(m); }
}

/* Everything but the status list and the message, whose lengths say what is in them. */
static void clear_result(struct machine_result *r) {
    r->exception = r->blocked = r->livelock = r->handled = r->reruns_failed = r->skipped = false;
    r->callbacks = r->status_count = 0;
    r->exception_code = 0;
    memset(r->exception_p, 0, sizeof r->exception_p);
    r->service_status = STATUS_SUCCESS;
    r->service_out[0] = r->service_out[1] = 0;
    r->data = 0;
    r->first_hit = MMU_HIT_OFF;
    r->late_failures = 0;
    r->late_event = 0;
    r->late_status = 0;
}

static void replay_now(struct machine *m, const struct event *event) {
    if (m->bare) {
        bare_replay(m, event);
        return;
    }
    struct progress progress = {0};
    if (machine_replay(m, event, &progress)) {
        threads_block(m, event, &progress);
        m->result.blocked = true;
    }
}

static void stopped(struct machine *m) {
    m->log.cause = m->log.fault_cause = LOG_TRACE;
    m->kernel_depth = 0;
    m->call = NULL;
}

/* Faults that steps have armed and that will have happened before long. */
static uint64_t faults_left(const struct machine *m) {
    uint64_t left = 0;
    for (unsigned i = 0; i < OS_INJECTIONS; i++) { left += m->injected[i] <= INJECTIONS_WAITED ? m->injected[i] : 0; }
    return left;
}

/* One step, if there is still hope. Transfers that fail bring none, however many the kernel tries; one that is under way
 * does, for it may end well. */
static bool wait_a_step(struct machine *m) {
    struct patience *p = &m->patience;
    if (p->steps == IDLE_STEPS_LIMIT || p->quiet >= QUIET_STEPS_LIMIT) { return false; }
    p->steps++;
    const bool works = disk_works(m);
    const uint64_t ended = m->disk.ended, failed = m->disk.failed, held = m->held, faults = faults_left(m);
    machine_advance(m);
    threads_pump(m);
    const uint64_t failures = m->disk.failed - failed;
    if (m->held < held || (works && m->disk.ended - ended > failures) || faults_left(m) < faults) {
        p->quiet = 0;
    } else if (!works || failures) {
        p->quiet++;
    }
    return true;
}

/* Nobody can run: time goes by until the disk has woken somebody. */
static void idle(struct machine *m) {
    m->patience = (struct patience){0};
    while (disk_works(m) && threads_all_wait(m) && wait_a_step(m)) {}
}

const struct machine_result *machine_step(struct machine *m, const struct event *event) {
    if (m->frozen) { return &m->result; }
    clear_result(&m->result);
    m->counts.events++;
    m->event = event;
    m->log.event = event->index;
    if (setjmp(m->stop)) {
        stopped(m);
        return &m->result;
    }
    machine_advance(m);
    if (m->stuck || m->system_calls) { threads_pump(m); }
    if (m->stuck && threads_intercept(m, event)) {
        m->result.blocked = true;
    } else {
        replay_now(m, event);
    }
    if (m->stuck || m->system_calls) { threads_pump(m); }
    if (m->stuck) { idle(m); }
    return &m->result;
}

static bool finish(struct machine *m, uint64_t steps) {
    if (!m->finishing) {
        clear_result(&m->result); /* what the last event came to has been judged */
        if (!m->stuck) { return false; }
        m->patience = (struct patience){0};
        threads_pump(m);
    }
    while (m->held > 0 && (disk_works(m) || !m->config.os_config.manual_threads)) {
        if (steps-- == 0) { return true; }
        if (!wait_a_step(m)) { break; }
    }
    return false;
}

bool machine_finish_some(struct machine *m, uint64_t steps) {
    if (m->frozen) { return false; }
    if (setjmp(m->stop)) {
        stopped(m);
        return false;
    }
    return m->finishing = finish(m, steps);
}

uint64_t machine_held(const struct machine *m) { return m->held; }

uint64_t machine_finish(struct machine *m) {
    machine_finish_some(m, UINT64_MAX);
    return m->held;
}

/* ---- views ---- */

const struct machine_result *machine_last(const struct machine *m) { return &m->result; }
struct event_log *machine_log(struct machine *m) {
    return &m->log;
}
struct physmem *machine_memory(struct machine *m) {
    return &m->mem;
}
struct mmu *machine_mmu(struct machine *m) {
    return m->mmu;
}
const struct mmu_ops *machine_mmu_ops(const struct machine *m) { return m->config.mmu; }
const struct mmu_preset *machine_preset(const struct machine *m) { return &m->config.preset; }
struct os *machine_os(struct machine *m) {
    return m->os;
}
const struct os_ops *machine_os_ops(const struct machine *m) { return m->config.os; }
const struct machine_counts *machine_counts(const struct machine *m) { return &m->counts; }

bool machine_has_injected(const struct machine *m) { return m->rule_fired; }

unsigned machine_irql(const struct machine *m) { return m->irql; }
uint64_t machine_cycles(const struct machine *m) { return m->config.mmu->cycles(m->mmu) + m->counts.run_hits; }

void machine_statistics(const struct machine *m, struct mmu_statistics *out) {
    enum { COUNTERS = sizeof *out / sizeof(uint64_t) }; /* all of them are */
    m->config.mmu->statistics(m->mmu, out);
    uint64_t now[COUNTERS], boot[COUNTERS];
    memcpy(now, out, sizeof now);
    memcpy(boot, &m->boot_statistics, sizeof boot);
    for (unsigned i = 0; i < COUNTERS; i++) { now[i] -= boot[i]; }
    memcpy(out, now, sizeof now);
}
