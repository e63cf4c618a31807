/* Dumps of a process: !process, !vad, !wsle. */
#include "dump_priv.h"
#include "ntmmu/eprocess.h"
#include "ntmmu/wsle.h"

#include <string.h>

#define WS_HEADER_WORDS 11u

/* ---- !process: the fields of the EPROCESS (NT-70) and of the VM structure in it (NT-29), from memory ---- */

static const struct {
    const char *label, *key;
    uint32_t offset;
} process_field[] = {{"Cid", "pid", EPROCESS_UNIQUE_PROCESS_ID},
                     {"ParentCid", "ppid", EPROCESS_INHERITED_FROM},
                     {"DirBase", "directory", EPROCESS_DIRECTORY_TABLE_BASE},
                     {"Hyperspace", "hyperspace", EPROCESS_DIRECTORY_TABLE_BASE + 4},
                     {"WorkingSetPage", "working_set_page", EPROCESS_WORKING_SET_PAGE},
                     {"WorkingSetLock", "working_set_lock", EPROCESS_WORKING_SET_LOCK},
                     {"AddressCreationLock", "address_creation_lock", EPROCESS_ADDRESS_CREATION_LOCK},
                     {"SectionBaseAddress", "section_base", EPROCESS_SECTION_BASE_ADDRESS},
                     {"VM PageFaultCount", "page_faults", EPROCESS_VM + VM_PAGE_FAULT_COUNT},
                     {"VM PeakWorkingSetSize", "peak_working_set_size", EPROCESS_VM + VM_PEAK_WORKING_SET_SIZE},
                     {"VM WorkingSetSize", "working_set_size", EPROCESS_VM + VM_WORKING_SET_SIZE},
                     {"VM MinimumWorkingSet", "minimum", EPROCESS_VM + VM_MINIMUM_WORKING_SET},
                     {"VM MaximumWorkingSet", "maximum", EPROCESS_VM + VM_MAXIMUM_WORKING_SET},
                     {"VM WorkingSetList", "working_set_list", EPROCESS_VM + VM_WORKING_SET_LIST}};

static bool count_vad(void *ctx, const struct nt_vad_view *vad) {
    (void)vad;
    ++*(uint32_t *)ctx;
    return true;
}

struct thread_list {
    struct dump *d;
    json_t *threads;
};

static bool print_thread(void *ctx, const struct nt_thread_view *thread) {
    struct thread_list *list = ctx;
    fprintf(list->d->out, "    THREAD %08" PRIx32 "  Cid %04u  %s\n", thread->address, thread->tid,
            thread->running ? "RUNNING" : "");
    json_array_append_new(list->threads, json_pack("{s:I, s:I, s:b}", "tid", (json_int_t)thread->tid, "address",
                                                   (json_int_t)thread->address, "running", (int)thread->running));
    return true;
}

void dump_image_name(struct dump *d, uint32_t eprocess, char out[IMAGE_NAME_MAX + 1]) {
    for (unsigned i = 0; i < IMAGE_NAME_MAX; i += 4) {
        uint32_t word = 0;
        dump_read32(d, dump_system_directory(d), eprocess + EPROCESS_IMAGE_FILE_NAME + i, &word);
        memcpy(out + i, &word, sizeof word);
    }
    out[IMAGE_NAME_MAX] = '\0';
}

int dump_process(struct dump *d, const char *argument) {
    struct nt_process_view p;
    if (dump_find_process(d, argument, &p)) { return -1; }
    json_t *object = json_object();
    char image[IMAGE_NAME_MAX + 1];
    dump_image_name(d, p.eprocess, image);
    fprintf(d->out, "PROCESS %08x  Image: %s\n", p.eprocess, image);
    report_set(object, "eprocess", p.eprocess);
    report_set_text(object, "image", image);
    for (size_t i = 0; i < sizeof process_field / sizeof *process_field; i++) {
        uint32_t value = 0;
        dump_read32(d, dump_system_directory(d), p.eprocess + process_field[i].offset, &value);
        fprintf(d->out, "    %-22s %08x\n", process_field[i].label, value);
        report_set(object, process_field[i].key, value);
    }
    uint32_t vads = 0;
    nt_view_vads(d->os, p.pid, count_vad, &vads);
    fprintf(d->out, "    VadRoot: %u VADs  CommitCharge: %u  NumberOfLockedPages: %u\n", vads, p.commit_charge,
            p.locked_pages);
    report_set(object, "vads", vads);
    report_set(object, "commit_charge", p.commit_charge);
    report_set(object, "locked_pages", p.locked_pages);
    struct thread_list list = {d, json_array()};
    nt_view_threads(d->os, p.pid, print_thread, &list);
    json_object_set_new(object, "threads", list.threads);
    json_object_set_new(d->json, "process", object);
    return 0;
}

