/* The C MMU against the Intel SDM, volume 3, chapter 4: rights, faults, accessed and dirty bits, invalidation, and
 * against its documented cycles and replacement. */
#include "mmu_harness.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <list>
#include <memory>
#include <random>
#include <vector>

namespace {

constexpr uint32_t P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, G = 256;
constexpr uint64_t PAGING = CR0_PE | CR0_PG;
constexpr pa_t DIRECTORY = 0x1000, TABLE = 0x2000;
constexpr uint32_t LATENCY = 4; /* TestMemory's default */
constexpr uint32_t READ_TIME = LATENCY + 1;

/* Directory entry 1 (4 MB to 8 MB) leads to a page table; page n of it is frame 0x100 + n. Entry 2 is a large page. */
class MmuC : public testing::Test {
  protected:
    MmuC() { start("tiny"); }

    void start(const char *preset) {
        mmu_ = std::make_unique<TestMmu>(&mmu_c_ops, test_preset(preset), memory_);
        memory_.words[DIRECTORY + 1 * 4] = TABLE | P | RW | US | A;
        for (unsigned i = 0; i < 64; i++) { set_pte(i, P | RW | US | A | D); }
        memory_.words[DIRECTORY + 2 * 4] = 0x00C00000 | PS | P | RW | US | A | D;
        mmu_->control(MMU_CR3, DIRECTORY);
        mmu_->control(MMU_CR4, CR4_PSE);
        mmu_->control(MMU_CR0, PAGING);
    }
    void set_pte(unsigned page, uint32_t flags) { memory_.words[TABLE + page * 4] = (0x100 + page) << 12 | flags; }
    void set_pde(uint32_t flags) { memory_.words[DIRECTORY + 4] = TABLE | flags; }
    uint32_t pte(unsigned page) { return memory_.get(TABLE + page * 4); }
    uint32_t pde() { return memory_.get(DIRECTORY + 4); }
    static va_t page(unsigned i) { return 0x400000 + i * 0x1000; }
    static constexpr va_t LARGE = 0x800000;

    mmu_result read(va_t va, mmu_mode mode = MMU_SUPERVISOR) { return mmu_->access(va, MMU_READ, mode); }
    mmu_result write(va_t va, mmu_mode mode = MMU_SUPERVISOR) { return mmu_->access(va, MMU_WRITE, mode); }
    mmu_result fetch(va_t va, mmu_mode mode = MMU_SUPERVISOR) { return mmu_->access(va, MMU_FETCH, mode); }
    void invlpg(va_t va) { mmu_c_ops.invlpg(mmu_->mmu(), va); }
    uint64_t cycles() { return mmu_c_ops.cycles(mmu_->mmu()); }
    std::vector<mmu_tlb_entry> entries() {
        std::vector<mmu_tlb_entry> list(256);
        list.resize(mmu_c_ops.tlb_entries(mmu_->mmu(), list.data(), list.size()));
        return list;
    }

