/* Pool quota of processes: NT-96. */
#include "mi.h"

ntstatus_t PsChargePoolQuota(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes) {
    uint32_t limit = process->QuotaPoolLimit[type];
    if (limit != 0 && (uint64_t)process->QuotaPoolUsage[type] + bytes > limit) {
        return MiRaise(os, STATUS_QUOTA_EXCEEDED, 0, 0, 0);
    }
    process->QuotaPoolUsage[type] += bytes;
    return STATUS_SUCCESS;
}

void PsReturnPoolQuota(struct os *os, struct eprocess *process, unsigned type, uint32_t bytes) {
    if (process->QuotaPoolUsage[type] < bytes) { MiAssert(os, "more pool quota returned than was charged"); }
    process->QuotaPoolUsage[type] -= bytes;
}
