/* Check 1, between events: what the two MMUs hold, and what they have counted. */
#include "lockstep_priv.h"

#include "peek.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool lockstep_pairs_differ(const struct pair *pairs, size_t count, bool hexadecimal, char *out, size_t size) {
    size_t i = 0;
    while (i < count && pairs[i].a == pairs[i].b) { i++; }
    if (i == count) { return false; }
    if (hexadecimal) {
        snprintf(out, size, "%s: %" PRIx64 " and %" PRIx64, pairs[i].name, pairs[i].a, pairs[i].b);
    } else {
        snprintf(out, size, "%s: %" PRIu64 " and %" PRIu64, pairs[i].name, pairs[i].a, pairs[i].b);
    }
    return true;
}

/* ---- registers, TLBs, memory ---- */

static bool registers_agree(const struct lockstep *l, char *out, size_t size) {
    static const char *const names[] = {"CR0", "CR3", "CR4", "EFER", "EFLAGS.AC", "PAT"};
    struct pair pairs[sizeof names / sizeof *names];
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t value[2];
        for (unsigned k = 0; k < 2; k++) {
            value[k] = machine_mmu_ops(l->machine[k])->read_control(machine_mmu(l->machine[k]), (enum mmu_control)i);
        }
        pairs[i] = (struct pair){names[i], value[0], value[1]};
    }
    return !lockstep_pairs_differ(pairs, sizeof pairs / sizeof *pairs, true, out, size);
}

static bool entry_agrees(const struct mmu_tlb_entry *a, const struct mmu_tlb_entry *b, char *out, size_t size) {
    const struct pair pairs[] = {
        {"array", a->array, b->array},
        {"class", a->tlb_class, b->tlb_class},
        {"set", a->set, b->set},
        {"way", a->way, b->way},
        {"va", a->va, b->va},
        {"pa", a->pa, b->pa},
        {"writable", a->writable, b->writable},
        {"user", a->user, b->user},
        {"execute disable", a->execute_disable, b->execute_disable},
        {"dirty", a->dirty, b->dirty},
        {"global", a->global, b->global},
        {"PCID", a->pcid, b->pcid},
        {"memory type", a->memory, b->memory},
        {"fragment", a->fragment, b->fragment},
    };
    return !lockstep_pairs_differ(pairs, sizeof pairs / sizeof *pairs, true, out, size);
}

static bool entries_agree(const struct lockstep *l, char *out, size_t size, struct report *report) {
    struct tlb_contents tlbs[2] = {peek_tlbs(l->machine[0]), peek_tlbs(l->machine[1])};
    bool agree = true;
    for (size_t i = 0; agree && i < tlbs[0].count && i < tlbs[1].count; i++) {
        char field[128], array[PRESET_NAME_MAX];
        const struct mmu_tlb_entry *a = &tlbs[0].at[i], *b = &tlbs[1].at[i];
        agree = entry_agrees(a, b, field, sizeof field);
        if (agree) { continue; }
        preset_array_name(machine_preset(l->machine[0]), a->array, array);
        report_kind(report, "lockstep: a TLB entry, %.*s", (int)strcspn(field, ":"), field);
        snprintf(out, size, "a TLB entry, %s (%s set %u way %u, %08" PRIx64 ")", field, array, a->set, a->way, a->va);
    }
    if (agree && tlbs[0].count != tlbs[1].count) {
        agree = false;
        snprintf(out, size, "the number of TLB entries: %zu and %zu", tlbs[0].count, tlbs[1].count);
    }
    free(tlbs[0].at);
    free(tlbs[1].at);
    return agree;
}

/* The kernel's memory is known by its records. */
static bool memories_agree(const struct lockstep *l, char *out, size_t size) {
    if (!is_bare(l->machine[0])) { return true; }
    const struct physmem *a = machine_memory(l->machine[0]), *b = machine_memory(l->machine[1]);
    if (memcmp(a->bytes, b->bytes, a->size) == 0) { return true; }
    pa_t pa = 0;
    while (a->bytes[pa] == b->bytes[pa]) { pa++; }
    pa &= ~(pa_t)3;
    struct pair pair = {"word", physmem_read32(a, pa), physmem_read32(b, pa)};
    char word[64];
    lockstep_pairs_differ(&pair, 1, true, word, sizeof word);
    snprintf(out, size, "memory at %08" PRIx64 ", %s", pa, word);
    return false;
}

