// The kernel's core on a booted machine: boot layout, address spaces, page lists, working sets, the fault paths.
// Expected values are those of the acceptance scenarios named at each test, worked out by hand from the rules.
#include "nt_harness.h"

namespace {

const char kProcess[] = "proc+ 1 0 \"p1\"\nthr+ 1 1\nx 0 1\n";
const char kA1[] = "proc+ 1 0 \"p1\"\nthr+ 1 1\nx 0 1\nalloc 410000 3000 rc rw\n";
const char kA2[] = "proc+ 1 0 \"p1\"\nthr+ 1 1\nx 0 1\nalloc 410000 3000 rc rw\nw 410000 1 =AA\n";

enum : va_t { kList = 0xC0502000, kWsle = 0xC0502690, kUsed = 0xC0502030 };

uint32_t wsle(NtMachine &nt, unsigned index) { return nt.word(1, kWsle + index * 4); }

void expect_pfn(NtMachine &nt, pfn_t frame, const mmpfn &want) {
    mmpfn got = nt.pfn(frame);
    EXPECT_EQ(got.u1, want.u1) << std::hex << frame;
    EXPECT_EQ(got.PteAddress, want.PteAddress) << std::hex << frame;
    EXPECT_EQ(got.u2, want.u2) << std::hex << frame;
    EXPECT_EQ(got.Flags, want.Flags) << std::hex << frame;
    EXPECT_EQ(got.ReferenceCount, want.ReferenceCount) << std::hex << frame;
    EXPECT_EQ(got.OriginalPte, want.OriginalPte) << std::hex << frame;
    EXPECT_EQ(got.ContainingFrame, want.ContainingFrame) << std::hex << frame;
}

} // namespace

// ---- boot, NT-02 ----

TEST(Boot, LayoutOfConfigurationA) { // NT-02, NT-06, NT-106
    NtMachine nt;
    ASSERT_NE(nt.m, nullptr) << nt.error;
    nt_memory_view v = nt.view();
    EXPECT_EQ(v.highest_page, 0x3FFFu);
    EXPECT_EQ(v.list[FreePageList].first, 0x400u);
    EXPECT_EQ(v.list[FreePageList].last, v.first_kernel_top_frame - 1);
    EXPECT_EQ(v.list[ZeroedPageList].count, 0u);
    EXPECT_EQ(v.available_pages, v.first_kernel_top_frame - 0x400);
    EXPECT_EQ(v.commit_limit, v.available_pages);
    std::vector<uint32_t> free_list = nt.list(FreePageList);
    for (size_t i = 0; i < free_list.size(); i++) { ASSERT_EQ(free_list[i], 0x400 + i); }
    for (uint32_t i = 0; i < 16; i++) {
        EXPECT_EQ(nt.pde(0, 0x80000000 + (i << 22)), i << 22 | 0x1E3);
    } // A and D preset
    EXPECT_EQ(nt.pde(0, 0x84000000), 0u);
    EXPECT_EQ(nt.pde(0, 0xC0000000), 0x00030063u);
    // system PTE area first, from the top of RAM downward
    EXPECT_EQ(nt.pde(0, 0xF8000000), 0x03FFF163u);
    EXPECT_EQ(nt.pde(0, 0xF8400000), 0x03FFE163u);
    EXPECT_EQ(nt.pte(0, 0xFFDF0000) & 0xFFF, 0x163u);
    EXPECT_EQ(nt.word(0, 0xC0C00690) & 0xFFF, 0x403u);
}

TEST(Boot, WithoutGlobalPages) {
    NtMachine nt(NtMachine::manual(OS_CFG_NOPGE));
    ASSERT_NE(nt.m, nullptr) << nt.error;
    EXPECT_EQ(nt.pde(0, 0x80400000), 0x004000E3u);
    EXPECT_EQ(nt.pde(0, 0xF8000000), 0x03FFF063u);
    EXPECT_EQ(machine_mmu_ops(nt.m)->read_control(machine_mmu(nt.m), MMU_CR4), CR4_PSE);
}

TEST(Boot, WithoutLargePages) { // NT-13: 29h frames of boot at the top, below them 16 page tables of the direct map
    NtMachine nt(NtMachine::manual(OS_CFG_NOPSE));
    ASSERT_NE(nt.m, nullptr) << nt.error;
    EXPECT_EQ(nt.pde(0, 0xF8000000), 0x03FFF163u);
    EXPECT_EQ(nt.view().first_kernel_top_frame, 0x3FC7u);
    EXPECT_EQ(nt.view().available_pages, 0x3FC7u - 0x400u);
    for (uint32_t i = 0; i < 16; i++) {
        EXPECT_EQ(nt.pde(0, 0x80000000 + (i << 22)), (0x3FD6 - i) << 12 | 0x163);
        EXPECT_EQ(nt.pfn(0x3FD6 - i).PteAddress, 0xC0300800 + 4 * i);
        EXPECT_EQ(nt.pfn(0x3FD6 - i).ContainingFrame, 0x30u);
    }
    for (uint32_t frame = 0; frame < 0x4000; frame++) {
        ASSERT_EQ(nt.pte(0, 0x80000000 + (frame << 12)), frame << 12 | 0x163);
    }
    EXPECT_EQ(nt.pde(0, 0x84000000), 0u);
    EXPECT_EQ(machine_mmu_ops(nt.m)->read_control(machine_mmu(nt.m), MMU_CR4), CR4_PGE);
}

