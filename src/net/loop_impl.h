/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the other files of this room need of the loop: libuv's loop, and calls put off until the end
 * of the turn. Loop thread only.
 */
#ifndef RC_LOOP_IMPL_H
#define RC_LOOP_IMPL_H

#include "net/loop.h"

#include <uv.h>

uv_loop_t *rc_loop_uv(rc_loop *loop);
/** Counts objects that must be gone before rc_loop_free(). */
void rc_loop_hold(rc_loop *loop);
void rc_loop_let_go(rc_loop *loop);

/** A call put off; lives in its owner. Zero it, then set fn and arg. */
typedef struct rc_loop_later {
    struct rc_loop_later *prev, *next; /* NULL = not waiting */
    rc_loop_fn *fn;
    void *arg;
} rc_loop_later;
/** Calls it once, after the callbacks of this turn and before the loop waits again: what many
 *  callbacks cause is done once. One that is waiting already stays. */
void rc_loop_call_later(rc_loop *loop, rc_loop_later *later);
void rc_loop_forget_later(rc_loop_later *later);

#endif
