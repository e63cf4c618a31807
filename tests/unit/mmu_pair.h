/* The pair program: a constrained-random program run on two MMUs side by side, each with its own memory, comparing
 * every field of every result, control registers, statistics, TLB contents and memory. Shared by the pair test (C MMU
 * against RTL) and the mutants test (C MMU against RTL with a bug). */
#ifndef TESTS_MMU_PAIR_H
#define TESTS_MMU_PAIR_H

#include "mmu_harness.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <sstream>
#include <vector>

class PairProgram {
  public:
    PairProgram(const mmu_ops *a, const mmu_ops *b, const mmu_preset &preset, uint64_t seed)
        : preset_(preset), random_(mix64(seed)) {
        /* MAXPHYADDR is a strap, not geometry: most programs run with another one. */
        if (!one_in(3)) { preset_.physical_bits = 32 + (unsigned)random_below(9); }
        for (auto *side : {&a_, &b_}) {
            side->memory.latency = [seed](pa_t pa, bool exchange, uint64_t cycle) {
                return 1 + (uint32_t)(mix64(seed ^ pa ^ cycle << 20 ^ (uint64_t)exchange << 60) % 7);
            };
            side->memory.before_exchange = [this, side](pa_t pa) { interfere(*side, pa); };
        }
        a_.mmu = std::make_unique<TestMmu>(a, preset_, a_.memory);
        b_.mmu = std::make_unique<TestMmu>(b, preset_, b_.memory);
        interference_ = random_below(3) == 0 ? 0 : 4 + random_below(40);
    }

    /* What the program has exercised, by the first MMU. */
    mmu_statistics statistics() { return a_.mmu->statistics(); }
    const std::set<uint32_t> &error_codes() const { return error_codes_; }

    /* "" if the two agreed in every step, else where and how they did not. */
    std::string run(unsigned steps) {
        make_tables();
        for (step_ = 0; step_ < steps && difference_.empty(); step_++) {
            one_step();
            if (step_ % 16 == 15 || step_ + 1 == steps) { compare_state(); }
        }
        return difference_;
    }

  private:
    struct Side {
        TestMemory memory;
        std::unique_ptr<TestMmu> mmu;
        uint64_t exchanges = 0;
    };

    /* Page directories at 1 MB, page tables after them; a handful of each, so that addresses meet again. */
    static constexpr pa_t DIRECTORIES = 0x100000, TABLES = 0x110000;
    static constexpr unsigned DIRECTORY_COUNT = 2, TABLE_COUNT = 3, REGIONS = 6, PAGES = 10;
    static constexpr uint32_t P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, G = 256;

    uint64_t random() { return random_ = mix64(random_); }
    uint64_t random_below(uint64_t n) { return random() % n; }
    bool one_in(uint64_t n) { return random_below(n) == 0; }

    /* Regions of 4 MB and pages in them that fall into the same and into different TLB sets. */
    static va_t region_va(unsigned i) {
        static const unsigned regions[REGIONS] = {0, 1, 2, 3, 0x201, 0x3FF};
        return (va_t)regions[i] << 22;
    }
    static unsigned page_index(unsigned i) {
        static const unsigned pages[PAGES] = {0, 1, 2, 3, 4, 16, 17, 32, 0x200, 0x3FF};
        return pages[i];
    }

    va_t random_va() {
        if (one_in(3)) { return last_va_; }
        /* A few pages of the last region, often; another offset of the page always. */
        unsigned region = one_in(2) ? last_region_ : (unsigned)random_below(REGIONS);
        last_region_ = region;
        last_va_ = region_va(region) | (va_t)page_index((unsigned)random_below(PAGES)) << 12 | random_below(4096);
        return last_va_;
    }

    uint32_t flags() {
        uint32_t f = (uint32_t)random() & (RW | US | A | D | G | 0x18 | 0xE00);
        if (!one_in(8)) { f |= P; }
        if (!one_in(3)) { f |= RW | US; }
        return one_in(3) ? f & ~(A | D) : f;
    }

