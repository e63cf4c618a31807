/* How inputs change that may be packed. A changed byte of a zstd frame or of a tar header spoils all of it, and nothing
 * behind would ever be reached: here what is inside changes, and is packed again. One time in four the bytes change as
 * they stand, since damaged archives are inputs, too. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define INSIDE_MAX 65536
#define BLOCK      512u
#define TAR_SIZE   124 /* of the content, octal; 12 bytes */
#define TAR_SUM    148 /* of the header's bytes, these 8 as blanks */
#define TAR_MAGIC  257

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* ---- tar ---- */

static bool is_header(const uint8_t *data, size_t size) {
    return size >= BLOCK && memcmp(data + TAR_MAGIC, "ustar", 5) == 0;
}

static size_t content_of(const uint8_t *header) {
    size_t size = 0;
    for (unsigned i = 0; i < 11; i++) {
        if (header[TAR_SIZE + i] >= '0' && header[TAR_SIZE + i] <= '7') {
            size = size * 8 + header[TAR_SIZE + i] - '0';
        }
    }
    return size;
}

static size_t padded(size_t size) { return (size + BLOCK - 1) / BLOCK * BLOCK; }

static void write_sum(uint8_t *header) {
    unsigned sum = 0;
    memset(header + TAR_SUM, ' ', 8);
    for (unsigned i = 0; i < BLOCK; i++) { sum += header[i]; }
    snprintf((char *)header + TAR_SUM, 8, "%06o", sum);
}

/* Gives the file at data + at another content. */
static size_t change_content(uint8_t *data, size_t size, size_t at, size_t max) {
    static uint8_t content[INSIDE_MAX], rest[INSIDE_MAX];
    size_t old = content_of(data + at), start = at + BLOCK, end = start + padded(old);
    if (end > size) { return size; }
    memcpy(content, data + start, old);
    memcpy(rest, data + end, size - end);
    size_t room = (max - start - (size - end)) / BLOCK * BLOCK;
    size_t length = room ? LLVMFuzzerMutate(content, old, room) : 0;
    memset(data + start, 0, padded(length));
    memcpy(data + start, content, length);
    memcpy(data + start + padded(length), rest, size - end);
    snprintf((char *)data + at + TAR_SIZE, 12, "%011zo", length);
    write_sum(data + at);
    return start + padded(length) + (size - end);
}

static size_t change_tar(uint8_t *data, size_t size, size_t max, unsigned seed) {
    size_t headers[64];
    unsigned count = 0;
    for (size_t at = 0; at + BLOCK <= size && is_header(data + at, size - at) && count < 64;) {
        headers[count++] = at;
        size_t content = content_of(data + at);
        at += content < size ? BLOCK + padded(content) : size;
    }
    size_t at = headers[seed / 64 % count];
    if (seed / 4096 % 4) { return change_content(data, size, at, max); }
    LLVMFuzzerMutate(data + at, BLOCK, BLOCK);
    write_sum(data + at);
    return size;
}

/* ---- zstd ---- */

static bool is_zstd(const uint8_t *data, size_t size) { return size >= 4 && memcmp(data, "\x28\xB5\x2F\xFD", 4) == 0; }

/* 0: not to be had. */
static size_t unpack(const uint8_t *data, size_t size, uint8_t *inside) {
    static ZSTD_DCtx *context;
    if (!context) { context = ZSTD_createDCtx(); }
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
    ZSTD_inBuffer in = {data, size, 0};
    ZSTD_outBuffer out = {inside, INSIDE_MAX, 0};
    while (in.pos < in.size && out.pos < out.size) {
        size_t before = in.pos + out.pos;
        if (ZSTD_isError(ZSTD_decompressStream(context, &out, &in)) || in.pos + out.pos == before) { break; }
    }
    return out.pos;
}

/* In one frame or two, cut at `cut`; 0: no room. */
static size_t pack(const uint8_t *inside, size_t length, size_t cut, uint8_t *data, size_t max) {
    static ZSTD_CCtx *context;
    if (!context) { context = ZSTD_createCCtx(); }
    size_t first = ZSTD_compressCCtx(context, data, max, inside, cut, 1);
    if (ZSTD_isError(first) || cut == length) { return ZSTD_isError(first) ? 0 : first; }
    size_t second = ZSTD_compressCCtx(context, data + first, max - first, inside + cut, length - cut, 1);
    return ZSTD_isError(second) ? 0 : first + second;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    static uint8_t inside[INSIDE_MAX];
    bool packed = is_zstd(data, size);
    if (seed % 4 == 0 || size > INSIDE_MAX || max_size < BLOCK) { return LLVMFuzzerMutate(data, size, max_size); }
    size_t length = packed ? unpack(data, size, inside) : size;
    if (length == 0) { return LLVMFuzzerMutate(data, size, max_size); }
    if (!packed) { memcpy(inside, data, size); }
    size_t max = packed ? INSIDE_MAX : max_size < INSIDE_MAX ? max_size : INSIDE_MAX;
    length = is_header(inside, length) ? change_tar(inside, length, max, seed) : LLVMFuzzerMutate(inside, length, max);
    if (seed / 4 % 16 == 0) { packed = !packed; }
    size_t done = packed ? pack(inside, length, seed / 64 % 2 ? length : length / 2, data, max_size) : 0;
    if (done) { return done; }
    length = length < max_size ? length : max_size; /* it stays or becomes plain */
    memcpy(data, inside, length);
    return length;
}