    TestMemory memory_;
    std::unique_ptr<TestMmu> mmu_;
};

/* ---- cycles ---- */

TEST_F(MmuC, StartsAtCycleZeroAndCountsControlWrites) {
    TestMemory memory;
    TestMmu fresh(&mmu_c_ops, test_preset("tiny"), memory);
    EXPECT_EQ(mmu_c_ops.cycles(fresh.mmu()), 0u);
    mmu_result off = fresh.access(0x12345678, MMU_READ);
    EXPECT_EQ(off.hit, MMU_HIT_OFF);
    EXPECT_EQ(off.pa, 0x12345678u);
    EXPECT_EQ(off.cycles, 1u);
    EXPECT_EQ(off.done, 1u);
    EXPECT_EQ(off.page_shift, 0);
    fresh.control(MMU_CR3, 0x5000);
    EXPECT_EQ(mmu_c_ops.cycles(fresh.mmu()), 2u);
    mmu_c_ops.invlpg(fresh.mmu(), 0);
    EXPECT_EQ(mmu_c_ops.cycles(fresh.mmu()), 3u);
    mmu_statistics s = fresh.statistics();
    EXPECT_EQ(s.hits[ARRAY_DTLB] + s.misses[TLB_DATA][TLB_4K] + s.miss_fault[TLB_DATA], 0u);
}

TEST(MmuObject, ANameThatIsTooLongIsRefused) {
    char err[512] = "";
    EXPECT_EQ(mmu_load_object(("/" + std::string(5000, 'a')).c_str(), err, sizeof err), nullptr);
    EXPECT_NE(std::string(err).find("…: found a name of 5001 characters, expected at most 4096"), std::string::npos) << err;
}

TEST_F(MmuC, HasNoWaveforms) {
    EXPECT_EQ(mmu_->ops()->wave(mmu_->mmu(), (testing::TempDir() + "w.fst").c_str(), 0, 10), -1);
}

TEST_F(MmuC, WalkTakesTwoReadsAndAHitOneCycle) {
    uint64_t before = cycles();
    mmu_result miss = read(page(0) + 0x123);
    EXPECT_EQ(miss.cycles, 1 + 2 * READ_TIME);
    EXPECT_EQ(miss.done, before + miss.cycles);
    EXPECT_EQ(miss.hit, MMU_HIT_WALK);
    EXPECT_EQ(miss.pa, 0x100123u);
    EXPECT_EQ(miss.page_shift, 12);
    ASSERT_EQ(miss.table_count, 2);
    EXPECT_EQ(miss.table[0].pa, DIRECTORY + 4);
    EXPECT_EQ(miss.table[0].level, 2);
    EXPECT_EQ(miss.table[0].value, pde());
    EXPECT_EQ(miss.table[1].pa, TABLE);
    EXPECT_EQ(miss.table[1].level, 1);
    EXPECT_EQ(miss.table[1].op, MMU_TABLE_READ);
    mmu_result hit = read(page(0) + 0x456);
    EXPECT_EQ(hit.cycles, 1u);
    EXPECT_EQ(hit.hit, MMU_HIT_L1);
    EXPECT_EQ(hit.pa, 0x100456u);
    EXPECT_EQ(hit.table_count, 0);
}

TEST_F(MmuC, LargePageTakesOneRead) {
    mmu_result miss = read(LARGE + 0x123456);
    EXPECT_EQ(miss.cycles, 1 + READ_TIME);
    EXPECT_EQ(miss.pa, 0xC00000u + 0x123456u);
    EXPECT_EQ(miss.page_shift, 22);
    mmu_result hit = read(LARGE + 0x3FFFFF);
    EXPECT_EQ(hit.cycles, 1u);
    EXPECT_EQ(hit.pa, 0xFFFFFFu);
}

TEST_F(MmuC, EachExchangeCostsOneMemoryAccess) {
    set_pde(P | RW | US);
    set_pte(0, P | RW | US);
    mmu_result both = write(page(0));
    EXPECT_EQ(both.cycles, 1 + 4 * READ_TIME);
    EXPECT_EQ(pde(), TABLE | P | RW | US | A);
    EXPECT_EQ(pte(0), 0x100000u | P | RW | US | A | D);
    ASSERT_EQ(both.table_count, 4);
    EXPECT_EQ(both.table[2].op, MMU_TABLE_EXCHANGE);
    EXPECT_EQ(both.table[2].level, 2);
    EXPECT_EQ(both.table[2].desired, both.table[2].value | A);
    EXPECT_EQ(both.table[3].level, 1);
    EXPECT_EQ(both.table[3].desired, both.table[3].value | A | D);
    EXPECT_EQ(mmu_->statistics().table_writes, 2u);
}

TEST_F(MmuC, FaultTakesTheReadsThatFoundIt) {
    EXPECT_EQ(read(0).cycles, 1 + READ_TIME);
    set_pte(0, 0);
    EXPECT_EQ(read(page(0)).cycles, 1 + 2 * READ_TIME);
}

TEST_F(MmuC, LatencyIsAskedAtTheIssueCycle) {
    std::vector<uint64_t> asked;
    memory_.latency = [&](pa_t, bool, uint64_t cycle) {
        asked.push_back(cycle);
        return asked.size() == 1 ? 7u : 3u;
    };
    uint64_t before = cycles();
    EXPECT_EQ(read(page(0)).cycles, 1 + 8 + 4u);
    EXPECT_EQ(asked, (std::vector<uint64_t>{before + 1, before + 1 + 8}));
}

TEST_F(MmuC, BatchStopsAfterTheFault) {
    set_pte(1, 0);
    mmu_request requests[3] = {
        {page(0), MMU_READ, MMU_USER, 4}, {page(1), MMU_READ, MMU_USER, 4}, {page(2), MMU_READ, MMU_USER, 4}};
    mmu_result results[3];
    EXPECT_EQ(mmu_c_ops.translate(mmu_->mmu(), requests, results, 3), 2u);
    EXPECT_EQ(results[0].vector, MMU_VECTOR_NONE);
    EXPECT_EQ(results[1].vector, MMU_VECTOR_PF);
}

TEST_F(MmuC, TableBeyondCountIsNotWritten) {
    mmu_result result;
    memset(&result, 0xEE, sizeof result);
    mmu_request request = {page(0), MMU_READ, MMU_SUPERVISOR, 4};
    mmu_c_ops.translate(mmu_->mmu(), &request, &result, 1);
    ASSERT_EQ(result.table_count, 2);
    EXPECT_EQ(result.table[2].pa, 0xEEEEEEEEEEEEEEEEu);
}

/* ---- accessed and dirty, SDM 4.8 ---- */

TEST_F(MmuC, ReadSetsNoDirty) {
    set_pte(0, P | RW | US);
    read(page(0));
    EXPECT_EQ(pte(0) & (A | D), A);
}

TEST_F(MmuC, FirstWriteThroughACleanEntryWalksAgain) {
    set_pte(0, P | RW | US);
    read(page(0));
    mmu_result first = write(page(0));
    EXPECT_EQ(first.hit, MMU_HIT_DIRTY);
    EXPECT_EQ(first.cycles, 1 + 3 * READ_TIME);
    EXPECT_EQ(pte(0) & (A | D), A | D);
    EXPECT_EQ(write(page(0)).hit, MMU_HIT_L1);
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.walks, 2u);
    EXPECT_EQ(s.dirty_walks, 1u);
    EXPECT_EQ(s.hits[ARRAY_DTLB], 1u);
    EXPECT_EQ(s.misses[TLB_DATA][TLB_4K], 2u);
    EXPECT_EQ(entries().size(), 1u);
}

