#!/usr/bin/env bash
# The commands of dump on PAE's tables, against values worked out by hand from NT-12: entries of 8 bytes (in the JSON the
# upper half is KEY_high), PTE at C0000000 + va/1000*8, PDE at C0600000 + va/200000*8, PFN entries of 20 bytes.
. "$(dirname "$0")/common.inc"
ask() { # TRACE EVENT COMMAND…: runs them
    local trace=$1 event=$2
    shift 2
    expect 0 '' "$ntmmu" dump "$trace" --profile NT5PAE --at "$event" --json - "$@"
    cp "$work/stdout" "$work/answer"
}
pae() { local name=$1; shift; ask tests/scenarios/pae/NT-12-"$name".vmt "$@"; }
is() { # JQ VALUE
    local found
    found=$(jq -c "$1" "$work/answer")
    [ "$found" = "$2" ] || fail "$1: found $found, expected $2"
}
x() { echo $((0x$1)); }
says() { grep -qE -- "$1" "$work/stdout" || { cat "$work/stdout" >&2; fail "found no line like '$1'"; }; }

# Frames 400..403 directories, 404 and 405 hyperspace, 406 working-set list, 407 PDPTEs, 408 page table, 409 and 40A pages.
pae first-touch 6 '!pte 411000' '!pfn 40a' '!pfn 408' '!pfn 407' '!process' '!wsle' '!pte 40000000' '!pte c0002088 1'
is '.[0].pdpte | [.address, .contains, .contains_high]' "[$(x 407000),$(x 400001),0]"
is '.[0].pde | [.address, .contains, .contains_high]' "[$(x c0600010),$(x 408067),0]"
is '.[0].pte | [.address, .contains, .contains_high, .text]' "[$(x c0002088),$(x 40a067),0,\"pfn 40a ---DA--UWEV\"]"
is '.[0].pa' "$(x 40a000)"
is '.[1] | [.pte_address, .original_pte, .original_pte_high, .containing, .flags]' "[$(x c0002088),128,0,$(x 408),$(x 601)]"
is '.[2] | [.pte_address, .containing, .maps]' "[$(x c0600010),$(x 400),$(x 400000)]"
is '.[3] | [.pte_address, .pointers_of]' "[$(x ffffffff),1]"
is '.[4].process | [.directory, .hyperspace, .working_set_page, .working_set_list]' \
    "[$(x 407000),$(x 404000),$(x 406),$(x c0882000)]"
is '.[5] | [.FirstDynamic, .LastEntry, .Wsle, (.entries | length)]' "[7,9,$(x c0882cf0),10]"
is '.[5].entries | [.[0,3,6,7,8,9].entry]' \
    "[$(x c0600203),$(x c0603203),$(x c0882203),$(x c0002201),$(x 410201),$(x 411201)]"
is '.[6] | [.pdpte.address, .pdpte.contains, .pde.address, .pde.contains, .pte, .pa]' \
    "[$(x 407008),$(x 401001),$(x c0601000),0,null,null]"
is '.[7].pte | [.address, .contains]' "[$(x c0002088),$(x 40a067)]"
expect 0 '' "$ntmmu" dump tests/scenarios/pae/NT-12-first-touch.vmt --at 6 '!pte 411000' '!pfn 40a' '!wsle'
says '^PDPTE at 00407000 physical$'
says '^contains 000000000040a067  pfn 40a ---DA--UWEV$'
says '^    PFN 0000040a at address 80208140$'
says '^    restore pte 0000000000000080  containing page 000408  Active Modified$'
says '^Working Set @ c0882000$'

# Transition; being written to slot 1 of file 0, which is the upper half of what the page becomes; on Standby; gone.
pae trim-and-refault 6 '!pte 410000'
is '.[0].pte | [.contains, .contains_high, .text]' "[$(x 409886),0,\"not valid, Transition: 409, Protect: 4\"]"
pae trim-and-refault 10 '!pfn 409' '!vm'
is '.[0] | [.location, .original_pte, .original_pte_high, .restored_as]' \
    '["Standby",128,1,"not valid, PageFile: 0, Offset: 1, Protect: 4"]'
