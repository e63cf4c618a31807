#!/usr/bin/env bash
# A preset that is not there, or that says nonsense.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
for command in run check shrink build; do
    argument=(--cpu nope "$work/a.vmt")
    [ $command = build ] && argument=(nope)
    expect 2 'nope\.preset.*expected' "$ntmmu" $command "${argument[@]}"
done
sed 's/^dtlb .*4k.*/dtlb 4k 3 4/' rtl/presets/ref64.preset >"$work/odd.preset"
expect 2 'odd\.preset:[0-9]+: found .*3.*expected' "$ntmmu" run --mmu c --cpu "$work/odd.preset" "$work/a.vmt"
sed '/^dtlb/d' rtl/presets/ref64.preset >"$work/short.preset"
expect 2 'short\.preset.*dtlb' "$ntmmu" run --mmu c --cpu "$work/short.preset" "$work/a.vmt"
# this program's kernel maps itself with 4 MB pages
expect 2 'i486: found no pse' "$ntmmu" run --mmu c --cpu i486 "$work/a.vmt"
