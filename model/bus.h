// The bus: any number of initiators, any number of targets, an address range for each target. It takes no time.
#ifndef NTMMU_MODEL_BUS_H
#define NTMMU_MODEL_BUS_H

#include "extension.h"

#include <tlm_utils/multi_passthrough_initiator_socket.h>
#include <tlm_utils/multi_passthrough_target_socket.h>
#include <vector>

namespace platform {

class bus_module : public sc_core::sc_module {
  public:
    tlm_utils::multi_passthrough_target_socket<bus_module> in;     // bind initiators to it
    tlm_utils::multi_passthrough_initiator_socket<bus_module> out; // bind to targets: ports 0, 1, … in that order

    explicit bus_module(sc_core::sc_module_name name);

    // Accesses of [base, base + size) go to that port, addresses counted from base. Ranges do not overlap. An address
    // that nobody claims goes to port 0 as it is.
    void map(uint64_t base, uint64_t size, unsigned port);

  private:
    struct range {
        uint64_t base, size;
        unsigned port;
    };
    const range &decode(uint64_t address) const;
    void b_transport(int initiator, tlm::tlm_generic_payload &payload, sc_core::sc_time &delay);
    unsigned transport_dbg(int initiator, tlm::tlm_generic_payload &payload);
    bool get_direct_mem_ptr(int initiator, tlm::tlm_generic_payload &payload, tlm::tlm_dmi &dmi);

    std::vector<range> ranges;
    const range unclaimed = {0, 0, 0};
};

} // namespace platform

#endif
