/* How long each CPU preset's RTL takes for one trace, relative to the first: `ntmmu run`, processor time of its own,
 * the rounds of all presets in turn, the best of each. Not a test. Usage: preset_bench NTMMU TRACE PRESET... */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

enum { ROUNDS = 5, PRESETS_MAX = 64 };

/* Without what it prints. */
static double run(char *ntmmu, char *trace, char *preset) {
    char *argv[] = {ntmmu, "run", "--quiet", "--mmu", "rtl", "--cpu", preset, trace, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int status;
    struct rusage usage;
    if (posix_spawn(&pid, ntmmu, &actions, NULL, argv, environ) || wait4(pid, &status, 0, &usage) != pid ||
        status != 0) {
        fprintf(stderr, "preset_bench: %s run --cpu %s %s failed\n", ntmmu, preset, trace);
        exit(2);
    }
    posix_spawn_file_actions_destroy(&actions);
    return (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec;
}

int main(int argc, char **argv) {
    double best[PRESETS_MAX];
    int presets = argc - 3 < PRESETS_MAX ? argc - 3 : PRESETS_MAX;
    if (presets < 1) {
        fprintf(stderr, "usage: preset_bench NTMMU TRACE PRESET...\n");
        return 2;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < presets; i++) {
            double took = run(argv[1], argv[2], argv[i + 3]);
            if (round == 0 || took < best[i]) { best[i] = took; }
        }
    }
    printf("RTL, %s: processor time (relative to %s)\n", argv[2], argv[3]);
    for (int i = 0; i < presets; i++) { printf("  %-12s %7.2f s (%.2f)\n", argv[i + 3], best[i], best[i] / best[0]); }
    return 0;
}
