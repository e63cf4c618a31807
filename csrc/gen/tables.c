/* The program's tables: each mode has TABLES for each level, so that addresses meet again. Frames 0 to 15 are data, the
 * tables follow at once: a large page at 0 shows both. */
#include "program.h"

#include <string.h>

#define FIRST_TABLE 16
#define MODE_TABLES (4 * TABLES + 1) /* the last frame: PDPTEs, 32 bytes each */

unsigned level_shift(enum gen_mode mode, unsigned level) {
    return PAGE_SHIFT + (level - 1) * (mode == GEN_32 ? 10 : 9);
}

unsigned entry_index(enum gen_mode mode, va_t va, unsigned level) {
    return va >> level_shift(mode, level) & (mode == GEN_32 ? 0x3FF : 0x1FF);
}

static pa_t table_at(const struct program *p, unsigned level, unsigned n) {
    return (pa_t)(FIRST_TABLE + (unsigned)p->mode * MODE_TABLES + (level - 1) * TABLES + n) << PAGE_SHIFT;
}

pa_t some_table(struct program *p, unsigned level) { return table_at(p, level, (unsigned)below(p, TABLES)); }

static pa_t pointers_at(const struct program *p, unsigned n) { return table_at(p, 5, 0) + n * 32; }

pa_t first_root(const struct program *p) {
    return p->mode == GEN_PAE ? pointers_at(p, 0) : table_at(p, root_level(p->mode), 0);
}

pa_t some_root(struct program *p) {
    return p->mode == GEN_PAE ? pointers_at(p, (unsigned)below(p, TABLES)) : some_table(p, root_level(p->mode));
}

/* ---- entries ---- */

/* What is wrong high up spoils many addresses: it is rarer there. */
uint64_t some_flags(struct program *p, unsigned level) {
    unsigned rare = level == 1 ? 1 : 4;
    uint64_t f = next_random(p) & (ENTRY_RW | ENTRY_US | ENTRY_A | ENTRY_D | ENTRY_G | 0x18 | 0xE00);
    if (!one_in(p, 12 * rare)) { f |= ENTRY_P; }
    if (!one_in(p, 3 * rare)) { f |= ENTRY_RW | ENTRY_US; }
    if (one_in(p, 3)) { f &= ~(ENTRY_A | ENTRY_D); }
    if (p->mode == GEN_32) { return f; }
    if (one_in(p, 16 * rare)) { f |= ENTRY_NX; }
    if (one_in(p, 60 * rare)) { f |= (uint64_t)1 << (30 + below(p, 34)); } /* reserved, ignored or an address */
    return f;
}

static uint64_t some_large(struct program *p, unsigned level) {
    unsigned shift = level_shift(p->mode, level);
    uint64_t entry = (one_in(p, 2) ? 0 : below(p, 8)) << shift | ENTRY_PS | some_flags(p, 1);
    if (p->mode == GEN_32) {
        if (one_in(p, 4)) { entry |= below(p, 256) << 13; } /* PSE-36, perhaps beyond MAXPHYADDR */
        if (one_in(p, 12)) { entry |= (uint64_t)1 << 21; }
        return entry & 0xFFFFFFFFu;
    }
    if (one_in(p, 3)) { entry |= (uint64_t)1 << 12; } /* PAT */
    if (one_in(p, 16)) { entry |= (uint64_t)1 << (13 + below(p, shift - 13)); }
    return entry;
}

/* A few frames for many addresses; now and then a table, or nothing that is there. */
static uint64_t some_frame(struct program *p) {
    if (one_in(p, 24)) { return some_table(p, 1 + (unsigned)below(p, root_level(p->mode))); }
    if (one_in(p, 40)) { return below(p, (uint64_t)1 << (p->mode == GEN_32 ? 20 : 28)) << PAGE_SHIFT; }
    return below(p, FRAMES) << PAGE_SHIFT;
}

uint64_t some_entry(struct program *p, unsigned level) {
    if (level == 1) { return some_frame(p) | some_flags(p, 1) | (one_in(p, 4) ? ENTRY_PS : 0); }
    bool large = level == 2 ? one_in(p, 4) : level == 3 ? one_in(p, 6) : one_in(p, 24);
    if (large) { return some_large(p, level); }
    /* a table of another level: one that is used twice, or itself */
    unsigned child = one_in(p, 60) ? 1 + (unsigned)below(p, root_level(p->mode)) : level - 1;
    return some_table(p, child) | some_flags(p, level);
}

/* ---- memory ---- */

static uint64_t image_read(const struct program *p, pa_t pa) {
    uint64_t value = 0;
    unsigned bytes = entry_bytes(p->mode);
    if (pa + bytes <= IMAGE_BYTES) { memcpy(&value, p->image + pa, bytes); }
    return value;
}

void poke_entry(struct program *p, pa_t pa, uint64_t entry) {
    struct event *e = &p->event;
    unsigned bytes = entry_bytes(p->mode);
    e->kind = bytes == 4 ? EV_POKE : EV_POKE_QUAD;
    e->poke.pa = pa;
    e->poke.value = bytes == 4 ? (uint32_t)entry : entry;
    if (pa + bytes <= IMAGE_BYTES) { memcpy(p->image + pa, &entry, bytes); }
    gen_event(p->gen, e);
}

