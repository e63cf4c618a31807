/* Driver images: a nonpaged part, a section PAGE in the system working set, and a section INIT that goes once
 * DriverEntry has returned. NT-85. */
#include "exports.h"
#include "ntmmu/filedata.h"

#define DISPATCH_LEVEL     2u
#define SYSTEM_PTE_SPACE   0u
#define SECTION_NOT_LOCKED 0x1010u
#define LOAD_OBJECT        0xE0000003u /* what those who want MmSystemLoadLock wait for */

/* Pages of the image in order: nonpaged, PAGE, INIT. */
struct mi_driver {
    struct mi_driver *Next;
    uint32_t Id;
    va_t Base;
    uint32_t Nonpaged, Paged, Init; /* pages */
    bool InitFreed;
    bool PagingEnabled; /* PAGE is in the working set: loaded, and not locked */
    bool EntirePaged;   /* so is the nonpaged part: MmPageEntireDriver */
    uint32_t LockCount; /* of PAGE */
};

static uint32_t MiPagesOf(uint32_t bytes) { return (uint32_t)((bytes + PAGE_MASK) >> PAGE_SHIFT); }
static uint32_t MiDriverPages(const struct mi_driver *driver) {
    return driver->Nonpaged + driver->Paged + driver->Init;
}
static va_t MiPageSection(const struct mi_driver *driver) { return driver->Base + driver->Nonpaged * PAGE_SIZE; }
static va_t MiInitSection(const struct mi_driver *driver) { return MiPageSection(driver) + driver->Paged * PAGE_SIZE; }

static struct mi_driver *MiDriverOf(const struct os *os, va_t va) {
    struct mi_driver *driver = os->Drivers;
    while (driver && (va < driver->Base || va >= driver->Base + MiDriverPages(driver) * PAGE_SIZE)) {
        driver = driver->Next;
    }
    return driver;
}

static struct mi_driver *MiLookupDriver(const struct os *os, uint32_t id) {
    struct mi_driver *driver = os->Drivers;
    while (driver && driver->Id != id) { driver = driver->Next; }
    return driver;
}

bool MiIsPageableDriverAddress(const struct os *os, va_t va) {
    const struct mi_driver *driver = MiDriverOf(os, va);
    if (!driver || va >= MiInitSection(driver)) { return false; }
    return va >= MiPageSection(driver) ? driver->PagingEnabled : driver->EntirePaged;
}

/* ---- MmSystemLoadLock: over waits for the disk, so that nobody unloads what another loads, locks or pages ---- */

static void MiLockSystemLoad(struct os *os) {
    while (os->MmSystemLoadLock) { KeWaitForSingleObject(os, LOAD_OBJECT); }
    os->MmSystemLoadLock = true;
}

static void MiUnlockSystemLoad(struct os *os) {
    os->MmSystemLoadLock = false;
    os->M->ops->signal(os->M, LOAD_OBJECT);
}

/* ---- pages enter and leave the system working set ---- */

static void MiEnablePaging(struct os *os, va_t va, uint32_t pages) {
    for (va_t end = va + pages * PAGE_SIZE; va < end; va += PAGE_SIZE) {
        pfn_t frame = pte_frame(MiReadPte(os, MiGetPteAddress(va)));
        MiAddValidPageToWorkingSet(os, &os->MmSystemCacheWs, va, frame, false, 0);
    }
}

static void MiRemoveFromSystemWorkingSet(struct os *os, va_t va, pfn_t frame) {
    MiRemoveWsle(os, &os->MmSystemCacheWs, MiLocateWsle(os, &os->MmSystemCacheWs, va, frame));
    struct mmpfn pfn = MiReadPfn(os, frame);
    pfn.u1 = 0;
    MiWritePfn(os, frame, &pfn);
}

/* Each page is brought in and then belongs to no working set, so that nothing can trim it. A fault may wait, and others
 * may go meanwhile; one page is finished before the next. */
static void MiDisablePaging(struct os *os, va_t va, uint32_t pages) {
    for (va_t end = va + pages * PAGE_SIZE; va < end; va += PAGE_SIZE) {
        uint8_t byte;
        os->M->ops->read(os->M, va, &byte, sizeof byte);
        MiRemoveFromSystemWorkingSet(os, va, pte_frame(MiReadPte(os, MiGetPteAddress(va))));
    }
}

/* ---- lockable sections ---- */

