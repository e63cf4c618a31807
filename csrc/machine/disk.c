/* Transfers, and where their data is. */
#include "disk.h"

#include "machine_priv.h"
#include "ntmmu/filedata.h"
#include "ntmmu/status.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct transfer {
    struct transfer *next;
    uint64_t id;
    struct os_io io;
    uint8_t data[]; /* of a write */
};

/* A page of a data file that has been written. */
struct page_name {
    uint64_t file, page;
};
struct written_page {
    struct page_name name;
    uint64_t slot; /* in the overlay */
    UT_hash_handle hh;
};

/* ---- files of the host ---- */

/* A nameless file in DIRECTORY, or where temporary files go. */
static int make_file(struct machine *m, const char *directory) {
    char path[4096];
    const char *temporary = getenv("TMPDIR");
    const char *where = directory ? directory : temporary && *temporary ? temporary : "/tmp";
    snprintf(path, sizeof path, "%s/ntmmu-XXXXXX", where);
    int file = mkstemp(path);
    if (file < 0) { machine_panic(m, "cannot make a file in %s: %s", where, strerror(errno)); }
    unlink(path);
    return file;
}

static void read_file(struct machine *m, int file, uint64_t offset, uint8_t *out) {
    size_t done = 0;
    while (done < PAGE_SIZE) {
        ssize_t n = pread(file, out + done, PAGE_SIZE - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) { continue; }
        if (n < 0) { machine_panic(m, "cannot read a disk file of the simulation: %s", strerror(errno)); }
        if (n == 0) { /* behind its end */
            memset(out + done, 0, PAGE_SIZE - done);
            return;
        }
        done += (size_t)n;
    }
}

static void write_file(struct machine *m, int file, uint64_t offset, const uint8_t *data) {
    size_t done = 0;
    while (done < PAGE_SIZE) {
        ssize_t n = pwrite(file, data + done, PAGE_SIZE - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) { continue; }
        if (n <= 0) { machine_panic(m, "cannot write a disk file of the simulation: %s", strerror(errno)); }
        done += (size_t)n;
    }
}

static int paging_file(struct machine *m, uint64_t file) {
    unsigned number = (unsigned)(file & 0xFF);
    if (number >= OS_PAGING_FILES_MAX || m->disk.paging_file[number] == 0) {
        machine_panic(m, "a transfer with paging file %u, which does not exist", number);
    }
    return m->disk.paging_file[number] - 1;
}

bool disk_create(struct machine *m, unsigned number, uint64_t bytes) {
    if (number >= OS_PAGING_FILES_MAX) { machine_panic(m, "there is no paging file %u", number); }
    int *file = &m->disk.paging_file[number];
    if (*file == 0) { *file = make_file(m, m->config.pagefile_directory[number]) + 1; }
    return ftruncate(*file - 1, (off_t)bytes) == 0;
}

/* ---- data files ---- */

static struct written_page *find_written(struct machine *m, uint64_t file, uint64_t offset) {
    struct written_page *page;
    struct page_name name = {file, offset >> PAGE_SHIFT};
    HASH_FIND(hh, m->disk.written, &name, sizeof name, page);
    return page;
}

static void write_page(struct machine *m, uint64_t file, uint64_t offset, const uint8_t *data) {
    if (os_is_paging_file(file)) {
        write_file(m, paging_file(m, file), offset, data);
        return;
    }
    struct disk *disk = &m->disk;
    struct written_page *page = find_written(m, file, offset);
    if (!page) {
        page = calloc(1, sizeof *page);
        if (!page) { machine_panic(m, "out of memory"); }
        page->name = (struct page_name){file, offset >> PAGE_SHIFT};
        page->slot = disk->overlay_pages++;
        HASH_ADD(hh, disk->written, name, sizeof page->name, page);
    }
    if (disk->overlay == 0) { disk->overlay = make_file(m, NULL) + 1; }
    write_file(m, disk->overlay - 1, page->slot << PAGE_SHIFT, data);
}

static void read_page(struct machine *m, uint64_t file, uint64_t offset, uint8_t *out) {
    if (os_is_paging_file(file)) {
        read_file(m, paging_file(m, file), offset, out);
        return;
    }
    const struct written_page *page = find_written(m, file, offset);
    if (page) {
        read_file(m, m->disk.overlay - 1, page->slot << PAGE_SHIFT, out);
        return;
    }
    for (uint32_t at = 0; at < PAGE_SIZE; at += 4) {
        uint32_t word = file_word(file, offset + at);
        memcpy(out + at, &word, sizeof word);
    }
}

