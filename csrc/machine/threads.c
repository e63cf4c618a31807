/* Waiting threads. A thread that waits keeps its later events until it can go on, while other threads' events go on.
 * Memory, schedule and kernel events are barriers for their process: one runs after all earlier held events of the
 * process, and before all later ones. What names a process, thread, section, MDL or driver by number runs after all
 * earlier held events that begin or end it. With `!threads manual` only the end of a thread that waits is a barrier.
 * Steps of the machine itself (`run`, `trim`, `time`…) are never held back. */
#include "machine_priv.h"
#include "ntmmu/status.h"

#include <stdlib.h>

/* ---- thread records ---- */

static struct machine_thread *find_thread(struct machine *m, uint32_t tid) {
    struct machine_thread *t;
    HASH_FIND(hh, m->threads, &tid, sizeof tid, t);
    return t;
}

static struct machine_thread *make_thread(struct machine *m, uint32_t tid, uint32_t pid, bool born) {
    struct machine_thread *t = find_thread(m, tid);
    if (!t) {
        t = calloc(1, sizeof *t);
        if (!t) { machine_panic(m, "out of memory"); }
        t->tid = tid;
        t->first_barrier = UINT64_MAX;
        t->last = &t->first;
        HASH_ADD(hh, m->threads, tid, sizeof t->tid, t);
    }
    t->pid = pid;
    t->born = born;
    t->exited = false;
    return t;
}

static bool begins_anew(const struct machine *m, const struct machine_thread *t);

/* One that the kernel knows. */
static struct machine_thread *thread_of(struct machine *m, uint32_t tid) {
    struct machine_thread *t = find_thread(m, tid);
    return t ? t : make_thread(m, tid, 0, true); /* thread 0, wherever it is attached */
}

struct machine_thread *threads_current(struct machine *m) {
    return thread_of(m, m->config.os->current_tid(m->os));
}

bool threads_alive(struct machine *m, uint32_t tid) {
    const struct machine_thread *t = find_thread(m, tid);
    return tid == 0 || (t && t->born && !t->exited);
}

/* One that had the number before may have ended inside brackets. */
static void begin_thread(struct machine *m, uint32_t tid, uint32_t pid) {
    brackets_forget(m, make_thread(m, tid, pid, true));
}

void threads_follow(struct machine *m, const struct event *event) {
    if (event->kind == EV_THREAD_CREATE) {
        begin_thread(m, event->thread.tid, event->thread.pid);
    } else if (event->kind == EV_FORK) {
        begin_thread(m, event->fork.tid, event->fork.pid);
    } else {
        for (struct machine_thread *t = m->threads; t; t = t->hh.next) {
            bool ended = event->kind == EV_PROC_EXIT ? t->pid == event->proc.pid : t->tid == event->thread.tid;
            t->exited = t->exited || ended;
        }
        if (m->logical && m->logical->exited && !begins_anew(m, m->logical)) {
            m->logical = make_thread(m, 0, 0, true);
        }
    }
}

void threads_free_all(struct machine *m) {
    struct machine_thread *t, *next;
    HASH_ITER(hh, m->threads, t, next) {
        HASH_DELETE(hh, m->threads, t);
        free(t->brackets);
        for (struct held_event *h = t->first; h;) {
            struct held_event *after = h->next;
            free(h);
            h = after;
        }
        free(t);
    }
}

/* ---- the stuck list ---- */

static void stick(struct machine *m, struct machine_thread *t) {
    if (t->stuck) { return; }
    if (!m->stuck) { m->logical = threads_current(m); }
    t->stuck = true;
    t->next_stuck = NULL;
    struct machine_thread **at = &m->stuck;
    while (*at) { at = &(*at)->next_stuck; }
    *at = t;
}

static void unstick(struct machine *m, struct machine_thread *t) {
    struct machine_thread **at = &m->stuck;
    while (*at != t) { at = &(*at)->next_stuck; }
    *at = t->next_stuck;
    t->stuck = false;
    t->anew = begins_anew(m, t);
}

