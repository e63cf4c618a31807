/* `call` entries of sections (NT-98): a section is named by its number in the trace, and so is a file, by a section
 * made of it: an open one, or the first that named the file. */
#include "exports.h"

/* Kernel functions are given the SECTION_OBJECT and the FILE_OBJECT (NT-66, NT-105), or the number. */
static const struct section_object *MiSectionByPointer(const struct os *os, uint32_t pointer) {
    const struct section_object *section = os->Sections;
    while (section && section->Address != pointer) { section = section->Next; }
    return section ? section : MiLookupSection(os, pointer);
}

static struct file_object *MiFileByPointer(const struct os *os, uint32_t pointer) {
    struct file_object *file = os->Files;
    while (file && file->Address != pointer) { file = file->Next; }
    return file ? file : MiLookupFile(os, pointer);
}

static ntstatus_t MiMapSection(struct os *os, const struct section_object *section, struct eprocess *process,
                               const struct event *event, uint64_t out[2]) {
    if (section == NULL) { return STATUS_INVALID_HANDLE; }
    uint32_t base = MI_ARGUMENT(event, 2), size = MI_ARGUMENT(event, 6);
    uint64_t offset = event->args.arg[5];
    ntstatus_t status =
        NtMapViewOfSection(os, section, process, &base, MI_ARGUMENT(event, 3), MI_ARGUMENT(event, 4), &offset, &size,
                           MI_ARGUMENT(event, 7), MI_ARGUMENT(event, 8), MI_ARGUMENT(event, 9));
    out[0] = base;
    out[1] = size;
    return status;
}

static ntstatus_t MiCallMapView(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t sid;
    ntstatus_t handle = ObReferenceObjectByHandle(os, MI_ARGUMENT(event, 0), MI_OBJECT_SECTION,
                                                  MiSectionAccess(MI_ARGUMENT(event, 9)), &sid);
    return NT_SUCCESS(handle) ? MiMapSection(os, MiLookupSection(os, sid), process, event, out) : handle;
}

static ntstatus_t MiCallMmMapView(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    return MiMapSection(os, MiSectionByPointer(os, MI_ARGUMENT(event, 0)), process, event, out);
}

static ntstatus_t MiCallUnmapView(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    out[0] = MI_ARGUMENT(event, 1);
    return NtUnmapViewOfSection(os, process, MI_ARGUMENT(event, 1));
}

/* SECTION MAXIMUM PROTECT ATTRIBUTES FILE; FILE 0: the paging file. */
static ntstatus_t MiCallCreateSection(struct os *os, struct eprocess *process, const struct event *event,
                                      uint64_t out[2]) {
    (void)process;
    out[0] = MI_ARGUMENT(event, 0);
    uint32_t id;
    ntstatus_t handle =
        ObReferenceObjectByHandle(os, MI_ARGUMENT(event, 4), MI_OBJECT_FILE, MiFileAccess(MI_ARGUMENT(event, 2)), &id);
    if (!NT_SUCCESS(handle)) { return handle; }
    struct file_object *file = id ? MiLookupFile(os, id) : NULL;
    if (id && !file) { return STATUS_INVALID_HANDLE; }
    return MmCreateSection(os, MI_ARGUMENT(event, 0), event->args.arg[1], MI_ARGUMENT(event, 2), MI_ARGUMENT(event, 3),
                           file);
}

/* The section comes back by pointer. */
static ntstatus_t MiCallMmCreateSection(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]) {
    (void)process;
    struct file_object *file = MI_ARGUMENT(event, 4) ? MiFileByPointer(os, MI_ARGUMENT(event, 4)) : NULL;
    if (MI_ARGUMENT(event, 4) && !file) { return STATUS_INVALID_HANDLE; }
    ntstatus_t status = MmCreateSection(os, MI_ARGUMENT(event, 0), event->args.arg[1], MI_ARGUMENT(event, 2),
                                        MI_ARGUMENT(event, 3), file);
    if (NT_SUCCESS(status)) { out[0] = MiLookupSection(os, MI_ARGUMENT(event, 0))->Address; }
    return status;
}

/* The status block's status comes back beside the base. */
static ntstatus_t MiCallFlush(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    uint32_t base = MI_ARGUMENT(event, 1), size = MI_ARGUMENT(event, 2);
    ntstatus_t io_status, status = NtFlushVirtualMemory(os, process, &base, &size, &io_status);
    out[0] = base;
    out[1] = io_status;
    return status;
}

