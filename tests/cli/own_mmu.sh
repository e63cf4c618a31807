#!/usr/bin/env bash
# An MMU of somebody's own, judged by the architecture: one that is right, the same with bugs, and objects that are no MMU.
. "$(dirname "$0")/common.inc"
examples=$(dirname "$ntmmu")/examples
here=examples/own-mmu
own() { # OBJECT TRACE [option…]
    local object=$1
    shift
    "$ntmmu" check --quiet --mmu "$examples/$object.so" --cpu $here/tiny_mmu.preset --compare architecture "$@"
}
for trace in $here/code-freed.vmt $here/write-after-read.vmt tests/scenarios/S-24-soft-fault.vmt; do
    expect 0 '' own tiny_mmu $trace
    [ ! -s "$work/stdout" ] || fail "found a report, expected none"
done
said() { grep -qF -- "$1" "$work/stdout" || { cat "$work/stdout" >&2; fail "expected '$1'"; }; }
expect 1 '' own tiny_mmu.bugs-1 $here/code-freed.vmt
said 'architecture: event 6 (line 9): i 410000 4'
said 'a user fetch of 00410000 gave physical address'
said 'legal: #PF with error code 4, by PDE 00403067, PTE 00000200'
said 'last invalidation of what a TLB holds of this page: INVLPG in event 5'
expect 0 '' own tiny_mmu.bugs-1 $here/write-after-read.vmt
expect 1 '' own tiny_mmu.bugs-2 $here/write-after-read.vmt
said 'architecture: event 7 (line 10): w 410000 4'
said 'legal: #PF with error code 7'
expect 0 '' own tiny_mmu.bugs-2 $here/code-freed.vmt
# a captured program finds it, too
expect 1 '' own tiny_mmu.bugs-2 traces/p3_sh.vmt.zst
# run judges likewise; the summary says what was done; vectors take it
"$ntmmu" run --mmu "$examples/tiny_mmu.so" --cpu $here/tiny_mmu.preset --compare architecture $here/code-freed.vmt >"$work/stdout"
said 'does what the architecture demands'
expect 1 '' "$ntmmu" run --quiet --mmu "$examples/tiny_mmu.bugs-1.so" --cpu $here/tiny_mmu.preset --compare architecture $here/code-freed.vmt
expect 0 '' "$ntmmu" vectors --mmu "$examples/tiny_mmu.so" --cpu $here/tiny_mmu.preset tests/vectors/seq32.vec.zst
# a line about hit levels is not judged, whatever it says; other lines are
small_trace "$work/hit.vmt" 'r 410000 4' 'expect tlb=walk callbacks=7' 'expect count.dtlb_hit=99'
expect 0 '' "$ntmmu" check --quiet --mmu c --compare architecture "$work/hit.vmt"
small_trace "$work/callbacks.vmt" 'r 410000 4' 'expect callbacks=7'
expect 1 '' "$ntmmu" check --quiet --mmu c --compare architecture "$work/callbacks.vmt"

# what is no MMU: one line each
small_trace "$work/a.vmt"
check() { "$ntmmu" check --quiet --mmu "$1" --compare architecture "$work/a.vmt"; }
object() { # NAME, source on standard input
    cc -shared -fPIC -Icsrc/include -x c -o "$work/$1.so" -
}
expect 2 'not-there.so: cannot open shared object file' check "$work/not-there.so"
expect 2 '\./not-there.so: cannot open shared object file' check not-there.so
echo 'text' >"$work/text.so"
expect 2 'text.so: ' check "$work/text.so"
object empty <<<'int nothing;'
expect 2 'empty.so: found no function ntmmu_mmu_ops, expected const struct mmu_ops \*ntmmu_mmu_ops\(void\)' check "$work/empty.so"
object null <<<'void *ntmmu_mmu_ops(void) { return 0; }'
expect 2 'null.so: found NULL from ntmmu_mmu_ops' check "$work/null.so"
object old <<<'#include "ntmmu/mmu.h"
const struct mmu_ops *ntmmu_mmu_ops(void) { static const struct mmu_ops ops = {.abi_version = 1}; return &ops; }'
expect 2 'old.so: found MMU ABI version 1, expected 2' check "$work/old.so"
object hollow <<<'#include "ntmmu/mmu.h"
const struct mmu_ops *ntmmu_mmu_ops(void) { static const struct mmu_ops ops = {.abi_version = 2}; return &ops; }'
expect 2 'hollow.so: found a NULL among its struct mmu_ops' check "$work/hollow.so"
# wrong from the first access on, or silent: a report, even where the kernel does not boot
cat >"$work/poor.h" <<'END'
#include "ntmmu/mmu.h"
#include <stdlib.h>
struct mmu { uint64_t control[6]; };
static struct mmu *create(const struct mmu_config *c, char *e, size_t n) { (void)c, (void)e, (void)n; return calloc(1, sizeof(struct mmu)); }
static void destroy(struct mmu *m) { free(m); }
static size_t translate(struct mmu *m, const struct mmu_request *q, struct mmu_result *r, size_t n) {
    if (SILENT && (m->control[MMU_CR0] & CR0_PG)) { return 0; }
    for (size_t i = 0; i < n; i++) { r[i] = (struct mmu_result){.pa = q[i].va}; }
    return n;
}
static int write_control(struct mmu *m, enum mmu_control w, uint64_t v) { m->control[w] = v; return 0; }
static uint64_t read_control(const struct mmu *m, enum mmu_control w) { return m->control[w]; }
static void invlpg(struct mmu *m, va_t va) { (void)m, (void)va; }
static int invpcid(struct mmu *m, uint64_t t, uint64_t p, va_t va) { (void)m, (void)t, (void)p, (void)va; return 6; }
static uint64_t cycles(const struct mmu *m) { (void)m; return 0; }
static void statistics(const struct mmu *m, struct mmu_statistics *s) { (void)m, *s = (struct mmu_statistics){0}; }
static size_t tlb_entries(struct mmu *m, struct mmu_tlb_entry *e, size_t n) { (void)m, (void)e, (void)n; return 0; }
static int wave(struct mmu *m, const char *p, uint64_t a, uint64_t b) { (void)m, (void)p, (void)a, (void)b; return -1; }
const struct mmu_ops *ntmmu_mmu_ops(void) {
    static const struct mmu_ops ops = {2, "poor", create, destroy, translate, write_control, read_control, invlpg, invpcid, cycles, statistics, tlb_entries, wave};
    return &ops;
}
END
{ echo '#define SILENT 0'; cat "$work/poor.h"; } | object identity
expect 1 '' check "$work/identity.so"
said 'architecture: '
said 'gave physical address'
{ echo '#define SILENT 1'; cat "$work/poor.h"; } | object silent
expect 1 '' check "$work/silent.so"
said 'architecture: while booting'
said 'no answer to a supervisor'

expect 2 'tiny_mmu: found MAXPHYADDR 36, expected 40' "$ntmmu" run --mmu "$examples/tiny_mmu.so" --cpu p6 "$work/a.vmt"
expect 2 "--compare: found 'x', expected c\|architecture" "$ntmmu" check --compare x "$work/a.vmt"
