/* The checks as one: who needs which records, in which order they judge an event. */
#include "ntmmu/check.h"

#include "architecture.h"
#include "audit.h"
#include "expect.h"
#include "lockstep.h"
#include "peek.h"
#include "pfn_states.h"
#include "report.h"
#include "shadow.h"
#include "staleness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ALL_RECORDS  (LOG_BIT(LOG_KINDS) - 1)
#define FINISH_STEPS 64u

struct check {
    struct machine *machine[2];
    unsigned machines, flags;
    uint64_t audit_interval, until_audit;
    const char *trace;
    struct records records[2];
    const struct machine_result *result[2];
    struct lockstep *lockstep;
    struct architecture *architecture; /* the last machine's */
    struct shadow *shadow;
    struct staleness *staleness[2];
    struct audit *audit[2];
    struct pfn_states *pfn_states; /* of the first machine: the other is compared with it */
    struct expect *expect;
    bool stopped, finished;
    enum check_verdict verdict; /* the first that was not CHECK_OK */
    struct report report;
};

static uint32_t wanted_records(unsigned flags, bool closed) {
    if (flags & CHECK_LOCKSTEP) { return ALL_RECORDS; }
    return (flags & CHECK_SHADOW ? SHADOW_RECORDS : 0) | (flags & CHECK_EXPECT ? EXPECT_RECORDS : 0) |
           (flags & CHECK_EXPECT && closed ? EXPECT_CLOSED_RECORDS : 0);
}

static bool subscribe(struct check *c, unsigned k, bool closed) {
    uint32_t mask = wanted_records(c->flags, closed);
    if (k > 0 && !(c->flags & CHECK_LOCKSTEP)) { mask = 0; }
    return mask == 0 || log_subscribe(machine_log(c->machine[k]), mask, records_receive, &c->records[k]) == 0;
}

static bool create_checks(struct check *c, const struct check_config *config, char *err, size_t err_size) {
    for (unsigned k = 0; k < c->machines; k++) {
        struct machine *m = c->machine[k];
        bool stale = c->flags & CHECK_STALENESS;
        if (!subscribe(c, k, config->closed) || (stale && !(c->staleness[k] = staleness_create(m)))) {
            snprintf(err, err_size, "a machine's log has no room for the checks");
            return false;
        }
        if ((c->flags & CHECK_AUDIT) && !(c->audit[k] = audit_create(m))) {
            snprintf(err, err_size, "the audit needs a machine that runs the NT kernel");
            return false;
        }
    }
    if (c->flags & CHECK_LOCKSTEP) {
        const char *wave = config->wave_command ? config->wave_command : "ntmmu wave TRACE";
        c->lockstep = lockstep_create(c->machine[0], c->machine[1], wave);
    }
    if (c->flags & CHECK_ARCHITECTURE) {
        const struct machine *judged = c->machine[c->machines - 1];
        c->architecture = architecture_of(machine_mmu_ops(judged), machine_mmu(c->machine[c->machines - 1]));
        if (!c->architecture) {
            snprintf(err, err_size, "the machine's MMU does not stand behind the architecture's oracle");
            return false;
        }
        architecture_start(c->architecture);
    }
    if (c->flags && is_nt(c->machine[0]) && !(c->pfn_states = pfn_states_create(c->machine[0]))) {
        snprintf(err, err_size, "a machine's log has no room for the checks");
        return false;
    }
    if (c->flags & CHECK_SHADOW) { c->shadow = shadow_create(machine_memory(c->machine[0])->size); }
    c->expect = expect_create(c->machine[0], config->trace, config->closed, c->flags & CHECK_EXPECT);
    if (c->architecture && !c->lockstep) { expect_any_hits(c->expect); }
    return true;
}

struct check *check_create(const struct check_config *config, char *err, size_t err_size) {
    if ((config->flags & CHECK_LOCKSTEP) && !config->machine[1]) {
        snprintf(err, err_size, "lockstep needs two machines");
        return NULL;
    }
    struct check *c = check_alloc(sizeof *c);
    c->machine[0] = config->machine[0];
    c->machine[1] = config->machine[1];
    c->machines = config->machine[1] ? 2 : 1;
    c->flags = config->flags;
    c->audit_interval = c->until_audit = config->audit_interval;
    c->trace = config->trace;
    if (!create_checks(c, config, err, err_size)) {
        check_destroy(c);
        return NULL;
    }
    return c;
}

void check_destroy(struct check *c) {
    if (!c) { return; }
    for (unsigned k = 0; k < 2; k++) {
        staleness_destroy(c->staleness[k]);
        audit_destroy(c->audit[k]);
        records_free(&c->records[k]);
    }
    lockstep_destroy(c->lockstep);
    shadow_destroy(c->shadow);
    pfn_states_destroy(c->pfn_states);
    expect_destroy(c->expect);
    report_free(&c->report);
    free(c);
}

/* ---- the checks of one event ---- */

static bool judge_event(struct check *c, const struct event *event) {
    if (c->architecture && !architecture_event(c->architecture, event, &c->report)) { return false; }
    if (c->lockstep &&
        !lockstep_compare(c->lockstep, event, &c->records[0], &c->records[1], c->result[0], c->result[1], &c->report)) {
        return false;
    }
    for (unsigned k = 0; k < c->machines; k++) {
        if (c->staleness[k] && !staleness_event(c->staleness[k], event, &c->report)) { return false; }
    }
    if ((c->flags & CHECK_AUDIT) && c->pfn_states && !pfn_states_check(c->pfn_states, &c->report)) { return false; }
    return !c->shadow || shadow_event(c->shadow, event, &c->records[0], c->result[0]->blocked, &c->report);
}

