/* Turning captures and other traces into VMT: `ntmmu convert`. What the rules are stands in traces/FORMAT.md. */
#ifndef NTMMU_IMPORT_H
#define NTMMU_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum import_level { IMPORT_RUN, IMPORT_EXACT, IMPORT_KEEP /* import_vmt: the level of the input */ };

/* What an import found; the src_ numbers count successful system calls of the captured program. */
struct import_report {
    uint64_t lines;                 /* access lines of the capture */
    uint64_t ifetch, loads, stores; /* of them; a modify is a store */
    uint64_t straddling;            /* accesses that touch two pages */
    uint64_t kernel_touches;        /* pages the kernel touched in system calls and when it made a stack */
    uint64_t vm_events;             /* events that are no accesses, switches too */
    uint64_t switches;
    uint64_t src_mmap, src_munmap, src_brk, src_mprotect, src_fork, src_exec, src_mremap, src_madvise, src_threads;
    uint64_t src_syscalls;   /* all, failed ones too */
    uint64_t src_kernel_buf; /* buffers, paths and first stacks that the kernel touched */
    uint64_t src_unknown;    /* accesses to addresses of which the capture does not tell; given private pages */
    uint32_t processes;
    uint32_t lost_layouts;   /* programs whose start layout (-d) the capture lacks */
    uint32_t lost_processes; /* logs that no fork led to, and forks without a log */
};

struct import_options {
    const char *const *inputs; /* lackey: directories, .tar or .tar.zst archives, plain logs; vmt: one trace */
    unsigned input_count;
    const char *output; /* as trace_create takes it */
    enum import_level level;
    uint64_t limit;                                     /* accesses after which the trace is cut; 0 = none */
    const char *name;                                   /* `!name`; NULL = from the inputs */
    struct import_report *report;                       /* filled if not NULL */
    bool (*progress)(double fraction, uint64_t events); /* called now and then if not NULL; false: give up */
};

/* 0; or -1 with one line in err and no output left behind. */
int import_lackey(const struct import_options *options, char *err, size_t err_size);
/* Copies a trace, compressing or not as the output's name says; with IMPORT_RUN an exact trace is grouped into page
 * runs. */
int import_vmt(const struct import_options *options, char *err, size_t err_size);

#endif
