/* Runs an MMU through a vector file. Single accesses (V lines) start from empty TLBs and are compared exactly: outcome,
 * error code, CR2, physical address, the entries afterwards; then once more, now perhaps from a TLB. Sequences (Q lines
 * and their steps) change tables and registers between accesses, with and without telling the MMU. */
#include "ntmmu/vectors.h"
#include "vectors_file.h"
#include "vectors_memory.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODE_TWO_LEVEL = 2, MODE_PAE = 3, MODE_FIRST = 2, MODE_LAST = 4 };
enum { ACCESS_BYTES = 4, DESCRIPTOR_BYTES = 8, DESCRIPTOR_TYPE = 5, LARGE_SHIFT = 22 };

enum outcome_kind {
    OUTCOME_OK,
    OUTCOME_PF,
    OUTCOME_GP,
    OUTCOME_LOAD_GP, /* already when the PDPTEs are loaded */
    OUTCOME_NONE     /* the MMU hangs */
};

struct outcome {
    enum outcome_kind kind;
    uint32_t error_code;
    va_t cr2;
    pa_t pa;
    bool pa_known; /* a page-straddling access has no single one */
    bool large;    /* served by a 4 MB page */
};

struct access {
    va_t va;
    enum mmu_type type;
    enum mmu_mode mode;
    bool crosses; /* into the next page */
};

struct va_set {
    va_t va[64];
    unsigned count;
};

struct sequence {
    char id[24], name[32];
    bool open, skipped;
    /* Pages where the MMU used a legally stale translation and the line's fresh outcome was a fault. */
    struct va_set missed_faults;
    /* 4 MB regions of which the MMU may hold a large translation: used, not invalidated by INVLPG or a fault since. */
    struct va_set large;
};

struct runner {
    struct vectors_file file;
    const struct vectors_config *config;
    struct vectors_report *report;
    struct mmu *mmu;
    bool commented; /* the first line, which says MAXPHYADDR, has been read */
    struct vectors_memory memory;
    struct sequence sequence;
};

/* ---- counting and reporting ---- */

static struct vectors_count *count_of(struct vectors_report *report, const char *name) {
    unsigned i = 0;
    while (i < report->set_count && strcmp(report->sets[i].name, name) != 0) { i++; }
    if (i == VECTORS_SET_MAX) { return NULL; }
    if (i == report->set_count) {
        snprintf(report->sets[i].name, sizeof report->sets[i].name, "%s", name);
        report->set_count++;
    }
    return &report->sets[i].count;
}

enum verdict { PASSED, FAILED, SKIPPED };

static void add(struct vectors_count *count, enum verdict verdict) {
    count->passed += verdict == PASSED;
    count->failed += verdict == FAILED;
    count->skipped += verdict == SKIPPED;
}

static int count_line(struct runner *r, const char *set, enum verdict verdict) {
    struct vectors_count *count = strlen(set) < sizeof r->report->sets[0].name ? count_of(r->report, set) : NULL;
    if (!count) {
        return vectors_file_fail(&r->file, set, "at most 128 different sets, names of at most 31 characters");
    }
    add(count, verdict);
    add(&r->report->total, verdict);
    return 0;
}

static enum verdict report_failure(struct runner *r, const char *found, const char *expected) {
    struct vectors_failure failure = {r->file.path, r->file.line, found, expected};
    if (r->config->on_failure) { r->config->on_failure(r->config->ctx, &failure); }
    return FAILED;
}

/* ---- outcomes ---- */

static void format_outcome(const struct outcome *outcome, char *out, size_t size) {
    if (outcome->kind == OUTCOME_GP) {
        snprintf(out, size, "gp");
    } else if (outcome->kind == OUTCOME_LOAD_GP) {
        snprintf(out, size, "gp at a register load");
    } else if (outcome->kind == OUTCOME_NONE) {
        snprintf(out, size, "no answer");
    } else if (outcome->kind == OUTCOME_PF) {
        snprintf(out, size, "pf, error code %" PRIx32 ", cr2 %" PRIx64, outcome->error_code, outcome->cr2);
    } else if (outcome->pa_known) {
        snprintf(out, size, "ok, pa %" PRIx64, outcome->pa);
    } else {
        snprintf(out, size, "ok");
    }
}

