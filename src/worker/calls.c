/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls into connector plugins (validate, start, task configs, stop): each on a thread of its
 * own that lives only as long as the call, at most RC_CALLS_MAX at a time, one per connector. A
 * call that passes its deadline is abandoned: its thread stays, its result is thrown away, and so
 * the worker it may still look at stays in memory too.
 */
#include "worker/control.h"

#include "base/diag.h"

#include <utlist.h>

rc_call *rc_call_new(rc_worker *worker, rc_call_kind kind, const char *connector,
                     int64_t incarnation)
{
    rc_call *call = rc_calloc(1, sizeof *call);

    call->kind = kind;
    call->worker = worker;
    call->connector = rc_strdup(connector);
    call->incarnation = incarnation;
    rc_arena_init(&call->arena, 4096);
    rc_problems_init(&call->problems, &call->arena.pub);
    return call;
}

void rc_call_free(rc_call *call)
{
    rc_arena_release(&call->arena);
    rc_fence_unref(call->fence);
    free(call->connector);
    free(call);
}

static void *call_main(void *arg)
{
    rc_call *call = arg;
    rc_worker *worker = call->worker;
    rc_op *op;
    bool abandoned;

    switch (call->kind) {
    case RC_CALL_CHECK:
        rc_generation_check(call);
        break;
    case RC_CALL_START:
        rc_generation_start(call);
        break;
    case RC_CALL_STOP:
        rc_generation_stop(call);
        break;
    case RC_CALL_RELOAD:
        rc_generation_reload(call);
        break;
    case RC_CALL_VERIFY:
        rc_units_verify(call);
        break;
    }
    pthread_mutex_lock(&worker->mu);
    abandoned = call->abandoned;
    call->done = true;
    pthread_mutex_unlock(&worker->mu);
    if (abandoned)
        return NULL; /* nobody waits; the call and what it made stay in memory */
    op = rc_op_new(RC_OP_CALL_DONE);
    op->call = call;
    rc_control_post(worker, op);
    return NULL;
}

static void run(rc_call *call)
{
    pthread_t thread;
    rc_error err = {0};
    rc_op *op;

    call->running = true;
    call->deadline_ns = rc_control_now(call->worker) + call->timeout_ms * 1000000;
    call->worker->call_count++;
    call->worker->start_count += call->kind == RC_CALL_START;
    if (rc_thread_start(&thread, "call", (size_t)512 << 10, call_main, call, &err) == 0) {
        pthread_detach(thread);
        return;
    }
    rc_error_line(call->connector, "cannot start a thread for a plugin call: %s", err.msg);
    call->result = -err.code;
    call->err = err;
    call->done = true;
    op = rc_op_new(RC_OP_CALL_DONE);
    op->call = call;
    rc_control_post(call->worker, op);
}

/* Starts that hang must not keep others from being checked, stopped and deleted. */
static bool has_room(const rc_worker *worker, const rc_call *call)
{
    return worker->call_count < RC_CALLS_MAX &&
           (call->kind != RC_CALL_START || worker->start_count < RC_STARTS_MAX);
}

void rc_call_submit(rc_call *call, int64_t timeout_ms)
{
    rc_worker *worker = call->worker;

    call->timeout_ms = timeout_ms;
    DL_APPEND(worker->calls, call);
    if (has_room(worker, call))
        run(call);
}

void rc_call_finished(rc_call *call)
{
    rc_worker *worker = call->worker;
    rc_call *waiting;

    DL_DELETE(worker->calls, call);
    worker->call_count--;
    worker->start_count -= call->kind == RC_CALL_START;
    DL_FOREACH(worker->calls, waiting)
    {
        if (!waiting->running && has_room(worker, waiting))
            run(waiting);
    }
}

void rc_calls_expire(rc_worker *worker)
{
    int64_t now = rc_control_now(worker);
    rc_call *call, *next;

    DL_FOREACH_SAFE(worker->calls, call, next)
    {
        bool late = false;

        pthread_mutex_lock(&worker->mu);
        if (call->running && !call->done && now >= call->deadline_ns)
            late = call->abandoned = true;
        pthread_mutex_unlock(&worker->mu);
        if (!late)
            continue;
        worker->abandoned++;
        rc_call_finished(call);
        rc_lifecycle_call_expired(worker, call);
    }
}

/* Nobody wants the result any more: the call gets no longer than a stop may take. */
void rc_call_hurry(rc_call *call)
{
    int64_t stop_ms = call->worker->setup.config->stop_timeout_ms;

    call->timeout_ms = RC_MIN(call->timeout_ms, stop_ms);
    if (call->running)
        call->deadline_ns =
            RC_MIN(call->deadline_ns, rc_control_now(call->worker) + stop_ms * 1000000);
}

int64_t rc_calls_deadline(rc_worker *worker)
{
    int64_t deadline = INT64_MAX;
    rc_call *call;

    DL_FOREACH(worker->calls, call)
    {
        if (call->running)
            deadline = RC_MIN(deadline, call->deadline_ns);
    }
    return deadline;
}
