// A booted NT machine on the C MMU for tests: replays lines of VMT text and reads the results out of simulated memory
// by a table walk of its own, never through the kernel under test.
#ifndef NTMMU_TESTS_NT_HARNESS_H
#define NTMMU_TESTS_NT_HARNESS_H

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "small_preset.h"

extern "C" {
#include "ntmmu/machine.h"
#include "ntmmu/nt_view.h"
#include "ntmmu/pte.h"
#include "ntmmu/status.h"
#include "ntmmu/trace.h"
}

class NtMachine {
  public:
    machine *m = nullptr;
    std::vector<log_record> log; // of the last run()
    machine_result last = {};

    static os_config manual(os_boot boot = OS_CFG_A) {
        os_config config = {};
        config.boot = boot;
        config.manual_threads = true;
        return config;
    }
    explicit NtMachine(const os_config &os = manual()) {
        machine_config config = {};
        config.mmu = &mmu_c_ops;
        config.preset = small_preset(16, 4);
        config.os = &nt_os_ops;
        config.os_config = os;
        m = machine_create(&config, error, sizeof error);
        if (m) { log_subscribe(machine_log(m), ~0u, collect, &log); }
    }
    ~NtMachine() {
        if (m) { machine_destroy(m); }
    }
    NtMachine(const NtMachine &) = delete;
    NtMachine &operator=(const NtMachine &) = delete;

    // Replays the lines; `last` is the result of the last event, `log` has the records of all of them.
    void run(const std::string &lines) {
        char path[] = "/tmp/nt_harnessXXXXXX";
        int fd = mkstemp(path);
        ASSERT_GE(fd, 0);
        std::string text = "!vmt 1\n" + lines + "\n!end\n";
        ASSERT_EQ(write(fd, text.data(), text.size()), ssize_t(text.size()));
        close(fd);
        trace_reader *reader = trace_open(path, error, sizeof error);
        unlink(path);
        ASSERT_NE(reader, nullptr) << error;
        log.clear();
        trace_item item = {};
        while (trace_next(reader, &item) == TRACE_EVENT) { last = *machine_step(m, &item.event); }
        EXPECT_NE(item_error(reader), true) << trace_error(reader);
        trace_close(reader);
    }
    void ok(const std::string &lines) {
        run(lines);
        EXPECT_EQ(last.stop, MACHINE_RUNS) << lines << " " << std::hex << last.bugcheck_code << " " << last.message;
        EXPECT_FALSE(last.exception) << lines << " " << std::hex << last.exception_code;
        EXPECT_FALSE(last.blocked) << lines;
    }
    // The status of the only fault of an access, 0 if it did not fault, the exception code if it ended in one.
    uint32_t status_of(const std::string &line) {
        run(line);
        EXPECT_EQ(last.stop, MACHINE_RUNS) << line << " " << std::hex << last.bugcheck_code << " " << last.message;
        if (last.exception) { return last.exception_code; }
        EXPECT_LE(last.status_count, 1u) << line;
        return last.status_count ? last.status[0] : 0;
    }
    uint32_t bugcheck_of(const std::string &line) {
        run(line);
        return last.stop == MACHINE_BUGCHECK ? last.bugcheck_code : 0;
    }

    uint32_t physical(pa_t pa) { return physmem_read32(machine_memory(m), pa); }
    uint64_t cr3(uint32_t pid) { return nt_os_ops.directory(machine_os(m), pid); }
    uint32_t word(uint32_t pid, va_t va) { // as that process's kernel sees it
        table_path path = table_walk(machine_memory(m), cr3(pid), CR4_PSE, va);
        EXPECT_TRUE(path.present) << std::hex << va;
        return path.present ? physical(path.pa) : 0xDEADDEAD;
    }
    uint16_t half(uint32_t pid, va_t va) { return uint16_t(word(pid, va & ~va_t(3)) >> 8 * (va & 2)); }
    uint32_t pde(uint32_t pid, va_t va) { return physical(cr3(pid) + (va >> 22) * 4); }
    uint32_t pte(uint32_t pid, va_t va) {
        uint32_t table = pde(pid, va);
        return table & 1 ? physical((table & ~0xFFFu) + (va >> 12 & 0x3FF) * 4) : 0;
    }
    mmpfn pfn(pfn_t frame) {
        uint32_t words[PFN_SIZE / 4];
        for (unsigned i = 0; i < PFN_SIZE / 4; i++) { words[i] = physical(0x200000 + PFN_SIZE * frame + i * 4); }
        mmpfn out;
        memcpy(&out, words, sizeof out);
        return out;
    }
    std::vector<uint32_t> list(mm_list number) { // by the links in memory
        std::vector<uint32_t> frames;
        for (uint32_t f = view().list[number].first; f != MM_EMPTY_LIST && frames.size() < 0x100000; f = pfn(f).u1) {
            frames.push_back(f);
        }
        EXPECT_EQ(frames.size(), view().list[number].count);
        return frames;
    }
    nt_memory_view view() {
        nt_memory_view v;
        nt_view_memory(machine_os(m), &v);
        return v;
    }
    nt_process_view process(uint32_t pid) {
        struct search {
            uint32_t pid;
            nt_process_view found;
        } s = {pid, {}};
        nt_view_processes(
            machine_os(m),
            [](void *ctx, const nt_process_view *p) {
                auto *at = static_cast<search *>(ctx);
                if (p->pid == at->pid) { at->found = *p; }
                return p->pid != at->pid;
            },
            &s);
        EXPECT_EQ(s.found.pid, pid);
        return s.found;
    }
    std::vector<log_record> records(log_kind kind) {
        std::vector<log_record> found;
        for (const auto &r : log) {
            if (r.kind == kind) { found.push_back(r); }
        }
        return found;
    }
    // The TLB operations in order: "I410000 C400000 F".
    std::string tlb() {
        std::string text;
        char one[32];
        for (const auto &r : records(LOG_TLB)) {
            const char letter[] = {'I', 'C', 'C', 'F'};
            snprintf(one, sizeof one, "%s%c%llX", text.empty() ? "" : " ", letter[r.a], (unsigned long long)r.b);
            text += one;
        }
        return text;
    }

    char error[256] = "";

  private:
    static void collect(void *ctx, const log_record *r) { static_cast<std::vector<log_record> *>(ctx)->push_back(*r); }
    static bool item_error(trace_reader *reader) { return trace_error(reader) && *trace_error(reader); }
};

#endif
