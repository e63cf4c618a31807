#!/usr/bin/env bash
# ntmmu shrink: what a planted bug breaks becomes a few events that break in the same way; a trace that passes, or is none; limits.
. "$(dirname "$0")/common.inc"
presets=${NTMMU_PRESET_DIR:-build/presets}
examples=$(dirname "$ntmmu")/examples
events() { grep -vcE '^(!|#|expect )' "$1"; }

# A bare program and one for the kernel, on RTL that forgets to set D (mutant 9), or INVLPG in the second level (46).
small() { # MUTANT KIND MODE MOST
    local mutant=$1 kind=$2 mode=$3 most=$4 trace=$work/$2-$1.vmt
    "$ntmmu" gen --kind "$kind" --mode "$mode" --cpu tiny-l2 --seed 3 --events 3000 "$trace"
    local options=(--cpu tiny-l2 --mmu "$presets/tiny-l2.mutate.so")
    expect 0 '' env NTMMU_MUTANT="$mutant" "$ntmmu" shrink "${options[@]}" "$trace"
    local min=${trace%.vmt}.min.vmt
    [ "$(events "$min")" -le "$most" ] || { cat "$min" >&2; fail "mutant $mutant, $kind: $(events "$min") events left"; }
    grep -q "^to see it: .*wave .*--mmu .*tiny-l2.mutate.so .*$min --at access:$(($(events "$min") - 1))\$" "$work/stdout" ||
        { cat "$work/stdout" >&2; fail "no command for a waveform"; }
    diff "$min" <(sed '/^!end$/q' "$work/stdout") || fail "what is printed is not what was written"
    expect 1 '' env NTMMU_MUTANT="$mutant" "$ntmmu" check --quiet "${options[@]}" "$min"
    grep -q '^lockstep: event' "$work/stdout" || fail "mutant $mutant, $kind: fails otherwise"
    expect 0 '' "$ntmmu" check --quiet --check lockstep --cpu tiny-l2 "${options[@]:2}" "$min" # and without the bug
}
small 9 mmu long 10
small 9 nt 32 6
small 46 nt 32 12

# Somebody's own MMU, judged by the architecture.
own=(--mmu "$examples/tiny_mmu.bugs-2.so" --cpu examples/own-mmu/tiny_mmu.preset --compare architecture)
"$ntmmu" gen --kind nt --seed 4 --events 3000 "$work/own.vmt"
expect 0 '' "$ntmmu" shrink --quiet "${own[@]}" -o "$work/own-small.vmt.zst" "$work/own.vmt"
expect 1 '' "$ntmmu" check --quiet "${own[@]}" "$work/own-small.vmt.zst"
[ "$(zstdcat "$work/own-small.vmt.zst" | events /dev/stdin)" -le 10 ] || fail "the own MMU's trace is not small"

# An MMU that crashes on one page: the access to it is what is left.
wrapped_mmu "$work/crashing.so" "$examples/tiny_mmu.so" translate <<END
static size_t translate(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (request[i].va >> 12 == 0x413) { abort(); }
    }
    return inner->translate(mmu, request, result, count);
}
END
small_trace "$work/crash.vmt" 'w 411000 4' 'w 413000 4' 'w 412000 4'
expect 0 '' "$ntmmu" shrink --mmu "$work/crashing.so" "${own[@]:2}" -o "$work/crash-small.vmt" "$work/crash.vmt"
grep -q 'crash-small.vmt: 1 events fail like .*crash.vmt: crash, signal 6;' "$work/stdout" || { cat "$work/stdout" >&2; fail "the crash is not told"; }
grep -qx 'w 413000 1\|r 413000 1' "$work/crash-small.vmt" || { cat "$work/crash-small.vmt" >&2; fail "the access that crashes has gone"; }

# An expectation that is wrong stays, with what it needs; addresses and sizes get simple.
small_trace "$work/data.vmt" 'w 411238 8 =12' 'prot 412000 1000 r' 'r 411238 8' 'expect data=13' 'w 412000 4'
expect 0 '' "$ntmmu" shrink --quiet --mmu c "$work/data.vmt"
grep -qx 'expect data=13' "$work/data.min.vmt" || fail "the expectation is lost"
! grep -qE '411238|prot|=12|w ' "$work/data.min.vmt" || { cat "$work/data.min.vmt" >&2; fail "not simple"; }
expect 1 '' "$ntmmu" check --quiet --mmu c "$work/data.min.vmt"
# the command that shows the moment is one for a shell, whatever the trace is called
cp "$work/data.vmt" "$work/it's \$5.vmt"
expect 0 '' "$ntmmu" shrink --mmu c "$work/it's \$5.vmt"
eval "set -- $(sed -n 's/^to see it: //p' "$work/stdout")"
[ "$2" = wave ] && [ "$3" = "$work/it's \$5.min.vmt" ] && [ "$4 $5" = '--at access:0' ] || fail "no command for a shell: $(grep '^to see' "$work/stdout")"

# Nothing to do, nothing that can be done
small_trace "$work/good.vmt"
expect 2 'good.vmt: found a trace that passes, expected one that fails' "$ntmmu" shrink --mmu c "$work/good.vmt"
[ ! -e "$work/good.min.vmt" ] || fail "a trace was written though nothing fails"
small_trace "$work/bad.vmt" 'w 410000'
expect 2 'bad.vmt:8: found the end of the line' "$ntmmu" shrink --mmu c "$work/bad.vmt"
small_trace "$work/bad.vmt" 'r 410000 4' 'expect nonsense=1'
expect 2 'found a trace that cannot be replayed' "$ntmmu" shrink --mmu c "$work/bad.vmt"
expect 2 'found standard input, expected a file' "$ntmmu" shrink --mmu c -
expect 2 'found standard output, expected a file' "$ntmmu" shrink --mmu c -o - "$work/good.vmt"
expect 2 'found --json or --wave' "$ntmmu" shrink --mmu c --json "$work/x.json" "$work/data.vmt"
expect 2 "--seconds: found '0', expected at least 1" "$ntmmu" shrink --seconds 0 "$work/data.vmt"
expect 2 'no.vmt' "$ntmmu" shrink "$work/no.vmt"
expect 2 'no/out.vmt' "$ntmmu" shrink --quiet --mmu c -o "$work/no/out.vmt" "$work/data.vmt"

# The time is up, or somebody has had enough: the smallest so far is there, and fails.
"$ntmmu" gen --kind nt --seed 4 --events 5000 "$work/long.vmt"

expect 0 '' "$ntmmu" shrink --quiet --seconds 1 "${own[@]}" -o "$work/second.vmt" "$work/long.vmt"
expect 1 '' "$ntmmu" check --quiet "${own[@]}" "$work/second.vmt"
"$ntmmu" shrink --quiet "${own[@]}" -o "$work/stopped.vmt" "$work/long.vmt" >"$work/out" 2>"$work/err" &
pid=$!
sleep 0.5
kill -INT $pid 2>/dev/null || true # quick machines are done by now
rc=0
wait $pid || rc=$?
if [ $rc = 130 ]; then
    grep -q 'interrupted: .*stopped.vmt is the smallest so far' "$work/err" || { cat "$work/err" >&2; fail "not told"; }
else
    [ $rc = 0 ] || { cat "$work/err" >&2; fail "exit code $rc when interrupted"; }
fi
expect 1 '' "$ntmmu" check --quiet "${own[@]}" "$work/stopped.vmt"
