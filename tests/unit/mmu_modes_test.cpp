/* The C MMU's second level, paging-structure caches, fragments, PCIDs, PAE, 4-level paging, memory types: values worked
 * out by hand from the Intel SDM, volume 3, chapter 4, and from rtl/README.md. */
#include "mmu_harness.h"

#include <gtest/gtest.h>
#include <memory>
#include <vector>

namespace {

constexpr uint64_t P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, G = 256, NX = (uint64_t)1 << 63;
constexpr uint64_t ALL = P | RW | US | A | D;
constexpr uint32_t READ_TIME = 4 + 1; /* TestMemory's latency, and the cycle in which the answer is looked at */
constexpr unsigned K4 = 1 << TLB_4K, M2 = 1 << TLB_LARGE, G1 = 1 << TLB_1G, PDE = 1 << TLB_PDE;

/* Page n of the lowest 2 MB is frame 100 + n; then a 2 MB page at 40000000, and a 1 GB page at 40000000 (hexadecimal),
 * 4-level. In the upper half a page at FFFFFFFFFFFFF000. */
class Modes : public testing::Test {
  protected:
    static constexpr pa_t PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, HIGH = 0x5000;
    static constexpr va_t LARGE = 0x200000, HUGE_PAGE = 0x40000000, TOP = 0xFFFFFFFFFFFFF000;
    mmu_preset preset_ = {};
    TestMemory memory_;
    std::unique_ptr<TestMmu> mmu_;

    Modes() {
        preset_.replacement = TLB_LRU;
        preset_.seed = 1;
        preset_.walkers = 1;
        preset_.physical_bits = 40;
        preset_.features = (1u << CPU_FEATURES) - 1;
        preset_.array[ARRAY_ITLB] = {K4 | M2 | G1, 1, 4};
        preset_.array[ARRAY_DTLB] = {K4, 2, 2};
        preset_.array[ARRAY_DTLB + 1] = {M2, 1, 2};
        preset_.array[ARRAY_DTLB + 2] = {G1, 1, 1};
        set(PML4, PDPT | ALL);
        set(PML4 + 511 * 8, HIGH | ALL);
        set(PDPT, PD | ALL);
        set(PDPT + 8, 0x40000000 | PS | ALL);
        set(PD, PT | ALL);
        set(PD + 8, 0x40000000 | PS | ALL);
        for (unsigned i = 0; i < 512; i++) { set(PT + 8 * i, (0x100 + i) << 12 | ALL); }
        set(HIGH + 511 * 8, (HIGH + 0x1000) | ALL);
        set(HIGH + 0x1000 + 511 * 8, (HIGH + 0x2000) | ALL);
        set(HIGH + 0x2000 + 511 * 8, 0x777000 | ALL);
    }
    void set(pa_t pa, uint64_t value) { memory_.set(pa, value, 8); }
    uint64_t get(pa_t pa) { return memory_.get(pa, 8); }
    void start(uint64_t cr4 = 0) {
        mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, preset_, memory_);
        EXPECT_EQ(mmu_->control(MMU_CR3, PML4), 0);
        EXPECT_EQ(mmu_->control(MMU_CR4, CR4_PAE | (cr4 & ~CR4_PCIDE)), 0);
        EXPECT_EQ(mmu_->control(MMU_EFER, EFER_LME), 0);
        EXPECT_EQ(mmu_->control(MMU_CR0, CR0_PE | CR0_PG), 0);
        EXPECT_EQ(mmu_->control(MMU_CR4, CR4_PAE | cr4), 0);
    }
    static va_t page(unsigned i) { return i * 0x1000; }
    mmu_result read(va_t va, mmu_mode mode = MMU_SUPERVISOR) { return mmu_->access(va, MMU_READ, mode); }
    mmu_result write(va_t va) { return mmu_->access(va, MMU_WRITE); }
    mmu_result fetch(va_t va) { return mmu_->access(va, MMU_FETCH); }
    int invpcid(uint64_t type, uint64_t pcid, va_t va) { return mmu_c_ops.invpcid(mmu_->mmu(), type, pcid, va); }
    void invlpg(va_t va) { mmu_c_ops.invlpg(mmu_->mmu(), va); }
    uint64_t cycles() { return mmu_c_ops.cycles(mmu_->mmu()); }
    std::vector<mmu_tlb_entry> entries() {
        std::vector<mmu_tlb_entry> list(256);
        list.resize(mmu_c_ops.tlb_entries(mmu_->mmu(), list.data(), list.size()));
        return list;
    }
};

