/* Dumps of the whole machine: !vm, !memusage. */
#include "dump_priv.h"
#include "ntmmu/eprocess.h"

#include <stdlib.h>
#include <string.h>

uint64_t dump_system_directory(struct dump *d) { return machine_os_ops(d->m)->directory(d->os, 0); }

/* ---- !vm, !memusage ---- */

struct census {
    uint32_t at[8], modified_active, shared, tables, frames;
};

static struct census count_frames(struct dump *d, const struct nt_memory_view *memory) {
    struct census c = {.frames = memory->highest_page + 1};
    for (pfn_t frame = 0; frame <= memory->highest_page; frame++) {
        struct mmpfn pfn = dump_read_pfn(d, frame);
        c.at[pfn_location(&pfn)]++;
        bool active = pfn_location(&pfn) == ActiveAndValid;
        c.modified_active += active && (pfn.Flags & PFN_MODIFIED);
        c.shared += active && (pfn.Flags & PFN_PROTOTYPE);
        c.tables += active && pfn.PteAddress >= PDE_BASE && pfn.PteAddress < PDE_END;
    }
    return c;
}

void dump_line(struct dump *d, const char *label, const char *key, uint64_t pages) {
    fprintf(d->out, "    %-24s %8" PRIu64 " (%8" PRIu64 " Kb)\n", label, pages, pages * 4);
    report_set(d->json, key, pages);
}

struct named_counter {
    const char *name;
    uint64_t value;
};

static void match_counter(void *ctx, const char *name, uint64_t value) {
    struct named_counter *wanted = ctx;
    if (strcmp(name, wanted->name) == 0) { wanted->value = value; }
}

static uint64_t counter(struct dump *d, const char *name) {
    struct named_counter wanted = {name, 0};
    machine_os_ops(d->m)->counters(d->os, match_counter, &wanted);
    return wanted.value;
}

static uint32_t free_system_ptes(struct dump *d, unsigned space) {
    struct nt_system_ptes_view view;
    nt_view_system_ptes(d->os, &view);
    uint32_t free_entries = view.total_free[space];
    for (unsigned i = 0; space == 0 && i < MM_SYS_PTE_CLASSES; i++) {
        free_entries += view.block[i].count * view.block[i].size;
    }
    return free_entries;
}

struct vm_list {
    struct dump *d;
    json_t *list;
};

/* NT-40, in memory: the first words of a PAGING_FILE. */
static bool print_paging_file(void *ctx, const struct nt_paging_file_view *file) {
    static const struct {
        unsigned offset;
        const char *label, *key;
    } field[] = {{0x00, "Current", "current"},
                 {0x04, "Maximum", "maximum"},
                 {0x0C, "Free Space", "free"},
                 {0x10, "Used", "used"},
                 {0x14, "Peak Used", "peak_used"}};
    struct vm_list *files = ctx;
    json_t *object = json_object();
    report_set(object, "number", file->number);
    fprintf(files->d->out, "    Page File %u @ %08" PRIx64 "\n       ", file->number, file->address);
    for (size_t i = 0; i < sizeof field / sizeof *field; i++) {
        uint32_t pages = 0;
        dump_read32(files->d, dump_system_directory(files->d), file->address + field[i].offset, &pages);
        fprintf(files->d->out, "  %s: %" PRIu64 " Kb", field[i].label, (uint64_t)pages * 4);
        report_set(object, field[i].key, pages);
    }
    fputc('\n', files->d->out);
    json_array_append_new(files->list, object);
    return true;
}

/* NT-29, in memory: the VM structure of a process. */
static bool print_working_set(void *ctx, const struct nt_process_view *process) {
    struct vm_list *processes = ctx;
    uint32_t size = 0;
    char image[IMAGE_NAME_MAX + 1];
    dump_read32(processes->d, dump_system_directory(processes->d), process->vm + VM_WORKING_SET_SIZE, &size);
    dump_image_name(processes->d, process->eprocess, image);
    fprintf(processes->d->out, "    %04u %-16s %8u (%8u Kb)  commit %u\n", process->pid, image, size, size * 4,
            process->commit_charge);
    json_array_append_new(processes->list, json_pack("{s:I, s:o, s:I, s:I}", "pid", (json_int_t)process->pid, "image",
                                                     report_text(image), "working_set_size", (json_int_t)size,
                                                     "commit_charge", (json_int_t)process->commit_charge));
    return true;
}

int dump_vm(struct dump *d, const char *argument) {
    (void)argument;
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    struct census c = count_frames(d, &memory);
    fprintf(d->out, "*** Virtual Memory Usage ***\n");
    dump_line(d, "Physical Memory:", "physical", c.frames);
    dump_line(d, "Available Pages:", "available", c.at[ZeroedPageList] + c.at[FreePageList] + c.at[StandbyPageList]);
    dump_line(d, "Modified Pages:", "modified", c.at[ModifiedPageList]);
    dump_line(d, "Modified No Write:", "modified_no_write", c.at[ModifiedNoWritePageList]);
    dump_line(d, "Standby Pages:", "standby", c.at[StandbyPageList]);
    dump_line(d, "Zeroed Pages:", "zeroed", c.at[ZeroedPageList]);
    dump_line(d, "Free Pages:", "free", c.at[FreePageList]);
    dump_line(d, "Bad Pages:", "bad", c.at[BadPageList]);
    dump_line(d, "Free System PTEs:", "free_system_ptes", free_system_ptes(d, 0));
    dump_line(d, "Free NP PTEs:", "free_nonpaged_ptes", free_system_ptes(d, 1));
    dump_line(d, "Committed Pages:", "committed", memory.total_committed);
    dump_line(d, "Commit limit:", "commit_limit", memory.commit_limit);
    dump_line(d, "Peak commitment:", "peak_commitment", memory.peak_commitment);
    dump_line(d, "Extended commit:", "extended_commit", counter(d, "MmExtendedCommit"));
    struct vm_list files = {d, json_array()}, processes = {d, json_array()};
    nt_view_paging_files(d->os, print_paging_file, &files);
    json_object_set_new(d->json, "paging_files", files.list);
    nt_view_processes(d->os, print_working_set, &processes);
    json_object_set_new(d->json, "processes", processes.list);
    return 0;
}

