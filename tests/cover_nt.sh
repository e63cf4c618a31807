#!/usr/bin/env bash
# Line coverage of csrc/nt by every scenario, trace and unit test. Usage: cover_nt.sh BUILD_DIR
# Prints lcov's summary and each line that nothing ran, with its explanation from tests/cover_nt.exceptions or
# "unexplained"; HTML in BUILD_DIR/html. Exit 1 below 95 % or with an unexplained line.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
mkdir -p "$dir"
# The Verilog models are the ordinary ones: they have nothing to do with csrc/nt.
[ -e "$dir/presets" ] || ln -s "$(realpath "$(dirname "$dir")/presets")" "$dir/presets"
make --no-print-directory BUILD="$dir" OPT='-O0 -g' SANITIZE=--coverage CCACHE= test-build
find "$dir/obj" -name '*.gcda' -delete
tests/ctest.sh "$dir" -R '^(scenario|trace|unit)\.' >"$dir/ctest.log" 2>&1 || { tail -40 "$dir/ctest.log"; exit 1; }
lcov --quiet --capture --directory "$dir/obj/nt" --output-file "$dir/all.info"
lcov --quiet --extract "$dir/all.info" "$PWD/csrc/nt/*" --output-file "$dir/nt.info"
genhtml --quiet --output-directory "$dir/html" "$dir/nt.info"
lcov --summary "$dir/nt.info" 2>&1 | grep -E 'lines|functions'
# An exception is `FILE | part of the line | why nothing can run it`.
awk -v root="$PWD/" '
    FILENAME ~ /exceptions$/ {
        if ($0 !~ /^#/ && split($0, part, / *\| */) == 3) { file[++n] = part[1]; text[n] = part[2]; why[n] = part[3] }
        next
    }
    /^SF:/ {
        path = substr($0, 4)
        sub(root, "", path)
        delete source
        number = 0
        while ((getline line < path) > 0) { source[++number] = line }
        close(path)
    }
    /^DA:/ {
        split(substr($0, 4), at, ",")
        lines++
        if (at[2] > 0) { ran++; next }
        line = source[at[1]]
        sub(/^ */, "", line)
        reason = ""
        name = path
        sub(/.*\//, "", name)
        for (i = 1; i <= n; i++) { if (file[i] == name && index(line, text[i])) { reason = why[i] } }
        if (reason == "") { unexplained++ }
        printf "%s:%d: %s\n    %s\n", path, at[1], line, reason == "" ? "unexplained" : reason
    }
    END {
        printf "%d of %d lines ran (%.1f %%), %d others are unexplained\n", ran, lines, 100 * ran / lines, unexplained
        exit lines == 0 || ran / lines < 0.95 || unexplained > 0
    }
' tests/cover_nt.exceptions "$dir/nt.info"
