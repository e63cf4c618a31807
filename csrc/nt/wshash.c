/* The hash of a working-set list's non-direct entries: NT-32. It lies behind the largest possible entry table. */
#include "mi.h"

#define WSHASH_PAGE_ENTRIES 0x200u

struct mmwsle_hash {
    uint32_t Key, Index;
};

_Static_assert(sizeof(struct mmwsle_hash) == WSHASH_SLOT_BYTES, "an entry of the hash is a key and an index");
_Static_assert(MM_WORKING_SET_LIST + WSHASH_OFFSET + WSHASH_PROCESS_MAX * WSHASH_SLOT_BYTES - 1 == MM_PROCESS_SPACE_END,
               "the hash of a process ends with its hyperspace");

static uint32_t MiHashSizeMax(const struct mmsupport *vm) {
    return vm->Process ? WSHASH_PROCESS_MAX : WSHASH_SYSTEM_MAX;
}

va_t MiHashAddress(const struct mmsupport *vm) { return vm->HashTableSize ? vm->WorkingSetList + WSHASH_OFFSET : 0; }

static struct mmwsle_hash MiReadHash(struct os *os, const struct mmwsl *list, uint32_t slot) {
    struct mmwsle_hash entry;
    os->M->ops->read(os->M, list->HashTable + (va_t)slot * sizeof entry, &entry, sizeof entry);
    return entry;
}

static void MiWriteHash(struct os *os, const struct mmwsl *list, uint32_t slot, struct mmwsle_hash entry) {
    os->M->ops->write(os->M, list->HashTable + (va_t)slot * sizeof entry, &entry, sizeof entry);
}

static uint32_t MiHashStart(const struct mmwsl *list, va_t va) {
    return (uint32_t)(page_of(va) >> 10) % (list->HashTableSize - 1);
}

static uint32_t MiHashNext(const struct mmwsl *list, uint32_t slot) {
    return slot + 1 == list->HashTableSize ? 0 : slot + 1;
}

/* The slot that holds va, or the empty one at which the search ends; a table without either ends the machine. */
static uint32_t MiHashProbe(struct os *os, const struct mmsupport *vm, const struct mmwsl *list, va_t va,
                            struct mmwsle_hash *found) {
    if (list->HashTableSize <= 1) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41884, va, va, vm->WorkingSetList); }
    uint32_t slot = MiHashStart(list, va), wraps = 0;
    for (;;) {
        *found = MiReadHash(os, list, slot);
        if (found->Key == 0 || found->Key == (uint32_t)va) { return slot; }
        slot = MiHashNext(list, slot);
        if (slot == 0 && ++wraps == 2) {
            KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41884, va, va, vm->WorkingSetList);
        }
    }
}

bool MiHashLookup(struct os *os, const struct mmsupport *vm, const struct mmwsl *list, va_t va, uint32_t *index) {
    struct mmwsle_hash entry;
    MiHashProbe(os, vm, list, va, &entry);
    *index = entry.Index;
    return entry.Key != 0;
}

void MiHashInsert(struct os *os, const struct mmsupport *vm, struct mmwsl *list, va_t va, uint32_t index) {
    struct mmwsle_hash entry;
    uint32_t slot = MiHashProbe(os, vm, list, va, &entry);
    MiWriteHash(os, list, slot, (struct mmwsle_hash){(uint32_t)va, index});
}

static uint32_t MiHashDistance(const struct mmwsl *list, uint32_t from, uint32_t to) {
    return to >= from ? to - from : to + list->HashTableSize - from;
}

/* Probing stops at an empty slot: of what follows the cleared one, each entry whose search would meet it moves there
 * and leaves its own place empty. */
void MiHashRemove(struct os *os, const struct mmsupport *vm, struct mmwsl *list, va_t va) {
    const struct mmwsle_hash empty = {0, 0};
    struct mmwsle_hash entry;
    uint32_t slot = MiHashProbe(os, vm, list, va, &entry);
    if (entry.Key == 0) { KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41884, va, va, vm->WorkingSetList); }
    MiWriteHash(os, list, slot, empty);
    uint32_t hole = slot, left = list->HashTableSize;
    for (slot = MiHashNext(list, slot);
         MI_MUTANT(174, (entry = MiReadHash(os, list, slot)).Key, 0u) != 0 && left-- != 0;
         slot = MiHashNext(list, slot)) {
        if (MiHashDistance(list, MiHashStart(list, entry.Key), slot) < MiHashDistance(list, hole, slot)) { continue; }
        MiWriteHash(os, list, hole, entry);
        MiWriteHash(os, list, slot, empty);
        hole = slot;
    }
}

bool MiHashMustGrow(const struct mmsupport *vm, const struct mmwsl *list) {
    return list->NonDirectCount > list->HashTableSize / 4 * 3 && list->HashTableSize < MiHashSizeMax(vm);
}

static void MiHashEverything(struct os *os, const struct mmsupport *vm, struct mmwsl *list) {
    enum os_profile profile = os->Config.profile;
    uint32_t entries[WSHASH_PAGE_ENTRIES];
    for (uint32_t first = 0; first <= list->LastWsleIndex; first += WSHASH_PAGE_ENTRIES) {
        uint32_t count = list->LastWsleIndex + 1 - first;
        if (count > WSHASH_PAGE_ENTRIES) { count = WSHASH_PAGE_ENTRIES; }
        os->M->ops->read(os->M, list->Wsle + (va_t)first * sizeof(uint32_t), entries, count * sizeof(uint32_t));
        for (uint32_t i = 0; i < count; i++) {
            if ((entries[i] & WSLE_VALID) && !wsle_is_direct(profile, entries[i])) {
                MiHashInsert(os, vm, list, page_of(entries[i]), first + i);
            }
        }
    }
}

void MiHashGrow(struct os *os, struct mmsupport *vm, struct mmwsl *list) {
    va_t base = vm->WorkingSetList + WSHASH_OFFSET;
    va_t next = base + (va_t)list->HashTableSize * sizeof(struct mmwsle_hash);
    MiAddWorkingSetPage(os, vm, list, next);
    os->M->ops->fill(os->M, base, 0, next - base);
    list->HashTable = (uint32_t)base;
    list->HashTableSize += WSHASH_PAGE_ENTRIES;
    MiHashEverything(os, vm, list);
}
