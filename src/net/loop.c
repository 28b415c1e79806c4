/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The I/O loop on libuv. Everything a user holds (watch, timer) is one heap object around one uv
 * handle; closing is asynchronous in libuv, so the object is freed in its close callback and only
 * a counter is kept here: rc_loop_free() asserts that it is zero.
 *
 * Posting from other threads is a locked array and one uv_async (an eventfd), so an idle loop
 * sleeps in epoll_wait without a timeout. libuv's thread pool, which starts with its first use, is
 * for looking up names only (conn.c); of its threads half may do so, and two are wanted: a dead
 * name server of one name must not keep all others waiting.
 */
#include "net/loop_impl.h"

#include <pthread.h>
#include <stdatomic.h>

#define POSTS_MAX 65536
#define SIGNALS_MAX 8

struct post {
    rc_loop_fn *fn;
    void *arg;
};

struct posts {
    struct post *items;
    size_t count;
    size_t cap;
};

struct loop_signal {
    uv_signal_t uv;
    rc_loop_fn *fn;
    void *arg;
};

struct rc_loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_check_t check;     /* Behind the callbacks of descriptors, */
    uv_prepare_t prepare; /* and of timers: what they put off is called. */
    uv_idle_t idle;       /* Started while `later` is not empty: the loop does not wait then. */
    rc_loop_later later;  /* Head of a ring, */
    rc_loop_later mark;   /* and where a run of it ends. */
    atomic_bool stop;     /* Asked to end; consumed by the run it ends. */
    size_t open;          /* Watches, timers and connections not given back. */
    size_t signal_count;
    struct loop_signal signals[SIGNALS_MAX];
    struct posts running; /* Loop thread only: what is being called. */
    pthread_mutex_t mu;   /* Guards waiting. */
    struct posts waiting;
};

struct rc_loop_watch {
    uv_poll_t uv;
    rc_loop *loop;
    rc_loop_fn *fn;
    void *arg;
};

struct rc_loop_timer {
    uv_timer_t uv;
    rc_loop *loop;
    rc_loop_fn *fn;
    void *arg;
};

/* libuv's errors are negated errno values on Linux. */
static int fail_uv(rc_error *err, int uv, const char *what)
{
    return rc_fail_errno(err, -uv, "%s", what);
}

/* Calls what was posted until now; what these post comes in the next turn, so that descriptors
 * are not starved. */
static void run_posts(rc_loop *loop)
{
    struct posts batch;

    pthread_mutex_lock(&loop->mu);
    batch = loop->waiting;
    loop->waiting = loop->running;
    loop->waiting.count = 0;
    pthread_mutex_unlock(&loop->mu);

    /* Until it is done the batch belongs to this call alone: a nested run has its own. */
    loop->running = (struct posts){0};
    for (size_t i = 0; i < batch.count; i++)
        batch.items[i].fn(batch.items[i].arg);

    free(loop->running.items);
    batch.count = 0;
    loop->running = batch;
}

static void on_async(uv_async_t *async)
{
    rc_loop *loop = async->data;

    run_posts(loop);
    if (atomic_exchange(&loop->stop, false))
        uv_stop(&loop->uv);
}

static void on_check(uv_check_t *check);
static void on_prepare(uv_prepare_t *prepare);

/* None of these can fail; they alone do not keep the loop running. */
static void make_later(rc_loop *loop)
{
    (void)uv_check_init(&loop->uv, &loop->check);
    (void)uv_prepare_init(&loop->uv, &loop->prepare);
    (void)uv_idle_init(&loop->uv, &loop->idle);
    loop->check.data = loop->prepare.data = loop->idle.data = loop;
    (void)uv_check_start(&loop->check, on_check);
    (void)uv_prepare_start(&loop->prepare, on_prepare);
    uv_unref((uv_handle_t *)&loop->check);
    uv_unref((uv_handle_t *)&loop->prepare);
    loop->later.next = loop->later.prev = &loop->later;
}

