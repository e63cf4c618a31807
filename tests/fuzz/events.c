/* The grammar of the trace (csrc/trace/grammar.c) says which fields an event has; bytes fill them, mostly with numbers
 * that mean something here: few ids, addresses at the edges of regions, small sizes. */
#include "events.h"

#include "nt/exports.h"
#include "trace/grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTECTIONS 32 /* five bits */
#define CHANCE_RAW  16 /* one number in so many is any number */

static uint8_t byte(struct bytes *bytes) { return bytes->at < bytes->end ? *bytes->at++ : 0; }

static uint64_t raw(struct bytes *bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < 4; i++) { value = value << 8 | byte(bytes); }
    return value;
}

#define PICK(bytes, table) (table)[byte(bytes) % (sizeof(table) / sizeof *(table))]

static uint64_t id(struct bytes *bytes) {
    uint8_t choice = byte(bytes);
    return choice % CHANCE_RAW == CHANCE_RAW - 1 ? raw(bytes) : choice % 8;
}

/* Places of the user's, where kernel structures are, and the ends of both halves. */
static uint64_t address(struct bytes *bytes) {
    static const uint32_t places[] = {0x10000,    0x400000,   0x410000,   0x420000,   0x7fe00000,
                                      0x7ffe0000, 0x7ffefffc, 0x80000000, 0x80200000, 0xc0000000,
                                      0xc0300000, 0xc0301000, 0xe1000000, 0xfffff000};
    uint8_t choice = byte(bytes);
    if (choice % CHANCE_RAW == CHANCE_RAW - 1) { return raw(bytes); }
    uint32_t place = choice % 4 ? places[1 + choice / 4 % 3] : PICK(bytes, places);
    uint8_t where = byte(bytes);
    return place + (where >> 2) % 32 * 0x1000u + (where & 3 ? 0 : byte(bytes) * 16u);
}

static uint64_t size(struct bytes *bytes) {
    static const uint32_t sizes[] = {0, 1, 0xfff, 0x1000, 0x1001, 0x2000, 0x5000, 0x10000, 0x40000, 0x400000};
    uint8_t choice = byte(bytes);
    return choice % CHANCE_RAW == CHANCE_RAW - 1 ? raw(bytes) : sizes[choice % (sizeof sizes / sizeof *sizes)];
}

static void text(struct bytes *bytes, enum event_kind kind, char *out) {
    static const char *const names[] = {"a.exe", "b.dll", "c:\\data.bin", "x"};
    static const char *const threads[] = {"zero", "mpw", "mpw auto", "mapw",      "balance",
                                          "swap", "apc", "deref",    "deref take"};
    if (kind == EV_CALL) {
        snprintf(out, EVENT_TEXT_MAX, "%s", MiNumberedExport(byte(bytes))->Name);
    } else {
        snprintf(out, EVENT_TEXT_MAX, "%s", kind == EV_RUN_THREAD ? PICK(bytes, threads) : PICK(bytes, names));
    }
}

static void list(struct bytes *bytes, struct event *event) {
    const struct mi_export *export = event->kind == EV_CALL ? MiFindExport(event->text) : NULL;
    event->args.count = export ? MI_ARGUMENTS(export) : event->kind == EV_PREFETCH ? 3u : 1u + byte(bytes) % 4;
    for (unsigned i = 0; i < event->args.count; i++) {
        switch (byte(bytes) % 4) {
        case 0: event->args.arg[i] = (uint32_t)id(bytes); break;
        case 1: event->args.arg[i] = (uint32_t)size(bytes); break;
        case 2: event->args.arg[i] = UINT32_MAX; break; /* the current process, or none */
        default: event->args.arg[i] = (uint32_t)address(bytes); break;
        }
    }
}

/* Of a page table: an address and low bits. */
static uint64_t entry(struct bytes *bytes) { return (uint64_t)(byte(bytes) % 16) << PAGE_SHIFT | byte(bytes); }

static void batch(struct bytes *bytes, struct event *event) {
    event->batch.count = 1 + byte(bytes) % EVENT_BATCH_MAX;
    for (unsigned i = 0; i < event->batch.count; i++) {
        uint8_t how = byte(bytes);
        event->batch.at[i] = (struct event_touch){.va = address(bytes), .access = how % 4, .mode = how / 4 % 3};
    }
}

