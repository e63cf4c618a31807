/* Check 1, lockstep. The common case is one memcmp of the two record buffers; everything else is the text of a failure.
 */
#include "lockstep_priv.h"

#include "architecture.h"

#include "ntmmu/pte.h"
#include "ntmmu/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(struct machine *m) {
    const struct architecture *judge = architecture_of(machine_mmu_ops(m), machine_mmu(m));
    return judge ? architecture_name(judge) : machine_mmu_ops(m)->name;
}

struct lockstep *lockstep_create(struct machine *a, struct machine *b, const char *wave_command) {
    struct lockstep *l = check_alloc(sizeof *l);
    l->machine[0] = a;
    l->machine[1] = b;
    const char *names[2] = {name_of(a), name_of(b)};
    if (strcmp(names[0], names[1]) == 0) {
        names[0] = "first";
        names[1] = "second";
    }
    snprintf(l->name[0], sizeof l->name[0], "%s", names[0]);
    snprintf(l->name[1], sizeof l->name[1], "%s", names[1]);
    size_t size = strlen(wave_command) + 1;
    l->wave_command = memcpy(check_alloc(size), wave_command, size);
    return l;
}

void lockstep_destroy(struct lockstep *l) {
    if (!l) { return; }
    free(l->wave_command);
    free(l);
}

static bool record_equal(const struct log_record *a, const struct log_record *b) {
    return a->event == b->event && a->kind == b->kind && a->cause == b->cause && a->pid == b->pid && a->a == b->a &&
           a->b == b->b && a->c == b->c && a->d == b->d && a->e == b->e;
}

/* Index of the first record that differs, or the common length. */
static size_t first_difference(const struct records *a, const struct records *b) {
    size_t n = a->count < b->count ? a->count : b->count, i = 0;
    while (i < n && record_equal(&a->at[i], &b->at[i])) { i++; }
    return i;
}

/* Name of the first field of the results that differs, with both values; false if none does. Fields that a stop or an
 * exception fills in are in the records, too. */
static bool result_difference(const struct lockstep *l, const struct machine_result *a, const struct machine_result *b,
                              char *out, size_t size) {
    const struct pair pairs[] = {
        {"stop", a->stop, b->stop},
        {"exception", a->exception, b->exception},
        {"blocked", a->blocked, b->blocked},
        {"livelock", a->livelock, b->livelock},
        {"callbacks", a->callbacks, b->callbacks},
        {"count of statuses", a->status_count, b->status_count},
        {"exception code", a->exception_code, b->exception_code},
        {"exception p0", a->exception_p[0], b->exception_p[0]},
        {"exception p1", a->exception_p[1], b->exception_p[1]},
        {"exception p2", a->exception_p[2], b->exception_p[2]},
        {"service status", a->service_status, b->service_status},
        {"first service output", a->service_out[0], b->service_out[0]},
        {"second service output", a->service_out[1], b->service_out[1]},
        {"data", a->data, b->data},
        {"hit level", a->first_hit, b->first_hit},
        {"bugcheck", a->bugcheck_code, b->bugcheck_code},
        {"late failures", a->late_failures, b->late_failures},
    };
    const struct pair cycles = {"cycles", machine_cycles(l->machine[0]), machine_cycles(l->machine[1])};
    if (lockstep_pairs_differ(pairs, sizeof pairs / sizeof *pairs, true, out, size)) { return true; }
    if (lockstep_pairs_differ(&cycles, 1, false, out, size)) { return true; }
    for (unsigned i = 0; i < a->status_count && i < MACHINE_STATUS_MAX; i++) {
        struct pair status = {"status", a->status[i], b->status[i]};
        if (lockstep_pairs_differ(&status, 1, true, out, size)) { return true; }
    }
    if (a->stop == MACHINE_PANIC && strcmp(a->message, b->message) != 0) {
        snprintf(out, size, "message: \"%.100s\" and \"%.100s\"", a->message, b->message);
        return true;
    }
    return false;
}

