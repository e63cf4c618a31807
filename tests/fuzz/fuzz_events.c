/* Any bytes as a stream of events, through a machine on the C MMU and all checks, one time in eight through two
 * machines that must agree. Whatever the events are, neither machines nor checks may do anything undefined.
 *
 * With NTMMU_FUZZ_PRINT in the environment the events go to standard output, in the language of traces. */
#include "events.h"
#include "fuzz.h"

#include "ntmmu/check.h"
#include "ntmmu/dump.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 400

static struct machine *machine(const struct machine_config *config) {
    char err[512];
    return machine_create(config, err, sizeof err); /* NULL: a configuration that makes no sense */
}

static void print(const struct event *event) {
    char line[4096];
    event_format(event, line, sizeof line);
    puts(line);
    fflush(stdout);
}

/* An event may end as it likes: it is said to be expected. */
static enum check_verdict expect_outcome(struct check *check) {
    const struct machine_result *r = check_result(check);
    const char *words[5];
    struct trace_item item = {.kind = TRACE_EXPECT, .words = words};
    if (r->stop == MACHINE_PANIC) { words[item.word_count++] = "assert=*"; }
    if (r->stop == MACHINE_BUGCHECK) { words[item.word_count++] = "bugcheck=*"; }
    if (r->exception) { words[item.word_count++] = "exc=*"; }
    if (r->late_failures) { words[item.word_count++] = "late=*"; }
    if (r->status_count == 0 && r->service_status) { words[item.word_count++] = "status=*"; }
    return item.word_count ? check_expect(check, &item) : CHECK_OK;
}

static void replay(struct machine *m[2], struct bytes *bytes) {
    char err[512];
    bool bare = machine_os_ops(m[0]) == &bare_os_ops; /* shadow memory and the audit know processes */
    unsigned without = (m[1] ? 0 : CHECK_LOCKSTEP) | (bare ? CHECK_SHADOW | CHECK_AUDIT : 0);
    struct check_config config = {.machine = {m[0], m[1]},
                                  .flags = CHECK_ALL & ~without,
                                  .audit_interval =
                                      bytes->audit_often ? 8 : 0, /* anyway at the end, and the end may be anywhere */
                                  .trace = "fuzz"};
    struct check *check = check_create(&config, err, sizeof err);
    FUZZ_REQUIRE(check);
    const bool printing = getenv("NTMMU_FUZZ_PRINT");
    struct event event = {0};
    enum check_verdict verdict = CHECK_OK;
    for (unsigned i = 0; verdict == CHECK_OK && !check_stopped(check) && i < EVENTS_MAX; i++) {
        if (!events_next(bytes, &event)) { break; }
        if (printing) { print(&event); }
        verdict = check_event(check, &event);
        if (verdict == CHECK_OK) { verdict = expect_outcome(check); }
    }
    if (verdict == CHECK_OK) { verdict = check_finish(check); }
    if (printing) { fputs(check_report(check), stdout); }
    FUZZ_REQUIRE(!strstr(check_report(check), "differ"));
    check_destroy(check);
}

/* Whatever memory holds, each command says something of it, or why it cannot. */
static void dump(struct machine *m) {
    static const char *const commands[] = {"!pte 410000", "!pte e1000008 1", "!pfn 404",   "!vm",       "!vad 1",
                                           "!wsle 1",     "!sysptes",        "!process 1", "!memusage", "!poolused"};
    static FILE *nowhere;
    if (!nowhere) { nowhere = fopen("/dev/null", "w"); }
    FUZZ_REQUIRE(nowhere);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char err[512] = "";
        json_t *json;
        if (dump_command(m, commands[i], nowhere, &json, err, sizeof err) == 0) {
            json_decref(json);
        } else {
            FUZZ_REQUIRE(*err);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct mmu_preset preset;
    char err[512];
    if (!*preset.name) {
        fuzz_directory(); /* paging files */
        FUZZ_REQUIRE(preset_load(&preset, "rtl/presets", "ref64", err, sizeof err) == 0);
    }
    struct bytes bytes = {.at = data, .end = data + size};
    struct machine_config config = {.mmu = &mmu_c_ops, .preset = preset};
    events_config(&bytes, &config);
    struct machine *m[2] = {machine(&config), bytes.lockstep ? machine(&config) : NULL};
    if (m[0]) { replay(m, &bytes); }
    if (m[0] && bytes.dump) { dump(m[0]); }
    for (unsigned k = 0; k < 2; k++) {
        if (m[k]) { machine_destroy(m[k]); }
    }
    return 0;
}
