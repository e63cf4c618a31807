/* The C ABI of ntmmu/mmu.h around tiny_mmu.v: everything that stands between a Verilog MMU and `ntmmu check --mmu`.
 * docs/own-mmu.md goes through it. */
#include "Vtiny_mmu.h"
#include "verilated.h"

#include <cstdio>
#include <cstring>
#include <memory>

extern "C" {
#include "ntmmu/mmu.h"
}

struct mmu {
    VerilatedContext context;
    std::unique_ptr<Vtiny_mmu> top;
    mmu_memory memory;
    uint64_t cycle = 0;
    uint64_t control[MMU_PAT + 1] = {}; /* as written */
    mmu_statistics statistics = {};
    bool busy = false; /* a table access is under way, answered in cycle `answer_cycle` */
    uint64_t answer_cycle = 0;
    uint32_t answer = 0;
    mmu_result *result = nullptr; /* where the walk under way is entered */
};

namespace {

constexpr uint64_t PATIENCE = 100000; /* cycles without an answer */

/* ---- clock and memory ---- */

/* A table access is made in the cycle in which it is first seen; the answer is held back as long as memory takes. */
void serve_memory(mmu *m) {
    Vtiny_mmu *top = m->top.get();
    top->mem_ack = 0;
    if (!top->mem_req) { return; }
    if (!m->busy) {
        mmu_table_access access = {};
        access.pa = top->mem_addr;
        access.op = top->mem_cas ? MMU_TABLE_EXCHANGE : MMU_TABLE_READ;
        access.desired = top->mem_cas ? top->mem_new : 0;
        access.value = top->mem_cas
                           ? m->memory.compare_exchange(m->memory.ctx, access.pa, 4, top->mem_old, top->mem_new)
                           : m->memory.read(m->memory.ctx, access.pa, 4);
        m->answer = (uint32_t)access.value;
        m->answer_cycle = m->cycle + m->memory.latency(m->memory.ctx, access.pa, top->mem_cas, m->cycle);
        m->busy = true;
        m->statistics.table_reads += !top->mem_cas;
        m->statistics.table_writes += top->mem_cas && access.value == top->mem_old;
        if (m->result->table_count < MMU_TABLE_MAX) { m->result->table[m->result->table_count++] = access; }
        m->result->table_total++;
    }
    if (m->cycle < m->answer_cycle) { return; }
    m->busy = false;
    top->mem_ack = 1;
    top->mem_data = m->answer;
}

void tick(mmu *m) {
    Vtiny_mmu *top = m->top.get();
    serve_memory(m);
    top->clk = 0;
    top->eval();
    top->clk = 1;
    top->eval();
    m->cycle++;
}

/* ---- accesses ---- */

bool translate_one(mmu *m, const mmu_request &request, mmu_result &result) {
    Vtiny_mmu *top = m->top.get();
    uint64_t before = m->cycle;
    result = {};
    m->result = &result;
    top->req = 1;
    top->va = (uint32_t)request.va;
    top->write = request.type == MMU_WRITE || request.type == MMU_MODIFY;
    top->fetch = request.type == MMU_FETCH;
    top->user = request.mode == MMU_USER;
    tick(m);
    top->req = 0;
    for (uint64_t waited = 0; !top->done; waited++) {
        if (waited > PATIENCE) { return false; }
        tick(m);
    }
    result.done = m->cycle;
    result.cycles = (uint32_t)(m->cycle - before);
    result.hit = top->walked ? MMU_HIT_WALK : m->control[MMU_CR0] & CR0_PG ? MMU_HIT_L1 : MMU_HIT_OFF;
    result.page_shift = top->found_page & 2 ? 22 : top->found_page & 1 ? 12 : 0;
    m->statistics.walks += top->walked;
    if (top->fault) {
        result.vector = MMU_VECTOR_PF;
        result.cr2 = (uint32_t)request.va;
        result.error_code = top->error_code;
        m->statistics.faults++;
    } else {
        result.pa = top->pa;
        result.memory_type = result.hit == MMU_HIT_OFF ? MEMORY_WB : m->control[MMU_PAT] >> 8 * top->memory_type & 7;
    }
    return true;
}

size_t translate(mmu *m, const mmu_request *requests, mmu_result *results, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!translate_one(m, requests[i], results[i])) { return 0; }
        if (results[i].vector != MMU_VECTOR_NONE) { return i + 1; }
    }
    return count;
}

