/* What the matrix enumerates. A case is: an environment (control registers), the flags of the entries of two levels (or
 * of one, the others permissive), an access. The rest (addresses, ignored bits, which of the reserved bits) comes from
 * a hash of the case's number: always the same. */
#ifndef MATRIX_CASES_H
#define MATRIX_CASES_H

#include "expect.h"

/* Of an entry. NX and reserved bits: where the format has them. LARGE in a 4 KB leaf is its PAT bit. */
enum {
    FLAG_PRESENT = 1,
    FLAG_WRITABLE = 2,
    FLAG_USER = 4,
    FLAG_ACCESSED = 8,
    FLAG_DIRTY = 16,
    FLAG_NX = 32,
    FLAG_LARGE = 64,
    FLAG_RESERVED = 128,
    FLAG_VALUES = 256,
    FLAGS_PERMISSIVE = FLAG_PRESENT | FLAG_WRITABLE | FLAG_USER
};

/* Entries of the levels high and low vary, those of the others are permissive; the page's entry is at level leaf. */
struct family {
    unsigned levels, high, low, leaf; /* high = low: one alone varies */
    const char *name;
};

enum { ACCESS_KINDS = 10, ENVIRONMENTS = 64, PAIRS_MAX = FLAG_VALUES * FLAG_VALUES };

struct pair {
    uint8_t high, low; /* FLAG_* */
};

extern const struct family families[];
extern const unsigned family_count;

/* The pairs of flags that the family is tried with; returns how many. */
unsigned family_pairs(const struct family *family, struct pair out[PAIRS_MAX]);

/* Fills all but entries and access. False: the mode or the CPU has no such environment. */
bool case_environment(struct expect_input *in, const struct family *family, const struct mmu_preset *preset,
                      unsigned number);
/* The entries of all levels, given the environment. */
void case_entries(struct expect_input *in, const struct family *family, struct pair pair, uint64_t hash);
/* The leaf's entry anew, present, with rights at random; those above it stay. */
void case_another_leaf(struct expect_input *in, const struct family *family, uint64_t hash);
/* Access kind 0..ACCESS_KINDS - 1. */
void case_access(struct expect_input *in, unsigned kind, uint64_t hash);

/* The page beside the family's: it differs in the index of the leaf alone. */
va_t case_neighbour(const struct family *family, va_t va);

/* The physical address of the table of this level; CR3 says the root's. */
pa_t case_table(const struct expect_input *in, unsigned level);

#endif
