/* Check 5, expectations: the keys about the NT kernel's structures: PFN entries, page lists, working sets, VADs,
 * commit. */
#include "expect_priv.h"

#include "ntmmu/address_space.h"
#include "ntmmu/eprocess.h"
#include "ntmmu/nt_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum check_verdict match_text(struct expect *e, const char *text, size_t length, uint64_t found) {
    struct pattern p;
    if (!pattern_parse(text, length, &p)) { return expect_bad(e, "HEX, HEX/MASK, @A, @A|BITS or * as a value"); }
    return pattern_match(e, &p, found, 0) ? CHECK_OK : CHECK_FAILED;
}

/* ---- PFN entries ---- */

static bool pfn_field(const struct mmpfn *pfn, pte_t original, const char *name, size_t length, uint64_t *out) {
    const struct {
        const char *name;
        uint64_t value;
    } field[] = {{"flags", pfn->Flags},
                 {"share", pfn->u2},
                 {"ref", pfn->ReferenceCount},
                 {"pte", pfn->PteAddress},
                 {"u1", pfn->u1},
                 {"u2", pfn->u2},
                 {"next", pfn->u1},
                 {"prev", pfn->u2},
                 {"orig", original},
                 {"cont", pfn->ContainingFrame}};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        if (piece_is(name, length, field[i].name)) {
            *out = field[i].value;
            return true;
        }
    }
    return false;
}

static enum check_verdict key_pfn(struct expect *e, const char *arg, const char *value) {
    uint64_t frame, have;
    if (!number_parse(e, arg, strlen(arg), &frame)) {
        return expect_bad(e, "pfn.FRAME=…, FRAME hexadecimal or a bound @A");
    }
    if (frame >= machine_memory(e->machine)->size >> PAGE_SHIFT) {
        return expect_bad(e, "pfn.FRAME=…, a frame that there is");
    }
    name_records(e, LOG_PFN, frame, true, 0);
    struct mmpfn pfn = peek_pfn(e->machine, frame);
    pte_t original = peek_original_pte(e->machine, frame);
    const char *piece;
    size_t length;
    for (const char *at = value; next_piece(&at, ',', &piece, &length);) {
        const char *colon = memchr(piece, ':', length);
        if (!colon || !pfn_field(&pfn, original, piece, (size_t)(colon - piece), &have)) {
            return expect_bad(e, "flags:, share:, ref:, pte:, u1:, u2:, next:, prev:, orig: or cont: in pfn.FRAME=");
        }
        enum check_verdict verdict = match_text(e, colon + 1, length - (size_t)(colon + 1 - piece), have);
        if (verdict == CHECK_FAILED) {
            return expect_mismatch(e, "flags:%04x,share:%x,ref:%x,pte:%08x,u1:%x,orig:%08" PRIx64 ",cont:%x", pfn.Flags,
                                   pfn.u2, pfn.ReferenceCount, pfn.PteAddress, pfn.u1, original, pfn.ContainingFrame);
        }
        if (verdict != CHECK_OK) { return verdict; }
    }
    return CHECK_OK;
}

/* ---- page lists ---- */

static const struct {
    const char *name;
    enum mm_list list;
} list_names[] = {{"zeroed", ZeroedPageList},
                  {"free", FreePageList},
                  {"standby", StandbyPageList},
                  {"modified", ModifiedPageList},
                  {"modifiednowrite", ModifiedNoWritePageList},
                  {"bad", BadPageList}};

#define LIST_PRINT 16 /* frames shown of a list that differs */

/* The first or the last COUNT frames, in the list's order; MM_EMPTY_LIST beyond its other end. */
static void list_frames_at_end(struct expect *e, const struct nt_list_view *list, bool tail, size_t count,
                               uint32_t *frame) {
    uint32_t at = tail ? list->last : list->first;
    for (size_t i = 0; i < count; i++) {
        frame[tail ? count - 1 - i : i] = at;
        if (at == MM_EMPTY_LIST) { continue; }
        struct mmpfn pfn = peek_pfn(e->machine, at);
        at = tail ? pfn.u2 : pfn.u1;
    }
}

static enum check_verdict list_mismatch(struct expect *e, const struct nt_list_view *list, bool tail, unsigned count) {
    char text[LIST_PRINT * 9 + 8] = "";
    size_t used = 0;
    uint32_t frame[LIST_PRINT];
    if (count > LIST_PRINT) { count = LIST_PRINT; }
    list_frames_at_end(e, list, tail, count, frame);
    for (unsigned i = 0; i < count; i++) {
        if (frame[i] == MM_EMPTY_LIST) { continue; }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%x", used ? "," : "", frame[i]);
    }
    return expect_mismatch(e, "%s", used ? text : "an empty list");
}

