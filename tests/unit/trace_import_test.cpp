// The lackey importer on a small capture cut out of a real one by hand: a shell, a forked child, a child that became
// sed. Every expected line was worked out from the logs by hand after the rules in traces/FORMAT.md.
#include <gtest/gtest.h>

extern "C" {
#include "ntmmu/import.h"
#include "ntmmu/trace_summary.h"
#include "trace/lackey_call.h"
}

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace {

const char *const capture = NTMMU_ROOT "/tests/data/trace/lackey";

std::string temporary(const std::string &name) {
    return testing::TempDir() + "ntmmu_" + std::to_string(getpid()) + "_" + name;
}

std::string slurp(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

std::function<bool(double, uint64_t)> progress; // of an import that reports it

std::string import_all(const std::vector<std::string> &inputs, import_options options, const std::string &out) {
    std::vector<const char *> names;
    for (const std::string &input : inputs) { names.push_back(input.c_str()); }
    options.inputs = names.data();
    options.input_count = (unsigned)names.size();
    options.output = out.c_str();
    if (progress) {
        options.progress = [](double fraction, uint64_t accesses) { return progress(fraction, accesses); };
    }
    char err[600] = "";
    return import_lackey(&options, err, sizeof err) == 0 ? "" : std::string("error: ") + err;
}

std::string import(const std::string &input, import_level level, import_report *report, uint64_t limit = 0) {
    std::string out = temporary("import.vmt");
    import_options options = {};
    options.level = level;
    options.limit = limit;
    options.report = report;
    std::string error = import_all({input}, options, out);
    if (!error.empty()) {
        EXPECT_NE(access(out.c_str(), F_OK), 0) << "nothing may be left";
        return error;
    }
    std::string text = slurp(out);
    unlink(out.c_str());
    return text;
}

#define HEADER(LEVEL)                                                                                                  \
    "!vmt 1\n!name mini\n!page 4096\n!gran 65536\n!va 32 10000 7fff0000\n!level " LEVEL "\n"                           \
    "!source valgrind-3.19.0 lackey x86; folded to NT x86 user space; fork order child-first\n"
#define START                                                                                                          \
    "proc+ 1 0 \"dash /w/job.sh\"\nthr+ 101 1\nx 0 101\n"                                                              \
    "sec+ 1 image 24000 \"/usr/bin/dash\"\n"                                                                           \
    "sub 1 0 2000 0 r\nsub 1 2000 15000 2000 xr\nsub 1 17000 9000 17000 r\nsub 1 20000 2000 20000 wc\n"                \
    "sub 1 22000 2000 - rw\nmap 1 400000 24000 0 image\n"                                                              \
    "sec+ 2 image 35000 \"/usr/lib/i386-linux-gnu/ld-linux.so.2\"\n"                                                   \
    "sub 2 0 1000 0 r\nsub 2 1000 23000 1000 xr\nsub 2 24000 e000 24000 r\nsub 2 32000 3000 31000 wc\n"                \
    "map 2 7efc0000 35000 0 image\n"                                                                                   \
    "sec+ 3 data 0 \"/usr/libexec/valgrind/lackey-x86-linux\"\nmap 3 10000 1000 82000 xr\n"                            \
    "alloc 430000 800000 r rw heap\nalloc 430000 1000 c rw heap\nalloc c30000 800000 rc rw stack\n"
#define PRELOAD                                                                                                        \
    "sec+ 4 image 5000 \"/usr/libexec/valgrind/vgpreload_core-x86-linux.so\"\n"                                        \
    "sub 4 0 1000 0 r\nsub 4 1000 1000 1000 xr\nsub 4 2000 1000 2000 r\nsub 4 3000 2000 2000 wc\n"                     \
    "map 4 7efb0000 5000 0 image\n"
#define CACHE "sec+ 5 data 2283 \"/etc/ld.so.cache\"\nmap 5 30000 3000 0 r\n"
#define SED                                                                                                            \
    "fork 3 1 301\nx 0 301\nexec 3 \"/usr/bin/sed -e s/\\ /\\\\n/g\"\n"                                                \
    "sec+ 6 image 22000 \"/usr/bin/sed\"\n"                                                                            \
    "sub 6 0 2000 0 r\nsub 6 2000 15000 2000 xr\nsub 6 17000 9000 17000 r\nsub 6 20000 2000 1f000 wc\n"                \
    "map 6 400000 22000 0 image\nmap 2 7efc0000 35000 0 image\nmap 3 10000 1000 82000 xr\n"                            \
    "alloc 430000 800000 r rw heap\nalloc 430000 1000 c rw heap\nalloc c30000 800000 rc rw stack\n"

const char *const exact_text = HEADER("exact") START
    "kw 142f000 1000\ni 7efdb5c0 2\nw 142f860 4\ni 7efdb5c5 1\nr 142f860 4\nm 7eff47ae 1\ni 7efdbffe 5\nr 142f864 4\n"
    "kr 7eff4f50 32\nalloc 20000 2000 rc rw\nw 20000 4\n" PRELOAD
    "i 7efe3aed 1\nr 7efb0000 4\nw 7efb4010 4\nprot 7efb3000 1000 r\nkr 7efe64a5 11\n" CACHE
    "r 32282 1\nunmap 30000\nalloc 431000 20000 c rw heap\nw 431ffe 4\n"
    "fork 2 1 201\nx 0 201\nw 431000 4\nkw 142f2bc 7\nkr 430d60 7\nproc- 2\nx 0 101\nw 431000 4\n" SED
    "kw 142f000 1000\ni 7efdb5c0 2\nw 7eff2000 4\nalloc 1430000 421000 rc rw\nw 1430010 4\nfree 1430000 1000 d\n"
    "free 1430000 421000 r\nalloc 431000 21000 c rw heap\nfree 451000 1000 d\nproc- 3\nx 0 101\nr 431000 4\nproc- "
    "1\n!end\n";

const char *const run_text = HEADER("run") START
    "KW 142f\nI 7efdb 3\nW 142f 2\nW 7eff4\nI 7efdc\nR 142f\nKR 7eff4\nalloc 20000 2000 rc rw\nW 20\n" PRELOAD
    "I 7efe3\nR 7efb0\nW 7efb4\nprot 7efb3000 1000 r\nKR 7efe6\n" CACHE
    "R 32\nunmap 30000\nalloc 431000 20000 c rw heap\nW 431\nW 432\n"
    "fork 2 1 201\nx 0 201\nW 431\nKW 142f\nKR 430\nproc- 2\nx 0 101\nW 431\n" SED
    "KW 142f\nI 7efdb\nW 7eff2\nalloc 1430000 421000 rc rw\nW 1430\nfree 1430000 1000 d\n"
    "free 1430000 421000 r\nalloc 431000 21000 c rw heap\nfree 451000 1000 d\nproc- 3\nx 0 101\nR 431\nproc- 1\n!end\n";

TEST(LackeyImport, ExactLevel) {
    import_report r;
    EXPECT_EQ(import(capture, IMPORT_EXACT, &r), exact_text);
    EXPECT_EQ(r.lines, 19u);
    EXPECT_EQ(r.ifetch, 5u);
    EXPECT_EQ(r.loads, 5u);
    EXPECT_EQ(r.stores, 9u);
    EXPECT_EQ(r.straddling, 2u);
    EXPECT_EQ(r.kernel_touches, 6u);
    EXPECT_EQ(r.src_kernel_buf, 6u);
    EXPECT_EQ(r.switches, 5u);
    EXPECT_EQ(r.src_syscalls, 26u);
    EXPECT_EQ(r.src_mmap, 7u);
    EXPECT_EQ(r.src_munmap, 3u);
    EXPECT_EQ(r.src_brk, 4u);
    EXPECT_EQ(r.src_mprotect, 1u);
    EXPECT_EQ(r.src_fork, 2u);
    EXPECT_EQ(r.src_exec, 1u);
    EXPECT_EQ(r.src_unknown, 0u);
    EXPECT_EQ(r.processes, 3u);
    EXPECT_EQ(r.lost_layouts, 0u);
    EXPECT_EQ(r.lost_processes, 0u);
}

TEST(LackeyImport, RunLevel) {
    import_report r;
    EXPECT_EQ(import(capture, IMPORT_RUN, &r), run_text);
    EXPECT_EQ(r.lines, 19u);
}

TEST(LackeyImport, LimitCutsTheTrace) {
    import_report r;
    std::string text = import(capture, IMPORT_EXACT, &r, 3);
    EXPECT_EQ(text, HEADER("exact") START "kw 142f000 1000\ni 7efdb5c0 2\nw 142f860 4\ni 7efdb5c5 1\n"
                                          "# trimmed at 3 accesses\n!end\n");
}

TEST(LackeyImport, AnArchiveIsTheSame) {
    std::string archive = temporary("mini.tar.zst");
    std::string command = "tar -C " + std::string(capture) + " --zstd -cf " + archive + " .";
    ASSERT_EQ(system(command.c_str()), 0);
    import_report r;
    EXPECT_EQ(import(archive, IMPORT_EXACT, &r), exact_text);
    unlink(archive.c_str());
}

TEST(LackeyImport, OneLogAloneSaysWhatIsMissing) {
    import_report r;
    std::string text = import(std::string(capture) + "/mini.24000.log", IMPORT_EXACT, &r);
    EXPECT_EQ(r.lost_layouts, 1u);
    EXPECT_EQ(r.src_unknown, 1u);
    EXPECT_NE(text.find("alloc 10000 1000 rc xrw\nw 10000 4\n"), std::string::npos) << text;
}

TEST(LackeyImport, WrongInputIsOneLineAndLeavesNothing) {
    import_report r;
    EXPECT_EQ(import("/nonexistent", IMPORT_RUN, &r), "error: /nonexistent: No such file or directory");
    std::string path = temporary("nothing.log");
    std::ofstream(path) << "hello\n";
    EXPECT_EQ(import(path, IMPORT_RUN, &r),
              "error: " + path + ": found no lackey log, expected one that begins '==PID== Lackey'");
    std::ofstream(path) << "==7== Lackey, an example Valgrind tool\n==7== Command: x\nI  0400zzzz,4\n";
    EXPECT_EQ(import(path, IMPORT_RUN, &r),
              "error: " + path + ":3: found 'I  0400zzzz,4', expected an access like 'L 04001000,4'");
    for (const char *line : {" L ffffffffffffffff,4", "I  100000000000000000000,4"}) {
        std::ofstream(path) << "==7== Lackey, an example Valgrind tool\n" << line << "\n";
        EXPECT_EQ(import(path, IMPORT_RUN, &r),
                  "error: " + path + ":2: found '" + line + "', expected an access like 'L 04001000,4'");
    }
    const std::string first = "==7== Lackey, an example Valgrind tool\n";
    for (const char *call : {"sys_munmap ( 0x1000800, 8192 )[sync] --> Success(0x0)",
                             "sys_munmap ( 0x1000000, 18446744073709551615 )[sync] --> Success(0x0)",
                             "sys_mmap ( 0x0, 4096, 3, 34, 4294967295, 0 ) --> [pre-success] Success(0x1000800)"}) {
        std::ofstream(path) << first << "SYSCALL[7,1](9) " << call << "\n";
        std::string found = import(path, IMPORT_RUN, &r), start = "error: " + path + ":2: found ";
        EXPECT_EQ(found.substr(0, start.size()), start);
        EXPECT_NE(found.find("expected whole pages below 1000000000000"), std::string::npos) << found;
    }
    const std::string layout = first +
                               "--7:1: aspacem <<< SHOW_SEGMENTS: Memory layout at client startup (2 segments)\n"
                               "--7:1: aspacem   1: file 0000108000-0000119fff 73728 r---- o=0 (1,47)\n";
    for (const char *segment :
         {"file 0000108000-0000108fff 4096 r---- o=0 (2,47)", // over the one before it
          "file 0000120000-00001207ff 2048 r---- o=0 (2,47)", "anon 0000120000-000011ffff 0 rw---"}) {
        std::ofstream(path) << layout << "--7:1: aspacem   2: " << segment << "\n";
        EXPECT_EQ(import(path, IMPORT_RUN, &r), "error: " + path + ":4: found '--7:1: aspacem   2: " + segment +
                                                    "', expected a segment of whole pages above the one before it");
    }
    unlink(path.c_str());
    std::string archive = temporary("broken.tar.zst");
    std::ofstream(archive) << "no archive at all";
    EXPECT_EQ(import(archive, IMPORT_RUN, &r).substr(0, 7), "error: ");
    unlink(archive.c_str());
}

TEST(LackeyImport, InputThatCannotBeOpened) {
    import_report r;
    std::string directory = temporary("input"), file = directory + "/socket";
    ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    ASSERT_LT(file.size(), sizeof address.sun_path);
    file.copy(address.sun_path, file.size());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address), 0);
    EXPECT_EQ(import(file, IMPORT_RUN, &r), "error: " + file + ": No such device or address");
    rlimit before, none;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    std::string found = import(directory, IMPORT_RUN, &r);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(found, "error: " + directory + ": Too many open files");
    close(fd);
    unlink(file.c_str());
    rmdir(directory.c_str());
}

