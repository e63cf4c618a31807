/* Pools, NT-84. The blocks with their 8-byte headers are in simulated memory; which blocks exist is also kept here, so
 * that an allocation does not have to read its way through pages that may be paged out, and corruption is noticed. */
#include "mi.h"

#include <string.h>

#define POOL_PAGE_UNITS      (PAGE_SIZE / POOL_UNIT)
#define POOL_EXPANSION_PAGES 32u /* paged pool grows by as much at a time; the first of them are boot's, uncharged */
#define POOL_BAD_IRQL        8u
#define POOL_DOUBLE_FREE     7u
#define POOL_CACHE_UNITS     4u          /* a cache line */
#define POOL_TAG_NONE        0x656E6F4Eu /* "None" */

enum pool_page_state {
    POOL_PAGE_UNBACKED, /* no PTE, not charged */
    POOL_PAGE_FREE,     /* backed, no block in it */
    POOL_PAGE_BLOCKS,   /* divided into blocks */
    POOL_PAGE_RUN,      /* first page of a page-aligned allocation */
    POOL_PAGE_RUN_REST
};

struct pool_page {
    uint8_t state;
    uint32_t run, tag; /* RUN: pages, and their tag, for there is no header */
    uint32_t free_units;
    uint16_t *block; /* BLOCKS: at a block's first unit its size << 1 | allocated, elsewhere 0 */
};

/* One range of addresses; the nonpaged pool has two. */
struct mmpool {
    struct mmpool *next;
    bool paged, expands;
    va_t start;
    uint32_t pages, used, room; /* page[] has those below `used`: none behind was ever backed */
    struct pool_page *page;
};

/* Usage by tag, for `!poolused`. */
struct mmpooltag {
    struct mmpooltag *Next;
    struct nt_pool_tag_view View;
};

/* Who is charged for a block. */
struct mmpoolquota {
    struct mmpoolquota *Next;
    va_t Va;
    struct eprocess *Process;
    bool Paged;
    uint32_t Bytes;
};

/* ---- backing ---- */

static unsigned MiPoolPageState(const struct mmpool *pool, uint32_t index) {
    return index < pool->used ? pool->page[index].state : POOL_PAGE_UNBACKED;
}

/* It is backed from now on. */
static void MiAddPoolPage(struct os *os, struct mmpool *pool, uint32_t index) {
    if (index >= pool->room) {
        uint32_t room = index + 1 > 2 * pool->room ? index + 1 : 2 * pool->room;
        struct pool_page *page = MiAllocateHost(os, room * sizeof *page);
        if (pool->used) { memcpy(page, pool->page, pool->used * sizeof *page); }
        MiFreeHost(pool->page);
        pool->page = page;
        pool->room = room;
    }
    if (index >= pool->used) { pool->used = index + 1; }
    pool->page[index].state = POOL_PAGE_FREE;
}

/* Nonpaged expansion: the lowest free addresses of space 1, and frames that stay theirs for ever (P35). */
static int64_t MiExpandNonPagedPool(struct os *os, struct mmpool *pool, uint32_t count) {
    if (!MiFramesAvailable(os, count) || !MiChargePoolCommitment(os, count)) { return -1; }
    va_t pte = MiReserveSystemPtes(os, count, 1, PAGE_SIZE, 0, false);
    if (pte == 0) {
        MiReturnCommitment(os, count, NULL);
        return -1;
    }
    uint32_t first = (uint32_t)((MiGetVirtualAddressMappedByPte(pte) - pool->start) >> PAGE_SHIFT);
    for (uint32_t i = 0; i < count; i++, pte += PTE_SIZE) {
        MiMapKernelPage(os, pte, MiRemoveAnyPage(os, MiPageColor(os, MiGetVirtualAddressMappedByPte(pte))), 0);
        MiAddPoolPage(os, pool, first + i);
    }
    return first;
}

