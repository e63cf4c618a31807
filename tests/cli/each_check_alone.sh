#!/usr/bin/env bash
# No check is decoration: for each of the five there is a bug that it finds by itself and all the others together do not.
. "$(dirname "$0")/common.inc"
presets=${NTMMU_PRESET_DIR:-build/presets}

alone() { # CHECK WITHOUT NUMBER PROGRAM… : what runs with that check only, with all but it
    local only=$1 without=$2 rc=0
    export NTMMU_MUTANT=$3
    shift 3
    "$@" --quiet --check "$without" >"$work/others" 2>&1 || { head -3 "$work/others" >&2; fail "bug $NTMMU_MUTANT: other checks find it, too"; }
    "$@" --quiet --check "$only" >"$work/alone" 2>&1 || rc=$?
    [ "$rc" = 1 ] || fail "bug $NTMMU_MUTANT: --check $only does not find it (exit code $rc)"
    NTMMU_MUTANT=0 expect 0 '' "$@" --quiet --check all
}
kernel=("$ntmmu.mutate" run --mmu c)
# The MMU's A is exchanged though it is set: right in all but the cycles (tb/mutants.txt).
alone no-expect,lockstep all,no-lockstep 18 \
    "$ntmmu" check --mmu "$presets/tiny.mutate.so" --cpu tiny tests/scenarios/S-84-fork-then-write.vmt
# copy_short: the last bytes of a page are not copied. All lists are right, and no scenario looks at those bytes.
alone no-expect,shadow all,no-shadow 185 "${kernel[@]}" traces/subshell.vmt.zst
# lock_takes_dirty_bit: memory and PFN entry are right, the TLB has what the entry no longer grants.
alone no-expect,staleness all,no-staleness 198 "${kernel[@]}" tests/scenarios/NT-87-written-on-while-locked.vmt
# copied_entry_stays_counted: a count that decides when the hash grows, and nothing else.
alone no-expect,audit all,no-audit 173 "${kernel[@]}" tests/scenarios/NT-79-protecting-inherited-pages.vmt
# hint_stays: every page comes back, every slot is counted; the wrong one of two free ones was taken.
alone none all,no-expect 150 "${kernel[@]}" tests/scenarios/NT-40-choice-of-file.vmt