static struct held_event *copy_event(struct machine *m, const struct event *event) {
    struct held_event *h = malloc(sizeof *h);
    if (!h) { machine_panic(m, "out of memory"); }
    size_t length = offsetof(struct event, text) + (event_has_text(event->kind) ? sizeof event->text : 0);
    struct held_event *smaller = realloc(h, offsetof(struct held_event, event) + length);
    h = smaller ? smaller : h;
    memset(h, 0, offsetof(struct held_event, event));
    memcpy(&h->event, event, length);
    return h;
}

bool threads_makes(const struct event *event) { return event->kind == EV_FORK || event->kind == EV_THREAD_CREATE; }

static bool is_access(const struct event *event) { return event->kind == EV_ACCESS || event->kind == EV_RUN; }

bool threads_is_machine_step(const struct event *event) {
    switch (event->kind) {
    case EV_IRQL:
    case EV_INTERRUPTS:
    case EV_RUN_THREAD:
    case EV_TRIM:
    case EV_DRAIN:
    case EV_UNDRAIN:
    case EV_HYPERMAP:
    case EV_POOL:
    case EV_POOL_FREE:
    case EV_TIME:
    case EV_POKE:
    case EV_POKE_QUAD:
    case EV_IO_MODE:
    case EV_IO_DONE:
    case EV_COMMIT_REPLY:
    case EV_INJECT: return true;
    default: return false;
    }
}

/* ---- what an event concerns ---- */

enum named { NAMED_ANY, NAMED_PROCESS, NAMED_THREAD, NAMED_SECTION, NAMED_MDL, NAMED_DRIVER };

struct name {
    enum named what;
    uint32_t id;
    bool changes; /* begins it, ends it or changes it: not only uses it */
};

struct names {
    unsigned processes, count;
    uint32_t process[3];
    struct name name[EVENT_ARG_MAX];
};

static void add_process(struct names *n, uint32_t pid) { n->process[n->processes++] = pid; }

static void add_name(struct names *n, enum named what, uint32_t id, bool changes) {
    n->name[n->count++] = (struct name){what, id, changes};
}

/* One that begins or ends: ordered also with what is left to do of the one that had the number before. */
static void add_process_name(struct names *n, uint32_t pid) {
    add_process(n, pid);
    add_name(n, NAMED_PROCESS, pid, true);
}

static void add_new_thread(struct machine *m, struct names *n, uint32_t tid) {
    const struct machine_thread *before = find_thread(m, tid);
    if (before && threads_alive(m, tid)) { add_process(n, before->pid); } /* which may end it */
    add_name(n, NAMED_THREAD, tid, true);
}

/* Nobody knows what the arguments of a `call` are: each may be the number of anything. */
static void add_arguments(struct names *n, const struct event *event) {
    for (unsigned i = 0; i < event->args.count; i++) {
        uint32_t id = (uint32_t)event->args.arg[i];
        if (id != 0 && id != UINT32_MAX) { add_name(n, NAMED_ANY, id, true); }
    }
}