bool lockstep_state(struct lockstep *l, struct report *report) {
    char what[256];
    if (registers_agree(l, what, sizeof what) && entries_agree(l, what, sizeof what, report) &&
        memories_agree(l, what, sizeof what)) {
        return true;
    }
    report_kind(report, "lockstep: state, %.*s", (int)strcspn(what, ":0123456789"), what);
    report_add(report, "lockstep: the machines' states differ (%s and %s), %s\n", l->name[0], l->name[1], what);
    return false;
}

/* ---- statistics ---- */

/* The arrays' and sizes' counters, then the others. */
#define STATISTICS_MAX 64

struct pairs {
    struct pair at[STATISTICS_MAX];
    char name[STATISTICS_MAX][48];
    size_t count;
};

__attribute__((format(printf, 4, 5))) static void add_pair(struct pairs *pairs, uint64_t a, uint64_t b,
                                                           const char *format, ...) {
    char *name = pairs->name[pairs->count];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof pairs->name[0], format, args);
    va_end(args);
    pairs->at[pairs->count++] = (struct pair){name, a, b};
}

static void add_tlb_pairs(struct pairs *pairs, const struct mmu_preset *preset, const struct mmu_statistics *a,
                          const struct mmu_statistics *b) {
    static const char *const side_name[TLB_SIDES] = {"instruction", "data"};
    static const char *const size_name[TLB_PAGE_SIZES] = {"4 KB", "large", "1 GB"};
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        char name[PRESET_NAME_MAX];
        preset_array_name(preset, i, name);
        add_pair(pairs, a->hits[i], b->hits[i], "hits of %s", name);
    }
    for (unsigned side = 0; side < TLB_SIDES; side++) {
        const char *name = side_name[side];
        for (unsigned size = 0; size < TLB_PAGE_SIZES; size++) {
            add_pair(pairs, a->misses[side][size], b->misses[side][size], "%s TLB %s misses", name, size_name[size]);
        }
        add_pair(pairs, a->miss_fault[side], b->miss_fault[side], "%s TLB misses that faulted", name);
        add_pair(pairs, a->pde_hits[side], b->pde_hits[side], "second-level PDE hits %u", side);
    }
}

#define ADD(pairs, a, b, field) add_pair(pairs, (a).field, (b).field, #field)

bool lockstep_statistics(struct lockstep *l, struct report *report) {
    struct mmu_statistics a, b;
    machine_statistics(l->machine[0], &a);
    machine_statistics(l->machine[1], &b);
    struct pairs pairs = {.count = 0};
    add_tlb_pairs(&pairs, machine_preset(l->machine[0]), &a, &b);
    ADD(&pairs, a, b, walks);
    ADD(&pairs, a, b, walk_restarts);
    ADD(&pairs, a, b, dirty_walks);
    ADD(&pairs, a, b, walk_cycles);
    add_pair(&pairs, a.table_reads, b.table_reads, "table reads");
    add_pair(&pairs, a.table_writes, b.table_writes, "table writes");
    ADD(&pairs, a, b, pdpte_loads);
    ADD(&pairs, a, b, faults);
    ADD(&pairs, a, b, invlpg);
    ADD(&pairs, a, b, invpcid);
    ADD(&pairs, a, b, cr3_writes);
    ADD(&pairs, a, b, flush_all);
    ADD(&pairs, a, b, fault_drops);
    ADD(&pairs, a, b, cycles);
    char difference[256];
    if (!lockstep_pairs_differ(pairs.at, pairs.count, false, difference, sizeof difference)) { return true; }
    report_kind(report, "lockstep: statistics, %.*s", (int)strcspn(difference, ":"), difference);
    report_add(report, "lockstep: the MMUs' statistics differ (%s and %s), %s\n", l->name[0], l->name[1], difference);
    return false;
}
