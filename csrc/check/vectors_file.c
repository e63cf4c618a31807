/* Reads vector files: see vectors_file.h. */
#include "vectors_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define READ_SIZE   16384
#define UNPACK_SIZE 65536

struct buffer {
    char *bytes;
    size_t length, capacity;
};

/* Room for `more` bytes and a NUL. */
static int reserve(struct buffer *buffer, size_t more) {
    if (buffer->length + more + 1 <= buffer->capacity) { return 0; }
    size_t capacity = 2 * buffer->capacity + more + 1;
    char *bytes = realloc(buffer->bytes, capacity);
    if (!bytes) { return -1; }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return 0;
}

static int fail_file(const char *path, const char *found, char *err, size_t err_size) {
    snprintf(err, err_size, "%s: found %s, expected a vector file", path, found);
    return -1;
}

static int slurp(const char *path, struct buffer *out, char *err, size_t err_size) {
    int input = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    FILE *file = input < 0 ? NULL : fdopen(input, "rb");
    if (!file) { return fail_file(path, strerror(errno), err, err_size); }
    size_t got = 1;
    while (got && reserve(out, READ_SIZE) == 0) {
        got = fread(out->bytes + out->length, 1, READ_SIZE, file);
        out->length += got;
    }
    bool bad = ferror(file) || got != 0;
    fclose(file);
    return bad ? fail_file(path, "a read error", err, err_size) : 0;
}

/* NULL, or what is wrong. */
static const char *decompress_stream(ZSTD_DCtx *dctx, const struct buffer *in, struct buffer *out) {
    ZSTD_inBuffer input = {.src = in->bytes, .size = in->length};
    size_t pending = 1; /* 0 exactly at the end of a frame */
    while (input.pos < input.size || pending) {
        if (reserve(out, UNPACK_SIZE) < 0) { return "too much text for this computer's memory"; }
        ZSTD_outBuffer output = {.dst = out->bytes + out->length, .size = UNPACK_SIZE};
        size_t consumed = input.pos;
        pending = ZSTD_decompressStream(dctx, &output, &input);
        if (ZSTD_isError(pending)) { return ZSTD_getErrorName(pending); }
        out->length += output.pos;
        if (pending && input.pos == consumed && output.pos == 0) { return "a truncated zstd frame"; }
    }
    return NULL;
}

static int decompress(const char *path, struct buffer *buffer, char *err, size_t err_size) {
    struct buffer out = {0};
    ZSTD_DCtx *dctx = ZSTD_createDCtx();
    const char *wrong = dctx ? decompress_stream(dctx, buffer, &out) : "no memory left";
    ZSTD_freeDCtx(dctx);
    free(buffer->bytes);
    *buffer = out;
    return wrong ? fail_file(path, wrong, err, err_size) : 0;
}

static bool is_zstd(const struct buffer *buffer) {
    static const char magic[4] = {'\x28', '\xB5', '\x2F', '\xFD'};
    return buffer->length >= sizeof magic && memcmp(buffer->bytes, magic, sizeof magic) == 0;
}

int vectors_file_open(struct vectors_file *file, const char *path, char *err, size_t err_size) {
    *file = (struct vectors_file){.path = path, .err = err, .err_size = err_size};
    struct buffer buffer = {0};
    int status = slurp(path, &buffer, err, err_size);
    if (status == 0 && is_zstd(&buffer)) { status = decompress(path, &buffer, err, err_size); }
    if (status == 0 && reserve(&buffer, 0) < 0) { status = fail_file(path, "no memory left", err, err_size); }
    if (status == 0) {
        buffer.bytes[buffer.length] = '\0';
        if (strlen(buffer.bytes) != buffer.length) { status = fail_file(path, "a NUL byte", err, err_size); }
    }
    if (status < 0) {
        free(buffer.bytes);
        return -1;
    }
    file->text = file->next = buffer.bytes;
    return 0;
}

void vectors_file_close(struct vectors_file *file) {
    free(file->text);
    file->text = NULL;
}

static void split(struct vectors_file *file, char *line) {
    file->word_count = 0;
    file->too_many_words = false;
    for (char *word = line + strspn(line, " \t\r"); *word; word += strspn(word, " \t\r")) {
        if (file->word_count == VECTORS_WORD_MAX) {
            file->too_many_words = true;
            return;
        }
        file->words[file->word_count++] = word;
        word += strcspn(word, " \t\r");
        if (*word) { *word++ = '\0'; }
    }
}

bool vectors_file_next(struct vectors_file *file) {
    while (*file->next) {
        char *line = file->next;
        size_t length = strcspn(line, "\n");
        file->next += line[length] ? length + 1 : length;
        line[length] = '\0';
        file->line++;
        split(file, line);
        if (file->word_count) { return true; }
    }
    return false;
}

int vectors_file_fail(struct vectors_file *file, const char *found, const char *expected) {
    char quoted[80] = "end of line";
    if (found) { snprintf(quoted, sizeof quoted, "'%.64s'", found); }
    snprintf(file->err, file->err_size, "%s:%llu: found %s, expected %s", file->path, (unsigned long long)file->line,
             quoted, expected);
    return -1;
}

int vectors_need_words(struct vectors_file *file, unsigned count, bool exactly) {
    if (file->word_count == count || (file->word_count > count && !exactly)) { return 0; }
    char expected[48];
    snprintf(expected, sizeof expected, "%s%u fields", exactly ? "" : "at least ", count);
    bool more = file->word_count > count;
    return vectors_file_fail(file, more ? file->words[count] : NULL, expected);
}

int vectors_hex(struct vectors_file *file, unsigned index, uint64_t *out) {
    const char *word = index < file->word_count ? file->words[index] : NULL;
    size_t length = word ? strlen(word) : 0;
    if (length == 0 || length > 16 || strspn(word, "0123456789abcdefABCDEF") != length) {
        return vectors_file_fail(file, word, "a hexadecimal number");
    }
    *out = strtoull(word, NULL, 16);
    return 0;
}