TEST(LackeyImport, OneArchiveAndSomewhereToUnpackIt) {
    std::string archive = temporary("two.tar"), out = temporary("import.vmt");
    ASSERT_EQ(system(("tar -C " + std::string(capture) + " -cf " + archive + " .").c_str()), 0);
    EXPECT_EQ(import_all({archive, archive}, {}, out), "error: " + archive + ": found a second archive, expected one");
    const char *where = getenv("TMPDIR");
    std::string before = where ? where : "";
    setenv("TMPDIR", "/nonexistent", 1);
    std::string error = import_all({archive}, {}, out), start = "error: /nonexistent/ntmmu-lackey.";
    where ? setenv("TMPDIR", before.c_str(), 1) : unsetenv("TMPDIR");
    EXPECT_EQ(error.substr(0, start.size()), start);
    EXPECT_NE(error.find(": No such file or directory"), std::string::npos) << error;
    unlink(archive.c_str());
}

// Every 65536 lines, as the share of all bytes; who does not like it ends the import.
TEST(LackeyImport, ProgressIsToldAndMayEndIt) {
    std::string path = temporary("long.log"), text = "==7== Lackey, an example Valgrind tool\n";
    const size_t header = text.size(), lines = 0x20000;
    for (size_t i = 1; i < lines; i++) { text += " L 1000,4\n"; }
    std::ofstream(path) << text;
    std::vector<std::pair<double, uint64_t>> told;
    bool go_on = true;
    progress = [&](double fraction, uint64_t accesses) {
        told.push_back({fraction, accesses});
        return go_on;
    };
    import_report r;
    import(path, IMPORT_RUN, &r);
    EXPECT_EQ(r.lines, lines - 1);
    ASSERT_EQ(told.size(), 2u);
    EXPECT_DOUBLE_EQ(told[0].first, double(header + 10 * (lines / 2 - 1)) / double(text.size()));
    EXPECT_EQ(told[0].second, lines / 2 - 1);
    EXPECT_DOUBLE_EQ(told[1].first, 1.0);
    EXPECT_EQ(told[1].second, lines - 1);
    go_on = false;
    EXPECT_EQ(import(path, IMPORT_RUN, &r), "error: interrupted");
    EXPECT_EQ(told.size(), 3u);
    progress = nullptr;
    unlink(path.c_str());
}

