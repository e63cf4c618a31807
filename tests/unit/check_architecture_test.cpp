/* The architecture's oracle against hand-made results. Each expectation is a sentence of the Intel SDM, volume 3: 4.6
 * and 4.7 (rights, error codes), 4.8 (A and D), 4.10 (caching and invalidation). The MMU judged here does what a test
 * says. */
#include "physmem_memory.h"

#include <cstdio>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <vector>

extern "C" {
#include "check/architecture.h"
}

struct mmu {
    mmu_memory memory;
    std::function<void(const mmu_request &, mmu_result &)> answer;
    int vector = MMU_VECTOR_NONE; /* of control writes and INVPCID */
};

namespace {

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
enum { ALL = P | RW | US | A | D };
constexpr pa_t DIRECTORY = 0x1000, TABLE = 0x2000, OTHER_TABLE = 0x3000, OTHER_DIRECTORY = 0x4000;
constexpr va_t PAGE = 0x00405000; /* PDE 1, PTE 5 */
constexpr pa_t PDE = DIRECTORY + 4, PTE = TABLE + 5 * 4;

mmu *made; /* by the last fake_create */

mmu *fake_create(const mmu_config *config, char *, size_t) {
    made = new mmu{config->memory, {}};
    return made;
}
void fake_destroy(mmu *m) { delete m; }
size_t fake_translate(mmu *m, const mmu_request *requests, mmu_result *results, size_t) {
    results[0] = {};
    m->answer(requests[0], results[0]);
    return 1;
}
int fake_write_control(mmu *m, enum mmu_control, uint64_t) { return m->vector; }
uint64_t fake_read_control(const mmu *, enum mmu_control) { return 0; }
void fake_invlpg(mmu *, va_t) {}
int fake_invpcid(mmu *m, uint64_t, uint64_t, va_t) { return m->vector; }
uint64_t fake_cycles(const mmu *) { return 0; }
void fake_statistics(const mmu *, mmu_statistics *) {}
size_t fake_tlb_entries(mmu *, mmu_tlb_entry *, size_t) { return 0; }
int fake_wave(mmu *m, const char *path, uint64_t from, uint64_t to) {
    return m == made && strcmp(path, "a.vcd") == 0 && from == 3 && to == 5 ? 0 : -1;
}

const mmu_ops fake_ops = {
    MMU_ABI_VERSION,   "fake",      fake_create,  fake_destroy, fake_translate,  fake_write_control,
    fake_read_control, fake_invlpg, fake_invpcid, fake_cycles,  fake_statistics, fake_tlb_entries,
    fake_wave};

class Architecture : public testing::Test {
  protected:
    physmem mem;
    event_log log = {};
    unsigned features = (1u << CPU_FEATURES) - 1;
    architecture *oracle = nullptr;
    mmu *watched = nullptr, *fake = nullptr;

    void SetUp() override {
        ASSERT_EQ(physmem_init(&mem, 4u << 20), 0);
        start();
    }
    void TearDown() override {
        stop();
        physmem_fini(&mem);
    }
    void start() {
        char err[256];
        mmu_config config = {};
        config.preset.physical_bits = 40;
        config.preset.features = features;
        config.memory = physmem_memory(&mem);
        oracle = architecture_create(&fake_ops);
        watched = architecture_mmu(oracle, &config, &mem, &log, err, sizeof err);
        fake = made;
    }
    void restart_without(unsigned lacking) {
        stop();
        features &= ~lacking;
        start();
    }
    void stop() {
        architecture_ops.destroy(watched);
        architecture_destroy(oracle);
    }

    /* ---- what software does ---- */
    void put(pa_t entry, uint32_t value) { physmem_write32(&mem, entry, value); }
    void put8(pa_t entry, uint64_t value) { physmem_write(&mem, entry, &value, 8); }
    void write(enum mmu_control which, uint64_t value) { architecture_ops.write_control(watched, which, value); }
    void invlpg(va_t va) { architecture_ops.invlpg(watched, va); }
    void invpcid(uint64_t type, uint64_t pcid, va_t va) { architecture_ops.invpcid(watched, type, pcid, va); }

    /* Two-level paging; PAGE at frame 7, entries as given. */
    void map(uint32_t pte = 0x7000 | ALL, uint32_t pde = TABLE | ALL) {
        put(PDE, pde);
        put(PTE, pte);
        write(MMU_CR4, CR4_PSE | CR4_PGE);
        write(MMU_CR3, DIRECTORY);
        write(MMU_CR0, CR0_PG | CR0_PE | CR0_WP);
    }

