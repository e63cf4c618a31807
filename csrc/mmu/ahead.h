/* Cycles of a batch on several walkers (rtl/README.md, "Several walkers"): an estimate of when walks ahead of their turn
 * began. What the requests come to is not its business. */
#ifndef MMU_AHEAD_H
#define MMU_AHEAD_H

#include "ntmmu/mmu.h"

#define AHEAD_QUEUE 8u /* requests, the head among them */

/* Of a request, as it would be with the head's walker alone. */
struct ahead_request {
    va_t page;
    uint32_t probe_cycles;    /* of the look-up: 1, and those of the second level */
    uint32_t read_cycles;     /* of the walk's reads */
    uint32_t exchange_cycles; /* and exchanges */
    bool walks, looks_ahead;  /* looks_ahead: missed both levels, so that it may begin to walk ahead of its turn */
};

struct ahead {
    unsigned walkers;
    uint64_t probe_time;     /* when the probe of younger requests is free */
    uint64_t walker_free[4]; /* of the walkers beside the head's: when their request is done */
    struct {
        uint64_t walk, done; /* from when to when it walked as the head; equal: it did not */
        va_t page;
    } last[AHEAD_QUEUE]; /* the requests before this one, by number modulo the size */
    uint64_t count;
};

void ahead_begin(struct ahead *ahead, unsigned walkers, uint64_t cycle);
/* The next request, whose predecessor was done in cycle `before`: the cycle in which it is done. */
uint64_t ahead_next(struct ahead *ahead, const struct ahead_request *request, uint64_t before);

#endif
