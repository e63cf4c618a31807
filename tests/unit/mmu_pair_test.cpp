/* The C MMU and the RTL, side by side on constrained-random programs, for each preset. */
#include "mmu_pair.h"

#include <gtest/gtest.h>

namespace {

constexpr unsigned SEEDS = 25, STEPS = 2000;

/* Agreement on what never happened is worth nothing: every counter must have moved, every error code been seen. */
void expect_exercised(const mmu_statistics &s, const std::set<uint32_t> &error_codes) {
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        for (unsigned pages = 0; pages < TLB_PAGE_SIZES; pages++) {
            EXPECT_GT(s.tlb[side][pages].hits, 0u);
            EXPECT_GT(s.tlb[side][pages].misses, 0u);
        }
        EXPECT_GT(s.miss_fault[side], 0u);
    }
    EXPECT_GT(s.walk_restarts, 0u);
    EXPECT_GT(s.dirty_walks, 0u);
    EXPECT_GT(s.table_writes, 0u);
    EXPECT_GT(s.invlpg, 0u);
    EXPECT_GT(s.cr3_writes, 1u);
    EXPECT_GT(s.flush_all, 2u);
    EXPECT_GT(s.fault_drops, 0u);
    for (uint32_t user : {0, +PF_USER}) {
        for (uint32_t cause : {0, +PF_PRESENT, PF_PRESENT | PF_RESERVED}) {
            for (uint32_t access : {0, +PF_WRITE, +PF_FETCH}) {
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
    mmu_statistics last = {};
    std::set<uint32_t> error_codes;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        PairProgram program(&mmu_c_ops, rtl, preset, seed);
        std::string difference = program.run(STEPS);
        ASSERT_EQ(difference, "") << "seed " << seed;
        if (program.statistics().walk_restarts > last.walk_restarts) { last = program.statistics(); }
        error_codes.insert(program.error_codes().begin(), program.error_codes().end());
    }
    expect_exercised(last, error_codes);
}

/* tiny.assert: the RTL's own assertions watch, too; one that fails ends the program. */
INSTANTIATE_TEST_SUITE_P(Presets, PairTest, testing::Values("ref64", "p6", "tiny", "tiny-plru", "tiny.assert"),
                         [](const testing::TestParamInfo<const char *> &info) {
                             std::string name = info.param;
                             std::replace_if(
                                 name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
                             return name;
                         });

} // namespace
