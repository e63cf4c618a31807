/* One MMU through the matrix: see run.h. A case is five accesses:
 *   cold    INVLPG first: no TLB knows the address
 *   warm    the same again
 *   control after one of CR0.WP, CR4.SMEP, CR4.SMAP and EFLAGS.AC has changed, of which no TLB need be told
 *   table   after the leaf's flags have changed: INVLPG, unless the access before was a page fault, which is as good
 *   beside  to the page beside it, with a leaf of its own: what is cached of the levels above must hold their rights
 * The last three are of other kinds of access. Each is compared with what the SDM says of the tables as they then are.
 */
#include "run.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum step { STEP_COLD, STEP_WARM, STEP_CONTROL, STEP_TABLE, STEP_BESIDE };
static const char *const step_names[] = {"cold", "warm", "after a control bit changed", "after the leaf changed",
                                         "to the page beside"};

struct memory {
    pa_t pa[LEVELS];
    uint64_t value[LEVELS];
    unsigned levels;
    bool strayed; /* a write to none of the entries */
};

struct matrix {
    const struct mmu_ops *ops;
    struct mmu *mmu;
    struct mmu_preset preset;
    struct memory memory;
    struct expect_input in; /* the case, as it is now */
    const struct family *family;
    struct matrix_count *count;
    uint64_t number; /* of the case */
    bool failed;     /* the case has */
    bool faulted;    /* the last access: the MMU has dropped what it knew of the address */
    struct pair pairs[PAIRS_MAX];
};

/* ---- memory ---- */

static unsigned level_at(const struct memory *memory, pa_t pa) {
    for (unsigned level = memory->levels; level; level--) {
        if (memory->pa[level] == pa) { return level; }
    }
    return 0;
}

static uint64_t read_entry(void *ctx, pa_t pa, unsigned bytes) {
    (void)bytes;
    const struct memory *memory = ctx;
    return memory->value[level_at(memory, pa)]; /* [0] is always 0 */
}

static uint64_t compare_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    (void)bytes;
    struct memory *memory = ctx;
    unsigned level = level_at(memory, pa);
    uint64_t held = memory->value[level];
    if (held == expected && level) { memory->value[level] = desired; }
    memory->strayed |= level == 0;
    return held;
}

static uint32_t latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    (void)ctx, (void)pa, (void)exchange, (void)cycle;
    return 1;
}

static void store_tables(struct matrix *m) {
    const unsigned bits = m->in.levels == 2 ? 10 : 9, width = m->in.levels == 2 ? 4 : 8;
    m->memory.levels = m->in.levels;
    m->memory.strayed = false;
    for (unsigned level = 1; level <= m->in.levels; level++) {
        unsigned index_bits = m->in.levels == 3 && level == LEVEL_PDPTE ? 2 : bits;
        va_t index = m->in.va >> (PAGE_SHIFT + bits * (level - 1)) & (((va_t)1 << index_bits) - 1);
        m->memory.pa[level] = case_table(&m->in, level) + index * width;
        m->memory.value[level] = m->in.entry[level];
    }
}

struct matrix *matrix_create(const struct mmu_ops *ops, const struct mmu_preset *preset, char *err, size_t err_size) {
    struct matrix *m = calloc(1, sizeof *m);
    if (!m) {
        snprintf(err, err_size, "out of memory");
        return NULL;
    }
    m->ops = ops;
    m->preset = *preset;
    struct mmu_config config = {.preset = *preset, .memory = {&m->memory, read_entry, compare_exchange, latency}};
    m->mmu = ops->create(&config, err, err_size);
    if (m->mmu) { return m; }
    free(m);
    return NULL;
}

void matrix_destroy(struct matrix *m) {
    m->ops->destroy(m->mmu);
    free(m);
}

/* ---- a disagreement, readable ---- */

