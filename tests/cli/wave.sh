#!/usr/bin/env bash
# `ntmmu wave`: a waveform and a GTKWave save file around the moment asked for; `run --wave` dumps all of it.
. "$(dirname "$0")/common.inc"
unset DISPLAY WAYLAND_DISPLAY
small_trace "$work/a.vmt" 'w 411000 4' 'w 412000 4' 'r 410000 4'
"$ntmmu" build --quiet --assertions ref64 2>/dev/null
times() { fst2vcd "$1" | sed -n 's/^#//p'; }
window() { # WHAT: simulates, leaves "FROM TO" in $view, in cycles
    expect 0 '' "$ntmmu" wave --at "$1" --out "$work/w.fst" "$work/a.vmt"
    view=$(sed -nE 's/.*cycles ([0-9]+) to ([0-9]+).*/\1 \2/p' "$work/stdout")
    [ -n "$view" ] || { cat "$work/stdout"; fail "$1: no window"; }
    [ -s "$work/w.gtkw" ] || fail "$1: no save file"
    times "$work/w.fst" >"$work/times"
    # a cycle is 10 ns
    [ "$(head -n 1 "$work/times")" -lt $((${view% *} * 10 + 200)) ] || fail "$1: the waveform begins after $view"
    [ "$(tail -n 1 "$work/times")" -gt $((${view% *} * 10)) ] || fail "$1: the waveform ends before $view"
}
window fault:1
first=${view% *}
window fault:3
[ "${view% *}" -gt "$first" ] || fail "the third fault is not behind the first"
grep -q 'PF' "$work/w.gtkw" || fail "the fault has no marker"
third=$view
window access:7 # proc+ thr+ x alloc w r w w: the third fault
[ "$view" = "$third" ] || fail "event 7 at $view, expected the third fault, at $third"
from=${third% *} # booting takes the first two thousand cycles
window "cycle:$from-$((from + 50))"
[ "$view" = "$from $((from + 50))" ] || fail "found window $view, expected $from $((from + 50))"
grep -q 'no display' "$work/stdout" || fail "does not say how to open the files"
# --margin: so many events around it
length() { expect 0 '' "$ntmmu" wave --at access:4 --margin "$1" --out "$work/w.fst" "$work/a.vmt"; times "$work/w.fst" | wc -l; }
[ "$(length 0)" -lt "$(length 2)" ] || fail "the waveform with two events more on both sides is no longer"
# with a screen GTKWave opens both files, or there is a picture
mkdir -p "$work/bin"
printf '#!/bin/sh\necho "$@" >"%s/opened"\nexit ${GTKWAVE_EXIT:-0}\n' "$work" >"$work/bin/gtkwave"
chmod +x "$work/bin/gtkwave"
on_screen() { env DISPLAY=:7 PATH="$work/bin:$PATH" "$@"; }
expect 0 '' on_screen "$ntmmu" wave --at fault:1 --out "$work/w.fst" "$work/a.vmt"
[ "$(cat "$work/opened")" = "$work/w.fst $work/w.gtkw" ] || fail "GTKWave was given $(cat "$work/opened")"
expect 2 'found no gtkwave, expected it installed; the files are .*w.fst and .*w.gtkw' on_screen env GTKWAVE_EXIT=127 \
    "$ntmmu" wave --at fault:1 --out "$work/w.fst" "$work/a.vmt"
mkdir "$work/tree"
cp -a rtl tb "$work/tree"
printf '#!/bin/sh\necho "$1 $2" >"$3"\n' >"$work/tree/tb/waves/shot.sh"
expect 0 '' env NTMMU_HOME="$work/tree" "$ntmmu" wave --at fault:1 --out "$work/w.fst" --png "$work/w.png" "$work/a.vmt"
[ "$(cat "$work/w.png")" = "$work/w.fst $work/w.gtkw" ] && [ "$(tail -n 1 "$work/stdout")" = "$work/w.png" ] || fail "no picture"
expect 2 'none/w.png: could not be made by .*shot.sh' env NTMMU_HOME="$work/tree" \
    bash -c "'$ntmmu' wave --at fault:1 --out '$work/w.fst' --png '$work/none/w.png' '$work/a.vmt' 2>&1 >/dev/null | tail -n 1 >&2
        exit \${PIPESTATUS[0]}"
