/* Check 4, audit: every table, prototype array and kernel range is read once; what its entries say about frames is
 * collected in frame[]. Judges what needs only the entry itself: I6, I9, I10. */
#include "audit_priv.h"
#include "ntmmu/eprocess.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define USER_PDES (MM_SYSTEM_RANGE_START >> MM_PDE_SHIFT)
#define ALL_PDES  (MM_DIRECTORIES * MM_PTE_PER_PAGE)
#define ENTRIES   MM_PTE_PER_PAGE
#if MI_PAE
#define HYPERSPACE_FIRST 0x82u /* below: mapping ring, header page, zeroing page; not counted, NT-73 */
#define PROCESS_COMMIT   8u    /* four directories, hyperspace tables, working-set page, what CR3 points to */
#else
#define HYPERSPACE_FIRST 0x102u
#define PROCESS_COMMIT   3u /* directory, hyperspace table, working-set page */
#endif
#define SELF_MAP_INDEX   MiGetPdeIndex(PTE_BASE)
#define HYPERSPACE_INDEX MiGetPdeIndex(MM_HYPER_BASE)
#define OWN_TABLES       (MM_DIRECTORIES + MM_HYPER_TABLES) /* one behind the other in the window */
#define LAST_DIRECTORY   (MM_DIRECTORIES - 1)               /* describes all of these */

/* Kernel ranges whose pages the audit follows: one range of PDEs each. */
static const struct {
    va_t start, end;
} kernel_ranges[] = {
    {MM_SYSTEM_WS_LIST, MM_SYSTEM_CACHE_START},
    {MM_PAGED_POOL_START, MM_PAGED_POOL_END + 1},
};

bool audit_own(struct audit *a, pfn_t frame, enum frame_owner owner, uint32_t pid, uint32_t pte, pfn_t containing) {
    if (frame >= a->frames) {
        return audit_fail(a, "I10", "PTE at %08x of process %u: frame expected below %" PRIx64 ", found %" PRIx64, pte,
                          pid, (uint64_t)a->frames, (uint64_t)frame);
    }
    if (!is_audited(a, frame)) { return true; }
    struct frame_info *f = &a->frame[frame];
    if (f->owner != OWNER_NONE) {
        return audit_fail(a, "I3",
                          "frame %" PRIx64
                          ": expected one PTE to own it, found those at %08x (process %u) and %08x (process %u)",
                          (uint64_t)frame, f->pte, f->pid, pte, pid);
    }
    if (f->listed && (owner == OWNER_PRIVATE || owner == OWNER_PROTOTYPE)) {
        return audit_fail(a, "I12",
                          "frame %" PRIx64 ": the valid PTE at %08x of process %u maps it, expected it on no list",
                          (uint64_t)frame, pte, pid);
    }
    f->owner = (uint8_t)owner;
    f->pid = pid;
    f->pte = pte;
    f->containing = (uint32_t)containing;
    return true;
}

/* ---- I6 ---- */

void audit_slot(struct audit *a, pte_t pte, uint32_t where) {
    if (pte_form(pte) != PTE_FORM_PAGE_FILE) { return; }
    if (a->slot_count == a->slot_capacity) {
        a->slot_capacity = a->slot_capacity ? a->slot_capacity * 2 : 256;
        a->slots = check_grow(a->slots, a->slot_capacity * sizeof *a->slots);
    }
    uint64_t slot = (uint64_t)pte_page_file_number(pte) << SLOT_FILE_SHIFT | pte_page_file_offset(pte);
    a->slots[a->slot_count++] = (struct slot){.slot = slot, .where = where};
}

static int compare_slots(const void *x, const void *y) {
    const struct slot *a = x, *b = y;
    return a->slot < b->slot ? -1 : a->slot > b->slot;
}

