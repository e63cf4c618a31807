/* Check 5, expectations: lines, patterns, counters, and the judgement of an event's outcome. */
#include "expect_priv.h"

#include "ntmmu/address_space.h"
#include "ntmmu/nt_view.h"
#include "ntmmu/status.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUIET_EVENTS 4096 /* so many events without an expect line: counters are no longer read before each event */

struct expect *expect_create(struct machine *m, const char *trace, bool closed, bool lines) {
    struct expect *e = check_alloc(sizeof *e);
    e->machine = m;
    e->trace = strdup(trace ? trace : "trace");
    e->closed = closed;
    e->takes_lines = lines;
    return e;
}

void expect_any_hits(struct expect *e) { e->any_hits = true; }

void expect_destroy(struct expect *e) {
    if (!e) { return; }
    free(e->trace);
    free(e->before.at);
    free(e->named);
    free(e);
}

/* ---- counters ---- */

static void add_counter(void *ctx, const char *name, uint64_t value) {
    struct counters *c = ctx;
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 64;
        c->at = check_grow(c->at, c->capacity * sizeof *c->at);
    }
    c->at[c->count++] = (struct counter){name, value};
}

void counters_read(struct machine *m, struct counters *out) {
    static const char *const resolved[FAULT_KINDS] = {
        "resolved_other",     "resolved_demand_zero", "resolved_transition", "resolved_file",
        "resolved_section",   "resolved_clone",       "resolved_cow_file",   "resolved_cow_fork",
        "resolved_cow_reuse", "resolved_guard",       "resolved_page_file"};
    const struct machine_counts *n = machine_counts(m);
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"events", n->events},
        {"accesses", n->accesses},
        {"fetches", n->fetches},
        {"loads", n->loads},
        {"stores", n->stores},
        {"kernel_touches", n->kernel_touches},
        {"touches", n->touches},
        {"run_hits", n->run_hits},
        {"itlb_miss", n->itlb_miss},
        {"dtlb_miss", n->dtlb_miss},
        {"itlb_hit", n->itlb_hit},
        {"dtlb_hit", n->dtlb_hit},
        {"page_faults", n->page_faults},
        {"exceptions", n->exceptions},
        {"kernel_accesses", n->kernel_accesses},
        {"kernel_misses", n->kernel_misses},
        {"invlpg", n->invlpg},
        {"cr3_switch", n->cr3_switch},
        {"cr3_other", n->cr3_other},
        {"flush_all", n->flush_all},
        {"file_reads", n->file_reads},
        {"file_read_transfers", n->file_read_transfers},
        {"file_writes", n->file_writes},
        {"file_write_transfers", n->file_write_transfers},
        {"pagefile_reads", n->pagefile_reads},
        {"pagefile_read_transfers", n->pagefile_read_transfers},
        {"pagefile_writes", n->pagefile_writes},
        {"pagefile_write_transfers", n->pagefile_write_transfers},
        {"disk_steps", n->disk_steps},
    };
    static const char *const injected[OS_INJECTIONS] = {"injected_read_error",    "injected_write_error",
                                                        "injected_pagefile_full", "injected_commit_limit",
                                                        "injected_no_frame",      "injected_parity"};
    out->count = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) { add_counter(out, counts[i].name, counts[i].value); }
    for (int i = 0; i < FAULT_KINDS; i++) { add_counter(out, resolved[i], n->resolved[i]); }
    for (int i = 0; i < OS_INJECTIONS; i++) { add_counter(out, injected[i], n->injected[i]); }
    machine_os_ops(m)->counters(machine_os(m), add_counter, out);
}

const struct counter *counters_find(const struct counters *counters, const char *name) {
    for (size_t i = 0; i < counters->count; i++) {
        if (strcmp(counters->at[i].name, name) == 0) { return &counters->at[i]; }
    }
    return NULL;
}

/* ---- patterns ---- */

bool piece_is(const char *piece, size_t length, const char *word) {
    return strlen(word) == length && strncmp(piece, word, length) == 0;
}

bool next_piece(const char **at, char separator, const char **piece, size_t *length) {
    if (!**at) { return false; }
    const char *end = strchr(*at, separator);
    *piece = *at;
    *length = end ? (size_t)(end - *at) : strlen(*at);
    *at += *length + (end ? 1 : 0);
    return true;
}