static enum check_verdict list_frames(struct expect *e, const struct nt_list_view *list, bool tail, const char *value) {
    unsigned count = 0, i = 0;
    const char *piece;
    size_t length;
    for (const char *at = value; next_piece(&at, ',', &piece, &length);) { count++; }
    if (strcmp(value, "none") == 0) {
        return list->first == MM_EMPTY_LIST ? CHECK_OK : list_mismatch(e, list, tail, 4);
    }
    uint32_t *frame = check_alloc((count + 1) * sizeof *frame);
    list_frames_at_end(e, list, tail, count, frame);
    enum check_verdict verdict = CHECK_OK;
    for (const char *at = value; verdict == CHECK_OK && next_piece(&at, ',', &piece, &length); i++) {
        verdict = match_text(e, piece, length, frame[i]);
    }
    free(frame);
    return verdict == CHECK_FAILED ? list_mismatch(e, list, tail, count) : verdict;
}

static enum check_verdict key_list(struct expect *e, const struct nt_memory_view *memory, const char *arg,
                                   const char *value) {
    const char *dot = strchr(arg, '.');
    size_t length = dot ? (size_t)(dot - arg) : strlen(arg);
    const char *part = dot ? dot + 1 : "";
    int which = -1;
    for (size_t i = 0; i < sizeof list_names / sizeof *list_names; i++) {
        if (piece_is(arg, length, list_names[i].name)) { which = list_names[i].list; }
    }
    if (which < 0) { return expect_bad(e, "list.zeroed, free, standby, modified, modifiednowrite or bad"); }
    name_records(e, LOG_LIST, (uint64_t)which, true, 0);
    const struct nt_list_view *list = &memory->list[which];
    if (!*part) {
        uint64_t want;
        if (!decimal_parse(value, &want)) { return expect_bad(e, "a decimal count behind list.NAME="); }
        return want == list->count ? CHECK_OK : expect_mismatch(e, "%u", list->count);
    }
    if (strcmp(part, "first") == 0 || strcmp(part, "head") == 0) { return list_frames(e, list, false, value); }
    if (strcmp(part, "last") == 0 || strcmp(part, "tail") == 0) { return list_frames(e, list, true, value); }
    return expect_bad(e, "list.NAME, list.NAME.first, .last, .head or .tail");
}

/* ---- working sets ---- */

struct find_process {
    uint32_t pid;
    bool found;
    struct nt_process_view view;
};

static bool is_wanted(void *ctx, const struct nt_process_view *view) {
    struct find_process *f = ctx;
    if (view->pid != f->pid) { return true; }
    f->found = true;
    f->view = *view;
    return false;
}

/* Offsets in the working-set list, NT-30. */
static bool list_field(const char *name, unsigned *offset) {
    static const struct {
        const char *name;
        unsigned offset;
    } field[] = {{"quota", 0x00},     {"first_free", 0x04}, {"first_dynamic", 0x08}, {"last", 0x0C},
                 {"next_slot", 0x10}, {"wsle", 0x14},       {"page_tables", 0x18},   {"items", 0x1C},
                 {"inserted", 0x20},  {"hash", 0x24},       {"hash_size", 0x28}};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        if (strcmp(name, field[i].name) == 0) {
            *offset = field[i].offset;
            return true;
        }
    }
    return false;
}

static bool view_field(const struct nt_process_view *view, const char *name, uint64_t *out) {
    const struct {
        const char *name;
        uint64_t value;
    } field[] = {{"size", view->ws_size},
                 {"peak", view->peak_ws},
                 {"faults", view->page_fault_count},
                 {"min", view->min_ws},
                 {"max", view->max_ws},
                 {"commit", view->commit_charge},
                 {"locked", view->locked_pages},
                 {"page", view->working_set_page},
                 {"time", view->ws_time},
                 {"vm", view->vm},
                 {"state", view->state},
                 {"ready", view->ready_threads}};
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        if (strcmp(name, field[i].name) == 0) {
            *out = field[i].value;
            return true;
        }
    }
    return false;
}

