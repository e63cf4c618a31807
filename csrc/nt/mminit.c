/* Boot: what the loader leaves in memory and what memory management builds on it. NT-02, NT-06, NT-13, NT-106.
 * Until paging is on, addresses are physical. */
#include "mi.h"
#include "ntmmu/eprocess.h"
#include "ntmmu/paging.h"
#include <stdio.h>

#define MEGABYTE             ((uint64_t)1 << 20)
#define RAM_UNIT             (4 * MEGABYTE)
#define FRAMES_64MB          0x4000u
#define PFN_DATABASE_FRAME   0x200u
#define PFN_DATABASE_FRAMES  (FRAMES_64MB * PFN_SIZE >> PAGE_SHIFT)                       /* or more; 60, PAE 80 */
#define NONPAGED_POOL_FRAMES (FIRST_FREE_UNIT - PFN_DATABASE_FRAME - PFN_DATABASE_FRAMES) /* at least */
#define FIRST_FREE_UNIT      0x400u
#define MAXIMUM_FRAMES       0x100000ull
#define MINIMUM_FREE_FRAMES  0x40u
/* The system process's own, among the loader's frames, behind its directories. */
#define SYSTEM_HYPERSPACE_FRAME (MM_SYSTEM_DIRECTORY_FRAME + MM_DIRECTORIES)
#define SYSTEM_WS_FRAME         (SYSTEM_HYPERSPACE_FRAME + MM_HYPER_TABLES)
#define SYSTEM_PTES             ((MM_SYSTEM_PTE_END + 1 - MM_NONPAGED_SYSTEM_START) / PAGE_SIZE - 1) /* not page 0 */
#define POOL_EXPANSION_PTES     ((MM_CRASH_DUMP_START - MM_NONPAGED_POOL_EXPANSION) / PAGE_SIZE)
#define PFN_BATCH               (PAGE_SIZE / PFN_SIZE)
#define COLOR_MASK              7u

/* Kernel page tables, in the order in which they take frames from the top of RAM downward. Directory indices. */
static const struct {
    uint16_t first, last;
} mi_boot_tables[] = {
    {MM_NONPAGED_SYSTEM_START >> MM_PDE_SHIFT, MM_SYSTEM_PTE_END >> MM_PDE_SHIFT},
    {MM_PAGED_POOL_START >> MM_PDE_SHIFT, MM_PAGED_POOL_END >> MM_PDE_SHIFT},
    {MM_SYSTEM_CACHE_START >> MM_PDE_SHIFT, MM_SYSTEM_CACHE_END >> MM_PDE_SHIFT},
    {MM_NONPAGED_POOL_EXPANSION >> MM_PDE_SHIFT, (MM_CRASH_DUMP_START - 1) >> MM_PDE_SHIFT},
    {MM_SYSTEM_WS_LIST >> MM_PDE_SHIFT, (MM_SYSTEM_CACHE_START - 1) >> MM_PDE_SHIFT},
    {MM_SHARED_KERNEL_PAGE >> MM_PDE_SHIFT, MM_SHARED_KERNEL_PAGE >> MM_PDE_SHIFT},
};
/* Kernel pages mapped at boot. */
static const uint32_t mi_boot_pages[] = {MM_SYSTEM_WS_LIST, MM_SHARED_KERNEL_PAGE};
#define BOOT_TABLE_RANGES (sizeof mi_boot_tables / sizeof mi_boot_tables[0])
#define BOOT_PAGES        (sizeof mi_boot_pages / sizeof mi_boot_pages[0])

struct boot_layout {
    uint32_t frames, database_frames, first_free;
};

static uint32_t MiKseg2Frame(const struct os_config *config) {
    return config->boot == OS_CFG_B ? 0x400u : MM_DIRECT_MAP_FRAMES;
}

/* Directory entries of the direct map of so many frames. */
static uint32_t MiDirectMapPdes(const struct os_config *config, uint64_t frames) {
    uint64_t limit = MiKseg2Frame(config);
    return (uint32_t)(((frames < limit ? frames : limit) + MM_PTE_PER_PAGE - 1) / MM_PTE_PER_PAGE);
}

/* A processor without large pages needs page tables there, the last that boot takes (NT-13). */
static uint32_t MiDirectMapTables(const struct os_config *config, uint64_t frames) {
    return config->boot == OS_CFG_NOPSE ? MiDirectMapPdes(config, frames) : 0;
}

static uint32_t MiBootTopFrames(const struct os_config *config, uint64_t of) {
    uint32_t frames = BOOT_PAGES + MiDirectMapTables(config, of);
    for (size_t i = 0; i < BOOT_TABLE_RANGES; i++) { frames += mi_boot_tables[i].last - mi_boot_tables[i].first + 1u; }
    return frames;
}

