/* One MMU through the matrix. */
#ifndef MATRIX_RUN_H
#define MATRIX_RUN_H

#include "cases.h"

struct matrix_options {
    unsigned every;       /* one case of so many, by a hash of its number; 1: all */
    unsigned part, parts; /* the environments of this process: part of parts; 0, 1: all */
};

struct matrix_count {
    uint64_t environments; /* of the mode, all parts'; 0: the CPU lacks it */
    uint64_t cases, accesses;
    uint64_t warm;          /* accesses that a TLB served without a walk */
    uint64_t psc;           /* walks that began from a paging-structure cache or a PDE entry */
    uint64_t disagreements; /* cases in which something differed */
    uint64_t first;         /* the number of the first such case */
};

struct matrix;

/* NULL with one line in err. */
struct matrix *matrix_create(const struct mmu_ops *ops, const struct mmu_preset *preset, char *err, size_t err_size);
void matrix_destroy(struct matrix *matrix);

/* All cases of the mode: 2, 3 or 4; *count, which starts zeroed, is kept up to date. The first disagreement is printed
 * whole. */
void matrix_run(struct matrix *matrix, unsigned levels, const struct matrix_options *options,
                struct matrix_count *count);

#endif
