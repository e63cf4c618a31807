/* The memory manager's internals: its structures and what its files offer each other. Nothing outside csrc/nt includes
 * this. Page tables, PFN entries, prototype PTEs, working-set lists and pool blocks are in simulated memory and are
 * only reached through MiRead32 and friends; what stands here as a C struct has no layout that anything else reads.
 *
 * One kernel = one struct os; nothing is global. */
#ifndef NTMMU_MI_H
#define NTMMU_MI_H

#include "mutant.h"
#include "ntmmu/address_space.h"
#include "ntmmu/nt_view.h"
#include "ntmmu/os.h"
#include "ntmmu/pfn.h"
#include "ntmmu/pte.h"
#include "ntmmu/status.h"
#include "ntmmu/wsle.h"
#include "pageout.h"

#define WRFREEPAGE_OBJECT 1u /* os_outcome.object of MmAvailablePagesEvent */

/* Internal results, never handed to a trace (NT-04). */
#define MI_ISSUE_READ    0xC0033333u
#define MI_REFAULT       0xC0033334u
#define MI_WAIT_FOR_PAGE 0xC0033335u /* no frame: the fault blocks on MmAvailablePagesEvent and starts again */
#define MI_SHARED_GUARD  0xC0033336u /* a guard that stands in a prototype PTE is met, and still there */

struct os;
struct eprocess;

/* ---- working sets, NT-29 (host copy of the VM structure; the list itself is in simulated memory) ---- */

struct mmsupport {
    uint64_t UpdateTime; /* of the last trim */
    uint32_t PageFaultCount, PeakWorkingSetSize, WorkingSetSize, MinimumWorkingSet, MaximumWorkingSet;
    va_t WorkingSetList;      /* C0502000 or C0C00000 */
    va_t Address;             /* of the structure in memory: EPROCESS+C8; MiWriteVm keeps it equal to this one */
    struct eprocess *Process; /* NULL: the system working set */
    uint32_t LastInitializedWsle, HashTableSize; /* of the list, as it was last written */
};

/* The list's header as it lies in memory, NT-30. */
struct mmwsl {
    uint32_t Quota, FirstFreeWsle, FirstDynamic, LastWsleIndex, NextSlot, Wsle, CommittedPageTables,
        LastInitializedWsle, NonDirectCount, HashTable, HashTableSize, Reserved;
};

/* ---- VADs, NT-69 ---- */

struct mmvad {
    va_t StartingAddress, EndingAddress; /* page start, last byte */
    struct mmvad *Parent, *Left, *Right;
    int Height;
    uint32_t CommitCharge;
    uint8_t Protection; /* NT-11 mask */
    bool PrivateMemory, MemCommit, ImageMap, NoChange, ViewUnmap;
    bool PhysicalMapping; /* of an MDL's pages: always valid, in no working set, NT-88 */
    /* views only */
    struct control_area *ControlArea;
    uint64_t SectionOffset;    /* bytes: what StartingAddress maps */
    bool CopyOnWrite;          /* write-copy view */
    uint8_t SectionProtection; /* of the section object it was made from; MM_ZERO_ACCESS: the control area's */
};

/* ---- sections, NT-61..66 (SUBSECTIONs also own a simulated address, since PTEs encode it) ---- */

struct subsection {
    struct control_area *ControlArea;
    struct subsection *Next;
    va_t Address; /* simulated, nonpaged pool */
    va_t BasePte; /* first prototype PTE; 0: private demand-zero pages, no prototypes (captured bss) */
    uint32_t PtesInSubsection;
    uint64_t ViewOffset; /* offset in the section at which it begins */
    uint64_t FileOffset; /* bytes */
    uint64_t Length;     /* bytes; beyond them an image's page is zero-filled */
    uint8_t Protection;
};

struct control_area {
    struct control_area *Next; /* all of the machine */
    uint32_t SectionId;        /* of the trace; ids outlive exec and exit */
    uint64_t File;             /* file_identity, 0: page-file backed */
    uint64_t FileLength;       /* bytes that exist, UINT64_MAX if not recorded */
    uint64_t Size;             /* of the segment, bytes */
    bool Image, Reserve, OpenedForWrite, BeingExtended;
    uint8_t Protection; /* of the segment, NT-11 mask; a file's in a trace: rule 6 of traces/FORMAT.md */
    uint32_t SectionRef, MappedViews, UserRef, PfnRef;
    uint32_t Held; /* of SectionRef: by calls under way, MiHoldControlArea */
    uint16_t ModWriteCount, FlushCount, SystemViews;
    uint32_t Flags; /* AREA_ bits that follow from nothing else here; CONTROL_AREA.Flags has all */
    uint32_t CommitCharge;
    va_t ImageBase;                 /* of an image: where it was mapped first */
    va_t BasedAddress;              /* of a based section, NT-68 */
    struct subsection *Subsections; /* ordered by ViewOffset */
    va_t Address, Segment;          /* simulated CONTROL_AREA (nonpaged pool), SEGMENT (paged pool; 0: none yet) */
    va_t LastSubsection;            /* simulated: the end of the list that begins behind the CONTROL_AREA */
    struct file_object *FileObject; /* NULL: page-file backed */
    enum area_queue { AREA_IN_USE, AREA_UNUSED, AREA_DEREFERENCED } Queue;
    struct control_area *Flink, *Blink; /* in Queue; CONTROL_AREA+04, +08 */
};

/* CONTROL_AREA.Flags, NT-62 */
enum {
    AREA_BEING_DELETED = 0x1,
    AREA_NO_MODIFIED_WRITING = 0x8,
    AREA_IMAGE = 0x20,
    AREA_BASED = 0x40,
    AREA_FILE = 0x80,
    AREA_NO_CACHE = 0x200,
    AREA_RESERVE = 0x1000,
    AREA_COMMIT = 0x2000,
    AREA_USER_REFERENCE = 0x10000,
    AREA_DELETE_ON_CLOSE = 0x40000,
    AREA_NO_CHANGE = 0x800000,
    AREA_HAD_USER_REFERENCE = 0x1000000
};

