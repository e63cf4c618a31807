/* A waveform on a disk that may be full: the FST writer (gtkwave's, inside the Verilated model) does not tell. */
#ifndef NTMMU_WAVE_FILE_H
#define NTMMU_WAVE_FILE_H

#include <stdbool.h>

/* While PATH is written: the writer maps its files, so a full disk is a SIGBUS. It ends the program with one line and
 * EXIT_CANNOT, the waveform removed. */
void wave_file_guard(const char *path);
/* After PATH was closed: true if its blocks follow each other to the end of the file, none of them left unfinished. */
bool wave_file_is_whole(const char *path);

#endif
