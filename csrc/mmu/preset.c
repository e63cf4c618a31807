/* Reads rtl/presets/NAME.preset (format: ntmmu/preset.h). Every key must stand in the file exactly once. */
#include "ntmmu/preset.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 1024, MAX_WAYS = 64, MIN_PHYSICAL_BITS = 32, MAX_PHYSICAL_BITS = 40 };

enum key { KEY_SOURCE, KEY_REPLACEMENT, KEY_ITLB_4K, KEY_ITLB_4M, KEY_DTLB_4K, KEY_DTLB_4M, KEY_PHYSICAL_BITS, KEYS };

static const char *const key_names[KEYS] = {
    "source", "replacement", "itlb_4k", "itlb_4m", "dtlb_4k", "dtlb_4m", "physical_bits",
};

struct parser {
    const char *path;
    unsigned line;
    bool seen[KEYS];
    struct mmu_preset *out;
    char *err;
    size_t err_size;
};

static int fail(struct parser *p, const char *found, const char *expected) {
    snprintf(p->err, p->err_size, "%s:%u: found %s, expected %s", p->path, p->line, found, expected);
    return -1;
}

static int fail_word(struct parser *p, const char *word, const char *expected) {
    if (!word) { return fail(p, "end of line", expected); }
    char found[128];
    snprintf(found, sizeof found, "'%s'", word);
    return fail(p, found, expected);
}

/* Cuts the next blank-separated word out of *rest; NULL at the end of the line. */
static char *next_word(char **rest) {
    char *start = *rest + strspn(*rest, " \t\r\n");
    if (*start == '\0') { return NULL; }
    char *end = start + strcspn(start, " \t\r\n");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return start;
}

/* A decimal number low..high; -1 if the word is none. */
static int parse_number(const char *word, unsigned low, unsigned high, unsigned *out) {
    if (!word || !isdigit((unsigned char)word[0])) { return -1; }
    char *end;
    errno = 0;
    unsigned long value = strtoul(word, &end, 10);
    if (*end || errno || value < low || value > high) { return -1; }
    *out = (unsigned)value;
    return 0;
}

static bool is_power_of_two(unsigned n) { return (n & (n - 1)) == 0; }

static int parse_geometry(struct parser *p, struct tlb_geometry *out, char **rest) {
    char *sets = next_word(rest);
    if (parse_number(sets, 1, MAX_SETS, &out->sets) < 0 || !is_power_of_two(out->sets)) {
        return fail_word(p, sets, "a number of sets: a power of two, 1..1024");
    }
    char *ways = next_word(rest);
    if (parse_number(ways, 1, MAX_WAYS, &out->ways) < 0) { return fail_word(p, ways, "a number of ways, 1..64"); }
    return 0;
}

static int parse_replacement(struct parser *p, char **rest) {
    char *word = next_word(rest);
    if (word && strcmp(word, "lru") == 0) {
        p->out->replacement = TLB_LRU;
    } else if (word && strcmp(word, "plru") == 0) {
        p->out->replacement = TLB_PLRU;
    } else {
        return fail_word(p, word, "lru or plru");
    }
    return 0;
}

static int parse_physical_bits(struct parser *p, char **rest) {
    char *word = next_word(rest);
    if (parse_number(word, MIN_PHYSICAL_BITS, MAX_PHYSICAL_BITS, &p->out->physical_bits) < 0) {
        return fail_word(p, word, "a number of physical address bits, 32..40");
    }
    return 0;
}

/* The rest of the line, without blanks around it. */
static int parse_source(struct parser *p, char **rest) {
    char *text = *rest + strspn(*rest, " \t\r\n");
    size_t length = strlen(text);
    while (length && isspace((unsigned char)text[length - 1])) { length--; }
    if (length == 0) { return fail_word(p, NULL, "where the figures come from"); }
    if (length >= sizeof p->out->source) { return fail(p, "a longer text", "a source of at most 255 characters"); }
    memcpy(p->out->source, text, length);
    p->out->source[length] = '\0';
    *rest = text + strlen(text);
    return 0;
}