    /* ---- what the MMU does ---- */
    void walk(pa_t a, pa_t b = 0) {
        unsigned bytes = wide ? 8 : 4;
        fake->memory.read(fake->memory.ctx, a, bytes);
        if (b) { fake->memory.read(fake->memory.ctx, b, bytes); }
    }
    void set_bits(pa_t entry, uint64_t bits) {
        unsigned bytes = wide ? 8 : 4;
        uint64_t old = fake->memory.read(fake->memory.ctx, entry, bytes);
        fake->memory.compare_exchange(fake->memory.ctx, entry, bytes, old, old | bits);
    }
    /* An access that goes well: the MMU says pa, after doing `work`. */
    bool gives(va_t va, pa_t pa, enum mmu_type type = MMU_READ, enum mmu_mode mode = MMU_USER,
               const std::function<void()> &work = {}) {
        fake->answer = [&](const mmu_request &, mmu_result &r) {
            if (work) { work(); }
            r.pa = pa;
        };
        return ask(va, type, mode);
    }
    bool faults(va_t va, uint32_t code, enum mmu_type type = MMU_READ, enum mmu_mode mode = MMU_USER, va_t low = 0,
                const std::function<void()> &work = {}) {
        fake->answer = [&](const mmu_request &request, mmu_result &r) {
            if (work) { work(); }
            r.vector = MMU_VECTOR_PF;
            r.error_code = code;
            r.cr2 = request.va ^ low;
        };
        return ask(va, type, mode);
    }
    /* Legal so far? */
    bool ask(va_t va, enum mmu_type type, enum mmu_mode mode) {
        mmu_request request = {va, (uint8_t)type, (uint8_t)mode, 4};
        mmu_result result;
        architecture_ops.translate(watched, &request, &result, 1);
        return legal();
    }
    bool legal() const { return *architecture_report(oracle) == 0; }
    bool says(const char *text) const {
        return std::string(architecture_report(oracle)).find(text) != std::string::npos;
    }

    bool wide = false; /* entries of eight bytes */
};

/* ---- 4.3, 4.6, 4.7: one walk ---- */

TEST_F(Architecture, AWalkOfMemoryIsLegal) {
    map();
    EXPECT_TRUE(gives(PAGE + 0x123, 0x7123));
    EXPECT_TRUE(gives(PAGE + 0x123, 0x7123)); /* and again, now known */
    EXPECT_TRUE(faults(0x00406000, PF_USER));
}

TEST_F(Architecture, AnotherAddressIsNot) {
    map();
    EXPECT_FALSE(gives(PAGE, 0x8000));
    EXPECT_TRUE(says("a user read of 00405000 gave physical address 00008000")) << architecture_report(oracle);
    EXPECT_TRUE(says("legal: physical address 00007000, by PDE 00002067, PTE 00007067")) << architecture_report(oracle);
}

TEST_F(Architecture, AKnownPageWithAnotherAddressIsNot) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    EXPECT_FALSE(gives(PAGE, 0x8000));
}

TEST_F(Architecture, AFaultOutOfNothingIsNot) {
    map();
    EXPECT_FALSE(faults(PAGE, PF_USER));
}

TEST_F(Architecture, ErrorCodesAreExact) {
    map(0x7000 | P | US | A); /* read only */
    EXPECT_TRUE(faults(PAGE, PF_PRESENT | PF_WRITE | PF_USER, MMU_WRITE));
    EXPECT_TRUE(faults(PAGE, PF_PRESENT | PF_WRITE, MMU_MODIFY, MMU_SUPERVISOR)); /* CR0.WP */
    EXPECT_FALSE(faults(PAGE, PF_WRITE | PF_USER, MMU_WRITE));
}

TEST_F(Architecture, Cr2IsTheWholeAddress) {
    map(0);
    EXPECT_TRUE(faults(PAGE + 0x234, PF_USER));
    EXPECT_FALSE(faults(PAGE + 0x234, PF_USER, MMU_READ, MMU_USER, 0x234));
}

TEST_F(Architecture, AFetchIsToldApartOnlyWithNxOrSmep) {
    map(0);
    EXPECT_TRUE(faults(PAGE, PF_USER, MMU_FETCH));
    write(MMU_CR4, CR4_PSE | CR4_PGE | CR4_SMEP);
    EXPECT_TRUE(faults(PAGE, PF_USER | PF_FETCH, MMU_FETCH));
    EXPECT_FALSE(faults(PAGE, PF_USER, MMU_FETCH));
}

