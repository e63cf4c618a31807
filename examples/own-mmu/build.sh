#!/bin/bash
# Verilates tiny_mmu.v and links it with wrap.cpp into a shared object: examples/own-mmu/build.sh OUT.so [BUGS]
set -euo pipefail
[ $# -ge 1 ] && [ $# -le 2 ] || { echo "usage: $0 OUT.so [BUGS]" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$(dirname "$1")"
out=$(realpath "$1")
work=$(mktemp -d "$out.XXXXXX")
trap 'rm -rf "$work"' EXIT
verilator --cc --exe -O3 --x-assign fast --x-initial fast --top-module tiny_mmu -GBUGS="${2:-0}" --Mdir "$work" \
    -CFLAGS "-std=gnu++17 -fPIC -fvisibility=hidden -fno-gnu-unique -I$here/../../csrc/include" \
    -LDFLAGS "-shared" -o mmu.so "$here/tiny_mmu.v" "$here/wrap.cpp"
make -s -C "$work" -f Vtiny_mmu.mk OPT_FAST=-O2 OPT_GLOBAL=-O1 OBJCACHE="$(command -v ccache || true)" > "$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
mv "$work/mmu.so" "$out"
