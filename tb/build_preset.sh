#!/bin/bash
# Builds the Verilated MMU of one CPU preset as a shared object with the C ABI of csrc/include/ntmmu/mmu.h.
#   tb/build_preset.sh PRESET_FILE OUT.so [--assert|--cover|--mutate [RTL_DIRECTORY]]
#   tb/build_preset.sh PRESET_FILE --parameters      prints the parameters of rtl/mmu.sv, one NAME=VALUE a line
# --assert: the assertions of rtl/ are on; --mutate: the hand-made bugs of tb/mutants.txt are in, one of them alive by the
# environment variable NTMMU_MUTANT; RTL_DIRECTORY: a copy of rtl/ that has others in (tests/mutants/generate.pl). Only these
# two can write waveforms; and in these two, registers that reset leaves alone begin with anything, another thing for each number
# in the environment variable NTMMU_POWER_ON.
# --cover: counts lines, toggles and the points of tb/cover_points.sv into the directory that the environment variable
# NTMMU_COVERAGE names. Builds in a temporary directory beside OUT and renames into place. The format of a preset is in
# csrc/include/ntmmu/preset.h.
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

# ---- the preset: csrc/mmu/preset.c reads it ----
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
${CC:-cc} -std=gnu17 -Wall -Wextra -Werror -I"$root/csrc/include" "$root/tb/preset_parameters.c" "$root/csrc/mmu/preset.c" \
    -o "$parts/preset_parameters"
case $preset in */*) ;; *) preset=./$preset ;; esac
"$parts/preset_parameters" "$preset" >"$parts/parameters"
[ "$out" != --parameters ] || { cat "$parts/parameters"; exit 0; }
"$parts/preset_parameters" "$preset" --header >"$parts/preset_geometry.h"
mapfile -t parameters <"$parts/parameters"

# ---- the model ----
mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work" "$parts"' EXIT

flags="-std=gnu++17 -fPIC -fno-gnu-unique -fvisibility=hidden -I$root/csrc/include -I$root/tb -I$parts"
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
[ -z "${NTMMU_KEEP_MODEL:-}" ] || { cp -r "$work/obj" "$NTMMU_KEEP_MODEL"; cp "$parts/preset_geometry.h" "$NTMMU_KEEP_MODEL"; exit 0; } # to look at the C++
make -s -C "$work/obj" -f Vmmu.mk OPT_FAST="${NTMMU_MODEL_OPT:--O3}" OPT_GLOBAL=-O2 OPT_SLOW=-O0 OBJCACHE="$(command -v ccache || true)" \
    > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mv "$work/obj/model.so" "$out"
