/* The loop of run, check and wave. */
#include "replay.h"
#include "wave_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PROGRESS_EVENTS 4096 /* events between two looks at the clock */

/* ---- waveform windows ---- */

static int parse_range(const char *text, uint64_t *first, uint64_t *last) {
    char word[32];
    const char *dash = strchr(text, '-');
    if (!dash || (size_t)(dash - text) >= sizeof word) { return -1; }
    memcpy(word, text, (size_t)(dash - text));
    word[dash - text] = '\0';
    return cli_parse_number(word, first) || cli_parse_number(dash + 1, last) || *first >= *last ? -1 : 0;
}

int wave_window_parse(const char *text, struct wave_window *out) {
    if (strncmp(text, "cycle:", 6) == 0) {
        out->what = WAVE_CYCLES;
        return parse_range(text + 6, &out->first, &out->last);
    }
    if (strncmp(text, "access:", 7) == 0) {
        out->what = WAVE_ACCESS;
    } else if (strncmp(text, "fault:", 6) == 0) {
        out->what = WAVE_FAULT;
    } else {
        return -1;
    }
    if (cli_parse_number(strchr(text, ':') + 1, &out->first)) { return -1; }
    out->last = out->first;
    return out->what == WAVE_FAULT && out->first == 0 ? -1 : 0;
}

static int set_wave(struct replay *r, const char *path, uint64_t from, uint64_t to) {
    const struct machine *m = r->machine[0];
    if (machine_mmu_ops(m)->wave(machine_mmu(r->machine[0]), path, from, to) == 0) { return EXIT_OK; }
    bool own = cli_is_mmu_object(r->config.options.mmu);
    return cli_error("%s: cannot write a waveform there%s", r->config.wave, own ? ", or this MMU writes none" : "");
}

static uint64_t cycles(const struct replay *r) {
    return machine_mmu_ops(r->machine[0])->cycles(machine_mmu(r->machine[0]));
}

/* The FST writer takes away what is there, be it a device. */
static int open_window(struct replay *r, uint64_t from, uint64_t to) {
    struct stat status;
    if (stat(r->config.wave, &status) == 0 && !S_ISREG(status.st_mode)) {
        return cli_error("%s: found no regular file, expected one for the waveform", r->config.wave);
    }
    wave_file_guard(r->config.wave);
    int rc = set_wave(r, r->config.wave, from, to);
    r->window_open = r->wave_begun = rc == EXIT_OK;
    return rc;
}

static void close_window(struct replay *r) {
    if (!r->window_open) { return; }
    r->window_open = false;
    machine_mmu_ops(r->machine[0])->wave(machine_mmu(r->machine[0]), NULL, 0, 0);
    if (wave_file_is_whole(r->config.wave)) { return; }
    unlink(r->config.wave);
    r->wave_lost = true;
    cli_error("%s: cannot write the waveform: the disk is full", r->config.wave);
}

/* Which event is the N-th fault? The C MMU faults where the RTL does, and many times faster. */
static int find_fault(struct replay *r) {
    struct replay_config config = r->config;
    if (strcmp(config.options.trace, "-") == 0) {
        return cli_error("fault:N: found standard input, expected a file: the trace is read twice");
    }
    config.options.mmu = "c";
    config.wave = NULL;
    config.second_mmu = NULL;
    config.board = NULL;
    config.checks = 0;
    struct replay scout;
    int rc = replay_open(&scout, &config);
    struct trace_item item;
    enum trace_item_kind kind = TRACE_EOF;
    while (rc == EXIT_OK && !r->window_known && !cli_interrupted) {
        kind = cli_trace_next(&scout.trace, &item);
        if (kind == TRACE_EOF || kind == TRACE_ERROR) { break; }
        if (kind != TRACE_EVENT) { continue; }
        const struct machine_result *result = machine_step(scout.machine[0], &item.event);
        if (result->stop == MACHINE_PANIC) {
            rc = cli_error("%s:%" PRIu64 ": %s", config.options.trace, item.event.line, result->message);
            break;
        }
        if (machine_counts(scout.machine[0])->page_faults >= config.window.first) {
            r->window_event = item.event.index;
            r->window_known = true;
        }
    }
    if (rc == EXIT_OK && kind == TRACE_ERROR && !cli_interrupted) {
        rc = cli_error("%s", trace_error(scout.trace.reader));
    }
    if (rc == EXIT_OK && !r->window_known && !cli_interrupted) {
        uint64_t found = machine_counts(scout.machine[0])->page_faults;
        machine_finish(scout.machine[0]);
        bool late = machine_counts(scout.machine[0])->page_faults >= config.window.first;
        rc = cli_error("%s: found %" PRIu64 " page faults, expected at least %" PRIu64 "%s", config.options.trace,
                       found, config.window.first,
                       late ? ": it comes behind the last event, when threads that waited go on" : "");
    }
    if (rc == EXIT_OK || scout.machine[0]) { replay_close(&scout); }
    return rc;
}