/* The file's counts and every bit of its bitmap against the slots that are named. */
static bool audit_paging_file(void *ctx, const struct nt_paging_file_view *file) {
    struct audit *a = ctx;
    uint32_t field[NT_PAGING_FILE_WORDS] = {0}, used = 0, word = 0;
    peek(a->machine, a->system_directory, file->address, field, sizeof field);
    uint32_t size = field[0], bitmap = field[10];
    if (size > NT_PAGING_FILE_PAGES_MAX) {
        return audit_fail(a, "I6", "paging file %u: size expected up to %x, found %x", file->number,
                          NT_PAGING_FILE_PAGES_MAX, size);
    }
    size_t at = 0; /* of the slots, which are in order */
    while (at < a->slot_count && a->slots[at].slot >> SLOT_FILE_SHIFT < file->number) { at++; }
    for (uint32_t slot = 0; slot < size; slot++) {
        if (slot % 32 == 0) { word = peek32(a->machine, a->system_directory, bitmap + slot / 8); }
        bool set = word >> (slot % 32) & 1;
        bool is_named = at < a->slot_count && a->slots[at].slot == ((uint64_t)file->number << SLOT_FILE_SHIFT | slot);
        const struct slot *named = is_named ? &a->slots[at++] : NULL;
        used += slot != 0 && set;
        if (set == (named != NULL || slot == 0)) { continue; }
        if (named) {
            return audit_fail(a, "I6", "paging file %u: bit of slot %x expected 1 (%x names it), found 0", file->number,
                              slot, named->where);
        }
        return audit_fail(a, "I6", "paging file %u: bit of slot %x expected %d, found %d", file->number, slot, !set,
                          set);
    }
    if (field[4] != used || field[3] != size - 1 - used) {
        return audit_fail(a, "I6", "paging file %u: used expected %x and free %x, found %x and %x", file->number, used,
                          size - 1 - used, field[4], field[3]);
    }
    return true;
}

static bool paging_file_size(void *ctx, const struct nt_paging_file_view *file) {
    struct audit *a = ctx;
    a->paging_file_pages[file->number] = peek32(a->machine, a->system_directory, file->address);
    return true;
}

static bool audit_paging_files(struct audit *a) {
    memset(a->paging_file_pages, 0, sizeof a->paging_file_pages);
    nt_view_paging_files(a->os, paging_file_size, a);
    for (size_t i = 0; i < a->slot_count; i++) {
        uint32_t page = (uint32_t)a->slots[i].slot, file = (uint32_t)(a->slots[i].slot >> SLOT_FILE_SHIFT);
        if (page >= a->paging_file_pages[file]) {
            return audit_fail(a, "I6", "%x names slot %x of paging file %u, expected a slot below %x",
                              a->slots[i].where, page, file, a->paging_file_pages[file]);
        }
    }
    nt_view_paging_files(a->os, audit_paging_file, a);
    return !a->failed;
}

bool audit_slots(struct audit *a) {
    if (a->slot_count) { qsort(a->slots, a->slot_count, sizeof *a->slots, compare_slots); }
    for (size_t i = 1; i < a->slot_count; i++) {
        if (a->slots[i].slot == a->slots[i - 1].slot) {
            return audit_fail(a, "I6",
                              "slot %x of paging file %u: expected one PTE or frame to name it, found %x and %x",
                              (uint32_t)a->slots[i].slot, (unsigned)(a->slots[i].slot >> SLOT_FILE_SHIFT),
                              a->slots[i - 1].where, a->slots[i].where);
        }
    }
    return audit_paging_files(a);
}

/* ---- processes ---- */

struct vads {
    struct nt_vad_view *at;
    size_t count, capacity;
    uint32_t commit;
};

static bool add_vad(void *ctx, const struct nt_vad_view *vad) {
    struct vads *v = ctx;
    if (v->count == v->capacity) {
        v->capacity = v->capacity ? v->capacity * 2 : 64;
        v->at = check_grow(v->at, v->capacity * sizeof *v->at);
    }
    v->at[v->count++] = *vad;
    v->commit += vad->commit_charge;
    return true;
}

struct scan {
    struct audit *a;
    const struct nt_process_view *process;
    struct vads vads;
    size_t vad;                      /* VADs are visited in order: the one va is in, or the next */
    pfn_t directory[MM_DIRECTORIES]; /* frames; 0: it is in the paging file, and what it says is here: */
    mmpte_t away[MM_DIRECTORIES][MM_PTE_PER_PAGE];
    uint32_t valid; /* valid PTEs that must have a working-set entry */
};

static bool in_vad(struct scan *s, va_t va) {
    if (page_of(va) == MM_SHARED_USER_PAGE) { return true; }
    while (s->vad < s->vads.count && s->vads.at[s->vad].end < va) { s->vad++; }
    return s->vad < s->vads.count && s->vads.at[s->vad].start <= va;
}

static va_t pde_address(uint32_t index) { return PDE_BASE + index * PTE_SIZE; }
static pfn_t directory_of(const struct scan *s, uint32_t pde) { return s->directory[pde / ENTRIES]; }
static pte_t read_pde(const struct scan *s, uint32_t pde) {
    pfn_t directory = directory_of(s, pde);
    return directory ? audit_entry(s->a, directory, pde % ENTRIES) : s->away[pde / ENTRIES][pde % ENTRIES];
}

