/* What the commands of a dump share. They are compiled once for 4-byte page-table entries and once, with MI_PAE=1, for
 * those of PAE (NT-12), as the kernel is whose memory they read; dump_which.c has the choice. */
#ifndef NTMMU_REPORT_DUMP_PRIV_H
#define NTMMU_REPORT_DUMP_PRIV_H

#include "ntmmu/address_space.h"
#include "ntmmu/dump.h"
#include "ntmmu/nt_view.h"
#include "ntmmu/report.h"

#include <inttypes.h>
#include <jansson.h>

#define ENTRY_DIGITS ((int)PTE_SIZE * 2)
/* Where the window shows the page directories. */
#define PDE_END (PDE_BASE + MM_DIRECTORIES * PAGE_SIZE)

int dump_plain_command(struct machine *m, const char *line, FILE *out, json_t **json, char *err, size_t err_size);
int dump_pae_command(struct machine *m, const char *line, FILE *out, json_t **json, char *err, size_t err_size);

struct dump {
    struct machine *m;
    struct os *os;
    FILE *out;
    json_t *json;
    char *err;
    size_t err_size;
};

/* One line in err; returns -1. */
int dump_error(struct dump *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A page-table entry. Of 8 bytes, key is the lower half and key_high the upper one: no JSON reader rounds them. */
void dump_set_entry(json_t *object, const char *key, pte_t entry);

struct mmpfn dump_read_pfn(struct dump *d, pfn_t frame);
/* Four bytes at va in the address space of a CR3 value; false: not mapped. */
bool dump_read32(struct dump *d, uint64_t directory, va_t va, uint32_t *out);
bool dump_read_entry(struct dump *d, uint64_t directory, va_t va, pte_t *out);
uint64_t dump_system_directory(struct dump *d); /* as a CR3 value */
uint64_t dump_cr3(struct dump *d);              /* now */
va_t dump_nonpaged_pool(struct dump *d);        /* where the initial one begins */
#define IMAGE_NAME_MAX 16
void dump_image_name(struct dump *d, uint32_t eprocess, char out[IMAGE_NAME_MAX + 1]); /* as EPROCESS has it */
void dump_line(struct dump *d, const char *label, const char *key, uint64_t pages);
/* "pfn 404 ---DA--UWEV" or what an invalid entry says. prototype: the entry is a prototype PTE. */
void dump_describe_pte(pte_t pte, char *out, size_t out_size);
const char *dump_form_name(pte_t pte);
const char *dump_location_name(unsigned location);
/* The process of an optional argument, else the current one. */
int dump_find_process(struct dump *d, const char *argument, struct nt_process_view *out);

int dump_pte(struct dump *d, const char *argument);
int dump_pfn(struct dump *d, const char *argument);
int dump_vm(struct dump *d, const char *argument);
int dump_memusage(struct dump *d, const char *argument);
int dump_sysptes(struct dump *d, const char *argument);
int dump_poolused(struct dump *d, const char *argument);
int dump_vad(struct dump *d, const char *argument);
int dump_wsle(struct dump *d, const char *argument);
int dump_process(struct dump *d, const char *argument);

#endif
