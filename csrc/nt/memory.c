/* The kernel's access to simulated memory: every load and store goes through the processor's MMU at the address where
 * NT has the structure. Also what stops the machine, and host memory for the structures that have no simulated layout.
 */
#include "mi.h"
#include "ntmmu/os_access.h"
#include "ntmmu/paging.h"
#include <stddef.h>
#include <stdlib.h>

OS_TYPED_ACCESS(16, uint16_t);
OS_TYPED_ACCESS(32, uint32_t);
OS_TYPED_ACCESS(pte, mmpte_t);

uint32_t MiRead32(struct os *os, va_t va) { return os_read_32(os->M, va); }
void MiWrite32(struct os *os, va_t va, uint32_t value) { os_write_32(os->M, va, value); }
uint16_t MiRead16(struct os *os, va_t va) { return os_read_16(os->M, va); }
void MiWrite16(struct os *os, va_t va, uint16_t value) { os_write_16(os->M, va, value); }
pte_t MiReadPte(struct os *os, va_t pte) { return os_read_pte(os->M, pte); }

#if MI_PAE
static void MiStorePte(struct os *os, va_t pte, pte_t old, pte_t value) {
    struct pae_store store[3];
    unsigned count = pae_stores(old, value, store);
    for (unsigned i = 0; i < count; i++) { MiWrite32(os, pte + (store[i].high ? 4 : 0), store[i].value); }
}
#else
static void MiStorePte(struct os *os, va_t pte, pte_t old, pte_t value) {
    (void)old;
    MiWrite32(os, pte, (uint32_t)value);
}
#endif

void MiChangePte(struct os *os, va_t pte, pte_t old, pte_t value) {
    MiStorePte(os, pte, old, value);
    if (log_wants(os->M->log, LOG_PTE)) {
        bool window = pte >= PTE_BASE && pte < MM_HYPER_BASE;
        log_send(os->M->log, LOG_PTE, pte, old, value, window ? MiGetVirtualAddressMappedByPte(pte) : 0, 0);
    }
}

/* The old value is always read, whether or not the log wants it: what a run costs must not depend on who listens. */
void MiWritePte(struct os *os, va_t pte, pte_t value) { MiChangePte(os, pte, MiReadPte(os, pte), value); }

void MiFlushSingleTb(struct os *os, va_t va) { os->M->ops->invlpg(os->M, page_of(va)); }

/* NT-18. A CR3 load leaves global entries alone, so a system range needs CR4.PGE off and on. */
void KeFlushCurrentTb(struct os *os, va_t highest_listed) {
    const struct os_machine_ops *ops = os->M->ops;
    bool process_private = highest_listed < MM_SYSTEM_RANGE_START ||
                           (highest_listed >= PTE_BASE && highest_listed <= MM_PROCESS_SPACE_END);
    if (MI_MUTANT(110, !process_private, false) && os->GlobalBit) {
        uint64_t cr4 = ops->read_control(os->M, MMU_CR4);
        ops->write_control(os->M, MMU_CR4, cr4 & ~CR4_PGE);
        ops->write_control(os->M, MMU_CR4, cr4);
        return;
    }
    ops->write_control(os->M, MMU_CR3, PsGetCurrentProcess(os)->DirectoryTableBase[0]);
}

void KeBugCheckEx(struct os *os, uint32_t code, uint64_t p1, uint64_t p2, uint64_t p3, uint64_t p4) {
    os->M->ops->bugcheck(os->M, code, p1, p2, p3, p4);
}

void MiAssert(struct os *os, const char *what) { os->M->ops->panic(os->M, what); }

/* In front of a structure of the host: the one allocated before it, and what points here. */
struct mmhost {
    _Alignas(max_align_t) struct mmhost *Next;
    struct mmhost **Link;
};

void *MiAllocateHost(struct os *os, size_t size) {
    struct mmhost *host = calloc(1, sizeof *host + size);
    if (!host) { os->M->ops->panic(os->M, "the host has no memory left"); }
    *host = (struct mmhost){os->HostMemory, &os->HostMemory};
    if (host->Next) { host->Next->Link = &host->Next; }
    os->HostMemory = host;
    return host + 1;
}

void MiFreeHost(void *memory) {
    if (!memory) { return; }
    struct mmhost *host = (struct mmhost *)memory - 1;
    *host->Link = host->Next;
    if (host->Next) { host->Next->Link = host->Link; }
    free(host);
}

void MiFreeAllHost(struct os *os) {
    while (os->HostMemory) { MiFreeHost(os->HostMemory + 1); }
}
