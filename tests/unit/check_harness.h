/* What the tests of the checks share: a small kernel with switches for its mistakes, and the replay of a trace given as
 * text with any of the five checks.
 *
 * The kernel: physical memory is mapped at 80000000 by large pages; process P has its directory in frame 10h + P. Every
 * user page is private demand-zero memory; frames are handed out from 100h on. */
#ifndef TESTS_CHECK_HARNESS_H
#define TESTS_CHECK_HARNESS_H

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

#include "small_preset.h"

extern "C" {
#include "ntmmu/check.h"
#include "ntmmu/nt_view.h"
#include "ntmmu/pte.h"
#include "ntmmu/status.h"
}

struct Mistakes {
    bool no_flush_on_protect = false, no_flush_on_free = false, no_flush_on_clear_dirty = false;
    bool page_not_zeroed = false;      /* a demand-zero page holds old bytes */
    bool wrong_frame_on_fault = false; /* the page faulted in a second time is another's */
    bool store_is_lost = false;        /* the page never becomes valid */
    bool refuses = false;              /* no fault is resolved */
};

struct FakeOs {
    os_machine *m = nullptr;
    Mistakes mistakes;
    uint32_t pid = 0, tid = 0, next_frame = 0x100;
    uint64_t reads = 0;
};

namespace fake {

inline Mistakes &mistakes_of_next() {
    static Mistakes mistakes;
    return mistakes;
}

inline FakeOs *os_of(const struct os *os) { return reinterpret_cast<FakeOs *>(const_cast<struct os *>(os)); }

inline uint32_t get(FakeOs *o, pa_t pa) {
    uint32_t v;
    o->m->ops->read(o->m, 0x80000000u + pa, &v, 4);
    return v;
}
inline void put(FakeOs *o, pa_t pa, uint32_t v) { o->m->ops->write(o->m, 0x80000000u + pa, &v, 4); }
inline pa_t directory(uint32_t pid) { return (pa_t)(0x10 + pid) << PAGE_SHIFT; }

inline pa_t pte_pa(FakeOs *o, va_t va) {
    pa_t pde = directory(o->pid) + (va >> 22) * 4;
    if (!(get(o, pde) & PTE_VALID)) { put(o, pde, o->next_frame++ << PAGE_SHIFT | PTE_TEMPLATE_USER_PDE); }
    return (get(o, pde) & 0xFFFFF000u) + (va >> 12 & 0x3FF) * 4;
}

inline void store_pte(FakeOs *o, va_t va, uint32_t value) {
    pa_t pa = pte_pa(o, va);
    uint32_t old = get(o, pa);
    put(o, pa, value);
    log_send(o->m->log, LOG_PTE, MiGetPteAddress(va), old, value, page_of(va), 0);
}

inline uint64_t ram_size(const os_config *, char *, size_t) { return 8u << 20; }

inline struct os *boot(os_machine *m, const os_config *) {
    auto *o = new FakeOs;
    o->m = m;
    o->mistakes = mistakes_of_next();
    for (uint32_t pid = 0; pid < 4; pid++) {
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t pde = i << 22 | PTE_TEMPLATE_DIRECT_MAP;
            m->ops->write(m, directory(pid) + 4 * (0x200 + i), &pde, 4);
        }
        uint32_t self = (uint32_t)directory(pid) | PTE_TEMPLATE_PRIVATE_KERNEL;
        m->ops->write(m, directory(pid) + 4 * 0x300, &self, 4);
    }
    m->ops->write_control(m, MMU_CR4, CR4_PSE | CR4_PGE);
    m->ops->write_control(m, MMU_CR3, directory(0));
    m->ops->write_control(m, MMU_CR0, CR0_PG | CR0_PE | CR0_WP);
    return reinterpret_cast<struct os *>(o);
}

inline void destroy(struct os *os, bool) { delete os_of(os); }

inline os_outcome page_fault(struct os *os, va_t cr2, uint32_t error_code) {
    FakeOs *o = os_of(os);
    os_outcome out = {};
    uint32_t old = cr2 < 0x80000000u ? get(o, pte_pa(o, cr2)) : 0;
    if (cr2 >= 0x7F000000u) {
        log_send(o->m->log, LOG_BUGCHECK, 0, 0, 0, 0, 0);
        o->m->ops->bugcheck(o->m, 0x50, cr2, 1, 2, 3);
    }
    if (cr2 < 0x10000 || (error_code & PF_PRESENT) || old == PTE_NO_ACCESS || o->mistakes.refuses) {
        out.kind = OS_EXCEPTION;
        out.status = STATUS_ACCESS_VIOLATION;
        out.p[0] = (error_code & PF_WRITE) != 0;
        out.p[1] = cr2;
        return out;
    }
    uint32_t frame = old ? old >> 12 : o->next_frame++;
    if (old && o->mistakes.wrong_frame_on_fault) { frame--; }
    if (o->mistakes.page_not_zeroed) { put(o, (pa_t)frame << PAGE_SHIFT, 0x12345678); }
    if (!o->mistakes.store_is_lost) { store_pte(o, cr2, frame << PAGE_SHIFT | 0x67); }
    log_send(o->m->log, LOG_WS, frame, 0, (uint32_t)page_of(cr2) | 0x401, 1, 0);
    log_send(o->m->log, LOG_RESOLVED, cr2, STATUS_PAGE_FAULT_DEMAND_ZERO, FAULT_DEMAND_ZERO, 0, 0);
    out.kind = OS_RETRY;
    out.status = STATUS_PAGE_FAULT_DEMAND_ZERO;
    return out;
}

