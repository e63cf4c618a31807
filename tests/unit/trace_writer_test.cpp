// The trace writer: round trips through the reader, the compressed form byte by byte, and what happens when writing
// fails.
#include <gtest/gtest.h>

extern "C" {
#include "ntmmu/import.h"
#include "ntmmu/trace.h"
#include "ntmmu/trace_index.h"
}

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>
#include <zstd.h>

namespace {

std::string temporary(const std::string &name) {
    return testing::TempDir() + "ntmmu_" + std::to_string(getpid()) + "_" + name;
}

std::string slurp(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

bool exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

// One line of every kind, in the spelling that the writer uses.
const std::vector<std::string> every_line = {
    "i 7efdb5c0 2",
    "kr 7eff4f50 32",
    "w 10000 4 =deadbeef",
    "km c0300000 4",
    "I 401 14",
    "KW 142f",
    "R 8",
    "proc+ 1 0 \"dash /w/job.sh\"",
    "proc+ 2 1 \"\" 0 345",
    "proc- 1",
    "thr+ 101 1",
    "thr- 101",
    "fork 2 1 201",
    "exec 11 \"/usr/bin/sed -e s/\\ /\\\\n/g \\\"q\\\"\"",
    "x 0 101",
    "alloc 430000 800000 r rw heap",
    "alloc 0 1000 cx xwc+g+nc",
    "free 1000 1000 d",
    "free 1000 1000 r",
    "sec+ 1 image 24000 \"/usr/bin/dash\"",
    "sec+ 2 data 0 \"/a b\"",
    "sec+ 3 page 10000 \"\"",
    "sub 1 2000 15000 2000 xr",
    "sub 1 22000 2000 - na",
    "sec- 1",
    "map 1 400000 24000 0 image",
    "map! 2 30000 3000 1000 wc share",
    "unmap 30000",
    "prot 1000 2000 x",
    "lock 1000 1000",
    "unlock 1000 1000",
    "flush 1000 1000",
    "move 1000 2000 3000",
    "irql 0 2",
    "mdl+ 1 1000 2000 w",
    "mdl+ 2 1000 2000 r",
    "mdlmap 1 e1000000",
    "mdlunmap 1",
    "mdl- 1",
    "if 1 0",
    "run zero",
    "run mpw auto",
    "trim 1 all",
    "trim 1 20 force",
    "drain 100",
    "undrain 50",
    "hypermap 1 2 ff",
    "pool paged 1000 MmSt",
    "pool nonpaged 20",
    "poolfree e1000000",
    "stack 101 130000 30000 12f000",
    "time +250",
    "call NtClose 4",
    "call Tick",
    "poke 1000 ffffffff",
    "pagefile 200000 400000",
    "io manual",
    "io auto",
    "iodone 1",
    "iodone 2 c0000185",
    "prefetch 1 0 3000 2 10000 1000",
    "attach 2",
    "detach",
    "commitreply 1 256",
    "inject read-error",
    "inject parity 3",
    "try",
    "try -1",
    "try 1",
    "except",
    "finally",
    "endtry",
    "driver 1",
    "drv+ 1 \"/sys/a.sys\" 2000 3000 1000",
    "drv- 1",
    "lock 400000 1000 2",
    "sr ffff800000001000 8",
    "pokeq 1000 ffffffffffffffff",
    "batch r:1000 kw:ffff800000001ffc si:0",
    "mov cr0 80010001",
    "mov pat 7040600070406",
    "invlpg ffff800000001000",
    "invpcid 0 fff 1000",
    "meddle 60",
};

std::string document(const std::vector<std::string> &lines) {
    std::string text = "!vmt 1\n";
    for (const std::string &line : lines) { text += line + "\n"; }
    return text + "!end\n";
}

TEST(TraceWriter, EveryKindSurvivesReadingAndWriting) {
    std::string path = temporary("all.vmt"), copy = temporary("copy.vmt");
    std::ofstream(path) << document(every_line);
    char err[300], text[4096];
    trace_reader *reader = trace_open(path.c_str(), err, sizeof err);
    trace_writer *writer = trace_create(copy.c_str(), err, sizeof err);
    ASSERT_TRUE(reader && writer) << err;
    static trace_item item;
    bool seen[EV_KINDS] = {};
    for (const std::string &line : every_line) {
        ASSERT_EQ(trace_next(reader, &item), TRACE_EVENT) << line << ": " << trace_error(reader);
        seen[item.event.kind] = true;
        EXPECT_EQ(event_format(&item.event, text, sizeof text), (int)line.size());
        EXPECT_EQ(text, line);
        EXPECT_EQ(trace_write_event(writer, &item.event), 0);
    }
    EXPECT_EQ(trace_next(reader, &item), TRACE_EOF);
    for (int kind = EV_NONE + 1; kind < EV_KINDS; kind++) {
        EXPECT_TRUE(seen[kind]) << event_kind_name((event_kind)kind);
    }
    ASSERT_EQ(trace_finish(writer, err, sizeof err), 0) << err;
    trace_close(reader);
    EXPECT_EQ(slurp(copy), document(every_line));
    unlink(path.c_str());
    unlink(copy.c_str());
}

TEST(TraceWriter, FormatCutsLikeSnprintf) {
    event e = {};
    e.kind = EV_SWITCH;
    e.sw.tid = 101;
    char text[5];
    EXPECT_EQ(event_format(&e, text, sizeof text), 7);
    EXPECT_STREQ(text, "x 0 ");
}

TEST(TraceWriter, ProtectionWordsAreTheMasksOfTheFormat) {
    char name[16];
    EXPECT_STREQ(prot_name(MM_NOACCESS, name), "na");
    const char *words[] = {"r", "x", "xr", "rw", "wc", "xrw", "xwc"};
    for (int prot = 1; prot <= 7; prot++) {
        EXPECT_STREQ(prot_name((unsigned)prot, name), words[prot - 1]);
        EXPECT_EQ(prot_parse(words[prot - 1]), prot);
        EXPECT_EQ(prot_parse((std::string(words[prot - 1]) + "+g").c_str()), prot | 0x10);
        EXPECT_EQ(prot_parse((std::string(words[prot - 1]) + "+nc").c_str()), prot | 8);
    }
    EXPECT_STREQ(prot_name(0, name), "?0"); // what no trace has
    EXPECT_STREQ(prot_name(0x25, name), "?25");
    for (const char *bad : {"", "w", "rx", "rw+", "rw+x", "rw+nc+g", "na+nc", "+g"}) {
        EXPECT_EQ(prot_parse(bad), -1) << bad;
    }
}

void put(std::string &out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) { out += (char)(value >> (8 * i)); }
}

TEST(TraceWriter, CompressedFormIsFramesAndIndexByteByByte) {
    std::string path = temporary("small.vmt.zst");
    char err[300];
    trace_writer *writer = trace_create(path.c_str(), err, sizeof err);
    ASSERT_NE(writer, nullptr) << err;
    EXPECT_EQ(trace_write_line(writer, "!vmt 1", false), 0);
    EXPECT_EQ(trace_write_line(writer, "!name small", false), 0);
    EXPECT_EQ(trace_write_line(writer, "x 0 101", true), 0);
    EXPECT_EQ(trace_write_line(writer, "expect fault=none", false), 0);
    EXPECT_EQ(trace_write_line(writer, "I 401 14", true), 0);
    EXPECT_FALSE(exists(path)) << "the name appears when the trace is whole";
    ASSERT_EQ(trace_finish(writer, err, sizeof err), 0) << err;
    std::string text = "!vmt 1\n!name small\nx 0 101\nexpect fault=none\nI 401 14\n!end\n";
    std::string bytes = slurp(path), unpacked(1000, '\0');
    const size_t index_size = 8 + 12 + 36 + 12;
    ASSERT_GT(bytes.size(), index_size);
    size_t frame = bytes.size() - index_size;
    size_t length = ZSTD_decompress(&unpacked[0], unpacked.size(), bytes.data(), frame);
    ASSERT_FALSE(ZSTD_isError(length));
    EXPECT_EQ(unpacked.substr(0, length), text);
    std::string expected;
    put(expected, 0x184D2A5E, 4);
    put(expected, index_size - 8, 4);
    expected += "VMTX";
    put(expected, 1, 4);           // version
    put(expected, 1, 4);           // frames
    put(expected, 0, 8);           // offset
    put(expected, frame, 4);       // length
    put(expected, 0, 8);           // text offset
    put(expected, text.size(), 4); // text length
    put(expected, 0, 8);           // first event
    put(expected, 2, 4);           // events
    put(expected, frame, 8);       // this index
    expected += "XTMV";
    EXPECT_EQ(bytes.substr(frame), expected);
    unlink(path.c_str());
}

TEST(TraceWriter, FramesAreAboutEightMegabytesAndCutAtLineEnds) {
    std::string path = temporary("big.vmt.zst");
    char err[300], why[100];
    trace_writer *writer = trace_create(path.c_str(), err, sizeof err);
    ASSERT_NE(writer, nullptr) << err;
    event e = {};
    e.kind = EV_RUN;
    e.run.access = EVENT_STORE;
    const uint64_t events = 1200000; // "W 1234567 1000000": 18 bytes each, 21.6 MB
    e.run.count = 1000000;
    for (uint64_t i = 0; i < events; i++) {
        e.run.vpn = 0x1000000 + (i & 0xFFFF);
        ASSERT_EQ(trace_write_event(writer, &e), 0);
    }
    ASSERT_EQ(trace_finish(writer, err, sizeof err), 0) << err;
    vmt_index index;
    ASSERT_EQ(vmt_index_read(path.c_str(), &index, why, sizeof why), VMT_INDEX_VALID) << why;
    ASSERT_EQ(index.count, 3u);
    std::string bytes = slurp(path), text(9 << 20, '\0');
    uint64_t seen = 0;
    for (uint32_t i = 0; i < index.count; i++) {
        const vmt_frame &f = index.frame[i];
        size_t length = ZSTD_decompress(&text[0], text.size(), bytes.data() + f.offset, f.length);
        ASSERT_EQ(length, f.text_length);
        EXPECT_EQ(text[length - 1], '\n');
        EXPECT_LE(length, 8u << 20);
        if (i + 1 < index.count) { EXPECT_GT(length, (8u << 20) - 8192) << "about 8 MB"; }
        EXPECT_EQ(f.first_event, seen);
        seen += f.events;
    }
    EXPECT_EQ(seen, events);
    free(index.frame);
    unlink(path.c_str());
}

vmt_index_state state_of(const std::string &bytes, std::string *why = nullptr) {
    std::string path = temporary("index.vmt.zst");
    std::ofstream(path, std::ios::binary) << bytes;
    vmt_index index;
    char text[100];
    vmt_index_state state = vmt_index_read(path.c_str(), &index, text, sizeof text);
    free(index.frame);
    unlink(path.c_str());
    if (why) { *why = text; }
    return state;
}

TEST(TraceIndex, DamageIsFound) {
    std::string path = temporary("damage.vmt.zst");
    char err[300];
    trace_writer *writer = trace_create(path.c_str(), err, sizeof err);
    ASSERT_EQ(trace_write_line(writer, "x 0 1", true), 0);
    ASSERT_EQ(trace_finish(writer, err, sizeof err), 0) << err;
    std::string good = slurp(path);
    unlink(path.c_str());
    size_t index = good.size() - 68;
    EXPECT_EQ(state_of(good), VMT_INDEX_VALID);
    EXPECT_EQ(state_of(good.substr(0, index)), VMT_INDEX_NONE);
    EXPECT_EQ(state_of("!vmt 1\n!end\n"), VMT_INDEX_NONE);
    for (size_t at : {index, index + 4, index + 8, index + 12, index + 16, index + 20, index + 28, index + 32,
                      index + 44, index + 56}) {
        std::string bad = good;
        bad[at] = (char)(bad[at] ^ 1);
        EXPECT_EQ(state_of(bad), VMT_INDEX_INVALID) << at - index;
    }
}

TEST(TraceWriter, AFullDiskIsAnError) {
    char err[300] = "";
    trace_writer *writer = trace_create("/dev/full", err, sizeof err);
    ASSERT_NE(writer, nullptr) << err;
    EXPECT_EQ(trace_write_line(writer, "x 0 1", true), 0) << "it is still in the buffer";
    EXPECT_EQ(trace_finish(writer, err, sizeof err), -1);
    EXPECT_STREQ(err, "/dev/full: No space left on device");
}

TEST(TraceWriter, NothingIsLeftOfAFailure) {
    std::string directory = temporary("dir"), path = directory + "/t.vmt";
    ASSERT_EQ(mkdir(directory.c_str(), 0700), 0);
    char err[300] = "";
    trace_writer *writer = trace_create(path.c_str(), err, sizeof err);
    ASSERT_NE(writer, nullptr) << err;
    EXPECT_EQ(trace_write_line(writer, "x 0 1\nx 0 2", true), -1);
    EXPECT_EQ(trace_write_line(writer, "x 0 1", true), -1) << "an error stays";
    EXPECT_EQ(trace_finish(writer, err, sizeof err), -1);
    EXPECT_NE(err[0], '\0');
    writer = trace_create(path.c_str(), err, sizeof err);
    trace_abandon(writer);
    EXPECT_EQ(rmdir(directory.c_str()), 0) << "empty";
    EXPECT_EQ(trace_create((directory + "/no/t.vmt").c_str(), err, sizeof err), nullptr);
}

TEST(TraceWriter, AnExistingFileStaysUntilTheNewOneIsWhole) {
    std::string path = temporary("old.vmt");
    std::ofstream(path) << "old";
    char err[300] = "";
    trace_writer *writer = trace_create(path.c_str(), err, sizeof err);
    trace_write_line(writer, "x 0 1", true);
    trace_abandon(writer);
    EXPECT_EQ(slurp(path), "old");
    writer = trace_create(path.c_str(), err, sizeof err);
    trace_write_line(writer, "!vmt 1", false);
    trace_write_line(writer, "!end", false);
    EXPECT_EQ(trace_finish(writer, err, sizeof err), 0);
    EXPECT_EQ(slurp(path), "!vmt 1\n!end\n");
    unlink(path.c_str());
}

TEST(TraceWriter, ALinkLeadsToWhatIsReplaced) {
    std::string path = temporary("linked.vmt"), link = temporary("link.vmt");
    std::ofstream(path) << "old";
    ASSERT_EQ(chmod(path.c_str(), 0640), 0);
    ASSERT_EQ(symlink(path.c_str(), link.c_str()), 0);
    char err[300] = "";
    EXPECT_EQ(trace_finish(trace_create(link.c_str(), err, sizeof err), err, sizeof err), 0) << err;
    EXPECT_EQ(slurp(path), "!vmt 1\n!end\n");
    struct stat status;
    EXPECT_TRUE(lstat(link.c_str(), &status) == 0 && S_ISLNK(status.st_mode));
    EXPECT_TRUE(stat(path.c_str(), &status) == 0 && (status.st_mode & 0777) == 0640) << "who may read it stays";
    unlink(link.c_str());
    unlink(path.c_str());
}

std::string convert(const std::string &text, import_level level, uint64_t limit, const char *suffix,
                    std::string *error) {
    std::string in = temporary("in.vmt"), out = temporary(std::string("out") + suffix);
    std::ofstream(in, std::ios::binary) << text;
    const char *inputs[] = {in.c_str()};
    import_options options = {};
    options.inputs = inputs;
    options.input_count = 1;
    options.output = out.c_str();
    options.level = level;
    options.limit = limit;
    char err[600] = "";
    int result = import_vmt(&options, err, sizeof err);
    *error = err;
    EXPECT_EQ(result == 0, exists(out));
    std::string bytes = exists(out) ? slurp(out) : "";
    unlink(in.c_str());
    unlink(out.c_str());
    return bytes;
}

TEST(TraceConvert, CopiesEveryLineAsItStands) {
    std::string text = "!vmt 1\n# why\n!boot CFG-A\n\n  x  0 1 # here\nexpect fault=none\nI 1 2\n!end\n", error;
    EXPECT_EQ(convert(text, IMPORT_KEEP, 0, ".vmt", &error), text);
    std::string packed = convert(text, IMPORT_KEEP, 0, ".vmt.zst", &error);
    std::string unpacked(1000, '\0');
    unpacked.resize(ZSTD_decompress(&unpacked[0], 1000, packed.data(), packed.size() - 68));
    EXPECT_EQ(unpacked, text);
    EXPECT_EQ(convert(packed, IMPORT_KEEP, 0, ".vmt", &error), text);
}

// What frames a trace may carry blanks and comments; a second !vmt or !end would be no trace.
TEST(TraceConvert, TheFrameIsTheWritersOwn) {
    std::string error;
    for (import_level level : {IMPORT_KEEP, IMPORT_RUN}) {
        EXPECT_EQ(convert("# first\n  !vmt 1 # one\nx 0 1\n\t!end# all\n\n# behind\n", level, 0, ".vmt", &error),
                  "!vmt 1\n# first\nx 0 1\n\n# behind\n!end\n");
        EXPECT_EQ(error, "");
    }
}

// The grouping rules one by one: a store ends a load run, a store run takes loads in, fetches and data grow side by
// side, the mode parts runs, a straddling access is two touches, another event ends everything; runs stand in order of
// beginning.
TEST(TraceConvert, GroupsAnExactTraceIntoRuns) {
    std::string error;
    EXPECT_EQ(
        convert("!vmt 1\n!level exact\n"
                "i 401000 2\nr 1000 4\ni 401002 2\nr 1004 4\nw 1008 4\nr 1000 4\nm 1004 4\ni 401004 2\nkr 1000 4\n"
                "kw 1ffe 4\nr 2000 4\ni 401fff 2\nx 0 2\nr 2000 4\n!end\n",
                IMPORT_RUN, 0, ".vmt", &error),
        "!vmt 1\n!level run\n"
        "I 401 4\nR 1 2\nW 1 3\nKR 1\nKW 1\nKW 2\nR 2\nI 402\nx 0 2\nR 2\n!end\n");
    EXPECT_EQ(error, "");
}

TEST(TraceConvert, ProgressIsToldAndMayEndIt) {
    static std::vector<std::pair<double, uint64_t>> told; // every 65536 lines
    std::string in = temporary("in.vmt"), out = temporary("out.vmt"), text = "!vmt 1\n";
    const uint64_t lines = 0x20000;
    for (uint64_t i = 2; i < lines; i++) { text += "R 1000\n"; }
    std::ofstream(in) << text << "!end\n\n";
    const char *inputs[] = {in.c_str(), in.c_str()};
    import_options options = {};
    options.inputs = inputs;
    options.input_count = 1;
    options.output = out.c_str();
    options.level = IMPORT_KEEP;
    options.progress = [](double fraction, uint64_t event) {
        told.push_back({fraction, event});
        return told.size() < 3;
    };
    char err[600] = "";
    EXPECT_EQ(import_vmt(&options, err, sizeof err), 0) << err;
    ASSERT_EQ(told.size(), 2u);
    EXPECT_NEAR(told[0].first, 0.5, 0.2); // a block is read ahead
    EXPECT_EQ(told[0].second, lines / 2 - 2);
    unlink(out.c_str());
    EXPECT_EQ(import_vmt(&options, err, sizeof err), -1);
    EXPECT_STREQ(err, "interrupted");
    EXPECT_EQ(told.size(), 3u);
    options.input_count = 2;
    EXPECT_EQ(import_vmt(&options, err, sizeof err), -1);
    EXPECT_STREQ(err, "found 2 inputs, expected one trace");
    EXPECT_FALSE(exists(out));
    unlink(in.c_str());
}

TEST(TraceConvert, LimitCutsAndErrorsLeaveNothing) {
    std::string error;
    EXPECT_EQ(convert("!vmt 1\nr 1000 4\nr 2000 4\nr 3000 4\n!end\n", IMPORT_KEEP, 2, ".vmt", &error),
              "!vmt 1\nr 1000 4\nr 2000 4\n# trimmed at 2 accesses\n!end\n");
    EXPECT_EQ(convert("!vmt 1\nr 1000 4\nbad\n!end\n", IMPORT_KEEP, 0, ".vmt", &error), "");
    EXPECT_NE(error.find(":3: found 'bad', expected"), std::string::npos) << error;
}

} // namespace
