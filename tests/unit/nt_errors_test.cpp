// What the memory manager does when something that it needs is not to be had: pool, commit, frames, system PTEs.
// Nothing may be left behind by a service that fails (NT-65, NT-77, NT-84, NT-91, NT-92, NT-95).
#include "nt_harness.h"

extern "C" {
#include "check/audit.h"
#include "ntmmu/nt_call.h"
}

namespace {

class NtErrors : public ::testing::Test, public NtMachine {
  protected:
    audit *invariants = nullptr;
    void SetUp() override {
        ASSERT_NE(m, nullptr) << error;
        invariants = audit_create(m);
        ok("proc+ 1 0 \"p1\"\nthr+ 101 1\nx 0 101");
    }
    void TearDown() override { // what is left is consistent
        struct report report = {};
        EXPECT_TRUE(last.stop != MACHINE_RUNS || audit_run(invariants, &report)) << report.text;
        audit_destroy(invariants);
    }
    uint32_t call(const char *name, std::vector<uint64_t> arguments) {
        last = *nt_call(m, name, unsigned(arguments.size()), arguments.data());
        return last.service_status;
    }
    uint64_t answer(const char *name, std::vector<uint64_t> arguments) {
        EXPECT_EQ(call(name, arguments), 0u) << name;
        return last.service_out[0];
    }
    uint32_t service(const std::string &line) {
        run(line);
        return last.service_status;
    }
    uint32_t exception(const std::string &line) {
        run(line);
        return last.exception ? last.exception_code : 0;
    }
    uint64_t pool(unsigned type, uint32_t bytes) { return answer("ExAllocatePool", {type, bytes}); }