/* The processes that an event of thread T concerns, and what else it names. */
static void find_names(struct machine *m, const struct event *event, const struct machine_thread *t, struct names *n) {
    n->processes = n->count = 0;
    switch (event->kind) {
    case EV_PROC_CREATE:
        add_process(n, event->proc.ppid);
        add_process_name(n, event->proc.pid);
        return;
    case EV_PROC_EXIT: add_process_name(n, event->proc.pid); return;
    case EV_EXEC: add_process(n, event->proc.pid); return;
    case EV_THREAD_CREATE:
        add_process(n, event->thread.pid);
        add_new_thread(m, n, event->thread.tid);
        return;
    case EV_THREAD_EXIT: {
        const struct machine_thread *ended = find_thread(m, event->thread.tid);
        add_process(n, ended ? ended->pid : t->pid);
        add_name(n, NAMED_THREAD, event->thread.tid, true);
        return;
    }
    case EV_FORK:
        add_process(n, event->fork.parent);
        add_process_name(n, event->fork.pid);
        add_new_thread(m, n, event->fork.tid);
        return;
    case EV_ATTACH: add_process(n, event->proc.pid); break;
    case EV_STACK: add_name(n, NAMED_THREAD, event->stack.tid, false); break;
    case EV_SECTION:
    case EV_SECTION_CLOSE: add_name(n, NAMED_SECTION, event->section.sid, true); break;
    case EV_SUBSECTION: add_name(n, NAMED_SECTION, event->sub.sid, true); break;
    case EV_MAP: add_name(n, NAMED_SECTION, event->map.sid, false); break;
    case EV_PREFETCH:
        for (unsigned i = 0; i < event->args.count; i += 3) {
            add_name(n, NAMED_SECTION, (uint32_t)event->args.arg[i], false);
        }
        break;
    case EV_MDL_LOCK:
    case EV_MDL_MAP:
    case EV_MDL_UNMAP:
    case EV_MDL_UNLOCK: add_name(n, NAMED_MDL, event->mdl.id, true); break;
    case EV_DRIVER_LOAD:
    case EV_DRIVER_UNLOAD: add_name(n, NAMED_DRIVER, event->driver.id, true); break;
    case EV_CALL: add_arguments(n, event); break;
    default: break;
    }
    add_process(n, t->pid);
    if (t->anew && n->count < EVENT_ARG_MAX) { add_name(n, NAMED_THREAD, t->tid, false); }
}

static bool concerns(const struct names *n, uint32_t pid) {
    for (unsigned i = 0; i < n->processes; i++) {
        if (n->process[i] == pid) { return true; }
    }
    return false;
}

static bool names_same(const struct names *a, const struct names *b) {
    for (unsigned i = 0; i < a->count * b->count; i++) {
        const struct name *x = &a->name[i / b->count], *y = &b->name[i % b->count];
        bool alike = x->what == y->what || x->what == NAMED_ANY || y->what == NAMED_ANY;
        if (alike && x->id == y->id && (x->changes || y->changes)) { return true; }
    }
    return false;
}

/* ---- held events ---- */

static void find_barrier(struct machine_thread *t) {
    t->first_barrier = UINT64_MAX;
    for (const struct held_event *h = t->first; h; h = h->next) {
        if (!is_access(&h->event)) {
            t->first_barrier = h->event.index;
            return;
        }
    }
}

static void mark(struct machine *m, const struct machine_thread *t, struct held_event *h) {
    struct names n;
    find_names(m, &h->event, t, &n);
    h->named = n.count > 0;
    for (unsigned i = 0; i < n.processes; i++) { h->foreign = h->foreign || n.process[i] != t->pid; }
    if (h->event.kind == EV_THREAD_EXIT && !threads_alive(m, h->event.thread.tid)) {
        h->foreign = true; /* nobody knows yet whose thread it will be */
    }
}

/* by: 1 or -1 */
static void count_held(struct machine *m, const struct held_event *h, int by) {
    m->held += by;
    m->held_foreign += h->foreign ? by : 0;
    m->held_named += h->named ? by : 0;
    m->held_creations += threads_makes(&h->event) ? by : 0;
}

static void hold(struct machine *m, struct machine_thread *t, const struct event *event) {
    struct held_event *h = copy_event(m, event);
    *t->last = h;
    t->last = &h->next;
    mark(m, t, h);
    count_held(m, h, 1);
    if (!is_access(event) && t->first_barrier == UINT64_MAX) { t->first_barrier = event->index; }
    stick(m, t);
}

/* The thread that is switched to is not ready: what the trace has it do waits for that. asked: so does the trace's `x`.
 */
static void wait_for_switch(struct machine *m, struct machine_thread *t, struct upcall *call, bool asked) {
    struct machine_thread *logical = m->logical;
    t->coming = call;
    t->coming_since = m->log.event;
    t->coming_asked = asked;
    m->held += asked;
    stick(m, t);
    m->logical = logical;
}

