/* Prefetch lists, NT-60: many reads are started before any is waited for, and what they bring stays out of working sets
 * until somebody touches it. */
#include "mi.h"

#define RANGE_WORDS 3u /* section, offset, size */

struct read_list {
    struct read_list *Next;
    struct mmread Read;
};

struct prefetch {
    struct os *os;
    struct read_list *First, **Last; /* started, in order */
};

static bool MiIsUnread(pte_t pte) {
    enum pte_form form = pte_form(pte);
    return form == PTE_FORM_PROTOTYPE || form == PTE_FORM_PAGE_FILE;
}

/* May the prototype PTE behind those of the read come with them? */
static bool MiJoins(struct os *os, const struct mmread *read, pte_t first, pte_t pte) {
    if (pte_form(first) == PTE_FORM_PROTOTYPE) { return pte_form(pte) == PTE_FORM_PROTOTYPE; }
    return pte == pte_page_file(pte_page_file_number(first), pte_page_file_offset(first) + read->Count,
                                pte_protection(first)) &&
           MiPageFileSlotInUse(os, pte);
}

/* One read item: the page at *offset, if it has to be read, and what is adjacent to it up to end. Moves *offset on. */
static bool MiStartItem(struct prefetch *p, struct subsection *s, uint64_t *offset, uint64_t end) {
    struct os *os = p->os;
    va_t prototype = s->BasePte + (va_t)((*offset - s->ViewOffset) >> PAGE_SHIFT) * PTE_SIZE;
    bool met = false;
    if (MiMakeSystemAddressValid(os, prototype, &met) != STATUS_SUCCESS) { return false; }
    pte_t first = MiReadPte(os, prototype);
    *offset += PAGE_SIZE;
    if (!MiIsUnread(first)) { return true; }
    if (!MiFramesForCluster(os, 1)) { return false; } /* never at anybody's expense */
    struct mmread read = {
        .PteAddress = {prototype}, .Count = 1, .Colour = MiPageColor(os, prototype / PTE_SIZE << PAGE_SHIFT)};
    va_t array_end = s->BasePte + (va_t)s->PtesInSubsection * PTE_SIZE;
    for (va_t at = prototype + PTE_SIZE;
         read.Count < OS_IO_PAGES_MAX && *offset < end && at < array_end && (at & PAGE_MASK) &&
         MiFramesForCluster(os, read.Count + 1) && MiJoins(os, &read, first, MiReadPte(os, at));
         at += PTE_SIZE) {
        read.PteAddress[read.Count++] = at;
        *offset += PAGE_SIZE;
    }
    if (pte_form(first) == PTE_FORM_PROTOTYPE) {
        MiDescribeFileRead(os, s, &read);
    } else {
        MiDescribePageFileRead(os, first, &read);
        read.Prototype = true;
        read.Area = s->ControlArea;
    }
    read.Faulting = read.Count;
    if (!MiBuildInPageRead(os, &read)) { return false; }
    struct read_list *item = MiAllocateHost(os, sizeof *item);
    item->Read = read;
    *p->Last = item;
    p->Last = &item->Next;
    return true;
}

static bool MiStartRange(struct prefetch *p, struct control_area *area, uint64_t offset, uint64_t end) {
    while (offset < end) {
        struct subsection *s = MiLocateSubsection(area, offset);
        if (!s && area->Size == 0) { return true; } /* a file of unknown length: as far as it was ever mapped */
        if (!s || !s->BasePte) {                    /* nothing there, or private pages */
            offset = MiNextSubsection(area, offset);
        } else if (!MiStartItem(p, s, &offset, end)) {
            return false;
        }
    }
    return true;
}

/* Putting the frames in progress may itself have to read pages of prototypes, so the transfers of the list are only
 * issued when all items are ready. */
static uint32_t MiPfExecuteReadList(struct prefetch *p) {
    uint32_t pages = 0;
    for (struct read_list *item = p->First; item; item = item->Next) { IoPageRead(p->os, &item->Read); }
    while (p->First) {
        struct read_list *item = p->First;
        MiWaitForInPageComplete(p->os, item->Read.Block); /* a page that could not be read is unread as before */
        pages += item->Read.Count;
        p->First = item->Next;
        MiFreeHost(item);
    }
    return pages;
}

struct os_service_result MiServicePrefetch(struct os *os, const struct event *event) {
    struct os_service_result result = {.status = STATUS_INVALID_PARAMETER};
    if (os->Config.profile == OS_NT4 || event->args.count % RANGE_WORDS) { return result; }
    struct prefetch p = {.os = os, .Last = &p.First};
    for (unsigned i = 0; i < event->args.count; i += RANGE_WORDS) {
        if (!MiLookupSection(os, (uint32_t)event->args.arg[i])) {
            result.status = STATUS_INVALID_HANDLE;
            return result;
        }
    }
    for (unsigned i = 0; i < event->args.count; i += RANGE_WORDS) {
        const struct section_object *section = MiLookupSection(os, (uint32_t)event->args.arg[i]);
        if (!section) { break; } /* closed while a page of prototypes was waited for */
        struct control_area *area = section->ControlArea;
        uint64_t offset = page_of(event->args.arg[i + 1]), end = event->args.arg[i + 1] + event->args.arg[i + 2];
        if (area->Size && end > area->Size) { end = area->Size; }
        MiHoldControlArea(os, area); /* it stays while pages of prototypes are waited for */
        bool room = MiStartRange(&p, area, offset, end);
        MiReleaseControlArea(os, area);
        if (!room) { break; }
    }
    result.out[0] = MiPfExecuteReadList(&p);
    result.status = STATUS_SUCCESS;
    return result;
}
