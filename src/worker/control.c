/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control thread: takes ops, hands them to lifecycle and requests, and sleeps until the next
 * op or deadline. With nothing to wait for it does not wake up.
 */
#include "worker/control.h"

#include "base/diag.h"

rc_op *rc_op_new(rc_op_kind kind)
{
    rc_op *op = rc_calloc(1, sizeof *op);

    op->kind = kind;
    rc_arena_init(&op->arena, 1024);
    return op;
}

void rc_op_free(rc_op *op)
{
    if (!op)
        return;
    rc_arena_release(&op->arena);
    free(op);
}

void rc_control_post(rc_worker *worker, rc_op *op)
{
    rc_op **at;

    pthread_mutex_lock(&worker->mu);
    for (at = &worker->ops; *at; at = &(*at)->next)
        ;
    *at = op;
    pthread_cond_signal(&worker->cond);
    pthread_mutex_unlock(&worker->mu);
}

rc_connector *rc_control_find(rc_worker *worker, const char *name)
{
    rc_connector *c;

    HASH_FIND_STR(worker->connectors, name, c);
    return c;
}

void rc_control_changed(rc_worker *worker)
{
    if (worker->setup.changed)
        worker->setup.changed(worker->setup.changed_arg);
}

int64_t rc_control_now(rc_worker *worker)
{
    return rc_mono_ns(worker->setup.clock);
}

/* The connector whose running or starting generation speaks; NULL when that one is over. */
static rc_connector *speaker(rc_worker *worker, const rc_op *op)
{
    rc_connector *c = rc_control_find(worker, op->connector);
    int64_t number = 0;

    if (c && c->generation)
        number = c->generation->number;
    else if (c && c->phase == RC_STARTING)
        number = c->call->generation_number;
    return number == op->number ? c : NULL;
}

static void raise_error(rc_worker *worker, const rc_op *op)
{
    rc_connector *c = speaker(worker, op);

    if (!c)
        return;
    rc_error_line(c->name, "the connector raised an error: %s", op->err.msg);
    if (c->phase == RC_STARTING)
        c->raised = op->err; /* shown when the start is over */
    else
        rc_lifecycle_state(worker, c, RC_STATE_FAILED, &op->err);
}

static void reconfigure(rc_worker *worker, const rc_op *op)
{
    rc_connector *c = speaker(worker, op);

    if (!c)
        return;
    rc_info(c->name, "the connector asked for new task configurations");
    c->again = true;
    rc_lifecycle_converge(worker, c);
}

static void handle(rc_worker *worker, rc_op *op)
{
    switch (op->kind) {
    case RC_OP_REQUEST:
        rc_requests_handle(worker, op); /* takes the op */
        return;
    case RC_OP_CALL_DONE:
        rc_call_finished(op->call);
        if (op->call->kind == RC_CALL_CHECK)
            rc_requests_checked(worker, op->call);
        else if (op->call->kind == RC_CALL_RELOAD)
            rc_requests_reloaded(op->call);
        else
            rc_lifecycle_call_done(worker, op->call);
        break;
    case RC_OP_TASK_STATE:
        rc_lifecycle_task_state(worker, op);
        break;
    case RC_OP_TASK_ENDED:
        rc_lifecycle_task_ended(worker, op);
        break;
    case RC_OP_RECONFIGURE:
        reconfigure(worker, op);
        break;
    case RC_OP_RAISE:
        raise_error(worker, op);
        break;
    case RC_OP_STORED:
        rc_requests_stored(worker, op);
        break;
    case RC_OP_STORE_CHANGED:
        atomic_store(&worker->store_changed, false);
        rc_requests_look(worker);
        break;
    }
    rc_op_free(op);
}

static int64_t next_deadline(rc_worker *worker)
{
    int64_t deadline = RC_MIN(rc_calls_deadline(worker), rc_lifecycle_deadline(worker));

    deadline = RC_MIN(deadline, rc_requests_deadline(worker));
    return worker->closing ? RC_MIN(deadline, worker->stop_deadline_ns) : deadline;
}

/* Waits for ops until the deadline; @return what came, NULL when it was only time. */
static rc_op *take_ops(rc_worker *worker, bool *ret_stopping)
{
    int64_t deadline = next_deadline(worker);
    rc_op *ops;
    int r = 0;

    pthread_mutex_lock(&worker->mu);
    while (!worker->ops && worker->stopping == *ret_stopping && r != -OMC_ETIMEDOUT)
        r = worker->setup.clock->wait(worker->setup.clock, &worker->cond, &worker->mu, deadline);
    ops = worker->ops;
    worker->ops = NULL;
    for (rc_op *op = ops; op; op = op->next)
        if (op->kind == RC_OP_REQUEST)
            worker->request_count--;
    *ret_stopping = worker->stopping;
    pthread_mutex_unlock(&worker->mu);
    return ops;
}

static void converge_all(rc_worker *worker)
{
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        rc_lifecycle_converge(worker, c);
    }
}

/* What did not stop in time is named and left where it is. */
static void abandon_rest(rc_worker *worker)
{
    rc_connector *c, *next;

    HASH_ITER(hh, worker->connectors, c, next)
    {
        for (size_t i = 0; i < c->slot_count; i++) {
            int64_t ms;

            if (!c->slots[i].task)
                continue;
            rc_error_line(c->name, "task %d did not stop in time (in call '%s'); it is abandoned",
                          c->slots[i].id, rc_task_call(c->slots[i].task, &ms));
            rc_task_abandon(c->slots[i].task);
            c->slots[i].task = NULL;
            worker->abandoned++;
        }
    }
    worker->abandoned += (int)worker->call_count;
}

static void refuse_rest(rc_worker *worker)
{
    rc_op *op, *next;

    pthread_mutex_lock(&worker->mu);
    op = worker->ops;
    worker->ops = NULL;
    pthread_mutex_unlock(&worker->mu);
    for (; op; op = next) {
        next = op->next;
        if (op->kind == RC_OP_REQUEST)
            rc_requests_refuse(op, OMC_ECANCELED, "the worker is stopping");
        else
            rc_op_free(op);
    }
}

/* Any thread. */
static void store_changed(void *arg)
{
    rc_worker *worker = arg;

    if (!atomic_exchange(&worker->store_changed, true))
        rc_control_post(worker, rc_op_new(RC_OP_STORE_CHANGED));
}

void *rc_control_main(void *arg)
{
    rc_worker *worker = arg;
    bool stopping = false;

    rc_store_watch(worker->setup.store, store_changed, worker);
    rc_requests_look(worker); /* what came since the start looked */
    converge_all(worker);
    for (;;) {
        rc_op *op = take_ops(worker, &stopping), *next;

        for (; op; op = next) {
            next = op->next;
            handle(worker, op);
        }
        rc_calls_expire(worker);
        rc_lifecycle_timers(worker);
        rc_requests_timers(worker);
        if (!stopping)
            continue;
        if (!worker->closing) {
            worker->closing = true;
            converge_all(worker);
        }
        if (rc_lifecycle_all_idle(worker) && worker->call_count == 0)
            break;
        if (rc_control_now(worker) >= worker->stop_deadline_ns) {
            abandon_rest(worker);
            break;
        }
    }
    rc_store_watch(worker->setup.store, NULL, NULL);
    rc_requests_abandon(worker);
    refuse_rest(worker);
    return NULL;
}
