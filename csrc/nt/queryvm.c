/* NtQueryVirtualMemory: NT-82. What it finds goes into the caller's memory. */
#include "mi.h"

#include <string.h>

#define MEMORY_BASIC       0u
#define MEMORY_WORKING_SET 1u
#define MEMORY_FILE_NAME   2u
#define MEM_FREE           0x10000u
#define MEM_PRIVATE        0x20000u
#define MEM_MAPPED         0x40000u
#define MEM_IMAGE          0x1000000u
#define PAGE_NOACCESS_W32  1u
#define WS_SHAREABLE       0x100u
#define FILE_NAME_HEADER   8u /* UNICODE_STRING: two lengths, the buffer's address */

struct memory_basic {
    uint32_t BaseAddress, AllocationBase, AllocationProtect, RegionSize, State, Protect, Type;
};

/* What the caller will be given: bytes of the buffer, and the length he is told. */
struct query_result {
    uint8_t *Data;
    uint32_t Bytes, Actual;
};

/* ---- class 0 ---- */

struct page_kind {
    bool Committed;
    unsigned Protection;
};

static struct page_kind MiPageKind(struct os *os, struct eprocess *process, va_t va) {
    struct page_kind kind = {0};
    unsigned protection = MiQueryPageProtection(os, process, va, &kind.Committed);
    kind.Protection = kind.Committed ? protection : 0;
    return kind;
}

/* The run of pages like the first one, within the VAD. */
static va_t MiRegionEnd(struct os *os, struct eprocess *process, struct mmvad *vad, va_t va, struct page_kind first) {
    for (va += PAGE_SIZE; va <= vad->EndingAddress; va += PAGE_SIZE) {
        struct page_kind kind = MiPageKind(os, process, va);
        if (kind.Committed != first.Committed || kind.Protection != first.Protection) { break; }
    }
    return va;
}

static struct memory_basic MiFreeRegion(const struct eprocess *process, va_t va) {
    struct memory_basic info = {.BaseAddress = (uint32_t)va, .State = MEM_FREE, .Protect = PAGE_NOACCESS_W32};
    const struct mmvad *next = MiCheckForConflictingVad(process, va, MM_HIGHEST_USER_ADDRESS);
    info.RegionSize = (uint32_t)((next ? next->StartingAddress : MM_HIGHEST_USER_ADDRESS + 1u) - va);
    return info;
}

static ntstatus_t MiQueryBasic(struct os *os, struct eprocess *process, va_t va, uint32_t length,
                               struct query_result *out) {
    if (length < sizeof(struct memory_basic)) { return STATUS_INFO_LENGTH_MISMATCH; }
    struct mmvad *vad = MiLocateAddress(process, va);
    struct memory_basic info;
    if (vad == NULL) {
        info = MiFreeRegion(process, page_of(va));
    } else {
        struct page_kind kind = MiPageKind(os, process, page_of(va));
        va_t end = MiRegionEnd(os, process, vad, page_of(va), kind);
        info = (struct memory_basic){.BaseAddress = (uint32_t)page_of(va),
                                     .AllocationBase = (uint32_t)vad->StartingAddress,
                                     .AllocationProtect = MiProtectionToWin32(vad->Protection),
                                     .RegionSize = (uint32_t)(end - page_of(va)),
                                     .State = kind.Committed ? MEM_COMMIT : MEM_RESERVE,
                                     .Protect = kind.Committed ? MiProtectionToWin32(kind.Protection) : 0,
                                     .Type = vad->ImageMap      ? MEM_IMAGE
                                             : vad->ControlArea ? MEM_MAPPED
                                                                : MEM_PRIVATE};
    }
    out->Data = MiAllocateHost(os, sizeof info);
    memcpy(out->Data, &info, sizeof info);
    out->Bytes = out->Actual = sizeof info;
    return STATUS_SUCCESS;
}

/* ---- class 1 ---- */

static uint32_t MiDescribeEntry(struct os *os, uint32_t entry) {
    enum os_profile profile = os->Config.profile;
    pfn_t frame = pte_frame(MiReadPte(os, MiGetPteAddress(page_of(entry))));
    struct mmpfn pfn = MiReadPfn(os, frame);
    bool shared = pfn.Flags & PFN_PROTOTYPE;
    unsigned protection = page_of(entry) >= MM_SYSTEM_RANGE_START ? MM_READWRITE : pte_protection(pfn.OriginalPte);
    if (shared && frame == os->MmSharedUserFrame) { protection = MM_READONLY; }
    if (shared && !wsle_is_same(profile, entry)) { protection = wsle_protection(profile, entry); }
    return (uint32_t)page_of(entry) | protection | (shared ? WS_SHAREABLE : 0);
}

/* The count is told even to a caller whose buffer cannot take the entries. */
static ntstatus_t MiQueryWorkingSet(struct os *os, struct eprocess *process, uint32_t length,
                                    struct query_result *out) {
    uint32_t count = process->Vm.WorkingSetSize, used = 1;
    if (length < sizeof count) { return STATUS_INFO_LENGTH_MISMATCH; }
    bool fits = length / sizeof count - 1 >= count;
    uint32_t *words = MiAllocateHost(os, ((size_t)count + 1) * sizeof *words);
    words[0] = count;
    struct mmwsl list = MiReadWorkingSetList(os, &process->Vm);
    for (uint32_t i = 0; fits && used <= count && i <= list.LastWsleIndex; i++) {
        uint32_t entry = MiReadWsle(os, &process->Vm, i);
        if (entry & WSLE_VALID) { words[used++] = MiDescribeEntry(os, entry); }
    }
    out->Data = (uint8_t *)words;
    out->Bytes = out->Actual = used * (uint32_t)sizeof *words;
    return fits ? STATUS_SUCCESS : STATUS_INFO_LENGTH_MISMATCH;
}

