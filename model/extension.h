// What the platform's transactions carry beside the generic payload. Nobody uses TLM's memory management here: payloads
// and extensions are members of their initiators and used again and again.
#ifndef NTMMU_MODEL_EXTENSION_H
#define NTMMU_MODEL_EXTENSION_H

#include <systemc>
#include <tlm>

extern "C" {
#include "ntmmu/mmu.h"
}

namespace platform {

// From a CPU to its MMU. Command TLM_IGNORE_COMMAND, address: the virtual address (of several, the first). Response
// TLM_GENERIC_ERROR_RESPONSE: the hardware hung. A page fault is an answer like any other and leaves TLM_OK_RESPONSE.
enum class mmu_operation {
    // b_transport; the delay grows by the cycles they take
    translate,
    write_control,
    invlpg,
    invpcid,
    // transport_dbg; no time. Data: where the answer goes (uint64_t; struct mmu_statistics; struct mmu_tlb_entry each)
    read_control,
    cycles,
    statistics,
    tlb_entries,
    wave // data: the file's name
};

struct mmu_extension : tlm::tlm_extension<mmu_extension> {
    mmu_operation operation = mmu_operation::translate;
    // translate: so many, each offered while those before it are under way; answered up to the first fault
    const mmu_request *requests = nullptr;
    size_t count = 1;
    mmu_result *answers = nullptr; // physical address or fault, hit level, walk
    mmu_control control = MMU_CR0;                            // write_control, read_control
    uint64_t operand[2] = {0, 0}; // write_control: the value; invpcid: type and PCID; wave: first cycle, end
    int vector = MMU_VECTOR_NONE; // answer of write_control and invpcid
    size_t found = 0;             // answer of translate: how many answers; of tlb_entries: how many there are
    int error = 0;                // answer of wave

    tlm_extension_base *clone() const override { return new mmu_extension(*this); }
    void copy_from(const tlm_extension_base &other) override { *this = static_cast<const mmu_extension &>(other); }
};

// From an MMU's walker to memory. An access has two halves, as on the pins: with the address the walker learns how long
// it will take (the delay grows), then the data moves in no further time.
struct table_extension : tlm::tlm_extension<table_extension> {
    enum part { ADDRESS, DATA } half = ADDRESS; // ADDRESS: command TLM_IGNORE_COMMAND
    // DATA of command TLM_READ: a read. Of TLM_IGNORE_COMMAND, so that nobody takes it for a store: a
    // compare-and-exchange of the payload's data, which becomes what memory held.
    bool exchange = false;
    uint64_t expected = 0;

    tlm_extension_base *clone() const override { return new table_extension(*this); }
    void copy_from(const tlm_extension_base &other) override { *this = static_cast<const table_extension &>(other); }
};

// A memory is about to take this store: for those who snoop, because they hold copies or watch.
struct store {
    uint64_t address; // within that memory
    const unsigned char *data;
    unsigned bytes;
};

// n clock periods, exactly (sc_time's own product goes through double).
inline sc_core::sc_time periods(const sc_core::sc_time &period, uint64_t n) {
    return sc_core::sc_time::from_value(period.value() * n);
}

} // namespace platform

#endif
