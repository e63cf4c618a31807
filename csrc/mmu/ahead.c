/* Walks ahead of their turn. While the head walks, one younger request after the other is probed; one that misses takes
 * a free walker, if no walk under way is for its page. Its reads are then behind it when it becomes the head. */
#include "ahead.h"
#include <string.h>

void ahead_begin(struct ahead *ahead, unsigned walkers, uint64_t cycle) {
    memset(ahead, 0, sizeof *ahead);
    ahead->walkers = walkers;
    ahead->probe_time = cycle;
}

/* First cycle from `time` on in which a request was walking as the head that has this one in its queue; 0: never. */
static uint64_t head_walks(const struct ahead *ahead, uint64_t time) {
    unsigned older = ahead->count < AHEAD_QUEUE - 1 ? (unsigned)ahead->count : AHEAD_QUEUE - 1;
    for (unsigned i = older; i > 0; i--) {
        uint64_t number = ahead->count - i;
        uint64_t walk = ahead->last[number % AHEAD_QUEUE].walk, done = ahead->last[number % AHEAD_QUEUE].done;
        uint64_t from = time > walk ? time : walk;
        if (from < done) { return from; }
    }
    return 0;
}

static bool page_is_walked(const struct ahead *ahead, va_t page, uint64_t time) {
    unsigned older = ahead->count < AHEAD_QUEUE - 1 ? (unsigned)ahead->count : AHEAD_QUEUE - 1;
    for (unsigned i = 1; i <= older; i++) {
        unsigned at = (ahead->count - i) % AHEAD_QUEUE;
        if (ahead->last[at].walk < ahead->last[at].done && ahead->last[at].done > time && ahead->last[at].page == page) {
            return true;
        }
    }
    return false;
}

/* The walker beside the head's that is free first, from 1 on. */
static unsigned next_walker(const struct ahead *ahead) {
    unsigned first = 1;
    for (unsigned i = 2; i < ahead->walkers; i++) {
        if (ahead->walker_free[i] < ahead->walker_free[first]) { first = i; }
    }
    return first;
}

/* When the reads of a walk ahead are done, 0 if there is none; the walker it takes. */
static uint64_t walk_ahead(struct ahead *ahead, const struct ahead_request *request, unsigned *walker) {
    uint64_t probed = head_walks(ahead, ahead->probe_time);
    if (probed == 0) { return 0; }
    ahead->probe_time = probed + request->probe_cycles;
    if (!request->looks_ahead || page_is_walked(ahead, request->page, probed)) { return 0; }
    *walker = next_walker(ahead);
    uint64_t start = ahead->probe_time;
    if (ahead->walker_free[*walker] > start) { /* the probe waits with it */
        start = head_walks(ahead, ahead->walker_free[*walker]);
        if (start == 0) { return 0; }
        ahead->probe_time = start;
    }
    return start + request->read_cycles;
}

uint64_t ahead_next(struct ahead *ahead, const struct ahead_request *request, uint64_t before) {
    unsigned walker = 0, at = ahead->count % AHEAD_QUEUE;
    uint64_t read = walk_ahead(ahead, request, &walker);
    uint64_t looked_up = before + request->probe_cycles, done = looked_up;
    if (request->walks) {
        uint64_t alone = looked_up + request->read_cycles;
        done = (read && read < alone ? read > looked_up ? read : looked_up : alone) + request->exchange_cycles;
    }
    if (walker) { ahead->walker_free[walker] = done; }
    ahead->last[at].walk = looked_up;
    ahead->last[at].done = done;
    ahead->last[at].page = request->page;
    ahead->count++;
    if (ahead->probe_time < before) { ahead->probe_time = before; }
    return done;
}
