#!/usr/bin/env bash
# Which scenarios and tests cover each rule of the memory manager. The rules are the table of csrc/nt/README.md; a test
# covers what its comments name: NT-20, NT-45..49, NT-86/87. A rule whose files are not all there is not in this version. Usage: nt_coverage.sh [--short]
# --short prints only what is wrong: rules that no test names, tests that name rules which do not exist, scenarios whose
# name does not begin with the number of a scenario or rule. Exit 1 if there is anything.
set -euo pipefail
cd "$(dirname "$0")/.."
awk -v short="${1-}" '
    function cover(n, where) {
        n = n + 0
        if (!(n in title)) { bad = bad sprintf("%s: found NT-%02d, expected a rule of csrc/nt/README.md\n", where, n); return }
        if (index(" " by[n] " ", " " where " ") == 0) { by[n] = by[n] (by[n] == "" ? "" : " ") where; count[n]++ }
    }
    function scan(text, where,    first, last, n, rest) {
        while (match(text, /NT-[0-9]+/)) {
            first = substr(text, RSTART + 3, RLENGTH - 3)
            rest = substr(text, RSTART + RLENGTH)
            cover(first, where)
            while (match(rest, /^(\.\.|\/)(NT-)?[0-9]+/)) {
                range = rest ~ /^\.\./
                last = substr(rest, RSTART, RLENGTH); gsub(/[^0-9]/, "", last); last += 0
                for (n = range ? first + 1 : last; n <= last; n++) { cover(n, where) }
                first = last
                rest = substr(rest, RLENGTH + 1)
            }
            text = rest
        }
    }
    FILENAME == "csrc/nt/README.md" {
        if (match($0, /^\| NT-[0-9]+ \|/)) {
            split($0, cell, / *\| */)
            number = substr(cell[2], 4) + 0
            title[number] = cell[3]
            files = cell[4]
            gsub(/[`,]/, "", files)
            present[number] = files != "—"
            for (i = split(files, name, " "); i > 0; i--) {
                path = "csrc/nt/" name[i]
                if ((getline line < path) < 0) { present[number] = 0 }
                close(path)
            }
            if (number > highest) { highest = number }
        }
        next
    }
    FNR == 1 {
        where = FILENAME
        sub(/.*\//, "", where)
        if (FILENAME ~ /scenarios/) {
            sub(/\.vmt$/, "", where)
            if (where !~ /^(S|NT)-[0-9]+-[a-z0-9-]+$/) {
                bad = bad sprintf("%s: expected a name like S-24-what-it-shows or NT-24-what-it-shows\n", FILENAME)
            }
            if (where ~ /^NT-/) { scan(where, where) }
        } else if (FILENAME ~ /style|cli/) { where = "cli:" where }
    }
    FILENAME ~ /scenarios/ && !/^#/ { next }
    /NT-[0-9]/ { scan($0, where) }
    END {
        for (n = 1; n <= highest; n++) {
            if (!(n in title)) { continue }
            if (count[n] == 0 && !present[n]) { missing++ }
            if (count[n] == 0 && present[n]) { none++; bad = bad sprintf("NT-%02d %s: no scenario and no test names it\n", n, title[n]) }
            if (short == "") { printf "NT-%02d %s\n      %s\n", n, title[n], count[n] ? by[n] : present[n] ? "(uncovered)" : "(not in this version)" }
        }
        if (short == "") { printf "%d rules, %d uncovered, %d not in this version\n", highest, none, missing }
        printf "%s", bad
        exit bad != ""
    }
' csrc/nt/README.md tests/scenarios/*.vmt tests/scenarios/*/*.vmt tests/unit/*.cpp tests/unit/*.h tests/cli/*.sh
