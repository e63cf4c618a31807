/* The importer of valgrind's lackey, from an archive. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_import(import_lackey, ".tar", IMPORT_RUN, data, size);
    return 0;
}
