/* Files that get their name last, so that nobody finds half of one. */
#include "ntmmu/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_in_place(struct output_file *out, const char *path) {
    out->fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CLOEXEC);
    return out->fd < 0 ? -1 : 0;
}

int output_open(struct output_file *out, const char *path) {
    *out = (struct output_file){.fd = -1};
    struct stat status;
    bool standard = strcmp(path, "-") == 0;
    if (standard) { fflush(stdout); } /* what was printed comes first */
    bool exists = !standard && stat(path, &status) == 0;
    if (standard || (exists && !S_ISREG(status.st_mode))) { return open_in_place(out, path); }
    out->target = realpath(path, NULL);
    if (!out->target) { out->target = strdup(path); }
    bool named = out->target && asprintf(&out->temporary, "%s.XXXXXX", out->target) >= 0;
    out->fd = named ? mkostemp(out->temporary, O_CLOEXEC) : -1;
    if (out->fd < 0) { /* there is no such file to be removed */
        if (named) { free(out->temporary); }
        out->temporary = NULL;
    }
    mode_t mask = umask(0); /* mkostemp made it 0600; it is an ordinary file, or takes the place of one */
    umask(mask);
    if (out->fd >= 0 && fchmod(out->fd, exists ? status.st_mode & 0777 : 0666 & ~mask) == 0) { return 0; }
    output_drop(out);
    return -1;
}

int output_write(struct output_file *out, const void *bytes, size_t count) {
    const char *from = bytes;
    while (count) {
        ssize_t put = write(out->fd, from, count);
        if (put < 0 && errno == EINTR) { continue; }
        if (put < 0) { return -1; }
        from += put;
        count -= (size_t)put;
    }
    return 0;
}

int output_keep(struct output_file *out) {
    int rc = close(out->fd);
    out->fd = -1;
    if (rc == 0 && out->temporary) { rc = rename(out->temporary, out->target); }
    if (rc == 0) {
        free(out->temporary);
        out->temporary = NULL;
    }
    output_drop(out);
    return rc;
}

void output_drop(struct output_file *out) {
    int error = errno;
    if (out->fd >= 0) { close(out->fd); }
    if (out->temporary) { unlink(out->temporary); }
    free(out->temporary);
    free(out->target);
    *out = (struct output_file){.fd = -1};
    errno = error;
}
