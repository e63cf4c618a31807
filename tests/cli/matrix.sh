#!/usr/bin/env bash
# The matrix of paging bits: exit codes 0 and 2 (1: tests/unit/matrix_test.cpp), quiet in a pipe but for its table.
. "$(dirname "$0")/common.inc"
matrix=$(dirname "$ntmmu")/matrix
expect 0 '' "$matrix" --every 5000
grep -qE '^4-level  c +[0-9]+ +[0-9]+ +[0-9]+ +[0-9]+ +0 ' "$work/stdout" || fail "no table: $(cat "$work/stdout")"
expect 0 '' "$matrix" --every 5000 --cpu p6
grep -q '^4-level  c     the CPU lacks this mode$' "$work/stdout" || fail "no word about 4-level paging"
expect 2 'found No such file' "$matrix" --cpu none
expect 2 'cannot open shared object file' "$matrix" --mmu /none.so
"$matrix" --every 0 2>"$work/stderr" && fail "--every 0 was taken"
grep -q "found '0', expected a number from 1 to 1000000" "$work/stderr" || fail "no word about --every"
