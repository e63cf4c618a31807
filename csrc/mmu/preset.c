/* Reads rtl/presets/NAME.preset (format: ntmmu/preset.h). */
#include "ntmmu/preset.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SETS = 1024, MAX_WAYS = 64, MIN_PHYSICAL_BITS = 32, MAX_PHYSICAL_BITS = 52 };
enum { MAX_STLB_CYCLES = 100, MAX_MEMORY_CYCLES = 1000, USUAL_MEMORY_CYCLES = 4 };

struct parser {
    const char *path;
    unsigned line;
    uint64_t seen; /* bit of a key's number */
    bool memory_fixed;
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

/* ---- words ---- */

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

static int take_number(struct parser *p, char **rest, unsigned low, unsigned high, unsigned *out, const char *what) {
    char *word = next_word(rest);
    if (parse_number(word, low, high, out) == 0) { return 0; }
    char expected[96];
    snprintf(expected, sizeof expected, "%s, %u..%u", what, low, high);
    return fail_word(p, word, expected);
}

static bool is_power_of_two(unsigned n) { return (n & (n - 1)) == 0; }

static int take_sets_ways(struct parser *p, char **rest, unsigned *sets, unsigned *ways) {
    char *word = next_word(rest);
    if (parse_number(word, 1, MAX_SETS, sets) < 0 || !is_power_of_two(*sets)) {
        return fail_word(p, word, "a number of sets: a power of two, 1..1024");
    }
    return take_number(p, rest, 1, MAX_WAYS, ways, "a number of ways");
}

/* Index of the word in a list that ends with NULL; -1: it is not there. */
static int find_word(const char *word, const char *const *list) {
    for (int i = 0; word && list[i]; i++) {
        if (strcmp(word, list[i]) == 0) { return i; }
    }
    return -1;
}

/* ---- values ---- */

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

static const char *const replacement_names[] = {[TLB_LRU] = "lru", [TLB_PLRU] = "plru", [TLB_RANDOM] = "random", NULL};
static const char *const size_names[] = {"4k", "2m", "1g", "pde", NULL};
static const char *const psc_names[] = {"pde", "pdpte", "pml4e", NULL};
static const char *const memory_names[] = {"l1", "l2", "l3", "dram", "fixed", NULL};

const struct cpu_feature_name cpu_feature_names[CPU_FEATURES] = {
    {"pse", "PSE"},         {"pse36", "PSE-36"},        {"pge", "PGE"},       {"pae", "PAE"},
    {"nx", "NX"},           {"long", "4-level paging"}, {"1g", "1 GB pages"}, {"pcid", "PCID"},
    {"invpcid", "INVPCID"}, {"smep", "SMEP"},           {"smap", "SMAP"},     {"pat", "PAT"},
};

static int parse_replacement(struct parser *p, char **rest) {
    char *word = next_word(rest);
    int which = find_word(word, replacement_names);
    if (which < 0) { return fail_word(p, word, "lru, plru or random"); }
    p->out->replacement = (enum tlb_replacement)which;
    if (which != TLB_RANDOM || !**rest || !(*rest)[strspn(*rest, " \t\r\n")]) { return 0; }
    unsigned seed;
    if (take_number(p, rest, 1, UINT16_MAX, &seed, "a seed") < 0) { return -1; }
    p->out->seed = (uint16_t)seed;
    return 0;
}

static int fail_feature(struct parser *p, const char *word) {
    char expected[128];
    size_t n = 0;
    for (unsigned i = 0; i < CPU_FEATURES; i++) {
        const char *separator = i == 0 ? "" : i + 1 < CPU_FEATURES ? ", " : " or ";
        n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%s", separator, cpu_feature_names[i].preset);
    }
    return fail_word(p, word, expected);
}

static int parse_features(struct parser *p, char **rest) {
    for (char *word; (word = next_word(rest));) {
        unsigned i = 0;
        while (i < CPU_FEATURES && strcmp(word, cpu_feature_names[i].preset) != 0) { i++; }
        if (i == CPU_FEATURES) { return fail_feature(p, word); }
        p->out->features |= 1u << i;
    }
    return 0;
}

/* 4k,2m,1g and, in a second level, pde */
static int parse_sizes(struct parser *p, char **rest, unsigned level, unsigned *classes) {
    const char *expected = level == 1 ? "sizes: 4k, 2m, 1g with commas between, each once"
                                      : "sizes: 4k, 2m, 1g, pde with commas between, each once";
    char *word = next_word(rest);
    if (!word) { return fail_word(p, word, expected); }
    char list[64];
    snprintf(list, sizeof list, "%s", word);
    for (char *size = list, *next; size; size = next) {
        next = strchr(size, ',');
        if (next) { *next++ = '\0'; }
        int which = find_word(size, size_names);
        if (which < 0 || (which == TLB_PDE && level == 1) || (*classes >> which & 1)) {
            return fail_word(p, word, expected);
        }
        *classes |= 1u << which;
    }
    return 0;
}

/* ---- lines ---- */

struct key {
    const char *name;
    uint8_t level, first, numbers; /* of arrays: TLB level, first enum mmu_array, how many lines */
    bool unified, repeats;
    int (*parse)(struct parser *p, char **rest); /* NULL: an array's line */
};

static int parse_stlb_cycles(struct parser *p, char **rest) {
    return take_number(p, rest, 0, MAX_STLB_CYCLES, &p->out->stlb_cycles, "cycles of a second-level hit");
}

static int parse_walkers(struct parser *p, char **rest) {
    return take_number(p, rest, 1, WALKERS_MAX, &p->out->walkers, "a number of walkers");
}

static int parse_physical_bits(struct parser *p, char **rest) {
    return take_number(p, rest, MIN_PHYSICAL_BITS, MAX_PHYSICAL_BITS, &p->out->physical_bits,
                       "a number of physical address bits");
}

static int parse_psc(struct parser *p, char **rest) {
    char *word = next_word(rest);
    int which = find_word(word, psc_names);
    if (which < 0) { return fail_word(p, word, "pde, pdpte or pml4e"); }
    struct tlb_geometry *array = &p->out->array[ARRAY_PSC_PDE + which];
    if (array->ways) { return fail_word(p, word, "each paging-structure cache once"); }
    return take_sets_ways(p, rest, &array->sets, &array->ways);
}

static int parse_memory(struct parser *p, char **rest) {
    struct memory_geometry *memory = &p->out->memory;
    char *word = next_word(rest);
    int which = find_word(word, memory_names);
    if (which < 0) { return fail_word(p, word, "fixed, l1, l2, l3 or dram"); }
    bool fixed = which == MEMORY_CACHES + 1, again = which < MEMORY_CACHES ? memory->cache[which].ways : memory->dram;
    bool others = memory->dram || memory->cache[0].ways || memory->cache[1].ways || memory->cache[2].ways;
    if (again || p->memory_fixed || (fixed && others)) {
        return fail_word(p, word, "each memory line once, and 'fixed' alone");
    }
    unsigned *cycles = &memory->dram;
    if (which < MEMORY_CACHES) {
        struct memory_cache *cache = &memory->cache[which];
        if (take_sets_ways(p, rest, &cache->sets, &cache->ways) < 0) { return -1; }
        cycles = &cache->cycles;
    }
    p->memory_fixed = fixed;
    return take_number(p, rest, 1, MAX_MEMORY_CYCLES, cycles, "cycles of a table access");
}

static const struct key keys[] = {
    {.name = "source", .parse = parse_source},
    {.name = "replacement", .parse = parse_replacement},
    {.name = "physical_bits", .parse = parse_physical_bits},
    {.name = "features", .parse = parse_features},
    {.name = "itlb", .level = 1, .first = ARRAY_ITLB, .numbers = 3},
    {.name = "dtlb", .level = 1, .first = ARRAY_DTLB, .numbers = 3},
    {.name = "tlb", .level = 1, .first = ARRAY_ITLB, .numbers = 3, .unified = true},
    {.name = "istlb", .level = 2, .first = ARRAY_ISTLB, .numbers = 2},
    {.name = "dstlb", .level = 2, .first = ARRAY_DSTLB, .numbers = 2},
    {.name = "stlb", .level = 2, .first = ARRAY_ISTLB, .numbers = 2, .unified = true},
    {.name = "stlb_cycles", .parse = parse_stlb_cycles},
    {.name = "psc", .parse = parse_psc, .repeats = true},
    {.name = "walkers", .parse = parse_walkers},
    {.name = "memory", .parse = parse_memory, .repeats = true},
};
enum { KEYS = sizeof keys / sizeof *keys, REQUIRED_KEYS = 3 };

/* Whether arrays of the same level stand in the file that belong to split sides where this line is of both, or the
 * other way round. */
static bool mixes(const struct parser *p, const struct key *key) {
    for (unsigned i = 0; i < KEYS; i++) {
        if (keys[i].level == key->level && keys[i].unified != key->unified && (p->seen >> i & 1)) { return true; }
    }
    return false;
}

static int parse_array(struct parser *p, const struct key *key, char **rest) {
    struct tlb_geometry *arrays = &p->out->array[key->first];
    if (mixes(p, key)) { return fail_word(p, key->name, "either one level for both sides or one for each"); }
    unsigned n = 0, taken = 0, classes = 0;
    while (n < key->numbers && arrays[n].ways) { taken |= arrays[n++].classes; }
    if (n == key->numbers) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most %u such lines", (unsigned)key->numbers);
        return fail_word(p, key->name, expected);
    }
    if (parse_sizes(p, rest, key->level, &classes) < 0) { return -1; }
    if (classes & taken) { return fail(p, "a size twice", "each size in one line of a side and level"); }
    arrays[n].classes = classes;
    p->out->unified[key->level - 1] = key->unified;
    return take_sets_ways(p, rest, &arrays[n].sets, &arrays[n].ways);
}