TEST_F(MmuC, ReadOfADirtyPageFillsADirtyEntry) {
    read(page(0));
    EXPECT_EQ(write(page(0)).hit, MMU_HIT_L1);
}

TEST_F(MmuC, LockedModifyIsAWrite) {
    set_pte(0, P | US);
    mmu_result r = mmu_->access(page(0), MMU_MODIFY, MMU_USER);
    EXPECT_EQ(r.error_code, uint32_t{PF_PRESENT | PF_WRITE | PF_USER});
    set_pte(0, P | RW | US);
    mmu_->access(page(0), MMU_MODIFY, MMU_USER);
    EXPECT_EQ(pte(0) & (A | D), A | D);
}

TEST_F(MmuC, LargePageSetsBothInOneExchange) {
    memory_.words[DIRECTORY + 8] = 0x00C00000 | PS | P | RW;
    mmu_result r = write(LARGE);
    EXPECT_EQ(r.cycles, 1 + 2 * READ_TIME);
    EXPECT_EQ(memory_.get(DIRECTORY + 8), 0x00C00000u | PS | P | RW | A | D);
}

TEST_F(MmuC, FaultingWalkWritesNothing) {
    set_pde(P | RW | US);
    set_pte(0, P | US);
    mmu_result r = write(page(0), MMU_USER);
    EXPECT_EQ(r.vector, MMU_VECTOR_PF);
    EXPECT_EQ(r.page_shift, 12);
    EXPECT_EQ(pde(), TABLE | P | RW | US);
    EXPECT_EQ(pte(0) & (A | D), 0u);
    EXPECT_TRUE(entries().empty());
}

