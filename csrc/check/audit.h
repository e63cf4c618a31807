/* Check 4: the PFN database, the page lists, working sets and commit, rebuilt from nothing by scanning simulated
 * memory, and compared with what the kernel keeps (NT-99). Reads physical memory and nt_view.h only; changes nothing.
 */
#ifndef NTMMU_CHECK_AUDIT_H
#define NTMMU_CHECK_AUDIT_H

#include "ntmmu/machine.h"
#include "report.h"

struct audit;

/* There is one for 4-byte page-table entries and one for PAE's; an audit begins with this. */
struct audit_ops {
    struct audit *(*create)(struct machine *m);
    void (*destroy)(struct audit *audit);
    bool (*run)(struct audit *audit, struct report *report);
};
extern const struct audit_ops audit_plain_ops, audit_pae_ops;

/* Right after the machine's boot: remembers what boot took for itself. NULL if the machine does not run the NT kernel.
 */
struct audit *audit_create(struct machine *m);
void audit_destroy(struct audit *audit);
/* False at the first invariant that does not hold: report names it, the frame or address, what was expected and found.
 */
bool audit_run(struct audit *audit, struct report *report);

#endif
