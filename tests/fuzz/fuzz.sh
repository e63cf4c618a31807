#!/usr/bin/env bash
# Runs fuzz targets, each RUNS times beside what its corpus already has: BUILD/corpus/TARGET, begun with samples of the tree. An
# input that crashes, hangs for 10 s or leaks stays as BUILD/found/TARGET/…, and the exit code is 1. Interrupted, the same command
# goes on: BUILD/TARGET.runs has what is done, and is forgotten when the target was built anew or all runs are made.
# Usage: tests/fuzz/fuzz.sh BUILD RUNS TARGET…     JOBS=N in the environment: so many processes for each target
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 runs=$2
shift 2
jobs=${JOBS:-1}
interrupted=72 # libFuzzer's exit code then
slice=500000 # of one process: then all begin anew, with what the others have found

# longest TARGET: bytes of an input
longest() {
    case $1 in archive) echo 8192 ;; events) echo 96 ;; lackey) echo 3072 ;; vectors) echo 2048 ;; *) echo 1024 ;; esac
}

# show TARGET LOG DONE: one line that is written over; nothing if nobody looks
show() {
    [ -t 2 ] || return 0
    local now
    now=$(grep -ah '^#' "$2.0" | tail -n 1 || true)
    printf '\r\033[K%s: %s runs of %s; now %.100s' "$1" "$3" "$runs" "$now" >&2
}

# count_time: processor_time becomes that of the children that have ended, in seconds. (A subshell would see its own.)
count_time() {
    times >"$log.times"
    processor_time=$(awk 'NR == 2 { gsub(/[ms]/, " "); print $1 * 60 + $2 + $3 * 60 + $4 }' "$log.times")
}

pids=()
stop() {
    if [ ${#pids[@]} -gt 0 ]; then kill "${pids[@]}" 2>/dev/null || true; fi
    [ ! -t 2 ] || echo >&2
    exit 130
}
trap stop INT TERM

status=0
for target in "$@"; do
    corpus=$build/corpus/$target found=$build/found/$target log=$build/log/$target record=$build/$target.runs
    mkdir -p "$corpus" "$found" "$build/log"
    rm -f "$log".[0-9]*
    tests/fuzz/seeds.sh "$target" "$build/seeds/$target"
    words=()
    if [ -e "tests/fuzz/$target.dict" ]; then words=(-dict="tests/fuzz/$target.dict"); fi
    sum=$(sha256sum "$build/targets/$target" | cut -c 1-16)
    of='' made=0 seconds=0
    if [ -e "$record" ]; then read -r of made seconds <"$record"; fi
    if [ "$of" != "$sum" ]; then made=0 seconds=0; fi
    bad=0
    while [ "$made" -lt "$runs" ] && [ "$bad" = 0 ]; do
        share=$(((runs - made + jobs - 1) / jobs))
        if [ "$share" -gt "$slice" ]; then share=$slice; fi
        count_time
        before=$processor_time
        known=$(find "$corpus" "$build/seeds/$target" -type f | wc -l) # are run first, and counted by libFuzzer
        pids=()
        for ((job = 0; job < jobs; job++)); do
            "$build/targets/$target" -runs=$((known + 1 + share)) -timeout=10 -rss_limit_mb=2048 -entropic=0 -max_len="$(longest "$target")" \
                -print_final_stats=1 -artifact_prefix="$found/" "${words[@]}" "$corpus" "$build/seeds/$target" \
                >"$log.$job" 2>&1 &
            pids+=($!)
        done
        while [ -t 2 ] && kill -0 "${pids[0]}" 2>/dev/null; do
            show "$target" "$log" "$made"
            sleep 1
        done
        for pid in "${pids[@]}"; do
            code=0
            wait "$pid" || code=$?
            if [ "$code" = "$interrupted" ]; then stop; fi
            if [ "$code" != 0 ]; then bad=1; fi
        done
        pids=()
        more=$(awk 'FNR == 1 { begun = "" } /^#[0-9]+\tINITED/ { begun = substr($1, 2) }
            /stat::number_of_executed_units/ && begun != "" { n += $2 - begun } END { print n + 0 }' "$log".[0-9]*)
        [ "$more" -gt 0 ] || [ "$bad" = 1 ] || { echo "$target: nothing was run: $log.0" >&2; exit 2; }
        made=$((made + more))
        count_time
        seconds=$(awk "BEGIN { print $seconds + $processor_time - $before }")
        echo "$sum $made $seconds" >"$record"
    done
    [ ! -t 2 ] || printf '\r\033[K' >&2
    if [ "$bad" = 0 ]; then
        reached=$(grep -ahoE 'DONE +cov: [0-9]+' "$log".[0-9]* | awk '$3 > n { n = $3 } END { print n + 0 }')
        echo "$target: $made runs in ${seconds%.*} s of processor time, nothing found, $(find "$corpus" -type f | wc -l) inputs in" \
            "the corpus, $reached places of the code reached"
        rm -f "$record"
    else
        echo "$target: found something after $made runs: $found, $log.[0-9]*"
        grep -ahE -m 3 'ERROR|does not hold|runtime error' "$log".[0-9]* || tail -n 5 "$log.0"
        echo "again, with who allocated what: ASAN_OPTIONS=malloc_context_size=30 $build/targets/$target INPUT"
        status=1
    fi
done
exit $status
