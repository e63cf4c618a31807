/* `ntmmu convert`: another tool's recording, or another form of trace, into VMT. */
#include "cli.h"

#include "ntmmu/import.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *from, *name;
    bool has_level;
    enum import_level level;
    uint64_t limit;
    char **paths;
    int count;
};

enum { OPTION_FROM = 0x100, OPTION_LEVEL, OPTION_LIMIT, OPTION_NAME };

static const struct argp_option option_table[] = {
    {"from", OPTION_FROM, "lackey|vmt", 0, "what IN is: logs of valgrind's lackey, or a trace", 0},
    {"level", OPTION_LEVEL, "run|exact", 0, "page runs or single accesses (default: run; of a trace: as it is)", 0},
    {"limit", OPTION_LIMIT, "N", 0, "stop after N accesses", 0},
    {"name", OPTION_NAME, "NAME", 0, "the trace's !name (default: from IN)", 0},
    {0},
};

static void parse_level(struct options *options, const char *arg, struct argp_state *state) {
    options->has_level = true;
    if (strcmp(arg, "run") == 0) {
        options->level = IMPORT_RUN;
    } else if (strcmp(arg, "exact") == 0) {
        options->level = IMPORT_EXACT;
    } else {
        argp_error(state, "--level: found '%s', expected run or exact", arg);
    }
}

static void check_options(const struct options *options, struct argp_state *state) {
    if (!options->from) { argp_error(state, "found no --from, expected --from lackey or --from vmt"); }
    if (options->count < 2) { argp_error(state, "found %d files, expected IN and OUT", options->count); }
    if (options->from && strcmp(options->from, "vmt") == 0) {
        if (options->count > 2) { argp_error(state, "found %d files, expected IN and OUT", options->count); }
        if (options->has_level && options->level == IMPORT_EXACT) {
            argp_error(state, "--level exact: a trace can only be brought from exact to run");
        }
        if (options->name) { argp_error(state, "--name: found with --from vmt, expected with --from lackey"); }
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *options = state->input;
    switch (key) {
    case OPTION_FROM:
        if (strcmp(arg, "lackey") != 0 && strcmp(arg, "vmt") != 0) {
            argp_error(state, "--from: found '%s', expected lackey or vmt", arg);
        }
        options->from = arg;
        return 0;
    case OPTION_LEVEL: parse_level(options, arg, state); return 0;
    case OPTION_LIMIT:
        if (cli_parse_number(arg, &options->limit) || options->limit == 0) {
            argp_error(state, "--limit: found '%s', expected a number of accesses", arg);
        }
        return 0;
    case OPTION_NAME: options->name = arg; return 0;
    case ARGP_KEY_ARGS:
        options->paths = state->argv + state->next;
        options->count = state->argc - state->next;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END: check_options(options, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "IN... OUT",
    .doc = "Makes a trace (.vmt, or .vmt.zst for a compressed one).\v"
           "--from lackey: IN is a directory, a .tar or .tar.zst, or the log files of\n"
           "  valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes -d --trace-children=yes --log-file=X.%p.log\n"
           "with its standard error beside them; traces/capture.sh does both steps.\n"
           "--from vmt: IN is a trace; it is compressed or not as OUT's name says.",
};

static bool show_progress(double fraction, uint64_t events) {
    cli_progress(fraction, events, 0);
    return !cli_interrupted;
}

static void print_report(const struct import_report *r, bool lackey) {
    printf("%" PRIu64 " accesses (%" PRIu64 " fetches, %" PRIu64 " loads, %" PRIu64 " stores; %" PRIu64
           " over a page's end), %" PRIu64 " kernel touches, %" PRIu64 " other events, %" PRIu64 " of them switches\n",
           r->lines, r->ifetch, r->loads, r->stores, r->straddling, r->kernel_touches, r->vm_events, r->switches);
    if (!lackey) { return; }
    printf("%u processes; calls: %" PRIu64 ", of them mmap %" PRIu64 ", munmap %" PRIu64 ", brk %" PRIu64
           ", mprotect %" PRIu64 ", mremap %" PRIu64 ", madvise %" PRIu64 ", fork %" PRIu64 ", exec %" PRIu64
           ", threads %" PRIu64 "\n",
           r->processes, r->src_syscalls, r->src_mmap, r->src_munmap, r->src_brk, r->src_mprotect, r->src_mremap,
           r->src_madvise, r->src_fork, r->src_exec, r->src_threads);
    if (r->src_unknown) {
        printf("warning: %" PRIu64 " pages of which the capture does not tell were given private memory\n",
               r->src_unknown);
    }
    if (r->lost_layouts) {
        printf("warning: %u programs without a start layout (their standard error went elsewhere)\n", r->lost_layouts);
    }
    if (r->lost_processes) {
        printf("warning: %u processes without a log, or logs without a fork\n", r->lost_processes);
    }
}

int cmd_convert(int argc, char **argv) {
    struct options options = {0};
    cli_parse(&parser, argc, argv, &options);
    struct import_report report = {0};
    char err[1024] = "";
    bool lackey = strcmp(options.from, "lackey") == 0;
    const char *output = options.paths[options.count - 1];
    struct import_options import = {
        .inputs = (const char *const *)options.paths,
        .input_count = (unsigned)options.count - 1,
        .output = output,
        .level = options.has_level ? options.level
                 : lackey          ? IMPORT_RUN
                                   : IMPORT_KEEP,
        .limit = options.limit,
        .name = options.name,
        .report = &report,
        .progress = show_progress,
    };
    cli_catch_interrupt();
    int result = lackey ? import_lackey(&import, err, sizeof err) : import_vmt(&import, err, sizeof err);
    cli_progress_end();
    if (cli_interrupted) { return EXIT_INTERRUPTED; }
    if (result < 0) { return cli_error("%s", err); }
    if (!cli_quiet() && strcmp(output, "-") != 0) { print_report(&report, lackey); }
    return EXIT_OK;
}