/* A file and its SectionObjectPointer (NT-62). It outlives its control areas: the trace names files by their sections.
 */
struct file_object {
    struct file_object *Next;
    uint32_t Id;                  /* section that named the file first */
    uint64_t File;                /* file_identity */
    uint64_t Length, ValidLength; /* now, and as far as there are contents; UINT64_MAX: not recorded */
    bool HasImage;                /* was named as an image: has the structure of one */
    va_t Address; /* simulated FILE_OBJECT and section object pointers; 0 while there is no control area */
    struct control_area *DataSectionObject, *ImageSectionObject;
    char Path[EVENT_TEXT_MAX];
};

/* A section object by its number in the trace; several may lead to one control area. */
struct section_object {
    struct section_object *Next;
    uint32_t SectionId;
    struct control_area *ControlArea;
    va_t Address;       /* simulated SECTION_OBJECT, nonpaged pool */
    uint64_t Size;      /* bytes; 0: as long as the file, which was not recorded */
    uint8_t Protection; /* NT-11 mask; MM_ZERO_ACCESS: the control area's */
    bool NoChange, Based;
};

struct control_area_list {
    struct control_area *First, *Last;
    uint32_t Count;
};

/* Prototype PTEs that a fork made of a range of private pages. One for each range, shared by the processes. */
struct mmclone {
    struct mmclone *Next, *NextOfFork;
    va_t BasePte;
    uint32_t Count;
    uint32_t Processes;      /* how many processes still have descriptors of it */
    uint32_t Live;           /* pages whose count is not 0, and the fork at work on it; 0: the block goes */
    uint16_t *CloneRefCount; /* of each page */
};
struct mmclone_descriptor {
    struct mmclone_descriptor *Next;
    struct mmclone *Clone;
};

/* ---- processes and threads, NT-70 ---- */

enum process_state { PROCESS_IN_MEMORY, PROCESS_OUT_OF_MEMORY, PROCESS_IN_TRANSITION };
enum quota_type { QUOTA_NONPAGED_POOL, QUOTA_PAGED_POOL, QUOTA_PAGE_FILE, QUOTA_TYPES }; /* the pools as of NT-84 */

struct eprocess {
    struct eprocess *Next; /* active processes, in order of creation */
    uint32_t Pid, ParentPid;
    uint32_t Address;               /* simulated EPROCESS, nonpaged pool */
    uint32_t DirectoryTableBase[2]; /* CR3, hyperspace table */
    uint32_t DirectoryFrame[MM_DIRECTORIES], HyperspaceFrame[MM_HYPER_TABLES];
    uint32_t WorkingSetPage; /* frame */
    struct mmsupport Vm;
    struct mmvad *VadRoot;
    uint32_t CommitCharge, NumberOfLockedPages;
    uint32_t PagesBeingLocked; /* by calls that may wait in the middle */
    enum process_state State;
    struct eprocess *NextInSwap;
    uint32_t StackCount, ReadyThreads; /* attached to it; waiting until it is in memory */
    bool Exiting, VmDeleted; /* it ends; nothing of the user's is left, the directory goes with the last one attached */
    struct eprocess_quota_block *QuotaBlock;
    uint64_t PoolCharge[QUOTA_PAGED_POOL + 1]; /* its part of the block's usage */
    uint32_t NextPageColor;
    uint32_t PdeFaultCount[MM_USER_PDES];
    struct mmclone_descriptor *Clones;
    struct mmsecure *Secured; /* secure.c */
    va_t GoingStart, GoingEnd; /* a call that may wait takes this range away: nobody finds a VAD there any more */
    bool BeingCloned; /* by a fork, which may wait: nobody else knows it yet */
    unsigned AddressCreationDepth, AddressCreationWaiters; /* the mutex of NT-03 */
    struct ethread *AddressCreationOwner;
    char ImageName[EVENT_TEXT_MAX];
};

struct ethread {
    struct ethread *Next;
    uint32_t Tid, Address;
    struct eprocess *Process;
    va_t StackBase, StackLimit, DeallocationStack;  /* NT-51; 0 if the trace did not say */
    struct eprocess *ApcStateProcess;               /* of a thread that does not run: whose address space it works in */
    struct eprocess *SavedProcess;                  /* attached: its own */
    va_t KernelStackBase;                           /* NT-92; 0: the trace asked for none */
    uint32_t KernelStackPages, KernelStackReserved; /* committed; system PTEs, the guard's included */
    bool StackBusy;                                 /* who works on it waits: neither it nor the thread goes meanwhile */
    bool Waiting;                                   /* in the kernel, which it leaves before it goes */
    bool DisablePageFaultClustering, ForwardClusterOnly; /* NT-58 */
    uint32_t ApcDisable;                                 /* regions without APCs that it is in, NT-43 */
};

/* What NT keeps for a processor. */
struct kprcb {
    struct ethread *CurrentThread;   /* NULL: idle */
    struct eprocess *CurrentProcess; /* whose CR3 is loaded; differs from the thread's while attached */
    struct eprocess *SavedProcess;   /* attached: where to return to */
    bool SystemThread;               /* a system thread has borrowed the processor */
    bool DpcRoutineActive;           /* by MiSetDpcRoutineActive only: nothing in the model queues a DPC */
};

