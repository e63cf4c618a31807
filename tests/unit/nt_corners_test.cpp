// Ways through the memory manager that take long preparation: lists of working sets that grow in odd places, pages of
// processes that are out of memory, entries that went to a paging file before somebody deletes them.
#include "nt_harness.h"

extern "C" {
#include "check/audit.h"
#include "ntmmu/nt_call.h"
}

namespace {

class NtCorners : public ::testing::Test, public NtMachine {
  protected:
    audit *invariants = nullptr;
    NtCorners() : NtMachine(manual()) {}
    explicit NtCorners(const os_config &config) : NtMachine(config) {}
    void SetUp() override {
        ASSERT_NE(m, nullptr) << error;
        invariants = audit_create(m);
        ok("pagefile 400000 400000\nproc+ 1 0 \"p1\"\nthr+ 101 1\nx 0 101");
    }
    void TearDown() override { consistent(), audit_destroy(invariants); }
    void consistent() {
        struct report report = {};
        EXPECT_TRUE(last.stop != MACHINE_RUNS || audit_run(invariants, &report)) << report.text;
    }
    static std::string hex(uint64_t value) {
        char text[24];
        snprintf(text, sizeof text, "%llx", (unsigned long long)value);
        return text;
    }
    std::string each(const char *what, va_t first, unsigned pages) {
        std::string lines;
        for (unsigned i = 0; i < pages; i++) { lines += what + (" " + hex(first + i * 0x1000)) + " 4\n"; }
        return lines;
    }
    uint32_t service(const std::string &line) {
        run(line);
        EXPECT_FALSE(last.blocked) << line;
        return last.service_status;
    }
    uint32_t exception_of(const std::string &line) {
        run(line);
        return last.exception ? last.exception_code : 0;
    }
    uint32_t data(const std::string &line) {
        ok(line);
        return uint32_t(last.data);
    }
    // Everything that is dirty is written, and every frame that remembers a page is taken from it.
    void into_the_paging_file() { ok("run mpw\nrun apc\nrun mpw\nrun apc\ndrain 0\nundrain 4000"); }
    uint32_t slots_used() {
        std::vector<va_t> files;
        nt_view_paging_files(
            machine_os(m),
            [](void *ctx, const nt_paging_file_view *file) {
                static_cast<std::vector<va_t> *>(ctx)->push_back(file->address);
                return true;
            },
            &files);
        uint32_t used = 0;
        for (va_t file : files) { used += word(0, file + 0x10); }
        return used;
    }
};

// NT-70, NT-76: the tables of a process that is out of memory come back from the paging file.
TEST_F(NtCorners, SwappedTablesAreRead) {
    ok("proc+ 2 0 \"p2\"\nthr+ 201 2");
    EXPECT_EQ(service("call KeOutswapProcess 2"), 0u);
    into_the_paging_file();
    run("x 0 201");
    EXPECT_TRUE(last.blocked);
    ok("run swap");
    EXPECT_EQ(process(2).pid, 2u);
    ok("x 0 201\nalloc 410000 2000 rc rw\nw 410000 4 =1234");
    EXPECT_EQ(data("r 410000 4"), 0x1234u);
}

TEST_F(NtCorners, SwappedTablesAreReadWhileOthersRun) { // a system thread waits and goes on
    ok("proc+ 2 0 \"p2\"\nthr+ 201 2");
    EXPECT_EQ(service("call KeOutswapProcess 2"), 0u);
    into_the_paging_file();
    run("thr+ 102 1\nx 0 201\nx 0 102\nio manual\nrun swap");
    ok("alloc 500000 1000 rc rw\nw 500000 4 =7");
    run("io auto\niodone 3");
    for (unsigned id = 1; id < 12; id++) { run("time +1\niodone " + std::to_string(id)); }
    ok("run swap\nx 0 201\nalloc 410000 2000 rc rw\nw 410000 4 =1234");
    EXPECT_EQ(data("r 410000 4"), 0x1234u);
}

TEST_F(NtCorners, SwappedTablesCannotBeRead) { // 7A
    ok("proc+ 2 0 \"p2\"\nthr+ 201 2");
    EXPECT_EQ(service("call KeOutswapProcess 2"), 0u);
    into_the_paging_file();
    run("x 0 201\ninject read-error\nrun swap");
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0x7Au);
}

