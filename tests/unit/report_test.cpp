// The counting rules on records and events made by hand, and the JSON file.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <jansson.h>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "small_preset.h"

extern "C" {
#include "ntmmu/report.h"
#include "ntmmu/status.h"
}

// A kernel that does nothing: the records come from the test. Its state is the pid that runs.
static uint64_t idle_ram(const os_config *, char *, size_t) { return 4 << 20; }
static os *idle_boot(os_machine *, const os_config *) { return reinterpret_cast<os *>(new uint32_t(1)); }
static void idle_destroy(os *o, bool) { delete reinterpret_cast<uint32_t *>(o); }
static os_outcome idle_fault(os *, va_t, uint32_t) { return {}; }
static os_service_result idle_service(os *, const event *) { return {}; }
static void idle_tick(os *) {}
static uint32_t idle_pid(const os *o) { return *reinterpret_cast<const uint32_t *>(o); }
static uint64_t idle_directory(const os *, uint32_t) { return 0; }
static void idle_counters(const os *, void (*visit)(void *, const char *, uint64_t), void *ctx) {
    visit(ctx, "commit_total", 42);
}
static const os_ops idle_os = {idle_ram, idle_boot, idle_destroy, idle_fault,     idle_service, idle_tick,
                               NULL,     idle_pid,  idle_pid,     idle_directory, idle_counters};

class Report : public ::testing::Test {
  protected:
    machine *m = nullptr;
    counting *c = nullptr;

    void SetUp() override {
        machine_config config = {};
        config.mmu = &mmu_c_ops;
        config.preset = small_preset(1, 1, 40);
        config.os = &idle_os;
        char err[256] = "";
        m = machine_create(&config, err, sizeof err);
        ASSERT_NE(m, nullptr) << err;
        c = counting_create(m);
        ASSERT_NE(c, nullptr);
    }
    void TearDown() override {
        counting_destroy(c);
        machine_destroy(m);
    }
    void become(uint32_t pid) {
        *reinterpret_cast<uint32_t *>(machine_os(m)) = pid;
        machine_log(m)->pid = pid;
    }
    void resolved(fault_kind kind, va_t va, uint64_t file = 0, uint64_t offset = 0) {
        log_send(machine_log(m), LOG_RESOLVED, va, STATUS_SUCCESS, kind, file, offset);
    }
    void begin(event e) {
        e.index = ++machine_log(m)->event;
        counting_event(c, &e);
    }
    void returned(ntstatus_t status, va_t base = 0, va_t size = 0) {
        log_send(machine_log(m), LOG_STATUS, status, base, size, 0, 0);
    }
    void happened(const event &e, va_t base = 0, va_t size = 0, ntstatus_t status = STATUS_SUCCESS) {
        begin(e);
        returned(status, base, size);
    }
    void fork(uint32_t child, uint32_t parent) {
        event e = {};
        e.kind = EV_FORK;
        e.fork = {child, parent, child * 100};
        happened(e);
    }
    void process(event_kind kind, uint32_t pid) {
        event e = {};
        e.kind = kind;
        e.proc.pid = pid;
        happened(e);
    }
    void free_range(va_t base, va_t size, ntstatus_t status = STATUS_SUCCESS) { // as the kernel rounds them
        event e = {};
        e.kind = EV_FREE;
        happened(e, base, size, status);
    }
    void map(va_t base, va_t size) {
        event e = {};
        e.kind = EV_MAP;
        happened(e, base, size);
    }
    void unmap(va_t base) {
        event e = {};
        e.kind = EV_UNMAP;
        e.range.base = base;
        happened(e);
    }
    const first_touches *t() { return counting_totals(c); }
};

TEST_F(Report, FirstTouchOfAPrivatePageCountsOnce) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    resolved(FAULT_TRANSITION, 0x410010); // it came back
    resolved(FAULT_PAGE_FILE, 0x410020);
    resolved(FAULT_DEMAND_ZERO, 0x411000);
    EXPECT_EQ(t()->demand_zero, 2u);
}

