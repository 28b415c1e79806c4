/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A ring under one mutex with two conditions. The ring starts small and doubles up to the
 * maximum, so that a queue that may hold much but seldom does costs little.
 */
#include "base/queue.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct rc_queue {
    const char *name;
    rc_clock *clock;
    size_t max;
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    pthread_cond_t not_full;
    void **ring; /* This and the rest: guarded by lock. */
    size_t cap;
    size_t head; /* Of the oldest item. */
    size_t len;
    bool closed;
};

rc_queue *rc_queue_new(const char *name, size_t max, rc_clock *clock)
{
    rc_queue *q = rc_calloc(1, sizeof *q);

    RC_ASSERT(max > 0);
    q->name = name;
    q->clock = clock;
    q->max = max;
    q->cap = RC_MIN(max, (size_t)16);
    q->ring = rc_calloc(q->cap, sizeof *q->ring);
    pthread_mutex_init(&q->lock, NULL);
    rc_cond_init(&q->not_empty);
    rc_cond_init(&q->not_full);
    return q;
}

void rc_queue_free(rc_queue *q)
{
    if (!q)
        return;
    if (q->len > 0)
        rc_assert_failed("queue is empty when freed", q->name, (int)q->len, __func__);
    pthread_cond_destroy(&q->not_full);
    pthread_cond_destroy(&q->not_empty);
    pthread_mutex_destroy(&q->lock);
    free(q->ring);
    free(q);
}

/* Doubles the ring. @locks q->lock held */
static void ring_grow(rc_queue *q)
{
    size_t cap = RC_MIN(q->cap * 2, q->max);
    void **ring = rc_calloc(cap, sizeof *ring);

    RC_ASSERT(q->cap > 0 && q->cap < cap);
    for (size_t i = 0; i < q->len; i++)
        ring[i] = q->ring[(q->head + i) % q->cap];
    free(q->ring);
    q->ring = ring;
    q->cap = cap;
    q->head = 0;
}

/* Waits on `cond`. @return false when the deadline is over. @locks q->lock held */
static bool queue_wait(rc_queue *q, pthread_cond_t *cond, int64_t deadline_ns)
{
    return deadline_ns != 0 && q->clock->wait(q->clock, cond, &q->lock, deadline_ns) == 0;
}

/* @locks q->lock held */
static int push_locked(rc_queue *q, void *item, int64_t deadline_ns)
{
    bool more = true;

    while (!q->closed && q->len == q->max) {
        if (!more)
            return -OMC_EAGAIN;
        more = queue_wait(q, &q->not_full, deadline_ns);
    }
    if (q->closed)
        return -OMC_ECANCELED;
    if (q->len == q->cap)
        ring_grow(q);
    q->ring[(q->head + q->len) % q->cap] = item;
    q->len++;
    pthread_cond_signal(&q->not_empty);
    return 0;
}

int rc_queue_push(rc_queue *q, void *item, int64_t deadline_ns)
{
    int r;

    pthread_mutex_lock(&q->lock);
    r = push_locked(q, item, deadline_ns);
    pthread_mutex_unlock(&q->lock);
    return r;
}

/* @locks q->lock held */
static int pop_locked(rc_queue *q, void **ret, int64_t deadline_ns)
{
    bool more = true;

    while (q->len == 0) {
        if (q->closed)
            return -OMC_ECANCELED;
        if (!more)
            return -OMC_EAGAIN;
        more = queue_wait(q, &q->not_empty, deadline_ns);
    }
    *ret = q->ring[q->head];
    q->head = (q->head + 1) % q->cap;
    q->len--;
    pthread_cond_signal(&q->not_full);
    return 0;
}

int rc_queue_pop(rc_queue *q, void **ret, int64_t deadline_ns)
{
    int r;

    pthread_mutex_lock(&q->lock);
    r = pop_locked(q, ret, deadline_ns);
    pthread_mutex_unlock(&q->lock);
    return r;
}

void rc_queue_close(rc_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->not_empty);
    pthread_cond_broadcast(&q->not_full);
    pthread_mutex_unlock(&q->lock);
}

size_t rc_queue_len(rc_queue *q)
{
    size_t len;

    pthread_mutex_lock(&q->lock);
    len = q->len;
    pthread_mutex_unlock(&q->lock);
    return len;
}

/* ---- wake --------------------------------------------------------------------------------- */

int rc_wake_init(rc_wake *wake, rc_error *err)
{
    wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake->fd < 0)
        return rc_fail_errno(err, errno, "make a wake-up descriptor (eventfd)");
    return 0;
}

void rc_wake_release(rc_wake *wake)
{
    if (wake->fd >= 0)
        (void)close(wake->fd);
    wake->fd = -1;
}

void rc_wake_set(rc_wake *wake)
{
    uint64_t one = 1;
    ssize_t n;

    do
        n = write(wake->fd, &one, sizeof one);
    while (n < 0 && errno == EINTR);
    /* EAGAIN: the counter is at its maximum, so it is set. */
    RC_ASSERT(n == (ssize_t)sizeof one || errno == EAGAIN);
}

void rc_wake_clear(rc_wake *wake)
{
    uint64_t count;
    ssize_t n;

    do
        n = read(wake->fd, &count, sizeof count);
    while (n < 0 && errno == EINTR);
    RC_ASSERT(n == (ssize_t)sizeof count || errno == EAGAIN);
}
