#!/bin/bash
# Synthesizes the MMU of each preset named with Yosys, for Lattice iCE40 and ECP5 and as generic gates, and prints a table:
# LUTs, flip-flops, RAM blocks, cells. --readme also writes it into rtl/README.md between the marks there.
#   tb/synth.sh [--readme] [PRESET…]
# NTMMU_SYNTH_SECONDS limits each run; what takes longer is shown as "-".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readme=0
[ "${1:-}" != --readme ] || { readme=1; shift; }
presets=("$@")
[ ${#presets[@]} -gt 0 ] || presets=(i486 p6 ref64)
limit=${NTMMU_SYNTH_SECONDS:-900}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# read_design PRESET: Yosys commands that read the RTL with the preset's parameters.
read_design() {
    local parameter
    printf 'read_verilog -sv -Irtl %s\n' "$(echo rtl/*.sv)"
    printf 'hierarchy -check -top mmu'
    tb/build_preset.sh "rtl/presets/$1.preset" --parameters | while IFS== read -r name value; do
        printf ' -chparam %s %s' "$name" "$value"
    done
    printf '\n'
}

# count LOG PATTERN: the cells of these types in the last statistics.
count() {
    awk -v pattern="^(\\\\\$?)?($2)\$" '/Number of cells:/ { n = 0 } $1 ~ pattern { n += $2 } END { print n + 0 }' "$1"
}

# run PRESET TARGET COMMANDS…
run() {
    local log=$work/$1.$2
    { read_design "$1"; printf '%s\n' "${@:3}" stat; } > "$work/script"
    timeout "$limit" yosys -q -p "$(sed 's/$/ ;/' "$work/script" | tr '\n' ' ')" -l "$log" > /dev/null 2>> "$work/errors" || { echo -; return; }
    echo "$log"
}

table=$work/table
{
    echo "| preset | iCE40: LUT4, FF, RAM blocks | ECP5: LUT4, FF, RAM blocks, distributed RAM | generic: cells, FF |"
    echo "|---|---|---|---|"
    for preset in "${presets[@]}"; do
        row="| $preset"
        log=$(run "$preset" ice40 "synth_ice40 -top mmu")
        if [ "$log" = - ]; then row+=" | -"; else
            row+=" | $(count "$log" SB_LUT4), $(count "$log" 'SB_DFF.*'), $(count "$log" 'SB_RAM40_4K.*')"
        fi
        log=$(run "$preset" ecp5 "synth_ecp5 -top mmu")
        if [ "$log" = - ]; then row+=" | -"; else
            row+=" | $(count "$log" LUT4), $(count "$log" TRELLIS_FF), $(count "$log" DP16KD), $(count "$log" TRELLIS_DPR16X4)"
        fi
        log=$(run "$preset" generic "synth -top mmu -flatten")
        if [ "$log" = - ]; then row+=" | - |"; else
            row+=" | $(awk '/Number of cells:/ { n = $NF } END { print n }' "$log"), $(count "$log" '_[A-Z]*DFF[A-Z]*_[A-Z0-9]*_') |"
        fi
        echo "$row"
    done
} > "$table"
cat "$table"
[ ! -s "$work/errors" ] || sed 's/^/synth: /' "$work/errors" >&2
[ $readme = 1 ] || exit 0
awk -v table="$table" '
    /<!-- synth -->/ { print; while ((getline row < table) > 0) print row; skip = 1; next }
    /<!-- synth end -->/ { skip = 0 }
    !skip' rtl/README.md > "$work/readme"
cmp -s "$work/readme" rtl/README.md || cp "$work/readme" rtl/README.md
