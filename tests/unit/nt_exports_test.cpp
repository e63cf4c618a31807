// The export catalogue of NT-98, and calls from C.
#include "nt_harness.h"

extern "C" {
#include "ntmmu/nt_call.h"
}

namespace {

TEST(NtExports, CatalogueIsOrdinals467To514) {
    unsigned documented = 0, constants = 0;
    for (unsigned i = 0; i < NT_EXPORTS; i++) {
        EXPECT_EQ(nt_exports[i].ordinal, 467 + i);
        EXPECT_TRUE(strchr("FSC", nt_exports[i].level)) << nt_exports[i].name;
        if (i) { EXPECT_LT(strcmp(nt_exports[i - 1].name, nt_exports[i].name), 0) << nt_exports[i].name; }
        documented += nt_exports[i].documented;
        constants += nt_exports[i].level == NT_EXPORT_CONSTANT;
    }
    EXPECT_STREQ(nt_exports[0].name, "MmAdjustWorkingSetSize");
    EXPECT_STREQ(nt_exports[13].name, "MmGetPhysicalAddress");
    EXPECT_STREQ(nt_exports[47].name, "MmUserProbeAddress");
    EXPECT_EQ(documented, 23u);
    EXPECT_EQ(constants, 6u);
}

TEST(NtExports, EveryEntryCanBeCalled) {
    for (const nt_export &entry : nt_exports) { EXPECT_TRUE(nt_export_callable(entry.name)) << entry.name; }
}

TEST(NtExports, CallFromC) {
    NtMachine nt;
    ASSERT_NE(nt.m, nullptr);
    const uint64_t va[] = {0x80404ABC};
    const machine_result *result = nt_call(nt.m, "MmGetPhysicalAddress", 1, va);
    EXPECT_EQ(result->service_status, uint32_t(STATUS_SUCCESS));
    EXPECT_EQ(result->service_out[0], 0x404ABCu);
    EXPECT_EQ(nt_call(nt.m, "MmHighestUserAddress", 0, nullptr)->service_out[0], 0x7FFEFFFFu);
    EXPECT_EQ(nt_call(nt.m, "MmSystemRangeStart", 0, nullptr)->service_out[0], 0x80000000u);
    EXPECT_EQ(nt_call(nt.m, "MmUserProbeAddress", 0, nullptr)->service_out[0], 0x7FFF0000u);
    EXPECT_EQ(nt_call(nt.m, "MmIsThisAnNtAsSystem", 0, nullptr)->service_out[0], 0u);
    EXPECT_EQ(nt_call(nt.m, "MmQuerySystemSize", 0, nullptr)->service_out[0], 1u);
    EXPECT_GE(nt_call(nt.m, "MmSectionObjectType", 0, nullptr)->service_out[0], 0x80000000u);
    EXPECT_FALSE(nt_export_callable("MmNoSuchThing"));
}

TEST(NtExports, WhatTheKernelDoesNotHaveStopsTheReplay) {
    NtMachine nt;
    EXPECT_EQ(nt_call(nt.m, "MmNoSuchThing", 0, nullptr)->stop, MACHINE_PANIC);
    NtMachine other;
    const uint64_t one[] = {0};
    EXPECT_EQ(nt_call(other.m, "MmUserProbeAddress", 1, one)->stop, MACHINE_PANIC);
}

} // namespace
