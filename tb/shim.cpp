/* The Verilated MMU behind struct mmu_ops (csrc/include/ntmmu/mmu.h): drives the ports of rtl/mmu.sv, plays its memory
 * port with the machine's memory and latency model, and reads entries and counters through its debug port.
 *
 * One tick is the edge that ends a cycle. No output depends on an input except through a register, so the outputs that
 * follow the rising edge are final, and inputs are set before it. After translate() the model stands
 * in the cycle whose response was read; what that cycle writes is written by the edge of the next operation. Looking
 * inside in between takes one edge with debug_hold, which is no cycle of the machine (settle()). */
#include "Vmmu.h"
#include "Vmmu___024root.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
#else
/* The build for speed has no waveforms: to keep every signal for them is a tenth of the time of a hit. */
struct VerilatedFstC {
    void dump(uint64_t) {}
    void close() {}
};
#endif

#include "preset_geometry.h" /* written by build_preset.sh: what this model was built for */

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#ifdef NTMMU_COVERAGE
#include "verilated_cov.h"
#include <string>
#include <unistd.h>
#endif
#include <type_traits>

/* See edge(). Some of the hand-made bugs are paths from an input to an output, counting toggles looks at inputs, and only a
 * whole eval() samples what $past in an assertion looks at. */
#if VERILATOR_VERSION_INTEGER == 5006000 && !defined(MUTATE) && !defined(NTMMU_COVERAGE) && !defined(NTMMU_ASSERTIONS)
#define EDGE_ALONE
#endif

#ifdef EDGE_ALONE
void Vmmu___024root___eval_nba(Vmmu___024root *root); /* the model's part of an eval() that found an edge */
#endif

extern "C" {
#include "ntmmu/mmu.h"
#include "pins.h"
}

namespace {

/* rtl/mmu_types.svh, mmu_op_t: the control registers have the numbers of enum mmu_control. */
enum { OP_ACCESS = 6 };
static_assert(MMU_CR0 == 0 && MMU_CR3 == 1 && MMU_CR4 == 2 && MMU_EFER == 3 && MMU_EFLAGS_AC == 4 && MMU_PAT == 5,
              "mmu_op_t");
static_assert(TLB_4K == 0 && TLB_LARGE == 1 && TLB_1G == 2 && TLB_PDE == 3 && ARRAY_PSC_PML4E == 12, "mmu_types.svh");
static_assert(MMU_HIT_OFF == 0 && MMU_HIT_L1 == 1 && MMU_HIT_L2 == 2 && MMU_HIT_WALK == 3 && MMU_HIT_DIRTY == 4,
              "mmu_hit_t");

/* entry_t and debug_tag_t */
enum { WORD_RW = 1, WORD_US = 2, WORD_NX = 4, WORD_D = 8, WORD_MEMORY = 4, WORD_FRAME = 7 };
enum { TAG_PCID = 36, TAG_CLASS = 48, TAG_G = 50, TAG_FRAGMENT = 51 };

/* Cycles without a completion, beside those the memory was given, after which the hardware counts as hung. */
constexpr uint64_t PATIENCE = 100000;
constexpr unsigned MAX_LEVEL = 4;       /* of a table access */
constexpr uint64_t TIME_PER_CYCLE = 10; /* of the waveform: cycle c begins at 10 c */

#ifdef NTMMU_COVERAGE
/* One context for all MMUs of a process, which outlives them: what they all did is written when the process ends. */
VerilatedContext *coverage_context() {
    static VerilatedContext *context;
    if (!context) {
        context = new VerilatedContext;
        atexit([] {
            if (const char *directory = getenv("NTMMU_COVERAGE")) {
                std::string path = std::string(directory) + "/" PRESET_NAME "." + std::to_string(getpid()) + ".dat";
                context->coveragep()->write(path.c_str());
            }
        });
    }
    return context;
}
#endif

const tlb_geometry built_geometry[MMU_ARRAYS] = PRESET_GEOMETRY;
const bool built_unified[2] = PRESET_UNIFIED;

} // namespace

