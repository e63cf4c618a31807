/* Pages of mapped files are written on request: NtFlushVirtualMemory and what purges a file's section (NT-67), by
 * IoSynchronousPageWrite (NT-43): the caller waits for the event. MmSetAddressRangeModified. */
#include "mi.h"

#define MM_FLUSH_CLUSTER OS_IO_PAGES_MAX

/* One synchronous write. It outlives the wait: the transfer may end inside it. */
struct mmflush {
    struct os_io Io;
    bool Done;
    ntstatus_t Status;
    uint64_t Event;
};

/* CONTROL_AREA+28, which those wait on who wait for an area's transfers. */
uint64_t MiControlAreaEvent(const struct control_area *area) { return area->Address + 0x28; }

/* ---- one transfer ---- */

/* The page is dirty and nobody is writing it. */
static bool MiIsFlushable(struct os *os, va_t prototype, pfn_t *frame, bool *busy) {
    pte_t pte = MiReadPte(os, prototype);
    enum pte_form form = pte_form(pte);
    *busy = false;
    if (form != PTE_FORM_VALID && form != PTE_FORM_TRANSITION) { return false; }
    *frame = pte_frame(pte);
    struct mmpfn pfn = MiReadPfn(os, *frame);
    *busy = pfn.Flags & PFN_WRITE_IN_PROGRESS;
    return (pfn.Flags & PFN_MODIFIED) && !(pfn.Flags & (PFN_READ_IN_PROGRESS | PFN_WRITE_IN_PROGRESS));
}

/* Rows P17, P30. Processes may go on using the page; the write holds a reference. */
static void MiBeginWrite(struct os *os, pfn_t frame) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    if (pfn_location(&pfn) < ActiveAndValid) {
        pfn = MiReferenceTransitionPage(os, frame);
    } else {
        MiIncrementReferenceCount(os, frame);
        pfn = MiReadPfn(os, frame);
    }
    pfn.Flags = (uint16_t)((pfn.Flags & ~PFN_MODIFIED) | PFN_WRITE_IN_PROGRESS);
    MiWritePfn(os, frame, &pfn);
}

/* Rows P18, P20..22 as far as a file's page goes: it has no slot. */
static void MiEndWrite(struct os *os, pfn_t frame, bool written) {
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.Flags &= (uint16_t)~PFN_WRITE_IN_PROGRESS;
    if (!written) { pfn.Flags |= PFN_MODIFIED; }
    MiWritePfn(os, frame, &pfn);
    MiDecrementReferenceCount(os, frame);
}

static void MiFlushDone(struct os *os, void *context, ntstatus_t status) {
    struct mmflush *flush = context;
    for (uint32_t i = 0; i < flush->Io.pages; i++) { MiEndWrite(os, flush->Io.frame[i], NT_SUCCESS(status)); }
    flush->Status = status;
    flush->Done = true;
    os->M->ops->signal(os->M, flush->Event);
}

static ntstatus_t MiSynchronousPageWrite(struct os *os, const struct control_area *area, const struct os_io *io) {
    struct mmflush *flush = MiAllocateHost(os, sizeof *flush);
    flush->Io = *io;
    flush->Event = MiControlAreaEvent(area);
    for (uint32_t i = 0; i < io->pages; i++) { MiBeginWrite(os, io->frame[i]); }
    MiStartTransfer(os, io, MiFlushDone, flush);
    os->M->ops->disk_poll(os->M, true);
    while (!flush->Done) { KeWaitForSingleObject(os, flush->Event); }
    ntstatus_t status = flush->Status;
    MiFreeHost(flush);
    return status;
}

/* ---- a range of a file ---- */

/* Dirty pages from `first` on that follow each other in the file; at least the first is one. What would have to be
 * waited for is left to the next transfer: the frames that were found would be out of date. */
static void MiGatherFlush(struct os *os, const struct subsection *s, uint32_t first, uint32_t end, struct os_io *io) {
    bool busy;
    pfn_t frame;
    *io = (struct os_io){.file = s->ControlArea->File,
                         .offset = MiSubsectionFileOffset(s, s->BasePte + first * PTE_SIZE),
                         .write = true};
    for (uint32_t i = first; i < end && io->pages < MM_FLUSH_CLUSTER; i++) {
        va_t prototype = s->BasePte + i * PTE_SIZE;
        /* the first was just read, be it through a global TLB entry: NT-20 */
        if (i != first && !MmIsAddressValid(os, prototype)) { break; }
        if (!MiIsFlushable(os, prototype, &frame, &busy)) { break; }
        io->frame[io->pages++] = frame;
    }
}

/* Prototype PTEs [first, end) of a subsection. Each wait may change all but the subsection, whose control area is held:
 * every entry is looked at again when its turn comes. */
