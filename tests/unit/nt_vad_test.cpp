// The VAD tree: order, balance, exact lookup, the search for empty ranges, and page-table commit (NT-69).
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#define _Noreturn [[noreturn]]
extern "C" {
#include "nt/mi.h"
}

namespace {

struct Tree {
    eprocess process{};
    std::vector<std::unique_ptr<mmvad>> owned;

    mmvad *add(va_t start, va_t end) {
        owned.push_back(std::make_unique<mmvad>());
        mmvad *vad = owned.back().get();
        vad->StartingAddress = start;
        vad->EndingAddress = end;
        MiInsertNode(&process.VadRoot, vad);
        return vad;
    }
    unsigned count() const {
        unsigned n = 0;
        for (mmvad *vad = MiFirstVad(&process); vad != nullptr; vad = MiNextVad(vad)) { n++; }
        return n;
    }
};

// Recomputes heights from nothing; also the AVL rule and the parent links.
int check_subtree(const mmvad *vad, const mmvad *parent) {
    if (vad == nullptr) { return 0; }
    EXPECT_EQ(vad->Parent, parent);
    int left = check_subtree(vad->Left, vad), right = check_subtree(vad->Right, vad);
    EXPECT_LE(std::abs(left - right), 1);
    EXPECT_EQ(vad->Height, 1 + std::max(left, right));
    return 1 + std::max(left, right);
}

void check_tree(const Tree &tree, size_t expected) {
    int height = check_subtree(tree.process.VadRoot, nullptr);
    EXPECT_LE(height, 1.44 * std::log2(static_cast<double>(expected) + 2));
    size_t n = 0;
    va_t last = 0;
    for (mmvad *vad = MiFirstVad(&tree.process); vad != nullptr; vad = MiNextVad(vad), n++) {
        EXPECT_TRUE(n == 0 || vad->StartingAddress > last);
        last = vad->EndingAddress;
    }
    EXPECT_EQ(n, expected);
}

TEST(VadTree, StaysOrderedAndBalancedThroughInsertsAndRemoves) {
    Tree tree;
    std::mt19937 random(7);
    std::vector<va_t> starts;
    for (va_t i = 1; i <= 500; i++) { starts.push_back(i * 0x10000); }
    std::shuffle(starts.begin(), starts.end(), random);
    std::vector<mmvad *> present;
    for (va_t start : starts) {
        present.push_back(tree.add(start, start + 0xFFFF));
        check_tree(tree, present.size());
    }
    std::shuffle(present.begin(), present.end(), random);
    while (!present.empty()) {
        MiRemoveNode(&tree.process.VadRoot, present.back());
        present.pop_back();
        check_tree(tree, present.size());
    }
}

TEST(VadTree, AscendingInsertsBalanceToo) {
    Tree tree;
    for (va_t i = 0; i < 300; i++) { tree.add(0x10000 + i * 0x1000, 0x10000 + i * 0x1000 + 0xFFF); }
    check_tree(tree, 300);
}

TEST(VadTree, FindsExactlyFromStartToEnd) {
    Tree tree;
    mmvad *low = tree.add(0x00410000, 0x00412FFF);
    mmvad *next = tree.add(0x00413000, 0x00413FFF);
    mmvad *high = tree.add(0x00500000, 0x0050FFFF);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x0040FFFF), nullptr);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x00410000), low);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x00412FFF), low);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x00413000), next);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x00414000), nullptr);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x0050FFFF), high);
    EXPECT_EQ(MiLocateAddress(&tree.process, 0x00510000), nullptr);
}

