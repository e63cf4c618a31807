#!/usr/bin/env bash
# A preset that is not there, or that says nonsense.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
for command in run check build; do
    argument=(--cpu nope "$work/a.vmt")
    [ $command = build ] && argument=(nope)
    expect 2 'nope\.preset.*expected' "$ntmmu" $command "${argument[@]}"
done
sed 's/^dtlb_4k.*/dtlb_4k 3 4/' rtl/presets/ref64.preset >"$work/odd.preset"
expect 2 'odd\.preset:[0-9]+: found .*3.*expected' "$ntmmu" run --mmu c --cpu "$work/odd.preset" "$work/a.vmt"
sed '/^dtlb_4k/d' rtl/presets/ref64.preset >"$work/short.preset"
expect 2 'short\.preset.*dtlb_4k' "$ntmmu" run --mmu c --cpu "$work/short.preset" "$work/a.vmt"
