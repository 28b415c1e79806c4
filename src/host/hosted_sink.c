/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink task in a host: each put is one request, answered when the plugin took the records. What
 * the plugin asks of its context comes as frames inside of a call, and is done on the task's
 * thread.
 */
#include "host/hosted_impl.h"

#include "base/diag.h"

typedef struct sink {
    rc_guest guest;
    const omc_sink_context *ctx;
    uint64_t put_number;    /* of the present or next put */
    const omc_batch *batch; /* the present put's; NULL = none */
} sink;

static int64_t call_ms(const sink *s)
{
    return rc_hosts_settings(s->guest.hosted->hosts)->call_timeout_ms;
}

/* ---- what the host asks --------------------------------------------------------------------- */

static int reject(const rc_error *why)
{
    rc_warn("host", "%s", why->msg);
    return 0;
}

static void pause_queues(sink *s, const rc_frame *f)
{
    const omc_queue *queues;
    rc_error err = {0};
    rc_arena arena;
    rc_wire_in in;
    size_t count;
    int r;

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    count = rc_in_queues(&in, &queues);
    if (rc_guest_check(&s->guest, &in, f->head.type, NULL) == 0) {
        r = f->head.type == RC_FRAME_PAUSE ? s->ctx->pause(s->ctx->host, queues, count, &err)
                                           : s->ctx->resume(s->ctx->host, queues, count, &err);
        if (r < 0)
            (void)reject(&err);
    }
    rc_arena_release(&arena);
}

static void reset_offsets(sink *s, const rc_frame *f)
{
    omc_queue_offset *offsets;
    rc_error err = {0};
    rc_arena arena;
    rc_wire_in in;
    size_t count;

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    count = rc_in_queue_offsets(&in, &offsets);
    if (rc_guest_check(&s->guest, &in, f->head.type, NULL) == 0 &&
        s->ctx->reset_offset(s->ctx->host, offsets, count, &err) < 0)
        (void)reject(&err);
    rc_arena_release(&arena);
}

static void report(sink *s, const rc_frame *f)
{
    rc_wire_error why;
    rc_error taken, err = {0};
    rc_arena arena;
    rc_wire_in in;
    uint64_t number;
    uint32_t index;
    int r;

    rc_arena_init(&arena, 1024);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    number = rc_in_u64(&in);
    index = rc_in_u32(&in);
    rc_in_error(&in, &why);
    if (rc_guest_check(&s->guest, &in, f->head.type, NULL) == 0) {
        rc_wire_error_take(&why, &taken);
        if (!s->batch || number != s->put_number || index >= s->batch->count)
            r = rc_fail(&err, OMC_ESTATE,
                        "record %u of put %llu is not in a put that is open: report records before "
                        "the put returns",
                        index, (unsigned long long)number);
        else
            r = s->ctx->report(s->ctx->host, omc_batch_at(s->batch, index), &taken, &err);
        rc_guest_reply(&s->guest, f, r, &err);
    }
    rc_arena_release(&arena);
}

static void retry_after(sink *s, const rc_frame *f)
{
    rc_arena arena;
    rc_wire_in in;
    uint64_t ms;

    rc_arena_init(&arena, 64);
    rc_in_init(&in, rc_frame_payload(f), &arena.pub);
    ms = rc_in_u64(&in);
    if (rc_guest_check(&s->guest, &in, f->head.type, NULL) == 0)
        s->ctx->retry_after(s->ctx->host, (int64_t)RC_MIN(ms, (uint64_t)INT32_MAX));
    rc_arena_release(&arena);
}

static void upcall(void *arg, const rc_frame *f)
{
    sink *s = arg;

    if (rc_guest_take(&s->guest, f, s->ctx->count, s->ctx->host))
        return;
    switch (f->head.type) {
    case RC_FRAME_PAUSE:
    case RC_FRAME_RESUME:
        pause_queues(s, f);
        break;
    case RC_FRAME_RESET_OFFSET:
        reset_offsets(s, f);
        break;
    case RC_FRAME_REPORT:
        report(s, f);
        break;
    case RC_FRAME_REQUEST_COMMIT:
        s->ctx->request_commit(s->ctx->host);
        break;
    case RC_FRAME_RETRY_AFTER:
        retry_after(s, f);
        break;
    default:
        break;
    }
}

