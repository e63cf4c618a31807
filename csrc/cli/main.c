/* main(): the table of subcommands. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#define NTMMU_VERSION "0.1"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *doc;
};

static const struct command commands[] = {
    {"run", cmd_run, "replay a trace on one machine: counts, cycles, JSON, waveform"},
    {"check", cmd_check, "replay it on the RTL and on the C MMU at once, under five checks; or judge anybody's MMU"},
    {"wave", cmd_wave, "show a moment of a trace in GTKWave"},
    {"vectors", cmd_vectors, "run an MMU through paging vectors"},
    {"convert", cmd_convert, "make a trace of another tool's recording"},
    {"info", cmd_info, "say what is in a trace"},
    {"dump", cmd_dump, "show what a kernel debugger would, at any event"},
    {"build", cmd_build, "build the Verilated MMU of CPU presets"},
    {"gen", cmd_gen, "write a random program"},
    {"shrink", cmd_shrink, "make a trace small that fails a check"},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static int usage(FILE *out) {
    fputs(
        "Usage: ntmmu COMMAND [OPTION...] ...\n\n"
        "Replays a program's memory trace on a small x86 PC: an MMU in Verilog, or its model in C, under a C model of\n"
        "the Windows NT memory manager.\n\n",
        out);
    for (size_t i = 0; i < COMMANDS; i++) { fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].doc); }
    fputs("\n`ntmmu COMMAND --help` tells more; `ntmmu --version`.\n", out);
    return fflush(out) || ferror(out) ? EXIT_CANNOT : EXIT_OK;
}

/* What a command has printed is there, or it has failed; what Ctrl-C stopped has not. */
static int all_written(int rc) {
    if (rc == EXIT_CANNOT && cli_interrupted) { return EXIT_INTERRUPTED; }
    bool lost = fflush(stdout) || ferror(stdout);
    return lost && (rc == EXIT_OK || rc == EXIT_FAILED) ? cli_error("cannot write to standard output") : rc;
}

int main(int argc, char **argv) {
    if (argc < 2) { return cli_error("found no command, expected one; see ntmmu --help"); }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) { return usage(stdout); }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ntmmu " NTMMU_VERSION "\n");
        return fflush(stdout) ? EXIT_CANNOT : EXIT_OK;
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) { return all_written(commands[i].run(argc - 1, argv + 1)); }
    }
    return cli_error("found command '%s', expected run, check, wave, vectors, convert, info, dump, build, gen or shrink",
                     argv[1]);
}