/* Applies change to the entries of a range; flush says whether INVLPG follows. */
inline void each_pte(FakeOs *o, va_t base, va_t size, bool flush, const std::function<uint32_t(uint32_t)> &change) {
    for (va_t va = base; va < base + size; va += PAGE_SIZE) {
        uint32_t old = get(o, pte_pa(o, va)), value = change(old);
        if (old == value) { continue; }
        store_pte(o, va, value);
        if (flush) { o->m->ops->invlpg(o->m, va); }
    }
}

inline os_service_result service(struct os *os, const event *e) {
    FakeOs *o = os_of(os);
    os_service_result out = {};
    switch (e->kind) {
    case EV_SWITCH:
        o->tid = e->sw.tid;
        o->pid = e->sw.tid / 100;
        o->m->ops->write_control(o->m, MMU_CR3, directory(o->pid));
        break;
    case EV_ALLOC:
        out.out[0] = e->alloc.base;
        out.out[1] = e->alloc.size;
        log_send(o->m->log, LOG_COMMIT, 1, 2, 0, 0, 0);
        break;
    case EV_PROTECT: {
        uint32_t write = e->range.prot == MM_READWRITE ? PTE_WRITE : 0;
        each_pte(o, e->range.base, e->range.size, !o->mistakes.no_flush_on_protect,
                 [&](uint32_t pte) { return pte & PTE_VALID ? (pte & ~(uint32_t)PTE_WRITE) | write : pte; });
        break;
    }
    case EV_FREE:
        each_pte(o, e->free.base, e->free.size, !o->mistakes.no_flush_on_free, [](uint32_t) { return 0u; });
        break;
    case EV_TRIM: /* every page of the program's first 4 MB goes; comes back by a fault */
        each_pte(o, 0x10000, 0x10000, true, [](uint32_t pte) { return pte & ~(uint32_t)PTE_VALID; });
        break;
    case EV_FLUSH: /* clears D */
        each_pte(o, e->range.base, e->range.size, !o->mistakes.no_flush_on_clear_dirty,
                 [](uint32_t pte) { return pte & ~(uint32_t)PTE_DIRTY; });
        break;
    case EV_LOCK: out.status = STATUS_WORKING_SET_QUOTA; break;
    case EV_TIME: o->m->ops->bugcheck(o->m, 0x4E, 7, 8, 9, 10);
    case EV_UNLOCK: o->m->ops->panic(o->m, "not in this version");
    case EV_UNDRAIN: { /* TLB operations, a signal and a read, to be expected */
        os_io io = {};
        io.file = 77;
        io.offset = 0x3000;
        io.pages = 1;
        io.valid_bytes = 4096;
        io.frame[0] = 0x200;
        o->m->ops->invlpg(o->m, 0x20000);
        o->m->ops->write_control(o->m, MMU_CR3, directory(o->pid));
        o->m->ops->write_control(o->m, MMU_CR4, CR4_PSE);
        o->m->ops->write_control(o->m, MMU_CR4, CR4_PSE | CR4_PGE);
        log_send(o->m->log, LOG_SIGNAL, LOG_AVAILABLE_PAGES, 0, 0, 0, 0);
        o->m->ops->disk_start(o->m, &io);
        o->m->ops->disk_poll(o->m, false);
        log_send(o->m->log, LOG_LIST, FreePageList, 0x123, 1, 5, 0);
        log_send(o->m->log, LOG_PFN, 0x123, 0x100, 0x600, 1, 1);
        break;
    }
    case EV_DRAIN: return out;
    default: break;
    }
    return out;
}

inline void tick(struct os *) {}
inline void io_complete(struct os *, uint64_t, ntstatus_t) {}
inline uint32_t current_pid(const struct os *os) { return os_of(os)->pid; }
inline uint32_t current_tid(const struct os *os) { return os_of(os)->tid; }
inline uint64_t directory_of(const struct os *, uint32_t pid) { return pid < 4 ? directory(pid) : 0; }
inline void counters(const struct os *os, void (*visit)(void *, const char *, uint64_t), void *ctx) {
    visit(ctx, "frames_taken", os_of(os)->next_frame - 0x100);
}

