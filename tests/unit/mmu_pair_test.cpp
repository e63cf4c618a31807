/* The C MMU and the RTL, side by side on constrained-random programs, for each preset. */
#include "mmu_pair.h"

#include <gtest/gtest.h>

namespace {

constexpr unsigned SEEDS = 40, STEPS = 1500, WIDE_SEEDS = 12, WIDE_STEPS = 300;

void add(mmu_statistics &sum, const mmu_statistics &one) {
    auto *to = reinterpret_cast<uint64_t *>(&sum);
    auto *from = reinterpret_cast<const uint64_t *>(&one);
    for (size_t i = 0; i < sizeof sum / sizeof *to; i++) { to[i] += from[i]; }
}

/* Agreement on what never happened is worth nothing: every counter that the CPU can move must have moved, every error
 * code been seen. */
void expect_exercised(const mmu_preset &preset, const mmu_statistics &s, const std::set<uint32_t> &error_codes) {
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        bool counts = preset.array[i].ways && preset.array[i].classes != 1u << TLB_PDE; /* those count in pde_hits */
        if (counts) { EXPECT_GT(s.hits[i], 0u) << i; }
    }
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        EXPECT_GT(s.misses[side][TLB_4K], 0u);
        EXPECT_EQ(s.misses[side][TLB_LARGE] > 0, (preset.features & CPU_PSE) != 0);
        EXPECT_EQ(s.misses[side][TLB_1G] > 0, (preset.features & CPU_1G) != 0);
        EXPECT_GT(s.miss_fault[side], 0u);
    }
    EXPECT_EQ(s.pdpte_loads > 0, (preset.features & CPU_PAE) != 0);
    EXPECT_EQ(s.invpcid > 0, (preset.features & CPU_INVPCID) != 0);
    for (uint64_t n :
         {s.walk_restarts, s.dirty_walks, s.table_writes, s.invlpg, s.cr3_writes, s.flush_all, s.fault_drops}) {
        EXPECT_GT(n, SEEDS);
    }
    for (uint32_t user : {0, +PF_USER}) {
        for (uint32_t cause : {0, +PF_PRESENT, PF_PRESENT | PF_RESERVED}) {
            for (uint32_t access : {0, +PF_WRITE, +PF_FETCH}) {
                bool can_be = preset.features & CPU_SMEP || (preset.features & CPU_NX && preset.features & CPU_PAE);
                if (access == PF_FETCH && !can_be) { continue; }
                if ((cause & PF_RESERVED) && !(preset.features & CPU_PSE)) { continue; }
                if (user + access == 0 && cause == PF_PRESENT && !(preset.features & CPU_SMAP)) { continue; }
                EXPECT_EQ(error_codes.count(user | cause | access), 1u) << (user | cause | access);
            }
        }
    }
}

class PairTest : public testing::TestWithParam<const char *> {};

TEST_P(PairTest, CAndRtlAgreeOnEveryField) {
    std::string model = GetParam();
    const mmu_ops *rtl = rtl_ops(model);
    mmu_preset preset = test_preset(model.substr(0, model.find('.')));
    mmu_statistics sum = {};
    std::set<uint32_t> error_codes;
    std::set<int> modes;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        PairProgram program(&mmu_c_ops, rtl, preset, seed);
        std::string difference = program.run(STEPS);
        ASSERT_EQ(difference, "") << "seed " << seed;
        add(sum, program.statistics());
        error_codes.insert(program.error_codes().begin(), program.error_codes().end());
        modes.insert(program.mode());
    }
    EXPECT_EQ(modes.size(), preset.features & CPU_LONG ? 3u : preset.features & CPU_PAE ? 2u : 1u);
    expect_exercised(preset, sum, error_codes);
}

/* Numbers of full width: what only an upper bit that is lost or kept would change. */
TEST_P(PairTest, CAndRtlAgreeOnWideNumbers) {
    std::string model = GetParam();
    const mmu_ops *rtl = rtl_ops(model);
    mmu_preset preset = test_preset(model.substr(0, model.find('.')));
    mmu_statistics sum = {};
    uint64_t first = 0; /* each model has programs of its own: what one of them misses another does not */
    for (char c : model) { first = first * 31 + (uint8_t)c; }
    for (uint64_t seed = first; seed < first + WIDE_SEEDS; seed++) {
        PairProgram program(&mmu_c_ops, rtl, preset, seed);
        program.use_wide();
        std::string difference = program.run(WIDE_STEPS);
        ASSERT_EQ(difference, "") << "seed " << seed;
        add(sum, program.statistics());
    }
    for (uint64_t n : {sum.hits[ARRAY_ITLB], sum.walks, sum.table_writes, sum.faults, sum.dirty_walks, sum.invlpg, sum.cr3_writes}) {
        EXPECT_GT(n, 0u);
    }
}

/* *.assert: the RTL's own assertions watch, too; one that fails ends the program. */
INSTANTIATE_TEST_SUITE_P(Presets, PairTest,
                         testing::Values("ref64", "p6", "i486", "tiny", "tiny-plru", "tiny-l2", "tiny-unified",
                                         "tiny-random", "tiny-ahead", "tiny.assert", "tiny-l2.assert",
                                         "tiny-random.assert"),
                         [](const testing::TestParamInfo<const char *> &info) {
                             std::string name = info.param;
                             std::replace_if(
                                 name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
                             return name;
                         });

void expect_agreement_of_c_mmus(bool ram) {
    for (const char *name : {"ref64", "p6", "tiny-l2", "tiny-unified", "tiny-random", "tiny-ahead", "i486"}) {
        mmu_preset preset = test_preset(name);
        mmu_statistics sum = {};
        std::set<uint32_t> error_codes;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            PairProgram program(&mmu_c_ops, &mmu_c_ops, preset, seed);
            if (ram) { program.use_ram(); }
            ASSERT_EQ(program.run(STEPS), "") << name << ", seed " << seed;
            add(sum, program.statistics());
            error_codes.insert(program.error_codes().begin(), program.error_codes().end());
        }
        SCOPED_TRACE(name);
        expect_exercised(preset, sum, error_codes);
    }
}

/* The program itself: it must run through every mode with two C MMUs. */
TEST(PairProgram, AgreesWithItself) { expect_agreement_of_c_mmus(false); }

/* What is faster must not be another. */
TEST(PairProgram, AgreesWithItselfInRam) { expect_agreement_of_c_mmus(true); }

} // namespace
