/* Where a process object has its fields, NT-70: the body is 1F8 bytes of nonpaged pool, a KPROCESS first. And those of
 * the VM structure in it, NT-29, of which the system working set has one by itself. */
#ifndef NTMMU_EPROCESS_H
#define NTMMU_EPROCESS_H

enum eprocess_field {
    EPROCESS_DIRECTORY_TABLE_BASE = 0x18, /* two dwords */
    EPROCESS_IOPM_OFFSET = 0x30,          /* word */
    EPROCESS_ACTIVE_PROCESSORS = 0x34,
    EPROCESS_AFFINITY = 0x5C,
    EPROCESS_BASE_PRIORITY = 0x62, /* byte */
    EPROCESS_UNIQUE_PROCESS_ID = 0x94,
    EPROCESS_VM = 0xC8, /* NT-29 */
    EPROCESS_DEBUG_PORT = 0xFC,
    EPROCESS_EXCEPTION_PORT = 0x100,
    EPROCESS_WORKING_SET_LOCK = 0x10C, /* fast mutex: count, owner */
    EPROCESS_WORKING_SET_PAGE = 0x12C,
    EPROCESS_ADDRESS_CREATION_LOCK = 0x134, /* fast mutex */
    EPROCESS_PAGE_DIRECTORY_PTE = 0x154,    /* of an outswapped process, NT-76 */
    EPROCESS_VAD_ROOT = 0x170,
    EPROCESS_SECTION_HANDLE = 0x188,
    EPROCESS_SECTION_BASE_ADDRESS = 0x190,
    EPROCESS_INHERITED_FROM = 0x1A4,
    EPROCESS_GRANTED_ACCESS = 0x1A8,
    EPROCESS_HARD_ERROR_MODE = 0x1AC,
    EPROCESS_IMAGE_FILE_NAME = 0x1DC, /* 16 bytes */
    EPROCESS_SIZE = 0x1F8
};

enum vm_field {
    VM_PAGE_FAULT_COUNT = 0x0C,
    VM_PEAK_WORKING_SET_SIZE = 0x10,
    VM_WORKING_SET_SIZE = 0x14,
    VM_MINIMUM_WORKING_SET = 0x18,
    VM_MAXIMUM_WORKING_SET = 0x1C,
    VM_WORKING_SET_LIST = 0x20,
    VM_WORKING_SET_LINKS = 0x24, /* next, previous */
    VM_FLAGS = 0x2C
};

#endif
