/* Calls of the kernel that may wait. Each runs on a coroutine; when the kernel waits, the call is left standing there
 * and goes on when what it waits for has been signalled. */
#ifndef NTMMU_UPCALL_H
#define NTMMU_UPCALL_H

#include "ntmmu/event.h"
#include "ntmmu/os.h"

struct coroutine;
struct machine;

enum upcall_kind { UPCALL_FAULT, UPCALL_SERVICE, UPCALL_TICK };

struct upcall {
    struct machine *m;
    struct coroutine *stack;
    enum upcall_kind kind;
    bool waits;      /* it has not returned */
    uint64_t object; /* what it waits for; 0 once signalled */

    /* arguments and result */
    va_t cr2;
    uint32_t error_code;
    const struct event *event; /* valid while the call begins: it keeps a copy */
    struct os_outcome outcome;
    struct os_service_result result;

    /* CPU state of the call while it waits, and the IRQL it began at */
    unsigned irql, first_irql, kernel_depth;
    uint8_t cause, fault_cause;

    struct upcall *next; /* of the idle ones, or of the system's that wait */
    struct upcall *all;  /* of all there are */
};

/* Each returns the call. If ->waits, the kernel waits in it: upcall_resume later. Otherwise its result may be looked at
 * until the next upcall, and the call is back in the pool. */
struct upcall *upcall_fault(struct machine *m, va_t cr2, uint32_t error_code);
struct upcall *upcall_service(struct machine *m, const struct event *event);
void upcall_resume(struct upcall *call);

/* System threads: a call that waits belongs to no thread of the trace. */
void upcall_tick(struct machine *m);
void upcall_adopt(struct upcall *call);               /* a call that waits is the system's from now on */
bool upcall_pump_system(struct machine *m);           /* those of the system's that can, go on. true if any did */
void upcall_wait(struct machine *m, uint64_t object); /* os_machine_ops.wait */
void upcall_signal(struct machine *m, uint64_t object);
bool upcall_any_waits(const struct machine *m);
void upcall_free_all(struct machine *m);

#endif
