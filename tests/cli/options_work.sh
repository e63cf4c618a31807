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
# run with the other MMU beside it
"$ntmmu" run --mmu c --compare c "$work/a.vmt" | grep -q 'checks  *lockstep' || fail "--compare c does not compare"
