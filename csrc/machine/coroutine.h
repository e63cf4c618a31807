/* A stack of its own for code that may have to wait: a thin wrapper over Boost.Context. Switching costs some
 * nanoseconds and no system call. */
#ifndef NTMMU_COROUTINE_H
#define NTMMU_COROUTINE_H

#define COROUTINE_STACK_SIZE (256u << 10)

struct coroutine;

/* NULL if the host has no memory. The body is entered at the first coroutine_enter and must never return. */
struct coroutine *coroutine_create(void (*body)(void *arg), void *arg);
void coroutine_destroy(struct coroutine *c); /* wherever its body stands */
void coroutine_enter(struct coroutine *c);   /* its body goes on until it leaves */
void coroutine_leave(struct coroutine *c);   /* called by the body: back to who entered */

#endif
