/* SPDX-License-Identifier: Apache-2.0 */
/* What a sink plugin may ask of its host: pause, resume, reset offsets, assignment, report. All but
 * the request for a commit on the thread of the task, from inside a call. */
#include "worker/sink_loop.h"

static rc_sink_queue *find_queue(rc_sink *s, const omc_queue *queue)
{
    for (size_t i = 0; i < s->queue_count; i++)
        if (s->queues[i].pub.id == queue->id && strcmp(s->queues[i].pub.topic, queue->topic) == 0 &&
            strcmp(s->queues[i].pub.broker, queue->broker ? queue->broker : "") == 0)
            return &s->queues[i];
    return NULL;
}

static int unknown_queue(const omc_queue *queue, rc_error *err)
{
    return rc_fail(err, OMC_ENOTFOUND, "queue %d of topic '%s' does not belong to this task",
                   queue->id, queue->topic);
}

static int pause_queues(rc_sink *s, const omc_queue *queues, size_t count, bool paused,
                        rc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        rc_sink_queue *q = find_queue(s, &queues[i]);
        int r = q ? rc_reader_pause(s->reader, q->topic, q->index, paused, err)
                  : unknown_queue(&queues[i], err);

        if (r < 0)
            return r;
    }
    return 0;
}

static rc_sink *sink_of(void *host)
{
    return ((rc_task *)host)->loop;
}

static int ctx_pause(void *host, const omc_queue *queues, size_t count, omc_error *err)
{
    return pause_queues(sink_of(host), queues, count, true, err);
}

static int ctx_resume(void *host, const omc_queue *queues, size_t count, omc_error *err)
{
    return pause_queues(sink_of(host), queues, count, false, err);
}

static int ctx_reset(void *host, const omc_queue_offset *offsets, size_t count, omc_error *err)
{
    for (size_t i = 0; i < count; i++) {
        rc_sink_queue *q = find_queue(sink_of(host), &offsets[i].queue);

        if (!q)
            return unknown_queue(&offsets[i].queue, err);
        if (offsets[i].offset < 0)
            return rc_fail(err, OMC_EINVAL, "offset %lld of topic '%s' is negative",
                           (long long)offsets[i].offset, offsets[i].queue.topic);
        q->reset = offsets[i].offset;
    }
    return 0;
}

static size_t ctx_assignment(void *host, const omc_queue **ret)
{
    rc_sink *s = sink_of(host);
    omc_queue *list = omc_alloc(&s->scratch.pub, (s->queue_count + 1) * sizeof *list);

    for (size_t i = 0; i < s->queue_count; i++)
        list[i] = s->queues[i].pub;
    *ret = list;
    return s->queue_count;
}

/* Index of a record of the present batch, or -1. */
static int64_t record_index(const rc_sink *s, const omc_record *record)
{
    const char *at = (const char *)record;
    const omc_batch *batch = &s->batch->pub;

    if (at < batch->records || at >= batch->records + batch->count * batch->record_size)
        return -1;
    return (at - batch->records) / (int64_t)batch->record_size;
}

static int ctx_report(void *host, const omc_record *record, const omc_error *why, omc_error *err)
{
    rc_sink *s = sink_of(host);
    rc_task *task = s->task;
    int64_t index = record_index(s, record);
    int r;

    if (index < 0)
        return rc_fail(err, OMC_EINVAL, "the reported record is not one of the present put");
    if (s->message_of[index] & RC_SINK_REPORTED)
        return 0; /* the put is tried again; once is enough */
    rc_metric_add(task->metrics, RC_TM_ERRORS, 1);
    if (strcmp(task->plan.options.tolerance, "all") != 0) {
        s->refused = *why;
        if (s->refused.code == 0)
            s->refused.code = OMC_EFORMAT;
        (void)rc_wrap(&s->refused, 0,
                      "record at offset %lld of topic '%s', queue %d (set errors.tolerance=all to "
                      "skip such records)",
                      (long long)record->position.counter, record->topic, record->queue);
        *err = s->refused;
        return -err->code;
    }
    s->failure.stage = RC_STAGE_PUT;
    s->failure.class_name = task->plan.plugin->name;
    s->failure.message = &s->fetch.messages[s->message_of[index]];
    s->failure.record = record;
    s->failure.topic = record->topic;
    s->failure.queue = record->queue;
    s->failure.offset = s->failure.message->offset;
    s->failure.err = *why;
    r = rc_sink_skip(s, err);
    if (r >= 0) /* else its letter is still owed: the next try reports it again */
        s->message_of[index] |= RC_SINK_REPORTED;
    return r;
}

/* Any thread. */
static void ctx_request_commit(void *host)
{
    rc_task *task = host;

    atomic_store(&sink_of(host)->commit_asked, true);
    rc_wake_set(&task->wake); /* it may be waiting for messages, with nothing to commit */
}

static void ctx_retry_after(void *host, int64_t ms)
{
    sink_of(host)->retry_after_ms = RC_MAX(0, RC_MIN(ms, (int64_t)3600000));
}

void rc_sink_fill_context(rc_sink *s)
{
    RC_FILL_CONTEXT(s->task, &s->ctx);
    s->ctx.pause = ctx_pause;
    s->ctx.resume = ctx_resume;
    s->ctx.reset_offset = ctx_reset;
    s->ctx.assignment = ctx_assignment;
    s->ctx.report = ctx_report;
    s->ctx.request_commit = ctx_request_commit;
    s->ctx.retry_after = ctx_retry_after;
}
