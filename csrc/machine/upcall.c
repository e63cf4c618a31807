/* The pool of calls, and their way in and out of the kernel. */
#include "upcall.h"

#include "coroutine.h"
#include "machine_priv.h"

#include <stdlib.h>
#include <string.h>

static void run(void *arg) {
    struct upcall *call = arg;
    struct machine *m = call->m;
    const struct os_ops *os = m->config.os;
    switch (call->kind) {
    case UPCALL_FAULT: call->outcome = os->page_fault(m->os, call->cr2, call->error_code); break;
    case UPCALL_SERVICE: {
        struct event event; /* a copy: the caller's may be gone when a wait ends */
        memcpy(&event, call->event, event_has_text(call->event->kind) ? sizeof event : offsetof(struct event, text));
        if (!event_has_text(call->event->kind)) { event.text[0] = '\0'; }
        call->result = os->service(m->os, &event);
        break;
    }
    case UPCALL_TICK: os->tick(m->os); break;
    }
    call->waits = false;
}

static struct upcall *take(struct machine *m, enum upcall_kind kind) {
    struct upcall *call = m->idle_calls;
    if (call) {
        m->idle_calls = call->next;
    } else {
        call = calloc(1, sizeof *call);
        if (call) { call->stack = coroutine_create(run, call); }
        if (!call || !call->stack) {
            free(call);
            machine_panic(m, "out of memory");
        }
        call->m = m;
        call->all = m->all_calls;
        m->all_calls = call;
    }
    call->kind = kind;
    call->first_irql = m->irql;
    return call;
}

/* The kernel runs until it returns or waits. */
static void enter(struct upcall *call) {
    struct machine *m = call->m;
    uint8_t cause = m->log.cause, fault_cause = m->log.fault_cause;
    unsigned irql = m->irql, depth = m->kernel_depth;
    bool again = call->waits;
    if (again) {
        m->irql = call->irql;
        m->kernel_depth = call->kernel_depth;
        m->log.cause = call->cause;
        m->log.fault_cause = call->fault_cause;
    } else {
        m->log.fault_cause = cause;
        m->log.cause = LOG_KERNEL;
    }
    m->call = call;
    coroutine_enter(call->stack);
    m->call = NULL;
    if (m->frozen) { longjmp(m->stop, 1); }
    if (call->waits) {
        call->irql = m->irql;
        call->kernel_depth = m->kernel_depth;
        call->cause = m->log.cause;
        call->fault_cause = m->log.fault_cause;
        m->irql = irql;
    } else {
        /* a level that the call did not change is the thread's, not that of whoever runs now */
        if (again && m->irql == call->first_irql) { m->irql = irql; }
        call->next = m->idle_calls;
        m->idle_calls = call;
    }
    m->kernel_depth = depth;
    m->log.cause = cause;
    m->log.fault_cause = fault_cause;
}

struct upcall *upcall_fault(struct machine *m, va_t cr2, uint32_t error_code) {
    struct upcall *call = take(m, UPCALL_FAULT);
    call->cr2 = cr2;
    call->error_code = error_code;
    enter(call);
    return call;
}

struct upcall *upcall_service(struct machine *m, const struct event *event) {
    struct upcall *call = take(m, UPCALL_SERVICE);
    call->event = event;
    uint8_t cause = m->log.cause;
    m->log.cause = LOG_KERNEL; /* also of faults of the service's own accesses */
    enter(call);
    m->log.cause = cause;
    return call;
}

void upcall_resume(struct upcall *call) { enter(call); }

/* ---- system threads ---- */

void upcall_adopt(struct upcall *call) {
    struct upcall **at = &call->m->system_calls;
    while (*at) { at = &(*at)->next; }
    call->next = NULL;
    *at = call;
}

void upcall_tick(struct machine *m) {
    struct upcall *call = take(m, UPCALL_TICK);
    uint8_t cause = m->log.cause;
    m->log.cause = LOG_KERNEL;
    enter(call);
    m->log.cause = cause;
    if (call->waits) { upcall_adopt(call); }
}

bool upcall_pump_system(struct machine *m) {
    bool progressed = false;
    for (struct upcall **at = &m->system_calls; *at;) {
        struct upcall *call = *at;
        if (call->object != 0) {
            at = &call->next;
            continue;
        }
        progressed = true;
        *at = call->next;
        enter(call);
        if (call->waits) { /* nothing else joins the list meanwhile */
            call->next = *at;
            *at = call;
            at = &call->next;
        }
    }
    return progressed;
}

/* ---- waiting ---- */

void upcall_wait(struct machine *m, uint64_t object) {
    struct upcall *call = m->call;
    if (!call || m->completing) { machine_panic(m, "the kernel waits where nothing can wait"); }
    call->object = object;
    call->waits = true;
    disk_finish_waited(m, call);
    if (call->object != 0) { coroutine_leave(call->stack); }
    call->waits = false;
}

void upcall_signal(struct machine *m, uint64_t object) {
    for (struct upcall *call = m->all_calls; call; call = call->all) {
        if (call->waits && call->object == object) { call->object = 0; }
    }
}

bool upcall_any_waits(const struct machine *m) {
    for (const struct upcall *call = m->all_calls; call; call = call->all) {
        if (call->waits) { return true; }
    }
    return false;
}

void upcall_free_all(struct machine *m) {
    while (m->all_calls) {
        struct upcall *call = m->all_calls;
        m->all_calls = call->all;
        coroutine_destroy(call->stack);
        free(call);
    }
}
