/* One captured process's address space, folded region by region onto a 32-bit NT user space: the captured (source)
 * ranges, and the NT allocations and views (areas) that hold them. */
#ifndef NTMMU_TRACE_LACKEY_SPACE_H
#define NTMMU_TRACE_LACKEY_SPACE_H

#include "ntmmu/event.h"

#define FOLD_GRANULE ((va_t)0x10000)
#define FOLD_BOTTOM  ((va_t)0x10000)
#define FOLD_IMAGE   ((va_t)0x400000)   /* the main image, then heap and stack as first fit puts them */
#define FOLD_TOP     ((va_t)0x7F000000) /* libraries grow down from here; PEB, TEBs and shared data lie above */

enum area_kind { AREA_PRIVATE, AREA_IMAGE, AREA_VIEW, AREA_SHARED_VIEW };

/* State of one page of an area: a protection, or */
enum { PAGE_RESERVED = 0, PAGE_GONE = 0xFF, PAGE_ANONYMOUS = 0x80 /* flag: page of an image that no file backs */ };

struct area {
    va_t base, size; /* size in whole pages */
    uint8_t kind;    /* enum area_kind */
    bool live;
    uint8_t *page; /* size >> PAGE_SHIFT states */
};

struct region {
    uint64_t start, end; /* source addresses, page-aligned; end: first behind */
    va_t to;             /* where start went */
    uint32_t area;
};

struct space {
    struct area *area;
    uint32_t areas, area_room;
    struct region *region; /* sorted by start, without overlap */
    uint32_t regions, region_room;
    uint32_t last[2]; /* the regions found last: fetches, data */
};

void space_free(struct space *space);
bool space_copy(struct space *to, const struct space *from);

enum fold_where { FOLD_LOW, FOLD_AT_IMAGE, FOLD_HIGH };
/* A free place for SIZE bytes: first fit upwards from the bottom (from FOLD_IMAGE), or downwards from the top. 0: none.
 */
va_t space_place(const struct space *space, va_t size, enum fold_where where);
/* A new area at BASE whose pages all have STATE; its number, UINT32_MAX if out of memory. */
uint32_t space_add_area(struct space *space, va_t base, va_t size, enum area_kind kind, uint8_t state);
/* Source range [start, end) goes to TO, in AREA. It must be free. false: out of memory. */
bool space_add_region(struct space *space, uint64_t start, uint64_t end, va_t to, uint32_t area);
/* The first region that ends behind ADDRESS; space->regions if none. */
uint32_t space_find_from(const struct space *space, uint64_t address);
/* Takes [start, end) out of region INDEX, of which it must be a part. false: out of memory. */
bool space_cut(struct space *space, uint32_t index, uint64_t start, uint64_t end);

/* The region of ADDRESS, NULL if none. side: 0 fetches, 1 data. */
static inline const struct region *space_find(struct space *space, uint64_t address, unsigned side) {
    uint32_t i = space->last[side];
    if (i >= space->regions || address < space->region[i].start || address >= space->region[i].end) {
        i = space_find_from(space, address);
        if (i == space->regions || address < space->region[i].start) { return NULL; }
        space->last[side] = i;
    }
    return &space->region[i];
}

#endif
