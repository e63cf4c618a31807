/* The shadow memory must notice any wrong byte, whatever made it wrong. Kernel mistakes come from the small kernel;
 * what needs sections, forks and exec is fed as records. */
#include "check_harness.h"

#include <malloc.h>

extern "C" {
#include "check/shadow.h"
#include "ntmmu/filedata.h"
}

static const char *const START = "proc+ 1 0 \"a\"\nthr+ 101 1\nx 0 101\nalloc 20000 10000 rc rw\n";

static Outcome run(const Mistakes &mistakes, const std::string &lines) {
    Replay r;
    r.flags = CHECK_SHADOW | CHECK_EXPECT;
    r.mistakes = mistakes;
    return r.run(START + lines);
}

TEST(Shadow, RightBytesAreQuiet) {
    Outcome o =
        run(Mistakes(), "w 20000 4\nr 20000 4\nw 20001 2 =beef\nr 20000 4\nm 20000 4\nr 20000 4\nw 20ffe 8\nr 20ffe 8\n"
                        "W 22 3\nR 22\nR 23\ni 20000 4\nfree 20000 1000 d\nr 20000 4\nexpect data=0\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
}

TEST(Shadow, ADemandZeroPageThatIsNotZero) {
    Mistakes m;
    m.page_not_zeroed = true;
    Outcome o = run(m, "r 20000 4\n");
    EXPECT_TRUE(o.fails_saying({"shadow: event 4", "wrong byte at 00020000 of process 1: memory gave 78"}));
}

TEST(Shadow, AnotherPagesFrame) {
    Mistakes m;
    m.wrong_frame_on_fault = true;
    Outcome o = run(m, "alloc 10000 10000 rc rw\nw 10000 4\nw 11000 4\ntrim 1 all force\nr 11000 4\n");
    EXPECT_TRUE(o.fails_saying({"wrong byte at 000110"}));
    EXPECT_EQ(run(Mistakes(), "alloc 10000 10000 rc rw\nw 10000 4\nw 11000 4\ntrim 1 all force\nr 11000 4\n").verdict,
              CHECK_OK);
}

TEST(Shadow, AnAccessWhereNothingIsAllocated) {
    Outcome o = run(Mistakes(), "r 50000 4\n");
    EXPECT_TRUE(o.fails_saying({"process 1 has no allocation or view at 00050000"}));
}

/* A store through the kernel's direct map: the byte is nobody's to know, the next store makes it known again. */
TEST(Shadow, AKernelAliasMakesBytesUnknown) {
    EXPECT_EQ(run(Mistakes(), "w 20000 4\nk w 80101000 4 =5\nr 20000 4\nexpect data=5\nr 20004 4\n").verdict, CHECK_OK);
    EXPECT_EQ(run(Mistakes(), "w 20000 4\npoke 101000 99\nr 20000 4\nexpect data=99\nw 20000 4\nr 20000 4\n").verdict,
              CHECK_OK);
}

/* A word that was stored behind everybody's back before the program had its page. */
TEST(Shadow, UnknownBytesOfAFrameThatBecomesAPage) {
    Replay r;
    r.flags = CHECK_SHADOW | CHECK_EXPECT;
    const std::string lines =
        std::string(START) + "w 20000 4\npoke 102004 99\nr 21004 4\nexpect data=99\n"; /* frame 102 */
    Outcome o = r.run(lines + "r 21000 4\n");
    EXPECT_EQ(o.verdict, CHECK_OK) << o.report;
    r.before = [](uint64_t event, machine *m, machine *) {
        if (event == 5) { physmem_write32(machine_memory(m), 0x102000, 0x77); }
    };
    EXPECT_TRUE(r.run(lines + "r 21000 4\n").fails_saying({"wrong byte at 00021000 of process 1: memory gave 77"}));
}

/* ---- records fed by hand ---- */

struct Fed {
    shadow *s = shadow_create(0x10000000);
    report text = {};
    uint64_t index = 0;
    ~Fed() {
        shadow_destroy(s);
        report_free(&text);
    }

    event make(event_kind kind) {
        event e = {};
        e.kind = kind;
        e.index = index++;
        return e;
    }
    bool service(event e, uint32_t pid = 1, uint32_t status = 0, uint32_t out = 0) {
        log_record r = {};
        r.event = e.index;
        r.kind = LOG_STATUS;
        r.pid = pid;
        r.a = status;
        r.b = out;
        records records = {&r, 1, 1};
        return shadow_event(s, &e, &records, false, &text);
    }
    /* In process 1; out: what it handed back. */
    void call(const char *name, std::initializer_list<uint64_t> args, uint32_t out = 0) {
        event e = make(EV_CALL);
        snprintf(e.text, sizeof e.text, "%s", name);
        for (uint64_t arg : args) { e.args.arg[e.args.count++] = arg; }
        service(e, 1, 0, out);
    }
    bool touch(uint32_t pid, va_t va, unsigned type, uint32_t data, uint32_t stored = 0) {
        event e = make(EV_ACCESS);
        e.access.va = va;
        e.access.size = 4;
        e.access.has_value = true;
        e.access.value = stored;
        e.access.access = type == MMU_READ ? EVENT_LOAD : type == MMU_MODIFY ? EVENT_MODIFY : EVENT_STORE;
        log_record r = {};
        r.event = e.index;
        r.kind = LOG_ACCESS;
        r.pid = pid;
        r.a = va;
        r.b = 0x777000 | (va & PAGE_MASK);
        r.c = data;
        r.e = type | MMU_USER << 4 | 4 << 8;
        records records = {&r, 1, 1};
        return shadow_event(s, &e, &records, false, &text);
    }
    bool load(uint32_t pid, va_t va, uint32_t data) { return touch(pid, va, MMU_READ, data); }
    bool store(uint32_t pid, va_t va, uint32_t data) { return touch(pid, va, MMU_WRITE, data, data); }

    void process(uint32_t pid) {
        event e = make(EV_PROC_CREATE);
        e.proc.pid = pid;
        service(e);
    }
    void fork(uint32_t child, uint32_t parent) {
        event e = make(EV_FORK);
        e.fork.pid = child;
        e.fork.parent = parent;
        service(e);
    }
    void alloc(uint32_t pid, va_t base, va_t size) {
        event e = make(EV_ALLOC);
        e.alloc.base = base;
        e.alloc.size = size;
        e.alloc.type = EVENT_RESERVE | EVENT_COMMIT;
        service(e, pid);
    }
    void free(uint32_t pid, va_t base, va_t size, bool release, uint32_t status = 0) {
        event e = make(EV_FREE);
        e.free.base = base;
        e.free.size = size;
        e.free.release = release;
        service(e, pid, status);
    }
    void section(uint32_t sid, uint8_t type, uint64_t size, const char *path) {
        event e = make(EV_SECTION);
        e.section.sid = sid;
        e.section.type = type;
        e.section.size = size;
        snprintf(e.text, sizeof e.text, "%s", path);
        service(e);
    }
    void piece(uint32_t sid, uint64_t offset, uint64_t size, uint64_t file_offset, bool anonymous, uint8_t prot) {
        event e = make(EV_SUBSECTION);
        e.sub.sid = sid;
        e.sub.offset = offset;
        e.sub.size = size;
        e.sub.file_offset = file_offset;
        e.sub.anonymous = anonymous;
        e.sub.prot = prot;
        service(e);
    }
    void map(uint32_t pid, uint32_t sid, va_t base, va_t size, uint64_t offset, uint8_t prot, bool share) {
        event e = make(EV_MAP);
        e.map.sid = sid;
        e.map.base = base;
        e.map.size = size;
        e.map.offset = offset;
        e.map.prot = prot;
        e.map.share = share;
        service(e, pid);
    }
    /* In process 1. */
    void move(va_t from, va_t to, va_t size) {
        event e = make(EV_MOVE);
        e.move.from = from;
        e.move.to = to;
        e.move.size = size;
        service(e);
    }
    void unmap(uint32_t pid, va_t base) {
        event e = make(EV_UNMAP);
        e.range.base = base;
        service(e, pid);
    }
    void protect(uint32_t pid, va_t base, va_t size, uint8_t prot) {
        event e = make(EV_PROTECT);
        e.range.base = base;
        e.range.size = size;
        e.range.prot = prot;
        service(e, pid);
    }
};

static const uint64_t F = file_identity("f");

TEST(ShadowMemory, ForkCopiesAndSidesPart) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    EXPECT_TRUE(f.store(1, 0x20000, 1));
    f.fork(2, 1);
    EXPECT_TRUE(f.load(2, 0x20000, 1));
    EXPECT_TRUE(f.store(2, 0x20000, 2));
    EXPECT_TRUE(f.load(1, 0x20000, 1));
    EXPECT_TRUE(f.store(1, 0x20004, 3));
    EXPECT_TRUE(f.load(2, 0x20004, 0));
    EXPECT_FALSE(f.load(1, 0x20000, 2)); /* a copy-on-write that did not copy */
}