// NT-84: freed pages of paged pool give back frames and slots wherever they are.
TEST_F(NtCorners, PagedPoolPagesOutOfMemory) {
    run("pool paged 4000");
    uint64_t va = last.service_out[0];
    ok("kw " + hex(va) + " 4\nkw " + hex(va + 0x1000) + " 4\ntrim 0 all force");
    into_the_paging_file();
    uint32_t slots = slots_used();
    ok("kw " + hex(va + 0x2000) + " 4\ntrim 0 all force");
    EXPECT_EQ(word(0, 0xC0000000 + (va >> 12) * 4) & 0xC01, 0u); // page file
    ok("poolfree " + hex(va));
    EXPECT_EQ(slots_used(), slots - 2);
    for (unsigned i = 0; i < 3; i++) { EXPECT_EQ(word(0, 0xC0000000 + (va >> 12) * 4 + 4 * i), 0x80u); }
}

// NT-85, NT-92: the same of a driver's section PAGE and of a kernel stack.
TEST_F(NtCorners, DriverAndStackOutOfMemory) {
    run("drv+ 1 \"/d\" 1000 2000 1000");
    uint64_t base = last.service_out[0];
    ok("call MmCreateKernelStack 65 0\ncall MmOutPageKernelStack 65\ntrim 0 all force");
    (void)base;
    into_the_paging_file();
    EXPECT_GT(slots_used(), 0u);
    ok("drv- 1\ncall MmDeleteKernelStack 65");
    EXPECT_EQ(slots_used(), 0u);
}

TEST_F(NtCorners, DriverSectionLocked) { // the audit asks who holds the references
    run("drv+ 1 \"/d\" 1000 2000 1000");
    uint64_t page = last.service_out[0] + 0x1000;
    run("call MmLockPagableDataSection " + hex(page));
    consistent();
    ok("call MmUnlockPagableImageSection " + hex(page));
}

// NT-67: prototypes whose pages are in the paging file when their section goes.
TEST_F(NtCorners, SectionInThePagingFile) {
    ok("sec+ 1 page 4000 \"\"\nmap 1 500000 4000 0 rw share\n" + each("w", 0x500000, 4) + "trim 1 all force");
    into_the_paging_file();
    EXPECT_EQ(slots_used(), 4u);
    ok("unmap 500000\nsec- 1\nrun deref");
    EXPECT_EQ(slots_used(), 0u);
}

// NT-32, NT-38: a hash that could not be made when entry 181 was used is made later; its page gets the first dynamic
// place, free or not.
TEST_F(NtCorners, HashTakesAPlaceFromTheFreeChain) {
    ok("sec+ 1 page 190000 \"\"\nmap 1 1000000 190000 0 rw share\n" + each("w", 0x1000000, 0x190));
    ok("proc+ 2 0 \"p2\" 800 900\nthr+ 201 2\nx 0 201\nalloc 410000 2000 rc rw\nw 410000 4\nw 411000 4\n"
       "map 1 1000000 190000 0 rw share\n" +
       each("r", 0x1000000, 0x170) + "drain 0\n" + each("r", 0x1170000, 0x18));
    EXPECT_EQ(word(2, 0xC0502690 + 4 * 3) >> 12, 0xC0001u);
    EXPECT_EQ(word(2, 0xC0502024), 0u);
    ok("free 410000 0 r\nundrain 400\nprot 1000000 1000 na\nprot 1001000 1000 na"); // 3: in the middle of the chain
    EXPECT_EQ(word(2, 0xC0502690 + 4 * 3) & 1, 0u);
    ok("r 1188000 4");
    EXPECT_EQ(word(2, 0xC0502690 + 4 * 3) >> 12, 0xC06F3u);
    consistent();
    ok("unmap 1000000"); // each entry is found in the hash
    EXPECT_EQ(word(2, 0xC06F3100), 0u);
}

// NT-34: below its quota a working set may grow, but without a frame its list cannot.
TEST_F(NtCorners, ListCannotGrow) {
    ok("sec+ 1 page 300000 \"\"\nmap 1 1000000 300000 0 rw share\n" + each("w", 0x1000000, 0x2FF));
    ok("proc+ 2 0 \"p2\" 800 900\nthr+ 201 2\nx 0 201\nmap 1 1000000 300000 0 rw share\n" +
       each("r", 0x1000000, 0x25C - 7));
    auto full = [this] { return word(2, 0xC0502004) == 0xFFFFFFF || word(2, 0xC0502004) >= 0xFFFFF; };
    va_t next = 0x1000000 + (0x25C - 7) * 0x1000;
    while (!full() && next < 0x12FF000) {
        ok("r " + hex(next) + " 4");
        next += 0x1000;
    }
    ok("drain 0\nr " + hex(next) + " 4");
    EXPECT_EQ(pte(2, next) & 1, 1u);
    ok("undrain 100");
}

