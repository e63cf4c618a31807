#!/usr/bin/env bash
# Real traces in little memory: pages go out and come back, every loaded byte is right, faults are survived.
. "$(dirname "$0")/common.inc"
value() { jq -r ".$1" "$work/run.json"; }
run() { # TRACE OPTION…
    local trace=$1
    shift
    expect 0 '' "$ntmmu" run --quiet --mmu c --check shadow,staleness,audit --audit 10000 --json "$work/run.json" "$@" "traces/$trace.vmt.zst"
}
for trace in true.exact subshell sort; do
    run "$trace" --ram 512K
    if [ "$trace" = sort ]; then
        [ "$(value disk.pagefile_writes)" -gt 10 ] || fail "$trace: nothing goes out"
        [ "$(value disk.pagefile_reads)" -gt 10 ] || fail "$trace: nothing comes back"
    fi
    run "$trace" --ram 2M --disk fixed:3
    [ "$(value disk.steps_busy)" -gt 0 ] || fail "$trace: the disk takes no time"
    run "$trace" --ram 512K --disk seek:5,transfer:1 --inject read-error:p=0.01,seed=1 --inject write-error:p=0.05 --inject no-frame:p=0.05
    [ "$(value 'injected["no-frame"]')" -gt 0 ] || fail "$trace: no fault was simulated"
done
run sort --ram 512K --inject read-error@1000 --inject write-error --inject pagefile-full --inject parity
# a fork is refused before it has changed anything
run subshell --ram 512K --inject commit-limit:p=0.3
# a disk that takes its time while threads wait for several frames
run sort --ram 300K --ws 20:25 --disk fixed:50
# memory that the minimum working sets alone fill: who waits gives up
expect 1 '' "$ntmmu" run --quiet --mmu c --check none --disk fixed:50 --ram 400K traces/subshell.vmt.zst
grep -q "4d NO_PAGES_AVAILABLE" "$work/stdout" || fail "too little memory is not said"
