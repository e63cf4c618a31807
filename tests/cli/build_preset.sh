#!/usr/bin/env bash
# What tb/build_preset.sh finds wrong with a preset, each with its line, and that the program refuses the same.
. "$(dirname "$0")/common.inc"
good=('source ntmmu tests' 'replacement lru' 'physical_bits 32' 'features pse pge' 'itlb 4k 16 4' 'dtlb 4k,2m 16 4')

both_refuse() { # LINE FOUND-AND-EXPECTED: of $work/p.preset
    expect 2 "^$work/p\\.preset:$1: $2\$" tb/build_preset.sh "$work/p.preset" --parameters
    [ ! -s "$work/stdout" ] || fail "parameters of a bad preset: $(cat "$work/stdout")"
    expect 2 "^ntmmu: $work/p\\.preset:$1: found .*, expected " "$ntmmu" build "$work/p.preset"
}
# more FOUND-AND-EXPECTED LINE…: further lines, of which the last one is bad
more() {
    local message=$1
    shift
    printf '%s\n' "${good[@]}" "$@" >"$work/p.preset"
    both_refuse $((${#good[@]} + $#)) "$message"
}
# instead FOUND-AND-EXPECTED N LINE: in place of line N
instead() {
    local lines=("${good[@]}")
    lines[$2 - 1]=$3
    printf '%s\n' "${lines[@]}" >"$work/p.preset"
    both_refuse "$2" "$1"
}
# without FOUND-AND-EXPECTED N: a line is missing
without() {
    local lines=("${good[@]}")
    unset "lines[$2 - 1]"
    printf '%s\n' "${lines[@]}" >"$work/p.preset"
    both_refuse $((${#good[@]} - 1)) "$1"
}

printf '%s\n' "${good[@]}" >"$work/p.preset"
expect 0 '' tb/build_preset.sh "$work/p.preset" --parameters
for parameter in ITLB0_SETS=16 DTLB0_CLASSES=3 DTLB1_WAYS=0 L1_UNIFIED=0 SEED=1 WALKERS=1 FEATURES=5; do
    grep -qx "$parameter" "$work/stdout" || fail "no $parameter in $(cat "$work/stdout")"
done
expect 2 '/none\.preset: cannot be read' tb/build_preset.sh "$work/none.preset" --parameters
expect 2 '^usage: ' tb/build_preset.sh "$work/p.preset"
expect 2 '^usage: ' tb/build_preset.sh "$work/p.preset" "$work/p.so" --fast

without "found end of file, expected a line 'source …'" 1
without "found end of file, expected a line 'replacement …'" 2
without "found end of file, expected a line 'physical_bits …'" 3
without "found end of file, expected lines 'itlb …' and 'dtlb …', or 'tlb …'" 5
without "found end of file, expected lines 'itlb …' and 'dtlb …', or 'tlb …'" 6

more "found 'l1tlb', expected source, replacement, .* or memory" 'l1tlb 4k 16 4'
instead 'found end of line, expected where the figures come from' 1 'source   # nowhere'
more "found 'source' again, expected each key once" 'source elsewhere'
instead "found 'mru', expected lru, plru or random" 2 'replacement mru'
instead "found '', expected lru, plru or random" 2 'replacement'
instead "found '7', expected end of line" 2 'replacement plru 7'
instead "found '0', expected a seed, 1\.\.65535" 2 'replacement random 0'
instead "found '8', expected end of line" 2 'replacement random 7 8'
more "found 'replacement' again, expected each key once" 'replacement plru'
instead "found '31', expected physical address bits, 32\.\.52" 3 'physical_bits 31'
instead "found '53', expected physical address bits, 32\.\.52" 3 'physical_bits 53'
instead 'found end of line, expected another word' 3 'physical_bits'
instead "found '40', expected end of line" 3 'physical_bits 36 40'
more "found 'physical_bits' again, expected each key once" 'physical_bits 36'
instead "found 'mmx', expected one of pse pse36 pge pae nx long 1g pcid invpcid smep smap pat" 4 'features pse mmx'
more "found 'features' again, expected each key once" 'features nx'

instead 'found end of line, expected another word' 6 'dtlb 4k 16'
instead "found '1', expected end of line" 6 'dtlb 4k 16 4 1'
instead "found '4k,', expected sizes between commas" 6 'dtlb 4k, 16 4'
instead "found '4k,,2m', expected sizes between commas" 6 'dtlb 4k,,2m 16 4'
instead "found '8k', expected 4k, 2m, 1g" 6 'dtlb 4k,8k 16 4'
instead "found 'pde', expected 4k, 2m or 1g in a first level" 6 'dtlb 4k,pde 16 4'
instead "found '4k,4k', expected each size once" 6 'dtlb 4k,4k 16 4'
instead "found '3', expected a number of sets: a power of two, 1\.\.1024" 6 'dtlb 4k 3 4'
instead "found '2048', expected a number of sets: a power of two, 1\.\.1024" 6 'dtlb 4k 2048 4'
instead "found '-1', expected a number of sets: a power of two, 1\.\.1024" 6 'dtlb 4k -1 4'
instead "found '65', expected a number of ways, 1\.\.64" 6 'dtlb 4k 16 65'
more "found '2m', expected sizes that no other line of dtlb has" 'dtlb 2m 1 4'
more "found '8k', expected 4k, 2m, 1g or pde" 'istlb 8k 16 4'
more "found another line 'istlb', expected at most 2" 'istlb 4k 1 4' 'istlb 2m 1 4' 'istlb 1g 1 4'
more 'found both sides in one and one alone, expected one or the other' 'tlb 1g 1 4'
more 'found both sides in one and one alone, expected one or the other' 'stlb 4k 1 4' 'dstlb 2m 1 4'
more "found '101', expected cycles, 0\.\.100" 'stlb_cycles 101'
more "found 'stlb_cycles' again, expected each key once" 'stlb_cycles 5' 'stlb_cycles 6'
more "found 'pte', expected pde, pdpte or pml4e" 'psc pte 1 4'
more 'found end of line, expected another word' 'psc pde 4'
more "found 'psc pde' again, expected each level once" 'psc pde 1 4' 'psc pde 2 4'
more "found '5', expected walkers, 1\.\.4" 'walkers 5'
more "found 'walkers' again, expected each key once" 'walkers 2' 'walkers 2'