// NT-37, NT-74: a page table that an access made and nothing used, trimmed before its process ends.
TEST_F(NtCorners, UnusedPageTableInTransition) {
    ok("sec+ 1 data 1000 \"/f\"\nmap 1 500000 1000 0 r\ninject read-error");
    run("r 500000 4");
    EXPECT_TRUE(last.exception);
    ok("trim 1 all force");
    EXPECT_EQ(pde(1, 0x500000) & 1, 0u);
    ok("unmap 500000");
    consistent();
    ok("proc- 1");
}

// NT-77: commit over committed memory without a page table; reset of a page on the Modified list; decommit of a
// reservation that nobody touched; NT-78: the first part of a region.
TEST_F(NtCorners, RegionsWithoutPageTables) {
    ok("alloc 10000000 800000 rc rw\nalloc 10000000 800000 c rw\nalloc 10000000 1000 c r");
    EXPECT_EQ(exception_of("w 10000000 4"), uint32_t(STATUS_ACCESS_VIOLATION));
    ok("alloc 20000000 800000 r rw\nfree 20000000 800000 d\nalloc 20000000 1000 c rw\nfree 20000000 800000 d");
    ok("free 20000000 10000 r");
    EXPECT_EQ(service("alloc 20000000 1000 c rw"), uint32_t(STATUS_CONFLICTING_ADDRESSES));
    ok("alloc 20010000 1000 c rw\nw 20010000 4 =5\ntrim 1 all force");
    EXPECT_EQ(view().list[ModifiedPageList].count, 2u); // and the page table
    ok("alloc 20010000 1000 x rw");
    EXPECT_EQ(view().list[StandbyPageList].count, 1u);
}

// NT-79 in views: an entry that only has a protection gets another; a trimmed one loses its pointer.
TEST_F(NtCorners, ProtectionsWithinAView) {
    ok("sec+ 1 data 4000 \"/f\"\nmap 1 500000 4000 0 rw share\nprot 500000 1000 r\nprot 500000 1000 rw\nw 500000 4 =9");
    ok("w 501000 4 =8\ntrim 1 all force\nprot 501000 1000 r");
    EXPECT_EQ(exception_of("w 501000 4"), uint32_t(STATUS_ACCESS_VIOLATION));
    EXPECT_EQ(data("r 501000 4"), 8u);
    run("call NtProtectVirtualMemory ffffffff 502345 10 2");
    EXPECT_EQ(last.service_out[0], 4u);
    EXPECT_EQ(last.service_out[1], 0x502000u);
}

// NT-51 after NT-73: the guard of an inherited page is the child's own.
TEST_F(NtCorners, GuardIsInherited) {
    ok("alloc 410000 1000 rc rw\nw 410000 4 =3\nprot 410000 1000 rw+g\nfork 2 1 201\nx 0 201");
    EXPECT_EQ(exception_of("r 410000 4"), uint32_t(STATUS_GUARD_PAGE_VIOLATION));
    EXPECT_EQ(data("r 410000 4"), 3u);
    ok("x 0 101");
    EXPECT_EQ(exception_of("r 410000 4"), uint32_t(STATUS_GUARD_PAGE_VIOLATION));
    EXPECT_EQ(data("r 410000 4"), 3u);
}

// NT-66: what a section's protection allows; commit of a reserved section's view; views in another process.
TEST_F(NtCorners, ViewsByName) {
    ok("proc+ 2 0 \"p2\"\nthr+ 201 2");
    EXPECT_EQ(service("call NtCreateSection 1 20000 10 8000000 0"), 0u); // execute only
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 500000 0 0 0 0 1 0 2"), uint32_t(STATUS_SECTION_PROTECTION));
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 500000 0 0 0 0 1 0 10"), 0u);
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 600000 0 0 0 0 1 0 1"), 0u); // no access: of anything
    EXPECT_EQ(service("call NtCreateSection 2 20000 4 4000000 0"), 0u);
    uint64_t committed = view().total_committed;
    EXPECT_EQ(service("call NtMapViewOfSection 2 2 500000 0 3000 0 0 1 0 4"), 0u);
    EXPECT_EQ(view().total_committed, committed + 3 + 1); // and a page table
    ok("x 0 201\nw 502000 4");
    EXPECT_EQ(exception_of("w 503000 4"), uint32_t(STATUS_ACCESS_VIOLATION));
    ok("sec+ 3 data 10000 \"/f\"\ninject commit-limit");
    EXPECT_EQ(service("map 3 700000 10000 0 rw"), uint32_t(STATUS_COMMITMENT_LIMIT));
    EXPECT_EQ(service("map 3 700000 10000 0 image"), uint32_t(STATUS_SECTION_PROTECTION));
}