static bool next_away(const mmpte_t *words, uint32_t end, uint32_t *index, pte_t *pde) {
    while (*index < end && words[*index] == 0) { ++*index; }
    if (*index >= end) { return false; }
    *pde = words[*index];
    return true;
}

/* The first PDE from *index up to `end` that is not 0; false: there is none. */
static bool next_pde(const struct scan *s, uint32_t end, uint32_t *index, pte_t *pde) {
    while (*index < end) {
        uint32_t number = *index / ENTRIES, first = number * ENTRIES, i = *index - first;
        uint32_t last = end - first < ENTRIES ? end - first : ENTRIES;
        pfn_t directory = s->directory[number];
        bool found =
            directory ? audit_next_entry(s->a, directory, last, &i, pde) : next_away(s->away[number], last, &i, pde);
        *index = first + (found ? i : ENTRIES);
        if (found) { return true; }
    }
    return false;
}

static bool user_valid(struct scan *s, va_t va, pte_t pte, pfn_t table) {
    struct audit *a = s->a;
    pfn_t frame = pte_frame(pte);
    if (!in_vad(s, va)) {
        return audit_fail(a, "I10",
                          "process %u, %08" PRIx64 ": PTE %08" PRIx64 " is valid, expected none outside the VADs",
                          s->process->pid, (uint64_t)va, pte);
    }
    if (s->vads.count && page_of(va) != MM_SHARED_USER_PAGE && s->vads.at[s->vad].physical) {
        bool held = frame >= a->frames || audit_pfn(a, frame).ReferenceCount > 0;
        return held ||
               audit_fail(a, "I12", "process %u, %08" PRIx64 ": PTE %08" PRIx64 " maps a frame that nobody holds",
                          s->process->pid, (uint64_t)va, pte);
    }
    if (frame >= a->frames) {
        return audit_fail(a, "I10", "process %u, %08" PRIx64 ": PTE %08" PRIx64 ", frame expected below %" PRIx64,
                          s->process->pid, (uint64_t)va, pte, (uint64_t)a->frames);
    }
    s->valid++;
    if (page_of(va) == MM_SHARED_USER_PAGE) { return true; }
    struct mmpfn pfn = audit_pfn(a, frame);
    if (pfn.Flags & PFN_PROTOTYPE) {
        a->frame[frame].maps++;
        return true;
    }
    return audit_own(a, frame, OWNER_PRIVATE, s->process->pid, (uint32_t)MiGetPteAddress(va), table);
}

/* The page behind a PTE or PDE, wherever it is: in its frame, or on the disk while it is away or being read. false: it
 * has never been anywhere. */
static bool page_content(struct audit *a, pte_t entry, mmpte_t words[ENTRIES]) {
    enum pte_form form = pte_form(entry);
    if (form == PTE_FORM_TRANSITION) {
        struct mmpfn pfn = audit_pfn(a, pte_frame(entry));
        if (pfn.Flags & PFN_READ_IN_PROGRESS) { form = pte_form(entry = pfn.OriginalPte); }
    }
    if (form == PTE_FORM_PAGE_FILE) {
        return machine_paging_file_page(a->machine, pte_page_file_number(entry),
                                        (uint64_t)pte_page_file_offset(entry) << PAGE_SHIFT, (uint8_t *)words);
    }
    if ((form != PTE_FORM_VALID && form != PTE_FORM_TRANSITION) || pte_frame(entry) >= a->frames) { return false; }
    physmem_read(a->mem, (pa_t)pte_frame(entry) << PAGE_SHIFT, words, PAGE_SIZE);
    return true;
}

static bool check_used(struct scan *s, uint32_t index, uint32_t used) {
    if (s->process->state != 0) { return true; } /* the counters are not mapped */
    uint16_t counter = 0;
    va_t at = working_set_layout(s->a->machine).used + 2 * (va_t)index;
    peek(s->a->machine, s->process->directory_base[0], at, &counter, sizeof counter);
    if (counter == used) { return true; }
    return audit_fail(s->a, "I9", "process %u, page table %03x (%08" PRIx64 "): used count expected %x, found %x",
                      s->process->pid, index, (uint64_t)index << MM_PDE_SHIFT, used, counter);
}

static bool scan_table(struct scan *s, uint32_t index, pfn_t table) {
    struct audit *a = s->a;
    uint32_t used = 0, resident = 0;
    pte_t pte;
    for (uint32_t i = 0; audit_next_entry(a, table, ENTRIES, &i, &pte); i++) {
        va_t va = ((va_t)index << MM_PDE_SHIFT) | ((va_t)i << PAGE_SHIFT);
        used++;
        if (pte & PTE_VALID) {
            resident++;
            if (!user_valid(s, va, pte, table)) { return false; }
        } else if (pte_form(pte) == PTE_FORM_TRANSITION) {
            resident++;
            if (!audit_own(a, pte_frame(pte), OWNER_PRIVATE_TRANSITION, s->process->pid, (uint32_t)MiGetPteAddress(va),
                           table)) {
                return false;
            }
        } else {
            audit_slot(a, pte, (uint32_t)MiGetPteAddress(va));
        }
    }
    if (table < a->frames) { a->frame[table].entries += resident; }
    return check_used(s, index, used);
}