/* A host that died, or asks for something, while the task waits for records: the task calls it. */
static void due(void *arg)
{
    const sink *s = arg;

    s->ctx->request_commit(s->ctx->host);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static int init(void *task, const omc_sink_context *ctx, omc_error *err)
{
    sink *s = task;
    const rc_channel_config setup = {.kind = RC_CHANNEL_SINK,
                                     .upcall = upcall,
                                     .due = due,
                                     .arg = s};

    s->ctx = ctx;
    return rc_guest_open(&s->guest, ctx->config, ctx->connector, ctx->task, &setup, err);
}

static int start(void *task, omc_error *err)
{
    sink *s = task;
    const rc_hosted *hosted = s->guest.hosted;
    const rc_start start = {.kind = OMC_SINK,
                            .class_name = hosted->class_name,
                            .location = hosted->location,
                            .connector = s->ctx->connector,
                            .task = s->ctx->task,
                            .config = s->ctx->config->raw,
                            .connector_instance =
                                rc_host_instance(s->guest.host, s->ctx->connector),
                            .task_id = (uint32_t)s->ctx->task_id,
                            .task_count = (uint32_t)s->ctx->task_count,
                            .put_window = 1};

    s->put_number = 1;
    return rc_guest_start(&s->guest, RC_FRAME_TASK_START, &start, "start", err);
}

static int open_queues(void *task, const omc_queue_offset *queues, size_t count, omc_error *err)
{
    sink *s = task;

    rc_channel_begin(&s->guest.out);
    rc_out_queue_offsets(&s->guest.out, queues, count);
    return rc_guest_call(&s->guest, RC_FRAME_OPEN, "open",
                         rc_hosts_settings(s->guest.hosted->hosts)->instance_timeout_ms, NULL, err);
}

static int close_queues(void *task, const omc_queue *queues, size_t count, omc_error *err)
{
    sink *s = task;

    rc_channel_begin(&s->guest.out);
    rc_out_queues(&s->guest.out, queues, count);
    return rc_guest_call(&s->guest, RC_FRAME_CLOSE, "close", call_ms(s), NULL, err);
}

static int encode_put(sink *s, const omc_batch *batch, rc_error *err)
{
    rc_buf *out = &s->guest.out;
    rc_wire_refs refs = {0};
    int r;

    rc_wire_ids_begin(&s->guest.ids);
    rc_channel_begin(out);
    rc_out_u64(out, s->put_number);
    rc_out_u32(out, (uint32_t)batch->count);
    for (size_t i = 0; i < batch->count; i++)
        rc_out_record(out, &s->guest.ids, &refs, omc_batch_at(batch, i));
    /* What was defined is sent even when the records cannot be: it counts as known from now on. */
    r = rc_guest_send_schemas(&s->guest, err);
    if (r == 0 && s->guest.ids.fault)
        r = rc_fail(err, OMC_EFORMAT, "a record cannot be given to the host: %s",
                    s->guest.ids.fault);
    return r;
}

static int put(void *task, const omc_batch *batch, omc_error *err)
{
    sink *s = task;
    int r = rc_guest_failed(&s->guest, err);

    if (r == 0)
        r = encode_put(s, batch, err);
    if (r < 0)
        return r;
    rc_channel_hurry(s->guest.channel, 0); /* a task that is to stop puts nothing more */
    s->batch = batch;
    r = rc_guest_call(&s->guest, RC_FRAME_PUT, "put", call_ms(s), NULL, err);
    s->batch = NULL;
    if (r == 0)
        s->put_number++; /* a put that is tried again keeps its number */
    return r;
}

static bool same_queue(const omc_queue *a, const omc_queue *b)
{
    return a->id == b->id && strcmp(a->topic, b->topic) == 0 &&
           strcmp(a->broker ? a->broker : "", b->broker ? b->broker : "") == 0;
}

/* What the host may commit: never more than was asked, nothing it was not asked for. */
static void apply(omc_queue_offset *offsets, size_t count, const omc_queue_offset *said,
                  size_t said_count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        int64_t asked = offsets[i].offset;

        offsets[i].offset = -1;
        for (size_t k = 0; k < said_count; k++, at++) {
            const omc_queue_offset *one = &said[at % said_count];

            if (!same_queue(&one->queue, &offsets[i].queue))
                continue;
            offsets[i].offset = RC_MIN(one->offset, asked);
            offsets[i].state = one->state;
            break;
        }
    }
}

static int pre_commit(void *task, omc_queue_offset *offsets, size_t count, omc_arena *arena,
                      omc_error *err)
{
    sink *s = task;
    RC_AUTO(rc_frame) reply = NULL;
    omc_queue_offset *said;
    rc_wire_in in;
    size_t said_count;
    int r = rc_guest_failed(&s->guest, err);

    if (r < 0)
        return r;
    rc_channel_begin(&s->guest.out);
    rc_out_queue_offsets(&s->guest.out, offsets, count);
    r = rc_guest_call(&s->guest, RC_FRAME_PRECOMMIT, "pre_commit", call_ms(s), &reply, err);
    if (r < 0)
        return r;
    rc_in_init(&in,
               omc_slice_of(omc_copy(arena, reply->payload, reply->head.length),
                            reply->head.length),
               arena);
    said_count = rc_in_queue_offsets(&in, &said);
    r = rc_guest_check(&s->guest, &in, RC_FRAME_PRECOMMIT, err);
    if (r == 0)
        apply(offsets, count, said, said_count);
    return r < 0 ? r : rc_guest_failed(&s->guest, err); /* it may have come with the call */
}

/* The task is to stop or to pause: a call that hangs must not make it STUCK. */
static void wake(void *task)
{
    const sink *s = task;

    rc_channel_hurry(s->guest.channel, rc_hosts_settings(s->guest.hosted->hosts)->stop_timeout_ms);
}

static void stop(void *task)
{
    rc_guest_close(&((sink *)task)->guest);
}

const omc_sink_ops rc_hosted_sink_ops = {
    .size = sizeof(omc_sink_ops),
    .connector_state_size = sizeof(rc_hosted_connector),
    .task_state_size = sizeof(sink),
    .validate = rc_hosted_validate,
    .connector_start = rc_hosted_connector_start,
    .task_configs = rc_hosted_task_configs,
    .connector_stop = rc_hosted_connector_stop,
    .init = init,
    .start = start,
    .open = open_queues,
    .close = close_queues,
    .put = put,
    .pre_commit = pre_commit,
    .wake = wake,
    .stop = stop,
};