static bool MiBackPages(struct os *os, struct mmpool *pool, uint32_t first, uint32_t count) {
    if (!MiChargePoolCommitment(os, count)) { return false; }
    for (uint32_t i = first; i < first + count; i++) {
        MiWritePte(os, MiGetPteAddress(pool->start + (i << PAGE_SHIFT)), pte_demand_zero(MM_READWRITE));
        MiAddPoolPage(os, pool, i);
    }
    return true;
}

/* First page of count adjacent ones without blocks; backed: only such. -1: none. */
static int64_t MiFindPoolRun(const struct mmpool *pool, uint32_t count, bool backed) {
    uint32_t run = 0;
    for (uint32_t i = 0; i < (backed ? pool->used : pool->pages); i++) {
        unsigned state = MiPoolPageState(pool, i);
        bool fits = state == POOL_PAGE_FREE || (!backed && state == POOL_PAGE_UNBACKED);
        run = fits ? run + 1 : 0;
        if (run == count) { return (int64_t)i - count + 1; }
    }
    return -1;
}

static uint32_t MiUnbackedPages(const struct mmpool *pool, uint32_t first, uint32_t limit) {
    uint32_t count = 0;
    while (first + count < pool->pages && count < limit && MiPoolPageState(pool, first + count) == POOL_PAGE_UNBACKED) {
        count++;
    }
    return count;
}

/* Paged pool: what is missing of these pages, and some more. */
static bool MiExpandPagedPool(struct os *os, struct mmpool *pool, uint32_t first, uint32_t count) {
    for (uint32_t i = first; i < first + count; i++) {
        if (MiPoolPageState(pool, i) != POOL_PAGE_UNBACKED) { continue; }
        uint32_t least = MiUnbackedPages(pool, i, first + count - i);
        uint32_t more = MiUnbackedPages(pool, i, POOL_EXPANSION_PAGES);
        if (!MiBackPages(os, pool, i, more > least ? more : least) && !MiBackPages(os, pool, i, least)) {
            return false;
        }
    }
    return true;
}

/* A run of backed pages for the caller to use; -1: the pool is full, or commit or frames are exhausted. */
static int64_t MiTakePoolPages(struct os *os, struct mmpool *pool, uint32_t count) {
    int64_t first = MiFindPoolRun(pool, count, true);
    if (first >= 0 || !pool->expands) { return first; }
    if (!pool->paged) { return MiExpandNonPagedPool(os, pool, count); }
    first = MiFindPoolRun(pool, count, false);
    return first >= 0 && MiExpandPagedPool(os, pool, (uint32_t)first, count) ? first : -1;
}

/* A page of paged pool without blocks gives its frame back; it stays charged. */
static void MiDiscardPagedPage(struct os *os, va_t va, struct mmptelist *list) {
    va_t pte_va = MiGetPteAddress(va);
    pte_t pte = MiReadPte(os, pte_va), demand_zero = pte_demand_zero(MM_READWRITE);
    pfn_t frame = pte_frame(pte);
    switch (pte_form(pte)) {
    case PTE_FORM_VALID: {
        pfn_t table = (pfn_t)MiReadPfn(os, frame).ContainingFrame;
        MiRemoveWsle(os, &os->MmSystemCacheWs, MiLocateWsle(os, &os->MmSystemCacheWs, va, frame));
        MiAddToPteList(os, list, pte_va, va, demand_zero);
        MiSetPfnDeleted(os, frame);
        MiDecrementShareCount(os, frame);
        MiDecrementShareCount(os, table);
        break;
    }
    case PTE_FORM_TRANSITION:
        MiDeleteTransitionPage(os, pte_va, frame);
        MiWritePte(os, pte_va, demand_zero);
        break;
    case PTE_FORM_PAGE_FILE:
        MiReleasePageFileSpace(os, pte);
        MiWritePte(os, pte_va, demand_zero);
        break;
    default: break;
    }
}

