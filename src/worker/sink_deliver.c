/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a fetch to a put: messages become records, records that cannot are reported, the rest is put
 * again and again while the sink says that trying again may help.
 */
#include "worker/sink_loop.h"

#include "base/diag.h"

#include <stdio.h>

/* The message with all its bytes in the batch's own memory, for sinks that keep batches. */
static rc_message own_copy(const rc_message *message, omc_arena *arena)
{
    rc_message copy = *message;
    omc_pair *pairs = omc_alloc(arena, (message->property_count + 1) * sizeof *pairs);

    if (message->body.base)
        copy.body = rc_arena_slice(arena, message->body);
    if (message->keys.base)
        copy.keys = rc_arena_slice(arena, message->keys);
    if (message->tags.base)
        copy.tags = rc_arena_slice(arena, message->tags);
    for (size_t i = 0; i < message->property_count; i++) {
        pairs[i].key = rc_arena_slice(arena, message->properties[i].key);
        pairs[i].value = rc_arena_slice(arena, message->properties[i].value);
    }
    copy.properties = pairs;
    copy.message_id = rc_arena_slice(arena, message->message_id);
    return copy;
}

/* One message: converted and transformed, with retries. RC_RECORD_* or negative. */
static int to_record(rc_sink *s, const rc_message *message, omc_record *record)
{
    rc_task *task = s->task;
    rc_attempt attempt = {0};
    rc_side side;
    int r;

    for (;;) {
        r = rc_message_to_record(message, &s->current->origin, task->key, task->value,
                                 &s->batch->arena.pub, record, &side, &s->failure.err);
        if (r == 0)
            return rc_task_transform(task, record, &s->batch->arena.pub, &s->failure);
        s->failure.stage = side == RC_SIDE_KEY ? RC_STAGE_KEY_CONVERTER : RC_STAGE_VALUE_CONVERTER;
        s->failure.class_name = rc_converter_class(side == RC_SIDE_KEY ? task->key : task->value);
        r = rc_task_try_again(task, &attempt, &s->failure);
        if (r != RC_RECORD_KEEP)
            return r;
    }
}

static void room_for(rc_sink *s, size_t count)
{
    if (count <= s->message_cap)
        return;
    s->message_cap = count;
    s->message_of = rc_realloc(s->message_of, count * sizeof *s->message_of);
}

/* Fills the batch from the fetch. On failure it holds what came before the bad record, and
 * *ret_next is the offset of that record. */
static int fill_batch(rc_sink *s, int64_t *ret_next, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock);
    int64_t filtered = 0;
    int r = 0;

    room_for(s, s->fetch.count);
    s->batch = rc_batch_recycle(s->batch);
    *ret_next = s->fetch.next_offset;
    for (size_t i = 0; i < s->fetch.count; i++) {
        const rc_message *message = &s->fetch.messages[i];
        omc_record *record = omc_batch_add(&s->batch->pub);
        rc_message copy;

        if (s->ops->flags & OMC_SINK_KEEPS) {
            copy = own_copy(message, &s->batch->arena.pub);
            message = &copy;
        }
        s->message_of[s->batch->pub.count - 1] = (uint32_t)i;
        s->failure.message = message;
        s->failure.topic = s->current->pub.topic;
        s->failure.queue = s->current->pub.id;
        s->failure.offset = message->offset;
        r = to_record(s, message, record);
        if (r == RC_RECORD_KEEP)
            continue;
        s->batch->pub.count--;
        filtered += r == RC_RECORD_DROPPED;
        if (r == RC_RECORD_SKIPPED)
            r = rc_sink_skip(s, &s->failure.err);
        if (r < 0) {
            *err = s->failure.err;
            *ret_next = message->offset;
            (void)rc_wrap(err, r, "message at offset %lld of topic '%s', queue %d",
                          (long long)message->offset, s->failure.topic, s->failure.queue);
            break;
        }
    }
    rc_metric_add(task->metrics, RC_TM_FILTERED, filtered);
    rc_histogram_record(&task->metrics->histograms[RC_TH_TRANSFORM],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    return r < 0 ? r : 0;
}

