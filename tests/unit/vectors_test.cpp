/* Every file of tests/vectors on both MMUs, and what the runner says about bad input and about a wrong MMU. */
#include "mmu_harness.h"

#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <tuple>
#include <unistd.h>

namespace {

struct Outcome {
    int status;
    std::string error, first_failure;
    vectors_report report;
};

Outcome run(const std::string &path, const mmu_ops *ops, const mmu_preset &preset) {
    Outcome outcome = {};
    vectors_config config = {};
    config.mmu = ops;
    config.preset = preset;
    config.on_failure = keep_first_failure;
    config.ctx = &outcome.first_failure;
    char err[512] = "";
    outcome.status = vectors_run(path.c_str(), &config, &outcome.report, err, sizeof err);
    outcome.error = err;
    return outcome;
}

std::string vector_file(const std::string &name) {
    const char *directory = getenv("NTMMU_VECTORS");
    return std::string(directory ? directory : "tests/vectors") + "/" + name + ".vec.zst";
}

struct File {
    const char *cpu, *name;
    uint64_t passed, skipped; /* counted with awk over the file's text: V; A, I, R lines; A lines of class X */
    /* Lines of class P, N and F that a legally stale entry answers: recorded, so that the leniency cannot grow unseen.
     */
    uint64_t excused_p, excused_n, excused_f;
};

class VectorFile : public testing::TestWithParam<std::tuple<File, const char *>> {};

TEST_P(VectorFile, EveryLinePasses) {
    const auto &[file, mmu] = GetParam();
    const mmu_ops *ops = std::string(mmu) == "c" ? &mmu_c_ops : rtl_ops(file.cpu);
    Outcome outcome = run(vector_file(file.name), ops, test_preset(file.cpu));
    ASSERT_EQ(outcome.status, 0) << outcome.error;
    EXPECT_EQ(outcome.report.total.failed, 0u) << outcome.first_failure;
    EXPECT_EQ(outcome.report.total.passed, file.passed);
    EXPECT_EQ(outcome.report.total.skipped, file.skipped);
    EXPECT_EQ(outcome.report.excused_p, file.excused_p);
    EXPECT_EQ(outcome.report.excused_n, file.excused_n);
    EXPECT_EQ(outcome.report.excused_f, file.excused_f);
    EXPECT_EQ(outcome.report.missing, 0u);
}

/* ref64 has one level and no paging-structure cache; tiny-l2 two, with PDEs, and all of those caches. */
const File FILES[] = {
    {"ref64", "pg32", 47972, 0, 0, 0, 0},        {"ref64", "pg32-pa36", 47879, 0, 0, 0, 0},
    {"ref64", "pae", 27809, 0, 0, 0, 0},         {"ref64", "pae-pa36", 27972, 0, 0, 0, 0},
    {"ref64", "long", 41892, 0, 0, 0, 0},        {"ref64", "seq32", 37942, 128, 90, 7, 0},
    {"ref64", "seq64", 29225, 129, 24, 5, 0},    {"tiny-l2", "long", 41892, 0, 0, 0, 0},
    {"tiny-l2", "seq32", 37942, 128, 105, 7, 0}, {"tiny-l2", "seq64", 29225, 129, 34, 5, 1},
};

INSTANTIATE_TEST_SUITE_P(Files, VectorFile, testing::Combine(testing::ValuesIn(FILES), testing::Values("c", "rtl")),
                         [](const testing::TestParamInfo<std::tuple<File, const char *>> &info) {
                             const File &file = std::get<0>(info.param);
                             std::string name = std::string(file.cpu) + "_" + file.name + "_" + std::get<1>(info.param);
                             for (char &c : name) { c = c == '-' ? '_' : c; }
                             return name;
                         });

/* A vector file of the test's own making. */
class VectorText : public testing::Test {
  protected:
    Outcome run_text(const std::string &text, const mmu_ops *ops = &mmu_c_ops) {
        std::ofstream(path_) << text;
        return run(path_, ops, test_preset("tiny"));
    }
    /* Every line passes; so many of class P and N by a legally stale entry. */
    void expect_excused(const std::string &text, uint64_t p, uint64_t n) {
        Outcome outcome = run_text(text);
        EXPECT_EQ(outcome.report.total.failed, 0u) << outcome.first_failure;
        EXPECT_EQ(outcome.report.excused_p, p);
        EXPECT_EQ(outcome.report.excused_n, n);
    }
    void TearDown() override { unlink(path_.c_str()); }
    std::string path_ = testing::TempDir() + "vectors_test_" + std::to_string(getpid()) + ".vec";

