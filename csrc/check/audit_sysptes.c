/* Check 4, audit: system PTEs (NT-16, NT-17). Every entry of the two spaces is on exactly one free list or handed out,
 * the totals are exact, and what valid entries map is no free frame (I10, I12). */
#include "audit_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct space {
    struct audit *a;
    const struct nt_system_ptes_view *view;
    unsigned number;
    uint32_t count, before; /* entries, and those before them in the first page table */
    const uint8_t **table;  /* the page tables, in the host's memory; NULL: there is none, or nothing in it */
    uint8_t *free;          /* one an entry: listed */
    uint32_t general, blocks;
};

static void find_tables(struct space *s) {
    va_t first = s->view->start[s->number];
    s->count = (uint32_t)((s->view->end[s->number] - first) / PTE_SIZE);
    s->before = (uint32_t)(first & PAGE_MASK) / PTE_SIZE;
    uint32_t tables = (s->before + s->count) / MM_PTE_PER_PAGE + 1;
    s->table = check_alloc(tables * sizeof *s->table);
    for (uint32_t i = 0; i < tables; i++) {
        va_t va = MiGetVirtualAddressMappedByPte((first & ~PAGE_MASK) + i * PAGE_SIZE);
        pfn_t frame;
        if (audit_kernel_table(s->a, va, &frame)) { s->table[i] = audit_table(s->a, frame); }
    }
}

/* Where entry `index` is, and how many follow it, itself too, in its page table. NULL: these are 0. */
static const uint8_t *entry_at(const struct space *s, uint32_t index, uint32_t *count) {
    uint32_t i = s->before + index, in_table = i % MM_PTE_PER_PAGE;
    const uint8_t *table = s->table[i / MM_PTE_PER_PAGE];
    *count = MM_PTE_PER_PAGE - in_table;
    return table ? table + in_table * PTE_SIZE : NULL;
}

static pte_t entry_of(const struct space *s, uint32_t index) {
    uint32_t count;
    const uint8_t *at = entry_at(s, index, &count);
    mmpte_t entry = 0;
    if (at && index < s->count) { memcpy(&entry, at, sizeof entry); }
    return entry;
}

static uint32_t index_of(const struct space *s, va_t pte) {
    return (uint32_t)((pte - s->view->start[s->number]) / PTE_SIZE);
}

/* What a free entry of the space, or the one behind it, holds. */
static uint32_t free_entry(const struct space *s, va_t pte) { return pte_free_entry(entry_of(s, index_of(s, pte))); }

static bool list_fail(struct space *s, const char *what, va_t pte) {
    pte_t entry = peek_pte(s->a->machine, s->a->system_directory, MiGetVirtualAddressMappedByPte(pte));
    return audit_fail(s->a, "NT-16", "system PTE space %u: %s at %08" PRIx64 " (entry %08" PRIx64 ")", s->number, what,
                      (uint64_t)pte, entry);
}

static bool inside(const struct space *s, va_t pte, uint32_t count) {
    return pte >= s->view->start[s->number] && pte + PTE_SIZE * (va_t)count <= s->view->end[s->number];
}

static bool all_zero(const void *bytes, size_t count) {
    const uint8_t *byte = bytes;
    return count == 0 || (byte[0] == 0 && memcmp(byte, byte + 1, count - 1) == 0);
}

static bool entries_are_zero(const struct space *s, uint32_t first, uint32_t count) {
    for (uint32_t here; count > 0; first += here, count -= here) {
        const uint8_t *at = entry_at(s, first, &here);
        if (here > count) { here = count; }
        if (at && !all_zero(at, here * PTE_SIZE)) { return false; }
    }
    return true;
}

/* A run of count free entries from pte on, of which the first `used` carry list data. */
static bool take_run(struct space *s, va_t pte, uint32_t count, uint32_t used) {
    if (!inside(s, pte, count)) { return list_fail(s, "a free list leads outside the space", pte); }
    uint32_t first = index_of(s, pte), data = used < count ? used : count;
    /* of thousands all are as they must be: one by one only to say which is not */
    bool rest = all_zero(s->free + first, count) && entries_are_zero(s, first + data, count - data);
    for (uint32_t i = 0; i < (rest ? data : count); i++) {
        va_t at = pte + PTE_SIZE * (va_t)i;
        pte_t entry = entry_of(s, first + i);
        if (s->free[first + i]) { return list_fail(s, "an entry is on two lists", at); }
        if (i >= used && entry != 0) { return list_fail(s, "a free entry is not 0", at); }
        if (entry & PTE_VALID) { return list_fail(s, "a valid entry is on a free list", at); }
    }
    memset(s->free + first, 1, count);
    return true;
}

