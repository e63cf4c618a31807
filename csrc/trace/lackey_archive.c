/* See lackey_archive.h. */
#include "lackey_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int unpack_one(struct archive *archive, const char *name, const char *directory, char *err, size_t err_size) {
    const char *base = strrchr(name, '/');
    char *path = NULL;
    if (asprintf(&path, "%s/%s", directory, base ? base + 1 : name) < 0) {
        snprintf(err, err_size, "%s: out of memory", name);
        return -1;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int result = fd < 0 ? -1 : archive_read_data_into_fd(archive, fd) == ARCHIVE_OK ? 0 : -1;
    if (result < 0) {
        const char *why = fd < 0 ? strerror(errno) : archive_error_string(archive);
        snprintf(err, err_size, "%s: %s", path, why ? why : "cannot be unpacked");
    }
    if (fd >= 0 && close(fd) < 0 && result == 0) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
        result = -1;
    }
    free(path);
    return result;
}

int lackey_unpack(const char *path, const char *directory, char *err, size_t err_size) {
    struct archive *archive = archive_read_new();
    if (!archive) {
        snprintf(err, err_size, "%s: out of memory", path);
        return -1;
    }
    archive_read_support_filter_all(archive);
    archive_read_support_format_tar(archive);
    int result = archive_read_open_filename(archive, path, 1 << 16) == ARCHIVE_OK ? 0 : -1;
    int status = ARCHIVE_OK;
    struct archive_entry *entry;
    while (result == 0 && (status = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        if (archive_entry_filetype(entry) != AE_IFREG) { continue; }
        if (unpack_one(archive, archive_entry_pathname(entry), directory, err, err_size) < 0) {
            archive_read_free(archive);
            return -1;
        }
    }
    if (result < 0 || status != ARCHIVE_EOF) {
        const char *why = archive_error_string(archive);
        snprintf(err, err_size, "%s: found %s, expected a tar archive", path, why ? why : "no archive");
        result = -1;
    }
    archive_read_free(archive);
    return result;
}
