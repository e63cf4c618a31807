// Bytes, their latency, and the compare-and-exchange that page walks set accessed and dirty bits with.
#include "memory.h"

#include <cstring>

extern "C" {
#include "ntmmu/physmem.h"
}

namespace platform {

memory_module::memory_module(sc_core::sc_module_name name, sc_core::sc_time period)
    : sc_module(name), socket("socket"), stores("stores"), period(period) {
    socket.register_b_transport(this, &memory_module::b_transport);
    socket.register_transport_dbg(this, &memory_module::transport_dbg);
    socket.register_get_direct_mem_ptr(this, &memory_module::get_direct_mem_ptr);
}

memory_module::~memory_module() {
    if (bytes) { physmem_unmap(bytes, size); }
    memory_model_fini(&model);
}

bool memory_module::power_on(uint64_t wanted, const memory_geometry &geometry, unsigned fixed) {
    if (memory_model_init(&model, &geometry, fixed)) { return false; }
    bytes = physmem_map(wanted);
    size = bytes ? wanted : 0;
    return bytes != nullptr;
}

// Where there is nothing a read gives all ones and a store is lost, as on a PC.
void memory_module::read(uint64_t address, void *out, unsigned length) const {
    if (holds(address, length)) {
        std::memcpy(out, bytes + address, length);
    } else {
        std::memset(out, 0xFF, length);
    }
}

void memory_module::write(uint64_t address, const unsigned char *data, unsigned length) {
    if (!holds(address, length)) { return; }
    stores.write(store{address, data, length});
    std::memcpy(bytes + address, data, length);
}

void memory_module::exchange(uint64_t address, unsigned char *data, unsigned length, uint64_t expected) {
    uint64_t old = 0;
    read(address, &old, length);
    if (old == expected) { write(address, data, length); }
    std::memcpy(data, &old, length);
}

unsigned memory_module::transport_dbg(tlm::tlm_generic_payload &payload) {
    unsigned char *data = payload.get_data_ptr();
    unsigned length = payload.get_data_length();
    if (payload.is_read()) { read(payload.get_address(), data, length); }
    if (payload.is_write()) { write(payload.get_address(), data, length); }
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    return length;
}

void memory_module::b_transport(tlm::tlm_generic_payload &payload, sc_core::sc_time &delay) {
    const auto *table = payload.get_extension<table_extension>();
    if (!table || table->half == table_extension::ADDRESS) {
        delay += periods(period, memory_model_latency(&model, payload.get_address()));
    }
    if (table && table->half == table_extension::DATA && table->exchange) {
        exchange(payload.get_address(), payload.get_data_ptr(), payload.get_data_length(), table->expected);
        payload.set_response_status(tlm::TLM_OK_RESPONSE);
    } else {
        payload.set_dmi_allowed(true);
        transport_dbg(payload);
    }
}

// Without latency: what a program's or a kernel's own data costs is not modelled.
bool memory_module::get_direct_mem_ptr(tlm::tlm_generic_payload &payload, tlm::tlm_dmi &dmi) {
    if (payload.get_address() >= size) { return false; }
    dmi.allow_read_write();
    dmi.set_dmi_ptr(bytes);
    dmi.set_start_address(0);
    dmi.set_end_address(size - 1);
    return true;
}

} // namespace platform
