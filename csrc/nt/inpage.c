/* Pages on their way in: PAGE_SUPPORT_BLOCK (NT-44), IoPageRead and its completion (NT-43, NT-52), collided faults
 * (NT-59). A block lies in nonpaged pool; the frames of its transfer are in transition with R set and name it in u1.
 *
 * Whoever waits for a read forgets everything but the block it holds a reference of: the first to wake up takes R off
 * all frames of the transfer, and each looks again at the PTE it came for. */
#include "mi.h"

#include <stddef.h>

#define TAG_SUPPORT_BLOCK      0x6C427350u /* "PsBl" */
#define DISPATCHER_EVENT_SIZE  4u          /* in longwords */
#define NO_PFN                 0xFFFFFFFFu
#define BLOCK_FIELD(b, member) ((b) + offsetof(struct page_support_block, member))

struct page_support_block {
    uint32_t EventHeader; /* notification event: type 0, size in the third byte */
    uint32_t SignalState;
    uint32_t WaitListFlink, WaitListBlink;
    uint32_t Status, Information;
    uint32_t OffsetLow, OffsetHigh;
    uint32_t WaitCount; /* references: who started the read, and who waits besides */
    uint32_t Thread, FileObject, PteAddress;
    uint32_t Pfn; /* NO_PFN: no page is waited for, all go to Standby */
    uint32_t MdlNext;
    uint16_t MdlSize, MdlFlags; /* MDL_PAGES_LOCKED: nobody has taken R off the frames yet */
    uint32_t MdlProcess, MdlMappedVa, MdlStartVa, MdlByteCount, MdlByteOffset;
    uint32_t Frame[OS_IO_PAGES_MAX];
    uint32_t NextFree, ListCount;
};
static_assert(sizeof(struct page_support_block) == PAGE_SUPPORT_BLOCK_SIZE, "NT-44");
static_assert(offsetof(struct page_support_block, WaitCount) == 0x20, "NT-44");
static_assert(offsetof(struct page_support_block, Pfn) == 0x30, "NT-44");
static_assert(offsetof(struct page_support_block, Frame) == 0x50, "NT-44");
static_assert(offsetof(struct page_support_block, NextFree) == 0x90, "NT-44");

static struct page_support_block MiReadBlock(struct os *os, va_t block) {
    struct page_support_block b;
    os->M->ops->read(os->M, block, &b, sizeof b);
    return b;
}

static unsigned MiBlockPages(const struct page_support_block *b) { return b->MdlByteCount >> PAGE_SHIFT; }

/* ---- MmInPageSupportList ---- */

va_t MiGetInPageSupportBlock(struct os *os) {
    va_t block = os->MmInPageSupportFirst;
    if (block == 0) { return ExAllocatePool(os, false, PAGE_SUPPORT_BLOCK_SIZE, TAG_SUPPORT_BLOCK); }
    os->MmInPageSupportFirst = MiRead32(os, BLOCK_FIELD(block, NextFree));
    os->MmInPageSupportCount--;
    return block;
}

static void MiFreeBlock(struct os *os, va_t block) {
    MiWrite32(os, BLOCK_FIELD(block, NextFree), os->MmInPageSupportFirst);
    os->MmInPageSupportFirst = (uint32_t)block;
    os->MmInPageSupportCount++;
}

static void MiDereferenceBlock(struct os *os, va_t block) {
    uint32_t count = MiRead32(os, BLOCK_FIELD(block, WaitCount));
    if (count == 0) { MiAssert(os, "a free page support block is dereferenced"); }
    MiWrite32(os, BLOCK_FIELD(block, WaitCount), count - 1);
    if (MI_MUTANT(182, count == 1, false)) { MiFreeBlock(os, block); }
}

/* ---- starting ---- */

static bool MiIsUserPte(va_t pte_va) { /* of a user page or of a page table */
    va_t va = MiGetVirtualAddressMappedByPte(pte_va);
    return va < MM_SYSTEM_RANGE_START || (va >= PTE_BASE && va < MM_HYPER_BASE);
}

