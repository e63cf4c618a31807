/* Bugs made by hand, of the kinds that kernels have: tests/mutants/nt.txt lists them by number. MI_MUTANT(n, good, bad)
 * is `good` and nothing else, unless the room is built with -DMUTATE (build/ntmmu.mutate); then it is `bad` in the
 * kernel whose os->Mutant is n, which the environment variable NTMMU_MUTANT says. MI_MUTANT_OF: where os has another
 * name. */
#ifndef NTMMU_NT_MUTANT_H
#define NTMMU_NT_MUTANT_H

#ifdef MUTATE
#define MI_MUTANT_OF(os, n, good, bad) ((os)->Mutant == (n) ? (bad) : (good))
#else
#define MI_MUTANT_OF(os, n, good, bad) (good)
#endif
#define MI_MUTANT(n, good, bad) MI_MUTANT_OF(os, n, good, bad)

#endif