// What is written waits in a buffer that is full when it has no room for the longest line, at 60 KB. By the accesses
// before them, each of the events behind is once the one that the disk has no room for: nothing comes after it.
TEST(LackeyImport, AFullDiskIsAnErrorAtWhicheverEvent) {
    std::string directory = temporary("full"), log = directory + "/mini.23983.log";
    ASSERT_EQ(system(("cp -r " + std::string(capture) + " " + directory).c_str()), 0);
    std::string text = slurp(log), child = "created child 24012\n";
    size_t fork = text.rfind("SYSCALL", text.find(child)), after = text.find('\n', text.find(child)) + 1;
    ASSERT_LT(fork, after);
    std::string moves = "SYSCALL[23983,1](9) sys_mmap ( 0x0, 4096, 3, 34, 4294967295, 0 ) --> [pre-success] "
                        "Success(0x2000000000) \n"
                        "SYSCALL[23983,1](25) sys_mremap ( 0x2000000000, 4096, 8192, 0x1, 0x0 ) --> [pre-success] "
                        "Success(0x2000100000) \n",
                access = " S 04036004,4\n", accesses = access, line = "w 431004 4\n";
    auto write = [&] {
        std::ofstream(log) << text.substr(0, fork) << accesses << text.substr(fork, after - fork) << moves
                           << text.substr(after);
    };
    import_report r;
    write();
    std::string whole = import(directory, IMPORT_EXACT, &r);
    size_t at = whole.find(line);
    ASSERT_NE(at, std::string::npos) << whole;
    import_options options = {};
    options.level = IMPORT_EXACT;
    options.report = &r;
    size_t full = 60 << 10, tail = whole.size() - at - line.size();
    size_t most = (full - at) / line.size(), least = most - tail / line.size();
    for (size_t n = 1; n < most; n++, accesses += access) {
        if (n < least) { continue; }
        write();
        EXPECT_EQ(import_all({directory}, options, "/dev/full"), "error: /dev/full: No space left on device") << n;
        uint64_t events = 0;
        for (size_t begin = 0, end = 0; begin < whole.size(); begin = end) {
            end = whole.find('\n', begin) + 1;
            size_t offset = begin <= at ? begin : begin + (n - 1) * line.size();
            const char *first = &whole[begin] + (whole[begin] == 'k');
            bool is_access = strchr("irwm", first[0]) && first[1] == ' ';
            events += whole[begin] != '!' && !is_access;
            if (offset >= full) { break; }
        }
        EXPECT_EQ(r.vm_events, events) << n;
    }
    EXPECT_EQ(system(("rm -r " + directory).c_str()), 0);
}

