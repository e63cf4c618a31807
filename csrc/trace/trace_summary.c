/* See trace_summary.h. */
#include "ntmmu/trace_summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_EVERY 0xFFFF
#define CPUS           64

/* Open addressing; a key is never 0 because a process id is counted from 1 in it. */
struct page_set {
    uint64_t *slot;
    uint64_t capacity, used; /* capacity: a power of two */
    uint64_t last[2];        /* the keys seen last: fetches, data */
    uint32_t process[CPUS];  /* that runs on each CPU, +1; 0 = nobody */
    uint32_t *thread;        /* pairs (tid, pid) */
    unsigned threads, cpu;
};

static bool put_key(struct page_set *set, uint64_t key) {
    uint64_t at = mix64(key) & (set->capacity - 1);
    while (set->slot[at] && set->slot[at] != key) { at = (at + 1) & (set->capacity - 1); }
    bool added = set->slot[at] == 0;
    set->slot[at] = key;
    return added;
}

static bool add_page(struct page_set *set, uint64_t key) {
    if (set->used * 2 >= set->capacity) {
        struct page_set more = {.capacity = set->capacity ? 2 * set->capacity : 4096};
        more.slot = calloc(more.capacity, sizeof *more.slot);
        if (!more.slot) { return false; }
        for (uint64_t i = 0; i < set->capacity; i++) {
            if (set->slot[i]) { put_key(&more, set->slot[i]); }
        }
        free(set->slot);
        set->slot = more.slot;
        set->capacity = more.capacity;
    }
    set->used += put_key(set, key);
    return true;
}

static bool touch(struct trace_summary *s, vpn_t vpn, unsigned access) {
    struct page_set *set = s->set;
    unsigned side = access != EVENT_FETCH;
    uint64_t key = (vpn << 24 ^ (uint64_t)set->process[set->cpu]) + 1;
    if (key == set->last[side]) { return true; }
    set->last[side] = key;
    return add_page(set, key);
}

static bool add_access(struct trace_summary *s, const struct event *e) {
    bool run = e->kind == EV_RUN;
    vpn_t first = run ? e->run.vpn : e->access.va >> PAGE_SHIFT;
    vpn_t last = run ? first : (e->access.va + e->access.size - 1) >> PAGE_SHIFT;
    unsigned access = run ? e->run.access : e->access.access;
    uint64_t count = run ? e->run.count : 1, pages = run ? count : last - first + 1;
    s->touches += pages;
    if ((run ? e->run.mode : e->access.mode) != EVENT_USER) {
        s->kernel_touches += pages;
    } else {
        s->accesses[access & 3] += count;
        s->straddling += !run && last != first;
    }
    for (vpn_t vpn = first; vpn <= last; vpn++) {
        if (!touch(s, vpn, access)) { return false; }
    }
    return true;
}

static bool add_batch(struct trace_summary *s, const struct event *e) {
    for (unsigned i = 0; i < e->batch.count; i++) {
        const struct event_touch *at = &e->batch.at[i];
        s->touches++;
        *(at->mode == EVENT_USER ? &s->accesses[at->access & 3] : &s->kernel_touches) += 1;
        if (!touch(s, at->va >> PAGE_SHIFT, at->access)) { return false; }
    }
    return true;
}

static bool add_thread(struct page_set *set, uint32_t tid, uint32_t pid) {
    uint32_t *more = realloc(set->thread, (set->threads + 1) * 2 * sizeof *more);
    if (!more) { return false; }
    set->thread = more;
    more[2 * set->threads] = tid;
    more[2 * set->threads++ + 1] = pid;
    return true;
}

static bool add_other(struct trace_summary *s, const struct event *e) {
    struct page_set *set = s->set;
    s->vm_events++;
    switch (e->kind) {
    case EV_PROC_CREATE: s->processes++; return true;
    case EV_FORK:
        s->processes++;
        s->threads++;
        return add_thread(set, e->fork.tid, e->fork.pid);
    case EV_THREAD_CREATE: s->threads++; return add_thread(set, e->thread.tid, e->thread.pid);
    case EV_SWITCH:
        set->cpu = e->sw.cpu < CPUS ? e->sw.cpu : 0;
        for (unsigned i = set->threads; i-- > 0;) {
            if (set->thread[2 * i] == e->sw.tid) {
                set->process[set->cpu] = set->thread[2 * i + 1];
                break;
            }
        }
        return true;
    default: return true;
    }
}

static bool add_directive(struct trace_summary *s, const struct trace_item *item) {
    char text[1024];
    size_t length = 0;
    if (s->directives == SUMMARY_DIRECTIVES) { return true; }
    for (unsigned i = 0; i < item->word_count && length < sizeof text; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "", item->words[i]);
    }
    return (s->directive[s->directives++] = strdup(text)) != NULL;
}

static bool add_item(struct trace_summary *s, const struct trace_item *item) {
    s->lines = item->line;
    if (item->kind == TRACE_DIRECTIVE) { return add_directive(s, item); }
    if (item->kind == TRACE_EXPECT) {
        s->expects++;
        return true;
    }
    const struct event *e = &item->event;
    s->events++;
    s->by_kind[e->kind]++;
    if (e->kind == EV_BATCH) { return add_batch(s, e); }
    return e->kind == EV_ACCESS || e->kind == EV_RUN ? add_access(s, e) : add_other(s, e);
}

static int read_all(struct trace_summary *s, struct trace_reader *reader, void (*progress)(double, uint64_t), char *err,
                    size_t err_size) {
    struct trace_item *item = calloc(1, sizeof *item);
    bool good = item != NULL;
    enum trace_item_kind kind = TRACE_EOF;
    for (uint64_t n = 0; good && (kind = trace_next(reader, item)) < TRACE_EOF; n++) {
        good = add_item(s, item);
        if ((n & PROGRESS_EVERY) == PROGRESS_EVERY && progress) { progress(trace_progress(reader), s->events); }
    }
    free(item);
    if (!good || kind == TRACE_ERROR) { snprintf(err, err_size, "%s", good ? trace_error(reader) : "out of memory"); }
    return good && kind == TRACE_EOF ? 0 : -1;
}

int trace_summarise(struct trace_summary *s, const char *path, void (*progress)(double, uint64_t), char *err,
                    size_t err_size) {
    *s = (struct trace_summary){0};
    s->set = calloc(1, sizeof *s->set);
    struct trace_reader *reader = trace_open(path, err, err_size);
    int result = -1;
    if (reader && s->set) {
        result = read_all(s, reader, progress, err, err_size);
        s->pages = s->set->used;
    } else if (reader) {
        snprintf(err, err_size, "%s: out of memory", path);
    }
    trace_close(reader);
    return result;
}

void trace_summary_free(struct trace_summary *s) {
    for (unsigned i = 0; i < s->directives; i++) { free(s->directive[i]); }
    if (s->set) {
        free(s->set->slot);
        free(s->set->thread);
    }
    free(s->set);
    *s = (struct trace_summary){0};
}
