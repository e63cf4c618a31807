/* What the fuzz targets share. A target is one file of this directory with the function that libFuzzer calls. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The data as a file, for what takes a path. The name ends in SUFFIX and is valid until the next call with another
 * one; the file goes when the process ends. */
const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix);
/* A path in the same directory, for output, which is cut off at 64 KB. */
const char *fuzz_output(void);
/* Temporary files go there, too. */
void fuzz_directory(void);

/* Stops the process unless a converter's output is a trace. */
void fuzz_require_trace(const char *path);

/* A property that must hold for any input: stops the process, which the fuzzer takes for a crash. */
#define FUZZ_REQUIRE(what)                                                                                             \
    do {                                                                                                               \
        if (!(what)) { fuzz_fail(__FILE__, __LINE__, #what); }                                                         \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

#endif