TEST_F(Report, AFilePageIsHardForTheFirstProcessOnly) {
    become(1);
    resolved(FAULT_FILE, 0x410000, 77, 0x3000);
    resolved(FAULT_FILE, 0x410000, 77, 0x3000); // again after it had gone
    resolved(FAULT_FILE, 0x420000, 77, 0x3000); // a second view of it
    become(2);
    resolved(FAULT_FILE, 0x410000, 77, 0x3000);
    resolved(FAULT_FILE, 0x411000, 77, 0x4000);
    resolved(FAULT_FILE, 0x412000, 78, 0x3000);
    EXPECT_EQ(t()->file_first_hard, 3u);
    EXPECT_EQ(t()->file_first_soft, 2u);
}

TEST_F(Report, AWriteToAFilePageIsAFileFaultAndACopy) {
    become(1);
    resolved(FAULT_FILE, 0x410000, 77, 0);
    resolved(FAULT_COW_FILE, 0x410000);
    EXPECT_EQ(t()->file_first_hard, 1u);
    EXPECT_EQ(t()->cow_file, 1u);
}

TEST_F(Report, AChildsFirstTouchOfAnInheritedPageCountsApart) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    resolved(FAULT_FILE, 0x500000, 77, 0);
    fork(2, 1);
    become(2);
    resolved(FAULT_CLONE, 0x410000);
    resolved(FAULT_COW_FORK, 0x410000);
    resolved(FAULT_FILE, 0x500000, 77, 0); // inherited, too: neither hard nor soft
    resolved(FAULT_FILE, 0x501000, 77, 0x1000);
    resolved(FAULT_DEMAND_ZERO, 0x411000);
    become(1);
    resolved(FAULT_COW_REUSE, 0x410000);
    EXPECT_EQ(t()->fork_child_first_touch, 2u);
    EXPECT_EQ(t()->demand_zero, 2u);
    EXPECT_EQ(t()->file_first_hard, 2u);
    EXPECT_EQ(t()->file_first_soft, 0u);
    EXPECT_EQ(t()->cow_fork, 1u);
    EXPECT_EQ(t()->cow_reuse, 1u);
}

TEST_F(Report, AGrandchildInheritsWhatItsParentOnlyInherited) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    fork(2, 1);
    fork(3, 2);
    become(3);
    resolved(FAULT_CLONE, 0x410000);
    resolved(FAULT_COW_FORK, 0x410000);
    EXPECT_EQ(t()->fork_child_first_touch, 1u);
}

TEST_F(Report, ExecAndExitForget) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    process(EV_EXEC, 1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    fork(2, 1);
    process(EV_EXEC, 2);
    become(2);
    resolved(FAULT_DEMAND_ZERO, 0x410000); // nothing is inherited any more
    process(EV_PROC_EXIT, 2);
    resolved(FAULT_DEMAND_ZERO, 0x410000); // the pid again
    EXPECT_EQ(t()->demand_zero, 4u);
    EXPECT_EQ(t()->fork_child_first_touch, 0u);
}

// An exception that nobody handles ends a process, and no event says so: its pid is another's then.
TEST_F(Report, ANewProcessHasTouchedNothing) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    fork(2, 1);
    process(EV_PROC_CREATE, 1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    process(EV_PROC_CREATE, 2);
    become(2);
    resolved(FAULT_DEMAND_ZERO, 0x410000); // nothing is inherited
    EXPECT_EQ(t()->demand_zero, 3u);
    EXPECT_EQ(t()->fork_child_first_touch, 0u);
}

TEST_F(Report, FreedPagesAreNewAgain) {
    become(1);
    for (va_t va = 0x410000; va < 0x414000; va += 0x1000) { resolved(FAULT_DEMAND_ZERO, va); }
    free_range(0x411000, 0x1000);
    resolved(FAULT_DEMAND_ZERO, 0x410000); // never counted twice
    resolved(FAULT_DEMAND_ZERO, 0x411000);
    EXPECT_EQ(t()->demand_zero, 5u);
    free_range(0x410000, 0x4000, STATUS_INVALID_PARAMETER);
    resolved(FAULT_DEMAND_ZERO, 0x413000);
    EXPECT_EQ(t()->demand_zero, 5u);
    free_range(0x410000, 0x4000);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    resolved(FAULT_DEMAND_ZERO, 0x413000);
    EXPECT_EQ(t()->demand_zero, 7u);
}

