// The PAGE_SUPPORT_BLOCK of a read under way, NT-44, where its address depends on what the pool held before.
#include "nt_harness.h"

TEST(NtInPage, SupportBlockFieldByField) { // NT-44, NT-59: and it is used again for the next read
    NtMachine nt;
    nt.ok(
        "proc+ 1 0 \"P1\"\nthr+ 101 1\nthr+ 102 1\nx 0 101\nsec+ 1 data 8000 \"/f\"\nmap 1 500000 8000 0 r\nio manual");
    nt.run("r 505000 4");
    EXPECT_TRUE(nt.last.blocked);
    uint32_t frame = 0;
    for (const auto &r : nt.records(LOG_IO)) { frame = uint32_t(r.e); }
    mmpfn pfn = nt.pfn(frame);
    EXPECT_EQ(pfn.Flags, 0x70A);
    va_t block = pfn.u1;
    auto word = [&](unsigned offset) { return nt.word(1, block + offset); };
    EXPECT_EQ(word(0x04), 0u); // the event is not set
    EXPECT_EQ(word(0x18), 0x5000u);
    EXPECT_EQ(word(0x1C), 0u);
    EXPECT_EQ(word(0x20), 1u); // who started it
    EXPECT_NE(word(0x24), 0u); // the thread
    EXPECT_NE(word(0x28), 0u); // the file object
    EXPECT_EQ(word(0x2C), pfn.PteAddress);
    EXPECT_EQ(word(0x30), frame);
    EXPECT_EQ(word(0x38), 0x00420028u); // MDL: size; pages locked, for a page read
    EXPECT_EQ(word(0x48), 0x3000u);
    EXPECT_EQ(word(0x50), frame);
    uint32_t second = word(0x54);
    EXPECT_EQ(nt.pfn(second).u1, block);
    nt.run("x 0 102\nr 506000 4");
    EXPECT_TRUE(nt.last.blocked);
    EXPECT_EQ(word(0x20), 2u);
    EXPECT_EQ(nt.pfn(second).ReferenceCount, 2);
    nt.ok("iodone 1");
    EXPECT_EQ(word(0x04), 1u);
    EXPECT_EQ(word(0x10), 0u);
    EXPECT_EQ(word(0x14), 0x3000u);
    EXPECT_EQ(word(0x20), 0u); // nobody: free
    EXPECT_EQ(nt.pte(1, 0x505000), frame << 12 | 0x025);
    EXPECT_EQ(nt.pte(1, 0x506000), second << 12 | 0x025);
    nt.run("x 0 101\nr 500000 4");
    EXPECT_EQ(word(0x20), 1u);
    EXPECT_EQ(word(0x18), 0u);
    EXPECT_EQ(word(0x04), 0u);
    nt.ok("iodone 2");
}