/* ---- 4-level paging ---- */

TEST_F(Modes, EachLevelIsOneRead) {
    start();
    mmu_result r = read(page(3) + 5);
    EXPECT_EQ(r.pa, 0x103005u);
    EXPECT_EQ(r.cycles, 1 + 4 * READ_TIME);
    ASSERT_EQ(r.table_count, 4);
    EXPECT_EQ(r.table[0].level, 4);
    EXPECT_EQ(r.table[3].pa, PT + 24);
    r = read(LARGE + 0x12345);
    EXPECT_EQ(r.pa, 0x40012345u);
    EXPECT_EQ(r.page_shift, 21);
    EXPECT_EQ(r.cycles, 1 + 3 * READ_TIME);
    r = read(HUGE_PAGE + 0x3FFFFFFF);
    EXPECT_EQ(r.pa, 0x7FFFFFFFu);
    EXPECT_EQ(r.page_shift, 30);
    EXPECT_EQ(r.cycles, 1 + 2 * READ_TIME);
    EXPECT_EQ(read(TOP + 0xFFF).pa, 0x777FFFu);
    EXPECT_EQ(read(TOP).hit, MMU_HIT_L1);
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.misses[TLB_DATA][TLB_4K], 2u);
    EXPECT_EQ(s.misses[TLB_DATA][TLB_LARGE], 1u);
    EXPECT_EQ(s.misses[TLB_DATA][TLB_1G], 1u);
    bool found = false;
    for (const auto &e : entries()) { found = found || (e.va == TOP && e.array == ARRAY_DTLB && e.pa == 0x777000); }
    EXPECT_TRUE(found);
}

TEST_F(Modes, AddressesThatAreNotCanonicalRaiseGp) {
    start();
    for (va_t va : {(va_t)0x0000800000000000, (va_t)0xFFFF7FFFFFFFFFFF, (va_t)0x8000000000000000}) {
        mmu_result r = read(va);
        EXPECT_EQ(r.vector, MMU_VECTOR_GP) << va;
        EXPECT_EQ(r.cycles, 1u);
        EXPECT_EQ(r.table_total, 0);
    }
    read(TOP);
    EXPECT_EQ(read(TOP & 0xFFFFFFFFFFFF).vector, MMU_VECTOR_GP); /* what its tag holds, but no such address */
    EXPECT_EQ(mmu_->statistics().faults, 0u);
    EXPECT_EQ(mmu_->statistics().walks, 1u);
}

TEST_F(Modes, ReservedBitsAreFoundBeforeTheNextRead) {
    struct {
        pa_t entry;
        uint64_t bits;
        unsigned reads, page_shift;
        va_t va;
    } const cases[] = {
        {PML4, PS, 1, 0, 0},
        {PML4, (uint64_t)1 << 40, 1, 0, 0},
        {PML4, (uint64_t)1 << 51, 1, 0, 0},
        {PML4, NX, 1, 0, 0},
        {PDPT, NX, 2, 0, 0},
        {PDPT + 8, 1u << 13, 2, 30, HUGE_PAGE},
        {PDPT + 8, 1u << 29, 2, 30, HUGE_PAGE},
        {PD + 8, 1u << 13, 3, 21, LARGE},
        {PD + 8, 1u << 20, 3, 21, LARGE},
        {PT, (uint64_t)1 << 40, 4, 12, 0},
        {PT, NX, 4, 12, 0},
    };
    for (const auto &c : cases) {
        start();
        uint64_t before = get(c.entry);
        set(c.entry, before | c.bits);
        mmu_result r = read(c.va);
        EXPECT_EQ(r.vector, MMU_VECTOR_PF) << std::hex << c.entry << " " << c.bits;
        EXPECT_EQ(r.error_code, unsigned{PF_PRESENT | PF_RESERVED});
        EXPECT_EQ(r.table_total, c.reads) << std::hex << c.entry << " " << c.bits;
        EXPECT_EQ(r.page_shift, c.page_shift) << std::hex << c.entry << " " << c.bits;
        set(c.entry, before);
    }
}

