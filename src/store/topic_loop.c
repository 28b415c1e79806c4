/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread `rc-state`. Writes come in as ops: each becomes a record with the connector's next
 * rank, is sent, and answered when the consumer brings it back and the fold has judged it. Of one
 * connector there is one write under way; one that finds its rank taken is decided again on what
 * is there now.
 *
 * A void record spoils its key: compaction, or a Java runtime, would take it for the last word. Who
 * wrote it writes what counts once more at once; who only sees it does so with the next round, in
 * case the other one is no more.
 */
#include "store/topic_impl.h"

#include "base/diag.h"
#include "config/options.h"

#include <utlist.h>

/* ---- ops ------------------------------------------------------------------------------------- */

void rc_topic_op_free(rc_topic_op *op)
{
    rc_arena_release(&op->arena);
    free(op);
}

/* [mu] Answers, once, without the lock. */
static void answer(rc_topic_store *store, rc_topic_op *op, int result,
                   const rc_stored_connector *now, const rc_error *err)
{
    rc_stored_done_fn *done = op->done;

    op->done = NULL;
    if (!done)
        return;
    (void)pthread_mutex_unlock(&store->mu);
    done(op->arg, result, now, err);
    (void)pthread_mutex_lock(&store->mu);
}

/* [mu] Answers and takes it off the list; it stays as long as the client has it. */
static void finish(rc_topic_store *store, rc_topic_op *op, int result,
                   const rc_stored_connector *now, const rc_error *err)
{
    DL_DELETE(store->ops, op);
    store->op_count--;
    op->sent = false;
    answer(store, op, result, now, err);
    if (op->in_client)
        op->finished = true;
    else
        rc_topic_op_free(op);
    (void)pthread_cond_broadcast(&store->cond);
}

void rc_topic_op_fail(rc_topic_store *store, rc_topic_op *op, int result, const rc_error *err)
{
    store->settle = store->settle || op->tries > 0; /* what it has left in the topic is void */
    finish(store, op, result, NULL, err);
}

