#!/usr/bin/env bash
# One piece of a torture run: a random program straight into `ntmmu check`. What fails is written to BUILD_DIR/torture-run/, with the
# command that makes it small.
# REPORT_ONLY=1: its report is told and nothing else.
# Usage: tests/torture/piece.sh BUILD_DIR mmu|nt|nt-mild|nt-wait MODE CPU SEED EVENTS [check option…]
set -uo pipefail
cd "$(dirname "$0")/../.."
build=$1 kind=$2 mode=$3 cpu=$4 seed=$5 events=$6
shift 6
ntmmu=${NTMMU:-$build/ntmmu}
gen=(--kind "${kind%%-*}" --mode "$mode" --cpu "$cpu" --seed "$seed" --events "$events")
check=(--quiet --cpu "$cpu")
faults=()
case $kind in
    mmu) check+=(--latency $((1 + seed % 7))) ;;
    nt) check+=(--audit 100) ;;
    nt-mild) # little memory, a slow disk and faults, of which nothing may come but what the trace expects
        boots=(CFG-A CFG-B CFG-N5) disks=(seek:3,transfer:1 fixed:20 auto) rams=(1M 700K 2M) sets=(20:60 10:40 10:30)
        boot=$([ "$mode" = pae ] && echo CFG-P || echo "${boots[seed % 3]}")
        gen+=(--mild --line "!boot $boot" --line '!threads auto' --line "!ws ${sets[seed / 27 % 3]}" --line "!ram ${rams[seed / 9 % 3]}")
        check+=(--audit 100 --disk "${disks[seed / 3 % 3]}")
        faults=(read-error:0.005 write-error:0.05 no-frame:0.02 commit-limit:0.01 pagefile-full:0.05 parity:0.002)
        ;;
    nt-wait) # each thread waits where it is while others go on: what an event comes to depends on who is woken when
        boots=(CFG-A CFG-B CFG-N5 CFG-NOPGE CFG-COL CFG-S) rams=(1M 700K 512K)
        boot=$([ "$mode" = pae ] && echo CFG-P || echo "${boots[seed % 6]}")
        gen+=(--line "!boot $boot" --line '!threads manual' --line "!ram ${rams[seed / 6 % 3]}")
        check+=(--check all,no-expect --audit 10 --disk fixed:2)
        ;;
    *) echo "found kind '$kind', expected mmu, nt, nt-mild or nt-wait" >&2 && exit 2 ;;
esac
fixed=("${check[@]}" "$@")
# The check's exit code, or that of the generator if only this failed.
leave() { exit $((status[1] > 0 ? status[1] : status[0])); }
run() {
    check=("${fixed[@]}")
    # behind the start: without its first two processes a program means nothing
    for fault in "${faults[@]}"; do check+=(--inject "${fault%:*}@10:p=${fault#*:},seed=$seed"); done
    "$ntmmu" gen "${gen[@]}" - | "$ntmmu" check "${check[@]}" - >"$build/torture-report.$$" 2>&1
    status=("${PIPESTATUS[@]}")
}
run
# A page table that cannot be read in the middle of a service is the end of NT: once more, with a disk that can be read.
if [ $kind = nt-mild ] && grep -q '^  7a KERNEL_DATA_INPAGE_ERROR' "$build/torture-report.$$"; then
    faults=("${faults[@]:1}")
    run
fi
if [ "${status[0]}${status[1]}" = 00 ]; then
    rm "$build/torture-report.$$"
    exit 0
fi
if [ "${status[1]}" = 130 ]; then
    rm "$build/torture-report.$$"
    exit 130
fi
if [ "${REPORT_ONLY:-0}" = 1 ]; then
    cat "$build/torture-report.$$" && rm "$build/torture-report.$$"
    leave
fi
mkdir -p "$build/torture-run"
trace=$build/torture-run/$kind-$mode-$cpu-$seed.vmt
echo "torture: $kind $mode, CPU $cpu, seed $seed, $events events: failed" >&2
cat "$build/torture-report.$$" >&2
case ${status[1]} in
    0) echo "the generator ended with exit code ${status[0]}" >&2 ;;
    2) ;; # it cannot run at all
    *)
        "$ntmmu" gen "${gen[@]}" "$trace"
        echo "to make it small: $ntmmu shrink ${check[*]} $trace" >&2
        ;;
esac
rm "$build/torture-report.$$"
leave