TEST_F(Modes, IgnoredBitsAndGigabytePagesThatTheCpuLacks) {
    start();
    set(PML4, get(PML4) | (uint64_t)0x7FF << 52 | D | G);
    EXPECT_EQ(read(page(0)).vector, 0);
    preset_.features &= ~(unsigned)CPU_1G;
    start();
    mmu_result r = read(HUGE_PAGE);
    EXPECT_EQ(r.error_code, unsigned{PF_PRESENT | PF_RESERVED});
    EXPECT_EQ(r.page_shift, 0);
}

TEST_F(Modes, NxIsOredOverTheLevelsAndActsWithNxe) {
    start();
    mmu_->control(MMU_EFER, EFER_LME | EFER_NXE);
    set(PDPT, get(PDPT) | NX);
    EXPECT_EQ(read(page(0)).vector, 0);
    mmu_result r = fetch(page(0));
    EXPECT_EQ(r.error_code, unsigned{PF_PRESENT | PF_FETCH});
    EXPECT_EQ(fetch(HUGE_PAGE).vector, 0);
}

TEST_F(Modes, AccessedIsSetFromTheTopAndDirtyInTheLeafAlone) {
    for (pa_t pa : {PML4, PDPT, PD, PT}) { set(pa, get(pa) & ~(A | D)); }
    start();
    mmu_result r = write(page(0));
    EXPECT_EQ(r.cycles, 1 + 8 * READ_TIME);
    ASSERT_EQ(r.table_count, 8);
    for (unsigned i = 0; i < 4; i++) {
        EXPECT_EQ(r.table[4 + i].op, MMU_TABLE_EXCHANGE);
        EXPECT_EQ(r.table[4 + i].level, 4 - i);
    }
    EXPECT_EQ(get(PD) & (A | D), A);
    EXPECT_EQ(get(PT) & (A | D), A | D);
}

/* ---- PAE ---- */

class Pae : public Modes {
  protected:
    static constexpr pa_t POINTERS = 0x6020; /* 32-byte aligned, in the middle of a page */
    Pae() {
        for (unsigned i = 0; i < 4; i++) { set(POINTERS + 8 * i, 0); }
        set(POINTERS, PD | P);
    }
    int start_pae() {
        mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, preset_, memory_);
        mmu_->control(MMU_CR3, POINTERS);
        mmu_->control(MMU_CR4, CR4_PAE);
        return mmu_->control(MMU_CR0, CR0_PE | CR0_PG);
    }
};

TEST_F(Pae, LoadsFourPointersAndWalksTwoLevels) {
    mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, preset_, memory_);
    EXPECT_EQ(start_pae(), 0);
    EXPECT_EQ(cycles(), 3 + 4 * READ_TIME);
    mmu_result r = read(page(2));
    EXPECT_EQ(r.pa, 0x102000u);
    EXPECT_EQ(r.cycles, 1 + 2 * READ_TIME);
    EXPECT_EQ(read(LARGE).pa, 0x40000000u);
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.pdpte_loads, 1u);
    EXPECT_EQ(s.table_reads, 3u);
}

TEST_F(Pae, AnAbsentPointerFaultsWithoutARead) {
    start_pae();
    mmu_result r = read(0x40000000, MMU_USER);
    EXPECT_EQ(r.error_code, unsigned{PF_USER});
    EXPECT_EQ(r.cycles, 1u);
    EXPECT_EQ(r.hit, MMU_HIT_WALK);
    EXPECT_EQ(r.table_total, 0);
    set(POINTERS + 8, PD | P); /* registers: memory is not looked at before the next load */
    EXPECT_EQ(read(0x40000000).vector, MMU_VECTOR_PF);
    mmu_->control(MMU_CR3, POINTERS);
    EXPECT_EQ(read(0x40000000).vector, 0);
}

TEST_F(Pae, AReservedBitInAPointerRefusesTheLoad) {
    for (uint64_t bit :
         {(uint64_t)1 << 1, (uint64_t)1 << 2, (uint64_t)1 << 5, (uint64_t)1 << 8, (uint64_t)1 << 40, NX}) {
        set(POINTERS, PD | P);
        start_pae();
        set(POINTERS, PD | P | bit);
        uint64_t before = cycles();
        EXPECT_EQ(mmu_->control(MMU_CR3, POINTERS), MMU_VECTOR_GP) << bit;
        EXPECT_EQ(cycles() - before, 1 + 4 * READ_TIME);
        EXPECT_EQ(read(page(0)).vector, 0); /* the registers are as they were */
        set(POINTERS, (PD | bit) & ~P);     /* not present: the other bits are ignored */
        EXPECT_EQ(mmu_->control(MMU_CR3, POINTERS), 0) << bit;
    }
}