    uint32_t random_pde() {
        uint32_t f = flags();
        if (one_in(3)) {
            uint32_t pde = (uint32_t)random_below(8) << 22 | PS | f;
            if (one_in(3)) { pde |= (uint32_t)random_below(256) << 13; } /* PSE-36, perhaps beyond MAXPHYADDR */
            return one_in(8) ? pde | 1u << 21 : pde;
        }
        return (uint32_t)(TABLES + random_below(TABLE_COUNT) * 4096) | f;
    }

    uint32_t random_pte() {
        return (uint32_t)(random_below(16) << 12 | random_below(2) << 31) | flags() | (one_in(4) ? PS : 0);
    }

    pa_t random_pde_pa() {
        return DIRECTORIES + random_below(DIRECTORY_COUNT) * 4096 +
               (region_va((unsigned)random_below(REGIONS)) >> 22) * 4;
    }
    pa_t random_pte_pa() {
        return TABLES + random_below(TABLE_COUNT) * 4096 + page_index((unsigned)random_below(PAGES)) * 4;
    }

    void store(pa_t pa, uint32_t value) { a_.memory.words[pa] = b_.memory.words[pa] = value; }

    void make_tables() {
        for (unsigned d = 0; d < DIRECTORY_COUNT; d++) {
            for (unsigned i = 0; i < REGIONS; i++) {
                store(DIRECTORIES + d * 4096 + (region_va(i) >> 22) * 4, random_pde());
            }
        }
        for (unsigned t = 0; t < TABLE_COUNT; t++) {
            for (unsigned i = 0; i < PAGES; i++) { store(TABLES + t * 4096 + page_index(i) * 4, random_pte()); }
        }
        control(MMU_CR3, DIRECTORIES);
        control(MMU_CR4, CR4_PSE | CR4_PGE);
        control(MMU_CR0, CR0_PE | CR0_PG | CR0_WP);
    }

    /* Another CPU changes the entry between the walk's read and its exchange; the same on both sides. Never so often
     * that a walk could not end. */
    void interfere(Side &side, pa_t pa) {
        uint64_t roll = mix64(0x1234567 + side.exchanges++ * 977);
        if (interference_ == 0 || roll % interference_ != 0) { return; }
        uint32_t &word = side.memory.words[pa];
        switch (roll >> 32 & 7) {
        case 0: word &= ~P; break;
        case 1: word ^= RW; break;
        case 2: word ^= US; break;
        case 3: word |= A; break;
        case 4: word |= A | D; break;
        case 5: word ^= G; break;
        case 6: word &= ~(A | D); break;
        default: word ^= 0x1000;
        }
    }

    void control(mmu_control which, uint64_t value) {
        int a = a_.mmu->control(which, value), b = b_.mmu->control(which, value);
        compare("control result", a, b);
    }

    void random_control() {
        static const uint64_t cr4_bits[] = {CR4_PSE, CR4_PGE, CR4_SMEP, CR4_SMAP};
        switch (random_below(8)) {
        case 0:
        case 1: control(MMU_CR3, DIRECTORIES + random_below(DIRECTORY_COUNT) * 4096 + (one_in(4) ? 0x18 : 0)); break;
        case 2:
        case 3: {
            uint64_t cr4 = read(MMU_CR4) ^ cr4_bits[random_below(4)];
            control(MMU_CR4, one_in(12) ? cr4 | CR4_PAE : cr4);
            break;
        }
        case 4: control(MMU_CR0, read(MMU_CR0) ^ CR0_WP); break;
        case 5: control(MMU_EFLAGS_AC, random_below(2)); break;
        case 6:
            if (one_in(4)) { control(MMU_CR0, read(MMU_CR0) ^ CR0_PG); }
            if (one_in(8)) { control(MMU_CR0, CR0_PG); }
            break;
        default:
            if (one_in(4)) { control(MMU_EFER, random_below(2) << 11); }
            if (!(read(MMU_CR0) & CR0_PG)) { control(MMU_CR0, CR0_PE | CR0_PG | CR0_WP); }
        }
    }

