/* Hand-made bugs (tb/mutants.txt), of which tests must notice each. Without MUTATE the macro leaves the good expression
 * alone. */
#ifndef MMU_MUTANT_H
#define MMU_MUTANT_H

#ifdef MUTATE
extern unsigned mmu_mutant; /* which one is alive; tests/mutants/mmu_c_mutate.c */
#define MUT(n, good, bad) (mmu_mutant == (n) ? (bad) : (good))
#else
#define MUT(n, good, bad) (good)
#endif

#endif
