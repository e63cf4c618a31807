/* The files of a valgrind lackey capture: one log a process, and the debug text (-d) with each program's start layout.
 */
#ifndef NTMMU_TRACE_LACKEY_INPUT_H
#define NTMMU_TRACE_LACKEY_INPUT_H

#include "ntmmu/event.h"

#include <stdio.h>

enum lackey_segment_kind { LACKEY_FILE, LACKEY_ANON, LACKEY_RESERVE_UP, LACKEY_RESERVE_DOWN, LACKEY_OTHER };

struct lackey_segment {
    uint64_t start, end; /* end: first address behind */
    uint64_t offset;     /* in the file */
    unsigned name;
    uint8_t kind;
    bool read, write, execute;
};

#define LACKEY_NAMES 64

struct lackey_layout {
    unsigned pid;
    bool complete;
    unsigned count, capacity;
    struct lackey_segment *segment;
    char *name[LACKEY_NAMES];
};

struct lackey_log {
    char *path;
    unsigned pid, parent;
    uint64_t size;
    bool forked; /* begins with the child's return from fork: no exec came later */
    bool used;
    char command[EVENT_TEXT_MAX];
};

struct lackey_input {
    struct lackey_log *log;
    unsigned logs;
    struct lackey_layout *layout; /* in the order found; of several of one process the last counts */
    unsigned layouts;
    char *directory; /* where an archive was unpacked; NULL if none */
    char version[32], arch[16];
    const char *expected; /* instead of a line that is wrong */
};

/* 0 or -1 with a line in err. lackey_input_close in both cases. */
int lackey_input_open(struct lackey_input *input, const char *const *paths, unsigned count, char *err, size_t err_size);
void lackey_input_close(struct lackey_input *input);

struct lackey_log *lackey_log_of(struct lackey_input *input, unsigned pid);
const struct lackey_layout *lackey_layout_of(const struct lackey_input *input, unsigned pid);

/* True for "I  04001000,4", " S …", " L …", " M …". */
static inline bool lackey_is_access(const char *line) {
    return (line[0] == 'I' && line[1] == ' ' && line[2] == ' ') ||
           (line[0] == ' ' && line[2] == ' ' && (line[1] == 'S' || line[1] == 'L' || line[1] == 'M'));
}

#endif
