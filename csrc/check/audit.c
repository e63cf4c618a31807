/* Check 4, audit: the lists and the PFN database against what the scan found (I1, I2, I3, I4, I5, I12), and commit
 * (I7). */
#include "audit_priv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool audit_fail(struct audit *a, const char *invariant, const char *format, ...) {
    if (a->failed) { return false; }
    a->failed = true;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    report_kind(a->report, "audit %s: %s", invariant, format);
    report_add(a->report, "audit %s: %s\n", invariant, text);
    return false;
}

static const char *const list_name[] = {"Zeroed",          "Free", "Standby", "Modified",
                                        "ModifiedNoWrite", "Bad",  "Active",  "Transition"};

static void report_pfn(struct audit *a, pfn_t frame) {
    if (!a->failed) { return; }
    struct mmpfn p = audit_pfn(a, frame);
    report_add(a->report,
               "  PFN %" PRIx64 ": u1 %08x pte %08x u2/share %x flags %04x (%s) ref %x orig %08" PRIx64 " cont %x\n",
               (uint64_t)frame, p.u1, p.PteAddress, p.u2, p.Flags, list_name[pfn_location(&p)], p.ReferenceCount,
               (uint64_t)p.OriginalPte, p.ContainingFrame);
}

static bool frame_fail(struct audit *a, pfn_t frame, const char *invariant, const char *what, uint32_t expected,
                       uint32_t found) {
    audit_fail(a, invariant, "frame %" PRIx64 ": %s expected %x, found %x", (uint64_t)frame, what, expected, found);
    report_pfn(a, frame);
    return false;
}

/* ---- I1, I2: the lists ---- */

static bool audit_list(struct audit *a, unsigned list) {
    const struct nt_list_view *view = &a->memory.list[list];
    uint32_t count = 0, previous = MM_EMPTY_LIST, frame = view->first;
    while (frame != MM_EMPTY_LIST) {
        if (frame >= a->frames) {
            return audit_fail(a, "I1", "%s list: a link leads to frame %x, which does not exist", list_name[list],
                              frame);
        }
        if (a->frame[frame].listed) {
            audit_fail(a, "I1", "frame %x: met a second time, on the %s list", frame, list_name[list]);
            report_pfn(a, frame);
            return false;
        }
        struct mmpfn pfn = audit_pfn(a, frame);
        a->frame[frame].listed = true;
        if (pfn_location(&pfn) != list) {
            return frame_fail(a, frame, "I1", "location (on a list)", list, pfn_location(&pfn));
        }
        if (pfn.u2 != previous) { return frame_fail(a, frame, "I1", "link to the frame before it", previous, pfn.u2); }
        if (pfn.ReferenceCount) {
            return frame_fail(a, frame, "I5", "reference count on a list", 0, pfn.ReferenceCount);
        }
        count++;
        previous = frame;
        frame = pfn.u1;
    }
    if (previous != view->last) {
        return audit_fail(a, "I1", "%s list: last frame expected %x, found %x", list_name[list], previous, view->last);
    }
    if (count != view->count) {
        return audit_fail(a, "I1", "%s list: count expected %x, found %x", list_name[list], count, view->count);
    }
    return true;
}

static bool audit_lists(struct audit *a) {
    for (unsigned list = 0; list < MM_LISTS; list++) {
        if (!audit_list(a, list)) { return false; }
    }
    const struct nt_list_view *v = a->memory.list;
    uint32_t available = v[ZeroedPageList].count + v[FreePageList].count + v[StandbyPageList].count;
    if (available == a->memory.available_pages) { return true; }
    return audit_fail(a, "I2", "MmAvailablePages expected %x, found %x", available, a->memory.available_pages);
}

/* ---- I3, I4, I5, I12: one frame ---- */

static bool audit_owned(struct audit *a, pfn_t frame, const struct frame_info *f, const struct mmpfn *pfn) {
    bool prototype = f->owner == OWNER_PROTOTYPE || f->owner == OWNER_PROTOTYPE_TRANSITION;
    if (!!(pfn->Flags & PFN_PROTOTYPE) != prototype) {
        return frame_fail(a, frame, "I3", "prototype flag", prototype, !!(pfn->Flags & PFN_PROTOTYPE));
    }
    if (pfn->PteAddress != f->pte) { return frame_fail(a, frame, "I3", "PTE address", f->pte, pfn->PteAddress); }
    if (pfn->ContainingFrame != f->containing) {
        return frame_fail(a, frame, "I3", "containing frame", f->containing, pfn->ContainingFrame);
    }
    return true;
}

