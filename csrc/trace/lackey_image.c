/* Files of a captured program as NT sections: the pieces of an executable or library become one image section, any
 * other file a data section. */
#include "lackey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_image(const struct image *a, const struct image *b) {
    if (strcmp(a->path, b->path) != 0 || a->size != b->size || a->pieces != b->pieces) { return false; }
    for (unsigned i = 0; i < a->pieces; i++) {
        const struct image_piece *p = &a->piece[i], *q = &b->piece[i];
        if (p->offset != q->offset || p->size != q->size || p->file_offset != q->file_offset || p->prot != q->prot ||
            p->anonymous != q->anonymous) {
            return false;
        }
    }
    return true;
}

struct section *import_section(struct importer *imp, enum event_section type) {
    struct section *more = realloc(imp->section, (imp->sections + 1) * sizeof *more);
    if (!more) {
        import_fail(imp, "out of memory");
        return NULL;
    }
    imp->section = more;
    struct section *s = &more[imp->sections];
    memset(s, 0, sizeof *s);
    s->sid = ++imp->sections;
    s->type = (uint8_t)type;
    return s;
}

static bool emit_section(struct importer *imp, const struct section *s) {
    struct event e = {.kind = EV_SECTION, .section = {s->sid, s->type, s->image.size}};
    import_event_text(&e, s->image.path);
    if (!import_emit(imp, e)) { return false; }
    for (unsigned i = 0; i < s->image.pieces; i++) {
        const struct image_piece *p = &s->image.piece[i];
        struct event sub = {.kind = EV_SUBSECTION,
                            .sub = {s->sid, p->offset, p->size, p->file_offset, p->anonymous, p->prot}};
        if (!import_emit(imp, sub)) { return false; }
    }
    return true;
}

static bool image_section(struct importer *imp, const struct image *image, uint32_t *sid) {
    for (uint32_t i = 0; i < imp->sections; i++) {
        if (imp->section[i].type == EVENT_SEC_IMAGE && same_image(&imp->section[i].image, image)) {
            *sid = imp->section[i].sid;
            return true;
        }
    }
    struct section *s = import_section(imp, EVENT_SEC_IMAGE);
    if (!s) { return false; }
    s->image = *image;
    *sid = s->sid;
    return emit_section(imp, s);
}

/* A file mapped again is the same section as long as its length suffices; size 0: the length was not recorded. */
static bool data_section(struct importer *imp, const char *path, uint64_t size, uint32_t *sid) {
    for (uint32_t i = 0; i < imp->sections; i++) {
        const struct section *s = &imp->section[i];
        if (s->type == EVENT_SEC_DATA && strcmp(s->image.path, path) == 0 && (s->image.size == 0) == (size == 0) &&
            s->image.size >= size) {
            *sid = s->sid;
            return true;
        }
    }
    struct section *s = import_section(imp, EVENT_SEC_DATA);
    if (!s) { return false; }
    snprintf(s->image.path, sizeof s->image.path, "%s", path);
    s->image.size = size;
    *sid = s->sid;
    return emit_section(imp, s);
}

bool map_image(struct process *p, const struct image *image, uint64_t start, bool is_main) {
    uint32_t sid;
    if (!image_section(p->importer, image, &sid)) { return false; }
    va_t base = space_place(&p->space, image->size, is_main ? FOLD_AT_IMAGE : FOLD_HIGH);
    if (!base) { return import_fail(p->importer, "%s does not fit into 2 GB", image->path); }
    struct event e = {.kind = EV_MAP, .map = {.sid = sid, .base = base, .size = image->size, .prot = EVENT_MAP_IMAGE}};
    if (!import_emit(p->importer, e)) { return false; }
    struct area *area = map_area(p, start, base, image->size, AREA_IMAGE, MM_NOACCESS);
    if (!area) { return false; }
    for (unsigned i = 0; i < image->pieces; i++) {
        const struct image_piece *piece = &image->piece[i];
        uint8_t state = (uint8_t)(piece->prot | (piece->anonymous ? PAGE_ANONYMOUS : 0));
        memset(area->page + (piece->offset >> PAGE_SHIFT), state, piece->size >> PAGE_SHIFT);
    }
    return true;
}

