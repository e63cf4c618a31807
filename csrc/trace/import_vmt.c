/* VMT to VMT: compresses, uncompresses, brings an exact trace to the run level. Lines pass through as they stand. */
#include "ntmmu/import.h"
#include "reader.h"
#include "runs.h"

#include <stdio.h>
#include <string.h>

#define PROGRESS_EVERY 0xFFFF

struct copy {
    const struct import_options *options;
    struct trace_reader *reader;
    struct trace_writer *writer;
    struct runs *runs; /* NULL: lines are copied */
    struct import_report report;
};

static bool is_access(const struct event *e) { return e->kind == EV_ACCESS || e->kind == EV_RUN; }

/* Counts as the lackey importer does, as far as a trace tells. */
static void count(struct import_report *report, const struct event *e) {
    if (!is_access(e)) {
        report->vm_events++;
        report->switches += e->kind == EV_SWITCH;
        return;
    }
    bool run = e->kind == EV_RUN;
    unsigned access = run ? e->run.access : e->access.access;
    uint64_t n = run ? e->run.count : 1;
    uint64_t pages = run ? n : ((e->access.va + e->access.size - 1) >> PAGE_SHIFT) - (e->access.va >> PAGE_SHIFT) + 1;
    if ((run ? e->run.mode : e->access.mode) == EVENT_KERNEL) {
        report->kernel_touches += pages;
        return;
    }
    report->lines += n;
    report->straddling += pages > n;
    *(access == EVENT_FETCH ? &report->ifetch : access == EVENT_LOAD ? &report->loads : &report->stores) += n;
}

static bool makes_bare(const struct trace_item *item, int kind) {
    return kind == TRACE_DIRECTIVE && item->word_count > 1 && strcmp(item->words[0], "boot") == 0 &&
           strcmp(item->words[1], "bare") == 0;
}

/* `!vmt` and `!end`, with whatever comment: the writer has its own. */
static bool is_frame(int kind, const char *line) { return kind == TRACE_BLANK && line[strspn(line, " \t\r")] == '!'; }

static int copy_line(struct copy *c, const struct trace_item *item, int kind, const char *line) {
    bool event = kind == TRACE_EVENT;
    if (event) { count(&c->report, &item->event); }
    if (event && c->runs && is_access(&item->event)) { return runs_event(c->runs, &item->event); }
    if (c->runs && runs_close(c->runs) < 0) { return -1; }
    if (is_frame(kind, line)) { return 0; }
    bool level = c->runs && kind == TRACE_DIRECTIVE && strcmp(item->words[0], "level") == 0;
    return trace_write_line(c->writer, level ? "!level run" : line, event);
}

/* 0, or -1; a message of the reader is in err, one of the writer comes from trace_finish. */
static int copy_all(struct copy *c, char *err, size_t err_size) {
    struct trace_item item = {.kind = TRACE_EOF};
    const char *line;
    for (uint64_t n = 0;; n++) {
        int kind = reader_next_line(c->reader, &item, &line);
        if (c->runs && makes_bare(&item, kind)) {
            kind =
                trace_refuse(c->reader, "found a bare program, expected a captured one: a bare one has no page runs");
        }
        if (kind == TRACE_ERROR) {
            snprintf(err, err_size, "%s", trace_error(c->reader));
            return -1;
        }
        if (kind == TRACE_EOF) { return 0; }
        if (copy_line(c, &item, kind, line) < 0) { return -1; }
        if (c->options->limit && c->report.lines >= c->options->limit) {
            char note[80];
            snprintf(note, sizeof note, "# trimmed at %llu accesses", (unsigned long long)c->report.lines);
            return c->runs && runs_close(c->runs) < 0 ? -1 : trace_write_line(c->writer, note, false);
        }
        if ((n & PROGRESS_EVERY) == PROGRESS_EVERY && c->options->progress &&
            !c->options->progress(trace_progress(c->reader), item.event.index)) {
            snprintf(err, err_size, "interrupted");
            return -1;
        }
    }
}

int import_vmt(const struct import_options *options, char *err, size_t err_size) {
    if (options->input_count != 1) {
        snprintf(err, err_size, "found %u inputs, expected one trace", options->input_count);
        return -1;
    }
    struct copy c = {.options = options, .reader = trace_open(options->inputs[0], err, err_size)};
    if (!c.reader) { return -1; }
    c.writer = trace_create(options->output, err, err_size);
    int result = c.writer ? 0 : -1;
    if (c.writer && options->level == IMPORT_RUN && !(c.runs = runs_create(c.writer))) {
        snprintf(err, err_size, "%s: out of memory", options->output);
        result = -1;
    }
    err[0] = result == 0 ? '\0' : err[0];
    if (result == 0) { result = copy_all(&c, err, err_size); }
    if (result == 0 && c.runs && runs_close(c.runs) < 0) { result = -1; }
    if (c.writer && (result == 0 || err[0] == '\0')) {
        result = trace_finish(c.writer, err, err_size);
    } else if (c.writer) {
        trace_abandon(c.writer);
    }
    runs_free(c.runs);
    trace_close(c.reader);
    if (options->report) { *options->report = c.report; }
    return result;
}
