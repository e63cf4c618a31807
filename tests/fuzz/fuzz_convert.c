/* `ntmmu convert --from vmt`: a trace into page runs. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_import(import_vmt, ".vmt", IMPORT_RUN, data, size);
    return 0;
}
