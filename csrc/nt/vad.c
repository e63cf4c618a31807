/* Virtual address descriptors: an AVL tree for each process, ordered by start address, and the commit charge for the
 * page tables that its ranges need (NT-69). */
#include "mi.h"

#define ALLOCATION_GRANULARITY 0x10000u

/* ---- the tree ---- */

static int MiHeight(const struct mmvad *vad) { return vad == NULL ? 0 : vad->Height; }

static void MiUpdateHeight(struct mmvad *vad) {
    int left = MiHeight(vad->Left), right = MiHeight(vad->Right);
    vad->Height = 1 + (left > right ? left : right);
}

/* Puts `with` (may be NULL) where vad hangs below its parent. */
static void MiReplaceChild(struct mmvad **root, struct mmvad *vad, struct mmvad *with) {
    if (vad->Parent == NULL) {
        *root = with;
    } else if (vad->Parent->Left == vad) {
        vad->Parent->Left = with;
    } else {
        vad->Parent->Right = with;
    }
    if (with != NULL) { with->Parent = vad->Parent; }
}

static struct mmvad *MiRotate(struct mmvad **root, struct mmvad *vad, bool left) {
    struct mmvad *up = left ? vad->Right : vad->Left;
    MiReplaceChild(root, vad, up);
    struct mmvad *inner = left ? up->Left : up->Right;
    if (left) {
        up->Left = vad;
        vad->Right = inner;
    } else {
        up->Right = vad;
        vad->Left = inner;
    }
    vad->Parent = up;
    if (inner != NULL) { inner->Parent = vad; }
    MiUpdateHeight(vad);
    MiUpdateHeight(up);
    return up;
}

static void MiRebalance(struct mmvad **root, struct mmvad *vad) {
    for (; vad != NULL; vad = vad->Parent) {
        int balance = MiHeight(vad->Left) - MiHeight(vad->Right);
        if (balance > 1) {
            if (MiHeight(vad->Left->Left) < MiHeight(vad->Left->Right)) { MiRotate(root, vad->Left, true); }
            vad = MiRotate(root, vad, false);
        } else if (balance < -1) {
            if (MiHeight(vad->Right->Right) < MiHeight(vad->Right->Left)) { MiRotate(root, vad->Right, false); }
            vad = MiRotate(root, vad, true);
        } else {
            MiUpdateHeight(vad);
        }
    }
}

void MiInsertNode(struct mmvad **root, struct mmvad *vad) {
    struct mmvad *parent = NULL, **link = root;
    while (*link != NULL) {
        parent = *link;
        link = vad->StartingAddress < parent->StartingAddress ? &parent->Left : &parent->Right;
    }
    vad->Parent = parent;
    vad->Left = vad->Right = NULL;
    vad->Height = 1;
    *link = vad;
    MiRebalance(root, parent);
}

void MiRemoveNode(struct mmvad **root, struct mmvad *vad) {
    struct mmvad *from; /* lowest node whose subtree shrank */
    if (vad->Left == NULL || vad->Right == NULL) {
        from = vad->Parent;
        MiReplaceChild(root, vad, vad->Left != NULL ? vad->Left : vad->Right);
    } else {
        struct mmvad *next = vad->Right;
        while (next->Left != NULL) { next = next->Left; }
        from = next->Parent == vad ? next : next->Parent;
        MiReplaceChild(root, next, next->Right);
        MiReplaceChild(root, vad, next);
        next->Left = vad->Left;
        next->Right = vad->Right;
        next->Left->Parent = next;
        if (next->Right != NULL) { next->Right->Parent = next; }
    }
    MiRebalance(root, from);
    vad->Parent = vad->Left = vad->Right = NULL;
}

struct mmvad *MiFirstVad(const struct eprocess *process) {
    struct mmvad *vad = process->VadRoot;
    while (vad != NULL && vad->Left != NULL) { vad = vad->Left; }
    return vad;
}

struct mmvad *MiNextVad(struct mmvad *vad) {
    if (vad->Right != NULL) {
        vad = vad->Right;
        while (vad->Left != NULL) { vad = vad->Left; }
        return vad;
    }
    while (vad->Parent != NULL && vad->Parent->Right == vad) { vad = vad->Parent; }
    return vad->Parent;
}

