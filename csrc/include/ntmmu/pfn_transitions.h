/* The state machine of a page frame (NT-27) as one table. A frame's state is its location, its share and reference
 * counts and its flags; the audit looks each change up that a run's LOG_PFN records show, and stops at one that no row
 * allows. csrc/nt/README.md shows the same rows; `tests/pfn_table.sh` compares.
 *
 * Rows P01..P35 are NT's. One of them may take several steps here, each written down as it passes, and then has several
 * rows. Rows K01.. are counts and flags that change without a row of NT's. The first row that fits is the one. */
#ifndef NTMMU_PFN_TRANSITIONS_H
#define NTMMU_PFN_TRANSITIONS_H

#include "ntmmu/pfn.h"

/* Sets of locations */
enum {
    PFN_IN_Z = 1 << ZeroedPageList,
    PFN_IN_F = 1 << FreePageList,
    PFN_IN_S = 1 << StandbyPageList,
    PFN_IN_M = 1 << ModifiedPageList,
    PFN_IN_N = 1 << ModifiedNoWritePageList,
    PFN_IN_B = 1 << BadPageList,
    PFN_IN_A = 1 << ActiveAndValid,
    PFN_IN_T = 1 << TransitionPage,
    PFN_IN_ANY = 0xFF
};

/* How a count changes */
enum pfn_change { PFN_COUNT_ANY, PFN_COUNT_SAME, PFN_COUNT_UP, PFN_COUNT_DOWN };

/* What the entry belongs to, seen by its PteAddress: a page table's is in the page directory's window. */
enum pfn_kind { PFN_KIND_ANY, PFN_KIND_TABLE };

#define PFN_F_M PFN_MODIFIED
#define PFN_F_R PFN_READ_IN_PROGRESS
#define PFN_F_W PFN_WRITE_IN_PROGRESS
#define PFN_F_P PFN_PROTOTYPE
#define PFN_F_X PFN_PARITY_ERROR
#define PFN_F_E PFN_IN_PAGE_ERROR

struct pfn_transition {
    const char *id;
    uint16_t from, to, set_before, clear_before, set_after, clear_after;
    uint8_t kind, share, reference;
    const char *trigger, *effects;
};

