#!/usr/bin/env bash
# Line coverage of csrc/, by the unit tests, scenarios, traces, random programs and command-line tests that run on the C MMU (the RTL
# makes no difference to what is counted here). Usage: cover_c.sh BUILD_DIR [nt]     nt: the memory manager alone, by what tests it
# What is compiled once more for PAE's page tables is the same source, and not counted.
# Prints each line that nothing ran, with its explanation from tests/cover_c.exceptions or "unexplained", and the sums; the sources with
# counts are in BUILD_DIR/gcov.txt, lcov's HTML in BUILD_DIR/html. Exit 1 if less than 95 % of the lines ran, with an unexplained line,
# or with an explanation of nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
only=${2-}
rooms=${only:-machine mmu nt trace check report gen cli}
tests=$(printf '%s\n' tests/unit/*_test.cpp | sed 's|tests/unit/\(.*\)\.cpp|\1|')
# What tests the RTL or runs models; the pair program without the RTL is below.
tests=$(grep -vE '^(rtl|rtl_.*|mmu_pair|mutants|platform)_test$' <<<"$tests")
[ -z "$only" ] || tests=$(grep "^${only}_" <<<"$tests")
tests=$(sed "s|^|$dir/tests/|" <<<"$tests")
mkdir -p "$dir"
make --no-print-directory BUILD="$dir" COVER_CFLAGS='-O0 --coverage' "$dir/ntmmu" $tests \
    $([ -n "$only" ] || echo "$dir/tests/mmu_pair_test")
if [ -z "$only" ]; then
    make --no-print-directory BUILD="$dir" COVER_CFLAGS='-O0 --coverage' fuzz-replay
    make --no-print-directory examples # an MMU of one's own, beside the program
    ln -sfn ../examples "$dir/examples"
fi
find "$dir/obj" -name '*.gcda' -delete
ntmmu=$PWD/$dir/ntmmu
{
    printf '%s --gtest_brief=1\0' $tests
    if [ -n "$only" ]; then
        printf "$ntmmu run --quiet --mmu c --check audit %s\0" tests/scenarios/*.vmt traces/*.vmt.zst
    else
        printf "$ntmmu check --quiet --mmu c --audit 1 %s\0" tests/scenarios/*swap*.vmt # the audit of a process that is swapped out
        printf "$ntmmu check --quiet --mmu c %s\0" tests/scenarios/*.vmt traces/*.vmt.zst
    fi
    printf "$ntmmu run --quiet --mmu c --counting reference %s\0" traces/p3_sh.vmt.zst
    printf "NTMMU=$ntmmu bash %s\0" tests/cli/{dump,fault_matrix}.sh
    if [ -z "$only" ]; then
        printf "NTMMU=$ntmmu bash %s\0" tests/cli/fuzz_seeds.sh
        printf "$dir/tests/mmu_pair_test --gtest_brief=1 --gtest_filter=%s\0" 'PairProgram.*'
        printf "$ntmmu check --quiet --mmu c --latency 3 %s\0" tests/bare/*.vmt
        printf "$ntmmu run --mmu c --compare architecture %s\0" tests/bare/*.vmt tests/scenarios/S-130*.vmt
        printf "$ntmmu vectors --quiet --mmu c --cpu tiny-l2 %s\0" tests/vectors/*.vec.zst
        for cpu in tiny-l2 tiny-random tiny-unified tiny-plru; do
            for mode in 32 pae long; do
                printf "set -o pipefail; $ntmmu gen --cpu $cpu --mode $mode --seed 7 --events 20000 - | $ntmmu check --quiet --cpu $cpu --mmu c -\0"
            done
        done
        for kind in nt nt-mild nt-wait; do
            printf "NTMMU=$ntmmu bash tests/torture/piece.sh $dir $kind 32 ref64 7 5000 --mmu c\0"
        done
        for name in tests/cli/*.sh; do
            case $name in
            # these build models, run other programs, or are above already
            */build_preset.sh | */nt_mutants.sh | */rtl_assertions.sh | */platform.sh | */matrix.sh | */fuzz_seeds.sh | \
                */each_check_alone.sh | */difference.sh | */torture.sh | */dump.sh | */fault_matrix.sh | */cover.sh) ;;
            *) printf "NTMMU=$ntmmu NTMMU_PRESET_DIR=$PWD/build/presets bash %s\0" "$name" ;;
            esac
        done
    fi
} | xargs -0 -P "${JOBS:-$(nproc)}" -I{} bash -c '{} >/dev/null 2>&1 || echo "failed: {}"' >"$dir/failed"
if [ -s "$dir/failed" ]; then cat "$dir/failed"; exit 1; fi
for room in $rooms; do gcov -t "$dir/obj/$room"/*.gcno; done >"$dir/gcov.txt" 2>/dev/null
rm -f "$dir/c.info"
status=0
awk -v rooms=" $rooms " -v info="$dir/c.info" -f tests/cover_c.awk tests/cover_c.exceptions "$dir/gcov.txt" || status=1
genhtml -q --no-function-coverage -o "$dir/html" "$dir/c.info" >/dev/null 2>&1 || echo "no HTML: genhtml failed"
exit $status
