/* The cases of the matrix: see cases.h. */
#include "cases.h"

#define BIT(n) ((uint64_t)1 << (n))

const struct family families[] = {
    {2, 2, 1, 1, "PDE and PTE"},
    {2, 2, 2, 2, "PDE of a 4 MB page"},
    {3, 2, 1, 1, "PDE and PTE"},
    {3, 2, 2, 2, "PDE of a 2 MB page"},
    {3, 3, 3, 1, "PDPTE register"},
    {4, 2, 1, 1, "PDE and PTE"},
    {4, 3, 2, 2, "PDPTE and PDE of a 2 MB page"},
    {4, 4, 3, 3, "PML4E and PDPTE of a 1 GB page"},
    {4, 3, 3, 1, "PDPTE above a 4 KB page"},
    {4, 4, 4, 1, "PML4E above a 4 KB page"},
    {4, 4, 4, 2, "PML4E above a 2 MB page"},
};
const unsigned family_count = sizeof families / sizeof *families;

static unsigned shift_of(unsigned levels, unsigned level) { return 12 + (level - 1) * (levels == 2 ? 10 : 9); }

/* ---- which flags an entry can have, and which pairs are worth a case ---- */

static bool has_reserved_bits(const struct family *family, unsigned level) {
    return family->levels > 2 || (level == LEVEL_PDE && family->leaf == LEVEL_PDE);
}

/* Whether an entry of this level can have these flags and still stand above, or be, the family's leaf. */
static bool possible(const struct family *family, unsigned level, unsigned flags) {
    if ((flags & FLAG_NX) && family->levels == 2) { return false; }
    if ((flags & FLAG_RESERVED) && !has_reserved_bits(family, level)) { return false; }
    if (level == LEVEL_PTE) { return true; } /* of a CPU without PAT, its bit is a reserved one */
    if (level == family->leaf) { return flags & FLAG_LARGE; }
    /* a large page above the leaf; but PS of a PML4E, and of a PAE PDPTE, is a reserved bit like others */
    return !(flags & FLAG_LARGE) || level == LEVEL_PML4E || (family->levels == 3 && level == LEVEL_PDPTE);
}

/* An entry that ends the walk is tried with all its flags, but with the rights of the other entry alone: its other
 * flags are then not even looked at. */
static bool worth(unsigned high, unsigned low) {
    const unsigned ends = FLAG_PRESENT | FLAG_RESERVED;
    const unsigned rights = FLAG_PRESENT | FLAG_WRITABLE | FLAG_USER;
    if ((high & ends) != FLAG_PRESENT) { return (low & ~FLAG_LARGE) == 0 || (low & ~FLAG_LARGE) == FLAGS_PERMISSIVE; }
    if ((low & ends) != FLAG_PRESENT) { return (high & ~(unsigned)FLAG_ACCESSED & ~rights) == 0; }
    return true;
}

unsigned family_pairs(const struct family *family, struct pair out[PAIRS_MAX]) {
    unsigned count = 0;
    for (unsigned high = 0; high < FLAG_VALUES; high++) {
        if (!possible(family, family->high, high)) { continue; }
        if (family->high == family->low) {
            out[count++] = (struct pair){(uint8_t)high, (uint8_t)high};
            continue;
        }
        for (unsigned low = 0; low < FLAG_VALUES; low++) {
            if (!possible(family, family->low, low) || !worth(high, low)) { continue; }
            out[count++] = (struct pair){(uint8_t)high, (uint8_t)low};
        }
    }
    return count;
}

/* ---- environments ---- */

/* A table's page number ends in its level: no two tables are one page. */
static uint64_t table_address(uint64_t entry, unsigned level) {
    return (entry & ~(uint64_t)0x7000 & ~(uint64_t)PAGE_MASK) | (uint64_t)level << PAGE_SHIFT;
}

/* A value for the PAT register in which bit 2 of the index always matters (in the reset value it never does). */
#define EVERY_TYPE ((uint64_t)0x0600050100070406)

