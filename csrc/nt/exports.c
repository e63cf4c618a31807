/* Which functions can be called by name: the tables of the subjects' files, and the catalogue of what NT4's kernel
 * exports of its memory manager (NT-98). */
#include "exports.h"

#include "ntmmu/nt_exports.h"

#include <string.h>

/* What is a variable or a constant: its value is handed back. */
static ntstatus_t MiCallConstant(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2]) {
    static const struct {
        const char *name;
        uint32_t value;
    } constants[] = {
        {"MmHighestUserAddress", MM_HIGHEST_USER_ADDRESS},
        {"MmSystemRangeStart", MM_SYSTEM_RANGE_START},
        {"MmUserProbeAddress", MM_USER_PROBE_ADDRESS},
        {"MmSectionObjectType", MM_SECTION_OBJECT_TYPE},
        {"MmIsThisAnNtAsSystem", 0},
        {"MmQuerySystemSize", 1}, /* medium */
    };
    (void)os;
    (void)process;
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (strcmp(constants[i].name, event->text) == 0) { out[0] = constants[i].value; }
    }
    return STATUS_SUCCESS;
}

const struct mi_export MiConstantExports[] = {
    {"MmHighestUserAddress", 0, MI_NO_HANDLE, MiCallConstant},
    {"MmSystemRangeStart", 0, MI_NO_HANDLE, MiCallConstant},
    {"MmUserProbeAddress", 0, MI_NO_HANDLE, MiCallConstant},
    {"MmSectionObjectType", 0, MI_NO_HANDLE, MiCallConstant},
    {"MmIsThisAnNtAsSystem", 0, MI_NO_HANDLE, MiCallConstant},
    {"MmQuerySystemSize", 0, MI_NO_HANDLE, MiCallConstant},
    {0},
};

/* One table a line. */
/* clang-format off */
static const struct mi_export *const tables[] = {
    MiVirtualMemoryExports,
    MiExceptionExports,
    MiConstantExports,
    MiRtlExports,
    MiProbeExports,
    MiReadWriteExports,
    MiReadFileExports,
    MiHandleExports,
    MiSystemPteExports,
    MiSectionExports,
    MiMdlExports,
    MiPoolExports,
    MiPagingFileExports,
    MiProcessExports,
    MiDriverExports,
    MiLockExports,
    MiWorkingSetExports,
};
/* clang-format on */

const struct nt_export nt_exports[NT_EXPORTS] = {
    {467, "MmAdjustWorkingSetSize", 'F', false, 36},
    {468, "MmAllocateContiguousMemory", 'F', true, 91},
    {469, "MmAllocateNonCachedMemory", 'F', true, 91},
    {470, "MmBuildMdlForNonPagedPool", 'F', true, 88},
    {471, "MmCanFileBeTruncated", 'F', false, 67},
    {472, "MmCreateMdl", 'F', true, 86},
    {473, "MmCreateSection", 'F', false, 65},
    {474, "MmDbgTranslatePhysicalAddress", 'S', false, 19},
    {475, "MmDisableModifiedWriteOfSection", 'F', false, 67},
    {476, "MmFlushImageSection", 'F', false, 67},
    {477, "MmForceSectionClosed", 'F', false, 67},
    {478, "MmFreeContiguousMemory", 'F', true, 91},
    {479, "MmFreeNonCachedMemory", 'F', true, 91},
    {480, "MmGetPhysicalAddress", 'F', true, 19},
    {481, "MmGrowKernelStack", 'F', false, 92},
    {482, "MmHighestUserAddress", 'C', false, 6},
    {483, "MmIsAddressValid", 'F', true, 19},
    {484, "MmIsNonPagedSystemAddressValid", 'F', true, 19},
    {485, "MmIsRecursiveIoFault", 'F', false, 89},
    {486, "MmIsThisAnNtAsSystem", 'C', true, 89},
    {487, "MmLockPagableDataSection", 'F', true, 85},
    {488, "MmLockPagableImageSection", 'F', false, 85},
    {489, "MmLockPagableSectionByHandle", 'F', true, 85},
    {490, "MmMapIoSpace", 'F', true, 91},
    {491, "MmMapLockedPages", 'F', true, 88},
    {492, "MmMapMemoryDumpMdl", 'S', false, 88},
    {493, "MmMapVideoDisplay", 'S', false, 91},
    {494, "MmMapViewInSystemSpace", 'F', false, 66},
    {495, "MmMapViewOfSection", 'F', false, 66},
    {496, "MmPageEntireDriver", 'F', true, 85},
    {497, "MmProbeAndLockPages", 'F', true, 87},
    {498, "MmQuerySystemSize", 'C', true, 89},
    {499, "MmResetDriverPaging", 'F', true, 85},
    {500, "MmSectionObjectType", 'C', false, 65},
    {501, "MmSecureVirtualMemory", 'F', false, 89},
    {502, "MmSetAddressRangeModified", 'F', false, 67},
    {503, "MmSetBankedSection", 'S', false, 89},
    {504, "MmSizeOfMdl", 'F', true, 86},
    {505, "MmSystemRangeStart", 'C', false, 6},
    {506, "MmUnlockPagableImageSection", 'F', true, 85},
    {507, "MmUnlockPages", 'F', true, 87},
    {508, "MmUnmapIoSpace", 'F', true, 91},
    {509, "MmUnmapLockedPages", 'F', true, 88},
    {510, "MmUnmapVideoDisplay", 'S', false, 91},
    {511, "MmUnmapViewInSystemSpace", 'F', false, 66},
    {512, "MmUnmapViewOfSection", 'F', false, 66},
    {513, "MmUnsecureVirtualMemory", 'F', false, 89},
    {514, "MmUserProbeAddress", 'C', false, 6},
};

const struct mi_export *MiFindExport(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct mi_export *export = tables[i]; export->Name; export ++) {
            if (strcmp(export->Name, name) == 0) { return export; }
        }
    }
    return NULL;
}

const struct mi_export *MiNumberedExport(unsigned number) {
    unsigned count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct mi_export *export = tables[i]; export->Name; export ++) { count++; }
    }
    number %= count;
    for (size_t i = 0;; i++) {
        for (const struct mi_export *export = tables[i]; export->Name; export ++) {
            if (number-- == 0) { return export; }
        }
    }
}

uint32_t nt_wide_arguments(const struct event *event) {
    const struct mi_export *export = event->kind == EV_CALL ? MiFindExport(event->text) : NULL;
    return export ? export->Arguments / MI_WIDE(0) : UINT32_MAX;
}

bool nt_export_callable(const char *name) { return MiFindExport(name) != NULL; }
