/* Text of failures and buffers of log records. */
#include "report.h"

#include "ntmmu/status.h"
#include "ntmmu/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *check_alloc(size_t size) {
    void *p = calloc(1, size);
    if (!p) {
        fputs("ntmmu: the checks need more memory than there is\n", stderr);
        exit(2);
    }
    return p;
}

void *check_grow(void *old, size_t size) {
    void *p = realloc(old, size);
    if (!p) {
        fputs("ntmmu: the checks need more memory than there is\n", stderr);
        exit(2);
    }
    return p;
}

/* The formats that say something: behind the place, without blanks and line ends. */
static void note_kind(struct report *report, const char *format) {
    size_t length = strlen(report->kind), room = sizeof report->kind - length;
    if (report->settled) { return; }
    while (*format == ' ') { format++; }
    snprintf(report->kind + length, room, "%.*s", (int)strcspn(format, "\n"), format);
    report->settled = true;
}

void report_kind(struct report *report, const char *format, ...) {
    if (report->settled) { return; }
    va_list args;
    va_start(args, format);
    vsnprintf(report->kind, sizeof report->kind, format, args);
    va_end(args);
    report->settled = true;
}

static void add_list(struct report *report, const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n >= 0) {
        if (report->length + (size_t)n + 1 > report->capacity) {
            report->capacity = (report->length + (size_t)n + 1) * 2;
            report->text = check_grow(report->text, report->capacity);
        }
        vsnprintf(report->text + report->length, (size_t)n + 1, format, again);
        report->length += (size_t)n;
    }
    va_end(again);
}

/* Text that is no kind. */
__attribute__((format(printf, 2, 3))) static void add_place(struct report *report, const char *format, ...) {
    va_list args;
    va_start(args, format);
    add_list(report, format, args);
    va_end(args);
}

void report_add(struct report *report, const char *format, ...) {
    note_kind(report, format);
    va_list args;
    va_start(args, format);
    add_list(report, format, args);
    va_end(args);
}

void report_event(struct report *report, const char *prefix, const struct event *event) {
    char text[EVENT_TEXT_MAX * 2];
    event_format(event, text, sizeof text);
    if (!report->settled && !*report->kind) { snprintf(report->kind, sizeof report->kind, "%s", prefix); }
    add_place(report, "%sevent %" PRIu64 " (line %" PRIu64 "): %s\n", prefix, event->index, event->line, text);
}

void report_record(struct report *report, const char *prefix, const struct log_record *record) {
    char text[512];
    log_format(record, text, sizeof text);
    add_place(report, "%s%s\n", prefix, text);
}

void report_stop(struct report *report, const struct machine_result *r) {
    const char *name = bugcheck_name(r->bugcheck_code);
    if (r->stop == MACHINE_PANIC) {
        report_add(report, "  %s\n", r->message);
    } else {
        report_add(report, "  %02x %s (%08" PRIx64 ", %08" PRIx64 ", %08" PRIx64 ", %08" PRIx64 ")\n", r->bugcheck_code,
                   name ? name : "", r->bugcheck_p[0], r->bugcheck_p[1], r->bugcheck_p[2], r->bugcheck_p[3]);
    }
}

void report_free(struct report *report) {
    free(report->text);
    *report = (struct report){0};
}

void records_receive(void *ctx, const struct log_record *record) {
    struct records *r = ctx;
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 256;
        r->at = check_grow(r->at, r->capacity * sizeof *r->at);
    }
    r->at[r->count++] = *record;
}

void records_free(struct records *records) {
    free(records->at);
    *records = (struct records){0};
}

void event_copy(struct event *to, const struct event *from) {
    memcpy(to, from, offsetof(struct event, text));
    to->text[0] = 0;
    if (event_has_text(from->kind)) { snprintf(to->text, sizeof to->text, "%s", from->text); }
}
