/* Working-set list entries, encode and decode: NT-31. The one place that knows the two layouts; kernel, audit,
 * expectations and dumps use it.
 *
 *            NT4                 NT5
 * 001, 002, 004: valid, locked in the working set, locked in memory
 * protection 1F0 (bits 4..8)     0F8 (bits 3..7)
 * same       200                 100     the prototype's protection holds
 * direct     400                 200     not in the hash: PFN.u1 is the index
 * age        -                   C00     0..3 */
#ifndef NTMMU_WSLE_H
#define NTMMU_WSLE_H

#include "ntmmu/address_space.h"
#include "ntmmu/os.h"

enum { WSLE_VALID = 0x001, WSLE_LOCKED_IN_WS = 0x002, WSLE_LOCKED_IN_MEMORY = 0x004 };
#define WSLE_LOCKED    ((uint32_t)(WSLE_LOCKED_IN_WS | WSLE_LOCKED_IN_MEMORY))
#define WSLE_AGE_SHIFT 10
#define WSLE_AGE_MAX   3u
#define WSLE_END       0xFFFFFFF0u /* the free chain's last entry */

/* Fields of the list, NT-30: offsets from WorkingSetList. */
enum {
    WSL_QUOTA = 0x00,
    WSL_FIRST_FREE = 0x04,
    WSL_FIRST_DYNAMIC = 0x08,
    WSL_LAST = 0x0C,
    WSL_NEXT_SLOT = 0x10,
    WSL_WSLE = 0x14,
    WSL_COMMITTED_PAGE_TABLES = 0x18,
    WSL_LAST_INITIALIZED = 0x1C,
    WSL_NON_DIRECT = 0x20,
    WSL_HASH = 0x24,
    WSL_HASH_SIZE = 0x28,
    WSL_USED_PTES = 0x30 /* a word for each user page table, NT-37 */,
    WSL_PAGE_TABLE_BITMAP = WSL_USED_PTES + MM_USER_PDES * 2 /* a bit for each */,
    MM_WSLE_OFFSET = WSL_PAGE_TABLE_BITMAP + MM_USER_PDES / 8 /* WSLE table behind the list */
};

/* Behind the entries is their hash, NT-32. A list that says it had more of either was written over. */
#define WSLES_MAX          0x7C000u
#define WSHASH_OFFSET      0x1F1000u /* from the list: C06F3000 in a process */
#define WSHASH_SLOT_BYTES  8u
#define WSHASH_PROCESS_MAX (MI_PAE ? 0x31A00u : 0x21A00u) /* slots, up to C0800000, C0C00000 */
#define WSHASH_SYSTEM_MAX  0x41E00u                       /* up to C1000000 */

static inline bool wsle_is_nt5(enum os_profile profile) { return profile != OS_NT4; }
static inline unsigned wsle_protection_shift(enum os_profile profile) { return wsle_is_nt5(profile) ? 3 : 4; }
static inline uint32_t wsle_same_bit(enum os_profile profile) { return wsle_is_nt5(profile) ? 0x100 : 0x200; }
static inline uint32_t wsle_direct_bit(enum os_profile profile) { return wsle_is_nt5(profile) ? 0x200 : 0x400; }

/* A private page; a further mapper of a shared page has neither bit of `direct`, a first one has. */
static inline uint32_t wsle_private(enum os_profile profile, va_t va) {
    return (uint32_t)page_of(va) | WSLE_VALID | wsle_direct_bit(profile);
}
/* One of the manager's own, never evicted. */
static inline uint32_t wsle_manager(enum os_profile profile, va_t va) {
    return wsle_private(profile, va) | WSLE_LOCKED_IN_WS;
}
/* A shared page's protection of its own; 0: the prototype's. */
static inline uint32_t wsle_protection_bits(enum os_profile profile, unsigned protection) {
    return protection ? protection << wsle_protection_shift(profile) : wsle_same_bit(profile);
}
static inline uint32_t wsle_shared(enum os_profile profile, va_t va, unsigned protection, bool first) {
    return (uint32_t)page_of(va) | WSLE_VALID | wsle_protection_bits(profile, protection) |
           (first ? wsle_direct_bit(profile) : 0);
}
static inline uint32_t wsle_free(uint32_t next) { return next << 4; }
static inline uint32_t wsle_next_free(uint32_t entry) { return entry >> 4; }

static inline bool wsle_is_direct(enum os_profile profile, uint32_t entry) { return entry & wsle_direct_bit(profile); }
static inline bool wsle_is_same(enum os_profile profile, uint32_t entry) { return entry & wsle_same_bit(profile); }
static inline unsigned wsle_protection(enum os_profile profile, uint32_t entry) {
    return entry >> wsle_protection_shift(profile) & 0x1F;
}
/* Mapped through a prototype PTE: every such entry says something of its protection, or is not direct. */
static inline bool wsle_is_shared(enum os_profile profile, uint32_t entry) {
    return !wsle_is_direct(profile, entry) || wsle_is_same(profile, entry) || wsle_protection(profile, entry);
}
static inline uint32_t wsle_with_protection(enum os_profile profile, uint32_t entry, unsigned protection) {
    uint32_t mask = 0x1Fu << wsle_protection_shift(profile) | wsle_same_bit(profile);
    return (entry & ~mask) | wsle_protection_bits(profile, protection);
}
static inline unsigned wsle_age(enum os_profile profile, uint32_t entry) {
    return wsle_is_nt5(profile) ? entry >> WSLE_AGE_SHIFT & WSLE_AGE_MAX : 0;
}
static inline uint32_t wsle_with_age(uint32_t entry, unsigned age) {
    return (entry & ~(WSLE_AGE_MAX << WSLE_AGE_SHIFT)) | age << WSLE_AGE_SHIFT;
}

#endif
