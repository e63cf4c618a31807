/* `call` entries of what drivers call (NT-98): system PTEs, MDLs, pools, I/O space, kernel stacks. Addresses and
 * handles are handed back as out values; the status says whether the service was performed. */
#include "exports.h"

/* COUNT SPACE ALIGNMENT OFFSET STOP; out: the entry's address, or 0 */
static ntstatus_t MiCallReserveSystemPtes(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    if (MI_ARGUMENT(event, 0) == 0 || MI_ARGUMENT(event, 1) >= MM_SYSTEM_PTE_SPACES) {
        return STATUS_INVALID_PARAMETER;
    }
    out[0] = MiReserveSystemPtes(os, MI_ARGUMENT(event, 0), MI_ARGUMENT(event, 1), MI_ARGUMENT(event, 2),
                                 MI_ARGUMENT(event, 3), MI_ARGUMENT(event, 4));
    return STATUS_SUCCESS;
}

/* PTE COUNT SPACE */
static ntstatus_t MiCallReleaseSystemPtes(struct os *os, struct eprocess *process, const struct event *event,
                                          uint64_t out[2]) {
    (void)process;
    (void)out;
    const struct mmsysptes *ptes = &os->SystemPtes;
    uint32_t pte = MI_ARGUMENT(event, 0), count = MI_ARGUMENT(event, 1), space = MI_ARGUMENT(event, 2);
    if (space >= MM_SYSTEM_PTE_SPACES || pte < ptes->MmSystemPtesStart[space] ||
        pte + 4ull * count > ptes->MmSystemPtesEnd[space]) {
        return STATUS_INVALID_PARAMETER;
    }
    MiReleaseSystemPtes(os, pte, count, space);
    return STATUS_SUCCESS;
}

const struct mi_export MiSystemPteExports[] = {
    {"MiReserveSystemPtes", 5, MI_NO_HANDLE, MiCallReserveSystemPtes},
    {"MiReleaseSystemPtes", 3, MI_NO_HANDLE, MiCallReleaseSystemPtes},
    {0},
};
