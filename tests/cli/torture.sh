#!/usr/bin/env bash
# A short torture run on the C MMU, interrupted runs and failures; and S-130 as its generator makes it, with the audit after every
# event.
. "$(dirname "$0")/common.inc"
build=$work/build
mkdir "$build"
run() { NTMMU=$ntmmu tests/torture/torture.sh "$build" "$@"; }
run 7 3000 2 'tiny i486' --mmu c >"$work/out" || fail "torture of seed 7"
grep -q '3000 events of bare programs, 4000 for the NT kernel, in 10 of 10 pieces' "$work/out" || { cat "$work/out" >&2; fail "not all was run"; }
[ -z "$(ls "$build/torture-run")" ] || fail "found files, expected none after a run that passed: $(ls "$build/torture-run")"
expect 2 "found '0', expected SEED, EVENTS" run 0 3000 1 tiny
expect 2 'no-such' run 1 3000 1 no-such

# An MMU that is wrong: the trace stays, with the command for it; the pieces that are done are not run again.
NTMMU=$ntmmu tests/torture/piece.sh "$build" mmu 32 tiny 5 4000 --mmu "$(dirname "$ntmmu")/examples/tiny_mmu.bugs-2.so" 2>"$work/err" &&
    fail "a wrong MMU passed"
trace=$build/torture-run/mmu-32-tiny-5.vmt
grep -q "^to make it small: .* shrink .* $trace\$" "$work/err" || { cat "$work/err" >&2; fail "no command"; }
"$ntmmu" info --quiet "$trace" || fail "the trace that failed is not there"

# A generator that fails behind a whole program, as one that leaks does under ASan.
cat >"$work/leaks" <<END
#!/usr/bin/env bash
"$(realpath "$ntmmu")" "\$@" || exit
[ "\$1" != gen ] || exit 23
END
chmod +x "$work/leaks"
rc=0
NTMMU=$work/leaks tests/torture/piece.sh "$build" mmu 32 tiny 5 100 --mmu c 2>"$work/err" || rc=$?
[ $rc = 23 ] && grep -q 'the generator ended with exit code 23' "$work/err" || { cat "$work/err" >&2; fail "exit code $rc, expected the generator's 23"; }

scenario=tests/scenarios/S-130-everything-at-once.vmt
mapfile -t front < <(sed -n '2,/^!threads/p' "$scenario")
lines=()
for line in "${front[@]}"; do lines+=(--line "$line"); done
"$ntmmu" gen --kind nt --seed 130 --events 1130 "${lines[@]}" "$work/s-130.vmt"
cmp "$scenario" "$work/s-130.vmt" || fail "S-130 is not what the generator makes"
expect 0 '' "$ntmmu" check --quiet --mmu c --audit 1 "$scenario"
