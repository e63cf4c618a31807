/* What the generators share: the output. */
#ifndef NTMMU_GEN_PRIV_H
#define NTMMU_GEN_PRIV_H

#include "ntmmu/gen.h"

struct gen {
    const struct gen_config *config;
    struct trace_writer *writer;
    uint64_t events;
    bool failed;
};

/* A line that is none of an event: directive, comment, expectation. */
void gen_note(struct gen *gen, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gen_line(struct gen *gen, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gen_event(struct gen *gen, const struct event *event);
/* As many events as were asked for, or it is of no use to go on. */
bool gen_done(const struct gen *gen);

void gen_nt(struct gen *gen);
void gen_mmu(struct gen *gen);

#endif
