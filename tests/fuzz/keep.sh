#!/usr/bin/env bash
# Packs of each target's corpus the smallest inputs that reach all that it reaches into tests/fuzz/corpus/TARGET.tar.zst, with which
# every campaign begins.
# Usage: tests/fuzz/keep.sh BUILD TARGET…
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p tests/fuzz/corpus
for target in "$@"; do
    [ -d "$build/corpus/$target" ] || { echo "$build/corpus/$target: not there, expected what make fuzz TARGETS=$target leaves" >&2; exit 2; }
    tests/fuzz/seeds.sh "$target" "$build/seeds/$target"
    mkdir "$work/$target"
    "$build/targets/$target" -merge=1 "$work/$target" "$build/corpus/$target" "$build/seeds/$target" 2>"$work/log" ||
        { tail -n 5 "$work/log" >&2; exit 1; }
    find "$work/$target" -type f -printf '%f\n' | sort >"$work/names"
    tar -c --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=644 -C "$work/$target" -T "$work/names" |
        zstd -q -19 -f -o "tests/fuzz/corpus/$target.tar.zst"
    echo "$target: $(wc -l <"$work/names") inputs, $(stat -c %s "tests/fuzz/corpus/$target.tar.zst") bytes"
done
