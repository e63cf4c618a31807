/* Exceptions that kernel code raises in its caller (NT-05): the service ends with result.raised, and the trace's
 * brackets decide where control goes on. */
#include "exports.h"

ntstatus_t MiRaise(struct os *os, ntstatus_t status, uint64_t p0, uint64_t p1, uint64_t p2) {
    os->Raised = true;
    os->RaisedP[0] = p0;
    os->RaisedP[1] = p1;
    os->RaisedP[2] = p2;
    return status;
}

ntstatus_t ExRaiseStatus(struct os *os, ntstatus_t status) { return MiRaise(os, status, 0, 0, 0); }

/* ---- call ---- */

static ntstatus_t MiCallRaiseStatus(struct os *os, struct eprocess *process, const struct event *event,
                                    uint64_t out[2]) {
    (void)process;
    (void)out;
    return ExRaiseStatus(os, MI_ARGUMENT(event, 0));
}

static ntstatus_t MiCallRaiseAccessViolation(struct os *os, struct eprocess *process, const struct event *event,
                                             uint64_t out[2]) {
    (void)process;
    (void)event;
    (void)out;
    return ExRaiseStatus(os, STATUS_ACCESS_VIOLATION);
}

static ntstatus_t MiCallRaiseMisalignment(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    (void)event;
    (void)out;
    return ExRaiseStatus(os, STATUS_DATATYPE_MISALIGNMENT);
}

const struct mi_export MiExceptionExports[] = {
    {"ExRaiseStatus", 1, MI_NO_HANDLE, MiCallRaiseStatus},
    {"ExRaiseAccessViolation", 0, MI_NO_HANDLE, MiCallRaiseAccessViolation},
    {"ExRaiseDatatypeMisalignment", 0, MI_NO_HANDLE, MiCallRaiseMisalignment},
    {0},
};
