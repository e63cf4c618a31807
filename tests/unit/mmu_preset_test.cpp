/* Preset files: what is read, what is refused with which words; the presets that come with the program. */
#include "mmu_harness.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

class PresetText : public testing::Test {
  protected:
    std::string error(const std::string &text) {
        std::ofstream(path_) << text;
        char err[512] = "";
        int status = preset_load(&preset_, "", path_.c_str(), err, sizeof err);
        std::string message = err;
        return status == 0 ? "" : message.substr(std::min(path_.size(), message.size()));
    }
    std::string name(mmu_array array) {
        char text[PRESET_NAME_MAX];
        preset_array_name(&preset_, array, text);
        return text;
    }
    void TearDown() override { unlink(path_.c_str()); }
    mmu_preset preset_ = {};
    std::string path_ = testing::TempDir() + "preset_test_" + std::to_string(getpid()) + ".preset";
};

const std::string REST = "source a test\nreplacement lru\nphysical_bits 36\n";

TEST_F(PresetText, ReadsTheLeast) {
    EXPECT_EQ(error("# comment\n\n" + REST + "itlb 4k 8 4 # a word\ndtlb 4k,2m 1 24\n"), "");
    EXPECT_STREQ(preset_.source, "a test");
    EXPECT_EQ(preset_.array[ARRAY_ITLB].classes, 1u << TLB_4K);
    EXPECT_EQ(preset_.array[ARRAY_ITLB].sets, 8u);
    EXPECT_EQ(preset_.array[ARRAY_ITLB].ways, 4u);
    EXPECT_EQ(preset_.array[ARRAY_ITLB + 1].ways, 0u);
    EXPECT_EQ(preset_.array[ARRAY_DTLB].classes, 1u << TLB_4K | 1u << TLB_LARGE);
    EXPECT_EQ(preset_.features, 0u);
    EXPECT_EQ(preset_.walkers, 1u);
    EXPECT_EQ(preset_.seed, 1u);
    EXPECT_EQ(preset_.stlb_cycles, 0u);
    EXPECT_EQ(preset_.memory.dram, 4u);
    EXPECT_EQ(name(ARRAY_ITLB), "itlb_4k");
    EXPECT_EQ(name(ARRAY_DTLB), "dtlb_4k_2m");
}

TEST_F(PresetText, ReadsEverything) {
    EXPECT_EQ(error("source a test\nreplacement random 77\nphysical_bits 52\nfeatures pse pat nx\ntlb 4k 8 4\n"
                    "tlb 2m,1g 1 3\nistlb 4k 16 4\ndstlb 4k,2m 16 4\ndstlb 1g,pde 2 2\nstlb_cycles 7\n"
                    "psc pde 1 4\npsc pml4e 1 2\nwalkers 2\nmemory l1 64 8 4\nmemory l2 512 8 12\nmemory dram 200\n"),
              "");
    EXPECT_EQ(preset_.replacement, TLB_RANDOM);
    EXPECT_EQ(preset_.seed, 77u);
    EXPECT_EQ(preset_.features, unsigned{CPU_PSE | CPU_PAT | CPU_NX});
    EXPECT_TRUE(preset_.unified[0]);
    EXPECT_FALSE(preset_.unified[1]);
    EXPECT_EQ(preset_.array[ARRAY_DTLB].ways, 0u);
    EXPECT_EQ(preset_.array[ARRAY_DSTLB + 1].classes, 1u << TLB_1G | 1u << TLB_PDE);
    EXPECT_EQ(preset_.stlb_cycles, 7u);
    EXPECT_EQ(preset_.array[ARRAY_PSC_PDE].ways, 4u);
    EXPECT_EQ(preset_.array[ARRAY_PSC_PDPTE].ways, 0u);
    EXPECT_EQ(preset_.array[ARRAY_PSC_PML4E].ways, 2u);
    EXPECT_EQ(preset_.walkers, 2u);
    EXPECT_EQ(preset_.memory.cache[1].sets, 512u);
    EXPECT_EQ(preset_.memory.cache[1].cycles, 12u);
    EXPECT_EQ(preset_.memory.dram, 200u);
    unsigned first;
    EXPECT_EQ(preset_arrays(&preset_, TLB_DATA, 1, &first), 3u);
    EXPECT_EQ(first, unsigned{ARRAY_ITLB});
    EXPECT_EQ(preset_arrays(&preset_, TLB_DATA, 2, &first), 2u);
    EXPECT_EQ(first, unsigned{ARRAY_DSTLB});
    EXPECT_EQ(name(ARRAY_ITLB), "tlb_4k");
    EXPECT_EQ(name(ARRAY_ISTLB), "istlb_4k");
    EXPECT_EQ(name(mmu_array(ARRAY_DSTLB + 1)), "dstlb_1g_pde");
    EXPECT_EQ(name(ARRAY_PSC_PML4E), "psc_pml4e");
}

