/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source loop: poll -> transforms -> converter -> append -> receipt.
 *
 * One poll becomes one append: the messages of all queues it goes to, the dead letters of records
 * that were skipped, and the position after its last record. On an atomic log that is one
 * transaction, so nothing is lost or repeated whatever crashes. The loop polls on while appends
 * are under way, until their bytes reach the limit.
 *
 * When a record fails the task, what came before it in the same poll is still stored with its
 * position; the record itself is polled again after the restart.
 */
#include "worker/source_loop.h"

#include "base/diag.h"
#include "record/json.h"

#define SCRATCH_KEEP ((size_t)2 << 20)
#define SPIN_SLEEP_MS 50

static int read_offset(void *host, const omc_map *partition, omc_arena *arena, const omc_map **ret,
                       omc_error *err)
{
    rc_task *task = host;
    rc_slice text;
    int r;

    if (!arena)
        arena = &task->memory.pub;
    r = rc_log_position(task->log, task->setup.connector, rc_json_of_map(partition, arena), arena,
                        &text, err);
    if (r < 0)
        return r;
    if (!text.base) {
        *ret = NULL;
        return 0;
    }
    return rc_json_to_map(text, arena, ret, err);
}

/* ---- the loop ---- */

static int submit(rc_source *s, rc_append *append, rc_flight *f, rc_error *err)
{
    size_t max = (size_t)s->task->setup.worker_config->pending_bytes_max;
    int r = rc_task_admitted(s->task, true, err);

    while (r == 0 && (r = rc_writer_submit(s->writer, append, f, err)) == -OMC_EAGAIN) {
        const size_t bytes = rc_append_bytes(append);

        /* Until it fits; one larger than the limit goes when nothing else is under way. */
        r = rc_source_wait_for_log(s, bytes < max ? max - bytes + 1 : 0, err);
        if (r < 0)
            break;
        r = rc_task_admitted(s->task, true, err);
    }
    if (r < 0 && !s->task->gone) {
        rc_append_free(append);
        rc_flight_free(s, f);
    }
    return r;
}

static int send_batch(rc_source *s, rc_error *err)
{
    rc_append *append = rc_append_new(s->writer);
    rc_flight *f = rc_flight_new(s);
    rc_error why = {0};
    int r = rc_source_fill(s, append, f, &why);
    int sent = 0;

    s->moved += rc_append_bytes(append);
    if (rc_append_count(append) > 0 || rc_append_positions(append) > 0) {
        sent = submit(s, append, f, err);
    } else {
        rc_append_free(append);
        rc_flight_free(s, f);
    }
    rc_arena_reset(&s->scratch, SCRATCH_KEEP);
    if (s->task->gone || sent < 0)
        return sent < 0 ? sent : -OMC_ECANCELED;
    if (r < 0) {
        /* What came before the record that failed is stored before the task goes. */
        if (rc_task_may_finish(s->task))
            rc_source_drain(s);
        if (s->task->gone)
            return -OMC_ECANCELED;
        *err = why;
        return r;
    }
    return 0;
}

static int call_poll(rc_source *s, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock), took_us;
    int r;

    s->batch = rc_batch_recycle(s->batch);
    *err = (rc_error){0};
    rc_task_enter(task, "poll");
    r = s->ops->poll(task->state, &s->batch->pub,
                     rc_writer_pending(s->writer) ? RC_HEALTH_CHECK_MS : -1, err);
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    took_us = (rc_mono_ns(task->clock) - begin) / 1000;
    if (r >= 0) /* what is in the batch counts, whatever the plugin says */
        r = (int)RC_MIN(s->batch->pub.count, (size_t)INT32_MAX);
    if (r > 0) {
        rc_metric_add(task->metrics, RC_TM_POLLED, (int64_t)s->batch->pub.count);
        rc_histogram_record(&task->metrics->histograms[RC_TH_POLL], took_us);
    } else if (r == 0 && took_us < 1000) {
        rc_task_sleep(task, SPIN_SLEEP_MS); /* a source that does not wait must not spin */
    }
    return r;
}

