/* See lackey_input.h. */
#include "lackey_input.h"
#include "lackey_archive.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct lackey_layout *open_layout(struct lackey_input *in, unsigned pid) {
    for (unsigned i = in->layouts; i-- > 0;) {
        if (in->layout[i].pid == pid && !in->layout[i].complete) { return &in->layout[i]; }
    }
    return NULL;
}

static bool start_layout(struct lackey_input *in, unsigned pid) {
    struct lackey_layout *more = realloc(in->layout, (in->layouts + 1) * sizeof *more);
    if (!more) { return false; }
    in->layout = more;
    more[in->layouts++] = (struct lackey_layout){.pid = pid};
    return true;
}

/* "(1,47,7) /usr/bin/dash" */
static bool parse_name(struct lackey_layout *layout, const char *text) {
    unsigned index = 0;
    int at = 0;
    if (sscanf(text, " (%u,%*d,%*d) %n", &index, &at) < 1 || !at || index >= LACKEY_NAMES) { return true; }
    free(layout->name[index]);
    layout->name[index] = strdup(text + at);
    return layout->name[index] != NULL;
}

/* "  4: file 0000128000-0000129fff    8192 rw--- d=0xfe00 i=1 o=131072  (1,47)": capitals are valgrind's own */
static bool parse_segment(struct lackey_input *in, struct lackey_layout *layout, const char *text) {
    char kind[8], rights[8];
    unsigned long long start, end;
    if (sscanf(text, " %*u: %7s %llx-%llx %*s %7s", kind, &start, &end, rights) != 4) { return true; }
    struct lackey_segment s = {.start = start, .end = end + 1};
    s.kind = strcmp(kind, "file") == 0                                      ? LACKEY_FILE
             : strcmp(kind, "anon") == 0                                    ? LACKEY_ANON
             : strcmp(kind, "RSVN") == 0 && strstr(text, "SmLower") != NULL ? LACKEY_RESERVE_UP
             : strcmp(kind, "RSVN") == 0 && strstr(text, "SmUpper") != NULL ? LACKEY_RESERVE_DOWN
                                                                            : LACKEY_OTHER;
    if (s.kind == LACKEY_OTHER) { return true; }
    uint64_t least = layout->count ? layout->segment[layout->count - 1].end : 0;
    if (s.start >= s.end || s.start < least || ((s.start | s.end) & PAGE_MASK)) {
        in->expected = "a segment of whole pages above the one before it";
        return false;
    }
    s.read = strchr(rights, 'r') != NULL;
    s.write = strchr(rights, 'w') != NULL;
    s.execute = strchr(rights, 'x') != NULL;
    const char *offset = strstr(text, " o="), *name = strrchr(text, '(');
    if (offset) { s.offset = strtoull(offset + 3, NULL, 10); }
    if (name) { s.name = (unsigned)strtoul(name + 1, NULL, 10) % LACKEY_NAMES; }
    if (layout->count == layout->capacity) {
        unsigned capacity = layout->capacity ? 2 * layout->capacity : 64;
        struct lackey_segment *more = realloc(layout->segment, capacity * sizeof *more);
        if (!more) { return false; }
        layout->segment = more;
        layout->capacity = capacity;
    }
    layout->segment[layout->count++] = s;
    return true;
}

/* A line of the debug text: "--23983:1: aspacem …". false: out of memory, or in->expected says what is wrong */
static bool debug_line(struct lackey_input *in, const char *line) {
    unsigned pid = 0;
    int at = 0;
    if (sscanf(line, "--%u:%*d: aspacem %n", &pid, &at) < 1 || !at) {
        if (in->arch[0] == '\0') { sscanf(line, "--%*u:%*d:launcher selected platform '%15[a-z0-9]", in->arch); }
        return true;
    }
    const char *text = line + at;
    if (strncmp(text, "<<< SHOW_SEGMENTS", 17) == 0) {
        return strstr(text, "client startup") == NULL || start_layout(in, pid);
    }
    struct lackey_layout *layout = open_layout(in, pid);
    if (!layout) { return true; }
    if (strncmp(text, ">>>", 3) == 0) {
        layout->complete = true;
        return true;
    }
    return *text == '(' ? parse_name(layout, text) : parse_segment(in, layout, text);
}

static bool header_line(struct lackey_input *in, struct lackey_log *log, const char *line) {
    unsigned pid;
    int at = 0;
    if (sscanf(line, "==%u== Lackey, an example%n", &pid, &at) == 1 && at) {
        log->pid = pid;
        return true;
    }
    sscanf(line, "==%*u== Parent PID: %u", &log->parent);
    sscanf(line, "==%*u== Command: %511[^\n]", log->command);
    sscanf(line, "==%*u== Using Valgrind-%31[A-Za-z0-9.+-]", in->version);
    if (strncmp(line, " --> [pre-success] Success(0x0)", 31) == 0) { log->forked = true; }
    return debug_line(in, line);
}

static int add_log(struct lackey_input *in, struct lackey_log *log, const char *path) {
    struct lackey_log *more = realloc(in->log, (in->logs + 1) * sizeof *more);
    log->path = strdup(path);
    if (!more || !log->path) { return -1; }
    in->log = more;
    more[in->logs++] = *log;
    return 0;
}

