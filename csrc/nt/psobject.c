/* The process object in memory, and NtCreateProcess: NT-70, NT-72. */
#include "exports.h"
#include "ntmmu/eprocess.h"

#include <string.h>

#define NORMAL_BASE_PRIORITY  8u
#define NO_IO_PORTS           0x20ADu /* an I/O map offset beyond the TSS: every port is denied */
#define ACTIVE_PROCESSORS     1u
#define HARD_ERROR_MODE       1u
#define PROCESS_ALL_ACCESS    0x1F0FFFu
#define LEAST_GRANTED_ACCESS  0x6FBu
#define IMAGE_NAME_BYTES      16u
#define FAST_MUTEX_COUNT_FREE 1u

static void MiStore(struct os *os, const struct eprocess *process, enum eprocess_field field, uint32_t value) {
    MiWrite32(os, process->Address + field, value);
}

void PspClearProcessObject(struct os *os, const struct eprocess *process) {
    os->M->ops->fill(os->M, process->Address, 0, EPROCESS_SIZE);
}

/* A captured program's image is a command line; its name is the program's, without the path. */
void PspStoreImageName(struct os *os, const struct eprocess *process) {
    char name[IMAGE_NAME_BYTES] = {0};
    const char *first = process->ImageName, *end = first;
    for (; *end && (*end != ' ' || (end > process->ImageName && end[-1] == '\\')); end++) {
        if (*end == '/') { first = end + 1; }
    }
    memcpy(name, first, (size_t)(end - first) < sizeof name ? (size_t)(end - first) : sizeof name - 1);
    os->M->ops->write(os->M, process->Address + EPROCESS_IMAGE_FILE_NAME, name, sizeof name);
}

/* What creation writes into the body; parent: NULL for the system process. The body was cleared. */
void PspInitializeProcessObject(struct os *os, const struct eprocess *process, const struct eprocess *parent) {
    uint32_t affinity = parent ? MiRead32(os, parent->Address + EPROCESS_AFFINITY) : ACTIVE_PROCESSORS;
    uint32_t hard_errors = parent ? MiRead32(os, parent->Address + EPROCESS_HARD_ERROR_MODE) : HARD_ERROR_MODE;
    uint8_t priority = NORMAL_BASE_PRIORITY;
    MiStore(os, process, EPROCESS_DIRECTORY_TABLE_BASE, process->DirectoryTableBase[0]);
    MiStore(os, process, EPROCESS_DIRECTORY_TABLE_BASE + 4, process->DirectoryTableBase[1]);
    MiWrite16(os, process->Address + EPROCESS_IOPM_OFFSET, NO_IO_PORTS);
    MiStore(os, process, EPROCESS_ACTIVE_PROCESSORS, 0);
    MiStore(os, process, EPROCESS_AFFINITY, affinity);
    os->M->ops->write(os->M, process->Address + EPROCESS_BASE_PRIORITY, &priority, sizeof priority);
    MiStore(os, process, EPROCESS_UNIQUE_PROCESS_ID, process->Pid);
    MiStore(os, process, EPROCESS_WORKING_SET_LOCK, FAST_MUTEX_COUNT_FREE);
    MiStore(os, process, EPROCESS_ADDRESS_CREATION_LOCK, FAST_MUTEX_COUNT_FREE);
    MiStore(os, process, EPROCESS_WORKING_SET_PAGE, process->WorkingSetPage);
    MiStore(os, process, EPROCESS_INHERITED_FROM, process->ParentPid);
    MiStore(os, process, EPROCESS_GRANTED_ACCESS, PROCESS_ALL_ACCESS | LEAST_GRANTED_ACCESS);
    MiStore(os, process, EPROCESS_HARD_ERROR_MODE, hard_errors);
    PspStoreImageName(os, process);
}

/* ---- NtCreateProcess ---- */

/* Without a section the parent is forked; System's children without one have nothing. There is no system DLL to map. */
static ntstatus_t MiCreateProcessObject(struct os *os, uint32_t pid, struct eprocess *parent,
                                        const struct section_object *section, struct eprocess **child) {
    ntstatus_t status = PspCreateProcess(os, pid, parent->Pid, parent->ImageName, parent->Vm.MinimumWorkingSet,
                                         parent->Vm.MaximumWorkingSet, section, child);
    if (!NT_SUCCESS(status) || section || parent == &os->SystemProcess) { return status; }
    MiStore(os, *child, EPROCESS_SECTION_BASE_ADDRESS, MiRead32(os, parent->Address + EPROCESS_SECTION_BASE_ADDRESS));
    status = MiCloneProcessAddressSpace(os, parent, *child);
    if (!NT_SUCCESS(status)) { PspAbandonFork(os, *child, status); }
    return status;
}