bool map_file(struct process *p, const char *path, uint64_t start, uint64_t length, uint64_t offset, unsigned prot,
              bool shared, bool length_known) {
    uint32_t sid;
    uint64_t size = round_page(length);
    if (!data_section(p->importer, path, length_known ? offset + length : 0, &sid)) { return false; }
    va_t base = space_place(&p->space, size, FOLD_LOW);
    if (!base) { return import_fail(p->importer, "a view of %s does not fit into 2 GB", path); }
    uint8_t state = source_prot(prot, !shared);
    struct event e = {
        .kind = EV_MAP,
        .map = {.sid = sid, .base = base, .size = size, .offset = offset, .prot = state, .share = shared}};
    return import_emit(p->importer, e) && map_area(p, start, base, size, shared ? AREA_SHARED_VIEW : AREA_VIEW, state);
}

/* Puts a piece over what the image has there already. */
static bool overlay(struct image *image, struct image_piece piece) {
    struct image result = {.pieces = 0};
    bool placed = false;
    for (unsigned i = 0; i <= image->pieces; i++) {
        struct image_piece old = i < image->pieces ? image->piece[i] : (struct image_piece){.offset = UINT64_MAX};
        uint64_t old_end = old.offset + (i < image->pieces ? old.size : 0), end = piece.offset + piece.size;
        struct image_piece cut[3];
        unsigned cuts = 0;
        if (i < image->pieces && old.offset < piece.offset) {
            cut[cuts] = old;
            cut[cuts++].size = (old_end < piece.offset ? old_end : piece.offset) - old.offset;
        }
        if (!placed && (i == image->pieces || old_end > piece.offset)) {
            cut[cuts++] = piece;
            placed = true;
        }
        if (i < image->pieces && old_end > end) {
            uint64_t skip = old.offset < end ? end - old.offset : 0;
            cut[cuts] = old;
            cut[cuts].offset += skip;
            cut[cuts].file_offset += old.anonymous ? 0 : skip;
            cut[cuts++].size -= skip;
        }
        for (unsigned c = 0; c < cuts; c++) {
            if (result.pieces == IMAGE_PIECES) { return false; }
            result.piece[result.pieces++] = cut[c];
        }
    }
    memcpy(image->piece, result.piece, sizeof image->piece);
    image->pieces = result.pieces;
    return true;
}

static struct image_piece piece_of(uint64_t offset, uint64_t size, uint64_t file_offset, bool anonymous,
                                   unsigned prot) {
    return (struct image_piece){offset, size, anonymous ? 0 : file_offset, anonymous, source_prot(prot, !anonymous)};
}

/* The next complete system call of thread TID from the log's position; free call->text. false: end of the log. */
static bool next_call(FILE *log, unsigned tid, struct lackey_call *call, char **line, size_t *room) {
    struct lackey_call begun = {0};
    while (getline(line, room, log) >= 0) {
        if (lackey_is_access(*line) || !lackey_call_parse(*line, call)) { continue; }
        if (call->tid != tid) {
            free(call->text);
            continue;
        }
        if (call->name[0] == '\0' && begun.name[0]) { /* the end of a call that waited */
            bool success = call->success;
            uint64_t result = call->result;
            *call = begun;
            call->complete = true;
            call->success = success;
            call->result = result;
            return true;
        }
        free(begun.text);
        if (call->complete) { return true; }
        begun = *call;
    }
    free(begun.text);
    return false;
}

