/* A trace's directives and the command line make the machine's configuration. */
#include "cli.h"

#include "ntmmu/nt_exports.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CAPTURED_PAGEFILE ((uint64_t)1 << 30) /* the commit limit of a trace that says nothing about paging files */

#define SETTINGS_MAX  20
#define BARE_RAM_UNIT ((uint64_t)4 << 20) /* traces/FORMAT.md */

struct directives {
    uint64_t line[SETTINGS_MAX]; /* 0: not there */
    enum os_profile boot_profile, profile;
    bool no_pagefile;
};

struct setting {
    const char *name;
    unsigned min_words, max_words; /* values behind the name */
    const char *expected;
    /* 0, or -1 if a value is not what `expected` says; NULL: the first value must be `expected` itself */
    int (*apply)(struct machine_config *config, struct directives *seen, const struct trace_item *item);
    unsigned flags;
};

enum { ONCE = 0, MANY = 1, OF_SYSTEM = 2 }; /* OF_SYSTEM: a bare program has no use for it */

/* Sizes and frames in a trace are hexadecimal; a K, M or G behind a size makes it decimal. */
static int parse_hex(const char *text, uint64_t *out) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 16);
    return errno || end == text || *end || *text == '-' || *text == '+' ? -1 : 0;
}

static int parse_trace_size(const char *text, uint64_t *out) {
    size_t length = strlen(text);
    bool suffixed = length > 1 && strchr("KMGkmg", text[length - 1]);
    return suffixed ? cli_parse_size(text, out) : parse_hex(text, out);
}

static int apply_boot(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    if (strcmp(item->words[1], "bare") == 0) {
        config->os = &bare_os_ops;
        return 0;
    }
    static const struct {
        const char *name;
        enum os_boot boot;
        enum os_profile profile;
    } table[] = {
        {"CFG-A", OS_CFG_A, OS_NT4},         {"CFG-B", OS_CFG_B, OS_NT4},         {"CFG-COL", OS_CFG_COL, OS_NT4},
        {"CFG-NOPGE", OS_CFG_NOPGE, OS_NT4}, {"CFG-S", OS_CFG_S, OS_NT4},         {"CFG-N5", OS_CFG_A, OS_NT5},
        {"CFG-P", OS_CFG_A, OS_NT5PAE},      {"CFG-NOPSE", OS_CFG_NOPSE, OS_NT4},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcasecmp(item->words[1], table[i].name) == 0 || strcasecmp(item->words[1], table[i].name + 4) == 0) {
            config->os_config.boot = table[i].boot;
            seen->boot_profile = table[i].profile;
            return 0;
        }
    }
    return -1;
}

int cli_parse_profile(const char *word, enum os_profile *out) {
    static const char *const names[] = {[OS_NT4] = "NT4", [OS_NT5] = "NT5", [OS_NT5PAE] = "NT5PAE"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcasecmp(word, names[i]) == 0) {
            *out = (enum os_profile)i;
            return 0;
        }
    }
    return -1;
}

static int apply_profile(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)config;
    return cli_parse_profile(item->words[1], &seen->profile);
}

static int apply_threads(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    config->os_config.manual_threads = strcmp(item->words[1], "manual") == 0;
    return config->os_config.manual_threads || strcmp(item->words[1], "auto") == 0 ? 0 : -1;
}

static int apply_popup(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    config->os_config.refuse_popups = strcmp(item->words[1], "refuse") == 0;
    return config->os_config.refuse_popups || strcmp(item->words[1], "accept") == 0 ? 0 : -1;
}

static int apply_unhandled(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    config->ends_unhandled = strcmp(item->words[1], "end") == 0;
    return config->ends_unhandled || strcmp(item->words[1], "report") == 0 ? 0 : -1;
}

static int apply_ram(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    return parse_trace_size(item->words[1], &config->os_config.ram_free) || config->os_config.ram_free == 0 ? -1 : 0;
}