bool machine_paging_file_page(struct machine *m, unsigned number, uint64_t offset, uint8_t *out) {
    if (number >= OS_PAGING_FILES_MAX || m->disk.paging_file[number] == 0) { return false; }
    read_page(m, os_paging_file(number), offset, out);
    return true;
}

/* ---- one transfer ---- */

static void log_io(struct machine *m, const struct os_io *io, bool done) {
    enum log_io kind = io->write ? done ? LOG_WRITE_DONE : LOG_WRITE_START : done ? LOG_READ_DONE : LOG_READ_START;
    log_send(&m->log, LOG_IO, kind, io->file, io->offset, io->pages, io->frame[0]);
}

static void count(struct machine *m, const struct os_io *io) {
    struct machine_counts *c = &m->counts;
    bool paging = os_is_paging_file(io->file);
    if (io->write) {
        *(paging ? &c->pagefile_write_transfers : &c->file_write_transfers) += 1;
        *(paging ? &c->pagefile_writes : &c->file_writes) += io->pages;
    } else {
        *(paging ? &c->pagefile_read_transfers : &c->file_read_transfers) += 1;
        *(paging ? &c->pagefile_reads : &c->file_reads) += io->pages;
    }
}

static void deliver_read(struct machine *m, const struct os_io *io) {
    uint8_t bytes[PAGE_SIZE];
    for (uint32_t i = 0; i < io->pages; i++) {
        uint64_t at = (uint64_t)i << PAGE_SHIFT;
        uint64_t left = io->valid_bytes > at ? io->valid_bytes - at : 0;
        /* what was written is there to its last byte, wherever the file ended before */
        bool written = !os_is_paging_file(io->file) && find_written(m, io->file, io->offset + at);
        size_t valid = left < PAGE_SIZE && !written ? (size_t)left : PAGE_SIZE;
        if (valid) { read_page(m, io->file, io->offset + at, bytes); }
        memset(bytes + valid, 0, sizeof bytes - valid);
        physmem_write(&m->mem, io->frame[i] << PAGE_SHIFT, bytes, sizeof bytes);
    }
}

static void deliver_write(struct machine *m, const struct transfer *t) {
    for (uint32_t i = 0; i < t->io.pages; i++) {
        uint64_t at = (uint64_t)i << PAGE_SHIFT;
        write_page(m, t->io.file, t->io.offset + at, t->data + at);
    }
}

static void check(struct machine *m, const struct os_io *io) {
    if (io->pages == 0 || io->pages > OS_IO_PAGES_MAX || (io->offset & PAGE_MASK)) {
        machine_panic(m, "the kernel starts a transfer of %u pages at offset %" PRIx64, io->pages, io->offset);
    }
}

uint64_t disk_start(struct machine *m, const struct os_io *io) {
    struct disk *disk = &m->disk;
    check(m, io);
    size_t size = io->write ? (size_t)io->pages << PAGE_SHIFT : 0;
    struct transfer *t = malloc(sizeof *t + size);
    if (!t) { machine_panic(m, "out of memory"); }
    *t = (struct transfer){.id = ++disk->issued, .io = *io};
    for (uint32_t i = 0; io->write && i < io->pages; i++) {
        physmem_read(&m->mem, io->frame[i] << PAGE_SHIFT, t->data + ((size_t)i << PAGE_SHIFT), PAGE_SIZE);
    }
    if (!disk->first) { disk->last = &disk->first; }
    *disk->last = t;
    disk->last = &t->next;
    log_io(m, io, false);
    return t->id;
}

/* ---- how transfers end ---- */

static void unlink_transfer(struct disk *disk, struct transfer *t) {
    struct transfer **at = &disk->first;
    while (*at != t) { at = &(*at)->next; }
    *at = t->next;
    if (!t->next) { disk->last = at; }
}

static void end_transfer(struct machine *m, struct transfer *t, ntstatus_t status);

/* A read that overtakes a write to the same place must find its data. */
static void end_writes_before(struct machine *m, const struct transfer *read) {
    const struct os_io *io = &read->io;
    uint64_t end = io->offset + ((uint64_t)io->pages << PAGE_SHIFT);
    for (struct transfer *t = m->disk.first; t && t->id < read->id;) {
        uint64_t t_end = t->io.offset + ((uint64_t)t->io.pages << PAGE_SHIFT);
        if (t->io.write && t->io.file == io->file && t->io.offset < end && io->offset < t_end) {
            end_transfer(m, t, STATUS_SUCCESS);
            t = m->disk.first;
        } else {
            t = t->next;
        }
    }
}

