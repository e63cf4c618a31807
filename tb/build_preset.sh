#!/bin/bash
# Builds the Verilated MMU of one CPU preset as a shared object with the C ABI of csrc/include/ntmmu/mmu.h.
#   tb/build_preset.sh PRESET_FILE OUT.so [--assert|--mutate]
# --assert: the assertions of rtl/ are on; --mutate: the hand-made bugs of tb/mutants.txt are in, one of them alive by the
# environment variable NTMMU_MUTANT. Builds in a temporary directory beside OUT and renames into place.
set -euo pipefail

usage() { echo "usage: $0 PRESET_FILE OUT.so [--assert|--mutate]" >&2; exit 2; }
[ $# -ge 2 ] && [ $# -le 3 ] || usage
preset=$1 out=$2 variant=${3:-}
case $variant in ''|--assert|--mutate) ;; *) usage ;; esac
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ -r "$preset" ] || { echo "$preset: cannot be read" >&2; exit 2; }

# Values of one key, checked: value KEY COUNT.
bad() { echo "$preset:${3:-1}: found '$1', expected $2" >&2; exit 2; }
value() {
    local line
    line=$(awk -v key="$1" '{ sub(/#.*/, "") } $1 == key { print NR, $2, $3; exit }' "$preset")
    [ -n "$line" ] || bad "end of file" "a line '$1 …'" "$(wc -l < "$preset")"
    echo "$line"
}
power_of_two() { [[ $1 =~ ^[0-9]+$ ]] && (( $1 > 0 && ($1 & ($1 - 1)) == 0 )); }

read -r line policy < <(value replacement) || exit 2
case $policy in
lru) replacement=0 ;;
plru) replacement=1 ;;
*) bad "$policy" "lru or plru" "$line" ;;
esac
parameters=(-GREPLACEMENT=$replacement)
geometry=
for array in itlb_4k itlb_4m dtlb_4k dtlb_4m; do
    read -r line sets ways < <(value $array) || exit 2
    power_of_two "$sets" && (( sets <= 1024 )) || bad "$sets sets" "a power of two, 1 to 1024" "$line"
    [[ $ways =~ ^[0-9]+$ ]] && (( ways >= 1 && ways <= 64 )) || bad "$ways ways" "1 to 64" "$line"
    (( replacement == 0 )) || power_of_two "$ways" || bad "$ways ways" "a power of two for plru" "$line"
    parameters+=("-G${array^^}_SETS=$sets" "-G${array^^}_WAYS=$ways")
    geometry+="{$sets, $ways}, "
done
set -- $geometry

mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
cat > "$work/preset_geometry.h" <<END
#define PRESET_NAME "$(basename "$preset" .preset)"
#define PRESET_REPLACEMENT $([ $replacement = 0 ] && echo TLB_LRU || echo TLB_PLRU)
#define PRESET_GEOMETRY {{$1 $2 $3 $4}, {$5 $6 $7 $8}}
END

flags="-std=gnu++17 -fPIC -fno-gnu-unique -fvisibility=hidden -I$root/csrc/include -I$work"
# Verilator reads a thread-local at every eval. TLS descriptors make that cheap in a shared object if all its
# thread-locals fit into a few hundred bytes: without the runtime's unused functions and their buffers they do.
flags+=" -ffunction-sections -fdata-sections"
[ "$(uname -m)" != x86_64 ] || flags+=" -mtls-dialect=gnu2"
options=(--noassert)
case $variant in
--assert) options=(--assert); flags+=" -DNTMMU_ASSERTIONS" ;;
--mutate) options+=(-DMUTATE); flags+=" -DMUTATE" ;;
esac
verilator --cc --exe -O3 --x-assign fast --x-initial fast "${options[@]}" --trace-fst --trace-structs \
    --timescale 1ns/1ns --unroll-count 1100 --unroll-stmts 100000 -I"$root/rtl" "${parameters[@]}" \
    --top-module mmu --Mdir "$work/obj" -o model.so -CFLAGS "$flags" \
    -LDFLAGS "-shared -Wl,--gc-sections -Wl,--version-script=$root/tb/exports.map" \
    "$root"/rtl/mmu.sv "$root/tb/shim.cpp"
make -s -C "$work/obj" -f Vmmu.mk OPT_FAST=-O3 OPT_GLOBAL=-O2 OPT_SLOW=-O0 OBJCACHE="$(command -v ccache || true)" \
    > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
mv "$work/obj/model.so" "$out"
