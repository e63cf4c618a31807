/* The contents of a simulated file: a function of path and offset, so that no file has to exist. The disk and the
 * shadow memory both take them from here. Offsets in bytes. */
#ifndef NTMMU_FILEDATA_H
#define NTMMU_FILEDATA_H

#include "ntmmu/types.h"

/* Identity of a path, never 0. */
static inline uint64_t file_identity(const char *path) {
    uint64_t h = 0xCBF29CE484222325u;
    for (; *path; path++) { h = (h ^ (unsigned char)*path) * 0x100000001B3u; }
    return mix64(h) | 1;
}

/* The four bytes at OFFSET (a multiple of 4) of file ID, little endian. */
static inline uint32_t file_word(uint64_t id, uint64_t offset) { return (uint32_t)mix64(id ^ mix64(offset >> 2)); }

#endif