TEST(ShadowMemory, SixteenGenerations) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    f.store(1, 0x20000, 1);
    for (uint32_t pid = 2; pid < 18; pid++) {
        f.fork(pid, pid - 1);
        EXPECT_TRUE(f.store(pid, 0x20000, pid));
    }
    for (uint32_t pid = 1; pid < 18; pid++) { EXPECT_TRUE(f.load(pid, 0x20000, pid)); }
}

TEST(ShadowMemory, FilesShareAndWriteCopyDoesNot) {
    Fed f;
    f.process(1);
    f.process(2);
    f.section(1, EVENT_SEC_DATA, 0, "f");
    f.map(1, 1, 0x100000, 0x4000, 0x2000, MM_READWRITE, true);
    f.map(2, 1, 0x200000, 0x4000, 0, MM_READWRITE, true);
    f.map(2, 1, 0x300000, 0x4000, 0, MM_READWRITE, false); /* without share: write-copy */
    EXPECT_TRUE(f.load(1, 0x100010, file_word(F, 0x2010)));
    EXPECT_TRUE(f.store(1, 0x100010, 5));
    EXPECT_TRUE(f.load(2, 0x202010, 5));
    EXPECT_TRUE(f.load(2, 0x302010, 5)); /* not written yet: still the file's page */
    EXPECT_TRUE(f.store(2, 0x302010, 6));
    EXPECT_TRUE(f.load(1, 0x100010, 5));
    EXPECT_TRUE(f.store(1, 0x100010, 7));
    EXPECT_TRUE(f.load(2, 0x302010, 6));
    EXPECT_FALSE(f.load(2, 0x202010, 5));
}

