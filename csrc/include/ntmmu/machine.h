/* One simulated PC: memory, CPU, MMU, kernel, event log. Feeding it a trace's events replays the program. */
#ifndef NTMMU_MACHINE_H
#define NTMMU_MACHINE_H

#include "ntmmu/event.h"
#include "ntmmu/log.h"
#include "ntmmu/mmu.h"
#include "ntmmu/os.h"
#include "ntmmu/physmem.h"

/* How long transfers take, in steps (one for each event). They are served one after the other, in order of issue. */
enum disk_kind {
    DISK_AUTO,  /* no time: a read ends when somebody waits, a write before the next delivery of APCs */
    DISK_FIXED, /* each takes `fixed` steps */
    DISK_SEEK   /* `transfer` steps a page, and `seek` if it does not begin where the last one ended */
};
struct disk_model {
    enum disk_kind kind;
    uint32_t fixed, seek, transfer;
};

/* A rule of --inject: from event EVENT on, each occasion with a probability (of 2^64), or the first occasion only. */
#define MACHINE_INJECTIONS_MAX 16
struct machine_injection {
    enum os_injection what;
    uint64_t event;
    uint64_t probability; /* 0: once */
    uint64_t seed;
};

/* In place of a kernel: the trace is a bare program (traces/FORMAT.md). Its faults are results, nobody's calls. */
extern const struct os_ops bare_os_ops;

struct machine_config;

/* What a machine is powered on with. */
struct machine_power {
    const struct machine_config *config;
    struct mmu_config mmu; /* of config->mmu: its memory is *mem, with latencies as the preset has them */
    struct physmem *mem;   /* RAM of `size` bytes */
    pa_t size;
    const struct event_log *log;
};

/* What the CPU has in place of config->mmu alone: one that watches it (ntmmu/architecture.h), or buses, at whose other
 * end it is (model/). */
struct machine_board {
    void *ctx;
    const struct mmu_ops *mmu; /* how the CPU reaches its MMU; `create` is not called */
    bool has_memory;           /* power_on makes power->mem, which stays until the machine is destroyed, and
                                * power->mmu.memory is not there; false: both are the machine's own */
    /* Once, at power-on: returns the MMU for the calls of `mmu`, which translates as config->mmu does. NULL with one
     * line in err. */
    struct mmu *(*power_on)(void *ctx, const struct machine_power *power, char *err, size_t err_size);
};

struct machine_config {
    const struct mmu_ops *mmu;
    struct mmu_preset preset;
    bool mmu_assertions;
    const struct os_ops *os;
    struct os_config os_config;
    bool ends_unhandled;     /* !unhandled end: an exception that no bracket handles ends its process (NT-05) */
    bool kernel_direct;      /* --kernel direct: kernel accesses bypass the TLB and cost nothing */
    uint32_t memory_latency; /* cycles of every table access; 0: as the preset's `memory` lines say */
    struct disk_model disk;
    struct machine_injection injection[MACHINE_INJECTIONS_MAX];
    unsigned injections;
    const char *pagefile_directory[OS_PAGING_FILES_MAX]; /* where paging file N is, NULL: with temporary files */
    const struct machine_board *board; /* NULL: the CPU has config->mmu, on the machine's own memory */
};

enum machine_stop { MACHINE_RUNS, MACHINE_BUGCHECK, MACHINE_PANIC };

/* What one event came to. Statuses of the callbacks of one event are kept in order. */
#define MACHINE_STATUS_MAX 32
struct machine_result {
    enum machine_stop stop;
    bool exception;                        /* an access ended in an exception, or a service raised one */
    bool handled;                          /* by a bracket: filter 1, or filter -1 and the event went well then */
    bool reruns_failed;                    /* a bracket with filter -1 ran the event again twice, in vain (NT-05) */
    bool skipped;                          /* on the way out of a bracket */
    bool blocked;                          /* its thread waits */
    bool livelock;                         /* faulted more than 16 times (NT-102) */
    uint32_t callbacks;                    /* #PF delivered to the kernel for this event, trace accesses only */
    ntstatus_t status[MACHINE_STATUS_MAX]; /* of those callbacks that were resolved */
    unsigned status_count;
    uint32_t exception_code;
    uint64_t exception_p[3];
    ntstatus_t service_status;
    uint64_t service_out[2];
    uint64_t data;     /* value of the access's last touch */
    uint8_t first_hit; /* enum mmu_hit of the first attempt of the first touch */
    uint32_t bugcheck_code;
    uint64_t bugcheck_p[4];
    char message[256]; /* of a panic */
    /* Events that had been held back behind a waiting thread and ran now: how many ended in an exception, a failed
     * service or a livelock, and the first of them. */
    uint32_t late_failures;
    uint64_t late_event;
    uint32_t late_status;
};

