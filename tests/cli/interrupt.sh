#!/usr/bin/env bash
# Ctrl-C: exit code 130, says how far it came, and the waveform can be read.
. "$(dirname "$0")/common.inc"
small_trace "$work/long.vmt"
sed -i '/^!end/d' "$work/long.vmt"
mkfifo "$work/pipe"
trap '' PIPE # it stops reading before we stop writing
"$ntmmu" build --quiet ref64 2>/dev/null # its progress is none of ours
"$ntmmu" run --quiet --wave "$work/a.fst" - <"$work/pipe" 2>"$work/stderr" &
child=$!
exec 3>"$work/pipe"
cat "$work/long.vmt" >&3
# more than a pipe holds: when all is written, the program is in the middle of an unfinished trace
for i in $(seq 20000); do echo "w $(( 410000 + i % 4 * 1000 )) 4"; done >&3
kill -INT $child
for i in $(seq 20000); do echo "r 410000 4"; done >&3 2>/dev/null || true
exec 3>&-
rc=0
wait $child || rc=$?
[ $rc = 130 ] || { cat "$work/stderr"; fail "exit code $rc, expected 130"; }
grep -qE 'interrupted after [1-9][0-9]* events' "$work/stderr" || { cat "$work/stderr"; fail "does not say how far it came"; }
fst2vcd "$work/a.fst" >"$work/a.vcd" || fail "the waveform cannot be read"
grep -q '^#[1-9]' "$work/a.vcd" || fail "the waveform is empty"

# in the middle of waiting for a pipe that says nothing: once is enough
for begun in no yes; do
    waited=0
    "$ntmmu" run --quiet --mmu c - <"$work/pipe" 2>"$work/stderr" &
    child=$!
    exec 3>"$work/pipe"
    [ $begun = no ] || cat "$work/long.vmt" >&3
    until grep -qE 'pipe_read|pipe_wait' /proc/$child/wchan 2>/dev/null || [ $((waited++)) -ge 20 ]; do sleep 0.1; done
    kill -INT $child
    rc=0
    timeout 10 tail --pid=$child -f /dev/null || fail "does not stop while it waits"
    wait $child || rc=$?
    exec 3>&-
    [ $rc = 130 ] || { cat "$work/stderr"; fail "waiting: exit code $rc, expected 130"; }
    grep -qE '^ntmmu: interrupted (after 6|before the first) event' "$work/stderr" || { cat "$work/stderr"; fail "waiting: does not say how far it came"; }
done

# a program that is being written: no half of it stays
"$ntmmu" gen --events 100000000 "$work/gen.vmt.zst" 2>"$work/stderr" &
child=$!
until ls "$work" | grep -q gen; do sleep 0.1; done
kill -INT $child
rc=0
wait $child || rc=$?
[ $rc = 130 ] && grep -qx 'ntmmu: interrupted' "$work/stderr" || { cat "$work/stderr"; fail "gen: exit code $rc, expected 130"; }
[ -z "$(ls "$work" | grep gen)" ] || fail "gen left something behind: $(ls "$work")"

# while the model is built, as the terminal does it: to all that run
NTMMU_PRESET_DIR=$work/presets setsid "$ntmmu" run --mmu rtl "$work/long.vmt" 2>"$work/stderr" &
child=$!
until grep -q building "$work/stderr"; do sleep 0.1; done
kill -INT -- -$child
rc=0
wait $child || rc=$?
[ $rc = 130 ] || { cat "$work/stderr"; fail "building: exit code $rc, expected 130"; }
[ -z "$(ls "$work/presets")" ] || fail "half a model was left behind: $(ls "$work/presets")"
