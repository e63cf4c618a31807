/* The importer of valgrind's lackey, from an archive. */
#include "fuzz.h"

#include "ntmmu/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[1024];
    const char *input = fuzz_file(data, size, ".tar");
    struct import_options options = {.inputs = &input, .input_count = 1, .output = fuzz_output()};
    if (import_lackey(&options, err, sizeof err)) { FUZZ_REQUIRE(*err); }
    return 0;
}
