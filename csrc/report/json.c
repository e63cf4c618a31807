/* The JSON result of a run; its keys are documented in ntmmu/report.h. */
#include "ntmmu/output_file.h"
#include "ntmmu/pfn_transitions.h"
#include "ntmmu/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void report_set(json_t *object, const char *key, uint64_t value) {
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

json_t *report_text(const char *text) {
    json_t *string = json_string(text);
    size_t length = strlen(text);
    char *replaced = string ? NULL : malloc(3 * length + 1), *end = replaced;
    for (size_t i = 0; replaced && i < length; i++) {
        bool ascii = (unsigned char)text[i] < 0x80;
        size_t bytes = ascii ? 1 : 3;
        memcpy(end, ascii ? &text[i] : "\xEF\xBF\xBD", bytes); /* U+FFFD */
        end += bytes;
    }
    if (replaced) { string = json_stringn(replaced, (size_t)(end - replaced)); }
    free(replaced);
    return string;
}

void report_set_text(json_t *object, const char *key, const char *value) {
    json_object_set_new(object, key, report_text(value));
}

static void add_run(json_t *root, const struct run_report *report) {
    report_set(root, "format", 1);
    report_set_text(root, "trace", report->trace);
    report_set_text(root, "mmu", report->mmu);
    report_set_text(root, "cpu", report->cpu);
    report_set_text(root, "result", report->result);
}

static void add_accesses(json_t *root, const struct machine_counts *c) {
    report_set(root, "events", c->events);
    report_set(root, "accesses", c->accesses);
    report_set(root, "fetches", c->fetches);
    report_set(root, "loads", c->loads);
    report_set(root, "stores", c->stores);
    report_set(root, "kernel_touches", c->kernel_touches);
    report_set(root, "touches", c->touches);
    report_set(root, "run_hits", c->run_hits);
    report_set(root, "itlb_hit", c->itlb_hit);
    report_set(root, "itlb_miss", c->itlb_miss);
    report_set(root, "dtlb_hit", c->dtlb_hit);
    report_set(root, "dtlb_miss", c->dtlb_miss);
    report_set(root, "istlb_hit", c->istlb_hit);
    report_set(root, "istlb_miss", c->istlb_miss);
    report_set(root, "dstlb_hit", c->dstlb_hit);
    report_set(root, "dstlb_miss", c->dstlb_miss);
    report_set(root, "page_faults", c->page_faults);
    report_set(root, "exceptions", c->exceptions);
    report_set(root, "cr3_switch", c->cr3_switch);
    report_set(root, "cr3_other", c->cr3_other);
    report_set(root, "invlpg", c->invlpg);
    report_set(root, "flush_all", c->flush_all);
    report_set(root, "file_reads", c->file_reads);
    report_set(root, "kernel_accesses", c->kernel_accesses);
    report_set(root, "kernel_misses", c->kernel_misses);
}

static void add_disk(json_t *root, const struct machine_counts *c) {
    json_t *disk = json_object();
    report_set(disk, "file_read_transfers", c->file_read_transfers);
    report_set(disk, "file_reads", c->file_reads);
    report_set(disk, "file_write_transfers", c->file_write_transfers);
    report_set(disk, "file_writes", c->file_writes);
    report_set(disk, "pagefile_read_transfers", c->pagefile_read_transfers);
    report_set(disk, "pagefile_reads", c->pagefile_reads);
    report_set(disk, "pagefile_write_transfers", c->pagefile_write_transfers);
    report_set(disk, "pagefile_writes", c->pagefile_writes);
    report_set(disk, "steps_busy", c->disk_steps);
    json_object_set_new(root, "disk", disk);
}

static void add_injected(json_t *root, const struct machine_counts *c) {
    json_t *injected = json_object();
    for (unsigned i = 0; i < OS_INJECTIONS; i++) { report_set(injected, injection_names[i], c->injected[i]); }
    report_set(injected, "exceptions", c->injected_exceptions);
    report_set(injected, "failures", c->injected_failures);
    json_object_set_new(root, "injected", injected);
}