/* An MDL in memory, NT-86: offsets, then its flags. */
enum {
    MDL_NEXT = 0x00,
    MDL_SIZE = 0x04,
    MDL_FLAGS = 0x06,
    MDL_PROCESS = 0x08,
    MDL_MAPPED_VA = 0x0C,
    MDL_START_VA = 0x10,
    MDL_BYTE_COUNT = 0x14,
    MDL_BYTE_OFFSET = 0x18,
    MDL_ARRAY = 0x1C
};
enum {
    MDL_MAPPED_TO_SYSTEM_VA = 0x0001,
    MDL_PAGES_LOCKED = 0x0002,
    MDL_SOURCE_IS_NONPAGED_POOL = 0x0004,
    MDL_ALLOCATED_FIXED_SIZE = 0x0008,
    MDL_PARTIAL = 0x0010,
    MDL_PARTIAL_HAS_BEEN_MAPPED = 0x0020,
    MDL_IO_PAGE_READ = 0x0040,
    MDL_WRITE_OPERATION = 0x0080,
    MDL_PARENT_MAPPED_SYSTEM_VA = 0x0100,
    MDL_IO_SPACE = 0x0800,
    MDL_MAPPING_CAN_FAIL = 0x2000,
    MDL_ALLOCATED_MUST_SUCCEED = 0x4000
};

struct mmpfnlist {
    uint32_t Count, FirstFrame, LastFrame;
};
struct mmpfnlog {
    uint32_t Share;
    uint16_t Flags, ReferenceCount;
};

/* A frame's state as pfnmoves.c numbers them: location, parity error, P, W, R, M. */
#define PFN_STATE_LOW   (PFN_MODIFIED | PFN_READ_IN_PROGRESS | PFN_WRITE_IN_PROGRESS | PFN_PROTOTYPE)
#define PFN_STATE_HIGH  (PFN_LOCATION | PFN_PARITY_ERROR)
#define PFN_MOVE_STATES 256
static inline unsigned MiPfnState(unsigned flags) { return (flags & PFN_STATE_HIGH) >> 3 | (flags & PFN_STATE_LOW); }

struct mmcounters {
    uint64_t PageFaultCount, TransitionCount, DemandZeroCount, CopyOnWriteCount, PageReadCount, PageReadIoCount,
        DirtyWriteIoCount, DirtyPagesWriteCount, MappedWriteIoCount, MappedPagesWriteCount, ZeroThreadPages,
        StandbyRepurposed, WorkingSetGrowth, CloneReuse, KernelPdeCopied, BalanceTrimmed;
};

#define MI_RANDOM_TABLE 128 /* NT-93 */

/* sysptes.c, NT-16, NT-17. References and list ends have the form in which free entries hold them. */
struct mmsysptes {
    va_t MmSystemPtesStart[MM_SYSTEM_PTE_SPACES], MmSystemPtesEnd[MM_SYSTEM_PTE_SPACES]; /* of entries: [start, end) */
    uint32_t MmFirstFreeSystemPte[MM_SYSTEM_PTE_SPACES], MmTotalFreeSystemPtes[MM_SYSTEM_PTE_SPACES];
    uint32_t Reserved[MM_SYSTEM_PTE_SPACES]; /* handed out */
    uint32_t MmFreeSysPteListBySize[MM_SYS_PTE_CLASSES], MmLastSysPteListBySize[MM_SYS_PTE_CLASSES],
        MmSysPteListBySizeCount[MM_SYS_PTE_CLASSES];
};

/* Held by whoever runs, NT-03; locks.c. A working-set mutex taken again by a fault of the kernel's own access stands
 * here twice. */
#define MI_LOCKED_WORKING_SETS 16
struct mi_locks {
    bool Pfn;
    unsigned WorkingSets;
    struct mmsupport *WorkingSet[MI_LOCKED_WORKING_SETS]; /* in the order taken */
};

/* nt_view.c, and of it what stands elsewhere */
extern const struct nt_view_ops mi_view_ops;
void mi_view_system_ptes(const struct os *os, struct nt_system_ptes_view *out);
void mi_view_pool_tags(const struct os *os, bool (*visit)(void *ctx, const struct nt_pool_tag_view *), void *ctx);
uint32_t mi_view_driver_locks(const struct os *os, va_t pte);

struct os {
    const struct nt_view_ops *View; /* first: nt_view.h looks for it there */
    struct os_machine *M;
    struct os_config Config;
#ifdef MUTATE
    uint32_t Mutant; /* the one alive, 0: none */
#endif
    pte_t GlobalBit; /* PTE_GLOBAL, or 0 without CR4.PGE */
    uint32_t MmHighestPhysicalPage, MmSecondaryColorMask, MmAvailablePages, MmKseg2Frame;
    uint32_t FirstKernelTopFrame;                /* boot page tables etc. occupy this one and above */
    va_t MmNonPagedPoolStart, MmNonPagedPoolEnd; /* initial pool in the direct map: [start, end) */
    uint32_t MmFirstFreeFrame;                   /* 400 up to 64 MB of RAM */
    uint32_t MmSharedUserFrame;                  /* behind FFDF0000 and 7FFE0000 */
    struct mmpfnlist MmPageLocationList[MM_LISTS];
    struct mmpfnlist *MmFreePagesByColor[2]; /* [ZeroedPageList], [FreePageList], one entry a colour */
    bool MmZeroingPageThreadActive, MmZeroingPageEvent, MmAvailablePagesEvent;
    uint32_t MmTotalCommitLimit, MmTotalCommittedPages, MmPeakCommitment;
    uint32_t MmFlushCounter; /* NT-18 */
    struct mmsysptes SystemPtes;
    struct eprocess *KiProcessInSwapListHead;
    bool KiSwapEvent;
    uint32_t MmExtendedCommit, MiOverCommitCallCount;      /* NT-95 */
    struct commit_request *CommitRequests, *CommitWaiters; /* queued; all that are waited for */
    uint32_t CommitRequestId;                              /* of the last one */
    struct eprocess_quota_block *DefaultQuotaBlock;
    uint64_t SystemTime; /* milliseconds of `time` steps; the model's clock */
    uint64_t Ticks;
    uint32_t SystemThreadsInTick; /* a bit for each, NT-02 */
    uint32_t BalanceSteps;        /* events since the balance set manager ran */
    struct mmsupport MmSystemCacheWs;
    struct eprocess SystemProcess; /* pid 0, directory frame 30 */
    struct eprocess *Processes;    /* SystemProcess not included */
    struct ethread *Threads;
    struct control_area *ControlAreas;
    struct section_object *Sections; /* open ones */
    struct file_object *Files;
    struct control_area_list MmUnusedSegmentList, MmDereferenceSegmentList; /* sectdel.c */
    va_t MmSectionBasedRoot;          /* address node of a SECTION_OBJECT, NT-68 */
    uint32_t MmBasedSections;         /* nodes of that tree */
    struct mmsystemview *SystemViews; /* sysview.c */
    uint32_t SecureHandles;           /* given out so far, secure.c */
    struct mmclone *CloneBlocks;
    struct mmpool *PagedPool, *NonPagedPool; /* pool.c */
    struct mmpooltag *PoolTags;
    struct mmpoolquota *PoolQuotas;
    struct mmmdl *Mdls;                    /* mdl.c */
    struct mmcontiguous *ContiguousMemory; /* contiguous.c */
    uint32_t *DrainedFrames, DrainedCount; /* scenario step DRAIN */
    struct kprcb Prcb[OS_CPU_MAX];
    struct kprcb Interrupted; /* whom the system thread borrowed the processor from */
    struct mmcounters MmInfoCounters;
    struct eprocess *ExitedProcesses;
    uint32_t MmInPageSupportFirst, MmInPageSupportCount; /* free PAGE_SUPPORT_BLOCKs, NT-44 */

