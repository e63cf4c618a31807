/* Commit charges: NT-95 for a machine in which nobody can extend a paging file, so that a charge over the limit fails
 * at once instead of queueing a request. */
#include "mi.h"

static void MiLogCommit(struct os *os) {
    if (log_wants(os->M->log, LOG_COMMIT)) {
        log_send(os->M->log, LOG_COMMIT, os->MmTotalCommittedPages, os->MmTotalCommitLimit, 0, 0, 0);
    }
}

bool MiChargeCommitment(struct os *os, uint32_t pages, struct eprocess *process) {
    if (pages == 0) { return true; }
    if ((uint64_t)os->MmTotalCommittedPages + pages > os->MmTotalCommitLimit) { return false; }
    os->MmTotalCommittedPages += pages;
    if (os->MmTotalCommittedPages > os->MmPeakCommitment) { os->MmPeakCommitment = os->MmTotalCommittedPages; }
    if (process != NULL) { process->CommitCharge += pages; }
    MiLogCommit(os);
    return true;
}

void MiReturnCommitment(struct os *os, uint32_t pages, struct eprocess *process) {
    if (pages == 0) { return; }
    if (os->MmTotalCommittedPages < pages || (process != NULL && process->CommitCharge < pages)) {
        MiAssert(os, "more commit returned than was charged");
    }
    os->MmTotalCommittedPages -= pages;
    if (process != NULL) { process->CommitCharge -= pages; }
    MiLogCommit(os);
}
