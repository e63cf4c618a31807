/* Check 5, expectations: the keys about what an event came to, and about table entries, memory and TLB operations. */
#include "expect_priv.h"

#include "ntmmu/mmu.h"
#include "ntmmu/pte_pae.h"
#include "ntmmu/status.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A growing line of what was found. */
struct found {
    char text[768];
    size_t length;
};

__attribute__((format(printf, 3, 4))) static void found_add(struct found *f, char separator, const char *format, ...) {
    va_list args;
    if (f->length && f->length + 1 < sizeof f->text) { f->text[f->length++] = separator; }
    va_start(args, format);
    int n = vsnprintf(f->text + f->length, sizeof f->text - f->length, format, args);
    va_end(args);
    if (n > 0) { f->length += (size_t)n; }
    if (f->length >= sizeof f->text) { f->length = sizeof f->text - 1; }
}

static bool is_access(const struct event *event) { return event->kind == EV_ACCESS || event->kind == EV_RUN; }

/* ---- faults ---- */

static const char *const fault_word[FAULT_KINDS] = {
    [FAULT_OTHER] = "other",       [FAULT_DEMAND_ZERO] = "demand-zero", [FAULT_TRANSITION] = "transition",
    [FAULT_FILE] = "file",         [FAULT_SECTION] = "section",         [FAULT_CLONE] = "clone",
    [FAULT_COW_FILE] = "cow-file", [FAULT_COW_FORK] = "cow-fork",       [FAULT_COW_REUSE] = "cow-reuse",
    [FAULT_GUARD] = "guard",       [FAULT_PAGE_FILE] = "pagefile"};

static const char *canonical_fault(const char *piece, size_t length) {
    static const char *const more[] = {"none", "av", "block", "exception"};
    if (piece_is(piece, length, "file-hard") || piece_is(piece, length, "file-soft")) { return "file"; }
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (piece_is(piece, length, fault_word[i])) { return fault_word[i]; }
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (piece_is(piece, length, more[i])) { return more[i]; }
    }
    return NULL;
}

static const char *record_fault(const struct log_record *r, uint64_t event, const char *before) {
    if (r->event != event) { return NULL; }
    switch (r->kind) {
    case LOG_RESOLVED: return r->cause == LOG_TRACE && r->c < FAULT_KINDS ? fault_word[r->c] : NULL;
    case LOG_EXCEPTION:
        if (r->a == STATUS_ACCESS_VIOLATION) { return "av"; }
        if (r->a != STATUS_GUARD_PAGE_VIOLATION) { return "exception"; }
        return before && strcmp(before, "guard") == 0 ? NULL : "guard";
    case LOG_BLOCK: return "block";
    default: return NULL;
    }
}

static enum check_verdict key_fault(struct expect *e, const char *value) {
    struct found found = {0};
    const char *before = NULL, *piece;
    size_t length, i = 0;
    bool same = true, ended = false;
    for (const char *at = value; next_piece(&at, ',', &piece, &length);) {
        const char *want = canonical_fault(piece, length);
        if (!want) {
            return expect_bad(e,
                              "fault= with none or a list of demand-zero, transition, file, section, clone, cow-file, "
                              "cow-fork, cow-reuse, guard, pagefile, other, av, exception, block");
        }
        if (strcmp(want, "none") == 0) { continue; }
        if (strcmp(want, "av") == 0 || strcmp(want, "guard") == 0 || strcmp(want, "exception") == 0) {
            e->expected |= EXPECTED_EXCEPTION;
        }
        const char *have = NULL;
        for (; i < e->records->count && !have; i++) { have = record_fault(&e->records->at[i], e->event.index, before); }
        if (have) { found_add(&found, ',', "%s", before = have); }
        if (!have || strcmp(have, want) != 0) { same = false; }
        ended = !have;
    }
    for (; i < e->records->count && !ended; i++) {
        const char *have = record_fault(&e->records->at[i], e->event.index, before);
        if (!have) { continue; }
        found_add(&found, ',', "%s", before = have);
        same = false;
    }
    return same ? CHECK_OK : expect_mismatch(e, "%s", found.length ? found.text : "none");
}

