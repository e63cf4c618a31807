// The MMU: virtual addresses in from a CPU, the walker's table accesses out to the bus. Inside is any struct mmu_ops,
// the Verilated RTL of a preset or the C MMU.
#ifndef NTMMU_MODEL_MMU_H
#define NTMMU_MODEL_MMU_H

#include "extension.h"

#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/simple_target_socket.h>

namespace platform {

class mmu_module : public sc_core::sc_module {
  public:
    tlm_utils::simple_target_socket<mmu_module> cpu;    // mmu_extension
    tlm_utils::simple_initiator_socket<mmu_module> bus; // table_extension

    mmu_module(sc_core::sc_module_name name, sc_core::sc_time period);
    ~mmu_module() override;

    // Before the first access. False with one line in err.
    bool power_on(const mmu_ops *ops, const mmu_preset &preset, bool assertions, char *err, size_t err_size);
    uint64_t cycles() const { return cycle; }

  private:
    void b_transport(tlm::tlm_generic_payload &payload, sc_core::sc_time &delay);
    unsigned transport_dbg(tlm::tlm_generic_payload &payload);
    void table_access(pa_t pa, tlm::tlm_command command, void *data, unsigned bytes, sc_core::sc_time &delay);
    uint32_t latency(pa_t pa, bool exchange, uint64_t at);
    uint64_t read(pa_t pa, unsigned bytes);
    uint64_t compare_exchange(pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired);

    const sc_core::sc_time period;
    const mmu_ops *ops = nullptr;
    struct mmu *hardware = nullptr;
    uint64_t cycle = 0;               // in which the last operation completed
    sc_core::sc_time issued;          // the delay with which the operation under way came: the time of `cycle`
    tlm::tlm_generic_payload payload; // of table accesses
    table_extension table;
};

} // namespace platform

#endif