/* Row P05: no mapping yet, one reference by the read, the PTE in transition with U but without W. */
static pfn_t MiInitializeReadInProgressPfn(struct os *os, const struct mmread *read, unsigned page, va_t block) {
    va_t pte_va = read->PteAddress[page];
    pte_t original = MiReadPte(os, pte_va);
    pfn_t frame = MiRemoveAnyPage(os, read->Colour + page),
          containing = pte_frame(MiReadPte(os, MiGetPteAddress(pte_va)));
    uint16_t prototype = read->Prototype ? PFN_PROTOTYPE : 0;
    struct mmpfn pfn = {.u1 = (uint32_t)block,
                        .PteAddress = (uint32_t)pte_va,
                        .Flags = (uint16_t)(TransitionPage << PFN_LOCATION_SHIFT | PFN_READ_IN_PROGRESS | prototype),
                        .ReferenceCount = 1,
                        .OriginalPte = (mmpte_t)original,
                        .ContainingFrame = (uint32_t)containing};
    MiWritePfn(os, frame, &pfn);
    pte_t owner = !read->Prototype && MiIsUserPte(pte_va) ? PTE_OWNER : 0;
    MiWritePte(os, pte_va,
               pte_with_protection(frame << PTE_FRAME_SHIFT | PTE_TRANSITION | owner, pte_protection(original)));
    MiIncrementShareCount(os, containing);
    if (read->Area) { MiChangePfnReference(os, read->Area, 1); }
    return frame;
}

bool MiBuildInPageRead(struct os *os, struct mmread *read) {
    if (read->Block == 0) { return false; } /* no nonpaged pool */
    if (!MiFramesAvailable(os, read->Count)) {
        MiFreeBlock(os, read->Block);
        return false;
    }
    const struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    struct page_support_block b = {
        .EventHeader = DISPATCHER_EVENT_SIZE << 16,
        .WaitListFlink = (uint32_t)BLOCK_FIELD(read->Block, WaitListFlink),
        .WaitListBlink = (uint32_t)BLOCK_FIELD(read->Block, WaitListFlink),
        .OffsetLow = (uint32_t)read->Offset,
        .OffsetHigh = (uint32_t)(read->Offset >> 32),
        .WaitCount = 1,
        .Thread = thread ? thread->Address : 0,
        .FileObject = read->FileObject,
        .PteAddress = (uint32_t)(read->Faulting < read->Count ? read->PteAddress[read->Faulting] : 0),
        .Pfn = NO_PFN,
        .MdlSize = (uint16_t)(MDL_ARRAY + read->Count * sizeof(uint32_t)),
        .MdlFlags = MDL_PAGES_LOCKED | MDL_IO_PAGE_READ,
        .MdlByteCount = read->Count << PAGE_SHIFT,
    };
    for (unsigned i = 0; i < read->Count; i++) {
        b.Frame[i] = (uint32_t)MiInitializeReadInProgressPfn(os, read, i, read->Block);
    }
    if (read->Faulting < read->Count) { b.Pfn = b.Frame[read->Faulting]; }
    os->M->ops->write(os->M, read->Block, &b, sizeof b);
    return true;
}

/* Completion of a page read: the status is stored and the event set; no APC (NT-43). */
static void MiPageReadComplete(struct os *os, void *context, ntstatus_t status) {
    va_t block = *(const va_t *)context;
    struct page_support_block b = MiReadBlock(os, block);
    b.Status = status;
    b.Information = NT_SUCCESS(status) ? b.MdlByteCount : 0;
    b.SignalState = 1;
    os->M->ops->write(os->M, block, &b, sizeof b);
    os->M->ops->signal(os->M, block);
    MiFreeHost(context);
}

