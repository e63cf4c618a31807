#!/bin/bash
# Proves what tb/formal/proofs.txt lists: Yosys turns a harness and the real modules of rtl/ into an AIGER file, ABC's PDR proves
# that its `bad` can never become true. A proof counts only if `reached` can (else it might say nothing) and if each
# hand-made bug named with it breaks it; both are replayed by Yosys' own simulator, into waveforms.
#   tb/formal/prove.sh OUT_DIR [--quick] [--docs] [NAME…]
# --quick: those marked so, and only the first bug of the first. --docs: writes their rows into docs/proofs.md.
# OUT_DIR gets NAME.bad.vcd (a counterexample, if there is one), NAME.reached.vcd, NAME.bug-N.vcd; look at one with
#   gtkwave OUT_DIR/NAME.bug-N.vcd tb/formal/HARNESS.gtkw
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -ge 1 ] || { echo "usage: $0 OUT_DIR [--quick] [--docs] [NAME…]" >&2; exit 2; }
out=$1 quick=0 docs=0 names=()
shift
for word in "$@"; do
    case $word in --quick) quick=1 ;; --docs) docs=1 ;; *) names+=("$word") ;; esac
done
seconds=${NTMMU_FORMAL_SECONDS:-3000}    # of the clock, for one question to ABC
frames=60                                # how far `reached` and a bug are looked for
list=tb/formal/proofs.txt
mkdir -p "$out"
failed=0
complain() { echo "formal: $1" >&2; failed=1; }

# spent: the CPU seconds of this script's children so far, in `cpu`.
spent() {
    times > "$out/times"
    cpu=$(awk 'NR == 2 { split($1, t, /[ms]/); printf "%.0f", t[1] * 60 + t[2] }' "$out/times")
}

