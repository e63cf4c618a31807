/* Machines in threads of their own share nothing: each thread replays its trace, all at the same time, and must come to
 * what the same replay comes to alone, down to the last byte of physical memory. Built with -fsanitize=thread (make
 * tsan) it also finds what they only happen not to disturb.
 *
 * Usage: two_machines MMU TRACE TRACE… : one thread a trace; MMU as the option --mmu says. */
#include "cli/cli.h"
#include "ntmmu/check.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AUDIT_EVENTS 10000

struct replica {
    const char *mmu, *trace;
    char outcome[2048]; /* all that is compared */
    int rc;             /* 0, or 2: it could not run, outcome says why */
};

static uint64_t mix(uint64_t hash, const void *data, size_t size) { /* FNV-1a over 8 bytes at a time */
    for (size_t at = 0; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, (const char *)data + at, 8);
        hash = (hash ^ word) * 0x100000001B3u;
    }
    return hash;
}

static uint64_t counters_hash(struct machine *m);

static int cannot(struct replica *r, const char *err) {
    snprintf(r->outcome, sizeof r->outcome, "%s", err);
    return 2;
}

static struct machine *create(const char *mmu, struct machine_config *config, char *err, size_t err_size) {
    return cli_choose_mmu(mmu, config, false, err, err_size) ? machine_create(config, err, err_size) : NULL;
}

static enum check_verdict run(struct cli_trace *trace, struct check *check) {
    struct trace_item item;
    enum check_verdict verdict = CHECK_OK;
    while (verdict == CHECK_OK) {
        switch (cli_trace_next(trace, &item)) {
        case TRACE_EVENT: verdict = check_event(check, &item.event); break;
        case TRACE_EXPECT: verdict = check_expect(check, &item); break;
        case TRACE_EOF: return check_finish(check);
        case TRACE_ERROR: return CHECK_CANNOT;
        default: break;
        }
    }
    return verdict;
}

static void add_counter(void *ctx, const char *name, uint64_t value) {
    (void)name;
    uint64_t *hash = ctx;
    *hash = mix(*hash, &value, sizeof value);
}

static uint64_t counters_hash(struct machine *m) {
    uint64_t hash = mix(0, machine_counts(m), sizeof(struct machine_counts));
    machine_os_ops(m)->counters(machine_os(m), add_counter, &hash);
    return hash;
}

/* Both machines under all checks, as `ntmmu check` does it. */
static int replay(struct replica *r) {
    char err[1024] = "";
    struct cli_machine_options options;
    struct machine_config config;
    struct cli_trace trace;
    cli_machine_defaults(&options);
    options.trace = r->trace;
    if (cli_trace_open(&trace, &options, &config, err, sizeof err)) { return cannot(r, err); }
    struct machine *m[2] = {create(r->mmu, &config, err, sizeof err), NULL};
    if (m[0]) { m[1] = create("c", &config, err, sizeof err); }
    struct check_config checks = {.machine = {m[0], m[1]},
                                  .flags = CHECK_ALL,
                                  .trace = r->trace,
                                  .audit_interval = AUDIT_EVENTS,
                                  .closed = trace.closed};
    struct check *check = m[1] ? check_create(&checks, err, sizeof err) : NULL;
    int rc = check ? 0 : cannot(r, err);
    if (check) {
        enum check_verdict verdict = run(&trace, check);
        size_t length = 0;
        for (unsigned k = 0; k < 2; k++) {
            const struct physmem *memory = machine_memory(m[k]);
            length += (size_t)snprintf(r->outcome + length, sizeof r->outcome - length,
                                       "  machine %u: %" PRIu64 " events, %" PRIu64 " cycles, counters %016" PRIx64
                                       ", memory %016" PRIx64 "\n",
                                       k, machine_counts(m[k])->events, machine_cycles(m[k]), counters_hash(m[k]),
                                       mix(0, memory->bytes, memory->size));
        }
        snprintf(r->outcome + length, sizeof r->outcome - length, "  verdict %d\n%s", verdict, check_report(check));
        rc = verdict == CHECK_OK ? 0 : 2; /* traces that pass are wanted */
        check_destroy(check);
    }
    machine_destroy(m[0]);
    machine_destroy(m[1]);
    cli_trace_close(&trace);
    return rc;
}

static void *thread(void *arg) {
    struct replica *r = arg;
    r->rc = replay(r);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "two_machines: found %d words, expected MMU TRACE TRACE…\n", argc - 1);
        return 2;
    }
    int count = argc - 2, rc = 0;
    struct replica *together = calloc((size_t)count, sizeof *together);
    pthread_t *threads = calloc((size_t)count, sizeof *threads);
    if (!together || !threads) {
        fputs("two_machines: out of memory\n", stderr);
        return 2;
    }
    for (int i = 0; i < count; i++) {
        together[i] = (struct replica){.mmu = argv[1], .trace = argv[2 + i]};
        if (pthread_create(&threads[i], NULL, thread, &together[i])) {
            fputs("two_machines: no thread can be created\n", stderr);
            return 2;
        }
    }
    for (int i = 0; i < count; i++) { pthread_join(threads[i], NULL); }
    for (int i = 0; i < count && rc == 0; i++) {
        struct replica alone = {.mmu = argv[1], .trace = argv[2 + i]};
        thread(&alone);
        if (alone.rc) {
            fprintf(stderr, "two_machines: %s cannot be replayed\n%s", alone.trace, alone.outcome);
            rc = 2;
        } else if (strcmp(alone.outcome, together[i].outcome) != 0) {
            printf("%s: alone\n%s  beside the others\n%s", alone.trace, alone.outcome, together[i].outcome);
            rc = 1;
        }
    }
    free(threads);
    free(together);
    return rc;
}
