// Writes a trace of everything at once (S-130): two processes and the children they fork, with random operations on
// private memory, views, locked pages and frames. A model of what each page is tells which accesses must end in an
// exception; what loads must return is the business of the shadow memory. Usage: torture SEED ROUNDS [--mild]
// [LINE…]: decimal; 64 operations a round; LINEs are put in front.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <vector>

namespace {

// RtlRandom of NT-93, so that a seed means the same trace everywhere.
class Random {
  public:
    explicit Random(uint32_t seed) : seed_(seed) {
        uint32_t x = 1;
        for (uint32_t &entry : table_) { entry = x = uniform(x); }
    }
    uint32_t below(uint32_t n) { return next() % n; }
    bool one_in(uint32_t n) { return below(n) == 0; }

  private:
    uint32_t next() {
        uint32_t y = uniform(seed_);
        seed_ = uniform(y);
        uint32_t &entry = table_[seed_ & 127], result = entry;
        entry = y;
        return result >> 3; // the lowest bits repeat soon
    }
    static uint32_t uniform(uint32_t x) { return uint32_t((0x7FFFFFEDull * x + 0x7FFFFFC3u) % 0x7FFFFFFFu); }
    uint32_t seed_, table_[128];
};

enum class Page { Reserved, NoAccess, ReadOnly, ReadWrite, Guard };

constexpr uint32_t kSlots = 24;       // places for a region
constexpr uint32_t kRegionPages = 16; // at most
constexpr uint32_t kSections = 4;     // two of the paging file, two of files
constexpr uint32_t kSectionPages = 8;
constexpr uint32_t kProcesses = 5; // alive at a time
constexpr uint32_t kPage = 0x1000;

struct Region {
    std::vector<Page> pages; // none: the slot is free
    uint32_t section = 0;    // of a view
    bool copies = false;     // a view that is written to by copying
};

struct Range {
    uint32_t slot, first, count;
};

struct Process {
    Region region[kSlots];
    std::map<uint32_t, bool> locks; // MDLs by number; mapped?
};

// Slots lie over several page tables, some of them next to each other.
uint32_t address(uint32_t slot, uint32_t page) {
    return 0x410000 + slot / 4 * 0x400000 + slot % 4 * 0x10000 + page * kPage;
}

class Torture {
  public:
    Torture(uint32_t seed, bool harsh) : random_(seed), harsh_(harsh) {}

    void run(uint32_t rounds) {
        begin();
        for (uint32_t round = 0; round < rounds; round++) {
            printf("# round %u\n", round);
            for (int i = 0; i < 64; i++) { operation(); }
        }
        puts("!end");
    }

  private:
    Random random_;
    bool harsh_;
    std::map<uint32_t, Process> processes_;
    uint32_t current_ = 1, next_pid_ = 3, next_mdl_ = 1;

    Process &process() { return processes_.at(current_); }
    static uint32_t thread_of(uint32_t pid) { return pid * 100 + 1; }

    void begin() {
        puts("pagefile 4000000 8000000");
        for (uint32_t pid = 1; pid <= 2; pid++) {
            printf("proc+ %u 0 \"P%u\"\nthr+ %u %u\n", pid, pid, thread_of(pid), pid);
            processes_[pid];
        }
        printf("x 0 %u\n", thread_of(1));
        for (uint32_t sid = 1; sid <= kSections; sid++) {
            printf("sec+ %u %s %x \"%s%u\"\n", sid, sid <= kSections / 2 ? "page" : "data", kSectionPages * kPage,
                   sid <= kSections / 2 ? "" : "/file", sid);
        }
    }

    // ---- choosing ----

    uint32_t some_process() {
        auto at = processes_.begin();
        std::advance(at, random_.below(uint32_t(processes_.size())));
        return at->first;
    }

    // A slot of the current process that is free, or not; kSlots if there is none.
    uint32_t some_slot(bool used) {
        uint32_t start = random_.below(kSlots);
        for (uint32_t i = 0; i < kSlots; i++) {
            uint32_t slot = (start + i) % kSlots;
            if (!process().region[slot].pages.empty() == used) { return slot; }
        }
        return kSlots;
    }

    // A run of pages of a region, all of which satisfy test; count 0 if the first one chosen does not.
    template <typename Test> Range some_range(uint32_t slot, Test test) {
        const std::vector<Page> &pages = process().region[slot].pages;
        Range range{slot, random_.below(uint32_t(pages.size())), 0};
        uint32_t wanted = 1 + random_.below(6);
        while (range.count < wanted && range.first + range.count < pages.size() &&
               test(pages[range.first + range.count])) {
            range.count++;
        }
        return range;
    }