// A threaded 64-bit program in one log: threads by call and by scheduler line, PROT_NONE and mprotect, arenas trimmed
// at both ends, madvise, mremap, shared memory, a read-write view of a file.
TEST(LackeyImport, ThreadsAndTheRarerMemoryCalls) {
    std::string path = temporary("rare.log");
    std::ofstream(path)
        << "==9== Lackey, an example Valgrind tool\n==9== Using Valgrind-3.19.0 and LibVEX\n==9== Command: rare\n"
           "SYSCALL[9,1](9) sys_mmap ( 0x0, 32768, 0, 16418, 4294967295, 0 ) --> [pre-success] Success(0x1000000000) \n"
           "SYSCALL[9,1](11) sys_munmap ( 0x1000000000, 8192 )[sync] --> Success(0x0) \n"
           "SYSCALL[9,1](11) sys_munmap ( 0x1000006000, 8192 )[sync] --> Success(0x0) \n"
           "SYSCALL[9,1](10) sys_mprotect ( 0x1000002000, 8192, 3 )[sync] --> Success(0x0) \n"
           " S 1000002008,8\n"
           "SYSCALL[9,1](28) sys_madvise ( 0x1000002000, 4096, 4 )[sync] --> Success(0x0) \n"
           "SYSCALL[9,2](273) sys_set_robust_list ( 0x1000002000, 24 )[sync] --> Success(0x0) \n"
           " L 1000003ffc,4\n"
           "--9--   SCHED[1]:  acquired lock (VG_(client_syscall)[async])\n"
           "SYSCALL[9,1](9) sys_mmap ( 0x0, 4096, 3, 34, 4294967295, 0 ) --> [pre-success] Success(0x2000000000) \n"
           "SYSCALL[9,1](25) sys_mremap ( 0x2000000000, 4096, 12288, 0x1, 0x0 ) --> [pre-success] "
           "Success(0x2000100000) \n"
           " L 2000102000,8\n"
           "SYSCALL[9,1](9) sys_mmap ( 0x0, 4096, 3, 33, 4294967295, 0 ) --> [pre-success] Success(0x3000000000) \n"
           "SYSCALL[9,1](257) sys_openat ( 4294967196, 0x1000002000(/tmp/f, g), 2 )[sync] --> Success(0x3) \n"
           "SYSCALL[9,1](9) sys_mmap ( 0x0, 5000, 3, 1, 3, 4096 ) --> [pre-success] Success(0x3000010000) \n"
           "SYSCALL[9,1](26) sys_msync ( 0x3000010000, 5000, 4 )[sync] --> Success(0x0) \n"
           "SYSCALL[9,1](231) exit_group( 0 ) --> [pre-success] Success(0x0) \n";
    import_report r;
    std::string text = import(path, IMPORT_EXACT, &r);
    unlink(path.c_str());
    size_t body = text.find("proc+");
    ASSERT_NE(body, std::string::npos) << text;
    EXPECT_EQ(text.substr(body),
              "proc+ 1 0 \"rare\"\nthr+ 101 1\nx 0 101\n"
              "alloc 10000 8000 r rw\n" // PROT_NONE; its two ends go without a word: nothing was committed
              "alloc 12000 2000 c rw\n" // mprotect commits
              "w 12008 8\n"
              "free 12000 1000 d\nalloc 12000 1000 c rw\n" // MADV_DONTNEED
              "thr+ 102 1\nx 0 102\nr 13ffc 4\nx 0 101\n"
              "alloc 20000 1000 rc rw\n"
              "alloc 30000 3000 rc rw\nmove 20000 30000 1000\nfree 20000 1000 r\nr 32000 8\n"
              "sec+ 1 page 1000 \"shared memory\"\nmap 1 20000 1000 0 rw share\n"
              "kr 12000 a\n" // "/tmp/f, g" and its NUL
              "sec+ 2 data 2388 \"/tmp/f, g\"\nmap 2 40000 2000 1000 rw share\n"
              "flush 40000 2000\nproc- 1\n!end\n");
    EXPECT_EQ(r.src_threads, 1u);
    EXPECT_EQ(r.src_mremap, 1u);
    EXPECT_EQ(r.src_madvise, 1u);
}

