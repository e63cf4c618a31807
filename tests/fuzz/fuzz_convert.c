/* `ntmmu convert --from vmt`: a trace into page runs. What it wrote must be a trace. */
#include "fuzz.h"

#include "ntmmu/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[1024];
    const char *input = fuzz_file(data, size, ".vmt");
    struct import_options options = {.inputs = &input, .input_count = 1, .output = fuzz_output(), .level = IMPORT_RUN};
    if (import_vmt(&options, err, sizeof err)) { return 0; }
    fuzz_require_trace(options.output);
    return 0;
}
