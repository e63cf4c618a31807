#!/usr/bin/env bash
# A short torture run, on the C MMU, and S-130 as its generator makes it, with the audit after every event.
. "$(dirname "$0")/common.inc"
build=$(dirname "$ntmmu")
mkdir "$work/build"
ln -s "$build/torture" "$work/build/torture"
NTMMU=$ntmmu tests/torture/torture.sh "$work/build" 7 10 --mmu c || fail "torture of seed 7"
scenario=tests/scenarios/S-130-everything-at-once.vmt
mapfile -t front < <(sed -n '2,/^!threads/p' "$scenario")
"$build/torture" 130 20 "${front[@]}" >"$work/s-130.vmt"
cmp "$scenario" "$work/s-130.vmt" || fail "S-130 is not what the generator makes"
expect 0 '' "$ntmmu" check --quiet --mmu c --audit 1 "$scenario"
