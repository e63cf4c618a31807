#!/usr/bin/env bash
# The fuzz targets, each once on the inputs that `make fuzz` begins with and on what it has found.
source "$(dirname "${BASH_SOURCE[0]}")/common.inc"
targets=$(dirname "$ntmmu")/fuzz-replay
for target in "$targets"/*; do
    name=$(basename "$target")
    tests/fuzz/seeds.sh "$name" "$work/$name"
    "$target" "$work/$name" >"$work/stdout" 2>"$work/stderr" || { tail -n 3 "$work/stderr" >&2; fail "$name fails on the last of these"; }
done