/* [mu] With what is stored now. */
static void succeed(rc_topic_store *store, rc_topic_op *op)
{
    const rc_shared_connector *c = rc_shared_find(store->shared, op->name);
    rc_stored_connector now = {.name = op->name};

    if (!c || c->deleted) {
        finish(store, op, 0, NULL, NULL);
        return;
    }
    now.config = rc_kv_copy(c->config, &op->arena.pub); /* the table may change meanwhile */
    now.target = c->target;
    now.version = c->version;
    now.incarnation = c->incarnation;
    now.changed_ms = c->changed_ms;
    finish(store, op, 0, &now, NULL);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void on_sent(void *arg, const rmq_send_result *result)
{
    rc_topic_op *op = arg;
    rc_topic_store *store = op->store;

    (void)pthread_mutex_lock(&store->mu);
    op->in_client = false;
    if (op->finished) {
        rc_topic_op_free(op);
    } else if (result->result < 0) {
        op->failed = result->result;
        op->err = *result->err;
    }
    (void)pthread_mutex_unlock(&store->mu);
    if (result->result < 0)
        rmq_consumer_wake(store->consumer);
}

/* In the arena; `written` names the record when it comes back. */
static int encode(rc_topic_store *store, rc_shared_record *record, char written[64],
                  omc_arena *arena, rc_shared_message *ret, rc_error *err)
{
    (void)snprintf(written, 64, "%s.%llu", store->writer, (unsigned long long)++store->count);
    record->written = omc_slice_str(written);
    return rc_shared_encode(record, arena, ret, err);
}

/* Without the lock: the client calls back with it. */
static int hand_over(rc_topic_store *store, bool state, const rc_shared_message *message,
                     rmq_sent_fn *sent, void *arg, rc_error *err)
{
    const rmq_message out = {.keys = message->keys,
                             .body = message->body,
                             .properties = message->properties,
                             .property_count = message->property_count};
    const rmq_target states = {.topic = store->config.status_topic, .key = message->keys};
    const rmq_target home = {.topic = store->home->topic,
                             .broker = store->home->broker,
                             .queue_id = store->home->id};

    return rmq_producer_send(store->producer, state ? &states : &home, &out, 0, sent, arg, err);
}

/* [mu] The record an op asks for, as things are now. @return 1: nothing is to be written. */
static int decide(rc_topic_store *store, rc_topic_op *op, rc_shared_record *ret, rc_error *err)
{
    const rc_shared_connector *c = rc_shared_find(store->shared, op->name);
    int64_t now_ms = rc_now_ms(store->config.clock);
    bool alive = c && !c->deleted;
    int r;

    if (op->kind == RC_TOPIC_PUT) {
        if ((r = rc_shared_check(store->shared, op->name, op->expected, err)) < 0)
            return r;
        rc_shared_next(store->shared, RC_SHARED_CONFIG, op->name, now_ms, ret);
        ret->config = op->config;
        ret->target = alive ? c->target : op->target;
        return 0;
    }
    if (!alive)
        return rc_store_unknown(op->name, err);
    if (op->kind == RC_TOPIC_TARGET && c->target == op->target)
        return 1;
    if (op->kind != RC_TOPIC_TASKS) {
        rc_shared_next(store->shared,
                       op->kind == RC_TOPIC_TARGET ? RC_SHARED_TARGET : RC_SHARED_DELETED, op->name,
                       now_ms, ret);
        if (op->kind == RC_TOPIC_TARGET)
            ret->target = op->target;
        return 0;
    }
    if (c->incarnation != op->tasks.incarnation)
        return rc_fail(err, OMC_ESTATE,
                       "connector '%s' was deleted and made again: these tasks are of the old one",
                       op->name);
    rc_shared_next(store->shared, RC_SHARED_TARGET, op->name, now_ms, ret); /* epoch, incarnation */
    ret->kind = RC_SHARED_TASKS;
    ret->rank = 0;
    ret->version = op->tasks.version;
    ret->generation = op->tasks.generation;
    ret->number = op->tasks.number;
    ret->tasks = op->tasks.tasks;
    ret->task_count = op->tasks.count;
    return 0;
}

/* [mu] */
static bool busy(const rc_topic_store *store, const char *name)
{
    const rc_topic_op *op;

    DL_FOREACH(store->ops, op)
    {
        if (op->sent && strcmp(op->name, name) == 0)
            return true;
    }
    return false;
}

/* [mu] */
static void start_write(rc_topic_store *store, rc_topic_op *op)
{
    rc_shared_message message;
    rc_shared_record record;
    rc_error err = {0};
    rc_arena arena;
    int r = decide(store, op, &record, &err);

    if (r == 1) {
        store->settle = store->settle || op->tries > 0;
        succeed(store, op);
        return;
    }
    rc_arena_init(&arena, 8192);
    if (r == 0)
        r = encode(store, &record, op->written, &arena.pub, &message, &err);
    if (r == 0) {
        op->sent = op->in_client = true;
        op->failed = 0;
        op->tries++;
        (void)pthread_mutex_unlock(&store->mu);
        r = hand_over(store, false, &message, on_sent, op, &err);
        (void)pthread_mutex_lock(&store->mu);
        op->in_client = op->in_client && r == 0;
    }
    if (r < 0)
        rc_topic_op_fail(store, op, r, &err);
    rc_arena_release(&arena);
}

static void nobody_waits(void *arg, const rmq_send_result *result)
{
    (void)arg;
    (void)result;
}

static rc_slice text_or_none(const char *text)
{
    return text ? omc_slice_str(text) : omc_slice_of(NULL, 0);
}

/* [mu] A state; stays where it is while the client has no room, and a newer one replaces it. */
static void start_state(rc_topic_store *store, rc_topic_op *op)
{
    rc_shared_record record = {
        .kind = RC_SHARED_STATE,
        .connector = omc_slice_str(op->name),
        .task = op->task,
        .java = omc_slice_str(op->java),
        .state = text_or_none(op->state),
        .trace = text_or_none(op->trace),
        .worker = omc_slice_str(store->config.worker),
        .generation = op->generation,
    };
    rc_shared_message message;
    rc_error err = {0};
    rc_arena arena;
    int r;

    rc_arena_init(&arena, 8192);
    store->state_epoch = RC_MAX(rc_now_ms(store->config.clock), store->state_epoch + 1);
    record.epoch = store->state_epoch;
    r = encode(store, &record, op->written, &arena.pub, &message, &err);
    (void)pthread_mutex_unlock(&store->mu);
    if (r == 0)
        r = hand_over(store, true, &message, nobody_waits, NULL, &err);
    rc_arena_release(&arena);
    (void)pthread_mutex_lock(&store->mu);
    if (r == -OMC_EAGAIN)
        return;
    if (r < 0)
        rc_warn(RC_TOPIC_COMPONENT, "the state of '%s' is not told to the other workers: %s",
                op->name, err.msg);
    finish(store, op, 0, NULL, NULL);
}

/* [mu] */
static void start_ops(rc_topic_store *store)
{
    rc_topic_op *op = store->ops, *next;

    while (op) {
        next = op->next;
        if (op->kind == RC_TOPIC_STATE && op->stale) {
            finish(store, op, 0, NULL, NULL);
        } else if (op->kind == RC_TOPIC_STATE) {
            start_state(store, op);
        } else if (!op->sent && !busy(store, op->name)) {
            start_write(store, op);
        }
        op = next;
    }
}

/* ---- writing again --------------------------------------------------------------------------- */

typedef struct repeat {
    rc_topic_store *store;
    bool spoiled_only;
    rc_arena arena;
    struct repeated {
        rc_shared_message message;
        bool state;
    } * items;
    size_t count, cap;
} repeat;

static void on_again(void *arg, const rmq_send_result *result)
{
    rc_topic_store *store = arg;

    (void)pthread_mutex_lock(&store->mu);
    store->again_pending--;
    if (result->result < 0) {
        store->again_failed = result->result;
        store->again_err = *result->err;
    }
    (void)pthread_cond_broadcast(&store->cond);
    (void)pthread_mutex_unlock(&store->mu);
}

/* [mu] */
static void collect(void *arg, const rc_shared_record *record, rc_again_why why)
{
    repeat *re = arg;
    rc_shared_record copy = *record;
    rc_error err = {0};
    char written[64];

    if (re->spoiled_only && why != RC_AGAIN_SPOILED)
        return;
    if (re->count == re->cap) {
        re->cap = re->cap ? 2 * re->cap : 16;
        re->items = rc_realloc(re->items, re->cap * sizeof *re->items);
    }
    re->items[re->count].state = record->kind == RC_SHARED_STATE;
    if (encode(re->store, &copy, written, &re->arena.pub, &re->items[re->count].message, &err) == 0)
        re->count++;
    else
        rc_warn(RC_TOPIC_COMPONENT, "not written again: %s", err.msg);
}

static void send_again(repeat *re)
{
    rc_topic_store *store = re->store;

    (void)pthread_mutex_lock(&store->mu);
    store->again_pending += re->count;
    (void)pthread_mutex_unlock(&store->mu);
    for (size_t i = 0; i < re->count; i++) {
        rc_error err = {0};
        int r = hand_over(store, re->items[i].state, &re->items[i].message, on_again, store, &err);

        if (r < 0) /* the next round tries again */
            on_again(store, &(rmq_send_result){.result = r, .err = &err});
    }
    rc_arena_release(&re->arena);
    free(re->items);
}

static void write_again(rc_topic_store *store, bool spoiled_only, int64_t before_ms, int64_t now_ms)
{
    repeat re = {.store = store, .spoiled_only = spoiled_only};

    rc_arena_init(&re.arena, 65536);
    (void)pthread_mutex_lock(&store->mu);
    (void)rc_shared_again(store->shared, NULL, before_ms, now_ms, collect, &re);
    (void)pthread_mutex_unlock(&store->mu);
    if (re.count)
        rc_debug(RC_TOPIC_COMPONENT, "%zu records are written again", re.count);
    send_again(&re);
}

static void keep(rc_topic_store *store, int64_t now_ms)
{
    bool renews = !store->config.renews || store->config.renews(store->config.renews_arg);

    write_again(store, false, now_ms - (renews ? 1 : 2) * RC_TOPIC_FRESH_MS, now_ms);
    rc_topic_save(store);
}

/* ---- the file -------------------------------------------------------------------------------- */

void rc_topic_save(rc_topic_store *store)
{
    rc_snapshot_queue *queues = rc_calloc(store->queue_count + 1, sizeof *queues);
    rc_snapshot head = {.topic = store->config.config_topic, .queues = queues};
    rc_buf out = RC_BUF(RC_SNAPSHOT_BYTES_MAX);
    rc_error err = {0};
    uint64_t version;
    int r;

    for (size_t i = 0; i < store->queue_count; i++)
        if (store->queues[i].config)
            queues[head.queue_count++] =
                (rc_snapshot_queue){store->queues[i].broker, store->queues[i].id,
                                    store->queues[i].next};
    if (store->config.snapshot && store->saved != store->version) {
        (void)pthread_mutex_lock(&store->mu);
        version = store->version;
        rc_snapshot_write(store->shared, &head, NULL, NULL, &out);
        (void)pthread_mutex_unlock(&store->mu);
        r = out.overflow ? rc_fail(&err, OMC_ENOMEM, "more than %zu bytes", RC_SNAPSHOT_BYTES_MAX)
                         : rc_snapshot_save(store->config.snapshot, rc_buf_slice(&out), &err);
        if (r == 0)
            store->saved = version;
        else if (!store->snapshot_warned)
            rc_warn(RC_TOPIC_COMPONENT, "the cluster's state is not copied to '%s': %s",
                    store->config.snapshot, err.msg);
        store->snapshot_warned = r < 0;
    }
    rc_buf_release(&out);
    free(queues);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* [mu] */
static rc_topic_op *op_of(rc_topic_store *store, rc_slice written)
{
    rc_topic_op *op;

    DL_FOREACH(store->ops, op)
    {
        if (op->sent && written.base && omc_slice_is(written, op->written))
            return op;
    }
    return NULL;
}

static void too_late(rc_topic_store *store, rc_topic_op *op)
{
    const rc_shared_connector *c = rc_shared_find(store->shared, op->name);
    rc_error err = {0};
    int r = 0;

    if (op->kind == RC_TOPIC_TASKS && c && !c->deleted)
        r = rc_fail(&err, OMC_ESTATE,
                    "tasks of connector '%s': generation %lld.%lld has come too late, %lld.%lld is "
                    "there already",
                    op->name, (long long)op->tasks.generation, (long long)op->tasks.number,
                    (long long)c->generation, (long long)c->number);
    else if (op->tries >= RC_TOPIC_TRIES_MAX)
        r = rc_fail_retriable(&err, OMC_ESTATE,
                              "connector '%s' was changed by others %d times in a row: try again",
                              op->name, op->tries);
    if (r < 0)
        rc_topic_op_fail(store, op, r, &err);
    else
        op->sent = false; /* decided again */
}

/* [mu] Our own record came back. */
static void judge(rc_topic_store *store, rc_topic_op *op, rc_fold_result result)
{
    rc_error err = {0};

    switch (result) {
    case RC_FOLD_APPLIED:
    case RC_FOLD_SAME:
        succeed(store, op);
        return;
    case RC_FOLD_FULL:
        rc_topic_op_fail(store, op,
                         rc_fail(&err, OMC_ENOMEM,
                                 "a cluster has at most %d connectors, deleted ones included",
                                 RC_SHARED_CONNECTORS_MAX),
                         &err);
        return;
    default:
        too_late(store, op);
    }
}

/* @return whether somebody else's record changed the table. */
static bool take(rc_topic_store *store, rc_topic_queue *queue, const rmq_message *message)
{
    rc_shared_record record;
    rc_fold_result result;
    rc_topic_op *op;

    rc_topic_decode(store, queue, message, &record);
    if (record.kind == RC_SHARED_NONE)
        return false;
    (void)pthread_mutex_lock(&store->mu);
    op = op_of(store, record.written);
    result = rc_shared_fold(store->shared, &record, message->stored_ms);
    if (result == RC_FOLD_APPLIED)
        store->version++;
    if (op)
        judge(store, op, result);
    (void)pthread_mutex_unlock(&store->mu);
    return result == RC_FOLD_APPLIED && !op;
}

static void tell_changed(rc_topic_store *store)
{
    (void)pthread_mutex_lock(&store->watch_mu);
    if (store->changed)
        store->changed(store->changed_arg);
    (void)pthread_mutex_unlock(&store->watch_mu);
}

static void set_health(rc_topic_store *store, const rc_error *err)
{
    (void)pthread_mutex_lock(&store->mu);
    if (err && !store->health.code)
        rc_error_line(RC_TOPIC_COMPONENT, "%s", err->msg);
    store->health = err ? *err : (rc_error){0};
    (void)pthread_mutex_unlock(&store->mu);
}

/* Behind us: retention was faster. Before us: the queue has lost its end, in a failover or with its
 * topic; what we know of it is written again. */
static void moved(rc_topic_store *store, rc_topic_queue *queue, rmq_fetch *fetch)
{
    rc_error err = {0};

    if (fetch->next_offset < queue->next) {
        rc_warn(RC_TOPIC_COMPONENT,
                "queue %d of topic '%s' at broker '%s' ends at %lld, it was read up to %lld: its "
                "broker has lost messages; what this worker knows is written again",
                (int)queue->id, queue->topic, queue->broker, (long long)fetch->next_offset,
                (long long)queue->next);
        (void)pthread_mutex_lock(&store->mu);
        if (queue->config)
            rc_shared_forget_log(store->shared);
        store->next_keep_ns = 0;
        (void)pthread_mutex_unlock(&store->mu);
    }
    queue->next = fetch->next_offset;
    (void)rmq_consumer_seek(store->consumer, &fetch->queue, fetch->next_offset, &err);
}

static void lost(rc_topic_store *store, rc_topic_queue *queue, const rc_error *why)
{
    rc_error err = {0};

    queue->lost = true;
    if (!queue->config)
        return;
    (void)rc_fail_retriable(
        &err, OMC_ENOTFOUND,
        "topic '%s' cannot be read any more: %s. Nothing can be changed; connectors go on. If it "
        "was deleted: stop the workers and write it again with `rocketmq-connect cluster "
        "import`%s%s",
        queue->topic, why->msg, store->config.snapshot ? " from " : "",
        store->config.snapshot ? store->config.snapshot : "");
    set_health(store, &err);
}

static void handle(rc_topic_store *store, int event, rmq_fetch *fetch, const rc_error *err)
{
    rc_topic_queue *queue = rc_topic_queue_of(store, &fetch->queue);
    bool changed = false;

    if (!queue)
        return;
    if (event == RMQ_FETCH_MOVED) {
        moved(store, queue, fetch);
        return;
    }
    if (event == RMQ_FETCH_QUEUE_LOST) {
        lost(store, queue, err);
        return;
    }
    for (size_t i = 0; i < fetch->count; i++)
        changed |= take(store, queue, &fetch->messages[i]);
    queue->next = fetch->next_offset;
    if (queue->lost) {
        queue->lost = false;
        set_health(store, NULL);
    }
    if (changed)
        tell_changed(store);
}

/* A queue that was lost is tried again; it may be back. */
static void retry_lost(rc_topic_store *store)
{
    rc_error err = {0};

    for (size_t i = 0; i < store->queue_count; i++) {
        const rc_topic_queue *q = &store->queues[i];
        const rmq_queue queue = {.topic = q->topic, .broker = q->broker, .id = q->id};

        if (q->lost)
            (void)rmq_consumer_seek(store->consumer, &queue, q->next, &err);
    }
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* [mu] What the client could not send, and what takes too long. */
static void expire(rc_topic_store *store)
{
    int64_t now = rc_mono_ns(store->config.clock);
    rc_topic_op *op = store->ops, *next;

    while (op) {
        rc_error err = {0};

        next = op->next;
        if (op->sent && op->failed && !op->in_client) {
            err = op->err;
            rc_topic_op_fail(store, op, op->failed, &err);
        } else if (op->kind != RC_TOPIC_STATE && now >= op->deadline_ns) {
            int r = rc_fail_retriable(
                &err, OMC_ETIMEDOUT,
                "connector '%s': the change is not confirmed after %lld ms by topic '%s' at broker "
                "'%s'%s; look again before repeating it",
                op->name, (long long)store->config.write_timeout_ms, store->home->topic,
                store->home->broker, op->sent ? ", and may still come into force" : "");

            rc_topic_op_fail(store, op, r, &err);
        }
        op = next;
    }
}

/* [mu] Milliseconds until there is something to do without being woken. */
static int64_t sleep_ms(const rc_topic_store *store)
{
    int64_t now = rc_mono_ns(store->config.clock), until = store->next_keep_ns;
    const rc_topic_op *op;

    DL_FOREACH(store->ops, op)
    {
        until = RC_MIN(until,
                       op->kind == RC_TOPIC_STATE ? now + 100 * INT64_C(1000000) : op->deadline_ns);
    }
    return until <= now ? 0 : (until - now) / 1000000 + 1;
}

static void read_some(rc_topic_store *store, int64_t wait_ms)
{
    rmq_fetch fetch = {0};
    rc_error err = {0};
    int event = rmq_consumer_fetch(store->consumer, wait_ms, &fetch, &err);

    if (event > RMQ_FETCH_NONE)
        handle(store, event, &fetch, &err);
    if (fetch.internal)
        rmq_fetch_release(store->consumer, &fetch);
}

static void keep_if_due(rc_topic_store *store)
{
    int64_t now_ms = rc_now_ms(store->config.clock);
    bool due, now;

    (void)pthread_mutex_lock(&store->mu);
    due = rc_mono_ns(store->config.clock) >= store->next_keep_ns;
    if (store->keep)
        now_ms = store->keep_now_ms;
    due = due || store->keep;
    now = store->settle;
    store->settle = false;
    if (due)
        store->next_keep_ns = rc_mono_ns(store->config.clock) + RC_TOPIC_KEEP_MS * INT64_C(1000000);
    (void)pthread_mutex_unlock(&store->mu);
    if (due) {
        retry_lost(store);
        keep(store, now_ms);
    } else if (now) {
        write_again(store, true, INT64_MIN, now_ms);
    }
    (void)pthread_mutex_lock(&store->mu);
    if (due)
        store->keep = false;
    (void)pthread_cond_broadcast(&store->cond);
    (void)pthread_mutex_unlock(&store->mu);
}

void *rc_topic_main(void *arg)
{
    rc_topic_store *store = arg;
    int64_t wait_ms = 0;
    bool end = false;

    while (!end) {
        (void)pthread_mutex_lock(&store->mu);
        start_ops(store);
        expire(store);
        wait_ms = store->settle || store->keep ? 0 : sleep_ms(store);
        (void)pthread_mutex_unlock(&store->mu);
        read_some(store, wait_ms);
        keep_if_due(store);
        (void)pthread_mutex_lock(&store->mu);
        end = store->end;
        (void)pthread_mutex_unlock(&store->mu);
    }
    return NULL;
}
