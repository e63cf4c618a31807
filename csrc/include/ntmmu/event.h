/* The events a trace is made of: the vocabulary that the trace reader produces, the machine replays and the kernel's
 * services receive. The text form of each is in traces/FORMAT.md. */
#ifndef NTMMU_EVENT_H
#define NTMMU_EVENT_H

#include "ntmmu/protection.h"
#include "ntmmu/types.h"

enum event_kind {
    EV_NONE,
    /* accesses */
    EV_ACCESS, /* [k] i|r|w|m ADDR SIZE [=VALUE] */
    EV_RUN,    /* [K] I|R|W VPN [COUNT] */
    /* schedule */
    EV_PROC_CREATE,   /* proc+ PID PPID "image" [MINWS MAXWS] */
    EV_PROC_EXIT,     /* proc- PID */
    EV_THREAD_CREATE, /* thr+ TID PID */
    EV_THREAD_EXIT,   /* thr- TID */
    EV_FORK,          /* fork NEWPID PARENT NEWTID */
    EV_EXEC,          /* exec PID "image" */
    EV_SWITCH,        /* x CPU TID */
    /* memory */
    EV_ALLOC,         /* alloc BASE SIZE TYPE PROT [TAG] */
    EV_FREE,          /* free BASE SIZE d|r */
    EV_SECTION,       /* sec+ SID image|data|page SIZE "path" */
    EV_SUBSECTION,    /* sub SID OFF SIZE (FILEOFF|-) PROT */
    EV_SECTION_CLOSE, /* sec- SID */
    EV_MAP,           /* map[!] SID BASE SIZE OFF (PROT|image) [share] */
    EV_UNMAP,         /* unmap BASE */
    EV_PROTECT,       /* prot BASE SIZE PROT */
    EV_LOCK,          /* lock BASE SIZE [KIND] */
    EV_UNLOCK,        /* unlock BASE SIZE [KIND] */
    EV_FLUSH,         /* flush BASE SIZE */
    EV_MOVE,          /* move OLD NEW SIZE */
    /* kernel */
    EV_IRQL,       /* irql CPU LEVEL */
    EV_MDL_LOCK,   /* mdl+ ID BASE SIZE r|w */
    EV_MDL_MAP,    /* mdlmap ID KVA */
    EV_MDL_UNMAP,  /* mdlunmap ID */
    EV_MDL_UNLOCK, /* mdl- ID */
    /* scenario steps, NT-102 */
    EV_INTERRUPTS,   /* if CPU 0|1          EFLAGS.IF */
    EV_RUN_THREAD,   /* run NAME [WORD…]    runs a system thread until it blocks */
    EV_TRIM,         /* trim PID N|all [force] */
    EV_DRAIN,        /* drain N             kernel takes frames until MmAvailablePages = N */
    EV_UNDRAIN,      /* undrain N           gives N drained frames back to the Free list */
    EV_HYPERMAP,     /* hypermap FRAME…     maps (and unmaps again) each frame in turn; status is the last va */
    EV_POOL,         /* pool TYPE SIZE [TAG]   status is the address */
    EV_POOL_FREE,    /* poolfree ADDR */
    EV_STACK,        /* stack TID BASE DEALLOC LIMIT */
    EV_TIME,         /* time +MS            decimal milliseconds */
    EV_CALL,         /* call NAME ARG…      a service with raw arguments, in the order of NT-105 */
    EV_POKE,         /* poke ADDR VALUE     stores 4 bytes in physical memory behind everybody's back */
    EV_PAGEFILE,     /* pagefile MIN MAX    NtCreatePagingFile, lengths in bytes */
    EV_IO_MODE,      /* io auto|manual      how transfers end (NT-43) */
    EV_IO_DONE,      /* iodone ID [STATUS]  transfer ID ends */
    EV_ATTACH,       /* attach PID          KeAttachProcess by the current thread */
    EV_DETACH,       /* detach */
    EV_PREFETCH,     /* prefetch SID OFF SIZE …   NT-60, up to 5 ranges */
    EV_COMMIT_REPLY, /* commitreply ID RESULT     the dereference thread answers request ID with RESULT pages (NT-95) */
    EV_INJECT,       /* inject WHAT [COUNT]      the next COUNT (1 if left out) occasions fail, see os.h */
    EV_TRY,          /* try [-1|0|1]        opens a bracket with this filter (NT-05); without one: of a finally */
    EV_EXCEPT,       /* except              closes it: where filter 1 goes on */
    EV_FINALLY,      /* finally             what follows runs on every way out */
    EV_END_TRY,      /* endtry              closes a finally */
    EV_DRIVER,       /* driver 0|1          kernel accesses are tagged as a driver's (NT-45) */
    EV_DRIVER_LOAD,  /* drv+ ID "path" NONPAGED PAGED INIT   sizes of the image's parts (NT-85); status is its base */
    EV_DRIVER_UNLOAD, /* drv- ID */
    EV_POKE_QUAD,     /* pokeq ADDR VALUE   the same with 8 bytes */
    /* bare programs: what an operating system would have done */
    EV_BATCH,   /* batch [k|s]i|r|w|m:ADDR …   accesses of which the next is offered while this one is under way */
    EV_MOV,     /* mov cr0|cr3|cr4|efer|ac|pat VALUE */
    EV_INVLPG,  /* invlpg ADDR */
    EV_INVPCID, /* invpcid TYPE PCID ADDR */
    EV_MEDDLE,  /* meddle BITS          flips bits of the next entry that a walk is about to exchange, just before */
    EV_KINDS
};

