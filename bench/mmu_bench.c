/* What the Verilated MMU of a preset takes in cycles, measured at its interface, beside other MMUs: walks as a function
 * of the memory's latency L, changes of entries, hits a cycle. 32-bit paging. Not a test. Usage: mmu_bench PRESET.so...
 */
#include "ntmmu/mmu.h"
#include "ntmmu/pte.h"
#include "peers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_DIRECTORY = 0x1000, PAGE_TABLES = 0x2000, MEMORY = 1 << 20 };
enum { HIT, WALK, WALK_SETS_A, WALK_CACHED, FIRST_WRITE, INVLPG, FLUSH, ROWS };
static const char *const row_names[ROWS] = {
    [HIT] = "TLB hit",
    [WALK] = "two-level walk, A and D set",
    [WALK_SETS_A] = "walk, A clear in both entries",
    [WALK_CACHED] = "walk, PDE in a cache",
    [FIRST_WRITE] = "first write to a clean page",
    [INVLPG] = "INVLPG",
    [FLUSH] = "MOV CR3",
};
enum { UNTOUCHED = PTE_VALID | PTE_WRITE, CLEAN = UNTOUCHED | PTE_ACCESSED, DIRTY = CLEAN | PTE_DIRTY };

struct bench {
    struct mmu_config config;
    const struct mmu_ops *ops;
    struct mmu *mmu;
    uint32_t latency;
    uint32_t memory[MEMORY / 4];
};

_Noreturn static void fail(const char *what, const char *detail) {
    fprintf(stderr, "mmu_bench: %s: %s\n", what, detail);
    exit(2);
}

/* ---- the memory ---- */

static uint64_t read_entry(void *ctx, pa_t pa, unsigned bytes) {
    (void)bytes;
    return ((struct bench *)ctx)->memory[pa % MEMORY / 4];
}

static uint64_t exchange_entry(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    (void)bytes;
    uint32_t *at = &((struct bench *)ctx)->memory[pa % MEMORY / 4], found = *at;
    if (found == (uint32_t)expected) { *at = (uint32_t)desired; }
    return found;
}

static uint32_t latency_of(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    (void)pa, (void)exchange, (void)cycle;
    return ((struct bench *)ctx)->latency;
}

/* ---- one MMU ---- */

static void start(struct bench *b, uint32_t latency) {
    char err[512] = "";
    b->latency = latency;
    b->config.memory = (struct mmu_memory){b, read_entry, exchange_entry, latency_of};
    memset(b->memory, 0, sizeof b->memory);
    b->mmu = b->ops->create(&b->config, err, sizeof err);
    if (!b->mmu) { fail("no MMU", err); }
    b->ops->write_control(b->mmu, MMU_CR3, PAGE_DIRECTORY);
    b->ops->write_control(b->mmu, MMU_CR0, CR0_PE | CR0_WP | CR0_PG);
}

/* Maps the page; each directory entry has a table of its own. */
static va_t map(struct bench *b, unsigned directory, unsigned table, uint32_t pde, uint32_t pte) {
    uint32_t tables = PAGE_TABLES + directory * PAGE_SIZE;
    b->memory[PAGE_DIRECTORY / 4 + directory] = tables | pde;
    b->memory[tables / 4 + table] = 0x80000u | table << PAGE_SHIFT | pte;
    return (va_t)directory << 22 | (va_t)table << PAGE_SHIFT;
}

static uint32_t cycles(struct bench *b, va_t va, enum mmu_type type) {
    struct mmu_request request = {.va = va, .type = (uint8_t)type, .mode = MMU_SUPERVISOR, .size = 4};
    struct mmu_result result;
    if (b->ops->translate(b->mmu, &request, &result, 1) != 1 || result.vector) { fail("translate", "no translation"); }
    return result.cycles;
}

