/* The event log: stamps records and hands them to the subscribers that asked for their kind; and the one line a person
 * reads for each kind. */
#include "ntmmu/log.h"
#include "ntmmu/mmu.h"
#include "ntmmu/status.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

int log_subscribe(struct event_log *log, uint32_t mask, void (*receive)(void *, const struct log_record *), void *ctx) {
    if (log->count == LOG_SUBSCRIBER_MAX) { return -1; }
    log->subscriber[log->count++] = (struct log_subscriber){.mask = mask, .ctx = ctx, .receive = receive};
    log->wanted |= mask;
    return 0;
}

void log_send(struct event_log *log, enum log_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
    if (!log_wants(log, kind)) { return; }
    struct log_record record = {
        .event = log->event,
        .kind = (uint8_t)kind,
        .cause = kind == LOG_RESOLVED ? log->fault_cause : log->cause,
        .pid = log->pid,
        .a = a,
        .b = b,
        .c = c,
        .d = d,
        .e = e,
    };
    for (unsigned i = 0; i < log->count; i++) {
        if (log->subscriber[i].mask & LOG_BIT(kind)) { log->subscriber[i].receive(log->subscriber[i].ctx, &record); }
    }
}

const char *log_kind_name(enum log_kind kind) {
    static const char *const name[LOG_KINDS] = {
        [LOG_ACCESS] = "ACCESS",
        [LOG_TABLE] = "TABLE",
        [LOG_FAULT] = "FAULT",
        [LOG_RESOLVED] = "RESOLVED",
        [LOG_EXCEPTION] = "EXCEPTION",
        [LOG_BUGCHECK] = "BUGCHECK",
        [LOG_BLOCK] = "BLOCK",
        [LOG_STATUS] = "STATUS",
        [LOG_PTE] = "PTE",
        [LOG_PFN] = "PFN",
        [LOG_LIST] = "LIST",
        [LOG_WS] = "WS",
        [LOG_TLB] = "TLB",
        [LOG_SWITCH] = "SWITCH",
        [LOG_IO] = "IO",
        [LOG_COMMIT] = "COMMIT",
        [LOG_SIGNAL] = "SIGNAL",
        [LOG_KERNEL_ACCESS] = "KERNEL",
        [LOG_TRANSLATED] = "TRANSLATED",
    };
    return (unsigned)kind < LOG_KINDS ? name[kind] : "?";
}

/* ---- one line for each kind ---- */

struct line {
    char *out;
    size_t size;
    int length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...) {
    size_t used = (size_t)line->length < line->size ? (size_t)line->length : line->size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line->out + used, line->size - used, format, args);
    va_end(args);
    if (n > 0) { line->length += n; }
}

static const char *pick(const char *const *names, size_t count, uint64_t i) { return i < count ? names[i] : "?"; }
#define PICK(names, i) pick(names, sizeof(names) / sizeof *(names), i)

static const char *hit_name(uint64_t hit) {
    static const char *const name[] = {[MMU_HIT_OFF] = "paging off",
                                       [MMU_HIT_L1] = "TLB hit",
                                       [MMU_HIT_L2] = "second-level TLB hit",
                                       [MMU_HIT_WALK] = "walk",
                                       [MMU_HIT_DIRTY] = "walk to set D"};
    return PICK(name, hit);
}

static const char *fault_name(uint64_t kind) {
    static const char *const name[FAULT_KINDS] = {
        [FAULT_OTHER] = "other",
        [FAULT_DEMAND_ZERO] = "demand zero",
        [FAULT_TRANSITION] = "transition",
        [FAULT_FILE] = "file",
        [FAULT_SECTION] = "section",
        [FAULT_CLONE] = "clone",
        [FAULT_COW_FILE] = "copy on write of a view",
        [FAULT_COW_FORK] = "copy on write after fork",
        [FAULT_COW_REUSE] = "last owner keeps the page",
        [FAULT_GUARD] = "guard page",
        [FAULT_PAGE_FILE] = "paging file",
    };
    return PICK(name, kind);
}

