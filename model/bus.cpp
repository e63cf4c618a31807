// Address decoding. Transactions keep their payload; only its address is the target's while the target has it.
#include "bus.h"

namespace platform {

bus_module::bus_module(sc_core::sc_module_name name) : sc_module(name), in("in"), out("out") {
    in.register_b_transport(this, &bus_module::b_transport);
    in.register_transport_dbg(this, &bus_module::transport_dbg);
    in.register_get_direct_mem_ptr(this, &bus_module::get_direct_mem_ptr);
}

void bus_module::map(uint64_t base, uint64_t size, unsigned port) { ranges.push_back({base, size, port}); }

const bus_module::range &bus_module::decode(uint64_t address) const {
    for (const range &r : ranges) {
        if (address - r.base < r.size) { return r; }
    }
    return unclaimed;
}

void bus_module::b_transport(int, tlm::tlm_generic_payload &payload, sc_core::sc_time &delay) {
    uint64_t address = payload.get_address();
    const range &target = decode(address);
    payload.set_address(address - target.base);
    out[target.port]->b_transport(payload, delay);
    payload.set_address(address);
}

unsigned bus_module::transport_dbg(int, tlm::tlm_generic_payload &payload) {
    uint64_t address = payload.get_address();
    const range &target = decode(address);
    payload.set_address(address - target.base);
    unsigned bytes = out[target.port]->transport_dbg(payload);
    payload.set_address(address);
    return bytes;
}

bool bus_module::get_direct_mem_ptr(int, tlm::tlm_generic_payload &payload, tlm::tlm_dmi &dmi) {
    uint64_t address = payload.get_address();
    const range &target = decode(address);
    payload.set_address(address - target.base);
    bool granted = out[target.port]->get_direct_mem_ptr(payload, dmi);
    payload.set_address(address);
    dmi.set_start_address(dmi.get_start_address() + target.base);
    dmi.set_end_address(dmi.get_end_address() + target.base);
    return granted;
}

} // namespace platform