# elaborate RUN HARNESS PARAMETERS [DEFINE…]: RUN.aig, RUN.aim, and RUN.il for the replay.
elaborate() {
    local run=$1 harness=$2 parameters=$3 set='' pair
    shift 3
    if [ "$parameters" != - ]; then
        for pair in ${parameters//,/ }; do set+=" -set ${pair%%=*} ${pair#*=}"; done
        set="chparam$set $harness"
    fi
    # Registers that reset leaves alone begin with any value. In the whole MMU the walker's copies of entries begin with
    # zeros, so that bits which no table sets there stay 0 and the state small; and nobody asks the counters.
    local small=''
    if grep -q '^    small_mmu' "tb/formal/$harness.sv"; then
        small='setundef -init -zero walker; delete counters/t:*; setundef -undriven -zero counters'
    fi
    cat > "$run.ys" <<END
read_verilog -sv -formal $* -Irtl -Itb/formal $(echo rtl/*.sv tb/formal/*.sv)
$set
hierarchy -check -top $harness
proc
chformal -assert -remove *$harness* %n
$small
flatten
memory_map
write_rtlil $run.il
opt_clean
opt -full
async2sync
dffunmap
setundef -undriven -anyseq
opt_clean
techmap
opt -fast -nodffe -nosdff
dffunmap
setundef -anyseq
aigmap
opt_clean
chformal -assert -remove
write_aiger -zinit -map $run.aim $run.aig
END
    yosys -q -l "$run.log" -s "$run.ys" > /dev/null 2>&1 || { tail -n 3 "$run.log" >&2; return 1; }
    # A name that is not declared, or a hierarchical reference, would be a free wire.
    ! grep -e 'implicitly declared' -e 'Latch inferred' "$run.log" >&2
}

# ask RUN OUTPUT COMMAND: proved | found K | nothing; with found, RUN.OUTPUT.aiw.
ask() {
    local run=$1 output=$2 number log=$1.$2.abc
    number=$(awk -v name="$output" '$1 == "output" && $4 == name { print $2 }' "$run.aim")
    rm -f "$run.$output.aiw"
    ( ulimit -v 6000000
      timeout $((seconds + 60)) yosys-abc -c "read_aiger $run.aig; cone -s -O $number; strash; scorr; dc2; scorr; dc2; $3; write_cex -a $run.$output.raw" ) \
        > "$log" 2>&1 || true
    if grep -q 'Property proved' "$log"; then
        echo proved
    elif grep -q 'was asserted in frame' "$log"; then
        # What ABC leaves out: the status line and all latches 0.
        { echo 1; echo b0; printf "%0*d\n" "$(head -n 1 "$run.aig" | awk '{ print $4 }')" 0
          sed -e 1d -e 's/#.*//' "$run.$output.raw"; echo .; } > "$run.$output.aiw"
        echo "found $(sed -n 's/.*was asserted in frame \([0-9]*\).*/\1/p' "$log" | tail -n 1)"
    else
        echo nothing
    fi
    rm -f "$run.$output.raw"
}

# replay RUN OUTPUT VCD HARNESS: true if Yosys' simulator sees OUTPUT become 1, too.
replay() {
    yosys -q -p "read_rtlil $1.il; sim -q -zinit -clock clk -r $1.$2.aiw -map $1.aim -vcd $3" > "$1.$2.sim" 2>&1 || { tail -n 1 "$1.$2.sim" >&2; return 1; }
    # GTKWave takes no names of the variables of functions, `f$func$file:line`.
    awk '/^\$var/ { gsub(/[^A-Za-z0-9_.[\]]/, "_", $5) } { print }' "$3" > "$3.new" && mv "$3.new" "$3"
    # What the save file shows must be there.
    awk -v vcd="$3" -v save="tb/formal/$4.gtkw" 'FILENAME == vcd && /^\$scope/ { top = $3 } FILENAME == vcd && /^\$var/ { there[top "." $5] = 1 }
        FILENAME == save && /^[a-z_]+\./ { sub(/\[.*/, ""); if (!($0 in there)) { print save ": " $0 " is not in " vcd; bad = 1 } }
        END { exit bad }' "$3" "tb/formal/$4.gtkw" >&2 || return 1
    awk -v name="$2" '/^\$var/ && $5 == name { id = $4 } /^b1 / && $2 == id { seen = 1 } $0 == "1" id { seen = 1 } END { exit !seen }' "$3"
}

row='%-24s %-45s %-12s %-12s %-34s %6s\n'
table=$out/table.md
: > "$table"
printf "$row" proof parameters proved reached broken 'CPU s'
first=1
while read -r name harness parameters bound bugs marked; do
    [[ $name != '#'* && -n $name ]] || continue
    [ ${#names[@]} = 0 ] || [[ " ${names[*]} " == *" $name "* ]] || continue
    [ $quick = 0 ] || [ "$marked" = quick ] || continue
    [ $quick = 0 ] || [ $first = 1 ] || bugs=-
    [ $quick = 0 ] || bugs=${bugs%%,*}
    first=0
    run=$out/$name
    spent
    begun=$cpu
    rm -f "$run".*.vcd
    proved=no reached=no broken=''
    if elaborate "$run" "$harness" "$parameters"; then
        if [ "$bound" = - ]; then
            answer=$(ask "$run" bad "pdr -T $seconds")
            [ "$answer" != proved ] || proved=unbounded
        else
            answer=$(ask "$run" bad "bmc3 -F $bound -T $seconds")
            [ "$answer" != nothing ] || ! grep -q "No output asserted in $bound frames" "$run.bad.abc" || proved="to $bound"
        fi
        if [[ $answer == found* ]]; then
            replay "$run" bad "$run.bad.vcd" "$harness" || true
            complain "$name: counterexample of ${answer#found } cycles, $run.bad.vcd"
        fi
        answer=$(ask "$run" reached "pdr -F $frames -T $seconds")
        if [[ $answer == found* ]] && replay "$run" reached "$run.reached.vcd" "$harness"; then reached="in ${answer#found }"; fi
    fi
    [ "$bugs" != - ] || bugs=''
    for bug in ${bugs//,/ }; do
        if elaborate "$run.bug-$bug" "$harness" "$parameters" -DMUTATE "-DMUTANT=32'd$bug"; then
            answer=$(ask "$run.bug-$bug" bad "pdr -F $frames -T $seconds")
            if [[ $answer == found* ]] && replay "$run.bug-$bug" bad "$run.bug-$bug.vcd" "$harness"; then
                broken+="${broken:+, }$bug in ${answer#found }"
                continue
            fi
        fi
        broken+="${broken:+, }$bug NOT"
        complain "$name: bug $bug does not break it"
    done
    [ "$proved" != no ] || complain "$name: not proved"
    [ "$reached" != no ] || complain "$name: \`reached\` not reached in $frames cycles"
    spent
    printf "$row" "$name" "$parameters" "$proved" "$reached" "$broken" $((cpu - begun))
    echo "| $name | \`$harness\` | ${parameters//,/, } | $proved | $reached | $broken |" >> "$table"
done < "$list"
[ -s "$table" ] || { echo "$0: found no such proof, expected names of $list" >&2; exit 2; }

# The rows of what was proved now, in the place of older ones; those of proofs that are no more go.
if [ $docs = 1 ] && [ $failed = 0 ]; then
    awk -v table="$table" -v list="$list" '
        /<!-- proofs end -->/ {
            while ((getline row < table) > 0) { split(row, word, " "); rows[word[2]] = row }
            while ((getline row < list) > 0) { split(row, word, " "); if (word[1] in rows) print rows[word[1]] }
            inside = 0
        }
        inside { rows[$2] = $0; next }
        { print }
        /<!-- proofs -->/ {
            print "| proof | harness | parameters | proved | reached, cycles | broken by bug, cycles |"
            print "|---|---|---|---|---|---|"
            inside = 1
        }' docs/proofs.md > "$out/proofs.md"
    cmp -s "$out/proofs.md" docs/proofs.md || cp "$out/proofs.md" docs/proofs.md
fi
exit $failed
