/* Several walkers: the C MMU's cycles against figures worked out by hand from rtl/README.md, "Several walkers". 32-bit
 * paging, no paging-structure caches. t is the cycle in which the first request of a batch is looked up; W the one in
 * which its walk begins, t without a second level. An access takes 4 cycles and one to look at its answer. */
#include "mmu_pair.h"

#include <gtest/gtest.h>

namespace {

constexpr uint64_t P = 1, RW = 2, US = 4, A = 32, D = 64;
constexpr pa_t DIRECTORY = 0x1000, TABLE = 0x2000, OTHER_TABLE = 0x3000;
constexpr va_t OTHER = 0x400000; /* the first address of OTHER_TABLE */
constexpr uint32_t ALONE = 1 + 2 * (4 + 1);

class Ahead : public testing::Test {
  protected:
    mmu_preset preset_ = {};
    TestMemory memory_;
    std::unique_ptr<TestMmu> mmu_;

    Ahead() {
        preset_.replacement = TLB_LRU;
        preset_.seed = 1;
        preset_.physical_bits = 32;
        preset_.features = CPU_PSE;
        preset_.array[ARRAY_ITLB] = {1 << TLB_4K | 1 << TLB_LARGE, 1, 4};
        preset_.array[ARRAY_DTLB] = {1 << TLB_4K | 1 << TLB_LARGE, 1, 16};
        memory_.set(DIRECTORY, TABLE | P | RW | US | A, 4);
        memory_.set(DIRECTORY + 4, OTHER_TABLE | P | RW | US | A, 4);
        for (unsigned i = 0; i < 1024; i++) {
            memory_.set(TABLE + 4 * i, (0x100 + i) << 12 | P | RW | US | A | D, 4);
            memory_.set(OTHER_TABLE + 4 * i, (0x800 + i) << 12 | P | RW | US | A | D, 4);
        }
    }

    void start(unsigned walkers) {
        preset_.walkers = walkers;
        mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, preset_, memory_);
        mmu_->control(MMU_CR3, DIRECTORY);
        mmu_->control(MMU_CR0, CR0_PE | CR0_PG | CR0_WP);
    }

    /* A second level of one class, in which a look-up takes so many cycles more. */
    void second_level(unsigned cycles) {
        preset_.array[ARRAY_ISTLB] = {1 << TLB_4K, 1, 4};
        preset_.array[ARRAY_DSTLB] = {1 << TLB_4K, 4, 4};
        preset_.stlb_cycles = cycles;
    }

    /* Reads, as one batch: the cycles of each. */
    std::vector<uint32_t> cycles(const std::vector<va_t> &addresses) {
        std::vector<mmu_request> requests;
        std::vector<mmu_result> results(addresses.size());
        for (va_t va : addresses) { requests.push_back({va, MMU_READ, MMU_SUPERVISOR, 1}); }
        results.resize(mmu_c_ops.translate(mmu_->mmu(), requests.data(), results.data(), requests.size()));
        std::vector<uint32_t> cycles;
        for (const mmu_result &result : results) { cycles.push_back(result.cycles); }
        return cycles;
    }
};

using Cycles = std::vector<uint32_t>;

TEST_F(Ahead, OneWalkerWalksForTheHeadAlone) {
    start(1);
    EXPECT_EQ(cycles({0x1000, 0x2000, OTHER}), (Cycles{ALONE, ALONE, ALONE}));
}

/* The first walks from t to t + 10. The second is looked up in t + 1, read from in t + 2 (until t + 7) and t + 8 (until
 * t + 13). It becomes the head in t + 11, has its PDE in t + 12 and its PTE when that comes, in t + 13. */
TEST_F(Ahead, AnEntryReadAheadCostsWhatIsLeftOfItsTime) {
    start(2);
    EXPECT_EQ(cycles({0x1000, OTHER}), (Cycles{ALONE, 3}));
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.walk_cycles, 11u + 3u);
    EXPECT_EQ(s.table_reads, 4u);
    EXPECT_EQ(s.walks, 2u);
}

/* Two walkers: the third request finds none free before the second is answered. Three: looked up in t + 2, read from in
 * t + 3 and t + 9; head in t + 14, PDE in t + 15, PTE (there since t + 14) in t + 16. */
TEST_F(Ahead, EachRequestTakesAWalkerUntilItsAnswer) {
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000, 0x3000}), (Cycles{ALONE, 3, ALONE}));
    start(3);
    EXPECT_EQ(cycles({0x1000, 0x2000, 0x3000}), (Cycles{ALONE, 3, 3}));
}

/* Looked up in t + 2, as the second's page takes a cycle to pass over. */
TEST_F(Ahead, APageThatIsWalkedAlreadyIsPassedOver) {
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x1004, 0x2000}), (Cycles{ALONE, 1, 3}));
    EXPECT_EQ(mmu_->statistics().table_reads, 4u);
}

