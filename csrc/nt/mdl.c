/* Memory descriptor lists: making them, locking and unlocking the pages of a buffer (NT-86, NT-87). */
#include "mdl.h"

#define POOL_TAG_MDL 0x206C644Du /* "Mdl " */

/* ---- NT-86 ---- */

static uint32_t MiSpannedPages(va_t base, va_t length) {
    return (uint32_t)(((base & PAGE_MASK) + length + PAGE_MASK) >> PAGE_SHIFT);
}

uint32_t MmSizeOfMdl(va_t base, va_t length) { return MDL_ARRAY + 4 * MiSpannedPages(base, length); }

struct mmmdl *MiLookupMdl(struct os *os, uint32_t address_or_id) {
    struct mmmdl *mdl = os->Mdls;
    while (mdl && mdl->Address != address_or_id && (mdl->Id == 0 || mdl->Id != address_or_id)) { mdl = mdl->Next; }
    return mdl;
}

struct mmmdl *MiBeginMdlCall(struct os *os, uint32_t address_or_id) {
    struct mmmdl *mdl = MiLookupMdl(os, address_or_id);
    if (mdl == NULL || mdl->InUse) { return NULL; }
    mdl->InUse = true;
    return mdl;
}

void MiEndMdlCall(struct os *os, va_t address) {
    for (struct mmmdl *mdl = os->Mdls; mdl; mdl = mdl->Next) {
        if (mdl->Address == address) { mdl->InUse = false; }
    }
}

struct mmmdl *MmCreateMdl(struct os *os, va_t memory, va_t base, va_t length) {
    uint32_t pages = MiSpannedPages(base, length), bytes = MmSizeOfMdl(base, length);
    va_t address = memory ? memory : ExAllocatePool(os, NonPagedPool, bytes, POOL_TAG_MDL);
    if (address == 0) { return NULL; }
    struct mmmdl *mdl = MiAllocateHost(os, sizeof(*mdl));
    *mdl = (struct mmmdl){.Address = address, .Allocated = memory == 0, .Capacity = pages, .Pages = pages};
    mdl->Frames = MiAllocateHost(os, (pages + 1) * sizeof(*mdl->Frames));
    MiWrite32(os, address + MDL_NEXT, 0);
    MiWrite16(os, address + MDL_SIZE, (uint16_t)bytes);
    MiWrite16(os, address + MDL_FLAGS, 0);
    MiWrite32(os, address + MDL_PROCESS, 0);
    MiWrite32(os, address + MDL_MAPPED_VA, 0);
    MiWrite32(os, address + MDL_START_VA, (uint32_t)page_of(base));
    MiWrite32(os, address + MDL_BYTE_COUNT, (uint32_t)length);
    MiWrite32(os, address + MDL_BYTE_OFFSET, (uint32_t)(base & PAGE_MASK));
    struct mmmdl *old = MiLookupMdl(os, (uint32_t)address); /* the memory of a list is used for another */
    if (old && old->InUse) { MiAssert(os, "a memory descriptor list is made over one that is in use"); }
    if (old) { IoFreeMdl(os, old); }
    mdl->Next = os->Mdls; /* known last: the caller's memory may have been waited for */
    os->Mdls = mdl;
    return mdl;
}

void IoFreeMdl(struct os *os, struct mmmdl *mdl) {
    struct mmmdl **link = &os->Mdls;
    while (*link != mdl) { link = &(*link)->Next; }
    *link = mdl->Next;
    if (mdl->Allocated) { ExFreePool(os, mdl->Address); }
    MiFreeHost(mdl->Frames);
    MiFreeHost(mdl);
}

void MiSetMdlFrame(struct os *os, struct mmmdl *mdl, uint32_t index, pfn_t frame) {
    MiWrite32(os, mdl->Address + MDL_ARRAY + 4 * (va_t)index, (uint32_t)frame);
    mdl->Frames[index] = (uint32_t)frame;
}

/* ---- NT-87 ---- */