static enum check_verdict key_ws(struct expect *e, const char *arg, const char *value) {
    struct find_process f = {0};
    uint64_t directory, found = 0, index;
    unsigned offset;
    const struct working_set_layout layout = working_set_layout(e->machine);
    if (process_argument(e, &arg, &f.pid, &directory)) { nt_view_processes(machine_os(e->machine), is_wanted, &f); }
    if (!f.found) { return expect_bad(e, "ws.[PID:]FIELD of a process that exists"); }
    if (strncmp(arg, "used.", 5) == 0 && number_parse(e, arg + 5, strlen(arg + 5), &index) && index < layout.tables) {
        uint16_t used = 0;
        peek(e->machine, directory, layout.used + 2 * index, &used, sizeof used);
        found = used;
    } else if (strncmp(arg, "pde_faults.", 11) == 0 && number_parse(e, arg + 11, strlen(arg + 11), &index) &&
               index < layout.tables) {
        found = f.view.pde_fault_count ? f.view.pde_fault_count[index] : 0;
    } else if (list_field(arg, &offset)) {
        found = peek32(e->machine, directory, layout.list + offset);
    } else if (!view_field(&f.view, arg, &found)) {
        return expect_bad(e, "a field of ws. as traces/EXPECT.md lists them");
    }
    enum check_verdict verdict = match_text(e, value, strlen(value), found);
    return verdict == CHECK_FAILED ? expect_mismatch(e, "%" PRIx64, found) : verdict;
}

static enum check_verdict key_wsle(struct expect *e, const char *arg, const char *value) {
    uint32_t pid;
    uint64_t directory, index;
    if (!process_argument(e, &arg, &pid, &directory) || !number_parse(e, arg, strlen(arg), &index)) {
        return expect_bad(e, "wsle.[PID:]INDEX=HEX of a process that exists");
    }
    name_records(e, LOG_WS, index, false, pid);
    uint32_t found = peek32(e->machine, directory, working_set_layout(e->machine).entries + 4 * index);
    enum check_verdict verdict = match_text(e, value, strlen(value), found);
    return verdict == CHECK_FAILED ? expect_mismatch(e, "%08x", found) : verdict;
}

/* ---- paging files ---- */

struct find_paging_file {
    uint64_t number;
    va_t address;
};

static bool is_wanted_file(void *ctx, const struct nt_paging_file_view *view) {
    struct find_paging_file *f = ctx;
    if (view->number == f->number) { f->address = view->address; }
    return f->address == 0;
}

static enum check_verdict paging_file_bit(struct expect *e, uint64_t directory, uint32_t bitmap, const char *slot_text,
                                          const char *value) {
    uint64_t slot;
    if (!number_parse(e, slot_text, strlen(slot_text), &slot)) { return expect_bad(e, "pgf.N.bit.SLOT=0 or 1"); }
    uint32_t found = peek32(e->machine, directory, bitmap + slot / 32 * 4) >> (slot % 32) & 1;
    enum check_verdict verdict = match_text(e, value, strlen(value), found);
    return verdict == CHECK_FAILED ? expect_mismatch(e, "%u", found) : verdict;
}

/* pgf.N=FIELD:HEX,… and pgf.N.bit.SLOT=0|1 */
static enum check_verdict key_pgf(struct expect *e, const struct nt_memory_view *memory, const char *arg,
                                  const char *value) {
    static const struct {
        const char *name;
        unsigned word;
    } field[] = {{"min", 0},  {"limit", 1},  {"free", 3},   {"used", 4},   {"max", 5},
                 {"hint", 6}, {"entry0", 8}, {"entry1", 9}, {"number", 12}};
    struct find_paging_file f = {0};
    const char *dot = strchr(arg, '.'), *piece;
    uint64_t directory = (uint64_t)memory->system_directory << PAGE_SHIFT;
    uint32_t words[NT_PAGING_FILE_WORDS] = {0};
    size_t length;
    if (!number_parse(e, arg, dot ? (size_t)(dot - arg) : strlen(arg), &f.number)) {
        return expect_bad(e, "pgf.N=… or pgf.N.bit.SLOT=…, N the number of a paging file");
    }
    nt_view_paging_files(machine_os(e->machine), is_wanted_file, &f);
    if (f.address == 0) { return expect_mismatch(e, "no paging file of that number"); }
    peek(e->machine, directory, f.address, words, sizeof words);
    if (dot && strncmp(dot, ".bit.", 5) == 0) { return paging_file_bit(e, directory, words[10], dot + 5, value); }
    for (const char *at = value; next_piece(&at, ',', &piece, &length);) {
        const char *colon = memchr(piece, ':', length);
        size_t i = 0, name_length = colon ? (size_t)(colon - piece) : length;
        while (i < sizeof field / sizeof *field && !piece_is(piece, name_length, field[i].name)) { i++; }
        if (!colon || i == sizeof field / sizeof *field) {
            return expect_bad(e, "min:, limit:, free:, used:, max:, hint:, entry0:, entry1: or number: in pgf.N=");
        }
        enum check_verdict verdict = match_text(e, colon + 1, length - name_length - 1, words[field[i].word]);
        if (verdict == CHECK_FAILED) {
            return expect_mismatch(e, "min:%x,limit:%x,free:%x,used:%x,max:%x,hint:%x,entry0:%x,entry1:%x", words[0],
                                   words[1], words[3], words[4], words[5], words[6], words[8], words[9]);
        }
        if (verdict != CHECK_OK) { return verdict; }
    }
    return CHECK_OK;
}

