/* Would we notice? Each hand-made bug of tb/mutants.txt, alive in the RTL or in the C MMU, must make it differ from the
 * other one on a random program, fail a line of the vectors, or serve something old after an invalidation; and with
 * none alive there must be no difference. So must a sample of those that a tool makes; `make mutants` tries all. */
#include "mmu_pair.h"
#include "rtl_invalidate.h"

#include <dirent.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <regex>
#include <set>

namespace {

constexpr unsigned FEW_SEEDS = 6, SEEDS = 30, STEPS = 2000;

struct Mutant {
    unsigned number;
    std::string name, title;
};

void PrintTo(const Mutant &mutant, std::ostream *out) { *out << mutant.number << ": " << mutant.title; }

/* Tried in this order until one notices. The first has everything, in small; the last alone has several walkers. */
const char *const presets[] = {"tiny-l2", "tiny", "tiny-random"};

std::string path_of(const char *variable, const char *otherwise) {
    const char *value = getenv(variable);
    return value ? value : otherwise;
}

/* What is built beside the presets. */
std::string built(const std::string &file) {
    std::string object = rtl_object("");
    return object.substr(0, object.rfind("/")) + "/../" + file;
}

/* Lines `NUMBER NAME CLASSES what is wrong`, without classes or with; # starts a comment. */
std::vector<Mutant> listed_mutants() {
    std::ifstream file(path_of("NTMMU_MUTANTS", "tb/mutants.txt"));
    static const std::regex form("\\s*(\\d+)\\s+(\\w+)\\s+(?:[\\d,]+\\s+)?(.*\\S)\\s*");
    std::vector<Mutant> mutants;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (std::regex_match(line, match, form)) {
            mutants.push_back({(unsigned)std::stoul(match[1]), match[2], match[3]});
        }
    }
    return mutants;
}

/* The numbers in the sources' own MUT(n, good, bad). */
std::set<unsigned> numbers_in(const std::string &directory) {
    static const std::regex use("(?:\\bMUT\\(|mut_sel == )(\\d+)");
    std::set<unsigned> numbers;
    DIR *dir = opendir(directory.c_str());
    for (dirent *entry = dir ? readdir(dir) : nullptr; entry; entry = readdir(dir)) {
        if (entry->d_type == DT_DIR) { continue; }
        std::ifstream file(directory + "/" + entry->d_name);
        std::string text((std::istreambuf_iterator<char>(file)), {});
        for (std::sregex_iterator i(text.begin(), text.end(), use), end; i != end; ++i) {
            numbers.insert((unsigned)std::stoul((*i)[1]));
        }
    }
    if (dir) { closedir(dir); }
    return numbers;
}

std::set<unsigned> numbers_in_rtl() { return numbers_in(path_of("NTMMU_RTL", "rtl")); }
std::set<unsigned> numbers_in_c() { return numbers_in("csrc/mmu"); }

std::vector<Mutant> mutants_of(const std::set<unsigned> &numbers) {
    std::vector<Mutant> mutants;
    for (const Mutant &mutant : listed_mutants()) {
        if (numbers.count(mutant.number)) { mutants.push_back(mutant); }
    }
    return mutants;
}

std::string pair_difference(const mmu_ops *a, const mmu_ops *b, const std::string &preset, unsigned seeds = SEEDS) {
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        PairProgram program(a, b, test_preset(preset), seed);
        std::string difference = program.run(STEPS);
        if (!difference.empty()) { return "seed " + std::to_string(seed) + ", " + difference; }
    }
    return "";
}

std::string vectors_difference(const mmu_ops *mmu, const std::string &preset) {
    std::string first;
    for (const char *name : {"seq32", "pg32-pa36", "pg32", "long"}) {
        vectors_config config = {};
        config.mmu = mmu;
        config.preset = test_preset(preset);
        config.on_failure = keep_first_failure;
        config.ctx = &first;
        vectors_report report = {};
        char err[512] = "";
        std::string path = path_of("NTMMU_VECTORS", "tests/vectors") + "/" + name + ".vec.zst";
        if (vectors_run(path.c_str(), &config, &report, err, sizeof err) < 0) { throw std::runtime_error(err); }
        if (!first.empty()) { return first; }
    }
    return "";
}

std::string invalidate_difference(const std::string &object, const std::string &preset) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        InvalidateProgram program(object, test_preset(preset), seed);
        std::string difference = program.run(STEPS);
        if (!difference.empty()) { return "invalidation, seed " + std::to_string(seed) + ", " + difference; }
    }
    return "";
}

/* Of a Verilated MMU. */
std::string difference(const std::string &object, const std::string &preset) {
    std::string how = pair_difference(&mmu_c_ops, object_ops(object), preset);
    if (how.empty()) { how = invalidate_difference(object, preset); }
    return how.empty() ? vectors_difference(object_ops(object), preset) : how;
}

void choose(unsigned mutant) { setenv("NTMMU_MUTANT", std::to_string(mutant).c_str(), 1); }

std::string case_name(const testing::TestParamInfo<Mutant> &info) {
    return std::to_string(info.param.number) + "_" + info.param.name;
}

TEST(Mutants, ListAndSourcesNameTheSameOnes) {
    std::set<unsigned> listed, planted = numbers_in_rtl(), in_c = numbers_in_c();
    for (const Mutant &mutant : listed_mutants()) { EXPECT_TRUE(listed.insert(mutant.number).second) << mutant.number; }
    EXPECT_FALSE(planted.empty());
    EXPECT_FALSE(in_c.empty());
    planted.insert(in_c.begin(), in_c.end());
    EXPECT_EQ(listed, planted);
}

