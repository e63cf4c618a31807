/* Runs an MMU through a vector file: the file and its lines, counting, reporting. Single accesses (V lines) stand in
 * vectors_single.c, sequences (Q lines and their steps) in vectors_sequence.c. */
#include "ntmmu/vectors.h"
#include "vectors_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- counting and reporting ---- */

static struct vectors_count *count_of(struct vectors_report *report, const char *name) {
    unsigned i = 0;
    while (i < report->set_count && strcmp(report->sets[i].name, name) != 0) { i++; }
    if (i == VECTORS_SET_MAX) { return NULL; }
    if (i == report->set_count) {
        snprintf(report->sets[i].name, sizeof report->sets[i].name, "%s", name);
        report->set_count++;
    }
    return &report->sets[i].count;
}

static void add(struct vectors_count *count, enum verdict verdict) {
    count->passed += verdict == PASSED;
    count->failed += verdict == FAILED;
    count->skipped += verdict == SKIPPED;
}

int vectors_count_line(struct runner *r, const char *set, enum verdict verdict) {
    struct vectors_count *count = strlen(set) < sizeof r->report->sets[0].name ? count_of(r->report, set) : NULL;
    if (!count) {
        return vectors_file_fail(&r->file, set, "at most 128 different sets, names of at most 31 characters");
    }
    add(count, verdict);
    add(&r->report->total, verdict);
    return 0;
}

int vectors_count_missing(struct runner *r, const char *set, unsigned missing) {
    r->report->missing |= missing;
    r->report->skipped_missing++;
    return vectors_count_line(r, set, SKIPPED);
}

enum verdict vectors_report_failure(struct runner *r, const char *found, const char *expected) {
    struct vectors_failure failure = {r->file.path, r->file.line, found, expected};
    if (r->config->on_failure) { r->config->on_failure(r->config->ctx, &failure); }
    return FAILED;
}

static void format_outcome(const struct outcome *outcome, char *out, size_t size) {
    if (outcome->kind == OUTCOME_GP) {
        snprintf(out, size, "gp");
    } else if (outcome->kind == OUTCOME_LOAD_GP) {
        snprintf(out, size, "gp at a register load");
    } else if (outcome->kind == OUTCOME_NONE) {
        snprintf(out, size, "no answer");
    } else if (outcome->kind == OUTCOME_PF) {
        snprintf(out, size, "pf, error code %" PRIx32 ", cr2 %" PRIx64, outcome->error_code, outcome->cr2);
    } else if (outcome->pa_known) {
        snprintf(out, size, "ok, pa %" PRIx64, outcome->pa);
    } else {
        snprintf(out, size, "ok");
    }
}

enum verdict vectors_fail_outcome(struct runner *r, const char *when, const struct outcome *found,
                                  const struct outcome *expected) {
    char found_text[96], expected_text[96], both[128];
    format_outcome(found, found_text, sizeof found_text);
    format_outcome(expected, expected_text, sizeof expected_text);
    snprintf(both, sizeof both, "%s%s", found_text, when);
    return vectors_report_failure(r, both, expected_text);
}

int vectors_store(struct runner *r, pa_t pa, uint64_t value) {
    if (vectors_memory_store(&r->memory, pa, value) == 0) { return 0; }
    return vectors_file_fail(&r->file, r->file.words[0], "at most 256 entries and 1024 stores in a sequence");
}

/* ---- the file ---- */

/* The first comment says MAXPHYADDR, and with it the MMU can be made. */
static int run_comment(struct runner *r) {
    if (r->commented) { return 0; }
    r->commented = true;
    unsigned i = 0;
    while (i < r->file.word_count && strcmp(r->file.words[i], "MAXPHYADDR") != 0) { i++; }
    const char *word = i + 1 < r->file.word_count ? r->file.words[i + 1] : NULL;
    long bits = word ? strtol(word, NULL, 10) : 0;
    if (bits < 32 || bits > 52) { return vectors_file_fail(&r->file, word, "MAXPHYADDR 32..52 in the first line"); }
    struct mmu_config config = {
        .preset = r->config->preset,
        .memory = vectors_memory_interface(&r->memory),
        .assertions = r->config->assertions,
    };
    config.preset.physical_bits = (unsigned)bits;
    r->mmu = r->config->mmu->create(&config, r->file.err, r->file.err_size);
    return r->mmu ? 0 : -1;
}

static int run_line(struct runner *r) {
    const char *word = r->file.words[0];
    if (word[0] == '#') { return run_comment(r); }
    if (!r->mmu) { return vectors_file_fail(&r->file, word, "a first line '# … MAXPHYADDR N …'"); }
    if (r->file.too_many_words) { return vectors_file_fail(&r->file, word, "at most 32 fields"); }
    return strcmp(word, "V") == 0 ? vectors_run_single(r) : vectors_run_sequence_line(r);
}

int vectors_run(const char *path, const struct vectors_config *config, struct vectors_report *report, char *err,
                size_t err_size) {
    struct runner *r = calloc(1, sizeof *r);
    if (!r) {
        snprintf(err, err_size, "%s: out of memory", path);
        return -1;
    }
    r->config = config;
    r->report = report;
    int status = vectors_file_open(&r->file, path, err, err_size);
    while (status == 0 && vectors_file_next(&r->file)) { status = run_line(r); }
    if (status == 0 && !r->commented) { status = vectors_file_fail(&r->file, NULL, "a line '# … MAXPHYADDR N …'"); }
    if (r->mmu) { config->mmu->destroy(r->mmu); }
    vectors_file_close(&r->file);
    free(r);
    return status;
}