TEST(VadTree, ConflictIsTheLowestOverlap) {
    Tree tree;
    mmvad *a = tree.add(0x00410000, 0x0041FFFF);
    mmvad *b = tree.add(0x00440000, 0x0044FFFF);
    EXPECT_EQ(MiCheckForConflictingVad(&tree.process, 0x00400000, 0x0040FFFF), nullptr);
    EXPECT_EQ(MiCheckForConflictingVad(&tree.process, 0x00400000, 0x00410000), a);
    EXPECT_EQ(MiCheckForConflictingVad(&tree.process, 0x00400000, 0x7FFDFFFF), a);
    EXPECT_EQ(MiCheckForConflictingVad(&tree.process, 0x00420000, 0x0043FFFF), nullptr);
    EXPECT_EQ(MiCheckForConflictingVad(&tree.process, 0x0044FFFF, 0x0045FFFF), b);
}

TEST(VadSearch, EmptyTree) {
    Tree tree;
    va_t start = 0;
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x1000, false, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x00010000u);
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x1000, true, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x7FFD0000u);
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x7FFD0000, false, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x00010000u);
    EXPECT_FALSE(MiFindEmptyAddressRange(&tree.process, 0x7FFD1000, false, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_FALSE(MiFindEmptyAddressRange(&tree.process, 0x7FFD1000, true, MM_HIGHEST_VAD_ADDRESS, &start));
}

TEST(VadSearch, GapsMustFitAt64KAlignment) {
    Tree tree;
    tree.add(0x00010000, 0x00010FFF); // leaves the rest of its 64 KB unusable
    tree.add(0x00030000, 0x0003FFFF);
    tree.add(0x7FFC8000, 0x7FFDFFFF);
    va_t start = 0;
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x10000, false, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x00020000u); // exactly fills the gap
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x11000, false, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x00040000u);
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x8000, true, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x7FFC0000u);
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x8001, true, MM_HIGHEST_VAD_ADDRESS, &start));
    EXPECT_EQ(start, 0x7FFB0000u);
}

TEST(VadSearch, HighestAddressLimitsBothDirections) {
    Tree tree;
    tree.add(0x00010000, 0x0001FFFF);
    va_t start = 0;
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x10000, true, 0x0003FFFF, &start));
    EXPECT_EQ(start, 0x00030000u);
    ASSERT_TRUE(MiFindEmptyAddressRange(&tree.process, 0x20000, false, 0x0003FFFF, &start));
    EXPECT_EQ(start, 0x00020000u);
    EXPECT_FALSE(MiFindEmptyAddressRange(&tree.process, 0x21000, false, 0x0003FFFF, &start));
    EXPECT_FALSE(MiFindEmptyAddressRange(&tree.process, 0x21000, true, 0x0003FFFF, &start));
}

// A scan of every 64 KB slot is the plain definition of both searches.
TEST(VadSearch, AgreesWithAScanOfAllSlots) {
    Tree tree;
    std::mt19937 random(11);
    const va_t top = 0x013FFFFF;
    std::vector<mmvad *> regions;
    for (va_t at = 0x10000; at < top - 0x50000;) {
        va_t size = (1 + random() % 40) * 0x1000;
        regions.push_back(tree.add(at, at + size - 1));
        at = (at + size + 0xFFFF) & ~va_t{0xFFFF};
    }
    for (size_t i = 0; i < regions.size(); i += 3) { MiRemoveNode(&tree.process.VadRoot, regions[i]); }
    for (va_t size = 0x1000; size < 0x60000; size += 0x3000) {
        std::vector<va_t> fits;
        for (va_t at = 0x10000; at + size - 1 <= top; at += 0x10000) {
            if (MiCheckForConflictingVad(&tree.process, at, at + size - 1) == nullptr) { fits.push_back(at); }
        }
        va_t low = 0, high = 0;
        ASSERT_EQ(MiFindEmptyAddressRange(&tree.process, size, false, top, &low), !fits.empty());
        ASSERT_EQ(MiFindEmptyAddressRange(&tree.process, size, true, top, &high), !fits.empty());
        if (!fits.empty()) {
            EXPECT_EQ(low, fits.front()) << size;
            EXPECT_EQ(high, fits.back()) << size;
        }
    }
}

} // namespace