static void add_status(struct line *line, uint64_t status) {
    const char *name = ntstatus_name((uint32_t)status);
    add(line, "%08" PRIx64 "%s%s", status, name ? " " : "", name ? name : "");
}

static void add_access(struct line *line, const struct log_record *r) {
    static const char *const type[] = {"r", "w", "i", "m"};
    static const char *const mode[] = {"kernel", "user", "implicit"};
    add(line, " %s %08" PRIx64 " -> %08" PRIx64, PICK(type, r->e & 0xF), r->a, r->b);
    if (r->kind == LOG_ACCESS) { add(line, " = %0*" PRIx64, (int)(2 * (r->e >> 8 & 0xFF)), r->c); }
    add(line, " (%s, %s, %" PRIu64 " cycle%s%s)", PICK(mode, r->e >> 4 & 0xF), hit_name(r->e >> 16 & 0xFF), r->d,
        r->d == 1 ? "" : "s", (r->e >> 24 & 0xFF) > PAGE_SHIFT ? ", large page" : "");
}

static void add_table(struct line *line, const struct log_record *r) {
    static const char *const level[] = {"?", "PTE", "PDE", "PDPTE", "PML4E"};
    const char *name = PICK(level, r->d >> 8 & 0xFF);
    if ((r->d & 0xFF) == MMU_TABLE_READ) {
        add(line, " read %s at %08" PRIx64 " = %08" PRIx64, name, r->a, r->b);
    } else {
        add(line, " exchange %s at %08" PRIx64 ": held %08" PRIx64 ", new %08" PRIx64, name, r->a, r->b, r->c);
    }
    add(line, ", for %08" PRIx64, r->e);
}

static void add_fault(struct line *line, const struct log_record *r) {
    add(line, " #PF cr2 %08" PRIx64 " error %02" PRIx64 " (%s%s, %s%s%s; %s, %" PRIu64 " cycles)", r->a, r->b,
        r->b & PF_PRESENT ? "protection" : "not present", r->b & PF_RESERVED ? ", reserved bit" : "",
        r->b & PF_USER ? "user" : "supervisor", r->b & PF_WRITE ? " write" : "", r->b & PF_FETCH ? " fetch" : "",
        hit_name(r->d), r->c);
}

static void add_translated(struct line *line, const struct log_record *r) {
    static const char *const cache[] = {"", "", ", from a PDE cached", ", from a PDPTE cached",
                                        ", from a PML4E cached"};
    add(line, " %08" PRIx64 " in cycle %" PRIu64 ": ", r->a, r->b);
    if (r->c & 0xFF) {
        add(line, "vector %" PRIu64, r->c & 0xFF);
    } else {
        add(line, "%08" PRIx64 ", memory type %" PRIu64, r->e, r->c >> 8 & 0xFF);
    }
    add(line, "%s, leaf of %" PRIu64 " bits, %" PRIu64 " table accesses, %" PRIu64 " new starts",
        PICK(cache, r->c >> 16 & 0xFF), r->c >> 24 & 0xFF, r->d & 0xFFFF, r->d >> 16);
}

static void add_resolved(struct line *line, const struct log_record *r) {
    add(line, " %08" PRIx64 " %s, ", r->a, fault_name(r->c));
    add_status(line, r->b);
    if (r->d) { add(line, ", file %016" PRIx64 " offset %" PRIx64, r->d, r->e); }
}

static void add_bugcheck(struct line *line, const struct log_record *r) {
    const char *name = bugcheck_name((uint32_t)r->a);
    add(line, " %08" PRIx64 "%s%s (%08" PRIx64 ", %08" PRIx64 ", %08" PRIx64 ", %08" PRIx64 ")", r->a, name ? " " : "",
        name ? name : "", r->b, r->c, r->d, r->e);
}