    uint32_t ProcessesHalfIn;    /* memory, MmInSwapProcess */
    uint32_t HyperspaceMappings; /* held now; none may be held across a CR3 load */
    bool MmModifiedPageWriterEvent;
    struct mmpagingfile MmPagingFile[OS_PAGING_FILES_MAX]; /* pagefile.c */
    uint32_t MmNumberOfPagingFiles, MmNumberOfActiveMdlEntries /* free for a write */;
    bool MmPageFileFull;          /* no slot anywhere, and told so */
    struct mmtransfer *Transfers; /* pageio.c: those that have not ended */
    /* modwrite.c, mapwrite.c, apc.c, dereference.c */
    uint32_t MmModifiedMappedPages; /* of the Modified list: pages of files */
    bool NoPagingFileReported, MmMappedPagesTooOld, MmMappedPageWriterEvent;
    struct mmwrite *MmMappedPageWriterList, *CompletedWrites /* special kernel APCs that wait for IRQL 0 */;
    va_t MmMappedFileMdl; /* for the mapped write that finds no pool; in use: */
    bool MmMappedFileMdlBusy;
    uint64_t MappedPagesMilliseconds; /* since mapped pages were last forced out */
    struct mmdereference *MmDereferenceQueue;
    bool NoFrameSimulated;     /* by --inject, for the fault being serviced */
    bool WaitingForPage;       /* some fault waits on MmAvailablePagesEvent */
    uint32_t FramesWanted;     /* at once by a service that waits, 0: no more than one */
    uint32_t FramesMissing;    /* of those that were last wanted */
    uint32_t FramesToRetry;    /* that a service wants to see before it is tried again, 0: any */
    uint64_t WaitMilliseconds; /* since it began, or its last time-out */
    uint32_t WaitTimeouts;
    struct mmhost *HostMemory; /* all of MiAllocateHost */
    struct mmpfnlog *LoggedPfn; /* a frame each: what LOG_PFN said last. For the log, and for: */
    uint32_t PfnMoves[PFN_MOVE_STATES]
                     [PFN_MOVE_STATES / 32]; /* pfnmoves.c: from this state, a bit for each it may go to */
    uint32_t ServicePid;                     /* scratch of the service being run */
    bool Raised;                             /* the service ends in an exception, NT-05; only MiRaise sets it */
    uint64_t RaisedP[3];
    struct mi_handle *Handles; /* obhandle.c */
    struct mi_driver *Drivers; /* driver.c */
    bool MmSystemLoadLock;     /* of them: held over waits */
    struct mi_locks Locks;
    bool DriverAccess; /* accesses of the trace are a driver's, NT-45 */
    uint32_t RtlRandomTable[MI_RANDOM_TABLE];
};

/* ---- memory.c: simulated memory and the log ---- */
uint32_t MiRead32(struct os *os, va_t va);
void MiWrite32(struct os *os, va_t va, uint32_t value);
uint16_t MiRead16(struct os *os, va_t va);
void MiWrite16(struct os *os, va_t va, uint16_t value);
/* A PTE, PDE or prototype PTE at its virtual address. Writing logs LOG_PTE; MiChangePte: by who has just read it. */
pte_t MiReadPte(struct os *os, va_t pte);
void MiWritePte(struct os *os, va_t pte, pte_t value);
void MiChangePte(struct os *os, va_t pte, pte_t old, pte_t value);
void MiFlushSingleTb(struct os *os, va_t va);              /* INVLPG */
void KeFlushCurrentTb(struct os *os, va_t highest_listed); /* NT-18: CR3, or CR4.PGE toggle for global ranges */
static inline struct kprcb *KeGetCurrentPrcb(struct os *os) { return &os->Prcb[os->M->ops->current_cpu(os->M)]; }
static inline struct eprocess *PsGetCurrentProcess(struct os *os) { return KeGetCurrentPrcb(os)->CurrentProcess; }
_Noreturn void KeBugCheckEx(struct os *os, uint32_t code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4);
_Noreturn void MiAssert(struct os *os,
                        const char *what);        /* the model is wrong, or asked for what is not in this version */
void *MiAllocateHost(struct os *os, size_t size); /* zeroed; panics when the host has no memory */
void MiFreeHost(void *memory);
void MiFreeAllHost(struct os *os); /* what is left */

