/* Handles: what they name and what they allow, checked before a service does anything (NT-105). A trace's plain process
 * and section ids are handles of full access; ObOpenHandle makes others. */
#include "exports.h"
#include "ntmmu/nt_exports.h"

#include <string.h>

#define FIRST_HANDLE 0x80000004u /* ids of a trace are below */

enum { PROCESS_CREATE_PROCESS = 0x80, PROCESS_VM_OPERATION = 8, PROCESS_VM_READ = 0x10, PROCESS_VM_WRITE = 0x20 };
enum { PROCESS_QUERY_INFORMATION = 0x400 };

struct mi_handle {
    struct mi_handle *Next;
    uint32_t Value, Id, Access, OwnerPid;
    enum mi_object_kind Kind;
};

/* What a process handle must allow. */
static uint32_t MiRequiredAccess(const char *service) {
    static const struct {
        const char *name;
        uint32_t access;
    } required[] = {
        {"NtReadVirtualMemory", PROCESS_VM_READ},
        {"NtWriteVirtualMemory", PROCESS_VM_WRITE | PROCESS_VM_OPERATION},
        {"NtQueryVirtualMemory", PROCESS_QUERY_INFORMATION},
        {"NtCreateProcess", PROCESS_CREATE_PROCESS},
    };
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (strcmp(required[i].name, service) == 0) { return required[i].access; }
    }
    return PROCESS_VM_OPERATION;
}

/* What a section handle must allow for a view of this Win32 protection. */
uint32_t MiSectionAccess(uint32_t protect) {
    enum { SECTION_MAP_WRITE = 2, SECTION_MAP_READ = 4, SECTION_MAP_EXECUTE = 8 };
    int mask = MiMakeProtectionMask(protect);
    if (mask < 0) { return 0; } /* the service says so */
    bool write = (mask & 7) == MM_READWRITE || (mask & 7) == MM_EXECUTE_READWRITE;
    return SECTION_MAP_READ | (write ? SECTION_MAP_WRITE : 0u) | (mask & MM_EXECUTE ? SECTION_MAP_EXECUTE : 0u);
}

/* What a file handle must allow for a section of this Win32 protection. Write-copy writes to no file. */
uint32_t MiFileAccess(uint32_t protect) {
    enum { FILE_READ_DATA = 1, FILE_WRITE_DATA = 2, FILE_EXECUTE = 0x20 };
    int mask = MiMakeProtectionMask(protect);
    if (mask < 0) { return 0; } /* the service says so */
    bool write = (mask & 7) == MM_READWRITE || (mask & 7) == MM_EXECUTE_READWRITE, execute = mask & MM_EXECUTE;
    return (write ? FILE_WRITE_DATA : 0u) | (execute ? FILE_EXECUTE : 0u) |
           ((mask & 7) == MM_EXECUTE ? 0u : (uint32_t)FILE_READ_DATA);
}

static struct mi_handle *MiFindHandle(const struct os *os, const struct eprocess *owner, uint32_t value) {
    struct mi_handle *handle = os->Handles;
    while (handle && (handle->Value != value || handle->OwnerPid != owner->Pid)) { handle = handle->Next; }
    return handle;
}

static void MiLinkHandle(struct os *os, const struct mi_handle *contents) {
    struct mi_handle *handle = MiAllocateHost(os, sizeof *handle);
    *handle = *contents;
    handle->Next = os->Handles;
    os->Handles = handle;
}

uint32_t MiInsertHandle(struct os *os, const struct eprocess *owner, enum mi_object_kind kind, uint32_t id,
                        uint32_t access) {
    if (owner->Exiting) { return 0; } /* its handles are closed already */
    uint32_t value = FIRST_HANDLE;
    while (MiFindHandle(os, owner, value)) { value += 4; }
    MiLinkHandle(os,
                 &(struct mi_handle){.Value = value, .Id = id, .Access = access, .OwnerPid = owner->Pid, .Kind = kind});
    return value;
}

/* The child's handles have the values that they have in the parent. */
void MiInheritHandles(struct os *os, const struct eprocess *parent, const struct eprocess *child) {
    for (const struct mi_handle *handle = os->Handles; handle; handle = handle->Next) {
        if (handle->OwnerPid != parent->Pid) { continue; }
        struct mi_handle copy = *handle;
        copy.OwnerPid = child->Pid;
        MiLinkHandle(os, &copy);
    }
}