/* ---- the second level ---- */

TEST_F(Modes, ASecondLevelHitTakesTheProbesAndFillsTheFirst) {
    preset_.unified[1] = true;
    preset_.array[ARRAY_ISTLB] = {K4 | M2, 4, 2};
    preset_.array[ARRAY_ISTLB + 1] = {G1, 1, 2};
    start();
    EXPECT_EQ(read(page(0)).cycles, 1 + 2 + 4 * READ_TIME); /* two classes probed */
    EXPECT_EQ(read(LARGE).cycles, 1 + 2 + 3 * READ_TIME);
    mmu_result r = fetch(page(0)); /* unified: the other side's fill */
    EXPECT_EQ(r.hit, MMU_HIT_L2);
    EXPECT_EQ(r.cycles, 1 + 1u);
    EXPECT_EQ(r.pa, 0x100000u);
    r = fetch(LARGE);
    EXPECT_EQ(r.hit, MMU_HIT_L2);
    EXPECT_EQ(r.cycles, 1 + 2u);
    EXPECT_EQ(fetch(page(0)).hit, MMU_HIT_L1);
    EXPECT_EQ(fetch(LARGE).hit, MMU_HIT_L1);
    read(HUGE_PAGE);
    EXPECT_EQ(fetch(HUGE_PAGE).cycles, 1 + 1u); /* the first class of the second array */
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.hits[ARRAY_ISTLB], 2u);
    EXPECT_EQ(s.hits[ARRAY_ISTLB + 1], 1u);
    EXPECT_EQ(s.hits[ARRAY_ITLB], 2u);
    EXPECT_EQ(s.walks, 3u);
    EXPECT_EQ(s.walk_cycles, 3 + 9 * READ_TIME);
}

TEST_F(Modes, StlbCyclesAreTheLeast) {
    preset_.array[ARRAY_DSTLB] = {K4 | M2 | G1, 4, 2};
    preset_.stlb_cycles = 2;
    start();
    EXPECT_EQ(read(page(0)).cycles, 1 + 3 + 4 * READ_TIME);
    read(page(2)), read(page(4)); /* the first level's set of two ways */
    EXPECT_EQ(read(page(0)).cycles, 1 + 2u);
    EXPECT_EQ(fetch(page(0)).cycles, 1 + 4 * READ_TIME); /* the other side has none */
    read(HUGE_PAGE), read(HUGE_PAGE);
    mmu_result denied = mmu_->access(page(2), MMU_READ, MMU_USER);
    EXPECT_EQ(denied.vector, 0);
}

TEST_F(Modes, AFaultFromTheSecondLevelDropsBoth) {
    preset_.array[ARRAY_DSTLB] = {K4, 4, 4};
    set(PT, 0x100000 | P | A | D);
    start();
    for (unsigned i : {0, 2, 4}) { read(page(i)); }
    mmu_result r = read(page(0), MMU_USER);
    EXPECT_EQ(r.hit, MMU_HIT_L2);
    EXPECT_EQ(r.vector, MMU_VECTOR_PF);
    EXPECT_EQ(r.cycles, 2u);
    EXPECT_EQ(read(page(0)).hit, MMU_HIT_WALK);
}

TEST_F(Modes, DirtyAfterASecondLevelHitCostsItsCycles) {
    preset_.array[ARRAY_DSTLB] = {K4 | M2, 4, 4};
    set(PT, 0x100000 | P | RW | A);
    start();
    for (unsigned i : {0, 2, 4}) { read(page(i)); }
    mmu_result r = write(page(0));
    EXPECT_EQ(r.hit, MMU_HIT_DIRTY);
    EXPECT_EQ(r.cycles, 1 + 1 + 5 * READ_TIME);
    EXPECT_EQ(write(page(0)).hit, MMU_HIT_L1);
}

/* ---- paging-structure caches ---- */