TEST(ShadowMemory, BeyondTheFileThereIsZero) {
    Fed f;
    f.process(1);
    f.section(1, EVENT_SEC_DATA, 0x1006, "f");
    f.map(1, 1, 0x100000, 0x2000, 0, MM_READONLY, false);
    EXPECT_TRUE(f.load(1, 0x101000, file_word(F, 0x1000)));
    EXPECT_TRUE(f.load(1, 0x101004, file_word(F, 0x1004) & 0xFFFF));
    EXPECT_TRUE(f.load(1, 0x101008, 0));
    EXPECT_FALSE(f.load(1, 0x10100C, file_word(F, 0x100C)));
}

TEST(ShadowMemory, ImagesHavePieces) {
    Fed f;
    f.process(1);
    f.section(1, EVENT_SEC_IMAGE, 0x5000, "f");
    f.piece(1, 0, 0x1000, 0, false, MM_EXECUTE_READ);
    f.piece(1, 0x1000, 0x1000, 0x800, false, MM_WRITECOPY);
    f.piece(1, 0x2000, 0x1000, 0x5000, false, MM_READWRITE);
    f.piece(1, 0x3000, 0x1000, 0, true, MM_READWRITE);
    f.map(1, 1, 0x400000, 0x6000, 0, EVENT_MAP_IMAGE, false);
    f.fork(2, 1);
    EXPECT_TRUE(f.load(1, 0x404004, 0)); /* no piece: private, if anything, traces/FORMAT.md, rule 7 */
    EXPECT_TRUE(f.store(1, 0x404004, 9));
    EXPECT_TRUE(f.load(2, 0x404004, 0));
    EXPECT_TRUE(f.load(1, 0x405004, 0)); /* beyond the section */
    EXPECT_TRUE(f.load(1, 0x400004, file_word(F, 4)));
    EXPECT_TRUE(f.load(1, 0x401004, file_word(F, 0x804)));
    EXPECT_TRUE(f.load(2, 0x403004, 0));
    EXPECT_TRUE(f.store(1, 0x401004, 1)); /* write-copy */
    EXPECT_TRUE(f.load(2, 0x401004, file_word(F, 0x804)));
    EXPECT_TRUE(f.store(1, 0x402004, 2)); /* shared data of an image */
    EXPECT_TRUE(f.load(2, 0x402004, 2));
    EXPECT_TRUE(f.store(1, 0x403004, 3)); /* bss */
    EXPECT_TRUE(f.load(2, 0x403004, 0));
}

