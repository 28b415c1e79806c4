/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's public face: start, stop, and the door for requests. */
#include "worker/control.h"

#include "base/diag.h"

static int load_one(void *arg, const rc_stored_connector *stored)
{
    (void)rc_lifecycle_add(arg, stored);
    return 0;
}

static void worker_free(rc_worker *worker)
{
    rc_connector *c, *next;

    rc_requests_unlink(worker);

    HASH_ITER(hh, worker->connectors, c, next)
    {
        HASH_DEL(worker->connectors, c);
        rc_lifecycle_free(c);
    }
    pthread_cond_destroy(&worker->cond);
    pthread_mutex_destroy(&worker->mu);
    free(worker);
}

int rc_worker_start(const rc_worker_setup *setup, rc_worker **ret, rc_error *err)
{
    rc_worker *worker = rc_calloc(1, sizeof *worker);
    int r;

    worker->setup = *setup;
    worker->started_ms = rc_now_ms(setup->clock);
    pthread_mutex_init(&worker->mu, NULL);
    rc_cond_init(&worker->cond);
    atomic_init(&worker->store_changed, false);
    worker->link = rc_calloc(1, sizeof *worker->link);
    worker->link->worker = worker;
    pthread_mutex_init(&worker->link->mu, NULL);
    r = rc_store_each(setup->store, load_one, worker, err);
    if (r == 0)
        r = rc_thread_start(&worker->thread, "control", (size_t)512 << 10, rc_control_main, worker,
                            err);
    if (r < 0) {
        worker_free(worker);
        return rc_wrap(err, r, "start the worker");
    }
    *ret = worker;
    return 0;
}

int rc_worker_stop(rc_worker *worker, int64_t timeout_ms)
{
    int abandoned;

    pthread_mutex_lock(&worker->mu);
    worker->stopping = true;
    worker->stop_deadline_ns = rc_mono_ns(worker->setup.clock) + timeout_ms * 1000000;
    pthread_cond_signal(&worker->cond);
    pthread_mutex_unlock(&worker->mu);
    pthread_join(worker->thread, NULL);
    abandoned = worker->abandoned;
    /* An abandoned task may come back and look at the worker: it stays. */
    if (abandoned == 0)
        worker_free(worker);
    return abandoned;
}

/* ---- requests ---- */

static const char *copy_text(omc_arena *arena, const char *text)
{
    return text ? omc_copy(arena, text, strlen(text)) : NULL;
}

static const char *const *copy_texts(omc_arena *arena, const char *const *texts)
{
    size_t n = 0;
    const char **copy;

    if (!texts)
        return NULL;
    while (texts[n])
        n++;
    copy = omc_alloc(arena, (n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = copy_text(arena, texts[i]);
    copy[n] = NULL;
    return copy;
}

static rc_op *op_of(const rc_request *request)
{
    static const omc_keyvalue empty = {0};
    rc_op *op = rc_op_new(RC_OP_REQUEST);
    omc_arena *arena = &op->arena.pub;

    op->request = *request;
    op->request.connector = copy_text(arena, request->connector ? request->connector : "");
    op->request.config = rc_kv_copy(request->config ? request->config : &empty, arena);
    op->request.remove = copy_texts(arena, request->remove);
    return op;
}

int rc_worker_post(rc_worker *worker, const rc_request *request, rc_error *err)
{
    rc_op *op = op_of(request), **at;
    int r = 0;

    pthread_mutex_lock(&worker->mu);
    if (worker->stopping)
        r = rc_fail(err, OMC_ECANCELED, "the worker is stopping");
    else if (worker->request_count >= RC_REQUESTS_MAX)
        r = rc_fail_retriable(err, OMC_EAGAIN, "%d requests wait already; try again later",
                              RC_REQUESTS_MAX);
    if (r == 0) {
        worker->request_count++;
        for (at = &worker->ops; *at; at = &(*at)->next)
            ;
        *at = op;
        pthread_cond_signal(&worker->cond);
    }
    pthread_mutex_unlock(&worker->mu);
    if (r < 0)
        rc_op_free(op);
    return r;
}

typedef struct waiter {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    bool done;
    int result;
    rc_error err;
    rc_reply_fn *then;
    void *arg;
} waiter;

static void answered(const rc_reply *reply, void *arg)
{
    waiter *wait = arg;

    if (wait->then)
        wait->then(reply, wait->arg);
    pthread_mutex_lock(&wait->mu);
    wait->result = reply->result;
    wait->err = reply->err;
    wait->done = true;
    pthread_cond_signal(&wait->cond);
    pthread_mutex_unlock(&wait->mu);
}

int rc_worker_call(rc_worker *worker, const rc_request *request, rc_error *err)
{
    waiter wait = {.mu = PTHREAD_MUTEX_INITIALIZER,
                   .cond = PTHREAD_COND_INITIALIZER,
                   .then = request->done,
                   .arg = request->arg};
    rc_request copy = *request;
    int r;

    copy.done = answered;
    copy.arg = &wait;
    r = rc_worker_post(worker, &copy, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&wait.mu);
    while (!wait.done)
        pthread_cond_wait(&wait.cond, &wait.mu);
    pthread_mutex_unlock(&wait.mu);
    if (wait.result < 0 && err)
        *err = wait.err;
    return wait.result;
}

const rc_worker_config *rc_worker_config_of(const rc_worker *worker)
{
    return worker->setup.config;
}

rc_registry *rc_worker_registry(const rc_worker *worker)
{
    return worker->setup.registry;
}

rc_log *rc_worker_log(const rc_worker *worker)
{
    return worker->setup.log;
}

int64_t rc_worker_started_ms(const rc_worker *worker)
{
    return worker->started_ms;
}