static void end_transfer(struct machine *m, struct transfer *t, ntstatus_t status) {
    if (!t->io.write) { end_writes_before(m, t); }
    if (NT_SUCCESS(status) && inject_now(m, t->io.write ? OS_INJECT_WRITE_ERROR : OS_INJECT_READ_ERROR)) {
        status = STATUS_IO_DEVICE_ERROR;
    }
    if (NT_SUCCESS(status)) {
        if (t->io.write) {
            deliver_write(m, t);
        } else {
            deliver_read(m, &t->io);
        }
    }
    unlink_transfer(&m->disk, t);
    m->disk.ended++;
    m->disk.failed += !NT_SUCCESS(status);
    count(m, &t->io);
    log_io(m, &t->io, true);
    uint64_t id = t->id;
    free(t);
    bool outer = m->completing;
    m->completing = true;
    m->config.os->io_complete(m->os, id, status);
    m->completing = outer;
}

static struct transfer *first_of(struct disk *disk, bool write) {
    struct transfer *t = disk->first;
    while (t && t->io.write != write) { t = t->next; }
    return t;
}

static bool ends_by_itself(const struct machine *m) { return !m->disk.manual && m->config.disk.kind == DISK_AUTO; }

void disk_poll(struct machine *m, bool writes) {
    if (!ends_by_itself(m) || m->completing) { return; }
    uint64_t issued = m->disk.issued; /* what a completion starts, ends at the next occasion */
    for (struct transfer *t = m->disk.first, *next; t && t->id <= issued; t = next) {
        uint64_t id = t->id;
        if (writes || !t->io.write) { end_transfer(m, t, STATUS_SUCCESS); }
        for (next = m->disk.first; next && next->id <= id;) { next = next->next; }
    }
}

/* Somebody may wait for a read since before: it ends now. */
void disk_set_manual(struct machine *m, bool manual) {
    m->disk.manual = manual;
    m->log.cause = m->log.fault_cause = LOG_KERNEL;
    disk_poll(m, false);
    m->log.cause = m->log.fault_cause = LOG_TRACE;
}

static void end_counted(struct machine *m, struct transfer *t, unsigned *rounds) {
    if ((*rounds)++ == ROUNDS_LIMIT) { machine_panic(m, "transfers that end begin others without end"); }
    end_transfer(m, t, STATUS_SUCCESS);
}

void disk_finish_waited(struct machine *m, const struct upcall *call) {
    if (!ends_by_itself(m) || m->completing) { return; }
    unsigned rounds = 0;
    for (struct transfer *t; (t = first_of(&m->disk, false));) { end_counted(m, t, &rounds); }
    for (struct transfer *t; call->object != 0 && (t = first_of(&m->disk, true));) { end_counted(m, t, &rounds); }
}

bool disk_works(const struct machine *m) {
    return m->disk.first && !m->disk.manual && m->config.disk.kind != DISK_AUTO;
}

static uint64_t duration(const struct machine *m, const struct os_io *io) {
    const struct disk_model *model = &m->config.disk;
    if (model->kind == DISK_FIXED) { return model->fixed; }
    bool follows = io->file == m->disk.last_file && io->offset == m->disk.last_end;
    return (follows ? 0 : model->seek) + (uint64_t)model->transfer * io->pages;
}

void disk_step(struct machine *m) {
    struct disk *disk = &m->disk;
    if (!disk_works(m)) { return; }
    struct transfer *t = disk->first;
    if (disk->served != t->id) {
        disk->served = t->id;
        disk->steps_left = duration(m, &t->io);
    }
    m->counts.disk_steps++;
    if (--disk->steps_left > 0) { return; }
    disk->last_file = t->io.file;
    disk->last_end = t->io.offset + ((uint64_t)t->io.pages << PAGE_SHIFT);
    m->log.cause = m->log.fault_cause = LOG_KERNEL;
    end_transfer(m, t, STATUS_SUCCESS);
    m->log.cause = m->log.fault_cause = LOG_TRACE;
}

bool disk_finish(struct machine *m, uint64_t id, ntstatus_t status) {
    struct transfer *t = m->disk.first;
    while (t && t->id != id) { t = t->next; }
    if (!t) { return false; }
    m->log.cause = m->log.fault_cause = LOG_KERNEL;
    end_transfer(m, t, status);
    m->log.cause = m->log.fault_cause = LOG_TRACE;
    return true;
}

void disk_free(struct disk *disk) {
    while (disk->first) {
        struct transfer *next = disk->first->next;
        free(disk->first);
        disk->first = next;
    }
    struct written_page *page, *next;
    HASH_ITER(hh, disk->written, page, next) {
        HASH_DELETE(hh, disk->written, page);
        free(page);
    }
    for (unsigned i = 0; i < OS_PAGING_FILES_MAX; i++) {
        if (disk->paging_file[i]) { close(disk->paging_file[i] - 1); }
    }
    if (disk->overlay) { close(disk->overlay - 1); }
}
