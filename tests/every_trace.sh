#!/usr/bin/env bash
# Every scenario and trace on the C MMU with all checks; the traces also on other CPUs, with little memory, a slow disk and simulated
# faults; and random programs. What `make ubsan` runs. Usage: tests/every_trace.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

commands() { # one a line: options and trace
    local preset cpu file seed mode
    printf -- '--check all %s\n' tests/scenarios/*.vmt tests/scenarios/pae/*.vmt
    for file in traces/*.vmt.zst; do
        echo "--check all --audit 10000 --ram 512K --disk seek:3,transfer:1 $file"
        echo "--check all --audit 10000 --profile NT5PAE --ram 2M --pagefile 64M $file"
        echo "--check all --audit 10000 --ram 1M --disk fixed:5 --inject read-error:p=0.01,seed=1 --inject no-frame:p=0.02,seed=1 $file"
    done
    for preset in rtl/presets/*.preset; do
        cpu=$(basename "$preset" .preset)
        # NT needs large pages, which i486 lacks, for any boot configuration but one.
        [ "$cpu" = i486 ] || echo "--check all --audit 10000 --cpu $cpu --ram 512K traces/subshell.vmt.zst"
    done
    for seed in 1 2 3 4; do
        gen() { "$build/ntmmu" gen --seed "$seed" --events 4000 "$@"; }
        gen --kind nt --line '!boot CFG-A' --line '!threads auto' "$work/harsh-$seed.vmt"
        gen --kind nt --mild --line '!boot CFG-A' --line '!threads auto' --line '!ws 20:60' --line '!ram 1M' "$work/mild-$seed.vmt"
        echo "--check all --audit 50 $work/harsh-$seed.vmt"
        echo "--check all --audit 50 --disk seek:3,transfer:1 --inject write-error:p=0.05,seed=$seed --inject parity:p=0.002,seed=$seed $work/mild-$seed.vmt"
        for mode in 32 pae long; do
            gen --mode $mode --cpu tiny-l2 "$work/bare-$mode-$seed.vmt"
            echo "--cpu tiny-l2 $work/bare-$mode-$seed.vmt"
        done
    done
}
# A failure says its command; xargs begins no more of them.
one='read -ra words <<<"$2"; "$1" run --quiet --mmu c "${words[@]}" || { echo "$1 run --quiet --mmu c $2: exit code $?" >&2; exit 255; }'
commands >"$work/commands"
xargs -d '\n' -P "$(nproc)" -n 1 bash -c "$one" _ "$build/ntmmu" <"$work/commands"
echo "$(wc -l <"$work/commands") replays"
