// Sections, views, prototype PTEs, copy-on-write, forks and pools, on a booted kernel with the C MMU. Expected values
// are those of the scenarios named at each test, or follow from NT-09..11, NT-21, NT-31 by hand.
#include "nt_harness.h"

extern "C" {
#include "check/audit.h"
#include "ntmmu/filedata.h"
}

namespace {

constexpr uint32_t kSystem = 0;

} // namespace

class NtSection : public ::testing::Test, public NtMachine {
  protected:
    audit *invariants = nullptr;

    void SetUp() override {
        ASSERT_NE(m, nullptr) << error;
        invariants = audit_create(m);
        ASSERT_NE(invariants, nullptr);
    }
    void TearDown() override { audit_destroy(invariants); }

    void run(const std::string &lines) { // and the invariants of NT-99 hold
        NtMachine::run(lines);
        ASSERT_NE(last.stop, MACHINE_PANIC) << last.message;
        struct report report = {};
        ASSERT_TRUE(last.stop != MACHINE_RUNS || audit_run(invariants, &report)) << report.text << lines;
    }
    void ok(const std::string &lines) {
        run(lines);
        EXPECT_EQ(last.stop, MACHINE_RUNS) << std::hex << last.bugcheck_code;
        EXPECT_TRUE(NT_SUCCESS(last.service_status)) << lines << " " << std::hex << last.service_status;
        EXPECT_FALSE(last.exception) << lines;
    }
    // One access: the statuses of its callbacks, in order.
    std::vector<uint32_t> statuses(const std::string &line) {
        run(line);
        EXPECT_FALSE(last.exception) << line;
        return {last.status, last.status + last.status_count};
    }
    ntstatus_t service(const std::string &line) {
        run(line);
        return last.service_status;
    }
    uint32_t exception(const std::string &line) {
        run(line);
        return last.exception ? last.exception_code : 0;
    }

    uint32_t kernel(va_t va) { return word(kSystem, va); }
    uint32_t pool_frame(va_t va) { // of a page in paged pool
        return uint32_t(table_walk(machine_memory(m), cr3(kSystem), CR4_PSE, va).pa >> PAGE_SHIFT);
    }
    // The working-set entries of a process that name this page.
    std::vector<uint32_t> wsle(uint32_t pid, va_t va) {
        std::vector<uint32_t> found;
        for (va_t at = 0xC0502690; at < 0xC0503000; at += 4) {
            uint32_t entry = word(pid, at);
            if ((entry & 1) && page_of(entry) == va) { found.push_back(entry); }
        }
        return found;
    }
    unsigned tlb_count(uint64_t kind, uint64_t value) {
        unsigned n = 0;
        for (auto &r : records(LOG_TLB)) { n += r.a == kind && r.b == value; }
        return n;
    }
    uint64_t resolved_kind() { // of the first fault
        auto faults = records(LOG_RESOLVED);
        return faults.empty() ? uint64_t(FAULT_KINDS) : faults[0].c;
    }

    void base() { ok("proc+ 1 0 \"p1\"\nthr+ 11 1\nx 0 11"); }
    void second() { ok("proc+ 2 0 \"p2\"\nthr+ 21 2"); }
    void a2() {
        base();
        ok("alloc 410000 3000 rc rw\nw 410000 4 =AA");
    }
};

TEST_F(NtSection, PageFileSectionIsCreatedDemandZeroAndCharged) { // S-71
    base();
    uint32_t before = view().total_committed;
    ok("sec+ 1 page 10000 \"S\"");
    EXPECT_EQ(view().total_committed, before + 0x10);
    struct found {
        va_t base = 0;
        uint32_t count = 0;
    } f;
    nt_view_prototypes(
        machine_os(m),
        [](void *ctx, const nt_prototype_view *v) {
            auto *out = static_cast<found *>(ctx);
            if (!v->clone) { *out = {v->base, v->count}; }
            return true;
        },
        &f);
    ASSERT_EQ(f.count, 0x10u);
    for (uint32_t i = 0; i < f.count; i++) { EXPECT_EQ(kernel(f.base + i * 4), 0x80u); }
    EXPECT_EQ(service("sec+ 2 page 0 \"U\""), 0xC00000F2u);
}