void threads_block(struct machine *m, const struct event *event, const struct progress *progress) {
    struct machine_thread *t = threads_current(m);
    log_send(&m->log, LOG_BLOCK, t->tid, progress->call ? progress->call->object : 0, 0, 0, 0);
    if (event->kind == EV_SWITCH) {
        m->logical = thread_of(m, event->sw.tid);
        wait_for_switch(m, m->logical, progress->call, true);
        return;
    }
    hold(m, t, event);
    t->first->progress = *progress;
}

bool threads_all_wait(const struct machine *m) {
    for (const struct machine_thread *t = m->threads; t; t = t->hh.next) {
        if (t->tid != 0 && t->born && !t->exited && !t->stuck) { return false; }
    }
    return m->stuck != NULL;
}

bool threads_current_is_stuck(struct machine *m) { return m->stuck && threads_current(m)->stuck; }

/* ---- an event that arrives while a thread is stuck ---- */

static bool creation_is_held(const struct machine *m, uint32_t tid) {
    for (const struct machine_thread *t = m->stuck; t; t = t->next_stuck) {
        for (const struct held_event *h = t->first; h; h = h->next) {
            const struct event *e = &h->event;
            if ((e->kind == EV_FORK && e->fork.tid == tid) || (e->kind == EV_THREAD_CREATE && e->thread.tid == tid)) {
                return true;
            }
        }
    }
    return false;
}

/* What the trace has t do at its end is meant for another of its number. */
static bool begins_anew(const struct machine *m, const struct machine_thread *t) {
    return t->anew && creation_is_held(m, t->tid);
}

static bool intercept_switch(struct machine *m, const struct event *event) {
    struct machine_thread *t = find_thread(m, event->sw.tid);
    bool gone = !t || (!t->stuck && (!t->born || t->exited)); /* not born: its creation failed; another may follow */
    bool made = m->held_creations && creation_is_held(m, event->sw.tid);
    if (gone && !made) { return false; }
    if (gone) {
        t = make_thread(m, event->sw.tid, 0, false);
        stick(m, t);
    }
    m->logical = t;
    if (!made || m->config.os_config.manual_threads) { return t->stuck; }
    t->anew = true; /* what comes now waits for that */
    return true;
}

/* Did U, whose process is none of N's, keep an event before INDEX that concerns one of N's, or names the same? */
static bool holds_for(struct machine *m, const struct machine_thread *u, const struct names *n, uint64_t index) {
    for (const struct held_event *h = u->first; h && h->event.index < index; h = h->next) {
        if (!h->foreign && !(h->named && n->count)) { continue; }
        struct names kept;
        find_names(m, &h->event, u, &kept);
        for (unsigned i = 0; h->foreign && i < kept.processes; i++) {
            if (concerns(n, kept.process[i])) { return true; }
        }
        if (names_same(n, &kept)) { return true; }
    }
    return false;
}

static bool in_kernel(const struct machine_thread *t) { return t->first && t->first->progress.call; }

bool threads_wait_in(const struct machine *m, uint32_t pid, const struct machine_thread *t) {
    for (const struct machine_thread *u = m->stuck; u; u = u->next_stuck) {
        if (u != t && u->pid == pid && in_kernel(u)) { return true; }
    }
    return false;
}

/* A thread that waits in the kernel comes out of it before it ends, whoever ends it. */
static bool ends_waiting(const struct machine_thread *u, const struct event *event) {
    bool ended = event->kind == EV_THREAD_EXIT ? u->tid == event->thread.tid
                                               : event->kind == EV_PROC_EXIT && u->pid == event->proc.pid;
    return ended && u->first && u->first->event.index < event->index;
}