/* Before the first event. */
static int prepare_window(struct replay *r) {
    if (!r->config.wave) { return EXIT_OK; }
    switch (r->config.window.what) {
    case WAVE_ALL: return open_window(r, 0, UINT64_MAX);
    case WAVE_CYCLES: return open_window(r, r->config.window.first, r->config.window.last);
    case WAVE_ACCESS:
        r->window_event = r->config.window.first;
        r->window_known = true;
        return EXIT_OK;
    case WAVE_FAULT: return find_fault(r);
    default: return EXIT_OK;
    }
}

/* Before and after each event, while there is a window to come. */
static int window_before(struct replay *r, uint64_t index) {
    if (!r->window_known || r->window_done) { return EXIT_OK; }
    if (index == r->window_event) { r->window_cycle[0] = cycles(r); }
    bool near = index >= r->window_event || r->window_event - index <= r->config.window.margin;
    if (!r->window_open && near) { return open_window(r, cycles(r), UINT64_MAX); }
    return EXIT_OK;
}

static void window_after(struct replay *r, uint64_t index) {
    if (r->window_done) { return; }
    if (r->config.window.what == WAVE_CYCLES) { r->window_done = cycles(r) >= r->config.window.last; }
    if (!r->window_known) { return; }
    if (index == r->window_event) { r->window_cycle[1] = cycles(r); }
    if (index >= r->window_event && index - r->window_event >= r->config.window.margin) {
        close_window(r);
        r->window_done = true;
    }
}

int replay_window_reached(const struct replay *r) {
    const struct wave_window *window = &r->config.window;
    const char *unit = NULL;
    uint64_t found = 0, needed = 0;
    if (window->what == WAVE_CYCLES && cycles(r) <= window->first) {
        unit = "cycles", found = cycles(r), needed = window->first;
    } else if (r->window_known && r->events <= r->window_event) {
        unit = "events", found = r->events, needed = r->window_event;
    }
    if (!unit) { return EXIT_OK; }
    if (r->wave_begun) { unlink(r->config.wave); }
    return cli_error("%s: found %" PRIu64 " %s, expected more than %" PRIu64, r->config.options.trace, found, unit,
                     needed);
}

/* ---- opening and closing ---- */

/* The kernel did not boot: is it the MMU's doing? */
static bool is_illegal(const struct replay *r) { return r->architecture && *architecture_report(r->architecture); }

/* judged: behind the architecture's oracle. */
static struct machine *create_machine(struct replay *r, const char *mmu, const struct replay_board *board,
                                      bool judged) {
    char err[1024];
    struct machine_config *config = &r->machine_config;
    config->board = board ? &board->board : NULL;
    /* only the RTL build with assertions can write waveforms */
    bool assertions = (config->mmu_assertions || r->config.wave) && strcmp(mmu, "rtl") == 0;
    struct machine *m = NULL;
    if (!cli_choose_mmu(mmu, config, assertions, err, sizeof err)) {
        cli_error("%s", err);
        return NULL;
    }
    if (judged) {
        r->architecture = architecture_create(config->mmu);
        architecture_place(r->architecture, config);
    }
    m = machine_create(config, err, sizeof err);
    if (!m && !is_illegal(r)) { cli_error("%s: %s", r->config.options.trace, err); }
    return m;
}

static int open_checks(struct replay *r) {
    char err[512];
    r->counting = counting_create(r->machine[0]);
    if (!r->counting) { return cli_error("out of memory"); }
    r->wave_command = cli_wave_command(&r->config.options);
    struct check_config config = {
        .machine = {r->machine[0], r->machine[1]},
        .flags = r->config.checks,
        .trace = r->config.options.trace,
        .wave_command = r->wave_command,
        .audit_interval = r->config.audit_interval,
        .closed = r->trace.closed,
    };
    r->check = check_create(&config, err, sizeof err);
    return r->check ? EXIT_OK : cli_error("%s", err);
}

/* Shadow memory and the audit know processes. What is stale in a bare program only the architecture's oracle can say.
 */
static void settle_checks(struct replay *r) {
    if (r->machine_config.os != &bare_os_ops) { return; }
    unsigned *checks = &r->config.checks;
    if (*checks & CHECK_STALENESS) { *checks |= CHECK_ARCHITECTURE; }
    *checks &= ~(unsigned)(CHECK_SHADOW | CHECK_STALENESS | CHECK_AUDIT);
}

