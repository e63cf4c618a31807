/* The commands of a dump: which there are, what they share, and the two that decode one entry: !pte and !pfn. */
#include "dump_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int dump_error(struct dump *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(d->err, d->err_size, format, args);
    va_end(args);
    return -1;
}

void dump_set_entry(json_t *object, const char *key, pte_t entry) {
    char high[32];
    report_set(object, key, (uint32_t)entry);
    if (!MI_PAE) { return; }
    snprintf(high, sizeof high, "%s_high", key);
    report_set(object, high, entry >> 32);
}

/* ---- reading ---- */

#define PAGING_MODE ((uint64_t)CR4_PSE | (MI_PAE ? (uint64_t)CR4_PAE : 0u))

struct mmpfn dump_read_pfn(struct dump *d, pfn_t frame) {
    const struct physmem *mem = machine_memory(d->m);
    struct mmpfn pfn;
    pa_t pa = pfn_address(frame) - MM_KSEG0_BASE;
    if (pa + sizeof pfn > mem->size) { return (struct mmpfn){0}; }
    memcpy(&pfn, mem->bytes + pa, sizeof pfn); /* may cross a frame: the database is one physical range */
    return pfn;
}

static bool read_bytes(struct dump *d, uint64_t directory, va_t va, void *out, unsigned bytes) {
    struct table_path path = table_walk(machine_memory(d->m), directory, PAGING_MODE, va);
    memset(out, 0, bytes);
    if (path.present) { physmem_read(machine_memory(d->m), path.pa, out, bytes); }
    return path.present;
}

bool dump_read32(struct dump *d, uint64_t directory, va_t va, uint32_t *out) {
    return read_bytes(d, directory, va, out, sizeof *out);
}

bool dump_read_entry(struct dump *d, uint64_t directory, va_t va, pte_t *out) {
    mmpte_t entry;
    bool present = read_bytes(d, directory, va, &entry, sizeof entry);
    *out = entry;
    return present;
}

struct process_search {
    uint32_t pid;
    bool found;
    struct nt_process_view *out;
};

static bool match_process(void *ctx, const struct nt_process_view *process) {
    struct process_search *s = ctx;
    s->found = process->pid == s->pid;
    if (s->found) { *s->out = *process; }
    return !s->found;
}

/* Digits and nothing else, of 32 bits. */
static int parse(const char *text, int base, uint64_t *out) {
    char *end;
    errno = 0;
    *out = strtoull(text, &end, base);
    return isxdigit((unsigned char)*text) && !*end && !errno && *out <= UINT32_MAX ? 0 : -1;
}

int dump_find_process(struct dump *d, const char *argument, struct nt_process_view *out) {
    struct process_search s = {.pid = machine_os_ops(d->m)->current_pid(d->os), .out = out};
    if (*argument) {
        uint64_t pid;
        if (parse(argument, 10, &pid)) {
            return dump_error(d, "found '%s', expected the number of a process", argument);
        }
        s.pid = (uint32_t)pid;
    }
    nt_view_processes(d->os, match_process, &s);
    return s.found ? 0 : dump_error(d, "found no process %u, expected one that exists now", s.pid);
}

/* ---- decoding ---- */

const char *dump_location_name(unsigned location) {
    static const char *const name[] = {"Zeroed",          "Free", "Standby", "Modified",
                                       "ModifiedNoWrite", "Bad",  "Active",  "Transition"};
    return name[location & 7];
}

const char *dump_form_name(pte_t pte) {
    static const char *const name[] = {
        [PTE_FORM_ZERO] = "zero",
        [PTE_FORM_VALID] = "valid",
        [PTE_FORM_PROTOTYPE] = "prototype",
        [PTE_FORM_TRANSITION] = "transition",
        [PTE_FORM_DEMAND_ZERO] = "demand zero",
        [PTE_FORM_PAGE_FILE] = "page file",
    };
    return name[pte_form(pte)];
}

/* PAE's pointer has room for a protection of its own. */
static void describe_pointer_rights(pte_t pte, char *out, size_t out_size) {
#if MI_PAE
    if (pae_pointer_protection(pte) || pae_pointer_is_read_only(pte)) {
        snprintf(out, out_size, ", Protect: %x%s", pae_pointer_protection(pte),
                 pae_pointer_is_read_only(pte) ? ", read-only" : "");
    }
#else
    (void)pte, (void)out, (void)out_size;
#endif
}