static bool MiPageIsReady(struct os *os, va_t va, bool write) {
    pte_t pde = MiReadPte(os, MiGetPdeAddress(va));
    if ((pde & PTE_VALID) == 0 || (pde & PTE_LARGE) != 0) {
        return (pde & PTE_VALID) != 0 && (!write || (pde & PTE_WRITE) != 0);
    }
    pte_t pte = MiReadPte(os, MiGetPteAddress(va));
    return (pte & PTE_VALID) != 0 && (!write || (pte & PTE_WRITE) != 0);
}

static ntstatus_t MiRaiseLockFailure(struct os *os, const struct mmfault *fault, ntstatus_t status) {
    uint64_t io_status = status == STATUS_IN_PAGE_ERROR ? fault->IoStatus : 0;
    return MiRaise(os, status, fault->Write, fault->Va, io_status);
}

/* Faults the page in until an access of this kind would not fault. *there: it would not have. */
static ntstatus_t MiBringPage(struct os *os, struct mmfault *fault, bool *there) {
    while (!MiPageIsReady(os, fault->Va, fault->Write)) {
        *there = false;
        ntstatus_t status = MiAccessFault(os, fault);
        if (status == MI_WAIT_FOR_PAGE) { /* the pages before this one stay locked: who gives them back wakes himself */
            MiWaitForFreePage(os);
        } else if (!NT_SUCCESS(status) && status != MI_REFAULT) {
            return status;
        }
    }
    return STATUS_SUCCESS;
}

/* Takes a reference on the page's frame (P27). The list, where the frame is written first, may have to be waited for. D
 * of a page that was there already is merged (NT-28). */
static ntstatus_t MiLockPage(struct os *os, struct mmmdl *mdl, uint32_t index, struct mmfault *fault) {
    bool there = true, same = false;
    pfn_t frame = 0;
    while (!same) {
        ntstatus_t status = MiBringPage(os, fault, &there);
        if (status != STATUS_SUCCESS) { return status; }
        frame = MmGetPhysicalAddress(os, fault->Va) >> PAGE_SHIFT;
        MiSetMdlFrame(os, mdl, index, frame);
        same = MiPageIsReady(os, fault->Va, fault->Write) && MmGetPhysicalAddress(os, fault->Va) >> PAGE_SHIFT == frame;
    }
    if (frame > os->MmHighestPhysicalPage) {
        MiSetMdlFlags(os, mdl, 0, MDL_IO_SPACE);
        return STATUS_SUCCESS;
    }
    if (fault->Va < MM_SYSTEM_RANGE_START && MI_MUTANT(121, there, false)) {
        pte_t pte = MiReadPte(os, MiGetPteAddress(fault->Va));
        MiCaptureDirty(os, frame, pte);
        if (MI_MUTANT(198, false, fault->Write)) {
            MiWrite32(os, MiGetPteAddress(fault->Va), (uint32_t)pte & ~PTE_DIRTY);
        }
    }
    MiIncrementReferenceCount(os, frame);
    return STATUS_SUCCESS;
}

/* P28 */
static void MiUnlockFrame(struct os *os, pfn_t frame, bool write) {
    if (frame > os->MmHighestPhysicalPage) { return; }
    struct mmpfn pfn = MiReadPfn(os, frame);
    uint32_t own = pfn_location(&pfn) == ActiveAndValid && pfn.u2 != 0; /* the reference of "ShareCount > 0" */
    if (pfn.ReferenceCount <= own) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 7, frame, pfn.u2, 0); }
    if (MI_MUTANT(122, write, false)) { MiCaptureDirty(os, frame, PTE_VALID | PTE_DIRTY); }
    MiDecrementReferenceCount(os, frame);
}

/* All at once: the list itself may have to be waited for, before. */
static void MiUnlockFrames(struct os *os, struct mmmdl *mdl, uint32_t count, bool write) {
    pfn_t *frames = MiAllocateHost(os, (count + 1) * sizeof *frames);
    for (uint32_t i = 0; i < count; i++) { frames[i] = MiMdlFrame(os, mdl, i); }
    for (uint32_t i = 0; i < count; i++) { MiUnlockFrame(os, frames[i], write); }
    MiFreeHost(frames);
    mdl->Locked = 0;
}

