/* build/mmu-c.mutate.so: the C MMU with the hand-made bugs of tb/mutants.txt in, as an object for --mmu. The
 * environment variable NTMMU_MUTANT says at create which one is alive. */
#include "ntmmu/mmu.h"

#include <stdlib.h>

unsigned mmu_mutant;

static struct mmu *create(const struct mmu_config *config, char *err, size_t err_size) {
    const char *number = getenv("NTMMU_MUTANT");
    mmu_mutant = number ? (unsigned)strtoul(number, NULL, 10) : 0;
    return mmu_c_ops.create(config, err, err_size);
}

__attribute__((visibility("default"))) const struct mmu_ops *ntmmu_mmu_ops(void) {
    static struct mmu_ops ops;
    ops = mmu_c_ops;
    ops.create = create;
    return &ops;
}
