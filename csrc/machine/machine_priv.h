/* The machine's own state, and what its files call in each other. */
#ifndef NTMMU_MACHINE_PRIV_H
#define NTMMU_MACHINE_PRIV_H

#include "disk.h"
#include "ntmmu/machine.h"
#include "ntmmu/memory_model.h"
#include "ntmmu/mmu_shortcut.h"
#include "upcall.h"

#include <setjmp.h>
#include <uthash.h>

#define RETRY_LIMIT        16      /* NT-102: a step that faults more often is a livelock */
#define KERNEL_DEPTH_LIMIT 8       /* page faults of the kernel's own accesses within each other */
#define HELD_LIMIT         65536   /* events held back behind waiting threads */
#define IDLE_STEPS_LIMIT   1000000 /* steps without any event before waiting threads are given up */
#define ROUNDS_LIMIT       1000000 /* turns of waiting threads, or of transfers, that one step brings about */
#define QUIET_STEPS_LIMIT  4000    /* the same with nothing that may bring one on: longer than a time-out of 30 s */
#define INJECTIONS_WAITED  16384u  /* faults that a step has armed are waited out if they are no more */

/* Where a run-level load finds the page's last stored word and the one before: offset | 1, 0 = none. */
#define OFFSET_DIRECTORY 1024
#define OFFSET_TABLE     1024
struct stored_offsets {
    uint16_t last, before;
};
struct machine_process {
    uint32_t pid;
    struct stored_offsets *offsets[OFFSET_DIRECTORY];
    UT_hash_handle hh;
};

/* Steps without an event, as long as they may bring something. */
struct patience {
    uint64_t steps, quiet;
};

/* How far an event has come that had to wait. */
struct progress {
    bool started;        /* an access whose first touches are done, or that faulted already */
    unsigned reruns;     /* by brackets with filter -1 */
    unsigned touch;      /* of an access: where it goes on */
    uint32_t dying;      /* the process that an exception ends: only that is left to do. 0: none */
    struct upcall *call; /* the call of the kernel that waits, NULL if none */
};

/* An event that could not run yet. Without text its allocation ends before event.text. */
struct held_event {
    struct held_event *next;
    struct progress progress;
    bool foreign; /* concerns a process that is not its thread's */
    bool named;   /* names a thread, a section… by its number */
    struct event event;
};

struct machine_thread {
    uint32_t tid, pid;
    bool exited;
    struct brackets *brackets; /* NULL until its first `try` */
    bool born;                 /* false: an `x` named it while the event that creates it was held back */
    bool anew;                 /* an `x` named it while an event that creates one of its number was held back */
    bool stuck;                /* waits, or has events held back; then on the stuck list */
    uint64_t first_barrier;    /* index of the first barrier event in the queue, UINT64_MAX if none */
    struct held_event *first, **last;
    struct upcall *coming; /* the switch to it, which waits; NULL if none does */
    uint64_t coming_since; /* index of the event that it waits from */
    bool coming_asked;     /* that event is the `x` itself */
    struct machine_thread *next_stuck;
    UT_hash_handle hh;
};

struct machine {
    struct os_machine downward; /* the first member: the kernel's handle is the machine */
    struct machine_config config;
    struct physmem mem;
    struct memory_model memory_model;
    struct event_log log;
    struct mmu *mmu;
    struct os *os;
    struct machine_counts counts;
    struct machine_result result;
    struct mmu_result translation; /* of the last request */
    struct mmu_statistics boot_statistics;

    /* the CPU */
    unsigned irql;
    bool interrupts;
    uint64_t cr0;    /* as written, to know when paging is on */
    bool bare;       /* no kernel: bare.c replays */
    uint32_t meddle; /* bits to flip in the next entry that is exchanged, 0: none */
    bool kernel_direct;

    const struct event *event; /* being replayed */
    unsigned kernel_depth;
    bool late; /* replaying an event that had been held back */
    bool frozen, booted;
    bool finishing; /* the trace has ended, steps go on */
    struct patience patience;
    jmp_buf stop;

    struct upcall *call;                   /* that runs now, NULL: the machine itself does */
    struct upcall *all_calls, *idle_calls; /* the pool */
    struct upcall *system_calls;           /* of system threads, waiting */
    struct disk disk;
    bool completing; /* inside os_ops.io_complete */
    struct injection_state {
        uint64_t occasions;
    } injection[MACHINE_INJECTIONS_MAX]; /* of each rule */
    uint64_t open_brackets;              /* of all threads */
    bool driver;                         /* kernel accesses are a driver's */
    bool rule_fired;
    uint32_t injected[OS_INJECTIONS]; /* occasions that are still to fail: step `inject` */

