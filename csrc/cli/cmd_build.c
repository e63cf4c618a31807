/* `ntmmu build`: the Verilated MMUs of presets, ahead of time. */
#include "cli.h"

#include <stdio.h>

struct build_options {
    char **presets;
    int count;
    bool assertions;
};

enum { OPTION_ASSERTIONS = 0x100 };

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct build_options *o = state->input;
    (void)arg;
    switch (key) {
    case OPTION_ASSERTIONS: o->assertions = true; return 0;
    case ARGP_KEY_ARGS:
        o->presets = state->argv + state->next;
        o->count = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS: argp_error(state, "found no preset, expected at least one"); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int build_one(const char *name, bool assertions) {
    char err[1024], path[8192];
    struct mmu_preset preset;
    if (cli_load_preset(&preset, name, err, sizeof err)) { return cli_error("%s", err); }
    if (cli_build_preset(&preset, assertions, path, sizeof path, err, sizeof err)) { return cli_error("%s", err); }
    if (!cli_quiet()) { printf("%s\n", path); }
    return EXIT_OK;
}

int cmd_build(int argc, char **argv) {
    static const struct argp_option option_table[] = {
        {"assertions", OPTION_ASSERTIONS, 0, 0, "the build with the assertions of the RTL on, which waveforms come from", 1},
        {0},
    };
    static const struct argp argp = {
        .options = option_table,
        .parser = parse_option,
        .args_doc = "PRESET...",
        .doc = "Builds the Verilated MMU of each CPU preset that is not built or older than its sources.",
    };
    struct build_options options = {0};
    cli_parse(&argp, argc, argv, &options);
    for (int i = 0; i < options.count; i++) {
        int rc = build_one(options.presets[i], options.assertions);
        if (rc != EXIT_OK) { return rc; }
    }
    return EXIT_OK;
}
