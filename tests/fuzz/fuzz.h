/* What the fuzz targets share. A target is one file of this directory with the function that libFuzzer calls. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "ntmmu/import.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The data as a file, for what takes a path. The name ends in SUFFIX and is valid until the next call with another
 * one; the file goes when the process ends. */
const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix);
/* A path in the same directory, for output. */
const char *fuzz_output(void);
/* Temporary files go there, too. */
void fuzz_directory(void);

/* The data through an importer, whose output is cut off at 64 KB: an error must have a message, and what was written
 * without one must be a trace. */
typedef int fuzz_importer(const struct import_options *options, char *err, size_t err_size);
void fuzz_import(fuzz_importer *import, const char *suffix, enum import_level level, const uint8_t *data, size_t size);

/* A property that must hold for any input: stops the process, which the fuzzer takes for a crash. */
#define FUZZ_REQUIRE(what)                                                                                             \
    do {                                                                                                               \
        if (!(what)) { fuzz_fail(__FILE__, __LINE__, #what); }                                                         \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

#endif
