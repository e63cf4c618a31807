#!/bin/bash
# Writes a GTKWave save file that opens a waveform of the Verilated MMU on the signals a person wants.
#   tb/waves/make_gtkw.sh FILE.fst OUT.gtkw FROM TO [NAME@CYCLE…]
# FROM and TO are MMU cycles: the window shown. Each NAME@CYCLE becomes a named marker (at most 26); without any, the
# primary marker stands at FROM. A cycle is 10 ns in the waveform.
set -euo pipefail
[ $# -ge 4 ] || { echo "usage: $0 FILE.fst OUT.gtkw FROM TO [NAME@CYCLE…]" >&2; exit 2; }
fst=$(realpath "$1") out=$2 from=$3 to=$4
shift 4
for number in "$from" "$to"; do
    [[ $number =~ ^[0-9]+$ ]] || { echo "$0: found cycle '$number', expected a number" >&2; exit 2; }
done
(( to > from )) || { echo "$0: found cycles $from to $to, expected a window that is not empty" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

times=() names=()
for marker in "$@"; do
    [[ $marker =~ ^([^@]+)@([0-9]+)$ ]] || { echo "$0: found marker '$marker', expected NAME@CYCLE" >&2; exit 2; }
    (( ${#times[@]} < 26 )) || { echo "$0: found more than 26 markers" >&2; exit 2; }
    letter=$(printf "\\x$(printf %x $((65 + ${#times[@]})))")
    names+=("[markername] $letter${BASH_REMATCH[1]}")
    times+=($((BASH_REMATCH[2] * 10)))
done
primary=${times[0]:-$((from * 10))}
while (( ${#times[@]} < 26 )); do times+=(-1); done
# Measured: GTKWave 3.3 draws 202 * 2^zoom pixels a time unit; the waves get some 1060 pixels of a window of 1500.
zoom=$(awk -v span=$(((to - from) * 10)) 'BEGIN { printf "%.6f", log(1060 / 202 / span) / log(2) }')

group() { printf '@800200\n-%s\n' "$1"; }
group_end() { printf '@1000200\n-%s\n' "$1"; }
# show FLAGS COLOUR SIGNAL…: flags 28 binary, 22 hexadecimal, 24 decimal, 20 the names of an enum.
show() {
    local flags=$1 colour=$2 signal
    shift 2
    for signal in "$@"; do printf '[color] %s\n@%s\n%s\n' "$colour" "$flags" "$signal"; done
}
translated() { printf '[color] %s\n@2022\n^1 %s\n%s\n' "$1" "$here/$2" "$3"; }
mmu=top.mmu

{
    printf '[dumpfile] "%s"\n[timestart] %d\n[size] 1500 1040\n[pos] -1 -1\n' "$fst" $((from * 10))
    printf '*%s %d' "$zoom" "$primary"
    printf ' %d' "${times[@]}"
    printf '\n'
    [ ${#names[@]} = 0 ] || printf '%s\n' "${names[@]}"
    printf '[sst_width] 200\n[signals_width] 230\n[sst_expanded] 0\n'
    show 28 0 top.clk
    group "Request (taken at the end of the cycle)"
    show 28 3 top.req_valid top.req_ready
    show 20 3 'top.req_op[2:0]' 'top.req_type[1:0]' 'top.req_mode[1:0]'
    show 22 3 'top.req_value[63:0]'
    group_end "Request (taken at the end of the cycle)"
    group "Head"
    show 24 0 "$mmu.u_queue.count_q[2:0]"
    show 22 0 "$mmu.u_queue.head_value_q[63:0]"
    show 20 0 "$mmu.u_head.state_q[1:0]"
    show 28 0 $mmu.look $mmu.l1_hit $mmu.l2_look $mmu.l2_hit $mmu.u_head.served $mmu.u_head.hit_fault $mmu.walk_dirty
    group_end "Head"
    group "Walker"
    show 20 2 "$mmu.u_walk.u_walker.state_q[2:0]"
    translated 2 level.flt "$mmu.u_walk.u_walker.level_q[2:0]"
    show 28 2 $mmu.walk_start $mmu.walk_done $mmu.walk_fault $mmu.walk_restart $mmu.fill
    group_end "Walker"
    group "Walks ahead (none with one walker)"
    show 24 0 "$mmu.position[2:0]"
    show 28 0 $mmu.owns $mmu.ahead_missed $mmu.ahead_taken
    group_end "Walks ahead (none with one walker)"
    group "Memory port"
    show 28 7 top.mem_valid top.mem_early
    show 24 7 'top.mem_id[1:0]'
    show 28 7 top.mem_exchange
    translated 7 level.flt 'top.mem_level[2:0]'
    show 22 7 'top.mem_pa[51:0]' 'top.mem_expected[63:0]' 'top.mem_desired[63:0]'
    show 28 7 top.mem_rsp_valid
    show 24 7 'top.mem_rsp_id[1:0]'
    show 22 7 'top.mem_rsp_data[63:0]'
    group_end "Memory port"
    group "Response"
    show 28 4 top.rsp_valid
    show 20 4 'top.rsp_hit[2:0]'
    show 22 4 'top.rsp_pa[51:0]'
    show 24 4 'top.rsp_page_shift[4:0]'
    translated 1 vector.flt 'top.rsp_vector[3:0]'
    translated 1 error_code.flt 'top.rsp_error[4:0]'
    group_end "Response"
    group "Invalidation"
    show 28 2 top.inv_valid top.inv_done
    show 20 2 "$mmu.drop[2:0]"
    group_end "Invalidation"
    printf '[pattern_trace] 1\n[pattern_trace] 0\n'
} > "$out.new"
mv "$out.new" "$out"