/* A page table that is out of the working set, in memory still or not: nothing it describes can be in memory. */
static bool scan_absent_table(struct scan *s, uint32_t index, pte_t pde) {
    struct audit *a = s->a;
    mmpte_t words[ENTRIES];
    uint32_t used = 0;
    if (!page_content(a, pde, words)) { return true; } /* no such paging file: I6 says so */
    for (uint32_t i = 0; i < ENTRIES; i++) {
        va_t va = ((va_t)index << MM_PDE_SHIFT) | ((va_t)i << PAGE_SHIFT);
        used += words[i] != 0;
        if (words[i] & PTE_VALID || pte_form(words[i]) == PTE_FORM_TRANSITION) {
            return audit_fail(a, "I4",
                              "process %u, %08" PRIx64 ": PTE %08" PRIx64 " names a frame, and its page table is away",
                              s->process->pid, (uint64_t)va, (uint64_t)words[i]);
        }
        audit_slot(a, words[i], (uint32_t)MiGetPteAddress(va));
    }
    return check_used(s, index, used);
}

static bool scan_user_pde(struct scan *s, uint32_t index, pte_t pde) {
    struct audit *a = s->a;
    pfn_t directory = directory_of(s, index);
    uint32_t pte_va = (uint32_t)pde_address(index);
    if (pde & PTE_VALID) {
        a->frame[directory].entries++;
        s->valid++;
        return audit_own(a, pte_frame(pde), OWNER_PRIVATE, s->process->pid, pte_va, directory) &&
               scan_table(s, index, pte_frame(pde));
    }
    if (pte_form(pde) == PTE_FORM_TRANSITION) {
        a->frame[directory].entries++;
        if (!audit_own(a, pte_frame(pde), OWNER_PRIVATE_TRANSITION, s->process->pid, pte_va, directory)) {
            return false;
        }
    } else {
        audit_slot(a, pde, pte_va);
    }
    return scan_absent_table(s, index, pde);
}

/* Hyperspace tables and what the working-set list lies in. */
static bool scan_hyperspace(struct scan *s, unsigned number) {
    struct audit *a = s->a;
    pfn_t last = s->directory[LAST_DIRECTORY];
    uint32_t pid = s->process->pid, index = HYPERSPACE_INDEX + number;
    pte_t pde = read_pde(s, index);
    pfn_t table = pte_frame(pde);
    if (!(pde & PTE_VALID) || table >= a->frames) {
        return audit_fail(a, "I10", "process %u: hyperspace PDE expected valid, found %08" PRIx64, pid, pde);
    }
    a->frame[last].entries++;
    s->valid++;
    if (!audit_own(a, table, OWNER_PRIVATE, pid, (uint32_t)pde_address(index), last)) { return false; }
    pte_t pte;
    for (uint32_t i = number ? 0 : HYPERSPACE_FIRST; audit_next_entry(a, table, ENTRIES, &i, &pte); i++) {
        va_t pte_va = MiGetPteAddress(MM_HYPER_BASE) + (number * ENTRIES + i) * PTE_SIZE;
        if (!(pte & PTE_VALID)) { continue; }
        a->frame[table].entries++;
        s->valid++;
        if (!audit_own(a, pte_frame(pte), OWNER_PRIVATE, pid, (uint32_t)pte_va, table)) { return false; }
    }
    return true;
}

/* Directories, which the last one describes, and hyperspace. */
static bool scan_fixed(struct scan *s) {
    for (unsigned i = 0; i < MM_DIRECTORIES; i++) {
        pte_t self = read_pde(s, SELF_MAP_INDEX + i);
        if (!(self & PTE_VALID) || pte_frame(self) != s->directory[i]) {
            return audit_fail(s->a, "I10", "process %u: self-map PDE expected frame %" PRIx64 ", found %08" PRIx64,
                              s->process->pid, (uint64_t)s->directory[i], self);
        }
        s->valid++;
        if (!audit_own(s->a, s->directory[i], OWNER_PRIVATE, s->process->pid, (uint32_t)pde_address(SELF_MAP_INDEX + i),
                       s->directory[LAST_DIRECTORY])) {
            return false;
        }
    }
    for (unsigned i = 0; i < MM_HYPER_TABLES; i++) {
        if (!scan_hyperspace(s, i)) { return false; }
    }
    return true;
}

