/* Sequences, Q lines and their steps: tables and registers change between accesses, with and without telling the MMU.
 * A fresh outcome is that of memory as it is; where the line allows a stale one, it must be one that some entry of the
 * address has once given. */
#include "vectors_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { Q_ID = 1, Q_NAME, Q_MODE, Q_CR0, Q_CR4, Q_EFER, Q_CR3, Q_WORDS };
enum { M_PA = 2, M_VALUE, M_WORDS };
enum { W_PA = 3, W_VALUE, W_WORDS };
enum { I_LIN = 3, I_OUT, I_WORDS };
enum { R_VALUE = 3, R_OUT, R_WORDS };
enum { P_TYPE = 3, P_PCID, P_LIN, P_OUT, P_WORDS };
enum { A_AC = 3, A_ACC, A_LIN, A_CLASS, A_OUT, A_EC, A_CR2, A_PA, A_MUST, A_AGREE, A_WORDS };

enum { ANY_PCID = 0xFFFF };

/* ---- sets of pages, each of the address space (PCID) that used it ---- */

static uint16_t current_pcid(const struct runner *r) {
    bool pcide = r->config->mmu->read_control(r->mmu, MMU_CR4) & CR4_PCIDE;
    return pcide ? r->config->mmu->read_control(r->mmu, MMU_CR3) & CR3_PCID : 0;
}

static bool holds(const struct page *page, va_t va) { return page->va >> page->shift == va >> page->shift; }

/* In any address space: the page may be global. */
static bool set_has(const struct page_set *set, va_t va) {
    for (unsigned i = 0; i < set->count; i++) {
        if (holds(&set->pages[i], va)) { return true; }
    }
    return false;
}

static void set_remove(struct page_set *set, va_t va, uint16_t pcid) {
    unsigned kept = 0;
    for (unsigned i = 0; i < set->count; i++) {
        const bool other = pcid != ANY_PCID && set->pages[i].pcid != pcid;
        if (other || !holds(&set->pages[i], va)) { set->pages[kept++] = set->pages[i]; }
    }
    set->count = kept;
}

static void set_add(struct page_set *set, struct page page) {
    set_remove(set, page.va, page.pcid);
    if (set->count < sizeof set->pages / sizeof *set->pages) { set->pages[set->count++] = page; }
}

static void invalidated(struct sequence *sequence, va_t va, uint16_t pcid) {
    set_remove(&sequence->missed_faults, va, pcid);
    set_remove(&sequence->large, va, pcid);
    set_remove(&sequence->stale_global, va, ANY_PCID);
}

static void invalidated_all(struct sequence *sequence) {
    sequence->missed_faults.count = sequence->large.count = sequence->stale_global.count = 0;
}

/* ---- all steps but accesses ---- */

static int skip_rest(struct runner *r, unsigned missing) {
    r->sequence.missing = missing;
    return 0;
}

static int count_step(struct runner *r, enum verdict verdict) {
    struct sequence *sequence = &r->sequence;
    return sequence->missing ? vectors_count_missing(r, sequence->name, sequence->missing)
                             : vectors_count_line(r, sequence->name, verdict);
}

static int run_q(struct runner *r) {
    struct sequence *sequence = &r->sequence;
    struct registers registers = {0};
    if (vectors_need_words(&r->file, Q_WORDS, true) < 0 || vectors_parse_mode(r, Q_MODE, &sequence->mode) < 0 ||
        vectors_parse_registers(r, Q_CR0, &registers) < 0 || vectors_hex(&r->file, Q_CR3, &registers.cr3) < 0) {
        return -1;
    }
    snprintf(sequence->id, sizeof sequence->id, "%s", r->file.words[Q_ID]);
    snprintf(sequence->name, sizeof sequence->name, "%s", r->file.words[Q_NAME]);
    sequence->open = true;
    sequence->loaded = false;
    sequence->registers = registers;
    invalidated_all(sequence);
    vectors_memory_reset(&r->memory);
    return skip_rest(r, vectors_missing(r, sequence->mode, registers.cr4, registers.efer));
}

/* The registers are loaded by the first step, after the M lines: PAE's PDPTEs are then in memory. */
static int load_once(struct runner *r) {
    if (r->sequence.loaded || r->sequence.missing) { return 0; }
    r->sequence.loaded = true;
    if (vectors_load_registers(r, &r->sequence.registers)) { return 0; }
    return vectors_file_fail(&r->file, "a value that a control register refuses",
                             "registers of a processor with paging on");
}