/* A file is a log if lackey's first line stands before any access; otherwise it may be debug text. */
static int read_file(struct lackey_input *in, const char *path, char *err, size_t err_size) {
    FILE *file = fopen(path, "r");
    struct stat st;
    if (!file || fstat(fileno(file), &st) < 0) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
        if (file) { fclose(file); }
        return -1;
    }
    struct lackey_log log = {.size = (uint64_t)st.st_size};
    char *line = NULL;
    size_t room = 0;
    bool good = true;
    for (uint64_t number = 1; good && getline(&line, &room, file) >= 0 && !(log.pid && lackey_is_access(line));
         number++) {
        line[strcspn(line, "\n")] = '\0';
        good = header_line(in, &log, line);
        if (!good && in->expected) {
            snprintf(err, err_size, "%s:%llu: found '%.200s', expected %s", path, (unsigned long long)number, line,
                     in->expected);
        }
        if (log.pid && strncmp(line, "SYSCALL[", 8) == 0) { break; }
    }
    free(line);
    fclose(file);
    if (good && log.pid) { good = add_log(in, &log, path) == 0; }
    if (!good && !in->expected) { snprintf(err, err_size, "%s: out of memory", path); }
    return good ? 0 : -1;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int read_directory(struct lackey_input *in, const char *path, char *err, size_t err_size) {
    DIR *dir = opendir(path);
    if (!dir) {
        snprintf(err, err_size, "%s: %s", path, strerror(errno));
        return -1;
    }
    char **names = NULL;
    size_t count = 0;
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(dir)) != NULL;) {
        struct stat st;
        char *name = NULL;
        if (asprintf(&name, "%s/%s", path, entry->d_name) < 0) { name = NULL; }
        if (name && (stat(name, &st) < 0 || !S_ISREG(st.st_mode))) {
            free(name);
            continue;
        }
        char **more = name ? realloc(names, (count + 1) * sizeof *more) : NULL;
        if (more) {
            names = more;
            names[count++] = name;
        } else {
            free(name);
            snprintf(err, err_size, "%s: out of memory", path);
            result = -1;
        }
    }
    closedir(dir);
    if (count) { qsort(names, count, sizeof *names, by_name); } /* readdir's order is no order */
    for (size_t i = 0; i < count; i++) {
        if (result == 0) { result = read_file(in, names[i], err, err_size); }
        free(names[i]);
    }
    free(names);
    return result;
}

static int read_archive(struct lackey_input *in, const char *path, char *err, size_t err_size) {
    const char *where = getenv("TMPDIR");
    if (in->directory) {
        snprintf(err, err_size, "%s: found a second archive, expected one", path);
        return -1;
    }
    bool named = asprintf(&in->directory, "%s/ntmmu-lackey.XXXXXX", where && *where ? where : "/tmp") >= 0;
    if (!named || !mkdtemp(in->directory)) {
        snprintf(err, err_size, "%s: %s", named ? in->directory : path, strerror(errno));
        if (named) { free(in->directory); }
        in->directory = NULL;
        return -1;
    }
    if (lackey_unpack(path, in->directory, err, err_size) < 0) { return -1; }
    return read_directory(in, in->directory, err, err_size);
}

int lackey_input_open(struct lackey_input *in, const char *const *paths, unsigned count, char *err, size_t err_size) {
    *in = (struct lackey_input){0};
    for (unsigned i = 0; i < count; i++) {
        struct stat st;
        if (strcmp(paths[i], "-") == 0) {
            snprintf(err, err_size,
                     "-: found standard input, expected a directory, a .tar or logs: they are read twice");
            return -1;
        }
        if (stat(paths[i], &st) < 0) {
            snprintf(err, err_size, "%s: %s", paths[i], strerror(errno));
            return -1;
        }
        int result = S_ISDIR(st.st_mode)                ? read_directory(in, paths[i], err, err_size)
                     : strstr(paths[i], ".tar") != NULL ? read_archive(in, paths[i], err, err_size)
                                                        : read_file(in, paths[i], err, err_size);
        if (result < 0) { return -1; }
    }
    if (in->logs == 0) {
        snprintf(err, err_size, "%s: found no lackey log, expected one that begins '==PID== Lackey'",
                 count ? paths[0] : "-");
        return -1;
    }
    return 0;
}

static void remove_directory(const char *path) {
    DIR *dir = opendir(path);
    if (dir) {
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;) { unlinkat(dirfd(dir), entry->d_name, 0); }
        closedir(dir);
    }
    rmdir(path);
}

void lackey_input_close(struct lackey_input *in) {
    for (unsigned i = 0; i < in->logs; i++) { free(in->log[i].path); }
    for (unsigned i = 0; i < in->layouts; i++) {
        free(in->layout[i].segment);
        for (unsigned n = 0; n < LACKEY_NAMES; n++) { free(in->layout[i].name[n]); }
    }
    free(in->log);
    free(in->layout);
    if (in->directory) { remove_directory(in->directory); }
    free(in->directory);
    *in = (struct lackey_input){0};
}

struct lackey_log *lackey_log_of(struct lackey_input *in, unsigned pid) {
    for (unsigned i = 0; i < in->logs; i++) {
        if (in->log[i].pid == pid) { return &in->log[i]; }
    }
    return NULL;
}

const struct lackey_layout *lackey_layout_of(const struct lackey_input *in, unsigned pid) {
    for (unsigned i = in->layouts; i-- > 0;) {
        if (in->layout[i].pid == pid && in->layout[i].complete) { return &in->layout[i]; }
    }
    return NULL;
}