static bool audit_active(struct audit *a, pfn_t frame, const struct frame_info *f, const struct mmpfn *pfn) {
    unsigned location = pfn_location(pfn);
    if (location != ActiveAndValid) {
        return frame_fail(a, frame, "I3", "location of a mapped frame", ActiveAndValid, location);
    }
    uint32_t share = (f->owner == OWNER_PROTOTYPE ? f->maps : 1) + f->entries;
    if (pfn->u2 != share) { return frame_fail(a, frame, "I4", "share count", share, pfn->u2); }
    return true;
}

static bool audit_in_transition(struct audit *a, pfn_t frame, const struct mmpfn *pfn) {
    unsigned location = pfn_location(pfn);
    if (location == TransitionPage) {
        return pfn->u2 == 0 || frame_fail(a, frame, "I4", "share count in transition", 0, pfn->u2);
    }
    if (location >= StandbyPageList && location <= ModifiedNoWritePageList) {
        bool modified = pfn->Flags & PFN_MODIFIED, expected = location != StandbyPageList;
        return modified == expected || frame_fail(a, frame, "I3", "modified flag for its list", expected, modified);
    }
    return frame_fail(a, frame, "I3", "location of a frame in transition (2 to 4, or)", TransitionPage, location);
}

/* Its own share is gone, those of what stands in it are not. */
static bool audit_outswapped(struct audit *a, pfn_t frame, const struct frame_info *f, const struct mmpfn *pfn) {
    if (pfn_location(pfn) != ActiveAndValid) {
        return frame_fail(a, frame, "I3", "location of a pinned table", ActiveAndValid, pfn_location(pfn));
    }
    return pfn->u2 == f->entries || frame_fail(a, frame, "I4", "share count", f->entries, pfn->u2);
}

/* Nothing maps it and no PTE names it. */
static bool audit_unowned(struct audit *a, pfn_t frame, const struct frame_info *f, const struct mmpfn *pfn) {
    unsigned location = pfn_location(pfn);
    if (f->maps) { return frame_fail(a, frame, "I12", "valid user PTEs without a valid prototype", 0, f->maps); }
    if (location == ZeroedPageList || location == FreePageList || location == BadPageList) { return true; }
    if (location == TransitionPage && pfn->PteAddress == PFN_DELETED_PTE) {
        return true;
    }                                                                        /* locked while it was freed */
    if (location == ActiveAndValid && pfn->PteAddress == 0) { return true; } /* the kernel's own, of no address */
    if (location == TransitionPage && pfn->PteAddress == 0) { return true; }
    audit_fail(a, "I3", "frame %" PRIx64 ": no PTE names it, expected location Zeroed, Free or Bad, found %s",
               (uint64_t)frame, list_name[location]);
    report_pfn(a, frame);
    return false;
}

static bool audit_frame(struct audit *a, pfn_t frame) {
    const struct frame_info *f = &a->frame[frame];
    struct mmpfn pfn = audit_pfn(a, frame);
    unsigned location = pfn_location(&pfn);
    if (pfn.Flags & 0xF000) { return frame_fail(a, frame, "I3", "flags bits 12 to 15", 0, pfn.Flags & 0xF000); }
    if (location < MM_LISTS && !f->listed) { return frame_fail(a, frame, "I1", "on the list of its location", 1, 0); }
    switch (f->owner) {
    case OWNER_PRIVATE:
    case OWNER_PROTOTYPE:
        if (!audit_active(a, frame, f, &pfn) || !audit_owned(a, frame, f, &pfn)) { return false; }
        break;
    case OWNER_PRIVATE_TRANSITION:
    case OWNER_PROTOTYPE_TRANSITION:
        if (f->maps) { return frame_fail(a, frame, "I4", "valid PTEs of a page in transition", 0, f->maps); }
        if (!audit_in_transition(a, frame, &pfn) || !audit_owned(a, frame, f, &pfn)) { return false; }
        break;
    case OWNER_OUTSWAPPED:
        if (f->entries == 0 ? !audit_in_transition(a, frame, &pfn) : !audit_outswapped(a, frame, f, &pfn)) {
            return false;
        }
        if (!audit_owned(a, frame, f, &pfn)) { return false; }
        break;
    default:
        if (!audit_unowned(a, frame, f, &pfn)) { return false; }
        if (location >= MM_LISTS && pfn.PteAddress == 0) { return true; } /* counts are the kernel's own business */
    }
    if (location < MM_LISTS) { return true; } /* reference count: audit_list */
    if (pfn.Flags & PFN_READ_IN_PROGRESS) { return audit_read_in_progress(a, frame, &pfn); }
    uint32_t busy = (pfn.Flags & PFN_WRITE_IN_PROGRESS) ? 1 : 0;
    uint32_t reference = (location == ActiveAndValid && pfn.u2 > 0) + nt_view_mdl_locks(a->os, frame) +
                         nt_view_driver_locks(a->os, pfn.PteAddress) + busy;
    if (pfn.ReferenceCount != reference) {
        return frame_fail(a, frame, "I5", "reference count", reference, pfn.ReferenceCount);
    }
    return true;
}