static void MiLayoutOf(uint64_t frames, struct boot_layout *out) {
    uint64_t database = (frames * PFN_SIZE + PAGE_MASK) >> PAGE_SHIFT;
    out->frames = (uint32_t)frames;
    out->database_frames = database < PFN_DATABASE_FRAMES ? PFN_DATABASE_FRAMES : (uint32_t)database;
    uint32_t end = PFN_DATABASE_FRAME + out->database_frames + NONPAGED_POOL_FRAMES;
    out->first_free = (end + FIRST_FREE_UNIT - 1) / FIRST_FREE_UNIT * FIRST_FREE_UNIT;
}

/* Frames the kernel sees. With --ram their number follows from how many are to be free: the more frames, the larger the
 * database that describes them. */
static bool MiLayout(const struct os_config *config, struct boot_layout *out, char *err, size_t err_size) {
    if (config->ram_free == 0) {
        MiLayoutOf(config->boot == OS_CFG_S ? 0x800u : FRAMES_64MB, out);
    } else {
        uint64_t free_frames = config->ram_free >> PAGE_SHIFT, frames = 0;
        MiLayoutOf(MAXIMUM_FRAMES, out);
        uint64_t most = MAXIMUM_FRAMES - out->first_free - MiBootTopFrames(config, MAXIMUM_FRAMES);
        if (free_frames < MINIMUM_FREE_FRAMES || free_frames > most) {
            snprintf(err, err_size, "--ram: found %llu bytes, expected %llu to %llu",
                     (unsigned long long)config->ram_free, (unsigned long long)(MINIMUM_FREE_FRAMES * PAGE_SIZE),
                     (unsigned long long)(most << PAGE_SHIFT));
            return false;
        }
        MiLayoutOf(free_frames, out);
        while (frames != out->first_free + free_frames + MiBootTopFrames(config, frames)) {
            frames = out->first_free + free_frames + MiBootTopFrames(config, frames);
            MiLayoutOf(frames, out);
        }
    }
    if (config->max_page != 0 && config->max_page < out->frames) { MiLayoutOf(config->max_page + 1ull, out); }
    uint32_t least = out->first_free + MiBootTopFrames(config, out->frames) + MINIMUM_FREE_FRAMES;
    if (out->frames > MAXIMUM_FRAMES || out->frames < least) {
        snprintf(err, err_size, "memory of %u frames: expected %u to %llu", out->frames, least,
                 (unsigned long long)MAXIMUM_FRAMES);
        return false;
    }
    return true;
}

uint64_t MiBootRamSize(const struct os_config *config, char *err, size_t err_size) {
    struct boot_layout layout;
    if (!MI_PAE && config->profile == OS_NT5PAE) {
        snprintf(err, err_size, "profile NT5PAE: this kernel does not run on PAE page tables yet");
        return 0;
    }
    if (!MiLayout(config, &layout, err, err_size)) { return 0; }
    uint64_t bytes = (uint64_t)layout.frames << PAGE_SHIFT;
    if (config->ram_free == 0 && config->max_page != 0) { /* the rest is there, but hidden */
        bytes = (config->boot == OS_CFG_S ? 0x800ull : FRAMES_64MB) << PAGE_SHIFT;
    }
    return (bytes + RAM_UNIT - 1) / RAM_UNIT * RAM_UNIT;
}

/* ---- physical stores, paging off ---- */

/* index may count on into the frames behind: of a directory entry, it is that of all directories. */
static void MiBootStore(struct os *os, pfn_t frame, uint32_t index, pte_t value) {
    mmpte_t entry = (mmpte_t)value;
    os->M->ops->write(os->M, (frame << PAGE_SHIFT) + index * PTE_SIZE, &entry, sizeof entry);
}

static uint64_t MiKernelTemplate(const struct os *os) {
    return (PTE_TEMPLATE_KERNEL & ~(uint64_t)PTE_GLOBAL) | os->GlobalBit;
}