class BootRam : public ::testing::TestWithParam<uint64_t> {};
TEST_P(BootRam, FreeFramesAreWhatWasAskedFor) {
    os_config config = NtMachine::manual();
    config.ram_free = GetParam();
    NtMachine nt(config);
    ASSERT_NE(nt.m, nullptr) << nt.error;
    nt_memory_view v = nt.view();
    EXPECT_EQ(v.available_pages, GetParam() >> 12);
    EXPECT_EQ(v.list[FreePageList].first % 0x400, 0u);
    uint32_t database = uint32_t((v.highest_page + 1ull) * 24 + 0xFFF) >> 12;
    EXPECT_GE(v.list[FreePageList].first, 0x200 + database + 0x1A0);
    EXPECT_EQ(nt.status_of(std::string(kA1) + "w 410000 4"), 0x111u);
}
INSTANTIATE_TEST_SUITE_P(Sizes, BootRam, ::testing::Values(1u << 20, 5000u << 12, 64u << 20, 100u << 20, 700u << 20));

TEST(Boot, RefusesNonsense) {
    os_config config = NtMachine::manual();
    config.ram_free = 4096;
    NtMachine nt(config);
    EXPECT_EQ(nt.m, nullptr);
    EXPECT_NE(std::string(nt.error).find("--ram"), std::string::npos);
}

TEST(Boot, HiddenAndBadMemory) { // S-114
    os_config config = NtMachine::manual();
    config.max_page = 0x1FFF;
    config.bad_first = 0x500;
    config.bad_last = 0x50F;
    NtMachine nt(config);
    ASSERT_NE(nt.m, nullptr) << nt.error;
    nt_memory_view v = nt.view();
    EXPECT_EQ(v.highest_page, 0x1FFFu);
    EXPECT_EQ(nt.physical(0x200000 + 24 * 0x2000), 0u);
    std::vector<uint32_t> bad = nt.list(BadPageList);
    ASSERT_EQ(bad.size(), 16u);
    for (unsigned i = 0; i < 16; i++) {
        EXPECT_EQ(bad[i], 0x500 + i);
        EXPECT_EQ(nt.pfn(0x500 + i).Flags, 0x0500);
        EXPECT_EQ(nt.pfn(0x500 + i).ReferenceCount, 0);
    }
    for (uint32_t f : nt.list(FreePageList)) { ASSERT_FALSE(f >= 0x500 && f <= 0x50F); }
    nt.ok(std::string(kA1) + "drain 0");
    nt.run("w 410000 4");
    EXPECT_TRUE(nt.last.blocked);
}

TEST(PageLists, ParityErrorGoesToBadWhenFreed) { // S-114, P32
    NtMachine nt;
    nt.ok(std::string(kA2) + "poke 20606c 10681"); // PFN 404: flags 0601 with X, reference count 1
    nt.ok("free 410000 0 r");
    EXPECT_EQ(nt.list(BadPageList), std::vector<uint32_t>{0x404});
    EXPECT_EQ(nt.pfn(0x404).Flags & 0x700, 0x500);
}

// ---- address spaces, NT-71, NT-73 ----

TEST(AddressSpace, Creation) { // S-82
    NtMachine nt;
    nt.ok("proc+ 1 0 \"p1\"");
    EXPECT_EQ(nt.process(1).directory_base[0], 0x400000u);
    EXPECT_EQ(nt.process(1).directory_base[1], 0x401000u);
    EXPECT_EQ(nt.process(1).working_set_page, 0x402u);
    EXPECT_EQ(nt.view().list[FreePageList].first, 0x403u);
    EXPECT_EQ(nt.physical(0x400C00), 0x00400063u);
    EXPECT_EQ(nt.physical(0x400C04), 0x00401063u);
    for (uint32_t offset = 0; offset < 0x1000; offset += 4) {
        bool copied = (offset >= 0x800 && offset < 0xA00) || offset >= 0xF80 || (offset >= 0xC0C && offset <= 0xC14);
        if (offset == 0xC00 || offset == 0xC04) { continue; }
        ASSERT_EQ(nt.physical(0x400000 + offset), copied ? nt.physical(0x30000 + offset) : 0) << std::hex << offset;
    }
    EXPECT_NE(nt.physical(0x30E10), 0u); // the paged pool's, which is not copied
    EXPECT_EQ(nt.physical(0x401000), 0x000FF000u);
    EXPECT_EQ(nt.physical(0x401408), 0x00402063u);
    EXPECT_EQ(nt.word(0, 0xC0301000), 0x000FD000u); // two ring slots of the creator
    EXPECT_EQ(nt.view().total_committed, 3u);
    EXPECT_EQ(nt.tlb(), "C400000 C30000"); // attached once, for its working-set list
}

TEST(AddressSpace, InitialWorkingSet) { // S-34
    NtMachine nt;
    nt.ok(kProcess);
    EXPECT_EQ(wsle(nt, 0), 0xC0300403u);
    EXPECT_EQ(wsle(nt, 1), 0xC0301403u);
    EXPECT_EQ(wsle(nt, 2), 0xC0502403u);
    EXPECT_EQ(wsle(nt, 3), 0x00000040u);
    EXPECT_EQ(wsle(nt, 0x25B), 0xFFFFFFF0u);
    const uint32_t header[] = {0x32, 3, 3, 2, 3, 0xC0502690, 0, 0x25B, 0, 0, 0, 0};
    for (unsigned i = 0; i < 12; i++) { EXPECT_EQ(nt.word(1, kList + i * 4), header[i]) << i; }
    nt_process_view p = nt.process(1);
    EXPECT_EQ(p.ws_size, 3u);
    EXPECT_EQ(p.min_ws, 0x32u);
    EXPECT_EQ(p.max_ws, 0x159u);
    EXPECT_GE(p.eprocess, 0x80260000u);
    EXPECT_LT(p.eprocess, 0x80400000u);
    expect_pfn(nt, 0x400, {p.eprocess, 0xC0300C00, 2, 0x0601, 1, 0x80, 0x400});
    expect_pfn(nt, 0x401, {1, 0xC0300C04, 2, 0x0601, 1, 0x80, 0x400});
    expect_pfn(nt, 0x402, {2, 0xC0301408, 1, 0x0601, 1, 0x80, 0x401});
}

