/* Random programs: as many events as asked for, in every mode of a CPU; and they do what they are for, counted on the C
 * MMU: walks, hits of each level, faults of each kind, entries that are set A and D in, walks that start again. */
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <unistd.h>

extern "C" {
#include "ntmmu/gen.h"
#include "ntmmu/machine.h"
#include "ntmmu/paging.h"
}

namespace {

mmu_preset preset(const char *name) {
    mmu_preset p;
    char err[256] = "";
    EXPECT_EQ(preset_load(&p, "rtl/presets", name, err, sizeof err), 0) << err;
    return p;
}

/* Written, and read again event by event. */
class Program {
  public:
    Program(const char *cpu, gen_mode mode, uint64_t seed, uint64_t events) {
        config.kind = GEN_MMU;
        config.mode = mode;
        config.seed = seed;
        config.events = events;
        config.preset = preset(cpu);
        char err[256] = "";
        path = "/tmp/ntmmu-gen-" + std::to_string(getpid()) + ".vmt";
        trace_writer *writer = trace_create(path.c_str(), err, sizeof err);
        EXPECT_NE(writer, nullptr) << err;
        EXPECT_EQ(gen_write(&config, writer), 0);
        EXPECT_EQ(trace_finish(writer, err, sizeof err), 0) << err;
    }
    ~Program() { unlink(path.c_str()); }

    template <typename Visit> void each(Visit visit) {
        char err[256] = "";
        trace_reader *reader = trace_open(path.c_str(), err, sizeof err);
        ASSERT_NE(reader, nullptr) << err;
        static trace_item item;
        enum trace_item_kind kind;
        while ((kind = trace_next(reader, &item)) < TRACE_EOF) {
            if (kind == TRACE_EVENT) { visit(item.event); }
        }
        EXPECT_EQ(kind, TRACE_EOF) << trace_error(reader);
        trace_close(reader);
    }

    gen_config config = {};
    std::string path;
};

struct Seen {
    mmu_statistics statistics;
    uint64_t events = 0, second_level = 0, gp = 0;
    std::set<uint32_t> error_codes;
    std::set<uint64_t> modes; /* CR4.PAE and EFER.LMA of events with paging on */
};

void collect(void *ctx, const log_record *r) {
    auto *seen = static_cast<Seen *>(ctx);
    if (r->kind == LOG_FAULT) { seen->error_codes.insert((uint32_t)r->b); }
    seen->gp += r->kind == LOG_EXCEPTION && r->a == MMU_VECTOR_GP;
}

Seen replay(Program &program) {
    Seen seen;
    machine_config config = {};
    config.mmu = &mmu_c_ops;
    config.preset = program.config.preset;
    config.os = &bare_os_ops;
    char err[256] = "";
    machine *m = machine_create(&config, err, sizeof err);
    EXPECT_NE(m, nullptr) << err;
    EXPECT_EQ(log_subscribe(machine_log(m), LOG_BIT(LOG_FAULT) | LOG_BIT(LOG_EXCEPTION), collect, &seen), 0);
    program.each([&](const event &e) {
        EXPECT_EQ(machine_step(m, &e)->stop, MACHINE_RUNS) << machine_last(m)->message;
        seen.events++;
        if (mmu_c_ops.read_control(machine_mmu(m), MMU_CR0) & CR0_PG) {
            uint64_t lma = mmu_c_ops.read_control(machine_mmu(m), MMU_EFER) & EFER_LMA;
            seen.modes.insert((mmu_c_ops.read_control(machine_mmu(m), MMU_CR4) & CR4_PAE) | lma);
        }
    });
    machine_statistics(m, &seen.statistics);
    seen.second_level = machine_counts(m)->istlb_hit + machine_counts(m)->dstlb_hit;
    machine_destroy(m);
    return seen;
}

} // namespace

class GenModes : public testing::TestWithParam<gen_mode> {};

TEST_P(GenModes, DoesWhatItIsFor) {
    constexpr uint64_t EVENTS = 30000;
    Program program("tiny-l2", GetParam(), 3, EVENTS);
    Seen seen = replay(program);
    EXPECT_EQ(seen.events, EVENTS);
    const mmu_statistics &s = seen.statistics;
    uint64_t hits = 0;
    for (unsigned i = ARRAY_ITLB; i < ARRAY_ISTLB; i++) { hits += s.hits[i]; }
    EXPECT_GT(hits, EVENTS / 8);
    EXPECT_GT(seen.second_level, EVENTS / 200);
    EXPECT_GT(s.walks, EVENTS / 8);
    EXPECT_GT(s.walks - s.miss_fault[0] - s.miss_fault[1], s.walks / 3) << "most walks fault";
    EXPECT_GT(s.dirty_walks, EVENTS / 1000);
    EXPECT_GT(s.table_writes, EVENTS / 100);
    EXPECT_GT(s.walk_restarts, EVENTS / 1000);
    EXPECT_GT(s.invlpg, EVENTS / 100);
    EXPECT_GT(s.cr3_writes, EVENTS / 1000);
    EXPECT_GT(s.flush_all, EVENTS / 1000);
    EXPECT_GT(seen.gp, 0u);
    EXPECT_EQ(seen.modes.size(), 3u) << "it goes through the other modes";
    /* absent and denied; reads and writes; user and supervisor; reserved bits; fetches */
    for (uint32_t code : {0u, 2u, 4u, 6u, 1u, 3u, 5u, 7u, 9u}) {
        EXPECT_TRUE(seen.error_codes.count(code)) << "no #PF with error code " << code;
    }
    if (GetParam() != GEN_32) { EXPECT_TRUE(seen.error_codes.count(0x15)) << "no fetch was denied"; }
}

INSTANTIATE_TEST_SUITE_P(All, GenModes, testing::Values(GEN_32, GEN_PAE, GEN_LONG));

/* A CPU with 32-bit paging only is never asked for more. */
TEST(Gen, KeepsToTheCpu) {
    Program program("i486", GEN_32, 4, 20000);
    Seen seen = replay(program);
    EXPECT_EQ(seen.events, 20000u);
    EXPECT_EQ(seen.modes, std::set<uint64_t>{0});
    gen_config config = program.config;
    char err[256] = "";
    config.mode = GEN_PAE;
    EXPECT_FALSE(gen_possible(&config, err, sizeof err));
    EXPECT_STREQ(err, "CPU i486 has no PAE");
}

/* The window of the tables is written through: entries reach memory by stores of the program. */
TEST(Gen, StoresEntriesThroughTheWindow) {
    Program program("ref64", GEN_LONG, 1, 60000);
    uint64_t stores = 0, aliases = 0;
    std::set<uint64_t> frames;
    program.each([&](const event &e) {
        stores += e.kind == EV_ACCESS && e.access.has_value && e.access.va >> 39 == 0x1FFFFEDull;
        if (e.kind == EV_POKE_QUAD) { aliases += !frames.insert(e.poke.value >> 12 & 0xF).second; }
    });
    EXPECT_GT(stores, 20u);
    EXPECT_GT(aliases, 100u);
}
