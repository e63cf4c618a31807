/* The disk: transfers between files and frames, numbered in order of issue. Paging files are sparse files of the host;
 * data files are what filedata.h makes up, overlaid by what has been written to them. */
#ifndef NTMMU_DISK_H
#define NTMMU_DISK_H

#include "ntmmu/os.h"

struct machine;
struct upcall;
struct transfer;
struct written_page;

struct disk {
    struct transfer *first, **last; /* pending, in order of issue */
    uint64_t issued, ended, failed;       /* transfers */
    uint64_t served, steps_left;          /* by the model: the transfer that is under way, its remaining steps */
    uint64_t last_file, last_end;         /* where the last one ended */
    bool manual;                          /* `io manual`: transfers end by `iodone` only */
    int paging_file[OS_PAGING_FILES_MAX]; /* host file + 1; 0 = none */
    struct written_page *written;         /* of data files: by file and page */
    int overlay;                          /* host file + 1 that holds them */
    uint64_t overlay_pages;
};

uint64_t disk_start(struct machine *m, const struct os_io *io);
void disk_poll(struct machine *m, bool writes);
void disk_step(struct machine *m);        /* a step goes by */
bool disk_works(const struct machine *m); /* steps going by will end a transfer */
bool disk_create(struct machine *m, unsigned number, uint64_t bytes);
/* Before CALL waits: with automatic I/O all reads end, then writes until what it waits for is signalled. */
void disk_finish_waited(struct machine *m, const struct upcall *call);
/* `io auto|manual`; auto ends the reads that are on their way. */
void disk_set_manual(struct machine *m, bool manual);
/* Transfer ID ends. false: it is not pending. */
bool disk_finish(struct machine *m, uint64_t id, ntstatus_t status);
void disk_free(struct disk *disk);

#endif
