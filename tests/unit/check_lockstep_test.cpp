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

/* ---- what a record is about, and what a table entry says (NT-10) ---- */

static Mistakes &mistakes_of(machine *m) { return fake::os_of(machine_os(m))->mistakes; }

/* A kernel that clears bit 6 of an entry: the records differ in the entry's old value. */
TEST(Lockstep, EachFormOfAnEntryIsPutIntoWords) {
    const struct {
        uint32_t entry;
        const char *words;
    } cases[] = {{0, "zero"},
                 {0x00101027, "valid, frame 101, writable, user, accessed"},
                 {0x00101225, "valid, frame 101, read-only, user, accessed, copy on write"},
                 {0xFFFFF480, "prototype, looked up in the VAD, protection 4"},
                 {0x00000C04, "prototype at e1000208"}, /* offset 208 from the base: 1 << 11 and 2 << 1 */
                 {0x00404880, "transition, frame 404, protection 4"},
                 {0x00000080, "demand zero, protection 4"},
                 {0x00005082, "page file 1, slot 5, protection 4"}};
    for (const auto &c : cases) {
        Replay r;
        r.flags = CHECK_LOCKSTEP;
        r.before = [&](uint64_t event, machine *first, machine *second) {
            if (event != 5) { return; }
            physmem_write32(machine_memory(first), 0x100084, c.entry | 0x40); /* 100: page table */
            physmem_write32(machine_memory(second), 0x100084, 0x00111067);
        };
        Outcome o = r.run(std::string(START) + "w 20000 4\nflush 21000 1000\n");
        char line[200];
        snprintf(line, sizeof line, "PTE at 00100084 = %08x: %s\n", c.entry, c.words);
        EXPECT_TRUE(o.fails_saying({"tables of 00021000 on first, after the event\n", line}));
        EXPECT_EQ(o.kind, "lockstep: PTE, field b");
    }
}

struct Difference {
    const char *name, *line;
    std::function<void(machine *first, machine *second)> make; /* before event 5, which is the line */
    std::vector<std::string> says;
    const char *kind;
};

class LockstepRecord : public ::testing::TestWithParam<Difference> {};

TEST_P(LockstepRecord, IsNamedWithItsAddress) {
    const Difference &d = GetParam();
    Replay r;
    r.flags = CHECK_LOCKSTEP;
    r.before = [&](uint64_t event, machine *first, machine *second) {
        if (event == 5) { d.make(first, second); }
    };
    Outcome o = r.run(std::string(START) + "w 20000 4\n" + d.line + "\n");
    for (const std::string &text : d.says) { EXPECT_TRUE(o.fails_saying({text})); }
    EXPECT_EQ(o.kind, d.kind);
}

/* No page becomes valid, and the second kernel's next frame is another: only the working-set entry tells. */
static void other_frame(machine *first, machine *second) {
    mistakes_of(first).store_is_lost = mistakes_of(second).store_is_lost = true;
    fake::os_of(machine_os(second))->next_frame++;
}

INSTANTIATE_TEST_SUITE_P(
    Records, LockstepRecord,
    ::testing::Values(
        Difference{"flush",
                   "prot 20000 1000 r",
                   [](machine *, machine *second) { mistakes_of(second).no_flush_on_protect = true; },
                   {"  first  TLB INVLPG 00020000\n  second STATUS 00000000", "tables of 00020000 on second"},
                   "lockstep: TLB and STATUS"},
        Difference{"silence",
                   "r 20000 4",
                   [](machine *, machine *second) {
                       for (auto &subscriber : machine_log(second)->subscriber) { subscriber.mask = 0; }
                   },
                   {"  first  ACCESS r 00020000", "  second (no further record)\n", "tables of 00020000 on second"},
                   "lockstep: ACCESS and nothing"},
        Difference{"exception",
                   "r 21ffe 2",
                   [](machine *first, machine *) { mistakes_of(first).refuses = true; },
                   {"  first  EXCEPTION c0000005", "  second KERNEL ", "tables of 00021ffe on first"},
                   "lockstep: EXCEPTION and KERNEL"},
        Difference{"no_address",
                   "w 21000 4",
                   other_frame,
                   {"  first  WS entry 102: ", "  second WS entry 103: ", "tables of 00021000 on first"},
                   "lockstep: WS, field a"},
        Difference{"no_address_in_a_run",
                   "W 21 3",
                   other_frame,
                   {"  first  WS entry 102: ", "tables of 00021000 on first"},
                   "lockstep: WS, field a"}),
    [](const ::testing::TestParamInfo<Difference> &info) { return std::string(info.param.name); });

/* ---- answers of the second MMU that differ ---- */

static void (*change_answer)(const mmu_request *, mmu_result *);

static Outcome with_answers(Replay r, const std::string &lines,
                            void (*change)(const mmu_request *request, mmu_result *result)) {
    static mmu_ops other = mmu_c_ops;
    change_answer = change;
    other.translate = [](mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
        size_t done = mmu_c_ops.translate(m, requests, results, count);
        for (size_t i = 0; i < done; i++) { change_answer(&requests[i], &results[i]); }
        return done;
    };
    r.flags = CHECK_LOCKSTEP;
    r.mmu[1] = &other;
    return r.run(lines);
}

