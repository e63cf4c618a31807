// The machine under a small kernel written here: every user page is mapped on demand, a few addresses are special.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "physmem_memory.h"
#include "small_preset.h"

extern "C" {
#include "ntmmu/filedata.h"
#include "ntmmu/machine.h"
#include "ntmmu/status.h"
}

namespace {

constexpr va_t kDirect = 0x80000000; // the kernel's window on all of memory, large pages
constexpr va_t kMapped = 0xA0000000; // kernel addresses mapped on demand
constexpr va_t kException = 0x60000000, kBlock = 0x61000000, kLivelock = 0x62000000, kBugcheck = 0x63000000,
               kPanic = 0x64000000, kReadOnly = 0x65000000, kNested = 0x66000000, kNestedBlock = 0x67000000,
               kBlockThenBugcheck = 0x68000000;
constexpr va_t kMappedBlock = kMapped + 0x9000, kCompletion = kMapped + 0xB000;
constexpr uint64_t kThreadObject = 0x4321, kTransfer = 0x10000;
enum { CALL_START, CALL_TRANSFER, CALL_POLL, CALL_CREATE, CALL_INJECT };
constexpr uint64_t kObject = 0x1234;
constexpr pa_t kDirectoryOf0 = 0x1000; // process P: 1000h * (P + 1)
constexpr pa_t kFirstFree = 0x100000;

struct Fake {
    os_machine *m;
    pa_t next_free = kFirstFree;
    uint32_t pid = 0, tid = 0;
    std::vector<std::pair<uint32_t, uint32_t>> threads; // tid, pid
    bool block = true;
    unsigned ticks = 0;
    ntstatus_t disk_status = 0;
    uint64_t writing = 0; // the write that each tick sees to it is under way; 0: none
    bool tick_writes = false, tick_waits = false, thread_waits = false, exit_waits = false;
    va_t completion_writes = 0;
    std::string exits;
    unsigned ticks_done = 0, threads_done = 0;
    unsigned irql_seen = 0;
    std::vector<std::pair<uint64_t, ntstatus_t>> completed;
    bool done(uint64_t id) const {
        for (auto &c : completed) {
            if (c.first == id) { return true; }
        }
        return false;
    }

    void wait_for_block() {
        while (block) { m->ops->wait(m, kObject); }
    }
    pa_t frame() {
        pa_t pa = next_free;
        next_free += PAGE_SIZE;
        return pa;
    }
    uint32_t read32(pa_t pa) const {
        uint32_t v;
        m->ops->read(m, kDirect + pa, &v, 4);
        return v;
    }
    void write32(pa_t pa, uint32_t v) { m->ops->write(m, kDirect + pa, &v, 4); }
    pa_t directory() const { return kDirectoryOf0 + 0x1000 * pid; }
    void map(va_t va, bool writable) {
        pa_t pde = directory() + (va >> 22) * 4;
        if (!(read32(pde) & 1)) { write32(pde, uint32_t(frame()) | 7); }
        write32((read32(pde) & 0xFFFFF000) + (va >> 12 & 0x3FF) * 4, uint32_t(frame()) | (writable ? 7 : 5));
    }
};

Fake *fake(os *o) { return reinterpret_cast<Fake *>(o); }
const Fake *fake(const os *o) { return reinterpret_cast<const Fake *>(o); }

uint64_t fake_ram(const os_config *, char *, size_t) { return 8 << 20; }

os *fake_boot(os_machine *m, const os_config *) {
    auto *f = new Fake;
    f->m = m;
    for (uint32_t p = 0; p < 4; p++) { // before paging is on, addresses are physical
        pa_t directory = kDirectoryOf0 + 0x1000 * p;
        m->ops->fill(m, directory, 0, PAGE_SIZE);
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t pde = i << 22 | 0x83;
            m->ops->write(m, directory + (kDirect >> 22) * 4 + i * 4, &pde, 4);
        }
    }
    m->ops->write_control(m, MMU_CR3, kDirectoryOf0);
    m->ops->write_control(m, MMU_CR4, CR4_PSE | CR4_PGE);
    m->ops->write_control(m, MMU_CR0, CR0_PE | CR0_WP | CR0_PG);
    return reinterpret_cast<os *>(f);
}

void fake_destroy(os *o, bool) { delete fake(o); }

os_outcome fake_fault(os *o, va_t cr2, uint32_t) {
    Fake *f = fake(o);
    os_outcome out = {};
    out.kind = OS_RETRY;
    out.status = STATUS_PAGE_FAULT_DEMAND_ZERO;
    switch (page_of(cr2)) {
    case kException:
        out.kind = OS_EXCEPTION;
        out.status = STATUS_ACCESS_VIOLATION;
        out.p[1] = cr2;
        return out;
    case kBlock:
        if (f->block) {
            f->wait_for_block();
            out.kind = OS_REFAULT;
            return out;
        }
        break;
    case kBlockThenBugcheck: f->wait_for_block(); f->m->ops->bugcheck(f->m, 0x1A, cr2, 0, 0, 0);
    case kMappedBlock: // raised while it waits
        f->m->ops->set_irql(f->m, 1);
        f->wait_for_block();
        f->irql_seen = f->m->ops->irql(f->m);
        f->m->ops->set_irql(f->m, 0);
        break;
    case kNestedBlock: {
        uint32_t v = 0x77, back = 0;
        f->m->ops->write(f->m, kMappedBlock, &v, 4);
        f->m->ops->read(f->m, kMappedBlock, &back, 4);
        if (back != v) { f->m->ops->panic(f->m, "the nested access lost its data"); }
        break;
    }
    case kLivelock: return out;
    case kBugcheck: f->m->ops->bugcheck(f->m, 0x50, cr2, 2, 3, 4);
    case kPanic: f->m->ops->panic(f->m, "not in this version");
    case kNested: { // touches a kernel page that is not mapped either
        uint32_t v = 1;
        f->m->ops->write(f->m, kMapped + 0x5000, &v, 4);
        break;
    }
    default: break;
    }
    f->map(cr2, page_of(cr2) != kReadOnly);
    if (log_wants(f->m->log, LOG_RESOLVED)) {
        log_send(f->m->log, LOG_RESOLVED, cr2, out.status, FAULT_DEMAND_ZERO, 0, 0);
    }
    return out;
}

