/* The state machine of page frames (NT-27), followed from the LOG_PFN records. */
#include "pfn_states.h"

#include "ntmmu/nt_view.h"
#include "ntmmu/pfn_transitions.h"
#include "ntmmu/pte_pae.h"
#include "peek.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct frame_state {
    uint32_t share;
    uint16_t flags, reference;
};

struct pfn_states {
    struct machine *machine;
    struct frame_state *frame;
    pfn_t frames;
    uint64_t count[PFN_TRANSITIONS];
    bool failed; /* the first unlisted change */
    pfn_t bad;
    uint64_t event;
    struct frame_state before, after;
};

static unsigned location_of(const struct frame_state *s) { return (s->flags & PFN_LOCATION) >> PFN_LOCATION_SHIFT; }

static bool changed_so(uint8_t how, uint32_t before, uint32_t after) {
    switch (how) {
    case PFN_COUNT_SAME: return before == after;
    case PFN_COUNT_UP: return after > before;
    case PFN_COUNT_DOWN: return after < before;
    default: return true;
    }
}

static bool fits(const struct pfn_transition *row, const struct frame_state *before, const struct frame_state *after,
                 bool table) {
    return (row->from >> location_of(before) & 1) && (row->to >> location_of(after) & 1) &&
           (before->flags & row->set_before) == row->set_before && !(before->flags & row->clear_before) &&
           (after->flags & row->set_after) == row->set_after && !(after->flags & row->clear_after) &&
           (row->kind == PFN_KIND_ANY || table) && changed_so(row->share, before->share, after->share) &&
           changed_so(row->reference, before->reference, after->reference);
}

/* In the directory, or in PAE's four. */
static bool is_table(const struct machine *m, uint32_t pte) {
    va_t directory = is_pae(m) ? PAE_PDE_BASE : PDE_BASE;
    return pte >= directory && pte < directory + (is_pae(m) ? 4 : 1) * PAGE_SIZE;
}

static void receive(void *ctx, const struct log_record *record) {
    struct pfn_states *s = ctx;
    if (record->a >= s->frames) { return; }
    struct frame_state *frame = &s->frame[record->a], before = *frame;
    struct frame_state after = {(uint32_t)record->d, (uint16_t)record->c, (uint16_t)record->e};
    *frame = after;
    bool table = is_table(s->machine, peek_pfn(s->machine, record->a).PteAddress);
    for (size_t i = 0; i < PFN_TRANSITIONS; i++) {
        if (fits(&pfn_transitions[i], &before, &after, table)) {
            s->count[i]++;
            return;
        }
    }
    if (s->failed) { return; }
    s->failed = true;
    s->bad = record->a;
    s->event = record->event;
    s->before = before;
    s->after = after;
}

struct pfn_states *pfn_states_create(struct machine *m) {
    struct nt_memory_view memory;
    nt_view_memory(machine_os(m), &memory);
    struct pfn_states *s = check_alloc(sizeof *s);
    s->machine = m;
    s->frames = (pfn_t)memory.highest_page + 1;
    s->frame = check_alloc(s->frames * sizeof *s->frame);
    for (pfn_t f = 0; f < s->frames; f++) {
        struct mmpfn pfn = peek_pfn(m, f);
        s->frame[f] = (struct frame_state){pfn_location(&pfn) < MM_LISTS ? 0 : pfn.u2, pfn.Flags, pfn.ReferenceCount};
    }
    if (log_subscribe(machine_log(m), LOG_BIT(LOG_PFN), receive, s)) {
        pfn_states_destroy(s);
        return NULL;
    }
    return s;
}

void pfn_states_destroy(struct pfn_states *s) {
    if (!s) { return; }
    free(s->frame);
    free(s);
}

static void describe(const struct frame_state *s, char *out, size_t out_size) {
    static const char *const name[] = {"Zeroed",          "Free", "Standby", "Modified",
                                       "ModifiedNoWrite", "Bad",  "Active",  "Transition"};
    static const struct {
        unsigned flag;
        char letter;
    } flags[] = {{PFN_MODIFIED, 'M'},  {PFN_READ_IN_PROGRESS, 'R'}, {PFN_WRITE_IN_PROGRESS, 'W'},
                 {PFN_PROTOTYPE, 'P'}, {PFN_PARITY_ERROR, 'X'},     {PFN_IN_PAGE_ERROR, 'E'}};
    char letters[sizeof flags / sizeof *flags + 1];
    unsigned n = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (s->flags & flags[i].flag) { letters[n++] = flags[i].letter; }
    }
    letters[n] = '\0';
    snprintf(out, out_size, "%s(share %" PRIu32 ", ref %u%s%s)", name[location_of(s)], s->share, s->reference,
             n ? ", " : "", letters);
}

bool pfn_states_check(struct pfn_states *s, struct report *report) {
    if (!s->failed) { return true; }
    char before[64], after[64];
    describe(&s->before, before, sizeof before);
    describe(&s->after, after, sizeof after);
    report_add(report,
               "frame %" PRIx64 " went from %s to %s in event %" PRIu64
               ": no row of the state machine (csrc/include/ntmmu/pfn_transitions.h, NT-27) allows that\n",
               (uint64_t)s->bad, before, after, s->event);
    return false;
}

const uint64_t *pfn_states_counts(const struct pfn_states *s) { return s->count; }
