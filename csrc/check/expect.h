/* Check 5: what a trace's expect lines say about the event before them, and whether an event's outcome was expected.
 * The keys are documented in traces/EXPECT.md. */
#ifndef NTMMU_CHECK_EXPECT_H
#define NTMMU_CHECK_EXPECT_H

#include "ntmmu/check.h"
#include "report.h"

struct expect;

/* Kinds of records that keys and !closed look at. */
#define EXPECT_RECORDS                                                                                                 \
    (LOG_BIT(LOG_RESOLVED) | LOG_BIT(LOG_EXCEPTION) | LOG_BIT(LOG_BLOCK) | LOG_BIT(LOG_TLB) | LOG_BIT(LOG_IO) |        \
     LOG_BIT(LOG_SIGNAL))
#define EXPECT_CLOSED_RECORDS                                                                                          \
    (LOG_BIT(LOG_PTE) | LOG_BIT(LOG_PFN) | LOG_BIT(LOG_LIST) | LOG_BIT(LOG_WS) | LOG_BIT(LOG_COMMIT))

/* trace: name for FILE:LINE. closed: !closed. lines: expect lines will come; without them only outcomes are judged. */
struct expect *expect_create(struct machine *m, const char *trace, bool closed, bool lines);
/* Whether there was a TLB hit is the MMU's affair: lines with tlb= and the counters of hits are not judged. */
void expect_any_hits(struct expect *expect);
void expect_destroy(struct expect *expect);
/* Before the machine is stepped: remembers what changes are counted from. */
void expect_before(struct expect *expect);
/* After it. The pointers are read until the event is settled. */
void expect_after(struct expect *expect, const struct event *event, const struct records *records,
                  const struct machine_result *result);
enum check_verdict expect_line(struct expect *expect, const struct trace_item *item, struct report *report);
/* No more lines for this event. */
enum check_verdict expect_settle(struct expect *expect, struct report *report);

#endif
