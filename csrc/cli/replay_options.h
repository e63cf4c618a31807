/* The options run and check have beside the machine's. */
#ifndef NTMMU_REPLAY_OPTIONS_H
#define NTMMU_REPLAY_OPTIONS_H

#include "replay.h"

struct replay_options {
    struct replay_config replay;
    const char *json;
    const char *compare; /* --compare, NULL: not given */
};

#define WAVE_MARGIN 20 /* events dumped before and behind the one asked for */

/* An argp child for run and check; its input is a struct replay_options. The machine options come with it. */
extern const struct argp replay_argp;
void replay_defaults(struct replay_options *options);
/* Opens, runs, prints the summary on stdout, writes the JSON. The exit code. */
int replay_whole(const struct replay_options *options);

#endif
