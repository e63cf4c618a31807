/* Check 4, audit: one process's working-set list. Each valid entry is a valid PTE and each valid PTE has an entry; the
 * frame knows the index of its direct entry (I3); free chain and hash (I8). */
#include "audit_priv.h"

#include "ntmmu/eprocess.h"
#include "ntmmu/wsle.h"

#include <inttypes.h>
#include <stdlib.h>

struct working_set {
    struct audit *a;
    const struct nt_process_view *process;
    uint64_t directory;
    va_t list;       /* of the process, or the system's */
    uint32_t *entry; /* all initialised ones */
    uint32_t count, first_dynamic;
    uint8_t *seen; /* the audit's: a bit for each page of the address space */
};

static uint32_t field(const struct working_set *w, unsigned offset) {
    return peek32(w->a->machine, w->directory, w->list + offset);
}

static bool ws_fail(const struct working_set *w, const char *invariant, const char *what, uint32_t index,
                    uint32_t expected, uint32_t found) {
    return audit_fail(w->a, invariant, "process %u, working-set %s %x: expected %x, found %x", w->process->pid, what,
                      index, expected, found);
}

static bool read_entries(struct working_set *w) {
    w->count = field(w, WSL_LAST_INITIALIZED) + 1;
    if (w->count == 0 || w->count > WSLES_MAX) {
        return ws_fail(w, "I8", "list, index of the last initialised entry below", WSLES_MAX, WSLES_MAX, w->count - 1);
    }
    w->entry = check_alloc(w->count * sizeof *w->entry);
    w->first_dynamic = field(w, WSL_FIRST_DYNAMIC);
    const struct working_set_layout layout = working_set_layout(w->a->machine);
    va_t va = w->list + (layout.entries - layout.list);
    for (uint32_t i = 0, chunk; i < w->count; i += chunk, va += 4 * (va_t)chunk) { /* a page at a time */
        uint32_t left = (uint32_t)(PAGE_SIZE - (va & PAGE_MASK)) / 4;
        chunk = left < w->count - i ? left : w->count - i;
        peek(w->a->machine, w->directory, va, w->entry + i, 4 * chunk);
    }
    return true;
}

/* A valid entry against its PTE and the frame. */
static bool check_entry(struct working_set *w, uint32_t index) {
    uint32_t entry = w->entry[index], va = (uint32_t)page_of(entry);
    pte_t pte = peek_pte(w->a->machine, w->directory, va);
    if (!(pte & PTE_VALID)) { return ws_fail(w, "I3", "entry: PTE of its page, entry", entry, 1, (uint32_t)pte); }
    bool fixed = index < w->first_dynamic, locked = entry & WSLE_LOCKED;
    if (fixed != locked) {
        return ws_fail(w, "I8", "entry: locked, as its place in the fixed part", index, fixed, locked);
    }
    uint32_t vpn = va >> PAGE_SHIFT;
    if (w->seen[vpn / 8] >> (vpn % 8) & 1) { return ws_fail(w, "I3", "entries for the page of entry", index, 1, 2); }
    w->seen[vpn / 8] |= (uint8_t)(1u << (vpn % 8));
    if (!wsle_is_direct(w->a->memory.profile, entry) || index == 0) {
        return true;
    } /* 0 is the directory: u1 is the EPROCESS */
    struct mmpfn pfn = audit_pfn(w->a, pte_frame(pte));
    if (pfn.u1 == index) { return true; }
    return audit_fail(w->a, "I3", "frame %" PRIx64 " (process %u, %08x): working-set index expected %x, found %x",
                      (uint64_t)pte_frame(pte), w->process->pid, va, index, pfn.u1);
}

static bool check_entries(struct working_set *w, uint32_t valid) {
    uint32_t used = 0, non_direct = 0, last = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        if (!(w->entry[i] & WSLE_VALID)) { continue; }
        used++;
        last = i;
        non_direct += !wsle_is_direct(w->a->memory.profile, w->entry[i]);
        if (!check_entry(w, i)) { return false; }
    }
    if (w->process->pid != 0 && used != valid) {
        return ws_fail(w, "I3", "entries for its valid PTEs, size", w->process->ws_size, valid, used);
    }
    if (used != w->process->ws_size) { return ws_fail(w, "I3", "size, entries", used, used, w->process->ws_size); }
    uint32_t last_index = field(w, WSL_LAST);
    if (last_index < last) { return ws_fail(w, "I8", "last index at least", last, last, last_index); }
    uint32_t inserted = field(w, WSL_NON_DIRECT);
    return inserted == non_direct || ws_fail(w, "I8", "entries that are not direct", 0, non_direct, inserted);
}

static bool check_free_chain(struct working_set *w) {
    uint32_t length = 0, used = 0;
    for (uint32_t i = 0; i < w->count; i++) { used += w->entry[i] & WSLE_VALID; }
    for (uint32_t i = field(w, WSL_FIRST_FREE); i != wsle_next_free(WSLE_END); i = wsle_next_free(w->entry[i])) {
        if (i >= w->count || (w->entry[i] & WSLE_VALID) || ++length > w->count) {
            return ws_fail(w, "I8", "free chain, entry", i, 0, i < w->count ? w->entry[i] : i);
        }
    }
    if (length + used == w->count) { return true; }
    return ws_fail(w, "I8", "free chain, used entries", used, w->count - used, length);
}