/* The lowest VAD that ends at or above va. */
static struct mmvad *MiFirstVadEndingFrom(const struct eprocess *process, va_t va) {
    struct mmvad *found = NULL;
    for (struct mmvad *vad = process->VadRoot; vad != NULL;) {
        if (vad->EndingAddress >= va) {
            found = vad;
            vad = vad->Left;
        } else {
            vad = vad->Right;
        }
    }
    return found;
}

struct mmvad *MiCheckForConflictingVad(const struct eprocess *process, va_t start, va_t end) {
    struct mmvad *vad = MiFirstVadEndingFrom(process, start);
    return vad != NULL && vad->StartingAddress <= end ? vad : NULL;
}

struct mmvad *MiLocateAddress(const struct eprocess *process, va_t va) {
    return MiCheckForConflictingVad(process, va, va);
}

/* ---- searching for room ---- */

static va_t MiAlignUp(va_t va) { return (va + ALLOCATION_GRANULARITY - 1) & ~(va_t)(ALLOCATION_GRANULARITY - 1); }

static bool MiFindBottomUp(const struct eprocess *process, va_t size, va_t highest, va_t *start) {
    va_t candidate = MM_LOWEST_USER_ADDRESS;
    for (struct mmvad *vad = MiFirstVad(process); vad != NULL; vad = MiNextVad(vad)) {
        if (vad->StartingAddress >= candidate + size) { break; }
        candidate = MiAlignUp(vad->EndingAddress + 1);
    }
    *start = candidate;
    return candidate + size - 1 <= highest;
}

static struct mmvad *MiPreviousVad(struct mmvad *vad) {
    if (vad->Left != NULL) {
        vad = vad->Left;
        while (vad->Right != NULL) { vad = vad->Right; }
        return vad;
    }
    while (vad->Parent != NULL && vad->Parent->Left == vad) { vad = vad->Parent; }
    return vad->Parent;
}

static bool MiFindTopDown(const struct eprocess *process, va_t size, va_t highest, va_t *start) {
    struct mmvad *vad = process->VadRoot;
    while (vad != NULL && vad->Right != NULL) { vad = vad->Right; }
    va_t limit = highest + 1; /* the free gap ends below this */
    for (;;) {
        va_t floor = vad == NULL ? MM_LOWEST_USER_ADDRESS : vad->EndingAddress + 1;
        if (limit >= floor + size) {
            va_t candidate = (limit - size) & ~(va_t)(ALLOCATION_GRANULARITY - 1);
            if (candidate >= floor) {
                *start = candidate;
                return true;
            }
        }
        if (vad == NULL) { return false; }
        if (vad->StartingAddress < limit) { limit = vad->StartingAddress; }
        vad = MiPreviousVad(vad);
    }
}

bool MiFindEmptyAddressRange(const struct eprocess *process, va_t size, bool top_down, va_t highest, va_t *start) {
    size = (size + PAGE_MASK) & ~PAGE_MASK;
    if (size == 0 || size > highest || highest - size + 1 < MM_LOWEST_USER_ADDRESS) { return false; }
    return top_down ? MiFindTopDown(process, size, highest, start) : MiFindBottomUp(process, size, highest, start);
}

/* ---- page-table commit: one bit for each 4 MB in the target's working-set page (NT-37) ---- */

/* The callers are attached to the process. */
static uint32_t MiReadWsPage(struct os *os, uint32_t offset) { return MiRead32(os, MM_WORKING_SET_LIST + offset); }

static void MiWriteWsPage(struct os *os, uint32_t offset, uint32_t value) {
    MiWrite32(os, MM_WORKING_SET_LIST + offset, value);
}

/* Bits of dword `word` of the bitmap that stand for the page tables first..last. */
static uint32_t MiBitmapMask(unsigned word, unsigned first, unsigned last) {
    uint32_t mask = ~0u;
    if (first > word * 32) { mask &= ~0u << (first - word * 32); }
    if (last < word * 32 + 31) { mask &= ~0u >> (word * 32 + 31 - last); }
    return mask;
}

