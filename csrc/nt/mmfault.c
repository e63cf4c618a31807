/* MmAccessFault: what a page fault is about and who resolves it. NT-45..47, NT-20, NT-52. */
#include "mi.h"

#define APC_LEVEL 1u

static bool MiIsPagedPoolAddress(va_t va) { return va >= MM_PAGED_POOL_START && va <= MM_PAGED_POOL_END; }
static bool MiIsProcessSpace(va_t va) { return va >= PTE_BASE && va <= MM_PROCESS_SPACE_END; }

_Noreturn static void MiNonPagedAreaFault(struct os *os, const struct mmfault *fault, unsigned why) {
    KeBugCheckEx(os, BUGCHECK_PAGE_FAULT_IN_NONPAGED_AREA, fault->Va, fault->Write, 0, why);
}

/* The tables allow it already: the processor had an old translation. */
static ntstatus_t MiStaleTranslation(struct os *os, const struct mmfault *fault) {
    MiFlushSingleTb(os, fault->Va);
    return STATUS_SUCCESS;
}

/* NT-46 H0: nothing may be brought in above APC level, however near it is. */
static ntstatus_t MiFaultAtRaisedIrql(struct os *os, const struct mmfault *fault) {
    pte_t pte = MiReadPte(os, MiGetPdeAddress(fault->Va));
    if ((pte & PTE_VALID) && !(pte & PTE_LARGE)) { pte = MiReadPte(os, MiGetPteAddress(fault->Va)); }
    bool owner_allows = !fault->User || (pte & PTE_OWNER);
    if (!(pte & PTE_VALID) || (fault->Write && !(pte & PTE_WRITE)) || !owner_allows) {
        /* NT5 names the driver; the kernel's own accesses during the step are not its */
        bool driver = os->DriverAccess && os->Config.profile != OS_NT4 && os->M->log->fault_cause == LOG_TRACE;
        KeBugCheckEx(os, driver ? BUGCHECK_DRIVER_IRQL_NOT_LESS_OR_EQUAL : BUGCHECK_IRQL_NOT_LESS_OR_EQUAL, fault->Va,
                     os->M->ops->irql(os->M), fault->Write, 0);
    }
    return MiStaleTranslation(os, fault);
}

/* NT-20: directories are copies of the system's, made when a process is created; what came later is copied now. */
static ntstatus_t MiCopySystemPde(struct os *os, const struct mmfault *fault, va_t pde_va) {
    pte_t master = MiReadPte(os, MM_SYSTEM_PAGE_PTES + (pde_va - PDE_BASE));
    if (!(master & PTE_VALID) || (MiReadPte(os, pde_va) & PTE_VALID)) { MiNonPagedAreaFault(os, fault, 2); }
    MiWritePte(os, pde_va, master);
    os->MmInfoCounters.KernelPdeCopied++;
    return STATUS_SUCCESS;
}

_Noreturn static void MiWriteToReadOnly(struct os *os, const struct mmfault *fault, pte_t pte) {
    if (os->Config.profile != OS_NT4) {
        KeBugCheckEx(os, BUGCHECK_ATTEMPTED_WRITE_TO_READONLY_MEMORY, fault->Va, pte, 0, 0xA);
    }
    MiNonPagedAreaFault(os, fault, 0);
}

/* The kernel's access to a page that is there. */
static ntstatus_t MiValidKernelFault(struct os *os, const struct mmfault *fault, pte_t pte) {
    if (fault->Write && !(pte & PTE_WRITE)) { MiWriteToReadOnly(os, fault, pte); }
    return MiStaleTranslation(os, fault);
}

