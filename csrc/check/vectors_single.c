/* V lines, one access each: from empty TLBs, compared exactly with the line (outcome, error code, CR2, physical
 * address, the entries afterwards); then once more, now perhaps from a TLB. */
#include "vectors_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    V_SET = 1,
    V_MODE,
    V_CR0,
    V_CR4,
    V_EFER,
    V_AC,
    V_ACC,
    V_LIN,
    V_CR3,
    V_E4,
    V_E3,
    V_E2,
    V_E1,
    V_OUT,
    V_EC,
    V_CR2,
    V_PA,
    V_A4,
    V_A3,
    V_A2,
    V_A1,
    V_AGREE,
    V_WORDS
};

/* One table entry of the line: where it is, what it holds, and what it must hold afterwards. */
enum { LINE_LEVELS = 4 };
struct line_entry {
    bool used;
    pa_t pa;
    uint64_t before, after;
};

/* The levels from the root down. */
static const struct {
    unsigned before, after; /* fields of the line */
    const char *name;
} levels[LINE_LEVELS] = {{V_E4, V_A4, "PML4E"}, {V_E3, V_A3, "PDPTE"}, {V_E2, V_A2, "PDE"}, {V_E1, V_A1, "PTE"}};

/* '=' and '~' both mean unchanged here: where others may set A above a fault, our walk writes nothing. */
static int parse_entry(struct runner *r, unsigned level, bool of_mode, pa_t pa, struct line_entry *out) {
    const char *before = r->file.words[levels[level].before], *after = r->file.words[levels[level].after];
    *out = (struct line_entry){.used = strcmp(before, "-") != 0, .pa = pa};
    if (!out->used) {
        return strcmp(after, "-") == 0 ? 0 : vectors_file_fail(&r->file, after, "-, as for the entry before");
    }
    if (!of_mode) { return vectors_file_fail(&r->file, before, "- for a level that the mode has not"); }
    if (vectors_hex(&r->file, levels[level].before, &out->before) < 0) { return -1; }
    out->after = out->before;
    if (strcmp(after, "=") != 0 && strcmp(after, "~") != 0 &&
        vectors_hex(&r->file, levels[level].after, &out->after) < 0) {
        return -1;
    }
    return vectors_store(r, pa, out->before);
}

/* Where an entry is comes from the one above: 2^bits entries in a table, but four in PAE's first. */
static int parse_entries(struct runner *r, enum vectors_mode mode, uint64_t cr3, va_t va,
                         struct line_entry out[LINE_LEVELS]) {
    const unsigned root = LINE_LEVELS - (unsigned)mode;
    const unsigned bits = mode == MODE_TWO_LEVEL ? 10 : 9;
    const unsigned width = mode == MODE_TWO_LEVEL ? 4 : 8;
    vectors_memory_reset(&r->memory);
    pa_t table = cr3 & (mode == MODE_PAE ? 0xFFFFFFE0 : mode == MODE_TWO_LEVEL ? 0xFFFFF000 : 0x000FFFFFFFFFF000);
    for (unsigned i = 0; i < LINE_LEVELS; i++) {
        unsigned index_bits = mode == MODE_PAE && i == root ? 2 : bits;
        va_t index = va >> (12 + bits * (LINE_LEVELS - 1 - i)) & (((va_t)1 << index_bits) - 1);
        if (parse_entry(r, i, i >= root, table + index * width, &out[i]) < 0) { return -1; }
        if (i >= root) { table = out[i].before & 0x000FFFFFFFFFF000; }
    }
    return 0;
}

static enum verdict check_entries(struct runner *r, const struct line_entry entries[LINE_LEVELS]) {
    if (r->memory.strayed) { return vectors_report_failure(r, "a write to no entry of the walk", "none"); }
    for (unsigned i = 0; i < LINE_LEVELS; i++) {
        const struct vectors_entry *entry = entries[i].used ? vectors_memory_find(&r->memory, entries[i].pa) : NULL;
        if (!entry || entry->value == entries[i].after) { continue; }
        char found[48], expected[48];
        snprintf(found, sizeof found, "%s %" PRIx64 " afterwards", levels[i].name, entry->value);
        snprintf(expected, sizeof expected, "%" PRIx64, entries[i].after);
        return vectors_report_failure(r, found, expected);
    }
    return PASSED;
}

static enum verdict check(struct runner *r, const struct registers *registers, const struct access *access,
                          const struct outcome *expected, const struct line_entry entries[LINE_LEVELS]) {
    static const char *const when[2] = {"", " the second time"};
    if (!vectors_load_registers(r, registers)) {
        struct outcome gp = {.kind = OUTCOME_LOAD_GP};
        return expected->kind == OUTCOME_LOAD_GP ? PASSED : vectors_fail_outcome(r, "", &gp, expected);
    }
    for (unsigned time = 0; time < 2; time++) {
        struct outcome found = vectors_access(r, access);
        if (!vectors_same_outcome(&found, expected, access)) {
            return vectors_fail_outcome(r, when[time], &found, expected);
        }
        if (check_entries(r, entries) == FAILED) { return FAILED; }
    }
    return PASSED;
}

/* What a processor needs to take these entries as the line's did: 1 GB pages, PSE-36. */
static unsigned missing_for_entries(const struct runner *r, enum vectors_mode mode, uint64_t cr4,
                                    const struct line_entry entries[LINE_LEVELS]) {
    uint64_t pdpte = entries[1].before, pde = entries[2].before;
    unsigned features = 0;
    if (mode == MODE_FOUR_LEVEL && (pdpte & ENTRY_LARGE)) { features |= CPU_1G; }
    if (mode == MODE_TWO_LEVEL && (cr4 & CR4_PSE) && (pde & ENTRY_LARGE) && (pde & 0x1FE000)) { features |= CPU_PSE36; }
    return features & ~r->config->preset.features;
}

int vectors_run_single(struct runner *r) {
    enum vectors_mode mode;
    struct registers registers;
    struct access access;
    struct outcome expected;
    struct line_entry entries[LINE_LEVELS];
    if (vectors_need_words(&r->file, V_WORDS, true) < 0 || vectors_parse_mode(r, V_MODE, &mode) < 0 ||
        vectors_parse_registers(r, V_CR0, &registers) < 0 || vectors_parse_flag(r, V_AC, &registers.ac) < 0 ||
        vectors_parse_access(r, V_ACC, V_LIN, &access) < 0 || vectors_hex(&r->file, V_CR3, &registers.cr3) < 0 ||
        vectors_parse_outcome(r, V_OUT, &expected) < 0 ||
        parse_entries(r, mode, registers.cr3, access.va, entries) < 0) {
        return -1;
    }
    unsigned missing =
        vectors_missing(r, mode, registers.cr4, registers.efer) | missing_for_entries(r, mode, registers.cr4, entries);
    if (missing) { return vectors_count_missing(r, r->file.words[V_SET], missing); }
    return vectors_count_line(r, r->file.words[V_SET], check(r, &registers, &access, &expected, entries));
}
