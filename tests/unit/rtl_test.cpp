/* The Verilog MMU alone: every rule of 32-bit paging and of its TLBs with the cycles it takes. Expected values come
 * from the Intel SDM (volume 3, 4.3, 4.6, 4.7, 4.10) and from the cycle formula of mmu.h: an access that makes n table
 * accesses of latency L takes 1 + n (L + 1) cycles. Models come from NTMMU_PRESET_DIR (default build/presets);
 * NTMMU_RTL_SO names another model of preset tiny (assertions on, a mutant). Runs in the repository's root. */
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

extern "C" {
#include "ntmmu/mmu.h"
}

namespace {

enum : uint32_t { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
const uint32_t ALL = P | RW | US | A | D;             /* nothing to commit, everything allowed */
const uint32_t PDE_BASE = 0x1000, PTE_BASE = 0x10000; /* directory; table of PDE i at PTE_BASE + 0x1000 i */
const va_t LARGE = (va_t)1 << 22;

struct LatencyQuestion {
    pa_t pa;
    bool exchange;
    uint64_t cycle;
};

struct Memory {
    std::vector<uint32_t> words = std::vector<uint32_t>(0x10000);
    uint32_t latency = 4;
    std::function<void(pa_t)> before_exchange;
    std::vector<LatencyQuestion> questions;

    uint32_t &at(pa_t pa) { return words.at(pa / 4); }
    uint32_t &pde(va_t va) { return at(PDE_BASE + (va >> 22) * 4); }
    uint32_t &pte(va_t va) { return at(PTE_BASE + (va >> 22) * 0x1000 + (va >> 12 & 0x3FF) * 4); }

    void map(va_t va, uint32_t frame, uint32_t bits = ALL, uint32_t pde_bits = ALL & ~D) {
        pde(va) = (PTE_BASE + (uint32_t)(va >> 22) * 0x1000) | pde_bits;
        pte(va) = frame | bits;
    }
    void map_large(va_t va, uint32_t frame, uint32_t bits = ALL) { pde(va) = frame | PS | bits; }

    static uint64_t read(void *ctx, pa_t pa, unsigned bytes) {
        EXPECT_EQ(bytes, 4u);
        return static_cast<Memory *>(ctx)->at(pa);
    }
    static uint64_t exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
        Memory *memory = static_cast<Memory *>(ctx);
        EXPECT_EQ(bytes, 4u);
        if (memory->before_exchange) { memory->before_exchange(pa); }
        uint32_t old = memory->at(pa);
        if (old == expected) { memory->at(pa) = (uint32_t)desired; }
        return old;
    }
    static uint32_t ask_latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
        Memory *memory = static_cast<Memory *>(ctx);
        memory->questions.push_back({pa, exchange, cycle});
        return memory->latency;
    }
};

/* One model from one shared object. */
class Model {
  public:
    explicit Model(const std::string &preset, unsigned physical_bits = 0, const std::string &variant = "") {
        const char *chosen = getenv("NTMMU_RTL_SO");
        const char *directory = getenv("NTMMU_PRESET_DIR");
        std::string file = std::string(directory ? directory : "build/presets") + "/" + preset + variant + ".so";
        if (chosen && preset == "tiny" && variant.empty()) { file = chosen; }
        library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            ADD_FAILURE() << dlerror();
            return;
        }
        ops = ((mmu_ops_fn)dlsym(library, MMU_OPS_SYMBOL))();
        char err[256] = "";
        EXPECT_EQ(preset_load(&config.preset, "rtl/presets", preset.c_str(), err, sizeof err), 0) << err;
        if (physical_bits) { config.preset.physical_bits = physical_bits; }
        config.memory = {&memory, Memory::read, Memory::exchange, Memory::ask_latency};
        config.assertions = file.find(".assert.") != std::string::npos;
        mmu = ops->create(&config, err, sizeof err);
        EXPECT_NE(mmu, nullptr) << err;
    }
    ~Model() {
        if (mmu) { ops->destroy(mmu); }
        if (library) { dlclose(library); }
    }
    Model(const Model &) = delete;

    void paging_on(uint64_t cr4 = CR4_PSE | CR4_PGE, uint64_t cr0 = CR0_WP) {
        EXPECT_EQ(set(MMU_CR3, PDE_BASE), MMU_VECTOR_NONE);
        EXPECT_EQ(set(MMU_CR4, cr4), MMU_VECTOR_NONE);
        EXPECT_EQ(set(MMU_CR0, CR0_PG | CR0_PE | cr0), MMU_VECTOR_NONE);
    }
    int set(mmu_control which, uint64_t value) { return ops->write_control(mmu, which, value); }
    uint64_t get(mmu_control which) { return ops->read_control(mmu, which); }
    void invlpg(va_t va) { ops->invlpg(mmu, va); }
    mmu_result go(va_t va, mmu_type type = MMU_READ, mmu_mode mode = MMU_SUPERVISOR) {
        mmu_request request = {va, (uint8_t)type, (uint8_t)mode, 4};
        mmu_result result = {};
        EXPECT_EQ(ops->translate(mmu, &request, &result, 1), 1u);
        return result;
    }
    /* Where the access was served, having succeeded. */
    int hit(va_t va, mmu_type type = MMU_READ, mmu_mode mode = MMU_SUPERVISOR) {
        mmu_result result = go(va, type, mode);
        EXPECT_EQ(result.vector, MMU_VECTOR_NONE) << std::hex << va;
        return result.hit;
    }
    mmu_statistics statistics() {
        mmu_statistics out = {};
        ops->statistics(mmu, &out);
        return out;
    }
    std::vector<mmu_tlb_entry> entries() {
        std::vector<mmu_tlb_entry> out(1024);
        out.resize(ops->tlb_entries(mmu, out.data(), out.size()));
        return out;
    }

    void *library = nullptr;
    const mmu_ops *ops = nullptr;
    mmu_config config = {};
    Memory memory;
    struct mmu *mmu = nullptr;
};