static void print_entry(const char *name, uint64_t entry, unsigned levels) {
    static const struct {
        uint64_t bit;
        const char *name;
    } bits[] = {{1, "P"}, {2, "W"}, {4, "U"}, {0x20, "A"}, {0x40, "D"}, {0x80, "PS"}, {(uint64_t)1 << 63, "NX"}};
    printf("  %-6s %0*" PRIx64, name, levels == 2 ? 8 : 16, entry);
    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++) {
        if (entry & bits[i].bit) { printf(" %s", bits[i].name); }
    }
    printf("\n");
}

static void print_outcome(const char *who, const struct expect_outcome *outcome, unsigned levels) {
    printf("  %s:", who);
    if (outcome->vector == MMU_VECTOR_PF) {
        printf(" page fault, error code %" PRIx32 "\n", outcome->error_code);
    } else if (outcome->vector == MMU_VECTOR_GP) {
        printf(" general protection\n");
    } else {
        printf(" physical address %" PRIx64 ", memory type %u\n", outcome->pa, outcome->memory_type);
    }
    for (unsigned level = levels; level; level--) {
        printf("    entry of level %u afterwards %" PRIx64 "\n", level, outcome->after[level]);
    }
}

static void print_case(const struct matrix *m, enum step step, const char *what, const struct expect_outcome *found,
                       const struct expect_outcome *expected) {
    static const char *const names[] = {"", "PTE", "PDE", "PDPTE", "PML4E"};
    static const char *const modes[] = {"supervisor", "user", "implicit supervisor"};
    static const char *const types[] = {"read", "write", "fetch", "locked read-modify-write"};
    const struct expect_input *in = &m->in;
    printf("MMU %s, CPU %s, %s, case %" PRIu64 " (%s), access %s: %s differs\n", m->ops->name, m->preset.name,
           in->levels == 2   ? "32-bit paging"
           : in->levels == 3 ? "PAE"
                             : "4-level paging",
           m->number, m->family->name, step_names[step], what);
    printf("  CR0 %" PRIx64 "%s, CR4 %" PRIx64 "%s%s%s, EFER %" PRIx64 "%s, EFLAGS.AC %u, MAXPHYADDR %u\n", in->cr0,
           in->cr0 & CR0_WP ? " WP" : "", in->cr4, in->cr4 & CR4_PSE ? " PSE" : "", in->cr4 & CR4_SMEP ? " SMEP" : "",
           in->cr4 & CR4_SMAP ? " SMAP" : "", in->efer, in->efer & EFER_NXE ? " NXE" : "", in->ac, in->physical_bits);
    printf("  %s %s of %" PRIx64 "; CR3 %" PRIx64 "\n", modes[in->mode], types[in->type], in->va, in->cr3);
    for (unsigned level = in->levels; level; level--) { print_entry(names[level], in->entry[level], in->levels); }
    print_outcome("expected", expected, in->levels);
    print_outcome("found", found, in->levels);
}

/* ---- one access ---- */

static const char *difference(const struct matrix *m, enum step step, const struct mmu_result *result,
                              const struct expect_outcome *found, const struct expect_outcome *expected) {
    if (found->vector != expected->vector) { return "the outcome"; }
    if (found->vector == MMU_VECTOR_PF && found->error_code != expected->error_code) { return "the error code"; }
    if (found->vector == MMU_VECTOR_PF && result->cr2 != m->in.va) { return "CR2"; }
    if (step == STEP_COLD && (result->hit == MMU_HIT_L1 || result->hit == MMU_HIT_L2)) { return "INVLPG: a TLB entry"; }
    if (m->memory.strayed) { return "a store beside the entries: memory"; }
    for (unsigned level = m->in.levels; level; level--) {
        if (found->after[level] != expected->after[level]) { return "an entry afterwards"; }
    }
    if (found->vector != MMU_VECTOR_NONE) { return NULL; }
    if (found->pa != expected->pa) { return "the physical address"; }
    if (found->memory_type != expected->memory_type) { return "the memory type"; }
    /* A TLB may hold less than the whole page. */
    return step == STEP_COLD && found->page_shift != expected->page_shift ? "the page size" : NULL;
}

