/* INVLPG and INVPCID of the Verilog MMU at any cycle: no later access is served by an old translation, and nothing from
 * before is filled by a walk that was under way. */
#include "rtl_invalidate.h"

#include <gtest/gtest.h>

namespace {

class RtlInvalidate : public testing::TestWithParam<const char *> {};

TEST_P(RtlInvalidate, NothingOldIsServedLater) {
    std::string model = GetParam();
    mmu_preset preset = test_preset(model.substr(0, model.find('.')));
    uint64_t answers = 0, old_answers = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        InvalidateProgram program(rtl_object(model), preset, seed);
        ASSERT_EQ(program.run(5000), "") << "seed " << seed;
        answers += program.answers();
        old_answers += program.old_answers();
    }
    EXPECT_GT(answers, 10000u);
    EXPECT_GT(old_answers, 100u) << "stale entries were there to be dropped";
}

TEST_P(RtlInvalidate, FaultsForgetWhatCameBefore) {
    std::string model = GetParam();
    mmu_preset preset = test_preset(model.substr(0, model.find('.')));
    uint64_t faults = 0, old_answers = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        InvalidateProgram program(rtl_object(model), preset, seed, InvalidateProgram::FAULTS);
        ASSERT_EQ(program.run(2000), "") << "seed " << seed;
        faults += program.faults();
        old_answers += program.old_answers();
    }
    EXPECT_GT(faults, 200u);
    EXPECT_GT(old_answers, 10u);
}

TEST_P(RtlInvalidate, NothingOldIsServedWhilePointersLoad) {
    std::string model = GetParam();
    mmu_preset preset = test_preset(model.substr(0, model.find('.')));
    uint64_t answers = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        InvalidateProgram program(rtl_object(model), preset, seed, InvalidateProgram::POINTERS);
        ASSERT_EQ(program.run(2000), "") << "seed " << seed;
        answers += program.answers();
    }
    EXPECT_GT(answers, 1000u);
}

INSTANTIATE_TEST_SUITE_P(Models, RtlInvalidate, testing::Values("tiny", "tiny-l2", "tiny-unified", "tiny-l2.assert", "tiny-random.assert"),
                         [](const testing::TestParamInfo<const char *> &info) {
                             std::string name = info.param;
                             std::replace_if(
                                 name.begin(), name.end(), [](char c) { return !isalnum(c); }, '_');
                             return name;
                         });

} // namespace