TEST_F(MmuC, MismatchStartsTheWalkAgain) {
    set_pte(0, P | RW | US);
    bool done = false;
    memory_.before_exchange = [&](pa_t pa) {
        if (!done) { memory_.words[pa] = 0x777000 | P | RW | US; }
        done = true;
    };
    mmu_result r = write(page(0));
    EXPECT_EQ(r.restarts, 1);
    EXPECT_EQ(r.pa, 0x777000u);
    EXPECT_EQ(r.cycles, 1 + 6 * READ_TIME);
    EXPECT_EQ(pte(0), 0x777000u | P | RW | US | A | D);
    mmu_statistics s = mmu_->statistics();
    EXPECT_EQ(s.walk_restarts, 1u);
    EXPECT_EQ(s.table_reads, 4u);
    EXPECT_EQ(s.table_writes, 1u);
    EXPECT_EQ(s.walk_cycles, r.cycles);
    EXPECT_EQ(s.walks, 1u);
}

TEST_F(MmuC, EntryFreedInBetweenFaultsAndIsNotMarked) {
    set_pte(0, P | RW | US);
    memory_.before_exchange = [&](pa_t pa) { memory_.words[pa] = 0x1234u << 12; };
    mmu_result r = read(page(0));
    EXPECT_EQ(r.vector, MMU_VECTOR_PF);
    EXPECT_EQ(r.error_code, 0u);
    EXPECT_EQ(pte(0), 0x1234000u);
}

TEST_F(MmuC, LongRestartsCountBeyondTheTable) {
    set_pte(0, P | RW | US);
    unsigned left = 9;
    memory_.before_exchange = [&](pa_t pa) {
        if (left) { memory_.words[pa] ^= 0x200, left--; } /* an ignored bit */
    };
    mmu_result r = read(page(0));
    EXPECT_EQ(r.restarts, 9);
    EXPECT_EQ(r.table_total, 10 * 3);
    EXPECT_EQ(r.table_count, MMU_TABLE_MAX);
}

/* ---- faults, SDM 4.7 ---- */

TEST_F(MmuC, NotPresentAtEitherLevel) {
    mmu_result r = write(0x1234, MMU_USER);
    EXPECT_EQ(r.vector, MMU_VECTOR_PF);
    EXPECT_EQ(r.cr2, 0x1234u);
    EXPECT_EQ(r.error_code, uint32_t{PF_WRITE | PF_USER});
    EXPECT_EQ(r.page_shift, 0);
    set_pte(0, 0xFFE);
    EXPECT_EQ(read(page(0)).error_code, 0u);
    EXPECT_EQ(mmu_->statistics().miss_fault[TLB_DATA], 2u);
    EXPECT_EQ(mmu_->statistics().faults, 2u);
}

TEST_F(MmuC, ReservedBitsOfALargePage) {
    memory_.words[DIRECTORY + 8] |= 1u << 21;
    mmu_result r = read(LARGE, MMU_USER);
    EXPECT_EQ(r.error_code, uint32_t{PF_PRESENT | PF_RESERVED | PF_USER});
    EXPECT_EQ(r.page_shift, 22);
    memory_.words[DIRECTORY + 8] &= ~P;
    EXPECT_EQ(read(LARGE).error_code, 0u); /* not present beats reserved */
    mmu_->control(MMU_CR4, 0);             /* without PSE it is a page table's address */
    memory_.words[DIRECTORY + 8] |= P;
    EXPECT_EQ(read(LARGE).error_code, 0u);
}

