#!/usr/bin/env bash
# What dump prints, against the entries that NT-54's worked soft fault gives; and the image of physical memory, walked
# by a reader of page tables that shares no line with the program.
. "$(dirname "$0")/common.inc"
trace=tests/scenarios/S-24-soft-fault.vmt # event 5 trims the page that event 4 wrote
says() { grep -qE -- "$1" "$work/stdout" || { cat "$work/stdout" >&2; fail "found no line like '$1'"; }; }

expect 0 '' "$ntmmu" dump "$trace" --at 5 '!pte 410000' '!pfn 404' '!vm' '!vad' '!wsle 1' '!sysptes' '!process' \
    '!memusage' '!poolused'
says '^PTE at   c0001040$'
says '^contains 00404886  not valid, Transition: 404, Protect: 4$'
says 'reference count 0000'
says 'restore pte 00000080  containing page 000403  Modified'
says '^ +Modified Pages: +1 '
says '^00410000 00412fff +3  Private 04 READWRITE MemCommit$'
says '^    3    c0001000  401$'
says 'Image: P1$'
says '^ +TOTAL +16384 '
says '^Proc '
expect 0 '' "$ntmmu" dump "$trace" --at 4 '!pte 410000'
says '^contains 00404067  pfn 404 ---DA--UWEV$'

# What was freed while an MDL holds it has no address; an outswapped process's working-set list is in no page.
expect 0 '' "$ntmmu" dump tests/scenarios/S-99-free-while-locked.vmt --at 6 '!pfn 404'
says '^    its address was freed$'
expect 2 'process 2: its working-set list is not mapped' "$ntmmu" dump tests/scenarios/NT-36-limits*.vmt --at 8 '!wsle 2'

# A list that a driver has written over is not followed.
expect 2 'process 2: its working-set list has been written over' "$ntmmu" dump tests/scenarios/NT-32-hash-address*.vmt \
    --at 16 '!wsle 2'

# The pages that the JSON counts are those of the lists.
expect 0 '' "$ntmmu" dump "$trace" --at 5 --json - '!memusage' '!wsle' '!pte 410000'
[ "$(jq '.[0] | .zeroed + .free + .standby + .modified + .modified_no_write + .bad + .active + .transition - .total' \
    "$work/stdout")" = 0 ] || fail "the frames do not add up"
[ "$(jq '.[1].entries | length' "$work/stdout")" = 4 ] || fail "found other than four working-set entries"
[ "$(jq '.[2].pte.contains' "$work/stdout")" = $((0x404886)) ] || fail "found another PTE in the JSON"

# An independent walk of the image: CR3, two levels, large pages.
expect 0 '' "$ntmmu" dump traces/p3_sh.vmt.zst --at 400000 --image "$work/image" --json "$work/pte.json" \
    '!pte 8048000' '!pte 80200000' '!pte c0300c00' '!pte c0502690' '!pte e1000000' '!pte 7ffe0000' '!pte 12345000' \
    '!pte f8000000' '!vad' '!pte 80000000'
walk() {
    perl -e '
        my ($file, $cr3, $va) = ($ARGV[0], $ARGV[1], hex $ARGV[2]);
        open my $image, "<:raw", $file or die;
        sub word { my $b; seek $image, $_[0], 0; read($image, $b, 4) == 4 ? unpack "V", $b : 0xFFFFFFFF }
        my $pde = word(($cr3 & 0xFFFFF000) + ($va >> 22) * 4);
        my $pte = ($pde & 1) && !($pde & 0x80) ? word(($pde & 0xFFFFF000) + (($va >> 12) & 0x3FF) * 4) : 0;
        my $pa = !($pde & 1) ? "null" : $pde & 0x80 ? ($pde & 0xFFC00000) | ($va & 0x3FFFFF)
               : $pte & 1 ? ($pte & 0xFFFFF000) | ($va & 0xFFF) : "null";
        print "$pde ", ($pde & 1) && !($pde & 0x80) ? $pte : "null", " $pa\n";
    ' "$1" "$2" "$3"
}
cr3=$(jq .cr3 "$work/image.json")
[ "$(stat -c %s "$work/image")" = "$(jq .ram "$work/image.json")" ] || fail "the image is not as large as memory"
[ $(($(stat -c %b "$work/image") * 512)) -lt 33554432 ] || fail "the image is not sparse"
present=0
while read -r va pde pte pa; do
    found=$(walk "$work/image" "$cr3" "$(printf %x "$va")")
    [ "$found" = "$pde $pte $pa" ] || fail "$(printf %x "$va"): the walk found $found, !pte printed $pde $pte $pa"
    [ "$pa" = null ] || present=$((present + 1))
done < <(jq -r '.[] | select(.va) | "\(.va) \(.pde.contains) \(.pte.contains) \(.pa)"' "$work/pte.json")
[ "$present" -ge 4 ] || fail "found $present addresses mapped, expected at least 4"
[ "$(walk "$work/image" "$cr3" c0300c00 | cut -d' ' -f3)" != null ] || fail "the self-map is not there"

