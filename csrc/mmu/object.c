/* An MMU in a shared object: the Verilated one of a preset, or somebody's own. */
#include "ntmmu/mmu.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static bool is_whole(const struct mmu_ops *ops) {
    return ops->name && ops->create && ops->destroy && ops->translate && ops->write_control && ops->read_control &&
           ops->invlpg && ops->invpcid && ops->cycles && ops->statistics && ops->tlb_entries && ops->wave;
}

const struct mmu_ops *mmu_load_object(const char *name, char *err, size_t err_size) {
    char path[PATH_MAX + 2];
    /* dlopen looks a name without a '/' up among the system's libraries. */
    if (snprintf(path, sizeof path, "%s%s", strchr(name, '/') ? "" : "./", name) >= (int)sizeof path) {
        snprintf(err, err_size, "%.64s…: found a name of %zu characters, expected at most %d", name, strlen(name),
                 PATH_MAX);
        return NULL;
    }
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(err, err_size, "%s", dlerror());
        return NULL;
    }
    mmu_ops_fn get;
    *(void **)&get = dlsym(handle, MMU_OPS_SYMBOL);
    if (!get) {
        snprintf(err, err_size, "%s: found no function %s, expected const struct mmu_ops *%s(void)", path,
                 MMU_OPS_SYMBOL, MMU_OPS_SYMBOL);
        return NULL;
    }
    const struct mmu_ops *ops = get();
    if (!ops) {
        snprintf(err, err_size, "%s: found NULL from %s, expected its struct mmu_ops", path, MMU_OPS_SYMBOL);
        return NULL;
    }
    if (ops->abi_version != MMU_ABI_VERSION) {
        snprintf(err, err_size, "%s: found MMU ABI version %u, expected %u", path, ops->abi_version, MMU_ABI_VERSION);
        return NULL;
    }
    if (!is_whole(ops)) {
        snprintf(err, err_size, "%s: found a NULL among its struct mmu_ops, expected every function", path);
        return NULL;
    }
    return ops;
}
