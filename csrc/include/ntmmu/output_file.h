/* A file that is complete when it appears under its name: what was there before stays if it cannot be written to its
 * end. Not so standard output ("-"), a device or a pipe, which take what comes. All functions return 0, or -1 with
 * errno. */
#ifndef NTMMU_OUTPUT_FILE_H
#define NTMMU_OUTPUT_FILE_H

#include <stddef.h>

struct output_file {
    int fd;                   /* -1: not open */
    char *temporary, *target; /* NULL: written in place */
};

/* Of a link that leads to a file that file is replaced, not the link. */
int output_open(struct output_file *out, const char *path);
int output_write(struct output_file *out, const void *bytes, size_t count);
/* Closes it; now it has its name. After a failure nothing is left of it. */
int output_keep(struct output_file *out);
/* Closes it and leaves nothing behind. Keeps errno. May be called after output_keep, too. */
void output_drop(struct output_file *out);

#endif