static void MiReleasePoolPages(struct os *os, struct mmpool *pool, uint32_t first, uint32_t count) {
    struct mmptelist list = {0};
    for (uint32_t i = first; i < first + count; i++) {
        pool->page[i].state = POOL_PAGE_FREE;
        if (pool->paged) { MiDiscardPagedPage(os, pool->start + (i << PAGE_SHIFT), &list); }
    }
    MiFlushPteList(os, &list, true, pte_demand_zero(MM_READWRITE));
}

/* ---- blocks within a page ---- */

static void MiWritePoolHeader(struct os *os, va_t va, uint32_t units, bool allocated, uint32_t tag) {
    uint32_t header[2] = {units | (allocated ? POOL_ALLOCATED : 0), tag};
    os->M->ops->write(os->M, va, header, sizeof header);
}

static uint32_t MiBlockUnits(const struct pool_page *page, uint32_t unit) { return page->block[unit] >> 1; }
static bool MiBlockAllocated(const struct pool_page *page, uint32_t unit) { return page->block[unit] & 1; }

static void MiSetBlock(struct pool_page *page, uint32_t unit, uint32_t units, bool allocated) {
    page->block[unit] = (uint16_t)(units << 1 | allocated);
}

/* First unit of a place for so many units in a free block; POOL_PAGE_UNITS: none. Aligned: the memory behind the header
 * begins with a cache line. */
static uint32_t MiFindBlock(const struct pool_page *page, uint32_t units, bool aligned, uint32_t *block) {
    if (page->state != POOL_PAGE_BLOCKS || page->free_units < units) { return POOL_PAGE_UNITS; }
    for (uint32_t unit = 0; unit < POOL_PAGE_UNITS; unit += MiBlockUnits(page, unit)) {
        uint32_t skip = aligned ? (POOL_CACHE_UNITS - 1 - unit % POOL_CACHE_UNITS) % POOL_CACHE_UNITS : 0;
        if (!MiBlockAllocated(page, unit) && MiBlockUnits(page, unit) >= units + skip) {
            *block = unit;
            return unit + skip;
        }
    }
    return POOL_PAGE_UNITS;
}

/* Takes [unit, unit + units) of the free block that begins at `block`; what is left before and behind stays free. */
static va_t MiTakeBlock(struct os *os, struct mmpool *pool, uint32_t index, uint32_t block, uint32_t unit,
                        uint32_t units, uint32_t tag) {
    struct pool_page *page = &pool->page[index];
    va_t base = pool->start + (index << PAGE_SHIFT);
    uint32_t before = unit - block, rest = MiBlockUnits(page, block) - before - units;
    if (before) { MiSetBlock(page, block, before, false); }
    MiSetBlock(page, unit, units, true);
    if (rest) { MiSetBlock(page, unit + units, rest, false); }
    page->free_units -= units;
    if (before) { MiWritePoolHeader(os, base + block * POOL_UNIT, before, false, 0); }
    if (rest) { MiWritePoolHeader(os, base + (unit + units) * POOL_UNIT, rest, false, 0); }
    MiWritePoolHeader(os, base + unit * POOL_UNIT, units, true, tag);
    return base + (unit + 1) * POOL_UNIT;
}

/* 0: the page has no room. Its headers may have to be waited for; only then is it looked at where there is some. */
static va_t MiAllocateInPage(struct os *os, struct mmpool *pool, uint32_t index, uint32_t units, bool aligned,
                             uint32_t tag) {
    uint32_t block = 0, unit = MiFindBlock(&pool->page[index], units, aligned, &block);
    va_t va = pool->start + (index << PAGE_SHIFT);
    if (unit < POOL_PAGE_UNITS && pool->paged && !MmIsAddressValid(os, va)) {
        MiRead32(os, va);
        unit = MiFindBlock(&pool->page[index], units, aligned, &block);
    }
    return unit < POOL_PAGE_UNITS ? MiTakeBlock(os, pool, index, block, unit, units, tag) : 0;
}

