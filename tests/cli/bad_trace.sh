#!/usr/bin/env bash
# Traces that cannot be read: file, line, what was found, what was expected; exit code 2; no JSON left behind.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
bad() { # NAME PATTERN
    expect 2 "$2" "$ntmmu" run --mmu c --json "$work/out.json" "$work/$1"
    [ ! -e "$work/out.json" ] || fail "$1: a JSON file was left behind"
}
bad missing.vmt 'missing\.vmt'
sed 's/^!vmt 1/!vmt 99/' "$work/a.vmt" >"$work/newer.vmt"
bad newer.vmt 'newer\.vmt:1: found .*99.*expected'
sed '/^!end/d' "$work/a.vmt" >"$work/cut.vmt"
bad cut.vmt 'cut\.vmt:[0-9]+: found .*expected.*!end'
sed 's/^r 410000 4/r 41xyz 4/' "$work/a.vmt" >"$work/hex.vmt"
bad hex.vmt 'hex\.vmt:7: found .*41xyz.*expected'
sed 's/^r 410000 4/frobnicate 1 2/' "$work/a.vmt" >"$work/word.vmt"
bad word.vmt "word\\.vmt:7: found .*frobnicate.*expected"
sed 's/^r 410000 4/r/' "$work/a.vmt" >"$work/few.vmt"
bad few.vmt 'few\.vmt:7: found .*expected'
: >"$work/empty.vmt"
bad empty.vmt 'empty\.vmt.*expected'
head -c 4096 /dev/urandom >"$work/noise.vmt"
bad noise.vmt 'noise\.vmt:1: found .*expected'
expect 2 'work|directory|expected' "$ntmmu" run --mmu c "$work"
for value in 'boot CFG-X' 'threads maybe' 'ram 0' 'ram xyz' 'maxmem 0' 'bad 9-5' 'ws 9' 'pagefile -1' 'boot' 'profile NT9' \
    'page 8192' 'gran 4096' 'va 48 0 7fff0000' 'va 32 zz 7fff0000' 'page 4096 1' 'closed x'; do
    sed "s/^!vmt 1/&\n!$value/" "$work/a.vmt" >"$work/directive.vmt"
    bad directive.vmt "directive\\.vmt:2: !${value%% *}: found .*expected"
done
# each once, in any order
for value in 'boot CFG-A' 'ram 32M' 'profile NT5' 'closed'; do
    sed "s/^!vmt 1/&\n!$value\n!page 4096\n!$value/" "$work/a.vmt" >"$work/directive.vmt"
    bad directive.vmt "directive\\.vmt:4: !${value%% *}: found it again after line 2, expected it once"
done
for order in '!profile NT5PAE\n!boot CFG-A' '!boot CFG-A\n!profile NT5PAE'; do
    sed "s/^!vmt 1/&\n$order/" "$work/a.vmt" >"$work/profile.vmt"
    expect 2 'p5.*no pae.*NT5PAE' "$ntmmu" run --mmu c --cpu p5 "$work/profile.vmt"
done
for order in '!profile NT5\n!boot CFG-P' '!boot CFG-P\n!profile NT5'; do
    sed "s/^!vmt 1/&\n$order/" "$work/a.vmt" >"$work/profile.vmt"
    expect 0 '' "$ntmmu" run --quiet --mmu c --cpu p5 "$work/profile.vmt"
done
for order in '!pagefile 0\n!pagefile 1M' '!pagefile 1M\n!pagefile 0' '!pagefile 0\n!pagefile 0'; do
    sed "s/^!vmt 1/&\n$order/" "$work/a.vmt" >"$work/directive.vmt"
    bad directive.vmt 'directive\.vmt:3: !pagefile: found'
done
# large pages are asked of a CPU only where the kernel uses them
sed "s/^!vmt 1/&\n!boot CFG-NOPSE/" "$work/a.vmt" >"$work/nopse.vmt"
expect 2 'i486.*no pse' "$ntmmu" run --mmu c --cpu i486 "$work/a.vmt"
expect 0 '' "$ntmmu" run --mmu c --cpu i486 --check all "$work/nopse.vmt"
# a profile that only a CPU with PAE runs
for value in 'boot CFG-P' 'profile NT5PAE'; do
    sed "s/^!vmt 1/&\n!$value/" "$work/a.vmt" >"$work/pae.vmt"
    expect 2 'p5.*no pae.*NT5PAE' "$ntmmu" check --cpu p5 "$work/pae.vmt"
    expect 0 '' "$ntmmu" dump "$work/pae.vmt" '!vm'
    expect 0 '' "$ntmmu" run --mmu c "$work/pae.vmt"