/* M and W lines, whose address and value are fields pa_field and the next. */
static int run_store(struct runner *r, unsigned pa_field, unsigned words) {
    uint64_t pa, value;
    if (vectors_need_words(&r->file, words, true) < 0 || vectors_hex(&r->file, pa_field, &pa) < 0 ||
        vectors_hex(&r->file, pa_field + 1, &value) < 0) {
        return -1;
    }
    return r->sequence.missing ? 0 : vectors_store(r, pa, value);
}

static int run_m(struct runner *r) { return run_store(r, M_PA, M_WORDS); }

static int run_w(struct runner *r) { return run_store(r, W_PA, W_WORDS); }

static int run_invlpg(struct runner *r) {
    va_t va;
    if (vectors_need_words(&r->file, I_WORDS, true) < 0 || vectors_hex(&r->file, I_LIN, &va) < 0) { return -1; }
    const char *out = r->file.words[I_OUT];
    if (strcmp(out, "ok") != 0) { return vectors_file_fail(&r->file, out, "ok: INVLPG does not fail"); }
    if (!r->sequence.missing) {
        r->config->mmu->invlpg(r->mmu, va);
        invalidated(&r->sequence, va, current_pcid(r));
    }
    return count_step(r, PASSED);
}

/* The word that says whether a control write or INVPCID succeeded. */
static int parse_ok_or_gp(struct runner *r, unsigned index, bool *ok) {
    const char *out = r->file.words[index];
    *ok = strcmp(out, "ok") == 0;
    return *ok || strcmp(out, "gp") == 0 ? 0 : vectors_file_fail(&r->file, out, "ok or gp");
}

static enum verdict check_ok_or_gp(struct runner *r, bool found, bool expected) {
    return found == expected ? PASSED : vectors_report_failure(r, found ? "ok" : "gp", expected ? "ok" : "gp");
}

static int run_register(struct runner *r) {
    static const char letters[] = "034E";
    static const enum mmu_control controls[] = {MMU_CR0, MMU_CR3, MMU_CR4, MMU_EFER};
    uint64_t value;
    bool ok;
    if (vectors_need_words(&r->file, R_WORDS, false) < 0 || vectors_hex(&r->file, R_VALUE, &value) < 0 ||
        parse_ok_or_gp(r, R_OUT, &ok) < 0) {
        return -1;
    }
    enum mmu_control which = controls[strchr(letters, r->file.words[0][1]) - letters];
    if (!r->sequence.missing) {
        skip_rest(r, vectors_missing(r, r->sequence.mode, which == MMU_CR4 ? value : 0, which == MMU_EFER ? value : 0));
    }
    if (r->sequence.missing) { return count_step(r, SKIPPED); }
    const uint64_t changed = r->config->mmu->read_control(r->mmu, which) ^ value;
    const bool found = vectors_write_register(r, which, value);
    if (found && which == MMU_CR4 && (changed & CR4_PGE)) { invalidated_all(&r->sequence); }
    return count_step(r, check_ok_or_gp(r, found, ok));
}

static int run_invpcid(struct runner *r) {
    uint64_t type, pcid;
    va_t va;
    bool ok;
    if (vectors_need_words(&r->file, P_WORDS, false) < 0 || vectors_hex(&r->file, P_TYPE, &type) < 0 ||
        vectors_hex(&r->file, P_PCID, &pcid) < 0 || vectors_hex(&r->file, P_LIN, &va) < 0 ||
        parse_ok_or_gp(r, P_OUT, &ok) < 0) {
        return -1;
    }
    if (!r->sequence.missing) { skip_rest(r, CPU_INVPCID & ~r->config->preset.features); }
    if (r->sequence.missing) { return count_step(r, SKIPPED); }
    bool found = r->config->mmu->invpcid(r->mmu, type, pcid, va) == MMU_VECTOR_NONE;
    /* Of the types, this one alone drops global pages, too. */
    if (found && type == INVPCID_ALL) { invalidated_all(&r->sequence); }
    return count_step(r, check_ok_or_gp(r, found, ok));
}

/* ---- accesses ---- */

