#!/usr/bin/env bash
# The commands of dump against the values that the scenarios give (their texts, not the program's output): free system
# PTEs, pools, paging files, process objects, VADs, working sets, pages by control area, prototype PTEs, frames.
. "$(dirname "$0")/common.inc"
scenario() { echo tests/scenarios/"$1"*.vmt; }
ask() { # NAME EVENT COMMAND…: runs them
    local trace event=$2
    trace=$(scenario "$1")
    shift 2
    expect 0 '' "$ntmmu" dump "$trace" --at "$event" --json - "$@"
    cp "$work/stdout" "$work/answer"
}
is() { # JQ VALUE
    local found
    found=$(jq -c "$1" "$work/answer")
    [ "$found" = "$2" ] || fail "$1: found $found, expected $2"
}

# S-17: classes at boot, the first and the last block of 4; then one of 4 taken: ten fed, the counter moves.
ask S-17-system 2 '!sysptes'
is '[.[0].classes[] | [.size, .count]]' '[[1,100],[2,50],[4,30],[8,20],[16,20]]'
is '.[0].classes[2].blocks | [.[0], .[-1]]' "[$((0xc03e7cd0)),$((0xc03e7b00))]"
is '[.[0].spaces[] | [.start, .total_free, .in_use]]' "[[$((0xc03e0004)),7391,0],[$((0xc03e8000)),23520,0]]"
is '.[0].spaces[0].runs' "[{\"pte\":$((0xc03e0004)),\"count\":7391}]"
ask S-17-system 3 '!sysptes'
is '.[0] | [.flush_counter, .classes[2].count, .spaces[0].total_free]' '[4096,39,7351]'

# S-105: blocks of pool with their tags; two allocations of two pages, which have no header.
ask S-105-pools 9 '!poolused'
is '.[0].tags[] | select(.tag == "AbCd") | [.nonpaged_allocs, .nonpaged_used, .nonpaged_bytes]' '[1,40,40]'
is '.[0].tags[] | select(.tag == "Trac") | [.nonpaged_allocs, .nonpaged_used, .nonpaged_blocks, .nonpaged_in_pages]' \
    '[2,16384,0,16384]'
is '.[0].tags[] | select(.tag == "Trac" or .tag == "Pagd") | [.paged_allocs, .paged_used, .paged_blocks, .paged_in_pages]' \
    $'[1,32,1,0]\n[1,32,1,0]'
is '[.[0].tags[] | .nonpaged_in_pages % 4096, .paged_in_pages % 4096] | add' 0

# S-25: the page is in slot 1 of the paging file and on the Standby list.
ask S-25 8 '!vm' '!pfn 404'
is '.[0].paging_files' '[{"number":0,"current":512,"maximum":512,"free":510,"used":1,"peak_used":16}]'
is '.[0] | [.standby, .modified, .extended_commit]' '[1,0,0]'
is '.[0].processes[0] | [.pid, .working_set_size]' '[1,4]'
is '.[1] | [.location, .restored_as]' '["Standby","not valid, PageFile: 0, Offset: 1, Protect: 4"]'
ask S-25 7 '!pfn 404'
is '.[0] | [.location, .flags]' "[\"Transition\",$((0x704))]"

# S-34: a new process.
ask S-34 2 '!process 1' '!wsle 1' '!pfn 400'
is '.[0].process | [.pid, .directory, .hyperspace, .working_set_page]' "[1,$((0x400000)),$((0x401000)),$((0x402))]"
is '.[0].process | [.working_set_size, .minimum, .maximum, .working_set_list]' "[3,50,345,$((0xc0502000))]"
is '.[0].process | [.vads, .image, [.threads[] | [.tid, .running]]]' '[0,"P1",[[101,true]]]'
is '[.[1].entries[] | .locked_in_ws]' '[true,true,true]'
is '.[1] | [.FirstDynamic, .LastEntry, .HashTable]' '[3,2,0]'