/* Must the event wait for a thread other than T? index: of the event. */
static bool is_barred(struct machine *m, const struct machine_thread *t, const struct event *event) {
    bool manual = m->config.os_config.manual_threads; /* a scenario says itself what happens while it waits */
    struct names n;
    find_names(m, event, t, &n);
    bool access = is_access(event);
    for (const struct machine_thread *u = m->stuck; u; u = u->next_stuck) {
        if (u == t) { continue; }
        if (manual) {
            if (ends_waiting(u, event)) { return true; }
            continue;
        }
        if (!concerns(&n, u->pid)) {
            bool may = m->held_foreign || (m->held_named && n.count);
            if (may && holds_for(m, u, &n, event->index)) { return true; }
            continue;
        }
        if (!access && u->coming && u->coming_since < event->index) { return true; }
        if (access ? u->first_barrier < event->index : u->first && u->first->event.index < event->index) {
            return true;
        }
    }
    return false;
}

static void wait_for_room(struct machine *m) {
    for (uint64_t step = 0; m->held >= HELD_LIMIT; step++) {
        if ((m->config.os_config.manual_threads && !disk_works(m)) || step == IDLE_STEPS_LIMIT) {
            machine_panic(m, "%d events are held back behind waiting threads, and nothing wakes them", HELD_LIMIT);
        }
        machine_advance(m);
        threads_pump(m);
    }
}

bool threads_intercept(struct machine *m, const struct event *event) {
    if (threads_is_machine_step(event)) { return false; }
    if (event->kind == EV_SWITCH) { return intercept_switch(m, event); }
    struct machine_thread *t = m->logical;
    if (!t->stuck && !is_barred(m, t, event)) { return false; }
    hold(m, t, event);
    wait_for_room(m);
    return true;
}

/* ---- going on ---- */

/* What is left of a thread that has ended is nobody's: the kernel runs thread 0. */
static uint32_t runs_as(const struct machine_thread *t) { return t->exited ? 0 : t->tid; }

static void add_late(struct machine_result *result, uint64_t index, uint32_t status) {
    if (result->late_failures++ == 0) {
        result->late_event = index;
        result->late_status = status;
    }
}

/* No step of the trace, so it has no result: neither a status in the log, where it would be taken for the end of the
 * event that goes on, nor one that hides that event's own. Or one that has waited goes on. False: it waits. */
static bool switch_to(struct machine *m, struct machine_thread *t) {
    const struct event *saved = m->event;
    const uint64_t index = m->log.event;
    struct upcall *call = t->coming;
    const bool asked = call && t->coming_asked;
    struct event event = {.kind = EV_SWITCH, .index = call ? t->coming_since : index};
    event.sw.tid = runs_as(t);
    m->event = &event;
    m->log.event = event.index;
    t->coming = NULL;
    m->held -= asked;
    if (call) {
        upcall_resume(call);
    } else {
        call = upcall_service(m, &event);
    }
    if (call->waits) {
        wait_for_switch(m, t, call, asked);
    } else if (asked && !NT_SUCCESS(call->result.status)) {
        add_late(&m->result, event.index, call->result.status);
    }
    m->log.pid = m->config.os->current_pid(m->os);
    m->log.event = index;
    m->event = saved;
    return !t->coming;
}

static void note_late(const struct machine_result *late, const struct event *event, struct machine_result *result) {
    if (late->handled) { return; }
    uint32_t status = event_has_status(event->kind) ? late->service_status : STATUS_SUCCESS;
    if (late->exception) { status = late->exception_code; }
    if (!late->exception && !late->livelock && !late->reruns_failed && NT_SUCCESS(status)) { return; }
    add_late(result, event->index, status);
}

/* Replays the first held event of T as if it came now. True if it is done. */
static bool run_first(struct machine *m, struct machine_thread *t) {
    struct held_event *h = t->first;
    struct machine_result result = m->result;
    const struct event *event = m->event;
    uint64_t index = m->log.event;
    memset(&m->result, 0, sizeof m->result);
    m->event = &h->event;
    m->log.event = h->event.index;
    bool blocked = machine_replay(m, &h->event, &h->progress);
    if (!blocked) { note_late(&m->result, &h->event, &result); }
    m->result = result;
    m->event = event;
    m->log.event = index;
    return !blocked;
}

