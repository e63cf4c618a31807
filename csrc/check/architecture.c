/* The MMU that stands before another one and judges it. What it may expect is architecture_walk.c's; this file follows
 * the control registers, tells architecture_past.c which invalidations are owed (SDM 4.10.4.1, 11.9), compares, and
 * writes the report. */
#include "architecture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS        4096u
#define NOT_ANSWERED UINT64_MAX /* results[].done */

/* A page whose translation was looked up in memory: while no entry that was read changes, there is no need to again. */
struct slot {
    uint64_t generation, root;
    vpn_t vpn;
    pa_t frame;
    bool writable, user, execute_disable, dirty;
};

/* The machine's handle of this MMU is the oracle itself. */
static struct architecture *of(const struct mmu *mmu) { return (struct architecture *)(uintptr_t)mmu; }

/* ---- reports ---- */

static void add_event(struct report *report, uint64_t stamp) {
    if (stamp == 0) {
        report_add(report, "the boot");
    } else {
        report_add(report, "event %" PRIu64, stamp - 1);
    }
}

/* Stores are seen from an entry's first reading on. */
static void add_written(struct report *report, uint64_t stamp) {
    if (stamp == 0) { return; }
    report_add(report, ", written in ");
    add_event(report, stamp);
}

static void add_request(struct report *report, const struct mmu_request *r) {
    static const char *const mode[] = {"supervisor", "user", "implicit supervisor"};
    static const char *const type[] = {"read", "write", "fetch", "read-modify-write"};
    report_add(report, "a %s %s of %08" PRIx64, mode[r->mode % 3], type[r->type % 4], r->va);
}

static void add_outcome(struct report *report, uint8_t vector, pa_t pa, uint32_t error_code) {
    if (vector == MMU_VECTOR_NONE) {
        report_add(report, "physical address %08" PRIx64, pa);
    } else if (vector == MMU_VECTOR_PF) {
        report_add(report, "#PF with error code %x", error_code);
    } else {
        report_add(report, "vector %u", vector);
    }
}

static const char *entry_name(enum paging paging, unsigned steps_above) {
    static const char *const name[] = {"PML4E", "PDPTE", "PDE", "PTE"};
    return name[(paging == PAGING_FOUR_LEVEL ? 0 : 2) + steps_above];
}

struct legal_list {
    struct architecture *a;
    struct candidate seen[8];
    unsigned count;
};

static bool list_legal(void *ctx, const struct candidate *c) {
    struct legal_list *list = ctx;
    struct report *report = &list->a->report;
    enum paging paging = paging_of(&list->a->controls);
    for (unsigned i = 0; i < list->count; i++) {
        const struct candidate *s = &list->seen[i];
        if (s->vector == c->vector && s->pa == c->pa && s->error_code == c->error_code && s->missing == c->missing) {
            return false;
        }
    }
    if (list->count == sizeof list->seen / sizeof *list->seen) { return true; }
    list->seen[list->count++] = *c;
    report_add(report, "  legal: ");
    add_outcome(report, c->vector, c->pa, c->error_code);
    if (c->missing) {
        report_add(report, ", if it had set%s%s in", c->missing & ENTRY_A ? " A" : "",
                   c->missing & ENTRY_D ? " D" : "");
        for (unsigned i = 0; i < c->steps; i++) {
            pte_t wanted = c->missing & (c->step[i].leaf ? ENTRY_A | ENTRY_D : ENTRY_A);
            if (wanted & ~c->step[i].value) { report_add(report, " the %s", entry_name(paging, i)); }
        }
    }
    for (unsigned i = 0; i < c->steps; i++) {
        report_add(report, "%s%s %08" PRIx64,
                   i            ? ", "
                   : c->missing ? "; by "
                                : ", by ",
                   entry_name(paging, i), c->step[i].value);
        if (c->step[i].version) {
            report_add(report, " (cached, replaced in ");
            add_event(report, c->step[i].version->replaced);
            report_add(report, ")");
        }
    }
    report_add(report, "\n");
    return false;
}

