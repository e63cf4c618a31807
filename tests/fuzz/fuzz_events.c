/* Any bytes as a stream of events, through a machine on the C MMU and all checks, one time in eight through two
 * machines that must agree. Whatever the events are, neither machines nor checks may do anything undefined; and if none
 * of them reaches for the kernel's memory, that is as it must be to the end.
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

static void print_config(const struct machine_config *config) {
    static const char *const profiles[] = {[OS_NT4] = "NT4", [OS_NT5] = "NT5", [OS_NT5PAE] = "NT5PAE"};
    const struct os_config *os = &config->os_config;
    if (config->os == &bare_os_ops) {
        puts("!vmt 1\n!boot bare");
        return;
    }
    printf("!vmt 1\n!boot CFG-A\n!profile %s\n!threads %s\n", profiles[os->profile],
           os->manual_threads ? "manual" : "auto");
    printf("!ram %x\n!popup %s\n!unhandled %s\n", (unsigned)os->ram_free, os->refuse_popups ? "refuse" : "accept",
           config->ends_unhandled ? "end" : "report");
    if (config->kernel_direct || os->reference_counting) {
        printf("#%s%s\n", config->kernel_direct ? " --kernel direct" : "",
               os->reference_counting ? " --counting reference" : "");
    }
    if (os->checked_build) { puts("!checked"); }
    if (os->pagefiles) { printf("!pagefile %x %x\n", (unsigned)os->pagefile[0].min, (unsigned)os->pagefile[0].max); }
    if (os->max_ws) { printf("!ws %u:%u\n", os->min_ws, os->max_ws); }
    if (config->disk.kind == DISK_FIXED) { printf("!disk fixed:%u\n", (unsigned)config->disk.fixed); }
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

static bool is_about_memory(const char *report) {
    static const char *const checks[] = {"shadow:", "staleness:", "audit "};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (strncmp(report, checks[i], strlen(checks[i])) == 0) { return true; }
    }
    return false;
}

/* Whether an event may write into the kernel's structures, or tells the kernel what it must believe: from there on such
 * a report is legitimate. */
static bool may_damage(const struct event *event) {
    switch (event->kind) {
    case EV_ACCESS: return event->access.mode != EVENT_USER && event->access.va + event->access.size > 0x7fff0000;
    case EV_RUN: return event->run.mode != EVENT_USER && event->run.vpn >= 0x7fff0;
    case EV_CALL: /* NtCreateProcess: shadow memory follows no handles */
        return strncmp(event->text, "Nt", 2) != 0 || strcmp(event->text, "NtCreateProcess") == 0;
    case EV_POKE:
    case EV_POKE_QUAD:
    case EV_POOL_FREE:
    case EV_COMMIT_REPLY: return true;
    default: return false;
    }
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
    bool damaged = bare;
    enum check_verdict verdict = CHECK_OK;
    for (unsigned i = 0; verdict == CHECK_OK && !check_stopped(check) && i < EVENTS_MAX; i++) {
        if (!events_next(bytes, &event)) { break; }
        if (printing) { print(&event); }
        damaged = damaged || may_damage(&event);
        verdict = check_event(check, &event);
        if (verdict == CHECK_OK) { verdict = expect_outcome(check); }
    }
    if (verdict == CHECK_OK) { verdict = check_finish(check); }
    if (printing) { fputs(check_report(check), stdout), fflush(stdout); }
    FUZZ_REQUIRE(!strstr(check_report(check), "differ"));
    FUZZ_REQUIRE(damaged || !is_about_memory(check_report(check)));
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
    if (getenv("NTMMU_FUZZ_PRINT")) { print_config(&config); }
    struct machine *m[2] = {machine(&config), bytes.lockstep ? machine(&config) : NULL};
    if (m[0]) { replay(m, &bytes); }
    if (m[0] && bytes.dump) { dump(m[0]); }
    for (unsigned k = 0; k < 2; k++) {
        if (m[k]) { machine_destroy(m[k]); }
    }
    return 0;
}
