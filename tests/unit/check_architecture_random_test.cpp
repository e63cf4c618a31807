/* The architecture's oracle and the C MMU, with software that changes tables and registers at random and flushes when
 * it likes: whatever the MMU makes of it is legal. And the same MMU with one mistake in it, which must be found. */
#include "physmem_memory.h"

#include <cstdio>
#include <gtest/gtest.h>
#include <random>

extern "C" {
#include "ntmmu/architecture.h"
}

namespace {

enum Mode { TWO_LEVEL, PAE, FOUR_LEVEL };
constexpr unsigned TABLES = 16; /* frames 0 to 15; a root is one of them */

struct Software {
    std::mt19937_64 random;
    Mode mode;
    physmem mem = {};
    event_log log = {};
    architecture *oracle;
    mmu *m = nullptr;
    uint64_t cr0 = CR0_PG | CR0_PE | CR0_WP, cr4 = 0, efer = 0;
    unsigned successes = 0, faults = 0;

    Software(const mmu_ops *ops, const char *cpu, Mode mode, unsigned seed) : random(seed), mode(mode) {
        char err[512] = "";
        mmu_config config = {};
        EXPECT_EQ(preset_load(&config.preset, "rtl/presets", cpu, err, sizeof err), 0) << err;
        EXPECT_EQ(physmem_init(&mem, 4u << 20), 0);
        config.memory = physmem_memory(&mem);
        oracle = architecture_create(ops);
        m = architecture_mmu(oracle, &config, &mem, &log, err, sizeof err);
        EXPECT_NE(m, nullptr) << err;
        for (unsigned i = 0; i < 400; i++) { store(); }
        cr4 = mode == TWO_LEVEL ? CR4_PSE | CR4_PGE : CR4_PAE | CR4_PGE;
        efer = mode == FOUR_LEVEL ? EFER_LME | EFER_NXE : mode == PAE ? EFER_NXE : 0;
        write(MMU_CR4, cr4);
        write(MMU_EFER, efer);
        write(MMU_CR3, root());
        write(MMU_CR0, cr0);
        if (mode == FOUR_LEVEL) { write(MMU_CR3, 0), write(MMU_CR4, cr4 |= CR4_PCIDE); }
    }
    ~Software() {
        architecture_ops.destroy(m);
        architecture_destroy(oracle);
        physmem_fini(&mem);
    }

    uint64_t below(uint64_t n) { return random() % n; }
    bool chance(unsigned percent) { return below(100) < percent; }
    int write(mmu_control which, uint64_t value) { return architecture_ops.write_control(m, which, value); }
    pa_t root() { return below(3) << PAGE_SHIFT; }
    const char *report() const { return architecture_report(oracle); }
    bool legal() const { return *report() == 0; }