static bool MiAddPageOfBlocks(struct os *os, struct mmpool *pool) {
    int64_t index = MiTakePoolPages(os, pool, 1);
    if (index < 0) { return false; }
    struct pool_page *page = &pool->page[index];
    page->state = POOL_PAGE_BLOCKS;
    page->block = MiAllocateHost(os, POOL_PAGE_UNITS * sizeof *page->block);
    page->free_units = POOL_PAGE_UNITS;
    MiSetBlock(page, 0, POOL_PAGE_UNITS, false);
    return true;
}

static va_t MiAllocateBlock(struct os *os, struct mmpool *pool, uint32_t units, bool aligned, uint32_t tag) {
    do {
        for (uint32_t i = 0; i < pool->used; i++) {
            va_t va = MiAllocateInPage(os, pool, i, units, aligned, tag);
            if (va) { return va; }
        }
    } while (MiAddPageOfBlocks(os, pool));
    return 0;
}

/* ---- usage by tag ---- */

static struct nt_pool_tag_view *MiPoolTag(struct os *os, bool paged, uint32_t tag) {
    struct mmpooltag **at = &os->PoolTags;
    while (*at && ((*at)->View.tag != tag || (*at)->View.paged != paged)) { at = &(*at)->Next; }
    if (*at == NULL) {
        *at = MiAllocateHost(os, sizeof **at);
        (*at)->View = (struct nt_pool_tag_view){.tag = tag, .paged = paged};
    }
    return &(*at)->View;
}

static void MiCountPoolUse(struct os *os, bool paged, uint32_t tag, uint32_t bytes, bool allocated) {
    struct nt_pool_tag_view *use = MiPoolTag(os, paged, tag);
    *(allocated ? &use->allocations : &use->frees) += 1;
    use->bytes += allocated ? bytes : 0 - (uint64_t)bytes;
}

static void MiFreeBlock(struct os *os, struct mmpool *pool, va_t va) {
    uint32_t index = (uint32_t)((va - pool->start) >> PAGE_SHIFT);
    uint32_t unit = (uint32_t)((va & PAGE_MASK) / POOL_UNIT) - 1;
    /* the page may be waited for; only then is it looked at whether there is such a block */
    uint32_t header = MiRead32(os, va - POOL_UNIT), tag = MiRead32(os, va - sizeof(uint32_t));
    struct pool_page *page = &pool->page[index];
    if (page->state != POOL_PAGE_BLOCKS || !MiBlockAllocated(page, unit)) {
        KeBugCheckEx(os, BUGCHECK_BAD_POOL_CALLER, POOL_DOUBLE_FREE, 0, header, va);
    }
    uint32_t units = MiBlockUnits(page, unit);
    if (header != (units | POOL_ALLOCATED)) {
        KeBugCheckEx(os, BUGCHECK_BAD_POOL_HEADER, va - POOL_UNIT, header, units | POOL_ALLOCATED, 0);
    }
    MiCountPoolUse(os, pool->paged, tag, units * POOL_UNIT, false);
    page->free_units += units;
    if (unit + units < POOL_PAGE_UNITS && !MiBlockAllocated(page, unit + units)) {
        uint32_t next = MiBlockUnits(page, unit + units);
        page->block[unit + units] = 0;
        units += next;
    }
    for (uint32_t before = 0; before < unit; before += MiBlockUnits(page, before)) {
        if (before + MiBlockUnits(page, before) == unit && !MiBlockAllocated(page, before)) {
            units += MiBlockUnits(page, before);
            page->block[unit] = 0;
            unit = before;
            break;
        }
    }
    if (units == POOL_PAGE_UNITS) {
        MiFreeHost(page->block);
        page->block = NULL;
        MiReleasePoolPages(os, pool, index, 1);
        return;
    }
    MiSetBlock(page, unit, units, false);
    MiWritePoolHeader(os, pool->start + (index << PAGE_SHIFT) + unit * POOL_UNIT, units, false, 0);
}

/* ---- offered ---- */

static void MiCheckPoolIrql(struct os *os, unsigned type, uint32_t bytes) {
    unsigned irql = os->M->ops->irql(os->M);
    if (irql > (type & PagedPool ? 1u : 2u)) {
        KeBugCheckEx(os, BUGCHECK_BAD_POOL_CALLER, POOL_BAD_IRQL, irql, type, bytes);
    }
}