enum event_mode { EVENT_USER, EVENT_KERNEL, EVENT_IMPLICIT /* bare programs only */ };
enum event_access { EVENT_FETCH, EVENT_LOAD, EVENT_STORE, EVENT_MODIFY };

enum { EVENT_RESERVE = 1, EVENT_COMMIT = 2, EVENT_RESET = 4 };
enum event_section { EVENT_SEC_IMAGE, EVENT_SEC_DATA, EVENT_SEC_PAGE };
enum { EVENT_MAP_IMAGE = 0xFF }; /* protection of `map … image` */

#define EVENT_TEXT_MAX  512 /* longest path, image name or tag, terminator included */
#define EVENT_ARG_MAX   16
#define EVENT_BATCH_MAX 8

struct event {
    enum event_kind kind;
    uint64_t index; /* counts events only (no directive, comment or expect line), from 0 */
    uint64_t line;  /* line of the text, from 1 */
    union {
        struct {
            va_t va;
            uint32_t size;
            uint8_t access, mode;
            bool has_value;
            uint64_t value;
        } access;
        struct {
            vpn_t vpn;
            uint64_t count;
            uint8_t access, mode;
        } run;
        struct {
            uint32_t pid, ppid;
            uint32_t min_ws, max_ws;
        } proc; /* ws in pages, 0 = default; also EXIT, EXEC: pid */
        struct {
            uint32_t tid, pid;
        } thread;
        struct {
            uint32_t pid, parent, tid;
        } fork;
        struct {
            uint32_t cpu, tid;
        } sw;
        struct {
            va_t base;
            va_t size;
            uint8_t type, prot;
        } alloc; /* type: EVENT_RESERVE | … */
        struct {
            va_t base, size;
            bool release;
        } free;
        struct {
            uint32_t sid;
            uint8_t type;
            uint64_t size;
        } section;
        struct {
            uint32_t sid;
            uint64_t offset, size, file_offset;
            bool anonymous;
            uint8_t prot;
        } sub;
        struct {
            uint32_t sid;
            va_t base, size;
            uint64_t offset;
            uint8_t prot;
            bool share, strict;
        } map;
        struct {
            va_t base, size;
            uint8_t prot;
            uint32_t kind; /* LOCK, UNLOCK: 1 in the working set, 2 in memory */
        } range;           /* UNMAP, PROTECT, LOCK, UNLOCK, FLUSH */
        struct {
            va_t from, to, size;
        } move;
        struct {
            uint32_t cpu, level;
        } irql; /* also INTERRUPTS: level 0 or 1 */
        struct {
            uint32_t id;
            va_t base, size;
            bool write;
        } mdl;
        struct {
            uint32_t pid;
            uint32_t count;
            bool all, force;
        } trim;
        struct {
            uint64_t count;
        } amount; /* DRAIN, UNDRAIN, TIME */
        struct {
            uint8_t type; /* POOL_TYPE of NT-84: bit 0 paged, bit 1 must succeed, bit 2 aligned to cache lines */
            uint32_t size;
            uint32_t tag;
        } pool;
        struct {
            va_t va;
        } address; /* POOL_FREE, INVLPG */
        struct {
            uint8_t count;
            struct event_touch {
                va_t va;
                uint8_t access, mode;
            } at[EVENT_BATCH_MAX];
        } batch;
        struct {
            uint64_t value;
            uint8_t which; /* enum mmu_control */
        } mov;
        struct {
            uint64_t type, pcid;
            va_t va;
        } invpcid;
        struct {
            uint32_t bits;
        } meddle;
        struct {
            uint32_t tid;
            va_t base, dealloc, limit;
        } stack;
        struct {
            pa_t pa;
            uint64_t value;
        } poke;
        struct {
            uint64_t min, max;
        } pagefile; /* bytes */
        struct {
            uint64_t id;
            uint32_t status; /* IO_DONE: NTSTATUS; COMMIT_REPLY: pages */
        } reply;
        struct {
            bool manual;
        } io;
        struct {
            uint8_t what; /* enum os_injection */
            uint32_t count;
        } inject;
        struct {
            bool has_filter;
            int8_t filter;
        } bracket; /* TRY */
        struct {
            uint32_t id;
            uint32_t nonpaged, paged, init; /* bytes */
        } driver;                           /* DRIVER: id 0 or 1 */
        struct {
            unsigned count;
            uint64_t arg[EVENT_ARG_MAX];
        } args; /* HYPERMAP frames, PREFETCH ranges, CALL arguments; name in text */
    };
    char text[EVENT_TEXT_MAX]; /* image, path, tag, thread or service name; "" if none; see event_has_text */
};

const char *event_kind_name(enum event_kind kind);
/* What `inject` and --inject can bring about, in the order of enum os_injection (os.h); NULL ends it. */
extern const char *const injection_names[];
/* The registers of `mov`, in the order of enum mmu_control; NULL ends it. */
extern const char *const register_names[];

/* Whether the text of an event of this kind is valid; of others it may be left over from an event before. */
static inline bool event_has_text(enum event_kind kind) {
    switch (kind) {
    case EV_PROC_CREATE:
    case EV_EXEC:
    case EV_ALLOC:
    case EV_SECTION:
    case EV_RUN_THREAD:
    case EV_POOL:
    case EV_DRIVER_LOAD:
    case EV_CALL: return true;
    default: return false;
    }
}

/* Of others it is an address. */
static inline bool event_has_status(enum event_kind kind) { return kind != EV_POOL && kind != EV_HYPERMAP; }

#endif
