// The trace reader: every word, numbers' bases, quoting, the steps of scenarios (NT-102), and every way a trace can be
// wrong. Expected values are written out by hand after traces/FORMAT.md.
#include <gtest/gtest.h>

extern "C" {
#include "ntmmu/trace.h"
}

#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>
#include <zstd.h>

namespace {

std::string temporary(const std::string &name) {
    return testing::TempDir() + "ntmmu_" + std::to_string(getpid()) + "_" + name;
}

void write_file(const std::string &path, const std::string &bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), (std::streamsize)bytes.size());
}

struct Item {
    trace_item_kind kind;
    event e;
    uint64_t line;
    std::vector<std::string> words;
};

struct Result {
    std::vector<Item> items;
    std::string error; // empty: reached the end
};

Result read_path(const std::string &path) {
    Result result;
    char err[300] = "";
    trace_reader *reader = trace_open(path.c_str(), err, sizeof err);
    if (!reader) {
        result.error = err;
        return result;
    }
    static trace_item item;
    for (;;) {
        trace_item_kind kind = trace_next(reader, &item);
        EXPECT_EQ(kind, item.kind);
        if (kind == TRACE_EOF) { break; }
        if (kind == TRACE_ERROR) {
            result.error = trace_error(reader);
            EXPECT_EQ(trace_next(reader, &item), TRACE_ERROR) << "an error stays";
            break;
        }
        result.items.push_back({kind, item.event, item.line, {}});
        for (unsigned i = 0; i < item.word_count; i++) { result.items.back().words.emplace_back(item.words[i]); }
    }
    trace_close(reader);
    return result;
}

Result read_text(const std::string &text) {
    std::string path = temporary("reader.vmt");
    write_file(path, text);
    Result result = read_path(path);
    size_t at = result.error.find(path);
    if (at == 0) { result.error.replace(0, path.size(), "T"); }
    unlink(path.c_str());
    return result;
}

event one(const std::string &line) {
    Result r = read_text("!vmt 1\n" + line + "\n!end\n");
    EXPECT_EQ(r.error, "") << line;
    EXPECT_EQ(r.items.size(), 1u) << line;
    return r.items.empty() ? event{} : r.items[0].e;
}

std::string error_of(const std::string &line) { return read_text("!vmt 1\n" + line + "\n!end\n").error; }

TEST(TraceReader, AccessesAreHexadecimalAndModesDiffer) {
    event e = one("i 7efdb5c0 2");
    EXPECT_EQ(e.kind, EV_ACCESS);
    EXPECT_EQ(e.access.va, 0x7efdb5c0u);
    EXPECT_EQ(e.access.size, 2u);
    EXPECT_EQ(e.access.access, EVENT_FETCH);
    EXPECT_EQ(e.access.mode, EVENT_USER);
    EXPECT_FALSE(e.access.has_value);
    e = one("kw 142f000 1000");
    EXPECT_EQ(e.access.size, 0x1000u);
    EXPECT_EQ(e.access.access, EVENT_STORE);
    EXPECT_EQ(e.access.mode, EVENT_KERNEL);
    e = one("k r C0300C00 4");
    EXPECT_EQ(e.access.va, 0xC0300C00u);
    EXPECT_EQ(e.access.access, EVENT_LOAD);
    EXPECT_EQ(e.access.mode, EVENT_KERNEL);
    e = one("m 7eff47ae 1");
    EXPECT_EQ(e.access.access, EVENT_MODIFY);
    e = one("w 10000 4 =DEADbeef");
    EXPECT_TRUE(e.access.has_value);
    EXPECT_EQ(e.access.value, 0xDEADBEEFu);
}