#if MI_PAE
/* What CR3 points to: in no window, in no working set, and never away. */
static bool own_pointers(struct scan *s, pfn_t containing) {
    pfn_t frame = s->process->directory_base[0] >> PAGE_SHIFT;
    return audit_own(s->a, frame, OWNER_PRIVATE, s->process->pid, PFN_DELETED_PTE, containing);
}

static bool find_directories(struct scan *s) {
    pfn_t pointers = s->process->directory_base[0] >> PAGE_SHIFT;
    for (unsigned i = 0; i < MM_DIRECTORIES; i++) {
        pte_t pointer = audit_entry(s->a, pointers, i);
        s->directory[i] = pte_frame(pointer);
        if (!(pointer & PTE_VALID) || !pae_pdpte_is_legal(pointer) || s->directory[i] >= s->a->frames) {
            return audit_fail(s->a, "I10", "process %u: page-directory pointer %u expected legal, found %08" PRIx64,
                              s->process->pid, i, pointer);
        }
    }
    return own_pointers(s, s->directory[LAST_DIRECTORY]);
}
#else
static bool own_pointers(struct scan *s, pfn_t containing) {
    (void)s;
    (void)containing;
    return true;
}

static bool find_directories(struct scan *s) {
    s->directory[0] = s->process->directory_base[0] >> PAGE_SHIFT;
    return s->directory[0] < s->a->frames ||
           audit_fail(s->a, "I10", "process %u: directory frame %" PRIx64 " does not exist", s->process->pid,
                      (uint64_t)s->directory[0]);
}
#endif

/* The kernel half is a copy of the system directory's, or empty, NT-20. */
static bool scan_kernel_pdes(struct scan *s) {
    struct audit *a = s->a;
    pte_t pde;
    for (uint32_t i = USER_PDES; next_pde(s, ALL_PDES, &i, &pde); i++) {
        if (i >= SELF_MAP_INDEX && i < SELF_MAP_INDEX + OWN_TABLES) { continue; }
        pte_t master = audit_entry(a, a->memory.system_directory, i);
        if ((pde ^ master) & ~(pte_t)(PTE_ACCESSED | PTE_DIRTY)) {
            return audit_fail(a, "I10",
                              "process %u: PDE %03x expected 0 or the system's %08" PRIx64 ", found %08" PRIx64,
                              s->process->pid, i, master, pde);
        }
    }
    return true;
}

/* The process has been charged for what its VADs say and for the page tables that they cover; while a call that has the
 * address-creation mutex waits, also for what it is about to put there: the charge comes first (NT-95). */
static bool count_commit(struct scan *s, const uint32_t covered[USER_PDES / 32]) {
    uint32_t expected = s->vads.commit, found = s->process->commit_charge;
    for (uint32_t i = 0; i < USER_PDES / 32; i++) { expected += (uint32_t)__builtin_popcount(covered[i]); }
    s->a->commit += found + (s->process->pid ? PROCESS_COMMIT : 0); /* System's own three are boot's */
    if (found == expected || (found > expected && s->process->changing)) { return true; }
    return audit_fail(s->a, "I7", "process %u: commit charge expected %x, found %x", s->process->pid, expected, found);
}

static void find_covered(const struct scan *s, uint32_t covered[USER_PDES / 32]) {
    for (size_t i = 0; i < s->vads.count; i++) {
        for (va_t t = s->vads.at[i].start >> MM_PDE_SHIFT; t <= s->vads.at[i].end >> MM_PDE_SHIFT && t < USER_PDES;
             t++) {
            covered[t / 32] |= 1u << (t % 32);
        }
    }
}

/* Page tables charged to commit: a bit for each, NT-37; they must be those that VADs cover. */
static bool scan_bitmap(struct scan *s) {
    struct audit *a = s->a;
    uint32_t covered[USER_PDES / 32] = {0};
    find_covered(s, covered);
    const va_t bitmap = working_set_layout(a->machine).bitmap;
    for (uint32_t i = 0; i < USER_PDES / 32; i++) {
        uint32_t found = peek32(a->machine, s->process->directory_base[0], bitmap + 4 * (va_t)i);
        if (found != covered[i]) {
            return audit_fail(a, "I7", "process %u: page-table bitmap word %x expected %08x, found %08x",
                              s->process->pid, i, covered[i], found);
        }
    }
    return count_commit(s, covered);
}