/* Whose pages they are: by control area, and of the private ones those of each process's and the system's addresses. */
struct user {
    va_t area, base;
    uint32_t count;
    unsigned first; /* the same control area's first array: there all are counted; all forks together */
    const char *name;
    uint32_t valid, standby, modified, shared, transition;
};
struct users {
    struct user *user; /* one more than count: the last is no control area's */
    unsigned count;
};

static bool add_prototypes(void *ctx, const struct nt_prototype_view *view) {
    struct users *users = ctx;
    struct user *more = realloc(users->user, (users->count + 2) * sizeof *more);
    if (!more) { return false; }
    users->user = more;
    unsigned first = 0;
    while (first < users->count && users->user[first].area != view->control_area) { first++; }
    users->user[users->count++] = (struct user){.area = view->control_area,
                                                .first = first,
                                                .base = view->base,
                                                .count = view->count,
                                                .name = view->clone ? "Fork" : "Page File Section"};
    return true;
}

static bool name_area(void *ctx, const struct nt_control_area_view *area) {
    struct users *users = ctx;
    for (unsigned i = 0; i < users->count; i++) {
        if (users->user[i].area == area->address && *area->path) { users->user[i].name = area->path; }
    }
    return true;
}

static struct user *user_of(struct users *users, const struct mmpfn *pfn) {
    unsigned i = 0;
    while (i < users->count && (!(pfn->Flags & PFN_PROTOTYPE) || pfn->PteAddress < users->user[i].base ||
                                pfn->PteAddress >= users->user[i].base + (va_t)users->user[i].count * PTE_SIZE)) {
        i++;
    }
    return &users->user[users->user[i].first];
}

static void count_page(struct user *user, const struct mmpfn *pfn) {
    unsigned location = pfn_location(pfn);
    user->valid += location == ActiveAndValid;
    user->shared += location == ActiveAndValid && pfn->u2 > 1;
    user->standby += location == StandbyPageList;
    user->modified += location == ModifiedPageList || location == ModifiedNoWritePageList;
    user->transition += location == TransitionPage;
}

static int print_users(struct dump *d, const struct nt_memory_view *memory) {
    struct users users = {.user = malloc(sizeof *users.user)};
    nt_view_prototypes(d->os, add_prototypes, &users);
    nt_view_control_areas(d->os, name_area, &users);
    if (!users.user) { return dump_error(d, "out of memory"); }
    users.user[users.count] = (struct user){.first = users.count, .name = "Private and system"};
    for (pfn_t frame = 0; frame <= memory->highest_page; frame++) {
        struct mmpfn pfn = dump_read_pfn(d, frame);
        if (pfn_location(&pfn) >= StandbyPageList && pfn_location(&pfn) != BadPageList) {
            count_page(user_of(&users, &pfn), &pfn);
        }
    }
    fprintf(d->out, "Control  Valid Standby Modified Shared Transition  name\n");
    json_t *list = json_array();
    for (unsigned i = 0; i <= users.count; i++) {
        const struct user *u = &users.user[i];
        if (u->first != i) { continue; }
        fprintf(d->out, "%08" PRIx64 " %5u %7u %8u %6u %10u  %s\n", u->area, u->valid, u->standby, u->modified,
                u->shared, u->transition, u->name);
        json_array_append_new(list, json_pack("{s:I, s:o, s:i, s:i, s:i, s:i, s:i}", "control_area",
                                              (json_int_t)u->area, "name", report_text(u->name), "valid", (int)u->valid,
                                              "standby", (int)u->standby, "modified", (int)u->modified, "shared",
                                              (int)u->shared, "transition", (int)u->transition));
    }
    json_object_set_new(d->json, "users", list);
    free(users.user);
    return 0;
}

int dump_memusage(struct dump *d, const char *argument) {
    static const char *const key[8] = {"zeroed", "free",   "standby",   "modified", "modified_no_write",
                                       "bad",    "active", "transition"};
    (void)argument;
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    struct census c = count_frames(d, &memory);
    uint64_t total = 0;
    for (unsigned i = 0; i < 8; i++) {
        dump_line(d, dump_location_name(i), key[i], c.at[i]);
        total += c.at[i];
    }
    dump_line(d, "TOTAL", "total", total);
    dump_line(d, "Active, modified", "active_modified", c.modified_active);
    dump_line(d, "Active, shared", "active_shared", c.shared);
    dump_line(d, "Active, page tables", "active_page_tables", c.tables);
    return print_users(d, &memory);
}
