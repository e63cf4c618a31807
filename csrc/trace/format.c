/* Events and protections as text: the inverse of parse.c, after the same table. */
#include "grammar.h"

#include "ntmmu/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const prot_words[8] = {NULL, "r", "x", "xr", "rw", "wc", "xrw", "xwc"};

int prot_parse(const char *word) {
    if (strcmp(word, "na") == 0) { return MM_NOACCESS; }
    size_t length = strcspn(word, "+");
    for (int prot = 1; prot < 8; prot++) {
        if (strlen(prot_words[prot]) != length || strncmp(prot_words[prot], word, length) != 0) { continue; }
        const char *rest = word + length;
        if (strncmp(rest, "+g", 2) == 0) {
            prot |= MM_GUARD_PAGE;
            rest += 2;
        }
        if (strncmp(rest, "+nc", 3) == 0) {
            prot |= MM_NOCACHE;
            rest += 3;
        }
        return *rest ? -1 : prot;
    }
    return -1;
}

const char *prot_name(unsigned prot, char out[16]) {
    const char *base = prot_words[prot & 7];
    if (prot == MM_NOACCESS) {
        snprintf(out, 16, "na");
    } else if (!base || prot > 0x1F) {
        snprintf(out, 16, "?%X", prot & 0xFF);
    } else {
        snprintf(out, 16, "%s%s%s", base, prot & MM_GUARD_PAGE ? "+g" : "", prot & MM_NOCACHE ? "+nc" : "");
    }
    return out;
}

const char *event_kind_name(enum event_kind kind) {
    switch (kind) {
    case EV_NONE: return "none";
    case EV_ACCESS: return "access";
    case EV_RUN: return "page run";
    default: return event_rule(kind)->word ? event_rule(kind)->word : "?";
    }
}

struct out {
    char *text;
    size_t size, length; /* length grows beyond size as snprintf's result does */
};

static void put_bytes(struct out *o, const char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++, o->length++) {
        if (o->length < o->size) { o->text[o->length] = bytes[i]; }
    }
}

static void put(struct out *o, const char *text) { put_bytes(o, text, strlen(text)); }

