#!/usr/bin/env bash
# Runs a command with each of some files in turn, until one fails; prints what that one printed.
# Usage: tests/each.sh COMMAND… -- FILE…
set -euo pipefail
command=()
while [ "$1" != -- ]; do
    command+=("$1")
    shift
done
shift
for file in "$@"; do
    rc=0
    output=$("${command[@]}" "$file" 2>&1) || rc=$?
    [ $rc = 0 ] || { printf '%s: %s\n' "$file" "$output"; exit $rc; }
done
