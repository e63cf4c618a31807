/* Paging vectors: files that say what an x86 processor does with given tables, registers and accesses. Plain text or
 * zstd. Format and origin: tests/vectors/README.md. An MMU is run through a file and compared line by line. */
#ifndef NTMMU_VECTORS_H
#define NTMMU_VECTORS_H

#include "ntmmu/mmu.h"

/* A line that the MMU did not pass. The texts live until the callback returns. */
struct vectors_failure {
    const char *file;
    uint64_t line;
    const char *found, *expected;
};

struct vectors_config {
    const struct mmu_ops *mmu;
    struct mmu_preset preset; /* its physical_bits give way to the file's MAXPHYADDR */
    bool assertions;          /* RTL only, see struct mmu_config */
    void (*on_failure)(void *ctx, const struct vectors_failure *failure); /* may be NULL */
    void *ctx;
};

/* Counted are the lines with an outcome: V, A, I, P and R. Skipped are those that need what the preset's CPU has not (a
 * paging mode, a feature; of a sequence from there on), and those that are no oracle (class X). A sequence's set is its
 * name. */
struct vectors_count {
    uint64_t passed, failed, skipped;
};

struct vectors_set {
    char name[32];
    struct vectors_count count;
};

#define VECTORS_SET_MAX 128

struct vectors_report {
    struct vectors_set sets[VECTORS_SET_MAX];
    unsigned set_count;
    struct vectors_count total;
    uint64_t skipped_missing; /* of the skipped lines, those for want of a feature */
    unsigned missing;         /* enum cpu_feature: which ones they were */
    /* Passed lines of class P, N and F whose stale outcome the accesses before allow (tests/vectors/README.md). */
    uint64_t excused_p, excused_n, excused_f;
};

/* Runs one file; adds to *report, which starts zeroed. 0, or -1 with one line in err: bad input ("FILE:LINE: found …,
 * expected …") or an MMU that cannot be created. Failing lines are no error here. */
int vectors_run(const char *path, const struct vectors_config *config, struct vectors_report *report, char *err,
                size_t err_size);

#endif