void expect_fault(const mmu_result &result, va_t cr2, uint32_t error_code, uint32_t cycles) {
    EXPECT_EQ(result.vector, MMU_VECTOR_PF);
    EXPECT_EQ(result.cr2, cr2);
    EXPECT_EQ(result.error_code, error_code);
    EXPECT_EQ(result.cycles, cycles);
}

class Rtl : public ::testing::Test {
  protected:
    void SetUp() override { ASSERT_NE(m.mmu, nullptr); }
    Model m{"tiny"};
    Memory &memory = m.memory;
    uint32_t cycles(unsigned table_accesses) const { return 1 + table_accesses * (m.memory.latency + 1); }
};

class RtlLatency : public Rtl, public ::testing::WithParamInterface<unsigned> {
  protected:
    void SetUp() override {
        Rtl::SetUp();
        memory.latency = GetParam();
    }
};

/* ---- cycles ---- */

TEST_F(Rtl, PagingOffIsOneCycleAndCountsNothing) {
    mmu_result result = m.go(0xDEADBEEF, MMU_WRITE);
    EXPECT_EQ(result.pa, 0xDEADBEEFu);
    EXPECT_EQ(result.hit, MMU_HIT_OFF);
    EXPECT_EQ(result.cycles, 1u);
    EXPECT_EQ(result.done, 1u);
    EXPECT_EQ(result.page_shift, 0);
    mmu_statistics s = m.statistics();
    EXPECT_EQ(s.misses[TLB_DATA][TLB_4K] + s.hits[ARRAY_DTLB] + s.walks + s.miss_fault[TLB_DATA], 0u);
    EXPECT_EQ(s.cycles, 1u);
}

TEST_P(RtlLatency, WalkThenHit4K) {
    m.paging_on();
    memory.map(0x5000, 0x77000);
    mmu_result walk = m.go(0x5123);
    EXPECT_EQ(walk.hit, MMU_HIT_WALK);
    EXPECT_EQ(walk.pa, 0x77123u);
    EXPECT_EQ(walk.page_shift, 12);
    EXPECT_EQ(walk.cycles, 2 * GetParam() + 3);
    EXPECT_EQ(walk.done, 3 + 2 * GetParam() + 3); /* after three control writes */
    ASSERT_EQ(walk.table_count, 2);
    EXPECT_EQ(walk.table_total, 2);
    EXPECT_EQ(walk.table[0].pa, PDE_BASE);
    EXPECT_EQ(walk.table[0].level, 2);
    EXPECT_EQ(walk.table[0].op, MMU_TABLE_READ);
    EXPECT_EQ(walk.table[0].value, memory.pde(0x5000));
    EXPECT_EQ(walk.table[1].pa, PTE_BASE + 5 * 4);
    EXPECT_EQ(walk.table[1].level, 1);
    EXPECT_EQ(walk.table[1].value, memory.pte(0x5000));
    mmu_result hit = m.go(0x5FFC);
    EXPECT_EQ(hit.hit, MMU_HIT_L1);
    EXPECT_EQ(hit.pa, 0x77FFCu);
    EXPECT_EQ(hit.cycles, 1u);
    EXPECT_EQ(hit.done, walk.done + 1);
    EXPECT_EQ(hit.table_count, 0);
}

TEST_P(RtlLatency, Walk4MIsShorter) {
    m.paging_on();
    memory.map_large(LARGE, 0x40000000);
    mmu_result walk = m.go(LARGE + 0x12345);
    EXPECT_EQ(walk.pa, 0x40012345u);
    EXPECT_EQ(walk.page_shift, 22);
    EXPECT_EQ(walk.cycles, GetParam() + 2);
    EXPECT_EQ(walk.table_count, 1);
    mmu_result hit = m.go(LARGE + 0x3FFFFF);
    EXPECT_EQ(hit.hit, MMU_HIT_L1);
    EXPECT_EQ(hit.pa, 0x403FFFFFu);
    EXPECT_EQ(hit.page_shift, 22);
    EXPECT_EQ(hit.cycles, 1u);
}

TEST_P(RtlLatency, FaultsAtPdeAndPte) {
    m.paging_on();
    mmu_result at_pde = m.go(0x5123, MMU_READ, MMU_USER);
    expect_fault(at_pde, 0x5123, PF_USER, GetParam() + 2);
    EXPECT_EQ(at_pde.page_shift, 0);
    EXPECT_EQ(at_pde.table_count, 1);
    memory.map(0x5000, 0, 0);
    mmu_result at_pte = m.go(0x5123, MMU_WRITE);
    expect_fault(at_pte, 0x5123, PF_WRITE, 2 * GetParam() + 3);
    EXPECT_EQ(at_pte.page_shift, 0);
    EXPECT_EQ(m.statistics().miss_fault[TLB_DATA], 2u);
}

