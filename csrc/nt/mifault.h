/* Part of mi.h: page faults and the reads they wait for, NT-44..60. */
#ifndef NTMMU_MIFAULT_H
#define NTMMU_MIFAULT_H

/* ---- mmfault.c, checkva.c: NT-45..49, NT-52; demandz.c NT-53; transit.c NT-54; guard.c NT-51 ---- */
struct mmread { /* one transfer into frames that are not there yet */
    va_t Block; /* PAGE_SUPPORT_BLOCK, 0: none was to be had */
    uint64_t File, Offset, ValidBytes;
    uint32_t FileObject;
    bool Prototype;            /* the PTEs are prototype PTEs */
    struct control_area *Area; /* of the prototypes; NULL: none, or clones */
    uint32_t Colour;           /* of the first page */
    unsigned Count, Faulting;  /* Faulting = Count: nobody faulted, all pages go to Standby */
    va_t PteAddress[OS_IO_PAGES_MAX];
};
struct mmfault {              /* one fault on its way through the resolvers */
    va_t Va;                  /* as the processor reported it */
    bool Write, User;         /* from the error code */
    bool InVad;               /* of a zero entry: Protection and PrototypeAddress are what its VAD says */
    bool Lent;                /* a shared page is mapped for reading, whatever its prototype says */
    bool Trap;                /* KiTrap0E brought it: it can begin again at any time */
    struct eprocess *Process; /* NULL: system working set */
    struct mmsupport *Vm;
    va_t PointerPte;
    pfn_t PageTable;       /* in which PointerPte is; 0: its PDE was not looked at */
    unsigned Protection;   /* effective mask */
    va_t PrototypeAddress; /* 0 if private */
    enum fault_kind Kind;  /* for LOG_RESOLVED */
    uint64_t File, FileOffset;
    ntstatus_t IoStatus; /* of a failed read: p2 of C0000006 */
    pte_t PteContents;   /* of a shared page: the process's own PTE before the read, or MI_SHARED_GUARD */
    struct mmread Read;  /* the last, with MI_ISSUE_READ only: most faults never write it */
};
/* --inject: this fault is to find no frame. It meets a signalled event then, and begins again at once. */
bool MiSimulateNoFrame(struct os *os, const struct mmfault *fault);
ntstatus_t MmAccessFault(struct os *os, bool write, va_t va, bool user);
/* The same; Va, Write and User are given, Kind, File and FileOffset come back. */
ntstatus_t MiAccessFault(struct os *os, struct mmfault *fault);
unsigned MiPrototypeProtection(struct os *os,
                               pte_t prototype_pte); /* of a prototype PTE in any form; valid: its PFN's */
/* Valid PTE of a page at va: user, kernel or page-table template by address; D not set. */
pte_t MiMakeValidPte(struct os *os, va_t va, pfn_t frame, unsigned protection);
/* Makes the page table of a user va exist and valid (NT-47 U2). SUCCESS, MI_WAIT_FOR_PAGE or ACCESS_VIOLATION. */
ntstatus_t MiMakePageTableValid(struct os *os, va_t va);
void MiWaitForPageTable(struct os *os, va_t va); /* the same for who is half-way: waits for a frame as long as it takes */
/* NT-48. false = NO. */
bool MiCheckVirtualAddress(struct os *os, struct eprocess *process, va_t va, unsigned *protection, va_t *prototype);
ntstatus_t MiAccessCheck(struct os *os, struct mmfault *fault, pte_t pte); /* NT-49 */
/* NT-52. pte: what stands at fault->PointerPte. */
ntstatus_t MiDispatchFault(struct os *os, struct mmfault *fault, pte_t pte);
/* NT-53: of user pages, page tables (Va in the window) and system pages. old: what stands at fault->PointerPte. */
ntstatus_t MiResolveDemandZeroFault(struct os *os, struct mmfault *fault, pte_t old);
ntstatus_t MiResolveTransitionFault(struct os *os, struct mmfault *fault, pte_t pte);
ntstatus_t MiCheckForUserStackOverflow(struct os *os, struct mmfault *fault); /* NT-51 */
/* NT-51, after MI_SHARED_GUARD and without locks. GUARD_PAGE_VIOLATION: it is cleared; MI_REFAULT: it has gone. */
ntstatus_t MiClearSharedGuard(struct os *os, struct mmfault *fault);
pa_t MmGetPhysicalAddress(struct os *os, va_t va);                            /* NT-19 */
bool MmIsAddressValid(struct os *os, va_t va);
bool MmIsNonPagedSystemAddressValid(struct os *os, va_t va);
va_t MmDbgTranslatePhysicalAddress(struct os *os, pa_t pa); /* until the next call */