static void add_touches(json_t *root, const struct first_touches *t) {
    report_set(root, "demand_zero", t->demand_zero);
    report_set(root, "file_first_hard", t->file_first_hard);
    report_set(root, "file_first_soft", t->file_first_soft);
    report_set(root, "section_first", t->section_first);
    report_set(root, "cow_file", t->cow_file);
    report_set(root, "cow_fork", t->cow_fork);
    report_set(root, "cow_reuse", t->cow_reuse);
    report_set(root, "fork_child_first_touch", t->fork_child_first_touch);
}

static void add_faults(json_t *root, const struct machine_counts *c) {
    static const char *const name[FAULT_KINDS] = {
        [FAULT_OTHER] = "other",       [FAULT_DEMAND_ZERO] = "demand_zero", [FAULT_TRANSITION] = "transition",
        [FAULT_FILE] = "file",         [FAULT_SECTION] = "section",         [FAULT_CLONE] = "clone",
        [FAULT_COW_FILE] = "cow_file", [FAULT_COW_FORK] = "cow_fork",       [FAULT_COW_REUSE] = "cow_reuse",
        [FAULT_GUARD] = "guard",       [FAULT_PAGE_FILE] = "page_file",
    };
    json_t *faults = json_object();
    for (unsigned i = 0; i < FAULT_KINDS; i++) { report_set(faults, name[i], c->resolved[i]); }
    json_object_set_new(root, "faults", faults);
}

/* Misses of both levels for pages of the sizes that a first-level array takes. */
static uint64_t misses_of(const struct mmu_preset *preset, enum mmu_array array, const struct mmu_statistics *s) {
    uint64_t misses = 0;
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        unsigned first, numbers = preset_arrays(preset, side, 1, &first);
        if (array < first || array >= first + numbers) { continue; }
        for (unsigned size = 0; size < TLB_PAGE_SIZES; size++) {
            if (preset->array[array].classes >> size & 1) { misses += s->misses[side][size]; }
        }
    }
    return misses;
}

static void add_arrays(json_t *object, const struct mmu_preset *preset, const struct mmu_statistics *s) {
    json_t *tlbs = json_object();
    for (enum mmu_array i = 0; i < MMU_ARRAYS; i++) {
        if (preset->array[i].ways == 0) { continue; }
        char name[PRESET_NAME_MAX];
        preset_array_name(preset, i, name);
        json_t *tlb = json_object();
        report_set(tlb, "hits", s->hits[i]);
        if (i < ARRAY_ISTLB) { report_set(tlb, "misses", misses_of(preset, i, s)); }
        json_object_set_new(tlbs, name, tlb);
    }
    json_object_set_new(object, "tlb", tlbs);
}

static void add_misses(json_t *object, const struct mmu_statistics *s) {
    static const char *const name[TLB_SIDES][TLB_PAGE_SIZES] = {{"itlb_4k", "itlb_2m", "itlb_1g"},
                                                                {"dtlb_4k", "dtlb_2m", "dtlb_1g"}};
    json_t *misses = json_object();
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        for (unsigned size = 0; size < TLB_PAGE_SIZES; size++) {
            report_set(misses, name[side][size], s->misses[side][size]);
        }
    }
    json_object_set_new(object, "misses", misses);
}

