/* The importer of valgrind's lackey, from a plain log. What it wrote must be a trace. */
#include "fuzz.h"

#include "ntmmu/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[1024];
    const char *input = fuzz_file(data, size, ".log");
    struct import_options options = {
        .inputs = &input, .input_count = 1, .output = fuzz_output(), .level = size & 1 ? IMPORT_RUN : IMPORT_EXACT};
    if (import_lackey(&options, err, sizeof err)) {
        FUZZ_REQUIRE(*err);
        return 0;
    }
    fuzz_require_trace(options.output);
    return 0;
}
