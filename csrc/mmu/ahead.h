/* Several walkers (rtl/README.md, "Several walkers"): while the head walks, the entries that younger requests of the
 * batch will need are read ahead. No result changes by it. The head's walk is the ordinary one, but goes by the memory
 * in here: an entry that was read ahead costs only what is left of that read's time. */
#ifndef MMU_AHEAD_H
#define MMU_AHEAD_H

#include "walk.h"

#define AHEAD_WALKERS (WALKERS_MAX - 1) /* beside the head's */
#define AHEAD_QUEUE   8                 /* requests that the MMU holds, the head among them */

struct ahead_walker {
    enum { AHEAD_IDLE, AHEAD_OFFERS, AHEAD_READS, AHEAD_ENDED, AHEAD_FORGOTTEN } state;
    size_t request;
    va_t va;        /* without the bits that the mode does not translate */
    unsigned level; /* of the next or present read */
    pa_t table;     /* in which it is */
    uint64_t from;  /* the cycle from which on it is idle, or offers its read */
    uint64_t due;   /* READS, FORGOTTEN: the cycle in which the memory has the answer */
    struct {
        pa_t pa;
        uint64_t value;
        uint64_t evaluated; /* the cycle; 0: the answer has not come */
        bool read;
    } entry[LEVELS]; /* by level */
};

struct ahead {
    struct mmu_memory memory; /* the head's; ctx: the MMU */
    struct ahead_walker walker[AHEAD_WALKERS];
    uint64_t now; /* the cycles before this one have passed here */
    /* the batch */
    const struct mmu_request *requests;
    const struct mmu_result *results;
    size_t count, head;
    uint64_t taken[AHEAD_QUEUE]; /* the cycle at whose end a request is taken, by number modulo AHEAD_QUEUE */
    /* the head's walk */
    bool walks;     /* it has begun */
    unsigned level; /* of its last read; 0: it has exchanged */
    uint64_t due;   /* of its access, UINT64_MAX: none is under way */
    uint64_t evaluated;
    bool covered; /* its read was made ahead, and found this: */
    uint64_t value;
    /* the look-up ahead */
    size_t next;   /* its request */
    unsigned left; /* of its cycles; 0: it has not begun */
};

/* A batch: before it, before and after each of its requests, and when it ends, all answered or dropped by a fault. */
void ahead_begin(struct mmu *mmu, const struct mmu_request *requests, const struct mmu_result *results, size_t count);
void ahead_request(struct mmu *mmu, size_t number);
void ahead_answered(struct mmu *mmu, const struct mmu_result *result);
void ahead_end(struct mmu *mmu);

#endif
