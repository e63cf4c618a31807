# The report of cover_c.sh: awk -v rooms=" ROOM… " -v info=FILE -f cover_c.awk EXCEPTIONS GCOV, EXCEPTIONS a file named *exceptions, GCOV as
# `gcov -t` writes it. Counts of lines go to FILE, as lcov reads them.
# An exception is `ROOM/FILE | FUNCTION or part of the line | why nothing can run it`; ROOM/* = any file of the room, * = any. It is of one
# line; of at most N with `| N |` before the reason.
function is_of(i, l) { return (text[i] == inside[l] || index(code[l], text[i])) && (file[i] == name[l] || file[i] == room[l] "/*" || file[i] == "*") }
function explain(l,    i, reason) {
    for (i = 1; i <= n; i++) {
        if (is_of(i, l)) { reason = why[i]; used[i]++ }
    }
    missed[name[l]]++
    if (reason == "") { unexplained[room[l]]++; others++ } else { explained++ }
    printf "%s: %s: %s\n    %s\n", where[l], inside[l], code[l], reason == "" ? "unexplained" : reason
}
FILENAME ~ /exceptions$/ {
    if ($0 ~ /^#/ || (parts = split($0, part, / *\| */)) < 3) { next }
    file[++n] = part[1]; text[n] = part[2]; why[n] = part[parts]; most[n] = parts > 3 ? part[3] : 1
    next
}
{
    count = $0; sub(/:.*/, "", count); gsub(/[ *]/, "", count)
    rest = substr($0, index($0, ":") + 1)
    at = rest; sub(/:.*/, "", at); at += 0
    line = substr(rest, index(rest, ":") + 1)
}
at == 0 {
    if (line ~ /^Source:/) {
        path = substr(line, 8)
        inner = path; sub(/.*csrc\//, "", inner)
        of = inner; sub(/\/.*/, "", of)
        wanted = path ~ /csrc\// && index(rooms, " " of " ")
    }
    next
}
!wanted { next }
# A definition begins in the first column: its name is what stands before the first parenthesis.
line ~ /^[A-Za-z_].*\(/ { called = line; sub(/\(.*/, "", called); sub(/.*[ *]/, "", called) }
count == "-" { next }
# A line in a macro that makes several functions comes once for each of them; one of a header once for each file.
!((inner, at) in runs) { l = inner SUBSEP at; order[++lines] = l; runs[l] = 0; all[of]++; name[l] = inner; room[l] = of }
count !~ /^[#=]/ { runs[inner, at] += count }
{ sub(/^ */, "", line); code[inner, at] = line; inside[inner, at] = called; where[inner, at] = path ":" at; number[inner, at] = at }
END {
    for (o = 1; o <= lines; o++) {
        l = order[o]
        counts[name[l]] = counts[name[l]] sprintf("DA:%d,%d\n", number[l], runs[l])
        if (runs[l]) { ran++; ran_of[room[l]]++; continue }
        explain(l)
    }
    for (f in counts) { printf "TN:\nSF:csrc/%s\n%send_of_record\n", f, counts[f] >info }
    whole = rooms ~ / cli / # then fuzzing helps, which reaches some of what the memory manager's own tests cannot
    for (i = 1; i <= n; i++) {
        of = file[i]; sub(/\/.*/, "", of)
        if (whole && used[i] > most[i]) { printf "%s | %s: explains %d lines, expected at most %d\n", file[i], text[i], used[i], most[i]; unused++ }
        if (!used[i] && (of == "*" ? whole : index(rooms, " " of " ") && !(whole && of == "nt"))) { printf "%s | %s: explains no line\n", file[i], text[i]; unused++ }
    }
    for (f in missed) { printf "%4d lines of %s did not run\n", missed[f], f | "sort -rn" }
    close("sort -rn")
    for (r in all) { printf "%-8s %5d of %5d lines ran (%.1f %%), %d of the others are unexplained\n", r, ran_of[r], all[r], 100 * ran_of[r] / all[r], unexplained[r] }
    if (lines) { printf "csrc     %5d of %5d lines ran (%.1f %%), %d of the others are explained, %d unexplained\n", ran, lines, 100 * ran / lines, explained, others }
    exit lines == 0 || ran / lines < 0.95 || others + unused > 0
}