    struct machine_process *processes, *process; /* by pid; the current one, NULL if not looked up */
    struct machine_thread *threads, *stuck;      /* by tid; in the order they got stuck */
    struct machine_thread *logical;              /* the thread the trace is in, while any is stuck */
    uint64_t held, held_foreign, held_named, held_creations;
};

static inline struct machine *machine_of(struct os_machine *downward) { return (struct machine *)downward; }

/* cpu.c: accesses of the trace */
enum access_end { ACCESS_DONE, ACCESS_EXCEPTION, ACCESS_LIVELOCK, ACCESS_BLOCKED };
/* Runs the access from where it stands; ACCESS_BLOCKED leaves in *progress where it goes on. */
enum access_end cpu_access(struct machine *m, const struct event *event, struct progress *progress);
/* Translates into m->translation and logs the walk; does not return if the hardware hangs. */
void cpu_translate(struct machine *m, const struct mmu_request *request);
/* The parts of it: what m->translation says, and what is counted. */
uint8_t cpu_mmu_type(uint8_t access); /* of enum event_access */
void cpu_log_tables(struct machine *m, va_t va);
void cpu_count_lookup(struct machine *m, uint8_t type, uint8_t mode, bool first);
void cpu_count_access(struct machine *m, uint8_t access, uint8_t mode, uint64_t count);
/* Field e of LOG_ACCESS and LOG_KERNEL_ACCESS. */
uint64_t cpu_access_word(const struct machine *m, uint8_t type, uint8_t mode, uint8_t bytes);
/* The run-level offsets. */
void process_follow(struct machine *m, const struct event *event); /* after a fork, exec or exit succeeded */
void process_free_all(struct machine *m);

/* kernel_access.c: the downward half of os.h */
extern const struct os_machine_ops machine_downward_ops;
_Noreturn void machine_bugcheck(struct machine *m, uint32_t code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4);
_Noreturn void machine_panic(struct machine *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* brackets.c: exceptions. brackets_take: the event is a bracket's own, or skipped on the way out of one. */
enum bracket_verdict { BRACKET_NONE, BRACKET_HANDLED, BRACKET_RERUN, BRACKET_EXHAUSTED };
bool brackets_take(struct machine *m, const struct event *event);
enum bracket_verdict brackets_search(struct machine *m, unsigned reruns);
/* The process ends when the outermost bracket closes; false: no bracket is open. brackets_take_end: it has, 0: none. */
bool brackets_delay_end(struct machine *m, uint32_t pid);
uint32_t brackets_take_end(struct machine *m);
void brackets_forget(struct machine *m, struct machine_thread *t); /* a thread begins, outside all brackets */

/* bare.c: one event of a program without an operating system; the change that `meddle` has asked for. */
void bare_replay(struct machine *m, const struct event *event);
void bare_meddle(struct machine *m, pa_t pa);

/* inject.c: whether this occasion is to fail */
bool inject_now(struct machine *m, enum os_injection what);

/* machine.c */
/* Replays one event now, on the thread the kernel runs. True if it waits: *progress says where. */
bool machine_replay(struct machine *m, const struct event *event, struct progress *progress);
/* A step goes by: the disk works, system threads run. */
void machine_advance(struct machine *m);

/* threads.c: waiting */
bool threads_intercept(struct machine *m, const struct event *event); /* true: the event is held back or was absorbed */
void threads_block(struct machine *m, const struct event *event, const struct progress *progress);
void threads_follow(struct machine *m, const struct event *event); /* after an event that makes or ends threads */
struct machine_thread *threads_current(struct machine *m);
bool threads_all_wait(const struct machine *m);
/* Does a thread of the process, other than t, wait in the kernel? It comes out before the process ends. */
bool threads_wait_in(const struct machine *m, uint32_t pid, const struct machine_thread *t);
bool threads_current_is_stuck(struct machine *m);
bool threads_alive(struct machine *m, uint32_t tid); /* it has begun, and not ended */
/* A change of the machine or of a CPU, of no process: never held back. */
bool threads_is_machine_step(const struct event *event);
bool threads_makes(const struct event *event);
/* Its thread never begins: what was held back for it goes. */
void threads_creation_failed(struct machine *m, const struct event *event);
void threads_pump(struct machine *m); /* runs what can run again */
void threads_free_all(struct machine *m);

#endif