/* ---- statuses ---- */

static enum check_verdict key_status(struct expect *e, const char *value) {
    const struct machine_result *r = e->result;
    bool access = is_access(&e->event);
    unsigned count = access ? r->status_count : 1, n = 0;
    struct found found = {0};
    for (unsigned i = 0; i < count; i++) { found_add(&found, ',', "%x", access ? r->status[i] : r->service_status); }
    e->expected |= EXPECTED_STATUS;
    const char *piece;
    size_t length;
    bool same = true, none = strcmp(value, "none") == 0;
    for (const char *at = value; !none && next_piece(&at, ',', &piece, &length); n++) {
        struct pattern p;
        if (!pattern_parse(piece, length, &p)) { return expect_bad(e, "status= with hexadecimal statuses or none"); }
        uint64_t have = n < count ? (access ? r->status[n] : r->service_status) : 0;
        same = same && n < count && pattern_match(e, &p, have, 0);
    }
    return same && n == count ? CHECK_OK : expect_mismatch(e, "%s", count ? found.text : "none");
}

/* CODE[,P…] against a code and its parameters; expected parameters may be fewer. */
static enum check_verdict code_list(struct expect *e, const char *value, bool have, uint64_t code, const uint64_t *p,
                                    unsigned count, const char *what) {
    struct found found = {0};
    if (have) { found_add(&found, ',', "%" PRIx64, code); }
    for (unsigned i = 0; have && i < count; i++) { found_add(&found, ',', "%" PRIx64, p[i]); }
    if (strcmp(value, "none") == 0) { return have ? expect_mismatch(e, "%s", found.text) : CHECK_OK; }
    const char *piece;
    size_t length;
    unsigned n = 0;
    bool same = have;
    for (const char *at = value; next_piece(&at, ',', &piece, &length); n++) {
        struct pattern pattern;
        if (n > count || !pattern_parse(piece, length, &pattern)) {
            return expect_bad(e, "%s= with a hexadecimal code and at most %u parameters, or none", what, count);
        }
        same = same && pattern_match(e, &pattern, n == 0 ? code : p[n - 1], 0);
    }
    return same ? CHECK_OK : expect_mismatch(e, "%s", have ? found.text : "none");
}

static enum check_verdict key_out(struct expect *e, const char *value) {
    const uint64_t *out = e->result->service_out;
    return code_list(e, value, true, out[0], out + 1, 1, "out");
}

static enum check_verdict key_exc(struct expect *e, const char *value) {
    const struct machine_result *r = e->result;
    if (strcmp(value, "none") != 0) { e->expected |= EXPECTED_EXCEPTION; }
    return code_list(e, value, r->exception, r->exception_code, r->exception_p, 3, "exc");
}

static enum check_verdict key_bugcheck(struct expect *e, const char *value) {
    const struct machine_result *r = e->result;
    if (strcmp(value, "none") != 0) { e->expected |= EXPECTED_BUGCHECK; }
    return code_list(e, value, r->stop == MACHINE_BUGCHECK, r->bugcheck_code, r->bugcheck_p, 4, "bugcheck");
}

/* The model's assertion that stopped the machine: its text, with a dash for whatever is no letter or digit. */
static enum check_verdict key_assert(struct expect *e, const char *value) {
    const struct machine_result *r = e->result;
    char text[sizeof r->message] = "none";
    if (r->stop == MACHINE_PANIC) {
        size_t i = 0;
        for (; r->message[i]; i++) { text[i] = isalnum((unsigned char)r->message[i]) ? r->message[i] : '-'; }
        text[i] = 0;
    }
    if (strcmp(value, "none") != 0) { e->expected |= EXPECTED_ASSERTION; }
    bool same = strcmp(value, "*") == 0 ? r->stop == MACHINE_PANIC : strcmp(value, text) == 0;
    return same ? CHECK_OK : expect_mismatch(e, "%s", text);
}

