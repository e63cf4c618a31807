// The trace-driven CPU with its kernel: the machine of csrc/machine, whose MMU and memory are at the other ends of two
// sockets. Its process runs the whole replay.
#ifndef NTMMU_MODEL_CPU_H
#define NTMMU_MODEL_CPU_H

#include "extension.h"

#include <functional>
#include <tlm_utils/simple_initiator_socket.h>
#include <tlm_utils/tlm_quantumkeeper.h>

extern "C" {
#include "ntmmu/machine.h"
}

namespace platform {

class cpu_module : public sc_core::sc_module, public tlm::tlm_analysis_if<store> {
  public:
    tlm_utils::simple_initiator_socket<cpu_module> mmu; // mmu_extension
    tlm_utils::simple_initiator_socket<cpu_module> bus; // the program's and the kernel's data, by DMI

    // program: what the CPU's process does, once.
    cpu_module(sc_core::sc_module_name name, sc_core::sc_time period, std::function<void()> program);
    ~cpu_module() override;

    // At power-on, from within the program: *mem becomes what the bus has at 0 and at PHYSMEM_DEVICE_BASE.
    bool map_memory(physmem *mem, pa_t size);
    // The MMU as the machine sees it; each call is a transaction.
    static const mmu_ops mmu_calls;
    struct mmu *mmu_handle() {
        return reinterpret_cast<struct mmu *>(this);
    }

    // After an event, on the process's own stack: time for the others, if the quantum is over.
    void event_done(const machine *m);
    uint64_t run_hits() const { return hits; } // cycles that no transaction took: see machine_cycles

    void write(const store &s) override; // a store by somebody else to memory

  private:
    static cpu_module *of(struct mmu *handle) { return reinterpret_cast<cpu_module *>(handle); }
    static const cpu_module *of(const struct mmu *handle) { return reinterpret_cast<const cpu_module *>(handle); }
    static size_t translate(struct mmu *handle, const mmu_request *requests, mmu_result *results, size_t count);
    static int write_control(struct mmu *handle, enum mmu_control which, uint64_t value);
    static uint64_t read_control(const struct mmu *handle, enum mmu_control which);
    static void invlpg(struct mmu *handle, va_t va);
    static int invpcid(struct mmu *handle, uint64_t type, uint64_t pcid, va_t va);
    static uint64_t mmu_cycles(const struct mmu *handle);
    static void statistics(const struct mmu *handle, mmu_statistics *out);
    static size_t tlb_entries(struct mmu *handle, mmu_tlb_entry *out, size_t max);
    static int wave(struct mmu *handle, const char *path, uint64_t from, uint64_t to);

    void run();
    bool operate(mmu_operation operation, va_t va);
    void look(mmu_operation operation, void *data, size_t bytes) const;
    uint8_t *direct(uint64_t address, uint64_t size);

    const sc_core::sc_time period;
    const std::function<void()> program;
    tlm_utils::tlm_quantumkeeper keeper;
    uint64_t hits = 0;
    physmem *memory = nullptr;
    tlm::tlm_generic_payload access;
    mmu_extension request;
    // Questions that take no time can come in the middle of an access, from checks that watch memory.
    mutable tlm::tlm_generic_payload question;
    mutable mmu_extension asked;
};

} // namespace platform

#endif
