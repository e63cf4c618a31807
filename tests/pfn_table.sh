#!/usr/bin/env bash
# The table of page-frame transitions in csrc/nt/README.md is the one the program uses: prints the difference, exit 1.
# --write: puts it there.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/table.c" <<'C'
#include "ntmmu/pfn_transitions.h"
#include <stdio.h>
static void set(unsigned locations) {
    static const char *const name[] = {"Zeroed", "Free", "Standby", "Modified", "MNW", "Bad", "Active", "Trans"};
    if (locations == PFN_IN_ANY) { printf("any"); return; }
    for (unsigned i = 0, n = 0; i < 8; i++) { if (locations >> i & 1) { printf("%s%s", n++ ? "/" : "", name[i]); } }
}
static void flags(unsigned on, unsigned off) {
    static const struct { unsigned flag; char letter; } f[] = {{PFN_F_M, 'M'}, {PFN_F_R, 'R'}, {PFN_F_W, 'W'},
        {PFN_F_P, 'P'}, {PFN_F_X, 'X'}, {PFN_F_E, 'E'}};
    unsigned n = 0;
    for (unsigned i = 0; i < 6; i++) { if (on & f[i].flag) { printf("%s%c", n++ ? "," : " (", f[i].letter); } }
    for (unsigned i = 0; i < 6; i++) { if (off & f[i].flag) { printf("%sno %c", n++ ? "," : " (", f[i].letter); } }
    if (n) { printf(")"); }
}
int main(void) {
    static const char *const change[] = {"", " same", " up", " down"};
    printf("| row | from | to | share | ref | trigger | effects |\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < PFN_TRANSITIONS; i++) {
        const struct pfn_transition *t = &pfn_transitions[i];
        printf("| %s | ", t->id);
        set(t->from);
        flags(t->set_before, t->clear_before);
        printf("%s | ", t->kind == PFN_KIND_TABLE ? " page table" : "");
        set(t->to);
        flags(t->set_after, t->clear_after);
        printf(" |%s |%s | %s | %s |\n", change[t->share], change[t->reference], t->trigger, t->effects);
    }
    return 0;
}
C
${CC:-gcc} -std=c17 -Icsrc/include -o "$work/table" "$work/table.c"
"$work/table" >"$work/rows"
awk -v rows="$work/rows" '
    /^<!-- pfn_transitions -->$/ { print; while ((getline line < rows) > 0) { print line } skip = 1 }
    /^<!-- end -->$/ { skip = 0 }
    !skip && !/^<!-- pfn_transitions -->$/ { print }
' csrc/nt/README.md >"$work/README.md"
if [ "${1-}" = --write ]; then
    cp "$work/README.md" csrc/nt/README.md
else
    diff csrc/nt/README.md "$work/README.md"
fi