os_service_result fake_service(os *o, const event *e) {
    Fake *f = fake(o);
    os_service_result r = {};
    switch (e->kind) {
    case EV_THREAD_CREATE: f->threads.push_back({e->thread.tid, e->thread.pid}); break;
    case EV_SWITCH:
        for (auto &t : f->threads) {
            if (t.first != e->sw.tid) { continue; }
            f->tid = t.first;
            if (f->pid != t.second) {
                f->pid = t.second;
                f->m->ops->write_control(f->m, MMU_CR3, f->directory());
            }
        }
        break;
    case EV_FLUSH: // all the TLB operations there are
        f->m->ops->write_control(f->m, MMU_CR3, f->directory());
        f->m->ops->invlpg(f->m, 0x5000);
        f->m->ops->write_control(f->m, MMU_CR4, CR4_PSE);
        f->m->ops->write_control(f->m, MMU_CR4, CR4_PSE | CR4_PGE);
        break;
    case EV_ALLOC: { // kernel memory across a page boundary
        char text[] = "abcdefgh", back[9] = {};
        f->m->ops->write(f->m, kMapped + 0xFFC, text, 8);
        f->m->ops->copy(f->m, kMapped + 0x2FFD, kMapped + 0xFFC, 8);
        f->m->ops->read(f->m, kMapped + 0x2FFD, back, 8);
        r.status = std::string(back) == text ? STATUS_SUCCESS : STATUS_ASSERTION_FAILURE;
        r.out[0] = e->alloc.base;
        r.out[1] = e->alloc.size;
        break;
    }
    case EV_FREE: r.status = STATUS_MEMORY_NOT_ALLOCATED; break;
    case EV_PROC_EXIT:
        f->exits += "begins";
        if (f->exit_waits) { f->wait_for_block(); }
        f->exits += " ends";
        break;
    case EV_MAP: {
        os_io io = {};
        io.file = 77;
        io.offset = 0x3000;
        io.pages = 1;
        io.valid_bytes = 0x802;
        io.frame[0] = 0x300;
        uint64_t id = f->m->ops->disk_start(f->m, &io);
        while (!f->done(id)) { f->m->ops->wait(f->m, kTransfer + id); }
        f->disk_status = f->completed.back().second;
        break;
    }
    case EV_LOCK:
        f->wait_for_block();
        r.status = STATUS_WAS_LOCKED;
        r.out[0] = e->range.base;
        break;
    case EV_CALL: {
        const uint64_t *a = e->args.arg;
        os_io io = {};
        io.file = a[2];
        io.offset = a[3];
        io.pages = uint32_t(a[5]);
        io.write = a[1];
        io.valid_bytes = a[6];
        for (unsigned i = 0; i < io.pages; i++) { io.frame[i] = a[4] + i; }
        switch (a[0]) {
        case CALL_START: r.status = ntstatus_t(f->m->ops->disk_start(f->m, &io)); break;
        case CALL_TRANSFER: {
            uint64_t id = f->m->ops->disk_start(f->m, &io);
            while (!f->done(id)) { f->m->ops->wait(f->m, kTransfer + id); }
            r.status = f->completed.back().second;
            break;
        }
        case CALL_POLL: f->m->ops->disk_poll(f->m, a[1]); break;
        case CALL_CREATE:
            r.status =
                f->m->ops->disk_create(f->m, unsigned(a[1]), a[2]) ? ntstatus_t(0) : ntstatus_t(STATUS_NO_MEMORY);
            break;
        case CALL_INJECT: r.status = f->m->ops->inject(f->m, os_injection(a[1])); break;
        }
        break;
    }
    case EV_RUN_THREAD:
        if (e->text[0]) {
            f->thread_waits = true;
            while (f->thread_waits) { f->m->ops->wait(f->m, kThreadObject); }
            f->threads_done++;
            break;
        }
        if (f->thread_waits) {
            f->thread_waits = false;
            f->m->ops->signal(f->m, kThreadObject);
            break;
        }
        f->block = false;
        f->m->ops->signal(f->m, kObject);
        break;
    default: break;
    }
    return r;
}

void fake_tick(os *o) {
    Fake *f = fake(o);
    f->ticks++;
    if (f->tick_writes && !f->writing) {
        os_io io = {};
        io.file = os_paging_file(0);
        io.pages = io.write = 1;
        io.frame[0] = 0x300;
        f->writing = f->m->ops->disk_start(f->m, &io);
    }
    while (f->tick_waits) { f->m->ops->wait(f->m, kThreadObject); }
    f->ticks_done++;
}
void fake_io_complete(os *o, uint64_t id, ntstatus_t status) {
    fake(o)->completed.push_back({id, status});
    if (id == fake(o)->writing) { fake(o)->writing = 0; }
    if (fake(o)->completion_writes) {
        uint32_t v = 0x99;
        fake(o)->m->ops->write(fake(o)->m, fake(o)->completion_writes, &v, 4);
    }
    fake(o)->m->ops->signal(fake(o)->m, kTransfer + id);
}
uint32_t fake_pid(const os *o) { return fake(o)->pid; }
uint32_t fake_tid(const os *o) { return fake(o)->tid; }
uint64_t fake_directory(const os *o, uint32_t pid) {
    (void)o;
    return kDirectoryOf0 + 0x1000 * pid;
}
void fake_counters(const os *, void (*)(void *, const char *, uint64_t), void *) {}

const os_ops fake_os = {fake_ram,         fake_boot, fake_destroy, fake_fault,     fake_service, fake_tick,
                        fake_io_complete, fake_pid,  fake_tid,     fake_directory, fake_counters};

void collect(void *ctx, const log_record *r) { static_cast<std::vector<log_record> *>(ctx)->push_back(*r); }

} // namespace

class Machine : public ::testing::Test {
  protected:
    machine *m = nullptr;
    std::vector<log_record> log;
    uint64_t next_index = 0;
    bool direct = false, reference = false, manual_threads = false, ends_unhandled = false;
    disk_model model = {};
    std::vector<machine_injection> injections;

    void start(uint32_t mask = (1u << LOG_KINDS) - 1) {
        machine_config config = {};
        config.mmu = &mmu_c_ops;
        config.preset = small_preset(16, 4, 40);
        config.os = &fake_os;
        config.kernel_direct = direct;
        config.disk = model;
        config.injections = unsigned(injections.size());
        std::copy(injections.begin(), injections.end(), config.injection);
        config.os_config.reference_counting = reference;
        config.os_config.manual_threads = manual_threads;
        config.ends_unhandled = ends_unhandled;
        char err[256] = "";
        m = machine_create(&config, err, sizeof err);
        ASSERT_NE(m, nullptr) << err;
        ASSERT_EQ(log_subscribe(machine_log(m), mask, collect, &log), 0);
    }
    void TearDown() override { machine_destroy(m); }

    Fake *os() { return fake(machine_os(m)); }
    const struct machine_counts *counts() { return machine_counts(m); }
    event make(event_kind kind) {
        event e = {};
        e.kind = kind;
        e.index = next_index++;
        return e;
    }
    const machine_result *step(const event &e) { return machine_step(m, &e); }
    const machine_result *access(event_access type, va_t va, uint32_t size, bool has_value = false, uint64_t value = 0,
                                 event_mode mode = EVENT_USER) {
        event e = make(EV_ACCESS);
        e.access.va = va;
        e.access.size = size;
        e.access.access = type;
        e.access.mode = mode;
        e.access.has_value = has_value;
        e.access.value = value;
        return step(e);
    }
    const machine_result *run(event_access type, vpn_t vpn, uint64_t count, event_mode mode = EVENT_USER) {
        event e = make(EV_RUN);
        e.run.vpn = vpn;
        e.run.count = count;
        e.run.access = type;
        e.run.mode = mode;
        return step(e);
    }
    const machine_result *simple(event_kind kind) { return step(make(kind)); }
    void thread(uint32_t tid, uint32_t pid) {
        event e = make(EV_THREAD_CREATE);
        e.thread.tid = tid;
        e.thread.pid = pid;
        step(e);
    }
    void switch_to(uint32_t tid) {
        event e = make(EV_SWITCH);
        e.sw.tid = tid;
        step(e);
    }
    std::vector<log_record> records(log_kind kind) {
        std::vector<log_record> out;
        for (auto &r : log) {
            if (r.kind == kind) { out.push_back(r); }
        }
        return out;
    }
    uint32_t memory32(va_t va) {
        auto p = table_walk(machine_memory(m), fake_directory(nullptr, os()->pid), CR4_PSE, va);
        EXPECT_TRUE(p.present);
        return physmem_read32(machine_memory(m), p.pa);
    }
};

// ---- memory ----

TEST(Physmem, OutsideRamReadsOnesAndLosesStores) {
    physmem mem;
    ASSERT_EQ(physmem_init(&mem, 4 << 20), 0);
    physmem_write32(&mem, (4 << 20) - 4, 0xAABBCCDD);
    EXPECT_EQ(physmem_read32(&mem, (4 << 20) - 4), 0xAABBCCDDu);
    physmem_write32(&mem, 4 << 20, 1);
    EXPECT_EQ(physmem_read32(&mem, 4 << 20), 0xFFFFFFFFu);
    EXPECT_EQ(physmem_read32(&mem, 0), 0u);
    physmem_fini(&mem);
}

TEST(Physmem, TakesMultiplesOf4MBUpTo4GB) {
    physmem mem;
    EXPECT_EQ(physmem_init(&mem, 0), -1);
    EXPECT_EQ(physmem_init(&mem, 4096), -1);
    EXPECT_EQ(physmem_init(&mem, (pa_t)5 << 30), -1);
    ASSERT_EQ(physmem_init(&mem, (pa_t)4 << 30), 0);
    physmem_fini(&mem);
}

