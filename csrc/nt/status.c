/* Names of status and stop codes, from the tables of NT-04. */
#include "ntmmu/status.h"

struct named_code {
    uint32_t code;
    const char *name;
};

#define NTSTATUS_NAME(value, name) {value, "STATUS_" #name},
static const struct named_code statuses[] = {NTSTATUS_TABLE(NTSTATUS_NAME)};
#define BUGCHECK_NAME(value, name) {value, #name},
static const struct named_code bugchecks[] = {BUGCHECK_TABLE(BUGCHECK_NAME)};

static const char *name_of(const struct named_code *table, size_t count, uint32_t code) {
    for (size_t i = 0; i < count; i++) {
        if (table[i].code == code) { return table[i].name; }
    }
    return NULL;
}

const char *ntstatus_name(uint32_t status) { return name_of(statuses, sizeof statuses / sizeof *statuses, status); }
const char *bugcheck_name(uint32_t code) { return name_of(bugchecks, sizeof bugchecks / sizeof *bugchecks, code); }
