/* Shortcuts (ntmmu/mmu_shortcut.h): made at a hit, forgotten with the entry that served it. */
#include "mmu_priv.h"
#include <string.h>

void shortcuts_forget_all(struct mmu *mmu) {
    mmu->shortcuts.epoch += MMU_SHORTCUT_EPOCH(1);
    if (mmu->shortcuts.epoch == 0) { /* all used: entries of the first epochs must not come back */
        memset(mmu->shortcuts.at, 0, sizeof mmu->shortcuts.at);
        mmu->shortcuts.epoch = MMU_SHORTCUT_EPOCH(1);
    }
}

#define ALLOWED_KNOWN 0x8000u /* above the bits of mmu_shortcut_right */

/* Which accesses an entry serves without a walk or a fault, under the control registers as they are. */
static uint16_t allowed_of(struct mmu *mmu, const struct tlb_entry *entry) {
    struct page_rights rights = entry->rights;
    uint16_t *known =
        &mmu->allowed[rights.writable | rights.user << 1 | rights.execute_disable << 2 | entry->dirty << 3];
    if (*known) { return *known; }
    unsigned allowed = ALLOWED_KNOWN;
    for (enum mmu_mode mode = MMU_SUPERVISOR; mode <= MMU_IMPLICIT; mode++) {
        for (enum mmu_type type = MMU_READ; type <= MMU_MODIFY; type++) {
            bool hits =
                (!mmu_writes(type) || MUT(9, entry->dirty, true)) && access_allowed(&mmu->controls, rights, type, mode);
            allowed |= (unsigned)hits << mmu_shortcut_right(type, mode);
        }
    }
    return *known = (uint16_t)allowed;
}

/* Not with a tree: a touch changes it in another way. */
void shortcuts_remember(struct mmu *mmu, enum tlb_side side, struct tlb *tlb, unsigned index, va_t va) {
    if (tlb->replacement == TLB_PLRU) { return; }
    const struct tlb_entry *entry = &tlb->entry[index];
    unsigned page_shift = mmu->mode.shift[tag_class(tlb->tag[index])];
    uint64_t page = va >> PAGE_SHIFT;
    mmu->shortcuts.at[side][page % MMU_SHORTCUTS] = (struct mmu_shortcut){
        .key = mmu->shortcuts.epoch | page,
        .frame = (entry->frame | (va & PHYSICAL_MASK(page_shift))) & ~(pa_t)PAGE_MASK,
        .hits = &mmu->statistics.hits[array_number(mmu, tlb)],
        .touched = &tlb->touched[index],
        .touches = &tlb->touches,
        .allowed = allowed_of(mmu, entry),
        .page_shift = (uint8_t)page_shift,
        .memory_type = memory_type_of(&mmu->controls, entry->memory),
    };
}

struct mmu_shortcuts *mmu_c_shortcuts(struct mmu *mmu) {
    return &mmu->shortcuts;
}
