// The MMU of a preset between two sockets. It runs inside its CPU's transactions, in the CPU's process, and never
// waits: the cycles it takes are added to the transaction's delay.
#include "mmu.h"

namespace platform {

mmu_module::mmu_module(sc_core::sc_module_name name, sc_core::sc_time period)
    : sc_module(name), cpu("cpu"), bus("bus"), period(period) {
    cpu.register_b_transport(this, &mmu_module::b_transport);
    cpu.register_transport_dbg(this, &mmu_module::transport_dbg);
    payload.set_extension(&table);
}

mmu_module::~mmu_module() {
    payload.clear_extension(&table); // or it would be deleted
    if (hardware) { ops->destroy(hardware); }
}

bool mmu_module::power_on(const mmu_ops *inside, const mmu_preset &preset, bool assertions, char *err,
                          size_t err_size) {
    mmu_config config = {};
    config.preset = preset;
    config.assertions = assertions;
    config.memory.ctx = this;
    config.memory.read = [](void *ctx, pa_t pa, unsigned bytes) {
        return static_cast<mmu_module *>(ctx)->read(pa, bytes);
    };
    config.memory.compare_exchange = [](void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
        return static_cast<mmu_module *>(ctx)->compare_exchange(pa, bytes, expected, desired);
    };
    config.memory.latency = [](void *ctx, pa_t pa, bool exchange, uint64_t at) {
        return static_cast<mmu_module *>(ctx)->latency(pa, exchange, at);
    };
    ops = inside;
    hardware = ops->create(&config, err, err_size);
    return hardware != nullptr;
}

// ---- from the CPU ----

void mmu_module::b_transport(tlm::tlm_generic_payload &request, sc_core::sc_time &delay) {
    auto *x = request.get_extension<mmu_extension>();
    va_t va = request.get_address();
    bool hung = false;
    issued = delay;
    request.set_response_status(tlm::TLM_OK_RESPONSE);
    switch (x->operation) {
    case mmu_operation::translate:
        x->found = ops->translate(hardware, x->requests, x->answers, x->count);
        hung = x->found == 0;
        break;
    case mmu_operation::write_control: x->vector = ops->write_control(hardware, x->control, x->operand[0]); break;
    case mmu_operation::invlpg: ops->invlpg(hardware, va); break;
    case mmu_operation::invpcid: x->vector = ops->invpcid(hardware, x->operand[0], x->operand[1], va); break;
    default: request.set_response_status(tlm::TLM_COMMAND_ERROR_RESPONSE); return;
    }
    if (hung) { request.set_response_status(tlm::TLM_GENERIC_ERROR_RESPONSE); }
    uint64_t now = ops->cycles(hardware);
    delay += periods(period, now - cycle);
    cycle = now;
}

unsigned mmu_module::transport_dbg(tlm::tlm_generic_payload &request) {
    auto *x = request.get_extension<mmu_extension>();
    void *data = request.get_data_ptr();
    switch (x->operation) {
    case mmu_operation::read_control: *static_cast<uint64_t *>(data) = ops->read_control(hardware, x->control); break;
    case mmu_operation::cycles: *static_cast<uint64_t *>(data) = ops->cycles(hardware); break;
    case mmu_operation::statistics: ops->statistics(hardware, static_cast<mmu_statistics *>(data)); break;
    case mmu_operation::tlb_entries:
        x->found = ops->tlb_entries(hardware, static_cast<mmu_tlb_entry *>(data),
                                    request.get_data_length() / sizeof(mmu_tlb_entry));
        break;
    case mmu_operation::wave:
        x->error = ops->wave(hardware, static_cast<const char *>(data), x->operand[0], x->operand[1]);
        break;
    default: return 0;
    }
    return request.get_data_length();
}

// ---- to memory ----

void mmu_module::table_access(pa_t pa, tlm::tlm_command command, void *data, unsigned bytes, sc_core::sc_time &delay) {
    payload.set_command(command);
    payload.set_address(pa);
    payload.set_data_ptr(static_cast<unsigned char *>(data));
    payload.set_data_length(bytes);
    payload.set_streaming_width(bytes);
    payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    bus->b_transport(payload, delay);
    if (payload.is_response_error()) { SC_REPORT_FATAL(name(), "memory did not answer a table access"); }
}

uint32_t mmu_module::latency(pa_t pa, bool exchange, uint64_t at) {
    table.half = table_extension::ADDRESS;
    table.exchange = exchange;
    sc_core::sc_time sent = issued + periods(period, at - cycle), answered = sent;
    table_access(pa, tlm::TLM_IGNORE_COMMAND, nullptr, 0, answered);
    return static_cast<uint32_t>((answered - sent).value() / period.value());
}

uint64_t mmu_module::read(pa_t pa, unsigned bytes) {
    table.half = table_extension::DATA;
    table.exchange = false;
    uint64_t value = 0;
    sc_core::sc_time delay = issued;
    table_access(pa, tlm::TLM_READ_COMMAND, &value, bytes, delay);
    return value;
}

uint64_t mmu_module::compare_exchange(pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    table.half = table_extension::DATA;
    table.exchange = true;
    table.expected = expected;
    uint64_t value = desired;
    sc_core::sc_time delay = issued;
    table_access(pa, tlm::TLM_IGNORE_COMMAND, &value, bytes, delay);
    return value;
}

} // namespace platform
