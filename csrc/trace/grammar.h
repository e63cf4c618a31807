/* The grammar of the events' text, as one table that parsing and formatting share. traces/FORMAT.md says it in words.
 */
#ifndef NTMMU_TRACE_GRAMMAR_H
#define NTMMU_TRACE_GRAMMAR_H

#include "ntmmu/event.h"

enum field_type {
    FIELD_END,
    FIELD_DEC32,      /* ids, CPUs */
    FIELD_DEC64,      /* counts */
    FIELD_HEX32,      /* small sizes, values */
    FIELD_HEX32_WIDE, /* the same into a uint64_t */
    FIELD_HEX64,      /* lengths of files and sections, offsets, values */
    FIELD_VIRTUAL,    /* addresses, sizes of ranges of them */
    FIELD_PHYSICAL32, /* the address of 4 bytes */
    FIELD_PHYSICAL64, /* of 8 */
    FIELD_BIT,        /* 0 | 1 into a uint32_t */
    FIELD_QUOTED,     /* "text" */
    FIELD_WORD,       /* text without blanks */
    FIELD_PROT,       /* r rw … */
    FIELD_MAP_PROT,   /* r rw … | image */
    FIELD_ALLOC_TYPE,
    FIELD_SECTION_TYPE,
    FIELD_FREE_TYPE,    /* d | r */
    FIELD_READ_WRITE,   /* r | w */
    FIELD_FILE_OFFSET,  /* HEX | - ; the byte behind says anonymous */
    FIELD_SHARE,        /* the word share, or nothing */
    FIELD_FORCE,        /* the word force, or nothing */
    FIELD_TRIM_COUNT,   /* N | all */
    FIELD_POOL_TYPE,    /* paged | nonpaged */
    FIELD_POOL_TAG,     /* up to four characters */
    FIELD_MILLISECONDS, /* +N */
    FIELD_IO_MODE,      /* auto | manual */
    FIELD_INJECTION,    /* read-error | write-error | … */
    FIELD_FILTER,       /* -1 | 0 | 1 ; the byte before says that there is one */
    FIELD_REST,         /* one or more words, joined by a blank */
    FIELD_HEX_LIST,     /* the rest of the line into args */
    FIELD_REGISTER,     /* cr0 | cr3 | … */
    FIELD_BATCH         /* the rest of the line: kr:ADDR … */
};

struct field {
    uint8_t type; /* enum field_type */
    bool optional;
    uint16_t offset;  /* in struct event */
    const char *what; /* "a process id": for messages */
};

#define EVENT_FIELDS 6

struct event_rule {
    const char *word; /* NULL for the two kinds whose word varies: EV_ACCESS, EV_RUN */
    struct field field[EVENT_FIELDS];
};

const struct event_rule *event_rule(enum event_kind kind);

/* A note says where the trace comes from; a setting is for the machine, so it stands before the first event. */
enum directive_kind { DIRECTIVE_UNKNOWN, DIRECTIVE_NOTE, DIRECTIVE_SETTING };
enum directive_kind directive_kind(const char *name);

/* Parses the words of one event line into *event (kind and its fields). false with "found …, expected …" in err. */
bool event_parse(struct event *event, const char **words, const bool *quoted, unsigned count, char *err,
                 size_t err_size);

#define LINE_WORDS_MAX 512 /* as many as a reader takes: more than any event has */
/* Cuts LINE, in place, into words at blanks outside quotes, up to a comment. -1: too many; -2: an open quote. */
int line_words(char *line, const char **words, bool *quoted, unsigned max);

extern const char *const pool_type_names[]; /* by POOL_TYPE, NT-84 */

#endif