expect 0 '' "$ntmmu" run --quiet --assertions "$work/a.vmt"
rm "$work"/w.*
expect 2 'found 3 page faults, expected at least 4' "$ntmmu" wave --at fault:4 --out "$work/w.fst" "$work/a.vmt"
expect 2 'found 9 events, expected more than 50' "$ntmmu" wave --at access:50 --out "$work/w.fst" "$work/a.vmt"
expect 2 'found [0-9]+ cycles, expected more than 1000000' "$ntmmu" wave --at cycle:1000000-1000100 --out "$work/w.fst" "$work/a.vmt"
expect 2 'fault:N: found standard input, expected a file' "$ntmmu" wave --at fault:1 --out "$work/w.fst" - <"$work/a.vmt"
expect 2 'found 9 events, expected more than 50' "$ntmmu" run --quiet --wave "$work/w.fst" --wave-at access:50 "$work/a.vmt"
expect 2 'found [0-9]+ cycles, expected more than 1000000' "$ntmmu" run --quiet --wave "$work/w.fst" --wave-at cycle:1000000-1000100 "$work/a.vmt"
expect 0 '' env NTMMU_HOME="$work/tree" "$ntmmu" wave --at access:7 --margin 18446744073709551615 --out "$work/w.fst" --png "$work/w.png" "$work/a.vmt"
rm "$work"/w.*
mkfifo "$work/pipe"
expect 2 'pipe: found no regular file' "$ntmmu" run --quiet --wave "$work/pipe" "$work/a.vmt"
[ -p "$work/pipe" ] || fail "a waveform took the place of a pipe"
rm "$work/pipe"
expect 2 "--margin: found 'x', expected a number of events" "$ntmmu" wave --margin x "$work/a.vmt"
small_trace "$work/bad.vmt" 'r 410000'
expect 2 'bad.vmt:8: found the end of the line' "$ntmmu" wave --at fault:9 --out "$work/w.fst" "$work/bad.vmt"
expect 2 "--at: found 'fault:0', expected" "$ntmmu" wave --at fault:0 "$work/a.vmt"
expect 2 'found --mmu c, expected rtl' "$ntmmu" wave --mmu c "$work/a.vmt"
expect 2 'cannot write a waveform' "$ntmmu" wave --at access:5 --out "$work/no/w.fst" "$work/a.vmt"
[ -z "$(ls "$work" | grep '^w')" ] || fail "something was left behind: $(ls "$work")"
expect 2 'cannot write the waveform: the disk is full' bash -c "ulimit -f 4; trap '' XFSZ; '$ntmmu' run --quiet --pagefile 0 --wave '$work/w.fst' '$work/a.vmt'"
[ -z "$(ls "$work" | grep '^w')" ] || fail "half a waveform was left behind: $(ls "$work")"
expect 0 '' "$ntmmu" run --wave "$work/all.fst" "$work/a.vmt" # and statistics, which are read at held edges
times "$work/all.fst" | tail -n 1 >"$work/last"
[ "$(cat "$work/last")" -gt $((${third% *} * 10 + 100)) ] || fail "the whole waveform ends at $(cat "$work/last")"

# what waits: an access that goes on later, a fault behind the trace's end
printf '%s\n' '!vmt 1' 'proc+ 1 0 "a"' 'thr+ 101 1' 'proc+ 2 0 "b"' 'thr+ 201 2' 'x 0 101' 'sec+ 1 data 20000 "/f"' 'map 1 410000 10000 0 r' \
    'r 410000 4' 'r 411000 4' 'r 414000 4' 'x 0 201' '!end' >"$work/late.vmt"
expect 0 'event 8 waits, or is held back, and goes on during a later one' "$ntmmu" wave --disk fixed:5 --at access:8 --out "$work/w.fst" "$work/late.vmt"
found=$("$ntmmu" run --quiet --mmu c --disk fixed:5 --json - "$work/late.vmt" | jq .page_faults)
expect 2 "found [0-9]+ page faults, expected at least $found: it comes behind the last event" \
    "$ntmmu" wave --disk fixed:5 --at "fault:$found" --out "$work/w.fst" "$work/late.vmt"
sed 's/^r 411000 4/call Foo/' "$work/late.vmt" >"$work/foo.vmt"
expect 2 'foo.vmt:10: call: the kernel has no such function' "$ntmmu" wave --at fault:9 --out "$work/w.fst" "$work/foo.vmt"
