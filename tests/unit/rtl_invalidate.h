/* The invalidation program: accesses stream into the Verilog MMU while another CPU, as it were, changes page tables and
 * INVLPG and INVPCID are taken at any cycle, walks and look-ups in flight or not. What an access may see: each
 * translation that its page has had since the last invalidation of the page that was taken no later than the access,
 * or, if the access waited behind another one when a later invalidation was taken, since that. Shared with the mutants
 * test.
 * FAULTS: pages come and go, and addresses and operands are sometimes refused; a fault forgets what was taken before its cycle.
 * POINTERS: in PAE paging, whose CR3 writes read four pointers. */
#ifndef TESTS_RTL_INVALIDATE_H
#define TESTS_RTL_INVALIDATE_H

#include "mmu_harness.h"

#include <algorithm>
#include <deque>
#include <sstream>
#include <vector>

extern "C" {
#include "../../tb/pins.h"
}

class InvalidateProgram {
  public:
    enum Kind { PLAIN, FAULTS, POINTERS };

    InvalidateProgram(const std::string &object, const mmu_preset &preset, uint64_t seed, Kind kind = PLAIN)
        : kind_(kind), cycle_(reinterpret_cast<rtl_cycle_fn>(object_symbol(object, RTL_CYCLE_SYMBOL))),
          random_(seed * 0x9E3779B97F4A7C15u + 1), mmu_(object_ops(object), preset, memory_, seed) {
        rarity_ = 5 + below(60);
        memory_.latency = [this](pa_t, bool, uint64_t) { return 1 + (uint32_t)below(6); };
        make_tables();
        mmu_.control(MMU_CR4, CR4_PAE | CR4_PGE);
        mmu_.control(MMU_CR3, kind_ == POINTERS ? ROOT + 0x1000 : ROOT);
        if (kind_ != POINTERS) { mmu_.control(MMU_EFER, EFER_LME); }
        mmu_.control(MMU_CR0, CR0);
        if (kind_ != POINTERS) {
            mmu_.control(MMU_CR4, CR4);
            mmu_.control(MMU_CR3, ROOT | PCID);
        }
        for (unsigned page = 0; page < PAGES; page++) { seen_[page].push_back(frame_of(page)); }
    }

    /* "" if each access got what it may. */
    std::string run(unsigned cycles) {
        rtl_pins pins = {};
        pins.req_ready = true;
        for (step_ = 0; step_ < cycles && difference_.empty(); step_++) {
            if (below(12) == 0) { change_table(); }
            bool accepted = offer(pins);
            cycle_(mmu_.mmu(), &pins);
            if (pins.inv_valid) { invalidated(pins); }
            if (accepted) {
                bool refused = !pins.control && !canonical(pins.request.va);
                unsigned page = pins.control || refused ? NO_PAGE : page_of(pins.request.va);
                uint64_t since = page == NO_PAGE ? 0 : since_[page];
                bool writes_ac = pins.control && pins.which == MMU_EFLAGS_AC;
                waiting_.push_back({page, since, mmu_.ops()->cycles(mmu_.mmu()), refused, writes_ac, pins.value});
            }
            if (pins.rsp_valid) { answered(pins); }
        }
        pins.req_valid = pins.inv_valid = false;
        for (unsigned i = 0; i < DRAIN && !waiting_.empty() && difference_.empty(); i++) {
            cycle_(mmu_.mmu(), &pins);
            if (pins.rsp_valid) { answered(pins); }
        }
        if (difference_.empty() && !waiting_.empty()) { difference_ = "requests are never answered"; }
        if (difference_.empty()) { compare_controls(); }
        return difference_;
    }

    unsigned step() const { return step_; }
    uint64_t answers() const { return answers_; }
    uint64_t old_answers() const { return old_answers_; }
    uint64_t faults() const { return faults_; }

