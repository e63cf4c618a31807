#!/usr/bin/env bash
# The last column of the fault decision matrix (NT-100): ring 0 at IRQL >= 2 survives only what needs no memory management; all else
# is stop 0A (address, IRQL, write), however near the page is (NT-46 H0). The other columns: tests/scenarios/NT-100-*.vmt.
. "$(dirname "$0")/common.inc"

start='!boot CFG-A
!threads manual
pagefile 200000 200000
proc+ 1 0 "P1"
thr+ 101 1
thr+ 102 1
x 0 101
'
out='run mpw
run apc
drain 0
undrain 100
'
# row NAME, what a read and a write at 410000 or the address ADDR come to (none or 0a), set-up from standard input
row() {
    name=$1 read=$2 write=$3 address=${4:-410000}
    setup=$(cat)
    for access in kr kw; do
        [ $access = kr ] && end=$read write_bit=0 || end=$write write_bit=1
        {
            printf '!vmt 1\n%s%s\nirql 0 2\n%s %s 4\n' "$start" "$setup" $access "$address"
            if [ "$end" = none ]; then echo 'expect fault=none bugcheck=none'; else
                echo "expect bugcheck=a,$address,2,$write_bit"
            fi
            echo '!end'
        } >"$work/row.vmt"
        "$ntmmu" check "$work/row.vmt" >"$work/out" 2>&1 || {
            cat "$work/row.vmt" "$work/out"
            fail "$name, $access at IRQL 2"
        }
    done
}

row 'valid RW' none none <<END
alloc 410000 1000 rc rw
w 410000 4
END
row 'valid RO' none 0a <<END
alloc 410000 1000 rc r
r 410000 4
END
row 'valid COW' none 0a <<END
sec+ 1 data 1000 "/f"
map 1 410000 1000 0 wc
r 410000 4
END
row 'kernel page' none none 80404000 <<END
END
row '0, no VAD' 0a 0a <<END
END
row '0, committed VAD' 0a 0a <<END
alloc 410000 1000 rc rw
END
row '0, reserved VAD' 0a 0a <<END
alloc 410000 1000 r rw
END
row '0, view' 0a 0a <<END
sec+ 1 data 1000 "/f"
map 1 410000 1000 0 wc
END
row 'demand-zero' 0a 0a <<END
alloc 410000 2000 r rw
alloc 410000 1000 c rw
END
row 'demand-zero read-only' 0a 0a <<END
alloc 410000 2000 r rw
alloc 410000 1000 c r
END
row 'demand-zero guard' 0a 0a <<END
alloc 410000 2000 r rw
alloc 410000 1000 c rw+g
END
row 'decommitted' 0a 0a <<END
alloc 410000 2000 rc rw
w 410000 4
free 410000 1000 d
END
row 'no access' 0a 0a <<END
alloc 410000 2000 rc rw
prot 410000 1000 na
END
row 'transition' 0a 0a <<END
alloc 410000 1000 rc rw
w 410000 4
trim 1 all force
END
row 'transition, being read' 0a 0a <<END
alloc 410000 1000 rc rw
w 410000 4
trim 1 all force
${out}io manual
r 410000 4
x 0 102
END
row 'page-file' 0a 0a <<END
alloc 410000 1000 rc rw
w 410000 4
trim 1 all force
$out
END
view='sec+ 1 page 1000 ""
map 1 410000 1000 0 rw share
'
row 'prototype, valid' 0a 0a <<END
${view}proc+ 2 0 "P2"
thr+ 201 2
x 0 201
map 1 420000 1000 0 rw share
w 420000 4
x 0 101
r 410000 4
trim 1 all force
END
row 'prototype, transition' 0a 0a <<END
${view}w 410000 4
trim 1 all force
END
row 'prototype, demand-zero' 0a 0a <<END
$view
END
row 'prototype, page-file' 0a 0a <<END
${view}w 410000 4
trim 1 all force
$out
END
row 'prototype, subsection' 0a 0a <<END
sec+ 1 data 1000 "/f"
map 1 410000 1000 0 r
END
row 'prototype, zero' 0a 0a <<END
call NtCreateSection 1 1000 4 4000000 0
map 1 410000 1000 0 rw share
END
row 'paged pool, demand-zero' 0a 0a e1001000 <<END
pool paged 1000
END
row 'paged pool, transition' 0a 0a e1001000 <<END
pool paged 1000
kw e1001000 4
trim 0 all force
END
