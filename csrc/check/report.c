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

void report_add(struct report *report, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
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

void report_event(struct report *report, const char *prefix, const struct event *event) {
    char text[EVENT_TEXT_MAX * 2];
    event_format(event, text, sizeof text);
    report_add(report, "%sevent %" PRIu64 " (line %" PRIu64 "): %s\n", prefix, event->index, event->line, text);
}

void report_record(struct report *report, const char *prefix, const struct log_record *record) {
    char text[512];
    log_format(record, text, sizeof text);
    report_add(report, "%s%s\n", prefix, text);
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