TEST_P(RtlLatency, EachCommitIsOneMoreAccess) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P | RW, P | RW);
    mmu_result read = m.go(0x5000);
    EXPECT_EQ(read.cycles, cycles(4));
    ASSERT_EQ(read.table_count, 4);
    EXPECT_EQ(read.table[2].op, MMU_TABLE_EXCHANGE);
    EXPECT_EQ(read.table[2].level, 2);
    EXPECT_EQ(read.table[2].desired, PTE_BASE | P | RW | A);
    EXPECT_EQ(read.table[3].op, MMU_TABLE_EXCHANGE);
    EXPECT_EQ(read.table[3].level, 1);
    EXPECT_EQ(read.table[3].value, 0x77000u | P | RW);
    EXPECT_EQ(memory.pde(0x5000), PTE_BASE | P | RW | A);
    EXPECT_EQ(memory.pte(0x5000), 0x77000u | P | RW | A);
    mmu_result write = m.go(0x5000, MMU_WRITE); /* only D is missing */
    EXPECT_EQ(write.hit, MMU_HIT_DIRTY);
    EXPECT_EQ(write.cycles, cycles(3));
    EXPECT_EQ(memory.pte(0x5000), 0x77000u | P | RW | A | D);
    EXPECT_EQ(memory.pde(0x5000), PTE_BASE | P | RW | A) << "D is never set in an entry that points to a table";
    EXPECT_EQ(m.go(0x5000, MMU_MODIFY).hit, MMU_HIT_L1);
    memory.map(0x6000, 0x78000, P | RW);
    mmu_result both = m.go(0x6000, MMU_MODIFY); /* A and D in one exchange */
    EXPECT_EQ(both.hit, MMU_HIT_WALK);
    EXPECT_EQ(both.cycles, cycles(3));
    EXPECT_EQ(memory.pte(0x6000), 0x78000u | P | RW | A | D);
    EXPECT_EQ(m.statistics().table_writes, 4u);
    memory.map(LARGE, 0x79000, P | RW, P | RW);
    EXPECT_EQ(m.go(LARGE, MMU_WRITE).cycles, cycles(4));
    EXPECT_EQ(memory.pde(LARGE), (PTE_BASE + 0x1000) | P | RW | A);
    EXPECT_EQ(memory.pte(LARGE), 0x79000u | P | RW | A | D);
}

TEST_P(RtlLatency, LargePageCommitsOnce) {
    m.paging_on();
    memory.map_large(LARGE, 0x40000000, P | RW);
    mmu_result write = m.go(LARGE, MMU_WRITE);
    EXPECT_EQ(write.cycles, cycles(2));
    EXPECT_EQ(write.table[1].level, 2);
    EXPECT_EQ(memory.pde(LARGE), 0x40000000u | PS | P | RW | A | D);
    EXPECT_EQ(m.go(LARGE, MMU_WRITE).hit, MMU_HIT_L1);
}

INSTANTIATE_TEST_SUITE_P(Cycles, RtlLatency, ::testing::Values(1u, 2u, 4u, 37u));

TEST_F(Rtl, HitsStreamOneACycleAndABatchStopsAtAFault) {
    m.paging_on();
    memory.map(0x5000, 0x77000);
    m.go(0x5000);
    uint64_t before = m.ops->cycles(m.mmu);
    std::vector<mmu_request> requests(100, mmu_request{0x5010, MMU_READ, MMU_SUPERVISOR, 4});
    requests[70].va = 0x9000;
    std::vector<mmu_result> results(100);
    ASSERT_EQ(m.ops->translate(m.mmu, requests.data(), results.data(), 100), 71u);
    for (unsigned i = 0; i < 70; i++) { EXPECT_EQ(results[i].done, before + i + 1); }
    expect_fault(results[70], 0x9000, 0, cycles(2));
}

TEST_F(Rtl, LatencyIsAskedOnceAtTheCycleOfIssue) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P, P);
    uint64_t lookup = m.ops->cycles(m.mmu) + 1;
    m.go(0x5000);
    ASSERT_EQ(memory.questions.size(), 4u);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(memory.questions[i].cycle, lookup + i * (memory.latency + 1));
        EXPECT_EQ(memory.questions[i].exchange, i >= 2);
    }
    EXPECT_EQ(memory.questions[1].pa, PTE_BASE + 5 * 4);
    EXPECT_EQ(memory.questions[2].pa, PDE_BASE);
}

TEST_F(Rtl, ControlWritesAndInvlpgTakeOneCycleEach) {
    m.paging_on();
    EXPECT_EQ(m.ops->cycles(m.mmu), 3u);
    m.invlpg(0);
    m.set(MMU_EFLAGS_AC, 1);
    m.set(MMU_EFER, 0x800);
    EXPECT_EQ(m.set(MMU_CR4, CR4_PCIDE), MMU_VECTOR_GP);
    EXPECT_EQ(m.ops->cycles(m.mmu), 7u);
    EXPECT_EQ(m.statistics().cycles, 7u);
    m.entries(); /* looking costs nothing */
    EXPECT_EQ(m.get(MMU_EFER), 0x800u);
    EXPECT_EQ(m.get(MMU_EFLAGS_AC), 1u);
    EXPECT_EQ(m.ops->cycles(m.mmu), 7u);
}

/* ---- restart ---- */

