/* A CPU preset as what the model of its MMU is built with: the parameters of rtl/mmu.sv, or the header that tb/shim.cpp
 * includes. Built and called by tb/build_preset.sh.
 *   preset_parameters PRESET_FILE [--header]
 * What is wrong in the file is one line on standard error, and exit code 2. */
#include "ntmmu/preset.h"

#include <string.h>

static const char *const array_names[MMU_ARRAYS] = {
    [ARRAY_ITLB] = "ITLB0",          [ARRAY_ITLB + 1] = "ITLB1",   [ARRAY_ITLB + 2] = "ITLB2",
    [ARRAY_DTLB] = "DTLB0",          [ARRAY_DTLB + 1] = "DTLB1",   [ARRAY_DTLB + 2] = "DTLB2",
    [ARRAY_ISTLB] = "ISTLB0",        [ARRAY_ISTLB + 1] = "ISTLB1", [ARRAY_DSTLB] = "DSTLB0",
    [ARRAY_DSTLB + 1] = "DSTLB1",    [ARRAY_PSC_PDE] = "PSC_PDE",  [ARRAY_PSC_PDPTE] = "PSC_PDPTE",
    [ARRAY_PSC_PML4E] = "PSC_PML4E",
};

static void print_parameters(const struct mmu_preset *preset) {
    for (enum mmu_array i = 0; i < MMU_ARRAYS; i++) {
        const struct tlb_geometry *array = &preset->array[i];
        bool there = array->ways > 0; /* what is not gets harmless figures */
        if (i < ARRAY_PSC_PDE) { printf("%s_CLASSES=%u\n", array_names[i], there ? array->classes : 1); }
        printf("%s_SETS=%u\n%s_WAYS=%u\n", array_names[i], there ? array->sets : 1, array_names[i], array->ways);
    }
    printf("L1_UNIFIED=%d\nL2_UNIFIED=%d\n", preset->unified[0], preset->unified[1]);
    printf("REPLACEMENT=%u\nSEED=%u\n", (unsigned)preset->replacement, (unsigned)preset->seed);
    printf("STLB_CYCLES=%u\nWALKERS=%u\nFEATURES=%u\n", preset->stlb_cycles, preset->walkers, preset->features);
}

static void print_header(const struct mmu_preset *preset) {
    static const char *const policies[] = {[TLB_LRU] = "TLB_LRU", [TLB_PLRU] = "TLB_PLRU", [TLB_RANDOM] = "TLB_RANDOM"};
    printf("#define PRESET_NAME \"%s\"\n", preset->name);
    printf("#define PRESET_REPLACEMENT %s\n#define PRESET_SEED %u\n", policies[preset->replacement],
           (unsigned)preset->seed);
    printf("#define PRESET_STLB_CYCLES %u\n#define PRESET_WALKERS %u\n", preset->stlb_cycles, preset->walkers);
    printf("#define PRESET_FEATURES %u\n", preset->features);
    printf("#define PRESET_UNIFIED {%d, %d}\n#define PRESET_GEOMETRY {", preset->unified[0], preset->unified[1]);
    for (enum mmu_array i = 0; i < MMU_ARRAYS; i++) {
        const struct tlb_geometry *array = &preset->array[i];
        printf("{%u, %u, %u}, ", array->classes, array->sets, array->ways);
    }
    printf("}\n");
}

int main(int argc, char **argv) {
    if (argc < 2) { return 2; }
    char err[512];
    struct mmu_preset preset;
    if (preset_load(&preset, ".", argv[1], err, sizeof err)) {
        fprintf(stderr, "%s\n", err);
        return 2;
    }
    if (argc > 2 && strcmp(argv[2], "--header") == 0) {
        print_header(&preset);
    } else {
        print_parameters(&preset);
    }
    return fflush(stdout) || ferror(stdout) ? 2 : 0;
}
