#!/usr/bin/env bash
# Would the tests notice? Makes each planted bug alive, runs the tests of its kind in order until one fails, and writes down
# which did and after how many events. README.md beside this file describes the files it reads.
#   tests/mutants/run.sh [--build DIR] [--jobs N] [--alone|--all] [--only NUMBERS] [--results FILE] KIND…
# --alone: the single checks (stages only:…), too, until two of them have failed. --all: these, and every stage after the first
# failure; and those that equivalent.txt explains, which else are not tried.
# --only: numbers with commas between. Results that the file holds already are not made again while what was tested is the
# same. Exit code 0: each was noticed or is explained in equivalent.txt, 1: one survived, 2: cannot run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
here=tests/mutants
limit=${NTMMU_MUTANT_SECONDS:-60} # of processor time, for one program

usage() { sed -n '4s/^# *//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
cannot() { echo "run.sh: $*" >&2; exit 2; }

# ---- what stages call ----

# vectors CPU OBJECT SET…: the first line that fails.
vectors() {
    local cpu=$1 object=$2 set found
    shift 2
    for set in "$@"; do
        # The program would go on to the last line.
        found=$({ stdbuf -oL "$NTMMU" vectors --cpu "$cpu" --mmu "$object" "tests/vectors/$set.vec.zst"; echo "exit $?"; } |
            grep -am1 -e ': found ' -e '^exit ') || true # the first of them breaks the pipe
        [ "$found" = 'exit 0' ] || { echo "$found"; return 1; }
    done
}

# each LIST COMMAND OPTION…: `ntmmu COMMAND` on each trace of LIST.txt, with the options that stand there beside it.
each() {
    local list=$1 command=$2 file options rc
    shift 2
    while read -r file options; do
        # shellcheck disable=SC2086
        "$NTMMU" "$command" --quiet "$@" $options "$file" 2>&1 || { rc=$?; echo "$file"; return $rc; }
    done < <(sed 's/ *#.*//; /^$/d' "$here/$list.txt")
}
scenarios() { each scenarios "$@"; }
traces() { each traces "$@"; }

# programs KIND CPU EVENTS MODES [check option…]: random programs (tests/torture/piece.sh) of each mode.
programs() {
    local kind=$1 cpu=$2 events=$3 modes=$4 seed mode
    shift 4
    for seed in 1 2; do
        for mode in ${modes//,/ }; do
            REPORT_ONLY=1 tests/torture/piece.sh "$BUILD" "$kind" "$mode" "$cpu" "$seed" "$events" "$@" || return
        done
    done
}

# The trace that is known to find the kernel's bug that is alive, if one is.
short() { sed -n "s/^$NTMMU_MUTANT //p" "$here/nt.short"; }

# The lines `needs` and the stages of a kind, with their variables put in.
stack() { sed 's/^ *#.*//; /^ *$/d' "$here/$1.stack" | BUILD=$BUILD NTMMU=$NTMMU PRESETS=$PRESETS PROGRAMS=$PROGRAMS \
    awk '{ gsub(/\$BUILD/, ENVIRON["BUILD"]); gsub(/\$NTMMU/, ENVIRON["NTMMU"]); gsub(/\$PRESETS/, ENVIRON["PRESETS"])
           gsub(/\$PROGRAMS/, ENVIRON["PROGRAMS"]); print }'; }

# Which of the checks a report is of, by how it begins.
check_of() {
    case $1 in
    *lockstep*) echo lockstep ;;
    *staleness*|*'stale TLB'*) echo staleness ;;
    *shadow*) echo shadow ;;
    *audit*) echo audit ;;
    *architecture*) echo architecture ;;
    *hang*) echo hang ;;
    *) echo expect ;;
    esac
}

# events TEXT REPORT: how many came before; end: all.
events() {
    if [[ $1 =~ after\ ([0-9]+) || $1 =~ event\ ([0-9]+) || $1 =~ :([0-9]+): || $2 =~ event\ ([0-9]+) ]]; then
        echo "${BASH_REMATCH[1]}"
    elif [[ $2 == *'at the end of the trace'* ]]; then
        echo end
    else
        echo -
    fi
}

# ---- one mutant ----

