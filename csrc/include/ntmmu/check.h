/* The checks of a replay behind one interface: lockstep or the architecture's oracle, shadow memory, staleness, audit,
 * expectations.
 *
 * Use, by `ntmmu run` (one machine) and `ntmmu check` (two, one on each MMU):
 *     check_create
 *     for each item of the trace:  TRACE_EVENT  -> check_event    (steps the machines; settles the event before)
 *                                  TRACE_EXPECT -> check_expect   (about the event before)
 *     at the end:                  check_finish (settles, audits)
 * Stop at the first verdict that is not CHECK_OK and print check_report. The machines stay the caller's. */
#ifndef NTMMU_CHECK_H
#define NTMMU_CHECK_H

#include "ntmmu/machine.h"
#include "ntmmu/trace.h"

enum check_verdict {
    CHECK_OK,
    CHECK_FAILED, /* a check failed, or an event ended in a way the trace does not expect: exit 1 */
    CHECK_CANNOT  /* the trace says something this version cannot do, or an expect line makes no sense: exit 2 */
};

/* Which checks run. The outcome of events is judged always but with CHECK_ANY_OUTCOME. */
enum {
    CHECK_LOCKSTEP = 1, /* needs two machines */
    CHECK_SHADOW = 2,
    CHECK_STALENESS = 4,
    CHECK_AUDIT = 8,   /* needs the NT kernel as operating system */
    CHECK_EXPECT = 16, /* keep the records of each event for expect lines; without it check_expect is CHECK_CANNOT */
    CHECK_ALL = 31,
    /* The last machine's MMU is placed behind the oracle (ntmmu/architecture.h). In place of lockstep, with one
     * machine, the MMU's hit levels are its own affair: expect lines about them are not judged. Beside lockstep it is a
     * third opinion on what both say. */
    CHECK_ARCHITECTURE = 32,
    /* Events may end as they like, expect lines are passed over, what follows a bugcheck too: other checks alone. */
    CHECK_ANY_OUTCOME = 64
};

struct check_config {
    struct machine *machine[2]; /* freshly created, no event replayed; [1] NULL for one machine */
    unsigned flags;             /* CHECK_LOCKSTEP | … */
    /* Audit, and lockstep compares what the MMUs hold, after each so many events; 0: only at the end. */
    uint64_t audit_interval;
    const char *trace;        /* name of the trace, as messages shall show it */
    const char *wave_command; /* to which a difference adds " --at access:N"; NULL: "ntmmu wave TRACE" */
    bool closed; /* !closed: each PTE, PFN, LIST, WS, IO, TLB, COMMIT record needs an expect line that names it */
};

struct check;

/* NULL with one line in err. Subscribes to the machines' logs and watches stores into their memories. */
struct check *check_create(const struct check_config *config, char *err, size_t err_size);
void check_destroy(struct check *check);

/* Settles the event before, steps the machine(s) with this one and runs lockstep, shadow, staleness and (when its turn
 * has come) audit. An unexpected exception, failed service status, bugcheck or livelock is a failure only when the
 * event is settled, so that expect lines may follow. */
enum check_verdict check_event(struct check *check, const struct event *event);
/* An expect line (item->kind TRACE_EXPECT) about the last event. Keys: traces/EXPECT.md. */
enum check_verdict check_expect(struct check *check, const struct trace_item *item);
/* No more expect lines follow the last event: judges its outcome. Called by check_event and check_finish as well. */
enum check_verdict check_settle(struct check *check);
/* End of the trace: settles, finishes the machines, compares them a last time (their statistics, too), audits. */
enum check_verdict check_finish(struct check *check);

/* The text of the first failure, several lines, newline at the end; "" if there was none. */
const char *check_report(const struct check *check);
/* The kind of that failure: the check, and what was wrong, without addresses and numbers; "" if there was none. */
const char *check_failure_kind(const struct check *check);
/* What the last check_event came to on the first machine; NULL before the first. */
const struct machine_result *check_result(const struct check *check);
/* How often each row of ntmmu/pfn_transitions.h was met on the first machine; NULL without checks. */
const uint64_t *check_pfn_transitions(const struct check *check);
/* True once a machine has stopped (bugcheck): no further event can be replayed. */
bool check_stopped(const struct check *check);

#endif
