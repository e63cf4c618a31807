/* System calls as lackey --trace-syscalls=yes writes them. */
#ifndef NTMMU_TRACE_LACKEY_CALL_H
#define NTMMU_TRACE_LACKEY_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALL_ARGS 7

struct lackey_call {
    unsigned pid, tid, number;
    char name[32]; /* without "sys_" */
    unsigned args;
    uint64_t arg[CALL_ARGS];
    char *text; /* the path argument's text, malloc'ed, NULL if none */
    unsigned text_arg;
    bool complete, success; /* success: its result is in result */
    uint64_t result;
    unsigned child; /* process that fork or clone made, 0 = none */
};

/* Parses "SYSCALL[pid,tid](number) sys_name ( … ) --> …". false: not such a line. A line "SYSCALL[…](n) ... [async]
 * -->" leaves name empty: it completes the thread's call begun before. Frees nothing. */
bool lackey_call_parse(const char *line, struct lackey_call *call);
/* The tail "--> Success(0x…)" or "--> Failure(0x…)" of LINE; false if it has none. */
bool lackey_call_result(const char *line, struct lackey_call *call);

#endif
