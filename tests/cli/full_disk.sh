#!/usr/bin/env bash
# No room for the result: one line, exit code 2, nothing half written.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
expect 2 '/dev/full: cannot write' "$ntmmu" run --quiet --mmu c --json /dev/full "$work/a.vmt"
[ -c /dev/full ] || fail "/dev/full was replaced"
mkdir "$work/d"
expect 2 'd/no/out.json: cannot write' "$ntmmu" run --quiet --mmu c --json "$work/d/no/out.json" "$work/a.vmt"
[ -z "$(ls "$work/d")" ] || fail "something was left behind"
"$ntmmu" run --mmu c "$work/a.vmt" >/dev/full 2>"$work/stderr" && fail "a summary nobody could read was a success"
grep -q 'standard output' "$work/stderr" || fail "no message about standard output"