int rc_loop_new(rc_loop **ret, rc_error *err)
{
    rc_loop *loop;
    int r;

    RC_ASSERT(ret);
    (void)setenv("UV_THREADPOOL_SIZE", "4", 0);
    loop = rc_calloc(1, sizeof *loop);
    r = uv_loop_init(&loop->uv);
    if (r < 0) {
        free(loop);
        return fail_uv(err, r, "make the I/O loop");
    }
    r = uv_async_init(&loop->uv, &loop->async, on_async);
    if (r < 0) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return fail_uv(err, r, "make the I/O loop's wake-up");
    }
    loop->async.data = loop;
    make_later(loop);
    pthread_mutex_init(&loop->mu, NULL);
    *ret = loop;
    return 0;
}

void rc_loop_free(rc_loop *loop)
{
    if (!loop)
        return;
    /* Posts that came after the last run still own what they carry. */
    while (loop->waiting.count)
        run_posts(loop);
    RC_ASSERT(loop->open == 0);

    for (size_t i = 0; i < loop->signal_count; i++)
        uv_close((uv_handle_t *)&loop->signals[i].uv, NULL);
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->check, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->idle, NULL);
    /* Only closing is left, and lookups of names that nobody waits for: returns when done. */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    RC_ASSERT(uv_loop_close(&loop->uv) == 0);
    pthread_mutex_destroy(&loop->mu);
    free(loop->waiting.items);
    free(loop->running.items);
    free(loop);
}

void rc_loop_run(rc_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void rc_loop_stop(rc_loop *loop)
{
    atomic_store(&loop->stop, true);
    (void)uv_async_send(&loop->async);
}

int rc_loop_post(rc_loop *loop, rc_loop_fn *fn, void *arg)
{
    struct posts *w = &loop->waiting;

    RC_ASSERT(fn);
    pthread_mutex_lock(&loop->mu);
    if (w->count == POSTS_MAX) {
        pthread_mutex_unlock(&loop->mu);
        return -OMC_EAGAIN;
    }
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 16;
        w->items = rc_realloc(w->items, w->cap * sizeof *w->items);
    }
    w->items[w->count++] = (struct post){fn, arg};
    pthread_mutex_unlock(&loop->mu);
    (void)uv_async_send(&loop->async);
    return 0;
}

/* ---- for the other files of this room -------------------------------------------------------- */

uv_loop_t *rc_loop_uv(rc_loop *loop)
{
    return &loop->uv;
}

void rc_loop_hold(rc_loop *loop)
{
    loop->open++;
}

void rc_loop_let_go(rc_loop *loop)
{
    RC_ASSERT(loop->open > 0);
    loop->open--;
}

/* Calls what was put off until now. What these put off again waits for the next turn, so that
 * descriptors are not starved. */
static void run_later(rc_loop *loop)
{
    rc_loop_later *mark = &loop->mark;

    if (loop->later.next == &loop->later)
        return;
    mark->prev = loop->later.prev;
    mark->next = &loop->later;
    mark->prev->next = loop->later.prev = mark;
    while (loop->later.next != mark) {
        rc_loop_later *later = loop->later.next;

        rc_loop_forget_later(later);
        later->fn(later->arg);
    }
    rc_loop_forget_later(mark);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* That it is there keeps the loop from waiting. */
}

static void on_check(uv_check_t *check)
{
    run_later(check->data);
}

static void on_prepare(uv_prepare_t *prepare)
{
    rc_loop *loop = prepare->data;

    run_later(loop);
    if (loop->later.next == &loop->later)
        (void)uv_idle_stop(&loop->idle);
    else
        (void)uv_idle_start(&loop->idle, on_idle);
}

void rc_loop_call_later(rc_loop *loop, rc_loop_later *later)
{
    if (later->next)
        return;
    later->prev = loop->later.prev;
    later->next = &loop->later;
    later->prev->next = loop->later.prev = later;
}