static void put_number(struct out *o, uint64_t value, unsigned base) {
    char digits[24];
    unsigned n = sizeof digits;
    do {
        digits[--n] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put_bytes(o, digits + n, sizeof digits - n);
}

/* What the reader takes as it stands, quotes and a lone backslash made harmless. */
static void put_quoted(struct out *o, const char *text) {
    put(o, "\"");
    for (; *text; text++) {
        if (*text == '"' || (*text == '\\' && !text[1])) { put(o, "\\"); }
        put_bytes(o, text, 1);
        if (*text == '\\' && text[1]) { put_bytes(o, ++text, 1); }
    }
    put(o, "\"");
}

static void put_tag(struct out *o, const struct event *event) {
    for (unsigned i = 0; i < 4; i++) {
        char c = (char)(event->pool.tag >> (8 * i));
        if (c) { put_bytes(o, &c, 1); }
    }
}

static void put_list(struct out *o, const struct event *event) {
    for (unsigned i = 0; i < event->args.count && i < EVENT_ARG_MAX; i++) {
        if (i) { put(o, " "); }
        put_number(o, event->args.arg[i], 16);
    }
}

/* The letters of an exact access. */
static void put_letters(struct out *o, uint8_t access, uint8_t mode) {
    if (mode != EVENT_USER) { put(o, mode == EVENT_KERNEL ? "k" : "s"); }
    put_bytes(o, &"irwm"[access & 3], 1);
}

static void put_batch(struct out *o, const struct event *event) {
    for (unsigned i = 0; i < event->batch.count && i < EVENT_BATCH_MAX; i++) {
        if (i) { put(o, " "); }
        put_letters(o, event->batch.at[i].access, event->batch.at[i].mode);
        put(o, ":");
        put_number(o, event->batch.at[i].va, 16);
    }
}

static void put_prot(struct out *o, const struct field *f, uint8_t prot) {
    char name[16];
    put(o, f->type == FIELD_MAP_PROT && prot == EVENT_MAP_IMAGE ? "image" : prot_name(prot, name));
}

static void put_alloc_type(struct out *o, unsigned type) {
    if (type & EVENT_RESERVE) { put(o, "r"); }
    if (type & EVENT_COMMIT) { put(o, "c"); }
    if (type & EVENT_RESET) { put(o, "x"); }
}

static void put_field(struct out *o, const struct event *event, const struct field *f) {
    static const char *const section_types[] = {"image", "data", "page"};
    const void *from = (const char *)event + f->offset;
    const uint64_t *wide = from;
    const uint32_t *narrow = from;
    const uint8_t *byte = from;
    const bool *flag = from;
    switch ((enum field_type)f->type) {
    case FIELD_END: break;
    case FIELD_DEC32:
    case FIELD_BIT: put_number(o, *narrow, 10); break;
    case FIELD_DEC64: put_number(o, *wide, 10); break;
    case FIELD_HEX32: put_number(o, *narrow, 16); break;
    case FIELD_HEX32_WIDE:
    case FIELD_HEX64:
    case FIELD_VIRTUAL:
    case FIELD_PHYSICAL32:
    case FIELD_PHYSICAL64: put_number(o, *wide, 16); break;
    case FIELD_QUOTED: put_quoted(o, event->text); break;
    case FIELD_WORD:
    case FIELD_REST: put(o, event->text); break;
    case FIELD_PROT:
    case FIELD_MAP_PROT: put_prot(o, f, *byte); break;
    case FIELD_ALLOC_TYPE: put_alloc_type(o, *byte); break;
    case FIELD_SECTION_TYPE: put(o, *byte < 3 ? section_types[*byte] : "?"); break;
    case FIELD_FREE_TYPE: put(o, *flag ? "r" : "d"); break;
    case FIELD_READ_WRITE: put(o, *flag ? "w" : "r"); break;
    case FIELD_FILE_OFFSET:
        if (event->sub.anonymous) {
            put(o, "-");
        } else {
            put_number(o, *wide, 16);
        }
        break;
    case FIELD_SHARE: put(o, "share"); break;
    case FIELD_FORCE: put(o, "force"); break;
    case FIELD_IO_MODE: put(o, *flag ? "manual" : "auto"); break;
    case FIELD_INJECTION: put(o, injection_names[*byte]); break;
    case FIELD_FILTER: put(o, event->bracket.filter < 0 ? "-1" : event->bracket.filter ? "1" : "0"); break;
    case FIELD_TRIM_COUNT:
        if (event->trim.all) {
            put(o, "all");
        } else {
            put_number(o, event->trim.count, 10);
        }
        break;
    case FIELD_POOL_TYPE: put(o, pool_type_names[*byte]); break;
    case FIELD_POOL_TAG: put_tag(o, event); break;
    case FIELD_MILLISECONDS:
        put(o, "+");
        put_number(o, *wide, 10);
        break;
    case FIELD_HEX_LIST: put_list(o, event); break;
    case FIELD_REGISTER: put(o, register_names[*byte]); break;
    case FIELD_BATCH: put_batch(o, event); break;
    }
}

/* An optional field that holds its default is left out. */
static bool is_default(const struct event *event, const struct field *f) {
    const void *from = (const char *)event + f->offset;
    switch (f->type) {
    case FIELD_DEC32:
    case FIELD_HEX32:
    case FIELD_POOL_TAG: return *(const uint32_t *)from == 0;
    case FIELD_FILTER: return !event->bracket.has_filter;
    case FIELD_WORD: return event->text[0] == '\0';
    case FIELD_SHARE:
    case FIELD_FORCE: return !*(const bool *)from;
    case FIELD_HEX_LIST: return event->args.count == 0;
    default: return false;
    }
}

static void put_by_rule(struct out *o, const struct event *event, const struct event_rule *rule) {
    unsigned used = 0;
    for (unsigned i = 0; i < EVENT_FIELDS && rule->field[i].type != FIELD_END; i++) {
        if (!rule->field[i].optional || !is_default(event, &rule->field[i])) { used = i + 1; }
    }
    put(o, rule->word);
    if (event->kind == EV_MAP && event->map.strict) { put(o, "!"); }
    for (unsigned i = 0; i < used; i++) {
        put(o, " ");
        put_field(o, event, &rule->field[i]);
    }
}

static void put_access(struct out *o, const struct event *event) {
    put_letters(o, event->access.access, event->access.mode);
    put(o, " ");
    put_number(o, event->access.va, 16);
    put(o, " ");
    put_number(o, event->access.size, 16);
    if (event->access.has_value) {
        put(o, " =");
        put_number(o, event->access.value, 16);
    }
}

static void put_run(struct out *o, const struct event *event) {
    if (event->run.mode == EVENT_KERNEL) { put(o, "K"); }
    put_bytes(o, &"IRWW"[event->run.access & 3], 1);
    put(o, " ");
    put_number(o, event->run.vpn, 16);
    if (event->run.count != 1) {
        put(o, " ");
        put_number(o, event->run.count, 10);
    }
}

int event_format(const struct event *event, char *text, size_t size) {
    struct out o = {text, size ? size - 1 : 0, 0};
    if (event->kind == EV_ACCESS) {
        put_access(&o, event);
    } else if (event->kind == EV_RUN) {
        put_run(&o, event);
    } else if (event_rule(event->kind)->word) {
        put_by_rule(&o, event, event_rule(event->kind));
    }
    if (size) { text[o.length < o.size ? o.length : o.size] = '\0'; }
    return (int)o.length;
}
