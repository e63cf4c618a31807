/* Dumps of a process: !process, !vad, !wsle. */
#include "dump_priv.h"

#define WS_LIST         0xC0502000u /* NT-30 */
#define WS_ENTRIES      0xC0502690u
#define WS_HEADER_WORDS 11u
#define WSLE_IS_VALID   1u

/* ---- !process ---- */

static json_t *process_json(const struct nt_process_view *p) {
    json_t *object = json_object();
    dump_set(object, "pid", p->pid);
    dump_set(object, "ppid", p->ppid);
    dump_set(object, "eprocess", p->eprocess);
    dump_set(object, "directory", p->directory_base[0]);
    dump_set(object, "working_set_size", p->ws_size);
    dump_set(object, "peak_working_set_size", p->peak_ws);
    dump_set(object, "minimum", p->min_ws);
    dump_set(object, "maximum", p->max_ws);
    dump_set(object, "page_faults", p->page_fault_count);
    dump_set(object, "commit_charge", p->commit_charge);
    dump_set(object, "locked_pages", p->locked_pages);
    dump_set_text(object, "image", p->image);
    return object;
}

int dump_process(struct dump *d, const char *argument) {
    struct nt_process_view p;
    if (dump_find_process(d, argument, &p)) { return -1; }
    fprintf(d->out, "PROCESS %08x  Cid: %04u    ParentCid: %04u\n    DirBase: %08x  Image: %s\n", p.eprocess, p.pid,
            p.ppid, p.directory_base[0], p.image);
    fprintf(d->out, "    Working Set Sizes (now,min,max)  (%u, %u, %u)\n    Peak Working Set Size  %u\n", p.ws_size,
            p.min_ws, p.max_ws, p.peak_ws);
    fprintf(d->out, "    PageFaultCount  %u\n    CommitCharge  %u\n    NumberOfLockedPages  %u\n", p.page_fault_count,
            p.commit_charge, p.locked_pages);
    json_object_set_new(d->json, "process", process_json(&p));
    return 0;
}

/* ---- !vad ---- */

struct vad_list {
    struct dump *d;
    json_t *vads;
};

static bool print_vad(void *ctx, const struct nt_vad_view *vad) {
    struct vad_list *list = ctx;
    fprintf(list->d->out, "%08" PRIx64 " %08" PRIx64 " %6u  %-7s %s%02x", vad->start, vad->end, vad->commit_charge,
            vad->is_private ? "Private" : "Mapped", vad->image ? "Exe " : "", vad->protection);
    if (!vad->is_private) { fprintf(list->d->out, "  section %u", vad->sid); }
    fputc('\n', list->d->out);
    json_t *object = json_object();
    dump_set(object, "start", vad->start);
    dump_set(object, "end", vad->end);
    dump_set(object, "commit", vad->commit_charge);
    dump_set_text(object, "type", vad->is_private ? "private" : vad->image ? "image" : "mapped");
    dump_set(object, "protection", vad->protection);
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

int dump_wsle(struct dump *d, const char *argument) {
    static const char *const name[WS_HEADER_WORDS] = {
        "Quota",           "FirstFree", "FirstDynamic", "LastEntry",    "NextSlot", "Wsle", "CommittedPageTables",
        "LastInitialized", "NonDirect", "HashTable",    "HashTableSize"};
    enum { FIRST_FREE = 1, LAST = 3 };
    struct nt_process_view p;
    if (dump_find_process(d, argument, &p)) { return -1; }
    uint32_t header[WS_HEADER_WORDS];
    for (unsigned i = 0; i < WS_HEADER_WORDS; i++) {
        if (!dump_read32(d, p.directory_base[0], WS_LIST + i * 4, &header[i])) {
            return dump_error(d, "process %u: its working-set list is not mapped", p.pid);
        }
        fprintf(d->out, "%s%s %x", i ? "  " : "Working Set @ c0502000\n    ", name[i], header[i]);
        dump_set(d->json, name[i], header[i]);
    }
    fprintf(d->out, "\nindex    address   flags\n");
    json_t *entries = json_array();
    for (uint32_t i = 0; i <= header[LAST]; i++) {
        uint32_t entry;
        if (!dump_read32(d, p.directory_base[0], WS_ENTRIES + (va_t)i * 4, &entry)) { break; }
        if (!(entry & WSLE_IS_VALID)) { continue; }
        fprintf(d->out, "%5x    %08x  %03x\n", i, entry & ~(uint32_t)PAGE_MASK, entry & (uint32_t)PAGE_MASK);
        json_array_append_new(entries, json_pack("{s:i, s:I}", "index", (int)i, "entry", (json_int_t)entry));
    }
    json_object_set_new(d->json, "entries", entries);
    return 0;
}
