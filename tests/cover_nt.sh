#!/usr/bin/env bash
# Line coverage of csrc/nt by every scenario and trace, on the C MMU (the RTL makes no difference to the memory
# manager), and by its unit tests. Usage: cover_nt.sh BUILD_DIR
# The kernel with PAE's page tables is the same source, compiled once more, and is not counted.
# Prints each line that nothing ran, with its explanation from tests/cover_nt.exceptions or "unexplained", and the
# sums; the sources with counts are in BUILD_DIR/gcov.txt. Exit 1 below 95 % or with an unexplained line.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
tests=$(printf '%s\n' tests/unit/nt_*_test.cpp | sed "s|tests/unit/\(.*\)\.cpp|$dir/tests/\1|")
mkdir -p "$dir"
make --no-print-directory BUILD="$dir" NT_CFLAGS='-O0 --coverage' "$dir/ntmmu" $tests
find "$dir/obj" -name '*.gcda' -delete
{
    printf '%s --gtest_brief=1\0' $tests
    printf "$dir/ntmmu run --quiet --mmu c --check audit %s\0" tests/scenarios/*.vmt traces/*.vmt.zst
    printf "$dir/ntmmu run --quiet --mmu c --counting reference %s\0" traces/p3_sh.vmt.zst
    printf "NTMMU='$PWD/$dir/ntmmu' bash %s\0" tests/cli/dump.sh tests/cli/fault_matrix.sh
} | xargs -0 -P "$(nproc)" -I{} sh -c '{} >/dev/null 2>&1 || echo "failed: {}"' >"$dir/failed"
if [ -s "$dir/failed" ]; then cat "$dir/failed"; exit 1; fi
gcov -t "$dir"/obj/nt/*.gcda >"$dir/gcov.txt"
# An exception is `FILE | FUNCTION or part of the line | why nothing can run it`.
awk '
    function explain(name, l,    i, reason) {
        for (i = 1; i <= n; i++) {
            if (file[i] == name && (text[i] == inside[l] || index(code[l], text[i]))) { reason = why[i]; used[i] = 1 }
        }
        missed[name]++
        if (reason == "") { unexplained++ }
        printf "%s: %s: %s\n    %s\n", where[l], inside[l], code[l], reason == "" ? "unexplained" : reason
    }
    FILENAME ~ /exceptions$/ {
        if ($0 !~ /^#/ && split($0, part, / *\| */) == 3) { file[++n] = part[1]; text[n] = part[2]; why[n] = part[3] }
        next
    }
    {
        count = $0; sub(/:.*/, "", count); gsub(/[ *]/, "", count)
        rest = substr($0, index($0, ":") + 1)
        at = rest; sub(/:.*/, "", at); at += 0
        line = substr(rest, index(rest, ":") + 1)
    }
    at == 0 {
        if (line ~ /^Source:/) { path = substr(line, 8); name = path; sub(/.*\//, "", name); wanted = path ~ /csrc\/nt\// }
        next
    }
    !wanted { next }
    # A definition begins in the first column: its name is what stands before the first parenthesis.
    line ~ /^[A-Za-z_].*\(/ { called = line; sub(/\(.*/, "", called); sub(/.*[ *]/, "", called) }
    count == "-" { next }
    # A line in a macro that makes several functions comes once for each of them.
    !((name, at) in runs) { order[++lines] = name SUBSEP at; runs[name, at] = 0; all[name]++ }
    count !~ /^[#=]/ { runs[name, at]++ }
    { sub(/^ */, "", line); code[name, at] = line; inside[name, at] = called; where[name, at] = path ":" at }
    END {
        for (l = 1; l <= lines; l++) {
            if (runs[order[l]]) { ran++; continue }
            split(order[l], place, SUBSEP)
            explain(place[1], order[l])
        }
        for (i = 1; i <= n; i++) { if (!(i in used)) { printf "%s | %s: explains no line\n", file[i], text[i]; unused++ } }
        for (name in missed) { printf "%4d of %4d lines of %s did not run\n", missed[name], all[name], name | "sort -rn" }
        close("sort -rn")
        printf "%d of %d lines ran (%.1f %%), %d others are unexplained\n", ran, lines, 100 * ran / lines, unexplained
        exit lines == 0 || ran / lines < 0.95 || unexplained + unused > 0
    }
' tests/cover_nt.exceptions "$dir/gcov.txt"
