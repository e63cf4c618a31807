/* One MMU through the matrix. */
#ifndef MATRIX_RUN_H
#define MATRIX_RUN_H

#include "cases.h"

struct matrix_options {
    unsigned every;                              /* one case of so many, by a hash of its number; 1: all */
    void (*progress)(void *ctx, uint64_t cases); /* may be NULL; after each environment */
    void *ctx;
};

struct matrix_count {
    uint64_t cases, accesses;
    uint64_t warm;          /* accesses that a TLB served without a walk */
    uint64_t psc;           /* walks that began from a paging-structure cache or a PDE entry */
    uint64_t disagreements; /* cases in which something differed */
};

struct matrix;

/* NULL with one line in err. */
struct matrix *matrix_create(const struct mmu_ops *ops, const struct mmu_preset *preset, char *err, size_t err_size);
void matrix_destroy(struct matrix *matrix);

/* All cases of the mode: 2, 3 or 4. The first disagreement is printed whole. False: the CPU lacks the mode. */
bool matrix_run(struct matrix *matrix, unsigned levels, const struct matrix_options *options,
                struct matrix_count *count);

#endif
