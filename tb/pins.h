/* The ports of rtl/mmu.sv cycle by cycle, for tests of what struct mmu_ops cannot say: an invalidation while others are
 * under way. A model's shared object exports it beside ntmmu_mmu_ops; the memory port is played as always. */
#ifndef NTMMU_PINS_H
#define NTMMU_PINS_H

#include "ntmmu/mmu.h"

struct rtl_pins {
    /* Offered in the cycle that ends. */
    bool req_valid, inv_valid, inv_pcid_op;
    struct mmu_request request;
    bool control;  /* not the access but this write of a control register */
    uint8_t which; /* enum mmu_control */
    uint64_t value;
    uint64_t inv_type, inv_pcid;
    va_t inv_va;
    /* Of the cycle after it. */
    bool req_ready, rsp_valid, inv_done;
    uint8_t vector, hit, inv_vector;
    pa_t pa;
};

/* Ends a cycle. Do not mix with translate() while requests are under way. */
#define RTL_CYCLE_SYMBOL "ntmmu_rtl_cycle"
typedef void (*rtl_cycle_fn)(struct mmu *mmu, struct rtl_pins *pins);

#endif