/* ---- stacks ---- */

static enum check_verdict key_stack_limit(struct expect *e, const char *arg, const char *value) {
    uint64_t tid;
    if (!decimal_parse(arg, &tid)) { return expect_bad(e, "stack_limit.TID=HEX, TID decimal"); }
    va_t found = nt_view_stack_limit(machine_os(e->machine), (uint32_t)tid);
    enum check_verdict verdict = match_text(e, value, strlen(value), found);
    return verdict == CHECK_FAILED ? expect_mismatch(e, "%" PRIx64, found) : verdict;
}

/* ---- system PTEs ---- */

/* The address that the free entry behind a reference maps, 0 for the end of a list. */
static va_t referenced_va(const struct nt_system_ptes_view *view, uint32_t reference) {
    if (reference == MM_PTE_LIST_END) { return 0; }
    return MiGetVirtualAddressMappedByPte(view->base + ((reference & ~(uint32_t)PAGE_MASK) >> 10));
}

static enum check_verdict key_sysptes(struct expect *e, const char *arg, const char *value) {
    const char *const usage = "sysptes.count.CLASS, .first.CLASS, .last.CLASS, .free.SPACE or .run.SPACE";
    struct nt_system_ptes_view view;
    nt_view_system_ptes(machine_os(e->machine), &view);
    const char *dot = strchr(arg, '.');
    uint64_t n;
    if (!dot || !decimal_parse(dot + 1, &n)) { return expect_bad(e, usage); }
    size_t length = (size_t)(dot - arg);
    uint64_t found;
    bool decimal = false;
    if (piece_is(arg, length, "free") && n < MM_SYSTEM_PTE_SPACES) {
        found = view.total_free[n];
        decimal = true;
    } else if (piece_is(arg, length, "count") && n < MM_SYS_PTE_CLASSES) {
        found = view.block[n].count;
        decimal = true;
    } else if (piece_is(arg, length, "run") && n < MM_SYSTEM_PTE_SPACES) {
        found = referenced_va(&view, view.first_free[n]);
    } else if (piece_is(arg, length, "first") && n < MM_SYS_PTE_CLASSES) {
        found = referenced_va(&view, view.block[n].first);
    } else if (piece_is(arg, length, "last") && n < MM_SYS_PTE_CLASSES) {
        found = referenced_va(&view, view.block[n].last);
    } else {
        return expect_bad(e, usage);
    }
    if (decimal) {
        uint64_t want;
        if (!decimal_parse(value, &want)) { return expect_bad(e, "a decimal number behind '='"); }
        return want == found ? CHECK_OK : expect_mismatch(e, "%" PRIu64, found);
    }
    enum check_verdict verdict = match_text(e, value, strlen(value), found);
    return verdict == CHECK_FAILED ? expect_mismatch(e, "%" PRIx64, found) : verdict;
}

/* ---- VADs ---- */

struct vad_text {
    char text[4096];
    size_t length;
};

static bool add_vad(void *ctx, const struct nt_vad_view *vad) {
    struct vad_text *t = ctx;
    int n = snprintf(t->text + t->length, sizeof t->text - t->length, "%s%" PRIx64 "-%" PRIx64, t->length ? "," : "",
                     vad->start, vad->end);
    if (n > 0) { t->length += (size_t)n; }
    return t->length < sizeof t->text - 40;
}

static enum check_verdict key_vad(struct expect *e, const char *value) {
    char *end;
    uint32_t pid = (uint32_t)strtoul(value, &end, 10);
    if (end == value || *end != ':') { return expect_bad(e, "vad=PID:START-END,… or vad=PID:none"); }
    struct vad_text found = {0};
    nt_view_vads(machine_os(e->machine), pid, add_vad, &found);
    const char *have = found.length ? found.text : "none", *want = end + 1;
    if (strcasecmp(have, want) == 0) { return CHECK_OK; }
    return expect_mismatch(e, "%u:%s", pid, have);
}

/* ---- commit ---- */