/* The processor writes implicitly when it loads a segment descriptor: it reads the descriptor, then sets the accessed
 * bit in its type byte. */
static bool is_descriptor_load(const struct access *access) {
    return access->mode == MMU_IMPLICIT && access->type == MMU_WRITE;
}

/* Which byte of the descriptor CR2 names is not the same on all processors. */
static va_t cr2_mask(const struct access *access) {
    return is_descriptor_load(access) ? ~(va_t)(DESCRIPTOR_BYTES - 1) : ~(va_t)0;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b, const struct access *access) {
    if (a->kind != b->kind) { return false; }
    if (a->kind == OUTCOME_PF) { return a->error_code == b->error_code && ((a->cr2 ^ b->cr2) & cr2_mask(access)) == 0; }
    return a->kind != OUTCOME_OK || !a->pa_known || !b->pa_known || a->pa == b->pa;
}

static enum verdict fail_outcome(struct runner *r, const char *when, const struct outcome *found,
                                 const struct outcome *expected) {
    char found_text[96], expected_text[96], both[128];
    format_outcome(found, found_text, sizeof found_text);
    format_outcome(expected, expected_text, sizeof expected_text);
    snprintf(both, sizeof both, "%s%s", found_text, when);
    return report_failure(r, both, expected_text);
}

/* ---- what an access line says ---- */

static int parse_access(struct runner *r, unsigned acc, unsigned lin, struct access *out) {
    static const char modes[] = "SUIJ", types[] = "RWXM";
    static const enum mmu_mode mode_of[] = {MMU_SUPERVISOR, MMU_USER, MMU_IMPLICIT, MMU_IMPLICIT};
    static const enum mmu_type type_of[] = {MMU_READ, MMU_WRITE, MMU_FETCH, MMU_MODIFY};
    const char *word = r->file.words[acc];
    const char *mode = strlen(word) == 2 ? strchr(modes, word[0]) : NULL;
    const char *type = mode ? strchr(types, word[1]) : NULL;
    if (!type) { return vectors_file_fail(&r->file, word, "an access: one of S U I J, then one of R W X M"); }
    out->mode = mode_of[mode - modes];
    out->type = type_of[type - types];
    if (vectors_hex(&r->file, lin, &out->va) < 0) { return -1; }
    out->crosses = (out->va & PAGE_MASK) + ACCESS_BYTES > PAGE_SIZE;
    if (is_descriptor_load(out) && (out->va & PAGE_MASK) + DESCRIPTOR_BYTES > PAGE_SIZE) {
        return vectors_file_fail(&r->file, r->file.words[lin], "a descriptor within one page");
    }
    return 0;
}

/* Words `first` on: out ec cr2 pa. */
static int parse_outcome(struct runner *r, unsigned first, struct outcome *out) {
    struct vectors_file *file = &r->file;
    const char *word = file->words[first];
    *out = (struct outcome){0};
    if (strcmp(word, "gp") == 0 || strcmp(word, "c3d") == 0) {
        out->kind = *word == 'g' ? OUTCOME_GP : OUTCOME_LOAD_GP;
        return 0;
    }
    if (strcmp(word, "pf") == 0) {
        uint64_t error_code;
        if (vectors_hex(file, first + 1, &error_code) < 0 || vectors_hex(file, first + 2, &out->cr2) < 0) { return -1; }
        out->kind = OUTCOME_PF;
        out->error_code = (uint32_t)error_code;
        return 0;
    }
    if (strcmp(word, "ok") != 0) { return vectors_file_fail(file, word, "an outcome: ok, pf, gp or c3d"); }
    out->pa_known = strcmp(file->words[first + 3], "?") != 0;
    return out->pa_known ? vectors_hex(file, first + 3, &out->pa) : 0;
}

static int parse_flag(struct runner *r, unsigned index, bool *out) {
    const char *word = r->file.words[index];
    if (strcmp(word, "0") != 0 && strcmp(word, "1") != 0) { return vectors_file_fail(&r->file, word, "0 or 1"); }
    *out = word[0] == '1';
    return 0;
}

