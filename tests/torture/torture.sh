#!/usr/bin/env bash
# Runs torture traces: one with the audit after every event, one with little memory, a slow disk and simulated faults. What fails
# stays in BUILD_DIR. Usage: tests/torture/torture.sh BUILD_DIR SEED ROUNDS [check option…]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 seed=$2 rounds=$3
shift 3
ntmmu=${NTMMU:-$build/ntmmu}
run() { # NAME OPTION…: the trace of that name
    local trace=$build/torture-$1-$seed-$rounds.vmt
    shift
    "$ntmmu" check --quiet "$@" "$trace"
    rm "$trace"
}
"$build/torture" "$seed" "$rounds" '!boot CFG-A' '!threads auto' >"$build/torture-harsh-$seed-$rounds.vmt"
run harsh --audit 1 "$@"
"$build/torture" "$seed" "$rounds" --mild '!boot CFG-A' '!threads auto' '!ws 20:60' '!ram 1M' >"$build/torture-mild-$seed-$rounds.vmt"
faults=(--inject "read-error:p=0.01,seed=$seed" --inject "write-error:p=0.05,seed=$seed" --inject "no-frame:p=0.02,seed=$seed"
    --inject "commit-limit:p=0.01,seed=$seed" --inject "pagefile-full:p=0.05,seed=$seed" --inject "parity:p=0.002,seed=$seed")
run mild --audit 100 --disk seek:3,transfer:1 "${faults[@]}" "$@"
