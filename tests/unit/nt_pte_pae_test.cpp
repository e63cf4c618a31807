// The 8-byte PTE formats of PAE: NT-12, and the PAE row of NT-101.
#include <random>

#include <gtest/gtest.h>

extern "C" {
#include "ntmmu/pte_pae.h"
}

namespace {

TEST(PaeSelfMap, Addresses) {
    EXPECT_EQ(pae_pte_address(0x00410000), 0xC0002080u);
    EXPECT_EQ(pae_pde_address(0x00410000), 0xC0600010u);
    EXPECT_EQ(pae_pte_address(0), 0xC0000000u);
    EXPECT_EQ(pae_pte_address(0xFFFFF000), 0xC07FFFF8u);
    EXPECT_EQ(pae_pde_address(0), 0xC0600000u);
    EXPECT_EQ(pae_pde_address(0xFFFFFFFF), 0xC0603FF8u); // the last of four directories
    // the directories are page tables of the window's own part: PDEs 600..603, in directory 3 entries 0..3
    for (unsigned i = 0; i < 4; i++) {
        va_t window = PAE_PTE_BASE + i * 0x200000u;
        EXPECT_EQ(pae_pde_address(window), 0xC0603000u + i * 8);
        EXPECT_EQ(pae_pdpt_index(window), 3u);
        EXPECT_EQ(pae_pd_index(window), i);
    }
    EXPECT_EQ(pae_pte_address(PAE_PTE_BASE), PAE_PDE_BASE); // a PDE is the PTE of its page table
    std::mt19937 random(1);
    for (int i = 0; i < 10000; i++) {
        va_t va = random() & 0xFFFFF000u;
        EXPECT_EQ(pae_address_mapped_by_pte(pae_pte_address(va)), va);
        EXPECT_EQ(pae_pte_address(va) / 8 % 512, pae_pt_index(va));
        EXPECT_EQ(pae_pde_address(va), pae_pte_address(pae_pte_address(va)));
    }
}

TEST(PaeSelfMap, HyperspaceRingHas127UsableMappings) {
    EXPECT_EQ((PAE_HYPER_RING_END + 1 - PAE_HYPER_BASE) / PAGE_SIZE, 128u); // one PTE is the counter
    EXPECT_EQ(PAE_HYPER_BASE, PAE_PTE_TOP + 1);
    EXPECT_EQ(pae_pd_index(PAE_HYPER_BASE + PAE_LARGE_PAGE), pae_pd_index(PAE_HYPER_BASE) + 1);
    EXPECT_GT(PAE_WORKING_SET_LIST, PAE_HYPER_RING_END);
}

TEST(PaePdpte, ReservedBits) {
    EXPECT_TRUE(pae_pdpte_is_legal(0x400001));
    EXPECT_TRUE(pae_pdpte_is_legal(0xF00400019ull));
    EXPECT_FALSE(pae_pdpte_is_legal(0x400003)); // writable: reserved here
    EXPECT_FALSE(pae_pdpte_is_legal(0x400005));
    EXPECT_FALSE(pae_pdpte_is_legal(0x400021));
    EXPECT_FALSE(pae_pdpte_is_legal(1ull << 36));
    EXPECT_FALSE(pae_pdpte_is_legal(1ull << 63));
}

TEST(PaePte, FramesAbove4Gigabytes) {
    const pfn_t frame = 0xABCDEF;
    pte_t valid = pae_valid_user(frame, MM_READWRITE) | PTE_DIRTY;
    EXPECT_EQ(valid, 0xABCDEF067ull);
    EXPECT_EQ(pae_frame(valid), frame);
    pte_t transition = pae_transition(valid, MM_READWRITE);
    EXPECT_EQ(transition, 0xABCDEF886ull);
    EXPECT_EQ(pae_frame(transition), frame);
    EXPECT_EQ(pte_protection(transition), unsigned{MM_READWRITE});
    EXPECT_EQ(pae_valid_prototype(frame, MM_WRITECOPY), 0xABCDEF321ull);
    EXPECT_EQ(pae_transition(pae_valid_prototype(frame, MM_WRITECOPY), MM_WRITECOPY), 0xABCDEF8A0ull);
    EXPECT_EQ(pae_frame(0xFFF0000ABCDEF067ull), 0xABCDEFu) << "bits 36..63 are no frame";
}

TEST(PaePte, SoftwareFormsRoundTrip) {
    EXPECT_EQ(pae_page_file(2, 0x1234, MM_READWRITE), 0x0000123400000084ull);
    EXPECT_EQ(pae_page_file(15, 0xFFFFFFFF, MM_READONLY), 0xFFFFFFFF0000003Eull);
    EXPECT_EQ(pae_demand_zero(MM_READWRITE), 0x80u);
    EXPECT_EQ(pae_pointer(0xE1000408, MM_READONLY, true), 0xE100040800000D00ull);
    EXPECT_EQ(pae_vad_lookup(MM_READWRITE), 0xFFFFFFFF00000480ull);
    EXPECT_EQ(pae_subsection(0x80261238, MM_EXECUTE_READ), 0x8026123800000460ull);
    EXPECT_EQ(pae_list(0x80, false), 0x0000008000000000ull);
    EXPECT_EQ(pae_list(PAE_LIST_END, true), 0xFFFFFFFF00000002ull);
    std::mt19937 random(2);
    for (int i = 0; i < 10000; i++) {
        unsigned protection = random() & 0x1F, file = random() & 0xF;
        uint32_t word = random();
        pte_t slot = pae_page_file(file, word | 1, protection);
        EXPECT_EQ(pae_form(slot), PTE_FORM_PAGE_FILE);
        EXPECT_EQ(pae_page_file_number(slot), file);
        EXPECT_EQ(pae_page_file_offset(slot), word | 1);
        EXPECT_EQ(pte_protection(slot), protection);
        pte_t pointer = pae_pointer(word & ~7u, protection, word & 8);
        EXPECT_EQ(pae_form(pointer), PTE_FORM_PROTOTYPE);
        EXPECT_EQ(pae_pointer_target(pointer), word & ~7u);
        EXPECT_EQ(pae_pointer_protection(pointer), protection);
        EXPECT_EQ(pae_pointer_is_read_only(pointer), (word & 8) != 0);
        EXPECT_FALSE(pae_is_vad_lookup(pointer));
        pte_t subsection = pae_subsection(word & ~7u, protection);
        EXPECT_EQ(pae_form(subsection), PTE_FORM_PROTOTYPE);
        EXPECT_EQ(pae_subsection_target(subsection), word & ~7u);
        EXPECT_EQ(pte_protection(subsection), protection);
        EXPECT_TRUE(pae_is_vad_lookup(pae_vad_lookup(protection)));
        EXPECT_EQ(pae_form(pae_vad_lookup(protection)), PTE_FORM_PROTOTYPE);
        EXPECT_EQ(pae_list_next(pae_list(word, true)), word);
    }
}

TEST(PaePte, FormIsDecidedInOrder) {
    EXPECT_EQ(pae_form(0), PTE_FORM_ZERO);
    EXPECT_EQ(pae_form(0xABCDEF067ull), PTE_FORM_VALID);
    EXPECT_EQ(pae_form(0xABCDEF886ull), PTE_FORM_TRANSITION);
    EXPECT_EQ(pae_form(0x80), PTE_FORM_DEMAND_ZERO);
    EXPECT_EQ(pae_form(PTE_DECOMMITTED), PTE_FORM_DEMAND_ZERO);
    EXPECT_EQ(pae_form(0x100000080ull), PTE_FORM_PAGE_FILE);
}

TEST(PaePte, StoresNeverShowHalfOfEachEntry) {
    pae_store store[3];
    // both halves of a valid entry change: low 0, high, low
    ASSERT_EQ(pae_stores(0x1ABCDE067ull, 0x212345067ull, store), 3u);
    EXPECT_FALSE(store[0].high);
    EXPECT_EQ(store[0].value, 0u);
    EXPECT_TRUE(store[1].high);
    EXPECT_EQ(store[1].value, 2u);
    EXPECT_FALSE(store[2].high);
    EXPECT_EQ(store[2].value, 0x12345067u);
    // the low half alone
    ASSERT_EQ(pae_stores(0x1ABCDE067ull, 0x1ABCDE025ull, store), 1u);
    EXPECT_FALSE(store[0].high);
    // an invalid entry becomes valid: the high half first
    ASSERT_EQ(pae_stores(0x80, 0x1ABCDE067ull, store), 2u);
    EXPECT_TRUE(store[0].high);
    EXPECT_FALSE(store[1].high);
    EXPECT_EQ(pae_stores(0x80, 0x80, store), 0u);
    // whatever changes, no store in between makes a valid entry that is neither the old nor the new one
    std::mt19937_64 random(3);
    for (int i = 0; i < 10000; i++) {
        pte_t old = random() & 0xFFFFFFFFFull, value = random() & 0xFFFFFFFFFull, memory = old;
        if (i & 1) { value = (value & ~0xFFFFFFFFull) | (old & 0xFFFFFFFF); }
        unsigned count = pae_stores(old, value, store);
        for (unsigned s = 0; s < count; s++) {
            memory = store[s].high ? (memory & 0xFFFFFFFFull) | pte_t(store[s].value) << 32
                                   : (memory & ~0xFFFFFFFFull) | store[s].value;
            EXPECT_TRUE(!(memory & PTE_VALID) || memory == old || memory == value) << std::hex << old << " " << value;
        }
        EXPECT_EQ(memory, value);
    }
}

} // namespace
