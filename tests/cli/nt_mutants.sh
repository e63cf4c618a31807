#!/usr/bin/env bash
# Would we notice? Each hand-made bug of tests/mutants/nt.txt stands once in csrc/nt, in the file that its line names; alive, it fails a
# check on the trace of tests/mutants/nt.short; with none alive those traces pass.
. "$(dirname "$0")/common.inc"
list=tests/mutants/nt.txt short=tests/mutants/nt.short
[ -x "$ntmmu.mutate" ] || fail "$ntmmu.mutate is not built"

places() { grep -oE "MI_MUTANT(_OF\(f->os, |\()[0-9]+" csrc/nt/*.c | sed -E 's|csrc/nt/(.*):.*[( ]([0-9]+)$|\2 \1|' | sort; }
listed() { sed -nE 's|^([0-9]+) +[a-z_]+ +([a-z]+\.c): .+|\1 \2|p' "$list" | sort; }
diff <(listed) <(places) >&2 || fail "the list (<) and csrc/nt (>) name different bugs"
diff <(listed | cut -d' ' -f1) <(sed -nE 's|^([0-9]+) .*|\1|p' "$short" | sort) >&2 || fail "$list (<) and $short (>) differ"
[ "$(listed | wc -l)" = "$(grep -vc '^#' "$list")" ] || fail "$list: a line has another form"

alive() { # NUMBER TRACE: the exit code, and in a file what was said
    local rc=0
    NTMMU_MUTANT=$1 timeout 60 "$ntmmu.mutate" run --quiet --mmu c --check all "$2" >"$work/$1" 2>&1 || rc=$?
    echo "$rc"
}
while read -r trace; do
    rc=$(alive 0 "$trace")
    [ "$rc" = 0 ] || { cat "$work/0" >&2; fail "$trace: exit code $rc with no bug alive"; }
done < <(sed -nE 's|^[0-9]+ ||p' "$short" | sort -u)
while read -r number trace; do
    rc=$(alive "$number" "$trace")
    # 1 a check failed, 2 the kernel's own assertion, 124 it hangs
    [[ $rc =~ ^(1|2|124)$ && -s $work/$number || $rc = 124 ]] || fail "$(grep "^$number " "$list"): survived $trace (exit code $rc)"
done < <(grep -E '^[0-9]' "$short")
