/* See shrink.h. Candidates share their lines with the trace they come from: a line belongs to the trace alone. */
#include "ntmmu/shrink.h"

#include "ntmmu/trace.h"
#include "reader.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX   128 /* a longer word is left as it is */
#define WORDS_MAX  32
#define FEW_EVENTS 24

/* ---- the trace as text ---- */

static bool append(char ***list, size_t *count, const char *text) {
    if ((*count & (*count + 1)) == 0) { /* room for 1, 3, 7, … */
        char **more = realloc(*list, (2 * *count + 1) * sizeof *more);
        if (!more) { return false; }
        *list = more;
    }
    char *copy = strdup(text);
    if (!copy) { return false; }
    (*list)[(*count)++] = copy;
    return true;
}

static bool add_line(char **event, const char *line) {
    char *longer;
    if (asprintf(&longer, "%s\n%s", *event, line) < 0) { return false; }
    free(*event);
    *event = longer;
    return true;
}

static bool take(struct shrink_trace *t, int kind, const char *raw) {
    switch (kind) {
    case TRACE_DIRECTIVE: return append(&t->head, &t->heads, raw);
    case TRACE_EVENT: return append(&t->event, &t->events, raw);
    case TRACE_EXPECT: return t->events == 0 || add_line(&t->event[t->events - 1], raw);
    default: return true;
    }
}

int shrink_load(struct shrink_trace *t, const char *path, char *err, size_t err_size) {
    *t = (struct shrink_trace){0};
    struct trace_reader *reader = trace_open(path, err, err_size);
    struct trace_item *item = calloc(1, sizeof *item);
    bool good = reader && item;
    int kind = TRACE_EOF;
    const char *raw;
    while (good && (kind = reader_next_line(reader, item, &raw)) != TRACE_EOF && kind != TRACE_ERROR) {
        good = take(t, kind, raw);
    }
    if (reader && (!good || kind == TRACE_ERROR)) {
        snprintf(err, err_size, "%s", good ? trace_error(reader) : "out of memory");
        good = false;
    }
    free(item);
    trace_close(reader);
    if (!good) { shrink_free(t); }
    return good ? 0 : -1;
}

void shrink_free(struct shrink_trace *t) {
    for (size_t i = 0; i < t->heads; i++) { free(t->head[i]); }
    for (size_t i = 0; i < t->events; i++) { free(t->event[i]); }
    free(t->head);
    free(t->event);
    *t = (struct shrink_trace){0};
}

void shrink_write(const struct shrink_trace *t, const char *note, FILE *out) {
    fputs("!vmt 1\n", out);
    if (note) { fprintf(out, "%s\n", note); }
    for (size_t i = 0; i < t->heads; i++) { fprintf(out, "%s\n", t->head[i]); }
    for (size_t i = 0; i < t->events; i++) { fprintf(out, "%s\n", t->event[i]); }
    fputs("!end\n", out);
}

void shrink_cut(struct shrink_trace *t, size_t count) {
    while (t->events > count) { free(t->event[--t->events]); }
}

void shrink_expect(struct shrink_trace *t, size_t n, const char *line) {
    if (line) {
        add_line(&t->event[n], line);
    } else {
        t->event[n][strcspn(t->event[n], "\n")] = '\0';
    }
}

/* ---- fewer lines ---- */

/* The lines [from, to) of a list go, if the trace still fails then. */
static enum shrink_answer remove_lines(struct shrink_trace *t, bool heads, size_t from, size_t to, shrink_try attempt,
                                       void *ctx) {
    struct shrink_trace candidate = *t;
    char **list = heads ? t->head : t->event;
    size_t count = heads ? t->heads : t->events;
    char **kept = malloc((count + 1) * sizeof *kept);
    if (!kept) { return SHRINK_STOP; }
    memcpy(kept, list, from * sizeof *kept);
    memcpy(kept + from, list + to, (count - to) * sizeof *kept);
    *(heads ? &candidate.head : &candidate.event) = kept;
    *(heads ? &candidate.heads : &candidate.events) = count - (to - from);
    enum shrink_answer answer = attempt(ctx, &candidate);
    if (answer == SHRINK_FAILS) {
        for (size_t i = from; i < to; i++) { free(list[i]); }
        free(list);
        *t = candidate;
    } else {
        free(kept);
    }
    return answer;
}