void IoPageRead(struct os *os, const struct mmread *read) {
    struct page_support_block b = MiReadBlock(os, read->Block);
    struct os_io io = {
        .file = read->File, .offset = read->Offset, .pages = read->Count, .valid_bytes = read->ValidBytes};
    for (unsigned i = 0; i < read->Count; i++) { io.frame[i] = b.Frame[i]; }
    os->MmInfoCounters.PageReadIoCount++;
    os->MmInfoCounters.PageReadCount += read->Count;
    va_t *context = MiAllocateHost(os, sizeof *context);
    *context = read->Block;
    MiStartTransfer(os, &io, MiPageReadComplete, context);
}

/* ---- waiting ---- */

/* The first who finds the event set: R off; pages that nobody in particular waits for go where they belong (P07, P09,
 * P10). The page of the fault keeps the read's reference. */
static void MiFinishRead(struct os *os, va_t block) {
    struct page_support_block b = MiReadBlock(os, block);
    if (!(b.MdlFlags & MDL_PAGES_LOCKED)) { return; }
    if (MiBlockPages(&b) > OS_IO_PAGES_MAX) { MiAssert(os, "a page support block has more pages than it can hold"); }
    MiWrite16(os, BLOCK_FIELD(block, MdlFlags), b.MdlFlags & (uint16_t)~MDL_PAGES_LOCKED);
    for (unsigned i = 0; i < MiBlockPages(&b); i++) {
        struct mmpfn pfn = MiReadPfn(os, b.Frame[i]);
        pfn.Flags &= (uint16_t)~PFN_READ_IN_PROGRESS;
        pfn.u1 = 0;
        if (!NT_SUCCESS(b.Status)) {
            pfn.Flags |= PFN_IN_PAGE_ERROR;
            pfn.u1 = b.Status;
        }
        MiWritePfn(os, b.Frame[i], &pfn);
        if (MI_MUTANT(139, b.Frame[i] != b.Pfn, false)) { MiDecrementReferenceCount(os, b.Frame[i]); }
    }
}

ntstatus_t MiWaitForInPageComplete(struct os *os, va_t block) {
    os->M->ops->disk_poll(os->M, false);
    while (MiRead32(os, BLOCK_FIELD(block, SignalState)) == 0) { KeWaitForSingleObject(os, block); }
    MiFinishRead(os, block);
    ntstatus_t status = MiRead32(os, BLOCK_FIELD(block, Status));
    MiDereferenceBlock(os, block);
    return status;
}

ntstatus_t MiWaitForReadInProgress(struct os *os, pfn_t frame, ntstatus_t *io_status) {
    va_t block = MiReadPfn(os, frame).u1;
    MiWrite32(os, BLOCK_FIELD(block, WaitCount), MiRead32(os, BLOCK_FIELD(block, WaitCount)) + 1);
    MiIncrementReferenceCount(os, frame);
    *io_status = MiWaitForInPageComplete(os, block);
    if (MiReadPfn(os, frame).Flags & PFN_READ_IN_PROGRESS) { MiAssert(os, "a read has ended, but not for its page"); }
    MiDecrementReferenceCount(os, frame);
    return NT_SUCCESS(*io_status) || *io_status == STATUS_INSUFFICIENT_RESOURCES ? MI_REFAULT : STATUS_IN_PAGE_ERROR;
}

/* ---- the page of the fault, NT-52 ---- */

bool MiPageIsAsReadLeftIt(struct os *os, va_t pte_va, pfn_t frame, pte_t transition) {
    return MI_MUTANT(162, MiReadPfn(os, frame).PteAddress == pte_va && MiReadPte(os, pte_va) == transition, true);
}

/* Row P06. */
static ntstatus_t MiCompletePrivateRead(struct os *os, struct mmfault *fault, pfn_t frame) {
    MiMakeTransitionPageValid(os, fault, frame);
    fault->Kind = FAULT_PAGE_FILE;
    return STATUS_PAGE_FAULT_PAGING_FILE;
}

