/* The lackey importer's inside: what its parts share. lackey_import.c walks the logs, lackey_memory.c turns memory
 * calls into NT events, lackey_image.c makes sections of files. */
#ifndef NTMMU_TRACE_LACKEY_H
#define NTMMU_TRACE_LACKEY_H

#include "lackey_call.h"
#include "lackey_input.h"
#include "lackey_space.h"
#include "ntmmu/import.h"
#include "ntmmu/trace.h"
#include "runs.h"

#define IMAGE_PIECES 64

struct image_piece {
    uint64_t offset, size, file_offset;
    bool anonymous;
    uint8_t prot;
};

struct image {
    char path[EVENT_TEXT_MAX];
    uint64_t size;
    unsigned pieces;
    struct image_piece piece[IMAGE_PIECES];
};

struct section {
    uint32_t sid;
    uint8_t type;       /* enum event_section */
    struct image image; /* of data: path and size only */
};

struct importer {
    const struct import_options *options;
    struct lackey_input input;
    struct trace_writer *writer;
    struct runs *runs; /* NULL at exact level */
    struct import_report report;
    struct section *section;
    uint32_t sections, processes;
    uint64_t bytes_done, bytes_total, accesses;
    bool stopped; /* the limit is reached */
    bool failed;
    char *err;
    size_t err_size;
    struct event event; /* for accesses */
};

struct pending_call {
    bool used;
    struct lackey_call call;
};

struct process {
    struct importer *importer;
    uint32_t pid; /* of the trace */
    unsigned source_pid, tid, depth;
    unsigned threads; /* highest thread number seen */
    struct space space;
    uint64_t heap, heap_end, heap_least; /* brk: start, committed end, and the end below which it never goes */
    char **file;                         /* path of each open file descriptor */
    unsigned files;
    struct pending_call *pending;
    unsigned pendings;
    unsigned group_left; /* coming mmap calls that belong to an image already made */
    FILE *log;
    const char *path; /* of the log */
    uint64_t line;    /* of the log, from 1 */
};

#define MAP_FLAG_SHARED          1u
#define MAP_FLAG_FIXED           0x10u
#define MAP_FLAG_ANONYMOUS       0x20u
#define MAP_FLAG_DENYWRITE       0x800u
#define MAP_FLAG_STACK           0x20000u
#define MAP_FLAG_FIXED_NOREPLACE 0x100000u

static inline uint64_t round_page(uint64_t size) { return (size + PAGE_MASK) & ~(uint64_t)PAGE_MASK; }

/* Every emitting function returns false after an error, which is then in importer->err. */
bool import_fail(struct importer *importer, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool import_emit(struct importer *importer, struct event event);
void import_event_text(struct event *event, const char *text);

/* lackey_memory.c */
uint8_t source_prot(unsigned prot, bool copy_on_write); /* PROT_READ|… of Linux */
bool memory_call(struct process *process, const struct lackey_call *call);
bool start_layout(struct process *process, const struct lackey_layout *layout);
bool map_stray_page(struct process *process, uint64_t address);
/* The new area, until the next one comes; NULL: failed. */
struct area *map_area(struct process *process, uint64_t start, va_t base, uint64_t size, enum area_kind kind,
                      uint8_t state);
bool emit_alloc(struct process *process, va_t base, va_t size, unsigned type, uint8_t prot, const char *tag);
bool unmap_source(struct process *process, uint64_t start, uint64_t end);

/* lackey_image.c */
struct section *import_section(struct importer *importer, enum event_section type); /* a new one; NULL: failed */
bool map_image(struct process *process, const struct image *image, uint64_t start, bool is_main);
bool map_file(struct process *process, const char *path, uint64_t start, uint64_t length, uint64_t offset,
              unsigned prot, bool shared, bool length_known);
bool mmap_image(struct process *process, const struct lackey_call *call, const char *path, uint64_t offset_unit);
bool layout_files(struct process *process, const struct lackey_layout *layout, bool *in_image);

/* lackey_import.c */
bool kernel_touch(struct process *process, uint64_t address, uint64_t size, bool write);
const char *file_path(const struct process *process, uint64_t fd);

#endif