static bool waits(const struct machine_thread *t) { return in_kernel(t) && t->first->progress.call->object != 0; }

/* The thread that the event would have made, if something was held back for it; it is stuck no longer. */
static struct machine_thread *never_born(struct machine *m, const struct event *event) {
    struct machine_thread *t = find_thread(m, event->kind == EV_FORK ? event->fork.tid : event->thread.tid);
    if (!t || t->born || !t->stuck) { return NULL; }
    unstick(m, t);
    if (m->logical == t) { m->logical = threads_current(m); }
    return t;
}

static void append_held(struct machine_thread *t, struct machine_thread *from) {
    if (!from->first) { return; }
    *t->last = from->first;
    t->last = from->last;
    from->first = NULL;
    from->last = &from->first;
    from->first_barrier = UINT64_MAX;
}

/* A thread that has ended, or never began, does nothing of what the trace has it do afterwards; nor do those that it
 * would have made. */
static void drop_held(struct machine *m, struct machine_thread *t) {
    while (t->first) {
        struct held_event *h = t->first;
        t->first = h->next;
        if (!t->first) { t->last = &t->first; }
        count_held(m, h, -1);
        struct machine_thread *child = threads_makes(&h->event) ? never_born(m, &h->event) : NULL;
        if (child) { append_held(t, child); }
        free(h);
    }
    t->first_barrier = UINT64_MAX;
}

void threads_creation_failed(struct machine *m, const struct event *event) {
    struct machine_thread *t = never_born(m, event);
    if (t) { drop_held(m, t); }
}

static bool may_go_on(struct machine *m, const struct machine_thread *t) {
    const struct held_event *h = t->first;
    if (!h || !t->born || waits(t)) { return false; }
    if (h->progress.call) { return true; }
    return h->progress.dying ? !threads_wait_in(m, h->progress.dying, t) : !is_barred(m, t, &h->event);
}

static bool is_over(const struct machine *m, const struct machine_thread *t) {
    return t->exited && m->config.ends_unhandled && !begins_anew(m, t);
}

static bool run_thread(struct machine *m, struct machine_thread *t) {
    bool progressed = t->coming;
    if (t->coming && t->coming->object != 0) { return false; }
    if (t->coming && !switch_to(m, t)) { return true; }
    if (is_over(m, t) && !in_kernel(t)) { drop_held(m, t); }
    while (may_go_on(m, t)) {
        progressed = true;
        if (m->config.os->current_tid(m->os) != runs_as(t) && !switch_to(m, t)) { return true; }
        if (!run_first(m, t)) { return true; }
        struct held_event *done = t->first;
        t->first = done->next;
        if (!t->first) { t->last = &t->first; }
        if (is_over(m, t)) { drop_held(m, t); }
        count_held(m, done, -1);
        if (done->event.index == t->first_barrier) { find_barrier(t); } /* else none has gone */
        free(done);
    }
    if (!t->first && t->born && t->stuck) { /* else a creation that failed, before one that did not, has done it */
        unstick(m, t);
        progressed = true;
    }
    return progressed;
}

void threads_pump(struct machine *m) {
    bool away = m->stuck; /* the kernel may run another thread than the trace */
    unsigned rounds = 0;
    for (bool progressed = true; progressed && (m->stuck || m->system_calls);) {
        if (rounds++ == ROUNDS_LIMIT) { machine_panic(m, "threads that wait wake each other without end"); }
        progressed = upcall_pump_system(m);
        for (struct machine_thread *t = m->stuck, *next; t; t = next) {
            next = t->next_stuck;
            if (run_thread(m, t)) { progressed = true; }
        }
    }
    struct machine_thread *t = m->logical;
    if (away && t && !t->stuck && m->config.os->current_tid(m->os) != runs_as(t)) { switch_to(m, t); }
}
