/* Named types for what the simulated machine's hardware counts in. A virtual address, a physical address and a
 * page-table entry are wider here than 32-bit paging needs, so that PAE and 4-level paging need no other types. */
#ifndef NTMMU_TYPES_H
#define NTMMU_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t va_t;  /* linear (virtual) address */
typedef uint64_t pa_t;  /* physical address */
typedef uint64_t pte_t; /* page-table entry of any level, any format */
typedef uint64_t pfn_t; /* page frame number: pa >> PAGE_SHIFT */
typedef uint64_t vpn_t; /* virtual page number: va >> PAGE_SHIFT */

#define PAGE_SHIFT 12
#define PAGE_SIZE  ((va_t)1 << PAGE_SHIFT)
#define PAGE_MASK  (PAGE_SIZE - 1)

static inline va_t page_of(va_t va) { return va & ~PAGE_MASK; }

/* A well-mixed 64-bit hash (the finaliser of splitmix64); the trace values and file contents are made with it. */
static inline uint64_t mix64(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

#endif
