#!/usr/bin/env bash
# Writes one ctest entry for each GoogleTest case, scenario, command-line test, trace, platform run, run in threads, style rule, for
# lint and for the quick proofs, and runs them.
# Usage: tests/ctest.sh BUILD_DIR [ctest options]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
build=$root/${1#"$root"/}
shift
jobs=$(nproc)
dir=$build/ctest
mkdir -p "$dir"
out=$dir/CTestTestfile.cmake.new
: >"$out"

# add NAME COMMAND…: an entry that passes when the command exits 0.
add() {
    local name=$1
    shift
    local line="add_test([==[$name]==]"
    local word
    for word in "$@"; do line+=" [==[$word]==]"; done
    printf '%s)\nset_tests_properties([==[%s]==] PROPERTIES WORKING_DIRECTORY "%s" TIMEOUT 600 ENVIRONMENT "NTMMU=%s;NTMMU_PRESET_DIR=%s")\n' \
        "$line" "$name" "$root" "$build/ntmmu" "$build/presets" >>"$out"
}

# First, because it takes longest.
add lint make --no-print-directory lint
add formal.quick tb/formal/prove.sh "$build/formal.quick" --quick
for source in tests/unit/*_test.cpp; do
    binary=$build/tests/$(basename "$source" .cpp)
    cases=$("$binary" --gtest_list_tests)
    suite=
    while IFS= read -r line; do
        case $line in
            '  '*)
                name=${line#  }
                name=${name%%  #*}
                add "unit.$suite$name" "$binary" "--gtest_filter=$suite$name" --gtest_brief=1
                ;;
            *.*) suite=${line%% *} ;;
        esac
    done <<<"$cases"
done
audit_of() { # FILE: some damage on purpose what an audit looks at
    case $1 in
        */*-written-over.vmt | */NT-32-hash-corruption.vmt | */NT-55-slot-that-holds-no-page.vmt | */S-69-kernel-write-to-read-only-*.vmt) echo 10000 ;;
        *) echo 1 ;;
    esac
}
for file in tests/scenarios/*.vmt; do
    add "scenario.$(basename "$file" .vmt)" "$build/ntmmu" check --quiet --audit "$(audit_of "$file")" "$file"
done
# Bare programs, by hand and by the generator: in each mode of a CPU, also with the RTL's assertions on.
for file in tests/bare/*.vmt; do
    for mmu in rtl c; do add "bare.$mmu.$(basename "$file" .vmt)" "$build/ntmmu" check --quiet --mmu $mmu "$file"; done
done
torture() { # CPU MODES EVENTS [check option…]
    local cpu=$1 mode modes=$2 events=$3
    shift 3
    for mode in $modes; do
        add "torture.$cpu.$mode${1-}" bash tests/torture/piece.sh "$build" mmu "$mode" "$cpu" 2026 "$events" "$@"
    done
}
for cpu in ref64 tiny tiny-l2 tiny-unified tiny-random tiny-ahead tiny-plru; do torture $cpu '32 pae long' 300000; done
for cpu in skylake zen2; do torture $cpu '32 pae long' 100000; done
torture p6 '32 pae' 100000
for cpu in ref64 tiny tiny-l2; do torture $cpu 'long' 50000 --assertions; done
for mode in 32 pae; do
    add "torture.nt.$mode" bash tests/torture/piece.sh "$build" nt $mode ref64 2026 5000
    for seed in 2026 2064 2099; do # each with other memory, working sets and disk
        add "torture.nt-mild.$mode.$seed" bash tests/torture/piece.sh "$build" nt-mild $mode ref64 $seed 5000
        add "torture.nt-wait.$mode.$seed" bash tests/torture/piece.sh "$build" nt-wait $mode ref64 $seed 5000
    done
done
for file in tests/scenarios/pae/*.vmt; do
    add "scenario.pae.$(basename "$file" .vmt)" "$build/ntmmu" check --quiet --audit "$(audit_of "$file")" "$file"
done
add trace.p3_sh.pae "$build/ntmmu" check --quiet --profile NT5PAE --audit 10000 traces/p3_sh.vmt.zst
add trace.p3_sh.pae.pressure "$build/ntmmu" check --quiet --profile NT5PAE --audit 10000 --ram 2M --pagefile 64M traces/p3_sh.vmt.zst
# Other CPUs: a second level, paging-structure caches, fragments, random replacement.
for cpu in p6 skylake zen2 geode-lx ref64-l2 tiny-l2 tiny-unified tiny-random tiny-ahead; do
    add "trace.subshell.$cpu" "$build/ntmmu" check --quiet --cpu "$cpu" traces/subshell.vmt.zst
    add "trace.subshell.$cpu.pressure" "$build/ntmmu" check --quiet --cpu "$cpu" --ram 512K traces/subshell.vmt.zst
done
for cpu in skylake zen2 geode-lx ref64-l2; do
    add "trace.sort.$cpu.pressure" "$build/ntmmu" check --quiet --cpu "$cpu" --ram 512K traces/sort.vmt.zst
    add "trace.true.exact.$cpu" "$build/ntmmu" check --quiet --cpu "$cpu" traces/true.exact.vmt.zst
done
for file in traces/*.vmt.zst; do add "trace.$(basename "$file" .vmt.zst)" "$build/ntmmu" check --quiet "$file"; done
# A short `make asan`, on the C MMU; a build that is itself for a sanitizer has none.
sanitized() { # NAME FILE…
    local name=$1
    shift
    if [ -x "$build/asan/ntmmu" ]; then
        add "asan.$name" tests/each.sh "$build/asan/ntmmu" run --quiet --mmu c --check all -- "$@"
    fi
}
sanitized scenarios.pae tests/scenarios/pae/*.vmt
sanitized bare tests/bare/*.vmt
sanitized trace traces/subshell.vmt.zst
# The SystemC platform comes to the same as `run`.
for file in traces/*.vmt.zst; do add "platform.$(basename "$file" .vmt.zst)" bash tests/platform.sh -- "$file"; done
for group in {NT,S}-{0..9}; do
    files=(tests/scenarios/"$group"*.vmt)
    [ -e "${files[0]}" ] || continue
    add "platform.scenarios.$group" bash tests/platform.sh -- "${files[@]}"
    sanitized "scenarios.$group" "${files[@]}"
done
# meddle changes the memory of the machine itself; zen2: batches on two walkers
for file in tests/bare/*.vmt; do
    if grep -q '^meddle' "$file"; then continue; fi
    add "platform.bare.$(basename "$file" .vmt)" bash tests/platform.sh -- "$file"
    add "platform.bare.zen2.$(basename "$file" .vmt)" bash tests/platform.sh --mmu c --cpu zen2 -- "$file"
done
add platform.scenarios.pae bash tests/platform.sh --mmu c -- tests/scenarios/pae/*.vmt
# A sample of the matrix of paging bits (`make matrix` tries all), on each shape of TLBs and with other widths of addresses.
for preset in rtl/presets/*.preset; do
    cpu=$(basename "$preset" .preset)
    add "matrix.c.$cpu" "$build/matrix" --jobs 1 --cpu "$cpu" --every 50
done
for cpu in ref64 tiny tiny-l2 tiny-unified; do
    add "matrix.rtl.$cpu" "$build/matrix" --jobs 1 --cpu "$cpu" --every 100 --mmu "$build/presets/$cpu.so"
done
for bits in 32 36 52; do
    add "matrix.c.maxphyaddr-$bits" "$build/matrix" --jobs 1 --physical-bits "$bits" --every 50
    add "matrix.rtl.maxphyaddr-$bits" "$build/matrix" --jobs 1 --physical-bits "$bits" --every 500 --mmu "$build/presets/ref64.so"
done
# By what the architecture demands and no more: our own MMUs, and somebody's.
architecture() { # NAME TRACE [option…]
    local name=$1 trace=$2
    shift 2
    add "architecture.$name.$(basename "${trace%.zst}" .vmt)" "$build/ntmmu" check --quiet --compare architecture "$@" "$trace"
}
for cpu in ref64 p6 tiny-l2; do
    for file in tests/scenarios/{NT-20-global-entry-outlives-the-switch,NT-28-dirty-bit-is-kept,S-59-stale-entry-at-high-irql,S-84-fork-then-write,S-130-everything-at-once}.vmt; do
        architecture "c.$cpu" "$file" --mmu c --cpu "$cpu"
    done
    architecture "c.$cpu" traces/p3_sh.vmt.zst --mmu c --cpu "$cpu"
done
architecture c.pressure traces/sort.vmt.zst --mmu c --ram 512K
architecture c.pae traces/subshell.vmt.zst --mmu c --profile NT5PAE
architecture rtl tests/scenarios/S-130-everything-at-once.vmt --mmu rtl
architecture rtl traces/subshell.vmt.zst --mmu rtl
for file in tests/scenarios/{NT-28-dirty-bit-is-kept,S-84-fork-then-write,S-130-everything-at-once}.vmt traces/subshell.vmt.zst; do
    architecture own "$file" --mmu "$build/examples/tiny_mmu.so" --cpu examples/own-mmu/tiny_mmu.preset
done
# Machines in threads beside each other; one that TSan watches, too.
threads() { # NAME PROGRAM
    add "threads.$1.c" "$2" c tests/scenarios/{S-130-everything-at-once,NT-59-threads-take-turns-waiting}.vmt
    add "threads.$1.rtl" "$2" "$build/presets/ref64.so" tests/scenarios/{S-84-fork-then-write,NT-59-threads-take-turns-waiting}.vmt
}
threads two-machines "$build/two_machines"
if [ -x "$build/tsan/two_machines" ]; then threads tsan "$build/tsan/two_machines"; fi
for file in tests/cli/*.sh; do add "cli.$(basename "$file" .sh)" bash "$file"; done
for file in tests/style/*.sh; do add "style.$(basename "$file" .sh)" bash "$file"; done

mv "$out" "$dir/CTestTestfile.cmake"
exec ctest --test-dir "$dir" -j "$jobs" --output-on-failure --output-junit "$dir/junit.xml" "$@"