static int parse_value(struct parser *p, enum key key, char **rest) {
    struct mmu_preset *out = p->out;
    switch (key) {
    case KEY_SOURCE: return parse_source(p, rest);
    case KEY_REPLACEMENT: return parse_replacement(p, rest);
    case KEY_ITLB_4K: return parse_geometry(p, &out->tlb[TLB_INSTRUCTION][TLB_4K], rest);
    case KEY_ITLB_4M: return parse_geometry(p, &out->tlb[TLB_INSTRUCTION][TLB_LARGE], rest);
    case KEY_DTLB_4K: return parse_geometry(p, &out->tlb[TLB_DATA][TLB_4K], rest);
    case KEY_DTLB_4M: return parse_geometry(p, &out->tlb[TLB_DATA][TLB_LARGE], rest);
    default: return parse_physical_bits(p, rest);
    }
}

static int parse_line(struct parser *p, char *line) {
    line[strcspn(line, "#")] = '\0';
    char *rest = line;
    char *word = next_word(&rest);
    if (!word) { return 0; }
    unsigned key = 0;
    while (key < KEYS && strcmp(word, key_names[key]) != 0) { key++; }
    if (key == KEYS) {
        return fail_word(p, word, "source, replacement, itlb_4k, itlb_4m, dtlb_4k, dtlb_4m or physical_bits");
    }
    if (p->seen[key]) { return fail_word(p, word, "each key once"); }
    p->seen[key] = true;
    if (parse_value(p, key, &rest) < 0) { return -1; }
    char *extra = next_word(&rest);
    return extra ? fail_word(p, extra, "end of line") : 0;
}

/* What only the whole file can tell: a key that is missing, and tree pseudo-LRU over a number of ways it cannot have.
 */
static int check_whole(struct parser *p) {
    for (unsigned key = 0; key < KEYS; key++) {
        if (!p->seen[key]) { return fail(p, "end of file", key_names[key]); }
    }
    for (unsigned i = 0; p->out->replacement == TLB_PLRU && i < TLB_SIDES * TLB_PAGE_SIZES; i++) {
        unsigned ways = p->out->tlb[i / TLB_PAGE_SIZES][i % TLB_PAGE_SIZES].ways;
        if (!is_power_of_two(ways)) {
            char found[64];
            snprintf(found, sizeof found, "%s of %u ways with plru", key_names[KEY_ITLB_4K + i], ways);
            return fail(p, found, "a power of two");
        }
    }
    return 0;
}

static int parse_file(struct parser *p, FILE *file) {
    char line[512];
    while (fgets(line, sizeof line, file)) {
        p->line++;
        if (!strchr(line, '\n') && !feof(file)) { return fail(p, "a longer line", "at most 510 characters"); }
        if (parse_line(p, line) < 0) { return -1; }
    }
    if (ferror(file)) { return fail(p, "a read error", "a preset file"); }
    return check_whole(p);
}

/* NAME of DIR/NAME.preset. */
static void preset_name(char *out, size_t out_size, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t length = strcspn(base, ".");
    snprintf(out, out_size, "%.*s", (int)length, base);
}

int preset_load(struct mmu_preset *out, const char *dir, const char *name, char *err, size_t err_size) {
    char path[4096];
    int length = strchr(name, '/') ? snprintf(path, sizeof path, "%s", name)
                                   : snprintf(path, sizeof path, "%s/%s.preset", dir, name);
    if (length < 0 || (size_t)length >= sizeof path) {
        snprintf(err, err_size, "%.64s…: found a path of %d characters, expected at most 4095", path, length);
        return -1;
    }
    FILE *file = fopen(path, "r");
    if (!file) {
        snprintf(err, err_size, "%s: found %s, expected a preset file", path, strerror(errno));
        return -1;
    }
    struct mmu_preset preset = {0};
    preset_name(preset.name, sizeof preset.name, path);
    struct parser parser = {.path = path, .out = &preset, .err = err, .err_size = err_size};
    int status = parse_file(&parser, file);
    fclose(file);
    if (status == 0) { *out = preset; }
    return status;
}