TEST_F(Report, UnmappedViewsAreNewAgainInTheChildToo) {
    become(1);
    map(0x410000, 0x2000);
    resolved(FAULT_FILE, 0x411000, 77, 0x1000);
    fork(2, 1);
    unmap(0x410000);
    map(0x410000, 0x2000);
    resolved(FAULT_FILE, 0x411000, 77, 0x1000);
    become(2);
    unmap(0x410000);
    map(0x410000, 0x2000);
    resolved(FAULT_FILE, 0x411000, 77, 0x1000);
    EXPECT_EQ(t()->file_first_hard, 1u);
    EXPECT_EQ(t()->file_first_soft, 2u);
    EXPECT_EQ(t()->fork_child_first_touch, 0u);
}

TEST_F(Report, AnAddressInsideAViewUnmapsAllOfIt) {
    become(1);
    map(0x410000, 0x3000);
    for (va_t va = 0x410000; va < 0x414000; va += 0x1000) { resolved(FAULT_SECTION, va); }
    unmap(0x411010);
    for (va_t va = 0x410000; va < 0x414000; va += 0x1000) { resolved(FAULT_SECTION, va); }
    EXPECT_EQ(t()->section_first, 7u);
}

// What others touch while a service's thread waits was touched before.
TEST_F(Report, AServiceCountsWhenItReturns) {
    become(1);
    map(0x410000, 0x1000);
    event e = {};
    e.kind = EV_UNMAP;
    e.range.base = 0x410000;
    begin(e);
    uint64_t waiting = machine_log(m)->event;
    begin(event{});
    resolved(FAULT_SECTION, 0x410000);
    become(2);
    map(0x410000, 0x1000);
    resolved(FAULT_SECTION, 0x410000);
    become(1);
    machine_log(m)->event = waiting;
    returned(STATUS_SUCCESS);
    machine_log(m)->event = waiting + 2;
    resolved(FAULT_SECTION, 0x410000);
    become(2);
    resolved(FAULT_SECTION, 0x410000);
    EXPECT_EQ(t()->section_first, 3u);
}

// A bracket runs a service again that raised an exception.
TEST_F(Report, AServiceMayReturnAtTheSecondTime) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    event e = {};
    e.kind = EV_FREE;
    begin(e);
    log_send(machine_log(m), LOG_EXCEPTION, STATUS_ACCESS_VIOLATION, 0, 0, 0, 0);
    returned(STATUS_SUCCESS, 0x410000, 0x1000);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    EXPECT_EQ(t()->demand_zero, 2u);
}

TEST_F(Report, CallsCountAsTheEventsDo) {
    auto call = [this](const char *name, std::initializer_list<uint64_t> args, va_t base = 0, va_t size = 0) {
        event e = {};
        e.kind = EV_CALL;
        std::strcpy(e.text, name);
        std::copy(args.begin(), args.end(), e.args.arg);
        happened(e, base, size);
    };
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    call("NtFreeVirtualMemory", {0xFFFFFFFF, 0x410000, 0, 0x8000}, 0x410000, 0x1000);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    EXPECT_EQ(t()->demand_zero, 2u);
    become(2);
    call("NtMapViewOfSection", {7, 1}, 0x500000, 0x2000); // into process 1
    become(1);
    resolved(FAULT_SECTION, 0x501000);
    call("NtUnmapViewOfSection", {0xFFFFFFFF, 0x501800});
    resolved(FAULT_SECTION, 0x501000);
    EXPECT_EQ(t()->section_first, 2u);
    call("NtCreateProcess", {3, 0, 0, 0xFFFFFFFF, 0, 0, 0, 0});
    become(3);
    resolved(FAULT_CLONE, 0x410000);
    EXPECT_EQ(t()->fork_child_first_touch, 1u);
}

TEST_F(Report, MovedPagesStayTouched) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    event e = {};
    e.kind = EV_MOVE;
    e.move = {0x410000, 0x510000, 0x1000};
    happened(e);
    resolved(FAULT_TRANSITION, 0x510000);
    resolved(FAULT_DEMAND_ZERO, 0x510000);
    EXPECT_EQ(t()->demand_zero, 1u);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    EXPECT_EQ(t()->demand_zero, 2u);
}

