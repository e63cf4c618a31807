# The report of cover_rtl.sh: awk -f cover_rtl.awk EXCEPTIONS DATA, EXCEPTIONS a file named *exceptions, DATA as Verilator writes it.
# An exception is `FILES | line, toggle or point | what | why nothing can reach it`. FILES with spaces between, * = any; what: a part of
# the line, or names of signals (NAME[HIGH:LOW] or NAME* for those of a range, or that begin so) or of points. A point of the source is
# covered if it is in any instance of any preset.
FILENAME ~ /exceptions$/ {
    if ($0 ~ /^#/ || split($0, part, / *\| */) != 4) { next }
    count = 1; name[1] = part[3]
    if (part[2] != "line") { count = split(part[3], name, " ") }
    for (i = 1; i <= count; i++) { n++; efile[n] = " " part[1] " "; ekind[n] = part[2]; etext[n] = name[i]; why[n] = part[4] }
    next
}
!/^C / { next }
{
    delete field
    count = $NF
    text = substr($0, 4); sub(/\047 [0-9]+$/, "", text)
    parts = split(text, piece, "\001")
    for (i = 1; i <= parts; i++) { split(piece[i], pair, "\002"); field[pair[1]] = pair[2] }
    kind = field["page"]; sub(/\/.*/, "", kind); sub(/^v_/, "", kind)
    file = field["f"]; sub(/.*\//, "", file)
    if (kind != "user" && file == "cover_points.sv") { next }
    if (kind == "branch") { kind = "line" }
    if (kind == "user") { kind = "point" }
    key = kind SUBSEP file SUBSEP field["l"] SUBSEP field["n"] SUBSEP field["o"]
    if (!(key in hits)) { order[++points] = key; path[key] = field["f"] }
    hits[key] += count
}
function line_of(path, number,    l, text) {
    if (!((path, 1) in source)) { l = 0; while ((getline text < path) > 0) { source[path, ++l] = text } close(path) }
    text = source[path, number]; sub(/^ */, "", text); return text
}
function matches(pattern, text,    high, low, bit) {
    if (pattern == text) { return 1 }
    if (pattern ~ /\*$/) { return index(text, substr(pattern, 1, length(pattern) - 1)) == 1 }
    if (!match(pattern, /\[[0-9]+:[0-9]+\]$/)) { return 0 }
    high = substr(pattern, RSTART + 1) + 0; low = pattern; sub(/.*:/, "", low); low += 0
    pattern = substr(pattern, 1, RSTART - 1)
    if (!match(text, /\[[0-9]+\]$/) || substr(text, 1, RSTART - 1) != pattern) { return 0 }
    bit = substr(text, RSTART + 1) + 0
    return bit <= high && bit >= low
}
END {
    for (p = 1; p <= points; p++) {
        key = order[p]; split(key, k, SUBSEP); all[k[1]]++
        if (hits[key]) { hit[k[1]]++; continue }
        code = line_of(path[key], k[3]); reason = ""
        for (i = 1; i <= n; i++) {
            if (ekind[i] == k[1] && (efile[i] == " * " || index(efile[i], " " k[2] " ")) && (k[1] == "line" ? index(code, etext[i]) > 0 : matches(etext[i], k[5]))) { reason = why[i]; used[i] = 1 }
        }
        if (reason != "") { explained[k[1]]++ } else { open[k[1]]++ }
        if (k[1] == "toggle" && reason != "") { toggles[reason]++; continue }
        printf "%s:%s: %s %s: %s\n    %s\n", k[2], k[3], k[1], k[5], code, reason == "" ? "unexplained" : reason
    }
    for (reason in toggles) { printf "%5d toggles: %s\n", toggles[reason], reason | "sort -rn" }
    close("sort -rn")
    for (i = 1; i <= n; i++) { if (!(i in used)) { printf "%s| %s | %s: explains nothing\n", efile[i], ekind[i], etext[i]; unused++ } }
    split("line toggle point", kinds, " ")
    for (i = 1; i <= 3; i++) {
        k1 = kinds[i]; of = all[k1] ? all[k1] : 1
        printf "%-6s %5d of %5d covered (%.1f %%), %d explained (with these %.1f %%), %d unexplained\n", k1, hit[k1], all[k1], 100 * hit[k1] / of, explained[k1], 100 * (hit[k1] + explained[k1]) / of, open[k1]
    }
    exit !all["line"] || open["line"] || open["point"] || hit["toggle"] + explained["toggle"] < 0.95 * all["toggle"] || unused > 0
}
