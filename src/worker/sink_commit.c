/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits of a sink: dead letters first, then the sink's own word on how far it is durable, then
 * the offsets of all queues with the sink's state in one atomic write.
 */
#include "worker/sink_loop.h"

#include "base/diag.h"
#include "record/json.h"

#define IDLE_COMMIT_NS (INT64_C(50) * 1000000)
#define STATE_MAX 4096

static int ask_sink(rc_sink *s, omc_queue_offset *offsets, rc_error *err)
{
    rc_task *task = s->task;
    int r = 0;

    for (size_t i = 0; i < s->queue_count; i++) {
        offsets[i].queue = s->queues[i].pub;
        offsets[i].offset = s->queues[i].position;
        offsets[i].state = NULL;
    }
    *err = (rc_error){0};
    s->retry_after_ms = 0;
    rc_task_enter(task, s->ops->pre_commit ? "pre_commit" : "flush");
    if (s->ops->pre_commit)
        r = s->ops->pre_commit(task->state, offsets, s->queue_count, &s->scratch.pub, err);
    else if (s->ops->flush)
        r = s->ops->flush(task->state, err);
    if (!rc_task_leave(task))
        return -OMC_ECANCELED;
    return r < 0 ? rc_task_call_failed(task, s->ops->pre_commit ? "pre_commit" : "flush", r, err)
                 : 0;
}

static int collect_commits(rc_sink *s, const omc_queue_offset *offsets, rc_commit *commits,
                           size_t *ret_count, rc_error *err)
{
    size_t n = 0;

    s->wait_ns = 0;
    for (size_t i = 0; i < s->queue_count; i++) {
        rc_sink_queue *q = &s->queues[i];

        if (offsets[i].offset < q->position)
            s->wait_ns = rc_mono_ns(s->task->clock) +
                         s->task->plan.options.commit_interval_ms * INT64_C(1000000);
        q->committing = -1;
        if (offsets[i].offset < 0)
            continue;
        commits[n].topic = q->topic;
        commits[n].queue = q->index;
        commits[n].offset = RC_MIN(offsets[i].offset, q->position);
        commits[n].state = omc_slice_of(NULL, 0);
        /* With thousands of queues most have nothing new; states may change without offsets. */
        if (!offsets[i].state && commits[n].offset == q->committed)
            continue;
        q->committing = offsets[i].state ? -1 : commits[n].offset;
        if (offsets[i].state)
            commits[n].state = rc_json_of_map(offsets[i].state, &s->scratch.pub);
        commits[n].barriers =
            rc_reader_barriers(s->reader, q->topic, q->index, commits[n].offset, &s->scratch.pub);
        if (commits[n].state.len > STATE_MAX)
            return rc_fail(err, OMC_EINVAL,
                           "the sink wants to keep %zu bytes of state with an offset; at most %d "
                           "are allowed",
                           commits[n].state.len, STATE_MAX);
        n++;
    }
    *ret_count = n;
    return 0;
}

static int try_commit(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    omc_queue_offset *offsets = omc_alloc0(&s->scratch.pub, s->queue_count * sizeof *offsets);
    rc_commit *commits = omc_alloc0(&s->scratch.pub, s->queue_count * sizeof *commits);
    size_t count = 0;
    int r = rc_sink_flush_letters(s, err);

    if (r == 0)
        r = ask_sink(s, offsets, err);
    if (r == 0)
        r = collect_commits(s, offsets, commits, &count, err);
    if (r == 0 && count > 0) {
        r = rc_log_commit(task->log, task->plan.options.group, task->fence, commits, count, err);
        if (r < 0)
            (void)rc_wrap(err, r, "commit offsets of group '%s'", task->plan.options.group);
    }
    for (size_t i = 0; r == 0 && i < s->queue_count; i++)
        if (s->queues[i].committing >= 0)
            s->queues[i].committed = s->queues[i].committing;
    return r;
}

void rc_sink_measure_lag(rc_sink *s)
{
    rc_error err = {0};
    int64_t lag;

    if (rc_reader_lag(s->reader, &lag, &err) == 0)
        rc_metric_set(s->task->metrics, RC_TM_LAG, lag);
}

/* A commit that may not be made: later, or never. */
static int fenced(rc_sink *s, rc_error *err)
{
    if (rc_fence_standing(s->task->fence) == RC_FENCE_REVOKED)
        return rc_fence_fail(s->task->fence, "commit", err);
    s->fenced = true;
    s->fence_ms = rc_fence_pause_ms(s->fence_ms);
    s->wait_ns = rc_mono_ns(s->task->clock) + s->fence_ms * 1000000;
    return 0;
}

/* Commits when there is something to, or the sink asks. A failure that may pass is counted and
 * tried again later. */
int rc_sink_commit(rc_sink *s, rc_error *err)
{
    rc_task *task = s->task;
    int64_t begin = rc_mono_ns(task->clock);
    bool asked = atomic_exchange(&s->commit_asked, false);
    int r;

    s->fenced = false;
    if ((!s->dirty && !asked) || s->letters_lost)
        return 0;
    if (rc_fence_check(task->fence) != RC_FENCE_OPEN) {
        atomic_store(&s->commit_asked, asked);
        return fenced(s, err);
    }
    s->fence_ms = 0;
    r = try_commit(s, err);
    if (task->gone)
        return -OMC_ECANCELED;
    rc_arena_reset(&s->scratch, 65536);
    if (r < 0 && rc_fence_check(task->fence) != RC_FENCE_OPEN)
        return fenced(s, err);
    if (r == 0) {
        s->dirty = s->wait_ns > 0; /* the sink held something back: it is asked again */
        rc_sink_apply_resets(s);
        s->commit_attempt = (rc_attempt){0};
        rc_metric_add(task->metrics, RC_TM_COMMITS, 1);
        rc_histogram_record(&task->metrics->histograms[RC_TH_COMMIT],
                            (rc_mono_ns(task->clock) - begin) / 1000);
        rc_sink_measure_lag(s);
        rc_task_report(task, RC_STATE_RUNNING, NULL);
        return 0;
    }
    rc_sink_apply_resets(s);
    rc_metric_add(task->metrics, RC_TM_COMMIT_FAILURES, 1);
    if (rc_errors_call(&task->errors, &s->commit_attempt, err) == RC_VERDICT_FAIL)
        return rc_wrap(err, r, "commit");
    if (s->retry_after_ms)
        s->commit_attempt.delay_ms = s->retry_after_ms;
    rc_task_report(task, RC_STATE_STALLED, err);
    rc_debug(task->who, "commit failed, trying again in %lld ms: %s",
             (long long)s->commit_attempt.delay_ms, err->msg);
    (void)rc_task_back_off(task, s->commit_attempt.delay_ms);
    return 0;
}

/* When the next commit is due: INT64_MAX when there is nothing to commit. */
int64_t rc_sink_commit_due(const rc_sink *s, bool idle)
{
    int64_t due = s->dirty_ns + s->task->plan.options.commit_interval_ms * 1000000;

    if (atomic_load(&s->commit_asked))
        return 0;
    if (!s->dirty)
        return s->look_ns;
    if (idle)
        due = RC_MIN(due, s->put_ns + IDLE_COMMIT_NS);
    return RC_MAX(due, s->wait_ns);
}