/* ---- class 2 ---- */

static ntstatus_t MiQueryFileName(struct os *os, const struct eprocess *process, va_t va, uint32_t buffer,
                                  uint32_t length, struct query_result *out) {
    const struct mmvad *vad = MiLocateAddress(process, va);
    if (vad == NULL || vad->ControlArea == NULL || vad->ControlArea->FileObject == NULL) {
        return STATUS_INVALID_ADDRESS;
    }
    const char *path = vad->ControlArea->FileObject->Path;
    uint16_t characters = (uint16_t)strlen(path), header[2] = {(uint16_t)(2 * characters), (uint16_t)(2 * characters)};
    uint32_t bytes = FILE_NAME_HEADER + header[0], text = buffer + FILE_NAME_HEADER;
    if (length < bytes) { return STATUS_INFO_LENGTH_MISMATCH; }
    out->Data = MiAllocateHost(os, bytes);
    memcpy(out->Data, header, sizeof header);
    memcpy(out->Data + sizeof header, &text, sizeof text);
    for (unsigned i = 0; i < characters; i++) { out->Data[FILE_NAME_HEADER + 2 * i] = (uint8_t)path[i]; }
    out->Bytes = out->Actual = bytes;
    return STATUS_SUCCESS;
}

/* ---- ---- */

static ntstatus_t MiQuery(struct os *os, struct eprocess *process, const struct mmquery *query,
                          struct query_result *out) {
    switch (query->Class) {
    case MEMORY_BASIC: return MiQueryBasic(os, process, query->Address, query->Length, out);
    case MEMORY_WORKING_SET: return MiQueryWorkingSet(os, process, query->Length, out);
    default: return MiQueryFileName(os, process, query->Address, query->Buffer, query->Length, out);
    }
}

/* Makes [va, va + bytes) writable for the kernel's copy; what a probe in the caller's mode would find. */
static ntstatus_t MiMakeWritable(struct os *os, va_t va, uint32_t bytes) {
    if (bytes == 0) { return STATUS_SUCCESS; }
    for (va_t page = page_of(va); page < va + bytes; page += PAGE_SIZE) {
        for (;;) {
            bool table = page < MM_SYSTEM_RANGE_START && (MiReadPte(os, MiGetPdeAddress(page)) & PTE_VALID);
            pte_t pte = table ? MiReadPte(os, MiGetPteAddress(page)) : 0;
            if ((pte & PTE_VALID) && (pte & PTE_WRITE)) { break; }
            ntstatus_t status = MmAccessFault(os, true, page, true);
            if (!NT_SUCCESS(status)) { return status; }
        }
    }
    return STATUS_SUCCESS;
}

/* A page at a time: bringing the next one in may take one away that was there before. */
static ntstatus_t MiCopyToCaller(struct os *os, va_t va, const uint8_t *data, uint32_t bytes) {
    while (bytes != 0) {
        uint32_t part = (uint32_t)(PAGE_SIZE - (va & PAGE_MASK));
        if (part > bytes) { part = bytes; }
        ntstatus_t status = MiMakeWritable(os, va, part);
        if (!NT_SUCCESS(status)) { return status; }
        os->M->ops->write(os->M, va, data, part);
        va += part;
        data += part;
        bytes -= part;
    }
    return STATUS_SUCCESS;
}

/* Called in the caller's context. */
ntstatus_t NtQueryVirtualMemory(struct os *os, struct eprocess *process, const struct mmquery *query,
                                uint32_t *actual) {
    *actual = 0;
    if (query->Class > MEMORY_FILE_NAME) { return STATUS_INVALID_INFO_CLASS; }
    if (query->Address > MM_HIGHEST_USER_ADDRESS) { return STATUS_INVALID_PARAMETER; }
    struct query_result result = {0};
    if (!MiLockAddressCreation(os, process)) { return STATUS_PROCESS_IS_TERMINATING; }
    bool attached = KeAttachProcess(os, process);
    ntstatus_t status = MiQuery(os, process, query, &result);
    if (attached) { KeDetachProcess(os); }
    MiUnlockAddressCreation(os, process);
    ntstatus_t copied = MiCopyToCaller(os, query->Buffer, result.Data, result.Bytes);
    if (NT_SUCCESS(copied) && NT_SUCCESS(status) && query->ActualPointer) {
        copied = MiCopyToCaller(os, query->ActualPointer, (const uint8_t *)&result.Actual, sizeof result.Actual);
    }
    if (result.Bytes >= sizeof *actual) { memcpy(actual, result.Data, sizeof *actual); }
    if (NT_SUCCESS(status)) { *actual = result.Actual; }
    MiFreeHost(result.Data);
    return NT_SUCCESS(copied) ? status : copied;
}
