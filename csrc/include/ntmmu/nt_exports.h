/* The export catalogue: what NT4's kernel exports of its memory manager (NT-98). nt_call.h calls it. */
#ifndef NTMMU_NT_EXPORTS_H
#define NTMMU_NT_EXPORTS_H

#include "ntmmu/event.h"

enum nt_export_level { NT_EXPORT_FULL = 'F', NT_EXPORT_SEMANTICS = 'S', NT_EXPORT_CONSTANT = 'C' };

struct nt_export {
    uint16_t ordinal; /* of NT4 SP3, 467..514 */
    const char *name;
    char level;      /* enum nt_export_level */
    bool documented; /* in the DDK */
    uint8_t section; /* NT-xx */
};

#define CURRENT_PROCESS_HANDLE 0xFFFFFFFFu /* NtCurrentProcess() */

#define NT_EXPORTS 48
extern const struct nt_export nt_exports[NT_EXPORTS];
bool nt_export_callable(const char *name); /* by nt_call or a trace's `call` */
/* A bit for each argument of the event that may have 64 bits: of a `call` those that are of files or physical
 * addresses, unless its name is unknown; of other events all. */
uint32_t nt_wide_arguments(const struct event *event);

#endif