static void add_versions(struct architecture *a, pa_t entry) {
    struct report *report = &a->report;
    unsigned shown = 0;
    for (const struct version *v = past_versions(&a->past, entry); v && shown < 4; v = v->next, shown++) {
        report_add(report, "      before that %08" PRIx64, v->value);
        add_written(report, v->written);
        report_add(report, ", replaced in ");
        add_event(report, v->replaced);
        report_add(report, "\n");
    }
}

/* The tables of the current root as they are in memory, each entry with what stood there before. */
static bool add_tables(void *ctx, const struct candidate *c) {
    struct architecture *a = ctx;
    for (unsigned i = 0; i < c->steps; i++) {
        pa_t entry = c->step[i].entry;
        report_add(&a->report, "    %-5s at %08" PRIx64 ": %08" PRIx64, entry_name(paging_of(&a->controls), i), entry,
                   c->step[i].value);
        add_written(&a->report, past_stored(&a->past, entry).event);
        report_add(&a->report, "\n");
        add_versions(a, entry);
    }
    return true;
}

static void add_drop(struct architecture *a) {
    static const char *const name[] = {[DROP_MODE] = "a change of the paging mode",
                                       [DROP_SMEP] = "CR4.SMEP",
                                       [DROP_CR3] = "MOV CR3",
                                       [DROP_INVLPG] = "INVLPG",
                                       [DROP_INVPCID] = "INVPCID",
                                       [DROP_INVPCID_ADDRESS] = "INVPCID",
                                       [DROP_FAULT] = "#PF"};
    uint32_t pcid = paging_pcid(&a->controls);
    unsigned large = paging_large_shift(paging_of(&a->controls));
    const struct {
        const char *what;
        struct moment moment;
    } drops[] = {
        {"what a TLB holds of this page", past_dropped(&a->past, a->request->va, PAGE_SHIFT, pcid)},
        {"a large page here", past_dropped(&a->past, a->request->va, large, pcid)},
        {"a global page here", past_dropped(&a->past, a->request->va, PAGE_SHIFT, PCID_GLOBAL)},
    };
    for (unsigned i = 0; i < sizeof drops / sizeof *drops; i++) {
        if (drops[i].moment.kind == DROP_NOTHING || (i && drops[i].moment.time == drops[0].moment.time)) { continue; }
        report_add(&a->report, "  last invalidation of %s: %s in ", drops[i].what, name[drops[i].moment.kind]);
        add_event(&a->report, drops[i].moment.event);
        report_add(&a->report, "\n");
    }
}

/* Opens the report of the first failure; false: this is not the first. */
static bool begin_failure(struct architecture *a) {
    if (a->failed) { return false; }
    a->failed = true;
    return true;
}

static void add_context(struct architecture *a) {
    struct report *report = &a->report;
    if (paging_of(&a->controls) == PAGING_OFF) {
        report_add(report, "  paging is off: the physical address is the linear one\n");
        return;
    }
    if (!paging_canonical(paging_of(&a->controls), a->request->va)) {
        report_add(report, "  legal: #GP, the address is not canonical\n");
        return;
    }
    struct legal_list list = {.a = a};
    walk_candidates(a, true, list_legal, &list);
    report_add(report, "  tables under CR3 %08" PRIx64 ", CR0 %08" PRIx64 ", CR4 %08" PRIx64 "\n", a->controls.cr3,
               a->controls.cr0, a->controls.cr4);
    walk_candidates(a, false, add_tables, a);
    add_drop(a);
}

/* ---- the memory that the inner MMU is given ---- */

static uint64_t memory_read(void *ctx, pa_t pa, unsigned bytes) {
    struct architecture *a = ctx;
    for (unsigned at = 0; at < bytes; at += a->past.bytes) { past_seen(&a->past, pa + at); }
    return a->config.memory.read(a->config.memory.ctx, pa, bytes);
}

struct role {
    pa_t entry;
    bool wants_upper, wants_leaf; /* either will do */
    bool upper, leaf;
};

static bool find_role(void *ctx, const struct candidate *c) {
    struct role *role = ctx;
    for (unsigned i = 0; i < c->steps; i++) {
        const struct step *step = &c->step[i];
        if (step->entry != role->entry || step->version) { continue; }
        role->leaf = role->leaf || step->leaf;
        role->upper = role->upper || (!step->leaf && i + 1 < c->steps);
    }
    return (role->leaf && role->wants_leaf) || (role->upper && role->wants_upper);
}