TEST_F(Rtl, RestartWhenThePteChangesUnderTheCommit) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P | RW);
    memory.before_exchange = [&](pa_t) {
        memory.pte(0x5000) = 0x99000 | P | RW; /* another CPU replaces the page */
        memory.before_exchange = nullptr;
    };
    mmu_result result = m.go(0x5000, MMU_WRITE);
    EXPECT_EQ(result.restarts, 1);
    EXPECT_EQ(result.pa, 0x99000u);
    EXPECT_EQ(result.table_total, 6); /* PDE, PTE, failed exchange, PDE, PTE, exchange */
    EXPECT_EQ(result.cycles, cycles(6));
    EXPECT_EQ(result.table[2].value, 0x99000u | P | RW);
    EXPECT_EQ(result.table[2].desired, 0x77000u | P | RW | A | D);
    EXPECT_EQ(memory.pte(0x5000), 0x99000u | P | RW | A | D);
    mmu_statistics s = m.statistics();
    EXPECT_EQ(s.walks, 1u);
    EXPECT_EQ(s.walk_restarts, 1u);
    EXPECT_EQ(s.table_reads, 4u);
    EXPECT_EQ(s.table_writes, 1u);
}

TEST_F(Rtl, RestartWhenThePdeIsFreedUnderTheCommit) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P | RW, P | RW);
    memory.before_exchange = [&](pa_t) { memory.pde(0x5000) = 0; };
    mmu_result result = m.go(0x5000);
    expect_fault(result, 0x5000, 0, cycles(4));
    EXPECT_EQ(result.restarts, 1);
    EXPECT_EQ(result.page_shift, 0);
    EXPECT_EQ(memory.pde(0x5000), 0u) << "a freed entry must not be marked";
    EXPECT_EQ(memory.pte(0x5000), 0x77000u | P | RW);
    EXPECT_TRUE(m.entries().empty());
}

TEST_F(Rtl, ManyRestartsOverflowTheTableButNotTheCount) {
    m.paging_on();
    memory.map_large(LARGE, 0x40000000, P);
    unsigned left = 20;
    memory.before_exchange = [&](pa_t) {
        if (left > 0) {
            left--;
            memory.pde(LARGE) ^= 0x200; /* an ignored bit */
        }
    };
    mmu_result result = m.go(LARGE);
    EXPECT_EQ(result.restarts, 20);
    EXPECT_EQ(result.table_total, 42);
    EXPECT_EQ(result.table_count, MMU_TABLE_MAX);
    EXPECT_EQ(result.cycles, cycles(42));
}

/* ---- faults ---- */

TEST_F(Rtl, AFaultingWalkWritesNothing) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P | US, P | RW | US);
    mmu_result result = m.go(0x5000, MMU_WRITE, MMU_USER);
    expect_fault(result, 0x5000, PF_PRESENT | PF_WRITE | PF_USER, cycles(2));
    EXPECT_EQ(result.hit, MMU_HIT_WALK);
    EXPECT_EQ(result.page_shift, 12);
    EXPECT_EQ(memory.pde(0x5000) & A, 0u);
    EXPECT_EQ(memory.pte(0x5000) & (A | D), 0u);
    EXPECT_TRUE(m.entries().empty());
    EXPECT_EQ(m.statistics().misses[TLB_DATA][TLB_4K], 1u);
}

TEST_F(Rtl, RightsAreThoseOfBothLevels) {
    m.paging_on();
    memory.map(0x5000, 0x77000, ALL, P | A | RW);
    expect_fault(m.go(0x5000, MMU_READ, MMU_USER), 0x5000, PF_PRESENT | PF_USER, cycles(2));
    memory.map(0x5000, 0x77000, ALL, P | A | US);
    EXPECT_EQ(m.hit(0x5000, MMU_READ, MMU_USER), MMU_HIT_WALK);
    expect_fault(m.go(0x5000, MMU_WRITE, MMU_USER), 0x5000, PF_PRESENT | PF_WRITE | PF_USER, 1);
    expect_fault(m.go(0x5000, MMU_WRITE), 0x5000, PF_PRESENT | PF_WRITE, cycles(2)); /* CR0.WP; dropped by the #PF */
}

TEST_F(Rtl, ErrorCodeNamesFetchesOnlyWithSmep) {
    m.paging_on();
    expect_fault(m.go(0x5000, MMU_FETCH, MMU_USER), 0x5000, PF_USER, cycles(1));
    m.set(MMU_CR4, CR4_SMEP);
    expect_fault(m.go(0x5000, MMU_FETCH, MMU_USER), 0x5000, PF_USER | PF_FETCH, cycles(1));
    expect_fault(m.go(0x5000, MMU_MODIFY, MMU_IMPLICIT), 0x5000, PF_WRITE, cycles(1));
    EXPECT_EQ(m.statistics().miss_fault[TLB_INSTRUCTION], 2u);
}

TEST_F(Rtl, Pse36AddressAndReservedBits) {
    m.paging_on();
    memory.map_large(LARGE, 0x40000000 | 0xA5 << 13);
    EXPECT_EQ(m.go(LARGE + 5).pa, 0xA540000005u);
    EXPECT_EQ(m.go(LARGE + 6).pa, 0xA540000006u);
    memory.map_large(2 * LARGE, 0x40000000 | 1 << 21);
    mmu_result result = m.go(2 * LARGE, MMU_READ, MMU_USER);
    expect_fault(result, 2 * LARGE, PF_PRESENT | PF_USER | PF_RESERVED, cycles(1));
    EXPECT_EQ(result.page_shift, 22);
    expect_fault(m.go(2 * LARGE, MMU_FETCH), 2 * LARGE, PF_PRESENT | PF_RESERVED, cycles(1));
}