/* Events held back behind a waiting thread that ran now and failed: the first one's status, how many. */
static enum check_verdict key_late(struct expect *e, const char *value) {
    const struct machine_result *r = e->result;
    uint64_t count = r->late_failures;
    if (strcmp(value, "none") != 0) { e->expected |= EXPECTED_LATE; }
    return code_list(e, value, count != 0, r->late_status, &count, 1, "late");
}

/* ---- single numbers ---- */

static enum check_verdict decimal(struct expect *e, const char *value, uint64_t found) {
    uint64_t want;
    if (!decimal_parse(value, &want)) { return expect_bad(e, "a decimal number behind '='"); }
    return want == found ? CHECK_OK : expect_mismatch(e, "%" PRIu64, found);
}

static enum check_verdict hexadecimal(struct expect *e, const char *value, uint64_t found) {
    struct pattern p;
    if (!pattern_parse(value, strlen(value), &p)) {
        return expect_bad(e, "a hexadecimal number, HEX/MASK, @A, @A|BITS or * behind '='");
    }
    return pattern_match(e, &p, found, 0) ? CHECK_OK : expect_mismatch(e, "%" PRIx64, found);
}

static enum check_verdict key_tlb(struct expect *e, const char *value) {
    static const char *const name[] = {[MMU_HIT_OFF] = "off",
                                       [MMU_HIT_L1] = "hit",
                                       [MMU_HIT_L2] = "l1miss",
                                       [MMU_HIT_WALK] = "walk",
                                       [MMU_HIT_DIRTY] = "dirty"};
    enum { NAMES = sizeof name / sizeof *name };
    unsigned want = 0;
    while (want < NAMES && strcmp(value, name[want]) != 0) { want++; }
    if (strcmp(value, "l2miss") == 0) { want = MMU_HIT_WALK; }
    if (want == NAMES) { return expect_bad(e, "tlb=hit, l1miss, l2miss, walk, dirty or off"); }
    if (want == e->result->first_hit) { return CHECK_OK; }
    return expect_mismatch(e, "%s", e->result->first_hit < NAMES ? name[e->result->first_hit] : "?");
}

/* ---- table entries and memory ---- */

static enum check_verdict key_entry(struct expect *e, bool pde, const char *arg, const char *value) {
    uint32_t pid;
    uint64_t directory, va;
    if (!process_argument(e, &arg, &pid, &directory) || !number_parse(e, arg, strlen(arg), &va)) {
        return expect_bad(e, "%s.[PID:]ADDR=HEX of a process that exists", pde ? "pde" : "pte");
    }
    struct pattern p;
    if (!pattern_parse(value, strlen(value), &p)) {
        return expect_bad(e, "HEX, HEX/MASK, @A, @A|BITS or * behind '='");
    }
    va_t entry = pde ? MiGetPdeAddress(va) : MiGetPteAddress(va);
    if (is_pae(e->machine)) { entry = pde ? pae_pde_address(va) : pae_pte_address(va); }
    name_entry(e, pid, entry, va);
    pte_t found = pde ? peek_pde(e->machine, directory, va) : peek_pte(e->machine, directory, va);
    return pattern_match(e, &p, found, PAGE_SHIFT) ? CHECK_OK : expect_mismatch(e, "%08" PRIx64, found);
}

static enum check_verdict key_mem(struct expect *e, unsigned bytes, const char *arg, const char *value) {
    uint32_t pid, found = 0;
    uint64_t directory, va;
    if (!process_argument(e, &arg, &pid, &directory) || !number_parse(e, arg, strlen(arg), &va) || va % bytes) {
        return expect_bad(e, "mem%s.[PID:]ADDR=HEX, ADDR a multiple of %u", bytes == 2 ? "2" : "", bytes);
    }
    name_entry(e, pid, va, UINT64_MAX);
    if (!peek(e->machine, directory, va, &found, bytes)) { return expect_mismatch(e, "nothing mapped there"); }
    return hexadecimal(e, value, found);
}

