/* What the commands of a dump share. */
#ifndef NTMMU_REPORT_DUMP_PRIV_H
#define NTMMU_REPORT_DUMP_PRIV_H

#include "ntmmu/dump.h"
#include "ntmmu/nt_view.h"
#include "ntmmu/pte.h"

#include <inttypes.h>
#include <jansson.h>

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
void dump_set(json_t *object, const char *key, uint64_t value);
void dump_set_text(json_t *object, const char *key, const char *value);

struct mmpfn dump_read_pfn(struct dump *d, pfn_t frame);
/* Four bytes at va in the address space of a CR3 value; false: not mapped. */
bool dump_read32(struct dump *d, uint64_t directory, va_t va, uint32_t *out);
uint64_t dump_system_directory(struct dump *d); /* as a CR3 value */
uint64_t dump_cr3(struct dump *d);              /* now */
va_t dump_nonpaged_pool(struct dump *d);        /* where the initial one begins */
void dump_line(struct dump *d, const char *label, const char *key, uint64_t pages);
/* The PTE word of va; 0 where there is no page table. */
uint32_t dump_pte_of(struct dump *d, uint64_t directory, va_t va);
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
