/* A vector file as lines of words: decompressed, split, with parsers that name the file and line of bad input. */
#ifndef CHECK_VECTORS_FILE_H
#define CHECK_VECTORS_FILE_H

#include "ntmmu/types.h"

#define VECTORS_WORD_MAX 32

struct vectors_file {
    const char *path;
    char *text; /* whole file, NUL-terminated */
    char *next; /* start of the next line */
    uint64_t line;
    char *words[VECTORS_WORD_MAX];
    unsigned word_count;
    bool too_many_words;
    char *err;
    size_t err_size;
};

/* Reads the whole file; zstd is recognised by its magic. 0, or -1 with one line in err. */
int vectors_file_open(struct vectors_file *file, const char *path, char *err, size_t err_size);
void vectors_file_close(struct vectors_file *file);

/* Fills line and words[]; false at the end. Blank lines are passed over. */
bool vectors_file_next(struct vectors_file *file);

/* Always -1, with "FILE:LINE: found 'FOUND', expected EXPECTED" in err. found NULL: the end of the line. */
int vectors_file_fail(struct vectors_file *file, const char *found, const char *expected);

/* The line has exactly (at least) so many words. */
int vectors_need_words(struct vectors_file *file, unsigned count, bool exactly);

/* Word number `index` as a hexadecimal number. 0 or -1. */
int vectors_hex(struct vectors_file *file, unsigned index, uint64_t *out);

#endif