TEST_F(Ahead, ASingleRequestIsAsWithOneWalker) {
    start(4);
    EXPECT_EQ(cycles({0x1000}), Cycles{ALONE});
    EXPECT_EQ(cycles({0x2000}), Cycles{ALONE});
    EXPECT_EQ(cycles({0x2000}), Cycles{1});
}

/* The first sets A in the PDE, by an exchange in t + 10 that is answered in t + 15: the second's walk ahead has read
 * that entry and is forgotten, its answer awaited until t + 12. The third is looked up in t + 13 and read from in t +
 * 14 (until t + 19) and t + 20 (until t + 25). The second walks from t + 16 to t + 26. Head in t + 27, PDE in t + 28,
 * PTE in t + 29. */
TEST_F(Ahead, AnExchangeForgetsWhatHasReadThatEntry) {
    memory_.set(DIRECTORY, TABLE | P | RW | US, 4);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000, 0x3000}), (Cycles{ALONE + 5, ALONE, 3}));
    EXPECT_EQ(memory_.get(DIRECTORY), TABLE | P | RW | US | A);
}

/* The second's PDE is read from t + 2 to t + 11, and as it is the head then, nothing more ahead. It reads its PTE in t
 * + 12, wants to set A in t + 17, and as another CPU has done so begins anew in t + 22, until t + 37. Then its walk
 * ahead is forgotten: the third is looked up in t + 23 and read from in t + 24 and t + 30. */
TEST_F(Ahead, AWalkThatBeginsAnewForgetsWhatWasReadForIt) {
    memory_.set(OTHER_TABLE, 0x800000 | P | RW | US, 4);
    memory_.before_exchange = [this](pa_t pa) { memory_.set(pa, memory_.get(pa) | A, 4); };
    memory_.latency = [](pa_t pa, bool, uint64_t) { return pa == DIRECTORY + 4 ? 9u : 4u; };
    start(2);
    EXPECT_EQ(cycles({0x1000, OTHER, 0x2000}), (Cycles{ALONE, 27, 3}));
    EXPECT_EQ(mmu_->statistics().walk_restarts, 1u);
}

/* As the first case: what is exchanged is not what was read. */
TEST_F(Ahead, AnExchangeLeavesOtherWalksAlone) {
    memory_.set(TABLE + 4, 0x101000 | P | RW | US, 4);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000}), (Cycles{ALONE + 5, 3}));
}

/* Walks of three: second and third read their PTE in t + 8 and t + 9, both until t + 14. The first's is due in t + 15,
 * but that is when the third gets its answer: t + 16, and evaluated in t + 17. */
TEST_F(Ahead, TheMemoryGivesOneAnswerACycle) {
    memory_.latency = [](pa_t pa, bool, uint64_t) {
        return pa == TABLE + 4 ? 10u : pa == TABLE + 8 ? 6u : pa == TABLE + 12 ? 5u : 4u;
    };
    start(3);
    EXPECT_EQ(cycles({0x1000, 0x2000, 0x3000})[0], 1u + 17);
}

/* The same of an exchange: issued in t + 10, due in t + 20, after two answers that are due in t + 19. */
TEST_F(Ahead, AnExchangeWaitsForItsAnswerToo) {
    memory_.set(TABLE + 4, 0x101000 | P | RW | US, 4);
    memory_.latency = [](pa_t pa, bool exchange, uint64_t) {
        return exchange || pa == TABLE + 12 ? 10u : pa == TABLE + 8 ? 11u : 4u;
    };
    start(3);
    EXPECT_EQ(cycles({0x1000, 0x2000, 0x3000})[0], 1u + 22);
}

/* The second has its PDE in t + 4; the last is looked up in t + 4, as two for a page that is walked have been passed
 * over. Both want to read in t + 5, when the head does, and in t + 6: the second reads, until t + 15. Head in t + 11.
 */
TEST_F(Ahead, TheOlderRequestReadsFirst) {
    memory_.latency = [](pa_t pa, bool, uint64_t) { return pa == DIRECTORY ? 1u : pa == TABLE + 4 ? 8u : 4u; };
    start(3);
    EXPECT_EQ(cycles({OTHER, 0x1000, 0x1000, 0x1000, 0x2000}), (Cycles{ALONE, 5, 1, 1, 3}));
}

/* W = t + 1, the walk from W to W + 10. The second is looked up in W + 1 and W + 2, read from in W + 3 (until W + 8)
 * and W + 9 (until W + 14); head in W + 11, its walk begins in W + 12: PDE W + 13, PTE W + 14. */
TEST_F(Ahead, TheSecondLevelIsLookedUpAhead) {
    second_level(0);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000}), (Cycles{ALONE + 1, 4}));
    /* All but 1000 is dropped from the first level: a hit of the second is passed over, and what is behind it read. */
    for (va_t va = 0x10000; va < 0x20000; va += 0x1000) { cycles({va + OTHER}); }
    EXPECT_EQ(mmu_->access(0x2000, MMU_READ).hit, MMU_HIT_WALK);
}

