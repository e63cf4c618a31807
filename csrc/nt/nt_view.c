/* Read-only views of the kernel's own structures: nt_view.h. */
#include "mi.h"

static void mi_view_memory(const struct os *os, struct nt_memory_view *out) {
    *out = (struct nt_memory_view){.highest_page = os->MmHighestPhysicalPage,
                                   .available_pages = os->MmAvailablePages,
                                   .color_mask = os->MmSecondaryColorMask,
                                   .total_committed = os->MmTotalCommittedPages,
                                   .commit_limit = os->MmTotalCommitLimit,
                                   .peak_commitment = os->MmPeakCommitment,
                                   .system_directory = MM_SYSTEM_DIRECTORY_FRAME,
                                   .first_kernel_top_frame = os->FirstKernelTopFrame,
                                   .zeroing_active = os->MmZeroingPageThreadActive,
                                   .half_in = os->ProcessesHalfIn != 0,
                                   .profile = os->Config.profile};
    for (unsigned i = 0; i < MM_LISTS; i++) {
        const struct mmpfnlist *list = &os->MmPageLocationList[i];
        out->list[i] = (struct nt_list_view){list->Count, list->FirstFrame, list->LastFrame};
    }
}

static struct nt_process_view MiWorkingSetView(const struct mmsupport *vm) {
    return (struct nt_process_view){.page_fault_count = vm->PageFaultCount,
                                    .peak_ws = vm->PeakWorkingSetSize,
                                    .ws_size = vm->WorkingSetSize,
                                    .min_ws = vm->MinimumWorkingSet,
                                    .max_ws = vm->MaximumWorkingSet,
                                    .vm = (uint32_t)vm->Address,
                                    .ws_time = vm->UpdateTime};
}

static void mi_view_system_ws(const struct os *os, struct nt_process_view *out) {
    *out = MiWorkingSetView(&os->MmSystemCacheWs);
    out->image = "System cache";
}

static struct nt_process_view MiProcessView(const struct eprocess *process) {
    struct nt_process_view view = MiWorkingSetView(&process->Vm);
    view.pid = process->Pid;
    view.ppid = process->ParentPid;
    view.eprocess = process->Address;
    view.directory_base[0] = process->DirectoryTableBase[0];
    view.directory_base[1] = process->DirectoryTableBase[1];
    view.working_set_page = process->WorkingSetPage;
    view.commit_charge = process->CommitCharge;
    view.locked_pages = process->NumberOfLockedPages;
    view.changing = process->AddressCreationDepth != 0;
    view.pde_fault_count = process->PdeFaultCount;
    view.exiting = process->Exiting;
    view.image = process->ImageName;
    view.state = process->State;
    view.ready_threads = process->ReadyThreads;
    view.stack_count = process->StackCount;
    return view;
}

static void mi_view_processes(const struct os *os, bool (*visit)(void *ctx, const struct nt_process_view *),
                              void *ctx) {
    for (const struct eprocess *process = os->Processes; process; process = process->Next) {
        struct nt_process_view view = MiProcessView(process);
        if (!visit(ctx, &view)) { return; }
    }
}

static void mi_view_address_spaces(const struct os *os, bool (*visit)(void *ctx, const struct nt_process_view *),
                                   void *ctx) {
    struct nt_process_view system = MiProcessView(&os->SystemProcess);
    if (visit(ctx, &system)) { mi_view_processes(os, visit, ctx); }
}

static struct nt_vad_view MiVadView(const struct os *os, const struct mmvad *vad) {
    struct nt_vad_view view = {.start = vad->StartingAddress,
                               .end = vad->EndingAddress,
                               .is_private = vad->PrivateMemory,
                               .mem_commit = vad->MemCommit,
                               .image = vad->ImageMap,
                               .physical = vad->PhysicalMapping,
                               .protection = vad->Protection,
                               .commit_charge = vad->CommitCharge,
                               .flags = MiVadFlags(vad)};
    if (vad->ControlArea) {
        unsigned ignored = 0;
        view.sid = vad->ControlArea->SectionId;
        view.control_area = vad->ControlArea->Address;
        view.first_prototype = MiGetProtoPteAddress((struct os *)os, vad, vad->StartingAddress, &ignored);
        view.prototype_count = (uint32_t)((vad->EndingAddress + 1 - vad->StartingAddress) >> PAGE_SHIFT);
    }
    return view;
}

