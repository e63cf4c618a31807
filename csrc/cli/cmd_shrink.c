/* `ntmmu shrink`: the smallest trace that fails in the same way. Each candidate is replayed in a child process: a crash
 * or an endless loop is a way to fail, too. */
#include "replay_options.h"

#include "ntmmu/shrink.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AUDIT_EVENTS  10000 /* as check */
#define NOTE_MAX      1024
#define KIND_MAX      192
#define LEAST_SECONDS 20 /* for a candidate; at least so many times what the trace itself took */
#define PATIENCE      10
#define EXPECTATIONS  50 /* lines that are put in or out at most */

struct shrink_options {
    struct replay_options check;
    const char *out;
    uint64_t seconds;
};

/* What came of a replay, as the child says it. */
struct outcome {
    int exit; /* EXIT_*, -1: none, the child was killed */
    uint64_t event;
    char kind[KIND_MAX];
};

struct shrinker {
    struct replay_config config;
    char kind[KIND_MAX]; /* how the trace is to fail */
    unsigned limit;      /* seconds for a candidate */
    double begun, shown, until;
    uint64_t runs;
    size_t events; /* of the best so far */
    int fd;        /* the candidate's text */
};

enum { OPTION_OUT = 'o', OPTION_SECONDS = 0x300 };