/* NULL: legal. Else what is wrong. */
static const char *exchange_fault(struct architecture *a, pa_t pa, unsigned bytes, uint64_t old, uint64_t desired) {
    uint64_t sets = old ^ desired;
    if (!a->request) { return "outside of any access"; }
    if (bytes != a->past.bytes) { return "in another width than an entry's"; }
    if (sets & old) { return "which clears bits"; }
    if (sets & ~(uint64_t)(ENTRY_A | ENTRY_D)) { return "which sets more than A and D"; }
    if (!(old & ENTRY_P)) { return "in an entry that is not present"; }
    struct role role = {.entry = pa, .wants_leaf = true, .wants_upper = !(sets & ENTRY_D)};
    if (!walk_candidates(a, false, find_role, &role)) { walk_candidates(a, true, find_role, &role); }
    if (role.leaf && !role.upper) {
        role.wants_upper = true;
        role.wants_leaf = false;
        walk_candidates(a, true, find_role, &role);
    }
    if (!role.upper && !role.leaf) { return "in an entry that is not on the way of the access"; }
    if ((sets & ENTRY_D) && !role.leaf) { return "which sets D where no page is mapped"; }
    if ((sets & ENTRY_D) && !mmu_writes(a->request->type)) { return "which sets D though nothing is written"; }
    a->marked_leaf = a->marked_leaf || !role.upper;
    return NULL;
}

static void judge_answered(struct architecture *a);

static uint64_t memory_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    struct architecture *a = ctx;
    const struct mmu_memory *memory = &a->config.memory;
    judge_answered(a);
    past_seen(&a->past, pa & ~(pa_t)(a->past.bytes - 1));
    bool marked_before = a->marked_leaf;
    uint64_t held = memory->read(memory->ctx, pa, bytes);
    if (held == expected && held != desired) {
        const char *wrong = exchange_fault(a, pa, bytes, held, desired);
        if (wrong && begin_failure(a)) {
            report_add(&a->report,
                       "  the MMU made an exchange %s: at %08" PRIx64 ", %08" PRIx64 " over %08" PRIx64 "\n", wrong, pa,
                       desired, held);
            if (a->request) {
                report_add(&a->report, "  during ");
                add_request(&a->report, a->request);
                report_add(&a->report, "\n");
                add_context(a);
            }
        }
    }
    held = memory->compare_exchange(memory->ctx, pa, bytes, expected, desired);
    if (held != expected) { a->marked_leaf = marked_before; } /* somebody came between: nothing was stored */
    past_seen(&a->past, pa & ~(pa_t)(a->past.bytes - 1));     /* it knows what it stored, and what it found */
    return held;
}

static uint32_t memory_latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    struct architecture *a = ctx;
    return a->config.memory.latency(a->config.memory.ctx, pa, exchange, cycle);
}

/* ---- judging an access ---- */

struct match {
    const struct mmu_result *result;
    struct candidate found;
    bool missing; /* it would match, had A or D been set */
};

static bool matches(void *ctx, const struct candidate *c) {
    struct match *match = ctx;
    const struct mmu_result *r = match->result;
    if (c->vector != r->vector) { return false; }
    if (c->vector == MMU_VECTOR_NONE ? c->pa != r->pa : c->error_code != r->error_code) { return false; }
    if (c->missing) {
        match->missing = true;
        return false;
    }
    match->found = *c;
    return true;
}

static uint64_t root_key(const struct architecture *a) { return a->controls.cr3; }

static struct slot *slot_of(struct architecture *a, va_t va) {
    vpn_t vpn = va >> PAGE_SHIFT;
    return &a->slots[(vpn ^ vpn >> 10 ^ a->controls.cr3 >> PAGE_SHIFT) % SLOTS];
}

static bool slot_allows(const struct architecture *a, const struct slot *s) {
    const struct mmu_request *r = a->request;
    struct candidate page = {.writable = s->writable, .user = s->user, .execute_disable = s->execute_disable};
    return (!mmu_writes(r->type) || s->dirty) && paging_allows(&a->controls, a->controls.efer & EFER_NXE, &page, r);
}