static void mi_view_vads(const struct os *os, uint32_t pid, bool (*visit)(void *ctx, const struct nt_vad_view *),
                         void *ctx) {
    const struct eprocess *process = PsLookupProcess(os, pid);
    for (struct mmvad *vad = process ? MiFirstVad(process) : NULL; vad; vad = MiNextVad(vad)) {
        struct nt_vad_view view = MiVadView(os, vad);
        if (!visit(ctx, &view)) { return; }
    }
}

static void mi_view_prototypes(const struct os *os, bool (*visit)(void *ctx, const struct nt_prototype_view *),
                               void *ctx) {
    for (const struct control_area *area = os->ControlAreas; area; area = area->Next) {
        for (const struct subsection *s = area->Subsections; s; s = s->Next) {
            if (s->BasePte == 0) { continue; }
            struct nt_prototype_view view = {.base = s->BasePte,
                                             .count = s->PtesInSubsection,
                                             .references = area->SectionRef + area->MappedViews,
                                             .control_area = area->Address};
            if (!visit(ctx, &view)) { return; }
        }
    }
    for (const struct mmclone *clone = os->CloneBlocks; clone; clone = clone->Next) {
        struct nt_prototype_view view = {
            .base = clone->BasePte, .count = clone->Count, .clone = true, .references = clone->Processes};
        if (!visit(ctx, &view)) { return; }
    }
}

static void mi_view_control_areas(const struct os *os, bool (*visit)(void *ctx, const struct nt_control_area_view *),
                                  void *ctx) {
    for (const struct control_area *area = os->ControlAreas; area; area = area->Next) {
        struct nt_control_area_view view = {.sid = area->SectionId,
                                            .address = area->Address,
                                            .segment = area->Segment,
                                            .queue = area->Queue,
                                            .system_views = area->SystemViews,
                                            .held = area->Held,
                                            .committed = area->CommitCharge,
                                            .opened = area->SectionRef || area->MappedViews,
                                            .path = area->FileObject ? area->FileObject->Path : ""};
        if (!visit(ctx, &view)) { return; }
    }
}

static void mi_view_sections(const struct os *os, bool (*visit)(void *ctx, const struct nt_section_view *), void *ctx) {
    for (const struct section_object *section = os->Sections; section; section = section->Next) {
        struct nt_section_view view = {
            .sid = section->SectionId, .address = section->Address, .area = section->ControlArea->Address};
        if (!visit(ctx, &view)) { return; }
    }
}

static void mi_view_paging_files(const struct os *os, bool (*visit)(void *ctx, const struct nt_paging_file_view *),
                                 void *ctx) {
    for (unsigned i = 0; i < os->MmNumberOfPagingFiles; i++) {
        struct nt_paging_file_view view = {.number = i, .address = os->MmPagingFile[i].Address};
        if (!visit(ctx, &view)) { return; }
    }
}

static void mi_view_threads(const struct os *os, uint32_t pid, bool (*visit)(void *ctx, const struct nt_thread_view *),
                            void *ctx) {
    for (const struct ethread *thread = os->Threads; thread; thread = thread->Next) {
        if (thread->Process->Pid != pid) { continue; }
        struct nt_thread_view view = {
            .tid = thread->Tid, .address = thread->Address, .running = os->Prcb[0].CurrentThread == thread};
        if (!visit(ctx, &view)) { return; }
    }
}

static va_t mi_view_stack_limit(const struct os *os, uint32_t tid) {
    const struct ethread *thread = PsLookupThread(os, tid);
    return thread ? thread->StackLimit : 0;
}

static uint32_t mi_view_mdl_locks(const struct os *os, pfn_t frame) { return MiMdlLocksOfFrame(os, frame); }

const struct nt_view_ops mi_view_ops = {
    .system_ptes = mi_view_system_ptes,
    .pool_tags = mi_view_pool_tags,
    .memory = mi_view_memory,
    .system_ws = mi_view_system_ws,
    .address_spaces = mi_view_address_spaces,
    .processes = mi_view_processes,
    .vads = mi_view_vads,
    .prototypes = mi_view_prototypes,
    .control_areas = mi_view_control_areas,
    .sections = mi_view_sections,
    .paging_files = mi_view_paging_files,
    .threads = mi_view_threads,
    .stack_limit = mi_view_stack_limit,
    .mdl_locks = mi_view_mdl_locks,
    .driver_locks = mi_view_driver_locks,
};