/* What an access may have done to one entry: nothing but A and D ever changes, and no access clears them. */
static bool only_sets(const struct vectors_entry *entry, uint64_t bits) {
    uint64_t changed = entry->before ^ entry->value;
    return (changed & ~bits) == 0 && (entry->value & changed) == changed;
}

static enum verdict fail_entry(struct runner *r, const struct vectors_entry *entry, const char *expected) {
    char found[96];
    snprintf(found, sizeof found, "entry %" PRIx64 ": %" PRIx64 " to %" PRIx64, entry->pa, entry->before, entry->value);
    return vectors_report_failure(r, found, expected);
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
    bool may_write = found->kind == OUTCOME_OK || access->crosses || vectors_is_descriptor_load(access);
    if (r->memory.strayed) { return vectors_report_failure(r, "a write to no entry of the sequence", "none"); }
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
    uint32_t write = mmu_writes(access->type) ? PF_WRITE : 0;
    uint32_t user = access->mode == MMU_USER ? PF_USER : 0;
    uint32_t decided = vectors_is_descriptor_load(access) ? PF_USER : PF_USER | PF_WRITE; /* it reads, too */
    bool in_access = page_of(found->cr2) == page_of(access->va) || access->crosses;
    return ((found->error_code ^ (write | user)) & decided) == 0 && in_access;
}

/* The frame of a page of 2^shift bytes in its leaf. */
static pa_t frame_of(uint64_t leaf, unsigned shift) {
    if (shift == 22) { return (leaf & 0xFFC00000) | (leaf >> 13 & 0xFF) << 32; } /* PSE-36, SDM 4.3 */
    return leaf & 0x000FFFFFFFFFFFFF & ~(((pa_t)1 << shift) - 1);
}

/* The entry of the address's index in some table has been stored with this value. */
static bool could_give(const struct vectors_stored *stored, enum vectors_mode mode, pa_t pa, va_t va) {
    static const unsigned shifts[][3] = {[MODE_TWO_LEVEL] = {12, 22}, [MODE_PAE] = {12, 21}, {12, 21, 30}};
    const unsigned bits = mode == MODE_TWO_LEVEL ? 10 : 9, width = mode == MODE_TWO_LEVEL ? 4 : 8;
    for (unsigned i = 0; i < 3 && shifts[mode][i]; i++) {
        unsigned shift = shifts[mode][i];
        bool leaf = (stored->value & ENTRY_PRESENT) && (shift == 12 || (stored->value & ENTRY_LARGE));
        bool index = (stored->pa & PAGE_MASK) == (va >> shift & (((va_t)1 << bits) - 1)) * width;
        if (leaf && index && pa == (frame_of(stored->value, shift) | (va & (((va_t)1 << shift) - 1)))) { return true; }
    }
    return false;
}

/* A translation, stale or not, comes from a value that an entry for this address has held: NULL if from none. Of
 * several the first that is global. */
static const struct vectors_stored *source_of(const struct runner *r, const struct outcome *found,
                                              const struct access *access) {
    const struct vectors_stored *source = NULL;
    for (unsigned i = 0; i < r->memory.history_count; i++) {
        const struct vectors_stored *stored = &r->memory.history[i];
        if (!could_give(stored, r->sequence.mode, found->pa, access->va)) { continue; }
        if (stored->value & ENTRY_GLOBAL) { return stored; }
        source = stored;
    }
    return source;
}

static bool plausible_pa(const struct runner *r, const struct outcome *found, const struct access *access) {
    return !found->pa_known || source_of(r, found, access);
}

/* Whether the sequence so far obliges this MMU to a fresh outcome. P is owed to a fault that the lines before expect:
 * if the MMU was free to serve that access from a stale entry instead, there was no fault and nothing is owed yet. N
 * reasons from the pages that were accessed: an MMU that holds a large translation whole has accessed them all. F after
 * MOV CR3 reasons from the tables that could be reached before: a stale paging-structure-cache entry reaches others. */
static bool must_be_fresh(const struct sequence *sequence, char class, va_t va) {
    switch (class) {
    case 'F': return !set_has(&sequence->stale_global, va);
    case 'P': return !set_has(&sequence->missed_faults, va);
    case 'N': return !set_has(&sequence->large, va);
    default: return false;
    }
}

