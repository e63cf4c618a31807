/* See trace_index.h. */
#include "ntmmu/trace_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define ENTRY_SIZE 36u
#define HEAD_SIZE  12u /* "VMTX", version, n */
#define TAIL_SIZE  12u /* offset, "XTMV" */
#define VERSION    1u

static void store(unsigned char **at, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) { *(*at)++ = (unsigned char)(value >> (8 * i)); }
}

static uint64_t fetch(const unsigned char **at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) { value |= (uint64_t) * (*at)++ << (8 * i); }
    return value;
}

unsigned char *vmt_index_encode(const struct vmt_index *index, uint64_t offset, size_t *size) {
    size_t content = HEAD_SIZE + (size_t)ENTRY_SIZE * index->count + TAIL_SIZE;
    unsigned char *bytes = malloc(8 + content), *at = bytes;
    if (!bytes) { return NULL; }
    store(&at, VMT_INDEX_MAGIC, 4);
    store(&at, content, 4);
    memcpy(at, "VMTX", 4);
    at += 4;
    store(&at, VERSION, 4);
    store(&at, index->count, 4);
    for (uint32_t i = 0; i < index->count; i++) {
        const struct vmt_frame *f = &index->frame[i];
        store(&at, f->offset, 8);
        store(&at, f->length, 4);
        store(&at, f->text_offset, 8);
        store(&at, f->text_length, 4);
        store(&at, f->first_event, 8);
        store(&at, f->events, 4);
    }
    store(&at, offset, 8);
    memcpy(at, "XTMV", 4);
    *size = 8 + content;
    return bytes;
}

static void decode_frame(const unsigned char **at, struct vmt_frame *f) {
    f->offset = fetch(at, 8);
    f->length = (uint32_t)fetch(at, 4);
    f->text_offset = fetch(at, 8);
    f->text_length = (uint32_t)fetch(at, 4);
    f->first_event = fetch(at, 8);
    f->events = (uint32_t)fetch(at, 4);
}

/* The bytes of the skippable frame; NULL if the file does not end in one that is an index. */
static unsigned char *load(FILE *file, uint64_t *offset, size_t *size, bool *damaged) {
    unsigned char tail[TAIL_SIZE];
    if (fseeko(file, -(off_t)TAIL_SIZE, SEEK_END) != 0 || fread(tail, 1, TAIL_SIZE, file) != TAIL_SIZE) { return NULL; }
    if (memcmp(tail + 8, "XTMV", 4) != 0) { return NULL; }
    const unsigned char *at = tail;
    off_t end = ftello(file);
    *damaged = true;
    *offset = fetch(&at, 8);
    if (end < 0 || *offset >= (uint64_t)end) { return NULL; }
    *size = (size_t)((uint64_t)end - *offset);
    if (*size < 8 + HEAD_SIZE + TAIL_SIZE || fseeko(file, (off_t)*offset, SEEK_SET) != 0) { return NULL; }
    unsigned char *bytes = malloc(*size);
    if (bytes && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

static const char *check_form(const unsigned char *bytes, size_t size, uint32_t *count) {
    const unsigned char *at = bytes;
    if (fetch(&at, 4) != VMT_INDEX_MAGIC || fetch(&at, 4) != size - 8 || memcmp(at, "VMTX", 4) != 0) {
        return "its frame is not an index";
    }
    at += 4;
    if (fetch(&at, 4) != VERSION) { return "its version is not 1"; }
    *count = (uint32_t)fetch(&at, 4);
    if (size - 8 != HEAD_SIZE + (uint64_t)ENTRY_SIZE * *count + TAIL_SIZE) { return "its length is wrong"; }
    return NULL;
}

/* The zstd frame at F is as long as the index says. */
static bool frame_is_there(FILE *file, const struct vmt_frame *f) {
    unsigned char *bytes = malloc(f->length ? f->length : 1);
    bool there = bytes && fseeko(file, (off_t)f->offset, SEEK_SET) == 0 &&
                 fread(bytes, 1, f->length, file) == f->length &&
                 ZSTD_findFrameCompressedSize(bytes, f->length) == f->length;
    free(bytes);
    return there;
}

static const char *check_frames(FILE *file, const struct vmt_index *index, uint64_t index_offset) {
    uint64_t offset = 0, text = 0, event = 0;
    for (uint32_t i = 0; i < index->count; i++) {
        const struct vmt_frame *f = &index->frame[i];
        if (f->offset != offset || f->text_offset != text || f->first_event != event) {
            return "its numbers do not add up";
        }
        if (f->length > index_offset - offset || !frame_is_there(file, f)) {
            return "a zstd frame is not where it says";
        }
        offset += f->length;
        text += f->text_length;
        event += f->events;
    }
    return offset == index_offset ? NULL : "it does not cover the file";
}

enum vmt_index_state vmt_index_read(const char *path, struct vmt_index *index, char *why, size_t why_size) {
    uint64_t offset = 0;
    size_t size = 0;
    bool damaged = false;
    *index = (struct vmt_index){NULL, 0};
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = file ? load(file, &offset, &size, &damaged) : NULL;
    const char *wrong = bytes ? check_form(bytes, size, &index->count) : damaged ? "its offset is wrong" : NULL;
    if (bytes && !wrong) {
        index->frame = calloc(index->count ? index->count : 1, sizeof *index->frame);
        const unsigned char *at = bytes + 8 + HEAD_SIZE;
        for (uint32_t i = 0; index->frame && i < index->count; i++) { decode_frame(&at, &index->frame[i]); }
        wrong = index->frame ? check_frames(file, index, offset) : "out of memory";
    }
    enum vmt_index_state state = wrong ? VMT_INDEX_INVALID : bytes ? VMT_INDEX_VALID : VMT_INDEX_NONE;
    snprintf(why, why_size, "%s", wrong ? wrong : "");
    free(bytes);
    if (file) { fclose(file); }
    return state;
}
