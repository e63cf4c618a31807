/* Check 4, audit: one process's working-set list. Each valid entry is a valid PTE and each valid PTE has an entry; the
 * frame knows the index of its direct entry (I3); free chain and hash (I8). */
#include "audit_priv.h"

#include <inttypes.h>
#include <stdlib.h>

#define WSLE_VALID  0x001u
#define WSLE_DIRECT 0x400u
#define WSLE_END    (0xFFFFFFF0u >> 4)
#define ENTRIES_MAX 0x7C000u /* more do not fit below the hash, NT-32 */

/* Fields of the list's head, NT-30. */
enum {
    FIRST_FREE = 0x04,
    LAST_INDEX = 0x0C,
    LAST_INITIALISED = 0x1C,
    NON_DIRECT = 0x20,
    HASH = 0x24,
    HASH_SIZE = 0x28
};

struct working_set {
    struct audit *a;
    const struct nt_process_view *process;
    uint64_t directory;
    uint32_t *entry; /* all initialised ones */
    uint32_t count;
    uint8_t *seen; /* a bit for each page of the address space */
};

static uint32_t field(const struct working_set *w, unsigned offset) {
    return peek32(w->a->machine, w->directory, WORKING_SET_LIST + offset);
}

static bool ws_fail(const struct working_set *w, const char *invariant, const char *what, uint32_t index,
                    uint32_t expected, uint32_t found) {
    return audit_fail(w->a, invariant, "process %u, working-set %s %x: expected %x, found %x", w->process->pid, what,
                      index, expected, found);
}

static bool read_entries(struct working_set *w) {
    w->count = field(w, LAST_INITIALISED) + 1;
    if (w->count == 0 || w->count > ENTRIES_MAX) {
        return ws_fail(w, "I8", "list, index of the last initialised entry below", ENTRIES_MAX, ENTRIES_MAX,
                       w->count - 1);
    }
    w->entry = check_alloc(w->count * sizeof *w->entry);
    for (uint32_t i = 0; i < w->count; i++) {
        w->entry[i] = peek32(w->a->machine, w->directory, WORKING_SET_ENTRIES + 4 * (va_t)i);
    }
    return true;
}

/* A valid entry against its PTE and the frame. */
static bool check_entry(struct working_set *w, uint32_t index) {
    uint32_t entry = w->entry[index], va = (uint32_t)page_of(entry);
    uint32_t pte = peek_pte(w->a->machine, w->directory, va);
    if (!(pte & PTE_VALID)) { return ws_fail(w, "I3", "entry: PTE of its page, entry", entry, 1, pte); }
    uint32_t vpn = va >> PAGE_SHIFT;
    if (w->seen[vpn / 8] >> (vpn % 8) & 1) { return ws_fail(w, "I3", "entries for the page of entry", index, 1, 2); }
    w->seen[vpn / 8] |= (uint8_t)(1u << (vpn % 8));
    if (!(entry & WSLE_DIRECT) || index == 0) { return true; } /* 0 is the directory: u1 is the EPROCESS */
    struct mmpfn pfn = peek_pfn(w->a->machine, pte_frame(pte));
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
        non_direct += !(w->entry[i] & WSLE_DIRECT);
        if (!check_entry(w, i)) { return false; }
    }
    if (used != valid) {
        return ws_fail(w, "I3", "entries for its valid PTEs, size", w->process->ws_size, valid, used);
    }
    if (used != w->process->ws_size) { return ws_fail(w, "I3", "size, entries", used, used, w->process->ws_size); }
    uint32_t last_index = field(w, LAST_INDEX);
    if (last_index < last) { return ws_fail(w, "I8", "last index at least", last, last, last_index); }
    uint32_t inserted = field(w, NON_DIRECT);
    return inserted == non_direct || ws_fail(w, "I8", "entries that are not direct", 0, non_direct, inserted);
}

static bool check_free_chain(struct working_set *w) {
    uint32_t length = 0, used = 0;
    for (uint32_t i = 0; i < w->count; i++) { used += w->entry[i] & WSLE_VALID; }
    for (uint32_t i = field(w, FIRST_FREE); i != WSLE_END; i = w->entry[i] >> 4) {
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
    uint32_t base = field(w, HASH), size = field(w, HASH_SIZE), filled = 0;
    if (base == 0) { return true; }
    if (size < 2) { return ws_fail(w, "I8", "hash, size", 0, 0x200, size); }
    for (uint32_t i = 0; i < size; i++) { filled += peek32(w->a->machine, w->directory, base + 8 * (va_t)i) != 0; }
    if (filled != field(w, NON_DIRECT)) { return ws_fail(w, "I8", "hash, entries", 0, field(w, NON_DIRECT), filled); }
    for (uint32_t i = 0; i < w->count; i++) {
        bool wanted = (w->entry[i] & WSLE_VALID) && !(w->entry[i] & WSLE_DIRECT);
        if (wanted && !in_hash(w, base, size, i)) { return ws_fail(w, "I8", "hash, entry", i, w->entry[i], 0); }
    }
    return true;
}

bool audit_working_set(struct audit *a, const struct nt_process_view *process, uint32_t valid) {
    struct working_set w = {.a = a, .process = process, .directory = process->directory_base[0]};
    w.seen = check_alloc((1u << 20) / 8);
    bool good = read_entries(&w) && check_entries(&w, valid) && check_free_chain(&w) && check_hash(&w);
    free(w.seen);
    free(w.entry);
    return good;
}
