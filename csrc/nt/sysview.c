/* Views of sections in system space (NT-66): pages of A0000000..A2FFFFFF refer to prototype PTEs as a process's do, and
 * are in the system working set. Nothing remembers a view but its PTEs and a list; a fault finds the prototype by the
 * PTE alone. */
#include "mi.h"

#define X64K              ((va_t)0x10000)
#define SYSTEM_PDE(os_va) (MM_SYSTEM_PAGE_PTES + MiGetPdeIndex(os_va) * PTE_SIZE)

struct mmsystemview {
    struct mmsystemview *Next; /* by address */
    va_t Start, Size;
    struct control_area *ControlArea;
};

/* ---- page tables ---- */

/* A page table for this part of the range. It stays; other processes copy its directory entry when they need it
 * (NT-20). False: no frame. */
static bool MiMakeSystemPageTable(struct os *os, va_t va) {
    if (MiReadPte(os, SYSTEM_PDE(va)) == 0) {
        if (!MiFramesAvailable(os, 1)) { return false; }
        va_t window = page_of(MiGetPteAddress(va));
        pfn_t frame = MiRemoveZeroPage(os, MiPageColor(os, window));
        MiInitializePfn(os, frame, MiGetPdeAddress(va), pte_demand_zero(MM_READWRITE), PFN_MODIFIED,
                        MM_SYSTEM_DIRECTORY_FRAME + MiGetPdeIndex(va) / MM_PTE_PER_PAGE);
        MiWritePte(os, SYSTEM_PDE(va),
                   frame << PTE_FRAME_SHIFT | (PTE_TEMPLATE_KERNEL & ~(pte_t)PTE_GLOBAL) | os->GlobalBit);
    }
    MiReadPte(os, MiGetPteAddress(va)); /* the current directory gets it too */
    return true;
}

/* ---- addresses ---- */

/* Where a view of this size goes: the link it is inserted at, or NULL. */
static struct mmsystemview **MiFindSystemViewRange(struct os *os, va_t size, va_t *start) {
    struct mmsystemview **link = &os->SystemViews;
    *start = MM_SYSTEM_VIEW_START;
    for (; *link; link = &(*link)->Next) {
        if ((*link)->Start - *start >= size) { return link; }
        *start = ((*link)->Start + (*link)->Size + X64K - 1) & ~(X64K - 1);
    }
    return *start + size <= (va_t)MM_SYSTEM_VIEW_END + 1 ? link : NULL;
}

/* ---- map ---- */

/* Pointer forms for all pages; a piece without prototypes (captured bss) has none. */
static void MiWriteSystemViewPtes(struct os *os, const struct mmsystemview *view) {
    for (va_t offset = 0; offset < view->Size; offset += PAGE_SIZE) {
        const struct subsection *s = MiLocateSubsection(view->ControlArea, offset);
        if (!s || !s->BasePte) { continue; }
        va_t prototype = s->BasePte + ((offset - s->ViewOffset) >> PAGE_SHIFT) * PTE_SIZE;
        MiWritePte(os, MiGetPteAddress(view->Start + offset), pte_pointer(prototype));
    }
}

static ntstatus_t MiMapSystemView(struct os *os, struct control_area *area, uint64_t bytes, uint32_t *base) {
    if (!(area->Image && area->Subsections) && !MiExtendSection(os, area, bytes)) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    va_t start; /* found only now: others may have mapped while pages of prototypes were waited for */
    struct mmsystemview **link = MiFindSystemViewRange(os, bytes, &start);
    if (!link) { return STATUS_NO_MEMORY; }
    for (va_t va = start; va < start + bytes; va = (va | (MM_PAGE_TABLE_SPAN - 1)) + 1) {
        if (!MiMakeSystemPageTable(os, va)) { return MI_WAIT_FOR_PAGE; }
    }
    struct mmsystemview *view = MiAllocateHost(os, sizeof *view);
    *view = (struct mmsystemview){.Next = *link, .Start = start, .Size = bytes, .ControlArea = area};
    *link = view;
    area->MappedViews++;
    area->SystemViews++;
    MiWriteControlArea(os, area);
    MiWriteSystemViewPtes(os, view);
    *base = (uint32_t)start;
    return STATUS_SUCCESS;
}

ntstatus_t MmMapViewInSystemSpace(struct os *os, const struct section_object *section, uint32_t *base, uint32_t *size) {
    struct control_area *area = section->ControlArea;
    uint64_t end = ((section->Size ? section->Size : area->Size) + PAGE_MASK) & ~(uint64_t)PAGE_MASK;
    uint64_t bytes = *size ? ((uint64_t)*size + PAGE_MASK) & ~(uint64_t)PAGE_MASK : end;
    if (bytes == 0 || bytes > end) { return STATUS_INVALID_VIEW_SIZE; }
    MiHoldControlArea(os, area);
    ntstatus_t status = MiMapSystemView(os, area, bytes, base);
    MiReleaseControlArea(os, area);
    if (NT_SUCCESS(status)) { *size = (uint32_t)bytes; }
    return status;
}

/* ---- fault, K4 of NT-46 ---- */

bool MiIsSystemViewAddress(va_t va) { return va >= MM_SYSTEM_VIEW_START && va <= MM_SYSTEM_VIEW_END; }

/* ---- unmap ---- */

static void MiDeleteSystemViewPte(struct os *os, va_t va, struct mmptelist *list) {
    va_t pte_va = MiGetPteAddress(va);
    pte_t pte = MiReadPte(os, pte_va);
    if (!(pte & PTE_VALID)) {
        if (pte) { MiWritePte(os, pte_va, 0); }
        return;
    }
    pfn_t frame = pte_frame(pte), table = pte_frame(MiReadPte(os, MiGetPdeAddress(va)));
    MiCaptureDirty(os, frame, pte);
    MiRemoveWsle(os, &os->MmSystemCacheWs, MiLocateWsle(os, &os->MmSystemCacheWs, va, frame));
    MiAddToPteList(os, list, pte_va, va, 0);
    MiDecrementShareCount(os, table);
    MiDecrementShareCount(os, frame);
}

ntstatus_t MmUnmapViewInSystemSpace(struct os *os, uint32_t base) {
    struct mmsystemview **link = &os->SystemViews, *view;
    while ((view = *link) && view->Start != base) { link = &view->Next; }
    if (!view) { return STATUS_NOT_MAPPED_VIEW; }
    struct mmptelist list = {0};
    for (va_t va = view->Start; va < view->Start + view->Size; va += PAGE_SIZE) {
        MiDeleteSystemViewPte(os, va, &list);
    }
    MiFlushPteList(os, &list, true, 0);
    *link = view->Next;
    struct control_area *area = view->ControlArea;
    MiFreeHost(view);
    area->MappedViews--;
    area->SystemViews--;
    MiDereferenceControlArea(os, area);
    return STATUS_SUCCESS;
}

void MiFreeSystemViews(struct os *os) {
    while (os->SystemViews) {
        struct mmsystemview *view = os->SystemViews;
        os->SystemViews = view->Next;
        MiFreeHost(view);
    }
}