# one KIND NUMBER ALL RESULTS STAMP
one() {
    local kind=$1 number=$2 all=$3 results=$4 stamp=$5 stage check command output text last rc alone found=0
    export NTMMU_MUTANT=$number
    while read -r stage check command; do
        [ "$stage" != needs ] || continue
        if [[ $stage == only:* ]]; then
            ((all)) || continue
            # One that two checks notice is noticed by no single one.
            alone=$(awk -F'\t' -v of="$stamp $kind $number" '$1 " " $2 " " $3 == of && $4 ~ /^only:/ && $6 == "killed" { print $5 }' \
                "$results" | sort -u)
            [ "$(wc -w <<< "$alone")" -lt 2 ] && ! grep -qxF -e "$check" <<< "$alone" || continue
        elif ((found && all < 2)); then
            continue
        fi
        if grep -qaP "^$stamp\t$kind\t$number\t$stage\t" "$results"; then
            ! grep -qaP "^$stamp\t$kind\t$number\t$stage\t[^\t]*\tkilled" "$results" || found=1
            continue
        fi
        rc=0
        # By the clock ten times as much, for one that waits; what does not end by itself is killed.
        output=$(timeout -k 5 $((10 * limit)) bash -c "ulimit -c 0; ulimit -S -t $limit; . $here/run.sh --stage; $command" 2>&1 |
            head -c 4000; exit "${PIPESTATUS[0]}") || rc=$?
        output=$(grep -av '^rtl mmu: ' <<< "$output" || true)
        text=$(head -n 1 <<< "$output" | tr '\t' ' ') last=$(tail -n 1 <<< "$output")
        [[ $last != *.vmt* ]] || text+=" ($(basename "$last"))"
        if [[ $rc =~ ^(124|137|152)$ || $output == 'exit 152' ]]; then text="time limit: $limit s" output=hang; fi
        if [ $rc = 0 ]; then
            printf '%s\t%s\t%s\t%s\t%s\tsurvived\t-\t\n' "$stamp" "$kind" "$number" "$stage" "$check" >> "$results"
            continue
        fi
        [[ $text != 'ntmmu: boot:'* ]] || check=boot # none of the checks was asked
        [ "$check" != - ] || check=$(check_of "$output")
        printf '%s\t%s\t%s\t%s\t%s\tkilled\t%s\t%s\n' "$stamp" "$kind" "$number" "$stage" "$check" "$(events "$text" "$output")" \
            "${text:0:200}" >> "$results"
        found=1
    done < <(stack "$kind")
}

# ---- all of them ----

# The numbers of a kind, none alive first.
numbers() {
    case $1 in
    rtl) grep -ohE '(`MUT\(|mut_sel == )[0-9]+' rtl/*.sv rtl/*.svh ;;
    c) grep -ohE '\bMUT\([0-9]+' csrc/mmu/*.[ch] ;;
    generated) sed 's/ .*//' "$BUILD/generated/list.txt" ;;
    *) grep -oE '^ *[0-9]+' "$here/$1.txt" ;;
    esac | grep -oE '[0-9]+' | sort -nu
}

main() {
    local all=0 jobs only= results= kinds=() kind number stamp survived=0 done_before total
    jobs=$(nproc)
    while [ $# -gt 0 ]; do
        case $1 in
        --build) BUILD=$2; shift ;;
        --jobs) jobs=$2; shift ;;
        --only) only=$2; shift ;;
        --results) results=$2; shift ;;
        --alone) all=1 ;;
        --all) all=2 ;;
        -*) usage ;;
        *) kinds+=("$1") ;;
        esac
        shift
    done
    [ ${#kinds[@]} -gt 0 ] || usage
    settle
    results=${results:-$BUILD/mutants/results.tsv}
    mkdir -p "$(dirname "$results")"
    touch "$results"
    for kind in "${kinds[@]}"; do
        [ -r "$here/$kind.stack" ] || cannot "$here/$kind.stack: not there, expected the tests of this kind of mutants"
        local needs
        needs=$(stack "$kind" | sed -n 's/^needs //p')
        for file in $needs; do [ -r "$file" ] || cannot "$file: not there; make mutants builds it"; done
        stamp=$(cat $needs $here/$kind.stack $here/scenarios.txt $here/traces.txt "$NTMMU" tests/scenarios/*.vmt \
            tests/scenarios/pae/*.vmt tests/vectors/*.zst traces/*.zst | cksum | cut -d' ' -f1)
        # What was tested otherwise is forgotten.
        awk -F'\t' -v kind="$kind" -v stamp="$stamp" '$2 != kind || $1 == stamp' "$results" > "$results.new"
        mv "$results.new" "$results"
        one "$kind" 0 "$all" "$results" "$stamp"
        if grep -aP "^$stamp\t$kind\t0\t.*\tkilled\t" "$results" >&2; then
            sed -i "/^$stamp\t$kind\t0\t/d" "$results"
            cannot "$kind: a test fails with no mutant alive"
        fi
        local list
        list=$(numbers "$kind")
        [ -z "$only" ] || list=$(grep -xF -f <(tr , '\n' <<< "$only") <<< "$list" || true)
        total=$(wc -w <<< "$list")
        local tried=$list
        ((all == 2)) || tried=$(grep -vxF -f <(sed -n "s/^$kind  *\([0-9]*\) .*/\1/p" $here/equivalent.txt) <<< "$list" || true)
        [ ! -t 2 ] || echo "$kind: $total mutants" >&2
        export -f one stack check_of events
        export here limit
        [ -z "$tried" ] || xargs -P "$jobs" -I{} bash -c "one $kind {} $all $results $stamp" <<< "$tried"
        for number in $list; do
            grep -qaP "^$stamp\t$kind\t$number\t.*\tkilled\t" "$results" && continue
            grep -qE "^$kind +$number +[^ ]" $here/equivalent.txt && continue
            echo "survived: $kind $number" >&2
            survived=$((survived + 1))
        done
        echo "$kind: $total mutants, $((total - survived)) noticed or equivalent, $survived survived"
        [ $survived = 0 ] || failed=1
        survived=0
    done
    exit "${failed:-0}"
}

settle() {
    BUILD=${BUILD:-build}
    NTMMU=$BUILD/ntmmu
    PRESETS=$BUILD/presets
    PROGRAMS=$BUILD/mutant-programs
    export BUILD NTMMU PRESETS PROGRAMS
}

if [ "${1:-}" = --stage ]; then return 0; fi
main "$@"
