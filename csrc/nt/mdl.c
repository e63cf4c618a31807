/* Memory descriptor lists: locking and unlocking the pages of a buffer (NT-86, NT-87). An MDL is a block of nonpaged
 * pool in its NT layout; the trace's id leads to it. It outlives its unlocking, so that unlocking twice can be seen. */
#include "mi.h"

#include <stdlib.h>

#define POOL_TAG_MDL 0x206C644Du /* "Mdl " */

struct mmmdl {
    struct mmmdl *Next;
    uint32_t Id;
    va_t Address;
    struct eprocess *Process; /* whose locked pages it counts among; NULL: system buffer */
    uint32_t Pages;
    bool Locked;
    uint32_t *Frames; /* what the simulated array holds, for audits that must not disturb the machine */
};
#define MDL_MAXIMUM_PAGES ((0xFFFFu - MDL_ARRAY) / 4) /* Size has 16 bits */

static struct mmmdl **MiFindMdl(struct os *os, uint32_t id) {
    struct mmmdl **link = &os->Mdls;
    while (*link != NULL && (*link)->Id != id) { link = &(*link)->Next; }
    return link;
}

static uint16_t MiMdlFlags(struct os *os, const struct mmmdl *mdl) { return MiRead16(os, mdl->Address + MDL_FLAGS); }

static pfn_t MiMdlFrame(struct os *os, const struct mmmdl *mdl, uint32_t index) {
    return MiRead32(os, mdl->Address + MDL_ARRAY + 4 * (va_t)index);
}

static uint32_t MiSpannedPages(va_t base, va_t length) {
    return (uint32_t)(((base & PAGE_MASK) + length + PAGE_MASK) >> PAGE_SHIFT);
}

static struct mmmdl *MmCreateMdl(struct os *os, uint32_t id, va_t base, uint32_t length) {
    uint32_t pages = MiSpannedPages(base, length);
    uint32_t bytes = MDL_ARRAY + 4 * pages;
    va_t address = ExAllocatePool(os, false, bytes, POOL_TAG_MDL);
    if (address == 0) { return NULL; }
    struct mmmdl *mdl = MiAllocateHost(os, sizeof(*mdl));
    *mdl = (struct mmmdl){.Next = os->Mdls, .Id = id, .Address = address, .Pages = pages};
    mdl->Frames = MiAllocateHost(os, pages * sizeof(*mdl->Frames));
    os->Mdls = mdl;
    MiWrite32(os, address + MDL_NEXT, 0);
    MiWrite16(os, address + MDL_SIZE, (uint16_t)bytes);
    MiWrite16(os, address + MDL_FLAGS, 0);
    MiWrite32(os, address + MDL_PROCESS, 0);
    MiWrite32(os, address + MDL_MAPPED_VA, 0);
    MiWrite32(os, address + MDL_START_VA, (uint32_t)page_of(base));
    MiWrite32(os, address + MDL_BYTE_COUNT, length);
    MiWrite32(os, address + MDL_BYTE_OFFSET, (uint32_t)(base & PAGE_MASK));
    return mdl;
}

static void MiFreeMdl(struct os *os, struct mmmdl **link) {
    struct mmmdl *mdl = *link;
    *link = mdl->Next;
    ExFreePool(os, mdl->Address);
    free(mdl->Frames);
    free(mdl);
}

static bool MiPageIsReady(struct os *os, va_t va, bool write) {
    pte_t pde = MiReadPte(os, MiGetPdeAddress(va));
    if ((pde & PTE_VALID) == 0 || (pde & PTE_LARGE) != 0) {
        return (pde & PTE_VALID) != 0 && (!write || (pde & PTE_WRITE) != 0);
    }
    pte_t pte = MiReadPte(os, MiGetPteAddress(va));
    return (pte & PTE_VALID) != 0 && (!write || (pte & PTE_WRITE) != 0);
}

/* Faults the page in until an access of this kind would not fault; then takes a reference on its frame. */
static ntstatus_t MiLockPage(struct os *os, struct mmmdl *mdl, uint32_t index, va_t va, bool write) {
    bool user = va < MM_SYSTEM_RANGE_START;
    while (!MiPageIsReady(os, va, write)) {
        ntstatus_t status = MmAccessFault(os, write, va, user);
        if (!NT_SUCCESS(status)) { return status; }
    }
    pfn_t frame = MmGetPhysicalAddress(os, va) >> PAGE_SHIFT;
    if (user) { MiCaptureDirty(os, frame, MiReadPte(os, MiGetPteAddress(va))); }
    MiWrite32(os, mdl->Address + MDL_ARRAY + 4 * (va_t)index, (uint32_t)frame);
    mdl->Frames[index] = (uint32_t)frame;
    if (frame > os->MmHighestPhysicalPage) {
        MiWrite16(os, mdl->Address + MDL_FLAGS, MiMdlFlags(os, mdl) | MDL_IO_SPACE);
        return STATUS_SUCCESS;
    }
    MiIncrementReferenceCount(os, frame);
    return STATUS_SUCCESS;
}

