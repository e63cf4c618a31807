/* The Verilog MMU with three walkers: cycles worked out by hand from rtl/README.md, "Several walkers", which accesses are
 * really made, and that an invalidation forgets what was read ahead. Preset tiny-random: fetches have one level of TLBs,
 * a PDE cache of two sets of one way. t is the cycle in which the first request of a batch is looked up; a walk of two
 * levels takes until t + 2 (L + 1). */
#include "mmu_harness.h"

#include <gtest/gtest.h>

extern "C" {
#include "../../tb/pins.h"
}

namespace {

enum : uint32_t { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40 };
constexpr uint32_t ALL = P | RW | US | A | D;
constexpr pa_t DIRECTORY = 0x1000, TABLES = 0x10000;
constexpr va_t REGION = (va_t)1 << 22;

struct Question {
    pa_t pa;
    uint64_t cycle;
    bool operator==(const Question &other) const { return pa == other.pa && cycle == other.cycle; }
};

void PrintTo(const Question &q, std::ostream *out) { *out << std::hex << q.pa << " in " << std::dec << q.cycle; }

class RtlWalkers : public testing::TestWithParam<const char *> {
  protected:
    TestMemory memory;
    uint32_t latency = 4;
    std::vector<Question> questions;
    TestMmu m{rtl_ops(GetParam()), test_preset("tiny-random"), memory};

