/* SPDX-License-Identifier: Apache-2.0 */
/**
 * All signals are blocked in our threads: main alone handles them. The name is set by the thread
 * itself, so that tools see it from its first line of code on.
 */
#include "base/thread.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_FACTOR 8 /* Sanitizers pad every frame. */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_FACTOR 8
#endif
#endif
#ifndef STACK_FACTOR
#define STACK_FACTOR 1
#endif
#define STACK_DEFAULT ((size_t)256 << 10)

struct start {
    char name[16];
    void *(*run)(void *);
    void *arg;
};

static void *thread_main(void *arg)
{
    struct start start = *(struct start *)arg;

    free(arg);
    (void)pthread_setname_np(pthread_self(), start.name);
    return start.run(start.arg);
}

int rc_thread_start(pthread_t *ret, const char *name, size_t stack, void *(*run)(void *), void *arg,
                    rc_error *err)
{
    RC_AUTO_FREE struct start *start = rc_calloc(1, sizeof *start);
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    int failed;

    (void)snprintf(start->name, sizeof start->name, "%.15s", name);
    start->run = run;
    start->arg = arg;
    stack = RC_MAX(RC_MAX(stack, STACK_DEFAULT) * STACK_FACTOR, (size_t)PTHREAD_STACK_MIN);
    RC_ASSERT(pthread_attr_init(&attr) == 0);
    RC_ASSERT(pthread_attr_setstacksize(&attr, (stack + 4095) & ~(size_t)4095) == 0);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    failed = pthread_create(ret, &attr, thread_main, start);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (failed)
        return rc_fail_retriable(err, OMC_EAGAIN,
                                 "start thread '%s': %s; raise the limit of threads (ulimit -u) "
                                 "or run fewer tasks",
                                 name, strerrordesc_np(failed));
    (void)RC_TAKE(start);
    return 0;
}
