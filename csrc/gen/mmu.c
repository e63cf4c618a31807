/* The bare program's phases, each with its addresses, and its accesses. */
#include "program.h"

#include <stdlib.h>
#include <string.h>

/* ---- the pool of a phase ---- */

/* An address of the mode: canonical, or within 4 GB. */
static va_t in_mode(const struct program *p, va_t va) {
    return page_of(p->mode == GEN_LONG ? (va_t)((int64_t)(va << 16) >> 16) : va & 0xFFFFFFFFu);
}

static void add(struct program *p, va_t va) {
    if (p->pool_count < POOL_MAX) { p->pool[p->pool_count++] = in_mode(p, va); }
}

/* Pages of a few page tables' reach, the same few of each: they share table entries and TLB sets. */
static void pool_near(struct program *p) {
    static const unsigned pages[] = {0, 1, 2, 3, 4, 16, 17, 32, 0x200, 0x3FF};
    unsigned shift = level_shift(p->mode, 2), regions = 1 + (unsigned)below(p, 5);
    for (unsigned i = 0; i < regions; i++) {
        va_t base = one_in(p, 3) ? next_random(p) >> shift << shift : (va_t)i << shift;
        for (unsigned n = 0; n < 10; n++) { add(p, base | ((va_t)pages[n] << PAGE_SHIFT & (((va_t)1 << shift) - 1))); }
    }
}

/* A few more pages than a set of one of the CPU's arrays has ways. */
static void pool_one_set(struct program *p) {
    const struct tlb_geometry *array;
    do { array = &p->preset.array[below(p, MMU_ARRAYS)]; } while (array->ways == 0);
    enum mmu_array number = (enum mmu_array)(array - p->preset.array);
    unsigned level = number >= ARRAY_PSC_PDE            ? 2 + (number - ARRAY_PSC_PDE)
                     : array->classes & 1u << TLB_1G    ? 3
                     : array->classes & 1u << TLB_LARGE ? 2
                     : array->classes & 1u << TLB_PDE   ? 2
                                                        : 1;
    if (level > root_level(p->mode)) { level = root_level(p->mode); }
    va_t stride = (va_t)array->sets << level_shift(p->mode, level), base = next_random(p);
    unsigned count = array->ways + 1 + (unsigned)below(p, array->ways + 1);
    for (unsigned i = 0; i < count; i++) { add(p, base + i * stride); }
}

static void pool_wide(struct program *p) {
    unsigned count = 4 + (unsigned)below(p, 60);
    for (unsigned i = 0; i < count; i++) { add(p, next_random(p)); }
}

/* The pages of two large pages side by side, of them those where the tables are (tables.c). */
static void pool_large(struct program *p) {
    unsigned shift = level_shift(p->mode, 2);
    va_t base = next_random(p) >> shift << shift;
    for (unsigned i = 0; i < 40; i++) { add(p, base + (below(p, 2) << shift) + (below(p, 64) << PAGE_SHIFT)); }
}

static void pool_window(struct program *p) {
    va_t shown[16];
    unsigned count = 0;
    for (unsigned i = 0; i < p->pool_count && count < 16; i++) { shown[count++] = p->pool[i]; }
    if (count < p->pool_count) { p->pool_count = count; }
    for (unsigned i = 0; i < count; i++) { add(p, window_page(p, shown[i])); }
    p->shows_tables = true;
}

static void new_phase(struct program *p) {
    p->pool_count = 0;
    p->shows_tables = false;
    switch (below(p, 8)) {
    case 0:
    case 1:
    case 2: pool_near(p); break;
    case 3:
    case 4: pool_one_set(p); break;
    case 5: pool_wide(p); break;
    case 6: pool_large(p); break;
    default: pool_near(p); pool_window(p);
    }
    p->last = p->pool[0];
    p->controls = 1u << below(p, 5);
    uint64_t cr4 = read_register(p, MMU_CR4);
    if ((cr4 & (CR4_SMEP | CR4_SMAP)) && !one_in(p, 4)) { move_to(p, MMU_CR4, cr4 & ~(CR4_SMEP | CR4_SMAP)); }
    p->phase_ends = p->gen->events + 100 + below(p, 1200);
    for (unsigned i = 0; i < p->pool_count && i < 12 && one_in(p, 3); i++) { make_way(p, p->pool[i], true); }
}

