/* Check 5, expectations: keys about the kernel's objects: fields of a process object, flags of a VAD. */
#include "expect_priv.h"

#include "ntmmu/nt_view.h"

#include <inttypes.h>
#include <string.h>

static enum check_verdict match(struct expect *e, const char *value, uint64_t found) {
    struct pattern p;
    if (!pattern_parse(value, strlen(value), &p)) { return expect_bad(e, "HEX, HEX/MASK, @A or * as a value"); }
    return pattern_match(e, &p, found, 0) ? CHECK_OK : expect_mismatch(e, "%08" PRIx64, found);
}

struct object_of {
    uint32_t pid, address;
};

static bool find_object(void *ctx, const struct nt_process_view *process) {
    struct object_of *search = ctx;
    if (process->pid == search->pid) { search->address = process->eprocess; }
    return search->address == 0;
}

/* eprocess.[PID:]OFFSET: 4 bytes of the body */
static enum check_verdict key_eprocess(struct expect *e, const char *arg, const char *value) {
    struct object_of search = {0};
    uint64_t directory, offset;
    if (!process_argument(e, &arg, &search.pid, &directory) || !number_parse(e, arg, strlen(arg), &offset)) {
        return expect_bad(e, "eprocess.[PID:]OFFSET=HEX of a process that exists");
    }
    nt_view_processes(machine_os(e->machine), find_object, &search);
    return match(e, value, peek32(e->machine, directory, search.address + offset));
}

struct vad_at {
    va_t va;
    bool found;
    uint32_t flags;
};

static bool find_vad(void *ctx, const struct nt_vad_view *vad) {
    struct vad_at *search = ctx;
    if (vad->start <= search->va && search->va <= vad->end) {
        search->found = true;
        search->flags = vad->flags;
    }
    return !search->found;
}

/* vadflags.[PID:]ADDR */
static enum check_verdict key_vadflags(struct expect *e, const char *arg, const char *value) {
    struct vad_at search = {0};
    uint32_t pid;
    uint64_t directory;
    if (!process_argument(e, &arg, &pid, &directory) || !number_parse(e, arg, strlen(arg), &search.va)) {
        return expect_bad(e, "vadflags.[PID:]ADDR=HEX of a process that exists");
    }
    nt_view_vads(machine_os(e->machine), pid, find_vad, &search);
    return search.found ? match(e, value, search.flags) : expect_mismatch(e, "no VAD there");
}

enum check_verdict expect_object_key(struct expect *e, const char *key, const char *arg, const char *value,
                                     bool *known) {
    bool eprocess = strcmp(key, "eprocess") == 0;
    *known = *arg && (eprocess || strcmp(key, "vadflags") == 0);
    if (!*known) { return CHECK_CANNOT; }
    if (!is_nt(e->machine)) { return expect_bad(e, "a key that this machine's kernel has"); }
    return eprocess ? key_eprocess(e, arg, value) : key_vadflags(e, arg, value);
}