  private:
    struct Waiting {
        unsigned page; /* NO_PAGE: a write of a control register */
        size_t since;  /* in seen_: the first translation that it may see */
        uint64_t cycle;
        bool refused, writes_ac;
        uint64_t value;
    };
    /* Pages in two regions of 2 MB; each region has two page tables, of which its PDE points to one. */
    static constexpr unsigned PAGES = 8, PER_REGION = 4, PCID = 5, NO_PAGE = PAGES, DRAIN = 2000;
    static constexpr uint64_t CR4 = CR4_PAE | CR4_PGE | CR4_PCIDE, CR0 = CR0_PG | CR0_PE | CR0_WP;
    static constexpr pa_t ROOT = 0x10000, ABSENT = ~(pa_t)0; /* no translation */
    static pa_t pde_at(unsigned region) { return ROOT + 0x2000 + region * 8; }
    static pa_t table(unsigned region, unsigned which) { return 0x20000 + (region * 2 + which) * 0x1000; }
    static pa_t pte_at(unsigned page, unsigned which) {
        return table(page / PER_REGION, which) + page % PER_REGION * 8;
    }
    static va_t va_of(unsigned page) { return (va_t)(page / PER_REGION) << 21 | (va_t)(page % PER_REGION) << 12; }
    static bool canonical(va_t va) { return va >> 47 == 0 || va >> 47 == 0x1FFFF; }
    static unsigned page_of(va_t va) { return (unsigned)((va >> 21) * PER_REGION + (va >> 12 & 0x1FF)); }

    uint64_t below(uint64_t n) {
        random_ = random_ * 6364136223846793005u + 1442695040888963407u;
        return (random_ >> 33) % n;
    }

    void store(pa_t pa, uint64_t entry) {
        memory_.words[pa] = (uint32_t)entry;
        memory_.words[pa + 4] = (uint32_t)(entry >> 32);
    }
    uint64_t load(pa_t pa) const { return memory_.get(pa) | (uint64_t)memory_.get(pa + 4) << 32; }

    void make_tables() {
        store(ROOT, (ROOT + 0x1000) | 0x27);
        store(ROOT + 0x1000, (ROOT + 0x2000) | (kind_ == POINTERS ? 1 : 0x27));
        for (unsigned region = 0; region < PAGES / PER_REGION; region++) {
            store(pde_at(region), table(region, 0) | 7);
        }
        for (unsigned page = 0; page < PAGES; page++) {
            for (unsigned which = 0; which < 2; which++) { new_frame(page, which); }
        }
    }

    void new_frame(unsigned page, unsigned which) {
        store(pte_at(page, which), next_frame_ << 12 | 7 | (below(2) ? 0x60 : 0));
        if (kind_ == FAULTS && below(3) == 0) { store(pte_at(page, which), 0); }
        next_frame_++;
    }

    pa_t frame_of(unsigned page) const {
        unsigned which = (load(pde_at(page / PER_REGION)) & ~(uint64_t)0xFFF) == table(page / PER_REGION, 1);
        return frame_in(page, which);
    }
    pa_t frame_in(unsigned page, unsigned which) const {
        uint64_t entry = load(pte_at(page, which));
        return entry & 1 ? entry & ~(uint64_t)0xFFF : ABSENT;
    }

    /* A cached PDE may lead to the other table, so what stands there counts as seen, too, and last what is current. */
    void note(unsigned page) {
        for (unsigned which = 0; which < 2; which++) {
            seen_[page].push_back(frame_in(page, which));
        }
        seen_[page].push_back(frame_of(page));
    }

    void change_table() {
        unsigned page = (unsigned)below(PAGES), region = page / PER_REGION;
        if (below(4) == 0) {
            uint64_t pde = load(pde_at(region)) & ~(uint64_t)0xFFF;
            store(pde_at(region), (pde == table(region, 0) ? table(region, 1) : table(region, 0)) | 7);
            for (unsigned i = 0; i < PER_REGION; i++) { note(region * PER_REGION + i); }
        } else {
            new_frame(page, (unsigned)below(2));
            note(page);
        }
        last_changed_ = page;
    }

    /* A write that changes nothing that is cached: it only has to wait for its turn. */
    void choose_control(rtl_pins &pins) {
        static const uint64_t same[] = {CR0, ROOT | PCID | CR3_KEEP, CR4, EFER_LME, 0, PAT_RESET};
        static const uint64_t same_pae[] = {CR0, ROOT + 0x1000, CR4_PAE | CR4_PGE, 0, 0, PAT_RESET};
        pins.which = (uint8_t)below(6);
        pins.value = pins.which == MMU_EFLAGS_AC ? below(2) : kind_ == POINTERS ? same_pae[pins.which] : same[pins.which];
    }

    /* What has been written, once nothing is under way: reading a register is an edge of the clock. */
    void compare_controls() {
        auto held = [this](mmu_control which) { return mmu_.ops()->read_control(mmu_.mmu(), which); };
        bool pae = kind_ == POINTERS;
        bool right = held(MMU_CR0) == CR0 && held(MMU_CR3) == (pae ? ROOT + 0x1000 : ROOT | PCID) &&
                     held(MMU_CR4) == (pae ? CR4_PAE | CR4_PGE : CR4) &&
                     held(MMU_EFER) == (pae ? 0 : EFER_LME | EFER_LMA) && held(MMU_PAT) == PAT_RESET &&
                     held(MMU_EFLAGS_AC) == ac_;
        if (!right) { difference_ = "a control register was written wrongly"; }
    }

