/* SPDX-License-Identifier: Apache-2.0 */
/* A sink task in the native host: one call for each frame of the worker. */
#include "host/serve_impl.h"
#include "record/batch.h"

typedef struct sink {
    rc_served *s;
    const omc_sink_ops *ops;
    omc_sink_context ctx;
    rc_batch *batch;
    uint64_t put_number;
    bool putting;
    omc_queue *queues; /* of this task */
    size_t queue_count;
    rc_frame *stop;
} sink;

static sink *sink_of(void *host)
{
    return ((rc_served *)host)->loop;
}

/* ---- services ------------------------------------------------------------------------------- */

static bool same(const omc_queue *a, const omc_queue *b)
{
    return a->id == b->id && strcmp(a->topic, b->topic) == 0 &&
           strcmp(a->broker ? a->broker : "", b->broker ? b->broker : "") == 0;
}

static int check_queue(const sink *t, const omc_queue *queue, rc_error *err)
{
    for (size_t i = 0; i < t->queue_count; i++)
        if (same(&t->queues[i], queue))
            return 0;
    return rc_fail(err, OMC_ENOTFOUND, "queue %d of topic '%s' does not belong to this task",
                   queue->id, queue->topic);
}

static int send_queues(void *host, unsigned type, const omc_queue *queues, size_t count,
                       rc_error *err)
{
    rc_served *s = host;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = check_queue(sink_of(host), &queues[i], err);
    if (r < 0)
        return r;
    rc_channel_begin(&s->out);
    rc_out_queues(&s->out, queues, count);
    rc_server_send(s->server, s->number, type, 0, 0, &s->out);
    return 0;
}

static int ctx_pause(void *host, const omc_queue *queues, size_t count, omc_error *err)
{
    return send_queues(host, RC_FRAME_PAUSE, queues, count, err);
}

static int ctx_resume(void *host, const omc_queue *queues, size_t count, omc_error *err)
{
    return send_queues(host, RC_FRAME_RESUME, queues, count, err);
}

static int ctx_reset(void *host, const omc_queue_offset *offsets, size_t count, omc_error *err)
{
    rc_served *s = host;
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = check_queue(sink_of(host), &offsets[i].queue, err);
    if (r < 0)
        return r;
    rc_channel_begin(&s->out);
    rc_out_queue_offsets(&s->out, offsets, count);
    rc_server_send(s->server, s->number, RC_FRAME_RESET_OFFSET, 0, 0, &s->out);
    return 0;
}

static size_t ctx_assignment(void *host, const omc_queue **ret)
{
    *ret = sink_of(host)->queues;
    return sink_of(host)->queue_count;
}

static int64_t index_of(const sink *t, const omc_record *record)
{
    const char *at = (const char *)record;
    const omc_batch *batch = &t->batch->pub;

    if (!t->putting || at < batch->records ||
        at >= batch->records + batch->count * batch->record_size)
        return -1;
    return (at - batch->records) / (int64_t)batch->record_size;
}

static int ctx_report(void *host, const omc_record *record, const omc_error *why, omc_error *err)
{
    rc_served *s = host;
    sink *t = sink_of(host);
    int64_t index = index_of(t, record);
    RC_AUTO(rc_frame) f = NULL;
    rc_wire_in in;
    rc_wire_error error;
    rc_error got;

    if (index < 0)
        return rc_fail(err, OMC_EINVAL, "the reported record is not one of the present put");
    rc_channel_begin(&s->out);
    rc_out_u64(&s->out, t->put_number);
    rc_out_u32(&s->out, (uint32_t)index);
    rc_out_error(&s->out, why, index);
    rc_server_send(s->server, s->number, RC_FRAME_REPORT, 0, ++s->last_request, &s->out);
    f = rc_served_reply(s, RC_FRAME_REPORT, s->last_request);
    if (!f)
        return rc_fail(err, OMC_ECANCELED, "the task is being stopped");
    if (f->head.type != RC_FRAME_ERROR)
        return 0;
    in = rc_served_in(s, f, &s->memory.pub);
    (void)rc_in_u8(&in);
    rc_in_error(&in, &error);
    rc_served_check(s, &in);
    rc_wire_error_take(&error, &got);
    if (err)
        *err = got;
    return -got.code;
}

