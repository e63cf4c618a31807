/* The protection mask, NT-11: five bits, as page-table entries hold them in bits 5..9 and as a trace names them
 * (na r rw wc x xr xrw xwc, +g, +nc). */
#ifndef NTMMU_PROTECTION_H
#define NTMMU_PROTECTION_H

enum {
    MM_ZERO_ACCESS = 0,
    MM_READONLY = 1,
    MM_EXECUTE = 2,
    MM_EXECUTE_READ = 3,
    MM_READWRITE = 4,
    MM_WRITECOPY = 5,
    MM_EXECUTE_READWRITE = 6,
    MM_EXECUTE_WRITECOPY = 7,
    MM_NOCACHE = 8,
    MM_GUARD_PAGE = 0x10,
    MM_DECOMMIT = 0x10,
    MM_NOACCESS = 0x18
};

#endif