/* From the end: what comes last depends on most. False: stopped. */
static bool remove_chunks(struct shrink_trace *t, size_t size, shrink_try attempt, void *ctx, bool *changed) {
    for (size_t end = t->events; end > 0;) {
        size_t from = end > size ? end - size : 0;
        enum shrink_answer answer = remove_lines(t, false, from, end, attempt, ctx);
        if (answer == SHRINK_STOP) { return false; }
        *changed = *changed || answer == SHRINK_FAILS;
        end = from;
    }
    return true;
}

/* A pair that goes together only, as what begins and what ends something; of many events the neighbours alone. */
static bool remove_pairs(struct shrink_trace *t, shrink_try attempt, void *ctx, bool *changed) {
    for (size_t second = t->events; second-- > 1;) {
        size_t least = t->events > FEW_EVENTS ? second - 1 : 0;
        for (size_t first = second; first-- > least && second < t->events;) {
            /* the first one moves next to the second, behind whose back it goes with it */
            char *line = t->event[first];
            memmove(t->event + first, t->event + first + 1, (second - 1 - first) * sizeof *t->event);
            t->event[second - 1] = line;
            enum shrink_answer answer = remove_lines(t, false, second - 1, second + 1, attempt, ctx);
            if (answer == SHRINK_FAILS) {
                *changed = true;
                break;
            }
            memmove(t->event + first + 1, t->event + first, (second - 1 - first) * sizeof *t->event);
            t->event[first] = line;
            if (answer == SHRINK_STOP) { return false; }
        }
    }
    return true;
}

/* A big chunk may go once others have gone: so each size is tried until nothing more goes, but the very small ones. */
bool shrink_events(struct shrink_trace *t, shrink_try attempt, void *ctx) {
    bool changed;
    for (size_t size = t->events / 2; size > 1; size /= 2) {
        do {
            changed = false;
            if (!remove_chunks(t, size, attempt, ctx, &changed)) { return false; }
        } while (changed && size > 8 && t->events > size);
    }
    do {
        changed = false;
        if (!remove_pairs(t, attempt, ctx, &changed) || !remove_chunks(t, 1, attempt, ctx, &changed)) { return false; }
    } while (changed);
    for (size_t i = t->heads; i-- > 0;) {
        if (remove_lines(t, true, i, i + 1, attempt, ctx) == SHRINK_STOP) { return false; }
    }
    return true;
}

/* ---- simpler lines ---- */

struct shrinking {
    struct shrink_trace *trace;
    shrink_try attempt;
    void *ctx;
    bool stopped, changed;
};

/* The line's text is the candidate's if the trace still fails with it. */
static bool replace(struct shrinking *s, size_t n, const char *text) {
    char *old = s->trace->event[n];
    if (s->stopped || strcmp(old, text) == 0 || !(s->trace->event[n] = strdup(text))) {
        s->trace->event[n] = old;
        return false;
    }
    enum shrink_answer answer = s->attempt(s->ctx, s->trace);
    if (answer == SHRINK_FAILS) {
        free(old);
        s->changed = true;
        return true;
    }
    free(s->trace->event[n]);
    s->trace->event[n] = old;
    s->stopped = answer == SHRINK_STOP;
    return false;
}

struct words {
    unsigned count;
    char word[WORDS_MAX][WORD_MAX];
    const char *rest; /* expect lines, with the newline before them */
};

/* False: a line with text in quotes, or of many words, stays as it is. */
static bool cut_words(const char *line, struct words *w) {
    size_t length = strcspn(line, "\n");
    w->count = 0;
    w->rest = line + length;
    for (size_t at = 0; at < length;) {
        size_t size = strcspn(line + at, " \t\n");
        if (line[at] == '"' || size >= WORD_MAX || w->count == WORDS_MAX) { return false; }
        if (size > 0) { snprintf(w->word[w->count++], WORD_MAX, "%.*s", (int)size, line + at); }
        at += size + 1;
    }
    return true;
}