TEST(TableWalk, FollowsSmallAndLargePages) {
    physmem mem;
    ASSERT_EQ(physmem_init(&mem, 4 << 20), 0);
    physmem_write32(&mem, 0x1000 + 1 * 4, 0x00002067); // table at 2000, P W U A D
    physmem_write32(&mem, 0x2000 + 5 * 4, 0x00345165); // P U A D G, read-only
    physmem_write32(&mem, 0x1000 + 2 * 4, 0x00C021E3); // large, PSE-36 bit 13 = pa bit 32, G
    auto p = table_walk(&mem, 0x1000, CR4_PSE, 0x00405678);
    EXPECT_TRUE(p.present && p.user && p.dirty && p.global && !p.writable);
    EXPECT_EQ(p.pa, 0x345678u);
    EXPECT_EQ(p.page_shift, 12);
    EXPECT_EQ(p.pte_pa, 0x2014u);
    p = table_walk(&mem, 0x1000, CR4_PSE, 0x00812345);
    EXPECT_TRUE(p.present && p.writable && !p.user);
    EXPECT_EQ(p.pa, 0x100C12345u);
    EXPECT_EQ(p.page_shift, 22);
    p = table_walk(&mem, 0x1000, CR4_PSE, 0x00C00000);
    EXPECT_FALSE(p.present);
    EXPECT_EQ(p.pde_pa, 0x100Cu);
    EXPECT_EQ(p.pte_pa, 0u);
    physmem_fini(&mem);
}

TEST(TableWalk, FollowsPae) {
    physmem mem;
    ASSERT_EQ(physmem_init(&mem, 4 << 20), 0);
    auto store = [&](pa_t pa, uint64_t entry) { physmem_write(&mem, pa, &entry, 8); };
    store(0x1020 + 1 * 8, 0x2001);             // PDPTE 1: 40000000..7FFFFFFF
    store(0x2000 + 2 * 8, 0x3067);             // table of 40400000
    store(0x3000 + 5 * 8, 0x8000000123456165); // NX, frame above 4 GB, G D A U, read-only
    store(0x2000 + 3 * 8, 0x0000000800C001E3); // 2 MB page, G
    auto p = table_walk(&mem, 0x1020, CR4_PAE, 0x40405678);
    EXPECT_TRUE(p.present && p.user && p.dirty && p.global && !p.writable);
    EXPECT_EQ(p.pa, 0x123456678u);
    EXPECT_EQ(p.page_shift, 12);
    EXPECT_EQ(p.pde_pa, 0x2010u);
    EXPECT_EQ(p.pte_pa, 0x3028u);
    p = table_walk(&mem, 0x1020, CR4_PAE, 0x40712345);
    EXPECT_TRUE(p.present && p.writable && !p.user);
    EXPECT_EQ(p.pa, 0x800D12345u);
    EXPECT_EQ(p.page_shift, 21);
    EXPECT_FALSE(table_walk(&mem, 0x1020, CR4_PAE, 0x00405678).present); // PDPTE 0
    physmem_fini(&mem);
}

// ---- exact accesses ----

TEST_F(Machine, SplitsAtPagesLowerFirst) {
    start();
    access(EVENT_STORE, 0x10FFE, 4, true, 0x44332211);
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 2u);
    EXPECT_EQ(a[0].a, 0x10FFEu);
    EXPECT_EQ(a[0].c, 0x2211u);
    EXPECT_EQ(a[0].e >> 8 & 0xFF, 2u);
    EXPECT_EQ(a[1].a, 0x11000u);
    EXPECT_EQ(a[1].c, 0x4433u);
    EXPECT_EQ(counts()->touches, 2u);
    EXPECT_EQ(counts()->accesses, 1u);
    EXPECT_EQ(counts()->stores, 1u);
    EXPECT_EQ(counts()->dtlb_miss, 2u);
    EXPECT_EQ(counts()->page_faults, 2u);
    access(EVENT_LOAD, 0x10FFE, 4);
    EXPECT_EQ(machine_last(m)->data, 0x4433u);
    EXPECT_EQ(counts()->dtlb_hit, 2u);
}

TEST_F(Machine, OneTouchAPageWhateverTheSize) {
    start();
    access(EVENT_LOAD, 0x20010, 0x3000);
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 4u);
    va_t expected[] = {0x20010, 0x21000, 0x22000, 0x23000};
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(a[i].a, expected[i]);
        EXPECT_EQ(a[i].e >> 8 & 0xFF, 4u);
    }
    EXPECT_EQ(counts()->accesses, 1u);
    EXPECT_EQ(counts()->touches, 4u);
}

TEST_F(Machine, WrapsAroundAtTheTop) {
    start();
    access(EVENT_LOAD, 0xFFFFFFFE, 4, false, 0, EVENT_KERNEL);
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 2u);
    EXPECT_EQ(a[1].a, 0u);
    EXPECT_EQ(counts()->kernel_touches, 2u);
    EXPECT_EQ(counts()->accesses, 0u);
}

TEST_F(Machine, StoresWhatItsIndexSays) {
    start();
    next_index = 41;
    access(EVENT_STORE, 0x30000, 8);
    EXPECT_EQ(memory32(0x30000), machine_store_value(41, 0));
    access(EVENT_STORE, 0x30002, 1);
    EXPECT_EQ(memory32(0x30000), (machine_store_value(41, 0) & 0xFF00FFFF) | (machine_store_value(42, 0) & 0xFF) << 16);
}

TEST_F(Machine, ModifyIsOneRequestThatLoadsThenStores) {
    start();
    access(EVENT_STORE, 0x30000, 4, true, 5);
    log.clear();
    access(EVENT_MODIFY, 0x30000, 4, true, 6);
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 1u);
    EXPECT_EQ(a[0].c, 5u);
    EXPECT_EQ(a[0].e & 0xF, (uint64_t)MMU_MODIFY);
    EXPECT_EQ(memory32(0x30000), 6u);
    EXPECT_EQ(counts()->stores, 2u);
}

TEST_F(Machine, FetchesUseTheInstructionSide) {
    start();
    access(EVENT_FETCH, 0x40000, 3);
    access(EVENT_FETCH, 0x40003, 3);
    EXPECT_EQ(counts()->itlb_miss, 1u);
    EXPECT_EQ(counts()->itlb_hit, 1u);
    EXPECT_EQ(counts()->fetches, 2u);
    EXPECT_EQ(counts()->dtlb_miss, 0u);
}

// ---- run level ----

TEST_F(Machine, RunAccessesOneWordAndCountsTheRestAsHits) {
    start();
    uint64_t before = machine_cycles(m);
    run(EVENT_STORE, 0x50, 10);
    uint64_t first = machine_cycles(m) - before;
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 1u);
    EXPECT_EQ(a[0].a, 0x50000u + machine_run_offset(0));
    EXPECT_EQ(counts()->accesses, 10u);
    EXPECT_EQ(counts()->run_hits, 9u);
    EXPECT_EQ(counts()->dtlb_miss, 1u);
    EXPECT_EQ(counts()->dtlb_hit, 9u);
    before = machine_cycles(m);
    run(EVENT_STORE, 0x50, 10); // a hit on a dirty page: one cycle each
    EXPECT_EQ(machine_cycles(m) - before, 10u);
    EXPECT_GT(first, 10u);
}

TEST_F(Machine, RunLoadsLookAtTheLastStoredWordsOrAnywhere) {
    start();
    run(EVENT_LOAD, 0x50, 1);
    run(EVENT_STORE, 0x50, 1);
    run(EVENT_STORE, 0x50, 1);
    uint64_t first = next_index;
    for (int i = 0; i < 64; i++) { run(EVENT_LOAD, 0x50, 1); }
    run(EVENT_FETCH, 0x50, 1);
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 68u);
    EXPECT_EQ(a[0].a & 0xFFF, machine_run_offset(0));
    unsigned seen[3] = {};
    for (unsigned i = 0; i < 64; i++) {
        run_choice choice = machine_run_choice(first + i);
        seen[choice]++;
        uint64_t expected = choice == RUN_LAST     ? a[2].a & 0xFFF
                            : choice == RUN_BEFORE ? a[1].a & 0xFFF
                                                   : machine_run_offset(first + i);
        EXPECT_EQ(a[3 + i].a & 0xFFF, expected);
        if (choice == RUN_LAST) { EXPECT_EQ(a[3 + i].c, machine_store_value(first - 1, 0)); }
        if (choice == RUN_BEFORE) { EXPECT_EQ(a[3 + i].c, machine_store_value(first - 2, 0)); }
    }
    EXPECT_GT(seen[RUN_LAST], seen[RUN_BEFORE]);
    EXPECT_GT(seen[RUN_BEFORE], 0u);
    EXPECT_GT(seen[RUN_ANYWHERE], 0u);
    EXPECT_EQ(a[67].a & 0xFFF, machine_run_offset(first + 64));
}