TEST_F(Modes, AWalkBeginsBelowTheDeepestEntry) {
    preset_.array[ARRAY_PSC_PDE] = {0, 1, 2};
    preset_.array[ARRAY_PSC_PDPTE] = {0, 1, 2};
    preset_.array[ARRAY_PSC_PML4E] = {0, 1, 2};
    start();
    EXPECT_EQ(read(page(0)).psc_level, 0);
    mmu_result r = read(page(1));
    EXPECT_EQ(r.psc_level, 2);
    EXPECT_EQ(r.cycles, 1 + READ_TIME);
    EXPECT_EQ(r.table[0].pa, PT + 8);
    r = read(LARGE);
    EXPECT_EQ(r.psc_level, 3);
    EXPECT_EQ(r.cycles, 1 + READ_TIME);
    r = read(HUGE_PAGE);
    EXPECT_EQ(r.psc_level, 4);
    EXPECT_EQ(r.cycles, 1 + READ_TIME);
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.hits[ARRAY_PSC_PDE], 1u);
    EXPECT_EQ(s.hits[ARRAY_PSC_PDPTE], 1u);
    EXPECT_EQ(s.hits[ARRAY_PSC_PML4E], 1u);
    invlpg(TOP); /* any address */
    EXPECT_EQ(read(page(2)).psc_level, 0);
}

TEST_F(Modes, RightsAboveACachedStartCount) {
    preset_.array[ARRAY_PSC_PDE] = {0, 1, 2};
    set(PDPT, PD | P | A | US);
    start();
    EXPECT_EQ(read(page(0), MMU_USER).vector, 0);
    mmu_result r = mmu_->access(page(1), MMU_WRITE, MMU_USER);
    EXPECT_EQ(r.psc_level, 2);
    EXPECT_EQ(r.error_code, unsigned{PF_PRESENT | PF_WRITE | PF_USER});
    EXPECT_EQ(read(page(1)).psc_level, 0); /* the fault has dropped what covers its address */
}

TEST_F(Modes, AMismatchStartsAnewFromTheRoot) {
    preset_.array[ARRAY_PSC_PDE] = {0, 1, 2};
    start();
    read(page(0));
    set(PT + 8, 0x101000 | P | RW);
    bool done = false;
    memory_.before_exchange = [&](pa_t pa) {
        if (!done) { memory_.words[pa] |= 0x200; }
        done = true;
    };
    mmu_result r = read(page(1));
    EXPECT_EQ(r.psc_level, 2);
    EXPECT_EQ(r.restarts, 1);
    EXPECT_EQ(r.table_total, 2 + 5);
}

TEST_F(Modes, PdesOfTheSecondLevel) {
    preset_.array[ARRAY_DSTLB] = {K4 | PDE, 4, 2};
    start();
    EXPECT_EQ(read(page(0)).cycles, 1 + 2 + 4 * READ_TIME);
    mmu_result r = read(page(1));
    EXPECT_EQ(r.cycles, 1 + 2 + READ_TIME);
    EXPECT_EQ(r.psc_level, 2);
    EXPECT_EQ(mmu_->statistics().pde_hits[1], 1u);
    bool listed = false;
    for (const auto &e : entries()) {
        if (e.tlb_class == TLB_PDE) {
            listed = true;
            EXPECT_EQ(e.va, 0u);
            EXPECT_EQ(e.pa, PT);
        }
    }
    EXPECT_TRUE(listed);
    read(LARGE, MMU_USER);
    set(PT + 16, 0);
    EXPECT_EQ(read(page(2)).vector, MMU_VECTOR_PF); /* drops the PDE that covers it */
    EXPECT_EQ(read(page(3)).psc_level, 0);
    invlpg(TOP);
    EXPECT_EQ(read(page(4)).psc_level, 0);
}

/* ---- fragments ---- */

TEST_F(Modes, AFragmentStandsForPartOfAPage) {
    preset_.array[ARRAY_DTLB + 2] = {0, 0, 0};
    start();
    mmu_result r = read(HUGE_PAGE + 0x345678);
    EXPECT_EQ(r.page_shift, 30);
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_TRUE(entries()[0].fragment);
    EXPECT_EQ(entries()[0].array, ARRAY_DTLB + 1);
    EXPECT_EQ(entries()[0].va, HUGE_PAGE + 0x200000);
    EXPECT_EQ(entries()[0].pa, 0x40200000u);
    r = read(HUGE_PAGE + 0x200001);
    EXPECT_EQ(r.hit, MMU_HIT_L1);
    EXPECT_EQ(r.page_shift, 21);
    EXPECT_EQ(r.pa, 0x40200001u);
    EXPECT_EQ(read(HUGE_PAGE).hit, MMU_HIT_WALK);
    read(page(0));
    invlpg(HUGE_PAGE + 0x30000000); /* another part of the same page */
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_FALSE(entries()[0].fragment);
}