static bool is_known(struct architecture *a, const struct mmu_result *result) {
    const struct slot *s = slot_of(a, a->request->va);
    return result->vector == MMU_VECTOR_NONE && s->generation == a->past.generation &&
           s->vpn == a->request->va >> PAGE_SHIFT && s->root == root_key(a) &&
           result->pa == (s->frame | (a->request->va & PAGE_MASK)) && slot_allows(a, s);
}

static void keep(struct architecture *a, const struct candidate *c) {
    *slot_of(a, a->request->va) = (struct slot){.generation = a->past.generation,
                                                .root = root_key(a),
                                                .vpn = a->request->va >> PAGE_SHIFT,
                                                .frame = c->pa & ~(pa_t)PAGE_MASK,
                                                .writable = c->writable,
                                                .user = c->user,
                                                .execute_disable = c->execute_disable,
                                                .dirty = c->dirty};
}

static bool is_legal(struct architecture *a, struct match *match) {
    const struct mmu_result *r = match->result;
    enum paging paging = paging_of(&a->controls);
    if (paging == PAGING_OFF) { return r->vector == MMU_VECTOR_NONE && r->pa == a->request->va; }
    if (!paging_canonical(paging, a->request->va)) { return r->vector == MMU_VECTOR_GP; }
    if (is_known(a, r)) { return true; }
    if (r->vector == MMU_VECTOR_PF && r->cr2 != a->request->va) { return false; }
    if (walk_candidates(a, false, matches, match)) {
        if (r->vector == MMU_VECTOR_NONE) { keep(a, &match->found); }
        return true;
    }
    return walk_candidates(a, true, matches, match);
}

static void report_access(struct architecture *a, const struct match *match) {
    const struct mmu_result *r = match->result;
    report_kind(&a->report, "an access gave vector %u%s%s", r->vector, r->vector == MMU_VECTOR_NONE ? "" : ", wrongly",
                match->missing ? ", A or D is not set" : "");
    report_add(&a->report, "  ");
    add_request(&a->report, a->request);
    report_add(&a->report, " gave ");
    add_outcome(&a->report, r->vector, r->pa, r->error_code);
    if (r->vector == MMU_VECTOR_PF) { report_add(&a->report, " and CR2 %08" PRIx64, r->cr2); }
    report_add(&a->report, match->missing ? ", but A or D is not set\n" : "\n");
    add_context(a);
}

static void judge(struct architecture *a, const struct mmu_result *result) {
    struct match match = {.result = result};
    bool fault = result->vector == MMU_VECTOR_PF;
    if (!is_legal(a, &match)) {
        if (begin_failure(a)) { report_access(a, &match); }
    } else if (fault && a->marked_leaf && begin_failure(a)) {
        report_add(&a->report, "  the MMU set A or D of the page though the access faulted\n");
        report_access(a, &match);
    }
    if (fault) { past_drop_fault(&a->past, a->request->va, paging_pcid(&a->controls)); }
}

static void take_up(struct architecture *a, size_t number) {
    a->number = number;
    a->marked_leaf = false;
    a->request = NULL;
    if (number == a->count) { return; }
    a->seen = a->requests[number];
    a->seen.va = paging_address(paging_of(&a->controls), a->seen.va);
    a->request = &a->seen;
}

static void judge_next(struct architecture *a) {
    const struct mmu_result *result = &a->results[a->number];
    judge(a, result);
    take_up(a, result->vector == MMU_VECTOR_NONE ? a->number + 1 : a->count);
}

/* Those of several at once that have been answered already: a later one makes the next exchange. */
static void judge_answered(struct architecture *a) {
    while (a->count > 1 && a->request && a->results[a->number].done != NOT_ANSWERED) { judge_next(a); }
}

static size_t judge_some(struct architecture *a, const struct mmu_request *requests, struct mmu_result *results,
                         size_t count) {
    a->requests = requests;
    a->results = results;
    a->count = count;
    for (size_t i = 0; i < count && count > 1; i++) { results[i].done = NOT_ANSWERED; }
    take_up(a, 0);
    size_t answered = a->inner_ops->translate(a->inner, requests, results, count);
    while (a->request && a->number < answered) { judge_next(a); }
    if (answered == 0 && begin_failure(a)) {
        report_add(&a->report, "  no answer to ");
        add_request(&a->report, a->request);
        report_add(&a->report, "\n");
    }
    a->request = NULL;
    return a->failed ? 0 : answered;
}

