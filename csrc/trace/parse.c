/* Words of a line into an event, after the table of grammar.c. Access lines on the fast path do not come here. */
#include "grammar.h"

#include "ntmmu/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct words {
    const char **word;
    const bool *quoted;
    unsigned count, next;
    char *err;
    size_t err_size;
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

int line_words(char *p, const char **words, bool *quoted, unsigned max) {
    unsigned count = 0;
    for (;;) {
        while (is_blank(*p)) { p++; }
        if (*p == '\0' || *p == '#') { return (int)count; }
        if (count == max) { return -1; }
        quoted[count] = *p == '"';
        if (quoted[count]) {
            words[count++] = ++p;
            for (; *p != '"'; p++) { /* a backslash keeps its character with it: \" does not end the text */
                if (*p == '\\' && p[1]) { p++; }
                if (*p == '\0') { return -2; }
            }
            *p++ = '\0';
            continue;
        }
        words[count++] = p;
        for (; *p && *p != '#' && !is_blank(*p); p++) {
            if (*p == '\\' && p[1]) { p++; }
        }
        if (*p == '#') {
            *p = '\0';
            return (int)count;
        }
        if (*p) { *p++ = '\0'; }
    }
}

static bool expected(struct words *w, const char *what) {
    if (w->next < w->count) {
        snprintf(w->err, w->err_size, "found '%.80s', expected %s", w->word[w->next], what);
    } else {
        snprintf(w->err, w->err_size, "found the end of the line, expected %s", what);
    }
    return false;
}

static bool parse_number(const char *text, unsigned base, uint64_t max, uint64_t *value) {
    uint64_t v = 0;
    if (!*text) { return false; }
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        unsigned digit = c >= '0' && c <= '9'   ? c - (unsigned)'0'
                         : c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10
                         : c >= 'A' && c <= 'F' ? c - (unsigned)'A' + 10
                                                : 99u;
        if (digit >= base || digit > max || v > (max - digit) / base) { return false; }
        v = v * base + digit;
    }
    *value = v;
    return true;
}

/* Index of TEXT in the NULL-terminated list, -1 if not there. */
static int one_of(const char *text, const char *const *list) {
    for (int i = 0; list[i]; i++) {
        if (strcmp(text, list[i]) == 0) { return i; }
    }
    return -1;
}

static bool parse_text(struct event *event, const char *text) {
    size_t length = strlen(text);
    if (length >= EVENT_TEXT_MAX) { return false; }
    memcpy(event->text, text, length + 1);
    return true;
}

static bool parse_alloc_type(const char *text, uint8_t *type) {
    *type = 0;
    for (; *text; text++) {
        unsigned bit = *text == 'r' ? EVENT_RESERVE : *text == 'c' ? EVENT_COMMIT : *text == 'x' ? EVENT_RESET : 0;
        if (!bit || (*type & bit)) { return false; }
        *type = (uint8_t)(*type | bit);
    }
    return *type != 0;
}

static bool parse_tag(struct event *event, const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length > 4) { return false; }
    uint32_t tag = 0;
    for (size_t i = 0; i < length; i++) { tag |= (uint32_t)(unsigned char)text[i] << (8 * i); }
    event->pool.tag = tag;
    return parse_text(event, text);
}

/* As between quotes; a word without them may hold a quote, or end with a backslash. */
static bool is_quotable(const char *text) {
    for (; *text && *text != '"'; text++) {
        if (*text == '\\' && *++text == '\0') { return false; }
    }
    return *text == '\0';
}

static bool parse_rest(struct words *w, struct event *event) {
    size_t length = 0;
    for (; w->next < w->count; w->next++) {
        if (w->quoted[w->next]) { return false; } /* it may be empty, or hold blanks */
        int put = snprintf(event->text + length, EVENT_TEXT_MAX - length, "%s%s", length ? " " : "", w->word[w->next]);
        length += (size_t)put;
        if (length >= EVENT_TEXT_MAX) { return false; }
    }
    w->next--; /* the caller steps over the last one */
    return true;
}