/* -1, or 0 with whether the MMU has the mode. */
static int parse_mode(struct runner *r, unsigned index, bool *ours, unsigned *mode) {
    const char *word = r->file.words[index];
    if (strlen(word) != 1 || word[0] < '0' + MODE_FIRST || word[0] > '0' + MODE_LAST) {
        return vectors_file_fail(&r->file, word, "a paging mode: 2, 3 or 4");
    }
    *mode = (unsigned)(word[0] - '0');
    *ours = *mode == MODE_TWO_LEVEL || (*mode == MODE_PAE && r->config->pae);
    return 0;
}

/* ---- driving the MMU ---- */

static struct outcome request_once(struct runner *r, va_t va, enum mmu_type type, enum mmu_mode mode, unsigned bytes) {
    struct mmu_request request = {.va = va, .type = (uint8_t)type, .mode = (uint8_t)mode, .size = (uint8_t)bytes};
    struct mmu_result result;
    if (r->config->mmu->translate(r->mmu, &request, &result, 1) != 1) { return (struct outcome){.kind = OUTCOME_NONE}; }
    if (result.vector == MMU_VECTOR_PF) {
        return (struct outcome){.kind = OUTCOME_PF, .error_code = result.error_code, .cr2 = result.cr2};
    }
    if (result.vector != MMU_VECTOR_NONE) { return (struct outcome){.kind = OUTCOME_GP}; }
    return (struct outcome){
        .kind = OUTCOME_OK, .pa = result.pa, .pa_known = true, .large = result.page_shift == LARGE_SHIFT};
}

/* An access over a page boundary is two, the lower page first. */
static struct outcome access_two_pages(struct runner *r, const struct access *access) {
    va_t second = page_of(access->va) + PAGE_SIZE;
    unsigned bytes = (unsigned)(second - access->va);
    struct outcome outcome = request_once(r, access->va, access->type, access->mode, bytes);
    if (outcome.kind == OUTCOME_OK) {
        outcome = request_once(r, second, access->type, access->mode, ACCESS_BYTES - bytes);
    }
    outcome.pa_known = false;
    return outcome;
}

static struct outcome load_descriptor(struct runner *r, const struct access *access) {
    struct outcome read = request_once(r, access->va, MMU_READ, access->mode, DESCRIPTOR_BYTES);
    if (read.kind != OUTCOME_OK) { return read; }
    struct outcome write = request_once(r, access->va + DESCRIPTOR_TYPE, MMU_WRITE, access->mode, 1);
    write.pa -= DESCRIPTOR_TYPE;
    return write;
}

static struct outcome access_memory(struct runner *r, const struct access *access) {
    if (is_descriptor_load(access)) { return load_descriptor(r, access); }
    if (access->crosses) { return access_two_pages(r, access); }
    return request_once(r, access->va, access->type, access->mode, ACCESS_BYTES);
}

static bool write_register(struct runner *r, enum mmu_control which, uint64_t value) {
    return r->config->mmu->write_control(r->mmu, which, value) == MMU_VECTOR_NONE;
}

struct registers {
    uint64_t cr0, cr3, cr4, efer;
    bool ac;
};

/* Through paging off, which empties the TLBs. False if a register cannot be loaded so. */
static bool load_registers(struct runner *r, const struct registers *registers) {
    return write_register(r, MMU_CR0, CR0_PE) && write_register(r, MMU_CR4, registers->cr4) &&
           write_register(r, MMU_EFER, registers->efer) && write_register(r, MMU_CR3, registers->cr3) &&
           write_register(r, MMU_EFLAGS_AC, registers->ac) && write_register(r, MMU_CR0, registers->cr0);
}

/* Words cr0 cr4 efer, from `first` on. */
static int parse_registers(struct runner *r, unsigned first, struct registers *out) {
    struct vectors_file *file = &r->file;
    return vectors_hex(file, first, &out->cr0) < 0 || vectors_hex(file, first + 1, &out->cr4) < 0 ||
                   vectors_hex(file, first + 2, &out->efer) < 0
               ? -1
               : 0;
}

/* ---- V: one access a line ---- */

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

/* One table entry of the line: where it is, and what it must hold afterwards. */
enum { LINE_ENTRIES = 3 };
struct line_entry {
    bool used;
    pa_t pa;
    uint64_t after;
};

