#!/usr/bin/env bash
# ntmmu-platform: options of `run` do on it what they do there; its clock; bad input.
. "$(dirname "$0")/common.inc"
trace=traces/true.exact.vmt.zst
same() { bash tests/platform.sh "$@" -- "$trace"; }
same --mmu c --ram 512K --disk seek:5,transfer:1 --inject read-error:p=0.01,seed=1 --inject no-frame:p=0.05
same --mmu c --check all --audit 10000 --cpu tiny
same --mmu c --kernel direct --latency 40
same --mmu c --profile NT5PAE --ram 3900M # RAM over the device's addresses
same --assertions
same --mmu c --compare c
expect 2 '--compare: found architecture, expected c' "$ntmmu-platform" --mmu c --compare architecture "$trace"

# caches in front of memory: the time of a table access is not always the same
grep -v '^memory' rtl/presets/tiny.preset >"$work/cached.preset"
printf 'memory l1 64 8 3\nmemory l2 512 8 12\nmemory dram 90\n' >>"$work/cached.preset"
same --mmu c --cpu "$work/cached.preset"

# time: cycles times the period, however far the CPU runs ahead
simulated() { sed -n 's/^  simulated *//p' "$work/stdout"; }
expect 0 '' "$ntmmu-platform" --mmu c "$trace"
usual=$(simulated)
[[ $usual =~ ^([0-9]+)\ ns\ .*\ ([0-9]+)\ cycles\ of\ 10000\ ps ]] || fail "no simulated time: $usual"
[ "${BASH_REMATCH[1]}" = $((BASH_REMATCH[2] * 10)) ] || fail "time is not cycles of 10 ns: $usual"
expect 0 '' "$ntmmu-platform" --mmu c --quantum 1 "$trace"
[ "$(simulated)" = "$usual" ] || fail "the quantum changes time: $(simulated), $usual"
expect 0 '' "$ntmmu-platform" --mmu c --clock 500 "$trace"
[[ $(simulated) = "$((${BASH_REMATCH[2]} / 2)) ns "* || $(simulated) = "$((${BASH_REMATCH[2]} * 500)) ps "* ]] ||
    fail "time is not cycles of 500 ps: $(simulated)"

# the same waveform
wave() { # OUT COMMAND…
    rm -f "$work/w.fst"
    "${@:2}" --quiet --wave "$work/w.fst" --wave-at fault:3 "$trace" || fail "${*:2}: no waveform"
    fst2vcd "$work/w.fst" | grep -v '^\s.* 20[0-9][0-9]$' >"$1"
    grep -q '^#[0-9]' "$1" || fail "${*:2}: an empty waveform"
}
wave "$work/run.vcd" "$ntmmu" run
wave "$work/platform.vcd" "$ntmmu-platform"
cmp "$work/run.vcd" "$work/platform.vcd" || fail "the waveforms differ"

# a difference is shown by the same command
wrapped_mmu "$work/late.so" "$(realpath "$(dirname "$ntmmu")")/examples/tiny_mmu.so" translate <<END
static size_t translate(struct mmu *mmu, const struct mmu_request *request, struct mmu_result *result, size_t count) {
    count = inner->translate(mmu, request, result, count);
    for (size_t i = 0; i < count; i++) { result[i].cycles++; }
    return count;
}
END
small_trace "$work/late.vmt"
late=(--quiet --mmu "$work/late.so" --cpu examples/own-mmu/tiny_mmu.preset --compare c "$work/late.vmt")
for program in "$ntmmu run" "$ntmmu-platform"; do
    expect 1 '' $program "${late[@]}"
    grep -qF "to see it: $ntmmu wave " "$work/stdout" || { cat "$work/stdout"; fail "no command"; }
done

# a trace that fails is reported in the same words
small_trace "$work/av.vmt" 'r 900000 4'
expect 1 '' "$ntmmu" run --quiet --mmu c "$work/av.vmt"
cp "$work/stdout" "$work/run"
expect 1 '' "$ntmmu-platform" --quiet --mmu c "$work/av.vmt"
cmp "$work/run" "$work/stdout" || fail "the reports differ"

for bad in '--clock 0' '--clock x' '--quantum 0'; do
    expect 2 "ntmmu-platform: ${bad% *}: found '${bad#* }', expected 1 to" "$ntmmu-platform" $bad "$trace"
done
expect 2 'found no trace' "$ntmmu-platform"
expect 2 'No such file' "$ntmmu-platform" "$work/none.vmt"
expect 0 '' "$ntmmu-platform" --help