TEST(TraceReader, RunsHaveADecimalCountThatDefaultsToOne) {
    event e = one("I 401 14");
    EXPECT_EQ(e.kind, EV_RUN);
    EXPECT_EQ(e.run.vpn, 0x401u);
    EXPECT_EQ(e.run.count, 14u);
    EXPECT_EQ(e.run.access, EVENT_FETCH);
    e = one("KR 7fe4");
    EXPECT_EQ(e.run.count, 1u);
    EXPECT_EQ(e.run.access, EVENT_LOAD);
    EXPECT_EQ(e.run.mode, EVENT_KERNEL);
    EXPECT_EQ(one("W 1").run.access, EVENT_STORE);
}

TEST(TraceReader, Schedule) {
    event e = one("proc+ 3 1 \"dash /w/job.sh\" 50 345");
    EXPECT_EQ(e.kind, EV_PROC_CREATE);
    EXPECT_EQ(e.proc.pid, 3u);
    EXPECT_EQ(e.proc.ppid, 1u);
    EXPECT_EQ(e.proc.min_ws, 50u);
    EXPECT_EQ(e.proc.max_ws, 345u);
    EXPECT_STREQ(e.text, "dash /w/job.sh");
    EXPECT_EQ(one("proc+ 3 1 \"a\"").proc.max_ws, 0u);
    EXPECT_EQ(one("proc- 12").proc.pid, 12u);
    EXPECT_EQ(one("thr+ 101 1").thread.tid, 101u);
    EXPECT_EQ(one("thr- 101").kind, EV_THREAD_EXIT);
    e = one("fork 10 1 1001");
    EXPECT_EQ(e.fork.pid, 10u);
    EXPECT_EQ(e.fork.parent, 1u);
    EXPECT_EQ(e.fork.tid, 1001u);
    EXPECT_STREQ(one("exec 11 \"/usr/bin/sed -e s/\\ /\\\\n/g\"").text, "/usr/bin/sed -e s/\\ /\\\\n/g");
    EXPECT_EQ(one("x 1 1001").sw.cpu, 1u);
    EXPECT_EQ(one("x 1 1001").sw.tid, 1001u);
}

TEST(TraceReader, Memory) {
    event e = one("alloc 430000 800000 rc rw+g+nc heap");
    EXPECT_EQ(e.alloc.base, 0x430000u);
    EXPECT_EQ(e.alloc.size, 0x800000u);
    EXPECT_EQ(e.alloc.type, EVENT_RESERVE | EVENT_COMMIT);
    EXPECT_EQ(e.alloc.prot, 0x1C);
    EXPECT_STREQ(e.text, "heap");
    EXPECT_EQ(one("alloc 0 1 x na").alloc.type, EVENT_RESET);
    EXPECT_EQ(one("alloc 0 1 x na").alloc.prot, 0x18);
    EXPECT_TRUE(one("free 1420000 421000 r").free.release);
    EXPECT_FALSE(one("free 1420000 421000 d").free.release);
    e = one("sec+ 2 data 0 \"/a b\"");
    EXPECT_EQ(e.section.type, EVENT_SEC_DATA);
    EXPECT_STREQ(e.text, "/a b");
    e = one("sub 2 32000 3000 31000 wc");
    EXPECT_EQ(e.sub.offset, 0x32000u);
    EXPECT_EQ(e.sub.size, 0x3000u);
    EXPECT_EQ(e.sub.file_offset, 0x31000u);
    EXPECT_FALSE(e.sub.anonymous);
    EXPECT_EQ(e.sub.prot, 5);
    EXPECT_TRUE(one("sub 1 22000 2000 - rw").sub.anonymous);
    e = one("map 5 30000 3000 0 r share");
    EXPECT_EQ(e.map.sid, 5u);
    EXPECT_TRUE(e.map.share);
    EXPECT_FALSE(e.map.strict);
    e = one("map! 5 30000 3000 10000 image");
    EXPECT_EQ(e.kind, EV_MAP);
    EXPECT_TRUE(e.map.strict);
    EXPECT_EQ(e.map.prot, EVENT_MAP_IMAGE);
    EXPECT_EQ(e.map.offset, 0x10000u);
    EXPECT_EQ(one("unmap 30000").range.base, 0x30000u);
    EXPECT_EQ(one("prot 1000 2000 xwc").range.prot, 7);
    EXPECT_EQ(one("lock 1000 2000").kind, EV_LOCK);
    EXPECT_EQ(one("unlock 1000 2000").kind, EV_UNLOCK);
    EXPECT_EQ(one("flush 1000 2000").range.size, 0x2000u);
    e = one("move 1000 2000 3000");
    EXPECT_EQ(e.move.from, 0x1000u);
    EXPECT_EQ(e.move.to, 0x2000u);
    EXPECT_EQ(e.move.size, 0x3000u);
}

