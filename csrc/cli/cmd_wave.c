/* `ntmmu wave`: simulates one moment of a trace on the RTL with a waveform, and opens GTKWave on it. */
#include "replay_options.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKER_MAX  20
#define VIEW_MARGIN 10  /* cycles shown before and behind */
#define VIEW_MAX    250 /* cycles shown at first: more are too narrow to read */

struct marker {
    const char *name;
    uint64_t cycle;
};

struct wave_options {
    struct replay_options replay;
    const char *out, *png;
};

struct wave_view {
    struct replay replay;
    struct marker marker[MARKER_MAX];
    unsigned marker_count;
    uint64_t from, to; /* cycles to show */
};

enum { OPTION_AT = 0x300, OPTION_OUT, OPTION_PNG, OPTION_MARGIN };

static const struct argp_option option_table[] = {
    {"at", OPTION_AT, "WHAT", 0, WAVE_EXPECTED " (default fault:1)", 3},
    {"out", OPTION_OUT, "FILE.fst", 0, "the waveform (default wave.fst)", 3},
    {"png", OPTION_PNG, "FILE", 0, "save a picture instead of opening a window", 3},
    {"margin", OPTION_MARGIN, "EVENTS", 0, "events to dump before and behind (default 20)", 3},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct wave_options *o = state->input;
    struct replay_config *replay = &o->replay.replay;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &replay->options; return 0;
    case OPTION_AT:
        if (wave_window_parse(arg, &replay->window)) {
            argp_error(state, "--at: found '%s', expected " WAVE_EXPECTED, arg);
        }
        return 0;
    case OPTION_OUT:
        o->out = arg;
        cli_expect_file("--out", arg, state);
        return 0;
    case OPTION_PNG:
        o->png = arg;
        cli_expect_file("--png", arg, state);
        return 0;
    case OPTION_MARGIN:
        if (cli_parse_number(arg, &replay->window.margin)) {
            argp_error(state, "--margin: found '%s', expected a number of events", arg);
        }
        return 0;
    case ARGP_KEY_END:
        if (strcmp(replay->options.mmu, "c") == 0) {
            argp_error(state, "found --mmu %s, expected rtl: the C model has no waveform", replay->options.mmu);
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- markers ---- */

static void add_marker(struct wave_view *view, const char *name, uint64_t cycle) {
    if (view->marker_count < MARKER_MAX) { view->marker[view->marker_count++] = (struct marker){name, cycle}; }
}

static uint64_t now(const struct wave_view *view) {
    struct machine *m = view->replay.machine[0];
    return machine_mmu_ops(m)->cycles(machine_mmu(m));
}

static void receive(void *ctx, const struct log_record *r) {
    struct wave_view *view = ctx;
    if (!view->replay.window_known || r->event != view->replay.window_event || r->cause != LOG_TRACE) { return; }
    add_marker(view, r->kind == LOG_FAULT ? "#PF" : r->kind == LOG_RESOLVED ? "serviced" : "done", now(view));
}

/* ---- which cycles ---- */

static int choose_view(struct wave_view *view) {
    struct replay *r = &view->replay;
    const struct wave_window *window = &r->config.window;
    int rc = replay_window_reached(r);
    if (rc != EXIT_OK) { return rc; }
    if (window->what == WAVE_CYCLES) {
        view->from = window->first;
        view->to = window->last;
        return EXIT_OK;
    }
    uint64_t first = r->window_cycle[0], last = r->window_cycle[1] > first ? r->window_cycle[1] : now(view);
    view->from = first > VIEW_MARGIN ? first - VIEW_MARGIN : 0;
    view->to = last + VIEW_MARGIN;
    if (view->to - view->from > VIEW_MAX) { view->to = view->from + VIEW_MAX; }
    return EXIT_OK;
}

/* ---- GTKWave ---- */

static int write_save_file(const struct wave_view *view, const char *home, const char *save) {
    char script[PATH_MAX + 32], from[24], to[24], text[MARKER_MAX][64];
    snprintf(script, sizeof script, "%s/tb/waves/make_gtkw.sh", home);
    snprintf(from, sizeof from, "%" PRIu64, view->from);
    snprintf(to, sizeof to, "%" PRIu64, view->to);
    char *argv[MARKER_MAX + 6] = {script, (char *)view->replay.config.wave, (char *)save, from, to};
    for (unsigned i = 0; i < view->marker_count; i++) {
        snprintf(text[i], sizeof text[i], "%s@%" PRIu64, view->marker[i].name, view->marker[i].cycle);
        argv[5 + i] = text[i];
    }
    return cli_run_program(argv) == 0 ? EXIT_OK : cli_error("%s: could not be made by %s", save, script);
}

static int take_picture(const char *home, const char *fst, const char *save, const char *png) {
    char script[PATH_MAX + 32];
    snprintf(script, sizeof script, "%s/tb/waves/shot.sh", home);
    char *argv[] = {script, (char *)fst, (char *)save, (char *)png, NULL};
    if (cli_run_program(argv)) { return cli_error("%s: could not be made by %s", png, script); }
    if (!cli_quiet()) { printf("%s\n", png); }
    return EXIT_OK;
}

static int open_window(const char *fst, const char *save) {
    const char *display = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    if (!(display && *display) && !(wayland && *wayland)) {
        printf("no display here; on one with a screen: gtkwave %s %s\n", fst, save);
        return EXIT_OK;
    }
    char *argv[] = {"gtkwave", (char *)fst, (char *)save, NULL};
    int rc = cli_run_program(argv);
    if (rc == 127) { return cli_error("found no gtkwave, expected it installed; the files are %s and %s", fst, save); }
    return EXIT_OK;
}

static int show(const struct wave_view *view, const struct wave_options *options) {
    char home[PATH_MAX], save[PATH_MAX];
    cli_home(home, sizeof home);
    size_t length = strlen(options->out);
    bool suffixed = length > 4 && strcmp(options->out + length - 4, ".fst") == 0;
    snprintf(save, sizeof save, "%.*s.gtkw", (int)(suffixed ? length - 4 : length), options->out);
    int rc = write_save_file(view, home, save);
    if (rc != EXIT_OK) { return rc; }
    if (!cli_quiet()) {
        printf("%s: cycles %" PRIu64 " to %" PRIu64 "; %s\n", options->out, view->from, view->to, save);
    }
    return options->png ? take_picture(home, options->out, save, options->png) : open_window(options->out, save);
}

static int simulate(struct wave_view *view, const struct replay_config *config) {
    int rc = replay_open(&view->replay, config);
    if (rc != EXIT_OK) { return rc; }
    log_subscribe(machine_log(view->replay.machine[0]),
                  LOG_BIT(LOG_FAULT) | LOG_BIT(LOG_RESOLVED) | LOG_BIT(LOG_ACCESS), receive, view);
    rc = replay_run(&view->replay);
    /* an event that failed or stopped the machine is often what is to be seen: its report stands there already */
    bool stopped = view->replay.stopped;
    return rc == EXIT_OK || rc == EXIT_FAILED || stopped ? choose_view(view) : rc;
}

int cmd_wave(int argc, char **argv) {
    static const struct argp_child children[] = {{.argp = &cli_machine_argp}, {0}};
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .children = children,
        .args_doc = "TRACE",
        .doc = "Simulates TRACE on the RTL with a waveform around one access (its event's number, from 0), page fault "
               "(from 1) or stretch of cycles, and opens GTKWave there.",
    };
    struct wave_options options = {.out = "wave.fst"};
    struct replay_config *config = &options.replay.replay;
    replay_defaults(&options.replay);
    config->window = (struct wave_window){.what = WAVE_FAULT, .first = 1, .last = 1, .margin = WAVE_MARGIN};
    config->stop_after_window = true;
    cli_parse(&argp, argc, argv, &options);
    config->wave = options.out;
    cli_catch_interrupt();
    struct wave_view *view = calloc(1, sizeof *view);
    if (!view) { return cli_error("out of memory"); }
    int rc = simulate(view, config);
    if (view->replay.machine[0]) { replay_close(&view->replay); }
    if (rc == EXIT_OK) { rc = show(view, &options); }
    free(view);
    return rc;
}
