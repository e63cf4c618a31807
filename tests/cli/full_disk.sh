#!/usr/bin/env bash
# No room for the result: one line, exit code 2, nothing half written.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
printf '# MAXPHYADDR 40\n' >"$work/none.vec"
json() { # FILE PATTERN: every command that writes JSON says so in one line
    expect 2 "$2" "$ntmmu" run --quiet --mmu c --json "$1" "$work/a.vmt"
    expect 2 "$2" "$ntmmu" info --quiet --json "$1" "$work/a.vmt"
    expect 2 "$2" "$ntmmu" vectors --quiet --mmu c --json "$1" "$work/none.vec"
}
json /dev/full '/dev/full: cannot write'
expect 2 '^ntmmu: -: No space left on device' bash -c "'$ntmmu' gen --events 100000 - >/dev/full"
[ -c /dev/full ] || fail "/dev/full was replaced"
mkdir "$work/d"
json "$work/d/no/out.json" 'd/no/out.json: cannot write'
[ -z "$(ls "$work/d")" ] || fail "something was left behind"
for command in "run --mmu c $work/a.vmt" "info $work/a.vmt" "vectors --mmu c $work/none.vec" "convert --from vmt $work/a.vmt $work/b.vmt" "build tiny"; do
    expect 2 'cannot write to standard output' bash -c "'$ntmmu' $command >/dev/full"
done
"$ntmmu" run --mmu c "$work/a.vmt" >/dev/full 2>"$work/stderr" && fail "a summary nobody could read was a success"
grep -q 'standard output' "$work/stderr" || fail "no message about standard output"
