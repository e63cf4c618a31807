/* Quotas: NT-96. A quota block limits what a process and its descendants take from the pools and from the paging files;
 * children inherit it. */
#include "mi.h"

struct eprocess_quota_block {
    uint32_t References;
    uint64_t Usage[QUOTA_TYPES], Peak[QUOTA_TYPES], Limit[QUOTA_TYPES];
};

/* The block of whoever has been given none: everything is counted and nothing refused. */
struct eprocess_quota_block *PsDefaultQuotaBlock(struct os *os) {
    if (os->DefaultQuotaBlock == NULL) {
        os->DefaultQuotaBlock = MiAllocateHost(os, sizeof *os->DefaultQuotaBlock);
        os->DefaultQuotaBlock->References = 1;
        for (unsigned type = 0; type < QUOTA_TYPES; type++) { os->DefaultQuotaBlock->Limit[type] = UINT64_MAX; }
    }
    return os->DefaultQuotaBlock;
}

static bool PsCharge(struct eprocess_quota_block *block, enum quota_type type, uint64_t amount) {
    if (amount > block->Limit[type] || block->Usage[type] > block->Limit[type] - amount) { return false; }
    block->Usage[type] += amount;
    if (block->Usage[type] > block->Peak[type]) { block->Peak[type] = block->Usage[type]; }
    return true;
}

static void PsReturn(struct os *os, struct eprocess_quota_block *block, enum quota_type type, uint64_t amount) {
    if (block->Usage[type] < amount) { MiAssert(os, "more quota returned than was charged"); }
    block->Usage[type] -= amount;
}

void PspReferenceQuotaBlock(struct eprocess *process, struct eprocess_quota_block *block) {
    block->References++;
    process->QuotaBlock = block;
}

void PspDereferenceQuotaBlock(struct eprocess_quota_block *block) {
    if (block != NULL && --block->References == 0) { MiFreeHost(block); }
}

void PspInheritQuota(struct os *os, struct eprocess *process, const struct eprocess *parent) {
    bool given = parent != NULL && parent->QuotaBlock != NULL;
    PspReferenceQuotaBlock(process, given ? parent->QuotaBlock : PsDefaultQuotaBlock(os));
}

/* What the process has charged goes over to its new block; limits 0 mean none. */
ntstatus_t PsCreateQuotaBlock(struct os *os, struct eprocess *process, const uint64_t limit[QUOTA_TYPES]) {
    struct eprocess_quota_block *block = MiAllocateHost(os, sizeof *block), *old = process->QuotaBlock;
    for (unsigned type = 0; type < QUOTA_TYPES; type++) { block->Limit[type] = limit[type] ? limit[type] : UINT64_MAX; }
    if (!PsCharge(block, QUOTA_PAGE_FILE, process->CommitCharge)) {
        MiFreeHost(block);
        return STATUS_PAGEFILE_QUOTA_EXCEEDED;
    }
    PsReturn(os, old, QUOTA_PAGE_FILE, process->CommitCharge);
    for (unsigned type = QUOTA_NONPAGED_POOL; type <= QUOTA_PAGED_POOL; type++) {
        PsReturn(os, old, type, process->PoolCharge[type]);
        block->Usage[type] = block->Peak[type] = process->PoolCharge[type];
    }
    PspReferenceQuotaBlock(process, block);
    PspDereferenceQuotaBlock(old);
    return STATUS_SUCCESS;
}

bool PsChargePageFileQuota(struct eprocess *process, uint32_t pages) {
    return process == NULL || PsCharge(process->QuotaBlock, QUOTA_PAGE_FILE, pages);
}

void PsReturnPageFileQuota(struct os *os, struct eprocess *process, uint32_t pages) {
    if (process != NULL) { PsReturn(os, process->QuotaBlock, QUOTA_PAGE_FILE, pages); }
}

ntstatus_t PsChargePoolQuota(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes) {
    if (!PsCharge(process->QuotaBlock, type, bytes)) { return MiRaise(os, STATUS_QUOTA_EXCEEDED, 0, 0, 0); }
    process->PoolCharge[type] += bytes;
    return STATUS_SUCCESS;
}

void PsReturnPoolQuota(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes) {
    PsReturn(os, process->QuotaBlock, type, bytes);
    process->PoolCharge[type] -= bytes;
}