TEST_F(Machine, RunOffsetsAreInheritedByForkAndForgottenByExec) {
    start();
    thread(1, 1);
    switch_to(1);
    run(EVENT_STORE, 0x50, 1);
    va_t stored = records(LOG_ACCESS)[0].a;
    event fork = make(EV_FORK);
    fork.fork = {2, 1, 2};
    step(fork);
    thread(2, 2);
    switch_to(2);
    while (machine_run_choice(next_index) != RUN_LAST) { next_index++; }
    run(EVENT_LOAD, 0x50, 1);
    EXPECT_EQ(records(LOG_ACCESS)[1].a, stored);
    event exec = make(EV_EXEC);
    exec.proc.pid = 2;
    step(exec);
    uint64_t index = next_index;
    run(EVENT_LOAD, 0x50, 1);
    EXPECT_EQ(records(LOG_ACCESS)[2].a & 0xFFF, machine_run_offset(index));
}

TEST_F(Machine, KernelTouchesAreCountedApart) {
    start();
    run(EVENT_STORE, 0x50, 3, EVENT_KERNEL);
    EXPECT_EQ(counts()->kernel_touches, 3u);
    EXPECT_EQ(counts()->touches, 3u);
    EXPECT_EQ(counts()->accesses, 0u);
    EXPECT_EQ(records(LOG_ACCESS)[0].e >> 4 & 0xF, (uint64_t)MMU_SUPERVISOR);
}

// ---- faults ----

TEST_F(Machine, ARetryIsNoSecondLookup) {
    start();
    auto *r = access(EVENT_LOAD, 0x70000, 4);
    EXPECT_EQ(r->callbacks, 1u);
    ASSERT_EQ(r->status_count, 1u);
    EXPECT_EQ(r->status[0], (ntstatus_t)STATUS_PAGE_FAULT_DEMAND_ZERO);
    EXPECT_EQ(r->first_hit, MMU_HIT_WALK);
    EXPECT_EQ(counts()->dtlb_miss, 1u);
    EXPECT_EQ(counts()->dtlb_hit, 0u);
    EXPECT_EQ(counts()->resolved[FAULT_DEMAND_ZERO], 1u);
    auto f = records(LOG_FAULT);
    ASSERT_EQ(f.size(), 1u);
    EXPECT_EQ(f[0].a, 0x70000u);
    EXPECT_EQ(f[0].b, (uint64_t)PF_USER);
    EXPECT_EQ(f[0].cause, LOG_TRACE);
    EXPECT_EQ(records(LOG_RESOLVED)[0].cause, LOG_TRACE);
}

TEST_F(Machine, ExceptionsEndTheEvent) {
    start();
    auto *r = access(EVENT_STORE, kException - 2, 4);
    EXPECT_TRUE(r->exception);
    EXPECT_EQ(r->exception_code, (uint32_t)STATUS_ACCESS_VIOLATION);
    EXPECT_EQ(r->exception_p[1], kException);
    EXPECT_EQ(records(LOG_ACCESS).size(), 1u);
    ASSERT_EQ(records(LOG_EXCEPTION).size(), 1u);
    EXPECT_FALSE(access(EVENT_LOAD, 0x70000, 4)->exception);
    EXPECT_EQ(counts()->exceptions, 1u);
}

TEST_F(Machine, SixteenFaultsAreEnough) {
    start();
    auto *r = access(EVENT_LOAD, kLivelock, 4);
    EXPECT_TRUE(r->livelock);
    EXPECT_EQ(r->callbacks, 16u);
    EXPECT_FALSE(access(EVENT_LOAD, 0x70000, 4)->livelock);
}

TEST_F(Machine, BugcheckFreezes) {
    start();
    auto *r = access(EVENT_LOAD, kBugcheck + 8, 4);
    EXPECT_EQ(r->stop, MACHINE_BUGCHECK);
    EXPECT_EQ(r->bugcheck_code, 0x50u);
    EXPECT_EQ(r->bugcheck_p[0], kBugcheck + 8);
    EXPECT_EQ(r->bugcheck_p[3], 4u);
    EXPECT_EQ(records(LOG_BUGCHECK).size(), 1u);
    uint64_t events = counts()->events;
    EXPECT_EQ(access(EVENT_LOAD, 0x70000, 4)->stop, MACHINE_BUGCHECK);
    EXPECT_EQ(counts()->events, events);
}

TEST_F(Machine, PanicSaysWhy) {
    start();
    auto *r = access(EVENT_LOAD, kPanic, 4);
    EXPECT_EQ(r->stop, MACHINE_PANIC);
    EXPECT_STREQ(r->message, "not in this version");
}

// ---- the kernel's own accesses ----

TEST_F(Machine, KernelAccessesCrossPagesAndFaultNested) {
    start();
    EXPECT_EQ(simple(EV_ALLOC)->service_status, (ntstatus_t)STATUS_SUCCESS);
    EXPECT_GT(counts()->kernel_accesses, 6u);
    EXPECT_EQ(counts()->dtlb_miss + counts()->dtlb_hit + counts()->page_faults, 0u);
    for (auto &r : records(LOG_FAULT)) {
        EXPECT_EQ(r.cause, LOG_KERNEL);
        EXPECT_EQ(r.b & PF_USER, 0u);
    }
    EXPECT_EQ(records(LOG_FAULT).size(), 4u);
}

TEST_F(Machine, NestedFaultsAreTheKernels) {
    start();
    auto *r = access(EVENT_STORE, kNested, 4);
    EXPECT_EQ(r->callbacks, 1u);
    auto resolved = records(LOG_RESOLVED);
    ASSERT_EQ(resolved.size(), 2u);
    EXPECT_EQ(resolved[0].a, kMapped + 0x5000);
    EXPECT_EQ(resolved[0].cause, LOG_KERNEL);
    EXPECT_EQ(resolved[1].a, kNested);
    EXPECT_EQ(resolved[1].cause, LOG_TRACE);
    EXPECT_EQ(counts()->resolved[FAULT_DEMAND_ZERO], 1u);
}

TEST_F(Machine, DirectKernelLeavesTheMmuAlone) {
    direct = true;
    start();
    uint64_t cycles = machine_cycles(m);
    EXPECT_EQ(simple(EV_ALLOC)->service_status, (ntstatus_t)STATUS_SUCCESS);
    EXPECT_EQ(machine_cycles(m), cycles);
    EXPECT_EQ(counts()->kernel_accesses, 0u);
    auto p = table_walk(machine_memory(m), kDirectoryOf0, CR4_PSE, kMapped);
    EXPECT_TRUE(p.present);
    EXPECT_FALSE(p.dirty);
}

TEST_F(Machine, ReferenceCountingIsDirect) {
    reference = true;
    start();
    simple(EV_ALLOC);
    EXPECT_EQ(counts()->kernel_accesses, 0u);
}

TEST_F(Machine, DiskBringsTheFilesBytesAndZeroes) {
    start();
    simple(EV_MAP);
    const uint8_t *page = machine_memory(m)->bytes + 0x300000;
    for (unsigned i = 0; i < 0x800; i += 4) {
        uint32_t word;
        memcpy(&word, page + i, 4);
        ASSERT_EQ(word, file_word(77, 0x3000 + i));
    }
    uint32_t last = file_word(77, 0x3800);
    EXPECT_EQ(memcmp(page + 0x800, &last, 2), 0);
    for (unsigned i = 0x802; i < PAGE_SIZE; i++) { ASSERT_EQ(page[i], 0); }
    EXPECT_EQ(os()->disk_status, (ntstatus_t)STATUS_SUCCESS);
    EXPECT_EQ(records(LOG_IO).size(), 2u);
    EXPECT_EQ(counts()->file_reads, 1u);
}

// ---- services and TLB operations ----