static void entry_words(struct report *report, uint32_t entry) {
    enum pte_form form = pte_form(entry);
    if (form == PTE_FORM_VALID) {
        report_add(report, "valid, frame %" PRIx64 "%s%s%s%s%s%s%s", (uint64_t)pte_frame(entry),
                   entry & PTE_WRITE ? ", writable" : ", read-only", entry & PTE_OWNER ? ", user" : ", supervisor",
                   entry & PTE_ACCESSED ? ", accessed" : "", entry & PTE_DIRTY ? ", dirty" : "",
                   entry & PTE_LARGE ? ", bit 7" : "", entry & PTE_GLOBAL ? ", global" : "",
                   entry & PTE_COPY_ON_WRITE ? ", copy on write" : "");
    } else if (form == PTE_FORM_ZERO) {
        report_add(report, "zero");
    } else if (form == PTE_FORM_PROTOTYPE) {
        if (pte_is_vad_lookup(entry)) {
            report_add(report, "prototype, looked up in the VAD, protection %x", pte_protection(entry));
        } else {
            report_add(report, "prototype at %08" PRIx64, (uint64_t)pte_pointer_target(entry));
        }
    } else if (form == PTE_FORM_TRANSITION) {
        report_add(report, "transition, frame %" PRIx64 ", protection %x", (uint64_t)pte_frame(entry),
                   pte_protection(entry));
    } else if (form == PTE_FORM_DEMAND_ZERO) {
        report_add(report, "demand zero, protection %x", pte_protection(entry));
    } else {
        report_add(report, "page file %u, slot %x, protection %x", pte_page_file_number(entry),
                   pte_page_file_offset(entry), pte_protection(entry));
    }
}

void report_table_path(struct report *report, const char *prefix, struct machine *m, va_t va) {
    const struct mmu_ops *ops = machine_mmu_ops(m);
    struct mmu *mmu = machine_mmu(m);
    uint64_t cr0 = ops->read_control(mmu, MMU_CR0), cr3 = ops->read_control(mmu, MMU_CR3);
    if (!(cr0 & CR0_PG)) {
        report_add(report, "%spaging is off\n", prefix);
        return;
    }
    struct table_path p = table_walk(machine_memory(m), cr3, ops->read_control(mmu, MMU_CR4), va);
    report_add(report, "%sCR3 %08" PRIx64 "\n%sPDE at %08" PRIx64 " = %08" PRIx64 ": ", prefix, cr3, prefix, p.pde_pa,
               p.pde);
    entry_words(report, p.pde);
    if (p.pte_pa) {
        report_add(report, "\n%sPTE at %08" PRIx64 " = %08" PRIx64 ": ", prefix, p.pte_pa, p.pte);
        entry_words(report, p.pte);
    }
    if (p.present) { report_add(report, "\n%s%08" PRIx64 " -> %08" PRIx64 " in memory", prefix, va, p.pa); }
    report_add(report, "\n");
}

/* The virtual address a record is about; the event's own if it has none. */
static bool record_address(const struct log_record *r, va_t *va) {
    switch (r->kind) {
    case LOG_ACCESS:
    case LOG_KERNEL_ACCESS:
    case LOG_FAULT:
    case LOG_TRANSLATED:
    case LOG_RESOLVED: *va = r->a; return true;
    case LOG_TABLE: *va = r->e; return true;
    case LOG_EXCEPTION: *va = r->c; return true;
    case LOG_PTE: *va = r->d ? r->d : r->a; return true;
    case LOG_TLB: *va = r->b; return r->a == LOG_INVLPG;
    default: return false;
    }
}

static bool event_address(const struct event *event, va_t *va) {
    switch (event->kind) {
    case EV_ACCESS: *va = event->access.va; return true;
    case EV_RUN: *va = event->run.vpn << PAGE_SHIFT; return true;
    default: return false;
    }
}

static void report_side(struct lockstep *l, unsigned k, const struct records *r, size_t i, struct report *report) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "  %-6s ", l->name[k]);
    const struct machine_result *result = machine_last(l->machine[k]);
    if (i < r->count) {
        report_record(report, prefix, &r->at[i]);
    } else if (result->stop == MACHINE_PANIC) {
        report_add(report, "%s(stopped: %s)\n", prefix, result->message);
    } else {
        report_add(report, "%s(no further record)\n", prefix);
    }
}

/* The walk of 4-level paging is in the records alone. */
static bool is_four_level(const struct lockstep *l) {
    const struct machine *m = l->machine[1];
    return machine_mmu_ops(m)->read_control(machine_mmu(l->machine[1]), MMU_EFER) & EFER_LMA;
}

static void report_paths(struct lockstep *l, const struct event *event, const struct log_record *record,
                         struct report *report) {
    va_t va;
    if (is_four_level(l)) { return; }
    if (!(record && record_address(record, &va)) && !event_address(event, &va)) { return; }
    for (int k = 0; k < 2; k++) {
        report_add(report, "tables of %08" PRIx64 " on %s, after the event\n", va, l->name[k]);
        report_table_path(report, "  ", l->machine[k], va);
    }
}

