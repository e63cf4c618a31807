/* The random programs of the unit tests on an MMU's object, each a mutant in a process of its own:
 *   mutant-programs pair FILE.so CPU [REFERENCE.so]   side by side with the C MMU or the reference
 *   mutant-programs invalidate FILE.so CPU            invalidations at any cycle; the RTL only
 * Exit code 0: no difference, 1: one, told in a line with the steps before it, 2: cannot run. */
#include "../unit/mmu_pair.h"
#include "../unit/rtl_invalidate.h"

#include <cstdio>
#include <exception>

namespace {

constexpr unsigned SEEDS = 200, STEPS = 2000; /* what a read ahead of the wrong table does shows first at 145 */

int tell(unsigned seed, unsigned step, const std::string &difference) {
    printf("after %u steps: seed %u, %s\n", (seed - 1) * STEPS + step, seed, difference.c_str());
    return 1;
}

int run_pair(const std::string &object, const std::string &cpu, const char *reference) {
    const mmu_ops *other = reference ? object_ops(reference) : &mmu_c_ops, *ops = object_ops(object);
    mmu_preset preset = test_preset(cpu);
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        PairProgram program(other, ops, preset, seed);
        std::string difference = program.run(STEPS);
        if (!difference.empty()) { return tell(seed, program.step(), difference); }
    }
    return 0;
}

int run_invalidate(const std::string &object, const std::string &cpu) {
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        InvalidateProgram program(object, test_preset(cpu), seed);
        std::string difference = program.run(STEPS);
        if (!difference.empty()) { return tell(seed, program.step(), "invalidation, " + difference); }
    }
    return 0;
}

int usage() {
    fputs("usage: mutant-programs pair FILE.so CPU [REFERENCE.so] | invalidate FILE.so CPU\n", stderr);
    return 2;
}

} // namespace

int main(int argc, char **argv) {
    std::string what = argc < 4 ? "" : argv[1];
    try {
        if (what == "pair" && argc <= 5) { return run_pair(argv[2], argv[3], argv[4]); }
        if (what == "invalidate" && argc == 4) { return run_invalidate(argv[2], argv[3]); }
        return usage();
    } catch (const std::exception &e) {
        fprintf(stderr, "mutant-programs: %s\n", e.what());
        return 2;
    }
}