static bool audit_frames(struct audit *a) {
    for (pfn_t frame = a->first_frame; is_audited(a, frame); frame++) {
        if (!audit_frame(a, frame)) { return false; }
        struct mmpfn pfn = audit_pfn(a, frame);
        bool deleted = pfn_location(&pfn) == TransitionPage && pfn.PteAddress == PFN_DELETED_PTE; /* row P25 */
        if (a->frame[frame].owner != OWNER_NONE || deleted) { audit_slot(a, pfn.OriginalPte, (uint32_t)frame); }
    }
    return audit_slots(a);
}

/* ---- I7 ---- */

struct section_commit {
    uint32_t charged;
    bool changing;
};

static bool add_charge(void *ctx, const struct nt_control_area_view *area) {
    struct section_commit *c = ctx;
    c->charged += area->committed;
    c->changing = c->changing || (area->committed && !area->opened);
    return true;
}

/* A section is charged before its prototype PTEs say so, and after: what makes or removes them may wait. */
static bool audit_section_commit(struct audit *a) {
    struct section_commit c = {.changing = a->changing};
    nt_view_control_areas(a->os, add_charge, &c);
    a->commit += c.charged;
    if (a->section_pages == c.charged || (a->section_pages < c.charged && c.changing)) { return true; }
    return audit_fail(a, "I7", "committed pages of sections expected %x, found %x", a->section_pages, c.charged);
}

static bool audit_commit(struct audit *a) {
    if (!audit_section_commit(a)) { return false; }
    uint32_t expected = a->boot_commit + a->commit + audit_pool_pages(a) - a->boot_pool_pages;
    if (expected == a->memory.total_committed) { return true; }
    return audit_fail(a, "I7", "committed pages expected %x, found %x", expected, a->memory.total_committed);
}

/* ---- life ---- */

#if MI_PAE
#define THIS_AUDIT audit_pae_ops
#else
#define THIS_AUDIT audit_plain_ops
#endif

static void begin(struct audit *a) {
    nt_view_memory(a->os, &a->memory);
    a->frames = (pfn_t)a->memory.highest_page + 1;
    a->system_directory = machine_os_ops(a->machine)->directory(machine_os(a->machine), 0);
}

static struct audit *create(struct machine *m) {
    struct audit *a = check_alloc(sizeof *a);
    a->ops = &THIS_AUDIT;
    a->machine = m;
    a->mem = machine_memory(m);
    a->os = machine_os(m);
    begin(a);
    for (a->first_frame = 0x400; a->first_frame < a->frames; a->first_frame++) {
        struct mmpfn pfn = audit_pfn(a, a->first_frame);
        if (pfn_location(&pfn) < MM_LISTS) { break; }
    }
    a->boot_commit = a->memory.total_committed;
    a->boot_pool_pages = audit_pool_pages(a);
    a->seen = check_alloc((1u << (32 - PAGE_SHIFT)) / 8);
    return a;
}

static void destroy(struct audit *a) {
    free(a->frame);
    free(a->slots);
    free(a->seen);
    free(a);
}

static bool run(struct audit *a, struct report *report) {
    begin(a);
    a->report = report;
    a->failed = false;
    a->commit = 0;
    a->section_pages = 0;
    a->changing = false;
    a->slot_count = 0;
    free(a->frame);
    a->frame = check_alloc(a->frames * sizeof *a->frame);
    if (a->memory.half_in) { return audit_lists(a); } /* the rest is judged when the process is there */
    return audit_lists(a) && audit_scan_processes(a) && audit_scan_kernel(a) && audit_direct_map(a) &&
           audit_system_ptes(a) && audit_scan_prototypes(a) && audit_system_working_set(a) && audit_expansion_list(a) &&
           audit_frames(a) && audit_commit(a) && audit_sections(a);
}

const struct audit_ops THIS_AUDIT = {.create = create, .destroy = destroy, .run = run};
