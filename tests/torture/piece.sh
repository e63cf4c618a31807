#!/usr/bin/env bash
# One piece of a torture run: a random program straight into `ntmmu check`. What fails is written to BUILD_DIR/torture-run/, with the
# command that makes it small.
# Usage: tests/torture/piece.sh BUILD_DIR mmu|nt|nt-mild MODE CPU SEED EVENTS [check option…]
set -uo pipefail
cd "$(dirname "$0")/../.."
build=$1 kind=$2 mode=$3 cpu=$4 seed=$5 events=$6
shift 6
ntmmu=${NTMMU:-$build/ntmmu}
gen=(--kind "${kind%-mild}" --mode "$mode" --cpu "$cpu" --seed "$seed" --events "$events")
check=(--quiet --cpu "$cpu")
case $kind in
    mmu) check+=(--latency $((1 + seed % 7))) ;;
    nt) check+=(--audit 100) ;;
    nt-mild) # little memory, a slow disk and faults, of which nothing may come but what the trace expects
        boot=$([ "$mode" = pae ] && echo CFG-P || echo CFG-A)
        gen+=(--mild --line "!boot $boot" --line '!threads auto' --line '!ws 20:60' --line '!ram 1M')
        check+=(--audit 100 --disk seek:3,transfer:1)
        for fault in read-error:p=0.01 write-error:p=0.05 no-frame:p=0.02 commit-limit:p=0.01 pagefile-full:p=0.05 parity:p=0.002; do
            check+=(--inject "$fault,seed=$seed")
        done
        ;;
    *) echo "found kind '$kind', expected mmu, nt or nt-mild" >&2 && exit 2 ;;
esac
check+=("$@")
"$ntmmu" gen "${gen[@]}" - | "$ntmmu" check "${check[@]}" - >"$build/torture-report.$$" 2>&1
status=("${PIPESTATUS[@]}")
if [ "${status[0]}${status[1]}" = 00 ]; then
    rm "$build/torture-report.$$"
    exit 0
fi
if [ "${status[1]}" = 130 ]; then
    rm "$build/torture-report.$$"
    exit 130
fi
mkdir -p "$build/torture-run"
trace=$build/torture-run/$kind-$mode-$cpu-$seed.vmt
echo "torture: $kind $mode, CPU $cpu, seed $seed, $events events: failed" >&2
cat "$build/torture-report.$$" >&2
if [ "${status[1]}" != 2 ]; then # 2: it cannot run at all
    "$ntmmu" gen "${gen[@]}" "$trace"
    echo "to make it small: $ntmmu shrink ${check[*]} $trace" >&2
fi
rm "$build/torture-report.$$"
exit "${status[1]}"