expect 2 "found command '!foo', expected !pte" "$ntmmu" dump "$trace" '!foo'
expect 2 "found 'zz', expected a virtual address" "$ntmmu" dump "$trace" '!pte zz'
expect 2 'found frame ffffff, expected one up to 3fff' "$ntmmu" dump "$trace" '!pfn ffffff'
expect 2 'found no process 77, expected' "$ntmmu" dump "$trace" '!vad 77'
expect 2 "found 'x', expected the number of a process" "$ntmmu" dump "$trace" '!wsle x'
expect 2 'found .* events, expected more than 1000' "$ntmmu" dump "$trace" --at 1000 '!vm'
expect 2 "found '100410000', expected a virtual address" "$ntmmu" dump "$trace" '!pte 100410000'
expect 2 "found '-1', expected the number of a process" "$ntmmu" dump "$trace" '!vad -1'
expect 2 "found 'foo', expected nothing behind !vm" "$ntmmu" dump "$trace" '!vm foo'
expect 2 'found no regular file' "$ntmmu" dump "$trace" --image -
expect 2 'found no regular file' "$ntmmu" dump "$trace" --image /dev/null
echo old >"$work/old"
# (a build that counts lines writes its counts too, and says that it cannot)
expect 2 'old: File too large' bash -c "ulimit -f 4; trap '' XFSZ; '$ntmmu' dump '$trace' --image '$work/old' 2>&1 | grep -v ^libgcov >&2; exit \${PIPESTATUS[0]}"
[ "$(cat "$work/old")" = old ] && [ "$(ls "$work"/old*)" = "$work/old" ] || fail "an image that could not be written took the old one along"
# More sections and tags than fit anywhere, each with its pages.
{
    printf '!vmt 1\nproc+ 1 0 "/bin/\xe9"\nthr+ 101 1\nx 0 101\n'
    for i in $(seq 300); do printf 'pool paged 20 t%03d\n' "$i"; done
    for i in $(seq 600); do printf 'sec+ %d page 1000 -\nmap %d %x 1000 0 rw\nw %x 1\n' "$i" "$i" $((0x1000000 + i * 0x10000)) $((0x1000000 + i * 0x10000)); done
    echo '!end'
} >"$work/many.vmt"
"$ntmmu" dump "$work/many.vmt" --json "$work/many.json" '!memusage' '!vm' '!process' '!poolused' >/dev/null || fail "600 sections"
[ "$(jq '[.[0].users[] | select(.name == "Page File Section" and .valid == 1)] | length' "$work/many.json")" = 600 ] || fail "found other than 600 sections"
[ "$(jq -r '.[1].processes[0].image, .[2].process.image' "$work/many.json")" = $'\xef\xbf\xbd\n\xef\xbf\xbd' ] || fail "a name that is no UTF-8 is lost"
[ "$(jq '[.[3].tags[] | select((.tag | test("t[0-9]{3}")) and .paged_allocs == 1 and .paged_in_pages == 0)] | length' "$work/many.json")" = 300 ] || fail "found other than 300 tags"
expect 2 'found no command' "$ntmmu" dump "$trace"
expect 2 'No such file' "$ntmmu" dump "$trace" --image "$work/none/image"
expect 2 'found a path of 4092 characters, expected at most 4090' "$ntmmu" dump "$trace" --image "$(printf '%4092s' | tr ' ' x)"

# With PAE the image says so; CR3 leads to four directories.
expect 0 '' "$ntmmu" dump "$trace" --at 3 --profile NT5PAE --mmu c --image "$work/pae"
[ "$(jq -r .mode "$work/pae.json")" = PAE ] || fail "found another mode than PAE"
[ $(($(jq .cr4 "$work/pae.json") & 0x20)) = 32 ] || fail "found CR4 without PAE"
[ "$(perl -e 'open F, "<:raw", $ARGV[0]; seek F, $ARGV[1], 0; read F, $b, 32; print join ",", map { $_ & 1 } unpack "Q4", $b' \
    "$work/pae" "$(jq .cr3 "$work/pae.json")")" = 1,1,1,1 ] || fail "found no four directories at CR3"
[ "$(jq -r .mode "$work/image.json")" = '32-bit paging' ] || fail "found another mode than 32-bit paging"

# What stops the replay is said; nothing is shown then.
expect 2 'S-117-fault-under-the-pfn-lock.vmt: event [0-9]+: ' "$ntmmu" dump --mmu c tests/scenarios/S-117-fault-under-the-pfn-lock.vmt '!vm'
# A bugcheck leaves memory as it is: shown at the end, and at its event, but not behind it.
small_trace "$work/stop.vmt" 'driver 1' 'kr 900000 4' 'r 410000 4'
expect 0 '' "$ntmmu" dump "$work/stop.vmt" --at 7 '!vm'
expect 0 '' "$ntmmu" dump "$work/stop.vmt" '!vm'
expect 2 'stop.vmt: found a bugcheck at event 7, expected one that is replayed at 8' "$ntmmu" dump "$work/stop.vmt" --at 8 '!vm'
# At the end nothing waits any more.
printf '%s\n' '!vmt 1' 'proc+ 1 0 "a"' 'thr+ 101 1' 'proc+ 2 0 "b"' 'thr+ 201 2' 'x 0 101' 'sec+ 1 data 20000 "/f"' 'map 1 410000 10000 0 r' \
    'r 410000 4' 'x 0 201' 'alloc 700000 4000 rc rw' '!end' >"$work/waits.vmt"
"$ntmmu" dump "$work/waits.vmt" --disk fixed:500 '!vm' >"$work/slow"
"$ntmmu" dump "$work/waits.vmt" '!vm' | diff - "$work/slow" || fail "a read is left undone at the end"
small_trace "$work/bad.vmt" 'r 410000'
expect 2 'bad.vmt:8: found the end of the line' "$ntmmu" dump --mmu c "$work/bad.vmt" '!vm'
[ ! -s "$work/stdout" ] || fail "something was shown"
