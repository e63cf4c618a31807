#!/usr/bin/env bash
# Coverage of rtl/: lines and branches, toggles, and the named points of tb/cover_points.sv, over presets of each kind, by the unit
# tests of the RTL, the vectors and a real trace. Usage: cover_rtl.sh BUILD_DIR
# Prints each hole with its explanation from tests/cover_rtl.exceptions or "unexplained", then the sums; lcov's HTML goes to
# BUILD_DIR/html. Exit 1 below 100 % of lines and points or 95 % of toggles (what is explained counts as covered), or with an
# explanation of nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$1
presets=(ref64 tiny tiny-l2 tiny-plru tiny-unified tiny-random)
mkdir -p "$dir/data"
rm -f "$dir"/data/*.dat "$dir/failed"
for preset in "${presets[@]}"; do
    [ -e "$dir/presets/$preset.so" ] && [ -z "$(find rtl tb csrc/include/ntmmu -newer "$dir/presets/$preset.so" -type f)" ] ||
        NTMMU_MODEL_OPT=-O1 tb/build_preset.sh "rtl/presets/$preset.preset" "$dir/presets/$preset.so" --cover
done
make --no-print-directory build/ntmmu build/tests/{mmu_pair,rtl,rtl_invalidate,rtl_walkers}_test
export NTMMU_PRESET_DIR=$PWD/$dir/presets NTMMU_COVERAGE=$PWD/$dir/data
pattern=$(IFS='|'; echo "${presets[*]}" | sed 's/-/_/g; s/|/:*\//g')
{
    printf 'build/tests/mmu_pair_test --gtest_brief=1 --gtest_filter=*/%s\0' "$pattern"
    printf 'build/tests/rtl_test --gtest_brief=1 --gtest_filter=-*Wave*:*wave*\0'
    printf 'build/tests/rtl_walkers_test --gtest_brief=1 --gtest_filter=-*assert*\0'
    printf 'build/tests/rtl_invalidate_test --gtest_brief=1 --gtest_filter=-*assert*\0'
    printf 'build/ntmmu vectors --quiet --mmu rtl --cpu tiny-l2 %s\0' tests/vectors/*.vec.zst
    printf 'build/ntmmu check --quiet --cpu tiny-l2 traces/subshell.vmt.zst\0'
} | xargs -0 -P "$(nproc)" -I{} sh -c '{} >/dev/null 2>&1 || echo "failed: {}"' >"$dir/failed"
if [ -s "$dir/failed" ]; then cat "$dir/failed"; exit 1; fi

verilator_coverage --write "$dir/all.dat" "$dir"/data/*.dat >/dev/null
verilator_coverage --write-info "$dir/rtl.info" "$dir/all.dat" >/dev/null
genhtml -q --no-function-coverage -o "$dir/html" "$dir/rtl.info" >/dev/null 2>&1 || echo "no HTML: genhtml failed"

# An exception is `FILE | line, toggle or point | part of the line, name of the signal (* at its end: any that begins so) or of the
# point | why nothing can reach it`. A point of the source is covered if it is in any instance of any preset.
awk '
    FILENAME ~ /exceptions$/ {
        if ($0 !~ /^#/ && split($0, part, / *\| */) == 4) { n++; efile[n] = part[1]; ekind[n] = part[2]; etext[n] = part[3]; why[n] = part[4] }
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
        if (kind == "toggle" && file == "cover_points.sv" || kind != "user" && file == "cover_points.sv") { next }
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
    function matches(pattern, text) {
        return pattern == text || (pattern ~ /\*$/ && index(text, substr(pattern, 1, length(pattern) - 1)) == 1)
    }
    END {
        for (p = 1; p <= points; p++) {
            key = order[p]; split(key, k, SUBSEP); all[k[1]]++
            if (hits[key]) { hit[k[1]]++; continue }
            code = line_of(path[key], k[3]); reason = ""
            for (i = 1; i <= n; i++) {
                if (efile[i] == k[2] && ekind[i] == k[1] && (k[1] == "line" ? index(code, etext[i]) > 0 : matches(etext[i], k[5]))) { reason = why[i]; used[i] = 1 }
            }
            if (reason != "") { explained[k[1]]++ } else { open[k[1]]++ }
            if (k[1] != "toggle" || reason == "") {
                printf "%s:%s: %s %s: %s\n    %s\n", k[2], k[3], k[1], k[5], code, reason == "" ? "unexplained" : reason
            }
        }
        for (i = 1; i <= n; i++) { if (!(i in used)) { printf "%s | %s | %s: explains nothing\n", efile[i], ekind[i], etext[i]; unused++ } }
        split("line toggle point", kinds, " ")
        for (i = 1; i <= 3; i++) {
            k1 = kinds[i]
            printf "%-6s %5d of %5d covered (%.1f %%), %d explained, %d unexplained\n", k1, hit[k1], all[k1], 100 * hit[k1] / (all[k1] ? all[k1] : 1), explained[k1], open[k1]
        }
        exit !all["line"] || open["line"] || open["point"] || hit["toggle"] + explained["toggle"] < 0.95 * all["toggle"] || unused > 0
    }
' tests/cover_rtl.exceptions "$dir/all.dat"
