/* The loop of run, check and wave: events into one machine or two, under the checks, with progress and Ctrl-C. */
#ifndef NTMMU_REPLAY_H
#define NTMMU_REPLAY_H

#include "cli.h"
#include "ntmmu/architecture.h"
#include "ntmmu/check.h"
#include "ntmmu/report.h"

/* When to dump a waveform. ACCESS and FAULT count from the trace: an event's index, the N-th #PF of trace accesses. */
enum wave_what { WAVE_NOTHING, WAVE_ALL, WAVE_ACCESS, WAVE_FAULT, WAVE_CYCLES };
struct wave_window {
    enum wave_what what;
    uint64_t first, last; /* the number in both, or cycles [first, last) */
    uint64_t margin;      /* events to show before and behind */
};
/* "access:N", "fault:N", "cycle:A-B". 0, or -1. */
int wave_window_parse(const char *text, struct wave_window *out);
#define WAVE_EXPECTED "access:N, fault:N or cycle:A-B"

/* Other hardware than the machine's own, whose clock follows. */
struct replay_board {
    struct machine_board board;
    /* After each event, and once after the last; on the replay's own stack, so that it may wait. */
    void (*event_done)(void *ctx, const struct machine *m);
};

struct replay_config {
    struct cli_machine_options options;
    const struct replay_board *board; /* of the first machine, NULL: its own hardware */
    const char *second_mmu;           /* of the second machine, NULL for one machine */
    unsigned checks;                  /* CHECK_* */
    uint64_t audit_interval;
    const char *wave; /* FST file, NULL for none */
    struct wave_window window;
    bool stop_after_window; /* nothing behind it matters */
    bool json_on_stdout;    /* and nothing else */
};

struct replay {
    struct replay_config config;
    struct machine_config machine_config;
    struct cli_trace trace;
    struct machine *machine[2];
    struct architecture *architecture; /* before the first machine's MMU, with CHECK_ARCHITECTURE */
    struct counting *counting;
    struct check *check;
    char *wave_command;
    uint64_t events;
    uint64_t window_event;    /* the event the window is about, once known */
    uint64_t window_cycle[2]; /* cycles of the first machine around that event */
    bool window_known, window_open, window_done;
    bool wave_begun; /* the FST file is ours */
    bool wave_lost;  /* and could not be written */
    bool stopped;    /* the machine stopped, by a bugcheck or because it cannot go on */
    double seconds;
};

/* Opens everything. 0, or the exit code after a message. */
int replay_open(struct replay *replay, const struct replay_config *config);
/* To the end of the trace. EXIT_OK, or the exit code after a message (a failed check: its report on stdout). */
int replay_run(struct replay *replay);
/* After replay_run: was there anything to dump? EXIT_OK, or EXIT_CANNOT after a message, the empty waveform removed. */
int replay_window_reached(const struct replay *replay);
void replay_close(struct replay *replay);

#endif
