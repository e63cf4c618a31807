/* Makes a trace small that fails in some way (delta debugging): first fewer events, in chunks that get smaller; then
 * fewer words, other accesses, smaller numbers, one by one and everywhere at once. What counts as failing is the
 * caller's. */
#ifndef NTMMU_SHRINK_H
#define NTMMU_SHRINK_H

#include "ntmmu/types.h"

#include <stdio.h>

/* A trace as text: its directives without !vmt and !end, and its events, each with the expect lines behind it. Comments
 * are left out. */
struct shrink_trace {
    char **head, **event;
    size_t heads, events;
};

/* 0, or -1 with one line in err. */
int shrink_load(struct shrink_trace *trace, const char *path, char *err, size_t err_size);
void shrink_free(struct shrink_trace *trace);
/* note: a comment line at the beginning, or NULL. */
void shrink_write(const struct shrink_trace *trace, const char *note, FILE *out);
/* The events behind the first COUNT go. */
void shrink_cut(struct shrink_trace *trace, size_t count);
/* Lines behind event N: an expect line, or NULL to take all of them away. */
void shrink_expect(struct shrink_trace *trace, size_t n, const char *line);

enum shrink_answer { SHRINK_FAILS /* as it should */, SHRINK_OTHER, SHRINK_STOP /* leave it as it is now */ };
typedef enum shrink_answer (*shrink_try)(void *ctx, const struct shrink_trace *candidate);

/* In place; the trace itself is known to fail. False: it was stopped; the trace still fails. */
bool shrink_events(struct shrink_trace *trace, shrink_try attempt, void *ctx);
bool shrink_values(struct shrink_trace *trace, shrink_try attempt, void *ctx);

#endif