    /* Whether the request will be taken. */
    bool offer(rtl_pins &pins) {
        bool ready = pins.req_ready;
        pins.req_valid = below(3) != 0;
        unsigned page = (unsigned)(below(2) ? last_changed_ : below(PAGES));
        pins.request = {va_of(page) | below(4096), (uint8_t)below(4), MMU_SUPERVISOR, 1};
        pins.control = below(8) == 0;
        if (pins.control) { choose_control(pins); }
        pins.inv_valid = below(rarity_) == 0;
        pins.inv_pcid_op = below(2);
        pins.inv_type = below(4);
        pins.inv_pcid = PCID;
        pins.inv_va = va_of(below(4) ? last_changed_ : (unsigned)below(PAGES)) | below(4096);
        if (kind_ == POINTERS) { pins.inv_pcid = 0; }
        if (kind_ == FAULTS) {
            if (below(20) == 0) { pins.request.va |= (va_t)1 << 47; }
            if (below(10) == 0) { pins.inv_va |= (va_t)1 << 63; }
            if (below(20) == 0) { pins.inv_pcid |= 0x1000; }
        }
        return pins.req_valid && ready;
    }

    /* The accesses behind the oldest have not been looked up yet, and this one is taken later than what is in memory.
     */
    void invalidated(const rtl_pins &pins) {
        bool one = !pins.inv_pcid_op || pins.inv_type == 0;
        bool refused = pins.inv_pcid_op && (pins.inv_pcid > 0xFFF || (pins.inv_type == 0 && !canonical(pins.inv_va)));
        if (!pins.inv_done || pins.inv_vector != (refused ? +MMU_VECTOR_GP : +MMU_VECTOR_NONE)) {
            difference_ = "an invalidation was not done";
        }
        if (refused || (one && !canonical(pins.inv_va))) { return; }
        for (unsigned page = 0; page < PAGES; page++) {
            if (one && page != page_of(pins.inv_va)) { continue; }
            since_[page] = seen_[page].size() - 1;
            for (size_t i = 1; i < waiting_.size(); i++) {
                if (waiting_[i].page == page) { waiting_[i].since = since_[page]; }
            }
        }
    }

    void answered(const rtl_pins &pins) {
        if (waiting_.empty()) {
            difference_ = "an answer to nothing";
            return;
        }
        Waiting request = waiting_.front();
        waiting_.pop_front();
        answers_++;
        if (pins.vector != MMU_VECTOR_NONE) { waiting_.clear(); }
        if (request.page == NO_PAGE) {
            if (request.writes_ac) { ac_ = request.value; }
            if (pins.vector != (request.refused ? +MMU_VECTOR_GP : +MMU_VECTOR_NONE)) {
                difference_ = "wrong answer to a write of a control register or to an address that is not canonical";
            }
            return;
        }
        const std::vector<pa_t> &seen = seen_[request.page];
        pa_t frame = pins.vector == MMU_VECTOR_PF ? ABSENT : pins.pa & ~(pa_t)0xFFF;
        faults_ += frame == ABSENT;
        bool allowed = std::find(seen.begin() + (long)request.since, seen.end(), frame) != seen.end();
        old_answers_ += frame != seen.back();
        if ((pins.vector == MMU_VECTOR_NONE || pins.vector == MMU_VECTOR_PF) && allowed) { return; }
        std::ostringstream out;
        out << "page " << request.page << ", taken in cycle " << request.cycle << ", answered in "
            << mmu_.ops()->cycles(mmu_.mmu()) << ": vector " << (unsigned)pins.vector << std::hex << ", frame " << frame
            << ", now it is " << seen.back() << ", hit " << (unsigned)pins.hit;
        difference_ = out.str();
    }

    Kind kind_;
    rtl_cycle_fn cycle_;
    uint64_t ac_ = 0; /* as it was written last */
    uint64_t random_, rarity_ = 1, next_frame_ = 0x100, answers_ = 0, old_answers_ = 0, faults_ = 0;
    TestMemory memory_;
    TestMmu mmu_;
    std::vector<pa_t> seen_[PAGES];
    size_t since_[PAGES] = {};
    std::deque<Waiting> waiting_;
    unsigned last_changed_ = 0, step_ = 0;
    std::string difference_;
};

#endif
