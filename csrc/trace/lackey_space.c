/* See lackey_space.h. */
#include "lackey_space.h"

#include <stdlib.h>
#include <string.h>

static va_t granules(va_t size) { return (size + FOLD_GRANULE - 1) & ~(FOLD_GRANULE - 1); }

void space_free(struct space *s) {
    for (uint32_t i = 0; i < s->areas; i++) { free(s->area[i].page); }
    free(s->area);
    free(s->region);
    *s = (struct space){0};
}

bool space_copy(struct space *to, const struct space *from) {
    *to = (struct space){0};
    to->area = calloc(from->areas + 1, sizeof *to->area);
    to->region = calloc(from->regions + 1, sizeof *to->region);
    if (!to->area || !to->region) { return false; }
    to->area_room = from->areas + 1;
    to->region_room = from->regions + 1;
    for (; to->areas < from->areas; to->areas++) {
        struct area *a = &to->area[to->areas];
        *a = from->area[to->areas];
        a->page = NULL;
        if (!a->live) { continue; }
        a->page = malloc(a->size >> PAGE_SHIFT);
        if (!a->page) { return false; }
        memcpy(a->page, from->area[to->areas].page, a->size >> PAGE_SHIFT);
    }
    if (from->regions) { memcpy(to->region, from->region, from->regions * sizeof *to->region); }
    to->regions = from->regions;
    return true;
}

/* An area that overlaps [base, base + size), NULL if none. */
static const struct area *conflict(const struct space *s, va_t base, va_t size) {
    for (uint32_t i = 0; i < s->areas; i++) {
        const struct area *a = &s->area[i];
        if (a->live && base < a->base + granules(a->size) && a->base < base + size) { return a; }
    }
    return NULL;
}

va_t space_place(const struct space *s, va_t size, enum fold_where where) {
    size = granules(size);
    if (size == 0 || size > FOLD_TOP - FOLD_BOTTOM) { return 0; }
    const struct area *other;
    if (where == FOLD_HIGH) {
        va_t base = FOLD_TOP - size;
        while ((other = conflict(s, base, size)) != NULL) {
            if (other->base < FOLD_BOTTOM + size) { return 0; }
            base = other->base - size;
        }
        return base;
    }
    va_t base = where == FOLD_AT_IMAGE ? FOLD_IMAGE : FOLD_BOTTOM;
    while ((other = conflict(s, base, size)) != NULL) { base = other->base + granules(other->size); }
    return base + size <= FOLD_TOP ? base : 0;
}

uint32_t space_add_area(struct space *s, va_t base, va_t size, enum area_kind kind, uint8_t state) {
    uint32_t slot = 0;
    while (slot < s->areas && s->area[slot].live) { slot++; }
    if (slot == s->area_room) {
        uint32_t room = s->area_room ? 2 * s->area_room : 64;
        struct area *more = realloc(s->area, room * sizeof *more);
        if (!more) { return UINT32_MAX; }
        s->area = more;
        s->area_room = room;
    }
    uint8_t *page = malloc(size >> PAGE_SHIFT);
    if (!page) { return UINT32_MAX; }
    memset(page, state, size >> PAGE_SHIFT);
    if (slot == s->areas) {
        s->areas++;
    } else {
        free(s->area[slot].page);
    }
    s->area[slot] = (struct area){base, size, (uint8_t)kind, true, page};
    return slot;
}

static bool insert(struct space *s, uint32_t at, struct region region) {
    if (s->regions == s->region_room) {
        uint32_t room = s->region_room ? 2 * s->region_room : 64;
        struct region *more = realloc(s->region, room * sizeof *more);
        if (!more) { return false; }
        s->region = more;
        s->region_room = room;
    }
    memmove(s->region + at + 1, s->region + at, (s->regions - at) * sizeof *s->region);
    s->region[at] = region;
    s->regions++;
    return true;
}

uint32_t space_find_from(const struct space *s, uint64_t address) {
    uint32_t low = 0, high = s->regions;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->region[middle].end > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

bool space_add_region(struct space *s, uint64_t start, uint64_t end, va_t to, uint32_t area) {
    return insert(s, space_find_from(s, start), (struct region){start, end, to, area});
}

bool space_cut(struct space *s, uint32_t index, uint64_t start, uint64_t end) {
    struct region *r = &s->region[index];
    struct region behind = {end, r->end, r->to + (end - r->start), r->area};
    bool has_before = start > r->start, has_behind = end < r->end;
    if (has_before) {
        r->end = start;
        return !has_behind || insert(s, index + 1, behind);
    }
    if (has_behind) {
        *r = behind;
        return true;
    }
    memmove(r, r + 1, (s->regions - index - 1) * sizeof *r);
    s->regions--;
    return true;
}