/* ---- !vad ---- */

struct vad_list {
    struct dump *d;
    json_t *vads;
};

/* Bits of the flags, NT-69. */
enum { VAD_PHYSICAL = 1 << 19, VAD_IMAGE = 1 << 20, VAD_NO_CHANGE = 1 << 22, VAD_COMMIT = 1 << 30 };

struct area_name {
    va_t area;
    const char *path;
};

static bool match_area(void *ctx, const struct nt_control_area_view *area) {
    struct area_name *name = ctx;
    if (area->address != name->area) { return true; }
    name->path = *area->path ? area->path : "Page File Section";
    return false;
}

static const char *protection_name(unsigned protection) {
    static const char *const name[] = {"NO_ACCESS", "READONLY",  "EXECUTE",           "EXECUTE_READ",
                                       "READWRITE", "WRITECOPY", "EXECUTE_READWRITE", "EXECUTE_WRITECOPY"};
    return name[(protection & MM_NOACCESS) == MM_NOACCESS ? 0 : protection & 7];
}

static void print_mapped(struct vad_list *list, const struct nt_vad_view *vad, json_t *object) {
    struct area_name name = {vad->control_area, ""};
    nt_view_control_areas(list->d->os, match_area, &name);
    fprintf(list->d->out, "  section %u  control area %08" PRIx64 "  prototypes %08" PRIx64 "  %s", vad->sid,
            vad->control_area, vad->first_prototype, name.path);
    report_set(object, "section", vad->sid);
    report_set(object, "control_area", vad->control_area);
    report_set(object, "first_prototype", vad->first_prototype);
    report_set_text(object, "file", name.path);
}

static bool print_vad(void *ctx, const struct nt_vad_view *vad) {
    struct vad_list *list = ctx;
    json_t *object = json_object();
    fprintf(list->d->out, "%08" PRIx64 " %08" PRIx64 " %6u  %-7s %s%02x %s%s%s%s%s%s", vad->start, vad->end,
            vad->commit_charge, vad->is_private ? "Private" : "Mapped", vad->flags & VAD_IMAGE ? "Exe " : "",
            vad->protection, protection_name(vad->protection),
            (vad->protection & MM_NOACCESS) == MM_GUARD_PAGE ? " GUARD" : "",
            (vad->protection & MM_NOACCESS) == MM_NOCACHE ? " NOCACHE" : "", vad->flags & VAD_PHYSICAL ? " Phys" : "",
            vad->flags & VAD_NO_CHANGE ? " NoChange" : "", vad->flags & VAD_COMMIT ? " MemCommit" : "");
    report_set(object, "start", vad->start);
    report_set(object, "end", vad->end);
    report_set(object, "commit", vad->commit_charge);
    report_set_text(object, "type", vad->is_private ? "private" : vad->image ? "image" : "mapped");
    report_set(object, "protection", vad->protection);
    report_set(object, "flags", vad->flags);
    if (!vad->is_private) { print_mapped(list, vad, object); }
    fputc('\n', list->d->out);
    json_array_append_new(list->vads, object);
    return true;
}

int dump_vad(struct dump *d, const char *argument) {
    struct nt_process_view p;
    if (dump_find_process(d, argument, &p)) { return -1; }
    struct vad_list list = {d, json_array()};
    fprintf(d->out, "start    end      commit  type    protection\n");
    nt_view_vads(d->os, p.pid, print_vad, &list);
    fprintf(d->out, "Total VADs: %zu\n", json_array_size(list.vads));
    json_object_set_new(d->json, "vads", list.vads);
    return 0;
}