/* id; from, to; flags set and clear before, set and clear after; kind; share and reference count; trigger; effects */
static const struct pfn_transition pfn_transitions[] = {
    {"P32", PFN_IN_ANY, PFN_IN_B, 0, 0, PFN_F_X, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY,
     "freed with a parity error, or marked bad", "never used again"},
    {"P01", PFN_IN_F, PFN_IN_T, 0, 0, 0, PFN_F_R | PFN_F_W | PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "the zero-page thread takes it", "also: frames kept out of the way by a scenario"},
    {"P01", PFN_IN_T, PFN_IN_Z, 0, PFN_F_R | PFN_F_W, 0, PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "and has zeroed it", ""},
    {"P02", PFN_IN_Z, PFN_IN_A, 0, 0, PFN_F_M, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "demand-zero fault", "PTE valid, its page table gains a share"},
    {"P03", PFN_IN_F, PFN_IN_A, 0, 0, PFN_F_M, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "the same with no zeroed page", "the frame is cleared first"},
    {"P05", PFN_IN_Z | PFN_IN_F | PFN_IN_S, PFN_IN_T, 0, 0, PFN_F_R, PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "a page-in starts", "PTE becomes transition"},
    {"P04", PFN_IN_S, PFN_IN_A, 0, 0, PFN_F_M, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "taken for another page", "the old owner's PTE gets OriginalPte, its page table loses a share"},
    {"P35", PFN_IN_Z | PFN_IN_F | PFN_IN_S, PFN_IN_A, 0, 0, 0, PFN_F_R | PFN_F_W | PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY,
     PFN_COUNT_UP, "the kernel allocates", "PteAddress is a system PTE"},
    {"P30", PFN_IN_N, PFN_IN_T, 0, 0, PFN_F_W, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "its owner flushes it", "only on demand"},
    {"P31", PFN_IN_M, PFN_IN_T, PFN_F_P, 0, PFN_F_W, PFN_F_R | PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "the mapped page writer gathers it", "OriginalPte stays"},
    {"P17", PFN_IN_M, PFN_IN_T, 0, 0, PFN_F_W, PFN_F_R | PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "the modified page writer gathers it", "OriginalPte gets the slot"},
    {"P17", PFN_IN_T, PFN_IN_T, 0, PFN_F_W, PFN_F_W, PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY,
     "the same, referenced first", ""},
    {"P16", PFN_IN_S | PFN_IN_M | PFN_IN_N, PFN_IN_T, 0, 0, 0, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY,
     PFN_COUNT_UP, "soft fault: it leaves its list", ""},
    {"P16", PFN_IN_S | PFN_IN_M | PFN_IN_N, PFN_IN_A, 0, 0, 0, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY,
     PFN_COUNT_UP, "soft fault", "PTE valid, D if M and writable"},
    {"P06", PFN_IN_T, PFN_IN_A, PFN_F_R, 0, 0, PFN_F_R | PFN_F_E, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY,
     "the read completed, PTE unchanged", "PTE valid, working-set entry"},
    {"P19", PFN_IN_T, PFN_IN_A, PFN_F_W, 0, PFN_F_W, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_UP, PFN_COUNT_ANY,
     "soft fault while it is written", "PTE valid"},
    {"P16", PFN_IN_T, PFN_IN_A, 0, PFN_F_R, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_UP, PFN_COUNT_ANY,
     "soft fault: it is mapped", "PTE valid, D if M and writable"},
    {"P09", PFN_IN_T, PFN_IN_T, PFN_F_R, 0, PFN_F_E, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY, "the read failed",
     "PTE gets OriginalPte"},
    {"P09", PFN_IN_T, PFN_IN_F, PFN_F_E, 0, 0, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "and the last waiter left", ""},
    {"P10", PFN_IN_T, PFN_IN_F, PFN_F_R, 0, 0, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "the read completed, but the address was freed meanwhile", "PTE is 0 or decommitted"},
    {"P07", PFN_IN_T, PFN_IN_S, PFN_F_R, 0, 0, PFN_F_R | PFN_F_W | PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "the read completed, of a page of the cluster", "PTE stays transition"},
    {"P07", PFN_IN_T, PFN_IN_T, PFN_F_R, 0, 0, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY,
     "the same, others still refer to it", ""},
    {"P08", PFN_IN_T, PFN_IN_T, PFN_F_R, 0, PFN_F_R, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_UP,
     "another fault on it", "the waiter holds a reference"},
    {"P08", PFN_IN_T, PFN_IN_T, PFN_F_R, 0, PFN_F_R, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN, "a waiter leaves",
     ""},
    {"P21", PFN_IN_T, PFN_IN_M, PFN_F_W | PFN_F_M, 0, PFN_F_M, PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "the write completed, but it is dirty again", "the slot is released first"},
    {"P22", PFN_IN_T, PFN_IN_M, PFN_F_W, PFN_F_M, PFN_F_M, PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "the write failed", "M, the slot is released"},
    {"P22", PFN_IN_T, PFN_IN_T, PFN_F_W, PFN_F_M, PFN_F_M, PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY,
     "the same, others still refer to it", ""},
    {"P18", PFN_IN_T, PFN_IN_S, PFN_F_W, 0, 0, PFN_F_W | PFN_F_M, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "the write completed", "PTE stays transition"},
    {"P18", PFN_IN_T, PFN_IN_T, PFN_F_W, 0, 0, PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_ANY,
     "the same, others still refer to it", ""},
    {"P25", PFN_IN_T, PFN_IN_F, 0, PFN_F_R, 0, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_DOWN,
     "its address was freed, the last reference left", "the slot is released now, not earlier"},
    {"P28", PFN_IN_T, PFN_IN_S | PFN_IN_M | PFN_IN_N, 0, PFN_F_R, 0, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_ANY,
     PFN_COUNT_DOWN, "the last reference left", "onto a list by M"},
    {"P28", PFN_IN_T, PFN_IN_T, 0, PFN_F_R, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_DOWN,
     "a reference left", "M if it was for writing"},
    {"P27", PFN_IN_T, PFN_IN_T, 0, PFN_F_R, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_UP,
     "referenced, as for a transfer", ""},
    {"P33", PFN_IN_A, PFN_IN_M | PFN_IN_F, 0, 0, 0, PFN_F_R | PFN_F_W, PFN_KIND_TABLE, PFN_COUNT_DOWN, PFN_COUNT_DOWN,
     "a page table without entries is trimmed or deleted", "PDE becomes transition or 0"},
    {"P34", PFN_IN_A, PFN_IN_F, PFN_F_P, 0, 0, 0, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_DOWN,
     "the section is destroyed, or the last clone deleted", "prototype PTE becomes 0"},
    {"P23", PFN_IN_A, PFN_IN_F, 0, PFN_F_P, 0, 0, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_DOWN, "its address is freed",
     "PTE 0 or decommitted, working-set entry gone, slot released"},
    {"P29", PFN_IN_A, PFN_IN_N, PFN_F_P, 0, PFN_F_M, 0, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_DOWN,
     "trimmed dirty, its section is not for the modified writer", ""},
    {"P15", PFN_IN_A, PFN_IN_S | PFN_IN_M, PFN_F_P, 0, PFN_F_P, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_DOWN,
     PFN_COUNT_DOWN, "the last process that maps it loses it", "prototype PTE becomes transition"},
    {"P11", PFN_IN_A, PFN_IN_S, 0, PFN_F_P, 0, PFN_F_M | PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_DOWN,
     PFN_COUNT_DOWN, "trimmed, clean", "PTE becomes transition; INVLPG"},
    {"P12", PFN_IN_A, PFN_IN_M, 0, PFN_F_P, PFN_F_M, PFN_F_R | PFN_F_W, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_DOWN,
     "trimmed, dirty", "the same; a stale slot is released"},
    {"P13", PFN_IN_A, PFN_IN_T, 0, 0, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_ANY,
     "trimmed or freed while locked or written", "PTE becomes transition, 0 or decommitted"},
    {"P24", PFN_IN_S | PFN_IN_M | PFN_IN_N, PFN_IN_F, 0, 0, 0, 0, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_SAME,
     "its address is freed", "slot released"},
    {"P20", PFN_IN_A, PFN_IN_A, PFN_F_W, 0, 0, PFN_F_W, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_ANY,
     "the write completed", "the slot is released if it is dirty again"},
    {"P27", PFN_IN_A, PFN_IN_A, 0, 0, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_UP,
     "locked by an MDL, or gathered by a writer", ""},
    {"P28", PFN_IN_A, PFN_IN_A, 0, 0, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_DOWN, "unlocked",
     "M if it was for writing"},
    {"P14", PFN_IN_A, PFN_IN_A, PFN_F_P, 0, PFN_F_P, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_SAME,
     "one of the processes that map it loses it, as by a copy (P26)", "its PTE becomes a prototype's; INVLPG"},
    {"P26", PFN_IN_A, PFN_IN_A, PFN_F_P, 0, 0, PFN_F_P | PFN_F_R, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_SAME,
     "write to a page whose other sharers are gone", "it becomes private"},
    {"K01", PFN_IN_A, PFN_IN_A, 0, 0, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_UP, PFN_COUNT_SAME,
     "one more PTE maps it, or a page table gains an entry", ""},
    {"K02", PFN_IN_A, PFN_IN_A, 0, PFN_F_P, 0, PFN_F_R, PFN_KIND_TABLE, PFN_COUNT_DOWN, PFN_COUNT_SAME,
     "a page table loses an entry", ""},
    {"K03", PFN_IN_A, PFN_IN_A, 0, PFN_F_P, PFN_F_P, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_ANY, PFN_COUNT_SAME,
     "a fork makes it shared", "PTE and prototype PTE valid"},
    {"K04", PFN_IN_A, PFN_IN_A, 0, 0, 0, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_DOWN, PFN_COUNT_SAME,
     "a directory, a page of the pool or of a list loses an entry", ""},
    {"K05", PFN_IN_A, PFN_IN_A, 0, PFN_F_M, PFN_F_M, PFN_F_R, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_SAME,
     "its dirty bit is kept", ""},
    {"K06", PFN_IN_A, PFN_IN_A, PFN_F_M, 0, 0, PFN_F_M | PFN_F_R, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_SAME,
     "its contents may be forgotten", "MEM_RESET"},
    {"K07", PFN_IN_M, PFN_IN_S, PFN_F_M, 0, 0, PFN_F_M, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_SAME,
     "the same on the Modified list", "MEM_RESET"},
    {"K08", PFN_IN_S | PFN_IN_M | PFN_IN_N, PFN_IN_S | PFN_IN_M | PFN_IN_N, 0, PFN_F_P, PFN_F_P, 0, PFN_KIND_ANY,
     PFN_COUNT_SAME, PFN_COUNT_SAME, "a fork makes a page in transition shared", "both PTEs lead to the prototype PTE"},
    {"K09", PFN_IN_ANY, PFN_IN_ANY, 0, PFN_F_X, PFN_F_X, 0, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_SAME,
     "a parity error is noticed", "Bad when it is freed"},
    {"K10", PFN_IN_T, PFN_IN_T, 0, 0, 0, 0, PFN_KIND_ANY, PFN_COUNT_SAME, PFN_COUNT_SAME,
     "flags of a referenced page change", ""},
};
#define PFN_TRANSITIONS (sizeof pfn_transitions / sizeof *pfn_transitions)

#endif