TEST_F(MmuC, PhysicalAddressBitsBeyondMaxphyaddrAreReserved) {
    for (unsigned bits = 32; bits <= 40; bits++) {
        mmu_preset preset = test_preset("tiny");
        preset.physical_bits = bits;
        for (unsigned bit = 32; bit < 40; bit++) {
            TestMemory memory;
            TestMmu mmu(&mmu_c_ops, preset, memory);
            memory.words[DIRECTORY] = PS | P | 1u << (13 + bit - 32);
            mmu.control(MMU_CR3, DIRECTORY);
            mmu.control(MMU_CR4, CR4_PSE);
            mmu.control(MMU_CR0, PAGING);
            mmu_result r = mmu.access(0x123, MMU_READ);
            if (bit < bits) {
                EXPECT_EQ(r.pa, ((pa_t)1 << bit) + 0x123) << bits;
            } else {
                EXPECT_EQ(r.error_code, uint32_t{PF_PRESENT | PF_RESERVED}) << bits << " " << bit;
            }
        }
    }
}

TEST_F(MmuC, FetchBitOfTheErrorCodeNeedsSmep) {
    EXPECT_EQ(fetch(0).error_code, 0u);
    mmu_->control(MMU_CR4, CR4_PSE | CR4_SMEP);
    EXPECT_EQ(fetch(0).error_code, uint32_t{PF_FETCH});
    EXPECT_EQ(fetch(page(0)).error_code, uint32_t{PF_FETCH | PF_PRESENT});
}

/* ---- rights, SDM 4.6.1: every combination, on the walk and from the TLB ---- */

/* The tables of 4.6.1 as sentences, not as the code under test has them. */
bool sdm_allows(bool user_page, bool writable, bool wp, bool smep, bool smap, bool ac, mmu_type type, mmu_mode mode) {
    bool writes = type == MMU_WRITE || type == MMU_MODIFY;
    if (mode == MMU_USER) {
        if (!user_page) { return false; }
        return writes ? writable : true;
    }
    if (type == MMU_FETCH) { return user_page ? !smep : true; }
    if (user_page && smap) {
        if (mode == MMU_IMPLICIT) { return false; }
        if (!ac) { return false; }
    }
    if (writes && wp) { return writable; }
    return true;
}

TEST_F(MmuC, EveryRight) {
    for (unsigned bits = 0; bits < 1 << 8; bits++) {
        bool pde_us = bits & 1, pte_us = bits & 2, pde_rw = bits & 4, pte_rw = bits & 8;
        bool wp = bits & 16, smep = bits & 32, smap = bits & 64, ac = bits & 128;
        set_pde(P | A | (pde_us ? US : 0) | (pde_rw ? RW : 0));
        set_pte(0, P | A | D | (pte_us ? US : 0) | (pte_rw ? RW : 0));
        mmu_->control(MMU_CR0, PAGING | (wp ? CR0_WP : 0));
        mmu_->control(MMU_CR4, CR4_PSE | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0));
        mmu_->control(MMU_EFLAGS_AC, ac);
        for (unsigned access = 0; access < 12; access++) {
            auto type = (mmu_type)(access % 4);
            auto mode = (mmu_mode)(access / 4);
            bool allowed = sdm_allows(pde_us && pte_us, pde_rw && pte_rw, wp, smep, smap, ac, type, mode);
            mmu_->control(MMU_CR3, DIRECTORY);
            mmu_result walked = mmu_->access(page(0), type, mode);
            EXPECT_EQ(walked.vector == 0, allowed) << bits << " " << access;
            EXPECT_EQ(walked.hit, MMU_HIT_WALK);
            /* Now served by a TLB entry that an always-allowed access of the same side has filled. */
            bool fetches = type == MMU_FETCH;
            mmu_->control(MMU_CR4, CR4_PSE);
            mmu_->control(MMU_CR3, DIRECTORY);
            mmu_->access(page(0), fetches ? MMU_FETCH : MMU_READ, MMU_SUPERVISOR);
            mmu_->control(MMU_CR4, CR4_PSE | (smap ? CR4_SMAP : 0));
            if (smep && fetches) { continue; } /* setting SMEP flushes: no entry could be left */
            mmu_result hit = mmu_->access(page(0), type, mode);
            EXPECT_EQ(hit.vector == 0, sdm_allows(pde_us && pte_us, pde_rw && pte_rw, wp, false, smap, ac, type, mode));
            EXPECT_EQ(hit.hit, MMU_HIT_L1) << bits << " " << access;
            EXPECT_EQ(hit.cycles, 1u);
            if (hit.vector) { EXPECT_EQ(hit.error_code & (PF_PRESENT | PF_RESERVED), uint32_t{PF_PRESENT}); }
            mmu_->control(MMU_CR4, CR4_PSE | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0));
        }
    }
}

