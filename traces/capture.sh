#!/bin/sh
# Records a program's memory accesses with valgrind's lackey and makes a trace of them:
#
#     traces/capture.sh [-l run|exact] [-n LIMIT] [-o OUT] [-k] COMMAND [ARGUMENT...]
#
# OUT is capture.vmt.zst unless given. -n cuts the trace after LIMIT accesses. -k keeps the raw logs (beside OUT, in
# OUT.raw). Child processes are followed through fork and exec. A log is about 14 MB for a million accesses; it goes to
# $TMPDIR. The program's own output is shown; its standard error is mixed with valgrind's debug text and therefore kept
# in the raw directory.
set -eu

die() { echo "capture.sh: $*" >&2; exit 2; }

level=run out=capture.vmt.zst limit= keep=
while getopts l:n:o:k option; do
    case $option in
    l) level=$OPTARG ;;
    n) limit=$OPTARG ;;
    o) out=$OPTARG ;;
    k) keep=1 ;;
    *) die "found an unknown option, expected [-l run|exact] [-n LIMIT] [-o OUT] [-k] COMMAND" ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || die "found no command, expected one"
case $level in run | exact) ;; *) die "found level '$level', expected run or exact" ;; esac
command -v valgrind >/dev/null || die "found no valgrind; on Debian: apt-get install valgrind libc6-dbg"
root=$(cd "$(dirname "$0")/.." && pwd)
ntmmu=${NTMMU:-$root/build/ntmmu}
[ -x "$ntmmu" ] || die "found no $ntmmu; run make first"

name=$(basename "$out")
name=${name%%.*}
raw=$(mktemp -d "${TMPDIR:-/tmp}/ntmmu-capture.XXXXXX")
trap 'rm -rf "$raw"' EXIT
trap 'exit 130' INT TERM

status=0
valgrind --tool=lackey --trace-mem=yes --trace-syscalls=yes --trace-sched=yes --trace-children=yes -d \
    --log-file="$raw/$name.%p.log" "$@" 2>"$raw/$name.stderr" || status=$?
ls "$raw/$name".*.log >/dev/null 2>&1 || { tail -n 3 "$raw/$name.stderr" >&2; die "valgrind made no log"; }
[ "$status" -eq 0 ] || echo "capture.sh: the command ended with status $status" >&2

"$ntmmu" convert --from lackey --level "$level" ${limit:+--limit "$limit"} --name "$name" "$raw" "$out"
if [ -n "$keep" ]; then
    rm -rf "$out.raw"
    mv "$raw" "$out.raw"
fi