TEST_F(Report, KernelAddressesAndGuardPagesAreNoTouches) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0xC0001040);
    resolved(FAULT_OTHER, 0x410000);
    resolved(FAULT_GUARD, 0x410000);
    EXPECT_EQ(t()->demand_zero, 0u);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    EXPECT_EQ(t()->demand_zero, 1u);
}

TEST_F(Report, SectionsThatThePagingFileBacks) {
    become(1);
    resolved(FAULT_SECTION, 0x410000);
    resolved(FAULT_SECTION, 0x410000);
    EXPECT_EQ(t()->section_first, 1u);
    EXPECT_EQ(t()->file_first_hard + t()->file_first_soft, 0u);
}

// ---- JSON ----

class ReportFile : public Report {
  protected:
    std::string directory;
    nt_memory_view memory = {};
    void SetUp() override {
        Report::SetUp();
        char name[] = "/tmp/report_test.XXXXXX";
        directory = mkdtemp(name);
    }
    void TearDown() override {
        Report::TearDown();
        for (auto &f : files()) { unlink((directory + "/" + f).c_str()); }
        rmdir(directory.c_str());
    }
    std::vector<std::string> files() {
        std::vector<std::string> out;
        DIR *d = opendir(directory.c_str());
        while (dirent *e = readdir(d)) {
            if (e->d_name[0] != '.') { out.push_back(e->d_name); }
        }
        closedir(d);
        return out;
    }
    run_report make() {
        run_report r = {};
        r.trace = "a.vmt";
        r.mmu = "c";
        r.cpu = "ref64";
        r.result = "completed";
        r.checks = "";
        r.machine = m;
        r.touches = t();
        memory.list[FreePageList].count = 1000;
        r.memory = &memory;
        return r;
    }
};

TEST_F(ReportFile, HasEveryDocumentedKey) {
    become(1);
    resolved(FAULT_DEMAND_ZERO, 0x410000);
    event e = {};
    e.kind = EV_RUN;
    e.run.vpn = 5;
    e.run.count = 10;
    e.run.access = EVENT_STORE;
    machine_step(m, &e);
    run_report r = make();
    char err[256];
    std::string path = directory + "/out.json";
    ASSERT_EQ(report_json(&r, path.c_str(), err, sizeof err), 0) << err;
    EXPECT_EQ(files().size(), 1u);
    json_t *root = json_load_file(path.c_str(), 0, nullptr);
    ASSERT_NE(root, nullptr);
    // the header documents the keys: each must be there
    std::ifstream header("csrc/include/ntmmu/report.h");
    ASSERT_TRUE(header) << "run from the source tree";
    EXPECT_EQ(json_integer_value(json_object_get(root, "stores")), 10);
    EXPECT_EQ(json_integer_value(json_object_get(root, "run_hits")), 9);
    EXPECT_EQ(json_integer_value(json_object_get(root, "demand_zero")), 1);
    EXPECT_EQ(json_integer_value(json_object_get(json_object_get(root, "faults"), "demand_zero")), 1);
    EXPECT_EQ(json_integer_value(json_object_get(json_object_get(root, "frames"), "free")), 1000);
    EXPECT_EQ(json_object_size(json_object_get(root, "frames")), 6u);
    EXPECT_EQ(json_integer_value(json_object_get(json_object_get(root, "kernel"), "commit_total")), 42);
    EXPECT_STREQ(json_string_value(json_object_get(root, "trace")), "a.vmt");
    const char *key;
    json_t *value;
    std::string text((std::istreambuf_iterator<char>(header)), std::istreambuf_iterator<char>());
    json_object_foreach(root, key, value) { EXPECT_NE(text.find(key), std::string::npos) << key; }
    for (const char *name :
         {"format",          "events",        "accesses",  "fetches",     "loads",      "kernel_touches",
          "touches",         "itlb_hit",      "itlb_miss", "dtlb_hit",    "istlb_hit",  "istlb_miss",
          "dstlb_hit",       "dstlb_miss",    "dtlb_miss", "page_faults", "exceptions", "file_first_hard",
          "file_first_soft", "section_first", "cow_file",  "cow_fork",    "cow_reuse",  "fork_child_first_touch",
          "cr3_switch",      "cr3_other",     "invlpg",    "flush_all",   "cycles",     "file_reads",
          "kernel_accesses", "kernel_misses"}) {
        EXPECT_TRUE(json_is_integer(json_object_get(root, name))) << name;
    }
    json_t *mmu = json_object_get(root, "mmu_statistics");
    for (const char *name : {"walks", "istlb_pde_hits", "dstlb_pde_hits", "pdpte_loads", "invpcid", "dirty_walks",
                             "walk_restarts", "walk_cycles", "table_reads", "table_writes", "faults", "invlpg",
                             "cr3_writes", "flush_all", "fault_drops", "itlb_miss_fault", "dtlb_miss_fault"}) {
        EXPECT_TRUE(json_is_integer(json_object_get(mmu, name))) << name;
    }
    json_t *tlb = json_object_get(mmu, "tlb");
    json_t *misses = json_object_get(mmu, "misses");
    for (const char *name : {"itlb_4k", "itlb_2m", "itlb_1g", "dtlb_4k", "dtlb_2m", "dtlb_1g"}) {
        EXPECT_TRUE(json_is_integer(json_object_get(json_object_get(tlb, name), "hits"))) << name;
        EXPECT_TRUE(json_is_integer(json_object_get(json_object_get(tlb, name), "misses"))) << name;
        EXPECT_TRUE(json_is_integer(json_object_get(misses, name))) << name;
    }
    json_decref(root);
}

