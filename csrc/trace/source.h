/* Lines of a text that may be compressed: reads in big blocks, in constant memory. */
#ifndef NTMMU_TRACE_SOURCE_H
#define NTMMU_TRACE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_LINE_MAX 65536 /* longest line, newline included */

struct source;
enum source_status { SOURCE_LINE, SOURCE_END, SOURCE_ERROR };

/* "-" is standard input. NULL with one line in err. */
struct source *source_open(const char *path, char *err, size_t err_size);
void source_close(struct source *source);

/* The next line, its newline replaced by a NUL; it may be written to and lives until the next call. */
enum source_status source_line(struct source *source, char **line, size_t *length);
/* After SOURCE_ERROR: "found …, expected …". */
const char *source_error(const struct source *source);
/* 0.0..1.0 of the input's bytes; negative if their number is not known. */
double source_progress(const struct source *source);

#endif
