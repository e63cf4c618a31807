#!/usr/bin/env bash
# Inputs to begin with, made of samples of the tree, and those that once found something.
# Usage: tests/fuzz/seeds.sh TARGET DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1 directory=$2
mkdir -p "$directory"
case $target in
trace | convert)
    for file in tests/scenarios/*.vmt; do head -c 4096 "$file" >"$directory/$(basename "$file")"; done
    for file in tests/scenarios/S-2*.vmt; do zstd -q -f "$file" -o "$directory/$(basename "$file").zst"; done
    head -n 40 <(zstd -dc traces/true.exact.vmt.zst 2>/dev/null) >"$directory/exact"
    echo '!end' >>"$directory/exact"
    ;;
lackey) cp tests/data/trace/lackey/* "$directory" ;;
archive)
    tar -cf "$directory/capture.tar" -C tests/data/trace lackey
    zstd -q -f "$directory/capture.tar" -o "$directory/capture.tar.zst"
    ;;
vectors)
    for file in tests/vectors/*.vec.zst; do
        { zstd -dc "$file" 2>/dev/null | grep '^#' | head -n 3; zstd -dc "$file" 2>/dev/null | grep -v '^#' | shuf -n 60 \
            --random-source=<(yes) | sort; } >"$directory/$(basename "$file" .vec.zst)" || true
    done
    zstd -q -f "$directory/pae" -o "$directory/pae.zst"
    ;;
preset) cp rtl/presets/*.preset "$directory" ;;
events) for i in 1 2 3 4 5 6 7 8; do seq "$((i * 7919))" 97 "$((i * 7919 + 40000))" | head -c 1500 >"$directory/$i"; done ;;
esac
if [ -d "tests/fuzz/found/$target" ]; then cp "tests/fuzz/found/$target"/* "$directory"; fi