static void join(const struct words *w, unsigned without, char *out, size_t size) {
    size_t length = 0;
    *out = '\0';
    for (unsigned i = 0; i < w->count; i++) {
        if (i == without) { continue; }
        length += (size_t)snprintf(out + length, size - length, "%s%s", length ? " " : "", w->word[i]);
    }
    snprintf(out + length, size - length, "%s", w->rest);
}

static bool replace_words(struct shrinking *s, size_t n, const struct words *w, unsigned without) {
    char text[WORDS_MAX * WORD_MAX + 4096];
    if (strlen(w->rest) >= 4096) { return false; }
    join(w, without, text, sizeof text);
    return replace(s, n, text);
}

static void drop_words(struct shrinking *s, size_t n) {
    struct words w;
    for (unsigned i = WORDS_MAX; i-- > 1 && !s->stopped;) {
        if (!cut_words(s->trace->event[n], &w)) { return; }
        if (i < w.count) { replace_words(s, n, &w, i); }
    }
}

static void drop_expectations(struct shrinking *s, size_t n) {
    char *text = strdup(s->trace->event[n]);
    size_t length = text ? strcspn(text, "\n") : 0;
    if (text && text[length]) {
        text[length] = '\0';
        replace(s, n, text);
    }
    free(text);
}

/* A batch becomes one access; an access a plain one. */
static void plainer(struct shrinking *s, size_t n) {
    static const char *const plain[] = {"r", "kr", "w", "kw"};
    struct words w;
    if (!cut_words(s->trace->event[n], &w) || w.count < 2) { return; }
    if (strcmp(w.word[0], "batch") == 0) {
        for (unsigned i = 1; i < w.count; i++) {
            struct words one = {.count = 3, .rest = w.rest};
            const char *colon = strchr(w.word[i], ':');
            if (!colon) { return; }
            snprintf(one.word[0], WORD_MAX, "%.*s", (int)(colon - w.word[i]), w.word[i]);
            snprintf(one.word[1], WORD_MAX, "%s", colon + 1);
            snprintf(one.word[2], WORD_MAX, "4");
            if (replace_words(s, n, &one, WORDS_MAX)) { break; }
        }
        if (!cut_words(s->trace->event[n], &w)) { return; }
    }
    const char *letter = w.word[0] + (*w.word[0] == 'k' || *w.word[0] == 's');
    if (!*letter || letter[1] || !strchr("irwm", *letter)) { return; }
    for (unsigned i = 0; i < sizeof plain / sizeof *plain && strcmp(plain[i], w.word[0]) != 0; i++) {
        struct words other = w;
        snprintf(other.word[0], WORD_MAX, "%s", plain[i]);
        if (replace_words(s, n, &other, WORDS_MAX)) { return; }
    }
}

/* ---- smaller numbers ---- */

/* Where the digits of "kr:410000", "=77" or "410000" begin; NULL: it is no number. Read as hexadecimal, decimal ones
 * too: what comes of it is judged like everything else. */
static char *digits_of(char *word) {
    char *digits = word;
    for (char *p = word; *p; p++) {
        if (strchr(":=+", *p)) { digits = p + 1; }
    }
    size_t length = strlen(digits);
    if (length == 0 || length > 16 || strspn(digits, "0123456789abcdef") != length) { return NULL; }
    return digits;
}

/* How a number is tried in other places: true if it was taken. */
typedef bool (*place_number)(struct shrinking *s, void *where, uint64_t old, uint64_t value);

static void smaller(struct shrinking *s, place_number place, void *where, uint64_t value) {
    if (value > 0 && place(s, where, value, 0)) { return; }
    if (value > 1 && place(s, where, value, 1)) { return; }
    if (value > PAGE_SIZE && place(s, where, value, PAGE_SIZE)) { return; }
    static const uint64_t aligned[] = {PAGE_MASK, 0xFFFFF, 0xFFFFFFF, 0xFFFFFFFFF};
    for (unsigned i = sizeof aligned / sizeof *aligned; i-- > 0;) {
        uint64_t less = value & ~aligned[i];
        if (less && less != value && place(s, where, value, less)) { value = less; }
    }
    for (uint64_t bit = (uint64_t)1 << 63; bit; bit >>= 1) {
        if ((value & bit) && value != bit && place(s, where, value, value & ~bit)) { value &= ~bit; }
    }
}

