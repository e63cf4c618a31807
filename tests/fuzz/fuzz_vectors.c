/* The reader of paging vectors, and the C MMU under whatever tables and registers they ask for. */
#include "fuzz.h"

#include "ntmmu/vectors.h"

#include <stdlib.h>

static const struct mmu_preset *preset(void) {
    static struct mmu_preset preset;
    static bool loaded;
    char err[512];
    if (!loaded) { FUZZ_REQUIRE(preset_load(&preset, "rtl/presets", "tiny-l2", err, sizeof err) == 0); }
    loaded = true;
    return &preset;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[1024] = "";
    struct vectors_config config = {.mmu = &mmu_c_ops, .preset = *preset()};
    struct vectors_report *report = calloc(1, sizeof *report);
    FUZZ_REQUIRE(report);
    if (vectors_run(fuzz_file(data, size, ".vec"), &config, report, err, sizeof err)) { FUZZ_REQUIRE(*err); }
    free(report);
    return 0;
}
