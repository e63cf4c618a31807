/* Commit: NT-95. A charge over the limit queues a request for the thread that extends paging files, and waits. If
 * nobody can help, the user is asked whether the limit may be passed. */
#include "mi.h"

#include <stdlib.h>

#define LARGE_REQUEST          10u /* pages from which on the wait is longer */
#define LARGE_TIMEOUT          20000u
#define SMALL_TIMEOUT          1000u
#define POPUP_LARGEST          0x80u
#define POPUP_EXTENSION        0x100u
#define MM_EXTENDED_COMMIT_MAX 0x400u
#define COMMIT_OBJECT          0xC0000000u /* + request number: what its semaphore is to the machine */

/* REQUEST; COMMIT_MEMORY_REQUEST_LIST is os->CommitRequests. */
struct commit_request {
    struct commit_request *Next, *NextWaiting; /* of the list; of all whose threads wait */
    uint32_t Id;                               /* of the trace's `commitreply`, from 1 */
    uint32_t PagesToCommit, Result;
    bool Linked, Answered;
    uint64_t Deadline; /* 0: none */
};

static void MiLogCommit(struct os *os) {
    if (log_wants(os->M->log, LOG_COMMIT)) {
        log_send(os->M->log, LOG_COMMIT, os->MmTotalCommittedPages, os->MmTotalCommitLimit, 0, 0, 0);
    }
}

/* Step 1. */
static bool MiChargeWithinLimit(struct os *os, uint32_t pages) {
    if ((uint64_t)os->MmTotalCommittedPages + pages > os->MmTotalCommitLimit) { return false; }
    os->MmTotalCommittedPages += pages;
    if (os->MmTotalCommittedPages > os->MmPeakCommitment) { os->MmPeakCommitment = os->MmTotalCommittedPages; }
    return true;
}

/* ---- beyond the limit ---- */

/* The peak is that of charges within the limit. */
static void MiChargeBeyondLimit(struct os *os, uint32_t pages, uint32_t delta) {
    os->MmTotalCommitLimit += delta;
    os->MmExtendedCommit += delta;
    os->MmTotalCommittedPages += pages;
}

/* An informational hard error, which the user answers. A first one passes whatever the answer is. */
static bool MiCauseOverCommitPopup(struct os *os, uint32_t pages, uint32_t delta) {
    if (pages > POPUP_LARGEST) { return false; }
    if (os->Config.refuse_popups && os->MiOverCommitCallCount != 0) { return false; }
    os->MiOverCommitCallCount++;
    MiChargeBeyondLimit(os, pages, delta);
    return true;
}

static bool MiChargeCommitmentCantExpand(struct os *os, uint32_t pages) {
    if (os->MmExtendedCommit >= MM_EXTENDED_COMMIT_MAX) { return false; }
    MiChargeBeyondLimit(os, pages, pages);
    return true;
}

/* ---- the queue ---- */

static uint64_t MiRequestObject(const struct commit_request *request) { return COMMIT_OBJECT + request->Id; }

static void MiLinkRequest(struct os *os, struct commit_request *request) {
    struct commit_request **last = &os->CommitRequests;
    while (*last) { last = &(*last)->Next; }
    *last = request;
    request->Linked = true;
}

static void MiUnlinkRequest(struct os *os, struct commit_request *request) {
    struct commit_request **link = &os->CommitRequests;
    while (*link != request) { link = &(*link)->Next; }
    *link = request->Next;
    request->Next = NULL;
    request->Linked = false;
}

static struct commit_request **MiFindWaiting(struct os *os, uint32_t id) {
    struct commit_request **link = &os->CommitWaiters;
    while (*link && (*link)->Id != id) { link = &(*link)->NextWaiting; }
    return link;
}

static void MiAnswerRequest(struct os *os, struct commit_request *request, uint32_t result) {
    if (request->Linked) { MiUnlinkRequest(os, request); }
    request->Result = result;
    request->Answered = true;
    os->M->ops->signal(os->M, MiRequestObject(request));
}

void MiTakeCommitRequest(struct os *os) {
    if (os->CommitRequests) { MiUnlinkRequest(os, os->CommitRequests); }
}

void MiServeCommitRequests(struct os *os) {
    while (os->CommitRequests) {
        struct commit_request *request = os->CommitRequests;
        MiUnlinkRequest(os, request);
        MiAnswerRequest(os, request, MiExtendPagingFiles(os, request->PagesToCommit));
    }
}

/* The trace answers in the thread's place: it obtained that many pages, as far as there is a file to take them from. */
ntstatus_t MiReplyToCommitRequest(struct os *os, uint32_t id, uint32_t pages) {
    struct commit_request *request = *MiFindWaiting(os, id);
    if (request == NULL || request->Answered) { return STATUS_INVALID_PARAMETER; }
    if (pages != 0) { MiExtendPagingFiles(os, pages); }
    MiAnswerRequest(os, request, pages);
    return STATUS_SUCCESS;
}

