/* What a kernel debugger's extension commands would show of a machine: !pte, !pfn, !vm, !vad, !wsle, !sysptes,
 * !process, !memusage, !poolused. Page tables, PFN database, working-set lists and pool blocks are read out of
 * simulated memory by physical address; nothing that is asked changes the machine, no TLB entry and no accessed bit. */
#ifndef NTMMU_DUMP_H
#define NTMMU_DUMP_H

#include "ntmmu/machine.h"

#include <stdio.h>

struct json_t; /* jansson's */

/* Runs one command line ("!pte 410000"). Text for a person goes to out; *json receives an object with the same facts.
 * There a page-table entry of 8 bytes (NT5PAE) is its lower half under the name that one of 4 bytes has, and its upper
 * half under that name and _high.
 * 0, or -1 with one line in err. The machine must run the NT kernel. */
int dump_command(struct machine *m, const char *line, FILE *out, struct json_t **json, char *err, size_t err_size);

/* Writes physical memory to PATH (sparse: what is zero takes no room; file offset = physical address) and, to
 * PATH.json, what is needed to walk it: cr3, cr4, ram, mode and the addresses of some symbols. 0, or -1 with one line
 * in err. */
int dump_image(struct machine *m, const char *path, char *err, size_t err_size);

#endif