/* Large pages; without them, the page tables from frame `table` downward. */
static void MiBuildDirectMap(struct os *os, uint32_t table) {
    const uint32_t first = MiGetPdeIndex(MM_KSEG0_BASE), frames = os->MmHighestPhysicalPage + 1;
    const bool large = os->Config.boot != OS_CFG_NOPSE;
    for (uint32_t i = 0; i < MiDirectMapPdes(&os->Config, frames); i++) {
        uint64_t frame = (uint64_t)i * MM_PTE_PER_PAGE;
        if (large) {
            uint64_t bits = (PTE_TEMPLATE_DIRECT_MAP & ~(uint64_t)PTE_GLOBAL) | os->GlobalBit;
            MiBootStore(os, MM_SYSTEM_DIRECTORY_FRAME, first + i, frame << PTE_FRAME_SHIFT | bits);
            continue;
        }
        uint64_t pde = (uint64_t)(table - i) << PTE_FRAME_SHIFT | MiKernelTemplate(os);
        MiBootStore(os, MM_SYSTEM_DIRECTORY_FRAME, first + i, pde);
        for (uint32_t page = 0; page < MM_PTE_PER_PAGE; page++) {
            MiBootStore(os, table - i, page, (frame + page) << PTE_FRAME_SHIFT | MiKernelTemplate(os));
        }
    }
}

/* Takes frames from the top downward; PFN entries follow once the database is there. */
static void MiBuildKernelTables(struct os *os) {
    uint32_t frame = os->MmHighestPhysicalPage;
    for (size_t i = 0; i < BOOT_TABLE_RANGES; i++) {
        for (uint32_t pde = mi_boot_tables[i].first; pde <= mi_boot_tables[i].last; pde++, frame--) {
            MiBootStore(os, MM_SYSTEM_DIRECTORY_FRAME, pde, (uint64_t)frame << PTE_FRAME_SHIFT | MiKernelTemplate(os));
        }
    }
    for (size_t i = 0; i < BOOT_PAGES; i++, frame--) {
        uint32_t va = mi_boot_pages[i];
        va_t pde = ((va_t)MM_SYSTEM_DIRECTORY_FRAME << PAGE_SHIFT) + MiGetPdeIndex(va) * PTE_SIZE;
        pfn_t table = pte_frame(MiReadPte(os, pde));
        MiBootStore(os, table, MiGetPteIndex(va), (uint64_t)frame << PTE_FRAME_SHIFT | MiKernelTemplate(os));
        if (va == MM_SHARED_KERNEL_PAGE) { os->MmSharedUserFrame = frame; }
    }
    MiBuildDirectMap(os, frame);
    os->FirstKernelTopFrame = frame + 1 - MiDirectMapTables(&os->Config, os->MmHighestPhysicalPage + 1);
}

static void MiBuildSystemProcessTables(struct os *os) {
    struct eprocess *system = &os->SystemProcess;
    uint32_t directory = MM_SYSTEM_DIRECTORY_FRAME, hyperspace = SYSTEM_HYPERSPACE_FRAME;
    /* The self-map and behind it hyperspace: these frames follow each other as their entries do. */
    for (uint32_t i = 0; i < MM_DIRECTORIES + MM_HYPER_TABLES; i++) {
        pte_t pde = ((directory + i) << PTE_FRAME_SHIFT) | PTE_TEMPLATE_PRIVATE_KERNEL;
        MiBootStore(os, directory, MiGetPdeIndex(PTE_BASE) + i, pde);
        *(i < MM_DIRECTORIES ? &system->DirectoryFrame[i] : &system->HyperspaceFrame[i - MM_DIRECTORIES]) =
            directory + i;
    }
    MiBootStore(os, hyperspace, 0, MM_HYPER_SLOTS << PTE_FRAME_SHIFT);
    MiBootStore(os, hyperspace, MiGetPteIndex(MM_WORKING_SET_LIST),
                (SYSTEM_WS_FRAME << PTE_FRAME_SHIFT) | PTE_TEMPLATE_PRIVATE_KERNEL);
#if MI_PAE
    for (uint32_t i = 0; i < MM_DIRECTORIES; i++) {
        MiBootStore(os, MM_SYSTEM_PDPT_FRAME, i, ((directory + i) << PTE_FRAME_SHIFT) | PTE_VALID);
    }
    system->DirectoryTableBase[0] = MM_SYSTEM_PDPT_FRAME << PAGE_SHIFT;
#else
    system->DirectoryTableBase[0] = directory << PAGE_SHIFT;
#endif
    system->DirectoryTableBase[1] = hyperspace << PAGE_SHIFT;
    system->WorkingSetPage = SYSTEM_WS_FRAME;
}

/* ---- the PFN database ---- */

enum { ACTIVE_FLAGS = ActiveAndValid << PFN_LOCATION_SHIFT };

static bool MiBadFrame(const struct os *os, uint32_t frame) {
    const struct os_config *config = &os->Config;
    return (config->bad_first | config->bad_last) != 0 && frame >= config->bad_first && frame <= config->bad_last;
}

