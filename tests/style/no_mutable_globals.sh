#!/usr/bin/env bash
# Two machines in one process share nothing: no writable objects in the rooms' libraries.
set -euo pipefail
build=$(dirname "${NTMMU:-build/ntmmu}")
symbols=$(objdump -t "$build"/lib/*.a)
grep -q '\sF\s\+\.text' <<<"$symbols" || { echo "$build/lib: found no function, expected the rooms' libraries"; exit 1; }
if grep -E '\sO\s+\.(data|bss|tdata|tbss|data\.rel|data\.rel\.local)\s' <<<"$symbols" |
    grep -vE '__(gcov|asan|odr_asan)|\.L(ubsan|ASAN)'; then
    echo "found writable globals, expected none"
    exit 1
fi