/* Any thread: not with the instance's buffer. */
static void ctx_request_commit(void *host)
{
    const rc_served *s = host;
    rc_buf out = RC_BUF(RC_WIRE_HEAD);

    rc_channel_begin(&out);
    rc_server_send(s->server, s->number, RC_FRAME_REQUEST_COMMIT, 0, 0, &out);
    rc_buf_release(&out);
}

static void ctx_retry_after(void *host, int64_t ms)
{
    rc_served *s = host;

    rc_channel_begin(&s->out);
    rc_out_u64(&s->out, (uint64_t)RC_MAX(ms, 0));
    rc_server_send(s->server, s->number, RC_FRAME_RETRY_AFTER, 0, 0, &s->out);
}

/* ---- frames --------------------------------------------------------------------------------- */

/* Brackets a call and answers with its result. */
static void answer(sink *t, const rc_frame *f, const char *call, int r, rc_error *err)
{
    rc_served_leave(t->s);
    rc_served_flush_counters(t->s);
    r = rc_served_failed(t->s, call, r, err);
    rc_server_reply(t->s->server, f, RC_MIN(r, 0), err);
}

static omc_queue keep_queue(sink *t, const omc_queue *queue)
{
    omc_arena *arena = &t->s->memory.pub;

    return (omc_queue){.topic = omc_copy(arena, queue->topic, strlen(queue->topic)),
                       .broker = omc_copy(arena, queue->broker, strlen(queue->broker)),
                       .id = queue->id};
}

static void open_queues(sink *t, const rc_frame *f)
{
    omc_arena *arena = &t->s->memory.pub; /* states live as long as the task */
    rc_wire_in in;
    omc_queue_offset *offsets;
    rc_error err = {0};
    size_t count;

    rc_in_init(&in, omc_slice_of(omc_copy(arena, f->payload, f->head.length), f->head.length),
               arena);
    count = rc_in_queue_offsets(&in, &offsets);
    rc_served_check(t->s, &in);
    t->queues = rc_realloc(t->queues, (t->queue_count + count + 1) * sizeof *t->queues);
    for (size_t i = 0; i < count; i++)
        t->queues[t->queue_count++] = keep_queue(t, &offsets[i].queue);
    rc_served_enter(t->s, "open");
    answer(t, f, "open", t->ops->open ? t->ops->open(t->s->state, offsets, count, &err) : 0, &err);
}

static void forget(sink *t, const omc_queue *queue)
{
    for (size_t i = 0; i < t->queue_count; i++)
        if (same(&t->queues[i], queue)) {
            t->queues[i] = t->queues[--t->queue_count];
            return;
        }
}

static void close_queues(sink *t, const rc_frame *f)
{
    const omc_queue *queues;
    rc_error err = {0};
    rc_arena arena;
    rc_wire_in in;
    size_t count;
    int r;

    rc_arena_init(&arena, 1024);
    in = rc_served_in(t->s, f, &arena.pub);
    count = rc_in_queues(&in, &queues);
    rc_served_check(t->s, &in);
    rc_served_enter(t->s, "close");
    r = t->ops->close ? t->ops->close(t->s->state, queues, count, &err) : 0;
    for (size_t i = 0; i < count; i++)
        forget(t, &queues[i]);
    answer(t, f, "close", r, &err);
    rc_arena_release(&arena);
}

static void put(sink *t, const rc_frame *f)
{
    rc_error err = {0};
    rc_wire_in in;
    char *copy;

    t->batch = rc_batch_recycle(t->batch);
    copy = omc_copy(&t->batch->arena.pub, f->payload, f->head.length);
    rc_in_init(&in, omc_slice_of(copy, f->head.length), &t->batch->arena.pub);
    in.schemas = &t->s->schemas;
    t->put_number = rc_in_u64(&in);
    (void)rc_in_records(&in, &t->batch->pub, UINT32_MAX);
    rc_served_check(t->s, &in);
    t->putting = true;
    rc_served_enter(t->s, "put");
    answer(t, f, "put", t->ops->put(t->s->state, &t->batch->pub, &err), &err);
    t->putting = false;
}

