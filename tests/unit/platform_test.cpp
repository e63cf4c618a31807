// The modules of model/ one by one: what the bus decodes, what memory answers, what those who watch it hear, and time.
// (That the platform as a whole does what `ntmmu run` does is tests/platform.sh.)
#include <gtest/gtest.h>

#include "../../model/bus.h"
#include "../../model/memory.h"
#include "../../model/mmu.h"
#include "small_preset.h"

#include <cstring>
#include <memory>
#include <tlm_utils/simple_initiator_socket.h>
#include <vector>

using namespace platform;

namespace {

constexpr uint64_t RAM = 4 << 20, DEVICE = 0xF0000000, DEVICE_SIZE = 1 << 20;
constexpr unsigned LATENCY = 7;
const sc_core::sc_time period(10, sc_core::SC_NS);

struct heard {
    uint64_t address;
    uint32_t before, stored;
};

// An initiator on the bus, the MMU's other end, and whoever watches memory.
struct bench : sc_core::sc_module, tlm::tlm_analysis_if<store> {
    tlm_utils::simple_initiator_socket<bench> socket, to_mmu;
    bus_module bus;
    memory_module ram, device;
    mmu_module mmu;
    tlm::tlm_generic_payload payload;
    table_extension table;
    mmu_extension operation;
    std::vector<heard> stores;

    explicit bench(sc_core::sc_module_name name)
        : sc_module(name), socket("socket"), to_mmu("to_mmu"), bus("bus"), ram("ram", period), device("device", period),
          mmu("mmu", period) {
        socket.bind(bus.in);
        mmu.bus.bind(bus.in);
        to_mmu.bind(mmu.cpu);
        bus.out.bind(ram.socket);
        bus.out.bind(device.socket);
        ram.stores.bind(*this);
        memory_geometry geometry = {};
        geometry.dram = LATENCY;
        EXPECT_TRUE(ram.power_on(RAM, geometry, 0));
        EXPECT_TRUE(device.power_on(DEVICE_SIZE, geometry, 3));
        bus.map(0, RAM, 0);
        bus.map(DEVICE, DEVICE_SIZE, 1);
        char err[256] = "";
        EXPECT_TRUE(mmu.power_on(&mmu_c_ops, small_preset(16, 4), false, err, sizeof err)) << err;
    }

    void write(const store &s) override {
        heard h = {s.address, 0, 0};
        std::memcpy(&h.before, direct(s.address), sizeof h.before);
        std::memcpy(&h.stored, s.data, sizeof h.stored);
        stores.push_back(h);
    }

    uint8_t *direct(uint64_t address) {
        tlm::tlm_generic_payload question;
        tlm::tlm_dmi dmi;
        question.set_address(address);
        if (!socket->get_direct_mem_ptr(question, dmi)) { return nullptr; }
        EXPECT_LE(dmi.get_start_address(), address);
        EXPECT_GE(dmi.get_end_address(), address);
        return dmi.get_dmi_ptr() + (address - dmi.get_start_address());
    }

    // Cycles it took.
    uint64_t access(tlm::tlm_command command, uint64_t address, uint32_t *data) {
        sc_core::sc_time delay = period * 5, before = delay;
        payload.set_command(command);
        payload.set_address(address);
        payload.set_data_ptr(reinterpret_cast<unsigned char *>(data));
        payload.set_data_length(data ? 4 : 0);
        payload.set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
        socket->b_transport(payload, delay);
        EXPECT_TRUE(payload.is_response_ok());
        EXPECT_EQ(payload.get_address(), address);
        return (delay - before).value() / period.value();
    }

    uint32_t load(uint64_t address) {
        uint32_t value = 0;
        access(tlm::TLM_READ_COMMAND, address, &value);
        return value;
    }

    uint64_t save(uint64_t address, uint32_t value) { return access(tlm::TLM_WRITE_COMMAND, address, &value); }

