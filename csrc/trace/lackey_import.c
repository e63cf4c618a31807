/* Walks the logs of a lackey capture, a fork's child before its parent goes on, and writes the trace. */
#include "lackey.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX         200
#define PROGRESS_EVERY    0xFFFF
#define CLONE_THREAD_FLAG 0x10000u
#define STAT_SIZE_64      144u
#define STAT64_SIZE_32    96u
#define STATX_SIZE        256u
#define UTSNAME_SIZE      390u

bool import_fail(struct importer *imp, const char *format, ...) {
    if (!imp->failed) {
        va_list args;
        va_start(args, format);
        vsnprintf(imp->err, imp->err_size, format, args);
        va_end(args);
    }
    imp->failed = true;
    return false;
}

bool import_emit(struct importer *imp, struct event event) {
    if (imp->runs && runs_close(imp->runs) < 0) { return import_fail(imp, "write error"); }
    imp->report.vm_events++;
    imp->report.switches += event.kind == EV_SWITCH;
    return trace_write_event(imp->writer, &event) == 0 || import_fail(imp, "write error");
}

/* In the form that stands between quotes, as far as there is room. */
void import_event_text(struct event *event, const char *text) {
    char *out = event->text, *end = event->text + sizeof event->text - 1;
    for (; *text && out < end; text++) {
        bool escaped = *text == '\\' && text[1];
        if (*text != '"' && *text != '\\') {
            *out++ = *text;
        } else if (out + 2 <= end) {
            *out++ = '\\';
            *out++ = escaped ? *++text : *text;
        } else {
            break;
        }
    }
    *out = '\0';
}

/* Threads are numbered from 1 within a process, by lackey as well as here. */
static uint32_t thread_id(const struct process *p, unsigned tid) { return p->pid * 100 + tid; }

static bool emit_switch(struct process *p) {
    return import_emit(p->importer, (struct event){.kind = EV_SWITCH, .sw = {0, thread_id(p, p->tid)}});
}