/* The dynamic loader maps a library whole, then maps each further segment over it; this reads ahead to see them all. */
bool mmap_image(struct process *p, const struct lackey_call *first, const char *path, uint64_t offset_unit) {
    struct image *image = calloc(1, sizeof *image);
    if (!image) { return import_fail(p->importer, "out of memory"); }
    uint64_t start = first->result, size = round_page(first->arg[1]);
    snprintf(image->path, sizeof image->path, "%s", path);
    image->size = size;
    bool good = overlay(image, piece_of(0, size, first->arg[5] * offset_unit, false, (unsigned)first->arg[2]));
    off_t here = ftello(p->log);
    char *line = NULL;
    size_t room = 0;
    struct lackey_call call;
    p->group_left = 0;
    while (good && next_call(p->log, first->tid, &call, &line, &room)) {
        free(call.text);
        bool is_map =
            strncmp(call.name, "mmap", 4) == 0 && call.success && call.args >= 6 && (call.arg[3] & MAP_FLAG_FIXED);
        uint64_t offset = is_map ? call.result - start : 0, length = is_map ? round_page(call.arg[1]) : 0;
        bool anonymous = is_map && (call.arg[3] & MAP_FLAG_ANONYMOUS);
        if (!is_map || call.result < start || offset > size || length > size - offset || call.result & PAGE_MASK ||
            (!anonymous && (uint32_t)call.arg[4] != (uint32_t)first->arg[4])) {
            break;
        }
        good = overlay(image, piece_of(offset, length, call.arg[5] * offset_unit, anonymous, (unsigned)call.arg[2]));
        p->group_left++;
    }
    free(line);
    good = good ? fseeko(p->log, here, SEEK_SET) == 0 && map_image(p, image, start, false)
                : import_fail(p->importer, "%s has more than %d pieces", path, IMAGE_PIECES);
    free(image);
    return good;
}

static bool is_loader(const char *path) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    return strncmp(base, "ld-linux", 8) == 0 || strncmp(base, "ld.so", 5) == 0;
}

static bool is_uninitialised_data(const struct lackey_layout *l, unsigned i) {
    const struct lackey_segment *s = l->segment;
    bool is_heap = i + 1 < l->count && s[i + 1].kind == LACKEY_RESERVE_UP && s[i + 1].start == s[i].end;
    return s[i].kind == LACKEY_ANON && s[i].start == s[i - 1].end && !is_heap;
}

static unsigned segment_prot(const struct lackey_segment *s) {
    return (s->read ? 1u : 0) | (s->write ? 2u : 0) | (s->execute ? 4u : 0);
}

/* Segments FIRST… of one file that follow one another, and the memory without a file behind them. Returns the next. */
static unsigned take_image(const struct lackey_layout *l, unsigned first, bool *in_image, struct image *image) {
    const struct lackey_segment *s = l->segment;
    unsigned i = first;
    for (; i < l->count && image->pieces < IMAGE_PIECES; i++) {
        bool file =
            s[i].kind == LACKEY_FILE && s[i].name == s[first].name && (i == first || s[i].start == s[i - 1].end);
        if (!file && !is_uninitialised_data(l, i)) { break; }
        image->piece[image->pieces++] =
            piece_of(s[i].start - s[first].start, s[i].end - s[i].start, s[i].offset, !file, segment_prot(&s[i]));
        image->size = s[i].end - s[first].start;
        in_image[i] = true;
    }
    snprintf(image->path, sizeof image->path, "%s", l->name[s[first].name] ? l->name[s[first].name] : "unknown");
    return i;
}

bool layout_files(struct process *p, const struct lackey_layout *l, bool *in_image) {
    bool has_main = false;
    struct image *image = malloc(sizeof *image);
    if (!image) { return import_fail(p->importer, "out of memory"); }
    bool good = true;
    for (unsigned i = 0; good && i < l->count;) {
        const struct lackey_segment *s = &l->segment[i];
        if (s->kind != LACKEY_FILE) {
            i++;
            continue;
        }
        const char *path = l->name[s->name] ? l->name[s->name] : "unknown";
        if (s->offset != 0) { /* not from its beginning: a file's data */
            good = map_file(p, path, s->start, s->end - s->start, s->offset, segment_prot(s), false, false);
            in_image[i++] = true;
            continue;
        }
        memset(image, 0, sizeof *image);
        i = take_image(l, i, in_image, image);
        bool is_main = !has_main && !is_loader(path);
        has_main = has_main || is_main;
        good = map_image(p, image, s->start, is_main);
    }
    free(image);
    return good;
}