static int parse_line(struct parser *p, char *line) {
    line[strcspn(line, "#")] = '\0';
    char *rest = line;
    char *word = next_word(&rest);
    if (!word) { return 0; }
    unsigned i = 0;
    while (i < KEYS && strcmp(word, keys[i].name) != 0) { i++; }
    if (i == KEYS) {
        return fail_word(p, word,
                         "source, replacement, physical_bits, features, itlb, dtlb, tlb, istlb, dstlb, stlb, "
                         "stlb_cycles, psc, walkers or memory");
    }
    const struct key *key = &keys[i];
    if (key->parse && !key->repeats && (p->seen >> i & 1)) { return fail_word(p, word, "each key once"); }
    if ((key->parse ? key->parse(p, &rest) : parse_array(p, key, &rest)) < 0) { return -1; }
    p->seen |= (uint64_t)1 << i;
    char *extra = next_word(&rest);
    return extra ? fail_word(p, extra, "end of line") : 0;
}

/* What only the whole file can tell. */
static int check_whole(struct parser *p) {
    struct mmu_preset *out = p->out;
    for (unsigned i = 0; i < REQUIRED_KEYS; i++) {
        if (!(p->seen >> i & 1)) { return fail(p, "end of file", keys[i].name); }
    }
    for (enum tlb_side side = 0; side < TLB_SIDES; side++) {
        unsigned first;
        preset_arrays(out, side, 1, &first);
        if (!out->array[first].ways) { return fail(p, "end of file", side == TLB_DATA ? "dtlb" : "itlb or tlb"); }
    }
    const struct memory_cache *cache = out->memory.cache;
    if (out->memory.dram == 0) {
        if (cache[0].ways || cache[1].ways || cache[2].ways) { return fail(p, "end of file", "memory dram"); }
        out->memory.dram = USUAL_MEMORY_CYCLES;
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

/* ---- a preset ---- */

unsigned preset_arrays(const struct mmu_preset *preset, enum tlb_side side, unsigned level, unsigned *first) {
    bool data = side == TLB_DATA && !preset->unified[level - 1];
    *first = level == 1 ? (data ? ARRAY_DTLB : ARRAY_ITLB) : data ? ARRAY_DSTLB : ARRAY_ISTLB;
    return level == 1 ? 3 : 2;
}

void preset_array_name(const struct mmu_preset *preset, enum mmu_array array, char out[PRESET_NAME_MAX]) {
    const struct tlb_geometry *geometry = &preset->array[array];
    if (geometry->ways == 0) {
        snprintf(out, PRESET_NAME_MAX, "%u", (unsigned)array);
    } else if (array >= ARRAY_PSC_PDE) {
        snprintf(out, PRESET_NAME_MAX, "psc_%s", psc_names[array - ARRAY_PSC_PDE]);
    } else {
        bool second = array >= ARRAY_ISTLB, data = array >= (second ? ARRAY_DSTLB : ARRAY_DTLB);
        const char *side = preset->unified[second] ? "" : data ? "d" : "i";
        size_t n = (size_t)snprintf(out, PRESET_NAME_MAX, "%s%s", side, second ? "stlb" : "tlb");
        for (unsigned i = 0; i < TLB_CLASSES; i++) {
            if (geometry->classes >> i & 1) {
                n += (size_t)snprintf(out + n, PRESET_NAME_MAX - n, "_%s", size_names[i]);
            }
        }
    }
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
    struct mmu_preset preset = {.seed = 1, .walkers = 1};
    preset_name(preset.name, sizeof preset.name, path);
    struct parser parser = {.path = path, .out = &preset, .err = err, .err_size = err_size};
    int status = parse_file(&parser, file);
    fclose(file);
    if (status == 0) { *out = preset; }
    return status;
}

/* ---- writing ---- */

static void write_arrays(const struct mmu_preset *preset, FILE *out) {
    for (enum mmu_array i = 0; i < MMU_ARRAYS; i++) {
        const struct tlb_geometry *array = &preset->array[i];
        if (array->ways == 0) { continue; }
        if (i >= ARRAY_PSC_PDE) {
            fprintf(out, "psc %s", psc_names[i - ARRAY_PSC_PDE]);
        } else {
            char name[PRESET_NAME_MAX];
            preset_array_name(preset, i, name);
            fprintf(out, "%.*s", (int)strcspn(name, "_"), name);
            for (unsigned size = 0, n = 0; size < TLB_CLASSES; size++) {
                if (array->classes >> size & 1) { fprintf(out, "%c%s", n++ ? ',' : ' ', size_names[size]); }
            }
        }
        fprintf(out, " %u %u\n", array->sets, array->ways);
    }
}

static void write_memory(const struct memory_geometry *memory, FILE *out) {
    bool fixed = true;
    for (unsigned i = 0; i < MEMORY_CACHES; i++) {
        const struct memory_cache *cache = &memory->cache[i];
        if (cache->ways == 0) { continue; }
        fixed = false;
        fprintf(out, "memory %s %u %u %u\n", memory_names[i], cache->sets, cache->ways, cache->cycles);
    }
    if (memory->dram) { fprintf(out, "memory %s %u\n", fixed ? "fixed" : "dram", memory->dram); }
}

void preset_write(const struct mmu_preset *preset, FILE *out) {
    fprintf(out, "source %s\nreplacement %s", preset->source, replacement_names[preset->replacement]);
    if (preset->replacement == TLB_RANDOM) { fprintf(out, " %u", (unsigned)preset->seed); }
    fprintf(out, "\nphysical_bits %u\nfeatures", preset->physical_bits);
    for (unsigned i = 0; i < CPU_FEATURES; i++) {
        if (preset->features >> i & 1) { fprintf(out, " %s", cpu_feature_names[i].preset); }
    }
    fprintf(out, "\nstlb_cycles %u\nwalkers %u\n", preset->stlb_cycles, preset->walkers);
    write_arrays(preset, out);
    write_memory(&preset->memory, out);
}
