#!/usr/bin/env bash
# Runs fuzz targets, each RUNS times beside what its corpus already has: BUILD/corpus/TARGET, begun with samples of the tree. An
# input that crashes, hangs for 10 s or leaks stays as BUILD/found/TARGET/…, and the exit code is 1.
# Usage: tests/fuzz/fuzz.sh BUILD RUNS TARGET…     JOBS=N in the environment: so many processes for each target
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 runs=$2
shift 2
jobs=${JOBS:-1}

# seeds TARGET DIRECTORY: inputs to begin with
seeds() {
    local i=0 file
    case $1 in
    trace | convert)
        for file in tests/scenarios/*.vmt; do head -c 4096 "$file" >"$2/$(basename "$file")"; done
        for file in tests/scenarios/S-2*.vmt; do zstd -q -f "$file" -o "$2/$(basename "$file").zst"; done
        head -n 40 <(zstd -dc traces/true.exact.vmt.zst 2>/dev/null) >"$2/exact"
        echo '!end' >>"$2/exact"
        ;;
    lackey) cp tests/data/trace/lackey/* "$2" ;;
    archive)
        tar -cf "$2/capture.tar" -C tests/data/trace lackey
        zstd -q -f "$2/capture.tar" -o "$2/capture.tar.zst"
        ;;
    vectors)
        for file in tests/vectors/*.vec.zst; do
            { zstd -dc "$file" 2>/dev/null | grep '^#' | head -n 3; zstd -dc "$file" 2>/dev/null | grep -v '^#' | shuf -n 60 \
                --random-source=<(yes) | sort; } >"$2/$(basename "$file" .vec.zst)" || true
        done
        zstd -q -f "$2/pae" -o "$2/pae.zst"
        ;;
    preset) cp rtl/presets/*.preset "$2" ;;
    events) for i in 1 2 3 4 5 6 7 8; do seq "$((i * 7919))" 97 "$((i * 7919 + 40000))" | head -c 1500 >"$2/$i"; done ;;
    esac
    if [ -d "tests/fuzz/found/$1" ]; then cp "tests/fuzz/found/$1"/* "$2"; fi
}

# longest TARGET: bytes of an input
longest() {
    case $1 in archive) echo 32768 ;; events) echo 2048 ;; *) echo 4096 ;; esac
}

status=0
for target in "$@"; do
    corpus=$build/corpus/$target found=$build/found/$target log=$build/$target.log
    mkdir -p "$corpus" "$found" "$build/seeds/$target"
    seeds "$target" "$build/seeds/$target"
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
