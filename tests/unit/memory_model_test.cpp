/* The time of table accesses: caches with LRU in front of dram, worked out by hand. */
#include <gtest/gtest.h>

extern "C" {
#include "ntmmu/memory_model.h"
}

namespace {

class MemoryModel : public testing::Test {
  protected:
    ~MemoryModel() override { memory_model_fini(&model_); }
    void start(const memory_geometry &geometry, unsigned fixed = 0) {
        ASSERT_EQ(memory_model_init(&model_, &geometry, fixed), 0);
    }
    uint32_t at(pa_t pa) { return memory_model_latency(&model_, pa); }
    memory_model model_ = {};
};

TEST_F(MemoryModel, IsFixedWithoutCaches) {
    memory_geometry geometry = {};
    start(geometry);
    EXPECT_EQ(at(0x1000), 4u);
    EXPECT_EQ(at(0x1000), 4u);
    EXPECT_FALSE(model_.cached);
    geometry.dram = 90;
    start(geometry);
    EXPECT_EQ(at(0), 90u);
}

TEST_F(MemoryModel, AFixedTimeOverrulesTheCaches) {
    memory_geometry geometry = {{{1, 1, 3}, {}, {}}, 90};
    start(geometry, 17);
    EXPECT_EQ(at(0), 17u);
    EXPECT_EQ(at(0), 17u);
}

/* Two sets of two lines: lines 0, 2, 4 are of set 0. */
TEST_F(MemoryModel, ALineIsSixtyFourBytesAndTheLeastRecentlyUsedGoes) {
    start({{{2, 2, 3}, {}, {}}, 90});
    EXPECT_EQ(at(0x00), 90u);
    EXPECT_EQ(at(0x3F), 3u);
    EXPECT_EQ(at(0x40), 90u); /* line 1: the other set */
    EXPECT_EQ(at(0x80), 90u);
    EXPECT_EQ(at(0x00), 3u);
    EXPECT_EQ(at(0x100), 90u); /* line 4: line 2 goes */
    EXPECT_EQ(at(0x00), 3u);
    EXPECT_EQ(at(0x80), 90u);
    EXPECT_EQ(at(0x100), 90u);
    EXPECT_EQ(at(0x7F), 3u);
}

TEST_F(MemoryModel, ALowerCacheHoldsWhatTheUpperHasLost) {
    start({{{1, 1, 2}, {}, {1, 4, 30}}, 200});
    EXPECT_EQ(at(0x000), 200u);
    EXPECT_EQ(at(0x040), 200u);
    EXPECT_EQ(at(0x000), 30u);
    EXPECT_EQ(at(0x000), 2u);
    EXPECT_EQ(at(0x040), 30u);
    EXPECT_EQ(at(0x080), 200u);
    EXPECT_EQ(at(0x0C0), 200u);
    EXPECT_EQ(at(0x100), 200u); /* fifth line of four: 000, whose last use in the lower cache is oldest, goes */
    EXPECT_EQ(at(0x040), 30u);
    EXPECT_EQ(at(0x000), 200u);
}

} // namespace