TEST_F(Architecture, AReservedBitIsAFaultOfItsOwn) {
    map(0, PS | ALL | 1u << 21); /* bit 21 of a 4 MB page */
    EXPECT_TRUE(faults(PAGE, PF_USER | PF_PRESENT | PF_RESERVED));
    EXPECT_FALSE(gives(PAGE, 0x5000));
}

/* Without PAT its bit is reserved, in a PTE and in a large page's PDE; without CR4.PSE nothing is (4.3). */
TEST_F(Architecture, ThePatBitOfACpuWithoutPat) {
    restart_without(CPU_PAT);
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x7000 | ALL | 1u << 7);
    invlpg(PAGE);
    EXPECT_TRUE(faults(PAGE, PF_USER | PF_PRESENT | PF_RESERVED));
    write(MMU_CR4, 0);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    restart_without(CPU_PAT);
    map(0, PS | ALL | 1u << 12);
    EXPECT_TRUE(faults(PAGE, PF_USER | PF_PRESENT | PF_RESERVED));
    EXPECT_FALSE(gives(PAGE, 0x5000));
}

TEST_F(Architecture, Pse36AddressesAreWhole) {
    map(0, PS | ALL | 0x00800000 | 3u << 13);
    EXPECT_TRUE(gives(PAGE, 0x300805000));
    EXPECT_FALSE(gives(PAGE, 0x00805000));
}

TEST_F(Architecture, RegistersActOnTheNextAccess) {
    map(0x7000 | P | A | D); /* supervisor's, read only */
    EXPECT_TRUE(faults(PAGE, PF_PRESENT | PF_WRITE, MMU_WRITE, MMU_SUPERVISOR));
    write(MMU_CR0, CR0_PG | CR0_PE); /* WP = 0: no invalidation, no caching of the decision */
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_WRITE, MMU_SUPERVISOR));
    EXPECT_FALSE(faults(PAGE, PF_PRESENT | PF_WRITE, MMU_WRITE, MMU_SUPERVISOR));
}

TEST_F(Architecture, SmapIsExcusedByAcForExplicitAccessesOnly) {
    map();
    write(MMU_CR4, CR4_PSE | CR4_PGE | CR4_SMAP);
    EXPECT_TRUE(faults(PAGE, PF_PRESENT, MMU_READ, MMU_SUPERVISOR));
    write(MMU_EFLAGS_AC, 1);
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_READ, MMU_SUPERVISOR));
    EXPECT_TRUE(faults(PAGE, PF_PRESENT, MMU_READ, MMU_IMPLICIT));
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_READ, MMU_IMPLICIT));
}

TEST_F(Architecture, WithPagingOffNothingIsTranslated) {
    EXPECT_TRUE(gives(0x12345, 0x12345));
    EXPECT_FALSE(gives(0x12345, 0x345));
}

/* ---- 4.8: A and D ---- */

TEST_F(Architecture, ASuccessNeedsAEverywhereAndDForAWrite) {
    map(0x7000 | P | RW | US, TABLE | P | RW | US);
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_READ, MMU_USER, [&] {
        set_bits(PDE, A);
        set_bits(PTE, A);
    }));
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_WRITE, MMU_USER, [&] { set_bits(PTE, D); }));
    EXPECT_EQ(physmem_read32(&mem, PTE), 0x7067u);
}

TEST_F(Architecture, AMissingAOfTheDirectoryEntry) {
    map(0x7000 | ALL, TABLE | P | RW | US);
    EXPECT_FALSE(gives(PAGE, 0x7000));
    EXPECT_TRUE(says("but A or D is not set") && says("if it had set A in the PDE")) << architecture_report(oracle);
}

TEST_F(Architecture, AMissingD) {
    map(0x7000 | P | RW | US | A);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_WRITE));
}

TEST_F(Architecture, AFaultSetsNoDAndMarksNoPage) {
    map(0x7000 | P | US, TABLE | P | RW | US);
    EXPECT_TRUE(faults(PAGE, 7, MMU_WRITE, MMU_USER, 0, [&] { set_bits(PDE, A); })); /* upper levels: may be */
    EXPECT_FALSE(faults(PAGE, 7, MMU_WRITE, MMU_USER, 0, [&] { set_bits(PTE, D); }));
}

TEST_F(Architecture, AFaultLeavesTheAOfItsPageAlone) {
    map(0x7000 | P | US);
    EXPECT_FALSE(faults(PAGE, 7, MMU_WRITE, MMU_USER, 0, [&] { set_bits(PTE, A); }));
    EXPECT_TRUE(says("though the access faulted"));
}