/* ---- pfnlist.c: NT-21..25, NT-27, NT-28 ---- */
struct mmpfn MiReadPfn(struct os *os, pfn_t frame);
void MiWritePfn(struct os *os, pfn_t frame,
                const struct mmpfn *pfn); /* logs LOG_PFN if location, flags, share or ref changed */
void MiInitializePfnMoves(struct os *os); /* pfnmoves.c: the table of pfn_transitions.h */
_Noreturn void MiIllegalPfnMove(struct os *os, pfn_t frame, unsigned before, unsigned after);
bool MiFramesAvailable(const struct os *os, uint32_t count);
/* Before a wait for that many: more than the few that MmAvailablePagesEvent speaks of. */
bool MiFramesAvailableOrWanted(struct os *os, uint32_t count);
/* A frame with ReferenceCount 0, unlinked. Must not be called with MmAvailablePages = 0: check first, and return
 * MI_WAIT_FOR_PAGE up to the fault (NT-24). */
void MiWaitForFreePage(struct os *os); /* on MmAvailablePagesEvent */
void MiWaitForFrames(struct os *os, uint32_t count);
void MiPageWaitersTimePasses(struct os *os, uint64_t milliseconds);
pfn_t MiRemoveZeroPage(struct os *os, uint32_t colour); /* contents are zero */
pfn_t MiRemoveAnyPage(struct os *os, uint32_t colour);
void MiUnlinkPageFromList(struct os *os, pfn_t frame); /* Standby, Modified, ModifiedNoWrite, Free, Zeroed */
void MiInsertPageInList(struct os *os, enum mm_list list, pfn_t frame);
void MiInsertPfnInList(struct os *os, enum mm_list list, pfn_t frame, struct mmpfn pfn); /* its entry is known */
pfn_t MiRemovePageFromList(struct os *os, enum mm_list list); /* its head; the list must not be empty */
/* A frame in transition (NT-54) leaves its list with reference count 1, or if it is on none gains a reference. Share
 * stays 0, location becomes TransitionPage. Returns its entry as written. */
struct mmpfn MiReferenceTransitionPage(struct os *os, pfn_t frame);
struct mmpfn MiReferenceTransitionPfn(struct os *os, pfn_t frame, struct mmpfn pfn); /* its entry is known */
/* The frame becomes active behind *pte_va: share 1, ref 1, flags 0600|flags; containing's share count rises. */
void MiInitializePfn(struct os *os, pfn_t frame, va_t pte_va, pte_t original_pte, uint16_t flags, pfn_t containing);
void MiIncrementShareCount(struct os *os, pfn_t frame);
void MiDecrementShareCount(struct os *os, pfn_t frame);
void MiDecrementReferenceCount(struct os *os, pfn_t frame);
void MiIncrementReferenceCount(struct os *os, pfn_t frame);
void MiSetPfnDeleted(struct os *os, pfn_t frame); /* PteAddress = deleted: goes to Free when unreferenced */
void MiCaptureDirty(struct os *os, pfn_t frame, pte_t valid_pte); /* NT-28 */
/* A range of pages is given by its first and its last byte. */
static inline uint32_t MiRangePages(va_t start, va_t end) { return (uint32_t)((end + 1 - start) >> PAGE_SHIFT); }
/* The end of the part of [va, end] that is in one page table. */
static inline va_t MiLastOfTable(va_t va, va_t end) {
    va_t last = va | (MM_PAGE_TABLE_SPAN - 1);
    return last < end ? last : end;
}
static inline uint32_t MiPageColor(struct os *os, va_t va) {
    return (uint32_t)(va >> PAGE_SHIFT) & os->MmSecondaryColorMask;
}

void MiSignalModifiedWriter(struct os *os); /* sets MmModifiedPageWriterEvent */

/* ---- hyper.c: NT-13..15 ---- */
static inline bool MiDirectMapped(const struct os *os, pfn_t frame) { return frame < os->MmKseg2Frame; }
static inline va_t MiDirectMapAddress(pfn_t frame) { return MM_KSEG0_BASE + (frame << PAGE_SHIFT); }
va_t MiMapPageInHyperSpace(struct os *os, pfn_t frame, unsigned *old_irql);
void MiUnmapPageInHyperSpace(struct os *os, unsigned old_irql);
va_t MiMapPageToZeroInHyperSpace(struct os *os, pfn_t frame);
void MiZeroPhysicalPage(struct os *os, pfn_t frame);
void MiCopyPhysicalPage(struct os *os, pfn_t to, pfn_t from);
void MiReadPhysicalPage(struct os *os, pfn_t frame, void *out);
/* One dword of a frame that may not be mapped anywhere: the direct map, or hyperspace (NT-14). */
uint32_t MiReadPhysical32(struct os *os, pa_t pa);
pte_t MiReadPhysicalPte(struct os *os, pa_t pa); /* an entry of a table */
void MiWritePhysicalPte(struct os *os, pa_t pa, pte_t value);

/* ---- zeropage.c: NT-26 ---- */
void MmZeroPageThread(struct os *os);

/* ---- flush.c: NT-18 ---- */
#define MM_MAXIMUM_FLUSH_COUNT 15
struct mmptelist {
    uint32_t Count; /* 16: overflow */
    va_t PteAddress[MM_MAXIMUM_FLUSH_COUNT], FlushVa[MM_MAXIMUM_FLUSH_COUNT];
};
/* Adds one; stores value at once into entries beyond the 15th. */
void MiAddToPteList(struct os *os, struct mmptelist *list, va_t pte, va_t va, pte_t value);
void MiFlushPteList(struct os *os, struct mmptelist *list, bool bump_counter, pte_t value);

void MiFlushEntireTb(struct os *os); /* everything, global entries too; older stamps become harmless */

#include "mifault.h" /* mmfault.c, checkva.c, demandz.c, transit.c, guard.c, inpage.c, prefetch.c, proto.c */