static ntstatus_t MiSystemFault(struct os *os, struct mmfault *fault) {
    if (fault->User) { return STATUS_ACCESS_VIOLATION; }
    pte_t pte = MiReadPte(os, MiGetPdeAddress(fault->Va));
    if (!(pte & PTE_VALID)) { return MiCopySystemPde(os, fault, MiGetPdeAddress(fault->Va)); }
    if (!(pte & PTE_LARGE)) { pte = MiReadPte(os, fault->PointerPte); }
    if (pte & PTE_VALID) { return MiValidKernelFault(os, fault, pte); }
    bool prototype = pte_form(pte) == PTE_FORM_PROTOTYPE; /* nothing else of the system has one, or a VAD */
    bool view = prototype && !pte_is_vad_lookup(pte) && MiIsSystemViewAddress(fault->Va); /* K4 */
    bool pageable =
        view || (!prototype && (MiIsPagedPoolAddress(fault->Va) || MiIsPageableDriverAddress(os, fault->Va)));
    if (view) { /* NT-56 (0) */
        bool met = false;
        ntstatus_t status = MiMakeSystemAddressValid(os, pte_pointer_target(pte), &met);
        if (met) { return status == STATUS_SUCCESS ? MiSystemFault(os, fault) : status; }
    }
    fault->Protection = view ? MiPrototypeProtection(os, MiReadPte(os, pte_pointer_target(pte))) : pte_protection(pte);
    if (pte == 0 || !pageable || (fault->Protection & 7) == 0) { MiNonPagedAreaFault(os, fault, 0); }
    if (fault->Write && !(MiMakeValidPte(os, fault->Va, 0, fault->Protection) & PTE_WRITE)) {
        MiWriteToReadOnly(os, fault, pte);
    }
    fault->Process = NULL;
    fault->Vm = &os->MmSystemCacheWs;
    return MiDispatchFault(os, fault, pte);
}

/* NT-92: stacks have their own window of system addresses; whose page is lost cannot run on. */
_Noreturn void MiKernelInPageError(struct os *os, const struct mmfault *fault) {
    KeBugCheckEx(os, BUGCHECK_KERNEL_DATA_INPAGE_ERROR, fault->PointerPte, fault->IoStatus,
                 MiReadPte(os, fault->PointerPte), fault->Va);
}

ntstatus_t MiMakeSystemAddressValid(struct os *os, va_t va, bool *met) {
    if (!MiIsPagedPoolAddress(va)) { MiNonPagedAreaFault(os, &(struct mmfault){.Va = va}, 0); } /* no prototype PTE */
    while (!MmIsAddressValid(os, va)) {
        struct mmfault fault = {.Va = va};
        *met = true;
        ntstatus_t status = MiAccessFault(os, &fault);
        if (status == MI_WAIT_FOR_PAGE) { return status; }
        if (status == STATUS_IN_PAGE_ERROR) { MiKernelInPageError(os, &fault); }
        if (!NT_SUCCESS(status) && status != MI_REFAULT) { MiNonPagedAreaFault(os, &fault, 0); }
    }
    return STATUS_SUCCESS;
}

/* ---- page tables ---- */

/* A page table as the page it is: at its place in the window, behind its PDE. */
static ntstatus_t MiResolvePageTableFault(struct os *os, va_t va, pte_t pde, ntstatus_t *io_status) {
    struct eprocess *process = PsGetCurrentProcess(os);
    struct mmfault table = {.Va = page_of(MiGetPteAddress(va)),
                            .Process = process,
                            .Vm = &process->Vm,
                            .PointerPte = MiGetPdeAddress(va),
                            .Protection = MM_READWRITE};
    ntstatus_t status = pde == 0 ? MiResolveDemandZeroFault(os, &table, pde) : MiDispatchFault(os, &table, pde);
    *io_status = table.IoStatus;
    return status;
}

ntstatus_t MiMakePageTableValid(struct os *os, va_t va) {
    for (;;) {
        pte_t pde = MiReadPte(os, MiGetPdeAddress(va));
        if (pde & PTE_VALID) { return STATUS_SUCCESS; }
        struct mmfault fault = {.Va = page_of(MiGetPteAddress(va)), .PointerPte = MiGetPdeAddress(va)};
        ntstatus_t status = MiResolvePageTableFault(os, va, pde, &fault.IoStatus);
        if (status == STATUS_IN_PAGE_ERROR) { MiKernelInPageError(os, &fault); }
        if (!NT_SUCCESS(status) && status != MI_REFAULT) { return status; }
    }
}