ntstatus_t MmProbeAndLockPages(struct os *os, struct mmmdl *mdl, bool user, bool write) {
    va_t start = MiRead32(os, mdl->Address + MDL_START_VA);
    va_t base = start + MiRead32(os, mdl->Address + MDL_BYTE_OFFSET);
    va_t last = base + MiRead32(os, mdl->Address + MDL_BYTE_COUNT) - 1;
    struct eprocess *process = base < MM_SYSTEM_RANGE_START ? PsGetCurrentProcess(os) : NULL;
    va_t end = start + ((va_t)mdl->Pages << PAGE_SHIFT) - 1; /* what it says of its length may have been written over */
    if ((user && last > MM_HIGHEST_USER_ADDRESS) || last > UINT32_MAX || end > UINT32_MAX) {
        return MiRaise(os, STATUS_ACCESS_VIOLATION, write, base, 0);
    }
    if (process &&
        process->NumberOfLockedPages + process->PagesBeingLocked + mdl->Pages > process->Vm.MaximumWorkingSet) {
        return MiRaise(os, STATUS_WORKING_SET_QUOTA, 0, 0, 0);
    }
    if (process) { process->PagesBeingLocked += mdl->Pages; }
    for (uint32_t index = 0; index < mdl->Pages; index++) {
        struct mmfault fault = {.Va = index ? start + index * PAGE_SIZE : base, .Write = write, .User = user};
        ntstatus_t status = MiLockPage(os, mdl, index, &fault);
        if (status != STATUS_SUCCESS) {
            MiUnlockFrames(os, mdl, index, false);
            if (process) { process->PagesBeingLocked -= mdl->Pages; }
            MiSetMdlFlags(os, mdl, MDL_IO_SPACE, 0);
            return MiRaiseLockFailure(os, &fault, status);
        }
        mdl->Locked = index + 1;
    }
    if (process) {
        mdl->Process = process;
        process->PagesBeingLocked -= mdl->Pages;
        process->NumberOfLockedPages += mdl->Pages;
        MiWrite32(os, mdl->Address + MDL_PROCESS, process->Address);
    }
    MiSetMdlFlags(os, mdl, 0, MDL_PAGES_LOCKED | (write ? MDL_WRITE_OPERATION : 0));
    return STATUS_SUCCESS;
}

/* The references of its frames may be another list's: it has none to give back. */
static void MiCheckLocked(struct os *os, const struct mmmdl *mdl) {
    if (mdl->Locked != 0) { return; }
    pfn_t frame = MiMdlFrame(os, mdl, 0);
    uint32_t share = frame > os->MmHighestPhysicalPage ? 0 : MiReadPfn(os, frame).u2;
    KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 7, frame, share, 0);
}

void MmUnlockPages(struct os *os, struct mmmdl *mdl) {
    MiCheckLocked(os, mdl);
    uint16_t flags = MiMdlFlags(os, mdl);
    if (flags & MDL_MAPPED_TO_SYSTEM_VA) { MmUnmapLockedPages(os, MiRead32(os, mdl->Address + MDL_MAPPED_VA), mdl); }
    if (mdl->UserProcess) { MmUnmapLockedPages(os, mdl->UserVa, mdl); }
    MiUnlockFrames(os, mdl, MI_MUTANT(140, mdl->Pages, mdl->Pages - 1), (flags & MDL_WRITE_OPERATION) != 0);
    if (mdl->Process != NULL) {
        mdl->Process->NumberOfLockedPages -= mdl->Pages - MI_MUTANT(145, 0, 1);
        mdl->Process = NULL;
    }
    MiSetMdlFlags(os, mdl, MDL_PAGES_LOCKED | MDL_WRITE_OPERATION, 0);
}

/* ---- events of a trace ---- */

typedef struct os_service_result result_t;