/* Counted by the machine since boot, trace-caused touches only; a retry after a resolved fault is not a second lookup.
 */
struct machine_counts {
    uint64_t events;
    uint64_t accesses, fetches, loads,
        stores;              /* user mode; a run event counts COUNT; accesses = the other three's sum */
    uint64_t kernel_touches; /* kernel-mode accesses of the trace, a page each */
    uint64_t touches;        /* pages touched by both */
    uint64_t run_hits; /* accesses of run events behind their first one: TLB hits, and in itlb_hit or dtlb_hit, too */
    uint64_t itlb_miss, dtlb_miss, itlb_hit, dtlb_hit;     /* of the first level; a dirty walk is a hit */
    uint64_t istlb_miss, dstlb_miss, istlb_hit, dstlb_hit; /* first-level misses by the second: miss = walked */
    uint64_t page_faults, exceptions;        /* #PF delivered to the kernel; exceptions delivered to the program */
    uint64_t kernel_accesses, kernel_misses; /* of the kernel's own accesses, through the MMU; misses: that walked */
    uint64_t invlpg, cr3_switch, cr3_other, flush_all; /* issued by the kernel; switch: a CR3 load of an `x` event */
    uint64_t file_reads;                               /* pages read from files */
    uint64_t file_read_transfers, file_write_transfers, file_writes; /* writes: in pages */
    uint64_t pagefile_read_transfers, pagefile_reads, pagefile_write_transfers, pagefile_writes;
    uint64_t disk_steps;                             /* a transfer was under way: with a latency model only */
    uint64_t injected_exceptions, injected_failures; /* accesses and services that failed since a rule first fired */
    uint64_t injected[OS_INJECTIONS];                /* faults simulated */
    uint64_t resolved[FAULT_KINDS];                  /* faults of trace accesses */
};

struct machine;

/* NULL with one line in err. The kernel is booted on return. log subscribers may be added before the first event. */
struct machine *machine_create(const struct machine_config *config, char *err, size_t err_size);
void machine_destroy(struct machine *m);
/* Replays one event. After a stop the machine is frozen: only the views below may be used. */
const struct machine_result *machine_step(struct machine *m, const struct event *event);
/* A trace has ended: steps go on until no thread waits or none of them can be woken. Returns how many events were still
 * held back then. */
uint64_t machine_finish(struct machine *m);
/* At most so many of these steps. False: there are no more; machine_held says how many events are still held back. */
bool machine_finish_some(struct machine *m, uint64_t steps);
uint64_t machine_held(const struct machine *m);
const struct machine_result *machine_last(const struct machine *m); /* of the last step */

struct event_log *machine_log(struct machine *m);
struct physmem *machine_memory(struct machine *m);
struct mmu *machine_mmu(struct machine *m);
const struct mmu_ops *machine_mmu_ops(const struct machine *m);
const struct mmu_preset *machine_preset(const struct machine *m);
struct os *machine_os(struct machine *m);
const struct os_ops *machine_os_ops(const struct machine *m);
const struct machine_counts *machine_counts(const struct machine *m);
/* Whether a rule of --inject has fired: exceptions and failed services may come of it from now on. */
bool machine_has_injected(const struct machine *m);
unsigned machine_irql(const struct machine *m);
/* The MMU's, boot included, and one for each hit inside a run event. */
uint64_t machine_cycles(const struct machine *m);
void machine_statistics(const struct machine *m, struct mmu_statistics *out); /* the MMU's, since boot */
/* A page of a paging file as it is on the disk. false: there is no such file. */
bool machine_paging_file_page(struct machine *m, unsigned number, uint64_t offset, uint8_t *out);

/* The data of a trace's access. Exact level: each page it touches is one touch, lower page first, of min(4, bytes in
 * that page) bytes at the touch's address. A store with `=VALUE` stores that value's bytes in order (bytes beyond the
 * eighth are 0), without one the low bytes of machine_store_value. A modify loads, then stores. Run level: one touch of
 * 4 bytes at machine_run_offset; a load takes, by machine_run_choice, the offset of the last run-level store to that
 * page by that process, or of the store before it, if there was one (a forked child has its parent's, exec forgets
 * them). Functions of the event's index and the touch's number in it. */
static inline uint32_t machine_store_value(uint64_t event_index, unsigned touch) {
    return (uint32_t)mix64(event_index * 2 + touch + 1);
}
static inline uint32_t machine_run_offset(uint64_t event_index) { return (uint32_t)(mix64(~event_index) & 0xFFC); }
enum run_choice { RUN_LAST, RUN_BEFORE, RUN_ANYWHERE };
static inline enum run_choice machine_run_choice(uint64_t event_index) {
    unsigned quarter = (unsigned)(mix64(~event_index) >> 62);
    return quarter < 2 ? RUN_LAST : quarter == 2 ? RUN_BEFORE : RUN_ANYWHERE;
}

#endif