    uint64_t read(mmu_control which) { return a_.mmu->ops()->read_control(a_.mmu->mmu(), which); }

    void one_step() {
        uint64_t roll = random_below(100);
        if (roll < 74) {
            accesses();
        } else if (roll < 82) {
            change_table();
        } else if (roll < 90) {
            va_t va = random_va();
            a_.mmu->ops()->invlpg(a_.mmu->mmu(), va);
            b_.mmu->ops()->invlpg(b_.mmu->mmu(), va);
        } else {
            random_control();
        }
    }

    /* No flush here: what is stale then is stale in both. */
    void change_table() {
        bool pde = one_in(3);
        pa_t pa = pde ? random_pde_pa() : random_pte_pa();
        if (one_in(3)) {
            store(pa, a_.memory.get(pa) & ~(A | D));
        } else {
            store(pa, pde ? random_pde() : random_pte());
        }
    }

    void accesses() {
        std::array<mmu_request, 6> requests = {};
        size_t count = 1 + random_below(requests.size());
        for (size_t i = 0; i < count; i++) {
            requests[i].va = random_va();
            requests[i].type = (uint8_t)random_below(4);
            requests[i].mode = (uint8_t)random_below(3);
            requests[i].size = 1;
        }
        std::array<mmu_result, 6> a, b;
        size_t done_a = a_.mmu->ops()->translate(a_.mmu->mmu(), requests.data(), a.data(), count);
        size_t done_b = b_.mmu->ops()->translate(b_.mmu->mmu(), requests.data(), b.data(), count);
        for (size_t i = 0; i < std::min(done_a, done_b) && difference_.empty(); i++) {
            request_ = &requests[i];
            compare_results(a[i], b[i]);
            request_ = nullptr;
        }
        compare("results", done_a, done_b);
    }

    void compare_results(const mmu_result &a, const mmu_result &b) {
        compare("vector", a.vector, b.vector);
        if (a.vector == MMU_VECTOR_NONE) { compare("pa", a.pa, b.pa); }
        if (a.vector == MMU_VECTOR_PF) {
            error_codes_.insert(a.error_code);
            compare("cr2", a.cr2, b.cr2);
            compare("error_code", a.error_code, b.error_code);
        }
        compare("hit", a.hit, b.hit);
        compare("page_shift", a.page_shift, b.page_shift);
        compare("cycles", a.cycles, b.cycles);
        compare("done", a.done, b.done);
        compare("table_count", a.table_count, b.table_count);
        compare("table_total", a.table_total, b.table_total);
        compare("restarts", a.restarts, b.restarts);
        for (unsigned i = 0; i < std::min(a.table_count, b.table_count); i++) {
            compare("table op", a.table[i].op, b.table[i].op);
            compare("table level", a.table[i].level, b.table[i].level);
            compare("table pa", a.table[i].pa, b.table[i].pa);
            compare("table value", a.table[i].value, b.table[i].value);
            compare("table desired", a.table[i].desired, b.table[i].desired);
        }
    }