/* Every class of bugs is planted, or the list says why not. */
TEST(Mutants, EveryClassIsPlanted) {
    std::ifstream file(path_of("NTMMU_MUTANTS", "tb/mutants.txt"));
    static const std::regex planted("\\s*\\d+\\s+\\w+\\s+([\\d,]+)\\s.*"), of("class\\s+(\\d+)\\s(.*)");
    std::set<unsigned> classes, covered;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (std::regex_match(line, match, planted)) {
            std::stringstream list(match[1]);
            for (std::string number; std::getline(list, number, ',');) { covered.insert((unsigned)std::stoul(number)); }
        } else if (std::regex_match(line, match, of)) {
            unsigned number = (unsigned)std::stoul(match[1]);
            classes.insert(number);
            if (match[2].str().find(": none: ") != std::string::npos) { covered.insert(number); }
        }
    }
    EXPECT_EQ(classes.size(), 58u);
    EXPECT_EQ(covered, classes);
}

/* ---- in the RTL ---- */

TEST(RtlMutants, NoneAliveShowsNoDifference) {
    choose(0);
    for (std::string preset : presets) { EXPECT_EQ(difference(rtl_object(preset + ".mutate"), preset), ""); }
}

class RtlMutant : public testing::TestWithParam<Mutant> {};

TEST_P(RtlMutant, IsNoticed) {
    const Mutant &mutant = GetParam();
    choose(mutant.number);
    std::string how;
    for (std::string preset : presets) { /* one of them shows most bugs soon */
        if (how.empty()) { how = pair_difference(&mmu_c_ops, rtl_ops(preset + ".mutate"), preset, FEW_SEEDS); }
    }
    for (std::string preset : presets) {
        if (how.empty()) { how = difference(rtl_object(preset + ".mutate"), preset); }
    }
    if (how.empty()) { /* what a read ahead of the wrong table does shows first with seed 145 */
        how = pair_difference(&mmu_c_ops, rtl_ops("tiny-random.mutate"), "tiny-random", 10 * SEEDS);
    }
    choose(0);
    EXPECT_NE(how, "") << "survived: " << mutant.title;
    std::cout << "    " << mutant.title << "\n    " << how << "\n";
}

INSTANTIATE_TEST_SUITE_P(List, RtlMutant, testing::ValuesIn(mutants_of(numbers_in_rtl())), case_name);

/* One bug sits in each replacement policy, differently; the presets above have true LRU. */
TEST(RtlMutants, AWrongVictimOfEachPolicyIsNoticed) {
    choose(24);
    for (std::string preset : {"tiny-plru", "tiny-random"}) {
        EXPECT_NE(pair_difference(&mmu_c_ops, rtl_ops(preset + ".mutate"), preset), "") << preset;
    }
    choose(0);
}

/* ---- in the C MMU ---- */

std::string c_difference() {
    const mmu_ops *mutant = object_ops(built("mmu-c.mutate.so"));
    std::string how = pair_difference(mutant, rtl_ops("tiny-l2"), "tiny-l2");
    if (how.empty()) { how = vectors_difference(mutant, "tiny-l2"); }
    /* Several walkers; what a walk that begins anew forgot shows first with seed 55. */
    return how.empty() ? pair_difference(mutant, rtl_ops("tiny-ahead"), "tiny-ahead", 2 * SEEDS) : how;
}

TEST(CMutants, NoneAliveShowsNoDifference) {
    choose(0);
    EXPECT_EQ(c_difference(), "");
}

class CMutant : public testing::TestWithParam<Mutant> {};

TEST_P(CMutant, IsNoticed) {
    choose(GetParam().number);
    std::string how = c_difference();
    choose(0);
    EXPECT_NE(how, "") << "survived: " << GetParam().title;
    std::cout << "    " << GetParam().title << "\n    " << how << "\n";
}

INSTANTIATE_TEST_SUITE_P(List, CMutant, testing::ValuesIn(mutants_of(numbers_in_c())), case_name);

/* ---- made by a tool ---- */

std::set<unsigned> equivalent_ones() {
    std::ifstream file("tests/mutants/equivalent.txt");
    std::set<unsigned> numbers;
    std::string kind, reason;
    for (std::string line; std::getline(file, line);) {
        std::stringstream words(line);
        unsigned number;
        if (words >> kind >> number >> reason && kind == "generated") { numbers.insert(number); }
    }
    return numbers;
}

/* One in some, of those files in which all is in use whatever the preset. */
std::vector<Mutant> sample() {
    static const std::regex form("(\\d+) ((walker|control_registers|entry_check|permission|invalidation)\\.sv:.*)");
    std::ifstream file(built("generated/list.txt"));
    std::vector<Mutant> mutants;
    unsigned count = 0;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (!std::regex_match(line, match, form) || count++ % 3 != 0) { continue; }
        mutants.push_back({(unsigned)std::stoul(match[1]), match[3], match[2]});
    }
    return mutants;
}

TEST(GeneratedMutants, SampleIsNoticed) {
    std::vector<Mutant> mutants = sample();
    std::set<unsigned> equivalent = equivalent_ones();
    std::string object = built("generated/tiny-l2.so");
    choose(0);
    EXPECT_EQ(difference(object, "tiny-l2"), "");
    EXPECT_GT(mutants.size(), 10u);
    for (const Mutant &mutant : mutants) {
        if (equivalent.count(mutant.number)) { continue; }
        choose(mutant.number);
        EXPECT_NE(difference(object, "tiny-l2"), "") << "survived: " << mutant.number << " " << mutant.title;
    }
    choose(0);
}

} // namespace