done
# a share count of PAE's longer PFN entries, and the audit that reads them
cat >"$work/pae-share.vmt" <<'EOF'
!vmt 1
!boot CFG-P
proc+ 1 0 "P1"
thr+ 101 1
x 0 101
alloc 410000 3000 rc rw
w 410000 4 =1
poke 208128 2
!end
EOF
found=$("$ntmmu" run --mmu c --check audit "$work/pae-share.vmt") && exit 1
grep -q 'audit I4: frame 409: share count expected 1, found 2' <<<"$found" || { echo "PAE audit: $found"; exit 1; }
# numbers that only a bare program may have: the kernel has 32 bits. Every command that replays refuses them.
wide() { # LINE NUMBER [LIMIT]
    small_trace "$work/wide.vmt" "$1"
    bad wide.vmt "wide\\.vmt:8: found $2, expected a number below ${3:-100000000}"
}
wide 'alloc 100500000 1000 rc rw' 100500000
wide 'alloc 500000 100001000 rc rw' 100001000
wide 'free 7f00410000 1000 d' 7f00410000
wide 'move 410000 420000 ffffffffffffffff' ffffffffffffffff
wide 'prot 410000 100000000 r' 100000000
wide 'mdl+ 1 100410000 1000 w' 100410000
wide 'w 100410000 4' 100410000
wide 'W 100410 2' 100410 100000
wide 'call NtAllocateVirtualMemory ffffffff 100410000 0 1000 3000 4' 100410000
wide 'call ZwReadFile 1 100000000 1000 200410000' 200410000
for command in 'run --mmu c' 'check --cpu ref64' 'dump' 'wave --at access:0'; do
    expect 2 'wide\.vmt:8: found 200410000, expected' "$ntmmu" $command "$work/wide.vmt" $([ "$command" != dump ] || echo '!vm')
done
expect 2 'wide\.vmt: found .*cannot be replayed' "$ntmmu" shrink "$work/wide.vmt"
printf '!vmt 1\nr 100000000 4\n!end\n' >"$work/first.vmt"
bad first.vmt 'first\.vmt:2: found 100000000, expected'
printf '!vmt 1\n!boot bare\nr 0 4\nw 100000000 4\n!end\n' >"$work/bare.vmt"
expect 0 '' "$ntmmu" run --quiet --mmu c "$work/bare.vmt"
small_trace "$work/files.vmt" 'sec+ 1 data 200000000 "f"' 'map 1 500000 1000 100000000 r' 'poke 100000000 1' 'pokeq 100000000 123456789'
expect 0 '' "$ntmmu" run --quiet --mmu c --check all "$work/files.vmt"
# an address that is no multiple of what is stored there
small_trace "$work/poke.vmt" 'poke 30ffe 1'
bad poke.vmt "poke\\.vmt:8: found '30ffe', expected .*multiple of 4"
small_trace "$work/poke.vmt" 'pokeq 30004 1'
bad poke.vmt "poke\\.vmt:8: found '30004', expected .*multiple of 8"
# an event that no machine takes is refused, whatever is expected of it
for lines in 'mov cr3 1000\nexpect exc=d' 'call Foo\nexpect status=5' 'call MmIsAddressValid\nexpect out=1' '!boot bare\nR 0\nexpect tlb=walk'; do
    printf "!vmt 1\n$lines\n!end\n" >"$work/taken.vmt"
    rc=0
    "$ntmmu" run --quiet --mmu c "$work/taken.vmt" >"$work/stdout" 2>"$work/stderr" || rc=$?
    [ $rc = 2 ] && ! grep -q expect: "$work/stderr" || { cat "$work/stdout" "$work/stderr"; fail "exit code $rc: $lines"; }
done
small_trace "$work/frame.vmt" 'expect pfn.4000=flags:0'
bad frame.vmt 'frame\.vmt:8: found .*, expected pfn\.FRAME=…, a frame that there is'
printf '!vmt 1\n!boot bare\n!ram 5M\nr 0 4\n!end\n' >"$work/bare.vmt"
bad bare.vmt 'bare\.vmt: found 5242880 bytes of RAM for a bare program, expected a multiple of 4M'
small_trace "$work/wait.vmt" 'drain 0' 'w 411000 1' 'expect fault=block'
expect 1 '' "$ntmmu" run --quiet --mmu c "$work/wait.vmt"
grep -q "wait.vmt: 1 events still wait" "$work/stdout" || { cat "$work/stdout"; fail "no word of the trace that waits"; }