static void fail(struct matrix *m, enum step step, const char *what, const struct expect_outcome *found,
                 const struct expect_outcome *expected) {
    if (m->count->disagreements == 0 && !m->failed) {
        m->count->first = m->number;
        print_case(m, step, what, found, expected);
    }
    m->failed = true;
}

static void access_once(struct matrix *m, enum step step) {
    const struct mmu_request request = {.va = m->in.va, .type = m->in.type, .mode = m->in.mode, .size = 4};
    const struct expect_outcome expected = matrix_expect(&m->in);
    struct mmu_result result = {0};
    struct expect_outcome found = {.vector = -1};
    if (m->ops->translate(m->mmu, &request, &result, 1) == 1) {
        found = (struct expect_outcome){.vector = result.vector,
                                        .error_code = result.error_code,
                                        .pa = result.pa,
                                        .page_shift = result.page_shift,
                                        .memory_type = result.memory_type};
    }
    for (unsigned level = 1; level <= m->in.levels; level++) { found.after[level] = m->memory.value[level]; }
    const char *what = difference(m, step, &result, &found, &expected);
    if (what) { fail(m, step, what, &found, &expected); }
    m->faulted = found.vector == MMU_VECTOR_PF;
    m->count->accesses++;
    m->count->psc += result.psc_level != 0;
    m->count->warm += result.hit == MMU_HIT_L1 || result.hit == MMU_HIT_L2;
    for (unsigned level = 1; level <= m->in.levels; level++) { m->in.entry[level] = m->memory.value[level]; }
}

/* ---- one case ---- */

/* Flips one bit that acts on the next access, and what it is written to. */
static void flip_control(struct matrix *m, unsigned which) {
    const unsigned features = m->preset.features;
    const uint64_t bit = which & 1 ? CR4_SMEP : CR4_SMAP;
    if (which >= 2 && (features & (which & 1 ? CPU_SMEP : CPU_SMAP))) {
        m->in.cr4 ^= bit;
        m->ops->write_control(m->mmu, MMU_CR4, m->in.cr4);
    } else if (which & 1) {
        m->in.ac = !m->in.ac;
        m->ops->write_control(m->mmu, MMU_EFLAGS_AC, m->in.ac);
    } else {
        m->in.cr0 ^= CR0_WP;
        m->ops->write_control(m->mmu, MMU_CR0, m->in.cr0);
    }
}

/* PAE: the case's PDPTE has to be loaded. False if that is, as it should be, refused. */
static bool load_pdpte(struct matrix *m) {
    if (m->family->levels != 3 || m->family->high != LEVEL_PDPTE) { return true; }
    const struct expect_outcome expected = matrix_expect(&m->in);
    struct expect_outcome found = {.vector = m->ops->write_control(m->mmu, MMU_CR3, m->in.cr3)};
    if ((found.vector == MMU_VECTOR_GP) == (expected.vector == MMU_VECTOR_GP)) {
        return found.vector == MMU_VECTOR_NONE;
    }
    fail(m, STEP_COLD, "MOV CR3", &found, &expected);
    return false;
}

/* W, U and NX at random, P now and then. */
static uint64_t leaf_change(unsigned levels, uint64_t hash) {
    uint64_t bits = (hash >> 48 & 6) | (hash >> 60 == 0);
    return levels > 2 && (hash >> 52 & 3) == 0 ? bits | (uint64_t)1 << 63 : bits;
}

