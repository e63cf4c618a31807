/* Preset files. What was read must read the same from what preset_write makes of it, and a C MMU of it must work. */
#include "fuzz.h"

#include "ntmmu/mmu.h"
#include "ntmmu/preset.h"

#include <string.h>

static uint64_t read_zero(void *ctx, pa_t pa, unsigned bytes) {
    (void)ctx, (void)pa, (void)bytes;
    return 0;
}
static uint64_t exchange_zero(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    (void)ctx, (void)pa, (void)bytes, (void)expected, (void)desired;
    return 0;
}
static uint32_t one_cycle(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    (void)ctx, (void)pa, (void)exchange, (void)cycle;
    return 1;
}

static void require_same(const struct mmu_preset *preset) {
    char err[512];
    struct mmu_preset again;
    FILE *file = fopen(fuzz_output(), "w");
    FUZZ_REQUIRE(file);
    preset_write(preset, file);
    FUZZ_REQUIRE(fclose(file) == 0);
    FUZZ_REQUIRE(preset_load(&again, ".", fuzz_output(), err, sizeof err) == 0);
    memcpy(again.name, preset->name, sizeof again.name); /* that of the file */
    FUZZ_REQUIRE(memcmp(again.array, preset->array, sizeof again.array) == 0);
    FUZZ_REQUIRE(memcmp(&again.memory, &preset->memory, sizeof again.memory) == 0);
    FUZZ_REQUIRE(again.features == preset->features && again.physical_bits == preset->physical_bits);
    FUZZ_REQUIRE(again.stlb_cycles == preset->stlb_cycles && again.walkers == preset->walkers);
    FUZZ_REQUIRE(again.replacement == preset->replacement && again.seed == preset->seed);
    FUZZ_REQUIRE(again.unified[0] == preset->unified[0] && again.unified[1] == preset->unified[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char err[512] = "";
    struct mmu_preset preset;
    if (preset_load(&preset, ".", fuzz_file(data, size, ".preset"), err, sizeof err)) {
        FUZZ_REQUIRE(*err);
        return 0;
    }
    require_same(&preset);
    struct mmu_config config = {.preset = preset, .memory = {NULL, read_zero, exchange_zero, one_cycle}};
    struct mmu *mmu = mmu_c_ops.create(&config, err, sizeof err);
    FUZZ_REQUIRE(mmu);
    mmu_c_ops.write_control(mmu, MMU_CR0, CR0_PG | CR0_PE);
    struct mmu_request request = {.va = 0x1000, .size = 4};
    struct mmu_result result;
    FUZZ_REQUIRE(mmu_c_ops.translate(mmu, &request, &result, 1) == 1 && result.vector == MMU_VECTOR_PF);
    mmu_c_ops.destroy(mmu);
    return 0;
}