static int apply_pagefile(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    struct os_config *os = &config->os_config;
    struct os_pagefile file;
    if (parse_trace_size(item->words[1], &file.min)) { return -1; }
    file.max = file.min;
    if (item->word_count > 2 && parse_trace_size(item->words[2], &file.max)) { return -1; }
    if (file.max < file.min || (file.min == 0 && item->word_count > 2)) { return -1; }
    if (seen->no_pagefile || (file.min == 0 && os->pagefiles)) { return -1; }
    if (file.min == 0) {
        seen->no_pagefile = true;
        return 0;
    }
    if (os->pagefiles == OS_PAGING_FILES_MAX) { return -1; }
    os->pagefile[os->pagefiles++] = file;
    return 0;
}

static int apply_disk(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    return cli_parse_disk(item->words[1], &config->disk);
}

static int apply_inject(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    if (config->injections == MACHINE_INJECTIONS_MAX) { return -1; }
    return cli_parse_inject(item->words[1], &config->injection[config->injections++]);
}

static int apply_maxmem(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    uint64_t frame;
    if (parse_hex(item->words[1], &frame) || frame == 0 || frame > 0xFFFFF) { return -1; }
    config->os_config.max_page = (uint32_t)frame;
    return 0;
}

static int apply_bad(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    char text[32];
    snprintf(text, sizeof text, "%s", item->words[1]);
    char *dash = strchr(text, '-');
    if (dash) { *dash = '\0'; }
    uint64_t first, last;
    if (parse_hex(text, &first) || parse_hex(dash ? dash + 1 : text, &last)) { return -1; }
    if (first == 0 || first > last || last > 0xFFFFF) { return -1; }
    config->os_config.bad_first = (uint32_t)first;
    config->os_config.bad_last = (uint32_t)last;
    return 0;
}

static int apply_ws(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    return cli_parse_ws(item->words[1], &config->os_config.min_ws, &config->os_config.max_ws);
}

static int apply_checked(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    (void)item;
    config->os_config.checked_build = true;
    return 0;
}

static int apply_closed(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    (void)config; /* it is for the checks */
    (void)item;
    return 0;
}

static int apply_va(struct machine_config *config, struct directives *seen, const struct trace_item *item) {
    (void)seen;
    (void)config;
    uint64_t low, high;
    bool good = strcmp(item->words[1], "32") == 0 && parse_hex(item->words[2], &low) == 0;
    return good && parse_hex(item->words[3], &high) == 0 && low < high && high <= (uint64_t)1 << 32 ? 0 : -1;
}

static const struct setting settings[] = {
    {"boot", 1, 1, "CFG-A, CFG-B, CFG-COL, CFG-NOPGE, CFG-NOPSE, CFG-S, CFG-N5, CFG-P or bare", apply_boot, ONCE},
    {"ram", 1, 1, "a size above 0", apply_ram, ONCE},
    {"profile", 1, 1, "NT4, NT5 or NT5PAE", apply_profile, OF_SYSTEM},
    {"checked", 0, 0, "nothing behind it", apply_checked, OF_SYSTEM},
    {"threads", 1, 1, "manual or auto", apply_threads, OF_SYSTEM},
    {"popup", 1, 1, "accept or refuse", apply_popup, OF_SYSTEM},
    {"unhandled", 1, 1, "end or report", apply_unhandled, OF_SYSTEM},
    {"pagefile", 1, 2, "a size, or SIZE MAX, at most 16 times, or 0 once", apply_pagefile, OF_SYSTEM | MANY},
    {"disk", 1, 1, DISK_EXPECTED, apply_disk, OF_SYSTEM},
    {"inject", 1, 1, INJECT_EXPECTED, apply_inject, OF_SYSTEM | MANY},
    {"maxmem", 1, 1, "a frame number", apply_maxmem, OF_SYSTEM},
    {"bad", 1, 1, "FIRST-LAST, two frame numbers", apply_bad, OF_SYSTEM},
    {"ws", 1, 1, "MIN:MAX in pages, MIN not above MAX", apply_ws, OF_SYSTEM},
    {"closed", 0, 0, "nothing behind it", apply_closed, OF_SYSTEM},
    {"page", 1, 1, "4096", NULL, ONCE},
    {"gran", 1, 1, "65536", NULL, ONCE},
    {"va", 3, 3, "32 LOW HIGH", apply_va, ONCE},
};
#define SETTINGS (sizeof settings / sizeof *settings)
_Static_assert(SETTINGS <= SETTINGS_MAX, "each has its line in struct directives");

