/* The importer of valgrind's lackey, from a plain log. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_import(import_lackey, ".log", size & 1 ? IMPORT_RUN : IMPORT_EXACT, data, size);
    return 0;
}
