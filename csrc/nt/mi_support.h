/* What the memory manager shares with the rest of the executive: locks, exceptions, Rtl functions, objects and handles,
 * drivers. Part of mi.h, which includes it. */
#ifndef NTMMU_MI_SUPPORT_H
#define NTMMU_MI_SUPPORT_H

#include "mi.h"

/* ---- locks.c: NT-03. Breaking a rule is an assertion. ---- */
_Noreturn void MiLockViolation(struct os *os, const char *rule);
unsigned MiLockPfn(struct os *os); /* raises to DISPATCH level; the level before */
void MiUnlockPfn(struct os *os, unsigned irql);
void MiLockWorkingSet(struct os *os, struct mmsupport *vm);
void MiUnlockWorkingSet(struct os *os, struct mmsupport *vm);
bool MiLockAddressCreation(struct os *os, struct eprocess *process); /* may wait; false: the process ends */
void MiAbandonAddressCreation(struct os *os, struct eprocess *process, const struct ethread *owner);
/* Before the process ends: waits while a thread of another process has the mutex, and takes it from the process's own.
 * False: it ends already. */
bool MiEndAddressCreation(struct os *os, struct eprocess *process);
void MiUnlockAddressCreation(struct os *os, struct eprocess *process);
struct mi_locks MiReleaseLocksToWait(struct os *os);
void MiTakeLocksAfterWait(struct os *os, const struct mi_locks *held);
/* The PFN lock around a list operation, which leaves the level alone. */
static inline void MiEnterPfnLock(struct os *os) {
    if (os->Locks.Pfn) { MiLockViolation(os, "the PFN lock is taken twice"); }
    os->Locks.Pfn = true;
}
static inline void MiLeavePfnLock(struct os *os) {
    if (!os->Locks.Pfn) { MiLockViolation(os, "the PFN lock is released and not held"); }
    os->Locks.Pfn = false;
}

/* ---- raise.c: NT-05. Both return the status, for the service to return at once. ---- */
ntstatus_t MiRaise(struct os *os, ntstatus_t status, uint64_t p0, uint64_t p1, uint64_t p2);
ntstatus_t ExRaiseStatus(struct os *os, ntstatus_t status);

/* ---- rtl.c: NT-93, probe.c: NT-90, readwrite.c: NT-81. What fails is raised (MiRaise). ---- */
ntstatus_t MiCopyBytes(struct os *os, va_t to, va_t from, uint32_t length); /* within a page on both sides */
ntstatus_t RtlCopyMemory(struct os *os, va_t to, va_t from, uint32_t length);
ntstatus_t RtlMoveMemory(struct os *os, va_t to, va_t from, uint32_t length);
ntstatus_t RtlFillMemory(struct os *os, va_t to, uint32_t length, uint8_t byte);
ntstatus_t RtlCompareMemory(struct os *os, va_t a, va_t b, uint32_t length, uint32_t *equal);
void MiInitializeRandom(struct os *os);
uint32_t RtlRandom(struct os *os, uint32_t *seed);
ntstatus_t ProbeForRead(struct os *os, va_t va, uint32_t length, uint32_t alignment);
ntstatus_t ProbeForWrite(struct os *os, va_t va, uint32_t length, uint32_t alignment);
ntstatus_t NtReadVirtualMemory(struct os *os, struct eprocess *process, va_t start, va_t buffer, uint32_t bytes,
                               uint32_t *moved);
ntstatus_t NtWriteVirtualMemory(struct os *os, struct eprocess *process, va_t start, va_t buffer, uint32_t bytes,
                                uint32_t *moved);

/* ---- psobject.c: the EPROCESS in memory, NT-70, NT-72 ---- */
void PspClearProcessObject(struct os *os, const struct eprocess *process);
void PspStoreImageName(struct os *os, const struct eprocess *process);
void PspInitializeProcessObject(struct os *os, const struct eprocess *process, const struct eprocess *parent);
bool MmIsRecursiveIoFault(struct os *os); /* NT-89 */

/* ---- driver.c: NT-85 ---- */
struct os_service_result MiServiceDriver(struct os *os, const struct event *event); /* drv+, drv- */
bool MiIsPageableDriverAddress(const struct os *os, va_t va);
void MiFreeDrivers(struct os *os); /* host memory, when the machine goes */

/* ---- obhandle.c: handles, NT-105 ---- */
enum mi_object_kind { MI_OBJECT_PROCESS = 1, MI_OBJECT_SECTION, MI_OBJECT_FILE };
ntstatus_t ObReferenceObjectByHandle(struct os *os, uint32_t value, enum mi_object_kind kind, uint32_t access,
                                     uint32_t *id);
ntstatus_t MiProcessByPointer(struct os *os, uint32_t pointer, struct eprocess **process);
uint32_t MiSectionAccess(uint32_t protect);
uint32_t MiFileAccess(uint32_t protect);
/* The process that the service's handle names. */
ntstatus_t MiReferenceProcess(struct os *os, uint32_t value, const char *service, struct eprocess **process);
uint32_t MiInsertHandle(struct os *os, const struct eprocess *owner, enum mi_object_kind kind, uint32_t id,
                        uint32_t access); /* its value */
void MiInheritHandles(struct os *os, const struct eprocess *parent, const struct eprocess *child);
void MiCloseHandles(struct os *os, const struct eprocess *process); /* NULL: everybody's */

#endif
