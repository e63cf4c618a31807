// What the memory manager says when it finds its own records damaged: the stop codes of NT-04 and their parameters.
#include "nt_harness.h"

namespace {

enum { PFN_PTE = 4, PFN_U2 = 8, PFN_FLAGS = 0xC, PFN_REF = 0xE, PFN_ORIGINAL = 0x10 };

class NtCorruption : public ::testing::Test, public NtMachine {
  protected:
    NtCorruption() : NtMachine(manual()) {}
    explicit NtCorruption(os_boot boot) : NtMachine(manual(boot)) {}
    void SetUp() override {
        ASSERT_NE(m, nullptr) << error;
        ok("proc+ 1 0 \"p1\"\nthr+ 101 1\nx 0 101\nalloc 410000 10000 rc rw");
    }
    static std::string hex(uint64_t value) {
        char text[24];
        snprintf(text, sizeof text, "%llx", (unsigned long long)value);
        return text;
    }
    // A kernel bug: a store to an address of the kernel.
    void damage(va_t va, unsigned size, uint64_t value) { ok("kw " + hex(va) + " " + hex(size) + " =" + hex(value)); }
    void damage_pfn(pfn_t frame, unsigned offset, uint64_t value) {
        damage(0x80200000 + PFN_SIZE * frame + offset, offset == PFN_FLAGS || offset == PFN_REF ? 2 : 4, value);
    }
    uint32_t frame_of(va_t va) { return pte(1, va) >> 12; }
    void stops(const std::string &line, uint32_t code, uint32_t p1) {
        EXPECT_EQ(bugcheck_of(line), code) << line << " " << last.message;
        EXPECT_EQ(last.bugcheck_p[0], p1) << line;
    }
    // the parameters behind the first
    void says(uint64_t p2, uint64_t p3, uint64_t p4) {
        EXPECT_EQ(last.bugcheck_p[1], p2);
        EXPECT_EQ(last.bugcheck_p[2], p3);
        EXPECT_EQ(last.bugcheck_p[3], p4);
    }
};

TEST_F(NtCorruption, FrameInTransitionOfAnotherPte) { // 1A, 41284
    ok("w 410000 4");
    uint32_t frame = frame_of(0x410000);
    ok("trim 1 all force");
    damage_pfn(frame, PFN_PTE, 0xC0001234);
    stops("free 410000 0 r", 0x1A, 0x41284);
}

TEST_F(NtCorruption, ValidFrameOfAnotherPte) {
    ok("w 410000 4");
    damage_pfn(frame_of(0x410000), PFN_PTE, 0xC0001234);
    stops("free 410000 0 r", 0x1A, 0x41284);
}

TEST_F(NtCorruption, SharesUsedUp) { // 4E, 99
    ok("w 410000 4");
    damage_pfn(frame_of(0x410000), PFN_U2, 0);
    stops("free 410000 0 r", 0x4E, 0x99);
}

TEST_F(NtCorruption, TransitionFrameOnNoList) {
    ok("w 410000 4");
    uint32_t frame = frame_of(0x410000);
    ok("trim 1 all force");
    damage_pfn(frame, PFN_FLAGS, 5 << 8); // bad
    stops("r 410000 4", 0x4E, 0x99);
}

TEST_F(NtCorruption, FreeFrameWithReferences) { // 4E, 2
    damage_pfn(list(FreePageList)[0], PFN_REF, 1);
    stops("w 410000 4", 0x4E, 2);
}

TEST_F(NtCorruption, FreeFrameThatIsActive) {
    damage_pfn(list(FreePageList)[0], PFN_FLAGS, 6 << 8);
    stops("w 410000 4", 0x4E, 0x99);
}

TEST_F(NtCorruption, WorkingSetEntryOfAnotherPage) {
    ok("w 410000 4");
    EXPECT_EQ(word(1, 0xC0502690 + 4 * 4) >> 12, 0x410u);
    damage(0xC0502690 + 4 * 4, 4, 0x41A201);
    stops("free 410000 0 r", 0x1A, 0x41284);
    says(0x410000, 4, 0xC0502000); // NT-32: va, index, list
}

TEST_F(NtCorruption, WorkingSetEntryOfAnotherSharedPage) { // 41884, searched for in vain
    ok("sec+ 1 page 10000 \"\"\nmap 1 500000 10000 0 rw share\nw 500000 4");
    uint32_t index = pfn(frame_of(0x500000)).u1;
    damage(0xC0502690 + 4 * index, 4, 0x41A201);
    stops("unmap 500000", 0x1A, 0x41884);
    says(0x500000, 0x500000, 0xC0502000); // NT-32: what is searched for, twice, and the list
}

TEST_F(NtCorruption, WorkingSetEntryWithoutPte) {
    ok("w 410000 4");
    damage(0xC0001040, 4, 0);
    stops("trim 1 all force", 0x1A, 0x41284);
}

TEST_F(NtCorruption, FreeWorkingSetEntryInUse) { // 41785
    ok("w 410000 4");
    damage(0xC0502690 + 4 * 5, 4, 0x420001); // the first free one
    stops("w 411000 4", 0x1A, 0x41785);
}

TEST_F(NtCorruption, CounterOfAPageTable) { // 41790: entries in use, and no VAD
    ok("w 410000 4");
    EXPECT_EQ(half(1, 0xC0502032), 1u);
    damage(0xC0502032, 2, 2);
    ok("free 410000 0 r");
    uint32_t table = pde(1, 0x410000) >> 12;
    stops("proc- 1", 0x1A, 0x41790);
    says(table, 0, 1); // NT-37: the page table's frame, expected, found
}

TEST_F(NtCorruption, CounterOfAPageTableRunsOut) { // 41790: fewer entries in use than there are
    ok("w 410000 4\nw 411000 4");
    damage(0xC0502032, 2, 1);
    uint32_t table = pde(1, 0x410000) >> 12;
    stops("free 410000 0 r", 0x1A, 0x41790); // one entry is left that counts as a share
    says(table, 1, 2);
}

TEST_F(NtCorruption, CounterOfAPageTableBelowNothing) {
    ok("w 410000 4\nalloc 1000000 10000 rc rw\nw 1001000 4");
    damage(0xC0502032, 2, 0);
    uint32_t table = pde(1, 0x410000) >> 12;
    stops("move 410000 1000000 1000", 0x1A, 0x41790);
    says(table, 1, 0);
}

TEST_F(NtCorruption, SlotBeyondThePagingFile) { // 41284: file 0 has 100 pages
    ok("pagefile 100000 100000\nw 410000 4");
    damage(0xC0001040, 4, 0x200080);
    damage(0xC0502032, 2, 1);
    stops("free 410000 0 r", 0x1A, 0x41284);
}

TEST_F(NtCorruption, PagesStillLocked) { // 76
    ok("mdl+ 1 410000 1000 w");
    EXPECT_EQ(bugcheck_of("proc- 1"), 0x76u);
}

TEST_F(NtCorruption, AddressOfNoPool) { stops("poolfree c0000000", 0xC2, 7); }

// NT-45, NT-46 K2: nothing is there, and it is nobody's to make valid.
TEST_F(NtCorruption, HyperspaceThatIsNotMapped) { stops("kr c0600000 4", 0x50, 0xC0600000); }

class NtColorCorruption : public NtCorruption {
  protected:
    NtColorCorruption() : NtCorruption(OS_CFG_COL) {}
};

TEST_F(NtColorCorruption, FrameOnNoColorList) { // 4E, 8F
    auto frames = list(FreePageList);
    damage_pfn(frames[0], PFN_ORIGINAL, 0xFFFFFFFF); // its colour ends here
    run("call MmAllocateContiguousMemory 800000 ffffffff");
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0x4Eu);
    EXPECT_EQ(last.bugcheck_p[0], 0x8Fu);
}

// NT-23, NT-91: frames leave the middle of their colours' lists and come back behind the last ones.
TEST_F(NtColorCorruption, FramesFromTheMiddle) {
    ok("w 41e000 4\nw 41f000 4\nfree 41e000 2000 d"); // low frames, behind all others now
    size_t before = list(FreePageList).size();
    run("call MmAllocateContiguousMemory 800000 ffffffff");
    ASSERT_NE(last.service_out[0], 0u);
    EXPECT_EQ(list(FreePageList).size(), before - 0x800);
    run("call MmFreeContiguousMemory " + hex(last.service_out[0]));
    EXPECT_EQ(list(FreePageList).size(), before);
    ok("drain 0\nundrain 40\nrun zero");
    for (unsigned i = 0; i < 8; i++) {
        ok("w " + hex(0x410000 + i * 0x1000) + " 4");
        EXPECT_EQ(frame_of(0x410000 + i * 0x1000) & 7, i);
    }
}

} // namespace