TEST(RtlPhysicalBits, AddressBitsBeyondMaxphyaddrAreReserved) {
    for (unsigned bits = 32; bits <= 40; bits++) {
        Model m("tiny", bits);
        ASSERT_NE(m.mmu, nullptr);
        m.paging_on();
        for (unsigned i = 0; i < 8; i++) {
            m.memory.map_large(LARGE, 1u << (13 + i));
            m.invlpg(LARGE);
            mmu_result result = m.go(LARGE);
            if (32 + i >= bits) {
                EXPECT_EQ(result.error_code, (uint32_t)(PF_PRESENT | PF_RESERVED)) << bits << " " << i;
            } else {
                EXPECT_EQ(result.vector, MMU_VECTOR_NONE) << bits << " " << i;
                EXPECT_EQ(result.pa, (pa_t)1 << (32 + i));
            }
        }
    }
}

TEST_F(Rtl, WithoutPsePsIsIgnored) {
    m.paging_on(0);
    memory.map(0x5000, 0x77000);
    memory.pde(0x5000) |= PS;
    EXPECT_EQ(m.go(0x5000).pa, 0x77000u);
}

TEST_F(Rtl, APageFaultDropsItsEntriesOnBothSides) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P | RW | A | D);
    m.hit(0x5000);
    m.hit(0x5000, MMU_FETCH);
    EXPECT_EQ(m.entries().size(), 2u);
    memory.pte(0x5000) |= US; /* the kernel grants more and need not flush */
    mmu_result stale = m.go(0x5000, MMU_READ, MMU_USER);
    expect_fault(stale, 0x5000, PF_PRESENT | PF_USER, 1);
    EXPECT_EQ(stale.hit, MMU_HIT_L1);
    EXPECT_EQ(stale.page_shift, 12);
    EXPECT_TRUE(m.entries().empty());
    EXPECT_EQ(m.hit(0x5000, MMU_READ, MMU_USER), MMU_HIT_WALK) << "a stale denial comes at most once";
    EXPECT_EQ(m.statistics().fault_drops, 1u);
}

TEST_F(Rtl, AFaultOfAWalkDropsTheOtherSideToo) {
    m.paging_on();
    memory.map(0x5000, 0x77000);
    m.hit(0x5000, MMU_FETCH);
    memory.pte(0x5000) = 0;
    expect_fault(m.go(0x5000), 0x5000, 0, cycles(2));
    EXPECT_TRUE(m.entries().empty());
}

/* ---- invalidation ---- */

TEST_F(Rtl, InvlpgDropsGlobalAndLargeEntriesOfBothSides) {
    m.paging_on();
    memory.map(0x5000, 0x77000, ALL | G);
    memory.map_large(LARGE, 0x40000000, ALL | G);
    for (mmu_type type : {MMU_READ, MMU_FETCH}) {
        m.hit(0x5000, type);
        m.hit(LARGE, type);
    }
    EXPECT_EQ(m.entries().size(), 4u);
    m.invlpg(0x6000);
    EXPECT_EQ(m.entries().size(), 4u);
    m.invlpg(0x5FFF);
    EXPECT_EQ(m.entries().size(), 2u);
    m.invlpg(LARGE + 0x234567); /* any address inside the large page */
    EXPECT_TRUE(m.entries().empty());
    EXPECT_EQ(m.statistics().invlpg, 3u);
}

TEST_F(Rtl, MovCr3KeepsGlobalEntriesOnly) {
    m.paging_on();
    memory.map(0x5000, 0x77000, ALL | G);
    memory.map(0x6000, 0x78000, ALL, (ALL & ~D) | G); /* G in the PDE of a table is ignored */
    memory.map_large(LARGE, 0x40000000, ALL | G);
    memory.map_large(2 * LARGE, 0x80000000, ALL);
    for (va_t va : {(va_t)0x5000, (va_t)0x6000, LARGE, 2 * LARGE}) { m.hit(va); }
    m.set(MMU_CR3, PDE_BASE);
    EXPECT_EQ(m.entries().size(), 2u);
    EXPECT_EQ(m.hit(0x5000), MMU_HIT_L1);
    EXPECT_EQ(m.hit(LARGE), MMU_HIT_L1);
    EXPECT_EQ(m.hit(0x6000), MMU_HIT_WALK);
    EXPECT_EQ(m.hit(2 * LARGE), MMU_HIT_WALK);
}

TEST_F(Rtl, GIsIgnoredWithoutPge) {
    m.paging_on(CR4_PSE);
    memory.map(0x5000, 0x77000, ALL | G);
    m.hit(0x5000);
    ASSERT_EQ(m.entries().size(), 1u);
    EXPECT_FALSE(m.entries()[0].global);
    m.set(MMU_CR3, PDE_BASE);
    EXPECT_TRUE(m.entries().empty());
}

TEST_F(Rtl, WhichControlWritesFlushEverything) {
    m.paging_on();
    const uint32_t kernel = (ALL & ~US) | G; /* so that SMEP and SMAP let it pass */
    memory.map(0x5000, 0x77000, kernel);
    memory.map_large(LARGE, 0x40000000, kernel);
    const uint64_t base = CR4_PSE | CR4_PGE, cr0 = CR0_PG | CR0_PE;
    uint64_t flushes = m.statistics().flush_all;
    auto flushed = [&](mmu_control which, uint64_t from, uint64_t to) {
        m.set(which, from);
        m.go(0x5000);
        m.go(LARGE);
        m.go(LARGE, MMU_FETCH);
        m.set(which, to);
        bool empty = m.entries().empty();
        EXPECT_TRUE(empty || m.entries().size() == 3u);
        return empty;
    };
    EXPECT_TRUE(flushed(MMU_CR4, base, base & ~CR4_PGE));
    EXPECT_TRUE(flushed(MMU_CR4, base & ~CR4_PGE, base));
    EXPECT_TRUE(flushed(MMU_CR4, base, base & ~CR4_PSE));
    EXPECT_TRUE(flushed(MMU_CR4, base, base | CR4_SMEP));
    EXPECT_FALSE(flushed(MMU_CR4, base | CR4_SMEP, base));
    EXPECT_FALSE(flushed(MMU_CR4, base, base | CR4_SMAP));
    EXPECT_FALSE(flushed(MMU_CR4, base | CR4_SMAP, base));
    EXPECT_FALSE(flushed(MMU_CR0, cr0 | CR0_WP, cr0));
    EXPECT_FALSE(flushed(MMU_CR0, cr0, cr0 | CR0_WP));
    EXPECT_TRUE(flushed(MMU_CR0, cr0, CR0_PE));
    EXPECT_EQ(m.statistics().flush_all - flushes, 6u); /* the five above and PSE back on */
}

