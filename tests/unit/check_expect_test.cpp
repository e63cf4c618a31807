/* Each key (counters, NT-97, among them) must pass on what is so and fail on what is not; words that make no sense are
 * exit 2; an outcome that nobody expects fails the run. The small kernel's pages: directory of process 1 in frame 11,
 * first page table 100, first page 101. */
#include "check_harness.h"

static const char *const START = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 20000 10000 rc rw\n";

static Outcome run(const std::string &lines, bool closed = false) {
    Replay r;
    r.flags = CHECK_EXPECT;
    r.closed = closed;
    return r.run(START + lines);
}

struct Key {
    const char *event, *right, *wrong, *found; /* found: what the failure must say */
};

class ExpectKey : public ::testing::TestWithParam<Key> {};

TEST_P(ExpectKey, PassesAndFails) {
    const Key &k = GetParam();
    Outcome right = run(std::string(k.event) + "\nexpect " + k.right + "\n");
    EXPECT_EQ(right.verdict, CHECK_OK) << k.right << "\n" << right.report;
    Outcome wrong = run(std::string(k.event) + "\nexpect " + k.wrong + "\n");
    EXPECT_EQ(wrong.verdict, CHECK_FAILED) << k.wrong << "\n" << wrong.report;
    std::string key(k.wrong, strchr(k.wrong, '=') - k.wrong);
    EXPECT_TRUE(wrong.says("expect " + key + ": expected ")) << wrong.report;
    EXPECT_TRUE(wrong.says(std::string("found ") + k.found)) << wrong.report;
    EXPECT_EQ(wrong.report.find("T.vmt:"), 0u) << wrong.report;
}

INSTANTIATE_TEST_SUITE_P(
    Keys, ExpectKey,
    ::testing::Values(
        Key{"w 20000 4", "fault=demand-zero", "fault=transition", "demand-zero"},
        Key{"w 20000 4", "fault=demand-zero", "fault=none", "demand-zero"},
        Key{"w 20ffe 4", "fault=demand-zero,demand-zero", "fault=demand-zero", "demand-zero,demand-zero"},
        Key{"w 20000 4\nr 20000 4", "fault=none", "fault=demand-zero", "none"},
        Key{"w 4000 4", "fault=av", "fault=av,av", "av"}, Key{"w 20000 4", "status=111", "status=110", "111"},
        Key{"w 20ffe 4", "status=111,111", "status=111", "111,111"},
        Key{"w 20000 4\nr 20000 4", "status=none", "status=111", "none"},
        Key{"lock 20000 1000", "status=c00000a1", "status=c00000a2", "c00000a1"},
        Key{"alloc 30000 1000 rc rw", "status=0 out=30000,1000", "out=30000,2000", "30000,1000"},
        Key{"w 4000 4", "exc=c0000005,1,4000", "exc=c0000005,0", "c0000005,1,4000,0"},
        Key{"r 4000 4", "exc=c0000005", "exc=none", "c0000005,0,4000,0"},
        Key{"r 7f000000 4", "bugcheck=50,7f000000,*,2", "bugcheck=50,7f000001", "50,7f000000,1,2,3"},
        Key{"time +5", "bugcheck=4e", "bugcheck=50", "4e,7,8,9,a"}, Key{"w 20ffe 4", "callbacks=2", "callbacks=1", "2"},
        Key{"w 20000 4 =77", "data=77", "data=78", "77"}, Key{"w 20000 4 =77", "data=7/F", "data=6/F", "77"},
        Key{"r 20000 4", "tlb=walk", "tlb=hit", "walk"}, Key{"r 20000 4\nr 20000 4", "tlb=hit", "tlb=walk", "hit"},
        Key{"w 20000 4", "pte.20000=101067", "pte.20000=101027", "00101067"},
        Key{"w 20000 4", "pte.1:20000=101067", "pte.2:20000=101067", "00000000"},
        Key{"w 20000 4", "pde.20000=100067", "pde.20000=0", "00100067"},
        Key{"w 20000 4", "pte.20000=@F|067 cr3=11000", "pte.20000=@F|027", "00101067"},
        Key{"w 20000 4 =aa", "mem.20000=aa", "mem.20000=ab", "aa"},
        Key{"w 20000 4 =aa", "mem2.20000=aa mem.1:20000=aa", "mem.2:20000=aa", "nothing mapped there"},
        Key{"w 20000 4 =aa", "phys.101000=aa", "phys.101000=0", "aa"},
        Key{"undrain 1", "tlbops=INVLPG:20000,CR3:11,FLUSHALL", "tlbops=INVLPG:20000,CR3:11",
            "INVLPG:20000,CR3:11,FLUSHALL"},
        Key{"drain 1", "tlbops=none", "tlbops=FLUSHALL", "none"},
        Key{"undrain 1", "io=READ:3000:1:200", "io=READ:3000:1:201", "READ@file:3000:1:200"},
        Key{"undrain 1", "io=READ", "io=none", "READ@file:3000:1:200"}, Key{"drain 1", "io=none", "io=WRITE", "none"},
        Key{"undrain 1", "signal=available-pages", "signal=zeroing-page", "available-pages"},
        Key{"drain 1", "signal=none", "signal=available-pages", "none"},
        Key{"w 20000 4", "count.stores=1", "count.stores=2", "1"},
        Key{"w 20000 4\nw 21000 4", "delta.page_faults=1", "delta.page_faults=2", "1"},
        Key{"w 20000 4", "count.frames_taken=2", "count.frames_taken=1", "2"}, Key{"irql 0 2", "irql=2", "irql=0", "2"},
        Key{"drain 1", "pid=1 tid=101", "tid=102", "101"}, Key{"drain 1", "pid=1", "pid=0", "1"},
        Key{"poke 201818 601", "pfn.101=u1:601,share:0", "pfn.101=u1:600",
            "flags:0000,share:0,ref:0,pte:00000000,u1:601"}));

