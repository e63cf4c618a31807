/* Shrinking, with a made-up way to fail in place of a replay. */
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" {
#include "ntmmu/shrink.h"
}

namespace {

class Shrink : public testing::Test {
  protected:
    shrink_trace trace = {};
    std::function<bool(const std::vector<std::string> &)> fails;
    unsigned runs = 0, stop_after = 1000000;

    void TearDown() override { shrink_free(&trace); }

    void load(const std::string &lines) {
        std::string path = "/tmp/ntmmu-shrink-" + std::to_string(getpid()) + ".vmt";
        std::ofstream(path) << "!vmt 1\n" << lines << "!end\n";
        char err[256] = "";
        EXPECT_EQ(shrink_load(&trace, path.c_str(), err, sizeof err), 0) << err;
        unlink(path.c_str());
    }
    static std::vector<std::string> events(const shrink_trace *t) { return {t->event, t->event + t->events}; }

    static shrink_answer attempt(void *ctx, const shrink_trace *candidate) {
        auto *test = static_cast<Shrink *>(ctx);
        if (++test->runs > test->stop_after) { return SHRINK_STOP; }
        return test->fails(events(candidate)) ? SHRINK_FAILS : SHRINK_OTHER;
    }
    bool has(const std::vector<std::string> &list, const std::string &line) {
        for (const std::string &one : list) {
            if (one == line) { return true; }
        }
        return false;
    }
};

} // namespace

TEST_F(Shrink, KeepsTheFewEventsThatMatter) {
    std::string lines = "!boot bare\n# a comment\n!ram 4M\n";
    for (int i = 0; i < 1000; i++) { lines += "r " + std::to_string(100000 + i) + " 4\n"; }
    load(lines);
    ASSERT_EQ(trace.events, 1000u);
    fails = [this](const std::vector<std::string> &e) {
        return has(e, "r 100017 4") && has(e, "r 100500 4") && has(e, "r 100999 4");
    };
    EXPECT_TRUE(shrink_events(&trace, attempt, this));
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"r 100017 4", "r 100500 4", "r 100999 4"}));
    EXPECT_EQ(trace.heads, 0u);
    EXPECT_LT(runs, 200u); /* three events, ten halvings, a few chunks each */
}

TEST_F(Shrink, PairsThatGoTogetherOnlyAreFound) {
    load("r 1000 4\nr 2000 4\nr 3000 4\nr 4000 4\n");
    fails = [this](const std::vector<std::string> &e) {
        return has(e, "r 2000 4") == has(e, "r 3000 4") && has(e, "r 4000 4");
    };
    EXPECT_TRUE(shrink_events(&trace, attempt, this));
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"r 4000 4"}));
}

TEST_F(Shrink, PairsAreFoundFarApart) {
    load("r 1000 4\nr 2000 4\nr 3000 4\nr 4000 4\nr 5000 4\n");
    fails = [this](const std::vector<std::string> &e) {
        return has(e, "r 1000 4") == has(e, "r 5000 4") && has(e, "r 2000 4") == has(e, "r 4000 4") &&
               has(e, "r 3000 4");
    };
    EXPECT_TRUE(shrink_events(&trace, attempt, this));
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"r 3000 4"}));
}

TEST_F(Shrink, ExpectLinesStayWithTheirEvent) {
    load("r 1000 4\nexpect exc=e\nexpect data=1\nr 2000 4\n");
    ASSERT_EQ(trace.events, 2u);
    EXPECT_STREQ(trace.event[0], "r 1000 4\nexpect exc=e\nexpect data=1");
    shrink_expect(&trace, 0, nullptr);
    shrink_expect(&trace, 1, "expect exc=*");
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"r 1000 4", "r 2000 4\nexpect exc=*"}));
    shrink_cut(&trace, 1);
    EXPECT_EQ(trace.events, 1u);
}

TEST_F(Shrink, ABatchBecomesOneAccessAndItsAddressSimple) {
    load("batch kr:5678 m:41f238 sw:1111\n");
    fails = [](const std::vector<std::string> &e) {
        return e.size() == 1 && e[0].find("41") != std::string::npos && e[0].find(':') == std::string::npos;
    };
    auto whole = fails;
    fails = [&](const std::vector<std::string> &e) {
        return whole(e) || (e.size() == 1 && e[0].find("m:41f238") != std::string::npos);
    };
    EXPECT_TRUE(shrink_values(&trace, attempt, this));
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"r 410000 0"}));
}

/* A number that stands in two places can only change in both. */
TEST_F(Shrink, EqualNumbersShrinkTogether) {
    load("poke 7f3000 2007\nmov cr3 7f3000\n");
    auto word = [](const std::string &line, unsigned n) {
        size_t at = 0;
        while (n-- > 0) { at = line.find(' ', at) + 1; }
        return line.substr(at, line.find(' ', at) - at);
    };
    fails = [&](const std::vector<std::string> &e) {
        return e.size() == 2 && e[0].rfind("poke ", 0) == 0 && e[1].rfind("mov cr3 ", 0) == 0 &&
               word(e[0], 1) == word(e[1], 2) && strtoul(word(e[0], 1).c_str(), nullptr, 16) >= 0x1000 &&
               word(e[0], 2).back() == '7';
    };
    EXPECT_TRUE(shrink_values(&trace, attempt, this));
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"poke 1000 7", "mov cr3 1000"}));
}

TEST_F(Shrink, QuotedTextIsLeftAlone) {
    load("proc+ 1 0 \"a name with 12345\"\n");
    fails = [](const std::vector<std::string> &e) { return e.size() == 1; };
    EXPECT_TRUE(shrink_values(&trace, attempt, this));
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"proc+ 1 0 \"a name with 12345\""}));
}

/* Stopped at any moment, the trace is one that fails. */
TEST_F(Shrink, StopsWithATraceThatFails) {
    for (unsigned after = 0; after < 60; after++) {
        shrink_free(&trace);
        std::string lines;
        for (int i = 0; i < 30; i++) { lines += "w " + std::to_string(10000 + i) + " 8 =ff\n"; }
        load(lines);
        runs = 0;
        stop_after = after;
        fails = [](const std::vector<std::string> &e) {
            bool first = false;
            for (const std::string &line : e) { first = first || line.find(" 10007") != std::string::npos; }
            return first;
        };
        bool finished = shrink_events(&trace, attempt, this) && shrink_values(&trace, attempt, this);
        EXPECT_TRUE(fails(events(&trace))) << after;
        EXPECT_EQ(finished, runs <= after) << after;
    }
}

TEST_F(Shrink, StopsWhileEqualNumbersShrink) {
    fails = [](const std::vector<std::string> &e) { // equal numbers of four digits
        return e.size() == 2 && e[0].size() == 9 && e[0] == e[1];
    };
    bool finished = false;
    for (unsigned after = 0; after < 500 && !finished; after++) {
        shrink_free(&trace);
        load("mdl- 4567\nmdl- 4567\n");
        runs = 0;
        stop_after = after;
        finished = shrink_values(&trace, attempt, this);
        EXPECT_TRUE(fails(events(&trace))) << after;
        EXPECT_EQ(finished, runs <= after) << after;
        EXPECT_LE(runs, after + 1) << "nothing is tried behind the answer to stop";
    }
    EXPECT_EQ(events(&trace), (std::vector<std::string>{"mdl- 1000", "mdl- 1000"}));
}
