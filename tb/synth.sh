#!/bin/bash
# Synthesizes the MMU of each preset named with Yosys for Lattice iCE40, places and routes it with nextpnr for an HX8K where
# it fits, and prints a table. --readme also writes it into rtl/README.md between the marks there. NAME+debug: with the
# counters and the debug port, which a CPU would not have.
#   tb/synth.sh [--readme] [PRESET[+debug]…]
# NTMMU_SYNTH_SECONDS limits each run of a tool; what takes longer is shown as "-".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readme=0
[ "${1:-}" != --readme ] || { readme=1; shift; }
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(i486 i486+debug p6 geode-lx)
limit=${NTMMU_SYNTH_SECONDS:-1800}
level_ns=1.61 # what a level of the longest path takes in a routed i486 (31 MHz, 20 levels), to estimate what is too large to route
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { [ ! -t 2 ] || echo "synth: $1" >&2; }

# script PRESET DEBUG: the Yosys commands. The figures are those of module synth_top, without the pins around it.
script() {
    local parameters features bits value_bits=64
    parameters=$(tb/build_preset.sh "rtl/presets/$1.preset" --parameters)
    features=$(sed -n 's/^FEATURES=//p' <<< "$parameters")
    bits=$(awk '$1 == "physical_bits" { print $2 }' "rtl/presets/$1.preset")
    (( features & (1 << 4 | 1 << 5 | 1 << 11) )) || value_bits=32 # no NX, long, PAT: no register of 64 bits
    cat << END
read_verilog -sv -Irtl $(echo rtl/*.sv) tb/synth_top.sv tb/synth_pins.sv
chparam $(sed 's/^/-set /; s/=/ /' <<< "$parameters" | tr '\n' ' ') -set PHYSICAL_BITS $bits -set VALUE_BITS $value_bits mmu
hierarchy -check -top synth_pins -chparam FEATURES $features -chparam PHYSICAL_BITS $bits -chparam DEBUG $2
chformal -remove
proc
flatten
opt
opt
tee -o $work/memory stat
synth_ice40 -top synth_pins -run begin:map_luts
design -save gates
abc -g gates
opt_clean
tee -o $work/gates stat
design -load gates
synth_ice40 -top synth_pins -run map_luts:
tee -o $work/luts stat
setattr -mod -unset keep_hierarchy
setattr -unset keep_hierarchy
flatten
opt_clean
write_json $work/netlist.json
select t:SB_LUT4 t:SB_CARRY w:*
tee -o $work/levels ltp
END
}

# count FILE PATTERN: the cells of these types, in the statistics of synth_top.
count() {
    awk -v pattern="^($2)\$" '/^=== / { here = /synth_top/ } here && $1 ~ pattern { n += $2 } END { print n + 0 }' "$work/$1"
}
# figure FILE TEXT: what stands after "Number of TEXT:".
figure() {
    awk -v text="Number of $2:" '/^=== / { here = /synth_top/ } here && index($0, text) { print $NF; exit }' "$work/$1"
}

# row PRESET[+debug]
row() {
    local preset=${1%+debug} debug=0 cells=- megahertz levels
    [ "$preset" = "$1" ] || debug=1
    rm -f "$work"/*
    script "$preset" $debug > "$work/script"
    say "$1: Yosys"
    if ! timeout "$limit" yosys -q -s "$work/script" > "$work/log" 2>&1; then
        tail -n 2 "$work/log" | sed "s/^/synth: $1: /" >&2
        echo "| $1 | - | - | - | - | - | - | - | - |"
        return
    fi
    levels=$(sed -n 's/.*(length=\([0-9]*\)).*/\1/p' "$work/levels")
    megahertz="about $(awk -v n="$levels" -v ns=$level_ns 'BEGIN { printf "%.0f", 1000 / (n * ns) }')"
    say "$1: nextpnr"
    if timeout "$limit" nextpnr-ice40 -q --hx8k --package ct256 --json "$work/netlist.json" --top synth_pins --freq 50 \
        --timing-allow-fail --pcf-allow-unconstrained --seed 1 --report "$work/report.json" --write "$work/routed.json" \
        > "$work/log" 2>&1; then
        megahertz=$(jq '[.fmax[].achieved] | min | round' "$work/report.json")
        cells=$(jq '[.modules[].cells | to_entries[] | select(.value.type == "ICESTORM_LC" and (.key | startswith("u_top.")))] |
            length' "$work/routed.json")
    fi
    echo "| $1 | $(figure memory 'memory bits') | $(count luts SB_LUT4) | $(count luts 'SB_DFF.*') |" \
        "$(count luts 'SB_RAM40_4K.*') | $cells | $levels | $megahertz | $(figure gates cells) |"
}

table=$work.table
trap 'rm -rf "$work" "$table"' EXIT
{
    echo "| preset | memory bits | LUT4 | flip-flops | RAM blocks | logic cells | levels | MHz | generic gates and flip-flops |"
    echo "|---|---|---|---|---|---|---|---|---|"
    for preset in "${presets[@]}"; do row "$preset"; done
} > "$table"
cat "$table"
[ $readme = 1 ] || exit 0
awk -v table="$table" '
    /<!-- synth -->/ { print; while ((getline row < table) > 0) print row; skip = 1; next }
    /<!-- synth end -->/ { skip = 0 }
    !skip' rtl/README.md > "$work/readme"
cmp -s "$work/readme" rtl/README.md || cp "$work/readme" rtl/README.md
