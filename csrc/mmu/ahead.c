/* The walkers beside the head's, cycle by cycle (ahead.h). What they read they read in the cycle in which the hardware
 * does, so that it is the same value after the same time. */
#include "lookup.h"

#define NEVER UINT64_MAX

/* ---- one walker ---- */

static bool has_request(const struct ahead_walker *walker) {
    return walker->state != AHEAD_IDLE && walker->state != AHEAD_FORGOTTEN;
}

static bool evaluates(const struct ahead_walker *walker, uint64_t cycle) {
    return walker->state == AHEAD_READS && walker->due == NEVER && walker->from == cycle;
}

/* Its answer, if one is under way, is awaited all the same. */
static void forget(struct ahead_walker *walker, uint64_t cycle) {
    if (!has_request(walker)) { return; }
    if (walker->state == AHEAD_READS && !evaluates(walker, cycle)) {
        walker->state = AHEAD_FORGOTTEN;
    } else {
        walker->state = AHEAD_IDLE;
        walker->from = cycle + 1;
    }
}

static struct ahead_walker *walker_of(struct ahead *ahead, size_t request) {
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        struct ahead_walker *walker = &ahead->walker[i];
        if (has_request(walker) && walker->request == request) { return walker; }
    }
    return NULL;
}

static void issue_read(struct mmu *mmu, struct ahead_walker *walker, uint64_t cycle) {
    const struct mmu_memory *memory = &mmu->config.memory;
    const struct paging_format *format = mmu->mode.format;
    pa_t pa = entry_address(format, walker->table, walker->level, walker->va);
    walker->state = AHEAD_READS;
    walker->due = cycle + memory->latency(memory->ctx, pa, false, cycle);
    walker->entry[walker->level].pa = pa;
    walker->entry[walker->level].value = memory->read(memory->ctx, pa, format->entry_bytes);
    walker->entry[walker->level].read = true;
}

/* In the cycle after the answer. From its request's own walk on it reads no more. */
static void evaluate(struct mmu *mmu, struct ahead_walker *walker, uint64_t cycle) {
    uint64_t entry = walker->entry[walker->level].value;
    struct entry_meaning is = entry_meaning(&mmu->mode.rule[walker->level], walker->level, entry);
    bool turn = mmu->ahead.walks && mmu->ahead.head == walker->request;
    if (turn || !is.present || is.reserved || is.leaf) {
        walker->state = AHEAD_ENDED;
        return;
    }
    walker->state = AHEAD_OFFERS;
    walker->table = entry & TABLE_ADDRESS;
    walker->level--;
    walker->from = cycle + 1;
}

/* ---- the look-up ahead ---- */

static struct ahead_walker *idle_walker(struct mmu *mmu, uint64_t cycle) {
    for (unsigned i = 0; i + 1 < mmu->config.preset.walkers; i++) {
        struct ahead_walker *walker = &mmu->ahead.walker[i];
        bool idle = walker->state == AHEAD_IDLE || MUT(95, false, walker->state == AHEAD_FORGOTTEN);
        if (idle && walker->from <= cycle) { return walker; }
    }
    return NULL;
}

/* For the head or ahead. */
static bool page_is_walked(struct mmu *mmu, va_t va) {
    struct ahead *ahead = &mmu->ahead;
    vpn_t page = va >> PAGE_SHIFT;
    if (translated_bits(mmu, ahead->requests[ahead->head].va) >> PAGE_SHIFT == page) { return true; }
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        if (has_request(&ahead->walker[i]) && ahead->walker[i].va >> PAGE_SHIFT == page) { return true; }
    }
    return false;
}

static bool first_level_holds(struct mmu *mmu, enum tlb_side side, va_t va) {
    for (unsigned tlb_class = 0; tlb_class < TLB_PAGE_SIZES; tlb_class++) {
        const struct tlb *tlb = mmu->of[side][0][tlb_class];
        if (tlb && tlb_find(tlb, tag_of(mmu, tlb_class, va), mmu->mode.tagged) != TLB_NONE) { return true; }
    }
    return false;
}

/* In the last cycle of the look-up. Nothing to read: the PDPTE register says so. */
static void start_walker(struct mmu *mmu, va_t va, const struct second_lookup *second, uint64_t cycle) {
    struct walk_origin origin;
    struct walk_start start = find_start(mmu, va, second, &origin);
    struct ahead_walker walker = {.state = AHEAD_OFFERS,
                                  .request = mmu->ahead.next,
                                  .va = va,
                                  .level = start.level,
                                  .table = start.table.pa,
                                  .from = cycle + 1};
    if (start.level == 0) {
        walker.level = mmu->mode.format->root_level;
        if (!root_table(&mmu->context, mmu->mode.format, va, &walker.table)) { return; }
    }
    *idle_walker(mmu, cycle) = walker;
}