static void MiReferenceSection(struct os *os, const struct mi_driver *driver, bool lock) {
    for (va_t va = MiPageSection(driver); va < MiInitSection(driver); va += PAGE_SIZE) {
        pfn_t frame = pte_frame(MiReadPte(os, MiGetPteAddress(va)));
        if (lock) {
            MiIncrementReferenceCount(os, frame);
        } else {
            MiDecrementReferenceCount(os, frame);
        }
    }
}

static void MiLockSection(struct os *os, struct mi_driver *driver) {
    if (driver->LockCount == 0) {
        MiDisablePaging(os, MiPageSection(driver), driver->Paged);
        driver->PagingEnabled = false;
        MiReferenceSection(os, driver, true);
    }
    driver->LockCount++;
}

static void MiUnlockSection(struct os *os, struct mi_driver *driver) {
    if (--driver->LockCount != 0) { return; }
    MiReferenceSection(os, driver, false);
    driver->PagingEnabled = true;
    MiEnablePaging(os, MiPageSection(driver), driver->Paged);
}

/* The handle is the section's address; 0: no pageable section there. */
static va_t MmLockPagableDataSection(struct os *os, va_t va) {
    struct mi_driver *driver = MiDriverOf(os, va);
    if (!driver || va < MiPageSection(driver) || va >= MiInitSection(driver)) { return 0; }
    MiLockSection(os, driver);
    return MiPageSection(driver);
}

static struct mi_driver *MiSectionByHandle(struct os *os, va_t handle) {
    struct mi_driver *driver = MiDriverOf(os, handle);
    bool known = driver && driver->Paged != 0 && handle == MiPageSection(driver);
    if (!known) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, SECTION_NOT_LOCKED, handle, 0, 0); }
    return driver;
}

static void MmLockPagableSectionByHandle(struct os *os, va_t handle) {
    MiLockSection(os, MiSectionByHandle(os, handle));
}

static void MmUnlockPagableImageSection(struct os *os, va_t handle) {
    struct mi_driver *driver = MiSectionByHandle(os, handle);
    if (driver->LockCount == 0) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, SECTION_NOT_LOCKED, handle, 0, 0); }
    MiUnlockSection(os, driver);
}

/* All of the image becomes pageable; the image's own attributes come back. Both give the base, 0: no driver there. */
static va_t MmPageEntireDriver(struct os *os, va_t va) {
    struct mi_driver *driver = MiDriverOf(os, va);
    if (!driver) { return 0; }
    if (!driver->EntirePaged) {
        driver->EntirePaged = true;
        MiEnablePaging(os, driver->Base, driver->Nonpaged);
    }
    return driver->Base;
}

static va_t MmResetDriverPaging(struct os *os, va_t va) {
    struct mi_driver *driver = MiDriverOf(os, va);
    if (!driver) { return 0; }
    if (driver->EntirePaged) {
        MiDisablePaging(os, driver->Base, driver->Nonpaged);
        driver->EntirePaged = false;
    }
    return driver->Base;
}

/* ---- loading and unloading ---- */

static void MiDeleteDriverPage(struct os *os, va_t va) {
    va_t pte_va = MiGetPteAddress(va);
    pte_t pte = MiReadPte(os, pte_va);
    pfn_t frame = pte_frame(pte);
    switch (pte_form(pte)) {
    case PTE_FORM_TRANSITION: MiDeleteTransitionPage(os, pte_va, frame); break;
    case PTE_FORM_PAGE_FILE: MiReleasePageFileSpace(os, pte); break;
    case PTE_FORM_VALID:
        MiCaptureDirty(os, frame, pte);
        if (MiIsPageableDriverAddress(os, va)) { MiRemoveFromSystemWorkingSet(os, va, frame); }
        MiDecrementShareCount(os, pte_frame(MiReadPte(os, MiGetPdeAddress(va))));
        MiSetPfnDeleted(os, frame);
        MiDecrementShareCount(os, frame);
        break;
    default: return; /* INIT that went before, or was never read */
    }
    MiWritePte(os, pte_va, 0);
    if (MI_MUTANT(187, (pte & PTE_VALID), false)) { MiFlushSingleTb(os, va); }
}

static void MiDeleteDriverPages(struct os *os, va_t va, uint32_t pages) {
    for (va_t end = va + pages * PAGE_SIZE; va < end; va += PAGE_SIZE) { MiDeleteDriverPage(os, va); }
}

static uint32_t MiChargedPages(const struct mi_driver *driver) {
    return MiDriverPages(driver) - (driver->InitFreed ? driver->Init : 0);
}

