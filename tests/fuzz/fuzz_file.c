/* Inputs as files in a directory in memory. */
#include "fuzz.h"

#include "ntmmu/trace.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define FUZZ_SUFFIX_MAX 16
#define OUTPUT_LIMIT    (64u << 10)

static char directory[64], input[96], output[96];
static int input_fd; /* stays open: to make a file anew costs more than what most inputs do */

static void remove_files(void) {
    unlink(input);
    unlink(output);
    rmdir(directory);
}

void fuzz_directory(void) {
    if (*directory) { return; }
    snprintf(directory, sizeof directory, "%s/ntmmu-fuzz.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(directory)) { fuzz_fail(__FILE__, __LINE__, "a directory for inputs"); }
    setenv("TMPDIR", directory, 1);
    atexit(remove_files);
}

/* One line may say that a kernel read 2 GB, which are as many pages: what writes them must end somewhere. Only they:
 * the fuzzer's log is a file, too. */
static void limit_output(rlim_t bytes) {
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    FUZZ_REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    FUZZ_REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

const char *fuzz_file(const uint8_t *data, size_t size, const char *suffix) {
    fuzz_directory();
    char path[sizeof input];
    snprintf(path, sizeof path, "%s/input%.*s", directory, FUZZ_SUFFIX_MAX, suffix);
    if (strcmp(path, input) != 0) {
        if (*input) { close(input_fd), unlink(input); }
        memcpy(input, path, sizeof path);
        input_fd = open(input, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        FUZZ_REQUIRE(input_fd >= 0);
    }
    FUZZ_REQUIRE(pwrite(input_fd, data, size, 0) == (ssize_t)size && ftruncate(input_fd, (off_t)size) == 0);
    return input;
}

const char *fuzz_output(void) {
    fuzz_directory();
    snprintf(output, sizeof output, "%s/output", directory);
    return output;
}

static void require_trace(const char *path) {
    char err[1024];
    struct trace_reader *reader = trace_open(path, err, sizeof err);
    FUZZ_REQUIRE(reader);
    struct trace_item item;
    enum trace_item_kind kind;
    do { kind = trace_next(reader, &item); } while (kind != TRACE_EOF && kind != TRACE_ERROR);
    FUZZ_REQUIRE(kind == TRACE_EOF);
    trace_close(reader);
}

void fuzz_import(fuzz_importer *import, const char *suffix, enum import_level level, const uint8_t *data, size_t size) {
    char err[1024] = "";
    const char *input = fuzz_file(data, size, suffix);
    const struct import_options options = {.inputs = &input, .input_count = 1, .output = fuzz_output(), .level = level};
    limit_output(OUTPUT_LIMIT);
    int failed = import(&options, err, sizeof err);
    limit_output(RLIM_INFINITY);
    if (failed) {
        FUZZ_REQUIRE(*err);
    } else {
        require_trace(options.output);
    }
}

_Noreturn void fuzz_fail(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}
