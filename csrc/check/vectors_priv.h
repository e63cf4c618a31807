/* Inside the vector runner: what the two kinds of lines, single accesses (vectors_single.c) and the steps of sequences
 * (vectors_sequence.c), share. */
#ifndef CHECK_VECTORS_PRIV_H
#define CHECK_VECTORS_PRIV_H

#include "ntmmu/vectors.h"
#include "vectors_file.h"
#include "vectors_memory.h"

enum vectors_mode { MODE_TWO_LEVEL = 2, MODE_PAE = 3, MODE_FOUR_LEVEL = 4 };

enum outcome_kind {
    OUTCOME_OK,
    OUTCOME_PF,
    OUTCOME_GP,
    OUTCOME_LOAD_GP, /* already when a control register is loaded */
    OUTCOME_NONE     /* the MMU hangs */
};

struct outcome {
    enum outcome_kind kind;
    uint32_t error_code;
    va_t cr2;
    pa_t pa;
    bool pa_known;      /* a page-straddling access has no single one */
    uint8_t page_shift; /* of an access that succeeded */
};

struct access {
    va_t va;
    enum mmu_type type;
    enum mmu_mode mode;
    bool crosses; /* into the next page */
};

struct registers {
    uint64_t cr0, cr3, cr4, efer;
    bool ac;
};

struct page {
    va_t va;
    uint16_t pcid;
    uint8_t shift; /* of its size */
};

struct page_set {
    struct page pages[64];
    unsigned count;
};

struct sequence {
    char id[24], name[32];
    enum vectors_mode mode;
    bool open, loaded;
    struct registers registers; /* to be loaded before the first step */
    unsigned missing;           /* features that the CPU lacks: the rest is skipped */
    /* Pages where the MMU used a legally stale translation and the line's fresh outcome was a fault. */
    struct page_set missed_faults;
    /* Large pages that the MMU may hold: used, not invalidated by INVLPG or a fault since. */
    struct page_set large;
    /* Pages for which the MMU may hold a global translation that came, legally, from a stale paging-structure-cache
     * entry: it outlives the MOV CR3 that drops that entry. */
    struct page_set stale_global;
};

struct runner {
    struct vectors_file file;
    const struct vectors_config *config;
    struct vectors_report *report;
    struct mmu *mmu;
    bool commented; /* the first line, which says MAXPHYADDR, has been read */
    struct vectors_memory memory;
    struct sequence sequence;
};

enum verdict { PASSED, FAILED, SKIPPED };

/* ---- counting and reporting (vectors.c) ---- */

/* Functions that return int here: 0, or -1 with one line in err (bad input). */
int vectors_count_line(struct runner *r, const char *set, enum verdict verdict);
/* Skipped, because the CPU lacks these features. */
int vectors_count_missing(struct runner *r, const char *set, unsigned missing);
enum verdict vectors_report_failure(struct runner *r, const char *found, const char *expected);
enum verdict vectors_fail_outcome(struct runner *r, const char *when, const struct outcome *found,
                                  const struct outcome *expected);
int vectors_store(struct runner *r, pa_t pa, uint64_t value);

int vectors_run_single(struct runner *r);
/* Q, and the steps: all lines that begin with neither # nor V. */
int vectors_run_sequence_line(struct runner *r);

/* ---- what lines say, and driving the MMU (vectors_access.c) ---- */

int vectors_parse_mode(struct runner *r, unsigned index, enum vectors_mode *out);
int vectors_parse_flag(struct runner *r, unsigned index, bool *out);
int vectors_parse_access(struct runner *r, unsigned acc, unsigned lin, struct access *out);
/* Words `first` on: out ec cr2 pa. */
int vectors_parse_outcome(struct runner *r, unsigned first, struct outcome *out);
/* Words cr0 cr4 efer, from `first` on. */
int vectors_parse_registers(struct runner *r, unsigned first, struct registers *out);

/* What of enum cpu_feature a processor in this mode with these registers has, and our preset lacks. */
unsigned vectors_missing(const struct runner *r, enum vectors_mode mode, uint64_t cr4, uint64_t efer);

/* The processor writes implicitly when it loads a segment descriptor: it reads the descriptor, then sets the accessed
 * bit in its type byte. */
bool vectors_is_descriptor_load(const struct access *access);
bool vectors_same_outcome(const struct outcome *a, const struct outcome *b, const struct access *access);

struct outcome vectors_access(struct runner *r, const struct access *access);
bool vectors_write_register(struct runner *r, enum mmu_control which, uint64_t value);
/* Through paging off, which empties the TLBs. False if a register cannot be loaded so. */
bool vectors_load_registers(struct runner *r, const struct registers *registers);

#endif