TEST_F(Architecture, AReadSetsNoD) {
    map(0x7000 | P | RW | US | A);
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_READ, MMU_USER, [&] { set_bits(PTE, D); }));
}

TEST_F(Architecture, NoDWhereNoPageIsMapped) {
    map(0x7000 | ALL, TABLE | P | RW | US | A);
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_WRITE, MMU_USER, [&] { set_bits(PDE, D); }));
    EXPECT_TRUE(says("which sets D where no page is mapped"));
}

TEST_F(Architecture, NoOtherBitIsSet) {
    map(0x7000 | P | US | A);
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_READ, MMU_USER, [&] { set_bits(PTE, 0x200); }));
}

TEST_F(Architecture, NoEntryIsMarkedThatIsNotOnTheWay) {
    map();
    put(PTE + 4, 0x8000 | P | RW | US);
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_READ, MMU_USER, [&] { set_bits(PTE + 4, A); }));
    EXPECT_TRUE(says("not on the way of the access"));
}

TEST_F(Architecture, NothingIsMarkedThatIsNotPresent) {
    map(0x7000 | RW | US);
    EXPECT_FALSE(faults(PAGE, PF_USER, MMU_READ, MMU_USER, 0, [&] { set_bits(PTE, A); }));
}

TEST_F(Architecture, NothingIsMarkedOutsideOfAnAccess) {
    map(0x7000 | P | RW | US);
    set_bits(PTE, A);
    EXPECT_FALSE(legal());
}

/* A write through a clean TLB entry whose page was made read-only meanwhile: the walk that sets D must see it. */
TEST_F(Architecture, DIsNotSetBlindly) {
    map(0x7000 | P | RW | US | A);
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_READ, MMU_USER, [&] { walk(PDE, PTE); }));
    put(PTE, 0x7000 | P | US | A);
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_WRITE, MMU_USER, [&] { set_bits(PTE, D); }));
}

TEST_F(Architecture, DIsNotLeftOutBecauseTheTlbWasOnceDirty) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_WRITE));
    put(PTE, 0x7000 | P | RW | US | A); /* D cleared: until the flush a cached D will do */
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_WRITE));
    invlpg(PAGE);
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_WRITE));
}

/* ---- 4.10.2, 4.10.4: what may be stale, and until when ---- */

TEST_F(Architecture, OldAndNewAreLegalUntilTheFlush) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    log.event = 3;
    architecture_start(oracle);
    put(PTE, 0x8000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x8000));
    EXPECT_TRUE(gives(PAGE, 0x7000));
    EXPECT_TRUE(gives(PAGE, 0x8000));
    invlpg(PAGE + 0x800);
    EXPECT_TRUE(gives(PAGE, 0x8000));
    EXPECT_FALSE(gives(PAGE, 0x7000));
    EXPECT_TRUE(says("PTE   at 00002014: 00008067, written in event 3") &&
                says("before that 00007067, replaced in event 3") &&
                says("last invalidation of what a TLB holds of this page: INVLPG in event 3"))
        << architecture_report(oracle);
}

TEST_F(Architecture, TheFlushOfAnotherPageChangesNothing) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x8000 | ALL);
    invlpg(PAGE + 0x1000);
    EXPECT_TRUE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, WhatWasChangedBeforeTheFlushAndBackIsNotStale) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x8000 | ALL);
    invlpg(PAGE);
    put(PTE, 0x9000 | ALL); /* nobody has read 8000 since, but somebody may have */
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, AnEntryThatIsNotPresentIsNeverCached) {
    map(0);
    EXPECT_TRUE(faults(PAGE, PF_USER));
    put(PTE, 0x7000 | ALL);
    EXPECT_FALSE(faults(PAGE, PF_USER));
}

TEST_F(Architecture, NorIsOneWithoutA) {
    map(0x7000 | P | RW | US);
    EXPECT_TRUE(faults(0x00406000, PF_USER, MMU_READ, MMU_USER, 0, [&] { walk(PDE, PTE); }));
    put(PTE, 0x8000 | ALL);
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, RightsThatGrewMayFaultOnceMore) {
    map(0x7000 | P | US | A);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x7000 | ALL);
    EXPECT_TRUE(faults(PAGE, 7, MMU_WRITE));  /* 4.10.4.3: spurious */
    EXPECT_FALSE(faults(PAGE, 7, MMU_WRITE)); /* the fault itself has dropped the entry: 4.10.4.1 */
    EXPECT_TRUE(says("#PF"));
}

TEST_F(Architecture, RightsThatGrewMayBeSeenAtOnce) {
    map(0x7000 | P | US | A);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x7000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x7000, MMU_WRITE));
}

