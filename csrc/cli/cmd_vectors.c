/* `ntmmu vectors`: runs an MMU through files of paging vectors and counts the lines it passes. */
#include "cli.h"
#include "ntmmu/vectors.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *mmu, *cpu, *json;
    char **files;
    int file_count;
};

enum { OPTION_MMU = 0x100, OPTION_CPU, OPTION_JSON };

static const struct argp_option option_table[] = {
    {"mmu", OPTION_MMU, MMU_WORDS, 0, "MMU to test (default: rtl)", 0},
    {"cpu", OPTION_CPU, "PRESET", 0, "CPU preset (default: ref64)", 0},
    {"json", OPTION_JSON, "FILE", 0, "write the counts as JSON, - = standard output", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct options *options = state->input;
    switch (key) {
    case OPTION_MMU:
        if (strcmp(arg, "rtl") != 0 && strcmp(arg, "c") != 0 && !cli_is_mmu_object(arg)) {
            argp_error(state, "--mmu: found '%s', expected " MMU_EXPECTED, arg);
        }
        options->mmu = arg;
        return 0;
    case OPTION_CPU: options->cpu = arg; return 0;
    case OPTION_JSON: options->json = arg; return 0;
    case ARGP_KEY_ARGS:
        options->files = state->argv + state->next;
        options->file_count = state->argc - state->next;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        if (options->file_count == 0) { argp_error(state, "found no FILE, expected at least one vector file"); }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "FILE...",
    .doc = "Runs an MMU through paging vectors (.vec, .vec.zst; - = standard input) and names every line it fails.",
};

static void print_failure(void *ctx, const struct vectors_failure *failure) {
    fprintf(ctx, "%s:%" PRIu64 ": found %s, expected %s\n", failure->file, failure->line, failure->found,
            failure->expected);
}

static void print_count(const char *name, const struct vectors_count *count) {
    printf("%-16s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", name, count->passed, count->failed, count->skipped);
}

static void print_missing(const struct vectors_report *report) {
    printf("%" PRIu64 " skipped because the CPU lacks", report->skipped_missing);
    const char *separator = " ";
    for (unsigned i = 0; i < CPU_FEATURES; i++) {
        if (!(report->missing & 1u << i)) { continue; }
        printf("%s%s", separator, cpu_feature_names[i].sdm);
        separator = ", ";
    }
    printf("\n");
}

static void print_summary(const struct options *options, const struct vectors_report *report) {
    printf("%-16s %10s %10s %10s\n", "set", "passed", "failed", "skipped");
    for (unsigned i = 0; i < report->set_count; i++) { print_count(report->sets[i].name, &report->sets[i].count); }
    print_count("total", &report->total);
    if (report->excused_p || report->excused_n || report->excused_f) {
        printf("passed by a stale entry that the accesses before allow: %" PRIu64 " of class P, %" PRIu64
               " of class N, %" PRIu64 " of class F\n",
               report->excused_p, report->excused_n, report->excused_f);
    }
    if (report->missing) { print_missing(report); }
    printf("MMU %s, CPU %s: %s\n", options->mmu, options->cpu, report->total.failed ? "FAILED" : "passed");
}

static json_t *count_json(const struct vectors_count *count) {
    return json_pack("{s:I, s:I, s:I}", "passed", (json_int_t)count->passed, "failed", (json_int_t)count->failed,
                     "skipped", (json_int_t)count->skipped);
}

static json_t *vectors_json(const struct options *options, const struct vectors_report *report) {
    json_t *sets = json_object();
    for (unsigned i = 0; i < report->set_count; i++) {
        json_object_set_new(sets, report->sets[i].name, count_json(&report->sets[i].count));
    }
    json_t *missing = json_array();
    for (unsigned i = 0; i < CPU_FEATURES; i++) {
        if (report->missing & 1u << i) { json_array_append_new(missing, json_string(cpu_feature_names[i].sdm)); }
    }
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "mmu", options->mmu, "cpu", options->cpu, "sets",
                     sets, "total", count_json(&report->total), "excused_p", (json_int_t)report->excused_p, "excused_n",
                     (json_int_t)report->excused_n, "excused_f", (json_int_t)report->excused_f, "skipped_missing",
                     (json_int_t)report->skipped_missing, "missing", missing);
}

static int run_files(const struct options *options, const struct vectors_config *config,
                     struct vectors_report *report) {
    char err[512];
    for (int i = 0; i < options->file_count; i++) {
        if (vectors_run(options->files[i], config, report, err, sizeof err) < 0) { return cli_error("%s", err); }
    }
    return report->total.failed ? EXIT_FAILED : EXIT_OK;
}

int cmd_vectors(int argc, char **argv) {
    struct options options = {.mmu = "rtl", .cpu = "ref64"};
    cli_parse(&parser, argc, argv, &options);
    char err[512];
    bool json_on_stdout = options.json && strcmp(options.json, "-") == 0;
    struct vectors_config config = {.on_failure = print_failure, .ctx = json_on_stdout ? stderr : stdout};
    if (cli_load_preset(&config.preset, options.cpu, err, sizeof err) < 0) { return cli_error("%s", err); }
    config.mmu = cli_load_mmu(options.mmu, &config.preset, false, err, sizeof err);
    if (!config.mmu) { return cli_error("%s", err); }
    struct vectors_report report = {0};
    int status = run_files(&options, &config, &report);
    if (status == EXIT_CANNOT) { return status; }
    if (!cli_quiet() && !json_on_stdout) { print_summary(&options, &report); }
    if (!options.json) { return status; }
    return cli_write_json(vectors_json(&options, &report), options.json) == EXIT_OK ? status : EXIT_CANNOT;
}
