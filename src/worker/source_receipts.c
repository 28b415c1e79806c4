/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes back from the log: receipts are told to the source, count its progress, and make room
 * for more. While the log cannot store, the task says so and waits.
 */
#include "worker/source_loop.h"

#include <utlist.h>

/* Receipts that may not be told wait for the fence. */
#define CLOSED_SLEEP_MS 20

void rc_flight_free(rc_source *s, rc_flight *f)
{
    DL_DELETE(s->flights, f);
    rc_batch_unref(f->batch);
    free(f->results);
    free(f->slots);
    free(f);
}

rc_flight *rc_flight_new(rc_source *s)
{
    rc_flight *f = rc_calloc(1, sizeof *f);
    size_t count = s->batch->pub.count;

    if (s->ops->commit) {
        rc_batch_ref(s->batch);
        f->batch = s->batch;
        f->results = rc_calloc(RC_MAX(count, (size_t)1), sizeof *f->results);
        f->slots = rc_calloc(RC_MAX(count, (size_t)1), sizeof *f->slots);
    }
    DL_APPEND(s->flights, f);
    return f;
}

static int tell_source(rc_source *s, const rc_receipt *receipt, rc_flight *f, rc_error *err)
{
    int r;

    for (size_t i = 0; i < f->records; i++) {
        omc_send_result *result = &f->results[i];

        result->topic = result->broker = result->message_id = "";
        result->offset = result->queue = -1;
        if (result->status != RC_RECORD_KEEP)
            continue;
        result->queue = rc_append_queue(receipt->append, f->slots[i]);
        result->offset = rc_append_offset(receipt->append, f->slots[i]);
        result->topic = rc_topic_name(rc_append_topic(receipt->append, f->slots[i]));
        result->broker =
            rc_topic_broker(rc_append_topic(receipt->append, f->slots[i]), result->queue);
        result->queue =
            rc_topic_queue_id(rc_append_topic(receipt->append, f->slots[i]), result->queue);
    }
    f->batch->pub.count = f->records;
    *err = (rc_error){0};
    rc_task_enter(s->task, "commit");
    r = s->ops->commit(s->task->state, &f->batch->pub, f->results, err);
    if (!rc_task_leave(s->task))
        return -OMC_ECANCELED;
    return r < 0 ? rc_task_call_failed(s->task, "commit", r, err) : 0;
}

static int take_receipt(rc_source *s, rc_receipt *receipt, rc_error *err)
{
    rc_task_metrics *metrics = s->task->metrics;
    rc_flight *f = receipt->cookie;
    int r = receipt->result;

    if (r < 0) {
        *err = receipt->err;
        r = rc_wrap(err, r, "append to the log");
    } else {
        rc_metric_add(metrics, RC_TM_WRITTEN, (int64_t)rc_append_count(receipt->append));
        rc_metric_add(metrics, RC_TM_WRITTEN_BYTES, (int64_t)rc_append_bytes(receipt->append));
        rc_metric_add(metrics, RC_TM_COMMITS, rc_append_positions(receipt->append) > 0);
        rc_metric_set(metrics, RC_TM_LAST_RECORD_MS, rc_now_ms(s->task->clock));
        rc_histogram_record(&metrics->histograms[RC_TH_APPEND], receipt->latency_us);
        if (s->ops->commit)
            r = tell_source(s, receipt, f, err);
    }
    if (s->task->gone)
        return r;
    rc_append_free(receipt->append);
    rc_flight_free(s, f);
    return r;
}

/* commit() may do something at the source's system: that is an act, too. */
static bool may_tell(const rc_source *s)
{
    return !s->ops->commit || rc_writer_pending(s->writer) == 0 ||
           rc_fence_check(s->task->fence) == RC_FENCE_OPEN;
}

/* Takes all receipts that are there. */
int rc_source_take_receipts(rc_source *s, rc_error *err)
{
    rc_receipt receipt;
    int r = rc_fence_standing(s->task->fence) == RC_FENCE_REVOKED
                ? rc_fence_fail(s->task->fence, s->task->name, err)
                : 0;

    while (r == 0 && may_tell(s) && rc_writer_receipt(s->writer, 0, &receipt))
        r = take_receipt(s, &receipt, err);
    rc_metric_set(s->task->metrics, RC_TM_PENDING_BYTES,
                  (int64_t)rc_writer_pending_bytes(s->writer));
    return r;
}

/* Says STALLED with the log's own words while the log cannot store, RUNNING when it can again. */
void rc_source_report_health(rc_source *s)
{
    rc_log_health health;
    rc_error why = {.code = OMC_ENOSPC, .flags = OMC_ERR_RETRIABLE};

    rc_writer_health(s->writer, &health);
    if (health.writable) {
        rc_task_report(s->task, RC_STATE_RUNNING, NULL);
        return;
    }
    (void)snprintf(why.msg, sizeof why.msg, "the log cannot store records now: %s", health.text);
    rc_task_report(s->task, RC_STATE_STALLED, &why);
}

/* Waits until less than `bytes` are under way. -OMC_ECANCELED when stopped meanwhile. */
int rc_source_wait_for_log(rc_source *s, size_t bytes, rc_error *err)
{
    int r = rc_source_take_receipts(s, err);

    while (r == 0 && rc_writer_pending(s->writer) > 0 &&
           rc_writer_pending_bytes(s->writer) >= bytes) {
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return -OMC_ECANCELED;
        rc_task_sleep(s->task, may_tell(s) ? RC_HEALTH_CHECK_MS : CLOSED_SLEEP_MS);
        rc_source_report_health(s);
        rc_task_clear_wake(s->task);
        r = rc_source_take_receipts(s, err);
    }
    return r;
}

/* Takes the receipts of all that is under way, as long as the log can store: what is not durable
 * then is dropped with the writer, and polled again from the position. */
void rc_source_drain(rc_source *s)
{
    rc_log_health health = {.writable = true};
    rc_receipt receipt;
    rc_error err = {0};

    while (!s->task->gone && health.writable && rc_writer_pending(s->writer) > 0 &&
           rc_fence_check(s->task->fence) == RC_FENCE_OPEN) {
        int64_t deadline = rc_mono_ns(s->task->clock) + RC_HEALTH_CHECK_MS * INT64_C(1000000);

        if (rc_writer_receipt(s->writer, deadline, &receipt)) {
            if (take_receipt(s, &receipt, &err) < 0)
                return;
        } else {
            rc_writer_health(s->writer, &health);
        }
    }
}
