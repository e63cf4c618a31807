/* Check 1: two machines, one on each MMU, must send the same records and come to the same result at every event. */
#ifndef NTMMU_CHECK_LOCKSTEP_H
#define NTMMU_CHECK_LOCKSTEP_H

#include "ntmmu/machine.h"
#include "report.h"

struct lockstep;

/* wave_command: `ntmmu wave TRACE`, which a report completes. */
struct lockstep *lockstep_create(struct machine *a, struct machine *b, const char *wave_command);
void lockstep_destroy(struct lockstep *lockstep);
/* Compares what one event came to on both machines, cycles included. False: they differ, and report says how. Kind
 * EV_NONE: what came after the last event. */
bool lockstep_compare(struct lockstep *lockstep, const struct event *event, const struct records *a,
                      const struct records *b, const struct machine_result *result_a,
                      const struct machine_result *result_b, struct report *report);
/* Compares what the two MMUs hold: control registers and TLB entries; of bare programs memory, too. */
bool lockstep_state(struct lockstep *lockstep, struct report *report);
/* Compares the statistics that the two MMUs kept. */
bool lockstep_statistics(struct lockstep *lockstep, struct report *report);
/* The tables of VA in a machine's memory under its current CR3, each entry in words, a line each. */
void report_table_path(struct report *report, const char *prefix, struct machine *m, va_t va);

#endif
