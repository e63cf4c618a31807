/* The trace reader. Most lines of a trace are accesses and page runs; those are parsed by hand here, every other line
 * by the grammar's table. */
#include "reader.h"
#include "grammar.h"
#include "source.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1

struct trace_reader {
    struct source *source;
    char *path;
    uint64_t line, events;
    bool started, ended, failed;
    const char *words[LINE_WORDS_MAX];
    bool quoted[LINE_WORDS_MAX];
    char error[1024];
    char copy[SOURCE_LINE_MAX + 1]; /* the line as it stood, before it was cut into words */
};

struct trace_reader *trace_open(const char *path, char *err, size_t err_size) {
    struct trace_reader *r = malloc(sizeof *r);
    if (r) { memset(r, 0, offsetof(struct trace_reader, copy)); }
    char *name = strdup(strcmp(path, "-") == 0 ? "(standard input)" : path);
    struct source *source = r && name ? source_open(path, err, err_size) : NULL;
    if (!source) {
        if (!r || !name) { snprintf(err, err_size, "%s: out of memory", path); }
        free(name);
        free(r);
        return NULL;
    }
    r->path = name;
    r->source = source;
    return r;
}

void trace_close(struct trace_reader *r) {
    if (!r) { return; }
    source_close(r->source);
    free(r->path);
    free(r);
}

const char *trace_error(const struct trace_reader *r) { return r->error; }
double trace_progress(const struct trace_reader *r) { return source_progress(r->source); }

static int fail(struct trace_reader *r, const char *text) {
    int length = snprintf(r->error, sizeof r->error, "%s:%llu: ", r->path, (unsigned long long)r->line);
    char *out = r->error + (length < (int)sizeof r->error ? length : (int)sizeof r->error - 1);
    for (; *text && out < r->error + sizeof r->error - 1;
         text++) { /* the input may be anything: show no control bytes */
        *out++ = *text >= ' ' && *text <= '~' ? *text : '?';
    }
    *out = 0;
    r->failed = true;
    return TRACE_ERROR;
}

enum trace_item_kind trace_refuse(struct trace_reader *r, const char *text) {
    return (enum trace_item_kind)fail(r, text);
}

