#!/usr/bin/env bash
# What the CPU has not is skipped, and the summary and the JSON say so; a failing line is named and makes exit code 1.
. "$(dirname "$0")/common.inc"
expect 0 '' "$ntmmu" vectors --mmu c --cpu p6 tests/vectors/long.vec.zst
grep -q '^41892 skipped because the CPU lacks NX, 4-level paging, 1 GB pages, SMEP, SMAP$' "$work/stdout" || {
    cat "$work/stdout" >&2
    fail "nothing about what was skipped"
}
expect 0 '' "$ntmmu" vectors --mmu c --cpu p6 --json - tests/vectors/long.vec.zst
jq -e '.skipped_missing == 41892 and .total.passed == 0 and (.missing | index("SMEP"))' "$work/stdout" >"$work/jq" ||
    fail "the JSON is wrong"
printf '# MAXPHYADDR 40\nV T 2 80000011 0 0 0 UW 1140 100000 - - 102007 555007 ok - - 555144 - - 102027 555067 QB\n' >"$work/wrong.vec"
expect 1 '' "$ntmmu" vectors --quiet --mmu c "$work/wrong.vec"
grep -q 'wrong.vec:2: found ok, pa 555140, expected ok, pa 555144$' "$work/stdout" || fail "the line is not named"
expect 1 '' "$ntmmu" vectors --quiet --mmu c - <"$work/wrong.vec"
grep -q '^-:2: found ok, pa 555140, expected ok, pa 555144$' "$work/stdout" || fail "standard input is not read"