/* ---- cow.c: NT-50 ---- */
ntstatus_t MiCopyOnWrite(struct os *os, va_t va, va_t pte, enum fault_kind *kind);

/* ---- section.c, mapview.c: NT-61..66 ---- */
struct os_service_result MiServiceSection(struct os *os, const struct event *event); /* sec+, sub, sec- */
struct os_service_result MiServiceMap(struct os *os, const struct event *event);     /* map, unmap */
struct section_object *MiLookupSection(const struct os *os, uint32_t sid);
/* A file by a section made of it: an open one, or the first that named it. */
struct file_object *MiLookupFile(const struct os *os, uint32_t sid);
/* NT-65 with raw arguments; `attributes` are SEC_ bits, `protect` a Win32 protection. file NULL: the paging file. */
ntstatus_t MmCreateSection(struct os *os, uint32_t sid, uint64_t maximum_size, uint32_t protect, uint32_t attributes,
                           struct file_object *file);
/* What an untouched prototype PTE of the subsection contains. */
pte_t MiPrototypeTemplate(const struct os *os, const struct subsection *s);
void MiDeleteViewPages(struct os *os, struct eprocess *process, struct mmvad *vad);
void MiReleaseView(struct os *os, struct mmvad *vad); /* its counts; its pages have gone, the VAD stays to the caller */
struct subsection *MiLocateSubsection(const struct control_area *area, uint64_t offset); /* NULL: no piece there */
/* Where the first piece behind the offset begins; UINT64_MAX: there is none. */
uint64_t MiNextSubsection(const struct control_area *area, uint64_t offset);
/* What the size of a file's section, and a view's end, is held to: a subsection counts its prototypes in 32 bits. */
#define MM_MAXIMUM_FILE_SECTION 0x10000000000u
uint64_t MiSubsectionFileOffset(const struct subsection *subsection, va_t prototype);
/* Subsection whose prototype array holds this address; NULL: none (a clone). */
struct subsection *MiSubsectionOfPrototype(const struct os *os, va_t prototype);
/* Stores value into count prototype PTEs, a page at a time; not logged entry by entry. */
void MiFillPrototypes(struct os *os, va_t prototype, uint32_t count, pte_t value);
/* Makes sure prototypes exist up to offset (data sections grow); false: no pool. */
bool MiExtendSection(struct os *os, struct control_area *area, uint64_t end);
/* May a view of protection `view` be made of a section of protection `section`? Masks, NT-11. */
bool MiIsProtectionCompatible(unsigned section, unsigned view);
/* MEM_COMMIT inside a view of a SEC_RESERVE section: zero prototypes become demand-zero, charged. */
ntstatus_t MiCommitReservedView(struct os *os, struct mmvad *vad, va_t start, va_t end);

/* ---- ctrlarea.c: NT-62..64, what of sections lies in simulated memory ---- */
va_t MiAllocateSectionPool(struct os *os, bool paged, uint32_t bytes, uint32_t tag); /* purges unused segments first */
bool MiAllocateControlArea(struct os *os, struct control_area *area);
void MiWriteControlArea(struct os *os, const struct control_area *area); /* after each change of a count or flag */
uint32_t MiControlAreaFlags(const struct control_area *area);
bool MiAllocateSubsection(struct os *os, struct control_area *area, struct subsection *s);
void MiFreeSubsection(struct os *os, struct subsection *s);
void MiWriteSubsection(struct os *os, const struct subsection *s);
void MiLinkSubsectionInMemory(struct os *os, struct control_area *area, const struct subsection *s);
bool MiAllocateSegment(struct os *os, struct control_area *area);
void MiWriteSegment(struct os *os, const struct control_area *area); /* paged pool: may wait */
bool MiAllocateSectionObject(struct os *os, struct section_object *section);
void MiWriteSectionObject(struct os *os, const struct section_object *section);
bool MiAllocateFileObject(struct os *os, struct file_object *file); /* may wait; false: no pool */
void MiWriteFileObject(struct os *os, struct file_object *file);    /* it exists while a control area does */

/* ---- based.c: NT-68 ---- */
bool MiInsertBasedSection(struct os *os, struct section_object *section); /* false: no address is left */
void MiRemoveBasedSection(struct os *os, struct section_object *section);
va_t MiBasedAddress(struct os *os, const struct section_object *section);

/* ---- flushsec.c: NT-67 ---- */
uint64_t MiControlAreaEvent(const struct control_area *area); /* signalled when a transfer of its pages ends */
ntstatus_t MiFlushControlArea(struct os *os, struct control_area *area); /* all dirty pages; waits */
ntstatus_t NtFlushVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size,
                                ntstatus_t *io_status);
void MmSetAddressRangeModified(struct os *os, va_t start, va_t size);

/* ---- sysview.c: NT-66, K4 of NT-46 ---- */
ntstatus_t MmMapViewInSystemSpace(struct os *os, const struct section_object *section, uint32_t *base, uint32_t *size);
ntstatus_t MmUnmapViewInSystemSpace(struct os *os, uint32_t base);
bool MiIsSystemViewAddress(va_t va);
void MiFreeSystemViews(struct os *os); /* host memory, when the machine goes */

/* ---- secure.c: NT-89 ---- */
uint32_t MmSecureVirtualMemory(struct os *os, va_t address, va_t size, uint32_t mode); /* handle, 0: refused */
bool MmUnsecureVirtualMemory(struct os *os, uint32_t handle);
/* Somebody relies on more access to a page of the range than this protection gives; MM_ZERO_ACCESS: it is freed. */
bool MiIsSecured(const struct eprocess *process, va_t start, va_t end, unsigned protection);
void MiFreeSecuredRanges(struct eprocess *process);
ntstatus_t MmSetBankedSection(struct os *os, struct eprocess *process, va_t address, uint32_t bank_bytes);

