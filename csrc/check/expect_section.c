/* Check 5, expectations: keys about sections. What they judge is read from simulated memory (NT-62..64). */
#include "expect_priv.h"

#include "ntmmu/nt_view.h"

#include <string.h>

struct field_at {
    const char *name;
    uint8_t offset, bytes;
};

static const struct field_at area_fields[] = {
    {"segment", 0x00, 4}, {"flink", 0x04, 4},      {"blink", 0x08, 4},         {"sections", 0x0C, 4},
    {"pfn", 0x10, 4},     {"views", 0x14, 4},      {"pieces", 0x18, 2},        {"flushes", 0x1A, 2},
    {"user", 0x1C, 4},    {"flags", 0x20, 4},      {"file", 0x24, 4},          {"writes", 0x2C, 2},
    {"system", 0x2E, 2},  {"paged_pool", 0x30, 4}, {"nonpaged_pool", 0x34, 4}, {NULL, 0, 0}};
static const struct field_at segment_fields[] = {{"area", 0x00, 4},  {"base", 0x04, 4},       {"ptes", 0x08, 4},
                                                 {"size", 0x10, 4},  {"committed", 0x24, 4},  {"template", 0x28, 4},
                                                 {"based", 0x2C, 4}, {"prototypes", 0x34, 4}, {NULL, 0, 0}};
static const struct field_at section_fields[] = {
    {"start", 0x00, 4},   {"end", 0x04, 4},  {"parent", 0x08, 4}, {"left", 0x0C, 4},    {"right", 0x10, 4},
    {"segment", 0x14, 4}, {"size", 0x18, 4}, {"flags", 0x20, 4},  {"protect", 0x24, 4}, {NULL, 0, 0}};

struct search {
    uint32_t sid;
    bool found;
    struct nt_control_area_view area;
    struct nt_section_view section;
};

static bool visit_area(void *ctx, const struct nt_control_area_view *area) {
    struct search *s = ctx;
    if (area->sid != s->sid) { return true; }
    s->found = true;
    s->area = *area;
    return false;
}

static bool visit_section(void *ctx, const struct nt_section_view *section) {
    struct search *s = ctx;
    if (section->sid != s->sid) { return true; }
    s->found = true;
    s->section = *section;
    return false;
}

/* FIELD:HEX,… of a structure at va. */
static enum check_verdict judge_fields(struct expect *e, const struct field_at *fields, va_t va, const char *value) {
    uint32_t pid;
    uint64_t directory;
    const char *system = "0:", *piece;
    size_t length;
    if (!process_argument(e, &system, &pid, &directory)) { return expect_bad(e, "a system process"); }
    for (const char *at = value; next_piece(&at, ',', &piece, &length);) {
        const char *colon = memchr(piece, ':', length);
        const struct field_at *f = fields;
        while (colon && f->name && !piece_is(piece, (size_t)(colon - piece), f->name)) { f++; }
        struct pattern p;
        if (!colon || !f->name || !pattern_parse(colon + 1, length - (size_t)(colon + 1 - piece), &p)) {
            return expect_bad(e, "FIELD:HEX,… with the fields that traces/EXPECT.md lists");
        }
        uint32_t have = 0;
        if (!peek(e->machine, directory, va + f->offset, &have, f->bytes)) {
            return expect_mismatch(e, "nothing mapped at %08llx", (unsigned long long)va);
        }
        if (!pattern_match(e, &p, have, 0)) { return expect_mismatch(e, "%s:%x", f->name, have); }
    }
    return CHECK_OK;
}

static enum check_verdict key_queue(struct expect *e, const struct search *s, const char *value) {
    static const char *const name[] = {"used", "unused", "dereferenced"};
    const char *have = s->found ? name[s->area.queue] : "none";
    return strcmp(value, have) == 0 ? CHECK_OK : expect_mismatch(e, "%s", have);
}

enum check_verdict expect_section_key(struct expect *e, const char *key, const char *arg, const char *value,
                                      bool *known) {
    bool area = strcmp(key, "area") == 0, segment = strcmp(key, "segment") == 0, queue = strcmp(key, "queue") == 0;
    uint64_t sid;
    *known = *arg && (area || segment || queue || strcmp(key, "section") == 0);
    if (!*known) { return CHECK_CANNOT; }
    if (!is_nt(e->machine)) { return expect_bad(e, "a key that this machine's kernel has"); }
    if (!decimal_parse(arg, &sid)) { return expect_bad(e, "%s.SID=…, SID decimal", key); }
    struct search s = {.sid = (uint32_t)sid};
    if (area || segment || queue) {
        nt_view_control_areas(machine_os(e->machine), visit_area, &s);
    } else {
        nt_view_sections(machine_os(e->machine), visit_section, &s);
    }
    if (queue) { return key_queue(e, &s, value); }
    if (strcmp(value, "none") == 0) { return s.found ? expect_mismatch(e, "one") : CHECK_OK; }
    if (!s.found) { return expect_mismatch(e, "none"); }
    if (area) { return judge_fields(e, area_fields, s.area.address, value); }
    if (segment) { return judge_fields(e, segment_fields, s.area.segment, value); }
    return judge_fields(e, section_fields, s.section.address, value);
}
