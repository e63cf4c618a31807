/* How fast the simulator is, measured: soft page faults a second, which the machine with the C MMU and no checks
 * services, at several sizes of simulated memory, and TLB hits and misses a second on both MMUs. Not a test: absolute
 * times are of the computer it runs on. Ratios compare figures of one run. Usage: nt_bench [RTL.so]  (without the RTL's
 * shared object its line is left out) */
#include "ntmmu/machine.h"
#include "ntmmu/pte.h"
#include "ntmmu/status.h"

#include "peers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_VA    0x10000000u
#define BENCH_PAGES 12288u /* 48 MB: what fits the smallest machine */
#define ROUNDS      8u

enum { HIT_PAGES = 16, RANDOM_PAGES = 1024 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

_Noreturn static void fail(const char *what, const char *detail) {
    fprintf(stderr, "nt_bench: %s: %s\n", what, detail);
    exit(2);
}

struct bench {
    struct machine *m;
    uint64_t events;
};

static const struct machine_result *step(struct bench *b, struct event *event) {
    event->index = b->events++;
    const struct machine_result *result = machine_step(b->m, event);
    if (result->stop != MACHINE_RUNS) { fail("the machine stopped", result->message); }
    return result;
}

static void service(struct bench *b, struct event event) {
    if (!NT_SUCCESS(step(b, &event)->service_status)) { fail("a service failed", event_kind_name(event.kind)); }
}

static void start(struct bench *b, const struct mmu_ops *mmu, uint64_t ram) {
    struct machine_config config = {.mmu = mmu, .os = &nt_os_ops};
    char err[256] = "";
    if (preset_load(&config.preset, NTMMU_ROOT "/rtl/presets", "ref64", err, sizeof err)) { fail("ref64", err); }
    config.os_config.manual_threads = true;
    config.os_config.ram_free = ram;
    *b = (struct bench){.m = machine_create(&config, err, sizeof err)};
    if (!b->m) { fail("no machine", err); }
    struct event process = {.kind = EV_PROC_CREATE, .proc = {.pid = 1}};
    strcpy(process.text, "bench");
    service(b, process);
    service(b, (struct event){.kind = EV_THREAD_CREATE, .thread = {.tid = 2, .pid = 1}});
    service(b, (struct event){.kind = EV_SWITCH, .sw = {.tid = 2}});
}

static void allocate(struct bench *b, uint32_t pages) {
    service(b, (struct event){.kind = EV_ALLOC,
                              .alloc = {.base = FIRST_VA,
                                        .size = (va_t)pages << PAGE_SHIFT,
                                        .type = EVENT_RESERVE | EVENT_COMMIT,
                                        .prot = MM_READWRITE}});
}

/* Stores to every page of simulated memory. A large machine takes frames in turn that this process has not touched for
 * long, if ever: what the host (or what the host runs in) does for them first is not to be measured. */
static void warm_up_host(struct bench *b) {
    struct physmem *mem = machine_memory(b->m);
    for (pa_t pa = 0; pa < mem->size; pa += PAGE_SIZE) {
        volatile uint8_t *at = mem->bytes + pa;
        *at = *at;
    }
}

/* Touches each page once; every touch must be one fault of that kind. */
static double touch(struct bench *b, uint32_t pages, enum fault_kind kind, double *accesses) {
    uint64_t kernel = machine_counts(b->m)->kernel_accesses;
    uint64_t before = machine_counts(b->m)->resolved[kind];
    struct event event = {.kind = EV_ACCESS, .access = {.size = 4, .access = EVENT_STORE}};
    double begin = now();
    for (uint32_t i = 0; i < pages; i++) {
        event.access.va = FIRST_VA + ((va_t)i << PAGE_SHIFT);
        step(b, &event);
    }
    double took = now() - begin;
    if (machine_counts(b->m)->resolved[kind] - before != pages) { fail("soft faults", "not one fault for each page"); }
    *accesses = (double)(machine_counts(b->m)->kernel_accesses - kernel) / pages;
    return took;
}

static void run_thread(struct bench *b, const char *name) {
    struct event event = {.kind = EV_RUN_THREAD};
    strcpy(event.text, name);
    service(b, event);
}

struct rates {
    double demand_zero, transition;
    double accesses[2]; /* of the kernel through the MMU, for each fault */
};

/* The best round counts: what disturbs a round only makes it slower. */
static struct rates soft_faults(uint64_t ram) {
    struct bench b;
    start(&b, &mmu_c_ops, ram);
    double zero = 1e9, transition = 1e9;
    struct rates rates;
    for (unsigned round = 0; round < ROUNDS; round++) {
        allocate(&b, BENCH_PAGES);
        warm_up_host(&b);
        double took = touch(&b, BENCH_PAGES, FAULT_DEMAND_ZERO, &rates.accesses[0]);
        if (took < zero) { zero = took; }
        service(&b, (struct event){.kind = EV_TRIM, .trim = {.pid = 1, .all = true, .force = true}});
        took = touch(&b, BENCH_PAGES, FAULT_TRANSITION, &rates.accesses[1]);
        if (took < transition) { transition = took; }
        service(&b, (struct event){.kind = EV_FREE, .free = {.base = FIRST_VA, .release = true}});
        run_thread(&b, "zero");
    }
    machine_destroy(b.m);
    rates.demand_zero = BENCH_PAGES / zero;
    rates.transition = BENCH_PAGES / transition;
    return rates;
}

struct speed {
    double accesses, cycles; /* a second */
};

/* Loads from so many pages through the whole machine: in turn from 16, which the TLB holds, at random from more. */
static struct speed loads(const struct mmu_ops *mmu, uint32_t pages, uint32_t count) {
    struct bench b;
    start(&b, mmu, 64 << 20);
    allocate(&b, pages);
    struct event event = {.kind = EV_ACCESS, .access = {.size = 4, .access = EVENT_LOAD}};
    struct speed best = {0};
    double unused;
    touch(&b, pages, FAULT_DEMAND_ZERO, &unused);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t cycles = machine_cycles(b.m);
        double begin = now();
        for (uint32_t i = 0; i < count; i++) {
            uint32_t page = pages == HIT_PAGES ? i % pages : (uint32_t)(mix64(i) % pages);
            event.access.va = FIRST_VA + ((va_t)page << PAGE_SHIFT);
            step(&b, &event);
        }
        double took = now() - begin;
        if (count / took > best.accesses) {
            best = (struct speed){count / took, (double)(machine_cycles(b.m) - cycles) / took};
        }
    }
    machine_destroy(b.m);
    return best;
}