static va_t referenced(const struct space *s, uint32_t reference) {
    return s->view->base + (va_t)(reference >> PTE_FRAME_SHIFT) * PTE_SIZE;
}

static bool walk_general(struct space *s) {
    va_t end_of_last = 0;
    for (uint32_t at = s->view->first_free[s->number]; at != MM_PTE_LIST_END;) {
        va_t pte = referenced(s, at);
        if (!inside(s, pte, 1)) { return list_fail(s, "a free list leads outside the space", pte); }
        uint32_t first = free_entry(s, pte), count = 1;
        if (!(first & MM_PTE_ONE_ENTRY)) { count = free_entry(s, pte + PTE_SIZE) >> PTE_FRAME_SHIFT; }
        if (pte <= end_of_last) { return list_fail(s, "runs are neither in order nor grown together", pte); }
        if (count == 0 || !take_run(s, pte, count, first & MM_PTE_ONE_ENTRY ? 1 : 2)) {
            return list_fail(s, "a run of no entries", pte);
        }
        s->general += count;
        end_of_last = pte + PTE_SIZE * (va_t)count;
        at = first & ~(uint32_t)PAGE_MASK;
    }
    return true;
}

static bool walk_blocks(struct space *s, unsigned class) {
    uint32_t size = s->view->block[class].size, count = 0, last = MM_PTE_LIST_END;
    for (uint32_t at = s->view->block[class].first; count < s->view->block[class].count; count++) {
        va_t pte = referenced(s, at);
        if (!take_run(s, pte, size, size > 1 ? 2 : 1)) { return false; }
        last = at;
        at = free_entry(s, pte) & ~(uint32_t)PAGE_MASK;
    }
    s->blocks += count * size;
    if (count == 0 || (last == s->view->block[class].last && free_entry(s, referenced(s, last)) == MM_PTE_LIST_END)) {
        return true;
    }
    return list_fail(s, "the last block is another", referenced(s, last));
}

static bool walk_space(struct space *s) {
    if (!walk_general(s)) { return false; }
    for (unsigned class = 0; s->number == 0 && class < MM_SYS_PTE_CLASSES; class ++) {
        if (!walk_blocks(s, class)) { return false; }
    }
    if (s->general != s->view->total_free[s->number]) {
        return audit_fail(s->a, "NT-17", "system PTE space %u: free entries expected %x, found %x", s->number,
                          s->view->total_free[s->number], s->general);
    }
    uint32_t reserved = s->count - s->general - s->blocks;
    return reserved == s->view->reserved[s->number] ||
           audit_fail(s->a, "NT-17", "system PTE space %u: entries handed out expected %x, found %x", s->number,
                      s->view->reserved[s->number], reserved);
}

/* A handed-out entry: it owns its frame (pool, stacks, P35), or maps one that is in use otherwise (MDLs), or a device.
 */
static bool used_entry(struct audit *a, va_t pte, pte_t value) {
    bool valid = value & PTE_VALID, transition = pte_form(value) == PTE_FORM_TRANSITION;
    pfn_t frame = pte_frame(value);
    if (pte_form(value) == PTE_FORM_PAGE_FILE) { /* a driver's pageable section */
        a->commit++;
        audit_slot(a, value, 0);
    }
    if ((!valid && !transition) || frame >= a->frames || !is_audited(a, frame)) { return true; }
    struct mmpfn pfn = audit_pfn(a, frame);
    if (pfn.PteAddress == pte) {
        pfn_t table = pte_frame(peek_pde(a->machine, a->system_directory, MiGetVirtualAddressMappedByPte(pte)));
        a->commit++;
        return audit_own(a, frame, valid ? OWNER_PRIVATE : OWNER_PRIVATE_TRANSITION, 0, (uint32_t)pte, table);
    }
    if (pfn.ReferenceCount > 0) { return true; }
    return audit_fail(a, "I12", "frame %" PRIx64 ": the system PTE %08" PRIx64 " maps it, but nobody holds it",
                      (uint64_t)frame, (uint64_t)pte);
}

bool audit_system_ptes(struct audit *a) {
    struct nt_system_ptes_view view;
    nt_view_system_ptes(a->os, &view);
    bool good = true;
    for (unsigned number = 0; number < MM_SYSTEM_PTE_SPACES && good; number++) {
        struct space s = {.a = a, .view = &view, .number = number};
        find_tables(&s);
        s.free = check_alloc(s.count + 1);
        good = walk_space(&s);
        for (const uint8_t *used = s.free; good && (used = memchr(used, 0, s.count - (size_t)(used - s.free)));
             used++) {
            uint32_t i = (uint32_t)(used - s.free);
            good = used_entry(a, view.start[number] + PTE_SIZE * (va_t)i, entry_of(&s, i));
        }
        free(s.free);
        free(s.table);
    }
    return good;
}
