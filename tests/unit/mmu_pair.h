/* The pair program: a constrained-random program run on two MMUs side by side, each with its own memory, comparing
 * every field of every result, control registers, statistics, TLB contents and memory. Each program is of one paging
 * mode that the CPU has. Shared by the pair test (C MMU against RTL) and the mutants test (C MMU against RTL with a
 * bug). */
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
        if (!one_in(3)) { preset_.physical_bits = 32 + (unsigned)random_below(21); }
        if (one_in(2)) { lack_features(); }
        choose_mode();
        for (auto *side : {&a_, &b_}) {
            side->memory.latency = [seed](pa_t pa, bool exchange, uint64_t cycle) {
                return 1 + (uint32_t)(mix64(seed ^ pa ^ cycle << 20 ^ (uint64_t)exchange << 60) % 7);
            };
            side->memory.before_exchange = [this, side](pa_t pa) { interfere(*side, pa); };
        }
        a_.mmu = std::make_unique<TestMmu>(a, preset_, a_.memory, seed);
        b_.mmu = std::make_unique<TestMmu>(b, preset_, b_.memory, seed);
        interference_ = random_below(3) == 0 ? 0 : 4 + random_below(40);
    }

    /* The second, a C MMU, may read tables in RAM itself; before run(). The last tables of each upper level are not
     * there. */
    void use_ram() {
        constexpr unsigned LATENCY = 3;
        for (auto *side : {&a_, &b_}) {
            side->memory.latency = [](pa_t, bool, uint64_t) { return LATENCY; };
        }
        b_.memory.ram.resize(tables(2) + (TABLE_COUNT - 1) * 4096);
        mmu_c_use_ram(b_.mmu->mmu(), {b_.memory.ram.data(), b_.memory.ram.size(), LATENCY});
    }

    /* Numbers of full width: tables, frames and pages anywhere, and in registers and operands the bits that nothing looks at,
     * too; before run(). */
    void use_wide() {
        wide_ = true;
        for (unsigned level = 1; level <= POINTERS; level++) {
            bool in_cr3 = mode_ == PAE && level == POINTERS;
            unsigned bits = mode_ == TWO_LEVEL || in_cr3 ? 32 : preset_.physical_bits;
            /* three times four pointers stand in 128 bytes */
            for (pa_t &table : table_[level]) { table = random_bits(bits) & ~(pa_t)(in_cr3 ? 0x7F : 0xFFF); }
        }
        for (unsigned i = 0; i < REGIONS; i++) {
            region_[i] = i % 2 ? region_[i - 1] ^ 1 : random_bits(mode_ == TWO_LEVEL ? 10 : mode_ == PAE ? 11 : 27);
        }
        for (unsigned &page : page_) { page = (unsigned)random_bits(index_bits()); }
        wide_pcid_ = random_bits(12);
    }

    /* The second, a C MMU, has so many walkers: only cycles may differ; before run(). */
    void other_walkers(unsigned walkers) {
        mmu_preset preset = preset_;
        preset.walkers = walkers;
        b_.mmu = std::make_unique<TestMmu>(&mmu_c_ops, preset, b_.memory);
        like_cycles_ = false;
    }

    enum Mode { TWO_LEVEL, PAE, FOUR_LEVEL };
    Mode mode() const { return mode_; }
    unsigned step() const { return step_; }

    /* What the program has exercised, by the first MMU. */
    mmu_statistics statistics() { return a_.mmu->statistics(); }
    const std::set<uint32_t> &error_codes() const { return error_codes_; }

    /* "" if the two agreed in every step, else where and how they did not. */
    std::string run(unsigned steps) {
        compare_state(); /* after reset */
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

    /* A few tables of each level, from 1 MB on, so that addresses meet again: tables(level) + n * 4096. Level 5 stands
     * for the places that CR3 may have: the roots, or the PDPTEs of PAE. */
    static constexpr unsigned TABLE_COUNT = 3, REGIONS = 6, PAGES = 10, POINTERS = 5;
    static constexpr uint64_t P = 1, RW = 2, US = 4, A = 32, D = 64, PS = 128, G = 256, NX = (uint64_t)1 << 63;
    static constexpr pa_t tables(unsigned level) { return 0x100000 + level * 0x10000; }
    pa_t table(unsigned level, unsigned t) const { return wide_ ? table_[level][t] : tables(level) + t * 4096; }
    /* PAE's four pointers, TABLE_COUNT times. */
    pa_t pointers(unsigned t) const { return wide_ ? table_[POINTERS][0] + t * 32 : tables(POINTERS) + t * 32; }

    uint64_t random() { return random_ = mix64(random_); }
    uint64_t random_below(uint64_t n) { return random() % n; }
    bool one_in(uint64_t n) { return random_below(n) == 0; }
    uint64_t random_bits(unsigned bits) { return random() >> (64 - bits); }
    /* In a wide program, bits that nothing looks at, of those in the mask. */
    uint64_t unseen(uint64_t mask) { return wide_ && one_in(2) ? random() & mask : 0; }
    bool has(unsigned feature) const { return preset_.features & feature; }

    /* Features are a strap, too. */
    void lack_features() {
        preset_.features &= (unsigned)(random() | random());
        if (one_in(3)) { preset_.features &= ~(unsigned)CPU_PAT; }
        if (!has(CPU_PAE)) { preset_.features &= ~(unsigned)CPU_LONG; }
        if (!has(CPU_LONG)) { preset_.features &= ~(unsigned)CPU_1G; }
    }

    void choose_mode() {
        std::vector<Mode> modes = {TWO_LEVEL};
        if (has(CPU_PAE)) { modes.push_back(PAE); }
        if (has(CPU_PAE) && has(CPU_LONG)) { modes.insert(modes.end(), 2, FOUR_LEVEL); }
        mode_ = modes[random_below(modes.size())];
    }
    unsigned bytes() const { return mode_ == TWO_LEVEL ? 4 : 8; }
    unsigned index_bits() const { return mode_ == TWO_LEVEL ? 10 : 9; }
    unsigned root_level() const { return mode_ == FOUR_LEVEL ? 4 : 2; }
    unsigned shift(unsigned level) const { return 12 + (level - 1) * index_bits(); }

    /* Regions of a page table's reach, and pages in them, that fall into the same and into different TLB sets. */
    va_t region_va(unsigned i) const {
        static const unsigned two_level[REGIONS] = {0, 1, 2, 3, 0x201, 0x3FF};
        static const uint64_t pae[REGIONS] = {0, 1, 2, 0x201, 0x401, 0x7FF};
        static const uint64_t four_level[REGIONS] = {0, 1, 0x201, 0x40000, 0x40001, 0x7FFFFFF};
        uint64_t number = wide_ ? region_[i] : mode_ == TWO_LEVEL ? two_level[i] : mode_ == PAE ? pae[i] : four_level[i];
        switch (mode_) {
        case TWO_LEVEL: return (va_t)number << 22;
        case PAE: return (va_t)number << 21;
        default: return (va_t)((int64_t)(number << 37) >> 16);
        }
    }
    unsigned page_index(unsigned i) const {
        static const unsigned pages[PAGES] = {0, 1, 2, 3, 4, 16, 17, 32, 0x200, 0x3FF};
        return (wide_ ? page_[i] : pages[i]) & ((1u << index_bits()) - 1);
    }
    unsigned index_of(va_t va, unsigned level) const { return va >> shift(level) & ((1u << index_bits()) - 1); }

    va_t random_va() {
        if (one_in(3)) { return last_va_; }
        /* A few pages of the last region, often; another offset of the page always. */
        unsigned region = one_in(2) ? last_region_ : (unsigned)random_below(REGIONS);
        last_region_ = region;
        last_va_ = region_va(region) | (va_t)page_index((unsigned)random_below(PAGES)) << 12 | random_below(4096);
        if (mode_ == FOUR_LEVEL && one_in(60)) { return last_va_ ^ (va_t)1 << (47 + random_below(17)); }
        if (mode_ != FOUR_LEVEL) { last_va_ |= unseen(~(uint64_t)0xFFFFFFFF); }
        return last_va_;
    }

    uint64_t flags() {
        uint64_t f = random() & (RW | US | A | D | G | 0x18 | 0xE00);
        if (!one_in(8)) { f |= P; }
        if (!one_in(3)) { f |= RW | US; }
        if (one_in(3)) { f &= ~(A | D); }
        if (mode_ == TWO_LEVEL) { return f; }
        if (one_in(12)) { f |= NX; }
        if (one_in(40)) { f |= (uint64_t)1 << (30 + random_below(34)); } /* reserved, ignored or an address */
        if (mode_ == FOUR_LEVEL) { f |= unseen((uint64_t)0x7FF << 52); }
        return f;
    }

    uint64_t random_table(unsigned level) { return table(level, (unsigned)random_below(TABLE_COUNT)); }

    uint64_t random_large(unsigned level) {
        uint64_t entry = random_below(8) << shift(level) | PS | flags();
        if (wide_) {
            entry |= random_bits(mode_ == TWO_LEVEL ? 32 : preset_.physical_bits) & ~(((uint64_t)1 << shift(level)) - 1);
        }
        if (mode_ == TWO_LEVEL) {
            if (one_in(3)) { entry |= random_below(256) << 13; } /* PSE-36, perhaps beyond MAXPHYADDR */
            if (one_in(8)) { entry |= 1u << 21; }
            return entry & 0xFFFFFFFFu;
        }
        if (one_in(3)) { entry |= (uint64_t)1 << 12; } /* PAT */
        if (one_in(12)) { entry |= (uint64_t)1 << (13 + random_below(shift(level) - 13)); }
        return entry;
    }

    uint64_t random_entry(unsigned level) {
        if (level == 1) {
            uint64_t frame = random_below(16) << 12;
            if (wide_) { frame = random_bits(mode_ == TWO_LEVEL ? 32 : preset_.physical_bits) & ~(uint64_t)0xFFF; }
            if (mode_ == TWO_LEVEL) { frame |= random_below(2) << 31; }
            return frame | flags() | (one_in(4) ? PS : 0);
        }
        bool large = level == 2 ? one_in(3) : level == 3 ? one_in(5) : one_in(20);
        return large ? random_large(level) : random_table(level - 1) | flags();
    }

    /* The entry of a level on the way to an address that the program uses, in any table of the level. */
    pa_t random_entry_pa(unsigned level) {
        va_t va = region_va((unsigned)random_below(REGIONS)) | (va_t)page_index((unsigned)random_below(PAGES)) << 12;
        return random_table(level) + index_of(va, level) * bytes();
    }

    void store(pa_t pa, uint64_t value) {
        for (auto *side : {&a_, &b_}) { side->memory.set(pa, value, bytes()); }
    }

    uint64_t random_root() {
        uint64_t high = mode_ == FOUR_LEVEL ? 0 : unseen((uint64_t)0x7FFFFFFF << 32);
        if (mode_ == PAE) { return pointers((unsigned)random_below(TABLE_COUNT)) | high | unseen(0x1F); }
        return random_table(root_level()) | (one_in(4) ? 0x18 : 0) | high;
    }

    /* PAE: a pointer, sometimes with a reserved bit, so that the load is refused. */
    uint64_t random_pointer() {
        uint64_t pointer = random_table(2) | (one_in(8) ? 0 : P) | (random() & 0xE18);
        return one_in(40) ? pointer | (uint64_t)1 << random_below(64) : pointer;
    }

    void make_tables() {
        for (unsigned level = 1; level <= root_level(); level++) {
            for (unsigned t = 0; t < TABLE_COUNT; t++) {
                for (unsigned region = 0; region < REGIONS; region++) {
                    for (unsigned i = 0; i < (level == 1 ? PAGES : 1); i++) {
                        va_t va = region_va(region) | (va_t)page_index(i) << 12;
                        store(table(level, t) + index_of(va, level) * bytes(), random_entry(level));
                    }
                }
            }
        }
        for (unsigned i = 0; mode_ == PAE && i < 4 * TABLE_COUNT; i++) {
            store(pointers(0) + 8 * i, random_table(2) | P);
        }
        control(MMU_CR3, mode_ == PAE ? pointers(0) : table(root_level(), 0));
        uint64_t efer = (mode_ == FOUR_LEVEL ? +EFER_LME : 0) | (has(CPU_NX) && one_in(2) ? +EFER_NXE : 0);
        bool efer_first = one_in(2); /* NXE counts with PAE, whichever comes first */
        if (efer_first) { control(MMU_EFER, efer); }
        control(MMU_CR4, base_cr4() | (has(CPU_PGE) ? CR4_PGE : 0));
        if (!efer_first) { control(MMU_EFER, efer); }
        control(MMU_CR0, CR0_PE | CR0_PG | CR0_WP);
        if (wide_ && mode_ == FOUR_LEVEL && has(CPU_PCID)) { control(MMU_CR4, read(MMU_CR4) | CR4_PCIDE); }
    }

    uint64_t base_cr4() const { return (has(CPU_PSE) ? CR4_PSE : 0) | (mode_ == TWO_LEVEL ? 0 : CR4_PAE); }

    /* Another CPU changes the entry between the walk's read and its exchange; the same on both sides. Never so often
     * that a walk could not end. */
    void interfere(Side &side, pa_t pa) {
        uint64_t roll = mix64(0x1234567 + side.exchanges++ * 977);
        if (interference_ == 0 || roll % interference_ != 0) { return; }
        uint32_t word = side.memory.get(pa);
        switch (roll >> 32 & 7) {
        case 0: word &= ~(uint32_t)P; break;
        case 1: word ^= RW; break;
        case 2: word ^= US; break;
        case 3: word |= A; break;
        case 4: word |= A | D; break;
        case 5: word ^= G; break;
        case 6: word &= ~(uint32_t)(A | D); break;
        default: word ^= 0x1000;
        }
        side.memory.set(pa, word, 4);
    }

    void control(mmu_control which, uint64_t value) {
        int a = a_.mmu->control(which, value), b = b_.mmu->control(which, value);
        compare("control result", a, b);
    }

    void random_cr4() {
        static const uint64_t bits[] = {CR4_PSE, CR4_PGE, CR4_SMEP, CR4_SMAP, CR4_PCIDE, CR4_PCIDE};
        uint64_t cr4 = read(MMU_CR4) ^ bits[random_below(6)];
        if (one_in(20)) { cr4 ^= CR4_PAE; }
        cr4 ^= unseen(~(uint64_t)(CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP));
        if ((cr4 & CR4_PCIDE) && !(read(MMU_CR4) & CR4_PCIDE) && !one_in(8)) {
            control(MMU_CR3, table(root_level(), 0)); /* its PCID is to be 0 */
        }
        control(MMU_CR4, cr4);
        /* Back to the program's mode: 32-bit tables read as PAE would only fault. */
        if ((read(MMU_CR4) ^ base_cr4()) & CR4_PAE) { control(MMU_CR4, read(MMU_CR4) ^ CR4_PAE); }
    }

    uint64_t random_pcid() { return wide_ && one_in(2) ? wide_pcid_ : random_below(3); }

    void random_cr3() {
        uint64_t cr3 = random_root();
        if (read(MMU_CR4) & CR4_PCIDE) { cr3 = (cr3 & ~CR3_PCID) | random_pcid() | (one_in(2) ? CR3_KEEP : 0); }
        if (one_in(30)) { cr3 |= (uint64_t)1 << (32 + random_below(32)); }
        control(MMU_CR3, cr3);
    }

    void random_efer() {
        uint64_t efer = read(MMU_EFER) & ~EFER_LMA;
        control(MMU_EFER, (one_in(6) ? efer ^ EFER_LME : efer ^ EFER_NXE) ^ unseen(~(uint64_t)(EFER_LME | EFER_NXE)));
        if (mode_ != FOUR_LEVEL && (read(MMU_EFER) & EFER_LME)) { control(MMU_EFER, efer & ~EFER_LME); }
    }

    void random_pat() {
        static const uint8_t types[] = {0, 1, 4, 5, 6, 7};
        uint64_t pat = 0;
        for (unsigned i = 0; i < 8; i++) { pat = pat << 8 | types[random_below(6)]; }
        if (wide_ && one_in(4)) { pat = random(); }
        control(MMU_PAT, one_in(6) ? pat ^ (uint64_t)1 << random_below(64) : pat);
    }

    void random_control() {
        switch (random_below(9)) {
        case 0:
        case 1: random_cr3(); break;
        case 2:
        case 3: random_cr4(); break;
        case 4: control(MMU_CR0, read(MMU_CR0) ^ CR0_WP ^ unseen(~(uint64_t)(CR0_PE | CR0_WP | CR0_PG))); break;
        case 5: control(MMU_EFLAGS_AC, random_below(2) ? 1 | unseen(~(uint64_t)0) : 0); break;
        case 6:
            if (one_in(4)) { control(MMU_CR0, read(MMU_CR0) ^ CR0_PG); }
            if (one_in(8)) { control(MMU_CR0, CR0_PG); }
            break;
        case 7: random_pat(); break;
        default:
            if (one_in(2)) { random_efer(); }
            if (!(read(MMU_CR0) & CR0_PG)) {
                if (mode_ == FOUR_LEVEL) { control(MMU_EFER, read(MMU_EFER) | EFER_LME); }
                control(MMU_CR0, CR0_PE | CR0_PG | CR0_WP);
            }
        }
    }

    void random_invpcid() {
        uint64_t type = random_below(one_in(10) ? 6 : 4), pcid = one_in(2) ? read(MMU_CR3) & CR3_PCID : random_pcid();
        if (wide_ && one_in(6)) {
            type = one_in(2) ? type | (uint64_t)1 << random_below(64) : random();
            if (one_in(2)) { pcid = random(); }
        }
        if (one_in(30)) { pcid |= (uint64_t)1 << random_below(64); }
        if (one_in(30)) { pcid = CR3_PCID + random_below(2); } /* the greatest, and one more */
        va_t va = random_va();
        compare("INVPCID", a_.mmu->ops()->invpcid(a_.mmu->mmu(), type, pcid, va),
                b_.mmu->ops()->invpcid(b_.mmu->mmu(), type, pcid, va));
    }

    uint64_t read(mmu_control which) { return a_.mmu->ops()->read_control(a_.mmu->mmu(), which); }

    void one_step() {
        uint64_t roll = random_below(100);
        if (roll < 74) {
            accesses();
        } else if (roll < 82) {
            change_table();
        } else if (roll < 88) {
            va_t va = random_va();
            a_.mmu->ops()->invlpg(a_.mmu->mmu(), va);
            b_.mmu->ops()->invlpg(b_.mmu->mmu(), va);
        } else if (roll < 90) {
            random_invpcid();
        } else {
            random_control();
        }
    }

    /* No flush here: what is stale then is stale in both. */
    void change_table() {
        if (mode_ == PAE && one_in(6)) {
            store(pointers(0) + 8 * random_below(4 * TABLE_COUNT), random_pointer());
            return;
        }
        unsigned level = one_in(2) ? 1 : 1 + (unsigned)random_below(root_level());
        pa_t pa = random_entry_pa(level);
        store(pa, one_in(3) ? a_.memory.get(pa, bytes()) & ~(A | D) : random_entry(level));
    }

    void accesses() {
        std::array<mmu_request, 14> requests = {}; /* more than an MMU holds at a time */
        size_t count = 1 + random_below(one_in(4) ? requests.size() : 6);
        for (size_t i = 0; i < count; i++) {
            requests[i].va = random_va();
            requests[i].type = (uint8_t)random_below(4);
            requests[i].mode = (uint8_t)random_below(3);
            requests[i].size = 1;
        }
        std::array<mmu_result, 14> a, b;
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
        if (a.vector == MMU_VECTOR_NONE) {
            compare("pa", a.pa, b.pa);
            compare("memory_type", a.memory_type, b.memory_type);
        }
        if (a.vector == MMU_VECTOR_PF) {
            error_codes_.insert(a.error_code);
            compare("cr2", a.cr2, b.cr2);
            compare("error_code", a.error_code, b.error_code);
        }
        compare("hit", a.hit, b.hit);
        compare("page_shift", a.page_shift, b.page_shift);
        compare("psc_level", a.psc_level, b.psc_level);
        compare_cycles("cycles", a.cycles, b.cycles);
        compare_cycles("done", a.done, b.done);
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
        for (unsigned i = 0; i < MMU_ARRAYS; i++) { compare("statistics: hits", a.hits[i], b.hits[i]); }
        for (unsigned side = 0; side < TLB_SIDES; side++) {
            for (unsigned size = 0; size < TLB_PAGE_SIZES; size++) {
                compare("statistics: misses", a.misses[side][size], b.misses[side][size]);
            }
            compare("statistics: pde_hits", a.pde_hits[side], b.pde_hits[side]);
        }
        compare("statistics: miss_fault, instruction", a.miss_fault[0], b.miss_fault[0]);
        compare("statistics: miss_fault, data", a.miss_fault[1], b.miss_fault[1]);
        compare("statistics: walks", a.walks, b.walks);
        compare("statistics: walk_restarts", a.walk_restarts, b.walk_restarts);
        compare("statistics: dirty_walks", a.dirty_walks, b.dirty_walks);
        compare_cycles("statistics: walk_cycles", a.walk_cycles, b.walk_cycles);
        compare("statistics: table_reads", a.table_reads, b.table_reads);
        compare("statistics: table_writes", a.table_writes, b.table_writes);
        compare("statistics: faults", a.faults, b.faults);
        compare("statistics: pdpte_loads", a.pdpte_loads, b.pdpte_loads);
        compare("statistics: invlpg", a.invlpg, b.invlpg);
        compare("statistics: invpcid", a.invpcid, b.invpcid);
        compare("statistics: cr3_writes", a.cr3_writes, b.cr3_writes);
        compare("statistics: flush_all", a.flush_all, b.flush_all);
        compare("statistics: fault_drops", a.fault_drops, b.fault_drops);
        compare_cycles("statistics: cycles", a.cycles, b.cycles);
        compare_cycles("cycles()", a_.mmu->ops()->cycles(a_.mmu->mmu()), b_.mmu->ops()->cycles(b_.mmu->mmu()));
        for (mmu_control which : {MMU_CR0, MMU_CR3, MMU_CR4, MMU_EFER, MMU_EFLAGS_AC, MMU_PAT}) {
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
            compare("TLB array", a[i].array, b[i].array);
            compare("TLB class", a[i].tlb_class, b[i].tlb_class);
            compare("TLB set", a[i].set, b[i].set);
            compare("TLB way", a[i].way, b[i].way);
            compare("TLB va", a[i].va, b[i].va);
            compare("TLB pa", a[i].pa, b[i].pa);
            compare("TLB writable", a[i].writable, b[i].writable);
            compare("TLB user", a[i].user, b[i].user);
            compare("TLB dirty", a[i].dirty, b[i].dirty);
            compare("TLB global", a[i].global, b[i].global);
            compare("TLB pcid", a[i].pcid, b[i].pcid);
            compare("TLB memory", a[i].memory, b[i].memory);
            compare("TLB execute_disable", a[i].execute_disable, b[i].execute_disable);
            compare("TLB fragment", a[i].fragment, b[i].fragment);
        }
    }

    void compare(const char *what, uint64_t a, uint64_t b) {
        if (a == b || !difference_.empty()) { return; }
        std::ostringstream as, bs;
        as << std::hex << a;
        bs << std::hex << b;
        note(what, as.str(), bs.str());
    }

    void compare_cycles(const char *what, uint64_t a, uint64_t b) {
        if (like_cycles_) { compare(what, a, b); }
    }

    void note(const char *what, const std::string &a, const std::string &b) {
        if (!difference_.empty()) { return; }
        std::ostringstream out;
        out << "preset " << preset_.name << ", mode " << mode_ << ", step " << step_ << std::hex;
        if (request_) {
            out << ", va " << request_->va << " type " << (unsigned)request_->type << " mode "
                << (unsigned)request_->mode << " cr0 " << read(MMU_CR0) << " cr4 " << read(MMU_CR4);
        }
        out << ": " << what << " is " << a << " on " << a_.mmu->ops()->name << ", " << b << " on "
            << b_.mmu->ops()->name;
        difference_ = out.str();
    }

    mmu_preset preset_;
    Mode mode_ = TWO_LEVEL;
    bool like_cycles_ = true, wide_ = false;
    pa_t table_[POINTERS + 1][TABLE_COUNT] = {}; /* of wide programs */
    uint64_t region_[REGIONS] = {}, wide_pcid_ = 0;
    unsigned page_[PAGES] = {};
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