static bool parse_list(struct words *w, struct event *event) {
    for (; w->next < w->count; w->next++) {
        unsigned n = event->args.count;
        if (n == EVENT_ARG_MAX || !parse_number(w->word[w->next], 16, UINT64_MAX, &event->args.arg[n])) {
            return false;
        }
        event->args.count = n + 1;
    }
    w->next--;
    return true;
}

static bool parse_trim_count(struct event *event, const char *text) {
    uint64_t count = 0;
    event->trim.all = strcmp(text, "all") == 0;
    if (!event->trim.all && !parse_number(text, 10, UINT32_MAX, &count)) { return false; }
    event->trim.count = (uint32_t)count;
    return true;
}

static bool parse_file_offset(struct event *event, const char *text) {
    event->sub.anonymous = strcmp(text, "-") == 0;
    return event->sub.anonymous || parse_number(text, 16, UINT64_MAX, &event->sub.file_offset);
}

static bool parse_choice(const struct field *f, void *to, const char *text) {
    static const char *const section_types[] = {"image", "data", "page", NULL};
    static const char *const free_types[] = {"d", "r", NULL};
    static const char *const directions[] = {"r", "w", NULL};
    static const char *const share[] = {"", "share", NULL};
    static const char *const force[] = {"", "force", NULL};
    static const char *const io_modes[] = {"auto", "manual", NULL};
    const char *const *list = f->type == FIELD_SECTION_TYPE ? section_types
                              : f->type == FIELD_FREE_TYPE  ? free_types
                              : f->type == FIELD_READ_WRITE ? directions
                              : f->type == FIELD_POOL_TYPE  ? pool_type_names
                              : f->type == FIELD_SHARE      ? share
                              : f->type == FIELD_IO_MODE    ? io_modes
                                                            : force;
    int choice = one_of(text, list);
    if (choice < 0) { return false; }
    if (f->type == FIELD_SECTION_TYPE || f->type == FIELD_POOL_TYPE) {
        *(uint8_t *)to = (uint8_t)choice;
    } else {
        *(bool *)to = choice == 1;
    }
    return true;
}

