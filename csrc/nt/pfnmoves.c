/* The moves of a page frame between its states, NT-27: the table of pfn_transitions.h, which the audit and the
 * documentation have too, as a matrix that MiWritePfn can afford to look into each time. A move that is no row stops
 * the model at the line that makes it, not when an audit comes by. */
#include "mi.h"
#include "ntmmu/pfn_transitions.h"

#include <stdio.h>

#define FLAG_STATES 32u /* of one location */

/* Of the states in one location those that have these flags set and these clear, a bit each. */
static uint32_t MiFlagStates(unsigned set, unsigned clear) {
    static const uint32_t having[] = {0xAAAAAAAA, 0xCCCCCCCC, 0xF0F0F0F0, 0xFF00FF00, 0xFFFF0000}; /* flag 0, 1, … */
    uint32_t states = UINT32_MAX;
    for (unsigned flag = 0; flag < sizeof having / sizeof *having; flag++) {
        if (MiPfnState(set) >> flag & 1) { states &= having[flag]; }
        if (MiPfnState(clear) >> flag & 1) { states &= ~having[flag]; }
    }
    return states;
}

void MiInitializePfnMoves(struct os *os) {
    for (size_t i = 0; i < PFN_TRANSITIONS; i++) {
        const struct pfn_transition *row = &pfn_transitions[i];
        uint32_t before = MiFlagStates(row->set_before, row->clear_before);
        uint32_t after = MiFlagStates(row->set_after, row->clear_after);
        for (unsigned from = 0; from < PFN_MOVE_STATES / FLAG_STATES; from++) { /* locations */
            if (!(row->from >> from & 1)) { continue; }
            for (uint32_t left = before; left; left &= left - 1) {
                uint32_t *moves = os->PfnMoves[from * FLAG_STATES + (unsigned)__builtin_ctz(left)];
                for (unsigned to = 0; to < PFN_MOVE_STATES / FLAG_STATES; to++) {
                    if (row->to >> to & 1) { moves[to] |= after; }
                }
            }
        }
    }
}

static void MiDescribePfnState(unsigned flags, char out[32]) {
    static const char *const name[] = {"Zeroed",          "Free", "Standby", "Modified",
                                       "ModifiedNoWrite", "Bad",  "Active",  "Transition"};
    snprintf(out, 32, "%s%s%s%s%s%s", name[(flags & PFN_LOCATION) >> PFN_LOCATION_SHIFT],
             flags & PFN_MODIFIED ? "+M" : "", flags & PFN_READ_IN_PROGRESS ? "+R" : "",
             flags & PFN_WRITE_IN_PROGRESS ? "+W" : "", flags & PFN_PROTOTYPE ? "+P" : "",
             flags & PFN_PARITY_ERROR ? "+X" : "");
}

void MiIllegalPfnMove(struct os *os, pfn_t frame, unsigned before, unsigned after) {
    char from[32], to[32], text[160];
    MiDescribePfnState(before, from);
    MiDescribePfnState(after, to);
    snprintf(text, sizeof text, "frame %x goes from %s to %s, which no row of NT-27 allows (pfn_transitions.h)",
             (unsigned)frame, from, to);
    MiAssert(os, text);
}
