/* What the files about working sets, commit and quotas offer. mi.h includes this. */
#ifndef NTMMU_MI_WS_H
#define NTMMU_MI_WS_H

#include "mi.h"

/* ---- wslist.c: NT-29..34, NT-37, NT-38 ---- */
void MiInitializeWorkingSetList(struct os *os, struct eprocess *process); /* attached to it; NT-38 */
void MiInitializeSystemWorkingSet(struct os *os);
struct mmwsl MiReadWorkingSetList(struct os *os, const struct mmsupport *vm);
void MiWriteWorkingSetList(struct os *os, struct mmsupport *vm, const struct mmwsl *list);
uint32_t MiReadWsle(struct os *os, const struct mmsupport *vm, uint32_t index);
void MiWriteWsle(struct os *os, const struct mmsupport *vm, uint32_t index, uint32_t old, uint32_t value);
/* NT-34 step 4, for the page at coming; false: none is evictable. */
bool MiReplaceWorkingSetEntry(struct os *os, struct mmsupport *vm, va_t coming);
/* wshash.c, NT-32. The header is the caller's copy, which it writes back. */
bool MiHashLookup(struct os *os, const struct mmsupport *vm, const struct mmwsl *list, va_t va, uint32_t *index);
void MiHashInsert(struct os *os, const struct mmsupport *vm, struct mmwsl *list, va_t va, uint32_t index);
void MiHashRemove(struct os *os, const struct mmsupport *vm, struct mmwsl *list, va_t va);
va_t MiHashAddress(const struct mmsupport *vm); /* 0: it has none */
bool MiHashMustGrow(const struct mmsupport *vm, const struct mmwsl *list);
void MiHashGrow(struct os *os, struct mmsupport *vm, struct mmwsl *list); /* needs a frame */
/* Maps a zeroed frame at va for the list's own use: the table, or the hash. Needs a frame and a free entry. */
void MiAddWorkingSetPage(struct os *os, struct mmsupport *vm, struct mmwsl *list, va_t va);
/* Every page about to become valid in a working set. Finds an entry (may grow the list or replace a page) and enters
 * it; sets PFN.u1 for a direct entry. shared: through a prototype PTE. protection: 0 = same as the prototype's. Returns
 * the index. */
uint32_t MiAddValidPageToWorkingSet(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, bool shared,
                                    unsigned protection);
uint32_t MiLocateWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame); /* index; bugchecks if absent */
void MiRemoveWsle(struct os *os, struct mmsupport *vm, uint32_t index);           /* entry freed, size falls */
/* The page at va became private (copied): entry becomes va|401 and PFN.u1 of the new frame its index. */
void MiMakeWslePrivate(struct os *os, struct mmsupport *vm, va_t va, pfn_t old_frame, pfn_t new_frame);
/* A shared page's protection of its own; 0 = the prototype's. */
void MiSetWsleProtection(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, unsigned protection);
/* A locked entry is exchanged into the fixed part, and out of it again when its last lock goes; false: no such change.
 */
bool MiLockWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, uint32_t bits);
bool MiUnlockWsle(struct os *os, struct mmsupport *vm, va_t va, pfn_t frame, uint32_t bits);
/* Undoes MiLocateAndReserveWsle for a fault that is given up; PageFaultCount stays. */
void MiReleaseWsle(struct os *os, struct mmsupport *vm, uint32_t index);
/* balance.c: NT-29, NT-35, NT-36 */
void MiWriteVm(struct os *os, const struct mmsupport *vm); /* whenever one of its fields has changed */
void MiInsertInExpansionList(struct os *os, struct mmsupport *vm);
void MiRemoveFromExpansionList(struct os *os, struct mmsupport *vm);
void MiInitializeExpansionList(struct os *os);
void MmWorkingSetManager(struct os *os);
void MiBalanceSetManagerTick(struct os *os);
ntstatus_t MmAdjustWorkingSetSize(struct os *os, uint32_t minimum, uint32_t maximum, struct mmsupport *vm);
struct mmsupport *MiLookupVm(struct os *os, va_t address); /* 0: the current process's; NULL: none there */
/* One ageing pass of NT5 over a list that is addressable. */
void MiAgeWorkingSet(struct os *os, struct mmsupport *vm);
bool MiEliminateWorkingSetEntry(struct os *os, struct mmsupport *vm, uint32_t index); /* NT-33; false: not evictable */
uint32_t MiTrimWorkingSet(struct os *os, uint32_t count, struct mmsupport *vm, bool force); /* NT-35 */
/* Used-PTE counter of the page table of a user va (NT-37). Decrement returns what is left. */
void MiIncrementUsedPteCount(struct os *os, va_t va);
uint32_t MiDecrementUsedPteCount(struct os *os, va_t va);
/* Deletes the page table of va if its used count is 0 (P33; NT-07 row PDE): PDE 0, INVLPG of its window, CR3. */
void MiDeletePageTableIfUnused(struct os *os, va_t va);

/* lockvm.c, NT-80; in the process's context */
ntstatus_t NtLockVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size, uint32_t kind,
                               bool privilege);
ntstatus_t NtUnlockVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size, uint32_t kind,
                                 bool privilege);
struct os_service_result MiServiceLock(struct os *os, const struct event *event);
/* queryvm.c, NT-82; in the caller's context. actual: bytes returned, or the count of a list that did not fit. */
struct mmquery {
    va_t Address, Buffer, ActualPointer;
    uint32_t Class, Length;
};
ntstatus_t NtQueryVirtualMemory(struct os *os, struct eprocess *process, const struct mmquery *query, uint32_t *actual);

/* ---- commit.c: NT-95; at the limit a charge may wait. dereference.c: NT-106 ---- */
/* Without quota: false is COMMITMENT_LIMIT. */
bool MiChargeCommitment(struct os *os, uint32_t pages, struct eprocess *process);
/* Never waits: nonpaged pool may be asked for at DISPATCH level, and by whoever must not lose what it looks at. */
bool MiChargePoolCommitment(struct os *os, uint32_t pages);
ntstatus_t MiChargeFrames(struct os *os, uint32_t pages); /* and there are so many frames: STATUS_NO_MEMORY */
/* What a process asks for: the paging-file quota first, then commit. COMMITMENT_LIMIT, PAGEFILE_QUOTA_EXCEEDED. */
ntstatus_t MiChargeProcessCommitment(struct os *os, uint32_t pages, struct eprocess *process);
void MiServeCommitRequests(struct os *os); /* answers all that are queued */
void MiTakeCommitRequest(struct os *os);   /* unlinks the first, whose answer comes later */
ntstatus_t MiReplyToCommitRequest(struct os *os, uint32_t id, uint32_t pages);
void MiCommitTimePasses(struct os *os);
void MiReturnCommitment(struct os *os, uint32_t pages, struct eprocess *process);

/* ---- quota.c: NT-96 ---- */
void PspInheritQuota(struct os *os, struct eprocess *process, const struct eprocess *parent);
void PspDereferenceQuotaBlock(struct eprocess_quota_block *block);
struct eprocess_quota_block *PsDefaultQuotaBlock(struct os *os);
void PspReferenceQuotaBlock(struct eprocess *process, struct eprocess_quota_block *block);
/* A block of its own for the process, with these limits (bytes of the pools, pages of the paging files; 0: none). */
ntstatus_t PsCreateQuotaBlock(struct os *os, struct eprocess *process, const uint64_t limit[QUOTA_TYPES]);
bool PsChargePageFileQuota(struct eprocess *process, uint32_t pages);
void PsReturnPageFileQuota(struct os *os, struct eprocess *process, uint32_t pages);

#endif