/* A poll that failed: waits when it may be tried again. @return 0 = go on. */
static int poll_failed(rc_source *s, rc_attempt *attempt, int r, rc_error *err)
{
    r = rc_task_call_failed(s->task, "poll", r, err);
    if (rc_errors_call(&s->task->errors, attempt, err) == RC_VERDICT_FAIL)
        return r;
    rc_task_report(s->task, RC_STATE_STALLED, err);
    rc_debug(s->task->who, "poll failed, trying again in %lld ms: %s", (long long)attempt->delay_ms,
             err->msg);
    (void)rc_task_back_off(s->task, attempt->delay_ms);
    return 0;
}

static int pause_source(rc_source *s, rc_error *err)
{
    int r = 0;

    while (r == 0 && rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
        r = rc_source_take_receipts(s, err);
        if (rc_writer_pending(s->writer) == 0)
            rc_task_report(s->task, RC_STATE_PAUSED, NULL);
        rc_task_sleep(s->task, -1);
        rc_task_clear_wake(s->task);
    }
    return r;
}

/* Nothing to do: looks whether the log is well, and gives back what a busy time has taken. */
static void idle(rc_source *s)
{
    rc_source_report_health(s);
    if (s->moved < RC_TRIM_BYTES || rc_writer_pending(s->writer) > 0)
        return;
    s->moved = 0;
    rc_batch_unref(s->batch);
    s->batch = rc_batch_new((size_t)s->task->plan.options.batch_records,
                            (size_t)s->task->plan.options.batch_bytes);
    rc_arena_release(&s->scratch);
    rc_writer_trim(s->writer);
    rc_task_trim();
}

/* While suspended nothing is polled; receipts of what was under way are still taken. */
static int admitted(rc_source *s, rc_error *err)
{
    int64_t pause = 0;
    int r = 0;

    while (r == 0 && rc_fence_standing(s->task->fence) == RC_FENCE_CLOSED) {
        pause = rc_fence_pause_ms(pause);
        if (rc_task_back_off(s->task, pause) < 0)
            return -OMC_ECANCELED;
        if (rc_task_commanded(s->task) == RC_COMMAND_PAUSE)
            return 0;
        r = rc_source_take_receipts(s, err);
    }
    return r < 0 ? r : rc_task_admitted(s->task, false, err);
}

/* Polls until a stop, the end of a bounded source, or an error. */
static int loop(rc_source *s, rc_error *err)
{
    size_t max = (size_t)s->task->setup.worker_config->pending_bytes_max;
    rc_attempt attempt = {0};
    int r = 0;

    while (r >= 0) {
        rc_task_clear_wake(s->task);
        if (rc_task_commanded(s->task) == RC_COMMAND_STOP)
            return 0;
        if (rc_task_commanded(s->task) == RC_COMMAND_PAUSE) {
            r = pause_source(s, err);
            continue;
        }
        r = rc_source_wait_for_log(s, max, err);
        if (r == 0)
            r = admitted(s, err);
        if (r == -OMC_ECANCELED && !s->task->gone)
            return 0;
        if (r < 0)
            break;
        if (rc_writer_pending(s->writer) == 0 || s->task->reported != RC_STATE_STALLED)
            rc_task_report(s->task, RC_STATE_RUNNING, NULL);
        r = call_poll(s, err);
        if (s->task->gone)
            break;
        if (r == OMC_FINISHED) {
            if (s->batch->pub.count > 0 && (r = send_batch(s, err)) == 0)
                r = OMC_FINISHED; /* records that came with the word are sent, too */
            break;
        }
        if (r < 0) {
            r = poll_failed(s, &attempt, r, err);
            continue;
        }
        attempt = (rc_attempt){0};
        if (r == 0)
            idle(s);
        else
            r = send_batch(s, err);
    }
    return r;
}

static rc_ack ack_of(const char *text)
{
    return text[0] == 'r' ? RC_ACK_REPLICATED : text[0] == 'f' ? RC_ACK_FLUSHED : RC_ACK_STORED;
}

