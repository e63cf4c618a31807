#!/usr/bin/env bash
# Each simulated fault in a real trace with little memory: it happens, what it fails is counted, and everything else goes on: every
# loaded byte is right and the audit is clean. --inject: traces/FORMAT.md.
. "$(dirname "$0")/common.inc"
run() { # FAULT PROBABILITY
    expect 0 '' "$ntmmu" check --quiet --mmu c --check shadow,staleness,audit --audit 10000 --ram 512K --disk fixed:2 \
        --json "$work/run.json" --inject "$1:p=$2,seed=5" traces/p3_sh.vmt.zst
    [ "$(jq ".injected[\"$1\"]" "$work/run.json")" -gt 0 ] || fail "$1 never happened"
}
run read-error 0.05
run write-error 0.6
run pagefile-full 0.6
run commit-limit 0.2
run no-frame 0.002
run parity 0.002