    void compare_state() {
        mmu_statistics a = a_.mmu->statistics(), b = b_.mmu->statistics();
        for (unsigned i = 0; i < TLB_SIDES * TLB_PAGE_SIZES; i++) {
            compare("statistics: hits", a.tlb[i / 2][i % 2].hits, b.tlb[i / 2][i % 2].hits);
            compare("statistics: misses", a.tlb[i / 2][i % 2].misses, b.tlb[i / 2][i % 2].misses);
        }
        compare("statistics: miss_fault, instruction", a.miss_fault[0], b.miss_fault[0]);
        compare("statistics: miss_fault, data", a.miss_fault[1], b.miss_fault[1]);
        compare("statistics: walks", a.walks, b.walks);
        compare("statistics: walk_restarts", a.walk_restarts, b.walk_restarts);
        compare("statistics: dirty_walks", a.dirty_walks, b.dirty_walks);
        compare("statistics: walk_cycles", a.walk_cycles, b.walk_cycles);
        compare("statistics: table_reads", a.table_reads, b.table_reads);
        compare("statistics: table_writes", a.table_writes, b.table_writes);
        compare("statistics: faults", a.faults, b.faults);
        compare("statistics: invlpg", a.invlpg, b.invlpg);
        compare("statistics: cr3_writes", a.cr3_writes, b.cr3_writes);
        compare("statistics: flush_all", a.flush_all, b.flush_all);
        compare("statistics: fault_drops", a.fault_drops, b.fault_drops);
        compare("statistics: cycles", a.cycles, b.cycles);
        compare("cycles()", a_.mmu->ops()->cycles(a_.mmu->mmu()), b_.mmu->ops()->cycles(b_.mmu->mmu()));
        for (mmu_control which : {MMU_CR0, MMU_CR3, MMU_CR4, MMU_EFER, MMU_EFLAGS_AC}) {
            compare("control register", a_.mmu->ops()->read_control(a_.mmu->mmu(), which),
                    b_.mmu->ops()->read_control(b_.mmu->mmu(), which));
        }
        compare_entries();
        if (a_.memory.words != b_.memory.words) { note("memory contents", "those of a", "others"); }
    }

    void compare_entries() {
        std::vector<mmu_tlb_entry> a(8192), b(8192);
        size_t count = a_.mmu->ops()->tlb_entries(a_.mmu->mmu(), a.data(), a.size());
        compare("TLB entries", count, b_.mmu->ops()->tlb_entries(b_.mmu->mmu(), b.data(), b.size()));
        for (size_t i = 0; i < count && difference_.empty(); i++) {
            compare("TLB side", a[i].side, b[i].side);
            compare("TLB pages", a[i].pages, b[i].pages);
            compare("TLB set", a[i].set, b[i].set);
            compare("TLB way", a[i].way, b[i].way);
            compare("TLB va", a[i].va, b[i].va);
            compare("TLB pa", a[i].pa, b[i].pa);
            compare("TLB writable", a[i].writable, b[i].writable);
            compare("TLB user", a[i].user, b[i].user);
            compare("TLB dirty", a[i].dirty, b[i].dirty);
            compare("TLB global", a[i].global, b[i].global);
        }
    }

    void compare(const char *what, uint64_t a, uint64_t b) {
        if (a == b || !difference_.empty()) { return; }
        std::ostringstream as, bs;
        as << std::hex << a;
        bs << std::hex << b;
        note(what, as.str(), bs.str());
    }

    void note(const char *what, const std::string &a, const std::string &b) {
        if (!difference_.empty()) { return; }
        std::ostringstream out;
        out << "preset " << preset_.name << ", step " << step_ << std::hex;
        if (request_) {
            out << ", va " << request_->va << " type " << (unsigned)request_->type << " mode "
                << (unsigned)request_->mode << " cr0 " << read(MMU_CR0) << " cr4 " << read(MMU_CR4);
        }
        out << ": " << what << " is " << a << " on " << a_.mmu->ops()->name << ", " << b << " on "
            << b_.mmu->ops()->name;
        difference_ = out.str();
    }

    mmu_preset preset_;
    uint64_t random_;
    Side a_, b_;
    uint64_t interference_ = 0; /* one exchange in so many is interfered with; 0 = none */
    unsigned step_ = 0;
    const mmu_request *request_ = nullptr;
    std::string difference_;
    std::set<uint32_t> error_codes_;
    va_t last_va_ = 0;
    unsigned last_region_ = 0;
};

#endif