TEST(AddressSpace, ExitGivesEveryFrameBack) { // NT-74
    NtMachine nt;
    nt.ok("pool nonpaged 20");
    uint32_t free_before = nt.view().list[FreePageList].count;
    nt.ok(std::string(kA2) + "r 7ffe0000 4\nw 412000 4");
    EXPECT_EQ(nt.status_of("r 7ffe0000 4"), 0u);
    nt.ok("proc- 1");
    EXPECT_EQ(nt.view().list[FreePageList].count, free_before);
    EXPECT_EQ(nt.view().total_committed, 0u);
    EXPECT_EQ(nt_os_ops.current_pid(machine_os(nt.m)), 0u);
    for (pfn_t f = 0x400; f < 0x408; f++) { EXPECT_EQ(nt.pfn(f).Flags, 0x0100) << f; }
    nt.run("proc- 1");
    EXPECT_EQ(nt.last.service_status, 0xC000010Au);
}

TEST(Context, OnlyAnotherProcessLoadsCr3) { // S-87
    NtMachine nt;
    nt.ok("proc+ 1 0 \"a\"\nproc+ 2 0 \"b\"\nthr+ 1 1\nthr+ 2 1\nthr+ 3 2\nx 0 1");
    nt.ok("x 0 2");
    EXPECT_EQ(nt.tlb(), "");
    nt.ok("x 0 3");
    EXPECT_EQ(nt.tlb(), "C403000");
    nt.ok("x 0 1");
    EXPECT_EQ(nt.tlb(), "C400000");
}

// ---- address map, self-map ----

TEST(AddressMap, Boundaries) { // S-01
    NtMachine nt;
    nt.ok(kProcess);
    for (const char *line : {"r fffc 4", "r 7fff0000 4", "r 80000000 4", "r c0300000 4", "r 20000 4", "w 7ffe0000 4"}) {
        EXPECT_EQ(nt.status_of(line), 0xC0000005u) << line;
        EXPECT_EQ(nt.last.exception_p[0], line[0] == 'w' ? 1u : 0u) << line;
        EXPECT_EQ(nt.last.exception_p[1], std::stoul(line + 2, nullptr, 16)) << line;
        EXPECT_EQ(nt.tlb(), "") << line;
    }
    EXPECT_EQ(nt.pde(1, 0x7FFE0000), 0x00403067u); // the legal address got its page table
    nt.ok("r 7ffe0000 4");
    EXPECT_EQ(nt.pte(1, 0x7FFE0000) & 0xFFF, 0x025u);
    EXPECT_EQ(nt.pte(1, 0x7FFE0000) >> 12, nt.pte(0, 0xFFDF0000) >> 12);
}

TEST(AddressMap, PteThroughTheWindow) { // S-02
    NtMachine nt;
    nt.ok(kA2);
    const struct {
        const char *line;
        uint32_t value;
    } rows[] = {{"k r c0001040 4", 0x00404067},
                {"k r c0300004 4", 0x00403067},
                {"k r c0300c00 4", 0x00400063},
                {"k r c0300c04 4", 0x00401063}};
    for (const auto &row : rows) {
        nt.ok(row.line);
        EXPECT_EQ(nt.last.data, row.value) << row.line;
        EXPECT_EQ(nt.last.callbacks, 0u) << row.line;
        EXPECT_EQ(nt.tlb(), "");
    }
    EXPECT_EQ(nt.status_of("r c0001040 4"), 0xC0000005u);
}

TEST(AddressMap, WindowOverLargePages) { // S-03
    NtMachine nt;
    nt.ok(kProcess);
    for (const char *pair : {"201000 80400000", "200000 80000000"}) {
        nt.ok(std::string("k r c0") + std::string(pair).substr(0, 6) + " 4");
        uint64_t through_window = nt.last.data;
        nt.ok(std::string("k r ") + std::string(pair).substr(7) + " 4");
        EXPECT_EQ(nt.last.data, through_window);
    }
}

TEST(AddressMap, PageTableDeleted) { // S-04
    NtMachine nt;
    nt.ok(std::string(kA2) + "k r c0001040 4");
    nt.ok("free 410000 0 r");
    EXPECT_EQ(nt.tlb(), "I410000 IC0001000 C400000");
    EXPECT_EQ(nt.pde(1, 0x410000), 0u);
    std::vector<uint32_t> free_list = nt.list(FreePageList);
    ASSERT_GE(free_list.size(), 2u);
    EXPECT_EQ(free_list[free_list.size() - 2], 0x404u);
    EXPECT_EQ(free_list.back(), 0x403u);
    EXPECT_EQ(nt.pfn(0x403).Flags, 0x0100);
    EXPECT_EQ(nt.half(1, kUsed + 2), 0);
    EXPECT_EQ(nt.bugcheck_of("k r c0001040 4"), 0x50u);
    EXPECT_EQ(nt.last.bugcheck_p[0], 0xC0001040u);
    EXPECT_EQ(nt.last.bugcheck_p[3], 2u);
}

TEST(AddressMap, DirectMapAlias) { // S-05
    NtMachine nt;
    nt.ok(std::string(kA2) + "k r 80404000 1");
    EXPECT_EQ(nt.last.data, 0xAAu);
    nt.ok("k w 80404000 1 =BB");
    nt.ok("r 410000 1");
    EXPECT_EQ(nt.last.data, 0xBBu);
    nt.ok("free 410000 0 r");
    nt.ok("k r 80404000 1");
    EXPECT_EQ(nt.last.data, 0xBBu);
}

