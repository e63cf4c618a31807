// Physical memory: the hash that says whether two runs left the same bytes, and memory over somebody else's bytes.
#include <gtest/gtest.h>

#include <vector>

extern "C" {
#include "ntmmu/physmem.h"
}

namespace {

constexpr pa_t MB4 = pa_t(4) << 20;

struct Memory {
    physmem mem;
    explicit Memory(pa_t size = MB4) { EXPECT_EQ(physmem_init(&mem, size), 0); }
    ~Memory() { physmem_fini(&mem); }
    uint64_t hash() const { return physmem_hash(&mem); }
    void put(pa_t pa, uint8_t byte) { physmem_write(&mem, pa, &byte, 1); }
    std::vector<pa_t> heard;
    void listen() {
        mem.watcher = &heard;
        mem.on_store = [](void *watcher, pa_t pa, unsigned, const void *) {
            static_cast<std::vector<pa_t> *>(watcher)->push_back(pa);
        };
    }
};

TEST(Physmem, HashIsOfContentsAndPlaces) {
    Memory a, b(2 * MB4);
    EXPECT_EQ(a.hash(), b.hash()) << "zeroes count";
    a.put(0x5003, 7);
    EXPECT_NE(a.hash(), b.hash()) << "a byte does not count";
    b.put(0x5004, 7);
    EXPECT_NE(a.hash(), b.hash()) << "its place in the word does not count";
    b.put(0x5004, 0);
    b.put(0x6003, 7);
    EXPECT_NE(a.hash(), b.hash()) << "its frame does not count";
    b.put(0x6003, 0);
    b.put(0x5003, 7);
    EXPECT_EQ(a.hash(), b.hash());
    b.put(0x5FFF, 1);
    EXPECT_NE(a.hash(), b.hash()) << "a frame's last byte does not count";
    b.put(0x5FFF, 0);
    b.put(PHYSMEM_DEVICE_BASE + 5, 1);
    EXPECT_NE(a.hash(), b.hash()) << "the device does not count";
    b.put(PHYSMEM_DEVICE_BASE + 5, 0);
    EXPECT_EQ(a.hash(), b.hash()) << "a device full of zeroes counts";
}

TEST(Physmem, OverBorrowedBytes) {
    std::vector<uint8_t> bytes(MB4), device(PHYSMEM_DEVICE_SIZE);
    physmem mem;
    EXPECT_EQ(physmem_init_over(&mem, bytes.data(), MB4 - 4096, device.data()), -1);
    ASSERT_EQ(physmem_init_over(&mem, bytes.data(), MB4, device.data()), 0);
    physmem_write32(&mem, 0x1000, 0x12345678);
    physmem_write32(&mem, PHYSMEM_DEVICE_BASE + 8, 0x9ABCDEF0);
    physmem_fini(&mem); // and they are still ours
    EXPECT_EQ(bytes[0x1001], 0x56);
    EXPECT_EQ(device[8], 0xF0);
}

TEST(Physmem, BehindTheDevice) {
    Memory m;
    physmem_fill(&m.mem, PHYSMEM_DEVICE_BASE + PHYSMEM_DEVICE_SIZE - 4, 0x41, 4);
    EXPECT_EQ(physmem_read32(&m.mem, PHYSMEM_DEVICE_BASE + PHYSMEM_DEVICE_SIZE - 4), 0x41414141u);
    for (pa_t pa : {PHYSMEM_DEVICE_BASE + PHYSMEM_DEVICE_SIZE - 2, ~(pa_t)0 - 3}) {
        physmem_write32(&m.mem, pa, 1);
        physmem_fill(&m.mem, pa, 1, 4);
        EXPECT_EQ(physmem_read32(&m.mem, pa), 0xFFFFFFFFu) << pa;
    }
}

TEST(Physmem, AnnouncedStoresAreHeardWhereSomebodyWatches) {
    Memory m;
    m.listen();
    m.mem.watch[3] = 1;
    uint32_t value = 1;
    physmem_announce(&m.mem, 0x2FFC, &value, 4);
    physmem_announce(&m.mem, 0x3000, &value, 4);
    physmem_announce(&m.mem, MB4, &value, 4);
    EXPECT_EQ(m.heard, std::vector<pa_t>{0x3000});
    EXPECT_EQ(physmem_read32(&m.mem, 0x3000), 0u) << "an announcement stores nothing";
}

TEST(Physmem, AFrameIsFreshUntilSomethingIsStored) {
    Memory m;
    m.listen();
    uint8_t value = 0;
    physmem_fill(&m.mem, 0x1000, 0, PAGE_SIZE);
    EXPECT_TRUE(physmem_is_fresh(&m.mem, 1)) << "zeroes over zeroes";
    physmem_fill(&m.mem, 0x1000, 5, 1);
    physmem_write(&m.mem, 0x2FFF, &value, 1);
    physmem_announce(&m.mem, 0x3000, &value, 1);
    for (pfn_t frame = 1; frame <= 3; frame++) { EXPECT_FALSE(physmem_is_fresh(&m.mem, frame)) << frame; }
    EXPECT_TRUE(physmem_is_fresh(&m.mem, 4));
    EXPECT_TRUE(m.heard.empty()) << "a fresh frame is not a watched one";
    physmem_fill(&m.mem, 0x1000, 0, PAGE_SIZE);
    EXPECT_EQ(physmem_read32(&m.mem, 0x1000), 0u);

    std::vector<uint8_t> bytes(MB4, 7);
    physmem borrowed;
    ASSERT_EQ(physmem_init_over(&borrowed, bytes.data(), MB4, nullptr), 0);
    EXPECT_FALSE(physmem_is_fresh(&borrowed, 0)) << "who knows what its owner has stored";
    physmem_fill(&borrowed, 0, 0, PAGE_SIZE);
    EXPECT_EQ(bytes[0], 0);
    physmem_fini(&borrowed);
}

} // namespace