va_t some_va(struct program *p) {
    if (!one_in(p, 3)) { p->last = p->pool[below(p, p->pool_count)]; }
    return p->last | below(p, PAGE_SIZE);
}

/* ---- accesses ---- */

static va_t reachable(struct program *p) {
    va_t va = some_va(p);
    if (!one_in(p, 16)) { make_way(p, va, false); }
    if (p->mode == GEN_LONG && one_in(p, 100)) { return va ^ (va_t)1 << (47 + below(p, 17)); } /* not canonical */
    return va;
}

static void choose(struct program *p, uint8_t *access, uint8_t *mode) {
    static const uint8_t modes[] = {EVENT_USER, EVENT_USER, EVENT_USER, EVENT_KERNEL, EVENT_KERNEL, EVENT_IMPLICIT};
    *access = (uint8_t)below(p, 4); /* enum event_access */
    *mode = modes[below(p, 6)];
}

static void one_access(struct program *p) {
    va_t va = reachable(p);
    struct event *e = &p->event;
    choose(p, &e->access.access, &e->access.mode);
    e->kind = EV_ACCESS;
    e->access.size = 1u << below(p, 4);
    e->access.has_value = false;
    if (one_in(p, 16)) { va |= PAGE_MASK; } /* over the page's end */
    e->access.va = va;
    gen_event(p->gen, e);
}

/* A store of an entry through the window. */
static void store_entry(struct program *p) {
    va_t va = p->pool[below(p, p->pool_count)];
    unsigned bytes = entry_bytes(p->mode);
    struct event *e = &p->event;
    uint64_t value = some_entry(p, 1);
    va_t page = window_page(p, va);
    e->kind = EV_ACCESS;
    e->access.va = page | (entry_index(p->mode, va, 1) * bytes);
    e->access.access = EVENT_STORE;
    e->access.mode = one_in(p, 4) ? EVENT_USER : EVENT_KERNEL;
    e->access.size = bytes;
    e->access.has_value = true;
    e->access.value = bytes == 4 ? (uint32_t)value : value;
    gen_event(p->gen, e);
}

static void batch(struct program *p) {
    struct event_touch at[EVENT_BATCH_MAX];
    unsigned count = 2 + (unsigned)below(p, EVENT_BATCH_MAX - 1);
    for (unsigned i = 0; i < count; i++) { /* the entries come first: the batch is one event */
        at[i].va = reachable(p);
        choose(p, &at[i].access, &at[i].mode);
    }
    struct event *e = &p->event;
    e->kind = EV_BATCH;
    e->batch.count = (uint8_t)count;
    memcpy(e->batch.at, at, count * sizeof *at);
    gen_event(p->gen, e);
}

static void some_access(struct program *p) {
    if (p->shows_tables && one_in(p, 6)) {
        store_entry(p);
    } else if (one_in(p, 3)) {
        batch(p);
    } else {
        one_access(p);
    }
}

/* ---- the rest ---- */

static void invlpg(struct program *p) {
    p->event.kind = EV_INVLPG;
    p->event.address.va = some_va(p);
    gen_event(p->gen, &p->event);
}

static void invpcid(struct program *p) {
    uint64_t type = below(p, one_in(p, 10) ? 6 : 4), pcid = below(p, 4);
    if (one_in(p, 2)) { pcid = read_register(p, MMU_CR3) & CR3_PCID; }
    if (one_in(p, 30)) { pcid |= (uint64_t)1 << below(p, 64); }
    va_t va = some_va(p);
    p->event.kind = EV_INVPCID;
    p->event.invpcid.type = type;
    p->event.invpcid.pcid = pcid;
    p->event.invpcid.va = va;
    gen_event(p->gen, &p->event);
}

