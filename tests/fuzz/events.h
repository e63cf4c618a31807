/* Bytes as a machine's configuration and a stream of events: every input is a program, most of them half sensible. */
#ifndef TESTS_FUZZ_EVENTS_H
#define TESTS_FUZZ_EVENTS_H

#include "ntmmu/machine.h"

struct bytes {
    const uint8_t *at, *end;
    unsigned prologue, line; /* how many events come before those of the bytes, and how many of them have come */
    bool lockstep;           /* drawn: on a second machine, too */
    bool audit_often;        /* drawn: after every few events, not at the end alone */
    bool dump;               /* drawn: what memory holds at the end */
};

/* What the first three bytes choose: profile, memory, threads, disk; and what is drawn from all of them. The MMU and the
 * preset are the caller's. */
void events_config(struct bytes *bytes, struct machine_config *config);
/* The next event, its index and line counted on; false at the end of the bytes. */
bool events_next(struct bytes *bytes, struct event *event);

#endif
