#!/usr/bin/env bash
# Every wrong option is one line that says what was found and what was expected, and exit code 2.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
expect 2 "found command 'walk', expected run" "$ntmmu" walk
for command in run check; do
    expect 2 'found no trace' "$ntmmu" "$command"
    expect 2 "second trace 'b'" "$ntmmu" "$command" a b
    expect 2 "unrecognized option '--bogus'" "$ntmmu" "$command" --bogus "$work/a.vmt"
    expect 2 "option '--ram' requires an argument" "$ntmmu" "$command" --ram
    expect 2 "--mmu: found 'x', expected rtl, c or the file" "$ntmmu" "$command" --mmu x "$work/a.vmt"
    expect 2 "--ram: found '5Q', expected a size" "$ntmmu" "$command" --ram 5Q "$work/a.vmt"
    expect 2 "--ram: found '-1', expected a size" "$ntmmu" "$command" --ram -1 "$work/a.vmt"
    expect 2 "--ram: found '99999999999G', expected a size" "$ntmmu" "$command" --ram 99999999999G "$work/a.vmt"
    expect 2 "--pagefile: found '1GB', expected a size" "$ntmmu" "$command" --pagefile 1GB "$work/a.vmt"
    expect 2 "--pagefile: found a file more, expected at most 16" "$ntmmu" "$command" $(printf -- '--pagefile 1M %.0s' {1..17}) "$work/a.vmt"
    expect 2 "--inject: found a fault more, expected at most 16" "$ntmmu" "$command" $(printf -- '--inject parity %.0s' {1..17}) "$work/a.vmt"
    expect 2 "--profile: found 'NT6', expected NT4" "$ntmmu" "$command" --profile NT6 "$work/a.vmt"
    expect 2 "--ws: found '50:20', expected MIN:MAX" "$ntmmu" "$command" --ws 50:20 "$work/a.vmt"
    expect 2 "--kernel: found 'x', expected mmu or direct" "$ntmmu" "$command" --kernel x "$work/a.vmt"
    expect 2 "--counting: found 'x', expected nt or reference" "$ntmmu" "$command" --counting x "$work/a.vmt"
    expect 2 "--latency: found '0', expected 1 to 1000" "$ntmmu" "$command" --latency 0 "$work/a.vmt"
    expect 2 "--check: found 'x', expected lockstep" "$ntmmu" "$command" --check x "$work/a.vmt"
    expect 2 "--check: found 'no-', expected lockstep" "$ntmmu" "$command" --check no- "$work/a.vmt"
    expect 2 "--audit: found 'x', expected a number" "$ntmmu" "$command" --audit x "$work/a.vmt"
    expect 2 "--wave: found --mmu c, expected rtl" "$ntmmu" "$command" --mmu c --wave "$work/a.fst" "$work/a.vmt"
    expect 2 "--wave: found standard output, expected" "$ntmmu" "$command" --wave - "$work/a.vmt"
    expect 2 "--wave-at: found 'x', expected access:N" "$ntmmu" "$command" --wave "$work/a.fst" --wave-at x "$work/a.vmt"
    expect 2 "--wave-at: found 'cycle:9-5', expected" "$ntmmu" "$command" --wave "$work/a.fst" --wave-at cycle:9-5 "$work/a.vmt"
    expect 2 "--wave-at: found no --wave" "$ntmmu" "$command" --wave-at fault:1 "$work/a.vmt"
done
expect 2 'found no preset' "$ntmmu" build
expect 2 "--mmu: found 'x', expected rtl, c or the file" "$ntmmu" vectors --mmu x "$work/a.vmt"
# the limit that the message names works
expect 2 '--ram: found 4294967296 bytes, expected 262144 to [0-9]+$' "$ntmmu" run --mmu c --ram 4G "$work/a.vmt"
most=$(sed 's/.* //' "$work/stderr")
expect 0 '' "$ntmmu" run --quiet --mmu c --ram "$most" "$work/a.vmt"
expect 2 "expected 262144 to $most" "$ntmmu" run --mmu c --ram $((most + 4096)) "$work/a.vmt"
[ -z "$(ls "$work" | grep -v -e a.vmt -e std)" ] || fail "something was left behind: $(ls "$work")"
for option in out png; do expect 2 "--$option: found standard output, expected" "$ntmmu" wave --$option - "$work/a.vmt"; done
