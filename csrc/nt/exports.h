/* Functions that a trace's `call NAME ARG…` and C code (ntmmu/nt_exports.h) reach. Each subject's file has a table of
 * its own, ended by an entry without a name; exports.c lists the tables. */
#ifndef NTMMU_MI_EXPORTS_H
#define NTMMU_MI_EXPORTS_H

#include "mi.h"

/* process: whom the handle names, attached to; without a handle the current one. out: what the function hands back
 * besides its status: rounded base and size, address, value, boolean. */
typedef ntstatus_t (*mi_export_routine)(struct os *os, struct eprocess *process, const struct event *event,
                                        uint64_t out[2]);

#define MI_NO_HANDLE          0xFFu
#define MI_NO_ATTACH          0x40u /* or'ed to the position: the function attaches by itself */
#define MI_POINTER            0x20u /* likewise: a kernel function, which takes the object and no handle */
#define MI_ARGUMENTS(export)  ((export)->Arguments & 0x1Fu)
#define MI_WIDE(n)            (0x20u << (n)) /* or'ed to the number of arguments: this one has 64 bits */
#define MI_ARGUMENT(event, n) ((uint32_t)(event)->args.arg[n])

struct mi_export {
    const char *Name;
    uint16_t Arguments; /* exactly so many, and which of them are wide */
    uint8_t Handle;     /* position of the process handle, or MI_NO_HANDLE */
    mi_export_routine Routine;
};

/* One line a table, here and in exports.c. */
extern const struct mi_export MiVirtualMemoryExports[]; /* call.c */
extern const struct mi_export MiExceptionExports[];     /* raise.c */
extern const struct mi_export MiPagingFileExports[];    /* pagefile.c */
extern const struct mi_export MiWorkingSetExports[];    /* wscall.c */
extern const struct mi_export MiConstantExports[];      /* exports.c */
extern const struct mi_export MiRtlExports[];           /* rtl.c */
extern const struct mi_export MiProbeExports[];         /* probe.c */
extern const struct mi_export MiReadWriteExports[];     /* readwrite.c */
extern const struct mi_export MiReadFileExports[];      /* readfile.c */
extern const struct mi_export MiLockExports[];          /* locks.c */
extern const struct mi_export MiDriverExports[];        /* driver.c */
extern const struct mi_export MiProcessExports[];       /* psobject.c */
extern const struct mi_export MiHandleExports[];        /* obhandle.c */
extern const struct mi_export MiSystemPteExports[];     /* callkernel.c */
extern const struct mi_export MiSectionExports[];       /* sectcall.c */
extern const struct mi_export MiMdlExports[];           /* callmdl.c */
extern const struct mi_export MiPoolExports[];          /* callpool.c */

const struct mi_export *MiFindExport(const char *name); /* NULL: no such function */
const struct mi_export *MiNumberedExport(unsigned number); /* one of all, number modulo how many they are */

#endif