/* ---- sectdel.c: NT-67; dereference.c: NT-106 ---- */
void MiReferenceControlArea(struct os *os, struct control_area *area);
/* By a call that may wait: its section may be closed meanwhile. */
void MiHoldControlArea(struct os *os, struct control_area *area);
void MiReleaseControlArea(struct os *os, struct control_area *area);
/* After a section, view or transfer let go of it: the last one destroys what the page file backs; what a file backs
 * stays as a cache. */
void MiDereferenceControlArea(struct os *os, struct control_area *area);
void MiChangePfnReference(struct os *os, struct control_area *area, int change);
void MiDestroyControlArea(struct os *os, struct control_area *area);
bool MiPurgeUnusedSegment(struct os *os); /* the oldest one without modified pages; false: there is none */
void MiDeleteDereferencedSegments(struct os *os);
bool MmFlushImageSection(struct os *os, struct file_object *file, uint32_t type); /* 0 delete, 1 write */
bool MmCanFileBeTruncated(struct os *os, struct file_object *file, uint64_t size);
bool MmForceSectionClosed(struct os *os, struct file_object *file, bool delay);
bool MmDisableModifiedWriteOfSection(struct os *os, struct file_object *file);
bool MiIsModifiedNoWrite(struct os *os, const struct mmpfn *pfn); /* its dirty page is for an explicit flush only */
void MiDereferenceSegmentThread(struct os *os);

/* ---- fork.c, exec.c, move.c ---- */
ntstatus_t MiCloneProcessAddressSpace(struct os *os, struct eprocess *parent, struct eprocess *child); /* NT-73 */
/* A process lost its PTE of a clone page (deleted, exited, copied away). Count falls; at 0 the prototype is released.
 */
void MiDecrementCloneBlockReference(struct os *os, struct eprocess *process, va_t prototype);
bool MiIsLastCloneReference(struct os *os, struct eprocess *process, va_t prototype);
struct mmclone *MiLocateClone(struct os *os, struct eprocess *process, va_t prototype); /* NULL: not a clone */
void MiReleaseCloneDescriptors(struct os *os, struct eprocess *process); /* at exec and exit, after its PTEs are gone */
ntstatus_t PspExecProcess(struct os *os, struct eprocess *process, const char *image); /* traces: `exec` */
ntstatus_t MiMovePages(struct os *os, va_t from, va_t to, va_t size);                  /* traces: `move` */

/* ---- deletepte.c, NT-74, NT-78 ---- */
void MiDeleteTransitionPage(struct os *os, va_t pte_va, pfn_t frame); /* a trimmed private page, of system space too */
/* Deletes a user PTE in whatever form it has: private frames freed, shared ones lose one, WSLE removed, used count kept
 * by new_value (0 = decremented). TLB: the list; NULL list: caller flushes. Returns true if a valid PTE was destroyed.
 */
bool MiDeletePte(struct os *os, struct eprocess *process, va_t pte, pte_t new_value, struct mmptelist *list);
/* All PTEs of [start, end] in page tables that exist become new_value; page tables freed where unused. flush_each: TLB
 * by the batch rule of NT-18; otherwise none, and the caller loads CR3. Returns true if a valid PTE was destroyed. */
bool MiDeleteVirtualAddresses(struct os *os, struct eprocess *process, va_t start, va_t end, pte_t new_value,
                              bool flush_each);
/* A trimmed private page behind *pte goes; the caller stores the new value. */
void MiDeleteTransitionPage(struct os *os, va_t pte, pfn_t frame);
void MiRemovePhysicalMapping(struct os *os, struct eprocess *process, struct mmvad *vad); /* mapmdl.c */
void MmCleanProcessAddressSpace(struct os *os, struct eprocess *process); /* every VAD removed; in its context */

/* ---- vad.c: NT-69 ---- */
ntstatus_t MiInsertVad(struct os *os, struct eprocess *process,
                       struct mmvad *vad); /* charges page tables; COMMITMENT_LIMIT */
/* Page tables charged already; returns how many no other VAD covered. */
uint32_t MiInsertChargedVad(struct os *os, struct eprocess *process, struct mmvad *vad);
void MiRemoveVad(struct os *os, struct eprocess *process,
                 struct mmvad *vad); /* unlinks, returns page-table charge; not freed */
struct mmvad *MiLocateAddress(const struct eprocess *process, va_t va);
struct mmvad *MiCheckForConflictingVad(const struct eprocess *process, va_t start, va_t end);
bool MiFindEmptyAddressRange(const struct eprocess *process, va_t size, bool top_down, va_t highest, va_t *start);
/* Page-table commit of the 4 MB regions of [start, end] that no VAD of the tree overlaps any more. */
void MiReturnPageTableCommitment(struct os *os, struct eprocess *process, va_t start, va_t end);
void MiInsertNode(struct mmvad **root, struct mmvad *vad); /* the AVL tree alone, no accounting */
void MiRemoveNode(struct mmvad **root, struct mmvad *vad);
uint32_t MiVadFlags(const struct mmvad *vad);             /* NT-69, the layout of NT5 */
struct mmvad *MiFirstVad(const struct eprocess *process); /* in-order walk */
struct mmvad *MiNextVad(struct mmvad *vad);

/* ---- pool.c; the rest is in kernelmem.h ---- */
void MiInitializePools(struct os *os);
void MiFreePoolStructures(struct os *os);    /* host memory only, when the machine goes */
void MiFreeSectionStructures(struct os *os); /* the same for sections and clone blocks */