/* ---- PCIDs ---- */

TEST_F(Modes, PcidsKeepEntriesApart) {
    start(CR4_PCIDE | CR4_PGE);
    set(PT + 8, get(PT + 8) | G);
    read(page(0)), read(page(1));
    EXPECT_EQ(mmu_->control(MMU_CR3, CR3_KEEP | PML4 | 5), 0);
    EXPECT_EQ(mmu_c_ops.read_control(mmu_->mmu(), MMU_CR3), PML4 | 5);
    EXPECT_EQ(read(page(1)).hit, MMU_HIT_L1); /* global */
    EXPECT_EQ(read(page(0)).hit, MMU_HIT_WALK);
    mmu_->control(MMU_CR3, CR3_KEEP | PML4);
    EXPECT_EQ(read(page(0)).hit, MMU_HIT_L1);
    mmu_->control(MMU_CR3, PML4 | 5); /* drops those of PCID 5 */
    EXPECT_EQ(read(page(0)).hit, MMU_HIT_WALK);
    mmu_->control(MMU_CR3, CR3_KEEP | PML4);
    EXPECT_EQ(read(page(0)).hit, MMU_HIT_L1);
    EXPECT_EQ(mmu_->control(MMU_CR4, CR4_PAE | CR4_PGE), 0);
    EXPECT_TRUE(entries().empty());
}

TEST_F(Modes, InvpcidByType) {
    start(CR4_PCIDE | CR4_PGE);
    set(PT + 8, get(PT + 8) | G);
    auto fill = [&] {
        for (uint64_t pcid : {1, 2}) {
            mmu_->control(MMU_CR3, CR3_KEEP | PML4 | pcid);
            read(page(0)), read(LARGE), read(page(1));
        }
    };
    fill();
    EXPECT_EQ(entries().size(), 5u);
    EXPECT_EQ(invpcid(INVPCID_ADDRESS, 1, page(0)), 0);
    EXPECT_EQ(entries().size(), 4u);
    EXPECT_EQ(invpcid(INVPCID_ADDRESS, 1, page(1)), 0); /* global: stays */
    EXPECT_EQ(entries().size(), 4u);
    fill();
    EXPECT_EQ(invpcid(INVPCID_CONTEXT, 2, 0), 0);
    EXPECT_EQ(entries().size(), 3u);
    EXPECT_EQ(invpcid(INVPCID_ALL_BUT_GLOBAL, 0, 0), 0);
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_TRUE(entries()[0].global);
    EXPECT_EQ(invpcid(INVPCID_ALL, 0, 0), 0);
    EXPECT_TRUE(entries().empty());
    EXPECT_EQ(mmu_->statistics().invpcid, 5u);
}

TEST_F(Modes, InvpcidRefuses) {
    start();
    uint64_t before = cycles();
    EXPECT_EQ(invpcid(4, 0, 0), MMU_VECTOR_GP);
    EXPECT_EQ(invpcid(INVPCID_ALL, 0x1000, 0), MMU_VECTOR_GP);
    EXPECT_EQ(invpcid(INVPCID_CONTEXT, 1, 0), MMU_VECTOR_GP); /* CR4.PCIDE is 0 */
    EXPECT_EQ(invpcid(INVPCID_ADDRESS, 0, (va_t)1 << 47), MMU_VECTOR_GP);
    EXPECT_EQ(invpcid(INVPCID_CONTEXT, 0, (va_t)1 << 47), 0);
    EXPECT_EQ(cycles() - before, 5u);
    preset_.features &= ~(unsigned)CPU_INVPCID;
    start();
    EXPECT_EQ(invpcid(INVPCID_ALL, 0, 0), MMU_VECTOR_UD);
}

/* ---- control registers ---- */

