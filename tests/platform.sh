#!/usr/bin/env bash
# `ntmmu run` and `ntmmu-platform` with the same options come to the same: every byte of the JSON result (faults, counters,
# cycles, the hash of memory), messages, exit code. Usage: tests/platform.sh [OPTION…] -- TRACE…
. "$(dirname "$0")/cli/common.inc"
options=()
while [ "$1" != -- ]; do
    options+=("$1")
    shift
done
shift
[ $# -gt 0 ] || fail "found no trace, expected one"
run() { # NAME PROGRAM… TRACE
    local name=$1 rc=0
    shift
    "$@" "${options[@]}" --quiet --json "$work/$name.json" "$trace" >"$work/$name.out" 2>&1 || rc=$?
    echo "exit code $rc" >>"$work/$name.out"
}
for trace in "$@"; do
    rm -f "$work"/*.json
    run run "$ntmmu" run
    run platform "$ntmmu-platform"
    [ -s "$work/run.json" ] || { cat "$work/run.out" >&2; fail "$trace: run gives no JSON"; }
    for what in out json; do
        diff "$work/run.$what" "$work/platform.$what" >&2 || fail "$trace: run (<) and platform (>) differ"
    done
done
