/* The matrix: every combination of the paging bits that the SDM gives a meaning, each on the MMU under test and on an
 * expectation of its own (expect.c). Exit code 0: all agree; 1: a disagreement; 2: cannot run. */
#include "run.h"
#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_OK, EXIT_DISAGREE, EXIT_CANNOT, MMUS_MAX = 8, JOBS_MAX = 64 };

struct options {
    const char *mmus[MMUS_MAX];
    unsigned mmu_count, every, mode, physical_bits, jobs;
    const char *cpu, *presets;
};

enum { OPTION_MMU = 0x100, OPTION_CPU, OPTION_PRESETS, OPTION_EVERY, OPTION_MODE, OPTION_BITS, OPTION_JOBS };

static const struct argp_option option_table[] = {
    {"mmu", OPTION_MMU, "c|FILE.so", 0, "MMU to test: the C MMU, or a Verilated one (default: c); may be repeated", 0},
    {"cpu", OPTION_CPU, "PRESET", 0, "CPU preset (default: ref64)", 0},
    {"presets", OPTION_PRESETS, "DIR", 0, "where presets are (default: rtl/presets)", 0},
    {"physical-bits", OPTION_BITS, "N", 0, "MAXPHYADDR, 32 to 52 (default: the preset's)", 0},
    {"jobs", OPTION_JOBS, "N", 0, "processes to run (default: one for each processor)", 0},
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
    case OPTION_JOBS: options->jobs = parse_number(arg, 1, JOBS_MAX, state); return 0;
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

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- a mode of an MMU, by several processes ---- */

struct job {
    pid_t pid;
    FILE *text;                 /* what it prints */
    struct matrix_count *count; /* in memory that both see */
};

/* The child: its exit code. */
static int run_job(const struct options *options, const struct mmu_ops *ops, const struct mmu_preset *preset,
                   unsigned levels, unsigned part, struct matrix_count *count) {
    const struct matrix_options run = {.every = options->every, .part = part, .parts = options->jobs};
    char err[512];
    struct matrix *matrix = matrix_create(ops, preset, err, sizeof err);
    if (!matrix) { return cannot(err); }
    matrix_run(matrix, levels, &run, count);
    matrix_destroy(matrix);
    return EXIT_OK;
}

static bool start_job(const struct options *options, const struct mmu_ops *ops, const struct mmu_preset *preset,
                      unsigned levels, unsigned part, struct job *job) {
    job->text = tmpfile();
    fflush(stdout);
    job->pid = job->text ? fork() : -1;
    if (job->pid < 0) { return false; }
    if (job->pid == 0) {
        dup2(fileno(job->text), STDOUT_FILENO);
        int status = run_job(options, ops, preset, levels, part, job->count);
        fflush(stdout);
        _exit(status);
    }
    return true;
}

static struct matrix_count sum(const struct job *jobs, unsigned count) {
    struct matrix_count total = {0};
    for (unsigned i = 0; i < count; i++) {
        const struct matrix_count *one = jobs[i].count;
        if (one->disagreements && (total.disagreements == 0 || one->first < total.first)) { total.first = one->first; }
        total.environments += one->environments;
        total.cases += one->cases;
        total.accesses += one->accesses;
        total.warm += one->warm;
        total.psc += one->psc;
        total.disagreements += one->disagreements;
    }
    return total;
}

/* False if one did not come to its end. */
static bool wait_for_jobs(const struct job *jobs, unsigned count, const char *name) {
    const bool terminal = isatty(STDERR_FILENO);
    bool good = true;
    for (unsigned i = 0; i < count; i++) {
        int status = 0;
        pid_t pid;
        while ((pid = waitpid(jobs[i].pid, &status, terminal ? WNOHANG : 0)) == 0) {
            fprintf(stderr, "\r%s: %" PRIu64 " cases ", name, sum(jobs, count).cases);
            nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
        }
        good = good && pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK;
    }
    if (terminal) { fprintf(stderr, "\r%40s\r", ""); }
    return good;
}

static void copy_text(FILE *from) {
    char line[512];
    rewind(from);
    while (fgets(line, sizeof line, from)) { fputs(line, stdout); }
}

/* Prints the first disagreement and the line of the table. EXIT_OK, EXIT_DISAGREE or EXIT_CANNOT. */
static int run_mode(const struct options *options, const struct mmu_ops *ops, const struct mmu_preset *preset,
                    unsigned levels, struct matrix_count *counts) {
    static const char *const names[] = {[2] = "32-bit", "PAE", "4-level"};
    const double start = seconds();
    struct job jobs[JOBS_MAX];
    unsigned started = 0;
    memset(counts, 0, options->jobs * sizeof *counts);
    for (; started < options->jobs; started++) {
        jobs[started].count = &counts[started];
        if (!start_job(options, ops, preset, levels, started, &jobs[started])) { break; }
    }
    bool good = wait_for_jobs(jobs, started, names[levels]) && started == options->jobs;
    const struct matrix_count count = sum(jobs, started);
    for (unsigned i = 0; i < started; i++) {
        if (counts[i].disagreements && counts[i].first == count.first) { copy_text(jobs[i].text); }
        fclose(jobs[i].text);
    }
    if (!good) { return cannot("a process did not come to its end"); }
    if (!count.environments) {
        printf("%-8s %-5s the CPU lacks this mode\n", names[levels], ops->name);
    } else {
        printf("%-8s %-5s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %14" PRIu64 " %8.1f\n", names[levels],
               ops->name, count.cases, count.accesses, count.warm, count.psc, count.disagreements, seconds() - start);
    }
    fflush(stdout);
    return count.disagreements ? EXIT_DISAGREE : EXIT_OK;
}

/* The worst of the modes' outcomes. */
static int run_mmu(const struct options *options, const struct mmu_ops *ops, const struct mmu_preset *preset) {
    const size_t size = JOBS_MAX * sizeof(struct matrix_count);
    struct matrix_count *counts = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) { return cannot("no memory left"); }
    int worst = EXIT_OK;
    for (unsigned levels = 2; levels <= 4 && worst != EXIT_CANNOT; levels++) {
        if (options->mode && options->mode != levels) { continue; }
        int status = run_mode(options, ops, preset, levels, counts);
        if (status > worst) { worst = status; }
    }
    munmap(counts, size);
    return worst;
}