static enum check_verdict key_phys(struct expect *e, const char *arg, const char *value) {
    uint64_t pa;
    if (!number_parse(e, arg, strlen(arg), &pa) || pa % 4) { return expect_bad(e, "phys.PA=HEX, PA a multiple of 4"); }
    return hexadecimal(e, value, physmem_read32(machine_memory(e->machine), pa));
}

/* ---- lists of records ---- */

static void tlb_word(const struct log_record *r, struct found *found) {
    if (r->a == LOG_INVLPG) {
        found_add(found, ',', "INVLPG:%" PRIx64, r->b);
    } else if (r->a == LOG_FLUSH_ALL) {
        found_add(found, ',', "FLUSHALL");
    } else {
        found_add(found, ',', "CR3:%" PRIx64, r->b >> PAGE_SHIFT);
    }
}

/* -1: the piece makes no sense. */
static int tlb_matches(struct expect *e, const char *piece, size_t length, const struct log_record *r) {
    if (piece_is(piece, length, "FLUSHALL")) { return r && r->a == LOG_FLUSH_ALL; }
    bool invlpg = length > 7 && strncmp(piece, "INVLPG:", 7) == 0;
    bool cr3 = length > 4 && strncmp(piece, "CR3:", 4) == 0;
    size_t skip = invlpg ? 7 : 4;
    struct pattern p;
    if ((!invlpg && !cr3) || !pattern_parse(piece + skip, length - skip, &p)) { return -1; }
    if (!r) { return 0; }
    if (invlpg) { return r->a == LOG_INVLPG && pattern_match(e, &p, r->b, 0); }
    return (r->a == LOG_CR3_SWITCH || r->a == LOG_CR3_OTHER) && pattern_match(e, &p, r->b >> PAGE_SHIFT, 0);
}

static const struct log_record *next_record(struct expect *e, enum log_kind kind, size_t *i) {
    while (*i < e->records->count) {
        const struct log_record *r = &e->records->at[(*i)++];
        if (r->kind == kind) { return r; }
    }
    return NULL;
}

static enum check_verdict key_tlbops(struct expect *e, const char *value) {
    struct found found = {0};
    size_t i = 0, length;
    const struct log_record *r;
    while ((r = next_record(e, LOG_TLB, &i))) { tlb_word(r, &found); }
    name_kind(e, LOG_TLB);
    bool same = true;
    const char *piece;
    i = 0;
    for (const char *at = strcmp(value, "none") == 0 ? "" : value; next_piece(&at, ',', &piece, &length);) {
        int matches = tlb_matches(e, piece, length, next_record(e, LOG_TLB, &i));
        if (matches < 0) { return expect_bad(e, "tlbops=none or a list of INVLPG:ADDR, CR3:FRAME, FLUSHALL"); }
        same = same && matches;
    }
    if (next_record(e, LOG_TLB, &i)) { same = false; }
    return same ? CHECK_OK : expect_mismatch(e, "%s", found.length ? found.text : "none");
}

static const struct log_record *next_io_start(struct expect *e, size_t *i) {
    const struct log_record *r;
    do { r = next_record(e, LOG_IO, i); } while (r && r->a != LOG_READ_START && r->a != LOG_WRITE_START);
    return r;
}

/* A paging file's number, or `file`. */
static void io_file_name(uint64_t file, char *out, size_t out_size) {
    if (os_is_paging_file(file)) {
        snprintf(out, out_size, "%x", (unsigned)(file & 0xFF));
    } else {
        snprintf(out, out_size, "file");
    }
}