/* Another CPU comes between the walk's read and its exchange. */
static void meddle(struct program *p) {
    static const uint32_t bits[] = {ENTRY_P, ENTRY_RW,          ENTRY_US, ENTRY_A, ENTRY_A | ENTRY_D,
                                    ENTRY_D, (uint32_t)ENTRY_G, 0x1000,   0x18};
    p->event.kind = EV_MEDDLE;
    p->event.meddle.bits = bits[below(p, sizeof bits / sizeof *bits)];
    gen_event(p->gen, &p->event);
}

/* A page table becomes a data page, is written to, and is a page table again. */
static void reuse_table(struct program *p) {
    if (!paging_is_on(p)) { return; }
    va_t va = some_va(p), other = some_va(p);
    pa_t table = some_table(p, 1);
    unsigned bytes = entry_bytes(p->mode);
    poke_entry(p, some_table(p, 2) + entry_index(p->mode, va, 2) * bytes, table | some_flags(p, 2) | ENTRY_P);
    some_access(p);
    poke_entry(p, some_table(p, 1) + entry_index(p->mode, other, 1) * bytes, table | ENTRY_P | ENTRY_RW | ENTRY_US);
    if (one_in(p, 2)) { invlpg(p); }
    struct event *e = &p->event;
    uint64_t value = some_entry(p, 1);
    e->kind = EV_ACCESS;
    e->access.va = page_of(other) | (entry_index(p->mode, va, 1) * bytes);
    e->access.access = EVENT_STORE;
    e->access.mode = EVENT_USER;
    e->access.size = bytes;
    e->access.has_value = true;
    e->access.value = bytes == 4 ? (uint32_t)value : value;
    gen_event(p->gen, e);
    p->last = page_of(va);
    some_access(p);
}

static enum gen_mode some_mode(struct program *p) {
    if (one_in(p, 2)) { return p->gen->config->mode; }
    unsigned modes = 1 + has(p, CPU_PAE) + (has(p, CPU_PAE) && has(p, CPU_LONG));
    return (enum gen_mode)below(p, modes);
}

static void step(struct program *p) {
    if (p->gen->events >= p->phase_ends) {
        if (one_in(p, 2) || p->mode != p->gen->config->mode) { enter_mode(p, some_mode(p)); }
        new_phase(p);
    }
    uint64_t roll = below(p, 200), controls = paging_is_on(p) ? p->controls : 16;
    if (roll < controls) {
        some_control(p);
    } else if (roll < 2 * controls) {
        if (one_in(p, 4)) {
            invpcid(p);
        } else {
            invlpg(p);
        }
    } else if (roll < 186) {
        some_access(p);
    } else if (roll < 196) {
        va_t va = some_va(p);
        change_entry(p, va);
        if (one_in(p, 4)) { invlpg(p); }
    } else if (roll < 199) {
        meddle(p);
    } else {
        reuse_table(p);
    }
}

/* ---- the registers' MMU ---- */

static uint64_t image_read(void *ctx, pa_t pa, unsigned bytes) {
    const struct program *p = ctx;
    uint64_t value = 0;
    if (pa + bytes <= IMAGE_BYTES) { memcpy(&value, p->image + pa, bytes); }
    return value;
}

static uint64_t image_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    (void)expected;
    (void)desired;
    return image_read(ctx, pa, bytes); /* never asked: nothing is translated */
}

static uint32_t no_latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    (void)ctx;
    (void)pa;
    (void)exchange;
    (void)cycle;
    return 1;
}

void gen_mmu(struct gen *gen) {
    char err[256];
    struct program *p = calloc(1, sizeof *p);
    uint8_t *image = calloc(1, IMAGE_BYTES);
    if (p && image) {
        p->gen = gen;
        p->preset = gen->config->preset;
        p->image = image;
        p->random = mix64(gen->config->seed ^ (uint64_t)gen->config->mode << 56);
        struct mmu_config config = {
            .preset = p->preset,
            .memory = {.ctx = p, .read = image_read, .compare_exchange = image_exchange, .latency = no_latency}};
        p->registers = mmu_c_ops.create(&config, err, sizeof err);
    }
    if (p && p->registers) {
        enter_mode(p, gen->config->mode);
        new_phase(p);
        while (!gen_done(gen)) { step(p); }
        mmu_c_ops.destroy(p->registers);
    } else {
        gen->failed = true;
    }
    free(image);
    free(p);
}