static int store_entry(struct runner *r, pa_t pa, uint64_t value) {
    if (vectors_memory_store(&r->memory, pa, value) == 0) { return 0; }
    return vectors_file_fail(&r->file, r->file.words[0], "at most 256 entries and 1024 stores in a sequence");
}

/* '=' and '~' both mean unchanged here: where others may set A above a fault, our walk writes nothing. */
static int parse_entry(struct runner *r, unsigned before, unsigned after, pa_t pa, uint64_t *value,
                       struct line_entry *out) {
    const char *word = r->file.words[after];
    *out = (struct line_entry){.used = strcmp(r->file.words[before], "-") != 0, .pa = pa};
    if (!out->used) {
        return strcmp(word, "-") == 0 ? 0 : vectors_file_fail(&r->file, word, "-, as for the entry before");
    }
    if (vectors_hex(&r->file, before, value) < 0) { return -1; }
    out->after = *value;
    if (strcmp(word, "=") != 0 && strcmp(word, "~") != 0 && vectors_hex(&r->file, after, &out->after) < 0) {
        return -1;
    }
    return store_entry(r, pa, *value);
}

/* What the levels of a line are: where an entry is comes from the one above. */
static const struct level {
    unsigned before, after; /* fields of the line */
    const char *name;
} levels[LINE_ENTRIES] = {{V_E3, V_A3, "PDPTE"}, {V_E2, V_A2, "PDE"}, {V_E1, V_A1, "PTE"}};

static int parse_entries(struct runner *r, unsigned mode, uint64_t cr3, va_t va, struct line_entry out[LINE_ENTRIES]) {
    const bool pae = mode == MODE_PAE;
    const unsigned unused[] = {V_E4, V_A4, pae ? V_E4 : V_E3, pae ? V_A4 : V_A3};
    for (unsigned i = 0; i < sizeof unused / sizeof *unused; i++) {
        const char *word = r->file.words[unused[i]];
        if (strcmp(word, "-") != 0) { return vectors_file_fail(&r->file, word, "- for a level that the mode has not"); }
    }
    vectors_memory_reset(&r->memory);
    uint64_t entry = 0;
    pa_t pa = pae ? (cr3 & 0xFFFFFFE0) + (va >> 30 & 3) * 8 : 0;
    for (unsigned i = 0; i < LINE_ENTRIES; i++) {
        if (parse_entry(r, levels[i].before, levels[i].after, pa, &entry, &out[i]) < 0) { return -1; }
        if (i + 1 == LINE_ENTRIES) { break; }
        pa_t table = pae ? entry & 0x000FFFFFFFFFF000 : (i == 0 ? cr3 : entry) & 0xFFFFF000;
        pa = table + (pae ? (va >> (21 - 9 * i) & 0x1FF) * 8 : (va >> (22 - 10 * i) & 0x3FF) * 4);
    }
    return 0;
}

static enum verdict check_entries(struct runner *r, const struct line_entry entries[LINE_ENTRIES]) {
    if (r->memory.strayed) { return report_failure(r, "a write to no entry of the walk", "none"); }
    for (unsigned i = 0; i < LINE_ENTRIES; i++) {
        const struct vectors_entry *entry = entries[i].used ? vectors_memory_find(&r->memory, entries[i].pa) : NULL;
        if (!entry || entry->value == entries[i].after) { continue; }
        char found[48], expected[48];
        snprintf(found, sizeof found, "%s %" PRIx64 " afterwards", levels[i].name, entry->value);
        snprintf(expected, sizeof expected, "%" PRIx64, entries[i].after);
        return report_failure(r, found, expected);
    }
    return PASSED;
}

static enum verdict check_v(struct runner *r, const struct registers *registers, const struct access *access,
                            const struct outcome *expected, const struct line_entry entries[LINE_ENTRIES]) {
    static const char *const when[2] = {"", " the second time"};
    if (!load_registers(r, registers)) {
        struct outcome gp = {.kind = OUTCOME_LOAD_GP};
        return expected->kind == OUTCOME_LOAD_GP ? PASSED : fail_outcome(r, "", &gp, expected);
    }
    for (unsigned time = 0; time < 2; time++) {
        struct outcome found = access_memory(r, access);
        if (!same_outcome(&found, expected, access)) { return fail_outcome(r, when[time], &found, expected); }
        if (check_entries(r, entries) == FAILED) { return FAILED; }
    }
    return PASSED;
}

