/* Lockstep must be quiet while two machines agree and name the first record in which they do not. */
#include "check_harness.h"

static const char *const START = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 20000 10000 rc rw\n";

TEST(Lockstep, TwoEqualMachinesAgree) {
    Replay r;
    r.flags = CHECK_LOCKSTEP | CHECK_EXPECT;
    Outcome o = r.run(std::string(START) +
                      "w 20000 4\nr 20000 4\nm 21000 2\ni 22000 8\nKW 20\nW 21 5\nprot 20000 1000 r\nw 20000 4\n"
                      "expect exc=c0000005,1,20000\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

/* One way on the second machine: the third access misses there only. */
TEST(Lockstep, AHitLevelThatDiffersIsNamed) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.preset[1] = small_preset(1, 1);
    Outcome o = r.run(std::string(START) + "w 20000 4\nw 21000 4\nr 20000 4\n");
    ASSERT_EQ(o.verdict, CHECK_FAILED);
    EXPECT_TRUE(o.says("lockstep: event 6 (line 8): r 20000 4")) << o.report;
    EXPECT_TRUE(o.says("the machines differ at record")) << o.report;
    EXPECT_TRUE(o.says("  first  ACCESS r 00020000 -> 00101000")) << o.report;
    EXPECT_TRUE(o.says("  second TABLE read PDE at 00011000 = 00100067")) << o.report;
    EXPECT_TRUE(o.says("events before it")) << o.report;
    EXPECT_TRUE(o.says("alloc 20000 10000")) << o.report;
    EXPECT_TRUE(o.says("ntmmu wave T.vmt --at access:6")) << o.report;
}

/* Memory of the second machine is changed behind its back: the value loaded differs, everything else agrees. */
TEST(Lockstep, AValueThatDiffersIsNamedWithItsTables) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 6) {
            physmem_write32(machine_memory(second), 0x101000, 0xDEAD);
        } /* 100: page table, 101: the page */
    };
    Outcome o = r.run(std::string(START) + "w 20000 4 =77\nr 20000 4\nr 20000 4\n");
    ASSERT_EQ(o.verdict, CHECK_FAILED);
    EXPECT_TRUE(o.says("lockstep: event 6 (line 8): r 20000 4")) << o.report;
    EXPECT_TRUE(o.says("= 00000077")) << o.report;
    EXPECT_TRUE(o.says("= 0000dead")) << o.report;
    EXPECT_TRUE(o.says("PTE at 00100080 = 00101067: valid, frame 101, writable, user, accessed, dirty")) << o.report;
}

TEST(Lockstep, ATableEntryThatDiffersIsNamed) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 5) { physmem_write32(machine_memory(second), 0x100084, 0x00101067); } /* 21000 mapped there only */
    };
    Outcome o = r.run(std::string(START) + "w 20000 4 =77\nr 21000 4\n");
    ASSERT_EQ(o.verdict, CHECK_FAILED);
    EXPECT_TRUE(o.says("lockstep: event 5")) << o.report;
    EXPECT_TRUE(o.says("  first  TABLE read PTE at 00100084 = 00000000")) << o.report;
    EXPECT_TRUE(o.says("  second TABLE read PTE at 00100084 = 00101067")) << o.report;
}

TEST(Lockstep, NeedsTwoMachines) {
    check_config config = {};
    config.flags = CHECK_LOCKSTEP;
    char err[100];
    EXPECT_EQ(check_create(&config, err, sizeof err), nullptr);
    EXPECT_STREQ(err, "lockstep needs two machines");
}
