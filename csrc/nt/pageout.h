/* Paging files, transfers and the writers: NT-39 to NT-43. A part of mi.h, which includes it. */
#ifndef NTMMU_MI_PAGEOUT_H
#define NTMMU_MI_PAGEOUT_H

#include "ntmmu/os.h"
#include "ntmmu/pfn.h"
#include "ntmmu/pte.h"

struct os;
struct control_area;

/* A paging file, NT-40: the structure proper and its bitmap are in nonpaged pool. */
struct mmpagingfile {
    va_t Address;
    va_t Mdl[2];     /* what its two MDL entries use; the structure names one while it is in flight */
    uint64_t NameId; /* which file: creating it again lets it grow */
};

/* ---- pagefile.c: NT-39, NT-40 ---- */
enum { /* PAGING_FILE, 40h bytes */
       PAGING_FILE_SIZE_NOW = 0x00,
       PAGING_FILE_MAXIMUM = 0x04,
       PAGING_FILE_FOR_FLUSHING = 0x08,
       PAGING_FILE_FREE = 0x0C,
       PAGING_FILE_USED = 0x10,
       PAGING_FILE_MAX_USED = 0x14,
       PAGING_FILE_HINT = 0x18,
       PAGING_FILE_ENTRY = 0x20 /* 2 words */,
       PAGING_FILE_BITMAP = 0x28,
       PAGING_FILE_OBJECT = 0x2C,
       PAGING_FILE_NUMBER = 0x30,
       PAGING_FILE_NAME = 0x34,
       PAGING_FILE_LOCK = 0x3C
};
#define PAGING_FILE_ENTRY_FREE 0x61u
ntstatus_t NtCreatePagingFile(struct os *os, uint64_t name, uint64_t minimum, uint64_t maximum); /* lengths in bytes */
uint32_t MiPagingFileField(struct os *os, uint32_t number, unsigned offset);
/* Sets the bits of up to `count` adjacent slots; returns how many, 0 if the file is full. */
uint32_t MiAllocatePageFileRun(struct os *os, uint32_t number, uint32_t count, uint32_t *first);
/* The last `count` slots of a run that was just allocated go back, and the hint with them. */
void MiReturnPageFileRun(struct os *os, uint32_t number, uint32_t first, uint32_t count);
void MiReleasePageFileSpace(struct os *os, pte_t pte); /* of a page-file PTE; does nothing for any other form */
bool MiPageFileSlotInUse(struct os *os, pte_t pte);    /* false: no such file, beyond its end, or a clear bit */
/* The same protection, no slot; releases it. */
void MiForgetPageFileSlot(struct os *os, struct mmpfn *pfn);
uint32_t MiExtendPagingFiles(struct os *os, uint32_t pages); /* what they grew by; the commit limit rises with them */

/* ---- pageio.c: NT-43 ---- */
/* Called when the transfer ends, from anywhere that waits or polls: must not wait itself. */
typedef void (*mmtransfer_done)(struct os *os, void *context, ntstatus_t status);
uint64_t MiStartTransfer(struct os *os, const struct os_io *io, mmtransfer_done done, void *context);
ntstatus_t MiReadAndWait(struct os *os, const struct os_io *io);     /* not for a fault: no collision can be met */
void MiTransferEnded(struct os *os, uint64_t id, ntstatus_t status); /* os_ops.io_complete */
void MiFreeTransfers(struct os *os, void (*release)(void *context)); /* host memory, when the machine goes */
#define MM_MODIFIED_WRITE_CLUSTER OS_IO_PAGES_MAX
/* One write that gathers, waits or is under way: MMMOD_WRITER_MDL_ENTRY. */
struct mmwrite {
    struct mmwrite *Next;
    struct os_io Io;
    va_t Mdl;
    struct control_area *ControlArea; /* NULL: to a paging file */
    unsigned File, Entry;             /* of a paging file: its number, which MDL entry */
    ntstatus_t Status;
};
/* An MDL over the frames at a nonpaged address, as a transfer of the memory manager's own needs it. */
void MiBuildPagingMdl(struct os *os, va_t mdl, const struct os_io *io);

/* ---- modwrite.c: NT-41; mapwrite.c: NT-42; apc.c: NT-43 ---- */
/* To the end of the list, or until the stop thresholds are reached. NO_PAGEFILE once. */
ntstatus_t MiModifiedPageWriter(struct os *os, bool thresholds);
bool MiIsFilePage(const struct mmpfn *pfn); /* goes to a file, not to a paging file: by its OriginalPte */
/* The modified page leaves its list and is being written: row P17, P31. Returns its entry. */
struct mmpfn MiBeginPageWrite(struct os *os, pfn_t frame, pte_t original_pte);
bool MiGatherMappedPages(struct os *os, pfn_t frame); /* false: no memory to describe the write */
void MiMappedPageWriter(struct os *os);
void MiInitializePageWriters(struct os *os);
void MiMappedPagesAge(struct os *os, uint64_t milliseconds); /* time passes: NT-42's life timer */
void MiIssueWrite(struct os *os, struct mmwrite *write);     /* IoAsynchronousPageWrite */
void MiWriteComplete(struct os *os, struct mmwrite *write);
void MiMappedWriteComplete(struct os *os, struct mmwrite *write);
bool MiCanTakeApc(const struct os *os); /* special kernel APCs: IRQL 0, and no region without APCs */
void KiDeliverApc(struct os *os);       /* the writes that have ended, if the IRQL allows it */
void MiApcTick(struct os *os);
void MiPageWritersTick(struct os *os); /* those of whose events one is set, NT-02 */
void MiFreeWrites(struct os *os);

/* ---- dereference.c: NT-106 ---- */
void MiRequestPageFileExtension(struct os *os, uint32_t pages);
void MiDereferenceSegmentThread(struct os *os);
void MiFreeDereferenceQueue(struct os *os);

#endif
