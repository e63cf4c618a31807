/* Check 4, audit: system PTEs (NT-16, NT-17). Every entry of the two spaces is on exactly one free list or handed out,
 * the totals are exact, and what valid entries map is no free frame (I10, I12). */
#include "audit_priv.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SINGLE_PTE 0x2u

struct space {
    struct audit *a;
    const struct nt_system_ptes_view *view;
    unsigned number;
    uint32_t count;
    mmpte_t *entries; /* what they hold, and a 0 behind */
    uint8_t *free;    /* one an entry: listed */
    uint32_t general, blocks;
};

void audit_read_ptes(struct audit *a, va_t pte, uint32_t count, mmpte_t *out) {
    for (uint32_t i = 0, chunk; i < count; i += chunk, pte += PTE_SIZE * (va_t)chunk) {
        uint32_t left = (uint32_t)(PAGE_SIZE - (pte & PAGE_MASK)) / PTE_SIZE;
        chunk = left < count - i ? left : count - i;
        pte_t pde = peek_pde(a->machine, a->system_directory, MiGetVirtualAddressMappedByPte(pte));
        if (!(pde & PTE_VALID) || (pde & PTE_LARGE)) { continue; }
        pa_t at = ((pa_t)pte_frame(pde) << PAGE_SHIFT) + (pte & PAGE_MASK);
        physmem_read(a->mem, at, out + i, chunk * (unsigned)PTE_SIZE);
    }
}

static uint32_t index_of(const struct space *s, va_t pte) {
    return (uint32_t)((pte - s->view->start[s->number]) / PTE_SIZE);
}

/* What a free entry of the space, or the one behind it, holds, in the form of the view: with PAE the number is the
 * upper half (NT-12). */
static uint32_t free_entry(const struct space *s, va_t pte) {
#if MI_PAE
    pte_t value = s->entries[index_of(s, pte)];
    return pae_list_next(value) << PTE_FRAME_SHIFT | (uint32_t)(value & PAE_LIST_ONE_ENTRY);
#else
    return s->entries[index_of(s, pte)];
#endif
}

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

/* A run of count free entries from pte on, of which the first `used` carry list data. */
static bool take_run(struct space *s, va_t pte, uint32_t count, uint32_t used) {
    if (!inside(s, pte, count)) { return list_fail(s, "a free list leads outside the space", pte); }
    uint32_t first = index_of(s, pte), data = used < count ? used : count;
    /* of thousands all are as they must be: one by one only to say which is not */
    bool rest =
        all_zero(s->free + first, count) && all_zero(s->entries + first + data, (count - data) * sizeof *s->entries);
    for (uint32_t i = 0; i < (rest ? data : count); i++) {
        va_t at = pte + PTE_SIZE * (va_t)i;
        if (s->free[first + i]) { return list_fail(s, "an entry is on two lists", at); }
        if (i >= used && s->entries[first + i] != 0) { return list_fail(s, "a free entry is not 0", at); }
        if (s->entries[first + i] & PTE_VALID) { return list_fail(s, "a valid entry is on a free list", at); }
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
        if (!(first & SINGLE_PTE)) { count = free_entry(s, pte + PTE_SIZE) >> PTE_FRAME_SHIFT; }
        if (pte <= end_of_last) { return list_fail(s, "runs are neither in order nor grown together", pte); }
        if (count == 0 || !take_run(s, pte, count, first & SINGLE_PTE ? 1 : 2)) {
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
        s.count = (uint32_t)((view.end[number] - view.start[number]) / PTE_SIZE);
        s.free = check_alloc(s.count + 1);
        s.entries = check_alloc((s.count + 1) * sizeof *s.entries);
        audit_read_ptes(a, view.start[number], s.count, s.entries);
        good = walk_space(&s);
        for (const uint8_t *used = s.free; good && (used = memchr(used, 0, s.count - (size_t)(used - s.free)));
             used++) {
            uint32_t i = (uint32_t)(used - s.free);
            good = used_entry(a, view.start[number] + PTE_SIZE * (va_t)i, s.entries[i]);
        }
        free(s.free);
        free(s.entries);
    }
    return good;
}