static int run_v(struct runner *r) {
    bool ours = false;
    unsigned mode;
    if (vectors_need_words(&r->file, V_WORDS, true) < 0 || parse_mode(r, V_MODE, &ours, &mode) < 0) { return -1; }
    if (!ours) { return count_line(r, r->file.words[V_SET], SKIPPED); }
    struct registers registers;
    struct access access;
    struct outcome expected;
    struct line_entry entries[LINE_ENTRIES];
    if (parse_registers(r, V_CR0, &registers) < 0 || parse_flag(r, V_AC, &registers.ac) < 0 ||
        parse_access(r, V_ACC, V_LIN, &access) < 0 || vectors_hex(&r->file, V_CR3, &registers.cr3) < 0 ||
        parse_outcome(r, V_OUT, &expected) < 0 || parse_entries(r, mode, registers.cr3, access.va, entries) < 0) {
        return -1;
    }
    return count_line(r, r->file.words[V_SET], check_v(r, &registers, &access, &expected, entries));
}

/* ---- Q and its steps ---- */

static bool set_has(const struct va_set *set, va_t va) {
    for (unsigned i = 0; i < set->count; i++) {
        if (set->va[i] == va) { return true; }
    }
    return false;
}

static void set_remove(struct va_set *set, va_t va) {
    unsigned kept = 0;
    for (unsigned i = 0; i < set->count; i++) {
        if (set->va[i] != va) { set->va[kept++] = set->va[i]; }
    }
    set->count = kept;
}

static void set_add(struct va_set *set, va_t va) {
    set_remove(set, va);
    if (set->count < sizeof set->va / sizeof *set->va) { set->va[set->count++] = va; }
}

enum { Q_ID = 1, Q_NAME, Q_MODE, Q_CR0, Q_CR4, Q_EFER, Q_CR3, Q_WORDS };
enum { M_PA = 2, M_VALUE, M_WORDS };
enum { W_PA = 3, W_VALUE, W_WORDS };
enum { I_LIN = 3, I_OUT, I_WORDS };
enum { R_VALUE = 3, R_OUT, R_WORDS };
enum { A_AC = 3, A_ACC, A_LIN, A_CLASS, A_OUT, A_EC, A_CR2, A_PA, A_MUST, A_AGREE, A_WORDS };

static int run_q(struct runner *r) {
    struct sequence *sequence = &r->sequence;
    struct registers registers = {0};
    bool ours = false;
    unsigned mode;
    if (vectors_need_words(&r->file, Q_WORDS, true) < 0 || parse_mode(r, Q_MODE, &ours, &mode) < 0 ||
        parse_registers(r, Q_CR0, &registers) < 0 || vectors_hex(&r->file, Q_CR3, &registers.cr3) < 0) {
        return -1;
    }
    snprintf(sequence->id, sizeof sequence->id, "%s", r->file.words[Q_ID]);
    snprintf(sequence->name, sizeof sequence->name, "%s", r->file.words[Q_NAME]);
    sequence->open = true;
    ours = ours && mode == MODE_TWO_LEVEL; /* how stale a large page may be is judged for 4 MB only */
    sequence->skipped = !ours;
    sequence->missed_faults.count = 0;
    sequence->large.count = 0;
    vectors_memory_reset(&r->memory);
    if (ours && !load_registers(r, &registers)) {
        return vectors_file_fail(&r->file, "a value that a control register refuses",
                                 "registers of a processor with paging on");
    }
    return 0;
}

/* M and W lines, whose address and value are fields pa_field and the next. */
static int run_store(struct runner *r, unsigned pa_field, unsigned words) {
    uint64_t pa, value;
    if (vectors_need_words(&r->file, words, true) < 0 || vectors_hex(&r->file, pa_field, &pa) < 0 ||
        vectors_hex(&r->file, pa_field + 1, &value) < 0) {
        return -1;
    }
    return r->sequence.skipped ? 0 : store_entry(r, pa, value);
}