static ntstatus_t MiFlushSubsection(struct os *os, struct control_area *area, const struct subsection *s,
                                    uint32_t first, uint32_t end) {
    ntstatus_t status = STATUS_SUCCESS;
    for (uint32_t i = first; i < end && NT_SUCCESS(status);) {
        bool busy;
        pfn_t frame;
        if (MiIsFlushable(os, s->BasePte + i * PTE_SIZE, &frame, &busy)) {
            struct os_io io;
            MiGatherFlush(os, s, i, end, &io);
            status = MiSynchronousPageWrite(os, area, &io);
            i += io.pages;
        } else if (busy) { /* the mapped page writer has it: what it writes is what is asked for, or it is dirty again
                            */
            KeWaitForSingleObject(os, MiControlAreaEvent(area));
        } else {
            i++;
        }
    }
    return status;
}

static uint32_t MiPageWithin(const struct subsection *s, uint64_t offset) {
    uint64_t page = offset <= s->ViewOffset ? 0 : (offset - s->ViewOffset) >> PAGE_SHIFT;
    return page < s->PtesInSubsection ? (uint32_t)page : s->PtesInSubsection;
}

/* Dirty pages of the section between two offsets, page borders. */
static ntstatus_t MiFlushRange(struct os *os, struct control_area *area, uint64_t start, uint64_t end) {
    ntstatus_t status = STATUS_SUCCESS;
    area->FlushCount++;
    MiWriteControlArea(os, area);
    for (const struct subsection *s = area->Subsections; s && NT_SUCCESS(status); s = s->Next) {
        if (!s->BasePte) { continue; }
        status = MiFlushSubsection(os, area, s, MiPageWithin(s, start), MiPageWithin(s, end));
    }
    area->FlushCount--;
    MiWriteControlArea(os, area);
    return status;
}

ntstatus_t MiFlushControlArea(struct os *os, struct control_area *area) {
    return MiFlushRange(os, area, 0, UINT64_MAX - PAGE_SIZE);
}

/* ---- services ---- */

/* Takes the dirty bit out of a valid PTE into the PFN entry. The processor must ask for it again. */
static void MiTakeDirtyBit(struct os *os, va_t va, va_t pte_va, pte_t pte) {
    if (!(pte & PTE_DIRTY)) { return; }
    MiCaptureDirty(os, pte_frame(pte), pte);
    MiWritePte(os, pte_va, pte & ~(pte_t)PTE_DIRTY);
    MI_MUTANT(109, MiFlushSingleTb(os, va), (void)0);
}

/* Of the caller's own PTEs; other processes' come when they lose theirs. Private copies are not the file's. */
static void MiTakeDirtyBits(struct os *os, va_t start, va_t end) {
    for (va_t va = start; va <= end; va += PAGE_SIZE) {
        if (!(MiReadPte(os, MiGetPdeAddress(va)) & PTE_VALID)) { continue; }
        pte_t pte = MiReadPte(os, MiGetPteAddress(va));
        if ((pte & PTE_VALID) && (MiReadPfn(os, pte_frame(pte)).Flags & PFN_PROTOTYPE)) {
            MiTakeDirtyBit(os, va, MiGetPteAddress(va), pte);
        }
    }
}

/* In the process's context. Size 0: to the view's end. *io_status: how the last write ended. */
ntstatus_t NtFlushVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size,
                                ntstatus_t *io_status) {
    *io_status = STATUS_SUCCESS;
    if (process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    va_t start = page_of(*base), end = ((va_t)*base + *size - 1) | PAGE_MASK;
    const struct mmvad *vad = MiLocateAddress(process, start);
    if (!vad || !vad->ControlArea) { return STATUS_NOT_MAPPED_VIEW; }
    if (*size == 0) { end = vad->EndingAddress; }
    if (end > vad->EndingAddress) { return STATUS_NOT_MAPPED_VIEW; }
    if (vad->ImageMap || !vad->ControlArea->File) { return STATUS_NOT_MAPPED_DATA; }
    struct control_area *area = vad->ControlArea;
    uint64_t offset = vad->SectionOffset + (start - vad->StartingAddress);
    MiTakeDirtyBits(os, start, end);
    *io_status = MiFlushRange(os, area, offset, offset + (end + 1 - start));
    MiDereferenceControlArea(os, area); /* the view may have gone meanwhile */
    *base = (uint32_t)start;
    *size = (uint32_t)(end + 1 - start);
    return *io_status;
}

void MmSetAddressRangeModified(struct os *os, va_t start, va_t size) {
    va_t end = start + size < UINT32_MAX ? start + size : UINT32_MAX;
    for (va_t va = page_of(start), next; size && va < end; va = next) {
        pte_t pde = MiReadPte(os, MiGetPdeAddress(va));
        bool table = (pde & PTE_VALID) && !(pde & PTE_LARGE);
        next = table ? va + PAGE_SIZE : (va | (MM_PAGE_TABLE_SPAN - 1)) + 1;
        if (!table) { continue; }
        pte_t pte = MiReadPte(os, MiGetPteAddress(va));
        if (!(pte & PTE_VALID)) { continue; }
        MiCaptureDirty(os, pte_frame(pte), pte | PTE_DIRTY);
        MiTakeDirtyBit(os, va, MiGetPteAddress(va), pte);
    }
}