/* The bitmap of an outswapped process cannot be seen. */
static bool scan_swapped_commit(struct scan *s) {
    uint32_t covered[USER_PDES / 32] = {0};
    find_covered(s, covered);
    return count_commit(s, covered);
}

/* A table of an outswapped process, behind an entry in transition, or in the paging file: then frame is 0. words: what
 * is in it, wherever it is. */
static bool scan_swapped_table(struct scan *s, pte_t pte, va_t pte_va, pfn_t containing, pfn_t *frame,
                               mmpte_t words[ENTRIES]) {
    *frame = 0;
    if (!page_content(s->a, pte, words)) { memset(words, 0, PAGE_SIZE); }
    if (pte_form(pte) != PTE_FORM_TRANSITION) {
        audit_slot(s->a, pte, (uint32_t)pte_va);
        return true;
    }
    *frame = pte_frame(pte);
    if (containing < s->a->frames) { s->a->frame[containing].entries++; }
    return audit_own(s->a, *frame, OWNER_OUTSWAPPED, s->process->pid, (uint32_t)pte_va, containing);
}

static bool scan_swapped_hyperspace(struct scan *s, unsigned number) {
    mmpte_t list[ENTRIES], ignored[ENTRIES];
    pfn_t table, page;
    uint32_t index = HYPERSPACE_INDEX + number;
    if (!scan_swapped_table(s, read_pde(s, index), pde_address(index), s->directory[LAST_DIRECTORY], &table, list)) {
        return false;
    }
    for (uint32_t i = number ? 0 : HYPERSPACE_FIRST; i < ENTRIES; i++) {
        va_t pte_va = MiGetPteAddress(MM_HYPER_BASE) + (number * ENTRIES + i) * PTE_SIZE;
        if (list[i] != 0 && !scan_swapped_table(s, list[i], pte_va, table, &page, ignored)) { return false; }
    }
    return true;
}

static bool scan_swapped_directory(struct scan *s, unsigned number, pte_t entry, va_t at, pfn_t containing) {
    pfn_t *frame = &s->directory[number];
    if (!scan_swapped_table(s, entry, at, containing, frame, s->away[number])) { return false; }
    pte_t pde;
    const uint32_t end = (number + 1) * ENTRIES < USER_PDES ? (number + 1) * ENTRIES : USER_PDES;
    for (uint32_t i = number * ENTRIES; next_pde(s, end, &i, &pde); i++) {
        if (!scan_user_pde(s, i, pde)) { return false; }
    }
    return true;
}

/* NT-76: the directory hangs on the process object; what is left of the tables, on it. With PAE that is the last one,
 * and the others are among the tables. */
static bool scan_outswapped(struct scan *s) {
    struct audit *a = s->a;
    nt_view_vads(a->os, s->process->pid, add_vad, &s->vads);
    if (!scan_swapped_commit(s)) { return false; }
    uint32_t at = s->process->eprocess + EPROCESS_PAGE_DIRECTORY_PTE;
    pfn_t object = pte_frame(peek_pte(a->machine, a->system_directory, at));
    mmpte_t entry = 0;
    peek(a->machine, a->system_directory, at, &entry, sizeof entry);
    if (object == 0) { object = (at - MM_KSEG0_BASE) >> PAGE_SHIFT; }
    if (!own_pointers(s, 0)) { return false; }
    for (unsigned d = MM_DIRECTORIES; d-- > 0;) {
        bool last = d == LAST_DIRECTORY;
        va_t self = last ? at : pde_address(SELF_MAP_INDEX + d);
        pte_t pde = last ? entry : read_pde(s, SELF_MAP_INDEX + d);
        s->vad = 0;
        if (!scan_swapped_directory(s, d, pde, self, last ? object : s->directory[LAST_DIRECTORY])) { return false; }
    }
    for (unsigned i = 0; i < MM_HYPER_TABLES; i++) {
        if (!scan_swapped_hyperspace(s, i)) { return false; }
    }
    return true;
}

static bool scan_process(struct scan *s) {
    if (s->process->state != 0) { return scan_outswapped(s); }
    nt_view_vads(s->a->os, s->process->pid, add_vad, &s->vads);
    if (!find_directories(s) || !scan_fixed(s) || !scan_kernel_pdes(s) || !scan_bitmap(s)) { return false; }
    pte_t pde;
    for (uint32_t i = 0; next_pde(s, USER_PDES, &i, &pde); i++) {
        if (!scan_user_pde(s, i, pde)) { return false; }
    }
    return audit_working_set(s->a, s->process, s->valid);
}

