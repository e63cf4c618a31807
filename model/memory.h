// A memory on the bus: it owns the bytes and says how long an access takes.
#ifndef NTMMU_MODEL_MEMORY_H
#define NTMMU_MODEL_MEMORY_H

#include "extension.h"

#include <tlm_utils/simple_target_socket.h>

extern "C" {
#include "ntmmu/memory_model.h"
}

namespace platform {

class memory_module : public sc_core::sc_module {
  public:
    tlm_utils::simple_target_socket<memory_module> socket;
    tlm::tlm_analysis_port<store> stores; // each transaction that stores, before it does; not what goes through DMI

    memory_module(sc_core::sc_module_name name, sc_core::sc_time period);
    ~memory_module() override;

    // Before the first access: that many bytes of zeroes. fixed: cycles of every access, 0: as the geometry says.
    bool power_on(uint64_t size, const memory_geometry &geometry, unsigned fixed);

  private:
    void b_transport(tlm::tlm_generic_payload &payload, sc_core::sc_time &delay);
    unsigned transport_dbg(tlm::tlm_generic_payload &payload);
    bool get_direct_mem_ptr(tlm::tlm_generic_payload &payload, tlm::tlm_dmi &dmi);
    void read(uint64_t address, void *out, unsigned bytes) const;
    void write(uint64_t address, const unsigned char *data, unsigned bytes);
    void exchange(uint64_t address, unsigned char *data, unsigned bytes, uint64_t expected);
    bool holds(uint64_t address, unsigned bytes) const { return address < size && bytes <= size - address; }

    const sc_core::sc_time period;
    uint8_t *bytes = nullptr;
    uint64_t size = 0;
    memory_model model = {};
};

} // namespace platform

#endif
