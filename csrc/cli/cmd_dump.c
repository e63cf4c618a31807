/* `ntmmu dump`: what a kernel debugger would show of the machine at one moment of a trace. */
#include "cli.h"

#include "ntmmu/dump.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define COMMANDS_MAX 64

struct dump_options {
    struct cli_machine_options machine;
    const char *commands[COMMANDS_MAX];
    unsigned count;
    const char *json, *image;
    uint64_t at;
    bool has_at;
};

enum { OPTION_JSON = 0x200, OPTION_AT, OPTION_IMAGE };

static const struct argp_option option_table[] = {
    {"at", OPTION_AT, "N", 0, "after event N, counted from 0 (the end of the trace)", 3},
    {"json", OPTION_JSON, "FILE", 0, "write the answers as a JSON array too (- = standard output, instead)", 3},
    {"image", OPTION_IMAGE, "FILE", 0, "write physical memory to FILE, CR3 and symbols to FILE.json", 3},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct dump_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->machine; return 0;
    case OPTION_JSON: o->json = arg; return 0;
    case OPTION_IMAGE: o->image = arg; return 0;
    case OPTION_AT:
        if (cli_parse_number(arg, &o->at)) { argp_error(state, "--at: found '%s', expected an event's number", arg); }
        o->has_at = true;
        return 0;
    case ARGP_KEY_ARG:
        if (*arg != '!') { return ARGP_ERR_UNKNOWN; } /* the trace: the child's */
        if (o->count == COMMANDS_MAX) { argp_error(state, "found more than %d commands", COMMANDS_MAX); }
        o->commands[o->count++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->count && !o->image) { argp_error(state, "found no command and no --image, expected '!pte ADDR', …"); }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* With a bugcheck the memory stays as it is, which is what the commands then show. */
static int stopped(uint64_t event, const struct dump_options *options) {
    if (!options->has_at) { return EXIT_OK; }
    return cli_error("%s: found a bugcheck at event %" PRIu64 ", expected one that is replayed at %" PRIu64,
                     options->machine.trace, event, options->at);
}

/* What is held back behind waiting threads is done, too. */
static int finish(struct machine *m, const struct dump_options *options) {
    machine_finish(m);
    if (machine_last(m)->stop != MACHINE_PANIC) { return EXIT_OK; }
    return cli_error("%s: at its end: %s", options->machine.trace, machine_last(m)->message);
}

/* Replays up to and with the event asked for. */
static int replay_to(struct cli_trace *trace, struct machine *m, const struct dump_options *options) {
    struct trace_item item;
    for (;;) {
        switch (cli_trace_next(trace, &item)) {
        case TRACE_EVENT:
            if (machine_step(m, &item.event)->stop == MACHINE_PANIC) {
                return cli_error("%s: event %" PRIu64 ": %s", options->machine.trace, item.event.index,
                                 machine_last(m)->message);
            }
            if (options->has_at && item.event.index == options->at) { return EXIT_OK; }
            if (machine_last(m)->stop == MACHINE_BUGCHECK) { return stopped(item.event.index, options); }
            break;
        case TRACE_ERROR:
            if (cli_interrupted) { return EXIT_INTERRUPTED; }
            return cli_error("%s", trace_error(trace->reader));
        case TRACE_EOF:
            if (!options->has_at) { return finish(m, options); }
            return cli_error("%s: found %" PRIu64 " events, expected more than %" PRIu64, options->machine.trace,
                             machine_counts(m)->events, options->at);
        default: break;
        }
        if (cli_interrupted) { return EXIT_INTERRUPTED; }
    }
}

static int answer(struct machine *m, const struct dump_options *options) {
    char err[512] = "";
    bool json_only = options->json && options->json[0] == '-' && !options->json[1];
    FILE *out = json_only ? fopen("/dev/null", "w") : stdout;
    if (!out) { return cli_error("/dev/null: cannot be opened"); }
    json_t *answers = json_array();
    int rc = EXIT_OK;
    for (unsigned i = 0; i < options->count && rc == EXIT_OK; i++) {
        json_t *one;
        if (i) { fputc('\n', out); }
        if (dump_command(m, options->commands[i], out, &one, err, sizeof err)) {
            rc = cli_error("%s", err);
        } else {
            json_array_append_new(answers, one);
        }
    }
    if (rc == EXIT_OK && options->image && dump_image(m, options->image, err, sizeof err)) {
        rc = cli_error("%s", err);
    }
    if (rc == EXIT_OK && options->json) {
        rc = cli_write_json(answers, options->json);
    } else {
        json_decref(answers);
    }
    if (json_only) { fclose(out); }
    return rc;
}

int cmd_dump(int argc, char **argv) {
    static const struct argp_child children[] = {{.argp = &cli_machine_argp}, {0}};
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .children = children,
        .args_doc = "TRACE ['!COMMAND'...]",
        .doc = "Replays TRACE to one event and prints what a kernel debugger's commands would show then, out of "
               "simulated memory: !pte ADDR [1], !pfn N, !vm, !vad [PID], !wsle [PID], !sysptes, !process [PID], "
               "!memusage, !poolused. Addresses and frames are hexadecimal; PID: else the current process. "
               "With 1, ADDR is that of the entry itself.",
    };
    struct dump_options options = {.count = 0};
    char err[1024] = "";
    cli_machine_defaults(&options.machine);
    options.machine.mmu = "c"; /* the same memory, many times faster */
    cli_parse(&argp, argc, argv, &options);
    cli_catch_interrupt();
    struct cli_trace trace;
    struct machine_config config;
    if (cli_trace_open(&trace, &options.machine, &config, err, sizeof err)) { return cli_error("%s", err); }
    struct machine *m = NULL;
    if (cli_choose_mmu(options.machine.mmu, &config, options.machine.assertions, err, sizeof err)) {
        m = machine_create(&config, err, sizeof err);
    }
    int rc = m ? replay_to(&trace, m, &options) : cli_error("%s: %s", options.machine.trace, err);
    if (rc == EXIT_OK) { rc = answer(m, &options); }
    machine_destroy(m);
    cli_trace_close(&trace);
    return rc;
}
