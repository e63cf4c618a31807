/* See grammar.h. */
#include "grammar.h"

#include <stddef.h>
#include <string.h>

#define AT(member) offsetof(struct event, member)
#define PID(member)                                                                                                    \
    { FIELD_DEC32, false, AT(member), "a process id" }
#define TID(member)                                                                                                    \
    { FIELD_DEC32, false, AT(member), "a thread id" }
#define SID(member)                                                                                                    \
    { FIELD_DEC32, false, AT(member), "a section id" }
#define CPU(member)                                                                                                    \
    { FIELD_DEC32, false, AT(member), "a CPU number" }
#define BASE(member)                                                                                                   \
    { FIELD_VIRTUAL, false, AT(member), "an address" }
#define SIZE(member)                                                                                                   \
    { FIELD_VIRTUAL, false, AT(member), "a size" }
#define LENGTH(member)                                                                                                 \
    { FIELD_HEX64, false, AT(member), "a size" }
#define PROT(member)                                                                                                   \
    { FIELD_PROT, false, AT(member), "a protection" }
#define KIND(member)                                                                                                   \
    { FIELD_DEC32, true, AT(member), "1 (in the working set) or 2 (in memory)" }
#define TEXT(type, optional, what)                                                                                     \
    { type, optional, AT(text), what }