static void MiUnloadDriver(struct os *os, struct mi_driver *driver) {
    struct mi_driver **link = &os->Drivers;
    if (driver->LockCount != 0) { MiReferenceSection(os, driver, false); }
    MiDeleteDriverPages(os, driver->Base, MiDriverPages(driver));
    MiReleaseSystemPtes(os, MiGetPteAddress(driver->Base), MiDriverPages(driver), SYSTEM_PTE_SPACE);
    MiReturnCommitment(os, MiChargedPages(driver), NULL);
    while (*link != driver) { link = &(*link)->Next; }
    *link = driver->Next;
    MiFreeHost(driver);
}

static ntstatus_t MiReadDriver(struct os *os, const struct mi_driver *driver, uint64_t file) {
    ntstatus_t status = STATUS_SUCCESS;
    for (uint32_t page = 0; page < MiDriverPages(driver); page++) {
        va_t va = driver->Base + page * PAGE_SIZE;
        pfn_t frame = MiRemoveAnyPage(os, MiPageColor(os, va));
        MiMapKernelPage(os, MiGetPteAddress(va), frame, 0); /* what is read exists nowhere else: modified */
    }
    for (uint32_t page = 0; page < MiDriverPages(driver) && NT_SUCCESS(status); page++) {
        pfn_t frame = pte_frame(MiReadPte(os, MiGetPteAddress(driver->Base + page * PAGE_SIZE)));
        struct os_io io = {
            .file = file, .offset = (uint64_t)page * PAGE_SIZE, .pages = 1, .valid_bytes = PAGE_SIZE, .frame = {frame}};
        status = MiReadAndWait(os, &io);
    }
    return status;
}

static ntstatus_t MmLoadSystemImage(struct os *os, const struct mi_driver *image, const char *path, va_t *base) {
    uint32_t pages = MiDriverPages(image);
    if (pages == 0) { return STATUS_INVALID_IMAGE_FORMAT; }
    if (MiLookupDriver(os, image->Id)) { return STATUS_CONFLICTING_ADDRESSES; }
    ntstatus_t status = MiChargeFrames(os, pages);
    if (!NT_SUCCESS(status)) { return status == STATUS_NO_MEMORY ? STATUS_INSUFFICIENT_RESOURCES : status; }
    va_t pte = MiReserveSystemPtes(os, pages, SYSTEM_PTE_SPACE, 0, 0, false);
    if (pte == 0) {
        MiReturnCommitment(os, pages, NULL);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    struct mi_driver *driver = MiAllocateHost(os, sizeof *driver);
    *driver = *image;
    driver->Base = MiGetVirtualAddressMappedByPte(pte);
    driver->Next = os->Drivers;
    os->Drivers = driver;
    status = MiReadDriver(os, driver, file_identity(path));
    if (!NT_SUCCESS(status)) {
        MiUnloadDriver(os, driver);
        return status;
    }
    driver->PagingEnabled = true;
    MiEnablePaging(os, MiPageSection(driver), driver->Paged);
    *base = driver->Base;
    return STATUS_SUCCESS;
}

static struct os_service_result MiLoadOrUnload(struct os *os, const struct event *event) {
    struct os_service_result result = {.status = STATUS_INVALID_PARAMETER};
    if (event->kind == EV_DRIVER_LOAD) {
        const struct mi_driver image = {.Id = event->driver.id,
                                        .Nonpaged = MiPagesOf(event->driver.nonpaged),
                                        .Paged = MiPagesOf(event->driver.paged),
                                        .Init = MiPagesOf(event->driver.init)};
        va_t base = 0;
        result.status = MmLoadSystemImage(os, &image, event->text, &base);
        result.out[0] = base;
        return result;
    }
    struct mi_driver *driver = MiLookupDriver(os, event->driver.id);
    if (driver) {
        MiUnloadDriver(os, driver);
        result.status = STATUS_SUCCESS;
    }
    return result;
}

struct os_service_result MiServiceDriver(struct os *os, const struct event *event) {
    MiLockSystemLoad(os);
    struct os_service_result result = MiLoadOrUnload(os, event);
    MiUnlockSystemLoad(os);
    return result;
}

void MiFreeDrivers(struct os *os) {
    while (os->Drivers) {
        struct mi_driver *next = os->Drivers->Next;
        MiFreeHost(os->Drivers);
        os->Drivers = next;
    }
}

/* DriverEntry has returned: INIT goes. */
static ntstatus_t MmFreeDriverInitialization(struct os *os, struct mi_driver *driver) {
    if (driver->InitFreed) { return STATUS_SUCCESS; }
    MiDeleteDriverPages(os, MiInitSection(driver), driver->Init);
    MiReturnCommitment(os, driver->Init, NULL);
    driver->InitFreed = true;
    return STATUS_SUCCESS;
}

/* ---- view ---- */

/* References that a locked section holds on the frame behind this PTE. */
uint32_t mi_view_driver_locks(const struct os *os, va_t pte_address) {
    const struct mi_driver *driver = MiDriverOf(os, MiGetVirtualAddressMappedByPte(pte_address));
    if (!driver || driver->LockCount == 0) { return 0; }
    va_t va = MiGetVirtualAddressMappedByPte(pte_address);
    return va >= MiPageSection(driver) && va < MiInitSection(driver);
}

/* ---- PAGED_CODE ---- */

/* Only checked builds stop; the assertion is seen in all of them. */
static ntstatus_t MiPagedCode(struct os *os) {
    if (os->M->ops->irql(os->M) < DISPATCH_LEVEL) { return STATUS_SUCCESS; }
    if (log_wants(os->M->log, LOG_SIGNAL)) { log_send(os->M->log, LOG_SIGNAL, LOG_ASSERT_PAGED_CODE, 0, 0, 0, 0); }
    return os->Config.checked_build ? ExRaiseStatus(os, STATUS_ASSERTION_FAILURE) : STATUS_SUCCESS;
}

/* ---- call ---- */

#define ROUTINE(name)                                                                                                  \
    static ntstatus_t name(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2])