void dump_describe_pte(pte_t pte, char *out, size_t out_size) {
    unsigned protection = pte_protection(pte);
    switch (pte_form(pte)) {
    case PTE_FORM_ZERO: snprintf(out, out_size, "not valid, nothing known"); break;
    case PTE_FORM_VALID:
        snprintf(out, out_size, "pfn %" PRIx64 " %c%c%c%c%c%c%c%c%cEV", pte_frame(pte),
                 pte & PTE_COPY_ON_WRITE ? 'C' : '-', pte & PTE_GLOBAL ? 'G' : '-', pte & PTE_LARGE ? 'L' : '-',
                 pte & PTE_DIRTY ? 'D' : '-', pte & PTE_ACCESSED ? 'A' : '-', pte & PTE_CACHE_DISABLE ? 'N' : '-',
                 pte & PTE_WRITE_THROUGH ? 'T' : '-', pte & PTE_OWNER ? 'U' : 'K', pte & PTE_WRITE ? 'W' : 'R');
        break;
    case PTE_FORM_PROTOTYPE:
        if (pte_is_vad_lookup(pte)) {
            snprintf(out, out_size, "not valid, Proto: VAD, Protect: %x", protection);
        } else {
            size_t length = (size_t)snprintf(out, out_size, "not valid, Proto: %08" PRIx64, pte_pointer_target(pte));
            describe_pointer_rights(pte, out + length, out_size - length);
        }
        break;
    case PTE_FORM_TRANSITION:
        snprintf(out, out_size, "not valid, Transition: %" PRIx64 ", Protect: %x", pte_frame(pte), protection);
        break;
    case PTE_FORM_DEMAND_ZERO: snprintf(out, out_size, "not valid, DemandZero, Protect: %x", protection); break;
    default:
        snprintf(out, out_size, "not valid, PageFile: %u, Offset: %x, Protect: %x", pte_page_file_number(pte),
                 pte_page_file_offset(pte), protection);
    }
}

/* ---- !pte ---- */

static json_t *entry_json(va_t at, pte_t entry, const char *text) {
    json_t *object = json_object();
    report_set(object, "address", at);
    dump_set_entry(object, "contains", entry);
    report_set_text(object, "form", dump_form_name(entry));
    report_set_text(object, "text", text);
    return object;
}

static int parse_hex(struct dump *d, const char *text, const char *what, uint64_t *out) {
    return parse(text, 16, out) == 0 ? 0 : dump_error(d, "found '%s', expected %s", text, what);
}

/* An entry by its own address ("!pte E1000008 1"): in paged pool a prototype PTE, which may hold the subsection form
 * (NT-10); then whose subsection it is (NT-64), out of memory. */
static int dump_entry(struct dump *d, va_t at) {
    enum { SUBSECTION_CONTROL_AREA = 0x00, SUBSECTION_BASE_PTE = 0x10 };
    uint64_t system = dump_system_directory(d);
    bool own = at >= PTE_BASE && at <= MM_PROCESS_SPACE_END; /* each process has its own there */
    pte_t pte;
    uint32_t area = 0, base = 0;
    char text[128];
    at &= ~(va_t)(PTE_SIZE - 1);
    if (!dump_read_entry(d, own ? dump_cr3(d) : system, at, &pte)) {
        return dump_error(d, "%08" PRIx64 ": found no page there, expected the address of a PTE", at);
    }
    dump_describe_pte(pte, text, sizeof text);
    bool prototype = at >= MM_PAGED_POOL_START && at <= MM_PAGED_POOL_END;
    if (prototype && pte_form(pte) == PTE_FORM_PROTOTYPE) {
        va_t subsection = pte_subsection_target(pte, dump_nonpaged_pool(d));
        dump_read32(d, system, subsection + SUBSECTION_CONTROL_AREA, &area);
        dump_read32(d, system, subsection + SUBSECTION_BASE_PTE, &base);
        snprintf(text, sizeof text, "not valid, Subsection: %08" PRIx64 ", Protect: %x", subsection,
                 pte_protection(pte));
        report_set(d->json, "subsection", subsection);
        report_set(d->json, "control_area", area);
        report_set(d->json, "page", (at - base) / PTE_SIZE);
    }
    fprintf(d->out, "%s at %08" PRIx64 "\ncontains %0*" PRIx64 "  %s\n", prototype ? "Prototype PTE" : "PTE", at,
            ENTRY_DIGITS, pte, text);
    if (area) { fprintf(d->out, "control area %08x, page %" PRIx64 "\n", area, (at - base) / PTE_SIZE); }
    json_object_set_new(d->json, "pte", entry_json(at, pte, text));
    return 0;
}

uint64_t dump_cr3(struct dump *d) { return machine_mmu_ops(d->m)->read_control(machine_mmu(d->m), MMU_CR3); }

static void print_entry(struct dump *d, const char *name, const char *key, va_t at, pte_t entry) {
    char text[96];
    dump_describe_pte(entry, text, sizeof text);
    fprintf(d->out, "%s at   %08" PRIx64 "\ncontains %0*" PRIx64 "  %s\n", name, at, ENTRY_DIGITS, entry, text);
    json_object_set_new(d->json, key, entry_json(at, entry, text));
}