static void MiUnlockFrame(struct os *os, pfn_t frame, bool write) {
    if (frame > os->MmHighestPhysicalPage) { return; }
    struct mmpfn pfn = MiReadPfn(os, frame);
    uint32_t own = pfn_location(&pfn) == ActiveAndValid && pfn.u2 != 0; /* the reference of "ShareCount > 0" */
    if (pfn.ReferenceCount <= own) { KeBugCheckEx(os, BUGCHECK_PFN_LIST_CORRUPT, 7, frame, pfn.u2, 0); }
    if (write) { MiCaptureDirty(os, frame, PTE_VALID | PTE_DIRTY); }
    MiDecrementReferenceCount(os, frame);
}

static ntstatus_t MmProbeAndLockPages(struct os *os, struct mmmdl *mdl, va_t base, va_t size, bool write) {
    va_t last = base + size - 1;
    bool user = base < MM_SYSTEM_RANGE_START;
    if ((user && last > MM_HIGHEST_USER_ADDRESS) || last > UINT32_MAX) { return STATUS_ACCESS_VIOLATION; }
    for (uint32_t index = 0; index < mdl->Pages; index++) {
        va_t va = index == 0 ? base : page_of(base) + index * PAGE_SIZE;
        ntstatus_t status = MiLockPage(os, mdl, index, va, write);
        if (status != STATUS_SUCCESS) {
            while (index-- > 0) { MiUnlockFrame(os, MiMdlFrame(os, mdl, index), false); }
            return status;
        }
    }
    if (user) {
        mdl->Process = PsGetCurrentProcess(os);
        mdl->Process->NumberOfLockedPages += mdl->Pages;
        MiWrite32(os, mdl->Address + MDL_PROCESS, mdl->Process->Address);
    }
    mdl->Locked = true;
    MiWrite16(os, mdl->Address + MDL_FLAGS, MiMdlFlags(os, mdl) | MDL_PAGES_LOCKED | (write ? MDL_WRITE_OPERATION : 0));
    return STATUS_SUCCESS;
}

static void MmUnlockPages(struct os *os, struct mmmdl *mdl) {
    uint16_t flags = MiMdlFlags(os, mdl);
    for (uint32_t index = 0; index < mdl->Pages; index++) {
        MiUnlockFrame(os, MiMdlFrame(os, mdl, index), (flags & MDL_WRITE_OPERATION) != 0);
    }
    if (mdl->Process != NULL) {
        mdl->Process->NumberOfLockedPages -= mdl->Pages;
        mdl->Process = NULL;
    }
    mdl->Locked = false;
    MiWrite16(os, mdl->Address + MDL_FLAGS, flags & (uint16_t) ~(MDL_PAGES_LOCKED | MDL_WRITE_OPERATION));
}

static struct os_service_result MiLockMdl(struct os *os, const struct event *event) {
    struct mmmdl **old = MiFindMdl(os, event->mdl.id);
    if (*old != NULL) {
        if (MiMdlFlags(os, *old) & MDL_PAGES_LOCKED) {
            return (struct os_service_result){.status = STATUS_INVALID_PARAMETER};
        }
        MiFreeMdl(os, old);
    }
    if (event->mdl.size == 0 || MiSpannedPages(event->mdl.base, event->mdl.size) > MDL_MAXIMUM_PAGES) {
        return (struct os_service_result){.status = STATUS_INVALID_PARAMETER};
    }
    struct mmmdl *mdl = MmCreateMdl(os, event->mdl.id, event->mdl.base, (uint32_t)event->mdl.size);
    if (mdl == NULL) { return (struct os_service_result){.status = STATUS_INSUFFICIENT_RESOURCES}; }
    ntstatus_t status = MmProbeAndLockPages(os, mdl, event->mdl.base, event->mdl.size, event->mdl.write);
    if (status != STATUS_SUCCESS) { MiFreeMdl(os, MiFindMdl(os, event->mdl.id)); }
    return (struct os_service_result){.status = status};
}

struct os_service_result MiServiceMdl(struct os *os, const struct event *event) {
    if (event->kind == EV_MDL_LOCK) { return MiLockMdl(os, event); }
    if (event->kind != EV_MDL_UNLOCK) { MiAssert(os, "mapping an MDL is not in this version"); }
    struct mmmdl *mdl = *MiFindMdl(os, event->mdl.id);
    if (mdl == NULL) { return (struct os_service_result){.status = STATUS_INVALID_PARAMETER}; }
    MmUnlockPages(os, mdl);
    return (struct os_service_result){.status = STATUS_SUCCESS};
}

uint32_t MiMdlLocksOfFrame(const struct os *os, pfn_t frame) {
    uint32_t locks = 0;
    for (const struct mmmdl *mdl = os->Mdls; mdl != NULL; mdl = mdl->Next) {
        for (uint32_t index = 0; mdl->Locked && index < mdl->Pages; index++) { locks += mdl->Frames[index] == frame; }
    }
    return locks;
}

void MiFreeMdls(struct os *os) {
    while (os->Mdls != NULL) {
        struct mmmdl *mdl = os->Mdls;
        os->Mdls = mdl->Next;
        free(mdl->Frames);
        free(mdl);
    }
}
