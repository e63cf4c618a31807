/* The trace writer: text, or independent zstd frames of about 8 MB of text cut at line ends with the index behind. */
#include "ntmmu/output_file.h"
#include "ntmmu/trace.h"
#include "ntmmu/trace_index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define LINE_ROOM         4096 /* longest formatted event */
#define COMPRESSION_LEVEL 12
#define START_CAPACITY    ((size_t)1 << 16) /* plain text is written when it is full, else it grows to a frame's text */

struct trace_writer {
    struct output_file out;
    char *path;
    bool compressed, started, ended, failed;
    char error[256];
    char *text;
    size_t used, capacity;
    ZSTD_CCtx *zstd;
    struct vmt_index index;
    struct vmt_frame frame; /* being filled */
};

static int set_error(struct trace_writer *w, const char *what) {
    if (!w->failed) { snprintf(w->error, sizeof w->error, "%s: %s", w->path, what); }
    w->failed = true;
    return -1;
}

static int write_bytes(struct trace_writer *w, const void *bytes, size_t count) {
    return output_write(&w->out, bytes, count) ? set_error(w, strerror(errno)) : 0;
}

static int add_frame(struct trace_writer *w) {
    struct vmt_frame *more = realloc(w->index.frame, (w->index.count + 1) * sizeof *more);
    if (!more) { return set_error(w, "out of memory"); }
    w->index.frame = more;
    more[w->index.count++] = w->frame;
    w->frame = (struct vmt_frame){.offset = w->frame.offset + w->frame.length,
                                  .text_offset = w->frame.text_offset + w->frame.text_length,
                                  .first_event = w->frame.first_event + w->frame.events};
    return 0;
}

/* Writes what is in the buffer: as one frame, or as text. */
static int write_frame(struct trace_writer *w) {
    if (w->failed) { return -1; }
    if (!w->compressed) {
        int result = write_bytes(w, w->text, w->used);
        w->used = 0;
        return result;
    }
    size_t room = ZSTD_compressBound(w->used);
    void *packed = malloc(room);
    if (!packed) { return set_error(w, "out of memory"); }
    size_t size = ZSTD_compress2(w->zstd, packed, room, w->text, w->used);
    int result = ZSTD_isError(size) ? set_error(w, ZSTD_getErrorName(size)) : write_bytes(w, packed, size);
    free(packed);
    w->frame.length = (uint32_t)size;
    w->frame.text_length = (uint32_t)w->used;
    w->used = 0;
    return result == 0 ? add_frame(w) : -1;
}

static void dispose(struct trace_writer *w) {
    output_drop(&w->out);
    free(w->path);
    free(w->text);
    free(w->index.frame);
    ZSTD_freeCCtx(w->zstd);
    free(w);
}

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text), n = strlen(end);
    return length >= n && strcmp(text + length - n, end) == 0;
}

struct trace_writer *trace_create(const char *path, char *err, size_t err_size) {
    struct trace_writer *w = calloc(1, sizeof *w);
    if (!w) {
        snprintf(err, err_size, "%s: out of memory", path);
        return NULL;
    }
    w->out.fd = -1;
    w->compressed = ends_in(path, ".zst");
    w->capacity = START_CAPACITY;
    w->path = strdup(path);
    w->text = malloc(w->capacity);
    if (w->compressed) { w->zstd = ZSTD_createCCtx(); }
    if (!w->path || !w->text || (w->compressed && !w->zstd)) {
        snprintf(err, err_size, "%s: out of memory", path);
        dispose(w);
        return NULL;
    }
    if (output_open(&w->out, path) < 0) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
        dispose(w);
        return NULL;
    }
    if (w->zstd) {
        ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, COMPRESSION_LEVEL);
        ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_checksumFlag, 1);
    }
    return w;
}

/* Room for LENGTH more bytes and a newline; starts the next frame when this one is full. */
static int make_room(struct trace_writer *w, size_t length) {
    size_t full = w->compressed ? VMT_FRAME_TEXT : START_CAPACITY;
    if (w->used && w->used + length + 1 > full && write_frame(w) < 0) { return -1; }
    if (w->used + length + 1 <= w->capacity) { return 0; }
    size_t capacity = 2 * w->capacity + length + 1;
    char *more = realloc(w->text, capacity);
    if (!more) { return set_error(w, "out of memory"); }
    w->text = more;
    w->capacity = capacity;
    return 0;
}

static int append(struct trace_writer *w, const char *line, size_t length, bool is_event) {
    if (w->failed || make_room(w, length) < 0) { return -1; }
    memcpy(w->text + w->used, line, length);
    w->used += length;
    w->text[w->used++] = '\n';
    w->frame.events += is_event;
    return 0;
}

static int start(struct trace_writer *w) {
    w->started = true;
    return append(w, "!vmt 1", 6, false);
}

int trace_write_line(struct trace_writer *w, const char *line, bool is_event) {
    if (strncmp(line, "!vmt", 4) == 0) {
        return w->started ? set_error(w, "a second !vmt was to be written") : start(w);
    }
    if (!w->started && start(w) < 0) { return -1; }
    if (strcmp(line, "!end") == 0) {
        w->ended = true;
        return 0; /* trace_finish writes it */
    }
    if (w->ended) { return set_error(w, "a line was to be written behind !end"); }
    if (strchr(line, '\n')) { return set_error(w, "a line was to be written that holds a newline"); }
    return append(w, line, strlen(line), is_event);
}

int trace_write_event(struct trace_writer *w, const struct event *event) {
    if (!w->started && start(w) < 0) { return -1; }
    if (w->failed || w->ended || make_room(w, LINE_ROOM) < 0) {
        return w->failed ? -1 : set_error(w, "an event was to be written behind !end");
    }
    int length = event_format(event, w->text + w->used, LINE_ROOM);
    if (length <= 0 || length >= LINE_ROOM) { return set_error(w, "an event was to be written that has no text form"); }
    w->used += (size_t)length;
    w->text[w->used++] = '\n';
    w->frame.events++;
    return 0;
}

static int write_index(struct trace_writer *w) {
    size_t size;
    unsigned char *bytes = vmt_index_encode(&w->index, w->frame.offset, &size);
    if (!bytes) { return set_error(w, "out of memory"); }
    int result = write_bytes(w, bytes, size);
    free(bytes);
    return result;
}

static int finish(struct trace_writer *w) {
    if (!w->started && start(w) < 0) { return -1; }
    if (append(w, "!end", 4, false) < 0 || write_frame(w) < 0) { return -1; }
    if (w->compressed && write_index(w) < 0) { return -1; }
    return output_keep(&w->out) < 0 ? set_error(w, strerror(errno)) : 0;
}

int trace_finish(struct trace_writer *w, char *err, size_t err_size) {
    int result = w->failed ? -1 : finish(w);
    if (result < 0) { snprintf(err, err_size, "%s", w->error); }
    dispose(w);
    return result;
}

void trace_abandon(struct trace_writer *w) {
    if (w) { dispose(w); }
}