TEST(AddressMap, MissingKernelPdeIsCopied) { // S-09; a global TLB entry would make the directory irrelevant
    NtMachine nt(NtMachine::manual(OS_CFG_NOPGE));
    nt.ok("proc+ 1 0 \"p1\"\nthr+ 1 1\npool paged 1000");
    char line[64];
    va_t pool = nt.last.service_out[0];
    snprintf(line, sizeof line, "k r %llx 4", (unsigned long long)pool);
    nt.ok(line); // in the system's context
    nt.ok("x 0 1");
    ASSERT_EQ(nt.pde(1, pool), 0u);
    nt.ok(line);
    EXPECT_EQ(nt.last.callbacks, 1u);
    EXPECT_EQ(nt.last.status[0], 0u);
    EXPECT_EQ(nt.pde(1, pool), nt.pde(0, pool));
    EXPECT_EQ(nt.tlb(), "");
    EXPECT_TRUE(nt.records(LOG_PFN).empty());
    EXPECT_TRUE(nt.records(LOG_WS).empty());
    EXPECT_EQ(nt.bugcheck_of("k r e1fff000 4"), 0x50u);
    EXPECT_EQ(nt.last.bugcheck_p[3], 0u); // the page table exists
}

// ---- hyperspace, zeroing, flushes ----

TEST(Hyperspace, Ring) { // S-14
    NtMachine nt;
    nt.ok(kProcess);
    const uint32_t want[] = {0xC04FF000, 0xC04FE000, 0xC04FD000};
    for (unsigned i = 0; i < 3; i++) {
        nt.run("hypermap " + std::to_string(500 + i));
        EXPECT_EQ(nt.last.service_out[0], want[i]);
        EXPECT_EQ(nt.tlb(), "");
    }
    EXPECT_EQ(nt.word(1, 0xC03013FC), 0x00500063u);
    EXPECT_EQ(nt.word(1, 0xC0301000), 0x000FC000u);
}

TEST(Hyperspace, RingWraps) { // S-15
    NtMachine nt;
    nt.ok(kProcess);
    for (unsigned i = 1; i <= 254; i++) { nt.run("hypermap 500"); }
    nt.run("hypermap 501");
    EXPECT_EQ(nt.last.service_out[0], 0xC0401000u);
    EXPECT_EQ(nt.word(1, 0xC0301000), 0u);
    EXPECT_EQ(nt.tlb(), "");
    nt.run("hypermap 502");
    EXPECT_EQ(nt.last.service_out[0], 0xC04FF000u);
    EXPECT_EQ(nt.tlb(), "C400000");
    EXPECT_EQ(nt.word(1, 0xC0301000), 0x000FE000u);
    EXPECT_EQ(nt.word(1, 0xC03013FC), 0x00502063u);
    for (va_t at = 0xC0301004; at < 0xC03013FC; at += 4) { ASSERT_EQ(nt.word(1, at), 0u) << std::hex << at; }
}

TEST(Zeroing, AboveTheDirectMap) { // S-16: every frame of the lists is at 400 or above
    NtMachine nt(NtMachine::manual(OS_CFG_B));
    nt.ok(std::string(kProcess) + "drain 0\nundrain 8");
    std::vector<uint32_t> frames = nt.list(FreePageList);
    EXPECT_TRUE(nt.view().zeroing_active);
    for (uint32_t f : frames) { physmem_write32(machine_memory(nt.m), pa_t(f) << 12, 0x12345678); }
    nt.ok("run zero");
    std::string want;
    for (unsigned i = 0; i < 8; i++) { want += i ? " IC0501000" : "IC0501000"; }
    EXPECT_EQ(nt.tlb(), want);
    EXPECT_EQ(nt.word(1, 0xC0301404), frames.back() << 12 | 0x063);
    EXPECT_EQ(nt.list(ZeroedPageList), frames);
    for (uint32_t f : frames) { EXPECT_EQ(nt.physical(pa_t(f) << 12), 0u); }
    EXPECT_FALSE(nt.view().zeroing_active);
}

TEST(Zeroing, PrivatePagesWithoutADirectMap) { // copies and zeroing through hyperspace
    NtMachine nt(NtMachine::manual(OS_CFG_B));
    nt.ok(std::string(kA2) + "fork 2 1 2");
    nt.ok("x 0 2\nr 410000 1");
    EXPECT_EQ(nt.last.data, 0xAAu);
    nt.ok("w 410001 1 =77\nr 410000 2");
    EXPECT_EQ(nt.last.data, 0x77AAu);
    nt.ok("x 0 1\nr 410000 2");
    EXPECT_EQ(nt.last.data, 0x00AAu);
}

TEST(Zeroing, ThreadThreshold) { // S-29
    NtMachine nt;
    nt.ok("drain 0\nundrain 5");
    nt.ok("undrain 2");
    EXPECT_TRUE(nt.records(LOG_SIGNAL).empty());
    EXPECT_FALSE(nt.view().zeroing_active);
    nt.ok("undrain 1");
    ASSERT_EQ(nt.records(LOG_SIGNAL).size(), 1u);
    EXPECT_EQ(nt.records(LOG_SIGNAL)[0].a, uint64_t(LOG_ZEROING_PAGE));
    EXPECT_TRUE(nt.view().zeroing_active);
    std::vector<uint32_t> frames = nt.list(FreePageList);
    nt.ok("undrain 9");
    EXPECT_TRUE(nt.records(LOG_SIGNAL).empty()); // active: not again
    frames = nt.list(FreePageList);
    nt.ok("run zero");
    EXPECT_EQ(nt.tlb(), "");
    EXPECT_EQ(nt.list(ZeroedPageList), frames);
    EXPECT_EQ(nt.view().list[FreePageList].count, 0u);
    EXPECT_FALSE(nt.view().zeroing_active);
}

