/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source task in the native host: polls while there is credit, sends what it got in batches of
 * the size the worker wants, and keeps a polled batch until its results came, for commit.
 */
#include "host/serve_impl.h"
#include "record/batch.h"

#include <utlist.h>

/* A polled batch whose results are not all there. */
typedef struct sent {
    struct sent *prev, *next;
    rc_batch *batch;
    omc_send_result *results;
    size_t known;
    rc_arena texts; /* of the results */
} sent;

typedef struct source {
    rc_served *s;
    const omc_source_ops *ops;
    omc_source_context ctx;
    rc_batch *batch;
    sent *sent;
    int64_t records, bytes; /* credit */
    uint64_t next_seq;
    bool held, finished;
    rc_frame *stop;
} source;

/* ---- services ------------------------------------------------------------------------------- */

static int take_reply(rc_served *s, const rc_frame *f, omc_arena *arena, const omc_map **ret,
                      rc_error *err)
{
    rc_wire_in in;
    rc_wire_error error;

    rc_in_init(&in, omc_slice_of(omc_copy(arena, f->payload, f->head.length), f->head.length),
               arena);
    if (f->head.type == RC_FRAME_ERROR) {
        (void)rc_in_u8(&in);
        rc_in_error(&in, &error);
        rc_wire_error_take(&error, err);
        return -err->code;
    }
    (void)rc_in_u32(&in);
    *ret = rc_in_bool(&in) ? rc_in_map(&in) : NULL;
    rc_served_check(s, &in);
    return 0;
}

static int read_offset(void *host, const omc_map *partition, omc_arena *arena, const omc_map **ret,
                       omc_error *err)
{
    rc_served *s = host;
    RC_AUTO(rc_frame) f = NULL;
    rc_error why = {0};
    int r;

    rc_channel_begin(&s->out);
    rc_out_u32(&s->out, 1);
    rc_out_map(&s->out, &s->ids, partition);
    rc_server_send(s->server, s->number, RC_FRAME_OFFSET_READ, 0, ++s->last_request, &s->out);
    f = rc_served_reply(s, RC_FRAME_OFFSET_READ, s->last_request);
    if (!f)
        return rc_fail(err, OMC_ECANCELED, "the task is being stopped");
    r = take_reply(s, f, arena ? arena : &s->memory.pub, ret, &why);
    if (r < 0 && err)
        *err = why;
    return r;
}

/* ---- results -------------------------------------------------------------------------------- */

static void call_commit(source *t, sent *b)
{
    rc_error err = {0};
    int r;

    rc_served_enter(t->s, "commit");
    r = t->ops->commit(t->s->state, &b->batch->pub, b->results, &err);
    rc_served_leave(t->s);
    if (rc_served_failed(t->s, "commit", r, &err) < 0)
        rc_served_error(t->s, &err);
}

static void free_sent(source *t, sent *b)
{
    DL_DELETE(t->sent, b);
    rc_batch_unref(b->batch);
    rc_arena_release(&b->texts);
    free(b->results);
    free(b);
}

static void take_ack(source *t, const rc_frame *f)
{
    omc_send_result *results;
    rc_arena arena;
    rc_wire_in in;
    size_t count;

    if (!t->ops->commit)
        return;
    rc_arena_init(&arena, 4096);
    in = rc_served_in(t->s, f, &arena.pub);
    (void)rc_in_u64(&in);
    count = rc_in_results(&in, &results);
    rc_served_check(t->s, &in);
    for (size_t i = 0; i < count && t->sent; i++) {
        sent *b = t->sent;
        omc_send_result *at = &b->results[b->known++];

        *at = results[i];
        at->topic = omc_copy(&b->texts.pub, at->topic, strlen(at->topic));
        at->broker = omc_copy(&b->texts.pub, at->broker, strlen(at->broker));
        at->message_id = omc_copy(&b->texts.pub, at->message_id, strlen(at->message_id));
        if (b->known < b->batch->pub.count)
            continue;
        call_commit(t, b);
        free_sent(t, b);
    }
    rc_arena_release(&arena);
}

static void take_frame(source *t, rc_frame *f)
{
    rc_wire_in in = rc_served_in(t->s, f, &t->s->memory.pub);

    switch (f->head.type) {
    case RC_FRAME_STOP:
        t->stop = f;
        return;
    case RC_FRAME_CREDIT:
        t->records += rc_in_i64(&in);
        t->bytes += rc_in_i64(&in);
        t->held = false;
        break;
    case RC_FRAME_ACK:
        take_ack(t, f);
        break;
    default:
        break;
    }
    rc_frame_free(f);
}

/* ---- polling and sending -------------------------------------------------------------------- */

static bool may_send(const source *t)
{
    return t->records > 0 && t->bytes > 0;
}

/* Frames until there is credit. @return false when STOP came. */
static bool await_credit(source *t)
{
    while (!t->stop && !may_send(t))
        take_frame(t, rc_served_next(t->s, INT64_MAX));
    return !t->stop;
}