/* NT-99. A machine that stopped in the middle of something is not audited. */
static bool audit_all(struct check *c) {
    if (c->lockstep && !lockstep_state(c->lockstep, &c->report)) { return false; }
    for (unsigned k = 0; k < c->machines; k++) {
        if (c->audit[k] && !audit_run(c->audit[k], &c->report)) { return false; }
        if (c->staleness[k] && !staleness_entries(c->staleness[k], &c->report)) { return false; }
    }
    return true;
}

static bool audit_is_due(struct check *c) {
    if (c->audit_interval == 0 || --c->until_audit > 0) { return false; }
    c->until_audit = c->audit_interval;
    return true;
}

static enum check_verdict fail(struct check *c, enum check_verdict verdict) {
    if (c->verdict == CHECK_OK) { c->verdict = verdict; }
    return c->verdict;
}

static void step(struct check *c, const struct event *event) {
    for (unsigned k = 0; k < c->machines; k++) {
        c->records[k].count = 0;
        c->result[k] = machine_step(c->machine[k], event);
        c->stopped = c->stopped || c->result[k]->stop != MACHINE_RUNS;
    }
}

enum check_verdict check_event(struct check *c, const struct event *event) {
    if (check_settle(c) != CHECK_OK) { return c->verdict; }
    if (c->stopped && (c->flags & CHECK_ANY_OUTCOME)) { return CHECK_OK; }
    if (c->stopped) {
        report_event(&c->report, "the machine has stopped before ", event);
        return fail(c, CHECK_FAILED);
    }
    expect_before(c->expect);
    step(c, event);
    expect_after(c->expect, event, &c->records[0], c->result[0]);
    if (!judge_event(c, event)) { return fail(c, CHECK_FAILED); }
    if (!c->stopped && audit_is_due(c) && !audit_all(c)) {
        report_event(&c->report, "  after ", event);
        return fail(c, CHECK_FAILED);
    }
    return CHECK_OK;
}

enum check_verdict check_expect(struct check *c, const struct trace_item *item) {
    if (c->verdict != CHECK_OK || (c->flags & CHECK_ANY_OUTCOME)) { return c->verdict; }
    enum check_verdict verdict = expect_line(c->expect, item, &c->report);
    return verdict == CHECK_OK ? CHECK_OK : fail(c, verdict);
}

enum check_verdict check_settle(struct check *c) {
    if (c->verdict != CHECK_OK || (c->flags & CHECK_ANY_OUTCOME)) { return c->verdict; }
    enum check_verdict verdict = expect_settle(c->expect, &c->report);
    return verdict == CHECK_OK ? CHECK_OK : fail(c, verdict);
}

/* What came of the events that had been held back. */
static bool judge_end(struct check *c, uint64_t held) {
    if (c->flags & CHECK_ANY_OUTCOME) { return true; }
    if (c->result[0]->stop != MACHINE_RUNS) {
        report_add(&c->report,
                   "the machine stopped behind the end of the trace, with events that had been held back\n");
        report_stop(&c->report, c->result[0]);
        return false;
    }
    if (held) {
        report_add(&c->report, "%s: %" PRIu64 " events still wait for a thread that never wakes when the trace ends\n",
                   c->trace, held);
        return false;
    }
    if (c->result[0]->late_failures && !machine_has_injected(c->machine[0])) {
        report_add(&c->report,
                   "an event that had been held back failed at the end of the trace: event %" PRIu64 ", status %08x\n",
                   c->result[0]->late_event, c->result[0]->late_status);
        return false;
    }
    return true;
}

/* Events still held back when the trace ends run at last, some steps at a time: what they log is much. */
static bool finish_machines(struct check *c) {
    static const struct event none = {.kind = EV_NONE, .index = UINT64_MAX};
    bool more[2] = {true, c->machines > 1};
    while (more[0] || more[1]) {
        for (unsigned k = 0; k < c->machines; k++) {
            c->records[k].count = 0;
            more[k] = more[k] && machine_finish_some(c->machine[k], FINISH_STEPS);
            c->result[k] = machine_last(c->machine[k]);
        }
        if (c->architecture && !architecture_event(c->architecture, &none, &c->report)) { return false; }
        if (c->lockstep && !lockstep_compare(c->lockstep, &none, &c->records[0], &c->records[1], c->result[0],
                                             c->result[1], &c->report)) {
            return false;
        }
        if (c->shadow && !shadow_event(c->shadow, &none, &c->records[0], false, &c->report)) { return false; }
    }
    if (c->lockstep && !lockstep_statistics(c->lockstep, &c->report)) { return false; }
    return judge_end(c, machine_held(c->machine[0]));
}

enum check_verdict check_finish(struct check *c) {
    if (c->finished || check_settle(c) != CHECK_OK) { return c->verdict; }
    c->finished = true;
    if (c->stopped) { return CHECK_OK; }
    if (!finish_machines(c)) { return fail(c, CHECK_FAILED); }
    if (c->result[0]->stop == MACHINE_RUNS && !audit_all(c)) {
        report_add(&c->report, "  at the end of the trace\n");
        return fail(c, CHECK_FAILED);
    }
    return CHECK_OK;
}

const char *check_report(const struct check *c) { return c->report.text ? c->report.text : ""; }
const char *check_failure_kind(const struct check *c) { return c->report.kind; }
const struct machine_result *check_result(const struct check *c) { return c->result[0]; }
const uint64_t *check_pfn_transitions(const struct check *c) {
    return c->pfn_states ? pfn_states_counts(c->pfn_states) : NULL;
}
bool check_stopped(const struct check *c) { return c->stopped; }
