#!/usr/bin/env bash
# 0: as the trace expects. 1: an access faults, a service fails, or an expect line is wrong. JSON on standard output.
. "$(dirname "$0")/common.inc"
small_trace "$work/good.vmt"
expect 0 '' "$ntmmu" run --quiet --mmu c "$work/good.vmt"
[ ! -s "$work/stdout" ] || fail "--quiet said something"
expect 0 '' "$ntmmu" run --mmu c --json - "$work/good.vmt"
jq -e '.stores == 1 and .loads == 1 and .demand_zero == 1' "$work/stdout" >"$work/jq" || fail "the JSON is wrong"
small_trace "$work/av.vmt" 'r 900000 4'
expect 1 '' "$ntmmu" run --quiet --mmu c "$work/av.vmt"
grep -q -i 'c0000005' "$work/stdout" || fail "no access violation: $(cat "$work/stdout")"
small_trace "$work/av-expected.vmt" 'r 900000 4' 'expect fault=av'
expect 0 '' "$ntmmu" run --quiet --mmu c "$work/av-expected.vmt"
small_trace "$work/service.vmt" 'alloc 410000 1000 r rw'
expect 1 '' "$ntmmu" run --quiet --mmu c "$work/service.vmt"
grep -q -i 'c0000018' "$work/stdout" || fail "no conflicting addresses: $(cat "$work/stdout")"
small_trace "$work/service-expected.vmt" 'alloc 410000 1000 r rw' 'expect status=c0000018'
expect 0 '' "$ntmmu" run --quiet --mmu c "$work/service-expected.vmt"
small_trace "$work/wrong.vmt" 'w 411000 4' 'expect fault=none'
expect 1 '' "$ntmmu" run --quiet --mmu c "$work/wrong.vmt"
"$ntmmu" run --quiet --mmu c - <"$work/good.vmt" || fail "standard input is not read"