TEST(ShadowMemory, FreeUnmapExecExit) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    f.store(1, 0x20000, 1);
    f.free(1, 0x20000, 0x1000, false, 0xC000009F); /* a service that failed changes nothing */
    EXPECT_TRUE(f.load(1, 0x20000, 1));
    f.free(1, 0x20000, 0x1000, false);
    EXPECT_TRUE(f.load(1, 0x20000, 0));
    f.free(1, 0x20000, 0, true);
    EXPECT_FALSE(f.load(1, 0x21000, 0)); /* nowhere */
    f.section(1, EVENT_SEC_PAGE, 0x1000, "");
    f.map(1, 1, 0x100000, 0x1000, 0, MM_READWRITE, false);
    f.map(1, 1, 0x200000, 0x1000, 0, MM_READWRITE, false);
    EXPECT_TRUE(f.store(1, 0x100000, 9));
    EXPECT_TRUE(f.load(1, 0x200000, 9)); /* the paging file's sections are shared */
    f.unmap(1, 0x100000);
    EXPECT_FALSE(f.load(1, 0x100000, 9));
    event e = f.make(EV_EXEC);
    e.proc.pid = 1;
    f.service(e);
    EXPECT_FALSE(f.load(1, 0x200000, 9));
    f.map(1, 1, 0x200000, 0x1000, 0, MM_READWRITE, false); /* section ids outlive exec */
    EXPECT_TRUE(f.load(1, 0x200000, 9));
}

TEST(ShadowMemory, ProtectionTurnsAViewIntoWriteCopy) {
    Fed f;
    f.process(1);
    f.section(1, EVENT_SEC_DATA, 0, "f");
    f.map(1, 1, 0x100000, 0x2000, 0, MM_READWRITE, true);
    f.map(1, 1, 0x200000, 0x2000, 0, MM_READONLY, true);
    f.protect(1, 0x101000, 0x1000, MM_WRITECOPY);
    EXPECT_TRUE(f.store(1, 0x100000, 1));
    EXPECT_TRUE(f.load(1, 0x200000, 1));
    EXPECT_TRUE(f.store(1, 0x101000, 2));
    EXPECT_TRUE(f.load(1, 0x201000, file_word(F, 0x1000)));
    f.unmap(1, 0x100000); /* both halves of the view */
    EXPECT_FALSE(f.load(1, 0x101000, 2));
}

TEST(ShadowMemory, MoveTakesPagesAlong) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    f.store(1, 0x21000, 4);
    f.move(0x21000, 0x50000, 0x1000);
    EXPECT_TRUE(f.load(1, 0x50000, 4));
    EXPECT_TRUE(f.load(1, 0x21000, 0));
}

/* The entry of a page that is everybody's goes into private memory: stores there stay everybody's. And the other way
 * round. */
