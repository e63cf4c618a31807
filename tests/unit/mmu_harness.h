/* What the MMU tests share: a small physical memory, presets and MMUs by name, an MMU with its lifetime. */
#ifndef TESTS_MMU_HARNESS_H
#define TESTS_MMU_HARNESS_H

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" {
#include "ntmmu/mmu.h"
#include "ntmmu/mmu_shortcut.h"
#include "ntmmu/vectors.h"
}

/* A few table entries, everything else 0; the latency and the other CPU of a test's choice. Words of 4 bytes: an entry
 * of 8 is two of them. */
struct TestMemory {
    std::map<pa_t, uint32_t> words;
    std::vector<uint8_t> ram; /* the lowest ones again, for mmu_c_use_ram; empty: none */
    std::function<uint32_t(pa_t, bool, uint64_t)> latency = [](pa_t, bool, uint64_t) { return 4u; };
    std::function<void(pa_t)> before_exchange; /* what another CPU stores just then */

    uint32_t get(pa_t pa) const {
        auto it = words.find(pa);
        return it == words.end() ? 0 : it->second;
    }

    uint64_t get(pa_t pa, unsigned bytes) const { return bytes == 4 ? get(pa) : get(pa) | (uint64_t)get(pa + 4) << 32; }
    void set(pa_t pa, uint64_t value, unsigned bytes) {
        words[pa] = (uint32_t)value;
        if (bytes == 8) { words[pa + 4] = (uint32_t)(value >> 32); }
        if (pa + bytes <= ram.size()) { memcpy(&ram[pa], &value, bytes); }
    }

    mmu_memory interface() {
        mmu_memory m = {};
        m.ctx = this;
        m.read = [](void *ctx, pa_t pa, unsigned bytes) -> uint64_t {
            return static_cast<TestMemory *>(ctx)->get(pa, bytes);
        };
        m.compare_exchange = [](void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) -> uint64_t {
            auto *memory = static_cast<TestMemory *>(ctx);
            if (memory->before_exchange) { memory->before_exchange(pa); }
            uint64_t held = memory->get(pa, bytes);
            if (held == expected) { memory->set(pa, desired, bytes); }
            return held;
        };
        m.latency = [](void *ctx, pa_t pa, bool exchange, uint64_t cycle) -> uint32_t {
            return static_cast<TestMemory *>(ctx)->latency(pa, exchange, cycle);
        };
        return m;
    }
};

inline mmu_preset test_preset(const std::string &name) {
    const char *directory = getenv("NTMMU_PRESET_SOURCES");
    mmu_preset preset;
    char err[512];
    if (preset_load(&preset, directory ? directory : "rtl/presets", name.c_str(), err, sizeof err) < 0) {
        throw std::runtime_error(err);
    }
    return preset;
}

/* An MMU's shared object. Stays loaded. Throws if it is not there: a test without it is no test. */
inline void *object_symbol(const std::string &path, const char *symbol) {
    void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) { throw std::runtime_error(std::string("dlopen: ") + dlerror()); }
    void *found = dlsym(handle, symbol);
    if (!found) { throw std::runtime_error(path + ": no " + symbol); }
    return found;
}

inline const mmu_ops *object_ops(const std::string &path) {
    return reinterpret_cast<mmu_ops_fn>(object_symbol(path, MMU_OPS_SYMBOL))();
}

/* The Verilated MMU FILE of the presets. */
inline std::string rtl_object(const std::string &file) {
    const char *directory = getenv("NTMMU_PRESET_DIR");
    return std::string(directory ? directory : "build/presets") + "/" + file + ".so";
}

inline const mmu_ops *rtl_ops(const std::string &file) { return object_ops(rtl_object(file)); }

/* For vectors_config.on_failure: keeps the first failing line in the std::string that ctx points to. */
inline void keep_first_failure(void *ctx, const vectors_failure *failure) {
    auto *text = static_cast<std::string *>(ctx);
    if (text->empty()) {
        *text = std::string(failure->file) + ":" + std::to_string(failure->line) + ": found " + failure->found +
                ", expected " + failure->expected;
    }
}

/* One MMU and its lifetime. power_on: what registers that reset leaves alone begin with, in an RTL object that is built
 * for it (tb/build_preset.sh). */
class TestMmu {
  public:
    TestMmu(const mmu_ops *ops, const mmu_preset &preset, TestMemory &memory, uint64_t power_on = 0) : ops_(ops) {
        setenv("NTMMU_POWER_ON", std::to_string(power_on).c_str(), 1);
        mmu_config config = {};
        config.preset = preset;
        config.memory = memory.interface();
        char err[512] = "";
        mmu_ = ops->create(&config, err, sizeof err);
        if (!mmu_) { throw std::runtime_error(err); }
    }
    ~TestMmu() { ops_->destroy(mmu_); }
    TestMmu(const TestMmu &) = delete;
    TestMmu &operator=(const TestMmu &) = delete;

    mmu_result access(va_t va, mmu_type type, mmu_mode mode = MMU_SUPERVISOR) {
        mmu_request request = {};
        request.va = va;
        request.type = (uint8_t)type;
        request.mode = (uint8_t)mode;
        request.size = 1;
        mmu_result result = {};
        ops_->translate(mmu_, &request, &result, 1);
        return result;
    }
    int control(mmu_control which, uint64_t value) { return ops_->write_control(mmu_, which, value); }
    mmu_statistics statistics() {
        mmu_statistics s;
        ops_->statistics(mmu_, &s);
        return s;
    }
    const mmu_ops *ops() const { return ops_; }
    struct mmu *mmu() {
        return mmu_;
    }

  private:
    const mmu_ops *ops_;
    struct mmu *mmu_;
};

#endif
