/* The kernel's own memory: system PTEs, pools, I/O space, kernel stacks. Part of mi.h, which includes it. */
#ifndef NTMMU_MI_KERNELMEM_H
#define NTMMU_MI_KERNELMEM_H

struct os;
struct eprocess;
struct ethread;

/* ---- sysptes.c: NT-16, NT-17. Space 0: system PTEs; 1: nonpaged pool expansion ---- */
void MiInitializeSystemPtes(struct os *os, va_t pte, uint32_t count, unsigned space);
/* Address of the first of count zeroed entries, or 0. alignment, offset: bytes of the address they map, a power of two;
 * 0: anywhere. */
va_t MiReserveSystemPtes(struct os *os, uint32_t count, unsigned space, uint32_t alignment, uint32_t offset,
                         bool bugcheck_on_failure);
void MiReleaseSystemPtes(struct os *os, va_t pte, uint32_t count, unsigned space);
pte_t MiKernelPte(const struct os *os, pfn_t frame); /* 163 */
/* A frame becomes the kernel's own behind a reserved entry: P35. attributes: PTE_CACHE_DISABLE, or 0. */
void MiMapKernelPage(struct os *os, va_t pte, pfn_t frame, pte_t attributes);
void MiUnmapKernelPage(struct os *os, va_t pte); /* its frame goes to the Free list; the entry becomes 0 */

/* ---- iospace.c, contiguous.c: NT-91. 0: no memory, or no addresses ---- */
va_t MmMapIoSpace(struct os *os, pa_t pa, uint32_t bytes, bool cached);
void MmUnmapIoSpace(struct os *os, va_t va, uint32_t bytes);
va_t MmAllocateNonCachedMemory(struct os *os, uint32_t bytes);
void MmFreeNonCachedMemory(struct os *os, va_t va, uint32_t bytes);
va_t MmAllocateContiguousMemory(struct os *os, uint32_t bytes, pa_t highest);
void MmFreeContiguousMemory(struct os *os, va_t va);
void MiFreeContiguousStructures(struct os *os); /* host memory, when the machine goes */

/* ---- kstack.c: NT-92 ---- */
ntstatus_t MmCreateKernelStack(struct os *os, struct ethread *thread, bool large);
void MmDeleteKernelStack(struct os *os, struct ethread *thread); /* also of a thread that has none */
ntstatus_t MmGrowKernelStack(struct os *os, struct ethread *thread, va_t stack_pointer);
va_t MiKernelStackLimit(const struct ethread *thread);
void MiCheckKernelStackGuard(struct os *os, va_t va);             /* stops the machine if va is below a kernel stack */
void MmOutPageKernelStack(struct os *os, struct ethread *thread); /* of a thread that waits */
void MmInPageKernelStack(struct os *os, struct ethread *thread);
/* False: the thread may go. True: it could not, and has been waited for; it may have gone meanwhile. */
bool MiWaitForThread(struct os *os, const struct ethread *thread);

/* ---- quota.c: NT-96. type: 0 nonpaged pool, 1 paged pool. Exceeded: raises STATUS_QUOTA_EXCEEDED ---- */
ntstatus_t PsChargePoolQuota(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes);
void PsReturnPoolQuota(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes);

/* ---- pool.c: NT-84 ---- */
enum pool_type { /* bit 0: paged, bit 1: must succeed, bit 2: aligned to cache lines */
                 NonPagedPool = 0,
                 PagedPool = 1,
                 NonPagedPoolMustSucceed = 2,
                 NonPagedPoolCacheAligned = 4,
                 PagedPoolCacheAligned = 5,
                 NonPagedPoolCacheAlignedMustS = 6
};
/* 0 = none. IRQL rules bugcheck. tag 0: "None". */
va_t ExAllocatePool(struct os *os, unsigned type, uint32_t bytes, uint32_t tag);
/* Nonpaged, from the part in the direct map only, which is physically contiguous. */
va_t MiAllocateInitialPool(struct os *os, uint32_t bytes, uint32_t tag);
/* Charged to the process's quota block (NT-96), and returned to it when freed. Raises instead of returning 0. */
va_t ExAllocatePoolWithQuotaTag(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes, uint32_t tag,
                                ntstatus_t *status);
void ExFreePool(struct os *os, va_t va);
#endif