TEST_F(Rtl, BadControlValuesChangeNothing) {
    m.paging_on();
    memory.map(0x5000, 0x77000);
    m.hit(0x5000);
    mmu_statistics before = m.statistics();
    EXPECT_EQ(m.set(MMU_CR4, CR4_PCIDE), MMU_VECTOR_GP);
    EXPECT_EQ(m.set(MMU_CR0, CR0_PG), MMU_VECTOR_GP);
    EXPECT_EQ(m.get(MMU_CR4), CR4_PSE | CR4_PGE);
    EXPECT_EQ(m.get(MMU_CR0), CR0_PG | CR0_PE | CR0_WP);
    EXPECT_EQ(m.get(MMU_CR3), PDE_BASE);
    EXPECT_EQ(m.statistics().flush_all, before.flush_all);
    EXPECT_EQ(m.hit(0x5000), MMU_HIT_L1);
}

/* ---- raw rights in the entry ---- */

TEST_F(Rtl, WpActsAtOnce) {
    m.paging_on(CR4_PSE | CR4_PGE, 0);
    memory.map(0x5000, 0x77000, P | US | A | D);
    EXPECT_EQ(m.hit(0x5000, MMU_WRITE), MMU_HIT_WALK); /* WP = 0: the supervisor writes a read-only page */
    EXPECT_EQ(m.hit(0x5000, MMU_WRITE), MMU_HIT_L1);
    EXPECT_FALSE(m.entries().at(0).writable);
    m.set(MMU_CR0, CR0_PG | CR0_PE | CR0_WP);
    expect_fault(m.go(0x5000, MMU_WRITE), 0x5000, PF_PRESENT | PF_WRITE, 1);
}

TEST_F(Rtl, SmapAndAcActAtOnce) {
    m.paging_on();
    memory.map(0x5000, 0x77000);
    m.hit(0x5000);
    m.set(MMU_CR4, CR4_PSE | CR4_PGE | CR4_SMAP);
    m.set(MMU_EFLAGS_AC, 1);
    EXPECT_EQ(m.hit(0x5000), MMU_HIT_L1);
    EXPECT_EQ(m.hit(0x5000, MMU_READ, MMU_USER), MMU_HIT_L1);
    expect_fault(m.go(0x5000, MMU_READ, MMU_IMPLICIT), 0x5000, PF_PRESENT, 1); /* AC excuses explicit accesses only */
    m.hit(0x5000);
    m.set(MMU_EFLAGS_AC, 0);
    expect_fault(m.go(0x5000), 0x5000, PF_PRESENT, 1);
    expect_fault(m.go(0x5000), 0x5000, PF_PRESENT, cycles(2));
    EXPECT_EQ(m.hit(0x5000, MMU_FETCH), MMU_HIT_WALK) << "SMAP is about data";
}

TEST_F(Rtl, SmepStopsSupervisorFetchesOfUserPages) {
    m.paging_on();
    memory.map(0x5000, 0x77000);
    EXPECT_EQ(m.hit(0x5000, MMU_FETCH), MMU_HIT_WALK);
    m.set(MMU_CR4, CR4_PSE | CR4_PGE | CR4_SMEP);
    EXPECT_EQ(m.hit(0x5000, MMU_FETCH, MMU_USER), MMU_HIT_WALK);
    expect_fault(m.go(0x5000, MMU_FETCH), 0x5000, PF_PRESENT | PF_FETCH, 1);
    expect_fault(m.go(0x5000, MMU_FETCH), 0x5000, PF_PRESENT | PF_FETCH, cycles(2));
    m.hit(0x5000, MMU_FETCH, MMU_USER);
    m.set(MMU_CR4, CR4_PSE | CR4_PGE);
    EXPECT_EQ(m.hit(0x5000, MMU_FETCH), MMU_HIT_L1);
}

/* ---- arrays and replacement; tiny has two sets of two ways for 4 KB, one set of two ways for 4 MB ---- */

TEST_F(Rtl, LruOrderInASet) {
    m.paging_on();
    for (va_t va = 0; va < 0x10000; va += 0x1000) { memory.map(va, 0x100000 + (uint32_t)va); }
    const va_t a = 0x2000, b = 0x4000, c = 0x6000; /* all in set 0 */
    m.hit(a);
    m.hit(b);
    EXPECT_EQ(m.hit(a), MMU_HIT_L1);
    EXPECT_EQ(m.hit(c), MMU_HIT_WALK);      /* replaces b, the least recently touched */
    EXPECT_EQ(m.hit(0x3000), MMU_HIT_WALK); /* set 1 */
    EXPECT_EQ(m.hit(a), MMU_HIT_L1);
    EXPECT_EQ(m.hit(c), MMU_HIT_L1);
    EXPECT_EQ(m.hit(0x3000), MMU_HIT_L1);
    EXPECT_EQ(m.hit(b), MMU_HIT_WALK); /* replaces a */
    EXPECT_EQ(m.hit(c), MMU_HIT_L1);
    EXPECT_EQ(m.hit(a), MMU_HIT_WALK);
}

