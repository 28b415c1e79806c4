/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The I/O loop: one thread that watches descriptors, timers and signals, on libuv. Nothing in it
 * blocks, and an idle loop does not wake up.
 *
 * All functions belong to the loop's thread, except rc_loop_post() and rc_loop_stop().
 */
#ifndef RC_LOOP_H
#define RC_LOOP_H

#include "base/base.h"

typedef struct rc_loop rc_loop;
typedef struct rc_loop_watch rc_loop_watch;
typedef struct rc_loop_timer rc_loop_timer;
typedef void rc_loop_fn(void *arg);

int rc_loop_new(rc_loop **ret, rc_error *err);
/** Everything watched must be closed before; asserts that nothing is left. */
void rc_loop_free(rc_loop *loop);
/** Runs until rc_loop_stop(). */
void rc_loop_run(rc_loop *loop);
void rc_loop_stop(rc_loop *loop); /**< @thread any */
/** Runs `fn` soon on the loop's thread. At most 65,536 wait. @thread any */
int rc_loop_post(rc_loop *loop, rc_loop_fn *fn, void *arg);

/** Calls `fn` while `fd` is readable. */
int rc_loop_watch_fd(rc_loop *loop, int fd, rc_loop_fn *fn, void *arg, rc_loop_watch **ret,
                     rc_error *err);
void rc_loop_unwatch(rc_loop_watch *watch);
/** One-shot timer, re-armed by each set; ms < 0 disarms. */
int rc_loop_timer_new(rc_loop *loop, rc_loop_fn *fn, void *arg, rc_loop_timer **ret);
void rc_loop_timer_set(rc_loop_timer *timer, int64_t ms);
void rc_loop_timer_free(rc_loop_timer *timer);
/** Calls `fn` on a signal (SIGINT, SIGTERM, SIGHUP). */
int rc_loop_signal(rc_loop *loop, int signum, rc_loop_fn *fn, void *arg, rc_error *err);

#endif
