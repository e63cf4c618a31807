/* A full disk while a waveform is written. */
#include "wave_file.h"

#include "cli.h"

#include <endian.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a signal handler needs, made ready beforehand: it may neither allocate nor format. */
static struct {
    char message[PATH_MAX + 64];
    char remove[2][PATH_MAX + 8];
} guarded;

static void on_bus_error(int number) {
    (void)number;
    for (unsigned i = 0; i < 2; i++) { unlink(guarded.remove[i]); }
    ssize_t written = write(STDERR_FILENO, guarded.message, strlen(guarded.message));
    (void)written;
    _exit(EXIT_CANNOT);
}

void wave_file_guard(const char *path) {
    snprintf(guarded.message, sizeof guarded.message, "ntmmu: %.*s: cannot write the waveform: the disk is full\n",
             PATH_MAX, path);
    snprintf(guarded.remove[0], sizeof guarded.remove[0], "%.*s", PATH_MAX, path);
    snprintf(guarded.remove[1], sizeof guarded.remove[1], "%.*s.hier", PATH_MAX, path);
    struct sigaction action = {.sa_handler = on_bus_error};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}

/* An FST file is blocks of a type byte, a big-endian length that counts itself but not the type, and data. */
enum { FST_HEADER = 0, FST_GEOMETRY = 3, FST_UNFINISHED = 255 };

bool wave_file_is_whole(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file) { return false; }
    uint64_t at = 0, size = fstat(fileno(file), &status) == 0 ? (uint64_t)status.st_size : 0;
    bool good = size > 0, geometry = false;
    while (good && at < size) {
        uint64_t length;
        int type = fseeko(file, (off_t)at, SEEK_SET) == 0 ? fgetc(file) : EOF;
        good = type != EOF && type != FST_UNFINISHED && (at > 0 || type == FST_HEADER) &&
               fread(&length, sizeof length, 1, file) == 1 && be64toh(length) <= size - at - 1;
        geometry = geometry || type == FST_GEOMETRY;
        if (good) { at += be64toh(length) + 1; }
    }
    fclose(file);
    return good && geometry;
}
