#!/usr/bin/env bash
# An RTL with a bug: `check` prints both records, the tables on both machines, the events before, and a command that shows
# the moment as it is, options and all.
. "$(dirname "$0")/common.inc"
unset DISPLAY WAYLAND_DISPLAY
presets=${NTMMU_PRESET_DIR:-$(dirname "$ntmmu")/presets}
mkdir "$work/presets"
cp "$presets/tiny.mutate.so" "$work/presets/tiny.so"
export NTMMU_PRESET_DIR=$work/presets NTMMU_MUTANT
stores=()
for i in $(seq 20); do stores+=("w 41$((i % 4))000 4"); done
small_trace "$work/it's a trace.vmt" "${stores[@]}"
difference() { # MUTANT MESSAGE PATTERN…
    NTMMU_MUTANT=$1 message=$2
    shift 2
    expect 1 "$message" "$ntmmu" check --quiet --cpu tiny --latency 5 --ram 256M "$work/it's a trace.vmt"
    cp "$work/stdout" "$work/report"
    for pattern in '^  rtl    ' '^  c      ' '^tables of .* on rtl' '^tables of .* on c' '^  PDE at .*:' \
        '^the [0-9]+ events before it' "$@"; do
        grep -qE "$pattern" "$work/report" || { cat "$work/report"; fail "no line matches $pattern"; }
    done
    command=$(sed -n 's/^to see it: //p' "$work/report")
    (cd "$work" && eval "$command --out w.fst" >shown 2>&1) || { cat "$work/shown"; fail "fails: $command"; }
    [[ $command = *' --cpu tiny --ram 268435456 --latency 5 '* ]] || fail "options are missing: $command"
    fst2vcd "$work/w.fst" >"$work/vcd" && grep -q '^#[1-9]' "$work/vcd" || fail "no waveform: $command"
}
difference 24 '' # wrong victim: the hit levels differ
NTMMU_MUTANT=0
expect 0 '' "$ntmmu" check --quiet --cpu tiny "$work/it's a trace.vmt"
difference 25 '' 'FAULT .* error 0[37]' 'FAULT .* error 0[26]' # P = 1 in the error code of a page that is not present
difference 14 '^rtl mmu: .* the hardware hangs' 'stopped: the hardware hangs' # no way out of the walk