// NT-68: of two children the highest below takes a node's place, wherever it hangs.
TEST_F(NtCorners, BasedNodeWithADistantHeir) {
    auto based = [this](unsigned id) {
        EXPECT_EQ(service("call NtCreateSection " + hex(id) + " 10000 4 8200000 0"), 0u);
    };
    for (unsigned id : {1, 2, 3, 4}) { based(id); }
    ok("sec- 1");
    based(5); // where 1 was: right of 2
    ok("sec- 3");
    based(6); // where 3 was: right of 4, which is left of 2
    ok("sec- 2");
    consistent();
    based(7);
    ok("sec- 6\nsec- 4\nsec- 5\nsec- 7");
}

// NT-45, NT-46: the TLB may know less than the page table.
TEST_F(NtCorners, StaleTranslations) {
    ok("alloc 410000 1000 rc r\nr 410000 4");
    ok("poke " + hex((pde(1, 0x410000) & ~0xFFFu) + 0x40) + " " + hex((pte(1, 0x410000) & ~0xFFFu) | 0x27));
    ok("w 410000 4 =5");
    EXPECT_EQ(last.callbacks, 1u);
}

// NT-65, NT-75: a thread ends; one that does not exist.
TEST_F(NtCorners, Threads) {
    ok("thr+ 102 1\nthr- 102");
    EXPECT_EQ(service("thr- 102"), uint32_t(STATUS_INVALID_HANDLE));
    EXPECT_EQ(service("x 0 102"), uint32_t(STATUS_INVALID_HANDLE));
}

// NT-72: a minimum above the configured maximum raises it.
TEST_F(NtCorners, MinimumAboveTheMaximum) {
    ok("proc+ 2 0 \"p2\" 50 30");
    EXPECT_EQ(process(2).max_ws, 50u);
}

TEST_F(NtCorners, MoveOntoItself) {
    ok("alloc 410000 4000 rc rw");
    EXPECT_EQ(service("move 410000 411000 2000"), uint32_t(STATUS_INVALID_PARAMETER));
    EXPECT_EQ(service("move 410000 7ffff000 4000"), uint32_t(STATUS_INVALID_PARAMETER));
    EXPECT_EQ(service("move 410000 500000 ffffffffffffffff"), uint32_t(STATUS_INVALID_PARAMETER));
    ok("alloc 500000 4000 rc rw\nw 410000 4 =6\ndrain 0");
    run("move 410000 500000 4000");
    EXPECT_TRUE(last.blocked);
    run("undrain 100");
    EXPECT_EQ(data("r 500000 4"), 6u);
}

// NT-60: nothing to read where an image has no pieces, or where they are private.
TEST_F(NtCorners, PrefetchOfHoles) {
    os_config config = manual();
    config.profile = OS_NT5;
    NtMachine nt5(config);
    nt5.ok("proc+ 1 0 \"p1\"\nthr+ 101 1\nx 0 101");
    nt5.ok("sec+ 1 image 4000 \"/i\"\nsub 1 0 1000 0 r\nsub 1 2000 1000 - rw\nprefetch 1 0 4000");
    EXPECT_EQ(nt5.view().list[StandbyPageList].count, 1u);
}

// NT-84: free units that do not lie together do not help.
TEST_F(NtCorners, PoolInPieces) {
    std::vector<uint64_t> blocks;
    for (int i = 0; i < 16; i++) {
        run("pool paged f8");
        blocks.push_back(last.service_out[0]);
    }
    for (int i = 0; i < 16; i += 2) { ok("poolfree " + hex(blocks[size_t(i)])); }
    run("pool paged 1f8");
    EXPECT_NE(last.service_out[0] >> 12, blocks[0] >> 12);
}

// What is outstanding when a machine ends.
TEST_F(NtCorners, EndsInTheMiddle) {
    ok("alloc 410000 3000 rc rw\nw 410000 4\ntrim 1 all force\nio manual\nrun mpw\nirql 0 2\niodone 1");
    uint64_t bytes = 0x800000;
    run("call MmAllocateContiguousMemory " + hex(bytes) + " ffffffff");
    EXPECT_NE(last.service_out[0], 0u);
}