    // Takes all nonpaged pool, and first all addresses by which it could grow. Frames remain.
    void exhaust_nonpaged() {
        exhaust_system_ptes(1);
        for (uint32_t bytes = 0x400000; bytes >= 0x8; bytes /= 2) {
            while (pool(0, bytes)) {}
        }
    }
    void exhaust_system_ptes(unsigned space = 0) {
        for (uint32_t count = 0x2000; count >= 1; count /= 2) {
            while (answer("MiReserveSystemPtes", {count, space, 0, 0, 0})) {}
        }
    }
    struct usage {
        uint64_t bytes[2];
        uint64_t commit;
        bool operator==(const usage &other) const {
            return bytes[0] == other.bytes[0] && bytes[1] == other.bytes[1] && commit == other.commit;
        }
    };
    usage used() { // pool in use, and commit
        usage u = {};
        nt_view_pool_tags(
            machine_os(m),
            [](void *ctx, const nt_pool_tag_view *tag) {
                static_cast<usage *>(ctx)->bytes[tag->paged] += tag->bytes;
                return true;
            },
            &u);
        u.commit = view().total_committed;
        return u;
    }
    // Runs `line` with ever more small blocks of nonpaged pool to be had until it succeeds: every failure on the way is
    // `status` and leaves nothing behind. How often it failed.
    // `kept` bytes of each pool may stay: file objects and the segments of files that nobody uses are a cache.
    int fails_until_pool_suffices(const std::string &line, uint32_t status, uint32_t kept = 0) {
        std::vector<uint64_t> blocks;
        for (int i = 0; i < 32; i++) { // every second one will be given back, so that none grow together
            blocks.push_back(pool(0, 0x80));
        }
        exhaust_nonpaged();
        for (int failures = 0; failures < 16; failures++) {
            usage before = used();
            run(line);
            EXPECT_EQ(last.stop, MACHINE_RUNS) << line << last.message;
            EXPECT_FALSE(last.blocked) << line;
            if (last.service_status == 0 && !last.exception) { return failures; }
            EXPECT_EQ(last.exception ? last.exception_code : last.service_status, status) << line;
            EXPECT_EQ(before.commit, used().commit) << line << " after " << failures;
            EXPECT_LE(used().bytes[1], before.bytes[1] + kept) << line << " after " << failures;
            EXPECT_LE(used().bytes[0], before.bytes[0] + kept) << line << " after " << failures;
            char text[32];
            snprintf(text, sizeof text, "poolfree %llx", (unsigned long long)blocks[size_t(2 * failures)]);
            ok(text);
        }
        ADD_FAILURE() << line << " never succeeded";
        return -1;
    }
};

TEST_F(NtErrors, SectionOfThePagingFileWithoutPool) { // control area, subsection, section object
    EXPECT_GE(fails_until_pool_suffices("sec+ 1 page 10000 \"\"", STATUS_INSUFFICIENT_RESOURCES), 2);
}

TEST_F(NtErrors, SectionOfAFileWithoutPool) {
    EXPECT_GE(fails_until_pool_suffices("sec+ 1 data 10000 \"/f\"", STATUS_INSUFFICIENT_RESOURCES, 0x100), 2);
}

TEST_F(NtErrors, SectionMadeByNameWithoutPool) {
    ok("sec+ 7 data 1000 \"/f\"\nsec- 7");
    EXPECT_GE(
        fails_until_pool_suffices("call NtCreateSection 1 10000 4 8000000 7", STATUS_INSUFFICIENT_RESOURCES, 0x90), 1);
}

TEST_F(NtErrors, PieceOfAnImageWithoutPool) {
    ok("sec+ 1 image 10000 \"/i\"\nsub 1 0 1000 0 r");
    EXPECT_GE(fails_until_pool_suffices("sub 1 1000 1000 0 r", STATUS_INSUFFICIENT_RESOURCES), 1);
}

TEST_F(NtErrors, ProcessAndMdlWithoutPool) {
    ok("alloc 410000 1000 rc rw\nw 410000 4");
    EXPECT_GE(fails_until_pool_suffices("mdl+ 1 410000 10 w", STATUS_INSUFFICIENT_RESOURCES), 1);
    EXPECT_EQ(answer("MmCreateMdl", {0, 0x410000, 0x100000}), 0u);
    EXPECT_EQ(answer("IoAllocateMdl", {0x410000, 0x100000, 0, 0, 0}), 0u);
}

// NT-91, NT-92, NT-84, NT-85, NT-66: no system PTEs are left, and nobody is charged.
TEST_F(NtErrors, NoSystemPtes) {
    exhaust_system_ptes();
    usage before = used();
    EXPECT_EQ(answer("MmAllocateNonCachedMemory", {0x3000}), 0u);
    EXPECT_EQ(answer("MmMapIoSpace", {0xF0000000, 0x1000, 0}), 0u);
    EXPECT_EQ(call("MmCreateKernelStack", {101, 0}), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(service("drv+ 1 \"/d\" 1000 1000 1000"), STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_TRUE(before == used());
    exhaust_nonpaged(); // contiguous memory has to come from the lists
    before = used();
    EXPECT_EQ(answer("MmAllocateContiguousMemory", {0x80000, 0xFFFFFFFF}), 0u);
    EXPECT_TRUE(before == used());
}

// NT-84: an expansion needs frames, then commit, then addresses.
TEST_F(NtErrors, NonpagedPoolCannotGrow) {
    while (pool(0, 0x100000)) {}
    usage before = used();
    ok("inject commit-limit");
    EXPECT_EQ(pool(0, 0x100000), 0u);
    EXPECT_TRUE(before == used());
}

TEST_F(NtErrors, PagedPoolCannotGrow) {
    EXPECT_NE(pool(1, 0x10000), 0u);
    usage before = used();
    ok("inject commit-limit 2");
    EXPECT_EQ(pool(1, 0x100000), 0u);
    EXPECT_TRUE(before == used());
    // one refusal: what is needed is taken, without the spare pages
    ok("inject commit-limit");
    EXPECT_NE(pool(1, 0x100000), 0u);
}

// NT-77: no range of that size, wherever the caller lets the system choose.
TEST_F(NtErrors, NoRange) {
    ok("alloc 10000000 60000000 r rw");
    EXPECT_EQ(call("NtAllocateVirtualMemory", {0xFFFFFFFF, 0, 0, 0x40000000, 0x2000, 4}), STATUS_NO_MEMORY);
    EXPECT_EQ(call("NtAllocateVirtualMemory", {0xFFFFFFFF, 0, 4, 0xF800000, 0x2000, 4}), 0u);
    EXPECT_EQ(call("NtAllocateVirtualMemory", {0xFFFFFFFF, 0, 4, 0x800000, 0x2000, 4}), STATUS_NO_MEMORY);
}

// NT-71, NT-73: an address space takes 4 frames, a fork what it may need at most.
TEST_F(NtErrors, NoFramesForAnAddressSpace) {
    ok("alloc 410000 3000 rc rw\nw 410000 4");
    usage before = used();
    ok("drain 2");
    EXPECT_EQ(service("proc+ 2 0 \"p2\""), STATUS_NO_MEMORY);
    EXPECT_EQ(service("fork 2 1 201"), STATUS_NO_MEMORY);
    EXPECT_EQ(before.commit, used().commit);
    ok("undrain 40\nproc+ 2 0 \"p2\"");
}

TEST_F(NtErrors, NoCommitForAChild) {
    ok("alloc 410000 3000 rc rw\nw 410000 4");
    usage before = used();
    ok("inject commit-limit");
    EXPECT_EQ(service("fork 2 1 201"), STATUS_COMMITMENT_LIMIT);
    EXPECT_TRUE(before == used());
}

// NT-73, NT-95: a child is charged for what it inherits and for its page tables, at once. Beyond the limit that is a
// request; without an answer, more than 80 pages are refused with C000012D, and nothing stays charged.
TEST_F(NtErrors, ChildBeyondTheCommitLimit) {
    uint64_t half = (view().commit_limit - view().total_committed) / 2 + 0x100;
    char line[64];
    snprintf(line, sizeof line, "alloc 1000000 %llx rc rw", (unsigned long long)half << PAGE_SHIFT);
    ok(line);
    usage before = used();
    uint64_t limit = view().commit_limit;
    run("fork 2 1 201"); // it waits for the paging files to be extended
    EXPECT_TRUE(last.blocked);
    EXPECT_EQ(view().total_committed, before.commit + 3); // the new process's own
    run("commitreply 1 0");
    EXPECT_EQ(last.service_status, 0u); // the step's own
    EXPECT_TRUE(before == used());
    EXPECT_EQ(view().commit_limit, limit);
    snprintf(line, sizeof line, "free 1000000 %llx d", (unsigned long long)(half - 0x200) << PAGE_SHIFT);
    ok(line);
    uint64_t less = view().total_committed;
    ok("fork 2 1 201");
    EXPECT_EQ(view().total_committed, less + 3 + 0x200 + (half + 0x3FF) / 0x400);
}

// NT-73: while a fork waits for commit the parent's address space cannot change: it keeps the parent's mutex.
TEST_F(NtErrors, ParentCannotGrowWhileItsForkWaits) {
    ok("pagefile 100000 400000\nthr+ 102 1");
    uint64_t half = (view().commit_limit - view().total_committed) / 2 + 0x20;
    char line[64];
    snprintf(line, sizeof line, "alloc 1000000 %llx rc rw", (unsigned long long)half << PAGE_SHIFT);
    ok(line);
    uint64_t before = view().total_committed, child = 3 + half + (half + 0x3FF) / 0x400;
    run("fork 2 1 201");
    EXPECT_TRUE(last.blocked);
    run("x 0 102\nalloc 410000 8000 rc rw");
    EXPECT_TRUE(last.blocked);
    EXPECT_EQ(view().total_committed, before + 3);
    run("commitreply 1 200");
    EXPECT_EQ(view().total_committed, before + child + 8 + 1); // then the pages of the other thread, not the child's
}

// NT-88: a VAD needs commit for its page tables; without, the exception, and no VAD.
TEST_F(NtErrors, UserMappingWithoutCommit) {
    ok("alloc 410000 1000 rc rw\nmdl+ 1 410000 1000 w\ninject commit-limit");
    call("MmMapLockedPages", {1, 1});
    EXPECT_TRUE(last.exception);
    EXPECT_EQ(last.exception_code, STATUS_INSUFFICIENT_RESOURCES);
    EXPECT_EQ(answer("MmMapLockedPages", {1, 1}), 0x10000u);
}

// NT-85: what cannot be read is no driver.
TEST_F(NtErrors, DriverThatCannotBeRead) {
    usage before = used();
    uint64_t frames = view().available_pages;
    ok("inject read-error");
    run("drv+ 1 \"/d\" 1000 2000 1000");
    EXPECT_FALSE(NT_SUCCESS(last.service_status));
    EXPECT_TRUE(before == used());
    EXPECT_EQ(view().available_pages, frames);
    ok("drv+ 1 \"/d\" 1000 2000 1000");
}

// NT-05
TEST_F(NtErrors, RaisedByName) {
    call("ExRaiseStatus", {0xC000009A});
    EXPECT_TRUE(last.exception);
    EXPECT_EQ(last.exception_code, 0xC000009Au);
    call("ExRaiseAccessViolation", {});
    EXPECT_EQ(last.exception_code, STATUS_ACCESS_VIOLATION);
    call("ExRaiseDatatypeMisalignment", {});
    EXPECT_EQ(last.exception_code, 0x80000002u);
}

// NT-04
TEST_F(NtErrors, NamesOfStatuses) {
    EXPECT_STREQ(ntstatus_name(0xC0000005), "STATUS_ACCESS_VIOLATION");
    EXPECT_STREQ(ntstatus_name(0x80000001), "STATUS_GUARD_PAGE_VIOLATION");
    EXPECT_STREQ(bugcheck_name(0x50), "PAGE_FAULT_IN_NONPAGED_AREA");
    EXPECT_EQ(ntstatus_name(0x12345678), nullptr);
    EXPECT_EQ(bugcheck_name(0x12345678), nullptr);
}

} // namespace
