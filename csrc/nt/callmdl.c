/* `call` entries of memory descriptor lists (NT-86 to NT-88). An MDL is named by its address, or by its number in the
 * trace. */
#include "exports.h"
#include "mdl.h"

#define CALL(name)                                                                                                     \
    static ntstatus_t name(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2])
#define MDL_FIXED_PAGES 0x17u /* a look-aside list has those of up to so many pages */
#define IRP_MDL_ADDRESS 0x04u
#define IRP_MDLS_MAX    0x1000u /* a longer chain is a ring */

/* BASE LENGTH; out: bytes */
CALL(MiCallSizeOfMdl) {
    (void)os;
    (void)process;
    out[0] = MmSizeOfMdl(MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1));
    return STATUS_SUCCESS;
}

static bool MiIsMdlRange(va_t base, va_t length) {
    return (MmSizeOfMdl(base, length) - MDL_ARRAY) / 4 <= MDL_MAXIMUM_PAGES;
}

/* MEMORY|0 BASE LENGTH; out: the address, 0 without memory */
CALL(MiCallCreateMdl) {
    (void)process;
    if (!MiIsMdlRange(MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2))) { return STATUS_INVALID_PARAMETER; }
    struct mmmdl *mdl = MmCreateMdl(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2));
    out[0] = mdl ? mdl->Address : 0;
    return STATUS_SUCCESS;
}

/* VA LENGTH SECONDARY CHARGEQUOTA IRP; out: the address, or 0. The first list hangs from the IRP, secondary ones from
 * the last. */
CALL(MiCallAllocateMdl) {
    va_t irp = MI_ARGUMENT(event, 4);
    uint32_t bytes = MmSizeOfMdl(MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1));
    if (!MiIsMdlRange(MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1))) { return STATUS_SUCCESS; }
    if (MI_ARGUMENT(event, 3) && !NT_SUCCESS(PsChargePoolQuota(os, process, NonPagedPool, bytes))) {
        return STATUS_SUCCESS;
    }
    struct mmmdl *mdl = MmCreateMdl(os, 0, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1));
    if (mdl == NULL) {
        if (MI_ARGUMENT(event, 3)) { PsReturnPoolQuota(os, process, NonPagedPool, bytes); }
        return STATUS_SUCCESS;
    }
    if (mdl->Pages <= MDL_FIXED_PAGES) { MiSetMdlFlags(os, mdl, 0, MDL_ALLOCATED_FIXED_SIZE); }
    va_t address = mdl->Address, link = irp + IRP_MDL_ADDRESS; /* the list may go while the IRP is waited for */
    uint32_t left = irp && MI_ARGUMENT(event, 2) ? IRP_MDLS_MAX : 0;
    while (left-- != 0 && MiRead32(os, link)) { link = MiRead32(os, link) + MDL_NEXT; }
    if (irp) { MiWrite32(os, link, (uint32_t)address); }
    out[0] = address;
    return STATUS_SUCCESS;
}

/* The routines below get the list of argument 0. */
typedef ntstatus_t (*mdl_routine)(struct os *os, struct mmmdl *mdl, const struct event *event, uint64_t out[2]);

static ntstatus_t MiWithMdl(struct os *os, const struct event *event, uint64_t out[2], mdl_routine routine) {
    struct mmmdl *mdl = MiBeginMdlCall(os, MI_ARGUMENT(event, 0));
    if (mdl == NULL) { return STATUS_INVALID_PARAMETER; }
    va_t address = mdl->Address;
    ntstatus_t status = routine(os, mdl, event, out);
    MiEndMdlCall(os, address);
    return status;
}
#define MDL_CALL(name)                                                                                                 \
    static ntstatus_t name##Of(struct os *os, struct mmmdl *mdl, const struct event *event, uint64_t out[2]);          \
    CALL(name) {                                                                                                       \
        (void)process;                                                                                                 \
        return MiWithMdl(os, event, out, name##Of);                                                                    \
    }                                                                                                                  \
    static ntstatus_t name##Of(struct os *os, struct mmmdl *mdl, const struct event *event, uint64_t out[2])

MDL_CALL(MiCallFreeMdl) {
    (void)event;
    (void)out;
    if (mdl->Locked || mdl->UserProcess || (MiMdlFlags(os, mdl) & MDL_MAPPED_TO_SYSTEM_VA)) {
        return STATUS_INVALID_PARAMETER;
    }
    IoFreeMdl(os, mdl);
    return STATUS_SUCCESS;
}

/* MDL MODE OPERATION; mode 1: user; operation 0 read, 1 write, 2 modify */
MDL_CALL(MiCallProbeAndLock) {
    (void)out;
    if (MiMdlFlags(os, mdl) & MDL_PAGES_LOCKED) { return STATUS_INVALID_PARAMETER; }
    return MmProbeAndLockPages(os, mdl, MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2) != 0);
}