class FlushBoundary : public ::testing::TestWithParam<unsigned> {};
TEST_P(FlushBoundary, FifteenPagesSinglyMoreAtOnce) { // S-20 with private memory
    unsigned pages = GetParam();
    NtMachine nt;
    nt.ok(std::string(kProcess) + "alloc 410000 1000 rc rw\nw 410000 4\nalloc 500000 20000 rc rw");
    std::string touches, want;
    char text[32];
    for (unsigned i = 0; i < pages; i++) {
        snprintf(text, sizeof text, "w %x 4\n", 0x500000 + i * 0x1000);
        touches += text;
        snprintf(text, sizeof text, "%sI%X", i ? " " : "", 0x500000 + i * 0x1000);
        want += text;
    }
    nt.ok(touches);
    nt.ok("free 500000 0 r");
    EXPECT_EQ(nt.tlb(), pages <= 15 ? want : "C400000");
    for (unsigned i = 0; i < pages; i++) { EXPECT_EQ(nt.pte(1, 0x500000 + i * 0x1000), 0u); }
}
INSTANTIATE_TEST_SUITE_P(Pages, FlushBoundary, ::testing::Values(1u, 14u, 15u, 16u, 17u, 30u));

TEST(PageLists, Colours) { // S-30
    NtMachine nt(NtMachine::manual(OS_CFG_COL));
    nt.ok(std::string(kProcess) + "alloc 410000 10000 rc rw");
    char line[32];
    for (va_t va = 0x410000; va < 0x418000; va += 0x1000) {
        snprintf(line, sizeof line, "w %llx 4", (unsigned long long)va);
        EXPECT_EQ(nt.status_of(line), 0x111u);
        EXPECT_EQ(nt.pte(1, va) >> 12 & 7, va >> 12 & 7);
    }
    // one frame of one colour is left: it serves any page
    uint32_t first = nt.view().list[FreePageList].first;
    nt.ok("drain 0\nundrain 1");
    EXPECT_EQ(nt.list(FreePageList), std::vector<uint32_t>{first});
    snprintf(line, sizeof line, "w %x 4", 0x418000 + ((first + 1) % 8 << 12));
    EXPECT_EQ(nt.status_of(line), 0x111u);
    EXPECT_EQ(nt.view().available_pages, 0u);
}

TEST(PageLists, NoPagesAnywhere) { // S-32
    NtMachine nt;
    nt.ok(std::string(kA2) + "drain 0");
    nt.run("r 411000 4");
    EXPECT_TRUE(nt.last.blocked);
    EXPECT_EQ(nt.pte(1, 0x411000), 0x80u);
    nt.ok("undrain 4");
    EXPECT_EQ(nt.pte(1, 0x411000), 0x80u); // 4 are too few for the event
    nt.ok("undrain 1");
    EXPECT_EQ(machine_finish(nt.m), 0u);
    EXPECT_EQ(nt.pte(1, 0x411000) & 0xFFF, 0x067u);
}

TEST(PageLists, NoPagesForTooLong) { // S-32, variant
    NtMachine nt;
    nt.ok(std::string(kA2) + "drain 0");
    nt.run("r 411000 4");
    nt.run("time +599999"); // 19 time-outs of 30 s and a little
    EXPECT_EQ(nt.last.stop, MACHINE_RUNS);
    EXPECT_EQ(nt.bugcheck_of("time +1"), 0x4Du);
}

// ---- first touch, working sets ----

TEST(DemandZero, FirstTouch) { // S-21
    NtMachine nt;
    nt.ok(kA1);
    EXPECT_EQ(nt.view().total_committed, 3u + 3 + 1);
    EXPECT_EQ(nt.status_of("r 410000 4"), 0x111u);
    EXPECT_EQ(nt.last.callbacks, 1u);
    EXPECT_EQ(nt.last.data, 0u);
    EXPECT_EQ(nt.pde(1, 0x410000), 0x00403067u);
    EXPECT_EQ(nt.pte(1, 0x410000), 0x00404067u);
    expect_pfn(nt, 0x404, {4, 0xC0001040, 1, 0x0601, 1, 0x80, 0x403});
    expect_pfn(nt, 0x403, {3, 0xC0300004, 2, 0x0601, 1, 0x80, 0x400});
    EXPECT_EQ(nt.pfn(0x400).u2, 3u);
    EXPECT_EQ(wsle(nt, 3), 0xC0001401u);
    EXPECT_EQ(wsle(nt, 4), 0x00410401u);
    nt_process_view p = nt.process(1);
    EXPECT_EQ(p.ws_size, 5u);
    EXPECT_EQ(p.page_fault_count, 2u);
    EXPECT_EQ(p.pde_fault_count[1], 1u);
    EXPECT_EQ(nt.tlb(), "");
    EXPECT_EQ(nt.half(1, kUsed + 2), 1);
    EXPECT_EQ(nt.view().total_committed, 7u);
    ASSERT_EQ(nt.records(LOG_RESOLVED).size(), 1u);
    EXPECT_EQ(nt.records(LOG_RESOLVED)[0].c, uint64_t(FAULT_DEMAND_ZERO));
    EXPECT_EQ(nt.records(LOG_RESOLVED)[0].cause, LOG_TRACE);
}

TEST(DemandZero, ReadOnly) { // S-22
    NtMachine nt;
    nt.ok(std::string(kProcess) + "alloc 410000 1000 rc r");
    EXPECT_EQ(nt.status_of("r 410000 4"), 0x111u);
    EXPECT_EQ(nt.pte(1, 0x410000), 0x00404025u);
    EXPECT_EQ(nt.status_of("w 410000 4"), 0xC0000005u);
    EXPECT_EQ(nt.last.exception_p[0], 1u);
    EXPECT_EQ(nt.pfn(0x404).Flags, 0x0601);
}