/* A page in transition, referenced and on no list, becomes valid for the fault: share 1, in the working set. */
void MiMakeTransitionPageValid(struct os *os, struct mmfault *fault, pfn_t frame);
/* Faults like the kernel on the address of a prototype PTE until it is valid. *met: it was not, so what the caller knows
 * may be out of date. SUCCESS or MI_WAIT_FOR_PAGE; bugchecks if it cannot be had, or is none of the paged pool. */
ntstatus_t MiMakeSystemAddressValid(struct os *os, va_t va, bool *met);
void MiWaitForSystemAddress(struct os *os, va_t va); /* as MiWaitForPageTable */
/* NT-45 (5): a system page could not be read. */
_Noreturn void MiKernelInPageError(struct os *os, const struct mmfault *fault);

/* ---- inpage.c: NT-43, NT-44, NT-52, NT-55, NT-59 ---- */
#define PAGE_SUPPORT_BLOCK_SIZE 0x98u
#define MM_READ_CLUSTER_SIZE    7u           /* extra pages a read may bring in */
#define MM_READ_SPARE_FRAMES    0x64u        /* they must leave so many frames available */
va_t MiGetInPageSupportBlock(struct os *os); /* 0: no nonpaged pool */
/* Takes frames for read->PteAddress[0..Count), puts them in progress and fills the block; false: none to be had, and
 * the block is given back. */
bool MiBuildInPageRead(struct os *os, struct mmread *read);
void IoPageRead(struct os *os, const struct mmread *read); /* starts it; no wait */
/* Waits for the read, completes it if nobody has, gives the caller's reference of the block back. I/O status. */
ntstatus_t MiWaitForInPageComplete(struct os *os, va_t block);
/* NT-59: MI_REFAULT, or IN_PAGE_ERROR with the status of the transfer. */
ntstatus_t MiWaitForReadInProgress(struct os *os, pfn_t frame, ntstatus_t *io_status);
/* Between start and end of a read: does *pte_va still stand for the frame as it did? */
bool MiPageIsAsReadLeftIt(struct os *os, va_t pte_va, pfn_t frame, pte_t transition);
/* Issues fault->Read, waits, and makes the page of the fault valid: NT-52. */
ntstatus_t MiReadPageOfFault(struct os *os, struct mmfault *fault);
bool MiFramesForCluster(const struct os *os, unsigned pages);
/* *pte_va, a PTE or a prototype PTE, is in page-file form; entries up to limit may be read with it. Returns
 * MI_ISSUE_READ or MI_WAIT_FOR_PAGE. */
ntstatus_t MiResolvePageFileFault(struct os *os, struct mmfault *fault, va_t pte_va, va_t limit,
                                  struct control_area *area);
/* The rest of a request for Count pages at adjacent slots, of which `first` names the first. */
void MiDescribePageFileRead(struct os *os, pte_t first, struct mmread *read);
struct os_service_result MiServicePrefetch(struct os *os, const struct event *event); /* prefetch.c, NT-60 */

/* ---- proto.c: NT-56..58 ---- */
/* The read for the prototype PTE has come in (the frame has one reference by it). */
/* read->PteAddress[0..Count) are prototype PTEs of the subsection, in subsection form: the rest of the request. */
void MiDescribeFileRead(struct os *os, struct subsection *s, struct mmread *read);
ntstatus_t MiCompleteProtoRead(struct os *os, struct mmfault *fault, pfn_t frame, pte_t transition);
ntstatus_t MiResolveProtoPteFault(struct os *os, struct mmfault *fault);
/* The frame's prototype PTE changed from neither to valid/transition (+1) or back (-1): share of its pool page, PfnRef.
 */
void MiPrototypeLeftMemory(struct os *os, va_t prototype);
/* Address of the prototype PTE behind a view's page; 0: beyond, or a private (bss) piece: then *private_protection is
 * set. */
va_t MiGetProtoPteAddress(struct os *os, const struct mmvad *vad, va_t va, unsigned *private_protection);
unsigned MiViewPageProtection(struct os *os, const struct mmvad *vad,
                              va_t va); /* image: of the piece; data: of the VAD */

#endif