/* ---- procsup.c, context.c: NT-70, NT-71, NT-73 (set-up), NT-74, NT-75, NT-76 as far as forks need it ---- */
ntstatus_t MmCreateProcessAddressSpace(struct os *os, struct eprocess *process); /* its frames come to stand in it */
/* Directories, hyperspace tables and the working-set page: kernel PDEs and ring mappings do not count as shares. */
void MiInitializeProcessPfns(struct os *os, const struct eprocess *process, mmpte_t original, uint16_t flags);
/* section: NULL, or the image it runs, which is mapped. */
ntstatus_t PspCreateProcess(struct os *os, uint32_t pid, uint32_t ppid, const char *image, uint32_t min_ws,
                            uint32_t max_ws, const struct section_object *section, struct eprocess **out);
void MmDeleteProcessAddressSpace(struct os *os, struct eprocess *process);
ntstatus_t PspExitProcess(struct os *os, struct eprocess *process); /* may wait; C000010A: somebody else does it */
void PspAbandonFork(struct os *os, struct eprocess *child, ntstatus_t status);
void PspProcessDelete(struct os *os, struct eprocess *process); /* once it has ended, and nobody is attached any more */
struct eprocess *PsLookupProcess(const struct os *os, uint32_t pid); /* 0 = System */
struct ethread *PsLookupThread(const struct os *os, uint32_t tid);
void PspExitThread(struct os *os, struct ethread *thread);
ntstatus_t PspCreateThread(struct os *os, uint32_t tid, struct eprocess *process);
void SwapContext(struct os *os, struct ethread *next); /* NULL: nobody, in System's address space */
void KiSwapProcess(struct os *os, struct eprocess *process);
bool KeAttachProcess(struct os *os, struct eprocess *process); /* false: it is there already, and stays */
/* The calling thread waits until the object is signalled; whatever could have changed meanwhile has to be read again.
 * No hyperspace mapping may be held. Ask for the condition before and after. */
void KeWaitForSingleObject(struct os *os, uint64_t object);
/* What stands between belongs to a system thread: it has no user address space of its own, and may attach and wait. */
void KiEnterSystemThread(struct os *os);
void KiLeaveSystemThread(struct os *os);
void KeDetachProcess(struct os *os);
/* One less in StackCount; the last one deletes the process if it has ended. */
void MiLeaveProcess(struct os *os, struct eprocess *process);
/* A system thread's look into a process, whatever the current thread is attached to: CR3 there, and CR3 back. NULL
 * process: the system's memory, which is everywhere. Returns what MiLeaveAddressSpace needs. */
struct eprocess *MiEnterAddressSpace(struct os *os, struct eprocess *process);
void MiLeaveAddressSpace(struct os *os, struct eprocess *back);
/* swapproc.c */
ntstatus_t KeOutswapProcess(struct os *os, struct eprocess *process);
/* A page that is in the paging file: the frame it is to have, with share and reference 1; may wait for one. */
pfn_t MiPrepareSwappedPage(struct os *os, pte_t pte, va_t pte_va, pfn_t containing);
ntstatus_t MiReadSwappedPage(struct os *os, pte_t pte, pfn_t frame); /* into it; status of the transfer */
void KiSwapProcesses(struct os *os);                               /* brings in all that are wanted */
void KiWaitUntilInMemory(struct os *os, struct eprocess *process); /* asks for it; may wait */

/* ---- services: allocvm.c NT-77, freevm.c NT-78, protect.c NT-79, mdl.c NT-86/87 (lock and unlock), call.c ---- */
ntstatus_t NtAllocateVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t zero_bits,
                                   uint32_t *size, uint32_t type, uint32_t protect);
ntstatus_t NtFreeVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size, uint32_t type);
ntstatus_t NtProtectVirtualMemory(struct os *os, struct eprocess *process, uint32_t *base, uint32_t *size,
                                  uint32_t protect, uint32_t *old);
enum { VIEW_SHARE = 1, VIEW_UNMAP = 2 }; /* inherit */
ntstatus_t NtMapViewOfSection(struct os *os, const struct section_object *section, struct eprocess *process,
                              uint32_t *base, uint32_t zero_bits, uint32_t commit, uint64_t *offset, uint32_t *size,
                              uint32_t inherit, uint32_t type, uint32_t protect);
ntstatus_t NtUnmapViewOfSection(struct os *os, struct eprocess *process, uint32_t base);
/* Sets the protection (NT-11 mask) of committed pages that lie within one VAD; view rules of NT-79. allocvm.c uses it
 * too, and faults, for which nothing keeps the VAD while it waits: C0000005 if it has gone. */
ntstatus_t MiSetProtectionOnRange(struct os *os, struct eprocess *process, va_t start, va_t end, unsigned protection);
/* Protection mask of one page, whatever form its PTE has; committed says whether it is. */
unsigned MiQueryPageProtection(struct os *os, struct eprocess *process, va_t va, bool *committed);
void MiFreeMdls(struct os *os);                               /* host memory, when the machine goes */
uint32_t MiMdlLocksOfFrame(const struct os *os, pfn_t frame); /* references that locked MDLs hold on it */
struct os_service_result MiServiceMdl(struct os *os, const struct event *event);
ntstatus_t MiNoSuchProcess(const struct os *os, uint32_t pid);                    /* ended (NT-74), or never there */
struct os_service_result MiServiceCall(struct os *os, const struct event *event); /* `call NAME ARG…` */
struct os_service_result MiService(struct os *os, const struct event *event);     /* service.c */
void MiInitializeMachine(struct os *os); /* mminit.c: NT-02, NT-06, NT-13, NT-106 */
uint64_t MiBootRamSize(const struct os_config *config, char *err, size_t err_size);

enum {
    MEM_COMMIT = 0x1000,
    MEM_RESERVE = 0x2000,
    MEM_DECOMMIT = 0x4000,
    MEM_RELEASE = 0x8000,
    MEM_RESET = 0x80000,
    MEM_TOP_DOWN = 0x100000,
    MEM_LARGE_PAGES = 0x20000000,
    MEM_DOS_LIM = 0x40000000
};

#include "kernelmem.h"
#include "mi_support.h"
#include "miws.h"

#endif