static bool visit_process(void *ctx, const struct nt_process_view *process) {
    struct audit *a = ctx;
    struct scan s = {.a = a, .process = process};
    a->changing = a->changing || process->changing;
    bool good = scan_process(&s);
    free(s.vads.at);
    return good;
}

bool audit_scan_processes(struct audit *a) {
    nt_view_address_spaces(a->os, visit_process, a);
    return !a->failed;
}

/* ---- the kernel's own pages ---- */

static bool scan_kernel_page(struct audit *a, va_t va, pfn_t table, pte_t pte) {
    if (pte & PTE_VALID) {
        return audit_own(a, pte_frame(pte), OWNER_PRIVATE, 0, (uint32_t)MiGetPteAddress(va), table);
    }
    if (pte_form(pte) == PTE_FORM_TRANSITION) {
        return audit_own(a, pte_frame(pte), OWNER_PRIVATE_TRANSITION, 0, (uint32_t)MiGetPteAddress(va), table);
    }
    audit_slot(a, pte, (uint32_t)MiGetPteAddress(va));
    return true;
}

bool audit_kernel_table(const struct audit *a, va_t va, pfn_t *table) {
    pte_t pde = peek_pde(a->machine, a->system_directory, va);
    *table = pte_frame(pde);
    return (pde & PTE_VALID) && !(pde & PTE_LARGE);
}

bool audit_next_kernel_entry(const struct audit *a, va_t end, va_t *va, pfn_t *table, pte_t *pte) {
    while (*va < end) {
        va_t start = *va & ~(va_t)(MM_PAGE_TABLE_SPAN - 1), next = start + MM_PAGE_TABLE_SPAN;
        uint32_t index = MiGetPteIndex(*va), last = (uint32_t)(((next < end ? next : end) - start) >> PAGE_SHIFT);
        if (audit_kernel_table(a, *va, table) && audit_next_entry(a, *table, last, &index, pte)) {
            *va = start + ((va_t)index << PAGE_SHIFT);
            return true;
        }
        *va = next;
    }
    return false;
}

static bool scan_kernel_range(struct audit *a, va_t start, va_t end) {
    pfn_t table;
    pte_t pte;
    for (va_t va = start; audit_next_kernel_entry(a, end, &va, &table, &pte); va += PAGE_SIZE) {
        if (!scan_kernel_page(a, va, table, pte)) { return false; }
    }
    return true;
}

/* Views in system space: pages of sections, in page tables that the kernel made when they were needed. */
static bool scan_system_views(struct audit *a) {
    for (va_t va = MM_SYSTEM_VIEW_START; va <= MM_SYSTEM_VIEW_END; va += (va_t)ENTRIES << PAGE_SHIFT) {
        pfn_t table;
        if (!audit_kernel_table(a, va, &table)) { continue; }
        if (!audit_own(a, table, OWNER_PRIVATE, 0, (uint32_t)MiGetPdeAddress(va), audit_system_directory(a, va))) {
            return false;
        }
        pte_t pte;
        for (uint32_t i = 0; audit_next_entry(a, table, ENTRIES, &i, &pte); i++) {
            if (!(pte & PTE_VALID) || pte_frame(pte) >= a->frames) { continue; }
            a->frame[table].entries++;
            a->frame[pte_frame(pte)].maps++;
        }
    }
    return true;
}

bool audit_scan_kernel(struct audit *a) {
    if (!scan_system_views(a)) { return false; }
    for (size_t r = 0; r < sizeof kernel_ranges / sizeof *kernel_ranges; r++) {
        if (!scan_kernel_range(a, kernel_ranges[r].start, kernel_ranges[r].end)) { return false; }
    }
    return true;
}

/* Pages of paged pool that have been given an address: charged from then on. */
uint32_t audit_pool_pages(struct audit *a) {
    uint32_t pages = 0;
    pfn_t table;
    pte_t pte;
    for (va_t va = MM_PAGED_POOL_START; audit_next_kernel_entry(a, MM_PAGED_POOL_END + 1, &va, &table, &pte);
         va += PAGE_SIZE) {
        pages++;
    }
    return pages;
}

/* ---- prototype PTEs ---- */

/* A page of a section that the paging file backs: charged when the section was made. */
static bool is_committed_page(struct audit *a, pte_t prototype) {
    if (prototype & PTE_VALID || pte_form(prototype) == PTE_FORM_TRANSITION) {
        prototype = audit_pfn(a, pte_frame(prototype)).OriginalPte;
    }
    enum pte_form form = pte_form(prototype);
    return form == PTE_FORM_DEMAND_ZERO || form == PTE_FORM_PAGE_FILE;
}