static void add_memory(struct line *line, const struct log_record *r) {
    static const char *const list[] = {"Zeroed", "Free", "Standby", "Modified", "ModifiedNoWrite", "Bad"};
    if (r->kind == LOG_PTE) {
        add(line, " at %08" PRIx64 ": %08" PRIx64 " -> %08" PRIx64, r->a, r->b, r->c);
        if (r->d) { add(line, " (maps %08" PRIx64 ")", r->d); }
    } else if (r->kind == LOG_PFN) {
        add(line, " frame %" PRIx64 ": flags %04" PRIx64 " -> %04" PRIx64 ", share %" PRIu64 ", references %" PRIu64,
            r->a, r->b, r->c, r->d, r->e);
    } else if (r->kind == LOG_LIST) {
        add(line, " %s: frame %" PRIx64 " %s, %" PRIu64 " now", PICK(list, r->a), r->b, r->c ? "inserted" : "removed",
            r->d);
    } else if (r->kind == LOG_WS) {
        add(line, " entry %" PRIx64 ": %08" PRIx64 " -> %08" PRIx64 ", size %" PRIu64, r->a, r->b, r->c, r->d);
    } else {
        add(line, " %" PRIu64 " of %" PRIu64 " pages", r->a, r->b);
    }
}

static void add_machine(struct line *line, const struct log_record *r) {
    static const char *const tlb[] = {"INVLPG", "CR3 load (switch)", "CR3 load", "flush all"};
    static const char *const io[] = {"read started", "read done", "write started", "write done"};
    static const char *const event[] = {"ZeroingPage", "AvailablePages", "AvailablePagesHigh", "ModifiedPageWriter"};
    if (r->kind == LOG_TLB) {
        add(line, " %s %08" PRIx64, PICK(tlb, r->a), r->b);
    } else if (r->kind == LOG_SWITCH) {
        add(line, " cpu %" PRIu64 " runs thread %" PRIu64 " of process %" PRIu64, r->a, r->b, r->c);
    } else if (r->kind == LOG_IO) {
        add(line, " %s: file %016" PRIx64 " offset %" PRIx64 ", %" PRIu64 " page%s, frame %" PRIx64, PICK(io, r->a),
            r->b, r->c, r->d, r->d == 1 ? "" : "s", r->e);
    } else if (r->kind == LOG_BLOCK) {
        add(line, " thread %" PRIu64 " waits for %08" PRIx64, r->a, r->b);
    } else {
        add(line, " %s set", PICK(event, r->a));
    }
}

int log_format(const struct log_record *r, char *out, size_t out_size) {
    struct line line = {.out = out, .size = out_size};
    add(&line, "%s", log_kind_name(r->kind));
    switch (r->kind) {
    case LOG_ACCESS:
    case LOG_KERNEL_ACCESS: add_access(&line, r); break;
    case LOG_TABLE: add_table(&line, r); break;
    case LOG_FAULT: add_fault(&line, r); break;
    case LOG_RESOLVED: add_resolved(&line, r); break;
    case LOG_EXCEPTION:
        add(&line, " ");
        add_status(&line, r->a);
        add(&line, " (%08" PRIx64 ", %08" PRIx64 ", %08" PRIx64 ")", r->b, r->c, r->d);
        break;
    case LOG_BUGCHECK: add_bugcheck(&line, r); break;
    case LOG_STATUS:
        add(&line, " ");
        add_status(&line, r->a);
        add(&line, " out %08" PRIx64 " %08" PRIx64, r->b, r->c);
        break;
    case LOG_PTE:
    case LOG_PFN:
    case LOG_LIST:
    case LOG_WS:
    case LOG_COMMIT: add_memory(&line, r); break;
    case LOG_TRANSLATED: add_translated(&line, r); break;
    default: add_machine(&line, r); break;
    }
    return line.length;
}