int main(int argc, char **argv) {
    struct options options = {
        .every = 1, .jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), .cpu = "ref64", .presets = "rtl/presets"};
    argp_err_exit_status = EXIT_CANNOT;
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    if (options.jobs == 0 || options.jobs > JOBS_MAX) { options.jobs = 1; }
    if (options.mmu_count == 0) { options.mmus[options.mmu_count++] = "c"; }
    struct mmu_preset preset;
    char err[512];
    if (preset_load(&preset, options.presets, options.cpu, err, sizeof err) < 0) { return cannot(err); }
    if (options.physical_bits) { preset.physical_bits = options.physical_bits; }
    printf("CPU %s, MAXPHYADDR %u\n%-8s %-5s %10s %10s %10s %10s %14s %8s\n", preset.name, preset.physical_bits, "mode",
           "MMU", "cases", "accesses", "TLB hits", "PSC starts", "disagreements", "seconds");
    int status = EXIT_OK;
    for (unsigned i = 0; i < options.mmu_count; i++) {
        bool own = strcmp(options.mmus[i], "c") == 0;
        const struct mmu_ops *ops = own ? &mmu_c_ops : mmu_load_object(options.mmus[i], err, sizeof err);
        int one = ops ? run_mmu(&options, ops, &preset) : cannot(err);
        if (one == EXIT_CANNOT) { return EXIT_CANNOT; }
        if (one == EXIT_DISAGREE) { status = one; }
    }
    return status;
}
