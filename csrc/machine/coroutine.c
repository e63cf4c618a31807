/* Stacks and the switch between them. */
#include "coroutine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/* The C half of boost/context/detail/fcontext.hpp: a context is suspended code; jumping to it suspends the caller and
 * hands its context over. */
typedef void *fcontext_t;
struct transfer {
    fcontext_t from;
    void *data;
};
extern struct transfer jump_fcontext(fcontext_t to, void *data);
extern fcontext_t make_fcontext(void *stack_top, size_t size, void (*entry)(struct transfer));

struct coroutine {
    void (*body)(void *arg);
    void *arg;
    fcontext_t inside, outside; /* whichever is suspended */
    char *mapping;              /* a guard page, then the stack */
    size_t guard;
#ifdef __SANITIZE_ADDRESS__
    void *fake_inside, *fake_outside;
    const void *outside_stack;
    size_t outside_size;
#endif
};

static void entry(struct transfer t) {
    struct coroutine *c = t.data;
    c->outside = t.from;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &c->outside_stack, &c->outside_size);
#endif
    c->body(c->arg);
    abort(); /* bodies do not return */
}

struct coroutine *coroutine_create(void (*body)(void *arg), void *arg) {
    struct coroutine *c = calloc(1, sizeof *c);
    if (!c) { return NULL; }
    c->body = body;
    c->arg = arg;
    c->guard = (size_t)sysconf(_SC_PAGESIZE);
    c->mapping = mmap(NULL, c->guard + COROUTINE_STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (c->mapping == MAP_FAILED || mprotect(c->mapping, c->guard, PROT_NONE)) {
        if (c->mapping != MAP_FAILED) { munmap(c->mapping, c->guard + COROUTINE_STACK_SIZE); }
        free(c);
        return NULL;
    }
    c->inside = make_fcontext(c->mapping + c->guard + COROUTINE_STACK_SIZE, COROUTINE_STACK_SIZE, entry);
    return c;
}

void coroutine_destroy(struct coroutine *c) {
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(c->mapping + c->guard, COROUTINE_STACK_SIZE);
#endif
    munmap(c->mapping, c->guard + COROUTINE_STACK_SIZE);
    free(c);
}

void coroutine_enter(struct coroutine *c) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&c->fake_outside, c->mapping + c->guard, COROUTINE_STACK_SIZE);
#endif
    c->inside = jump_fcontext(c->inside, c).from;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(c->fake_outside, NULL, NULL);
#endif
}

void coroutine_leave(struct coroutine *c) {
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&c->fake_inside, c->outside_stack, c->outside_size);
#endif
    c->outside = jump_fcontext(c->outside, c).from;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(c->fake_inside, &c->outside_stack, &c->outside_size);
#endif
}