/* One by one, so that it is known for which access an exchange is made; an MMU of several walkers, whose cycles are
 * others then, says it by results[].done. After a failure the MMU counts as hung, which stops the machine: what a
 * kernel makes of wrong translations may never end. */
static size_t translate(struct mmu *mmu, const struct mmu_request *requests, struct mmu_result *results, size_t count) {
    struct architecture *a = of(mmu);
    if (a->failed) { return 0; }
    if (a->config.preset.walkers > 1) { return judge_some(a, requests, results, count); }
    for (size_t i = 0; i < count; i++) {
        if (judge_some(a, &requests[i], &results[i], 1) == 0) { return 0; }
        if (results[i].vector != MMU_VECTOR_NONE) { return i + 1; }
    }
    return count;
}

/* ---- control registers ---- */

/* SDM 4.4.1. */
static bool loads_pdptes(const struct controls *old, const struct controls *new, enum mmu_control which) {
    if (paging_of(new) != PAGING_PAE) { return false; }
    switch (which) {
    case MMU_CR0: return (old->cr0 ^ new->cr0) & CR0_PG;
    case MMU_CR3: return true;
    case MMU_CR4: return (old->cr4 ^ new->cr4) & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP);
    default: return false;
    }
}

/* False: one of them has a reserved bit set. */
static bool read_pdptes(const struct architecture *a, uint64_t cr3, uint64_t out[4]) {
    bool good = true;
    for (unsigned i = 0; i < 4; i++) {
        out[i] = 0;
        physmem_read(a->past.mem, (cr3 & 0xFFFFFFE0u) + 8 * i, &out[i], 8);
        good = good && !pdpte_is_reserved(a, out[i]);
    }
    return good;
}

static void set_root(struct architecture *a) {
    const struct controls *c = &a->controls;
    static const uint64_t none[4];
    switch (paging_of(c)) {
    case PAGING_TWO_LEVEL: past_set_root(&a->past, c->cr3 & 0xFFFFF000u, 0, none); break;
    case PAGING_PAE: past_set_root(&a->past, c->cr3 & 0xFFFFFFE0u, 0, a->pdpte); break;
    case PAGING_FOUR_LEVEL: past_set_root(&a->past, c->cr3 & 0x000FFFFFFFFFF000u, paging_pcid(c), none); break;
    default: break;
    }
}

static unsigned entry_bytes(const struct controls *controls) { return controls->cr4 & CR4_PAE ? 8 : 4; }

/* What SDM 4.10.4.1 and 11.9 say is invalidated. */
static void drop_for(struct architecture *a, enum mmu_control which, const struct controls *was, uint64_t value) {
    const struct controls *now = &a->controls;
    struct past *past = &a->past;
    uint64_t cr0 = was->cr0 ^ now->cr0, cr4 = was->cr4 ^ now->cr4;
    if ((cr0 & CR0_PG) || (cr4 & (CR4_PAE | CR4_PSE | CR4_PGE)) || (cr4 & was->cr4 & CR4_PCIDE)) {
        past_drop_everything(past, DROP_MODE);
        a->other_nxe = false;
        if (past->bytes != entry_bytes(now)) { past_forget(past, entry_bytes(now)); }
    } else if (cr4 & now->cr4 & CR4_SMEP) {
        past_drop_pcid(past, paging_pcid(now), DROP_SMEP);
    } else if (which == MMU_CR3 && !((now->cr4 & CR4_PCIDE) && (value & CR3_KEEP))) {
        past_drop_pcid(past, paging_pcid(now), DROP_CR3);
    }
    a->other_nxe = a->other_nxe || ((was->efer ^ now->efer) & EFER_NXE);
}

static struct controls with(const struct controls *was, enum mmu_control which, uint64_t value) {
    struct controls now = *was;
    switch (which) {
    case MMU_CR0: now.cr0 = value; break;
    case MMU_CR3: now.cr3 = was->cr4 & CR4_PCIDE ? value & ~CR3_KEEP : value; break;
    case MMU_CR4: now.cr4 = value; break;
    case MMU_EFER: now.efer = value; break;
    case MMU_EFLAGS_AC: now.ac = value != 0; break;
    default: break;
    }
    return now;
}

