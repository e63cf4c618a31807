// A frame's move between two states that is no row of NT-27's table stops the kernel where it is made.
#include "nt_harness.h"

namespace {

const char *const touched = "proc+ 1 0 \"P1\"\nthr+ 101 1\nx 0 101\nalloc 410000 3000 rc rw\nw 410000 1 =aa\n";

// Sets and clears flags of a frame's entry behind the kernel's back.
void damage(NtMachine &nt, pfn_t frame, uint32_t set, uint32_t clear) {
    pa_t flags = 0x200000 + PFN_SIZE * frame + 12;
    physmem_write32(machine_memory(nt.m), flags, (nt.physical(flags) & ~clear) | set);
}

std::string message_after(pfn_t frame, uint32_t set, uint32_t clear, const char *lines) {
    NtMachine nt;
    nt.ok(touched);
    damage(nt, frame, set, clear);
    nt.run(lines);
    return nt.last.stop == MACHINE_PANIC ? nt.last.message : "";
}

// Frame 404 is the page at 410000, 403 its page table (S-21, S-24).
TEST(PfnMoves, AllowedOnesPass) {
    NtMachine nt;
    nt.ok(touched);
    ASSERT_EQ(nt.pte(1, 0x410000) >> 12, 0x404u);
    nt.ok("trim 1 all force\nw 410000 1 =bb\ncall NtFreeVirtualMemory ffffffff 410000 1000 4000\n");
}

TEST(PfnMoves, ActivePageThatIsBeingRead) {
    std::string message = message_after(0x403, PFN_READ_IN_PROGRESS, 0, "w 411000 1 =bb\n");
    EXPECT_NE(message.find("frame 403 goes from Active+M to Active+M+R"), std::string::npos) << message;
}

TEST(PfnMoves, OntoAListWhileItIsBeingWritten) {
    std::string message = message_after(0x404, PFN_WRITE_IN_PROGRESS, 0, "trim 1 all force\n");
    EXPECT_NE(message.find("frame 404 goes from Active+M to Modified+M+W"), std::string::npos) << message;
    message = message_after(0x404, PFN_READ_IN_PROGRESS, 0, "trim 1 all force\n");
    EXPECT_NE(message.find("frame 404 goes from Active+M to Modified+M+R"), std::string::npos) << message;
}

} // namespace