TEST_F(Architecture, MovCr3DropsAllButGlobalPages) {
    map();
    put(PTE + 4, 0x9000 | ALL | G);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    EXPECT_TRUE(gives(PAGE + 0x1000, 0x9000));
    put(PTE, 0x8000 | ALL);
    put(PTE + 4, 0xA000 | ALL | G);
    write(MMU_CR3, DIRECTORY);
    EXPECT_TRUE(gives(PAGE + 0x1000, 0x9000));
    EXPECT_TRUE(gives(PAGE + 0x1000, 0xA000));
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, AGlobalPageOutlivesItsDirectory) {
    map(0x7000 | ALL | G);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    write(MMU_CR3, OTHER_DIRECTORY); /* empty */
    EXPECT_TRUE(gives(PAGE, 0x7000));
    EXPECT_TRUE(faults(PAGE, PF_USER)); /* or not; and that drops it */
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, AnotherPageDoesNotOutliveIt) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    write(MMU_CR3, OTHER_DIRECTORY);
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, InvlpgDropsGlobalPagesToo) {
    map(0x7000 | ALL | G);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x8000 | ALL | G);
    invlpg(PAGE);
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, ChangingPgeDropsGlobalPages) {
    map(0x7000 | ALL | G);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x8000 | ALL | G);
    write(MMU_CR4, CR4_PSE);
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, ChangingPagingDropsEverything) {
    map(0x7000 | ALL | G);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x8000 | ALL | G);
    write(MMU_CR0, CR0_PE);
    write(MMU_CR0, CR0_PE | CR0_PG);
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Architecture, OneInvlpgDropsAWholeLargePage) {
    map(0, PS | ALL | 0x00C00000);
    EXPECT_TRUE(gives(PAGE, 0xC05000));
    put(PDE, PS | ALL | 0x00800000);
    EXPECT_TRUE(gives(PAGE, 0xC05000));
    invlpg(0x007FF000); /* the last of its 4 KB */
    EXPECT_TRUE(gives(PAGE, 0x805000));
    EXPECT_FALSE(gives(PAGE, 0xC05000));
    EXPECT_TRUE(says("last invalidation of a large page here: INVLPG"));
}

/* 4.10.3: a paging-structure cache may still lead to the old table, whose entries are read now. */
TEST_F(Architecture, AnOldDirectoryEntryLeadsToTheOldTable) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PDE, OTHER_TABLE | ALL);
    put(PTE, 0x8000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x7000));   /* all from the TLB */
    EXPECT_TRUE(gives(PAGE, 0x8000));   /* old PDE, new PTE in the old table */
    EXPECT_TRUE(faults(PAGE, PF_USER)); /* new PDE: its table is empty. And now the fault has dropped all that */
    EXPECT_FALSE(gives(PAGE, 0x8000));
}

TEST_F(Architecture, AnyInvlpgDropsThePagingStructureCaches) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PDE, OTHER_TABLE | ALL);
    invlpg(0x12345000);               /* 4.10.4.1: "regardless of the linear address to which they correspond" */
    EXPECT_TRUE(gives(PAGE, 0x7000)); /* the TLB's entry is another matter */
    put(PTE, 0x8000 | ALL);
    EXPECT_FALSE(gives(PAGE, 0x8000));
}

/* ---- PAE ---- */

class Pae : public Architecture {
  protected:
    void map_pae(uint64_t pte) {
        wide = true;
        put8(DIRECTORY, TABLE | P);
        put8(TABLE + 8 * 2, OTHER_TABLE | ALL);
        put8(OTHER_TABLE + 8 * 5, pte);
        write(MMU_EFER, EFER_NXE);
        write(MMU_CR4, CR4_PAE | CR4_PGE);
        write(MMU_CR3, DIRECTORY);
        write(MMU_CR0, CR0_PG | CR0_PE | CR0_WP);
        ASSERT_TRUE(legal()) << architecture_report(oracle);
    }
};

TEST_F(Pae, ThePdptesAreRegisters) {
    map_pae(0x700007000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x700007000));
    put8(DIRECTORY, 0); /* 4.4.1: memory is looked at when they are loaded */
    EXPECT_TRUE(gives(PAGE, 0x700007000));
    EXPECT_FALSE(faults(PAGE, PF_USER));
}

