#!/usr/bin/env bash
# ntmmu convert and info: a recording of lackey and a trace, in each of their forms, counted by hand.
. "$(dirname "$0")/common.inc"
trace=$work/t.vmt
small_trace "$trace" 'i 400000 4' 'r 410ffe 4'
count() { # NAME VALUE: a line of `info` or none
    grep -qE "^ *$1 +$2\$" "$work/stdout" || { cat "$work/stdout" >&2; fail "expected $1: $2"; }
}
expect 0 '' "$ntmmu" info "$trace"
while read -r name value; do count "$name" "$value"; done <<'END'
lines 9
events 8
accesses 4
fetches 1
loads 2
stores 1
touches 5
processes 1
threads 1
index none
END
count "over a page's end" 1
count 'pages \(process, page\)' 3

expect 0 '' "$ntmmu" convert --from vmt "$trace" "$work/t.vmt.zst"
grep -q '^4 accesses (1 fetches, 2 loads, 1 stores; 1 over a page.s end), 0 kernel touches, 4 other events' "$work/stdout" || { cat "$work/stdout" >&2; fail "counts of the conversion"; }
expect 0 '' "$ntmmu" info "$work/t.vmt.zst"
count frames 1
count lines 9
expect 0 '' "$ntmmu" convert --from vmt "$work/t.vmt.zst" -
cmp "$trace" "$work/stdout" || fail "there and back is another trace"
expect 0 '' "$ntmmu" convert --from vmt --limit 1 "$trace" -
grep -q '^w 410000 4$' "$work/stdout" && ! grep -q '^r ' "$work/stdout" || fail "--limit 1 takes the first access alone"

# 15, 1 and 3 lines of accesses in the logs of three processes
lackey=tests/data/trace/lackey
expect 2 '^ntmmu: -: found standard input, expected' "$ntmmu" convert --from lackey - "$work/l.vmt"
expect 0 '' "$ntmmu" convert --from lackey $lackey "$work/l.vmt"
grep -q '^19 accesses' "$work/stdout" && grep -q '^3 processes' "$work/stdout" || { cat "$work/stdout" >&2; fail "counts of the recording"; }
expect 0 '' "$ntmmu" convert --from lackey --level exact --name another $lackey "$work/e.vmt"
grep -q '^!name another$' "$work/e.vmt" || fail "--name"
expect 0 '' "$ntmmu" convert --quiet --from lackey --name $'a "b\nc#d\\' $lackey "$work/n.vmt"
grep -qx '!name a _b_c_d_' "$work/n.vmt" || fail "--name with what a line cannot hold: $(grep '^!name' "$work/n.vmt")"
expect 0 '' "$ntmmu" info "$work/n.vmt"
# runs are of one page each: the two accesses over a page's end are two
for file in l e; do
    expect 0 '' "$ntmmu" info "$work/$file.vmt"
    count processes 3
    count accesses $([ $file = l ] && echo 21 || echo 19)
    expect 0 '' "$ntmmu" check --quiet --mmu c "$work/$file.vmt"
done
expect 0 '' "$ntmmu" convert --from vmt --level run "$work/e.vmt" "$work/r.vmt"
expect 0 '' "$ntmmu" info "$work/r.vmt"
count accesses 21

# what is missing from a capture: the standard error with the layouts, the log of a child
"$ntmmu" convert --from lackey tests/data/trace/lackey/mini.{23983,24000}.log "$work/p.vmt" >"$work/stdout"
grep -qx 'warning: 1 programs without a start layout (their standard error went elsewhere)' "$work/stdout" || fail "no word about layouts"
grep -qx 'warning: 1 processes without a log, or logs without a fork' "$work/stdout" || fail "no word about the missing log"

expect 2 'found no --from' "$ntmmu" convert "$trace" "$work/o.vmt"
expect 2 "--from: found 'gdb', expected lackey or vmt" "$ntmmu" convert --from gdb "$trace" "$work/o.vmt"
expect 2 'found 1 files, expected IN and OUT' "$ntmmu" convert --from vmt "$trace"
expect 2 'found 3 files, expected IN and OUT' "$ntmmu" convert --from vmt "$trace" "$trace" "$work/o.vmt"
expect 2 "--level: found 'word', expected run or exact" "$ntmmu" convert --from lackey --level word $lackey "$work/o.vmt"
expect 2 'a trace can only be brought from exact to run' "$ntmmu" convert --from vmt --level exact "$trace" "$work/o.vmt"
expect 2 "--limit: found '0', expected a number of accesses" "$ntmmu" convert --from vmt --limit 0 "$trace" "$work/o.vmt"
expect 2 '--name: found with --from vmt' "$ntmmu" convert --from vmt --name x "$trace" "$work/o.vmt"
expect 2 'none.vmt' "$ntmmu" convert --from vmt "$work/none.vmt" "$work/o.vmt"
expect 2 'none.vmt' "$ntmmu" info "$work/none.vmt"
[ ! -e "$work/o.vmt" ] || fail "a refused conversion left a file"

# a bare program: its modes and batches are counted as run counts them; it has no page runs
printf '!vmt 1\n!boot bare\nr 0 4\nsr 0 4\nkr 0 4\nsi 0 4\nsw 0 4\nbatch r:0 sr:0 kr:0 kw:0 i:0\n!end\n' >"$work/bare.vmt"
for command in 'info' 'run --mmu c'; do
    # shellcheck disable=SC2086
    "$ntmmu" $command --quiet --json - "$work/bare.vmt" | jq -c 'if (.accesses | type) == "object" then . + .accesses else . end | [.fetches, .loads, .stores, .kernel_touches, .touches]'
done >"$work/counts"
[ "$(uniq -c <"$work/counts" | xargs)" = '2 [1,2,0,7,10]' ] || fail "info and run count a bare program: $(cat "$work/counts")"
expect 2 'bare.vmt:2: found a bare program, expected' "$ntmmu" convert --from vmt --level run "$work/bare.vmt" "$work/runs.vmt"
