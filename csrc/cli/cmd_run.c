/* `ntmmu run`: one machine, one MMU. */
#include "replay_options.h"

static error_t pass_input(int key, char *arg, struct argp_state *state) {
    (void)arg;
    if (key != ARGP_KEY_INIT) { return ARGP_ERR_UNKNOWN; }
    state->child_inputs[0] = state->input;
    return 0;
}

int cmd_run(int argc, char **argv) {
    static const struct argp_child children[] = {{.argp = &replay_argp}, {0}};
    static const struct argp argp = {
        .parser = pass_input,
        .children = children,
        .args_doc = "TRACE",
        .doc = "Replays TRACE (.vmt, .vmt.zst, - = standard input) on one machine and says what it cost.\v"
               "Exit code: 0 the trace ran as it expects, 1 it did not or a check asked for failed, 2 cannot run, "
               "130 interrupted.",
    };
    struct replay_options options;
    replay_defaults(&options);
    cli_parse(&argp, argc, argv, &options);
    if (!options.replay.second_mmu) { options.replay.checks &= ~(unsigned)CHECK_LOCKSTEP; }
    return replay_whole(&options);
}
