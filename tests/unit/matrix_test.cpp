/* The matrix of paging bits (tests/matrix) can fail: its expectation on cases worked out by hand from the SDM, how many
 * cases there are, and MMUs with one bug each. */
#include "mmu_harness.h"

#include <cstdio>
#include <gtest/gtest.h>

extern "C" {
#include "../matrix/run.h"
}

namespace {

expect_input four_level() {
    expect_input in = {};
    in.levels = 4;
    in.physical_bits = 40;
    in.features = (1u << CPU_FEATURES) - 1;
    in.cr0 = CR0_PE | CR0_PG | CR0_WP;
    in.cr4 = CR4_PAE;
    in.efer = EFER_LME | EFER_NXE;
    in.pat = PAT_RESET;
    in.entry[4] = 0x1007;
    in.entry[3] = 0x2007;
    in.entry[2] = 0x3007;
    in.entry[1] = 0x12345007;
    in.va = 0x7fff12345678;
    in.type = MMU_READ;
    in.mode = MMU_USER;
    return in;
}

constexpr uint64_t NX = (uint64_t)1 << 63;

TEST(MatrixExpectation, AWriteSetsAOfAllLevelsAndDOfTheLeaf) {
    expect_input in = four_level();
    in.type = MMU_WRITE;
    expect_outcome out = matrix_expect(&in);
    EXPECT_EQ(out.vector, MMU_VECTOR_NONE);
    EXPECT_EQ(out.pa, 0x12345678u);
    EXPECT_EQ(out.after[4], 0x1027u);
    EXPECT_EQ(out.after[3], 0x2027u);
    EXPECT_EQ(out.after[2], 0x3027u);
    EXPECT_EQ(out.after[1], 0x12345067u);
    EXPECT_EQ(out.memory_type, MEMORY_WB);
}

TEST(MatrixExpectation, LargePages) {
    expect_input in = four_level();
    in.entry[2] = 0x40000087 | 0x1000; /* its PAT bit; with the reset value 4 is WB, too */
    in.entry[2] |= 8;                  /* PWT: WT */
    expect_outcome out = matrix_expect(&in);
    EXPECT_EQ(out.pa, 0x40145678u);
    EXPECT_EQ(out.page_shift, 21);
    EXPECT_EQ(out.memory_type, MEMORY_WT);
    in.entry[3] = 0x80000087;
    out = matrix_expect(&in);
    EXPECT_EQ(out.pa, 0x92345678u);
    EXPECT_EQ(out.page_shift, 30);
    in.features &= ~(unsigned)CPU_1G;
    EXPECT_EQ(matrix_expect(&in).error_code, (uint32_t)PF_PRESENT | PF_USER | PF_RESERVED);
}

TEST(MatrixExpectation, Pse36) {
    expect_input in = {};
    in.levels = 2;
    in.physical_bits = 40;
    in.features = CPU_PSE | CPU_PSE36;
    in.cr0 = CR0_PE | CR0_PG;
    in.cr4 = CR4_PSE;
    in.pat = PAT_RESET;
    in.va = 0x40155140;
    in.entry[2] = 0x800083 | 0x81 << 13;
    EXPECT_EQ(matrix_expect(&in).pa, 0x8100955140u);
    in.physical_bits = 36; /* address bits 39 to 36 are now reserved */
    EXPECT_EQ(matrix_expect(&in).error_code, (uint32_t)PF_PRESENT | PF_RESERVED);
    in.cr4 = 0; /* PS is ignored: the PDE leads to a table, whose entry is not present */
    EXPECT_EQ(matrix_expect(&in).error_code, 0u);
}

struct Fault {
    const char *name;
    void (*change)(expect_input &in);
    int error_code; /* -1: none */
};

/* SDM 4.6.1 and 4.7. */
TEST(MatrixExpectation, RightsAndErrorCodes) {
    const Fault faults[] = {
        {"user, supervisor page", [](expect_input &in) { in.entry[3] &= ~4ull; }, 5},
        {"user write, read-only", [](expect_input &in) { in.entry[2] &= ~2ull, in.type = MMU_WRITE; }, 7},
        {"user fetch, NX", [](expect_input &in) { in.entry[4] |= NX, in.type = MMU_FETCH; }, 0x15},
        {"NX without NXE is reserved", [](expect_input &in) { in.entry[4] |= NX, in.efer = EFER_LME; }, 0xd},
        {"a fetch without NXE and SMEP", [](expect_input &in) { in.entry[1] = 0, in.efer = EFER_LME, in.type = 2; }, 4},
        {"supervisor write, WP", [](expect_input &in) { in.entry[2] &= ~2ull, in.type = 3, in.mode = 0; }, 3},
        {"supervisor write, no WP",
         [](expect_input &in) { in.entry[2] &= ~2ull, in.type = 3, in.mode = 0, in.cr0 &= ~CR0_WP; }, -1},
        {"SMEP", [](expect_input &in) { in.cr4 |= CR4_SMEP, in.type = MMU_FETCH, in.mode = MMU_SUPERVISOR; }, 0x11},
        {"SMEP, supervisor page",
         [](expect_input &in) { in.cr4 |= CR4_SMEP, in.entry[3] &= ~4ull, in.type = 2, in.mode = 0; }, -1},
        {"SMAP", [](expect_input &in) { in.cr4 |= CR4_SMAP, in.mode = MMU_SUPERVISOR; }, 1},
        {"SMAP, AC", [](expect_input &in) { in.cr4 |= CR4_SMAP, in.mode = MMU_SUPERVISOR, in.ac = true; }, -1},
        {"SMAP, AC, implicit", [](expect_input &in) { in.cr4 |= CR4_SMAP, in.mode = MMU_IMPLICIT, in.ac = true; }, 1},
        {"reserved before a right", [](expect_input &in) { in.entry[4] &= ~4ull, in.entry[1] |= 1ull << 50; }, 0xd},
        {"not present above a reserved bit", [](expect_input &in) { in.entry[2] = 0, in.entry[1] |= 1ull << 50; }, 4},
        {"PS of a PML4E", [](expect_input &in) { in.entry[4] |= 0x80; }, 0xd},
    };
    for (const Fault &fault : faults) {
        expect_input in = four_level();
        fault.change(in);
        expect_outcome out = matrix_expect(&in);
        EXPECT_EQ(out.vector, fault.error_code < 0 ? MMU_VECTOR_NONE : MMU_VECTOR_PF) << fault.name;
        if (fault.error_code >= 0) { EXPECT_EQ(out.error_code, (uint32_t)fault.error_code) << fault.name; }
    }
}

/* SDM 4.3, 4.4.2: without the PAT its bit is reserved; in 32-bit paging nothing is without CR4.PSE. */
TEST(MatrixExpectation, NoPat) {
    expect_input in = four_level();
    in.levels = 2;
    in.efer = 0;
    in.features &= ~(unsigned)CPU_PAT;
    in.entry[2] = 0x3007;
    in.entry[1] = 0x12345087;
    in.cr4 = 0;
    EXPECT_EQ(matrix_expect(&in).vector, MMU_VECTOR_NONE);
    in.cr4 = CR4_PSE;
    EXPECT_EQ(matrix_expect(&in).error_code, (uint32_t)PF_PRESENT | PF_USER | PF_RESERVED);
    in.entry[2] = 0x801087;
    EXPECT_EQ(matrix_expect(&in).error_code, (uint32_t)PF_PRESENT | PF_USER | PF_RESERVED);
    in.features |= CPU_PAT;
    EXPECT_EQ(matrix_expect(&in).vector, MMU_VECTOR_NONE);
}

TEST(MatrixExpectation, PaePdpte) {
    expect_input in = four_level();
    in.levels = 3;
    in.efer = EFER_NXE;
    in.entry[3] = 0x2001;
    expect_outcome out = matrix_expect(&in);
    EXPECT_EQ(out.vector, MMU_VECTOR_NONE);
    EXPECT_EQ(out.after[3], 0x2001u);
    for (uint64_t bit : {1, 2, 5, 6, 7, 8, 40, 51, 52, 62, 63}) {
        in.entry[3] = 0x2001 | (uint64_t)1 << bit;
        EXPECT_EQ(matrix_expect(&in).vector, MMU_VECTOR_GP) << bit;
    }
    in.entry[3] = 0x20fe; /* not present: the rest is of no meaning */
    EXPECT_EQ(matrix_expect(&in).error_code, (uint32_t)PF_USER);
}

/* ---- the enumeration, and MMUs with a bug ---- */

matrix_count count(const mmu_ops *ops, unsigned levels, unsigned every, const mmu_preset &preset, unsigned part = 0,
                   unsigned parts = 1) {
    char err[512] = "";
    matrix *m = matrix_create(ops, &preset, err, sizeof err);
    if (!m) { throw std::runtime_error(err); }
    matrix_options options = {};
    options.every = every;
    options.part = part;
    options.parts = parts;
    matrix_count result = {};
    matrix_run(m, levels, &options, &result);
    matrix_destroy(m);
    return result;
}

TEST(Matrix, HasAllCases) {
    EXPECT_EQ(count(&mmu_c_ops, 2, 1, test_preset("ref64")).cases, 573440u);
    EXPECT_EQ(count(&mmu_c_ops, 3, 1, test_preset("ref64")).cases, 1392640u);
}

/* Whoever runs a case, it is the same one. */
TEST(Matrix, PartsAreTheWhole) {
    matrix_count whole = count(&mmu_c_ops, 3, 500, test_preset("tiny")), parts = {};
    for (unsigned part = 0; part < 3; part++) {
        matrix_count one = count(&mmu_c_ops, 3, 500, test_preset("tiny"), part, 3);
        parts.cases += one.cases;
        parts.warm += one.warm;
    }
    EXPECT_EQ(parts.cases, whole.cases);
    EXPECT_EQ(parts.warm, whole.warm);
}

TEST(Matrix, LeavesOutAModeThatTheCpuLacks) {
    mmu_preset preset = test_preset("tiny");
    preset.features &= ~(unsigned)CPU_LONG;
    char err[512];
    matrix *m = matrix_create(&mmu_c_ops, &preset, err, sizeof err);
    ASSERT_TRUE(m) << err;
    matrix_options options = {};
    options.every = 1000;
    options.parts = 1;
    matrix_count result = {};
    matrix_run(m, 4, &options, &result);
    EXPECT_EQ(result.environments, 0u);
    matrix_run(m, 3, &options, &result);
    EXPECT_EQ(result.environments, 3 * 32u); /* of three families */
    matrix_destroy(m);
}

/* What a buggy MMU makes of the right result. */
template <void (*CHANGE)(const mmu_request &, mmu_result &)>
size_t changed(mmu *m, const mmu_request *requests, mmu_result *results, size_t n) {
    size_t done = mmu_c_ops.translate(m, requests, results, n);
    for (size_t i = 0; i < done; i++) { CHANGE(requests[i], results[i]); }
    return done;
}

void wrong_frame_on_hits(const mmu_request &, mmu_result &r) { r.pa ^= r.hit == MMU_HIT_L1 ? 0x1000 : 0; }
void no_fetch_bit(const mmu_request &, mmu_result &r) { r.error_code &= ~(uint32_t)PF_FETCH; }
void cr2_of_the_page(const mmu_request &, mmu_result &r) { r.cr2 &= ~PAGE_MASK; }
void always_write_back(const mmu_request &, mmu_result &r) { r.memory_type = MEMORY_WB; }
void implicit_is_user(const mmu_request &q, mmu_result &r) { r.error_code |= q.mode == MMU_IMPLICIT ? PF_USER : 0; }

void forget_invlpg(mmu *, va_t) {}
int forget_smap(mmu *m, mmu_control which, uint64_t value) {
    return mmu_c_ops.write_control(m, which, which == MMU_CR4 ? value & ~CR4_SMAP : value);
}
int forget_ac(mmu *m, mmu_control which, uint64_t value) {
    return which == MMU_EFLAGS_AC ? MMU_VECTOR_NONE : mmu_c_ops.write_control(m, which, value);
}

TEST(Matrix, SeesAnMmuWithABug) {
    std::pair<const char *, mmu_ops> bugs[] = {
        {"frame", mmu_c_ops}, {"fetch bit", mmu_c_ops}, {"CR2", mmu_c_ops},  {"memory type", mmu_c_ops},
        {"mode", mmu_c_ops},  {"INVLPG", mmu_c_ops},    {"SMAP", mmu_c_ops}, {"AC", mmu_c_ops},
    };
    bugs[0].second.translate = changed<wrong_frame_on_hits>;
    bugs[1].second.translate = changed<no_fetch_bit>;
    bugs[2].second.translate = changed<cr2_of_the_page>;
    bugs[3].second.translate = changed<always_write_back>;
    bugs[4].second.translate = changed<implicit_is_user>;
    bugs[5].second.invlpg = forget_invlpg;
    bugs[6].second.write_control = forget_smap;
    bugs[7].second.write_control = forget_ac;
    for (const auto &[name, ops] : bugs) {
        testing::internal::CaptureStdout();
        EXPECT_GT(count(&ops, 4, 500, test_preset("tiny")).disagreements, 0u) << name;
        std::string text = testing::internal::GetCapturedStdout();
        EXPECT_EQ(text.rfind("MMU c, CPU tiny, 4-level paging, case ", 0), 0u) << text;
        EXPECT_NE(text.find("\n  PDPTE  "), std::string::npos) << text;
    }
    EXPECT_EQ(count(&mmu_c_ops, 4, 500, test_preset("tiny")).disagreements, 0u);
}

} // namespace