struct mmu {
#ifdef NTMMU_COVERAGE
    VerilatedContext &context = *coverage_context();
#else
    VerilatedContext context;
#endif
    std::unique_ptr<Vmmu> top;
    Vmmu___024root *ports = nullptr; /* top's, which refers to each by a pointer */
    mmu_config config;
    uint64_t cycle = 0;
    bool settled = true;     /* no state waits for an edge */
    bool hung = false;       /* gave up on it: answers nothing any more */
    uint64_t patience = 0;   /* ticks left for the operation under way */
    struct {
        bool due; /* a memory access is under way, its answer comes in `cycle` or later */
        uint64_t cycle, answer;
        mmu_table_access ahead[MAX_LEVEL + 1]; /* read ahead of the head, by level */
    } walker[PRESET_WALKERS] = {};
    unsigned answers_due = 0; /* of how many walkers */
    mmu_result *log = nullptr; /* where table accesses are entered */
    std::unique_ptr<VerilatedFstC> wave;
    uint64_t wave_from = 0, wave_to = 0;

    ~mmu() {
        if (wave) { wave->close(); }
        Verilated::threadContextp(&context);
        if (top) { top->final(); }
#ifdef NTMMU_COVERAGE
        top.release(); /* its counters are read when the process ends */
#else
        top.reset();
#endif
    }
};