# S-94: what is locked. NT-35: ages. NT-32: a hash of 200h slots, 17Eh of them used.
ask S-94 5 '!wsle'
is '[.[0].entries[3:7][] | .locked_in_ws]' '[true,true,true,false]'
ask NT-35-ages 12 '!wsle'
is '[.[0].entries[4:8][] | .age]' '[1,3,3,3]'
ask NT-32-hash-of 782 '!wsle'
is '.[0] | [.HashTable, .HashTableSize, .NonDirect, (.hash | length)]' "[$((0xc06f3000)),512,$((0x17e)),$((0x17e))]"
is '.[0] as $ws | [$ws.hash[] | . as $h | $ws.entries[] | select(.index == $h.index) | .entry - .entry % 4096 == $h.key] | all' true

# NT-69: the flags, and what is mapped.
ask NT-69 12 '!vad'
is '[.[0].vads[] | .flags - .flags % 524288]' \
    "[$((0xc4000000)),$((0x81000000)),$((0x04000000)),$((0x07100000)),$((0x01000000))]"
is '[.[0].vads[2:5][] | [.section, .file]]' '[[5,"Page File Section"],[6,"/bin/x"],[7,"/etc/d"]]'

# S-72: one page that two processes map. S-76: a file's pages, mapped and then cached.
ask S-72-pointer 10 '!memusage' '!pte e1000008 1' '!pte 500000'
is '.[0].users[0] | [.valid, .shared]' '[1,0]'
is '.[1].pte.contains - .[1].pte.contains % 4096 == (.[2].pte.contains - .[2].pte.contains % 4096)' true
is '.[1].pte.contains % 4096' $((0x123))
ask S-72-pointer 12 '!memusage'
is '.[0].users[0] | [.valid, .shared, .standby, .modified]' '[1,1,0,0]'
ask S-72-pointer 13 '!pte 700000'
is '.[0].pte.text' '"not valid, Proto: e1000008"'
ask S-76 4 '!vad' '!pte e100000c 1'
is '.[1].page' 1
is '.[1].control_area == .[0].vads[0].control_area' true
subsection=$(jq '.[1].subsection' "$work/answer")
ask S-76 5 '!pte 500000'
frame=$(printf %x $(($(jq '.[0].pte.contains' "$work/answer") >> 12)))
ask S-76 5 "!pfn $frame"
is '.[0] | [.subsection, .restored_as]' "[$subsection,\"Subsection: $(printf %08x "$subsection")\"]"
ask S-76 7 '!memusage'
is '.[0].users[0] | [.name, .valid, .standby]' '["/f",3,0]'
ask S-76 9 '!memusage'
is '.[0].users[0] | [.name, .valid, .standby]' '["/f",0,3]'

# NT-10: a page of a view with a protection of its own; the VAD says where its prototype is.
small_trace "$work/own.vmt" 'sec+ 1 page 4000 ""' 'map 1 600000 4000 0 rw share' 'w 601000 4' 'prot 601000 1000 r' 'trim 1 all force'
expect 0 '' "$ntmmu" dump "$work/own.vmt" --at 10 --json - '!pte 601000'
cp "$work/stdout" "$work/answer"
is '.[0].pte.text' '"not valid, Proto: VAD, Protect: 1"'

# S-50: a frame that is being read: its first word is the support block.
ask S-50 13 '!pte 410000'
frame=$(printf %x $(($(jq '.[0].pte.contains' "$work/answer") >> 12)))
ask S-50 13 "!pfn $frame"
is '.[0] | [.location, .u1_is, .flags]' "[\"Transition\",\"support block\",$((0x702))]"

expect 2 'found no page there, expected the address of a PTE' "$ntmmu" dump "$(scenario S-76)" '!pte a0000000 1'
expect 2 "found 'zz', expected the address of a PTE" "$ntmmu" dump "$(scenario S-76)" '!pte zz 1'