TEST_F(NtSection, SharedPageOfAPageFileSection) { // S-72, S-39
    base();
    second();
    ok("sec+ 1 page 10000 \"S\"\nmap 1 500000 10000 0 rw share\nx 0 21\nmap 1 700000 10000 0 rw share\nx 0 11");
    EXPECT_EQ(statuses("w 500000 4 =55"), std::vector<uint32_t>({0x111}));
    EXPECT_EQ(resolved_kind(), FAULT_SECTION);
    uint32_t p1 = pte(1, 0x500000), frame = p1 >> 12;
    EXPECT_EQ(p1 & 0xFFF, 0x067u);
    mmpfn entry = pfn(frame);
    EXPECT_EQ(kernel(entry.PteAddress), frame << 12 | 0x123);
    EXPECT_EQ(entry.Flags, 0x609);
    EXPECT_EQ(entry.u2, 1u);
    EXPECT_EQ(entry.ReferenceCount, 1);
    EXPECT_EQ(entry.OriginalPte, 0x80u);
    EXPECT_EQ(entry.ContainingFrame, pool_frame(entry.PteAddress));
    EXPECT_EQ(pfn(entry.ContainingFrame).u2, 2u); // itself and one prototype
    EXPECT_EQ(wsle(1, 0x500000), std::vector<uint32_t>({0x00500601}));
    ok("x 0 21");
    EXPECT_EQ(statuses("r 700000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(last.data, 0x55u);
    EXPECT_EQ(pte(2, 0x700000), frame << 12 | 0x067);
    EXPECT_EQ(pfn(frame).u2, 2u);
    EXPECT_EQ(wsle(2, 0x700000), std::vector<uint32_t>({0x00700201}));
    ok("trim 2 all force"); // the pointer encoding of the prototype's address, NT-10
    uint32_t d = entry.PteAddress - 0xE1000000;
    EXPECT_EQ(pte(2, 0x700000), (d >> 2 & 0x7F) << 1 | d >> 9 << 11 | 0x400);
    EXPECT_EQ(pfn(frame).u2, 1u);
}

TEST_F(NtSection, LastReferenceDestroysAPageFileSection) { // S-75
    base();
    second();
    uint32_t before = view().total_committed;
    ok("sec+ 1 page 10000 \"S\"\nmap 1 500000 10000 0 rw share\nx 0 21\nmap 1 700000 10000 0 rw share\nx 0 11");
    ok("w 500000 4 =55\nx 0 21\nr 700000 4");
    uint32_t frame = pte(2, 0x700000) >> 12, pool = pfn(frame).ContainingFrame;
    ok("sec- 1");
    EXPECT_EQ(pfn(frame).u2, 2u);
    ok("x 0 11\nunmap 500000\nx 0 21\nr 700000 4");
    EXPECT_EQ(last.data, 0x55u);
    EXPECT_EQ(pfn(frame).u2, 1u);
    ok("unmap 700000");
    EXPECT_EQ(pfn(frame).Flags, 0x100);
    EXPECT_NE(pfn(pool).u2, 2u);
    EXPECT_EQ(view().total_committed, before);
    EXPECT_EQ(service("map 1 500000 1000 0 rw"), 0xC0000008u); // the section is gone
}

TEST_F(NtSection, CopyOnWriteOfAMappedFile) { // S-64
    base();
    ok("sec+ 1 data 1000 \"/f\"\nmap 1 500000 1000 0 wc");
    EXPECT_EQ(statuses("r 500000 4"), std::vector<uint32_t>({0x114}));
    EXPECT_EQ(last.data, file_word(file_identity("/f"), 0));
    EXPECT_EQ(resolved_kind(), FAULT_FILE);
    uint32_t frame = pte(1, 0x500000) >> 12;
    EXPECT_EQ(pte(1, 0x500000) & 0xFFF, 0x225u);
    EXPECT_EQ(pfn(frame).Flags, 0x608);
    EXPECT_EQ(statuses("w 500000 4 =22"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(resolved_kind(), FAULT_COW_FILE);
    uint32_t copy = pte(1, 0x500000) >> 12;
    EXPECT_NE(copy, frame);
    EXPECT_EQ(pte(1, 0x500000) & 0xFFF, 0x067u);
    EXPECT_EQ(tlb_count(LOG_INVLPG, 0x500000), 1u);
    EXPECT_EQ(pfn(copy).Flags, 0x601);
    EXPECT_EQ(pfn(copy).OriginalPte, 0x80u);
    EXPECT_EQ(pfn(copy).PteAddress, 0xC0001400u);
    EXPECT_EQ(pfn(copy).u2, 1u);
    EXPECT_EQ(pfn(frame).Flags, 0x208); // clean: Standby
    EXPECT_EQ(wsle(1, 0x500000), std::vector<uint32_t>({0x00500401}));
    EXPECT_EQ(pfn(pde(1, 0x500000) >> 12).u2, 2u); // page table: its PDE and one valid PTE
    second();
    ok("x 0 21\nmap 1 600000 1000 0 wc");
    EXPECT_EQ(statuses("r 600000 4"), std::vector<uint32_t>({0x110})); // still cached
    EXPECT_EQ(last.data, file_word(file_identity("/f"), 0));
    EXPECT_EQ(pte(2, 0x600000), frame << 12 | 0x225);
}

TEST_F(NtSection, CopyOnWriteOfATransitionPrototype) { // S-65
    base();
    second();
    ok("sec+ 1 page 1000 \"S\"\nx 0 21\nmap 1 600000 1000 0 rw share\nw 600000 4 =33\ntrim 2 all force");
    ok("x 0 11\nmap 1 500000 1000 0 wc");
    EXPECT_EQ(statuses("w 500000 4 =44"), std::vector<uint32_t>({0x110, 0x112}));
    uint32_t copy = pte(1, 0x500000) >> 12;
    EXPECT_EQ(pte(1, 0x500000) & 0xFFF, 0x067u);
    EXPECT_EQ(pfn(copy).OriginalPte, 0x80u);
    EXPECT_EQ(wsle(1, 0x500000), std::vector<uint32_t>({0x00500401}));
    EXPECT_EQ(tlb_count(LOG_INVLPG, 0x500000), 1u);
    uint32_t frame = pte_frame(kernel(pte_pointer_target(pte(2, 0x600000))));
    EXPECT_EQ(kernel(pte_pointer_target(pte(2, 0x600000))), frame << 12 | 0x882);
    EXPECT_EQ(pfn(frame).Flags, 0x309);
    ok("x 0 21");
    EXPECT_EQ(statuses("r 600000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(last.data, 0x33u);
}

TEST_F(NtSection, FlushListBoundary) { // S-20
    base();
    ok("alloc 410000 1000 rc rw\nw 410000 4\nsec+ 1 data 10000 \"/f\"\nmap 1 500000 f000 0 r\nmap 1 600000 10000 0 r");
    ok("r 500000 f000\nr 600000 10000");
    ok("unmap 500000");
    std::string expected;
    for (unsigned i = 0; i < 15; i++) {
        expected += (i ? " I50" : "I50") + std::string(1, "0123456789ABCDE"[i]) + "000";
    }
    EXPECT_EQ(tlb(), expected);
    ok("unmap 600000");
    EXPECT_EQ(tlb(), "C400000");
}

TEST_F(NtSection, ErrorsOfMap) { // S-74
    base();
    ok("sec+ 1 page 20000 \"S\"\nalloc 410000 1000 rc rw");
    EXPECT_EQ(service("map! 1 500000 1000 1000 rw"), 0xC0000220u);
    EXPECT_EQ(service("map! 1 501000 1000 0 rw"), 0xC0000220u);
    EXPECT_EQ(service("map! 1 500000 20000 10000 rw"), 0xC000001Fu);
    EXPECT_EQ(service("map! 1 410000 1000 0 rw"), 0xC0000018u);
    EXPECT_EQ(service("unmap 410000"), 0xC0000019u);
    EXPECT_EQ(service("unmap 900000"), 0xC0000019u);
    EXPECT_EQ(service("map 9 500000 1000 0 rw"), 0xC0000008u);
    ok("map 1 500000 1000 1000 rw"); // a captured program's map waives the 64 KB rule
    EXPECT_EQ(service("sec+ 1 page 1000 \"again\""), 0xC00000EFu);
    ok("sec+ 2 data 1000 \"/ro\"");
    EXPECT_EQ(service("map 2 600000 2000 0 r"), 0xC000001Fu);
}

TEST_F(NtSection, ReadsEightPagesAtATime) { // NT-58: the page and 7 behind it, extras on Standby in transition form
    base();
    ok("sec+ 1 data a800 \"/f\"\nmap 1 500000 b000 0 r");
    EXPECT_EQ(statuses("r 501000 4"), std::vector<uint32_t>({0x114}));
    EXPECT_EQ(last.data, file_word(file_identity("/f"), 0x1000));
    EXPECT_EQ(records(LOG_IO).size(), 2u); // start and end of one transfer
    va_t proto = pte_pointer_target(pte(1, 0x501000));
    EXPECT_NE(proto, 0u);
    uint32_t frame = pte(1, 0x501000) >> 12;
    proto = pfn(frame).PteAddress;
    EXPECT_EQ(kernel(proto), frame << 12 | 0x121);
    for (unsigned i = 1; i < 8; i++) {
        uint32_t extra = kernel(proto + i * 4);
        EXPECT_EQ(extra & 0xFFF, 0x820u) << i;
        EXPECT_EQ(pfn(extra >> 12).Flags, 0x208) << i;
        EXPECT_EQ(pfn(extra >> 12).PteAddress, proto + i * 4);
    }
    EXPECT_EQ(kernel(proto + 8 * 4) & 0x400, 0x400u); // not read
    EXPECT_EQ(statuses("r 502000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(last.data, file_word(file_identity("/f"), 0x2000));
    EXPECT_EQ(records(LOG_IO).size(), 0u);
    EXPECT_EQ(statuses("r 50a7fc 4"), std::vector<uint32_t>({0x114}));
    EXPECT_EQ(last.data, file_word(file_identity("/f"), 0xA7FC));
    ok("r 50a800 4");
    EXPECT_EQ(last.data, 0u);                     // behind the end of the file
    EXPECT_EQ(pfn(pool_frame(proto)).u2, 1u + 9); // itself, eight and one
}

TEST_F(NtSection, ImageOfPieces) { // traces/FORMAT.md rules 5, 7, 14
    base();
    ok("sec+ 1 image 5000 \"/img\"\nsub 1 0 1000 0 r\nsub 1 1000 1000 1000 xr\nsub 1 2000 2000 2000 wc\n"
       "sub 1 4000 1000 - rw");
    uint32_t before = view().total_committed;
    ok("map 1 400000 5000 0 image");
    EXPECT_EQ(view().total_committed, before + 3 + 1); // write-copy pieces, bss, one page table
    EXPECT_EQ(statuses("i 401000 4"), std::vector<uint32_t>({0x114}));
    EXPECT_EQ(pte(1, 0x401000) & 0xFFF, 0x025u);
    EXPECT_EQ(exception("w 401000 4"), 0xC0000005u);
    EXPECT_EQ(statuses("w 403000 4 =77"), std::vector<uint32_t>({0x114, 0x112}));
    EXPECT_EQ(statuses("w 404000 4 =88"), std::vector<uint32_t>({0x111}));
    EXPECT_EQ(resolved_kind(), FAULT_DEMAND_ZERO);
    EXPECT_EQ(pte(1, 0x404000) & 0xFFF, 0x067u);
    ok("r 403004 4");
    EXPECT_EQ(last.data, file_word(file_identity("/img"), 0x3004));
    ok("map 1 600000 5000 0 image");
    EXPECT_EQ(last.service_status, 0x40000003u);
    EXPECT_EQ(statuses("i 601000 4"), std::vector<uint32_t>({0x110}));
    ok("unmap 400000\nunmap 600000");
    EXPECT_EQ(view().total_committed, before);
    ok("sec- 1\nsec+ 2 image 5000 \"/img\"\nmap 2 400000 5000 0 image"); // its control area and pages are still there
    EXPECT_EQ(statuses("i 401000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(service("sub 2 0 2000 0 r"), 0xC000004Du);
}

TEST_F(NtSection, DataSectionGrowsWithItsMaps) { // rules 1, 2, 6
    base();
    ok("sec+ 1 data 0 \"/log\"\nmap 1 10000 1000 82000 xr");
    EXPECT_EQ(statuses("r 10010 4"), std::vector<uint32_t>({0x114}));
    EXPECT_EQ(last.data, file_word(file_identity("/log"), 0x82010));
    ok("map 1 20000 2000 100000 r\nr 21000 4");
    EXPECT_EQ(last.data, file_word(file_identity("/log"), 0x101000));
    EXPECT_EQ(exception("w 20000 4"), 0xC0000005u);
    EXPECT_EQ(pte(1, 0x10000) & 0xFFF, 0x025u);
    ok("trim 1 all force");
    EXPECT_EQ(pte(1, 0x10000), 0xFFFFF460u); // execute-read over read-only prototypes: the VAD-lookup form
}

TEST_F(NtSection, SharedWritableFile) {
    base();
    ok("sec+ 1 data 2000 \"/db\"\nmap 1 500000 2000 0 rw share");
    EXPECT_EQ(statuses("w 500000 4 =12345678"), std::vector<uint32_t>({0x114}));
    uint32_t frame = pte(1, 0x500000) >> 12;
    EXPECT_EQ(pte(1, 0x500000) & 0xFFF, 0x067u);
    EXPECT_EQ(pfn(frame).Flags, 0x609);
    EXPECT_EQ(statuses("r 501000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(pte(1, 0x501000) & 0xFFF, 0x027u); // clean
    ok("unmap 500000");
    EXPECT_EQ(pfn(frame).Flags, 0x309); // dirty file page: Modified, still the file's
    ok("map 1 600000 2000 0 r");
    EXPECT_EQ(statuses("r 600000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(last.data, 0x12345678u);
}

TEST_F(NtSection, ForkThenWrite) { // S-84
    a2();
    ASSERT_EQ(pte(1, 0x410000), 0x00404067u);
    uint32_t before = view().total_committed;
    ok("fork 2 1 21");
    EXPECT_EQ(view().total_committed, before + 7);
    EXPECT_EQ(pte(1, 0x410000), 0x00404225u);
    mmpfn shared = pfn(0x404);
    EXPECT_EQ(kernel(shared.PteAddress), 0x00404321u);
    EXPECT_EQ(shared.Flags, 0x609);
    EXPECT_EQ(shared.ContainingFrame, pool_frame(shared.PteAddress));
    EXPECT_EQ(shared.OriginalPte, 0xA0u);
    EXPECT_EQ(shared.u2, 1u);
    EXPECT_EQ(pfn(shared.ContainingFrame).u2, 2u);
    EXPECT_EQ(pte(2, 0x410000), uint32_t(pte_pointer(shared.PteAddress)));
    EXPECT_EQ(wsle(1, 0x410000), std::vector<uint32_t>({0x00410601}));
    ok("x 0 21");
    EXPECT_EQ(statuses("r 410000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(resolved_kind(), FAULT_CLONE);
    EXPECT_EQ(last.data, 0xAAu);
    EXPECT_EQ(pte(2, 0x410000), 0x00404225u);
    EXPECT_EQ(pfn(0x404).u2, 2u);
    EXPECT_EQ(statuses("w 410000 4 =77"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(resolved_kind(), FAULT_COW_FORK);
    EXPECT_EQ(pte(2, 0x410000) & 0xFFF, 0x067u);
    EXPECT_EQ(pfn(0x404).u2, 1u);
    ok("x 0 11");
    EXPECT_TRUE(statuses("r 410000 4").empty());
    EXPECT_EQ(last.data, 0xAAu);
    EXPECT_EQ(statuses("w 410000 4 =66"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(resolved_kind(), FAULT_COW_REUSE);
    EXPECT_EQ(tlb_count(LOG_INVLPG, 0x410000), 1u);
    EXPECT_EQ(pte(1, 0x410000), 0x00404067u);
    EXPECT_EQ(pfn(0x404).Flags, 0x601);
    EXPECT_EQ(pfn(0x404).PteAddress, 0xC0001040u);
    EXPECT_EQ(pfn(0x404).ContainingFrame, 0x403u);
    EXPECT_EQ(pfn(0x404).OriginalPte, 0x80u);
    EXPECT_EQ(wsle(1, 0x410000), std::vector<uint32_t>({0x00410401}));
    ok("x 0 21\nr 410000 4");
    EXPECT_EQ(last.data, 0x77u);
    ok("proc- 2");
    EXPECT_EQ(view().total_committed, before);
}

TEST_F(NtSection, ForkOfATrimmedPage) { // S-85, its transition half
    a2();
    ok("trim 1 all force");
    ASSERT_EQ(pte(1, 0x410000), 0x00404886u);
    ok("fork 2 1 21");
    uint32_t pointer = pte(2, 0x410000);
    EXPECT_EQ(pte(1, 0x410000), pointer);
    EXPECT_EQ(kernel(pte_pointer_target(pointer)), 0x004048A0u);
    EXPECT_EQ(pfn(0x404).Flags, 0x309);
    EXPECT_EQ(pfn(pde(1, 0x410000) >> 12).u2, 1u);
    ok("x 0 21");
    EXPECT_EQ(statuses("r 410000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(last.data, 0xAAu);
    ok("proc- 1\nr 410000 4");
    EXPECT_EQ(last.data, 0xAAu);
    EXPECT_EQ(statuses("w 410000 4 =1"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(resolved_kind(), FAULT_COW_REUSE); // P1 is gone: the last owner keeps the frame
    EXPECT_EQ(pte(2, 0x410000) >> 12, 0x404u);
    ok("x 0 21\nproc- 2");
    EXPECT_EQ(pfn(0x404).Flags, 0x100);
}

TEST_F(NtSection, ForkOfViews) { // rule 9
    base();
    ok("sec+ 1 image 4000 \"/img\"\nsub 1 0 1000 0 r\nsub 1 1000 2000 1000 wc\nsub 1 3000 1000 - rw\n"
       "map 1 400000 4000 0 image\nr 400000 4\nw 401000 4 =11\nw 403000 4 =33\nprot 402000 1000 r");
    uint32_t file_page = pte(1, 0x400000) >> 12;
    ok("fork 2 1 21");
    EXPECT_EQ(pte(2, 0x400000), uint32_t(pte_pointer(pfn(file_page).PteAddress)));
    EXPECT_EQ(pte(2, 0x402000), 0xFFFFF420u);
    EXPECT_EQ(pfn(file_page).u2, 1u);
    ok("x 0 21\nr 401000 4");
    EXPECT_EQ(last.data, 0x11u);
    EXPECT_EQ(resolved_kind(), FAULT_CLONE);
    ok("r 403000 4");
    EXPECT_EQ(last.data, 0x33u);
    EXPECT_EQ(statuses("r 400000 4"), std::vector<uint32_t>({0x110}));
    EXPECT_EQ(resolved_kind(), FAULT_FILE);
    EXPECT_EQ(statuses("w 401000 4 =22"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(exception("w 402000 4"), 0xC0000005u);
    ok("x 0 11\nr 401000 4");
    EXPECT_EQ(last.data, 0x11u);
    ok("fork 3 1 31\nx 0 31\nr 401000 4"); // a fork of what was forked: the same prototype
    EXPECT_EQ(last.data, 0x11u);
    EXPECT_EQ(pfn(pte(3, 0x401000) >> 12).u2, 2u);
    EXPECT_EQ(statuses("w 401000 4 =44"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(resolved_kind(), FAULT_COW_FORK);
    ok("proc- 3\nx 0 21\nproc- 2\nx 0 11\nr 401000 4");
    EXPECT_EQ(last.data, 0x11u);
    EXPECT_EQ(statuses("w 401000 4 =55"), std::vector<uint32_t>({0x112}));
    EXPECT_EQ(resolved_kind(), FAULT_COW_REUSE);
}

TEST_F(NtSection, ForkFailsWithoutCommitAndChangesNothing) {
    base();
    uint32_t limit = view().commit_limit, used = view().total_committed;
    char line[96];
    snprintf(line, sizeof line, "alloc 1000000 %x rc rw\nw 1000000 4 =5", (limit - used) / 2 * 0x1000 + 0x100000);
    ok(line);
    uint32_t before = view().total_committed, entry = pte(1, 0x1000000);
    ok("inject commit-limit");
    EXPECT_EQ(service("fork 2 1 21"), 0xC000012Du);
    EXPECT_EQ(view().total_committed, before);
    EXPECT_EQ(pte(1, 0x1000000), entry);
}

TEST_F(NtSection, ExecEmptiesTheProcess) { // rule 10
    base();
    uint32_t before = view().total_committed, directory = uint32_t(cr3(1));
    ok("alloc 410000 3000 rc rw\nw 410000 4 =AA\nsec+ 1 data 1000 \"/f\"\nmap 1 500000 1000 0 r\nr 500000 4");
    uint32_t frame = pte(1, 0x410000) >> 12, file_page = pte(1, 0x500000) >> 12;
    ok("fork 2 1 21\nexec 1 \"other\"");
    EXPECT_EQ(tlb_count(LOG_CR3_OTHER, directory) >= 1, true);
    EXPECT_EQ(cr3(1), directory);
    EXPECT_EQ(pde(1, 0x410000), 0u);
    EXPECT_EQ(pfn(file_page).Flags, 0x208);
    EXPECT_EQ(exception("r 410000 4"), 0xC0000005u);
    ok("x 0 21\nr 410000 4");
    EXPECT_EQ(last.data, 0xAAu);
    EXPECT_EQ(pte(2, 0x410000) >> 12, frame);
    ok("proc- 2\nx 0 11\nmap 1 600000 1000 0 r"); // the section's number outlives both
    EXPECT_EQ(statuses("r 600000 4"), std::vector<uint32_t>({0x110}));
    ok("unmap 600000");
    EXPECT_EQ(view().total_committed, before);
}

TEST_F(NtSection, MovedPages) { // rule 12
    a2();
    ok("alloc 900000 3000 rc rw\nw 411000 4 =BB");
    uint32_t first = pte(1, 0x410000), second = pte(1, 0x411000), before = view().total_committed;
    ok("move 410000 900000 3000");
    EXPECT_EQ(pte(1, 0x900000), first);
    EXPECT_EQ(pte(1, 0x901000), second);
    EXPECT_EQ(pte(1, 0x902000), 0u);
    EXPECT_EQ(pde(1, 0x410000), 0u); // its table has nothing in use
    EXPECT_EQ(pfn(first >> 12).PteAddress, 0xC0002400u);
    EXPECT_EQ(pfn(first >> 12).ContainingFrame, pde(1, 0x900000) >> 12);
    EXPECT_EQ(pfn(pde(1, 0x900000) >> 12).u2, 3u);
    EXPECT_EQ(wsle(1, 0x900000), std::vector<uint32_t>({0x00900401}));
    EXPECT_TRUE(wsle(1, 0x410000).empty());
    EXPECT_EQ(tlb_count(LOG_INVLPG, 0x410000), 1u);
    EXPECT_EQ(tlb_count(LOG_INVLPG, 0x411000), 1u);
    EXPECT_EQ(view().total_committed, before);
    EXPECT_TRUE(statuses("r 901000 4").empty());
    EXPECT_EQ(last.data, 0xBBu);
}

TEST_F(NtSection, MissingKernelPdeIsCopied) { // S-09
    base();
    second();
    run("pool paged 1000 Tst");
    EXPECT_EQ(last.service_out[0], 0xE1000000u);
    ok("x 0 21");
    va_t block = 0xE1000000;
    uint32_t master = pde(kSystem, block);
    run("k r e1000000 4");
    EXPECT_EQ(last.stop, MACHINE_RUNS);
    EXPECT_EQ(pde(2, block), master);
    run("k r e1fff000 4");
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0x50u);
}

TEST_F(NtSection, PoolBlocks) { // NT-84
    base();
    auto allocate = [&](const char *line) {
        run(line);
        return uint32_t(last.service_out[0]);
    };
    uint32_t a = allocate("pool nonpaged 20"), b = allocate("pool nonpaged 20"), page = allocate("pool nonpaged 1000");
    EXPECT_EQ(a % 8, 0u);
    EXPECT_EQ(b, a + 0x28); // 8 bytes of header between them
    EXPECT_EQ(page & 0xFFF, 0u);
    EXPECT_GE(a, 0x80260000u);
    EXPECT_LT(a, 0x80400000u);
    uint32_t paged = allocate("pool paged 18");
    EXPECT_EQ(paged & 0xFF000000, 0xE1000000u);
    char line[64];
    snprintf(line, sizeof line, "poolfree %x", a);
    run(line);
    EXPECT_EQ(last.stop, MACHINE_RUNS);
    EXPECT_EQ(allocate("pool nonpaged 20"), a);
    snprintf(line, sizeof line, "poolfree %x\npoolfree %x", paged, paged);
    run(line);
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0xC2u);
    EXPECT_EQ(last.bugcheck_p[0], 7u);
}

TEST_F(NtSection, PagedPoolAtDispatchLevel) { // NT-84: C2, first parameter 8, then IRQL, type, size
    base();
    run("irql 0 2\npool nonpaged 10");
    EXPECT_EQ(last.stop, MACHINE_RUNS);
    run("pool paged 10");
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0xC2u);
    EXPECT_EQ(last.bugcheck_p[0], 8u);
    EXPECT_EQ(last.bugcheck_p[1], 2u);
    EXPECT_EQ(last.bugcheck_p[2], 1u);
    EXPECT_EQ(last.bugcheck_p[3], 0x10u);
}

TEST_F(NtSection, CorruptPoolHeader) {
    base();
    run("pool nonpaged 10");
    uint32_t block = uint32_t(last.service_out[0]);
    char line[64];
    snprintf(line, sizeof line, "k w %x 4 =0\npoolfree %x", block - 8, block);
    run(line);
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0x19u);
}

TEST_F(NtSection, NonPagedPoolExpands) { // NT-84: system addresses from FA000000, frames locked for ever
    base();
    uint32_t available = view().available_pages;
    run("pool nonpaged 1a1000"); // more than the initial pool has
    EXPECT_EQ(last.service_out[0], 0xFA000000u);
    EXPECT_EQ(view().available_pages, available - 0x1A1);
    table_path path = table_walk(machine_memory(m), cr3(kSystem), CR4_PSE, 0xFA000000);
    EXPECT_EQ(path.pte & 0xFFF, 0x163u);
    mmpfn entry = pfn(path.pa >> PAGE_SHIFT);
    EXPECT_EQ(entry.Flags, 0x601);
    EXPECT_EQ(entry.u2, 1u);
    EXPECT_EQ(entry.ReferenceCount, 1);
    EXPECT_EQ(entry.PteAddress, 0xC03E8000u);
    ok("k w fa000000 4 =11\nk r fa000000 4");
    EXPECT_EQ(last.data, 0x11u);
    run("pool nonpaged ffffffff");
    EXPECT_EQ(last.service_out[0], 0u);
}

TEST_F(NtSection, FreedPagedPoolGivesItsFramesBack) {
    base();
    run("pool paged 3000");
    uint32_t block = uint32_t(last.service_out[0]), commit = view().total_committed;
    char line[128];
    snprintf(line, sizeof line, "k w %x 4 =1\nk w %x 4 =1", block, block + 0x2000);
    ok(line);
    uint32_t frame = pool_frame(block), available = view().available_pages;
    EXPECT_EQ(pfn(frame).Flags, 0x601);
    snprintf(line, sizeof line, "poolfree %x", block);
    run(line);
    EXPECT_EQ(pfn(frame).Flags, 0x100);
    EXPECT_EQ(view().available_pages, available + 2);
    EXPECT_EQ(view().total_committed, commit);
    EXPECT_NE(tlb().find("I"), std::string::npos); // the translations must go
    run("pool paged 3000");
    EXPECT_EQ(last.service_out[0], block);
    snprintf(line, sizeof line, "k r %x 4", block);
    ok(line);
    EXPECT_EQ(last.data, 0u); // demand-zero again
}

TEST_F(NtSection, StandbyPageOfAFileIsRepurposed) { // P04, NT-64: the subsection form comes back
    base();
    ok("sec+ 1 data 1000 \"/f\"\nmap 1 500000 1000 0 r\nr 500000 4\ntrim 1 all force");
    va_t proto = pte_pointer_target(pte(1, 0x500000));
    uint32_t frame = kernel(proto) >> 12, pool = pool_frame(proto);
    ASSERT_EQ(kernel(proto) & 0xFFF, 0x820u);
    ASSERT_EQ(pfn(pool).u2, 2u);
    uint32_t original = pfn(frame).OriginalPte;
    EXPECT_EQ(original & 0x80000400, 0x80000400u);
    ok("drain 0");
    EXPECT_EQ(kernel(proto), original);
    EXPECT_EQ(pfn(pool).u2, 1u);
    run("r 500000 4");
    EXPECT_TRUE(last.blocked); // no frame: it waits
    ok("undrain 10");
    run("r 500000 4");
    EXPECT_EQ(last.data, file_word(file_identity("/f"), 0));
}

TEST_F(NtSection, NoClusterWhenFramesAreShort) { // NT-58: extras only while plenty are available
    base();
    ok("sec+ 1 data 8000 \"/f\"\nmap 1 500000 8000 0 r\nk r e1000000 4\ndrain 20");
    EXPECT_EQ(statuses("r 500000 4"), std::vector<uint32_t>({0x114}));
    EXPECT_EQ(records(LOG_IO).size(), 2u);
    EXPECT_EQ(statuses("r 501000 4"), std::vector<uint32_t>({0x114}));
}

TEST_F(NtSection, ForkOfAProcessThatDoesNotRun) {
    a2();
    second();
    ok("x 0 21\nalloc 410000 1000 rc rw\nw 410000 4 =BB\nfork 3 1 31\nr 410000 4");
    EXPECT_EQ(last.data, 0xBBu);
    ok("x 0 31\nr 410000 4");
    EXPECT_EQ(last.data, 0xAAu);
    EXPECT_EQ(pte(1, 0x410000), 0x00404225u);
}

TEST_F(NtSection, ReservedSectionIsCommittedThroughItsView) { // S-71: T
    base();
    uint32_t before = view().total_committed;
    EXPECT_EQ(service("call NtCreateSection 2 10000 4 4000000 0"), 0u);
    EXPECT_EQ(view().total_committed, before);
    EXPECT_EQ(service("call NtCreateSection 4 10000 4 9000000 0"), 0xC00000F4u); // IMAGE with COMMIT
    EXPECT_EQ(service("call NtCreateSection 5 10000 6000 8000000 0"), 0xC0000045u);
    ok("map 2 500000 10000 0 rw share");
    EXPECT_EQ(exception("r 500000 4"), 0xC0000005u);
    ok("alloc 500000 2000 c rw");
    EXPECT_EQ(view().total_committed, before + 1 + 2); // page table and two pages
    EXPECT_EQ(statuses("w 500000 4 =7"), std::vector<uint32_t>({0x111}));
    EXPECT_EQ(exception("r 502000 4"), 0xC0000005u);
    ok("unmap 500000\nsec- 2");
    EXPECT_EQ(view().total_committed, before);
}

TEST_F(NtSection, ArgumentsOfMapView) { // S-74, order of NT-105
    base();
    ok("sec+ 1 page 10000 \"S\"");
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 0 16 0 0 1000 1 0 4"), 0xC00000F2u);
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 0 0 0 0 1000 3 0 4"), 0xC00000F6u);
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 0 0 0 0 1000 1 1 4"), 0xC00000F7u);
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 0 0 0 0 1000 1 0 6000"), 0xC0000045u);
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 80000000 0 0 0 1000 1 0 4"), 0xC00000F1u);
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 0 0 0 0 0 1 0 4"), 0u);
    EXPECT_EQ(last.service_out[0], 0x10000u); // bottom-up
    EXPECT_EQ(last.service_out[1], 0x10000u); // all of it
    EXPECT_EQ(service("call NtMapViewOfSection 1 ffffffff 0 0 0 0 1000 2 100000 4"), 0u);
    EXPECT_EQ(last.service_out[0], 0x7FFD0000u); // top-down; ViewUnmap: a child does not have it
    ok("w 7ffd0000 4 =1\nw 10000 4 =2\nfork 2 1 21\nx 0 21");
    EXPECT_EQ(exception("r 7ffd0000 4"), 0xC0000005u);
    EXPECT_EQ(statuses("w 10000 4 =3"), std::vector<uint32_t>({0x110})); // shared, not copied
    ok("x 0 11\nr 10000 4");
    EXPECT_EQ(last.data, 3u);
    EXPECT_EQ(service("call NtCreateSection 7 10000 2 8000000 0"), 0u); // read-only
    EXPECT_EQ(service("call NtMapViewOfSection 7 ffffffff 0 0 0 0 1000 1 0 4"), 0xC000004Eu);
}

TEST(NtSectionHyperspace, ForkAndCopyWithoutDirectMap) { // CFG-B: frames from 400 on are mapped for each use
    NtMachine n(NtMachine::manual(OS_CFG_B));
    ASSERT_NE(n.m, nullptr) << n.error;
    n.ok("proc+ 1 0 \"p1\"\nthr+ 11 1\nx 0 11\nalloc 410000 100000 rc rw\nw 410000 100000 =AA");
    n.ok("fork 2 1 21\nx 0 21\nm 410000 100000 =77\nx 0 11");
    n.ok("r 410000 4");
    EXPECT_EQ(n.last.data, 0xAAu);
    n.ok("m 410000 100000 =66\nx 0 21\nr 50f000 4\nproc- 2\nx 0 11\nproc- 1");
    EXPECT_EQ(n.view().total_committed, 0u);
}