MDL_CALL(MiCallUnlock) {
    (void)event;
    (void)out;
    MmUnlockPages(os, mdl);
    return STATUS_SUCCESS;
}

static ntstatus_t MiMapPages(struct os *os, struct mmmdl *mdl, bool user, bool no_cache, uint64_t out[2]) {
    va_t va = 0;
    if (!user) {
        out[0] = MmMapLockedPages(os, mdl, no_cache);
        return STATUS_SUCCESS;
    }
    ntstatus_t status = MiMapLockedPagesUser(os, mdl, no_cache, &va);
    out[0] = va;
    return status;
}

/* MDL MODE; out: the address, 0 if there is none and the list allows that */
MDL_CALL(MiCallMapLocked) { return MiMapPages(os, mdl, MI_ARGUMENT(event, 1), false, out); }
/* MDL MODE CACHED */
MDL_CALL(MiCallMapLockedCache) { return MiMapPages(os, mdl, MI_ARGUMENT(event, 1), !MI_ARGUMENT(event, 2), out); }

MDL_CALL(MiCallSystemAddress) {
    (void)event;
    out[0] = MmGetSystemAddressForMdl(os, mdl, false);
    return STATUS_SUCCESS;
}

MDL_CALL(MiCallSystemAddressSafe) {
    (void)event;
    out[0] = MmGetSystemAddressForMdl(os, mdl, true);
    return STATUS_SUCCESS;
}

/* VA MDL */
CALL(MiCallUnmapLocked) {
    (void)process;
    (void)out;
    va_t va = MI_ARGUMENT(event, 0);
    struct mmmdl *mdl = MiBeginMdlCall(os, MI_ARGUMENT(event, 1));
    if (mdl == NULL) { return STATUS_INVALID_PARAMETER; }
    bool system = (MiMdlFlags(os, mdl) & MDL_MAPPED_TO_SYSTEM_VA) && MiRead32(os, mdl->Address + MDL_MAPPED_VA) == va;
    bool user = mdl->UserProcess && mdl->UserVa == page_of(va); /* last: that may have waited */
    if (user || system) { MmUnmapLockedPages(os, va, mdl); }
    mdl->InUse = false;
    return user || system ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

MDL_CALL(MiCallBuildForPool) {
    (void)event;
    (void)out;
    MmBuildMdlForNonPagedPool(os, mdl);
    return STATUS_SUCCESS;
}

/* SOURCE TARGET VA LENGTH */
MDL_CALL(MiCallBuildPartial) {
    (void)out;
    struct mmmdl *target = MiBeginMdlCall(os, MI_ARGUMENT(event, 1)); /* not the source: that is in use */
    if (target == NULL) { return STATUS_INVALID_PARAMETER; }
    ntstatus_t status = IoBuildPartialMdl(os, mdl, target, MI_ARGUMENT(event, 2), MI_ARGUMENT(event, 3));
    target->InUse = false;
    return status;
}

MDL_CALL(MiCallMapDump) {
    (void)event;
    MmMapMemoryDumpMdl(os, mdl);
    out[0] = MiRead32(os, mdl->Address + MDL_MAPPED_VA);
    return STATUS_SUCCESS;
}

const struct mi_export MiMdlExports[] = {
    {"MmSizeOfMdl", 2, MI_NO_HANDLE, MiCallSizeOfMdl},
    {"MmCreateMdl", 3, MI_NO_HANDLE, MiCallCreateMdl},
    {"IoAllocateMdl", 5, MI_NO_HANDLE, MiCallAllocateMdl},
    {"IoFreeMdl", 1, MI_NO_HANDLE, MiCallFreeMdl},
    {"MmProbeAndLockPages", 3, MI_NO_HANDLE, MiCallProbeAndLock},
    {"MmUnlockPages", 1, MI_NO_HANDLE, MiCallUnlock},
    {"MmMapLockedPages", 2, MI_NO_HANDLE, MiCallMapLocked},
    {"MmMapLockedPagesSpecifyCache", 3, MI_NO_HANDLE, MiCallMapLockedCache},
    {"MmGetSystemAddressForMdl", 1, MI_NO_HANDLE, MiCallSystemAddress},
    {"MmGetSystemAddressForMdlSafe", 1, MI_NO_HANDLE, MiCallSystemAddressSafe},
    {"MmUnmapLockedPages", 2, MI_NO_HANDLE, MiCallUnmapLocked},
    {"MmBuildMdlForNonPagedPool", 1, MI_NO_HANDLE, MiCallBuildForPool},
    {"IoBuildPartialMdl", 4, MI_NO_HANDLE, MiCallBuildPartial},
    {"MmMapMemoryDumpMdl", 1, MI_NO_HANDLE, MiCallMapDump},
    {0},
};
