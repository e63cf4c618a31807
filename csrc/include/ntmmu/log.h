/* Boundary 3: the event log. Everything that can be observed is one fixed-size typed record, sent to the subscribers
 * that asked for its kind. A record that nobody wants is not built: guard with log_wants(). */
#ifndef NTMMU_LOG_H
#define NTMMU_LOG_H

#include "ntmmu/types.h"

enum log_kind {
    LOG_ACCESS,    /* a trace access's touch completed: a=va b=pa c=value (loaded; what a pure store stored) d=cycles
                      e=type|mode<<4|size<<8|hit<<16|page_shift<<24; size: bytes of data moved, 1..8 */
    LOG_TABLE,     /* a table access of a walk: a=pa b=value c=desired d=op|level<<8 e=va that is walked for */
    LOG_FAULT,     /* #PF raised: a=cr2 b=error code c=cycles d=hit */
    LOG_RESOLVED,  /* #PF serviced: a=va b=status c=enum fault_kind d=file identity e=file offset of the page; sent by
                      the kernel, its cause is that of the access that faulted */
    LOG_EXCEPTION, /* delivered to the program: a=code b=p0 c=p1 d=p2 */
    LOG_BUGCHECK,  /* a=code b..e=p1..p4 */
    LOG_BLOCK,     /* thread waits: a=tid b=object */
    LOG_STATUS,    /* a service returned: a=status b,c=out values */
    LOG_PTE,       /* a table entry stored by the kernel: a=va of the entry b=old c=new d=va it maps (0: prototype) */
    LOG_PFN,       /* a frame changed state: a=frame b=old flags c=new flags d=share e=ref */
    LOG_LIST,      /* a=list number b=frame c=1 inserted 0 removed d=count afterwards */
    LOG_WS,        /* working-set entry: a=index b=old c=new d=size afterwards */
    LOG_TLB,       /* issued by the kernel: a=enum log_tlb b=va or CR3 value */
    LOG_SWITCH,    /* sent by the kernel: a=cpu b=tid c=pid */
    LOG_IO,        /* a=enum log_io b=file identity c=offset d=pages e=first frame */
    LOG_COMMIT,    /* a=total b=limit */
    LOG_SIGNAL,    /* a named event was set: a=enum log_signal */
    LOG_KERNEL_ACCESS, /* the kernel's own access translated: a=va b=pa d=cycles e as of LOG_ACCESS, without a size */
    LOG_TRANSLATED,    /* of a bare program, before LOG_ACCESS or what stands for it: what else a translation says.
                          a=va b=cycle in which it completed c=vector|memory type<<8|psc_level<<16|page_shift<<24
                          d=table accesses|restarts<<16 e=pa */
    LOG_KINDS
};

enum log_cause { LOG_TRACE, LOG_KERNEL };
enum log_tlb { LOG_INVLPG, LOG_CR3_SWITCH, LOG_CR3_OTHER, LOG_FLUSH_ALL };
enum log_io { LOG_READ_START, LOG_READ_DONE, LOG_WRITE_START, LOG_WRITE_DONE };
enum log_signal {
    LOG_ZEROING_PAGE,
    LOG_AVAILABLE_PAGES,
    LOG_AVAILABLE_PAGES_HIGH,
    LOG_MODIFIED_WRITER,
    LOG_MAPPED_WRITER,
    LOG_PAGEFILE_FULL,
    LOG_ASSERT_PAGED_CODE,
    LOG_SWAP_EVENT,
    LOG_DEADLOCK, /* a thread waits for what cannot come, NT-43 */
    LOG_SIGNALS
};

/* What servicing a fault came to; the counting rules of traces/FORMAT.md build on it. */
enum fault_kind {
    FAULT_OTHER,       /* stale TLB entry, kernel PDE copied, page table only */
    FAULT_DEMAND_ZERO, /* private page, first touch */
    FAULT_TRANSITION,  /* soft: the process's own page came back */
    FAULT_FILE,        /* view page made valid in this process; d, e name the file page */
    FAULT_SECTION,     /* page of a page-file-backed section made valid in this process */
    FAULT_CLONE,       /* inherited private page of a forked process made valid */
    FAULT_COW_FILE,    /* write-copy page of a view copied */
    FAULT_COW_FORK,    /* inherited page copied */
    FAULT_COW_REUSE,   /* inherited page, last owner: kept */
    FAULT_GUARD,
    FAULT_PAGE_FILE,
    FAULT_KINDS
};

struct log_record {
    uint64_t event; /* index of the trace event during which it happened */
    uint8_t kind, cause;
    uint16_t reserved;
    uint32_t pid; /* current process, 0 = System */
    uint64_t a, b, c, d, e;
};

#define LOG_SUBSCRIBER_MAX 8
#define LOG_BIT(kind)      (1u << (kind))

struct log_subscriber {
    uint32_t mask;
    void *ctx;
    void (*receive)(void *ctx, const struct log_record *record);
};

struct event_log {
    uint32_t wanted; /* union of the masks */
    unsigned count;
    struct log_subscriber subscriber[LOG_SUBSCRIBER_MAX];
    uint64_t event; /* stamped on each record */
    uint32_t pid;
    uint8_t cause;
    uint8_t fault_cause; /* of LOG_RESOLVED: of the access whose fault is being serviced */
};

static inline bool log_wants(const struct event_log *log, enum log_kind kind) { return (log->wanted >> kind) & 1; }

/* 0, or -1 if there is no room. */
int log_subscribe(struct event_log *log, uint32_t mask, void (*receive)(void *, const struct log_record *), void *ctx);
void log_send(struct event_log *log, enum log_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
/* One line for a person: "ACCESS r 00410000 -> 00404000 = aa (walk, 7 cycles)". Returns the length. */
int log_format(const struct log_record *record, char *out, size_t out_size);
const char *log_kind_name(enum log_kind kind);

#endif