static bool emit_line(struct importer *imp, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool emit_line(struct importer *imp, const char *format, ...) {
    char line[2 * EVENT_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return trace_write_line(imp->writer, line, false) == 0 || import_fail(imp, "write error");
}

/* Accesses */

static bool emit_access(struct importer *imp, va_t va, uint32_t size, unsigned access, unsigned mode) {
    struct event *e = &imp->event;
    e->kind = EV_ACCESS;
    e->access.va = va;
    e->access.size = size;
    e->access.access = (uint8_t)access;
    e->access.mode = (uint8_t)mode;
    e->access.has_value = false;
    int result = imp->runs ? runs_event(imp->runs, e) : trace_write_event(imp->writer, e);
    return result == 0 || import_fail(imp, "write error");
}

static const struct region *region_of(struct process *p, uint64_t address, unsigned side) {
    const struct region *r = space_find(&p->space, address, side);
    if (r) { return r; }
    p->importer->report.src_unknown++;
    return map_stray_page(p, address) ? space_find(&p->space, address, side) : NULL;
}

/* One access of the program, cut where it leaves its region: the next one may lie elsewhere. */
static bool user_access(struct process *p, uint64_t address, uint64_t size, unsigned access) {
    while (size) {
        const struct region *r = region_of(p, address, access != EVENT_FETCH);
        if (!r) { return false; }
        uint64_t here = r->end - address < size ? r->end - address : size;
        if (!emit_access(p->importer, r->to + (address - r->start), (uint32_t)here, access, EVENT_USER)) {
            return false;
        }
        address += here;
        size -= here;
    }
    return true;
}

bool kernel_touch(struct process *p, uint64_t address, uint64_t size, bool write) {
    if (size) { p->importer->report.src_kernel_buf++; }
    while (size) {
        const struct region *r = space_find(&p->space, address, 1);
        if (!r) { return true; } /* not the program's memory as far as the capture tells */
        uint64_t here = r->end - address < size ? r->end - address : size;
        va_t va = r->to + (address - r->start);
        p->importer->report.kernel_touches += ((va + here - 1) >> PAGE_SHIFT) - (va >> PAGE_SHIFT) + 1;
        if (!emit_access(p->importer, va, (uint32_t)here, write ? EVENT_STORE : EVENT_LOAD, EVENT_KERNEL)) {
            return false;
        }
        address += here;
        size -= here;
    }
    return true;
}

static bool access_line(struct process *p, const char *line) {
    struct importer *imp = p->importer;
    char letter = line[0] == 'I' ? 'I' : line[1];
    char *end;
    uint64_t address = strtoull(line + 3, &end, 16);
    uint64_t size = *end == ',' ? strtoull(end + 1, &end, 10) : 0;
    if (size == 0 || size > PAGE_SIZE || address > UINT64_MAX - 2 * PAGE_SIZE) { /* no page wraps around */
        return import_fail(imp, "%s:%llu: found '%.*s', expected an access like 'L 04001000,4'", p->path,
                           (unsigned long long)p->line, (int)strcspn(line, "\n"), line);
    }
    unsigned access = letter == 'I'   ? EVENT_FETCH
                      : letter == 'L' ? EVENT_LOAD
                      : letter == 'S' ? EVENT_STORE
                                      : EVENT_MODIFY;
    struct import_report *report = &imp->report;
    report->lines++;
    *(access == EVENT_FETCH ? &report->ifetch : access == EVENT_LOAD ? &report->loads : &report->stores) += 1;
    report->straddling += ((address ^ (address + size - 1)) >> PAGE_SHIFT) != 0;
    imp->stopped = ++imp->accesses == imp->options->limit;
    return user_access(p, address, size, access);
}

/* File descriptors, for the names of mapped files */

const char *file_path(const struct process *p, uint64_t fd) {
    uint32_t n = (uint32_t)fd;
    return n < p->files && p->file[n] ? p->file[n] : "unknown";
}

static bool set_file(struct process *p, uint64_t fd, const char *path) {
    if (fd > 65535) { return true; }
    if (fd >= p->files) {
        unsigned files = (unsigned)fd + 16;
        char **more = realloc(p->file, files * sizeof *more);
        if (!more) { return import_fail(p->importer, "out of memory"); }
        memset(more + p->files, 0, (files - p->files) * sizeof *more);
        p->file = more;
        p->files = files;
    }
    char *copy = path ? strdup(path) : NULL; /* before the free: dup2(3, 3) names itself */
    free(p->file[fd]);
    p->file[fd] = copy;
    return true;
}

static bool file_call(struct process *p, const struct lackey_call *c) {
    if (!c->success) { return true; }
    if (strncmp(c->name, "open", 4) == 0 && c->text) { return set_file(p, c->result, c->text); }
    bool duplicate =
        strncmp(c->name, "dup", 3) == 0 || (strncmp(c->name, "fcntl", 5) == 0 && c->args > 1 && c->arg[1] == 0);
    if (!duplicate || c->args == 0 || c->arg[0] >= p->files) { return true; }
    return set_file(p, c->result, p->file[c->arg[0]]);
}

/* What the kernel reads and writes of the program's memory */

struct touch_rule {
    const char *name;
    uint8_t arg;
    enum { TOUCH_WRITE_RESULT, TOUCH_READ_RESULT, TOUCH_WRITE_FIXED, TOUCH_READ_TEXT } how;
    uint32_t size; /* of TOUCH_WRITE_FIXED */
};

static const struct touch_rule touch_rules[] = {
    {"read", 1, TOUCH_WRITE_RESULT, 0},
    {"pread64", 1, TOUCH_WRITE_RESULT, 0},
    {"write", 1, TOUCH_READ_RESULT, 0},
    {"pwrite64", 1, TOUCH_READ_RESULT, 0},
    {"recvfrom", 1, TOUCH_WRITE_RESULT, 0},
    {"sendto", 1, TOUCH_READ_RESULT, 0},
    {"getdents", 1, TOUCH_WRITE_RESULT, 0},
    {"getdents64", 1, TOUCH_WRITE_RESULT, 0},
    {"readlink", 1, TOUCH_WRITE_RESULT, 0},
    {"readlinkat", 2, TOUCH_WRITE_RESULT, 0},
    {"getcwd", 0, TOUCH_WRITE_RESULT, 0},
    {"getrandom", 0, TOUCH_WRITE_RESULT, 0},
    {"open", 0, TOUCH_READ_TEXT, 0},
    {"openat", 1, TOUCH_READ_TEXT, 0},
    {"statx", 4, TOUCH_WRITE_FIXED, STATX_SIZE},
    {"uname", 0, TOUCH_WRITE_FIXED, UTSNAME_SIZE},
    {"newuname", 0, TOUCH_WRITE_FIXED, UTSNAME_SIZE},
    {"newstat", 1, TOUCH_WRITE_FIXED, STAT_SIZE_64},
    {"newlstat", 1, TOUCH_WRITE_FIXED, STAT_SIZE_64},
    {"newfstat", 1, TOUCH_WRITE_FIXED, STAT_SIZE_64},
    {"newfstatat", 2, TOUCH_WRITE_FIXED, STAT_SIZE_64},
    {"stat64", 1, TOUCH_WRITE_FIXED, STAT64_SIZE_32},
    {"lstat64", 1, TOUCH_WRITE_FIXED, STAT64_SIZE_32},
    {"fstat64", 1, TOUCH_WRITE_FIXED, STAT64_SIZE_32},
    {"fstatat64", 2, TOUCH_WRITE_FIXED, STAT64_SIZE_32},
};

static bool touch_call(struct process *p, const struct lackey_call *c) {
    if (!c->success) { return true; }
    for (unsigned i = 0; i < sizeof touch_rules / sizeof touch_rules[0]; i++) {
        const struct touch_rule *rule = &touch_rules[i];
        if (strcmp(rule->name, c->name) != 0 || rule->arg >= c->args) { continue; }
        uint64_t address = c->arg[rule->arg];
        switch (rule->how) {
        case TOUCH_WRITE_RESULT: return kernel_touch(p, address, c->result, true);
        case TOUCH_READ_RESULT: return kernel_touch(p, address, c->result, false);
        case TOUCH_WRITE_FIXED: return kernel_touch(p, address, rule->size, true);
        case TOUCH_READ_TEXT: return !c->text || kernel_touch(p, address, strlen(c->text) + 1, false);
        }
    }
    return true;
}

/* Processes and threads */

static void process_free(struct process *p) {
    for (unsigned i = 0; i < p->files; i++) { free(p->file[i]); }
    for (unsigned i = 0; i < p->pendings; i++) { free(p->pending[i].call.text); }
    free(p->file);
    free(p->pending);
    space_free(&p->space);
    if (p->log) { fclose(p->log); }
}

/* The thread whose lines follow. A number not seen before is a new thread. */
static bool set_thread(struct process *p, unsigned tid) {
    if (tid == p->tid || tid == 0) { return true; }
    if (tid > 99) { return import_fail(p->importer, "process %u has more than 99 threads", p->source_pid); }
    p->tid = tid;
    if (tid > p->threads) {
        p->threads = tid;
        p->importer->report.src_threads++;
        struct event e = {.kind = EV_THREAD_CREATE, .thread = {thread_id(p, tid), p->pid}};
        if (!import_emit(p->importer, e)) { return false; }
    }
    return emit_switch(p);
}

static bool run_child(struct process *parent, unsigned source_pid);

static bool apply_call(struct process *p, const struct lackey_call *c) {
    if (c->child) {
        p->importer->report.src_fork++;
        return run_child(p, c->child);
    }
    return file_call(p, c) && touch_call(p, c) && memory_call(p, c);
}

static struct pending_call *pending_of(struct process *p, unsigned tid) {
    if (tid >= p->pendings) {
        struct pending_call *more = realloc(p->pending, (tid + 1) * sizeof *more);
        if (!more) {
            import_fail(p->importer, "out of memory");
            return NULL;
        }
        memset(more + p->pendings, 0, (tid + 1 - p->pendings) * sizeof *more);
        p->pending = more;
        p->pendings = tid + 1;
    }
    return &p->pending[tid];
}

/* The result of the thread's call that was begun before. */
static bool complete_call(struct process *p, unsigned tid, const char *line) {
    struct pending_call *pending = pending_of(p, tid);
    if (!pending) { return false; }
    if (!pending->used || !lackey_call_result(line, &pending->call)) { return true; }
    struct lackey_call call = pending->call;
    pending->used = false;
    pending->call.text = NULL;
    bool good = apply_call(p, &call);
    free(call.text);
    return good;
}

static bool call_line(struct process *p, const char *line) {
    struct lackey_call call;
    if (!lackey_call_parse(line, &call)) { return true; }
    if (call.tid > 99 || !set_thread(p, call.tid)) {
        free(call.text);
        return call.tid > 99;
    }
    if (call.name[0] == '\0') {
        free(call.text);
        return complete_call(p, call.tid, line);
    }
    p->importer->report.src_syscalls++;
    if (call.complete) {
        bool good = apply_call(p, &call);
        free(call.text);
        return good;
    }
    struct pending_call *pending = pending_of(p, call.tid);
    free(pending ? pending->call.text : call.text);
    if (pending) { *pending = (struct pending_call){true, call}; }
    return pending;
}

/* "--123--   SCHED[2]:  acquired lock (…)": from --trace-sched=yes; without it calls alone tell the thread. */
static bool scheduler_line(struct process *p, const char *line) {
    const char *at = strstr(line, "SCHED[");
    if (!at || !strstr(at, "acquired lock")) { return true; }
    return set_thread(p, (unsigned)strtoul(at + 6, NULL, 10));
}

static bool report_progress(struct process *p) {
    struct importer *imp = p->importer;
    off_t at = ftello(p->log);
    if (!imp->options->progress || imp->bytes_total == 0 || at < 0) { return true; }
    double fraction = (double)(imp->bytes_done + (uint64_t)at) / (double)imp->bytes_total;
    return imp->options->progress(fraction, imp->accesses) || import_fail(imp, "interrupted");
}

static bool walk_log(struct process *p) {
    char *line = NULL;
    size_t room = 0;
    bool good = true;
    struct importer *imp = p->importer;
    for (uint64_t n = 0; good && !imp->stopped && getline(&line, &room, p->log) >= 0; n++) {
        p->line = n + 1;
        if (lackey_is_access(line)) {
            good = access_line(p, line);
        } else if (strncmp(line, "SYSCALL[", 8) == 0) {
            good = call_line(p, line);
        } else if (strncmp(line, " --> ", 5) == 0) {
            good = complete_call(p, p->tid, line);
        } else if (line[0] == '-') {
            good = scheduler_line(p, line);
        }
        if (good && (n & PROGRESS_EVERY) == PROGRESS_EVERY) { good = report_progress(p); }
    }
    free(line);
    if (good && ferror(p->log)) { good = import_fail(imp, "%s: read error", p->path); }
    return good;
}

static bool open_log(struct process *p, struct lackey_log *log) {
    p->log = fopen(log->path, "r");
    if (!p->log) { return import_fail(p->importer, "%s: %s", log->path, strerror(errno)); }
    setvbuf(p->log, NULL, _IOFBF, 1 << 18);
    p->path = log->path;
    log->used = true;
    p->importer->processes++;
    return true;
}

/* A program begins: its memory as the debug text shows it. */
static bool start_program(struct process *p) {
    const struct lackey_layout *layout = lackey_layout_of(&p->importer->input, p->source_pid);
    if (layout) { return start_layout(p, layout); }
    p->importer->report.lost_layouts++;
    return true;
}

static bool walk_process(struct process *p, const struct lackey_log *log) {
    if (!walk_log(p)) { return false; }
    p->importer->bytes_done += log->size;
    if (p->importer->stopped) { return true; }
    return import_emit(p->importer, (struct event){.kind = EV_PROC_EXIT, .proc = {.pid = p->pid}});
}

static bool copy_parent(struct process *child, const struct process *parent, bool forked) {
    for (unsigned i = 0; i < parent->files; i++) {
        if (parent->file[i] && !set_file(child, i, parent->file[i])) { return false; }
    }
    if (!forked) { return true; } /* exec throws the memory away */
    child->heap = parent->heap;
    child->heap_end = parent->heap_end;
    child->heap_least = parent->heap_least;
    return space_copy(&child->space, &parent->space) || import_fail(child->importer, "out of memory");
}

/* A child's log begins anew at exec, so that only the last program of a process is known. */
static bool run_child(struct process *parent, unsigned source_pid) {
    struct importer *imp = parent->importer;
    struct lackey_log *log = lackey_log_of(&imp->input, source_pid);
    if (!log || log->used) {
        imp->report.lost_processes++;
        return true;
    }
    if (parent->depth == DEPTH_MAX) { return import_fail(imp, "more than %d processes within each other", DEPTH_MAX); }
    struct process child = {
        .importer = imp, .source_pid = source_pid, .tid = 1, .threads = 1, .depth = parent->depth + 1};
    bool good = open_log(&child, log);
    child.pid = imp->processes;
    struct event fork = {.kind = EV_FORK, .fork = {child.pid, parent->pid, thread_id(&child, 1)}};
    good = good && import_emit(imp, fork) && emit_switch(&child) && copy_parent(&child, parent, log->forked);
    if (good && !log->forked) {
        struct event exec = {.kind = EV_EXEC, .proc = {.pid = child.pid}};
        import_event_text(&exec, log->command);
        imp->report.src_exec++;
        good = import_emit(imp, exec) && start_program(&child);
    }
    good = good && walk_process(&child, log);
    process_free(&child);
    return good && (imp->stopped || emit_switch(parent));
}

/* The log that no other log's process started. */
static struct lackey_log *first_log(struct importer *imp) {
    for (unsigned i = 0; i < imp->input.logs; i++) {
        if (!lackey_log_of(&imp->input, imp->input.log[i].parent)) { return &imp->input.log[i]; }
    }
    return &imp->input.log[0];
}

/* In words of a line: what would begin a quoted text or a comment, or end the line, is '_'. */
static void trace_name(const struct importer *imp, const char *path, char name[EVENT_TEXT_MAX]) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    int length = imp->options->name ? (int)strlen(imp->options->name) : (int)strcspn(base, ".");
    snprintf(name, EVENT_TEXT_MAX, "%.*s", length, imp->options->name ? imp->options->name : base);
    for (char *c = name; *c; c++) {
        if (iscntrl((unsigned char)*c) || strchr("\"\\#", *c)) { *c = '_'; }
    }
}

static bool header(struct importer *imp, const struct lackey_log *first) {
    char name[EVENT_TEXT_MAX];
    const char *arch = imp->input.arch[0] ? imp->input.arch : "of unknown architecture";
    trace_name(imp, first->path, name);
    return emit_line(imp, "!name %s", name) && emit_line(imp, "!page 4096") && emit_line(imp, "!gran 65536") &&
           emit_line(imp, "!va 32 10000 7fff0000") && emit_line(imp, "!level %s", imp->runs ? "run" : "exact") &&
           emit_line(imp, "!source valgrind-%s lackey %s; folded to NT x86 user space; fork order child-first",
                     imp->input.version[0] ? imp->input.version : "?", arch);
}

static bool run_first(struct importer *imp, struct lackey_log *log) {
    struct process p = {.importer = imp, .source_pid = log->pid, .tid = 1, .threads = 1};
    bool good = open_log(&p, log);
    p.pid = imp->processes;
    struct event proc = {.kind = EV_PROC_CREATE, .proc = {.pid = p.pid}};
    import_event_text(&proc, log->command);
    struct event thread = {.kind = EV_THREAD_CREATE, .thread = {thread_id(&p, 1), p.pid}};
    good = good && import_emit(imp, proc) && import_emit(imp, thread) && emit_switch(&p) && start_program(&p) &&
           walk_process(&p, log);
    process_free(&p);
    return good;
}

static bool import_all(struct importer *imp) {
    struct lackey_log *first = first_log(imp);
    for (unsigned i = 0; i < imp->input.logs; i++) { imp->bytes_total += imp->input.log[i].size; }
    if (!header(imp, first) || !run_first(imp, first)) { return false; }
    if (imp->runs && runs_close(imp->runs) < 0) { return import_fail(imp, "write error"); }
    for (unsigned i = 0; !imp->stopped && i < imp->input.logs; i++) {
        imp->report.lost_processes += !imp->input.log[i].used;
    }
    imp->report.processes = imp->processes;
    return !imp->stopped || emit_line(imp, "# trimmed at %llu accesses", (unsigned long long)imp->accesses);
}

int import_lackey(const struct import_options *options, char *err, size_t err_size) {
    struct importer imp = {.options = options, .err = err, .err_size = err_size};
    bool good = lackey_input_open(&imp.input, options->inputs, options->input_count, err, err_size) == 0;
    imp.writer = good ? trace_create(options->output, err, err_size) : NULL;
    if (imp.writer && options->level != IMPORT_EXACT && !(imp.runs = runs_create(imp.writer))) {
        good = import_fail(&imp, "out of memory");
    }
    good = good && imp.writer && import_all(&imp);
    if (imp.writer) {
        /* A failed write is the writer's to explain. */
        bool write_error = imp.failed && strcmp(err, "write error") == 0;
        if (good || write_error) {
            good = trace_finish(imp.writer, err, err_size) == 0;
        } else {
            trace_abandon(imp.writer);
        }
    }
    runs_free(imp.runs);
    free(imp.section);
    lackey_input_close(&imp.input);
    if (options->report) { *options->report = imp.report; }
    return good ? 0 : -1;
}