static bool MiOwnFrame(const struct os *os, uint32_t frame) {
    return frame < os->MmFirstFreeFrame || frame >= os->FirstKernelTopFrame;
}

/* The next frame above `frame` of the same kind (bad or free); MM_EMPTY_LIST at the end. Bad frames are one range. */
static uint32_t MiNextBootFrame(const struct os *os, uint32_t frame, bool bad) {
    for (uint32_t next = frame + 1; next < os->FirstKernelTopFrame; next++) {
        if (MiBadFrame(os, next) == bad) { return next; }
    }
    return MM_EMPTY_LIST;
}

static struct mmpfn MiBootPfn(struct os *os, uint32_t frame) {
    if (MiOwnFrame(os, frame)) { return (struct mmpfn){.u2 = 1, .Flags = ACTIVE_FLAGS, .ReferenceCount = 1}; }
    bool bad = MiBadFrame(os, frame);
    enum mm_list number = bad ? BadPageList : FreePageList;
    struct mmpfnlist *list = &os->MmPageLocationList[number];
    struct mmpfn pfn = {.u1 = MiNextBootFrame(os, frame, bad),
                        .u2 = list->LastFrame,
                        .Flags = (uint16_t)(number << PFN_LOCATION_SHIFT)};
    if (list->Count++ == 0) { list->FirstFrame = frame; }
    list->LastFrame = frame;
    if (!bad && os->MmSecondaryColorMask) {
        struct mmpfnlist *colour = &os->MmFreePagesByColor[FreePageList][frame & os->MmSecondaryColorMask];
        uint32_t next = frame + os->MmSecondaryColorMask + 1;
        while (next < os->FirstKernelTopFrame && MiBadFrame(os, next)) { next += os->MmSecondaryColorMask + 1; }
        pfn.OriginalPte = next < os->FirstKernelTopFrame ? next : MM_EMPTY_LIST;
        if (colour->Count++ == 0) { colour->FirstFrame = frame; }
        colour->LastFrame = frame;
    }
    return pfn;
}

static void MiBuildPfnDatabase(struct os *os) {
    struct mmpfn batch[PFN_BATCH];
    uint32_t count = 0, first = 0;
    for (uint32_t frame = 0; frame <= os->MmHighestPhysicalPage; frame++) {
        batch[count++] = MiBootPfn(os, frame);
        struct mmpfn *pfn = &batch[count - 1];
        os->LoggedPfn[frame] = (struct mmpfnlog){MiOwnFrame(os, frame) ? 1 : 0, pfn->Flags, pfn->ReferenceCount};
        if (count == PFN_BATCH || frame == os->MmHighestPhysicalPage) {
            os->M->ops->write(os->M, pfn_address(first) - MM_KSEG0_BASE, batch, count * sizeof batch[0]);
            first += count;
            count = 0;
        }
    }
    os->MmAvailablePages = os->MmPageLocationList[FreePageList].Count;
}

static void MiDescribeBootTable(struct os *os, uint32_t frame, uint32_t pde) {
    const uint32_t directory = MM_SYSTEM_DIRECTORY_FRAME + pde / MM_PTE_PER_PAGE;
    const struct mmpfn table = {.PteAddress = PDE_BASE + pde * PTE_SIZE,
                                .u2 = 1,
                                .Flags = ACTIVE_FLAGS,
                                .ReferenceCount = 1,
                                .ContainingFrame = directory};
    MiWritePfn(os, frame, &table);
}

/* Entries of the frames that are not plain loader memory. */
static void MiDescribeBootFrames(struct os *os) {
    MiInitializeProcessPfns(os, &os->SystemProcess, 0, ACTIVE_FLAGS);
    uint32_t frame = os->MmHighestPhysicalPage;
    for (size_t i = 0; i < BOOT_TABLE_RANGES; i++) {
        for (uint32_t pde = mi_boot_tables[i].first; pde <= mi_boot_tables[i].last; pde++, frame--) {
            MiDescribeBootTable(os, frame, pde);
        }
    }
    for (size_t i = 0; i < BOOT_PAGES; i++, frame--) {
        pfn_t table = pte_frame(MiReadPte(os, MiGetPdeAddress(mi_boot_pages[i])));
        bool shared = frame == os->MmSharedUserFrame; /* processes map it, too: its first mapping is its prototype */
        MiInitializePfn(os, frame, MiGetPteAddress(mi_boot_pages[i]), 0, shared ? PFN_PROTOTYPE : 0, table);
    }
    for (uint32_t i = 0; frame - i >= os->FirstKernelTopFrame; i++) {
        MiDescribeBootTable(os, frame - i, MiGetPdeIndex(MM_KSEG0_BASE) + i);
    }
}

