/* See source.h. Zstd frames follow one another; skippable frames (the index) are passed over by the library. */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* A line and more, and no larger: one allocation that allocators still keep at hand, and that caches hold. */
#define TEXT_CAPACITY ((size_t)SOURCE_LINE_MAX * 3 / 2)
#define RAW_CAPACITY  ((size_t)1 << 14)

struct source {
    int fd;
    bool at_end, in_frame, compressed;
    uint64_t consumed, size; /* bytes of the file; size 0 = not known */
    ZSTD_DCtx *zstd;
    ZSTD_inBuffer raw;
    size_t next, end; /* unread text: text[next..end) */
    char error[200];
    unsigned char raw_bytes[RAW_CAPACITY];
    char text[TEXT_CAPACITY + 1];
};

/* A signal that somebody handles without SA_RESTART ends the waiting for a silent pipe: a read error. */
static ssize_t read_some(struct source *s, void *to, size_t count) {
    ssize_t got = read(s->fd, to, count);
    if (got > 0) { s->consumed += (uint64_t)got; }
    return got;
}

static bool refill_raw(struct source *s) {
    ssize_t got = read_some(s, s->raw_bytes, RAW_CAPACITY);
    if (got < 0) {
        snprintf(s->error, sizeof s->error, "found a read error (%s), expected data", strerror(errno));
        return false;
    }
    s->raw = (ZSTD_inBuffer){s->raw_bytes, (size_t)got, 0};
    s->at_end = got == 0;
    return true;
}

static bool decompress_some(struct source *s) {
    size_t before = s->end;
    while (s->end == before) {
        if (s->raw.pos == s->raw.size) {
            if (!refill_raw(s)) { return false; }
            if (s->at_end && s->in_frame) {
                snprintf(s->error, sizeof s->error,
                         "found the end of the compressed file, expected the rest of a zstd frame");
                return false;
            }
            if (s->at_end) { return true; }
        }
        ZSTD_outBuffer out = {s->text, TEXT_CAPACITY, s->end};
        size_t left = ZSTD_decompressStream(s->zstd, &out, &s->raw);
        if (ZSTD_isError(left)) {
            snprintf(s->error, sizeof s->error, "found damaged compressed data (%s), expected a zstd frame",
                     ZSTD_getErrorName(left));
            return false;
        }
        s->in_frame = left != 0;
        s->end = out.pos;
    }
    return true;
}

/* Plain text: what was read to recognise the format comes first. */
static bool copy_some(struct source *s) {
    if (s->raw.pos < s->raw.size) {
        size_t count = s->raw.size - s->raw.pos;
        size_t room = TEXT_CAPACITY - s->end;
        count = count < room ? count : room;
        memcpy(s->text + s->end, s->raw_bytes + s->raw.pos, count);
        s->raw.pos += count;
        s->end += count;
        return true;
    }
    ssize_t got = read_some(s, s->text + s->end, TEXT_CAPACITY - s->end);
    if (got < 0) {
        snprintf(s->error, sizeof s->error, "found a read error (%s), expected data", strerror(errno));
        return false;
    }
    s->end += (size_t)got;
    s->at_end = got == 0;
    return true;
}

static bool fill_text(struct source *s) {
    memmove(s->text, s->text + s->next, s->end - s->next);
    s->end -= s->next;
    s->next = 0;
    return s->compressed ? decompress_some(s) : copy_some(s);
}

static bool recognise(struct source *s) {
    static const unsigned char magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
    size_t have = 0;
    while (have < sizeof magic) { /* a pipe may deliver less than asked for */
        ssize_t got = read_some(s, s->raw_bytes + have, RAW_CAPACITY - have);
        if (got < 0) { return false; }
        if (got == 0) { break; }
        have += (size_t)got;
    }
    s->raw = (ZSTD_inBuffer){s->raw_bytes, have, 0};
    s->compressed = have >= sizeof magic && memcmp(s->raw_bytes, magic, sizeof magic) == 0;
    if (s->compressed) { s->zstd = ZSTD_createDCtx(); }
    return !s->compressed || s->zstd;
}

struct source *source_open(const char *path, char *err, size_t err_size) {
    struct source *s = malloc(sizeof *s);
    if (!s) {
        snprintf(err, err_size, "%s: out of memory", path);
        return NULL;
    }
    memset(s, 0, offsetof(struct source, raw_bytes));
    bool standard_input = strcmp(path, "-") == 0;
    s->fd = standard_input ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
        source_close(s);
        return NULL;
    }
    s->size = S_ISREG(st.st_mode) && !standard_input ? (uint64_t)st.st_size : 0;
    if (!recognise(s)) {
        snprintf(err, err_size, "%s: %s", path, errno ? strerror(errno) : "cannot be read");
        source_close(s);
        return NULL;
    }
    return s;
}

void source_close(struct source *s) {
    if (!s) { return; }
    if (s->fd >= 0) { close(s->fd); }
    ZSTD_freeDCtx(s->zstd);
    free(s);
}

static enum source_status too_long(struct source *s) {
    snprintf(s->error, sizeof s->error, "found a line longer than %d bytes, expected a shorter one",
             SOURCE_LINE_MAX - 1);
    return SOURCE_ERROR;
}

enum source_status source_line(struct source *s, char **line, size_t *length) {
    size_t searched = s->next;
    for (;;) {
        char *newline = memchr(s->text + searched, '\n', s->end - searched);
        if (newline) {
            *newline = '\0';
            *line = s->text + s->next;
            *length = (size_t)(newline - *line);
            s->next += *length + 1;
            return *length < SOURCE_LINE_MAX ? SOURCE_LINE : too_long(s);
        }
        size_t have = s->end - s->next;
        if (have >= SOURCE_LINE_MAX) { return too_long(s); }
        if (s->at_end) {
            if (have == 0) { return SOURCE_END; }
            s->text[s->end] = '\0'; /* the last line has no newline */
            *line = s->text + s->next;
            *length = have;
            s->next = s->end;
            return SOURCE_LINE;
        }
        if (!fill_text(s)) { return SOURCE_ERROR; }
        searched = have;
    }
}

const char *source_error(const struct source *s) { return s->error; }

double source_progress(const struct source *s) {
    return s->size ? (double)(s->consumed - (s->raw.size - s->raw.pos)) / (double)s->size : -1.0;
}