/* ---- !wsle ---- */

static void print_entry(struct dump *d, json_t *entries, uint32_t index, uint32_t entry) {
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    enum os_profile profile = memory.profile;
    bool direct = wsle_is_direct(profile, entry), in_ws = entry & WSLE_LOCKED_IN_WS;
    bool in_memory = entry & WSLE_LOCKED_IN_MEMORY, shared = wsle_is_shared(profile, entry);
    fprintf(d->out, "%5x    %08x  %03x", index, entry & ~(uint32_t)PAGE_MASK, entry & (uint32_t)PAGE_MASK);
    if (shared) {
        fprintf(d->out, "  shared, protection %s %x", wsle_is_same(profile, entry) ? "the prototype's" : "its own",
                wsle_protection(profile, entry));
    }
    fprintf(d->out, "%s%s%s", direct ? "" : "  hashed", in_ws ? "  locked in WS" : "",
            in_memory ? "  locked in memory" : "");
    if (wsle_is_nt5(profile)) { fprintf(d->out, "  age %u", wsle_age(profile, entry)); }
    fputc('\n', d->out);
    json_array_append_new(entries, json_pack("{s:i, s:I, s:b, s:b, s:b, s:b, s:i}", "index", (int)index, "entry",
                                             (json_int_t)entry, "direct", (int)direct, "shared", (int)shared,
                                             "locked_in_ws", (int)in_ws, "locked_in_memory", (int)in_memory, "age",
                                             (int)wsle_age(profile, entry)));
}

/* NT-32: a key and an index in each slot. */
static void print_hash(struct dump *d, uint64_t directory, va_t table, uint32_t slots) {
    json_t *hash = json_array();
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t key, index;
        if (!dump_read32(d, directory, table + i * 8, &key) || !dump_read32(d, directory, table + i * 8 + 4, &index)) {
            break;
        }
        if (!key) { continue; }
        fprintf(d->out, " hash %4x    %08x  index %x\n", i, key, index);
        json_array_append_new(hash, json_pack("{s:I, s:I, s:I}", "slot", (json_int_t)i, "key", (json_int_t)key, "index",
                                              (json_int_t)index));
    }
    json_object_set_new(d->json, "hash", hash);
}

int dump_wsle(struct dump *d, const char *argument) {
    static const char *const name[WS_HEADER_WORDS] = {
        "Quota",           "FirstFree", "FirstDynamic", "LastEntry",    "NextSlot", "Wsle", "CommittedPageTables",
        "LastInitialized", "NonDirect", "HashTable",    "HashTableSize"};
    enum { LAST = 3, ENTRIES = 5, HASH = 9, HASH_SIZE = 10 };
    struct nt_process_view p;
    if (dump_find_process(d, argument, &p)) { return -1; }
    uint32_t header[WS_HEADER_WORDS];
    for (unsigned i = 0; i < WS_HEADER_WORDS; i++) {
        if (!dump_read32(d, p.directory_base[0], MM_WORKING_SET_LIST + i * 4, &header[i])) {
            return dump_error(d, "process %u: its working-set list is not mapped", p.pid);
        }
        if (i == 0) { fprintf(d->out, "Working Set @ %08x\n  ", MM_WORKING_SET_LIST); }
        fprintf(d->out, "  %s %x", name[i], header[i]);
        report_set(d->json, name[i], header[i]);
    }
    fputc('\n', d->out);
    if (header[LAST] >= WSLES_MAX || header[HASH_SIZE] > WSHASH_PROCESS_MAX) {
        return dump_error(d, "process %u: its working-set list has been written over", p.pid);
    }
    fprintf(d->out, "index    address   flags\n");
    json_t *entries = json_array();
    for (uint32_t i = 0; i <= header[LAST]; i++) {
        uint32_t entry;
        if (!dump_read32(d, p.directory_base[0], header[ENTRIES] + (va_t)i * 4, &entry)) { break; }
        if (entry & WSLE_VALID) { print_entry(d, entries, i, entry); }
    }
    json_object_set_new(d->json, "entries", entries);
    print_hash(d, p.directory_base[0], header[HASH], header[HASH_SIZE]);
    return 0;
}
