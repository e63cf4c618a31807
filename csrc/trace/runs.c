/* See runs.h. A run is written when it and all that began before it have ended; meanwhile it waits in a ring. */
#include "runs.h"

#include <stdlib.h>
#include <string.h>

#define RING_START 1024u
#define RING_MAX   (1u << 20) /* a loop that stays on one code page must not make the ring grow without end */

struct run {
    vpn_t vpn;
    uint64_t count;
    uint8_t access, mode;
    bool open;
};

struct runs {
    struct trace_writer *writer;
    struct run *ring; /* capacity is a power of two */
    uint32_t capacity, head, length;
    uint32_t open[2]; /* slot of the open run: 0 fetches, 1 data */
    bool is_open[2];
    struct event event;
};

struct runs *runs_create(struct trace_writer *writer) {
    struct runs *r = calloc(1, sizeof *r);
    struct run *ring = malloc(RING_START * sizeof *ring);
    if (!r || !ring) {
        free(r);
        free(ring);
        return NULL;
    }
    r->writer = writer;
    r->ring = ring;
    r->capacity = RING_START;
    r->event.kind = EV_RUN;
    return r;
}

void runs_free(struct runs *r) {
    if (!r) { return; }
    free(r->ring);
    free(r);
}

static int write_ended(struct runs *r) {
    while (r->length && !r->ring[r->head].open) {
        const struct run *run = &r->ring[r->head];
        r->event.run.vpn = run->vpn;
        r->event.run.count = run->count;
        r->event.run.access = run->access;
        r->event.run.mode = run->mode;
        r->head = (r->head + 1) & (r->capacity - 1);
        r->length--;
        if (trace_write_event(r->writer, &r->event) < 0) { return -1; }
    }
    return 0;
}

static void end_run(struct runs *r, unsigned side) {
    if (r->is_open[side]) { r->ring[r->open[side]].open = false; }
    r->is_open[side] = false;
}

int runs_close(struct runs *r) {
    end_run(r, 0);
    end_run(r, 1);
    return write_ended(r);
}

/* Twice the ring, its oldest run in slot 0. */
static int grow(struct runs *r) {
    struct run *more = r->capacity < RING_MAX ? malloc(2 * r->capacity * sizeof *more) : NULL;
    if (!more) { return runs_close(r); }
    uint32_t first = r->capacity - r->head;
    memcpy(more, r->ring + r->head, first * sizeof *more);
    memcpy(more + first, r->ring, r->head * sizeof *more);
    for (unsigned side = 0; side < 2; side++) { r->open[side] = (r->open[side] - r->head) & (r->capacity - 1); }
    free(r->ring);
    r->ring = more;
    r->head = 0;
    r->capacity *= 2;
    return 0;
}

int runs_touch(struct runs *r, vpn_t vpn, unsigned access, unsigned mode, uint64_t count) {
    unsigned side = access != EVENT_FETCH;
    if (access == EVENT_MODIFY) { access = EVENT_STORE; }
    if (r->is_open[side]) {
        struct run *run = &r->ring[r->open[side]];
        if (run->vpn == vpn && run->mode == mode && !(run->access == EVENT_LOAD && access == EVENT_STORE)) {
            run->count += count;
            return 0;
        }
        end_run(r, side);
        if (write_ended(r) < 0) { return -1; }
    }
    if (r->length == r->capacity && grow(r) < 0) { return -1; }
    uint32_t slot = (r->head + r->length++) & (r->capacity - 1);
    r->ring[slot] = (struct run){vpn, count, (uint8_t)access, (uint8_t)mode, true};
    r->open[side] = slot;
    r->is_open[side] = true;
    return 0;
}

int runs_event(struct runs *r, const struct event *e) {
    if (e->kind == EV_RUN) { return runs_touch(r, e->run.vpn, e->run.access, e->run.mode, e->run.count); }
    vpn_t last = (e->access.va + e->access.size - 1) >> PAGE_SHIFT;
    for (vpn_t vpn = e->access.va >> PAGE_SHIFT; vpn <= last; vpn++) {
        if (runs_touch(r, vpn, e->access.access, e->access.mode, 1) < 0) { return -1; }
    }
    return 0;
}
