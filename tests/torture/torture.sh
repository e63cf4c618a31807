#!/usr/bin/env bash
# A torture run in pieces: bare programs on each CPU in each paging mode it has, EVENTS events in all, and beside them programs for
# the NT kernel (one event for 200 of those; each costs some 20 times as much): plain, with little memory and faults, with threads
# that wait. Pieces that were done are not run again when an interrupted run is started anew, unless the program or the RTL has changed.
# Usage: tests/torture/torture.sh BUILD_DIR SEED EVENTS JOBS "CPU…" [check option…]     KIND=mmu or KIND=nt: only these programs
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1 seed=$2 events=$3 jobs=$4
read -ra cpus <<<"$5"
shift 5
for number in "$seed" "$events" "$jobs"; do
    [[ $number =~ ^[1-9][0-9]*$ ]] || { echo "torture: found '$number', expected SEED, EVENTS and JOBS as numbers above 0" >&2 && exit 2; }
done
ntmmu=${NTMMU:-$build/ntmmu}
piece=1000000 nt_piece=20000

# What is tried, in turn: CPU and mode; a mode that the CPU lacks is left out.
places=()
for cpu in "${cpus[@]}"; do
    error=$("$ntmmu" gen --cpu "$cpu" --events 1 - 2>&1 >/dev/null) || { echo "$error" >&2 && exit 2; }
    for mode in 32 pae long; do
        if "$ntmmu" gen --cpu "$cpu" --mode $mode --events 1 - >/dev/null 2>&1; then places+=("mmu $mode $cpu"); fi
    done
done
nt=()
for mode in 32 pae; do # the kernel runs on the first CPU
    [[ " ${places[*]} " == *" $mode ${cpus[0]} "* ]] || continue
    for kind in nt nt-mild nt-wait; do nt+=("$kind $mode ${cpus[0]}"); done
done

# Lines "KIND MODE CPU SEED EVENTS": TOTAL events over the places, in pieces of at most SIZE.
plan() { # TOTAL SIZE PLACE…
    local total=$1 size=$2 i=0 n
    shift 2
    local count=$(((total + size - 1) / size))
    if [ $count -lt $# ]; then count=$#; fi
    while [ $i -lt $count ]; do
        n=$((total / count + (i < total % count)))
        if [ $n -gt 0 ]; then echo "${@:i % $# + 1:1} $((seed * 1000000 + i)) $n"; fi
        i=$((i + 1))
    done
}

dir=$build/torture-run
mkdir -p "$dir"
version=$(cat "$ntmmu" rtl/*.sv* rtl/presets/*.preset | sha256sum | cut -c1-12)
options=${*:-}
done_file=$dir/done-$seed-$events-$(printf '%s' "${KIND:-} ${cpus[*]} $options" | sha256sum | cut -c1-8)
if ! grep -qsx "version $version" "$done_file"; then echo "version $version" >"$done_file"; fi
: >"$done_file.plan"
if [[ ${KIND:-nt} == nt ]]; then plan "$((events / 200 > 4000 ? events / 200 : 4000))" $nt_piece "${nt[@]}" >>"$done_file.plan"; fi
if [[ ${KIND:-mmu} == mmu ]]; then plan "$events" $piece "${places[@]}" >>"$done_file.plan"; fi
total=$(wc -l <"$done_file.plan")
start=$SECONDS

one() { # BUILD DONE_FILE TOTAL "PIECE" [check option…]
    local build=$1 done_file=$2 total=$3 words rc=0
    read -ra words <<<"$4"
    shift 4
    tests/torture/piece.sh "$build" "${words[@]}" "$@" || rc=$?
    if [ $rc -ne 0 ]; then exit 255; fi # xargs begins no other
    echo "${words[*]}" >>"$done_file"
    if [ -t 2 ]; then printf '\r\033[K%d of %d pieces' $(($(wc -l <"$done_file") - 1)) "$total" >&2; fi
}
export -f one
rc=0
grep -vxFf "$done_file" "$done_file.plan" | tr '\n' '\0' |
    xargs -0 -r -P "$jobs" -I{} bash -c 'one "$@"' one "$build" "$done_file" "$total" {} "$@" || rc=$?
if [ -t 2 ]; then printf '\r\033[K' >&2; fi
sum() { awk -v kind="$1" '$1 ~ kind { n += $5 } END { printf "%.0f", n }' "$done_file"; }
took=$((SECONDS - start))
echo "torture: seed $seed, CPUs ${cpus[*]}: $(sum '^mmu$') events of bare programs, $(sum '^nt') for the NT kernel, in $(($(wc -l <"$done_file") - 1)) of $total pieces, $took s"
if [ $rc -ne 0 ]; then
    echo "torture: not all pieces have passed; the same command goes on with those that are left" >&2
    exit 1
fi
rm "$done_file" "$done_file.plan"
echo "torture: no difference"