void MiWaitForSystemAddress(struct os *os, va_t va) {
    bool met;
    while (MiMakeSystemAddressValid(os, va, &met) != STATUS_SUCCESS) { MiWaitForFreePage(os); }
}

void MiWaitForPageTable(struct os *os, va_t va) {
    ntstatus_t status;
    while ((status = MiMakePageTableValid(os, va)) == MI_WAIT_FOR_PAGE) { MiWaitForFreePage(os); }
    if (status != STATUS_SUCCESS) { MiAssert(os, "a page table cannot be made valid"); }
}

/* Ring 0 touches C0000000..C03FFFFF where no page table is (NT-46). */
static ntstatus_t MiPageTableWindowFault(struct os *os, struct mmfault *fault) {
    va_t described = MiGetVirtualAddressMappedByPte(page_of(fault->Va));
    pte_t pde = MiReadPte(os, fault->PointerPte);
    if (pde & PTE_VALID) { return MiValidKernelFault(os, fault, pde); }
    if (described >= MM_SYSTEM_RANGE_START) { return MiCopySystemPde(os, fault, fault->PointerPte); }
    if (pde == 0 && !MiCheckForConflictingVad(fault->Process, described, described + MM_PAGE_TABLE_SPAN - 1)) {
        MiNonPagedAreaFault(os, fault, 2);
    }
    return MiResolvePageTableFault(os, described, pde, &fault->IoStatus);
}

static ntstatus_t MiProcessSpaceFault(struct os *os, struct mmfault *fault) {
    if (fault->User) { return STATUS_ACCESS_VIOLATION; }
    if (fault->Va < MM_HYPER_BASE) { return MiPageTableWindowFault(os, fault); }
    pte_t pde = MiReadPte(os, MiGetPdeAddress(fault->Va));
    if (pde & PTE_LARGE) { /* there is none */
        KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, MiGetPdeAddress(fault->Va), pde, 0);
    }
    pte_t pte = MiReadPte(os, fault->PointerPte);
    if (pte & PTE_VALID) { return MiValidKernelFault(os, fault, pte); }
    MiNonPagedAreaFault(os, fault, 0);
}

/* ---- user addresses, NT-47 ---- */

/* The page that every process may read at 7FFE0000; the kernel's alias is FFDF0000. No VAD, no charge. */
static ntstatus_t MiMapSharedUserPage(struct os *os, struct mmfault *fault) {
    if (fault->Write || fault->Process->VmDeleted) { return STATUS_ACCESS_VIOLATION; }
    pfn_t frame = os->MmSharedUserFrame;
    MiIncrementShareCount(os, frame);
    MiIncrementShareCount(os, fault->PageTable);
    MiIncrementUsedPteCount(os, fault->Va);
    MiWritePte(os, fault->PointerPte, pte_valid_user(frame, MM_READONLY));
    MiAddValidPageToWorkingSet(os, fault->Vm, MM_SHARED_USER_PAGE, frame, true, 0);
    return STATUS_PAGE_FAULT_TRANSITION;
}

static bool MiIsSharedUserPage(va_t va) { return page_of(va) == MM_SHARED_USER_PAGE; }

/* U2. MI_REFAULT: it took a read, or met one, so everything is looked at again. */
static ntstatus_t MiUserPageTable(struct os *os, struct mmfault *fault) {
    pte_t pde = MiReadPte(os, MiGetPdeAddress(fault->Va));
    if (pde & PTE_VALID) {
        if (pde & PTE_LARGE) { /* users have none */
            KeBugCheckEx(os, BUGCHECK_MEMORY_MANAGEMENT, 0x41284, MiGetPdeAddress(fault->Va), pde, 0);
        }
        fault->PageTable = pte_frame(pde);
        return STATUS_SUCCESS;
    }
    if (pde == 0 && fault->Process->VmDeleted) { return STATUS_ACCESS_VIOLATION; }
    if (pde == 0 && !MiIsSharedUserPage(fault->Va)) {
        bool known = MiCheckVirtualAddress(os, fault->Process, fault->Va, &fault->Protection, &fault->PrototypeAddress);
        if (!known || (fault->Protection & 7) == 0) { return STATUS_ACCESS_VIOLATION; }
    }
    return MiResolvePageTableFault(os, fault->Va, pde, &fault->IoStatus);
}

