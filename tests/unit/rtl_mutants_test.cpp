/* Would we notice? Each hand-made bug of tb/mutants.txt, alive in the RTL, must make it differ from the C MMU on a
 * random program, fail a line of the vectors, or serve something old after an invalidation; and with none alive there
 * must be no difference. */
#include "mmu_pair.h"
#include "rtl_invalidate.h"

#include <dirent.h>
#include <fstream>
#include <gtest/gtest.h>
#include <iostream>
#include <regex>
#include <set>

namespace {

constexpr unsigned SEEDS = 30, STEPS = 2000;

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

/* Lines `NUMBER NAME CLASSES what is wrong`, without classes or with; # starts a comment. Number 0, no bug, is not in
 * the list. */
std::vector<Mutant> listed_mutants() {
    std::ifstream file(path_of("NTMMU_MUTANTS", "tb/mutants.txt"));
    std::vector<Mutant> mutants;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        static const std::regex form("\\s*(\\d+)\\s+(\\w+)\\s+(?:[\\d,]+\\s+)?(.*\\S)\\s*");
        if (std::regex_match(line, match, form) && match[1] != "0") {
            mutants.push_back({(unsigned)std::stoul(match[1]), match[2], match[3]});
        }
    }
    return mutants;
}

/* The numbers in the RTL's own `MUT(n, good, bad). */
std::set<unsigned> mutants_in_rtl() {
    std::set<unsigned> numbers;
    std::string directory = path_of("NTMMU_RTL", "rtl");
    DIR *dir = opendir(directory.c_str());
    for (dirent *entry = dir ? readdir(dir) : nullptr; entry; entry = readdir(dir)) {
        std::string name = entry->d_name;
        if (name.find(".sv") == std::string::npos) { continue; }
        std::ifstream file(directory + "/" + name);
        std::string text((std::istreambuf_iterator<char>(file)), {});
        std::regex use("(?:`MUT\\(|mut_sel == )(\\d+)");
        for (std::sregex_iterator i(text.begin(), text.end(), use), end; i != end; ++i) {
            numbers.insert((unsigned)std::stoul((*i)[1]));
        }
    }
    if (dir) { closedir(dir); }
    return numbers;
}

std::string pair_difference(const std::string &name, unsigned seeds) {
    const mmu_ops *rtl = rtl_ops(name + ".mutate");
    mmu_preset preset = test_preset(name);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        PairProgram program(&mmu_c_ops, rtl, preset, seed);
        std::string difference = program.run(STEPS);
        if (!difference.empty()) { return "seed " + std::to_string(seed) + ", " + difference; }
    }
    return "";
}

std::string vectors_difference(const std::string &preset) {
    std::string first;
    for (const char *name : {"seq32", "pg32-pa36", "pg32", "long"}) {
        vectors_config config = {};
        config.mmu = rtl_ops(preset + ".mutate");
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

std::string invalidate_difference(const std::string &preset) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        InvalidateProgram program(rtl_object(preset + ".mutate"), test_preset(preset), seed);
        std::string difference = program.run(STEPS);
        if (!difference.empty()) { return "invalidation, seed " + std::to_string(seed) + ", " + difference; }
    }
    return "";
}

std::string difference(const std::string &preset) {
    std::string how = pair_difference(preset, SEEDS);
    if (how.empty()) { how = invalidate_difference(preset); }
    return how.empty() ? vectors_difference(preset) : how;
}

void choose(unsigned mutant) { setenv("NTMMU_MUTANT", std::to_string(mutant).c_str(), 1); }

TEST(RtlMutants, ListAndRtlNameTheSameOnes) {
    std::set<unsigned> listed;
    for (const Mutant &mutant : listed_mutants()) { EXPECT_TRUE(listed.insert(mutant.number).second) << mutant.number; }
    EXPECT_FALSE(listed.empty()) << "tb/mutants.txt";
    EXPECT_EQ(listed, mutants_in_rtl());
}

TEST(RtlMutants, NoneAliveShowsNoDifference) {
    choose(0);
    for (const char *preset : presets) { EXPECT_EQ(difference(preset), ""); }
}

class RtlMutant : public testing::TestWithParam<Mutant> {};

TEST_P(RtlMutant, IsNoticed) {
    const Mutant &mutant = GetParam();
    choose(mutant.number);
    std::string how;
    for (const char *preset : presets) {
        if (how.empty()) { how = difference(preset); }
    }
    choose(0);
    EXPECT_NE(how, "") << "survived: " << mutant.title;
    std::cout << "    " << mutant.title << "\n    " << how << "\n";
}

/* One bug sits in each replacement policy, differently; the presets above have true LRU. */
TEST(RtlMutants, AWrongVictimOfEachPolicyIsNoticed) {
    choose(24);
    for (const char *preset : {"tiny-plru", "tiny-random"}) { EXPECT_NE(pair_difference(preset, SEEDS), "") << preset; }
    choose(0);
}

std::string case_name(const testing::TestParamInfo<Mutant> &info) {
    return std::to_string(info.param.number) + "_" + info.param.name;
}

INSTANTIATE_TEST_SUITE_P(List, RtlMutant, testing::ValuesIn(listed_mutants()), case_name);

} // namespace