static void print_speed(const char *name, double hits, double random, double cycles) {
    printf("  %-10s %10.2f %22.2f %18.1f\n", name, hits, random, cycles);
    fflush(stdout);
}

static void print_mmu(const char *name, const struct mmu_ops *mmu, uint32_t count) {
    struct speed hits = loads(mmu, HIT_PAGES, count), random = loads(mmu, RANDOM_PAGES, count / 4);
    print_speed(name, hits.accesses / 1e6, random.accesses / 1e6,
                (hits.cycles > random.cycles ? hits : random).cycles / 1e6);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        uint64_t bytes;
    } sizes[] = {{"64 MB", 64 << 20}, {"256 MB", 256 << 20}, {"1 GB", 1ull << 30}, {"4 GB", (4ull << 30) - (64 << 20)}};
    struct rates first = {0};
    printf("soft faults, C MMU, no checks: millions a second of processor time (cost relative to 64 MB)\n");
    printf("  %-8s %20s %20s\n", "memory", "demand zero", "transition");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct rates r = soft_faults(sizes[i].bytes);
        if (i == 0) { first = r; }
        printf("  %-8s %11.2f (%5.2f) %12.2f (%5.2f)\n", sizes[i].name, r.demand_zero / 1e6,
               first.demand_zero / r.demand_zero, r.transition / 1e6, first.transition / r.transition);
        fflush(stdout);
    }
    printf("  the kernel's own memory accesses for each: %.1f and %.1f\n", first.accesses[0], first.accesses[1]);
    printf("MMUs, millions a second of processor time (C and RTL: through the whole machine, preset ref64; others: the "
           "MMU alone)\n");
    printf("  %-10s %10s %22s %18s\n", "", "TLB hits", "loads in 1024 pages", "cycles, at best");
    print_mmu("C", &mmu_c_ops, 2000000);
    if (argc > 1) {
        char err[512];
        const struct mmu_ops *rtl = mmu_load_object(argv[1], err, sizeof err);
        if (!rtl) { fail("RTL", err); }
        print_mmu("RTL", rtl, 200000);
    }
    for (unsigned i = 0; i < PEERS; i++) {
        print_speed(peers[i].name, peers[i].hits_a_second, peers[i].random_a_second, peers[i].cycles_a_second);
    }
    return 0;
}