/* READ[@FILE][:OFFSET[:PAGES[:FRAME]]]; -1: the piece makes no sense. */
static int io_matches(struct expect *e, const char *piece, size_t length, const struct log_record *r) {
    char text[128];
    if (length >= sizeof text) { return -1; }
    memcpy(text, piece, length);
    text[length] = 0;
    const char *at = text, *part;
    size_t part_length;
    if (!next_piece(&at, ':', &part, &part_length)) { return -1; }
    const char *file = memchr(part, '@', part_length);
    size_t word_length = file ? (size_t)(file - part) : part_length;
    bool read = piece_is(part, word_length, "READ");
    if (!read && !piece_is(part, word_length, "WRITE")) { return -1; }
    int matches = r && (r->a == LOG_READ_START) == read;
    if (file) {
        char name[32];
        io_file_name(r ? r->b : 0, name, sizeof name);
        matches = matches && piece_is(file + 1, part_length - word_length - 1, name);
    }
    for (unsigned n = 0; next_piece(&at, ':', &part, &part_length); n++) {
        struct pattern p;
        if (n > 2 || !pattern_parse(part, part_length, &p)) { return -1; }
        matches = matches && pattern_match(e, &p, n == 0 ? r->c : n == 1 ? r->d : r->e, 0);
    }
    return matches;
}

static enum check_verdict key_io(struct expect *e, const char *value) {
    struct found found = {0};
    size_t i = 0, length;
    const struct log_record *r;
    while ((r = next_io_start(e, &i))) {
        char file[32];
        io_file_name(r->b, file, sizeof file);
        found_add(&found, ',', "%s@%s:%" PRIx64 ":%" PRIx64 ":%" PRIx64, r->a == LOG_READ_START ? "READ" : "WRITE",
                  file, r->c, r->d, r->e);
    }
    name_kind(e, LOG_IO);
    bool same = true;
    const char *piece;
    i = 0;
    for (const char *at = strcmp(value, "none") == 0 ? "" : value; next_piece(&at, ',', &piece, &length);) {
        int matches = io_matches(e, piece, length, next_io_start(e, &i));
        if (matches < 0) {
            return expect_bad(e, "io=none or a list of READ[@FILE][:OFFSET[:PAGES[:FRAME]]], WRITE[…]");
        }
        same = same && matches;
    }
    if (next_io_start(e, &i)) { same = false; }
    return same ? CHECK_OK : expect_mismatch(e, "%s", found.length ? found.text : "none");
}

static enum check_verdict key_signal(struct expect *e, const char *value) {
    static const char *const name[] = {[LOG_ZEROING_PAGE] = "zeroing-page",
                                       [LOG_AVAILABLE_PAGES] = "available-pages",
                                       [LOG_AVAILABLE_PAGES_HIGH] = "available-pages-high",
                                       [LOG_MODIFIED_WRITER] = "modified-writer",
                                       [LOG_MAPPED_WRITER] = "mapped-writer",
                                       [LOG_PAGEFILE_FULL] = "pagefile-full",
                                       [LOG_ASSERT_PAGED_CODE] = "assert-paged-code",
                                       [LOG_SWAP_EVENT] = "swap",
                                       [LOG_DEADLOCK] = "deadlock"};
    struct found found = {0};
    size_t i = 0, length;
    const struct log_record *r;
    while ((r = next_record(e, LOG_SIGNAL, &i))) {
        found_add(&found, ',', "%s", r->a < LOG_SIGNALS ? name[r->a] : "?");
    }
    const char *piece;
    for (const char *at = value; next_piece(&at, ',', &piece, &length);) {
        bool known = piece_is(piece, length, "none");
        for (int k = 0; k < LOG_SIGNALS; k++) { known = known || piece_is(piece, length, name[k]); }
        if (!known) {
            return expect_bad(e, "signal=none or a list of zeroing-page, available-pages, available-pages-high, "
                                 "modified-writer, mapped-writer, pagefile-full, assert-paged-code, swap, deadlock");
        }
    }
    const char *have = found.length ? found.text : "none";
    return strcmp(have, value) == 0 ? CHECK_OK : expect_mismatch(e, "%s", have);
}

/* ---- counters ---- */

static bool counts_hits(const char *name) {
    return strcmp(name + 1, "tlb_miss") == 0 || strcmp(name + 1, "tlb_hit") == 0 || strcmp(name, "kernel_misses") == 0;
}

