/* What is in a trace: counts for `ntmmu info`. Memory grows with the pages touched, not with the trace's length. */
#ifndef NTMMU_TRACE_SUMMARY_H
#define NTMMU_TRACE_SUMMARY_H

#include "ntmmu/trace.h"

#define SUMMARY_DIRECTIVES 256

struct page_set; /* of (process, page) */

struct trace_summary {
    uint64_t events, expects, lines;
    uint64_t by_kind[EV_KINDS];
    uint64_t accesses[4];    /* user mode, by enum event_access; runs count with their length */
    uint64_t kernel_touches; /* pages touched in kernel mode */
    uint64_t touches;        /* pages touched, all modes: what an MMU is asked */
    uint64_t straddling;     /* accesses over a page's end */
    uint64_t vm_events;      /* no accesses */
    uint64_t pages;          /* different (process, page) */
    uint64_t processes, threads;
    char *directive[SUMMARY_DIRECTIVES];
    unsigned directives;
    struct page_set *set;
};

/* Reads the whole trace. 0; or -1 with one line in err. Free in both cases. progress may be NULL. */
int trace_summarise(struct trace_summary *summary, const char *path, void (*progress)(double fraction, uint64_t events),
                    char *err, size_t err_size);
void trace_summary_free(struct trace_summary *summary);

#endif
