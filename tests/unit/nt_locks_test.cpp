// Rules about locks and IRQL that the model asserts (NT-03, S-117): each breach stops the replay with a message.
#include "nt_harness.h"

namespace {

const char *const two_processes = "proc+ 1 0 \"P1\"\nthr+ 101 1\nproc+ 2 0 \"P2\"\nthr+ 201 2\nx 0 101\n"
                                  "alloc 410000 3000 rc rw\nw 410000 1 =aa\n";

// Runs the lines after a common beginning; the message of the assertion they end in, "" if they end in none.
std::string assertion_of(const std::string &lines) {
    NtMachine nt;
    nt.ok(two_processes);
    nt.run(lines);
    return nt.last.stop == MACHINE_PANIC ? nt.last.message : "";
}

TEST(Locks, TakenInOrderAndReleased) {
    NtMachine nt;
    nt.ok(two_processes);
    nt.ok("call MiLockAddressCreation ffffffff\ncall MiLockWorkingSet\ncall MiLockPfn\n");
    EXPECT_EQ(nt.last.service_out[0], 0u); // the level before
    EXPECT_EQ(machine_irql(nt.m), 2u);
    nt.ok("call MiUnlockPfn 0\ncall MiUnlockWorkingSet\ncall MiUnlockAddressCreation ffffffff\n");
    EXPECT_EQ(machine_irql(nt.m), 0u);
    EXPECT_EQ(nt.status_of("r 411000 1"), uint32_t(STATUS_PAGE_FAULT_DEMAND_ZERO));
}

TEST(Locks, OrderIsAsserted) {
    EXPECT_NE(assertion_of("call MiLockPfn\ncall MiLockWorkingSet\n").find("PFN lock is held"), std::string::npos);
    EXPECT_NE(assertion_of("call MiLockPfn\ncall MiLockAddressCreation ffffffff\n").find("PFN lock is held"),
              std::string::npos);
    EXPECT_NE(
        assertion_of("call MiLockWorkingSet\ncall MiLockAddressCreation ffffffff\n").find("working-set mutex is held"),
        std::string::npos);
    EXPECT_NE(assertion_of("call MiLockPfn\ncall MiLockPfn\n").find("taken twice"), std::string::npos);
    EXPECT_NE(assertion_of("call MiUnlockPfn 0\n").find("not held"), std::string::npos);
    EXPECT_NE(assertion_of("call MiUnlockWorkingSet\n").find("not taken last"), std::string::npos);
    EXPECT_NE(assertion_of("call MiUnlockAddressCreation ffffffff\n").find("does not have it"), std::string::npos);
    EXPECT_NE(assertion_of("irql 0 5\ncall MiLockPfn\n").find("above DISPATCH"), std::string::npos);
    EXPECT_NE(assertion_of("call MiMapPageInHyperSpace 404\ncall MiLockWorkingSet\n").find("hyperspace mapping"),
              std::string::npos);
}

TEST(Locks, NoFaultWhileASpinLockIsHeld) {
    EXPECT_NE(assertion_of("call MiLockPfn\nkr 411000 1\n").find("spin lock"), std::string::npos);
    // a stale translation would be repaired at DISPATCH level, but not under the lock
    EXPECT_NE(assertion_of("call MiLockPfn\nalloc 600000 1000 rc rw\n"), "");
    EXPECT_EQ(assertion_of("call MiLockPfn\nkr 410000 1\ncall MiUnlockPfn 0\n"), ""); // resident: no fault
}

TEST(Locks, ListsOfFramesNeedThePfnLock) {
    // the kernel's own paths take it, so somebody who keeps it stops them
    EXPECT_NE(assertion_of("call MiLockPfn\ndrain 1000\n").find("taken twice"), std::string::npos);
}

TEST(Locks, NoAddressSpaceChangesUnderAHyperspaceMapping) {
    EXPECT_NE(assertion_of("call MiMapPageInHyperSpace 404\nx 0 201\n").find("hyperspace mapping is held"),
              std::string::npos);
    NtMachine nt;
    nt.ok(two_processes);
    nt.ok("call MiMapPageInHyperSpace 404\n");
    EXPECT_EQ(machine_irql(nt.m), 2u);
    EXPECT_EQ(nt.last.service_out[1], 0u);
    nt.ok("call MiUnmapPageInHyperSpace 0\nx 0 201\n");
    EXPECT_EQ(machine_irql(nt.m), 0u);
}

} // namespace