namespace {

void dump_wave(mmu *m, uint64_t offset) {
    if (m->wave && m->cycle >= m->wave_from && m->cycle < m->wave_to) {
        m->wave->dump(m->cycle * TIME_PER_CYCLE + offset);
    }
}

void log_table_access(mmu_result *log, const mmu_table_access &access) {
    log->table_total++;
    if (log->table_count < MMU_TABLE_MAX) { log->table[log->table_count++] = access; }
}

/* The memory takes the access that the model offers in this cycle. What a walk ahead reads enters the log when the head's
 * walk wants it. */
void issue_memory_access(mmu *m) {
    const Vmmu___024root *ports = m->ports;
    const mmu_memory &memory = m->config.memory;
    bool exchange = ports->mem_exchange;
    unsigned bytes = ports->mem_wide ? 8 : 4;
    pa_t pa = ports->mem_pa;
    uint32_t latency = memory.latency(memory.ctx, pa, exchange, m->cycle);
    mmu_table_access access = {};
    access.pa = pa;
    access.level = ports->mem_level;
    if (exchange) {
        access.op = MMU_TABLE_EXCHANGE;
        access.desired = ports->mem_desired;
        access.value = memory.compare_exchange(memory.ctx, pa, bytes, ports->mem_expected, ports->mem_desired);
    } else {
        access.op = MMU_TABLE_READ;
        access.value = memory.read(memory.ctx, pa, bytes);
    }
    auto &walker = m->walker[PRESET_WALKERS == 1 ? 0 : ports->mem_id];
    walker.answer = access.value;
    walker.cycle = m->cycle + (latency ? latency : 1);
    walker.due = true;
    m->answers_due++;
    m->patience += latency;
    if (PRESET_WALKERS > 1 && ports->mem_id != 0) {
        walker.ahead[access.level] = access;
    } else if (m->log) {
        log_table_access(m->log, access);
    }
}

/* A period of clk as Verilator documents it. */
void whole_period(Vmmu *top) {
    top->clk = 0;
    top->eval();
    top->clk = 1;
    top->eval();
}

#ifdef EDGE_ALONE
/* A model without combinational paths from its inputs has no trigger of its own for them. */
template <class Root, class = void> constexpr bool inputs_only_registered = true;
template <class Root> constexpr bool inputs_only_registered<Root, std::void_t<decltype(Root::__VicoTriggered)>> = false;
static_assert(inputs_only_registered<Vmmu___024root>, "an output depends on an input");
static_assert(std::is_same_v<decltype(Vmmu___024root::__VnbaTriggered), VlTriggerVec<1>>, "something else than clk triggers");

/* The rising edge alone. All that eval() does at it is to find out, in four looks at clk, that clk rose and nothing is left to
 * do after that; as nothing else triggers, it is told at once. That is a tenth of the time of a hit. */
inline void edge(mmu *m) {
    m->ports->__VnbaTriggered.at(0) = true;
    Vmmu___024root___eval_nba(m->ports);
}
#else
inline void edge(mmu *m) { whole_period(m->top.get()); }
#endif

/* One answer a cycle: that which has been due longest, of these the lowest walker's. */
inline void answer_memory(mmu *m) {
    m->ports->mem_rsp_valid = 0;
    if (m->answers_due == 0) { return; }
    unsigned first = PRESET_WALKERS;
    for (unsigned i = 0; i < PRESET_WALKERS; i++) {
        if (m->walker[i].due && m->walker[i].cycle <= m->cycle &&
            (first == PRESET_WALKERS || m->walker[i].cycle < m->walker[first].cycle)) {
            first = i;
        }
    }
    if (first == PRESET_WALKERS) { return; }
    m->ports->mem_rsp_valid = 1;
    m->ports->mem_rsp_id = first;
    m->ports->mem_rsp_data = m->walker[first].answer;
    m->walker[first].due = false;
    m->answers_due--;
}

/* Ends the current cycle; afterwards the outputs are those of the next. */
inline void tick(mmu *m) {
    Vmmu___024root *ports = m->ports;
    answer_memory(m);
    if (!m->wave) {
        edge(m);
        m->cycle++;
    } else {
        ports->clk = 0;
        m->top->eval();
        dump_wave(m, TIME_PER_CYCLE / 2);
        ports->clk = 1;
        m->top->eval();
        m->cycle++;
        dump_wave(m, 0);
    }
    if (ports->mem_valid) { issue_memory_access(m); }
    if (PRESET_WALKERS > 1 && ports->mem_early && m->log) {
        log_table_access(m->log, m->walker[ports->mem_id].ahead[ports->mem_level]);
    }
}

/* One edge that is no cycle of the machine: the state written by the last cycle becomes visible. */
void held_edge(mmu *m) {
    m->ports->mem_rsp_valid = 0;
    m->ports->debug_hold = 1;
    edge(m);
    m->ports->debug_hold = 0;
}

void settle(mmu *m) {
    if (!m->settled) {
        held_edge(m);
        m->settled = true;
    }
}

bool give_up(mmu *m) {
    fprintf(stderr, "rtl mmu: the oldest request has no answer in cycle %llu: the hardware hangs\n",
            (unsigned long long)m->cycle);
    m->hung = true;
    m->ports->req_valid = 0;
    return false;
}

/* Ends cycles until a response stands at the port. False if it never comes. */
inline bool wait_for_response(mmu *m) {
    while (!m->ports->rsp_valid) {
        if (m->patience-- == 0) { return give_up(m); }
        tick(m);
    }
    return true;
}

inline void offer(Vmmu___024root *ports, const mmu_request &request) {
    ports->req_valid = 1;
    ports->req_type = request.type;
    ports->req_mode = request.mode;
    ports->req_value = request.va;
}

inline void begin_log(mmu *m, mmu_result &result) {
    result.table_count = 0;
    result.table_total = 0;
    m->log = &result;
}

inline void take_response(mmu *m, mmu_result &result, uint64_t before) {
    const Vmmu___024root *ports = m->ports;
    result.vector = ports->rsp_vector;
    bool fault = result.vector != MMU_VECTOR_NONE;
    result.pa = fault ? 0 : ports->rsp_pa;
    result.cr2 = result.vector == MMU_VECTOR_PF ? ports->rsp_cr2 : 0;
    result.error_code = ports->rsp_error;
    result.hit = ports->rsp_hit;
    result.page_shift = ports->rsp_page_shift;
    result.memory_type = fault ? (uint8_t)MEMORY_WB : ports->rsp_memory;
    result.psc_level = ports->rsp_psc_level;
    result.restarts = ports->rsp_hit >= MMU_HIT_WALK ? ports->rsp_restarts : 0;
    result.done = m->cycle;
    result.cycles = (uint32_t)(m->cycle - before);
}

/* Requests are offered as long as the queue takes them; after a fault the hardware has dropped the younger ones. */
size_t rtl_translate(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    if (m->hung || count == 0) { return 0; }
    Vmmu___024root *ports = m->ports;
    uint64_t before = m->cycle;
    size_t offered = 0;
    m->settled = false;
    ports->req_op = OP_ACCESS;
    for (size_t i = 0; i < count; i++) {
        begin_log(m, results[i]);
        m->patience = PATIENCE;
        do {
            if (m->patience-- == 0) {
                give_up(m);
                return 0;
            }
            if (offered < count && ports->req_ready) {
                offer(ports, requests[offered++]);
            } else {
                ports->req_valid = 0;
            }
            tick(m);
        } while (!ports->rsp_valid);
        take_response(m, results[i], before);
        before = m->cycle;
        if (results[i].vector != MMU_VECTOR_NONE) { count = i + 1; }
    }
    ports->req_valid = 0;
    return count;
}

int rtl_write_control(mmu *m, enum mmu_control which, uint64_t value) {
    if (m->hung) { return MMU_VECTOR_GP; }
    Vmmu___024root *ports = m->ports;
    m->log = nullptr;
    m->settled = false;
    m->patience = PATIENCE;
    ports->req_valid = 1;
    ports->req_op = which;
    ports->req_value = value;
    tick(m);
    ports->req_valid = 0;
    return wait_for_response(m) ? ports->rsp_vector : MMU_VECTOR_GP;
}

uint64_t rtl_read_control(const mmu *m, enum mmu_control which) {
    settle(const_cast<mmu *>(m));
    switch (which) {
    case MMU_CR0: return m->ports->cr0;
    case MMU_CR3: return m->ports->cr3;
    case MMU_CR4: return m->ports->cr4;
    case MMU_EFER: return m->ports->efer;
    case MMU_EFLAGS_AC: return m->ports->eflags_ac;
    case MMU_PAT: return m->ports->pat;
    }
    return 0;
}

/* Taken in the cycle the model stands in, done in the next. */
int invalidate(mmu *m, bool pcid_op, uint64_t type, uint64_t pcid, va_t va) {
    if (m->hung) { return MMU_VECTOR_GP; }
    Vmmu___024root *ports = m->ports;
    m->settled = false;
    ports->inv_valid = 1;
    ports->inv_pcid_op = pcid_op;
    ports->inv_type = type;
    ports->inv_pcid = pcid;
    ports->inv_va = va;
    tick(m);
    ports->inv_valid = 0;
    return ports->inv_vector;
}

void rtl_invlpg(mmu *m, va_t va) { invalidate(m, false, 0, 0, va); }

int rtl_invpcid(mmu *m, uint64_t type, uint64_t pcid, va_t va) { return invalidate(m, true, type, pcid, va); }

uint64_t rtl_cycles(const mmu *m) { return m->cycle; }

/* The debug port answers in the third cycle at the latest. */
void debug_edges(mmu *m) {
    for (int i = 0; i < 3; i++) { held_edge(m); }
}

uint64_t read_counter(mmu *m, unsigned number) {
    m->ports->debug_counter = number;
    debug_edges(m);
    return m->ports->debug_word;
}

enum { COUNTERS = 15 }; /* for debug_array */
enum { FIELD_VALID, FIELD_TAG, FIELD_ENTRY, FIELD_VA };

uint64_t read_field(mmu *m, unsigned field) {
    m->ports->debug_field = field;
    debug_edges(m);
    return m->ports->debug_word;
}

/* In the order of the debug port's counter numbers (rtl/counters.sv). */
void rtl_statistics(const mmu *constant, mmu_statistics *out) {
    mmu *m = const_cast<mmu *>(constant);
    settle(m);
    m->ports->debug_read = 1;
    m->ports->debug_array = COUNTERS;
    m->ports->debug_field = 0;
    unsigned number = 0;
    for (uint64_t &hits : out->hits) { hits = read_counter(m, number++); }
    for (uint64_t &hits : out->pde_hits) { hits = read_counter(m, number++); }
    for (auto &side : out->misses) {
        for (uint64_t &misses : side) { misses = read_counter(m, number++); }
    }
    for (uint64_t &faults : out->miss_fault) { faults = read_counter(m, number++); }
    uint64_t *const rest[] = {&out->walks,       &out->walk_restarts, &out->dirty_walks, &out->walk_cycles,
                              &out->table_reads, &out->table_writes,  &out->pdpte_loads, &out->faults,
                              &out->invlpg,      &out->invpcid,       &out->cr3_writes,  &out->fault_drops,
                              &out->flush_all,   &out->cycles};
    for (uint64_t *field : rest) { *field = read_counter(m, number++); }
    m->ports->debug_read = 0;
}

mmu_tlb_entry debug_entry(mmu *m, unsigned array, unsigned set, unsigned way) {
    uint64_t bits = read_field(m, FIELD_ENTRY), tag = read_field(m, FIELD_TAG);
    mmu_tlb_entry entry = {};
    entry.va = read_field(m, FIELD_VA);
    entry.array = (uint8_t)array;
    entry.tlb_class = array < ARRAY_PSC_PDE ? (uint8_t)(tag >> TAG_CLASS & 3) : 0;
    entry.set = (uint16_t)set;
    entry.way = (uint16_t)way;
    entry.pcid = (uint16_t)(tag >> TAG_PCID & 0xFFF);
    bool page = array < ARRAY_PSC_PDE && entry.tlb_class != TLB_PDE;
    bool pae = m->ports->cr4 & CR4_PAE;
    unsigned shift = !page || entry.tlb_class == TLB_4K ? 12 : entry.tlb_class == TLB_1G ? 30 : pae ? 21 : 22;
    entry.pa = bits >> WORD_FRAME << 12 >> shift << shift; /* below it, what the first access happened to have */
    entry.memory = (uint8_t)(bits >> WORD_MEMORY & 7);
    entry.writable = bits & WORD_RW;
    entry.user = bits & WORD_US;
    entry.execute_disable = bits & WORD_NX;
    entry.dirty = bits & WORD_D;
    entry.global = tag >> TAG_G & 1;
    entry.fragment = tag >> TAG_FRAGMENT & 1;
    return entry;
}

size_t rtl_tlb_entries(mmu *m, mmu_tlb_entry *out, size_t max) {
    Vmmu___024root *ports = m->ports;
    size_t count = 0;
    settle(m);
    ports->debug_read = 1;
    for (unsigned array = 0; array < MMU_ARRAYS; array++) {
        ports->debug_array = array;
        for (unsigned set = 0; built_geometry[array].ways != 0 && set < built_geometry[array].sets; set++) {
            ports->debug_set = set;
            ports->debug_way = 0;
            uint64_t valid = read_field(m, FIELD_VALID);
            for (unsigned way = 0; way < built_geometry[array].ways; way++) {
                if (!(valid >> way & 1)) { continue; }
                if (count < max) {
                    ports->debug_way = way;
                    out[count] = debug_entry(m, array, set, way);
                }
                count++;
            }
        }
    }
    ports->debug_read = 0;
    return count;
}

int rtl_wave(mmu *m, const char *path, uint64_t from, uint64_t to) {
    if (m->wave) {
        m->wave->close();
        m->wave.reset();
    }
    if (!path) { return 0; }
#if VM_TRACE_FST
    auto wave = std::make_unique<VerilatedFstC>();
    m->top->trace(wave.get(), 99);
    wave->open(path);
    if (!wave->isOpen()) { return -1; }
    m->wave = std::move(wave);
    m->wave_from = from;
    m->wave_to = to;
    return 0;
#else
    (void)from, (void)to;
    return -1;
#endif
}

bool geometry_matches(const mmu_preset &preset) {
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        const tlb_geometry &asked = preset.array[i], &built = built_geometry[i];
        if (asked.ways != built.ways) { return false; }
        if (built.ways && (asked.classes != built.classes || asked.sets != built.sets)) { return false; }
    }
    return preset.unified[0] == built_unified[0] && preset.unified[1] == built_unified[1] &&
           preset.replacement == PRESET_REPLACEMENT && preset.stlb_cycles == PRESET_STLB_CYCLES &&
           preset.walkers == PRESET_WALKERS && (preset.replacement != TLB_RANDOM || preset.seed == PRESET_SEED);
}