/* ---- ---- */

static void MiSetConfiguration(struct os *os) {
    const struct os_config *config = &os->Config;
    struct boot_layout layout;
    char err[128];
    if (!MiLayout(config, &layout, err, sizeof err)) { MiAssert(os, err); }
    os->GlobalBit = config->boot == OS_CFG_NOPGE || config->no_global_pages ? 0 : PTE_GLOBAL;
    os->MmSecondaryColorMask = config->boot == OS_CFG_COL ? COLOR_MASK : 0;
    os->MmKseg2Frame = MiKseg2Frame(config);
    os->MmHighestPhysicalPage = layout.frames - 1;
    os->MmFirstFreeFrame = layout.first_free;
    os->MmNonPagedPoolStart = MiDirectMapAddress(PFN_DATABASE_FRAME + layout.database_frames);
    os->MmNonPagedPoolEnd = MiDirectMapAddress(layout.first_free);
    os->LoggedPfn = MiAllocateHost(os, layout.frames * sizeof os->LoggedPfn[0]);
    for (unsigned list = 0; list < MM_LISTS; list++) {
        os->MmPageLocationList[list] = (struct mmpfnlist){0, MM_EMPTY_LIST, MM_EMPTY_LIST};
    }
    for (unsigned list = 0; list < 2 && os->MmSecondaryColorMask; list++) {
        os->MmFreePagesByColor[list] = MiAllocateHost(os, (os->MmSecondaryColorMask + 1) * sizeof(struct mmpfnlist));
        for (uint32_t colour = 0; colour <= os->MmSecondaryColorMask; colour++) {
            os->MmFreePagesByColor[list][colour] = (struct mmpfnlist){0, MM_EMPTY_LIST, MM_EMPTY_LIST};
        }
    }
}

static void MiEnablePaging(struct os *os) {
    const struct os_machine_ops *ops = os->M->ops;
    uint64_t large_pages = os->Config.boot == OS_CFG_NOPSE ? 0 : CR4_PSE;
    ops->write_control(os->M, MMU_CR4, large_pages | (MI_PAE ? CR4_PAE : 0) | (os->GlobalBit ? CR4_PGE : 0));
    ops->write_control(os->M, MMU_CR3, os->SystemProcess.DirectoryTableBase[0]);
    ops->write_control(os->M, MMU_CR0, CR0_PG | CR0_WP | CR0_PE | 0x10);
}

void MiInitializeMachine(struct os *os) {
    struct eprocess *system = &os->SystemProcess;
    MiSetConfiguration(os);
    MiInitializePfnMoves(os);
    MiBuildKernelTables(os);
    MiBuildSystemProcessTables(os);
    MiBuildPfnDatabase(os);
    os->Prcb[0].CurrentProcess = system;
    MiEnablePaging(os);
    MiInitializeSystemPtes(os, MiGetPteAddress(MM_NONPAGED_SYSTEM_START) + PTE_SIZE, SYSTEM_PTES, 0);
    MiInitializeSystemPtes(os, MiGetPteAddress(MM_NONPAGED_POOL_EXPANSION), POOL_EXPANSION_PTES, 1);
    MiInitializePools(os);
    MiInitializeRandom(os);
    snprintf(system->ImageName, sizeof system->ImageName, "System");
    system->Address = (uint32_t)ExAllocatePool(os, false, 0x1F8, 0x636F7250u);
    PspInitializeProcessObject(os, system, NULL);
    MiDescribeBootFrames(os);
    system->Vm.Address = system->Address + EPROCESS_VM;
    PspInheritQuota(os, system, NULL);
    system->Vm.MinimumWorkingSet = 0x32;
    system->Vm.MaximumWorkingSet = 0x159;
    MiInitializeWorkingSetList(os, system);
    MiInitializeSystemWorkingSet(os);
    os->MmAvailablePagesEvent = true;
    os->MmTotalCommitLimit = os->MmAvailablePages;
    MiInitializePageWriters(os);
    for (unsigned i = 0; i < os->Config.pagefiles; i++) { /* the session manager's part, NT-106 (6) */
        const struct os_pagefile *file = &os->Config.pagefile[i];
        ntstatus_t status = NtCreatePagingFile(os, i, file->min, file->max);
        if (status == STATUS_INSUFFICIENT_RESOURCES) {
            MiAssert(os, "no room for a paging file on the disk, or for its bitmap in nonpaged pool");
        }
        if (!NT_SUCCESS(status)) { MiAssert(os, "a paging file has 1 MB at least, and less than 4 GB"); }
    }
}
