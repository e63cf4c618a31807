/* The reader's inside, for the converters of this room that pass lines on as they stand. */
#ifndef NTMMU_TRACE_READER_H
#define NTMMU_TRACE_READER_H

#include "ntmmu/trace.h"

enum { TRACE_BLANK = TRACE_ERROR + 1 }; /* an empty line or a comment: only reader_next_line gives it */

/* As trace_next, but gives blank lines too, and the line as it stands, "" at the end. */
int reader_next_line(struct trace_reader *reader, struct trace_item *item, const char **line);

#endif
