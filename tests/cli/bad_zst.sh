#!/usr/bin/env bash
# A compressed trace that is cut short or damaged.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
for i in $(seq 3000); do echo "w $(printf %x $((0x410000 + i * 7 % 0x4000 / 4 * 4))) 4"; done >"$work/lines"
sed -i "/^!end/d" "$work/a.vmt"
cat "$work/lines" >>"$work/a.vmt"
echo '!end' >>"$work/a.vmt"
zstd -q "$work/a.vmt" -o "$work/a.vmt.zst"
expect 0 '' "$ntmmu" run --quiet --mmu c "$work/a.vmt.zst"
size=$(stat -c %s "$work/a.vmt.zst")
head -c $((size / 2)) "$work/a.vmt.zst" >"$work/cut.vmt.zst"
expect 2 'cut\.vmt\.zst.*expected' "$ntmmu" run --quiet --mmu c --json "$work/out.json" "$work/cut.vmt.zst"
cp "$work/a.vmt.zst" "$work/damaged.vmt.zst"
printf '\xff\xff\xff\xff\xff\xff\xff\xff' | dd of="$work/damaged.vmt.zst" bs=1 seek=$((size / 2)) conv=notrunc status=none
expect 2 'damaged\.vmt\.zst' "$ntmmu" run --quiet --mmu c --json "$work/out.json" "$work/damaged.vmt.zst"
[ ! -e "$work/out.json" ] || fail "a JSON file was left behind"