static ntstatus_t MiValidUserFault(struct os *os, struct mmfault *fault, pte_t pte) {
    if (fault->User && !(pte & PTE_OWNER)) { return STATUS_ACCESS_VIOLATION; }
    if (fault->Write && (pte & PTE_COPY_ON_WRITE)) {
        return MiCopyOnWrite(os, page_of(fault->Va), fault->PointerPte, &fault->Kind);
    }
    if (fault->Write && !(pte & PTE_WRITE)) { return STATUS_ACCESS_VIOLATION; }
    return MiStaleTranslation(os, fault);
}

/* NT-56 (0): where the prototype PTE of a page is, if the entry or a VAD says that it has one; 0: it has none. */
static va_t MiPrototypeOfPage(struct os *os, struct mmfault *fault, pte_t pte) {
    if (pte_form(pte) == PTE_FORM_PROTOTYPE && !pte_is_vad_lookup(pte)) { return pte_pointer_target(pte); }
    if (pte != 0 && pte_form(pte) != PTE_FORM_PROTOTYPE) { return 0; }
    fault->InVad = MiCheckVirtualAddress(os, fault->Process, fault->Va, &fault->Protection, &fault->PrototypeAddress);
    return fault->PrototypeAddress;
}

/* U4: a zero entry gets the form that its VAD calls for. false: the address stands for nothing. */
static bool MiMaterializePte(struct os *os, struct mmfault *fault, pte_t *pte) {
    if (!fault->InVad) { return false; }
    if (fault->PrototypeAddress == 0) {
        *pte = pte_demand_zero(fault->Protection);
    } else {
        bool same = MiPrototypeProtection(os, MiReadPte(os, fault->PrototypeAddress)) == fault->Protection;
        *pte = same ? pte_pointer(fault->PrototypeAddress) : pte_vad_lookup(fault->Protection);
    }
    MiChangePte(os, fault->PointerPte, 0, *pte);
    MiIncrementUsedPteCount(os, fault->Va);
    return true;
}

/* Protection, and prototype address of a shared page, from an entry that is not valid and not zero. */
static bool MiInterpretPte(struct os *os, struct mmfault *fault, pte_t pte) {
    fault->Protection = pte_protection(pte);
    fault->PrototypeAddress = 0;
    if (pte_form(pte) != PTE_FORM_PROTOTYPE) { return true; }
    if (pte_is_vad_lookup(pte)) {
        unsigned vad_protection;
        return MiCheckVirtualAddress(os, fault->Process, fault->Va, &vad_protection, &fault->PrototypeAddress);
    }
    fault->PrototypeAddress = pte_pointer_target(pte);
    fault->Protection = MiPrototypeProtection(os, MiReadPte(os, fault->PrototypeAddress));
    return true;
}

static ntstatus_t MiInvalidUserFault(struct os *os, struct mmfault *fault, pte_t pte) {
    if (pte == 0 && MiIsSharedUserPage(fault->Va)) { return MiMapSharedUserPage(os, fault); }
    bool known = pte == 0 ? MiMaterializePte(os, fault, &pte) : MiInterpretPte(os, fault, pte);
    if (!known) { return STATUS_ACCESS_VIOLATION; }
    ntstatus_t status = MiAccessCheck(os, fault, pte);
    return status == STATUS_SUCCESS ? MiDispatchFault(os, fault, pte) : status;
}