const char *unsuitable(const mmu_config *config) {
    if (!geometry_matches(config->preset)) { return "was built for another geometry than preset"; }
    if (config->preset.physical_bits < 32 || config->preset.physical_bits > 52) {
        return "takes MAXPHYADDR 32 to 52, not as in preset";
    }
    if (config->preset.features & ~(unsigned)PRESET_FEATURES) { return "was built without features of preset"; }
#ifndef NTMMU_ASSERTIONS
    if (config->assertions) { return "was built without the assertions asked for, preset"; }
#endif
    return nullptr;
}

void reset(mmu *m) {
    Vmmu___024root *ports = m->ports;
    ports->req_valid = ports->inv_valid = ports->mem_rsp_valid = ports->debug_hold = ports->debug_read = 0;
    ports->mem_rsp_id = 0;
    ports->maxphyaddr = m->config.preset.physical_bits;
    ports->features = m->config.preset.features;
#ifdef MUTATE
    const char *mutant = getenv("NTMMU_MUTANT");
    ports->mutant = mutant ? (uint32_t)strtoul(mutant, nullptr, 10) : 0;
#endif
    ports->rst_n = 0;
    for (int i = 0; i < 3; i++) { whole_period(m->top.get()); }
    ports->rst_n = 1;
}

mmu *rtl_create(const mmu_config *config, char *err, size_t err_size) {
    if (const char *why = unsuitable(config)) {
        snprintf(err, err_size, "RTL MMU %s: the model %s %s", PRESET_NAME, why, config->preset.name);
        return nullptr;
    }
    auto m = std::make_unique<mmu>();
    m->config = *config;
    m->context.threads(1); /* or Verilator starts idle worker threads */
#ifdef NTMMU_ANY_START
    const char *power_on = getenv("NTMMU_POWER_ON");
    m->context.randReset(2);
    m->context.randSeed(1 + (power_on ? (int)(strtoul(power_on, nullptr, 10) & 0xFFFFFF) : 0)); /* 0 would be the clock's */
#endif
    m->context.traceEverOn(true);
    m->top = std::make_unique<Vmmu>(&m->context, "top");
    m->ports = m->top->rootp;
    reset(m.get());
    return m.release();
}