void rc_sink_apply_resets(rc_sink *s)
{
    for (size_t i = 0; i < s->queue_count; i++) {
        rc_sink_queue *q = &s->queues[i];
        rc_error err = {0};

        if (q->reset < 0)
            continue;
        if (rc_reader_seek(s->reader, q->topic, q->index, q->reset, &err) < 0)
            rc_warn(s->task->who,
                    "the sink asked for offset %lld of topic '%s', queue %d; reading goes on at "
                    "%lld: %s",
                    (long long)q->reset, q->pub.topic, q->pub.id, (long long)q->position, err.msg);
        else
            q->position = q->reset;
        q->reset = -1;
        rc_sink_mark_dirty(s);
    }
}

void rc_sink_mark_dirty(rc_sink *s)
{
    s->put_ns = rc_mono_ns(s->task->clock);
    if (!s->dirty)
        s->dirty_ns = s->put_ns;
    s->dirty = true;
}

/* Also a put that keeps failing can be paused. False: stopped. */
static bool resumed(rc_sink *s)
{
    while (rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
        rc_task_report(s->task, RC_STATE_PAUSED, NULL);
        rc_task_sleep(s->task, -1);
        rc_task_clear_wake(s->task);
    }
    return rc_task_commanded(s->task) != RC_COMMAND_STOP;
}

/* Puts the batch, again and again while the sink says that trying again may help. */
static int put_batch(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_attempt attempt = {0};
    int64_t begin = rc_mono_ns(task->clock);
    char call[48];
    int r;

    for (;;) {
        *err = (rc_error){0};
        s->refused.code = 0;
        s->retry_after_ms = 0;
        r = rc_task_admitted(task, true, err);
        if (r < 0)
            return r;
        rc_task_enter(task, "put");
        r = s->ops->put(task->state, &s->batch->pub, err);
        if (!rc_task_leave(task))
            return -OMC_ECANCELED;
        if (r >= 0 && s->refused.code) { /* a sink may not go on over a record nobody skips */
            *err = s->refused;
            r = -err->code;
        }
        if (r >= 0)
            break;
        (void)snprintf(call, sizeof call, "put of %zu records", s->batch->pub.count);
        r = rc_task_call_failed(task, call, r, err);
        if (rc_errors_call(&task->errors, &attempt, err) == RC_VERDICT_FAIL)
            return r;
        if (s->retry_after_ms)
            attempt.delay_ms = s->retry_after_ms;
        rc_task_report(task, RC_STATE_STALLED, err);
        rc_debug(task->who, "put failed, trying the same %zu records again in %lld ms: %s",
                 s->batch->pub.count, (long long)attempt.delay_ms, err->msg);
        rc_sink_measure_lag(s);
        if (rc_task_back_off(task, attempt.delay_ms) < 0 || !resumed(s))
            return -OMC_ECANCELED;
    }
    rc_task_report(task, RC_STATE_RUNNING, NULL);
    rc_metric_add(task->metrics, RC_TM_PUT, (int64_t)s->batch->pub.count);
    rc_metric_set(task->metrics, RC_TM_LAST_RECORD_MS, rc_now_ms(task->clock));
    rc_histogram_record(&task->metrics->histograms[RC_TH_PUT_TIME],
                        (rc_mono_ns(task->clock) - begin) / 1000);
    return 0;
}

int rc_sink_deliver(rc_sink *s, rc_error *err)
{
    rc_error why = {0};
    int64_t next;
    int failed = fill_batch(s, &next, &why);
    int r = 0;

    if (s->batch->pub.count > 0)
        r = put_batch(s, err);
    if (s->task->gone || r < 0)
        return r < 0 ? r : -OMC_ECANCELED;
    s->current->position = next;
    rc_sink_mark_dirty(s);
    rc_sink_apply_resets(s);
    if (failed < 0)
        *err = why;
    return failed;
}