static const struct event_rule rules[EV_KINDS] = {
    [EV_PROC_CREATE] = {"proc+",
                        {PID(proc.pid),
                         {FIELD_DEC32, false, AT(proc.ppid), "the parent's process id"},
                         TEXT(FIELD_QUOTED, false, "an image name"),
                         {FIELD_DEC32, true, AT(proc.min_ws), "a working-set minimum in pages"},
                         {FIELD_DEC32, true, AT(proc.max_ws), "a working-set maximum in pages"}}},
    [EV_PROC_EXIT] = {"proc-", {PID(proc.pid)}},
    [EV_THREAD_CREATE] = {"thr+", {TID(thread.tid), PID(thread.pid)}},
    [EV_THREAD_EXIT] = {"thr-", {TID(thread.tid)}},
    [EV_FORK] = {"fork",
                 {PID(fork.pid), {FIELD_DEC32, false, AT(fork.parent), "the parent's process id"}, TID(fork.tid)}},
    [EV_EXEC] = {"exec", {PID(proc.pid), TEXT(FIELD_QUOTED, false, "an image name")}},
    [EV_SWITCH] = {"x", {CPU(sw.cpu), TID(sw.tid)}},
    [EV_ALLOC] = {"alloc",
                  {BASE(alloc.base),
                   SIZE(alloc.size),
                   {FIELD_ALLOC_TYPE, false, AT(alloc.type), "a type of the letters r, c, x"},
                   PROT(alloc.prot),
                   TEXT(FIELD_WORD, true, "a tag")}},
    [EV_FREE] = {"free", {BASE(free.base), SIZE(free.size), {FIELD_FREE_TYPE, false, AT(free.release), "d or r"}}},
    [EV_SECTION] = {"sec+",
                    {SID(section.sid),
                     {FIELD_SECTION_TYPE, false, AT(section.type), "image, data or page"},
                     LENGTH(section.size),
                     TEXT(FIELD_QUOTED, false, "a path")}},
    [EV_SUBSECTION] = {"sub",
                       {SID(sub.sid),
                        {FIELD_HEX64, false, AT(sub.offset), "an offset in the section"},
                        LENGTH(sub.size),
                        {FIELD_FILE_OFFSET, false, AT(sub.file_offset), "an offset in the file, or -"},
                        PROT(sub.prot)}},
    [EV_SECTION_CLOSE] = {"sec-", {SID(section.sid)}},
    [EV_MAP] = {"map",
                {SID(map.sid),
                 BASE(map.base),
                 SIZE(map.size),
                 {FIELD_HEX64, false, AT(map.offset), "an offset in the section"},
                 {FIELD_MAP_PROT, false, AT(map.prot), "a protection, or image"},
                 {FIELD_SHARE, true, AT(map.share), "share"}}},
    [EV_UNMAP] = {"unmap", {BASE(range.base)}},
    [EV_PROTECT] = {"prot", {BASE(range.base), SIZE(range.size), PROT(range.prot)}},
    [EV_LOCK] = {"lock", {BASE(range.base), SIZE(range.size), KIND(range.kind)}},
    [EV_UNLOCK] = {"unlock", {BASE(range.base), SIZE(range.size), KIND(range.kind)}},
    [EV_FLUSH] = {"flush", {BASE(range.base), SIZE(range.size)}},
    [EV_MOVE] = {"move", {BASE(move.from), BASE(move.to), SIZE(move.size)}},
    [EV_IRQL] = {"irql", {CPU(irql.cpu), {FIELD_DEC32, false, AT(irql.level), "an interrupt request level"}}},
    [EV_MDL_LOCK] = {"mdl+",
                     {{FIELD_DEC32, false, AT(mdl.id), "an MDL id"},
                      BASE(mdl.base),
                      SIZE(mdl.size),
                      {FIELD_READ_WRITE, false, AT(mdl.write), "r or w"}}},
    [EV_MDL_MAP] = {"mdlmap", {{FIELD_DEC32, false, AT(mdl.id), "an MDL id"}, BASE(mdl.base)}},
    [EV_MDL_UNMAP] = {"mdlunmap", {{FIELD_DEC32, false, AT(mdl.id), "an MDL id"}}},
    [EV_MDL_UNLOCK] = {"mdl-", {{FIELD_DEC32, false, AT(mdl.id), "an MDL id"}}},
    [EV_INTERRUPTS] = {"if", {CPU(irql.cpu), {FIELD_BIT, false, AT(irql.level), "0 or 1"}}},
    [EV_RUN_THREAD] = {"run", {TEXT(FIELD_REST, false, "a system thread's name")}},
    [EV_TRIM] = {"trim",
                 {PID(trim.pid),
                  {FIELD_TRIM_COUNT, false, AT(trim), "a number of pages, or all"},
                  {FIELD_FORCE, true, AT(trim.force), "force"}}},
    [EV_DRAIN] = {"drain", {{FIELD_DEC64, false, AT(amount.count), "a number of frames"}}},
    [EV_UNDRAIN] = {"undrain", {{FIELD_DEC64, false, AT(amount.count), "a number of frames"}}},
    [EV_HYPERMAP] = {"hypermap", {{FIELD_HEX_LIST, false, AT(args), "a frame number"}}},
    [EV_POOL] = {"pool",
                 {{FIELD_POOL_TYPE, false, AT(pool.type), "a type of pool"},
                  {FIELD_HEX32, false, AT(pool.size), "a size"},
                  {FIELD_POOL_TAG, true, AT(pool.tag), "a tag of up to four characters"}}},
    [EV_POOL_FREE] = {"poolfree", {BASE(address.va)}},
    [EV_STACK] = {"stack", {TID(stack.tid), BASE(stack.base), BASE(stack.dealloc), BASE(stack.limit)}},
    [EV_TIME] = {"time", {{FIELD_MILLISECONDS, false, AT(amount.count), "+ and a number of milliseconds"}}},
    [EV_CALL] = {"call", {TEXT(FIELD_WORD, false, "a service name"), {FIELD_HEX_LIST, true, AT(args), "an argument"}}},
    [EV_POKE] = {"poke",
                 {{FIELD_PHYSICAL32, false, AT(poke.pa), "a physical address, a multiple of 4"},
                  {FIELD_HEX32_WIDE, false, AT(poke.value), "a value of 32 bits"}}},
    [EV_PAGEFILE] = {"pagefile",
                     {{FIELD_HEX64, false, AT(pagefile.min), "a minimum length"},
                      {FIELD_HEX64, false, AT(pagefile.max), "a maximum length"}}},
    [EV_IO_MODE] = {"io", {{FIELD_IO_MODE, false, AT(io.manual), "auto or manual"}}},
    [EV_IO_DONE] = {"iodone",
                    {{FIELD_DEC64, false, AT(reply.id), "the number of a transfer"},
                     {FIELD_HEX32, true, AT(reply.status), "a status"}}},
    [EV_ATTACH] = {"attach", {PID(proc.pid)}},
    [EV_DETACH] = {"detach", {{0}}},
    [EV_PREFETCH] = {"prefetch", {{FIELD_HEX_LIST, false, AT(args), "a section, an offset and a size"}}},
    [EV_COMMIT_REPLY] = {"commitreply",
                         {{FIELD_DEC64, false, AT(reply.id), "the number of a request"},
                          {FIELD_DEC32, false, AT(reply.status), "a number of pages"}}},
    [EV_INJECT] = {"inject",
                   {{FIELD_INJECTION, false, AT(inject.what),
                     "read-error, write-error, pagefile-full, commit-limit, no-frame or parity"},
                    {FIELD_DEC32, true, AT(inject.count), "how many occasions"}}},
    [EV_TRY] = {"try", {{FIELD_FILTER, true, AT(bracket.filter), "-1, 0 or 1"}}},
    [EV_EXCEPT] = {"except", {{0}}},
    [EV_FINALLY] = {"finally", {{0}}},
    [EV_END_TRY] = {"endtry", {{0}}},
    [EV_DRIVER] = {"driver", {{FIELD_BIT, false, AT(driver.id), "0 or 1"}}},
    [EV_DRIVER_LOAD] = {"drv+",
                        {{FIELD_DEC32, false, AT(driver.id), "a driver id"},
                         TEXT(FIELD_QUOTED, false, "a path"),
                         {FIELD_HEX32, false, AT(driver.nonpaged), "the size of the nonpaged part"},
                         {FIELD_HEX32, false, AT(driver.paged), "the size of section PAGE"},
                         {FIELD_HEX32, false, AT(driver.init), "the size of section INIT"}}},
    [EV_DRIVER_UNLOAD] = {"drv-", {{FIELD_DEC32, false, AT(driver.id), "a driver id"}}},
    [EV_POKE_QUAD] = {"pokeq",
                      {{FIELD_PHYSICAL64, false, AT(poke.pa), "a physical address, a multiple of 8"},
                       {FIELD_HEX64, false, AT(poke.value), "a value of 64 bits"}}},
    [EV_BATCH] = {"batch", {{FIELD_BATCH, false, AT(batch), "r, w, i or m, behind k or s, a colon and an address"}}},
    [EV_MOV] = {"mov",
                {{FIELD_REGISTER, false, AT(mov.which), "cr0, cr3, cr4, efer, ac or pat"},
                 {FIELD_HEX64, false, AT(mov.value), "a value of 64 bits"}}},
    [EV_INVLPG] = {"invlpg", {BASE(address.va)}},
    [EV_INVPCID] = {"invpcid",
                    {{FIELD_HEX64, false, AT(invpcid.type), "a type"},
                     {FIELD_HEX64, false, AT(invpcid.pcid), "a PCID"},
                     BASE(invpcid.va)}},
    [EV_MEDDLE] = {"meddle", {{FIELD_HEX32, false, AT(meddle.bits), "the bits to flip"}}},
};

