/* Boundary 4: the trace. VMT text or seekable .vmt.zst in, events out; and the writer. Format: traces/FORMAT.md. */
#ifndef NTMMU_TRACE_H
#define NTMMU_TRACE_H

#include "ntmmu/event.h"

enum trace_item_kind { TRACE_EVENT, TRACE_EXPECT, TRACE_DIRECTIVE, TRACE_EOF, TRACE_ERROR };

/* Everything a person wrote in the trace, in order. words[] are the line's fields: for EXPECT those behind `expect`,
 * for a DIRECTIVE its name without '!' and its values. They stay valid until the next call. */
struct trace_item {
    enum trace_item_kind kind;
    struct event event; /* of TRACE_EVENT */
    uint64_t line;
    unsigned word_count;
    const char **words;
};

struct trace_reader;

/* Opens PATH ("-" = standard input). Compressed input is recognised by its magic. NULL with one line in err. */
struct trace_reader *trace_open(const char *path, char *err, size_t err_size);
/* Fills *item, returns its kind. After TRACE_ERROR the message "FILE:LINE: found …, expected …" is in trace_error(). A
 * trace that ends before `!end`, of a newer version, or truncated is an error. */
enum trace_item_kind trace_next(struct trace_reader *reader, struct trace_item *item);
const char *trace_error(const struct trace_reader *reader);
/* Whoever reads cannot use the last item: TRACE_ERROR from here on, with TEXT behind its file and line. */
enum trace_item_kind trace_refuse(struct trace_reader *reader, const char *text);
/* How far the reader is, for a progress line: 0.0..1.0 of the input's bytes; negative if unknown (standard input). */
double trace_progress(const struct trace_reader *reader);
void trace_close(struct trace_reader *reader);

struct trace_writer;

/* Writes PATH ("-" = standard output), zstd frames of about 8 MB of text with the index frame if the name ends in .zst.
 * The file appears under its name only when trace_finish succeeds. */
struct trace_writer *trace_create(const char *path, char *err, size_t err_size);
/* One line of text without its newline, as it shall stand in the file. */
int trace_write_line(struct trace_writer *writer, const char *line, bool is_event);
int trace_write_event(struct trace_writer *writer, const struct event *event);
/* Writes `!end`, closes. 0, or -1 with a line in err and no file left behind. */
int trace_finish(struct trace_writer *writer, char *err, size_t err_size);
void trace_abandon(struct trace_writer *writer);

/* A number of the event that an operating system of 32 bits has no use for: a virtual address or a size of a range that
 * is not below *limit. NULL: there is none. wide_arguments: a bit for each argument of a list that may be wider. */
const uint64_t *event_wide_number(const struct event *event, uint32_t wide_arguments, uint64_t *limit);

/* Formats an event as its line of text. Returns the length. */
int event_format(const struct event *event, char *out, size_t out_size);

/* Protection words of a trace: "xrw+g" to mask and back. -1 if not one. */
int prot_parse(const char *word);
const char *prot_name(unsigned prot, char out[16]);

#endif