TEST(LackeyCall, Lines) {
    lackey_call call;
    ASSERT_TRUE(
        lackey_call_parse("SYSCALL[23983,1](192) sys_mmap2 ( 0x4838000, 4096, 5, 2066, 4, 1 ) --> [pre-success] "
                          "Success(0x4838000) ",
                          &call));
    EXPECT_EQ(call.pid, 23983u);
    EXPECT_EQ(call.tid, 1u);
    EXPECT_STREQ(call.name, "mmap2");
    ASSERT_EQ(call.args, 6u);
    EXPECT_EQ(call.arg[0], 0x4838000u);
    EXPECT_EQ(call.arg[3], 2066u);
    EXPECT_TRUE(call.complete && call.success);
    EXPECT_EQ(call.result, 0x4838000u);
    ASSERT_TRUE(lackey_call_parse("SYSCALL[1,2](120) sys_clone ( 1200011, 0x0, 0x0, 0x0, 0x48364a8 )   clone(fork): "
                                  "process 1 created child 77",
                                  &call));
    EXPECT_EQ(call.child, 77u);
    EXPECT_EQ(call.arg[0], 0x1200011u);
    EXPECT_FALSE(call.complete);
    ASSERT_TRUE(
        lackey_call_parse("SYSCALL[1,1](33) sys_access ( 0x4029fe0(/a(b), c), 4 )[sync] --> Failure(0x2) ", &call));
    EXPECT_TRUE(call.complete);
    EXPECT_FALSE(call.success);
    free(call.text);
    EXPECT_FALSE(lackey_call_parse("I  0401b5c0,2", &call));
}