TEST(TraceReader, KernelAndScenarioSteps) {
    EXPECT_EQ(one("irql 1 2").irql.level, 2u);
    event e = one("mdl+ 7 10000 2000 w");
    EXPECT_EQ(e.mdl.id, 7u);
    EXPECT_TRUE(e.mdl.write);
    EXPECT_EQ(one("mdlmap 7 E1000000").mdl.base, 0xE1000000u);
    EXPECT_EQ(one("mdlunmap 7").kind, EV_MDL_UNMAP);
    EXPECT_EQ(one("mdl- 7").kind, EV_MDL_UNLOCK);
    EXPECT_EQ(one("if 0 1").irql.level, 1u);
    EXPECT_STREQ(one("run zero").text, "zero");
    EXPECT_STREQ(one("run mpw  auto").text, "mpw auto");
    e = one("trim 1 all force");
    EXPECT_TRUE(e.trim.all);
    EXPECT_TRUE(e.trim.force);
    e = one("trim 1 20");
    EXPECT_EQ(e.trim.count, 20u);
    EXPECT_FALSE(e.trim.all);
    EXPECT_EQ(one("drain 20").amount.count, 20u);
    EXPECT_EQ(one("undrain 10").amount.count, 10u);
    e = one("hypermap 10 ff");
    EXPECT_EQ(e.args.count, 2u);
    EXPECT_EQ(e.args.arg[1], 0xFFu);
    e = one("pool paged 1000 MmSt");
    EXPECT_EQ(e.pool.type, 1);
    EXPECT_EQ(e.pool.size, 0x1000u);
    EXPECT_EQ(e.pool.tag, 0x74536D4Du); // 'M' 'm' 'S' 't', first letter lowest
    EXPECT_EQ(one("pool nonpaged 20").pool.type, 0);
    EXPECT_EQ(one("pool must-cache 20").pool.type, 6);
    EXPECT_EQ(one("poolfree e1001000").address.va, 0xE1001000u);
    e = one("stack 101 130000 30000 12e000");
    EXPECT_EQ(e.stack.tid, 101u);
    EXPECT_EQ(e.stack.base, 0x130000u);
    EXPECT_EQ(e.stack.dealloc, 0x30000u);
    EXPECT_EQ(e.stack.limit, 0x12E000u);
    EXPECT_EQ(one("time +1500").amount.count, 1500u);
    e = one("call NtFreeVirtualMemory ffffffff 10000 0 8000");
    EXPECT_STREQ(e.text, "NtFreeVirtualMemory");
    EXPECT_EQ(e.args.count, 4u);
    EXPECT_EQ(e.args.arg[0], 0xFFFFFFFFu);
    EXPECT_EQ(e.args.arg[3], 0x8000u);
    e = one("poke 1000 deadbeef");
    EXPECT_EQ(e.poke.pa, 0x1000u);
    EXPECT_EQ(e.poke.value, 0xDEADBEEFu);
}

TEST(TraceReader, EveryKindHasAWordInThisTest) {
    for (int kind = EV_NONE; kind < EV_KINDS; kind++) { EXPECT_STRNE(event_kind_name((event_kind)kind), "?") << kind; }
}