/* ---- control registers and invalidation ---- */

/* Eight memory types, none of them 2, 3 or above 7. */
bool is_pat(uint64_t value) {
    for (; value; value >>= 8) {
        unsigned type = value & 0xFF;
        if (type > MEMORY_UC_MINUS || type == 2 || type == 3) { return false; }
    }
    return true;
}

/* What the instruction decoder of this CPU would refuse: SDM volume 3, 2.5. */
bool is_refused(enum mmu_control which, uint64_t value) {
    switch (which) {
    case MMU_CR0: return (value & CR0_PG) && !(value & CR0_PE);
    case MMU_CR4: return value & (CR4_PAE | CR4_PCIDE | CR4_SMEP | CR4_SMAP);
    case MMU_EFER: return value & (EFER_LME | EFER_NXE);
    case MMU_PAT: return !is_pat(value);
    default: return false;
    }
}

int write_control(mmu *m, enum mmu_control which, uint64_t value) {
    static const uint8_t number[] = {0, 3, 4};
    bool refused = is_refused(which, value);
    if (!refused) { m->control[which] = value; }
    if (!refused && which <= MMU_CR4) {
        m->top->cr_write = 1;
        m->top->cr_number = number[which];
        m->top->cr_value = (uint32_t)value;
    }
    tick(m);
    m->top->cr_write = 0;
    m->statistics.cr3_writes += which == MMU_CR3;
    return refused ? MMU_VECTOR_GP : MMU_VECTOR_NONE;
}

uint64_t read_control(const mmu *m, enum mmu_control which) { return m->control[which]; }

void invlpg(mmu *m, va_t va) {
    m->top->inv = 1;
    m->top->va = (uint32_t)va;
    tick(m);
    m->top->inv = 0;
    m->statistics.invlpg++;
}

int invpcid(mmu *, uint64_t, uint64_t, va_t) { return MMU_VECTOR_UD; } /* this CPU has no such instruction */

/* ---- observation: may be left empty ---- */

uint64_t cycles(const mmu *m) { return m->cycle; }

void statistics(const mmu *m, mmu_statistics *out) {
    *out = m->statistics;
    out->cycles = m->cycle;
}

size_t tlb_entries(mmu *, mmu_tlb_entry *, size_t) { return 0; }
int wave(mmu *, const char *, uint64_t, uint64_t) { return -1; }

/* ---- life ---- */

mmu *create(const mmu_config *config, char *err, size_t err_size) {
    if (config->preset.physical_bits != 40) {
        snprintf(err, err_size,
                 "tiny_mmu: found MAXPHYADDR %u, expected 40: use --cpu examples/own-mmu/tiny_mmu.preset",
                 config->preset.physical_bits);
        return nullptr;
    }
    auto m = std::make_unique<mmu>();
    m->memory = config->memory;
    m->control[MMU_PAT] = PAT_RESET;
    m->top = std::make_unique<Vtiny_mmu>(&m->context, "top");
    m->top->rst = 1;
    tick(m.get());
    m->top->rst = 0;
    m->cycle = 0;
    return m.release();
}

void destroy(mmu *m) { delete m; }

} // namespace

extern "C" __attribute__((visibility("default"))) const struct mmu_ops *ntmmu_mmu_ops(void) {
    static const mmu_ops ops = {MMU_ABI_VERSION, "tiny_mmu",   create, destroy, translate,
                                write_control,   read_control, invlpg, invpcid, cycles,
                                statistics,      tlb_entries,  wave};
    return &ops;
}
