/* The small languages of --pagefile, --disk and --inject, which the directives of a trace share. */
#include "cli.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text up to the separator, which is left out; *rest is what follows, or NULL if there is none. */
static int split(const char *text, char separator, char *head, size_t head_size, const char **rest) {
    const char *at = strchr(text, separator);
    size_t length = at ? (size_t)(at - text) : strlen(text);
    if (length >= head_size) { return -1; }
    memcpy(head, text, length);
    head[length] = '\0';
    *rest = at ? at + 1 : NULL;
    return 0;
}

int cli_parse_pagefile(const char *text, struct os_pagefile *out, const char **directory) {
    char sizes[64], min[64];
    const char *max;
    if (split(text, '@', sizes, sizeof sizes, directory) || (*directory && **directory == '\0') ||
        split(sizes, ':', min, sizeof min, &max) || cli_parse_size(min, &out->min)) {
        return -1;
    }
    out->max = out->min;
    if (max && cli_parse_size(max, &out->max)) { return -1; }
    return out->max < out->min || (out->min == 0 && (max || *directory)) ? -1 : 0;
}

static int parse_steps(const char *text, uint32_t least, uint32_t *out) {
    uint64_t steps;
    if (cli_parse_number(text, &steps) || steps < least || steps > 1000000) { return -1; }
    *out = (uint32_t)steps;
    return 0;
}

int cli_parse_disk(const char *text, struct disk_model *out) {
    char seek[32];
    const char *rest;
    *out = (struct disk_model){.kind = DISK_AUTO};
    if (strcmp(text, "auto") == 0) { return 0; }
    if (strncmp(text, "fixed:", 6) == 0) {
        out->kind = DISK_FIXED;
        return parse_steps(text + 6, 1, &out->fixed);
    }
    out->kind = DISK_SEEK;
    if (strncmp(text, "seek:", 5) != 0 || split(text + 5, ',', seek, sizeof seek, &rest) || !rest) { return -1; }
    return strncmp(rest, "transfer:", 9) != 0 || parse_steps(seek, 0, &out->seek) ||
                   parse_steps(rest + 9, 1, &out->transfer)
               ? -1
               : 0;
}

static int parse_probability(const char *text, uint64_t *out) {
    char *end;
    errno = 0;
    double p = strtod(text, &end);
    if (errno || end == text || *end || !(p > 0 && p <= 1)) { return -1; }
    *out = p == 1 ? UINT64_MAX : (uint64_t)ldexp(p, 64);
    return *out ? 0 : -1; /* 0 is none, which means the first occasion alone */
}

/* WHAT[@EVENT][:p=P[,seed=N]] */
int cli_parse_inject(const char *text, struct machine_injection *out) {
    char head[64], what[64], chance[64];
    const char *rest, *event, *seed;
    *out = (struct machine_injection){0};
    if (split(text, ':', head, sizeof head, &rest) || split(head, '@', what, sizeof what, &event)) { return -1; }
    unsigned kind = 0;
    while (injection_names[kind] && strcmp(injection_names[kind], what) != 0) { kind++; }
    if (!injection_names[kind] || (event && cli_parse_number(event, &out->event))) { return -1; }
    out->what = (enum os_injection)kind;
    if (!rest) { return 0; }
    if (split(rest, ',', chance, sizeof chance, &seed) || strncmp(chance, "p=", 2) != 0 ||
        parse_probability(chance + 2, &out->probability)) {
        return -1;
    }
    if (!seed) { return 0; }
    return strncmp(seed, "seed=", 5) != 0 || cli_parse_number(seed + 5, &out->seed) ? -1 : 0;
}