static int run_m(struct runner *r) { return run_store(r, M_PA, M_WORDS); }

static int run_w(struct runner *r) { return run_store(r, W_PA, W_WORDS); }

static int run_invlpg(struct runner *r) {
    va_t va;
    if (vectors_need_words(&r->file, I_WORDS, true) < 0 || vectors_hex(&r->file, I_LIN, &va) < 0) { return -1; }
    const char *out = r->file.words[I_OUT];
    if (strcmp(out, "ok") != 0) { return vectors_file_fail(&r->file, out, "ok: INVLPG does not fail"); }
    if (r->sequence.skipped) { return count_line(r, r->sequence.name, SKIPPED); }
    r->config->mmu->invlpg(r->mmu, va);
    set_remove(&r->sequence.large, va >> LARGE_SHIFT);
    set_remove(&r->sequence.missed_faults, page_of(va));
    return count_line(r, r->sequence.name, PASSED);
}

static int run_register(struct runner *r) {
    static const struct {
        char letter;
        enum mmu_control which;
    } registers[] = {{'0', MMU_CR0}, {'3', MMU_CR3}, {'4', MMU_CR4}, {'E', MMU_EFER}};
    const char *out;
    uint64_t value;
    if (vectors_need_words(&r->file, R_WORDS, false) < 0 || vectors_hex(&r->file, R_VALUE, &value) < 0) { return -1; }
    out = r->file.words[R_OUT];
    bool ok = strcmp(out, "ok") == 0;
    if (!ok && strcmp(out, "gp") != 0) { return vectors_file_fail(&r->file, out, "ok or gp"); }
    if (r->sequence.skipped) { return count_line(r, r->sequence.name, SKIPPED); }
    unsigned i = 0;
    while (registers[i].letter != r->file.words[0][1]) { i++; }
    bool found = write_register(r, registers[i].which, value);
    enum verdict verdict = found == ok ? PASSED : report_failure(r, found ? "ok" : "gp", out);
    return count_line(r, r->sequence.name, verdict);
}

/* INVPCID needs 4-level paging. */
static int run_invpcid(struct runner *r) {
    if (r->sequence.skipped) { return count_line(r, r->sequence.name, SKIPPED); }
    return vectors_file_fail(&r->file, r->file.words[0], "no INVPCID in mode 2");
}

/* What an access may have done to one entry: nothing but A and D ever changes, and no access clears them. */
static bool only_sets(const struct vectors_entry *entry, uint64_t bits) {
    uint64_t changed = entry->before ^ entry->value;
    return (changed & ~bits) == 0 && (entry->value & changed) == changed;
}

static enum verdict fail_entry(struct runner *r, const struct vectors_entry *entry, const char *expected) {
    char found[96];
    snprintf(found, sizeof found, "entry %" PRIx64 ": %" PRIx64 " to %" PRIx64, entry->pa, entry->before, entry->value);
    return report_failure(r, found, expected);
}

/* The bits that the line's `must` list demands of one entry. */
static uint64_t must_bits(char *list, pa_t pa) {
    uint64_t bits = 0;
    for (char *item = list; item && *item; item = strchr(item, ',') ? strchr(item, ',') + 1 : NULL) {
        char *colon;
        pa_t item_pa = strtoull(item, &colon, 16);
        if (item_pa == pa && *colon == ':') { bits |= strtoull(colon + 1, NULL, 16); }
    }
    return bits;
}

/* Fresh: exactly the bits of the list are set now, where they were not. A walk that faults writes nothing; but an
 * access of two requests may have set A and D by the first. */
static enum verdict check_tables(struct runner *r, const struct access *access, const struct outcome *found,
                                 bool fresh) {
    char *list = r->file.words[A_MUST];
    bool may_write = found->kind == OUTCOME_OK || access->crosses || is_descriptor_load(access);
    if (r->memory.strayed) { return report_failure(r, "a write to no entry of the sequence", "none"); }
    for (unsigned i = 0; i < r->memory.count; i++) {
        const struct vectors_entry *entry = &r->memory.entries[i];
        uint64_t must = must_bits(list, entry->pa);
        bool exact = fresh && found->kind == OUTCOME_OK;
        uint64_t may = !may_write ? 0 : exact ? must : ENTRY_ACCESSED | ENTRY_DIRTY;
        if (!only_sets(entry, may)) {
            return fail_entry(r, entry, exact ? list : "at most A or D set, and nothing by a fault");
        }
        if (fresh && (entry->value & must) != must) { return fail_entry(r, entry, list); }
    }
    return PASSED;
}

