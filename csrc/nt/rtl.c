/* RtlCopyMemory and its like, and RtlRandom: NT-93. They touch a page at a time, bytes in ascending order (a move in
 * descending order where it must), and raise what a page's fault ends in. */
#include "exports.h"

#include <string.h>

static ntstatus_t MiRaiseOutcome(struct os *os, const struct os_outcome *outcome) {
    return MiRaise(os, outcome->status, outcome->p[0], outcome->p[1], outcome->p[2]);
}

static uint32_t MiRoomInPage(va_t va) { return (uint32_t)(PAGE_SIZE - (va & PAGE_MASK)); }
static uint32_t MiSmaller(uint32_t a, uint32_t b) { return a < b ? a : b; }
static va_t MiWrap(va_t va) { return va & 0xFFFFFFFFu; }

ntstatus_t MiCopyBytes(struct os *os, va_t to, va_t from, uint32_t length) {
    uint8_t bytes[PAGE_SIZE];
    struct os_outcome outcome;
    if (os->M->ops->try_read(os->M, from, bytes, length, &outcome) < length ||
        os->M->ops->try_write(os->M, to, bytes, length, &outcome) < length) {
        return MiRaiseOutcome(os, &outcome);
    }
    return STATUS_SUCCESS;
}

ntstatus_t RtlCopyMemory(struct os *os, va_t to, va_t from, uint32_t length) {
    ntstatus_t status = STATUS_SUCCESS;
    while (length > 0 && status == STATUS_SUCCESS) {
        uint32_t here = MiSmaller(length, MiSmaller(MiRoomInPage(to), MiRoomInPage(from)));
        status = MiCopyBytes(os, to, from, here);
        to = MiWrap(to + here);
        from = MiWrap(from + here);
        length -= here;
    }
    return status;
}

/* Where the target begins inside the source, the last bytes go first. */
ntstatus_t RtlMoveMemory(struct os *os, va_t to, va_t from, uint32_t length) {
    if (to <= from || to >= from + length) { return RtlCopyMemory(os, to, from, length); }
    ntstatus_t status = STATUS_SUCCESS;
    while (length > 0 && status == STATUS_SUCCESS) {
        uint32_t in_from = (uint32_t)((from + length - 1) & PAGE_MASK) + 1;
        uint32_t in_to = (uint32_t)((to + length - 1) & PAGE_MASK) + 1;
        uint32_t here = MiSmaller(length, MiSmaller(in_from, in_to));
        length -= here;
        status = MiCopyBytes(os, to + length, from + length, here);
    }
    return status;
}

ntstatus_t RtlFillMemory(struct os *os, va_t to, uint32_t length, uint8_t byte) {
    uint8_t bytes[PAGE_SIZE];
    struct os_outcome outcome;
    memset(bytes, byte, sizeof bytes);
    while (length > 0) {
        uint32_t here = MiSmaller(length, MiRoomInPage(to));
        if (os->M->ops->try_write(os->M, to, bytes, here, &outcome) < here) { return MiRaiseOutcome(os, &outcome); }
        to = MiWrap(to + here);
        length -= here;
    }
    return STATUS_SUCCESS;
}

/* How many bytes are equal before the first that are not; what lies behind it is not touched. */
ntstatus_t RtlCompareMemory(struct os *os, va_t a, va_t b, uint32_t length, uint32_t *equal) {
    uint8_t left[PAGE_SIZE], right[PAGE_SIZE];
    struct os_outcome outcome;
    *equal = 0;
    while (*equal < length) {
        uint32_t here = MiSmaller(length - *equal, MiSmaller(MiRoomInPage(a), MiRoomInPage(b)));
        if (os->M->ops->try_read(os->M, a, left, here, &outcome) < here ||
            os->M->ops->try_read(os->M, b, right, here, &outcome) < here) {
            return MiRaiseOutcome(os, &outcome);
        }
        for (uint32_t i = 0; i < here; i++, ++*equal) {
            if (left[i] != right[i]) { return STATUS_SUCCESS; }
        }
        a = MiWrap(a + here);
        b = MiWrap(b + here);
    }
    return STATUS_SUCCESS;
}

