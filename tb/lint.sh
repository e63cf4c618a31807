#!/bin/bash
# Checks rtl/ with the three tools that have to take it, with and without the mutants, in small and large geometries.
# Fails on any complaint, and on the two mistakes that Icarus and Yosys only whisper about: an undeclared name that
# becomes an implicit wire, and a hierarchical reference that becomes an undriven one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0
complain() { echo "lint: $1" >&2; failed=1; }

verilate() {
    verilator --lint-only -Wall -Irtl --unroll-count 1100 --unroll-stmts 100000 --top-module mmu "$@" rtl/*.sv ||
        complain "verilator $*"
}
# Parameters are SETS WAYS of the four arrays, then the replacement.
geometry() {
    verilate -GITLB_4K_SETS="$1" -GITLB_4K_WAYS="$2" -GITLB_4M_SETS="$3" -GITLB_4M_WAYS="$4" -GDTLB_4K_SETS="$5" \
        -GDTLB_4K_WAYS="$6" -GDTLB_4M_SETS="$7" -GDTLB_4M_WAYS="$8" -GREPLACEMENT="$9"
}
verilate
verilate -DMUTATE
for replacement in 0 1; do
    geometry 1 1 1 1 1 1 1 1 "$replacement"
    geometry 2 2 1 2 2 2 1 2 "$replacement"
    geometry 64 4 1 64 16 8 2 1 "$replacement"
done
geometry 4 3 1 6 8 12 2 5 0
geometry 1024 4 1 4 4 4 1 4 1

for define in '' -DMUTATE; do
    # "sorry" about constant selects and "cannot be synthesized" about $error in an assertion are harmless.
    icarus=$(iverilog -g2012 -Wall $define -Irtl -s mmu -o /dev/null rtl/*.sv 2>&1) || complain "iverilog failed"
    icarus=$(grep -v -e ': sorry: constant selects in always_' -e 'System task (\$error) cannot be synthesized' \
        <<< "$icarus" || true)
    [ -z "$icarus" ] || { echo "$icarus" >&2; complain "iverilog $define"; }
    # Without -q, which would hide the implicit-declaration warning.
    yosys_log=$(yosys -p "read_verilog -sv $define -Irtl $(echo rtl/*.sv); hierarchy -check -top mmu; proc; check -assert" \
        2>&1) || { tail -n 5 <<< "$yosys_log" >&2; complain "yosys failed"; }
    latches=$(grep -e 'implicitly declared' -e 'Latch inferred' <<< "$yosys_log" || true)
    [ -z "$latches" ] || { echo "$latches" >&2; complain "yosys $define"; }
done
for file in rtl/*.sv rtl/*.svh; do
    lines=$(wc -l < "$file")
    # Without it Icarus makes an enum literal in a port connection an implicit wire.
    [ "${file##*.}" = svh ] || grep -q '^`default_nettype none' "$file" || complain "$file has no \`default_nettype none"
    [ "$lines" -lt 400 ] || complain "$file has $lines lines; the limit is 400"
done
[ $failed = 0 ] && echo "lint: rtl is clean in Verilator, Icarus and Yosys"
exit $failed