static uint32_t MiCountUnchargedTables(struct os *os, unsigned first, unsigned last) {
    uint32_t count = 0;
    for (unsigned word = first / 32; word <= last / 32; word++) {
        uint32_t bits = MiReadWsPage(os, WSL_PAGE_TABLE_BITMAP + word * 4);
        count += (uint32_t)__builtin_popcount(MiBitmapMask(word, first, last) & ~bits);
    }
    return count;
}

static void MiSetTableBits(struct os *os, unsigned first, unsigned last, bool set) {
    for (unsigned word = first / 32; word <= last / 32; word++) {
        uint32_t offset = WSL_PAGE_TABLE_BITMAP + word * 4, mask = MiBitmapMask(word, first, last);
        uint32_t old = MiReadWsPage(os, offset);
        uint32_t bits = set ? old | mask : old & ~mask;
        if (bits != old) { MiWriteWsPage(os, offset, bits); }
    }
}

static void MiAddToTableCount(struct os *os, uint32_t change) {
    uint32_t count = MiReadWsPage(os, WSL_COMMITTED_PAGE_TABLES);
    MiWriteWsPage(os, WSL_COMMITTED_PAGE_TABLES, count + change);
}

static uint32_t MiTablesOfVad(struct os *os, const struct mmvad *vad) {
    return MiCountUnchargedTables(os, (unsigned)(vad->StartingAddress >> MM_PDE_SHIFT),
                                  (unsigned)(vad->EndingAddress >> MM_PDE_SHIFT));
}

uint32_t MiInsertChargedVad(struct os *os, struct eprocess *process, struct mmvad *vad) {
    uint32_t tables = MiTablesOfVad(os, vad);
    if (tables != 0) {
        MiSetTableBits(os, (unsigned)(vad->StartingAddress >> MM_PDE_SHIFT),
                       (unsigned)(vad->EndingAddress >> MM_PDE_SHIFT), true);
        MiAddToTableCount(os, tables);
    }
    MiInsertNode(&process->VadRoot, vad);
    return tables;
}

ntstatus_t MiInsertVad(struct os *os, struct eprocess *process, struct mmvad *vad) {
    ntstatus_t charged = MiChargeProcessCommitment(os, MiTablesOfVad(os, vad), process);
    if (NT_SUCCESS(charged)) { MiInsertChargedVad(os, process, vad); }
    return charged;
}

static bool MiTableStillCovered(const struct eprocess *process, unsigned table) {
    va_t start = (va_t)table << MM_PDE_SHIFT;
    return MiCheckForConflictingVad(process, start, start + ((va_t)1 << MM_PDE_SHIFT) - 1) != NULL;
}

void MiReturnPageTableCommitment(struct os *os, struct eprocess *process, va_t start, va_t end) {
    /* Tables strictly inside the range were covered by it alone; only its two ends can be shared with neighbours. */
    unsigned first = (unsigned)(start >> MM_PDE_SHIFT), last = (unsigned)(end >> MM_PDE_SHIFT);
    if (MiTableStillCovered(process, first)) { first++; }
    if (last >= first && MiTableStillCovered(process, last)) {
        last--; /* cannot wrap: table 0 holds no other VAD below a range that ends in it and begins after it */
    }
    if (first > last) { return; }
    uint32_t tables = last - first + 1;
    if (MiCountUnchargedTables(os, first, last) != 0) { MiAssert(os, "page tables of a VAD without commit charge"); }
    MiSetTableBits(os, first, last, false);
    MiAddToTableCount(os, 0u - tables);
    MI_MUTANT(169, MiReturnCommitment(os, tables, process), (void)0);
}

void MiRemoveVad(struct os *os, struct eprocess *process, struct mmvad *vad) {
    MiRemoveNode(&process->VadRoot, vad);
    MiReturnPageTableCommitment(os, process, vad->StartingAddress, vad->EndingAddress);
}

/* The flags as NT5 packs them; NT4's model keeps the same facts. */
uint32_t MiVadFlags(const struct mmvad *vad) {
    const uint32_t charge_mask = 0x7FFFF;
    return (vad->CommitCharge & charge_mask) | (uint32_t)vad->PhysicalMapping << 19 | (uint32_t)vad->ImageMap << 20 |
           (uint32_t)vad->NoChange << 22 | (uint32_t)(vad->Protection & 0x1F) << 24 | (uint32_t)vad->MemCommit << 30 |
           (uint32_t)vad->PrivateMemory << 31;
}
