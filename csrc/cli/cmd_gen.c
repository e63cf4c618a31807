/* `ntmmu gen`: a random program as a trace. */
#include "cli.h"

#include "ntmmu/gen.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LINES_MAX 32

struct gen_options {
    struct gen_config config;
    const char *out, *cpu, *lines[LINES_MAX];
    unsigned line_count;
};

enum { OPTION_KIND = 0x100, OPTION_MODE, OPTION_SEED, OPTION_EVENTS, OPTION_CPU, OPTION_MILD, OPTION_LINE };

static const struct argp_option option_table[] = {
    {"kind", OPTION_KIND, "mmu|nt", 0,
     "mmu: a bare program, tables and registers of its own (default); nt: services and accesses for the NT kernel", 0},
    {"mode", OPTION_MODE, "32|pae|long", 0, "the paging mode it is mostly in (default 32); nt: 32 or pae", 0},
    {"seed", OPTION_SEED, "N", 0, "of the random numbers (default 1)", 0},
    {"events", OPTION_EVENTS, "N", 0, "how many (default 10000); nt: to the end of an operation", 0},
    {"cpu", OPTION_CPU, "PRESET", 0, "mmu: the CPU whose features and TLBs it is for (default ref64)", 0},
    {"mild", OPTION_MILD, 0, 0, "nt: nothing whose outcome little memory or a failing disk would change", 0},
    {"line", OPTION_LINE, "LINE", 0, "put LINE in front instead of the kind's own !boot lines; up to 32 times", 0},
    {0},
};

static int word_index(const char *word, const char *const *list) {
    for (int i = 0; list[i]; i++) {
        if (strcmp(word, list[i]) == 0) { return i; }
    }
    return -1;
}

static void parse_number(const char *name, const char *arg, uint64_t *out, struct argp_state *state) {
    if (cli_parse_number(arg, out)) { argp_error(state, "--%s: found '%s', expected a number", name, arg); }
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct gen_options *o = state->input;
    int index;
    switch (key) {
    case OPTION_KIND:
        if ((index = word_index(arg, gen_kind_names)) < 0) {
            argp_error(state, "--kind: found '%s', expected mmu or nt", arg);
        }
        o->config.kind = (enum gen_kind)index;
        return 0;
    case OPTION_MODE:
        if ((index = word_index(arg, gen_mode_names)) < 0) {
            argp_error(state, "--mode: found '%s', expected 32, pae or long", arg);
        }
        o->config.mode = (enum gen_mode)index;
        return 0;
    case OPTION_SEED: parse_number("seed", arg, &o->config.seed, state); return 0;
    case OPTION_EVENTS:
        parse_number("events", arg, &o->config.events, state);
        if (o->config.events == 0) { argp_error(state, "--events: found '%s', expected at least 1", arg); }
        return 0;
    case OPTION_CPU: o->cpu = arg; return 0;
    case OPTION_MILD: o->config.mild = true; return 0;
    case OPTION_LINE:
        if (o->line_count == LINES_MAX) { argp_error(state, "--line: found a line more, expected at most 32"); }
        o->lines[o->line_count++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (o->out) { argp_error(state, "found a second name '%s', expected one", arg); }
        o->out = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "[OUT]",
    .doc =
        "Writes a random program to OUT (.vmt, .vmt.zst; standard output if left out or -). The same options make the "
        "same trace everywhere.",
};

static void show_progress(double fraction, uint64_t events) { cli_progress(fraction, events, 0); }

int cmd_gen(int argc, char **argv) {
    struct gen_options o = {.config = {.seed = 1, .events = 10000}, .cpu = "ref64"};
    cli_parse(&parser, argc, argv, &o);
    if (!o.out) { o.out = "-"; }
    char err[1024];
    struct gen_config *config = &o.config;
    if (cli_load_preset(&config->preset, o.cpu, err, sizeof err) || !gen_possible(config, err, sizeof err)) {
        return cli_error("%s", err);
    }
    cli_catch_interrupt();
    config->progress = show_progress;
    config->stop = &cli_interrupted;
    config->lines = o.line_count ? o.lines : NULL;
    config->line_count = o.line_count;
    struct trace_writer *writer = trace_create(o.out, err, sizeof err);
    if (!writer) { return cli_error("%s", err); }
    int rc = gen_write(config, writer);
    cli_progress_end();
    if (cli_interrupted) {
        trace_abandon(writer);
        cli_error("interrupted");
        return EXIT_INTERRUPTED;
    }
    if (rc) { /* the writer failed, and says why */
        trace_finish(writer, err, sizeof err);
        return cli_error("%s", err);
    }
    return trace_finish(writer, err, sizeof err) ? cli_error("%s", err) : EXIT_OK;
}