/* Bits of the error code that the access itself decides, whatever translation served it. */
static bool plausible_fault(const struct outcome *found, const struct access *access) {
    uint32_t write = access->type == MMU_WRITE || access->type == MMU_MODIFY ? PF_WRITE : 0;
    uint32_t user = access->mode == MMU_USER ? PF_USER : 0;
    uint32_t decided = is_descriptor_load(access) ? PF_USER : PF_USER | PF_WRITE; /* it reads, too */
    bool in_access = page_of(found->cr2) == page_of(access->va) || access->crosses;
    return ((found->error_code ^ (write | user)) & decided) == 0 && in_access;
}

/* The entry of the address's index in some table has been stored with this value. */
static bool could_give(const struct vectors_stored *stored, const struct outcome *found, va_t va) {
    uint64_t value = stored->value;
    unsigned shift = found->large ? LARGE_SHIFT : 12;
    pa_t frame = found->large ? (value & 0xFFC00000) | (value >> 13 & 0xFF) << 32 : value & 0xFFFFF000;
    bool leaf = (value & ENTRY_PRESENT) && (!found->large || (value & ENTRY_LARGE));
    return leaf && (stored->pa & PAGE_MASK) == (va >> shift & 0x3FF) * 4 &&
           found->pa == (frame | (va & (((va_t)1 << shift) - 1)));
}

/* A stale translation still comes from a value that an entry for this address has held. */
static bool plausible_pa(const struct runner *r, const struct outcome *found, const struct access *access) {
    if (!found->pa_known) { return true; }
    for (unsigned i = 0; i < r->memory.history_count; i++) {
        if (could_give(&r->memory.history[i], found, access->va)) { return true; }
    }
    return false;
}

/* Whether the sequence so far obliges this MMU to a fresh outcome. P is owed to a fault that the lines before expect:
 * if the MMU was free to serve that access from a stale entry instead, there was no fault and nothing is owed yet. N
 * reasons from the pages that were accessed: an MMU that holds a large translation whole has accessed them all. */
static bool must_be_fresh(const struct sequence *sequence, char class, va_t va) {
    switch (class) {
    case 'F': return true;
    case 'P': return !set_has(&sequence->missed_faults, page_of(va));
    case 'N': return !set_has(&sequence->large, va >> LARGE_SHIFT);
    default: return false;
    }
}

static void remember(struct sequence *sequence, const struct outcome *found, const struct outcome *expected, va_t va) {
    if (found->kind == OUTCOME_PF) {
        set_remove(&sequence->missed_faults, page_of(found->cr2));
        set_remove(&sequence->large, found->cr2 >> LARGE_SHIFT);
        return;
    }
    if (expected->kind == OUTCOME_PF) { set_add(&sequence->missed_faults, page_of(va)); }
    if (found->large) { set_add(&sequence->large, va >> LARGE_SHIFT); }
}

static enum verdict check_a(struct runner *r, const struct access *access, const struct outcome *expected, char class) {
    vectors_memory_mark(&r->memory);
    bool fresh = must_be_fresh(&r->sequence, class, access->va);
    struct outcome found = access_memory(r, access);
    remember(&r->sequence, &found, expected, access->va);
    if (class == 'X') { return check_tables(r, access, &found, false) == FAILED ? FAILED : SKIPPED; }
    bool same = same_outcome(&found, expected, access);
    if (fresh && !same) { return fail_outcome(r, "", &found, expected); }
    bool plausible = found.kind == OUTCOME_PF ? plausible_fault(&found, access)
                                              : found.kind == OUTCOME_OK && plausible_pa(r, &found, access);
    if (!same && !plausible) { return fail_outcome(r, ", neither fresh nor stale", &found, expected); }
    r->report->excused_p += class == 'P' && !same;
    r->report->excused_n += class == 'N' && !same;
    return check_tables(r, access, &found, fresh);
}