TEST_F(MmuC, WriteProtectActsAtOnce) {
    set_pte(0, P | US | A | D);
    EXPECT_EQ(write(page(0)).vector, MMU_VECTOR_NONE);
    mmu_->control(MMU_CR0, PAGING | CR0_WP);
    mmu_result r = write(page(0));
    EXPECT_EQ(r.hit, MMU_HIT_L1);
    EXPECT_EQ(r.error_code, uint32_t{PF_PRESENT | PF_WRITE});
    mmu_->control(MMU_CR0, PAGING);
    EXPECT_EQ(write(page(0)).vector, MMU_VECTOR_NONE);
}

/* ---- invalidation, SDM 4.10.4 ---- */

TEST_F(MmuC, FaultFromAStaleEntryDropsIt) {
    set_pte(0, P | US | A | D);
    read(page(0), MMU_USER);
    set_pte(0, P | RW | US | A | D);
    mmu_result stale = write(page(0), MMU_USER);
    EXPECT_EQ(stale.hit, MMU_HIT_L1);
    EXPECT_EQ(stale.vector, MMU_VECTOR_PF);
    mmu_result again = write(page(0), MMU_USER);
    EXPECT_EQ(again.hit, MMU_HIT_WALK);
    EXPECT_EQ(again.vector, MMU_VECTOR_NONE);
    EXPECT_EQ(mmu_->statistics().fault_drops, 1u);
}

TEST_F(MmuC, FaultDropsTheOtherSideToo) {
    fetch(page(0));
    set_pte(0, 0);
    EXPECT_EQ(fetch(page(0)).hit, MMU_HIT_L1);
    EXPECT_EQ(read(page(0)).vector, MMU_VECTOR_PF);
    EXPECT_EQ(fetch(page(0)).hit, MMU_HIT_WALK);
}

TEST_F(MmuC, InvlpgDropsBothSidesBothSizesAndGlobals) {
    mmu_->control(MMU_CR4, CR4_PSE | CR4_PGE);
    set_pte(0, P | RW | US | A | D | G);
    read(page(0)), fetch(page(0)), read(page(1)), read(LARGE), fetch(LARGE);
    EXPECT_EQ(entries().size(), 5u);
    invlpg(page(0) + 0xFFF);
    EXPECT_EQ(entries().size(), 3u);
    invlpg(LARGE + 0x3FF000); /* anywhere inside the large page */
    auto rest = entries();
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_EQ(rest[0].va, page(1));
    EXPECT_EQ(mmu_->statistics().invlpg, 2u);
}

TEST_F(MmuC, Cr3KeepsGlobalsOnlyWithPge) {
    set_pte(0, P | RW | US | A | D | G);
    read(page(0)), read(page(1));
    mmu_->control(MMU_CR3, DIRECTORY);
    EXPECT_TRUE(entries().empty());
    mmu_->control(MMU_CR4, CR4_PSE | CR4_PGE);
    read(page(0)), read(page(1));
    mmu_->control(MMU_CR3, DIRECTORY);
    auto rest = entries();
    ASSERT_EQ(rest.size(), 1u);
    EXPECT_TRUE(rest[0].global);
    EXPECT_EQ(rest[0].va, page(0));
    mmu_->control(MMU_CR4, CR4_PSE);
    EXPECT_TRUE(entries().empty());
}

TEST_F(MmuC, GlobalOfADirectoryEntryIsIgnored) {
    mmu_->control(MMU_CR4, CR4_PSE | CR4_PGE);
    set_pde(P | RW | US | A | G);
    read(page(0));
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_FALSE(entries()[0].global);
}

