// The machine's calls to its MMU as transactions, its memory by DMI, and its time.
//
// Kernel code runs on coroutines of its own (csrc/machine/coroutine.h), and most of these transactions start there. So
// nothing below them calls wait(): targets only add to the delay, the quantum keeper sums it up, and the process waits
// between two events, when the machine has returned to the process's own stack.
#include "cpu.h"

namespace platform {

constexpr size_t STACK_SIZE = 8 << 20; // the replay expects that of a main(); the host backs what is used

cpu_module::cpu_module(sc_core::sc_module_name name, sc_core::sc_time period, std::function<void()> program)
    : sc_module(name), mmu("mmu"), bus("bus"), period(period), program(std::move(program)) {
    SC_HAS_PROCESS(cpu_module);
    SC_THREAD(run);
    set_stack_size(STACK_SIZE);
    access.set_command(tlm::TLM_IGNORE_COMMAND);
    access.set_extension(&request);
    question.set_command(tlm::TLM_IGNORE_COMMAND);
    question.set_extension(&asked);
}

cpu_module::~cpu_module() {
    access.clear_extension(&request); // or they would be deleted
    question.clear_extension(&asked);
}

void cpu_module::run() {
    keeper.reset();
    program();
    keeper.sync();
}

void cpu_module::event_done(const machine *m) {
    uint64_t now = machine_counts(m)->run_hits;
    keeper.inc(periods(period, now - hits));
    hits = now;
    if (keeper.need_sync()) { keeper.sync(); }
}

// ---- memory ----

uint8_t *cpu_module::direct(uint64_t address, uint64_t size) {
    tlm::tlm_generic_payload payload;
    tlm::tlm_dmi dmi;
    payload.set_address(address);
    payload.set_write();
    bool whole = bus->get_direct_mem_ptr(payload, dmi) && dmi.is_read_write_allowed() &&
                 dmi.get_start_address() <= address && dmi.get_end_address() - address >= size - 1;
    return whole ? dmi.get_dmi_ptr() + (address - dmi.get_start_address()) : nullptr;
}

bool cpu_module::map_memory(physmem *mem, pa_t size) {
    uint8_t *ram = direct(0, size);
    uint8_t *device = direct(PHYSMEM_DEVICE_BASE, PHYSMEM_DEVICE_SIZE); // or RAM that reaches so far
    if (!ram || !device || physmem_init_over(mem, ram, size, size <= PHYSMEM_DEVICE_BASE ? device : nullptr)) {
        return false;
    }
    memory = mem;
    return true;
}

void cpu_module::write(const store &s) {
    if (memory) { physmem_announce(memory, s.address, s.data, s.bytes); }
}

// ---- the MMU ----

bool cpu_module::operate(mmu_operation operation, va_t va) {
    request.operation = operation;
    access.set_address(va);
    access.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    sc_core::sc_time delay = keeper.get_local_time();
    mmu->b_transport(access, delay);
    keeper.set(delay);
    return access.is_response_ok();
}

void cpu_module::look(mmu_operation operation, void *data, size_t bytes) const {
    asked.operation = operation;
    question.set_data_ptr(static_cast<unsigned char *>(data));
    question.set_data_length(static_cast<unsigned>(bytes));
    const_cast<cpu_module *>(this)->mmu->transport_dbg(question); // sockets know no const
}

size_t cpu_module::translate(struct mmu *handle, const mmu_request *requests, mmu_result *results, size_t count) {
    cpu_module *cpu = of(handle);
    cpu->request.requests = requests;
    cpu->request.count = count;
    cpu->request.answers = results;
    return count && cpu->operate(mmu_operation::translate, requests[0].va) ? cpu->request.found : 0;
}

int cpu_module::write_control(struct mmu *handle, enum mmu_control which, uint64_t value) {
    cpu_module *cpu = of(handle);
    cpu->request.control = which;
    cpu->request.operand[0] = value;
    return cpu->operate(mmu_operation::write_control, 0) ? cpu->request.vector : MMU_VECTOR_GP;
}

void cpu_module::invlpg(struct mmu *handle, va_t va) { of(handle)->operate(mmu_operation::invlpg, va); }

int cpu_module::invpcid(struct mmu *handle, uint64_t type, uint64_t pcid, va_t va) {
    cpu_module *cpu = of(handle);
    cpu->request.operand[0] = type;
    cpu->request.operand[1] = pcid;
    return cpu->operate(mmu_operation::invpcid, va) ? cpu->request.vector : MMU_VECTOR_GP;
}

uint64_t cpu_module::read_control(const struct mmu *handle, enum mmu_control which) {
    uint64_t value = 0;
    of(handle)->asked.control = which;
    of(handle)->look(mmu_operation::read_control, &value, sizeof value);
    return value;
}

uint64_t cpu_module::mmu_cycles(const struct mmu *handle) {
    uint64_t value = 0;
    of(handle)->look(mmu_operation::cycles, &value, sizeof value);
    return value;
}

void cpu_module::statistics(const struct mmu *handle, mmu_statistics *out) {
    of(handle)->look(mmu_operation::statistics, out, sizeof *out);
}

size_t cpu_module::tlb_entries(struct mmu *handle, mmu_tlb_entry *out, size_t max) {
    of(handle)->look(mmu_operation::tlb_entries, out, max * sizeof *out);
    return of(handle)->asked.found;
}

int cpu_module::wave(struct mmu *handle, const char *path, uint64_t from, uint64_t to) {
    of(handle)->asked.operand[0] = from;
    of(handle)->asked.operand[1] = to;
    of(handle)->look(mmu_operation::wave, const_cast<char *>(path), 0);
    return of(handle)->asked.error;
}

const mmu_ops cpu_module::mmu_calls = [] {
    mmu_ops ops = {};
    ops.abi_version = MMU_ABI_VERSION;
    ops.name = "tlm";
    ops.destroy = [](struct mmu *) {}; // the platform's, not the machine's
    ops.translate = translate;
    ops.write_control = write_control;
    ops.read_control = read_control;
    ops.invlpg = invlpg;
    ops.invpcid = invpcid;
    ops.cycles = mmu_cycles;
    ops.statistics = statistics;
    ops.tlb_entries = tlb_entries;
    ops.wave = wave;
    return ops;
}();

} // namespace platform
