/* The importer of valgrind's lackey, from a plain log. What it wrote must be a trace. */
#include "fuzz.h"

#include "ntmmu/import.h"
#include "ntmmu/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[1024];
    const char *input = fuzz_file(data, size, ".log");
    struct import_options options = {
        .inputs = &input, .input_count = 1, .output = fuzz_output(), .level = size & 1 ? IMPORT_RUN : IMPORT_EXACT};
    if (import_lackey(&options, err, sizeof err)) {
        FUZZ_REQUIRE(*err);
        return 0;
    }
    struct trace_reader *reader = trace_open(options.output, err, sizeof err);
    FUZZ_REQUIRE(reader);
    struct trace_item item;
    enum trace_item_kind kind;
    do { kind = trace_next(reader, &item); } while (kind != TRACE_EOF && kind != TRACE_ERROR);
    FUZZ_REQUIRE(kind == TRACE_EOF);
    trace_close(reader);
    return 0;
}