void MiCommitTimePasses(struct os *os) {
    for (struct commit_request *request = os->CommitWaiters; request; request = request->NextWaiting) {
        if (request->Deadline != 0 && request->Deadline <= os->SystemTime) {
            os->M->ops->signal(os->M, MiRequestObject(request));
        }
    }
}

/* The wait of steps 2 and 4: true when the request has been answered, false when nobody has taken it in time. One that
 * has been taken is waited for as long as it takes. */
static bool MiWaitForAnswer(struct os *os, struct commit_request *request) {
    while (!request->Answered) {
        if (request->Deadline != 0 && request->Deadline <= os->SystemTime) {
            if (request->Linked) {
                MiUnlinkRequest(os, request);
                return false;
            }
            request->Deadline = 0;
        }
        KeWaitForSingleObject(os, MiRequestObject(request));
    }
    return true;
}

/* Asks the segment thread. True: charge again; false: *charged says what became of it. */
static bool MiRequestExtension(struct os *os, uint32_t pages, bool *charged) {
    struct commit_request request = {.Id = ++os->CommitRequestId, .PagesToCommit = pages};
    bool large = pages >= LARGE_REQUEST;
    request.Deadline = os->SystemTime + (large ? LARGE_TIMEOUT : SMALL_TIMEOUT);
    MiLinkRequest(os, &request);
    struct commit_request **link = MiFindWaiting(os, UINT32_MAX); /* the end */
    *link = &request;
    if (!os->Config.manual_threads) { MiServeCommitRequests(os); } /* nothing else need happen first */
    bool answered = MiWaitForAnswer(os, &request);
    link = MiFindWaiting(os, request.Id);
    *link = request.NextWaiting;
    if (answered && request.Result != 0) { return true; }
    if (answered) {
        *charged = MiCauseOverCommitPopup(os, pages, pages > POPUP_EXTENSION ? pages : POPUP_EXTENSION);
    } else if (large) {
        *charged = MiCauseOverCommitPopup(os, pages, 0);
    } else {
        *charged = MiChargeCommitmentCantExpand(os, pages);
    }
    return false;
}

/* ---- offered ---- */

bool MiChargeCommitment(struct os *os, uint32_t pages, struct eprocess *process) {
    if (pages == 0) { return true; }
    if (os->M->ops->inject(os->M, OS_INJECT_COMMIT_LIMIT)) { return false; }
    bool charged = true;
    while (!MiChargeWithinLimit(os, pages)) {
        if (!MiRequestExtension(os, pages, &charged)) { break; }
    }
    if (!charged) { return false; }
    if (process != NULL) { process->CommitCharge += pages; }
    MiLogCommit(os);
    return true;
}

bool MiChargePoolCommitment(struct os *os, uint32_t pages) {
    if (os->M->ops->inject(os->M, OS_INJECT_COMMIT_LIMIT)) { return false; }
    bool charged = MiChargeWithinLimit(os, pages) || MiChargeCommitmentCantExpand(os, pages);
    if (charged) { MiLogCommit(os); }
    return charged;
}

ntstatus_t MiChargeFrames(struct os *os, uint32_t pages) {
    if (!MiFramesAvailable(os, pages)) { return STATUS_NO_MEMORY; }
    if (!MiChargeCommitment(os, pages, NULL)) { return STATUS_COMMITMENT_LIMIT; }
    if (MiFramesAvailable(os, pages)) { return STATUS_SUCCESS; } /* still, after a wait */
    MiReturnCommitment(os, pages, NULL);
    return STATUS_NO_MEMORY;
}

ntstatus_t MiChargeProcessCommitment(struct os *os, uint32_t pages, struct eprocess *process) {
    if (!PsChargePageFileQuota(process, pages)) { return STATUS_PAGEFILE_QUOTA_EXCEEDED; }
    if (MiChargeCommitment(os, pages, process)) { return STATUS_SUCCESS; }
    PsReturnPageFileQuota(os, process, pages);
    return STATUS_COMMITMENT_LIMIT;
}

void MiReturnCommitment(struct os *os, uint32_t pages, struct eprocess *process) {
    if (pages == 0) { return; }
    if (os->MmTotalCommittedPages < pages || (process != NULL && process->CommitCharge < pages)) {
        MiAssert(os, "more commit returned than was charged");
    }
    os->MmTotalCommittedPages -= pages;
    if (process != NULL) {
        process->CommitCharge -= pages;
        MI_MUTANT(170, PsReturnPageFileQuota(os, process, pages), (void)0);
    }
    MiLogCommit(os);
}
