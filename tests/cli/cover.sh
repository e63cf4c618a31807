#!/usr/bin/env bash
# The machinery of `make cover`, which itself takes minutes: the MMU with counters in it is made and its test bench compiles (all but
# the model itself), and the reports judge holes, explanations and what explains nothing.
. "$(dirname "$0")/common.inc"

NTMMU_KEEP_MODEL=$work/model tb/build_preset.sh tests/data/cover/narrow.preset "$work/narrow.so" --cover
make -s -C "$work/model" -f Vmmu.mk shim.o OPT_FAST=-O0 OPT_GLOBAL=-O0 OPT_SLOW=-O0 >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "the shim does not compile"; }
grep -q 'invlpg_during_walk' "$work"/model/*.cpp || fail "no named points in the model"

# Two signals of two bits, a line and a point of a source; counts as given.
data() { # COUNT…
    local source=$work/x.sv at=0 item
    printf 'assign a = b;\n' >"$source"
    for item in 'toggle/x a[0]' 'toggle/x a[1]' 'line/x block' 'user/x here'; do
        at=$((at + 1))
        printf "C '\001f\002%s\001l\0021\001n\002%s\001page\002v_%s\001o\002%s\001' %s\n" "$source" $at "${item% *}" "${item#* }" "${!at}"
    done >"$work/data"
}
rtl() { # CODE TEXT: the report's exit code, and a line of it
    local rc=0
    awk -f tests/cover_rtl.awk "$work/x.exceptions" "$work/data" >"$work/report" || rc=$?
    [ $rc = "$1" ] || { cat "$work/report" >&2; fail "exit code $rc, expected $1"; }
    grep -qF -- "$2" "$work/report" || { cat "$work/report" >&2; fail "no line '$2'"; }
}
: >"$work/x.exceptions"
data 1 1 1 1 && rtl 0 'toggle     2 of     2 covered (100.0 %), 0 explained (with these 100.0 %), 0 unexplained'
data 1 0 1 1 && rtl 1 'x.sv:1: toggle a[1]: assign a = b;'
data 1 1 0 1 && rtl 1 'line       0 of     1 covered'
data 1 1 1 0 && rtl 1 'x.sv:1: point here'
echo 'x.sv | toggle | a[3:1] | it is constant' >"$work/x.exceptions"
data 1 0 1 1 && rtl 0 'toggle     1 of     2 covered (50.0 %), 1 explained (with these 100.0 %), 0 unexplained'
data 0 0 1 1 && rtl 1 'x.sv:1: toggle a[0]'
data 1 1 1 1 && rtl 1 'a[3:1]: explains nothing'
echo 'x.sv | line | assign a | never' >"$work/x.exceptions"
data 1 1 0 1 && rtl 0 'line       0 of     1 covered (0.0 %), 1 explained (with these 100.0 %), 0 unexplained'

# A source of a room with a function of COUNT lines, the last MISSED of which did not run.
c() { # CODE ROOM COUNT MISSED TEXT [ROOMS]
    local rc=0 line
    {
        printf '        -:    0:Source:csrc/%s/x.c\n' "$2"
        printf '        1:    1:int f(void) {\n'
        for ((line = 2; line <= $3; line++)); do
            if [ $line -gt $(($3 - $4)) ]; then printf '    #####:%5d:    missed(%d);\n' $line $line; else printf '        7:%5d:    ran();\n' $line; fi
        done
    } >"$work/gcov"
    awk -v rooms="${6:- nt gen }" -v info="$work/info" -f tests/cover_c.awk "$work/x.exceptions" "$work/gcov" >"$work/report" || rc=$?
    [ $rc = "$1" ] || { cat "$work/report" >&2; fail "exit code $rc, expected $1"; }
    grep -qF -- "$5" "$work/report" || { cat "$work/report" >&2; fail "no line '$5'"; }
}
: >"$work/x.exceptions"
c 0 nt 100 0 'csrc       100 of   100 lines ran (100.0 %), 0 of the others are explained, 0 unexplained'
c 1 nt 100 1 'csrc/nt/x.c:100: f: missed(100);'
c 1 gen 100 5 'csrc        95 of   100 lines ran (95.0 %), 0 of the others are explained, 5 unexplained'
echo 'gen/x.c | missed | nobody calls it' >"$work/x.exceptions"
c 0 gen 100 5 'csrc        95 of   100 lines ran (95.0 %), 5 of the others are explained, 0 unexplained'
c 1 gen 100 6 '   6 lines of gen/x.c did not run'
c 1 gen 100 5 'gen/x.c | missed: explains 5 lines, expected at most 1' ' gen cli '
echo 'gen/x.c | missed | 5 | nobody calls it' >"$work/x.exceptions"
c 0 gen 100 5 'csrc        95 of   100 lines ran (95.0 %), 5 of the others are explained, 0 unexplained' ' gen cli '
echo 'nt/x.c | missed(100) | nobody calls it' >"$work/x.exceptions"
c 0 nt 100 1 '    nobody calls it'
c 1 nt 100 0 'explains no line'
grep -qx 'DA:99,7' "$work/info" || fail "no counts for lcov"