TEST_F(Rtl, FaultsAndDirtyLookupsDoNotTouch) {
    m.paging_on();
    memory.map(0x2000, 0x72000, P | RW | A);
    memory.map(0x4000, 0x74000);
    memory.map(0x6000, 0x76000);
    m.hit(0x2000);
    m.hit(0x4000);
    memory.pte(0x2000) = 0x72000 | P | A; /* read-only behind the TLB's back: the dirty walk faults */
    mmu_result result = m.go(0x2000, MMU_WRITE);
    expect_fault(result, 0x2000, PF_PRESENT | PF_WRITE, cycles(2));
    EXPECT_EQ(result.hit, MMU_HIT_DIRTY);
    m.hit(0x6000); /* takes the way that the #PF emptied, not the victim */
    EXPECT_EQ(m.hit(0x4000), MMU_HIT_L1);
    EXPECT_EQ(m.statistics().dirty_walks, 1u);
}

TEST_F(Rtl, AnInvalidWayIsFilledBeforeAnyVictim) {
    m.paging_on();
    memory.map(0x2000, 0x72000);
    memory.map(0x4000, 0x74000);
    memory.map(0x6000, 0x76000);
    m.hit(0x2000);
    m.hit(0x4000);
    m.invlpg(0x4000); /* way 1, the most recently touched */
    m.hit(0x6000);
    std::vector<mmu_tlb_entry> entries = m.entries();
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].va, 0x2000u);
    EXPECT_EQ(entries[1].va, 0x6000u);
    EXPECT_EQ(entries[1].way, 1);
}

TEST_F(Rtl, ADirtyWalkRefillsTheSameWay) {
    m.paging_on();
    memory.map(0x2000, 0x72000, P | RW | US | A);
    m.hit(0x2000);
    EXPECT_EQ(m.hit(0x2000, MMU_WRITE), MMU_HIT_DIRTY);
    std::vector<mmu_tlb_entry> entries = m.entries();
    ASSERT_EQ(entries.size(), 1u);
    EXPECT_EQ(entries[0].va, 0x2000u);
    EXPECT_EQ(entries[0].pa, 0x72000u);
    EXPECT_EQ(entries[0].array, ARRAY_DTLB);
    EXPECT_EQ(entries[0].tlb_class, TLB_4K);
    EXPECT_EQ(entries[0].set, 0);
    EXPECT_TRUE(entries[0].dirty && entries[0].writable && entries[0].user && !entries[0].global);
}

TEST_F(Rtl, AReadOfADirtyPageNeedsNoWalkForItsFirstWrite) {
    m.paging_on();
    memory.map(0x2000, 0x72000);
    m.hit(0x2000);
    EXPECT_EQ(m.hit(0x2000, MMU_WRITE), MMU_HIT_L1);
}

TEST_F(Rtl, The4KEntryServesIfBothSizesMatch) {
    m.paging_on();
    memory.map(LARGE, 0x77000);
    m.hit(LARGE);
    memory.map_large(LARGE, 0x40000000);
    EXPECT_EQ(m.go(LARGE + 0x1000).pa, 0x40001000u);
    EXPECT_EQ(m.entries().size(), 2u);
    mmu_result stale = m.go(LARGE);
    EXPECT_EQ(stale.pa, 0x77000u);
    EXPECT_EQ(stale.page_shift, 12);
}

TEST_F(Rtl, AFillDropsTheOtherSizesEntryForItsAddress) {
    m.paging_on();
    memory.map(LARGE, 0x77000, P | RW | A);
    m.hit(LARGE);
    m.hit(LARGE, MMU_FETCH);
    memory.map_large(LARGE, 0x40000000, P | RW);
    EXPECT_EQ(m.go(LARGE, MMU_WRITE).pa, 0x40000000u); /* D = 0 in the 4 KB entry: walks, finds a 4 MB page */
    std::vector<mmu_tlb_entry> entries = m.entries();
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].array, ARRAY_ITLB); /* the other side is left alone */
    EXPECT_EQ(entries[0].tlb_class, TLB_4K);
    EXPECT_EQ(entries[1].array, ARRAY_DTLB + 1);
    EXPECT_EQ(entries[1].tlb_class, TLB_LARGE);
}

TEST(RtlPlru, TheVictimFollowsThePointers) {
    Model m("tiny-plru"); /* dtlb_4k: one set of eight ways */
    ASSERT_NE(m.mmu, nullptr);
    m.paging_on();
    for (va_t va = 0; va < 0x20000; va += 0x1000) { m.memory.map(va, 0x100000 + (uint32_t)va); }
    auto way_of = [&](va_t va) {
        for (const mmu_tlb_entry &entry : m.entries()) {
            if (entry.va == va) { return (int)entry.way; }
        }
        return -1;
    };
    for (va_t page = 0; page < 8; page++) {
        m.hit(page << 12);
        EXPECT_EQ(way_of(page << 12), (int)page); /* invalid ways first */
    }
    m.hit(8 << 12); /* last touched 7: root, left child and its left child point to 0 */
    EXPECT_EQ(way_of(8 << 12), 0);
    m.hit(9 << 12); /* root now points up: 4 */
    EXPECT_EQ(way_of(9 << 12), 4);
    m.hit(2 << 12);  /* a hit on way 2: node (0..3) points down, root up */
    m.hit(10 << 12); /* upper half: (4..7) was left pointing to (6,7) by the fill of 4; 7 was the last there: 6 */
    EXPECT_EQ(way_of(10 << 12), 6);
    m.hit(11 << 12); /* lower half: (0,1), of which 0 was the last: 1 */
    EXPECT_EQ(way_of(11 << 12), 1);
}

