#!/usr/bin/env bash
# Machine options do what they say.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt" 'I 410' 'R 410 5'
value() { jq -r ".$2" "$work/$1.json"; }
run() { # NAME OPTION…
    local name=$1
    shift
    expect 0 '' "$ntmmu" run --quiet --mmu c --json "$work/$name.json" "$@" "$work/a.vmt"
}
run plain
run slow --latency 40
[ "$(value slow cycles)" -gt "$(value plain cycles)" ] || fail "--latency 40 costs no more cycles"
run direct --kernel direct
[ "$(value direct kernel_accesses)" = 0 ] || fail "--kernel direct uses the MMU"
[ "$(value plain kernel_accesses)" -gt 0 ] || fail "the kernel does not use the MMU"
[ "$(value direct page_faults)" = "$(value plain page_faults)" ] || fail "--kernel direct changes the faults"
run ram --ram 256M
[ "$(value ram frames.free)" -gt "$(value plain frames.free)" ] || fail "--ram 256M gives no more free frames"
run tiny --cpu tiny
[ "$(value tiny cpu)" = tiny ] || fail "--cpu is not reported"
"$ntmmu" run --mmu c --cpu tiny "$work/a.vmt" >"$work/summary"
! grep -q 'second level' "$work/summary" || fail "a CPU without a second level has one"
# four pages over and over, two entries in the first level
four=('r 410000 4' 'r 411000 4' 'r 412000 4' 'r 413000 4')
small_trace "$work/l2.vmt" "${four[@]}" "${four[@]}" "${four[@]}" "${four[@]/#r/i}" "${four[@]/#r/i}" "${four[@]/#r/i}"
"$ntmmu" run --mmu c --cpu tiny-l2 --json "$work/two.json" "$work/l2.vmt" >"$work/summary"
hits=$(($(value two istlb_hit) + $(value two dstlb_hit))) misses=$(($(value two istlb_miss) + $(value two dstlb_miss)))
[ "$(value two istlb_hit)" -ge 4 ] && [ "$(value two dstlb_hit)" -ge 4 ] || fail "the last rounds do not find their pages in the second level"
grep -q "^  second level $((hits + misses)) lookups, $misses misses (" "$work/summary" || fail "the summary says other of the second level"
run poor --pagefile 0
[ "$(value poor kernel.MmTotalCommitLimit)" -lt "$(value plain kernel.MmTotalCommitLimit)" ] || fail "--pagefile 0 leaves the limit"
[ $(($(value plain kernel.MmTotalCommitLimit) - $(value poor kernel.MmTotalCommitLimit))) = 262144 ] ||
    fail "a captured trace gets no 1 GB paging file"
# Each check can be left out: neither an expect line that is wrong nor how the trace ends is judged without "expect".
small_trace "$work/wrong.vmt" 'r 410000 4' 'expect fault=transition' 'r 900000 4'
expect 1 '' "$ntmmu" run --quiet --mmu c --check none "$work/wrong.vmt"
expect 0 '' "$ntmmu" run --quiet --mmu c --check no-expect "$work/wrong.vmt"
expect 0 '' "$ntmmu" check --quiet --mmu c --check all,no-expect "$work/wrong.vmt"
"$ntmmu" run --mmu c --check all,no-expect,no-shadow "$work/wrong.vmt" | grep -q 'checks  *staleness, audit$' || fail "no-shadow leaves other checks than it should"
"$ntmmu" check --mmu c --check no-shadow "$work/a.vmt" | grep -q 'checks  *lockstep, staleness, audit, expectations$' || fail "no-shadow leaves others out, too"
"$ntmmu" check --mmu c --check audit "$work/a.vmt" | grep -q agree && fail "two MMUs agree that nobody compared"
# JSON on standard output is alone there
"$ntmmu" run --mmu c --json - "$work/wrong.vmt" >"$work/json" 2>"$work/said" && fail "a wrong line passes"
jq -e '.result == "failed"' "$work/json" >/dev/null || fail "what a check says is in the JSON"
grep -q 'expect fault' "$work/said" || fail "what a check says is lost"
# run with the other MMU beside it
"$ntmmu" run --mmu c --compare c "$work/a.vmt" | grep -q 'checks  *lockstep' || fail "--compare c does not compare"
