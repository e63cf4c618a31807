#!/usr/bin/env bash
# ntmmu gen: the same trace from the same seed, as many events as asked for, in little memory; bad options. And bare programs where
# they do not belong.
. "$(dirname "$0")/common.inc"
for mode in 32 pae long; do
    expect 0 '' "$ntmmu" gen --mode $mode --seed 5 --events 3000 "$work/a.vmt"
    "$ntmmu" gen --mode $mode --seed 5 --events 3000 >"$work/b.vmt"
    cmp "$work/a.vmt" "$work/b.vmt" || fail "mode $mode: one seed, two traces"
    "$ntmmu" gen --mode $mode --seed 6 --events 3000 "$work/c.vmt"
    ! cmp -s "$work/a.vmt" "$work/c.vmt" || fail "mode $mode: two seeds, one trace"
    "$ntmmu" info --json "$work/info" --quiet "$work/a.vmt"
    grep -q '"events": 3000,' "$work/info" || fail "mode $mode: not 3000 events"
    for kind in batch mov invlpg invpcid meddle access; do
        grep -q "\"$kind\": [1-9]" "$work/info" || fail "mode $mode: no $kind"
    done
    expect 0 '' "$ntmmu" check --quiet --mmu c "$work/a.vmt"
done
expect 0 '' "$ntmmu" gen --kind nt --mode pae --events 2000 "$work/nt.vmt.zst"
"$ntmmu" info --quiet "$work/nt.vmt.zst" || fail "a compressed trace that is none"
expect 0 '' "$ntmmu" check --quiet --mmu c --audit 100 "$work/nt.vmt.zst"
# streaming: two million events in the memory that any program needs
(ulimit -v 200000 && "$ntmmu" gen --events 2000000 - | tail -1 | grep -qx '!end') || fail "many events need much memory"

expect 2 "--kind: found 'x', expected mmu or nt" "$ntmmu" gen --kind x
expect 2 "--mode: found '64', expected 32, pae or long" "$ntmmu" gen --mode 64
expect 2 "--seed: found 'a', expected a number" "$ntmmu" gen --seed a
expect 2 "--events: found '0', expected at least 1" "$ntmmu" gen --events 0
expect 2 "CPU i486 has no PAE" "$ntmmu" gen --cpu i486 --mode pae
expect 2 "CPU p6 has no 4-level paging" "$ntmmu" gen --cpu p6 --mode long
expect 2 "found mode long, expected 32 or pae" "$ntmmu" gen --kind nt --mode long
expect 2 "found seed 4294967296, expected one of 32 bits" "$ntmmu" gen --kind nt --seed 4294967296
expect 2 "found a mild bare program" "$ntmmu" gen --mild
expect 2 "no-such-cpu" "$ntmmu" gen --cpu no-such-cpu
expect 2 "found a second name" "$ntmmu" gen "$work/d.vmt" "$work/e.vmt"
expect 2 "$work/no/d.vmt" "$ntmmu" gen "$work/no/d.vmt"
[ ! -e "$work/d.vmt" ] || fail "a trace was written in spite of bad options"

# A bare program is not for a kernel, nor the other way round; what only a kernel can use is refused.
bare() { printf '!vmt 1\n!boot bare\n%s\n!end\n' "$1" >"$work/bare.vmt"; }
for line in 'proc+ 1 0 "a"' 'R 10' 'alloc 410000 1000 rc rw' 'try 1'; do
    bare "$line"
    expect 2 'found an event of an operating system, expected one of a bare program' "$ntmmu" check --quiet --mmu c "$work/bare.vmt"
done
for line in 'mov cr3 1000' 'invlpg 1000' 'invpcid 0 0 0' 'batch r:410000' 'meddle 1' 'sr 410000 4'; do
    small_trace "$work/nt.vmt" "$line"
    expect 2 'expected !boot bare before it' "$ntmmu" check --quiet --mmu c "$work/nt.vmt"
done
small_trace "$work/nt.vmt" 'pokeq 100000 1122334455667788'
expect 0 '' "$ntmmu" check --quiet --mmu c "$work/nt.vmt"
bare 'mov cr9 0'
expect 2 ":3: found 'cr9', expected cr0, cr3, cr4, efer, ac or pat" "$ntmmu" check --quiet --mmu c "$work/bare.vmt"
bare 'batch r410000'
expect 2 ":3: found 'r410000', expected r, w, i or m" "$ntmmu" check --quiet --mmu c "$work/bare.vmt"
bare 'batch r:1 r:1 r:1 r:1 r:1 r:1 r:1 r:1 r:1'
expect 2 ":3: found 'r:1', expected" "$ntmmu" check --quiet --mmu c "$work/bare.vmt"
bare 'r 0 4'
for option in '--ws 20:60' '--pagefile 1M' '--disk fixed:3' '--inject parity' '--profile NT5' '--kernel direct'; do
    # shellcheck disable=SC2086
    expect 2 "${option%% *}: found it for .*, a bare program" "$ntmmu" check --quiet --mmu c $option "$work/bare.vmt"
done
for value in 'ws 20:60' 'pagefile 1M' 'disk fixed:3' 'inject parity' 'profile NT5' 'threads manual' 'checked' 'popup accept' 'unhandled end' \
    'maxmem 2000' 'bad 500' 'closed'; do
    sed "s/^!boot bare/&\n!$value/" "$work/bare.vmt" >"$work/setting.vmt"
    expect 2 "setting.vmt:3: !${value%% *}: found it in a bare program, expected" "$ntmmu" check --quiet --mmu c "$work/setting.vmt"
done
expect 2 'a bare machine has at most 4G' "$ntmmu" check --quiet --mmu c --ram 5G "$work/bare.vmt"
expect 2 'found a bare program' "$ntmmu" dump "$work/bare.vmt" '!vm'
expect 2 'found a bare program' "$ntmmu" dump "$work/bare.vmt" --image "$work/image"
[ ! -e "$work/image" ] || fail "an image was written"
expect 0 '' "$ntmmu" run --quiet --mmu c --json "$work/json" "$work/bare.vmt"

# Without CR4.PSE nothing is reserved in 32-bit paging (SDM 4.3), on a CPU without PAT either.
printf '!vmt 1\n!boot bare\npoke 1000 2007\npoke 2000 5087\nmov cr3 1000\nmov cr0 80000001\nr 0 4\nexpect exc=none\n!end\n' >"$work/bare.vmt"
expect 0 '' "$ntmmu" check --quiet --mmu c --cpu i486 "$work/bare.vmt"
# What a bare program expects is judged; what it does not expect fails nothing.
bare $'r 0 4\nexpect exc=e'
expect 1 '' "$ntmmu" check --quiet --mmu c "$work/bare.vmt"