void rtl_destroy(mmu *m) { delete m; }

} // namespace

extern "C" __attribute__((visibility("default"))) void ntmmu_rtl_cycle(mmu *m, rtl_pins *pins) {
    Vmmu___024root *ports = m->ports;
    m->log = nullptr;
    m->settled = false;
    m->patience = PATIENCE;
    ports->req_op = OP_ACCESS;
    offer(m->ports, pins->request);
    if (pins->control) {
        ports->req_op = pins->which;
        ports->req_value = pins->value;
    }
    ports->req_valid = pins->req_valid;
    ports->inv_valid = pins->inv_valid;
    ports->inv_pcid_op = pins->inv_pcid_op;
    ports->inv_type = pins->inv_type;
    ports->inv_pcid = pins->inv_pcid;
    ports->inv_va = pins->inv_va;
    tick(m);
    ports->req_valid = ports->inv_valid = 0;
    pins->req_ready = ports->req_ready;
    pins->rsp_valid = ports->rsp_valid;
    pins->vector = ports->rsp_vector;
    pins->hit = ports->rsp_hit;
    pins->pa = ports->rsp_pa;
    pins->inv_done = ports->inv_done;
    pins->inv_vector = ports->inv_vector;
}

extern "C" __attribute__((visibility("default"))) const struct mmu_ops *ntmmu_mmu_ops(void) {
    static const mmu_ops ops = {
        MMU_ABI_VERSION, "rtl",       rtl_create, rtl_destroy,    rtl_translate,   rtl_write_control, rtl_read_control,
        rtl_invlpg,      rtl_invpcid, rtl_cycles, rtl_statistics, rtl_tlb_entries, rtl_wave,
    };
    return &ops;
}
