#!/usr/bin/env bash
# Inputs to begin with: made of samples of the tree, what earlier campaigns reached (keep.sh), and what once found something.
# Usage: tests/fuzz/seeds.sh TARGET DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$1 directory=$2
mkdir -p "$directory"

# small_capture DIRECTORY: the capture of the importer's test, less what says nothing new; what one run costs goes with its length
small_capture() {
    local from=tests/data/trace/lackey
    mkdir -p "$1"
    sed -n '1p;4,5p;10,14p;17,20p;22,28p;30,45p' $from/mini.23983.log >"$1/mini.23983.log"
    grep -v '^==.*\(Copyright\|error\)' $from/mini.24000.log >"$1/mini.24000.log"
    grep -E '^--23983:1: aspacem +(<<<|>>>|\(1|[1457]:|1[12]:|2[78]:)' $from/mini.stderr >"$1/mini.stderr"
}

# shortest_sequences FILE PREFIX: of each kind of sequence in a vector file, as PREFIX-KIND
shortest_sequences() {
    zstd -dc "$1" | awk -v prefix="$2" '
        function done_with() { if (text != "" && (!(kind in best) || length(text) < length(best[kind]))) best[kind] = text; text = "" }
        /^#/ { if (header == "") header = $0; next }
        $1 == "Q" { done_with(); kind = $3 }
        { text = text $0 "\n" }
        END { done_with(); for (kind in best) printf "%s\n%s", header, best[kind] > (prefix "-" kind) }'
}

case $target in
trace | convert)
    for file in tests/scenarios/*.vmt; do head -c 4096 "$file" >"$directory/$(basename "$file")"; done
    for file in tests/scenarios/S-2*.vmt; do zstd -q -f "$file" -o "$directory/$(basename "$file").zst"; done
    head -n 40 <(zstd -dc traces/true.exact.vmt.zst 2>/dev/null) >"$directory/exact"
    echo '!end' >>"$directory/exact"
    ;;
lackey)
    cp tests/data/trace/lackey/* "$directory"
    small_capture "$directory"
    cat <(head -n 5 "$directory/mini.23983.log") "$directory/mini.stderr" <(tail -n +6 "$directory/mini.23983.log") \
        >"$directory/with_layout"
    ;;
archive)
    small_capture "$directory/lackey"
    tar -cf "$directory/capture.tar" -b 1 --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$directory/lackey" .
    zstd -q -f "$directory/capture.tar" -o "$directory/capture.tar.zst"
    rm -r "$directory/lackey"
    ;;
vectors)
    for file in tests/vectors/*.vec.zst; do
        name=$(basename "$file" .vec.zst)
        case $name in
        seq*) shortest_sequences "$file" "$directory/$name" ;;
        *)
            { zstd -dc "$file" 2>/dev/null | grep '^#' | head -n 1; zstd -dc "$file" 2>/dev/null | grep -v '^#' | shuf -n 8 \
                --random-source=<(yes); } >"$directory/$name" || true
            ;;
        esac
    done
    zstd -q -f "$directory/pae" -o "$directory/pae.zst"
    ;;
preset) cp rtl/presets/*.preset "$directory" ;;
events) # three bytes choose the machine and how its program begins; then bytes of all values
    for i in {1..16}; do
        {
            printf "\\x$(printf %02x $((i * 53 % 256)))\\x$(printf %02x $((i * 29 % 128)))\\x0$((i % 4))"
            seq "$((i * 7919))" 97 "$((i * 7919 + 90000))" | gzip -n -9 | tail -c +100 | head -c 400
        } >"$directory/$i"
    done
    ;;
esac
if [ -e "tests/fuzz/corpus/$target.tar.zst" ]; then tar -x --zstd -f "tests/fuzz/corpus/$target.tar.zst" -C "$directory"; fi
if [ -d "tests/fuzz/found/$target" ]; then cp "tests/fuzz/found/$target"/* "$directory"; fi
