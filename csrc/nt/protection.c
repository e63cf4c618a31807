/* Conversion between Win32 protections (PAGE_*) and the five-bit protection mask, NT-11. */
#include "ntmmu/pte.h"

#define PAGE_GUARD     0x100u
#define PAGE_NOCACHE   0x200u
#define PAGE_BASE_BITS 0xFFu

/* Index = number of the base bit: NOACCESS, READONLY, READWRITE, WRITECOPY, then the same with EXECUTE. */
static const uint8_t mask_of_bit[8] = {MM_NOACCESS, MM_READONLY,     MM_READWRITE,         MM_WRITECOPY,
                                       MM_EXECUTE,  MM_EXECUTE_READ, MM_EXECUTE_READWRITE, MM_EXECUTE_WRITECOPY};

int MiMakeProtectionMask(uint32_t win32) {
    if (win32 & ~(PAGE_BASE_BITS | PAGE_GUARD | PAGE_NOCACHE)) { return -1; }
    uint32_t base = win32 & PAGE_BASE_BITS;
    if (base == 0 || (base & (base - 1)) != 0) { return -1; }
    unsigned mask = mask_of_bit[__builtin_ctz(base)];
    bool guard = win32 & PAGE_GUARD, nocache = win32 & PAGE_NOCACHE;
    if ((guard && nocache) || ((guard || nocache) && mask == MM_NOACCESS)) { return -1; }
    return (int)(mask | (guard ? MM_GUARD_PAGE : 0) | (nocache ? MM_NOCACHE : 0));
}

uint32_t MiProtectionToWin32(unsigned mask) {
    unsigned base = mask == MM_NOACCESS ? MM_NOACCESS : mask & 7u;
    for (unsigned bit = 0; bit < 8; bit++) {
        if (mask_of_bit[bit] == base) {
            uint32_t win32 = 1u << bit;
            if (base == MM_NOACCESS) { return win32; }
            return win32 | (mask & MM_GUARD_PAGE ? PAGE_GUARD : 0) | (mask & MM_NOCACHE ? PAGE_NOCACHE : 0);
        }
    }
    return 1; /* zero access and decommitted: PAGE_NOACCESS */
}