TEST(TraceReader, DirectivesExpectLinesCommentsAndNumbers) {
    Result r = read_text("# a comment\n\n!vmt 1\n!name a b\n!closed\n  proc+ 1 0 \"p # no comment\" # one\r\n"
                         "expect fault=none status=0 # more\n\tx 0 1\n!source x\n!end\n\n# over\n");
    ASSERT_EQ(r.error, "");
    ASSERT_EQ(r.items.size(), 6u);
    EXPECT_EQ(r.items[0].kind, TRACE_DIRECTIVE);
    EXPECT_EQ(r.items[0].words, (std::vector<std::string>{"name", "a", "b"}));
    EXPECT_EQ(r.items[0].line, 4u);
    EXPECT_EQ(r.items[1].words, (std::vector<std::string>{"closed"}));
    EXPECT_STREQ(r.items[2].e.text, "p # no comment");
    EXPECT_EQ(r.items[2].e.index, 0u);
    EXPECT_EQ(r.items[2].e.line, 6u);
    EXPECT_EQ(r.items[3].kind, TRACE_EXPECT);
    EXPECT_EQ(r.items[3].words, (std::vector<std::string>{"fault=none", "status=0"}));
    EXPECT_EQ(r.items[4].e.index, 1u) << "an expect line is no event";
    EXPECT_EQ(r.items[5].words, (std::vector<std::string>{"source", "x"}));
}

/* A misspelt or late setting would silently be no setting. */
TEST(TraceReader, DirectivesAreKnownAndSettingsComeFirst) {
    EXPECT_EQ(error_of("!thread manual"), "T:2: found '!thread', expected a directive of traces/FORMAT.md");
    EXPECT_EQ(error_of("!"), "T:2: found '!', expected a directive of traces/FORMAT.md");
    for (const char *name : {"name", "page", "gran", "va", "level", "source"}) {
        EXPECT_EQ(error_of("x 0 1\n!" + std::string(name) + " a"), "") << name;
    }
    for (const char *name : {"boot", "profile", "threads", "ram", "maxmem", "bad", "ws", "pagefile", "closed"}) {
        EXPECT_EQ(error_of("!" + std::string(name) + " a"), "") << name;
        EXPECT_EQ(error_of("x 0 1\n!" + std::string(name) + " a"),
                  "T:3: found '!" + std::string(name) + "' behind an event, expected it before the first one");
    }
}