TEST_F(Pae, AndLoadedByMovCr3) {
    map_pae(0x7000 | ALL);
    put8(DIRECTORY, 0);
    write(MMU_CR3, DIRECTORY);
    EXPECT_TRUE(faults(PAGE, PF_USER));
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

TEST_F(Pae, ABadPdpteMakesTheLoadFault) {
    map_pae(0x7000 | ALL);
    put8(DIRECTORY, TABLE | P | RW);
    write(MMU_CR3, DIRECTORY);
    EXPECT_FALSE(legal());
}

TEST_F(Pae, NoExecute) {
    map_pae(0x8000000000007000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    EXPECT_TRUE(faults(PAGE, PF_PRESENT | PF_USER | PF_FETCH, MMU_FETCH));
    EXPECT_FALSE(gives(PAGE, 0x7000, MMU_FETCH));
}

TEST_F(Pae, ReservedBitsAboveTheAddress) {
    map_pae(0x10000000000 | 0x7000 | ALL); /* bit 40 */
    EXPECT_TRUE(faults(PAGE, PF_PRESENT | PF_USER | PF_RESERVED));
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

/* ---- 4-level paging and PCIDs ---- */

class FourLevel : public Architecture {
  protected:
    static constexpr pa_t PML4 = 0x10000, PDPT = 0x11000, PD = 0x12000, PT = 0x13000, OTHER_PML4 = 0x14000;
    static constexpr va_t VA = 0xFFFF800000405000; /* PML4E 256, PDPTE 0, PDE 2, PTE 5 */
    static constexpr pa_t LEAF = PT + 5 * 8;

    void map_four(uint64_t pte = 0x7000 | ALL) {
        wide = true;
        put8(PML4 + 256 * 8, PDPT | ALL);
        put8(PDPT, PD | ALL);
        put8(PD + 2 * 8, PT | ALL);
        put8(LEAF, pte);
        write(MMU_CR4, CR4_PAE | CR4_PGE);
        write(MMU_EFER, EFER_LME | EFER_NXE);
        write(MMU_CR3, PML4);
        write(MMU_CR0, CR0_PG | CR0_PE | CR0_WP);
        write(MMU_CR4, CR4_PAE | CR4_PGE | CR4_PCIDE);
        write(MMU_CR3, PML4 | 1);
        ASSERT_TRUE(legal()) << architecture_report(oracle);
    }
};

TEST_F(FourLevel, FourLevels) {
    map_four();
    EXPECT_TRUE(gives(VA + 0x10, 0x7010));
    EXPECT_FALSE(gives(VA + 0x10, 0x7000));
}

TEST_F(FourLevel, AnAddressThatIsNotCanonicalIsGp) {
    map_four();
    fake->answer = [](const mmu_request &, mmu_result &r) { r.vector = MMU_VECTOR_GP; };
    EXPECT_TRUE(ask(0x0000800000405000, MMU_READ, MMU_USER));
    EXPECT_FALSE(faults(0x0000800000405000, PF_USER));
    EXPECT_TRUE(says("gave #PF with error code 4 and CR2 800000405000")) << architecture_report(oracle);
    EXPECT_TRUE(says("legal: #GP, the address is not canonical")) << architecture_report(oracle);
}

TEST_F(FourLevel, GpOfACanonicalAddress) {
    map_four();
    fake->answer = [](const mmu_request &, mmu_result &r) { r.vector = MMU_VECTOR_GP; };
    EXPECT_FALSE(ask(VA, MMU_READ, MMU_USER));
    EXPECT_TRUE(says(" gave vector 13\n  legal: physical address 00007000")) << architecture_report(oracle);
}

TEST_F(FourLevel, AGigabytePage) {
    map_four();
    put8(PDPT + 8, 0x40000000 | PS | ALL);
    EXPECT_TRUE(gives(VA + 0x40000000, 0x40405000));
    put8(PDPT + 8, 0x40000000 | PS | ALL | 1u << 13);
    EXPECT_FALSE(gives(VA + 0x40000000, 0x40405000 | 1)); /* never an outcome of either */
}

TEST_F(FourLevel, PcidsKeepTheirTranslations) {
    map_four();
    EXPECT_TRUE(gives(VA, 0x7000));
    put8(LEAF, 0x8000 | ALL);
    write(MMU_CR3, OTHER_PML4 | 2);
    EXPECT_TRUE(faults(VA, PF_USER)); /* PCID 2 has no such page, and its fault is not PCID 1's */
    write(MMU_CR3, PML4 | 1 | CR3_KEEP);
    EXPECT_TRUE(gives(VA, 0x7000));
    EXPECT_TRUE(gives(VA, 0x8000));
    write(MMU_CR3, PML4 | 1);
    EXPECT_FALSE(gives(VA, 0x7000));
}

TEST_F(FourLevel, OtherPcidsTranslationsAreNoUse) {
    map_four();
    EXPECT_TRUE(gives(VA, 0x7000));
    write(MMU_CR3, OTHER_PML4 | 2 | CR3_KEEP);
    EXPECT_FALSE(gives(VA, 0x7000));
}

TEST_F(FourLevel, InvpcidOfAnAddress) {
    map_four();
    put8(LEAF + 8, 0x9000 | ALL | G);
    EXPECT_TRUE(gives(VA, 0x7000));
    EXPECT_TRUE(gives(VA + 0x1000, 0x9000));
    put8(LEAF, 0x8000 | ALL);
    put8(LEAF + 8, 0xA000 | ALL | G);
    invpcid(INVPCID_ADDRESS, 2, VA);
    EXPECT_TRUE(gives(VA, 0x7000)); /* another PCID's */
    invpcid(INVPCID_ADDRESS, 1, VA + 0x1000);
    EXPECT_TRUE(gives(VA + 0x1000, 0x9000)); /* global translations stay */
    invpcid(INVPCID_ADDRESS, 1, VA);
    EXPECT_FALSE(gives(VA, 0x7000));
}

TEST_F(FourLevel, InvpcidOfAllContexts) {
    map_four();
    put8(LEAF + 8, 0x9000 | ALL | G);
    EXPECT_TRUE(gives(VA, 0x7000));
    EXPECT_TRUE(gives(VA + 0x1000, 0x9000));
    put8(LEAF, 0x8000 | ALL);
    put8(LEAF + 8, 0xA000 | ALL | G);
    invpcid(INVPCID_CONTEXT, 2, 0);
    EXPECT_TRUE(gives(VA, 0x7000));
    invpcid(INVPCID_ALL_BUT_GLOBAL, 0, 0);
    EXPECT_TRUE(gives(VA + 0x1000, 0x9000));
    EXPECT_FALSE(gives(VA, 0x7000));
}

TEST_F(FourLevel, InvpcidOfEverything) {
    map_four(0x7000 | ALL | G);
    EXPECT_TRUE(gives(VA, 0x7000));
    put8(LEAF, 0x8000 | ALL | G);
    invpcid(INVPCID_ALL, 0, 0);
    EXPECT_FALSE(gives(VA, 0x7000));
}

TEST_F(FourLevel, InvpcidMustRefuse) {
    map_four();
    fake->vector = MMU_VECTOR_GP;
    invpcid(4, 0, 0);
    invpcid(INVPCID_CONTEXT, 0x1000, 0);
    EXPECT_TRUE(legal());
    fake->vector = MMU_VECTOR_NONE;
    invpcid(4, 0, 0);
    EXPECT_FALSE(legal());
}

/* EFER.NXE is changed, and nothing invalidated: an entry with bit 63 may be cached from when that was NX. */
TEST_F(FourLevel, NxeDropsNothing) {
    map_four(0x8000000000007000 | ALL);
    EXPECT_TRUE(gives(VA, 0x7000));
    write(MMU_EFER, EFER_LME);
    EXPECT_TRUE(gives(VA, 0x7000));
    EXPECT_TRUE(faults(VA, PF_PRESENT | PF_USER | PF_RESERVED));
}

/* ---- control registers ---- */

TEST_F(Architecture, PagingNeedsProtection) {
    write(MMU_CR0, CR0_PG);
    EXPECT_TRUE(says("80000000 moved to CR0 is no #GP, expected one")) << architecture_report(oracle);
}

TEST_F(Architecture, AnInnocentWriteIsNoGp) {
    fake->vector = MMU_VECTOR_GP;
    write(MMU_CR4, CR4_PSE);
    EXPECT_TRUE(says("00000010 moved to CR4 is #GP, expected none"));
}

TEST_F(Architecture, ABitOfCr4ThatTheCpuLacksIsGp) {
    restart_without(CPU_SMEP | CPU_SMAP);
    fake->vector = MMU_VECTOR_GP;
    write(MMU_CR4, CR4_SMEP);
    write(MMU_CR4, CR4_SMAP);
    EXPECT_TRUE(legal()) << architecture_report(oracle);
    fake->vector = MMU_VECTOR_NONE;
    write(MMU_CR4, CR4_SMEP);
    EXPECT_TRUE(says("00100000 moved to CR4 is no #GP, expected one")) << architecture_report(oracle);
}

/* ---- what it is between ---- */

TEST_F(Architecture, AWaveIsTheInnerMmus) {
    EXPECT_EQ(architecture_ops.wave(watched, "a.vcd", 3, 5), 0);
    EXPECT_EQ(architecture_ops.wave(watched, "a.vcd", 3, 6), -1);
}

TEST_F(Architecture, NoMmuToJudge) {
    char err[256] = "";
    mmu_config config = {};
    EXPECT_EQ(architecture_ops.create(&config, err, sizeof err), nullptr);
    EXPECT_STREQ(err, "the architecture's oracle needs an MMU to judge");
    static mmu_ops refusing = fake_ops;
    refusing.create = [](const mmu_config *, char *text, size_t size) -> mmu * {
        snprintf(text, size, "no such chip");
        return nullptr;
    };
    void *watcher = mem.watcher;
    architecture *other = architecture_create(&refusing);
    EXPECT_EQ(architecture_mmu(other, &config, &mem, &log, err, sizeof err), nullptr);
    EXPECT_STREQ(err, "no such chip");
    EXPECT_EQ(mem.watcher, watcher); /* nobody is told of stores any more who is gone */
    architecture_destroy(other);
}

TEST_F(Architecture, AFailureBehindTheLastEvent) {
    map();
    report text = {};
    event none = {};
    EXPECT_TRUE(architecture_event(oracle, &none, &text));
    EXPECT_FALSE(gives(PAGE, 0x8000));
    EXPECT_FALSE(architecture_event(oracle, &none, &text));
    EXPECT_EQ(std::string(text.text).find("architecture: after the last event of the trace\n"), 0u) << text.text;
    report_free(&text);
}

/* A frame that is no table any more: after some thousand stores without a walk they are not looked at. */
TEST_F(Architecture, AFrameThatIsStoredToAgainAndAgain) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    invlpg(PAGE);
    uint8_t watched_bits = mem.watch[TABLE >> 12];
    for (uint32_t i = 0; i < 5000; i++) { put(PTE, (i << 12) | ALL); }
    EXPECT_NE(mem.watch[TABLE >> 12], watched_bits);
    put(PTE, 0x8000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x8000)); /* walked through again */
    EXPECT_EQ(mem.watch[TABLE >> 12], watched_bits);
    put(PTE, 0x9000 | ALL);
    EXPECT_TRUE(gives(PAGE, 0x8000)); /* not flushed yet */
    EXPECT_TRUE(gives(PAGE, 0x9000));
    invlpg(PAGE);
    EXPECT_FALSE(gives(PAGE, 0x8000));
}

/* Who watched before goes on being told, of the frames that have its own mark. */
TEST_F(Architecture, AnotherWatcherOfMemory) {
    static std::vector<pa_t> told;
    told.clear();
    stop();
    mem.watcher = &told;
    mem.on_store = [](void *watcher, pa_t pa, unsigned, const void *) {
        static_cast<std::vector<pa_t> *>(watcher)->push_back(pa);
    };
    mem.watch[TABLE >> 12] |= 0x40;
    start();
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    put(PTE, 0x8000 | ALL);
    put(PDE, 0);
    EXPECT_EQ(told, (std::vector<pa_t>{PTE, PTE}));
}

TEST_F(Architecture, ABatchEndsWithItsFirstFault) {
    map();
    fake->answer = [](const mmu_request &request, mmu_result &r) {
        r.pa = 0x7000;
        if (request.va == PAGE) { return; }
        r = {};
        r.vector = MMU_VECTOR_PF;
        r.error_code = PF_USER;
        r.cr2 = request.va;
    };
    mmu_request requests[3] = {{PAGE, MMU_READ, MMU_USER, 4}, {PAGE + 0x1000, MMU_READ, MMU_USER, 4}, {PAGE, 0, 1, 4}};
    mmu_result results[3];
    EXPECT_EQ(architecture_ops.translate(watched, requests, results, 3), 2u);
    EXPECT_TRUE(legal());
}

TEST_F(Architecture, TheFirstFailureIsKept) {
    map();
    EXPECT_FALSE(gives(PAGE, 0x8000));
    std::string first = architecture_report(oracle);
    gives(PAGE, 0x9000);
    EXPECT_EQ(first, architecture_report(oracle));
}

TEST_F(Architecture, AFilledFrameIsSeen) {
    map();
    EXPECT_TRUE(gives(PAGE, 0x7000));
    physmem_fill(&mem, TABLE, 0, PAGE_SIZE);
    EXPECT_TRUE(gives(PAGE, 0x7000));
    invlpg(PAGE);
    EXPECT_FALSE(gives(PAGE, 0x7000));
}

} // namespace
