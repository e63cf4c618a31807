#!/bin/bash
# Builds the Verilated MMU of one CPU preset as a shared object with the C ABI of csrc/include/ntmmu/mmu.h.
#   tb/build_preset.sh PRESET_FILE OUT.so [--assert|--cover|--mutate [RTL_DIRECTORY]]
#   tb/build_preset.sh PRESET_FILE --parameters      prints the parameters of rtl/mmu.sv, one NAME=VALUE a line
# --assert: the assertions of rtl/ are on; --mutate: the hand-made bugs of tb/mutants.txt are in, one of them alive by the
# environment variable NTMMU_MUTANT; RTL_DIRECTORY: a copy of rtl/ that has others in (tests/mutants/generate.pl). Only these
# two can write waveforms. --cover: counts lines, toggles and the points of tb/cover_points.sv into the directory that the
# environment variable NTMMU_COVERAGE names. Builds in a temporary directory beside OUT and renames into place. The format of
# a preset is in csrc/include/ntmmu/preset.h; what is wrong in one is said with file, line, found and expected.
set -euo pipefail

usage() {
    echo "usage: $0 PRESET_FILE OUT.so [--assert|--cover|--mutate [RTL_DIRECTORY]] | PRESET_FILE --parameters" >&2
    exit 2
}
[ $# -ge 2 ] && [ $# -le 4 ] || usage
preset=$1 out=$2 variant=${3:-} rtl=${4:-}
[ -z "$rtl" ] || [ "$variant" = --mutate ] || usage
case $variant in ''|--assert|--mutate|--cover) ;; *) usage ;; esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rtl=${rtl:-$root/rtl}
[ -r "$preset" ] || { echo "$preset: cannot be read" >&2; exit 2; }

