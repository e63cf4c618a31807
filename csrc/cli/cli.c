/* Messages, command lines, numbers, progress and Ctrl-C, for every subcommand. */
#include "cli.h"

#include "ntmmu/report.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t cli_interrupted;

/* What belongs to the process as a whole, not to any machine: its terminal and its --quiet. */
static struct {
    bool quiet;
    bool line_shown;
    double started, shown;
} terminal;

int cli_error(const char *format, ...) {
    cli_progress_end();
    va_list args;
    va_start(args, format);
    fputs("ntmmu: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_CANNOT;
}

int cli_write_json(struct json_t *root, const char *path) {
    char err[1024];
    int result = report_write_json(root, path, err, sizeof err);
    json_decref(root);
    return result == 0 ? EXIT_OK : cli_error("%s", err);
}

/* ---- command lines ---- */

/* argp follows each complaint with a second line, "Try `… --help'". Ours are one line: this stream drops it. */
static ssize_t write_filtered(void *cookie, const char *text, size_t size) {
    (void)cookie;
    static const char second[] = "Try `";
    bool drop = size >= sizeof second - 1 && memcmp(text, second, sizeof second - 1) == 0;
    if (!drop && fwrite(text, 1, size, stderr) != size) { return 0; }
    return (ssize_t)size;
}

static FILE *filtered_stderr(void) {
    cookie_io_functions_t functions = {.write = write_filtered};
    FILE *stream = fopencookie(NULL, "w", functions);
    if (stream) { setvbuf(stream, NULL, _IOLBF, 0); }
    return stream;
}

static error_t parse_common(int key, char *arg, struct argp_state *state) {
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT: {
        FILE *stream = filtered_stderr();
        if (stream) { state->err_stream = stream; }
        return 0;
    }
    case 'q': terminal.quiet = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static error_t pass_input(int key, char *arg, struct argp_state *state) {
    (void)arg;
    if (key != ARGP_KEY_INIT) { return ARGP_ERR_UNKNOWN; }
    state->child_inputs[1] = state->input;
    return 0;
}

void cli_parse_program(const struct argp *argp, const char *name, int argc, char **argv, void *input) {
    static const struct argp_option options[] = {
        {"quiet", 'q', 0, 0, "no progress line, no summary", -1},
        {0},
    };
    static const struct argp common = {.options = options, .parser = parse_common};
    /* The subcommand's parser is a child, so that it keeps its own children's numbers in child_inputs. */
    struct argp_child children[] = {{.argp = &common}, {.argp = argp}, {0}};
    struct argp outer = {.children = children, .parser = pass_input};
    argv[0] = (char *)name; /* argp only reads it */
    argp_err_exit_status = EXIT_CANNOT;
    error_t error = argp_parse(&outer, argc, argv, 0, NULL, input);
    if (error) { exit(cli_error("%s", strerror(error))); }
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input) {
    char name[64];
    snprintf(name, sizeof name, "ntmmu %s", argv[0]);
    cli_parse_program(argp, name, argc, argv, input);
}

bool cli_quiet(void) { return terminal.quiet; }

void cli_expect_file(const char *option, const char *arg, struct argp_state *state) {
    if (strcmp(arg, "-") == 0) { argp_error(state, "%s: found standard output, expected the name of a file", option); }
}

int cli_parse_number(const char *text, uint64_t *out) {
    if (!isdigit((unsigned char)*text)) { return -1; }
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno || *end ? -1 : 0;
}

int cli_parse_size(const char *text, uint64_t *out) {
    if (!isdigit((unsigned char)*text)) { return -1; }
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno) { return -1; }
    unsigned shift = 0;
    switch (toupper((unsigned char)*end)) {
    case 'K': shift = 10; break;
    case 'M': shift = 20; break;
    case 'G': shift = 30; break;
    case '\0': break;
    default: return -1;
    }
    if ((shift && end[1]) || value > UINT64_MAX >> shift) { return -1; }
    *out = value << shift;
    return 0;
}

int cli_parse_ws(const char *text, uint32_t *min, uint32_t *max) {
    char first[16];
    const char *colon = strchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof first) { return -1; }
    memcpy(first, text, (size_t)(colon - text));
    first[colon - text] = '\0';
    uint64_t low, high;
    if (cli_parse_number(first, &low) || cli_parse_number(colon + 1, &high)) { return -1; }
    if (low == 0 || low > high || high > 0xFFFFF) { return -1; }
    *min = (uint32_t)low;
    *max = (uint32_t)high;
    return 0;
}

/* ---- other programs ---- */

int cli_run_program(char *const argv[]) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) { return -1; }
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) { return -1; }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- progress ---- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cli_progress(double fraction, uint64_t events, uint64_t accesses) {
    if (terminal.quiet || !isatty(STDERR_FILENO)) { return; }
    double time = now();
    if (terminal.started == 0) { terminal.started = time; }
    double elapsed = time - terminal.started;
    if (elapsed < 1 || time - terminal.shown < 0.2) { return; }
    terminal.shown = time;
    terminal.line_shown = true;
    fprintf(stderr, "\r\033[K%" PRIu64 " events, %.2f M %s/s", events,
            (double)(accesses ? accesses : events) / elapsed / 1e6, accesses ? "accesses" : "events");
    if (fraction > 0.001) {
        fprintf(stderr, ", %.0f %%, %.0f s left", 100 * fraction, elapsed * (1 - fraction) / fraction);
    }
    fflush(stderr);
}

void cli_progress_end(void) {
    if (terminal.line_shown) { fputs("\r\033[K", stderr); }
    terminal.line_shown = false;
    terminal.started = 0;
}

/* ---- Ctrl-C ---- */

static void on_interrupt(int number) {
    (void)number;
    if (cli_interrupted) { _exit(EXIT_INTERRUPTED); }
    cli_interrupted = 1;
}

void cli_catch_interrupt(void) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