TEST_F(PresetText, WrittenAndReadAgainIsTheSame) {
    for (const char *known : {"ref64", "p6", "tiny", "tiny-plru", "tiny-l2", "tiny-unified", "tiny-random", "tiny-ahead"}) {
        mmu_preset preset = test_preset(known);
        FILE *file = fopen(path_.c_str(), "w");
        preset_write(&preset, file);
        fclose(file);
        mmu_preset again = {};
        char err[512];
        ASSERT_EQ(preset_load(&again, "", path_.c_str(), err, sizeof err), 0) << err;
        EXPECT_EQ(memcmp(again.array, preset.array, sizeof again.array), 0) << known;
        EXPECT_EQ(memcmp(again.unified, preset.unified, sizeof again.unified), 0) << known;
        EXPECT_EQ(memcmp(&again.memory, &preset.memory, sizeof again.memory), 0) << known;
        EXPECT_EQ(again.features, preset.features) << known;
        EXPECT_EQ(again.stlb_cycles, preset.stlb_cycles) << known;
        EXPECT_EQ(again.walkers, preset.walkers) << known;
        EXPECT_EQ(again.replacement, preset.replacement) << known;
        EXPECT_EQ(again.seed, preset.seed) << known;
        EXPECT_EQ(again.physical_bits, preset.physical_bits) << known;
    }
}

TEST_F(PresetText, MemoryIsWrittenAsItWasRead) {
    for (std::string memory : {"memory l1 64 8 4\nmemory l2 512 8 12\nmemory dram 200\n", "memory fixed 7\n"}) {
        ASSERT_EQ(error(REST + "tlb 4k 1 1\n" + memory), "");
        mmu_preset before = preset_;
        FILE *file = fopen(path_.c_str(), "w");
        preset_write(&before, file);
        fclose(file);
        char err[512];
        ASSERT_EQ(preset_load(&preset_, "", path_.c_str(), err, sizeof err), 0) << err;
        EXPECT_EQ(memcmp(&preset_.memory, &before.memory, sizeof before.memory), 0) << memory;
        std::ifstream text(path_);
        std::string written((std::istreambuf_iterator<char>(text)), std::istreambuf_iterator<char>());
        EXPECT_NE(written.find("\n" + memory), std::string::npos) << written;
    }
}

TEST_F(PresetText, ANameThatIsTooLongIsRefused) {
    char err[512] = "";
    std::string path = "/" + std::string(5000, 'a');
    EXPECT_EQ(preset_load(&preset_, "", path.c_str(), err, sizeof err), -1);
    EXPECT_NE(std::string(err).find("…: found a path of 5001 characters, expected at most 4095"), std::string::npos) << err;
}