static void judge_control(struct architecture *a, enum mmu_control which, uint64_t value, int vector, bool must_fault) {
    static const char *const name[] = {"CR0", "CR3", "CR4", "EFER", "EFLAGS.AC", "PAT"};
    bool faulted = vector != MMU_VECTOR_NONE;
    if (faulted == must_fault || !begin_failure(a)) { return; }
    report_add(&a->report, "  %08" PRIx64 " moved to %s %s #GP, expected %s\n", value, name[which % 6],
               faulted ? "is" : "is no", faulted ? "none" : "one");
}

static int write_control(struct mmu *mmu, enum mmu_control which, uint64_t value) {
    struct architecture *a = of(mmu);
    struct controls old = a->controls, new = with(&old, which, value);
    uint64_t pdpte[4];
    bool loads = loads_pdptes(&old, &new, which);
    bool must_fault = control_faults(a, which, value) || (loads && !read_pdptes(a, new.cr3, pdpte));
    int vector = a->inner_ops->write_control(a->inner, which, value);
    judge_control(a, which, value, vector, must_fault);
    if (vector != MMU_VECTOR_NONE) { return vector; }
    a->controls = new;
    if (loads) {
        read_pdptes(a, new.cr3, pdpte); /* again: it may have been refused before */
        memcpy(a->pdpte, pdpte, sizeof pdpte);
    }
    if (which != MMU_EFLAGS_AC && which != MMU_PAT) { set_root(a); }
    drop_for(a, which, &old, value);
    if (which != MMU_CR3 && which != MMU_EFLAGS_AC) { a->past.generation++; }
    if (loads) { a->past.generation++; }
    return vector;
}

static uint64_t read_control(const struct mmu *mmu, enum mmu_control which) {
    return of(mmu)->inner_ops->read_control(of(mmu)->inner, which);
}

/* ---- invalidation ---- */

static void invlpg(struct mmu *mmu, va_t va) {
    struct architecture *a = of(mmu);
    a->inner_ops->invlpg(a->inner, va);
    enum paging paging = paging_of(&a->controls);
    if (!paging_canonical(paging, va)) { return; }
    past_drop_invlpg(&a->past, paging_address(paging, va), paging_pcid(&a->controls));
}

/* SDM volume 2, INVPCID. */
static int invpcid_vector(const struct architecture *a, uint64_t type, uint64_t pcid, va_t va) {
    if (!(a->config.preset.features & CPU_INVPCID)) { return MMU_VECTOR_UD; }
    bool one = type == INVPCID_ADDRESS || type == INVPCID_CONTEXT;
    if (type > INVPCID_ALL_BUT_GLOBAL || pcid > CR3_PCID) { return MMU_VECTOR_GP; }
    if (one && pcid != 0 && !(a->controls.cr4 & CR4_PCIDE)) { return MMU_VECTOR_GP; }
    bool canonical = paging_canonical(paging_of(&a->controls), va);
    return type == INVPCID_ADDRESS && !canonical ? MMU_VECTOR_GP : MMU_VECTOR_NONE;
}

static int invpcid(struct mmu *mmu, uint64_t type, uint64_t pcid, va_t va) {
    struct architecture *a = of(mmu);
    int expected = invpcid_vector(a, type, pcid, va);
    int vector = a->inner_ops->invpcid(a->inner, type, pcid, va);
    if (vector != expected && begin_failure(a)) {
        report_add(&a->report,
                   "  INVPCID type %" PRIu64 ", PCID %" PRIx64 ", %08" PRIx64 " gave vector %d, expected %d\n", type,
                   pcid, va, vector, expected);
    }
    if (vector != MMU_VECTOR_NONE || expected != MMU_VECTOR_NONE) { return vector; }
    va = paging_address(paging_of(&a->controls), va);
    switch (type) {
    case INVPCID_ADDRESS: past_drop_invpcid(&a->past, va, (uint32_t)pcid); break;
    case INVPCID_CONTEXT: past_drop_pcid(&a->past, (uint32_t)pcid, DROP_INVPCID); break;
    case INVPCID_ALL: past_drop_everything(&a->past, DROP_INVPCID); break;
    default: past_drop_all_but_global(&a->past, DROP_INVPCID); break;
    }
    return vector;
}

