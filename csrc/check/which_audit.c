/* Which of the two audits a machine gets: that of its kernel's page-table entries (NT-12). */
#include "audit.h"

#include "peek.h"

static const struct audit_ops *ops_of(const struct audit *audit) {
    return *(const struct audit_ops *const *)(const void *)audit;
}

struct audit *audit_create(struct machine *m) {
    if (!is_nt(m)) { return NULL; }
    return is_pae(m) ? audit_pae_ops.create(m) : audit_plain_ops.create(m);
}

void audit_destroy(struct audit *audit) {
    if (audit) { ops_of(audit)->destroy(audit); }
}

bool audit_run(struct audit *audit, struct report *report) { return ops_of(audit)->run(audit, report); }