/* ---- RtlRandom ---- */

static uint32_t MiUniform(uint32_t x) { return (uint32_t)((0x7FFFFFEDull * x + 0x7FFFFFC3u) % 0x7FFFFFFFu); }

/* The table is filled at boot, so that a seed gives the same row on every machine. */
void MiInitializeRandom(struct os *os) {
    uint32_t x = 1;
    for (unsigned i = 0; i < MI_RANDOM_TABLE; i++) { os->RtlRandomTable[i] = x = MiUniform(x); }
}

uint32_t RtlRandom(struct os *os, uint32_t *seed) {
    uint32_t y = MiUniform(*seed);
    *seed = MiUniform(y);
    uint32_t *entry = &os->RtlRandomTable[*seed & (MI_RANDOM_TABLE - 1)], result = *entry;
    *entry = y;
    return result;
}

/* ---- call ---- */

#define ROUTINE(name)                                                                                                  \
    static ntstatus_t name(struct os *os, struct eprocess *process, const struct event *event, uint64_t out[2])
#define ARGUMENT(n) MI_ARGUMENT(event, n)

ROUTINE(MiCallCopyMemory) {
    (void)process;
    out[0] = ARGUMENT(0);
    return RtlCopyMemory(os, ARGUMENT(0), ARGUMENT(1), ARGUMENT(2));
}

ROUTINE(MiCallMoveMemory) {
    (void)process;
    out[0] = ARGUMENT(0);
    return RtlMoveMemory(os, ARGUMENT(0), ARGUMENT(1), ARGUMENT(2));
}

ROUTINE(MiCallFillMemory) {
    (void)process;
    out[0] = ARGUMENT(0);
    return RtlFillMemory(os, ARGUMENT(0), ARGUMENT(1), (uint8_t)ARGUMENT(2));
}

ROUTINE(MiCallZeroMemory) {
    (void)process;
    out[0] = ARGUMENT(0);
    return RtlFillMemory(os, ARGUMENT(0), ARGUMENT(1), 0);
}

ROUTINE(MiCallEqualMemory) {
    (void)process;
    uint32_t equal;
    ntstatus_t status = RtlCompareMemory(os, ARGUMENT(0), ARGUMENT(1), ARGUMENT(2), &equal);
    out[0] = equal == ARGUMENT(2);
    return status;
}

ROUTINE(MiCallCompareMemory) {
    (void)process;
    uint32_t equal;
    ntstatus_t status = RtlCompareMemory(os, ARGUMENT(0), ARGUMENT(1), ARGUMENT(2), &equal);
    out[0] = equal;
    return status;
}

ROUTINE(MiCallRandom) {
    (void)process;
    uint32_t seed = ARGUMENT(0);
    out[0] = RtlRandom(os, &seed);
    out[1] = seed;
    return STATUS_SUCCESS;
}

const struct mi_export MiRtlExports[] = {
    {"RtlCopyMemory", 3, MI_NO_HANDLE, MiCallCopyMemory},       /* to, from, length */
    {"RtlMoveMemory", 3, MI_NO_HANDLE, MiCallMoveMemory},       /* to, from, length */
    {"RtlFillMemory", 3, MI_NO_HANDLE, MiCallFillMemory},       /* to, length, byte */
    {"RtlZeroMemory", 2, MI_NO_HANDLE, MiCallZeroMemory},       /* to, length */
    {"RtlEqualMemory", 3, MI_NO_HANDLE, MiCallEqualMemory},     /* a, b, length; out: boolean */
    {"RtlCompareMemory", 3, MI_NO_HANDLE, MiCallCompareMemory}, /* a, b, length; out: bytes equal */
    {"RtlRandom", 1, MI_NO_HANDLE, MiCallRandom},               /* seed; out: value, new seed */
    {0},
};