static void measure(struct bench *b, uint32_t latency, uint32_t *row) {
    start(b, latency);
    va_t first = map(b, 1, 1, CLEAN, DIRTY);
    row[WALK] = cycles(b, first, MMU_READ);
    row[HIT] = cycles(b, first, MMU_READ);
    row[WALK_CACHED] = cycles(b, map(b, 1, 2, CLEAN, DIRTY), MMU_READ);
    row[WALK_SETS_A] = cycles(b, map(b, 2, 1, UNTOUCHED, UNTOUCHED), MMU_READ);
    va_t clean = map(b, 3, 1, CLEAN, CLEAN);
    cycles(b, clean, MMU_READ);
    row[FIRST_WRITE] = cycles(b, clean, MMU_WRITE);
    uint64_t before = b->ops->cycles(b->mmu);
    b->ops->invlpg(b->mmu, clean);
    row[INVLPG] = (uint32_t)(b->ops->cycles(b->mmu) - before);
    before = b->ops->cycles(b->mmu);
    b->ops->write_control(b->mmu, MMU_CR3, PAGE_DIRECTORY);
    row[FLUSH] = (uint32_t)(b->ops->cycles(b->mmu) - before);
    b->ops->destroy(b->mmu);
}

/* Hits offered without a pause. */
static double hits_per_cycle(struct bench *b) {
    enum { PAGES = 8, COUNT = 1024 };
    static struct mmu_request request[COUNT];
    static struct mmu_result result[COUNT];
    start(b, 1);
    for (unsigned i = 0; i < COUNT; i++) {
        request[i] = (struct mmu_request){.va = map(b, 1, i % PAGES, CLEAN, DIRTY), .size = 4};
    }
    uint64_t before = 0;
    for (int round = 0; round < 2; round++) { /* the first round fills the TLB */
        before = b->ops->cycles(b->mmu);
        if (b->ops->translate(b->mmu, request, result, COUNT) != COUNT) { fail("translate", "too few answers"); }
    }
    double rate = COUNT / (double)(b->ops->cycles(b->mmu) - before);
    b->ops->destroy(b->mmu);
    return rate;
}

/* ---- the table ---- */

static void print_formula(uint32_t at_1, uint32_t at_4, uint32_t at_20) {
    char text[32];
    uint32_t slope = (at_20 - at_4) / 16, rest = at_4 - 4 * slope;
    if (at_1 != slope + rest || at_20 != 20 * slope + rest) {
        snprintf(text, sizeof text, "%u/%u/%u", at_1, at_4, at_20);
    } else if (slope == 0) {
        snprintf(text, sizeof text, "%u", rest);
    } else {
        snprintf(text, sizeof text, "%uL+%u", slope, rest);
    }
    printf(" %12s", text);
}

int main(int argc, char **argv) {
    enum { LATENCIES = 3, MMUS_MAX = 8 };
    static const uint32_t latency[LATENCIES] = {1, 4, 20};
    static struct bench bench[MMUS_MAX];
    static uint32_t row[MMUS_MAX][LATENCIES][ROWS];
    int mmus = argc - 1 < MMUS_MAX ? argc - 1 : MMUS_MAX;
    printf("cycles of an access, memory latency L (measured at 1, 4, 20)\n  %-30s", "");
    for (int i = 0; i < mmus; i++) {
        struct bench *b = &bench[i];
        char name[64], err[512];
        const char *file = strrchr(argv[i + 1], '/');
        file = file ? file + 1 : argv[i + 1];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(file, "."), file);
        if (preset_load(&b->config.preset, NTMMU_ROOT "/rtl/presets", name, err, sizeof err)) { fail(name, err); }
        b->ops = mmu_load_object(argv[i + 1], err, sizeof err);
        if (!b->ops) { fail("RTL", err); }
        printf(" %12s", name);
        for (unsigned l = 0; l < LATENCIES; l++) { measure(b, latency[l], row[i][l]); }
    }
    for (unsigned p = 0; p < PEERS; p++) { printf(" %12s", peers[p].name); }
    for (unsigned r = 0; r < ROWS; r++) {
        printf("\n  %-30s", row_names[r]);
        for (int i = 0; i < mmus; i++) {
            if (r == WALK_CACHED && bench[i].config.preset.array[ARRAY_PSC_PDE].ways == 0) {
                printf(" %12s", "none");
            } else {
                print_formula(row[i][0][r], row[i][1][r], row[i][2][r]);
            }
        }
        for (unsigned p = 0; p < PEERS; p++) { printf(" %12s", peers[p].cycles[r]); }
    }
    printf("\n  %-30s", "hits a cycle");
    for (int i = 0; i < mmus; i++) { printf(" %12.2f", hits_per_cycle(&bench[i])); }
    for (unsigned p = 0; p < PEERS; p++) { printf(" %12.2f", peers[p].hits_a_cycle); }
    printf("\n");
    return 0;
}
