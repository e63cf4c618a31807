// Memory descriptor lists that scenarios cannot name because their addresses are only known at run time: NT-86 to
// NT-88.
#include "nt_harness.h"

extern "C" {
#include "check/audit.h"
#include "ntmmu/nt_call.h"
}

namespace {

constexpr uint32_t kSystem = 0;
enum { FLAG_MAPPED = 1, FLAG_LOCKED = 2, FLAG_NONPAGED = 4, FLAG_PARTIAL = 0x10, FLAG_PARTIAL_MAPPED = 0x20 };
enum { FLAG_WRITE = 0x80, FLAG_PARENT_MAPPED = 0x100, FLAG_IO_SPACE = 0x800 };

class NtMdl : public ::testing::Test, public NtMachine {
  protected:
    audit *invariants = nullptr;
    void SetUp() override {
        ASSERT_NE(m, nullptr) << error;
        invariants = audit_create(m);
        ok("proc+ 1 0 \"p1\" 20 60\nthr+ 101 1\nx 0 101\nalloc 410000 20000 rc rw\nw 410000 4 =11\nw 411000 4 =22");
    }
    void TearDown() override {
        struct report report = {};
        EXPECT_TRUE(last.stop != MACHINE_RUNS || audit_run(invariants, &report)) << report.text;
        audit_destroy(invariants);
    }
    uint32_t call(const char *name, std::vector<uint64_t> arguments) {
        last = *nt_call(m, name, unsigned(arguments.size()), arguments.data());
        EXPECT_FALSE(last.blocked) << name;
        return last.service_status;
    }
    uint64_t answer(const char *name, std::vector<uint64_t> arguments) {
        EXPECT_EQ(call(name, arguments), 0u) << name;
        EXPECT_FALSE(last.exception) << name << std::hex << last.exception_code;
        return last.service_out[0];
    }
    unsigned flags(uint64_t mdl) { return half(kSystem, mdl + 6); }
    uint32_t frame(uint64_t mdl, unsigned i) { return word(kSystem, mdl + 0x1C + 4 * i); }
    uint32_t locked() { return process(1).locked_pages; }
};

TEST_F(NtMdl, OfNonpagedPool) { // no references, mapped where the pool is
    uint64_t block = answer("ExAllocatePool", {0, 0x2000}), mdl = answer("MmCreateMdl", {0, block + 0x10, 0x1800});
    ASSERT_NE(mdl, 0u);
    uint32_t first = uint32_t(answer("MmGetPhysicalAddress", {block}) >> 12);
    EXPECT_EQ(call("MmBuildMdlForNonPagedPool", {mdl}), 0u);
    EXPECT_EQ(frame(mdl, 0), first);
    EXPECT_EQ(frame(mdl, 1), first + 1);
    EXPECT_EQ(flags(mdl), unsigned(FLAG_NONPAGED));
    EXPECT_EQ(word(kSystem, mdl + 8), 0u);
    EXPECT_EQ(word(kSystem, mdl + 0xC), block + 0x10);
    EXPECT_EQ(answer("MmGetSystemAddressForMdl", {mdl}), block + 0x10);
    EXPECT_EQ(answer("MmGetSystemAddressForMdlSafe", {mdl}), block + 0x10);
    EXPECT_EQ(call("IoFreeMdl", {mdl}), 0u);
    EXPECT_EQ(call("IoFreeMdl", {mdl}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("ExFreePool", {block}), 0u);
}

TEST_F(NtMdl, LockedByName) {
    uint64_t mdl = answer("MmCreateMdl", {0, 0x410FFC, 8});
    EXPECT_EQ(call("MmProbeAndLockPages", {mdl, 1, 2}), 0u);
    EXPECT_EQ(flags(mdl), unsigned(FLAG_LOCKED | FLAG_WRITE));
    EXPECT_EQ(locked(), 2u);
    EXPECT_EQ(frame(mdl, 1), pte(1, 0x411000) >> 12);
    EXPECT_EQ(pfn(frame(mdl, 0)).ReferenceCount, 2u);
    EXPECT_EQ(call("MmProbeAndLockPages", {mdl, 1, 2}), STATUS_INVALID_PARAMETER); // locked already
    EXPECT_EQ(call("IoFreeMdl", {mdl}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("MmUnlockPages", {mdl}), 0u);
    EXPECT_EQ(flags(mdl), 0u);
    EXPECT_EQ(locked(), 0u);
    EXPECT_EQ(call("MmProbeAndLockPages", {mdl, 1, 0}), 0u);
    EXPECT_EQ(flags(mdl), unsigned(FLAG_LOCKED));
    EXPECT_EQ(call("MmUnlockPages", {mdl}), 0u);
    EXPECT_EQ(call("IoFreeMdl", {mdl}), 0u);
    EXPECT_EQ(call("MmProbeAndLockPages", {0x80260000, 1, 0}), STATUS_INVALID_PARAMETER);
}

TEST_F(NtMdl, PartOfAList) {
    uint64_t mdl = answer("MmCreateMdl", {0, 0x410010, 0x2000}), part = answer("MmCreateMdl", {0, 0x410000, 0x3000});
    EXPECT_EQ(call("MmProbeAndLockPages", {mdl, 1, 1}), 0u);
    uint64_t mapped = answer("MmMapLockedPages", {mdl, 0});
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, part, 0x411800, 0x400}), 0u);
    EXPECT_EQ(frame(part, 0), frame(mdl, 1));
    EXPECT_EQ(flags(part) & (FLAG_PARTIAL | FLAG_PARENT_MAPPED | FLAG_LOCKED),
              unsigned(FLAG_PARTIAL | FLAG_PARENT_MAPPED));
    EXPECT_EQ(word(kSystem, part + 0xC), mapped + 0x17F0);
    EXPECT_EQ(word(kSystem, part + 0x10), 0x411000u);
    EXPECT_EQ(word(kSystem, part + 0x14), 0x400u);
    EXPECT_EQ(word(kSystem, part + 0x18), 0x800u);
    uint64_t own = answer("MmMapLockedPages", {part, 0}); // flag 20: mapped by itself
    EXPECT_EQ(own & 0xFFF, 0x800u);
    EXPECT_EQ(word(kSystem, own & ~0xFFFull), 0x22u);
    EXPECT_TRUE(flags(part) & FLAG_PARTIAL_MAPPED);
    EXPECT_EQ(call("MmUnmapLockedPages", {own, part}), 0u);
    EXPECT_FALSE(flags(part) & (FLAG_PARTIAL_MAPPED | FLAG_MAPPED));
    // length 0: the rest, which begins in the first page and has three pages
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, part, 0x410020, 0}), 0u);
    EXPECT_EQ(word(kSystem, part + 0x14), 0x1FF0u);
    EXPECT_EQ(frame(part, 2), frame(mdl, 2));
    // beyond the list, before it, into a list that is too short, into itself
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, part, 0x412010, 0}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, part, 0x410000, 0}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, part, 0x411000, 0x2000}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, mdl, 0x411000, 0}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, 0x80260000, 0x411000, 0}), STATUS_INVALID_PARAMETER);
    uint64_t tiny = answer("MmCreateMdl", {0, 0x410000, 4});
    EXPECT_EQ(call("IoBuildPartialMdl", {mdl, tiny, 0x410010, 0}), STATUS_INVALID_PARAMETER);
    EXPECT_EQ(call("MmUnlockPages", {mdl}), 0u);
}

