/* A TLB entry that memory no longer grants must be reported with the table write whose flush is missing. */
#include "check_harness.h"

static const char *const START = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 20000 10000 rc rw\nw 20000 4\n";

static Outcome run(const Mistakes &mistakes, const std::string &lines) {
    Replay r;
    r.flags = CHECK_STALENESS;
    r.mistakes = mistakes;
    return r.run(START + lines);
}

TEST(Staleness, FlushedChangesAreQuiet) {
    Replay r;
    r.flags = CHECK_STALENESS | CHECK_EXPECT;
    Outcome o = r.run(std::string(START) + "prot 20000 1000 r\nr 20000 4\nw 20000 4\nexpect exc=c0000005\n"
                                           "prot 20000 1000 rw\nw 20000 4\nfree 20000 1000 d\nr 20000 4\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

TEST(Staleness, AWriteRightTakenAwayWithoutAFlush) {
    Mistakes m;
    m.no_flush_on_protect = true;
    Outcome o = run(m, "prot 20000 1000 r\nr 20000 4\nw 20000 4\n");
    /* the read at 6 used no right that is gone */
    EXPECT_TRUE(o.fails_saying({"staleness: event 7 (line 9): w 20000 4", "memory no longer grants writing",
                                "its flush is missing: event 5 stored 00101065 over 00101067 in the entry at c0000080 "
                                "(physical 00100080)"}));
}

TEST(Staleness, APageFreedWithoutAFlush) {
    Mistakes m;
    m.no_flush_on_free = true;
    Outcome o = run(m, "free 20000 1000 d\nr 20000 4\n");
    EXPECT_TRUE(o.fails_saying({"memory maps nothing there any more", "event 5 stored 00000000 over 00101067"}));
}

TEST(Staleness, AnotherFrame) {
    Replay r;
    r.flags = CHECK_STALENESS;
    r.before = [](uint64_t event, machine *m, machine *) {
        if (event == 5) { physmem_write32(machine_memory(m), 0x100080, 0x00333067); }
    };
    Outcome o = r.run(std::string(START) + "r 20000 4\n");
    EXPECT_TRUE(o.fails_saying({"the TLB gave 00101000, memory gives 00333000"}));
}

TEST(Staleness, DirtyClearedWithoutAFlush) {
    Mistakes m;
    m.no_flush_on_clear_dirty = true;
    Outcome o = run(m, "flush 20000 1000\nr 20000 4\nw 20000 4\n");
    EXPECT_TRUE(o.fails_saying({"staleness: event 7", "D was cleared"}));
    EXPECT_EQ(run(Mistakes(), "flush 20000 1000\nr 20000 4\nw 20000 4\n").verdict, CHECK_OK);
}

/* More rights than the TLB knows, and A set or cleared: nothing to report. */
TEST(Staleness, GrownRightsAndAccessedAreQuiet) {
    Replay r;
    r.flags = CHECK_STALENESS;
    r.before = [](uint64_t event, machine *m, machine *) {
        if (event == 6) { physmem_write32(machine_memory(m), 0x100084, 0x00102067); } /* was read-only */
        if (event == 7) { physmem_write32(machine_memory(m), 0x100084, 0x00102047); } /* A cleared */
    };
    Outcome o = r.run(std::string(START) + "r 21000 4\nr 21000 4\nr 21000 4\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

/* I11: an entry that no access of the trace uses any more is found in the TLB itself at the end. */
TEST(Staleness, TheWholeTlbIsLookedAtInTheEnd) {
    Mistakes m;
    m.no_flush_on_free = true;
    Outcome o = run(m, "free 20000 1000 d\n");
    EXPECT_TRUE(
        o.fails_saying({"audit I11: TLB entry dtlb_4k", "00020000 -> 00101000", "its flush is missing: event 5"}));
}

/* A walk from a PDE that the MMU has cached is as stale as a hit; so is the cached PDE itself, in the end. */
TEST(Staleness, ADirectoryEntryChangedWithoutAFlush) {
    for (bool used : {true, false}) {
        Replay r;
        r.flags = CHECK_STALENESS;
        r.preset[0].array[ARRAY_PSC_PDE] = r.preset[1].array[ARRAY_PSC_PDE] = {0, 1, 2};
        r.before = [](uint64_t event, machine *m, machine *) {
            if (event != 5) { return; }
            physmem_write32(machine_memory(m), 0x100088, 0x00444067); /* the old table's page 22000 */
            physmem_write32(machine_memory(m), 0x200080, 0x00101067); /* the new one: 20000 is where it was */
            physmem_write32(machine_memory(m), 0x200088, 0x00333067);
            physmem_write32(machine_memory(m), 0x11000, 0x00200067);
        };
        Outcome o = r.run(std::string(START) + (used ? "r 22000 4\n" : "r 20000 4\n"));
        if (used) {
            EXPECT_TRUE(o.fails_saying({"the TLB gave 00444000, memory gives 00333000",
                                        "its flush is missing: event 4 stored 00200067 over 00100067"}));
        } else {
            EXPECT_TRUE(o.fails_saying({"audit I11: TLB entry psc_pde", "00000000 -> 00100000"}));
        }
    }
}

/* A frame that stops being a table must not be watched for ever, and what is walked again must be seen again. */
TEST(Staleness, ManyStoresIntoATableFrameDoNotBlindIt) {
    Replay r;
    r.flags = CHECK_STALENESS;
    r.before = [](uint64_t event, machine *m, machine *) {
        if (event == 6) {
            for (uint32_t i = 0; i < 20000; i++) { physmem_write32(machine_memory(m), 0x100800, i << 12); }
        }
        if (event == 7) { physmem_write32(machine_memory(m), 0x100080, 0x00333067); }
    };
    Outcome o = r.run(std::string(START) + "r 20000 4\nr 20000 4\nr 20000 4\n");
    EXPECT_TRUE(o.fails_saying({"staleness: event 7", "event 6 stored 00333067 over 00101067"}));
}
