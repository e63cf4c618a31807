#!/usr/bin/env bash
# Runs fuzz targets, each RUNS times beside what its corpus already has: BUILD/corpus/TARGET, begun with samples of the tree. An
# input that crashes, hangs for 10 s or leaks stays as BUILD/found/TARGET/…, and the exit code is 1.
# Usage: tests/fuzz/fuzz.sh BUILD RUNS TARGET…     JOBS=N in the environment: so many processes for each target
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 runs=$2
shift 2
jobs=${JOBS:-1}

# longest TARGET: bytes of an input
longest() {
    case $1 in archive) echo 32768 ;; events) echo 2048 ;; *) echo 4096 ;; esac
}

status=0
for target in "$@"; do
    corpus=$build/corpus/$target found=$build/found/$target log=$build/$target.log
    mkdir -p "$corpus" "$found"
    tests/fuzz/seeds.sh "$target" "$build/seeds/$target"
    words=()
    if [ -e "tests/fuzz/$target.dict" ]; then words=(-dict="tests/fuzz/$target.dict"); fi
    pids=()
    for ((job = 0; job < jobs; job++)); do
        "$build/targets/$target" -runs="$((runs / jobs))" -timeout=10 -rss_limit_mb=2048 -max_len="$(longest "$target")" \
            -print_final_stats=1 -artifact_prefix="$found/" "${words[@]}" "$corpus" "$build/seeds/$target" \
            >"$log.$job" 2>&1 &
        pids+=($!)
    done
    bad=0
    for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
    done=$(awk '/stat::number_of_executed_units/ { n += $2 } END { print n + 0 }' "$log".*)
    if [ "$bad" = 0 ]; then
        echo "$target: $done runs, nothing found, $(find "$corpus" -type f | wc -l) inputs in the corpus"
    else
        echo "$target: found something after $done runs: $found, $log.*"
        grep -hE -m 3 'ERROR|does not hold|runtime error' "$log".* || tail -n 5 "$log.0"
        status=1
    fi
done
exit $status
