/* The matrix: every combination of the paging bits that the SDM gives a meaning, each on the MMU under test and on an
 * expectation of its own (expect.c). Exit code 0: all agree; 1: a disagreement; 2: cannot run. */
#include "run.h"
#include <argp.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_OK, EXIT_DISAGREE, EXIT_CANNOT, MMUS_MAX = 8 };

struct options {
    const char *mmus[MMUS_MAX];
    unsigned mmu_count, every, mode, physical_bits;
    const char *cpu, *presets;
};

enum { OPTION_MMU = 0x100, OPTION_CPU, OPTION_PRESETS, OPTION_EVERY, OPTION_MODE, OPTION_BITS };

static const struct argp_option option_table[] = {
    {"mmu", OPTION_MMU, "c|FILE.so", 0, "MMU to test: the C MMU, or a Verilated one (default: c); may be repeated", 0},
    {"cpu", OPTION_CPU, "PRESET", 0, "CPU preset (default: ref64)", 0},
    {"presets", OPTION_PRESETS, "DIR", 0, "where presets are (default: rtl/presets)", 0},
    {"physical-bits", OPTION_BITS, "N", 0, "MAXPHYADDR, 32 to 52 (default: the preset's)", 0},
    {"every", OPTION_EVERY, "N", 0, "one case of so many, always the same ones (default: 1, all)", 0},
    {"mode", OPTION_MODE, "2|3|4", 0, "32-bit paging, PAE or 4-level paging alone (default: all that the CPU has)", 0},
    {0},
};

static unsigned parse_number(const char *text, unsigned low, unsigned high, struct argp_state *state) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (end == text || *end || value < low || value > high) {
        argp_error(state, "found '%s', expected a number from %u to %u", text, low, high);
    }
    return (unsigned)value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *options = state->input;
    switch (key) {
    case OPTION_MMU:
        if (options->mmu_count == MMUS_MAX) { argp_error(state, "found more --mmu, expected at most %d", MMUS_MAX); }
        options->mmus[options->mmu_count++] = arg;
        return 0;
    case OPTION_CPU: options->cpu = arg; return 0;
    case OPTION_PRESETS: options->presets = arg; return 0;
    case OPTION_EVERY: options->every = parse_number(arg, 1, 1000000, state); return 0;
    case OPTION_BITS: options->physical_bits = parse_number(arg, 32, 52, state); return 0;
    case OPTION_MODE: options->mode = parse_number(arg, 2, 4, state); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .doc = "Tries every combination of paging bits and compares with what the Intel SDM says.",
};

static int cannot(const char *message) {
    fflush(stdout);
    fprintf(stderr, "matrix: %s\n", message);
    return EXIT_CANNOT;
}

/* NULL after a message. A shared object stays loaded. */
static const struct mmu_ops *load_mmu(const char *name) {
    if (strcmp(name, "c") == 0) { return &mmu_c_ops; }
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    mmu_ops_fn function = NULL;
    if (handle) { *(void **)&function = dlsym(handle, MMU_OPS_SYMBOL); }
    if (!function) {
        cannot(dlerror());
        return NULL;
    }
    const struct mmu_ops *ops = function();
    if (ops->abi_version == MMU_ABI_VERSION) { return ops; }
    cannot("found an MMU of another ABI version, expected this one's: build it anew");
    return NULL;
}

static void show_progress(void *ctx, uint64_t cases) {
    fprintf(stderr, "\r%s: %" PRIu64 " cases ", (const char *)ctx, cases);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* EXIT_OK or EXIT_DISAGREE. */
static int run_mode(const struct options *options, struct matrix *matrix, const char *mmu, unsigned levels) {
    static const char *const names[] = {[2] = "32-bit", "PAE", "4-level"};
    const bool terminal = isatty(STDERR_FILENO);
    struct matrix_options run = {
        .every = options->every, .progress = terminal ? show_progress : NULL, .ctx = (void *)names[levels]};
    struct matrix_count count = {0};
    const double start = seconds();
    const bool any = matrix_run(matrix, levels, &run, &count);
    if (terminal) { fprintf(stderr, "\r%40s\r", ""); }
    if (!any) {
        printf("%-8s %-5s the CPU lacks this mode\n", names[levels], mmu);
    } else {
        printf("%-8s %-5s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %14" PRIu64 " %8.1f\n", names[levels],
               mmu, count.cases, count.accesses, count.warm, count.psc, count.disagreements, seconds() - start);
    }
    fflush(stdout);
    return count.disagreements ? EXIT_DISAGREE : EXIT_OK;
}

static int run_mmu(const struct options *options, const struct mmu_ops *ops, const struct mmu_preset *preset) {
    char err[512];
    struct matrix *matrix = matrix_create(ops, preset, err, sizeof err);
    if (!matrix) { return cannot(err); }
    int status = EXIT_OK;
    for (unsigned levels = 2; levels <= 4; levels++) {
        if (options->mode && options->mode != levels) { continue; }
        if (run_mode(options, matrix, ops->name, levels) == EXIT_DISAGREE) { status = EXIT_DISAGREE; }
    }
    matrix_destroy(matrix);
    return status;
}

int main(int argc, char **argv) {
    struct options options = {.every = 1, .cpu = "ref64", .presets = "rtl/presets"};
    argp_err_exit_status = EXIT_CANNOT;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    if (options.mmu_count == 0) { options.mmus[options.mmu_count++] = "c"; }
    struct mmu_preset preset;
    char err[512];
    if (preset_load(&preset, options.presets, options.cpu, err, sizeof err) < 0) { return cannot(err); }
    if (options.physical_bits) { preset.physical_bits = options.physical_bits; }
    printf("CPU %s, MAXPHYADDR %u\n%-8s %-5s %10s %10s %10s %10s %14s %8s\n", preset.name, preset.physical_bits, "mode",
           "MMU", "cases", "accesses", "TLB hits", "PSC starts", "disagreements", "seconds");
    int status = EXIT_OK;
    for (unsigned i = 0; i < options.mmu_count; i++) {
        const struct mmu_ops *ops = load_mmu(options.mmus[i]);
        int one = ops ? run_mmu(&options, ops, &preset) : EXIT_CANNOT;
        if (one == EXIT_CANNOT) { return EXIT_CANNOT; }
        if (one == EXIT_DISAGREE) { status = one; }
    }
    return status;
}
