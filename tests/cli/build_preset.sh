#!/usr/bin/env bash
# What tb/build_preset.sh makes of a preset: the parameters of rtl/mmu.sv, or what the program says of a bad one.
. "$(dirname "$0")/common.inc"
printf '%s\n' 'source ntmmu tests' 'replacement lru' 'physical_bits 32' 'features pse pge' 'itlb 4k 16 4' 'dtlb 4k,2m 16 4' >"$work/p.preset"
expect 0 '' tb/build_preset.sh "$work/p.preset" --parameters
for parameter in ITLB0_SETS=16 DTLB0_CLASSES=3 DTLB1_WAYS=0 DTLB1_SETS=1 PSC_PDE_WAYS=0 L1_UNIFIED=0 REPLACEMENT=0 SEED=1 WALKERS=1 FEATURES=5; do
    grep -qx "$parameter" "$work/stdout" || fail "no $parameter in $(cat "$work/stdout")"
done
# by its name alone, where it lies
(cd "$work" && "$OLDPWD/tb/build_preset.sh" p.preset --parameters) | cmp - "$work/stdout" || fail "p.preset is another than $work/p.preset"

# what is wrong in it, and nothing else
sed -i '6s/16/3/' "$work/p.preset"
for as in --parameters "$work/p.so"; do
    expect 2 "^$work/p\\.preset:6: found '3', expected a number of sets" tb/build_preset.sh "$work/p.preset" "$as"
    [ ! -s "$work/stdout" ] && [ ! -e "$work/p.so" ] || fail "something was made of a bad preset"
done
expect 2 "^ntmmu: $work/p\\.preset:6: found '3', expected a number of sets" "$ntmmu" build "$work/p.preset"
expect 2 '/none\.preset: found No such file' tb/build_preset.sh "$work/none.preset" --parameters
expect 2 '^usage: ' tb/build_preset.sh "$work/p.preset"
expect 2 '^usage: ' tb/build_preset.sh "$work/p.preset" "$work/p.so" --fast