TEST(WorkingSet, TrimAndSoftFault) { // S-24, NT-52
    NtMachine nt;
    nt.ok(std::string(kA2) + "trim 1 all force");
    EXPECT_EQ(nt.tlb().substr(nt.tlb().size() - 7), "I410000");
    EXPECT_EQ(nt.pte(1, 0x410000), 0x00404886u);
    EXPECT_EQ(nt.list(ModifiedPageList), std::vector<uint32_t>{0x404});
    EXPECT_EQ(nt.pfn(0x404).Flags, 0x0301);
    EXPECT_EQ(nt.pfn(0x403).u2, 2u); // the table counts entries in transition
    EXPECT_EQ(nt.process(1).ws_size, 4u);
    EXPECT_EQ(nt.status_of("r 410000 1"), 0x110u);
    EXPECT_EQ(nt.last.data, 0xAAu);
    EXPECT_EQ(nt.pte(1, 0x410000), 0x00404067u);
    expect_pfn(nt, 0x404, {4, 0xC0001040, 1, 0x0601, 1, 0x80, 0x403});
    EXPECT_TRUE(nt.list(ModifiedPageList).empty());
    EXPECT_EQ(nt.process(1).page_fault_count, 3u);
    EXPECT_TRUE(nt.records(LOG_IO).empty());
}

TEST(WorkingSet, UsedPteCounters) { // S-42
    NtMachine nt;
    nt.ok(kA1);
    const struct {
        const char *line;
        uint16_t used;
        uint32_t faults;
    } steps[] = {{"r 410000 4", 1, 1},
                 {"r 411000 4", 2, 2},
                 {"trim 1 all force", 2, 2},
                 {"r 410000 4", 2, 3},
                 {"free 410000 0 r", 0, 3}};
    for (const auto &step : steps) {
        nt.ok(step.line);
        EXPECT_EQ(nt.half(1, kUsed + 2), step.used) << step.line;
        EXPECT_EQ(nt.process(1).pde_fault_count[1], step.faults) << step.line;
    }
}

TEST(WorkingSet, ReplacementWithSecondChance) { // S-35, NT-35
    NtMachine nt(NtMachine::manual(OS_CFG_S));
    nt.ok("proc+ 1 0 \"p1\" 8 10\nthr+ 1 1\nx 0 1\nalloc 410000 8000 rc rw\ndrain 80");
    nt.ok("w 410000 4\nw 411000 4\nw 412000 4\nw 413000 4");
    ASSERT_EQ(nt.process(1).ws_size, 8u);
    EXPECT_EQ(nt.status_of("w 414000 4"), 0x111u);
    EXPECT_EQ(nt.tlb(), "I410000 I411000 I412000 I413000 I410000");
    EXPECT_EQ(nt.pte(1, 0x410000) & 0xFFF, 0x886u);
    EXPECT_EQ(nt.pte(1, 0x411000) & 0xFFF, 0x047u); // A cleared, D kept
    EXPECT_EQ(wsle(nt, 4), 0x00414401u);
    EXPECT_EQ(nt.word(1, kList + 0x10), 5u); // NextSlot
    EXPECT_EQ(nt.process(1).ws_size, 8u);
    EXPECT_EQ(nt.process(1).page_fault_count, 6u);
}

TEST(WorkingSet, GrowsWhileMemoryIsPlenty) { // S-36
    NtMachine nt;
    nt.ok("proc+ 1 0 \"p1\" 8 10\nthr+ 1 1\nx 0 1\nalloc 410000 40000 rc rw");
    char line[32];
    for (va_t va = 0x410000; va < 0x450000; va += 0x1000) {
        snprintf(line, sizeof line, "w %llx 4", (unsigned long long)va);
        nt.ok(line);
    }
    nt_process_view p = nt.process(1);
    EXPECT_EQ(p.ws_size, 4u + 0x40);
    EXPECT_EQ(p.peak_ws, p.ws_size);
    uint32_t quota = nt.word(1, kList);
    EXPECT_GE(quota, p.ws_size);
    EXPECT_EQ((quota - 10) % 6, 0u); // 8, 10 (its maximum), then by sixes
    EXPECT_EQ(nt.view().list[ModifiedPageList].count, 0u);
}

TEST(WorkingSet, TableAndHashGrow) { // S-37, NT-32
    NtMachine nt;
    nt.ok(std::string(kProcess) + "alloc 410000 3e0000 rc rw");
    char line[32];
    auto touch = [&](unsigned n) {
        snprintf(line, sizeof line, "w %x 4", 0x410000 + (n - 1) * 0x1000);
        nt.ok(line);
    };
    for (unsigned n = 1; n <= 381; n++) { touch(n); }
    EXPECT_EQ(nt.word(1, kList + 0x24), 0u);
    touch(382);
    EXPECT_EQ(nt.word(1, kList + 0x0C), 0x182u);
    EXPECT_EQ(nt.word(1, kList + 0x24), 0xC06F3000u);
    EXPECT_EQ(nt.word(1, kList + 0x28), 0x200u);
    EXPECT_EQ(nt.word(1, kList + 0x20), 0u);
    EXPECT_EQ(nt.word(1, 0xC0301BCC) & 0xFFF, 0x063u);
    EXPECT_EQ(nt.word(1, kList + 0x08), 4u);
    EXPECT_EQ(wsle(nt, 3), 0xC06F3403u);
    EXPECT_EQ(wsle(nt, 0x181), 0x00410401u + 381 * 0x1000);
    EXPECT_EQ(wsle(nt, 0x182), 0xC0001401u);
    EXPECT_EQ(nt.pfn(0x403).u1, 0x182u);
    EXPECT_EQ(nt.pfn(0x401).u2, 3u); // itself, the list, the hash
    for (unsigned n = 383; n <= 599; n++) { touch(n); }
    EXPECT_EQ(nt.word(1, kList + 0x1C), 0x25Bu);
    touch(600);
    EXPECT_EQ(nt.word(1, 0xC030140C) & 0xFFF, 0x063u);
    EXPECT_EQ(nt.word(1, kList + 0x1C), 0x65Bu);
    EXPECT_EQ(nt.word(1, kList + 0x08), 5u);
    EXPECT_EQ(wsle(nt, 4), 0xC0503403u);
    EXPECT_EQ(nt.process(1).ws_size, 600u + 1 + 5);
    nt.ok("free 410000 0 r\nproc- 1");
    EXPECT_EQ(nt.view().available_pages, nt.view().first_kernel_top_frame - 0x400);
}