/* PID of the new process, access, attributes, parent, inherit handles, section, debug port, exception port; out: its
 * handle, and where its image is */
static ntstatus_t MiCallCreateProcess(struct os *os, struct eprocess *process, const struct event *event,
                                      uint64_t out[2]) {
    (void)process;
    uint32_t access = MI_ARGUMENT(event, 1), parent_handle = MI_ARGUMENT(event, 3), section = MI_ARGUMENT(event, 5);
    if (parent_handle == 0) { return STATUS_INVALID_PARAMETER; }
    struct eprocess *parent, *child;
    ntstatus_t status = MiReferenceProcess(os, parent_handle, event->text, &parent);
    if (!NT_SUCCESS(status)) { return status; }
    uint32_t sid = 0;
    if (section) { status = ObReferenceObjectByHandle(os, section, MI_OBJECT_SECTION, 0, &sid); }
    if (!NT_SUCCESS(status)) { return status; }
    const struct section_object *named = section ? MiLookupSection(os, sid) : NULL;
    if (section && !named) { return STATUS_INVALID_HANDLE; }
    struct section_object image = {0};
    if (named) { /* referenced: it may be closed while commit is waited for */
        image = *named;
        MiHoldControlArea(os, image.ControlArea);
    }
    status = STATUS_PROCESS_IS_TERMINATING;
    if (MiLockAddressCreation(os, parent)) {
        status = MiCreateProcessObject(os, MI_ARGUMENT(event, 0), parent, named ? &image : NULL, &child);
        MiUnlockAddressCreation(os, parent);
    }
    if (NT_SUCCESS(status)) {
        MiStore(os, child, EPROCESS_SECTION_HANDLE, section);
        MiStore(os, child, EPROCESS_DEBUG_PORT, MI_ARGUMENT(event, 6));
        MiStore(os, child, EPROCESS_EXCEPTION_PORT, MI_ARGUMENT(event, 7));
        if (MI_ARGUMENT(event, 4)) { MiInheritHandles(os, parent, child); }
        out[0] = MiInsertHandle(os, PsGetCurrentProcess(os), MI_OBJECT_PROCESS, child->Pid, access);
        out[1] = MiRead32(os, child->Address + EPROCESS_SECTION_BASE_ADDRESS);
    }
    if (image.ControlArea) { MiReleaseControlArea(os, image.ControlArea); } /* it may wait, and the child end */
    return status;
}

/* Flags of the current thread, NT-89: disable clustering, forward only */
static ntstatus_t MiCallSetClustering(struct os *os, struct eprocess *process, const struct event *event,
                                      uint64_t out[2]) {
    (void)process;
    (void)out;
    struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    if (!thread) { return STATUS_INVALID_HANDLE; }
    thread->DisablePageFaultClustering = MI_ARGUMENT(event, 0) != 0;
    thread->ForwardClusterOnly = MI_ARGUMENT(event, 1) != 0;
    return STATUS_SUCCESS;
}

bool MmIsRecursiveIoFault(struct os *os) {
    const struct ethread *thread = KeGetCurrentPrcb(os)->CurrentThread;
    return thread && (thread->DisablePageFaultClustering || thread->ForwardClusterOnly);
}

static ntstatus_t MiCallIsRecursiveIoFault(struct os *os, struct eprocess *process, const struct event *event,
                                           uint64_t out[2]) {
    (void)process;
    (void)event;
    out[0] = MmIsRecursiveIoFault(os);
    return STATUS_SUCCESS;
}

const struct mi_export MiProcessExports[] = {
    {"NtCreateProcess", 8, MI_NO_HANDLE, MiCallCreateProcess},
    {"PsSetPageFaultClustering", 2, MI_NO_HANDLE, MiCallSetClustering},
    {"MmIsRecursiveIoFault", 0, MI_NO_HANDLE, MiCallIsRecursiveIoFault},
    {0},
};