TEST_F(Machine, Cr3LoadsOfSwitchesAreCountedApart) {
    start();
    thread(1, 1);
    thread(2, 1);
    switch_to(1);
    switch_to(2); // the same process: no load
    simple(EV_FLUSH);
    EXPECT_EQ(counts()->cr3_switch, 1u);
    EXPECT_EQ(counts()->cr3_other, 1u);
    EXPECT_EQ(counts()->invlpg, 1u);
    EXPECT_EQ(counts()->flush_all, 1u);
    auto t = records(LOG_TLB);
    ASSERT_EQ(t.size(), 4u);
    EXPECT_EQ(t[0].a, (uint64_t)LOG_CR3_SWITCH);
    EXPECT_EQ(t[0].b, kDirectoryOf0 + 0x1000);
    EXPECT_EQ(t[1].a, (uint64_t)LOG_CR3_OTHER);
    EXPECT_EQ(t[2].a, (uint64_t)LOG_INVLPG);
    EXPECT_EQ(t[2].b, 0x5000u);
    EXPECT_EQ(t[3].a, (uint64_t)LOG_FLUSH_ALL);
}

TEST_F(Machine, ServiceStatusIsHandedOut) {
    start();
    EXPECT_EQ(simple(EV_FREE)->service_status, (ntstatus_t)STATUS_MEMORY_NOT_ALLOCATED);
    auto s = records(LOG_STATUS);
    ASSERT_EQ(s.size(), 1u);
    EXPECT_EQ(s[0].a, (uint32_t)STATUS_MEMORY_NOT_ALLOCATED);
    EXPECT_EQ(s[0].cause, LOG_TRACE);
}

TEST_F(Machine, CpuStateEvents) {
    start();
    event e = make(EV_IRQL);
    e.irql.level = 2;
    step(e);
    EXPECT_EQ(os()->m->ops->irql(os()->m), 2u);
    EXPECT_TRUE(os()->m->ops->interrupts_enabled(os()->m));
    step(make(EV_INTERRUPTS));
    EXPECT_FALSE(os()->m->ops->interrupts_enabled(os()->m));
    event poke = make(EV_POKE);
    poke.poke = {0x200000, 0x11223344};
    step(poke);
    EXPECT_EQ(physmem_read32(machine_memory(m), 0x200000), 0x11223344u);
    EXPECT_EQ(os()->ticks, 3u);
}

TEST_F(Machine, BootIsNotCounted) {
    start();
    mmu_statistics s;
    machine_statistics(m, &s);
    EXPECT_EQ(s.cycles, 0u);
    EXPECT_EQ(s.cr3_writes, 0u);
    EXPECT_EQ(counts()->cr3_other, 0u);
    uint64_t booted = machine_cycles(m);
    access(EVENT_LOAD, 0x1000, 4);
    machine_statistics(m, &s);
    EXPECT_EQ(s.cycles, machine_cycles(m) - booted);
    EXPECT_GT(s.walks, 0u);
}

// ---- waiting threads ----

TEST_F(Machine, AWaitingThreadKeepsItsEventsWhileOthersGoOn) {
    start();
    thread(1, 1);
    thread(2, 2);
    switch_to(1);
    uint64_t first = next_index;
    EXPECT_TRUE(access(EVENT_LOAD, kBlock, 4)->blocked);  // first
    EXPECT_TRUE(access(EVENT_STORE, 0x1000, 4)->blocked); // first + 1
    switch_to(2);
    EXPECT_FALSE(access(EVENT_STORE, 0x1000, 4)->blocked); // first + 3
    switch_to(1);                                          // only queues
    EXPECT_EQ(os()->tid, 2u);
    EXPECT_TRUE(access(EVENT_LOAD, 0x1000, 4)->blocked); // first + 5
    ASSERT_EQ(records(LOG_BLOCK).size(), 1u);
    simple(EV_RUN_THREAD); // wakes it
    EXPECT_EQ(os()->tid, 1u);
    auto a = records(LOG_ACCESS);
    ASSERT_EQ(a.size(), 4u);
    uint64_t order[] = {first + 3, first, first + 1, first + 5};
    for (int i = 0; i < 4; i++) { EXPECT_EQ(a[i].event, order[i]); }
    EXPECT_EQ(a[0].pid, 2u);
    EXPECT_EQ(a[1].pid, 1u);
    EXPECT_EQ(a[3].c, machine_store_value(first + 1, 0));
    EXPECT_EQ(machine_finish(m), 0u);
    EXPECT_EQ(counts()->dtlb_miss, 3u);
    EXPECT_EQ(counts()->dtlb_hit, 1u);
}

TEST_F(Machine, MemoryEventsAreBarriersForTheirProcess) {
    start();
    thread(1, 1);
    thread(2, 1);
    thread(3, 2);
    switch_to(1);
    access(EVENT_LOAD, kBlock, 4);
    switch_to(2);
    EXPECT_FALSE(access(EVENT_LOAD, 0x1000, 4)->blocked); // an access of another thread need not wait
    EXPECT_TRUE(simple(EV_FREE)->blocked);                // a service of the same process must
    EXPECT_TRUE(access(EVENT_LOAD, 0x2000, 4)->blocked);
    switch_to(3);
    EXPECT_FALSE(simple(EV_ALLOC)->blocked); // another process is free
    auto *r = simple(EV_RUN_THREAD);
    EXPECT_EQ(r->late_failures, 1u); // the held EV_FREE failed
    EXPECT_EQ(r->late_status, (uint32_t)STATUS_MEMORY_NOT_ALLOCATED);
    EXPECT_EQ(os()->tid, 3u); // back where the trace is
    EXPECT_EQ(machine_finish(m), 0u);
    EXPECT_EQ(records(LOG_ACCESS).back().a, 0x2000u);
}

TEST_F(Machine, WithNobodyToWakeThemEventsStayHeld) {
    start();
    thread(1, 1);
    switch_to(1);
    access(EVENT_LOAD, kBlock, 4);
    access(EVENT_LOAD, 0x1000, 4);
    EXPECT_EQ(machine_finish(m), 2u);
}

TEST_F(Machine, TheEndMayComeSomeStepsAtATime) {
    start();
    thread(1, 1);
    switch_to(1);
    access(EVENT_LOAD, kBlock, 4);
    unsigned calls = 0;
    while (machine_finish_some(m, 1000)) { calls++; }
    EXPECT_EQ(calls, 4u); // of the 4000 quiet steps
    EXPECT_EQ(machine_held(m), 1u);
}

TEST_F(Machine, TooManyHeldEventsStopIt) {
    for (bool manual : {false, true}) {
        manual_threads = manual;
        machine_destroy(m);
        start(LOG_BIT(LOG_BLOCK));
        thread(1, 1);
        switch_to(1);
        const machine_result *r = access(EVENT_LOAD, kBlock, 4);
        unsigned held = 1;
        for (; held < 100000 && r->stop == MACHINE_RUNS; held++) { r = access(EVENT_LOAD, 0x1000, 4); }
        EXPECT_EQ(held, 65536u);
        EXPECT_EQ(r->stop, MACHINE_PANIC);
        EXPECT_STREQ(r->message, "65536 events are held back behind waiting threads, and nothing wakes them");
    }
}

// !unhandled end: the end of the process that an exception brings waits like any service.
TEST_F(Machine, TheEndOfAProcessThatDiesMayWait) {
    ends_unhandled = true;
    start();
    thread(1, 1);
    thread(2, 2);
    switch_to(1);
    os()->exit_waits = true;
    EXPECT_TRUE(access(EVENT_LOAD, kException, 4)->blocked);
    EXPECT_EQ(os()->exits, "begins");
    switch_to(2);
    EXPECT_FALSE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    simple(EV_RUN_THREAD);
    EXPECT_EQ(os()->exits, "begins ends");
    EXPECT_EQ(machine_finish(m), 0u);
}

