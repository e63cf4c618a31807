/* Idealised memory: processes, regions, sections, sharing, copy-on-write. It has no tables, TLB, frames or disk; a page
 * is made when it is first looked at, and pages are shared by reference after a fork until somebody writes. */
#ifndef NTMMU_CHECK_SHADOW_MEMORY_H
#define NTMMU_CHECK_SHADOW_MEMORY_H

#include "ntmmu/event.h"

#define IDEAL_WORDS (PAGE_SIZE / 4)

struct ideal_page {
    uint32_t references;
    bool common;       /* belongs to a section or is the page of zeros: a private write copies it */
    bool lost;         /* it never gets bytes again */
    pfn_t frame;       /* where the machine last accessed it; 0 = never */
    uint64_t seen;     /* and when: the caller's to count */
    uint8_t *bytes;    /* PAGE_SIZE; NULL: nothing of it is known */
    uint64_t *unknown; /* with bytes, a bit for each 4-byte word whose contents nobody knows; NULL: all known */
};

struct ideal;
struct section;

struct ideal *ideal_create(void);
void ideal_destroy(struct ideal *ideal);

void ideal_process_create(struct ideal *ideal, uint32_t pid);
void ideal_process_exit(struct ideal *ideal, uint32_t pid);
void ideal_fork(struct ideal *ideal, uint32_t child, uint32_t parent);
void ideal_exec(struct ideal *ideal, uint32_t pid); /* the process keeps its id and loses its regions */

/* type: enum event_section. size in bytes, 0 = not recorded. */
void ideal_section(struct ideal *ideal, uint32_t sid, unsigned type, uint64_t size, const char *path);
void ideal_subsection(struct ideal *ideal, uint32_t sid, uint64_t offset, uint64_t size, uint64_t file_offset,
                      bool anonymous, unsigned protection);
/* A file is known by the number of the first section that was to be made of it, open or not. */
void ideal_open_file(struct ideal *ideal, uint32_t sid, unsigned type, uint64_t size, const char *path);
/* A section, with raw arguments, of the file of section FILE or of that number; 0: of none. */
void ideal_section_of_file(struct ideal *ideal, uint32_t sid, uint32_t file, bool image, uint64_t size);
void ideal_section_close(struct ideal *ideal, uint32_t sid);
/* The open section of that number, or NULL; a call that waits keeps it. */
struct section *ideal_find_section(struct ideal *ideal, uint32_t sid);
struct section *ideal_hold_section(struct section *section);
void ideal_drop_section(struct section *section);

void ideal_reserve(struct ideal *ideal, uint32_t pid, va_t base, va_t size);
/* Contents are lost, the region stays: decommit. */
void ideal_discard(struct ideal *ideal, uint32_t pid, va_t base, va_t size);
/* Contents may have been lost: MEM_RESET. */
void ideal_forget(struct ideal *ideal, uint32_t pid, va_t base, va_t size);
/* Words were stored whose values are not known. exact: all of them, and just now; otherwise it is not known either
 * whether, or when, the process got its own copy of a section's page. */
void ideal_forget_words(struct ideal *ideal, uint32_t pid, va_t base, va_t size, bool exact);
/* One was stored into the page that is at va, past the process: for all who see that page. */
void ideal_forget_behind(struct ideal *ideal, uint32_t pid, va_t va);
/* size 0: the whole region that holds base. */
void ideal_release(struct ideal *ideal, uint32_t pid, va_t base, va_t size);
void ideal_map(struct ideal *ideal, uint32_t pid, struct section *section, va_t base, va_t size, uint64_t offset,
               unsigned protection, bool share);
void ideal_unmap(struct ideal *ideal, uint32_t pid, va_t base);
void ideal_protect(struct ideal *ideal, uint32_t pid, va_t base, va_t size, unsigned protection);
void ideal_move(struct ideal *ideal, uint32_t pid, va_t from, va_t to, va_t size);
/* Extent of the region that holds va; false if there is none. */
bool ideal_region(struct ideal *ideal, uint32_t pid, va_t va, va_t *start, va_t *end);

/* Where the next region begins; va: there is one. */
va_t ideal_gap_end(struct ideal *ideal, uint32_t pid, va_t va);

/* The page that a load or a store at va sees; a store gets one that only those see who shall see it. NULL: no region
 * there. */
struct ideal_page *ideal_load_page(struct ideal *ideal, uint32_t pid, va_t va);
struct ideal_page *ideal_store_page(struct ideal *ideal, uint32_t pid, va_t va);
/* All pages last accessed in frames first..last: calls visit for each. Slow. */
void ideal_pages_in_frames(struct ideal *ideal, pfn_t first, pfn_t last, void (*visit)(void *ctx, struct ideal_page *),
                           void *ctx);

void ideal_set_unknown(struct ideal_page *page, unsigned word);
/* The page gets bytes, if it has none, to be stored into; false: it is lost, and is not. */
bool ideal_give_bytes(struct ideal_page *page);
/* All bytes of a word were stored. */
void ideal_set_known(struct ideal_page *page, unsigned word);
static inline bool ideal_is_unknown(const struct ideal_page *page, unsigned word) {
    return !page->bytes || (page->unknown && (page->unknown[word >> 6] >> (word & 63) & 1));
}

#endif
