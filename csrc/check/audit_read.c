/* Check 4, audit: frames that are being read (NT-44, NT-59). Each names the PAGE_SUPPORT_BLOCK of its transfer in u1,
 * the block names it back, and every reference of a frame beyond the read's own is a thread that the block counts. */
#include "audit_priv.h"

#include <inttypes.h>

/* PAGE_SUPPORT_BLOCK, as words */
enum { BLOCK_WAIT_COUNT = 0x20 / 4, BLOCK_BYTE_COUNT = 0x48 / 4, BLOCK_FRAMES = 0x50 / 4 };
#define BLOCK_WORDS     (0x98 / 4)
#define BLOCK_FRAME_MAX 16u

static bool read_fail(struct audit *a, pfn_t frame, const char *what, uint64_t expected, uint64_t found) {
    return audit_fail(a, "I5", "frame %" PRIx64 " is being read: %s expected %" PRIx64 ", found %" PRIx64,
                      (uint64_t)frame, what, expected, found);
}

bool audit_read_in_progress(struct audit *a, pfn_t frame, const struct mmpfn *pfn) {
    uint32_t block[BLOCK_WORDS], waiters = 0;
    if (pfn_location(pfn) != TransitionPage) {
        return read_fail(a, frame, "location", TransitionPage, pfn_location(pfn));
    }
    if (pfn->u2 != 0) { return read_fail(a, frame, "share count", 0, pfn->u2); }
    if (pfn->ReferenceCount == 0) { return read_fail(a, frame, "reference count of at least", 1, 0); }
    if (!peek(a->machine, a->system_directory, pfn->u1, block, sizeof block)) {
        return read_fail(a, frame, "support block: a nonpaged address", 1, pfn->u1);
    }
    uint32_t count = block[BLOCK_BYTE_COUNT] >> PAGE_SHIFT, self = count;
    if (count == 0 || count > BLOCK_FRAME_MAX) {
        return read_fail(a, frame, "pages of its transfer, at most", 16, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct mmpfn other = audit_pfn(a, block[BLOCK_FRAMES + i]);
        if (other.u1 != pfn->u1) { return read_fail(a, block[BLOCK_FRAMES + i], "support block", pfn->u1, other.u1); }
        if (block[BLOCK_FRAMES + i] == frame) { self = i; }
        waiters += other.ReferenceCount - 1u;
    }
    if (self == count) { return read_fail(a, frame, "its place in its block, below", count, self); }
    if (block[BLOCK_WAIT_COUNT] == waiters + 1) { return true; }
    return read_fail(a, frame, "threads that its block counts", waiters + 1, block[BLOCK_WAIT_COUNT]);
}