static ntstatus_t MiCallSetModified(struct os *os, struct eprocess *process, const struct event *event,
                                    uint64_t out[2]) {
    (void)process;
    out[0] = MI_ARGUMENT(event, 0);
    MmSetAddressRangeModified(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1));
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallMapInSystemSpace(struct os *os, struct eprocess *process, const struct event *event,
                                         uint64_t out[2]) {
    (void)process;
    const struct section_object *section = MiSectionByPointer(os, MI_ARGUMENT(event, 0));
    if (!section) { return STATUS_INVALID_HANDLE; }
    uint32_t base = 0, size = MI_ARGUMENT(event, 1);
    ntstatus_t status = MmMapViewInSystemSpace(os, section, &base, &size);
    out[0] = base;
    out[1] = size;
    return status;
}

static ntstatus_t MiCallUnmapInSystemSpace(struct os *os, struct eprocess *process, const struct event *event,
                                           uint64_t out[2]) {
    (void)process;
    out[0] = MI_ARGUMENT(event, 0);
    return MmUnmapViewInSystemSpace(os, MI_ARGUMENT(event, 0));
}

/* ADDRESS SIZE MODE; the handle, 0: refused. */
static ntstatus_t MiCallSecure(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    (void)process;
    out[0] = MmSecureVirtualMemory(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2));
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallUnsecure(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    (void)process;
    out[0] = MmUnsecureVirtualMemory(os, MI_ARGUMENT(event, 0));
    return STATUS_SUCCESS;
}

/* PROCESS ADDRESS BANKBYTES */
static ntstatus_t MiCallSetBanked(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    out[0] = MI_ARGUMENT(event, 1);
    return MmSetBankedSection(os, process, MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2));
}

/* The functions below answer TRUE or FALSE; a file that nobody has named has no section pointers, so nothing stands in
 * the way. */
static ntstatus_t MiCallFlushImageSection(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    struct file_object *file = MiLookupFile(os, MI_ARGUMENT(event, 0));
    out[0] = file ? MmFlushImageSection(os, file, MI_ARGUMENT(event, 1)) : true;
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallCanFileBeTruncated(struct os *os, struct eprocess *process, const struct event *event,
                                           uint64_t out[2]) {
    (void)process;
    struct file_object *file = MiLookupFile(os, MI_ARGUMENT(event, 0));
    out[0] = file ? MmCanFileBeTruncated(os, file, event->args.arg[1]) : true;
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallForceSectionClosed(struct os *os, struct eprocess *process, const struct event *event,
                                           uint64_t out[2]) {
    (void)process;
    struct file_object *file = MiLookupFile(os, MI_ARGUMENT(event, 0));
    out[0] = file ? MmForceSectionClosed(os, file, MI_ARGUMENT(event, 1)) : true;
    return STATUS_SUCCESS;
}

static ntstatus_t MiCallDisableModifiedWrite(struct os *os, struct eprocess *process, const struct event *event,
                                             uint64_t out[2]) {
    (void)process;
    struct file_object *file = MiLookupFile(os, MI_ARGUMENT(event, 0));
    out[0] = file ? MmDisableModifiedWriteOfSection(os, file) : false;
    return STATUS_SUCCESS;
}

const struct mi_export MiSectionExports[] = {
    {"NtCreateSection", 5 | MI_WIDE(1), MI_NO_HANDLE, MiCallCreateSection},
    {"MmCreateSection", 5 | MI_WIDE(1), MI_NO_HANDLE, MiCallMmCreateSection},
    {"NtMapViewOfSection", 10 | MI_WIDE(5), 1, MiCallMapView},
    {"MmMapViewOfSection", 10 | MI_WIDE(5), 1 | MI_POINTER, MiCallMmMapView},
    {"NtUnmapViewOfSection", 2, 0, MiCallUnmapView},
    {"MmUnmapViewOfSection", 2, 0 | MI_POINTER, MiCallUnmapView},
    {"MmFlushImageSection", 2, MI_NO_HANDLE, MiCallFlushImageSection},
    {"MmCanFileBeTruncated", 2 | MI_WIDE(1), MI_NO_HANDLE, MiCallCanFileBeTruncated},
    {"MmForceSectionClosed", 2, MI_NO_HANDLE, MiCallForceSectionClosed},
    {"MmDisableModifiedWriteOfSection", 1, MI_NO_HANDLE, MiCallDisableModifiedWrite},
    {"MmMapViewInSystemSpace", 2, MI_NO_HANDLE, MiCallMapInSystemSpace},
    {"MmUnmapViewInSystemSpace", 1, MI_NO_HANDLE, MiCallUnmapInSystemSpace},
    {"NtFlushVirtualMemory", 3, 0, MiCallFlush},
    {"MmSetAddressRangeModified", 2, MI_NO_HANDLE, MiCallSetModified},
    {"MmSecureVirtualMemory", 3, MI_NO_HANDLE, MiCallSecure},
    {"MmUnsecureVirtualMemory", 1, MI_NO_HANDLE, MiCallUnsecure},
    {"MmSetBankedSection", 3, 0, MiCallSetBanked},
    {0},
};