/* PAE's third level. No window shows it: its address is physical. False: it leads to no directory. */
static bool print_pointer(struct dump *d, uint64_t cr3, va_t va) {
#if MI_PAE
    pa_t at = (cr3 & 0xFFFFFFE0u) + 8 * pae_pdpt_index(va);
    pte_t pointer = 0;
    char text[64] = "not valid";
    physmem_read(machine_memory(d->m), at, &pointer, sizeof pointer);
    if (pointer & PTE_VALID) {
        snprintf(text, sizeof text, "pfn %" PRIx64 "%s", pae_frame(pointer),
                 pae_pdpte_is_legal(pointer) ? "" : ", reserved bits set");
    }
    fprintf(d->out, "PDPTE at %08" PRIx64 " physical\ncontains %0*" PRIx64 "  %s\n", at, ENTRY_DIGITS, pointer, text);
    json_object_set_new(d->json, "pdpte", entry_json(at, pointer, text));
    return pointer & PTE_VALID;
#else
    (void)d, (void)cr3, (void)va;
    return true;
#endif
}

int dump_pte(struct dump *d, const char *argument) {
    uint64_t va;
    size_t length = strlen(argument);
    if (length > 2 && strcmp(argument + length - 2, " 1") == 0) {
        char address[32];
        snprintf(address, sizeof address, "%.*s", (int)(length - 2), argument);
        return parse_hex(d, address, "the address of a PTE", &va) ? -1 : dump_entry(d, va);
    }
    if (parse_hex(d, argument, "a virtual address", &va)) { return -1; }
    uint64_t cr3 = dump_cr3(d);
    struct table_path path = table_walk(machine_memory(d->m), cr3, PAGING_MODE, va);
    fprintf(d->out, "                    VA %08" PRIx64 "\n", va);
    report_set(d->json, "va", va);
    if (!print_pointer(d, cr3, va)) { return 0; }
    print_entry(d, "PDE", "pde", MiGetPdeAddress(va), path.pde);
    if ((path.pde & PTE_VALID) && !(path.pde & PTE_LARGE)) {
        print_entry(d, "PTE", "pte", MiGetPteAddress(va), path.pte);
    }
    if (path.present) { report_set(d->json, "pa", path.pa); }
    return 0;
}

/* ---- !pfn ---- */

/* What its words mean in the state that it is in. */
static const char *u1_name(const struct mmpfn *pfn, bool table) {
    if (pfn_location(pfn) < MM_LISTS) { return "flink"; }
    if (pfn->Flags & PFN_READ_IN_PROGRESS) { return "support block"; }
    if (pfn->Flags & PFN_IN_PAGE_ERROR) { return "status"; }
    return table || pfn->PteAddress == PFN_DELETED_PTE ? "u1" : "wsindex";
}

struct pointer_search {
    pfn_t frame;
    bool found;
    uint32_t pid;
};

static bool match_pointers(void *ctx, const struct nt_process_view *process) {
    struct pointer_search *s = ctx;
    s->found = process->directory_base[0] >> PAGE_SHIFT == s->frame;
    s->pid = process->pid;
    return !s->found;
}

static void print_unaddressed(struct dump *d, pfn_t frame) {
    struct pointer_search s = {.frame = frame};
    if (MI_PAE) { nt_view_processes(d->os, match_pointers, &s); }
    if (s.found) { /* what its CR3 points to has no virtual address at all */
        fprintf(d->out, "    page-directory pointers of process %u\n", s.pid);
        report_set(d->json, "pointers_of", s.pid);
    } else {
        fprintf(d->out, "    its address was freed\n");
    }
}

static void print_pfn_use(struct dump *d, pfn_t frame, const struct mmpfn *pfn, bool table) {
    char text[96];
    if (pfn->PteAddress == PFN_DELETED_PTE) { print_unaddressed(d, frame); }
    if (table) {
        va_t first = MiGetVirtualAddressMappedByPte(MiGetVirtualAddressMappedByPte(pfn->PteAddress));
        fprintf(d->out, "    page table of %08" PRIx64 ", entries in use: %u\n", first, pfn->u2 ? pfn->u2 - 1 : 0);
        report_set(d->json, "maps", first);
    } else if (pfn_location(pfn) >= StandbyPageList && pfn->OriginalPte) {
        dump_describe_pte(pfn->OriginalPte, text, sizeof text);
        if ((pfn->Flags & PFN_PROTOTYPE) && pte_form(pfn->OriginalPte) == PTE_FORM_PROTOTYPE) {
            va_t subsection = pte_subsection_target(pfn->OriginalPte, dump_nonpaged_pool(d));
            snprintf(text, sizeof text, "Subsection: %08" PRIx64, subsection);
            report_set(d->json, "subsection", subsection);
        }
        fprintf(d->out, "    restored as: %s\n", text);
        report_set_text(d->json, "restored_as", text);
    }
}