static size_t find_setting(const char *name) {
    size_t i = 0;
    while (i < SETTINGS && strcmp(name, settings[i].name) != 0) { i++; }
    return i;
}

static bool has_setting(const struct directives *seen, const char *name) { return seen->line[find_setting(name)] != 0; }

static void join_values(const struct trace_item *item, char *out, size_t size) {
    size_t length = 0;
    for (unsigned i = 1; i < item->word_count && length < size; i++) {
        length += (size_t)snprintf(out + length, size - length, "%s%s", i > 1 ? " " : "'", item->words[i]);
    }
    if (length < size) { snprintf(out + length, size - length, length ? "'" : "nothing"); }
}

static int refuse(const char *file, uint64_t line, const char *name, const char *found, const char *expected, char *err,
                  size_t err_size) {
    snprintf(err, err_size, "%s:%" PRIu64 ": !%s: found %s, expected %s", file, line, name, found, expected);
    return -1;
}

static int apply(const struct trace_item *item, const char *file, struct machine_config *config,
                 struct directives *seen, char *err, size_t err_size) {
    size_t which = find_setting(item->words[0]);
    if (which == SETTINGS) { return 0; } /* says where the trace comes from, or how it was folded */
    const struct setting *setting = &settings[which];
    unsigned values = item->word_count - 1;
    char found[256];
    if (seen->line[which] && !(setting->flags & MANY)) {
        snprintf(found, sizeof found, "it again after line %" PRIu64, seen->line[which]);
        return refuse(file, item->line, setting->name, found, "it once", err, err_size);
    }
    seen->line[which] = item->line;
    bool counted = values >= setting->min_words && values <= setting->max_words;
    if (counted &&
        (setting->apply ? setting->apply(config, seen, item) == 0 : strcmp(item->words[1], setting->expected) == 0)) {
        return 0;
    }
    join_values(item, found, sizeof found);
    return refuse(file, item->line, setting->name, found, setting->expected, err, err_size);
}

static int read_directives(struct cli_trace *trace, const char *file, struct machine_config *config,
                           struct directives *seen, char *err, size_t err_size) {
    for (;;) {
        enum trace_item_kind kind = trace_next(trace->reader, &trace->held);
        if (kind == TRACE_ERROR) {
            snprintf(err, err_size, "%s", trace_error(trace->reader));
            return -1;
        }
        if (kind != TRACE_DIRECTIVE) {
            trace->holding = true;
            return 0;
        }
        if (apply(&trace->held, file, config, seen, err, err_size)) { return -1; }
    }
}

/* What only an operating system can use. */
static int refuse_for_bare(const struct directives *seen, const struct cli_machine_options *options, const char *file,
                           char *err, size_t err_size) {
    for (size_t i = 0; i < SETTINGS; i++) {
        if (seen->line[i] && (settings[i].flags & OF_SYSTEM)) {
            return refuse(file, seen->line[i], settings[i].name, "it in a bare program",
                          "it with an operating system only", err, err_size);
        }
    }
    const struct {
        const char *name;
        bool found;
    } given[] = {
        {"profile", options->profile_word != NULL},
        {"pagefile", options->pagefiles > 0},
        {"disk", options->disk_word != NULL},
        {"inject", options->injections > 0},
        {"ws", options->max_ws > 0},
        {"kernel", options->kernel_direct},
        {"counting", options->reference_counting},
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i].found) { continue; }
        snprintf(err, err_size, "--%s: found it for %s, a bare program, expected it with an operating system only",
                 given[i].name, file);
        return -1;
    }
    return 0;
}