TEST_F(Machine, AServiceWaitsAndReportsLate) {
    start();
    thread(1, 1);
    thread(2, 2);
    switch_to(1);
    {
        event e = make(EV_LOCK);
        e.range.base = 0x7000;
        EXPECT_TRUE(step(e)->blocked);
        memset(static_cast<void *>(&e), 0xEE, sizeof e); // the trace's buffer is used again
    }
    EXPECT_EQ(records(LOG_STATUS).size(), 3u);
    EXPECT_TRUE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    switch_to(2);
    EXPECT_FALSE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    simple(EV_RUN_THREAD);
    bool found = false;
    for (auto &r : records(LOG_STATUS)) {
        if (r.a == (uint64_t)STATUS_WAS_LOCKED) {
            found = true;
            EXPECT_EQ(r.b, 0x7000u);
            EXPECT_EQ(r.pid, 1u);
        }
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(machine_finish(m), 0u);
    EXPECT_EQ(os()->tid, 2u);
}

TEST_F(Machine, AFaultOfTheKernelsOwnAccessWaitsWithinTheCall) {
    start();
    thread(1, 1);
    thread(2, 2);
    switch_to(1);
    EXPECT_TRUE(access(EVENT_LOAD, kNestedBlock, 4)->blocked);
    EXPECT_EQ(machine_irql(m), 0u); // the waiting thread's level is its own
    switch_to(2);
    event e = make(EV_IRQL);
    e.irql.level = 2;
    step(e);
    simple(EV_RUN_THREAD);
    EXPECT_EQ(os()->irql_seen, 1u);
    EXPECT_EQ(machine_irql(m), 2u); // and this one is of who runs now
    EXPECT_EQ(machine_finish(m), 0u);
    EXPECT_EQ(records(LOG_ACCESS).back().a, kNestedBlock);
    for (auto &r : records(LOG_KERNEL_ACCESS)) { EXPECT_EQ(r.cause, LOG_KERNEL); }
    EXPECT_EQ(counts()->page_faults, 1u);
}

TEST_F(Machine, ManyThreadsWaitAtOnceAndStacksAreUsedAgain) {
    start();
    for (uint32_t i = 1; i <= 3; i++) { thread(i, i); }
    for (unsigned round = 0; round < 3; round++) {
        os()->block = true;
        for (uint32_t i = 1; i <= 3; i++) {
            switch_to(i);
            EXPECT_TRUE(simple(EV_LOCK)->blocked);
        }
        simple(EV_RUN_THREAD);
        EXPECT_EQ(machine_finish(m), 0u);
    }
    unsigned locked = 0;
    for (auto &r : records(LOG_STATUS)) { locked += r.a == (uint64_t)STATUS_WAS_LOCKED; }
    EXPECT_EQ(locked, 9u);
}

TEST_F(Machine, BugcheckInsideACallThatWaited) {
    start();
    thread(1, 1);
    switch_to(1);
    EXPECT_TRUE(access(EVENT_LOAD, kBlockThenBugcheck, 4)->blocked);
    auto *r = simple(EV_RUN_THREAD);
    EXPECT_EQ(r->stop, MACHINE_BUGCHECK);
    EXPECT_EQ(r->bugcheck_code, 0x1Au);
    EXPECT_EQ(r->bugcheck_p[0], kBlockThenBugcheck);
    EXPECT_EQ(simple(EV_RUN_THREAD)->stop, MACHINE_BUGCHECK); // frozen
}

TEST_F(Machine, TwoMachinesWaitIndependently) {
    start();
    machine *first = m;
    start();
    machine *second = m;
    for (machine *each : {first, second}) {
        m = each;
        thread(1, 1);
        switch_to(1);
        EXPECT_TRUE(simple(EV_LOCK)->blocked);
    }
    m = first;
    simple(EV_RUN_THREAD);
    EXPECT_EQ(machine_finish(first), 0u);
    EXPECT_EQ(machine_finish(second), 1u);
    machine_destroy(first);
    m = second;
    simple(EV_RUN_THREAD);
    EXPECT_EQ(machine_finish(second), 0u);
}

TEST_F(Machine, SystemThreadsWaitWithoutHoldingUpTheTrace) {
    start();
    thread(1, 1);
    switch_to(1);
    event e = make(EV_RUN_THREAD);
    strcpy(e.text, "wait");
    EXPECT_FALSE(step(e)->blocked); // it ran to its wait
    EXPECT_FALSE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    EXPECT_EQ(os()->threads_done, 0u);
    simple(EV_RUN_THREAD);
    EXPECT_EQ(os()->threads_done, 1u);
    EXPECT_EQ(os()->tid, 1u);

    os()->tick_waits = true;
    unsigned ticks = os()->ticks;
    access(EVENT_LOAD, 0x1000, 4);
    access(EVENT_LOAD, 0x1000, 4);
    EXPECT_EQ(os()->ticks,
              ticks + 2); // called again while it waits: which of its threads wait is the kernel's business
    EXPECT_EQ(os()->ticks_done, ticks);
    os()->tick_waits = false;
    os()->thread_waits = true;
    simple(EV_RUN_THREAD); // signals
    access(EVENT_LOAD, 0x1000, 4);
    EXPECT_EQ(os()->ticks, os()->ticks_done);
    EXPECT_EQ(os()->ticks, ticks + 4);
}

// ---- the disk ----

class Disk : public Machine {
  protected:
    ntstatus_t call(std::vector<uint64_t> args) {
        event e = make(EV_CALL);
        e.args.count = unsigned(args.size());
        std::copy(args.begin(), args.end(), e.args.arg);
        auto *r = step(e);
        last_blocked = r->blocked;
        return r->service_status;
    }
    void manual(bool on) {
        event e = make(EV_IO_MODE);
        e.io.manual = on;
        step(e);
    }
    ntstatus_t iodone(uint64_t id, uint32_t status = 0) {
        event e = make(EV_IO_DONE);
        e.reply.id = id;
        e.reply.status = status;
        return step(e)->service_status;
    }
    void inject(os_injection what, uint32_t count) {
        event e = make(EV_INJECT);
        e.inject.what = what;
        e.inject.count = count;
        step(e);
    }
    uint32_t word(pfn_t frame, unsigned offset = 0) {
        return physmem_read32(machine_memory(m), (frame << PAGE_SHIFT) + offset);
    }
    void set(pfn_t frame, uint32_t value) { physmem_write32(machine_memory(m), frame << PAGE_SHIFT, value); }
    bool last_blocked = false;
};

constexpr uint64_t kWrite = 1, kRead = 0, kFile = 77;

TEST_F(Disk, PagingFilesKeepWhatWasWritten) {
    start();
    EXPECT_EQ(call({CALL_CREATE, 3, 1 << 20}), 0u);
    set(0x300, 11);
    set(0x301, 22);
    EXPECT_EQ(call({CALL_START, kWrite, os_paging_file(3), 0x5000, 0x300, 2, 0}), 1u);
    set(0x300, 99); // a write has taken its data
    EXPECT_TRUE(os()->completed.empty());
    call({CALL_POLL, 0});
    EXPECT_TRUE(os()->completed.empty());
    call({CALL_POLL, 1});
    ASSERT_EQ(os()->completed.size(), 1u);
    EXPECT_EQ(call({CALL_TRANSFER, kRead, os_paging_file(3), 0x5000, 0x310, 2, 0x2000}), 0u);
    EXPECT_FALSE(last_blocked);
    EXPECT_EQ(word(0x310), 11u);
    EXPECT_EQ(word(0x311), 22u);
    EXPECT_EQ(counts()->pagefile_writes, 2u);
    EXPECT_EQ(counts()->pagefile_reads, 2u);
    EXPECT_EQ(counts()->pagefile_read_transfers, 1u);
    auto io = records(LOG_IO);
    ASSERT_EQ(io.size(), 4u);
    uint64_t kinds[] = {LOG_WRITE_START, LOG_WRITE_DONE, LOG_READ_START, LOG_READ_DONE};
    for (int i = 0; i < 4; i++) {
        EXPECT_EQ(io[i].a, kinds[i]);
        EXPECT_EQ(io[i].b, os_paging_file(3));
        EXPECT_EQ(io[i].d, 2u);
    }
    EXPECT_EQ(call({CALL_CREATE, 3, 2 << 20}), 0u); // larger
    call({CALL_TRANSFER, kRead, os_paging_file(3), 0x5000, 0x312, 1, 0x1000});
    EXPECT_EQ(word(0x312), 11u);
}

TEST_F(Disk, WritesToDataFilesOverlayWhatTheyAre) {
    start();
    set(0x300, 5);
    call({CALL_START, kWrite, kFile, 0x1000, 0x300, 1, 0});
    EXPECT_EQ(call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 3, 0x2800}), 0u); // overtakes the write, and finds it
    EXPECT_EQ(word(0x310), file_word(kFile, 0));
    EXPECT_EQ(word(0x311), 5u);
    EXPECT_EQ(word(0x312), file_word(kFile, 0x2000));
    EXPECT_EQ(word(0x312, 0x7FC), file_word(kFile, 0x27FC));
    EXPECT_EQ(word(0x312, 0x800), 0u); // behind the file's end
    EXPECT_EQ(os()->completed[0].first, 1u);
}