/* Leaves the control registers as they were. */
static void run_case(struct matrix *m, struct pair pair, unsigned kind, uint64_t hash) {
    m->failed = false;
    case_access(&m->in, kind, hash);
    case_entries(&m->in, m->family, pair, hash);
    store_tables(m);
    m->ops->invlpg(m->mmu, case_neighbour(m->family, m->in.va));
    m->ops->invlpg(m->mmu, m->in.va);
    m->count->cases++;
    if (load_pdpte(m)) {
        access_once(m, STEP_COLD);
        access_once(m, STEP_WARM);
        const unsigned which = hash >> 32 & 3;
        case_access(&m->in, hash >> 34 & 1 ? kind : (unsigned)(hash >> 40) % ACCESS_KINDS, hash);
        flip_control(m, which);
        access_once(m, STEP_CONTROL);
        flip_control(m, which);
        m->in.entry[m->family->leaf] ^= leaf_change(m->in.levels, hash);
        m->memory.value[m->family->leaf] = m->in.entry[m->family->leaf];
        case_access(&m->in, (unsigned)(hash >> 50) % ACCESS_KINDS, hash);
        if (!m->faulted) { m->ops->invlpg(m->mmu, m->in.va); }
        access_once(m, STEP_TABLE);
        const va_t va = m->in.va;
        m->in.va = case_neighbour(m->family, va);
        case_another_leaf(&m->in, m->family, hash >> 4);
        case_access(&m->in, (unsigned)(hash >> 36) % ACCESS_KINDS, hash);
        store_tables(m);
        access_once(m, STEP_BESIDE);
        m->in.va = va;
    }
    m->count->disagreements += m->failed;
}

/* ---- all cases ---- */

/* Through paging off, which empties the TLBs. */
static bool load_registers(struct matrix *m) {
    const struct expect_input *in = &m->in;
    if ((m->preset.features & CPU_PAT) && m->ops->write_control(m->mmu, MMU_PAT, in->pat) != MMU_VECTOR_NONE) {
        return false;
    }
    const struct {
        enum mmu_control which;
        uint64_t value;
    } writes[] = {{MMU_CR0, CR0_PE},  {MMU_CR4, in->cr4},      {MMU_EFER, in->efer},
                  {MMU_CR3, in->cr3}, {MMU_EFLAGS_AC, in->ac}, {MMU_CR0, in->cr0}};
    for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++) {
        if (m->ops->write_control(m->mmu, writes[i].which, writes[i].value) != MMU_VECTOR_NONE) { return false; }
    }
    return true;
}

static void run_environment(struct matrix *m, unsigned pairs, const struct matrix_options *options) {
    /* The PDPTEs are loaded with the registers; without any, none is present. */
    case_access(&m->in, 0, 0);
    case_entries(&m->in, m->family, (struct pair){0, 0}, 0);
    store_tables(m);
    if (!load_registers(m)) {
        struct expect_outcome refused = {.vector = MMU_VECTOR_GP}, expected = {0};
        m->failed = false;
        fail(m, STEP_COLD, "the load of the control registers", &refused, &expected);
        m->count->disagreements++;
        return;
    }
    for (unsigned i = 0; i < pairs; i++) {
        for (unsigned kind = 0; kind < ACCESS_KINDS; kind++) {
            const uint64_t hash = mix64(++m->number);
            if (hash % options->every == 0) { run_case(m, m->pairs[i], kind, mix64(hash)); }
        }
    }
}

void matrix_run(struct matrix *m, unsigned levels, const struct matrix_options *options, struct matrix_count *count) {
    m->count = count;
    m->number = 0;
    for (unsigned f = 0; f < family_count; f++) {
        if (families[f].levels != levels) { continue; }
        m->family = &families[f];
        unsigned pairs = family_pairs(m->family, m->pairs);
        for (unsigned number = 0; number < ENVIRONMENTS; number++) {
            if (!case_environment(&m->in, m->family, &m->preset, number)) { continue; }
            if (count->environments++ % options->parts == options->part) {
                run_environment(m, pairs, options);
            } else {
                m->number += (uint64_t)pairs * ACCESS_KINDS; /* a case has its number whoever runs it */
            }
        }
    }
}