static int start(rc_source *s, rc_error *err)
{
    rc_task *task = s->task;
    rc_writer_config config = {.name = task->name,
                               .connector = task->setup.connector,
                               .pending_bytes_max =
                                   (size_t)task->setup.worker_config->pending_bytes_max,
                               .wake = &task->wake,
                               .unordered = strcmp(task->plan.options.ordering, "none") == 0,
                               .ack = ack_of(task->plan.options.ack),
                               .commit_interval_ms = task->plan.options.commit_interval_ms,
                               .fence = task->fence};
    int r = rc_task_take_over(task, err);

    if (r < 0)
        return r;
    config.exactly_once = s->exactly_once = rc_source_exactly_once(task);
    config.strict = strcmp(task->plan.options.exactly_once, "strict") == 0;
    r = rc_writer_open(task->log, &config, &s->writer, err);

    if (r < 0)
        return r;
    s->started = true;
    *err = (rc_error){0};
    rc_task_enter(task, "init");
    r = s->ops->init ? s->ops->init(task->state, &s->ctx, err) : 0;
    return rc_task_begin(task, r, s->ops->start, err);
}

static void stop(rc_source *s)
{
    rc_task *task = s->task;

    rc_task_end(task, s->started ? s->ops->stop : NULL);
}

static void release(rc_source *s)
{
    rc_known_topic *topic, *next;
    rc_receipt receipt;

    while (s->writer && rc_writer_receipt(s->writer, 0, &receipt))
        rc_append_free(receipt.append);
    rc_writer_close(s->writer);
    HASH_ITER(hh, s->topics, topic, next)
    {
        /* The first of a table has no `prev`; the analyzer thinks that a later one may be such. */
        HASH_DEL(s->topics, topic); /* NOLINT(clang-analyzer-unix.Malloc) */
        free(topic->name);
        free(topic);
    }
    while (s->flights)
        rc_flight_free(s, s->flights);
    rc_batch_unref(s->batch);
    free(s->positions);
    rc_arena_release(&s->scratch);
    free(s);
}

/* Finished means that the position is durable, too. */
static int make_durable(rc_source *s, rc_error *err)
{
    int r = -OMC_ETIMEDOUT;

    while (r == -OMC_ETIMEDOUT && rc_task_commanded(s->task) != RC_COMMAND_STOP) {
        r = rc_writer_sync(s->writer,
                           rc_mono_ns(s->task->clock) + RC_HEALTH_CHECK_MS * INT64_C(1000000), err);
        if (r == -OMC_ETIMEDOUT)
            rc_source_report_health(s);
    }
    return r == -OMC_ETIMEDOUT ? -OMC_ECANCELED : r;
}

rc_ending rc_source_run(rc_task *task, rc_error *err)
{
    rc_source *s = rc_calloc(1, sizeof *s);
    bool finished;
    int r;

    s->task = task;
    s->ops = task->plan.plugin->ops;
    s->batch = rc_batch_new((size_t)task->plan.options.batch_records,
                            (size_t)task->plan.options.batch_bytes);
    rc_arena_init(&s->scratch, 65536);
    RC_FILL_CONTEXT(task, &s->ctx);
    s->ctx.read_offset = read_offset;
    task->state = rc_calloc(1, RC_MAX(s->ops->task_state_size, (size_t)1));
    r = start(s, err);
    if (r == 0)
        r = loop(s, err);
    finished = r == OMC_FINISHED;
    /* Finished means that everything is durable; a stopped source drains what the log can take. */
    if (!task->gone && finished)
        r = rc_source_wait_for_log(s, 0, err);
    if (!task->gone && finished && r == 0)
        r = make_durable(s, err);
    if (!task->gone && !finished && s->writer && rc_task_may_finish(task))
        rc_source_drain(s);
    if (!task->gone)
        stop(s);
    if (task->gone)
        return RC_ENDED_FAILED;
    release(s);
    if (finished && r == 0)
        return RC_ENDED_FINISHED;
    return r < 0 && r != -OMC_ECANCELED ? RC_ENDED_FAILED : RC_ENDED_STOPPED;
}