/* A page of pool that holds prototype PTEs: which frame, if any, and what is in it. */
struct prototype_page {
    va_t page;
    bool known;
    pfn_t frame; /* 0: away */
    pte_t plain; /* the last entry that names neither a frame nor a slot: most are alike */
    bool plain_committed;
    mmpte_t words[ENTRIES];
};

static void find_prototype_page(struct audit *a, va_t va, struct prototype_page *p) {
    pte_t entry = peek_pte(a->machine, a->system_directory, va);
    p->page = page_of(va);
    p->known = page_content(a, entry, p->words);
    p->frame = (entry & PTE_VALID) || pte_form(entry) == PTE_FORM_TRANSITION ? pte_frame(entry) : 0;
}

static bool scan_prototype(struct audit *a, const struct nt_prototype_view *array, va_t va, struct prototype_page *p) {
    pte_t prototype = p->words[(va & PAGE_MASK) / PTE_SIZE];
    if (prototype == p->plain) {
        a->section_pages += p->plain_committed;
        return true;
    }
    bool valid = prototype & PTE_VALID, transition = !valid && pte_form(prototype) == PTE_FORM_TRANSITION;
    bool committed = !array->clone && is_committed_page(a, prototype);
    a->section_pages += committed;
    if (!valid && !transition) {
        audit_slot(a, prototype, (uint32_t)va);
        if (pte_form(prototype) != PTE_FORM_PAGE_FILE) {
            p->plain = prototype;
            p->plain_committed = committed;
        }
        return true;
    }
    if (p->frame == 0) {
        return audit_fail(a, "I4", "prototype PTE at %08" PRIx64 ": %08" PRIx64 " names a frame, and its page is away",
                          (uint64_t)va, prototype);
    }
    a->frame[p->frame].entries++;
    return audit_own(a, pte_frame(prototype), valid ? OWNER_PROTOTYPE : OWNER_PROTOTYPE_TRANSITION, 0, (uint32_t)va,
                     p->frame);
}

static bool visit_prototypes(void *ctx, const struct nt_prototype_view *array) {
    struct audit *a = ctx;
    struct prototype_page page = {.page = 1}; /* none. A plain entry of 0 is not committed */
    if (array->clone && array->references == 0 && !a->changing) {
        return audit_fail(a, "I4", "prototype PTEs at %08" PRIx64 " of pages that were forked: no process has them",
                          array->base);
    }
    const va_t end = array->base + PTE_SIZE * (va_t)array->count;
    for (va_t va = array->base; va < end; va += PTE_SIZE) {
        if (page.page != page_of(va)) { find_prototype_page(a, va, &page); }
        if (!page.known) { /* untouched pool */
            va = page.page + PAGE_SIZE - PTE_SIZE;
        } else if (!scan_prototype(a, array, va, &page)) {
            return false;
        }
    }
    return true;
}

bool audit_scan_prototypes(struct audit *a) {
    nt_view_prototypes(a->os, visit_prototypes, a);
    return !a->failed;
}

struct resident_count {
    struct audit *a;
    va_t control_area;
    uint32_t count;
};

/* What a page's frame holds is the page: not before it is read. */
static bool is_resident(struct audit *a, pte_t page) {
    if (page & PTE_VALID) { return true; }
    return pte_form(page) == PTE_FORM_TRANSITION && !(audit_pfn(a, pte_frame(page)).Flags & PFN_READ_IN_PROGRESS);
}

/* In a pool page that is paged out no prototype PTE is valid or in transition. */
static bool count_resident(void *ctx, const struct nt_prototype_view *array) {
    struct resident_count *c = ctx;
    if (array->clone || array->control_area != c->control_area) { return true; }
    const va_t end = array->base + PTE_SIZE * (va_t)array->count;
    for (va_t va = array->base, next; va < end; va = next) {
        next = page_of(va) + PAGE_SIZE < end ? page_of(va) + PAGE_SIZE : end;
        pte_t page = peek_pte(c->a->machine, c->a->system_directory, va), prototype;
        if (!is_resident(c->a, page)) { continue; }
        uint32_t i = (uint32_t)(va & PAGE_MASK) / PTE_SIZE, last = i + (uint32_t)(next - va) / PTE_SIZE;
        for (; audit_next_entry(c->a, pte_frame(page), last, &i, &prototype); i++) {
            c->count += (prototype & PTE_VALID) || pte_form(prototype) == PTE_FORM_TRANSITION;
        }
    }
    return true;
}

uint32_t audit_resident_prototypes(struct audit *a, va_t control_area) {
    struct resident_count c = {.a = a, .control_area = control_area};
    nt_view_prototypes(a->os, count_resident, &c);
    return c.count;
}
