/* Ranges whose access a driver relies on (NT-89): MmSecureVirtualMemory records them, and protections and frees that
 * would take the access away are refused. Also MmSetBankedSection. */
#include "mi.h"

struct mmsecure {
    struct mmsecure *Next;
    uint32_t Handle;
    va_t Start, End;
    bool Write;
};

static bool MiCanRead(unsigned protection) {
    return (protection & 7) != MM_ZERO_ACCESS && (protection & 7) != MM_EXECUTE && !(protection & MM_GUARD_PAGE);
}

static bool MiCanWrite(unsigned protection) { return MiCanRead(protection) && (protection & 7) >= MM_READWRITE; }

static bool MiAllPagesAllow(struct os *os, struct eprocess *process, va_t start, va_t end, bool write) {
    for (va_t va = page_of(start); va <= end; va += PAGE_SIZE) {
        bool committed;
        unsigned protection = MiQueryPageProtection(os, process, va, &committed);
        if (!committed || !(write ? MiCanWrite(protection) : MiCanRead(protection))) { return false; }
    }
    return true;
}

static uint32_t MiSecureRange(struct os *os, struct eprocess *process, va_t address, va_t size, uint32_t mode) {
    int mask = MiMakeProtectionMask(mode);
    struct mmvad *vad = size ? MiLocateAddress(process, address) : NULL;
    if (mask < 0 || !MiCanRead((unsigned)mask) || !vad || address + size - 1 > vad->EndingAddress) { return 0; }
    bool write = MiCanWrite((unsigned)mask);
    if (!MiAllPagesAllow(os, process, address, address + size - 1, write)) { return 0; }
    struct mmsecure *entry = MiAllocateHost(os, sizeof *entry);
    *entry = (struct mmsecure){.Next = process->Secured,
                               .Handle = ++os->SecureHandles,
                               .Start = address,
                               .End = address + size - 1,
                               .Write = write};
    process->Secured = entry;
    return entry->Handle;
}

/* mode: the Win32 protection that must remain. Returns the handle, 0: refused. */
uint32_t MmSecureVirtualMemory(struct os *os, va_t address, va_t size, uint32_t mode) {
    struct eprocess *process = PsGetCurrentProcess(os);
    if (!MiLockAddressCreation(os, process)) { return 0; }
    uint32_t handle = MiSecureRange(os, process, address, size, mode);
    MiUnlockAddressCreation(os, process);
    return handle;
}

bool MmUnsecureVirtualMemory(struct os *os, uint32_t handle) {
    struct mmsecure **link = &PsGetCurrentProcess(os)->Secured, *entry;
    while ((entry = *link) && entry->Handle != handle) { link = &entry->Next; }
    if (!entry) { return false; }
    *link = entry->Next;
    MiFreeHost(entry);
    return true;
}

bool MiIsSecured(const struct eprocess *process, va_t start, va_t end, unsigned protection) {
    for (const struct mmsecure *entry = process->Secured; entry; entry = entry->Next) {
        bool overlap = start <= entry->End && end >= entry->Start;
        if (overlap && !(entry->Write ? MiCanWrite(protection) : MiCanRead(protection))) { return true; }
    }
    return false;
}

/* The process's memory goes. */
void MiFreeSecuredRanges(struct eprocess *process) {
    while (process->Secured) {
        struct mmsecure *entry = process->Secured;
        process->Secured = entry->Next;
        MiFreeHost(entry);
    }
}

/* The view becomes one of banks: no page of it stays valid, so that the first access to each bank is noticed. What
 * switches banks is the video hardware's routine and is not modelled. */
ntstatus_t MmSetBankedSection(struct os *os, struct eprocess *process, va_t address, uint32_t bank_bytes) {
    struct mmvad *vad = MiLocateAddress(process, address);
    if (!vad || !vad->ControlArea) { return STATUS_NOT_MAPPED_VIEW; }
    if (address != vad->StartingAddress) { return STATUS_NOT_MAPPED_VIEW; }
    if (bank_bytes < PAGE_SIZE || (bank_bytes & (bank_bytes - 1))) { return STATUS_INVALID_PARAMETER_3; }
    MiDeleteVirtualAddresses(os, process, vad->StartingAddress, vad->EndingAddress, 0, true);
    return STATUS_SUCCESS;
}