static bool in_hash(struct working_set *w, uint32_t base, uint32_t size, uint32_t index) {
    uint32_t va = (uint32_t)page_of(w->entry[index]);
    for (uint32_t i = (va >> 10) % (size - 1), n = 0; n < size; i = (i + 1) % size, n++) {
        uint32_t key = peek32(w->a->machine, w->directory, base + 8 * (va_t)i);
        if (key == 0) { return false; }
        if (page_of(key) == va && peek32(w->a->machine, w->directory, base + 8 * (va_t)i + 4) == index) { return true; }
    }
    return false;
}

static bool check_hash(struct working_set *w) {
    uint32_t base = field(w, WSL_HASH), size = field(w, WSL_HASH_SIZE), filled = 0;
    if (base == 0) { return true; }
    if (base != w->list + WSHASH_OFFSET) {
        return ws_fail(w, "I8", "hash, address", 0, (uint32_t)w->list + WSHASH_OFFSET, base);
    }
    if (size < 2 || size > WSHASH_SYSTEM_MAX) { return ws_fail(w, "I8", "hash, size", 0, 0x200, size); }
    for (uint32_t i = 0; i < size; i++) { filled += peek32(w->a->machine, w->directory, base + 8 * (va_t)i) != 0; }
    if (filled != field(w, WSL_NON_DIRECT)) {
        return ws_fail(w, "I8", "hash, entries", 0, field(w, WSL_NON_DIRECT), filled);
    }
    for (uint32_t i = 0; i < w->count; i++) {
        bool wanted = (w->entry[i] & WSLE_VALID) && !wsle_is_direct(w->a->memory.profile, w->entry[i]);
        if (wanted && !in_hash(w, base, size, i)) { return ws_fail(w, "I8", "hash, entry", i, w->entry[i], 0); }
    }
    return true;
}

/* The VM structure in memory says what the kernel works with, NT-29. */
static bool check_vm(struct working_set *w) {
    const struct nt_process_view *p = w->process;
    const uint32_t expected[] = {(uint32_t)p->ws_time,
                                 (uint32_t)(p->ws_time >> 32),
                                 0,
                                 p->page_fault_count,
                                 p->peak_ws,
                                 p->ws_size,
                                 p->min_ws,
                                 p->max_ws,
                                 (uint32_t)w->list};
    for (uint32_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        uint32_t found = peek32(w->a->machine, w->directory, p->vm + 4 * (va_t)i);
        if (found != expected[i]) { return ws_fail(w, "I8", "VM structure, offset", 4 * i, expected[i], found); }
    }
    return true;
}

static bool audit_one(struct working_set *w, uint32_t valid) {
    w->seen = w->a->seen;
    return read_entries(w) && check_entries(w, valid) && check_free_chain(w) && check_hash(w) && check_vm(w);
}

static void release(struct working_set *w) {
    for (uint32_t i = 0; w->entry && i < w->count; i++) { w->seen[page_of(w->entry[i]) >> PAGE_SHIFT >> 3] = 0; }
    free(w->entry);
}

bool audit_working_set(struct audit *a, const struct nt_process_view *process, uint32_t valid) {
    struct working_set w = {.a = a,
                            .process = process,
                            .directory = process->directory_base[0],
                            .list = working_set_layout(a->machine).list};
    bool good = audit_one(&w, valid);
    release(&w);
    return good;
}

bool audit_system_working_set(struct audit *a) {
    struct nt_process_view view;
    nt_view_system_ws(a->os, &view);
    struct working_set w = {.a = a, .process = &view, .directory = a->system_directory, .list = MM_SYSTEM_WS_LIST};
    bool good = audit_one(&w, 0);
    pfn_t table;
    pte_t pte;
    for (va_t va = MM_PAGED_POOL_START; good && audit_next_kernel_entry(a, MM_PAGED_POOL_END + 1, &va, &table, &pte);
         va += PAGE_SIZE) {
        uint32_t vpn = (uint32_t)(va >> PAGE_SHIFT);
        if ((pte & PTE_VALID) && !(w.seen[vpn / 8] >> (vpn % 8) & 1)) {
            good = ws_fail(&w, "I3", "entry for the valid page", (uint32_t)va, 1, 0);
        }
    }
    release(&w);
    return good;
}

struct vm_search {
    uint32_t vm, count;
    bool found;
};

static bool is_vm(void *ctx, const struct nt_process_view *view) {
    struct vm_search *s = ctx;
    s->count += !view->exiting && view->state == 0;
    s->found |= view->vm == s->vm;
    return true;
}

bool audit_expansion_list(struct audit *a) {
    struct nt_process_view system;
    nt_view_system_ws(a->os, &system);
    uint32_t count = 0, at = MM_WORKING_SET_EXPANSION, expected = 0;
    do {
        uint32_t next = peek32(a->machine, a->system_directory, at);
        uint32_t back = peek32(a->machine, a->system_directory, next + 4);
        if (back != at) {
            return audit_fail(a, "I8", "expansion list, link before %08x: expected %08x, found %08x", next, at, back);
        }
        struct vm_search s = {
            .vm = next - VM_WORKING_SET_LINKS, .count = 1, .found = next - VM_WORKING_SET_LINKS == system.vm};
        nt_view_processes(a->os, is_vm, &s);
        expected = s.count;
        if (next != MM_WORKING_SET_EXPANSION && !s.found) {
            return audit_fail(a, "I8", "expansion list: %08x is no working set's", next);
        }
        at = next;
        count += at != MM_WORKING_SET_EXPANSION;
    } while (at != MM_WORKING_SET_EXPANSION && count <= expected);
    return count == expected || audit_fail(a, "I8", "expansion list: length expected %u, found %u", expected, count);
}