TEST(TraceSummary, CountsTheSmallCapture) {
    std::string path = temporary("summary.vmt");
    std::ofstream(path) << exact_text;
    trace_summary s;
    char err[300];
    ASSERT_EQ(trace_summarise(&s, path.c_str(), nullptr, err, sizeof err), 0) << err;
    EXPECT_EQ(s.accesses[EVENT_FETCH], 5u);
    EXPECT_EQ(s.accesses[EVENT_LOAD], 5u);
    EXPECT_EQ(s.accesses[EVENT_STORE], 8u);
    EXPECT_EQ(s.accesses[EVENT_MODIFY], 1u);
    EXPECT_EQ(s.straddling, 2u);
    EXPECT_EQ(s.kernel_touches, 6u);
    EXPECT_EQ(s.touches, 19u + 2 + 6);
    EXPECT_EQ(s.processes, 3u);
    EXPECT_EQ(s.threads, 3u);
    // 1: 142f 7efdb 7efdc 7eff4 20 7efe3 7efb0 7efb4 7efe6 32 431 432; 2: 431 142f 430; 3: 142f 7efdb 7eff2 1430
    EXPECT_EQ(s.pages, 12u + 3 + 4);
    EXPECT_EQ(s.directives, 6u);
    trace_summary_free(&s);
    unlink(path.c_str());
}

TEST(TraceSummary, CountsManyPagesOnce) {
    std::string path = temporary("pages.vmt"), text = "!vmt 1\n";
    for (int round = 0; round < 2; round++) {
        for (int vpn = 10000; vpn < 15000; vpn++) { text += "R " + std::to_string(vpn) + "\n"; }
    }
    std::ofstream(path) << text << "!end\n";
    trace_summary s;
    char err[300];
    ASSERT_EQ(trace_summarise(&s, path.c_str(), nullptr, err, sizeof err), 0) << err;
    EXPECT_EQ(s.pages, 5000u);
    EXPECT_EQ(s.touches, 10000u);
    trace_summary_free(&s);
    unlink(path.c_str());
}

} // namespace
