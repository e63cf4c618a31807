/* A process starts another program (traces/FORMAT.md, rule 10; NT itself has no such service): its address space is
 * emptied as at deletion, while its identity, threads, page directory, hyperspace and working-set list stay. */
#include "mi.h"

#include <string.h>

ntstatus_t PspExecProcess(struct os *os, struct eprocess *process, const char *image) {
    if (process->Exiting) { return STATUS_PROCESS_IS_TERMINATING; }
    bool attached = KeAttachProcess(os, process);
    MmCleanProcessAddressSpace(os, process);
    /* Counting by the reference rules, the pages were invalidated one by one. */
    if (!os->Config.reference_counting) { MI_MUTANT(195, KeFlushCurrentTb(os, 0), (void)0); }
    if (attached) { KeDetachProcess(os); }
    for (struct ethread *thread = os->Threads; thread; thread = thread->Next) {
        if (thread->Process == process) { thread->StackBase = thread->StackLimit = thread->DeallocationStack = 0; }
    }
    memset(process->ImageName, 0, sizeof process->ImageName);
    strncpy(process->ImageName, image, sizeof process->ImageName - 1);
    PspStoreImageName(os, process);
    return STATUS_SUCCESS;
}