static int call_pre_commit(sink *t, omc_queue_offset *offsets, size_t count, omc_arena *arena,
                           rc_error *err)
{
    int r = 0;

    rc_served_enter(t->s, t->ops->pre_commit ? "pre_commit" : "flush");
    if (t->ops->pre_commit)
        r = t->ops->pre_commit(t->s->state, offsets, count, arena, err);
    else if (t->ops->flush)
        r = t->ops->flush(t->s->state, err);
    rc_served_leave(t->s);
    return rc_served_failed(t->s, "pre_commit", r, err);
}

static void pre_commit(sink *t, const rc_frame *f)
{
    omc_queue_offset *offsets;
    rc_error err = {0};
    rc_arena arena;
    rc_wire_in in;
    size_t count;
    int r;

    rc_arena_init(&arena, 4096);
    in = rc_served_in(t->s, f, &arena.pub);
    count = rc_in_queue_offsets(&in, &offsets);
    rc_served_check(t->s, &in);
    r = call_pre_commit(t, offsets, count, &arena.pub, &err);
    rc_served_flush_counters(t->s);
    if (r < 0) {
        rc_server_reply(t->s->server, f, r, &err);
    } else {
        rc_channel_begin(&t->s->out);
        rc_out_queue_offsets(&t->s->out, offsets, count);
        rc_server_send(t->s->server, t->s->number, RC_FRAME_PRECOMMIT, RC_WIRE_REPLY,
                       f->head.request, &t->s->out);
    }
    rc_arena_release(&arena);
}

static void take_schemas(sink *t, const rc_frame *f)
{
    rc_wire_in in = {.fault = rc_wire_schemas_define(&t->s->schemas, rc_frame_payload(f))};

    rc_served_check(t->s, &in);
}

/* @return false for STOP, which it keeps. */
static bool take_frame(sink *t, rc_frame *f, bool started)
{
    switch (f->head.type) {
    case RC_FRAME_STOP:
        t->stop = f;
        return false;
    case RC_FRAME_SCHEMAS:
        take_schemas(t, f);
        break;
    case RC_FRAME_OPEN:
        open_queues(t, f);
        break;
    case RC_FRAME_CLOSE:
        close_queues(t, f);
        break;
    case RC_FRAME_PUT:
        if (started)
            put(t, f);
        break;
    case RC_FRAME_PRECOMMIT:
        if (started)
            pre_commit(t, f);
        break;
    default:
        break;
    }
    rc_frame_free(f);
    return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void set_wakeable(rc_served *s, bool wakeable)
{
    pthread_mutex_lock(&s->mu);
    s->wakeable = wakeable;
    pthread_mutex_unlock(&s->mu);
}

static void fill_context(sink *t)
{
    RC_SERVED_CONTEXT(t->s, &t->ctx);
    t->ctx.pause = ctx_pause;
    t->ctx.resume = ctx_resume;
    t->ctx.reset_offset = ctx_reset;
    t->ctx.assignment = ctx_assignment;
    t->ctx.report = ctx_report;
    t->ctx.request_commit = ctx_request_commit;
    t->ctx.retry_after = ctx_retry_after;
}

static int begin(sink *t, rc_error *err)
{
    rc_served *s = t->s;
    void *state = s->state;
    int r;

    fill_context(t);
    rc_served_enter(s, "start");
    r = rc_served_failed(s, "init", t->ops->init ? t->ops->init(state, &t->ctx, err) : 0, err);
    if (r >= 0) {
        set_wakeable(s, true);
        r = rc_served_failed(s, "start", t->ops->start ? t->ops->start(state, err) : 0, err);
    }
    rc_served_leave(s);
    return r;
}

rc_frame *rc_serve_sink(rc_served *s, const rc_frame *start)
{
    const omc_sink_ops *ops = s->plugin->ops;
    sink sink_state = {.s = s, .ops = ops}, *t = &sink_state;
    rc_error err = {0};
    int r;

    s->loop = t;
    s->state = rc_calloc(1, RC_MAX(ops->task_state_size, (size_t)1));
    t->batch = rc_batch_new(1000, (size_t)1 << 20);
    r = begin(t, &err);
    rc_server_reply(s->server, start, r, &err);
    while (take_frame(t, rc_served_next(s, INT64_MAX), r >= 0))
        ;
    set_wakeable(s, false);
    rc_served_enter(s, "stop");
    if (ops->stop)
        ops->stop(t->s->state);
    rc_served_leave(s);
    rc_batch_unref(t->batch);
    free(t->queues);
    return t->stop;
}
