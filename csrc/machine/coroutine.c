/* Stacks and the switch between them. */
#include "coroutine.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* gcc says it by a macro, clang by a feature. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define COROUTINE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define COROUTINE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* ---- the switch: suspends the caller, whose place goes to *from, and goes on at `to` ---- */

#ifdef __x86_64__

typedef void *place_t; /* a stack pointer; on the stack: where to go on, RBP, the red zone */

/* Inline, and with jumps only: a processor predicts returns by the calls it saw, and every return up to the trace's
 * next event would be mispredicted if a switch changed their order. What a call preserves is saved by the compiler, as
 * far as it is in use. */
__attribute__((always_inline)) static inline void switch_to(place_t *from, place_t to, void *arg) {
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t"
                     "push %%rbp\n\t"
                     "lea 1f(%%rip), %%rax\n\t"
                     "push %%rax\n\t"
                     "mov %%rsp, (%%rsi)\n\t"
                     "mov %%rdx, %%rsp\n\t"
                     "pop %%rax\n\t"
                     "jmp *%%rax\n"
                     "1:\n\t"
                     "pop %%rbp\n\t"
                     "lea 128(%%rsp), %%rsp"
                     : "+S"(from), "+d"(to), "+D"(arg)
                     :
                     : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory", "cc",
                       "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15");
}

/* entry(c) will find the stack as after a call that it cannot return from: its argument is the switch's. */
static place_t first_place(char *top, void (*entry)(struct coroutine *c)) {
    void **stack = (void **)top - 4; /* 16 bytes aligned, but for the return address */
    memcpy(stack, &entry, sizeof entry);
    stack[1] = NULL;
    return stack;
}

#else /* by Boost.Context; the C half of boost/context/detail/fcontext.hpp */

typedef void *place_t;
struct transfer {
    place_t from;
    void *data;
};
extern struct transfer jump_fcontext(place_t to, void *data);
extern place_t make_fcontext(void *stack_top, size_t size, void (*entry)(struct transfer));

struct switching {
    place_t *from;
    void *arg;
};

static inline void switch_to(place_t *from, place_t to, void *arg) {
    struct switching switching = {from, arg};
    struct transfer t = jump_fcontext(to, &switching);
    *((struct switching *)t.data)->from = t.from;
}

static void entry(struct coroutine *c);
static void entered(struct transfer t) {
    struct switching *switching = t.data;
    *switching->from = t.from;
    entry(switching->arg);
}

static place_t first_place(char *top, void (*entry)(struct coroutine *c)) {
    (void)entry;
    return make_fcontext(top, COROUTINE_STACK_SIZE, entered);
}

#endif

struct coroutine {
    void (*body)(void *arg);
    void *arg;
    place_t inside, outside; /* whichever is suspended */
    char *mapping;           /* a guard page, then the stack */
    size_t guard;
#ifdef COROUTINE_ASAN
    void *fake_inside, *fake_outside;
    const void *outside_stack;
    size_t outside_size;
#endif
#ifdef COROUTINE_TSAN
    void *inside_fiber, *outside_fiber;
#endif
};

/* ---- both ways ---- */

__attribute__((always_inline)) static inline void leave(struct coroutine *c) {
#ifdef COROUTINE_ASAN
    __sanitizer_start_switch_fiber(&c->fake_inside, c->outside_stack, c->outside_size);
#endif
#ifdef COROUTINE_TSAN
    __tsan_switch_to_fiber(c->outside_fiber, 0);
#endif
    switch_to(&c->inside, c->outside, c);
#ifdef COROUTINE_ASAN
    __sanitizer_finish_switch_fiber(c->fake_inside, &c->outside_stack, &c->outside_size);
#endif
}

static void entry(struct coroutine *c) {
#ifdef COROUTINE_ASAN
    __sanitizer_finish_switch_fiber(NULL, &c->outside_stack, &c->outside_size);
#endif
    for (;;) {
        c->body(c->arg);
        leave(c);
    }
}

void coroutine_leave(struct coroutine *c) { leave(c); }

void coroutine_enter(struct coroutine *c) {
#ifdef COROUTINE_ASAN
    __sanitizer_start_switch_fiber(&c->fake_outside, c->mapping + c->guard, COROUTINE_STACK_SIZE);
#endif
#ifdef COROUTINE_TSAN
    c->outside_fiber = __tsan_get_current_fiber(); /* any thread may enter */
    __tsan_switch_to_fiber(c->inside_fiber, 0);
#endif
    switch_to(&c->outside, c->inside, c);
#ifdef COROUTINE_ASAN
    __sanitizer_finish_switch_fiber(c->fake_outside, NULL, NULL);
#endif
}

/* ---- making them ---- */

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
#ifdef COROUTINE_TSAN
    c->inside_fiber = __tsan_create_fiber(0);
#endif
    c->inside = first_place(c->mapping + c->guard + COROUTINE_STACK_SIZE, entry);
    return c;
}

void coroutine_destroy(struct coroutine *c) {
#ifdef COROUTINE_ASAN
    __asan_unpoison_memory_region(c->mapping + c->guard, COROUTINE_STACK_SIZE);
#endif
#ifdef COROUTINE_TSAN
    __tsan_destroy_fiber(c->inside_fiber);
#endif
    munmap(c->mapping, c->guard + COROUTINE_STACK_SIZE);
    free(c);
}
