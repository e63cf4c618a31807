/* Check 4, audit: the counts of every CONTROL_AREA, as they stand in memory, against a recount (NT-62, NT-99). */
#include "audit_priv.h"

#include <inttypes.h>
#include <stdlib.h>

enum { AREA_SECTION_REF = 0x0C, AREA_PFN_REF = 0x10, AREA_MAPPED_VIEWS = 0x14, AREA_USER_REF = 0x1C };

struct area_count {
    struct nt_control_area_view view;
    uint32_t sections, user_views;
};

struct area_counts {
    struct audit *a;
    struct area_count *at;
    size_t count, capacity;
};

static struct area_count *find(struct area_counts *c, va_t address) {
    for (size_t i = 0; i < c->count; i++) {
        if (c->at[i].view.address == address) { return &c->at[i]; }
    }
    audit_fail(c->a, "I4", "control area at %08" PRIx64 ": a section or a view has it, the kernel's list has not",
               address);
    return NULL;
}

static bool add_area(void *ctx, const struct nt_control_area_view *view) {
    struct area_counts *c = ctx;
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 64;
        c->at = check_grow(c->at, c->capacity * sizeof *c->at);
    }
    c->at[c->count++] = (struct area_count){.view = *view};
    return true;
}

static bool add_section(void *ctx, const struct nt_section_view *section) {
    struct area_count *area = find(ctx, section->area);
    if (area) { area->sections++; }
    return true;
}

static bool add_view(void *ctx, const struct nt_vad_view *vad) {
    struct area_count *area = vad->control_area ? find(ctx, vad->control_area) : NULL;
    if (area) { area->user_views++; }
    return true;
}

static bool add_process(void *ctx, const struct nt_process_view *process) {
    struct area_counts *c = ctx;
    nt_view_vads(c->a->os, process->pid, add_view, c);
    return true;
}

static bool judge(struct audit *a, const struct area_count *area, unsigned offset, const char *what, uint32_t want) {
    uint32_t found = peek32(a->machine, a->system_directory, area->view.address + offset);
    if (found == want) { return true; }
    return audit_fail(a, "I4", "control area at %08" PRIx64 " (section %u): %s expected %x, found %x",
                      area->view.address, area->view.sid, what, want, found);
}

bool audit_sections(struct audit *a) {
    struct area_counts c = {.a = a};
    nt_view_control_areas(a->os, add_area, &c);
    nt_view_sections(a->os, add_section, &c);
    nt_view_address_spaces(a->os, add_process, &c);
    bool good = !a->failed;
    for (size_t i = 0; i < c.count && good; i++) {
        const struct area_count *area = &c.at[i];
        bool used = area->sections || area->user_views || area->view.system_views;
        good = judge(a, area, AREA_SECTION_REF, "SectionRef", area->sections + area->view.held) &&
               judge(a, area, AREA_MAPPED_VIEWS, "MappedViews", area->user_views + area->view.system_views) &&
               judge(a, area, AREA_USER_REF, "UserRef", area->user_views) &&
               judge(a, area, AREA_PFN_REF, "PfnRef", a->frame ? audit_resident_prototypes(a, area->view.address) : 0);
        if (good && used && area->view.queue) {
            good = audit_fail(a, "I4", "control area at %08" PRIx64 " (section %u) is in use and on a queue",
                              area->view.address, area->view.sid);
        }
    }
    free(c.at);
    return good;
}