TEST(ShadowMemory, AMovedPageStaysWhatItWas) {
    Fed f;
    f.process(1);
    f.process(2);
    f.section(1, EVENT_SEC_DATA, 0, "f");
    f.map(1, 1, 0x100000, 0x4000, 0, MM_READWRITE, true);
    f.map(1, 1, 0x200000, 0x4000, 0, MM_READWRITE, false); /* write-copy */
    f.map(2, 1, 0x100000, 0x4000, 0, MM_READWRITE, true);
    f.alloc(1, 0x20000, 0x10000);
    EXPECT_TRUE(f.load(1, 0x100000, file_word(F, 0)));
    EXPECT_TRUE(f.load(1, 0x102000, file_word(F, 0x2000)));
    EXPECT_TRUE(f.load(1, 0x203000, file_word(F, 0x3000)));
    f.move(0x100000, 0x20000, 0x2000); /* the second has not been looked at */
    for (va_t at : {0u, 0x1000u}) {
        EXPECT_TRUE(f.store(1, 0x20000 + at, 7));
        EXPECT_TRUE(f.load(2, 0x100000 + at, 7));
        EXPECT_TRUE(f.load(2, 0x100004 + at, 8)); /* not followed */
        EXPECT_TRUE(f.store(2, 0x100000 + at, 9));
        EXPECT_TRUE(f.load(1, 0x20000 + at, 9));
    }
    f.move(0x102000, 0x101000, 0x1000); /* between views like each other */
    EXPECT_FALSE(f.load(1, 0x101000, 10));
    f.move(0x203000, 0x102000, 0x1000);
    EXPECT_TRUE(f.store(1, 0x102000, 11)); /* its own copy */
    EXPECT_TRUE(f.load(2, 0x103000, file_word(F, 0x3000)));
    EXPECT_FALSE(f.load(2, 0x103000, 11));
    EXPECT_TRUE(f.store(1, 0x2F000, 12));
    f.move(0x2F000, 0x103000, 0x1000);
    EXPECT_FALSE(f.load(1, 0x103000, 13));
}

TEST(ShadowMemory, AModifyLoadsThenStores) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    EXPECT_TRUE(f.store(1, 0x20000, 4));
    EXPECT_TRUE(f.touch(1, 0x20000, MMU_MODIFY, 4, 5));
    EXPECT_TRUE(f.load(1, 0x20000, 5));
    EXPECT_FALSE(f.touch(1, 0x20000, MMU_MODIFY, 4, 6));
}

TEST(ShadowMemory, AnMdlsMappingIsItsRange) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    EXPECT_TRUE(f.store(1, 0x20000, 4));
    event lock = f.make(EV_MDL_LOCK), map = f.make(EV_MDL_MAP);
    lock.mdl.id = map.mdl.id = 1;
    lock.mdl.base = 0x20000;
    lock.mdl.size = 0x1000;
    map.mdl.base = 0xF8001000;
    f.service(lock);
    f.service(map);
    EXPECT_TRUE(f.load(1, 0xF8001000, 4));
    EXPECT_TRUE(f.store(1, 0xF8001000, 6));
    EXPECT_TRUE(f.load(1, 0x20000, 6));
    EXPECT_FALSE(f.load(1, 0xF8001000, 4));
}

/* NT-86, NT-88: a list of 20000 to 22FFF, one of its last page. */
TEST(ShadowMemory, APartialMdlIsItsPartOfTheRange) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    EXPECT_TRUE(f.store(1, 0x22000, 4));
    EXPECT_TRUE(f.store(1, 0x23000, 4));
    f.call("MmCreateMdl", {0, 0x20000, 0x3000}, 0x80500000);
    f.call("IoBuildPartialMdl", {0x80500000, 0x80600000, 0x22000, 0});
    f.call("MmMapLockedPages", {0x80600000, 0}, 0xF8001000);
    EXPECT_TRUE(f.load(1, 0xF8001000, 4));
    EXPECT_TRUE(f.store(1, 0xF8001000, 5));
    EXPECT_TRUE(f.load(1, 0x22000, 5));
    EXPECT_TRUE(f.load(1, 0xF8002000, 99)); /* behind it: nothing is known there */
    f.call("IoBuildPartialMdl", {0x80500000, 0x80600000, 0x22000, 4});
    f.call("MmMapLockedPages", {0x80600000, 0}, 0xF8003000);
    EXPECT_FALSE(f.load(1, 0xF8003000, 4));
    EXPECT_TRUE(f.load(1, 0xF8003004, 99));
    f.call("IoFreeMdl", {0x80600000});
    EXPECT_TRUE(f.load(1, 0xF8003000, 99)); /* it maps nothing known any more */
    EXPECT_TRUE(f.load(1, 0x22000, 5));
}