static bool hex_parse(const char *text, size_t length, uint64_t *out) {
    if (length == 0 || length > 16) { return false; }
    *out = 0;
    for (size_t i = 0; i < length; i++) {
        if (!isxdigit((unsigned char)text[i])) { return false; }
        int c = tolower((unsigned char)text[i]);
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool decimal_parse(const char *text, uint64_t *out) {
    char *end;
    if (!isdigit((unsigned char)*text)) { return false; }
    *out = strtoull(text, &end, 10);
    return *end == 0;
}

bool number_parse(struct expect *e, const char *text, size_t length, uint64_t *out) {
    if (length == 2 && text[0] == '@' && isupper((unsigned char)text[1])) {
        *out = e->symbol[text[1] - 'A'];
        return e->bound[text[1] - 'A'];
    }
    return hex_parse(text, length, out);
}

bool pattern_parse(const char *text, size_t length, struct pattern *out) {
    *out = (struct pattern){.mask = UINT64_MAX, .symbol = -1};
    if (length == 1 && *text == '*') {
        out->any = true;
        return true;
    }
    if (length >= 2 && text[0] == '@' && isupper((unsigned char)text[1])) {
        out->symbol = text[1] - 'A';
        if (length == 2) { return true; }
        out->entry = true;
        return text[2] == '|' && hex_parse(text + 3, length - 3, &out->value) && out->value <= PAGE_MASK;
    }
    const char *slash = memchr(text, '/', length);
    size_t head = slash ? (size_t)(slash - text) : length;
    if (!hex_parse(text, head, &out->value)) { return false; }
    return !slash || hex_parse(slash + 1, length - head - 1, &out->mask);
}

bool pattern_match(struct expect *e, const struct pattern *p, uint64_t found, unsigned frame_shift) {
    if (p->any) { return true; }
    if (p->symbol < 0) { return (found & p->mask) == p->value; }
    if (p->entry && (found & PAGE_MASK) != p->value) { return false; }
    uint64_t frame = p->entry ? found >> PAGE_SHIFT : found >> frame_shift;
    if (!e->bound[p->symbol]) {
        e->bound[p->symbol] = true;
        e->symbol[p->symbol] = frame;
    }
    return e->symbol[p->symbol] == frame;
}

bool process_argument(struct expect *e, const char **arg, uint32_t *pid, uint64_t *directory) {
    const struct os_ops *ops = machine_os_ops(e->machine);
    const char *colon = strchr(*arg, ':');
    *pid = ops->current_pid(machine_os(e->machine));
    if (!colon) {
        *directory = peek_cr3(e->machine);
        return true;
    }
    char *end;
    *pid = (uint32_t)strtoul(*arg, &end, 10);
    if (end != colon || end == *arg) { return false; }
    *directory = ops->directory(machine_os(e->machine), *pid);
    *arg = colon + 1;
    return *directory != 0;
}

/* ---- the ends of a key ---- */

enum check_verdict expect_mismatch(struct expect *e, const char *format, ...) {
    char found[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(found, sizeof found, format, args);
    va_end(args);
    const char *equals = strchr(e->word, '=');
    int key = equals ? (int)(equals - e->word) : (int)strlen(e->word);
    report_kind(e->report, "expect %.*s", key, e->word);
    report_add(e->report, "%s:%" PRIu64 ": expect %.*s: expected %s, found %s\n", e->trace, e->line, key, e->word,
               equals ? equals + 1 : "", found);
    report_event(e->report, "  ", &e->event);
    return CHECK_FAILED;
}

enum check_verdict expect_bad(struct expect *e, const char *expected, ...) {
    char text[512];
    va_list args;
    va_start(args, expected);
    vsnprintf(text, sizeof text, expected, args);
    va_end(args);
    e->report->settled = true; /* no failure: the line makes no sense */
    report_add(e->report, "%s:%" PRIu64 ": found '%s', expected %s\n", e->trace, e->line, e->word, text);
    return CHECK_CANNOT;
}

/* ---- !closed ---- */

static bool must_be_named(const struct log_record *r) {
    switch (r->kind) {
    case LOG_PTE: return r->b != r->c;
    case LOG_PFN:
    case LOG_LIST:
    case LOG_WS:
    case LOG_IO:
    case LOG_TLB:
    case LOG_COMMIT: return true;
    default: return false;
    }
}

void name_kind(struct expect *e, enum log_kind kind) {
    for (size_t i = 0; i < e->records->count; i++) {
        if (e->records->at[i].kind == kind) { e->named[i] = true; }
    }
}

void name_records(struct expect *e, enum log_kind kind, uint64_t a, bool any_pid, uint32_t pid) {
    for (size_t i = 0; i < e->records->count; i++) {
        const struct log_record *r = &e->records->at[i];
        if (r->kind == kind && r->a == a && (any_pid || r->pid == pid)) { e->named[i] = true; }
    }
}

void name_entry(struct expect *e, uint32_t pid, va_t entry, va_t maps) {
    for (size_t i = 0; i < e->records->count; i++) {
        const struct log_record *r = &e->records->at[i];
        if (r->kind != LOG_PTE) { continue; }
        /* kernel entries are the same in every process */
        bool ours = r->pid == pid || maps >= MM_SYSTEM_RANGE_START || r->a < PTE_BASE || r->a >= PTE_BASE + 0x400000u;
        if (ours && r->a == entry) { e->named[i] = true; }
    }
}

static enum check_verdict judge_closed(struct expect *e, struct report *report) {
    for (size_t i = 0; i < e->records->count; i++) {
        const struct log_record *r = &e->records->at[i];
        if (e->named[i] || !must_be_named(r)) { continue; }
        report_add(report, "%s:%" PRIu64 ": expect: a record that no expect line names (!closed)\n", e->trace, e->line);
        report_record(report, "  ", r);
        report_event(report, "  ", &e->event);
        return CHECK_FAILED;
    }
    return CHECK_OK;
}

/* ---- an event and its lines ---- */

void expect_before(struct expect *e) {
    e->current = false;
    e->has_before = e->takes_lines && e->quiet < QUIET_EVENTS;
    if (!e->has_before) { return; }
    e->quiet++;
    counters_read(e->machine, &e->before);
    if (is_nt(e->machine)) {
        struct nt_memory_view memory;
        nt_view_memory(machine_os(e->machine), &memory);
        e->commit_before = memory.total_committed;
    }
}

void expect_after(struct expect *e, const struct event *event, const struct records *records,
                  const struct machine_result *result) {
    e->current = true;
    event_copy(&e->event, event);
    e->records = records;
    e->result = result;
    e->expected = 0;
    e->lines = 0;
}

static void begin_names(struct expect *e) {
    if (e->records->count > e->named_capacity) {
        e->named_capacity = e->records->count * 2;
        e->named = check_grow(e->named, e->named_capacity * sizeof *e->named);
    }
    if (e->named) { memset(e->named, 0, e->named_capacity * sizeof *e->named); }
}

static enum check_verdict judge_word(struct expect *e, const char *word) {
    char key[256];
    e->word = word;
    const char *equals = strchr(word, '=');
    if (!equals || equals == word || !equals[1] || (size_t)(equals - word) >= sizeof key) {
        return expect_bad(e, "KEY=VALUE");
    }
    memcpy(key, word, (size_t)(equals - word));
    key[equals - word] = 0;
    char *dot = strchr(key, '.');
    if (dot) { *dot = 0; }
    return expect_key(e, key, dot ? dot + 1 : "", equals + 1);
}

static bool has_key(const struct trace_item *item, const char *key) {
    for (unsigned i = 0; i < item->word_count; i++) {
        if (strncmp(item->words[i], key, strlen(key)) == 0) { return true; }
    }
    return false;
}

enum check_verdict expect_line(struct expect *e, const struct trace_item *item, struct report *report) {
    e->line = item->line;
    e->report = report;
    e->quiet = 0;
    e->word = item->word_count ? item->words[0] : "expect";
    if (!e->takes_lines) { return expect_bad(e, "no expect lines: they are switched off"); }
    if (!e->current) { return expect_bad(e, "an event before the first expect line"); }
    /* what else such a line says depends on the hit: a fault that did not come, the data of a page that is gone */
    if (e->any_hits && has_key(item, "tlb=")) { return CHECK_OK; }
    bool panicked = e->result->stop == MACHINE_PANIC && !(e->expected & EXPECTED_ASSERTION);
    if (panicked && !has_key(item, "assert=")) { return expect_settle(e, report); } /* nothing came of the event */
    if (e->lines++ == 0) { begin_names(e); }
    for (unsigned i = 0; i < item->word_count; i++) {
        enum check_verdict verdict = judge_word(e, item->words[i]);
        if (verdict != CHECK_OK) { return verdict; }
    }
    return CHECK_OK;
}

/* ---- was the outcome expected? ---- */

static void report_status(struct report *report, const char *what, uint32_t status, const char *name) {
    report_add(report, "  %s %08x %s\n", what, status, name ? name : "");
}

static enum check_verdict unexpected(struct expect *e, struct report *report, const char *what) {
    const struct machine_result *r = e->result;
    report_kind(report, "outcome: %s, %02x", what,
                r->stop == MACHINE_BUGCHECK ? r->bugcheck_code
                : r->exception              ? r->exception_code
                                            : r->service_status);
    report_add(report, "%s: ", e->trace);
    report_event(report, "", &e->event);
    report_add(report, "  %s, and no expect line says so\n", what);
    return CHECK_FAILED;
}

static enum check_verdict judge_outcome(struct expect *e, struct report *report) {
    const struct machine_result *r = e->result;
    enum check_verdict verdict;
    if (r->stop == MACHINE_PANIC) {
        if (e->expected & EXPECTED_ASSERTION) { return CHECK_OK; }
        char text[EVENT_TEXT_MAX * 2];
        event_format(&e->event, text, sizeof text);
        report_kind(report, "stopped: %.*s", (int)strcspn(r->message, "0123456789"), r->message);
        report_add(report, "%s:%" PRIu64 ": event %" PRIu64 ": %s: %s\n", e->trace, e->event.line, e->event.index, text,
                   r->message);
        return CHECK_CANNOT;
    }
    if (r->stop == MACHINE_BUGCHECK) {
        if (e->expected & EXPECTED_BUGCHECK) { return CHECK_OK; }
        verdict = unexpected(e, report, "the machine stopped (bugcheck)");
        report_stop(report, r);
        return verdict;
    }
    if (r->livelock) { return unexpected(e, report, "the access faulted more than 16 times (livelock)"); }
    if (r->reruns_failed) { return unexpected(e, report, "filter -1 ran the event again twice, and it failed again"); }
    if (is_bare(e->machine)) { return CHECK_OK; }              /* a fault is an answer */
    if (machine_has_injected(e->machine)) { return CHECK_OK; } /* they may come of it */
    if (r->exception && !r->handled && !(e->expected & EXPECTED_EXCEPTION)) {
        verdict = unexpected(e, report, "the access ended in an exception");
        report_status(report, "exception", r->exception_code, ntstatus_name(r->exception_code));
        report_add(report, "  parameters %08" PRIx64 " %08" PRIx64 " %08" PRIx64 "\n", r->exception_p[0],
                   r->exception_p[1], r->exception_p[2]);
        return verdict;
    }
    if (!r->blocked && event_has_status(e->event.kind) && !NT_SUCCESS(r->service_status) &&
        !(e->expected & EXPECTED_STATUS)) {
        verdict = unexpected(e, report, "the service failed");
        report_status(report, "status", r->service_status, ntstatus_name(r->service_status));
        return verdict;
    }
    if (r->late_failures && !(e->expected & EXPECTED_LATE)) {
        verdict = unexpected(e, report, "an event that had been held back behind a waiting thread failed");
        report_add(report, "  event %" PRIu64 "\n", r->late_event);
        report_status(report, "status", r->late_status, ntstatus_name(r->late_status));
        return verdict;
    }
    return CHECK_OK;
}

enum check_verdict expect_settle(struct expect *e, struct report *report) {
    if (!e->current) { return CHECK_OK; }
    e->current = false;
    enum check_verdict verdict = judge_outcome(e, report);
    if (verdict == CHECK_OK && e->closed && e->lines > 0) { verdict = judge_closed(e, report); }
    return verdict;
}
