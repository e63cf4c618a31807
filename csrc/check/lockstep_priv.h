/* What the two files of the lockstep check share. */
#ifndef NTMMU_CHECK_LOCKSTEP_PRIV_H
#define NTMMU_CHECK_LOCKSTEP_PRIV_H

#include "lockstep.h"

#define HISTORY 16

struct lockstep {
    struct machine *machine[2];
    char name[2][16]; /* "c" and "rtl", or "first" and "second" */
    char *wave_command;
    uint64_t events;
    struct event history[HISTORY]; /* ring: the events that agreed */
};

struct pair {
    const char *name;
    uint64_t a, b;
};

/* "NAME: A and B" of the first that differs; false if none does. */
bool lockstep_pairs_differ(const struct pair *pairs, size_t count, bool hexadecimal, char *out, size_t size);

#endif
