/* Structured handling of exceptions (NT-05): the brackets `try … except` and `try … finally … endtry` around steps of a
 * thread. An exception searches them from the innermost outward. */
#include "machine_priv.h"

#include <stdlib.h>

#define DEPTH_MAX   32
#define RERUN_LIMIT 2

struct bracket {
    bool is_finally;
    int8_t filter;
    bool in_finally; /* between `finally` and `endtry` */
};

/* Of one thread. While it unwinds, steps are skipped up to the end of bracket `target`; only what stands between
 * `finally` and `endtry` on the way runs. */
struct brackets {
    unsigned depth;
    struct bracket open[DEPTH_MAX];
    bool unwinding;
    unsigned target;
    unsigned skipped; /* brackets opened in what is skipped */
    uint32_t dying;   /* the process that ends behind the outermost bracket, 0: none */
};

static struct brackets *make_brackets(struct machine *m, struct machine_thread *t) {
    if (!t->brackets) {
        t->brackets = calloc(1, sizeof *t->brackets);
        if (!t->brackets) { machine_panic(m, "out of memory"); }
    }
    return t->brackets;
}

/* The thread skips what comes: it unwinds, and does not stand in a `finally` on the way. */
static bool skips(const struct brackets *b) { return b->unwinding && !b->open[b->depth - 1].in_finally; }

/* Not the thread's own doing, so never skipped: which thread runs is for the scheduler to say. But the creation of one
 * may have been skipped, and then what that would do is too. */
static bool is_outside(struct machine *m, const struct event *event) {
    return event->kind == EV_SWITCH ? threads_alive(m, event->sw.tid) : threads_is_machine_step(event);
}

static void close_bracket(struct machine *m, struct brackets *b) {
    b->depth--;
    m->open_brackets--;
    if (b->unwinding && b->target == b->depth) { b->unwinding = false; }
}

static void open_bracket(struct machine *m, struct brackets *b, const struct event *event) {
    if (b->depth == DEPTH_MAX) { machine_panic(m, "more than %d brackets within each other", DEPTH_MAX); }
    b->open[b->depth++] = (struct bracket){.is_finally = !event->bracket.has_filter, .filter = event->bracket.filter};
    m->open_brackets++;
}

/* The three that close: does this one belong to the innermost open bracket? */
static void check_close(struct machine *m, const struct brackets *b, enum event_kind kind) {
    const struct bracket *inner = b && b->depth ? &b->open[b->depth - 1] : NULL;
    bool fits = inner && (kind == EV_EXCEPT    ? !inner->is_finally
                          : kind == EV_FINALLY ? inner->is_finally && !inner->in_finally
                                               : inner->in_finally);
    if (!fits) { machine_panic(m, "`%s` without the `try` it belongs to", event_kind_name(kind)); }
}

static bool is_bracket(enum event_kind kind) {
    return kind == EV_TRY || kind == EV_EXCEPT || kind == EV_FINALLY || kind == EV_END_TRY;
}

bool brackets_take(struct machine *m, const struct event *event) {
    struct machine_thread *t = threads_current(m);
    struct brackets *b = event->kind == EV_TRY ? make_brackets(m, t) : t->brackets;
    if (!is_bracket(event->kind)) { return b && skips(b) && !is_outside(m, event); }
    if (b && skips(b) && (event->kind == EV_TRY || b->skipped > 0)) {
        if (event->kind == EV_TRY) { b->skipped++; }
        if (event->kind == EV_EXCEPT || event->kind == EV_END_TRY) { b->skipped--; }
        return true;
    }
    if (event->kind == EV_TRY) {
        open_bracket(m, b, event);
        return true;
    }
    check_close(m, b, event->kind);
    if (event->kind == EV_FINALLY) {
        b->open[b->depth - 1].in_finally = true;
    } else {
        close_bracket(m, b);
    }
    return true;
}

/* No handler: what stands in `finally` parts still runs; the trace goes on behind the outermost bracket. */
static void unwind(struct brackets *b, unsigned target) {
    b->unwinding = true;
    b->target = target;
    b->skipped = 0;
}

enum bracket_verdict brackets_search(struct machine *m, unsigned reruns) {
    struct brackets *b = threads_current(m)->brackets;
    for (unsigned i = b ? b->depth : 0; i-- > 0;) {
        const struct bracket *bracket = &b->open[i];
        if (bracket->is_finally || bracket->filter == 0) { continue; }
        if (bracket->filter < 0) { return reruns < RERUN_LIMIT ? BRACKET_RERUN : BRACKET_EXHAUSTED; }
        unwind(b, i);
        return BRACKET_HANDLED;
    }
    if (b && b->depth) { unwind(b, 0); }
    return BRACKET_NONE;
}

bool brackets_delay_end(struct machine *m, uint32_t pid) {
    struct brackets *b = threads_current(m)->brackets;
    if (!b || b->depth == 0) { return false; }
    b->dying = pid;
    return true;
}

uint32_t brackets_take_end(struct machine *m) {
    struct brackets *b = threads_current(m)->brackets;
    if (!b || b->depth != 0) { return 0; }
    uint32_t pid = b->dying;
    b->dying = 0;
    return pid;
}

void brackets_forget(struct machine *m, struct machine_thread *t) {
    if (!t->brackets) { return; }
    m->open_brackets -= t->brackets->depth;
    free(t->brackets);
    t->brackets = NULL;
}
