/* run and check: their common options, and a whole replay from opening to the JSON result. */
#include "replay_options.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_JSON = 0x200, OPTION_WAVE, OPTION_WAVE_AT, OPTION_CHECK, OPTION_AUDIT, OPTION_COMPARE };

#define COMPARE_EXPECTED "c|architecture"

/* flag, word of --check, name in the summary */
#define CHECKS(X)                                                                                                      \
    X(CHECK_LOCKSTEP, "lockstep", "lockstep")                                                                          \
    X(CHECK_SHADOW, "shadow", "shadow memory")                                                                         \
    X(CHECK_STALENESS, "staleness", "staleness")                                                                       \
    X(CHECK_AUDIT, "audit", "audit")                                                                                   \
    X(CHECK_EXPECT, "expect", "expectations")
#define CHECK_ROW(flag, word, name)   {flag, word, name},
#define CHECK_COMMA(flag, word, name) word ", "
#define CHECK_WORDS                   CHECKS(CHECK_COMMA) "all, none"

static const struct {
    unsigned flags;
    const char *word, *name;
} checks[] = {
    {CHECK_ARCHITECTURE, NULL, "architecture"}, /* --compare's */
    CHECKS(CHECK_ROW){CHECK_ALL, "all", NULL},
    {0, "none", NULL},
};
#define CHECK_ROWS (sizeof checks / sizeof *checks)

static const struct argp_option option_table[] = {
    {"json", OPTION_JSON, "FILE", 0, "write the counts as JSON, - = standard output", 3},
    {"wave", OPTION_WAVE, "FILE.fst", 0, "dump a waveform (RTL only)", 3},
    {"wave-at", OPTION_WAVE_AT, "WHAT", 0, "only around " WAVE_EXPECTED, 3},
    {"check", OPTION_CHECK, "LIST", 0,
     "checks, comma between: " CHECK_WORDS
     "; no-NAME takes one out. What the trace expects is judged as well, unless there is no-expect",
     3},
    {"compare", OPTION_COMPARE, COMPARE_EXPECTED, 0,
     "what the MMU's answers must be: those of the C MMU, cycles and all (what check does by itself), or any that the "
     "architecture allows",
     3},
    {"audit", OPTION_AUDIT, "N", 0, "audit after each N events, 0 = only at the end", 3},
    {0},
};

static bool is_word(const char *word, const char *text, size_t length) {
    return word && strlen(word) == length && memcmp(word, text, length) == 0;
}

static int parse_checks(const char *arg, unsigned *out) {
    if (strncmp(arg, "no-", 3) != 0) { *out = CHECK_EXPECT; } /* else all that there would be without the option */
    while (*arg) {
        bool without = strncmp(arg, "no-", 3) == 0;
        arg += without ? 3 : 0;
        size_t length = strcspn(arg, ","), i = 0;
        while (i < CHECK_ROWS && !is_word(checks[i].word, arg, length)) { i++; }
        if (i == CHECK_ROWS) { return -1; }
        *out = without ? *out & ~checks[i].flags : *out | checks[i].flags;
        arg += length;
        arg += *arg == ',';
    }
    if (!(*out & CHECK_EXPECT)) { *out |= CHECK_ANY_OUTCOME; }
    return 0;
}

