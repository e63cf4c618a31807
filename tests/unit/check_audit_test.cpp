/* The audit against the real kernel: quiet over everything a process does, and each invariant reported when one field
 * is corrupted behind the kernel's back. Frames are those of NT-02's CFG-A: process 1 has directory 400, hyperspace
 * table 401, working-set page 402, page table 403 (for 400000..7FFFFF), first page 404. */
#include "check_harness.h"

#define _Noreturn [[noreturn]]
extern "C" {
#include "check/peek.h"
#include "nt/mi.h"
}

static const char *const START = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 410000 3000 rc rw\nw 410000 4 =aa\n";
static const uint64_t STARTED = 5; /* index of the event behind START */

static Replay nt_replay(const std::function<void(machine *)> &corrupt = nullptr, uint64_t at = STARTED) {
    Replay r;
    r.flags = CHECK_AUDIT | CHECK_EXPECT;
    r.os = &nt_os_ops;
    r.os_options.manual_threads = true;
    r.audit_interval = 1;
    r.preset[0] = r.preset[1] = small_preset(16, 4);
    if (corrupt) {
        r.before = [corrupt, at](uint64_t event, machine *m, machine *) {
            if (event == at) { corrupt(m); }
        };
    }
    return r;
}

/* An event that touches nothing follows the corruption. */
static Outcome corrupted(const std::function<void(machine *)> &corrupt) {
    return nt_replay(corrupt).run(std::string(START) + "irql 0 0\n");
}

/* The same behind these lines. */
static Outcome damaged(const std::string &lines, const std::function<void(machine *)> &corrupt) {
    uint64_t events = 0;
    for (char c : lines) { events += c == '\n'; }
    return nt_replay(corrupt, events).run(lines + "irql 0 0\n");
}

static pa_t pfn_pa(pfn_t frame) { return 0x200000 + PFN_SIZE * frame; }

static void change32(machine *m, pa_t pa, uint32_t value) { physmem_write32(machine_memory(m), pa, value); }
static void change16(machine *m, pa_t pa, uint16_t value) { physmem_write(machine_memory(m), pa, &value, 2); }

static std::function<void(machine *)> store32(pa_t pa, uint32_t value) {
    return [=](machine *m) { change32(m, pa, value); };
}
static std::function<void(machine *)> store16(pa_t pa, uint16_t value) {
    return [=](machine *m) { change16(m, pa, value); };
}

enum { U1 = 0, PTE_ADDRESS = 4, U2 = 8, FLAGS = 12, REFERENCE = 14, CONTAINING = 20 };

