/* An MMU under the eyes of the architecture (Intel SDM volume 3, chapter 4; 4.10 above all). A struct architecture
 * stands between a machine and any MMU behind the C ABI of mmu.h: it is an MMU itself, hands everything on, and judges
 * every answer. It demands what the SDM demands: outcome, physical address, error code and CR2 as some walk would give,
 * each table entry with a value that it had since the last invalidation that was owed for it; A and D set as that walk
 * must. Hit levels, cycles, page sizes and memory types are the MMU's own affair.
 *
 * Use: architecture_create, architecture_place, machine_create; check_create with CHECK_ARCHITECTURE; after
 * machine_destroy, architecture_destroy. */
#ifndef NTMMU_ARCHITECTURE_H
#define NTMMU_ARCHITECTURE_H

#include "ntmmu/log.h"
#include "ntmmu/mmu.h"
#include "ntmmu/physmem.h"

struct architecture;
struct machine_config;

/* Judges one MMU of INNER's. */
struct architecture *architecture_create(const struct mmu_ops *inner);
void architecture_destroy(struct architecture *architecture);

/* Makes the machine of config have its MMU behind this. */
void architecture_place(struct architecture *architecture, struct machine_config *config);

/* The same without a machine: the MMU to be used is the returned one, through architecture_ops, and stores into mem are
 * seen. log->event numbers what happens. NULL with one line in err if the inner MMU cannot be made. */
extern const struct mmu_ops architecture_ops;
struct mmu *architecture_mmu(struct architecture *architecture, const struct mmu_config *config, struct physmem *mem,
                             const struct event_log *log, char *err, size_t err_size);

/* What follows happens in events of the log; before, it is the boot. */
void architecture_start(struct architecture *architecture);
/* The first illegal thing the MMU did: text of several lines; "" if there was none. From then on translate answers
 * nothing. */
const char *architecture_report(const struct architecture *architecture);

#endif
