/* The frame of a random program: directives, then events until there are enough. */
#include "gen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define PROGRESS_EVENTS 4096

const char *const gen_kind_names[] = {"mmu", "nt", NULL}, *const gen_mode_names[] = {"32", "pae", "long", NULL};

static void put(struct gen *gen, const char *text, bool is_event) {
    if (!gen->failed && trace_write_line(gen->writer, text, is_event)) { gen->failed = true; }
}

static void count(struct gen *gen) {
    const struct gen_config *config = gen->config;
    if (++gen->events % PROGRESS_EVENTS == 0 && config->progress && config->events) {
        config->progress((double)gen->events / (double)config->events, gen->events);
    }
}

void gen_note(struct gen *gen, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(gen, text, false);
}

void gen_line(struct gen *gen, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(gen, text, true);
    count(gen);
}

void gen_event(struct gen *gen, const struct event *event) {
    if (gen->events >= gen->config->events) { return; } /* in the middle of something */
    if (!gen->failed && trace_write_event(gen->writer, event)) { gen->failed = true; }
    count(gen);
}

bool gen_done(const struct gen *gen) {
    const struct gen_config *config = gen->config;
    return gen->failed || gen->events >= config->events || (config->stop && *config->stop);
}

bool gen_possible(const struct gen_config *config, char *err, size_t err_size) {
    if (config->kind == GEN_NT) {
        if (config->mode != GEN_LONG && config->seed <= UINT32_MAX) { return true; }
        if (config->mode == GEN_LONG) {
            snprintf(err, err_size, "found mode long, expected 32 or pae: this NT knows no 4-level paging");
        } else {
            snprintf(err, err_size, "found seed %" PRIu64 ", expected one of 32 bits: RtlRandom's are", config->seed);
        }
        return false;
    }
    if (config->mild) {
        snprintf(err, err_size, "found a mild bare program, expected it mild for NT only");
        return false;
    }
    unsigned needed = config->mode == GEN_32 ? 0 : config->mode == GEN_PAE ? CPU_PAE : CPU_PAE | CPU_LONG;
    if ((config->preset.features & needed) == needed) { return true; }
    snprintf(err, err_size, "CPU %s has no %s", config->preset.name,
             config->preset.features & CPU_PAE ? "4-level paging" : "PAE");
    return false;
}

static void put_front(struct gen *gen) {
    const struct gen_config *config = gen->config;
    if (!config->lines) {
        gen_note(gen, "# ntmmu gen --kind %s --mode %s --cpu %s --seed %" PRIu64 " --events %" PRIu64 "%s",
                 gen_kind_names[config->kind], gen_mode_names[config->mode], config->preset.name, config->seed,
                 config->events, config->mild ? " --mild" : "");
    }
    if (config->lines) {
        for (unsigned i = 0; i < config->line_count; i++) { put(gen, config->lines[i], false); }
    } else if (config->kind == GEN_MMU) {
        put(gen, "!boot bare", false);
        put(gen, "!ram 4M", false);
    } else {
        put(gen, config->mode == GEN_PAE ? "!boot CFG-P" : "!boot CFG-A", false);
        put(gen, "!threads auto", false);
    }
}

int gen_write(const struct gen_config *config, struct trace_writer *writer) {
    struct gen gen = {.config = config, .writer = writer};
    put(&gen, "!vmt 1", false);
    put_front(&gen);
    if (config->kind == GEN_NT) {
        gen_nt(&gen);
    } else {
        gen_mmu(&gen);
    }
    return gen.failed || (config->stop && *config->stop) ? -1 : 0;
}
