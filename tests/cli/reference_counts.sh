#!/usr/bin/env bash
# Counts of a real trace equal those of an independent simulator (64-entry 4-way true-LRU TLBs flushed at each process
# switch; it models no kernel): tests/data/reference. Fault counts do not depend on the counting mode.
. "$(dirname "$0")/common.inc"
trace=traces/p3_sh.vmt.zst reference=tests/data/reference/p3_sh.json
"$ntmmu" run --quiet --mmu c --cpu ref64 --counting reference --json "$work/reference.json" "$trace"
"$ntmmu" run --quiet --mmu rtl --cpu ref64 --counting nt --json "$work/nt.json" "$trace"
# the same with a second level of 1536 entries, 12-way: its misses are the touches that walk
"$ntmmu" run --quiet --mmu c --cpu ref64-l2 --counting reference --json "$work/l2.json" "$trace"
found=$(jq '.istlb_miss + .dstlb_miss' "$work/l2.json") expected=$(jq .l2_miss "$reference")
[ "$found" = "$expected" ] || fail "second-level misses: found $found, expected $expected"
compare() { # MODE KEYS-FILTER
    jq -r --slurpfile got "$work/$1.json" "$2"' | to_entries[] | select(.value != $got[0][.key]) |
        "'"$1"' \(.key): found \($got[0][.key]), expected \(.value)"' "$reference"
}
differences=$(compare reference 'del(.l2_miss)' && compare nt 'del(.itlb_miss, .dtlb_miss, .l2_miss)')
[ -z "$differences" ] || fail "$differences"