struct place {
    size_t event;
    unsigned word;
};

static bool place_here(struct shrinking *s, void *where, uint64_t old, uint64_t value) {
    const struct place *at = where;
    struct words w;
    (void)old;
    if (!cut_words(s->trace->event[at->event], &w) || at->word >= w.count) { return false; }
    char *digits = digits_of(w.word[at->word]);
    if (!digits) { return false; }
    snprintf(digits, (size_t)(w.word[at->word] + WORD_MAX - digits), "%" PRIx64, value);
    return replace_words(s, at->event, &w, WORDS_MAX);
}

/* In every line at once. */
static bool place_everywhere(struct shrinking *s, void *where, uint64_t old, uint64_t value) {
    struct shrink_trace *t = s->trace;
    (void)where;
    char **changed = calloc(t->events, sizeof *changed), **before = t->event;
    if (!changed || s->stopped) {
        free(changed);
        return false;
    }
    for (size_t n = 0; n < t->events; n++) {
        struct words w;
        char text[WORDS_MAX * WORD_MAX + 4096];
        changed[n] = before[n];
        if (!cut_words(before[n], &w) || strlen(w.rest) >= 4096) { continue; }
        bool differs = false;
        for (unsigned i = 1; i < w.count; i++) {
            char *digits = digits_of(w.word[i]);
            if (!digits || strtoull(digits, NULL, 16) != old) { continue; }
            snprintf(digits, (size_t)(w.word[i] + WORD_MAX - digits), "%" PRIx64, value);
            differs = true;
        }
        join(&w, WORDS_MAX, text, sizeof text);
        char *copy = differs ? strdup(text) : NULL;
        if (copy) { changed[n] = copy; }
    }
    t->event = changed;
    enum shrink_answer answer = s->attempt(s->ctx, t);
    bool taken = answer == SHRINK_FAILS;
    char **lost = taken ? before : changed, **kept = taken ? changed : before;
    for (size_t n = 0; n < t->events; n++) {
        if (before[n] != changed[n]) { free(lost[n]); }
    }
    free(lost);
    t->event = kept;
    s->stopped = answer == SHRINK_STOP;
    s->changed = s->changed || taken;
    return taken;
}

static void smaller_numbers(struct shrinking *s, size_t n) {
    struct words w;
    for (unsigned i = 1; i < WORDS_MAX && !s->stopped; i++) {
        if (!cut_words(s->trace->event[n], &w) || i >= w.count) { return; }
        const char *digits = digits_of(w.word[i]);
        struct place at = {n, i};
        if (digits) { smaller(s, place_here, &at, strtoull(digits, NULL, 16)); }
    }
}

static int compare_numbers(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Numbers that stand in several places, once each. */
static void smaller_everywhere(struct shrinking *s) {
    const struct shrink_trace *t = s->trace;
    uint64_t *numbers = malloc((t->events * WORDS_MAX + 1) * sizeof *numbers);
    size_t count = 0;
    for (size_t n = 0; numbers && n < t->events; n++) {
        struct words w;
        if (!cut_words(t->event[n], &w)) { continue; }
        for (unsigned i = 1; i < w.count; i++) {
            const char *digits = digits_of(w.word[i]);
            if (digits) { numbers[count++] = strtoull(digits, NULL, 16); }
        }
    }
    if (numbers) { qsort(numbers, count, sizeof *numbers, compare_numbers); }
    for (size_t i = 1; i < count && !s->stopped; i++) {
        bool first = numbers[i] == numbers[i - 1] && (i < 2 || numbers[i - 2] != numbers[i]);
        if (first) { smaller(s, place_everywhere, NULL, numbers[i]); }
    }
    free(numbers);
}

bool shrink_values(struct shrink_trace *t, shrink_try attempt, void *ctx) {
    struct shrinking s = {.trace = t, .attempt = attempt, .ctx = ctx};
    for (size_t n = t->events; n-- > 0 && !s.stopped;) {
        drop_expectations(&s, n);
        drop_words(&s, n);
        plainer(&s, n);
        smaller_numbers(&s, n);
    }
    smaller_everywhere(&s);
    if (s.stopped) { return false; }
    return s.changed ? shrink_events(t, attempt, ctx) : true;
}