static const signed char hex_digit[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

/* Hexadecimal digits at P, at most MAX of them; NULL if there are none or more. */
static inline const char *take_hex(const char *p, unsigned max, uint64_t *value) {
    uint64_t v = 0;
    const char *start = p;
    for (int d; (d = hex_digit[(unsigned char)*p]) != 0; p++) { v = v << 4 | (unsigned)(d - 1); }
    *value = v;
    return p == start || (size_t)(p - start) > max ? NULL : p;
}

/* "I 401 14", "kw 142f000 1000" in their usual spelling; anything else is left to the grammar. */
static inline bool fast_line(struct event *e, const char *p, const char *end) {
    bool kernel = (*p | 0x20) == 'k';
    bool kernel_lower = *p == 'k';
    p += kernel;
    char letter = *p;
    if (letter == '\0' || p[1] != ' ') { return false; }
    uint8_t access = letter == 'i' || letter == 'I'   ? EVENT_FETCH
                     : letter == 'r' || letter == 'R' ? EVENT_LOAD
                     : letter == 'w' || letter == 'W' ? EVENT_STORE
                     : letter == 'm'                  ? EVENT_MODIFY
                                                      : 0xFF;
    bool exact = letter >= 'a';
    if (access == 0xFF || (kernel && kernel_lower != exact)) { return false; }
    uint64_t value;
    p = take_hex(p + 2, exact ? 16 : 13, &value);
    if (!p) { return false; }
    if (exact) {
        uint64_t size;
        p = *p == ' ' ? take_hex(p + 1, 8, &size) : NULL;
        if (!p || p != end || !size) { return false; }
        e->kind = EV_ACCESS;
        e->access.va = value;
        e->access.size = (uint32_t)size;
        e->access.access = access;
        e->access.mode = kernel ? EVENT_KERNEL : EVENT_USER;
        e->access.has_value = false;
        e->access.value = 0;
        return true;
    }
    uint64_t count = 1;
    if (*p == ' ') {
        const char *digits = ++p;
        for (count = 0; *p >= '0' && *p <= '9'; p++) { count = count * 10 + (uint64_t)(*p - '0'); }
        if (!count || p - digits > 18) { return false; }
    }
    if (p != end) { return false; }
    e->kind = EV_RUN;
    e->run.vpn = value;
    e->run.count = count;
    e->run.access = access;
    e->run.mode = kernel ? EVENT_KERNEL : EVENT_USER;
    return true;
}

static int give_event(struct trace_reader *r, struct trace_item *item) {
    item->event.index = r->events++;
    item->event.line = r->line;
    return item->kind = TRACE_EVENT;
}

/* `!vmt N`, which has to come first. */
static int read_version(struct trace_reader *r, unsigned count) {
    char text[200];
    if (r->started) { return fail(r, "found a second !vmt, expected it in the first line only"); }
    char *end = NULL;
    unsigned long version = count > 1 ? strtoul(r->words[1], &end, 10) : 0;
    if (count != 2 || *end || end == r->words[1] || version == 0) {
        return fail(r, "found a !vmt without a version number, expected !vmt 1");
    }
    if (version > VERSION) {
        snprintf(text, sizeof text, "found !vmt %lu, a trace from a newer version; expected !vmt %d", version, VERSION);
        return fail(r, text);
    }
    r->started = true;
    return TRACE_BLANK;
}

static int read_directive(struct trace_reader *r, struct trace_item *item, unsigned count) {
    r->words[0]++; /* the ! */
    if (strcmp(r->words[0], "vmt") == 0) { return read_version(r, count); }
    if (strcmp(r->words[0], "end") == 0) {
        if (count > 1) { return fail(r, "found words behind !end, expected none"); }
        r->ended = true;
        return TRACE_BLANK;
    }
    char text[200];
    enum directive_kind kind = directive_kind(r->words[0]);
    if (kind == DIRECTIVE_UNKNOWN || (kind == DIRECTIVE_SETTING && r->events)) {
        snprintf(text, sizeof text, "found '!%.80s'%s", r->words[0],
                 kind == DIRECTIVE_SETTING ? " behind an event, expected it before the first one"
                                           : ", expected a directive of traces/FORMAT.md");
        return fail(r, text);
    }
    item->words = r->words;
    item->word_count = count;
    return item->kind = TRACE_DIRECTIVE;
}

static int slow_line(struct trace_reader *r, struct trace_item *item, char *line, size_t length) {
    if (strlen(line) != length) { return fail(r, "found a NUL byte, expected text"); }
    memcpy(r->copy, line, length + 1);
    int count = line_words(line, r->words, r->quoted, LINE_WORDS_MAX);
    if (count == -1) { return fail(r, "found more than 512 words, expected a shorter line"); }
    if (count == -2) { return fail(r, "found the end of the line, expected a closing quote"); }
    if (count == 0) { return TRACE_BLANK; }
    if (r->ended) { return fail(r, "found text behind !end, expected the end of the file"); }
    bool directive = r->words[0][0] == '!' && !r->quoted[0];
    if (!r->started && !(directive && strcmp(r->words[0], "!vmt") == 0)) {
        char text[160];
        snprintf(text, sizeof text, "found '%.80s', expected !vmt 1 as the first line", r->words[0]);
        return fail(r, text);
    }
    if (directive) { return read_directive(r, item, (unsigned)count); }
    if (strcmp(r->words[0], "expect") == 0) {
        if (count == 1) { return fail(r, "found the end of the line, expected KEY=VALUE"); }
        item->words = r->words + 1;
        item->word_count = (unsigned)count - 1;
        return item->kind = TRACE_EXPECT;
    }
    char text[400];
    if (!event_parse(&item->event, r->words, r->quoted, (unsigned)count, text, sizeof text)) { return fail(r, text); }
    return give_event(r, item);
}

static int end_of_file(struct trace_reader *r, struct trace_item *item) {
    r->line++;
    if (!r->ended) {
        item->kind = TRACE_ERROR;
        return fail(r, r->started ? "found the end of the file, expected !end"
                                  : "found the end of the file, expected !vmt 1 as the first line");
    }
    return item->kind = TRACE_EOF;
}

int reader_next_line(struct trace_reader *r, struct trace_item *item, const char **raw) {
    char *line;
    size_t length;
    *raw = "";
    if (r->failed) { return item->kind = TRACE_ERROR; }
    enum source_status status = source_line(r->source, &line, &length);
    if (status == SOURCE_END) { return end_of_file(r, item); }
    item->line = ++r->line;
    item->word_count = 0;
    if (status == SOURCE_ERROR) { return item->kind = (enum trace_item_kind)fail(r, source_error(r->source)); }
    if (r->started && !r->ended && fast_line(&item->event, line, line + length)) {
        *raw = line;
        return give_event(r, item);
    }
    int kind = slow_line(r, item, line, length);
    *raw = r->copy;
    if (kind == TRACE_ERROR) { item->kind = TRACE_ERROR; }
    return kind;
}

enum trace_item_kind trace_next(struct trace_reader *r, struct trace_item *item) {
    const char *raw;
    int kind;
    do { kind = reader_next_line(r, item, &raw); } while (kind == TRACE_BLANK);
    return (enum trace_item_kind)kind;
}
