#!/usr/bin/env bash
# Coverage of rtl/: lines and branches, toggles, and the named points of tb/cover_points.sv, by constrained-random programs against
# the C MMU, requests and invalidations at the ports at any cycle, and random bare programs, on small geometries of each kind: more sets
# and ways would be more of the same bits, each a toggle of its own. Usage: cover_rtl.sh BUILD_DIR
# Prints each hole with its explanation from tests/cover_rtl.exceptions or "unexplained", then the sums, without and with what is
# explained; lcov's HTML goes to BUILD_DIR/html. Exit 1 below 100 % of lines and points or 95 % of toggles, where what is explained
# counts as covered, or with an explanation of nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
presets=(tests/data/cover/narrow.preset rtl/presets/tiny-{l2,random,unified,plru}.preset)
mkdir -p "$dir/data"
rm -f "$dir"/data/*.dat "$dir/failed"
# The models run for seconds only: to optimize them would take longer.
for preset in "${presets[@]}"; do
    object=$dir/presets/$(basename "$preset" .preset).so
    [ -e "$object" ] && [ -z "$(find "$preset" rtl/*.sv* tb/*.* csrc/include/ntmmu/{mmu,preset,types,paging}.h -newer "$object")" ] ||
        printf 'NTMMU_MODEL_OPT=-O0 tb/build_preset.sh %s %s --cover\0' "$preset" "$object"
done | xargs -0 -r -P "${JOBS:-$(nproc)}" -I{} sh -c '{}'
make --no-print-directory build/ntmmu build/tests/{mmu_pair,rtl_invalidate,rtl_walkers}_test
ln -sf tiny-random.so "$dir/presets/tiny-random.assert.so" # these, too, have the assertions on
export NTMMU_PRESET_DIR=$PWD/$dir/presets NTMMU_COVERAGE=$PWD/$dir/data

bare() { # PRESET MODE EVENTS
    local name
    name=$(basename "$1" .preset)
    local cpu=$name
    [ "$1" = "rtl/presets/$name.preset" ] || cpu=$1
    build/ntmmu gen --cpu "$cpu" --mode "$2" --seed 7 --events "$3" - |
        build/ntmmu check --quiet --cpu "$cpu" --mmu "$dir/presets/$name.so" --latency 3 -
}
export -f bare
export dir
{
    for name in l2 random unified plru; do printf 'build/tests/mmu_pair_test --gtest_filter=*Wide*/tiny_%s\0' $name; done
    printf 'build/tests/rtl_walkers_test --gtest_filter=-*assert*\0'
    for name in l2 unified random_assert; do printf 'build/tests/rtl_invalidate_test --gtest_filter=*Faults*/tiny_%s:*Pointers*/tiny_%s\0' $name $name; done
    for preset in "${presets[@]}"; do
        case $preset in */tiny-l2.preset) events=4000 ;; *) events=800 ;; esac # what is rare
        for mode in 32 pae long; do printf 'bare %s %s %d\0' "$preset" $mode $events; done
    done
} | xargs -0 -P "${JOBS:-$(nproc)}" -I{} bash -c 'set -o pipefail; {} >/dev/null 2>&1 || echo "failed: {}"' >"$dir/failed"
if [ -s "$dir/failed" ]; then cat "$dir/failed"; exit 1; fi

verilator_coverage --write "$dir/all.dat" "$dir"/data/*.dat >/dev/null
verilator_coverage --write-info "$dir/rtl.info" "$dir/all.dat" >/dev/null
genhtml -q --no-function-coverage -o "$dir/html" "$dir/rtl.info" >/dev/null 2>&1 || echo "no HTML: genhtml failed"

exec awk -f tests/cover_rtl.awk tests/cover_rtl.exceptions "$dir/all.dat"
