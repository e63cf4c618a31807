#!/usr/bin/env bash
# --pagefile, --disk and --inject: what they do, what they refuse, and their directives.
. "$(dirname "$0")/common.inc"
value() { jq -r ".$2" "$work/$1.json"; }
run() { # NAME TRACE OPTION…
    local name=$1 trace=$2
    shift 2
    expect 0 '' "$ntmmu" run --quiet --mmu c --json "$work/$name.json" "$@" "$trace"
}
small_trace "$work/a.vmt"
small_trace "$work/file.vmt" 'sec+ 1 data 4000 "/f"' 'map 1 500000 4000 0 r' 'r 500000 4' 'r 501000 4' 'r 502000 4'

# paging files
run one "$work/a.vmt" --pagefile 64M
run two "$work/a.vmt" --pagefile 64M --pagefile 32M:64M@"$work"
[ $(($(value two kernel.MmTotalCommitLimit) - $(value one kernel.MmTotalCommitLimit))) = 8192 ] ||
    fail "the second paging file does not raise the limit by its size"
[ "$(ls "$work" | grep -c ntmmu-)" = 0 ] || fail "a paging file was left behind"
for bad in 0:5M 5M:1M 5M@ @"$work" 1M:2M:3M; do
    expect 2 "--pagefile: found '$bad', expected a size" "$ntmmu" run --mmu c --pagefile "$bad" "$work/a.vmt"
done
expect 2 'found 0 and another file' "$ntmmu" run --mmu c --pagefile 0 --pagefile 1M "$work/a.vmt"
many=$(for _ in $(seq 17); do printf -- '--pagefile 4M '; done)
expect 2 'found a file more, expected at most 16' "$ntmmu" run --mmu c $many "$work/a.vmt"

# the disk
for bad in x fixed:0 fixed:x seek:5 seek:5,transfer:0 fixed:5,2; do
    expect 2 "--disk: found '$bad', expected auto" "$ntmmu" run --mmu c --disk "$bad" "$work/a.vmt"
done

# faults
for bad in x read-error@y read-error:p=0 read-error:p=1.5 read-error:p=1e-30 read-error:seed=3 read-error:p=1,sed=3 read-error@1@2; do
    expect 2 "--inject: found '$bad', expected WHAT" "$ntmmu" run --mmu c --inject "$bad" "$work/a.vmt"
done
many=$(for _ in $(seq 17); do printf -- '--inject parity '; done)
expect 2 'found a fault more, expected at most 16' "$ntmmu" run --mmu c $many "$work/a.vmt"

"$ntmmu" run --mmu c --inject read-error "$work/file.vmt" >"$work/out" || fail "a fault that was injected is a failure"
grep -q '^  injected  *1 faults; 1 exceptions and 0 failed services after them$' "$work/out" || fail "no word of an injected fault"
"$ntmmu" run --mmu c "$work/file.vmt" >"$work/out"
! grep -q injected "$work/out" || fail "an injected fault where none was"

# the directives say the same
for line in 'disk fixed:0' 'inject x' 'pagefile 5000 1000'; do
    printf '!vmt 1\n!%s\n!end\n' "$line" >"$work/bad.vmt"
    expect 2 "bad.vmt:2: !${line%% *}: found '" "$ntmmu" run --mmu c "$work/bad.vmt"
done
printf '!vmt 1\n!pagefile 64M\n!pagefile 32M 64M\n!disk fixed:2\n!inject parity@100:p=0.5,seed=7\n' >"$work/directives.vmt"
tail -n +2 "$work/a.vmt" >>"$work/directives.vmt"
run directives "$work/directives.vmt"
[ "$(value directives kernel.MmTotalCommitLimit)" = "$(value two kernel.MmTotalCommitLimit)" ] || fail '!pagefile differs'

# brackets that do not end well
printf '!vmt 1\nproc+ 1 0 "P1"\nthr+ 101 1\nx 0 101\ntry -1\nr 700000 4\nexpect exc=c0000005\nexcept\n!end\n' >"$work/again.vmt"
"$ntmmu" run --mmu c "$work/again.vmt" >"$work/out" && fail 'filter -1 goes on for ever'
grep -q 'filter -1 ran the event again twice' "$work/out" || fail 'no word of filter -1'
printf '!vmt 1\nproc+ 1 0 "P1"\nthr+ 101 1\nx 0 101\nexcept\n!end\n' >"$work/alone.vmt"
expect 2 'without the `try` it belongs to' "$ntmmu" run --mmu c "$work/alone.vmt"
