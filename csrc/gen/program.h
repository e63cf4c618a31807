/* The bare program that gen.h describes: what its files share. */
#ifndef NTMMU_GEN_PROGRAM_H
#define NTMMU_GEN_PROGRAM_H

#include "gen.h"

#define POOL_MAX 256

struct program {
    struct gen *gen;
    struct mmu_preset preset;
    uint64_t random;
    enum gen_mode mode;        /* whose tables are in use; paging may be off */
    struct mmu *registers;     /* a C MMU that only takes control writes: it knows what is #GP */
    uint8_t *image;            /* low memory, as far as the program wrote it on purpose */
    bool begun[GEN_MODES];     /* the mode's roots are there */
    va_t pool[POOL_MAX], last; /* pages of this phase; the last address */
    unsigned pool_count;
    bool shows_tables;   /* the pool is in the window of the tables */
    uint64_t phase_ends; /* event */
    unsigned controls;   /* of 200 steps: how many write registers, and as many invalidate */
    struct event event;  /* being made */
};

/* ---- choosing ---- */

static inline uint64_t next_random(struct program *p) { return p->random = mix64(p->random); }
static inline uint64_t below(struct program *p, uint64_t n) { return next_random(p) % n; }
static inline bool one_in(struct program *p, uint64_t n) { return below(p, n) == 0; }
static inline bool has(const struct program *p, unsigned feature) { return p->preset.features & feature; }

/* ---- tables.c: what stands in memory ---- */

#define TABLES      4  /* of each level and mode */
#define FRAMES      16 /* that hold data: 0..15 */
#define IMAGE_BYTES ((pa_t)1 << 20)

static inline unsigned entry_bytes(enum gen_mode mode) { return mode == GEN_32 ? 4 : 8; }
static inline unsigned root_level(enum gen_mode mode) { return mode == GEN_LONG ? 4 : 2; }
unsigned level_shift(enum gen_mode mode, unsigned level);
unsigned entry_index(enum gen_mode mode, va_t va, unsigned level);
/* What CR3 may hold: the address of a root table, or of four PDPTEs. */
pa_t some_root(struct program *p);
pa_t first_root(const struct program *p);
pa_t some_table(struct program *p, unsigned level);
uint64_t some_entry(struct program *p, unsigned level);
uint64_t some_flags(struct program *p, unsigned level);
/* A page through which the entry for va shows, in one of the tables' windows. */
va_t window_page(struct program *p, va_t va);
/* Makes the mode's roots, with the windows of the tables in them. */
void make_roots(struct program *p);
/* Makes the entries on the way to va under the current root that are not there yet; anew: all of them. */
void make_way(struct program *p, va_t va, bool anew);
/* Events that write an entry: of the way to va in any table, of a PDPTE. */
void change_entry(struct program *p, va_t va);
void poke_entry(struct program *p, pa_t pa, uint64_t entry);

/* ---- control.c: registers ---- */

uint64_t read_register(const struct program *p, enum mmu_control which);
/* An event; true: it is no #GP. */
bool move_to(struct program *p, enum mmu_control which, uint64_t value);
bool paging_is_on(const struct program *p);
/* Turns paging off and on again in a mode the CPU has. */
void enter_mode(struct program *p, enum gen_mode mode);
void some_control(struct program *p);

/* ---- mmu.c ---- */

va_t some_va(struct program *p);

#endif
