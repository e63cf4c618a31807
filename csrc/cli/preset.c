/* Presets and MMUs: where the source tree and the built models are, building a model that is missing, loading it. */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef NTMMU_ROOT
#define NTMMU_ROOT "."
#endif

/* ---- places ---- */

static bool is_home(const char *path) {
    char probe[PATH_MAX + 64];
    snprintf(probe, sizeof probe, "%s/rtl/presets", path);
    return access(probe, R_OK) == 0;
}

static void binary_directory(char *out, size_t size) {
    ssize_t n = readlink("/proc/self/exe", out, size - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    if (slash) { *slash = '\0'; }
}

void cli_home(char *out, size_t out_size) {
    const char *home = getenv("NTMMU_HOME");
    if (home && *home) {
        snprintf(out, out_size, "%s", home);
        return;
    }
    /* the binary lies in TREE/build, or in TREE/build/VARIANT */
    binary_directory(out, out_size);
    for (int up = 0; up < 3 && *out; up++) {
        char *slash = strrchr(out, '/');
        if (!slash) { break; }
        *slash = '\0';
        if (is_home(out)) { return; }
    }
    snprintf(out, out_size, "%s", NTMMU_ROOT);
}

static void model_directory(char *out, size_t size) {
    const char *directory = getenv("NTMMU_PRESET_DIR");
    if (directory && *directory) {
        snprintf(out, size, "%s", directory);
        return;
    }
    char beside[PATH_MAX];
    binary_directory(beside, sizeof beside);
    snprintf(out, size, "%.*s/presets", PATH_MAX, beside);
}

int cli_load_preset(struct mmu_preset *out, const char *name, char *err, size_t err_size) {
    char home[PATH_MAX], directory[PATH_MAX + 16];
    cli_home(home, sizeof home);
    snprintf(directory, sizeof directory, "%s/rtl/presets", home);
    return preset_load(out, directory, name, err, err_size);
}

/* ---- the model's name ---- */

/* What a model is built for; the memory's time is not in it. */
static uint64_t geometry_hash(const struct mmu_preset *p) {
    uint64_t hash = mix64((uint64_t)p->replacement << 32 | p->physical_bits << 16 | p->seed);
    hash = mix64(hash ^ ((uint64_t)p->features << 32 | p->stlb_cycles << 16 | p->walkers << 8 | p->unified[1] << 1 |
                         p->unified[0]));
    for (unsigned i = 0; i < MMU_ARRAYS; i++) {
        const struct tlb_geometry *array = &p->array[i];
        hash = mix64(hash ^ ((uint64_t)array->classes << 32 | array->sets << 16 | array->ways));
    }
    return hash;
}

/* NAME for a preset of the tree; a preset from elsewhere gets a name of its own by its geometry. */
static void model_name(const struct mmu_preset *preset, bool assertions, char *out, size_t size) {
    struct mmu_preset known;
    char err[512];
    const char *suffix = assertions ? ".assert" : "";
    if (cli_load_preset(&known, preset->name, err, sizeof err) == 0 && geometry_hash(&known) == geometry_hash(preset)) {
        snprintf(out, size, "%s%s.so", preset->name, suffix);
        return;
    }
    snprintf(out, size, "%s-%08x%s.so", preset->name, (uint32_t)geometry_hash(preset), suffix);
}

/* ---- is it up to date? ---- */

static bool newer(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

static bool file_newer(const char *path, const struct timespec *than) {
    struct stat status;
    return stat(path, &status) == 0 && newer(&status.st_mtim, than);
}

static bool rtl_newer(const char *home, const struct timespec *than) {
    char path[PATH_MAX + 512];
    snprintf(path, sizeof path, "%s/rtl", home);
    DIR *directory = opendir(path);
    bool found = false;
    for (struct dirent *e; directory && !found && (e = readdir(directory));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || strncmp(dot, ".sv", 3) != 0) { continue; }
        snprintf(path, sizeof path, "%s/rtl/%s", home, e->d_name);
        found = file_newer(path, than);
    }
    if (directory) { closedir(directory); }
    return found;
}

static bool is_stale(const char *home, const struct mmu_preset *preset, const char *object) {
    static const char *const source[] = {
        "tb/shim.cpp",
        "tb/pins.h",
        "tb/trace.vlt",
        "tb/build_preset.sh",
        "tb/preset_parameters.c",
        "tb/exports.map",
        "csrc/include/ntmmu/mmu.h",
        "csrc/include/ntmmu/paging.h",
        "csrc/include/ntmmu/preset.h",
        "csrc/include/ntmmu/types.h",
        "csrc/mmu/preset.c",
    };
    struct stat status;
    if (stat(object, &status)) { return true; }
    char path[PATH_MAX + 128];
    for (size_t i = 0; i < sizeof source / sizeof *source; i++) {
        snprintf(path, sizeof path, "%s/%s", home, source[i]);
        if (file_newer(path, &status.st_mtim)) { return true; }
    }
    snprintf(path, sizeof path, "%s/rtl/presets/%s.preset", home, preset->name);
    return file_newer(path, &status.st_mtim) || rtl_newer(home, &status.st_mtim);
}

/* ---- building ---- */

static int save_preset(const struct mmu_preset *preset, const char *path) {
    FILE *file = fopen(path, "w");
    if (!file) { return -1; }
    preset_write(preset, file);
    return fclose(file) ? -1 : 0;
}

static int make_directory(const char *path) { return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : -1; }

static int build(const char *home, const struct mmu_preset *preset, bool assertions, const char *object, char *err,
                 size_t err_size) {
    char script[PATH_MAX + 32], work[] = "/tmp/ntmmu-preset.XXXXXX", file[128];
    snprintf(script, sizeof script, "%s/tb/build_preset.sh", home);
    if (access(script, X_OK)) {
        snprintf(err, err_size, "%s: no Verilated MMU, and %s to build it is not there", object, script);
        return -1;
    }
    fprintf(stderr, "ntmmu: building the Verilated MMU of preset %s (once)\n", preset->name);
    if (!mkdtemp(work)) {
        snprintf(err, err_size, "%s: %s", work, strerror(errno));
        return -1;
    }
    snprintf(file, sizeof file, "%s/%.63s.preset", work, preset->name);
    char *command[] = {script, file, (char *)object, assertions ? "--assert" : NULL, NULL};
    int rc = save_preset(preset, file) || cli_run_program(command) != 0 ? -1 : 0;
    unlink(file);
    rmdir(work);
    if (rc) { snprintf(err, err_size, "%s: %s failed for preset %s", object, script, preset->name); }
    return rc;
}

int cli_build_preset(const struct mmu_preset *preset, bool assertions, char *path, size_t path_size, char *err,
                     size_t err_size) {
    char home[PATH_MAX], directory[PATH_MAX + 16], name[128];
    cli_home(home, sizeof home);
    model_directory(directory, sizeof directory);
    model_name(preset, assertions, name, sizeof name);
    snprintf(path, path_size, "%s/%s", directory, name);
    if (!is_stale(home, preset, path)) { return 0; }
    if (make_directory(directory)) {
        snprintf(err, err_size, "%s: %s", directory, strerror(errno));
        return -1;
    }
    return build(home, preset, assertions, path, err, err_size);
}

/* ---- loading ---- */

bool cli_is_mmu_object(const char *kind) {
    size_t length = strlen(kind);
    return strchr(kind, '/') || (length > 3 && strcmp(kind + length - 3, ".so") == 0);
}

const struct mmu_ops *cli_load_mmu(const char *kind, const struct mmu_preset *preset, bool assertions, char *err,
                                   size_t err_size) {
    if (strcmp(kind, "c") == 0) { return &mmu_c_ops; }
    if (strcmp(kind, "rtl") != 0) { return mmu_load_object(kind, err, err_size); }
    char path[2 * PATH_MAX];
    if (cli_build_preset(preset, assertions, path, sizeof path, err, err_size)) { return NULL; }
    return mmu_load_object(path, err, err_size);
}

bool cli_choose_mmu(const char *kind, struct machine_config *config, bool assertions, char *err, size_t err_size) {
    config->mmu = NULL;
    unsigned needed = config->os == &nt_pae_os_ops ? CPU_PSE | CPU_PAE : CPU_PSE;
    if (config->os_config.boot == OS_CFG_NOPSE) { needed &= ~(unsigned)CPU_PSE; }
    if (config->os == &bare_os_ops) { needed = 0; }
    if (needed & ~config->preset.features) {
        snprintf(err, err_size, "CPU preset %s: found no %s, expected a CPU that this kernel runs on",
                 config->preset.name, config->preset.features & CPU_PSE ? "pae (profile NT5PAE)" : "pse");
        return false;
    }
    config->mmu = cli_load_mmu(kind, &config->preset, assertions, err, err_size);
    return config->mmu != NULL;
}