TEST(WorkingSet, PageTableTrimmedAndRefaulted) { // S-70
    NtMachine nt;
    nt.ok(std::string(kProcess) + "alloc 410000 2000 rc rw\nw 410000 4\nfree 410000 2000 d");
    ASSERT_EQ(nt.pfn(0x403).u2, 1u);
    nt.ok("trim 1 all force");
    EXPECT_EQ(nt.pde(1, 0x410000), 0x00403886u);
    EXPECT_EQ(nt.pfn(0x403).Flags, 0x0301);
    EXPECT_EQ(nt.tlb(), "IC0001000 C400000");
    EXPECT_EQ(nt.status_of("k r c0001040 4"), 0x110u);
    EXPECT_EQ(nt.pde(1, 0x410000), 0x00403067u);
    EXPECT_EQ(nt.last.data, 0x00000200u);
    nt.ok("trim 1 all force\nfree 410000 0 r\nproc- 1");
    EXPECT_EQ(nt.view().available_pages, nt.view().first_kernel_top_frame - 0x400);
}

// ---- IRQL, guard pages ----

TEST(Irql, InterruptsOff) { // S-57, NT-03
    NtMachine nt;
    nt.ok(std::string(kA1) + "if 0 0");
    EXPECT_EQ(nt.bugcheck_of("k r 410000 4"), 0x0Au);
    EXPECT_EQ(nt.last.bugcheck_p[0], 0x410000u);
    EXPECT_EQ(nt.last.bugcheck_p[2], 0u);
}

TEST(Irql, StaleTranslation) { // S-59: the table is made writable behind the TLB's back
    NtMachine nt;
    nt.ok(std::string(kProcess) + "alloc 410000 1000 rc r\nk r 410000 4\npoke 403040 404027\nirql 0 2");
    EXPECT_EQ(nt.status_of("k w 410000 4"), 0u);
    EXPECT_EQ(nt.last.callbacks, 1u);
    EXPECT_EQ(nt.tlb(), "I410000");
}

TEST(Guard, OutsideAStack) { // S-60
    NtMachine nt;
    nt.ok(std::string(kProcess) + "alloc 410000 2000 r rw\nalloc 410000 1000 c rw+g");
    EXPECT_EQ(nt.pte(1, 0x410000), 0x280u);
    EXPECT_EQ(nt.status_of("r 410000 4"), 0x80000001u);
    EXPECT_EQ(nt.last.exception_p[0], 0u);
    EXPECT_EQ(nt.last.exception_p[1], 0x410000u);
    EXPECT_EQ(nt.pte(1, 0x410000), 0x80u);
    EXPECT_EQ(nt.status_of("r 410000 4"), 0x111u);
    EXPECT_EQ(nt.pte(1, 0x410000) & 0xFFF, 0x067u);
}

namespace {
// A stack of 00030000..00040000 whose guard page is at `guard`, everything above it committed.
std::string stack_with_guard(unsigned guard) {
    char text[256];
    snprintf(text, sizeof text,
             "%salloc 30000 10000 r rw\nalloc %x %x c rw\nalloc %x 1000 c rw+g\nstack 1 40000 30000 %x", kProcess,
             guard + 0x1000, 0x3F000 - guard, guard, guard + 0x1000);
    return text;
}
} // namespace

TEST(Guard, StackGrows) { // S-61
    NtMachine nt;
    nt.ok(stack_with_guard(0x3E000));
    nt.ok("w 3effc 4");
    ASSERT_EQ(nt.last.status_count, 2u);
    EXPECT_EQ(nt.last.status[0], 0x113u);
    EXPECT_EQ(nt.last.status[1], 0x111u);
    EXPECT_EQ(nt.pte(1, 0x3D000), 0x280u);
    EXPECT_EQ(nt.pte(1, 0x3E000) & 0xFFF, 0x067u);
}

TEST(Guard, LastPageOfAStack) { // S-62
    NtMachine nt;
    nt.ok(stack_with_guard(0x32000));
    EXPECT_EQ(nt.status_of("w 32000 4"), 0xC00000FDu);
    EXPECT_EQ(nt.last.exception_p[0], 1u);
    EXPECT_EQ(nt.last.exception_p[1], 0x32000u);
    EXPECT_EQ(nt.pte(1, 0x31000), 0x80u);
    EXPECT_EQ(nt.status_of("w 31000 4"), 0x111u);
    EXPECT_EQ(nt.status_of("w 30000 4"), 0xC0000005u);
}

TEST(Guard, LastGuardOfAStack) { // S-62, second half
    NtMachine nt;
    nt.ok(stack_with_guard(0x33000));
    nt.ok("w 33000 4");
    EXPECT_EQ(nt.last.status[0], 0x113u);
    EXPECT_EQ(nt.pte(1, 0x32000), 0x280u);
}