TEST_F(NtCorners, EndsWithChargesAndRequests) { // quota of a block, and a commit request that nobody answers
    ok("call ExAllocatePoolWithQuotaTag 0 100 20707249");
    EXPECT_NE(last.service_out[0], 0u);
    run("sec+ 1 page 4000000 \"\"");
    EXPECT_TRUE(last.blocked);
}

// NT-60: prefetch takes no frames that others need.
TEST_F(NtCorners, PrefetchWithoutFrames) {
    os_config config = manual();
    config.profile = OS_NT5;
    NtMachine nt5(config);
    nt5.ok("proc+ 1 0 \"p1\"\nthr+ 101 1\nx 0 101\nsec+ 1 data 10000 \"/f\"\nmap 1 500000 10000 0 r\ndrain 2");
    nt5.run("prefetch 1 0 10000");
    EXPECT_EQ(nt5.view().list[StandbyPageList].count, 0u);
}

// NT-79: a page without access whose contents cannot be read stays without.
TEST_F(NtCorners, InheritedPageWithoutAccessCannotBeRead) {
    ok("alloc 410000 1000 rc rw\nalloc 420000 1000 rc rw\nw 420000 4\nw 410000 4 =3\nprot 410000 1000 na\n"
       "fork 2 1 201\ntrim 1 all force\ntrim 2 all force");
    into_the_paging_file();
    ok("x 0 201\nr 420000 4\ninject read-error");
    EXPECT_EQ(service("prot 410000 1000 rw"), uint32_t(STATUS_IN_PAGE_ERROR));
    ok("x 0 101\nr 420000 4");
    EXPECT_EQ(exception_of("r 410000 4"), uint32_t(STATUS_ACCESS_VIOLATION));
    ok("x 0 201\nprot 410000 1000 rw");
    EXPECT_EQ(data("r 410000 4"), 3u);
}

// NT-92: a stack that is in transition; NT-65: pieces that are none; NT-87: a list that quota does not allow.
TEST_F(NtCorners, OddRequests) {
    ok("call MmCreateKernelStack 65 0\ncall MmOutPageKernelStack 65\ncall MmDeleteKernelStack 65");
    ok("sec+ 1 image 4000 \"/i\"\nsub 1 0 1000 2000 r\nsub 1 0 1000 2000 r");
    EXPECT_EQ(service("sub 1 800 1000 0 r"), uint32_t(STATUS_INVALID_IMAGE_FORMAT));
    EXPECT_EQ(service("sub 1 1000 4000 0 r"), uint32_t(STATUS_INVALID_IMAGE_FORMAT));
    EXPECT_EQ(service("sub 1 0 1000 3000 r"), uint32_t(STATUS_INCOMPATIBLE_FILE_MAP));
    run("call IoAllocateMdl 410000 40000000 0 0 0"); // a list's size has 16 bits
    EXPECT_EQ(last.service_out[0], 0u);
    run("call PsCreateQuotaBlock ffffffff 10 10 10\ncall IoAllocateMdl 410000 10000 0 1 0");
    EXPECT_EQ(last.service_out[0], 0u);
}

// NT-66: the room for views in system space is finite.
TEST_F(NtCorners, SystemSpaceIsFull) {
    ok("call NtCreateSection 1 4000000 4 4000000 0");
    unsigned mapped = 0;
    do { run("call MmMapViewInSystemSpace 1 4000000"); } while (last.service_status == 0 && ++mapped < 64);
    EXPECT_EQ(last.service_status, uint32_t(STATUS_NO_MEMORY));
}

// What the trace format cannot say, C callers may.
TEST_F(NtCorners, EventsOfAnotherVersion) {
    event e = {};
    e.kind = EV_RUN_THREAD;
    snprintf(e.text, sizeof e.text, "nobody");
    EXPECT_EQ(machine_step(m, &e)->stop, MACHINE_PANIC);
    last.stop = MACHINE_PANIC;
}

// NT-02: memory that the layout does not fit in.
TEST(NtBoot, TooLittleMemory) {
    os_config config = NtMachine::manual();
    config.ram_free = 0x1000;
    NtMachine small(config);
    EXPECT_EQ(small.m, nullptr);
    EXPECT_NE(strstr(small.error, "--ram"), nullptr) << small.error;
}

TEST(NtBoot, HighestFrameTooLow) {
    os_config config = NtMachine::manual();
    config.max_page = 0x300;
    NtMachine small(config);
    EXPECT_EQ(small.m, nullptr);
    EXPECT_NE(strstr(small.error, "frames"), nullptr) << small.error;
}

} // namespace
