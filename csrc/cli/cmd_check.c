/* `ntmmu check`: two machines, the second on the C MMU, and all checks. */
#include "replay_options.h"

#define AUDIT_EVENTS 10000

static error_t pass_input(int key, char *arg, struct argp_state *state) {
    (void)arg;
    if (key != ARGP_KEY_INIT) { return ARGP_ERR_UNKNOWN; }
    state->child_inputs[0] = state->input;
    return 0;
}

int cmd_check(int argc, char **argv) {
    static const struct argp_child children[] = {{.argp = &replay_argp}, {0}};
    static const struct argp argp = {
        .parser = pass_input,
        .children = children,
        .args_doc = "TRACE",
        .doc = "Replays TRACE on two machines, one on the MMU of --mmu and one on the C MMU (or, with --compare "
               "architecture, on one machine under the eyes of the architecture), and names the first access "
               "on which they disagree, or which is wrong by the shadow memory, the TLB staleness check, the audit of "
               "the PFN database or an expect line.\v"
               "Exit code: 0 agree, 1 a check failed, 2 cannot run, 130 interrupted.",
    };
    struct replay_options options;
    replay_defaults(&options);
    options.replay.checks = CHECK_ALL;
    options.replay.audit_interval = AUDIT_EVENTS;
    options.replay.second_mmu = "c";
    cli_parse(&argp, argc, argv, &options);
    return replay_whole(&options);
}