static void send_batch(source *t, size_t mark, uint32_t count)
{
    rc_out_patch(&t->s->out, mark, count);
    rc_server_send(t->s->server, t->s->number, RC_FRAME_BATCH, 0, 0, &t->s->out);
    t->records -= count;
    t->bytes -= (int64_t)(t->s->out.len - RC_WIRE_HEAD);
    t->next_seq += count;
}

static size_t begin_batch(source *t)
{
    rc_channel_begin(&t->s->out);
    rc_out_u64(&t->s->out, t->next_seq);
    rc_wire_ids_begin(&t->s->ids);
    return rc_out_mark(&t->s->out);
}

/* Records from `from` on that fit into one frame. @return the index behind them. */
static size_t send_some(source *t, size_t from)
{
    rc_served *s = t->s;
    const omc_batch *batch = &t->batch->pub;
    size_t mark = begin_batch(t), i = from;
    rc_wire_refs refs = {0};

    while (i < batch->count && i - from < RC_MAX(s->start.records_max, 1u)) {
        size_t before = s->out.len;

        rc_out_record(&s->out, &s->ids, &refs, omc_batch_at(batch, i));
        if (i > from && s->out.len - RC_WIRE_HEAD > s->start.bytes_max) {
            s->out.len = before; /* the next frame begins with it */
            s->out.overflow = false;
            break;
        }
        i++;
    }
    /* What was defined counts as known from now on, so it is sent in any case. */
    rc_served_send_schemas(s);
    if (s->ids.fault || s->out.overflow || s->out.len - RC_WIRE_HEAD > s->server->max_frame) {
        rc_error err = {0};

        (void)rc_fail(&err, OMC_EFORMAT, "a record cannot be given to the worker: %s",
                      s->ids.fault ? s->ids.fault : "it is larger than a frame");
        rc_served_error(s, &err);
        t->held = true;
        return batch->count;
    }
    send_batch(t, mark, (uint32_t)(i - from));
    return i;
}

static void keep(source *t)
{
    sent *b;

    if (!t->ops->commit)
        return;
    b = rc_calloc(1, sizeof *b);
    b->batch = t->batch;
    rc_batch_ref(t->batch);
    rc_arena_init(&b->texts, 256);
    b->results = rc_calloc(t->batch->pub.count, sizeof *b->results);
    DL_APPEND(t->sent, b);
}

static void poll_once(source *t)
{
    rc_error err = {0};
    size_t at = 0;
    int r;

    t->batch = rc_batch_recycle(t->batch);
    rc_served_enter(t->s, "poll");
    r = t->ops->poll(t->s->state, &t->batch->pub, -1, &err);
    rc_served_leave(t->s);
    rc_served_flush_counters(t->s);
    if (r < 0 && r != OMC_FINISHED) {
        (void)rc_served_failed(t->s, "poll", r, &err);
        rc_served_error(t->s, &err);
        t->held = true;
        return;
    }
    if (t->batch->pub.count > 0)
        keep(t);
    while (at < t->batch->pub.count && await_credit(t))
        at = send_some(t, at);
    if (r == OMC_FINISHED && !t->stop) {
        t->finished = true;
        rc_served_empty(t->s, RC_FRAME_FINISHED);
    }
}

static void loop(source *t)
{
    while (!t->stop) {
        bool busy = may_send(t) && !t->held && !t->finished;
        rc_frame *f = rc_served_next(t->s, busy ? 0 : INT64_MAX);

        if (f)
            take_frame(t, f);
        else
            poll_once(t);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static void set_wakeable(rc_served *s, bool wakeable)
{
    pthread_mutex_lock(&s->mu);
    s->wakeable = wakeable;
    pthread_mutex_unlock(&s->mu);
}

static int begin(source *t, rc_error *err)
{
    rc_served *s = t->s;
    int r;

    s->state = rc_calloc(1, RC_MAX(t->ops->task_state_size, (size_t)1));
    RC_SERVED_CONTEXT(s, &t->ctx);
    t->ctx.read_offset = read_offset;
    rc_served_enter(s, "start");
    r = rc_served_failed(s, "init", t->ops->init ? t->ops->init(s->state, &t->ctx, err) : 0, err);
    if (r >= 0) {
        set_wakeable(s, true);
        r = rc_served_failed(s, "start", t->ops->start ? t->ops->start(s->state, err) : 0, err);
    }
    rc_served_leave(s);
    return r;
}

rc_frame *rc_serve_source(rc_served *s, const rc_frame *start)
{
    source t = {.s = s, .ops = s->plugin->ops, .next_seq = 1};
    rc_error err = {0};
    int r;

    t.batch = rc_batch_new(RC_MAX(s->start.records_max, 1u), RC_MAX(s->start.bytes_max, 1024u));
    r = begin(&t, &err);
    rc_server_reply(s->server, start, r, &err);
    t.held = r < 0;
    while (t.held && !t.stop && r < 0) /* only STOP is left */
        take_frame(&t, rc_served_next(s, INT64_MAX));
    if (!t.stop)
        loop(&t);
    set_wakeable(s, false);
    rc_served_enter(s, "stop");
    if (t.ops->stop)
        t.ops->stop(s->state);
    rc_served_leave(s);
    while (t.sent)
        free_sent(&t, t.sent);
    rc_batch_unref(t.batch);
    return t.stop;
}