TEST(Expect, BindingsLast) {
    Outcome o = run("w 20000 4\nexpect pte.20000=@A|067\nw 21000 4\nexpect pte.21000=@B|067 pte.20000=@A|067\nexpect "
                    "pfn.@B=cont:*\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
    o = run("w 20000 4\nexpect pte.20000=@A|067\nw 21000 4\nexpect pte.21000=@A|067\n");
    EXPECT_TRUE(o.fails_saying({"T.vmt:9: expect pte.21000: expected @A|067, found 00102067"}));
}

TEST(Expect, WhatMakesNoSense) {
    const char *const bad[] = {"colour=red",  "fault=wrong",   "status=xyz",           "callbacks=a",  "tlb=maybe",
                               "pte.zz=1",    "pte.9:20000=1", "pfn.101=size:1",       "pfn.@Q=ref:1", "tlbops=NOP",
                               "io=SEEK",     "signal=x",      "count.nothing=1",      "data=",        "data",
                               "mem.20001=1", "pte.20000=12x", "bugcheck=1,2,3,4,5,6", "list.free=1",  "irql=wxyz"};
    for (const char *word : bad) {
        Outcome o = run(std::string("drain 1\nexpect ") + word + "\n");
        EXPECT_EQ(o.verdict, CHECK_CANNOT) << word << "\n" << o.report;
        EXPECT_TRUE(o.says(std::string("T.vmt:7: found '") + word + "', expected ")) << o.report;
    }
}

/* What was before an event is known only in traces with expect lines. */
TEST(Expect, NoChangeIsCountedBehindManyEventsWithoutALine) {
    std::string many; /* with START's, 4096 events before the last */
    for (unsigned i = 0; i < 4093; i++) { many += "irql 0 0\n"; }
    EXPECT_EQ(run(many.substr(strlen("irql 0 0\n")) + "expect delta.page_faults=0\n").verdict, CHECK_OK);
    Outcome o = run(many + "expect delta.page_faults=0\n");
    EXPECT_EQ(o.verdict, CHECK_CANNOT);
    EXPECT_TRUE(o.says("expected an expect line in the 4096 events before the one a delta is counted for")) << o.report;
    o = run(many + "expect count.page_faults=0\nirql 0 0\nexpect delta.page_faults=0\n"); /* a line takes it up again */
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

TEST(Expect, BeforeTheFirstEvent) {
    Replay r;
    r.flags = CHECK_EXPECT;
    EXPECT_EQ(r.run("expect fault=none\n").verdict, CHECK_CANNOT);
}

/* ---- outcomes nobody expects ---- */

TEST(Outcome, ExceptionStatusBugcheckPanic) {
    Outcome o = run("r 4000 4\n");
    EXPECT_TRUE(o.fails_saying({"event 4 (line 6): r 4000 4", "c0000005 STATUS_ACCESS_VIOLATION"}));
    o = run("lock 20000 1000\ndrain 1\n");
    EXPECT_TRUE(o.fails_saying({"c00000a1 STATUS_WORKING_SET_QUOTA"}));
    o = run("time +5\n");
    EXPECT_TRUE(o.fails_saying({"4e PFN_LIST_CORRUPT (00000007, 00000008, 00000009, 0000000a)"}));
    o = run("unlock 20000 1000\n");
    EXPECT_EQ(o.verdict, CHECK_CANNOT);
    EXPECT_TRUE(o.says("not in this version")) << o.report;
    EXPECT_EQ(run("time +5\nexpect bugcheck=4e\n").verdict, CHECK_OK);
    EXPECT_EQ(run("time +5\nexpect bugcheck=4e\ndrain 1\n").verdict, CHECK_FAILED); /* nothing can follow */
    EXPECT_EQ(run("r 4000 4\nexpect callbacks=1\n").verdict, CHECK_FAILED); /* a line, but not about the exception */
}

/* A kernel that never makes the page valid. */
TEST(Outcome, Livelock) {
    Replay forever;
    forever.flags = CHECK_EXPECT;
    forever.mistakes.store_is_lost = true;
    Outcome o = forever.run(std::string(START) + "r 20000 4\nexpect callbacks=16\n");
    EXPECT_TRUE(o.fails_saying({"livelock"}));
}

/* ---- !closed: what can be observed is complete, NT-01 ---- */

TEST(Closed, EveryRecordMustBeNamed) {
    EXPECT_EQ(run("w 20000 4\n", true).verdict, CHECK_OK); /* no expect line: set-up */
    Outcome o = run("w 20000 4\nexpect fault=demand-zero\n", true);
    EXPECT_TRUE(o.fails_saying({"a record that no expect line names (!closed)", "PTE"}));
    o = run("w 20000 4\nexpect pte.20000=@F|067\n", true);
    EXPECT_TRUE(o.fails_saying({"WS"}));
    EXPECT_EQ(run("w 20000 4\nexpect pte.20000=@F|067\nexpect wsle.101=*\n", true).verdict, CHECK_OK);
    EXPECT_EQ(run("w 20000 4\nexpect mem.c0000080=@F|067 wsle.101=*\n", true).verdict, CHECK_OK);
    EXPECT_EQ(run("w 20000 4\nexpect pte.21000=0 wsle.101=*\n", true).verdict, CHECK_FAILED);
}

TEST(Closed, TlbIoListPfnCommit) {
    Outcome o = run("undrain 1\nexpect tlbops=INVLPG:20000,CR3:11,FLUSHALL io=READ pfn.123=ref:*\n", true);
    EXPECT_TRUE(o.fails_saying({"LIST"}));
    EXPECT_TRUE(run("undrain 1\nexpect io=READ\n", true).says("TLB"));
    EXPECT_TRUE(run("undrain 1\nexpect tlbops=INVLPG:20000,CR3:11,FLUSHALL\n", true).says("IO"));
    EXPECT_TRUE(run("alloc 30000 1000 rc rw\nexpect status=0\n", true).says("COMMIT"));
}

/* ---- keys about the NT kernel, with the values of NT-73, NT-38, NT-77 and NT-95 for a first touch ---- */

static const char *const NT_START = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 410000 3000 rc rw\n";

static Outcome run_nt(const std::string &lines, bool closed = false) {
    Replay r;
    r.flags = CHECK_EXPECT;
    r.os = &nt_os_ops;
    r.os_options.manual_threads = true;
    r.closed = closed;
    return r.run(NT_START + lines);
}

TEST(ExpectNt, WhatMakesNoSense) {
    const char *const bad[] = {"list.free.middle=1", "ws.9:size=1",         "ws.nothing=1",   "wsle.9:1=0",
                               "wsle.xyz=0",         "pgf.x=free:1",        "sysptes.free=1", "sysptes.nothing.0=1",
                               "sysptes.free.2=1",   "eprocess.9:170=0",    "eprocess.xyz=0", "vadflags.9:410000=0",
                               "vadflags.xyz=0",     "area.1=nothing:0",    "area.1=views",   "area.1=views:xyz",
                               "area.x=views:0",     "stack_limit.x=30000", "commit=x",       "vad=410000"};
    for (const char *word : bad) {
        Outcome o = run_nt(std::string("sec+ 1 page 4000 \"\"\nexpect ") + word + "\n");
        EXPECT_EQ(o.verdict, CHECK_CANNOT) << word << "\n" << o.report;
        EXPECT_TRUE(o.says(std::string("T.vmt:7: found '") + word + "', expected ")) << o.report;
    }
}

TEST(ExpectNt, NoChangeOfCommitIsCountedBehindManyEventsWithoutALine) {
    std::string many;
    for (unsigned i = 0; i < 4096; i++) { many += "irql 0 0\n"; }
    Outcome o = run_nt(many + "expect commit=+0\n");
    EXPECT_EQ(o.verdict, CHECK_CANNOT);
    EXPECT_TRUE(o.says("expected an expect line in the 4096 events before the one a change is counted for"))
        << o.report;
}

/* NT-43: the disk answers an access that waits with an error, and its thread's event ends so when the next one runs. */
TEST(Outcome, OfAnEventThatWasHeldBack) {
    const std::string lines = "sec+ 1 data 3000 \"f\"\nio manual\ncall ZwReadFile 1 0 1000 410000\niodone 1 c0000185\n";
    Outcome o = run_nt(lines);
    EXPECT_TRUE(
        o.fails_saying({"event 7 (line 9): iodone 1 c0000185",
                        "an event that had been held back behind a waiting thread failed, and no expect line says",
                        "  event 6\n", "  status c0000185"}));
    EXPECT_EQ(run_nt(lines + "expect late=c0000185\n").verdict, CHECK_OK);
}

class ExpectNtKey : public ::testing::TestWithParam<Key> {};

TEST_P(ExpectNtKey, PassesAndFails) {
    const Key &k = GetParam();
    Outcome right = run_nt(std::string(k.event) + "\nexpect " + k.right + "\n");
    EXPECT_EQ(right.verdict, CHECK_OK) << k.right << "\n" << right.report;
    Outcome wrong = run_nt(std::string(k.event) + "\nexpect " + k.wrong + "\n");
    EXPECT_EQ(wrong.verdict, CHECK_FAILED) << k.wrong << "\n" << wrong.report;
    std::string key(k.wrong, strchr(k.wrong, '=') - k.wrong);
    EXPECT_TRUE(wrong.says("expect " + key + ": expected ")) << wrong.report;
    EXPECT_TRUE(wrong.says(std::string("found ") + k.found)) << wrong.report;
}

INSTANTIATE_TEST_SUITE_P(
    Keys, ExpectNtKey,
    ::testing::Values(
        Key{"r 410000 4", "pfn.404=flags:0601,share:1,ref:1,pte:c0001040,u1:4,orig:80,cont:403", "pfn.404=share:2",
            "flags:0601,share:1,ref:1,pte:c0001040,u1:4,orig:00000080,cont:403"},
        Key{"r 410000 4", "pte.410000=@F|067 pfn.@F=pte:c0001040 pfn.403=cont:400", "pfn.404=cont:400", "flags"},
        Key{"r 410000 4", "wsle.3=c0001401 wsle.4=410401", "wsle.4=411401", "00410401"},
        Key{"r 410000 4", "wsle.1:4=410401", "wsle.1:0=0", "c0300403"},
        Key{"r 410000 4", "ws.size=5", "ws.size=4", "5"},
        Key{"r 410000 4", "ws.faults=2 ws.peak=5", "ws.1:faults=1", "2"},
        Key{"r 410000 4", "ws.first_dynamic=3 ws.next_slot=3 ws.last=4 ws.items=25b", "ws.first_free=4", "5"},
        Key{"r 410000 4", "ws.used.1=1 mem2.c0502032=1", "ws.used.1=2", "1"},
        Key{"r 410000 4", "ws.pde_faults.1=1", "ws.pde_faults.1=0", "1"},
        Key{"r 410000 4", "list.free.first=405", "list.free.first=404", "405"},
        Key{"r 410000 4", "list.free.head=405,406,@N", "list.free.head=405,407", "405,406"},
        Key{"r 410000 4\nfree 410000 0 r", "list.free.tail=404,403", "list.free.tail=403,404", "404,403"},
        Key{"r 410000 4\nfree 410000 0 r", "list.free.last=403", "list.free.last=404", "403"},
        Key{"r 410000 4", "list.modified=0 list.modified.head=none", "list.modified=1", "0"},
        Key{"drain 37", "available=37 list.free=37", "available=36", "37"},
        Key{"drain 37", "list.free=37", "list.standby=37", "0"},
        Key{"alloc 500000 2000 rc rw", "vad=1:410000-412fff,500000-501fff", "vad=1:410000-412fff",
            "1:410000-412fff,500000-501fff"},
        Key{"free 410000 0 r", "vad=1:none", "vad=1:410000-412fff", "1:none"},
        Key{"alloc 800000 2000 rc rw", "commit=+3", "commit=+2", "+3"}, /* two pages and a page table */
        Key{"free 410000 0 r", "commit=-4", "commit=+4", "-4"}, Key{"r 410000 4", "commit=+0", "commit=+1", "+0"},
        Key{"pagefile 100000 200000", "pgf.0=min:100,limit:200,free:ff,used:0,max:0,hint:0,number:0 pgf.0.bit.0=1",
            "pgf.0=free:fe", "min:100,limit:200,free:ff,used:0,max:0,hint:0,entry0:61,entry1:61"},
        Key{"pagefile 100000 200000", "pgf.0.bit.1=0", "pgf.0.bit.0=0", "1"},
        Key{"pagefile 100000 200000", "pgf.0=entry0:61", "pgf.1=free:1", "no paging file of that number"},
        Key{"pagefile 100000 200000\nr 410000 4\nw 410000 4\ntrim 1 all force\nrun mpw", "io=WRITE@0:1000:1:404",
            "io=WRITE@1:1000", "WRITE@0:1000:1:404"},
        Key{"sec+ 1 data 3000 \"f\"\nmap 1 500000 3000 0 r\nr 501004 4", "fault=file io=READ:1000:2:@F",
            "fault=demand-zero", "file"},
        Key{"alloc 430000 1000 rc rw+g\nr 430000 4", "fault=guard exc=80000001,0,430000", "fault=av", "guard"},
        Key{"sec+ 1 data 3000 \"f\"\nmap 1 500000 3000 0 r\ninject read-error\nr 500000 4",
            "fault=exception exc=c0000006", "fault=guard", "exception"},
        Key{"sec+ 1 image 3000 \"f\"", "area.1=segment:0", "segment.1=base:0", "nothing mapped at 00000000"}));

TEST(ClosedNt, AWholeFirstTouch) {
    const std::string all = "expect pte.410000=404067 pde.410000=403067 mem.c0300004=403067 pfn.400=share:3 "
                            "pfn.403=share:2 pfn.404=share:1\n"
                            "expect list.free.first=405 wsle.3=c0001401 wsle.4=410401\n";
    Outcome o = run_nt("r 410000 4\n" + all, true);
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}