void rc_loop_forget_later(rc_loop_later *later)
{
    if (!later->next)
        return;
    later->prev->next = later->next;
    later->next->prev = later->prev;
    later->prev = later->next = NULL;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* An error on the descriptor is told like readiness: the owner's next read finds out what. */
static void on_poll(uv_poll_t *poll, int status, int events)
{
    rc_loop_watch *watch = poll->data;

    (void)status;
    (void)events;
    watch->fn(watch->arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int rc_loop_watch_fd(rc_loop *loop, int fd, rc_loop_fn *fn, void *arg, rc_loop_watch **ret,
                     rc_error *err)
{
    rc_loop_watch *watch = rc_calloc(1, sizeof *watch);
    int r = uv_poll_init(&loop->uv, &watch->uv, fd);

    if (r < 0) {
        free(watch);
        return fail_uv(err, r, "watch a descriptor");
    }
    watch->uv.data = watch;
    watch->loop = loop;
    watch->fn = fn;
    watch->arg = arg;
    r = uv_poll_start(&watch->uv, UV_READABLE, on_poll);
    if (r < 0) {
        uv_close((uv_handle_t *)&watch->uv, on_watch_closed);
        return fail_uv(err, r, "watch a descriptor");
    }
    loop->open++;
    *ret = watch;
    return 0;
}

void rc_loop_unwatch(rc_loop_watch *watch)
{
    if (!watch)
        return;
    RC_ASSERT(watch->loop->open > 0);
    watch->loop->open--;
    uv_close((uv_handle_t *)&watch->uv, on_watch_closed);
}

/* ---- timers --------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *uv)
{
    rc_loop_timer *timer = uv->data;

    timer->fn(timer->arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

int rc_loop_timer_new(rc_loop *loop, rc_loop_fn *fn, void *arg, rc_loop_timer **ret)
{
    rc_loop_timer *timer = rc_calloc(1, sizeof *timer);

    (void)uv_timer_init(&loop->uv, &timer->uv); /* Cannot fail. */
    timer->uv.data = timer;
    timer->loop = loop;
    timer->fn = fn;
    timer->arg = arg;
    loop->open++;
    *ret = timer;
    return 0;
}

void rc_loop_timer_set(rc_loop_timer *timer, int64_t ms)
{
    if (ms < 0) {
        (void)uv_timer_stop(&timer->uv);
        return;
    }
    /* The loop's time is that of its last wake-up; a timer set now counts from now. */
    uv_update_time(&timer->loop->uv);
    (void)uv_timer_start(&timer->uv, on_timer, (uint64_t)ms, 0);
}

void rc_loop_timer_free(rc_loop_timer *timer)
{
    if (!timer)
        return;
    RC_ASSERT(timer->loop->open > 0);
    timer->loop->open--;
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

/* ---- signals -------------------------------------------------------------------------------- */

static void on_signal(uv_signal_t *uv, int signum)
{
    struct loop_signal *s = uv->data;

    (void)signum;
    s->fn(s->arg);
}

int rc_loop_signal(rc_loop *loop, int signum, rc_loop_fn *fn, void *arg, rc_error *err)
{
    struct loop_signal *s;
    int r;

    RC_ASSERT(loop->signal_count < SIGNALS_MAX);
    s = &loop->signals[loop->signal_count];
    s->fn = fn;
    s->arg = arg;
    s->uv.data = s;
    r = uv_signal_init(&loop->uv, &s->uv);
    if (r < 0)
        return fail_uv(err, r, "watch a signal");
    s->uv.data = s;
    loop->signal_count++; /* From here rc_loop_free() closes it. */
    r = uv_signal_start(&s->uv, on_signal, signum);
    if (r < 0)
        return fail_uv(err, r, "watch a signal");
    return 0;
}