TEST_F(MmuC, WhichWritesFlushAll) {
    struct {
        mmu_control which;
        uint64_t from, to;
        bool flushes;
    } const cases[] = {
        {MMU_CR4, CR4_PSE, 0, true},
        {MMU_CR4, CR4_PSE, CR4_PSE | CR4_PGE, true},
        {MMU_CR4, CR4_PSE | CR4_PGE, CR4_PSE, true},
        {MMU_CR4, CR4_PSE, CR4_PSE | CR4_SMEP, true},
        {MMU_CR4, CR4_PSE | CR4_SMEP, CR4_PSE, false},
        {MMU_CR4, CR4_PSE, CR4_PSE | CR4_SMAP, false},
        {MMU_CR4, CR4_PSE, CR4_PSE, false},
        {MMU_CR0, PAGING, PAGING | CR0_WP, false},
        {MMU_CR0, PAGING, CR0_PE, true},
        {MMU_EFER, 0, 0x800, false},
        {MMU_EFLAGS_AC, 0, 1, false},
    };
    for (const auto &c : cases) {
        start("tiny");
        mmu_->control(c.which, c.from);
        set_pte(0, P | RW | A | D);
        read(page(0));
        uint64_t before = mmu_->statistics().flush_all;
        EXPECT_EQ(mmu_->control(c.which, c.to), MMU_VECTOR_NONE);
        EXPECT_EQ(entries().empty(), c.flushes) << c.which << " " << c.from << " " << c.to;
        EXPECT_EQ(mmu_->statistics().flush_all - before, c.flushes ? 1u : 0u);
    }
}

TEST_F(MmuC, BadControlValuesFaultAndChangeNothing) {
    read(page(0));
    uint64_t before = cycles();
    EXPECT_EQ(mmu_->control(MMU_CR0, CR0_PG), MMU_VECTOR_GP);
    EXPECT_EQ(mmu_->control(MMU_CR4, CR4_PSE | CR4_PCIDE), MMU_VECTOR_GP); /* outside 4-level paging */
    EXPECT_EQ(cycles(), before + 2);
    EXPECT_EQ(mmu_c_ops.read_control(mmu_->mmu(), MMU_CR0), PAGING);
    EXPECT_EQ(mmu_c_ops.read_control(mmu_->mmu(), MMU_CR4), uint64_t{CR4_PSE});
    EXPECT_EQ(entries().size(), 1u);
}

/* ---- filling and replacement ---- */

TEST_F(MmuC, SmallEntryServesWhenBothMatch) {
    read(page(3));
    memory_.words[DIRECTORY + 4] = 0x01000000 | PS | P | RW | US | A | D;
    read(page(5)); /* fills a large entry over both */
    EXPECT_EQ(entries().size(), 2u);
    EXPECT_EQ(read(page(3)).pa, 0x103000u);
    EXPECT_EQ(read(page(5)).pa, 0x1005000u);
}

TEST_F(MmuC, FillDropsTheOtherSizesEntryForTheAddress) {
    read(page(3));
    memory_.words[DIRECTORY + 4] = 0x01000000 | PS | P | RW | US | A;
    mmu_->access(page(3), MMU_WRITE); /* D is set in the 4 KB entry: served stale */
    EXPECT_EQ(entries()[0].tlb_class, TLB_4K);
    invlpg(page(3));
    read(page(3));
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_EQ(entries()[0].tlb_class, TLB_LARGE);
    set_pde(P | RW | US | A);
    mmu_result r = write(page(3)); /* large entry is clean: walks, and finds a 4 KB page now */
    EXPECT_EQ(r.hit, MMU_HIT_DIRTY);
    EXPECT_EQ(r.page_shift, 12);
    ASSERT_EQ(entries().size(), 1u);
    EXPECT_EQ(entries()[0].tlb_class, TLB_4K);
}

/* A set as an ordered list, most recently used first: nothing of the implementation's counters. */
class LruReference {
  public:
    explicit LruReference(unsigned ways) : ways_(ways) {}
    bool access(unsigned page) {
        bool hit = contains(page);
        order_.remove(page);
        order_.push_front(page);
        if (order_.size() > ways_) { order_.pop_back(); }
        return hit;
    }
    bool contains(unsigned page) const { return std::find(order_.begin(), order_.end(), page) != order_.end(); }
    void drop(unsigned page) { order_.remove(page); }

