/* Boundary 2: the machine as a kernel sees it. Upward calls are filled in by csrc/nt, downward calls by csrc/machine.
 * Addresses the kernel dereferences are translated by the CPU's MMU like anybody's (supervisor data accesses, cause
 * LOG_KERNEL); they may fault, and then the kernel's own page-fault handler runs nested. */
#ifndef NTMMU_OS_H
#define NTMMU_OS_H

#include "ntmmu/event.h"
#include "ntmmu/log.h"
#include "ntmmu/paging.h"
#include "ntmmu/types.h"

#define OS_CPU_MAX          1 /* one CPU for now; interfaces carry the CPU number already */
#define OS_PAGING_FILES_MAX 16
#define OS_IO_PAGES_MAX     16

typedef uint32_t ntstatus_t;

/* One transfer between a file and frames, by DMA (no translation). A write takes its data when it is started, a read
 * delivers when it completes. */
struct os_io {
    uint64_t file;   /* file identity (filedata.h), or os_paging_file(N) */
    uint64_t offset; /* bytes, a multiple of the page size */
    uint32_t pages;  /* 1..OS_IO_PAGES_MAX */
    bool write;
    uint64_t valid_bytes; /* of a read: what exists of the file from offset on; the rest of the pages is zero */
    pfn_t frame[OS_IO_PAGES_MAX];
};
static inline uint64_t os_paging_file(unsigned number) { return ~(uint64_t)0xFF | number; }
static inline bool os_is_paging_file(uint64_t file) { return file >= ~(uint64_t)0xFF; }

/* Faults that --inject and the step `inject` bring about. The machine decides when; the kernel asks at each occasion,
 * except for disk errors, which come as the status of a transfer. */
enum os_injection {
    OS_INJECT_READ_ERROR,
    OS_INJECT_WRITE_ERROR,
    OS_INJECT_PAGEFILE_FULL, /* an allocation of slots finds none */
    OS_INJECT_COMMIT_LIMIT,  /* a charge finds the limit reached and nobody who extends it */
    OS_INJECT_NO_FRAME,      /* a fault finds no frame available */
    OS_INJECT_PARITY,        /* a frame that is given free has a parity error */
    OS_INJECTIONS
};

/* ---- downward: what the machine offers the kernel ---- */

struct os_machine;
struct os_outcome;

struct os_machine_ops {
    /* Kernel virtual memory. Any length; one translation for each page touched. Before paging is on, va = pa. */
    void (*read)(struct os_machine *m, va_t va, void *out, size_t length);
    void (*write)(struct os_machine *m, va_t va, const void *data, size_t length);
    void (*fill)(struct os_machine *m, va_t va, uint8_t byte, size_t length);
    void (*copy)(struct os_machine *m, va_t to, va_t from, size_t length); /* within one page each side at a time */
    /* read and write by code that catches exceptions: how many bytes were moved, a page at a time. Fewer than length:
     * the next page's fault ended in *exception. */
    size_t (*try_read)(struct os_machine *m, va_t va, void *out, size_t length, struct os_outcome *exception);
    size_t (*try_write)(struct os_machine *m, va_t va, const void *data, size_t length, struct os_outcome *exception);
    /* control registers of the current CPU */
    void (*write_control)(struct os_machine *m, enum mmu_control which, uint64_t value);
    uint64_t (*read_control)(struct os_machine *m, enum mmu_control which);
    void (*invlpg)(struct os_machine *m, va_t va);
    /* current CPU */
    unsigned (*current_cpu)(struct os_machine *m);
    unsigned (*irql)(struct os_machine *m);
    void (*set_irql)(struct os_machine *m, unsigned irql);
    bool (*interrupts_enabled)(struct os_machine *m);
    /* Starts a transfer and returns its number: 1, 2, 3… in order of issue. os_ops.io_complete reports its end: with
     * automatic I/O and no latency model a read ends when somebody waits, a write before the next delivery of APCs;
     * with a model, after its number of steps; with manual I/O, at the step `iodone`. Logs LOG_IO. */
    uint64_t (*disk_start)(struct os_machine *m, const struct os_io *io);
    /* Reads that are due with automatic I/O and no latency complete now (before wait returns they have). */
    void (*disk_poll)(struct os_machine *m, bool writes);
    /* Makes (or enlarges) the host's sparse file behind paging file NUMBER; false: the host refuses. */
    bool (*disk_create)(struct os_machine *m, unsigned number, uint64_t bytes);
    /* The current thread waits until object (any non-zero number the kernel chose) is signalled; other threads, system
     * threads and later events run meanwhile, and the thread's IRQL is its own. Nothing is latched: a caller asks for
     * its condition before and after. Not from io_complete or boot. The host's heap memory that only the waiting code
     * knows is lost if the machine is destroyed meanwhile. */
    void (*wait)(struct os_machine *m, uint64_t object);
    /* Wakes every thread that waits on object. */
    void (*signal)(struct os_machine *m, uint64_t object);
    /* Whether the fault is to be simulated at this occasion. */
    bool (*inject)(struct os_machine *m, enum os_injection what);
    /* Stops the machine; does not return. */
    __attribute__((noreturn)) void (*bugcheck)(struct os_machine *m, uint32_t code, uint64_t p1, uint64_t p2,
                                               uint64_t p3, uint64_t p4);
    /* The model itself is wrong (assertion) or the request is not in this version; does not return. Exit 2 for the
     * user. */
    __attribute__((noreturn)) void (*panic)(struct os_machine *m, const char *message);
};

