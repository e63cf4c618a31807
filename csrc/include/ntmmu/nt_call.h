/* How C code calls the kernel's functions by name: as an event of the machine, because a call may fault, wait, raise
 * and stop. */
#ifndef NTMMU_NT_CALL_H
#define NTMMU_NT_CALL_H

#include "ntmmu/machine.h"
#include "ntmmu/nt_exports.h"

#include <stdio.h>
#include <string.h>

/* Calls a function on the machine's kernel, on the thread that runs there. Its status is service_status, what it hands
 * back service_out; it may also have raised an exception, stopped the machine, or wait. */
static inline const struct machine_result *nt_call(struct machine *m, const char *name, unsigned count,
                                                   const uint64_t *arguments) {
    struct event event;
    memset(&event, 0, sizeof event);
    event.kind = EV_CALL;
    snprintf(event.text, sizeof event.text, "%s", name);
    event.args.count = count < EVENT_ARG_MAX ? count : EVENT_ARG_MAX;
    for (unsigned i = 0; i < event.args.count; i++) { event.args.arg[i] = arguments[i]; }
    return machine_step(m, &event);
}

#endif