ROUTINE(MiCallPagedCode) {
    (void)process;
    (void)event;
    (void)out;
    return MiPagedCode(os);
}

ROUTINE(MiCallFreeInit) {
    (void)process;
    (void)out;
    MiLockSystemLoad(os);
    struct mi_driver *driver = MiLookupDriver(os, MI_ARGUMENT(event, 0));
    ntstatus_t status = driver ? MmFreeDriverInitialization(os, driver) : STATUS_INVALID_PARAMETER;
    MiUnlockSystemLoad(os);
    return status;
}

ROUTINE(MiCallLockSection) {
    (void)process;
    MiLockSystemLoad(os);
    out[0] = MmLockPagableDataSection(os, MI_ARGUMENT(event, 0));
    MiUnlockSystemLoad(os);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallLockByHandle) {
    (void)process;
    (void)out;
    MiLockSystemLoad(os);
    MmLockPagableSectionByHandle(os, MI_ARGUMENT(event, 0));
    MiUnlockSystemLoad(os);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallUnlockSection) {
    (void)process;
    (void)out;
    MiLockSystemLoad(os);
    MmUnlockPagableImageSection(os, MI_ARGUMENT(event, 0));
    MiUnlockSystemLoad(os);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallPageEntireDriver) {
    (void)process;
    MiLockSystemLoad(os);
    out[0] = MmPageEntireDriver(os, MI_ARGUMENT(event, 0));
    MiUnlockSystemLoad(os);
    return STATUS_SUCCESS;
}

ROUTINE(MiCallResetPaging) {
    (void)process;
    MiLockSystemLoad(os);
    out[0] = MmResetDriverPaging(os, MI_ARGUMENT(event, 0));
    MiUnlockSystemLoad(os);
    return STATUS_SUCCESS;
}

const struct mi_export MiDriverExports[] = {
    {"PAGED_CODE", 0, MI_NO_HANDLE, MiCallPagedCode},
    {"MmFreeDriverInitialization", 1, MI_NO_HANDLE, MiCallFreeInit}, /* id of drv+ */
    {"MmLockPagableDataSection", 1, MI_NO_HANDLE, MiCallLockSection},
    {"MmLockPagableImageSection", 1, MI_NO_HANDLE, MiCallLockSection}, /* one entry point with the one before */
    {"MmLockPagableSectionByHandle", 1, MI_NO_HANDLE, MiCallLockByHandle},
    {"MmUnlockPagableImageSection", 1, MI_NO_HANDLE, MiCallUnlockSection},
    {"MmPageEntireDriver", 1, MI_NO_HANDLE, MiCallPageEntireDriver},
    {"MmResetDriverPaging", 1, MI_NO_HANDLE, MiCallResetPaging},
    {0},
};