int replay_open(struct replay *r, const struct replay_config *config) {
    char err[1024];
    memset(r, 0, sizeof *r);
    r->config = *config;
    if (cli_trace_open(&r->trace, &config->options, &r->machine_config, err, sizeof err)) {
        if (!cli_interrupted) { return cli_error("%s", err); }
        cli_error("interrupted before the first event");
        return EXIT_INTERRUPTED;
    }
    settle_checks(r);
    bool judged = r->config.checks & CHECK_ARCHITECTURE;
    r->machine[0] = create_machine(r, config->options.mmu, config->board, judged && !config->second_mmu);
    if (r->machine[0] && config->second_mmu) { r->machine[1] = create_machine(r, config->second_mmu, NULL, judged); }
    bool machines = r->machine[0] && (!config->second_mmu || r->machine[1]);
    int rc = machines ? open_checks(r) : EXIT_CANNOT;
    if (!machines && is_illegal(r)) {
        printf("architecture: while booting\n%s", architecture_report(r->architecture));
        rc = EXIT_FAILED;
    }
    if (rc == EXIT_OK) { rc = prepare_window(r); }
    if (rc != EXIT_OK) { replay_close(r); }
    return rc;
}

void replay_close(struct replay *r) {
    if (r->machine[0]) { close_window(r); }
    if (r->check) { check_destroy(r->check); }
    counting_destroy(r->counting);
    for (unsigned i = 0; i < 2; i++) { machine_destroy(r->machine[i]); }
    architecture_destroy(r->architecture);
    r->architecture = NULL;
    cli_trace_close(&r->trace);
    free(r->wave_command);
    r->wave_command = NULL;
    r->check = NULL;
    r->counting = NULL;
    r->machine[0] = r->machine[1] = NULL;
}

/* ---- the loop ---- */

static int verdict_exit(struct replay *r, enum check_verdict verdict) {
    if (verdict == CHECK_OK) { return EXIT_OK; }
    cli_progress_end();
    if (verdict == CHECK_FAILED) {
        fputs(check_report(r->check), r->config.json_on_stdout ? stderr : stdout);
        return EXIT_FAILED;
    }
    fprintf(stderr, "ntmmu: %s", check_report(r->check));
    return EXIT_CANNOT;
}

static void pass_time(struct replay *r) {
    const struct replay_board *board = r->config.board;
    if (board) { board->event_done(board->board.ctx, r->machine[0]); }
}

static int one_event(struct replay *r, const struct event *event) {
    int rc = r->config.wave ? window_before(r, event->index) : EXIT_OK;
    if (rc != EXIT_OK) { return rc; }
    counting_event(r->counting, event);
    enum check_verdict verdict = check_event(r->check, event);
    r->events++;
    bool shown = r->config.wave && r->config.window.what == WAVE_ACCESS && event->index == r->window_event;
    if (shown && check_result(r->check) && check_result(r->check)->blocked) {
        fprintf(stderr, "ntmmu: event %" PRIu64 " waits, or is held back, and goes on during a later one\n",
                event->index);
    }
    if (r->config.wave) { window_after(r, event->index); }
    pass_time(r);
    if (r->events % PROGRESS_EVENTS == 0) {
        cli_progress(trace_progress(r->trace.reader), r->events, machine_counts(r->machine[0])->accesses);
    }
    return verdict_exit(r, verdict);
}

static int interrupted(struct replay *r) {
    close_window(r);
    cli_error("interrupted after %" PRIu64 " events, %" PRIu64 " cycles", r->events, machine_cycles(r->machine[0]));
    return EXIT_INTERRUPTED;
}

static int loop(struct replay *r) {
    struct trace_item item;
    for (;;) {
        if (cli_interrupted) { return interrupted(r); }
        if (r->window_done && r->config.stop_after_window) { return EXIT_OK; }
        int rc = EXIT_OK;
        switch (cli_trace_next(&r->trace, &item)) {
        case TRACE_EVENT: rc = one_event(r, &item.event); break;
        case TRACE_EXPECT: rc = verdict_exit(r, check_expect(r->check, &item)); break;
        case TRACE_ERROR:
            if (cli_interrupted) { break; } /* while it waited for a pipe */
            return cli_error("%s", trace_error(r->trace.reader));
        case TRACE_EOF: return verdict_exit(r, check_finish(r->check));
        default: break;
        }
        if (rc != EXIT_OK) { return rc; }
    }
}

int replay_run(struct replay *r) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    int rc = loop(r);
    pass_time(r); /* of events that had been held back to the end */
    clock_gettime(CLOCK_MONOTONIC, &to);
    r->seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
    r->stopped = check_stopped(r->check);
    close_window(r);
    cli_progress_end();
    return r->wave_lost && rc != EXIT_INTERRUPTED ? EXIT_CANNOT : rc;
}