TEST(TraceReader, BadLinesSayWhereWhatAndWhatElse) {
    EXPECT_EQ(error_of("x 0 1x"), "T:2: found '1x', expected a thread id");
    EXPECT_EQ(error_of("poke 30ffe 1"), "T:2: found '30ffe', expected a physical address, a multiple of 4");
    EXPECT_EQ(error_of("pokeq 30004 1"), "T:2: found '30004', expected a physical address, a multiple of 8");
    EXPECT_EQ(error_of("x 0"), "T:2: found the end of the line, expected a thread id");
    EXPECT_EQ(error_of("x 0 1 2"), "T:2: found '2', expected the end of the line");
    EXPECT_EQ(error_of("x 0 4294967296"), "T:2: found '4294967296', expected a thread id");
    EXPECT_EQ(error_of("frobnicate 1"), "T:2: found 'frobnicate', expected an event of traces/FORMAT.md");
    EXPECT_EQ(error_of("i 7efdg 2"), "T:2: found '7efdg', expected a hexadecimal address");
    EXPECT_EQ(error_of("i 11112222333344445 2"), "T:2: found '11112222333344445', expected a hexadecimal address");
    EXPECT_EQ(error_of("i 1000"), "T:2: found the end of the line, expected a hexadecimal size of at least 1");
    EXPECT_EQ(error_of("i 1000 0"), "T:2: found '0', expected a hexadecimal size of at least 1");
    EXPECT_EQ(error_of("i 1000 4 5"), "T:2: found '5', expected = and a hexadecimal value");
    EXPECT_EQ(error_of("I 401 0"), "T:2: found '0', expected a decimal count of at least 1");
    EXPECT_EQ(error_of("I 401 1a"), "T:2: found '1a', expected a decimal count of at least 1");
    EXPECT_EQ(error_of("M 401"), "T:2: found 'M', expected an event of traces/FORMAT.md");
    EXPECT_EQ(error_of("alloc 0 1000 rr rw"), "T:2: found 'rr', expected a type of the letters r, c, x");
    EXPECT_EQ(error_of("alloc 0 1000 r rwx"), "T:2: found 'rwx', expected a protection");
    EXPECT_EQ(error_of("prot 0 1000 na+g"), "T:2: found 'na+g', expected a protection");
    EXPECT_EQ(error_of("free 0 1000 x"), "T:2: found 'x', expected d or r");
    EXPECT_EQ(error_of("map 1 0 1000 0 r shared"), "T:2: found 'shared', expected share");
    EXPECT_EQ(error_of("time 5"), "T:2: found '5', expected + and a number of milliseconds");
    EXPECT_EQ(error_of("if 0 2"), "T:2: found '2', expected 0 or 1");
    EXPECT_EQ(error_of("pool paged 10 toolong"), "T:2: found 'toolong', expected a tag of up to four characters");
    EXPECT_EQ(error_of("exec 1 \"open"), "T:2: found the end of the line, expected a closing quote");
    EXPECT_EQ(error_of("run mpw \"\""), "T:2: found '', expected a system thread's name");
    EXPECT_EQ(error_of("proc+ 1 0 a\"b"), "T:2: found 'a\"b', expected an image name");
    EXPECT_EQ(error_of("proc+ 1 0 a\\"), "T:2: found 'a\\', expected an image name");
    EXPECT_EQ(error_of("proc+ 1 0 a\\\"b"), "");
    EXPECT_EQ(error_of("expect"), "T:2: found the end of the line, expected KEY=VALUE");
    EXPECT_EQ(error_of("hypermap"), "T:2: found the end of the line, expected a frame number");
    EXPECT_EQ(error_of(std::string("I 401\0x", 7)), "T:2: found a NUL byte, expected text");
    EXPECT_EQ(error_of("exec 1 \"" + std::string(EVENT_TEXT_MAX, 'a') + "\"").substr(0, 12), "T:2: found '");
    EXPECT_EQ(error_of("exec 1 \"" + std::string(EVENT_TEXT_MAX - 1, 'a') + "\""), "");
    EXPECT_EQ(error_of(std::string(70000, ' ') + "x 0 1"),
              "T:2: found a line longer than 65535 bytes, expected a shorter one");
}

TEST(TraceReader, BadFiles) {
    EXPECT_EQ(read_text("").error, "T:1: found the end of the file, expected !vmt 1 as the first line");
    EXPECT_EQ(read_text("x 0 1\n").error, "T:1: found 'x', expected !vmt 1 as the first line");
    EXPECT_EQ(read_text("!name a\n!vmt 1\n").error, "T:1: found '!name', expected !vmt 1 as the first line");
    EXPECT_EQ(read_text("!vmt 2\nx 0 1\n!end\n").error,
              "T:1: found !vmt 2, a trace from a newer version; expected !vmt 1");
    EXPECT_EQ(read_text("!vmt one\n!end\n").error, "T:1: found a !vmt without a version number, expected !vmt 1");
    EXPECT_EQ(read_text("!vmt 1\nx 0 1\n").error, "T:3: found the end of the file, expected !end");
    EXPECT_EQ(read_text("!vmt 1\n!vmt 1\n!end\n").error,
              "T:2: found a second !vmt, expected it in the first line only");
    EXPECT_EQ(read_text("!vmt 1\n!end\nx 0 1\n").error, "T:3: found text behind !end, expected the end of the file");
    EXPECT_EQ(read_text("!vmt 1\n!end").error, "") << "the last newline may be missing";
    EXPECT_EQ(read_path("/nonexistent/trace.vmt").error, "/nonexistent/trace.vmt: No such file or directory");
}

