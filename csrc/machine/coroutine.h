/* A stack of its own for code that may have to wait. Switching costs a few instructions and no system call. */
#ifndef NTMMU_COROUTINE_H
#define NTMMU_COROUTINE_H

#define COROUTINE_STACK_SIZE (256u << 10)

struct coroutine;

/* NULL if the host has no memory. */
struct coroutine *coroutine_create(void (*body)(void *arg), void *arg);
void coroutine_destroy(struct coroutine *c); /* wherever its body stands */
/* Its body goes on until it returns or leaves; once it has returned, it begins again. */
void coroutine_enter(struct coroutine *c);
void coroutine_leave(struct coroutine *c); /* called by the body: back to who entered */

#endif
