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
    EXPECT_TRUE(
        o.fails_saying({"lockstep: event 6 (line 8): r 20000 4", "the machines differ at record",
                        "  first  ACCESS r 00020000 -> 00101000", "  second TABLE read PDE at 00011000 = 00100067",
                        "events before it", "alloc 20000 10000", "to see it: ntmmu wave T.vmt --at access:6"}));
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
    EXPECT_TRUE(o.fails_saying({"lockstep: event 6 (line 8): r 20000 4", "= 00000077", "= 0000dead",
                                "PTE at 00100080 = 00101067: valid, frame 101, writable, user, accessed, dirty"}));
}

TEST(Lockstep, ATableEntryThatDiffersIsNamed) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 5) { physmem_write32(machine_memory(second), 0x100084, 0x00101067); } /* 21000 mapped there only */
    };
    Outcome o = r.run(std::string(START) + "w 20000 4 =77\nr 21000 4\n");
    EXPECT_TRUE(o.fails_saying({"lockstep: event 5", "  first  TABLE read PTE at 00100084 = 00000000",
                                "  second TABLE read PTE at 00100084 = 00101067"}));
}

/* The kernel's own access hits on the first machine only: it is named, with its address. */
TEST(Lockstep, AnAccessOfTheKernelThatDiffersIsNamed) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 5) { /* the fault handler reads the directory through the direct map */
            machine_mmu_ops(second)->invlpg(machine_mmu(second), 0x80000000);
        }
    };
    Outcome o = r.run(std::string(START) + "w 20000 4\nw 21000 4\n");
    EXPECT_TRUE(o.fails_saying({"lockstep: event 5 (line 7): w 21000 4",
                                "  first  KERNEL r 80011000 -> 00011000 (kernel, TLB hit, 1 cycle, large page)",
                                "  second TABLE read PDE at 00011800 = ", ", for 80011000\n",
                                "tables of 80011000 on first", "tables of 80011000 on second"}));
}

/* No record tells of a cycle in which nothing was accessed. */
TEST(Lockstep, CyclesThatDifferAreNamed) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 5) { machine_mmu_ops(second)->invlpg(machine_mmu(second), 0x70000000); }
    };
    Outcome o = r.run(std::string(START) + "w 20000 4\nr 20000 4\n");
    EXPECT_TRUE(o.fails_saying(
        {"lockstep: event 5 (line 7): r 20000 4", "cycles: ", "to see it: ntmmu wave T.vmt --at access:5"}));
}

TEST(Lockstep, TheMachinesAreComparedAfterTheLastEvent) {
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.after = [](uint64_t event, machine *first) {
        if (event == 4) { machine_mmu_ops(first)->invlpg(machine_mmu(first), 0x70000000); }
    };
    Outcome o = r.run(std::string(START) + "w 20000 4\n");
    EXPECT_TRUE(o.fails_saying({"lockstep: after the last event of the trace"}));
    EXPECT_FALSE(o.says("to see it")) << o.report;
}

TEST(Lockstep, StatisticsThatDifferAreNamed) {
    static mmu_ops miscounting = mmu_c_ops;
    miscounting.statistics = [](const mmu *m, mmu_statistics *out) {
        mmu_c_ops.statistics(m, out);
        out->table_reads += out->table_reads / 2; /* those of boot are subtracted, the others stay wrong */
    };
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.mmu[1] = &miscounting;
    Outcome o = r.run(std::string(START) + "w 20000 4\nw 21000 4\n");
    EXPECT_TRUE(o.fails_saying({"the MMUs' statistics differ (first and second), table reads: "}));
}

/* Nothing has shown it yet: the entry will be hit later, or never. */
TEST(Lockstep, ATlbEntryThatDiffersIsNamed) {
    static mmu_ops other = mmu_c_ops;
    other.tlb_entries = [](mmu *m, mmu_tlb_entry *out, size_t max) {
        size_t count = mmu_c_ops.tlb_entries(m, out, max);
        for (size_t i = 0; i < count && i < max; i++) { out[i].dirty = out[i].dirty && out[i].va != 0x20000; }
        return count;
    };
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.mmu[1] = &other;
    Outcome o = r.run(std::string(START) + "w 21000 4\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
    o = r.run(std::string(START) + "w 20000 4\n");
    EXPECT_TRUE(o.fails_saying(
        {"the machines' states differ (first and second), a TLB entry, dirty: 1 and 0 (", " 00020000)"}));
}

TEST(Lockstep, AControlRegisterThatDiffersIsNamed) {
    static mmu_ops other = mmu_c_ops;
    other.read_control = [](const mmu *m, enum mmu_control which) {
        return mmu_c_ops.read_control(m, which) ^ (which == MMU_PAT ? 1 : 0);
    };
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.mmu[1] = &other;
    Outcome o = r.run(std::string(START) + "w 20000 4\n");
    EXPECT_TRUE(
        o.fails_saying({"the machines' states differ (first and second), PAT: 7040600070406 and 7040600070407"}));
}

/* The second machine's hardware answers nothing from its hundredth access on. */
TEST(Lockstep, HardwareThatHangsIsNamed) {
    static unsigned accesses;
    static mmu_ops hanging = mmu_c_ops;
    accesses = 0;
    hanging.translate = [](mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
        return ++accesses < 100 ? mmu_c_ops.translate(m, requests, results, count) : 0;
    };
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.mmu[1] = &hanging;
    std::string lines = START;
    for (int i = 0; i < 100; i++) { lines += "w 20000 4\n"; }
    Outcome o = r.run(lines);
    EXPECT_TRUE(o.fails_saying(
        {"  first  ACCESS w 00020000", "  second (stopped: the hardware hangs: no answer to the access to 00020000)"}));
}

TEST(Lockstep, NeedsTwoMachines) {
    check_config config = {};
    config.flags = CHECK_LOCKSTEP;
    char err[100];
    EXPECT_EQ(check_create(&config, err, sizeof err), nullptr);
    EXPECT_STREQ(err, "lockstep needs two machines");
}
