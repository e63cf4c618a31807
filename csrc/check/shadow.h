/* Check 2: every load of the trace must return what an idealised memory holds. Needs one machine's records only. */
#ifndef NTMMU_CHECK_SHADOW_H
#define NTMMU_CHECK_SHADOW_H

#include "report.h"

/* Kinds of records it looks at. */
#define SHADOW_RECORDS (LOG_BIT(LOG_ACCESS) | LOG_BIT(LOG_STATUS) | LOG_BIT(LOG_EXCEPTION) | LOG_BIT(LOG_BLOCK))

struct shadow;

struct shadow *shadow_create(pa_t ram); /* its size in bytes */
void shadow_destroy(struct shadow *shadow);
/* One event and the records sent while it was replayed. blocked: it may go on later. False: a byte is wrong, and report
 * says which. */
bool shadow_event(struct shadow *shadow, const struct event *event, const struct records *records, bool blocked,
                  struct report *report);

#endif
