// `ntmmu-platform`: CPU, MMU, bus and memory wired up, and `ntmmu run`'s replay on them.
#include "bus.h"
#include "cpu.h"
#include "memory.h"
#include "mmu.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "cli/replay_options.h"
}

namespace {

using namespace platform;

struct platform_options {
    replay_options replay; // first: the options of `run`
    uint64_t period = 10000, quantum = 1000;
};

// ---- command line ----

enum { OPTION_CLOCK = 0x400, OPTION_QUANTUM };

const argp_option option_table[] = {
    {"clock", OPTION_CLOCK, "PS", 0, "the clock's period in picoseconds (default 10000)", 4},
    {"quantum", OPTION_QUANTUM, "CYCLES", 0, "how far the CPU may run ahead of simulated time (default 1000)", 4},
    {},
};

error_t parse_option(int key, char *arg, argp_state *state) {
    auto *o = static_cast<platform_options *>(state->input);
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &o->replay; return 0;
    case OPTION_CLOCK:
        if (cli_parse_number(arg, &o->period) || o->period < 1 || o->period > 1000000) {
            argp_error(state, "--clock: found '%s', expected 1 to 1000000 picoseconds", arg);
        }
        return 0;
    case OPTION_QUANTUM:
        if (cli_parse_number(arg, &o->quantum) || o->quantum < 1 || o->quantum > 1000000000) {
            argp_error(state, "--quantum: found '%s', expected 1 to 1000000000 cycles", arg);
        }
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

void parse(int argc, char **argv, platform_options *options) {
    static const argp_child children[] = {{&replay_argp, 0, nullptr, 0}, {}};
    static const argp argp = {
        option_table,
        parse_option,
        "TRACE",
        "Replays TRACE on the SystemC platform: what `ntmmu run` does, with the MMU, the bus and memory as TLM-2.0 "
        "modules.\vExit code: 0 the trace ran as it expects, 1 it did not or a check asked for failed, 2 cannot run, "
        "130 interrupted.",
        children,
        nullptr,
        nullptr,
    };
    cli_parse_program(&argp, "ntmmu-platform", argc, argv, options);
    if (!options->replay.replay.second_mmu) { options->replay.replay.checks &= ~static_cast<unsigned>(CHECK_LOCKSTEP); }
    if (options->replay.replay.checks & CHECK_ARCHITECTURE) {
        std::exit(
            cli_error("--compare: found architecture, expected c: the oracle watches an MMU that no bus is before"));
    }
}

// ---- the modules and their wires ----

struct pc {
    enum port { RAM, DEVICE };
    cpu_module cpu;
    mmu_module mmu;
    bus_module bus;
    memory_module ram, device;

    pc(sc_core::sc_time period, std::function<void()> program)
        : cpu("cpu", period, std::move(program)), mmu("mmu", period), bus("bus"), ram("ram", period),
          device("device", period) {
        cpu.mmu.bind(mmu.cpu);
        cpu.bus.bind(bus.in);
        mmu.bus.bind(bus.in);
        bus.out.bind(ram.socket);
        bus.out.bind(device.socket);
        ram.stores.bind(cpu);
    }

    ::mmu *power_on(const machine_power *power, char *err, size_t err_size) {
        const mmu_preset &preset = power->mmu.preset;
        unsigned fixed = power->config->memory_latency;
        memory_geometry uncached = {};
        uncached.dram = preset.memory.dram;
        bool memory =
            ram.power_on(power->size, preset.memory, fixed) && device.power_on(PHYSMEM_DEVICE_SIZE, uncached, fixed);
        if (memory) {
            bus.map(0, power->size, RAM);
            if (power->size <= PHYSMEM_DEVICE_BASE) { bus.map(PHYSMEM_DEVICE_BASE, PHYSMEM_DEVICE_SIZE, DEVICE); }
        }
        if (!memory || !cpu.map_memory(power->mem, power->size)) {
            snprintf(err, err_size, "cannot have %" PRIu64 " bytes of RAM", power->size);
            return nullptr;
        }
        bool on = mmu.power_on(power->config->mmu, preset, power->mmu.assertions, err, err_size);
        return on ? cpu.mmu_handle() : nullptr;
    }
};

replay_board board_of(pc *pc) {
    replay_board board = {};
    board.board.ctx = pc;
    board.board.mmu = &cpu_module::mmu_calls;
    board.board.has_memory = true;
    board.board.power_on = [](void *ctx, const machine_power *power, char *err, size_t err_size) {
        return static_cast<struct pc *>(ctx)->power_on(power, err, err_size);
    };
    board.event_done = [](void *ctx, const machine *m) { static_cast<struct pc *>(ctx)->cpu.event_done(m); };
    return board;
}

// Time and cycles are counted apart, one by the transactions' delays, the others by the MMU.
int report_time(const pc &pc, const platform_options &options) {
    uint64_t cycles = pc.mmu.cycles() + pc.cpu.run_hits();
    sc_core::sc_time time = sc_core::sc_time_stamp(), expected = sc_core::sc_time::from_value(cycles * options.period);
    if (time != expected) {
        return cli_error("simulated time: found %s, expected %s of %" PRIu64 " cycles", time.to_string().c_str(),
                         expected.to_string().c_str(), cycles);
    }
    bool json_on_stdout = options.replay.json && std::strcmp(options.replay.json, "-") == 0;
    if (cli_quiet() || json_on_stdout) { return EXIT_OK; }
    std::printf("  %-12s %s since power-on: %" PRIu64 " cycles of %" PRIu64 " ps, boot included\n", "simulated",
                time.to_string().c_str(), cycles, options.period);
    return std::fflush(stdout) ? cli_error("cannot write to standard output") : EXIT_OK;
}

} // namespace

int sc_main(int argc, char **argv) {
    platform_options options;
    replay_defaults(&options.replay);
    parse(argc, argv, &options);

    // sc_time's unit is 1 ps
    sc_core::sc_time period = sc_core::sc_time::from_value(options.period);
    tlm::tlm_global_quantum::instance().set(periods(period, options.quantum));
    int rc = EXIT_CANNOT;
    pc pc(period, [&] { rc = replay_whole(&options.replay); });
    replay_board board = board_of(&pc);
    options.replay.replay.board = &board;
    sc_core::sc_start();
    int time_rc = rc == EXIT_OK || rc == EXIT_FAILED ? report_time(pc, options) : EXIT_OK;
    return rc == EXIT_OK ? time_rc : rc;
}

int main(int argc, char **argv) {
    setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1); // stderr is for messages about the trace
    return sc_core::sc_elab_and_sim(argc, argv);
}