/* The id behind a handle. */
ntstatus_t ObReferenceObjectByHandle(struct os *os, uint32_t value, enum mi_object_kind kind, uint32_t access,
                                     uint32_t *id) {
    *id = value;
    if (value < FIRST_HANDLE) { return STATUS_SUCCESS; }
    const struct mi_handle *handle = MiFindHandle(os, PsGetCurrentProcess(os), value);
    if (!handle) { return STATUS_INVALID_HANDLE; }
    if (handle->Kind != kind) { return STATUS_OBJECT_TYPE_MISMATCH; }
    if ((handle->Access & access) != access) { return STATUS_ACCESS_DENIED; }
    *id = handle->Id;
    return STATUS_SUCCESS;
}

ntstatus_t MiReferenceProcess(struct os *os, uint32_t value, const char *service, struct eprocess **process) {
    *process = PsGetCurrentProcess(os);
    if (value == CURRENT_PROCESS_HANDLE) { return STATUS_SUCCESS; }
    uint32_t pid;
    ntstatus_t status = ObReferenceObjectByHandle(os, value, MI_OBJECT_PROCESS, MiRequiredAccess(service), &pid);
    if (!NT_SUCCESS(status)) { return status; }
    *process = PsLookupProcess(os, pid);
    return *process && !(*process)->BeingCloned ? STATUS_SUCCESS : MiNoSuchProcess(os, pid);
}

/* What kernel functions are given instead of handles: the EPROCESS; or, as all of a trace's objects, the number. */
ntstatus_t MiProcessByPointer(struct os *os, uint32_t pointer, struct eprocess **process) {
    for (*process = os->Processes; *process; *process = (*process)->Next) {
        if ((*process)->Address == pointer) { return STATUS_SUCCESS; }
    }
    if (pointer >= FIRST_HANDLE && pointer != CURRENT_PROCESS_HANDLE) { return STATUS_INVALID_HANDLE; }
    return MiReferenceProcess(os, pointer, "", process);
}

/* Handles of a process that has ended, and all of them when the machine goes. */
void MiCloseHandles(struct os *os, const struct eprocess *process) {
    for (struct mi_handle **link = &os->Handles, *handle; (handle = *link) != NULL;) {
        if (process && handle->OwnerPid != process->Pid) {
            link = &handle->Next;
            continue;
        }
        *link = handle->Next;
        MiFreeHost(handle);
    }
}

/* ---- call ---- */

static bool MiObjectExists(struct os *os, enum mi_object_kind kind, uint32_t id) {
    switch (kind) {
    case MI_OBJECT_PROCESS: return PsLookupProcess(os, id) != NULL;
    case MI_OBJECT_SECTION: return MiLookupSection(os, id) != NULL;
    default: return true; /* files have names, not objects */
    }
}

/* kind 1 process, 2 section, 3 file; id; access mask */
static ntstatus_t MiCallOpenHandle(struct os *os, struct eprocess *process, const struct event *event,
                                   uint64_t out[2]) {
    uint32_t kind = MI_ARGUMENT(event, 0), id = MI_ARGUMENT(event, 1);
    if (kind < MI_OBJECT_PROCESS || kind > MI_OBJECT_FILE) { return STATUS_INVALID_PARAMETER; }
    if (!MiObjectExists(os, kind, id)) { return STATUS_INVALID_HANDLE; }
    if (process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    out[0] = MiInsertHandle(os, process, kind, id, MI_ARGUMENT(event, 2));
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallClose(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    (void)out;
    struct mi_handle *handle = MiFindHandle(os, process, MI_ARGUMENT(event, 0));
    if (!handle) { return STATUS_INVALID_HANDLE; }
    struct mi_handle **link = &os->Handles;
    while (*link != handle) { link = &(*link)->Next; }
    *link = handle->Next;
    MiFreeHost(handle);
    return STATUS_SUCCESS;
}

const struct mi_export MiHandleExports[] = {
    {"ObOpenHandle", 3, MI_NO_HANDLE, MiCallOpenHandle},
    {"NtClose", 1, MI_NO_HANDLE, MiCallClose},
    {0},
};