ntstatus_t MiReadPageOfFault(struct os *os, struct mmfault *fault) {
    const struct mmread *read = &fault->Read;
    va_t pte_va = read->PteAddress[read->Faulting];
    pte_t transition = MiReadPte(os, pte_va);
    pfn_t frame = pte_frame(transition);
    IoPageRead(os, read);
    ntstatus_t status = MiWaitForInPageComplete(os, read->Block);
    if (!NT_SUCCESS(status)) { /* case (1): the last reference puts OriginalPte back and frees the frame */
        fault->IoStatus = status;
        MiDecrementReferenceCount(os, frame);
        return STATUS_IN_PAGE_ERROR;
    }
    if (read->Prototype) { return MiCompleteProtoRead(os, fault, frame, transition); }
    if (!MiPageIsAsReadLeftIt(os, pte_va, frame, transition)) {
        MiDecrementReferenceCount(os, frame); /* case (2), P10 */
        return MI_REFAULT;
    }
    return MiCompletePrivateRead(os, fault, frame);
}

/* ---- NT-55 ---- */

static bool MiContinuesRun(pte_t first, pte_t pte, unsigned distance) {
    return pte_form(pte) == PTE_FORM_PAGE_FILE &&
           pte == pte_page_file(pte_page_file_number(first), pte_page_file_offset(first) + distance,
                                pte_protection(first));
}

bool MiFramesForCluster(const struct os *os, unsigned pages) {
    return MiFramesAvailable(os, pages + MM_READ_SPARE_FRAMES);
}

/* The slots behind the page's own that the PTEs behind its own name, up to limit. NT4 reads one page. */
static void MiExtendPageFileRead(struct os *os, struct mmread *read, pte_t pte, va_t limit) {
    const struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    bool single = os->Config.profile == OS_NT4 || (thread && thread->DisablePageFaultClustering);
    va_t at = read->PteAddress[0] + PTE_SIZE;
    while (!single && at < limit && read->Count <= MM_READ_CLUSTER_SIZE && MiFramesForCluster(os, read->Count + 1) &&
           MiContinuesRun(pte, MiReadPte(os, at), read->Count)) {
        read->PteAddress[read->Count++] = at;
        at += PTE_SIZE;
    }
}

void MiDescribePageFileRead(struct os *os, pte_t first, struct mmread *read) {
    unsigned number = pte_page_file_number(first);
    read->File = os_paging_file(number);
    read->Offset = (uint64_t)(pte_page_file_offset(first) ^ MI_MUTANT(151, 0u, 1u)) << PAGE_SHIFT;
    read->ValidBytes = (uint64_t)read->Count << PAGE_SHIFT;
    read->FileObject = MiPagingFileField(os, number, PAGING_FILE_OBJECT);
    read->Block = MiGetInPageSupportBlock(os);
}

ntstatus_t MiResolvePageFileFault(struct os *os, struct mmfault *fault, va_t pte_va, va_t limit,
                                  struct control_area *area) {
    pte_t pte = MiReadPte(os, pte_va);
    if (!MiPageFileSlotInUse(os, pte)) {
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, pte_va, pte, pte_page_file_number(pte));
    }
    if (MiSimulateNoFrame(os, fault)) { return MI_WAIT_FOR_PAGE; }
    struct mmread *read = &fault->Read;
    *read = (struct mmread){.Prototype = fault->PointerPte != pte_va,
                            .Area = area,
                            .Colour = MiPageColor(os, fault->Va),
                            .Count = 1,
                            .PteAddress = {pte_va}};
    va_t page_end = page_of(pte_va) + PAGE_SIZE;
    MiExtendPageFileRead(os, read, pte, limit < page_end ? limit : page_end);
    MiDescribePageFileRead(os, pte, read);
    return MiBuildInPageRead(os, read) ? MI_ISSUE_READ : MI_WAIT_FOR_PAGE;
}