std::string compressed(const std::string &text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(&out[0], out.size(), text.data(), text.size(), 3));
    return out;
}

TEST(TraceReader, CompressedTextOfSeveralFramesReadsTheSame) {
    std::string skippable("\x5e\x2a\x4d\x18\x04\0\0\0abcd", 12);
    Result r = read_text(compressed("!vmt 1\nx 0 1\nx 0") + skippable + compressed(" 2\n!end\n") + skippable);
    ASSERT_EQ(r.error, "");
    ASSERT_EQ(r.items.size(), 2u);
    EXPECT_EQ(r.items[1].e.sw.tid, 2u);
}

TEST(TraceReader, CutCompressedFilesAreErrorsWhereverTheyAreCut) {
    std::string text = "!vmt 1\n";
    for (int i = 0; i < 5000; i++) {
        text += "I " + std::to_string(400 + i % 97) + " " + std::to_string(1 + i * i % 7919) + "\n";
    }
    std::string whole = compressed(text + "!end\n");
    for (size_t cut : {whole.size() - 1, whole.size() - 5, whole.size() / 2, (size_t)20}) {
        std::string error = read_text(whole.substr(0, cut)).error;
        EXPECT_NE(error.find("found the end of the compressed file, expected the rest of a zstd frame"),
                  std::string::npos)
            << cut << ": " << error;
    }
    std::string damaged = whole;
    damaged[damaged.size() / 2] ^= 0x55;
    EXPECT_NE(read_text(damaged).error, "");
}

// A socket whose other end goes with something unread breaks off behind what was sent.
TEST(TraceReader, AReadErrorInTheMiddleIsSaid) {
    std::string text = "!vmt 1\nx 0 1\n", packed = compressed(text + "!end\n");
    int standard_input = dup(STDIN_FILENO);
    for (const std::string &sent : {text, packed.substr(0, packed.size() - 4)}) {
        int end[2];
        ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
        ASSERT_EQ(write(end[0], "?", 1), 1);
        ASSERT_EQ(write(end[1], sent.data(), sent.size()), (ssize_t)sent.size());
        close(end[1]);
        dup2(end[0], STDIN_FILENO);
        close(end[0]);
        std::string error = read_path("-").error;
        EXPECT_NE(error.find("found a read error (Connection reset by peer), expected data"), std::string::npos)
            << error;
    }
    standard_input < 0 ? close(STDIN_FILENO) : dup2(standard_input, STDIN_FILENO);
    if (standard_input >= 0) { close(standard_input); }
}

TEST(TraceReader, LinesAcrossBlocksStayWhole) {
    std::string text = "!vmt 1\n";
    const int lines = 300000; // more than one block of 1 MB
    for (int i = 0; i < lines; i++) { text += "W " + std::to_string(1000 + i % 9000) + "\n"; }
    std::string path = temporary("long.vmt");
    write_file(path, text + "!end\n");
    char err[300];
    trace_reader *reader = trace_open(path.c_str(), err, sizeof err);
    ASSERT_NE(reader, nullptr) << err;
    static trace_item item;
    int count = 0;
    while (trace_next(reader, &item) == TRACE_EVENT) {
        ASSERT_EQ(item.event.run.vpn, std::stoull(std::to_string(1000 + count % 9000), nullptr, 16));
        count++;
    }
    EXPECT_EQ(item.kind, TRACE_EOF);
    EXPECT_EQ(count, lines);
    EXPECT_DOUBLE_EQ(trace_progress(reader), 1.0);
    trace_close(reader);
    unlink(path.c_str());
}

} // namespace