    /* The first three entries of each table are used. */
    va_t address() {
        va_t va = below(3) << 12 | below(PAGE_SIZE);
        if (mode == TWO_LEVEL) { return va | below(3) << 22; }
        va |= below(3) << 21 | below(3) << 30;
        return mode == FOUR_LEVEL ? va | below(2) << 39 : va;
    }
    uint64_t entry() {
        uint64_t e = below(TABLES) << PAGE_SHIFT;
        if (chance(20)) { e = below(3) << (mode == TWO_LEVEL ? 22 : chance(80) ? 21 : 30) | 0x80; } /* PS */
        e |= chance(90) | chance(75) << 1 | chance(85) << 2 | chance(60) << 5 | chance(50) << 6 | chance(25) << 8;
        if (mode != TWO_LEVEL && chance(10)) { e |= 1ull << 63; }
        if (chance(2)) { e ^= mode == TWO_LEVEL ? 1ull << 21 : 1ull << 50; }
        return e;
    }
    void store() {
        pa_t pa = below(TABLES) << PAGE_SHIFT;
        uint64_t value = entry();
        /* where it is a PDPTE, only P counts and most other bits are reserved */
        if (mode == PAE && pa < 3u << PAGE_SHIFT) { value &= ~0x80000000000001E6ull; }
        if (mode == TWO_LEVEL) {
            physmem_write32(&mem, pa + below(3) * 4, (uint32_t)value);
        } else {
            physmem_write(&mem, pa + below(3) * 8, &value, 8);
        }
    }
    void access() {
        mmu_request request = {address(), (uint8_t)below(4), (uint8_t)below(3), 1};
        mmu_result result;
        architecture_ops.translate(m, &request, &result, 1);
        (result.vector ? faults : successes)++;
    }
    void write_cr3() {
        uint64_t value = root();
        if (mode == FOUR_LEVEL) { value |= below(3) | (chance(60) ? CR3_KEEP : 0); }
        write(MMU_CR3, value);
    }
    void change_registers() {
        switch (below(6)) {
        case 0: write(MMU_CR0, cr0 ^= CR0_WP); break;
        case 1: write(MMU_CR4, cr4 ^= CR4_SMAP); break;
        case 2: write(MMU_CR4, cr4 ^= CR4_SMEP); break;
        case 3: write(MMU_EFLAGS_AC, below(2)); break;
        case 4: write(MMU_CR4, cr4 ^= chance(20) ? CR4_PGE : 0); break;
        default: write(MMU_EFER, efer ^= mode != TWO_LEVEL && chance(30) ? EFER_NXE : 0); break;
        }
    }
    void step() {
        unsigned what = (unsigned)below(100);
        if (what < 65) {
            access();
        } else if (what < 85) {
            store();
        } else if (what < 91) {
            architecture_ops.invlpg(m, address());
        } else if (what < 94) {
            write_cr3();
        } else if (what < 97 && mode == FOUR_LEVEL) {
            architecture_ops.invpcid(m, below(4), below(3), address());
        } else if (what >= 98) {
            change_registers();
        }
    }
    /* Steps until something illegal is done; true: nothing was. */
    bool run(unsigned steps) {
        for (unsigned i = 0; i < steps && legal(); i++) { step(); }
        return legal();
    }
};

class EveryMode : public testing::TestWithParam<std::tuple<Mode, const char *>> {};

TEST_P(EveryMode, WhatTheCMmuDoesIsLegal) {
    auto [mode, cpu] = GetParam();
    for (unsigned seed = 1; seed <= 20; seed++) {
        Software s(&mmu_c_ops, cpu, mode, seed);
        ASSERT_TRUE(s.run(3000)) << "seed " << seed << "\n" << s.report();
        EXPECT_GT(s.successes, 100u);
        EXPECT_GT(s.faults, 100u);
    }
}

INSTANTIATE_TEST_SUITE_P(Architecture, EveryMode,
                         testing::Combine(testing::Values(TWO_LEVEL, PAE, FOUR_LEVEL),
                                          testing::Values("ref64", "tiny", "tiny-l2", "tiny-unified")));

/* ---- the C MMU with a mistake ---- */

void no_invlpg(mmu *, va_t) {}
int no_invpcid(mmu *, uint64_t, uint64_t, va_t) { return MMU_VECTOR_NONE; }

/* As if bit 63 of CR3 were always set. */
int no_cr3_drop(mmu *m, mmu_control which, uint64_t value) {
    bool pcide = mmu_c_ops.read_control(m, MMU_CR4) & CR4_PCIDE;
    return mmu_c_ops.write_control(m, which, which == MMU_CR3 && pcide ? value | CR3_KEEP : value);
}

size_t low_cr2(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    size_t n = mmu_c_ops.translate(m, requests, results, count);
    results[0].cr2 &= ~(va_t)PAGE_MASK;
    return n;
}

size_t write_is_forgotten(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    size_t n = mmu_c_ops.translate(m, requests, results, count);
    if (requests[0].type == MMU_MODIFY) { results[0].error_code &= ~(uint32_t)PF_WRITE; }
    return n;
}

/* Only plain writes set D. */
size_t no_d_for_modify(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    mmu_request r = requests[0];
    if (r.type == MMU_MODIFY && r.mode == MMU_SUPERVISOR) { r.type = MMU_READ; }
    return mmu_c_ops.translate(m, &r, results, count);
}

size_t implicit_is_excused(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    mmu_request r = requests[0];
    if (r.mode == MMU_IMPLICIT) { r.mode = MMU_SUPERVISOR; }
    return mmu_c_ops.translate(m, &r, results, count);
}

bool is_found(const mmu_ops &ops, Mode mode) {
    for (unsigned seed = 1; seed <= 20; seed++) {
        Software s(&ops, "ref64", mode, seed);
        if (!s.run(3000)) { return true; }
    }
    return false;
}

TEST(ArchitectureFinds, AForgottenInvlpg) {
    mmu_ops ops = mmu_c_ops;
    ops.invlpg = no_invlpg;
    for (Mode mode : {TWO_LEVEL, PAE, FOUR_LEVEL}) { EXPECT_TRUE(is_found(ops, mode)) << mode; }
}

TEST(ArchitectureFinds, AForgottenInvpcid) {
    mmu_ops ops = mmu_c_ops;
    ops.invpcid = no_invpcid;
    EXPECT_TRUE(is_found(ops, FOUR_LEVEL));
}

TEST(ArchitectureFinds, MovCr3ThatKeepsEverything) {
    mmu_ops ops = mmu_c_ops;
    ops.write_control = no_cr3_drop;
    EXPECT_TRUE(is_found(ops, FOUR_LEVEL));
}

TEST(ArchitectureFinds, WrongAnswers) {
    for (auto translate : {low_cr2, write_is_forgotten, no_d_for_modify, implicit_is_excused}) {
        mmu_ops ops = mmu_c_ops;
        ops.translate = translate;
        for (Mode mode : {TWO_LEVEL, PAE, FOUR_LEVEL}) { EXPECT_TRUE(is_found(ops, mode)) << mode; }
    }
}

} // namespace
