/* A target without a fuzzer: runs it on each file named, and on each file of a directory named. `make test` keeps what
 * the fuzzer once found from coming back. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int run_file(const char *path) {
    FILE *file = fopen(path, "r");
    struct stat status;
    if (!file || fstat(fileno(file), &status)) {
        perror(path);
        exit(2);
    }
    uint8_t *data = malloc((size_t)status.st_size + 1);
    FUZZ_REQUIRE(data && fread(data, 1, (size_t)status.st_size, file) == (size_t)status.st_size);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, (size_t)status.st_size);
    free(data);
    return 1;
}

static int run(const char *path) {
    DIR *directory = opendir(path);
    if (!directory) { return run_file(path); }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char name[4096];
        if (*entry->d_name == '.') { continue; }
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        count += run_file(name);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv) {
    int count = 0;
    for (int i = 1; i < argc; i++) { count += run(argv[i]); }
    printf("%d inputs\n", count);
    return count == 0;
}