TEST_F(Modes, ControlWritesThatAreRefused) {
    start();
    auto refuses = [&](mmu_control which, uint64_t value) {
        uint64_t before = mmu_c_ops.read_control(mmu_->mmu(), which);
        int vector = mmu_->control(which, value);
        EXPECT_EQ(mmu_c_ops.read_control(mmu_->mmu(), which), before) << which << " " << value;
        return vector == MMU_VECTOR_GP;
    };
    EXPECT_TRUE(refuses(MMU_CR4, 0));                        /* PAE in 4-level mode */
    EXPECT_TRUE(refuses(MMU_CR3, PML4 | (uint64_t)1 << 40)); /* beyond MAXPHYADDR */
    EXPECT_TRUE(refuses(MMU_CR3, CR3_KEEP | PML4));          /* without PCIDE */
    EXPECT_TRUE(refuses(MMU_EFER, EFER_NXE));                /* LME changes with PG set */
    EXPECT_TRUE(refuses(MMU_PAT, 2));
    EXPECT_TRUE(refuses(MMU_PAT, (uint64_t)8 << 56));
    EXPECT_EQ(mmu_->control(MMU_CR3, PML4 | 8), 0);
    EXPECT_TRUE(refuses(MMU_CR4, CR4_PAE | CR4_PCIDE)); /* CR3 11:0 is not 0 */
    EXPECT_EQ(mmu_->control(MMU_CR3, PML4), 0);
    EXPECT_EQ(mmu_->control(MMU_CR4, CR4_PAE | CR4_PCIDE), 0);
    EXPECT_TRUE(refuses(MMU_CR0, CR0_PE)); /* PG with PCIDE */
    EXPECT_EQ(mmu_c_ops.read_control(mmu_->mmu(), MMU_EFER), EFER_LME | EFER_LMA);
    preset_.features = 0;
    mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, preset_, memory_);
    for (uint64_t bit : {CR4_PSE, CR4_PAE, CR4_PGE, CR4_PCIDE, CR4_SMEP, CR4_SMAP}) {
        EXPECT_TRUE(refuses(MMU_CR4, bit));
    }
    EXPECT_TRUE(refuses(MMU_EFER, EFER_LME));
    EXPECT_TRUE(refuses(MMU_EFER, EFER_NXE));
    EXPECT_TRUE(refuses(MMU_PAT, PAT_RESET));
}

TEST_F(Modes, LongModeNeedsPae) {
    mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, preset_, memory_);
    EXPECT_EQ(mmu_->control(MMU_EFER, EFER_LME), 0);
    EXPECT_EQ(mmu_->control(MMU_CR0, CR0_PE | CR0_PG), MMU_VECTOR_GP);
}

/* ---- memory types, SDM 11.12.3 ---- */

TEST_F(Modes, ThePatSelectsByThreeBits) {
    set(PT + 8, get(PT + 8) | 0x80 | 0x10 | 0x08); /* PAT, PCD, PWT: entry 7 */
    set(PD + 8, get(PD + 8) | 0x1000 | 0x08);      /* PAT, PWT: entry 5 */
    start();
    EXPECT_EQ(read(page(0)).memory_type, MEMORY_WB);
    EXPECT_EQ(read(page(1)).memory_type, MEMORY_UC);
    EXPECT_EQ(read(LARGE).memory_type, MEMORY_WT);
    EXPECT_EQ(mmu_->control(MMU_PAT, 0x0100050006060606), 0);
    mmu_result r = read(page(1)); /* acts on an entry that is there */
    EXPECT_EQ(r.hit, MMU_HIT_L1);
    EXPECT_EQ(r.memory_type, MEMORY_WC);
    EXPECT_EQ(read(LARGE).memory_type, MEMORY_WP);
    mmu_->control(MMU_CR0, CR0_PE);
    EXPECT_EQ(read(0).memory_type, MEMORY_WB);
}

/* ---- random replacement ---- */

TEST_F(Modes, TheRandomVictimsAreTheRegisters) {
    /* Array 3 with seed 1: 2, then 0001, B400, 5A00, 2D00, 1680: times 2, upper half: 0 1 0 0 0 */
    preset_.replacement = TLB_RANDOM;
    preset_.array[ARRAY_DTLB] = {K4, 1, 2};
    start();
    read(page(0)), read(page(1));
    const unsigned way[] = {0, 1, 0, 0, 0};
    for (unsigned i = 0; i < 5; i++) {
        read(page(2 + i));
        bool there = false;
        for (const auto &e : entries()) { there = there || (e.va == page(2 + i) && e.way == way[i]); }
        EXPECT_TRUE(there) << i;
    }
}

} // namespace