    void SetUp() override {
        memory.latency = [this](pa_t pa, bool, uint64_t cycle) {
            questions.push_back({pa, cycle});
            return latency;
        };
        m.control(MMU_CR3, DIRECTORY);
        m.control(MMU_CR0, CR0_PG | CR0_PE | CR0_WP);
    }
    static pa_t pde(va_t va) { return DIRECTORY + (va >> 22) * 4; }
    static pa_t pte(va_t va) { return TABLES + (va >> 22) * 0x1000 + (va >> 12 & 0x3FF) * 4; }
    void map(va_t va, uint32_t frame, uint32_t bits = ALL, uint32_t pde_bits = ALL & ~D) {
        memory.set(pde(va), (TABLES + (va >> 22) * 0x1000) | pde_bits, 4);
        memory.set(pte(va), frame | bits, 4);
    }
    /* A batch; results in `results`. The cycles of each. */
    std::vector<uint32_t> go(const std::vector<va_t> &addresses, mmu_type type = MMU_FETCH) {
        std::vector<mmu_request> requests;
        for (va_t va : addresses) { requests.push_back({va, (uint8_t)type, MMU_SUPERVISOR, 1}); }
        results.resize(addresses.size());
        t = m.ops()->cycles(m.mmu()) + 1;
        questions.clear();
        results.resize(m.ops()->translate(m.mmu(), requests.data(), results.data(), requests.size()));
        std::vector<uint32_t> cycles;
        for (const mmu_result &result : results) { cycles.push_back(result.cycles); }
        return cycles;
    }
    std::vector<mmu_result> results;
    uint64_t t = 0;
};

using Cycles = std::vector<uint32_t>;

/* The second is looked up ahead in t + 1, its PDE read from t + 2 on, judged in t + 3 + L; the PTE in t + 4 + L and
 * t + 5 + 2 L. It is the head in t + 3 + 2 L, has its PDE in t + 4 + 2 L and its PTE in t + 5 + 2 L. With L = 1 the head
 * has the port in t + 2: PDE from t + 3 on until t + 5, when its request walks itself: PDE t + 6, PTE t + 8. */
TEST_P(RtlWalkers, TwoWalksOverlap) {
    map(0x5000, 0x77000);
    map(REGION, 0x88000);
    for (uint32_t l : {2u, 4u, 37u}) {
        latency = l;
        m.control(MMU_CR3, DIRECTORY);
        EXPECT_EQ(go({0x5000, REGION}), (Cycles{3 + 2 * l, 3}));
        EXPECT_EQ(questions, (std::vector<Question>{{pde(0), t},
                                                    {pde(REGION), t + 2},
                                                    {pte(0x5000), t + 1 + l},
                                                    {pte(REGION), t + 4 + l}}));
        EXPECT_EQ(results[0].pa, 0x77000u);
        EXPECT_EQ(results[1].pa, 0x88000u);
    }
    latency = 1;
    m.control(MMU_CR3, DIRECTORY);
    EXPECT_EQ(go({0x5000, REGION}), (Cycles{5, 4}));
}

/* The third is looked up in t + 2: PDE from t + 3, PTE from t + 9 until t + 14, when it is the head: t + 15, t + 16. For
 * a fourth no walker is free before the third walks, and looks at an answer in every cycle. */
TEST_P(RtlWalkers, ThreeWalkersThreeWalks) {
    for (va_t region = 0; region < 4; region++) { map(region * REGION, 0x77000); }
    EXPECT_EQ(go({0, REGION, 2 * REGION, 3 * REGION}), (Cycles{11, 3, 3, 11}));
    mmu_statistics s = m.statistics();
    EXPECT_EQ(s.walks, 4u);
    EXPECT_EQ(s.table_reads, 8u);
    EXPECT_EQ(s.walk_cycles, 11u + 3 + 3 + 11);
}

TEST_P(RtlWalkers, TwoMissesOfOnePageAreOneWalk) {
    map(0x5000, 0x77000);
    EXPECT_EQ(go({0x5000, 0x5123}), (Cycles{11, 1}));
    EXPECT_EQ(results[1].hit, MMU_HIT_L1);
    EXPECT_EQ(questions.size(), 2u);
}

/* The second's walk ahead began at the root; then the first fills the PDE cache: the second begins there, and uses of
 * what was read ahead the PTE alone. */
TEST_P(RtlWalkers, AWalkThatBeginsDeeperUsesLess) {
    map(0x5000, 0x77000);
    map(0x6000, 0x88000);
    EXPECT_EQ(go({0x5000, 0x6000}), (Cycles{11, 3}));
    EXPECT_EQ(questions.size(), 4u);
    EXPECT_EQ(results[1].psc_level, 2);
    ASSERT_EQ(results[1].table_count, 1);
    EXPECT_EQ(results[1].table[0].pa, pte(0x6000));
    EXPECT_EQ(results[1].table[0].value, 0x88000u | ALL);
    EXPECT_EQ(results[1].table[0].op, MMU_TABLE_READ);
    EXPECT_EQ(m.statistics().table_reads, 3u);
}

/* The first sets A in the PDE, which the second has read ahead without: forgotten. */
TEST_P(RtlWalkers, AnExchangeForgetsWhatHasReadTheEntry) {
    map(0x5000, 0x77000, ALL, P | RW | US);
    map(0x6000, 0x88000, ALL, P | RW | US);
    EXPECT_EQ(go({0x5000, 0x6000}), (Cycles{16, 6}));
    EXPECT_EQ(m.statistics().table_writes, 1u);
    EXPECT_EQ(memory.get(pde(0)), TABLES | P | RW | US | A);
}

/* Another CPU changes the PTE before each of so many exchanges: the walk begins anew, reads two entries and tries again. */
TEST_P(RtlWalkers, ThousandsOfRestartsAreCounted) {
    map(0x5000, 0x77000, P | RW | US);
    uint32_t left = 5000;
    memory.before_exchange = [&](pa_t pa) {
        if (left > 0) {
            left--;
            memory.set(pa, memory.get(pa) ^ 0x200, 4); /* an ignored bit */
        }
    };
    latency = 1;
    EXPECT_EQ(go({0x5000}), Cycles{5001 * 3 * 2 + 1});
    EXPECT_EQ(results[0].restarts, 5000);
    EXPECT_EQ(results[0].table_total, 5001u * 3);
    EXPECT_EQ(memory.get(pte(0x5000)), 0x77000u | P | RW | US | A);
}

/* Where a page table was a 4 MB page comes to be. */
TEST_P(RtlWalkers, ALargePageTakesThePlaceOfASmallOne) {
    m.control(MMU_CR4, CR4_PSE);
    map(0x5000, 0x77000);
    go({0x5000});
    EXPECT_EQ(results[0].pa, 0x77000u);
    memory.set(pde(0), 0x00C00000 | 0x80 | ALL, 4);
    m.ops()->invlpg(m.mmu(), 0x5000);
    go({0x5000, 0x3000});
    EXPECT_EQ(results[0].pa, 0xC05000u);
    EXPECT_EQ(results[0].page_shift, 22);
    EXPECT_EQ(results[1].pa, 0xC03000u);
    EXPECT_EQ(results[1].hit, MMU_HIT_L1);
}

/* A walk ahead to a page that is not there says nothing before its request is the head, and then all. */
TEST_P(RtlWalkers, AFaultFoundAheadIsReportedInTurn) {
    map(0x5000, 0x77000);
    map(REGION, 0, 0);
    map(2 * REGION, 0x88000);
    EXPECT_EQ(go({0x5000, REGION, 2 * REGION}), (Cycles{11, 3}));
    EXPECT_EQ(results[1].vector, MMU_VECTOR_PF);
    EXPECT_EQ(results[1].cr2, REGION);
    EXPECT_EQ(m.statistics().faults, 1u);
    /* The third was dropped; what was read ahead for it with it. */
    map(2 * REGION, 0x99000);
    EXPECT_EQ(go({2 * REGION}), Cycles{11});
    EXPECT_EQ(results[0].pa, 0x99000u);
}

/* Data accesses have a second level, of four classes. The first walks from t + 4 =: W to W + 10; the second is looked up
 * from W + 1 to W + 6, not in W + 5, when the head looks at an answer. PDE from W + 7 until W + 12, PTE from W + 13 until
 * W + 18. It is the head in W + 11 and walks in W + 15: PDE W + 16, PTE W + 18. */
TEST_P(RtlWalkers, TheSecondLevelIsLookedUpAhead) {
    map(0x5000, 0x77000);
    map(REGION, 0x88000);
    EXPECT_EQ(go({0x5000, REGION}, MMU_READ), (Cycles{15, 8}));
    EXPECT_EQ(questions, (std::vector<Question>{
                             {pde(0), t + 4}, {pte(0x5000), t + 9}, {pde(REGION), t + 11}, {pte(REGION), t + 17}}));
}

/* Request 2's tables are read ahead; then its page is changed and invalidated, while the first still walks. */
TEST_P(RtlWalkers, AnInvalidationForgetsWhatWasReadAhead) {
    const char *directory = getenv("NTMMU_PRESET_DIR");
    std::string path = std::string(directory ? directory : "build/presets") + "/" + GetParam() + ".so";
    auto cycle = reinterpret_cast<rtl_cycle_fn>(dlsym(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL), RTL_CYCLE_SYMBOL));
    ASSERT_NE(cycle, nullptr);
    for (bool invalidate : {false, true}) {
        latency = 4;
        m.control(MMU_CR3, DIRECTORY);
        map(0x5000, 0x77000, ALL, P | RW | US);
        map(REGION, 0x88000);
        rtl_pins pins = {};
        std::vector<pa_t> answers;
        for (unsigned i = 0; i < 60; i++) {
            pins.req_valid = i < 2;
            pins.request = {i == 0 ? (va_t)0x5000 : REGION, MMU_FETCH, MMU_SUPERVISOR, 1};
            pins.inv_valid = i == 15 && invalidate; /* the PTE was judged in 14, the first walks until 16 */
            pins.inv_va = REGION;
            if (i == 15) { map(REGION, 0x99000); }
            cycle(m.mmu(), &pins);
            if (pins.rsp_valid) { answers.push_back(pins.pa); }
        }
        EXPECT_EQ(answers, (std::vector<pa_t>{0x77000, invalidate ? 0x99000u : 0x88000u}));
    }
}

INSTANTIATE_TEST_SUITE_P(Models, RtlWalkers, testing::Values("tiny-random", "tiny-random.assert"),
                         [](const testing::TestParamInfo<const char *> &info) {
                             return std::string(info.param) == "tiny-random" ? "plain" : "asserting";
                         });

} // namespace