static void add_statistics(json_t *root, const struct machine *m) {
    struct mmu_statistics s;
    machine_statistics(m, &s);
    report_set(root, "cycles", s.cycles + machine_counts(m)->run_hits);
    json_t *object = json_object();
    add_arrays(object, machine_preset(m), &s);
    add_misses(object, &s);
    report_set(object, "istlb_pde_hits", s.pde_hits[TLB_INSTRUCTION]);
    report_set(object, "dstlb_pde_hits", s.pde_hits[TLB_DATA]);
    report_set(object, "itlb_miss_fault", s.miss_fault[TLB_INSTRUCTION]);
    report_set(object, "dtlb_miss_fault", s.miss_fault[TLB_DATA]);
    report_set(object, "walks", s.walks);
    report_set(object, "dirty_walks", s.dirty_walks);
    report_set(object, "walk_restarts", s.walk_restarts);
    report_set(object, "walk_cycles", s.walk_cycles);
    report_set(object, "table_reads", s.table_reads);
    report_set(object, "table_writes", s.table_writes);
    report_set(object, "pdpte_loads", s.pdpte_loads);
    report_set(object, "faults", s.faults);
    report_set(object, "invlpg", s.invlpg);
    report_set(object, "invpcid", s.invpcid);
    report_set(object, "cr3_writes", s.cr3_writes);
    report_set(object, "flush_all", s.flush_all);
    report_set(object, "fault_drops", s.fault_drops);
    json_object_set_new(root, "mmu_statistics", object);
}

/* A string: JSON's numbers do not hold 64 bits. */
static void add_memory_hash(json_t *root, struct machine *m) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, physmem_hash(machine_memory(m)));
    report_set_text(root, "memory_hash", hash);
}

static void add_frames(json_t *root, const struct nt_memory_view *memory) {
    static const char *const name[MM_LISTS] = {
        [ZeroedPageList] = "zeroed",
        [FreePageList] = "free",
        [StandbyPageList] = "standby",
        [ModifiedPageList] = "modified",
        [ModifiedNoWritePageList] = "modified_no_write",
        [BadPageList] = "bad",
    };
    json_t *frames = json_object();
    for (unsigned i = 0; i < MM_LISTS; i++) { report_set(frames, name[i], memory->list[i].count); }
    json_object_set_new(root, "frames", frames);
}

static void add_counter(void *ctx, const char *name, uint64_t value) { report_set(ctx, name, value); }

static void add_transitions(json_t *root, const uint64_t *counts) {
    if (!counts) { return; }
    json_t *object = json_object();
    for (size_t i = 0; i < PFN_TRANSITIONS; i++) {
        json_int_t before = json_integer_value(json_object_get(object, pfn_transitions[i].id));
        if (counts[i]) { report_set(object, pfn_transitions[i].id, counts[i] + (uint64_t)before); }
    }
    json_object_set_new(root, "pfn_transitions", object);
}

static void add_kernel(json_t *root, struct machine *m) {
    json_t *kernel = json_object();
    machine_os_ops(m)->counters(machine_os(m), add_counter, kernel);
    json_object_set_new(root, "kernel", kernel);
}

static json_t *make_json(const struct run_report *report) {
    json_t *root = json_object();
    add_run(root, report);
    add_accesses(root, machine_counts(report->machine));
    add_touches(root, report->touches);
    add_faults(root, machine_counts(report->machine));
    add_disk(root, machine_counts(report->machine));
    add_injected(root, machine_counts(report->machine));
    add_statistics(root, report->machine);
    add_frames(root, report->memory);
    add_memory_hash(root, report->machine);
    add_transitions(root, report->pfn_transitions);
    add_kernel(root, report->machine);
    return root;
}

/* ---- writing ---- */

static int write_text(const char *text, const char *path) {
    struct output_file out;
    if (output_open(&out, path)) { return -1; }
    if (output_write(&out, text, strlen(text)) == 0 && output_write(&out, "\n", 1) == 0) { return output_keep(&out); }
    output_drop(&out);
    return -1;
}

int report_write_json(json_t *root, const char *path, char *err, size_t err_size) {
    char *text = json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    errno = ENOMEM;
    int rc = text ? write_text(text, path) : -1;
    if (rc) { snprintf(err, err_size, "%s: cannot write: %s", path, strerror(errno)); }
    free(text);
    return rc;
}

int report_json(const struct run_report *report, const char *path, char *err, size_t err_size) {
    json_t *root = make_json(report);
    int rc = report_write_json(root, path, err, err_size);
    json_decref(root);
    return rc;
}