TEST(Lockstep, TheKindSaysWhichFieldDiffers) {
    const std::string lines = std::string(START) + "w 20000 4\nr 21000 4\n";
    Outcome o = with_answers({}, lines, [](const mmu_request *request, mmu_result *result) {
        if (request->va == 0x21000) { result->error_code ^= PF_WRITE; }
    });
    EXPECT_TRUE(o.fails_saying({"  first  FAULT ", "  second FAULT "}));
    EXPECT_EQ(o.kind, "lockstep: error codes 4 and 6");
    o = with_answers({}, lines, [](const mmu_request *request, mmu_result *result) {
        if (request->va == 0x20000) { result->cycles++; }
    });
    EXPECT_EQ(o.kind, "lockstep: FAULT, field c");
    o = with_answers({}, lines, [](const mmu_request *request, mmu_result *result) {
        if (request->va == 0x20000 && result->vector == MMU_VECTOR_NONE) { result->cycles++; }
    });
    EXPECT_EQ(o.kind, "lockstep: ACCESS, field d");
}

/* Both stop at the same access, each for its own reason. */
TEST(Lockstep, MachinesThatStopForTwoReasons) {
    static mmu_ops hanging = mmu_c_ops;
    hanging.translate = [](mmu *m, const mmu_request *requests, mmu_result *results, size_t count) -> size_t {
        size_t done = mmu_c_ops.translate(m, requests, results, count);
        return requests[0].va == 0x21000 ? 0 : done;
    };
    Replay r;
    r.mmu[0] = &hanging;
    Outcome o = with_answers(r, std::string(START) + "w 20000 4\nr 21000 4\n",
                             [](const mmu_request *request, mmu_result *result) {
                                 if (request->va != 0x21000) { return; }
                                 result->vector = MMU_VECTOR_GP;
                                 result->table_count = 0;
                                 result->hit = MMU_HIT_OFF;
                             });
    EXPECT_TRUE(
        o.fails_saying({"the machines differ in the event's result (first and second), message: "
                        "\"the hardware hangs: no answer to the access to 00021000\" and \"the MMU raised vector 13"}));
    EXPECT_EQ(o.kind, "lockstep: message");
}

/* ---- bare programs ---- */

static Replay bare() {
    Replay r;
    r.os = &bare_os_ops;
    return r;
}
static const char *const BARE =
    "poke 1000 2007\npoke 2004 3007\nmov cr3 1000\nmov cr0 80000001\n"; /* 1000 is at 3000 */

TEST(Lockstep, VectorsOfABareProgramThatDiffer) {
    Outcome o = with_answers(bare(), std::string(BARE) + "r 2000 4\n", [](const mmu_request *, mmu_result *result) {
        if (result->vector == MMU_VECTOR_PF) { result->vector = MMU_VECTOR_GP; }
    });
    EXPECT_TRUE(o.fails_saying({"tables of 00002000 on second"}));
    EXPECT_EQ(o.kind, "lockstep: vectors 14 and 13");
}

TEST(Lockstep, MemoryOfABareProgramThatDiffers) {
    Replay r = bare();
    r.flags = CHECK_LOCKSTEP;
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 4) { physmem_write32(machine_memory(second), 0x5004, 0xDEAD); }
    };
    Outcome o = r.run(std::string(BARE) + "r 1000 4\n");
    EXPECT_TRUE(
        o.fails_saying({"the machines' states differ (first and second), memory at 00005004, word: 0 and dead"}));
    EXPECT_EQ(o.kind, "lockstep: state, memory at ");
    r.before = [](uint64_t event, machine *, machine *second) {
        if (event == 1) { physmem_write32(machine_memory(second), 0x100, 0xDEAD); }
    };
    o = r.run("poke 100 beef\nr 100 4\n");
    EXPECT_TRUE(o.fails_saying({"= 0000beef", "= 0000dead", "paging is off\n"}));
}

TEST(Lockstep, TheNumberOfTlbEntriesThatDiffersIsNamed) {
    static mmu_ops other = mmu_c_ops;
    other.tlb_entries = [](mmu *m, mmu_tlb_entry *out, size_t max) { return mmu_c_ops.tlb_entries(m, out, max) - 1; };
    Replay r = bare();
    r.flags = CHECK_LOCKSTEP;
    r.mmu[1] = &other;
    Outcome o = r.run(std::string(BARE) + "r 1000 4\n"); /* one translation is held */
    EXPECT_TRUE(o.fails_saying({"the machines' states differ (first and second), the number of TLB entries: 1 and 0"}));
    EXPECT_EQ(o.kind, "lockstep: state, the number of TLB entries");
}

/* ---- what cannot be checked ---- */

TEST(Check, ALogWithoutRoom) {
    for (unsigned flags : {CHECK_SHADOW, CHECK_STALENESS, CHECK_AUDIT}) {
        const os_ops *os = flags == CHECK_AUDIT ? &nt_os_ops : fake::ops(); /* NT's frames are watched by any check */
        EXPECT_EQ(why_not_checked(os, flags,
                                  [](machine *m) {
                                      auto ignore = [](void *, const log_record *) {};
                                      while (log_subscribe(machine_log(m), 0, ignore, nullptr) == 0) {}
                                  }),
                  "a machine's log has no room for the checks");
    }
}

TEST(Check, AnMmuThatIsNotJudged) {
    EXPECT_EQ(why_not_checked(fake::ops(), CHECK_ARCHITECTURE),
              "the machine's MMU does not stand behind the architecture's oracle");
}

TEST(Lockstep, NeedsTwoMachines) {
    check_config config = {};
    config.flags = CHECK_LOCKSTEP;
    char err[100];
    EXPECT_EQ(check_create(&config, err, sizeof err), nullptr);
    EXPECT_STREQ(err, "lockstep needs two machines");
}
