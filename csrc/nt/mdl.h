/* Memory descriptor lists (NT-86): their layout in nonpaged pool, and what the kernel model remembers of each. */
#ifndef NTMMU_MI_MDL_H
#define NTMMU_MI_MDL_H

#include "mi.h"

#define MDL_MAXIMUM_PAGES ((0xFFFFu - MDL_ARRAY) / 4) /* Size has 16 bits */

/* An MDL by its address or by its number in the trace. It outlives its unlocking, so that unlocking twice can be seen.
 */
struct mmmdl {
    struct mmmdl *Next;
    uint32_t Id; /* of the trace; 0: made by a call */
    va_t Address;
    bool Allocated;               /* its memory goes back to the pool with it */
    bool InUse;                   /* by a call that may wait: no other call gets it meanwhile */
    struct eprocess *Process;     /* whose locked pages it counts among; NULL: system buffer */
    uint32_t Capacity;            /* pages that its memory and Frames have room for */
    uint32_t Pages, Locked;       /* Locked: pages that it holds references of */
    uint32_t *Frames;             /* what the simulated array holds, for audits that must not disturb the machine */
    bool NoCache;                 /* of its mapping */
    bool SystemMapped;            /* as its flags say, which may have to be waited for */
    struct eprocess *UserProcess; /* mapped in user space: where */
    va_t UserVa;
};

static inline uint16_t MiMdlFlags(struct os *os, const struct mmmdl *mdl) {
    return MiRead16(os, mdl->Address + MDL_FLAGS);
}
static inline void MiSetMdlFlags(struct os *os, const struct mmmdl *mdl, unsigned clear, unsigned set) {
    MiWrite16(os, mdl->Address + MDL_FLAGS, (uint16_t)((MiMdlFlags(os, mdl) & ~clear) | set));
}
static inline pfn_t MiMdlFrame(struct os *os, const struct mmmdl *mdl, uint32_t index) {
    return MiRead32(os, mdl->Address + MDL_ARRAY + 4 * (va_t)index);
}
void MiSetMdlFrame(struct os *os, struct mmmdl *mdl, uint32_t index, pfn_t frame);

/* mdl.c */
uint32_t MmSizeOfMdl(va_t base, va_t length);
struct mmmdl *MiLookupMdl(struct os *os, uint32_t address_or_id); /* NULL: none */
/* For one call: NULL if there is none, or another call has it. At the end the list at this address may be gone. */
struct mmmdl *MiBeginMdlCall(struct os *os, uint32_t address_or_id);
void MiEndMdlCall(struct os *os, va_t address);
struct mmmdl *MmCreateMdl(struct os *os, va_t memory, va_t base, va_t length); /* memory 0: from the pool; NULL: none */
void IoFreeMdl(struct os *os, struct mmmdl *mdl);
/* What fails is raised, and nothing is locked; MI_WAIT_FOR_PAGE: nothing is locked, and the call is to be repeated. */
ntstatus_t MmProbeAndLockPages(struct os *os, struct mmmdl *mdl, bool user, bool write);
void MmUnlockPages(struct os *os, struct mmmdl *mdl);
/* mapmdl.c */
va_t MmMapLockedPages(struct os *os, struct mmmdl *mdl, bool no_cache); /* kernel mode; 0: see NT-88 */
ntstatus_t MiMapLockedPagesUser(struct os *os, struct mmmdl *mdl, bool no_cache, va_t *va); /* raises */
void MmUnmapLockedPages(struct os *os, va_t va, struct mmmdl *mdl);
va_t MmGetSystemAddressForMdl(struct os *os, struct mmmdl *mdl, bool safe);
void MmBuildMdlForNonPagedPool(struct os *os, struct mmmdl *mdl);
ntstatus_t IoBuildPartialMdl(struct os *os, struct mmmdl *source, struct mmmdl *target, va_t va, uint32_t length);
void MmMapMemoryDumpMdl(struct os *os, struct mmmdl *mdl);

#endif