static ntstatus_t MiUserFault(struct os *os, struct mmfault *fault) {
    bool outside = fault->Va < MM_LOWEST_USER_ADDRESS || fault->Va > MM_HIGHEST_USER_ADDRESS;
    if (outside || fault->Process->VmDeleted) { return STATUS_ACCESS_VIOLATION; }
    pte_t pte = 0;
    ntstatus_t status = STATUS_SUCCESS;
    for (bool met = true; met;) { /* until page table and prototype PTE are there at once */
        met = false;
        while ((status = MiUserPageTable(os, fault)) != STATUS_SUCCESS) {
            if (!NT_SUCCESS(status) && status != MI_REFAULT) { return status; }
        }
        pte = MiReadPte(os, fault->PointerPte);
        va_t prototype = pte & PTE_VALID ? 0 : MiPrototypeOfPage(os, fault, pte);
        if (prototype) { status = MiMakeSystemAddressValid(os, prototype, &met); }
        if (!NT_SUCCESS(status)) { return status; }
    }
    return pte & PTE_VALID ? MiValidUserFault(os, fault, pte) : MiInvalidUserFault(os, fault, pte);
}

/* ---- entry points ---- */

static ntstatus_t MiResolveFault(struct os *os, struct mmfault *fault, pte_t pte) {
    switch (pte_form(pte)) {
    case PTE_FORM_PROTOTYPE: return MiResolveProtoPteFault(os, fault);
    case PTE_FORM_TRANSITION: return MiResolveTransitionFault(os, fault, pte);
    case PTE_FORM_DEMAND_ZERO: return MiResolveDemandZeroFault(os, fault, pte);
    case PTE_FORM_PAGE_FILE: return MiResolvePageFileFault(os, fault, fault->PointerPte, MM_HYPER_BASE, NULL);
    default: return MI_REFAULT; /* it was resolved meanwhile */
    }
}

ntstatus_t MiDispatchFault(struct os *os, struct mmfault *fault, pte_t pte) {
    ntstatus_t status = MiResolveFault(os, fault, pte);
    return status == MI_ISSUE_READ ? MiReadPageOfFault(os, fault) : status;
}

ntstatus_t MiAccessFault(struct os *os, struct mmfault *fault) {
    fault->Process = PsGetCurrentProcess(os);
    fault->Vm = &fault->Process->Vm;
    fault->PointerPte = MiGetPteAddress(fault->Va);
    fault->Kind = FAULT_OTHER;
    bool system_ptes = fault->Va >= MM_NONPAGED_SYSTEM_START && fault->Va <= MM_SYSTEM_PTE_END;
    if (system_ptes && !fault->User) { MiCheckKernelStackGuard(os, fault->Va); }
    if (os->Locks.Pfn) { MiLockViolation(os, "a page fault while a spin lock is held"); }
    if (os->M->ops->irql(os->M) > APC_LEVEL) { return MiFaultAtRaisedIrql(os, fault); }
    bool user = fault->Va < MM_SYSTEM_RANGE_START, own = user || MiIsProcessSpace(fault->Va);
    struct mmsupport *vm = own ? fault->Vm : &os->MmSystemCacheWs;
    MiLockWorkingSet(os, vm);
    ntstatus_t status = user ? MiUserFault(os, fault) : own ? MiProcessSpaceFault(os, fault) : MiSystemFault(os, fault);
    MiUnlockWorkingSet(os, vm);
    if (!user) { return status; }
    if (status == MI_SHARED_GUARD) { status = MiClearSharedGuard(os, fault); }
    if (status == STATUS_GUARD_PAGE_VIOLATION) { status = MiCheckForUserStackOverflow(os, fault); } /* it allocates */
    if (NT_SUCCESS(status) && status != STATUS_SUCCESS) { fault->Process->PdeFaultCount[MiGetPdeIndex(fault->Va)]++; }
    return status;
}

ntstatus_t MmAccessFault(struct os *os, bool write, va_t va, bool user) {
    struct mmfault fault = {.Va = va, .Write = write, .User = user};
    ntstatus_t status = MiAccessFault(os, &fault);
    return status == MI_REFAULT ? STATUS_SUCCESS : status; /* the caller looks again */
}