/* One field, by its type. Of optional ones: every other time. */
static void field(struct bytes *bytes, const struct field *f, struct event *event) {
    uint8_t *at = (uint8_t *)event + f->offset;
    uint32_t word = 0;
    uint64_t wide = 0;
    if (f->optional && byte(bytes) % 2 && f->type != FIELD_HEX_LIST) { return; }
    switch (f->type) {
    case FIELD_DEC32: word = (uint32_t)id(bytes), memcpy(at, &word, sizeof word); break;
    case FIELD_HEX32: word = (uint32_t)size(bytes), memcpy(at, &word, sizeof word); break;
    case FIELD_BIT: word = byte(bytes) & 1, memcpy(at, &word, sizeof word); break;
    case FIELD_DEC64:
    case FIELD_MILLISECONDS: wide = id(bytes), memcpy(at, &wide, sizeof wide); break;
    case FIELD_HEX64:
    case FIELD_VIRTUAL:
    case FIELD_PHYSICAL32:
    case FIELD_PHYSICAL64:
        wide = strstr(f->what, "address") ? address(bytes) : size(bytes);
        memcpy(at, &wide, sizeof wide);
        break;
    case FIELD_QUOTED:
    case FIELD_WORD:
    case FIELD_REST: text(bytes, event->kind, event->text); break;
    case FIELD_PROT: *at = (uint8_t)(byte(bytes) % PROTECTIONS); break;
    case FIELD_MAP_PROT: *at = byte(bytes) % 4 ? (uint8_t)(byte(bytes) % PROTECTIONS) : EVENT_MAP_IMAGE; break;
    case FIELD_ALLOC_TYPE: *at = (uint8_t)(1 + byte(bytes) % 7); break;
    case FIELD_SECTION_TYPE: *at = byte(bytes) % 3; break;
    case FIELD_FREE_TYPE:
    case FIELD_READ_WRITE:
    case FIELD_SHARE:
    case FIELD_FORCE:
    case FIELD_IO_MODE: *at = byte(bytes) & 1; break;
    case FIELD_FILE_OFFSET: event->sub.anonymous = byte(bytes) & 1, event->sub.file_offset = size(bytes); break;
    case FIELD_TRIM_COUNT: event->trim.all = byte(bytes) & 1, event->trim.count = (uint32_t)id(bytes); break;
    case FIELD_POOL_TYPE: *at = byte(bytes) % 7; break;
    case FIELD_POOL_TAG: word = 0x41414141, memcpy(at, &word, sizeof word); break;
    case FIELD_INJECTION: *at = byte(bytes) % OS_INJECTIONS; break;
    case FIELD_FILTER: event->bracket.has_filter = true, *at = (uint8_t)(byte(bytes) % 3 - 1); break;
    case FIELD_HEX_LIST: list(bytes, event); break;
    case FIELD_HEX32_WIDE: wide = (uint32_t)entry(bytes), memcpy(at, &wide, sizeof wide); break;
    case FIELD_REGISTER: *at = byte(bytes) % (MMU_PAT + 1); break;
    case FIELD_BATCH: batch(bytes, event); break;
    default: break;
    }
}

static void access(struct bytes *bytes, struct event *event) {
    static const uint8_t sizes[] = {1, 2, 4, 8, 3, 16};
    uint8_t how = byte(bytes);
    event->access.va = (uint32_t)address(bytes);
    event->access.access = how % 4;
    event->access.mode = how % 5 == 0 ? EVENT_KERNEL : EVENT_USER;
    event->access.size = PICK(bytes, sizes);
    event->access.has_value = how & 0x80 && event->access.access == EVENT_STORE;
    event->access.value = event->access.has_value ? raw(bytes) : 0;
}

static void run(struct bytes *bytes, struct event *event) {
    event->run.access = byte(bytes) % 3;
    event->run.mode = EVENT_USER;
    event->run.vpn = (vpn_t)((uint32_t)address(bytes) >> PAGE_SHIFT);
    event->run.count = 1 + byte(bytes) % 40;
}

