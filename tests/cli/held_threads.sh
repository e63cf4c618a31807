#!/usr/bin/env bash
# Threads that were to be made one by the other, and the first cannot be: all that was held back for them goes, on a small stack too.
. "$(dirname "$0")/common.inc"
count=4000
{
    printf '!vmt 1\n!boot CFG-A\n!threads manual\nproc+ 1 0 "a"\nthr+ 1 1\nproc+ 2 0 "b"\nthr+ 2 2\nx 0 1\n'
    printf 'sec+ 1 data 4000 "f"\nmap 1 420000 4000 0 r\nio manual\nr 420000 4\n'
    for ((i = 10; i < 10 + count; i++)); do printf 'thr+ %d 77\nx 0 %d\n' "$i" "$i"; done
    printf 'x 0 2\niodone 1\nexpect late=*,*\n!end\n'
} >"$work/chain.vmt"
ulimit -s 256
expect 0 '' "$ntmmu" run --quiet --mmu c --check shadow "$work/chain.vmt"
