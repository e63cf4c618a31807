/* `ntmmu info`: what is in a trace. */
#include "cli.h"

#include "ntmmu/report.h"
#include "ntmmu/trace_index.h"
#include "ntmmu/trace_summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct options {
    const char *trace, *json;
};

enum { OPTION_JSON = 0x100 };

static const struct argp_option option_table[] = {
    {"json", OPTION_JSON, "FILE", 0, "write the counts as JSON too (- = standard output, instead of the table)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *options = state->input;
    switch (key) {
    case OPTION_JSON: options->json = arg; return 0;
    case ARGP_KEY_ARG:
        if (options->trace) { argp_error(state, "found a second trace '%s', expected one", arg); }
        options->trace = arg;
        return 0;
    case ARGP_KEY_END:
        if (!options->trace) { argp_error(state, "found no TRACE, expected one"); }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "TRACE",
    .doc = "Counts what is in a trace (.vmt, .vmt.zst, - = standard input) and checks its index.",
};

static const char *const access_names[4] = {"fetches", "loads", "stores", "modifies"};

struct file_facts {
    uint64_t bytes; /* 0: not a file */
    enum vmt_index_state state;
    struct vmt_index index;
    char why[80];
};

static const char *index_words(const struct file_facts *file) {
    return file->state == VMT_INDEX_VALID ? "valid" : file->state == VMT_INDEX_NONE ? "none" : "invalid";
}

static void look_at_file(const char *path, struct file_facts *file) {
    struct stat st;
    *file = (struct file_facts){.state = VMT_INDEX_NONE};
    if (strcmp(path, "-") == 0 || stat(path, &st) < 0 || !S_ISREG(st.st_mode)) { return; }
    file->bytes = (uint64_t)st.st_size;
    file->state = vmt_index_read(path, &file->index, file->why, sizeof file->why);
}

static uint64_t text_bytes(const struct file_facts *file) {
    if (file->state != VMT_INDEX_VALID || file->index.count == 0) { return 0; }
    const struct vmt_frame *last = &file->index.frame[file->index.count - 1];
    return last->text_offset + last->text_length;
}

static void print_count(const char *name, uint64_t count) { printf("%-24s %14" PRIu64 "\n", name, count); }

static void print_summary(const struct trace_summary *s, const struct file_facts *file) {
    for (unsigned i = 0; i < s->directives; i++) { printf("!%s\n", s->directive[i]); }
    if (file->bytes) { print_count("bytes", file->bytes); }
    if (file->state == VMT_INDEX_VALID) { print_count("bytes of text", text_bytes(file)); }
    printf("%-24s %14s%s%s\n", "index", index_words(file), *file->why ? ": " : "", file->why);
    if (file->state == VMT_INDEX_VALID) { print_count("frames", file->index.count); }
    print_count("lines", s->lines);
    print_count("events", s->events);
    for (int kind = EV_NONE + 1; kind < EV_KINDS; kind++) {
        if (!s->by_kind[kind]) { continue; }
        char name[32];
        snprintf(name, sizeof name, "  %s", event_kind_name((enum event_kind)kind));
        print_count(name, s->by_kind[kind]);
    }
    print_count("expect lines", s->expects);
    print_count("processes", s->processes);
    print_count("threads", s->threads);
    print_count("accesses", s->accesses[0] + s->accesses[1] + s->accesses[2] + s->accesses[3]);
    for (unsigned i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "  %s", access_names[i]);
        print_count(name, s->accesses[i]);
    }
    print_count("  over a page's end", s->straddling);
    print_count("kernel touches", s->kernel_touches);
    print_count("touches", s->touches);
    print_count("pages (process, page)", s->pages);
}

static json_t *summary_json(const char *trace, const struct trace_summary *s, const struct file_facts *file) {
    json_t *directives = json_array(), *kinds = json_object(), *accesses = json_object();
    for (unsigned i = 0; i < s->directives; i++) { json_array_append_new(directives, report_text(s->directive[i])); }
    for (int kind = EV_NONE + 1; kind < EV_KINDS; kind++) {
        if (!s->by_kind[kind]) { continue; }
        json_object_set_new(kinds, event_kind_name((enum event_kind)kind), json_integer((json_int_t)s->by_kind[kind]));
    }
    for (unsigned i = 0; i < 4; i++) {
        json_object_set_new(accesses, access_names[i], json_integer((json_int_t)s->accesses[i]));
    }
    return json_pack("{s:o, s:o, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:o, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I}",
                     "trace", report_text(trace), "directives", directives, "bytes", (json_int_t)file->bytes,
                     "text_bytes", (json_int_t)text_bytes(file), "index", index_words(file), "frames",
                     (json_int_t)file->index.count, "lines", (json_int_t)s->lines, "events", (json_int_t)s->events,
                     "expects", (json_int_t)s->expects, "by_kind", kinds, "processes", (json_int_t)s->processes,
                     "threads", (json_int_t)s->threads, "accesses", accesses, "straddling", (json_int_t)s->straddling,
                     "kernel_touches", (json_int_t)s->kernel_touches, "touches", (json_int_t)s->touches, "vm_events",
                     (json_int_t)s->vm_events, "pages", (json_int_t)s->pages);
}

static void show_progress(double fraction, uint64_t events) { cli_progress(fraction, events, 0); }

int cmd_info(int argc, char **argv) {
    struct options options = {0};
    cli_parse(&parser, argc, argv, &options);
    struct trace_summary summary;
    struct file_facts file;
    char err[1024] = "";
    int result = trace_summarise(&summary, options.trace, show_progress, err, sizeof err);
    cli_progress_end();
    if (result < 0) {
        trace_summary_free(&summary);
        return cli_error("%s", err);
    }
    look_at_file(options.trace, &file);
    bool table = !options.json || strcmp(options.json, "-") != 0;
    if (table && !cli_quiet()) { print_summary(&summary, &file); }
    int code = options.json ? cli_write_json(summary_json(options.trace, &summary, &file), options.json) : EXIT_OK;
    if (file.state == VMT_INDEX_INVALID) { code = cli_error("%s: the index is invalid: %s", options.trace, file.why); }
    free(file.index.frame);
    trace_summary_free(&summary);
    return code;
}