    std::string error(const std::string &text) {
        Outcome outcome = run_text(text);
        EXPECT_EQ(outcome.status, -1);
        EXPECT_EQ(outcome.error.rfind(path_, 0), 0u) << outcome.error;
        return outcome.error.substr(std::min(outcome.error.size(), path_.size()));
    }
};

const char *const HEAD = "# a test, MAXPHYADDR 40\n";
/* A user write through a writable user page: A in the PDE, A and D in the PTE. SDM 4.8. */
const char *const GOOD =
    "V T 2 80000011 0 0 0 UW 40155140 100000 - - 102007 555007 ok - - 555140 - - 102027 555067 QB\n";

TEST_F(VectorText, PassesAGoodLine) {
    Outcome outcome = run_text(std::string(HEAD) + GOOD);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    EXPECT_EQ(outcome.report.total.passed, 1u) << outcome.first_failure;
}

TEST_F(VectorText, SeesEveryKindOfWrongExpectation) {
    const std::pair<const char *, const char *> changes[] = {
        {" 555140 ", " 555144 "},                 /* physical address */
        {"ok - - 555140", "pf 7 40155140 -"},     /* outcome */
        {"102027", "="},                          /* PDE afterwards */
        {"555067", "555027"},                     /* PTE afterwards */
        {"102007 555007 ok", "102005 555005 ok"}, /* rights */
    };
    for (auto [from, to] : changes) {
        std::string line = GOOD;
        line.replace(line.find(from), std::string(from).size(), to);
        Outcome outcome = run_text(HEAD + line);
        EXPECT_EQ(outcome.status, 0) << outcome.error;
        EXPECT_EQ(outcome.report.total.failed, 1u) << line;
        EXPECT_NE(outcome.first_failure.find(":2: found "), std::string::npos) << outcome.first_failure;
    }
}

/* A line of each mode; a sequence that writes CR4. */
const std::string ALL_MODES =
    std::string(HEAD) + GOOD +
    "V B1 3 80000011 20 0 0 SR 1000 100000 - 101001 102001 103001 ok - - 103000 - = 102021 103021 QB\n"
    "V C1 4 80000011 20 500 0 SR 1000 104000 105001 101001 102001 103001 ok - - 103000 "
    "105021 101021 102021 103021 QB\n"
    "Q 1 wp 4 80000011 20 500 104000\nM 1 104000 105001\nM 1 105000 101001\nM 1 101000 102001\n"
    "M 1 102008 103001\nA 1 1 0 SR 1000 F ok - - 103000 102008:20,104000:20,105000:20,101000:20 "
    "QB\nR4 1 2 100020 ok\nA 1 3 0 SX 1000 F ok - - 103000 - QB\n";

TEST_F(VectorText, RunsAllModes) {
    Outcome outcome = run_text(ALL_MODES);
    EXPECT_EQ(outcome.status, 0) << outcome.error;
    EXPECT_EQ(outcome.report.total.passed, 6u) << outcome.first_failure;
    EXPECT_EQ(outcome.report.missing, 0u);
}

/* Of a sequence, what comes after the missing feature. */
TEST_F(VectorText, SkipsWhatTheCpuLacksAndSaysSo) {
    const struct { unsigned lacks, skipped; } cases[] = {{CPU_PAE, 5}, {CPU_LONG, 4}, {CPU_SMEP, 2}, {CPU_SMAP, 0}};
    for (auto c : cases) {
        mmu_preset preset = test_preset("tiny");
        preset.features &= ~c.lacks;
        std::ofstream(path_) << ALL_MODES;
        Outcome outcome = run(path_, &mmu_c_ops, preset);
        EXPECT_EQ(outcome.status, 0) << outcome.error;
        EXPECT_EQ(outcome.report.total.skipped, c.skipped) << c.lacks;
        EXPECT_EQ(outcome.report.skipped_missing, c.skipped) << c.lacks;
        EXPECT_EQ(outcome.report.missing, c.skipped ? c.lacks : 0);
        EXPECT_EQ(outcome.report.total.passed, 6 - c.skipped) << outcome.first_failure;
    }
}

/* A processor without them would take the entries otherwise. */
TEST_F(VectorText, SkipsPagesThatTheCpuLacks) {
    const std::pair<unsigned, const char *> cases[] = {
        {CPU_1G, "V C1 4 80000011 20 500 0 SR 1000 104000 105001 81 0 0 ok - - 1000 105021 a1 = = QB\n"},
        {CPU_PSE36, "V A3 2 80000011 10 0 0 SR 1000 100000 - - 2081 0 ok - - 100001000 - - 20a1 = QB\n"},
    };
    for (auto [feature, line] : cases) {
        mmu_preset preset = test_preset("tiny");
        preset.features |= feature;
        std::ofstream(path_) << HEAD << line;
        EXPECT_EQ(run(path_, &mmu_c_ops, preset).report.total.passed, 1u) << line;
        preset.features &= ~feature;
        EXPECT_EQ(run(path_, &mmu_c_ops, preset).report.missing, feature);
    }
}

/* Read fills the TLB; the entry is made not-present behind its back: stale is fine for S, not for F. INVLPG, then
 * fresh. */
const std::string SEQUENCE = "Q 1 unmap 2 80000011 0 0 100000\nM 1 100400 102007\nM 1 102554 555007\n"
                             "A 1 1 0 SR 40155140 F ok - - 555140 100400:20,102554:20 QB\nW 1 2 102554 555006\n"
                             "A 1 3 0 SR 40155140 S pf 0 40155140 - - --\n";

TEST_F(VectorText, AllowsStaleOnlyWhereItMayBe) {
    EXPECT_EQ(run_text(HEAD + SEQUENCE).report.total.passed, 2u);
    std::string fresh = SEQUENCE;
    fresh.replace(fresh.find(" S pf"), 5, " F pf");
    EXPECT_EQ(run_text(HEAD + fresh).report.total.failed, 1u);
    fresh.insert(fresh.find("A 1 3"), "I 1 3 40155FFF ok\n");
    EXPECT_EQ(run_text(HEAD + fresh).report.total.failed, 0u);
}

/* Gives the frame of the neighbouring page for every TLB hit. */
size_t translate_to_neighbour(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    size_t done = mmu_c_ops.translate(m, requests, results, count);
    for (size_t i = 0; i < done; i++) {
        if (results[i].hit == MMU_HIT_L1) { results[i].pa += 0x1000; }
    }
    return done;
}

TEST_F(VectorText, WantsAStaleOutcomeToComeFromAnEntryOfTheAddress) {
    mmu_ops wrong = mmu_c_ops;
    wrong.translate = translate_to_neighbour;
    std::string text = HEAD + SEQUENCE;
    text.insert(text.find("A 1 1"), "M 1 102558 556007\n");
    EXPECT_EQ(run_text(text).report.total.failed, 0u);
    Outcome outcome = run_text(text, &wrong);
    EXPECT_EQ(outcome.report.total.failed, 1u);
    EXPECT_NE(outcome.first_failure.find("ok, pa 556140, neither fresh nor stale"), std::string::npos)
        << outcome.first_failure;
}

/* The S line before is served stale, so the fault that a P line counts on has not happened. */
TEST_F(VectorText, OwesAPLineOnlyAfterTheFault) {
    const std::string p = "A 1 5 0 SR 40155140 P pf 0 40155140 - - QB\n";
    expect_excused(HEAD + SEQUENCE + p, 1, 0);
    expect_excused(HEAD + SEQUENCE + "I 1 4 40155000 ok\n" + p, 0, 0);
    /* The fault happened: the page that is mapped afterwards must be seen, not an older one. */
    std::string wrong = "A 1 5 0 SR 40155140 F pf 0 40155140 - - QB\nW 1 6 102554 777007\n"
                        "A 1 7 0 SR 40155140 P ok - - 555140 100400:20,102554:20 QB\n";
    EXPECT_EQ(run_text(HEAD + SEQUENCE + "I 1 4 40155000 ok\n" + wrong).report.total.failed, 1u);
}

/* A table takes the place of a 4 MB page: the page beside the one that was accessed comes from the 4 MB translation. */
TEST_F(VectorText, OwesAnNLineUnlessALargeTranslationIsHeld) {
    const std::string text = "Q 1 small 2 80000011 10 0 100000\nM 1 100400 800087\nM 1 102558 556007\n"
                             "A 1 1 0 SR 40155140 F ok - - 955140 100400:20 QB\nW 1 2 100400 102007\n";
    const std::string n = "A 1 4 0 SR 40156140 N ok - - 556140 100400:20,102558:20 QB\n";
    expect_excused(HEAD + text + n, 0, 1);
    expect_excused(HEAD + text + "I 1 3 40155000 ok\n" + n, 0, 0);
    std::string wrong = n;
    wrong.replace(wrong.find("556140"), 6, "557140");
    EXPECT_EQ(run_text(HEAD + text + "I 1 3 40155000 ok\n" + wrong).report.total.failed, 1u);
}

/* A stale large page is one of its size in the sequence's mode, from the entry of its index. */
TEST_F(VectorText, AllowsStaleLargePagesOfEachMode) {
    const std::string texts[] = {
        "Q 1 big 3 80000011 20 0 100000\nM 1 100008 101001\nM 1 101008 600087\nA 1 1 0 SR 40212140 F ok - - 612140 "
        "101008:20 QB\nW 1 2 101008 800087\n",
        "Q 1 big 4 80000011 20 500 104000\nM 1 104000 100007\nM 1 100008 101007\nM 1 101008 600087\n"
        "A 1 1 0 SR 40212140 F ok - - 612140 104000:20,100008:20,101008:20 QB\nW 1 2 101008 800087\n",
        "Q 1 big 4 80000011 20 500 104000\nM 1 104000 100007\nM 1 100008 40000087\nA 1 1 0 SR 40212140 F ok - - "
        "40212140 104000:20,100008:20 QB\nW 1 2 100008 80000087\n",
    };
    for (const std::string &text : texts) {
        std::string line = "A 1 3 0 SR 40212140 S ok - - 812140 - --\n";
        EXPECT_EQ(run_text(HEAD + text + line).report.total.failed, 0u) << text;
        mmu_ops wrong = mmu_c_ops;
        wrong.translate = translate_to_neighbour;
        EXPECT_EQ(run_text(HEAD + text + line, &wrong).report.total.failed, 1u) << text;
    }
}

/* INVPCID of the other address space is no help, of this one it is; types above 3 are #GP. SDM volume 2. */
TEST_F(VectorText, RunsInvpcidSteps) {
    const std::string head =
        std::string(HEAD) +
        "Q 1 pcid 4 80000011 20 500 104000\nM 1 104000 100007\nM 1 100000 101007\nM 1 101000 102007\n"
        "M 1 102008 555007\nR4 1 1 20020 ok\nR3 1 2 104001 ok\nA 1 3 0 SR 1140 F ok - - 555140 "
        "104000:20,100000:20,101000:20,102008:20 QB\nW 1 4 102008 666007\n";
    const std::string fresh = "A 1 6 0 SR 1140 F ok - - 666140 104000:20,100000:20,101000:20,102008:20 QB\n";
    EXPECT_EQ(run_text(head + "P 1 5 0 2 1000 ok\n" + fresh).report.total.failed, 1u);
    EXPECT_EQ(run_text(head + "P 1 5 0 1 1000 ok\n" + fresh).report.total.passed, 5u);
    EXPECT_EQ(run_text(head + "P 1 5 4 1 1000 gp 0\nI 1 5 1fff ok\n" + fresh).report.total.passed, 6u);
    EXPECT_EQ(run_text(head + "P 1 5 4 1 1000 ok\n").report.total.failed, 1u);
}

/* A PDE cache may be stale after the PDE has changed; what is filled through it, if global, outlives MOV CR3. */
TEST_F(VectorText, OwesAnFLineUnlessAStaleGlobalPageIsHeld) {
    const std::string text =
        std::string(HEAD) +
        "Q 1 rand 4 80000011 a0 500 104000\nM 1 104000 100007\nM 1 100000 101007\nM 1 101000 102007\n"
        "M 1 102008 555007\nM 1 102010 556107\nM 1 103010 777007\n"
        "A 1 1 0 SR 1140 F ok - - 555140 104000:20,100000:20,101000:20,102008:20 QB\nW 1 2 101000 103007\n"
        "A 1 3 0 SR 2140 S ok - - 777140 104000:20,100000:20,101000:20,103010:20 --\nR3 1 4 104000 ok\n";
    const std::string f = "A 1 6 0 SR 2140 F ok - - 777140 104000:20,100000:20,101000:20,103010:20 QB\n";
    auto run_psc = [&](const std::string &body) {
        mmu_preset preset = test_preset("tiny");
        preset.array[ARRAY_PSC_PDE] = {0, 1, 2};
        std::ofstream(path_) << body;
        return run(path_, &mmu_c_ops, preset).report;
    };
    EXPECT_EQ(run_psc(text + f).total.failed, 0u);
    EXPECT_EQ(run_psc(text + f).excused_f, 1u);
    EXPECT_EQ(run_psc(text + "I 1 5 2000 ok\n" + f).excused_f, 0u);
    EXPECT_EQ(run_text(text + f).report.excused_f, 0u); /* without that cache */
    std::string wrong = f;
    wrong.replace(wrong.find("777140"), 6, "778140");
    EXPECT_EQ(run_psc(text + "I 1 5 2000 ok\n" + wrong).total.failed, 1u);
    std::string not_global = text;
    not_global.replace(not_global.find("556107"), 6, "556007");
    EXPECT_EQ(run_psc(not_global + f).excused_f, 0u);
}

TEST_F(VectorText, WantsTheBitsOfTheMustList) {
    std::string text = HEAD + SEQUENCE;
    text.replace(text.find("102554:20"), 9, "102554:60");
    EXPECT_EQ(run_text(text).report.total.failed, 1u);
    text = HEAD + SEQUENCE;
    text.replace(text.find(",102554:20"), 10, "");
    EXPECT_EQ(run_text(text).report.total.failed, 1u);
}

TEST_F(VectorText, StraddlingFaultsInTheSecondPage) {
    Outcome outcome =
        run_text(HEAD + std::string("Q 2 cross 2 80000011 0 0 100000\nM 2 100400 102007\nM 2 102554 555007\n"
                                    "A 2 1 0 UW 40155ffd F pf 6 40156000 - - QB\n"
                                    "A 2 2 0 UW 40155ffc F ok - - 555ffc 102554:40,100400:20 QB\n"));
    EXPECT_EQ(outcome.report.total.passed, 2u) << outcome.first_failure << outcome.error;
}

TEST_F(VectorText, NamesBadInput) {
    EXPECT_EQ(error(GOOD), ":1: found 'V', expected a first line '# … MAXPHYADDR N …'");
    EXPECT_EQ(error("# nothing\n"), ":1: found end of line, expected MAXPHYADDR 32..52 in the first line");
    EXPECT_EQ(error("# MAXPHYADDR 53\n"), ":1: found '53', expected MAXPHYADDR 32..52 in the first line");
    EXPECT_EQ(error(std::string(HEAD) + "Z 1\n"), ":2: found 'Z', expected V, Q, M, W, I, R0, R3, R4, RE, P, A or #");
    EXPECT_EQ(error(std::string(HEAD) + "V T 2\n"), ":2: found end of line, expected 23 fields");
    EXPECT_EQ(error(std::string(HEAD) + "M 1 2 3\n"), ":2: found 'M', expected V, Q or # before a sequence is open");
    EXPECT_EQ(error(HEAD + SEQUENCE + "I 2 4 40155000 ok\n"), ":8: found '2', expected 1");
    EXPECT_EQ(error(HEAD + SEQUENCE + "I 1 4 4015500g ok\n"), ":8: found '4015500g', expected a hexadecimal number");
    EXPECT_EQ(error(HEAD + SEQUENCE + "A 1 4 0 SZ 1000 F ok - - 0 - QB\n"),
              ":8: found 'SZ', expected an access: one of S U I J, then one of R W X M");
    EXPECT_EQ(error(HEAD + SEQUENCE + "I 1 4 40155000 gp\n"), ":8: found 'gp', expected ok: INVLPG does not fail");
    EXPECT_EQ(error(HEAD + SEQUENCE + "A 1 4 0 IW 40155ff9 F ok - - 0 - QB\n"), /* eight bytes, seven of them there */
              ":8: found '40155ff9', expected a descriptor within one page");
    std::string line = GOOD;
    line.replace(line.find("V T 2"), 5, "V T 5");
    EXPECT_EQ(error(HEAD + line), ":2: found '5', expected a paging mode: 2, 3 or 4");
    EXPECT_EQ(error(""), ":0: found end of line, expected a line '# … MAXPHYADDR N …'");
}

TEST_F(VectorText, SeesAnMmuThatDoesNotAnswer) {
    static mmu_ops hanging = mmu_c_ops;
    hanging.translate = [](mmu *, const mmu_request *, mmu_result *, size_t) -> size_t { return 0; };
    Outcome outcome = run_text(std::string(HEAD) + GOOD, &hanging);
    EXPECT_EQ(outcome.report.total.failed, 1u);
    EXPECT_NE(outcome.first_failure.find("found no answer, expected ok"), std::string::npos) << outcome.first_failure;
}

/* It marks an entry that no line names; an exchange that fails changes nothing. */
TEST_F(VectorText, SeesAWriteToNoEntry) {
    static mmu_memory memory;
    static uint64_t expected;
    static mmu_ops straying = mmu_c_ops;
    straying.create = [](const mmu_config *config, char *err, size_t size) {
        memory = config->memory;
        return mmu_c_ops.create(config, err, size);
    };
    straying.translate = [](mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
        memory.compare_exchange(memory.ctx, 0x777000, 4, expected, 0x20);
        return mmu_c_ops.translate(m, requests, results, count);
    };
    for (const std::string &text : {HEAD + std::string(GOOD), HEAD + SEQUENCE}) {
        expected = 0;
        Outcome outcome = run_text(text, &straying);
        EXPECT_NE(outcome.first_failure.find("found a write to no entry of the "), std::string::npos)
            << outcome.first_failure;
        expected = 1;
        outcome = run_text(text, &straying);
        EXPECT_EQ(outcome.report.total.failed, 0u) << outcome.first_failure;
    }
}

TEST_F(VectorText, NamesAMissingOrTruncatedFile) {
    Outcome missing = run("/nonexistent.vec", &mmu_c_ops, test_preset("tiny"));
    EXPECT_EQ(missing.error, "/nonexistent.vec: found No such file or directory, expected a vector file");
    std::ifstream whole(vector_file("seq32"), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(whole)), {});
    ASSERT_GT(bytes.size(), 1000u);
    EXPECT_EQ(error(bytes.substr(0, bytes.size() / 2)), ": found a truncated zstd frame, expected a vector file");
}

} // namespace