static va_t MiAllocateFrom(struct os *os, struct mmpool *pool, uint32_t bytes, bool aligned, uint32_t tag) {
    if (bytes <= PAGE_SIZE - (aligned ? POOL_CACHE_UNITS : 1) * POOL_UNIT) {
        uint32_t units = (bytes + POOL_UNIT + POOL_UNIT - 1) / POOL_UNIT;
        va_t va = MiAllocateBlock(os, pool, units, aligned, tag);
        if (va) { MiCountPoolUse(os, pool->paged, tag, units * POOL_UNIT, true); }
        return va;
    }
    uint32_t count = (uint32_t)(((uint64_t)bytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
    int64_t first = MiTakePoolPages(os, pool, count);
    if (first < 0) { return 0; }
    for (uint32_t i = 0; i < count; i++) { pool->page[first + i].state = i ? POOL_PAGE_RUN_REST : POOL_PAGE_RUN; }
    pool->page[first].run = count;
    pool->page[first].tag = tag;
    MiCountPoolUse(os, pool->paged, tag, count << PAGE_SHIFT, true);
    return pool->start + ((va_t)first << PAGE_SHIFT);
}

va_t ExAllocatePool(struct os *os, unsigned type, uint32_t bytes, uint32_t tag) {
    bool paged = type & PagedPool, aligned = type & NonPagedPoolCacheAligned;
    MiCheckPoolIrql(os, type, bytes);
    va_t va = 0;
    for (struct mmpool *pool = paged ? os->PagedPool : os->NonPagedPool; pool && !va; pool = pool->next) {
        va = MiAllocateFrom(os, pool, bytes ? bytes : 1, aligned, tag ? tag : POOL_TAG_NONE);
    }
    if (va == 0 && (type & NonPagedPoolMustSucceed)) {
        KeBugCheckEx(os, BUGCHECK_MUST_SUCCEED_POOL_EMPTY, bytes, 0, 0, 0);
    }
    return va;
}

va_t MiAllocateInitialPool(struct os *os, uint32_t bytes, uint32_t tag) {
    MiCheckPoolIrql(os, NonPagedPool, bytes);
    return MiAllocateFrom(os, os->NonPagedPool, bytes, false, tag);
}

va_t ExAllocatePoolWithQuotaTag(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes, uint32_t tag,
                                ntstatus_t *status) {
    bool paged = type & PagedPool;
    *status = PsChargePoolQuota(os, process, type & PagedPool, bytes);
    if (!NT_SUCCESS(*status)) { return 0; }
    va_t va = ExAllocatePool(os, type, bytes, tag);
    if (va == 0) {
        PsReturnPoolQuota(os, process, type & PagedPool, bytes);
        *status = MiRaise(os, STATUS_INSUFFICIENT_RESOURCES, 0, 0, 0);
        return 0;
    }
    struct mmpoolquota *quota = MiAllocateHost(os, sizeof *quota);
    *quota = (struct mmpoolquota){os->PoolQuotas, va, process, paged, bytes};
    os->PoolQuotas = quota;
    return va;
}

static void MiReturnBlockQuota(struct os *os, va_t va) {
    struct mmpoolquota **link = &os->PoolQuotas;
    while (*link && (*link)->Va != va) { link = &(*link)->Next; }
    struct mmpoolquota *quota = *link;
    if (quota == NULL) { return; }
    *link = quota->Next;
    PsReturnPoolQuota(os, quota->Process, quota->Paged, quota->Bytes);
    MiFreeHost(quota);
}

static struct mmpool *MiPoolOfAddress(struct os *os, va_t va) {
    struct mmpool *list[] = {os->PagedPool, os->NonPagedPool};
    for (unsigned i = 0; i < 2; i++) {
        for (struct mmpool *pool = list[i]; pool; pool = pool->next) {
            if (va >= pool->start && (va - pool->start) >> PAGE_SHIFT < pool->pages) { return pool; }
        }
    }
    return NULL;
}

void ExFreePool(struct os *os, va_t va) {
    struct mmpool *pool = MiPoolOfAddress(os, va);
    if (!pool) { KeBugCheckEx(os, BUGCHECK_BAD_POOL_CALLER, POOL_DOUBLE_FREE, 0, 0, va); }
    MiCheckPoolIrql(os, pool->paged, 0);
    uint32_t index = (uint32_t)((va - pool->start) >> PAGE_SHIFT);
    struct pool_page *page = index < pool->used ? &pool->page[index] : NULL;
    if (page && page->state == POOL_PAGE_BLOCKS && (va & PAGE_MASK) && va % POOL_UNIT == 0) {
        MiFreeBlock(os, pool, va);
        MiReturnBlockQuota(os, va);
        return;
    }
    if (!page || page->state != POOL_PAGE_RUN || (va & PAGE_MASK)) {
        KeBugCheckEx(os, BUGCHECK_BAD_POOL_CALLER, POOL_DOUBLE_FREE, 0, 0, va);
    }
    MiCountPoolUse(os, pool->paged, page->tag, page->run << PAGE_SHIFT, false);
    MiReleasePoolPages(os, pool, index, page->run);
    MiReturnBlockQuota(os, va);
}

/* ---- start and end ---- */

static struct mmpool *MiCreatePool(struct os *os, bool paged, bool expands, va_t start, va_t end) {
    struct mmpool *pool = MiAllocateHost(os, sizeof *pool);
    pool->paged = paged;
    pool->expands = expands;
    pool->start = start;
    pool->pages = (uint32_t)((end - start) >> PAGE_SHIFT);
    for (uint32_t i = 0; i < pool->pages && !expands; i++) { MiAddPoolPage(os, pool, i); }
    return pool;
}

void MiInitializePools(struct os *os) {
    os->NonPagedPool = MiCreatePool(os, false, false, os->MmNonPagedPoolStart, os->MmNonPagedPoolEnd);
    os->NonPagedPool->next = MiCreatePool(os, false, true, MM_NONPAGED_POOL_EXPANSION, MM_CRASH_DUMP_START);
    os->PagedPool = MiCreatePool(os, true, true, MM_PAGED_POOL_START, (va_t)MM_PAGED_POOL_END + 1);
    for (uint32_t i = 0; i < POOL_EXPANSION_PAGES; i++) { /* boot's, before anything is charged */
        MiWritePte(os, MiGetPteAddress(MM_PAGED_POOL_START + (i << PAGE_SHIFT)), pte_demand_zero(MM_READWRITE));
        MiAddPoolPage(os, os->PagedPool, i);
    }
}

void MiFreePoolStructures(struct os *os) {
    struct mmpool *list[] = {os->PagedPool, os->NonPagedPool};
    for (unsigned i = 0; i < 2; i++) {
        while (list[i]) {
            struct mmpool *pool = list[i];
            list[i] = pool->next;
            for (uint32_t k = 0; k < pool->used; k++) { MiFreeHost(pool->page[k].block); }
            MiFreeHost(pool->page);
            MiFreeHost(pool);
        }
    }
    os->PagedPool = os->NonPagedPool = NULL;
    while (os->PoolTags) {
        struct mmpooltag *tag = os->PoolTags;
        os->PoolTags = tag->Next;
        MiFreeHost(tag);
    }
    while (os->PoolQuotas) {
        struct mmpoolquota *quota = os->PoolQuotas;
        os->PoolQuotas = quota->Next;
        MiFreeHost(quota);
    }
}

void mi_view_pool_tags(const struct os *os, bool (*visit)(void *ctx, const struct nt_pool_tag_view *), void *ctx) {
    for (const struct mmpooltag *tag = os->PoolTags; tag; tag = tag->Next) {
        if (!visit(ctx, &tag->View)) { return; }
    }
}
