/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O thread. Posts have a queue of their own in front of the loop's: many of them cost one
 * wake-up, and what the I/O thread posts to itself cannot fail or wait when the loop's is full.
 *
 * Starting and ending happen under one lock, so that a client opened while the last one closes
 * gets a new thread, not a dying one. The I/O thread never takes that lock.
 */
#include "rocketmq/io.h"

#include "base/clock.h"
#include "base/thread.h"

#define POSTS_MAX 65536
#define STACK_BYTES ((size_t)512 << 10) /* Callbacks of applications run on it. */

struct post {
    rc_loop_fn *fn;
    void *arg;
};

struct posts {
    struct post *items;
    size_t count;
    size_t cap;
};

static struct {
    pthread_mutex_t life; /* Guards users and thread. */
    size_t users;
    pthread_t thread;
    rc_loop *loop;      /* Changes under `life` while nobody posts. */
    pthread_mutex_t mu; /* Guards waiting. */
    pthread_cond_t room;
    struct posts waiting;
    struct posts spare; /* I/O thread: memory of the last batch. */
} io = {
    .life = PTHREAD_MUTEX_INITIALIZER,
    .mu = PTHREAD_MUTEX_INITIALIZER,
    .room = PTHREAD_COND_INITIALIZER,
};

static _Thread_local bool here;

bool rmq_io_here(void)
{
    return here;
}

static void *run(void *arg)
{
    here = true;
    rc_loop_run(arg);
    return NULL;
}

int rmq_io_acquire(rc_loop **ret, rc_error *err)
{
    int r = 0;

    RC_ASSERT(!here);
    pthread_mutex_lock(&io.life);
    if (io.users == 0) {
        r = rc_loop_new(&io.loop, err);
        if (r == 0) {
            r = rc_thread_start(&io.thread, "rmq-io", STACK_BYTES, run, io.loop, err);
            if (r < 0)
                rc_loop_free(RC_TAKE(io.loop));
        }
    }
    if (r == 0) {
        io.users++;
        *ret = io.loop;
    }
    pthread_mutex_unlock(&io.life);
    return r;
}

void rmq_io_release(void)
{
    RC_ASSERT(!here);
    pthread_mutex_lock(&io.life);
    RC_ASSERT(io.users > 0);
    if (--io.users == 0) {
        rc_loop_stop(io.loop);
        pthread_join(io.thread, NULL);
        rc_loop_free(RC_TAKE(io.loop));
        RC_ASSERT(io.waiting.count == 0);
        free(RC_TAKE(io.waiting.items));
        free(RC_TAKE(io.spare.items));
        io.waiting.cap = io.spare.cap = 0;
    }
    pthread_mutex_unlock(&io.life);
}

/* Runs what was posted until now; what these post comes in the next turn. */
static void drain(void *arg)
{
    struct posts batch;

    (void)arg;
    pthread_mutex_lock(&io.mu);
    batch = io.waiting;
    io.waiting = io.spare;
    io.waiting.count = 0;
    pthread_cond_broadcast(&io.room);
    pthread_mutex_unlock(&io.mu);

    io.spare = (struct posts){0};
    for (size_t i = 0; i < batch.count; i++)
        batch.items[i].fn(batch.items[i].arg);
    batch.count = 0;
    free(io.spare.items);
    io.spare = batch;
}

void rmq_io_post(rc_loop_fn *fn, void *arg)
{
    struct posts *w = &io.waiting;
    bool first;

    RC_ASSERT(fn);
    pthread_mutex_lock(&io.mu);
    while (!here && w->count >= POSTS_MAX)
        pthread_cond_wait(&io.room, &io.mu);
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->items = rc_realloc(w->items, w->cap * sizeof *w->items);
    }
    w->items[w->count++] = (struct post){fn, arg};
    first = w->count == 1;
    /* Under the lock: the post must be the loop's before the batch can be empty again. */
    if (first)
        RC_ASSERT(rc_loop_post(io.loop, drain, NULL) == 0);
    pthread_mutex_unlock(&io.mu);
}

struct waited {
    rc_loop_fn *fn;
    void *arg;
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
};

static void run_waited(void *arg)
{
    struct waited *w = arg;

    w->fn(w->arg);
    pthread_mutex_lock(&w->mu);
    w->done = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mu);
}

void rmq_io_run(rc_loop_fn *fn, void *arg)
{
    struct waited w = {.fn = fn, .arg = arg};

    RC_ASSERT(!here);
    pthread_mutex_init(&w.mu, NULL);
    rc_cond_init(&w.cond);
    rmq_io_post(run_waited, &w);
    pthread_mutex_lock(&w.mu);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.mu);
    pthread_mutex_unlock(&w.mu);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.mu);
}