TEST_F(ReportFile, AFullDiskIsAnErrorAndLeavesNothing) {
    run_report r = make();
    char err[256] = "";
    EXPECT_EQ(report_json(&r, "/dev/full", err, sizeof err), -1);
    EXPECT_NE(std::string(err).find("/dev/full: cannot write"), std::string::npos) << err;
    struct stat s;
    ASSERT_EQ(stat("/dev/full", &s), 0);
    EXPECT_TRUE(S_ISCHR(s.st_mode)); // still the device
    EXPECT_EQ(report_json(&r, (directory + "/no/such.json").c_str(), err, sizeof err), -1);
    EXPECT_TRUE(files().empty());
}

TEST_F(ReportFile, AFailureInTheMiddleLeavesTheOldFile) {
    run_report r = make();
    char err[6000] = "";
    std::string path = directory + "/out.json";
    std::ofstream(path) << "old";
    rlimit before, small;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    auto handler = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int rc = report_json(&r, path.c_str(), err, sizeof err);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    EXPECT_EQ(rc, -1);
    EXPECT_EQ(err, path + ": cannot write: File too large");
    EXPECT_EQ(files(), std::vector<std::string>{"out.json"});
    std::ifstream in(path);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "old");
    std::string longer(5000, 'x');
    EXPECT_EQ(report_json(&r, longer.c_str(), err, sizeof err), -1);
    EXPECT_EQ(err, longer + ": cannot write: File name too long");
}

TEST_F(ReportFile, ReplacesAnOldFile) {
    run_report r = make();
    char err[256];
    std::string path = directory + "/out.json";
    std::ofstream(path) << "old";
    ASSERT_EQ(report_json(&r, path.c_str(), err, sizeof err), 0);
    json_t *root = json_load_file(path.c_str(), 0, nullptr);
    EXPECT_NE(root, nullptr);
    json_decref(root);
    EXPECT_EQ(files().size(), 1u);
}

TEST_F(ReportFile, TheSummaryNeedsSomewhereToGo) {
    run_report r = make();
    FILE *full = fopen("/dev/full", "w");
    EXPECT_EQ(report_summary(&r, full), -1);
    fclose(full);
    char *text = nullptr;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    EXPECT_EQ(report_summary(&r, memory), 0);
    r.compared_with = "rtl";
    r.checks = "lockstep, audit";
    EXPECT_EQ(report_summary(&r, memory), 0);
    r.result = "failed";
    EXPECT_EQ(report_summary(&r, memory), 0);
    fclose(memory);
    std::string said = text;
    free(text);
    size_t alone = said.find("a.vmt: completed on MMU c, CPU ref64"), agree = said.find("MMU c and MMU rtl agree");
    ASSERT_NE(agree, std::string::npos);
    EXPECT_LT(alone, agree);
    EXPECT_EQ(said.find("checks"), said.find("checks       lockstep, audit", agree));
    EXPECT_NE(said.find("a.vmt: failed on MMU c", agree), std::string::npos);
}