/* The command line comes last: it overrules the trace. */
static void apply_options(const struct cli_machine_options *options, const struct directives *seen,
                          struct machine_config *config) {
    struct os_config *os = &config->os_config;
    if (options->has_ram) { os->ram_free = options->ram; }
    if (options->pagefiles) {
        os->pagefiles = options->pagefile[0].min ? options->pagefiles : 0;
        memcpy(os->pagefile, options->pagefile, sizeof os->pagefile);
        memcpy(config->pagefile_directory, options->pagefile_directory, sizeof config->pagefile_directory);
    } else if (!has_setting(seen, "pagefile") && !has_setting(seen, "boot")) {
        os->pagefiles = 1;
        os->pagefile[0] = (struct os_pagefile){CAPTURED_PAGEFILE, CAPTURED_PAGEFILE};
    }
    if (options->disk_word) { config->disk = options->disk; }
    if (options->injections) {
        config->injections = options->injections;
        memcpy(config->injection, options->injection, sizeof config->injection);
    }
    if (options->max_ws) {
        os->min_ws = options->min_ws;
        os->max_ws = options->max_ws;
    }
    if (options->profile_word) { os->profile = options->profile; }
    if (os->profile == OS_NT5PAE && config->os != &bare_os_ops) { config->os = &nt_pae_os_ops; }
    os->reference_counting = options->reference_counting;
}

int cli_trace_open(struct cli_trace *trace, const struct cli_machine_options *options, struct machine_config *config,
                   char *err, size_t err_size) {
    memset(config, 0, sizeof *config);
    memset(trace, 0, sizeof *trace);
    if (cli_load_preset(&config->preset, options->cpu, err, err_size)) { return -1; }
    config->os = &nt_os_ops;
    config->kernel_direct = options->kernel_direct;
    config->mmu_assertions = options->assertions;
    config->memory_latency = (uint32_t)options->latency;
    trace->reader = trace_open(options->trace, err, err_size);
    if (!trace->reader) { return -1; }
    struct directives seen = {0};
    if (read_directives(trace, options->trace, config, &seen, err, err_size)) {
        cli_trace_close(trace);
        return -1;
    }
    config->os_config.profile = has_setting(&seen, "profile") ? seen.profile : seen.boot_profile;
    apply_options(options, &seen, config);
    trace->bare = config->os == &bare_os_ops;
    trace->closed = has_setting(&seen, "closed");
    if (trace->bare && config->os_config.ram_free % BARE_RAM_UNIT) {
        snprintf(err, err_size, "%s: found %" PRIu64 " bytes of RAM for a bare program, expected a multiple of 4M",
                 options->trace, config->os_config.ram_free);
        cli_trace_close(trace);
        return -1;
    }
    if (trace->bare && refuse_for_bare(&seen, options, options->trace, err, err_size)) {
        cli_trace_close(trace);
        return -1;
    }
    return 0;
}

/* The kernel would leave out what an address has above 32 bits. */
static enum trace_item_kind take_event(struct cli_trace *trace, struct trace_item *item) {
    const struct event *event = &item->event;
    uint64_t limit;
    const uint64_t *number = trace->bare ? NULL : event_wide_number(event, nt_wide_arguments(event), &limit);
    if (!number) { return TRACE_EVENT; }
    char text[100];
    snprintf(text, sizeof text, "found %" PRIx64 ", expected a number below %" PRIx64 ": the kernel has 32 bits",
             *number, limit);
    return item->kind = trace_refuse(trace->reader, text);
}

enum trace_item_kind cli_trace_next(struct cli_trace *trace, struct trace_item *item) {
    enum trace_item_kind kind;
    if (trace->holding) {
        trace->holding = false;
        *item = trace->held;
        kind = item->kind;
    } else {
        do { kind = trace_next(trace->reader, item); } while (kind == TRACE_DIRECTIVE);
    }
    return kind == TRACE_EVENT ? take_event(trace, item) : kind;
}

void cli_trace_close(struct cli_trace *trace) {
    if (trace->reader) { trace_close(trace->reader); }
    trace->reader = NULL;
}