/* Where a table entry points to; NXE's and reserved bits make no difference here. */
static pa_t table_of(const struct program *p, uint64_t entry) {
    return p->mode == GEN_32 ? entry & 0xFFFFF000u : entry & 0x000FFFFFFFFFF000u;
}

/* The table that an address's walk begins in; false: there is none. */
static bool top_table(const struct program *p, va_t va, pa_t *table) {
    uint64_t cr3 = read_register(p, MMU_CR3);
    if (p->mode != GEN_PAE) {
        *table = table_of(p, cr3);
        return true;
    }
    pa_t pointer = (cr3 & 0xFFFFFFE0u) + 8 * (va >> 30 & 3);
    *table = table_of(p, image_read(p, pointer));
    return image_read(p, pointer) & ENTRY_P;
}

void make_way(struct program *p, va_t va, bool anew) {
    pa_t table;
    if (!top_table(p, va, &table)) { return; }
    for (unsigned level = root_level(p->mode); level > 0 && table < IMAGE_BYTES; level--) {
        pa_t pa = table + entry_index(p->mode, va, level) * entry_bytes(p->mode);
        uint64_t entry = image_read(p, pa);
        if (entry == 0 || anew) {
            entry = some_entry(p, level);
            poke_entry(p, pa, entry);
        }
        if (!(entry & ENTRY_P) || (entry & ENTRY_PS)) { return; }
        table = table_of(p, entry);
    }
}

/* The entry of that level that the walk for va reads, or of the lowest level that it gets to. */
static bool entry_on_way(const struct program *p, va_t va, unsigned *level, pa_t *pa) {
    pa_t table;
    if (!top_table(p, va, &table)) { return false; }
    for (unsigned n = root_level(p->mode);; n--) {
        *pa = table + entry_index(p->mode, va, n) * entry_bytes(p->mode);
        uint64_t entry = image_read(p, *pa);
        table = table_of(p, entry);
        if (n > *level && (entry & ENTRY_P) && !(entry & ENTRY_PS) && table < IMAGE_BYTES) { continue; }
        *level = n;
        return *pa < IMAGE_BYTES;
    }
}

/* Sometimes with a reserved bit, so that the load is refused. */
static uint64_t some_pointer(struct program *p) {
    uint64_t pointer = some_table(p, 2) | (one_in(p, 12) ? 0 : ENTRY_P) | (next_random(p) & 0xE18);
    return one_in(p, 60) ? pointer | (uint64_t)1 << below(p, 64) : pointer;
}

void change_entry(struct program *p, va_t va) {
    if (p->mode == GEN_PAE && one_in(p, 10)) {
        poke_entry(p, pointers_at(p, 0) + 8 * below(p, 4 * TABLES), some_pointer(p));
        return;
    }
    unsigned level = one_in(p, 2) ? 1 : 1 + (unsigned)below(p, root_level(p->mode));
    pa_t pa;
    if (one_in(p, 3) || !entry_on_way(p, va, &level, &pa)) {
        pa = some_table(p, level) + entry_index(p->mode, va, level) * entry_bytes(p->mode);
    }
    uint64_t entry = image_read(p, pa);
    switch (below(p, 6)) {
    case 0:
    case 1:
    case 2: entry &= ~(ENTRY_A | ENTRY_D); break;
    case 3: entry ^= (uint64_t)1 << below(p, 3); break; /* P, R/W or U/S */
    default: entry = some_entry(p, level); break;
    }
    poke_entry(p, pa, entry);
}

/* ---- the window through which tables show themselves ---- */

#define WINDOW_32   0x300 /* the directory's own entry: C0000000 */
#define WINDOW_PAE  0x100 /* four entries of each directory: the directories */
#define WINDOW_LONG 0x1ED /* the PML4's own entry */

va_t window_page(struct program *p, va_t va) {
    va_t page;
    switch (p->mode) {
    case GEN_32: page = ((va_t)WINDOW_32 << 22) | (va >> 12 << 2); break;
    case GEN_PAE:
        page = (below(p, 4) << 30) | ((WINDOW_PAE + below(p, TABLES)) << 21) | (va >> 21 & 0x1FF) << 12;
        break;
    default: page = (va_t)0xFFFF << 48 | (va_t)WINDOW_LONG << 39 | (va >> 12 & (((va_t)1 << 36) - 1)) << 3; break;
    }
    return page_of(page);
}

void make_roots(struct program *p) {
    const uint64_t own = ENTRY_P | ENTRY_RW;
    p->begun[p->mode] = true;
    for (unsigned t = 0; t < TABLES; t++) {
        pa_t root = table_at(p, root_level(p->mode), t);
        switch (p->mode) {
        case GEN_32: poke_entry(p, root + WINDOW_32 * 4, root | own); break;
        case GEN_LONG: poke_entry(p, root + WINDOW_LONG * 8, root | own); break;
        default:
            for (unsigned i = 0; i < TABLES; i++) {
                poke_entry(p, root + (WINDOW_PAE + i) * 8, table_at(p, 2, i) | own);
                poke_entry(p, pointers_at(p, t) + 8 * i, some_table(p, 2) | ENTRY_P);
            }
        }
    }
}