static enum check_verdict key_commit(struct expect *e, const struct nt_memory_view *memory, const char *value) {
    uint64_t want;
    bool change = *value == '+' || *value == '-';
    if (!decimal_parse(value + change, &want)) { return expect_bad(e, "commit=N, +N or -N, decimal"); }
    name_kind(e, LOG_COMMIT);
    if (!change) {
        return want == memory->total_committed ? CHECK_OK : expect_mismatch(e, "%u", memory->total_committed);
    }
    if (!e->has_before) {
        return expect_bad(e, "an expect line in the 4096 events before the one a change is counted for");
    }
    int64_t found = (int64_t)memory->total_committed - e->commit_before;
    return found == (*value == '-' ? -(int64_t)want : (int64_t)want) ? CHECK_OK
                                                                     : expect_mismatch(e, "%+" PRId64, found);
}

/* ---- MmWorkingSetExpansionHead, NT-29 ---- */

#define EXPANSION_PRINT 64

struct find_vm {
    uint32_t vm, pid;
};

static bool is_vm(void *ctx, const struct nt_process_view *view) {
    struct find_vm *f = ctx;
    if (view->vm == f->vm) { f->pid = view->pid; }
    return true;
}

/* Process ids in the list's order; 0 is the system's working set. */
static enum check_verdict key_expansion(struct expect *e, const char *value) {
    char found[EXPANSION_PRINT * 12] = "";
    size_t length = 0;
    uint64_t directory = peek_cr3(e->machine);
    uint32_t at = peek32(e->machine, directory, MM_WORKING_SET_EXPANSION);
    for (unsigned i = 0; i < EXPANSION_PRINT && at != MM_WORKING_SET_EXPANSION; i++) {
        struct find_vm f = {.vm = at - VM_WORKING_SET_LINKS};
        nt_view_processes(machine_os(e->machine), is_vm, &f);
        length += (size_t)snprintf(found + length, sizeof found - length, "%s%u", length ? "," : "", f.pid);
        at = peek32(e->machine, directory, at);
    }
    return strcmp(found, value) == 0 ? CHECK_OK : expect_mismatch(e, "%s", found);
}

static enum check_verdict key_decimal(struct expect *e, const char *value, uint64_t found) {
    uint64_t want;
    if (!decimal_parse(value, &want)) { return expect_bad(e, "a decimal number behind '='"); }
    return want == found ? CHECK_OK : expect_mismatch(e, "%" PRIu64, found);
}

enum check_verdict expect_kernel_key(struct expect *e, const char *key, const char *arg, const char *value,
                                     bool *known) {
    static const char *const dotted[] = {"pfn", "list", "ws", "wsle", "stack_limit", "sysptes", "pgf"};
    static const char *const plain[] = {"available", "vad", "commit", "limit", "peak", "expansion"};
    *known = false;
    for (size_t i = 0; *arg && i < sizeof dotted / sizeof *dotted; i++) { *known |= strcmp(key, dotted[i]) == 0; }
    for (size_t i = 0; !*arg && i < sizeof plain / sizeof *plain; i++) { *known |= strcmp(key, plain[i]) == 0; }
    if (!*known) { return expect_object_key(e, key, arg, value, known); }
    if (strcmp(key, "pfn") == 0) { return key_pfn(e, arg, value); }
    if (strcmp(key, "wsle") == 0) { return key_wsle(e, arg, value); }
    if (!is_nt(e->machine)) { return expect_bad(e, "a key that this machine's kernel has"); }
    struct nt_memory_view memory;
    nt_view_memory(machine_os(e->machine), &memory);
    if (strcmp(key, "list") == 0) { return key_list(e, &memory, arg, value); }
    if (strcmp(key, "pgf") == 0) { return key_pgf(e, &memory, arg, value); }
    if (strcmp(key, "ws") == 0) { return key_ws(e, arg, value); }
    if (strcmp(key, "vad") == 0) { return key_vad(e, value); }
    if (strcmp(key, "sysptes") == 0) { return key_sysptes(e, arg, value); }
    if (strcmp(key, "expansion") == 0) { return key_expansion(e, value); }
    if (strcmp(key, "stack_limit") == 0) { return key_stack_limit(e, arg, value); }
    if (strcmp(key, "available") == 0) { return key_decimal(e, value, memory.available_pages); }
    if (strcmp(key, "limit") == 0) { return key_decimal(e, value, memory.commit_limit); }
    if (strcmp(key, "peak") == 0) { return key_decimal(e, value, memory.peak_commitment); }
    return key_commit(e, &memory, value);
}
