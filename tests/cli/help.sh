#!/usr/bin/env bash
# --help of the program and of every subcommand, --version; no arguments at all.
. "$(dirname "$0")/common.inc"
expect 0 '' "$ntmmu" --help
commands=$(awk '/^  [a-z]/ { print $1 }' "$work/stdout")
[ "$(wc -w <<<"$commands")" -ge 7 ] || fail "found commands $commands, expected at least seven"
for command in $commands; do
    expect 0 '' "$ntmmu" "$command" --help
    grep -q "Usage: ntmmu $command" "$work/stdout" || fail "ntmmu $command --help shows no usage"
done
expect 0 '' "$ntmmu" --version
grep -qE '^ntmmu [0-9]+\.[0-9]+' "$work/stdout" || fail "no version"
expect 2 'expected' "$ntmmu"