static void report_history(struct lockstep *l, struct report *report) {
    uint64_t before = l->events < HISTORY ? l->events : HISTORY;
    report_add(report, "the %" PRIu64 " events before it\n", before);
    for (uint64_t i = l->events - before; i < l->events; i++) { report_event(report, "  ", &l->history[i % HISTORY]); }
}

static void report_place(struct report *report, const struct event *event) {
    if (event->kind == EV_NONE) {
        report_add(report, "lockstep: after the last event of the trace\n");
    } else {
        report_event(report, "lockstep: ", event);
    }
}

static void report_wave(const struct lockstep *l, const struct event *event, struct report *report) {
    if (event->kind != EV_NONE) {
        report_add(report, "to see it: %s --at access:%" PRIu64 "\n", l->wave_command, event->index);
    }
}

/* "lockstep: FAULT error code 4 and 5", "lockstep: ACCESS and TABLE", "lockstep: hit level". */
static void note_kind(const struct records *a, const struct records *b, size_t i, const char *result,
                      struct report *report) {
    if (i == a->count && i == b->count) {
        report_kind(report, "lockstep: %.*s", (int)strcspn(result, ":"), result);
    } else if (i == a->count || i == b->count) {
        const struct log_record *more = i < a->count ? &a->at[i] : &b->at[i];
        report_kind(report, "lockstep: %s and nothing", log_kind_name(more->kind));
    } else if (a->at[i].kind != b->at[i].kind) {
        report_kind(report, "lockstep: %s and %s", log_kind_name(a->at[i].kind), log_kind_name(b->at[i].kind));
    } else {
        const struct log_record *x = &a->at[i], *y = &b->at[i];
        const char *field = x->event != y->event || x->pid != y->pid || x->cause != y->cause ? "place"
                            : x->a != y->a                                                   ? "a"
                            : x->b != y->b                                                   ? "b"
                            : x->c != y->c                                                   ? "c"
                            : x->d != y->d                                                   ? "d"
                                                                                             : "e";
        report_kind(report, "lockstep: %s, field %s", log_kind_name(x->kind), field);
        if (x->kind == LOG_TRANSLATED && (uint8_t)x->c != (uint8_t)y->c) {
            snprintf(report->kind, sizeof report->kind, "lockstep: vectors %u and %u", (uint8_t)x->c, (uint8_t)y->c);
        } else if (x->kind == LOG_FAULT && x->b != y->b) {
            snprintf(report->kind, sizeof report->kind, "lockstep: error codes %x and %x", (unsigned)x->b,
                     (unsigned)y->b);
        }
    }
}

static void report_difference(struct lockstep *l, const struct event *event, const struct records *a,
                              const struct records *b, const char *result, struct report *report) {
    size_t i = first_difference(a, b);
    bool records_differ = i < a->count || i < b->count;
    note_kind(a, b, i, result, report);
    report_place(report, event);
    const struct log_record *record = NULL;
    if (records_differ) {
        report_add(report, "the machines differ at record %zu of the event\n", i + 1);
        for (size_t k = i >= 3 ? i - 3 : 0; k < i; k++) { report_record(report, "  both   ", &a->at[k]); }
        report_side(l, 0, a, i, report);
        report_side(l, 1, b, i, report);
        record = i < a->count ? &a->at[i] : &b->at[i];
    } else {
        report_add(report, "the machines differ in the event's result (%s and %s), %s\n", l->name[0], l->name[1],
                   result);
    }
    report_paths(l, event, record, report);
    report_history(l, report);
    report_wave(l, event, report);
}

bool lockstep_compare(struct lockstep *l, const struct event *event, const struct records *a, const struct records *b,
                      const struct machine_result *result_a, const struct machine_result *result_b,
                      struct report *report) {
    char result[256] = "";
    bool same = a->count == b->count && (a->count == 0 || memcmp(a->at, b->at, a->count * sizeof *a->at) == 0 ||
                                         first_difference(a, b) == a->count);
    if (same && !result_difference(l, result_a, result_b, result, sizeof result)) {
        if (event->kind != EV_NONE) { event_copy(&l->history[l->events++ % HISTORY], event); }
        return true;
    }
    report_difference(l, event, a, b, result, report);
    return false;
}
