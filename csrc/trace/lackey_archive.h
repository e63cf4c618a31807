/* Unpacks a capture's archive. */
#ifndef NTMMU_TRACE_LACKEY_ARCHIVE_H
#define NTMMU_TRACE_LACKEY_ARCHIVE_H

#include <stddef.h>

/* The regular files of the tar archive PATH, compressed or not, go into DIRECTORY under their last name. 0 or -1 with
 * err. */
int lackey_unpack(const char *path, const char *directory, char *err, size_t err_size);

#endif