/* A cycle in which the head waits for its walk. */
static void look_ahead(struct mmu *mmu, uint64_t cycle) {
    struct ahead *ahead = &mmu->ahead;
    if (ahead->next >= ahead->count || ahead->next == ahead->head + AHEAD_QUEUE) { return; }
    if (ahead->taken[ahead->next % AHEAD_QUEUE] >= cycle) { return; }
    const struct mmu_request *request = &ahead->requests[ahead->next];
    if (mmu->mode.kind == PAGING_4_LEVEL && !is_canonical(request->va)) { return; }
    if (!idle_walker(mmu, cycle)) { return; }
    va_t va = translated_bits(mmu, request->va);
    enum tlb_side side = side_of(request->type);
    struct second_lookup second = {0};
    bool begins = ahead->left == 0;
    if (begins && (page_is_walked(mmu, va) || first_level_holds(mmu, side, va))) {
        ahead->next++;
        return;
    }
    /* No array changes while the head walks: what the last cycle of the look-up finds, the first would have found. */
    if (mmu->probes[side]) { look_up_second(mmu, side, va, &second); }
    ahead->left = begins ? second.cycles : ahead->left - 1;
    if (ahead->left) { return; }
    if (!second.tlb) { start_walker(mmu, va, &second, cycle); }
    ahead->next++;
}

/* ---- a cycle ---- */

static bool is_busy(const struct ahead *ahead) {
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        if (ahead->walker[i].state != AHEAD_IDLE && ahead->walker[i].state != AHEAD_ENDED) { return true; }
    }
    return false;
}

/* The memory gives one answer a cycle, the one that is due first; of several the one of the lowest walker. */
static void answer_one(struct ahead *ahead, uint64_t cycle) {
    struct ahead_walker *first = NULL;
    uint64_t due = ahead->due;
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        struct ahead_walker *walker = &ahead->walker[i];
        bool waits = walker->state == AHEAD_READS || walker->state == AHEAD_FORGOTTEN;
        if (!waits || walker->due >= due) { continue; }
        first = walker;
        due = walker->due;
    }
    if (due > cycle) { return; }
    if (!first) {
        ahead->evaluated = cycle + 1;
        ahead->due = NEVER;
        return;
    }
    if (MUT(94, false, ahead->due != NEVER)) { /* the head takes it for its own */
        ahead->value = first->entry[first->level].value;
        ahead->covered = true;
        ahead->evaluated = cycle + 1;
        ahead->due = NEVER;
    }
    first->due = NEVER;
    first->from = cycle + 1;
    if (first->state == AHEAD_FORGOTTEN) {
        first->state = AHEAD_IDLE;
    } else {
        first->entry[first->level].evaluated = cycle + 1;
    }
}

static void pass_cycle(struct mmu *mmu, bool looks, bool port_taken) {
    struct ahead *ahead = &mmu->ahead;
    uint64_t cycle = ahead->now++;
    if (looks) { look_ahead(mmu, cycle); }
    struct ahead_walker *oldest = NULL;
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        struct ahead_walker *walker = &ahead->walker[i];
        if (evaluates(walker, cycle)) { evaluate(mmu, walker, cycle); }
        bool offers = walker->state == AHEAD_OFFERS && walker->from <= cycle;
        if (offers && (!oldest || walker->request < oldest->request)) { oldest = walker; }
    }
    if (oldest && !port_taken) { issue_read(mmu, oldest, cycle); }
    answer_one(ahead, cycle);
}

/* Without an access of the head's. */
static void pass_until(struct mmu *mmu, uint64_t cycle) {
    struct ahead *ahead = &mmu->ahead;
    while (ahead->now < cycle && is_busy(ahead)) { pass_cycle(mmu, false, false); }
    if (ahead->now < cycle) { ahead->now = cycle; }
}

/* ---- the head's walk ---- */

static void begin_walk(struct mmu *mmu, struct ahead_walker *own) {
    struct ahead *ahead = &mmu->ahead;
    unsigned psc_level = ahead->results[ahead->head].psc_level;
    ahead->walks = true;
    ahead->level = psc_level ? psc_level : mmu->mode.format->root_level + 1u; /* above its first read */
    if (own && own->state == AHEAD_OFFERS) { own->state = AHEAD_ENDED; }
}

static void forget_readers(struct ahead *ahead, pa_t pa) {
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        struct ahead_walker *walker = &ahead->walker[i];
        bool reads = false;
        for (unsigned level = LEVEL_PTE; level < LEVELS; level++) {
            reads = reads || (walker->entry[level].read && walker->entry[level].pa == pa);
        }
        if (MUT(92, reads, false)) { forget(walker, ahead->now); }
    }
}

/* Until the cycle in which the head evaluates the answer to its access. */
static void wait_for_answer(struct mmu *mmu) {
    struct ahead *ahead = &mmu->ahead;
    while (ahead->due != NEVER || ahead->now < ahead->evaluated) { pass_cycle(mmu, true, false); }
}

/* Entry *at has been read ahead, or is being read. */
static void wait_for_entry(struct mmu *mmu, const uint64_t *evaluated) {
    struct ahead *ahead = &mmu->ahead;
    while (*evaluated == 0 || ahead->now < *evaluated) { pass_cycle(mmu, true, false); }
}