TEST_F(PresetText, NamesWhatIsWrong) {
    const std::string sizes1 = "sizes: 4k, 2m, 1g with commas between, each once";
    const std::string sizes2 = "sizes: 4k, 2m, 1g, pde with commas between, each once";
    EXPECT_EQ(error("source x\nitlb 4k 1 1\n"), ":2: found end of file, expected replacement");
    EXPECT_EQ(error(REST), ":3: found end of file, expected itlb or tlb");
    EXPECT_EQ(error(REST + "itlb 4k 1 1\n"), ":4: found end of file, expected dtlb");
    EXPECT_EQ(error("replacement fifo\n"), ":1: found 'fifo', expected lru, plru or random");
    EXPECT_EQ(error("replacement random 0\n"), ":1: found '0', expected a seed, 1..65535");
    EXPECT_EQ(error("replacement lru 3\n"), ":1: found '3', expected end of line");
    EXPECT_EQ(error("itlb_4k 4\n"), ":1: found 'itlb_4k', expected source, replacement, physical_bits, features, itlb, "
                                    "dtlb, tlb, istlb, dstlb, stlb, stlb_cycles, psc, walkers or memory");
    EXPECT_EQ(error("itlb 4k 3 4\n"), ":1: found '3', expected a number of sets: a power of two, 1..1024");
    EXPECT_EQ(error("itlb 4k 2048 4\n"), ":1: found '2048', expected a number of sets: a power of two, 1..1024");
    EXPECT_EQ(error("itlb 4k 4\n"), ":1: found end of line, expected a number of ways, 1..64");
    EXPECT_EQ(error("itlb 4k 4 65\n"), ":1: found '65', expected a number of ways, 1..64");
    EXPECT_EQ(error("itlb 4k 4 4 4\n"), ":1: found '4', expected end of line");
    EXPECT_EQ(error("itlb 4m 4 4\n"), ":1: found '4m', expected " + sizes1);
    EXPECT_EQ(error("itlb 4k,4k 4 4\n"), ":1: found '4k,4k', expected " + sizes1);
    EXPECT_EQ(error("itlb pde 4 4\n"), ":1: found 'pde', expected " + sizes1);
    EXPECT_EQ(error("stlb 4k,5m 4 4\n"), ":1: found '4k,5m', expected " + sizes2);
    EXPECT_EQ(error("itlb 4k 4 4\nitlb 4k,2m 4 4\n"),
              ":2: found a size twice, expected each size in one line of a side and level");
    EXPECT_EQ(error("stlb 4k 1 1\nstlb 2m 1 1\nstlb 1g 1 1\n"), ":3: found 'stlb', expected at most 2 such lines");
    EXPECT_EQ(error("tlb 4k 1 1\ndtlb 2m 1 1\n"),
              ":2: found 'dtlb', expected either one level for both sides or one for each");
    EXPECT_EQ(error("istlb 4k 1 1\nstlb 2m 1 1\n"),
              ":2: found 'stlb', expected either one level for both sides or one for each");
    EXPECT_EQ(error("source x\nsource y\n"), ":2: found 'source', expected each key once");
    EXPECT_EQ(error("source   \n"), ":1: found end of line, expected where the figures come from");
    EXPECT_EQ(error("physical_bits 53\n"), ":1: found '53', expected a number of physical address bits, 32..52");
    EXPECT_EQ(error("features pse la57\n"),
              ":1: found 'la57', expected pse, pse36, pge, pae, nx, long, 1g, pcid, invpcid, smep, smap or pat");
    EXPECT_EQ(error("stlb_cycles 101\n"), ":1: found '101', expected cycles of a second-level hit, 0..100");
    EXPECT_EQ(error("psc pte 1 1\n"), ":1: found 'pte', expected pde, pdpte or pml4e");
    EXPECT_EQ(error("psc pde 1 1\npsc pde 1 1\n"), ":2: found 'pde', expected each paging-structure cache once");
    EXPECT_EQ(error("walkers 5\n"), ":1: found '5', expected a number of walkers, 1..4");
    EXPECT_EQ(error("memory fixed 0\n"), ":1: found '0', expected cycles of a table access, 1..1000");
    EXPECT_EQ(error("memory fixed 4\nmemory l1 1 1 4\n"),
              ":2: found 'l1', expected each memory line once, and 'fixed' alone");
    EXPECT_EQ(error("memory l1 1 1 4\nmemory fixed 4\n"),
              ":2: found 'fixed', expected each memory line once, and 'fixed' alone");
    EXPECT_EQ(error(REST + "tlb 4k 1 1\nmemory l1 1 1 4\n"), ":5: found end of file, expected memory dram");
    mmu_preset preset;
    char err[512];
    EXPECT_EQ(preset_load(&preset, "/nonexistent", "p6", err, sizeof err), -1);
    EXPECT_STREQ(err, "/nonexistent/p6.preset: found No such file or directory, expected a preset file");
}

TEST(Presets, P6IsAsCpuidSays) {
    mmu_preset p6 = test_preset("p6");
    EXPECT_STREQ(p6.name, "p6");
    EXPECT_EQ(p6.physical_bits, 36u);
    EXPECT_EQ(p6.replacement, TLB_PLRU);
    EXPECT_EQ(p6.array[ARRAY_ITLB].sets * p6.array[ARRAY_ITLB].ways, 32u);
    EXPECT_EQ(p6.array[ARRAY_ITLB + 1].ways, 2u);
    EXPECT_EQ(p6.array[ARRAY_DTLB].sets * p6.array[ARRAY_DTLB].ways, 64u);
    EXPECT_EQ(p6.array[ARRAY_DTLB + 1].sets * p6.array[ARRAY_DTLB + 1].ways, 8u);
}

} // namespace
