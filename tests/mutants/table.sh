#!/usr/bin/env bash
# Prints docs/mutants.md from what run.sh found.
#   tests/mutants/table.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
build=${1:?BUILD_DIR}
lists=(tb/mutants.txt)
[ ! -e tests/mutants/nt.txt ] || lists+=(tests/mutants/nt.txt)
generated=$build/generated/list.txt
[ -e "$generated" ] || generated=/dev/null
awk -F'\t' -v equivalents=tests/mutants/equivalent.txt -v generated="$generated" '
function plain(text) { gsub(/\|/, "\\|", text); gsub(/`/, "", text); return text }
function noticed(kind, n) {
    if (!((kind, n) in tried)) return "-"
    if (!((kind, n) in stage)) return (kind, n) in equivalent ? "equivalent" : "**not noticed**"
    return stage[kind, n] (check[kind, n] == stage[kind, n] || check[kind, n] == "" ? "" : " (" check[kind, n] ")")
}
function after(kind, n,    unit) {
    if (!((kind, n) in stage) || count[kind, n] == "-") return "-"
    if (count[kind, n] == "end") return "the end"
    unit = stage[kind, n] ~ /^vectors/ ? "line " : stage[kind, n] ~ /^(pair|invalidate)/ ? "step " : "event "
    return unit count[kind, n]
}
function head(title, columns,    i, line) {
    line = "|"
    for (i = split(columns, part, "|"); i > 0; i--) line = line "---|"
    print "\n" (title == "" ? "" : title "\n\n") "| " columns " |\n" line
}
FILENAME == equivalents { next }
FILENAME ~ /results.tsv$/ {
    kind = $2; n = $3
    if ($4 !~ /^only:/ && !((kind, $4) in known)) { known[kind, $4] = 1; stage_of[kind, ++stages[kind]] = $4 }
    if (n == 0) next
    tried[kind, n] = 1
    kinds[kind] = 1
    if ($6 == "killed" && $4 ~ /^only:/ && index(single[kind, n] " ", " " $5 " ") == 0) {
        single[kind, n] = single[kind, n] " " $5
    }
    if ($4 ~ /^only:/) next
    asked[kind, $4]++
    if ($6 == "killed") yes[kind, $4]++
    if ($6 == "killed" && !((kind, n) in stage)) {
        stage[kind, n] = $4; check[kind, n] = $5; count[kind, n] = $7
        by[kind, $4]++
    }
    next
}
{ line = $0 }
FILENAME == generated {
    split(line, word, " ")
    made[++mades] = word[1]
    text[word[1]] = substr(line, length(word[1]) + 2)
    next
}
line ~ /^class/ {
    split(line, word, " ")
    classes++
    class_text[word[2]] = substr(line, index(line, word[3]))
    next
}
line ~ /^ *[0-9]/ {
    n = line + 0
    split(line, word, " ")
    name[n] = word[2]
    rest = substr(line, index(line, word[2]) + length(word[2]))
    sub(/^ */, "", rest)
    if (rest ~ /^[0-9,]+ /) {
        of = rest; sub(/ .*/, "", of); sub(/^[0-9,]+ */, "", rest)
        for (i = split(of, list, ","); i > 0; i--) members[list[i]] = members[list[i]] " " n
        classed[n] = 1
    }
    what[n] = rest
    numbers[++hand] = n
}
END {
    while ((getline line < equivalents) > 0) {
        if (line !~ /^[a-z]+ +[0-9]+ /) continue
        split(line, word, " ")
        reason = line; sub(/^[a-z]+ +[0-9]+ +/, "", reason)
        equivalent[word[1], word[2]] = reason
    }
    print "# Would the tests notice?\n"
    print "Written by `make mutants`. Each bug is planted alone and the tests of its kind are run until one fails: *noticed by* is the first"
    print "(of a trace: which check), *after* the line of the vectors, the step of the random program or the event of the trace."
    print "`tests/mutants/README.md` says what the tests are, and how to plant another."
    head("## All", "kind | planted | noticed | equivalent | not noticed | first noticed by")
    for (k = split("rtl c generated nt", order, " "); k > 0; k--) reversed[5 - k] = order[k]
    title["rtl"] = "by hand, `rtl/`"; title["c"] = "by hand, `csrc/mmu/`"; title["generated"] = "by a tool, `rtl/`"; title["nt"] = "by hand, `csrc/nt/`"
    for (k = 1; k <= 4; k++) {
        kind = order[k]
        if (!(kind in kinds)) continue
        planted = found = same = missed = 0
        if (kind == "generated") for (i = 1; i <= mades; i++) if ((kind, made[i]) in equivalent) tried[kind, made[i]] = 1
        for (key in tried) {
            split(key, at, SUBSEP)
            if (at[1] != kind) continue
            planted++
            if (key in stage) found++; else if (key in equivalent) same++; else missed++
        }
        detail = ""
        for (key in by) {
            split(key, at, SUBSEP)
            if (at[1] == kind) detail = detail (detail == "" ? "" : ", ") at[2] " " by[key]
        }
        printf "| %s | %d | %d | %d | %d | %s |\n", title[kind], planted, found, same, missed, detail
    }
    print "\n`tests/mutants/KIND.stack` says what the tests are. So many bugs each of them notices, of those that it was run with, which"
    print "are at the least those that the tests before it had left:"
    head("", "bugs | test: noticed of asked")
    for (k = 1; k <= 4; k++) {
        kind = order[k]
        if (!(kind in kinds)) continue
        detail = ""
        for (i = 1; i <= stages[kind]; i++) {
            s = stage_of[kind, i]
            if ((kind, s) in asked) detail = detail (detail == "" ? "" : ", ") s " " (yes[kind, s] + 0) " of " asked[kind, s]
        }
        printf "| %s | %s |\n", title[kind], detail
    }
    head("## Bugs that other MMUs had", "class | seen in | planted as | in `rtl/` noticed by | after | in `csrc/mmu/` noticed by | after")
    for (c = 1; c <= classes; c++) {
        none = ""
        parts = split(class_text[c], part, "; ")
        source = part[2]
        for (i = 3; i <= parts; i++) source = source "; " part[i]
        if (match(source, /: none: /)) { none = substr(source, RSTART + 8); source = substr(source, 1, RSTART - 1) }
        if (none != "") printf "| %d %s | %s | no place here: %s | | | | |\n", c, part[1], source, plain(none)
        for (i = 1; i <= split(members[c], member, " "); i++) {
            n = member[i]
            printf "| %d %s | %s | %d %s | %s | %s | %s | %s |\n", c, part[1], source, n, name[n], noticed("rtl", n), after("rtl", n), noticed("c", n), after("c", n)
        }
    }
    head("## Other bugs planted in the MMUs", "planted | in `rtl/` noticed by | after | in `csrc/mmu/` noticed by | after")
    for (i = 1; i <= hand; i++) {
        n = numbers[i]
        if ((n in classed) || !((("rtl", n) in tried) || (("c", n) in tried))) continue
        printf "| %d %s: %s | %s | %s | %s | %s |\n", n, name[n], plain(what[n]), noticed("rtl", n), after("rtl", n), noticed("c", n), after("c", n)
    }
    if ("nt" in kinds) {
        head("## The kernel", "planted | noticed by | after")
        for (i = 1; i <= hand; i++) {
            n = numbers[i]
            if (("nt", n) in tried) printf "| %d %s: %s | %s | %s |\n", n, name[n], plain(what[n]), noticed("nt", n), after("nt", n)
        }
    }
    if ("generated" in kinds) {
        print "\n## Mutants made by a tool\n"
        print "`tests/mutants/generate.pl` exchanges an operator or a constant in `rtl/` or leaves a register as it was, one such place in some chosen"
        print "by a hash. `build/generated/list.txt` says what each is. These are equivalent:"
        head("", "statement | exchanged | why nothing can notice")
        for (i = 1; i <= mades; i++) {
            n = made[i]
            if (!(("generated", n) in equivalent) || ("generated", n) in stage) continue
            split(text[n], word, " ")
            statement = substr(text[n], length(word[1] word[2]) + 3)
            printf "| %s: `%s` | `%s` | %s |\n", word[1], substr(statement, 1, 90), plain(word[2]), plain(equivalent["generated", n])
        }
    }
    head("## Each check alone", "check | planted bugs that of the five checks only this one notices")
    for (k = 1; k <= split("lockstep shadow staleness audit expect", checks, " "); k++) {
        row = ""
        for (key in single) {
            if (single[key] != " " checks[k]) continue
            split(key, at, SUBSEP)
            rows[k, ++found_rows[k]] = at[1] " " at[2] " " name[at[2]]
        }
        for (i = 1; i <= found_rows[k]; i++) {
            for (j = i + 1; j <= found_rows[k]; j++) if (rows[k, j] < rows[k, i]) { swap = rows[k, i]; rows[k, i] = rows[k, j]; rows[k, j] = swap }
            row = row (i > 1 ? ", " : "") rows[k, i]
        }
        printf "| %s | %s |\n", checks[k], row == "" ? "none among those that were run" : row
    }
    print "\nOf the stages of one check only those count that were run (`run.sh --alone`). `tests/cli/each_check_alone.sh` has one bug for each."
    print "\nThe bugs of `csrc/mmu/` (c) are in one machine here, as if both MMUs had them: lockstep cannot see such."
}' "$build/mutants/results.tsv" "$generated" "${lists[@]}"