    template <typename Test> Range some_range(Test test) {
        uint32_t slot = some_slot(true);
        return slot == kSlots ? Range{slot, 0, 0} : some_range(slot, test);
    }

    void set(const Range &range, Page page) {
        for (uint32_t i = 0; i < range.count; i++) { process().region[range.slot].pages[range.first + i] = page; }
    }

    static uint32_t base(const Range &range) { return address(range.slot, range.first); }
    static uint32_t size(const Range &range) { return range.count * kPage; }

    // ---- operations ----

    Page some_protection(const char **word, bool view) {
        switch (random_.below(view || !harsh_ ? 5 : 7)) {
        case 0: return *word = "r", Page::ReadOnly;
        case 1: return *word = "xr", Page::ReadOnly;
        case 5: return *word = "na", Page::NoAccess;
        case 6: return *word = "rw+g", Page::Guard;
        default: return *word = "rw", Page::ReadWrite;
        }
    }

    void allocate() {
        uint32_t slot = some_slot(false);
        if (slot == kSlots) { return; }
        const char *word;
        Page page = some_protection(&word, false);
        uint32_t count = 1 + random_.below(kRegionPages);
        bool commit = !random_.one_in(4);
        printf("alloc %x %x %s %s\n", address(slot, 0), count * kPage, commit ? "rc" : "r", word);
        process().region[slot] = Region{};
        process().region[slot].pages.assign(count, commit ? page : Page::Reserved);
    }

    void commit() {
        Range range = some_range([](Page page) { return page == Page::Reserved; });
        if (range.count == 0) { return; }
        const char *word;
        set(range, some_protection(&word, false));
        printf("alloc %x %x c %s\n", base(range), size(range), word);
    }

    void decommit() {
        Range range = some_range([](Page) { return true; });
        if (range.count == 0 || process().region[range.slot].section != 0) { return; }
        printf("free %x %x d\n", base(range), size(range));
        set(range, Page::Reserved);
    }

    void release() {
        uint32_t slot = some_slot(true);
        if (slot == kSlots) { return; }
        Region &region = process().region[slot];
        if (region.section != 0) {
            printf("unmap %x\n", address(slot, 0));
        } else {
            printf("free %x 0 r\n", address(slot, 0));
        }
        region = Region{};
    }

    void map() {
        uint32_t slot = some_slot(false);
        if (slot == kSlots) { return; }
        Region &region = process().region[slot];
        region = Region{};
        region.section = 1 + random_.below(kSections);
        region.copies = random_.one_in(3);
        uint32_t count = 1 + random_.below(kSectionPages);
        region.pages.assign(count, Page::ReadWrite);
        printf("map %u %x %x 0 %s\n", region.section, address(slot, 0), count * kPage,
               region.copies ? "wc" : "rw share");
    }

    void protect() {
        Range range = some_range([](Page page) { return page != Page::Reserved; });
        if (range.count == 0) { return; }
        const Region &region = process().region[range.slot];
        const char *word;
        Page page = some_protection(&word, region.section != 0);
        if (region.copies && page == Page::ReadWrite) { word = "wc"; }
        printf("prot %x %x %s\n", base(range), size(range), word);
        set(range, page);
    }

    static const char *wrong(Page page, bool store) {
        switch (page) {
        case Page::Guard: return "80000001";
        case Page::ReadOnly: return store ? "c0000005" : nullptr;
        case Page::ReadWrite: return nullptr;
        default: return "c0000005";
        }
    }

    void access() {
        uint32_t slot = some_slot(true);
        if (slot == kSlots) { return; }
        std::vector<Page> &pages = process().region[slot].pages;
        uint32_t n = random_.below(uint32_t(pages.size()));
        uint32_t kind = random_.below(5);
        bool store = kind >= 2;
        const char *exception = wrong(pages[n], store);
        if (exception && !harsh_) { return; }
        static const char *const words[] = {"r", "kr", "w", "kw", "m"};
        // a kernel's store to a page that is read only does not fault on NT4
        const char *word = exception ? store ? "w" : "r" : words[kind];
        printf("%s %x %u\n", word, address(slot, n) + random_.below(kPage / 8) * 8, 1u << random_.below(4));
        if (exception) { printf("expect exc=%s\n", exception); }
        if (pages[n] == Page::Guard) { pages[n] = Page::ReadWrite; }
    }