static void remember(struct runner *r, const struct outcome *found, const struct outcome *expected,
                     const struct access *access) {
    struct sequence *sequence = &r->sequence;
    const uint16_t pcid = current_pcid(r);
    if (found->kind == OUTCOME_PF) {
        invalidated(sequence, found->cr2, pcid);
        return;
    }
    const struct page page = {access->va, pcid, PAGE_SHIFT}, large = {access->va, pcid, found->page_shift};
    if (expected->kind == OUTCOME_PF) { set_add(&sequence->missed_faults, page); }
    if (found->page_shift > PAGE_SHIFT) { set_add(&sequence->large, large); }
    const bool global = r->config->mmu->read_control(r->mmu, MMU_CR4) & CR4_PGE;
    if (!global || !found->pa_known || vectors_same_outcome(found, expected, access)) { return; }
    const struct vectors_stored *source = source_of(r, found, access);
    if (source && (source->value & ENTRY_GLOBAL)) {
        set_add(&sequence->stale_global, found->page_shift > PAGE_SHIFT ? large : page);
    }
}

static enum verdict check_a(struct runner *r, const struct access *access, const struct outcome *expected, char class) {
    vectors_memory_mark(&r->memory);
    bool fresh = must_be_fresh(&r->sequence, class, access->va);
    struct outcome found = vectors_access(r, access);
    remember(r, &found, expected, access);
    if (class == 'X') { return check_tables(r, access, &found, false) == FAILED ? FAILED : SKIPPED; }
    bool same = vectors_same_outcome(&found, expected, access);
    if (fresh && !same) { return vectors_fail_outcome(r, "", &found, expected); }
    bool plausible = found.kind == OUTCOME_PF ? plausible_fault(&found, access)
                                              : found.kind == OUTCOME_OK && plausible_pa(r, &found, access);
    if (!same && !plausible) { return vectors_fail_outcome(r, ", neither fresh nor stale", &found, expected); }
    r->report->excused_p += class == 'P' && !same;
    r->report->excused_n += class == 'N' && !same;
    r->report->excused_f += class == 'F' && !same;
    return check_tables(r, access, &found, fresh);
}

static int run_a(struct runner *r) {
    if (vectors_need_words(&r->file, A_WORDS, false) < 0) { return -1; }
    const char *class = r->file.words[A_CLASS];
    struct access access;
    struct outcome expected;
    bool ac;
    if (strlen(class) != 1 || !strchr("FNPSX", class[0])) {
        return vectors_file_fail(&r->file, class, "a class: F, N, P, S or X");
    }
    if (vectors_parse_flag(r, A_AC, &ac) < 0 || vectors_parse_access(r, A_ACC, A_LIN, &access) < 0 ||
        vectors_parse_outcome(r, A_OUT, &expected) < 0) {
        return -1;
    }
    if (r->sequence.missing) { return count_step(r, SKIPPED); }
    vectors_write_register(r, MMU_EFLAGS_AC, ac);
    return count_step(r, check_a(r, &access, &expected, class[0]));
}

/* ---- lines ---- */

static int check_step_id(struct runner *r) {
    if (!r->sequence.open) {
        return vectors_file_fail(&r->file, r->file.words[0], "V, Q or # before a sequence is open");
    }
    if (vectors_need_words(&r->file, Q_ID + 1, false) < 0) { return -1; }
    const char *id = r->file.words[Q_ID];
    return strcmp(id, r->sequence.id) == 0 ? 0 : vectors_file_fail(&r->file, id, r->sequence.id);
}

int vectors_run_sequence_line(struct runner *r) {
    static const struct {
        const char *word;
        int (*run)(struct runner *r);
    } steps[] = {
        {"M", run_m},         {"W", run_w},         {"I", run_invlpg},  {"R0", run_register}, {"R3", run_register},
        {"R4", run_register}, {"RE", run_register}, {"P", run_invpcid}, {"A", run_a},
    };
    const char *word = r->file.words[0];
    if (strcmp(word, "Q") == 0) { return run_q(r); }
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        if (strcmp(word, steps[i].word) != 0) { continue; }
        if (check_step_id(r) < 0 || (steps[i].run != run_m && load_once(r) < 0)) { return -1; }
        return steps[i].run(r);
    }
    return vectors_file_fail(&r->file, word, "V, Q, M, W, I, R0, R3, R4, RE, P, A or #");
}