// ---- the decision matrix, NT-100: rows that need no disk ----

namespace {

struct MatrixRow {
    const char *name, *setup;
    unsigned va;
    uint32_t user_read, user_write, kernel_read, kernel_write; // 0: no fault
    bool gate_read, gate_write;                                // at IRQL 2: stops with 0A
};

enum : uint32_t { AV = 0xC0000005, DZ = 0x111, TR = 0x110, CW = 0x112, GUARD = 0x80000001 };

// 410000: private; the fork makes its touched page copy-on-write. 500000: reserved, parts committed.
const MatrixRow kMatrix[] = {
    {"ValidReadWrite", "alloc 410000 1000 rc rw\nw 410000 4", 0x410000, 0, 0, 0, 0, false, false},
    {"ValidReadOnly", "alloc 410000 1000 rc r\nr 410000 4", 0x410000, 0, AV, 0, AV, false, true},
    {"ValidCopyOnWrite", "alloc 410000 1000 rc rw\nw 410000 4\nfork 2 1 2\nr 410000 4", 0x410000, 0, CW, 0, CW, false,
     true},
    {"ZeroNoVad", "", 0x410000, AV, AV, AV, AV, true, true},
    {"ZeroPrivateCommitted", "alloc 410000 1000 rc rw", 0x410000, DZ, DZ, DZ, DZ, true, true},
    {"ZeroPrivateCommittedReadOnly", "alloc 410000 1000 rc r", 0x410000, DZ, AV, DZ, AV, true, true},
    {"ZeroPrivateReserved", "alloc 410000 1000 r rw", 0x410000, AV, AV, AV, AV, true, true},
    {"DemandZeroReadWrite", "alloc 500000 2000 r rw\nalloc 500000 1000 c rw", 0x500000, DZ, DZ, DZ, DZ, true, true},
    {"DemandZeroReadOnly", "alloc 500000 2000 r rw\nalloc 500000 1000 c r", 0x500000, DZ, AV, DZ, AV, true, true},
    {"DemandZeroGuard", "alloc 500000 2000 r rw\nalloc 500000 1000 c rw+g", 0x500000, GUARD, GUARD, GUARD, GUARD, true,
     true},
    {"Decommitted", "alloc 500000 2000 rc rw\nfree 500000 1000 d", 0x500000, AV, AV, AV, AV, true, true},
    {"NoAccess", "alloc 500000 2000 rc rw\nprot 500000 1000 na", 0x500000, AV, AV, AV, AV, true, true},
    {"Transition", "alloc 410000 1000 rc rw\nw 410000 4\ntrim 1 all force", 0x410000, TR, TR, TR, TR, true, true},
    {"TransitionReadOnly", "alloc 410000 1000 rc r\nr 410000 4\ntrim 1 all force", 0x410000, TR, AV, TR, AV, true,
     true},
};

class Matrix : public ::testing::TestWithParam<MatrixRow> {
  protected:
    std::string access(const char *kind) const {
        char line[32];
        snprintf(line, sizeof line, "%s %x 4", kind, GetParam().va);
        return line;
    }
    uint32_t outcome(const char *kind) const {
        NtMachine nt;
        nt.ok(std::string(kProcess) + GetParam().setup);
        return nt.status_of(access(kind));
    }
    bool stops(const char *kind) const {
        NtMachine nt;
        nt.ok(std::string(kProcess) + GetParam().setup);
        nt.run("irql 0 2");
        uint32_t code = nt.bugcheck_of(access(kind));
        EXPECT_TRUE(code == 0 ||
                    (code == 0x0A && nt.last.bugcheck_p[0] == GetParam().va && nt.last.bugcheck_p[1] == 2));
        return code != 0;
    }
};

} // namespace

TEST_P(Matrix, Row) {
    EXPECT_EQ(outcome("r"), GetParam().user_read);
    EXPECT_EQ(outcome("w"), GetParam().user_write);
    EXPECT_EQ(outcome("k r"), GetParam().kernel_read);
    EXPECT_EQ(outcome("k w"), GetParam().kernel_write);
    EXPECT_EQ(stops("k r"), GetParam().gate_read);
    EXPECT_EQ(stops("k w"), GetParam().gate_write);
}
INSTANTIATE_TEST_SUITE_P(NT100, Matrix, ::testing::ValuesIn(kMatrix),
                         [](const auto &row) { return std::string(row.param.name); });

TEST(KernelSpace, NonPagedAreasAndReadOnlyPages) { // K3, S-69
    {
        NtMachine nt;
        EXPECT_EQ(nt.bugcheck_of("k r f8000000 4"), 0x50u);
        EXPECT_EQ(nt.last.bugcheck_p[3], 0u);
    }
    {
        NtMachine nt;
        EXPECT_EQ(nt.bugcheck_of("k r 9f000000 4"), 0x50u);
        EXPECT_EQ(nt.last.bugcheck_p[3], 2u);
    }
    for (os_profile profile : {OS_NT4, OS_NT5}) {
        os_config config = NtMachine::manual();
        config.profile = profile;
        NtMachine nt(config);
        uint32_t table = nt.pde(0, 0xFFDF0000) & ~0xFFFu, entry = nt.pte(0, 0xFFDF0000);
        char line[64];
        snprintf(line, sizeof line, "poke %x %x", table + 0x1F0 * 4, (entry & ~0xFFFu) | 0x121);
        nt.ok(line);
        EXPECT_EQ(nt.bugcheck_of("k w ffdf0000 4"), profile == OS_NT5 ? 0xBEu : 0x50u);
        EXPECT_EQ(nt.last.bugcheck_p[0], 0xFFDF0000u);
    }
}
