/* Physical memory as a file, for other programs to walk. */
#include "dump_priv.h"
#include "ntmmu/output_file.h"
#include "ntmmu/pte_pae.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_zero(const uint8_t *page) {
    static const uint8_t zero[PAGE_SIZE];
    return memcmp(page, zero, PAGE_SIZE) == 0;
}

static int write_memory(int fd, const struct physmem *mem) {
    errno = 0; /* a disk that is nearly full takes less than a page, and says nothing */
    if (ftruncate(fd, (off_t)mem->size)) { return -1; }
    for (pa_t pa = 0; pa < mem->size; pa += PAGE_SIZE) {
        if (physmem_is_fresh(mem, pa >> PAGE_SHIFT) || is_zero(mem->bytes + pa)) { continue; }
        if (pwrite(fd, mem->bytes + pa, PAGE_SIZE, (off_t)pa) != (ssize_t)PAGE_SIZE) { return -1; }
    }
    return 0;
}

static json_t *facts(struct machine *m) {
    const struct mmu_ops *mmu = machine_mmu_ops(m);
    struct nt_memory_view memory;
    nt_view_memory(machine_os(m), &memory);
    bool pae = memory.profile == OS_NT5PAE;
    return json_pack("{s:I, s:I, s:I, s:I, s:s, s:{s:I, s:I, s:I, s:I, s:I}}", "cr0",
                     (json_int_t)mmu->read_control(machine_mmu(m), MMU_CR0), "cr3",
                     (json_int_t)mmu->read_control(machine_mmu(m), MMU_CR3), "cr4",
                     (json_int_t)mmu->read_control(machine_mmu(m), MMU_CR4), "ram", (json_int_t)machine_memory(m)->size,
                     "mode", pae ? "PAE" : "32-bit paging", "symbols", "MmPfnDatabase", (json_int_t)MM_PFN_DATABASE,
                     "MmHighestPhysicalPage", (json_int_t)memory.highest_page, "PteBase", (json_int_t)PTE_BASE,
                     "PdeBase", (json_int_t)(pae ? PAE_PDE_BASE : PDE_BASE), "SystemDirectory",
                     (json_int_t)((uint64_t)memory.system_directory << PAGE_SHIFT));
}

int dump_image(struct machine *m, const char *path, char *err, size_t err_size) {
    if (machine_os_ops(m) == &bare_os_ops) {
        snprintf(err, err_size, "%s: found a bare program, expected a trace with an operating system", path);
        return -1;
    }
    char name[PATH_MAX];
    int length = snprintf(name, sizeof name, "%s.json", path);
    if (length < 0 || (size_t)length >= sizeof name) {
        snprintf(err, err_size, "%.64s…: found a path of %d characters, expected at most %d", path, length - 5,
                 PATH_MAX - 6);
        return -1;
    }
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (strcmp(path, "-") == 0 || (exists && !S_ISREG(status.st_mode))) {
        snprintf(err, err_size, "%s: found no regular file, expected one: an image has holes", path);
        return -1;
    }
    struct output_file out;
    if (output_open(&out, path) || write_memory(out.fd, machine_memory(m)) || output_keep(&out)) {
        output_drop(&out);
        snprintf(err, err_size, "%s: %s", path, errno ? strerror(errno) : "cannot be written");
        return -1;
    }
    json_t *root = facts(m);
    int rc = report_write_json(root, name, err, err_size);
    json_decref(root);
    return rc;
}