TEST_F(NtMdl, DumpOfTooMuch) { // the crash-dump area has 16 pages
    uint64_t mdl = answer("MmCreateMdl", {0, 0x410000, 0x11000});
    EXPECT_EQ(call("MmProbeAndLockPages", {mdl, 1, 0}), 0u);
    call("MmMapMemoryDumpMdl", {mdl});
    EXPECT_EQ(last.stop, MACHINE_BUGCHECK);
    EXPECT_EQ(last.bugcheck_code, 0x1Au);
}

TEST_F(NtMdl, TwoCacheAttributes) { // 1A, 1000
    uint64_t one = answer("MmCreateMdl", {0, 0x410000, 4}), two = answer("MmCreateMdl", {0, 0x410000, 0x1004});
    EXPECT_EQ(call("MmProbeAndLockPages", {one, 1, 0}), 0u);
    EXPECT_EQ(call("MmProbeAndLockPages", {two, 1, 0}), 0u);
    answer("MmMapLockedPages", {one, 0});
    call("MmMapLockedPagesSpecifyCache", {two, 0, 0});
    EXPECT_EQ(last.bugcheck_code, 0x1Au);
    EXPECT_EQ(last.bugcheck_p[0], 0x1000u);
}

TEST_F(NtMdl, OfAnIoSpace) { // frames that the PFN database does not have: flag 800, nothing counted
    uint64_t va = answer("MmMapIoSpace", {0xF0000000, 0x2000, 0}), mdl = answer("MmCreateMdl", {0, va, 0x2000});
    EXPECT_EQ(call("MmProbeAndLockPages", {mdl, 0, 1}), 0u);
    EXPECT_EQ(flags(mdl), unsigned(FLAG_LOCKED | FLAG_WRITE | FLAG_IO_SPACE));
    EXPECT_EQ(frame(mdl, 1), 0xF0001u);
    EXPECT_EQ(locked(), 0u);
    EXPECT_EQ(call("MmUnlockPages", {mdl}), 0u);
    EXPECT_EQ(call("MmUnmapIoSpace", {va, 0x2000}), 0u);
}

