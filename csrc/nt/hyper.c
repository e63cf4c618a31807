/* Temporary mappings in hyperspace and access to frames that no address of the current process maps: NT-13..15. */
#include "mi.h"

#define DISPATCH_LEVEL 2u

va_t MiMapPageInHyperSpace(struct os *os, pfn_t frame, unsigned *old_irql) {
    *old_irql = os->M->ops->irql(os->M);
    if (*old_irql < DISPATCH_LEVEL) { os->M->ops->set_irql(os->M, DISPATCH_LEVEL); }
    uint32_t slot = MiRead32(os, MM_FIRST_RESERVED_MAPPING_PTE) >> PTE_FRAME_SHIFT;
    if (slot > MM_HYPER_SLOTS) { MiAssert(os, "the ring of hyperspace mappings has been written over"); }
    if (slot == 0) {
        /* Every slot was used once since the last flush: only now can a translation of one be stale. */
        os->M->ops->fill(os->M, MM_FIRST_RESERVED_MAPPING_PTE + PTE_SIZE, 0, MM_HYPER_SLOTS * PTE_SIZE);
        MI_MUTANT(111, KeFlushCurrentTb(os, MM_HYPER_BASE), (void)0);
        slot = MM_HYPER_SLOTS;
    }
    MiWritePte(os, MM_FIRST_RESERVED_MAPPING_PTE + slot * PTE_SIZE,
               frame << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL);
    MiWrite32(os, MM_FIRST_RESERVED_MAPPING_PTE, (slot - 1) << PTE_FRAME_SHIFT);
    os->HyperspaceMappings++;
    return MM_HYPER_BASE + ((va_t)slot << PAGE_SHIFT);
}

void MiUnmapPageInHyperSpace(struct os *os, unsigned old_irql) {
    os->HyperspaceMappings--;
    if (os->M->ops->irql(os->M) != old_irql) { os->M->ops->set_irql(os->M, old_irql); }
}

va_t MiMapPageToZeroInHyperSpace(struct os *os, pfn_t frame) {
    if (MiDirectMapped(os, frame)) { return MiDirectMapAddress(frame); }
    va_t pte = MiGetPteAddress(MM_ZEROING_PAGE);
    MiWritePte(os, pte, 0);
    MI_MUTANT(191, MiFlushSingleTb(os, MM_ZEROING_PAGE), (void)0);
    MiWritePte(os, pte, frame << PTE_FRAME_SHIFT | PTE_TEMPLATE_PRIVATE_KERNEL);
    return MM_ZEROING_PAGE;
}

/* A frame's address in the direct map, or in hyperspace. *old_irql goes back to MiUnmapFrame. */
static va_t MiMapFrame(struct os *os, pfn_t frame, unsigned *old_irql) {
    return MiDirectMapped(os, frame) ? MiDirectMapAddress(frame) : MiMapPageInHyperSpace(os, frame, old_irql);
}

static void MiUnmapFrame(struct os *os, pfn_t frame, unsigned old_irql) {
    if (!MiDirectMapped(os, frame)) { MiUnmapPageInHyperSpace(os, old_irql); }
}

void MiZeroPhysicalPage(struct os *os, pfn_t frame) {
    unsigned irql = 0;
    os->M->ops->fill(os->M, MiMapFrame(os, frame, &irql), 0, MI_MUTANT(184, PAGE_SIZE, PAGE_SIZE - 16));
    MiUnmapFrame(os, frame, irql);
}

void MiCopyPhysicalPage(struct os *os, pfn_t to, pfn_t from) {
    unsigned to_irql = 0, from_irql = 0;
    /* The mapping that may empty the ring comes first: a flush between the two would take the other one away. */
    if (!MiDirectMapped(os, to) && !MiDirectMapped(os, from) &&
        MiRead32(os, MM_FIRST_RESERVED_MAPPING_PTE) >> PTE_FRAME_SHIFT == 1) {
        MiWrite32(os, MM_FIRST_RESERVED_MAPPING_PTE, 0);
    }
    va_t source = MiMapFrame(os, from, &from_irql);
    va_t target = MiMapFrame(os, to, &to_irql);
    os->M->ops->copy(os->M, target, source, MI_MUTANT(185, PAGE_SIZE, PAGE_SIZE - 16));
    MiUnmapFrame(os, to, to_irql);
    MiUnmapFrame(os, from, from_irql);
}

void MiReadPhysicalPage(struct os *os, pfn_t frame, void *out) {
    unsigned irql = 0;
    os->M->ops->read(os->M, MiMapFrame(os, frame, &irql), out, PAGE_SIZE);
    MiUnmapFrame(os, frame, irql);
}

uint32_t MiReadPhysical32(struct os *os, pa_t pa) {
    unsigned irql = 0;
    uint32_t value = MiRead32(os, MiMapFrame(os, pa >> PAGE_SHIFT, &irql) + (pa & PAGE_MASK));
    MiUnmapFrame(os, pa >> PAGE_SHIFT, irql);
    return value;
}

pte_t MiReadPhysicalPte(struct os *os, pa_t pa) {
    unsigned irql = 0;
    pte_t value = 0;
    os->M->ops->read(os->M, MiMapFrame(os, pa >> PAGE_SHIFT, &irql) + (pa & PAGE_MASK), &value, PTE_SIZE);
    MiUnmapFrame(os, pa >> PAGE_SHIFT, irql);
    return value;
}

void MiWritePhysicalPte(struct os *os, pa_t pa, pte_t value) {
    unsigned irql = 0;
    mmpte_t entry = (mmpte_t)value;
    os->M->ops->write(os->M, MiMapFrame(os, pa >> PAGE_SHIFT, &irql) + (pa & PAGE_MASK), &entry, sizeof entry);
    MiUnmapFrame(os, pa >> PAGE_SHIFT, irql);
}