/* ---- statistics ---- */

TEST_F(Rtl, StatisticsCountEveryEventOnce) {
    m.paging_on();
    memory.map(0x5000, 0x77000, P | RW | US, P | RW | US);
    memory.map_large(LARGE, 0x40000000);
    uint64_t walk_cycles = 0;
    walk_cycles += m.go(0x5000).cycles;               /* walk: 2 reads, 2 writes */
    m.go(0x5000);                                     /* hit */
    walk_cycles += m.go(0x5000, MMU_WRITE).cycles;    /* dirty walk: 2 reads, 1 write */
    walk_cycles += m.go(LARGE, MMU_FETCH).cycles;     /* walk: 1 read */
    m.go(LARGE, MMU_FETCH);                           /* hit */
    walk_cycles += m.go(3 * LARGE, MMU_FETCH).cycles; /* fault without a leaf: 1 read */
    m.invlpg(0);
    mmu_statistics s = m.statistics();
    EXPECT_EQ(s.hits[ARRAY_DTLB], 1u);
    EXPECT_EQ(s.misses[TLB_DATA][TLB_4K], 2u);
    EXPECT_EQ(s.hits[ARRAY_DTLB + 1] + s.misses[TLB_DATA][TLB_LARGE], 0u);
    EXPECT_EQ(s.hits[ARRAY_ITLB + 1], 1u);
    EXPECT_EQ(s.misses[TLB_INSTRUCTION][TLB_LARGE], 1u);
    EXPECT_EQ(s.miss_fault[TLB_INSTRUCTION], 1u);
    EXPECT_EQ(s.miss_fault[TLB_DATA], 0u);
    EXPECT_EQ(s.walks, 4u);
    EXPECT_EQ(s.dirty_walks, 1u);
    EXPECT_EQ(s.walk_restarts, 0u);
    EXPECT_EQ(s.walk_cycles, walk_cycles);
    EXPECT_EQ(s.table_reads, 6u);
    EXPECT_EQ(s.table_writes, 3u);
    EXPECT_EQ(s.faults, 1u);
    EXPECT_EQ(s.fault_drops, 1u);
    EXPECT_EQ(s.invlpg, 1u);
    EXPECT_EQ(s.cr3_writes, 1u);
    EXPECT_EQ(s.flush_all, 2u); /* PSE and PGE at once, then PG */
    EXPECT_EQ(s.cycles, 3 + walk_cycles + 2 + 1);
    EXPECT_EQ(s.cycles, m.ops->cycles(m.mmu));
}

/* ---- several models, waves, refusals ---- */

TEST(RtlModels, SeveralInOneProcessAreIndependent) {
    Model a("tiny"), b("tiny");
    ASSERT_TRUE(a.mmu && b.mmu);
    a.paging_on();
    b.paging_on();
    a.memory.map(0x5000, 0x77000);
    b.memory.map(0x5000, 0x99000);
    EXPECT_EQ(a.go(0x5000).pa, 0x77000u);
    EXPECT_EQ(b.go(0x5000).pa, 0x99000u);
    a.invlpg(0x5000);
    EXPECT_TRUE(a.entries().empty());
    EXPECT_EQ(b.go(0x5000).hit, MMU_HIT_L1);
}

TEST_F(Rtl, AnotherGeometryIsRefused) {
    mmu_config other = m.config;
    other.preset.array[ARRAY_DTLB].ways = 4;
    char err[256] = "";
    EXPECT_EQ(m.ops->create(&other, err, sizeof err), nullptr);
    EXPECT_NE(std::string(err).find("geometry"), std::string::npos) << err;
}

TEST(RtlWave, AWindowIsWrittenAndChangesNothing) {
    Model m("tiny", 0, ".assert");
    std::string path = ::testing::TempDir() + "ntmmu_rtl_test.fst";
    remove(path.c_str());
    m.paging_on();
    m.memory.map(0x5000, 0x77000);
    EXPECT_EQ(m.ops->wave(m.mmu, path.c_str(), 0, 1000), 0);
    EXPECT_EQ(m.go(0x5000).cycles, 1 + 2 * (m.memory.latency + 1));
    EXPECT_EQ(m.go(0x5000).cycles, 1u);
    EXPECT_EQ(m.ops->wave(m.mmu, nullptr, 0, 0), 0);
    FILE *file = fopen(path.c_str(), "rb");
    ASSERT_NE(file, nullptr);
    fseek(file, 0, SEEK_END);
    EXPECT_GT(ftell(file), 500);
    fclose(file);
    remove(path.c_str());
    EXPECT_EQ(m.ops->wave(m.mmu, "/nonexistent/x.fst", 0, 10), -1);
    EXPECT_EQ(m.go(0x5000).hit, MMU_HIT_L1);
}

TEST_F(Rtl, TheBuildForSpeedRefusesAWave) {
    if (getenv("NTMMU_RTL_SO")) { GTEST_SKIP() << "another build"; }
    EXPECT_EQ(m.ops->wave(m.mmu, (::testing::TempDir() + "ntmmu_rtl_test.fst").c_str(), 0, 10), -1);
    EXPECT_EQ(m.ops->wave(m.mmu, nullptr, 0, 0), 0);
}

} // namespace
