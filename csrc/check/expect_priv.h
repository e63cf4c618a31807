/* What the files of the expect check share. */
#ifndef NTMMU_CHECK_EXPECT_PRIV_H
#define NTMMU_CHECK_EXPECT_PRIV_H

#include "expect.h"
#include "peek.h"

enum { EXPECTED_EXCEPTION = 1, EXPECTED_STATUS = 2, EXPECTED_BUGCHECK = 4, EXPECTED_LATE = 8, EXPECTED_ASSERTION = 16 };

struct counter {
    const char *name;
    uint64_t value;
};

struct counters {
    struct counter *at;
    size_t count, capacity;
};

struct expect {
    struct machine *machine;
    char *trace;
    bool closed, takes_lines;
    bool any_hits; /* lines with tlb= and the counters of hits and misses are not judged */
    uint64_t symbol[26];
    bool bound[26];
    /* before the event */
    struct counters before;
    uint32_t commit_before;
    bool has_before;
    unsigned quiet; /* events since the last expect line */
    /* the event */
    bool current;
    struct event event;
    const struct records *records;
    const struct machine_result *result;
    unsigned expected; /* EXPECTED_* */
    unsigned lines;
    bool *named; /* of each record, for !closed */
    size_t named_capacity;
    /* the line being judged */
    uint64_t line;
    const char *word;
    struct report *report;
};

/* One key: ARG is what stands behind the key's first '.', "" if nothing; VALUE what stands behind '='. */
enum check_verdict expect_key(struct expect *e, const char *key, const char *arg, const char *value);

/* The three ends of a key. */
enum check_verdict expect_mismatch(struct expect *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
enum check_verdict expect_bad(struct expect *e, const char *expected, ...) __attribute__((format(printf, 2, 3)));

/* Value patterns: HEX, HEX/MASK, *, @A (a frame), @A|BITS (a table entry with that frame). */
struct pattern {
    uint64_t value, mask;
    int symbol; /* 0..25, -1: none */
    bool entry; /* @A|BITS */
    bool any;
};
/* False: TEXT is not one. */
bool pattern_parse(const char *text, size_t length, struct pattern *out);
/* frame_shift: of a plain @A in this place (0 for fields that hold a frame number, 12 for table entries). */
bool pattern_match(struct expect *e, const struct pattern *p, uint64_t found, unsigned frame_shift);
/* A number in hexadecimal, or @A that is bound. */
bool number_parse(struct expect *e, const char *text, size_t length, uint64_t *out);
bool decimal_parse(const char *text, uint64_t *out);

/* Cuts TEXT at SEPARATOR: next piece in *at, its length returned; *at moves on. False at the end. */
bool next_piece(const char **at, char separator, const char **piece, size_t *length);
bool piece_is(const char *piece, size_t length, const char *word);

/* [PID:]REST. Without PID the current process. False: not a number, or no such process. */
bool process_argument(struct expect *e, const char **arg, uint32_t *pid, uint64_t *directory);

/* !closed: this key speaks for these records. */
void name_kind(struct expect *e, enum log_kind kind);
void name_entry(struct expect *e, uint32_t pid, va_t entry, va_t maps);
void name_records(struct expect *e, enum log_kind kind, uint64_t a, bool any_pid, uint32_t pid);

/* All counters of the machine and its kernel. */
void counters_read(struct machine *m, struct counters *out);
const struct counter *counters_find(const struct counters *counters, const char *name);

/* Keys about the kernel's structures, expect_kernel.c. CHECK_CANNOT with *known = false: not one of these. */
enum check_verdict expect_kernel_key(struct expect *e, const char *key, const char *arg, const char *value,
                                     bool *known);
/* Keys about sections, expect_section.c; likewise. */
enum check_verdict expect_section_key(struct expect *e, const char *key, const char *arg, const char *value,
                                      bool *known);
/* The same about objects, expect_object.c. */
enum check_verdict expect_object_key(struct expect *e, const char *key, const char *arg, const char *value,
                                     bool *known);

#endif
