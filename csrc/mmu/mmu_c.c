/* The C MMU: it stands for the RTL in every field of struct mmu_result and in every statistic. Its files: translate.c
 * (requests), lookup.h, usual.c (most of them, faster), ahead.c (several at a time), walk.c and format.c (page tables),
 * tlb.c (arrays), invalidate.c and controls.c, shortcut.c. This one: life and observation. */
#include "mmu_priv.h"
#include <stdio.h>
#include <stdlib.h>

void mmu_c_use_ram(struct mmu *mmu, struct mmu_ram ram) {
    mmu->ram = ram;
    find_whether_usual(mmu);
}

/* ---- life ---- */

static void c_destroy(struct mmu *mmu) {
    if (!mmu) { return; }
    for (unsigned i = 0; i < MMU_ARRAYS; i++) { tlb_fini(&mmu->array[i]); }
    free(mmu);
}

/* Which array takes which class; in which order a second level is probed. */
static void connect(struct mmu *mmu, enum tlb_side side, unsigned level) {
    unsigned first, numbers = preset_arrays(&mmu->config.preset, side, level, &first);
    for (unsigned i = 0; i < numbers; i++) {
        struct tlb *tlb = &mmu->array[first + i];
        unsigned k = 0;
        for (unsigned tlb_class = 0; tlb_class < TLB_CLASSES; tlb_class++) {
            if (tlb->geometry.ways == 0 || !(tlb->geometry.classes >> tlb_class & 1)) { continue; }
            mmu->of[side][level - 1][tlb_class] = tlb;
            if (level == 2) { mmu->probe_class[side][i][k++] = (uint8_t)tlb_class; }
        }
        if (level == 1) { continue; }
        if (k > mmu->probes[side]) { mmu->probes[side] = k; }
        while (k < TLB_CLASSES) { mmu->probe_class[side][i][k++] = TLB_CLASSES; }
    }
}

/* Then a walk fills one array, and nothing but the first level holds anything. */
static bool is_plain(const struct mmu *mmu) {
    const struct mmu_preset *preset = &mmu->config.preset;
    for (unsigned i = ARRAY_ISTLB; i < MMU_ARRAYS; i++) {
        if (preset->array[i].ways) { return false; }
    }
    bool every_class = true;
    for (enum tlb_side side = 0; side < TLB_SIDES; side++) {
        for (unsigned tlb_class = 0; tlb_class < TLB_PAGE_SIZES; tlb_class++) {
            bool needed = tlb_class != TLB_1G || (preset->features & CPU_1G);
            every_class = every_class && (mmu->of[side][0][tlb_class] || !needed);
        }
    }
    return every_class && !preset->unified[0];
}

static struct mmu *c_create(const struct mmu_config *config, char *err, size_t err_size) {
    struct mmu *mmu = calloc(1, sizeof *mmu);
    int status = mmu ? 0 : -1;
    for (unsigned i = 0; i < MMU_ARRAYS && mmu; i++) { status |= tlb_init(&mmu->array[i], &config->preset, i); }
    if (status < 0) {
        snprintf(err, err_size, "C MMU: out of memory");
        c_destroy(mmu);
        return NULL;
    }
    mmu->config = *config;
    mmu->shortcuts.epoch = MMU_SHORTCUT_EPOCH(1);
    mmu->controls.pat = PAT_RESET;
    paging_mode_derive(&mmu->mode, &mmu->controls, &config->preset);
    for (enum tlb_side side = 0; side < TLB_SIDES; side++) {
        connect(mmu, side, 1);
        connect(mmu, side, 2);
    }
    mmu->plain = is_plain(mmu);
    mmu->context = (struct walk_context){.memory = &mmu->config.memory,
                                         .ram = &mmu->ram,
                                         .controls = &mmu->controls,
                                         .mode = &mmu->mode,
                                         .pdpte = mmu->pdpte};
    return mmu;
}

/* ---- observation ---- */

static uint64_t c_cycles(const struct mmu *mmu) { return mmu->shortcuts.cycle; }

static void c_statistics(const struct mmu *mmu, struct mmu_statistics *out) {
    *out = mmu->statistics;
    out->cycles = mmu->shortcuts.cycle;
}

static unsigned page_number_shift(const struct mmu *mmu, unsigned number, uint64_t tag) {
    if (number < ARRAY_PSC_PDE) { return mmu->mode.shift[tag_class(tag)]; }
    return PAGE_SHIFT + (number - ARRAY_PSC_PDE + 1) * mmu->mode.format->index_bits;
}

static struct mmu_tlb_entry describe(const struct mmu *mmu, unsigned number, unsigned index) {
    const struct tlb *tlb = &mmu->array[number];
    const struct tlb_entry *entry = &tlb->entry[index];
    uint64_t tag = tlb->tag[index];
    va_t va = tag_page(tag) << page_number_shift(mmu, number, tag);
    return (struct mmu_tlb_entry){
        .va = mmu->mode.kind == PAGING_4_LEVEL ? canonical(va) : va,
        .pa = entry->frame,
        .array = (uint8_t)number,
        .tlb_class = (uint8_t)tag_class(tag),
        .set = (uint16_t)(index / tlb->geometry.ways),
        .way = (uint16_t)(index % tlb->geometry.ways),
        .pcid = (uint16_t)tag_pcid(tag),
        .memory = entry->memory,
        .writable = entry->rights.writable,
        .user = entry->rights.user,
        .execute_disable = entry->rights.execute_disable,
        .dirty = entry->dirty,
        .global = entry->global,
        .fragment = entry->fragment,
    };
}

static size_t c_tlb_entries(struct mmu *mmu, struct mmu_tlb_entry *out, size_t max) {
    size_t n = 0;
    for (unsigned number = 0; number < MMU_ARRAYS; number++) {
        const struct tlb *tlb = &mmu->array[number];
        for (unsigned i = 0; i < tlb->geometry.sets * tlb->geometry.ways; i++) {
            if (!tlb->tag[i]) { continue; }
            if (n < max) { out[n] = describe(mmu, number, i); }
            n++;
        }
    }
    return n;
}

static int c_wave(struct mmu *mmu, const char *path, uint64_t from, uint64_t to) {
    (void)mmu, (void)path, (void)from, (void)to;
    return -1;
}

const struct mmu_ops mmu_c_ops = {
    .abi_version = MMU_ABI_VERSION,
    .name = "c",
    .create = c_create,
    .destroy = c_destroy,
    .translate = mmu_c_translate,
    .write_control = mmu_c_write_control,
    .read_control = mmu_c_read_control,
    .invlpg = mmu_c_invlpg,
    .invpcid = mmu_c_invpcid,
    .cycles = c_cycles,
    .statistics = c_statistics,
    .tlb_entries = c_tlb_entries,
    .wave = c_wave,
};
