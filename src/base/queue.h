/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Bounded queue of pointers between threads, and the wake-up descriptor tasks sleep on.
 */
#ifndef RC_QUEUE_H
#define RC_QUEUE_H

#include "base/clock.h"

typedef struct rc_queue rc_queue;

/** At most `max` items. `name` appears in assertions. */
rc_queue *rc_queue_new(const char *name, size_t max, rc_clock *clock);
/** The queue must be empty. NULL is allowed. */
void rc_queue_free(rc_queue *q);
/** Adds an item; waits while full until `deadline_ns` (mono; 0 = do not wait).
 *  @return 0, -OMC_EAGAIN (full) or -OMC_ECANCELED (closed). */
int rc_queue_push(rc_queue *q, void *item, int64_t deadline_ns);
/** Takes the oldest item; waits while empty until `deadline_ns` (0 = do not wait).
 *  @return 0, -OMC_EAGAIN (empty) or -OMC_ECANCELED (closed and empty). */
int rc_queue_pop(rc_queue *q, void **ret, int64_t deadline_ns);
/** No more pushes; waiters wake up. */
void rc_queue_close(rc_queue *q);
size_t rc_queue_len(rc_queue *q);

/** A descriptor that is readable while set: an eventfd. All functions: any thread. */
typedef struct rc_wake {
    int fd;
} rc_wake;
int rc_wake_init(rc_wake *wake, rc_error *err);
void rc_wake_release(rc_wake *wake);
void rc_wake_set(rc_wake *wake);
void rc_wake_clear(rc_wake *wake);

#endif
