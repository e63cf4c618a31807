/* The machine options of run, check and wave. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_MMU = 0x100,
    OPTION_CPU,
    OPTION_PROFILE,
    OPTION_RAM,
    OPTION_PAGEFILE,
    OPTION_DISK,
    OPTION_INJECT,
    OPTION_WS,
    OPTION_KERNEL,
    OPTION_COUNTING,
    OPTION_LATENCY,
    OPTION_ASSERTIONS
};

static const struct argp_option option_table[] = {
    {"mmu", OPTION_MMU, MMU_WORDS, 0,
     "the MMU: Verilog RTL (default), C model, or anybody's: a shared object with the C ABI of mmu.h (docs/own-mmu.md)",
     1},
    {"cpu", OPTION_CPU, "PRESET", 0, "CPU preset of rtl/presets (default ref64)", 1},
    {"latency", OPTION_LATENCY, "N", 0,
     "cycles of every page-table access (default: the CPU preset's, 4 if it says nothing)", 1},
    {"assertions", OPTION_ASSERTIONS, 0, 0, "the RTL build with its assertions on", 1},
    {"profile", OPTION_PROFILE, PROFILE_EXPECTED, 0, "which Windows NT: 4 (default), 2000, 2000 with PAE", 2},
    {"ram", OPTION_RAM, "SIZE", 0, "RAM free after boot, suffix K, M or G (default: the boot configuration's)", 2},
    {"pagefile", OPTION_PAGEFILE, "SIZE[:MAX][@DIR]", 0,
     "a paging file, kept in DIR; up to 16 times; 0 = none (default 1G for a captured trace)", 2},
    {"disk", OPTION_DISK, "MODEL", 0, "how long transfers take: " DISK_EXPECTED " (default auto: no time)", 2},
    {"inject", OPTION_INJECT, "FAULT", 0, "simulate faults, up to 16 times: " INJECT_EXPECTED, 2},
    {"ws", OPTION_WS, "MIN:MAX", 0, "default working-set limits in pages", 2},
    {"kernel", OPTION_KERNEL, "mmu|direct", 0, "the kernel's own accesses: through the MMU (default), or past it", 2},
    {"counting", OPTION_COUNTING, "nt|reference", 0, "as NT does it (default), or comparable with TLB simulators", 2},
    {0},
};

static bool one_of(const char *arg, const char *a, const char *b) { return strcmp(arg, a) == 0 || strcmp(arg, b) == 0; }

static void parse_ws(struct cli_machine_options *options, const char *arg, struct argp_state *state) {
    if (cli_parse_ws(arg, &options->min_ws, &options->max_ws)) {
        argp_error(state, "--ws: found '%s', expected MIN:MAX in pages, MIN not above MAX", arg);
    }
}

static void parse_size(const char *name, const char *arg, uint64_t *out, bool *has, struct argp_state *state) {
    if (cli_parse_size(arg, out)) {
        argp_error(state, "%s: found '%s', expected a size such as 64M (suffix K, M or G)", name, arg);
    }
    *has = true;
}

static void parse_pagefile(struct cli_machine_options *o, const char *arg, struct argp_state *state) {
    if (o->pagefiles == OS_PAGING_FILES_MAX) {
        argp_error(state, "--pagefile: found a file more, expected at most %d", OS_PAGING_FILES_MAX);
        return;
    }
    unsigned n = o->pagefiles++;
    o->pagefile_word[n] = arg;
    if (cli_parse_pagefile(arg, &o->pagefile[n], &o->pagefile_directory[n])) {
        argp_error(state, "--pagefile: found '%s', expected a size: " PAGEFILE_EXPECTED, arg);
    } else if (o->pagefiles > 1 && (o->pagefile[n].min == 0 || o->pagefile[0].min == 0)) {
        argp_error(state, "--pagefile: found 0 and another file, expected one of them");
    }
}

static void parse_inject(struct cli_machine_options *o, const char *arg, struct argp_state *state) {
    if (o->injections == MACHINE_INJECTIONS_MAX) {
        argp_error(state, "--inject: found a fault more, expected at most %d", MACHINE_INJECTIONS_MAX);
        return;
    }
    o->inject_word[o->injections] = arg;
    if (cli_parse_inject(arg, &o->injection[o->injections++])) {
        argp_error(state, "--inject: found '%s', expected " INJECT_EXPECTED, arg);
    }
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct cli_machine_options *o = state->input;
    switch (key) {
    case OPTION_MMU:
        if (!one_of(arg, "rtl", "c") && !cli_is_mmu_object(arg)) {
            argp_error(state, "--mmu: found '%s', expected " MMU_EXPECTED, arg);
        }
        o->mmu = arg;
        return 0;
    case OPTION_CPU: o->cpu = arg; return 0;
    case OPTION_ASSERTIONS: o->assertions = true; return 0;
    case OPTION_PROFILE:
        if (cli_parse_profile(arg, &o->profile)) {
            argp_error(state, "--profile: found '%s', expected " PROFILE_EXPECTED, arg);
        }
        o->profile_word = arg;
        return 0;
    case OPTION_RAM:
        parse_size("--ram", arg, &o->ram, &o->has_ram, state);
        if (o->ram == 0) { argp_error(state, "--ram: found '%s', expected a size above 0", arg); }
        return 0;
    case OPTION_PAGEFILE: parse_pagefile(o, arg, state); return 0;
    case OPTION_DISK:
        if (cli_parse_disk(arg, &o->disk)) { argp_error(state, "--disk: found '%s', expected " DISK_EXPECTED, arg); }
        o->disk_word = arg;
        return 0;
    case OPTION_INJECT: parse_inject(o, arg, state); return 0;
    case OPTION_WS: parse_ws(o, arg, state); return 0;
    case OPTION_KERNEL:
        if (!one_of(arg, "mmu", "direct")) { argp_error(state, "--kernel: found '%s', expected mmu or direct", arg); }
        o->kernel_direct = strcmp(arg, "direct") == 0;
        return 0;
    case OPTION_COUNTING:
        if (!one_of(arg, "nt", "reference")) {
            argp_error(state, "--counting: found '%s', expected nt or reference", arg);
        }
        o->reference_counting = strcmp(arg, "reference") == 0;
        return 0;
    case OPTION_LATENCY:
        if (cli_parse_number(arg, &o->latency) || o->latency < 1 || o->latency > 1000) {
            argp_error(state, "--latency: found '%s', expected 1 to 1000 cycles", arg);
        }
        return 0;
    case ARGP_KEY_ARG:
        if (o->trace) { argp_error(state, "found a second trace '%s', expected one", arg); }
        o->trace = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->trace) { argp_error(state, "found no trace, expected the name of one"); }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp cli_machine_argp = {.options = option_table, .parser = parse_option};

void cli_machine_defaults(struct cli_machine_options *options) {
    *options = (struct cli_machine_options){.mmu = "rtl", .cpu = "ref64"};
}

static void print_word(FILE *out, const char *word) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_./,:=+@%";
    if (*word && word[strspn(word, plain)] == '\0') {
        fprintf(out, " %s", word);
        return;
    }
    fputs(" '", out);
    for (; *word; word++) { fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out); }
    fputc('\'', out);
}

char *cli_wave_command(const struct cli_machine_options *o) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) { return NULL; }
    struct cli_machine_options usual;
    cli_machine_defaults(&usual);
    static const char platform[] = "-platform"; /* `wave` is a command of the program beside it */
    size_t length = strlen(program_invocation_name), suffix = sizeof platform - 1;
    bool other = length > suffix && strcmp(program_invocation_name + length - suffix, platform) == 0;
    fprintf(out, "%.*s wave", (int)(other ? length - suffix : length), program_invocation_name);
    if (cli_is_mmu_object(o->mmu)) {
        fputs(" --mmu", out);
        print_word(out, o->mmu);
    }
    if (strcmp(o->cpu, usual.cpu) != 0) {
        fputs(" --cpu", out);
        print_word(out, o->cpu);
    }
    if (o->profile_word) { fprintf(out, " --profile %s", o->profile_word); }
    if (o->has_ram) { fprintf(out, " --ram %" PRIu64, o->ram); }
    for (unsigned i = 0; i < o->pagefiles; i++) {
        fputs(" --pagefile", out);
        print_word(out, o->pagefile_word[i]);
    }
    if (o->disk_word) {
        fputs(" --disk", out);
        print_word(out, o->disk_word);
    }
    for (unsigned i = 0; i < o->injections; i++) {
        fputs(" --inject", out);
        print_word(out, o->inject_word[i]);
    }
    if (o->max_ws) { fprintf(out, " --ws %" PRIu32 ":%" PRIu32, o->min_ws, o->max_ws); }
    if (o->kernel_direct) { fputs(" --kernel direct", out); }
    if (o->reference_counting) { fputs(" --counting reference", out); }
    if (o->latency != usual.latency) { fprintf(out, " --latency %" PRIu64, o->latency); }
    if (o->assertions) { fputs(" --assertions", out); }
    print_word(out, o->trace);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}
