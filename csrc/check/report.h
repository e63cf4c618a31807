/* Growing text of a failure, and the buffer of one event's log records: what every check needs. */
#ifndef NTMMU_CHECK_REPORT_H
#define NTMMU_CHECK_REPORT_H

#include "ntmmu/event.h"
#include "ntmmu/log.h"
#include "ntmmu/machine.h"

struct report {
    char *text; /* never NULL once something was added */
    size_t length, capacity;
    char kind[192]; /* see report_kind */
    bool settled;   /* it is whole */
};

void report_add(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What failed, in words that hold no address, number or place: two failures of one kind are the same bug at work. The
 * first call counts; without one, the check's name and the first format of its text. */
void report_kind(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* `event 12 (line 40): r 410000 4` and a newline. */
void report_event(struct report *report, const char *prefix, const struct event *event);
void report_record(struct report *report, const char *prefix, const struct log_record *record);
/* Why a machine stopped. */
void report_stop(struct report *report, const struct machine_result *result);
void report_free(struct report *report);

/* The records of one event in the order they were sent. */
struct records {
    struct log_record *at;
    size_t count, capacity;
};

void records_receive(void *records, const struct log_record *record); /* a log_subscriber's receive */
void records_free(struct records *records);

/* Copies what an event of its kind uses: most kinds have no text, and the text is most of the size. */
void event_copy(struct event *to, const struct event *from);

/* calloc and realloc that end the program with a message instead of returning NULL. */
void *check_alloc(size_t size);
void *check_grow(void *old, size_t size);

#endif