struct os_machine {
    const struct os_machine_ops *ops;
    struct event_log *log;
    /* for os_access.h only */
    struct mmu_shortcuts *shortcuts; /* NULL: there are none */
    struct physmem *mem;
    uint64_t *accesses; /* how many took a shortcut */
};

/* ---- upward: what the kernel offers the machine ---- */

enum os_profile { OS_NT4, OS_NT5, OS_NT5PAE };
enum os_boot { OS_CFG_A, OS_CFG_B, OS_CFG_COL, OS_CFG_NOPGE, OS_CFG_S, OS_CFG_NOPSE }; /* NT-02; NOPSE: NT-13 */

struct os_pagefile {
    uint64_t min, max; /* bytes; 0 < min <= max */
};

struct os_config {
    enum os_profile profile;
    enum os_boot boot;
    uint64_t ram_free; /* --ram: bytes free after boot (NT-02), 0 = the boot configuration's own RAM */
    /* created before the first event, as the session manager would (NT-106) */
    struct os_pagefile pagefile[OS_PAGING_FILES_MAX];
    unsigned pagefiles;
    bool checked_build;           /* !checked: assertions of drivers' code raise (NT-85) */
    bool refuse_popups;           /* the user refuses to raise the commit limit (NT-95) */
    uint32_t min_ws, max_ws;      /* --ws pages, 0 = default (NT-02) */
    bool manual_threads;          /* !threads manual */
    bool reference_counting;      /* --counting reference: traces/FORMAT.md, counting rule 6 */
    bool strict_views;            /* reserved */
    bool no_global_pages;         /* the CPU has no CR4.PGE; the machine sets it */
    uint32_t max_page;            /* !maxmem: highest visible frame, 0 = all */
    uint32_t bad_first, bad_last; /* !bad: frames of the Bad list, both 0 = none */
};

/* OS_REFAULT: the fault waited, or met another on its way; the access is made again, and no status is reported. */
enum os_outcome_kind { OS_RETRY, OS_EXCEPTION, OS_REFAULT };

struct os_outcome {
    enum os_outcome_kind kind;
    ntstatus_t status; /* RETRY: success status; EXCEPTION: code */
    uint64_t p[3];     /* EXCEPTION: parameters, NT-05 */
};

struct os_service_result {
    ntstatus_t status;
    bool raised; /* status is raised as an exception in the caller (NT-05), with exception_p */
    uint64_t exception_p[3];
    uint64_t out[2]; /* rounded base and size, address, va: what the service hands back */
};

struct os; /* the kernel's own state */

struct os_ops {
    /* How much RAM (bytes, a multiple of 4 MB) this configuration needs in all; 0 with a line in err if it makes no
     * sense. */
    uint64_t (*ram_size)(const struct os_config *config, char *err, size_t err_size);
    /* Boots: builds everything in memory, loads the control registers. */
    struct os *(*boot)(struct os_machine *m, const struct os_config *config);
    /* cut_short: calls that wait, or stopped the machine, will never free what they have allocated for themselves. */
    void (*destroy)(struct os *os, bool cut_short);
    /* KiTrap0E (NT-45). Bugchecks do not return. May wait, as may service. */
    struct os_outcome (*page_fault)(struct os *os, va_t cr2, uint32_t error_code);
    /* Every event that is not an access and not the machine's own (EV_IRQL, EV_INTERRUPTS, EV_POKE, EV_POKE_QUAD,
     * EV_IO_MODE, EV_IO_DONE, EV_INJECT). A system thread that EV_RUN_THREAD runs may wait: the step is over then, with
     * status 0, and the call goes on by itself when it can. */
    struct os_service_result (*service)(struct os *os, const struct event *event);
    /* Runs pending system threads to their next wait; called before each event unless manual_threads. May wait, and is
     * called again meanwhile: the others go on. */
    void (*tick)(struct os *os);
    /* A transfer has ended. May be called inside any other call that waits or polls; must not wait itself. */
    void (*io_complete)(struct os *os, uint64_t id, ntstatus_t status);
    /* The process and thread that run on a CPU (0, 0 = System's idle thread). */
    uint32_t (*current_pid)(const struct os *os);
    uint32_t (*current_tid)(const struct os *os);
    /* PID's page directory (CR3 value), 0 if there is none. */
    uint64_t (*directory)(const struct os *os, uint32_t pid);
    /* Plain counters by name, for reports and `expect count.NAME`: calls visit once for each. */
    void (*counters)(const struct os *os, void (*visit)(void *ctx, const char *name, uint64_t value), void *ctx);
};

extern const struct os_ops nt_os_ops, nt_pae_os_ops; /* profiles NT4 and NT5; NT5PAE */

#endif