/* ---- what is only handed on ---- */

static uint64_t cycles(const struct mmu *mmu) { return of(mmu)->inner_ops->cycles(of(mmu)->inner); }

static void statistics(const struct mmu *mmu, struct mmu_statistics *out) {
    of(mmu)->inner_ops->statistics(of(mmu)->inner, out);
}

static size_t tlb_entries(struct mmu *mmu, struct mmu_tlb_entry *out, size_t max) {
    return of(mmu)->inner_ops->tlb_entries(of(mmu)->inner, out, max);
}

static int wave(struct mmu *mmu, const char *path, uint64_t from, uint64_t to) {
    return of(mmu)->inner_ops->wave(of(mmu)->inner, path, from, to);
}

/* ---- life ---- */

struct architecture *architecture_create(const struct mmu_ops *inner) {
    struct architecture *a = check_alloc(sizeof *a);
    a->inner_ops = inner;
    a->slots = check_alloc(SLOTS * sizeof *a->slots);
    return a;
}

void architecture_destroy(struct architecture *a) {
    if (!a) { return; }
    report_free(&a->report);
    free(a->slots);
    free(a);
}

struct mmu *architecture_mmu(struct architecture *a, const struct mmu_config *config, struct physmem *mem,
                             const struct event_log *log, char *err, size_t err_size) {
    struct mmu_config inner = *config;
    inner.memory = (struct mmu_memory){
        .ctx = a, .read = memory_read, .compare_exchange = memory_exchange, .latency = memory_latency};
    a->config = *config;
    past_create(&a->past, mem, log);
    a->past.generation = 1;
    a->inner = a->inner_ops->create(&inner, err, err_size);
    if (a->inner) { return (struct mmu *)a; }
    past_destroy(&a->past);
    return NULL;
}

static void destroy(struct mmu *mmu) {
    struct architecture *a = of(mmu);
    a->inner_ops->destroy(a->inner);
    a->inner = NULL;
    past_destroy(&a->past);
}

/* A machine has architecture_place instead. */
static struct mmu *create(const struct mmu_config *config, char *err, size_t err_size) {
    (void)config;
    snprintf(err, err_size, "the architecture's oracle needs an MMU to judge");
    return NULL;
}

const struct mmu_ops architecture_ops = {
    .abi_version = MMU_ABI_VERSION,
    .name = "architecture",
    .create = create,
    .destroy = destroy,
    .translate = translate,
    .write_control = write_control,
    .read_control = read_control,
    .invlpg = invlpg,
    .invpcid = invpcid,
    .cycles = cycles,
    .statistics = statistics,
    .tlb_entries = tlb_entries,
    .wave = wave,
};

static struct mmu *power_on(void *ctx, const struct machine_power *power, char *err, size_t err_size) {
    return architecture_mmu(ctx, &power->mmu, power->mem, power->log, err, err_size);
}

void architecture_place(struct architecture *a, struct machine_config *config) {
    a->board = (struct machine_board){.ctx = a, .mmu = &architecture_ops, .power_on = power_on};
    config->board = &a->board;
}

const char *architecture_report(const struct architecture *a) { return a->report.text ? a->report.text : ""; }

struct architecture *architecture_of(const struct mmu_ops *ops, struct mmu *mmu) {
    return ops == &architecture_ops ? of(mmu) : NULL;
}

const char *architecture_name(const struct architecture *a) { return a->inner_ops->name; }

void architecture_start(struct architecture *a) { a->past.running = true; }

bool architecture_event(struct architecture *a, const struct event *event, struct report *report) {
    if (!a->failed) { return true; }
    if (event->kind == EV_NONE) {
        report_add(report, "architecture: after the last event of the trace\n");
    } else {
        report_event(report, "architecture: ", event);
    }
    snprintf(report->kind, sizeof report->kind, "architecture: %.160s", a->report.kind);
    report->settled = true;
    report_add(report, "%s", architecture_report(a));
    return false;
}