static bool parse_injection(uint8_t *to, const char *text) {
    for (unsigned i = 0; injection_names[i]; i++) {
        if (strcmp(text, injection_names[i]) == 0) {
            *to = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool parse_register(uint8_t *to, const char *text) {
    int which = one_of(text, register_names);
    *to = (uint8_t)which;
    return which >= 0;
}

static const uint8_t exact_kinds[] = {EVENT_FETCH, EVENT_LOAD, EVENT_STORE, EVENT_MODIFY};
#define EXACT_LETTERS "irwm"

/* "kr:410000" */
static bool parse_batched(struct event_touch *to, const char *text) {
    to->mode = *text == 'k' ? EVENT_KERNEL : *text == 's' ? EVENT_IMPLICIT : EVENT_USER;
    text += to->mode != EVENT_USER;
    const char *letter = *text ? strchr(EXACT_LETTERS, *text) : NULL;
    if (!letter || text[1] != ':') { return false; }
    to->access = exact_kinds[letter - EXACT_LETTERS];
    return parse_number(text + 2, 16, UINT64_MAX, &to->va);
}

static bool parse_batch(struct words *w, struct event *event) {
    for (; w->next < w->count; w->next++) {
        unsigned n = event->batch.count;
        if (n == EVENT_BATCH_MAX || !parse_batched(&event->batch.at[n], w->word[w->next])) { return false; }
        event->batch.count = (uint8_t)(n + 1);
    }
    w->next--;
    return true;
}

static bool parse_filter(struct event *event, const char *text) {
    bool minus = *text == '-';
    uint64_t value;
    if (!parse_number(text + minus, 10, 1, &value) || (minus && value == 0)) { return false; }
    event->bracket.has_filter = true;
    event->bracket.filter = (int8_t)(minus ? -1 : (int)value);
    return true;
}

static bool parse_prot(const struct field *f, void *to, const char *text) {
    int prot = f->type == FIELD_MAP_PROT && strcmp(text, "image") == 0 ? EVENT_MAP_IMAGE : prot_parse(text);
    *(uint8_t *)to = (uint8_t)prot;
    return prot >= 0;
}

static bool parse_number_field(const struct field *f, void *to, const char *text) {
    uint64_t value = 0;
    switch (f->type) {
    case FIELD_HEX64:
    case FIELD_VIRTUAL: return parse_number(text, 16, UINT64_MAX, to);
    case FIELD_PHYSICAL32: return parse_number(text, 16, UINT64_MAX, to) && *(const pa_t *)to % 4 == 0;
    case FIELD_PHYSICAL64: return parse_number(text, 16, UINT64_MAX, to) && *(const pa_t *)to % 8 == 0;
    case FIELD_HEX32_WIDE: return parse_number(text, 16, UINT32_MAX, to);
    case FIELD_DEC64: return parse_number(text, 10, UINT64_MAX, to);
    case FIELD_MILLISECONDS: return text[0] == '+' && parse_number(text + 1, 10, UINT64_MAX, to);
    case FIELD_HEX32:
        if (!parse_number(text, 16, UINT32_MAX, &value)) { return false; }
        break;
    case FIELD_BIT:
        if (!parse_number(text, 10, 1, &value)) { return false; }
        break;
    default:
        if (!parse_number(text, 10, UINT32_MAX, &value)) { return false; }
        break;
    }
    *(uint32_t *)to = (uint32_t)value;
    return true;
}

static bool parse_field(struct words *w, struct event *event, const struct field *f) {
    const char *text = w->word[w->next];
    void *to = (char *)event + f->offset;
    switch ((enum field_type)f->type) {
    case FIELD_QUOTED: return is_quotable(text) && parse_text(event, text);
    case FIELD_WORD: return parse_text(event, text);
    case FIELD_PROT:
    case FIELD_MAP_PROT: return parse_prot(f, to, text);
    case FIELD_ALLOC_TYPE: return parse_alloc_type(text, to);
    case FIELD_FILE_OFFSET: return parse_file_offset(event, text);
    case FIELD_TRIM_COUNT: return parse_trim_count(event, text);
    case FIELD_POOL_TAG: return parse_tag(event, text);
    case FIELD_REST: return parse_rest(w, event);
    case FIELD_HEX_LIST: return parse_list(w, event);
    case FIELD_SECTION_TYPE:
    case FIELD_FREE_TYPE:
    case FIELD_READ_WRITE:
    case FIELD_POOL_TYPE:
    case FIELD_SHARE:
    case FIELD_IO_MODE:
    case FIELD_FORCE: return parse_choice(f, to, text);
    case FIELD_INJECTION: return parse_injection(to, text);
    case FIELD_FILTER: return parse_filter(event, text);
    case FIELD_REGISTER: return parse_register(to, text);
    case FIELD_BATCH: return parse_batch(w, event);
    default: return parse_number_field(f, to, text);
    }
}

static bool parse_access(struct words *w, struct event *event, const char *letter, enum event_mode mode) {
    uint64_t size = 0;
    event->kind = EV_ACCESS;
    event->access.mode = (uint8_t)mode;
    event->access.access = exact_kinds[strchr(EXACT_LETTERS, *letter) - EXACT_LETTERS];
    if (w->next == w->count || !parse_number(w->word[w->next], 16, UINT64_MAX, &event->access.va)) {
        return expected(w, "a hexadecimal address");
    }
    w->next++;
    if (w->next == w->count || !parse_number(w->word[w->next], 16, UINT32_MAX, &size) || !size) {
        return expected(w, "a hexadecimal size of at least 1");
    }
    event->access.size = (uint32_t)size;
    w->next++;
    if (w->next < w->count) {
        const char *text = w->word[w->next];
        event->access.has_value = true;
        if (*text != '=' || !parse_number(text + 1, 16, UINT64_MAX, &event->access.value)) {
            return expected(w, "= and a hexadecimal value");
        }
        w->next++;
    }
    return w->next == w->count || expected(w, "the end of the line");
}

static bool parse_run(struct words *w, struct event *event, const char *letter, enum event_mode mode) {
    static const uint8_t kinds[] = {EVENT_FETCH, EVENT_LOAD, EVENT_STORE};
    event->kind = EV_RUN;
    event->run.mode = (uint8_t)mode;
    event->run.access = kinds[strchr("IRW", *letter) - "IRW"];
    event->run.count = 1;
    if (w->next == w->count || !parse_number(w->word[w->next], 16, UINT64_MAX >> PAGE_SHIFT, &event->run.vpn)) {
        return expected(w, "a hexadecimal page number");
    }
    w->next++;
    if (w->next < w->count) {
        if (!parse_number(w->word[w->next], 10, UINT64_MAX, &event->run.count) || !event->run.count) {
            return expected(w, "a decimal count of at least 1");
        }
        w->next++;
    }
    return w->next == w->count || expected(w, "the end of the line");
}

/* "kr" and "k r" are the same. */
static bool access_letter(const struct words *w, const char **letter, enum event_mode *mode, unsigned *used) {
    const char *first = w->word[0];
    *mode = *first == 'k' || *first == 'K' ? EVENT_KERNEL : *first == 's' ? EVENT_IMPLICIT : EVENT_USER;
    *used = 1;
    *letter = first + (*mode != EVENT_USER);
    if (*mode == EVENT_KERNEL && !**letter && w->count > 1) {
        *letter = w->word[1];
        *used = 2;
    }
    const char *set = *mode == EVENT_USER ? "irwmIRW" : *first == 'K' ? "IRW" : EXACT_LETTERS;
    return **letter && !(*letter)[1] && strchr(set, **letter);
}

static enum event_kind kind_of(const char *word) {
    for (int kind = EV_NONE + 1; kind < EV_KINDS; kind++) {
        const char *name = event_rule((enum event_kind)kind)->word;
        if (name && strcmp(name, word) == 0) { return (enum event_kind)kind; }
    }
    return EV_NONE;
}

bool event_parse(struct event *event, const char **words, const bool *quoted, unsigned count, char *err,
                 size_t err_size) {
    struct words w = {words, quoted, count, 0, err, err_size};
    memset((char *)event + offsetof(struct event, access), 0,
           offsetof(struct event, text) - offsetof(struct event, access));
    event->text[0] = '\0';
    const char *letter;
    enum event_mode mode;
    unsigned used;
    if (access_letter(&w, &letter, &mode, &used)) {
        w.next = used;
        return strchr(EXACT_LETTERS, *letter) ? parse_access(&w, event, letter, mode)
                                              : parse_run(&w, event, letter, mode);
    }
    bool strict = strcmp(words[0], "map!") == 0;
    event->kind = strict ? EV_MAP : kind_of(words[0]);
    if (event->kind == EV_NONE || quoted[0]) { return expected(&w, "an event of traces/FORMAT.md"); }
    if (strict) { event->map.strict = true; }
    w.next = 1;
    const struct field *f = event_rule(event->kind)->field;
    for (unsigned i = 0; i < EVENT_FIELDS && f[i].type != FIELD_END; i++) {
        if (w.next == w.count && f[i].optional) { break; }
        if (w.next == w.count || !parse_field(&w, event, &f[i])) { return expected(&w, f[i].what); }
        w.next++;
    }
    return w.next == w.count || expected(&w, "the end of the line");
}
