/* The index at the end of a .vmt.zst: one zstd skippable frame that says where each frame's text begins. All numbers
 * are little endian. */
#ifndef NTMMU_TRACE_INDEX_H
#define NTMMU_TRACE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VMT_FRAME_TEXT  ((size_t)8 << 20) /* text of one frame, about */
#define VMT_INDEX_MAGIC 0x184D2A5Eu

struct vmt_frame {
    uint64_t offset;      /* of the zstd frame in the file */
    uint32_t length;      /* of the zstd frame */
    uint64_t text_offset; /* of its text in the whole text */
    uint32_t text_length;
    uint64_t first_event; /* number of its first event */
    uint32_t events;
};

struct vmt_index {
    struct vmt_frame *frame;
    uint32_t count;
};

/* The bytes of the whole skippable frame, which stands at OFFSET of the file. malloc'ed; NULL: out of memory. */
unsigned char *vmt_index_encode(const struct vmt_index *index, uint64_t offset, size_t *size);

enum vmt_index_state { VMT_INDEX_NONE, VMT_INDEX_VALID, VMT_INDEX_INVALID };

/* Reads and checks the index of the file PATH: its own form, that the frames follow one another from the file's first
 * byte to the index without a gap, that each is a zstd frame of that length, and text and event numbers add up. WHY
 * says what is wrong. Free index->frame. */
enum vmt_index_state vmt_index_read(const char *path, struct vmt_index *index, char *why, size_t why_size);

#endif
