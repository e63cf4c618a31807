/* Groups accesses into page runs (the run level of traces/FORMAT.md): one open run of instruction fetches, one of data
 * accesses; a load run ends at the first store, so that the order of accessed bit, dirty bit and copy-on-write
 * survives. */
#ifndef NTMMU_TRACE_RUNS_H
#define NTMMU_TRACE_RUNS_H

#include "ntmmu/trace.h"

struct runs;

/* NULL: out of memory. Runs go to WRITER in the order in which they began. */
struct runs *runs_create(struct trace_writer *writer);
void runs_free(struct runs *runs);

/* COUNT touches of one page. access: EVENT_FETCH…EVENT_MODIFY, a modify counts as a store. 0, or -1 if writing failed.
 */
int runs_touch(struct runs *runs, vpn_t vpn, unsigned access, unsigned mode, uint64_t count);
/* Ends all runs and writes them: before every event that is not an access. */
int runs_close(struct runs *runs);
/* Both accesses of EV_ACCESS and runs of EV_RUN, pages in ascending order. */
int runs_event(struct runs *runs, const struct event *event);

#endif