    uint64_t table_access(table_extension::part half, tlm::tlm_command command, uint64_t address, uint32_t *data) {
        table.half = half;
        payload.set_extension(&table);
        uint64_t cycles = access(command, address, data);
        payload.clear_extension(&table);
        return cycles;
    }

    // Cycles it took.
    uint64_t operate(mmu_operation what, va_t va) {
        operation.operation = what;
        sc_core::sc_time delay = period * 5, before = delay;
        tlm::tlm_generic_payload request;
        request.set_command(tlm::TLM_IGNORE_COMMAND);
        request.set_address(va);
        request.set_extension(&operation);
        to_mmu->b_transport(request, delay);
        request.clear_extension(&operation);
        EXPECT_TRUE(request.is_response_ok());
        return (delay - before).value() / period.value();
    }

    void set_control(mmu_control which, uint64_t value) {
        operation.control = which;
        operation.operand[0] = value;
        EXPECT_EQ(operate(mmu_operation::write_control, 0), 1u);
        EXPECT_EQ(operation.vector, MMU_VECTOR_NONE);
    }
};

// One for the whole program: SystemC elaborates once.
std::unique_ptr<bench> b;

TEST(Platform, BusDecodes) {
    b->save(0x1000, 0x11111111);
    b->save(DEVICE + 0x1000, 0x22222222);
    EXPECT_EQ(b->load(0x1000), 0x11111111u);
    EXPECT_EQ(b->load(DEVICE + 0x1000), 0x22222222u);
    b->save(RAM - 4, 0x33333333);
    EXPECT_EQ(b->load(RAM - 4), 0x33333333u);
    b->save(DEVICE + DEVICE_SIZE - 4, 0x44444444);
    EXPECT_EQ(b->load(DEVICE + DEVICE_SIZE - 4), 0x44444444u);
}

TEST(Platform, NobodyThereReadsOnes) {
    for (uint64_t address : {RAM, DEVICE - 4, DEVICE + DEVICE_SIZE, uint64_t(1) << 40}) {
        b->save(address, 0x55555555);
        EXPECT_EQ(b->load(address), 0xFFFFFFFFu) << std::hex << address;
        EXPECT_EQ(b->direct(address), nullptr) << std::hex << address;
    }
    EXPECT_EQ(b->load(0), 0u);
}

TEST(Platform, DirectPointersAreTheSameBytes) {
    uint32_t value = 0x66666666;
    std::memcpy(b->direct(0x2004), &value, sizeof value);
    EXPECT_EQ(b->load(0x2004), value);
    std::memcpy(b->direct(DEVICE + 0x2008), &value, sizeof value);
    EXPECT_EQ(b->load(DEVICE + 0x2008), value);
}

TEST(Platform, MemoryTakesItsTime) {
    EXPECT_EQ(b->save(0x3000, 1), LATENCY);
    EXPECT_EQ(b->save(DEVICE, 1), 3u); // its fixed time, not the geometry's
    uint32_t value = 0;
    EXPECT_EQ(b->table_access(table_extension::ADDRESS, tlm::TLM_IGNORE_COMMAND, 0x3000, nullptr), LATENCY);
    EXPECT_EQ(b->table_access(table_extension::DATA, tlm::TLM_READ_COMMAND, 0x3000, &value), 0u);
    EXPECT_EQ(value, 1u);
}

TEST(Platform, CompareAndExchange) {
    b->save(0x4000, 0x10);
    b->stores.clear();
    b->table.exchange = true;
    b->table.expected = 0x11;
    uint32_t value = 0x20;
    EXPECT_EQ(b->table_access(table_extension::DATA, tlm::TLM_IGNORE_COMMAND, 0x4000, &value), 0u);
    EXPECT_EQ(value, 0x10u);
    EXPECT_EQ(b->load(0x4000), 0x10u);
    EXPECT_TRUE(b->stores.empty());
    b->table.expected = 0x10;
    value = 0x20;
    b->table_access(table_extension::DATA, tlm::TLM_IGNORE_COMMAND, 0x4000, &value);
    b->table.exchange = false;
    EXPECT_EQ(value, 0x10u);
    EXPECT_EQ(b->load(0x4000), 0x20u);
    ASSERT_EQ(b->stores.size(), 1u);
    EXPECT_EQ(b->stores[0].address, 0x4000u);
    EXPECT_EQ(b->stores[0].before, 0x10u) << "heard after the store, expected before it";
    EXPECT_EQ(b->stores[0].stored, 0x20u);
}

// A walk of two levels that sets A in both entries and D in the lower one: 2 reads and 2 exchanges, each
// its latency and a cycle, and the request's own cycle; then a hit.
TEST(Platform, AWalkTravelsTheBus) {
    b->save(0x10000 + 4, 0x11000 | 7);
    b->save(0x11000 + 8, 0x12000 | 7);
    b->set_control(MMU_CR3, 0x10000);
    b->set_control(MMU_CR0, CR0_PE | CR0_PG);
    b->stores.clear();
    mmu_request requests[3] = {{0x00402ABC, MMU_WRITE, MMU_USER, 4}};
    mmu_result answers[3] = {};
    mmu_result &answer = answers[0];
    b->operation.requests = requests;
    b->operation.answers = answers;
    b->operation.count = 1;
    auto translate = [&requests](va_t va) {
        requests[0].va = va;
        return b->operate(mmu_operation::translate, va);
    };
    uint64_t took = translate(0x00402ABC);
    EXPECT_EQ(answer.vector, MMU_VECTOR_NONE);
    EXPECT_EQ(answer.pa, 0x12ABCu);
    EXPECT_EQ(answer.table_count, 4u);
    EXPECT_EQ(took, answer.cycles);
    EXPECT_GE(took, 4 * (LATENCY + 1));
    EXPECT_EQ(b->load(0x10004), 0x11027u);
    EXPECT_EQ(b->load(0x11008), 0x12067u);
    ASSERT_EQ(b->stores.size(), 2u);
    EXPECT_EQ(b->stores[1].stored, 0x12067u);

    EXPECT_EQ(translate(0x00402ABC), 1u);
    EXPECT_EQ(answer.hit, MMU_HIT_L1);
    EXPECT_EQ(b->operate(mmu_operation::invlpg, 0x00402000), 1u);
    EXPECT_GT(translate(0x00402ABC), 2 * LATENCY);
    EXPECT_EQ(answer.hit, MMU_HIT_WALK);

    translate(0x00800000);
    EXPECT_EQ(answer.vector, MMU_VECTOR_PF);
    EXPECT_EQ(answer.cr2, 0x00800000u);
    EXPECT_EQ(answer.error_code, unsigned(PF_USER | PF_WRITE));

    // Several in one transaction: up to the fault.
    requests[0].va = 0x00402ABC;
    requests[1] = {0x00800000, MMU_READ, MMU_USER, 4};
    requests[2] = requests[0];
    b->operation.count = 3;
    took = b->operate(mmu_operation::translate, requests[0].va);
    EXPECT_EQ(b->operation.found, 2u);
    EXPECT_EQ(answers[0].hit, MMU_HIT_L1);
    EXPECT_EQ(answers[1].cr2, 0x00800000u);
    EXPECT_EQ(took, answers[0].cycles + answers[1].cycles);
}

} // namespace

int sc_main(int argc, char **argv) {
    testing::InitGoogleTest(&argc, argv);
    b = std::make_unique<bench>("bench");
    sc_core::sc_start(sc_core::SC_ZERO_TIME);
    int rc = RUN_ALL_TESTS();
    b.reset();
    return rc;
}

int main(int argc, char **argv) {
    setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
    return sc_core::sc_elab_and_sim(argc, argv);
}