TEST(Audit, AProcessLifeIsQuiet) {
    Outcome o =
        nt_replay().run(std::string(START) + "expect pte.410000=404067\nw 411000 4\nr 412000 4\nsec+ 1 page 4000 "
                                             "\"\"\nmap 1 500000 4000 0 rw share\nw 500000 4\nr 502000 4\n"
                                             "sec+ 2 data 3000 \"f\"\nmap 2 600000 3000 0 wc\nr 600000 4\nw 601000 "
                                             "4\nfork 2 1 201\nw 410000 4\nx 0 201\nr 411000 4\n"
                                             "w 411000 4\nw 500000 4\ntrim 2 all force\nr 411000 4\nr 500000 4\nfork 3 "
                                             "2 301\nx 0 301\nw 411000 4\nexec 3 \"b\"\n"
                                             "alloc 20000 2000 rc rw\nw 20000 4\nprot 20000 1000 r\nfree 20000 1000 "
                                             "d\nx 0 101\nproc- 3\nunmap 500000\nproc- 2\n"
                                             "mdl+ 1 410000 2000 w\ntrim 1 all force\nmdl- 1\nrun zero\nfree 410000 0 "
                                             "r\npool paged 5000\npool nonpaged 100\ndrain 30\nundrain 5\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

struct Injection {
    const char *name;
    std::function<void(machine *)> corrupt;
    std::vector<const char *> says;
};

class AuditInjection : public ::testing::TestWithParam<Injection> {};

TEST_P(AuditInjection, IsReported) {
    Outcome o = corrupted(GetParam().corrupt);
    ASSERT_EQ(o.verdict, CHECK_FAILED);
    for (const char *text : GetParam().says) { EXPECT_TRUE(o.says(text)) << "expected: " << text << "\n" << o.report; }
    EXPECT_TRUE(o.says("after event 5 (line 7): irql 0 0")) << o.report;
}

static const pa_t WS = 0x402000, TABLE = 0x403000;

// NT-13: the system's directory 30 and the process's copy of it agree, and are wrong.
static std::function<void(machine *)> direct_map_pde(unsigned index, uint32_t value) {
    return [=](machine *m) {
        change32(m, 0x30000 + 4 * index, value);
        change32(m, 0x400000 + 4 * index, value);
    };
}

TEST(Audit, DirectMap) {
    EXPECT_TRUE(corrupted(direct_map_pde(0x20F, 0x038001E3))
                    .says("audit I10: direct map: PDE of 83c00000 expected 03c00083, found 038001e3"));
    EXPECT_TRUE(corrupted(direct_map_pde(0x20F, 0x03C001E7))
                    .says("audit I10: direct map: PDE of 83c00000 expected 03c00083, found 03c001e7"));
    EXPECT_TRUE(corrupted(direct_map_pde(0x20E, 0)).says("audit I10: direct map: a hole below 83c00000"));
}

TEST(Audit, DirectMapOfPageTables) { // 80400000's is frame 3FD5
    Replay quiet = nt_replay(), wrong = nt_replay(store32(0x3FD5010, 0x00405163));
    quiet.os_options.boot = wrong.os_options.boot = OS_CFG_NOPSE;
    Outcome o = quiet.run(std::string(START) + "irql 0 0\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
    o = wrong.run(std::string(START) + "irql 0 0\n");
    EXPECT_TRUE(o.says("audit I10: direct map: PTE of 80404000 expected 00404003, found 00405163")) << o.report;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, AuditInjection,
    ::testing::
        Values(
            Injection{"link_back",
                      store32(pfn_pa(0x406) + U2, 0x500),
                      {"audit I1: frame 406: link to the frame before it expected 405, found 500"}},
            Injection{"link_forward",
                      store32(pfn_pa(0x406) + U1, 0x405),
                      {"audit I1: frame 405: met a second time, on the Free list"}},
            Injection{"link_nowhere",
                      store32(pfn_pa(0x406) + U1, 0x999999),
                      {"audit I1: Free list: a link leads to frame 999999"}},
            Injection{"list_ends_early",
                      store32(pfn_pa(0x406) + U1, 0xFFFFFFFF),
                      {"audit I1: Free list: last frame expected 406"}},
            Injection{"wrong_location",
                      store16(pfn_pa(0x406) + FLAGS, 0x0200),
                      {"audit I1: frame 406: location (on a list) expected 1, found 2"}},
            Injection{"list_count",
                      [](machine *m) { machine_os(m)->MmPageLocationList[FreePageList].Count++; },
                      {"audit I1: Free list: count expected"}},
            Injection{"not_on_its_list",
                      store16(pfn_pa(0x404) + FLAGS, 0x0201),
                      {"audit I1: frame 404: on the list of its location expected 1, found 0"}},
            Injection{"available",
                      [](machine *m) { machine_os(m)->MmAvailablePages++; },
                      {"audit I2: MmAvailablePages expected"}},
            Injection{"pte_address",
                      store32(pfn_pa(0x404) + PTE_ADDRESS, 0xC0001044),
                      {"audit I3: frame 404: PTE address expected c0001040, found c0001044"}},
            Injection{"containing",
                      store32(pfn_pa(0x404) + CONTAINING, 0x400),
                      {"audit I3: frame 404: containing frame expected 403, found 400"}},
            Injection{"transition_while_mapped",
                      store16(pfn_pa(0x404) + FLAGS, 0x0701),
                      {"audit I3: frame 404: location of a mapped frame expected 6, found 7"}},
            Injection{
                "reserved_flags", store16(pfn_pa(0x404) + FLAGS, 0x1601), {"audit I3: frame 404: flags bits 12 to 15"}},
            Injection{"prototype_flag_of_a_table",
                      store16(pfn_pa(0x403) + FLAGS, 0x0609),
                      {"audit I3: frame 403: prototype flag expected 0, found 1"}},
            Injection{"read_while_mapped",
                      store16(pfn_pa(0x404) + FLAGS, 0x0603),
                      {"audit I5: frame 404 is being read: location expected 7, found 6"}},
            Injection{"transition_beyond_ram",
                      store32(TABLE + 0x40, 0x3FFFF880),
                      {"audit I10: PTE at c0001040 of process 1: frame expected below 4000, found 3ffff"}},
            Injection{"hyperspace_pde",
                      store32(0x400C04, 0),
                      {"audit I10: process 1: hyperspace PDE expected valid, found 00000000"}},
            Injection{"commit_of_a_process", /* three pages and their page table */
                      [](machine *m) { machine_os(m)->Processes->CommitCharge++; },
                      {"audit I7: process 1: commit charge expected 4, found 5"}},
            Injection{"entries_too_many",
                      store32(WS + 0x1C, 0x7C000),
                      {"audit I8: process 1, working-set list, index of the last initialised entry below 7c000: "
                       "expected 7c000, found 7c000"}},
            Injection{"locked_entry",
                      store32(WS + 0x690 + 4 * 4, 0x00410403),
                      {"audit I8: process 1, working-set entry: locked, as its place in the fixed part 4: expected 0, "
                       "found 1"}},
            Injection{"ws_index",
                      store32(pfn_pa(0x404) + U1, 5),
                      {"audit I3: frame 404 (process 1, 00410000): working-set index expected 4, found 5"}},
            Injection{"in_use_and_named_by_nobody",
                      [](machine *m) {
                          event drain{};
                          drain.kind = EV_DRAIN;
                          machine_step(m, &drain); /* every frame is taken; one of them for an address */
                          change32(m, pfn_pa(0x406) + PTE_ADDRESS, 0xC0001044);
                      },
                      {"audit I3: frame 406: no PTE names it, expected location Zeroed, Free or Bad, found Active"}},
            Injection{"nobody_names_it", store32(TABLE + 0x40, 0), {"audit I9", "used count expected 0, found 1"}},
            Injection{"prototype_flag",
                      store16(pfn_pa(0x404) + FLAGS, 0x0609),
                      {"audit I12: frame 404: valid user PTEs without a valid prototype expected 0, found 1"}},
            Injection{"share_of_a_page",
                      store32(pfn_pa(0x404) + U2, 2),
                      {"audit I4: frame 404: share count expected 1, found 2"}},
            Injection{"share_of_a_table",
                      store32(pfn_pa(0x403) + U2, 3),
                      {"audit I4: frame 403: share count expected 2, found 3"}},
            Injection{"share_of_a_directory",
                      store32(pfn_pa(0x400) + U2, 9),
                      {"audit I4: frame 400: share count expected 3, found 9"}},
            Injection{"reference",
                      store16(pfn_pa(0x404) + REFERENCE, 2),
                      {"audit I5: frame 404: reference count expected 1, found 2"}},
            Injection{"reference_on_a_list",
                      store16(pfn_pa(0x406) + REFERENCE, 1),
                      {"audit I5: frame 406: reference count on a list expected 0, found 1"}},
            Injection{"slot_twice",
                      [](machine *m) {
                          change32(m, TABLE + 0x44, 0x00005080);
                          change32(m, TABLE + 0x48, 0x00005080);
                          change16(m, WS + 0x32, 3);
                      },
                      {"audit I6: slot 5 of paging file 0: expected one PTE or frame to name it, found c000104"}},
            Injection{"commit_total",
                      [](machine *m) { machine_os(m)->MmTotalCommittedPages++; },
                      {"audit I7: committed pages expected"}},
            Injection{"commit_bitmap",
                      store32(WS + 0x630, 6),
                      {"audit I7: process 1: page-table bitmap word 0 expected 00000002, found 00000006"}},
            Injection{"free_chain_loop",
                      store32(WS + 0x690 + 4 * 6, 5 << 4),
                      {"audit I8: process 1, working-set free chain"}},
            Injection{"free_chain_short",
                      store32(WS + 0x690 + 4 * 6, 0xFFFFFFF0),
                      {"audit I8: process 1, working-set free chain, used entries 5: expected 257, found 2"}},
            Injection{"entry_lost",
                      store32(WS + 0x690 + 4 * 4, 5 << 4),
                      {"audit I3: process 1, working-set entries for its valid PTEs"}},
            Injection{"entry_of_nothing",
                      store32(WS + 0x690 + 4 * 4, 0x00412401),
                      {"audit I3: process 1, working-set entry: PTE of its page"}},
            Injection{"used_count",
                      store16(WS + 0x32, 2),
                      {"audit I9: process 1, page table 001 (00400000): used count expected 1, found 2"}},
            Injection{"outside_vads",
                      store32(TABLE + 0x400, 0x00404067),
                      {"audit I10: process 1, 00500000: PTE 00404067 is valid, expected none outside the VADs"}},
            Injection{"frame_beyond_ram",
                      store32(TABLE + 0x40, 0x3FFFF067),
                      {"audit I10: process 1, 00410000: PTE 3ffff067"}},
            Injection{"self_map",
                      store32(0x400C00, 0x00401063),
                      {"audit I10: process 1: self-map PDE expected frame 400, found 00401063"}},
            Injection{"kernel_pde",
                      store32(0x400000 + 0x201 * 4, 0x008001E3),
                      {"audit I10: process 1: PDE 201 expected 0 or the system's 004001e3"}},
            Injection{"free_frame_mapped",
                      store32(TABLE + 0x40, 0x00500067),
                      {"audit I12: frame 500: the valid PTE at c0001040 of process 1 maps it"}},
            Injection{
                "mapped_twice",
                [](machine *m) {
                    change32(m, TABLE + 0x44, 0x00404067);
                    change16(m, WS + 0x32, 2);
                },
                {"audit I3: frame 404: expected one PTE to own it, found those at c0001040 (process 1) and c0001044 "
                 "(process 1)"}}),
    [](const ::testing::TestParamInfo<Injection> &info) { return std::string(info.param.name); });

/* ---- what needs lines of its own ---- */

static const char *const DISK = "pagefile 400000 400000\n"; /* before START */
/* What left a working set goes to the disk, its frame to somebody else. */
static const std::string OUT = "run mpw\nrun apc\ndrain 0\nundrain 100\n";
static const std::string TABLE_OUT = std::string(DISK) + START + "trim 1 all force\n" + OUT + "trim 1 all force\n";
static const std::string SWAPPED = /* of process 2: directory 403, hyperspace table 404, in it the list's page */
    "proc+ 1 0 \"a\"\nthr+ 101 1\nproc+ 2 0 \"b\"\nthr+ 201 2\nx 0 201\nalloc 410000 2000 rc rw\nw 410000 4 =aa\n"
    "x 0 101\ncall KeOutswapProcess 2\n";
static const std::string SYSTEM_VIEW = std::string(START) + "sec+ 1 page 20000 \"\"\ncall MmMapViewInSystemSpace 1 0\n";

/* The frame mapped at 410000 of process 1 is another's: the entry of the working set agrees. */
static void map_in_process_1(machine *m, pfn_t frame) {
    change32(m, TABLE + 0x40, (uint32_t)frame << 12 | 0x67);
    change32(m, pfn_pa(frame) + U1, 4);
}

/* Where the kernel has it. */
static pa_t kernel_pa(machine *m, va_t va) {
    table_path path = table_walk(machine_memory(m), 0x30000, CR4_PSE, va);
    EXPECT_TRUE(path.present) << std::hex << va;
    return path.pa;
}
static pa_t kernel_pte_pa(machine *m, va_t va) {
    return (peek_pde(m, 0x30000, va) & 0xFFFFF000) + MiGetPteIndex(va) * 4;
}

struct Damage {
    const char *name;
    std::string lines;
    std::function<void(machine *)> corrupt;
    const char *says;
};

static std::string damage_name(const ::testing::TestParamInfo<Damage> &info) { return info.param.name; }

class AuditDamage : public ::testing::TestWithParam<Damage> {};

TEST_P(AuditDamage, IsReported) {
    const Damage &d = GetParam();
    EXPECT_TRUE(damaged(d.lines, d.corrupt).fails_saying({d.says, "irql 0 0"}));
}

INSTANTIATE_TEST_SUITE_P(
    Processes, AuditDamage,
    ::testing::Values(
        Damage{"locked_and_trimmed", std::string(START) + "mdl+ 1 410000 1000 w\ntrim 1 all force\n",
               store16(pfn_pa(0x404) + FLAGS, 0x0601),
               "audit I3: frame 404: location of a frame in transition (2 to 4, or) expected 7, found 6"},
        Damage{"pinned_directory", SWAPPED, store16(pfn_pa(0x403) + FLAGS, 0x0701),
               "audit I3: frame 403: location of a pinned table expected 6, found 7"},
        Damage{"share_of_a_pinned_directory", SWAPPED, store32(pfn_pa(0x403) + U2, 3),
               "audit I4: frame 403: share count expected 2, found 3"},
        Damage{"outswapped_list_beyond_ram", SWAPPED, store32(0x404408, 0x3FFFF882),
               "audit I10: PTE at c0301408 of process 2: frame expected below 4000, found 3ffff"},
        Damage{"outswapped_hyperspace_beyond_ram", SWAPPED, store32(0x403C04, 0x3FFFF882),
               "audit I10: PTE at c0300c04 of process 2: frame expected below 4000, found 3ffff"},
        Damage{"mapped_for_a_driver", std::string(START) + "mdl+ 1 410000 1000 w\ncall MmMapLockedPages 1 1\n",
               store16(pfn_pa(0x404) + REFERENCE, 0),
               "audit I12: process 1, 00010000: PTE 00404067 maps a frame that nobody holds"},
        Damage{"in_a_table_that_is_away", TABLE_OUT, store32(TABLE + 0x44, 0x00500880),
               "audit I4: process 1, 00411000: PTE 00500880 names a frame, and its page table is away"},
        Damage{"table_beyond_ram", TABLE_OUT, store32(0x400004, 0x3FFFF880),
               "audit I10: PTE at c0300004 of process 1: frame expected below 4000, found 3ffff"},
        Damage{"directory_of_another_process", std::string(START) + "proc+ 2 0 \"b\"\n",
               [](machine *m) { map_in_process_1(m, machine_os(m)->Processes->Next->DirectoryTableBase[0] >> 12); },
               "expected one PTE to own it, found those at c0001040 (process 1) and c0300c00 (process 2)"},
        Damage{"directory_beyond_ram", std::string(START) + "proc+ 2 0 \"b\"\n",
               [](machine *m) { machine_os(m)->Processes->Next->DirectoryTableBase[0] = 0x7FFFF000; },
               "audit I10: process 2: directory frame 7ffff does not exist"},
        Damage{"table_of_the_system", SYSTEM_VIEW,
               [](machine *m) { map_in_process_1(m, physmem_read32(machine_memory(m), 0x30A00) >> 12); },
               "expected one PTE to own it, found those at c0001040 (process 1) and c0300a00 (process 0)"}),
    damage_name);

/* NT-62, NT-99, NT-66; prototype PTEs begin at E1000008. */
static const std::string SECTION =
    std::string(START) + "sec+ 1 data 3000 \"f\"\nmap 1 500000 3000 0 r\nmap 1 600000 3000 0 r\n";
static control_area *area_of(machine *m) { return machine_os(m)->ControlAreas; }
static std::function<void(machine *)> area32(unsigned offset, uint32_t value) {
    return [=](machine *m) { change32(m, area_of(m)->Address - 0x80000000u + offset, value); };
}

INSTANTIATE_TEST_SUITE_P(
    Sections, AuditDamage,
    ::testing::Values(Damage{"section_ref", SECTION, area32(0x0C, 7), " (section 1): SectionRef expected 1, found 7"},
                      Damage{"mapped_views", SECTION, area32(0x14, 3), " (section 1): MappedViews expected 2, found 3"},
                      Damage{"user_ref", SECTION, area32(0x1C, 3), " (section 1): UserRef expected 2, found 3"},
                      Damage{"pfn_ref", SECTION, area32(0x10, 1), " (section 1): PfnRef expected 0, found 1"},
                      Damage{"commit", SECTION, [](machine *m) { area_of(m)->CommitCharge++; },
                             "audit I7: committed pages of sections expected 0, found 1"},
                      Damage{"in_use_and_on_a_queue", SECTION,
                             [](machine *m) { area_of(m)->Queue = control_area::AREA_UNUSED; },
                             " (section 1) is in use and on a queue"},
                      Damage{"unlisted_area", SECTION,
                             [](machine *m) { machine_os(m)->ControlAreas = area_of(m)->Next; },
                             ": a section or a view has it, the kernel's list has not"},
                      Damage{"forked_pages_of_nobody", std::string(START) + "fork 2 1 201\n",
                             [](machine *m) { machine_os(m)->CloneBlocks->Processes = 0; },
                             " of pages that were forked: no process has them"},
                      Damage{"prototypes_away", /* on the disk, in slot 1, is what stood at 410008 */
                             std::string(DISK) + START +
                                 "w 410008 4 =500121\nsec+ 1 page 1000 \"\"\ntrim 1 all force\n" + "run mpw\nrun apc\n",
                             [](machine *m) { change32(m, kernel_pte_pa(m, 0xE1000000), 0x00001080); },
                             "audit I4: prototype PTE at e1000008: 00500121 names a frame, and its page is away"}),
    damage_name);

/* NT-16, NT-17: F9FFF000, the first of the single entries, is handed out. */
static const std::string MAPPED = std::string(START) + "mdl+ 1 410000 1000 w\nmdlmap 1 0\n";
static mmsysptes *system_ptes(machine *m) { return &machine_os(m)->SystemPtes; }
static const va_t ENTRIES = 0xC0200000; /* of 80000000 */
static va_t entry_va(uint32_t reference) { return ENTRIES + (reference >> 12) * 4; }
/* The n-th entry of the first general run of a space. */
static std::function<void(machine *)> run32(unsigned n, const std::function<uint32_t(uint32_t)> &value) {
    return [=](machine *m) {
        uint32_t at = system_ptes(m)->MmFirstFreeSystemPte[0];
        pa_t pa = kernel_pa(m, entry_va(at) + 4 * n);
        change32(m, pa, value(n ? physmem_read32(machine_memory(m), pa) : at));
    };
}

INSTANTIATE_TEST_SUITE_P(
    SystemPtes, AuditDamage,
    ::testing::Values(
        Damage{"outside", MAPPED, [](machine *m) { system_ptes(m)->MmFirstFreeSystemPte[0] = 0; },
               "audit NT-16: system PTE space 0: a free list leads outside the space at c0200000 (entry "},
        Damage{"run_beyond_the_end", MAPPED, run32(1, [](uint32_t) { return 0xFFFFE000u; }),
               "audit NT-16: system PTE space 0: a free list leads outside the space at "},
        Damage{"run_links_to_itself", MAPPED, run32(0, [](uint32_t own) { return own; }),
               "audit NT-16: system PTE space 0: runs are neither in order nor grown together at "},
        Damage{"run_of_none", MAPPED, run32(1, [](uint32_t) { return 0u; }),
               "audit NT-16: system PTE space 0: a run of no entries at "},
        Damage{"free_entry_in_use", MAPPED, run32(2, [](uint32_t) { return 0x80u; }),
               "audit NT-16: system PTE space 0: a free entry is not 0 at "},
        Damage{"valid_and_free", MAPPED, run32(1, [](uint32_t count) { return count | 1; }),
               "audit NT-16: system PTE space 0: a valid entry is on a free list at "},
        Damage{
            "on_two_lists", MAPPED,
            [](machine *m) { system_ptes(m)->MmFreeSysPteListBySize[1] = system_ptes(m)->MmFreeSysPteListBySize[0]; },
            "audit NT-16: system PTE space 0: an entry is on two lists at "},
        Damage{
            "another_last_block", MAPPED,
            [](machine *m) { system_ptes(m)->MmLastSysPteListBySize[2] = system_ptes(m)->MmFreeSysPteListBySize[2]; },
            "audit NT-16: system PTE space 0: the last block is another at "},
        Damage{"free_entries", MAPPED, [](machine *m) { system_ptes(m)->MmTotalFreeSystemPtes[0] = 1; },
               "audit NT-17: system PTE space 0: free entries expected 1, found "},
        Damage{"free_entries_of_the_pool", MAPPED, [](machine *m) { system_ptes(m)->MmTotalFreeSystemPtes[1] = 1; },
               "audit NT-17: system PTE space 1: free entries expected 1, found "},
        Damage{"handed_out", MAPPED, [](machine *m) { system_ptes(m)->Reserved[0] = 2; },
               "audit NT-17: system PTE space 0: entries handed out expected 2, found 1"},
        Damage{"maps_a_free_frame", MAPPED, [](machine *m) { change32(m, kernel_pa(m, 0xC03E7FFC), 0x00500163); },
               "audit I12: frame 500: the system PTE c03e7ffc maps it, but nobody holds it"}),
    damage_name);

/* NT-29: the list's head, the system's working set, that of process 1. */
static const pa_t EXPANSION = 0x1FF040;
static uint32_t links_of(machine *m) { return (uint32_t)machine_os(m)->Processes->Vm.Address + 0x24; }

INSTANTIATE_TEST_SUITE_P(
    WorkingSets, AuditDamage,
    ::testing::Values(
        Damage{"expansion_link_back", START, [](machine *m) { change32(m, links_of(m) - 0x80000000u + 4, 0x80123456); },
               "audit I8: expansion list, link before "},
        Damage{"expansion_of_nothing", START, /* the head, 80600000, and no more */
               [](machine *m) {
                   change32(m, EXPANSION, 0x80600000);
                   change32(m, 0x600004, 0x801FF040);
               },
               "audit I8: expansion list: 80600000 is no working set's"},
        Damage{"expansion_too_short", START, /* the system's is left out */
               [](machine *m) {
                   change32(m, EXPANSION, links_of(m));
                   change32(m, links_of(m) - 0x80000000u + 4, 0x801FF040);
               },
               "audit I8: expansion list: length expected 2, found 1"},
        Damage{"pool_page_without_an_entry", std::string(START) + "pool paged 100\n", /* of boot's frame */
               [](machine *m) { change32(m, kernel_pte_pa(m, 0xE1200000), 0x00030163); },
               "audit I3: process 0, working-set entry for the valid page e1200000: expected 1, found 0"}),
    damage_name);

/* I6 with a paging file: the page of process 1 has slot 1, and the frame waits in transition. */
static const char *const PAGED = "pagefile 100000 200000\nproc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 410000 3000 rc "
                                 "rw\nw 410000 4 =aa\ntrim 1 all force\nrun mpw\nrun apc\nirql 0 0\n";

TEST(AuditPaging, SlotsAndBitmap) {
    Outcome o = nt_replay().run(PAGED);
    ASSERT_EQ(o.verdict, CHECK_OK) << o.report;
    auto file = [](machine *m) { return uint64_t(machine_os(m)->MmPagingFile[0].Address) & 0x1FFFFFFF; };
    auto bitmap = [=](machine *m) {
        return uint64_t(physmem_read32(machine_memory(m), file(m) + PAGING_FILE_BITMAP)) & 0x1FFFFFFF;
    };
    struct {
        std::function<void(machine *)> corrupt;
        const char *says;
    } cases[] = {
        {[=](machine *m) { change32(m, bitmap(m), 1); },
         "audit I6: paging file 0: bit of slot 1 expected 1 (404 names it), found 0"},
        {[=](machine *m) { change32(m, bitmap(m), 7); }, "audit I6: paging file 0: bit of slot 2 expected 0, found 1"},
        {[=](machine *m) { change32(m, bitmap(m), 2); }, "audit I6: paging file 0: bit of slot 0 expected 1, found 0"},
        {[=](machine *m) { change32(m, file(m) + PAGING_FILE_USED, 2); },
         "audit I6: paging file 0: used expected 1 and free fe, found 2 and fe"},
        {[=](machine *m) { change32(m, pfn_pa(0x404) + 16, 0x101080), change32(m, bitmap(m), 1); },
         "audit I6: 404 names slot 101 of paging file 0, expected a slot below 100"},
        {[=](machine *m) { change32(m, file(m) + PAGING_FILE_SIZE_NOW, 0x100001); },
         "audit I6: paging file 0: size expected up to 100000, found 100001"},
        {[=](machine *m) { change32(m, pfn_pa(0x404) + 16, 0x1084), change32(m, bitmap(m), 1); }, "audit I6:"},
    };
    for (auto &c : cases) {
        o = nt_replay(c.corrupt, 9).run(PAGED);
        EXPECT_TRUE(o.fails_saying({c.says})) << c.says << o.report;
    }
}

/* A PAE entry has 32 bits for the page of a paging file; 411000 has an entry of its own, not only the VAD's word. */
TEST(Audit, SlotOfManyBits) {
    Replay r = nt_replay(
        [](machine *m) {
            const mmu_ops *ops = machine_mmu_ops(m);
            mmu *mmu = machine_mmu(m);
            uint64_t cr3 = ops->read_control(mmu, MMU_CR3), cr4 = ops->read_control(mmu, MMU_CR4);
            table_path path = table_walk(machine_memory(m), cr3, cr4, 0x410000);
            uint64_t entry = 0x0FF0000500000080;
            physmem_write(machine_memory(m), path.pte_pa + sizeof entry, &entry, sizeof entry);
        },
        STARTED + 1);
    r.os = &nt_pae_os_ops;
    r.os_options.profile = OS_NT5PAE;
    Outcome o = r.run(std::string(START) + "prot 411000 1000 r\nirql 0 0\n");
    EXPECT_TRUE(o.fails_saying({"names slot ff00005 of paging file 0, expected a slot below 0"})) << o.report;
}

/* A shared page: two processes map it; the share count and the pool page's are recounted. */
static const char *const SHARED =
    "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nsec+ 1 page 2000 \"\"\nmap 1 500000 2000 0 rw share\nw 500000 4\n"
    "fork 2 1 201\nx 0 201\nr 500000 4\nirql 0 0\n";

// Page tables and pages of prototypes that are trimmed, written out or being read: their slots and counts are still
// known.
TEST(AuditPaging, TablesThatAreAway) {
    const std::string out = "run mpw\nrun apc\ndrain 0\nundrain 100\n";
    Outcome o =
        nt_replay().run("pagefile 200000 200000\nproc+ 1 0 \"a\"\nthr+ 101 1\nthr+ 102 1\nx 0 101\n"
                        "alloc 410000 2000 rc rw\nw 410000 4 =aa\nw 411000 4\nsec+ 1 page 4000 \"\"\n"
                        "map 1 600000 4000 0 rw share\nw 600000 4 =bb\ntrim 1 all force\n" +
                        out + "trim 1 all force\ntrim 0 all force\n" + out +
                        "io manual\nr 410000 4\nx 0 102\niodone 3\niodone 4\nio auto\nr 600000 4\nexpect data=bb\n"
                        "r 410000 4\nexpect data=aa\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

/* A process that is out of memory, and then its tables, the last of them the directory; a driver's pages. */
TEST(AuditPaging, DirectoryAndDriverThatAreAway) {
    const std::string trim = "trim 1 all force\n" + OUT;
    Outcome o = nt_replay().run(std::string(DISK) + START + "proc+ 2 0 \"b\"\nthr+ 201 2\n" + trim + trim +
                                "x 0 201\n" + "call KeOutswapProcess 1\n" + OUT + OUT + OUT + OUT +
                                "x 0 101\nrun swap\nx 0 101\nr 410000 4\nexpect data=aa\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
    o = nt_replay().run(DISK + std::string(START) +
                        "drv+ 1 \"/drivers/a.sys\" 2000 3000 1000\nkw f9eba000 4 =22222222\ntrim 0 all force\n" + OUT +
                        "expect pte.f9eba000=80/fff\nkr f9eba000 4\nexpect data=22222222\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

TEST(AuditRead, FramesOfAReadAndItsBlock) { // NT-44, NT-59; frames 405 to 407 are the read's, 405 the fault's
    const char *const READING = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nsec+ 1 data 3000 \"f\"\nmap 1 500000 3000 0 r\n"
                                "io manual\nr 500000 4\nirql 0 0\n";
    auto frame_of = [](machine *m) {
        pfn_t frame = 0x400;
        while (!(peek_pfn(m, frame).Flags & PFN_READ_IN_PROGRESS)) { frame++; }
        return frame;
    };
    auto block_pa = [](machine *m, pfn_t frame) { return pa_t(peek_pfn(m, frame).u1 - 0x80000000u); };
    struct {
        std::function<void(machine *)> corrupt;
        const char *says;
    } cases[] = {
        {[=](machine *m) { change16(m, pfn_pa(frame_of(m)) + REFERENCE, 2); }, "threads that its block counts"},
        {[=](machine *m) { change16(m, pfn_pa(frame_of(m)) + REFERENCE, 0); }, "reference count of at least"},
        {[=](machine *m) { change32(m, pfn_pa(frame_of(m)) + U2, 1); }, "share count"},
        {[=](machine *m) { change32(m, pfn_pa(frame_of(m)) + U1, 0xF9FFF000); }, "support block"},
        {[=](machine *m) { change32(m, block_pa(m, frame_of(m)) + 0x48, 0); }, "pages of its transfer"},
        {[=](machine *m) { change32(m, block_pa(m, frame_of(m)) + 0x20, 3); }, "threads that its block counts"},
        {[=](machine *m) { change32(m, block_pa(m, frame_of(m)) + 0x50, 0x3000); }, "support block"},
        {[=](machine *m) { change32(m, block_pa(m, frame_of(m)) + 0x50, uint32_t(frame_of(m)) + 1); }, "its place"},
    };
    for (const auto &c : cases) {
        Replay r = nt_replay(c.corrupt, 7);
        Outcome o = r.run(READING);
        EXPECT_EQ(o.verdict, CHECK_FAILED) << c.says;
        EXPECT_TRUE(o.says(c.says)) << c.says << "\n" << o.report;
    }
}

TEST(AuditShared, ShareCountOfASharedPage) {
    Outcome o = nt_replay().run(SHARED);
    ASSERT_EQ(o.verdict, CHECK_OK) << o.report;
    pfn_t frame = 0, pool = 0;
    auto find = [&](machine *m) {
        frame = pte_frame(peek_pte(m, peek_cr3(m), 0x500000));
        pool = peek_pfn(m, frame).ContainingFrame;
    };
    o = nt_replay([&](machine *m) { find(m), change32(m, pfn_pa(frame) + U2, 1); }, 9).run(SHARED);
    EXPECT_TRUE(o.fails_saying({"share count expected 2, found 1"}));
    o = nt_replay([&](machine *m) { find(m), change32(m, pfn_pa(pool) + U2, peek_pfn(m, pool).u2 + 1); }, 9)
            .run(SHARED);
    EXPECT_TRUE(
        o.fails_saying({"audit I4: frame", "share count expected 2, found 3"})); /* itself and one valid prototype */
}

/* Non-direct entries are in the hash once a list is long. */
TEST(AuditShared, HashOfALongWorkingSet) {
    std::string lines = "proc+ 1 0 \"a\" 50 1000\nthr+ 101 1\nx 0 101\nsec+ 1 page 2000 \"\"\nmap 1 500000 2000 0 rw "
                        "share\nw 500000 4\nw 501000 4\n"
                        "alloc 800000 200000 rc rw\nfork 2 1 201\nx 0 201\n";
    uint64_t events = 10;
    for (unsigned page = 0; page < 0x200; page++, events++) {
        char line[40];
        snprintf(line, sizeof line, "w %x 4\n", 0x800000 + page * 0x1000);
        lines += line;
    }
    lines += "r 500000 4\nr 501000 4\nirql 0 0\n";
    events += 2;
    Replay quiet = nt_replay();
    quiet.audit_interval = 100;
    Outcome o = quiet.run(lines);
    ASSERT_EQ(o.verdict, CHECK_OK) << o.report;
    const struct {
        uint32_t wanted, key; /* key in place of the wanted one */
        uint32_t size;        /* 0: as it is */
        const char *says;
    } cases[] = {{0x500000, 0, 0, "audit I8: process 2, working-set hash, entries 0: expected 2, found 1"},
                 {0x500000, 0x777000, 0, "audit I8: process 2, working-set hash, entry "},
                 {0, 0x777000, 2, "audit I8: process 2, working-set hash, entry "}, /* it is full of others */
                 {0, 0, 1, "audit I8: process 2, working-set hash, size 0: expected 200, found 1"}};
    for (const auto &c : cases) {
        auto corrupt = [&](machine *m) {
            auto pa_of = [m](va_t va) { return table_walk(machine_memory(m), peek_cr3(m), CR4_PSE, va).pa; };
            const pa_t base = pa_of(MM_WORKING_SET_LIST + 0x24), size = pa_of(MM_WORKING_SET_LIST + 0x28);
            ASSERT_EQ(physmem_read32(machine_memory(m), base), 0xC06F3000u);
            if (c.size) { change32(m, size, c.size); }
            for (uint32_t i = 0; i < physmem_read32(machine_memory(m), size); i++) {
                pa_t key = pa_of(0xC06F3000 + 8 * i);
                if (physmem_read32(machine_memory(m), key) == c.wanted) { change32(m, key, c.key); }
            }
        };
        Replay r = nt_replay(corrupt, events);
        r.audit_interval = events + 1;
        EXPECT_TRUE(r.run(lines).fails_saying({c.says}));
    }
    const struct {
        va_t field;
        uint32_t value;
        const char *says;
    } headers[] = {
        {MM_WORKING_SET_LIST + 0x24, 0xC06F4000,
         "process 2, working-set hash, address 0: expected c06f3000, found c06f4000"},
        {MM_WORKING_SET_LIST + 0x28, 0x41E01, "process 2, working-set hash, size 0: expected 200, found 41e01"}};
    for (const auto &h : headers) {
        Replay r = nt_replay(
            [&](machine *m) { change32(m, table_walk(machine_memory(m), peek_cr3(m), CR4_PSE, h.field).pa, h.value); },
            events);
        r.audit_interval = events + 1;
        EXPECT_TRUE(r.run(lines).fails_saying({h.says}));
    }
}

TEST(Audit, NeedsTheNtKernel) {
    EXPECT_EQ(why_not_checked(fake::ops(), CHECK_AUDIT), "the audit needs a machine that runs the NT kernel");
}

/* NT-27: the frame's entry is as it was, only the record says that it went where no row of the state machine leads. */
TEST(PfnStates, AnUnlistedTransitionNamesBothStates) {
    Outcome o = corrupted([](machine *m) {
        log_send(machine_log(m), LOG_PFN, 0x404, 0x601, TransitionPage << PFN_LOCATION_SHIFT | PFN_READ_IN_PROGRESS, 0,
                 1); /* a page in use is being read in */
    });
    EXPECT_TRUE(o.fails_saying({"frame 404 went from Active(share 1, ref 1, M) to Transition(share 0, ref 1, R)"}));
}
TEST(PfnStates, AListedTransitionIsNone) {
    Outcome o = corrupted([](machine *m) { log_send(machine_log(m), LOG_PFN, 0x404, 0x601, 0x601, 1, 2); }); /* P27 */
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}