# ---- the preset ----
line=0
bad() { echo "$preset:$line: found $1, expected $2" >&2; exit 2; }
# number WORD LOW HIGH WHAT
number() {
    [[ $1 =~ ^[0-9]{1,9}$ ]] && (( 10#$1 >= $2 && 10#$1 <= $3 )) || bad "'$1'" "$4, $2..$3"
}
geometry() { # SETS WAYS
    number "$1" 1 1024 "a number of sets: a power of two"
    (( (10#$1 & (10#$1 - 1)) == 0 )) || bad "'$1'" "a number of sets: a power of two, 1..1024"
    number "$2" 1 64 "a number of ways"
}
words() { # COUNT WORD…: as many as expected, no more
    local count=$1
    shift
    (( $# >= count )) || bad "end of line" "another word"
    (( $# <= count )) || bad "'${*:count+1:1}'" "end of line"
}

mapfile -t feature_names < <(sed -n 's/^ *CPU_\([A-Z0-9]*\) = 1 << .*/\L\1/p' "$root/csrc/include/ntmmu/preset.h")
array_names=(ITLB0 ITLB1 ITLB2 DTLB0 DTLB1 DTLB2 ISTLB0 ISTLB1 DSTLB0 DSTLB1 PSC_PDE PSC_PDPTE PSC_PML4E)
classes=(0 0 0 0 0 0 0 0 0 0 0 0 0) sets=("${classes[@]}") ways=("${classes[@]}")
unified=(0 0) split=(0 0)
declare -A seen taken
replacement= seed=1 physical_bits= features=0 stlb_cycles=0 walkers=1

size_bits() { # SIZES LEVEL: the classes' bits in `bits`
    local size list
    bits=0
    IFS=, read -ra list <<< "$1,"
    [[ $1 != *, && $1 != ,* && $1 != *,,* ]] || bad "'$1'" "sizes between commas"
    for size in "${list[@]}"; do
        case $size in
        4k) size=1 ;;
        2m) size=2 ;;
        1g) size=4 ;;
        pde) [ "$2" = 2 ] || bad "'pde'" "4k, 2m or 1g in a first level"; size=8 ;;
        *) bad "'$size'" "4k, 2m, 1g$([ "$2" = 2 ] && echo ' or pde')" ;;
        esac
        (( (bits & size) == 0 )) || bad "'$1'" "each size once"
        bits=$((bits | size))
    done
}
tlb() { # FIRST COUNT LEVEL KEY SIZES SETS WAYS
    local first=$1 count=$2 level=$3 key=$4 i
    words 3 "${@:5}"
    size_bits "$5" "$level"
    geometry "$6" "$7"
    (( (${taken[$first]:-0} & bits) == 0 )) || bad "'$5'" "sizes that no other line of $key has"
    taken[$first]=$((${taken[$first]:-0} | bits))
    for (( i = first; i < first + count && ways[i] != 0; i++ )); do :; done
    (( i < first + count )) || bad "another line '$key'" "at most $count"
    classes[i]=$bits sets[i]=$((10#$6)) ways[i]=$((10#$7))
}
once() { [ -z "${seen[$1]:-}" ] || bad "'$1' again" "each key once"; seen[$1]=1; }
side() { # LEVEL unified|split
    local level=$1
    if [ "$2" = unified ]; then unified[level - 1]=1; else split[level - 1]=1; fi
    (( unified[level - 1] + split[level - 1] < 2 )) || bad "both sides in one and one alone" "one or the other"
}

while IFS= read -r text || [ -n "$text" ]; do
    line=$((line + 1))
    read -ra word <<< "${text%%#*}"
    (( ${#word[@]} > 0 )) || continue
    key=${word[0]} word=("${word[@]:1}")
    case $key in
    source) once source; (( ${#word[@]} > 0 )) || bad "end of line" "where the figures come from" ;;
    replacement)
        once replacement
        case ${word[0]:-} in
        lru) replacement=0; words 1 "${word[@]}" ;;
        plru) replacement=1; words 1 "${word[@]}" ;;
        random) replacement=2; [ ${#word[@]} = 1 ] || { words 2 "${word[@]}"; number "${word[1]}" 1 65535 "a seed"; seed=$((10#${word[1]})); } ;;
        *) bad "'${word[0]:-}'" "lru, plru or random" ;;
        esac ;;
    physical_bits) once physical_bits; words 1 "${word[@]}"; number "${word[0]}" 32 52 "physical address bits"; physical_bits=$((10#${word[0]})) ;;
    features)
        once features
        for name in "${word[@]}"; do
            for (( i = 0; i < ${#feature_names[@]}; i++ )); do
                [ "${feature_names[i]}" != "$name" ] || break
            done
            (( i < ${#feature_names[@]} )) || bad "'$name'" "one of ${feature_names[*]}"
            features=$((features | 1 << i))
        done ;;
    itlb) side 1 split; tlb 0 3 1 itlb "${word[@]}" ;;
    dtlb) side 1 split; tlb 3 3 1 dtlb "${word[@]}" ;;
    tlb) side 1 unified; tlb 0 3 1 tlb "${word[@]}" ;;
    istlb) side 2 split; tlb 6 2 2 istlb "${word[@]}" ;;
    dstlb) side 2 split; tlb 8 2 2 dstlb "${word[@]}" ;;
    stlb) side 2 unified; tlb 6 2 2 stlb "${word[@]}" ;;
    stlb_cycles) once stlb_cycles; words 1 "${word[@]}"; number "${word[0]}" 0 100 "cycles"; stlb_cycles=$((10#${word[0]})) ;;
    psc)
        words 3 "${word[@]}"
        case ${word[0]} in pde) i=10 ;; pdpte) i=11 ;; pml4e) i=12 ;; *) bad "'${word[0]}'" "pde, pdpte or pml4e" ;; esac
        (( ways[i] == 0 )) || bad "'psc ${word[0]}' again" "each level once"
        geometry "${word[1]}" "${word[2]}"
        sets[i]=$((10#${word[1]})) ways[i]=$((10#${word[2]})) ;;
    walkers) once walkers; words 1 "${word[@]}"; number "${word[0]}" 1 4 "walkers"; walkers=$((10#${word[0]})) ;;
    memory) ;; # the program's, not the MMU's
    *) bad "'$key'" "source, replacement, physical_bits, features, itlb, dtlb, tlb, istlb, dstlb, stlb, stlb_cycles, psc, walkers or memory" ;;
    esac
done < "$preset"
for key in source replacement physical_bits; do
    [ -n "${seen[$key]:-}" ] || bad "end of file" "a line '$key …'"
done
(( ways[0] != 0 && (ways[3] != 0 || unified[0] == 1) )) || bad "end of file" "lines 'itlb …' and 'dtlb …', or 'tlb …'"

parameters=() geometry=
for i in "${!array_names[@]}"; do
    # What is not there gets harmless figures.
    (( i >= 10 )) || parameters+=("${array_names[i]}_CLASSES=$(( ways[i] ? classes[i] : 1 ))")
    parameters+=("${array_names[i]}_SETS=$(( ways[i] ? sets[i] : 1 ))" "${array_names[i]}_WAYS=${ways[i]}")
    geometry+="{${classes[i]}, ${sets[i]}, ${ways[i]}}, "
done
parameters+=("L1_UNIFIED=${unified[0]}" "L2_UNIFIED=${unified[1]}" "REPLACEMENT=$replacement" "SEED=$seed" \
    "STLB_CYCLES=$stlb_cycles" "WALKERS=$walkers" "FEATURES=$features")
[ "$out" != --parameters ] || { printf '%s\n' "${parameters[@]}"; exit 0; }

# ---- the model ----
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
policy=(TLB_LRU TLB_PLRU TLB_RANDOM)
cat > "$work/preset_geometry.h" <<END
#define PRESET_NAME "$(basename "$preset" .preset)"
#define PRESET_REPLACEMENT ${policy[replacement]}
#define PRESET_SEED $seed
#define PRESET_STLB_CYCLES $stlb_cycles
#define PRESET_WALKERS $walkers
#define PRESET_FEATURES $features
#define PRESET_UNIFIED {${unified[0]}, ${unified[1]}}
#define PRESET_GEOMETRY {$geometry}
END

flags="-std=gnu++17 -fPIC -fno-gnu-unique -fvisibility=hidden -I$root/csrc/include -I$root/tb -I$work"
traced=(--trace-fst --trace-structs)
anything=(--x-assign unique --x-initial unique) # where tests look for mistakes, what reset forgets is anything
case $variant in
'') options=(--noassert --x-assign fast --x-initial fast) ;;
--assert)
    options=(--assert "${traced[@]}" "${anything[@]}")
    flags+=" -DNTMMU_ASSERTIONS -DNTMMU_ANY_START"
    ;;
--mutate)
    options=(--noassert "${traced[@]}" "${anything[@]}" -DMUTATE)
    flags+=" -DMUTATE -DNTMMU_ANY_START"
    [ "$rtl" = "$root/rtl" ] || options+=(-Wno-lint) # what is exchanged may be always true, or of another width
    ;;
--cover)
    # Not from anything: what reset does to random bits would count as toggles. Not split: Verilator 5.006 parts a block from its
    # counters, which then look at variables of functions that nobody has set. Unsplit blocks make circles of what are none.
    options=(--assert --x-assign fast --x-initial fast -fno-split -Wno-UNOPTFLAT --coverage "$root/tb/cover_points.sv")
    flags+=" -DNTMMU_COVERAGE"
    ;;
esac
# One function for all of the logic: what only passes through it is kept in registers, and the compiler does not have to
# store it. -fno-table: a table is dearer than the few conditions it replaces.
verilator --cc --exe -O3 "${options[@]}" --output-split 0 -fno-table \
    --timescale 1ns/1ns --unroll-count 1100 --unroll-stmts 1000000 -I"$rtl" "${parameters[@]/#/-G}" \
    --top-module mmu --Mdir "$work/obj" -o model.so -CFLAGS "$flags" \
    -LDFLAGS "-shared -Wl,--version-script=$root/tb/exports.map" \
    "$root/tb/trace.vlt" "$rtl/mmu.sv" "$root/tb/shim.cpp"
[ -z "${NTMMU_KEEP_MODEL:-}" ] || { cp -r "$work/obj" "$NTMMU_KEEP_MODEL"; cp "$work/preset_geometry.h" "$NTMMU_KEEP_MODEL"; exit 0; } # to look at the C++
make -s -C "$work/obj" -f Vmmu.mk OPT_FAST="${NTMMU_MODEL_OPT:--O3}" OPT_GLOBAL=-O2 OPT_SLOW=-O0 OBJCACHE="$(command -v ccache || true)" \
    > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mv "$work/obj/model.so" "$out"