TEST_F(NtMdl, NumberUsedAgain) { // a list that is not locked any more is replaced
    ok("mdl+ 5 410000 1000 w");
    EXPECT_EQ(call("MmUnlockPages", {5}), 0u);
    ok("mdl+ 5 411000 1000 w");
    EXPECT_EQ(locked(), 1u);
    ok("mdl- 5");
}

// A mapping in user space waits for a frame for its page table; nothing is half done meanwhile.
TEST_F(NtMdl, UserMappingWaitsForAPageTable) {
    ok("proc+ 2 0 \"p2\"\nthr+ 201 2\nmdl+ 1 410000 2000 w\nx 0 201\ndrain 0");
    const uint64_t arguments[] = {1, 1};
    last = *nt_call(m, "MmMapLockedPages", 2, arguments);
    EXPECT_TRUE(last.blocked);
    EXPECT_EQ(process(2).commit_charge, 1u); // the range is there, and its table charged
    EXPECT_EQ(pde(2, 0x10000), 0u);
    run("undrain 10");
    EXPECT_EQ(pte(2, 0x10000) & 0xFFF, 0x067u);
    EXPECT_EQ(pte(2, 0x11000) >> 12, pte(1, 0x411000) >> 12);
    ok("x 0 201");
    EXPECT_EQ(call("MmUnmapLockedPages", {0x10000, 1}), 0u);
    EXPECT_EQ(pde(2, 0x10000), 0u);
}

// NT-74: a process that ends takes its mappings of others' pages along; the pages stay locked.
TEST_F(NtMdl, UserMappingOfAProcessThatEnds) {
    ok("proc+ 2 0 \"p2\"\nthr+ 201 2\nmdl+ 1 410000 2000 w\nx 0 201");
    EXPECT_EQ(answer("MmMapLockedPages", {1, 1}), 0x10000u);
    ok("x 0 101\nproc- 2");
    EXPECT_EQ(pfn(pte(1, 0x410000) >> 12).ReferenceCount, 2u);
    EXPECT_EQ(call("MmUnmapLockedPages", {0x10000, 1}), STATUS_INVALID_PARAMETER);
    ok("mdl- 1");
}

} // namespace