/* W = t + 8, an access takes 9 + 1: the walk from W to W + 20. The look-up ahead takes W + 1 and eight cycles, W + 2 to
 * W + 9. In W + 10 the head has the port: read in W + 11 (until W + 21) and W + 22 (until W + 32). Head in W + 21, walk
 * in W + 29, PDE W + 30, PTE W + 32. With ten cycles (W is t + 10): it stands still in W + 10, when the head's walk
 * looks at its answer, and ends in W + 12; read in W + 13 (until W + 23) and W + 24 (until W + 34). Walk in W + 31, PDE
 * W + 32, PTE W + 34. */
TEST_F(Ahead, TheLookUpAheadStandsStillWhileTheHeadEvaluates) {
    memory_.latency = [](pa_t, bool, uint64_t) { return 9u; };
    second_level(8);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000}), (Cycles{1 + 8 + 20, 12}));
    second_level(10);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000}), (Cycles{1 + 10 + 20, 14}));
}

/* Eight cycles do not fit: W + 2 … W + 9 without W + 5. */
TEST_F(Ahead, ALookUpAheadThatIsCutShortComesToNothing) {
    second_level(8);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000}), (Cycles{ALONE + 8, ALONE + 8}));
}

/* The first faults in t + 10. The second's walk ahead is forgotten with an answer under way, which comes in t + 12. In
 * the next batch the first walks from t + 11 to t + 21; the second is looked up in t + 13 and read from in t + 14
 * (until t + 19) and t + 20 (until t + 25). Head in t + 22, PDE t + 23, PTE t + 25. */
TEST_F(Ahead, AFaultForgetsAllAndTheirAnswersAreAwaited) {
    memory_.set(TABLE + 4, 0, 4);
    start(2);
    EXPECT_EQ(cycles({0x1000, 0x2000}), Cycles{ALONE});
    EXPECT_EQ(cycles({0x3000, 0x4000}), (Cycles{ALONE, 4}));
}

/* Eight requests fit. The first walks from t to t + 10; those after it can be looked up from t + 1, t + 2, … on, the
 * five hits in t + 1 to t + 4 and, as the head evaluates in t + 5, t + 6; the next one, a hit, too, in t + 7, the
 * eighth in t + 8: read from in t + 9 (until t + 14) and t + 15 (until t + 20). Head in t + 17: PDE t + 18, PTE t + 20.
 * The ninth comes into the queue when the first has been answered: nobody walks then in whose time it could be looked
 * up, but the eighth in t + 17 to t + 20. Two walkers: the other is not free. */
TEST_F(Ahead, WhatIsNotInTheQueueIsNotLookedUp) {
    start(2);
    for (va_t va = 0x10000; va < 0x16000; va += 0x1000) { cycles({va}); }
    EXPECT_EQ(cycles({0x1000, 0x10000, 0x11000, 0x12000, 0x13000, 0x14000, 0x15000, 0x2000, 0x3000}),
              (Cycles{ALONE, 1, 1, 1, 1, 1, 1, 4, ALONE}));
    start(2);
    for (va_t va = 0x10000; va < 0x17000; va += 0x1000) { cycles({va}); }
    EXPECT_EQ(cycles({0x1000, 0x10000, 0x11000, 0x12000, 0x13000, 0x14000, 0x15000, 0x16000, 0x3000}),
              (Cycles{ALONE, 1, 1, 1, 1, 1, 1, 1, ALONE}));
}

/* A large page: the second walk ahead is for nothing, the page is filled by the first. */
TEST_F(Ahead, AHitForgetsItsWalk) {
    memory_.set(DIRECTORY, 0x800000 | P | RW | US | A | D | 0x80, 4);
    preset_.features = CPU_PSE | CPU_PSE36;
    start(2);
    mmu_->control(MMU_CR4, CR4_PSE);
    /* The first walks from t to t + 5, the second hits in t + 6. Its walk ahead (read in t + 2, until t + 7) was
     * forgotten then; the third walks from t + 7. */
    EXPECT_EQ(cycles({0x1000, 0x2000, OTHER}), (Cycles{6, 1, ALONE}));
}

/* ---- nothing but cycles ---- */

TEST(SeveralWalkers, ChangeNothingButCycles) {
    for (const char *name : {"ref64", "tiny-l2", "tiny-unified", "tiny-random", "tiny-ahead"}) {
        mmu_preset preset = test_preset(name);
        preset.walkers = 1;
        for (unsigned walkers : {2u, 4u}) {
            for (uint64_t seed = 1; seed <= 5; seed++) {
                PairProgram program(&mmu_c_ops, &mmu_c_ops, preset, seed);
                program.other_walkers(walkers);
                ASSERT_EQ(program.run(1500), "") << name << ", " << walkers << " walkers, seed " << seed;
            }
        }
    }
}

} // namespace