/* What has read ahead the entry that the head reads in this cycle, or is reading it. */
static const struct ahead_walker *find_covered(struct mmu *mmu, pa_t pa, bool exchange) {
    struct ahead *ahead = &mmu->ahead;
    struct ahead_walker *own = walker_of(ahead, ahead->head);
    if (!ahead->walks) { begin_walk(mmu, own); }
    if (exchange) {
        forget_readers(ahead, pa);
        ahead->level = 0;
        return NULL;
    }
    if (ahead->level == 0) { /* an exchange failed: the walk starts anew */
        if (MUT(96, own, NULL)) { forget(own, ahead->now); }
        return NULL;
    }
    ahead->level--;
    bool covered = own && own->entry[ahead->level].read && MUT(93, own->entry[ahead->level].pa == pa, true);
    return covered ? own : NULL;
}

static void go_by(struct mmu *mmu, const struct mmu_memory *memory, const struct mmu_ram *ram) {
    mmu->context.memory = memory;
    mmu->context.ram = ram;
    mmu->context.late = 0;
}

/* The wait for an exchange's answer is head_exchange's: what is read meanwhile is read after it. */
static uint32_t head_latency(void *ctx, pa_t pa, bool exchange, uint64_t cycle) {
    struct mmu *mmu = ctx;
    struct ahead *ahead = &mmu->ahead;
    const struct mmu_memory *memory = &mmu->config.memory;
    if (ahead->count == 0 && !exchange && !is_busy(ahead)) {
        ahead->covered = false;
        go_by(mmu, memory, &mmu->ram);
        return memory->latency(memory->ctx, pa, exchange, cycle);
    }
    pass_until(mmu, cycle);
    const struct ahead_walker *own = ahead->count ? find_covered(mmu, pa, exchange) : NULL;
    ahead->covered = own != NULL;
    uint32_t latency = own ? 0 : memory->latency(memory->ctx, pa, exchange, cycle);
    pass_cycle(mmu, false, true);
    if (own) {
        ahead->value = own->entry[ahead->level].value;
        wait_for_entry(mmu, &own->entry[ahead->level].evaluated);
    } else {
        ahead->due = cycle + latency;
        if (exchange) { return latency; }
        wait_for_answer(mmu);
    }
    return (uint32_t)(ahead->now - cycle - 1);
}

static uint64_t head_read(void *ctx, pa_t pa, unsigned bytes) {
    struct mmu *mmu = ctx;
    const struct mmu_memory *memory = &mmu->config.memory;
    return mmu->ahead.covered ? mmu->ahead.value : memory->read(memory->ctx, pa, bytes);
}

static uint64_t head_exchange(void *ctx, pa_t pa, unsigned bytes, uint64_t expected, uint64_t desired) {
    struct mmu *mmu = ctx;
    struct ahead *ahead = &mmu->ahead;
    const struct mmu_memory *memory = &mmu->config.memory;
    uint64_t held = memory->compare_exchange(memory->ctx, pa, bytes, expected, desired);
    uint64_t due = ahead->due;
    wait_for_answer(mmu);
    mmu->context.late = ahead->now - (due + 1);
    return held;
}

/* ---- a batch ---- */

void ahead_begin(struct mmu *mmu, const struct mmu_request *requests, const struct mmu_result *results, size_t count) {
    static const struct mmu_ram none = {0};
    struct ahead *ahead = &mmu->ahead;
    uint64_t cycle = mmu->shortcuts.cycle;
    ahead->memory =
        (struct mmu_memory){.ctx = mmu, .read = head_read, .compare_exchange = head_exchange, .latency = head_latency};
    ahead->requests = requests;
    ahead->results = results;
    ahead->count = count;
    ahead->next = 0;
    ahead->walks = false;
    ahead->due = NEVER;
    for (size_t i = 0; i < AHEAD_QUEUE; i++) { ahead->taken[i] = cycle + i; }
    pass_until(mmu, cycle + 1);
    go_by(mmu, &ahead->memory, &none);
}

void ahead_request(struct mmu *mmu, size_t number) {
    struct ahead *ahead = &mmu->ahead;
    ahead->head = number;
    ahead->left = 0;
    if (ahead->next <= number) { ahead->next = number + 1; }
}

void ahead_answered(struct mmu *mmu, const struct mmu_result *result) {
    struct ahead *ahead = &mmu->ahead;
    pass_until(mmu, result->done);
    for (unsigned i = 0; i < AHEAD_WALKERS; i++) {
        struct ahead_walker *walker = &ahead->walker[i];
        if (walker->request == ahead->head || result->vector != MMU_VECTOR_NONE) { forget(walker, result->done); }
    }
    ahead->walks = false;
    pass_cycle(mmu, false, false);
    /* There is room for one more. */
    uint64_t before = ahead->taken[(ahead->head + AHEAD_QUEUE - 1) % AHEAD_QUEUE];
    ahead->taken[ahead->head % AHEAD_QUEUE] = result->done > before ? result->done : before + 1;
}

/* Answers that are still to come may hold up those to single requests. */
void ahead_end(struct mmu *mmu) {
    mmu->ahead.count = 0;
    if (!is_busy(&mmu->ahead)) { go_by(mmu, &mmu->config.memory, &mmu->ram); }
}
