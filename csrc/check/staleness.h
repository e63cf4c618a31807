/* Check 3: every TLB hit of the trace must be what a walk of memory would give at that moment, and every valid TLB
 * entry must stand for a translation that memory allows. Needs one machine. */
#ifndef NTMMU_CHECK_STALENESS_H
#define NTMMU_CHECK_STALENESS_H

#include "ntmmu/machine.h"
#include "report.h"

struct staleness;

/* Subscribes to the machine's log and watches stores into page tables (chained: an earlier watcher still hears its
 * own). */
struct staleness *staleness_create(struct machine *m);
/* Before the machine is destroyed; its log must not be used any more. */
void staleness_destroy(struct staleness *staleness);
/* After an event: false if one of its hits was stale. */
bool staleness_event(struct staleness *staleness, const struct event *event, struct report *report);
/* NT-99 I11: every valid TLB entry, those of the kernel's accesses included. */
bool staleness_entries(struct staleness *staleness, struct report *report);

#endif
