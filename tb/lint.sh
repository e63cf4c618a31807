#!/bin/bash
# Checks rtl/ with the three tools that have to take it, with and without the mutants, in small and large geometries.
# Fails on any complaint, and on the mistakes that Icarus and Yosys only whisper about: an undeclared name that becomes an
# implicit wire, a hierarchical reference that becomes an undriven one, a part of a struct's member that Yosys takes wrongly.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
complain() { echo "lint: $1" >&2; failed=1; }

verilate() {
    verilator --lint-only -Wall -Irtl --unroll-count 1100 --unroll-stmts 1000000 --top-module mmu "$@" rtl/*.sv ||
        complain "verilator $*"
}
# geometry NAME CLASSES SETS WAYS…: the arrays named; all others are not there.
arrays=(ITLB0 ITLB1 ITLB2 DTLB0 DTLB1 DTLB2 ISTLB0 ISTLB1 DSTLB0 DSTLB1)
geometry() {
    local options=() name
    for name in "${arrays[@]}"; do options+=("-G${name}_WAYS=0"); done
    while [ $# -gt 0 ]; do
        case $1 in
        PSC_*) options+=("-G${1}_SETS=$2" "-G${1}_WAYS=$3"); shift 3 ;;
        *=*) options+=("-G$1"); shift ;;
        *) options+=("-G${1}_CLASSES=$2" "-G${1}_SETS=$3" "-G${1}_WAYS=$4"); shift 4 ;;
        esac
    done
    verilate "${options[@]}"
}
verilate
verilate -DMUTATE
for policy in 0 1 2; do
    # the least there can be; a 32-bit CPU; every class in one array; odd numbers of ways
    geometry ITLB0 1 1 1 L1_UNIFIED=1 L2_UNIFIED=0 FEATURES=0 REPLACEMENT=$policy
    geometry ITLB0 1 8 4 ITLB1 2 1 2 DTLB0 1 16 4 DTLB1 2 2 4 L2_UNIFIED=0 FEATURES=15 REPLACEMENT=$policy
    geometry ITLB0 7 1 24 DTLB0 7 1 40 DTLB1 0 1 0 ISTLB0 15 16 7 REPLACEMENT=$policy STLB_CYCLES=3 WALKERS=$((policy + 2))
    geometry ITLB0 1 1 7 ITLB1 2 1 3 ITLB2 4 1 1 DTLB0 1 1 64 DTLB1 6 1 5 L2_UNIFIED=0 ISTLB0 3 4 3 DSTLB0 1 64 4 \
        DSTLB1 14 8 5 PSC_PDE 1 24 PSC_PDPTE 2 3 PSC_PML4E 1 4 REPLACEMENT=$policy
done
geometry ITLB0 1 16 8 ITLB1 2 1 8 DTLB0 1 16 4 DTLB1 2 8 4 DTLB2 4 1 4 ISTLB0 3 128 12 STLB_CYCLES=8
geometry ITLB0 1 1024 4 L1_UNIFIED=1 ISTLB0 8 1 64

# For Yosys, which takes long over large arrays: every class and kind of array once, but small.
small="-set WALKERS 3 -set ITLB0_SETS 2 -set ITLB0_WAYS 2 -set ITLB1_SETS 1 -set ITLB1_WAYS 1 -set DTLB0_SETS 1 -set DTLB0_WAYS 3"
small+=" -set DTLB1_WAYS 0 -set ISTLB0_CLASSES 9 -set ISTLB0_SETS 16 -set ISTLB0_WAYS 2 -set ISTLB1_CLASSES 2 -set ISTLB1_WAYS 1"
small+=" -set PSC_PDE_WAYS 2 -set PSC_PDPTE_WAYS 1 -set PSC_PML4E_WAYS 1"
for define in '' -DMUTATE; do
    # "sorry" about constant selects and "cannot be synthesized" about $error in an assertion are harmless.
    icarus=$(iverilog -g2012 -Wall $define -Pmmu.WALKERS=3 -Irtl -s mmu -o /dev/null rtl/*.sv 2>&1) || complain "iverilog failed"
    icarus=$(grep -v -e ': sorry: constant selects in always_' -e 'System task (\$error) cannot be synthesized' \
        <<< "$icarus" || true)
    [ -z "$icarus" ] || { echo "$icarus" >&2; complain "iverilog $define"; }
    # Without -q, which would hide the implicit-declaration warning.
    yosys_log=$(yosys -p "read_verilog -sv $define -Irtl $(echo rtl/*.sv); chparam $small mmu; hierarchy -check -top mmu; proc;
        check -assert" 2>&1) || { tail -n 5 <<< "$yosys_log" >&2; complain "yosys failed"; }
    # Of 4k and pde. Yosys takes some constant functions wrongly; this one as 0, and then there is no second level.
    grep -q 'Parameter .PROBES_I = 2$' <<< "$yosys_log" || complain "yosys finds another number of probes"
    latches=$(grep -e 'implicitly declared' -e 'Latch inferred' -e 'out of bounds' <<< "$yosys_log" || true)
    [ -z "$latches" ] || { echo "$latches" >&2; complain "yosys $define"; }
done
for file in rtl/*.sv rtl/*.svh; do
    # Yosys folds `constant ? x : '1` in a clocked block to 1, not to all ones.
    ! grep -nE "[?:] *'1([^0-9']|$)" "$file" /dev/null >&2 || complain "$file has '1 in a conditional expression"
    lines=$(wc -l < "$file")
    # Without it Icarus makes an enum literal in a port connection an implicit wire.
    [ "${file##*.}" = svh ] || grep -q '^`default_nettype none' "$file" || complain "$file has no \`default_nettype none"
    [ "$lines" -lt 400 ] || complain "$file has $lines lines; the limit is 400"
done
[ $failed = 0 ] && echo "lint: rtl is clean in Verilator, Icarus and Yosys"
exit $failed