/* NT-105: services with raw arguments do what the trace's own events do. */
TEST(ShadowMemory, ServicesByName) {
    const uint64_t self = 0xFFFFFFFF;
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    f.store(1, 0x20000, 4);
    f.store(1, 0x21000, 5);
    f.call("NtFreeVirtualMemory", {self, 0x20000, 0x1000, 0x4000}); /* MEM_DECOMMIT */
    EXPECT_TRUE(f.load(1, 0x20000, 0));
    EXPECT_TRUE(f.load(1, 0x21000, 5));
    f.call("NtFreeVirtualMemory", {1, 0x20000, 0, 0x8000}); /* MEM_RELEASE */
    EXPECT_FALSE(f.load(1, 0x21000, 5));
    f.section(1, EVENT_SEC_DATA, 0, "f");
    f.map(1, 1, 0x100000, 0x2000, 0, MM_READWRITE, true);
    f.map(1, 1, 0x200000, 0x2000, 0, MM_READONLY, true);
    f.call("NtProtectVirtualMemory", {self, 0x100000, 0x1000, 0x08}); /* PAGE_WRITECOPY */
    f.call("NtProtectVirtualMemory", {self, 0x101000, 0x1000, 0x88}); /* no protection: nothing changes */
    EXPECT_TRUE(f.store(1, 0x100000, 1));
    EXPECT_TRUE(f.load(1, 0x200000, file_word(F, 0)));
    EXPECT_TRUE(f.store(1, 0x101000, 2));
    EXPECT_TRUE(f.load(1, 0x201000, 2));
}

/* What a reset page holds is unknown, in a copy of it too. */
TEST(ShadowMemory, UnknownWordsAreCopied) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    f.store(1, 0x20000, 4);
    event reset = f.make(EV_ALLOC);
    reset.alloc.base = 0x20000;
    reset.alloc.size = 0x1000;
    reset.alloc.type = EVENT_RESET;
    f.service(reset);
    EXPECT_TRUE(f.store(1, 0x20008, 5)); /* but for this word */
    f.fork(2, 1);
    EXPECT_TRUE(f.store(2, 0x20004, 6));
    EXPECT_TRUE(f.load(2, 0x20000, 99));
    EXPECT_FALSE(f.load(2, 0x20008, 99));
    EXPECT_FALSE(f.load(2, 0x20004, 99));
    EXPECT_TRUE(f.load(1, 0x20004, 99)); /* still so in the parent */
}