inline const os_ops *ops() {
    static const os_ops ops = {ram_size,    boot,        destroy,     page_fault,   service, tick,
                               io_complete, current_pid, current_tid, directory_of, counters};
    return &ops;
}

} // namespace fake

struct Outcome {
    check_verdict verdict = CHECK_OK;
    std::string report, kind;
    bool says(const std::string &text) const { return report.find(text) != std::string::npos; }
    /* A check failed, and its report says all of this. */
    testing::AssertionResult fails_saying(std::initializer_list<std::string> texts) const {
        if (verdict != CHECK_FAILED) { return testing::AssertionFailure() << "verdict " << verdict << "\n" << report; }
        for (const std::string &text : texts) {
            if (!says(text)) { return testing::AssertionFailure() << "no '" << text << "' in\n" << report; }
        }
        return testing::AssertionSuccess();
    }
};

/* Replays the lines between `!vmt 1` and `!end` that a test gives. */
struct Replay {
    unsigned flags = CHECK_SHADOW | CHECK_STALENESS | CHECK_EXPECT;
    const os_ops *os = fake::ops();
    os_config os_options = {};
    Mistakes mistakes;
    bool closed = false;
    uint64_t audit_interval = 0;
    const mmu_ops *mmu[2] = {&mmu_c_ops, &mmu_c_ops};
    mmu_preset preset[2] = {small_preset(4, 4), small_preset(4, 4)};
    std::function<void(uint64_t event, machine *first, machine *second)> before; /* before each event */
    std::function<void(uint64_t event, machine *first)> after;

    Outcome run(const std::string &lines) {
        char path[] = "/tmp/check_test_XXXXXX";
        int fd = mkstemp(path);
        std::string text = "!vmt 1\n" + lines + "!end\n";
        EXPECT_EQ(write(fd, text.data(), text.size()), (ssize_t)text.size());
        close(fd);
        Outcome outcome = run_file(path);
        unlink(path);
        return outcome;
    }

  private:
    machine *create(unsigned k) {
        char err[512] = "";
        machine_config config = {};
        config.mmu = mmu[k];
        config.preset = preset[k];
        config.os = os;
        config.os_config = os_options;
        fake::mistakes_of_next() = mistakes;
        machine *m = machine_create(&config, err, sizeof err);
        EXPECT_NE(m, nullptr) << err;
        return m;
    }

    Outcome replay(trace_reader *reader, check *c, machine *const m[2]) {
        Outcome outcome;
        trace_item item;
        enum trace_item_kind kind = TRACE_EOF;
        while (outcome.verdict == CHECK_OK && (kind = trace_next(reader, &item)) != TRACE_EOF && kind != TRACE_ERROR) {
            if (kind == TRACE_EVENT) {
                if (before) { before(item.event.index, m[0], m[1]); }
                outcome.verdict = check_event(c, &item.event);
                if (after) { after(item.event.index, m[0]); }
            } else if (kind == TRACE_EXPECT) {
                outcome.verdict = check_expect(c, &item);
            }
        }
        EXPECT_NE(kind, TRACE_ERROR) << trace_error(reader);
        if (outcome.verdict == CHECK_OK) { outcome.verdict = check_finish(c); }
        outcome.report = check_report(c);
        outcome.kind = check_failure_kind(c);
        return outcome;
    }

    Outcome run_file(const char *path) {
        char err[512] = "";
        trace_reader *reader = trace_open(path, err, sizeof err);
        machine *m[2] = {create(0), flags & CHECK_LOCKSTEP ? create(1) : nullptr};
        check_config config = {};
        config.machine[0] = m[0];
        config.machine[1] = m[1];
        config.flags = flags;
        config.trace = "T.vmt";
        config.wave_command = "ntmmu wave T.vmt";
        config.closed = closed;
        config.audit_interval = audit_interval;
        check *c = check_create(&config, err, sizeof err);
        Outcome outcome;
        if (!reader || !m[0] || !c) {
            ADD_FAILURE() << err;
        } else {
            outcome = replay(reader, c, m);
        }
        check_destroy(c);
        machine_destroy(m[0]);
        machine_destroy(m[1]);
        trace_close(reader);
        return outcome;
    }
};

/* Why one machine of that kernel cannot be checked so; "" if it can. */
inline std::string why_not_checked(const os_ops *os, unsigned flags, void (*prepare)(machine *) = nullptr) {
    char err[200] = "";
    machine_config config = {};
    config.mmu = &mmu_c_ops;
    config.preset = small_preset(4, 4);
    config.os = os;
    machine *m = machine_create(&config, err, sizeof err);
    if (m && prepare) { prepare(m); }
    check_config wanted = {};
    wanted.machine[0] = m;
    wanted.flags = flags;
    check *c = m ? check_create(&wanted, err, sizeof err) : nullptr;
    check_destroy(c);
    machine_destroy(m);
    return c ? "" : err;
}

#endif
