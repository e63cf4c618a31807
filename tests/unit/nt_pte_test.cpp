// PTE formats and protection conversion: the worked encodings of NT-101 (as corrected by NT-103) and round trips (NT-09, NT-10, NT-11).
#include <random>
#include <set>

#include <gtest/gtest.h>

extern "C" {
#include "ntmmu/pfn.h"
#include "ntmmu/pte.h"
}

namespace {

TEST(SelfMap, PteAndPdeAddresses) {
    const struct {
        va_t va, pte;
    } ptes[] = {{0x00010000, 0xC0000040}, {0x00410000, 0xC0001040}, {0x7FFDF000, 0xC01FFF7C}, {0xC0000000, 0xC0300000},
                {0xC0300000, 0xC0300C00}, {0xC0400000, 0xC0301000}, {0xC0501000, 0xC0301404}, {0xC0502000, 0xC0301408},
                {0xE1000000, 0xC0384000}, {0xF8000000, 0xC03E0000}, {0xFFBE0000, 0xC03FEF80}};
    for (const auto &row : ptes) {
        EXPECT_EQ(MiGetPteAddress(row.va), row.pte) << std::hex << row.va;
        EXPECT_EQ(MiGetVirtualAddressMappedByPte(row.pte), row.va);
    }
    const struct {
        va_t va, pde;
    } pdes[] = {{0x00410000, 0xC0300004},
                {0x80000000, 0xC0300800},
                {0xC0000000, 0xC0300C00},
                {0xC0400000, 0xC0300C04},
                {0xE1000000, 0xC0300E10}};
    for (const auto &row : pdes) { EXPECT_EQ(MiGetPdeAddress(row.va), row.pde) << std::hex << row.va; }
}

TEST(SoftwarePte, DemandZeroForms) {
    EXPECT_EQ(pte_demand_zero(MM_READONLY), 0x20u);
    EXPECT_EQ(pte_demand_zero(MM_READWRITE), 0x80u);
    EXPECT_EQ(pte_demand_zero(MM_READWRITE | MM_GUARD_PAGE), 0x280u);
    EXPECT_EQ(pte_demand_zero(MM_NOACCESS), 0x300u);
    EXPECT_EQ(PTE_NO_ACCESS, 0x300u);
    EXPECT_EQ(pte_demand_zero(MM_DECOMMIT), 0x200u);
    EXPECT_EQ(PTE_DECOMMITTED, 0x200u);
}

TEST(HardwarePte, ValidUserPages) {
    EXPECT_EQ(pte_valid_user(0x404, MM_READWRITE), 0x00404027u);
    EXPECT_EQ(pte_valid_user(0x404, MM_READWRITE) | PTE_DIRTY, 0x00404067u);
    EXPECT_EQ(pte_valid_user(0x404, MM_READONLY), 0x00404025u);
    EXPECT_EQ(pte_valid_user(0x404, MM_EXECUTE_READ), 0x00404025u);
    EXPECT_EQ(pte_valid_user(0x404, MM_WRITECOPY), 0x00404225u);
    EXPECT_EQ(pte_valid_user(0x404, MM_EXECUTE_WRITECOPY), 0x00404225u);
    EXPECT_EQ(pte_valid_user(0x404, MM_EXECUTE_READWRITE), 0x00404027u);
    EXPECT_EQ(pte_valid_user(0x404, MM_READWRITE | MM_NOCACHE), 0x00404037u);
}

TEST(HardwarePte, Templates) {
    EXPECT_EQ(PTE_TEMPLATE_USER_PDE, 0x067);
    EXPECT_EQ(PTE_TEMPLATE_KERNEL, 0x163);
    EXPECT_EQ(PTE_TEMPLATE_KERNEL_RO, 0x121);
    EXPECT_EQ(PTE_TEMPLATE_PRIVATE_KERNEL, 0x063);
    EXPECT_EQ(((0x80400000u - 0x80000000u) | PTE_TEMPLATE_DIRECT_MAP), 0x004001E3u); // PDE of 80400000
}

TEST(SoftwarePte, Transition) {
    EXPECT_EQ(pte_transition(0x00404067, MM_READWRITE), 0x00404886u);
    EXPECT_EQ(pte_transition(0x00404027, MM_READWRITE), 0x00404886u);
    EXPECT_EQ(pte_transition(0x00404025, MM_READONLY), 0x00404824u);
    EXPECT_EQ(pte_transition(0x00404121, MM_READONLY), 0x00404820u);
    EXPECT_EQ(pte_transition(0x00404123, MM_READWRITE), 0x00404882u);
    EXPECT_EQ(pte_transition(0x00404321, MM_WRITECOPY), 0x004048A0u);
    EXPECT_EQ(pte_frame(0x00404886), 0x404u);
    EXPECT_EQ(pte_protection(0x00404886), unsigned{MM_READWRITE});
}

TEST(SoftwarePte, ValidPrototype) {
    EXPECT_EQ(pte_valid_prototype(0x404, MM_READONLY), 0x00404121u);
    EXPECT_EQ(pte_valid_prototype(0x404, MM_READWRITE), 0x00404123u);
    EXPECT_EQ(pte_valid_prototype(0x404, MM_WRITECOPY), 0x00404321u);
}

TEST(SoftwarePte, PageFile) {
    EXPECT_EQ(pte_page_file(0, 1, MM_READWRITE), 0x00001080u);
    EXPECT_EQ(pte_page_file(2, 0x1234, MM_READWRITE), 0x01234084u);
    EXPECT_EQ(pte_page_file(15, 5, MM_READONLY), 0x0000503Eu);
    EXPECT_EQ(pte_page_file_number(0x01234084), 2u);
    EXPECT_EQ(pte_page_file_offset(0x01234084), 0x1234u);
    EXPECT_EQ(pte_page_file_number(0x0000503E), 15u);
    EXPECT_EQ(pte_protection(0x0000503E), unsigned{MM_READONLY});
}

TEST(SoftwarePte, PointerForm) {
    const struct {
        va_t proto;
        pte_t pte;
    } rows[] = {{0xE1000408, 0x00001404}, {0xE1000000, 0x00000400}, {0xE10001FC, 0x000004FE}, {0xE1FFFFFC, 0x03FFFCFE}};
    for (const auto &row : rows) {
        EXPECT_EQ(pte_pointer(row.proto), row.pte) << std::hex << row.proto;
        EXPECT_EQ(pte_pointer_target(row.pte), row.proto);
    }
}

TEST(SoftwarePte, PointerFormRoundTrip) {
    std::mt19937 random(101);
    for (int i = 0; i < 10000; i++) {
        va_t proto = 0xE1000000u + (random() & 0x00FFFFFCu);
        pte_t pte = pte_pointer(proto);
        ASSERT_EQ(pte_pointer_target(pte), proto);
        ASSERT_EQ(pte_form(pte), PTE_FORM_PROTOTYPE);
        ASSERT_FALSE(pte_is_vad_lookup(pte));
        ASSERT_EQ(pte & (0x300u | PTE_VALID), 0u); // read-only and which-pool are not used
    }
}

TEST(SoftwarePte, SubsectionFormRoundTrip) {
    std::mt19937 random(64);
    const va_t pool = 0x80260000;
    for (int i = 0; i < 10000; i++) {
        va_t subsection = pool + (random() & 0x07FFFFF8u);
        unsigned protection = random() & 0x1F;
        pte_t pte = pte_subsection(subsection, pool, protection);
        ASSERT_EQ(pte_subsection_target(pte, pool), subsection);
        ASSERT_EQ(pte_protection(pte), protection);
        ASSERT_EQ(pte_form(pte), PTE_FORM_PROTOTYPE);
    }
}

TEST(SoftwarePte, VadLookup) {
    EXPECT_EQ(pte_vad_lookup(MM_READONLY), 0xFFFFF420u);
    EXPECT_EQ(pte_vad_lookup(MM_READWRITE), 0xFFFFF480u);
    EXPECT_EQ(pte_vad_lookup(MM_WRITECOPY), 0xFFFFF4A0u);
    EXPECT_TRUE(pte_is_vad_lookup(0xFFFFF4A0u));
    EXPECT_EQ(pte_form(0xFFFFF420u), PTE_FORM_PROTOTYPE);
}

TEST(SoftwarePte, FormIsDecidedInOrder) {
    EXPECT_EQ(pte_form(0), PTE_FORM_ZERO);
    EXPECT_EQ(pte_form(0x00404067), PTE_FORM_VALID);
    EXPECT_EQ(pte_form(0x00404C00), PTE_FORM_PROTOTYPE); // prototype before transition
    EXPECT_EQ(pte_form(0x00404886), PTE_FORM_TRANSITION);
    EXPECT_EQ(pte_form(0x00000080), PTE_FORM_DEMAND_ZERO);
    EXPECT_EQ(pte_form(0x00000200), PTE_FORM_DEMAND_ZERO);
    EXPECT_EQ(pte_form(0x00000300), PTE_FORM_DEMAND_ZERO);
    EXPECT_EQ(pte_form(0x00001080), PTE_FORM_PAGE_FILE);
    EXPECT_EQ(pte_form(0x00000084), PTE_FORM_PAGE_FILE); // a file number alone
}

TEST(SoftwarePte, ProtectionFieldReplacesOnlyItself) {
    EXPECT_EQ(pte_with_protection(0x00001080, MM_READONLY), 0x00001020u);
    EXPECT_EQ(pte_with_protection(0x00404886, MM_NOACCESS), 0x00404B06u);
}

TEST(PfnEntry, Address) {
    EXPECT_EQ(pfn_address(0x404), 0x80206060u);
    EXPECT_EQ(sizeof(mmpfn), 0x18u);
}

TEST(Protection, Win32ToMask) {
    const struct {
        uint32_t win32;
        int mask;
    } rows[] = {{0x01, 0x18}, {0x02, 1},     {0x04, 4},     {0x08, 5},     {0x10, 2},     {0x20, 3},     {0x40, 6},
                {0x80, 7},    {0x102, 0x11}, {0x104, 0x14}, {0x140, 0x16}, {0x202, 0x09}, {0x204, 0x0C}, {0x220, 0x0B}};
    for (const auto &row : rows) {
        EXPECT_EQ(MiMakeProtectionMask(row.win32), row.mask) << std::hex << row.win32;
        EXPECT_EQ(MiProtectionToWin32(static_cast<unsigned>(row.mask)), row.win32) << row.mask;
    }
}

TEST(Protection, InvalidWin32) {
    // nothing, two bases, guard or no-cache with no-access, both of them, unknown bits
    for (uint32_t win32 : {0x0u, 0x3u, 0x6u, 0xFFu, 0x101u, 0x201u, 0x301u, 0x304u, 0x100u, 0x200u, 0x400u, 0x404u,
                           0x1002u, 0x80000004u}) {
        EXPECT_EQ(MiMakeProtectionMask(win32), -1) << std::hex << win32;
    }
}

TEST(Protection, EveryValidWin32ComesBack) {
    std::set<int> masks;
    for (uint32_t win32 = 0; win32 < 0x800; win32++) {
        int mask = MiMakeProtectionMask(win32);
        if (mask >= 0) {
            EXPECT_EQ(MiProtectionToWin32(static_cast<unsigned>(mask)), win32);
            EXPECT_TRUE(masks.insert(mask).second) << "two protections give mask " << mask;
        }
    }
    EXPECT_EQ(masks.size(), 22u); // seven bases with nothing, guard or no-cache, and no-access
}

} // namespace
