/* The few lines that `ntmmu run` prints for a person. */
#include "ntmmu/report.h"

#include <inttypes.h>
#include <string.h>

static double share(uint64_t part, uint64_t whole) { return whole ? 100.0 * (double)part / (double)whole : 0; }

static void print_tlb(FILE *out, const char *name, uint64_t hits, uint64_t misses) {
    fprintf(out, "  %-12s %" PRIu64 " lookups, %" PRIu64 " misses (%.3f %%)\n", name, hits + misses, misses,
            share(misses, hits + misses));
}

static void print_memory(const struct run_report *report, FILE *out) {
    const struct machine_counts *c = machine_counts(report->machine);
    const struct first_touches *t = report->touches;
    fprintf(out, "  %-12s %" PRIu64 ", of them %" PRIu64 " exceptions\n", "page faults", c->page_faults, c->exceptions);
    fprintf(out,
            "  %-12s %" PRIu64 " demand zero, %" PRIu64 " file (%" PRIu64 " nobody had touched), %" PRIu64
            " inherited by fork\n",
            "first touch", t->demand_zero, t->file_first_hard + t->file_first_soft, t->file_first_hard,
            t->fork_child_first_touch);
    fprintf(out, "  %-12s %" PRIu64 " of views, %" PRIu64 " after fork, %" PRIu64 " kept by the last owner\n", "copied",
            t->cow_file, t->cow_fork, t->cow_reuse);
    fprintf(out,
            "  %-12s %" PRIu64 " CR3 loads (%" PRIu64 " of switches), %" PRIu64 " INVLPG, %" PRIu64 " flushes of all\n",
            "invalidated", c->cr3_switch + c->cr3_other, c->cr3_switch, c->invlpg, c->flush_all);
}

static void print_bare(const struct machine_counts *c, FILE *out) {
    fprintf(out, "  %-12s %" PRIu64 ", of them %" PRIu64 " #PF\n", "exceptions", c->exceptions, c->page_faults);
    fprintf(out, "  %-12s %" PRIu64 " CR3 loads, %" PRIu64 " INVLPG\n", "invalidated", c->cr3_other, c->invlpg);
}

static void print_disk(const struct machine_counts *c, FILE *out) {
    fprintf(out,
            "  %-12s %" PRIu64 " pages from files, %" PRIu64 " to files; %" PRIu64 " from paging files, %" PRIu64
            " to them\n",
            "disk", c->file_reads, c->file_writes, c->pagefile_reads, c->pagefile_writes);
    if (c->disk_steps) { fprintf(out, "  %-12s %" PRIu64 " of the steps\n", "disk busy", c->disk_steps); }
    uint64_t injected = 0;
    for (unsigned i = 0; i < OS_INJECTIONS; i++) { injected += c->injected[i]; }
    if (injected) {
        fprintf(out, "  %-12s %" PRIu64 " faults; %" PRIu64 " exceptions and %" PRIu64 " failed services after them\n",
                "injected", injected, c->injected_exceptions, c->injected_failures);
    }
}

static void print_verdict(const struct run_report *report, FILE *out) {
    bool agree = report->compared_with && strcmp(report->result, "completed") == 0;
    fprintf(out, "%s: ", report->trace);
    if (report->architecture && strcmp(report->result, "completed") == 0) {
        fprintf(out, "MMU %s does what the architecture demands, CPU %s\n", report->mmu, report->cpu);
    } else if (agree) {
        fprintf(out, "MMU %s and MMU %s agree, CPU %s\n", report->mmu, report->compared_with, report->cpu);
    } else {
        fprintf(out, "%s on MMU %s, CPU %s\n", report->result, report->mmu, report->cpu);
    }
    if (*report->checks) { fprintf(out, "  %-12s %s\n", "checks", report->checks); }
}

int report_summary(const struct run_report *report, FILE *out) {
    const struct machine_counts *c = machine_counts(report->machine);
    struct mmu_statistics s;
    machine_statistics(report->machine, &s);
    uint64_t cycles = s.cycles + c->run_hits;
    print_verdict(report, out);
    fprintf(out,
            "  %-12s %" PRIu64 "; %" PRIu64 " accesses (%" PRIu64 " fetches, %" PRIu64 " loads, %" PRIu64 " stores)\n",
            "events", c->events, c->accesses, c->fetches, c->loads, c->stores);
    print_tlb(out, "instr. TLB", c->itlb_hit, c->itlb_miss);
    print_tlb(out, "data TLB", c->dtlb_hit, c->dtlb_miss);
    if (c->istlb_hit + c->dstlb_hit) {
        print_tlb(out, "second level", c->istlb_hit + c->dstlb_hit, c->istlb_miss + c->dstlb_miss);
    }
    fprintf(out,
            "  %-12s %" PRIu64 ", of them %" PRIu64 " to set a dirty bit; %" PRIu64 " table reads, %" PRIu64
            " writes\n",
            "walks", s.walks, s.dirty_walks, s.table_reads, s.table_writes);
    fprintf(out, "  %-12s %" PRIu64 " (%.3f for each touch)\n", "cycles", cycles,
            c->touches ? (double)cycles / (double)c->touches : 0);
    if (machine_os_ops(report->machine) == &bare_os_ops) {
        print_bare(c, out);
    } else {
        print_memory(report, out);
        print_disk(c, out);
    }
    if (report->seconds > 0) {
        fprintf(out, "  %-12s %.2f s, %.0f events/s\n", "took", report->seconds, (double)c->events / report->seconds);
    }
    return fflush(out) || ferror(out) ? -1 : 0;
}