const char *const pool_type_names[] = {"nonpaged",       "paged",       "must",       "",
                                       "nonpaged-cache", "paged-cache", "must-cache", NULL};
const char *const injection_names[] = {"read-error", "write-error", "pagefile-full", "commit-limit", "no-frame",
                                       "parity",     NULL};
const char *const register_names[] = {"cr0", "cr3", "cr4", "efer", "ac", "pat", NULL};

const struct event_rule *event_rule(enum event_kind kind) {
    return (unsigned)kind < EV_KINDS ? &rules[kind] : &rules[EV_NONE];
}

const uint64_t *event_wide_number(const struct event *event, uint32_t wide_arguments, uint64_t *limit) {
    *limit = (uint64_t)1 << 32;
    if (event->kind == EV_ACCESS) { return event->access.va < *limit ? NULL : &event->access.va; }
    if (event->kind == EV_RUN) {
        *limit >>= PAGE_SHIFT;
        return event->run.vpn < *limit ? NULL : &event->run.vpn;
    }
    const struct field *f = event_rule(event->kind)->field;
    for (unsigned i = 0; i < EVENT_FIELDS && f[i].type != FIELD_END; i++) {
        const uint64_t *number = (const void *)((const char *)event + f[i].offset);
        if (f[i].type == FIELD_VIRTUAL && *number >= *limit) { return number; }
        for (unsigned k = 0; f[i].type == FIELD_HEX_LIST && k < event->args.count; k++) {
            if (!(wide_arguments >> k & 1) && event->args.arg[k] >= *limit) { return &event->args.arg[k]; }
        }
    }
    return NULL;
}

enum directive_kind directive_kind(const char *name) {
    static const char *const notes[] = {"name", "page", "gran", "va", "level", "source"};
    static const char *const settings[] = {"boot",     "profile", "threads", "ram",    "maxmem",  "bad",   "ws",
                                           "pagefile", "closed",  "disk",    "inject", "checked", "popup", "unhandled"};
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if (strcmp(name, notes[i]) == 0) { return DIRECTIVE_NOTE; }
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(name, settings[i]) == 0) { return DIRECTIVE_SETTING; }
    }
    return DIRECTIVE_UNKNOWN;
}