  private:
    unsigned ways_;
    std::list<unsigned> order_;
};

/* Tree pseudo-LRU by halving an interval of ways, each interval with its own pointer. The whole interval is a power of
 * two; a half that begins beyond the ways is not entered. */
class TreeReference {
  public:
    explicit TreeReference(unsigned ways) : slots_(ways, -1) {}
    bool access(unsigned page) {
        int way = find(page);
        bool hit = way >= 0;
        if (!hit) { way = find(-1u); }
        if (way < 0) { way = victim(0, whole()); }
        slots_[way] = (int)page;
        touch(way);
        return hit;
    }
    bool contains(unsigned page) const { return find(page) >= 0; }
    void drop(unsigned page) {
        if (find(page) >= 0) { slots_[find(page)] = -1; }
    }

  private:
    int find(unsigned page) const {
        auto it = std::find(slots_.begin(), slots_.end(), (int)page);
        return it == slots_.end() ? -1 : (int)(it - slots_.begin());
    }
    unsigned whole() const {
        for (unsigned n = 1;; n *= 2) {
            if (n >= slots_.size()) { return n; }
        }
    }
    int victim(unsigned low, unsigned high) {
        if (high - low == 1) { return (int)low; }
        unsigned middle = (low + high) / 2;
        return upper_[{low, high}] && middle < slots_.size() ? victim(middle, high) : victim(low, middle);
    }
    void touch(int way) {
        unsigned low = 0, high = whole();
        while (high - low > 1) {
            unsigned middle = (low + high) / 2;
            bool in_upper = (unsigned)way >= middle;
            upper_[{low, high}] = !in_upper;
            (in_upper ? low : high) = middle;
        }
    }
    std::vector<int> slots_;
    std::map<std::pair<unsigned, unsigned>, bool> upper_;
};

template <class Reference> void compare_replacement(TestMmu &mmu, unsigned sets, unsigned ways) {
    std::vector<Reference> reference(sets, Reference(ways));
    std::mt19937 random(7);
    unsigned pages = sets * ways * 2 < 64 ? sets * ways * 2 : 64;
    for (unsigned step = 0; step < 4000; step++) {
        unsigned page = random() % pages;
        /* 4 MB is a multiple of every array's reach, so page n falls into set n modulo sets. */
        if (random() % 10 == 0) {
            mmu_c_ops.invlpg(mmu.mmu(), 0x400000 + page * 0x1000);
            reference[page % sets].drop(page);
            continue;
        }
        mmu_result r = mmu.access(0x400000 + page * 0x1000, MMU_READ);
        ASSERT_EQ(r.hit == MMU_HIT_L1, reference[page % sets].access(page)) << "step " << step;
    }
}

TEST_F(MmuC, ReplacementIsTrueLru) {
    start("ref64");
    compare_replacement<LruReference>(*mmu_, 16, 4);
    start("tiny");
    compare_replacement<LruReference>(*mmu_, 2, 2);
}

TEST_F(MmuC, ReplacementIsTreePseudoLru) {
    start("p6");
    compare_replacement<TreeReference>(*mmu_, 16, 4);
    start("tiny-plru");
    compare_replacement<TreeReference>(*mmu_, 1, 8);
    start("tiny-unified");
    compare_replacement<TreeReference>(*mmu_, 2, 3);
}

TEST_F(MmuC, InvalidWayIsFilledBeforeAVictim) {
    /* Two ways; pages 0, 2 and 4 share a set. The fault drops page 0, so page 4 needs no victim. */
    set_pte(0, P | A | D);
    read(page(0)), read(page(2));
    EXPECT_EQ(read(page(0), MMU_USER).vector, MMU_VECTOR_PF);
    read(page(4));
    EXPECT_EQ(read(page(2)).hit, MMU_HIT_L1);
    EXPECT_EQ(read(page(4)).hit, MMU_HIT_L1);
}

} // namespace