/* Each environment has a linear address of its own. */
bool case_environment(struct expect_input *in, const struct family *family, const struct mmu_preset *preset,
                      unsigned number) {
    static const struct {
        uint64_t cr0, cr4, efer;
        unsigned ac, feature;
    } bits[] = {
        {CR0_WP, 0, 0, 0, 0}, {0, CR4_SMEP, 0, 0, CPU_SMEP}, {0, CR4_SMAP, 0, 0, CPU_SMAP}, {0, 0, EFER_NXE, 0, CPU_NX},
        {0, 0, 0, 1, 0},      {0, CR4_PSE, 0, 0, CPU_PSE}};
    const unsigned needed = family->levels == 4 ? CPU_PAE | CPU_LONG : family->levels == 3 ? CPU_PAE : 0;
    *in = (struct expect_input){
        .levels = family->levels,
        .physical_bits = preset->physical_bits,
        .features = preset->features,
        .cr0 = CR0_PE | CR0_PG,
        .cr4 = (family->levels > 2 ? CR4_PAE : 0) | (preset->features & CPU_PGE ? CR4_PGE : 0),
        .efer = family->levels == 4 ? EFER_LME : 0,
        .pat = preset->features & CPU_PAT ? EVERY_TYPE : PAT_RESET,
    };
    if ((preset->features & needed) != needed) { return false; }
    if (family->leaf == LEVEL_PDE && family->levels == 2 && !(preset->features & CPU_PSE)) { return false; }
    if (family->levels > 2 && number >= ENVIRONMENTS / 2) { return false; } /* CR4.PSE has no say there */
    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++) {
        if (!(number & 1u << i)) { continue; }
        if (bits[i].feature & ~preset->features) { return false; }
        in->cr0 |= bits[i].cr0;
        in->cr4 |= bits[i].cr4;
        in->efer |= bits[i].efer;
        in->ac |= bits[i].ac;
    }
    in->va = mix64(number + 1);
    in->va = family->levels == 4 ? (va_t)((int64_t)(in->va << 16) >> 16) : in->va & 0xFFFFFFFF;
    const uint64_t root = mix64(in->va) & (BIT(family->levels == 4 ? in->physical_bits : 32) - 1);
    in->cr3 = table_address(root, family->levels);
    return true;
}

/* ---- entries ---- */

pa_t case_table(const struct expect_input *in, unsigned level) {
    return level == in->levels ? in->cr3 : in->entry[level + 1] & (BIT(in->physical_bits) - 1) & ~(uint64_t)PAGE_MASK;
}

/* One of the bits that are reserved in this entry, whatever EFER.NXE is. */
static uint64_t a_reserved_bit(const struct expect_input *in, unsigned level, bool large, uint64_t hash) {
    uint64_t bits = 0;
    if (in->levels == 2) {
        unsigned first = in->features & CPU_PSE36 ? (in->physical_bits < 40 ? in->physical_bits : 40) - 19 : 13;
        bits = BIT(22) - BIT(first);
    } else {
        bits = BIT(in->levels == 3 ? 63 : 52) - BIT(in->physical_bits);
        if (in->levels == 3 && level == LEVEL_PDPTE) { bits |= 0x1E0 | 0x6; }
        if (large) { bits |= BIT(shift_of(in->levels, level)) - BIT(13); }
    }
    if (large && !(in->features & CPU_PAT)) { bits |= 0x1000; }
    unsigned count = (unsigned)__builtin_popcountll(bits);
    for (unsigned skip = count ? (unsigned)(hash % count) : 0; skip; skip--) { bits &= bits - 1; }
    return bits & -bits;
}

/* Bits that no walk looks at, at random; G among them, PWT, PCD and, in a large page, PAT. */
static uint64_t ignored_bits(const struct expect_input *in, unsigned level, bool large, uint64_t hash) {
    uint64_t bits = 0xE00 | 0x18;
    if (in->levels == 4) { bits |= (uint64_t)0x7FF << 52; }
    if (in->levels != 3 || level != LEVEL_PDPTE) { bits |= 0x100; }
    if (large && (in->features & CPU_PAT)) { bits |= 0x1000; }
    return bits & hash;
}