TEST_F(Disk, ManualTransfersEndWhenTheyAreTold) {
    start();
    thread(1, 1);
    switch_to(1);
    manual(true);
    call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 1, 0x1000});
    EXPECT_TRUE(last_blocked);
    call({CALL_POLL, 1}); // held behind the wait
    EXPECT_EQ(iodone(7), (ntstatus_t)STATUS_INVALID_PARAMETER);
    EXPECT_EQ(word(0x310), 0u);
    EXPECT_EQ(iodone(1), 0u);
    EXPECT_EQ(word(0x310), file_word(kFile, 0));
    EXPECT_EQ(machine_finish(m), 0u);
    call({CALL_TRANSFER, kRead, kFile, 0x1000, 0x310, 1, 0x1000});
    iodone(2, STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(word(0x310), file_word(kFile, 0)); // nothing was delivered
    EXPECT_EQ(os()->completed.back().second, (ntstatus_t)STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(records(LOG_STATUS).back().a, (uint64_t)STATUS_IO_DEVICE_ERROR);
}

TEST_F(Disk, InjectedFaultsComeWhenTheyAreArmed) {
    start();
    inject(OS_INJECT_READ_ERROR, 2);
    EXPECT_EQ(call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 1, 0x1000}), (ntstatus_t)STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 1, 0x1000}), (ntstatus_t)STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 1, 0x1000}), 0u);
    inject(OS_INJECT_WRITE_ERROR, 1);
    EXPECT_EQ(call({CALL_TRANSFER, kWrite, kFile, 0, 0x310, 1, 0}), (ntstatus_t)STATUS_IO_DEVICE_ERROR);
    EXPECT_EQ(call({CALL_INJECT, OS_INJECT_PARITY}), 0u);
    inject(OS_INJECT_PARITY, 1);
    EXPECT_EQ(call({CALL_INJECT, OS_INJECT_PARITY}), 1u);
    EXPECT_EQ(call({CALL_INJECT, OS_INJECT_PARITY}), 0u);
    EXPECT_EQ(counts()->injected[OS_INJECT_READ_ERROR], 2u);
}

TEST_F(Disk, TransfersTakeStepsAndOthersGoOn) {
    model.kind = DISK_FIXED;
    model.fixed = 3;
    start();
    thread(1, 1);
    thread(2, 2);
    switch_to(1);
    call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 1, 0x1000});
    EXPECT_TRUE(last_blocked); // another thread could run
    switch_to(2);
    EXPECT_EQ(word(0x310), 0u);
    EXPECT_FALSE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    EXPECT_EQ(word(0x310), 0u);
    access(EVENT_LOAD, 0x1000, 4);
    EXPECT_EQ(word(0x310), file_word(kFile, 0));
    EXPECT_EQ(counts()->disk_steps, 3u);
    call({CALL_POLL, 1}); // ends nothing
    EXPECT_EQ(machine_finish(m), 0u);
}

TEST_F(Disk, WhenEveryThreadWaitsTimeGoesByAlone) {
    model.kind = DISK_SEEK;
    model.seek = 10;
    model.transfer = 2;
    start();
    thread(1, 1);
    thread(2, 1);
    event e = make(EV_THREAD_EXIT);
    e.thread.tid = 2;
    step(e);
    switch_to(1);
    call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 2, 0x2000});
    EXPECT_EQ(word(0x311), file_word(kFile, 0x1000));
    EXPECT_EQ(counts()->disk_steps, 14u); // a seek and two pages
    call({CALL_TRANSFER, kRead, kFile, 0x2000, 0x312, 1, 0x1000});
    EXPECT_EQ(counts()->disk_steps, 16u); // it follows the last one
    call({CALL_TRANSFER, kRead, kFile, 0, 0x312, 1, 0x1000});
    EXPECT_EQ(counts()->disk_steps, 28u);
    EXPECT_EQ(machine_finish(m), 0u);
}

// A kernel writes again and again what fails: who waits is given up as if the disk did nothing. But not while writes do go well, one
// takes its time, or only so many are to fail.
TEST_F(Disk, WritesThatFailBringNobodyOn) {
    for (uint32_t failures : {UINT32_MAX, 10000u, 0u}) {
        model.kind = DISK_FIXED;
        model.fixed = failures ? 2 : 30000;
        machine_destroy(m);
        start();
        call({CALL_CREATE, 0, 1 << 20});
        thread(1, 1);
        thread(2, 2);
        switch_to(1);
        access(EVENT_LOAD, kBlock, 4);
        switch_to(2);
        inject(OS_INJECT_WRITE_ERROR, failures);
        unsigned ticks = os()->ticks;
        os()->tick_writes = true;
        EXPECT_EQ(machine_finish(m), 1u);
        if (failures == UINT32_MAX) {
            EXPECT_LT(os()->ticks - ticks, 20000u);
        } else {
            EXPECT_GE(os()->ticks - ticks, 1000000u);
        }
    }
}

TEST_F(Disk, RulesOfInjection) {
    injections = {{OS_INJECT_PARITY, 4, 0, 0}, {OS_INJECT_NO_FRAME, 0, UINT64_MAX / 4, 7}};
    start();
    EXPECT_EQ(call({CALL_INJECT, OS_INJECT_PARITY}), 0u); // event 0
    EXPECT_FALSE(machine_has_injected(m));
    unsigned fired = 0;
    std::string pattern[2];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 400; i++) {
            bool fires = call({CALL_INJECT, OS_INJECT_NO_FRAME}) != 0;
            pattern[round] += fires ? 'x' : '.';
            fired += fires;
        }
        EXPECT_EQ(call({CALL_INJECT, OS_INJECT_PARITY}), 1u); // once, from event 4 on
        EXPECT_EQ(call({CALL_INJECT, OS_INJECT_PARITY}), 0u);
        if (round == 0) {
            machine_destroy(m);
            next_index = 1;
            start();
        }
    }
    EXPECT_EQ(pattern[0], pattern[1]); // the same on every machine
    EXPECT_TRUE(machine_has_injected(m));
    EXPECT_GT(fired, 120u);
    EXPECT_LT(fired, 280u);
}

TEST_F(Disk, TooManyHeldEventsWaitForIt) {
    model.kind = DISK_FIXED;
    model.fixed = 70000;
    start(LOG_BIT(LOG_BLOCK));
    thread(1, 1);
    thread(2, 2);
    switch_to(1);
    call({CALL_TRANSFER, kRead, kFile, 0, 0x310, 1, 0x1000});
    EXPECT_TRUE(last_blocked);
    for (unsigned held = 1; held < 65536; held++) {
        EXPECT_EQ(counts()->disk_steps, held - 1);
        EXPECT_TRUE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    }
    EXPECT_EQ(counts()->disk_steps, 70000u);
    EXPECT_FALSE(access(EVENT_LOAD, 0x1000, 4)->blocked);
    EXPECT_EQ(machine_finish(m), 0u);
}

TEST_F(Disk, BehindTheEndOfAPagingFileAreZeroes) {
    start();
    call({CALL_CREATE, 3, 0x1000});
    set(0x300, 11);
    call({CALL_TRANSFER, kWrite, os_paging_file(3), 0, 0x300, 1, 0});
    set(0x310, 99);
    set(0x311, 99);
    EXPECT_EQ(call({CALL_TRANSFER, kRead, os_paging_file(3), 0, 0x310, 2, 0x2000}), 0u);
    EXPECT_EQ(word(0x310), 11u);
    EXPECT_EQ(word(0x311), 0u);
}

