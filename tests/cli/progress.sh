#!/usr/bin/env bash
# What takes more than a second says on a terminal how far it is, on one line that is gone in the end; in a pipe it says nothing.
. "$(dirname "$0")/common.inc"
small_trace "$work/a.vmt"
mkfifo "$work/pipe"
accesses() { yes 'r 410000 4' | head -n "$1" || true; }
# What is slow here is who is at the other end of the pipe.
writes() { { sed '/^!end/d' "$work/a.vmt"; accesses "$1"; sleep 1.3; accesses "$1"; echo '!end'; } >"$work/pipe" & }
reads() { { head -c 1000000; sleep 1.3; cat; } <"$work/pipe" >"$work/read" & }
shows() { # PATTERN COMMAND…
    script -qec "${*:2}" /dev/null </dev/null >"$work/screen" || { cat "$work/screen"; fail "failed on a terminal: ${*:2}"; }
    wait
    tr '\r' '\n' <"$work/screen" >"$work/lines"
    grep -qE "^.\[K$1" "$work/lines" || { cat -v "$work/screen"; fail "no progress: ${*:2}"; }
    ! grep -E '^.\[K' "$work/lines" | tail -n 1 | grep -qE "$1" || { cat -v "$work/screen"; fail "the last progress stays: ${*:2}"; }
}
events='[0-9]+ events, [0-9.]+ M (events|accesses)/s'
writes 20000
shows "$events" "$ntmmu" check --mmu c "$work/pipe"
writes 100000
shows "$events" "$ntmmu" info "$work/pipe"
writes 100000
shows "$events" "$ntmmu" convert --from vmt "$work/pipe" "$work/out.vmt"
reads
shows "$events, [0-9]+ %, [0-9]+ s left" "$ntmmu" gen --events 200000 "$work/pipe"
examples=$(dirname "$ntmmu")/examples
# the same for shrink: an MMU that takes its time each time that it is made
wrapped_mmu "$work/slow.so" "$examples/tiny_mmu.bugs-2.so" create <<END
static struct mmu *create(const struct mmu_config *config, char *err, size_t err_size) {
    usleep(50000);
    return inner->create(config, err, err_size);
}
END
"$ntmmu" gen --kind nt --seed 4 --events 5000 "$work/long.vmt"
shows '[0-9]+ events left, tries [0-9]+; [0-9]+ runs in [0-9]+ s' "$ntmmu" shrink --seconds 3 --mmu "$work/slow.so" \
    --cpu examples/own-mmu/tiny_mmu.preset --compare architecture -o "$work/small.vmt" "$work/long.vmt"

writes 20000
expect 0 '' "$ntmmu" check --mmu c "$work/pipe"
writes 20000
script -qec "$ntmmu check --quiet --mmu c $work/pipe" /dev/null </dev/null >"$work/screen"
[ ! -s "$work/screen" ] || { cat -v "$work/screen"; fail "--quiet says something on a terminal"; }
