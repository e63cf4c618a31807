/* NTSTATUS values and stop codes the kernel model uses (NT-04), with their names. */
#ifndef NTMMU_STATUS_H
#define NTMMU_STATUS_H

#include "ntmmu/types.h"

#define NT_SUCCESS(status) ((int32_t)(status) >= 0)

#define NTSTATUS_TABLE(X)                                                                                              \
    X(0x00000000, SUCCESS)                                                                                             \
    X(0x00000102, TIMEOUT)                                                                                             \
    X(0x00000103, PENDING)                                                                                             \
    X(0xC0000185, IO_DEVICE_ERROR)                                                                                     \
    X(0x00000110, PAGE_FAULT_TRANSITION) X(0x00000111, PAGE_FAULT_DEMAND_ZERO) X(0x00000112, PAGE_FAULT_COPY_ON_WRITE) \
        X(0x00000113, PAGE_FAULT_GUARD_PAGE) X(0x00000114, PAGE_FAULT_PAGING_FILE) X(0x40000003, IMAGE_NOT_AT_BASE) X( \
            0x40000019, WAS_LOCKED) X(0x80000001, GUARD_PAGE_VIOLATION) X(0x80000002, DATATYPE_MISALIGNMENT)           \
            X(0x8000000D, PARTIAL_COPY) X(0xC0000003, INVALID_INFO_CLASS) X(0xC0000004, INFO_LENGTH_MISMATCH) X(       \
                0xC0000005, ACCESS_VIOLATION) X(0xC0000006, IN_PAGE_ERROR) X(0xC0000007, PAGEFILE_QUOTA)               \
                X(0xC0000008, INVALID_HANDLE) X(0xC000000D, INVALID_PARAMETER) X(0xC0000011, END_OF_FILE) X(           \
                    0xC0000017, NO_MEMORY) X(0xC0000018, CONFLICTING_ADDRESSES) X(0xC0000019, NOT_MAPPED_VIEW)         \
                    X(0xC000001A, UNABLE_TO_FREE_VM) X(0xC000001B, UNABLE_TO_DELETE_SECTION) X(                        \
                        0xC000001F, INVALID_VIEW_SIZE) X(0xC0000020, INVALID_FILE_FOR_SECTION)                         \
                        X(0xC0000021, ALREADY_COMMITTED) X(0xC0000022, ACCESS_DENIED) X(                               \
                            0xC0000024, OBJECT_TYPE_MISMATCH) X(0xC000002A, NOT_LOCKED) X(0xC000002D, NOT_COMMITTED)   \
                            X(0xC0000030, INVALID_PARAMETER_MIX) X(0xC0000040, SECTION_TOO_BIG) X(                     \
                                0xC0000044, QUOTA_EXCEEDED) X(0xC0000045, INVALID_PAGE_PROTECTION)                     \
                                X(0xC000004C, BAD_WORKING_SET_LIMIT) X(0xC000004D, INCOMPATIBLE_FILE_MAP) X(           \
                                    0xC000004E,                                                                        \
                                    SECTION_PROTECTION) X(0xC0000054, FILE_LOCK_CONFLICT)                              \
                                    X(0xC0000061, PRIVILEGE_NOT_HELD) X(0xC000007B, INVALID_IMAGE_FORMAT) X(           \
                                        0xC0000087,                                                                    \
                                        SECTION_NOT_EXTENDED) X(0xC0000088, NOT_MAPPED_DATA)                           \
                                        X(0xC0000097, TOO_MANY_PAGING_FILES) X(0xC000009A, INSUFFICIENT_RESOURCES) X(  \
                                            0xC000009F,                                                                \
                                            FREE_VM_NOT_AT_BASE) X(0xC00000A0, MEMORY_NOT_ALLOCATED)                   \
                                            X(0xC00000A1, WORKING_SET_QUOTA) X(0xC00000EF, INVALID_PARAMETER_1) X(     \
                                                0xC00000F0,                                                            \
                                                INVALID_PARAMETER_2) X(0xC00000F1, INVALID_PARAMETER_3)                \
                                                X(0xC00000F2, INVALID_PARAMETER_4) X(0xC00000F3, INVALID_PARAMETER_5)  \
                                                    X(0xC00000F4,                                                      \
                                                      INVALID_PARAMETER_6) X(0xC00000F6, INVALID_PARAMETER_8)          \
                                                        X(0xC00000F7,                                                  \
                                                          INVALID_PARAMETER_9) X(0xC00000FD, STACK_OVERFLOW)           \
                                                            X(0xC000010A, PROCESS_IS_TERMINATING) X(                   \
                                                                0xC000011E,                                            \
                                                                MAPPED_FILE_SIZE_ZERO) X(0xC0000121, CANNOT_DELETE)    \
                                                                X(0xC000012C, PAGEFILE_QUOTA_EXCEEDED)                 \
                                                                    X(0xC000012D,                                      \
                                                                      COMMITMENT_LIMIT) X(0xC0000141, INVALID_ADDRESS) \
                                                                        X(0xC0000147, NO_PAGEFILE)                     \
                                                                            X(0xC0000220, MAPPED_ALIGNMENT)            \
                                                                                X(0xC0000243, USER_MAPPED_FILE)        \
                                                                                    X(0xC0000420, ASSERTION_FAILURE)

#define NTSTATUS_ENUM(value, name) STATUS_##name = value,
enum { NTSTATUS_TABLE(NTSTATUS_ENUM) };
#undef NTSTATUS_ENUM

#define BUGCHECK_TABLE(X)                                                                                              \
    X(0x05, INVALID_PROCESS_ATTACH_ATTEMPT)                                                                            \
    X(0x0A, IRQL_NOT_LESS_OR_EQUAL)                                                                                    \
    X(0x19, BAD_POOL_HEADER)                                                                                           \
    X(0x1A, MEMORY_MANAGEMENT) X(0x1E, KMODE_EXCEPTION_NOT_HANDLED) X(0x3F, NO_MORE_SYSTEM_PTES)                       \
        X(0x41, MUST_SUCCEED_POOL_EMPTY) X(0x4D, NO_PAGES_AVAILABLE) X(0x4E, PFN_LIST_CORRUPT)                         \
            X(0x50, PAGE_FAULT_IN_NONPAGED_AREA) X(0x76, PROCESS_HAS_LOCKED_PAGES) X(0x77, KERNEL_STACK_INPAGE_ERROR)  \
                X(0x7A, KERNEL_DATA_INPAGE_ERROR) X(0x7F, UNEXPECTED_KERNEL_MODE_TRAP)                                 \
                    X(0xBE, ATTEMPTED_WRITE_TO_READONLY_MEMORY) X(0xC2, BAD_POOL_CALLER)                               \
                        X(0xD1, DRIVER_IRQL_NOT_LESS_OR_EQUAL)

#define BUGCHECK_ENUM(value, name) BUGCHECK_##name = value,
enum { BUGCHECK_TABLE(BUGCHECK_ENUM) };
#undef BUGCHECK_ENUM

/* "STATUS_ACCESS_VIOLATION", or NULL if unknown. */
const char *ntstatus_name(uint32_t status);
const char *bugcheck_name(uint32_t code);

#endif
