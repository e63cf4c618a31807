#!/usr/bin/env bash
# `ntmmu build`: what it builds, when, under which name. In a tree of our own whose tb/build_preset.sh only notes what it is
# asked for: the RTL is not at issue here.
. "$(dirname "$0")/common.inc"
tree=$work/tree
mkdir -p "$tree/rtl/presets" "$tree/tb" "$tree/csrc/mmu" "$work/models"
cp rtl/presets/tiny.preset "$tree/rtl/presets/"
printf '%s\n' '// none' >"$tree/rtl/mmu.sv"
cat >"$tree/tb/build_preset.sh" <<'END'
#!/bin/bash
echo "$(basename "$1") $(basename "$2") ${3:-}" >>"$(dirname "$0")/asked"
cp "$1" "$2"
END
chmod +x "$tree/tb/build_preset.sh"
export NTMMU_HOME=$tree NTMMU_PRESET_DIR=$work/models

asked() { # what was built since the last time
    diff -u <(for line in "$@"; do echo "$line"; done) <(cat "$tree/tb/asked" 2>/dev/null) || fail "expected those to be built"
    rm -f "$tree/tb/asked"
}
builds() { # MODEL ARGUMENT…: says so, and where it is
    expect 0 '^ntmmu: building the Verilated MMU of preset ' "$ntmmu" build "${@:2}"
    [ "$(cat "$work/stdout")" = "$work/models/$1" ] || fail "printed $(cat "$work/stdout"), expected $work/models/$1"
}

builds tiny.so tiny
asked 'tiny.preset tiny.so '
# what it was given says the same as the file
expect 0 '' tb/build_preset.sh rtl/presets/tiny.preset --parameters
mv "$work/stdout" "$work/parameters"
cp "$work/models/tiny.so" "$work/given.preset"
expect 0 '' tb/build_preset.sh "$work/given.preset" --parameters
cmp "$work/parameters" "$work/stdout" || fail "another preset was given"

# once
expect 0 '' "$ntmmu" build tiny
[ "$(cat "$work/stdout")" = "$work/models/tiny.so" ] || fail "printed $(cat "$work/stdout")"
asked
# again when a source is newer
for source in rtl/mmu.sv rtl/presets/tiny.preset tb/build_preset.sh tb/preset_parameters.c tb/pins.h tb/trace.vlt \
    csrc/mmu/preset.c; do
    touch -d '+1 hour' "$tree/$source"
    builds tiny.so tiny
    asked 'tiny.preset tiny.so '
    touch -d '-1 hour' "$tree/$source"
done
# with assertions: beside it
builds tiny.assert.so --assertions tiny
asked 'tiny.preset tiny.assert.so --assert'

# a preset from elsewhere: of the same shape the tree's; of another, one of its own by its shape
mkdir "$work/mine"
sed 's/^source .*/source mine/' rtl/presets/tiny.preset >"$work/mine/tiny.preset"
expect 0 '' "$ntmmu" build "$work/mine/tiny.preset"
asked
sed 's/^dtlb *4k .*/dtlb 4k 4 4/' rtl/presets/tiny.preset >"$work/mine/tiny.preset"
expect 0 'building' "$ntmmu" build "$work/mine/tiny.preset"
grep -qE '/models/tiny-[0-9a-f]{8}\.so$' "$work/stdout" || fail "no name of its own: $(cat "$work/stdout")"
asked "tiny.preset $(basename "$(cat "$work/stdout")") "

# the first that cannot be built ends it, without a model
expect 2 'nope\.preset: found .*, expected a preset file' "$ntmmu" build tiny nope "$work/mine/tiny.preset"
rm -f "$work"/models/*
printf '#!/bin/bash\nexit 1\n' >"$tree/tb/build_preset.sh"
rc=0
"$ntmmu" build tiny >"$work/stdout" 2>"$work/stderr" || rc=$?
[ $rc = 2 ] || fail "exit code $rc, expected 2"
tail -n 1 "$work/stderr" | grep -q 'tiny\.so: .*build_preset\.sh failed for preset tiny' || fail "no word of the failure: $(cat "$work/stderr")"
[ -z "$(ls "$work/models")" ] || fail "left behind: $(ls "$work/models")"
rm "$tree/tb/build_preset.sh"
expect 2 'no Verilated MMU, and .*/tb/build_preset\.sh to build it is not there' "$ntmmu" build tiny
"$ntmmu" build 2>"$work/stderr" && fail "no preset was taken"
grep -q 'found no preset, expected at least one' "$work/stderr" || fail "no word about the missing preset"
# no directory for the models; a program that lies elsewhere finds the presets of the tree that it was built in
expect 2 '/proc/none: ' env NTMMU_PRESET_DIR=/proc/none "$ntmmu" build tiny
small_trace "$work/a.vmt"
cp "$ntmmu" "$work/elsewhere"
expect 0 '' env -u NTMMU_HOME "$work/elsewhere" run --quiet --mmu c --cpu p6 "$work/a.vmt"