int dump_pfn(struct dump *d, const char *argument) {
    uint64_t frame;
    struct nt_memory_view memory;
    nt_view_memory(d->os, &memory);
    if (parse_hex(d, argument, "a frame number", &frame)) { return -1; }
    if (frame > memory.highest_page) {
        return dump_error(d, "found frame %" PRIx64 ", expected one up to %x", frame, memory.highest_page);
    }
    struct mmpfn pfn = dump_read_pfn(d, frame);
    unsigned location = pfn_location(&pfn);
    bool listed = location < MM_LISTS;
    bool table = location >= StandbyPageList && pfn.PteAddress >= PDE_BASE && pfn.PteAddress < PDE_END;
    static const struct {
        unsigned flag;
        const char *name;
    } flags[] = {{PFN_MODIFIED, "Modified"},
                 {PFN_READ_IN_PROGRESS, "ReadInProgress"},
                 {PFN_WRITE_IN_PROGRESS, "WriteInProgress"},
                 {PFN_PROTOTYPE, "Shared"},
                 {PFN_PARITY_ERROR, "ParityError"},
                 {PFN_IN_PAGE_ERROR, "InPageError"}};
    fprintf(d->out, "    PFN %08" PRIx64 " at address %08" PRIx64 "\n", frame, pfn_address(frame));
    fprintf(d->out, "    %-5s %08x  %s %08x  pteaddress %08x\n", u1_name(&pfn, table), pfn.u1,
            listed ? "blink" : "share count", pfn.u2, pfn.PteAddress);
    fprintf(d->out, "    reference count %04x   color %" PRIx64 "\n", pfn.ReferenceCount, frame & memory.color_mask);
    fprintf(d->out, "    restore pte %0*" PRIx64 "  containing page %06x  %s", ENTRY_DIGITS, (pte_t)pfn.OriginalPte,
            pfn.ContainingFrame, dump_location_name(location));
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (pfn.Flags & flags[i].flag) { fprintf(d->out, " %s", flags[i].name); }
    }
    fputc('\n', d->out);
    print_pfn_use(d, frame, &pfn, table);
    report_set_text(d->json, "u1_is", u1_name(&pfn, table));
    report_set(d->json, "frame", frame);
    report_set(d->json, "u1", pfn.u1);
    report_set(d->json, "u2", pfn.u2);
    report_set(d->json, "pte_address", pfn.PteAddress);
    report_set(d->json, "reference_count", pfn.ReferenceCount);
    dump_set_entry(d->json, "original_pte", pfn.OriginalPte);
    report_set(d->json, "containing", pfn.ContainingFrame);
    report_set(d->json, "flags", pfn.Flags);
    report_set_text(d->json, "location", dump_location_name(location));
    return 0;
}

/* ---- which commands there are ---- */

#if MI_PAE
#define THIS_COMMAND dump_pae_command
#else
#define THIS_COMMAND dump_plain_command
#endif

int THIS_COMMAND(struct machine *m, const char *line, FILE *out, json_t **json, char *err, size_t err_size) {
    static const struct {
        const char *name;
        int (*run)(struct dump *d, const char *argument);
        bool alone; /* takes no argument */
    } commands[] = {
        {"!pte", dump_pte, false},         {"!pfn", dump_pfn, false},          {"!vm", dump_vm, true},
        {"!vad", dump_vad, false},         {"!wsle", dump_wsle, false},        {"!sysptes", dump_sysptes, true},
        {"!process", dump_process, false}, {"!memusage", dump_memusage, true}, {"!poolused", dump_poolused, true},
    };
    struct dump d = {.m = m, .os = machine_os(m), .out = out, .json = json_object(), .err = err, .err_size = err_size};
    size_t length = strcspn(line, " ");
    const char *argument = line + length + strspn(line + length, " ");
    int result = -1;
    size_t i = 0, count = sizeof commands / sizeof *commands;
    while (i < count && (strlen(commands[i].name) != length || memcmp(commands[i].name, line, length) != 0)) { i++; }
    if (i == count) {
        dump_error(&d,
                   "found command '%s', expected !pte ADDR [1], !pfn N, !vm, !vad [PID], !wsle [PID], !sysptes, "
                   "!process [PID], !memusage or !poolused",
                   line);
    } else if (commands[i].alone && *argument) {
        dump_error(&d, "found '%s', expected nothing behind %s", argument, commands[i].name);
    } else {
        report_set_text(d.json, "command", line);
        fprintf(out, "%s\n", line);
        result = commands[i].run(&d, argument);
    }
    if (result < 0) {
        json_decref(d.json);
        d.json = NULL;
    }
    *json = d.json;
    return result;
}