// Within no call of the kernel: a fault may be serviced there, but not wait.
TEST_F(Disk, ACompletionMayTouchMemoryThatIsNotThere) {
    start();
    thread(1, 1);
    switch_to(1);
    manual(true);
    os()->completion_writes = kCompletion;
    call({CALL_START, kRead, kFile, 0, 0x310, 1, 0x1000});
    EXPECT_EQ(iodone(1), 0u);
    EXPECT_EQ(memory32(kCompletion), 0x99u);
    EXPECT_EQ(counts()->page_faults, 0u) << "the kernel's own";
    os()->completion_writes = kMappedBlock;
    call({CALL_START, kRead, kFile, 0, 0x310, 1, 0x1000});
    iodone(2);
    EXPECT_EQ(machine_last(m)->stop, MACHINE_PANIC);
    EXPECT_STREQ(machine_last(m)->message, "the kernel waits where nothing can wait");
}

TEST_F(Disk, TransfersThatCannotBeStopTheMachine) {
    start();
    call({CALL_START, kWrite, os_paging_file(5), 0, 0x300, 1, 0});
    EXPECT_EQ(machine_last(m)->stop, MACHINE_RUNS);
    call({CALL_POLL, 1});
    EXPECT_EQ(machine_last(m)->stop, MACHINE_PANIC);
}

// ---- machines that do not start ----

os *boot_in_vain(os_machine *, const os_config *) { return nullptr; }
os *boot_into_a_stop(os_machine *m, const os_config *) {
    m->ops->bugcheck(m, 0x1A, 1, 2, 3, 4);
    return nullptr;
}
os *boot_into_a_panic(os_machine *m, const os_config *) {
    m->ops->panic(m, "no board");
    return nullptr;
}
uint64_t uneven_ram(const os_config *, char *, size_t) { return 5 << 20; }

TEST(MachineCreate, SaysWhatDoesNotBoot) {
    struct Case {
        const char *said;
        void (*spoil)(os_ops *, mmu_ops *);
    };
    const Case cases[] = {
        {"MMU \"c\": ABI version 1, expected 2", [](os_ops *, mmu_ops *mmu) { mmu->abi_version = 1; }},
        {"cannot have 5242880 bytes of RAM",
         [](os_ops *os, mmu_ops *) { os->ram_size = uneven_ram; }}, // no 4 MB pieces
        {"the kernel does not boot in this configuration", [](os_ops *os, mmu_ops *) { os->boot = boot_in_vain; }},
        {"boot stopped with 1A MEMORY_MANAGEMENT", [](os_ops *os, mmu_ops *) { os->boot = boot_into_a_stop; }},
        {"boot: no board", [](os_ops *os, mmu_ops *) { os->boot = boot_into_a_panic; }}};
    for (const Case &c : cases) {
        os_ops os = fake_os;
        mmu_ops mmu = mmu_c_ops;
        c.spoil(&os, &mmu);
        machine_config config = {};
        config.mmu = &mmu;
        config.preset = small_preset(16, 4, 40);
        config.os = &os;
        char err[256] = "";
        EXPECT_EQ(machine_create(&config, err, sizeof err), nullptr) << c.said;
        EXPECT_STREQ(err, c.said);
    }
}

// `meddle` changes memory between two accesses of a walk, where only the machine's own memory lets it.
TEST(MachineCreate, MeddleNeedsMemoryOfTheMachines) {
    machine_board board = {};
    board.has_memory = true;
    board.mmu = &mmu_c_ops;
    board.power_on = [](void *, const machine_power *power, char *err, size_t size) -> mmu * {
        EXPECT_EQ(physmem_init(power->mem, power->size), 0);
        mmu_config config = power->mmu;
        config.memory = physmem_memory(power->mem);
        return mmu_c_ops.create(&config, err, size);
    };
    for (const machine_board *of : {(const machine_board *)nullptr, (const machine_board *)&board}) {
        machine_config config = {};
        config.mmu = &mmu_c_ops;
        config.preset = small_preset(16, 4, 40);
        config.os = &bare_os_ops;
        config.board = of;
        char err[256] = "";
        machine *m = machine_create(&config, err, sizeof err);
        ASSERT_NE(m, nullptr) << err;
        event e = {};
        e.kind = EV_MEDDLE;
        e.meddle.bits = 0x60;
        auto *r = machine_step(m, &e);
        EXPECT_EQ(r->stop, of ? MACHINE_PANIC : MACHINE_RUNS);
        if (of) { EXPECT_STREQ(r->message, "found meddle, expected a machine with memory of its own"); }
        machine_destroy(m);
    }
}

// ---- the log ----

TEST_F(Machine, NobodyAskedNothingIsSent) {
    start(LOG_BIT(LOG_FAULT));
    access(EVENT_LOAD, 0x1000, 4);
    ASSERT_EQ(log.size(), 1u);
    EXPECT_EQ(log[0].kind, LOG_FAULT);
}

TEST_F(Machine, TableAccessesOfWalks) {
    start(LOG_BIT(LOG_TABLE));
    access(EVENT_LOAD, 0x1000, 4);
    log.clear();
    access(EVENT_STORE, 0x1000, 4); // the page is clean: walk again, set D by one exchange
    ASSERT_EQ(log.size(), 3u);
    EXPECT_EQ(log[0].d, (uint64_t)MMU_TABLE_READ | 2 << 8);
    EXPECT_EQ(log[1].d, (uint64_t)MMU_TABLE_READ | 1 << 8);
    EXPECT_EQ(log[2].d, (uint64_t)MMU_TABLE_EXCHANGE | 1 << 8);
    EXPECT_EQ(log[2].c, log[2].b | 0x40);
    for (auto &record : log) { EXPECT_EQ(record.e, 0x1000u); } // the address walked for
}

TEST(Log, LinesForAPerson) {
    auto line = [](log_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
        log_record r = {};
        r.kind = (uint8_t)kind;
        r.a = a, r.b = b, r.c = c, r.d = d, r.e = e;
        char out[256];
        int length = log_format(&r, out, sizeof out);
        EXPECT_EQ((size_t)length, strlen(out));
        return std::string(out);
    };
    EXPECT_EQ(line(LOG_ACCESS, 0x410000, 0x404000, 0xAA, 7, MMU_READ | MMU_USER << 4 | 1 << 8 | MMU_HIT_WALK << 16),
              "ACCESS r 00410000 -> 00404000 = aa (user, walk, 7 cycles)");
    EXPECT_EQ(line(LOG_FAULT, 0x410000, 6, 6, MMU_HIT_WALK, 0),
              "FAULT #PF cr2 00410000 error 06 (not present, user write; walk, 6 cycles)");
    EXPECT_EQ(line(LOG_TLB, LOG_INVLPG, 0x410000, 0, 0, 0), "TLB INVLPG 00410000");
    EXPECT_EQ(line(LOG_LIST, 1, 0x404, 0, 12, 0), "LIST Free: frame 404 removed, 12 now");
    EXPECT_EQ(line(LOG_STATUS, 0xC0000018, 0, 0, 0, 0),
              "STATUS c0000018 STATUS_CONFLICTING_ADDRESSES out 00000000 00000000");
    std::vector<std::string> seen;
    for (int kind = 0; kind < LOG_KINDS; kind++) {
        std::string text = line((log_kind)kind, 1, 1, 1, kind == LOG_TABLE ? 0x101 : 1, 1);
        EXPECT_EQ(text.rfind(log_kind_name((log_kind)kind), 0), 0u) << text;
        EXPECT_EQ(text.find('?'), std::string::npos) << text;
        for (auto &other : seen) { EXPECT_NE(text, other); }
        seen.push_back(text);
    }
}

TEST(Log, CutsLongLines) {
    log_record r = {};
    r.kind = LOG_BUGCHECK;
    char out[16];
    memset(out, 'x', sizeof out);
    EXPECT_GT(log_format(&r, out, sizeof out), 15);
    EXPECT_EQ(strlen(out), 15u);
}

TEST(Log, HasRoomForSoMany) {
    event_log log = {};
    for (int i = 0; i < LOG_SUBSCRIBER_MAX; i++) { EXPECT_EQ(log_subscribe(&log, 1, collect, nullptr), 0); }
    EXPECT_EQ(log_subscribe(&log, 1, collect, nullptr), -1);
}