static void settle_comparison(struct replay_options *o) {
    if (!o->compare) { return; }
    if (strcmp(o->compare, "architecture") == 0) {
        o->replay.checks = (o->replay.checks & ~(unsigned)CHECK_LOCKSTEP) | CHECK_ARCHITECTURE;
        o->replay.second_mmu = NULL;
    } else {
        o->replay.checks |= CHECK_LOCKSTEP;
        o->replay.second_mmu = "c";
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct replay_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->replay.options; return 0;
    case OPTION_JSON:
        o->json = arg;
        o->replay.json_on_stdout = strcmp(arg, "-") == 0;
        return 0;
    case OPTION_WAVE:
        o->replay.wave = arg;
        cli_expect_file("--wave", arg, state);
        return 0;
    case OPTION_WAVE_AT:
        if (wave_window_parse(arg, &o->replay.window)) {
            argp_error(state, "--wave-at: found '%s', expected " WAVE_EXPECTED, arg);
        }
        return 0;
    case OPTION_CHECK:
        if (parse_checks(arg, &o->replay.checks)) {
            argp_error(state, "--check: found '%s', expected " CHECK_WORDS ", or no- and a name", arg);
        }
        return 0;
    case OPTION_AUDIT:
        if (cli_parse_number(arg, &o->replay.audit_interval)) {
            argp_error(state, "--audit: found '%s', expected a number of events", arg);
        }
        return 0;
    case OPTION_COMPARE:
        if (strcmp(arg, "architecture") != 0 && strcmp(arg, "c") != 0) {
            argp_error(state, "--compare: found '%s', expected " COMPARE_EXPECTED, arg);
        }
        o->compare = arg;
        return 0;
    case ARGP_KEY_END:
        settle_comparison(o);
        if (o->replay.wave && strcmp(o->replay.options.mmu, "c") == 0) {
            argp_error(state, "--wave: found --mmu c, expected rtl: the C model has no waveform");
        }
        if (o->replay.window.what != WAVE_ALL && !o->replay.wave) {
            argp_error(state, "--wave-at: found no --wave, expected the name of the waveform file");
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &cli_machine_argp}, {0}};
const struct argp replay_argp = {.options = option_table, .parser = parse_option, .children = children};

void replay_defaults(struct replay_options *options) {
    memset(options, 0, sizeof *options);
    cli_machine_defaults(&options->replay.options);
    options->replay.checks = CHECK_EXPECT;
    options->replay.window = (struct wave_window){.what = WAVE_ALL, .margin = WAVE_MARGIN};
}

static const char *result_name(const struct replay *replay, int rc) {
    if (rc == EXIT_INTERRUPTED) { return "interrupted"; }
    if (rc == EXIT_FAILED) { return "failed"; }
    return replay->stopped ? "bugcheck" : "completed";
}

/* "lockstep, shadow memory, …", of those that are on. */
static void name_checks(unsigned flags, char *out, size_t out_size) {
    size_t length = 0;
    *out = '\0';
    for (size_t i = 0; i < CHECK_ROWS; i++) {
        if (!checks[i].name || !(flags & checks[i].flags)) { continue; }
        length += (size_t)snprintf(out + length, out_size - length, "%s%s", length ? ", " : "", checks[i].name);
    }
}

static int report(struct replay *replay, const struct replay_options *options, int rc) {
    char err[1024];
    char names[128];
    struct nt_memory_view memory = {0};
    if (replay->machine_config.os != &bare_os_ops) { nt_view_memory(machine_os(replay->machine[0]), &memory); }
    name_checks(replay->config.checks, names, sizeof names);
    struct run_report report = {
        .trace = options->replay.options.trace,
        .mmu = options->replay.options.mmu,
        .cpu = options->replay.options.cpu,
        .result = result_name(replay, rc),
        .compared_with = replay->config.checks & CHECK_LOCKSTEP ? options->replay.second_mmu : NULL,
        .architecture = replay->config.checks & CHECK_ARCHITECTURE && !options->replay.second_mmu,
        .checks = names,
        .machine = replay->machine[0],
        .touches = counting_totals(replay->counting),
        .memory = &memory,
        .pfn_transitions = check_pfn_transitions(replay->check),
        .seconds = replay->seconds,
    };
    if (!cli_quiet() && !options->replay.json_on_stdout && report_summary(&report, stdout)) {
        return cli_error("cannot write to standard output");
    }
    if (options->json && report_json(&report, options->json, err, sizeof err)) { return cli_error("%s", err); }
    return rc;
}

int replay_whole(const struct replay_options *options) {
    struct replay replay;
    cli_catch_interrupt();
    int rc = replay_open(&replay, &options->replay);
    if (rc != EXIT_OK) { return rc; }
    rc = replay_run(&replay);
    if (rc == EXIT_OK && options->replay.wave) { rc = replay_window_reached(&replay); }
    if (rc != EXIT_CANNOT) { rc = report(&replay, options, rc); }
    replay_close(&replay);
    return rc;
}