static bool next_of_bytes(struct bytes *bytes, struct event *event) {
    if (bytes->at >= bytes->end) { return false; }
    uint8_t kind = byte(bytes);
    /* half of them are accesses: something must happen to what the others make */
    event->kind = kind & 1 ? (kind & 2 ? EV_ACCESS : EV_RUN) : (enum event_kind)(1 + kind / 2 % (EV_KINDS - 1));
    if (event->kind == EV_ACCESS) {
        access(bytes, event);
    } else if (event->kind == EV_RUN) {
        run(bytes, event);
    } else {
        const struct event_rule *rule = event_rule(event->kind);
        for (unsigned i = 0; i < EVENT_FIELDS && rule->field[i].type != FIELD_END; i++) {
            field(bytes, &rule->field[i], event);
        }
        if (event->kind == EV_MAP) { event->map.strict = byte(bytes) & 1; }
    }
    return true;
}

/* What bytes seldom come to by themselves: a process that runs, memory, views, a file, a child. */
static const char *const prologue[] = {
    "proc+ 1 0 \"a.exe\"",
    "thr+ 1 1",
    "x 0 1",
    "alloc 410000 10000 rc rw",
    "w 410000 4 =41",
    "sec+ 1 data 8000 \"c:\\data.bin\"",
    "map 1 420000 8000 0 rw share",
    "w 421000 4 =42",
    "sec+ 2 page 10000 \"x\"",
    "map 2 400000 10000 0 rw share",
    "W 400 2",
    "fork 2 1 2",
    "proc+ 3 0 \"b.dll\"",
    "thr+ 3 3",
    "x 0 3",
    "map 1 420000 8000 0 wc",
    "w 420000 4 =43",
    "thr+ 4 1",
    "x 0 1",
};
enum { WHOLE = sizeof prologue / sizeof *prologue, WITH_MEMORY = 5, WITH_VIEWS = 11 };

/* The next line of it; false: its end. */
static bool next_of_prologue(struct bytes *bytes, struct event *event) {
    if (bytes->line >= bytes->prologue) { return false; }
    char line[80], err[200];
    const char *words[16];
    bool quoted[16];
    snprintf(line, sizeof line, "%s", prologue[bytes->line++]);
    int count = line_words(line, words, quoted, 16);
    if (count <= 0 || !event_parse(event, words, quoted, (unsigned)count, err, sizeof err)) { abort(); }
    return true;
}

bool events_next(struct bytes *bytes, struct event *event) {
    uint64_t index = event->index + (event->kind != EV_NONE), line = event->line + 1;
    memset(event, 0, sizeof *event);
    event->index = index;
    event->line = line;
    return next_of_prologue(bytes, event) || next_of_bytes(bytes, event);
}

/* What takes more time than any event is drawn, not read: the fuzzer keeps what counts higher and would come to it always. */
static uint64_t draw_of(const struct bytes *bytes) {
    uint64_t draw = 0;
    for (const uint8_t *at = bytes->at; at < bytes->end; at++) { draw = mix64(draw ^ *at); }
    return draw;
}

void events_config(struct bytes *bytes, struct machine_config *config) {
    static const uint32_t ram[] = {0x200000, 0x40000, 0x80000, 0x100000}; /* most of 64 MB would only take time */
    static const uint8_t ends[] = {0, 0, WITH_MEMORY, WITH_MEMORY, WITH_MEMORY, WITH_VIEWS, WITH_VIEWS, WHOLE};
    uint64_t draw = draw_of(bytes);
    uint8_t choice = byte(bytes), rules = byte(bytes);
    bytes->prologue = PICK(bytes, ends);
    bytes->lockstep = draw % 8 == 0;
    bytes->audit_often = draw / 8 % 8 == 0;
    config->kernel_direct = draw / 64 % 8 == 0;
    bytes->dump = draw / 512 % 256 == 0;
    struct os_config *os = &config->os_config;
    os->profile = (enum os_profile)(choice % 3);
    config->os = os->profile == OS_NT5PAE ? &nt_pae_os_ops : choice % 8 == 7 ? &bare_os_ops : &nt_os_ops;
    os->manual_threads = choice & 0x10;
    os->checked_build = choice & 0x20;
    os->reference_counting = choice & 0x40;
    os->refuse_popups = choice & 0x80;
    config->ends_unhandled = rules & 1;
    os->ram_free = ram[rules >> 2 & 3];
    os->pagefiles = rules >> 4 & 1;
    os->pagefile[0] = (struct os_pagefile){0x100000, 0x200000};
    if (rules & 0x20) { config->disk = (struct disk_model){.kind = DISK_FIXED, .fixed = 3}; }
    if (rules & 0x40) { os->min_ws = 10, os->max_ws = 30; }
}
