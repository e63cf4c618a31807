/* Other MMUs of x86 and RISC-V computers in RTL, for comparison: measured once under Verilator 5.006 on one core of a machine
 * like the one of the README's figures, each with a driver of its own. L is what its memory takes. */
#ifndef NTMMU_BENCH_PEERS_H
#define NTMMU_BENCH_PEERS_H

enum { PEERS = 3 };

struct peer {
    const char *name;
    const char *cycles[7]; /* the rows of mmu_bench */
    double hits_a_cycle;
    double cycles_a_second, hits_a_second, random_a_second; /* millions; random: translations in 1024 pages */
};

static const struct peer peers[PEERS] = {
    {"ao486", {"3", "2L+7", "4L+8", "none", "3L+7", "1", "1"}, 0.33, 1.4, 0.69, 0.15},
    {"z386", {"0", "4L+14", "4L+14", "none", "4L+14", "none", "1"}, 0.33, 3.6, 1.2, 0.15},
    {"CVA6 Sv32", {"1", "2L+9", "faults", "none", "faults", "129", "129"}, 1.0, 1.2, 1.2, 0.09},
};

#endif