static const struct argp_option option_table[] = {
    {"output", OPTION_OUT, "OUT", 0, "the small trace (default: TRACE's name with .min.vmt)", 4},
    {"seconds", OPTION_SECONDS, "N", 0, "stop after so many seconds with the smallest trace so far", 4},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct shrink_options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->check; return 0;
    case OPTION_OUT: o->out = arg; return 0;
    case OPTION_SECONDS:
        if (cli_parse_number(arg, &o->seconds) || o->seconds == 0) {
            argp_error(state, "--seconds: found '%s', expected at least 1", arg);
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = {{.argp = &replay_argp}, {0}};
static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .children = children,
    .args_doc = "TRACE",
    .doc = "Makes a trace small that fails `ntmmu check` with the same options: fewer events, then smaller values, as "
           "long as "
           "it fails in the same way (the same check, the same kind of difference). Writes it to OUT, prints it, the "
           "report, "
           "and the command that opens the moment as a waveform. Interrupted, it leaves the smallest so far.\v"
           "Exit code: 0 done, 2 the trace passes or cannot be read, 130 interrupted.",
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- one replay ---- */

/* "event 12 (line 40)" of a report names the event that failed; a report without: the last one. */
static uint64_t event_of(const char *report, uint64_t last) {
    const char *at = strstr(report, "event ");
    uint64_t event;
    char after;
    return at && sscanf(at, "event %" SCNu64 " (line%c", &event, &after) == 2 ? event : last;
}

_Noreturn static void be_child(const struct shrinker *s, int answer) {
    struct outcome outcome = {.exit = EXIT_CANNOT};
    struct replay replay;
    alarm(s->limit);
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) { _exit(EXIT_CANNOT); }
    outcome.exit = replay_open(&replay, &s->config);
    if (outcome.exit == EXIT_OK) {
        outcome.exit = replay_run(&replay);
        snprintf(outcome.kind, sizeof outcome.kind, "%s", check_failure_kind(replay.check));
        outcome.event = event_of(check_report(replay.check), replay.events ? replay.events - 1 : 0);
    }
    ssize_t written = write(answer, &outcome, sizeof outcome);
    _exit(written == (ssize_t)sizeof outcome ? 0 : 1);
}

static void take_answer(int fd, pid_t child, struct outcome *outcome) {
    int status = 0;
    ssize_t got;
    do { got = read(fd, outcome, sizeof *outcome); } while (got < 0 && errno == EINTR);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (got == (ssize_t)sizeof *outcome) { return; }
    *outcome = (struct outcome){.exit = -1, .event = UINT64_MAX};
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        snprintf(outcome->kind, sizeof outcome->kind, "no end");
    } else {
        snprintf(outcome->kind, sizeof outcome->kind, "crash, signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
}

static int replay_candidate(struct shrinker *s, const struct shrink_trace *trace, struct outcome *outcome) {
    FILE *file = fdopen(dup(s->fd), "w");
    if (!file || ftruncate(s->fd, 0) || lseek(s->fd, 0, SEEK_SET) < 0) { return -1; }
    shrink_write(trace, NULL, file);
    int pipe_ends[2];
    if (fclose(file) || pipe(pipe_ends)) { return -1; }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) { be_child(s, pipe_ends[1]); }
    close(pipe_ends[1]);
    if (child > 0) { take_answer(pipe_ends[0], child, outcome); }
    close(pipe_ends[0]);
    s->runs++;
    return child > 0 ? 0 : -1;
}

/* ---- the search ---- */

static void show(struct shrinker *s, size_t events) {
    double time = now();
    if (cli_quiet() || !isatty(STDERR_FILENO) || time - s->begun < 1 || time - s->shown < 0.2) { return; }
    s->shown = time;
    fprintf(stderr, "\r\033[K%zu events left, tries %zu; %" PRIu64 " runs in %.0f s", s->events, events, s->runs,
            time - s->begun);
    fflush(stderr);
}

static void hide(const struct shrinker *s) {
    if (s->shown > 0) { fputs("\r\033[K", stderr); }
}

static enum shrink_answer attempt(void *ctx, const struct shrink_trace *candidate) {
    struct shrinker *s = ctx;
    struct outcome outcome;
    if (cli_interrupted || (s->until > 0 && now() > s->until)) { return SHRINK_STOP; }
    show(s, candidate->events);
    if (replay_candidate(s, candidate, &outcome) || cli_interrupted) { return SHRINK_STOP; }
    if (strcmp(outcome.kind, s->kind) != 0) { return SHRINK_OTHER; }
    s->events = candidate->events;
    return SHRINK_FAILS;
}

static bool begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* How the trace fails, and at which event: what stands behind it is of no account. */
static int find_failure(struct shrinker *s, struct shrink_trace *trace, const char *name) {
    struct outcome outcome;
    double begun = now();
    if (replay_candidate(s, trace, &outcome)) { return cli_error("%s: cannot replay it in a child", name); }
    if (cli_interrupted) { return EXIT_INTERRUPTED; }
    if (outcome.exit == EXIT_OK) { return cli_error("%s: found a trace that passes, expected one that fails", name); }
    if (!*outcome.kind) {
        return cli_error("%s: found a trace that cannot be replayed, expected one that fails; see ntmmu check", name);
    }
    snprintf(s->kind, sizeof s->kind, "%s", outcome.kind);
    s->events = trace->events;
    double took = now() - begun;
    s->limit = took * PATIENCE > LEAST_SECONDS ? (unsigned)(took * PATIENCE) : LEAST_SECONDS;
    if (strcmp(outcome.kind, "no end") == 0) { s->limit = LEAST_SECONDS; }
    if (outcome.event < trace->events) { shrink_cut(trace, outcome.event + 1); }
    if (replay_candidate(s, trace, &outcome) == 0 && strcmp(outcome.kind, s->kind) == 0) { return EXIT_OK; }
    if (cli_interrupted) { return EXIT_INTERRUPTED; }
    return cli_error("%s: fails otherwise when it ends with the event that failed", name);
}

/* Without the events before it, others end in exceptions and failed services, which is not what is looked for: so
 * outcomes are not judged meanwhile. In the end the trace says which of them it expects. False: it cannot, or they are
 * too many. */
static bool settle_outcomes(struct shrinker *s, struct shrink_trace *trace) {
    s->config.checks &= ~(unsigned)CHECK_ANY_OUTCOME;
    for (unsigned n = 0; n < EXPECTATIONS; n++) {
        struct outcome outcome;
        if (replay_candidate(s, trace, &outcome) || cli_interrupted) { return false; }
        if (strcmp(outcome.kind, s->kind) == 0) { return true; }
        if (outcome.event >= trace->events) { return false; }
        if (begins(outcome.kind, "expect ")) {
            shrink_expect(trace, outcome.event, NULL);
        } else if (begins(outcome.kind, "outcome: the access ended in an exception")) {
            shrink_expect(trace, outcome.event, "expect exc=*");
        } else if (begins(outcome.kind, "outcome: the service failed")) {
            shrink_expect(trace, outcome.event, "expect status=*");
        } else {
            return false;
        }
    }
    return false;
}

static bool speaks_of_outcomes(const char *kind) {
    return begins(kind, "outcome:") || begins(kind, "expect ") || begins(kind, "stopped:") || begins(kind, "no end") ||
           begins(kind, "crash");
}

/* True: under the same checks, outcomes judged. */
static bool search(struct shrinker *s, struct shrink_trace *trace) {
    bool judged = s->config.checks & CHECK_ANY_OUTCOME || speaks_of_outcomes(s->kind);
    if (!judged) {
        struct outcome outcome;
        s->config.checks |= CHECK_ANY_OUTCOME;
        judged = replay_candidate(s, trace, &outcome) || strcmp(outcome.kind, s->kind) != 0;
        if (judged) { s->config.checks &= ~(unsigned)CHECK_ANY_OUTCOME; }
    }
    if (shrink_events(trace, attempt, s)) { shrink_values(trace, attempt, s); }
    return judged || settle_outcomes(s, trace);
}

/* ---- what is handed out ---- */

/* An event's expect lines stand behind it in the same text. */
static void write_lines(struct trace_writer *writer, char *text, bool is_event) {
    for (char *line = text; line; is_event = false) {
        char *end = strchr(line, '\n');
        if (end) { *end = '\0'; }
        trace_write_line(writer, line, is_event);
        if (end) { *end++ = '\n'; }
        line = end;
    }
}

static void describe(const struct shrinker *s, const char *name, char note[NOTE_MAX]) {
    snprintf(note, NOTE_MAX, "# ntmmu shrink %.400s: %s", name, s->kind);
}

static int write_out(const struct shrinker *s, const struct shrink_trace *trace, const char *name, const char *out) {
    char err[1024], note[NOTE_MAX];
    struct trace_writer *writer = trace_create(out, err, sizeof err);
    if (!writer) { return cli_error("%s", err); }
    describe(s, name, note);
    trace_write_line(writer, note, false);
    for (size_t i = 0; i < trace->heads; i++) { write_lines(writer, trace->head[i], false); }
    for (size_t i = 0; i < trace->events; i++) { write_lines(writer, trace->event[i], true); }
    return trace_finish(writer, err, sizeof err) ? cli_error("%s", err) : EXIT_OK;
}

/* The trace, its report, the commands. */
static void report(const struct shrink_options *o, const struct shrinker *s, const struct shrink_trace *trace,
                   bool judged) {
    struct replay_config config = s->config;
    config.options.trace = o->out;
    char *wave = cli_wave_command(&config.options);
    if (!cli_quiet()) {
        char note[NOTE_MAX];
        describe(s, o->check.replay.options.trace, note);
        shrink_write(trace, note, stdout);
        struct replay replay;
        fflush(stdout);
        bool ends = !begins(s->kind, "crash") && !begins(s->kind, "no end"); /* else in a child only */
        if (ends && replay_open(&replay, &config) == EXIT_OK) {
            replay_run(&replay);
            uint64_t event = event_of(check_report(replay.check), trace->events - 1);
            if (wave && !strstr(check_report(replay.check), "to see it: ")) {
                printf("to see it: %s --at access:%" PRIu64 "\n", wave, event);
            }
            replay_close(&replay);
        }
        printf("%s: %zu events fail like %s: %s; %" PRIu64 " runs in %.0f s\n", o->out, trace->events,
               o->check.replay.options.trace, s->kind, s->runs, now() - s->begun);
        if (!judged) { printf("what else the events come to is not judged: check it with --check all,no-expect\n"); }
    }
    free(wave);
}

static char *default_name(const char *trace) {
    size_t length = strlen(trace);
    static const char *const ends[] = {".vmt.zst", ".vmt"};
    for (unsigned i = 0; i < 2; i++) {
        size_t end = strlen(ends[i]);
        if (length > end && strcmp(trace + length - end, ends[i]) == 0) {
            length -= end;
            break;
        }
    }
    char *name;
    return asprintf(&name, "%.*s.min.vmt", (int)length, trace) < 0 ? NULL : name;
}

static int shrink(struct shrink_options *o, struct shrink_trace *trace) {
    char path[64];
    struct shrinker s = {.config = o->check.replay, .limit = 24 * 3600, .begun = now()};
    if (o->seconds) { s.until = s.begun + (double)o->seconds; }
    s.fd = memfd_create("ntmmu-shrink", MFD_CLOEXEC);
    if (s.fd < 0) { return cli_error("cannot have a file in memory: %s", strerror(errno)); }
    snprintf(path, sizeof path, "/proc/self/fd/%d", s.fd);
    s.config.options.trace = path;
    int rc = find_failure(&s, trace, o->check.replay.options.trace);
    if (rc == EXIT_OK) {
        bool judged = search(&s, trace);
        bool interrupted = cli_interrupted;
        hide(&s);
        cli_interrupted = 0;
        rc = write_out(&s, trace, o->check.replay.options.trace, o->out);
        if (rc == EXIT_OK) { report(o, &s, trace, judged); }
        if (interrupted && rc == EXIT_OK) {
            cli_error("interrupted: %s is the smallest so far, %zu events", o->out, trace->events);
            rc = EXIT_INTERRUPTED;
        }
    }
    close(s.fd);
    return rc;
}

int cmd_shrink(int argc, char **argv) {
    struct shrink_options o = {0};
    replay_defaults(&o.check);
    o.check.replay.checks = CHECK_ALL;
    o.check.replay.audit_interval = AUDIT_EVENTS;
    o.check.replay.second_mmu = "c";
    cli_parse(&argp, argc, argv, &o);
    const struct cli_machine_options *machine = &o.check.replay.options;
    if (o.check.json || o.check.replay.wave) {
        return cli_error("found --json or --wave, expected options of the checks");
    }
    if (strcmp(machine->trace, "-") == 0) {
        return cli_error("found standard input, expected a file: it is read many times");
    }
    if (o.out && strcmp(o.out, "-") == 0) {
        return cli_error("found standard output, expected a file: the trace is printed in any case");
    }
    char err[1024];
    struct mmu_preset preset;
    struct shrink_trace trace;
    if (shrink_load(&trace, machine->trace, err, sizeof err)) { return cli_error("%s", err); }
    if (cli_load_preset(&preset, machine->cpu, err, sizeof err) ||
        !cli_load_mmu(machine->mmu, &preset, machine->assertions, err, sizeof err)) { /* once for all children */
        shrink_free(&trace);
        return cli_error("%s", err);
    }
    cli_catch_interrupt();
    char *name = o.out ? strdup(o.out) : default_name(machine->trace);
    o.out = name;
    int rc = name ? shrink(&o, &trace) : cli_error("out of memory");
    free(name);
    shrink_free(&trace);
    return rc;
}
