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
    'page 8192' 'gran 4096' 'va 48 0 7fff0000'; do
    sed "s/^!vmt 1/&\n!$value/" "$work/a.vmt" >"$work/directive.vmt"
    bad directive.vmt "directive\\.vmt:2: !${value%% *}: found .*expected"
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