static uint64_t frame_bits(const struct expect_input *in, unsigned level, bool large, uint64_t hash) {
    const uint64_t address = BIT(in->physical_bits) - 1;
    if (!large) { return hash & address & 0x000FFFFFFFFFF000 & (in->levels == 2 ? 0xFFFFFFFF : ~(uint64_t)0); }
    if (in->levels > 2) { return hash & address & ~(BIT(shift_of(in->levels, level)) - 1); }
    const unsigned above = in->features & CPU_PSE36 ? (in->physical_bits < 40 ? in->physical_bits : 40) - 32 : 0;
    return (hash & 0xFFC00000) | (hash & (BIT(above) - 1) << 13);
}

static uint64_t entry_of(const struct expect_input *in, const struct family *family, unsigned level, unsigned flags,
                         uint64_t hash) {
    const bool large = level == family->leaf && level > LEVEL_PTE, table = level > family->leaf;
    uint64_t entry = (flags & FLAG_PRESENT ? 1 : 0) | (flags & FLAG_WRITABLE ? 2 : 0) | (flags & FLAG_USER ? 4 : 0) |
                     (flags & FLAG_ACCESSED ? 0x20 : 0) | (flags & FLAG_DIRTY ? 0x40 : 0) |
                     (flags & FLAG_LARGE ? 0x80 : 0) | (flags & FLAG_NX ? BIT(63) : 0);
    entry |= ignored_bits(in, level, large, mix64(hash + level)) | frame_bits(in, level, large, mix64(hash ^ level));
    if (table) { entry = table_address(entry, level - 1) | (entry & PAGE_MASK); }
    if (flags & FLAG_RESERVED) { entry |= a_reserved_bit(in, level, large, hash >> 8); }
    return in->levels == 2 ? entry & 0xFFFFFFFF : entry;
}

void case_entries(struct expect_input *in, const struct family *family, struct pair pair, uint64_t hash) {
    for (unsigned level = in->levels; level >= LEVEL_PTE; level--) {
        unsigned flags = level == family->high ? pair.high : level == family->low ? pair.low : FLAGS_PERMISSIVE;
        if (level == family->leaf && level > LEVEL_PTE) { flags |= FLAG_LARGE; }
        if (in->levels == 3 && level == LEVEL_PDPTE) {
            /* A register, of which all rights are reserved. Unless it is what varies, an environment has one. */
            const bool varies = family->high == LEVEL_PDPTE;
            in->entry[level] = entry_of(in, family, level, varies ? flags : FLAG_PRESENT, varies ? hash : in->cr3);
            continue;
        }
        in->entry[level] = entry_of(in, family, level, flags, hash);
    }
}

void case_another_leaf(struct expect_input *in, const struct family *family, uint64_t hash) {
    unsigned flags = hash & (FLAG_WRITABLE | FLAG_USER | FLAG_ACCESSED | FLAG_DIRTY | (in->levels > 2 ? FLAG_NX : 0));
    flags |= FLAG_PRESENT | (family->leaf > LEVEL_PTE ? FLAG_LARGE : 0);
    in->entry[family->leaf] = entry_of(in, family, family->leaf, flags, mix64(hash));
}

va_t case_neighbour(const struct family *family, va_t va) { return va ^ BIT(shift_of(family->levels, family->leaf)); }

void case_access(struct expect_input *in, unsigned kind, uint64_t hash) {
    static const struct {
        uint8_t mode, type;
    } kinds[ACCESS_KINDS] = {{MMU_SUPERVISOR, MMU_READ},   {MMU_SUPERVISOR, MMU_WRITE}, {MMU_SUPERVISOR, MMU_FETCH},
                             {MMU_SUPERVISOR, MMU_MODIFY}, {MMU_USER, MMU_READ},        {MMU_USER, MMU_WRITE},
                             {MMU_USER, MMU_FETCH},        {MMU_USER, MMU_MODIFY},      {MMU_IMPLICIT, MMU_READ},
                             {MMU_IMPLICIT, MMU_WRITE}};
    in->mode = kinds[kind].mode;
    in->type = kinds[kind].type;
    in->va = (in->va & ~(va_t)PAGE_MASK) | (hash >> 16 & PAGE_MASK & ~(va_t)7);
}
