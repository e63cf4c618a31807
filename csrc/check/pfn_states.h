/* Every change of a frame's state must be a row of ntmmu/pfn_transitions.h. Part of the audit; also counts the rows. */
#ifndef NTMMU_CHECK_PFN_STATES_H
#define NTMMU_CHECK_PFN_STATES_H

#include "ntmmu/machine.h"
#include "report.h"

struct pfn_states;

/* Subscribes to the machine's log; NULL if there is no room. The machine runs the NT kernel. */
struct pfn_states *pfn_states_create(struct machine *m);
void pfn_states_destroy(struct pfn_states *states);
/* False, with a report, if a change since the last call was no row of the table. */
bool pfn_states_check(struct pfn_states *states, struct report *report);
/* How often each row was met, in the table's order. */
const uint64_t *pfn_states_counts(const struct pfn_states *states);

#endif
