/* Inputs as files in a directory in memory. */
#include "fuzz.h"

#include "ntmmu/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUZZ_SUFFIX_MAX 16

static char directory[64], input[96], output[96];

static void remove_files(void) {
    unlink(input);
    unlink(output);
    rmdir(directory);
}

static void make_directory(void) {
    if (*directory) { return; }
    snprintf(directory, sizeof directory, "%s/ntmmu-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory)) { fuzz_fail(__FILE__, __LINE__, "a directory for inputs"); }
    snprintf(output, sizeof output, "%s/output", directory);
    atexit(remove_files);
}

const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix) {
    make_directory();
    snprintf(input, sizeof input, "%s/input%.*s", directory, FUZZ_SUFFIX_MAX, suffix);
    FILE *file = fopen(input, "w");
    FUZZ_REQUIRE(file && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    return input;
}

const char *fuzz_output(void) {
    make_directory();
    return output;
}

void fuzz_require_trace(const char *path) {
    char err[1024];
    struct trace_reader *reader = trace_open(path, err, sizeof err);
    FUZZ_REQUIRE(reader);
    struct trace_item item;
    enum trace_item_kind kind;
    do { kind = trace_next(reader, &item); } while (kind != TRACE_EOF && kind != TRACE_ERROR);
    FUZZ_REQUIRE(kind == TRACE_EOF);
    trace_close(reader);
}

_Noreturn void fuzz_fail(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}