is '.[1] | [.standby, .modified, .paging_files[0].maximum, .paging_files[0].used]' '[1,0,512,1]'
is '.[1].processes[0].working_set_size' 8
pae trim-and-refault 11 '!pte 410000'
is '.[0].pte | [.contains, .contains_high, .form, .text]' \
    '[128,1,"page file","not valid, PageFile: 0, Offset: 1, Protect: 4"]'

# Prototypes 8 bytes apart from E1000008 on; a pointer has the whole address in its upper half, the VAD's form FFFFFFFF.
pae prototypes 4 '!pte e1000010 1' '!pte e1000014 1' '!vad'
is '.[0].pte | [.contains, .contains_high, .text]' '[128,0,"not valid, DemandZero, Protect: 4"]'
is '.[1].pte.address' "$(x e1000010)"
is '.[2].vads[0] | [.start, .end, .first_prototype]' "[$(x 600000),$(x 603fff),$(x e1000008)]"
pae prototypes 5 '!pte e1000010 1' '!pte 601000' '!memusage'
is '.[0].pte.contains % 4096' "$(x 123)"
is '.[1].pte.address' "$(x c0003008)"
is '.[0].pte.contains - .[1].pte.contains' "$((0x123 - 0x67))"
is '.[2].users[0] | [.name, .valid]' '["Page File Section",1]'
is '.[2] | .zeroed + .free + .standby + .modified + .modified_no_write + .bad + .active + .transition - .total' 0
pae prototypes 6 '!pte 601000'
is '.[0].pte | [.contains, .contains_high, .text]' "[$(x 400),$(x e1000010),\"not valid, Proto: e1000010\"]"
pae prototypes 10 '!pte 601000'
is '.[0].pte | [.contains, .contains_high, .text]' "[$(x 420),$(x ffffffff),\"not valid, Proto: VAD, Protect: 1\"]"

# The subsection's form: protection 1 in 5..9, bit 10, the address in the upper half; the fork's pointer.
ask tests/scenarios/S-76-file-section-as-cache.vmt 4 '!vad' '!pte e1000010 1'
is '.[1] | [.pte.contains, .pte.contains_high == .subsection, .subsection - .control_area, .page]' "[$(x 420),true,$(x 38),1]"
is '.[1].control_area == .[0].vads[0].control_area' true
pae fork-of-a-paged-out-page 13 '!pte 411000' '!pte e1000020 1'
is '[.[].pte | [.contains, .contains_high]]' "[[$(x 400),$(x e1000020)],[160,1]]"

# The direct map of 2 MB pages. System PTEs: the next index is the upper half; 1FFF less the 320 in small blocks.
pae direct-map 2 '!pte 80200123' '!sysptes' '!pte c0401004'
is '.[0] | [.pde.address, .pde.contains, .pte, .pa]' "[$(x c0602008),$(x 2001e3),null,$(x 200123)]"
is '.[1].spaces[0] | [.start, .entries, .total_free, .valid]' "[$(x c07c0008),8191,7391,0]"
is '.[1].spaces[0].runs' "[{\"pte\":$(x c07c0008),\"count\":7391}]"
is '[.[1].classes[] | [.size, .count]]' '[[1,100],[2,50],[4,30],[8,20],[16,20]]'
is '.[1].classes[0].blocks[0:2]' "[$(x c07cfff8),$(x c07cfff0)]"
is '.[2].pa' "$(x 200004)"
pae mdl-and-system-ptes 6 '!pte f9fff000' '!sysptes'
is '.[0].pte | [.address, .contains, .contains_high]' "[$(x c07cfff8),$(x 409163),0]"
is '.[1] | [.spaces[0].valid, .classes[0].count, .spaces[0].total_free]' '[1,109,7381]' # below the low-water mark: ten fed