static enum check_verdict key_count(struct expect *e, bool delta, const char *arg, const char *value) {
    struct counters now = {0};
    counters_read(e->machine, &now);
    const struct counter *c = counters_find(&now, arg), *before = counters_find(&e->before, arg);
    bool known = c != NULL;
    uint64_t found = c ? c->value : 0;
    free(now.at);
    if (!known) { return expect_bad(e, "the name of a counter behind '%s.'", delta ? "delta" : "count"); }
    if (e->any_hits && counts_hits(arg)) { return CHECK_OK; }
    if (!delta) { return decimal(e, value, found); }
    if (!e->has_before) {
        return expect_bad(e, "an expect line in the 4096 events before the one a delta is counted for");
    }
    return decimal(e, value, found - (before ? before->value : 0));
}

/* ---- all keys ---- */

static enum check_verdict plain_key(struct expect *e, const char *key, const char *value, bool *known) {
    const struct os_ops *ops = machine_os_ops(e->machine);
    struct os *os = machine_os(e->machine);
    if (strcmp(key, "fault") == 0) { return key_fault(e, value); }
    if (strcmp(key, "status") == 0) { return key_status(e, value); }
    if (strcmp(key, "out") == 0) { return key_out(e, value); }
    if (strcmp(key, "exc") == 0) { return key_exc(e, value); }
    if (strcmp(key, "bugcheck") == 0) { return key_bugcheck(e, value); }
    if (strcmp(key, "assert") == 0) { return key_assert(e, value); }
    if (strcmp(key, "late") == 0) { return key_late(e, value); }
    if (strcmp(key, "callbacks") == 0) { return decimal(e, value, e->result->callbacks); }
    if (strcmp(key, "data") == 0) { return hexadecimal(e, value, e->result->data); }
    if (strcmp(key, "tlb") == 0) { return key_tlb(e, value); }
    if (strcmp(key, "tlbops") == 0) { return key_tlbops(e, value); }
    if (strcmp(key, "io") == 0) { return key_io(e, value); }
    if (strcmp(key, "signal") == 0) { return key_signal(e, value); }
    if (strcmp(key, "irql") == 0) { return hexadecimal(e, value, machine_irql(e->machine)); }
    if (strcmp(key, "cr3") == 0) { return hexadecimal(e, value, peek_cr3(e->machine)); }
    if (strcmp(key, "pid") == 0) { return decimal(e, value, ops->current_pid(os)); }
    if (strcmp(key, "tid") == 0) { return decimal(e, value, ops->current_tid(os)); }
    *known = false;
    return CHECK_CANNOT;
}

static enum check_verdict dotted_key(struct expect *e, const char *key, const char *arg, const char *value,
                                     bool *known) {
    if (strcmp(key, "pte") == 0 || strcmp(key, "pde") == 0) { return key_entry(e, key[1] == 'd', arg, value); }
    if (strcmp(key, "mem") == 0) { return key_mem(e, 4, arg, value); }
    if (strcmp(key, "mem2") == 0) { return key_mem(e, 2, arg, value); }
    if (strcmp(key, "phys") == 0) { return key_phys(e, arg, value); }
    if (strcmp(key, "count") == 0 || strcmp(key, "delta") == 0) { return key_count(e, *key == 'd', arg, value); }
    *known = false;
    return CHECK_CANNOT;
}

enum check_verdict expect_key(struct expect *e, const char *key, const char *arg, const char *value) {
    bool known = true;
    enum check_verdict verdict = *arg ? dotted_key(e, key, arg, value, &known) : plain_key(e, key, value, &known);
    if (known) { return verdict; }
    known = true;
    verdict = expect_kernel_key(e, key, arg, value, &known);
    if (known) { return verdict; }
    verdict = expect_section_key(e, key, arg, value, &known);
    return known ? verdict : expect_bad(e, "a key of traces/EXPECT.md");
}