static int run_a(struct runner *r) {
    if (vectors_need_words(&r->file, A_WORDS, false) < 0) { return -1; }
    if (r->sequence.skipped) { return count_line(r, r->sequence.name, SKIPPED); }
    const char *class = r->file.words[A_CLASS];
    struct access access;
    struct outcome expected;
    bool ac;
    if (strlen(class) != 1 || !strchr("FNPSX", class[0])) {
        return vectors_file_fail(&r->file, class, "a class: F, N, P, S or X");
    }
    if (parse_flag(r, A_AC, &ac) < 0 || parse_access(r, A_ACC, A_LIN, &access) < 0 ||
        parse_outcome(r, A_OUT, &expected) < 0) {
        return -1;
    }
    write_register(r, MMU_EFLAGS_AC, ac);
    return count_line(r, r->sequence.name, check_a(r, &access, &expected, class[0]));
}

/* ---- the file ---- */

/* The first comment says MAXPHYADDR, and with it the MMU can be made. */
static int run_comment(struct runner *r) {
    if (r->commented) { return 0; }
    r->commented = true;
    unsigned i = 0;
    while (i < r->file.word_count && strcmp(r->file.words[i], "MAXPHYADDR") != 0) { i++; }
    const char *word = i + 1 < r->file.word_count ? r->file.words[i + 1] : NULL;
    long bits = word ? strtol(word, NULL, 10) : 0;
    if (bits < 32 || bits > 40) { return vectors_file_fail(&r->file, word, "MAXPHYADDR 32..40 in the first line"); }
    struct mmu_config config = {
        .preset = r->config->preset,
        .memory = vectors_memory_interface(&r->memory),
        .assertions = r->config->assertions,
    };
    config.preset.physical_bits = (unsigned)bits;
    r->mmu = r->config->mmu->create(&config, r->file.err, r->file.err_size);
    return r->mmu ? 0 : -1;
}

static int check_step_id(struct runner *r) {
    if (!r->sequence.open) {
        return vectors_file_fail(&r->file, r->file.words[0], "V, Q or # before a sequence is open");
    }
    if (vectors_need_words(&r->file, Q_ID + 1, false) < 0) { return -1; }
    const char *id = r->file.words[Q_ID];
    return strcmp(id, r->sequence.id) == 0 ? 0 : vectors_file_fail(&r->file, id, r->sequence.id);
}

static int run_line(struct runner *r) {
    static const struct {
        const char *word;
        bool step;
        int (*run)(struct runner *r);
    } kinds[] = {
        {"V", false, run_v},        {"Q", false, run_q},        {"M", true, run_m},         {"W", true, run_w},
        {"I", true, run_invlpg},    {"R0", true, run_register}, {"R3", true, run_register}, {"R4", true, run_register},
        {"RE", true, run_register}, {"P", true, run_invpcid},   {"A", true, run_a},
    };
    const char *word = r->file.words[0];
    if (word[0] == '#') { return run_comment(r); }
    if (!r->mmu) { return vectors_file_fail(&r->file, word, "a first line '# … MAXPHYADDR N …'"); }
    if (r->file.too_many_words) { return vectors_file_fail(&r->file, word, "at most 32 fields"); }
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(word, kinds[i].word) != 0) { continue; }
        return kinds[i].step && check_step_id(r) < 0 ? -1 : kinds[i].run(r);
    }
    return vectors_file_fail(&r->file, word, "V, Q, M, W, I, R0, R3, R4, RE, P, A or #");
}

int vectors_run(const char *path, const struct vectors_config *config, struct vectors_report *report, char *err,
                size_t err_size) {
    struct runner *r = calloc(1, sizeof *r);
    if (!r) {
        snprintf(err, err_size, "%s: out of memory", path);
        return -1;
    }
    r->config = config;
    r->report = report;
    int status = vectors_file_open(&r->file, path, err, err_size);
    while (status == 0 && vectors_file_next(&r->file)) { status = run_line(r); }
    if (status == 0 && !r->commented) { status = vectors_file_fail(&r->file, NULL, "a line '# … MAXPHYADDR N …'"); }
    if (r->mmu) { config->mmu->destroy(r->mmu); }
    vectors_file_close(&r->file);
    free(r);
    return status;
}