    void sweep() {
        bool store = random_.one_in(2);
        Range range = some_range([store](Page page) { return wrong(page, store) == nullptr; });
        if (range.count == 0) { return; }
        printf("%s %x %x\n", store ? "w" : "r", base(range), size(range));
    }

    void trim() {
        uint32_t pid = some_process();
        if (!harsh_ && pid > 2) { return; } // its fork may still wait
        if (random_.one_in(3)) {
            printf("trim %u all%s\n", pid, random_.one_in(2) ? " force" : "");
        } else {
            printf("trim %u %u%s\n", pid, 1 + random_.below(20), random_.one_in(2) ? " force" : "");
        }
    }

    void run_thread() {
        static const char *const names[] = {"zero", "mpw", "mpw", "mapw", "apc", "deref"};
        printf("run %s\n", names[random_.below(6)]);
    }

    void switch_to(uint32_t pid) {
        current_ = pid;
        printf("x 0 %u\n", thread_of(pid));
    }

    void fork() {
        if (processes_.size() >= kProcesses) { return; }
        uint32_t parent = current_, child = next_pid_++;
        printf("fork %u %u %u\n", child, parent, thread_of(child));
        processes_[child] = processes_.at(parent);
        processes_[child].locks.clear();
    }

    void exit() {
        uint32_t pid = some_process();
        if (pid <= 2) { return; }
        // a thread that waits has its later events still before it: it ends the process itself
        if (!harsh_ || !processes_.at(pid).locks.empty()) { switch_to(pid); }
        if (current_ == pid) {
            while (!process().locks.empty()) { unlock(); }
        }
        if (harsh_ && current_ == pid && random_.one_in(2)) { switch_to(1); }
        printf("proc- %u\n", pid);
        bool was_current = current_ == pid;
        processes_.erase(pid);
        if (was_current) { switch_to(1); }
    }

    void lock() {
        // a fork that failed leaves its child's events to others: they must not lock pages of a child that ends
        if (process().locks.size() >= 4 || (!harsh_ && current_ > 2)) { return; }
        bool store = random_.one_in(2);
        Range range = some_range([store](Page page) { return wrong(page, store) == nullptr; });
        if (range.count == 0) { return; }
        printf("mdl+ %u %x %x %s\n", next_mdl_, base(range), size(range), store ? "w" : "r");
        process().locks[next_mdl_++] = random_.one_in(2);
        if (process().locks[next_mdl_ - 1]) { printf("mdlmap %u 0\n", next_mdl_ - 1); }
    }

    void unlock() {
        if (process().locks.empty()) { return; }
        auto at = process().locks.begin();
        std::advance(at, random_.below(uint32_t(process().locks.size())));
        if (at->second && random_.one_in(2)) { printf("mdlunmap %u\n", at->first); }
        printf("mdl- %u\n", at->first);
        process().locks.erase(at);
    }

    void flush() {
        uint32_t slot = some_slot(true);
        if (slot == kSlots || process().region[slot].section <= kSections / 2) { return; }
        printf("flush %x %x\n", address(slot, 0), uint32_t(process().region[slot].pages.size()) * kPage);
    }

    void operation() {
        uint32_t choice = random_.below(100);
        if (choice < 40) {
            access();
        } else if (choice < 48) {
            sweep();
        } else if (choice < 55) {
            allocate();
        } else if (choice < 58) {
            commit();
        } else if (choice < 61) {
            decommit();
        } else if (choice < 64) {
            release();
        } else if (choice < 68) {
            map();
        } else if (choice < 73) {
            protect();
        } else if (choice < 79) {
            trim();
        } else if (choice < 84) {
            run_thread();
        } else if (choice < 88) {
            switch_to(some_process());
        } else if (choice < 90) {
            fork();
        } else if (choice < 91) {
            exit();
        } else if (choice < 94) {
            lock();
        } else if (choice < 97) {
            unlock();
        } else if (choice < 98) {
            flush();
        } else if (!harsh_) {
            sweep();
        } else if (choice < 99) {
            printf("drain %u\n", 300 + random_.below(200));
        } else {
            printf("undrain %u\nexpect status=*\n", 1 + random_.below(200));
        }
    }
};

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: torture SEED ROUNDS [DIRECTIVE…]\n", stderr);
        return 2;
    }
    puts("!vmt 1");
    bool harsh = true;
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--mild") == 0) {
            harsh = false;
        } else {
            puts(argv[i]);
        }
    }
    Torture(uint32_t(strtoul(argv[1], nullptr, 10)), harsh).run(uint32_t(strtoul(argv[2], nullptr, 10)));
    return 0;
}