static result_t MiLockMdl(struct os *os, const struct event *event) {
    struct mmmdl *old = MiLookupMdl(os, event->mdl.id);
    if (old != NULL) {
        if (old->InUse || (MiMdlFlags(os, old) & MDL_PAGES_LOCKED)) {
            return (result_t){.status = STATUS_INVALID_PARAMETER};
        }
        IoFreeMdl(os, old);
    }
    va_t base = event->mdl.base, size = event->mdl.size;
    if (event->mdl.id == 0 || size == 0 || MiSpannedPages(base, size) > MDL_MAXIMUM_PAGES) {
        return (result_t){.status = STATUS_INVALID_PARAMETER};
    }
    struct mmmdl *mdl = MmCreateMdl(os, 0, base, size);
    if (mdl == NULL) { return (result_t){.status = STATUS_INSUFFICIENT_RESOURCES}; }
    mdl->Id = event->mdl.id;
    mdl->InUse = true;
    ntstatus_t status = MmProbeAndLockPages(os, mdl, base < MM_SYSTEM_RANGE_START, event->mdl.write);
    if (status != STATUS_SUCCESS) {
        IoFreeMdl(os, mdl);
        return (result_t){.status = status};
    }
    mdl->InUse = false;
    return (result_t){.status = status, .out = {mdl->Address, mdl->Pages}};
}

/* Address 0: the kernel chooses; otherwise it must have chosen this one. */
static result_t MiMapMdl(struct os *os, const struct event *event, struct mmmdl *mdl) {
    uint16_t flags = MiMdlFlags(os, mdl);
    if (!(flags & MDL_PAGES_LOCKED) || (flags & MDL_MAPPED_TO_SYSTEM_VA)) {
        return (result_t){.status = STATUS_INVALID_PARAMETER};
    }
    va_t va = MmMapLockedPages(os, mdl, false);
    if (event->mdl.base != 0 && event->mdl.base != va) {
        MmUnmapLockedPages(os, va, mdl);
        return (result_t){.status = STATUS_CONFLICTING_ADDRESSES, .out = {va, 0}};
    }
    return (result_t){.out = {va, 0}};
}

static result_t MiUseMdl(struct os *os, const struct event *event, struct mmmdl *mdl) {
    if (event->kind == EV_MDL_MAP) { return MiMapMdl(os, event, mdl); }
    if (event->kind == EV_MDL_UNLOCK) {
        MmUnlockPages(os, mdl);
        return (result_t){0};
    }
    if (!(MiMdlFlags(os, mdl) & MDL_MAPPED_TO_SYSTEM_VA)) { return (result_t){.status = STATUS_INVALID_PARAMETER}; }
    MmUnmapLockedPages(os, MiRead32(os, mdl->Address + MDL_MAPPED_VA), mdl);
    return (result_t){0};
}

struct os_service_result MiServiceMdl(struct os *os, const struct event *event) {
    if (event->kind == EV_MDL_LOCK) { return MiLockMdl(os, event); }
    struct mmmdl *mdl = MiBeginMdlCall(os, event->mdl.id);
    if (mdl == NULL) { return (result_t){.status = STATUS_INVALID_PARAMETER}; }
    va_t address = mdl->Address;
    result_t result = MiUseMdl(os, event, mdl);
    MiEndMdlCall(os, address);
    return result;
}

/* ---- ---- */

uint32_t MiMdlLocksOfFrame(const struct os *os, pfn_t frame) {
    uint32_t locks = 0;
    for (const struct mmmdl *mdl = os->Mdls; mdl != NULL; mdl = mdl->Next) {
        for (uint32_t index = 0; index < mdl->Locked; index++) { locks += mdl->Frames[index] == frame; }
    }
    return locks;
}

void MiFreeMdls(struct os *os) {
    while (os->Mdls != NULL) {
        struct mmmdl *mdl = os->Mdls;
        os->Mdls = mdl->Next;
        MiFreeHost(mdl->Frames);
        MiFreeHost(mdl);
    }
}