# Pools: blocks by their headers, also behind the least that the initial nonpaged pool has; pages without a header.
ask tests/scenarios/S-105-pools.vmt 9 '!poolused'
is '.[0].tags[] | select(.tag == "AbCd") | [.nonpaged_allocs, .nonpaged_used, .nonpaged_bytes]' '[1,40,40]'
is '.[0].tags[] | select(.tag == "Trac") | [.nonpaged_blocks, .nonpaged_in_pages]' '[0,16384]'
{
    printf '!vmt 1\n!ram 700M\n!threads manual\n'
    for ((i = 0; i < 28; i++)); do printf 'pool nonpaged 10000 Many\n'; done
    printf 'pool nonpaged 900 Last\npool nonpaged 900 Last\n!end\n'
} >"$work/pool.vmt"
ask "$work/pool.vmt" 29 '!poolused'
is '.[0].tags[] | select(.tag == "Last") | [.nonpaged_blocks, .nonpaged_in_pages]' '[2,0]'

# What the kernel never writes: a pointer with a protection (11..15) and the read-only bit 8; a PDPTE with a reserved
# bit, and none.
{
    printf '!vmt 1\n!boot CFG-P\n!threads manual\nproc+ 1 0 "P1"\nthr+ 101 1\nx 0 101\nalloc 410000 3000 rc rw\nw 410000 4\n'
    printf 'poke 408080 1d00\npoke 408084 e1000010\npoke 407008 401003\npoke 407000 0\n!end\n'
} >"$work/poke.vmt"
ask "$work/poke.vmt" 6 '!pte 410000'
is '.[0].pte.text' '"not valid, Proto: e1000010, Protect: 3, read-only"'
ask "$work/poke.vmt" 8 '!pte 410000' '!pte 40000000'
is '.[0] | [.pdpte.text, .pde, .pte, .pa]' '["not valid",null,null,null]'
is '.[1].pdpte.text' '"pfn 401, reserved bits set"'

# An independent walk of the image: CR3, three levels, 2 MB pages.
expect 0 '' "$ntmmu" dump traces/p3_sh.vmt.zst --profile NT5PAE --at 400000 --image "$work/image" --json "$work/pte.json" \
    '!pte 8048000' '!pte 80200000' '!pte c0603000' '!pte c0882cf0' '!pte e1000000' '!pte 7ffe0000' '!pte 12345000' \
    '!pte f8000000' '!pte 80000000'
walk() {
    perl -e '
        my ($file, $cr3, $va) = ($ARGV[0], $ARGV[1], hex $ARGV[2]);
        open my $image, "<:raw", $file or die;
        sub entry { my $b; seek $image, $_[0], 0; read($image, $b, 8) == 8 or die; unpack "V2", $b }
        sub base { ($_[0] & 0xFFFFF000) + ($_[1] & 0xF) * 4294967296 }
        my @pointer = entry(($cr3 & 0xFFFFFFE0) + ($va >> 30) * 8);
        my @pde = entry(base(@pointer) + ($va >> 21 & 0x1FF) * 8);
        my $table = ($pde[0] & 1) && !($pde[0] & 0x80);
        my @pte = $table ? entry(base(@pde) + ($va >> 12 & 0x1FF) * 8) : ("null", "null");
        my $pa = !($pde[0] & 1) ? "null" : !$table ? (base(@pde) & ~0x1FFFFF) | ($va & 0x1FFFFF)
               : $pte[0] & 1 ? base(@pte) | ($va & 0xFFF) : "null";
        print "@pointer @pde @pte $pa\n";
    ' "$1" "$2" "$3"
}
cr3=$(jq .cr3 "$work/image.json")
present=0
while read -r va entries; do
    found=$(walk "$work/image" "$cr3" "$(printf %x "$va")")
    [ "$found" = "$entries" ] || fail "$(printf %x "$va"): the walk found $found, !pte printed $entries"
    [ "${entries##* }" = null ] || present=$((present + 1))
done < <(jq -r '.[] | "\(.va) \([.pdpte, .pde, .pte | .contains, .contains_high] | map(tostring) | join(" ")) \(.pa)"' "$work/pte.json")
[ "$present" -ge 5 ] || fail "found $present addresses mapped, expected at least 5"