/* What a call fills is unknown to those who see the page, until somebody stores a part of it. */
TEST(ShadowMemory, WhatACallFillsIsUnknownToThoseWhoSeeIt) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    EXPECT_TRUE(f.store(1, 0x20000, 4));
    f.fork(2, 1);
    f.section(1, EVENT_SEC_DATA, 0, "f");
    for (uint32_t pid : {1u, 2u}) {
        f.map(pid, 1, 0x100000, 0x3000, 0, MM_READWRITE, true);
        f.map(pid, 1, 0x200000, 0x3000, 0, MM_READWRITE, false);
    }
    f.call("RtlFillMemory", {0x1F000, 0x3000, 9}); /* the region begins behind that */
    EXPECT_TRUE(f.load(1, 0x20000, 99));
    EXPECT_TRUE(f.load(1, 0x21000, 99));
    EXPECT_FALSE(f.load(1, 0x22000, 99));
    EXPECT_TRUE(f.load(2, 0x20000, 4)); /* a copy-on-write in the parent */
    EXPECT_FALSE(f.load(2, 0x20000, 99));
    EXPECT_TRUE(f.store(1, 0x20008, 5));
    EXPECT_TRUE(f.load(1, 0x20000, 98));
    EXPECT_FALSE(f.load(1, 0x20008, 98));

    f.call("RtlFillMemory", {0x201000, 0x1000, 9}); /* its own copy */
    EXPECT_TRUE(f.load(1, 0x201000, 99));
    EXPECT_TRUE(f.load(2, 0x201000, file_word(F, 0x1000)));
    EXPECT_TRUE(f.load(2, 0x101000, file_word(F, 0x1000)));
    f.call("RtlFillMemory", {0x102000, 0x1000, 9}); /* everybody's */
    EXPECT_TRUE(f.load(2, 0x102000, 99));
    EXPECT_TRUE(f.load(2, 0x202000, 99));
    EXPECT_TRUE(f.store(2, 0x102000, 7));
    EXPECT_FALSE(f.load(1, 0x102000, 99));
    f.call("RtlFillMemory", {0x101000, 0x1000, 9}); /* of which there were bytes */
    EXPECT_TRUE(f.load(2, 0x101000, 99));
}

/* A call may say that it writes gigabytes, and fail at the first byte. */
TEST(ShadowMemory, GigabytesThatACallFillsTakeNoMemory) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x10000000, 0x20000000);
    f.section(1, EVENT_SEC_DATA, 0, "f");
    f.map(1, 1, 0x30000000, 0x20000000, 0, MM_READWRITE, true);
    size_t before = mallinfo2().uordblks;
    f.call("RtlFillMemory", {0x10000000, 0x40000000, 9});
    EXPECT_TRUE(f.load(1, 0x2FFFF000, 99));
    EXPECT_TRUE(f.load(1, 0x4FFFF000, 99));
    EXPECT_LT(mallinfo2().uordblks - before, 100u << 20);
}

/* The kernel leaves out what is above 32 bits; so do all who look at what it did. */
TEST(ShadowMemory, WiderNumbersThanTheKernelTakes) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x100020000, 0x7000010000);
    EXPECT_TRUE(f.store(1, 0x20000, 4));
    event discard = f.make(EV_FREE);
    discard.free.base = 0x7f00020000;
    discard.free.size = 0x1000;
    f.service(discard);
    EXPECT_TRUE(f.load(1, 0x20000, 0));
    f.call("NtFreeVirtualMemory", {0xFFFFFFFF, 0x100020000, 0, 0x8000});
    EXPECT_FALSE(f.load(1, 0x20000, 0));
}

/* A thread that waits: its access completes while later events are replayed. */
TEST(ShadowMemory, AnAccessThatCompletesLate) {
    Fed f;
    f.process(1);
    f.alloc(1, 0x20000, 0x10000);
    event late = f.make(EV_ACCESS);
    late.access = {0x20000, 4, EVENT_STORE, EVENT_USER, true, 7};
    records none = {nullptr, 0, 0};
    EXPECT_TRUE(shadow_event(f.s, &late, &none, true, &f.text));
    EXPECT_TRUE(f.load(1, 0x20000, 0));
    event now = f.make(EV_ACCESS);
    now.access = {0x20004, 4, EVENT_STORE, EVENT_USER, true, 8};
    log_record r[2] = {};
    for (int i = 0; i < 2; i++) {
        r[i].event = i ? late.index : now.index;
        r[i].kind = LOG_ACCESS;
        r[i].pid = 1;
        r[i].a = i ? 0x20000 : 0x20004;
        r[i].c = i ? 7 : 8;
        r[i].e = MMU_WRITE | MMU_USER << 4 | 4 << 8;
    }
    records both = {r, 2, 2};
    EXPECT_TRUE(shadow_event(f.s, &now, &both, false, &f.text));
    EXPECT_TRUE(f.load(1, 0x20000, 7));
    EXPECT_TRUE(f.load(1, 0x20004, 8));
}
